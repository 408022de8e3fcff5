"""Where messages to shops wait, where they went, and who gets them."""

from django.db import migrations

_UP = """
CREATE TABLE outbox_endpoint (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    sealed_secret text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id)
);

-- One row for one message to one endpoint. It is deleted once its outcome stands in outbox_delivery.
CREATE TABLE outbox_message (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    event text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    PRIMARY KEY (customer_id, id)
);
CREATE INDEX outbox_message_due ON outbox_message (shop_id, due_at);

CREATE TABLE outbox_delivery (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    message_id uuid NOT NULL,
    attempt integer NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    event text NOT NULL,
    at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('delivered', 'retry', 'given_up')),
    status integer,
    error text NOT NULL DEFAULT '',
    PRIMARY KEY (customer_id, message_id, attempt)
);

ALTER TABLE outbox_endpoint ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox_message ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox_delivery ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON outbox_endpoint USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON outbox_message USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON outbox_delivery USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT, DELETE ON outbox_endpoint TO fenqi_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox_message TO fenqi_service;
GRANT SELECT, INSERT ON outbox_delivery TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON outbox_delivery FROM fenqi_service;
"""

_DOWN = "DROP TABLE outbox_delivery; DROP TABLE outbox_message; DROP TABLE outbox_endpoint;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]
