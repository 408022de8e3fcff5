"""POST /v1/evaluations: the whole answer, and every way a request can be wrong."""

from __future__ import annotations

import json
import logging

import pytest
from tests.api.world import PHONE, decoded, line_json

URL = "/v1/evaluations"


def test_every_way_comes_back_offers_with_a_quote_and_the_missing_with_all_reasons(mall, call):
    answer = decoded(call("POST", URL, mall.body(), key=mall.key))
    offers = {offer["plan"]: offer for offer in answer["offers"]}
    assert {"mall_3", "mall_6", "mall_12", "tingchao_24", "card_full"} <= set(offers)
    assert all(offer["quote"]["token"].startswith("fq1.test.") for offer in offers.values())
    assert (
        sum(row["total_minor"] for row in offers["mall_12"]["schedule"]) == offers["mall_12"]["total_minor"]
    )
    missing = {way["plan"]: [reason["code"] for reason in way["reasons"]] for way in answer["unavailable"]}
    assert missing["beichen_24"] == ["CARD_UNSUPPORTED", "STRATEGY_PAUSE"]
    for way in answer["unavailable"]:
        assert way["until"]["kind"] in ("instant", "unknown", "none")
        assert {"support", "notify"} <= set(way["ways_on"])
    assert not {"selected", "default", "preselected"} & set(answer)


def test_that_nothing_can_be_lent_is_an_answer_and_not_an_error(mall, call):
    body = mall.body(lines=[line_json(PHONE, kind="blind_box")])
    response = call("POST", URL, body, key=mall.key)
    assert response.status_code == 200
    states = {way["plan"]: way["state"] for way in decoded(response)["unavailable"]}
    assert states["mall_12"] == "unavailable"


def test_a_visitor_who_is_not_signed_in_gets_an_answer_too(mall, call):
    response = call("POST", URL, mall.body(customer=None, facts={}), key=mall.key)
    assert response.status_code == 200
    way = next(w for w in decoded(response)["unavailable"] if w["plan"] == "mall_12")
    assert "customer.age" in way["asks"]


