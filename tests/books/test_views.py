"""The operator's page of the book."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
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


@pytest.fixture
def finance(shop: Shop, as_staff: Callable[..., Client]) -> Client:
    return as_staff("finance", shop=shop)


def test_the_book_is_for_finance_and_the_auditor(shop: Shop, as_staff: Callable[..., Client]) -> None:
    assert Client().get("/books/").status_code == 404
    assert Client().get("/console/books/").headers["Location"].startswith("/console/sign-in/")
    assert as_staff("auditor", shop=shop).get("/console/books/").status_code == 200
    assert as_staff("support", "author", shop=shop).get("/console/books/").status_code == 403
    assert as_staff("finance", shop=shop).post("/console/books/").status_code == 405


def test_another_shop_s_finance_sees_nothing_of_it(
    shop: Shop, contract: str, as_staff: Callable[..., Client]
) -> None:
    client = as_staff("finance", shop=make_shop("corner"))
    assert contract not in client.get("/console/books/").content.decode()
    answer = client.get("/console/books/", {"contract": contract})
    assert answer.content.decode().count('data-figure="transaction-sum"') == 0


def test_the_page_shows_every_entry_and_that_the_sum_is_zero(contract: str, finance: Client) -> None:
    answer = finance.get("/console/books/")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert re.findall(r'data-figure="book-sum">([^<]*)<', page) == ["¥0.00"]
    assert re.findall(r'data-figure="transaction-sum">([^<]*)<', page) == ["¥0.00"] * 3
    for figure in ("¥6,000.00", "¥536.00", "¥500.00", "¥36.00", "¥300.00"):
        assert figure in page
    assert "Principal receivable" in page
    assert contract in page


def test_one_contract_s_book_and_the_proof(contract: str, finance: Client) -> None:
    client = finance
    page = client.get("/console/books/", {"contract": contract}).content.decode()
    assert page.count('data-figure="transaction-sum"') == 2
    assert "¥300.00" not in page
    assert (
        "2 contracts are booked as their events come to"
        in client.get("/console/books/?prove=1").content.decode()
    )


@pytest.mark.parametrize("wrong", ["contract=nonsense", "before=nonsense", "contract=%3Cscript%3E"])
def test_a_name_that_is_none_is_said_and_the_whole_book_shown(
    contract: str, wrong: str, finance: Client
) -> None:
    answer = finance.get(f"/console/books/?{wrong}")
    assert answer.status_code == 404
    assert answer.content.decode().count('data-figure="transaction-sum"') == 3
    assert b"<script>" not in answer.content


def test_older_transactions_are_a_page_further(shop: Shop, finance: Client) -> None:
    contract = open_one(shop, make_customer(shop))
    for number in range(30):
        service.pay(shop, contract, 100, "received", f"p{number}", after(0, number))
    client = finance
    seen: list[str] = []
    url = f"/console/books/?contract={contract}"
    while url:
        page = client.get(url).content.decode()
        seen += re.findall(r"<article [^>]*aria-labelledby=\"t-([^\"]+)\"", page)
        older = re.search(r'href="(\?[^"]*before=[^"]*)"', page)
        url = "/console/books/" + older.group(1).replace("&amp;", "&") if older else ""
    assert len(seen) == len(set(seen)) == 31
