"""Holding a contract in one statement, and adding one event to it: less to work out for each payment.

- What comes with a contract that is held is one JSON text, decoded at once. Its events are read by the statement that takes the lock.
  One that had to wait has read the events of before it waited, and the cached row of after: their number tells, and they are read again.
- An event is added by a call of its own, without arrays of what is one. Several are several calls of one transaction.
- Both run with the rights of the tables' owner, whom row-level security does not ask, for each table of each statement, which shop
  the session speaks for: they ask it once, themselves. That an event is of a contract that is there, the cached row says (a foreign
  key holds it); the open period is asked for in the statement that books. Whoever writes in another way meets the policies as before.
- A CHECK that lists values is read anew from its text by every statement that writes. A function's call is short to read.
- `body` is kept as it was written.
"""

from importlib import import_module

from django.db import migrations

_APPEND = import_module("fenqi_server.servicing.migrations.0011_month_end")._NEW

_KINDS = (
    "'confirmed', 'due_reached', 'payment_received', 'payment_reversed', 'due_moved', 'cancelled', 'shipped', 'disbursed',"
    " 'goods_returned', 'refund_paid', 'due_day_changed', 'payment_failed', 'allocated_by_instruction', 'paid_back',"
    " 'unapplied_refunded', 'payoff_quoted', 'charged', 'waived', 'goodwill', 'paused', 're_aged', 're_amortised', 'accelerated',"
    " 'written_off', 'recovered', 'handed_over', 'deposit_held', 'deposit_applied', 'deposit_released', 'lease_returned',"
    " 'inspected', 'bought_out', 'renewed', 'pledged', 'captured', 'pledge_released'"
)
_EVENTS = """ARRAY(
           SELECT concat('{"kind":"', e.kind, '","seq":', e.seq, ',"occurred_on":"', e.occurred_on, '","recorded_at":',
                         floor(date_part('epoch', e.recorded_at))::bigint,
                         CASE WHEN e.body::text = '{}' THEN '}' ELSE ',' || substr(e.body::text, 2) END)
             FROM servicing_event AS e
            WHERE e.customer_id = customer AND e.contract_id = contract ORDER BY e.seq)"""

_UP = f"""
ALTER TABLE servicing_event ALTER COLUMN body TYPE json USING body::text::json;
CREATE FUNCTION servicing_event_ok(seq int, kind text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN seq >= 1 AND kind IN ({_KINDS});
END $$;
ALTER TABLE servicing_event DROP CONSTRAINT servicing_event_kind_check, DROP CONSTRAINT servicing_event_seq_check,
    ADD CONSTRAINT servicing_event_known CHECK (servicing_event_ok(seq, kind));

CREATE FUNCTION servicing_state_ok(status text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN status IN ('unconfirmed', 'active', 'closed');
END $$;
ALTER TABLE servicing_state DROP CONSTRAINT servicing_state_status_check,
    ADD CONSTRAINT servicing_state_known CHECK (servicing_state_ok(status));

DROP FUNCTION servicing_held(uuid, uuid);
CREATE FUNCTION servicing_held(customer uuid, contract uuid) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    held record;
BEGIN
    SELECT s.shop_id, s.last_seq, s.booked_accounts, s.booked_amounts, c.order_ref, c.decision_id, c.created_at, c.terms,
           {_EVENTS} AS events
      INTO held
      FROM servicing_state AS s, servicing_contract AS c
     WHERE s.customer_id = customer AND s.contract_id = contract AND c.customer_id = customer AND c.contract_id = contract
       AND s.shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid
       FOR NO KEY UPDATE OF s;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF cardinality(held.events) <> held.last_seq THEN
        -- A statement of its own sees what was added while the other waited for the lock.
        held.events := {_EVENTS};
    END IF;
    RETURN concat('{{"shop_id":"', held.shop_id, '","order_ref":', to_json(held.order_ref), ',"decision_id":',
                  to_json(held.decision_id), ',"created_at":', to_json(held.created_at), ',"booked_accounts":',
                  to_json(held.booked_accounts), ',"booked_amounts":', to_json(held.booked_amounts), ',"events":[',
                  array_to_string(held.events, ','), '],"terms":', held.terms, '}}');
END $$;

DROP FUNCTION servicing_append(uuid, uuid, uuid, timestamptz, text, uuid[], int[], text[], text[], date[], text[], int[], uuid[],
    text[], text[], date[], text[], text[], text, bigint, bigint, date[], bigint[], date, smallint[], bigint[], date, date, date, int, bigint, bigint);
CREATE FUNCTION servicing_append(
    shop uuid, customer uuid, contract uuid, recorded timestamptz,
    name uuid, nth int, event_kind text, event_reference text, day date, event_body json,
    -- What it books: nothing where `booking` is NULL.
    booking uuid, settled_with text, told text, in_currency text, counts_on date, entry_accounts smallint[], entry_amounts bigint[],
    -- The cached row then.
    new_last_seq int, new_status text, principal_minor bigint, left_minor bigint, open_on date[], open_amounts bigint[], next_on date,
    held_accounts smallint[], held_amounts bigint[], last_on date, runs_from date, runs_to date, runs_as int, runs_minor bigint,
    runs_earned bigint)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF shop IS DISTINCT FROM nullif(current_setting('fenqi.shop_id', true), '')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'this session does not speak for the shop of the event';
    END IF;
    UPDATE servicing_state AS s
       SET last_seq = new_last_seq, status = new_status,
           principal_outstanding_minor = principal_minor, balance_minor = left_minor,
           open_due_on = open_on, open_minor = open_amounts, next_due_on = next_on,
           booked_accounts = held_accounts, booked_amounts = held_amounts, told_on = last_on, accrues_from = runs_from,
           accrues_to = runs_to, accrues_as = runs_as, accrues_minor = runs_minor, accrues_earned = runs_earned
     WHERE s.customer_id = customer AND s.contract_id = contract AND s.shop_id = shop;
    IF NOT FOUND THEN
        -- One that is just being made: the foreign key asks for the contract.
        INSERT INTO servicing_state (customer_id, contract_id, shop_id, last_seq, status, principal_outstanding_minor,
                                     balance_minor, open_due_on, open_minor, next_due_on, booked_accounts, booked_amounts,
                                     told_on, accrues_from, accrues_to, accrues_as, accrues_minor, accrues_earned)
        VALUES (customer, contract, shop, new_last_seq, new_status, principal_minor, left_minor, open_on, open_amounts, next_on,
                held_accounts, held_amounts, last_on, runs_from, runs_to, runs_as, runs_minor, runs_earned);
    END IF;
    INSERT INTO servicing_event (customer_id, contract_id, seq, shop_id, event_id, kind, reference, occurred_on, recorded_at, body)
    VALUES (customer, contract, nth, shop, name, event_kind, event_reference, day, recorded, event_body);
    IF booking IS NOT NULL THEN
        -- The day is asked for in the statement that books on it: see fenqi_server.books.posting.
        INSERT INTO books_transaction (customer_id, transaction_id, shop_id, event_id, event_kind, contract_id, settlement,
                                       reference, currency, accounts, amounts, occurred_on, recorded_at, booked_on)
        VALUES (customer, booking, shop, name, event_kind, contract, settled_with, told, in_currency, entry_accounts, entry_amounts,
                day, recorded, greatest(counts_on, (SELECT coalesce(max(p.last_on) + 1, '-infinity'::date)
                                                      FROM books_period AS p WHERE p.shop_id = shop)));
    END IF;
END $$;
REVOKE ALL ON FUNCTION servicing_held(uuid, uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION servicing_append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION servicing_held(uuid, uuid) TO fenqi_service;
GRANT EXECUTE ON FUNCTION servicing_append TO fenqi_service;
"""

