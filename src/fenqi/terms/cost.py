"""What a way to pay truly costs in a year: the internal rate of its cash flows, by named methods.

A fee of 0.6 % a month on ¥6,000 over 12 months sounds like 7.2 % a year. Because every payment also pays the
price back, the customer owes only about half of it on average, and the rate that balances what was advanced
with what is paid is 13.03 % (simple: the monthly rate times 12) or 13.84 % (compounded).

Flows come by period (`CashFlows`) or by date (`DatedFlows`). A method says how dates become periods
(`fenqi.terms.intervals`), how a part of a period bears interest, and what a year makes of the rate of a period.

A rate is found by Newton's method on the logarithm of present value over x = ln(1 + i): scale plays no part,
and the start from the payments' mean time and its spread leaves two steps for an ordinary plan. Two things
keep it exact where naive solvers fail: whether anything is charged at all is decided on integers, and the
cost is never the difference of two nearly equal sums (see `_regular_log_rate`).

Floats live in this module alone. What leaves it is an integer of 1e-12 of the yearly rate (`..._e12`: 13.03 %
is 130_300_000_000) or a `Fraction`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise
from math import exp, expm1, inf, isinf, log, log1p, sqrt
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from fenqi.calendars import Unit, due_dates
from fenqi.problems import BadInput
from fenqi.terms.intervals import (
    UnitPeriod,
    act365_years,
    check_unit,
    eu_years,
    month_years,
    odd_days,
    odd_periods,
    periods_per_year,
    shared_day,
    uk_years,
    unit_period_of,
    us_unit_periods,
)
from fenqi.terms.lease import flows_over_time
from fenqi.terms.plan import Authority, Plan
from fenqi.terms.schedule import Row, Schedule
from fenqi.texts import Text

__all__ = [
    "ACT365",
    "COMPOUNDED",
    "EU",
    "METHODS",
    "MONTHS",
    "SIMPLE",
    "SUM_OF_ITEMS",
    "UK",
    "US",
    "AnnualCost",
    "CashFlow",
    "CashFlows",
    "Cost",
    "CostError",
    "DatedFlow",
    "DatedFlows",
    "InternalRate",
    "Method",
    "annual_cost",
    "cost_of",
    "counted",
    "dated_flows_of",
    "flows_of",
    "internal_rate",
    "max_flat_fee",
    "periods_per_year",
    "row_times",
    "sum_of_items",
]

SIMPLE: Final = "cn_irr_x12_simple@1"
"""The rate of a period times the periods of a year; the mainland market labels it 单利."""
COMPOUNDED: Final = "irr_compounded@1"
"""(1 + the rate of a period) to the power of the periods of a year, less 1."""
US: Final = "us_regz_actuarial@1"
"""The annual percentage rate of the United States, 12 CFR 1026 Appendix J."""
EU: Final = "eu_annual@1"
"""The annual percentage rate of charge of the European Union, Directive 2008/48/EC Annex I."""
UK: Final = "uk_conc_app_1_2@1"
"""The APR of the United Kingdom, CONC App 1.2."""
ACT365: Final = "act365_annual@1"
"""The effective yearly rate with time in days over 365 (spreadsheets' XIRR; Brazil's CET)."""
SUM_OF_ITEMS: Final = "cn_sum_of_items@1"
"""Each item's own yearly level, simple, and their sum: see `sum_of_items`."""
MONTHS: Final = "annual_from_months@1"
"""The effective yearly rate with time in whole months, twelfths of a year."""

MAX_FLOWS: Final = 10_000
MAX_TIME: Final = 100_000
MAX_AMOUNT: Final = 10**24
MAX_CHANGES: Final = 100
FIRST_DAY: Final = date(1800, 1, 1)
LAST_DAY: Final = date(2500, 12, 31)
"""Limits on cash flows typed in from anywhere, far beyond any real ones."""

_LOWEST_LOG: Final = log(0.01)
_HIGHEST_LOG: Final = log(11.0)
_BEYOND_LOG: Final = log(1e100)
_TINY: Final = 1e-9
_FAR_BEYOND: Final = 16


class CostError(BadInput):
    """Cash flows of which no cost can be asked."""


class CashFlow(msgspec.Struct, frozen=True):
    """`amount_minor` (more than 0) changing hands `at` a time counted in periods from the start."""

    at: int | Fraction
    amount_minor: int


class CashFlows(msgspec.Struct, frozen=True):
    """What the customer gets (`advances`) and what the customer pays, with the periods of a year."""

    advances: tuple[CashFlow, ...]
    payments: tuple[CashFlow, ...]
    periods_per_year: int | Fraction = 12


class DatedFlow(msgspec.Struct, frozen=True):
    """`amount_minor` (more than 0) changing hands `on` a date."""

    on: date
    amount_minor: int


class DatedFlows(msgspec.Struct, frozen=True):
    """What the customer gets (`advances`) and pays, by date. A charge paid at the start is a payment on that day."""

    advances: tuple[DatedFlow, ...]
    payments: tuple[DatedFlow, ...]


Clock = Literal["periods", "us", "eu", "uk", "act365", "months"]
Odd = Literal["compound", "simple"]


