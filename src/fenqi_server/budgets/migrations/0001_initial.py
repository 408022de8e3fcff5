"""Money that can be spent once: a funder's daily quota, a subsidy's budget.

A period's money is either free or granted to slices, and nothing else: total = free + the sum of its slices' grants. A
slice is one process's share of it, so that confirmations of several processes do not queue at one row. Both
conditions that keep anything from being spent twice are CHECKs.
"""

from django.db import migrations

_UP = """
CREATE TABLE budgets_budget_period (
    shop_id uuid NOT NULL,
    purse text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    total_minor bigint NOT NULL CHECK (total_minor >= 0),
    free_minor bigint NOT NULL CHECK (free_minor >= 0),
    PRIMARY KEY (shop_id, purse, starts_at),
    CHECK (ends_at > starts_at)
);

CREATE TABLE budgets_slice (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    purse text NOT NULL,
    starts_at timestamptz NOT NULL,
    owner text NOT NULL,
    granted_minor bigint NOT NULL,
    used_minor bigint NOT NULL CHECK (used_minor >= 0),
    leased_until timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id),
    FOREIGN KEY (shop_id, purse, starts_at) REFERENCES budgets_budget_period,
    CHECK (used_minor <= granted_minor)
);
CREATE INDEX budgets_slice_of ON budgets_slice (shop_id, purse, starts_at);
CREATE INDEX budgets_slice_open ON budgets_slice (leased_until) WHERE granted_minor > used_minor;

-- What one customer's confirmation took. Given back once, when the order came to nothing.
CREATE TABLE budgets_consumption (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    subject text NOT NULL,
    purse text NOT NULL,
    starts_at timestamptz NOT NULL,
    slice_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    taken_at timestamptz NOT NULL,
    given_back_at timestamptz,
    PRIMARY KEY (customer_id, id)
);
CREATE UNIQUE INDEX budgets_consumption_once ON budgets_consumption (customer_id, subject, purse);

ALTER TABLE budgets_budget_period ENABLE ROW LEVEL SECURITY;
ALTER TABLE budgets_slice ENABLE ROW LEVEL SECURITY;
ALTER TABLE budgets_consumption ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON budgets_budget_period
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON budgets_slice USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON budgets_consumption USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE ON budgets_budget_period, budgets_slice TO fenqi_service;
GRANT SELECT, INSERT, UPDATE (given_back_at) ON budgets_consumption TO fenqi_service;
"""

_DOWN = "DROP TABLE budgets_consumption; DROP TABLE budgets_slice; DROP TABLE budgets_budget_period;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]
