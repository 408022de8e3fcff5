"""Why a way to pay is missing, in full: as a value, and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.engine.policy.policies import DAY, HOUR, NOON, policy_of, rule

from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.explanation import explain, explanation_document
from fenqi.checkout.nearest import nearest_change
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.snapshot import Selector, Window
from fenqi.policy.verdict import Until
from fenqi_server.cli import main

MALL = Selector(families=("mall",))
POLICY = policy_of(
    rule("adult", "law", applies=MALL, require="customer.age >= 18", source="民法典 18"),
    rule("night", "maintenance", applies=MALL, blocked=Window(NOON - HOUR, NOON + HOUR)),
    rule(
        "coupon",
        "cart",
        applies=Selector(plans=("card",)),
        require="cart.has_coupon is no",
        reason="COUPON_CONFLICT",
    ),
    rule(
        "secret",
        "risk",
        applies=Selector(plans=("ccb_6",)),
        require="customer.tier >= 3",
        public="generic",
        unknown="block",
    ),
)
ASKED = CheckoutRequest(
    (Line("p", "Phone", "phones", "goods", 1, 600_000, "mall"),),
    "CNY",
    "web",
    NOON,
    {"customer.age": 17, "customer.tier": 1},
    coupon="c",
)


def test_every_missing_plan_is_explained_with_nothing_kept_back() -> None:
    answer = evaluate(POLICY, ASKED)
    found = {each.plan: each for each in explain(POLICY, ASKED, answer)}
    assert list(found) == [option.plan for option in answer.options if not option.offered]
    mall = found["mall_12"]
    assert [(r.rule, r.since, r.until) for r in mall.verdict.reasons] == [
        ("adult", None, Until("none")),
        ("night", NOON - HOUR, Until("instant", NOON + HOUR)),
    ]
    assert mall.nearest is None
    assert mall.alternatives == answer.option("mall_12").alternatives
    card = found["card"]
    assert card.nearest == nearest_change(POLICY, ASKED, "card")
    told = explanation_document(POLICY, card, "en")
    assert (told.nearest, told.nearest_steps) == ("Available without the coupon.", ("cart.has_coupon",))
    secret = explanation_document(POLICY, found["ccb_6"], "en")
    (reason,) = secret.reasons
    # An operator reads what a customer does not.
    assert reason.generic
    assert [clause.sentence for clause in reason.clauses] == ["membership tier: 1; should be at least 3"]


def test_one_plan_in_words() -> None:
    (only,) = explain(POLICY, ASKED, evaluate(POLICY, ASKED), ["mall_3"])
    told = explanation_document(POLICY, only, "zh-CN")
    law, night = told.reasons
    assert (law.source, law.clauses[0].fact, law.clauses[0].op) == ("民法典 18", "customer.age", ">=")
    assert (law.clauses[0].actual, law.clauses[0].bound, law.clauses[0].sentence) == (
        "17",
        "18",
        "年龄：17，需不低于 18",
    )
    assert (night.since, night.until.at) == ("2026-11-23T11:00:00+08:00", "2026-11-23T13:00:00+08:00")
    assert told.until.kind == "none"
    with pytest.raises(KeyError):
        explain(POLICY, ASKED, evaluate(POLICY, ASKED), ["mall_99"])


def test_a_plan_that_is_there_has_nothing_to_explain() -> None:
    policy = policy_of()
    (only,) = explain(policy, ASKED, evaluate(policy, ASKED), ["mall_3"])
    assert (only.verdict.state, only.verdict.reasons, only.nearest) == ("available", (), None)


# --- the command --------------------------------------------------------------------------------------------------

FOLDER = Path(__file__).parents[3] / "examples" / "policy"


def explained(tmp_path: Path, facts: object, *words: str) -> int:
    file = tmp_path / "facts.json"
    file.write_text(json.dumps(facts) if not isinstance(facts, str) else facts)
    return main(["policy", "explain", str(FOLDER), str(file), *words])


def test_facts_are_written_as_people_write_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"cart.amount": "¥6,000", "customer.age": 17, "cart.kinds": ["goods", "blind_box"]}
    assert explained(tmp_path, facts, "--at", "2026-11-20T12:00", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["at"] == "2026-11-20T12:00:00+08:00"
    codes = {reason["code"] for plan in told["explained"] for reason in plan["reasons"]}
    assert {"UNDERAGE", "ITEM_BLIND_BOX"} <= codes
    # The same with amounts and truths as a program writes them, and as a whole request.
    facts["cart.amount"] = 600_000
    assert explained(tmp_path, facts, "--at", "2026-11-20T12:00", "--json") == 0
    assert json.loads(capsys.readouterr().out) == told
    lines = [
        {"sku": f"line-{n}", "title": "x", "category": "goods", "kind": kind, "quantity": 1, "unit_price_minor": price, "seller": "example"}
        for n, kind, price in ((1, "blind_box", 600_000), (2, "goods", 0))
    ]  # fmt: skip
    request = {
        "lines": lines,
        "currency": "CNY",
        "channel": "web",
        "at": "2026-11-19T12:00:00+08:00",
        "facts": {"customer.age": 17},
    }
    assert explained(tmp_path, request, "--at", "2026-11-20T12:00", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert [each["plan"] for each in again["explained"]] == [each["plan"] for each in told["explained"]]


def test_a_table_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"cart.amount": "¥6,000", "customer.age": 17, "cart.has_coupon": "yes"}
    assert explained(tmp_path, facts, "--at", "2026-11-20T12:00") == 0
    shown = capsys.readouterr()
    assert "reason" in shown.out
    assert "age: 17; should be at least 18" in shown.out
    assert "nearest change: none" in shown.out
    assert shown.err.startswith("offered: ")


@pytest.mark.parametrize(
    ("facts", "words", "said"),
    [
        ({"customer.age": 17}, (), "cart.amount is missing: expected the order's amount"),
        ({"cart.amount": "6000"}, (), "cart.amount is money and 6000 is a number"),
        ({"cart.amount": "¥6", "customer.aeg": 1}, (), "did you mean customer.age?"),
        ({"cart.amount": "¥6", "clock.now": 1_795_406_400}, (), "it follows from the order and the time"),
        ({"cart.amount": "¥6", "customer.age": "old"}, (), "customer.age is old"),
        ("[]", (), "expected facts by name"),
        ("{", (), "expected a JSON document"),
        ({"cart.amount": "¥6"}, ("--plan", "mall_99"), "--plan is mall_99: expected one of"),
        ({"cart.amount": "¥6"}, ("--at", "noon"), "--at is noon: expected a time in Asia/Shanghai"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], facts: object, words: tuple[str, ...], said: str
) -> None:
    assert explained(tmp_path, facts, *words) == 2
    assert said in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("check", "explain", "test", "snapshot", "key"):
        with pytest.raises(SystemExit):
            main(["policy", action, "--help"])
        shown = capsys.readouterr().out
        assert "examples:" in shown
        assert f"fenqi policy {action}" in shown


def test_the_time_asked_about_is_kept_apart_from_the_days_after() -> None:
    later = evaluate(POLICY, CheckoutRequest(ASKED.lines, "CNY", "web", NOON + DAY, {"customer.age": 18}))
    assert later.option("mall_12").offered
