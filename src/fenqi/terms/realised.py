"""What a way to pay cost in the end, and what it costs beside a lower price for cash.

A quoted cost stays what it was. When goods go back, or everything is paid early, what was paid in fact has a cost of
its own, which stands beside the quoted one and never replaces it. And "0 %" is not free where somebody who pays at once pays less:
what is forgone is a charge, paid at the start.
"""

from __future__ import annotations

import msgspec

from fenqi.terms.cost import (
    SIMPLE,
    AnnualCost,
    CashFlow,
    CashFlows,
    CostError,
    DatedFlow,
    DatedFlows,
    annual_cost,
)
from fenqi.terms.intervals import UnitPeriod

__all__ = ["hidden_cost", "realised_cost"]


def realised_cost(
    paid: CashFlows | DatedFlows,
    returned: tuple[CashFlow | DatedFlow, ...] = (),
    refunded: tuple[CashFlow | DatedFlow, ...] = (),
    *,
    method: str = SIMPLE,
    unit: UnitPeriod | None = None,
) -> AnnualCost:
    """The yearly cost of what was really paid.

    `paid`: what was advanced and what was paid in fact. `returned`: goods that went back, at the price they were bought for: a
    payment in kind. `refunded`: money that came back: an advance. A debt that is no longer owed appears nowhere, since it is never
    paid. Where everything comes back, every fee too, the cost is exactly 0.

    All is by period (`CashFlow`) or all by date (`DatedFlow`). Raises `CostError` where the two are mixed, and as `annual_cost` does.

    >>> three = tuple(CashFlow(month, 536_00) for month in (1, 2, 3))
    >>> goods, money = (CashFlow(3, 6000_00),), (CashFlow(3, 1500_00),)  # the fees of 3 x 36.00 are kept
    >>> cost = realised_cost(CashFlows((CashFlow(0, 6000_00),), three), goods, money)
    >>> round(cost.rate_e12 / 1e10, 2)
    7.85
    """
    if isinstance(paid, CashFlows):
        in_kind = _by_period("returned", returned)
        back = _by_period("refunded", refunded)
        flows: CashFlows | DatedFlows = CashFlows(
            (*paid.advances, *back), (*paid.payments, *in_kind), paid.periods_per_year
        )
    else:
        flows = DatedFlows(
            (*paid.advances, *_by_date("refunded", refunded)),
            (*paid.payments, *_by_date("returned", returned)),
        )
    return annual_cost(method, flows, unit)


def hidden_cost(
    flows: CashFlows | DatedFlows,
    forgone_minor: int,
    *,
    method: str = SIMPLE,
    unit: UnitPeriod | None = None,
) -> AnnualCost:
    """The yearly cost of flows for somebody who could have paid `forgone_minor` less by paying at once.

    The first advance is worth that much less. Raises `CostError` where it is worth nothing then.

    >>> free = CashFlows((CashFlow(0, 6000_00),), tuple(CashFlow(month, 500_00) for month in range(1, 13)))
    >>> round(hidden_cost(free, 200_00).rate_e12 / 1e10, 2)
    6.31
    """
    if type(forgone_minor) is not int or forgone_minor < 0:
        raise CostError("forgone_minor", str(forgone_minor), "0 or more minor units")
    if not flows.advances:
        raise CostError("advances", "empty", "an advance")
    if isinstance(flows, CashFlows):
        first, *rest = sorted(flows.advances, key=lambda flow: flow.at)
        lower = msgspec.structs.replace(first, amount_minor=_left(first.amount_minor, forgone_minor))
        return annual_cost(method, CashFlows((lower, *rest), flows.payments, flows.periods_per_year), unit)
    early, *others = sorted(flows.advances, key=lambda flow: flow.on)
    less = msgspec.structs.replace(early, amount_minor=_left(early.amount_minor, forgone_minor))
    return annual_cost(method, DatedFlows((less, *others), flows.payments), unit)


def _left(advanced: int, forgone: int) -> int:
    if forgone >= advanced:
        raise CostError(
            "forgone_minor",
            forgone,
            f"less than the {advanced} advanced at the start",
            "give the difference of the two prices",
        )
    return advanced - forgone


def _by_period(place: str, flows: tuple[CashFlow | DatedFlow, ...]) -> tuple[CashFlow, ...]:
    found = tuple(flow for flow in flows if isinstance(flow, CashFlow))
    if len(found) != len(flows):
        raise CostError(place, "a date", "a period, as the payments have")
    return found


def _by_date(place: str, flows: tuple[CashFlow | DatedFlow, ...]) -> tuple[DatedFlow, ...]:
    found = tuple(flow for flow in flows if isinstance(flow, DatedFlow))
    if len(found) != len(flows):
        raise CostError(place, "a period", "a date, as the payments have")
    return found
