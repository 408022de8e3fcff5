"""What customers and staff ask for, and what was decided about it."""

from django.db import migrations

_UP = """
-- What is asked does not change. `said` is the customer's own words, and is blanked when they ask to be forgotten.
CREATE TABLE servicing_request (
    customer_id uuid NOT NULL,
    request_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('return', 'hardship', 'goodwill', 'waiver', 'write_off')),
    body jsonb NOT NULL,
    said text NOT NULL DEFAULT '' CHECK (length(said) <= 2000),
    -- What it gives away, and how much of that one person may: the limit of the day on which it was asked.
    at_stake_minor bigint NOT NULL CHECK (at_stake_minor >= 0),
    limit_minor bigint NOT NULL CHECK (limit_minor >= 0),
    asked_by text NOT NULL CHECK (asked_by <> ''),
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, request_id),
    UNIQUE (customer_id, request_id, asked_by, at_stake_minor, limit_minor),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract
);
CREATE INDEX servicing_request_desk ON servicing_request (shop_id, request_id);
CREATE INDEX servicing_request_contract ON servicing_request (customer_id, contract_id, request_id);

-- It is decided once. The row repeats who asked and how much it is about, so that the check can see it.
CREATE TABLE servicing_request_decision (
    customer_id uuid NOT NULL,
    request_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    asked_by text NOT NULL,
    at_stake_minor bigint NOT NULL,
    limit_minor bigint NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('approved', 'declined', 'withdrawn')),
    -- What was done (null where nothing was), and by which event of the contract.
    body jsonb,
    event_seq integer,
    decided_by text NOT NULL CHECK (decided_by <> ''),
    decided_at timestamptz NOT NULL,
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    PRIMARY KEY (customer_id, request_id),
    FOREIGN KEY (customer_id, request_id, asked_by, at_stake_minor, limit_minor)
        REFERENCES servicing_request (customer_id, request_id, asked_by, at_stake_minor, limit_minor),
    CHECK ((verdict = 'approved') = (event_seq IS NOT NULL)),
    CHECK (verdict <> 'declined' OR note <> ''),
    CONSTRAINT servicing_request_two_people
        CHECK (verdict <> 'approved' OR at_stake_minor <= limit_minor OR lower(decided_by) <> lower(asked_by))
);

ALTER TABLE servicing_request ENABLE ROW LEVEL SECURITY;
ALTER TABLE servicing_request_decision ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON servicing_request
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON servicing_request_decision
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

REVOKE ALL ON servicing_request, servicing_request_decision FROM fenqi_service;
GRANT SELECT, INSERT, UPDATE (said) ON servicing_request TO fenqi_service;
GRANT SELECT, INSERT ON servicing_request_decision TO fenqi_service;
"""

_DOWN = """
DROP TABLE servicing_request_decision;
DROP TABLE servicing_request;
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0005_events")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