# What is written out of order here is put in order there: `body` is compared as a value again.
_DOWN = (
    f"""
DROP FUNCTION servicing_append(uuid, uuid, uuid, timestamptz, uuid, int, text, text, date, json, uuid, text, text, text, date,
    smallint[], bigint[], int, text, bigint, bigint, date[], bigint[], date, smallint[], bigint[], date, date, date, int, bigint, bigint);
DROP FUNCTION servicing_held(uuid, uuid);
ALTER TABLE servicing_state DROP CONSTRAINT servicing_state_known,
    ADD CONSTRAINT servicing_state_status_check CHECK (status IN ('unconfirmed', 'active', 'closed'));
DROP FUNCTION servicing_state_ok(text);
ALTER TABLE servicing_event DROP CONSTRAINT servicing_event_known,
    ADD CONSTRAINT servicing_event_kind_check CHECK (kind IN ({_KINDS})),
    ADD CONSTRAINT servicing_event_seq_check CHECK (seq >= 1);
DROP FUNCTION servicing_event_ok(int, text);
ALTER TABLE servicing_event ALTER COLUMN body TYPE jsonb USING body::text::jsonb;
"""
    """
CREATE FUNCTION servicing_held(customer uuid, contract uuid,
    OUT shop_id uuid, OUT order_ref text, OUT decision_id text, OUT created_at timestamptz, OUT terms text,
    OUT booked_accounts smallint[], OUT booked_amounts bigint[], OUT events text[])
RETURNS SETOF record LANGUAGE plpgsql VOLATILE ROWS 1 AS $$
BEGIN
    SELECT s.booked_accounts, s.booked_amounts INTO booked_accounts, booked_amounts
      FROM servicing_state AS s
     WHERE s.customer_id = customer AND s.contract_id = contract FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT c.shop_id, c.order_ref, c.decision_id, c.created_at, c.terms::text,
           ARRAY(SELECT '{"kind":"' || e.kind || '","seq":' || e.seq || ',"occurred_on":' || to_json(e.occurred_on)
                        || ',"recorded_at":' || floor(date_part('epoch', e.recorded_at))::bigint
                        || CASE WHEN e.body = '{}' THEN '}' ELSE ',' || substr(e.body::text, 2) END
                   FROM servicing_event AS e
                  WHERE e.customer_id = customer AND e.contract_id = contract ORDER BY e.seq)
      INTO shop_id, order_ref, decision_id, created_at, terms, events
      FROM servicing_contract AS c
     WHERE c.customer_id = customer AND c.contract_id = contract;
    RETURN NEXT;
END $$;
""" + _APPEND
)


class Migration(migrations.Migration):
    dependencies = [("servicing", "0012_outgoing"), ("books", "0011_accrued_income")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
