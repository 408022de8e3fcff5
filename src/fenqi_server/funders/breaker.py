"""A funder's circuit breaker: when its service is given a rest, for how long, and how it is let back in.

    closed --(hangs)--> checking --(deadline, or it refuses)--> open --(rest over)--> half_open --(probes answered)--> closed
      |                    |                                     ^                        |
      |                    +--(answers)--> closed                +--(a probe fails)-------+
      +--(refuses)-----------------------------------------------^

A *refusal* is a service that says no to everybody: it cannot be reached, or answers that it is broken. A *time-out* is
less: nothing is known of that call, so the option is pending (`checking`) until a stated deadline, and only then
away. An application that the funder declines is neither: the service worked.

A breaker is a frozen value, and everything here is a function over it. Time comes in as an argument, so what a breaker says
at an instant follows from its record alone: with the worker dead, a deadline still passes. A person's override
stands before what the machine says until it expires, and leaves no trace in the breaker.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

__all__ = [
    "FRESH",
    "HEALTHS",
    "Breaker",
    "Health",
    "Kind",
    "Observation",
    "Override",
    "State",
    "Terms",
    "Told",
    "admit",
    "advance",
    "record",
    "tell",
]

State = Literal["closed", "checking", "open", "half_open"]
Kind = Literal["success", "refusal", "unknown"]
Health = Literal["up", "degraded", "checking", "down"]
HEALTHS: Final[tuple[Health, ...]] = ("up", "degraded", "checking", "down")

MAX_KEPT: Final = 64
"""Most observations that a breaker remembers; the oldest go first."""


class Terms(msgspec.Struct, frozen=True):
    """The stated thresholds and times, in observations and whole seconds.

    A threshold counts what was observed in the last `window_seconds`. At the longest a funder's option is pending for
    `checking_seconds`; it rests `rest_seconds`, twice as long after every failed probe, never above `rest_max_seconds`;
    `probes` calls are then let through, and answered within `half_open_seconds` or counted as failed.
    """

    window_seconds: int = 60
    refusals: int = 3
    unknowns: int = 2
    slow: int = 5
    slow_ms: int = 2_000
    checking_seconds: int = 120
    rest_seconds: int = 30
    rest_max_seconds: int = 300
    half_open_seconds: int = 30
    probes: int = 2


class Observation(msgspec.Struct, frozen=True, array_like=True):
    """One call's end, as of an instant (epoch seconds)."""

    at: int
    kind: Kind
    latency_ms: int = 0


