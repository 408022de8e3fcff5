"""An attempt names a contract that is there, without writing the row of its terms: as for events, in servicing's 0009_in_one_call."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("autopay", "0002_queue_looks"), ("servicing", "0009_in_one_call")]
    operations = [
        migrations.RunSQL(
            """
ALTER TABLE autopay_attempt DROP CONSTRAINT autopay_attempt_customer_id_contract_id_fkey;
CREATE POLICY of_a_contract ON autopay_attempt AS RESTRICTIVE FOR INSERT WITH CHECK (EXISTS (
    SELECT FROM servicing_contract AS c
     WHERE c.customer_id = autopay_attempt.customer_id AND c.contract_id = autopay_attempt.contract_id));
""",
            """
DROP POLICY of_a_contract ON autopay_attempt;
ALTER TABLE autopay_attempt ADD FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract;
""",
        )
    ]
