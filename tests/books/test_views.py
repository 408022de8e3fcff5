"""The operator's page of the book."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, after, make_customer, make_shop, open_one

from fenqi_server import clock
from fenqi_server.servicing import service
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches


@pytest.fixture
def shop(db: object) -> Any:
    with clock.pinned(after(1)):
        yield make_shop()
    forget_caches()


@pytest.fixture
def contract(shop: Shop) -> str:
    customer = make_customer(shop)
    contract = open_one(shop, customer)
    open_one(shop, customer, FREE_3, 30_000)
    service.pay(shop, contract, 53_600, "received", "bank-1", AT)
    return contract


def test_nobody_but_staff_sees_the_book_outside_the_demo(shop: Shop) -> None:
    assert Client().get("/books/").status_code == 403
    assert Client().post("/books/").status_code == 405


@pytest.mark.usefixtures("demo_site")
def test_the_page_shows_every_entry_and_that_the_sum_is_zero(contract: str) -> None:
    answer = Client(HTTP_ACCEPT_LANGUAGE="en").get("/books/")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert re.findall(r'data-figure="book-sum">([^<]*)<', page) == ["¥0.00"]
    assert re.findall(r'data-figure="transaction-sum">([^<]*)<', page) == ["¥0.00"] * 3
    for figure in ("¥6,000.00", "¥536.00", "¥500.00", "¥36.00", "¥300.00"):
        assert figure in page
    assert "Principal receivable" in page
    assert contract in page


@pytest.mark.usefixtures("demo_site")
def test_one_contract_s_book_and_the_proof(contract: str) -> None:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    page = client.get("/books/", {"contract": contract}).content.decode()
    assert page.count('data-figure="transaction-sum"') == 2
    assert "¥300.00" not in page
    assert "2 contracts are booked as their events come to" in client.get("/books/?prove=1").content.decode()


@pytest.mark.usefixtures("demo_site")
@pytest.mark.parametrize("wrong", ["contract=nonsense", "before=nonsense", "contract=%3Cscript%3E"])
def test_a_name_that_is_none_is_said_and_the_whole_book_shown(contract: str, wrong: str) -> None:
    answer = Client(HTTP_ACCEPT_LANGUAGE="en").get(f"/books/?{wrong}")
    assert answer.status_code == 404
    assert answer.content.decode().count('data-figure="transaction-sum"') == 3
    assert b"<script>" not in answer.content


@pytest.mark.usefixtures("demo_site")
def test_older_transactions_are_a_page_further(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    for number in range(30):
        service.pay(shop, contract, 100, "received", f"p{number}", after(0, number))
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    seen: list[str] = []
    url = f"/books/?contract={contract}"
    while url:
        page = client.get(url).content.decode()
        seen += re.findall(r"<article [^>]*aria-labelledby=\"t-([^\"]+)\"", page)
        older = re.search(r'href="(\?[^"]*before=[^"]*)"', page)
        url = "/books/" + older.group(1).replace("&amp;", "&") if older else ""
    assert len(seen) == len(set(seen)) == 31


def test_staff_sees_it_outside_the_demo(contract: str, as_staff: Client) -> None:
    assert as_staff.get("/books/").status_code == 200


@pytest.fixture
def as_staff(db: object) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("finance", is_staff=True))
    return client
