from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from fenqi.policy import cases
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import All, Any, Clause, Condition, Not, Range, evaluate_plain
from fenqi.policy.facts import FactType, FactValue, clock_facts
from fenqi.policy.proof import Proof, differences, prove
from fenqi.policy.snapshot import (
    DailyWindow,
    Family,
    Funder,
    Pending,
    Rule,
    Selector,
    ShopTerms,
    Snapshot,
    Window,
    selects,
)
from fenqi.terms.plan import Plan, ZeroInterest

from .policies import HOUR, MINUTE, NOON, ZONE, words

# A policy so small that every case of it can be tried. Whole numbers are compared with 0 to 3 and with each other:
# two beyond each end stand for all others.
FACTS = (
    FactType(name="t.flag", type="bool", source="ours", label=words("flag")),
    FactType(name="t.kind", type="enum", source="ours", label=words("kind"), values=("a", "b", "c")),
    FactType(name="t.one", type="int", source="ours", label=words("one")),
    FactType(name="t.two", type="int", source="ours", label=words("two")),
    FactType(name="t.names", type="set", source="ours", label=words("names"), values=("x", "y")),
    FactType(name="t.by", type="instant", source="ours", label=words("by")),
)
FUNDER = Funder(id="own", name=words("Own"), kind="shop", own_book=True)
FAMILIES = tuple(
    Family(id=name, funder="own", name=words(name), legal_form="instalment_sale") for name in ("f", "g")
)
PLANS = (
    Plan("f_3", "f", "own", "instalment_sale", 3, ZeroInterest("shop")),
    Plan("f_6", "f", "own", "instalment_sale", 6, ZeroInterest("shop")),
    Plan("g_3", "g", "own", "instalment_sale", 3, ZeroInterest("shop")),
)
SELECTORS = (
    Selector(all=True),
    Selector(families=("f",)),
    Selector(plans=("f_3",)),
    Selector(plans=("f_6", "g_3")),
)


def small(*rules: Rule, zone: str = ZONE, plans: tuple[Plan, ...] = PLANS) -> Policy:
    return compile_policy(
        Snapshot(
            shop=ShopTerms("s", words("S"), zone, "CNY"),
            funders=(FUNDER,),
            families=FAMILIES,
            plans=plans,
            rules=rules,
            facts=FACTS,
        )
    )


def made(rule_id: str, **fields: object) -> Rule:
    fields = {"applies": Selector(all=True), "layer": "strategy", "reason": "STRATEGY_PAUSE", **fields}
    return Rule(id=rule_id, owner="test", **fields)  # type: ignore[arg-type]


def ids(proof: Proof, kind: str) -> set[tuple[str, ...]]:
    return {finding.rules or finding.plans for finding in proof.findings if finding.kind == kind}


# --- every case, tried ------------------------------------------------------------------------------------------


def a_clause(chance: Random) -> Condition:
    name = chance.choice(("t.flag", "t.kind", "t.one", "t.two", "t.names"))
    if name == "t.flag":
        return Clause(name, chance.choice(("is", "is not")), chance.random() < 0.5)
    if name == "t.kind":
        if chance.random() < 0.5:
            return Clause(name, chance.choice(("is", "is not")), chance.choice("abc"))
        return Clause(name, chance.choice(("in", "not in")), frozenset(chance.sample("abc", 2)))
    if name == "t.names":
        op = chance.choice(("has any of", "has all of", "has none of"))
        return Clause(name, op, frozenset(chance.sample("xy", chance.randint(1, 2))))
    op = chance.choice(("is", "is not", "<", "<=", ">", ">="))
    shape = chance.random()
    if shape < 0.2:
        return Clause(name, op, None, "t.two" if name == "t.one" else "t.one")
    if shape < 0.4:
        low = chance.randint(0, 3)
        return Clause(name, chance.choice(("in", "not in")), Range(low, chance.randint(low, 3)))
    return Clause(name, op, chance.randint(0, 3))


def a_condition(chance: Random, depth: int = 0) -> Condition:
    shape = chance.random()
    if depth > 1 or shape < 0.5:
        return a_clause(chance)
    if shape < 0.6:
        return Not(a_condition(chance, depth + 1))
    parts = tuple(a_condition(chance, depth + 1) for _ in range(chance.randint(1, 3)))
    return All(parts) if shape < 0.8 else Any(parts)


