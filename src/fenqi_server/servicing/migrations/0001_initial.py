"""Contracts: their terms and events, which are records, and one row beside them that is a cache."""

from django.db import migrations

_UP = """
CREATE TABLE servicing_contract (
    customer_id uuid NOT NULL REFERENCES customers_customer,
    contract_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    order_ref text NOT NULL,
    decision_id text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- Everything agreed, by value: a running contract looks nothing up.
    terms jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, contract_id)
);

CREATE TABLE servicing_event (
    customer_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    seq integer NOT NULL CHECK (seq >= 1),
    shop_id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('confirmed', 'due_reached', 'payment_received', 'payment_reversed')),
    -- What makes it this event and not another of its kind: the payment's number, the row's.
    reference text NOT NULL,
    occurred_on date NOT NULL,
    recorded_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (customer_id, contract_id, seq),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract,
    CONSTRAINT servicing_event_once UNIQUE (customer_id, contract_id, kind, reference)
);

-- A cache, derived from terms and events up to last_seq (and, for booked_*, from the book). It can be thrown away and
-- made again; it is here so that exposure, arrears and what falls due are found by an index and not by replaying.
CREATE TABLE servicing_state (
    customer_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    last_seq integer NOT NULL,
    status text NOT NULL CHECK (status IN ('unconfirmed', 'active', 'closed')),
    principal_outstanding_minor bigint NOT NULL,
    balance_minor bigint NOT NULL,
    -- The rows not paid in full, oldest first: what is late follows for any day.
    open_due_on date[] NOT NULL,
    open_minor bigint[] NOT NULL,
    -- The first due date that has not been recorded as reached.
    next_due_on date,
    booked_accounts smallint[] NOT NULL,
    booked_amounts bigint[] NOT NULL,
    PRIMARY KEY (customer_id, contract_id),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract
);
CREATE INDEX servicing_state_due ON servicing_state (shop_id, next_due_on) WHERE next_due_on IS NOT NULL;

-- One request, one effect. The key's scope is its customer (or house party) and its client.
CREATE TABLE servicing_idempotency (
    customer_id uuid NOT NULL,
    client text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    shop_id uuid NOT NULL,
    path text NOT NULL,
    body_hash bytea NOT NULL,
    status smallint,
    response bytea,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, client, key)
);

ALTER TABLE servicing_contract ENABLE ROW LEVEL SECURITY;
ALTER TABLE servicing_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE servicing_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE servicing_idempotency ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON servicing_contract
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON servicing_event
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON servicing_state
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON servicing_idempotency
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

REVOKE ALL ON servicing_contract, servicing_event, servicing_state, servicing_idempotency FROM fenqi_service;
-- Terms and events are records.
GRANT SELECT, INSERT ON servicing_contract, servicing_event TO fenqi_service;
GRANT SELECT, INSERT, UPDATE ON servicing_state TO fenqi_service;
-- An answer is put to a key; which request the key stands for never changes.
GRANT SELECT, INSERT, UPDATE (status, response) ON servicing_idempotency TO fenqi_service;
"""

_DOWN = """
DROP TABLE servicing_idempotency;
DROP TABLE servicing_state;
DROP TABLE servicing_event;
DROP TABLE servicing_contract;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("customers", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
