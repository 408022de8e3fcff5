"""The forced reading of the cost table: the button opens when its time has passed, and without a script the server holds it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

Visit = Callable[..., Any]
_AXE = """async () => (await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] }))
  .violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`)"""


def _open(visitor: Any, plan: str = "mall_12") -> None:
    visitor.put("cg-15")
    visitor.go("/checkout/")
    visitor.page.check(f"input[value={plan}]")
    visitor.page.click("[data-fq-part=next]")


@pytest.mark.parametrize(("language", "width"), [("zh", 375), ("en", 1280)])
def test_the_button_is_shut_until_the_time_has_passed(visit: Visit, language: str, width: int) -> None:
    visitor = visit("good", language, width=width)
    page = visitor.page
    _open(visitor)
    page.wait_for_selector("dialog[open] #agree")
    began = time.monotonic()
    button, line = page.locator("#agree button.primary"), page.locator("fenqi-reading [role=status]")
    assert button.is_disabled()
    assert re.search(r"\b(10|9)\b", line.inner_text()), line.inner_text()
    page.check("#agree input[name=read]")
    assert button.is_disabled(), "a tick does not shorten the reading"
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1
    page.wait_for_selector("#agree button.primary:enabled", timeout=20_000)
    passed = time.monotonic() - began
    assert 8.5 <= passed <= 13, passed
    assert line.inner_text() == {"zh": "阅读时间已到，可以确认。", "en": "You can agree now."}[language]
    assert line.get_attribute("aria-live") == "polite"
    visitor.follow("#agree button.primary")
    page.wait_for_url("**/contracts/**")


def test_closing_the_table_and_opening_it_again_does_not_begin_anew(visit: Visit) -> None:
    visitor = visit("good", "en")
    page = visitor.page
    _open(visitor)
    page.wait_for_selector("dialog[open] #agree")
    page.wait_for_timeout(3_000)
    page.click("[data-fq-close]")
    page.click("[data-fq-part=next]")
    page.wait_for_selector("dialog[open] #agree")
    assert int(page.get_attribute("fenqi-reading", "seconds")) <= 7


def test_without_a_script_the_server_says_how_long_is_left_and_keeps_the_form(visit: Visit) -> None:
    visitor = visit("good", "zh", width=375, script=False)
    page = visitor.page
    visitor.put("cg-15")
    visitor.go("/checkout/")
    page.check("input[value=mall_12]")
    visitor.follow("[data-fq-part=next]")
    assert "至少用 10 秒" in page.inner_text("fenqi-reading")
    assert page.locator("#agree button.primary").is_enabled()
    page.check("#agree input[name=read]")
    visitor.follow("#agree button.primary")
    assert page.url.endswith("/checkout/sheet")
    assert re.fullmatch(r"费用明示表至少需阅读10秒，还剩\d+秒。", page.inner_text("[role=alert]"))
    assert page.is_checked("#agree input[name=read]")
    visitor.agree()
    page.wait_for_url("**/contracts/**")


@pytest.mark.parametrize(("language", "width"), [("zh", 375), ("en", 1280)])
def test_the_table_at_its_own_address_fits_its_screen_and_its_paper(
    visit: Visit, axe: str, language: str, width: int
) -> None:
    visitor = visit("good", language, width=width)
    page = visitor.page
    _open(visitor, "tingchao_12")
    page.wait_for_selector("dialog[open] #agree")
    address = page.locator(f"dialog a[href*='/disclosures/'][lang={'zh-CN' if language == 'zh' else 'en'}]")
    visitor.follow(address)
    assert re.search(r"/disclosures/sha256:[0-9a-f]{64}/", page.url)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it runs over the side"
    page.evaluate(axe)
    assert page.evaluate(_AXE) == []
    page.emulate_media(media="print")
    assert page.locator(".no-print").first.is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    headers = page.context.request.get(page.url + "table.pdf").headers
    assert headers["content-type"] == "application/pdf"
