"""Compiling: a snapshot becomes a `Policy`, whose rules are one generated Python function.

The function reads each fact once and answers with bits: one for every rule that is violated, one where an unknown
fact decided, one where an answer is on its way. Plans are masks over those bits. Its source consists of names made
here (`f0`, `k1`, ...) and integers; every other constant comes in through its globals, so nothing that a policy's
author writes is ever code. `fenqi.policy.conditions.evaluate_plain` is the meaning it is tested against.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final, Literal

from fenqi.calendars import BusinessCalendar
from fenqi.policy.conditions import RATE_ONE, All, Clause, Condition, Not, Op, Range, facts_of
from fenqi.policy.facts import Facts, FactType
from fenqi.policy.placement import Placed, Placements, placements_of
from fenqi.policy.placement import place as _place
from fenqi.policy.rollout import Rollout
from fenqi.policy.sets import Sets, members_in, resolved
from fenqi.policy.snapshot import (
    KNOWN_SEMANTICS,
    LAYERS,
    Agreement,
    Change,
    Family,
    Funder,
    Notice,
    Rule,
    Selector,
    ShopTerms,
    Snapshot,
    SnapshotError,
    Window,
    check_versions,
    digest,
    selects,
    versions_of,
    vocabulary_of,
)
from fenqi.policy.timeline import Timing, edges_told, next_point, timing_of
from fenqi.policy.verdict import Until, Verdict
from fenqi.terms.plan import Plan, check_own_book
from fenqi.terms.rent import Lease, Pledge, traps_of

__all__ = [
    "EVALUATORS",
    "Bits",
    "Policy",
    "agreement_rules",
    "budget_rules",
    "compile_policy",
    "connection_rules",
    "facts_of_rule",
    "is_priced",
    "next_boundary",
    "next_told",
    "place",
]

Bits = tuple[int, int, int]
"""Violated (unknowns resolved as their rules say), of these decided by an unknown fact, pending."""


_NO_SETS: Final[Sets] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Policy:
    """A compiled snapshot. `rules` are ordered by layer; rule `i` has bit `1 << i` everywhere."""

    snapshot: Snapshot
    digest: str
    shop: ShopTerms
    plans: tuple[Plan, ...]
    plan_index: Mapping[str, int]
    families: Mapping[str, Family]
    funders: Mapping[str, Funder]
    notices: Mapping[str, Notice]
    vocabulary: Mapping[str, FactType]
    rules: tuple[Rule, ...]
    resolved: tuple[Rule, ...]
    """The same rules with the members of the sets that they ask about: what is evaluated. `rules` is what is shown."""
    sets: Sets
    timings: tuple[Timing, ...]
    personal: tuple[bool, ...]
    masks: tuple[int, ...]
    """Per plan: the rules of the first pass that are about it."""
    first: Callable[[Facts], Bits]
    second: tuple[Callable[[Facts, Facts], Bits] | None, ...]
    """Per plan: its priced rules, over the facts and the offer's facts; None where it has none."""
    open_verdicts: tuple[Verdict, ...]
    placements: Placements
    rollouts: tuple[Rollout, ...]
    max_ages: Mapping[str, int]
    sources: tuple[str, ...]
    """The generated functions' sources, for the curious and for tests."""
    waivers: Policy | None = None
    """The same policy's word on deposits: its plans are those whose deposit can be waived, its rules the waivers."""

    @property
    def zone(self) -> str:
        """The shop's time zone."""
        return self.shop.time_zone

    @property
    def currency(self) -> str:
        """The shop's currency."""
        return self.shop.currency

    def plan(self, plan_id: str) -> Plan:
        """The plan of that id; `KeyError` where there is none."""
        return self.plans[self.plan_index[plan_id]]

    @cached_property
    def calendars(self) -> Mapping[str, BusinessCalendar]:
        """The business calendars by which the plans' due dates move, by id: the policy's own, so that it answers alike for good."""
        return {calendar.id: calendar for calendar in self.snapshot.calendars}

    @cached_property
    def rule_index(self) -> dict[str, int]:
        """From a rule's id to its position."""
        return {rule.id: index for index, rule in enumerate(self.rules)}

    @cached_property
    def all_open(self) -> dict[str, Verdict]:
        """Every plan's verdict where nothing is in the way of any. Copied, never changed."""
        return {verdict.plan: verdict for verdict in self.open_verdicts}

    @cached_property
    def asked(self) -> frozenset[str]:
        """The facts that some rule asks about, or that a rollout goes by: of anything else nobody needs to know."""
        names = frozenset(name for rule in self.rules for name in facts_of_rule(rule))
        of_deposits = frozenset() if self.waivers is None else self.waivers.asked
        return names | {rollout.by for rollout in self.rollouts} | of_deposits

    @cached_property
    def boundaries(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """All dated instants and all daily minutes at which some rule or place may change."""
        dated = {edge for timing in self.timings for edge in timing.dated}
        minutes = {minute for timing in self.timings for minute in timing.minutes}
        return tuple(sorted(dated | set(self.placements.since))), tuple(sorted(minutes))

    @cached_property
    def told_ends(self) -> tuple[tuple[int, str], ...]:
        """The rules whose end a fact tells: each one's bit, and the fact's name."""
        return tuple(
            (1 << index, rule.until_fact)
            for index, rule in enumerate(self.rules)
            if rule.until_fact is not None
        )

    @cached_property
    def clocked(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The facts (instants, times) that the clock is compared with, a pending answer's deadline among them."""
        instants = {name for timing in self.timings for name in timing.instants}
        instants |= {rule.pending.deadline for rule in self.rules if rule.pending is not None}
        instants |= {name for _, name in self.told_ends}
        return tuple(sorted(instants)), tuple(sorted({n for timing in self.timings for n in timing.times}))


def compile_policy(snapshot: Snapshot, sets: Sets = _NO_SETS) -> Policy:
    """Compile a snapshot, with the members of its sets by their digest.

    The evaluator is that of the meaning the snapshot was written in, whatever has been released since. Raises
    `UnknownFormat` and `UnknownSemantics`, `SnapshotError` where it refers to what it does not contain, and `MissingSet` where a
    set is not there.
    """
    check_versions(snapshot.format, snapshot.semantics)
    return EVALUATORS[snapshot.semantics](snapshot, sets)


def _compile_1(snapshot: Snapshot, sets: Sets) -> Policy:
    """The meaning 1: what the page about the language says."""
    rules = (
        *snapshot.rules,
        *agreement_rules(snapshot),
        *budget_rules(snapshot),
        *connection_rules(snapshot),
    )
    _check_references(snapshot, (*rules, *snapshot.waivers), vocabulary_of(snapshot))
    policy = _compiled(snapshot, snapshot.plans, rules, sets)
    waivable = tuple(plan for plan in snapshot.plans if _is_waivable(plan))
    if not waivable:
        return policy
    return dataclasses.replace(policy, waivers=_compiled(snapshot, waivable, snapshot.waivers, sets))


def _is_waivable(plan: Plan) -> bool:
    deposit = plan.pricing.deposit if isinstance(plan.pricing, Lease) else None
    return deposit is not None and deposit.waivable


def _compiled(snapshot: Snapshot, plans: tuple[Plan, ...], written: Iterable[Rule], sets: Sets) -> Policy:
    """A policy of some of a snapshot's plans, under some rules."""
    vocabulary = vocabulary_of(snapshot)
    rules = sorted(written, key=lambda rule: LAYERS.index(rule.layer))
    own_sets = members_in(snapshot, sets)
    asked = tuple(resolved(rule, own_sets) for rule in rules) if own_sets else tuple(rules)
    first_rules: list[tuple[int, Rule]] = []
    priced_rules: list[tuple[int, Rule]] = []
    for index, rule in enumerate(asked):
        (priced_rules if is_priced(rule) else first_rules).append((index, rule))
    sources: list[str] = []
    first, source = _generate(first_rules, vocabulary, priced=False)
    sources.append(source)

    masks: list[int] = []
    second: list[Callable[[Facts, Facts], Bits] | None] = []
    shared: dict[tuple[int, ...], Callable[[Facts, Facts], Bits]] = {}
    for plan in plans:
        masks.append(sum(1 << index for index, rule in first_rules if selects(rule.applies, plan)))
        about = [(index, rule) for index, rule in priced_rules if selects(rule.applies, plan)]
        key = tuple(index for index, _ in about)
        if about and key not in shared:
            shared[key], source = _generate(about, vocabulary, priced=True)
            sources.append(source)
        second.append(shared[key] if about else None)

    funders = {funder.id: funder for funder in snapshot.funders}
    return Policy(
        snapshot=snapshot,
        digest=digest(snapshot),
        shop=snapshot.shop,
        plans=plans,
        plan_index={plan.id: index for index, plan in enumerate(plans)},
        families={family.id: family for family in snapshot.families},
        funders=funders,
        notices={notice.id: notice for notice in snapshot.notices},
        vocabulary=vocabulary,
        rules=tuple(rules),
        resolved=asked,
        sets=own_sets,
        timings=tuple(timing_of(rule) for rule in rules),
        personal=tuple(_is_personal(rule, vocabulary) for rule in rules),
        masks=tuple(masks),
        first=first,
        second=tuple(second),
        open_verdicts=tuple(
            Verdict(
                plan=plan.id,
                state="available" if funders[plan.funder].decides == "here" else "funder_decides",
                until=Until("none"),
            )
            for plan in plans
        ),
        placements=placements_of(snapshot),
        rollouts=snapshot.rollouts,
        max_ages={age.fact: age.seconds for age in snapshot.max_ages},
        sources=tuple(sources),
    )


EVALUATORS: Final[Mapping[int, Callable[[Snapshot, Sets], Policy]]] = {1: _compile_1}
"""How snapshots of each meaning are compiled. A change of meaning adds one; those that were released stay, so that what was decided
by them is decided again alike."""
assert EVALUATORS.keys() == KNOWN_SEMANTICS, "what is read can be evaluated"


def place(policy: Policy, at: int) -> dict[str, Placed]:
    """Where every plan stands on the page at an instant (epoch seconds)."""
    return _place(policy.placements, at)


def next_boundary(policy: Policy, at: int) -> int | None:
    """The next instant after `at` at which time may change a verdict or a place; None where it never does.

    Whatever the facts: those that a clock is compared with add boundaries of their own (`next_told`).
    """
    dated, minutes = policy.boundaries
    return next_point(dated, minutes, at, policy.zone)


def next_told(policy: Policy, facts: Facts, at: int) -> int | None:
    """The next instant after `at` that these facts make a boundary: a deadline, an hour told as a fact."""
    instants, times = policy.clocked
    if not instants and not times:
        return None
    dated, minutes = edges_told(instants, times, facts)
    return next_point(tuple(sorted(dated)), minutes, at, policy.zone) if dated or minutes else None


def agreement_rules(snapshot: Snapshot) -> list[Rule]:
    """The rules that each funder's agreements amount to: their dates, amounts, terms, quotas and cost ceilings."""
    rules: list[Rule] = []
    for funder in snapshot.funders:
        versions = versions_of(funder)
        if not versions:
            continue
        applies = Selector(funders=(funder.id,))
        name = f"agreement.{funder.id}"
        starts = [version.valid_from for version in versions]
        ends = [version.valid_to for version in versions]
        first = None if None in starts else min(start for start in starts if start is not None)
        last = None if None in ends else max(end for end in ends if end is not None)
        if first is not None:
            window = Window(None, first)
            rules.append(_limit(f"{name}.start", "AGREEMENT_ADJUST", applies, "time", blocked=window))
        if last is not None:
            window = Window(last, None)
            rules.append(_limit(f"{name}.end", "AGREEMENT_EXPIRED", applies, "shop", blocked=window))
        if funder.agreement is not None and len(versions) == 1 and versions[0].audience is None:
            rules.extend(_limits_of(snapshot, funder.id, versions[0], name, None, None))
            continue
        for number, version in enumerate(versions):
            stretch, when = _stretch(version, versions[number + 1 :])
            if len(versions) == 1:
                stretch = None  # its beginning and end are rules already
            if stretch is None or stretch.start is None or stretch.end is None or stretch.start < stretch.end:
                named = f"{name}.{version.version}"
                rules.extend(_limits_of(snapshot, funder.id, version, named, stretch, when))
        if not _covered(versions):
            uncovered = All(tuple(Not(_holds(version)) for version in versions))
            rules.append(
                _limit(
                    f"{name}.gap",
                    "AGREEMENT_ADJUST",
                    applies,
                    "funder",
                    when=uncovered,
                    valid=Window(first, last),
                )
            )
    return rules


def _stretch(version: Agreement, later: tuple[Agreement, ...]) -> tuple[Window | None, Condition | None]:
    """When, and of whom, a version is asked: not once a later one has begun that is for them too."""
    end = version.valid_to
    parts: list[Condition] = [] if version.audience is None else [version.audience]
    for other in later:
        outlives = other.valid_to is None or (end is not None and end <= other.valid_to)
        if other.audience is None and outlives:
            begun = other.valid_from
            if begun is not None and (end is None or begun < end):
                end = begun
        else:
            parts.append(Not(_holds(other)))
    window = Window(version.valid_from, end) if version.valid_from is not None or end is not None else None
    return window, None if not parts else parts[0] if len(parts) == 1 else All(tuple(parts))


def _holds(version: Agreement) -> Condition:
    """Whether a version has begun, has not ended, and is for this case."""
    parts: list[Condition] = [] if version.audience is None else [version.audience]
    if version.valid_from is not None:
        parts.append(Clause("clock.now", ">=", version.valid_from))
    if version.valid_to is not None:
        parts.append(Clause("clock.now", "<", version.valid_to))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _covered(versions: tuple[Agreement, ...]) -> bool:
    """Whether the versions that are for everybody leave no time between the first beginning and the last end."""
    reached: int | None = None
    begun = False
    starts = [version.valid_from for version in versions if version.valid_from is not None]
    earliest = min(starts) if len(starts) == len(versions) else None
    for version in versions:
        if version.audience is not None:
            continue
        if not begun:
            if version.valid_from is not None and version.valid_from != earliest:
                return False
            begun = True
        elif reached is not None and version.valid_from is not None and version.valid_from > reached:
            return False
        if version.valid_to is None:
            return True
        reached = version.valid_to if reached is None else max(reached, version.valid_to)
    ends = [version.valid_to for version in versions]
    return begun and None not in ends and reached == max(end for end in ends if end is not None)


def _limits_of(
    snapshot: Snapshot,
    funder: str,
    version: Agreement,
    name: str,
    valid: Window | None,
    when: Condition | None,
) -> list[Rule]:
    """What one version of the terms asks, while it is the one that counts."""
    rules: list[Rule] = []
    applies = Selector(funders=(funder,))

    def limit(
        what: str,
        reason: str,
        change: Change,
        *,
        about: Selector = applies,
        require: Condition | None = None,
        blocked: Window | None = None,
        unknown: Literal["block", "allow"] = "block",
        until_fact: str | None = None,
    ) -> None:
        rules.append(
            _limit(
                f"{name}.{what}",
                reason,
                about,
                change,
                require=require,
                blocked=blocked,
                valid=valid,
                when=when,
                unknown=unknown,
                notice=version.notice,
                until_fact=until_fact,
            )
        )

    # Its own window: since when it rests is told by it, and that nobody knows the end.
    own = valid or Window(version.valid_from)
    if version.paused:
        limit("paused", "AGREEMENT_ADJUST", "funder", blocked=own)
    if version.partner_listed is False:
        limit("listed", "FUNDER_NOT_LISTED", "funder", blocked=own)
    if version.min_amount_minor is not None:
        limit(
            "amount_min", "AMOUNT_LOW", "cart", require=Clause("cart.amount", ">=", version.min_amount_minor)
        )
    if version.max_amount_minor is not None:
        limit(
            "amount_max", "AMOUNT_HIGH", "cart", require=Clause("cart.amount", "<=", version.max_amount_minor)
        )
    if version.terms:
        outside = tuple(
            plan.id for plan in snapshot.plans if plan.funder == funder and plan.periods not in version.terms
        )
        if outside:
            limit("terms", "TERM_UNAVAILABLE", "cart", about=Selector(plans=outside), blocked=Window())
    if version.daily_quota_minor is not None:
        limit(
            "quota",
            "QUOTA_EXHAUSTED",
            "time",
            require=Clause(f"funder.{funder}.quota_left", ">=", None, "cart.amount"),
            unknown="allow",
            until_fact=f"funder.{funder}.quota_renews",
        )
    if version.cost_ceiling is not None:
        ceiling = Clause("offer.annual_cost", "<=", int(version.cost_ceiling * RATE_ONE))
        limit("ceiling", "COST_OVER_CAP", "shop", require=ceiling)
    return rules


def budget_rules(snapshot: Snapshot) -> list[Rule]:
    """The rules that each budget amounts to: what it pays for is offered while enough of it is left."""
    return [
        Rule(
            id=f"budget.{budget.id}",
            layer="strategy",
            owner="budget",
            reason="SUBSIDY_SPENT",
            applies=budget.applies,
            require=Clause(f"budget.{budget.id}.left", ">=", None, "cart.amount"),
            valid=Window(budget.start, budget.end)
            if budget.start is not None or budget.end is not None
            else None,
            change="time",
            notice=budget.notice,
            until_fact=f"budget.{budget.id}.renews",
        )
        for budget in snapshot.budgets
    ]


def connection_rules(snapshot: Snapshot) -> list[Rule]:
    """A funder that there is no way to hand a customer over to is not offered, and says why.

    Known not to be connected blocks; a record that tells nothing of it, as those of before do, does not.
    """
    return [
        Rule(
            id=f"connection.{funder.id}",
            layer="agreement",
            owner="operations",
            reason="FUNDER_NOT_CONNECTED",
            applies=Selector(funders=(funder.id,)),
            require=Clause(f"funder.{funder.id}.connected", "is", True),
            unknown="allow",
            change="shop",
        )
        for funder in snapshot.funders
        if not funder.own_book
    ]


def _limit(
    rule_id: str,
    reason: str,
    applies: Selector,
    change: Change,
    *,
    require: Condition | None = None,
    blocked: Window | None = None,
    valid: Window | None = None,
    when: Condition | None = None,
    unknown: Literal["block", "allow"] = "block",
    notice: str | None = None,
    until_fact: str | None = None,
) -> Rule:
    return Rule(
        id=rule_id,
        layer="agreement",
        owner="agreement",
        reason=reason,
        applies=applies,
        when=when,
        require=require,
        blocked=blocked,
        valid=valid,
        unknown=unknown,
        change=change,
        notice=notice,
        until_fact=until_fact,
    )


def _check_references(snapshot: Snapshot, rules: Sequence[Rule], vocabulary: Mapping[str, FactType]) -> None:
    by_id = {funder.id: funder for funder in snapshot.funders}
    funders = set(by_id)
    families = {family.id for family in snapshot.families}
    calendars = {calendar.id for calendar in snapshot.calendars}
    for plan in snapshot.plans:
        if plan.funder not in funders or plan.family not in families:
            raise SnapshotError(
                f"plans.{plan.id}", f"{plan.funder}/{plan.family}", "a funder and a family of the snapshot"
            )
        if plan.calendar is not None and plan.calendar not in calendars:
            raise SnapshotError(f"plans.{plan.id}.calendar", plan.calendar, "a calendar of the snapshot")
        if isinstance(plan.pricing, (Lease, Pledge)):
            for wrong in check_own_book(plan) if by_id[plan.funder].own_book else ():
                raise SnapshotError(f"plans.{plan.id}.{wrong.place}", wrong.value, wrong.expected)
        if isinstance(plan.pricing, Lease):
            for trap in traps_of(plan.pricing):
                raise SnapshotError(f"plans.{plan.id}.pricing.{trap.place}", trap.value, trap.expected)
    for rule in snapshot.waivers:
        if is_priced(rule):
            raise SnapshotError(
                f"waivers.{rule.id}", "a fact of offer", "facts that are known before the lease is priced"
            )
    for kind, ids in (
        ("plans", [plan.id for plan in snapshot.plans]),
        ("rules", [rule.id for rule in rules]),
    ):
        twice = {name for name in ids if ids.count(name) > 1} if len(set(ids)) < len(ids) else set()
        if twice:
            raise SnapshotError(kind, ", ".join(sorted(twice)), "ids that occur once")
    for rule in rules:
        for name in facts_of_rule(rule):
            if name not in vocabulary:
                raise SnapshotError(f"rules.{rule.id}", name, "a fact of the vocabulary")


def facts_of_rule(rule: Rule) -> frozenset[str]:
    """The names of all facts that the rule asks about."""
    names: set[str] = set()
    trees = (rule.when, rule.require, rule.pending.when if rule.pending else None)
    for tree in trees:
        if tree is not None:
            names |= facts_of(tree)
    if rule.pending is not None:
        names.add(rule.pending.deadline)
    names.update(name for name in (rule.since_fact, rule.until_fact) if name is not None)
    return frozenset(names)


def is_priced(rule: Rule) -> bool:
    """Whether the rule looks at a price, and so belongs to the second pass."""
    return any(name.startswith("offer.") for name in facts_of_rule(rule))


def _is_personal(rule: Rule, vocabulary: Mapping[str, FactType]) -> bool:
    return rule.layer in ("risk", "customer") or any(
        vocabulary[name].personal for name in facts_of_rule(rule)
    )


# --- generating ------------------------------------------------------------------------------------------------

_ORDER: Final[dict[Op, str]] = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "is": "==", "is not": "!="}
_COUNTER: Final[dict[Op, str]] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "is": "!=", "is not": "=="}


