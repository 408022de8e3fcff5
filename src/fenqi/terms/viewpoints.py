"""One plan seen by those who pay for it: three figures that must never stand for each other.

An interest-free plan costs its customer 0 % and is not free: the shop pays for it, and the funder earns. ¥6,000 in 12
parts of ¥500, for which the shop pays the funder ¥432 at the start: 0 % for the customer, 14.02 % a year for the
funder, who puts up ¥5,568 for the same 12 x ¥500, and 7.2 % of the price for the shop.
"""

from __future__ import annotations

import msgspec

from fenqi.terms.cost import SIMPLE, AnnualCost, CashFlow, CashFlows, annual_cost, flows_of, row_times
from fenqi.terms.plan import Party, Plan
from fenqi.terms.schedule import Schedule

__all__ = ["Burden", "Viewpoints", "funder_flows", "viewpoints"]


class Burden(msgspec.Struct, frozen=True):
    """What a party bears, all at the start: an amount, and its share of what is financed in 1e-12 (None of nothing)."""

    party: Party
    amount_minor: int
    share_e12: int | None


class Viewpoints(msgspec.Struct, frozen=True):
    """What one plan is to each side.

    `customer`: what the customer's own payments cost in a year. `funder`: what the funder earns on what it puts up, by the same
    method; undefined where it earns nothing of its own. `burdens`: what shop, brand and funder bear of the plan's pricing.
    """

    customer: AnnualCost
    funder: AnnualCost
    burdens: tuple[Burden, ...] = ()

    def burden(self, party: Party) -> Burden | None:
        """What one party bears, if anything."""
        return next((burden for burden in self.burdens if burden.party == party), None)


def viewpoints(schedule: Schedule, plan: Plan, method: str = SIMPLE) -> Viewpoints:
    """A schedule that `plan` gave, seen by customer, funder, shop and brand.

    >>> from datetime import date
    >>> from decimal import Decimal
    >>> from fenqi.terms.plan import Bearer, FlatFee
    >>> from fenqi.terms.schedule import build_schedule
    >>> pricing, shop = FlatFee(total_rate=Decimal("0.072")), Bearer("shop", Decimal(1))
    >>> plan = Plan("free-12", "free", "bank", "loan", 12, pricing, bearers=(shop,))
    >>> seen = viewpoints(build_schedule(plan, 600_000, "CNY", date(2026, 11, 23)), plan)
    >>> seen.customer.rate_e12, round(seen.funder.rate_e12 / 1e10, 2), seen.burdens[0].amount_minor
    (0, 14.02, 43200)
    """
    own = flows_of(schedule, plan)
    financed = schedule.financed_minor
    return Viewpoints(
        annual_cost(method, own),
        annual_cost(method, funder_flows(schedule, plan)),
        tuple(
            Burden(
                borne.party,
                borne.amount_minor,
                (borne.amount_minor * 10**12 * 2 + financed) // (2 * financed) if financed else None,
            )
            for borne in schedule.borne
        ),
    )


def funder_flows(schedule: Schedule, plan: Plan) -> CashFlows:
    """What the funder puts up and what comes back to it, in periods of the plan.

    What shop and brand bear is paid to it at the start and lowers what it puts up; what it bears itself moves nothing. Charges
    that go to somebody else (a guarantor, or the fee's own payee) do not reach it.
    """
    flows = flows_of(schedule, plan)
    if schedule.lease is not None:
        return flows
    own = (plan.fee_payee or plan.funder) == plan.funder
    if schedule.charges:
        others = [charge.by_row_minor for charge in schedule.charges if charge.payee != plan.funder]
        elsewhere = (
            [sum(parts) for parts in zip(*others, strict=True)] if others else [0] * len(schedule.rows)
        )
    else:
        elsewhere = [0 if own else row.fee_minor for row in schedule.rows]
    payments = [
        CashFlow(at, reaches)
        for at, row, other in zip(row_times(schedule, plan), schedule.rows, elsewhere, strict=True)
        if (reaches := row.total_minor - (0 if row.number else row.principal_minor) - other)
    ]
    from_others = sum(borne.amount_minor for borne in schedule.borne if borne.party in ("shop", "brand"))
    if own and from_others:
        payments.append(CashFlow(0, from_others))
    return CashFlows(flows.advances, tuple(payments), flows.periods_per_year)