class Method(msgspec.Struct, frozen=True):
    """A way to say what flows cost in a year. It keeps its meaning under its `id` for good: figures are stored with it.

    `clock`: how dates become times (`periods`: counted forward from the start in the plan's periods; the others by law). `odd`: the
    interest of a part of a period, in proportion (`simple`: 1 + f·i) or as a power. `yearly`: the rate of a
    period itself, that times the periods of a year (`nominal`), or compounded over them (`effective`). `places`: decimals
    for display, by the rule or by custom; `source`: where it is defined.
    """

    id: str
    clock: Clock
    odd: Odd
    yearly: Literal["periodic", "nominal", "effective"]
    places: int
    name: Text
    source: str


class InternalRate(msgspec.Struct, frozen=True):
    """The rate of one period, or why there is none.

    `undefined` is "one_signed" (nothing advanced, or nothing paid), "no_root", "beyond_measure" (more than
    a hundred digits), or "ambiguous" (several rates balance the flows: `roots` has those from -99 % to 1000 %).
    """

    periodic: Fraction | None
    undefined: str | None = None
    roots: tuple[Fraction, ...] = ()


class AnnualCost(msgspec.Struct, frozen=True, gc=False):
    """A rate by a named method, in 1e-12; None with a reason where it is undefined, never 0."""

    method: str
    rate_e12: int | None
    undefined: str | None = None


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What a schedule costs its customer: the charge, and the yearly rates that it comes to.

    `method` names how `simple_e12` was reached, `compounded_method` the other (None where it is beyond measure). `fee_minor` is borne by the
    customer; what a shop or funder bears is not in it.
    """

    fee_minor: int
    total_minor: int
    simple_e12: int | None
    compounded_e12: int | None
    method: str = SIMPLE
    undefined: str | None = None
    authority: Authority = "shop"
    compounded_method: str = COMPOUNDED


def cost_of(schedule: Schedule, plan: Plan) -> Cost:
    """The cost of a schedule that `plan` gave: exactly 0 where nothing is charged.

    >>> from datetime import date
    >>> from decimal import Decimal
    >>> from fenqi.terms.plan import FlatFee
    >>> from fenqi.terms.schedule import build_schedule
    >>> plan = Plan("mall-12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")))
    >>> cost = cost_of(build_schedule(plan, 600_000, "CNY", date(2026, 11, 23)), plan)
    >>> cost.fee_minor, cost.simple_e12, cost.compounded_e12
    (43200, 130342242811, 138417850664)
    """
    if schedule.lease is not None:
        return _lease_cost(schedule, plan)
    fee = schedule.fee_minor
    if fee == 0:
        return Cost(0, schedule.total_minor, 0, 0, SIMPLE, None, plan.authority)
    rows = schedule.rows
    advance = schedule.financed_minor
    if not rows[0].number:
        # Charges at the start lower what is advanced.
        advance -= sum(row.fee_minor for row in rows if not row.number)
    log_rate = None
    if advance > 0:
        totals = [row.principal_minor + row.fee_minor for row in rows if row.number]
        if plan.due_day is None:
            log_rate = _regular_log_rate(advance, totals, plan.defer_periods)
        elif schedule.start_on is not None:
            times = _odd_times(
                schedule.start_on, plan.unit, plan.every, _agreed_dates(plan, schedule.start_on)
            )
            log_rate = _odd_log_rate(
                advance, [(*time, paid) for time, paid in zip(times, totals, strict=True)]
            )
    if log_rate is None:
        return _irregular_cost(schedule, plan)
    yearly = _yearly(plan.unit, plan.every)
    compounded = _compound(yearly, log_rate)
    # A charge is never shown as free, however small: "or 1".
    return Cost(
        fee,
        schedule.total_minor,
        round(yearly * expm1(log_rate) * 1e12) or 1,
        None if isinf(compounded) else round(compounded * 1e12) or 1,
        SIMPLE,
        None,
        plan.authority,
    )


def _lease_cost(schedule: Schedule, plan: Plan) -> Cost:
    """What owning through a lease costs. Without ownership, or where more is paid at the start than the goods cost, there is no rate."""
    assert schedule.lease is not None, "cost_of has looked"
    flows = flows_over_time(schedule, plan)
    undefined = None
    if not schedule.lease.owns:
        undefined = "no_ownership"
    elif not flows or flows[0][1] > 0:
        undefined = "nothing_advanced"
    if undefined is not None:
        return Cost(schedule.fee_minor, schedule.total_minor, None, None, SIMPLE, undefined, plan.authority)
    return _irregular_cost(schedule, plan)


@lru_cache(maxsize=1024)
def _yearly(unit: Unit, every: int) -> float:
    # A fraction costs more than the rest of a quick cost's last step.
    return float(periods_per_year(unit, every))


def _irregular_cost(schedule: Schedule, plan: Plan) -> Cost:
    flows = flows_of(schedule, plan)
    simple, compounded = annual_cost(SIMPLE, flows), annual_cost(COMPOUNDED, flows)
    return Cost(
        schedule.fee_minor,
        schedule.total_minor,
        simple.rate_e12,
        compounded.rate_e12,
        SIMPLE,
        simple.undefined,
        plan.authority,
    )


def flows_of(schedule: Schedule, plan: Plan) -> CashFlows:
    """A schedule as cash flows: the amount financed against what is paid for it, in periods of the plan.

    A down payment and the goods that it pays for change hands at once, so both are left out; charges at the start are
    payments at 0. A due day makes a first period of another length: then times are counted by date, whole periods forward
    from the start and odd days as 30ths of a month. A date that a holiday moved stays in its period. A lease's deposit and
    what else is paid on the first day lessen the price advanced; nothing is advanced where the goods go back.

    >>> from decimal import Decimal
    >>> from fenqi.terms.plan import FlatFee
    >>> from fenqi.terms.schedule import build_schedule
    >>> plan = Plan("mall-3", "mall", "shop", "instalment_sale", 3, FlatFee(Decimal("0.006")), defer_periods=2)
    >>> flows = flows_of(build_schedule(plan, 600_000, "CNY", date(2026, 11, 23)), plan)
    >>> [payment.at for payment in flows.payments]
    [3, 4, 5]
    """
    if schedule.lease is not None:
        flows = flows_over_time(schedule, plan)
        return CashFlows(
            advances=tuple(CashFlow(at, -amount) for at, amount in flows if amount < 0),
            payments=tuple(CashFlow(at, amount) for at, amount in flows if amount > 0),
            periods_per_year=periods_per_year(plan.unit, plan.every),
        )
    return CashFlows(
        advances=(CashFlow(0, schedule.financed_minor),),
        payments=tuple(
            CashFlow(at, paid)
            for at, row in zip(row_times(schedule, plan), schedule.rows, strict=True)
            if (paid := _paid_for_credit(row))
        ),
        periods_per_year=periods_per_year(plan.unit, plan.every),
    )


def _agreed_dates(plan: Plan, start: date) -> tuple[date, ...]:
    """The days agreed, from which a holiday may have moved the rows'."""
    return due_dates(
        start, plan.unit, plan.every, plan.periods, plan.defer_periods, plan.due_day, plan.min_first_days
    )


