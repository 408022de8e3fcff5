"""The tests that stand in a policy's own files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.engine.policy.policies import NOON

from fenqi.checkout.examples import failed_examples, run_examples
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.difference import compare
from fenqi.policy.document import read_policy
from fenqi.policy.snapshot import decode, encode
from fenqi_server.cli import main

from .test_document import SHOP

RULES = """\
rules:
- id: law.adult
  layer: law
  owner: legal
  reason: UNDERAGE
  applies: {family: mall}
  require: customer.age >= 18
  unknown: ask
  tests:
  - {name: seventeen, facts: {customer.age: 17}, expect: blocked}
  - {name: eighteen, facts: {customer.age: 18}, expect: open}
  - {facts: {}, expect: unknown}
- id: ceiling
  layer: compliance
  owner: compliance
  reason: COST_OVER_CAP
  applies: {plan: mall_12}
  require: offer.annual_cost <= 14%
  tests:
  - {name: dear, facts: {offer.annual_cost: 14.1%}, expect: blocked}
  - {name: cheap, facts: {offer.annual_cost: 14%}, expect: open}
- id: upgrade
  layer: maintenance
  owner: payments
  reason: MAINTENANCE
  applies: {plan: ccb_24}
  blocked: {from: 2026-11-23T01:00, to: 2026-11-23T04:30}
  tests:
  - {name: in it, at: 2026-11-23T01:00, facts: {}, expect: blocked}
  - {name: after it, at: 2026-11-23T04:30, facts: {}, expect: open}
- id: prequal
  layer: risk
  owner: risk
  reason: PREQUAL_DECLINED
  applies: {plan: ccb_24}
  require: funder.ccb.prequal is not declined
  unknown: allow
  pending: {when: funder.ccb.prequal is pending, deadline: funder.ccb.prequal_deadline}
  tests:
  - name: waiting
    at: 2026-11-23T12:00
    facts: {funder.ccb.prequal: pending, funder.ccb.prequal_deadline: 2026-11-23T12:05}
    expect: pending
- id: slowly
  layer: strategy
  owner: me
  reason: STRATEGY_PAUSE
  applies: {plan: card}
  require: cart.kinds has none of [blind_box]
  rollout: {percent: 10}
  tests:
  - {facts: {rollout.slowly: 999, cart.kinds: [goods, blind_box]}, expect: blocked}
  - {facts: {rollout.slowly: 1000, cart.kinds: [goods, blind_box]}, expect: open}
tests:
- name: a child at ¥6,000
  at: 2026-11-23T10:00
  facts: {cart.amount: "¥6,000", customer.age: 12, cart.kinds: [goods]}
  expect: {mall_3: [UNDERAGE], mall_12: [UNDERAGE], card: funder_decides}
- name: a grown-up at ¥6,000
  at: 2026-11-23T10:00
  facts: {cart.amount: "¥6,000", customer.age: 20, cart.kinds: [goods]}
  expect: {mall_3: available, mall_12: available}
