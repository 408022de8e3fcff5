"""What was sent is kept with how it ended, so that it can be sent again; and the log is read newest first."""

from django.db import migrations

_UP = """
-- With the attempt that ended a message, for good or not: before it, the message itself waits in outbox_message.
ALTER TABLE outbox_delivery ADD COLUMN body text;
CREATE INDEX outbox_delivery_recent ON outbox_delivery (shop_id, at, message_id, attempt);
"""
_DOWN = """
DROP INDEX outbox_delivery_recent;
ALTER TABLE outbox_delivery DROP COLUMN body;
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