def row_times(schedule: Schedule, plan: Plan) -> tuple[int | Fraction, ...]:
    """When each row is paid, in periods of the plan from the start; see `flows_of` for odd first periods."""
    start = schedule.start_on
    if plan.due_day is not None and start is not None:
        unit = UnitPeriod(plan.unit, plan.every)
        agreed = _agreed_dates(plan, start)
        return tuple(
            odd_periods(start, agreed[row.number - 1], unit) if row.number else 0 for row in schedule.rows
        )
    # What is paid at once is number 1 as well.
    defer = plan.defer_periods if schedule.rows[-1].kind == "instalment" else -1
    return tuple(row.number + defer if row.number else 0 for row in schedule.rows)


def _paid_for_credit(row: Row) -> int:
    # A down payment buys its part of the goods at once.
    return row.total_minor if row.number else row.total_minor - row.principal_minor


def dated_flows_of(schedule: Schedule) -> DatedFlows:
    """A schedule as dated flows, for the methods that count between dates. Raises `CostError` where it has no start."""
    start = schedule.start_on
    if start is None:
        raise CostError("start_on", "missing", "the day from which the schedule counts")
    advances = [DatedFlow(start, schedule.financed_minor)] if schedule.financed_minor else []
    payments = []
    for row in schedule.rows:
        paid = _paid_for_credit(row)
        if paid > 0:
            payments.append(DatedFlow(row.due_on, paid))
        elif paid:
            advances.append(DatedFlow(row.due_on, -paid))  # a lease's deposit that goes back
    return DatedFlows(tuple(advances), tuple(payments))


def internal_rate(
    advances: Iterable[CashFlow], payments: Iterable[CashFlow], *, odd: Odd = "compound"
) -> InternalRate:
    """The rate of one period that balances advances and payments.

    A part f of a period after t whole ones discounts by (1+i)^(t+f), or with `odd="simple"` by (1+f·i)(1+i)^t.

    Where the flows change sign once it is the only one, at any size; 0 exactly where the sums are equal.
    Otherwise the roots from -99 % to 1000 % are found: the only one, or the only one that is not negative,
    is the rate. Raises `CostError` for no flows at all, a payment before the first advance, an amount or a
    time beyond sense.

    >>> rate = internal_rate([CashFlow(0, 100_00)], [CashFlow(1, 101_50)])
    >>> round(float(rate.periodic), 12)
    0.015
    """
    net = _net(advances, payments)
    if len({amount > 0 for _, amount in net}) < 2:
        return InternalRate(None, "one_signed")
    if net[0][1] > 0:
        raise CostError(
            "payments",
            f"{net[0][1]} at {net[0][0]}",
            "no payment before the first advance",
            "deduct what is paid at the start from the advance",
        )
    simple = odd == "simple" and any(at.denominator > 1 for at, _ in net)
    if _sign_changes([amount for _, amount in net]) == 1:
        log_rate = _log_rate(net, simple=simple)
        if log_rate > _BEYOND_LOG:
            return InternalRate(None, "beyond_measure")
        if log_rate == -inf:
            return InternalRate(None, "no_root")
        root = Fraction(expm1(log_rate)) if log_rate else Fraction(0)
        return InternalRate(root, None, (root,) if _LOWEST_LOG < log_rate <= _HIGHEST_LOG else ())
    roots = tuple(
        Fraction(expm1(log_root)) if log_root else Fraction(0) for log_root in _log_roots(net, simple=simple)
    )
    if not roots:
        return InternalRate(None, "no_root")
    standing = [root for root in roots if root >= 0]
    if len(roots) == 1:
        return InternalRate(roots[0], None, roots)
    if len(standing) == 1:
        return InternalRate(standing[0], None, roots)
    return InternalRate(None, "ambiguous", roots)


