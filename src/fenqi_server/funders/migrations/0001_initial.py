"""Consents, hand-offs, what funders said of themselves and of customers; and the pretend funders' own records.

The tables `funders_pretend_*` stand for another company's database. Nothing of ours reads them but the pretend adapter,
as it would call that company: so a hand-off whose answer never arrived is honestly unknown until it is asked for.
"""

from django.db import migrations

_UP = """
-- Given or withdrawn, never changed: the newest line per recipient and purpose counts.
CREATE TABLE funders_consent (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    recipient text NOT NULL,
    purpose text NOT NULL,
    version text NOT NULL,
    given boolean NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, id)
);

CREATE TABLE funders_hand_off (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    funder text NOT NULL,
    plan text NOT NULL,
    family text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    order_ref text NOT NULL,
    decision_id uuid NOT NULL,
    quote_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('started', 'approved', 'declined', 'unknown')),
    return_url text NOT NULL,
    started_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    queried_at timestamptz,
    answered_at timestamptz,
    PRIMARY KEY (customer_id, id)
);
CREATE INDEX funders_hand_off_open ON funders_hand_off (deadline_at) WHERE state IN ('started', 'unknown');

CREATE TABLE funders_health (
    shop_id uuid NOT NULL,
    funder text NOT NULL,
    state text NOT NULL CHECK (state IN ('up', 'degraded', 'down')),
    as_of timestamptz NOT NULL,
    PRIMARY KEY (shop_id, funder)
);

CREATE TABLE funders_prequal (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    funder text NOT NULL,
    state text NOT NULL CHECK (state IN ('approved', 'declined', 'pending')),
    deadline_at timestamptz,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (customer_id, funder)
);

CREATE TABLE funders_pretend_application (
    reference text PRIMARY KEY,
    funder text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    order_ref text NOT NULL,
    return_to text NOT NULL,
    received_at timestamptz NOT NULL,
    answer text CHECK (answer IN ('approved', 'declined')),
    answered_at timestamptz
);

ALTER TABLE funders_consent ENABLE ROW LEVEL SECURITY;
ALTER TABLE funders_hand_off ENABLE ROW LEVEL SECURITY;
ALTER TABLE funders_health ENABLE ROW LEVEL SECURITY;
ALTER TABLE funders_prequal ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON funders_consent USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON funders_hand_off USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON funders_health USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON funders_prequal USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT ON funders_consent TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON funders_consent FROM fenqi_service;
GRANT SELECT, INSERT, UPDATE ON funders_hand_off, funders_health, funders_prequal, funders_pretend_application
    TO fenqi_service;
"""

_DOWN = """
DROP TABLE funders_consent; DROP TABLE funders_hand_off; DROP TABLE funders_health; DROP TABLE funders_prequal;
DROP TABLE funders_pretend_application;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]
