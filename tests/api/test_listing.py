"""GET /v1/contracts, and one contract as of a day and as known at an instant."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from tests.api.world import AT, decoded
from tests.servicing.opened import make_customer, open_one

from fenqi_server import clock
from fenqi_server.servicing import service as servicing

URL = "/v1/contracts"


@pytest.fixture
def ask(mall, call):
    def send(query: str = ""):
        response = call("GET", f"{URL}?{query}", key=mall.key)
        assert response.status_code == 200, response.content
        return decoded(response)

    return send


def opened(mall, ref: str = "u-1", *, days: int = 0, order: str = "o"):
    return open_one(
        mall.shop,
        make_customer(mall.shop, ref),
        at=AT + timedelta(days=days, seconds=len(order)),
        order_ref=order,
    )


def ids(page) -> list[str]:
    return [each["contract_id"] for each in page["contracts"]]


def test_pages_hold_each_contract_once_while_others_are_made(mall, ask):
    there = [opened(mall, f"u-{n % 3}", order="o" * n) for n in range(1, 8)]
    seen, page = [], ask("limit=2")
    while True:
        seen += ids(page)
        opened(mall, order="later" + "x" * (20 + len(seen)))  # while somebody turns the page
        if page["after"] is None:
            break
        page = ask(f"limit=2&after={page['after']}")
    assert seen == there[::-1]


def test_every_filter_narrows_the_list_to_what_it_says(mall, ask):
    old = opened(mall, "u-1", days=-60, order="late")  # due on 23 December less 60 days: overdue
    paid = opened(mall, "u-1", days=-1, order="paid")
    servicing.pay(mall.shop, paid, 643_200, "received", "p-1", AT)
    new = opened(mall, "u-2", order="new")
    assert ids(ask()) == [new, paid, old]
    assert ids(ask("status=closed")) == [paid]
    assert ids(ask("status=active&customer=u-1")) == [old]
    assert ids(ask("customer=nobody")) == []
    assert ids(ask("order_ref=new")) == [new]
    assert ids(ask("overdue=true")) == [old]
    assert ids(ask("overdue=false")) == [new, paid]
    first_due = ask("order_ref=new")["contracts"][0]["next_due_on"]
    assert ids(ask(f"due_before={first_due}")) == [old]
    assert ids(ask(f"due_before={date.fromisoformat(first_due) + timedelta(days=1)}")) == [new, old]


def test_a_lists_figures_are_the_contracts(mall, call, ask):
    contract = opened(mall, days=-60)
    servicing.pay(mall.shop, contract, 10_000, "received", "p-1", AT)
    (listed,) = ask()["contracts"]
    one = decoded(call("GET", f"{URL}/{contract}", key=mall.key))
    for name in (
        "balance_minor",
        "overdue_minor",
        "principal_outstanding_minor",
        "next_due_on",
        "next_due_minor",
    ):
        assert listed[name] == one[name], name
    assert one["overdue_minor"] > 0


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("status=open", "/status"),
        ("overdue=yes", "/overdue"),
        ("due_before=tomorrow", "/due_before"),
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=many", "/limit"),
        ("after=ct_nonsense", "/after"),
        ("customer=", "/customer"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused_and_named(mall, call, query, pointer):
    response = call("GET", f"{URL}?{query}", key=mall.key)
    assert (response.status_code, decoded(response)["errors"][0]["pointer"]) == (422, pointer)


def test_another_shops_contracts_are_not_in_the_list_and_a_key_needs_the_scope(mall, call, ask):
    from tests.api.world import make_world

    from fenqi_server.shops import service as shops

    opened(mall)
    other = make_world("other")
    assert decoded(call("GET", URL, key=other.key))["contracts"] == []
    narrow = shops.create_key(mall.shop, "narrow", at=AT, scopes=("payments:write",))
    assert decoded(call("GET", URL, key=narrow))["code"] == "scope_missing"


def test_a_payment_says_what_it_paid_and_is_not_in_what_was_known_before(mall, call):
    contract = opened(mall, days=-60)
    row = decoded(call("GET", f"{URL}/{contract}", key=mall.key))["rows"][0]
    # It arrived three days ago, and is learnt of today.
    with clock.pinned(AT):
        servicing.pay(
            mall.shop, contract, row["total_minor"] + 100, "received", "p-1", AT,
            occurred_on=(AT - timedelta(days=3)).date(),
        )  # fmt: skip

    def on(query: str):
        response = call("GET", f"{URL}/{contract}?{query}", key=mall.key)
        assert response.status_code == 200, response.content
        return decoded(response)

    (paid,) = on("")["payments"]
    first, second = paid["parts"]
    assert (first["row"], first["fee_minor"], first["principal_minor"]) == (
        row["number"],
        row["fee_minor"],
        row["principal_minor"],
    )
    assert second["row"] == row["number"] + 1
    assert second["fee_minor"] + second["principal_minor"] == 100
    assert (paid["channel"], paid["recorded_at"]) == ("bank", AT.isoformat().replace("+00:00", "Z"))
    day = (AT - timedelta(days=2)).date().isoformat()
    assert len(on(f"as_of={day}")["payments"]) == 1
    before = (AT - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert on(f"as_of={day}&known_at={before}")["payments"] == []
    problem = decoded(call("GET", f"{URL}/{contract}?known_at=2026-12-01", key=mall.key))
    assert problem["errors"][0]["pointer"] == "/known_at"


def test_a_contract_comes_with_the_private_addresses_of_its_papers(mall, call):
    contract = opened(mall)
    one = decoded(call("GET", f"{URL}/{contract}", key=mall.key))
    for address, kind in ((one["statement_url"], "text/html"), (one["calendar_url"], "text/calendar")):
        response = call("GET", address.removeprefix(address[: address.index("/papers/")]))
        assert (response.status_code, response["content-type"].split(";")[0]) == (200, kind)
