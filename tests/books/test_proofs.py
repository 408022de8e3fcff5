"""The nightly proof: when it runs, what it replays, and the alarm that stands until a later one finds nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from tests.servicing.opened import AT, TODAY, after, make_customer, make_shop, on, open_one

from fenqi_server import clock
from fenqi_server.books import periods, proof, proofs
from fenqi_server.books.proof import prove, prove_contracts, prove_shop, prove_sums, touched
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id
from fenqi_server.servicing import closing, service
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches


def at_night(day: int, hour: int = 3, minute: int = 0) -> datetime:
    """So many days after the 23rd of November, at this hour of the shop (UTC+8)."""
    local = datetime(TODAY.year, TODAY.month, TODAY.day, hour, minute, tzinfo=UTC) + timedelta(days=day)
    return local - timedelta(hours=8)


@pytest.fixture
def shop(committed_db: object) -> Iterator[Shop]:
    yield make_shop()
    forget_caches()


def open_some(shop: Shop, count: int, at: datetime = AT) -> list[str]:
    return [
        open_one(shop, make_customer(shop, f"c-{number}"), at=at, order_ref=f"order-{number}")
        for number in range(count)
    ]


class TestEveryNight:
    def test_it_runs_once_a_night_from_three_in_the_shop(self, shop: Shop) -> None:
        open_some(shop, 2)
        assert proofs.prove_due(at_night(1, 2, 59)) == 0
        assert proofs.prove_due(at_night(1, 3)) == 1
        assert proofs.prove_due(at_night(1, 3, 1)) == 0
        proofs._proven.clear()
        assert proofs.prove_due(at_night(1, 23, 59)) == 0, "another process asks the record"
        assert proofs.prove_due(at_night(2, 3)) == 1
        first, second = reversed(proofs.latest(shop))
        assert (first.kind, first.actor, first.at) == ("nightly", "worker", at_night(1, 3))
        assert (first.transactions, first.contracts, first.replayed, first.replayed_to) == (2, 2, 2, "")
        assert first.ok
        assert second.at == at_night(2, 3)

    def test_a_night_that_was_missed_is_made_up_for_in_the_day(self, shop: Shop) -> None:
        assert proofs.prove_due(at_night(1, 17)) == 1
        assert proofs.prove_due(at_night(2, 3)) == 1

    def test_every_shop_has_its_own(self, shop: Shop) -> None:
        other = make_shop("other")
        assert proofs.prove_due(at_night(1)) == 2
        assert len(proofs.latest(shop)) == len(proofs.latest(other)) == 1

    def test_two_workers_do_not_prove_the_same_book_at_once(
        self, shop: Shop, as_owner: psycopg.Connection[Any]
    ) -> None:
        with as_owner.transaction():
            as_owner.execute(
                "SELECT pg_advisory_xact_lock(hashtext('fenqi.books.proof'), hashtext(%s))", [str(shop.id)]
            )
            assert proofs.prove_due(at_night(1)) == 0
        assert proofs.prove_due(at_night(1)) == 1


class TestWhatIsReplayed:
    def test_a_night_goes_on_where_the_night_before_stopped(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(proof, "_BATCH", 2)
        names = sorted(open_some(shop, 5), key=parse_public_id)
        nights = [proofs.prove_night(shop, at_night(day), seconds=0) for day in range(1, 5)]
        assert [each.replayed_to for each in nights if each] == [names[1], names[3], "", names[1]]
        assert [each.replayed for each in nights if each] == [2, 2, 1, 2]

    def test_contracts_that_were_touched_since_come_first(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, as_owner: psycopg.Connection[Any]
    ) -> None:
        monkeypatch.setattr(proof, "_BATCH", 1)
        names = sorted(open_some(shop, 4), key=parse_public_id)
        assert proofs.prove_night(shop, at_night(1), seconds=0)
        service.pay(shop, names[3], 1_000, "received", "a", after(1))
        use_shop(shop.id)
        assert touched(connection, at_night(1), 10) == [parse_public_id(names[3])]
        # Book and cache say the same, and both are not what the events come to.
        as_owner.execute(
            "UPDATE servicing_event SET body = (body::jsonb || '{\"amount_minor\": 999}')::json WHERE reference = 'a'"
        )
        night = proofs.prove_night(shop, at_night(2), seconds=0)
        assert night is not None
        assert night.replayed == 2
        assert any(names[3] in problem for problem in night.problems)

    def test_every_contract_is_reached_in_slices(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proof, "_BATCH", 2)
        open_some(shop, 5)
        use_shop(shop.id)
        seen, last = 0, None
        while True:
            found = prove_contracts(connection, after=last, seconds=0)
            seen, last = seen + found.contracts, found.last
            if last is None:
                break
        assert seen == 5


class TestTheAlarm:
    def test_what_is_found_is_logged_and_stands_on_the_home_until_it_is_put_right(
        self,
        shop: Shop,
        as_owner: psycopg.Connection[Any],
        as_staff: Callable[..., Client],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        open_some(shop, 1)
        change = "UPDATE servicing_state SET booked_amounts[1] = booked_amounts[1] {} 1"
        with clock.pinned(at_night(2, 9)):
            finance, author = as_staff("finance", shop=shop), as_staff("author", shop=shop)
            said = "Problems that the proof of the book found"
            assert proofs.prove_due(at_night(1)) == 1
            assert said not in finance.get("/console/").content.decode()
            as_owner.execute(change.format("+"))
            with caplog.at_level(logging.ERROR, "fenqi_server.books.proofs"):
                assert proofs.prove_due(at_night(2)) == 1
            assert "the book of shop mall is broken, 1 problems" in caplog.text
            assert said in finance.get("/console/").content.decode()
            assert said not in author.get("/console/").content.decode()
            as_owner.execute(change.format("-"))
            assert proofs.prove_due(at_night(3)) == 1
            assert said not in finance.get("/console/").content.decode()

    def test_a_close_that_was_refused_is_no_alarm_of_the_whole_book(self, shop: Shop) -> None:
        open_one(shop, make_customer(shop), at=AT - timedelta(days=28))
        periods.close(shop, "2026-10", "a:1", after(8))
        with pytest.raises(periods.CloseRefused):
            periods.close(shop, "2026-11", "a:1", after(8))
        assert proofs.standing_problems(shop) == ()

    def test_at_most_a_hundred_are_kept(self, shop: Shop) -> None:
        report = prove_shop(shop)
        many = tuple(proof.Problem(f"p{number}", "1", "0") for number in range(250))
        kept = proofs.record(shop, "asked", report, AT, "a:1", 1, problems=many)
        assert (len(kept.problems), kept.problems[-1]) == (100, "and 151 more")
        assert proofs.latest(shop) == (kept,)


class TestSumsAlone:
    """What one pass over the whole book finds without replaying anything."""

    @pytest.fixture
    def contract(self, shop: Shop) -> str:
        contract = open_one(shop, make_customer(shop), at=AT)
        service.pay(shop, contract, 53_600, "received", "a", AT)
        closing.run_due(after(31))
        periods.close(shop, "2026-11", "a:1", after(31))
        service.pay(shop, contract, 53_600, "received", "b", after(32))
        return contract

    @pytest.mark.parametrize(
        ("tampering", "place"),
        [
            # A fen moved between two legs: the transaction balances, the contract's sums are others.
            ("UPDATE books_transaction SET amounts = ARRAY[amounts[1], amounts[2] + 1, amounts[3] - 1] WHERE reference = 'b'", "cached balances of principal_receivable"),
            ("UPDATE books_transaction SET booked_on = '2026-11-30' WHERE reference = 'b'", "period 2026-11"),
            ("UPDATE books_transaction SET booked_on = '2026-12-01' WHERE reference = 'a'", "period 2026-11"),
            ("DELETE FROM books_transaction WHERE reference = 'a'", "period 2026-11"),
            ("UPDATE books_period SET balances = '[]', digest = 'sha256:' || repeat('0', 64)", "period 2026-11"),
            ("UPDATE books_transaction SET event_id = gen_random_uuid() WHERE reference = 'b'", "an event of a contract"),
            ("ALTER TABLE books_transaction DROP CONSTRAINT books_transaction_ok;"
             " UPDATE books_transaction SET accounts[1] = 9999 WHERE reference = 'b'", "unbalanced"),
            ("ALTER TABLE books_transaction DROP CONSTRAINT books_transaction_ok;"
             " UPDATE books_transaction SET amounts = '{}' WHERE reference = 'b'", "unbalanced"),
            ("UPDATE servicing_state SET status = 'closed'", "closed at 0"),
            ("UPDATE servicing_state SET status = 'closed', balance_minor = 0", "since the contract is closed"),
            ("UPDATE books_transaction SET settlement = 'bank:2' WHERE reference = 'b'", ""),
        ],
    )  # fmt: skip
    def test_what_an_owner_altered(
        self, shop: Shop, contract: str, as_owner: psycopg.Connection[Any], tampering: str, place: str
    ) -> None:
        use_shop(shop.id)
        assert prove_sums(connection).ok
        as_owner.execute(tampering)
        report = prove_sums(connection)
        assert report.replayed == 0
        if place:
            assert any(place in problem.sentence for problem in report.problems), report.problems
        else:
            assert report.ok, "a settlement's other name is seen by the chain of hashes alone"
        assert prove_sums(as_owner).problems == report.problems, "the owner sees the same"

    def test_a_receivable_below_nothing(
        self, shop: Shop, contract: str, as_owner: psycopg.Connection[Any]
    ) -> None:
        as_owner.execute(
            "UPDATE servicing_state SET booked_amounts[array_position(booked_accounts, 1110::smallint)] = -1"
        )
        use_shop(shop.id)
        found = [problem.sentence for problem in prove_sums(connection).problems]
        assert any("principal_receivable is -1: expected 0 or more" in each for each in found), found

    def test_all_of_it_is_of_one_instant(
        self, shop: Shop, contract: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A payment that comes while the proof reads is in all of its sums or in none."""
        read = proof._cached

        def late(cursor: Any) -> Any:
            paying = threading.Thread(target=pay)
            paying.start()
            paying.join(20)
            return read(cursor)

        def pay() -> None:
            service.pay(shop, contract, 100, "received", "late", after(33))
            connection.close()

        monkeypatch.setattr(proof, "_cached", late)
        use_shop(shop.id)
        report = prove(connection)
        assert report.ok, report.problems
        assert report.transactions == 3
        monkeypatch.undo()
        assert prove(connection).transactions == 4


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE servicing_event SET seq = 1 WHERE reference = 'a'", "1 after 1"),
        ("UPDATE servicing_event SET seq = 7 WHERE reference = 'a'", "7 after 1"),
        ("UPDATE servicing_state SET last_seq = 3", "3 cached as the last one"),
    ],
)
def test_numbers_behind_which_no_event_can_be_added(
    committed_db: object, as_owner: psycopg.Connection[Any], tampering: str, told: str
) -> None:
    shop = make_shop()
    service.pay(shop, open_one(shop, make_customer(shop), at=AT), 53_600, "received", "a", AT)
    assert prove_shop(shop).ok
    as_owner.execute(tampering)
    (problem,) = prove_shop(shop).problems
    assert told in problem.sentence


def test_the_report_of_an_empty_book(db: object) -> None:
    report = prove_shop(make_shop())
    assert (report.ok, report.totals, report.transactions, report.contracts) == (True, (), 0, 0)
    assert on(0) == TODAY
