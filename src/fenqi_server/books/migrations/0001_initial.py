"""The book: one row is one transaction, whose balance the database declares and checks.

No trigger, no deferred constraint: a distributed PostgreSQL refuses both. The check sees one row, and one row is the
whole transaction. The service's role may add to the book and read it, and nothing else.
"""

from django.db import migrations

# The chart as of this migration. Another account is another migration, which replaces the function by a wider one.
_CHART = (
    (1010, "bank", "asset"),
    (1020, "in_transit", "asset"),
    (1110, "principal_receivable", "asset"),
    (1120, "fee_receivable", "asset"),
    (2010, "merchant_payable", "liability"),
    (2110, "unapplied_cash", "liability"),
    (4010, "sales", "income"),
    (4110, "fee_income", "income"),
)
_CODES = ", ".join(str(code) for code, _, _ in _CHART)
_ROWS = ", ".join(f"({code}, '{name}', '{kind}')" for code, name, kind in _CHART)

_UP = f"""
CREATE TABLE books_account (
    code smallint PRIMARY KEY,
    name text NOT NULL UNIQUE,
    class text NOT NULL CHECK (class IN ('asset', 'liability', 'income'))
);
INSERT INTO books_account (code, name, class) VALUES {_ROWS};

-- Each clause refuses something that a sum over the amounts alone would let through. NULL is not true, and the CHECK
-- says IS TRUE.
CREATE FUNCTION books_entries_ok(accounts smallint[], amounts bigint[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_ndims(accounts) = 1
       AND array_ndims(amounts) = 1
       AND cardinality(accounts) = cardinality(amounts)
       AND cardinality(accounts) >= 2
       AND array_position(accounts, NULL) IS NULL
       AND array_position(amounts, NULL) IS NULL
       AND array_position(amounts, 0::bigint) IS NULL
       AND accounts <@ ARRAY[{_CODES}]::smallint[]
       AND (SELECT sum(amount) FROM unnest(amounts) AS amount) = 0
$$;

CREATE TABLE books_transaction (
    customer_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    -- What happened: an event of a contract, or an act of the house. It books once.
    event_id uuid NOT NULL,
    event_kind text NOT NULL,
    contract_id uuid,
    -- The batch in which money in transit will arrive; what is in transit for it comes to zero once it has.
    settlement text,
    reference text NOT NULL DEFAULT '',
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{{3}}$'),
    accounts smallint[] NOT NULL,
    amounts bigint[] NOT NULL,
    occurred_on date NOT NULL,
    recorded_at timestamptz NOT NULL,
    booked_on date NOT NULL,
    PRIMARY KEY (customer_id, transaction_id),
    CONSTRAINT books_transaction_balanced CHECK (books_entries_ok(accounts, amounts) IS TRUE),
    -- 1020 is money in transit: it always says in which settlement it travels.
    CONSTRAINT books_transaction_settled CHECK (settlement IS NOT NULL OR NOT 1020 = ANY (accounts)),
    CONSTRAINT books_transaction_event_once UNIQUE (customer_id, event_id)
);
CREATE INDEX books_transaction_contract ON books_transaction (customer_id, contract_id);
CREATE INDEX books_transaction_settlement ON books_transaction (shop_id, settlement) WHERE settlement IS NOT NULL;
CREATE INDEX books_transaction_recent ON books_transaction (shop_id, recorded_at, transaction_id);

-- security_invoker: a view of the owner's would look past row-level security.
CREATE VIEW books_entry WITH (security_invoker = true) AS
SELECT t.customer_id, t.transaction_id, t.shop_id, e.line, e.account, e.amount_minor, t.currency,
       t.contract_id, t.event_id, t.event_kind, t.settlement, t.reference, t.occurred_on, t.recorded_at, t.booked_on
  FROM books_transaction AS t
 CROSS JOIN LATERAL unnest(t.accounts, t.amounts) WITH ORDINALITY AS e (account, amount_minor, line);

ALTER TABLE books_transaction ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON books_transaction
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

-- Append-only by privilege: the service's role can neither change nor remove what is booked.
REVOKE ALL ON books_transaction, books_account, books_entry FROM fenqi_service;
GRANT SELECT, INSERT ON books_transaction TO fenqi_service;
GRANT SELECT ON books_account, books_entry TO fenqi_service;
"""

_DOWN = """
DROP VIEW books_entry;
DROP TABLE books_transaction;
DROP FUNCTION books_entries_ok(smallint[], bigint[]);
DROP TABLE books_account;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]
