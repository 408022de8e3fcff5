"""The home and the time line: what is off, what is coming, what waits, and what shoppers met."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client

from fenqi_server import clock
from fenqi_server.console import home
from fenqi_server.decisions import log
from fenqi_server.demo import clock as demo_clock
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import only_shop


@pytest.fixture(autouse=True)
def count_anew() -> Iterator[None]:
    home.forget_counts()
    yield
    home.forget_counts()


@pytest.fixture
def shop(mall: None) -> Shop:
    return only_shop()


def section(page: str, id: str) -> str:
    return re.search(rf'<section aria-labelledby="{id}".*?</section>', page, re.S)[0]  # type: ignore[index]


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_home_says_what_is_off_since_when_until_when_and_under_which_notice(
    shop: Shop, as_staff: Callable[..., Client]
) -> None:
    page = as_staff("author", shop=shop).get("/console/").content.decode()
    off = section(page, "off")
    assert set(re.findall(r'data-rule="([^"]+)"', off)) == {"strategy.beichen_24", "terms.cloudpay_3"}
    said = text_of(off)
    for words in (
        "24 instalments",
        "10 Nov 00:00",
        "1 Dec 00:00",
        "not known",
        "CloudPay instalments have changed",
    ):
        assert words in said
    assert "/notices/" in off or "/announcements/" in off
    coming = text_of(section(page, "coming"))
    assert "23 Nov 22:00 Mall instalments, all of it off: System maintenance 24 Nov 02:00" in coming
    assert "and 6 more times, until 30 Nov 00:30" in coming


def test_home_is_of_the_instant_it_is_asked_at(shop: Shop, as_staff: Callable[..., Client]) -> None:
    client = as_staff("author", shop=shop)
    demo_clock.move_to(clock.now() + timedelta(hours=13))
    page = client.get("/console/").content.decode()
    assert "maintenance.mall" in section(page, "off")
    assert "open again: System maintenance is over" in text_of(section(page, "coming"))


def test_home_in_chinese(shop: Shop, as_staff: Callable[..., Client]) -> None:
    page = as_staff("author", shop=shop, language="zh").get("/console/").content.decode()
    assert "现在停用" in page
    assert "云钱包分期调整" in section(page, "off")
    assert not re.search(r"[A-Za-z]{4,}", text_of(section(page, "off")).replace("strategy", ""))


def test_what_shoppers_met_this_hour_and_where_they_went(
    shop: Shop, visit: Callable[..., Any], as_staff: Callable[..., Client]
) -> None:
    staff = as_staff("support", shop=shop)
    assert 'data-figure="shoppers">0<' in staff.get("/console/").content.decode()
    for person in ("good", "new"):
        client = visit(person)
        client.post("/cart/", {"sku": "cg-15"})
        assert client.get("/checkout/").status_code == 200
        client.get("/checkout/")
    log.flush()
    home.forget_counts()
    page = staff.get("/console/").content.decode()
    assert 'data-figure="shoppers">2<' in page
    hour = section(page, "hour")
    lines = dict(re.findall(r'<tr data-code="([^"]+)">(.*?)</tr>', hour, re.S))
    assert "STRATEGY_PAUSE" in lines
    said = text_of(lines["STRATEGY_PAUSE"])
    assert "nothing so far: 2" in said


def test_what_waits_is_shown_to_whoever_may_do_it(
    shop: Shop, visit: Callable[..., Any], as_staff: Callable[..., Client]
) -> None:
    visit("good").post("/support/new/", {"message": "Why can I not use it?"})
    agent, author = as_staff("support", shop=shop), as_staff("author", shop=shop)
    waits = section(agent.get("/console/").content.decode(), "waits")
    assert "1 Questions of customers without an answer" in text_of(waits)
    assert "Nothing waits for you" in section(author.get("/console/").content.decode(), "waits")
    # The CloudPay notice promised news by 1 December at ten.
    demo_clock.move_to(clock.now() + timedelta(days=9))
    waits = section(author.get("/console/").content.decode(), "waits")
    assert "1 Notices whose next news is overdue" in text_of(waits)
    assert "overdue" in waits
    assert "Notices whose next news" not in section(agent.get("/console/").content.decode(), "waits")


def test_a_shop_without_a_policy_says_so(db: object, as_staff: Callable[..., Client]) -> None:
    from tests.servicing.opened import make_shop

    page = as_staff("author", shop=make_shop("empty")).get("/console/").content.decode()
    assert "No policy is in force yet" in page


def drawing(page: str) -> ET.Element:
    return ET.fromstring(re.search(r'<svg class="timeline" viewBox.*?</svg>', page, re.S)[0])  # type: ignore[index]


def test_the_time_line_draws_every_family_with_shape_letter_and_words(
    shop: Shop, as_staff: Callable[..., Client]
) -> None:
    page = as_staff("auditor", shop=shop).get("/console/timeline/").content.decode()
    svg = drawing(page)
    families = ["".join(t.itertext()) for t in svg.iter("text") if t.get("class") == "family"]
    assert {"Mall instalments", "CloudPay instalments", "He'an consumer loan"} <= set(families)
    bars = [rect for rect in svg.iter("rect") if (rect.get("class") or "").startswith("span")]
    assert {rect.get("fill") for rect in bars if "off" in rect.get("class", "").split()} == {"url(#hatch)"}
    assert {rect.get("fill") for rect in bars if "unsure" in rect.get("class", "").split()} == {"url(#dots)"}
    assert {t.text for t in svg.iter("text") if t.get("class") == "letter"} == {"B", "A", "A?"}
    titles = ["".join(t.itertext()) for t in svg.iter("title")]
    assert "23 Nov 22:00 – 24 Nov 02:00: off (maintenance)" in titles
    # Nothing lies outside of the drawing, and what is off for an hour can still be seen.
    width, height = (float(svg.get(name, "0")) for name in ("width", "height"))
    for rect in bars:
        x, y, w, h = (float(rect.get(name, "-1")) for name in ("x", "y", "width", "height"))
        assert x >= 176
        assert x + w <= width + 3
        assert y >= 0
        assert y + h <= height
        assert w >= 3 or "open" in rect.get("class", "")
    # The table says the same.
    table = text_of(section_table(page))
    for words in (
        "M System maintenance maintenance 23 Nov 22:00 24 Nov 02:00",
        "B Paused by the shop",
        "not known",
    ):
        assert words in table
    assert "style=" not in page


def section_table(page: str) -> str:
    return re.search(r'aria-labelledby="table".*?</section>', page, re.S)[0]  # type: ignore[index]


def test_the_time_line_goes_back_and_on(shop: Shop, as_staff: Callable[..., Client]) -> None:
    client = as_staff("auditor", shop=shop)
    page = client.get("/console/timeline/").content.decode()
    assert 'href="?from=2026-11-10"' in page
    assert 'class="now"' in page
    page = client.get("/console/timeline/?from=2026-12-01").content.decode()
    assert "strategy.beichen_24" not in page
    assert "Paused by the shop" not in page, "it ends on 1 December"
    assert 'class="now"' not in page
    before = client.get("/console/timeline/?from=2025-12-20").content.decode()
    assert "Time line" in before


@pytest.mark.parametrize("wrong", ["2026-13-01", "tomorrow", "1999-01-01", "<script>", "2026-11-24T10:00"])
def test_a_day_that_is_none_is_said(shop: Shop, as_staff: Callable[..., Client], wrong: str) -> None:
    answer = as_staff("auditor", shop=shop).get("/console/timeline/", {"from": wrong})
    assert answer.status_code == 422
    assert "Write a day such as 2026-11-30" in answer.content.decode()
    assert b"<script>" not in answer.content
