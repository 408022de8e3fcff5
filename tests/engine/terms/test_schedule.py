"""Schedules: whole fen, anchored dates, sums that hold."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from tests.engine.terms.plans import AT_ONCE, LOAN_12, MALL_3, MALL_12, START, Case, cases

from fenqi.calendars import due_dates
from fenqi.money import MAX_MINOR, MoneyError
from fenqi.terms.plan import Annuity, DownPayment, FlatFee, Plan, TermsError
from fenqi.terms.schedule import build_schedule


def test_6000_in_12_at_0_6_percent_is_536_a_month() -> None:
    schedule = build_schedule(MALL_12, 600_000, "CNY", START)
    assert schedule.fee_minor == 43_200
    assert schedule.total_minor == 643_200
    assert {(row.principal_minor, row.fee_minor) for row in schedule.rows} == {(50_000, 3_600)}
    assert [row.number for row in schedule.rows] == list(range(1, 13))
    assert schedule.rows[0].due_on == date(2026, 12, 23)
    assert schedule.rows[11].due_on == date(2027, 11, 23)


def test_what_does_not_divide_is_in_the_first_row_or_the_last_for_principal_and_fee_alike() -> None:
    pricing = FlatFee(total_rate=Decimal("0.023"))
    first = Plan("p", "p", "w", "loan", 3, pricing)
    rows = build_schedule(first, 12_367, "CNY", START).rows
    assert [(row.principal_minor, row.fee_minor) for row in rows] == [(4_123, 96), (4_122, 94), (4_122, 94)]
    last = msgspec.structs.replace(first, residue="last")
    rows = build_schedule(last, 12_367, "CNY", START).rows
    assert [(row.principal_minor, row.fee_minor) for row in rows] == [(4_122, 94), (4_122, 94), (4_123, 96)]


def test_an_annuity_charges_interest_on_what_is_still_owed() -> None:
    # By hand: 10,000.00 at 7.2 % a year is 0.6 % a month; the instalment is 866.19 (866.188...).
    schedule = build_schedule(LOAN_12, 1_000_000, "CNY", START)
    rows = schedule.rows
    assert (rows[0].fee_minor, rows[0].principal_minor) == (6_000, 80_619)
    assert (rows[1].fee_minor, rows[1].principal_minor) == (5_516, 81_103)
    assert {row.total_minor for row in rows[:-1]} == {86_619}
    assert abs(rows[-1].total_minor - 86_619) <= 6
    assert schedule.fee_minor == sum(row.fee_minor for row in rows)


def test_interest_free_is_free() -> None:
    schedule = build_schedule(MALL_3, 100_000, "CNY", START)
    assert schedule.fee_minor == 0
    assert [row.total_minor for row in schedule.rows] == [33_334, 33_333, 33_333]


def test_paid_at_once_is_one_payment_on_the_day() -> None:
    schedule = build_schedule(AT_ONCE, 599_900, "CNY", START)
    (row,) = schedule.rows
    assert (row.kind, row.due_on, row.total_minor) == ("payment", START, 599_900)


def test_a_down_payment_is_due_at_once_and_bears_no_fee() -> None:
    plan = msgspec.structs.replace(MALL_12, down_payment=DownPayment(share=Decimal("0.3")))
    schedule = build_schedule(plan, 600_000, "CNY", START)
    down = schedule.rows[0]
    assert (down.number, down.kind, down.due_on) == (0, "down_payment", START)
    assert (down.principal_minor, down.fee_minor) == (180_000, 0)
    assert (schedule.financed_minor, schedule.fee_minor) == (420_000, 30_240)
    assert len(schedule.rows) == 13


def test_a_deferral_moves_every_date_and_changes_no_amount() -> None:
    later = msgspec.structs.replace(LOAN_12, defer_periods=2)
    now, then = (build_schedule(plan, 600_000, "CNY", START) for plan in (LOAN_12, later))
    assert [row.total_minor for row in now.rows] == [row.total_minor for row in then.rows]
    assert then.rows[0].due_on == date(2027, 2, 23)


def test_the_31st_stays_the_31st_in_a_schedule() -> None:
    rows = build_schedule(MALL_3, 100_000, "CNY", date(2026, 12, 31)).rows
    assert [row.due_on.isoformat() for row in rows] == ["2027-01-31", "2027-02-28", "2027-03-31"]


@pytest.mark.parametrize("amount", [0, -1, MAX_MINOR + 1, True, 10.0])
def test_an_amount_that_cannot_be_financed_is_refused(amount: int) -> None:
    with pytest.raises((TermsError, MoneyError), match="amount_minor"):
        build_schedule(MALL_12, amount, "CNY", START)


def test_a_down_payment_that_covers_the_price_leaves_nothing_to_finance() -> None:
    plan = msgspec.structs.replace(MALL_12, down_payment=DownPayment(amount_minor=50_000))
    with pytest.raises(TermsError, match="more than the down payment of 50000"):
        build_schedule(plan, 50_000, "CNY", START)


def test_a_wrong_plan_builds_nothing_and_is_named() -> None:
    plan = Plan("odd", "odd", "shop", "instalment_sale", 0, FlatFee(Decimal("0.1")))
    with pytest.raises(TermsError, match="plan odd: periods"):
        build_schedule(plan, 600_000, "CNY", START)


def test_plans_that_come_and_go_do_not_take_each_others_terms() -> None:
    for tenths in range(1, 6000):
        plan = Plan("p", "p", "shop", "instalment_sale", 1, FlatFee(total_rate=Decimal(tenths).scaleb(-4)))
        assert build_schedule(plan, 10_000, "CNY", START).fee_minor == tenths


@given(cases())
def test_sums_hold_dates_follow_and_no_row_is_negative(case: Case) -> None:
    plan = case.plan
    schedule = build_schedule(plan, case.amount_minor, "CNY", case.start_on)
    instalments = [row for row in schedule.rows if row.kind == "instalment"]
    downs = [row for row in schedule.rows if row.kind == "down_payment"]

    assert sum(row.principal_minor for row in instalments) == schedule.financed_minor
    assert sum(row.fee_minor for row in schedule.rows) == schedule.fee_minor
    assert sum(row.principal_minor for row in downs) == schedule.down_payment_minor
    assert schedule.down_payment_minor + schedule.financed_minor == schedule.amount_minor == case.amount_minor
    assert sum(row.total_minor for row in schedule.rows) == schedule.total_minor
    assert schedule.total_minor == schedule.amount_minor + schedule.fee_minor

    assert all(row.principal_minor >= 0 and row.fee_minor >= 0 for row in schedule.rows)
    assert [row.number for row in instalments] == list(range(1, plan.periods + 1))
    expected = due_dates(case.start_on, plan.unit, plan.every, plan.periods, plan.defer_periods)
    assert tuple(row.due_on for row in instalments) == expected
    assert all(a.due_on < b.due_on for a, b in zip(schedule.rows, schedule.rows[1:], strict=False))


@given(cases())
def test_an_annuity_differs_in_its_last_row_alone(case: Case) -> None:
    plan = msgspec.structs.replace(case.plan, pricing=Annuity(Decimal("0.18")))
    rows = build_schedule(plan, case.amount_minor, "CNY", case.start_on).rows
    instalments = [row.total_minor for row in rows if row.kind == "instalment"]
    paid_off = next((n for n, row in enumerate(instalments) if row != instalments[0]), len(instalments))
    assert all(total <= instalments[0] for total in instalments[:-1])
    assert all(total == 0 for total in instalments[paid_off + 1 : -1])