def counted(method: str, flows: DatedFlows, unit: UnitPeriod | None = None) -> CashFlows:
    """Dated flows in the periods of a method, exactly: its own way of counting between dates.

    `unit` is the period that the transaction goes by; left out, it is the one that its dates show
    (`fenqi.terms.intervals.unit_period_of`). The methods of the EU and the UK count in years, months or weeks of it. Raises
    `CostError` for an unknown method, dates out of the calendar, a payment before the first advance; `IntervalError` for dates
    that the method cannot count.

    >>> flows = DatedFlows((DatedFlow(date(2026, 1, 10), 100_00),), (DatedFlow(date(2026, 2, 9), 101_50),))
    >>> counted("act365_annual@1", flows).payments[0].at
    Fraction(6, 73)
    """
    way = _method(method)
    for place, side in (("advances", flows.advances), ("payments", flows.payments)):
        for number, flow in enumerate(side):
            if type(flow.on) is not date or not FIRST_DAY <= flow.on <= LAST_DAY:
                raise CostError(
                    f"{place}[{number}].on", str(flow.on), f"a date from {FIRST_DAY} to {LAST_DAY}"
                )
    if not flows.advances or not flows.payments:
        return CashFlows(
            tuple(CashFlow(0, flow.amount_minor) for flow in flows.advances),
            tuple(CashFlow(0, flow.amount_minor) for flow in flows.payments),
        )
    start = min(flow.on for flow in flows.advances)
    for number, flow in enumerate(flows.payments):
        if flow.on < start:
            raise CostError(
                f"payments[{number}].on",
                flow.on.isoformat(),
                f"a day not before the first advance on {start.isoformat()}",
                "deduct what is paid before from the advance",
            )
    times, per_year = _clock(way.clock, start, flows, unit)
    return CashFlows(
        tuple(CashFlow(times(flow.on), flow.amount_minor) for flow in flows.advances),
        tuple(CashFlow(times(flow.on), flow.amount_minor) for flow in flows.payments),
        per_year,
    )


def _clock(
    clock: Clock, start: date, flows: DatedFlows, unit: UnitPeriod | None
) -> tuple[Callable[[date], Fraction], Fraction]:
    """How a method counts from `start` to a date, and how many of its periods make a year."""
    if clock == "act365":
        return lambda on: act365_years(start, on), Fraction(1)
    if clock == "months":
        return lambda on: month_years(start, on), Fraction(1)
    advanced, paid = [flow.on for flow in flows.advances], [flow.on for flow in flows.payments]
    if unit is None:
        unit = unit_period_of(advanced, paid) if max(paid) > start else UnitPeriod("month")
    check_unit(unit)
    if clock == "us":
        day = shared_day(paid) if len(set(paid)) > 1 else None
        return lambda on: us_unit_periods(start, on, unit, day), unit.per_year
    if clock == "periods":
        days = {"day": 1, "week": 7}.get(unit.kind)
        per_year = unit.per_year if days is None else Fraction(365, days * unit.every)
        return lambda on: odd_periods(start, on, unit), per_year
    whole: Literal["week", "month", "year"] = "month"
    if unit.kind == "week" or unit.kind == "year":
        whole = unit.kind
    years = eu_years if clock == "eu" else uk_years
    return lambda on: years(start, on, whole), Fraction(1)


def annual_cost(method: str, flows: CashFlows | DatedFlows, unit: UnitPeriod | None = None) -> AnnualCost:
    """The cost of cash flows by a method of `METHODS`; raises `CostError` for an unknown one.

    Dated flows are counted by the method first (see `counted`, also for `unit`). Flows by period are taken as they stand:
    for a method that counts in years, a time is its period over the periods of a year.

    >>> flows = CashFlows((CashFlow(0, 600_000),), tuple(CashFlow(k, 53_600) for k in range(1, 13)))
    >>> annual_cost("cn_irr_x12_simple@1", flows).rate_e12
    130342242811
    """
    way = _method(method)
    if isinstance(flows, DatedFlows):
        flows = counted(method, flows, unit)
    found = internal_rate(flows.advances, flows.payments, odd=way.odd)
    if found.periodic is None:
        return AnnualCost(method, None, found.undefined)
    if found.periodic == 0:
        return AnnualCost(method, 0)
    rate, yearly = float(found.periodic), float(flows.periods_per_year)
    if way.yearly == "nominal":
        rate *= yearly
    elif way.yearly == "effective" and yearly != 1.0:
        # So close to losing everything that a float cannot tell it from -100 %.
        rate = _compound(yearly, log1p(rate)) if rate > -1.0 else -1.0
    if isinf(rate):
        return AnnualCost(method, None, "beyond_measure")
    return AnnualCost(method, round(rate * 1e12) or (1 if rate > 0 else -1))


