"""An attempt names a mandate that is there, without writing the mandate's row: as for its contract, in 0003_attempt_looks."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("autopay", "0003_attempt_looks")]
    operations = [
        migrations.RunSQL(
            """
ALTER TABLE autopay_attempt DROP CONSTRAINT autopay_attempt_customer_id_mandate_id_fkey;
CREATE POLICY of_a_mandate ON autopay_attempt AS RESTRICTIVE FOR INSERT WITH CHECK (EXISTS (
    SELECT FROM autopay_mandate AS m
     WHERE m.customer_id = autopay_attempt.customer_id AND m.mandate_id = autopay_attempt.mandate_id));
""",
            """
DROP POLICY of_a_mandate ON autopay_attempt;
ALTER TABLE autopay_attempt ADD FOREIGN KEY (customer_id, mandate_id) REFERENCES autopay_mandate;
""",
        )
    ]
