"""Cases, each with the decision it is about, and what was written in them."""

from django.db import migrations

_UP = """
CREATE TABLE support_case (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    -- The decision that the customer was looking at; null where they asked about something else.
    decision_id uuid,
    plan text NOT NULL DEFAULT '',
    locale text NOT NULL CHECK (locale IN ('zh-CN', 'en')),
    state text NOT NULL CHECK (state IN ('open', 'answered')),
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, id)
);
CREATE INDEX support_case_desk ON support_case (shop_id, opened_at);

-- What was said stays as it was said.
CREATE TABLE support_message (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    case_id uuid NOT NULL,
    id uuid NOT NULL,
    author text NOT NULL CHECK (author IN ('customer', 'agent')),
    body text NOT NULL CHECK (body <> ''),
    written_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, case_id, id),
    FOREIGN KEY (customer_id, case_id) REFERENCES support_case (customer_id, id)
);

ALTER TABLE support_case ENABLE ROW LEVEL SECURITY;
ALTER TABLE support_message ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON support_case USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON support_message USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE ON support_case TO fenqi_service;
GRANT SELECT, INSERT ON support_message TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON support_message FROM fenqi_service;
"""

_DOWN = "DROP TABLE support_message; DROP TABLE support_case;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]
