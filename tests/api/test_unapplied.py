"""Cash at a till, and money that named no contract: listed, matched to its contract as of the day it came."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.api.world import AT, decoded
from tests.servicing.opened import make_customer, open_one

from fenqi_server import clock
from fenqi_server.books.proof import prove_shop
from fenqi_server.books.settlement import in_transit, settle

URL = "/v1/unapplied-cash"


@pytest.fixture
def pay(mall, call):
    numbers = iter(range(1, 1_000))

    def send(contract: str, minor: int = 5_000, *, ref: str = "p-1", path: str = "", **more):
        body = {"amount_minor": minor, "currency": "CNY", "kind": "received", "payment_ref": ref} | more
        headers = {"Idempotency-Key": f"k-{next(numbers)}"}
        return call("POST", f"/v1/contracts/{contract}/payments", body, key=mall.key, headers=headers)

    return send


@pytest.fixture
def match(mall, call):
    numbers = iter(range(1, 1_000))

    def send(unapplied: str, contract: str, key: str | None = None):
        headers = {"Idempotency-Key": key or f"m-{next(numbers)}"}
        body = {"contract_id": contract}
        return call("POST", f"{URL}/{unapplied}/match", body, key=mall.key, headers=headers)

    return send


@pytest.fixture
def contract(mall):
    """Sixty days old: its first rows are late."""
    return open_one(mall.shop, make_customer(mall.shop, "u-1"), at=AT - timedelta(days=60))


def money(mall, call, query: str = ""):
    response = call("GET", f"{URL}?{query}", key=mall.key)
    assert response.status_code == 200, response.content
    return decoded(response)


def test_cash_names_its_till_and_who_took_it(mall, call, pay, contract):
    done = pay(contract, ref="R-77", cash={"till": "front", "operator": "小王"})
    assert done.status_code == 201, done.content
    (line,) = decoded(done)["contract"]["payments"]
    assert (line["payment_ref"], line["channel"], line["operator"]) == ("R-77", "cash", "小王")
    # The till is counted as one: 50.00 in it.
    assert settle(mall.shop, "cash:front:2026-11-24", AT) == {"CNY": 5_000}
    assert prove_shop(mall.shop).ok


def test_a_payment_may_have_come_before_today_but_not_after(mall, pay, contract):
    assert (
        decoded(pay(contract, occurred_on="2026-11-20"))["contract"]["payments"][0]["occurred_on"]
        == "2026-11-20"
    )
    refused = pay(contract, ref="p-2", occurred_on="2026-11-25")
    assert (refused.status_code, decoded(refused)["errors"][0]["pointer"]) == (422, "/occurred_on")


def test_money_that_named_nothing_is_matched_as_of_the_day_it_came(mall, call, pay, match, contract):
    before = decoded(call("GET", f"/v1/contracts/{contract}", key=mall.key))
    minor = before["rows"][0]["total_minor"]
    came = AT - timedelta(days=before["days_past_due"])  # on the very day the first row was due
    day = before["rows"][0]["due_on"]
    assert pay("for the sofa for Li", minor, ref="bank for 9", occurred_on=day).status_code == 201
    (waiting,) = money(mall, call)["money"]
    assert (waiting["payment_ref"], waiting["named"]) == ("bank for 9", "for the sofa for Li")
    assert (waiting["amount_minor"], waiting["occurred_on"]) == (minor, day)
    # It arrived at the bank meanwhile: matching takes nothing out of the bank again.
    settle(mall.shop, waiting["settlement"], AT)
    with clock.pinned(AT + timedelta(hours=1)):
        done = decoded(match(waiting["unapplied_id"], contract))
    assert (done["payment_ref"], done["applied_minor"], done["unapplied_minor"]) == ("bank for 9", minor, 0)
    after = done["contract"]
    assert after["overdue_minor"] == before["overdue_minor"] - minor
    assert after["payments"][0]["occurred_on"] == day == came.date().isoformat()
    assert after["rows"][0]["status"] == "paid"
    assert money(mall, call)["money"] == []
    report = prove_shop(mall.shop)
    assert report.ok, report.problems
    accounts = report.totals[0].accounts
    assert (accounts["bank"], accounts.get("in_transit", 0), accounts.get("unapplied_cash", 0)) == (
        minor,
        0,
        0,
    )


def test_the_batch_that_the_money_came_with_is_reconciled_as_before(mall, call, pay, match, contract):
    pay("order-9", 5_000, ref="bank-9")
    (waiting,) = money(mall, call)["money"]
    match(waiting["unapplied_id"], contract)
    assert in_transit(mall.shop.id, waiting["settlement"]) == {"CNY": 5_000}
    assert settle(mall.shop, waiting["settlement"], AT) == {"CNY": 5_000}
    assert prove_shop(mall.shop).ok


def test_matching_twice_is_matching_once_and_never_to_two(mall, call, pay, match, contract):
    other = open_one(mall.shop, make_customer(mall.shop, "u-2"), at=AT)
    pay("order-9")
    (waiting,) = money(mall, call)["money"]
    first = match(waiting["unapplied_id"], contract, "key")
    again = match(waiting["unapplied_id"], contract, "key")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.content == again.content
    by_another_key = decoded(match(waiting["unapplied_id"], contract))
    assert len(by_another_key["contract"]["payments"]) == 1
    elsewhere = match(waiting["unapplied_id"], other)
    assert (elsewhere.status_code, decoded(elsewhere)["code"]) == (409, "already_matched")
    assert decoded(call("GET", f"/v1/contracts/{other}", key=mall.key))["payments"] == []


def test_money_of_a_number_that_the_contract_has_is_not_matched_to_it(mall, call, pay, match, contract):
    pay(contract, ref="p-1")
    pay("order-9", ref="p-1")
    (waiting,) = money(mall, call)["money"]
    response = match(waiting["unapplied_id"], contract)
    assert (response.status_code, decoded(response)["code"]) == (409, "payment_ref_reused")
    assert len(money(mall, call)["money"]) == 1


def test_what_is_not_there_is_not_found(mall, call, pay, match, contract):
    pay("order-9")
    (waiting,) = money(mall, call)["money"]
    assert match(contract, contract).status_code == 404
    missing = match(waiting["unapplied_id"], "ct_nothing")
    assert (missing.status_code, decoded(missing)["errors"][0]["pointer"]) == (422, "/contract_id")


def test_pages_of_money_hold_each_once_while_more_arrives(mall, call, pay):
    for number in range(5):
        with clock.pinned(AT + timedelta(seconds=number)):
            pay(f"order-{number}")
    page, seen = money(mall, call, "limit=2"), []
    while True:
        seen += [each["named"] for each in page["money"]]
        with clock.pinned(AT + timedelta(minutes=len(seen))):
            pay(f"later-{len(seen)}")
        if page["after"] is None:
            break
        page = money(mall, call, f"limit=2&after={page['after']}")
    assert seen == [f"order-{number}" for number in range(4, -1, -1)]


def test_what_a_contract_holds_is_found_in_the_list_of_contracts(mall, call, pay, contract):
    open_one(mall.shop, make_customer(mall.shop, "u-2"), at=AT)
    pay(contract, 700_000)
    page = decoded(call("GET", "/v1/contracts?unapplied=true", key=mall.key))
    assert [(each["contract_id"], each["unapplied_minor"]) for each in page["contracts"]] == [
        (contract, 56_800)
    ]
