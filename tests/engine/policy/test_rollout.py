from __future__ import annotations

import hashlib

import pytest

from fenqi.policy.columns import columns_of, rule_outcomes
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import All, Clause
from fenqi.policy.difference import compare, review_layers
from fenqi.policy.document import read_policy
from fenqi.policy.facts import FactValue
from fenqi.policy.reasons import reason_texts
from fenqi.policy.rollout import BUCKETS, Rollout, bucket_of, places
from fenqi.policy.verdict import decide

from .policies import NOON
from .test_document import SHOP

PLAN = SHOP.replace(
    "- {id: mall_3, family: mall,", "- {id: mall_3, rollout: {percent: 5, salt: spring}, family: mall,"
)
RULE = """\
facts:
- {name: order.ref, type: text, source: cart, label: {zh-CN: 订单, en: order}}
rules:
- id: careful
  layer: risk
  owner: risk
  reason: AMOUNT_HIGH
  applies: {plan: mall_12}
  when: cart.amount > ¥1,000
  require: customer.tier >= 3
  rollout: {percent: 12.5%, by: order.ref}
  unknown: allow
"""


def policy_of(rules: str = RULE, shop: str = PLAN) -> Policy:
    result = read_policy({"shop.yaml": shop, "rules.yaml": rules})
    assert result.problems == ()
    assert result.snapshot is not None
    return compile_policy(result.snapshot)


def offered(policy: Policy, plan: str, **facts: FactValue) -> bool:
    told = {name.replace("__", "."): value for name, value in facts.items()}
    return decide(policy, {"clock.now": NOON, **told})[plan].offered


def test_a_place_is_what_the_page_about_it_says() -> None:
    for salt, who in (("spring", "customer-1"), ("a", ""), ("商城", "客户")):
        number = int(hashlib.sha256(f"{salt}/{who}".encode()).hexdigest()[:16], 16)
        assert bucket_of(salt, who) == number * 10_000 // 2**64
    # Worked by hand for one of them: sha256("spring/customer-1") begins with dd6f..., 0xdd6f / 0x10000 = 0.86497.
    assert hashlib.sha256(b"spring/customer-1").hexdigest()[:4] == "dd6f"
    assert bucket_of("spring", "customer-1") == 8649


def test_places_are_spread_evenly_and_differ_by_salt() -> None:
    found = [bucket_of("spring", str(number)) for number in range(20_000)]
    assert min(found) >= 0
    assert max(found) < BUCKETS
    # Of 20,000 throws with p = 5 % three standard deviations are 93.
    assert abs(sum(place < 500 for place in found) - 1_000) < 93
    both = sum(bucket_of("a", str(n)) < 5_000 and bucket_of("b", str(n)) < 5_000 for n in range(20_000))
    assert abs(both - 5_000) < 184


def test_a_plan_is_offered_to_its_share_and_to_nobody_in_particular() -> None:
    policy = policy_of()
    inside = next(str(n) for n in range(1_000) if bucket_of("spring", str(n)) < 500)
    outside = "customer-1"
    assert offered(policy, "mall_3", customer__id=inside)
    assert not offered(policy, "mall_3", customer__id=outside)
    assert not offered(policy, "mall_3")
    verdict = decide(policy, {"clock.now": NOON, "customer.id": outside})["mall_3"]
    (reason,) = verdict.reasons
    assert (reason.code, reason.rule, reason.change, reason.personal) == (
        "CANARY_OFF",
        "rollout.mall_3",
        "shop",
        False,
    )
    unknown = decide(policy, {"clock.now": NOON})["mall_3"]
    assert (unknown.asks, unknown.reasons[0].unknown) == ((), True)
    for reason in (verdict.reasons[0], unknown.reasons[0]):
        assert reason_texts(policy, reason, "customer", "en").title == "Not open to you yet"


def test_whoever_was_in_stays_in_as_it_grows() -> None:
    grown = policy_of(shop=PLAN.replace("percent: 5,", "percent: 20,"))
    small = policy_of()
    for number in range(300):
        if offered(small, "mall_3", customer__id=str(number)):
            assert offered(grown, "mall_3", customer__id=str(number))
    everybody = policy_of(shop=PLAN.replace("percent: 5,", "percent: 100,"))
    assert all(offered(everybody, "mall_3", customer__id=str(number)) for number in range(300))


def test_a_rule_counts_for_its_share_alone() -> None:
    policy = policy_of()
    rule = policy.rules[policy.rule_index["careful"]]
    assert rule.when == All((Clause("cart.amount", ">", 100_000), Clause("rollout.careful", "<", 1_250)))
    assert policy.rollouts == (Rollout("careful", "order.ref"), Rollout("spring", "customer.id"))
    for number in range(200):
        told = {"cart.amount": 200_000, "customer.tier": 1, "order.ref": str(number)}
        verdict = decide(policy, {"clock.now": NOON, **told})["mall_12"]
        reached = bucket_of("careful", str(number)) < 1_250
        assert verdict.offered is not reached
        if reached:
            # What is told is what the rule is about, and not somebody's place.
            assert [clause.fact for clause in verdict.reasons[0].clauses] == ["customer.tier"]
    # Nobody known: the rule's own `unknown` says what becomes of it.
    assert offered(policy, "mall_12", cart__amount=200_000, customer__tier=1)
    block = policy_of(RULE.replace("unknown: allow", "unknown: block"))
    assert not offered(block, "mall_12", cart__amount=200_000, customer__tier=1)
    assert offered(block, "mall_12", cart__amount=200_000, customer__tier=3)


