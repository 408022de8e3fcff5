"""The schema of one statement a payment, and the way back to the one before: each runs on with what the other wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Literal

import psycopg
import pytest
from django.db import Error, connection, transaction
from tests.servicing.opened import TODAY, after, make_customer, make_shop, on, open_one
from tests.servicing.test_storage import Key, call_of, held, payment

from fenqi_server.books.proof import prove_contracts, prove_shop
from fenqi_server.db import sqlstate, use_shop
from fenqi_server.ids import parse_public_id, uuid7
from fenqi_server.servicing import closing, service, storage

BOOK, EVENTS = (
    import_module(f"fenqi_server.{name}").Migration.operations[0]
    for name in (
        "books.migrations.0012_named_by_event",
        "servicing.migrations.0019_one_statement",
    )
)
_SCHEMA = """
SELECT 'constraint', conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'policy', tablename, concat(policyname, cmd, qual, with_check) FROM pg_policies
UNION ALL SELECT 'column', attrelid::regclass::text, concat(attname, ' ', format_type(atttypid, atttypmod), attnotnull, attacl)
  FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
 WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'function', oid::regprocedure::text, concat(prosrc, prosecdef, proconfig, proacl) FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace
ORDER BY 1, 2, 3
"""


def before_this(call: tuple[str, list[Any]], shop_id: Any) -> tuple[str, list[Any]]:
    """The same payment as the release of before wrote it."""
    (_, given) = call
    name, seq, day = given[3], given[4], given[7]
    booked = [uuid7(after(1)), *given[9:12], given[12] or day, *given[13:15]]
    values = [shop_id, *given[:3], name, *given[4:9], *booked, seq, *given[15:]]
    return f"SELECT servicing_append({', '.join(['%s'] * len(values))})", values


def test_there_and_back_with_what_was_booked(committed_db: Any, as_owner: Any) -> None:
    shop = make_shop()
    contract = open_one(shop, make_customer(shop))
    key = Key(*parse_public_id(contract))
    new = call_of(shop, key)
    there = as_owner.execute(_SCHEMA).fetchall()

    for operation in (EVENTS, BOOK):
        with as_owner.transaction():
            as_owner.execute(operation.reverse_sql)
    back = as_owner.execute(_SCHEMA).fetchall()
    use_shop(shop.id)
    with pytest.raises(Error) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(*new)
    assert sqlstate(refused.value) == "42883"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(*before_this(new, shop.id))
        cursor.execute("SELECT count(*) FROM books_transaction WHERE transaction_id <> event_id")
        assert cursor.fetchall() == [(1,)]

    for operation in (BOOK, EVENTS):
        with as_owner.transaction():
            as_owner.execute(operation.sql)
    assert as_owner.execute(_SCHEMA).fetchall() == there
    assert service.pay(shop, contract, 100, "received", "p", after(2)).repeated
    service.reverse(shop, contract, "p", "bounced", after(2))
    with transaction.atomic():
        storage.append(held(shop, key), [payment(4, "q")], after(2), TODAY)
    closing.close_day(shop, on(30), after(30))
    use_shop(shop.id)
    assert prove_shop(shop).ok
    assert prove_contracts(connection).problems == ()

    for operation in (EVENTS, BOOK):
        with as_owner.transaction():
            as_owner.execute(operation.reverse_sql)
    assert as_owner.execute(_SCHEMA).fetchall() == back
    assert prove_shop(shop).ok


# --------------------------------------------------------------------------------------- before one event a call

# From the newest back to the one that is looked at, each with what its app may need of another.
_NEWER = (
    "servicing.migrations.0020_due_in_order",
    "servicing.migrations.0019_one_statement",
    "books.migrations.0012_named_by_event",
    "servicing.migrations.0018_watch_looks",
    "servicing.migrations.0017_paid_back",
    "servicing.migrations.0016_order_index_once",
    "servicing.migrations.0015_till_counts",
    "servicing.migrations.0014_taken_by",
)
_ONE_EVENT = "servicing.migrations.0013_one_event_a_call"


def _go(as_owner: Any, names: Sequence[str], way: Literal["sql", "reverse_sql"]) -> None:
    for name in names:
        (operation,) = import_module(f"fenqi_server.{name}").Migration.operations
        with as_owner.transaction():
            as_owner.execute(getattr(operation, way))


def _schema(session: Any) -> list[tuple[str, str, str]]:
    """What there is of servicing."""
    return [row for row in session.execute(_SCHEMA).fetchall() if row[1].startswith("servicing_")]


def test_one_event_a_call_is_taken_back_to_what_it_was_made_from(
    committed_db: Any, as_owner: Any, never_newer: Any
) -> None:
    """Both calls of before, their layout and their checks: as a database has them that was never newer."""
    shop = make_shop()
    contract = open_one(shop, make_customer(shop))
    customer_id, contract_id = parse_public_id(contract)
    service.pay(shop, contract, 100, "received", "p", after(1))

    _go(as_owner, _NEWER, "reverse_sql")
    one_event = _schema(as_owner)
    _go(as_owner, [_ONE_EVENT], "reverse_sql")
    assert _schema(as_owner) == _schema(never_newer)

    # The calls of before read what was written since, and write on.
    key = [customer_id, contract_id]
    with transaction.atomic(), connection.cursor() as cursor:
        use_shop(shop.id)
        cursor.execute("SELECT events FROM servicing_held(%s, %s)", key)
        ((events,),) = cursor.fetchall()
        assert [json.loads(event)["kind"] for event in events] == ["confirmed", "payment_received"]
        cursor.execute(
            "SELECT servicing_append(%s, %s, %s, now(), 'CNY', ARRAY[%s]::uuid[], '{3}', '{payment_failed}', '{q}', '{2026-11-25}',"
            """ ARRAY['{"attempt_id": "q"}'], '{}', '{}', '{}', '{}', '{}', '{}', '{}', s.status,"""
            " s.principal_outstanding_minor, s.balance_minor, s.open_due_on, s.open_minor, s.next_due_on, s.booked_accounts,"
            " s.booked_amounts, s.told_on, s.accrues_from, s.accrues_to, s.accrues_as, s.accrues_minor, s.accrues_earned)"
            "  FROM servicing_state AS s WHERE customer_id = %s AND contract_id = %s",
            [shop.id, *key, uuid7(after(2)), *key],
        )
        cursor.execute(
            "SELECT seq, kind, reference, body FROM servicing_event WHERE contract_id = %s AND seq > 2",
            [contract_id],
        )
        assert cursor.fetchall() == [(3, "payment_failed", "q", '{"attempt_id": "q"}')]
        # Nor is what no event can be.
        with pytest.raises(Error, match="servicing_event_kind_check"), transaction.atomic():
            cursor.execute(
                "INSERT INTO servicing_event (customer_id, contract_id, seq, shop_id, event_id, kind, reference, occurred_on,"
                " recorded_at, body) VALUES (%s, %s, 4, %s, %s, 'guessed', '', '2026-11-25', now(), '{}')",
                [*key, shop.id, uuid7(after(2))],
            )
        transaction.set_rollback(True)

    _go(as_owner, [_ONE_EVENT], "sql")
    assert _schema(as_owner) == one_event
    _go(as_owner, _NEWER[::-1], "sql")
    assert service.pay(shop, contract, 100, "received", "p", after(2)).repeated
    service.pay(shop, contract, 100, "received", "r", after(2))
    use_shop(shop.id)
    assert prove_shop(shop).ok
    assert prove_contracts(connection).problems == ()


@pytest.fixture
def never_newer(postgres: Any) -> Iterator[Any]:
    """A session of the owner in a database that was migrated no further than to before one event a call."""
    with psycopg.connect(postgres.cluster.superuser_url, autocommit=True) as session:
        session.execute("CREATE DATABASE never_newer OWNER fenqi_owner TEMPLATE template0")
    database = postgres.database("never_newer")
    try:
        program = (
            "import django; django.setup(); from django.core.management import call_command as call;"
            " [call('migrate', *to, verbosity=0) for to in (('servicing', '0012'), ('support', '0002'))]"
        )
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "FENQI_DATABASE_URL": database.owner_url, "FENQI_MIGRATING": "1"},
            check=True,
        )
        with psycopg.connect(database.owner_url, autocommit=True) as session:
            yield session
    finally:
        postgres.drop(database)


@pytest.mark.parametrize(
    "name",
    [
        "autopay.migrations.0004_mandate_looks",
        "reconciliation.migrations.0003_alone",
    ],
)
def test_what_came_since_goes_back_and_forth(committed_db: Any, as_owner: Any, name: str) -> None:
    there = as_owner.execute(_SCHEMA).fetchall()
    _go(as_owner, [name], "reverse_sql")
    assert as_owner.execute(_SCHEMA).fetchall() != there
    _go(as_owner, [name], "sql")
    assert as_owner.execute(_SCHEMA).fetchall() == there
