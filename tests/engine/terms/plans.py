"""Plans and amounts for the tests of the terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, get_args

import msgspec
from hypothesis import strategies as st

from fenqi.money import MAX_MINOR
from fenqi.terms.plan import (
    PROFILES,
    Annuity,
    Balloon,
    Bearer,
    DayCount,
    DownPayment,
    EqualPrincipal,
    Fee,
    FlatFee,
    FlatInterest,
    InterestOnly,
    PayInFull,
    Plan,
    Pricing,
    ZeroInterest,
)
from fenqi.texts import Text

START = date(2026, 11, 23)
MALL_12 = Plan("mall-12", "mall", "shop", "instalment_sale", 12, FlatFee(rate_per_period=Decimal("0.006")))
MALL_3 = Plan("mall-3", "mall", "shop", "instalment_sale", 3, ZeroInterest("shop"))
LOAN_12 = Plan("loan-12", "loan", "lender", "loan", 12, Annuity(Decimal("0.072")))
AT_ONCE = Plan("debit", "debit", "bank", "full_payment", 1, PayInFull())


@dataclass(frozen=True)
class Case:
    plan: Plan
    amount_minor: int
    start_on: date


def rates(highest: str) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(0), Decimal(highest), places=6)


pricings: st.SearchStrategy[Pricing] = st.one_of(
    st.builds(ZeroInterest, st.sampled_from(["shop", "funder"])),
    st.builds(FlatFee, rate_per_period=rates("0.2")),
    st.builds(FlatFee, total_rate=rates("2")),
    st.builds(Annuity, rates("5")),
)
downs: st.SearchStrategy[DownPayment | None] = st.one_of(
    st.none(),
    st.builds(DownPayment, share=st.decimals(Decimal("0.01"), Decimal("0.9"), places=2)),
    st.builds(DownPayment, amount_minor=st.integers(1, 1000)),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any plan on any amount that it can be applied to."""
    plan = Plan(
        "any",
        "any",
        "shop",
        "instalment_sale",
        draw(st.integers(1, 60)),
        draw(pricings),
        unit=draw(st.sampled_from(["day", "week", "month"])),
        every=draw(st.integers(1, 6)),
        down_payment=draw(downs),
        defer_periods=draw(st.integers(0, 6)),
        residue=draw(st.sampled_from(["first", "last"])),
    )
    amount = draw(
        st.one_of(st.integers(1002, 10_000), st.integers(1002, 10_000_000), st.integers(1002, MAX_MINOR))
    )
    start = draw(st.dates(date(2020, 1, 1), date(2040, 12, 31)))
    return Case(plan, amount, start)


timings = st.sampled_from(["per_period", "first_bill", "up_front", "at_end"])
fees = st.one_of(
    st.builds(dict, rate_per_period=rates("0.01"), minimum_minor=st.integers(0, 5_000)),
    st.builds(dict, total_rate=rates("0.1"), minimum_minor=st.integers(0, 5_000)),
    st.builds(dict, amount_minor=st.integers(0, 100_000)),
)


@st.composite
def bearers(draw: st.DrawFn) -> tuple[Bearer, ...]:
    parties = draw(st.permutations(["customer", "shop", "brand", "funder"]))[: draw(st.integers(1, 4))]
    cuts = sorted(draw(st.sets(st.integers(1, 999), min_size=len(parties) - 1, max_size=len(parties) - 1)))
    edges = [0, *cuts, 1000]
    return tuple(
        Bearer(party, Decimal(after - before).scaleb(-3))
        for party, before, after in zip(parties, edges, edges[1:], strict=False)
    )


@st.composite
def interest_axes(draw: st.DrawFn, plan: Plan) -> dict[str, Any]:
    """Another pricing, with interest, and all that only such a one can have."""
    periods = draw(st.one_of(st.integers(1, 6), st.integers(1, 60)))
    rate = draw(rates("2"))
    balloon = None
    if periods > 1:
        shares = st.decimals(Decimal("0.01"), Decimal("0.99"), places=2)
        balloon = draw(st.one_of(st.none(), st.builds(Balloon, share=shares)))
    pricing = draw(
        st.sampled_from(
            [Annuity(rate, balloon), EqualPrincipal(rate, balloon), InterestOnly(rate), FlatInterest(rate)]
        )
    )
    changes: dict[str, Any] = {"pricing": pricing, "periods": periods}
    if not isinstance(pricing, InterestOnly):
        changes["grace_principal"] = draw(st.integers(0, periods - 1))
    changes["grace_interest"] = draw(st.integers(0, periods - 1))
    changes["interest_free_periods"] = draw(st.integers(0, periods))
    if plan.defer_periods:
        changes["deferral_interest"] = draw(st.sampled_from(["none", "capitalised", "first_bill"]))
    changes["conventions"] = msgspec.structs.replace(
        draw(st.sampled_from(list(PROFILES.values()))),
        day_count=draw(st.sampled_from(get_args(DayCount))),
        year_split=draw(st.sampled_from(["dec31", "jan1"])),
        leap_rule=draw(st.sampled_from(["actual", "feb29_period"])),
        rounding=draw(st.sampled_from(["half_even", "half_up", "up"])),
    )
    return changes


@st.composite
def wide_cases(draw: st.DrawFn) -> Case:
    """Any plan of `cases`, on every other axis too; holidays are moved by the shipped calendar, so dates are near."""
    case = draw(cases())
    plan, changes = case.plan, {}
    if draw(st.booleans()):
        changes |= draw(interest_axes(plan))
    elif isinstance(plan.pricing, FlatFee):
        changes["pricing"] = msgspec.structs.replace(
            plan.pricing, timing=draw(timings), minimum_minor=draw(st.integers(0, 10_000))
        )
    if not isinstance(changes.get("pricing", plan.pricing), ZeroInterest):
        changes["bearers"] = draw(st.one_of(st.just(()), bearers()))
    changes["residue"] = draw(st.sampled_from(["first", "last", "spread"]))
    changes["conventions"] = msgspec.structs.replace(
        changes.get("conventions", plan.conventions),
        instalment_multiple_minor=draw(st.sampled_from([1, 1, 10, 100])),
    )
    changes["fees"] = tuple(
        Fee(
            code=f"fee_{n}",
            name=Text("费", "fee"),
            payee=draw(st.sampled_from(["shop", "p"])),
            timing=draw(timings),
            **draw(fees),
        )
        for n in range(draw(st.integers(0, 3)))
    )
    start = case.start_on
    if draw(st.booleans()):
        changes["unit"] = draw(st.sampled_from(["month", "half_month"]))
        changes["due_day"] = draw(st.one_of(st.none(), st.integers(1, 31)))
        if changes["due_day"] is not None:
            changes["min_first_days"] = draw(st.integers(0, 60))
            if "annual_rate" in changes.get("pricing", plan.pricing).__struct_fields__:
                changes["odd_first"] = draw(st.sampled_from(["whole", "by_days"]))
    changed = msgspec.structs.replace(plan, **changes)
    if changed.periods <= 6 and changed.defer_periods <= 2 and draw(st.booleans()):
        changes |= {"holiday": draw(st.sampled_from(HOLIDAYS)), "calendar": "cn", "every": 1}
        start = draw(st.dates(date(2019, 1, 2), date(2025, 12, 31)))
    return Case(msgspec.structs.replace(plan, **changes), case.amount_minor, start)


HOLIDAYS = ["following", "preceding", "modified_following"]
