"""The schema of one statement a payment, and the way back to the one before: each runs on with what the other wrote."""

from __future__ import annotations

from importlib import import_module
from typing import Any

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
