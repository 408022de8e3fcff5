"""A transaction of a contract is named by its event; and one CHECK says what a row must be.

- Two unique indexes, of the transaction's name and of its event's, said the same of nearly every row, each on a page of its own.
  What an event of a contract books has the event's name now, so that the primary key says that it books once. The second index
  holds the others: acts of the house, the ends of months, and what was booked before. A policy keeps it so for whoever writes
  other than by `servicing_append`, which knows one name only. That an event which was booked before is not booked again under its
  own name, neither index says: each event is given a new name, and the proof would tell.
- The newest of a shop are found by when they were recorded. Those of one instant are few or of one pass, and put in order when they
  are read: without their names in it the index is a fraction as large, and new rows lie at its end.
- A foreign key has a trigger run for every row, though one in a thousand names another transaction. A policy asks those that do.
- A CHECK is read anew from its text by every statement that writes, so that three cost three times what one does; and what it asks
  is made ready anew by every transaction, so that it asks nothing twice.
"""

from importlib import import_module

from django.db import migrations

_PLAIN = import_module("fenqi_server.books.migrations.0010_plain_check")
CODES = f"{_PLAIN.CODES}, 1170"


def transaction_ok(codes: str) -> str:
    """The function that a transaction's CHECK calls, over a chart of these accounts."""
    return f"""
CREATE OR REPLACE FUNCTION books_transaction_ok(accounts smallint[], amounts bigint[], settlement text, currency text)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    -- Wider than any sum of amounts: one that left a bigint would be refused as it ought to be, but for another reason.
    total numeric := 0;
    amount bigint;
BEGIN
    -- What is not true refuses, NULL too. Of an empty array there is no dimension; one amount that is not zero has no sum of zero.
    IF (array_ndims(amounts) = 1
        AND array_dims(accounts) = array_dims(amounts)
        AND 0::bigint <> ALL (amounts)
        AND accounts <@ '{{{codes}}}'::smallint[]
        -- 1020 is money in transit: it always says in which settlement it travels.
        AND (settlement IS NOT NULL OR 1020::smallint <> ALL (accounts))
        AND currency ~ '^[A-Z]{{3}}$') IS NOT TRUE THEN
        RETURN false;
    END IF;
    FOREACH amount IN ARRAY amounts LOOP
        total := total + amount;
    END LOOP;
    RETURN total = 0;
END $$;
"""


_UP = (
    transaction_ok(CODES)
    + """
ALTER TABLE books_transaction
    DROP CONSTRAINT books_transaction_balanced,
    DROP CONSTRAINT books_transaction_settled,
    DROP CONSTRAINT books_transaction_currency_check,
    ADD CONSTRAINT books_transaction_ok CHECK (books_transaction_ok(accounts, amounts, settlement, currency)),
    DROP CONSTRAINT books_transaction_event_once;
DROP FUNCTION books_entries_ok(smallint[], bigint[]);
CREATE UNIQUE INDEX books_transaction_event_once ON books_transaction (customer_id, event_id) WHERE event_id <> transaction_id;
CREATE POLICY named_by_event ON books_transaction AS RESTRICTIVE FOR INSERT
    WITH CHECK (transaction_id = event_id OR contract_id IS NULL OR event_kind IN ('accrued', 'accrual_reversed'));
DROP INDEX books_transaction_recent;
CREATE INDEX books_transaction_recent ON books_transaction (shop_id, recorded_at);
ALTER TABLE books_transaction DROP CONSTRAINT books_transaction_linked;
-- A policy cannot ask the table that it is of; the owner's function can.
CREATE FUNCTION books_is_booked(customer uuid, name uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM books_transaction AS t
                    WHERE t.customer_id = customer AND t.transaction_id = name
                      AND t.shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid)
$$;
REVOKE ALL ON FUNCTION books_is_booked(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION books_is_booked(uuid, uuid) TO fenqi_service;
CREATE POLICY linked ON books_transaction AS RESTRICTIVE FOR INSERT
    WITH CHECK (linked_id IS NULL OR books_is_booked(customer_id, linked_id));
"""
)
_DOWN = (
    _PLAIN.entries_ok(CODES)
    + """
DROP INDEX books_transaction_recent;
CREATE INDEX books_transaction_recent ON books_transaction (shop_id, recorded_at, transaction_id);
DROP POLICY linked ON books_transaction;
DROP FUNCTION books_is_booked(uuid, uuid);
ALTER TABLE books_transaction ADD CONSTRAINT books_transaction_linked
    FOREIGN KEY (customer_id, linked_id) REFERENCES books_transaction (customer_id, transaction_id);
DROP POLICY named_by_event ON books_transaction;
DROP INDEX books_transaction_event_once;
ALTER TABLE books_transaction
    ADD CONSTRAINT books_transaction_event_once UNIQUE (customer_id, event_id),
    DROP CONSTRAINT books_transaction_ok,
    ADD CONSTRAINT books_transaction_balanced CHECK (books_entries_ok(accounts, amounts) IS TRUE),
    ADD CONSTRAINT books_transaction_settled CHECK (settlement IS NOT NULL OR NOT 1020 = ANY (accounts)),
    ADD CONSTRAINT books_transaction_currency_check CHECK (currency ~ '^[A-Z]{3}$');
DROP FUNCTION books_transaction_ok(smallint[], bigint[], text, text);
"""
)


class Migration(migrations.Migration):
    dependencies = [("books", "0011_accrued_income")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
