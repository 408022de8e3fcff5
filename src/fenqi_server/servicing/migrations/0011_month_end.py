"""The row that runs is cached too, so that the end of a month reads one table; and the record of each month's end.

`told_on` is the day of the contract's last event; `accrues_*` the first row that has not come due: its time, the account of its income,
all of it, and what is earned of it already. They are NULL where they are not known (contracts as they were before this) and where a row has
income of two kinds: such a contract is replayed.
"""

from django.db import migrations

_COLUMNS = """
ALTER TABLE servicing_state ADD COLUMN told_on date, ADD COLUMN accrues_from date, ADD COLUMN accrues_to date,
    ADD COLUMN accrues_as smallint, ADD COLUMN accrues_minor bigint, ADD COLUMN accrues_earned bigint;

CREATE TABLE servicing_month_end (
    shop_id uuid NOT NULL,
    -- The last day of the month.
    last_on date NOT NULL,
    started_at timestamptz NOT NULL,
    -- Every contract was looked at; NULL while some were not.
    ended_at timestamptz,
    -- The last contract that was looked at: where the next chunk goes on.
    customer_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    contracts bigint NOT NULL,
    -- How many of them were replayed.
    replayed bigint NOT NULL,
    accrued_minor bigint NOT NULL,
    worked_ms bigint NOT NULL,
    PRIMARY KEY (shop_id, last_on)
);
ALTER TABLE servicing_month_end ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON servicing_month_end
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
REVOKE ALL ON servicing_month_end FROM fenqi_service;
GRANT SELECT, INSERT, UPDATE ON servicing_month_end TO fenqi_service;
"""
_OLD = """
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
"""
_NEW = """
CREATE FUNCTION servicing_append(
    shop uuid, customer uuid, contract uuid, recorded timestamptz, in_currency text,
    -- The events, and of those that are booked, `which`, and what they come to; arrays of arrays travel as text.
    names uuid[], seqs int[], kinds text[], refs text[], days date[], bodies text[],
    which int[], transactions uuid[], settlements text[], texts text[], booked date[], accounts text[], amounts text[],
    -- The cached row then.
    new_status text, principal_minor bigint, left_minor bigint, open_on date[], open_amounts bigint[], next_on date,
    held_accounts smallint[], held_amounts bigint[], last_on date, runs_from date, runs_to date, runs_as int, runs_minor bigint,
    runs_earned bigint)
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
           booked_accounts = held_accounts, booked_amounts = held_amounts, told_on = last_on, accrues_from = runs_from,
           accrues_to = runs_to, accrues_as = runs_as, accrues_minor = runs_minor, accrues_earned = runs_earned
     WHERE s.customer_id = customer AND s.contract_id = contract;
    IF NOT FOUND THEN
        INSERT INTO servicing_state (customer_id, contract_id, shop_id, last_seq, status, principal_outstanding_minor,
                                     balance_minor, open_due_on, open_minor, next_due_on, booked_accounts, booked_amounts,
                                     told_on, accrues_from, accrues_to, accrues_as, accrues_minor, accrues_earned)
        VALUES (customer, contract, shop, seqs[cardinality(seqs)], new_status, principal_minor, left_minor,
                open_on, open_amounts, next_on, held_accounts, held_amounts, last_on, runs_from, runs_to, runs_as, runs_minor, runs_earned);
    END IF;
END $$;
"""
_DROP_OLD = """
DROP FUNCTION servicing_append(uuid, uuid, uuid, timestamptz, text, uuid[], int[], text[], text[], date[], text[], int[], uuid[],
    text[], text[], date[], text[], text[], text, bigint, bigint, date[], bigint[], date, smallint[], bigint[]);
"""
_DROP_NEW = """
DROP FUNCTION servicing_append(uuid, uuid, uuid, timestamptz, text, uuid[], int[], text[], text[], date[], text[], int[], uuid[],
    text[], text[], date[], text[], text[], text, bigint, bigint, date[], bigint[], date, smallint[], bigint[], date, date, date, int, bigint, bigint);
"""
_BACK = """
DROP TABLE servicing_month_end;
ALTER TABLE servicing_state DROP COLUMN told_on, DROP COLUMN accrues_from, DROP COLUMN accrues_to,
    DROP COLUMN accrues_as, DROP COLUMN accrues_minor, DROP COLUMN accrues_earned;
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0010_watch_charges"), ("books", "0011_accrued_income")]
    operations = [migrations.RunSQL(_COLUMNS + _DROP_OLD + _NEW, _DROP_NEW + _OLD + _BACK)]
