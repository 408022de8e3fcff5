"""The solver against 40 digits: 20,000 random flows here, a million in `make campaign`; by period and by date, at any size."""

from __future__ import annotations

import os
import random
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.terms.forty_digits import ONE, Worst, random_flows, run, sides, true_discount

from fenqi.calendars import add_months
from fenqi.terms.cost import (
    ACT365,
    EU,
    METHODS,
    SIMPLE,
    UK,
    US,
    CashFlows,
    DatedFlow,
    DatedFlows,
    annual_cost,
    counted,
    internal_rate,
)

HIGHEST_ERROR = 1e-12


def test_20_000_random_flows_have_12_digits() -> None:
    found = run(20_261_128, 20_000, HIGHEST_ERROR)
    assert found.flows == 20_000
    assert found.failures == ()
    assert found.error <= HIGHEST_ERROR


@pytest.mark.campaign
def test_a_million_random_flows_have_12_digits() -> None:
    parts = 250
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as workers:
        found = list(
            workers.map(run, range(parts), [1_000_000 // parts] * parts, [HIGHEST_ERROR] * parts, chunksize=1)
        )
    worst = Worst(
        sum(part.flows for part in found),
        tuple(failure for part in found for failure in part.failures),
        max(part.error for part in found),
    )
    print(f"\n{worst.flows} flows, worst relative error {worst.error:.1e}")
    assert worst.flows == 1_000_000
    assert worst.failures == ()
    assert worst.error <= HIGHEST_ERROR


def test_the_random_flows_are_what_they_are_said_to_be() -> None:
    rates, periods = [], []
    for net in random_flows(1, 2_000):
        signs = [amount > 0 for _, amount in net]
        assert signs == sorted(signs)
        assert signs[0] is not signs[-1]
        found = internal_rate(*sides(net)).periodic
        assert found is not None
        rates.append(abs(float(found)))
        periods.append(net[-1][0])
    assert max(rates) > 9
    assert min(rates) < 1e-10
    assert 0.45 < sum(rate < 1e-3 for rate in rates) / len(rates) < 0.75
    assert max(periods) > 340
    assert min(periods) == 1


def test_the_reference_knows_a_rate_worked_by_hand() -> None:
    # 100 for 60 and 55: 1 + i = 1.1 (see test_cost).
    v = true_discount([(0, -100), (1, 60), (2, 55)], Fraction(1, 8))
    assert abs(Fraction(ONE - v, v) - Fraction(1, 10)) < Fraction(1, 10**60)
    # 12 x 536 for 6,000: 13.0342242811 % (40 digits of it are in the vectors' sources; these ten are published).
    v = true_discount([(0, -6000), *((month, 536) for month in range(1, 13))], Fraction(1, 100))
    assert round(float(Fraction(ONE - v, v)) * 1200, 10) == 13.0342242811


# Dates: parts of periods, by each method's clock.


def dated_flows(chance: random.Random, *, near_zero: bool) -> DatedFlows:
    """One to three advances, then 1 to 60 payments on days that no period fits, worth about what was advanced."""
    start = date(2020, 1, 1) + timedelta(days=chance.randint(0, 3000))
    lent = [DatedFlow(start, chance.randint(1, 10**7))]
    for _ in range(chance.choice((0, 0, 1, 2))):
        lent.append(DatedFlow(lent[-1].on + timedelta(days=chance.randint(1, 90)), chance.randint(1, 10**7)))
    first = lent[-1].on + timedelta(days=chance.randint(1, 70))
    count = chance.choice((1, 2, 3, 12, 60))
    step = chance.choice((0, 7, 14, 1))
    on = [
        add_months(first, number) if step == 0 else first + timedelta(days=step * number)
        for number in range(count)
    ]
    total = sum(flow.amount_minor for flow in lent)
    growth = 10 ** chance.uniform(-9, -4) if near_zero else chance.uniform(-0.3, 3)
    paid = max(count, round(total * (1 + growth)))
    if paid == total:
        paid += 1
    each, rest = divmod(paid, count)
    payments = [DatedFlow(day, each + (rest if day == on[-1] else 0)) for day in on]
    return DatedFlows(tuple(lent), tuple(payments))


def has_12_digits(flows: CashFlows, *, simple: bool) -> bool:
    """Whether the true rate lies within 1e-12 of ours: the balance, in 50 digits, changes sign there."""
    found = internal_rate(flows.advances, flows.payments, odd="simple" if simple else "compound")
    assert found.periodic is not None, found.undefined
    assert found.periodic != 0
    with mpmath.workdps(50):
        ours = mpmath.mpf(found.periodic.numerator) / found.periodic.denominator

        def worth(at: Fraction, rate: mpmath.mpf) -> mpmath.mpf:
            whole, part = divmod(at, 1) if simple else (Fraction(0), at)
            fraction = mpmath.mpf(part.numerator) / part.denominator
            if simple:
                return 1 / ((1 + fraction * rate) * (1 + rate) ** int(whole))
            return mpmath.exp(-mpmath.log1p(rate) * fraction)

        def balance(rate: mpmath.mpf) -> mpmath.mpf:
            paid = mpmath.fsum(flow.amount_minor * worth(Fraction(flow.at), rate) for flow in flows.payments)
            return paid - mpmath.fsum(
                flow.amount_minor * worth(Fraction(flow.at), rate) for flow in flows.advances
            )

        width = abs(ours) * mpmath.mpf(10) ** -12
        return bool(balance(ours - width) > 0 > balance(ours + width))


@pytest.mark.parametrize("method", [US, EU, UK, ACT365, SIMPLE])
def test_rates_between_dates_have_12_digits(method: str) -> None:
    chance = random.Random(method)
    for number in range(300):
        flows = counted(method, dated_flows(chance, near_zero=number % 2 == 0))
        assert has_12_digits(flows, simple=METHODS[method].odd == "simple"), (method, number)


# Size plays no part.


@given(st.integers(0, 10**6), st.integers(0, 15))
@settings(deadline=None)
def test_size_plays_no_part_from_1_to_1e15_minor_units(seed: int, power: int) -> None:
    net = next(random_flows(seed, 1))
    scale = max(1, max(abs(amount) for _, amount in net) // 10**power)
    small = [(at, amount // scale or 1) for at, amount in net]
    flows = CashFlows(*map(tuple, sides(small)))
    if sum(amount for _, amount in small) == 0:
        assert annual_cost(SIMPLE, flows).rate_e12 == 0
        return
    rate = internal_rate(flows.advances, flows.payments).periodic
    assert rate is not None
    for factor in (7, 10**3, 10**9, 10**15 // max(abs(amount) for _, amount in small) or 1):
        large = [(at, amount * factor) for at, amount in small]
        other = internal_rate(*sides(large)).periodic
        assert other is not None
        assert abs(other - rate) <= abs(rate) * Fraction(1, 10**13)


@pytest.mark.parametrize("power", range(16))
def test_one_cost_at_every_size(power: int) -> None:
    # 10 minor units against 3 x 4, and the same ten times as large, up to 1e15.
    net = [(0, -10), (1, 4), (2, 4), (3, 4)]
    flows = CashFlows(*map(tuple, sides([(at, amount * 10**power) for at, amount in net])))
    # 10 = 4(v + v² + v³), and 12 times the rate of that v.
    v = true_discount(net, Fraction(1, 10))
    assert annual_cost(SIMPLE, flows).rate_e12 == round(Fraction(ONE - v, v) * 12 * 10**12)
