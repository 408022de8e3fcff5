"""Plans and amounts for the tests of the terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from hypothesis import strategies as st

from fenqi.money import MAX_MINOR
from fenqi.terms.plan import Annuity, DownPayment, FlatFee, PayInFull, Plan, Pricing, ZeroInterest

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
