"""The verdict: whether each plan may be offered, and if not, every reason why.

`decide` is the one decision function: product page, checkout, confirmation, diagnosis and simulation all ask it. Its
two passes make one verdict: rules over facts, then, where offers are given, rules over each plan's priced facts.
The rules themselves run compiled; only where a plan is blocked are its violated rules walked, to say which clauses
failed, with what was found and what is asked for, since when, until when, and who can change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from fenqi.policy.conditions import All, Clause, Condition, Constant, Not, Op, Range, compare, negated
from fenqi.policy.facts import Facts, FactValue, clock_facts
from fenqi.policy.rollout import PREFIX, places
from fenqi.policy.snapshot import Change, Layer, Rule, State
from fenqi.policy.timeline import Effort, Spent, opens_at, since_when

if TYPE_CHECKING:
    from fenqi.policy.compile import Bits, Policy

__all__ = [
    "STALE",
    "Failing",
    "Override",
    "Param",
    "Reason",
    "State",
    "Until",
    "Verdict",
    "decide",
    "decide_deposits",
    "for_customer",
    "in_the_way",
]

Param = int | str
"""A reason's parameter: minor units, epoch seconds, a minute, a number, or a rate as a decimal string."""


class Until(msgspec.Struct, frozen=True, omit_defaults=True):
    """When something ends by itself: at an exact `instant`; at a time `unknown`; or `none`, time does not change it."""

    kind: Literal["instant", "unknown", "none"]
    at: int | None = None


class Failing(msgspec.Struct, frozen=True, omit_defaults=True):
    """A clause that stands in the way: `fact` should be `op` `bound`, and is `actual` (None: unknown).

    Where the bound is another fact, `other` names it and `bound` is its value. Where it is a set of names, `members` is what
    that is called, and `bound` those of its names that are in the way, if it is they that are.
    """

    fact: str
    op: Op
    actual: FactValue | None
    bound: Constant | None
    other: str | None = None
    members: str | None = None


