"""What a notice is about, derived from what links it: which act, of which ways to pay, for whom, from when to when.

Nobody writes impacts down. A rule that links the notice is one for each family that it covers, a placement too, and what
an outage does to paying back. So the public is told exactly what the checkout does: of the rule's own condition the
channels and regions are read off, and the rest is the segment. Nothing here decides about a customer; `decide` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from fenqi.policy.conditions import (
    All,
    Any,
    Clause,
    Condition,
    Not,
    Op,
    clauses_of,
    evaluate_plain,
    facts_of,
    negated,
)
from fenqi.policy.placement import Placed, place
from fenqi.policy.reasons import set_text, value_text
from fenqi.policy.snapshot import Act, Confidence, DailyWindow, Notice, Placement, Rule, selects
from fenqi.terms.plan import Plan
from fenqi.texts import Text, fill

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = ["Effect", "Impact", "affected_by", "condition_text", "impacts_of", "segment_text"]

Effect = Literal["paused", "limited", "demoted", "changed", "restored", "new"]


class Impact(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One act of one family's plans, touched from `start` up to `end` (epoch seconds; None: not known).

    Empty `channels` and `regions` are all of them. `segment` is whom it touches of those; None is everybody. `code` is the
    reason's code at the checkout, empty where it is not a reason but a place or an act.
    """

    act: Act
    effect: Effect
    funder: str
    family: str
    plans: tuple[str, ...]
    confidence: Confidence
    channels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    segment: Condition | None = None
    start: int | None = None
    end: int | None = None
    daily: DailyWindow | None = None
    next_update: int | None = None
    rule: str | None = None
    placement: str | None = None
    code: str = ""


_ANOTHER: Final = "\0"
_READ_OFF: Final = ("channel.kind", "region.ship_to")


def impacts_of(policy: Policy, notice_id: str) -> tuple[Impact, ...]:
    """The impacts of one of the policy's notices, in the order of its rules, places and acts. `KeyError` for no notice."""
    notice = policy.notices[notice_id]
    found: list[Impact] = []
    for rule in policy.rules:
        if rule.notice == notice_id:
            found.extend(_of_rule(policy, notice, rule))
    for placement in policy.snapshot.placements:
        if placement.notice == notice_id:
            found.extend(_of_placement(policy, notice, placement))
    found.extend(_of_repayment(policy, notice))
    return tuple(found)


def _families(policy: Policy, plans: Iterable[Plan]) -> list[tuple[str, str, tuple[str, ...]]]:
    grouped: dict[str, list[Plan]] = {}
    for plan in plans:
        grouped.setdefault(plan.family, []).append(plan)
    return [
        (members[0].funder, family, tuple(plan.id for plan in members)) for family, members in grouped.items()
    ]


def _confidence(notice: Notice, end: int | None) -> Confidence:
    return "unknown" if end is None else "estimate" if notice.certainty == "estimate" else "fixed"


def _of_rule(policy: Policy, notice: Notice, rule: Rule) -> list[Impact]:
    affected = affected_by(rule)
    starts = [
        window.start
        for window in (rule.valid, rule.blocked)
        if window is not None and window.start is not None
    ]
    ends = [
        window.end for window in (rule.valid, rule.blocked) if window is not None and window.end is not None
    ]
    # A live rule has no window of its own: its notice says since when and until when.
    start = max(starts) if starts else notice.since
    end = min(ends) if ends else notice.until
    segment = _segment(affected)
    return [
        Impact(
            act="buy",
            effect="paused" if segment is None else "limited",
            funder=funder,
            family=family,
            plans=plans,
            channels=_channels(policy, affected),
            regions=_regions(affected),
            segment=segment,
            start=start,
            end=end,
            daily=rule.daily,
            confidence=_confidence(notice, end),
            next_update=notice.next_update,
            rule=rule.id,
            code=rule.reason,
        )
        for funder, family, plans in _families(
            policy, (plan for plan in policy.plans if selects(rule.applies, plan))
        )
    ]


def _of_placement(policy: Policy, notice: Notice, placement: Placement) -> list[Impact]:
    start = placement.since if placement.since is not None else notice.since
    before, after = place(policy.placements, start - 1), place(policy.placements, start)
    return [
        Impact(
            act="buy",
            effect="demoted" if any(lower(before[plan], after[plan]) for plan in plans) else "changed",
            funder=funder,
            family=family,
            plans=plans,
            start=start,
            end=notice.until,
            confidence=_confidence(notice, notice.until),
            next_update=notice.next_update,
            placement=placement.id,
        )
        for funder, family, plans in _families(
            policy, (plan for plan in policy.plans if selects(placement.applies, plan))
        )
    ]


def lower(before: Placed, after: Placed) -> bool:
    """Whether a plan stands less prominently than before."""
    return after.rank > before.rank or (after.collapsed and not before.collapsed)


def _of_repayment(policy: Policy, notice: Notice) -> list[Impact]:
    repayment = notice.repayment
    if repayment is None:
        return []
    named = [policy.plan(plan) for plan in notice.plans if plan in policy.plan_index]
    own = [plan for plan in named or policy.plans if policy.funders[plan.funder].own_book]
    return [
        Impact(
            act=act,
            effect="paused",
            funder=funder,
            family=family,
            plans=plans,
            start=repayment.start,
            end=repayment.end,
            confidence=_confidence(notice, repayment.end),
            next_update=notice.next_update,
        )
        for act in repayment.acts
        for funder, family, plans in _families(policy, own)
    ]


# ------------------------------------------------------------------------------------------------- for whom