def a_rule(chance: Random, number: int) -> Rule:
    return made(
        f"r{number}",
        applies=chance.choice(SELECTORS),
        when=a_condition(chance) if chance.random() < 0.5 else None,
        require=a_condition(chance) if chance.random() < 0.9 else None,
        unknown=chance.choice(("block", "allow", "ask")),
    )


def all_cases() -> Iterator[dict[str, FactValue]]:
    sets: list[FactValue] = [frozenset(chosen) for chosen in ("", "x", "y", "xy")]
    numbers: list[FactValue] = list(range(-2, 6))
    choices: dict[str, list[FactValue]] = {
        "t.flag": [True, False],
        "t.kind": ["a", "b", "c"],
        "t.one": numbers,
        "t.two": numbers,
        "t.names": sets,
    }
    clock = clock_facts(NOON, ZONE)
    for values in product(*([None, *some] for some in choices.values())):
        known = {name: value for name, value in zip(choices, values, strict=True) if value is not None}
        yield {**clock, **known}


ALL_CASES = list(all_cases())


class Tried:
    """What is so of a policy, by trying every case with the row engine."""

    def __init__(self, policy: Policy, cases: list[dict[str, FactValue]]) -> None:
        self.policy, self.cases = policy, cases
        self.about = {
            rule.id: frozenset(plan.id for plan in policy.plans if selects(rule.applies, plan))
            for rule in policy.rules
        }
        # Most cases answer alike: what differs is kept once.
        self.answers = {policy.first(case) for case in cases}
        self.bits = {rule.id: 1 << policy.rule_index[rule.id] for rule in policy.rules}

    def blocked(self, rule: str) -> bool:
        return any((v | p) & self.bits[rule] for v, _, p in self.answers)

    def violated(self, rule: str) -> bool:
        return any(v & ~u & self.bits[rule] for v, u, _ in self.answers)

    def passed(self, rule: str) -> bool:
        return any(not (v | p) & self.bits[rule] for v, _, p in self.answers)

    def offered(self, plan: str) -> bool:
        mask = sum(bit for rule, bit in self.bits.items() if plan in self.about[rule])
        return any(not (v | p) & mask for v, _, p in self.answers)

    def shadows(self, narrow: str, wide: str) -> bool:
        one, other = self.bits[narrow], self.bits[wide]
        return self.about[narrow] <= self.about[wide] and all(
            (v | p) & other for v, _, p in self.answers if (v | p) & one
        )

    def contradict(self, one: Rule, other: Rule) -> bool:
        if not self.about[one.id] & self.about[other.id] or one.require is None or other.require is None:
            return False
        alone = [False, False]
        for case in self.cases:
            if any(
                rule.when is not None and evaluate_plain(rule.when, case) is not True for rule in (one, other)
            ):
                continue
            met = [evaluate_plain(rule.require, case) is True for rule in (one, other)]
            if all(met):
                return False
            v, _, p = self.policy.first(case)
            alone[0] |= met[0] and bool((v | p) & self.bits[other.id])
            alone[1] |= met[1] and bool((v | p) & self.bits[one.id])
        return all(alone)


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_solver_says_what_trying_every_case_says(seed: int) -> None:
    chance = Random(seed)
    rules = [a_rule(chance, number) for number in range(chance.randint(2, 5))]
    policy = small(*rules)
    tried, proof = Tried(policy, ALL_CASES), prove(policy)
    assert not proof.open
    names = [rule.id for rule in rules]
    conditional = [rule.id for rule in rules if rule.when is not None or rule.require is not None]
    never = {name for name in names if not tried.blocked(name)}
    assert ids(proof, "never_violated") == {(name,) for name in never}
    assert ids(proof, "only_unknown") == {
        (name,) for name in names if tried.blocked(name) and not tried.violated(name)
    }
    assert ids(proof, "always_violated") == {(name,) for name in conditional if not tried.passed(name)}
    assert {finding.plans[0] for finding in proof.findings if finding.kind == "dead_plan"} == {
        plan.id for plan in PLANS if not tried.offered(plan.id)
    }
    shadowed = {
        one
        for one in conditional
        if one not in never and any(tried.shadows(one, other) for other in conditional if other != one)
    }
    found = [finding for finding in proof.findings if finding.kind == "shadowed"]
    assert all(tried.shadows(*finding.rules) for finding in found)
    # Of two that block together one is named.
    said = {finding.rules[0] for finding in found}
    said |= {finding.rules[1] for finding in found if tried.shadows(finding.rules[1], finding.rules[0])}
    assert said == shadowed
    assert {frozenset(pair) for pair in ids(proof, "contradiction")} == {
        frozenset((one.id, other.id))
        for number, one in enumerate(rules)
        for other in rules[number + 1 :]
        if tried.contradict(one, other)
    }


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_what_a_plan_loses_and_gains_is_what_trying_every_case_says(seed: int) -> None:
    chance = Random(seed)
    rules = [a_rule(chance, number) for number in range(3)]
    before = small(*rules)
    after = small(*rules[: chance.randint(0, 2)], *(a_rule(chance, number) for number in range(3, 5)))
    said = {found.plan: (found.loses, found.gains) for found in differences(before, after)}
    expected = {}
    for plan in PLANS:
        was, now = ([_is_offered(policy, case, plan.id) for case in ALL_CASES] for policy in (before, after))
        moved = set(zip(was, now, strict=True))
        expected[plan.id] = tuple("yes" if pair in moved else "no" for pair in ((True, False), (False, True)))
    assert said == expected


