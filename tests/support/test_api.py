"""Support over the API: diagnosis, finding, cases, special cases, inbound mail; scopes, and other shops' ids."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.world import AT, make_world

from fenqi_server import facts
from fenqi_server.customers import service as customers
from fenqi_server.funders import consents
from fenqi_server.shops import service as shops
from fenqi_server.support import overrides

MAIL = b"From: li.hua@example.com\nSubject: My instalments\nMessage-ID: <1@x.example>\n\nWhy is it gone?\n"
ASK: dict[str, Any] = {
    "customer": {"ref": "u-1"},
    "rule": "customer.line",
    "reason": "A customer of many years",
    "max_amount_minor": 600_000,
    "hours": 24,
}


@pytest.fixture
def key(mall: Any) -> str:
    return shops.create_key(mall.shop, "desk", at=AT, scopes=shops.SCOPES)


def shown(mall: Any, call: Any) -> str:
    customers.set_limit(mall.shop, mall.customer_id, 300_000)
    return str(call("POST", "/v1/evaluations", mall.body(), key=mall.key).json()["decision"])


def test_a_diagnosis_says_why_and_is_logged(mall, call, key, acted):
    decision = shown(mall, call)
    found = call("GET", f"/v1/diagnoses/{decision}?plan=mall_12&locale=en", key=key).json()
    assert (found["identical"], found["differences"], found["focus"]) == (True, [], "mall_12")
    plan = next(each for each in found["plans"] if each["plan"] == "mall_12")
    assert len(plan["layers"]) == 9
    (cause,) = [cause for layer in plan["layers"] for cause in layer["causes"]]
    assert (cause["code"], cause["alone"]) == ("LINE_INSUFFICIENT", "available")
    assert (cause["clauses"][0]["actual"], cause["clauses"][0]["bound"]) == (300_000, 499_900)
    assert set(plan["words"]) == {"zh-CN", "en"}
    assert found["similar_today"] == [{"code": "LINE_INSUFFICIENT", "decisions": 1, "customers": 1}]
    ((act, actor, subject),) = acted("diagnosis.")
    assert (act, actor[:4], subject) == ("diagnosis.view", "key:", decision)


def test_risk_needs_its_own_scope(mall, call, key):
    consents.record(mall.shop, mall.customer_id, "hean", AT)
    facts.record_prequal(mall.shop.id, mall.customer_id, "hean", "declined", AT)
    path = f"/v1/diagnoses/{shown(mall, call)}?plan=hean_12"
    assert "risk.hean_assessment" in call("GET", path, key=key).content.decode()
    # A key made without naming its scopes has not got this one.
    answer = call("GET", path, key=mall.key)
    assert answer.status_code == 200
    assert "risk.hean_assessment" not in answer.content.decode()
    assert '"withheld":"risk"' in answer.content.decode()


def test_finding_by_the_shops_name_and_by_phone(mall, call, key):
    decision = shown(mall, call)
    customers.set_private(mall.shop, mall.customer_id, customers.Private("Li", "", "13800138000"), AT)
    for asked in ("u-1", "+86 138 0013 8000", decision):
        found = call("POST", "/v1/decisions/find", {"asked": asked}, key=key).json()["decisions"]
        assert [each["decision"] for each in found] == [decision]
    assert call("POST", "/v1/decisions/find", {"asked": "o-none"}, key=key).json() == {"decisions": []}


def test_a_case_is_opened_answered_and_asked_again(mall, call, key):
    decision = shown(mall, call)
    body = {
        "customer": {"ref": "u-1"},
        "message": "Why?",
        "decision": decision,
        "plan": "mall_12",
        "locale": "en",
    }
    case = call("POST", "/v1/cases", body, key=key)
    assert case.status_code == 201
    name = case.json()["id"]
    assert (case.json()["state"], case.json()["plan"]) == ("open", "mall_12")
    replied = call("POST", f"/v1/cases/{name}/messages", {"author": "agent", "message": "So."}, key=key)
    assert (replied.status_code, replied.json()["state"]) == (201, "answered")
    assert call("GET", "/v1/cases?state=answered", key=key).json()["cases"][0]["id"] == name
    thread = call("GET", f"/v1/cases/{name}", key=key).json()["messages"]
    assert [(each["author"], each["message"]) for each in thread] == [("customer", "Why?"), ("agent", "So.")]


def test_a_special_case_is_asked_for_and_ended_over_the_api_and_approved_by_a_person_alone(mall, call, key):
    asked = call("POST", "/v1/overrides", ASK, key=key)
    assert (asked.status_code, asked.json()["state"]) == (201, "asked")
    name = asked.json()["id"]
    for act in ("approve", "decide", "refuse"):
        assert call("POST", f"/v1/overrides/{name}/{act}", {"note": "x"}, key=key).status_code == 404
    overrides.approve(mall.shop, name, actor="staff:wang", at=AT)
    assert call("GET", f"/v1/overrides/{name}", key=key).json()["state"] == "approved"
    revoked = call("POST", f"/v1/overrides/{name}/revoke", {"note": "a mistake"}, key=key)
    assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
    again = call("POST", f"/v1/overrides/{name}/revoke", {"note": "a mistake"}, key=key)
    assert (again.status_code, again.json()["code"]) == (409, "not_in_force")
    assert [
        each["id"] for each in call("GET", "/v1/overrides?customer=u-1", key=key).json()["overrides"]
    ] == [name]


def test_a_rule_of_law_is_a_409_that_says_why(mall, call, key):
    refused = call("POST", "/v1/overrides", ASK | {"rule": "law.adult"}, key=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "law_rule")
    assert "rule of law" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"hours": 73}, "/hours"),
        ({"max_amount_minor": 0}, "/max_amount_minor"),
        ({"rule": "none"}, "/rule"),
        ({"plan": "beichen_24"}, "/plan"),
        ({"customer": {"ref": "nobody"}}, "/customer/ref"),
        ({"decision": "dc_x"}, "/decision"),
        ({"layer": "strategy"}, "/layer"),
    ],
)
def test_a_wrong_field_is_named(mall, call, key, changes, pointer):
    refused = call("POST", "/v1/overrides", ASK | changes, key=key)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert overrides.listed(mall.shop) == ()


def test_a_mail_becomes_a_case_once(mall, key):
    from django.test import Client

    def post(raw: bytes, kind: str = "message/rfc822") -> Any:
        return Client().generic(
            "POST", "/v1/inbound-mail", raw, content_type=kind, headers={"Authorization": f"Bearer {key}"}
        )

    first = post(MAIL)
    assert (first.status_code, first.json()["outcome"]) == (201, "opened")
    again = post(MAIL)
    assert (again.status_code, again.json()) == (
        200,
        {"outcome": "repeated", "case": first.json()["case"], "why": ""},
    )
    assert post(MAIL, "application/json").status_code == 415
    assert post(b"Subject: x\n\nhello").status_code == 422
    assert post(MAIL + b"x" * 256_000).status_code == 413
    machine = post(b"Auto-Submitted: auto-replied\n" + MAIL)
    assert (machine.status_code, machine.json()["outcome"]) == (200, "ignored")


ENDPOINTS = (
    ("GET", "/v1/diagnoses/{decision}", None, "diagnosis:read"),
    ("POST", "/v1/decisions/find", {"asked": "u-1"}, "diagnosis:read"),
    ("GET", "/v1/cases", None, "cases:read"),
    ("GET", "/v1/cases/{case}", None, "cases:read"),
    ("POST", "/v1/cases", {"customer": {"ref": "u-1"}, "message": "Why?"}, "cases:write"),
    ("POST", "/v1/cases/{case}/messages", {"author": "agent", "message": "So."}, "cases:write"),
    ("GET", "/v1/overrides", None, "overrides:read"),
    ("GET", "/v1/overrides/{override}", None, "overrides:read"),
    ("POST", "/v1/overrides", ASK, "overrides:write"),
    ("POST", "/v1/overrides/{override}/revoke", {"note": "x"}, "overrides:write"),
    ("POST", "/v1/inbound-mail", None, "mail:write"),
)


def test_each_endpoint_needs_its_scope(mall, call, key):
    named = {
        "decision": shown(mall, call),
        "case": call("POST", "/v1/cases", {"customer": {"ref": "u-1"}, "message": "Why?"}, key=key).json()[
            "id"
        ],
        "override": call("POST", "/v1/overrides", ASK, key=key).json()["id"],
    }
    for method, path, body, scope in ENDPOINTS:
        lacking = tuple(each for each in shops.SCOPES if each != scope)
        other = shops.create_key(mall.shop, "other", at=AT, scopes=lacking)
        refused = call(method, path.format(**named), body, key=other)
        assert (refused.status_code, scope in refused.json()["detail"]) == (403, True), path
        assert call(method, path.format(**named), body).status_code == 401, path


def test_another_shops_ids_are_404(mall, call, key):
    other = make_world("other")
    theirs = shops.create_key(other.shop, "desk", at=AT, scopes=shops.SCOPES)
    decision = shown(mall, call)
    case = call("POST", "/v1/cases", {"customer": {"ref": "u-1"}, "message": "Why?"}, key=key).json()["id"]
    override = call("POST", "/v1/overrides", ASK, key=key).json()["id"]
    for method, path, body in (
        ("GET", f"/v1/diagnoses/{decision}", None),
        ("GET", f"/v1/cases/{case}", None),
        ("POST", f"/v1/cases/{case}/messages", {"author": "agent", "message": "So."}),
        ("GET", f"/v1/overrides/{override}", None),
        ("POST", f"/v1/overrides/{override}/revoke", {"note": "x"}),
        ("POST", "/v1/cases", {"customer": {"ref": "u-1"}, "message": "Why?", "decision": decision}),
    ):
        assert call(method, path, body, key=theirs).status_code == 404, path
    assert call("POST", "/v1/decisions/find", {"asked": decision}, key=theirs).json() == {"decisions": []}
