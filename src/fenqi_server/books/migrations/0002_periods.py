"""Periods that close for good, transactions that are linked, an account for what one currency was given for another.

Whether a period is open is asked where a row is added, by a policy of row-level security: a trigger would be refused by a
distributed engine, and a check sees no other table. The same kind of policy keeps a closed period from being changed or removed.
"""

from django.db import migrations

_CODES = "1010, 1020, 1030, 1110, 1120, 2010, 2110, 4010, 4110"
_CODES_BEFORE = "1010, 1020, 1110, 1120, 2010, 2110, 4010, 4110"


def entries_ok(codes: str) -> str:
    """The function that a transaction's CHECK calls, over a chart of these accounts."""
    return f"""
CREATE OR REPLACE FUNCTION books_entries_ok(accounts smallint[], amounts bigint[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_ndims(accounts) = 1
       AND array_ndims(amounts) = 1
       AND cardinality(accounts) = cardinality(amounts)
       AND cardinality(accounts) >= 2
       AND array_position(accounts, NULL) IS NULL
       AND array_position(amounts, NULL) IS NULL
       AND array_position(amounts, 0::bigint) IS NULL
       AND accounts <@ ARRAY[{codes}]::smallint[]
       AND (SELECT sum(amount) FROM unnest(amounts) AS amount) = 0
$$;
"""


_UP = (
    "INSERT INTO books_account (code, name, class) VALUES (1030, 'conversion', 'asset');"
    + entries_ok(_CODES)
    + """
-- A transaction has one currency. What was given in one and got in another are two, and the second names the first.
ALTER TABLE books_transaction ADD COLUMN linked_id uuid;
ALTER TABLE books_transaction ADD CONSTRAINT books_transaction_linked
    FOREIGN KEY (customer_id, linked_id) REFERENCES books_transaction (customer_id, transaction_id);

CREATE TABLE books_period (
    shop_id uuid NOT NULL,
    first_on date NOT NULL,
    last_on date NOT NULL,
    -- From here on nothing more is booked in it; it is closed once everything that must hold was seen to hold.
    begun_at timestamptz NOT NULL,
    begun_by text NOT NULL CHECK (begun_by <> ''),
    closed_at timestamptz,
    transactions bigint,
    -- The trial balance on its last day, and what it is held to later.
    balances text,
    digest text CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    PRIMARY KEY (shop_id, last_on),
    CONSTRAINT books_period_month CHECK (
        first_on = date_trunc('month', last_on)::date AND last_on = (first_on + interval '1 month')::date - 1),
    CONSTRAINT books_period_closed CHECK (num_nulls(closed_at, transactions, balances, digest) IN (0, 4))
);

-- What the book was held against, by whom and when, and what was found.
CREATE TABLE books_proof (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('nightly', 'close', 'asked')),
    -- What it was about: a period's name; empty for the whole book.
    subject text NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    transactions bigint NOT NULL,
    contracts bigint NOT NULL,
    duration_ms bigint NOT NULL,
    -- Each a sentence; none where everything held.
    problems jsonb NOT NULL CHECK (jsonb_typeof(problems) = 'array'),
    PRIMARY KEY (shop_id, id)
);
CREATE INDEX books_proof_recent ON books_proof (shop_id, at);

ALTER TABLE books_period ENABLE ROW LEVEL SECURITY;
ALTER TABLE books_proof ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON books_period
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON books_proof
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
-- What is closed is closed.
CREATE POLICY kept_when_closed ON books_period AS RESTRICTIVE FOR UPDATE USING (closed_at IS NULL) WITH CHECK (true);
CREATE POLICY never_removed ON books_period AS RESTRICTIVE FOR DELETE USING (closed_at IS NULL);
-- Asked once a statement. The session sees the periods of its shop alone.
CREATE POLICY open_period ON books_transaction AS RESTRICTIVE FOR INSERT
    WITH CHECK (booked_on > coalesce((SELECT max(last_on) FROM books_period), '-infinity'));

REVOKE ALL ON books_period, books_proof FROM fenqi_service;
GRANT SELECT, INSERT, DELETE, UPDATE (closed_at, transactions, balances, digest) ON books_period TO fenqi_service;
GRANT SELECT, INSERT ON books_proof TO fenqi_service;
"""
)

_DOWN = """
DROP POLICY open_period ON books_transaction;
DROP TABLE books_proof;
DROP TABLE books_period;
ALTER TABLE books_transaction DROP COLUMN linked_id;
DELETE FROM books_account WHERE code = 1030;
""" + entries_ok(_CODES_BEFORE)


class Migration(migrations.Migration):
    dependencies = [("books", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
