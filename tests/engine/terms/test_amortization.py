"""Rows of every pricing, worked by hand: which part pays the price back, and which is interest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.terms.amortization import Accrual, amortize, equal_instalment
from fenqi.terms.interest import Period, period_factors
from fenqi.terms.plan import (
    PROFILES,
    Annuity,
    Balloon,
    Conventions,
    DayCount,
    DownPayment,
    EqualPrincipal,
    FlatInterest,
    InterestOnly,
    Plan,
    Pricing,
    TermsError,
    ZeroInterest,
    check_plan,
)
from fenqi.terms.schedule import Schedule, build_schedule

PERCENT = Fraction(1, 100)
JANUARY = date(2026, 1, 1)


def plan_of(pricing: Pricing, periods: int = 3, **changes: object) -> Plan:
    return msgspec.structs.replace(Plan("p", "p", "lender", "loan", periods, pricing), **changes)


def rows_of(
    plan: Plan, amount: int = 100_000, factors: Sequence[Fraction] = (PERCENT,) * 3
) -> list[tuple[int, int]]:
    return [tuple(row) for row in amortize(plan, amount, factors)]


def paid(schedule: Schedule) -> list[tuple[int, int]]:
    return [(row.principal_minor, row.fee_minor) for row in schedule.rows]


ANNUITY = Annuity(Decimal("0.12"))


def test_an_annuity_by_hand() -> None:
    # 1,000.00 x 1.01^3 / (1 + 1.01 + 1.01^2) = 1,030.301 / 3.0301 = 340.0221.
    # Interest: 10.00; 1 % of 669.98 = 6.6998; 1 % of 336.66 = 3.3666.
    assert equal_instalment(100_000, [PERCENT] * 3, Conventions()) == 34_002
    assert rows_of(plan_of(ANNUITY)) == [(33_002, 1_000), (33_332, 670), (33_666, 337)]


def test_an_annuity_with_a_balloon_by_hand() -> None:
    # (1,030.301 - 400) / 3.0301 = 208.0132. Interest: 10.00; 1 % of 801.99 = 8.0199; 1 % of 602.00 = 6.02.
    expected = [(19_801, 1_000), (19_999, 802), (60_200, 602)]
    assert rows_of(plan_of(Annuity(Decimal("0.12"), Balloon(amount_minor=40_000)))) == expected
    assert rows_of(plan_of(Annuity(Decimal("0.12"), Balloon(share=Decimal("0.4"))))) == expected


def test_equal_principal_by_hand() -> None:
    # 333.33 each, what does not divide in the first; 1 % of 1,000.00, of 666.66 and of 333.33.
    assert rows_of(plan_of(EqualPrincipal(Decimal("0.12")))) == [
        (33_334, 1_000),
        (33_333, 667),
        (33_333, 333),
    ]
    last = plan_of(EqualPrincipal(Decimal("0.12")), residue="last")
    assert rows_of(last) == [(33_333, 1_000), (33_333, 667), (33_334, 333)]
    spread = plan_of(EqualPrincipal(Decimal("0.12")), residue="spread")
    assert rows_of(spread, 100_001) == [(33_334, 1_000), (33_334, 667), (33_333, 333)]


def test_equal_principal_with_a_balloon_pays_the_rest_evenly() -> None:
    plan = plan_of(EqualPrincipal(Decimal("0.12"), Balloon(share=Decimal("0.4"))))
    assert rows_of(plan) == [(20_000, 1_000), (20_000, 800), (60_000, 600)]


def test_interest_only_pays_the_price_back_with_the_last() -> None:
    assert rows_of(plan_of(InterestOnly(Decimal("0.12")))) == [(0, 1_000), (0, 1_000), (100_000, 1_000)]


def test_a_balloon_of_more_than_is_financed_is_refused() -> None:
    plan = plan_of(Annuity(Decimal("0.12"), Balloon(amount_minor=100_001)))
    with pytest.raises(TermsError, match=r"balloon is 100001: expected at most the 100000"):
        rows_of(plan)


def test_a_pricing_without_interest_has_no_rows_here() -> None:
    with pytest.raises(TermsError, match="ZeroInterest"):
        rows_of(plan_of(ZeroInterest("shop")))


# Flat interest


def test_flat_interest_by_period_is_on_what_was_financed() -> None:
    # 3 x 10.00; (1,000.00 + 30.00) / 3 = 343.33; the last pays 333.34 + 10.00.
    assert rows_of(plan_of(FlatInterest(Decimal("0.12")))) == [
        (33_333, 1_000),
        (33_333, 1_000),
        (33_334, 1_000),
    ]


def test_flat_interest_in_total_is_on_the_price_and_split_evenly() -> None:
    # Published (Fineract, LoanDownPayment-Part1.feature, line 1615): 1,000.00 @ 10 %, a quarter down, three months.
    # 1,000.00 x 10 % x 3/12 = 25.00 = 8.33 + 8.33 + 8.34, though 750.00 are financed.
    rules = Conventions(flat_interest_on="price", flat_interest_split="even")
    plan = plan_of(
        FlatInterest(Decimal("0.1")), conventions=rules, down_payment=DownPayment(share=Decimal("0.25"))
    )
    assert paid(build_schedule(plan, 100_000, "EUR", JANUARY)) == [
        (25_000, 0),
        (25_000, 833),
        (25_000, 833),
        (25_000, 834),
    ]
    # In multiples of 1.00 it is the instalment that is rounded: 258.33 to 258.
    round_ = msgspec.structs.replace(rules, instalment_multiple_minor=100)
    plan = msgspec.structs.replace(plan, conventions=round_)
    assert paid(build_schedule(plan, 100_000, "EUR", JANUARY)) == [
        (25_000, 0),
        (24_967, 833),
        (24_967, 833),
        (25_066, 834),
    ]


def test_flat_interest_by_period_leaves_the_down_payment_out() -> None:
    # 750.00 x 10 % / 12 = 6.25 a month; (750.00 + 18.75) / 3 = 256.25.
    plan = plan_of(FlatInterest(Decimal("0.1")), down_payment=DownPayment(share=Decimal("0.25")))
    assert paid(build_schedule(plan, 100_000, "EUR", JANUARY)) == [(25_000, 0)] + [(25_000, 625)] * 3


def test_a_share_of_a_flat_total_that_is_rounded_up_leaves_the_last_nothing_less_than_nothing() -> None:
    rules = Conventions(flat_interest_split="even")
    # 0.07 in 12 parts of 0.0058 is 0.01 for seven rows, and nothing for five.
    rows = rows_of(
        plan_of(FlatInterest(Decimal("0.12")), 12, conventions=rules), 700, [Fraction(1, 1200)] * 12
    )
    assert [interest for _, interest in rows] == [1] * 7 + [0] * 5


# Grace, periods without interest, deferral


def test_grace_on_principal_pays_interest_alone_and_then_an_annuity_of_the_rest() -> None:
    # 1,000.00 x 1.01^2 / 2.01 = 507.5124; 1 % of 502.49 = 5.0249.
    assert rows_of(plan_of(ANNUITY, grace_principal=1)) == [(0, 1_000), (49_751, 1_000), (50_249, 502)]
    # All but the last row: paid back at once.
    assert rows_of(plan_of(ANNUITY, grace_principal=2)) == [(0, 1_000), (0, 1_000), (100_000, 1_000)]
    equal = plan_of(EqualPrincipal(Decimal("0.12")), grace_principal=1)
    assert rows_of(equal) == [(0, 1_000), (50_000, 1_000), (50_000, 500)]
    flat = plan_of(FlatInterest(Decimal("0.12")), grace_principal=1)
    assert rows_of(flat) == [(0, 1_000), (50_000, 1_000), (50_000, 1_000)]


def test_grace_on_interest_pays_it_with_the_first_row_after() -> None:
    assert rows_of(plan_of(ANNUITY, grace_interest=1)) == [(33_002, 0), (33_332, 1_670), (33_666, 337)]
    assert rows_of(plan_of(ANNUITY, grace_interest=2)) == [(33_002, 0), (33_332, 0), (33_666, 2_007)]


def test_periods_without_interest_have_no_factor() -> None:
    # 1,000.00 x 1.0201 / 3.0301 = 336.6556; 1 % of 663.34 = 6.6334; 1 % of 333.31 = 3.3331.
    assert rows_of(plan_of(ANNUITY, interest_free_periods=1)) == [(33_666, 0), (33_003, 663), (33_331, 333)]
    even = Conventions(flat_interest_split="even")
    flat = plan_of(FlatInterest(Decimal("0.12")), interest_free_periods=1, conventions=even)
    assert rows_of(flat) == [(33_333, 0), (33_333, 1_000), (33_334, 1_000)]


def test_interest_of_a_deferral_is_owed_with_the_rest_or_paid_with_the_first() -> None:
    # Two months deferred, one instalment of 1,000.00 a month later each: 10.00 + 10.00 for the wait.
    plan = plan_of(ANNUITY, defer_periods=2, deferral_interest="first_bill")
    assert paid(build_schedule(plan, 100_000, "CNY", JANUARY)) == [
        (33_002, 3_000),
        (33_332, 670),
        (33_666, 337),
    ]
    free = msgspec.structs.replace(plan, deferral_interest="none")
    assert paid(build_schedule(free, 100_000, "CNY", JANUARY)) == [
        (33_002, 1_000),
        (33_332, 670),
        (33_666, 337),
    ]
    # Capitalised, 1,020.00 are owed: 1,020.00 x 1.030301 / 3.0301 = 346.8226. Interest 10.20, 6.83 (1 % of 683.38),
    # 3.43 (1 % of 343.39); paid back 336.62, 339.99, 343.39, of which 2/102 are the capitalised interest: 6.60, 6.66, 6.74.
    owed = msgspec.structs.replace(plan, deferral_interest="capitalised")
    assert paid(build_schedule(owed, 100_000, "CNY", JANUARY)) == [
        (33_662 - 660, 1_020 + 660),
        (33_999 - 666, 683 + 666),
        (34_339 - 674, 343 + 674),
    ]


# Rounding, multiples, smoothing


def test_rounding_by_hand() -> None:
    # 1 % of 450.50 is 4.505: a half.
    for rounding, interest in (("half_even", 450), ("half_up", 451), ("up", 451)):
        rules = Conventions(rounding=rounding)
        assert rows_of(plan_of(InterestOnly(Decimal("0.12")), 1, conventions=rules), 45_050, [PERCENT]) == [
            (45_050, interest)
        ]
    # 340.0221 goes up.
    assert equal_instalment(100_000, [PERCENT] * 3, Conventions(rounding="up")) == 34_003


def test_instalments_are_whole_multiples_unless_that_is_nothing() -> None:
    rules = Conventions(instalment_multiple_minor=100)
    assert equal_instalment(100_000, [PERCENT] * 3, rules) == 34_000
    assert rows_of(plan_of(ANNUITY, conventions=rules)) == [(33_000, 1_000), (33_330, 670), (33_670, 337)]
    # To cents first, then to the multiple: 2.5049 is 2.50, whose half goes to the even 2.
    assert equal_instalment(751, [Fraction(0)] * 3, rules) == 200
    # A third of 1.00 is 0.33: no whole unit, so cents stand.
    assert equal_instalment(100, [Fraction(0)] * 3, rules) == 33
    # Rounded up, all is paid before the last row.
    early = rows_of(plan_of(ANNUITY, 12, conventions=rules), 1_000, [Fraction(0)] * 12)
    assert [principal for principal, _ in early] == [100] * 10 + [0] * 2


def test_smoothing_moves_the_instalment_only_where_that_brings_the_last_row_nearer() -> None:
    # 10.00 in 12 rows: 0.83, and 0.87 at the end: 4 cents apart, which is less than half of 12: left alone.
    smooth = Conventions(smoothing=True)
    rows = rows_of(plan_of(ANNUITY, 12, conventions=smooth), 1_000, [Fraction(0)] * 12)
    assert [principal for principal, _ in rows] == [83] * 11 + [87]
    # 0.28 in two rows at 120 % each: 28 x 4.84 / 3.2 = 42.35, so 42 and 44: more than one cent apart. One more on the
    # instalment (half of the two) makes it 43 and 42.
    steep = plan_of(ANNUITY, 2)
    assert rows_of(steep, 28, [Fraction(6, 5)] * 2) == [(8, 34), (20, 24)]
    steep = plan_of(ANNUITY, 2, conventions=smooth)
    assert rows_of(steep, 28, [Fraction(6, 5)] * 2) == [(9, 34), (19, 23)]
    yearly = plan_of(Annuity(Decimal("14.4")), 2, conventions=smooth)
    assert paid(build_schedule(yearly, 28, "CNY", JANUARY)) == [(9, 34), (19, 23)]
    # 0.12 at 150 % each: 21.43, so 21 and 23; with 22 it would be 20: no nearer, so nothing moves.
    assert rows_of(steep, 12, [Fraction(3, 2)] * 2) == [(3, 18), (9, 14)]
    # A balloon is no distance: 208.01 and 208.02 beside it.
    balloon = plan_of(Annuity(Decimal("0.12"), Balloon(amount_minor=40_000)), conventions=smooth)
    assert rows_of(balloon) == [(19_801, 1_000), (19_999, 802), (60_200, 602)]


# Tables of another engine: Apache Fineract, ProgressiveEMICalculatorTest.java (Apache-2.0; figures only), 100.00 each.


@pytest.mark.parametrize(
    ("rate", "unit", "every", "count", "start", "expected"),
    [
        (
            "0.15678",
            "month",
            1,
            "act/365",
            date(2024, 1, 1),
            [(1610, 133), (1638, 105), (1653, 90), (1677, 66), (1697, 46), (1725, 22)],
        ),
        (
            "0.094822",
            "month",
            1,
            "30/360",
            date(2024, 1, 1),
            [(1634, 79), (1647, 66), (1660, 53), (1673, 40), (1686, 27), (1700, 13)],
        ),
        (
            "0.094822",
            "month",
            1,
            "act/act",
            date(2023, 12, 12),
            [(1633, 80), (1646, 67), (1663, 50), (1672, 41), (1687, 26), (1699, 14)],
        ),
        (
            "0.094822",
            "week",
            1,
            "act/364",
            date(2024, 1, 1),
            [(1659, 18), (1662, 15), (1665, 12), (1668, 9), (1671, 6), (1675, 3)],
        ),
        ("0.094822", "week", 2, "act/364", date(2024, 1, 1), [(3321, 36), (3333, 24), (3346, 12)]),
        (
            "0.094822",
            "day",
            15,
            "act/360",
            date(2024, 1, 1),
            [(1650, 40), (1657, 33), (1664, 26), (1670, 20), (1677, 13), (1682, 7)],
        ),
        ("0.07", "month", 1, "30/360", date(2024, 1, 1), [(10_000, 58)]),
        # The same engine end to end (EMICalculation-Part1.feature, C3157 to C3166).
        ("0.12", "month", 2, "30/360", date(2024, 1, 1), [(3268, 200), (3333, 135), (3399, 68)]),
        (
            "0.094822",
            "week",
            2,
            "30/360",
            date(2024, 1, 1),
            [(1651, 37), (1657, 31), (1663, 25), (1669, 19), (1676, 12), (1684, 6)],
        ),
        (
            "0.12",
            "month",
            1,
            "act/365",
            date(2024, 1, 1),
            [(1623, 102), (1645, 80), (1656, 69), (1675, 50), (1690, 35), (1711, 17)],
        ),
        (
            "0.094822",
            "day",
            15,
            "act/365",
            date(2024, 1, 1),
            [(1651, 39), (1657, 33), (1664, 26), (1670, 20), (1677, 13), (1681, 7)],
        ),
    ],
)
def test_a_published_table(
    rate: str, unit: str, every: int, count: DayCount, start: date, expected: list[tuple[int, int]]
) -> None:
    rules = msgspec.structs.replace(PROFILES["fineract-progressive"], digits=12, day_count=count)
    plan = plan_of(Annuity(Decimal(rate)), len(expected), unit=unit, every=every, conventions=rules)
    assert paid(build_schedule(plan, 10_000, "USD", start)) == expected
    exact = msgspec.structs.replace(plan, conventions=msgspec.structs.replace(rules, digits=None))
    assert paid(build_schedule(exact, 10_000, "USD", start)) == expected


def test_money_that_comes_later_bears_interest_from_then_at_the_instalment_of_whole_periods() -> None:
    # 310.00 @ 12 %, three months from 1 January, paid out on the 11th: 310.00 x 1.030301 / 3.0301 = 105.4069.
    # 30/360: 1 % x 21/31 of 310.00 = 2.10; then 1 % of 206.69 and of 103.35.
    rules = Conventions(day_count="30/360")
    schedule = build_schedule(
        plan_of(ANNUITY, conventions=rules), 31_000, "USD", date(2026, 1, 11), dates_from=JANUARY
    )
    assert [row.due_on for row in schedule.rows] == [date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)]
    assert paid(schedule) == [(10_331, 210), (10_334, 207), (10_335, 103)]


def test_money_that_comes_later_waits_for_less_of_a_deferral() -> None:
    rules = Conventions(day_count="30/360")
    plan = plan_of(ANNUITY, conventions=rules, defer_periods=1, deferral_interest="first_bill")
    schedule = build_schedule(plan, 31_000, "USD", date(2026, 1, 11), dates_from=JANUARY)
    # 21 of January's 31 days: 2.10, with the first instalment's 3.10; then 1 % of 207.69 and of 104.36.
    assert schedule.rows[0].due_on == date(2026, 3, 1)
    assert paid(schedule) == [(10_231, 310 + 210), (10_333, 208), (10_436, 104)]


@pytest.mark.parametrize("start", [date(2025, 12, 31), date(2026, 2, 1)])
def test_money_that_comes_before_its_dates_begin_or_after_one_is_due_has_no_schedule(start: date) -> None:
    rules = Conventions(day_count="30/360")
    with pytest.raises(TermsError, match="start_on"):
        build_schedule(plan_of(ANNUITY, conventions=rules), 31_000, "USD", start, dates_from=JANUARY)


# Overdue


def test_what_fell_due_unpaid_bears_interest_until_the_day_and_the_last_row_grows() -> None:
    rules = Conventions(day_count="30/360")
    plan = plan_of(ANNUITY, conventions=rules)

    def on(day: date) -> list[tuple[int, int]]:
        return paid(build_schedule(plan, 100_000, "USD", JANUARY, unpaid_on=day))

    agreed = [(33_002, 1_000), (33_332, 670), (33_666, 337)]
    assert on(JANUARY) == on(date(2026, 1, 20)) == on(date(2026, 2, 1)) == agreed
    # 11 February: 10 of 28 days on 1,000.00, 18 on 669.98: 3.5714 + 4.3070 = 7.88; then 1 % of 337.84.
    assert on(date(2026, 2, 11)) == [(33_002, 1_000), (33_214, 788), (33_784, 338)]
    # On its due date a row is not late yet, but the first is: 1 % of 1,000.00; then 1 % of 339.96 (3.3996).
    assert on(date(2026, 3, 1)) == [(33_002, 1_000), (33_002, 1_000), (33_996, 340)]
    assert on(date(2026, 4, 1)) == on(date(2030, 1, 1)) == [(33_002, 1_000), (33_002, 1_000), (33_996, 1_000)]


def test_an_unpaid_plan_of_the_default_profile_is_late_too_and_one_without_interest_is_not() -> None:
    late = build_schedule(plan_of(ANNUITY), 100_000, "CNY", JANUARY, unpaid_on=date(2027, 1, 1))
    assert [row.fee_minor for row in late.rows] == [1_000] * 3
    free = plan_of(ZeroInterest("shop"))
    assert build_schedule(free, 100_000, "CNY", JANUARY, unpaid_on=date(2027, 1, 1)) == build_schedule(
        free, 100_000, "CNY", JANUARY
    )


def test_interest_beyond_the_instalment_is_paid_with_the_next_and_bears_none() -> None:
    # Factors of 300 % and 1 %: 1,000.00 x 4 x 1.01 / 2.01 = 2,009.95 against 3,000.00 of interest:
    # 990.05 wait for the next row, which has 10.00 of its own.
    rows = rows_of(plan_of(ANNUITY, 2), factors=[Fraction(3), PERCENT])
    assert rows == [(0, 200_995), (100_000, 1_000 + 99_005)]


def test_a_row_may_mix_what_is_owed_before_and_after_a_day() -> None:
    halves = Accrual(True, PERCENT, 1, 2, PERCENT / 2, 1)
    late = amortize(plan_of(ANNUITY), 100_000, [PERCENT] * 3, accruals=[None, halves, None])
    # Half of 10.00 and half of 6.6998: 8.3499.
    assert late[1] == (34_002 - 835, 835)


# A case of the market: tests/vectors/data/market_cases.json, worked-subsidy


def test_a_subsidy_of_one_point_of_three_is_a_third_of_the_interest() -> None:
    # 30,000.00 @ 3 % over 12 months, 1 point of it subsidised. The case is worked without rounding each month, so here
    # a unit is a millionth of a cent.
    plan = plan_of(Annuity(Decimal("0.03")), 12)
    schedule = build_schedule(plan, 3_000_000 * 10**6, "CNY", JANUARY)
    balance, subsidy = schedule.financed_minor, 0
    for row in schedule.rows:
        subsidy += round(Fraction(balance, 1200))
        balance -= row.principal_minor
    assert round(Fraction(schedule.fee_minor, 10**6)) == 48_973
    assert round(Fraction(subsidy, 10**6)) == 16_324
    assert round(Fraction(schedule.fee_minor - subsidy, 10**6)) == 32_649
    # Rounded each month it is a fen more.
    assert build_schedule(plan, 3_000_000, "CNY", JANUARY).fee_minor == 48_974


# Whatever the terms

COUNTS: tuple[DayCount, ...] = get_args(DayCount)


@st.composite
def priced(draw: st.DrawFn) -> tuple[Plan, int, date]:
    periods = draw(st.integers(1, 24))
    rate = draw(st.decimals(Decimal(0), Decimal(2), places=4))
    balloon = draw(
        st.none() | st.builds(Balloon, share=st.decimals(Decimal("0.1"), Decimal("0.9"), places=1))
    )
    pricing = draw(
        st.sampled_from(
            [
                Annuity(rate, balloon if periods > 1 else None),
                EqualPrincipal(rate, balloon if periods > 1 else None),
                InterestOnly(rate),
                FlatInterest(rate),
            ]
        )
    )
    unit = draw(st.sampled_from(["day", "week", "half_month", "month"]))
    rules = Conventions(
        day_count=draw(st.sampled_from(COUNTS)),
        year_split=draw(st.sampled_from(["dec31", "jan1"])),
        leap_rule=draw(st.sampled_from(["actual", "feb29_period"])),
        rounding=draw(st.sampled_from(["half_even", "half_up", "up"])),
        digits=draw(st.sampled_from([None, 12, 19])),
        instalment_multiple_minor=draw(st.sampled_from([1, 1, 10, 100])),
        smoothing=draw(st.booleans()),
        flat_interest_on=draw(st.sampled_from(["financed", "price"])),
        flat_interest_split=draw(st.sampled_from(["by_period", "even"])),
    )
    grace = 0 if isinstance(pricing, InterestOnly) else draw(st.integers(0, periods - 1))
    defer = draw(st.integers(0, 3))
    plan = plan_of(
        pricing,
        periods,
        unit=unit,
        every=draw(st.integers(1, 6)),
        conventions=rules,
        residue=draw(st.sampled_from(["first", "last", "spread"])),
        grace_principal=grace,
        grace_interest=draw(st.integers(0, periods - 1)),
        interest_free_periods=draw(st.integers(0, periods)),
        defer_periods=defer,
        deferral_interest=draw(st.sampled_from(["none", "capitalised", "first_bill"])) if defer else "none",
        down_payment=draw(st.none() | st.just(DownPayment(share=Decimal("0.25")))),
    )
    amount = draw(st.integers(100, 10_000) | st.integers(100, 10**11))
    return plan, amount, draw(st.dates(date(2019, 1, 1), date(2031, 1, 1)))


@given(priced(), st.none() | st.integers(0, 2_000))
def test_principal_comes_to_what_is_financed_and_nothing_is_negative(
    case: tuple[Plan, int, date], late_days: int | None
) -> None:
    plan, amount, start = case
    assert check_plan(plan) == []
    unpaid_on = None if late_days is None else date.fromordinal(start.toordinal() + late_days)
    schedule = build_schedule(plan, amount, "CNY", start, unpaid_on=unpaid_on)
    rows = [row for row in schedule.rows if row.number]
    assert len(rows) == plan.periods
    assert sum(row.principal_minor for row in rows) == schedule.financed_minor
    assert all(row.principal_minor >= 0 and row.fee_minor >= 0 for row in rows)
    assert sum(row.fee_minor for row in rows) == schedule.fee_minor
    if isinstance(plan.pricing, InterestOnly) and plan.deferral_interest != "capitalised":
        assert rows[-1].principal_minor == schedule.financed_minor
    if plan.deferral_interest == "none":
        assert all(row.principal_minor == 0 for row in rows[: plan.grace_principal])
        assert all(row.fee_minor == 0 for row in rows[: plan.grace_interest])


@given(
    st.integers(1, 10**13),
    st.decimals(Decimal(0), Decimal(3), places=4),
    st.integers(1, 48),
    st.sampled_from(["month", "half_month", "week", "day"]),
    st.integers(1, 6),
)
def test_the_short_way_and_the_long_way_give_the_same_annuity(
    amount: int, rate: Decimal, periods: int, unit: str, every: int
) -> None:
    plan = plan_of(Annuity(rate), periods, unit=unit, every=every)
    schedule = build_schedule(plan, amount, "CNY", JANUARY)
    dates = [JANUARY, *(row.due_on for row in schedule.rows)]
    periods_ = [Period(a, b) for a, b in pairwise(dates)]
    factors = period_factors(Fraction(rate), plan.conventions, plan.unit, every, periods_)
    if rate:
        assert paid(schedule) == [tuple(row) for row in amortize(plan, amount, factors)]


@given(
    st.integers(10_000, 10**12),
    st.decimals(Decimal("0.001"), Decimal(1), places=4),
    st.integers(2, 36),
    st.sampled_from([count for count in COUNTS if count != "period"]),
    st.dates(date(2019, 1, 1), date(2031, 1, 1)),
)
def test_an_annuity_is_what_a_plain_reckoning_in_decimals_gives(
    amount: int, rate: Decimal, periods: int, count: DayCount, start: date
) -> None:
    rules = Conventions(day_count=count)
    schedule = build_schedule(plan_of(Annuity(rate), periods, conventions=rules), amount, "CNY", start)
    dates = [start, *(row.due_on for row in schedule.rows)]
    with localcontext() as context:
        context.prec = 80
        shares = [_year_share(count, a, b) for a, b in pairwise(dates)]
        factors = [rate * Decimal(share.numerator) / Decimal(share.denominator) for share in shares]
        worth, discount = Decimal(0), Decimal(1)
        for factor in factors:
            discount /= 1 + factor
            worth += discount
        instalment = (Decimal(amount) / worth).quantize(Decimal(1), ROUND_HALF_EVEN)
        balance, expected = Decimal(amount), []
        for number, factor in enumerate(factors, 1):
            interest = (balance * factor).quantize(Decimal(1), ROUND_HALF_EVEN)
            back = balance if number == periods else instalment - interest
            balance -= back
            expected.append((int(back), int(interest)))
        # Rounding of the instalment and of each interest, carried to the end at the rates.
        bound = sum(discount_ for discount_ in _growths(factors)) + 1
    assert paid(schedule) == expected
    assert abs(schedule.rows[-1].total_minor - schedule.rows[0].total_minor) <= bound


def _growths(factors: list[Decimal]) -> list[Decimal]:
    growths = [Decimal(1)]
    for factor in reversed(factors):
        growths.append(growths[-1] * (1 + factor))
    return growths


def _year_share(count: DayCount, first: date, last: date) -> Fraction:
    """Months only, day by day: each day after the first has its own year's share."""
    if count.startswith("30/") and (count != "30/act" or first.year == last.year):
        days = Fraction(30)
        if count != "30/act":
            return days / int(count[3:])
        return days / _year_days(first.year)
    if count in ("act/360", "act/364", "act/365"):
        return Fraction((last - first).days, int(count[4:]))
    return sum(
        (
            Fraction(1, _year_days(date.fromordinal(day).year))
            for day in range(first.toordinal() + 1, last.toordinal() + 1)
        ),
        Fraction(0),
    )


def _year_days(year: int) -> int:
    return (date(year + 1, 1, 1) - date(year, 1, 1)).days
