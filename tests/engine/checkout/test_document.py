"""The answer as the API and the command line write it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from tests.engine.checkout.test_evaluation import GOOD, MAINTAINED, POLICY, SNAPSHOT, TEN, ask

from fenqi.checkout.document import QuoteDocument, evaluation_document
from fenqi.checkout.evaluation import evaluate
from fenqi.policy.compile import compile_policy
from fenqi.terms.disclosure import digest


def write(request: Any, **options: Any) -> dict[str, Any]:
    document = evaluation_document(POLICY, evaluate(POLICY, request), **options)
    written: dict[str, Any] = json.loads(msgspec.json.encode(document))
    return written


def find(entries: list[dict[str, Any]], plan: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["plan"] == plan)


def test_offers_and_what_is_missing_together_are_every_plan_in_the_pages_order() -> None:
    answer = evaluate(POLICY, ask(MAINTAINED, last_used_family="mall"))
    written = write(ask(MAINTAINED, last_used_family="mall"))
    offers = [entry["plan"] for entry in written["offers"]]
    assert offers == [option.plan for option in answer.offers]
    missing = [entry["plan"] for entry in written["unavailable"]]
    assert missing == [option.plan for option in answer.options if not option.offered]
    assert [group["id"] for group in written["groups"]] == ["payment", "instalment"]
    assert not {"preselected", "selected", "default"} & {key for entry in written["offers"] for key in entry}


def test_every_figure_is_the_engines() -> None:
    answer = evaluate(POLICY, ask())
    for entry in write(ask())["offers"]:
        option = answer.option(entry["plan"])
        assert option.schedule is not None
        assert option.disclosure is not None
        assert entry["total_minor"] == option.schedule.total_minor
        assert (
            entry["fee_minor"]
            == option.schedule.fee_minor
            == sum(row["fee_minor"] for row in entry["schedule"])
        )
        assert entry["total_minor"] == sum(row["total_minor"] for row in entry["schedule"])
        assert entry["instalment_minor"] == max(row["total_minor"] for row in entry["schedule"])
        assert [row["due_on"] for row in entry["schedule"]] == [
            row.due_on.isoformat() for row in option.schedule.rows
        ]
        assert entry["cost"]["percent"] == option.disclosure.annual_cost.shown_percent
        assert entry["disclosure"]["digest"] == digest(option.disclosure)
    assert find(write(ask())["offers"], "mall_12")["cost"]["percent"] == "13.03"
    assert find(write(ask())["offers"], "mall_3")["cost"]["percent"] == "0.00"


def test_a_maintenance_says_why_since_when_until_when_and_the_four_ways_on() -> None:
    entry = find(write(ask(MAINTAINED))["unavailable"], "mall_12")
    (reason,) = entry["reasons"]
    assert reason["code"] == "MAINTENANCE"
    assert reason["since"] == "2026-11-23T22:00:00+08:00"
    assert reason["until"] == {"kind": "instant", "at": "2026-11-24T02:00:00+08:00"} == entry["until"]
    assert reason["notice"]["id"] == "mall-maintenance-2026-11-23"
    assert "02:00" in reason["detail"]["zh-CN"]
    assert "02:00" in reason["detail"]["en"]
    assert entry["ways_on"] == ["notice", "another_way", "support", "notify"]
    assert entry["alternatives"][0]["plan"] == "tingchao_12"
    assert entry["alternatives"][0]["difference_minor"] == -3000


def test_which_risk_signal_fired_is_never_written() -> None:
    written = write(ask(facts={**GOOD, "customer.account_check": "held"}))
    entry = find(written["unavailable"], "mall_12")
    (reason,) = entry["reasons"]
    assert (reason["code"], reason["personal"]) == ("ACCOUNT_RISK", True)
    assert "held" not in json.dumps(written)
    assert "risk.account" not in json.dumps(written)


def test_texts_come_in_the_language_asked_for_alone() -> None:
    written = write(ask(MAINTAINED), locale="en")
    assert find(written["unavailable"], "mall_12")["name"] == {"en": "Mall instalments"}
    assert "zh-CN" not in json.dumps(written)


def test_every_text_has_both_languages_where_none_is_asked_for() -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "zh-CN" in value or "en" in value:
                assert set(value) == {"zh-CN", "en"}
                assert all(value.values())
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    for request in (ask(), ask(MAINTAINED), ask(facts={}), ask(kind="blind_box"), ask(price=100)):
        walk(write(request))


def test_an_answer_on_its_way_is_pending_with_its_deadline() -> None:
    facts = {**GOOD, "funder.hean.prequal": "pending", "funder.hean.prequal_deadline": TEN + 3600}
    entry = find(write(ask(facts=facts))["unavailable"], "hean_12")
    assert (entry["state"], entry["deadline"]) == ("pending", "2026-11-23T11:00:00+08:00")
    assert entry["reasons"][0]["pending"]
    assert not entry["place"]["collapsed"]


def test_the_services_quotes_and_digests_are_carried() -> None:
    quote = QuoteDocument("q_1", "2026-11-23T10:30:00+08:00")
    written = write(ask(), decision="d_1", quotes={"mall_12": quote}, digests={"mall_12": "sha256:known"})
    assert written["decision"] == "d_1"
    entry = find(written["offers"], "mall_12")
    assert entry["quote"] == {"token": "q_1", "expires_at": "2026-11-23T10:30:00+08:00"}
    assert entry["disclosure"]["digest"] == "sha256:known"
    assert find(written["offers"], "mall_3")["quote"] is None


def test_words_remembered_of_one_cart_are_not_said_of_another() -> None:
    low, lower = (find(write(ask(price=price))["unavailable"], "tingchao_3") for price in (49_900, 31_000))
    assert low["reasons"][0]["code"] == lower["reasons"][0]["code"] == "AMOUNT_LOW"
    assert "¥499.00" not in json.dumps(lower, ensure_ascii=False)


def test_how_many_hidden_signals_fired_is_not_told() -> None:
    held = next(rule for rule in SNAPSHOT.rules if rule.id == "risk.account")
    again = msgspec.structs.replace(held, id="risk.account_again")
    twice = compile_policy(msgspec.structs.replace(SNAPSHOT, rules=(*SNAPSHOT.rules, again)))
    request = ask(facts={**GOOD, "customer.account_check": "held"})
    for policy in (POLICY, twice):
        document = evaluation_document(policy, evaluate(policy, request))
        missing = next(option for option in document.unavailable if option.plan == "mall_12")
        assert [reason.code for reason in missing.reasons] == ["ACCOUNT_RISK"]
