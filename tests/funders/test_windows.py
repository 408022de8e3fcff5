"""The calendar of windows: planned ones once, nightly ones every day, at their true instants."""

from __future__ import annotations

from datetime import date

import msgspec
from tests.api.world import demo_snapshot

from fenqi.calendars import at_local, from_epoch
from fenqi.policy.compile import compile_policy
from fenqi.policy.snapshot import DailyWindow, Rule, Selector, Window
from fenqi_server.funders.windows import occurrences


def _policy(rule, zone="America/New_York"):
    snapshot = demo_snapshot()
    shop = msgspec.structs.replace(snapshot.shop, time_zone=zone)
    return compile_policy(
        msgspec.structs.replace(snapshot, shop=shop, rules=(rule,), placements=(), notices=())
    )


def _rule(**more):
    return Rule(
        id="w",
        layer="maintenance",
        owner="payments",
        reason="MAINTENANCE",
        applies=Selector(families=("beichen",)),
        **more,
    )


def _mine(found):
    return [one for one in found if one.rule == "w"]


def test_a_nightly_window_is_an_entry_of_every_day_also_where_the_clocks_change():
    policy = _policy(_rule(daily=DailyWindow(23 * 60 + 30, 3 * 60)))
    found = _mine(occurrences(policy, date(2026, 10, 31), 3))
    told = [
        (from_epoch(one.start, policy.zone).isoformat(), from_epoch(one.end, policy.zone).isoformat())
        for one in found
    ]
    assert told == [
        ("2026-10-30T23:30:00-04:00", "2026-10-31T03:00:00-04:00"),
        ("2026-10-31T23:30:00-04:00", "2026-11-01T03:00:00-05:00"),
        ("2026-11-01T23:30:00-05:00", "2026-11-02T03:00:00-05:00"),
        ("2026-11-02T23:30:00-05:00", "2026-11-03T03:00:00-05:00"),
    ]
    assert found[1].end - found[1].start == 4.5 * 3600, "that night has an hour more"


def test_a_nightly_window_comes_only_while_its_rule_is_valid():
    zone = "America/New_York"
    bounds = Window(at_local(date(2026, 11, 10), 0, zone), at_local(date(2026, 11, 12), 0, zone))
    policy = _policy(_rule(daily=DailyWindow(60, 120), valid=bounds))
    assert len(_mine(occurrences(policy, date(2026, 11, 1), 28))) == 2


def test_a_planned_window_is_there_once_and_one_without_an_end_stays():
    zone = "Asia/Shanghai"
    start = at_local(date(2026, 11, 24), 22 * 60, zone)
    once = _policy(_rule(blocked=Window(start, start + 4 * 3600)), zone)
    assert [(one.start, one.end) for one in _mine(occurrences(once, date(2026, 11, 24), 1))] == [
        (start, start + 4 * 3600)
    ]
    assert _mine(occurrences(once, date(2026, 11, 25), 1)), "it reaches into the next day"
    assert not _mine(occurrences(once, date(2026, 11, 26), 7))
    open_end = _policy(_rule(blocked=Window(start, None)), zone)
    assert _mine(occurrences(open_end, date(2027, 3, 1), 7))[0].end is None


def test_how_things_always_are_is_no_window():
    assert not _mine(occurrences(_policy(_rule(blocked=Window())), date(2026, 11, 24), 28))
