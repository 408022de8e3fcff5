"""Purses: money that renews. What there is to spend at an instant, from when, until when.

A funder's daily quota renews at the shop's midnight, whatever the clocks do that night. A subsidy's budget lies between
its start and its end; one that renews does so at the instant it names and at the same day and hour of every month
after it (the 31st is the month's last day where a month has fewer).

Everything here follows from the policy and the instant: no job has to run for a purse to renew.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Final

import msgspec

from fenqi.calendars import add_months, at_local, local_date, local_minute_of_day, to_epoch
from fenqi.policy.compile import Policy
from fenqi.policy.facts import LATEST
from fenqi.policy.snapshot import Agreement, Budget, Funder, selects, versions_of
from fenqi.terms.plan import Plan

__all__ = ["Purse", "agreement_at", "budget_period", "purses_of", "purses_of_plan", "quota_period"]


class Purse(msgspec.Struct, frozen=True):
    """One period of one purse, in epoch seconds. `share` is what each financed minor unit costs it."""

    id: str
    total_minor: int
    starts: int
    ends: int | None
    renews: int | None
    share: Decimal = Decimal(1)

    @property
    def fact(self) -> str:
        """The fact that tells what is left."""
        kind, _, name = self.id.partition(".")
        return f"funder.{name}.quota_left" if kind == "quota" else f"budget.{name}.left"

    @property
    def renews_fact(self) -> str:
        """The fact that tells when it is full again."""
        kind, _, name = self.id.partition(".")
        return f"funder.{name}.quota_renews" if kind == "quota" else f"budget.{name}.renews"

    def is_of(self, rule: str) -> bool:
        """Whether the policy's rule of this id guards the purse.

        >>> Purse("quota.hean", 1, 0, None, None).is_of("agreement.hean.hean-5.quota")
        True
        """
        kind, _, name = self.id.partition(".")
        if kind == "budget":
            return rule == self.id
        return rule.startswith(f"agreement.{name}.") and rule.endswith(".quota")

    def cost_minor(self, amount_minor: int) -> int:
        """What financing this amount takes out of the purse, rounded up: a purse never pays for a part of a fen.

        >>> Purse("budget.x", 100_000, 0, None, None, Decimal("0.025")).cost_minor(499_901)
        12498
        """
        return ceil(Fraction(self.share) * amount_minor)

    def volume_minor(self, left_minor: int) -> int:
        """The largest amount that what is left still covers.

        >>> Purse("budget.x", 100_000, 0, None, None, Decimal("0.025")).volume_minor(12_498)
        499920
        """
        return floor(Fraction(left_minor) / Fraction(self.share))


def quota_period(at: int, zone: str) -> tuple[int, int]:
    """The shop's day around an instant: from its first moment up to the next day's.

    >>> start, end = quota_period(1795370400, "Asia/Shanghai")
    >>> end - start
    86400
    """
    day = local_date(at, zone)
    return at_local(day, 0, zone), at_local(day + timedelta(days=1), 0, zone)


def budget_period(budget: Budget, at: int, zone: str) -> tuple[int, int | None] | None:
    """The period of a budget around an instant; None before its start and from its end on."""
    start = budget.start if budget.start is not None else 0
    if at < start or (budget.end is not None and at >= budget.end):
        return None
    if budget.renews is None:
        return start, budget.end
    if at < budget.renews:
        return start, _sooner(budget.renews, budget.end)
    day, minute = local_date(budget.renews, zone), local_minute_of_day(budget.renews, zone)
    today = local_date(at, zone)
    # The clocks may make a month's boundary fall on either side of the instant: try the month before too.
    months = max(0, (today.year - day.year) * 12 + today.month - day.month - 1)
    begins = budget.renews
    while True:
        months += 1
        following = at_local(add_months(day, months), minute, zone)
        if following > at:
            break
        begins = following
    if months > 1:
        begins = max(begins, at_local(add_months(day, months - 1), minute, zone))
    return begins, _sooner(following, budget.end)


def agreement_at(funder: Funder, at: int) -> Agreement | None:
    """The agreement version whose quota counts at an instant: of those in force, the one that begins last.

    Versions for a part of the customers share the funder's one quota.
    """
    in_force = [
        version
        for version in versions_of(funder)
        if (version.valid_from is None or version.valid_from <= at)
        and (version.valid_to is None or at < version.valid_to)
        and version.daily_quota_minor is not None
    ]
    return max(in_force, key=lambda version: version.valid_from or 0, default=None)


def purses_of(policy: Policy, at: datetime) -> tuple[Purse, ...]:
    """Every purse that the policy has open at an instant, in order of their ids."""
    epoch = to_epoch(at)
    known = _open.get(policy.digest)
    if known is None or not known[0] <= epoch < known[1]:
        purses = _purses(policy, epoch)
        # Each evaluation asks, and the answer changes once a day or so: it is kept until it may be another.
        edges = [edge for edge in _edges(policy, purses) if edge > epoch]
        if len(_open) >= MAX_KEPT:
            _open.clear()
        known = _open[policy.digest] = (epoch, min(edges, default=LATEST), purses)
    return known[2]


MAX_KEPT: Final = 64
_open: dict[str, tuple[int, int, tuple[Purse, ...]]] = {}


def _edges(policy: Policy, purses: tuple[Purse, ...]) -> list[int]:
    """Every instant at which a purse may begin, end or renew."""
    edges = [purse.ends for purse in purses]
    for funder in policy.snapshot.funders:
        for version in versions_of(funder):
            edges += [version.valid_from, version.valid_to]
    for budget in policy.snapshot.budgets:
        edges += [budget.start, budget.renews, budget.end]
    return [edge for edge in edges if edge is not None]


def _purses(policy: Policy, epoch: int) -> tuple[Purse, ...]:
    found: list[Purse] = []
    for funder in policy.snapshot.funders:
        agreement = agreement_at(funder, epoch)
        if agreement is not None and agreement.daily_quota_minor is not None:
            starts, ends = quota_period(epoch, policy.zone)
            found.append(Purse(f"quota.{funder.id}", agreement.daily_quota_minor, starts, ends, ends))
    for budget in policy.snapshot.budgets:
        period = budget_period(budget, epoch, policy.zone)
        if period is None:
            continue
        begins, until = period
        renews = until if until is not None and until != budget.end else None
        share = Decimal(1) if budget.share is None else budget.share
        found.append(Purse(f"budget.{budget.id}", budget.total_minor, begins, until, renews, share))
    return tuple(sorted(found, key=lambda purse: purse.id))


def purses_of_plan(policy: Policy, plan: Plan, at: datetime) -> tuple[Purse, ...]:
    """The purses that a confirmation of this plan takes from."""
    budgets = {f"budget.{budget.id}" for budget in policy.snapshot.budgets if selects(budget.applies, plan)}
    return tuple(
        purse for purse in purses_of(policy, at) if purse.id in budgets or purse.id == f"quota.{plan.funder}"
    )


def _sooner(one: int, other: int | None) -> int:
    return one if other is None else min(one, other)
