from __future__ import annotations

from datetime import date
from typing import Any as Anything

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenqi.calendars import at_local
from fenqi.policy import timeline
from fenqi.policy.compile import Policy, next_boundary, next_told
from fenqi.policy.conditions import Any, Clause, Condition, Not, Range, parse_instant
from fenqi.policy.facts import clock_facts
from fenqi.policy.snapshot import DailyWindow, Rule, Window
from fenqi.policy.timeline import next_point
from fenqi.policy.verdict import Until, decide

from .policies import DAY, HOUR, MINUTE, NOON, dailies, mall_policy, rule

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
# Noon on days around which those zones turn their clocks, both ways.
TURNS = {
    "Asia/Shanghai": ("2026-11-23",),
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
}


def _open(policy: Policy, at: int) -> bool:
    clock = clock_facts(at, policy.zone)
    return not policy.first({"customer.age": 30, **clock})[0]


def _brute_until(policy: Policy, at: int, days: int) -> int | None:
    return next((t for t in range(at - at % 60 + 60, at + days * DAY, 60) if _open(policy, t)), None)


def _brute_since(policy: Policy, at: int, days: int) -> int | None:
    return next((t + 60 for t in range(at - at % 60, at - days * DAY, -60) if _open(policy, t)), None)


@st.composite
def _time_rules(draw: st.DrawFn, rule_id: str, around: int) -> Rule:
    """Rules with windows and clock clauses, on whole minutes."""
    moment = st.integers(-3 * 24 * 4, 3 * 24 * 4).map(lambda quarters: around + quarters * 15 * MINUTE)

    @st.composite
    def window(draw: st.DrawFn) -> Window:
        start, end = draw(st.none() | moment), draw(st.none() | moment)
        if start is not None and end is not None and end <= start:
            start, end = end, start + 15 * MINUTE
        return Window(start, end)

    minutes = st.integers(0, 95).map(lambda quarter: quarter * 15)
    hours = st.lists(minutes, min_size=2, max_size=2, unique=True).map(
        lambda pair: Clause("clock.time", "in", Range(pair[0], pair[1]), open_end=True)
    )
    weekday = st.integers(1, 7).map(lambda day: Clause("clock.weekday", "is", day))
    now = moment.map(lambda instant: Clause("clock.now", ">=", instant))
    condition: st.SearchStrategy[Condition] = st.one_of(hours, hours.map(Not), weekday.map(Not), now)
    blocked, daily = draw(st.none() | window()), draw(st.none() | dailies())
    require = draw(st.none() | condition)
    return rule(
        rule_id,
        valid=draw(st.none() | st.none() | window()),
        blocked=blocked,
        daily=daily,
        require=require,
        change="time",
        unknown="block",
    )


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Policy, int]:
    zone = draw(st.sampled_from(ZONES))
    around = parse_instant(draw(st.sampled_from(TURNS[zone])) + "T12:00", zone)
    count = draw(st.integers(1, 3))
    policy = mall_policy(*(draw(_time_rules(f"r{n}", around)) for n in range(count)), zone=zone)
    at = around + draw(st.integers(-36 * 60, 36 * 60)) * 60
    return policy, at


@settings(max_examples=150, deadline=None)
@given(_cases())
def test_until_is_the_first_minute_at_which_the_plan_opens(case: tuple[Policy, int]) -> None:
    policy, at = case
    verdict = decide(policy, {"clock.now": at, "customer.age": 30})["mall_3"]
    if verdict.state == "available":
        return
    days = 8
    brute = _brute_until(policy, at, days)
    if verdict.until.kind == "instant":
        assert verdict.until.at is not None
        if brute is not None or verdict.until.at < at + days * DAY:
            assert verdict.until.at == brute
    else:
        assert brute is None


@settings(max_examples=150, deadline=None)
@given(_cases())
def test_since_is_the_minute_from_which_the_reason_holds_without_a_break(case: tuple[Policy, int]) -> None:
    policy, at = case
    for reason in decide(policy, {"clock.now": at, "customer.age": 30})["mall_3"].reasons:
        alone = mall_policy(policy.rules[policy.rule_index[reason.rule]], zone=policy.zone)
        brute = _brute_since(alone, at, 8)
        if reason.since is None or reason.since < at - 7 * DAY:
            assert brute is None
        else:
            assert reason.since == brute


@settings(max_examples=80, deadline=None)
@given(_cases())
def test_nothing_changes_before_the_next_boundary(case: tuple[Policy, int]) -> None:
    policy, at = case
    boundary = next_boundary(policy, at)
    rules_now = policy.first({"customer.age": 30, **clock_facts(at, policy.zone)})
    end = at + 2 * DAY if boundary is None else min(boundary, at + 2 * DAY)
    for instant in range(at, end, 5 * MINUTE):
        assert policy.first({"customer.age": 30, **clock_facts(instant, policy.zone)}) == rules_now


