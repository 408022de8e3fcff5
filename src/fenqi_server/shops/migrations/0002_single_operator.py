"""Whether a shop is run by one person: nobody else can review then, and waiting takes the place of a second pair of eyes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shops", "0001_initial")]
    operations = [
        migrations.AddField(
            model_name="shop",
            name="single_operator",
            field=models.BooleanField(default=False, db_default=False),
        )
    ]
