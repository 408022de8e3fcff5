"""The way in: a link works once and for minutes, for one customer, and nothing happens by looking at it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from tests.pages.page import parse
from tests.portal.shop import AT, MALL, RealShop, press, real_shop, token
from tests.servicing.opened import make_shop, open_one

from fenqi_server import clock
from fenqi_server.customers import service as customers
from fenqi_server.portal import entry
from fenqi_server.reminders import rules


@pytest.fixture
def mall(db: Any, at: Any) -> RealShop:
    return real_shop()


def test_a_link_lets_its_customer_in_to_what_they_owe(mall: RealShop) -> None:
    client = mall.browser()
    answer = press(client, mall.link())
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/")
    page = parse(client.get("/account/").content)
    # 6,000.00 and twelve times 36.00: worked out where the contract is made.
    assert page.one("dd", data_figure="owed").text.startswith("¥6,432.00")
    assert page.one("dd", data_figure="next").text.startswith("¥536.00")


def test_the_visit_is_a_cookie_that_no_script_reads_and_no_other_site_sends(mall: RealShop) -> None:
    cookie = press(mall.browser(), mall.link()).cookies["fenqi_session"]
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"


def test_on_https_the_cookie_is_secure() -> None:
    from pathlib import Path

    settings = Path("src/fenqi_server/settings.py").read_text()
    assert "SESSION_COOKIE_SECURE = _https" in settings


def test_looking_uses_nothing_neither_does_a_scanner(mall: RealShop) -> None:
    address = mall.link()
    for _ in range(3):
        assert Client().get(address).status_code == 200
        assert Client().head(address).status_code == 200
    assert press(mall.browser(), address).status_code == 302


@pytest.mark.parametrize(
    ("language", "words"), [("en", "This link was used already"), ("zh", "链接已使用过")]
)
def test_a_second_use_says_what_to_do(mall: RealShop, language: str, words: str) -> None:
    address = mall.link(return_url=f"{MALL}/account")
    press(mall.browser(), address)
    second = mall.browser(language)
    for answer in (second.get(address), press(second, address)):
        assert answer.status_code == 410
        assert words in answer.content.decode()
        back = [link["href"] for link in parse(answer.content).one("main").all("a")]
        assert back == [f"{MALL}/account"]
    assert second.get("/account/").status_code == 403


@pytest.mark.parametrize(("language", "words"), [("en", "This link has run out"), ("zh", "链接已过期")])
def test_a_link_runs_out_after_ten_minutes(mall: RealShop, language: str, words: str) -> None:
    address = mall.link()
    client = mall.browser(language)
    with clock.pinned(AT + entry.LINK_STANDS - timedelta(seconds=1)):
        assert client.get(address).status_code == 200
    with clock.pinned(AT + entry.LINK_STANDS):
        answer = press(client, address)
    assert answer.status_code == 410
    assert words in answer.content.decode()


def test_a_changed_link_opens_nothing(mall: RealShop) -> None:
    whole = token(mall.link())
    head, _, signature = whole.rpartition(".")
    other = "A" if signature[0] != "A" else "B"
    for wrong in (
        f"{head}.{other}{signature[1:]}",
        whole[:-4],
        "",
        "pl1.test.AAAA.BBBB",
        whole.replace("pl1", "ps1"),
    ):
        for answer in (
            mall.browser().get("/portal/in/", {"t": wrong}),
            mall.browser().post("/portal/in/", {"t": wrong}),
        ):
            assert answer.status_code == 404
            assert "This link is not complete" in answer.content.decode()


def test_of_two_who_come_at_once_one_gets_in(mall: RealShop) -> None:
    _, customer, link_id = entry.find(token(mall.link()))
    seen = entry.look(mall.shop, customer, link_id)
    assert entry.use(mall.shop, seen, AT) is not None
    assert entry.use(mall.shop, seen, AT) is None


def test_the_button_needs_the_page_s_own_token(mall: RealShop) -> None:
    client = mall.browser(enforce_csrf_checks=True)
    address = mall.link()
    assert press(client, address).status_code == 403
    form = parse(client.get(address).content).one("form", action="/portal/in/")
    sent = {field["name"]: field["value"] for field in form.all("input")}
    assert client.post("/portal/in/", sent).status_code == 302


def test_the_session_s_name_is_new_when_it_begins(mall: RealShop) -> None:
    client = mall.browser()
    before = client.session.session_key or client.session.save() or client.session.session_key
    client.cookies["fenqi_session"] = before
    press(client, mall.link())
    assert client.cookies["fenqi_session"].value != before
    assert Client(headers={"cookie": f"fenqi_session={before}"}).get("/account/").status_code == 403


def test_another_customer_s_link_takes_the_first_one_s_place(mall: RealShop) -> None:
    other = customers.ensure(mall.shop, "c-2", AT)
    theirs = open_one(mall.shop, other, at=AT, order_ref="order-2")
    client = mall.signed_in()
    assert client.get(f"/contracts/{mall.contract}/").status_code == 200
    press(client, mall.link("c-2"))
    assert client.get(f"/contracts/{theirs}/").status_code == 200
    assert client.get(f"/contracts/{mall.contract}/").status_code == 404


@pytest.mark.parametrize("page", ["", "disclosure/", "pay/"])
def test_another_customer_s_contract_is_not_there(mall: RealShop, page: str) -> None:
    other = customers.ensure(mall.shop, "c-2", AT)
    theirs = open_one(mall.shop, other, at=AT, order_ref="order-2")
    client = mall.signed_in()
    assert client.get(f"/contracts/{theirs}/{page}").status_code == 404
    assert client.post(f"/contracts/{theirs}/pay/", {"amount": "100"}).status_code == 404
    assert client.get(f"/contracts/{mall.contract}/{page}").status_code == 200


def test_the_same_customer_name_in_another_shop_is_somebody_else(mall: RealShop) -> None:
    corner = make_shop("corner")
    theirs = open_one(corner, customers.ensure(corner, "c-1", AT), at=AT)
    client = mall.signed_in()
    assert client.get(f"/contracts/{theirs}/").status_code == 404
    assert str(client.get("/contracts/").content.decode()).count('href="/contracts/ct_') == 1


def test_half_an_hour_without_a_page_ends_the_visit_and_so_do_eight_hours(mall: RealShop) -> None:
    client = mall.signed_in()
    at = AT
    while at < AT + entry.LONGEST - timedelta(minutes=29):
        at += timedelta(minutes=29)
        with clock.pinned(at):
            assert client.get("/account/").status_code == 200
    with clock.pinned(AT + entry.LONGEST):
        assert client.get("/account/").status_code == 403

    client = mall.signed_in()
    with clock.pinned(AT + entry.IDLE):
        assert client.get("/account/").status_code == 403


def test_signing_out_ends_it_here_and_in_the_database(mall: RealShop) -> None:
    client = mall.signed_in(return_url=f"{MALL}/me")
    copied = client.cookies["fenqi_session"].value
    assert client.get("/portal/out/").status_code == 405
    answer = client.post("/portal/out/")
    assert parse(answer.content).one("main").one("a")["href"] == f"{MALL}/me"
    assert client.get("/account/").status_code == 403
    assert Client(headers={"cookie": f"fenqi_session={copied}"}).get("/account/").status_code == 403
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM portal_link WHERE ended_at IS NOT NULL")
        assert cursor.fetchone() == (1,)


def test_a_link_may_open_one_contract_in_one_language(mall: RealShop) -> None:
    client = mall.browser("en")
    answer = press(client, mall.link(contract_id=mall.contract, locale="zh-CN"))
    assert answer.headers["Location"] == f"/contracts/{mall.contract}/"
    assert '<html lang="zh-CN">' in client.get("/account/").content.decode()


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/customer"),
        ({"customer": {"ref": "c-1"}, "return_url": "https://elsewhere.example/"}, 422, "/return_url"),
        ({"customer": {"ref": "c-1"}, "return_url": "/console/"}, 422, "/return_url"),
        ({"customer": {"ref": "c-1"}, "return_url": "javascript:alert(1)"}, 422, "/return_url"),
        ({"customer": {"ref": "c-1"}, "locale": "fr"}, 422, "/locale"),
        ({"customer": {"ref": "c-1"}, "contract_id": "ct_nothing"}, 404, None),
        ({"customer": {"ref": "c-1"}, "amount": 1}, 422, "/amount"),
    ],
)
def test_a_link_that_cannot_be_right_is_not_made(
    mall: RealShop, body: dict[str, Any], status: int, pointer: str | None
) -> None:
    answer = mall.api("/v1/portal-links", body)
    assert answer.status_code == status
    if pointer:
        assert [error["pointer"] for error in json.loads(answer.content)["errors"]] == [pointer]


def test_a_link_to_somebody_else_s_contract_is_not_made(mall: RealShop) -> None:
    answer = mall.api("/v1/portal-links", {"customer": {"ref": "c-2"}, "contract_id": mall.contract})
    assert answer.status_code == 404


def test_links_older_than_a_month_are_forgotten(mall: RealShop) -> None:
    mall.link()
    assert entry.forget_due(AT + timedelta(days=29)) == 0
    assert entry.forget_due(AT + timedelta(days=31)) == 1


@pytest.mark.parametrize(("language", "words"), [("en", "You are not signed in here"), ("zh", "您尚未登录")])
def test_whoever_has_no_visit_reads_how_one_begins(mall: RealShop, language: str, words: str) -> None:
    answer = mall.browser(language).get(f"/contracts/{mall.contract}/")
    assert answer.status_code == 403
    assert words in answer.content.decode()
    assert "6,432" not in answer.content.decode()


def test_whoever_chooses_a_language_on_their_pages_is_written_to_in_it(mall: RealShop) -> None:
    client = mall.signed_in()
    for code, locale in (("en", "en"), ("zh-hans", "zh-CN"), ("en", "en"), ("fr", "en")):
        assert client.post("/language/", {"language": code}).status_code == 302
        assert rules.wish_of(mall.shop, mall.owner).locale == locale
    rules.set_wish(mall.shop, mall.owner, AT, refused=True)
    client.post("/language/", {"language": "zh-hans"})
    wish = rules.wish_of(mall.shop, mall.owner)
    assert (wish.locale, wish.refused_at) == ("zh-CN", AT), "who refused mails refuses them still"
    assert mall.browser().post("/language/", {"language": "en"}).status_code == 302
    assert rules.wish_of(mall.shop, mall.owner) == wish, "nobody's browser changes nothing"
    assert client.get("/language/").status_code == 302