def _verdict(at: int, *rules: Rule, **facts: int) -> tuple[int | None, Until]:
    found = decide(mall_policy(*rules), {"clock.now": at, **facts})["mall_3"]
    return found.reasons[0].since, found.until


def test_a_dated_window_gives_both_its_ends() -> None:
    window = rule("w", blocked=Window(NOON - HOUR, NOON + HOUR))
    assert _verdict(NOON, window) == (NOON - HOUR, Until("instant", NOON + HOUR))


def test_a_window_with_an_open_end_is_over_at_an_unknown_time() -> None:
    assert _verdict(NOON, rule("w", blocked=Window(NOON - HOUR, None))) == (NOON - HOUR, Until("unknown"))


def test_a_daily_window_past_midnight_began_yesterday() -> None:
    nightly = rule("n", daily=DailyWindow(22 * 60, 2 * 60))
    midnight = NOON + 12 * HOUR
    assert _verdict(midnight + HOUR, nightly) == (midnight - 2 * HOUR, Until("instant", midnight + 2 * HOUR))
    assert _verdict(midnight - HOUR, nightly) == (midnight - 2 * HOUR, Until("instant", midnight + 2 * HOUR))


def test_opening_hours_as_a_condition_say_since_and_until_as_a_window_does() -> None:
    hours = rule("h", require="clock.time in 07:00..23:00")
    midnight = NOON + 12 * HOUR
    assert _verdict(midnight, hours) == (midnight - HOUR, Until("instant", midnight + 7 * HOUR))


def test_a_rule_that_has_run_out_has_no_effect() -> None:
    over = rule("o", valid=Window(NOON - DAY, NOON), blocked=Window(NOON - DAY, None))
    assert decide(mall_policy(over), {"clock.now": NOON})["mall_3"].state == "available"
    assert _verdict(NOON - 1, over) == (NOON - DAY, Until("instant", NOON))


def test_maintenance_that_begins_before_the_other_ends_moves_the_opening() -> None:
    first = rule("a", blocked=Window(NOON - HOUR, NOON + HOUR))
    second = rule("b", blocked=Window(NOON + 30 * MINUTE, NOON + 3 * HOUR))
    third = rule("c", daily=DailyWindow(14 * 60 + 45, 16 * 60))
    assert _verdict(NOON, first, second, third)[1] == Until("instant", NOON + 4 * HOUR)


def test_what_time_does_not_change_is_none_and_what_others_may_end_is_unknown() -> None:
    adult = rule("a", require="customer.age >= 18", change="nobody")
    funder = rule("f", require="customer.age >= 18", change="funder")
    window = rule("w", blocked=Window(NOON - HOUR, NOON + HOUR))
    assert _verdict(NOON, adult, **{"customer.age": 17})[1] == Until("none")
    assert _verdict(NOON, funder, **{"customer.age": 17})[1] == Until("unknown")
    assert _verdict(NOON, window, adult, **{"customer.age": 17})[1] == Until("none")
    assert _verdict(NOON, window, funder, **{"customer.age": 17})[1] == Until("unknown")


def test_the_night_the_clock_is_turned_has_its_own_length() -> None:
    nightly = rule("n", daily=DailyWindow(60, 270), zone="Europe/Berlin")
    policy = mall_policy(nightly, zone="Europe/Berlin")
    for day, hours in (("2026-03-28", 3.5), ("2026-03-29", 2.5), ("2026-10-25", 4.5)):
        start = parse_instant(f"{day}T01:00", "Europe/Berlin")
        verdict = decide(policy, {"clock.now": start})["mall_3"]
        assert verdict.reasons[0].since == start
        assert verdict.until == Until("instant", start + int(hours * HOUR))


@pytest.mark.parametrize("zone", ZONES)
def test_next_point_looks_at_dates_and_minutes(zone: str) -> None:
    at = parse_instant("2026-06-01T12:00", zone)
    tomorrow = at_local(date(2026, 6, 2), 60, zone)
    assert next_point((), (60,), at, zone) == tomorrow
    assert next_point((at, at + 5), (60,), at, zone) == at + 5
    assert next_point((at,), (), at, zone) is None