def test_a_place_that_a_record_holds_stays() -> None:
    rollouts = (Rollout("spring", "customer.id"),)
    assert places(rollouts, {"customer.id": "customer-1"}) == {"rollout.spring": 8649}
    assert places(rollouts, {"customer.id": "customer-1", "rollout.spring": 3}) == {}
    assert places(rollouts, {"customer.id": True}) == {}
    assert places((Rollout("n", "cart.line_count"),), {"cart.line_count": 7}) == {
        "rollout.n": bucket_of("n", "7")
    }


def test_columns_answer_as_rows_do() -> None:
    policy = policy_of()
    rows: list[dict[str, FactValue]] = [
        {"clock.now": NOON, "cart.amount": 200_000, "customer.tier": 1}
        | ({"order.ref": str(number), "customer.id": f"c{number}"} if number % 3 else {})
        for number in range(300)
    ]
    outcomes = rule_outcomes(policy, columns_of(rows, policy.vocabulary, policy.zone))
    for name in ("careful", "rollout.mall_3"):
        bit = policy.rule_index[name]
        expected = []
        for row in rows:
            verdicts = decide(policy, row)
            expected.append(any(reason.rule == name for v in verdicts.values() for reason in v.reasons))
        assert outcomes.frame[f"v{bit}"].fill_null(policy.rules[bit].unknown != "allow").to_list() == expected


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        ("{percent: 0}", "percent is 0: not a share from 0.01 to 100; write it like 5 or 0.5"),
        ("{percent: 101}", "percent is 101: not a share from 0.01 to 100; write it like 5 or 0.5"),
        ("{percent: five}", "percent is five: not a share from 0.01 to 100; write it like 5 or 0.5"),
        ("{percent: 0.001}", "percent is 0.001: not a share from 0.01 to 100; write it like 5 or 0.5"),
        ("{by: customer.id}", "rollout has no percent; write percent:"),
        (
            "{percent: 5, by: customer.ids}",
            "by is customer.ids: there is no such fact; did you mean customer.id?",
        ),
        (
            "{percent: 5, by: rollout.spring}",
            "by is rollout.spring: a rollout cannot go by a rollout; write by: customer.id",
        ),
        (
            "{percent: 5, by: cart.amount}",
            "by is cart.amount: it does not tell one customer or order from another; write by: customer.id, or a fact of your own "
            "that names the order",
        ),
        ("{percent: 5, salt: spring}", "the salt spring goes by order.ref elsewhere; use another salt"),
        ("{percent: 5, salt: 'a b'}", "salt is a b: not an id; small letters, digits, _ . and -"),
        ("5%", "rollout is written as keys and values; keys are percent, by, salt"),
    ],
)
def test_what_is_wrong_with_a_rollout_is_told(rollout: str, expected: str) -> None:
    shop = PLAN.replace("{percent: 5, salt: spring}", rollout)
    rules = RULE.replace("by: order.ref", "by: order.ref, salt: spring")
    found = read_policy({"shop.yaml": shop, "rules.yaml": rules}).problems
    assert [str(one).partition(": ")[2] for one in found] == [expected]


def test_no_fact_and_no_rule_takes_the_name_of_a_rollout() -> None:
    rules = RULE.replace("name: order.ref", "name: rollout.ref").replace("by: order.ref", "by: customer.id")
    (problem,) = read_policy({"shop.yaml": PLAN, "rules.yaml": rules}).problems
    assert "rollout.ref: facts of offer, clock, funder, budget and rollout are Fenqi's own" in str(problem)
    (problem, *_) = read_policy(
        {"shop.yaml": PLAN, "rules.yaml": RULE.replace("id: careful", "id: rollout.mall_3")}
    ).problems
    assert "rollout.mall_3: ids in rollout. are made from the rollouts of plans" in str(problem)


def test_another_share_another_salt_and_another_subject_are_changes_of_what_is_available() -> None:
    before = policy_of()
    for after in (
        policy_of(shop=PLAN.replace("percent: 5,", "percent: 6,")),
        policy_of(shop=PLAN.replace("salt: spring", "salt: autumn")),
        policy_of(shop=PLAN.replace("salt: spring", "salt: spring, by: order.ref")),
    ):
        changes = compare(before, after, NOON).availability
        assert [change.plans for change in changes] == [("mall_3",)]
    assert not compare(before, policy_of(), NOON).changes
    moved = policy_of(RULE.replace("by: order.ref", "by: customer.id"))
    assert review_layers(compare(before, moved, NOON)) == {"risk"}
