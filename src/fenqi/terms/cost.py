"""What a way to pay truly costs in a year: the internal rate of its cash flows, by named methods.

A fee of 0.6 % a month on ¥6,000 over 12 months sounds like 7.2 % a year. Because every payment also pays the
price back, the customer owes only about half of it on average, and the rate that balances what was advanced
with what is paid is 13.03 % (simple: the monthly rate times 12) or 13.84 % (compounded).

A rate is found by Newton's method on the logarithm of present value over x = ln(1 + i): scale plays no part,
and the start from the payments' mean time and its spread leaves two steps for an ordinary plan. Two things
keep it exact where naive solvers fail: whether anything is charged at all is decided on integers, and the
cost is never the difference of two nearly equal sums (see `_regular_log_rate`).

Floats live in this module alone. What leaves it is an integer of 1e-12 of the yearly rate (`..._e12`: 13.03 %
is 130_300_000_000) or a `Fraction`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from itertools import accumulate, pairwise
from math import exp, expm1, inf, isinf, log, log1p, sqrt
from types import MappingProxyType
from typing import Final

import msgspec

from fenqi.calendars import Unit
from fenqi.problems import BadInput
from fenqi.terms.plan import Authority, Plan
from fenqi.terms.schedule import Schedule

__all__ = [
    "COMPOUNDED",
    "METHODS",
    "SIMPLE",
    "AnnualCost",
    "CashFlow",
    "CashFlows",
    "Cost",
    "CostError",
    "InternalRate",
    "annual_cost",
    "cost_of",
    "flows_of",
    "internal_rate",
    "max_flat_fee",
    "periods_per_year",
]

SIMPLE: Final = "cn_irr_x12_simple@1"
"""The rate of a period times the periods of a year; the mainland market labels it 单利."""
COMPOUNDED: Final = "irr_compounded@1"
"""(1 + the rate of a period) to the power of the periods of a year, less 1."""

MAX_FLOWS: Final = 10_000
MAX_TIME: Final = 100_000
MAX_AMOUNT: Final = 10**24
"""Limits on cash flows typed in from anywhere, far beyond any real ones."""

_LOWEST_LOG: Final = log(0.01)
_HIGHEST_LOG: Final = log(11.0)
_BEYOND_LOG: Final = log(1e100)
_TINY: Final = 1e-9


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
    fee = schedule.fee_minor
    if fee == 0:
        return Cost(0, schedule.total_minor, 0, 0, SIMPLE, None, plan.authority)
    totals = [row.principal_minor + row.fee_minor for row in schedule.rows if row.number]
    log_rate = _regular_log_rate(schedule.financed_minor, totals, plan.defer_periods)
    yearly = float(periods_per_year(plan.unit, plan.every))
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


def flows_of(schedule: Schedule, plan: Plan) -> CashFlows:
    """A schedule as cash flows: the amount financed against its instalments, in periods of the plan.

    A down payment and the goods that it pays for change hands at once, so both are left out.
    """
    defer = plan.defer_periods if schedule.rows[-1].kind == "instalment" else -1
    return CashFlows(
        advances=(CashFlow(0, schedule.financed_minor),),
        payments=tuple(
            CashFlow(row.number + defer, row.total_minor)
            for row in schedule.rows
            if row.number and row.total_minor
        ),
        periods_per_year=periods_per_year(plan.unit, plan.every),
    )


def internal_rate(advances: Iterable[CashFlow], payments: Iterable[CashFlow]) -> InternalRate:
    """The rate of one period that balances advances and payments.

    Where the flows change sign once it is the only one, at any size; 0 exactly where the sums are equal.
    Otherwise the roots from -99 % to 1000 % are found: the only one, or the only one that is not negative,
    is the rate. Raises `CostError` for no flows at all, a payment before the first advance, an amount or a
    time beyond sense.

    >>> rate = internal_rate([CashFlow(0, 100_00)], [CashFlow(1, 101_50)])
    >>> round(float(rate.periodic), 12)
    0.015
    """
    net = _net(advances, payments)
    signs = _sign_changes([amount for _, amount in net])
    if len({amount > 0 for _, amount in net}) < 2:
        return InternalRate(None, "one_signed")
    if net[0][1] > 0:
        raise CostError(
            "payments",
            f"{net[0][1]} at {net[0][0]}",
            "no payment before the first advance",
            "deduct what is paid at the start from the advance",
        )
    if signs == 1:
        log_rate = _log_rate(net)
        if log_rate > _BEYOND_LOG:
            return InternalRate(None, "beyond_measure")
        root = Fraction(expm1(log_rate)) if log_rate else Fraction(0)
        return InternalRate(root, None, (root,))
    roots = tuple(Fraction(expm1(log_root)) if log_root else Fraction(0) for log_root in _log_roots(net))
    if not roots:
        return InternalRate(None, "no_root")
    standing = [root for root in roots if root >= 0]
    if len(roots) == 1:
        return InternalRate(roots[0], None, roots)
    if len(standing) == 1:
        return InternalRate(standing[0], None, roots)
    return InternalRate(None, "ambiguous", roots)


def annual_cost(method: str, flows: CashFlows) -> AnnualCost:
    """The cost of cash flows by a method of `METHODS`; raises `CostError` for an unknown one.

    >>> flows = CashFlows((CashFlow(0, 600_000),), tuple(CashFlow(k, 53_600) for k in range(1, 13)))
    >>> annual_cost("cn_irr_x12_simple@1", flows).rate_e12
    130342242811
    """
    scale = METHODS.get(method)
    if scale is None:
        raise CostError("method", method, "one of " + ", ".join(METHODS))
    found = internal_rate(flows.advances, flows.payments)
    if found.periodic is None:
        return AnnualCost(method, None, found.undefined)
    if found.periodic == 0:
        return AnnualCost(method, 0)
    rate = scale(float(found.periodic), float(flows.periods_per_year))
    if isinf(rate):
        return AnnualCost(method, None, "beyond_measure")
    return AnnualCost(method, round(rate * 1e12) or (1 if rate > 0 else -1))


def _periodic(rate: float, yearly: float) -> float:
    return rate


def _times_year(rate: float, yearly: float) -> float:
    return rate * yearly


def _compounded(rate: float, yearly: float) -> float:
    # So close to losing everything that a float cannot tell it from -100 %.
    return _compound(yearly, log1p(rate)) if rate > -1.0 else -1.0


METHODS: Final[Mapping[str, Callable[[float, float], float]]] = MappingProxyType(
    {
        SIMPLE: _times_year,
        COMPOUNDED: _compounded,
        "periodic_irr@1": _periodic,
        "periodic_irr_x12@1": _times_year,
        "periodic_irr_compounded@1": _compounded,
    }
)
"""How a method makes a yearly rate of the rate of a period and the periods of a year.

