"""Closing a day is recorded: what each day's run did, and which contracts it could not do."""

from django.db import migrations

_UP = """
CREATE TABLE servicing_close_run (
    shop_id uuid NOT NULL,
    -- The day that was closed; a day that was missed has a run of its own, under its own date.
    day date NOT NULL,
    started_at timestamptz NOT NULL,
    -- Nothing was left when it ended; NULL while there is.
    ended_at timestamptz,
    contracts integer NOT NULL,
    due_rows integer NOT NULL,
    -- How many of the contracts were written many at once.
    at_once integer NOT NULL,
    earned_minor bigint NOT NULL,
    worked_ms bigint NOT NULL,
    PRIMARY KEY (shop_id, day)
);

CREATE TABLE servicing_close_failure (
    customer_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    day date NOT NULL,
    shop_id uuid NOT NULL,
    -- The kind of fault, and what it says where that tells nothing of a person.
    problem text NOT NULL,
    detail text NOT NULL,
    tries integer NOT NULL,
    failed_at timestamptz NOT NULL,
    retry_at timestamptz NOT NULL,
    resolved_at timestamptz,
    PRIMARY KEY (customer_id, contract_id, day),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract
);
CREATE INDEX servicing_close_failure_day ON servicing_close_failure (shop_id, day);

ALTER TABLE servicing_close_run ENABLE ROW LEVEL SECURITY;
ALTER TABLE servicing_close_failure ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON servicing_close_run
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON servicing_close_failure
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

REVOKE ALL ON servicing_close_run, servicing_close_failure FROM fenqi_service;
GRANT SELECT, INSERT, UPDATE ON servicing_close_run, servicing_close_failure TO fenqi_service;
"""

_DOWN = """
DROP TABLE servicing_close_failure;
DROP TABLE servicing_close_run;
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0003_listing")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