def sum_of_items(
    flows: CashFlows, items: Iterable[Iterable[CashFlow]]
) -> tuple[AnnualCost, tuple[AnnualCost, ...]]:
    """The sum of what each item costs in a year, and that of each: the wording of China's big banks since 2026-08.

    `flows` are the principal alone, what is advanced against what pays it back; an item is what is paid for it. Its level is
    the simple yearly cost of the principal if it were the only item. The sum is less than the cost of all items together:
    each finds more of the principal still owed than is owed where the others are paid, too.

    >>> principal = CashFlows((CashFlow(0, 1000_00),), (CashFlow(12, 1000_00),))
    >>> total, items = sum_of_items(principal, [[CashFlow(k, 6_00) for k in range(1, 13)], [CashFlow(0, 20_00)]])
    >>> [round(item.rate_e12 / 1e10, 4) for item in items], round(total.rate_e12 / 1e10, 4)
    ([7.2, 2.022], 9.222)
    """
    levels = tuple(
        annual_cost(SIMPLE, CashFlows(flows.advances, (*flows.payments, *item), flows.periods_per_year))
        for item in items
    )
    undefined = next((level.undefined for level in levels if level.rate_e12 is None), None)
    if undefined is not None:
        return AnnualCost(SUM_OF_ITEMS, None, undefined), levels
    return AnnualCost(SUM_OF_ITEMS, sum(level.rate_e12 or 0 for level in levels)), levels


def _method(method: str) -> Method:
    way = METHODS.get(method)
    if way is None:
        raise CostError("method", method, "one of " + ", ".join(METHODS))
    return way


_METHODS: Final = (
    Method(
        SIMPLE,
        "periods",
        "simple",
        "nominal",
        2,
        Text("年化利率（IRR，单利）", "IRR x periods of a year (simple)"),
        "中国人民银行公告〔2021〕第3号",
    ),
    Method(
        COMPOUNDED,
        "periods",
        "simple",
        "effective",
        2,
        Text("年化利率（IRR，复利）", "IRR, compounded"),
        "中国人民银行公告〔2021〕第3号",
    ),
    Method(
        US,
        "us",
        "simple",
        "nominal",
        2,
        Text("美国 APR（精算法）", "US APR (actuarial method)"),
        "12 CFR 1026, Appendix J",
    ),
    Method(
        EU,
        "eu",
        "compound",
        "effective",
        1,
        Text("欧盟 APR", "EU APR"),
        "Directive 2008/48/EC, Annex I; (EU) 2023/2225, Annex III",
    ),
    Method(UK, "uk", "compound", "effective", 1, Text("英国 APR", "UK APR"), "FCA Handbook, CONC App 1.2"),
    Method(
        ACT365,
        "act365",
        "compound",
        "effective",
        2,
        Text("实际天数/365 有效年利率", "effective, days over 365"),
        "XIRR; Resolução CMN 4.881/2020, art. 4",
    ),
    Method(
        MONTHS,
        "months",
        "compound",
        "effective",
        2,
        Text("按整月折算的有效年利率", "effective, whole months"),
        "net present value over equal months, as Hong Kong's banks publish",
    ),
    Method(
        "periodic_irr@1",
        "periods",
        "compound",
        "periodic",
        4,
        Text("每期利率", "rate of one period"),
        "internal rate of return",
    ),
    Method(
        "periodic_irr_x12@1",
        "periods",
        "compound",
        "nominal",
        2,
        Text("每期利率乘以每年期数", "rate of one period x periods of a year"),
        "internal rate of return",
    ),
    Method(
        "periodic_irr_compounded@1",
        "periods",
        "compound",
        "effective",
        2,
        Text("每期利率按年复利", "rate of one period, compounded"),
        "internal rate of return",
    ),
)
METHODS: Final[Mapping[str, Method]] = MappingProxyType({way.id: way for way in _METHODS})
"""Every method by its id."""


def max_flat_fee(cap: Fraction, periods: int, yearly: int | Fraction = 12) -> Fraction:
    """The largest total flat fee, as a share of the principal, whose simple yearly cost is `cap`.

    For equal payments at the end of each period, exactly: n·i / (1 - (1+i)^-n) - 1 with i = cap / yearly.

    >>> float(round(max_flat_fee(Fraction(24, 100), 18) * 100, 4))
    20.0638
    """
    if cap < 0:
        raise CostError("cap", str(cap), "a rate of 0 or more")
    if not 1 <= periods <= MAX_FLOWS:
        raise CostError("periods", periods, f"1 to {MAX_FLOWS}")
    if cap == 0:
        return Fraction(0)
    rate = Fraction(cap) / yearly
    growth = (1 + rate) ** periods
    return periods * rate * growth / (growth - 1) - 1


def _compound(yearly: float, log_rate: float) -> float:
    """exp(yearly·log_rate) - 1; infinite where that has more than a hundred digits."""
    grown = yearly * log_rate
    return expm1(grown) if grown <= _BEYOND_LOG else inf


