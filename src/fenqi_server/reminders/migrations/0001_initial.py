"""Reminders: what was told of which contract, the messages that wait, and what became of them."""

from django.db import migrations

_UP = """
CREATE TABLE reminders_setting (
    shop_id uuid PRIMARY KEY,
    -- So many days before a due date; on it; and so many days after the oldest one that is open.
    before_days smallint[] NOT NULL,
    on_due boolean NOT NULL,
    late_days smallint[] NOT NULL
);

-- How a customer wants to be told: in which language, and whether by mail at all.
CREATE TABLE reminders_wish (
    customer_id uuid PRIMARY KEY REFERENCES customers_customer,
    shop_id uuid NOT NULL,
    locale text NOT NULL CHECK (locale IN ('zh-CN', 'en')),
    refused_at timestamptz,
    updated_at timestamptz NOT NULL
);

-- One contract and stage is told once; `about` is the due date, or the attempt.
CREATE TABLE reminders_notice (
    customer_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    stage text NOT NULL CHECK (stage IN ('before', 'due', 'late', 'autopay_failed', 'paid_off', 'closed')),
    about text NOT NULL,
    shop_id uuid NOT NULL,
    due_on date,
    -- The shop's day on which it was queued.
    day date NOT NULL,
    queued_at timestamptz NOT NULL,
    -- The message that carries it; NULL until that is taken up.
    message_id uuid,
    PRIMARY KEY (customer_id, contract_id, stage, about),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract
);
CREATE INDEX reminders_notice_day ON reminders_notice (shop_id, day);

-- A message to one customer. Until it is taken up, everything new about the customer goes with it.
CREATE TABLE reminders_message (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    shop_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    PRIMARY KEY (customer_id, id)
);
CREATE UNIQUE INDEX reminders_message_open ON reminders_message (customer_id) WHERE attempt = 0;
CREATE INDEX reminders_message_due ON reminders_message (shop_id, due_at);

-- No address, no words.
CREATE TABLE reminders_outcome (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    attempt integer NOT NULL,
    shop_id uuid NOT NULL,
    at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN
        ('delivered', 'retry', 'unknown', 'refused', 'given_up', 'not_mailed', 'withdrawn')),
    code integer,
    PRIMARY KEY (customer_id, id, attempt)
);

-- How far the day's search for what falls due soon has come.
CREATE TABLE reminders_scan (
    shop_id uuid NOT NULL,
    day date NOT NULL,
    days_before smallint NOT NULL,
    after_customer uuid NOT NULL,
    after_contract uuid NOT NULL,
    done boolean NOT NULL,
    PRIMARY KEY (shop_id, day, days_before)
);

ALTER TABLE reminders_setting ENABLE ROW LEVEL SECURITY;
ALTER TABLE reminders_wish ENABLE ROW LEVEL SECURITY;
ALTER TABLE reminders_notice ENABLE ROW LEVEL SECURITY;
ALTER TABLE reminders_message ENABLE ROW LEVEL SECURITY;
ALTER TABLE reminders_outcome ENABLE ROW LEVEL SECURITY;
ALTER TABLE reminders_scan ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON reminders_setting USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON reminders_wish USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON reminders_notice USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON reminders_message USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON reminders_outcome USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON reminders_scan USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

REVOKE ALL ON reminders_setting, reminders_wish, reminders_notice, reminders_message, reminders_outcome, reminders_scan
    FROM fenqi_service;
GRANT SELECT, INSERT, UPDATE ON reminders_setting, reminders_scan TO fenqi_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON reminders_wish, reminders_message TO fenqi_service;
GRANT SELECT, INSERT, UPDATE (message_id) ON reminders_notice TO fenqi_service;
GRANT SELECT, INSERT ON reminders_outcome TO fenqi_service;
"""

_DOWN = """
DROP TABLE reminders_scan; DROP TABLE reminders_outcome; DROP TABLE reminders_message; DROP TABLE reminders_notice;
DROP TABLE reminders_wish; DROP TABLE reminders_setting;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("customers", "0001_initial"), ("servicing", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
