"""The shop's own accounts, in versions; and the days of the book, found without reading all of it."""

from django.db import migrations

_UP = """
CREATE TABLE books_mapping (
    shop_id uuid NOT NULL,
    account smallint NOT NULL REFERENCES books_account (code),
    version integer NOT NULL CHECK (version >= 1),
    -- What the shop's own bookkeeping calls it.
    code text NOT NULL CHECK (code <> ''),
    name text NOT NULL CHECK (name <> ''),
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, account, version)
);
ALTER TABLE books_mapping ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON books_mapping
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
REVOKE ALL ON books_mapping FROM fenqi_service;
GRANT SELECT, INSERT ON books_mapping TO fenqi_service;

-- Days of the book come nearly in the order in which rows are added.
CREATE INDEX books_transaction_booked ON books_transaction USING brin (booked_on)
    WITH (pages_per_range = 16, autosummarize = on);
"""
_DOWN = "DROP INDEX books_transaction_booked; DROP TABLE books_mapping;"


class Migration(migrations.Migration):
    dependencies = [("books", "0006_sealing")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
