"""What is open to anybody, from when until when: yesterday, now and in the days to come.

The engine is asked what the checkout would say to a visitor of whom nothing is known, for an order of ordinary goods, at
every instant at which its answer can change: under the policy that was, is or will be in force then. What is not yet known
of the visitor is nobody's obstacle, so only reasons that hold for everybody are kept; what of them is the order's own
(an amount outside an agreement) is left out, for the order is made up.

Live facts are of now. For instants gone by, a funder's outage is known from when it began; what a quota or a budget had
left then is not kept, and is not guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Final, Literal

import msgspec

from fenqi.calendars import to_epoch
from fenqi.checkout.evaluation import Evaluation, Option, evaluate
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.money import CURRENCIES
from fenqi.policy.compile import Policy, place
from fenqi.policy.facts import FactValue
from fenqi.policy.snapshot import Layer
from fenqi.policy.verdict import Reason
from fenqi_server import facts as fact_sources
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop

__all__ = [
    "Cause",
    "Happening",
    "Move",
    "State",
    "Stretch",
    "Way",
    "happenings",
    "moves",
    "reasons_for_everybody",
    "ways",
]

State = Literal["open", "partly", "off"]
EXAMPLE_MAJOR: Final = 3_000
"""The order's amount, in whole units of the currency: one that every way of the demo takes."""
MAX_STEPS: Final = 5_000

_EVERYBODY: Final[frozenset[Layer]] = frozenset(
    {"law", "compliance", "agreement", "maintenance", "health", "strategy"}
)
_LIVE: Final = ("funder.", "budget.")


class Cause(msgspec.Struct, frozen=True):
    """A reason with the plans of the family that nobody can take because of it."""

    reason: Reason
    plans: tuple[str, ...]


class Stretch(msgspec.Struct, frozen=True):
    """Some time in which nothing changed, under the policy in force then. `plans` is how many the family has.

    `unsure`: past now, and no end is known, so that it may be over any moment.
    """

    start: int
    end: int
    state: State
    causes: tuple[Cause, ...]
    plans: int
    policy: Policy
    unsure: bool = False

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(dict.fromkeys(cause.reason.layer for cause in self.causes))


class Way(msgspec.Struct, frozen=True):
    """One family with its stretches, one after the other; between two there is a gap where it was not sold."""

    family: str
    stretches: tuple[Stretch, ...]

    def at(self, instant: int) -> Stretch | None:
        return next((each for each in self.stretches if each.start <= instant < each.end), None)


class Happening(msgspec.Struct, frozen=True):
    """One reason of one family from its beginning to its end, and how often it comes again within what was looked at.

    `whole`: it takes the whole family. `last_end` is the end of the last time; it equals `end` where it comes once.
    """

    family: str
    reason: Reason
    plans: tuple[str, ...]
    whole: bool
    start: int
    end: int
    policy: Policy
    again: int = 0
    last_end: int = 0


class Move(msgspec.Struct, frozen=True):
    """Plans of a family that a placement puts elsewhere on the page, from an instant on."""

    family: str
    since: int
    placement: str
    notice: str | None
    policy: Policy


def ways(shop: Shop, start: int, end: int, now: datetime) -> tuple[Way, ...]:
    """Every family that is or was sold in `[start, end)`, in the order of the policy in force now."""
    found: dict[str, list[Stretch]] = {}
    for policy, evaluation, at, until in _answers(shop, start, end, now):
        for family in policy.snapshot.families:
            options = [option for option in evaluation.options if option.family == family.id]
            if options:
                _add(found.setdefault(family.id, []), policy, options, at, until, to_epoch(now))
    try:
        order = [family.id for family in policies.current(shop.id, now).snapshot.families]
    except policies.NoPolicy:
        order = []
    ordered = [*(each for each in order if each in found), *(each for each in found if each not in order)]
    return tuple(Way(family, tuple(found[family])) for family in ordered)


def reasons_for_everybody(option: Option) -> tuple[Reason, ...]:
    """Why nobody can take an option, in an evaluation of a visitor of whom nothing is known and of a made-up order."""
    return tuple(
        reason
        for reason in option.verdict.reasons
        if reason.layer in _EVERYBODY
        and not reason.unknown
        and not reason.personal
        and not any(clause.fact.startswith("cart.") for clause in reason.clauses)
    )


def moves(policy: Policy, start: int, end: int) -> tuple[Move, ...]:
    """The changes of place that begin in `[start, end)`, the latest first; one a family and placement."""
    found = []
    for placement in policy.snapshot.placements:
        if placement.since is None or not start <= placement.since < end:
            continue
        places = place(policy, placement.since)
        for family in policy.snapshot.families:
            if any(
                policy.plan(plan.id).family == family.id and places[plan.id].placement == placement.id
                for plan in policy.plans
            ):
                found.append(Move(family.id, placement.since, placement.id, placement.notice, policy))
    return tuple(sorted(found, key=lambda move: (-move.since, move.family)))


