"""Where a shop's customers pay what they owe: its own cashier."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shops", "0002_single_operator")]
    operations = [
        migrations.AddField(
            model_name="shop",
            name="pay_url",
            field=models.CharField(blank=True, db_default="", default="", max_length=500),
        )
    ]
