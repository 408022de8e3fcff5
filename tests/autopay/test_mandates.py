"""Mandates: given for a tool that nobody can misuse, listed, taken back; records that nothing changes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import connection
from tests.api.world import AT, decoded
from tests.servicing.opened import after, make_customer, make_shop, open_one

from fenqi.problems import BadInput
from fenqi_server.autopay import mandates
from fenqi_server.autopay.mandates import Tool
from fenqi_server.servicing.service import NoContract

TOOL = Tool("tok_7f31", "UnionPay", "4242")
CARD = "4111 1111 1111 1111"


def test_a_mandate_is_given_for_all_contracts_or_for_one_and_taken_back_once(db: object) -> None:
    shop = make_shop()
    customer = make_customer(shop)
    one, other = open_one(shop, customer), open_one(shop, customer, order_ref="order-2")
    general = mandates.give(shop, customer, TOOL, 80_000, "autopay-2026-11", after(1))
    own = mandates.give(shop, customer, TOOL, 60_000, "autopay-2026-11", after(2), contract=one)
    assert [each.mandate_id for each in mandates.mandates_of(shop, customer)] == [
        own.mandate_id,
        general.mandate_id,
    ]
    assert [each.mandate_id for each in mandates.mandates_of(shop, customer, contract=other)] == [
        general.mandate_id
    ]
    assert general.contract_id is None
    assert own.contract_id == one
    assert general.stands
    taken = mandates.withdraw(shop, general.mandate_id, after(3))
    assert (taken.withdrawn_at, taken.withdrawn_by, taken.stands) == (after(3), "customer", False)
    assert mandates.withdraw(shop, general.mandate_id, after(4), by="shop") == taken
    with pytest.raises(NoContract):
        mandates.give(shop, make_customer(shop, "c-2"), TOOL, 1, "v1", after(2), contract=one)
    with pytest.raises(mandates.NoMandate):
        mandates.withdraw(make_shop("corner"), own.mandate_id, after(3))


@pytest.mark.parametrize(
    ("tool", "ceiling", "place"),
    [
        (Tool("4111111111111111", "Visa", "1111"), 100, "tool.token"),
        (Tool("tok 4111-1111-1111-1111", "Visa", "1111"), 100, "tool.token"),
        (Tool("tok", CARD, "1111"), 100, "tool.brand"),
        (Tool("tok", "Visa", "4111111111111111"), 100, "tool.last4"),
        (Tool("tok", "Visa", "111"), 100, "tool.last4"),
        (Tool("", "Visa", "1111"), 100, "tool.token"),
        (Tool("tok", "Vi\nsa", "1111"), 100, "tool.brand"),
        (TOOL, 0, "ceiling_minor"),
        (TOOL, -1, "ceiling_minor"),
    ],
)
def test_what_is_no_tool_is_refused_and_the_number_of_a_card_is_never_repeated(
    db: object, tool: Tool, ceiling: int, place: str
) -> None:
    shop = make_shop()
    with pytest.raises(BadInput) as refused:
        mandates.give(shop, make_customer(shop), tool, ceiling, "v1", after())
    assert refused.value.problem.place == place
    assert "4111" not in str(refused.value)


def test_the_service_cannot_change_or_remove_a_mandate(committed_db: Any) -> None:
    shop = make_shop()
    mandates.give(shop, make_customer(shop), TOOL, 100, "v1", after())
    for sql in (
        "UPDATE autopay_mandate SET ceiling_minor = 999999",
        "DELETE FROM autopay_mandate",
        "DELETE FROM autopay_withdrawal",
        "UPDATE autopay_outcome SET result = 'collected'",
        "UPDATE autopay_attempt SET amount_minor = 1",
    ):
        with (
            psycopg.connect(committed_db.service_url) as session,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            session.execute(sql)


@pytest.fixture
def send(mall: Any, call: Any) -> Any:
    numbers = iter(range(1, 1_000))

    def sent(method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = {} if method == "GET" else {"Idempotency-Key": key or f"k-{next(numbers)}"}
        return call(method, f"/v1/{path}", body, key=mall.key, headers=headers)

    return sent


def body(**more: Any) -> dict[str, Any]:
    return {
        "customer": {"ref": "u-1"},
        "tool": {"token": "tok_7f31", "brand": "UnionPay", "last4": "4242"},
        "ceiling_minor": 80_000,
        "currency": "CNY",
        "text_version": "autopay-2026-11",
    } | more


def test_the_api_gives_lists_and_takes_back(mall: Any, send: Any) -> None:
    contract = open_one(mall.shop, make_customer(mall.shop, "u-1"), at=AT)
    first = send("POST", "mandates", body(), "once")
    assert first.status_code == 201, first.content
    assert decoded(first)["tool"] == {"token": "tok_7f31", "brand": "UnionPay", "last4": "4242"}
    again = send("POST", "mandates", body(), "once")
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert send("POST", "mandates", body(ceiling_minor=1), "once").status_code == 422
    made = [decoded(first)["id"]]
    made += [decoded(send("POST", "mandates", body(contract_id=contract)))["id"] for _ in range(2)]
    found = decoded(send("GET", "mandates?customer=u-1&limit=2"))
    assert [each["id"] for each in found["mandates"]] == [made[2], made[1]]
    send("POST", "mandates", body())  # a page does not move when something is added
    rest = decoded(send("GET", f"mandates?customer=u-1&limit=2&after={found['after']}"))
    assert ([each["id"] for each in rest["mandates"]], rest["after"]) == ([made[0]], None)
    assert decoded(send("GET", "mandates?customer=nobody")) == {"mandates": [], "after": None}
    taken = decoded(send("POST", f"mandates/{made[0]}/withdraw", {}))
    assert (taken["withdrawn_by"], taken["withdrawn_at"] is None) == ("customer", False)
    assert decoded(send("GET", f"mandates/{made[0]}")) == taken
    assert send("POST", "mandates", body(contract_id="ct_nothing")).status_code == 404
    assert send("GET", "mandates/mn_nothing").status_code == 404
    assert send("GET", "mandates?customer=u-1&limit=0").status_code == 422


def test_the_api_never_takes_the_number_of_a_card(mall: Any, send: Any) -> None:
    for tool in (
        {"token": CARD, "brand": "Visa", "last4": "1111"},
        {"token": "tok", "brand": "Visa", "last4": "4111111111111111"},
        {"token": "4111-1111-1111-1111", "brand": "Visa", "last4": "1111"},
    ):
        answer = send("POST", "mandates", body(tool=tool))
        assert answer.status_code == 422
        assert b"4111" not in answer.content
    refused = send("POST", "mandates", body(tool={"token": "tok", "brand": "Visa", "last4": "42"}))
    assert decoded(refused)["errors"][0]["pointer"] == "/tool/last4"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM autopay_mandate")
        assert cursor.fetchone() == (0,)


def test_the_shops_server_is_asked_and_says_what_became_of_it(mall: Any, send: Any) -> None:
    from fenqi_server import clock
    from fenqi_server.servicing import closing, service

    customer = make_customer(mall.shop, "u-1")
    contract = open_one(mall.shop, customer, at=AT)
    booked = open_one(mall.shop, customer, at=AT, order_ref="order-2")
    send("POST", "mandates", body())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_endpoint (shop_id, id, url, events, sealed_secret, created_at)"
            " VALUES (%s, gen_random_uuid(), 'https://mall.example/hooks', %s, '', %s)",
            [mall.shop.id, ["autopay.collect_requested"], AT],
        )
    from datetime import timedelta

    due = AT + timedelta(days=31)
    with clock.pinned(due):
        closing.run_due(due)
        (attempt,) = decoded(send("GET", f"autopay-attempts?contract_id={contract}"))["attempts"]
        assert (attempt["state"], attempt["amount_minor"], attempt["try"]) == ("sent", 53_600, 1)
        say = f"autopay-attempts/{attempt['id']}/outcome"
        for wrong in (
            {"result": "failed"},
            {"result": "collected", "reason": "other"},
            {"result": "failed", "reason": "other", "amount_minor": 5},
            {"result": "collected", "occurred_on": "2030-01-01"},
            {"result": "failed", "reason": "no idea"},
        ):
            assert send("POST", say, wrong).status_code == 422, wrong
        assert decoded(send("POST", say, {"result": "unknown"}))["state"] == "unknown"
        failed = decoded(send("POST", say, {"result": "failed", "reason": "insufficient_funds"}))
        assert (failed["state"], failed["reason"]) == ("failed", "insufficient_funds")
        differs = send("POST", say, {"result": "failed", "reason": "other"})
        assert (differs.status_code, decoded(differs)["code"]) == (409, "reason_differs")
        (known,) = decoded(send("GET", f"autopay-attempts?contract_id={booked}"))["attempts"]
        service.pay(mall.shop, booked, 1, "received", known["id"], due)
        other = send("POST", f"autopay-attempts/{known['id']}/outcome", {"result": "collected"})
        assert (other.status_code, decoded(other)["code"]) == (409, "payment_ref_reused")
        first = send("POST", say, {"result": "collected"}, "once")
        assert decoded(first)["collected_minor"] == 53_600
        assert send("POST", say, {"result": "collected"}, "once").content == first.content
        late = send("POST", say, {"result": "failed", "reason": "other"})
        assert (late.status_code, decoded(late)["code"]) == (409, "attempt_collected")
        assert service.get(mall.shop, contract, at=due).state.balance_minor == 11 * 53_600
        assert decoded(send("GET", f"autopay-attempts/{attempt['id']}")) == decoded(first)
        assert send("GET", "autopay-attempts/aa_nothing").status_code == 404
        assert send("GET", "autopay-attempts?contract_id=ct_nothing").status_code == 404
        assert send("POST", "autopay-attempts/aa_nothing/outcome", {"result": "unknown"}).status_code == 404
