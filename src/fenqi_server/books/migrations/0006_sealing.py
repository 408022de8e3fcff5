"""Hashes over the book, one chain for the cell: which database transaction wrote each row, and the seals over them.

`xact` is the number of the database transaction that wrote a row, with the era of the cell above it: 2^48 * era + number. A
database that was restored counts its transactions from the start again, and begins a new era, so that `xact` never goes back.
The service's role may not write it: its default alone does.
"""

from django.db import migrations

_GIVEN = (
    "customer_id, transaction_id, shop_id, event_id, event_kind, contract_id, settlement, reference, currency, accounts, amounts,"
    " occurred_on, recorded_at, booked_on, linked_id"
)

_UP = f"""
-- The database in which the book lies: another one with the same rows (a restored backup) is another era.
CREATE TABLE books_cell (
    era integer PRIMARY KEY CHECK (era BETWEEN 1 AND 32767),
    system_identifier bigint NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO books_cell (era, system_identifier) SELECT 1, system_identifier FROM pg_control_system();

ALTER TABLE books_transaction ADD COLUMN xact bigint NOT NULL
    DEFAULT (281474976710656 * 1 + pg_current_xact_id()::text::bigint);
-- Rows are added in this order, nearly: a few bytes for each range of pages say where to look.
CREATE INDEX books_transaction_xact ON books_transaction USING brin (xact) WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE books_seal (
    number bigint PRIMARY KEY CHECK (number >= 1),
    -- Of the formula: see fenqi_server.books.sealing.
    version smallint NOT NULL CHECK (version >= 1),
    from_xact bigint NOT NULL,
    to_xact bigint NOT NULL CHECK (to_xact > from_xact),
    -- For each shop with rows in it: how many, the hash over them in order, and the first bytes of each row's own hash.
    shops uuid[] NOT NULL,
    counts bigint[] NOT NULL,
    digests bytea[] NOT NULL,
    leaves bytea[] NOT NULL,
    rows bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    previous text NOT NULL,
    digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{{64}}$'),
    key_id text NOT NULL,
    seal text NOT NULL CHECK (seal ~ '^[0-9a-f]{{64}}$'),
    CHECK ((number = 1) = (previous = '')),
    CHECK (cardinality(shops) = cardinality(counts) AND cardinality(shops) = cardinality(digests)
           AND cardinality(shops) = cardinality(leaves))
);

REVOKE ALL ON books_cell, books_seal FROM fenqi_service;
GRANT SELECT ON books_cell TO fenqi_service;
GRANT SELECT, INSERT ON books_seal TO fenqi_service;
REVOKE INSERT ON books_transaction FROM fenqi_service;
GRANT INSERT ({_GIVEN}) ON books_transaction TO fenqi_service;
"""

_DOWN = """
DROP TABLE books_seal;
REVOKE INSERT ON books_transaction FROM fenqi_service;
GRANT INSERT ON books_transaction TO fenqi_service;
ALTER TABLE books_transaction DROP COLUMN xact;
DROP TABLE books_cell;
"""


class Migration(migrations.Migration):
    dependencies = [("books", "0005_replayed")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
