"""The end of a month, held to each contract reckoned anew by itself: from its terms and dates, without the code that books it."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from tests.engine.contracts.made import ANNUITY_6, DOWN_6, FLAT_12, FREE_3
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.ledger.recognition import accrued_minor
from fenqi.problems import BadInput
from fenqi_server.books import periods
from fenqi_server.books.proof import prove_shop
from fenqi_server.books.reading import trial_balance
from fenqi_server.cli import main
from fenqi_server.ids import parse_public_id
from fenqi_server.servicing import closing, month_end, service
from fenqi_server.servicing.month_end import run
from fenqi_server.shops.models import Shop

LAST = date(2026, 12, 31)
JANUARY = datetime(2026, 12, 31, 17, 0, tzinfo=UTC)
"""01:00 on 1 January in the shop."""


@pytest.fixture
def shop(db: Any) -> Shop:
    return make_shop()


def booked(kind: str = month_end.ACCRUED) -> dict[str, tuple[list[int], list[int], date]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT contract_id::text, accounts, amounts, booked_on FROM books_transaction WHERE event_kind = %s",
            [kind],
        )
        return {name: (accounts, amounts, day) for name, accounts, amounts, day in cursor.fetchall()}


def income(shop: Shop, as_of: date) -> int:
    return sum(
        each.credit_minor - each.debit_minor
        for each in trial_balance(shop, as_of=as_of)
        if each.account in (4110, 4120)
    )


def by_itself(shop: Shop, contract: str, last_on: date) -> int:
    """What the row that runs on `last_on` has earned by then: its fee by days, less what payments up to then paid of it."""
    view = service.get(shop, contract, last_on)
    begin = view.created_at.astimezone(UTC).date()
    for row in view.terms.rows:
        if row.due_on > last_on:
            days, of = (last_on - begin).days, (row.due_on - begin).days
            paid = sum(
                part.fee_minor + part.interest_minor
                for payment in view.state.payments
                for part in payment.parts
                if part.row == row.number
            )
            return max(0, row.fee_minor * days // of - paid)
        begin = max(begin, row.due_on)
    return 0


def shop_life(shop: Shop, number: int = 30) -> list[str]:
    chance = random.Random(7)
    made = []
    for index in range(number):
        contract = open_one(
            shop,
            make_customer(shop, f"c-{index}"),
            chance.choice((FLAT_12, FREE_3, DOWN_6, ANNUITY_6)),
            chance.choice((30_000, 599_900, 600_000)),
            at=after(chance.randrange(8)),
        )
        made.append(contract)
    closing.close_day(shop, LAST, JANUARY)
    for contract in made:
        for paid in range(chance.randrange(3)):
            state = service.get(shop, contract, at=JANUARY).state
            if state.balance_minor:
                minor = chance.choice((1, 1_800, 53_600, state.next_due_minor, state.balance_minor))
                # Some of it on the first of January, before the month's end was booked.
                day = chance.choice((on(20), on(35), LAST, date(2027, 1, 1)))
                service.pay(shop, contract, minor, "received", f"p-{paid}", JANUARY, occurred_on=day)
    return made


def test_each_contract_is_booked_what_it_comes_to_by_itself(shop: Shop) -> None:
    made = shop_life(shop)
    expected = {contract: by_itself(shop, contract, LAST) for contract in made}
    done = run(shop, LAST, JANUARY)
    there = {name: amounts[0] for name, (_, amounts, _) in booked().items()}
    assert there == {
        str(parse_public_id(contract)[1]): minor for contract, minor in expected.items() if minor
    }
    assert done.contracts == len(made)
    assert 0 < done.replayed < len(made), "some were paid in January already"
    assert done.accrued_minor == sum(there.values()) > 0
    assert {day for _, _, day in booked().values()} == {LAST}
    assert prove_shop(shop).ok


def test_what_was_booked_is_taken_back_on_the_next_day_and_nothing_is_left(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    closing.close_day(shop, LAST, JANUARY)
    # 3,600 for 23 December to 23 January, 31 days, of which 8 lie in December: 929.03, cut off to 929.
    assert income(shop, LAST) == 3_600
    assert run(shop, LAST, JANUARY).accrued_minor == 929
    assert income(shop, LAST) == 3_600 + 929
    assert income(shop, date(2027, 1, 1)) == 3_600
    (accounts, amounts, day) = next(iter(booked(month_end.REVERSED).values()))
    assert (accounts, amounts, day) == ([4110, 1170], [929, -929], date(2027, 1, 1))
    service.pay(shop, contract, 643_200, "received", "all", JANUARY + timedelta(hours=1))
    assert service.get(shop, contract, at=after(60)).state.status == "closed"
    assert prove_shop(shop).ok


def test_months_and_the_due_date_together_earn_the_fee_to_the_fen() -> None:
    start, due = date(2026, 11, 15), date(2027, 2, 15)
    ends = (date(2026, 11, 30), date(2026, 12, 31), date(2027, 1, 31))
    for fee in (1, 2, 3_601, 99_999):
        till = [accrued_minor(start, due, day, fee, 0) for day in ends]
        parts = [now - before for before, now in zip([0, *till], till, strict=False)]
        assert all(part >= 0 for part in parts)
        assert sum(parts) + (fee - till[-1]) == fee
    # 92 days: 15 in November, 31 in December, 31 in January, 15 in February. 3,601: 587.1, then 1,800.5 and 3,013.9 in all.
    assert [accrued_minor(start, due, day, 3_601, 0) for day in ends] == [587, 1_800, 3_013]


def test_running_it_again_or_after_a_kill_leaves_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop_life(shop, 12)
    monkeypatch.setattr(month_end, "CHUNK", 5)
    half = run(shop, LAST, JANUARY, chunks=1)
    assert (half.contracts, half.ended_at) == (5, None)

    # The second chunk dies after it has written: nothing of it stays.
    def dies(*words: Any) -> int:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(month_end, "_replay", dies)
        with pytest.raises(RuntimeError), transaction.atomic():
            run(shop, LAST, JANUARY)
    assert month_end.find(shop, LAST) == half
    whole = run(shop, LAST, JANUARY)
    assert (whole.contracts, whole.ended_at) == (12, JANUARY)
    before = booked(), booked(month_end.REVERSED)
    assert run(shop, LAST, JANUARY + timedelta(hours=2)) == whole
    assert month_end.run_due(JANUARY + timedelta(hours=3)) == 0
    assert (booked(), booked(month_end.REVERSED)) == before
    assert sum(amounts[0] for _, amounts, _ in before[0].values()) == whole.accrued_minor
    assert prove_shop(shop).ok


def test_in_chunks_or_whole_it_books_the_same(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    made = shop_life(shop, 12)
    expected = sum(by_itself(shop, contract, LAST) for contract in made)
    monkeypatch.setattr(month_end, "CHUNK", 3)
    assert run(shop, LAST, JANUARY).accrued_minor == expected


def test_a_month_does_not_close_without_it(shop: Shop) -> None:
    open_one(shop, make_customer(shop))
    closing.close_day(shop, LAST, JANUARY)
    periods.close(shop, "2026-11", "staff:fin", JANUARY)
    found = month_end.find(shop, date(2026, 11, 30))
    assert found is not None
    # 3,600 for 30 days, of which 7 lie in November.
    assert (found.accrued_minor, found.ended_at) == (840, JANUARY)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO books_period (shop_id, first_on, last_on, begun_at, begun_by) VALUES (%s, %s, %s, %s, %s)",
            [shop.id, date(2026, 12, 1), LAST, JANUARY, "staff:fin"],
        )
    with pytest.raises(periods.CloseRefused, match="month-end 2026-12"):
        periods.finish(shop, "2026-12", JANUARY)


def test_the_worker_ends_it_once_its_days_are_closed(shop: Shop) -> None:
    open_one(shop, make_customer(shop))
    assert month_end.run_due(AT) == 0, "October had nothing"
    assert month_end.run_due(JANUARY) == 0, "a due date of December was not let come"
    with pytest.raises(BadInput, match="close-day"):
        run(shop, LAST, JANUARY)
    closing.close_day(shop, LAST, JANUARY)
    assert month_end.run_due(JANUARY) == 1
    assert [each.last_on for each in month_end.month_ends(shop)] == [LAST]


@pytest.mark.parametrize("day", [date(2026, 12, 30), date(2027, 1, 31)])
def test_another_day_or_a_month_that_is_not_over_is_refused(shop: Shop, day: date) -> None:
    with pytest.raises(BadInput):
        run(shop, day, JANUARY)


def test_a_closed_month_takes_no_more(shop: Shop) -> None:
    open_one(shop, make_customer(shop))
    periods.close(shop, "2026-11", "staff:fin", after(10))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE servicing_month_end SET ended_at = NULL")
    with pytest.raises(BadInput, match="open"):
        run(shop, date(2026, 11, 30), after(10))


def test_the_command_says_what_it_did(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fenqi_server import clock

    open_one(shop, make_customer(shop))
    monkeypatch.setattr(clock, "now", lambda: JANUARY)
    assert main(["month-end", "2026-12", "--shop", "mall"]) == 2, "its days are not closed"
    assert main(["close-day", "--shop", "mall"]) == 0
    capsys.readouterr()
    assert main(["month-end", "2026-12", "--shop", "mall"]) == 0
    assert '"accrued_minor": 929' in capsys.readouterr().out


def test_finance_sees_what_each_month_ended_with(shop: Shop, as_staff: Any) -> None:
    open_one(shop, make_customer(shop))
    closing.close_day(shop, LAST, JANUARY)
    run(shop, LAST, JANUARY)
    page = as_staff("finance", shop=shop).get("/console/closings/").content.decode()
    assert 'data-fq-part="month-ends"' in page
    assert "2026-12" in page
    assert "¥9.29" in page
