"""Automatic payment on the customer's pages: seen, and turned off by one button."""

from __future__ import annotations

from typing import Any

import pytest
from tests.pages.page import parse
from tests.portal.shop import AT, RealShop, real_shop

from fenqi_server.autopay import mandates
from fenqi_server.autopay.mandates import Tool
from fenqi_server.customers import service as customers

CARD = Tool("tok_1", "UnionPay", "4242")


@pytest.fixture
def mall(db: Any, at: Any) -> RealShop:
    return real_shop()


def give(mall: RealShop, customer: Any = None) -> str:
    made = mandates.give(mall.shop, customer or mall.owner, CARD, 80_000, "v1", AT)
    return made.mandate_id


@pytest.mark.parametrize(("language", "off", "on"), [("en", "off", "on"), ("zh", "已关闭", "已开启")])
def test_whether_it_is_on_is_said_on_both_pages(mall: RealShop, language: str, off: str, on: str) -> None:
    client = mall.signed_in(language=language)
    state = parse(client.get("/account/autopay/").content).one("span", data_fq_part="state")
    assert state.text == off
    give(mall)
    page = parse(client.get("/account/autopay/").content)
    assert page.one("span", data_fq_part="state").text == on
    assert "4242" in page.one("main").text
    assert "¥800.00" in page.one("main").text
    assert "tok_1" not in client.get("/account/autopay/").content.decode()
    assert on in parse(client.get("/account/").content).one("main").text


def test_it_is_turned_off_after_one_question(mall: RealShop) -> None:
    name = give(mall)
    client = mall.signed_in()
    asked = client.get("/account/autopay/", {"act": "off", "mandate": name})
    assert "Turn it off?" in asked.content.decode()
    assert mandates.mandate(mall.shop, name).stands
    done = client.post("/account/autopay/", {"act": "off", "mandate": name}, follow=True)
    assert "Automatic payment is off." in done.content.decode()
    assert mandates.mandate(mall.shop, name).withdrawn_by == "customer"


def test_nobody_turns_off_another_customer_s(mall: RealShop) -> None:
    theirs = give(mall, customers.ensure(mall.shop, "c-2", AT))
    client = mall.signed_in()
    for answer in (
        client.get("/account/autopay/", {"act": "off", "mandate": theirs}),
        client.post("/account/autopay/", {"act": "off", "mandate": theirs}),
    ):
        assert answer.status_code == 404
    assert mandates.mandate(mall.shop, theirs).stands


def test_a_real_shop_turns_it_on_in_its_own_pages(mall: RealShop) -> None:
    client = mall.signed_in(return_url="https://mall.example/cards")
    page = parse(client.get("/account/autopay/").content)
    assert "You turn it on in the shop’s own account pages" in page.one("main").text
    answer = client.post("/account/autopay/", {"act": "on", "card": "steady", "most": "100"})
    assert answer.status_code == 404
    assert mandates.mandates_of(mall.shop, mall.owner) == []
