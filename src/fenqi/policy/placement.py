"""Placement: where a plan stands on the page, as data with a reason and a date.

An option made less prominent is a change like any other. Of several placements that speak about the same plan the
one with the later `since` is in force; what it leaves out stays as the earlier ones, or the default, have it.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from fenqi.policy.snapshot import Group, Placement, Snapshot, selects
from fenqi.terms.plan import Plan
from fenqi.texts import Text

__all__ = ["Placed", "Placements", "default_group", "place", "placements_of"]

_FIRST_RANK = 100


class Placed(msgspec.Struct, frozen=True):
    """Where one plan stands. A lower rank comes first. Without a `since` it is the default and nobody moved it."""

    plan: str
    group: Group
    rank: int
    collapsed: bool = False
    reason: Text | None = None
    since: int | None = None
    notice: str | None = None
    placement: str | None = None


class Placements(msgspec.Struct, frozen=True):
    """All places at all times: `segments[i]` is in force from `since[i]`, and up to the next."""

    since: tuple[int, ...]
    segments: tuple[dict[str, Placed], ...]


def default_group(plan: Plan) -> Group:
    """Tools that pay at once belong to `payment`; everything that leaves a debt or a lease to `instalment`.

    Loans and payment tools are never one list (rule of 2026-09-30). A lease is no loan, and it owes for months: beside the
    loans it is compared with them, where a heading of its own would hide that. A pledge leaves nothing owed: the whole
    price is paid at once if the campaign succeeds, and nothing if it fails, so that it is a way of paying.
    """
    return "payment" if plan.legal_form in ("full_payment", "pledge") else "instalment"


def placements_of(snapshot: Snapshot) -> Placements:
    """Work out every plan's place for each stretch of time between two changes."""
    ordered = sorted(
        enumerate(snapshot.placements),
        key=lambda item: (item[1].since is not None, item[1].since or 0, item[0]),
    )
    ranks = {family.id: _FIRST_RANK + 10 * index for index, family in enumerate(snapshot.families)}
    places = {
        plan.id: Placed(plan.id, default_group(plan), ranks.get(plan.family, _FIRST_RANK))
        for plan in snapshot.plans
    }
    since: list[int] = []
    segments: list[dict[str, Placed]] = [places]
    for _, placement in ordered:
        places = _moved(snapshot, segments[-1], placement)
        if placement.since is None or (since and since[-1] == placement.since):
            segments[-1] = places
        else:
            since.append(placement.since)
            segments.append(places)
    return Placements(tuple(since), tuple(segments))


def _moved(snapshot: Snapshot, places: dict[str, Placed], placement: Placement) -> dict[str, Placed]:
    moved = dict(places)
    for plan in snapshot.plans:
        if not selects(placement.applies, plan):
            continue
        was = places[plan.id]
        moved[plan.id] = Placed(
            plan.id,
            was.group if placement.group is None else placement.group,
            was.rank if placement.rank is None else placement.rank,
            was.collapsed if placement.collapsed is None else placement.collapsed,
            placement.reason,
            placement.since,
            placement.notice,
            placement.id,
        )
    return moved


def place(placements: Placements, at: int) -> dict[str, Placed]:
    """Every plan's place at an instant."""
    return placements.segments[bisect_right(placements.since, at)]
