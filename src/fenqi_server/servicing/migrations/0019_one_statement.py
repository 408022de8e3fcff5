"""What a payment writes, in one statement, with less to work out for each row.

- Event, transaction and cached row are one statement: planned once, started once. A transaction has its event's name. Every value that
  a call brings is read by PostgreSQL, so that it brings none that is known: the session's shop, a day that is the event's own.
- Events follow each other because each is added to the cached row as it was after the last one, and not because two of a number
  would be refused: a contract's events have one index, of what makes each of them this one, on one page of its own for each payment.
- What a column may be is said by its type. A domain's CHECK is kept ready by the session, where a table's is read anew from its text
  by every statement that writes, and it is asked when the value comes in.
"""

from importlib import import_module

from django.db import migrations

_BEFORE = import_module("fenqi_server.servicing.migrations.0013_one_event_a_call")
_KINDS = _BEFORE._KINDS

_UP = f"""
-- A domain that asks nothing yet is the same text: no row is written anew.
CREATE DOMAIN servicing_kind AS text;
CREATE DOMAIN servicing_seq AS integer;
CREATE DOMAIN servicing_status AS text;
ALTER TABLE servicing_event DROP CONSTRAINT servicing_event_known,
    ALTER COLUMN kind TYPE servicing_kind, ALTER COLUMN seq TYPE servicing_seq,
    DROP CONSTRAINT servicing_event_pkey, DROP CONSTRAINT servicing_event_once,
    ADD CONSTRAINT servicing_event_once PRIMARY KEY (customer_id, contract_id, kind, reference);
ALTER TABLE servicing_state DROP CONSTRAINT servicing_state_known, ALTER COLUMN status TYPE servicing_status;
ALTER DOMAIN servicing_kind ADD CONSTRAINT servicing_kind_known CHECK (VALUE IN ({_KINDS}));
ALTER DOMAIN servicing_seq ADD CONSTRAINT servicing_seq_counts CHECK (VALUE >= 1);
ALTER DOMAIN servicing_status ADD CONSTRAINT servicing_status_known CHECK (VALUE IN ('unconfirmed', 'active', 'closed'));
DROP FUNCTION servicing_event_ok(int, text);
DROP FUNCTION servicing_state_ok(text);

DROP FUNCTION servicing_append(uuid, uuid, uuid, timestamptz, uuid, int, text, text, date, json, uuid, text, text, text, date, smallint[],
    bigint[], int, text, bigint, bigint, date[], bigint[], date, smallint[], bigint[], date, date, date, int, bigint, bigint);
CREATE FUNCTION servicing_append(
    customer uuid, contract uuid, recorded timestamptz,
    name uuid, nth servicing_seq, event_kind servicing_kind, event_reference text, day date, event_body json,
    -- What it books: nothing where neither accounts nor amounts are given. It counts to `day`, or to `counts_on` where that is later.
    settled_with text, told text, in_currency text, counts_on date, entry_accounts smallint[], entry_amounts bigint[],
    -- The cached row then.
    new_status servicing_status, principal_minor bigint, left_minor bigint, open_on date[], open_amounts bigint[],
    next_on date, held_accounts smallint[], held_amounts bigint[], last_on date, runs_from date, runs_to date, runs_as int,
    runs_minor bigint, runs_earned bigint)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    -- The shop that the session speaks for: no other's contract is found, and where none is named no row can be written.
    shop uuid := nullif(current_setting('fenqi.shop_id', true), '')::uuid;
BEGIN
    WITH happened AS (
        INSERT INTO servicing_event (customer_id, contract_id, seq, shop_id, event_id, kind, reference, occurred_on, recorded_at, body)
        VALUES (customer, contract, nth, shop, name, event_kind, event_reference, day, recorded, event_body)),
    booked AS (
        -- The open day is asked for in the statement that books on it: see fenqi_server.books.posting. Of the periods that are closed
        -- only those can matter that have the day, or come after it.
        INSERT INTO books_transaction (customer_id, transaction_id, shop_id, event_id, event_kind, contract_id, settlement,
                                       reference, currency, accounts, amounts, occurred_on, recorded_at, booked_on)
        SELECT customer, name, shop, name, event_kind, contract, settled_with, told, in_currency, entry_accounts, entry_amounts,
               day, recorded, greatest(day, counts_on, (SELECT p.last_on + 1 FROM books_period AS p
                                                         WHERE p.shop_id = shop AND p.last_on >= day
                                                         ORDER BY p.last_on DESC LIMIT 1))
         WHERE entry_accounts IS NOT NULL OR entry_amounts IS NOT NULL)
    UPDATE servicing_state AS s
       SET last_seq = nth, status = new_status,
           principal_outstanding_minor = principal_minor, balance_minor = left_minor,
           open_due_on = open_on, open_minor = open_amounts, next_due_on = next_on,
           booked_accounts = held_accounts, booked_amounts = held_amounts, told_on = last_on, accrues_from = runs_from,
           accrues_to = runs_to, accrues_as = runs_as, accrues_minor = runs_minor, accrues_earned = runs_earned
     WHERE s.customer_id = customer AND s.contract_id = contract AND s.shop_id = shop AND s.last_seq = nth - 1;
    IF NOT FOUND THEN
        IF nth > 1 THEN
            RAISE serialization_failure
                USING MESSAGE = format('event %s of contract %s does not follow its last one in this shop', nth, contract);
        END IF;
        -- One that is just being made: the foreign key asks for the contract.
        INSERT INTO servicing_state (customer_id, contract_id, shop_id, last_seq, status, principal_outstanding_minor,
                                     balance_minor, open_due_on, open_minor, next_due_on, booked_accounts, booked_amounts,
                                     told_on, accrues_from, accrues_to, accrues_as, accrues_minor, accrues_earned)
        VALUES (customer, contract, shop, nth, new_status, principal_minor, left_minor, open_on, open_amounts, next_on,
                held_accounts, held_amounts, last_on, runs_from, runs_to, runs_as, runs_minor, runs_earned);
    END IF;
END $$;
REVOKE ALL ON FUNCTION servicing_append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION servicing_append TO fenqi_service;
"""


def _function(name: str) -> str:
    """A function as 0013 made it."""
    _, begin, after = _BEFORE._UP.partition(f"CREATE FUNCTION {name}(")
    body, end, _ = after.partition("\nEND $$;\n")
    return begin + body + end


# The release of before calls `servicing_append` with other values: without it a database that went back could not be written.
_DOWN = f"""
DROP FUNCTION servicing_append;
ALTER TABLE servicing_event ALTER COLUMN kind TYPE text, ALTER COLUMN seq TYPE integer, DROP CONSTRAINT servicing_event_once;
ALTER TABLE servicing_event ADD PRIMARY KEY (customer_id, contract_id, seq),
    ADD CONSTRAINT servicing_event_once UNIQUE (customer_id, contract_id, kind, reference);
ALTER TABLE servicing_state ALTER COLUMN status TYPE text;
DROP DOMAIN servicing_kind, servicing_seq, servicing_status;
{_function("servicing_event_ok")}
{_function("servicing_state_ok")}
ALTER TABLE servicing_event ADD CONSTRAINT servicing_event_known CHECK (servicing_event_ok(seq, kind));
ALTER TABLE servicing_state ADD CONSTRAINT servicing_state_known CHECK (servicing_state_ok(status));
{_function("servicing_append")}
REVOKE ALL ON FUNCTION servicing_append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION servicing_append TO fenqi_service;
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0018_watch_looks"), ("books", "0012_named_by_event")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