class _Writer:
    """Builds one function. Facts become locals, constants globals; the text holds nothing else."""

    def __init__(self, vocabulary: Mapping[str, FactType]) -> None:
        self.vocabulary = vocabulary
        self.locals: dict[str, str] = {}
        self.constants: dict[str, object] = {}
        self.names: dict[tuple[type, object], str] = {}
        self.lines: list[str] = []

    def fact(self, name: str) -> str:
        return self.locals.setdefault(name, f"f{len(self.locals)}")

    def constant(self, value: object) -> str:
        if type(value) is int:
            return int.__repr__(value)
        if isinstance(value, bool):
            return "True" if value else "False"
        # With its type: True is 1, and neither may stand for the other.
        name = self.names.setdefault((type(value), value), f"k{len(self.names)}")
        self.constants[name] = value
        return name

    def outcome(self, condition: Condition, wanted: bool) -> str:
        """An expression that is true exactly where the condition is known to be `wanted`."""
        if isinstance(condition, Not):
            return self.outcome(condition.part, not wanted)
        if isinstance(condition, Clause):
            return self._clause(condition, wanted)
        if not condition.parts:
            return "True" if isinstance(condition, All) is wanted else "False"
        joint = " and " if isinstance(condition, All) is wanted else " or "
        return "(" + joint.join(self.outcome(part, wanted) for part in condition.parts) + ")"

    def _clause(self, clause: Clause, wanted: bool) -> str:
        fact = self.fact(clause.fact)
        known = [] if clause.fact in _ALWAYS_KNOWN else [f"{fact} is not None"]
        if clause.other is not None:
            other = self.fact(clause.other)
            if clause.other not in _ALWAYS_KNOWN:
                known.append(f"{other} is not None")
            bound = other
        else:
            bound = "" if isinstance(clause.value, Range) else self.constant(clause.value)
        return "(" + " and ".join((*known, self._test(clause, fact, bound, wanted))) + ")"

    def _test(self, clause: Clause, fact: str, bound: str, wanted: bool) -> str:
        op = clause.op
        if op in _ORDER:
            return f"{fact} {(_ORDER if wanted else _COUNTER)[op]} {bound}"
        if op in ("in", "not in"):
            inside = (op == "in") is wanted
            if isinstance(clause.value, Range):
                return self._range(fact, clause.value, clause.open_end, inside)
            return f"{fact} {'in' if inside else 'not in'} {bound}"
        if op in ("has all of", "lacks some of"):
            wanted = wanted is (op == "has all of")
            return f"{bound} <= {fact}" if wanted else f"not {bound} <= {fact}"
        disjoint = (op == "has none of") is wanted
        return f"{bound}.isdisjoint({fact})" if disjoint else f"not {bound}.isdisjoint({fact})"

    def _range(self, fact: str, bound: Range, open_end: bool, inside: bool) -> str:
        low, high = self.constant(bound.low), self.constant(bound.high)
        end = "<" if open_end else "<="
        past_midnight = open_end and bound.high < bound.low
        if past_midnight:
            return f"({fact} >= {low} or {fact} < {high})" if inside else f"{high} <= {fact} < {low}"
        return f"{low} <= {fact} {end} {high}" if inside else f"not {low} <= {fact} {end} {high}"

    def windows(self, rule: Rule) -> list[str]:
        """Conditions on the clock under which the rule is in force at all."""
        tests: list[str] = []
        for window in (rule.valid, rule.blocked):
            if window is None:
                continue
            now = self.fact("clock.now")
            start, end = window.start, window.end
            if start is not None and end is not None:
                tests.append(f"{self.constant(start)} <= {now} < {self.constant(end)}")
            elif start is not None:
                tests.append(f"{now} >= {self.constant(start)}")
            elif end is not None:
                tests.append(f"{now} < {self.constant(end)}")
        # From 00:00 to 24:00 is every minute, and both ends are written 0.
        if rule.daily is not None and rule.daily.start != rule.daily.end:
            span = Range(rule.daily.start, rule.daily.end)
            tests.append(self._range(self.fact("clock.time"), span, True, True))
        return tests

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def rule(self, index: int, rule: Rule) -> None:
        bit = int.__repr__(1 << index)
        depth = 1
        windows = self.windows(rule)
        if rule.pending is None and not windows and rule.when is None and isinstance(rule.require, Clause):
            self._single(bit, rule, rule.require)
            return
        if windows:
            self.line(depth, f"if {' and '.join(windows)}:")
            depth += 1
        if rule.pending is not None:
            if rule.when is not None:
                self.line(depth, f"if not {self.outcome(rule.when, False)}:")
                depth += 1
            deadline, now = self.fact(rule.pending.deadline), self.fact("clock.now")
            self.line(depth, f"if {self.outcome(rule.pending.when, True)}:")
            self.line(depth + 1, f"if {deadline} is not None and {now} < {deadline}: p |= {bit}")
            self.line(depth + 1, f"else: {self._unknown(bit, rule)}")
            self.line(depth, "else:")
            depth += 1
        self._violation(depth, bit, rule)

    def _unknown(self, bit: str, rule: Rule) -> str:
        return "pass" if rule.unknown == "allow" else f"u |= {bit}"

    def _single(self, bit: str, rule: Rule, require: Clause) -> None:
        """The commonest rule, one clause required: one look at the fact, one comparison."""
        names = [n for n in (require.fact, require.other) if n is not None and n not in _ALWAYS_KNOWN]
        bound = ""
        if require.other is not None:
            bound = self.fact(require.other)
        elif not isinstance(require.value, Range):
            bound = self.constant(require.value)
        test = self._test(require, self.fact(require.fact), bound, False)
        if not names:
            self.line(1, f"if {test}: v |= {bit}")
        elif rule.unknown == "allow":
            known = " and ".join(f"{self.fact(name)} is not None" for name in names)
            self.line(1, f"if {known} and {test}: v |= {bit}")
        else:
            missing = " or ".join(f"{self.fact(name)} is None" for name in names)
            self.line(1, f"if {missing}: u |= {bit}")
            self.line(1, f"elif {test}: v |= {bit}")

    def _violation(self, depth: int, bit: str, rule: Rule) -> None:
        holds = [self.outcome(rule.when, True)] if rule.when is not None else []
        fails = [self.outcome(rule.when, False)] if rule.when is not None else []
        if rule.require is not None:
            holds.append(self.outcome(rule.require, False))
            fails.append(self.outcome(rule.require, True))
        if not holds:
            self.line(depth, f"v |= {bit}")
        elif rule.unknown == "allow":
            self.line(depth, f"if {' and '.join(holds)}: v |= {bit}")
        else:
            self.line(depth, f"if not ({' or '.join(fails)}):")
            self.line(depth + 1, f"if {' and '.join(holds)}: v |= {bit}")
            self.line(depth + 1, f"else: u |= {bit}")


_ALWAYS_KNOWN: Final = frozenset({"clock.now", "clock.time", "clock.weekday"})


def _generate(
    rules: Iterable[tuple[int, Rule]], vocabulary: Mapping[str, FactType], *, priced: bool
) -> tuple[Callable[..., Bits], str]:
    writer = _Writer(vocabulary)
    for index, rule in rules:
        writer.rule(index, rule)
    head = ["def answer(facts, offer):" if priced else "def answer(facts):"]
    if writer.locals:
        head.append("    get = facts.get")
    if priced:
        head.append("    of_offer = offer.get")
    for name, local in writer.locals.items():
        getter = "of_offer" if priced and name.startswith("offer.") else "get"
        head.append(f"    {local} = {getter}({writer.constant(name)})")
    head.append("    v = u = p = 0")
    source = "\n".join((*head, *writer.lines, "    return v | u, u, p", ""))
    space: dict[str, object] = {"__builtins__": {}, **writer.constants}
    exec(compile(source, "<fenqi policy>", "exec"), space)
    answer = space["answer"]
    assert callable(answer), "the source defines it"
    return answer, source
