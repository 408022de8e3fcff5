"""Policies that differ from the demo's in one thing about its notices."""

from __future__ import annotations

from typing import Any

import msgspec

from fenqi.policy.snapshot import Notice, Snapshot
from fenqi.texts import Text

__all__ = ["changed_notice", "changed_rule", "with_notices", "without_notice"]

_replace = msgspec.structs.replace


def changed_notice(snapshot: Snapshot, name: str, **fields: Any) -> Snapshot:
    """One notice says something else."""
    return _replace(
        snapshot,
        notices=tuple(_replace(each, **fields) if each.id == name else each for each in snapshot.notices),
    )


def changed_rule(snapshot: Snapshot, name: str, **fields: Any) -> Snapshot:
    """One rule is another."""
    return _replace(
        snapshot,
        rules=tuple(_replace(each, **fields) if each.id == name else each for each in snapshot.rules),
    )


def without_notice(snapshot: Snapshot, name: str) -> Snapshot:
    """One notice is gone, and the rules and placements that linked it with it."""
    return _replace(
        snapshot,
        notices=tuple(each for each in snapshot.notices if each.id != name),
        rules=tuple(each for each in snapshot.rules if each.notice != name),
        placements=tuple(each for each in snapshot.placements if each.notice != name),
    )


def with_notices(snapshot: Snapshot, *names: str, since: int, until: int | None = None) -> Snapshot:
    """More notices, which nothing links."""
    more = tuple(
        Notice(
            id=name,
            title=Text(f"标题 {name}", f"Title {name}"),
            reason=Text("原因", "Reason"),
            affected=Text("受影响者", "Who is affected"),
            unaffected=Text("不受影响者", "Who is not"),
            since=since,
            until=until,
        )
        for name in names
    )
    return _replace(snapshot, notices=snapshot.notices + more)
