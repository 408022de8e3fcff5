"""A second solver, in integers of 280 binary places, and the random flows that ours is held against.

Rates are compared as (1 - v)/v, with v the discount of one period: the reference is Newton's method on the polynomial of the
flows in v, and it is proven by the polynomial's sign on both sides, 1e-40 of the rate away.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fenqi.terms.cost import CashFlow, internal_rate

Net = list[tuple[int, int]]
"""(period, amount as the customer pays it), in order, advances first."""

PLACES = 280
ONE = 1 << PLACES


@dataclass(frozen=True)
class Worst:
    """What a run found: how many flows, the failures in words, and the largest relative error."""

    flows: int
    failures: tuple[str, ...]
    error: float


def random_flows(seed: int, count: int) -> Iterator[Net]:
    """Flows that change sign once over 1 to 360 periods, with rates from 1e-9 to 1000 % a period, half of them near zero."""
    chance = random.Random(seed)
    while count:
        net = _flows(chance, near_zero=count % 2 == 0)
        if net is not None:
            yield net
            count -= 1


def _flows(chance: random.Random, *, near_zero: bool) -> Net | None:
    periods = chance.choice((chance.randint(1, 12), chance.randint(1, 60), chance.randint(1, 360)))
    # A rate as a share: 1e-9 %, up to 0.1 % near zero, else up to 1000 %.
    rate = 10 ** (chance.uniform(-11, -3) if near_zero else chance.uniform(-5, 1))
    shape = chance.choice(("level", "level", "any", "gaps", "balloon", "drawn"))
    times = list(range(1, periods + 1))
    if shape == "gaps":
        times = sorted(chance.sample(times, chance.randint(1, periods)))
    size = 10 ** chance.uniform(2, 13)
    if shape in ("any", "gaps"):
        paid = [max(1, round(size * chance.uniform(0.01, 2))) for _ in times]
    else:
        paid = [max(1, round(size))] * len(times)
    if shape == "balloon":
        paid[-1] = max(1, round(size * chance.uniform(2, 60)))
    drawn = (
        sorted(chance.sample(range(periods), min(periods, chance.randint(2, 5)))) if shape == "drawn" else [0]
    )
    if math.log1p(rate) * drawn[-1] > 600:
        return None  # no amounts are that far apart
    times = [at for at in times if at > drawn[-1]]
    paid = paid[: len(times)]
    # What is worth the payments at that rate is advanced, in equal parts; whole minor units move the rate a little.
    worth = sum(
        amount * math.exp(-math.log1p(rate) * (at - drawn[-1]))
        for at, amount in zip(times, paid, strict=True)
    )
    parts = sum(math.exp(math.log1p(rate) * (drawn[-1] - at)) for at in drawn)
    part = round(worth / parts)
    if part < 1 or part * len(drawn) == sum(paid):
        return None
    return [*((at, -part) for at in drawn), *zip(times, paid, strict=True)]


def compare(net: Net) -> float:
    """How far our rate lies from the true one, relative to it. Raises `AssertionError` where there is no such thing."""
    found = internal_rate(*sides(net))
    assert found.periodic is not None, found.undefined
    assert found.periodic != 0
    v = true_discount(net, found.periodic)
    true_rate = Fraction(ONE - v, v)
    return float(abs(found.periodic / true_rate - 1))


def sides(net: Sequence[tuple[int, int]]) -> tuple[list[CashFlow], list[CashFlow]]:
    return (
        [CashFlow(at, -amount) for at, amount in net if amount < 0],
        [CashFlow(at, amount) for at, amount in net if amount > 0],
    )


def true_discount(net: Net, near: Fraction) -> int:
    """v = 1/(1+i) that balances the flows, times 2**280, found from `near` and proven to 40 digits of the rate."""
    v = ONE * near.denominator // (near.denominator + near.numerator)
    for _ in range(60):
        value, slope = _value_and_slope(net, v)
        step = (value << PLACES) // slope
        v -= step
        if abs(step) <= 4:
            break
    else:
        raise AssertionError("the reference does not settle")
    # The rate (1-v)/v by 1e-40 of itself is v by 1e-40 of (1-v)·v.
    width = max(abs(ONE - v) * v // (ONE * 10**40), 1 << 40)
    assert width * 10**38 <= abs(ONE - v), "too near to zero for this many places"
    below, above = _value_and_slope(net, v - width)[0], _value_and_slope(net, v + width)[0]
    assert (below < 0) is not (above < 0), "the reference is not proven"
    return v


def _value_and_slope(net: Net, v: int) -> tuple[int, int]:
    """Sum of amount·v^at and its derivative, both times 2**280, by Horner's rule from the last flow."""
    value = slope = 0
    last = net[-1][0]
    amounts = dict(net)
    first = net[0][0]
    for at in range(last, first - 1, -1):
        slope = ((slope * v) >> PLACES) + value
        value = ((value * v) >> PLACES) + (amounts.get(at, 0) << PLACES)
    return value, slope


def run(seed: int, count: int, highest_error: float) -> Worst:
    """Hold `count` random flows against the reference."""
    failures: list[str] = []
    worst = 0.0
    for number, net in enumerate(random_flows(seed, count)):
        try:
            error = compare(net)
        except AssertionError as problem:
            failures.append(f"seed {seed}, flow {number}: {problem}: {net[:3]}...{net[-2:]}")
            continue
        worst = max(worst, error)
        if error > highest_error:
            failures.append(f"seed {seed}, flow {number}: off by {error:.1e}: {net[:3]}...{net[-2:]}")
    return Worst(count, tuple(failures), worst)
