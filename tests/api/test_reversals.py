"""POST /v1/contracts/{id}/reversals: a payment taken back, once, and said to the shop."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.api.world import AT, decoded
from tests.servicing.opened import make_customer, open_one

from fenqi_server.books.proof import prove_shop
from fenqi_server.servicing import acts, requests, unapplied
from fenqi_server.servicing import service as servicing


@pytest.fixture
def contract(mall):
    return open_one(mall.shop, make_customer(mall.shop, "u-1"), at=AT - timedelta(days=1))


@pytest.fixture
def reverse(mall, call, contract):
    numbers = iter(range(1, 1_000))

    def send(reference: str, key: str | None = None, *, of: str = contract, **more):
        body = {"payment_ref": reference, "reason": "bounced"} | more
        headers = {"Idempotency-Key": key or f"k-{next(numbers)}"}
        return call("POST", f"/v1/contracts/{of}/reversals", body, key=mall.key, headers=headers)

    return send


def test_what_it_paid_is_owed_again_later_money_moves_up_and_twice_is_once(mall, call, contract, reverse):
    from django.db import connection

    from fenqi_server.outbox import service as outbox

    body = {"url": "https://mall.example/hooks", "events": ["contract.payment_reversed"]}
    assert "contract.payment_reversed" in outbox.EVENTS
    with connection.cursor() as cursor:  # an endpoint whose name need not resolve
        cursor.execute(
            "INSERT INTO outbox_endpoint (shop_id, id, url, events, sealed_secret, created_at)"
            " VALUES (%s, gen_random_uuid(), %s, %s, '', %s)",
            [mall.shop.id, body["url"], body["events"], AT],
        )
    # 53,600 fill the first row, 10,000 go to the second.
    servicing.pay(mall.shop, contract, 53_600, "received", "p-1", AT)
    servicing.pay(mall.shop, contract, 10_000, "received", "p-2", AT)
    first = reverse("p-1", "key")
    assert first.status_code == 201, first.content
    after = decoded(first)
    assert after["balance_minor"] == 643_200 - 10_000
    assert [row["paid_minor"] for row in after["rows"][:2]] == [10_000, 0]
    assert after["payments"][0]["reversed_on"] == AT.date().isoformat()
    assert reverse("p-1", "key").content == first.content
    assert decoded(reverse("p-1"))["balance_minor"] == after["balance_minor"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT body::jsonb -> 'data' ->> 'balance_minor' FROM outbox_message")
        assert cursor.fetchall() == [("633200",)]
    assert prove_shop(mall.shop).ok


def test_a_payment_that_is_not_there_and_a_contract_that_is_not_there(mall, contract, reverse):
    refused = reverse("p-9")
    assert (refused.status_code, decoded(refused)["code"]) == (409, "payment_unknown")
    assert reverse("p-9", of="ct_nothing").status_code == 404
    assert reverse("p-9", reason="because").status_code == 422


def test_what_a_bank_took_back_is_booked_and_what_was_our_error_waits_above_the_limit(
    mall, contract, reverse
):
    for name in ("p-1", "p-2"):
        servicing.pay(mall.shop, contract, 53_600, "received", name, AT)
    assert reverse("p-1", reason="charged_back").status_code == 201
    waits = reverse("p-2", reason="booked_in_error")
    assert (waits.status_code, decoded(waits)["kind"]) == (202, "reversal")
    assert servicing.get(mall.shop, contract, at=AT).state.balance_minor == 643_200 - 53_600
    requests.approve(mall.shop, decoded(waits)["request_id"], AT, actor="wu")
    assert reverse("p-2", reason="booked_in_error").status_code == 201
    assert reverse("p-9", reason="booked_in_error").status_code == 409
    assert servicing.get(mall.shop, contract, at=AT).state.balance_minor == 643_200
    assert prove_shop(mall.shop).ok


def test_what_is_no_money_is_not_taken_back_as_a_payment(mall, contract, reverse):
    who = {"actor": "lin", "reason": "the parcel was late"}
    granted = acts.goodwill(mall.shop, contract, "g-1", 50_000, AT, **who).event.payment_id
    for reason in ("bounced", "booked_in_error"):
        answer = reverse(granted, reason=reason)
        assert (answer.status_code, decoded(answer)["code"]) == (409, "no_money")
    state = servicing.get(mall.shop, contract, at=AT).state
    assert state.balance_minor == 643_200 - 50_000
    assert len(servicing.get(mall.shop, contract, at=AT).events) == 2


def test_money_whose_number_is_one_of_ours_is_booked_under_another(mall, call, contract, reverse):
    who = {"actor": "lin", "reason": "the parcel was late"}
    granted = acts.goodwill(mall.shop, contract, "g-1", 50_000, AT, **who).event.payment_id

    def pay(kind: str, key: str, minor: int = 10_000):
        body = {"amount_minor": minor, "currency": "CNY", "payment_ref": granted, "kind": kind}
        headers = {"Idempotency-Key": key}
        return call("POST", f"/v1/contracts/{contract}/payments", body, key=mall.key, headers=headers)

    asked = pay("request", "a")
    assert (asked.status_code, decoded(asked)["code"]) == (409, "payment_ref_reused")
    first = pay("received", "b")
    assert (first.status_code, decoded(first)["payment_ref"]) == (201, f"{granted} (2)")
    again = pay("received", "c")
    assert decoded(again)["payment_ref"] == f"{granted} (2)"
    assert decoded(pay("received", "d", 9_999))["code"] == "payment_ref_reused"
    assert servicing.get(mall.shop, contract, at=AT).state.balance_minor == 643_200 - 60_000
    # Money of nobody under that number is matched, undone and matched again.
    servicing.pay(mall.shop, "order-9", 3_000, "received", granted, AT, settlement="bank:a")
    money = unapplied.unmatched(mall.shop).money[0].unapplied_id
    with pytest.raises(servicing.Refusal):
        unapplied.match(mall.shop, money, contract, AT)
    assert reverse(f"{granted} (2)").status_code == 201
    assert servicing.get(mall.shop, contract, at=AT).state.balance_minor == 643_200 - 50_000
    assert prove_shop(mall.shop).ok


def test_money_of_nobody_is_matched_whatever_its_number_and_after_an_undone_match(mall, contract):
    who = {"actor": "lin", "reason": "the parcel was late"}
    granted = acts.goodwill(mall.shop, contract, "g-1", 50_000, AT, **who).event.payment_id
    servicing.pay(mall.shop, "order-9", 3_000, "received", granted, AT, settlement="bank:a")
    money = unapplied.unmatched(mall.shop).money[0].unapplied_id
    assert unapplied.match(mall.shop, money, contract, AT).payment_id == f"{granted} (2)"
    assert unapplied.match(mall.shop, money, contract, AT).repeated
    unapplied.undo_match(mall.shop, money, AT, **who)
    assert servicing.get(mall.shop, contract, at=AT).state.balance_minor == 593_200
    unapplied.match(mall.shop, money, contract, AT)
    assert servicing.get(mall.shop, contract, at=AT).state.balance_minor == 590_200
    assert prove_shop(mall.shop).ok
