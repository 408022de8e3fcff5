"""What the database keeps of events, whatever the program does: each follows the last one, once, of a kind that there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.db import Error, connection, transaction
from tests.servicing.opened import AT, TODAY, after, make_customer, make_shop, on, open_one

from fenqi.calendars import to_epoch
from fenqi.contracts.events import PaymentReceived
from fenqi_server.db import sqlstate, use_shop
from fenqi_server.ids import parse_public_id, uuid7
from fenqi_server.servicing import at_once, closing, storage
from fenqi_server.shops.models import Shop


@dataclass(frozen=True)
class Key:
    customer_id: UUID
    contract_id: UUID


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


@pytest.fixture
def key(shop: Shop) -> Key:
    return Key(*parse_public_id(open_one(shop, make_customer(shop))))


def held(shop: Shop, key: Key) -> storage.Stored:
    use_shop(shop.id)
    found = storage.load_for_update(key.customer_id, key.contract_id)
    assert found is not None
    return found


def payment(seq: int, name: str) -> PaymentReceived:
    return PaymentReceived(
        seq=seq,
        occurred_on=on(1),
        recorded_at=to_epoch(after(1)),
        payment_id=name,
        amount_minor=100,
        settlement="bank:1",
    )


@contextmanager
def refused(code: str, words: str | None = None) -> Iterator[None]:
    with pytest.raises(Error, match=words) as problem, transaction.atomic():
        yield
    assert sqlstate(problem.value) == code, problem.value


class _Undone(Exception):
    pass


def call_of(shop: Shop, key: Key) -> tuple[str, list[Any]]:
    """What `storage.append` calls for a payment, with its values; it is undone."""
    calls: list[tuple[str, list[Any]]] = []

    def note(execute: Any, sql: str, values: Any, many: bool, context: Any) -> Any:
        if "servicing_append" in sql:
            calls.append((sql, list(values)))
        return execute(sql, values, many, context)

    def act() -> None:
        storage.append(held(shop, key), [payment(2, "p")], after(1), TODAY)
        raise _Undone

    with pytest.raises(_Undone), transaction.atomic(), connection.execute_wrapper(note):
        act()
    (call,) = calls
    return call


def rows() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM servicing_event), (SELECT count(*) FROM books_transaction),"
            " (SELECT sum(last_seq) FROM servicing_state)"
        )
        return list(cursor.fetchone())


CONTRACT, NAME, SEQ, KIND, REFERENCE, DAY, COUNTS_ON, ACCOUNTS, AMOUNTS, STATUS = (
    1,
    3,
    4,
    5,
    6,
    7,
    12,
    13,
    14,
    15,
)
# With the months closed up to this one, where the event is of 24 November.
FIRST_OPEN = {10: on(1), 11: date(2026, 12, 1), 12: date(2027, 1, 1)}


class TestAnEventIsAdded:
    def add(self, call: tuple[str, list[Any]], change: dict[int, Any]) -> None:
        sql, values = call
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, [change.get(place, value) for place, value in enumerate(values)])

    def test_behind_the_last_one_and_nowhere_else(self, shop: Shop, key: Key) -> None:
        call = call_of(shop, key)
        before = rows()
        for seq in (3, 7):
            with refused("40001", f"event {seq} of contract {key.contract_id} does not follow its last one"):
                self.add(call, {SEQ: seq})
        with refused("23505"):
            self.add(call, {SEQ: 1})
        assert rows() == before
        self.add(call, {})
        assert rows() == [before[0] + 1, before[1] + 1, before[2] + 1]
        with refused("40001"):
            self.add(call, {REFERENCE: "another", NAME: uuid7(AT)})

    def test_once(self, shop: Shop, key: Key) -> None:
        call = call_of(shop, key)
        self.add(call, {})
        with refused("23505", "servicing_event_once"):
            self.add(call, {SEQ: 3, NAME: uuid7(AT)})
        with refused("23505", "books_transaction_pkey"):
            self.add(call, {SEQ: 3, REFERENCE: "another"})

    def test_of_a_kind_a_number_and_a_state_that_there_are(self, shop: Shop, key: Key) -> None:
        call = call_of(shop, key)
        before = rows()
        for place, value in ((KIND, "wished"), (SEQ, 0), (STATUS, "asleep")):
            with refused("23514"):
                self.add(call, {place: value})
        assert rows() == before

    def test_to_a_contract_of_the_shop_that_the_session_speaks_for(self, shop: Shop, key: Key) -> None:
        call = call_of(shop, key)
        before = rows()
        use_shop(make_shop("other").id)
        with refused("40001", "in this shop"):
            self.add(call, {})
        use_shop(shop.id)
        assert rows() == before
        with refused("23503"):
            self.add(call, {SEQ: 1, CONTRACT: uuid7(AT)})
        assert rows() == before

    def test_with_all_that_it_books_or_nothing(self, shop: Shop, key: Key) -> None:
        call = call_of(shop, key)
        before = rows()
        for place in (ACCOUNTS, AMOUNTS):
            with refused("23502"):
                self.add(call, {place: None})
        assert rows() == before
        self.add(call, {ACCOUNTS: None, AMOUNTS: None})
        assert rows() == [before[0] + 1, before[1], before[2] + 1]

    def test_on_the_first_open_day_of_the_book(self, shop: Shop, key: Key) -> None:
        """Its own day is told by leaving it out; a later one stands where no closed month has it."""
        call = call_of(shop, key)
        assert (call[1][DAY], call[1][COUNTS_ON]) == (on(1), None)
        use_shop(shop.id)
        with connection.cursor() as cursor:
            for month in (10, 11, 12):
                for counts_on, booked in ((None, FIRST_OPEN[month]), (date(2027, 3, 5), date(2027, 3, 5))):
                    point = transaction.savepoint()
                    cursor.execute(
                        "INSERT INTO books_period (shop_id, first_on, last_on, begun_at, begun_by) SELECT %s, day,"
                        " (day + interval '1 month')::date - 1, %s, 'a:1' FROM generate_series(date '2026-10-01',"
                        " make_date(2026, %s, 1), interval '1 month') AS u (day)",
                        [shop.id, AT, month],
                    )
                    self.add(call, {COUNTS_ON: counts_on})
                    cursor.execute(
                        "SELECT booked_on FROM books_transaction WHERE event_kind = 'payment_received'"
                    )
                    assert cursor.fetchall() == [(booked,)], month
                    transaction.savepoint_rollback(point)


def test_a_day_s_rows_follow_the_last_event_too(shop: Shop, key: Key) -> None:
    use_shop(shop.id)
    first = on(30)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {at_once.COLUMNS} FROM servicing_state AS s JOIN servicing_contract AS c"
            " USING (customer_id, contract_id) WHERE s.contract_id = %s",
            [key.contract_id],
        )
        found = at_once.Found(*cursor.fetchone())
        reached = at_once.read_off(found, at_once.events_of([found])[key.contract_id], first)
    assert reached is not None
    storage.append(held(shop, key), [payment(2, "p")], after(1), TODAY)
    before = rows()
    with (
        pytest.raises(RuntimeError, match="1 contracts were held and 0 of them were as they were read"),
        transaction.atomic(),
    ):
        at_once.write(shop.id, [msgspec.structs.replace(reached, events=((3, 1, first, 0),))], after(30))
    assert rows() == before
    assert closing.close_day(shop, first, after(30)).contracts == 1
