"""Of the contracts that are watched, those to be charged for being late are found by themselves."""

from django.db import migrations

_UP = (
    "CREATE INDEX servicing_watch_charge ON servicing_watch (shop_id, look_on) WHERE grace_days IS NOT NULL;"
)
_DOWN = "DROP INDEX servicing_watch_charge;"


class Migration(migrations.Migration):
    dependencies = [("servicing", "0009_in_one_call")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
