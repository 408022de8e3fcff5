"""A second session beside the first: it sees the same instant and the same shop, and nothing of it outlives an error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from tests.servicing.opened import make_customer, make_shop, open_one

from fenqi_server.books.beside import beside
from fenqi_server.books.proof import one_instant
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches

# Which process answers, and how many transactions it sees.
_SEEN = "SELECT pg_backend_pid(), (SELECT count(*) FROM books_transaction)"


@pytest.fixture
def shop(committed_db: object) -> Iterator[Shop]:
    yield make_shop()
    forget_caches()


def seen(session: Any) -> tuple[int, int]:
    with session.cursor() as cursor:
        cursor.execute(_SEEN)
        (row,) = cursor.fetchall()
    return row[0], row[1]


def sold(shop: Shop, number: int) -> None:
    open_one(shop, make_customer(shop, f"c-{number}"), order_ref=f"order-{number}")


def test_it_sees_the_instant_and_the_shop_of_the_first(shop: Shop, as_owner: psycopg.Connection[Any]) -> None:
    sold(shop, 1)
    other = make_shop("other")
    sold(other, 2)
    use_shop(shop.id)
    with one_instant(connection):
        mine, before = seen(connection)
        as_owner.execute("DELETE FROM books_transaction WHERE shop_id = %s", [shop.id])
        with beside(connection, seen) as answer:
            theirs, there = answer()
        assert seen(connection) == (mine, before)
    assert (before, there) == (1, 1), "neither what was removed since nor another shop's"
    assert theirs != mine
    assert as_owner.execute("SELECT count(*) FROM books_transaction").fetchone() == (1,)


def test_both_run_at_once(shop: Shop, as_owner: psycopg.Connection[Any]) -> None:
    """The one beside waits for what the first holds: were it run before or after, it would wait for ever or not at all."""

    def wait(session: Any) -> str:
        session.execute("SET LOCAL lock_timeout = '20s'")
        session.execute("SELECT pg_advisory_xact_lock(7)")
        return "has it"

    with one_instant(connection), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7)")
        with beside(connection, wait) as answer:
            waiting, ends = 0, time.monotonic() + 20
            while not waiting:
                assert time.monotonic() < ends, "nothing waits beside"
                time.sleep(0.01)
                waiting = as_owner.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]  # type: ignore[index]
            cursor.execute("SELECT pg_advisory_unlock(7)")
            assert answer() == "has it"


def test_it_works_as_the_first_does_and_writes_nothing(shop: Shop) -> None:
    def settings(session: Any) -> list[str]:
        return [
            session.execute("SELECT current_setting(%s)", [name]).fetchone()[0]
            for name in ("work_mem", "jit")
        ]

    def write(session: Any) -> None:
        session.execute("DELETE FROM books_proof")

    with one_instant(connection), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '17MB'; SET LOCAL jit = off")
        with beside(connection, settings) as answer:
            assert answer() == ["17MB", "off"]
        with beside(connection, write) as answer, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            answer()


def test_what_nobody_else_sees_is_looked_at_by_the_first(shop: Shop) -> None:
    use_shop(shop.id)
    with transaction.atomic():
        sold(shop, 1)
        with beside(connection, seen) as answer:
            assert answer() == seen(connection), "it has written"
    with transaction.atomic(), beside(connection, seen) as answer:
        assert answer()[0] == seen(connection)[0], "each of its statements sees another instant"
    with one_instant(connection), transaction.atomic(), beside(connection, seen) as answer:
        assert answer()[0] == seen(connection)[0], "within a savepoint"
    with one_instant(connection), beside(connection, seen) as answer:
        assert answer()[0] != seen(connection)[0]


def test_where_there_is_no_session_left(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with one_instant(connection):
        own = seen(connection)
        monkeypatch.setitem(connection.settings_dict, "PORT", "1")  # where nobody listens
        with beside(connection, seen) as answer:
            assert answer() == own


def test_an_error_ends_what_was_begun(shop: Shop, as_owner: psycopg.Connection[Any]) -> None:
    def sleep(session: Any) -> None:
        session.execute("SELECT pg_sleep(60)")

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError), one_instant(connection), beside(connection, sleep):
        raise ZeroDivisionError
    assert time.monotonic() - began < 30
    assert as_owner.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
    ).fetchone() == (0,)


def test_an_error_beside_is_the_caller_s(shop: Shop) -> None:
    def wrong(session: Any) -> None:
        session.execute("SELECT 1 / 0")

    with (
        one_instant(connection),
        beside(connection, wrong) as answer,
        pytest.raises(psycopg.errors.DivisionByZero),
    ):
        answer()
