"""On random policies: a rule that is lifted, left out or told to end counts as if it were not there, and nothing else moves."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.policy.policies import (
    MINUTE,
    NOON,
    PLANS,
    ZONE,
    mall_policy,
    policy_of,
    random_facts,
    rules,
)

from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.compile import Policy
from fenqi.policy.facts import Facts, FactValue, clock_facts
from fenqi.policy.snapshot import DailyWindow, Rule, Selector, Window
from fenqi.policy.verdict import Override, Until, Verdict, decide

FAR = NOON + 400 * 365 * 86_400
RULES = st.tuples(*[rules(f"r{number}") for number in range(4)])


def asked(seed: int) -> tuple[dict[str, FactValue], dict[str, Facts]]:
    chance = Random(seed)
    facts = {**random_facts(chance), "clock.now": NOON + chance.randint(-50, 50) * 1800}
    offers: dict[str, Facts] = {
        plan.id: random_facts(chance, offer=True) for plan in PLANS if chance.random() < 0.8
    }
    return facts, offers


def without(*names: str, of: tuple[Rule, ...]) -> Policy:
    return policy_of(*[one for one in of if one.id not in names])


def plainly(verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    return {name: msgspec.structs.replace(verdict, overrides=()) for name, verdict in verdicts.items()}


@settings(max_examples=50, deadline=None)
@given(made=RULES, seeds=st.lists(st.integers(0, 2**32), min_size=4, max_size=4))
def test_what_is_left_out_is_as_if_it_had_never_been_written(
    made: tuple[Rule, ...], seeds: list[int]
) -> None:
    policy = policy_of(*made)
    for seed in seeds:
        facts, offers = asked(seed)
        out = {one.id for number, one in enumerate(made) if seed >> number & 1}
        left = decide(without(*out, of=made), facts, offers)
        assert decide(policy, facts, offers, ignoring=frozenset(out)) == left


@settings(max_examples=50, deadline=None)
@given(made=RULES, seeds=st.lists(st.integers(0, 2**32), min_size=4, max_size=4))
def test_a_special_case_is_as_if_the_rule_were_not_there_for_its_plan_while_it_lasts(
    made: tuple[Rule, ...], seeds: list[int]
) -> None:
    policy = policy_of(*made)
    for seed in seeds:
        facts, offers = asked(seed)
        chance = Random(seed)
        lifted, plan = chance.choice(made), chance.choice(PLANS).id
        granted = (Override(id="so", rule=lifted.id, until=FAR, plan=plan),)
        before = decide(policy, facts, offers)
        found = decide(policy, facts, offers, overrides=granted)
        for name, verdict in found.items():
            if name != plan or lifted.layer == "law":
                assert verdict == before[name]
        if lifted.layer == "law":
            continue
        assert plainly(found)[plan] == decide(without(lifted.id, of=made), facts, offers)[plan]
        # It is named just where the rule was in the way.
        was_in_the_way = lifted.id in [reason.rule for reason in before[plan].reasons]
        if plan in offers:
            assert found[plan].overrides == (("so",) if was_in_the_way else ())
        over = (msgspec.structs.replace(granted[0], until=int(str(facts["clock.now"]))),)
        assert decide(policy, facts, offers, overrides=over) == before


@settings(max_examples=60, deadline=None)
@given(made=RULES, seed=st.integers(0, 2**32), lasts=st.integers(1, 200))
def test_the_answer_is_good_until_the_special_case_expires(
    made: tuple[Rule, ...], seed: int, lasts: int
) -> None:
    facts, _ = asked(seed)
    now = NOON
    line = Line("p", "Thing", "phones", "goods", 1, 60_000, "mall")
    gathered = {
        name: value for name, value in facts.items() if not name.startswith(("cart.", "channel.", "clock."))
    }
    granted = (Override(id="so", rule=made[0].id, until=now + lasts * MINUTE),)
    request = CheckoutRequest((line,), "CNY", "web", now, gathered, overrides=granted)
    assert evaluate(policy_of(*made), request).valid_until <= now + lasts * MINUTE


# --- ends that a fact tells ---------------------------------------------------------------------------------------

TOLD = ("funder.mall.quota_renews", "funder.mall.health_deadline")


@st.composite
def told_rules(draw: st.DrawFn, rule_id: str) -> Rule:
    """Rules of the clock, some of which a fact tells the end of."""
    start = draw(st.integers(-90, 60))
    window = Window(
        NOON + start * MINUTE, draw(st.none() | st.just(NOON + (start + draw(st.integers(1, 150))) * MINUTE))
    )
    first = draw(st.integers(0, 1439))
    return Rule(
        id=rule_id,
        layer="strategy",
        owner="test",
        reason="STRATEGY_PAUSE",
        applies=Selector(all=True),
        blocked=draw(st.none() | st.just(window)),
        daily=draw(
            st.none() | st.just(DailyWindow(first, (first + draw(st.integers(1, 300))) % 1440 or 1440))
        ),
        change="time",
        until_fact=draw(st.none() | st.sampled_from(TOLD)),
    )


def _by_trying(
    policy: Policy, made: tuple[Rule, ...], facts: dict[str, FactValue], minutes: int
) -> int | None:
    """Minute by minute: the rules whose told end has come are over, the others are asked of that minute's clock."""
    for at in range(NOON, NOON + minutes * MINUTE, MINUTE):
        over = set()
        for one in made:
            end = facts.get(one.until_fact or "")
            if isinstance(end, int) and NOON < end <= at:
                over.add(one.id)
        then = {**facts, **clock_facts(at, ZONE)}
        if decide(policy, then, ignoring=frozenset(over))["mall_3"].offered:
            return at
    return None


@settings(max_examples=150, deadline=None)
@given(
    made=st.tuples(told_rules("a"), told_rules("b"), told_rules("c")),
    told=st.tuples(st.none() | st.integers(-30, 240), st.none() | st.integers(-30, 240)),
)
def test_when_a_plan_opens_is_the_first_minute_at_which_nothing_is_left(
    made: tuple[Rule, ...], told: tuple[int | None, int | None]
) -> None:
    policy = mall_policy(*made)
    facts: dict[str, FactValue] = {"clock.now": NOON}
    for name, minute in zip(TOLD, told, strict=True):
        if minute is not None:
            facts[name] = NOON + minute * MINUTE
    verdict = decide(policy, facts)["mall_3"]
    if verdict.until.kind == "instant":
        assert verdict.until.at == _by_trying(
            policy, made, facts, 1 + (int(verdict.until.at or 0) - NOON) // MINUTE
        )
    elif verdict.offered:
        assert verdict.until == Until("none")
    else:
        # Nobody has said when: then some rule in the way, now or by the time the others end, has no end told.
        assert verdict.until.kind == "unknown"
        endless = [
            one
            for one in made
            if (one.until_fact is not None and not _in_future(facts.get(one.until_fact)))
            or (one.blocked is None and one.daily is None)
            or (one.blocked is not None and one.blocked.end is None)
        ]
        assert endless


def _in_future(told: object) -> bool:
    return isinstance(told, int) and told > NOON
