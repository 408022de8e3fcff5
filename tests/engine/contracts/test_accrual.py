"""Interest from day to day: each figure worked by hand, at 24 % of a 360-day year of 30-day months (2 % a month)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from tests.engine.contracts.made import FLAT_12, START, offer

from fenqi.contracts.accrual import Accrual, RunningRow, accrues_daily
from fenqi.terms.plan import Annuity, FlatInterest, Plan
from fenqi.terms.schedule import periods_of

PLAN = Plan("loan_3", "loan", "shop", "loan", 3, Annuity(Decimal("0.24")))
D1, D2, D3 = date(2026, 12, 23), date(2027, 1, 23), date(2027, 2, 23)


def lent(minor: int = 600_000) -> Accrual:
    """6,000.00 lent on 23 November. The instalment is 6,000 x 0.02 / (1 - 1.02^-3) = 2,080.53."""
    bill, _ = offer(PLAN, minor)
    rows = [
        RunningRow(period, row.total_minor)
        for period, row in zip(periods_of(PLAN, START), bill.rows, strict=True)
    ]
    accrual = Accrual(PLAN, Fraction(24, 100), rows)
    accrual.lend(START, minor, replan=False)
    return accrual


def figures(accrual: Accrual) -> list[tuple[int, int]]:
    return [(row.due_principal, row.due_interest) for row in accrual.rows]


def test_paid_on_time_each_month_bears_its_two_percent() -> None:
    # 120.00 of 6,000; 2,080.53 - 120 = 1,960.53. Of 4,039.47: 80.79. Of 2,039.73: 40.79, and the last row takes what is left.
    assert figures(lent()) == [(196_053, 12_000), (199_974, 8_079), (203_973, 4_079)]


def test_a_payoff_owes_interest_to_the_day() -> None:
    # Ten of the first month's thirty days: a third of 120.00. On the day lent, nothing.
    assert lent().payoff(date(2026, 12, 3)) == (600_000, 4_000)
    assert lent().payoff(START) == (600_000, 0)


def test_what_is_late_bears_interest_on_all_of_it() -> None:
    # The first instalment is not paid by 23 January: the second month bears 2 % of 6,000 again, 40.00 (39.21) more than planned.
    late = lent()
    late.come_to(D2)
    assert late.interest_until(D2) == 24_000
    assert figures(late)[1] == (208_053 - 12_000, 12_000)


def test_principal_paid_early_bears_nothing_from_that_day() -> None:
    # 3,000.00 of principal on 8 December, half-way: 60.00 for the half before, and 30.00 of 3,000 for the half after.
    early = lent()
    early.come_to(date(2026, 12, 8))
    early.pay_principal(2, date(2026, 12, 8), 203_973)
    early.pay_principal(1, date(2026, 12, 8), 96_027)
    assert early.owed() == 300_000
    assert early.interest_until(D1) == 6_000 + 3_000


def test_no_interest_runs_while_it_is_stopped() -> None:
    # Stopped for the second half of the first month.
    stopped = lent()
    stopped.stop(date(2026, 12, 8), D1)
    assert stopped.interest_until(D1) == 6_000


def test_frozen_it_never_runs_again() -> None:
    frozen = lent()
    frozen.come_to(D1)
    frozen.freeze(D1)
    frozen.come_to(D3)
    assert [row.due_interest for row in frozen.rows] == [12_000, 0, 0]
    assert frozen.owed() == 600_000


def test_interest_is_paid_once() -> None:
    paid = lent()
    paid.come_to(D1)
    paid.pay_interest(0, D1, 12_000)
    paid.pay_principal(0, D1, 196_053)
    assert paid.rows[0].is_paid
    # Ten of the second month's 31 days, on 4,039.47: 26.06.
    assert paid.payoff(date(2027, 1, 2)) == (403_947, 2_606)


def test_lent_again_it_bears_interest_from_then_and_is_due_with_the_row_that_runs() -> None:
    # 1,500.00 more from 8 December: 15 days at 2 % a month are 15.00 more in the first month.
    again = lent()
    assert again.lend_again(date(2026, 12, 8), 150_000)
    assert again.owed() == 750_000
    assert again.interest_until(D1) == 12_000 + 1_500
    assert not again.lend_again(date(2027, 3, 1), 1), "after the last row there is none that runs"


def test_spread_anew_the_interest_so_far_goes_with_the_first_new_row() -> None:
    anew = lent()
    anew.come_to(D1)
    anew.start_anew(D1, periods_of(PLAN, D1)[:2])
    assert anew.owed() == 600_000
    assert sum(row.due_principal for row in anew.rows) == 600_000
    # 120.00 of the first month and 2 % of 6,000 in the second.
    assert anew.rows[3].due_interest == 24_000
    assert [row.closed for row in anew.rows] == [True, True, True, False, False]


def test_flat_interest_is_on_what_was_lent_until_all_of_it_is_back() -> None:
    plan = Plan("flat_3", "flat", "shop", "loan", 3, FlatInterest(Decimal("0.24")))
    rows = [RunningRow(period, 212_000) for period in periods_of(plan, START)]
    flat = Accrual(plan, Fraction(24, 100), rows)
    flat.lend(START, 600_000, replan=False)
    assert [row.due_interest for row in flat.rows] == [12_000] * 3
    flat.come_to(D1)
    flat.pay_principal(0, D1, 200_000)
    assert flat.rows[1].due_interest == 12_000


@pytest.mark.parametrize(("plan", "daily"), [(PLAN, True), (FLAT_12, False)])
def test_only_interest_on_what_is_owed_runs_from_day_to_day(plan: Plan, daily: bool) -> None:
    assert accrues_daily(plan) is daily


def test_a_copy_is_its_own() -> None:
    first = lent()
    twin = first.copy()
    twin.come_to(D2)
    twin.pay_principal(0, D2, 100_000)
    assert figures(first) == figures(lent())
    assert first.owed() == 600_000
