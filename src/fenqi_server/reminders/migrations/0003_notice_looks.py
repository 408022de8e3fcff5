"""A notice names a contract that is there, without writing the row of its terms: as for events, in servicing's 0009_in_one_call."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("reminders", "0002_term"), ("servicing", "0009_in_one_call")]
    operations = [
        migrations.RunSQL(
            """
ALTER TABLE reminders_notice DROP CONSTRAINT reminders_notice_customer_id_contract_id_fkey;
CREATE POLICY of_a_contract ON reminders_notice AS RESTRICTIVE FOR INSERT WITH CHECK (EXISTS (
    SELECT FROM servicing_contract AS c
     WHERE c.customer_id = reminders_notice.customer_id AND c.contract_id = reminders_notice.contract_id));
""",
            """
DROP POLICY of_a_contract ON reminders_notice;
ALTER TABLE reminders_notice ADD FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract;
""",
        )
    ]
