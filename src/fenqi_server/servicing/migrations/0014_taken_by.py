"""Who of the staff wrote a request down for a customer who called."""

from django.db import migrations

_UP = "ALTER TABLE servicing_request ADD COLUMN taken_by text NOT NULL DEFAULT ''"
_DOWN = "ALTER TABLE servicing_request DROP COLUMN taken_by"


class Migration(migrations.Migration):
    dependencies = [("servicing", "0013_one_event_a_call")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