def _regular_log_rate(advance: int, totals: list[int], defer: int) -> float | None:
    """ln(1+i) for one advance and payments at the periods defer+1, defer+2, ... that exceed it; None where that is not safe.

    With v = 1/(1+i), discount d = 1 - v and R_j = what is still to be paid after period j,

        present value - advance = (total - advance) - d * (R_0 + R_1 v + R_2 v^2 + ...)

    All R are positive integers and the charge is an integer, so nothing cancels while the charge is not
    far beyond the advance: this is what keeps twelve digits where the cost is a millionth of a percent.
    """
    tails = list(accumulate(reversed(totals)))
    total = tails[-1]
    if total > _FAR_BEYOND * advance:
        return None
    charge = total - advance
    if defer:
        tails += [total] * defer
    # Equal payments as the first guess: mean time and its variance, then the log of present value as a parabola.
    count = len(totals)
    mean = defer + (count + 1) / 2
    variance = (count * count - 1) / 12
    height = log1p(charge / advance)
    spread = mean * mean - 2 * variance * height
    rate = 2 * height / (mean + sqrt(spread)) if spread > 0 else height / mean
    for _ in range(20):
        discount = -expm1(-rate)
        v = 1.0 - discount
        sum_, slope = 0.0, 0.0
        for tail in tails:
            slope = slope * v + sum_
            sum_ = sum_ * v + tail
        over = charge - discount * sum_
        ratio = over / advance
        if not -0.9 < ratio < 1e6:
            return None
        step = log1p(ratio) * (advance + over) / (v * (sum_ - discount * slope))
        rate += step
        if -_TINY <= step / rate <= _TINY:  # the next step would be about the square of this
            return rate
    return None


@lru_cache(maxsize=1024)
def _odd_times(start: date, unit: Unit, every: int, dates: tuple[date, ...]) -> tuple[tuple[int, float], ...]:
    """Whole periods and the part of one, from the start to each date. Cached, since the plans of one checkout share their dates."""
    period = UnitPeriod(unit, every)
    found = []
    for on in dates:
        days, length = odd_days(start, on, period)
        whole, rest = divmod(days, length)
        found.append((whole, rest / length))
    return tuple(found)


def _odd_log_rate(advance: int, timed: list[tuple[int, float, int]]) -> float | None:
    """ln(1+i) for one advance and later payments (whole periods, part of one, amount) that exceed it; None where that is not safe.

    A payment loses 1 - D = ((1 - v^t) + f·i) / (1 + f·i) of itself by discounting: positive terms again, against
    the charge, an integer. 1 - v^t is carried from t to t + 1 as (1 - v^t)·v + d, without a difference.
    """
    total = moment = second = 0.0
    for whole, part, paid in timed:
        total += paid
        moment += paid * (whole + part)
        second += paid * (whole + part) ** 2
    charge = sum([paid for _, _, paid in timed]) - advance
    if charge <= 0 or total > _FAR_BEYOND * advance:
        return None
    mean = moment / total
    height = log1p(charge / advance)
    spread = mean * mean - 2 * (second / total - mean * mean) * height
    x = 2 * height / (mean + sqrt(spread)) if spread > 0 else height / mean
    for _ in range(20):
        discount, rate = -expm1(-x), expm1(x)
        v, growth = 1.0 - discount, 1.0 + rate
        at, lost_share, worth = 0, 0.0, 1.0
        lost = slope = 0.0
        for whole, part, paid in timed:
            while at < whole:
                lost_share = lost_share * v + discount
                worth *= v
                at += 1
            if part:
                interest = part * rate
                grown = 1.0 + interest
                lost += paid * (lost_share + interest) / grown
                slope += paid * worth / grown * (whole + growth * part / grown)
            else:
                lost += paid * lost_share
                slope += paid * worth * whole
        over = charge - lost
        ratio = over / advance
        if not -0.9 < ratio < 1e6:
            return None
        step = log1p(ratio) * (advance + over) / slope
        x += step
        if -_TINY <= step / x <= _TINY:
            return x
    return None


def _net(advances: Iterable[CashFlow], payments: Iterable[CashFlow]) -> list[tuple[int | Fraction, int]]:
    """Flows in order of time, one for each time, as the customer pays them: an advance is negative."""
    by_time: dict[int | Fraction, int] = {}
    count = 0
    for place, flows, sign in (("advances", advances, -1), ("payments", payments, 1)):
        for number, flow in enumerate(flows):
            count += 1
            where = f"{place}[{number}]"
            if type(flow.amount_minor) is not int or not 0 < flow.amount_minor <= MAX_AMOUNT:
                raise CostError(f"{where}.amount_minor", flow.amount_minor, f"1 to {MAX_AMOUNT}")
            if isinstance(flow.at, (bool, float)) or not 0 <= flow.at <= MAX_TIME:
                raise CostError(f"{where}.at", str(flow.at), f"0 to {MAX_TIME} periods")
            by_time[flow.at] = by_time.get(flow.at, 0) + sign * flow.amount_minor
    if not count:
        raise CostError("flows", "empty", "an advance and its payments")
    if count > MAX_FLOWS:
        raise CostError("flows", f"{count} flows", f"at most {MAX_FLOWS}")
    net = sorted((at, amount) for at, amount in by_time.items() if amount)
    if _sign_changes([amount for _, amount in net]) > MAX_CHANGES:
        raise CostError(
            "flows", "more changes of sign", f"at most {MAX_CHANGES} turns between paying and being paid"
        )
    if not net:
        raise CostError("flows", "all of them cancel out", "an advance and its payments at different times")
    return net