def test_an_hour_that_comes_twice_is_closed_twice() -> None:
    policy = mall_policy(rule("n", daily=DailyWindow(60, 150)), zone="Europe/Berlin")
    summer = parse_instant("2026-10-25T02:00+02:00", "Europe/Berlin")
    winter = parse_instant("2026-10-25T02:00+01:00", "Europe/Berlin")
    first = decide(policy, {"clock.now": summer})["mall_3"]
    assert (first.reasons[0].since, first.until) == (summer - HOUR, Until("instant", summer + 30 * MINUTE))
    again = decide(policy, {"clock.now": winter + 10 * MINUTE})["mall_3"]
    assert (again.reasons[0].since, again.until) == (winter, Until("instant", winter + 30 * MINUTE))


@pytest.mark.parametrize(
    ("zone", "day", "opens"),
    [
        ("Africa/Cairo", "2026-04-24", "2026-04-24T01:00"),  # 23:59 is followed by 01:00
        ("America/Santiago", "2026-09-06", "2026-09-06T01:00"),
        ("Africa/Cairo", "2026-04-23", "2026-04-23T00:20"),
    ],
)
def test_a_clock_turned_at_midnight_opens_at_the_turn_and_not_a_second_later(
    zone: str, day: str, opens: str
) -> None:
    policy = mall_policy(rule("night", daily=DailyWindow(23 * 60, 20)), zone=zone)
    at = at_local(date.fromisoformat(day), 0, zone) - 10 * MINUTE
    reason = decide(policy, {"clock.now": at})["mall_3"].reasons[0]
    assert reason.until == Until("instant", parse_instant(opens, zone))


def test_an_hour_that_only_begins_again_at_midnight_opens_then() -> None:
    policy = mall_policy(rule("hours", require="clock.time < 22:00"))
    evening = NOON + 10 * HOUR + 30 * MINUTE
    verdict = decide(policy, {"clock.now": evening})["mall_3"]
    assert verdict.until == Until("instant", NOON + 12 * HOUR)
    assert verdict.reasons[0].since == NOON + 10 * HOUR
    assert next_boundary(policy, evening) == NOON + 12 * HOUR


def test_the_clock_may_wait_for_an_instant_that_is_a_fact() -> None:
    for text in ("clock.now >= funder.mall.prequal_deadline", "funder.mall.prequal_deadline <= clock.now"):
        policy = mall_policy(rule("later", "cart", require=text, reason="AMOUNT_LOW", change="cart"))
        facts = {"clock.now": NOON, "funder.mall.prequal_deadline": NOON + HOUR}
        assert decide(policy, facts)["mall_3"].until == Until("instant", NOON + HOUR)
        assert decide(policy, {"clock.now": NOON})["mall_3"].until == Until("none")
        assert next_told(policy, facts, NOON) == NOON + HOUR
        assert next_boundary(policy, NOON) is None


def interlaced(number: int) -> Rule:
    """A rule that looks at the clock every four minutes and at the weekday, and is in the way at all of them."""
    windows = tuple(
        Clause("clock.time", "in", Range(minute, minute + 1), open_end=True) for minute in range(0, 1440, 4)
    )
    return rule(f"r{number}", when=Any((*windows, Clause("clock.weekday", "<=", 7))))


def test_a_search_that_would_take_too_long_is_given_up_and_says_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0
    ask = timeline.violated_at

    def counted(*words: Anything) -> bool:
        nonlocal looks
        looks += 1
        return ask(*words)

    monkeypatch.setattr(timeline, "violated_at", counted)
    policy = mall_policy(*(interlaced(number) for number in range(20)))
    verdict = decide(policy, {"clock.now": NOON})["mall_3"]
    # Not "none": nobody has found that time does not change it. And not a guess.
    assert {reason.until for reason in verdict.reasons} == {Until("unknown")}
    assert verdict.until == Until("unknown")
    assert {reason.since for reason in verdict.reasons} == {None}
    # 361 clauses and 10 for the look itself, out of 12,000: 32 looks for the whole decision, where one rule alone has 11,520.
    assert looks <= timeline.EFFORT // 371


def test_what_is_found_within_the_effort_is_exact() -> None:
    policy = mall_policy(rule("r", when="clock.weekday <= 5", require="clock.time in 02:00..03:00"))
    # Monday noon: the next 02:00 of a weekday is tomorrow's.
    assert decide(policy, {"clock.now": NOON})["mall_3"].until == Until("instant", NOON + 14 * HOUR)
    never = mall_policy(interlaced(0))
    assert decide(never, {"clock.now": NOON})["mall_3"].until == Until("unknown")
    seldom = mall_policy(rule("r", when="clock.weekday <= 7", require="clock.weekday > 7"))
    assert decide(seldom, {"clock.now": NOON})["mall_3"].until == Until("none")
