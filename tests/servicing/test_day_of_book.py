"""The day of the book that each event counts to: its own where that month is open, and no month that it does not belong to."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import connection
from tests.servicing.opened import after, make_customer, make_shop, on, open_one

from fenqi_server.books.periods import close
from fenqi_server.books.proof import prove_shop
from fenqi_server.books.reading import trial_balance
from fenqi_server.servicing import closing, service, unapplied
from fenqi_server.shops.models import Shop


@pytest.fixture
def shop(db: Any) -> Shop:
    return make_shop()


def booked(reference: str) -> list[tuple[date, date]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT occurred_on, booked_on FROM books_transaction WHERE reference = %s ORDER BY recorded_at",
            [reference],
        )
        return list(cursor.fetchall())


def test_money_of_a_month_that_is_open_counts_to_its_own_day(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 100, "received", "late-news", after(12), occurred_on=on(3))
    assert booked("late-news") == [(on(3), on(3))]
    assert trial_balance(shop, as_of=on(2)) != trial_balance(shop, as_of=on(3))


def test_of_one_that_is_closed_it_counts_to_the_first_day_after(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    close(shop, "2026-11", "staff:fin", after(8))
    service.pay(shop, contract, 100, "received", "late-news", after(20), occurred_on=on(3))
    assert booked("late-news") == [(on(3), date(2026, 12, 1))]


def test_what_changes_a_later_month_counts_to_that_month(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    closing.run_due(after(30))
    # 5 January: 536.00 for the row of 23 December, late. Then we learn of 536.00 of 20 December, which was the row's: the money of
    # January moves to the row of 23 January, whose fee of 36.00 it earns, in January.
    service.pay(shop, contract, 53_600, "received", "january", after(43))
    service.pay(shop, contract, 53_600, "received", "december", after(45), occurred_on=on(27))
    assert booked("january") == [(on(43), on(43))]
    assert booked("december") == [(on(27), date(2027, 1, 1))]
    december = {
        each.account: each.debit_minor - each.credit_minor
        for each in trial_balance(shop, as_of=date(2026, 12, 31))
    }
    assert december[4110] == -3_600, "December earned the fee of its own row and no other"
    january = {
        each.account: each.debit_minor - each.credit_minor
        for each in trial_balance(shop, as_of=date(2027, 1, 31))
    }
    assert january[4110] == -7_200
    assert prove_shop(shop).ok


def test_nothing_counts_to_a_month_before_the_contract_or_the_shop(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    with pytest.raises(service.NoContract):
        service.pay(shop, "ct_none", 100, "request", "nobody", after(2))
    service.pay(shop, "ct_none", 700, "received", "old", after(2), occurred_on=date(2019, 1, 1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(booked_on) FROM books_transaction")
        assert cursor.fetchone() == (on(0),)
    service.pay(shop, contract, 100, "received", "older", after(2), occurred_on=date(2026, 1, 1))
    assert booked("older") == [(date(2026, 1, 1), date(2026, 11, 1))]


def test_money_that_is_matched_leaves_suspense_on_the_day_on_which_it_comes_to_the_contract(
    shop: Shop,
) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, "ct_none", 700, "received", "astray", after(2))
    found = unapplied.unmatched(shop).money[0]
    unapplied.match(shop, found.unapplied_id, contract, after(5))
    for day in range(2, 6):
        balances = {
            each.account: each.debit_minor - each.credit_minor for each in trial_balance(shop, as_of=on(day))
        }
        assert balances[1020] == 700, "in transit once, on every day"
    assert prove_shop(shop).ok
