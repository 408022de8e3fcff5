"""Leases and pledges of the shop's own over HTTP: once, refused with the way out, and never another shop's."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from tests.api.world import AT, decoded, make_world
from tests.engine.contracts.test_leases import DESK, PHONE
from tests.servicing.opened import make_customer, open_one

from fenqi.terms.plan import Plan
from fenqi_server import clock
from fenqi_server.books.proof import prove_shop
from fenqi_server.servicing import closing, service
from fenqi_server.shops import service as shops

ENDPOINTS = (
    ("lease/hand-over", {}, "contracts:write"),
    ("lease/return", {}, "contracts:write"),
    ("lease/inspection", {"finding": "fine"}, "servicing:write"),
    ("lease/renewal", {"periods": 1, "consent": "c"}, "contracts:write"),
    ("lease/buyout-preview", {}, "contracts:read"),
    ("lease/buyout", {"price_minor": 1, "consent": "c"}, "contracts:write"),
    ("lease/deposit-hold", {"authorisation": "a", "amount_minor": 1}, "contracts:write"),
    (
        "lease/deposit-application",
        {"application_id": "a", "amount_minor": 1, "reason": "late"},
        "servicing:write",
    ),
    ("lease/deposit-release", {}, "contracts:write"),
    ("pledge/authorisation", {"authorisation": "a", "amount_minor": 1}, "contracts:write"),
    ("pledge/capture", {"payment_ref": "p"}, "payments:write"),
    ("pledge/release", {}, "contracts:write"),
)


@pytest.fixture
def staff(mall):
    """A key that may decide: given by its name alone."""
    return shops.create_key(mall.shop, "back office", at=AT, scopes=("servicing:write",))


@pytest.fixture
def contract(mall):
    """12 rents of 400.00 in arrears, deposit 1,000.00, for a phone of 4,900.00."""
    plan = Plan("rent_12", "rent", "mall", "operating_lease", 12, PHONE)
    return open_one(mall.shop, make_customer(mall.shop, "u-9"), plan, 490_000, at=AT)


@pytest.fixture
def send(mall, call, contract):
    numbers = iter(range(1, 10_000))

    def post(path, body, *, key=None, named=None, of=contract, days=0):
        headers = {"Idempotency-Key": named or f"k-{next(numbers)}"}
        with clock.pinned(AT + timedelta(days=days)):
            return call("POST", f"/v1/contracts/{of}/{path}", body, key=key or mall.key, headers=headers)

    return post


def test_a_phone_is_handed_over_rented_and_bought_over_http(mall, call, contract, send):
    refused = decoded(send("lease/hand-over", {}))
    assert (refused["code"], refused["way_out"]) == ("cannot_follow", "let it be paid first")
    assert refused["messages"]["zh-CN"].startswith("押金¥1,000.00中已收¥0.00")
    paid = {"amount_minor": 100_000, "currency": "CNY", "payment_ref": "deposit", "kind": "received"}
    assert send("payments", paid).status_code == 201
    body = {"cost_minor": 480_000, "residual_minor": 120_000}
    first = send("lease/hand-over", body, named="out")
    assert first.status_code == 201, first.content
    assert send("lease/hand-over", body, named="out").content == first.content
    assert send("lease/hand-over", {"cost_minor": 1}, named="out").status_code == 422
    out = decoded(first)["contract"]
    assert (out["lease"]["asset_minor"], out["lease"]["deposit_held_minor"]) == (480_000, 100_000)
    assert [row["rent_minor"] for row in out["rows"]] == [0, *[40_000] * 12]
    for row in out["rows"][1:7]:
        days = (service.get(mall.shop, contract, at=AT).state.rows[row["number"]].due_on - AT.date()).days
        closing.close_day(mall.shop, AT.date() + timedelta(days=days), AT + timedelta(days=days))
        rent = {
            "amount_minor": 40_000,
            "currency": "CNY",
            "payment_ref": f"r-{row['number']}",
            "kind": "received",
        }
        applied = decoded(send("payments", rent, days=days))["parts"]
        assert [(part["row"], part["rent_minor"]) for part in applied] == [(row["number"], 40_000)]
    offer = decoded(send("lease/buyout-preview", {}, days=days))
    assert (offer["price_minor"], offer["deposit_credited_minor"], offer["to_pay_minor"]) == (
        250_000,
        100_000,
        150_000,
    )
    changed = decoded(send("lease/buyout", {"price_minor": 240_000, "consent": "click-1"}, days=days))
    assert (changed["code"], changed["owed_minor"]) == ("price_changed", 250_000)
    bought = decoded(send("lease/buyout", {"price_minor": 250_000, "consent": "click-1"}, days=days))
    assert bought["buyout"] == offer
    assert bought["act"]["contract"]["balance_minor"] == 150_000
    last = {"amount_minor": 150_000, "currency": "CNY", "payment_ref": "last", "kind": "request"}
    assert decoded(send("payments", last, days=days))["contract"]["status"] == "closed"
    assert prove_shop(mall.shop).problems == ()


def test_goods_come_back_and_are_inspected_by_a_key_that_may_decide(mall, contract, send, staff):
    service.pay(mall.shop, contract, 100_000, "received", "deposit", AT)
    send("lease/hand-over", {})
    early = decoded(send("lease/return", {}, days=30))
    assert early["code"] == "cannot_follow"
    assert "minimum term" in early["rule"]
    assert decoded(send("lease/return", {}, days=200))["contract"]["lease"]["awaits"] == "inspection"
    said = {"finding": "a scratch", "deduction_minor": 5_000, "reason": "screen"}
    assert send("lease/inspection", said, days=201, key=staff).status_code == 422
    said["evidence"] = "photo-1"
    done = decoded(send("lease/inspection", said, days=201, key=staff))
    assert done["event"]["says"]["evidence"] == "photo-1"
    released = decoded(send("lease/deposit-release", {}, days=203))
    assert released["contract"]["refund_due_minor"] == 95_000
    assert prove_shop(mall.shop).problems == ()


def test_a_pledge_is_captured_or_refused_once_released(mall, send):
    plan = msgspec.structs.replace(DESK, funder="mall")
    customer = make_customer(mall.shop, "u-8")
    pledge = open_one(mall.shop, customer, plan, 59_900, at=AT)
    said = decoded(send("pledge/authorisation", {"authorisation": "a", "amount_minor": 59_900}, of=pledge))
    assert (said["contract"]["pledge"]["stage"], said["contract"]["balance_minor"]) == ("pledged", 0)
    assert decoded(send("pledge/release", {"reason": "too few"}, of=pledge))["contract"]["status"] == "closed"
    refused = decoded(send("pledge/capture", {"payment_ref": "p"}, of=pledge, days=69))
    assert refused["code"] == "cannot_follow"
    assert refused["state"].startswith("the pledge was released on")
    assert refused["rule"] == "it must not have been released: its authorisation is void"
    assert refused["way_out"] == "make a contract of its own, and have it authorised"


def test_what_a_key_may_not_do_and_what_is_another_shops(mall, contract, send):
    theirs = shops.create_key(make_world("other").shop, "theirs", at=AT, scopes=shops.SCOPES)
    mine = shops.create_key(mall.shop, "mine", at=AT, scopes=shops.SCOPES)
    for path, body, scope in ENDPOINTS:
        others = tuple(each for each in shops.SCOPES if each != scope)
        without = shops.create_key(mall.shop, path[-20:], at=AT, scopes=others)
        assert send(path, body, key=without).status_code == 403, path
        assert send(path, body, key=theirs).status_code == 404, path
        assert send(path, body, key=mine, of="ct_nothing").status_code == 404, path
        assert send(path, body | {"more": 1}, key=mine).status_code in (400, 422), path
