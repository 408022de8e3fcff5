"""Replies that go out by mail: a queue of leased rows, and what became of each attempt."""

from django.db import migrations

_UP = """
-- A row is taken for a while (leased_until) and deleted once its outcome is recorded, in one transaction.
CREATE TABLE support_mail (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    case_id uuid NOT NULL,
    -- The message's own: a reply is one mail, however often it is tried.
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    PRIMARY KEY (customer_id, id),
    FOREIGN KEY (customer_id, case_id, id) REFERENCES support_message (customer_id, case_id, id)
);
CREATE INDEX support_mail_due ON support_mail (shop_id, due_at);

-- No address, no words.
CREATE TABLE support_mail_outcome (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('delivered', 'retry', 'unknown', 'refused', 'given_up', 'no_address')),
    code integer,
    PRIMARY KEY (customer_id, id, attempt)
);

ALTER TABLE support_mail ENABLE ROW LEVEL SECURITY;
ALTER TABLE support_mail_outcome ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON support_mail USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON support_mail_outcome USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON support_mail TO fenqi_service;
GRANT SELECT, INSERT ON support_mail_outcome TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON support_mail_outcome FROM fenqi_service;
"""

_DOWN = "DROP TABLE support_mail_outcome; DROP TABLE support_mail;"


class Migration(migrations.Migration):
    dependencies = [("support", "0002_overrides_and_desk")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
