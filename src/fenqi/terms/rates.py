"""The rate that balances what is advanced with what is paid: found in floats, with twelve digits at any size.

Newton's method on the logarithm of present value over x = ln(1 + i): scale plays no part, and the start from the payments' mean
time and its spread leaves two steps for an ordinary plan. Two things keep it exact where naive solvers fail: whether anything is
charged at all is decided on integers, and the cost is never the difference of two nearly equal sums (see `regular_log_rate`).

What leaves this module as a rate is a `Fraction`, or ln(1 + i) for `fenqi.terms.cost`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import accumulate, pairwise
from math import exp, expm1, inf, log, log1p, sqrt
from typing import Final, Literal

import msgspec

from fenqi.problems import BadInput

__all__ = [
    "MAX_AMOUNT",
    "MAX_FLOWS",
    "CashFlow",
    "CostError",
    "InternalRate",
    "Odd",
    "compound",
    "held_log_rate",
    "internal_rate",
    "odd_log_rate",
    "regular_log_rate",
]

MAX_FLOWS: Final = 10_000
MAX_TIME: Final = 100_000
MAX_AMOUNT: Final = 10**24
MAX_CHANGES: Final = 100
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


Odd = Literal["compound", "simple"]
"""How a part of a period bears interest."""


class InternalRate(msgspec.Struct, frozen=True):
    """The rate of one period, or why there is none.

    `undefined` is "one_signed" (nothing advanced, or nothing paid), "no_root", "beyond_measure" (more than
    a hundred digits), or "ambiguous" (several rates balance the flows: `roots` has those from -99 % to 1000 %).
    """

    periodic: Fraction | None
    undefined: str | None = None
    roots: tuple[Fraction, ...] = ()


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


def compound(yearly: float, log_rate: float) -> float:
    """exp(yearly·log_rate) - 1, the yearly rate of ln(1 + i) over so many periods; infinite beyond a hundred digits.

    >>> round(compound(12, log1p(0.01)), 6)
    0.126825
    """
    grown = yearly * log_rate
    return expm1(grown) if grown <= _BEYOND_LOG else inf


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
        return odd_log_rate(
            -advance,
            [
                (int(whole), float(part), paid)
                for (whole, part), (_, paid) in zip(periods, net[1:], strict=True)
            ],
        )
    totals = [0] * last
    for (whole, _), (_, paid) in zip(periods, net[1:], strict=True):
        totals[int(whole) - 1] = paid
    return regular_log_rate(-advance, totals, 0)


def regular_log_rate(advance: int, totals: list[int], defer: int) -> float | None:
    """ln(1+i) for one advance and payments at the periods defer+1, defer+2, ... that exceed it; None where that is not safe.

    With v = 1/(1+i), discount d = 1 - v and R_j = what is still to be paid after period j,

        present value - advance = (total - advance) - d * (R_0 + R_1 v + R_2 v^2 + ...)

    All R are positive integers and the charge is an integer, so nothing cancels while the charge is not
    far beyond the advance: this is what keeps twelve digits where the cost is a millionth of a percent.

    >>> round(expm1(regular_log_rate(6_000, [536] * 12, 0)) * 1200, 2)
    13.03
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


def odd_log_rate(advance: int, timed: list[tuple[int, float, int]]) -> float | None:
    """ln(1+i) for one advance and later payments (whole periods, part of one, amount) that exceed it; None where that is not safe.

    A payment loses 1 - D = ((1 - v^t) + f·i) / (1 + f·i) of itself by discounting: positive terms again, against
    the charge, an integer. 1 - v^t is carried from t to t + 1 as (1 - v^t)·v + d, without a difference.

    >>> round(expm1(odd_log_rate(100, [(0, 0.5, 101)])), 6)
    0.02
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


def held_log_rate(net: list[tuple[int | Fraction, int]], *, odd: Odd = "compound") -> float | None:
    """ln(1+i) for an advance at 0, then payments, and last a deposit that goes back, where more is paid than is got.

    By Descartes' rule such flows have two rates at most. Their sum is positive and their value at an endless rate is the
    advance, negative: so exactly one of the rates is above 0, and it is the only one that is not negative. None where that is
    not safe: above 1000 %, or where the charge is far beyond the advance.

    >>> round(expm1(held_log_rate([(0, -1000), (1, 1130), (2, -20)])), 6)
    0.112015
    """
    simple = odd == "simple"
    timed = []
    for at, amount in net:
        whole, part = divmod(at, 1)
        timed.append((int(whole), float(part), amount))
    total = sum(amount for _, amount in net)

    def height_and_slope(x: float) -> tuple[float, float]:
        """The value of all flows at x, and how fast it changes. The total is an integer: what is small near 0 stays exact."""
        height, slope = float(total), 0.0
        rate = expm1(x)
        for whole, part, amount in timed:
            if part and simple:
                grown = 1.0 + part * rate
                lost, time = x * whole + log1p(part * rate), whole + part * (1.0 + rate) / grown
            else:
                time = whole + part
                lost = x * time
            height += amount * expm1(-lost)
            slope -= amount * time * exp(-lost)
        return height, slope

    if sum(amount for _, amount in net if amount > 0) > _FAR_BEYOND * -net[0][1]:
        return None  # the total would swallow what is left of it
    low, high = 0.0, _HIGHEST_LOG
    if height_and_slope(high)[0] >= 0:
        return None
    _, slope = height_and_slope(0.0)
    x = total / -slope if slope < 0 else high / 2
    for _ in range(100):
        if not low < x < high:
            x = (low + high) / 2
        height, slope = height_and_slope(x)
        if height > 0:
            low = x
        elif height < 0:
            high = x
        else:
            return x
        step = -height / slope if slope < 0 else (low + high) / 2 - x
        x += step
        # A step of a billionth leaves an error of its square.
        if abs(step) <= _TINY * abs(x):
            return x
    return None


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
