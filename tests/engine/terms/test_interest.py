"""Interest factors: what share of a year a period is, by each custom.

Factors with twelve digits are published: Apache Fineract, ProgressiveEMICalculatorTest.java (Apache-2.0; figures only).
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.calendars import Unit, period_dates
from fenqi.terms.interest import InterestError, Period, period_factor, period_factors
from fenqi.terms.plan import Conventions, DayCount

ONE = Fraction(1)
PUBLISHED_RATE = Fraction("0.094822")
COUNTS: tuple[DayCount, ...] = get_args(DayCount)


def months(start: date, count: int, every: int = 1) -> list[Period]:
    days = period_dates(start, "month", every, count)
    return [Period(a, b) for a, b in pairwise(days)]


def published(factors: tuple[Fraction, ...]) -> list[str]:
    return [f"{Decimal(factor.numerator) / Decimal(factor.denominator):.12f}" for factor in factors]


def test_months_by_their_days_in_365() -> None:
    rules = Conventions(day_count="act/365", digits=12)
    factors = period_factors(PUBLISHED_RATE, rules, "month", 1, months(date(2024, 1, 1), 6))
    assert published(factors) == [
        "0.008053375342",
        "0.007533802740",
        "0.008053375342",
        "0.007793589041",
        "0.008053375342",
        "0.007793589041",
    ]


def test_months_by_their_days_in_a_leap_year_and_over_new_year() -> None:
    rules = Conventions(day_count="act/act", digits=12)
    factors = period_factors(PUBLISHED_RATE, rules, "month", 1, months(date(2023, 12, 12), 6))
    assert published(factors) == [
        "0.008044857759",  # 19 days in 365, 12 in 366
        "0.008031371585",
        "0.007513218579",
        "0.008031371585",
        "0.007772295082",
        "0.008031371585",
    ]


def test_a_month_of_30_days_in_360_and_its_parts_by_days() -> None:
    rules = Conventions(day_count="30/360", digits=12)
    february = Period(date(2024, 2, 1), date(2024, 3, 1))
    middle = date(2024, 2, 15)
    factors = (
        period_factor(PUBLISHED_RATE, rules, "month", 1, february),
        period_factor(PUBLISHED_RATE, rules, "month", 1, february, None, middle),
        period_factor(PUBLISHED_RATE, rules, "month", 1, february, middle),
    )
    # 14 and 15 of 29 days.
    assert published(factors) == ["0.007901833333", "0.003814678161", "0.004087155172"]


def test_weeks_in_364_and_days_in_360() -> None:
    start = date(2024, 1, 1)
    for unit, every, count, length, factor in (
        ("week", 1, "act/364", 7, "0.001823500000"),
        ("week", 2, "act/364", 14, "0.003647000000"),
        ("day", 15, "act/360", 15, "0.003950916667"),
        ("day", 15, "30/360", 15, "0.003950916667"),
    ):
        rules = Conventions(day_count=count, digits=12)
        period = Period(start, start + timedelta(days=length))
        assert published((period_factor(PUBLISHED_RATE, rules, unit, every, period),)) == [factor]


@pytest.mark.parametrize(
    ("count", "unit", "every", "share"),
    [
        # A period is its share of a year, whatever its days.
        ("period", "month", 1, Fraction(1, 12)),
        ("period", "month", 3, Fraction(1, 4)),
        ("period", "half_month", 1, Fraction(1, 24)),
        ("period", "week", 2, Fraction(14, 365)),
        ("period", "day", 10, Fraction(10, 365)),
        # Months of 30 days, half months of 15; weeks and days are what they are.
        ("30/360", "month", 5, Fraction(150, 360)),
        ("30/364", "month", 1, Fraction(30, 364)),
        ("30/365", "month", 3, Fraction(90, 365)),
        ("30/act", "month", 1, Fraction(30, 365)),
        ("30/360", "half_month", 1, Fraction(15, 360)),
        ("30/360", "week", 3, Fraction(21, 360)),
        ("30/365", "day", 10, Fraction(10, 365)),
        # Real days.
        ("act/360", "month", 1, Fraction(31, 360)),
        ("act/364", "month", 1, Fraction(31, 364)),
        ("act/365", "month", 3, Fraction(90, 365)),
        ("act/act", "half_month", 1, Fraction(15, 365)),
        # A 52nd of the year for each week.
        ("act/364", "week", 1, Fraction(1, 52)),
    ],
)
def test_a_first_period_of_2026_by_hand(count: DayCount, unit: Unit, every: int, share: Fraction) -> None:
    first, due = period_dates(date(2026, 1, 1), unit, every, 1)
    assert period_factor(ONE, Conventions(day_count=count), unit, every, Period(first, due)) == share


def test_a_period_over_new_year_is_cut_on_31_december_or_1_january() -> None:
    over = Period(date(2023, 12, 12), date(2024, 1, 12))
    on_31 = Conventions(day_count="act/act", year_split="dec31")
    on_1 = Conventions(day_count="act/act", year_split="jan1")
    assert period_factor(ONE, on_31, "month", 1, over) == Fraction(19, 365) + Fraction(12, 366)
    assert period_factor(ONE, on_1, "month", 1, over) == Fraction(20, 365) + Fraction(11, 366)
    # 31 December to 30 January is all in the new year, or for its first day in the old one.
    edge = Period(date(2023, 12, 31), date(2024, 1, 30))
    assert period_factor(ONE, on_31, "month", 1, edge) == Fraction(30, 366)
    assert period_factor(ONE, on_1, "month", 1, edge) == Fraction(1, 365) + Fraction(29, 366)


def test_a_period_over_two_new_years_has_a_piece_in_each_year() -> None:
    rules = Conventions(day_count="act/act")
    long = Period(date(2023, 11, 30), date(2025, 1, 30))
    # To 31 December 2023: 31 days; the whole of 2024; to 30 January 2025: 30 days.
    assert period_factor(ONE, rules, "month", 14, long) == Fraction(31, 365) + 1 + Fraction(30, 365)


def test_30_over_real_years_counts_days_over_new_year_alone() -> None:
    rules = Conventions(day_count="30/act")
    within = Period(date(2024, 3, 31), date(2024, 4, 30))
    over = Period(date(2023, 12, 12), date(2024, 1, 12))
    assert period_factor(ONE, rules, "month", 1, within) == Fraction(30, 366)
    assert period_factor(ONE, rules, "month", 1, over) == Fraction(19, 365) + Fraction(12, 366)


def test_only_a_period_that_holds_29_february_has_a_year_of_366_days() -> None:
    rules = Conventions(day_count="act/act", leap_rule="feb29_period")
    found = [
        period_factor(ONE, rules, "month", 1, Period(*ends))
        for ends in (
            (date(2023, 12, 31), date(2024, 1, 31)),
            (date(2024, 1, 31), date(2024, 2, 29)),
            (date(2024, 2, 29), date(2024, 3, 31)),  # after the 29th: not in it any more
            (date(2024, 12, 15), date(2025, 1, 15)),
        )
    ]
    assert found == [Fraction(31, 365), Fraction(29, 366), Fraction(31, 365), Fraction(31, 365)]
    # Over New Year and over 29 February: each piece by its own year.
    quarter = Period(date(2023, 12, 15), date(2024, 3, 15))
    assert period_factor(ONE, rules, "month", 3, quarter) == Fraction(16, 365) + Fraction(75, 366)
    # A part of a period goes by the whole one.
    january = Period(date(2024, 1, 31), date(2024, 2, 29))
    assert period_factor(ONE, rules, "month", 1, january, None, date(2024, 2, 10)) == Fraction(10, 366)


def test_an_odd_period_is_prorated_by_the_days_of_a_whole_one() -> None:
    # Due on the 10th: from 23 November it would have begun on 10 December (31 days); it is 48 days long.
    odd = Period(date(2026, 11, 23), date(2027, 1, 10), date(2026, 12, 10))
    for count in ("period", "30/360"):
        assert period_factor(ONE, Conventions(day_count=count), "month", 1, odd) == Fraction(48, 31 * 12)
    assert period_factor(ONE, Conventions(day_count="act/365"), "month", 1, odd) == Fraction(48, 365)


@pytest.mark.parametrize(
    ("period", "since"),
    [
        (Period(date(2026, 1, 1), date(2026, 1, 1)), None),
        (Period(date(2026, 1, 2), date(2026, 1, 1)), None),
        (Period(date(2026, 1, 1), date(2026, 2, 1)), date(2026, 2, 2)),
    ],
)
def test_a_period_without_days_has_no_factor(period: Period, since: date | None) -> None:
    with pytest.raises(InterestError, match="a period of at least a day"):
        period_factor(ONE, Conventions(), "month", 1, period, since)


@st.composite
def split_periods(draw: st.DrawFn) -> tuple[Conventions, Period, date]:
    rules = Conventions(
        day_count=draw(st.sampled_from([count for count in COUNTS if count != "30/act"])),
        year_split=draw(st.sampled_from(["dec31", "jan1"])),
        leap_rule=draw(st.sampled_from(["actual", "feb29_period"])),
    )
    start = draw(st.dates(date(2018, 1, 1), date(2032, 1, 1)))
    days = draw(st.integers(1, 500))
    cut = start + timedelta(days=draw(st.integers(0, days)))
    return rules, Period(start, start + timedelta(days=days)), cut


@given(split_periods())
def test_the_parts_of_a_period_come_to_the_whole(case: tuple[Conventions, Period, date]) -> None:
    rules, period, cut = case
    whole = period_factor(ONE, rules, "month", 1, period)
    before = period_factor(ONE, rules, "month", 1, period, None, cut)
    after = period_factor(ONE, rules, "month", 1, period, cut)
    assert before >= 0
    assert after >= 0
    assert before + after == whole


@given(
    st.sampled_from(COUNTS),
    st.decimals(Decimal(0), Decimal(5), places=6),
    st.dates(date(2018, 1, 1), date(2032, 1, 1)),
    st.integers(1, 12),
    st.sampled_from([12, 19, 34]),
)
def test_bounded_digits_stay_next_to_the_exact_factor(
    count: DayCount, rate: Decimal, start: date, every: int, digits: int
) -> None:
    (period,) = months(start, 1, every)
    exact = period_factor(Fraction(rate), Conventions(day_count=count), "month", every, period)
    bounded = period_factor(
        Fraction(rate), Conventions(day_count=count, digits=digits), "month", every, period
    )
    # Four steps, each off by half a unit of its last digit at most; and never more decimals than digits.
    assert abs(bounded - exact) <= (exact + 1) * Fraction(3, 10 ** (digits - 1))
    assert (bounded * 10**digits).denominator == 1
