"""Mandates and their withdrawals, which are records; attempts with their outcomes; and what waits to be asked for."""

from django.db import migrations

_UP = """
-- What a customer allowed: that this tool is debited, never by more than the ceiling at a time. A tool is the payment
-- provider's word for it and what a person knows it by; the number of a card is nowhere.
CREATE TABLE autopay_mandate (
    customer_id uuid NOT NULL REFERENCES customers_customer,
    mandate_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    -- NULL: for every contract of the customer.
    contract_id uuid,
    tool_token text NOT NULL CHECK (length(tool_token) BETWEEN 1 AND 200),
    tool_brand text NOT NULL CHECK (length(tool_brand) BETWEEN 1 AND 40),
    tool_last4 text NOT NULL CHECK (tool_last4 ~ '^[0-9]{4}$'),
    ceiling_minor bigint NOT NULL CHECK (ceiling_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- The words that were agreed to, by version, and the shop's own proof of it.
    text_version text NOT NULL CHECK (length(text_version) BETWEEN 1 AND 100),
    consent_ref text NOT NULL DEFAULT '',
    given_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, mandate_id),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract
);

CREATE TABLE autopay_withdrawal (
    customer_id uuid NOT NULL,
    mandate_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    withdrawn_at timestamptz NOT NULL,
    withdrawn_by text NOT NULL CHECK (withdrawn_by IN ('customer', 'shop', 'provider')),
    PRIMARY KEY (customer_id, mandate_id),
    FOREIGN KEY (customer_id, mandate_id) REFERENCES autopay_mandate
);

-- Contracts to be asked for: a row goes in the transaction that asks.
CREATE TABLE autopay_due (
    customer_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    ask_at timestamptz NOT NULL,
    -- The due date that began this series of attempts, and how many were made in it.
    first_on date NOT NULL,
    tries smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (customer_id, contract_id),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract
);
CREATE INDEX autopay_due_at ON autopay_due (shop_id, ask_at);

CREATE TABLE autopay_attempt (
    customer_id uuid NOT NULL,
    -- Also the key under which the collector is asked, so that it can tell one ask from another.
    attempt_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    mandate_id uuid NOT NULL,
    -- The shop's day on which it was asked for, and the rows it is for, by their due dates.
    day date NOT NULL,
    due_on date[] NOT NULL,
    first_on date NOT NULL,
    try smallint NOT NULL CHECK (try >= 1),
    due_minor bigint NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0 AND amount_minor <= due_minor),
    currency text NOT NULL,
    asked_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('asked', 'sent', 'unknown', 'collected', 'failed', 'cancelled')),
    reason text NOT NULL DEFAULT '',
    settled_at timestamptz,
    collected_minor bigint NOT NULL DEFAULT 0,
    -- When something is to be done about it next: to collect it, or to find out what became of it.
    act_at timestamptz,
    queries smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (customer_id, attempt_id),
    CONSTRAINT autopay_attempt_once UNIQUE (customer_id, contract_id, day),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract,
    FOREIGN KEY (customer_id, mandate_id) REFERENCES autopay_mandate
);
CREATE INDEX autopay_attempt_day ON autopay_attempt (shop_id, day);
CREATE INDEX autopay_attempt_act ON autopay_attempt (shop_id, act_at) WHERE act_at IS NOT NULL;

-- Everything that was said about an attempt, in the order in which it was said.
CREATE TABLE autopay_outcome (
    customer_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    seq smallint NOT NULL,
    shop_id uuid NOT NULL,
    said_at timestamptz NOT NULL,
    said_by text NOT NULL,
    result text NOT NULL CHECK (result IN ('collected', 'failed', 'unknown', 'cancelled')),
    reason text NOT NULL DEFAULT '',
    amount_minor bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (customer_id, attempt_id, seq),
    FOREIGN KEY (customer_id, attempt_id) REFERENCES autopay_attempt
);

CREATE TABLE autopay_setting (
    shop_id uuid PRIMARY KEY,
    -- A failed attempt is made again so many days after the first of its series; there are no others.
    retry_days smallint[] NOT NULL
);

ALTER TABLE autopay_mandate ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay_withdrawal ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay_due ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay_attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay_outcome ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay_setting ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON autopay_mandate USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON autopay_withdrawal USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON autopay_due USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON autopay_attempt USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON autopay_outcome USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON autopay_setting USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

REVOKE ALL ON autopay_mandate, autopay_withdrawal, autopay_due, autopay_attempt, autopay_outcome, autopay_setting
    FROM fenqi_service;
GRANT SELECT, INSERT ON autopay_mandate, autopay_withdrawal, autopay_outcome TO fenqi_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON autopay_due TO fenqi_service;
GRANT SELECT, INSERT, UPDATE (state, reason, settled_at, collected_minor, act_at, queries) ON autopay_attempt
    TO fenqi_service;
GRANT SELECT, INSERT, UPDATE ON autopay_setting TO fenqi_service;
"""

_DOWN = """
DROP TABLE autopay_setting; DROP TABLE autopay_outcome; DROP TABLE autopay_attempt; DROP TABLE autopay_due;
DROP TABLE autopay_withdrawal; DROP TABLE autopay_mandate;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("customers", "0001_initial"), ("servicing", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
