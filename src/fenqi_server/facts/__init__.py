"""Where each fact comes from. The set gathered here is the recorded input of the decision that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from fenqi.policy.compile import Policy
from fenqi.policy.facts import FactValue
from fenqi_server.budgets import service as budgets
from fenqi_server.facts.asserted import BadFacts, accept, may_assert
from fenqi_server.facts.known import record_prequal, standing
from fenqi_server.funders import health
from fenqi_server.funders.health import report as record_health
from fenqi_server.shops.models import Shop

__all__ = ["BadFacts", "accept", "forget_caches", "gather", "may_assert", "record_health", "record_prequal"]


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
    facts = accept(policy, asserted)
    facts.update(health.facts(shop, policy, at, fresh=fresh))
    facts.update(budgets.facts(shop, policy, at, fresh=fresh))
    facts.setdefault("customer.signed_in", customer_id is not None)
    if customer_id is not None:
        facts.update(standing(shop, customer_id, policy, at))
    return facts


def forget_caches() -> None:
    """Read funders' health and what is left of purses anew."""
    health.forget_caches()
    budgets.forget_caches()
