"""Months close for good: nothing is booked in one that is closed, and one is closed only while everything holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.ledger.entries import Entries
from fenqi.problems import BadInput
from fenqi_server.books import periods, proofs
from fenqi_server.books.periods import CloseRefused, begin, close, finish, next_period
from fenqi_server.books.posting import post
from fenqi_server.books.proof import prove_shop
from fenqi_server.books.reading import Balance, trial_balance, trial_digest
from fenqi_server.books.settlement import settle
from fenqi_server.db import sqlstate, use_shop
from fenqi_server.ids import uuid7
from fenqi_server.policies import audit
from fenqi_server.servicing import closing, service
from fenqi_server.shops.models import Shop

LAST = date(2026, 11, 30)
DECEMBER: datetime = after(8)
"""1 December, 10:00 in the shop."""


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


def book(shop: Shop, booked_on: date, *, at: datetime = DECEMBER, name: UUID | None = None) -> date:
    """Book 5 fen for `booked_on`; the day on which it was booked."""
    use_shop(shop.id)
    name = name or uuid7(at)
    post(
        shop_id=shop.id,
        customer_id=UUID(int=1),
        event_id=name,
        event_kind="test",
        entries=Entries((1010, 4010), (5, -5)),
        currency="CNY",
        occurred_on=booked_on,
        recorded_at=at,
        booked_on=booked_on,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT booked_on FROM books_transaction WHERE event_id = %s", [name])
        return cursor.fetchone()[0]


def test_a_month_closes_with_who_when_and_its_trial_balance(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 53_600, "received", "a", after(1))
    service.pay(shop, contract, 53_600, "received", "b", DECEMBER)
    period = close(shop, "2026-11", "staff:fin", DECEMBER)
    assert (period.name, period.first_on, period.last_on) == ("2026-11", date(2026, 11, 1), LAST)
    assert (period.begun_by, period.closed_at, period.transactions) == ("staff:fin", DECEMBER, 2)
    # ¥6,000 sold; ¥536 received, of which ¥36 pay the fee of a row that is not due yet.
    assert period.balances == (
        Balance("CNY", 1020, 53_600, 0),
        Balance("CNY", 1110, 600_000, 50_000),
        Balance("CNY", 4010, 0, 600_000),
        Balance("CNY", 4110, 0, 3_600),
    )
    assert trial_digest(shop.id, LAST, 2, period.balances) == period.digest
    assert trial_digest(shop.id, LAST, 3, period.balances) != period.digest
    assert periods.periods(shop) == (period,)
    (entry,) = audit.entries(shop, act="books.close")
    assert (entry.actor, entry.subject, entry.at) == ("staff:fin", "period:2026-11", DECEMBER)
    assert entry.after == {"transactions": 2, "digest": period.digest}
    (proof,) = proofs.latest(shop)
    assert (proof.kind, proof.subject, proof.ok) == ("close", "2026-11", True)
    assert close(shop, "2026-11", "staff:other", after(9)) == period, "closing twice is closing once"


class TestWhatMayClose:
    @pytest.mark.parametrize(
        ("period", "expected"),
        [
            ("2026-10", "2026-11, which closes next"),
            ("2026-12", "2026-11, which closes next"),
            ("2026-13", "a month such as 2026-11"),
            ("2026-1", "a month such as 2026-11"),
            ("november", "a month such as 2026-11"),
            ("२०२६-११", "a month such as 2026-11"),
            ("", "a month such as 2026-11"),
        ],
    )
    def test_another_month_than_the_next_is_refused(self, shop: Shop, period: str, expected: str) -> None:
        open_one(shop, make_customer(shop))
        with pytest.raises(BadInput) as bad:
            close(shop, period, "staff:fin", after(60))
        assert bad.value.problem.expected == expected
        assert periods.periods(shop) == ()

    def test_a_month_that_is_not_over_in_the_shop_s_zone_is_refused(self, shop: Shop) -> None:
        open_one(shop, make_customer(shop))
        # 23:59:59 on 30 November in Shanghai, and a second later.
        with pytest.raises(BadInput, match="over on 2026-11-30"):
            close(shop, "2026-11", "staff:fin", AT.replace(day=30, hour=15, minute=59, second=59))
        close(shop, "2026-11", "staff:fin", AT.replace(day=30, hour=16))

    def test_an_empty_book_has_no_month_to_close(self, shop: Shop) -> None:
        assert next_period(shop) is None
        with pytest.raises(BadInput, match="nothing is booked yet"):
            close(shop, "2026-11", "staff:fin", DECEMBER)

    def test_months_close_one_after_the_other(self, shop: Shop) -> None:
        contract = open_one(shop, make_customer(shop), FREE_3, 30_000)
        closing.run_due(after(70))
        close(shop, "2026-11", "staff:fin", after(70))
        assert next_period(shop) == (date(2026, 12, 1), date(2026, 12, 31))
        close(shop, "2026-12", "staff:fin", after(70))
        close(shop, "2027-01", "staff:fin", after(70))
        assert [period.name for period in periods.periods(shop)] == ["2027-01", "2026-12", "2026-11"]
        with pytest.raises(BadInput, match="over on"):
            close(shop, "2027-02", "staff:fin", after(70))
        service.pay(shop, contract, 10_000, "received", "a", after(71))
        assert prove_shop(shop).ok

    def test_another_shop_closes_its_own(self, shop: Shop) -> None:
        other = make_shop("other")
        open_one(shop, make_customer(shop))
        close(shop, "2026-11", "staff:fin", DECEMBER)
        assert periods.periods(other) == ()
        assert book(other, LAST) == LAST
        assert book(shop, LAST) == date(2026, 12, 1)


class TestWhatStandsInTheWay:
    def refused(self, shop: Shop, what: str, at: datetime = DECEMBER) -> None:
        with pytest.raises(CloseRefused, match=what) as refused:
            close(shop, "2026-11", "staff:fin", at)
        assert refused.value.period == "2026-11"
        assert "2026-11" not in [period.name for period in periods.periods(shop)], "the month is open again"
        assert book(shop, LAST, at=at) == LAST
        proof = proofs.latest(shop, kind="close")[0]
        assert any(what in problem for problem in proof.problems)
        assert audit.entries(shop, act="books.close", subject="period:2026-11") == ()

    def test_a_due_date_that_nobody_let_come(self, shop: Shop) -> None:
        open_one(shop, make_customer(shop), at=AT - timedelta(days=28))
        open_one(shop, make_customer(shop, "c-2"))
        close_at = after(8)
        # Sold on 26 October: its first instalment was due on 26 November.
        close(shop, "2026-10", "staff:fin", AT)
        self.refused(shop, "not run for its due date 2026-11-26", close_at)
        closing.run_due(close_at)
        close(shop, "2026-11", "staff:fin", close_at)

    def test_a_settlement_that_arrived_and_left_money_in_transit(self, shop: Shop) -> None:
        contract = open_one(shop, make_customer(shop))
        service.pay(shop, contract, 1_000, "received", "a", AT, settlement="bank:1")
        settle(shop, "bank:1", after(1))
        # The bank brought 5 fen more than was paid.
        use_shop(shop.id)
        post(
            shop_id=shop.id, customer_id=UUID(int=1), event_id=UUID(int=9), event_kind="settlement",
            entries=Entries((1010, 1020), (5, -5)), currency="CNY", settlement="bank:1",
            occurred_on=on(1), recorded_at=after(1, 60), booked_on=on(1),
        )  # fmt: skip
        self.refused(shop, "settlement bank:1")

    def test_a_contract_whose_book_is_not_what_its_events_come_to(self, shop: Shop) -> None:
        contract = open_one(shop, make_customer(shop))
        view = service.get(shop, contract, at=AT)
        use_shop(shop.id)
        # Somebody's own entry, for an event of another contract's.
        with connection.cursor() as cursor:
            cursor.execute("SELECT contract_id, customer_id FROM servicing_contract")
            contract_id, customer_id = cursor.fetchone()
        post(
            shop_id=shop.id, customer_id=customer_id, contract_id=contract_id, event_id=UUID(int=9), event_kind="test",
            entries=Entries((1010, 1110), (5, -5)), currency="CNY", terms=view.terms,
            occurred_on=on(1), recorded_at=after(1, 60), booked_on=on(1),
        )  # fmt: skip
        self.refused(shop, "principal_receivable is 599995 booked")


class TestWhatIsClosedTakesNothing:
    @pytest.fixture
    def closed(self, shop: Shop) -> str:
        contract = open_one(shop, make_customer(shop))
        close(shop, "2026-11", "staff:fin", DECEMBER)
        return contract

    def test_what_is_learnt_late_is_booked_on_the_first_day_that_is_open(
        self, shop: Shop, closed: str
    ) -> None:
        service.pay(shop, closed, 100, "received", "late-news", after(9), occurred_on=on(4))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT occurred_on, booked_on FROM books_transaction WHERE reference = 'late-news'"
            )
            assert cursor.fetchall() == [(on(4), date(2026, 12, 1))]

    def test_what_would_fall_into_it_is_booked_on_the_first_open_day(self, shop: Shop, closed: str) -> None:
        # A request that began before midnight and comes after the month was closed.
        assert book(shop, LAST) == date(2026, 12, 1)
        assert book(shop, date(2026, 1, 1)) == date(2026, 12, 1)
        assert book(shop, date(2026, 12, 1)) == date(2026, 12, 1)
        assert book(shop, date(2026, 12, 5)) == date(2026, 12, 5)
        assert periods.periods(shop)[0].balances == trial_balance(shop, as_of=LAST)

    def test_so_it_is_from_the_moment_at_which_closing_begins(self, shop: Shop) -> None:
        open_one(shop, make_customer(shop))
        begin(shop, "2026-11", "staff:fin", DECEMBER)
        assert begin(shop, "2026-11", "staff:other", after(9)).begun_by == "staff:fin"
        assert book(shop, LAST) == date(2026, 12, 1)
        assert periods.finish_due(after(9)) == 1
        assert periods.finish_due(after(9)) == 0
        assert periods.periods(shop)[0].closed_at == after(9)

    def test_nobody_finishes_what_nobody_began(self, shop: Shop) -> None:
        with pytest.raises(BadInput, match="whose closing was begun"):
            finish(shop, "2026-11", DECEMBER)

    @pytest.mark.parametrize("day", [LAST, date(2026, 11, 1), date(2025, 1, 1)])
    def test_a_statement_of_one_s_own_is_refused_by_the_database(
        self, shop: Shop, closed: str, day: date
    ) -> None:
        insert = (
            "INSERT INTO books_transaction (customer_id, transaction_id, shop_id, event_id, event_kind, currency, accounts,"
            " amounts, occurred_on, recorded_at, booked_on) VALUES (%s, %s, %s, %s, 'test', 'CNY', '{1010,4010}', '{5,-5}',"
            " %s, %s, %s)"
        )
        name = uuid7(AT)
        values = [UUID(int=1), name, shop.id, name, day, DECEMBER, day]
        with (
            pytest.raises(Exception, match="row-level security policy") as problem,
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(insert, values)
        assert sqlstate(problem.value) == "42501"
        with connection.cursor() as cursor:
            cursor.execute(insert, [*values[:-1], date(2026, 12, 1)])
        # Saying that one speaks for another shop does not help: then the row is not that shop's.
        use_shop(make_shop("other").id)
        with (
            pytest.raises(Exception, match="row-level security policy"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(insert, [UUID(int=2), UUID(int=2), shop.id, UUID(int=2), day, DECEMBER, day])

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE books_period SET closed_at = NULL, transactions = NULL, balances = NULL, digest = NULL",
            "UPDATE books_period SET balances = '[]'",
            "DELETE FROM books_period",
        ],
    )
    def test_a_closed_month_cannot_be_opened_or_changed(
        self, shop: Shop, closed: str, statement: str
    ) -> None:
        before = periods.periods(shop)
        with connection.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.rowcount == 0
        assert periods.periods(shop) == before

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE books_period SET last_on = '2026-10-31'",
            "UPDATE books_period SET begun_by = 'nobody'",
            "TRUNCATE books_period",
            "DROP POLICY open_period ON books_transaction",
            "UPDATE books_proof SET problems = '[]'",
            "DELETE FROM books_proof",
            "TRUNCATE books_proof",
        ],
    )
    def test_the_service_s_role_may_not_even_try(self, shop: Shop, closed: str, statement: str) -> None:
        with (
            pytest.raises(Exception, match=r"permission denied|must be owner") as problem,
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
        assert sqlstate(problem.value) == "42501"


class TestRaces:
    """A posting that looked before the month began to close, and writes after."""

    pytestmark = pytest.mark.usefixtures("committed_db")

    @pytest.fixture
    def shop(self, committed_db: object) -> Shop:
        return make_shop()

    def in_thread(self, act: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
        answers: list[Any] = []

        def run() -> None:
            try:
                answers.append(act())
            except BaseException as problem:
                answers.append(problem)
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread, answers

    def test_closing_waits_for_whoever_looked_before_it_began(self, shop: Shop) -> None:
        open_one(shop, make_customer(shop))
        with transaction.atomic():
            assert book(shop, LAST) == LAST
            closing, answers = self.in_thread(lambda: close(shop, "2026-11", "staff:fin", DECEMBER))
            time.sleep(0.3)
            # It has begun, and waits; what is booked by others from now on counts to December.
            posting, booked = self.in_thread(lambda: book(shop, LAST))
            posting.join(10)
            assert booked == [date(2026, 12, 1)]
            assert closing.is_alive()
            assert answers == []
        closing.join(10)
        (period,) = answers
        # The sale, the end of the month, and the one waited for.
        assert (period.transactions, period.closed_at) == (3, DECEMBER)
        assert trial_balance(shop, as_of=LAST) == period.balances

    def test_a_transaction_that_hangs_keeps_the_month_open(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(periods, "WAIT_SECONDS", 0.2)
        open_one(shop, make_customer(shop))
        with transaction.atomic():
            book(shop, LAST)
            closing, answers = self.in_thread(lambda: close(shop, "2026-11", "staff:fin", DECEMBER))
            closing.join(10)
        assert isinstance(answers[0], CloseRefused)
        assert "being added to for more than" in str(answers[0])
        assert periods.periods(shop) == ()

    def test_under_load_nothing_is_booked_in_a_month_after_it_closed(
        self, shop: Shop, as_owner: psycopg.Connection[Any]
    ) -> None:
        """Eight that book for the last day of the month without a pause, while it is closed."""
        open_one(shop, make_customer(shop))
        stop = threading.Event()

        def keep_booking(number: int) -> None:
            while not stop.is_set():
                with transaction.atomic():
                    book(shop, LAST, name=uuid7(DECEMBER))

        threads = [self.in_thread(lambda number=number: keep_booking(number)) for number in range(8)]
        time.sleep(0.4)
        period = close(shop, "2026-11", "staff:fin", DECEMBER)
        time.sleep(0.2)
        stop.set()
        for thread, answers in threads:
            thread.join(10)
            assert answers == [None]
        in_month, after_it = as_owner.execute(
            "SELECT count(*) FILTER (WHERE booked_on <= %s), count(*) FILTER (WHERE booked_on > %s) FROM books_transaction",
            [LAST, LAST],
        ).fetchone()  # type: ignore[misc]
        assert in_month > 10
        assert after_it > 10
        assert in_month == period.transactions
        assert trial_balance(shop, as_of=LAST) == period.balances

    def test_two_who_close_the_same_month_close_it_once(self, shop: Shop) -> None:
        open_one(shop, make_customer(shop))
        racing = [
            self.in_thread(lambda who=who: close(shop, "2026-11", who, DECEMBER)) for who in ("a:1", "b:2")
        ]
        for thread, _ in racing:
            thread.join(20)
        answers = [each for _, (each,) in racing]
        # Who comes when the other has done is told so; who comes before is told what came of it.
        late = [each for each in answers if isinstance(each, BadInput)]
        first, *others = (each for each in answers if each not in late)
        assert others == [first] * (1 - len(late))
        assert [each.problem.expected for each in late] in ([], ["a month that is open"])
        assert first.closed_at == DECEMBER
        (entry,) = audit.entries(shop, act="books.close")
        assert entry.actor == first.begun_by
