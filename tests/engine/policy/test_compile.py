from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any as Anything

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenqi.policy.compile import Policy, agreement_rules, compile_policy, next_boundary
from fenqi.policy.conditions import Clause, evaluate_plain
from fenqi.policy.facts import FactValue, clock_facts
from fenqi.policy.snapshot import LAYERS, Agreement, DailyWindow, Rule, SnapshotError, Window, selects
from fenqi.policy.verdict import decide

from .policies import (
    DAY,
    HOUR,
    NOON,
    PLANS,
    ZONE,
    mall_policy,
    policy_of,
    random_facts,
    rule,
    rules,
    snapshot_of,
)


def plain_outcome(rule: Rule, facts: dict[str, FactValue]) -> str:
    """One rule's outcome by the plain evaluator alone: passes, violated, unknown or pending."""
    now, minute = facts["clock.now"], facts["clock.time"]
    assert isinstance(now, int)
    assert isinstance(minute, int)
    for window in (rule.valid, rule.blocked):
        if window is not None and not window.holds(now):
            return "passes"
    if rule.daily is not None and not rule.daily.holds(minute):
        return "passes"
    when = True if rule.when is None else evaluate_plain(rule.when, facts)
    if when is False:
        return "passes"
    if rule.pending is not None and evaluate_plain(rule.pending.when, facts) is True:
        deadline = facts.get(rule.pending.deadline)
        if isinstance(deadline, int) and now < deadline:
            return "pending"
        return "passes" if rule.unknown == "allow" else "unknown"
    require = False if rule.require is None else evaluate_plain(rule.require, facts)
    if require is True:
        return "passes"
    if when is None or require is None:
        return "passes" if rule.unknown == "allow" else "unknown"
    return "violated"


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    count = draw(st.integers(1, 6))
    return policy_of(*(draw(rules(f"r{number}")) for number in range(count)))


@settings(max_examples=250, deadline=None)
@given(policies(), st.integers(0, 2**32))
def test_the_compiled_and_the_plain_evaluator_agree(policy: Policy, seed: int) -> None:
    chance = Random(seed)
    for _ in range(10):
        offers = {plan.id: random_facts(chance, offer=True) for plan in PLANS if chance.random() < 0.7}
        facts = {**random_facts(chance), **clock_facts(NOON + chance.randint(-2 * DAY, 2 * DAY), ZONE)}
        _agree(policy, facts, offers)


def _agree(policy: Policy, facts: dict[str, FactValue], offers: dict[str, dict[str, FactValue]]) -> None:
    verdicts = decide(policy, facts, offers)
    for plan in policy.plans:
        about = [rule for rule in policy.rules if selects(rule.applies, plan)]
        unpriced = [rule for rule in about if not _is_priced(rule)]
        outcomes = {rule.id: plain_outcome(rule, facts) for rule in unpriced}
        blocked = any(outcome != "passes" for outcome in outcomes.values())
        if plan.id in offers or not blocked:
            priced = {**facts, **offers.get(plan.id, {})}
            outcomes |= {rule.id: plain_outcome(rule, priced) for rule in about if _is_priced(rule)}
        expected = {name: outcome for name, outcome in outcomes.items() if outcome != "passes"}
        found = {
            reason.rule: "pending" if reason.pending else "unknown" if reason.unknown else "violated"
            for reason in verdicts[plan.id].reasons
        }
        assert found == expected
        state = verdicts[plan.id].state
        if not expected:
            assert state == ("available" if plan.funder == "mall" else "funder_decides")
        else:
            assert state == ("pending" if set(expected.values()) == {"pending"} else "unavailable")


def _is_priced(rule: Rule) -> bool:
    return b'"offer.' in msgspec.json.encode([rule.when, rule.require])


def test_nothing_that_an_author_writes_becomes_code() -> None:
    nasty = "x'] or __import__('os').system('true') #"
    policy = policy_of(rule("a", require=Clause("region.ship_to", "is", nasty)))
    assert nasty not in "".join(policy.sources)
    assert "region" not in "".join(policy.sources)
    assert decide(policy, {"clock.now": NOON, "region.ship_to": nasty})["card"].state == "funder_decides"


def test_rules_of_one_layer_stand_together_in_the_order_of_layers() -> None:
    policy = policy_of(*(rule(f"r.{layer}", layer, blocked=Window(NOON, None)) for layer in reversed(LAYERS)))
    verdict = decide(policy, {"clock.now": NOON, "cart.amount": 100_000})["mall_3"]
    assert [reason.layer for reason in verdict.reasons] == list(LAYERS)


def test_an_agreement_becomes_rules_of_its_own() -> None:
    found = {r.id: r.reason for r in agreement_rules(snapshot_of())}
    assert found == {
        "agreement.ccb.start": "AGREEMENT_ADJUST",
        "agreement.ccb.end": "AGREEMENT_EXPIRED",
        "agreement.ccb.amount_min": "AMOUNT_LOW",
        "agreement.ccb.amount_max": "AMOUNT_HIGH",
        "agreement.ccb.terms": "TERM_UNAVAILABLE",
        "agreement.ccb.ceiling": "COST_OVER_CAP",
    }