def _is_offered(policy: Policy, case: dict[str, FactValue], plan: str) -> bool:
    violated, _, pending = policy.first(case)
    return not (violated | pending) & policy.masks[policy.plan_index[plan]]


# --- the clock --------------------------------------------------------------------------------------------------

QUARTER = 15 * MINUTE
# Monday noon in Shanghai; the night in which Berlin's clocks go back (2026-10-25 01:00 UTC); the one in which New York's
# go forward (2026-03-08 07:00 UTC).
TURNS = (("Asia/Shanghai", NOON), ("Europe/Berlin", 1_792_890_000), ("America/New_York", 1_772_953_200))


def a_timed_rule(chance: Random, number: int, middle: int) -> Rule:
    def instant() -> int:
        return middle + chance.randint(-20, 20) * HOUR

    def clause() -> Condition:
        name = chance.choice(("clock.now", "clock.time", "clock.weekday", "t.by", "t.flag"))
        op = chance.choice(("<", "<=", ">", ">=", "is", "is not"))
        if name == "clock.now":
            return Clause(name, op, None, "t.by") if chance.random() < 0.5 else Clause(name, op, instant())
        if name == "clock.time":
            if chance.random() < 0.5:
                low, high = chance.sample(range(0, 1440, 15), 2)
                return Clause(name, chance.choice(("in", "not in")), Range(low, high), open_end=True)
            return Clause(name, op, chance.randrange(0, 1440, 15))
        if name == "clock.weekday":
            return Clause(name, op, chance.randint(1, 7))
        if name == "t.by":
            return Clause(name, op, instant())
        return Clause(name, "is", True)

    def condition() -> Condition:
        parts = tuple(clause() for _ in range(chance.randint(1, 3)))
        return chance.choice((All, Any))(parts)

    def window() -> Window | None:
        if chance.random() < 0.6:
            return None
        start = instant()
        return Window(
            chance.choice((None, start)), chance.choice((None, start + chance.randint(1, 20) * HOUR))
        )

    start = chance.randrange(0, 1440, 15)
    daily = DailyWindow(start, chance.choice((start, chance.randrange(0, 1440, 15))))
    return made(
        f"r{number}",
        applies=chance.choice(SELECTORS),
        when=condition() if chance.random() < 0.4 else None,
        require=condition() if chance.random() < 0.7 else None,
        valid=window(),
        blocked=window(),
        daily=daily if chance.random() < 0.4 else None,
        pending=Pending(condition(), "t.by") if chance.random() < 0.2 else None,
        unknown=chance.choice(("block", "allow")),
    )


