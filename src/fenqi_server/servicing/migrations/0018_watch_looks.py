"""Contracts are watched without writing their terms' row.

A foreign key locks the row that it asks for, which writes it anew; of a shop's contracts each lies on a page of its own, so that a day's close
wrote all their pages. Who watches a contract holds its cached row, whose own key says that the contract is there, and terms are never removed.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("servicing", "0017_paid_back")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE servicing_watch DROP CONSTRAINT servicing_watch_customer_id_contract_id_fkey;",
            "ALTER TABLE servicing_watch ADD FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract;",
        )
    ]