def _answers(
    shop: Shop, start: int, end: int, now: datetime
) -> Iterator[tuple[Policy, Evaluation, int, int]]:
    """The engine's answer for each stretch of time between two instants at which it can change."""
    published = policies.publications(shop.id)
    # The first whole second of each: within the second in which it begins, the one before is still in force.
    edges = sorted({ceil(each.valid_from.timestamp()) for each in published})
    facts: dict[str, Mapping[str, FactValue]] = {}
    present = to_epoch(now)
    at = start
    for _ in range(MAX_STEPS):
        if at >= end:
            return
        publication = policies.in_force(published, datetime.fromtimestamp(at, UTC))
        following = next((edge for edge in edges if edge > at), end)
        if publication is None:
            at = following
            continue
        policy = policies.by_digest(publication.digest, shop.id)
        if publication.digest not in facts:
            facts[publication.digest] = fact_sources.gather(shop, None, {}, policy, now)
        known = facts[publication.digest]
        evaluation = evaluate(policy, _request(shop, at, _known_at(known, at, present)))
        until = min(end, following, evaluation.valid_until)
        if at < present < until:
            until = present  # what is live is of now: the answer may be another one from here on
        yield policy, evaluation, at, until
        at = until


def _known_at(facts: Mapping[str, FactValue], at: int, present: int) -> Mapping[str, FactValue]:
    if at >= present:
        return facts
    return {
        name: value
        for name, value in facts.items()
        if not name.startswith(_LIVE) or _began(facts, name) <= at
    }


def _began(facts: Mapping[str, FactValue], name: str) -> float:
    """Since when a live fact is as it is, where that is known: a funder's health has its since."""
    since = facts.get(f"{name}_since")
    return since if isinstance(since, int) else float("inf")


def _request(shop: Shop, at: int, facts: Mapping[str, FactValue]) -> CheckoutRequest:
    amount = EXAMPLE_MAJOR * 10 ** CURRENCIES[shop.currency]
    line = Line("example", "example", "example", "goods", 1, amount, shop.code)
    return CheckoutRequest((line,), shop.currency, "web", at, dict(facts))


def _add(
    stretches: list[Stretch], policy: Policy, options: Sequence[Option], at: int, until: int, present: int
) -> None:
    reasons: dict[str, Reason] = {}
    plans: dict[str, list[str]] = {}
    off = 0
    for option in options:
        found = reasons_for_everybody(option)
        off += bool(found)
        for reason in found:
            reasons[reason.rule] = reason
            plans.setdefault(reason.rule, []).append(option.plan)
    state: State = "open" if not off else "off" if off == len(options) else "partly"
    unsure = at >= present and any(reason.until.kind == "unknown" for reason in reasons.values())
    causes = tuple(Cause(reason, tuple(plans[rule])) for rule, reason in reasons.items())
    made = Stretch(at, until, state, causes, len(options), policy, unsure)
    last = stretches[-1] if stretches else None
    if last is not None and last.end == at and _same(last, made):
        stretches[-1] = msgspec.structs.replace(last, end=until)
    else:
        stretches.append(made)


def _same(one: Stretch, other: Stretch) -> bool:
    def key(stretch: Stretch) -> tuple[object, ...]:
        causes = (
            (cause.reason.rule, cause.reason.code, cause.reason.until, cause.plans)
            for cause in stretch.causes
        )
        return (stretch.state, stretch.unsure, stretch.plans, *causes)

    return key(one) == key(other)


def happenings(way: Way) -> tuple[Happening, ...]:
    """Every reason of a family with its beginning and end: the first time at or after the start, in order of time."""
    found: dict[str, list[Happening]] = {}
    for stretch in way.stretches:
        for cause in stretch.causes:
            times = found.setdefault(cause.reason.rule, [])
            if times and times[-1].end == stretch.start:
                whole = times[-1].whole and len(cause.plans) == stretch.plans
                times[-1] = msgspec.structs.replace(
                    times[-1], end=stretch.end, whole=whole, last_end=stretch.end
                )
            else:
                whole = len(cause.plans) == stretch.plans
                times.append(
                    Happening(
                        way.family, cause.reason, cause.plans, whole, stretch.start, stretch.end, stretch.policy,
                        last_end=stretch.end,
                    )
                )  # fmt: skip
    first = [
        msgspec.structs.replace(times[0], again=len(times) - 1, last_end=times[-1].end)
        for times in found.values()
    ]
    return tuple(sorted(first, key=lambda each: (each.start, each.reason.rule)))
