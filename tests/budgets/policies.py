"""The demo mall's policy with a quota and a budget, as the tests of purses need them."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.api.world import demo_snapshot

from fenqi.policy.snapshot import Budget, Selector, Snapshot, versions_of
from fenqi.texts import Text


def with_purses(
    *, quota: dict[str, int] | None = None, total_minor: int | None = None, **budget: Any
) -> Snapshot:
    """The demo's policy, with daily quotas by funder, and a budget for the plan mall_3."""
    snapshot = demo_snapshot()
    funders = []
    for funder in snapshot.funders:
        daily = (quota or {}).get(funder.id)
        if daily is not None:
            versions = tuple(
                msgspec.structs.replace(version, daily_quota_minor=daily) for version in versions_of(funder)
            )
            funder = msgspec.structs.replace(funder, agreement=None, agreements=versions)
        funders.append(funder)
    budgets: tuple[Budget, ...] = ()
    if total_minor is not None:
        made = {"applies": Selector(plans=("mall_3",)), **budget}
        budgets = (
            Budget(id="test_subsidy", name=Text("免息预算", "the subsidy"), total_minor=total_minor, **made),
        )
    return msgspec.structs.replace(snapshot, funders=tuple(funders), budgets=budgets)
