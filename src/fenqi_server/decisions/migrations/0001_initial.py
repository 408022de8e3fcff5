"""The decision log and the used quotes.

`decisions_decision` is partitioned by decision id: a UUIDv7 begins with its instant, so a range of ids is a month, and
the primary key stays (customer_id, decision_id). Partitions are made ahead by every `fenqi migrate`; what lies outside
them all goes to the default one, so that a forgotten job costs a slower search and never a row.
"""

from django.db import migrations

_UP = """
CREATE TABLE decisions_decision (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    source text NOT NULL,
    policy_digest text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text NOT NULL,
    input jsonb NOT NULL,
    verdicts jsonb NOT NULL,
    PRIMARY KEY (customer_id, decision_id)
) PARTITION BY RANGE (decision_id);
CREATE TABLE decisions_decision_default PARTITION OF decisions_decision DEFAULT;

-- A quote is used once by its customer; the row is written in the transaction that confirms.
CREATE TABLE decisions_quote_use (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    quote_id uuid NOT NULL,
    used_at timestamptz NOT NULL,
    became text NOT NULL,
    PRIMARY KEY (customer_id, quote_id)
);

ALTER TABLE decisions_decision ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON decisions_decision
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
ALTER TABLE decisions_quote_use ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON decisions_quote_use
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT ON decisions_decision, decisions_quote_use TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON decisions_decision, decisions_quote_use FROM fenqi_service;
-- A partition read directly would pass by its parent's row-level security.
REVOKE ALL ON decisions_decision_default FROM fenqi_service;
"""

_DOWN = "DROP TABLE decisions_quote_use; DROP TABLE decisions_decision;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]
