"""Contracts by their order: one index, where there were two of the same. The other is `servicing_contract_by_order`."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("servicing", "0015_till_counts"), ("support", "0002_overrides_and_desk")]
    operations = [
        migrations.RunSQL(
            "DROP INDEX servicing_contract_order;",
            "CREATE INDEX servicing_contract_order ON servicing_contract (shop_id, order_ref);",
        )
    ]
