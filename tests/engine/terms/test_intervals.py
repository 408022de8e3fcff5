"""Time between dates: the regulators' own examples, and what must hold for any two dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.calendars import add_months
from fenqi.terms.cost import (
    ACT365,
    EU,
    MONTHS,
    SIMPLE,
    UK,
    US,
    CashFlow,
    CashFlows,
    CostError,
    DatedFlow,
    DatedFlows,
    annual_cost,
    counted,
)
from fenqi.terms.disclosure import percent
from fenqi.terms.intervals import (
    IntervalError,
    UnitPeriod,
    act365_years,
    eu_years,
    month_years,
    months_back,
    odd_periods,
    shared_day,
    uk_years,
    unit_period_of,
    us_unit_periods,
)

Flow = tuple[str, str]


def on(text: str) -> date:
    return date.fromisoformat(text)


def flows(advances: Sequence[Flow], payments: Sequence[Flow]) -> DatedFlows:
    def side(moves: Sequence[Flow]) -> tuple[DatedFlow, ...]:
        return tuple(DatedFlow(on(day), round(float(amount) * 100)) for day, amount in moves)

    return DatedFlows(side(advances), side(payments))


def monthly(first: str, amount: str, times: int, every: int = 1) -> list[Flow]:
    return [(add_months(on(first), every * number).isoformat(), amount) for number in range(times)]


def weekly(first: str, amount: str, times: int, every: int = 1) -> list[Flow]:
    return [((on(first) + timedelta(weeks=every * number)).isoformat(), amount) for number in range(times)]


# 12 CFR 1026 Appendix J (c), beyond those of the vectors; the unit period is found from the dates.

FEBRUARY = ("1978-02-10", "250")


@pytest.mark.parametrize(
    ("example", "advance", "payments", "unit", "apr"),
    [
        ("c1ii", ("1978-02-10", "6000"), monthly("1978-04-01", "200", 36), UnitPeriod("month"), "11.82"),
        (
            "c1iv",
            ("1978-05-23", "10000"),
            monthly("1978-10-01", "385", 40, 3),
            UnitPeriod("month", 3),
            "8.97",
        ),
        (
            "c3i",
            ("1978-01-10", "5000"),
            [*monthly("1978-02-10", "230", 23), ("1980-01-10", "280")],
            UnitPeriod("month"),
            "10.50",
        ),
        (
            "c3ii",
            ("1978-04-03", "200"),
            [*weekly("1978-04-11", "9.50", 19, 2), ("1979-01-02", "30")],
            UnitPeriod("week", 2),
            "12.22",
        ),
        (
            "c4i",
            ("1978-01-10", "5000"),
            [FEBRUARY, *monthly("1978-03-10", "230", 22), ("1980-01-10", "280")],
            UnitPeriod("month"),
            "10.90",
        ),
        (
            "c4ii",
            ("1978-01-10", "8000"),
            [("1978-03-01", "449.36"), *monthly("1978-05-01", "465", 18, 2), ("1981-05-01", "200")],
            UnitPeriod("month", 2),
            "7.30",
        ),
        ("c5i", ("1978-01-03", "1000"), [("1978-09-15", "1080")], UnitPeriod("day", 255), "11.45"),
        ("c5ii", ("1978-07-15", "1000"), [("1979-01-15", "1044")], UnitPeriod("month", 6), "8.80"),
        ("c5iii", ("1978-01-17", "1000"), [("1979-07-17", "1135.19")], UnitPeriod("year"), "8.76"),
        ("c5iv", ("1978-01-03", "1000"), [("1980-01-03", "1240")], UnitPeriod("year"), "11.36"),
    ],
)
def test_the_examples_of_appendix_j(
    example: str, advance: Flow, payments: list[Flow], unit: UnitPeriod, apr: str
) -> None:
    given_flows = flows([advance], payments)
    found = unit_period_of([on(advance[0])], [on(day) for day, _ in payments])
    assert found == unit, example
    rate = annual_cost(US, given_flows).rate_e12
    assert rate is not None
    assert percent(rate) == apr, example


# The Commission's examples (guidelines on the APR, annex 1, 4.1.1) beyond those of the vectors.


@pytest.mark.parametrize(
    ("start", "end", "unit", "years"),
    [
        ("2019-01-12", "2020-01-12", "month", "1"),
        ("2013-01-12", "2013-04-15", "month", "3/12 + 3/366"),
        ("2013-02-25", "2013-03-28", "month", "1/12 + 3/366"),
        ("2013-02-26", "2013-03-29", "month", "1/12 + 2/366"),
        ("2012-02-26", "2012-03-29", "month", "1/12 + 3/366"),
        ("2012-02-26", "2012-02-26", "month", "0"),
        ("2012-01-12", "2012-02-15", "year", "34/365"),
        ("2012-01-12", "2013-02-15", "year", "1 + 34/365"),
        ("2012-01-12", "2014-02-15", "year", "2 + 34/365"),
        ("2020-01-01", "2021-03-15", "year", "1 + 74/366"),
        ("2024-02-28", "2025-02-27", "year", "365/366"),
        ("2012-01-12", "2012-01-26", "week", "2/52"),
        ("2012-01-12", "2013-01-10", "week", "1"),
        ("2012-01-12", "2012-01-30", "week", "2/52 + 4/365"),
        ("2012-01-12", "2013-01-12", "week", "1 + 2/365"),
        # A month's last day stands for the day that it does not have.
        ("2024-12-31", "2025-02-28", "month", "2/12"),
        ("2024-02-29", "2024-03-31", "month", "1/12"),
        ("2024-01-31", "2025-02-28", "month", "13/12"),
        ("2024-02-29", "2025-02-28", "year", "1"),
        ("2024-02-29", "2025-03-31", "year", "1 + 31/366"),
        ("2024-02-28", "2024-03-31", "month", "1/12 + 1/366"),
        ("2012-01-12", "2014-02-15", "day", "2 + 34/365"),
    ],
)
def test_years_of_the_union_are_counted_back(start: str, end: str, unit: str, years: str) -> None:
    assert eu_years(on(start), on(end), unit) == sum(map(Fraction, years.split(" + ")))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "end", "unit", "years"),
    [
        ("2025-01-31", "2025-02-28", "month", "1/12"),
        ("2025-01-12", "2025-02-15", "month", "1/12 + 3/365"),
        ("2023-12-15", "2024-02-29", "month", "2/12 + 14/366"),
        ("2024-11-25", "2025-01-05", "month", "1/12 + 6/366 + 5/365"),
        ("2025-01-31", "2025-02-28", "week", "4/52"),
        ("2023-01-01", "2024-01-14", "week", "1 + 2/52"),
        ("2024-01-12", "2024-01-30", "week", "2/52 + 4/366"),
        ("2024-01-12", "2024-01-12", "week", "0"),
        ("2024-03-01", "2026-03-31", "year", "2 + 30/365"),
        ("2023-12-31", "2024-01-30", "month", "30/366"),
    ],
)
def test_years_of_the_united_kingdom_are_counted_forward(start: str, end: str, unit: str, years: str) -> None:
    assert uk_years(on(start), on(end), unit) == sum(map(Fraction, years.split(" + ")))  # type: ignore[arg-type]


def test_back_and_forward_differ_where_months_do() -> None:
    # Back from 10 March: 10 February, and 13 days from 28 January. Forward from 28 January: 28 February, and 10 days.
    start, end = date(2026, 1, 28), date(2026, 3, 10)
    assert eu_years(start, end) == Fraction(1, 12) + Fraction(13, 365)
    assert uk_years(start, end) == Fraction(1, 12) + Fraction(10, 365)
    assert us_unit_periods(start, end, UnitPeriod("month")) == 1 + Fraction(13, 30)
    assert odd_periods(start, end, UnitPeriod("month")) == 1 + Fraction(10, 30)


# Unit periods of the United States.


@pytest.mark.parametrize(
    ("advances", "payments", "unit"),
    [
        # Four weeks from 10 February are a month: the other periods decide.
        (["2026-01-13"], ["2026-02-10", "2026-03-10", "2026-04-07"], UnitPeriod("week", 4)),
        (["2026-01-10"], ["2026-02-10", "2026-03-10", "2026-04-10"], UnitPeriod("month")),
        # The last day of each month, and the 30th, stay themselves in February.
        (["2025-12-31"], ["2026-01-31", "2026-02-28", "2026-03-31"], UnitPeriod("month")),
        (["2025-12-30"], ["2026-01-30", "2026-02-28", "2026-03-30"], UnitPeriod("month")),
        # The most frequent; of two as frequent the smaller.
        (["2026-01-10"], ["2026-02-10", "2026-03-10", "2026-06-10", "2026-09-10"], UnitPeriod("month")),
        (["2026-01-01"], ["2026-01-08", "2026-01-15", "2026-02-15", "2026-03-15"], UnitPeriod("week")),
        (["2026-01-15"], ["2026-01-31", "2026-02-15", "2026-02-28", "2026-03-15"], UnitPeriod("half_month")),
        (["2026-01-01"], ["2026-01-11", "2026-01-21", "2026-01-31"], UnitPeriod("day", 10)),
        # Every two years, but a unit period is a year at most.
        (["2026-01-01"], ["2028-01-01", "2030-01-01", "2032-01-01"], UnitPeriod("year")),
        # No common period: the average, here (20 + 40) / 2 = 30 days.
        (["2026-01-01"], ["2026-01-21", "2026-03-02"], UnitPeriod("month")),
        # The average of 50 and 51 days lies between 49 (7 weeks) and 56.
        (["2026-01-01"], ["2026-02-20", "2026-04-12"], UnitPeriod("week", 7)),
        # A term of a year and more is counted in years.
        (["2026-01-01"], ["2027-01-01"], UnitPeriod("year")),
        (["2026-01-01"], ["2026-12-31"], UnitPeriod("day", 364)),
        # Advances have periods too.
        (["2026-01-05", "2026-02-05", "2026-03-05"], ["2026-12-01"], UnitPeriod("month")),
    ],
)
def test_the_unit_period_is_found(advances: list[str], payments: list[str], unit: UnitPeriod) -> None:
    assert unit_period_of([on(day) for day in advances], [on(day) for day in payments]) == unit


def test_a_series_on_the_last_day_counts_from_last_day_to_last_day() -> None:
    # From 15 January: to 31 January 16 days; each further last day is a month more, the 28th of February too.
    series = flows(
        [("2026-01-15", "300")], [("2026-01-31", "100"), ("2026-02-28", "100"), ("2026-03-31", "101")]
    )
    odd = Fraction(16, 30)
    assert [flow.at for flow in counted(US, series).payments] == [odd, 1 + odd, 2 + odd]


def test_last_days_mean_the_last_day_even_where_no_month_of_31_days_is_among_them() -> None:
    assert shared_day([date(2026, 2, 28), date(2026, 4, 30)]) == 31
    assert shared_day([date(2026, 4, 30), date(2026, 6, 30)]) == 30
    assert shared_day([date(2026, 2, 28), date(2026, 4, 29)]) == 29
    assert shared_day([date(2026, 2, 27), date(2026, 4, 29)]) is None
    assert shared_day([]) is None


def test_a_year_is_counted_in_months_where_they_are_whole_else_in_days() -> None:
    year = UnitPeriod("year")
    assert us_unit_periods(date(1978, 1, 17), date(1979, 7, 17), year) == Fraction(18, 12)
    assert us_unit_periods(date(1978, 1, 17), date(1979, 7, 18), year) == 1 + Fraction(182, 365)
    assert us_unit_periods(date(1978, 1, 17), date(1978, 7, 18), year) == Fraction(182, 365)


def test_units_of_months_count_30_days_for_each() -> None:
    # Appendix J (c)(1)(iv): from 1 July to 1 October one quarter, from 23 May 39 days of 90.
    assert us_unit_periods(date(1978, 5, 23), date(1978, 10, 1), UnitPeriod("month", 3)) == 1 + Fraction(
        39, 90
    )
    assert us_unit_periods(date(1978, 2, 23), date(1978, 3, 16), UnitPeriod("half_month")) == 1 + Fraction(
        6, 15
    )
    assert us_unit_periods(date(1978, 3, 20), date(1978, 4, 21), UnitPeriod("week")) == Fraction(32, 7)


def test_units_have_their_own_year() -> None:
    assert UnitPeriod("week", 2).per_year == 26
    assert UnitPeriod("half_month").per_year == 24
    assert UnitPeriod("month", 5).per_year == Fraction(12, 5)
    assert UnitPeriod("day").per_year == 365


# Whole methods over dates.


def test_one_payment_after_30_days_by_each_method() -> None:
    # 100 for 101.50 after the 30 days to 9 February.
    thirty = flows([("2026-01-10", "100")], [("2026-02-09", "101.50")])
    found = {method: annual_cost(method, thirty).rate_e12 for method in (SIMPLE, US, EU, UK, ACT365)}
    assert all(rate is not None for rate in found.values())
    shown = {method: percent(rate or 0) for method, rate in found.items()}
    # 1.5 % x 365/30 is 18.25; 1.015^(365/30) - 1 is 19.86 (no month is whole, so 30 days of 365 everywhere).
    assert shown == {SIMPLE: "18.25", US: "18.25", EU: "19.86", UK: "19.86", ACT365: "19.86"}


def test_regular_months_are_the_same_by_date_and_by_period() -> None:
    dated = flows([("2026-10-31", "6000")], [("2026-11-30", "536"), *monthly("2026-12-31", "536", 11)])
    by_period = CashFlows((CashFlow(0, 600_000),), tuple(CashFlow(k, 53_600) for k in range(1, 13)))
    for method in (SIMPLE, US, EU, UK, MONTHS):
        assert annual_cost(method, dated) == annual_cost(method, by_period), method


def test_weeks_have_52_to_a_year_by_law_and_365_sevenths_by_custom() -> None:
    dated = flows([("2026-01-05", "100")], weekly("2026-01-12", "26", 4))
    period = annual_cost("periodic_irr@1", dated).rate_e12
    assert period is not None
    assert annual_cost(US, dated).rate_e12 == pytest.approx(period * 52, abs=52)
    assert annual_cost(SIMPLE, dated).rate_e12 == pytest.approx(period * 365 / 7, abs=53)
    assert counted(EU, dated).payments[0].at == Fraction(1, 52)


def test_a_unit_said_is_the_unit_taken() -> None:
    dated = flows([("2026-01-10", "100")], [("2026-04-10", "105")])
    assert counted(US, dated).periods_per_year == 4
    assert counted(US, dated, UnitPeriod("month")).periods_per_year == 12
    assert counted(EU, dated, UnitPeriod("week")).payments[0].at == Fraction(12, 52) + Fraction(6, 365)


@pytest.mark.parametrize(
    ("advances", "payments", "place"),
    [
        ([("2026-01-10", "100")], [("2026-01-09", "50"), ("2026-03-01", "60")], "payments[0].on"),
        ([("1700-01-10", "100")], [("2026-01-09", "50")], "advances[0].on"),
        ([("2026-01-10", "100")], [("2600-01-09", "50")], "payments[0].on"),
    ],
)
def test_dates_out_of_the_calendar_or_of_order_are_refused(
    advances: list[Flow], payments: list[Flow], place: str
) -> None:
    with pytest.raises(CostError) as refused:
        annual_cost(EU, flows(advances, payments))
    assert refused.value.problem.place == place


def test_dates_of_one_side_alone_have_no_rate_and_say_so() -> None:
    for one_side in (flows([("2026-01-10", "100")], []), flows([], [("2026-01-10", "100")])):
        found = annual_cost(ACT365, one_side)
        assert (found.rate_e12, found.undefined) == (None, "one_signed")
    with pytest.raises(CostError, match="flows is empty"):
        annual_cost(ACT365, flows([], []))
    with pytest.raises(CostError, match="cancel out"):
        annual_cost(US, flows([("2026-01-10", "100")], [("2026-01-10", "100")]))


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(IntervalError, match="whole months after 2026-01-10"):
        annual_cost(MONTHS, flows([("2026-01-10", "100")], [("2026-02-11", "101")]))
    with pytest.raises(IntervalError, match="not before 2026-02-01"):
        eu_years(date(2026, 2, 1), date(2026, 1, 1))
    with pytest.raises(IntervalError, match="unit is fortnight"):
        counted(US, flows([("2026-01-10", "100")], [("2026-02-11", "101")]), UnitPeriod("fortnight"))  # type: ignore[arg-type]
    with pytest.raises(IntervalError, match="every is 0"):
        us_unit_periods(date(2026, 1, 1), date(2026, 2, 1), UnitPeriod("week", 0))


def test_a_charge_kept_back_lowers_the_advance() -> None:
    kept = flows([("2026-01-10", "100")], [("2026-01-10", "2"), ("2026-02-10", "101")])
    net = flows([("2026-01-10", "98")], [("2026-02-10", "101")])
    assert annual_cost(US, kept) == annual_cost(US, net)


# What holds for any two dates.

days = st.dates(date(1900, 1, 1), date(2199, 12, 31))
spans = st.integers(0, 12_000)


@given(days, spans)
def test_every_clock_tells_about_the_time_that_passed(start: date, span: int) -> None:
    end = start + timedelta(days=span)
    passed = Fraction(span, 365) - Fraction(span, 1461) / 365  # days over 365.25
    for unit in ("day", "week", "month", "year"):
        for years in (eu_years, uk_years):
            # A week is 1/52: a day or two too little in a year; elsewhere only leap days and lengths of months.
            allowed = Fraction(3, 365) + (passed * Fraction(2, 365) if unit == "week" else Fraction(3, 365))
            assert abs(years(start, end, unit) - passed) <= allowed  # type: ignore[arg-type]
    for unit_period in (
        UnitPeriod("month"),
        UnitPeriod("half_month"),
        UnitPeriod("month", 7),
        UnitPeriod("year"),
    ):
        for count in (us_unit_periods, odd_periods):
            told = count(start, end, unit_period) / unit_period.per_year
            assert abs(told - passed) <= Fraction(6, 365)
    assert act365_years(start, end) * 365 == span


@given(days, st.integers(0, 360))
def test_whole_months_are_whole_by_every_clock(start: date, months: int) -> None:
    end = add_months(start, months)
    assert months_back(start, end) == (months, start)
    assert month_years(start, end) == eu_years(start, end) == uk_years(start, end) == Fraction(months, 12)
    assert us_unit_periods(start, end, UnitPeriod("month")) == months
    assert odd_periods(start, end, UnitPeriod("month")) == months


@given(days, spans)
def test_what_is_left_of_a_month_is_less_than_one(start: date, span: int) -> None:
    end = start + timedelta(days=span)
    months, begin = months_back(start, end)
    assert 0 <= (begin - start).days <= 30
    assert months >= 0
    assert us_unit_periods(start, end, UnitPeriod("month")) - months <= 1


@given(st.integers(1, 31), st.lists(st.integers(0, 30), min_size=2, max_size=8, unique=True))
def test_a_series_shares_its_day(day: int, months: list[int]) -> None:
    first = date(2026, 1, 1)
    dates = [add_months(first.replace(day=day), step) for step in months]
    shared = shared_day(dates)
    assert shared is not None
    assert all(min(shared, 28) == min(on.day, 28) for on in dates)
    # A day before the others' belongs to no such series.
    if min(dates).day > 1:
        assert shared_day([*dates, min(dates) - timedelta(days=1)]) in (None, 31)