"""


def policy_of(rules: str = RULES) -> Policy:
    result = read_policy({"shop.yaml": SHOP, "rules.yaml": rules})
    assert result.problems == ()
    assert result.snapshot is not None
    assert decode(encode(result.snapshot)) == result.snapshot
    return compile_policy(result.snapshot)


def problems(rules: str) -> list[str]:
    return [str(problem) for problem in read_policy({"shop.yaml": SHOP, "rules.yaml": rules}).problems]


def test_a_policy_that_says_what_its_author_meant_passes_all_of_them() -> None:
    results = run_examples(policy_of())
    assert [result.key for result in results] == [
        "law.adult: seventeen",
        "law.adult: eighteen",
        "law.adult: 3",
        "ceiling: dear",
        "ceiling: cheap",
        "upgrade: in it",
        "upgrade: after it",
        "prequal: waiting",
        "slowly: 1",
        "slowly: 2",
        "a child at ¥6,000",
        "a grown-up at ¥6,000",
    ]
    assert all(result.passed for result in results)


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ("customer.age >= 18", "customer.age > 18", "law.adult: eighteen: expected open, found blocked"),
        (
            "unknown: ask",
            "unknown: allow",
            "law.adult: 3: expected unknown (in the way for want of a fact), found open",
        ),
        ("<= 14%", "< 14%", "ceiling: cheap: expected open, found blocked"),
        ("T04:30}\n", "T04:31}\n", "upgrade: after it: expected open, found blocked"),
        # 0.6 % of what is financed at each of 12 dates comes to 13.03 % a year: a ceiling of 13 % keeps it out.
        (
            "offer.annual_cost <= 14%\n  tests:\n  - {name: dear, facts: {offer.annual_cost: 14.1%}, expect: blocked}\n"
            "  - {name: cheap, facts: {offer.annual_cost: 14%}, expect: open}\n",
            "offer.annual_cost <= 13%\n",
            "a grown-up at ¥6,000: expected mall_12 available, found mall_12 unavailable [COST_OVER_CAP]",
        ),
        (
            "applies: {family: mall}",
            "applies: {plan: mall_3}",
            "a child at ¥6,000: expected mall_12 [UNDERAGE], found mall_12 available",
        ),
    ],
)
def test_one_that_says_something_else_is_told(was: str, now: str, expected: str) -> None:
    assert was in RULES
    told = [result.sentence for result in failed_examples(policy_of(RULES.replace(was, now)))]
    assert told[-1] == expected
    assert len(told) == 1 + ("COST_OVER_CAP" in expected)  # a child's two ways are kept out by it too


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ("expect: blocked}\n", "expect: blokked}\n", "expect is blokked: not one of open, blocked, unknown, pending; did you mean blocked?"),
        ("{customer.age: 17}", "{customer.aeg: 17}", "customer.aeg is not a fact; did you mean customer.age?"),
        ("{customer.age: 17}", "{customer.age: old}", "customer.age is old: not a whole number"),
        ("{customer.age: 17}", "{clock.now: 2026-11-23}", "clock.now follows from at; leave it out"),
        ("{customer.age: 17}", "17", "facts are written as names and values; write {customer.age: 17}"),
        ("at: 2026-11-23T01:00, ", "", "the test has no at: time matters to its rule; write at: 2026-11-23T10:00"),
        ("name: eighteen", "name: seventeen", "there are two tests called law.adult: seventeen; names occur once"),
        ("card: funder_decides}", "crd: funder_decides}", "crd is not a key of expect; did you mean card?"),
        ("card: funder_decides}", "card: open}", "expect.card is open: not one of available, unavailable, pending, funder_decides"),
        ("[UNDERAGE], mall", "[UNDERAG], mall", "expect.mall_3 is UNDERAG: there is no such code; did you mean UNDERAGE?"),
        ("[UNDERAGE], mall", "[], mall", "expect.mall_3 is an empty list; write available, or the reasons' codes"),
        ("expect: {mall_3: available, mall_12: available}", "expect: {}", "the test expects nothing; name a plan and its state or reasons"),
        ("  at: 2026-11-23T10:00\n  facts: {cart.amount: \"¥6,000\", customer.age: 20", "  facts: {cart.amount: \"¥6,000\", customer.age: 20", "a test has no at; write at:"),
        ("¥6,000\", customer.age: 12", "6000\", customer.age: 12", "cart.amount is money and 6000 is a number: they cannot be compared; write ¥6,000.00"),
    ],
)  # fmt: skip
def test_a_test_that_cannot_be_read_is_told_with_its_line(was: str, now: str, expected: str) -> None:
    assert was in RULES
    (problem,) = problems(RULES.replace(was, now, 1))
    place, _, said = problem.partition(": ")
    line = int(place.split(":")[1])
    assert said == expected
    assert line <= RULES[: RULES.index(was)].count("\n") + was.count("\n") + 2


def test_tests_are_part_of_the_policy_and_change_no_answer() -> None:
    before, after = policy_of(), policy_of(RULES.replace("name: seventeen", "name: of 17"))
    assert before.digest != after.digest
    assert compare(before, after, NOON).availability == ()


def test_the_command_says_where_a_test_stands_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    assert main(["policy", "test", str(tmp_path)]) == 0
    assert capsys.readouterr().err == "12 tests, 0 failed\n"
    rules.write_text(RULES.replace("customer.age >= 18", "customer.age > 18"))
    assert main(["policy", "test", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "at               test                 expected  found",
        "rules.yaml:11:5  law.adult: eighteen  open      blocked",
    ]
    assert told.err == "12 tests, 1 failed\n"
    assert main(["policy", "test", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failed"] == [
        {"test": "law.adult: eighteen", "place": "rules.yaml:11:5", "expected": "open", "found": "blocked"}
    ]
    rules.write_text(RULES.replace("expect: open", "expect: opn"))
    assert main(["policy", "test", str(tmp_path)]) == 2
