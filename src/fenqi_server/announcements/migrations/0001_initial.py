"""Who wants to be told when a way to pay is back, and the demo's mailbox."""

from django.db import migrations

_UP = """
-- One question of one customer: the checkout as it was asked, so that the same question is asked again.
CREATE TABLE announcements_request (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    decision_id uuid NOT NULL,
    plan text NOT NULL CHECK (plan <> ''),
    checkout jsonb NOT NULL,
    -- Empty once it has been used or is no longer needed: an address is kept no longer than its purpose.
    email text NOT NULL,
    locale text NOT NULL CHECK (locale IN ('zh-CN', 'en')),
    state text NOT NULL CHECK (state IN ('waiting', 'told', 'cancelled')),
    asked_at timestamptz NOT NULL,
    checked_at timestamptz,
    closed_at timestamptz,
    PRIMARY KEY (customer_id, id),
    CHECK ((state = 'waiting') = (email <> '')),
    CHECK ((state = 'waiting') = (closed_at IS NULL))
);
-- The same wish twice is one wish.
CREATE UNIQUE INDEX announcements_request_once ON announcements_request (customer_id, plan, email)
    WHERE state = 'waiting';
CREATE INDEX announcements_request_waiting ON announcements_request (shop_id, asked_at) WHERE state = 'waiting';

CREATE TABLE announcements_mail (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    recipient text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    locale text NOT NULL,
    sent_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id)
);

ALTER TABLE announcements_request ENABLE ROW LEVEL SECURITY;
ALTER TABLE announcements_mail ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON announcements_request
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON announcements_mail
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE ON announcements_request TO fenqi_service;
GRANT SELECT, INSERT ON announcements_mail TO fenqi_service;
"""

_DOWN = "DROP TABLE announcements_mail; DROP TABLE announcements_request;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]
