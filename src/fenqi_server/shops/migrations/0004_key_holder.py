"""Who of the staff holds a key: what they do with it, they do."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shops", "0003_cashier")]
    operations = [
        migrations.AddField(
            model_name="apikey",
            name="held_by",
            field=models.CharField(blank=True, db_default="", default="", max_length=150),
        )
    ]
