"""Holding a contract, and adding to it, each in one call; and a layout in which that costs little.

Each call is what statements of the service did before, in the same order and under the same grants and row-level security
(`SECURITY INVOKER`): their plans are kept by the session, and one message goes each way. Neither is a trigger; a distributed engine
runs them where the customer's rows lie.

- `servicing_held` reads events in a statement of its own: one that waited for the lock would still see those of before it waited.
- Terms are `json`, which is given out as it was written, and lie in the row: they are read whole or not at all.
- An event names a contract that is there. A foreign key asked the same by locking the contract's row, which wrote it anew for each
  event; terms are never removed, so looking is enough.
- A cached row is written anew where it lies: nothing that an index holds changes when a payment comes.
"""

from django.db import migrations

_UP = """
ALTER TABLE servicing_contract SET (toast_tuple_target = 4080);
ALTER TABLE servicing_contract ALTER COLUMN terms TYPE json USING terms::text::json;
ALTER TABLE servicing_state SET (fillfactor = 75);

ALTER TABLE servicing_event DROP CONSTRAINT servicing_event_customer_id_contract_id_fkey;
CREATE POLICY of_a_contract ON servicing_event AS RESTRICTIVE FOR INSERT WITH CHECK (EXISTS (
    SELECT FROM servicing_contract AS c
     WHERE c.customer_id = servicing_event.customer_id AND c.contract_id = servicing_event.contract_id));

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

CREATE FUNCTION servicing_append(
    shop uuid, customer uuid, contract uuid, recorded timestamptz, in_currency text,
    -- The events, and of those that are booked, `which`, and what they come to; arrays of arrays travel as text.
    names uuid[], seqs int[], kinds text[], refs text[], days date[], bodies text[],
    which int[], transactions uuid[], settlements text[], texts text[], booked date[], accounts text[], amounts text[],
    -- The cached row then.
    new_status text, principal_minor bigint, left_minor bigint, open_on date[], open_amounts bigint[], next_on date,
    held_accounts smallint[], held_amounts bigint[])
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    nth int;
BEGIN
    FOR i IN 1 .. cardinality(names) LOOP
        INSERT INTO servicing_event (customer_id, contract_id, seq, shop_id, event_id, kind, reference, occurred_on,
                                     recorded_at, body)
        VALUES (customer, contract, seqs[i], shop, names[i], kinds[i], refs[i], days[i], recorded, bodies[i]::jsonb);
    END LOOP;
    FOR i IN 1 .. cardinality(which) LOOP
        nth := which[i];
        -- The day is asked for in the statement that books on it: see fenqi_server.books.posting.
        INSERT INTO books_transaction (customer_id, transaction_id, shop_id, event_id, event_kind, contract_id, settlement,
                                       reference, currency, accounts, amounts, occurred_on, recorded_at, booked_on)
        VALUES (customer, transactions[i], shop, names[nth], kinds[nth], contract, settlements[i], texts[i], in_currency,
                accounts[i]::smallint[], amounts[i]::bigint[], days[nth], recorded,
                greatest(booked[i], (SELECT coalesce(max(p.last_on) + 1, '-infinity'::date)
                                       FROM books_period AS p WHERE p.shop_id = shop)));
    END LOOP;
    UPDATE servicing_state AS s
       SET last_seq = seqs[cardinality(seqs)], status = new_status,
           principal_outstanding_minor = principal_minor, balance_minor = left_minor,
           open_due_on = open_on, open_minor = open_amounts, next_due_on = next_on,
           booked_accounts = held_accounts, booked_amounts = held_amounts
     WHERE s.customer_id = customer AND s.contract_id = contract;
    IF NOT FOUND THEN
        INSERT INTO servicing_state (customer_id, contract_id, shop_id, last_seq, status, principal_outstanding_minor,
                                     balance_minor, open_due_on, open_minor, next_due_on, booked_accounts, booked_amounts)
        VALUES (customer, contract, shop, seqs[cardinality(seqs)], new_status, principal_minor, left_minor,
                open_on, open_amounts, next_on, held_accounts, held_amounts);
    END IF;
END $$;

-- One request, one effect: whoever comes second waits for the first this long, and is then told that it is in flight.
CREATE FUNCTION servicing_claim(shop uuid, party uuid, asker text, asked text, at_path text, hash bytea, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SET lock_timeout = '250ms' AS $$
BEGIN
    INSERT INTO servicing_idempotency (customer_id, client, key, shop_id, path, body_hash, recorded_at)
    VALUES (party, asker, asked, shop, at_path, hash, at) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;
"""

_DOWN = """
DROP FUNCTION servicing_claim(uuid, uuid, text, text, text, bytea, timestamptz);
DROP FUNCTION servicing_append(uuid, uuid, uuid, timestamptz, text, uuid[], int[], text[], text[], date[], text[], int[], uuid[],
    text[], text[], date[], text[], text[], text, bigint, bigint, date[], bigint[], date, smallint[], bigint[]);
DROP FUNCTION servicing_held(uuid, uuid);
DROP POLICY of_a_contract ON servicing_event;
ALTER TABLE servicing_event ADD FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract;
ALTER TABLE servicing_state RESET (fillfactor);
ALTER TABLE servicing_contract ALTER COLUMN terms TYPE jsonb USING terms::text::jsonb;
ALTER TABLE servicing_contract RESET (toast_tuple_target);
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0008_watch"), ("books", "0010_plain_check")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
