"""Whatever is edited: a plan whose answer, price or place moves is named by a change of availability, words alone are not.

The oracle is the checkout's own: both policies are asked the same, at now and later.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.policy.policies import (
    DAY,
    HOUR,
    NOON,
    PLANS,
    policy_of,
    random_facts,
    rule,
    rules,
    words,
)

from fenqi.policy.compile import Policy, compile_policy, place
from fenqi.policy.difference import change_text, compare
from fenqi.policy.snapshot import (
    Agreement,
    AudienceText,
    Budget,
    DailyWindow,
    Notice,
    Placement,
    Selector,
    Snapshot,
    Window,
    digest,
)
from fenqi.policy.verdict import decide
from fenqi.terms.plan import FlatFee

RULES = st.tuples(*[rules(f"r{number}") for number in range(4)])
Edit = Callable[[Snapshot, Random], Snapshot]


def edited(snapshot: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(snapshot, **fields)


def one_of(items: tuple[Any, ...], chance: Random, **fields: Any) -> tuple[Any, ...]:
    number = chance.randrange(len(items))
    return (*items[:number], edited(items[number], **fields), *items[number + 1 :])


def _window(chance: Random) -> Window:
    start = NOON + chance.randint(-3, 3) * HOUR
    return Window(start, chance.choice([None, start + chance.randint(1, 30) * HOUR]))


def _agreement(snapshot: Snapshot, chance: Random) -> Snapshot:
    version = Agreement(
        version="next",
        valid_from=NOON + chance.randint(-2, 2) * HOUR,
        valid_to=chance.choice([None, NOON + 2 * DAY]),
        max_amount_minor=chance.choice([None, 4]),
        paused=chance.random() < 0.3,
        daily_quota_minor=chance.choice([None, 5]),
    )
    mall = edited(snapshot.funders[0], agreements=(Agreement(version="first"), version))
    return edited(snapshot, funders=(mall, *snapshot.funders[1:]))


BEHAVIOUR: dict[str, Edit] = {
    "a rule more": lambda s, c: edited(
        s, rules=(*s.rules, rule("new", applies=Selector(all=True), blocked=_window(c)))
    ),
    "a rule less": lambda s, c: edited(s, rules=s.rules[1:]),
    "a window": lambda s, c: edited(s, rules=one_of(s.rules, c, blocked=_window(c))),
    "a validity": lambda s, c: edited(s, rules=one_of(s.rules, c, valid=_window(c))),
    "an hour": lambda s, c: edited(
        s, rules=one_of(s.rules, c, daily=DailyWindow(c.randint(0, 700), c.randint(701, 1440)))
    ),
    "a case": lambda s, c: edited(s, rules=one_of(s.rules, c, when=None)),
    "a demand": lambda s, c: edited(s, rules=one_of(s.rules, c, require=None)),
    "the unknown": lambda s, c: edited(s, rules=one_of(s.rules, c, unknown=c.choice(["block", "allow"]))),
    "the plans": lambda s, c: edited(
        s, rules=one_of(s.rules, c, applies=Selector(plans=("card", "mall_12")))
    ),
    "a layer": lambda s, c: edited(s, rules=one_of(s.rules, c, layer=c.choice(["law", "cart"]))),
    "a reason": lambda s, c: edited(s, rules=one_of(s.rules, c, reason="MAINTENANCE")),
    "who can change it": lambda s, c: edited(
        s, rules=one_of(s.rules, c, change=c.choice(["nobody", "time"]))
    ),
    "a told end": lambda s, c: edited(s, rules=one_of(s.rules, c, until_fact="funder.mall.quota_renews")),
    "an answer on its way": lambda s, c: edited(s, rules=one_of(s.rules, c, pending=None)),
    "an agreement": _agreement,
    "a place": lambda s, c: edited(
        s,
        placements=(
            Placement(
                id="p",
                applies=Selector(families=("mall",)),
                rank=c.choice([None, 900]),
                collapsed=True,
                since=NOON + c.randint(-2, 2) * HOUR,
            ),
        ),
    ),
    "the order of families": lambda s, c: edited(s, families=s.families[::-1]),
    "a price": lambda s, c: edited(
        s, plans=one_of(s.plans[:1], c, pricing=FlatFee(Decimal("0.01"))) + s.plans[1:]
    ),
    "a plan less": lambda s, c: edited(s, plans=s.plans[1:]),
    "who decides": lambda s, c: edited(
        s, funders=(edited(s.funders[0], decides="on_its_page"), *s.funders[1:])
    ),
    "the zone": lambda s, c: edited(s, shop=edited(s.shop, time_zone="Europe/Berlin")),
    "a budget": lambda s, c: edited(
        s,
        budgets=(
            Budget(
                id="b", name=words("B"), total_minor=c.choice([5, 9]), applies=Selector(plans=("mall_3",))
            ),
        ),
    ),
}
WORDS: dict[str, Edit] = {
    "an owner": lambda s, c: edited(s, rules=one_of(s.rules, c, owner="another")),
    "a source": lambda s, c: edited(s, rules=one_of(s.rules, c, source="a letter")),
    "a title": lambda s, c: edited(s, rules=one_of(s.rules, c, title=AudienceText(words("Another")))),
    "a detail": lambda s, c: edited(s, rules=one_of(s.rules, c, detail=AudienceText(words("Another")))),
    "a fix": lambda s, c: edited(s, rules=one_of(s.rules, c, fix=AudienceText(words("Another")))),
    "a funder's name": lambda s, c: edited(s, funders=one_of(s.funders, c, name=words("Another"))),
    "a family's name": lambda s, c: edited(s, families=one_of(s.families, c, name=words("Another"))),
    "the shop's name": lambda s, c: edited(s, shop=edited(s.shop, name=words("Another"))),
    "a notice": lambda s, c: edited(
        s,
        notices=(
            Notice(
                id="n",
                title=words("T"),
                reason=words("R"),
                affected=words("A"),
                unaffected=words("U"),
                since=NOON,
            ),
        ),
    ),
    "an agreement's note": lambda s, c: edited(
        s,
        funders=tuple(
            edited(one, agreement=edited(one.agreement, note=words("N"))) if one.agreement else one
            for one in s.funders
        ),
    ),
}


def answers(policy: Policy, facts: Any, offers: Any) -> dict[str, Any]:
    """What a customer would notice of each plan: the verdict, the price's terms, the place."""
    now = facts["clock.now"]
    placed = place(policy, now)
    found = {}
    for name, verdict in decide(policy, facts, offers).items():
        where = placed[name]
        found[name] = (
            verdict.state,
            verdict.until,
            verdict.deadline,
            sorted(
                (one.code, one.layer, one.until.kind, one.until.at or 0, one.unknown, one.pending)
                for one in verdict.reasons
            ),
            policy.plan(name).pricing,
            (where.group, where.rank, where.collapsed),
        )
    return found