def _sign_changes(amounts: list[int]) -> int:
    return sum(1 for a, b in pairwise(amounts) if (a > 0) is not (b > 0))


Discounts = Callable[[float], list[tuple[int, float, float]]]
"""At x = ln(1+i), of each flow: its amount, ln of what it is divided by, and how fast that rises with x."""


def _discounts(flows: list[tuple[int | Fraction, int]], origin: int | Fraction, *, simple: bool) -> Discounts:
    """Flows discounted to `origin`; `simple` bears the interest of a part of a period in proportion."""
    if not simple:
        timed = [(amount, float(at - origin)) for at, amount in flows]
        return lambda x: [(amount, x * at, at) for amount, at in timed]
    whole, part = divmod(origin, 1)
    from_part = float(part)
    split = []
    for at, amount in flows:
        periods, rest = divmod(at, 1)
        split.append((amount, int(periods - whole), float(rest), float(rest - part)))

    def discounts(x: float) -> list[tuple[int, float, float]]:
        # ln (1+f·i)(1+i)^t over (1+g·i)(1+i)^s: the parts f and g make one log of a ratio, so that nothing cancels.
        rate, growth = expm1(x), exp(x)
        at_origin = 1.0 + from_part * rate
        return [
            (
                amount,
                x * periods + log1p(further * rate / at_origin),
                periods + growth * further / ((1.0 + rest * rate) * at_origin),
            )
            for amount, periods, rest, further in split
        ]

    return discounts


def _log_rate(net: list[tuple[int | Fraction, int]], *, simple: bool) -> float:
    """ln(1+i) of flows that change sign once, advances first; 0.0 exactly where their sums are equal."""
    charge = sum(amount for _, amount in net)
    if charge == 0:
        return 0.0
    log_rate = _quick_log_rate(net, simple=simple) if charge > 0 and net[1][1] > 0 else None
    return log_rate if log_rate is not None else _careful_log_rate(net, charge, simple=simple)


def _quick_log_rate(net: list[tuple[int | Fraction, int]], *, simple: bool) -> float | None:
    """For one advance, and payments that all lie whole periods after it, or bear simple interest in parts of periods."""
    start, advance = net[0]
    periods = [divmod(at - start, 1) for at, _ in net[1:]]
    if not simple and any(part for _, part in periods):
        return None
    last = int(periods[-1][0])
    if last > 4 * len(net):
        return None
    if any(part for _, part in periods):
        if start.denominator > 1:
            return None  # its own part of a period comes first
        return _odd_log_rate(
            -advance,
            [
                (int(whole), float(part), paid)
                for (whole, part), (_, paid) in zip(periods, net[1:], strict=True)
            ],
        )
    totals = [0] * last
    for (whole, _), (_, paid) in zip(periods, net[1:], strict=True):
        totals[int(whole) - 1] = paid
    return _regular_log_rate(-advance, totals, 0)


def _careful_log_rate(net: list[tuple[int | Fraction, int]], charge: int, *, simple: bool) -> float:
    """The same for any times and any number of advances.

    Times are counted from the last advance. Then what discounting takes from the payments and adds to the advances has
    one sign, so that the charge (an integer) is balanced by terms of one sign: nothing cancels here
    either. Newton within a bracket, since this curve is convex only for a single advance.
    """
    origin = max(at for at, amount in net if amount < 0)
    lent_at = _discounts([(at, -amount) for at, amount in net if amount < 0], origin, simple=simple)
    paid_at = _discounts([(at, amount) for at, amount in net if amount > 0], origin, simple=simple)

    def height_and_slope(x: float) -> tuple[float, float]:
        """ln(value paid / value advanced) at x, and how fast it falls."""
        payments, advances = paid_at(x), lent_at(x)
        paid, paid_time, paid_shift = _tilted(payments)
        lent, lent_time, lent_shift = _tilted(advances)
        slope = paid_time - lent_time
        # Of two ways to the same height, the one that is exact here: the charge's while it is small, else the logs'.
        furthest = max(abs(payments[-1][1]), abs(advances[0][1]))
        value_lent = lent * exp(lent_shift) if furthest < 500.0 else 0.0
        if abs(charge) < value_lent:
            change = sum(amount * expm1(-log_discount) for amount, log_discount, _ in payments)
            change -= sum(amount * expm1(-log_discount) for amount, log_discount, _ in advances)
            ratio = (charge + change) / value_lent
            if ratio > -0.9:
                return log1p(ratio), slope
        return log(paid) + paid_shift - log(lent) - lent_shift, slope

    height, slope = height_and_slope(0.0)
    step = height / slope
    low, high = (0.0, inf) if height > 0 else (-inf, 0.0)
    if simple and height < 0:
        # Simple interest over less than a period cannot lose more than all of it: below -100 % there is no rate.
        low = -_BEYOND_LOG
        if height_and_slope(low)[0] <= 0:
            return -inf
    x = 0.0
    for _ in range(400):
        guess = x + step
        if not low < guess < high:
            guess = (low + high) / 2
        if guess == x:
            return x
        step_taken, x = guess - x, guess
        height, slope = height_and_slope(x)
        if height > 0:
            low = x
        elif height < 0:
            high = x
        else:
            return x
        step = height / slope
        if abs(step) <= 1e-15 * abs(x) or (
            abs(step_taken) <= _TINY * abs(x) and abs(step) >= abs(step_taken)
        ):
            return x
        # Past the root of a curve that flattens, a step can leap far: never more than double the distance.
        reach = 2 * max(abs(x), abs(step_taken))
        step = max(-reach, min(reach, step))
    return x