def affected_by(rule: Rule) -> Condition:
    """What is true of those whom the rule keeps out while its windows last: its `when`, and not its `require`."""
    parts: list[Condition] = []
    if rule.when is not None:
        parts.append(_plain(rule.when, wanted=True))
    if rule.require is not None:
        parts.append(_plain(rule.require, wanted=False))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _plain(condition: Condition, *, wanted: bool) -> Condition:
    """The same condition, or its opposite, without a `not` in it, and without an `all` inside an `all`."""
    if isinstance(condition, Not):
        return _plain(condition.part, wanted=not wanted)
    if isinstance(condition, Clause):
        return condition if wanted else msgspec.structs.replace(condition, op=negated(condition.op))
    kind = All if isinstance(condition, All) is wanted else Any
    parts: list[Condition] = []
    for part in condition.parts:
        plain = _plain(part, wanted=wanted)
        parts.extend(plain.parts if isinstance(plain, kind) else (plain,))
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _live(name: str) -> bool:
    """Whether a fact is about the moment and not about who asks: the clock, a funder's service, what is left of a budget."""
    return name.startswith(("clock.", "funder.", "budget."))


def _segment(affected: Condition) -> Condition | None:
    parts = affected.parts if isinstance(affected, All) else (affected,)
    rest = tuple(
        part
        for part in parts
        if not (all(name in _READ_OFF for name in facts_of(part)) and not _of_sets(part))
        and not any(_live(name) for name in facts_of(part))
    )
    return None if not rest else rest[0] if len(rest) == 1 else All(rest)


def _of_sets(condition: Condition) -> bool:
    """Whether it asks about a set, whose names nobody reads out."""
    return any(clause.members is not None for clause in clauses_of(condition))


def _channels(policy: Policy, affected: Condition) -> tuple[str, ...]:
    """The channels on which it can be so; none named where it can be on every one."""
    values = policy.vocabulary["channel.kind"].values
    possible = tuple(
        value for value in values if evaluate_plain(affected, {"channel.kind": value}) is not False
    )
    return () if len(possible) == len(values) else possible


def _regions(affected: Condition) -> tuple[str, ...]:
    named: set[str] = set()
    if any(clause.fact == "region.ship_to" and clause.members is not None for clause in clauses_of(affected)):
        return ()
    for clause in clauses_of(affected):
        if clause.fact == "region.ship_to":
            if isinstance(clause.value, frozenset):
                named |= clause.value
            elif isinstance(clause.value, str):
                named.add(clause.value)
    if not named or evaluate_plain(affected, {"region.ship_to": _ANOTHER}) is not False:
        return ()
    return tuple(
        sorted(name for name in named if evaluate_plain(affected, {"region.ship_to": name}) is not False)
    )


# ------------------------------------------------------------------------------------------------- in words

_EVERYBODY: Final = Text("所有客户", "everybody")
_IS: Final[dict[Op, Text]] = {
    "is": Text("{fact}为{bound}", "{fact}: {bound}"),
    "is not": Text("{fact}不为{bound}", "{fact}: not {bound}"),
    "<": Text("{fact}低于{bound}", "{fact} below {bound}"),
    "<=": Text("{fact}不超过{bound}", "{fact} of at most {bound}"),
    ">": Text("{fact}超过{bound}", "{fact} above {bound}"),
    ">=": Text("{fact}满{bound}", "{fact} of {bound} or more"),
    "in": Text("{fact}在{bound}之内", "{fact} within {bound}"),
    "not in": Text("{fact}在{bound}之外", "{fact} outside {bound}"),
    "has any of": Text("{fact}含{bound}", "{fact} with {bound}"),
    "has all of": Text("{fact}同时含{bound}", "{fact} with all of {bound}"),
    "has none of": Text("{fact}不含{bound}", "{fact} without {bound}"),
    "lacks some of": Text("{fact}不同时含{bound}", "{fact} without some of {bound}"),
}
_TRUE: Final = Text("{fact}", "{fact}")
_FALSE: Final = Text("非“{fact}”", "not “{fact}”")
_JOINED: Final = {All: Text("，且", ", and "), Any: Text("，或", ", or ")}

# An `or` inside an `and` reads as one thing.
_WITHIN: Final = Text("（{part}）", "({part})")


def segment_text(policy: Policy, impact: Impact, locale: str) -> str:
    """Whom it touches, in words."""
    if impact.segment is None:
        return _EVERYBODY.in_(locale)
    return condition_text(policy, impact.segment, locale)


def condition_text(policy: Policy, condition: Condition, locale: str) -> str:
    """What is true of those for whom a condition holds, clause by clause."""
    plain = _plain(condition, wanted=True)
    if not isinstance(plain, Clause):
        assert not isinstance(plain, Not), "a plain condition has no `not`"
        said = (
            condition_text(policy, part, locale)
            if isinstance(part, Clause)
            else fill(
                _WITHIN,
                {"part": condition_text(policy, part, locale)},
                locale,
                currency=policy.currency,
                zone=policy.zone,
            )
            for part in plain.parts
        )
        return _JOINED[type(plain)].in_(locale).join(said)
    fact = policy.vocabulary[plain.fact]
    params: dict[str, Text | str] = {"fact": fact.label}
    if isinstance(plain.value, bool):
        text = _TRUE if plain.value is (plain.op == "is") else _FALSE
    else:
        text = _IS[plain.op]
        params["bound"] = (
            policy.vocabulary[plain.other].label
            if plain.other is not None
            else set_text(policy, plain.members.name, locale)
            if plain.members is not None
            else value_text(policy, fact, plain.value, locale, None)
        )
    return fill(text, params, locale, currency=policy.currency, zone=policy.zone)