def _changed(path: list, value):
    def change(body: dict) -> None:
        place = body
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "pointer", "value", "expected"),
    [
        (_changed(["lines", 0, "unit_price_minor"], -1), "/lines/0/unit_price_minor", "-1", "whole number"),
        (
            _changed(["lines", 0, "unit_price_minor"], 4999.5),
            "/lines/0/unit_price_minor",
            "4999.5",
            "whole number",
        ),
        (
            _changed(["lines", 0, "unit_price_minor"], 4999.0),
            "/lines/0/unit_price_minor",
            "4999.0",
            "whole number",
        ),
        (
            _changed(["lines", 0, "unit_price_minor"], "4999"),
            "/lines/0/unit_price_minor",
            "4999",
            "whole number",
        ),
        (
            _changed(["lines", 0, "unit_price_minor"], True),
            "/lines/0/unit_price_minor",
            "true",
            "whole number",
        ),
        (
            _changed(["lines", 0, "unit_price_minor"], 10**16),
            "/lines/0/unit_price_minor",
            str(10**16),
            "10000",
        ),
        (
            _changed(["lines", 0, "unit_price_minor"], 10**40),
            "/lines/0/unit_price_minor",
            "1000",
            "minor units",
        ),
        (_changed(["lines", 0, "quantity"], 0), "/lines/0/quantity", "0", "1 to"),
        (_changed(["lines", 0, "currency"], "USD"), "/lines/0/currency", "USD", "CNY"),
        (_changed(["lines", 0, "kind"], "lottery"), "/lines/0/kind", "lottery", "one of"),
        (_changed(["lines"], []), "/lines", "[]", "length >= 1"),
        (_changed(["currency"], "USD"), "/currency", "USD", "CNY"),
        (_changed(["channel"], "fax"), "/channel", "fax", ""),
        (_changed(["surprise"], 1), "/surprise", "an unknown field", "documented"),
        (_changed(["lines", 0, "surprise"], 1), "/lines/0/surprise", "an unknown field", "documented"),
        (
            _changed(["facts", "customer.overdue"], False),
            "/facts/customer.overdue",
            "told by the shop",
            "Fenqi",
        ),
        (
            _changed(["facts", "limit.mall_available"], 1),
            "/facts/limit.mall_available",
            "shop",
            "Fenqi knows",
        ),
        (
            _changed(["facts", "customer.consents"], ["hean"]),
            "/facts/customer.consents",
            "shop",
            "Fenqi knows",
        ),
        (
            _changed(["facts", "funder.hean.prequal"], "approved"),
            "/facts/funder.hean.prequal",
            "shop",
            "funder",
        ),
        (
            _changed(["facts", "offer.annual_cost"], 0),
            "/facts/offer.annual_cost",
            "shop",
            "decision works out",
        ),
        (_changed(["facts", "clock.now"], 0), "/facts/clock.now", "shop", "decision works out"),
        (_changed(["facts", "cart.amount"], 1), "/facts/cart.amount", "shop", "lines"),
        (_changed(["facts", "customer.agee"], 3), "/facts/customer.agee", "3", "vocabulary"),
        (_changed(["facts", "customer.age"], "30"), "/facts/customer.age", "30", "whole number"),
        (_changed(["facts", "card.bank"], "cbc"), "/facts/card.bank", "cbc", "one of"),
        (_changed(["customer"], {"ref": ""}), "/customer/ref", "empty", "length >= 1"),
        (
            _changed(["customer"], {"ref": "u", "name": "Wang"}),
            "/customer/name",
            "unknown field",
            "documented",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_was_expected(
    mall, call, change, pointer, value, expected
):
    body = mall.body()
    change(body)
    response = call("POST", URL, body, key=mall.key)
    assert response.status_code == 422, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = decoded(response)
    error = problem["errors"][0]
    assert error["pointer"] == pointer
    assert value in error["value"]
    assert expected in error["expected"]
    assert problem["code"] == "request_invalid"
    assert problem["type"] == "urn:fenqi:problem:request_invalid"


def test_a_missing_field_is_named(mall, call):
    body = mall.body()
    del body["lines"][0]["sku"]
    error = decoded(call("POST", URL, body, key=mall.key))["errors"][0]
    assert (error["pointer"], error["value"]) == ("/lines/0/sku", "missing")


def test_a_total_that_overflows_is_refused(mall, call):
    lines = [line_json(PHONE, unit_price_minor=10**15, quantity=10_000)] * 200
    response = call("POST", URL, mall.body(lines=lines), key=mall.key)
    assert response.status_code == 422
    assert decoded(response)["errors"][0]["pointer"] == "/lines"


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "body_unreadable"),
        (b"{", 400, "body_unreadable"),
        (b"\xff\xfe", 400, "body_unreadable"),
        (b'{"lines": NaN}', 400, "body_unreadable"),
        (b'{"lines":0x1}', 400, "body_unreadable"),
        (b'{"lines":1} x', 400, "body_unreadable"),
        (b'{"lines":1,"x":"\xff"}', 400, "body_unreadable"),
        (b"[]", 422, "request_invalid"),
        (b"null", 422, "request_invalid"),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, 422, "request_invalid"),
        (b"[" * 60_000, 422, "request_invalid"),
        (b'{"currency": ' + b"9" * 30_000 + b"}", 400, "body_unreadable"),
        (b'{"x": "' + b"a" * 70_000 + b'"}', 413, "body_too_large"),
        (b" " * 1_500_000, 413, "body_too_large"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem_and_never_a_crash(mall, call, raw, status, code):
    response = call("POST", URL, raw, key=mall.key)
    assert (response.status_code, decoded(response)["code"]) == (status, code)


@pytest.mark.parametrize(
    "where",
    [
        lambda body, number: body["lines"][0].update(sku=number),
        lambda body, number: body["lines"][0].update(title=f"paid with {number}, thanks"),
        lambda body, number: body.update(customer={"ref": number}),
        lambda body, number: body["facts"].update({"card.number": int(number.replace(" ", ""))}),
        lambda body, number: body.update(note=number),
        lambda body, number: body["facts"].update({number: True}),
    ],
)
@pytest.mark.parametrize("number", ["4111 1111 1111 1111", "6222021234567890128", "378282246310005"])
def test_what_could_be_a_cards_number_is_refused_never_echoed_never_logged(mall, call, where, number, caplog):
    from fenqi_server.api.reading import looks_like_card

    if not looks_like_card(number):
        number = next(n for n in (str(int(number) + i) for i in range(10)) if looks_like_card(n))
    body = mall.body()
    where(body, number)
    with caplog.at_level(logging.DEBUG):
        response = call("POST", URL, body, key=mall.key)
    assert response.status_code == 422
    assert decoded(response)["code"] == "card_number"
    plain = number.replace(" ", "")
    assert plain not in response.content.decode().replace(" ", "")
    assert plain not in caplog.text.replace(" ", "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"title": "Phone"', r'"title": "\u0034111111111111111"'),
        ('"title": "Phone"', r'"title": "4111\u00201111\u002d11111111"'),
        ('"title": "Phone"', '"title": "４１１１１１１１１１１１１１１１"'),
        ('"title": "Phone"', r'"title": "\uFF14111111111111111"'),
        ('"customer.age"', r'"\u0034111111111111111"'),
        ('"quantity": 1', '"quantity": 4111111111111111.0'),
    ],
)
def test_a_cards_number_in_another_spelling_is_refused_too(mall, call, old, new):
    body = json.dumps(mall.body())
    assert old in body
    response = call("POST", URL, body.replace(old, new).encode(), key=mall.key)
    assert (response.status_code, decoded(response)["code"]) == (422, "card_number")
    assert "111111111" not in response.content.decode()


