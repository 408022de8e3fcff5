"""Time between dates as the laws on cost count it, exactly: whole units and what is left over.

Each method of cost has its own clock. United States (12 CFR 1026, Appendix J (b)(3)-(5)): unit periods counted back
from the later date, a month's odd days as thirtieths. European Union (Directive 2008/48/EC, Annex I; (EU) 2023/2225,
Annex III): whole years, months or weeks counted back, odd days over the 365 or 366 days of the year that ends with them.
United Kingdom (CONC App 1.2): the same units counted forward, odd days as parts of their calendar year. Effective
rates of act/365: days over 365. The mainland's simple rate: periods counted forward from the start, a month's odd days as
thirtieths.

Everything here is dates and fractions; rates are found in `fenqi.terms.cost`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Final, Literal, get_args

import msgspec

from fenqi.calendars import Unit, add_months
from fenqi.problems import BadInput

__all__ = [
    "IntervalError",
    "UnitKind",
    "UnitPeriod",
    "act365_years",
    "check_unit",
    "eu_years",
    "month_years",
    "months_back",
    "odd_days",
    "odd_periods",
    "periods_per_year",
    "shared_day",
    "uk_years",
    "unit_period_of",
    "us_unit_periods",
]

UnitKind = Literal["day", "week", "half_month", "month", "year"]


class IntervalError(BadInput):
    """Dates or units between which no time can be counted."""


class UnitPeriod(msgspec.Struct, frozen=True):
    """The period that a transaction is counted in: `every` days, weeks, half months, months or years.

    >>> UnitPeriod("week", 4).per_year, UnitPeriod("half_month").per_year, UnitPeriod("day", 255).per_year
    (Fraction(13, 1), Fraction(24, 1), Fraction(73, 51))
    """

    kind: UnitKind
    every: int = 1

    @property
    def per_year(self) -> Fraction:
        """Unit periods in a year: 365 days, 52 weeks, 24 half months, 12 months (Appendix J (b)(5))."""
        return Fraction(_PER_YEAR[self.kind], self.every)


_PER_YEAR: Final = {"day": 365, "week": 52, "half_month": 24, "month": 12, "year": 1}
_UNIT_DAYS: Final = {"day": 1, "week": 7}


def check_unit(unit: UnitPeriod) -> UnitPeriod:
    """The unit itself; `IntervalError` where it is none."""
    if unit.kind not in get_args(UnitKind):
        raise IntervalError("unit", unit.kind, "one of " + ", ".join(get_args(UnitKind)))
    if type(unit.every) is not int or not 1 <= unit.every <= 3660:
        raise IntervalError("every", str(unit.every), "1 to 3660 units")
    return unit


def months_back(start: date, end: date, day: int | None = None) -> tuple[int, date]:
    """Whole months from `end` back towards `start`, and the date where they begin (`start` or later).

    A day that a month does not have is its last. `day` is the day of the month that a series of dates means (31: the
    month's last); left out, the last day of a month also stands for the later day on which `start` lies: from 31 January to
    28 February is one month.

    >>> months_back(date(2012, 1, 12), date(2012, 3, 15))
    (2, datetime.date(2012, 1, 15))
    >>> months_back(date(2024, 1, 31), date(2025, 2, 28))
    (13, datetime.date(2024, 1, 31))
    """
    months, meant = _back(start, end, day)
    return months, _months_before(end, months, meant)


def us_unit_periods(start: date, end: date, unit: UnitPeriod, day: int | None = None) -> Fraction:
    """Unit periods from `start` to `end` by Appendix J (b)(5): the whole part t and the fraction f in one number.

    `day` is the series' day of the month, see `shared_day`.

    >>> us_unit_periods(date(1978, 2, 23), date(1978, 3, 1), UnitPeriod("half_month"))
    Fraction(2, 5)
    >>> us_unit_periods(date(1978, 1, 17), date(1979, 7, 17), UnitPeriod("year"))
    Fraction(3, 2)
    """
    check_unit(unit)
    _in_order(start, end)
    if unit.kind in _UNIT_DAYS:
        return Fraction((end - start).days, _UNIT_DAYS[unit.kind] * unit.every)
    months, meant = _back(start, end, day)
    odd = (_months_before(end, months, meant) - start).days
    if unit.kind != "year":
        # A month's odd days never exceed 30, so that t + f is the whole of it: 1 + 30/30 discounts as 2 + 0/30 does.
        return Fraction(30 * months + odd, unit.every * (15 if unit.kind == "half_month" else 30))
    years, rest = divmod(months, 12)
    if odd:
        odd = (_months_before(end, years * 12, meant) - start).days
        return (years + Fraction(odd, 365)) / unit.every
    return (years + Fraction(rest, 12)) / unit.every


def eu_years(start: date, end: date, unit: Literal["day", "week", "month", "year"] = "month") -> Fraction:
    """Years from `start` to `end`: whole units back from the end, then days over the length of the year ending with them.

    Days alone (`day`) are whole years and days.

    >>> eu_years(date(2013, 1, 12), date(2013, 3, 15)) == Fraction(2, 12) + Fraction(3, 366)
    True
    >>> eu_years(date(2012, 1, 12), date(2012, 1, 30), "week") == Fraction(2, 52) + Fraction(4, 365)
    True
    """
    whole, begin = _units_back(start, end, unit)
    odd = (begin - start).days
    if not odd:
        return whole
    return whole + Fraction(odd, (begin - _year_before(begin)).days)


def uk_years(start: date, end: date, unit: Literal["day", "week", "month", "year"] = "month") -> Fraction:
    """Years from `start` to `end`: whole units forward from the start, then each day as a part of its calendar year.

    >>> uk_years(date(2024, 11, 25), date(2025, 1, 5)) == Fraction(1, 12) + Fraction(6, 366) + Fraction(5, 365)
    True
    """
    _in_order(start, end)
    if unit == "week":
        weeks = (end - start).days // 7
        whole, begin = Fraction(weeks, 52), date.fromordinal(start.toordinal() + 7 * weeks)
    else:
        months = _months_forward(start, end)
        if unit != "month":
            months -= months % 12
        whole, begin = Fraction(months, 12), add_months(start, months)
    # The first day is left out, the last one counts.
    for year in range(begin.year, end.year + 1):
        first = begin if year == begin.year else date(year - 1, 12, 31)
        last = end if year == end.year else date(year, 12, 31)
        whole += Fraction((last - first).days, 366 if _is_leap(year) else 365)
    return whole


def act365_years(start: date, end: date) -> Fraction:
    """Days over 365, leap years too.

    >>> act365_years(date(2008, 1, 1), date(2009, 1, 1))
    Fraction(366, 365)
    """
    _in_order(start, end)
    return Fraction((end - start).days, 365)


def month_years(start: date, end: date) -> Fraction:
    """Years as twelfths, for dates that are whole months apart; `IntervalError` for others.

    >>> month_years(date(2026, 10, 31), date(2027, 2, 28))
    Fraction(1, 3)
    """
    months, begin = months_back(start, end)
    if begin != start:
        raise IntervalError(
            "date", end.isoformat(), f"a date whole months after {start}", "use a method that counts days"
        )
    return Fraction(months, 12)


def odd_periods(start: date, end: date, unit: UnitPeriod) -> Fraction:
    """Periods from `start` to `end`, whole ones counted forward, for the mainland's simple rate: odd days of months as 30ths.

    >>> odd_periods(date(2026, 11, 22), date(2026, 12, 10), UnitPeriod("month"))
    Fraction(3, 5)
    """
    return Fraction(*odd_days(start, end, unit))


def odd_days(start: date, end: date, unit: UnitPeriod) -> tuple[int, int]:
    """`odd_periods` as days over the days of a period: a month has 30 here, whatever its length.

    >>> odd_days(date(2026, 11, 22), date(2027, 1, 10), UnitPeriod("month"))
    (49, 30)
    """
    check_unit(unit)
    _in_order(start, end)
    if unit.kind in _UNIT_DAYS:
        return (end - start).days, _UNIT_DAYS[unit.kind] * unit.every
    months = _months_forward(start, end)
    days = 30 * months + (end - add_months(start, months)).days
    return days, {"half_month": 15, "month": 30, "year": 360}[unit.kind] * unit.every


def periods_per_year(unit: Unit, every: int) -> Fraction:
    """How many periods of `every` units a year has: months by twelfths, days by 365ths.

    >>> periods_per_year("month", 1), periods_per_year("week", 2)
    (Fraction(12, 1), Fraction(365, 14))
    """
    if unit == "month":
        return Fraction(12, every)
    if unit == "half_month":
        return Fraction(24, every)
    return Fraction(365, every * (7 if unit == "week" else 1))


def shared_day(dates: Iterable[date]) -> int | None:
    """The day of the month that a series of dates means, 31 for the month's last; None where they share none.

    Appendix J (b)(3)(iv): a series on the last day of each month, and one on the 29th or 30th, keep their day in February.

    >>> shared_day([date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)]), shared_day([date(2026, 1, 30), date(2026, 2, 28)])
    (31, 30)
    """
    series = sorted(set(dates))
    days = {on.day for on in series}
    if not days:
        return None
    highest = max(days)
    if any(on.day != min(highest, _last_day(on)) for on in series):
        return None
    if len(days) > 1 and all(on.day == _last_day(on) for on in series):
        return 31
    return highest


def unit_period_of(advances: Sequence[date], payments: Sequence[date]) -> UnitPeriod:
    """The unit period of a transaction by Appendix J (b)(4).

    The period that occurs most often between advances, between payments, and from the start to the first payment, at most a
    year; of two as frequent ones the shorter; without any, the average, rounded to the nearest standard interval. For one
    advance and one payment the term itself, at most a year.

    >>> unit_period_of([date(1978, 2, 23)], [date(1978, 3, 1), date(1978, 3, 16), date(1978, 4, 1), date(1978, 4, 16)])
    UnitPeriod(kind='half_month', every=1)
    """
    lent, paid = sorted(set(advances)), sorted(set(payments))
    if not lent or not paid:
        raise IntervalError("flows", "one side", "an advance and its payments")
    start = lent[0]
    paid = [on for on in paid if on > start]
    if not paid:
        raise IntervalError("payments", "at the start", "a payment after the first advance")
    if len(lent) == 1 and len(paid) == 1:
        return _term(start, paid[0])
    if _is_half_monthly(paid):
        return UnitPeriod("half_month")
    steps = [*_steps(lent), *_steps([start, *paid])]
    # Four weeks from the 10th of February are a month, too: what the others are decides.
    months_first = Counter(_named(a, b, shared_day(paid), weeks_first=False) for a, b in steps)
    weeks_first = Counter(_named(a, b, shared_day(paid), weeks_first=True) for a, b in steps)
    named = months_first if max(months_first.values()) >= max(weeks_first.values()) else weeks_first
    most = max(named.values())
    if most > 1:
        common = min((unit for unit, times in named.items() if times == most), key=_length)
        return common if _length(common) <= 365 else UnitPeriod("year")
    return _nearest(Fraction(sum((b - a).days for a, b in steps), len(steps)))


def _term(start: date, end: date) -> UnitPeriod:
    months, begin = months_back(start, end)
    if months >= 12:
        return UnitPeriod("year")
    if begin == start:
        return UnitPeriod("month", months)
    return UnitPeriod("day", (end - start).days)


def _is_half_monthly(series: Sequence[date]) -> bool:
    """Three dates or more, alternating between two days of the month that lie half a month apart."""
    if len(series) < 3:
        return False
    if any(not 12 <= (b - a).days <= 18 for a, b in _steps(series)):
        return False
    odd, even = shared_day(series[::2]), shared_day(series[1::2])
    steps = {(b - a).days for a, b in _steps(series)}
    return odd is not None and even is not None and odd != even and (len(steps) > 1 or steps == {15})


def _named(start: date, end: date, day: int | None, *, weeks_first: bool) -> UnitPeriod:
    days = (end - start).days
    months, begin = months_back(start, end, day)
    is_months = months > 0 and begin == start
    if days % 7 == 0 and (weeks_first or not is_months):
        return UnitPeriod("week", days // 7)
    if not is_months:
        return UnitPeriod("day", days)
    return UnitPeriod("year", months // 12) if months % 12 == 0 else UnitPeriod("month", months)


def _length(unit: UnitPeriod) -> int:
    return unit.every * {"day": 1, "week": 7, "half_month": 15, "month": 30, "year": 365}[unit.kind]


def _nearest(average_days: Fraction) -> UnitPeriod:
    standard = [
        UnitPeriod("day"),
        *(UnitPeriod("week", weeks) for weeks in range(1, 53)),
        UnitPeriod("half_month"),
        *(UnitPeriod("month", months) for months in range(1, 12)),
        UnitPeriod("year"),
    ]
    # Equally near: the lower. Of one length: months before weeks, since payments name days of the month.
    return min(
        standard, key=lambda unit: (abs(_length(unit) - average_days), _length(unit), unit.kind == "week")
    )


def _steps(series: Sequence[date]) -> list[tuple[date, date]]:
    return list(pairwise(series))


def _units_back(start: date, end: date, unit: str) -> tuple[Fraction, date]:
    _in_order(start, end)
    if unit == "week":
        weeks = (end - start).days // 7
        return Fraction(weeks, 52), date.fromordinal(end.toordinal() - 7 * weeks)
    if unit not in ("day", "month", "year"):
        raise IntervalError("unit", unit, "one of day, week, month, year")
    months, meant = _back(start, end, None)
    if unit != "month":
        months -= months % 12
    return Fraction(months, 12), _months_before(end, months, meant)


def _back(start: date, end: date, day: int | None) -> tuple[int, int]:
    """Whole months that fit between the two, counted back from `end`, and the day of the month that `end` means."""
    _in_order(start, end)
    meant = end.day
    if day is not None and end.day == min(day, _last_day(end)):
        meant = day
    elif start.day > end.day and end.day == _last_day(end):
        meant = start.day
    months = (end.year - start.year) * 12 + end.month - start.month
    if months and _months_before(end, months, meant) < start:
        months -= 1
    return months, meant


def _months_before(end: date, months: int, meant: int) -> date:
    if not months:
        return end
    index = end.year * 12 + end.month - 1 - months
    return add_months(date(index // 12, 1, meant), index % 12)


def _months_forward(start: date, end: date) -> int:
    months = (end.year - start.year) * 12 + end.month - start.month
    return months if add_months(start, months) <= end else months - 1


def _year_before(on: date) -> date:
    return (
        on.replace(year=on.year - 1, day=28)
        if (on.month, on.day) == (2, 29)
        else on.replace(year=on.year - 1)
    )


def _last_day(on: date) -> int:
    return add_months(date(on.year, 1, 31), on.month - 1).day


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _in_order(start: date, end: date) -> None:
    if end < start:
        raise IntervalError("date", end.isoformat(), f"a date not before {start.isoformat()}")
