"""When a rule bites: since when, until when, and the next instant at which anything can change.

Only time moves here; every other fact stays as it is. A rule's outcome changes at no other moment than its dated
instants (windows, `clock.now`) and the wall-clock minutes it names (daily windows, `clock.time`, midnight for
`clock.weekday`), so looking at those finds the exact second, and looking at nothing else keeps it quick. A day on
which the shop's zone turns its clocks adds the turn itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from fenqi.calendars import local_date, to_epoch, zone_of
from fenqi.policy.conditions import Constant, Range, clauses_of, evaluate_plain
from fenqi.policy.facts import CLOCK_FACTS, Facts, FactValue, clock_facts
from fenqi.policy.snapshot import Rule

__all__ = [
    "Effort",
    "Spent",
    "Timing",
    "edges_told",
    "next_point",
    "opens_at",
    "since_when",
    "timing_of",
    "violated_at",
]

_DAYS_OF_MINUTES: Final = 3
_DAYS_OF_WEEKDAYS: Final = 16  # a turned clock may swallow one week's only occurrence
EFFORT: Final = 12_000
_LOOK: Final = 10
"""What looking at one instant takes beside the clauses: the clock's facts, and a copy of the others."""


class Spent(Exception):  # it ends a search, and is no fault
    """The search was given up: the answer is not known. It is not that there is none."""


class Effort:
    """What one decision may still spend on looking for since when and until when, in clauses asked.

    A policy can be written whose windows interlace without end; whoever stands at the checkout is told "unknown" in a few
    milliseconds, and neither waits for it nor is told a guess.
    """

    __slots__ = ("left",)

    def __init__(self, left: int = EFFORT) -> None:
        self.left = left

    def take(self, clauses: int) -> None:
        """Look once more, at so many clauses. Raises `Spent` where that is too much."""
        self.left -= clauses + _LOOK
        if self.left < 0:
            raise Spent


class Timing(msgspec.Struct, frozen=True):
    """What of a rule depends on time. `plain`: its `valid` and `blocked` windows alone.

    `instants` and `times` name the facts that the clock is compared with: their values are edges too.
    """

    dated: tuple[int, ...]
    minutes: tuple[int, ...]
    weekdays: bool
    plain: bool
    instants: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    clauses: int = 0
    """How many clauses the rule has: what asking it once takes."""

    @property
    def moves(self) -> bool:
        """Whether time can change the outcome at all."""
        return bool(self.dated or self.minutes or self.instants)


def timing_of(rule: Rule) -> Timing:
    """Collect a rule's instants and minutes."""
    dated: set[int] = set()
    minutes: set[int] = set()
    instants: set[str] = set()
    times: set[str] = set()
    weekdays = False
    for window in (rule.valid, rule.blocked):
        if window is not None:
            dated.update(edge for edge in (window.start, window.end) if edge is not None)
    plain = rule.daily is None
    if rule.daily is not None:
        minutes.update((rule.daily.start % 1440, rule.daily.end % 1440))
    trees = (rule.when, rule.require, rule.pending.when if rule.pending else None)
    clauses = [clause for tree in trees if tree is not None for clause in clauses_of(tree)]
    for clause in clauses:
        clock = next((name for name in (clause.fact, clause.other) if name in CLOCK_FACTS), None)
        if clock is None:
            continue
        plain = False
        other = clause.other if clause.fact == clock else clause.fact
        if clock == "clock.now":
            dated.update(_edges(clause.value))
            instants.update(() if other is None else (other,))
            continue
        if clock == "clock.time":
            minutes.update(_edges(clause.value))
            times.update(() if other is None else (other,))
        else:
            weekdays = True
        minutes.add(0)  # where the weekday changes, and the time of day begins anew
    return Timing(
        tuple(sorted(dated)),
        tuple(sorted({minute % 1440 for minute in minutes})),
        weekdays,
        plain,
        tuple(sorted(instants)),
        tuple(sorted(times)),
        len(clauses),
    )


def _edges(bound: Constant | None) -> tuple[int, ...]:
    if isinstance(bound, Range):
        return (bound.low, bound.high)
    if not isinstance(bound, int):
        return ()
    # A minute or second later covers `>`, `<=` and `is`; an edge too many costs one look, never a wrong answer.
    return (bound, bound + 1)


def _told(timing: Timing, facts: Facts) -> Timing:
    """The timing with the facts that the clock is compared with as edges."""
    if not timing.instants and not timing.times:
        return timing
    dated, minutes = edges_told(timing.instants, timing.times, facts)
    return msgspec.structs.replace(
        timing,
        dated=tuple(sorted({*timing.dated, *dated})),
        minutes=tuple(sorted({*timing.minutes, *minutes})),
    )