def _tilted(flows: list[tuple[int, float, float]]) -> tuple[float, float, float]:
    """The sum of discounted amounts as (value, mean time, shift) with the value scaled by exp(-shift), so that it stays finite."""
    shift = max(-log_discount for _, log_discount, _ in flows)
    value = moment = 0.0
    for amount, log_discount, time in flows:
        weight = amount * exp(-log_discount - shift)
        value += weight
        moment += weight * time
    return value, moment / value, shift


def _log_roots(net: list[tuple[int | Fraction, int]], *, simple: bool) -> list[float]:
    """ln(1+i) of every rate from -99 % to 1000 % that balances the flows, in order; for several sign changes.

    Between two neighbouring zeros of f(x)·exp(x·τ) lies one of its derivative. With τ between the two times
    of a sign change, the derivative has the coefficients (τ - t)·a, which change sign once less: repeated, this
    comes down to no change and no zero, and each level back cuts the range into pieces with one zero at most.
    With simple interest in parts of periods there is no such ladder: the range is looked through in small steps.
    """
    origin = net[0][0]
    if simple:
        found = _seen_zeros(_discounts(net, origin, simple=True))
    else:
        scale = max(abs(amount) for _, amount in net)
        found = _zeros([(float(at - origin), amount / scale) for at, amount in net])
    found = [x for x in found if x > _LOWEST_LOG + _TINY]
    if sum(amount for _, amount in net) == 0:
        # The integers know that 0 is a root; the floats near it are this one.
        nearest = min(found, key=abs, default=1.0)
        if abs(nearest) < _TINY:
            found.remove(nearest)
        found.append(0.0)
        found.sort()
    return found


_LOOKS: Final = 800
_TOUCHING: Final = 1e-14


def _seen_zeros(discounts: Discounts) -> list[float]:
    def value(x: float) -> float:
        terms = [(amount, log_discount) for amount, log_discount, _ in discounts(x)]
        shift = max(-log_discount for _, log_discount in terms)
        worths = [amount * exp(-log_discount - shift) for amount, log_discount in terms]
        return sum(worths) / sum(map(abs, worths))

    width = (_HIGHEST_LOG - _LOWEST_LOG) / _LOOKS
    places = [_LOWEST_LOG + width * look for look in range(_LOOKS)] + [_HIGHEST_LOG]
    values = [value(x) for x in places]
    zeros: list[float] = []
    for at in range(1, len(places)):
        left, right = values[at - 1], values[at]
        if right == 0.0:
            zeros.append(places[at])
        elif left * right < 0:
            zeros.append(_bisected(value, places[at - 1], places[at], left > 0))
        elif (
            at + 1 < len(places)
            and right * values[at + 1] > 0
            and abs(right) < min(abs(left), abs(values[at + 1]))
        ):
            # The curve comes near and turns: it may touch, or cross twice, between two looks.
            low, high = places[at - 1], places[at + 1]
            for _ in range(100):
                third = (high - low) / 3
                if (value(low + third) < value(high - third)) is (right > 0):
                    high -= third
                else:
                    low += third
            turn = (low + high) / 2
            if value(turn) * right < 0:
                zeros.append(_bisected(value, places[at - 1], turn, left > 0))
                zeros.append(_bisected(value, turn, places[at + 1], left < 0))
            elif abs(value(turn)) <= _TOUCHING:
                zeros.append(turn)
    return zeros


def _zeros(flows: list[tuple[float, float]]) -> list[float]:
    change = next(
        (number for number in range(1, len(flows)) if flows[number - 1][1] * flows[number][1] < 0), None
    )
    if change is None:
        return []
    between = (flows[change - 1][0] + flows[change][0]) / 2
    turning = _zeros([(at, (between - at) * amount) for at, amount in flows])

    def value(x: float) -> float:
        """f(x), relative to the sum of its terms' sizes: within ±1."""
        shift = max(-x * at for at, _ in flows)
        terms = [amount * exp(-x * at - shift) for at, amount in flows]
        return sum(terms) / sum(map(abs, terms))

    zeros: list[float] = []
    left, left_value = _LOWEST_LOG, value(_LOWEST_LOG)
    for right in [*turning, _HIGHEST_LOG]:
        right_value = value(right)
        if right is not _HIGHEST_LOG and abs(right_value) <= _TOUCHING:
            zeros.append(right)  # a double root: the curve touches the axis where it turns
            right_value = 0.0
        elif left_value * right_value < 0:
            zeros.append(_bisected(value, left, right, left_value > 0))
        elif right is _HIGHEST_LOG and abs(right_value) <= _TOUCHING:
            zeros.append(right)
        left, left_value = right, right_value
    return zeros


def _bisected(value: Callable[[float], float], left: float, right: float, falling: bool) -> float:
    for _ in range(200):
        middle = (left + right) / 2
        if middle in (left, right):
            break
        if (value(middle) > 0) is falling:
            left = middle
        else:
            right = middle
    return (left + right) / 2
