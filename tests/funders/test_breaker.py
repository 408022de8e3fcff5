"""The breaker as a state machine: its thresholds, its probes, its stated times, and a person's word before it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi_server.funders.breaker import (
    FRESH,
    Breaker,
    Observation,
    Override,
    Terms,
    admit,
    advance,
    record,
    tell,
)

TERMS = Terms(
    window_seconds=60,
    refusals=3,
    unknowns=2,
    slow=3,
    slow_ms=2_000,
    checking_seconds=120,
    rest_seconds=30,
    rest_max_seconds=300,
    half_open_seconds=20,
    probes=2,
)
START = 1_795_370_400

_kinds = st.sampled_from(["success", "refusal", "unknown"])
_steps = st.lists(
    st.tuples(st.integers(0, 90), st.sampled_from(["observe", "ask", "wait"]), _kinds, st.integers(0, 5_000)),
    max_size=80,
)


def _run(steps):
    """Every breaker on the way, with the instant: what a service that asks before each call would see."""
    at, breaker = START, FRESH
    yield at, breaker, None
    for pause, act, kind, latency in steps:
        at += pause
        let = None
        if act == "observe":
            breaker = record(breaker, TERMS, Observation(at, kind, latency))
        elif act == "ask":
            breaker, let = admit(breaker, TERMS, at)
        else:
            breaker = advance(breaker, TERMS, at)
        yield at, breaker, let


def _refused(times, at=START):
    breaker = FRESH
    for _ in range(times):
        breaker = record(breaker, TERMS, Observation(at, "refusal"))
    return breaker


@given(st.lists(st.tuples(st.integers(0, 90), _kinds), max_size=60))
def test_it_never_opens_on_fewer_than_the_threshold(seen):
    at, breaker, recent = START, FRESH, []
    for pause, kind in seen:
        at += pause
        before = advance(breaker, TERMS, at)
        recent.append((at, kind))
        breaker = record(breaker, TERMS, Observation(at, kind))
        if before.state == "closed" and breaker.state != "closed":
            counted = [one for when, one in recent if at - when < TERMS.window_seconds]
            wanted, least = (
                ("refusal", TERMS.refusals) if breaker.state == "open" else ("unknown", TERMS.unknowns)
            )
            assert counted.count(wanted) >= least
        if before.state == "checking" and breaker.state == "open":
            counted = [one for when, one in recent if at - when < TERMS.window_seconds]
            assert counted.count("refusal") >= TERMS.refusals


@given(_steps)
def test_half_open_lets_exactly_the_allowed_probes_through(steps):
    let_in_this_one, entered = 0, None
    for _, breaker, let in _run(steps):
        if breaker.state != "half_open":
            let_in_this_one, entered = 0, None
            if breaker.state == "open":
                assert let is not True
            continue
        if entered != breaker.since:
            let_in_this_one, entered = 0, breaker.since
        let_in_this_one += let is True
        assert let_in_this_one <= TERMS.probes
        if let is False:
            assert let_in_this_one == TERMS.probes, "refused before the allowed probes were used"


@given(_steps)
def test_the_time_in_each_state_is_bounded_by_the_stated_times(steps):
    longest = {
        "checking": TERMS.checking_seconds,
        "open": TERMS.rest_max_seconds,
        "half_open": None,  # while nobody asks, it waits for the first probe
    }
    for at, breaker, _ in _run(steps):
        if breaker.state == "closed":
            assert breaker.until is None
            continue
        if breaker.state == "half_open":
            if breaker.probes_let:
                assert breaker.until is not None
                assert at < breaker.until
                assert breaker.until - at <= TERMS.half_open_seconds
            continue
        assert breaker.until is not None
        assert breaker.since <= at < breaker.until
        assert breaker.until - breaker.since <= longest[breaker.state]
        assert advance(breaker, TERMS, breaker.until).state != breaker.state
        assert advance(breaker, TERMS, breaker.until - 1) == breaker


@given(
    _steps, st.sampled_from(["up", "degraded", "checking", "down"]), st.integers(0, 500), st.integers(1, 500)
)
def test_an_override_beats_it_until_its_expiry_and_then_it_is_as_if_never_there(steps, health, begins, lasts):
    override = Override(health, START + begins, START + begins + lasts)
    for at, breaker, _ in _run(steps):
        plain = tell(breaker, TERMS, at)
        told = tell(breaker, TERMS, at, override)
        if override.since <= at < override.until:
            assert (told.health, told.overridden) == (health, True)
            assert (told.deadline is None) is (health != "checking")
        else:
            assert told == plain


@given(_steps)
def test_what_time_alone_does_it_does_at_once_or_step_by_step(steps):
    for at, breaker, _ in _run(steps):
        far = at + 700
        by_steps = breaker
        for instant in range(at, far + 1, 7):
            by_steps = advance(by_steps, TERMS, instant)
        assert advance(by_steps, TERMS, far) == advance(breaker, TERMS, far)


@given(_steps)
def test_it_survives_being_written_down(steps):
    for _, breaker, _ in _run(steps):
        assert msgspec.json.decode(msgspec.json.encode(breaker), type=Breaker) == breaker


def test_hanging_is_pending_with_a_deadline_then_away_then_back():
    hangs = FRESH
    for second in (0, 5):
        hangs = record(hangs, TERMS, Observation(START + second, "unknown"))
    deadline = START + 5 + TERMS.checking_seconds
    told = tell(hangs, TERMS, START + 6)
    assert (told.health, told.since, told.deadline) == ("checking", START + 5, deadline)
    assert tell(hangs, TERMS, deadline - 1).health == "checking"
    away = tell(hangs, TERMS, deadline)
    assert (away.health, away.since, away.deadline) == ("down", START + 5, None)
    rested = deadline + TERMS.rest_seconds
    breaker, let = admit(hangs, TERMS, rested - 1)
    assert (breaker.state, let) == ("open", False)
    for second in range(TERMS.probes):
        hangs, let = admit(hangs, TERMS, rested + second)
        assert let
        assert tell(hangs, TERMS, rested + second).health == "down", "a probe is not yet a recovery"
        hangs = record(hangs, TERMS, Observation(rested + second, "success"))
    assert tell(hangs, TERMS, rested + 1).health == "up"


def test_refusals_open_it_at_the_threshold_and_each_failed_probe_doubles_the_rest_up_to_its_bound():
    assert _refused(TERMS.refusals - 1).state == "closed"
    breaker = _refused(TERMS.refusals)
    rests = []
    for _ in range(6):
        assert breaker.state == "open"
        rests.append(breaker.until - breaker.since)
        at = breaker.until
        breaker, let = admit(breaker, TERMS, at)
        assert let
        breaker = record(breaker, TERMS, Observation(at, "refusal"))
    assert rests == [30, 60, 120, 240, 300, 300]
    assert breaker.troubled_since == START, "it is one disturbance from the first refusal on"


def test_a_probe_that_never_comes_back_counts_as_failed():
    breaker = _refused(3)
    breaker, _ = admit(breaker, TERMS, breaker.until)
    end = breaker.until
    assert advance(breaker, TERMS, end - 1).state == "half_open"
    assert advance(breaker, TERMS, end).state == "open"
    assert advance(breaker, TERMS, end).until == end + 60


def test_one_success_among_refusals_keeps_it_closed():
    breaker = FRESH
    for second in range(30):
        kind = "success" if second % 3 == 2 else "refusal"
        breaker = record(breaker, TERMS, Observation(START + second, kind))
        assert breaker.state == "closed"


def test_slowness_degrades_and_is_forgotten():
    breaker = FRESH
    for second in range(3):
        breaker = record(breaker, TERMS, Observation(START + second, "success", 2_500))
    assert tell(breaker, TERMS, START + 3).health == "degraded"
    assert tell(breaker, TERMS, START + 3).since == START
    assert tell(breaker, TERMS, START + 60).health == "up"


@pytest.mark.parametrize("latency", [0, 1_999])
def test_a_success_leaves_a_healthy_breaker_as_it_is(latency):
    assert record(FRESH, TERMS, Observation(START, "success", latency)) == FRESH
