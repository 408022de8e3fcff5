"""Leases, worked by hand: what is paid when, what becomes of the deposit, and what owning costs in a year."""

from __future__ import annotations

from datetime import date

import pytest
from mpmath import mp, mpf

from fenqi.terms.cost import cost_of
from fenqi.terms.plan import Plan
from fenqi.terms.rent import Buyout, Deposit, Lease, Rent
from fenqi.terms.schedule import build_schedule

START = date(2026, 11, 23)


def yearly(flows: list[tuple[object, object]], periods: object) -> mpf:
    """The rate of a period that balances the flows (negative: got), times the periods of a year, to 30 digits."""
    with mp.workdps(40):

        def value(rate: mpf) -> mpf:
            return sum((mpf(amount) * (1 + rate) ** -mpf(at) for at, amount in flows), mpf(0))

        return mp.findroot(
            value, (mpf("-0.05"), mpf("0.2")), solver="anderson", tol=1e-60, maxsteps=200
        ) * mpf(periods)


def phone(at_end: str | None) -> Plan:
    """¥6,999, 12 x ¥499 in advance, ¥1,600 at the end, with a deposit of ¥1,000 or none."""
    deposit = None
    if at_end is not None:
        deposit = Deposit(amount_minor=100_000, at_end=at_end, release_days=0)  # type: ignore[arg-type]
    terms = Lease(rent=Rent(49_900), paid="in_advance", goods="new", deposit=deposit, buyout=Buyout(160_000))
    return Plan("phone-12", "phone", "lessor", "operating_lease", 12, terms)


@pytest.mark.parametrize(
    ("at_end", "at_the_start", "last", "percent"),
    [
        # Net advance 6999 - 1000 - 499 = 5500, then 11 x 499, then 1600 - 1000 = 600.
        ("credited", 550_000, 60_000, "18.9426713644"),
        ("returned", 550_000, 60_000, "18.9426713644"),
        # Without the deposit: 6999 - 499 = 6500, and 1600 at the end.
        (None, 650_000, 160_000, "14.4030732319"),
        # Kept by the lessor: 5500 as with it, and the whole 1600 at the end.
        ("lost", 550_000, 160_000, "43.6606826849"),
    ],
)
def test_what_becomes_of_the_deposit_decides_the_cost(
    at_end: str | None, at_the_start: int, last: int, percent: str
) -> None:
    plan = phone(at_end)
    schedule = build_schedule(plan, 699_900, "CNY", START)
    by_hand = yearly([(0, -at_the_start), *((month, 49_900) for month in range(1, 12)), (12, last)], 12)
    found = cost_of(schedule, plan).simple_e12
    assert found == round(by_hand * 10**12)
    assert f"{found / 10**10:.10f}" == percent