class Reason(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One rule in the way. `unknown`: for want of a fact, not because of one. `pending`: its answer is on its way."""

    code: str
    layer: Layer
    rule: str
    until: Until
    change: Change
    since: int | None = None
    params: dict[str, Param] = {}
    clauses: tuple[Failing, ...] = ()
    notice: str | None = None
    instead: tuple[str, ...] = ()
    public: Literal["full", "generic"] = "full"
    personal: bool = False
    unknown: bool = False
    pending: bool = False


class Override(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A special case that people granted: one rule does not count for this customer, up to `until` (epoch seconds).

    `max_amount_minor` bounds the order, `plan` the plan that it is for; None where it is for any. A rule of law counts
    whatever is granted.
    """

    id: str
    rule: str
    until: int
    max_amount_minor: int | None = None
    plan: str | None = None


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answer for one plan, with all reasons, those of law first.

    `until`: when it opens by itself, all reasons together. `asks`: facts that the customer can tell. `deadline`: by
    when a pending answer is due. `overrides`: the special cases without which it would have one reason more.
    """

    plan: str
    state: State
    until: Until
    reasons: tuple[Reason, ...] = ()
    asks: tuple[str, ...] = ()
    deadline: int | None = None
    overrides: tuple[str, ...] = ()

    @property
    def offered(self) -> bool:
        """Whether the customer can take it now."""
        return self.state in ("available", "funder_decides")


STALE: Final = "DATA_STALE"
"""The reason's code where a fact is too old to decide by."""
NONE: Final = Until("none")
UNKNOWN: Final = Until("unknown")
_ROUNDS: Final = 64
_NO_OFFER: Final[Facts] = {}


def decide(
    policy: Policy,
    facts: Facts,
    offers: Mapping[str, Facts] | None = None,
    *,
    overrides: Sequence[Override] = (),
    ignoring: frozenset[str] = frozenset(),
    stale: frozenset[str] = frozenset(),
) -> dict[str, Verdict]:
    """Every plan's verdict, in the policy's order.

    `facts` needs `clock.now`; the other facts of the clock follow from it. Without `offers` only the rules over facts
    are asked. With them, keyed by plan, the priced rules are asked too, in the same call. A plan without an offer
    that nothing else blocks counts as priced at unknown figures, so that a cost ceiling never fails open.

    `stale` names facts that are not among `facts` because they are too old: where one of them would have decided, the reason
    says so (`DATA_STALE`). `overrides` are special cases granted to this customer. `ignoring` names rules to leave out, to see what would be
    without them: for explaining, never for offering.
    """
    now = _now(facts)
    if "clock.time" not in facts or "clock.weekday" not in facts:
        facts = {**facts, **clock_facts(now, policy.zone)}
    if policy.rollouts:
        facts = {**facts, **places(policy.rollouts, facts)}
    violated, unknown, pending = policy.first(facts)
    if overrides or ignoring:
        lifted = _Lifted(policy, facts, overrides, ignoring)
        first = (violated, unknown, pending)
        return _decide_lifted(_Case(policy, facts, now, stale, lifted), offers, first, lifted)
    trouble = violated | pending
    if not trouble and offers is None:
        return policy.all_open.copy()
    verdicts: dict[str, Verdict] = {}
    case: _Case | None = None
    masks, second, opened = policy.masks, policy.second, policy.open_verdicts
    for index, plan in enumerate(policy.plans):
        mask = masks[index]
        bad = trouble & mask
        priced = second[index]
        if priced is None or offers is None:
            if not bad:
                verdicts[plan.id] = opened[index]
                continue
            found = (violated & mask, unknown & mask, pending & mask)
            offer: Facts | None = None
        else:
            of_plan = offers.get(plan.id)
            if of_plan is None and bad:
                found = (violated & mask, unknown & mask, pending & mask)
                offer = None
            else:
                offer = of_plan or _NO_OFFER
                more = priced(facts, offer)
                if not bad and not more[0] and not more[2]:
                    verdicts[plan.id] = opened[index]
                    continue
                found = (
                    violated & mask | more[0],
                    unknown & mask | more[1],
                    pending & mask | more[2],
                )
        if case is None:
            case = _Case(policy, facts, now, stale)
        verdicts[plan.id] = case.blocked(index, found, offer)
    return verdicts


def decide_deposits(
    policy: Policy,
    facts: Facts,
    *,
    overrides: Sequence[Override] = (),
    stale: frozenset[str] = frozenset(),
) -> dict[str, Verdict]:
    """The verdict on each deposit that can be waived, by plan: it is waived where that is `available`, asked for otherwise,
    with every reason. Where it is `funder_decides`, the funder says on its page; until then it is asked for.
    """
    if policy.waivers is None:
        return {}
    return decide(policy.waivers, facts, overrides=overrides, stale=stale)


def in_the_way(
    policy: Policy,
    facts: Facts,
    plan: str,
    offer: Facts | None = None,
    *,
    overrides: Sequence[Override] = (),
) -> tuple[Rule, ...]:
    """The rules that `decide` would give as the plan's reasons, and nothing about them: empty where it is offered.

    For asking many times what would be if (`fenqi.checkout.nearest`). `facts` hold those of the clock; `offer` is the
    plan's priced facts.
    """
    index = policy.plan_index[plan]
    if policy.rollouts:
        facts = {**facts, **places(policy.rollouts, facts)}
    violated, _unknown, pending = policy.first(facts)
    bits = (violated | pending) & policy.masks[index]
    lift = _Lifted(policy, facts, overrides, frozenset()).at(plan, _now(facts)) if overrides else 0
    priced = policy.second[index]
    if priced is not None and not (bits & ~lift and offer is None):
        more = priced(facts, offer or _NO_OFFER)
        bits |= more[0] | more[2]
    bits &= ~lift
    found: list[Rule] = []
    while bits:
        bit = bits & -bits
        bits ^= bit
        found.append(policy.rules[bit.bit_length() - 1])
    return tuple(found)


def _now(facts: Facts) -> int:
    now = facts.get("clock.now")
    if type(now) is not int:
        raise ValueError(
            "facts have no clock.now: a decision is made at an instant; add clock_facts(at, zone)"
        )
    return now


class _Lifted:
    """The rules that do not count, plan by plan and instant by instant."""

    def __init__(
        self, policy: Policy, facts: Facts, overrides: Sequence[Override], ignoring: frozenset[str]
    ) -> None:
        index = policy.rule_index
        amount = facts.get("cart.amount")
        self.always = sum(1 << index[rule] for rule in ignoring if rule in index)
        self.granted = tuple(
            (1 << index[one.rule], one)
            for one in overrides
            if one.rule in index
            # Nobody can grant away a rule of law: this is the last of three walls.
            and policy.rules[index[one.rule]].layer != "law"
            and (one.max_amount_minor is None or (type(amount) is int and amount <= one.max_amount_minor))
        )

    def at(self, plan: str, at: int) -> int:
        """The bits of the rules that do not count for the plan at the instant."""
        bits = self.always
        for bit, one in self.granted:
            if at < one.until and one.plan in (None, plan):
                bits |= bit
        return bits

    def used(self, plan: str, at: int, trouble: int) -> tuple[str, ...]:
        """The special cases that take something out of the plan's way."""
        return tuple(
            one.id
            for bit, one in self.granted
            if bit & trouble and at < one.until and one.plan in (None, plan)
        )


def _decide_lifted(
    case: _Case, offers: Mapping[str, Facts] | None, first: Bits, lifted: _Lifted
) -> dict[str, Verdict]:
    """The same decision with some rules left out of it."""
    policy, facts, now = case.policy, case.facts, case.now
    violated, unknown, pending = first
    verdicts: dict[str, Verdict] = {}
    for index, plan in enumerate(policy.plans):
        lift = lifted.at(plan.id, now)
        mask = policy.masks[index]
        found = (violated & mask, unknown & mask, pending & mask)
        bad = (found[0] | found[2]) & ~lift
        offer: Facts | None = None
        priced = policy.second[index]
        if priced is not None and offers is not None and not (bad and offers.get(plan.id) is None):
            offer = offers.get(plan.id) or _NO_OFFER
            more = priced(facts, offer)
            found = (found[0] | more[0], found[1] | more[1], found[2] | more[2])
        used = lifted.used(plan.id, now, found[0] | found[2])
        found = (found[0] & ~lift, found[1] & ~lift, found[2] & ~lift)
        if found[0] or found[2]:
            verdict = case.blocked(index, found, offer)
        else:
            verdict = policy.open_verdicts[index]
        verdicts[plan.id] = msgspec.structs.replace(verdict, overrides=used) if used else verdict
    return verdicts


class _Case:
    """One decision's facts, and the reasons already worked out for one plan that another shares."""

    def __init__(
        self,
        policy: Policy,
        facts: Facts,
        now: int,
        stale: frozenset[str],
        lifted: _Lifted | None = None,
    ) -> None:
        self.lifted = lifted
        self.stale = stale
        self.effort = Effort()
        self.looking = max(1, len(policy.rules) // 8)
        self.policy = policy
        self.facts = facts
        self.now = now
        self.reasons: dict[int, Reason] = {}
        self.later: dict[int, tuple[dict[str, FactValue], int, int]] = {}

    def blocked(self, plan: int, found: tuple[int, int, int], offer: Facts | None) -> Verdict:
        policy = self.policy
        violated, unknown, pending = found
        mask = policy.masks[plan]
        reasons: list[Reason] = []
        asks: list[str] = []
        deadlines: list[int] = []
        kind, at = "instant", 0
        rest = violated | pending
        while rest:
            bit = rest & -rest
            rest ^= bit
            index = bit.bit_length() - 1
            rule = policy.resolved[index]
            if bit & mask:
                reason = self.reasons.get(index)
                if reason is None:
                    reason = self._reason(index, rule, self.facts, bool(bit & unknown), bool(bit & pending))
                    self.reasons[index] = reason
            else:
                priced = {**self.facts, **(offer or _NO_OFFER)}
                reason = self._reason(index, rule, priced, bool(bit & unknown), bool(bit & pending))
            reasons.append(reason)
            # To ask for what a generic rule looks at would tell what that is.
            if reason.unknown and rule.unknown == "ask" and rule.public == "full":
                # Their place in a rollout is nothing that anybody could tell.
                asks.extend(
                    name for name in _unknown_facts(reason.clauses, asks) if not name.startswith(PREFIX)
                )
            if reason.pending and rule.pending is not None:
                deadline = self.facts.get(rule.pending.deadline)
                if isinstance(deadline, int):
                    deadlines.append(deadline)
            until = reason.until
            if until.kind == "instant":
                if until.at is not None and until.at > at:
                    at = until.at
            elif kind != "none":
                kind = until.kind
        state: State = "pending" if not violated else "unavailable"
        if kind == "instant":
            until = self._opening(plan, at, offer)
        else:
            until = NONE if kind == "none" else UNKNOWN
        return Verdict(
            plan=policy.plans[plan].id,
            state=state,
            reasons=tuple(reasons),
            asks=tuple(asks),
            until=until,
            deadline=max(deadlines) if deadlines else None,
        )

    def _opening(self, plan: int, at: int, offer: Facts | None) -> Until:
        """The first instant from `at` on when no rule at all is in the plan's way (priced ones, if `offer` is given).

        Where the last of today's reasons ends another may have begun; each step goes to the latest end of those,
        before which the plan cannot open.
        """
        try:
            return self._searched(plan, at, offer)
        except Spent:
            return UNKNOWN

    def _searched(self, plan: int, at: int, offer: Facts | None) -> Until:
        policy = self.policy
        mask, priced, name = policy.masks[plan], policy.second[plan], policy.plans[plan].id
        for _ in range(_ROUNDS):
            then, violated, pending = self._at(at)
            violated, pending = violated & mask, pending & mask
            if priced is not None and offer is not None:
                more = priced(then, offer)
                violated, pending = violated | more[0], pending | more[2]
            out = self._ended(at)
            if self.lifted is not None:
                # By then a special case may have expired.
                out |= self.lifted.at(name, at)
            violated, pending = violated & ~out, pending & ~out
            if pending:
                return UNKNOWN
            if not violated:
                return Until("instant", at)
            latest = at
            while violated:
                bit = violated & -violated
                violated ^= bit
                index = bit.bit_length() - 1
                known = then if bit & mask else {**then, **(offer or _NO_OFFER)}
                until = self._until(index, known, at)
                if until.kind != "instant" or until.at is None:
                    if until.kind == "none" and self._is_stale(_failing(policy.resolved[index], known)):
                        return UNKNOWN
                    return until
                latest = max(latest, until.at)
            at = latest
        return UNKNOWN

    def _at(self, at: int) -> tuple[dict[str, FactValue], int, int]:
        """The facts of a later instant and what the first pass says of them, once for all plans that open then."""
        known = self.later.get(at)
        if known is None:
            self.effort.take(self.looking)
            then: dict[str, FactValue] = {**self.facts, **clock_facts(at, self.policy.zone)}
            violated, _unknown, pending = self.policy.first(then)
            known = self.later[at] = (then, violated, pending)
        return known

    def _ended(self, at: int) -> int:
        """The rules that will have ended by a later instant, by what a fact tells of their end."""
        ended = 0
        for bit, name in self.policy.told_ends:
            end = self.facts.get(name)
            if type(end) is int and self.now < end <= at:
                ended |= bit
        return ended

    def _reason(self, index: int, rule: Rule, facts: Facts, unknown: bool, pending: bool) -> Reason:
        policy = self.policy
        timing = policy.timings[index]
        clauses = tuple(_failing(rule, facts))
        since = until = None
        if rule.since_fact is not None:
            told = facts.get(rule.since_fact)
            since = told if type(told) is int and told <= self.now else None
        stale = unknown and self._is_stale(clauses)
        if pending:
            until = UNKNOWN
        else:
            # What is used up was so since some moment that nobody told, not since its rule or its terms began.
            live = rule.until_fact is not None and rule.blocked is None and rule.daily is None
            if rule.since_fact is None and timing.moves and not live:
                since = self._since(index, facts)
            asked = unknown and rule.unknown == "ask"
            until = self._until(index, facts, self.now, asked=asked)
            if stale and until.kind == "none":
                until = UNKNOWN  # nobody can say when it is known anew
        return Reason(
            code=STALE if stale else rule.reason,
            layer=rule.layer,
            rule=rule.id,
            since=since,
            until=until,
            change="shop" if stale else rule.change,
            params=_params(policy, rule, clauses, since, until),
            clauses=clauses,
            notice=rule.notice,
            instead=rule.instead,
            public=rule.public,
            personal=policy.personal[index],
            unknown=unknown,
            pending=pending,
        )

    def _since(self, index: int, facts: Facts) -> int | None:
        policy = self.policy
        rule, timing = policy.resolved[index], policy.timings[index]
        try:
            return since_when(rule, timing, facts, self.now, policy.zone, self.effort)
        except Spent:
            return None

    def _until(self, index: int, facts: Facts, at: int, *, asked: bool = False) -> Until:
        try:
            return _until(self.policy, index, facts, at, self.effort, asked=asked)
        except Spent:
            return UNKNOWN

    def _is_stale(self, clauses: Iterable[Failing]) -> bool:
        """Whether a fact that is not known was known, too long ago."""
        return bool(self.stale) and any(name in self.stale for name in _unknown_facts(clauses, ()))


def _until(
    policy: Policy, index: int, facts: Facts, at: int, effort: Effort, *, asked: bool = False
) -> Until:
    rule, timing = policy.resolved[index], policy.timings[index]
    opens = opens_at(rule, timing, facts, at, policy.zone, effort) if timing.moves else None
    if rule.until_fact is not None and not asked:
        told = facts.get(rule.until_fact)
        if type(told) is int and told > at:
            return Until("instant", told if opens is None else min(told, opens))
        # What tells its end says nothing, or something that is past: then nobody knows it.
        return UNKNOWN if opens is None else Until("instant", opens)
    if timing.moves:
        if opens is not None:
            return Until("instant", opens)
        if rule.blocked is not None and rule.blocked.start is not None and rule.blocked.end is None:
            return UNKNOWN
    if asked or rule.change in ("customer", "cart", "nobody"):
        return NONE
    return UNKNOWN


def _failing(rule: Rule, facts: Facts) -> Iterator[Failing]:
    """The clauses that keep the rule violated: what its `require` misses, or what its `when` forbids."""
    if rule.require is not None:
        yield from _missing(rule.require, facts, wanted=True)
        if rule.when is not None:
            yield from (
                clause for clause in _missing(rule.when, facts, wanted=False) if clause.actual is None
            )
    elif rule.when is not None:
        yield from _missing(rule.when, facts, wanted=False)


def _missing(condition: Condition, facts: Facts, *, wanted: bool) -> Iterator[Failing]:
    """The clauses that are not known to be `wanted`, said as what they should be."""
    if isinstance(condition, Clause):
        actual = facts.get(condition.fact)
        bound = condition.value if condition.other is None else facts.get(condition.other)
        if (
            actual is not None
            and bound is not None
            and compare(condition.op, actual, bound, condition.open_end) is wanted
        ):
            return
        op = condition.op if wanted else negated(condition.op)
        if condition.members is None:
            yield Failing(condition.fact, op, actual, bound, condition.other)
            return
        # 100,000 names are no explanation; those of the cart that are among them are.
        met = None
        if op == "has none of" and isinstance(actual, frozenset) and isinstance(bound, frozenset):
            met = actual & bound
        yield Failing(condition.fact, op, actual, met, members=condition.members.name)
        return
    if isinstance(condition, Not):
        yield from _missing(condition.part, facts, wanted=not wanted)
        return
    if isinstance(condition, All) is wanted:
        for part in condition.parts:
            yield from _missing(part, facts, wanted=wanted)
        return
    # One part would have been enough: all of them are named only if none was.
    found: list[Failing] = []
    for part in condition.parts:
        missing = list(_missing(part, facts, wanted=wanted))
        if not missing:
            return
        found.extend(missing)
    yield from found


def _unknown_facts(clauses: Iterable[Failing], known: Sequence[str]) -> Iterator[str]:
    seen = set(known)
    for clause in clauses:
        for name in (
            clause.fact if clause.actual is None else None,
            clause.other if clause.bound is None else None,
        ):
            if name is not None and name not in seen:
                seen.add(name)
                yield name


def _params(
    policy: Policy, rule: Rule, clauses: tuple[Failing, ...], since: int | None, until: Until
) -> dict[str, Param]:
    params: dict[str, Param] = {}
    if since is not None:
        params["since"] = since
    if until.at is not None:
        params["until"] = until.at
    if rule.daily is not None:
        params["from"], params["to"] = rule.daily.start, rule.daily.end
    if not clauses:
        return params
    clause = clauses[0]
    kind = policy.vocabulary[clause.fact].type
    if kind not in ("money", "int", "rate", "time"):
        return params
    if isinstance(clause.bound, Range):
        if clause.op == "in":
            params["min"] = _param(kind, clause.bound.low)
            params["max"] = _param(kind, clause.bound.high)
    elif isinstance(clause.bound, int):
        # What is told is the least and the most that would do: "more than 17" is "from 18".
        step = 1 if kind in ("int", "money") else 0
        if clause.op in (">=", ">"):
            params["min"] = _param(kind, clause.bound + (step if clause.op == ">" else 0))
        elif clause.op in ("<=", "<"):
            params["max"] = _param(kind, clause.bound - (step if clause.op == "<" else 0))
    if isinstance(clause.actual, int):
        params["current"] = _param(kind, clause.actual)
    return params


def _param(kind: str, value: int) -> Param:
    if kind != "rate":
        return value
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**12)
    return f"{sign}{whole}.{part:012d}".rstrip("0").rstrip(".")


_HIDDEN_CODE: Final = "ACCOUNT_RISK"


def for_customer(reason: Reason) -> Reason:
    """The reason as the customer may see it: a generic one keeps its dates and ways on, and loses its particulars.

    Which signal fired is never disclosed; that something did, until when, and whom to ask, always is.
    """
    if reason.public == "full":
        return reason
    return Reason(
        code=_HIDDEN_CODE,
        layer=reason.layer,
        rule="",
        since=reason.since,
        until=reason.until,
        change="nobody" if reason.change in ("customer", "cart") else reason.change,
        params={name: value for name, value in reason.params.items() if name in ("since", "until")},
        notice=reason.notice,
        instead=reason.instead,
        public="generic",
        personal=True,
        unknown=reason.unknown,
        pending=reason.pending,
    )
