"""What a way to pay truly costs in a year: the internal rate of its cash flows, by named methods.

A fee of 0.6 % a month on ¥6,000 over 12 months sounds like 7.2 % a year. Because every payment also pays the
price back, the customer owes only about half of it on average, and the rate that balances what was advanced
with what is paid is 13.03 % (simple: the monthly rate times 12) or 13.84 % (compounded).

Flows come by period (`CashFlows`) or by date (`DatedFlows`). A method says how dates become periods
(`fenqi.terms.intervals`), how a part of a period bears interest, and what a year makes of the rate of a period.

Rates are found by `fenqi.terms.rates`; what a year makes of them is worked out here. What leaves this module is an integer of
1e-12 of the yearly rate (`..._e12`: 13.03 % is 130_300_000_000) or a `Fraction`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from fractions import Fraction
from functools import lru_cache
from math import expm1, isinf, log1p
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from fenqi.calendars import Unit, due_dates
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
from fenqi.terms.rates import (
    MAX_FLOWS,
    CashFlow,
    CostError,
    InternalRate,
    Odd,
    compound,
    held_log_rate,
    internal_rate,
    odd_log_rate,
    regular_log_rate,
)
from fenqi.terms.schedule import Row, Schedule
from fenqi.texts import Text

__all__ = [
    "ACT365",
    "COMPOUNDED",
    "EU",
    "MAX_FLOWS",
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

FIRST_DAY: Final = date(1800, 1, 1)
LAST_DAY: Final = date(2500, 12, 31)
"""Limits on cash flows typed in from anywhere, far beyond any real ones."""


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
            log_rate = regular_log_rate(advance, totals, plan.defer_periods)
        elif schedule.start_on is not None:
            times = _odd_times(
                schedule.start_on, plan.unit, plan.every, _agreed_dates(plan, schedule.start_on)
            )
            log_rate = odd_log_rate(
                advance, [(*time, paid) for time, paid in zip(times, totals, strict=True)]
            )
    if log_rate is None:
        return _irregular_cost(schedule, plan)
    return _quick_cost(schedule, plan, log_rate)


def _quick_cost(schedule: Schedule, plan: Plan, log_rate: float) -> Cost:
    """The cost from ln(1 + the rate of a period), which is more than 0."""
    yearly = _yearly(plan.unit, plan.every)
    compounded = compound(yearly, log_rate)
    # A charge is never shown as free, however small: "or 1".
    return Cost(
        schedule.fee_minor,
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
    (at, net), *later = flows
    totals = [amount for _, amount in later]
    each_period = [when for when, _ in later] == list(range(1, len(later) + 1))
    if at == 0 and each_period and sum(totals) > -net and min(totals) > 0:
        log_rate = regular_log_rate(-net, totals, 0)
        if log_rate is not None:
            return _quick_cost(schedule, plan, log_rate)
    if at == 0 and len(totals) > 1 and min(totals[:-1]) > 0 > totals[-1]:
        # The deposit comes back last. What is below the price then has no rate, or two that balance it.
        if net + sum(totals) < 0:
            return Cost(
                schedule.fee_minor, schedule.total_minor, None, None, SIMPLE, "below_price", plan.authority
            )
        simple, compounded = held_log_rate(flows, odd="simple"), held_log_rate(flows)
        if simple is not None and compounded is not None and net + sum(totals):
            return _held_cost(schedule, plan, simple, compounded)
    return _irregular_cost(schedule, plan)


def _held_cost(schedule: Schedule, plan: Plan, simple: float, compounded: float) -> Cost:
    yearly = _yearly(plan.unit, plan.every)
    effective = compound(yearly, compounded)
    return Cost(
        schedule.fee_minor,
        schedule.total_minor,
        round(yearly * expm1(simple) * 1e12) or 1,
        None if isinf(effective) else round(effective * 1e12) or 1,
        SIMPLE,
        None,
        plan.authority,
    )


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
        rate = compound(yearly, log1p(rate)) if rate > -1.0 else -1.0
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