@pytest.mark.parametrize(
    "pointer", ["/coupon", "/ship_to", "/last_used_family", "/lines/0/title", "/lines/0/sku"]
)
def test_text_that_cannot_be_stored_is_refused_and_not_decided(mall, call, pointer):
    body = mall.body()
    if pointer.startswith("/lines"):
        body["lines"][0][pointer.rpartition("/")[2]] = "a\x00b"
    else:
        body[pointer[1:]] = "a\x00b"
    response = call("POST", URL, body, key=mall.key)
    assert (response.status_code, decoded(response)["errors"][0]["pointer"]) == (422, pointer)


def test_an_amount_that_happens_to_pass_luhn_is_an_amount(mall, call):
    body = mall.body(lines=[line_json(PHONE, unit_price_minor=4_111_111_111_111_111)])
    problem = decoded(call("POST", URL, body, key=mall.key))
    assert problem["code"] == "request_invalid"
    assert problem["errors"][0]["pointer"] == "/lines/0/unit_price_minor"


def test_the_same_answer_as_the_engines_own_document(mall, call, at):
    from fenqi.checkout.document import evaluation_document
    from fenqi_server.decisions import service

    answer = decoded(call("POST", URL, mall.body(), key=mall.key))
    decision = service.load(answer["decision"], shop=mall.shop)
    import msgspec

    plain = json.loads(msgspec.json.encode(evaluation_document(decision.policy, decision.evaluation)))
    for offer in answer["offers"]:
        offer["quote"] = None
    # But for its name, and for what that means: the service has signed this one.
    assert answer | {"decision": None, "indicative": True} == plain


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_says_which_are_allowed(mall, call, method):
    response = call(method, URL, key=mall.key)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert decoded(response)["code"] == "method_not_allowed"


def test_an_address_that_is_none_is_a_problem_too(mall, call):
    response = call("GET", "/v1/nothing", key=mall.key)
    assert (response.status_code, decoded(response)["code"]) == (404, "not_found")


def test_an_unforeseen_error_says_a_number_and_nothing_else(mall, call, monkeypatch, caplog):
    from fenqi_server.decisions import service

    def broken(*_, **__):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(service, "evaluate", broken)
    response = call("POST", URL, mall.body(), key=mall.key)
    problem = decoded(response)
    assert (response.status_code, problem["code"]) == (500, "internal")
    assert "secret inside" not in response.content.decode()
    assert problem["trace_id"] in caplog.text
