"""The ends of rentals, and the days on which their customers are reminded of them."""

from django.db import migrations

_STAGES = "'before', 'due', 'late', 'autopay_failed', 'paid_off', 'closed'"

_UP = f"""
ALTER TABLE reminders_notice DROP CONSTRAINT reminders_notice_stage_check;
ALTER TABLE reminders_notice ADD CONSTRAINT reminders_notice_stage_check CHECK (stage IN ({_STAGES}, 'term_ends'));

-- Goods that are out, and when something is to be told of the end of their term next.
CREATE TABLE reminders_term (
    customer_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    ends_on date NOT NULL,
    look_on date NOT NULL,
    PRIMARY KEY (customer_id, contract_id),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract
);
CREATE INDEX reminders_term_look ON reminders_term (shop_id, look_on);

ALTER TABLE reminders_term ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON reminders_term USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

REVOKE ALL ON reminders_term FROM fenqi_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON reminders_term TO fenqi_service;
"""

_DOWN = f"""
DROP TABLE reminders_term;
DELETE FROM reminders_notice WHERE stage = 'term_ends';
ALTER TABLE reminders_notice DROP CONSTRAINT reminders_notice_stage_check;
ALTER TABLE reminders_notice ADD CONSTRAINT reminders_notice_stage_check CHECK (stage IN ({_STAGES}));
"""


class Migration(migrations.Migration):
    dependencies = [("reminders", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
