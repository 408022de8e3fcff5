"""The shopper's guide says what is true now: by cause and by way, for anybody, and nothing of anybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from tests.pages.page import parse

from fenqi_server import clock
from fenqi_server.demo.people import START_AT

ADDRESS = "/help/installments/"


def read(visit: Callable[..., Any], language: str = "en", query: str = "", person: str = "new") -> Any:
    client = visit(person, language)
    client.get("/demo/")  # says whose turn it is, once
    return parse(client.get(ADDRESS + query).content)


def test_what_is_off_for_everybody_says_why_and_until_when(visit: Callable[..., Any]) -> None:
    page = read(visit)
    beichen = page.one("section", id_="way-beichen").text
    # 24 instalments are paused by the shop until 1 December; the others are not.
    assert "some terms are off for now" in beichen
    assert beichen.count("Back on") == 1
    assert "24 instalments with Beichen Bank are paused" in beichen
    cause = page.one("section", id_="cause-strategy").text
    assert "Beichen Bank card instalments × 24" in cause


def test_a_maintenance_tonight_is_told_beforehand_and_during_it(visit: Callable[..., Any]) -> None:
    before = read(visit).one("section", id_="cause-maintenance").text
    assert "Mall instalments are being maintained" in before
    assert "from 23 Nov 22:00" in before
    with clock.pinned(START_AT + timedelta(hours=12, minutes=5)):
        during = read(visit)
    assert "off for everybody now" in during.one("section", id_="way-mall").text
    assert "Mall instalments × 12" in during.one("section", id_="cause-maintenance").text


def test_the_figures_are_the_engine_s_for_the_amount_that_the_reader_names(visit: Callable[..., Any]) -> None:
    way = read(visit, query="?amount=6000").one("section", id_="way-mall").text
    # ¥6,000 in 12 with 0.6 % a month: 500 + 36 each, 6,432 in all, 13.03 % a year (IRR x 12).
    assert "¥536.00 × 12" in way
    assert "¥6,432.00" in way
    assert "13.03%" in way


@pytest.mark.parametrize("written", ["-1", "abc", "0", "1e9", "<script>"])
def test_an_amount_that_is_none_is_refused_beside_its_field(visit: Callable[..., Any], written: str) -> None:
    response = visit("new", "en").get(f"{ADDRESS}?amount={quote(written)}")
    assert response.status_code == 422
    assert "Write an amount above zero" in response.content.decode()
    assert "<script>" not in response.content.decode().replace('<script src="', "")


def test_the_guide_is_the_same_for_everybody(visit: Callable[..., Any]) -> None:
    """Somebody in arrears, or under age, reads nothing of it here."""
    pages = {
        person: read(visit, person=person).one("main").text
        for person in ("new", "overdue", "student", "over_limit")
    }
    assert len(set(pages.values())) == 1


def test_it_speaks_chinese(visit: Callable[..., Any]) -> None:
    page = read(visit, "zh")
    assert "分期指南：为什么少了一种方式，可以怎么办" in page.one("main").text
    assert "部分期数暂停" in page.one("section", id_="way-beichen").text