@pytest.mark.parametrize("name", BEHAVIOUR)
@settings(max_examples=12, deadline=None)
@given(made=RULES, seed=st.integers(0, 2**32))
def test_every_plan_whose_answer_moves_is_named(name: str, made: Any, seed: int) -> None:
    assert_named(made, [name], seed)


@settings(max_examples=40, deadline=None)
@given(
    made=RULES,
    names=st.lists(st.sampled_from(sorted({**BEHAVIOUR, **WORDS})), min_size=2, max_size=4, unique=True),
    seed=st.integers(0, 2**32),
)
def test_every_plan_is_named_whatever_else_is_edited(made: Any, names: list[str], seed: int) -> None:
    assert_named(made, names, seed)


def assert_named(made: Any, names: list[str], seed: int) -> None:
    chance = Random(seed)
    before = policy_of(*made)
    snapshot = before.snapshot
    for name in names:
        snapshot = {**BEHAVIOUR, **WORDS}[name](snapshot, chance)
    after = compile_policy(snapshot)
    difference = compare(before, after, NOON)
    named = {plan for change in difference.availability for plan in change.plans}
    for _ in range(25):
        facts = {
            **random_facts(chance),
            "clock.now": NOON + chance.choice([0, 1, 30, HOUR, 90 * 60, DAY, 3 * DAY]),
        }
        if chance.random() < 0.7:
            facts["funder.mall.quota_left"] = chance.choice([0, 9])
            facts["funder.mall.quota_renews"] = int(facts["clock.now"]) + chance.randint(-1, 5) * HOUR
        offers = {plan.id: random_facts(chance, offer=True) for plan in PLANS}
        was, now = answers(before, facts, offers), answers(after, facts, offers)
        for plan in {*was, *now}:
            if was.get(plan) != now.get(plan):
                assert plan in named, (names, plan, was.get(plan), now.get(plan))
    for change in difference.changes:
        for locale in ("zh-CN", "en"):
            assert change_text(before, after, change, locale)


@pytest.mark.parametrize("name", WORDS)
@settings(max_examples=8, deadline=None)
@given(made=RULES, seed=st.integers(0, 2**32))
def test_words_alone_are_a_change_of_no_answer(name: str, made: Any, seed: int) -> None:
    before = policy_of(*made)
    after = compile_policy(WORDS[name](before.snapshot, Random(seed)))
    difference = compare(before, after, NOON)
    assert digest(before.snapshot) != digest(after.snapshot)
    assert difference.changes
    assert difference.availability == ()


@settings(max_examples=50, deadline=None)
@given(made=RULES, name=st.sampled_from(sorted({**BEHAVIOUR, **WORDS})), seed=st.integers(0, 2**32))
def test_there_is_no_difference_just_where_the_name_is_the_same(made: Any, name: str, seed: int) -> None:
    before = policy_of(*made)
    after = compile_policy({**BEHAVIOUR, **WORDS}[name](before.snapshot, Random(seed)))
    assert (compare(before, after, NOON).changes == ()) == (before.digest == after.digest), name
