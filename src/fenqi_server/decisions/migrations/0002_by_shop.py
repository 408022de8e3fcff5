"""A shop's decisions of a stretch of time, found without reading everybody's.

A decision's id begins with its instant, so the hour just gone is a range of ids, in one partition.
"""

from django.db import migrations

_UP = "CREATE INDEX decisions_decision_by_shop ON decisions_decision (shop_id, decision_id)"
_DOWN = "DROP INDEX decisions_decision_by_shop"


class Migration(migrations.Migration):
    dependencies = [("decisions", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
