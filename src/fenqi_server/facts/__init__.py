"""Where each fact comes from. The set gathered here is the recorded input of the decision that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from fenqi.policy.compile import Policy
from fenqi.policy.facts import FactValue
from fenqi_server.budgets import service as budgets
from fenqi_server.facts.asserted import BadFacts, accept, may_assert
from fenqi_server.facts.known import record_prequal, standing
from fenqi_server.funders import health
from fenqi_server.funders.health import report as record_health
from fenqi_server.shops.models import Shop

__all__ = [
    "BadFacts",
    "Gathered",
    "accept",
    "forget_caches",
    "gather",
    "gather_dated",
    "may_assert",
    "record_health",
    "record_prequal",
]


class Gathered(msgspec.Struct, frozen=True):
    """Facts, and of those that the policy lets count for a time only, when they were found out (epoch seconds)."""

    facts: dict[str, FactValue]
    as_of: dict[str, int]


def gather(
    shop: Shop,
    customer_id: UUID | None,
    asserted: Mapping[str, object],
    policy: Policy,
    at: datetime,
    *,
    fresh: bool = False,
) -> dict[str, FactValue]:
    """Everything known about this customer at this instant; what is not in it is unknown.

    Funders' health and what is left of quotas and budgets may be a second old, unless `fresh`. Raises `BadFacts` where
    the shop tells what it may not, or what is no value of the fact.
    """
    return gather_dated(shop, customer_id, asserted, policy, at, fresh=fresh).facts


def gather_dated(
    shop: Shop,
    customer_id: UUID | None,
    asserted: Mapping[str, object],
    policy: Policy,
    at: datetime,
    *,
    as_of: Mapping[str, int] | None = None,
    fresh: bool = False,
) -> Gathered:
    """As `gather`, with what is recorded beside the facts: how old they are. `as_of` says so of those asserted."""
    facts = accept(policy, asserted)
    told = {name: instant for name, instant in (as_of or {}).items() if name in policy.max_ages}
    facts.update(health.facts(shop, policy, at, fresh=fresh, as_of=told))
    facts.update(budgets.facts(shop, policy, at, fresh=fresh))
    facts.setdefault("customer.signed_in", customer_id is not None)
    if customer_id is not None:
        facts.update(standing(shop, customer_id, policy, at, as_of=told))
        if "customer.id" in policy.asked:
            facts["customer.id"] = customer_id.hex
    return Gathered(facts, told)


def forget_caches() -> None:
    """Read funders' health and what is left of purses anew."""
    health.forget_caches()
    budgets.forget_caches()
