"""What was found out too long ago is not known, and says so where it would have decided."""

from __future__ import annotations

import msgspec
import pytest

from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.nearest import nearest_change
from fenqi.checkout.request import CheckoutRequest, Line, RequestError, read_request
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.difference import compare, review_layers
from fenqi.policy.document import read_policy
from fenqi.policy.facts import FactValue
from fenqi.policy.reasons import reason_texts
from fenqi.policy.snapshot import decode, encode
from fenqi.policy.verdict import Until, decide

from .policies import DAY, HOUR, NOON
from .test_document import SHOP

RULES = """\
facts:
- {name: customer.check, type: enum, values: [good, bad], source: customer, personal: yes, max_age: 1h, label: {zh-CN: 核验, en: check}}
- {name: funder.ccb.prequal, max_age: 7d}
- {name: customer.tier, max_age: 10m}
rules:
- id: check
  layer: risk
  owner: risk
  reason: ACCOUNT_RISK
  applies: {family: mall}
  require: customer.check is good
  unknown: block
- id: prequal
  layer: agreement
  owner: risk
  reason: PREQUAL_DECLINED
  applies: {plan: ccb_24}
  require: funder.ccb.prequal is not declined
  unknown: allow
- id: tier
  layer: customer
  owner: risk
  reason: LINE_INSUFFICIENT
  applies: {plan: card}
  require: customer.tier >= 3
  unknown: ask
"""
LINES = (Line("p", "Phone", "phones", "goods", 1, 300_000, "mall"),)
FACTS: dict[str, FactValue] = {
    "customer.check": "good",
    "customer.tier": 3,
    "funder.ccb.prequal": "declined",
}


def policy_of(rules: str = RULES) -> Policy:
    result = read_policy({"shop.yaml": SHOP, "rules.yaml": rules})
    assert result.problems == ()
    assert result.snapshot is not None
    assert decode(encode(result.snapshot)) == result.snapshot
    return compile_policy(result.snapshot)


def asked(**as_of: int) -> CheckoutRequest:
    ages = {name.replace("__", "."): NOON - age for name, age in as_of.items()}
    return CheckoutRequest(LINES, "CNY", "web", NOON, FACTS, as_of=ages)


def test_a_fact_counts_for_as_long_as_it_may_and_not_a_second_longer() -> None:
    policy = policy_of()
    assert evaluate(policy, asked(customer__check=HOUR)).option("mall_3").offered
    option = evaluate(policy, asked(customer__check=HOUR + 1)).option("mall_3")
    (reason,) = option.verdict.reasons
    assert (option.verdict.state, reason.code, reason.unknown, reason.rule) == (
        "unavailable",
        "DATA_STALE",
        True,
        "check",
    )
    # Nobody can say when it is known anew; and it is not the customer who can change it.
    assert (reason.until, option.verdict.until, reason.change) == (Until("unknown"), Until("unknown"), "shop")
    assert reason_texts(policy, reason, "customer", "en").title == "Data is being updated"
    assert reason_texts(policy, reason, "operator", "zh-CN").fix == "检查该事实的数据源。"
    # Without a word about its age a fact is one of now.
    assert evaluate(policy, asked()).option("mall_3").offered


def test_what_is_too_old_is_not_held_against_anybody() -> None:
    policy = policy_of()
    young = evaluate(policy, asked(funder__ccb__prequal=7 * DAY)).option("ccb_24")
    assert [reason.code for reason in young.verdict.reasons] == ["PREQUAL_DECLINED"]
    # The rule lets an unknown answer through: nothing of it is in the way, and no reason is given.
    assert evaluate(policy, asked(funder__ccb__prequal=7 * DAY + 1)).option("ccb_24").offered


def test_the_customer_may_tell_it_anew() -> None:
    verdict = evaluate(policy_of(), asked(customer__tier=601)).option("card").verdict
    assert (verdict.asks, verdict.reasons[0].code) == (("customer.tier",), "DATA_STALE")
    assert verdict.until == Until("unknown")
    assert nearest_change(policy_of(), asked(customer__tier=601), "card") is None


def test_the_answer_holds_until_something_in_it_is_too_old() -> None:
    policy = policy_of()
    assert evaluate(policy, asked(customer__check=60)).valid_until == NOON + HOUR - 60 + 1
    assert evaluate(policy, asked(customer__check=60, customer__tier=0)).valid_until == NOON + 601
    later = msgspec.structs.replace(asked(customer__check=60), at=NOON + HOUR - 60 + 1)
    assert not evaluate(policy, later).option("mall_3").offered


def test_a_fact_of_no_age_and_one_that_was_never_told_are_as_before() -> None:
    policy = policy_of(RULES.replace(", max_age: 1h", ""))
    assert evaluate(policy, asked(customer__check=10 * DAY)).option("mall_3").offered
    verdict = decide(policy, {"clock.now": NOON, "cart.amount": 300_000})["mall_3"]
    assert verdict.reasons[0].code == "ACCOUNT_RISK"


def test_a_request_says_when_its_facts_were_found_out() -> None:
    policy = policy_of()
    written = {
        "lines": [msgspec.to_builtins(LINES[0])],
        "currency": "CNY",
        "channel": "web",
        "at": "2026-11-23T12:00:00+08:00",
        "facts": {"customer.check": "good"},
        "as_of": {"customer.check": "2026-11-23T10:00:00+08:00"},
    }
    request = read_request(written, policy)
    assert request.as_of == {"customer.check": NOON - 2 * HOUR}
    assert evaluate(policy, request).option("mall_3").verdict.reasons[0].code == "DATA_STALE"
    for as_of, place, expected in (
        (
            {"customer.check": "2026-11-23T12:00:01+08:00"},
            "/as_of/customer.check",
            "not after the request's own",
        ),
        (
            {"customer.tier": "2026-11-23T10:00:00+08:00"},
            "/as_of/customer.tier",
            "a fact that is told under /facts",
        ),
        ({"customer.check": "2026-11-23T10:00:00"}, "/as_of/customer.check", "an instant with its offset"),
    ):
        with pytest.raises(RequestError, match=expected) as raised:
            read_request({**written, "as_of": as_of}, policy)
        assert raised.value.pointer == place


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            "{name: customer.tier, max_age: soon}",
            "max_age is soon: not a length of time; write it like 90s, 10m, 12h or 30d",
        ),
        ("{name: customer.teer, max_age: 1h}", "customer.teer is not a fact; did you mean customer.tier?"),
        (
            "{name: cart.amount, max_age: 1h}",
            "cart.amount is found out with each decision: it is never old; leave it out",
        ),
        ("{name: customer.check, max_age: 2h}", "customer.check has a max_age already; keep one"),
    ],
)
def test_what_is_wrong_with_an_age_is_told(entry: str, expected: str) -> None:
    rules = RULES.replace("{name: customer.tier, max_age: 10m}", entry)
    (problem, *_) = read_policy({"shop.yaml": SHOP, "rules.yaml": rules}).problems
    assert str(problem).partition(": ")[2] == expected


def test_another_age_is_a_change_of_what_is_available_and_reviewed_as_the_rules_that_ask() -> None:
    before, after = policy_of(), policy_of(RULES.replace("1h", "2h"))
    (change,) = compare(before, after, NOON).availability
    assert (change.kind, change.name, change.plans) == ("fact", "customer.check", ("mall_3", "mall_12"))
    assert review_layers(compare(before, after, NOON)) == {"risk"}