class Breaker(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of a funder. `since`: in this state since then. `troubled_since`: not closed since then.

    `until` ends the state by time alone; a closed breaker has none. `observed` begins with the first trouble in the
    window: while all is well there is nothing to remember, and nothing to write.
    """

    state: State = "closed"
    since: int = 0
    until: int | None = None
    troubled_since: int | None = None
    observed: tuple[Observation, ...] = ()
    rest_seconds: int = 0
    probes_let: int = 0
    probes_answered: int = 0


FRESH: Final = Breaker()
"""A funder of which nothing bad is known."""


class Override(msgspec.Struct, frozen=True):
    """What a person says instead, from one instant up to, and without, another (epoch seconds)."""

    health: Health
    since: int
    until: int


class Told(msgspec.Struct, frozen=True):
    """What a decision is told. `since`: since when it has not been `up`; `deadline`: by when `checking` is over."""

    health: Health
    since: int | None = None
    deadline: int | None = None
    overridden: bool = False


def advance(breaker: Breaker, terms: Terms, at: int) -> Breaker:
    """What the breaker has become by time alone.

    >>> terms = Terms(checking_seconds=10, rest_seconds=30)
    >>> hangs = Breaker("checking", since=100, until=110, troubled_since=100)
    >>> [advance(hangs, terms, at).state for at in (109, 110, 139, 140)]
    ['checking', 'open', 'open', 'half_open']
    """
    while breaker.until is not None and at >= breaker.until:
        if breaker.state == "open":
            breaker = msgspec.structs.replace(
                breaker,
                state="half_open",
                since=breaker.until,
                until=None,
                probes_let=0,
                probes_answered=0,
            )
        else:
            # A check without an answer by its deadline, and probes that never came back.
            breaker = _opened(breaker, terms, breaker.until)
    return breaker


def admit(breaker: Breaker, terms: Terms, at: int) -> tuple[Breaker, bool]:
    """Whether one more call may go to the funder now; a probe let through is counted before it is made.

    The time of the half-open state runs from its first probe: while nobody asks, nothing is known anew.
    """
    breaker = advance(breaker, terms, at)
    if breaker.state != "half_open":
        return breaker, breaker.state != "open"
    if breaker.probes_let >= terms.probes:
        return breaker, False
    return (
        msgspec.structs.replace(
            breaker,
            probes_let=breaker.probes_let + 1,
            until=at + terms.half_open_seconds if breaker.until is None else breaker.until,
        ),
        True,
    )


def record(breaker: Breaker, terms: Terms, seen: Observation) -> Breaker:
    """What the breaker becomes by one observation."""
    breaker = advance(breaker, terms, seen.at)
    if breaker.state == "open":
        # A call that was under way when it opened: it says nothing about the rest.
        return breaker
    if breaker.state == "half_open":
        if breaker.probes_let == 0:
            return breaker
        if seen.kind != "success":
            return _opened(breaker, terms, seen.at)
        answered = breaker.probes_answered + 1
        if answered >= terms.probes:
            return Breaker(since=seen.at)
        return msgspec.structs.replace(breaker, probes_answered=answered)
    if breaker.state == "checking":
        if seen.kind == "success":
            return Breaker(since=seen.at)
        observed = _window(breaker, terms, seen)
        if seen.kind == "refusal" and _count(observed, "refusal") >= terms.refusals:
            return _opened(breaker, terms, seen.at)
        return msgspec.structs.replace(breaker, observed=observed)
    observed = _window(breaker, terms, seen)
    if _count(observed, "refusal") >= terms.refusals:
        return _opened(breaker, terms, seen.at)
    if _count(observed, "unknown") >= terms.unknowns:
        return Breaker(
            "checking", seen.at, seen.at + terms.checking_seconds, seen.at, observed, terms.rest_seconds
        )
    return msgspec.structs.replace(breaker, observed=observed)


def tell(breaker: Breaker, terms: Terms, at: int, override: Override | None = None) -> Told:
    """What a decision at `at` is told of the funder's service."""
    if override is not None and override.since <= at < override.until:
        return Told(
            override.health,
            None if override.health == "up" else override.since,
            override.until if override.health == "checking" else None,
            overridden=True,
        )
    breaker = advance(breaker, terms, at)
    if breaker.state == "checking":
        return Told("checking", breaker.troubled_since, breaker.until)
    if breaker.state != "closed":
        # Half open is still closed to shoppers: the probes are ours, not theirs.
        return Told("down", breaker.troubled_since)
    slow = [
        seen for seen in breaker.observed if _is_slow(seen, terms) and at - seen.at < terms.window_seconds
    ]
    return Told("degraded", slow[0].at) if len(slow) >= terms.slow else Told("up")


def _opened(breaker: Breaker, terms: Terms, at: int) -> Breaker:
    again = breaker.state == "half_open"
    rest = min(breaker.rest_seconds * 2, terms.rest_max_seconds) if again else terms.rest_seconds
    since = at if breaker.troubled_since is None else breaker.troubled_since
    return Breaker("open", at, at + rest, since, (), rest)


def _window(breaker: Breaker, terms: Terms, seen: Observation) -> tuple[Observation, ...]:
    kept = [old for old in breaker.observed if seen.at - old.at < terms.window_seconds]
    if kept or _is_trouble(seen, terms):
        kept.append(seen)
    while kept and not _is_trouble(kept[0], terms):
        kept.pop(0)
    return tuple(kept[-MAX_KEPT:])


def _count(observed: tuple[Observation, ...], kind: Kind) -> int:
    """How often it was observed since the last success: one that answers is not one that is away."""
    count = 0
    for seen in reversed(observed):
        if seen.kind == "success":
            break
        count += seen.kind == kind
    return count


def _is_slow(seen: Observation, terms: Terms) -> bool:
    return seen.kind == "success" and seen.latency_ms >= terms.slow_ms


def _is_trouble(seen: Observation, terms: Terms) -> bool:
    return seen.kind != "success" or _is_slow(seen, terms)