A method keeps its meaning under its version for good: figures are stored with it.
"""


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


def _regular_log_rate(advance: int, totals: list[int], defer: int) -> float:
    """ln(1+i) for one advance and payments at the periods defer+1, defer+2, ... that exceed it.

    With v = 1/(1+i), discount d = 1 - v and R_j = what is still to be paid after period j,

        present value - advance = (total - advance) - d * (R_0 + R_1 v + R_2 v^2 + ...)

    All R are positive integers and the charge is an integer, so nothing cancels, at any rate: this is what
    keeps twelve digits where the cost is a millionth of a percent.
    """
    tails = list(accumulate(reversed(totals)))
    total = tails[-1]
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
            break
        step = log1p(ratio) * (advance + over) / (v * (sum_ - discount * slope))
        rate += step
        if -_TINY <= step / rate <= _TINY:  # the next step would be about the square of this
            return rate
    times = range(defer + 1, defer + count + 1)
    return _log_rate([(0, -advance), *((at, paid) for at, paid in zip(times, totals, strict=True))])


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
    if not net:
        raise CostError("flows", "all of them cancel out", "an advance and its payments at different times")
    return net


def _sign_changes(amounts: list[int]) -> int:
    return sum(1 for a, b in pairwise(amounts) if (a > 0) is not (b > 0))


def _log_rate(net: list[tuple[int | Fraction, int]]) -> float:
    """ln(1+i) of flows that change sign once, advances first; 0.0 exactly where their sums are equal.

    Times are counted from the last advance. Then exp(-x t) - 1 has one sign over the payments and the other
    over the advances, so that the charge (an integer) is balanced by terms of one sign: nothing cancels here
    either. Newton within a bracket, since this curve is convex only for a single advance.
    """
    charge = sum(amount for _, amount in net)
    if charge == 0:
        return 0.0
    origin = max(at for at, amount in net if amount < 0)
    advances = [(float(at - origin), -amount) for at, amount in net if amount < 0]
    payments = [(float(at - origin), amount) for at, amount in net if amount > 0]
    furthest = max(payments[-1][0], -advances[0][0])

    def height_and_slope(x: float) -> tuple[float, float]:
        """ln(value paid / value advanced) at x, and how fast it falls."""
        paid, paid_time, paid_shift = _tilted(payments, x)
        lent, lent_time, lent_shift = _tilted(advances, x)
        slope = paid_time - lent_time
        # Of two ways to the same height, the one that is exact here: the charge's while it is small, else the logs'.
        value_lent = lent * exp(lent_shift) if abs(x) * furthest < 500.0 else 0.0
        if abs(charge) < value_lent:
            change = sum(amount * expm1(-x * at) for at, amount in payments)
            change -= sum(amount * expm1(-x * at) for at, amount in advances)
            ratio = (charge + change) / value_lent
            if ratio > -0.9:
                return log1p(ratio), slope
        return log(paid) + paid_shift - log(lent) - lent_shift, slope

    height, slope = height_and_slope(0.0)
    step = height / slope
    low, high = (0.0, inf) if height > 0 else (-inf, 0.0)
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


def _tilted(flows: list[tuple[float, int]], x: float) -> tuple[float, float, float]:
    """Σ amount·exp(-x t) as (value, mean time, shift) with the value scaled by exp(-shift), so that it stays finite."""
    shift = max(-x * at for at, _ in flows)
    value = moment = 0.0
    for at, amount in flows:
        weight = amount * exp(-x * at - shift)
        value += weight
        moment += weight * at
    return value, moment / value, shift


def _log_roots(net: list[tuple[int | Fraction, int]]) -> list[float]:
    """ln(1+i) of every rate from -99 % to 1000 % that balances the flows, in order; for several sign changes.

    Between two neighbouring zeros of f(x)·exp(x·τ) lies one of its derivative. With τ between the two times
    of a sign change, the derivative has the coefficients (τ - t)·a, which change sign once less: repeated, this
    comes down to no change and no zero, and each level back cuts the range into pieces with one zero at most.
    """
    origin = net[0][0]
    scale = max(abs(amount) for _, amount in net)
    flows = [(float(at - origin), amount / scale) for at, amount in net]
    balanced = sum(amount for _, amount in net) == 0

    found = _zeros(flows)
    if balanced:
        # The integers know that 0 is a root; the floats near it are this one.
        nearest = min(found, key=abs, default=1.0)
        if abs(nearest) < _TINY:
            found.remove(nearest)
        found.append(0.0)
        found.sort()
    return found


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
    touching = 1e-14
    left, left_value = _LOWEST_LOG, value(_LOWEST_LOG)
    for right in [*turning, _HIGHEST_LOG]:
        right_value = value(right)
        if right is not _HIGHEST_LOG and abs(right_value) <= touching:
            zeros.append(right)  # a double root: the curve touches the axis where it turns
            right_value = 0.0
        elif left_value * right_value < 0:
            zeros.append(_bisected(value, left, right, left_value > 0))
        elif right is _HIGHEST_LOG and abs(right_value) <= touching:
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