@given(st.sampled_from(TURNS), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_the_solver_keeps_the_shops_clock(turn: tuple[str, int], seed: int) -> None:
    (zone, middle), chance = turn, Random(seed)
    rules = [a_timed_rule(chance, number, middle) for number in range(4)]
    policy = small(*rules, zone=zone)
    start, end = middle - 24 * HOUR, middle + 24 * HOUR
    told = [
        None,
        *sorted({edge + step for rule in rules for edge in _edges(rule, middle) for step in (-1, 0, 1)}),
    ]
    # The clock is compared with whole hours, with minutes of a quarter, and with an instant that is told.
    instants = sorted(
        at
        for at in {
            edge + step
            for edge in (*range(start, end + 1, QUARTER), *(each for each in told if each is not None))
            for step in (-1, 0, 1, MINUTE)
        }
        if start <= at < end
    )
    cases = [
        {**clock_facts(at, zone), **({} if by is None else {"t.by": by}), **flag}
        for at in instants
        for by in (*told, at - 1, at, at + 1)
        for flag in ({}, {"t.flag": True}, {"t.flag": False})
    ]
    proof, tried = prove(policy, start=start, end=end), Tried(policy, cases)
    assert not proof.open
    expected = {rule.id for rule in rules if not tried.blocked(rule.id)}
    # A rule whose time is over, or has not begun, has done or will do its work.
    said = {rule for (rule,) in ids(proof, "never_violated")}
    assert said <= expected
    assert all(_is_outside(rule, start, end) for rule in rules if rule.id in expected - said)
    dead = {f.plans[0] for f in proof.findings if f.kind in ("dead_plan", "ended_plan")}
    assert dead == {plan.id for plan in PLANS if not tried.offered(plan.id)}


def _edges(rule: Rule, middle: int) -> list[int]:
    # Before and after everything, and beside each instant that it is compared with.
    found = {middle - 21 * HOUR, middle + 21 * HOUR}
    for tree in cases.trees_of(rule):
        for clause in cases.clauses_of(tree):
            if clause.fact == "t.by" and isinstance(clause.value, int):
                found.add(clause.value)
    return sorted(found)


def _is_outside(rule: Rule, start: int, end: int) -> bool:
    windows = [window for window in (rule.valid, rule.blocked) if window is not None]
    return any(window.end is not None and window.end <= start for window in windows) or any(
        window.start is not None and window.start >= end for window in windows
    )


def test_a_daily_window_of_a_whole_day_blocks_all_day() -> None:
    policy = small(made("all-day", daily=DailyWindow(0, 0)))
    (finding, *_) = prove(policy).findings
    assert (finding.kind, finding.rules) == ("dead_plan", ("all-day",))


# --- amounts ----------------------------------------------------------------------------------------------------

MOST = 20


def a_money_rule(chance: Random, number: int) -> Rule:
    money = ("cart.amount", "limit.mall", "limit.mall_available")

    def clause() -> Condition:
        name = chance.choice(("cart.amount", *money))
        if chance.random() < 0.3:
            return Clause(name, chance.choice(("<", "<=", ">", ">=")), None, chance.choice(money))
        if chance.random() < 0.3:
            low = chance.randint(4, 9)
            return Clause(name, chance.choice(("in", "not in")), Range(low, low + chance.randint(0, 4)))
        return Clause(name, chance.choice(("<", "<=", ">", ">=", "is not")), chance.randint(4, 12))

    parts = tuple(clause() for _ in range(chance.randint(1, 2)))
    return made(
        f"r{number}",
        applies=chance.choice(SELECTORS[1:]),
        require=chance.choice((All, Any))(parts),
        unknown=chance.choice(("block", "allow")),
    )


MONEY_CASES = [
    {
        **clock_facts(NOON, ZONE),
        "cart.amount": amount,
        **({} if limit is None else {"limit.mall": limit}),
        **({} if left is None else {"limit.mall_available": left}),
    }
    for amount in range(1, MOST + 1)
    for limit in (None, *range(MOST + 3))
    for left in (None, *range(MOST + 3))
]


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_gaps_are_what_trying_every_amount_says(seed: int) -> None:
    chance = Random(seed)
    policy = small(*(a_money_rule(chance, number) for number in range(chance.randint(2, 5))))
    proof = prove(policy)
    assert not proof.open
    for family in FAMILIES:
        plans = [plan.id for plan in PLANS if plan.family == family.id]
        offered = {
            case["cart.amount"]
            for case in MONEY_CASES
            if any(_is_offered(policy, case, plan) for plan in plans)
        }
        amounts = sorted(offered)  # type: ignore[type-var]  # they are numbers
        gaps = {
            (low + 1, high - 1)  # type: ignore[operator]
            for low, high in pairwise(amounts)
            if high > low + 1  # type: ignore[operator]
        }
        found = {
            (finding.low_minor, finding.high_minor)
            for finding in proof.findings
            if finding.kind == "gap" and finding.family == family.id
        }
        assert found == gaps
