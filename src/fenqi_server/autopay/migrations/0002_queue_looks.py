"""Contracts wait to be asked for without writing their terms' row: see the like of `servicing_watch` in servicing's 0018_watch_looks."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("autopay", "0001_initial")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE autopay_due DROP CONSTRAINT autopay_due_customer_id_contract_id_fkey;",
            "ALTER TABLE autopay_due ADD FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract;",
        )
    ]
