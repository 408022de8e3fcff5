"""What really happens with each funder: outcomes of calls, the breaker that follows from them, a person's override.

The breaker is the house's, one row a funder; it is written only while something is wrong, so a healthy funder's
calls wait for nobody. Outcomes and transitions are added and never changed.
"""

from django.db import migrations

_UP = """
ALTER TABLE funders_health DROP CONSTRAINT funders_health_state_check;
ALTER TABLE funders_health
    ADD CONSTRAINT funders_health_state_check CHECK (state IN ('unknown', 'up', 'degraded', 'checking', 'down')),
    ADD COLUMN since timestamptz,
    ADD COLUMN breaker jsonb,
    ADD COLUMN probe_at timestamptz,
    ADD COLUMN override_state text CHECK (override_state IN ('up', 'degraded', 'checking', 'down')),
    ADD COLUMN override_since timestamptz,
    ADD COLUMN override_until timestamptz,
    ADD COLUMN override_by text,
    ADD COLUMN override_reason text,
    -- Whole or not there at all; never without its end, its author and its reason.
    ADD CONSTRAINT funders_health_override CHECK (
        num_nulls(override_state, override_since, override_until, override_by, override_reason) IN (0, 5)
        AND (override_until IS NULL OR (override_until > override_since AND override_until <= override_since + interval '14 days'
             AND override_by <> '' AND override_reason <> '')));

CREATE TABLE funders_outcome (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    funder text NOT NULL,
    act text NOT NULL CHECK (act IN ('probe', 'start', 'inquire')),
    kind text NOT NULL CHECK (kind IN ('success', 'refusal', 'unknown')),
    latency_ms integer NOT NULL CHECK (latency_ms >= 0),
    note text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id)
);
CREATE INDEX funders_outcome_of ON funders_outcome (shop_id, funder, recorded_at);

-- What the public could see of a funder's health, change by change: the history behind every `since`.
CREATE TABLE funders_transition (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    funder text NOT NULL,
    state text NOT NULL CHECK (state IN ('unknown', 'up', 'degraded', 'checking', 'down')),
    since timestamptz NOT NULL,
    until timestamptz,
    actor text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id)
);
CREATE INDEX funders_transition_of ON funders_transition (shop_id, funder, recorded_at);

-- A renewal that somebody has to see to: raised once for each agreement version, put away by a person.
CREATE TABLE funders_agreement_warning (
    shop_id uuid NOT NULL,
    funder text NOT NULL,
    version text NOT NULL,
    ends_at timestamptz NOT NULL,
    raised_at timestamptz NOT NULL,
    seen_by text,
    seen_at timestamptz,
    PRIMARY KEY (shop_id, funder, version, ends_at),
    CHECK (num_nulls(seen_by, seen_at) IN (0, 2))
);

-- An application is called in after the commit that made it, once: `called_at` is written before the call.
ALTER TABLE funders_hand_off
    ADD COLUMN via text NOT NULL DEFAULT 'pretend' CHECK (via IN ('pretend', 'http')),
    ADD COLUMN called_at timestamptz,
    ADD COLUMN page_url text NOT NULL DEFAULT '',
    ADD COLUMN cause text NOT NULL DEFAULT '' CHECK (cause IN ('', 'funder', 'not_taken'));
CREATE INDEX funders_hand_off_uncalled ON funders_hand_off (started_at) WHERE called_at IS NULL AND via <> 'pretend';

ALTER TABLE funders_outcome ENABLE ROW LEVEL SECURITY;
ALTER TABLE funders_transition ENABLE ROW LEVEL SECURITY;
ALTER TABLE funders_agreement_warning ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON funders_outcome USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON funders_transition USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON funders_agreement_warning
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT ON funders_outcome, funders_transition TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON funders_outcome, funders_transition FROM fenqi_service;
GRANT SELECT, INSERT, UPDATE ON funders_agreement_warning TO fenqi_service;
"""

_DOWN = """
DROP TABLE funders_outcome; DROP TABLE funders_transition; DROP TABLE funders_agreement_warning;
DROP INDEX funders_hand_off_uncalled;
ALTER TABLE funders_hand_off DROP COLUMN via, DROP COLUMN called_at, DROP COLUMN page_url, DROP COLUMN cause;
DELETE FROM funders_health WHERE state IN ('unknown', 'checking');
ALTER TABLE funders_health DROP CONSTRAINT funders_health_override, DROP CONSTRAINT funders_health_state_check,
    DROP COLUMN since, DROP COLUMN breaker, DROP COLUMN probe_at, DROP COLUMN override_state, DROP COLUMN override_since,
    DROP COLUMN override_until, DROP COLUMN override_by, DROP COLUMN override_reason,
    ADD CONSTRAINT funders_health_state_check CHECK (state IN ('up', 'degraded', 'down'));
"""


class Migration(migrations.Migration):
    dependencies = [("funders", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
