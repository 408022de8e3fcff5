"""Interest factors: which part of a balance is a period's interest.

A period's factor is the nominal yearly rate times the share of a year that the period is. What that share is, is custom:
a twelfth for any month (`period`), 30 days in 360 (`30/360`), or its real days in the year's real days (`act/act`). Factors
are exact ratios, or carry a fixed number of digits where the engine that they shall agree with does (`Conventions.digits`).

>>> from fenqi.terms.plan import Conventions
>>> january = Period(date(2026, 1, 1), date(2026, 2, 1))
>>> rate = Fraction(12, 100)
>>> [str(period_factor(rate, Conventions(day_count=count), "month", 1, january)) for count in ("30/360", "act/365")]
['1/100', '93/9125']
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterable
from datetime import date
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

import msgspec

from fenqi.calendars import Unit
from fenqi.problems import BadInput
from fenqi.terms.plan import Conventions

__all__ = ["InterestError", "Period", "arithmetic_of", "period_factor", "period_factors", "period_rate"]

_MONTH_DAYS: Final = {"month": 30, "half_month": 15, "week": 7, "day": 1}
"""Days of a unit where a month has 30 of them."""
_WIDE: Final = Context(prec=200, rounding=ROUND_HALF_EVEN, Emax=MAX_EMAX, Emin=MIN_EMIN)


class InterestError(BadInput):
    """A period or a convention of which no interest can be asked."""


class Period(msgspec.Struct, frozen=True, gc=False):
    """The days after `from_on` up to `due_on`. `regular_from_on`: where a whole period up to `due_on` would have begun.

    Left out, the period is a whole one. An odd one is prorated: its days by those of the whole one.
    """

    from_on: date
    due_on: date
    regular_from_on: date | None = None


def period_rate(annual_rate: Fraction, unit: Unit, every: int) -> Fraction:
    """The rate of one period from a nominal yearly one: months are twelfths, days are 365ths.

    Whatever their dates: this is the day count `period`. (A week as a 52nd of the year is `act/364`.)

    >>> period_rate(Fraction(72, 1000), "month", 1)
    Fraction(3, 500)
    """
    if unit == "month":
        return annual_rate * Fraction(every, 12)
    if unit == "half_month":
        return annual_rate * Fraction(every, 24)
    return annual_rate * Fraction(every * (7 if unit == "week" else 1), 365)


def period_factors(
    annual_rate: Fraction, conventions: Conventions, unit: Unit, every: int, periods: Iterable[Period]
) -> tuple[Fraction, ...]:
    """The factor of each of `periods`, all of `every` units, in their order; see `period_factor`."""
    return tuple(period_factor(annual_rate, conventions, unit, every, period) for period in periods)


def period_factor(
    annual_rate: Fraction,
    conventions: Conventions,
    unit: Unit,
    every: int,
    period: Period,
    since: date | None = None,
    until: date | None = None,
) -> Fraction:
    """What part of a balance is its interest over `period`, or over the part of it after `since` and up to `until`.

    Under act/act, a period that runs over New Year is cut there (`year_split`), and each piece has its own year's days;
    30/act counts such a period by its days too. Under `feb29_period` the year has 366 days only for a whole period that
    holds a 29 February. Raises `InterestError` for a period without days.

    >>> conventions = Conventions(day_count="act/act", year_split="dec31")
    >>> over = Period(date(2023, 12, 12), date(2024, 1, 12))  # 19 days of 2023's 365, 12 of 2024's 366
    >>> period_factor(Fraction(1), conventions, "month", 1, over) == Fraction(19, 365) + Fraction(12, 366)
    True
    """
    first, last = since or period.from_on, until or period.due_on
    days = (last - first).days
    whole_days = (period.due_on - (period.regular_from_on or period.from_on)).days
    if whole_days < 1 or days < 0:
        raise InterestError("period", f"{first} to {last}", "a period of at least a day, and days within it")
    count = conventions.day_count
    if count == "period":
        share = Fraction(1)
        if unit == "month":
            share, year_days = Fraction(every), 12
        elif unit == "half_month":
            share, year_days = Fraction(every), 24
        else:
            share, year_days = Fraction(every * _MONTH_DAYS[unit]), 365
        return _factor(annual_rate, share, year_days, days, whole_days, conventions.digits)
    month_count, _, year_count = count.partition("/")
    if year_count == "act":
        pieces = _by_years(first, last, period, conventions)
        if len(pieces) > 1:
            return _factor_over_years(annual_rate, pieces, conventions.digits)
        year_days = pieces[0][1]
    else:
        year_days = int(year_count)
    if month_count == "act":
        return _factor(annual_rate, Fraction(days), year_days, 1, 1, conventions.digits)
    unit_days = Fraction(every * _MONTH_DAYS[unit])
    return _factor(annual_rate, unit_days, year_days, days, whole_days, conventions.digits)


def _by_years(first: date, last: date, period: Period, conventions: Conventions) -> list[tuple[int, int]]:
    """Days in each calendar year, with the days of that year."""
    if conventions.leap_rule == "feb29_period" and not _holds_feb29(period.from_on, period.due_on):
        return [((last - first).days, 365)]
    cut = (12, 31, 0) if conventions.year_split == "dec31" else (1, 1, 1)
    pieces: list[tuple[int, int]] = []
    for year in range(first.year, last.year + 1):
        until = last if year == last.year else date(year + cut[2], cut[0], cut[1])
        pieces.append(((until - first).days, 366 if isleap(year) else 365))
        first = until
    return pieces


def _holds_feb29(from_on: date, due_on: date) -> bool:
    return any(
        isleap(year) and from_on < date(year, 2, 29) <= due_on
        for year in range(from_on.year, due_on.year + 1)
    )


def _factor(
    rate: Fraction, share: Fraction, year: int, days: int, whole_days: int, digits: int | None
) -> Fraction:
    """rate x share / year x days / whole_days; with `digits`, each step rounded to them, in this order."""
    if digits is None:
        return rate * share * Fraction(days, year * whole_days)
    context = arithmetic_of(digits)
    part = context.divide(Decimal(int(share)), Decimal(year))
    factor = context.multiply(_in_decimals(rate, context), part)
    factor = context.divide(context.multiply(factor, Decimal(days)), Decimal(whole_days))
    return _to_places(factor, digits)


def _factor_over_years(rate: Fraction, pieces: list[tuple[int, int]], digits: int | None) -> Fraction:
    if digits is None:
        return rate * sum((Fraction(days, year) for days, year in pieces), Fraction(0))
    context = arithmetic_of(digits)
    part = Decimal(0)
    for days, year in pieces:
        part = context.add(part, context.divide(Decimal(days), Decimal(year)))
    return _to_places(context.multiply(_in_decimals(rate, context), part), digits)


def _in_decimals(rate: Fraction, context: Context) -> Decimal:
    return context.divide(Decimal(rate.numerator), Decimal(rate.denominator))


def _to_places(factor: Decimal, digits: int) -> Fraction:
    # Fineract keeps a factor at as many decimals as its arithmetic has digits.
    return Fraction(factor.quantize(Decimal(1).scaleb(-digits), context=_WIDE))


@lru_cache(maxsize=64)
def arithmetic_of(digits: int) -> Context:
    """Decimal arithmetic with so many significant digits, half to even.

    >>> str(arithmetic_of(4).divide(Decimal(2), Decimal(3)))
    '0.6667'
    """
    return Context(prec=digits, rounding=ROUND_HALF_EVEN, Emax=MAX_EMAX, Emin=MIN_EMIN)
