"""What is due on a day, found in the order of its keys: whoever takes a part of it begins where the part before it ended."""

from django.db import migrations

_UP = """
DROP INDEX servicing_state_due;
CREATE INDEX servicing_state_due ON servicing_state (shop_id, next_due_on, customer_id, contract_id) WHERE next_due_on IS NOT NULL;
"""
_DOWN = """
DROP INDEX servicing_state_due;
CREATE INDEX servicing_state_due ON servicing_state (shop_id, next_due_on) WHERE next_due_on IS NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0019_one_statement")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
