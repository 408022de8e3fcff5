"""The time line of rules: what is in force, and where that changes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenqi.policy.facts import clock_facts
from fenqi.policy.segments import Segment, in_force_at, segments
from fenqi.policy.snapshot import DailyWindow, Rule, Window
from fenqi.problems import BadInput

from .policies import DAY, HOUR, MINUTE, NOON, ZONE, mall_policy, rule

MIDNIGHT = NOON - 12 * HOUR


def test_a_day_with_a_window_and_a_night() -> None:
    policy = mall_policy(
        rule("upgrade", blocked=Window(NOON, NOON + 2 * HOUR)),
        rule("night", daily=DailyWindow(22 * 60, 2 * 60)),
        rule("always", require="cart.amount >= ¥1"),
        rule("later", valid=Window(NOON + HOUR, None), require="cart.amount >= ¥2"),
    )
    assert segments(policy, MIDNIGHT, MIDNIGHT + DAY) == (
        Segment(MIDNIGHT, MIDNIGHT + 2 * HOUR, ("night", "always"), MIDNIGHT + 2 * HOUR),
        Segment(MIDNIGHT + 2 * HOUR, NOON, ("always",), NOON),
        Segment(NOON, NOON + HOUR, ("upgrade", "always"), NOON + HOUR),
        Segment(NOON + HOUR, NOON + 2 * HOUR, ("upgrade", "always", "later"), NOON + 2 * HOUR),
        Segment(NOON + 2 * HOUR, MIDNIGHT + 22 * HOUR, ("always", "later"), MIDNIGHT + 22 * HOUR),
        # The night goes on past what was asked about.
        Segment(MIDNIGHT + 22 * HOUR, MIDNIGHT + DAY, ("night", "always", "later"), MIDNIGHT + 26 * HOUR),
    )


def test_without_a_boundary_there_is_one_stretch_without_an_end() -> None:
    policy = mall_policy(rule("always", require="cart.amount >= ¥1"))
    assert segments(policy, NOON, NOON + 9 * DAY) == (Segment(NOON, NOON + 9 * DAY, ("always",), None),)


def test_boundaries_at_which_nothing_changes_are_none() -> None:
    # One window ends as the other begins, day after day: from the outside it is one.
    policy = mall_policy(
        rule("day", daily=DailyWindow(0, 12 * 60)),
        rule("dated", blocked=Window(NOON, NOON)),
    )
    found = segments(policy, MIDNIGHT, MIDNIGHT + DAY)
    assert [(each.start, each.rules) for each in found] == [(MIDNIGHT, ("day",)), (NOON, ())]


def test_a_time_that_is_none_and_one_that_is_too_long() -> None:
    policy = mall_policy(rule("night", daily=DailyWindow(0, 60)))
    with pytest.raises(BadInput, match="an instant after"):
        segments(policy, NOON, NOON)
    with pytest.raises(BadInput, match="a time of at most 10000 segments"):
        segments(policy, NOON, NOON + 20 * 366 * DAY)


windows = st.one_of(
    st.none(),
    st.builds(
        Window,
        st.one_of(st.none(), st.integers(NOON - DAY, NOON + DAY)),
        st.one_of(st.none(), st.integers(NOON - DAY, NOON + DAY)),
    ),
)
daily = st.one_of(st.none(), st.builds(DailyWindow, st.integers(0, 1439), st.integers(0, 1440)))
rules = st.lists(st.tuples(windows, windows, daily), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(rules, st.sampled_from((ZONE, "Europe/Berlin", "America/Sao_Paulo")), st.integers(0, 2 * DAY))
def test_stretches_say_of_every_minute_what_its_windows_say(
    drawn: list[tuple[Window | None, Window | None, DailyWindow | None]], zone: str, shift: int
) -> None:
    made: list[Rule] = [
        rule(f"r{number}", zone=zone, valid=valid, blocked=blocked, daily=each, require="cart.amount >= ¥1")
        for number, (valid, blocked, each) in enumerate(drawn)
    ]
    policy = mall_policy(*made, zone=zone)
    start = NOON - DAY + shift
    end = start + DAY
    found = segments(policy, start, end)
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(one.rules != other.rules for one, other in pairwise(found))
    for at in range(start, end, 7 * MINUTE):
        minute = clock_facts(at, zone)["clock.time"]
        assert isinstance(minute, int)
        holds = tuple(each.id for each in policy.rules if in_force_at(each, at, minute))
        (segment,) = [each for each in found if each.start <= at < each.end]
        assert segment.rules == holds
