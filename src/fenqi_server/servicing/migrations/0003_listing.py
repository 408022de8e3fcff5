"""Contracts are listed for a shop, newest first, and found by the number of their order."""

from django.db import migrations

_UP = """
CREATE INDEX servicing_contract_listed ON servicing_contract (shop_id, contract_id);
CREATE INDEX servicing_contract_order ON servicing_contract (shop_id, order_ref);
"""
_DOWN = """
DROP INDEX servicing_contract_order;
DROP INDEX servicing_contract_listed;
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0002_due_moved")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
