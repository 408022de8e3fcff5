"""What happens to a contract after it was agreed, over HTTP: once, refused with the way out, and never another shop's."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from tests.api.world import AT, decoded, make_world
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import make_customer, open_one

from fenqi.terms.agreed import PayoffTerms
from fenqi_server import clock
from fenqi_server.books.proof import prove_shop
from fenqi_server.console import people
from fenqi_server.policies import audit
from fenqi_server.servicing import acts, requests
from fenqi_server.servicing.service import Refusal
from fenqi_server.shops import service as shops


@pytest.fixture
def staff(mall):
    """A key that may decide: given by its name alone."""
    return shops.create_key(mall.shop, "back office", at=AT, scopes=("servicing:write", "contracts:read"))


@pytest.fixture
def contract(mall):
    """12 x (500.00 + 36.00), made yesterday."""
    return open_one(
        mall.shop,
        make_customer(mall.shop, "u-9"),
        at=AT - timedelta(days=1),
        payoff=PayoffTerms(fees="to_period_end"),
    )


@pytest.fixture
def send(mall, call, contract):
    numbers = iter(range(1, 10_000))

    def post(path: str, body: dict, *, key: str | None = None, named: str | None = None, of: str = contract):
        address = path if path.startswith("/") else f"/v1/contracts/{of}/{path}"
        headers = {"Idempotency-Key": named or f"k-{next(numbers)}"}
        return call("POST", address, body, key=key or mall.key, headers=headers)

    return post


@pytest.fixture
def look(mall, call, contract):
    def get(path: str = "", *, key: str | None = None, of: str = contract):
        address = path if path.startswith("/v1") else f"/v1/contracts/{of}{path}"
        return call("GET", address, key=key or mall.key)

    return get


def paying(minor: int, ref: str = "p-1", kind: str = "received", **more):
    return {"amount_minor": minor, "currency": "CNY", "kind": kind, "payment_ref": ref} | more


# ------------------------------------------------------------------------------------------------ paying off


def test_a_quote_then_the_payment_that_settles_by_it(mall, send, look):
    first = send("payoff-quotes", {}, named="q")
    assert first.status_code == 201, first.content
    quote = decoded(first)
    # 6,000.00 and the 36.00 of the month that runs; the other 396.00 are saved.
    assert (quote["to_pay_minor"], quote["saving_minor"], quote["state"]) == (603_600, 39_600, "open")
    assert send("payoff-quotes", {}, named="q").content == first.content
    assert decoded(send("payoff-quotes", {})) == quote, "another key: the quote that stands"
    done = send("payments", paying(603_600, kind="request", settles=quote["quote_id"]))
    assert done.status_code == 201, done.content
    assert (decoded(done)["contract"]["status"], decoded(done)["contract"]["balance_minor"]) == ("closed", 0)
    (known,) = decoded(look("/payoff-quotes"))["quotes"]
    assert known["state"] == "settled"
    assert decoded(look(f"/payoff-quotes/{quote['quote_id']}")) == known
    assert look("/payoff-quotes/pq_no").status_code == 404
    again = send("payoff-quotes", {})
    assert (again.status_code, decoded(again)["state"]) == (409, "the contract is closed")
    assert prove_shop(mall.shop).ok


def test_an_expired_quote_is_refused_with_the_way_out_and_money_by_it_is_booked(send):
    quote = decoded(send("payoff-quotes", {}))
    with clock.pinned(AT + timedelta(days=8)):
        body = paying(603_600, kind="request", settles=quote["quote_id"])
        refused = send("payments", body)
        problem = decoded(refused)
        assert (refused.status_code, problem["code"]) == (409, "quote_expired")
        assert problem["errors"][0]["way_out"] == "ask for a new one"
        assert "重新获取报价" in problem["messages"]["zh-CN"]
        booked = decoded(send("payments", body | {"kind": "received"}))
        assert (booked["applied_minor"], booked["contract"]["balance_minor"]) == (603_600, 39_600)


def test_a_payment_of_before_the_quote_is_not_asked_for_by_it(send, look):
    quote = decoded(send("payoff-quotes", {}))
    before = (AT - timedelta(days=1)).date().isoformat()
    body = paying(603_600, kind="request", settles=quote["quote_id"], occurred_on=before)
    refused = send("payments", body)
    assert (refused.status_code, decoded(refused)["code"]) == (409, "quote_unknown")
    # Taken so, it would have paid an ordinary payment, and left what the quote spares.
    assert decoded(look())["balance_minor"] == 643_200
    assert decoded(send("payments", body | {"occurred_on": None}))["contract"]["balance_minor"] == 0


def test_a_payoff_and_a_payment_at_once_are_one_after_the_other(committed_mall):
    from django.test import Client

    shop = committed_mall.shop
    contract = open_one(shop, make_customer(shop, "u-9"), FREE_3, at=AT - timedelta(days=1))
    client = Client(raise_request_exception=False)
    headers = {"Authorization": f"Bearer {committed_mall.key}"}

    def post(path: str, body: dict, key: str):
        return client.generic(
            "POST",
            f"/v1/contracts/{contract}/{path}",
            json.dumps(body).encode(),
            content_type="application/json",
            headers=headers | {"Idempotency-Key": key},
        )

    quote = decoded(post("payoff-quotes", {}, "q"))
    bodies = [
        paying(600_000, "p-1", "request", settles=quote["quote_id"]),
        paying(200_000, "p-2", "request"),
    ]
    answers: list[int] = []
    ready = threading.Barrier(2)

    def pay(number: int) -> None:
        ready.wait()
        try:
            answers.append(post("payments", bodies[number], f"k-{number}").status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=pay, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whichever comes second is refused: more than is owed, or a quote of before.
    assert sorted(answers) == [201, 409]
    report = prove_shop(shop)
    assert report.ok, report.problems
    assert report.totals[0].accounts.get("unapplied_cash", 0) == 0


# ------------------------------------------------------------------------------------------------ goods


def test_a_return_is_looked_at_done_once_and_paid_out(mall, send, call, contract, look):
    send("payments", paying(603_600))
    seen = decoded(
        call("POST", f"/v1/contracts/{contract}/return-preview", {"amount_minor": 120_000}, key=mall.key)
    )
    # 396.00 are owed; the 1,200.00 go first to what is open of the price, which is 396.00 less the fees in it.
    assert seen["contract"] is None
    assert seen["settled_minor"] + seen["refund_minor"] == 120_000
    assert len(decoded(look())["payments"]) == 1
    body = {"return_id": "r-1", "amount_minor": 120_000}
    first = send("returns", body, named="r")
    assert first.status_code == 201, first.content
    done = decoded(first)
    assert [row["total_minor"] for row in done["rows_after"]] == [
        row["total_minor"] for row in seen["rows_after"]
    ]
    assert send("returns", body, named="r").content == first.content
    assert send("returns", body | {"amount_minor": 1}, named="r").status_code == 422
    again = decoded(send("returns", body))
    assert (again["repeated"], again["refund_minor"]) == (True, done["refund_minor"])
    used = send("returns", body | {"amount_minor": 130_000})
    assert (used.status_code, decoded(used)["code"]) == (409, "reference_reused")
    due = decoded(look())["refund_due_minor"]
    (listed,) = decoded(look("/v1/contracts?refund_due=true"))["contracts"]
    assert listed["refund_due_minor"] == due
    assert due == done["refund_minor"] > 0
    refund = {"refund_id": "f-1", "amount_minor": due + 1, "currency": "CNY"}
    too_much = send("refunds", refund)
    assert (too_much.status_code, decoded(too_much)["code"]) == (409, "cannot_follow")
    assert decoded(send("refunds", refund | {"amount_minor": due}))["contract"]["refund_due_minor"] == 0
    assert decoded(look("/v1/contracts?refund_due=true"))["contracts"] == []
    assert send("refunds", refund | {"currency": "USD"}).status_code == 422
    assert prove_shop(mall.shop).ok


def test_a_return_and_a_payment_may_be_called_preview_like_any_other(mall, send, call, contract):
    send("payments", paying(603_600, "preview"))
    assert send("returns", {"return_id": "preview", "amount_minor": 1_000}).status_code == 201
    seen = call("POST", f"/v1/contracts/{contract}/return-preview", {"amount_minor": 1_000}, key=mall.key)
    assert seen.status_code == 200, seen.content


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2026-11-25", "9999-12-31"])
def test_nothing_happened_in_another_age_or_on_a_day_to_come(send, day):
    for path, body in (
        ("payments", paying(100, kind="received")),
        ("shipments", {}),
        ("returns", {"return_id": "r", "amount_minor": 100}),
    ):
        answer = send(path, body | {"occurred_on": day})
        assert (answer.status_code, decoded(answer)["errors"][0]["pointer"]) == (422, "/occurred_on"), path
        assert decoded(answer)["errors"][0]["expected"] == "1970-01-01 to 2026-11-24"


def test_an_idempotency_key_is_one_within_a_customer_and_an_api_key(mall, send, contract, at):
    """As docs/api.md has it."""
    own = open_one(mall.shop, make_customer(mall.shop, "u-9"), at=AT, order_ref="order-2")
    others = open_one(mall.shop, make_customer(mall.shop, "u-10"), at=AT, order_ref="order-3")
    assert send("payments", paying(100), named="k").status_code == 201
    reused = send("payments", paying(100), named="k", of=own)
    assert (reused.status_code, decoded(reused)["code"]) == (422, "idempotency_key_reused")
    assert send("payments", paying(100), named="k", of=others).status_code == 201
    second = shops.create_key(mall.shop, "till", at=AT)
    assert send("payments", paying(100), named="k", of=own, key=second).status_code == 201


def test_more_than_was_bought_is_refused_with_state_rule_and_way_out(send, look):
    refused = send("returns", {"return_id": "r-1", "amount_minor": 600_001})
    problem = decoded(refused)
    assert refused.status_code == 409
    assert problem["state"] == "goods of ¥6,000.01 go back (¥0.00 of them of other sellers)"
    assert (
        problem["rule"] == "no more than was bought and not returned yet: ¥6,000.00 (¥0.00 of other sellers)"
    )
    assert problem["way_out"] == "return what was bought, at the price it was bought for"
    assert "¥6,000.00" in problem["messages"]["zh-CN"]
    assert decoded(look())["balance_minor"] == 643_200
    assert (
        send("returns", {"return_id": "r", "amount_minor": 1, "for_other_sellers_minor": 2}).status_code
        == 422
    )


def test_a_sale_is_called_off_until_it_is_shipped(mall, send):
    other = open_one(mall.shop, make_customer(mall.shop, "u-2"), at=AT)
    send("payments", paying(53_600))
    done = decoded(send("cancellation", {"reason": "changed my mind"}))
    assert (done["contract"]["status"], done["contract"]["refund_due_minor"]) == ("closed", 53_600)
    shipped = decoded(send("shipments", {"shipment_id": "s-1"}, of=other))
    assert shipped["contract"]["shipped_on"] == AT.date().isoformat()
    refused = send("cancellation", {}, of=other)
    assert (refused.status_code, decoded(refused)["way_out"]) == (409, "take the goods back instead")


def test_another_due_day_is_looked_at_and_then_done(mall, call, send, contract, look):
    address = f"/v1/contracts/{contract}/due-day-preview"
    seen = decoded(call("POST", address, {"day": 28}, key=mall.key))
    assert (seen["rows"][0]["before"], seen["rows"][0]["after"]) == ("2026-12-23", "2026-12-28")
    assert seen["cost_minor"] == 0
    assert decoded(send("due-day", {"day": 28})) == seen
    assert decoded(look())["next_due_on"] == "2026-12-28"
    late = send("due-day", {"day": 25})
    assert (late.status_code, decoded(late)["code"]) == (409, "due_day_changed_lately")
    assert send("due-day", {"day": 32}).status_code == 422


# ------------------------------------------------------------------------------------------------ requests


def hardship(months: int = 3):
    return {"asked": {"type": "hardship", "reason": "income", "months": months}, "said": "lost my job"}


def test_hardship_is_asked_for_and_decided(mall, call, send, staff, look, contract):
    made = send("requests", hardship(), named="h")
    assert made.status_code == 201, made.content
    asked = decoded(made)
    assert (asked["state"], asked["asked_by"], asked["said"]) == ("open", "customer", "lost my job")
    address = f"/v1/requests/{asked['request_id']}"
    act = {"act": {"type": "pause", "periods": 2}}
    narrow = send(f"{address}/approve", act)
    assert (narrow.status_code, "servicing:write" in decoded(narrow)["detail"]) == (403, True)
    seen = decoded(call("POST", f"/v1/contracts/{contract}/relief-preview", act, key=mall.key))
    assert (seen["rows_after"][0]["due_on"], seen["balance_change_minor"]) == ("2027-02-23", 0)
    assert send(f"{address}/approve", {}, key=staff).status_code == 422
    done = send(f"{address}/approve", act | {"note": "two months"}, key=staff, named="a")
    assert done.status_code == 201, done.content
    assert decoded(done)["decided_by"].startswith("key:")
    assert (
        send(f"{address}/approve", act | {"note": "two months"}, key=staff, named="a").content == done.content
    )
    assert decoded(look())["next_due_on"] == "2027-02-23"
    late = send(f"{address}/withdraw", None)
    assert (late.status_code, decoded(late)["code"]) == (409, "not_open")
    assert decoded(look(f"/v1/requests/{asked['request_id']}"))["state"] == "approved"
    assert decoded(look("/requests"))["requests"][0]["done"] == {
        "type": "pause",
        "periods": 2,
        "interest": "runs",
    }


def test_a_return_is_asked_for_taken_back_and_asked_for_again(send, staff, look):
    line = {"sku": "lamp", "title": "Lamp", "quantity": 1, "amount_minor": 60_000}
    body = {"asked": {"type": "return", "amount_minor": 60_000, "lines": [line], "reason": "defective"}}
    first = decoded(send("requests", body))
    other = send("requests", {"asked": body["asked"] | {"lines": [], "amount_minor": 1}})
    assert (other.status_code, decoded(other)["code"]) == (409, "request_open")
    assert decoded(send(f"/v1/requests/{first['request_id']}/withdraw", None))["state"] == "withdrawn"
    second = decoded(send("requests", body))
    done = decoded(send(f"/v1/requests/{second['request_id']}/approve", {}, key=staff))
    assert (done["state"], done["event_seq"]) == ("approved", 2)
    assert decoded(look())["returned_minor"] == 60_000
    third = decoded(send("requests", body))
    declined = decoded(
        send(f"/v1/requests/{third['request_id']}/decline", {"note": "it was used"}, key=staff)
    )
    assert (declined["state"], declined["note"]) == ("declined", "it was used")
    assert send("requests", {"asked": body["asked"] | {"amount_minor": 60_001}}).status_code == 422
    assert send("requests", {"asked": body["asked"] | {"colour": "red"}}).status_code == 422


def test_pages_of_requests_hold_each_once_while_more_are_asked(mall, send, look):
    contracts = [open_one(mall.shop, make_customer(mall.shop, f"c-{n}"), at=AT) for n in range(5)]
    made = []
    for number, each in enumerate(contracts[:4]):
        with clock.pinned(AT + timedelta(seconds=number)):
            made.append(decoded(send("requests", hardship(), of=each))["request_id"])
    first = decoded(look("/v1/requests?state=open&limit=3"))
    with clock.pinned(AT + timedelta(minutes=1)):
        send("requests", hardship(), of=contracts[4])
    rest = decoded(look(f"/v1/requests?state=open&limit=3&after={first['after']}"))
    assert [each["request_id"] for each in first["requests"] + rest["requests"]] == made[::-1]
    assert rest["after"] is None
    assert look("/v1/requests?limit=0").status_code == 422
    assert look("/v1/requests?state=lost").status_code == 422
    assert look("/v1/requests?after=rq_no").status_code == 422


def test_what_a_key_may_give_away_and_what_waits_for_the_console(mall, send, staff, look):
    body = {"reference": "g-1", "amount_minor": 50_000, "reason": "late parcel"}
    assert decoded(send("goodwill", body, key=staff))["state"] == "approved"
    assert decoded(send("goodwill", body, key=staff))["state"] == "approved"
    assert decoded(look())["balance_minor"] == 593_200
    waits = decoded(send("goodwill", body | {"reference": "g-2", "amount_minor": 50_001}, key=staff))
    assert (waits["state"], waits["needs_second"]) == ("open", True)
    second = send(f"/v1/requests/{waits['request_id']}/approve", {}, key=staff)
    assert (second.status_code, decoded(second)["code"]) == (409, "second_person")
    requests.approve(mall.shop, waits["request_id"], AT, actor="wu")
    assert decoded(look())["balance_minor"] == 543_199
    waiver = {"reference": "w-1", "part": "penalty", "amount_minor": 1, "reason": "x"}
    assert send("waivers", waiver, key=staff).status_code == 409
    assert decoded(send("write-off", {"reference": "l-1", "reason": "gone"}, key=staff))["state"] == "open"
    assert prove_shop(mall.shop).ok


def test_staff_acts_over_the_api(mall, send, staff, look):
    send("payments", paying(10_000))
    part = {"row": 3, "part": "principal", "amount_minor": 10_000}
    told = {"payment_ref": "p-1", "parts": [part], "reason": "said so"}
    assert decoded(send("instructions", told, key=staff))["contract"]["rows"][2]["paid_minor"] == 10_000
    unknown = send("instructions", told | {"payment_ref": "p-9"}, key=staff)
    assert (unknown.status_code, decoded(unknown)["code"]) == (409, "cannot_follow")
    charge = {"charge_id": "c-1", "part": "fee", "amount_minor": 100, "code": "letter", "reason": "x"}
    assert "table of costs" in decoded(send("charges", charge, key=staff))["rule"]
    for year in ("0001", "9999"):
        far = send("charges", charge | {"due_on": f"{year}-12-31"}, key=staff)
        assert (far.status_code, decoded(far)["rule"]) == (
            *(409, "it has to be between 24 Nov 2025 and 24 Nov 2036"),
        )
    early = send("acceleration", {"demanded_on": "2026-11-01", "reason": "x"}, key=staff)
    assert (early.status_code, "民法典634" in decoded(early)["messages"]["en"]) == (409, True)
    with clock.pinned(AT + timedelta(days=100)):
        relief = {"act": {"type": "re_age", "periods": 24, "first_due_on": "2027-04-01"}, "reason": "ill"}
        done = decoded(send("relief", relief, key=staff))
        assert done["contract"]["next_due_on"] == "2027-04-01"
        acts.write_off(mall.shop, done["contract"]["contract_id"], clock.now(), actor="wu", reason="gone")
        recovered = {"payment_ref": "c-1", "amount_minor": 500, "cost_minor": 100}
        assert decoded(send("recoveries", recovered))["contract"]["recovered_minor"] == 500
    assert prove_shop(mall.shop).ok


# ------------------------------------------------------------------------------------------------ unapplied cash


def test_money_beyond_the_debt_and_money_of_nobody_go_back(mall, send, look):
    send("payments", paying(643_900))
    back = {"refund_id": "f-1", "amount_minor": 701}
    assert send("unapplied-refunds", back).status_code == 409
    assert (
        decoded(send("unapplied-refunds", back | {"amount_minor": 700}))["contract"]["unapplied_minor"] == 0
    )
    send("payments", paying(5_000, "bank-9"), of="order-9")
    (waiting,) = decoded(look("/v1/unapplied-cash"))["money"]
    address = f"/v1/unapplied-cash/{waiting['unapplied_id']}"
    undone = send(f"{address}/undo-match", {"reason": "x"})
    assert (undone.status_code, decoded(undone)["code"]) == (409, "not_matched")
    contract = open_one(mall.shop, make_customer(mall.shop, "u-2"), at=AT)
    send(f"{address}/match", {"contract_id": contract})
    undone = decoded(send(f"{address}/undo-match", {"reason": "the wrong order"}))
    assert undone["contract"]["balance_minor"] == 643_200
    assert send(f"{address}/refund", {"refund_id": "f-2", "reason": "sent twice"}).status_code == 201
    assert decoded(look("/v1/unapplied-cash"))["money"] == []
    assert prove_shop(mall.shop).ok


def test_what_had_paid_goes_back_and_is_owed_again(mall, send, look):
    send("payments", paying(53_600))
    back = {"refund_id": "f-1", "amount_minor": 50_000, "reason": "paid too early"}
    done = decoded(send("pay-backs", back))
    assert (done["event"]["kind"], done["contract"]["balance_minor"]) == ("paid_back", 639_600)
    assert decoded(send("pay-backs", back))["repeated"]
    more = send("pay-backs", back | {"refund_id": "f-2", "amount_minor": 3_601})
    assert (more.status_code, decoded(more)["code"]) == (409, "above_paid")
    assert send("pay-backs", {"refund_id": "f-3", "amount_minor": 1}).status_code == 422
    send("payments", paying(60_000, "p-2"))
    waits = send("pay-backs", back | {"refund_id": "f-4", "amount_minor": 50_001})
    assert (waits.status_code, decoded(waits)["kind"]) == (202, "pay_back")
    assert prove_shop(mall.shop).ok


def test_the_key_of_one_who_works_here_no_more_opens_nothing(mall, look):
    user = people.add("ann")
    people.grant(mall.shop, user, "support", AT, "cli")
    key = shops.create_key(mall.shop, "ann's own", at=AT, scopes=("contracts:read",), held_by="ann")
    assert look(key=key).status_code == 200
    people.close(user)
    shops.forget_caches()
    assert look(key=key).status_code == 401
    people.open_again(user)
    assert look(key=key).status_code == 200
    people.take_away(mall.shop, user, "support")
    shops.forget_caches()
    assert look(key=key).status_code == 401


def test_nobody_is_two_people_with_a_key_of_their_own(mall, send, look):
    ann = people.add("ann")
    people.grant(mall.shop, ann, "support", AT, "cli")
    one, other = (
        shops.create_key(mall.shop, label, at=AT, scopes=("servicing:write", "contracts:read"), held_by="ann")
        for label in ("ann's own", "ann's other")
    )
    body = {"reference": "g-1", "amount_minor": 60_000, "reason": "late parcel"}
    waits = decoded(send("goodwill", body, key=one, named="same"))
    assert (waits["state"], waits["needs_second"]) == ("open", True)
    asked = waits["request_id"]
    assert requests.get(mall.shop, asked).asked_by == "staff:ann"
    with pytest.raises(Refusal) as own:
        requests.approve(mall.shop, asked, AT, actor="staff:ann")
    assert own.value.code == "own_request"
    # Each key has idempotency keys of its own: this is no repetition, and the request of both is one.
    again = send("goodwill", body, key=other, named="same")
    assert (decoded(again)["request_id"], again.headers.get("Idempotent-Replayed")) == (asked, None)
    assert requests.approve(mall.shop, asked, AT, actor="staff:bob").state == "approved"
    assert decoded(look())["balance_minor"] == 583_200

    # Nor the other way round: asked for in the console, agreed to with the key.
    mine = requests.Concession(kind="goodwill", reference="g-2", amount_minor=60_000, reason="late again")
    waits = requests.concede(mall.shop, waits["contract_id"], mine, AT, actor="staff:ann")
    refused = send(f"/v1/requests/{waits.request_id}/approve", {}, key=one)
    assert (refused.status_code, decoded(refused)["code"]) == (409, "second_person")
    assert requests.get(mall.shop, waits.request_id).state == "open"
    named = {entry.actor for entry in audit.entries(mall.shop) if entry.act.startswith("request.")}
    assert named == {"staff:ann", "staff:bob"}, "by whom, whatever they used"


def test_more_than_one_person_sends_back_or_charges_waits_for_the_console(mall, send, look, staff):
    send("payments", paying(643_200 + 50_001))
    back = {"refund_id": "f-1", "amount_minor": 50_001}
    assert send("unapplied-refunds", back).status_code == 422, "whoever agrees has to read why"
    waits = send("unapplied-refunds", back | {"reason": "paid twice"})
    assert waits.status_code == 202, waits.content
    said = decoded(waits)
    assert (said["kind"], said["state"], said["needs_second"]) == ("held_refund", "open", True)
    assert decoded(look())["unapplied_minor"] == 50_001
    agreed = send(f"/v1/requests/{said['request_id']}/approve", {}, key=staff)
    assert (agreed.status_code, decoded(agreed)["code"]) == (409, "second_person")
    requests.approve(mall.shop, said["request_id"], AT, actor="wu")
    assert decoded(look())["unapplied_minor"] == 0
    again = send("unapplied-refunds", back | {"reason": "paid twice"})
    assert (again.status_code, decoded(again)["repeated"]) == (201, True)
    send("payments", paying(53_600, "bank-9"), of="order-9")
    (money,) = decoded(look("/v1/unapplied-cash"))["money"]
    waits = send(f"/v1/unapplied-cash/{money['unapplied_id']}/refund", {"refund_id": "f-2", "reason": "x"})
    assert (waits.status_code, decoded(waits)["contract_id"]) == (202, None)
    listed = decoded(look("/v1/requests?state=open&kind=unmatched_refund"))["requests"]
    assert [each["asked"]["unapplied_id"] for each in listed] == [money["unapplied_id"]]
    gone = send(f"/v1/requests/{listed[0]['request_id']}/decline", {"note": "it is ours"}, key=staff)
    assert decoded(gone)["state"] == "declined"
    assert decoded(look("/v1/unapplied-cash"))["money"] == [money]
    assert prove_shop(mall.shop).ok


# ------------------------------------------------------------------------------------------------ why, and whose


def test_why_a_figure_changed_is_told_row_by_row_with_what_was_learnt(send, look):
    with clock.pinned(AT + timedelta(hours=1)):
        send("payments", paying(53_600, "p-1", occurred_on="2026-11-24"))
    with clock.pinned(AT + timedelta(days=2)):
        send("payments", paying(10_000, "p-0", occurred_on="2026-11-23"))
        since = (AT + timedelta(hours=2)).isoformat().replace("+", "%2B")
        found = decoded(look(f"/explanation?since={since}"))
    # The earlier payment takes the first row; 100.00 of the later one move on to the second.
    assert (found["balance_before_minor"], found["balance_after_minor"]) == (589_600, 579_600)
    assert [(each["kind"], each["occurred_on"], each["reference"]) for each in found["because"]] == [
        ("payment_received", "2026-11-23", "p-0")
    ]
    assert {(each["row"], each["figure"], each["after"]) for each in found["rows"]} == {
        (2, "fee_paid", 3_600),
        (2, "principal_paid", 6_400),
    }
    (moved,) = [each for each in found["payments"] if each["payment_ref"] == "p-1"]
    assert moved["before"] == [{"row": 1, "amount_minor": 53_600}]
    assert moved["after"] == [{"row": 1, "amount_minor": 43_600}, {"row": 2, "amount_minor": 10_000}]
    assert found["rows"][0]["text"]["zh-CN"].startswith("第2期")
    assert look("/explanation").status_code == 422
    assert look("/explanation?since=2027-01-01T00:00:00Z").status_code == 422


def test_what_is_another_shops_is_not_there_whatever_is_asked(mall, call, send, contract):
    made = decoded(send("requests", hardship()))["request_id"]
    quote = decoded(send("payoff-quotes", {}))["quote_id"]
    other = make_world("other")
    key = shops.create_key(other.shop, "all", at=AT, scopes=shops.SCOPES)
    asked = [
        ("payoff-quotes", {}),
        ("return-preview", {"amount_minor": 1}),
        ("returns", {"return_id": "r", "amount_minor": 1}),
        ("refunds", {"refund_id": "r", "amount_minor": 1, "currency": "CNY"}),
        ("shipments", {}),
        ("cancellation", {}),
        ("due-day-preview", {"day": 3}),
        ("due-day", {"day": 3}),
        (
            "instructions",
            {"payment_ref": "p", "parts": [{"row": 1, "part": "fee", "amount_minor": 1}], "reason": "x"},
        ),
        ("charges", {"charge_id": "c", "part": "fee", "amount_minor": 1, "code": "x", "reason": "x"}),
        ("acceleration", {"demanded_on": "2026-11-01", "reason": "x"}),
        ("relief-preview", {"act": {"type": "re_amortise"}}),
        ("relief", {"act": {"type": "re_amortise"}, "reason": "x"}),
        ("goodwill", {"reference": "g", "amount_minor": 1, "reason": "x"}),
        ("waivers", {"reference": "g", "part": "fee", "amount_minor": 1, "reason": "x"}),
        ("write-off", {"reference": "g", "reason": "x"}),
        ("recoveries", {"payment_ref": "p", "amount_minor": 1}),
        ("unapplied-refunds", {"refund_id": "r", "amount_minor": 1}),
        ("pay-backs", {"refund_id": "r", "amount_minor": 1, "reason": "x"}),
        ("requests", hardship()),
    ]
    for path, body in asked:
        for of in (contract, "ct_nothing"):
            response = send(path, body, key=key, of=of)
            assert (path, response.status_code) == (path, 404), response.content
    for path, body in (("approve", {}), ("decline", {"note": "x"}), ("withdraw", None)):
        assert send(f"/v1/requests/{made}/{path}", body, key=key).status_code == 404
    for path in (
        f"/v1/contracts/{contract}/payoff-quotes",
        f"/v1/contracts/{contract}/payoff-quotes/{quote}",
        f"/v1/contracts/{contract}/requests",
        f"/v1/contracts/{contract}/explanation?since=2026-11-01T00:00:00Z",
        f"/v1/requests/{made}",
    ):
        assert call("GET", path, key=key).status_code == 404, path
    assert decoded(call("GET", "/v1/requests", key=key))["requests"] == []
    assert decoded(call("GET", f"/v1/contracts/{contract}", key=mall.key))["balance_minor"] == 643_200
