"""The windows that a policy knows beforehand, laid out day by day: planned ones, and those that come every night.

A window is a rule with a time of its own. What is shown is that time as the shop's clock has it: a nightly window is an
entry of every day, with its true instants on the nights on which the clocks change.
"""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from fenqi.calendars import at_local
from fenqi.policy.compile import Policy
from fenqi.policy.snapshot import Rule, selects

__all__ = ["Occurrence", "occurrences"]


class Occurrence(msgspec.Struct, frozen=True):
    """One time of one window, in epoch seconds; `end` None is not known. `nightly`: it comes every day."""

    rule: str
    reason: str
    layer: str
    start: int
    end: int | None
    nightly: bool
    families: tuple[str, ...]
    whole: bool
    notice: str | None


def occurrences(policy: Policy, first: date, days: int) -> tuple[Occurrence, ...]:
    """Every time of every window that touches the shop's `days` days from `first` on, in order of their beginning."""
    begins = at_local(first, 0, policy.zone)
    ends = at_local(first + timedelta(days=days), 0, policy.zone)
    found: list[Occurrence] = []
    for rule in policy.rules:
        if rule.blocked is None and rule.daily is None:
            continue
        families, whole = _families(policy, rule)
        if not families:
            continue
        for start, end in _times(policy, rule, first, days):
            if start >= ends or (end is not None and end <= begins):
                continue
            found.append(
                Occurrence(
                    rule.id,
                    rule.reason,
                    rule.layer,
                    start,
                    end,
                    rule.daily is not None,
                    families,
                    whole,
                    rule.notice,
                )
            )
    return tuple(sorted(found, key=lambda one: (one.start, one.rule)))


def _times(policy: Policy, rule: Rule, first: date, days: int) -> list[tuple[int, int | None]]:
    window, valid = rule.blocked, rule.valid
    if rule.daily is None:
        # A rule that blocks from the beginning of time is no window: it is how things are.
        if window is None or window.start is None:
            return []
        return [] if valid is not None and not valid.holds(window.start) else [(window.start, window.end)]
    times: list[tuple[int, int | None]] = []
    for number in range(-1, days):
        day = first + timedelta(days=number)
        start = at_local(day, rule.daily.start, policy.zone)
        until = day if rule.daily.start < rule.daily.end else day + timedelta(days=1)
        end = at_local(until, rule.daily.end, policy.zone)
        for bounds in (window, valid):
            if bounds is not None:
                start = max(start, bounds.start) if bounds.start is not None else start
                end = min(end, bounds.end) if bounds.end is not None else end
        if start < end:
            times.append((start, end))
    return times


def _families(policy: Policy, rule: Rule) -> tuple[tuple[str, ...], bool]:
    touched = [plan for plan in policy.plans if selects(rule.applies, plan)]
    families = tuple(dict.fromkeys(plan.family for plan in touched))
    whole = all(plan in touched for plan in policy.plans if plan.family in families)
    return families, whole