def edges_told(
    instants: Iterable[str], times: Iterable[str], facts: Facts
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The instants, and the minutes of a day, at which the clock passes facts that it is compared with."""
    dated, minutes = (
        [edge for name in names for edge in _edges(facts.get(name))] for names in (instants, times)
    )
    return tuple(dated), tuple(minute % 1440 for minute in minutes)


def violated_at(rule: Rule, facts: Facts, at: int, zone: str) -> bool:
    """Whether the rule would be violated at another instant, all facts but the clock staying as they are.

    An unknown outcome counts as the rule says it does.
    """
    if rule.valid is not None and not rule.valid.holds(at):
        return False
    if rule.blocked is not None and not rule.blocked.holds(at):
        return False
    clock = clock_facts(at, zone)
    minute = clock["clock.time"]
    assert isinstance(minute, int), "clock.time is a minute"
    if rule.daily is not None and not rule.daily.holds(minute):
        return False
    then: dict[str, FactValue] = {**facts, **clock}
    when = True if rule.when is None else evaluate_plain(rule.when, then)
    require = False if rule.require is None else evaluate_plain(rule.require, then)
    if when is False or require is True:
        return False
    if when is None or require is None:
        return rule.unknown != "allow"
    return True


def since_when(
    rule: Rule, timing: Timing, facts: Facts, at: int, zone: str, effort: Effort | None = None
) -> int | None:
    """The instant at which time alone made the rule bite as it does at `at`; None where time did not.

    Raises `Spent` where that takes more than `effort`.
    """
    if timing.plain:
        starts = [w.start for w in (rule.valid, rule.blocked) if w is not None and w.start is not None]
        return max(starts, default=None)
    effort = effort or Effort()
    for point in _points_before(_told(timing, facts), at, zone, effort):
        effort.take(timing.clauses)
        if not violated_at(rule, facts, point - 1, zone):
            return point
    return None


def opens_at(
    rule: Rule, timing: Timing, facts: Facts, at: int, zone: str, effort: Effort | None = None
) -> int | None:
    """The first instant after `at` at which time alone lets the rule go; None where time does not.

    Raises `Spent` where that takes more than `effort`.
    """
    if timing.plain:
        ends = [w.end for w in (rule.valid, rule.blocked) if w is not None and w.end is not None]
        return min(ends, default=None)
    effort = effort or Effort()
    for point in _points_after(_told(timing, facts), at, zone, effort):
        effort.take(timing.clauses)
        if not violated_at(rule, facts, point, zone):
            return point
    return None


def _points_after(timing: Timing, at: int, zone: str, effort: Effort) -> Iterator[int]:
    """Instants after `at` at which the outcome may change, in order; a bounded number of them."""
    days = _DAYS_OF_WEEKDAYS if timing.weekdays else _DAYS_OF_MINUTES
    dated = timing.dated[bisect_right(timing.dated, at) :]
    for edge in (*dated, None):
        if timing.minutes:
            first = local_date(at, zone).toordinal()
            for ordinal in range(first, first + days):
                effort.take(0)
                points = _day_points(zone, ordinal, timing.minutes)
                if edge is not None and points[0] >= edge:
                    break
                for point in points[bisect_right(points, at) :]:
                    if edge is not None and point >= edge:
                        break
                    yield point
        if edge is not None:
            yield edge
            at = edge


def _points_before(timing: Timing, at: int, zone: str, effort: Effort) -> Iterator[int]:
    """Instants up to `at` at which the outcome may have changed, latest first; a bounded number of them."""
    days = _DAYS_OF_WEEKDAYS if timing.weekdays else _DAYS_OF_MINUTES
    dated = timing.dated[: bisect_right(timing.dated, at)]
    for edge in (*reversed(dated), None):
        if timing.minutes:
            first = local_date(at, zone).toordinal()
            for ordinal in range(first, first - days, -1):
                effort.take(0)
                points = _day_points(zone, ordinal, timing.minutes)
                if edge is not None and points[-1] <= edge:
                    break
                for point in reversed(points[: bisect_right(points, at)]):
                    if edge is not None and point <= edge:
                        break
                    yield point
        if edge is not None:
            yield edge
            at = edge - 1


@lru_cache(maxsize=4096)
def _day_points(zone: str, ordinal: int, minutes: tuple[int, ...]) -> tuple[int, ...]:
    """The instants of a local date at which its wall clock reaches one of the minutes, or is turned."""
    on = date.fromordinal(ordinal)
    tz = zone_of(zone)
    midnight = datetime(on.year, on.month, on.day, tzinfo=tz)
    following = midnight + timedelta(days=1)
    if (
        midnight.utcoffset() == following.utcoffset()
        and midnight.replace(fold=1).utcoffset() == midnight.utcoffset()
    ):
        # No clock is turned on most days: there every minute is as long as the others.
        begins = to_epoch(midnight.astimezone(UTC))
        return tuple(begins + 60 * minute for minute in sorted(set(minutes)))
    points: set[int] = set()
    for minute in minutes:
        for fold in (0, 1):
            wall = datetime(on.year, on.month, on.day, minute // 60, minute % 60, tzinfo=tz, fold=fold)
            points.add(to_epoch(wall.astimezone(UTC)))
    if midnight.utcoffset() != following.utcoffset():
        # Where the clock is turned at midnight itself, only the second before has the old offset.
        low, high = to_epoch(midnight.astimezone(UTC)) - 1, to_epoch(following.astimezone(UTC))
        before = midnight.utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            if datetime.fromtimestamp(middle, tz).utcoffset() == before:
                low = middle
            else:
                high = middle
        points.add(high)
    return tuple(sorted(points))


def next_point(dated: tuple[int, ...], minutes: Iterable[int], at: int, zone: str) -> int | None:
    """The first of the instants and the daily minutes that lies after `at`.

    >>> next_point((1795370400,), (), 1795370399, "Asia/Shanghai")
    1795370400
    """
    position = bisect_left(dated, at + 1)
    best = dated[position] if position < len(dated) else None
    daily = tuple(minutes)
    if daily:
        first = local_date(at, zone).toordinal()
        for ordinal in range(first, first + _DAYS_OF_MINUTES):
            later = [point for point in _day_points(zone, ordinal, daily) if point > at]
            if later:
                return later[0] if best is None else min(best, later[0])
    return best