def _codes(policy: Policy, plan: str, facts: dict[str, Anything], cost: int | None = None) -> list[str]:
    offers = None if cost is None else {plan: {"offer.annual_cost": cost}}
    return [reason.code for reason in decide(policy, facts, offers)[plan].reasons]


def test_an_agreements_limits_hold_to_the_fen_and_the_second() -> None:
    policy = policy_of()
    fine: dict[str, Anything] = {"clock.now": NOON, "cart.amount": 50_000}
    assert _codes(policy, "ccb_6", fine, 240_000_000_000) == []
    assert _codes(policy, "ccb_6", {**fine, "cart.amount": 49_999}) == ["AMOUNT_LOW"]
    assert _codes(policy, "ccb_6", {**fine, "cart.amount": 5_000_001}) == ["AMOUNT_HIGH"]
    assert _codes(policy, "ccb_6", {"clock.now": NOON}) == ["AMOUNT_LOW", "AMOUNT_HIGH"]
    assert _codes(policy, "ccb_6", {**fine, "clock.now": NOON - 100 * DAY}) == []
    assert _codes(policy, "ccb_6", {**fine, "clock.now": NOON - 100 * DAY - 1}) == ["AGREEMENT_ADJUST"]
    assert _codes(policy, "ccb_6", {**fine, "clock.now": NOON + 100 * DAY - 1}) == []
    assert _codes(policy, "ccb_6", {**fine, "clock.now": NOON + 100 * DAY}) == ["AGREEMENT_EXPIRED"]
    assert _codes(policy, "ccb_6", fine, 240_000_000_001) == ["COST_OVER_CAP"]
    assert _codes(policy, "ccb_24", fine) == ["TERM_UNAVAILABLE"]


def test_the_next_boundary_is_the_nearest_instant_at_which_anything_may_change() -> None:
    policy = mall_policy(
        rule("a", blocked=Window(NOON + 2 * DAY, NOON + 3 * DAY)),
        rule("b", daily=DailyWindow(13 * 60, 14 * 60)),
    )
    assert next_boundary(policy, NOON) == NOON + HOUR
    assert next_boundary(policy, NOON + HOUR) == NOON + 2 * HOUR
    assert next_boundary(policy, NOON + 2 * HOUR) == NOON + DAY + HOUR
    assert next_boundary(policy, NOON + 2 * DAY - 1) == NOON + 2 * DAY
    assert next_boundary(mall_policy(), NOON) is None


def test_a_snapshot_that_refers_to_nothing_is_refused() -> None:
    snapshot = snapshot_of(rule("a", require=Clause("customer.shoe_size", ">=", 40)))
    with pytest.raises(
        SnapshotError, match=r"rules\.a is customer\.shoe_size: expected a fact of the vocabulary"
    ):
        compile_policy(snapshot)
    with pytest.raises(SnapshotError, match="ids that occur once"):
        compile_policy(snapshot_of(rule("a", blocked=Window()), rule("a", blocked=Window())))
    with pytest.raises(SnapshotError, match="use the version of Fenqi that wrote it"):
        compile_policy(msgspec.structs.replace(snapshot_of(), semantics=99))
    with pytest.raises(SnapshotError, match="a funder and a family"):
        compile_policy(msgspec.structs.replace(snapshot_of(), funders=()))


def test_many_rules_are_still_one_function() -> None:
    many = [rule(f"r{n}", require=Clause("customer.age", ">=", n)) for n in range(300)]
    policy = mall_policy(*many)
    verdict = decide(policy, {"clock.now": NOON, "customer.age": 250})["mall_3"]
    assert [reason.rule for reason in verdict.reasons] == [f"r{n}" for n in range(251, 300)]
    assert len(policy.sources) == 1


def test_a_ceiling_is_exact_to_the_last_of_its_digits() -> None:
    agreement = Agreement(version="1", cost_ceiling=Decimal("0.155"))
    funders = tuple(
        msgspec.structs.replace(f, agreement=agreement) if f.id == "ccb" else f for f in snapshot_of().funders
    )
    policy = compile_policy(msgspec.structs.replace(snapshot_of(), funders=funders))
    assert _codes(policy, "ccb_6", {"clock.now": NOON}, 155_000_000_000) == []
    assert _codes(policy, "ccb_6", {"clock.now": NOON}, 155_000_000_001) == ["COST_OVER_CAP"]


def test_a_daily_window_from_midnight_to_midnight_is_the_whole_day() -> None:
    # Read from `daily: {from: "00:00", to: "24:00"}`: both ends are the minute 0.
    policy = mall_policy(rule("closed", daily=DailyWindow(0, 0)))
    for at in (NOON - 12 * HOUR, NOON, NOON + 12 * HOUR - 1):
        assert decide(policy, clock_facts(at, ZONE))["mall_3"].state == "unavailable"
