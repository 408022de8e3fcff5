"""Schedules: whole fen, anchored dates, sums that hold."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from tests.engine.terms.plans import AT_ONCE, LOAN_12, MALL_3, MALL_12, START, Case, cases, wide_cases

from fenqi.business_days import SHIPPED
from fenqi.calendars import CalendarError, due_dates, is_business_day
from fenqi.money import MAX_MINOR, MoneyError
from fenqi.terms.plan import Annuity, DownPayment, FlatFee, Plan, TermsError, check_plan
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


@given(wide_cases())
def test_on_every_axis_a_sound_plan_has_a_schedule_whose_sums_hold(case: Case) -> None:
    plan = case.plan
    assert check_plan(plan) == []
    schedule = build_schedule(plan, case.amount_minor, "CNY", case.start_on)
    rows = schedule.rows

    assert schedule.down_payment_minor + schedule.financed_minor == schedule.amount_minor == case.amount_minor
    assert sum(row.principal_minor for row in rows) == schedule.amount_minor
    assert (
        sum(row.fee_minor for row in rows)
        == schedule.fee_minor
        == schedule.total_minor - schedule.amount_minor
    )
    assert all(row.principal_minor >= 0 and row.fee_minor >= 0 for row in rows)
    assert len(schedule.charges) == (len(plan.fees) + 1 if plan.fees else 0)
    for charge in schedule.charges:
        assert len(charge.by_row_minor) == len(rows)
    if schedule.charges:
        for position, row in enumerate(rows):
            assert row.fee_minor == sum(charge.by_row_minor[position] for charge in schedule.charges)
        assert [charge.code for charge in schedule.charges] == [
            plan.fee_code,
            *(fee.code for fee in plan.fees),
        ]

    # Who bears it changes nothing of what is charged.
    alone = build_schedule(msgspec.structs.replace(plan, bearers=()), case.amount_minor, "CNY", case.start_on)
    assert alone.fee_minor == schedule.fee_minor + sum(borne.amount_minor for borne in schedule.borne)
    assert {borne.party for borne in schedule.borne} <= {bearer.party for bearer in plan.bearers} - {
        "customer"
    }

    assert [row.number for row in rows] == list(range(0 if rows[0].number == 0 else 1, plan.periods + 1))
    assert rows[0].kind in ("instalment", "down_payment" if plan.down_payment else "up_front")
    dates = [row.due_on for row in rows]
    assert dates == sorted(dates)
    assert all(row.due_on > case.start_on for row in rows if row.number)
    agreed = due_dates(
        case.start_on,
        plan.unit,
        plan.every,
        plan.periods,
        plan.defer_periods,
        plan.due_day,
        plan.min_first_days,
    )
    moved = [row.due_on for row in rows if row.number]
    if plan.calendar is None:
        assert tuple(moved) == agreed
    else:
        assert all(is_business_day(on, SHIPPED["cn"]) for on in moved)
        # The longest stretch without a business day is that of a Spring Festival: no move is longer than two weeks.
        assert all(abs((on - was).days) < 14 for on, was in zip(moved, agreed, strict=True))


def test_a_holiday_moves_one_payment_and_not_the_ones_after_it() -> None:
    plan = msgspec.structs.replace(MALL_3, holiday="following", calendar="cn")
    # 1 October 2026 begins a week of holidays; 1 November is a Sunday; 1 December a Tuesday.
    rows = build_schedule(plan, 100_000, "CNY", date(2026, 9, 1)).rows
    assert [row.due_on.isoformat() for row in rows] == ["2026-10-08", "2026-11-02", "2026-12-01"]
    # Saturday 28 February 2026 is worked instead of a day of the Spring Festival.
    rows = build_schedule(plan, 100_000, "CNY", date(2026, 1, 31)).rows
    assert [row.due_on.isoformat() for row in rows] == ["2026-02-28", "2026-03-31", "2026-04-30"]


def test_nothing_falls_due_before_the_purchase() -> None:
    days = msgspec.structs.replace(MALL_3, unit="day", every=2, holiday="preceding", calendar="cn")
    # Bought in the Spring Festival of 2026 (15 to 23 February): the last business day before it is over.
    rows = build_schedule(days, 100_000, "CNY", date(2026, 2, 17)).rows
    assert [row.due_on.isoformat() for row in rows] == ["2026-02-24", "2026-02-24", "2026-02-24"]


def test_no_due_date_is_told_for_a_year_whose_holidays_nobody_knows() -> None:
    plan = msgspec.structs.replace(MALL_12, holiday="following", calendar="cn")
    with pytest.raises(CalendarError, match=r"2027-01-23.*cn@2026.*publish the calendar"):
        build_schedule(plan, 600_000, "CNY", START)
    with pytest.raises(TermsError, match=r"calendar is nowhere: expected one of cn"):
        build_schedule(msgspec.structs.replace(plan, calendar="nowhere"), 600_000, "CNY", START)
    longer = msgspec.structs.replace(SHIPPED["cn"], version="2027", confirmed_through=date(2027, 12, 31))
    rows = build_schedule(plan, 600_000, "CNY", START, {"cn": longer}).rows
    assert rows[1].due_on == date(2027, 1, 25)  # the 23rd is a Saturday


def test_a_due_day_is_kept_and_costs_the_same_fee() -> None:
    plan = msgspec.structs.replace(MALL_12, due_day=10, min_first_days=20)
    rows = build_schedule(plan, 600_000, "CNY", START).rows
    assert [row.due_on.isoformat() for row in rows[:2]] == ["2027-01-10", "2027-02-10"]
    assert {row.total_minor for row in rows} == {53_600}


@given(cases())
def test_an_annuity_differs_in_its_last_row_alone(case: Case) -> None:
    plan = msgspec.structs.replace(case.plan, pricing=Annuity(Decimal("0.18")))
    rows = build_schedule(plan, case.amount_minor, "CNY", case.start_on).rows
    instalments = [row.total_minor for row in rows if row.kind == "instalment"]
    paid_off = next((n for n, row in enumerate(instalments) if row != instalments[0]), len(instalments))
    assert all(total <= instalments[0] for total in instalments[:-1])
    assert all(total == 0 for total in instalments[paid_off + 1 : -1])
