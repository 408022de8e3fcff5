"""Every page answers in both languages, under the policy that lets nothing inline run."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from tests.pages.page import parse

Visit = Callable[..., Client]

PAGES = (
    "/",
    "/product/cg-15-pro/",
    "/cart/",
    "/checkout/",
    "/contracts/",
    "/orders/",
    "/announcements/",
    "/announcements/mall-maintenance-2026-11-23/",
    "/announcements/beichen-nightly/",
    "/announcements/blind-box-credit/",
    "/announcements/?mine=1",
    "/announcements/?funder=beichen&channel=app",
    "/ways-to-pay/",
    "/ways-to-pay/beichen/",
    "/support/",
    "/support/new/",
    "/mailbox/",
    "/demo/",
)
PEOPLE = ("new", "student", "good", "overdue", "over_limit")


@pytest.mark.parametrize(("language", "html_lang"), [("zh", "zh-CN"), ("en", "en")])
@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_there_in_its_language(visit: Visit, address: str, language: str, html_lang: str) -> None:
    client = visit("good", language)
    client.post("/cart/", {"sku": "cg-15-pro"})
    answer = client.get(address)
    assert answer.status_code == 200
    assert f'<html lang="{html_lang}">' in answer.content.decode()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = parse(answer.content)
    assert len(page.all("h1")) == 1
    assert page.one("main").text
    assert not [node for node in page.all() if "style" in node.attributes]


def _chinese_left(text: str) -> list[str]:
    return re.findall(r"[一-鿿]+", text)


@pytest.mark.parametrize("address", PAGES)
def test_an_english_page_has_no_chinese_left_but_the_way_to_it(visit: Visit, address: str) -> None:
    client = visit("good", "en")
    client.post("/cart/", {"sku": "cg-15-pro"})
    body = parse(client.get(address).content).one("body")
    left = _chinese_left(body.text)
    # The agent's desk names customers as they are called.
    assert [word for word in left if word not in ("中文", "陈静")] == []


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_customer_gets_a_selector(visit: Visit, person: str, language: str) -> None:
    client = visit(person, language)
    for sku in ("cg-case", "figures-12", "cg-fold"):
        client.post("/cart/", {"sku": sku})
        assert client.get("/checkout/").status_code == 200
        client.post("/cart/", {"sku": sku, "quantity": "0"})


@pytest.mark.parametrize(
    "address",
    [
        "/product/nothing/",
        "/announcements/nothing/",
        "/contracts/ct_nothing/",
        "/orders/or_nothing/",
        "/support/cases/cs_nothing/",
        "/notify/?decision=dc_x&plan=mall_3",
        "/nothing/",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(visit: Visit, address: str) -> None:
    answer = visit("good", "en").get(address)
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


def test_the_language_switch_keeps_the_page_and_its_question(visit: Visit) -> None:
    client = visit("good", "zh")
    client.post("/cart/", {"sku": "cg-15"})
    page = parse(client.get("/announcements/beichen-24-pause/?plan=beichen_24").content)
    form = page.one("form", action="/language/")
    kept = form.one("input", name="next")["value"]
    assert kept == "/announcements/beichen-24-pause/?plan=beichen_24"
    answer = client.post("/language/", {"next": kept, "language": form.one("button")["value"]}, follow=True)
    assert answer.redirect_chain[-1][0] == kept
    assert '<html lang="en">' in answer.content.decode()


def test_a_form_without_its_token_is_refused_with_a_page(mall: None) -> None:
    client = Client(enforce_csrf_checks=True, headers={"accept-language": "en"})
    answer = client.post("/cart/", {"sku": "cg-15"})
    assert answer.status_code == 403
    assert "Please send it again" in answer.content.decode()


def test_another_customers_pages_are_not_there(visit: Visit) -> None:
    good, other = visit("overdue"), visit("good")
    link = parse(good.get("/contracts/").content).one("main").all("a")[0]["href"]
    assert good.get(link).status_code == 200
    for address in (link, f"{link}disclosure/"):
        assert other.get(address).status_code == 404
    assert other.post(f"{link}pay/", {"amount": "100"}).status_code == 404


@pytest.fixture
def outside(mall: None) -> Iterator[Client]:
    """Anybody's browser at the same service without the demo, in the demo shop's maintenance window."""
    from datetime import UTC, datetime

    from django.conf import settings
    from django.urls import clear_url_caches

    import fenqi_server.urls
    from fenqi_server import clock

    def with_demo(on: bool) -> None:
        settings.FENQI_DEMO = on
        importlib.reload(fenqi_server.urls)
        clear_url_caches()

    with_demo(False)
    with clock.pinned(datetime(2026, 11, 23, 15, 0, tzinfo=UTC)):
        yield Client(headers={"accept-language": "en"})
    with_demo(True)


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/product/cg-15/",
        "/cart/",
        "/checkout/",
        "/checkout/sheet",
        "/orders/",
        "/mailbox/",
        "/demo/",
    ],
)
def test_outside_of_the_demo_nobody_can_say_who_they_are(outside: Client, address: str) -> None:
    """The mall's pages believe the visitor: a real shop's service must not have them."""
    answer = outside.get(address)
    assert answer.status_code == 404
    page = parse(answer.content)
    assert not page.all("nav")
    assert {link["href"] for link in page.all("a")} <= {"#content", "/announcements/"}, (
        "no way into another 404"
    )


@pytest.mark.parametrize("shop", ["", "?shop=chengguang"])
def test_notices_are_public_outside_of_the_demo(outside: Client, shop: str) -> None:
    from fenqi_server.shops.service import only_shop

    shop = shop.replace("chengguang", only_shop().code)
    answer = outside.get(f"/announcements/{shop}")
    assert answer.status_code == 200
    links = [link["href"] for link in parse(answer.content).one("main").all("a")]
    assert f"/announcements/mall-maintenance-2026-11-23/{shop}" in links
    for link in links:
        notice = outside.get(link)
        assert notice.status_code == 200, link
        if "feed." in link or not link.startswith("/announcements/"):
            continue
        main = parse(notice.content).one("main")
        assert "Not affected" in main.text
        for found in main.all("a"):
            further = outside.get(found["href"])
            assert further.status_code == 200, f"{found['href']} needs a customer"
    assert outside.get("/announcements/?shop=nobody").status_code == 404
    assert outside.get("/announcements/no-such-notice/").status_code == 404


def test_to_buy_now_what_is_in_the_cart_already_does_not_order_it_twice(visit: Visit) -> None:
    client = visit("good")
    for _ in range(2):
        client.post("/cart/", {"sku": "cg-15", "go": "checkout"})
    assert client.session["cart"] == {"cg-15": 1}


def test_a_products_page_names_the_ways_that_are_missing_for_it(visit: Visit) -> None:
    client = visit("good")
    assert (
        "Mall instalments"
        not in parse(client.get("/product/cg-15/").content).one(data_fq_part="missing").text
    )
    client.post("/demo/clock", {"to": "maintenance"})
    missing = parse(client.get("/product/cg-15/").content).one(data_fq_part="missing").text
    assert "Mall instalments Back on 24 Nov 02:00 System maintenance" in missing
