"""What a checkout says of a lease beside its figures: the sheet, held to the policy's own ceiling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from fenqi.policy.conditions import All, Clause, Condition
from fenqi.policy.snapshot import selects
from fenqi.terms.cost import Cost
from fenqi.terms.lease_sheet import LeaseSheet, lease_sheet
from fenqi.terms.plan import Plan
from fenqi.terms.schedule import Schedule

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = ["ratio_ceiling", "sheet_of"]

_RATIO: Final = "offer.yearly_ratio"

# Worked out once for each policy and plan: a ceiling is a rule's, and rules do not change within a policy.
_CEILINGS: Final[WeakKeyDictionary[Policy, dict[str, int | None]]] = WeakKeyDictionary()


def sheet_of(policy: Policy, plan: Plan, schedule: Schedule, cost: Cost) -> LeaseSheet:
    """The sheet of a lease as the policy's shop shows it: with the ceiling that its rules hold the lease to."""
    return lease_sheet(plan, schedule, cost, ceiling_e12=ratio_ceiling(policy, plan))


def ratio_ceiling(policy: Policy, plan: Plan) -> int | None:
    """The most that a year's rents and the buyout may be of the price, in 1e-12, by the rules about a plan; None where none says so."""
    known = _CEILINGS.setdefault(policy, {})
    if plan.id not in known:
        bounds = [
            bound
            for rule in policy.resolved
            if rule.when is None and rule.require is not None and selects(rule.applies, plan)
            for bound in _bounds(rule.require)
        ]
        known[plan.id] = min(bounds, default=None)
    return known[plan.id]


def _bounds(condition: Condition) -> Iterator[int]:
    """What the condition holds the ratio to at most, whatever else it asks."""
    if isinstance(condition, All):
        for part in condition.parts:
            yield from _bounds(part)
    elif (
        isinstance(condition, Clause)
        and condition.fact == _RATIO
        and condition.op in ("<", "<=")
        and type(condition.value) is int
    ):
        yield condition.value
