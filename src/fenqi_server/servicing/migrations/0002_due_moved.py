"""A due date may be put off: one more kind of event."""

from django.db import migrations

_KINDS = "'confirmed', 'due_reached', 'payment_received', 'payment_reversed'"
_UP = f"""
ALTER TABLE servicing_event DROP CONSTRAINT servicing_event_kind_check;
ALTER TABLE servicing_event ADD CONSTRAINT servicing_event_kind_check
    CHECK (kind IN ({_KINDS}, 'due_moved'));
"""
_DOWN = f"""
ALTER TABLE servicing_event DROP CONSTRAINT servicing_event_kind_check;
ALTER TABLE servicing_event ADD CONSTRAINT servicing_event_kind_check CHECK (kind IN ({_KINDS}));
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
