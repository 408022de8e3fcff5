"""Stretches of time in which the same rules are in force.

A rule is in force while its `valid`, `blocked` and `daily` windows hold; whether it is in anybody's way depends on the facts. Between two
boundaries nothing begins and nothing ends, so a time line, a calendar of what is to come, and "what holds tonight?" need to look at the
boundaries alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from fenqi.policy.facts import clock_facts
from fenqi.policy.snapshot import Rule
from fenqi.policy.timeline import next_point
from fenqi.problems import BadInput

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = ["MAX_SEGMENTS", "Segment", "in_force_at", "segments"]

MAX_SEGMENTS: Final = 10_000


class Segment(msgspec.Struct, frozen=True):
    """From `start` up to, and without, `end` (epoch seconds) these rules are in force, by their ids in the policy's order.

    `next_boundary` is where a rule begins or ends next: `end`, unless the time asked about ends before.
    """

    start: int
    end: int
    rules: tuple[str, ...]
    next_boundary: int | None


def in_force_at(rule: Rule, at: int, minute: int) -> bool:
    """Whether a rule's windows hold at an instant, which is the `minute` of the shop's day."""
    return (
        (rule.valid is None or rule.valid.holds(at))
        and (rule.blocked is None or rule.blocked.holds(at))
        and (rule.daily is None or rule.daily.holds(minute))
    )


def segments(policy: Policy, start: int, end: int) -> tuple[Segment, ...]:
    """The stretches from `start` up to, and without, `end`, one after the other without a gap.

    Raises `BadInput` where the time is empty, or has more than `MAX_SEGMENTS` of them: daily windows make a thousand a year.
    """
    if end <= start:
        raise BadInput("end", end, f"an instant after {start}", "a stretch of time ends after it begins")
    found: list[Segment] = []
    for at, after, rules in _stretches(policy, start, end):
        if found and found[-1].rules == rules:
            found[-1] = msgspec.structs.replace(
                found[-1], end=end if after is None else min(after, end), next_boundary=after
            )
            continue
        if len(found) == MAX_SEGMENTS:
            raise BadInput(
                "end", end, f"a time of at most {MAX_SEGMENTS} segments", "ask about a shorter time"
            )
        found.append(Segment(at, end if after is None else min(after, end), rules, after))
    return tuple(found)


def _stretches(policy: Policy, start: int, end: int) -> Iterator[tuple[int, int | None, tuple[str, ...]]]:
    dated: set[int] = set()
    minutes: set[int] = set()
    for rule in policy.rules:
        for window in (rule.valid, rule.blocked):
            if window is not None:
                dated.update(edge for edge in (window.start, window.end) if edge is not None)
        if rule.daily is not None:
            minutes.update((rule.daily.start % 1440, rule.daily.end % 1440))
    edges, daily = tuple(sorted(dated)), tuple(sorted(minutes))
    at: int | None = start
    while at is not None and at < end:
        minute = clock_facts(at, policy.zone)["clock.time"]
        assert isinstance(minute, int), "clock.time is a minute"
        after = next_point(edges, daily, at, policy.zone)
        yield at, after, tuple(rule.id for rule in policy.rules if in_force_at(rule, at, minute))
        at = after
