"""The desk in a real browser: from the shopper's question to a special case at the checkout, for everybody to use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.browser.test_access import _AXE, _SHORT_PRIMARY, _SMALL, _UNFOLD

Visit = Callable[..., Any]


_WIDE = """
() => [...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > innerWidth)
  .map(one => one.outerHTML.slice(0, 120)).slice(-3)
"""


def _asked(visitor: Any) -> None:
    """A shopper over their line asks why; the cart stays."""
    visitor.put("cg-15")
    visitor.go("/checkout/")
    visitor.follow(".fq-missing[data-plans*=mall_12] [data-fq-part=support]")
    visitor.page.fill("#message", "Why can I not use it?")
    visitor.follow("main button.primary")


def _here(page: Any) -> str:
    return "/" + page.url.split("/", 3)[3]


def test_a_question_becomes_a_special_case_at_the_checkout_and_ends(visit: Visit) -> None:
    shopper = visit("over_limit", "en")
    _asked(shopper)
    agent = visit("new", "en")
    page = agent.page
    agent.work_as("fang")
    agent.go("/console/cases/")
    agent.follow("tbody a")
    page.select_option("#template", "why")
    agent.follow("form[method=get] button")
    assert "Mall instalments" in page.input_value("#message")
    agent.follow("form[action$='/reply'] button.primary")
    assert page.inner_text("[role=status]") == "The reply was sent."
    agent.follow("a[href^='/console/diagnosis/']")
    assert "identical with the record" in page.inner_text("[data-fq-part=replay]")
    assert "Without this one it would be open." in page.inner_text("[data-fq-part=layers]")
    agent.follow("a[href^='/console/special/new/']")
    page.check("input[name=scope][value=all]")
    page.fill("#reason", "A customer of many years")
    agent.follow("main button.primary")
    special = _here(page)
    assert "Asked. Someone else has to approve it." in page.inner_text("[role=status]")
    assert page.locator("form[action$='/approve']").count() == 0

    boss = visit("good", "en")
    boss.work_as("tang")
    boss.go(special)
    boss.follow("form[action$='/approve'] button")
    assert "in force" in boss.page.inner_text("h1 + .state")

    shopper.go("/checkout/")
    badge = shopper.page.locator("#family-mall [data-fq-part=special]").first
    assert "Special case" in badge.inner_text()
    assert "open to you until 24 Nov" in badge.inner_text()
    other = visit("good", "en")
    other.put("cg-15")
    other.go("/checkout/")
    assert other.page.locator("[data-fq-part=special]").count() == 0

    boss.page.fill("#revoke-note", "asked for by mistake")
    boss.follow("form[action$='/revoke'] button")
    shopper.go("/checkout/")
    assert shopper.page.locator("[data-fq-part=special]").count() == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_axe_finds_nothing_at_the_desk_and_nothing_scrolls_sideways(
    visit: Visit, axe: str, language: str, dark: bool
) -> None:
    visitor = visit("over_limit", language, dark=dark)
    page = visitor.page
    _asked(visitor)
    addresses = [_here(page)]
    visitor.work_as("tang")
    visitor.go("/console/cases/")
    visitor.follow("tbody a")
    addresses.append(_here(page))
    visitor.follow("a[href^='/console/diagnosis/']")
    addresses.append(_here(page))
    visitor.follow("a[href^='/console/special/new/']")
    addresses.append(_here(page))
    page.fill("#reason", "?")
    visitor.follow("main button.primary")
    addresses += [
        _here(page),
        "/console/special/",
        "/console/cases/templates/?edit=why",
        "/console/cases/?show=all",
    ]
    wrong: list[str] = []

    def look(what: str) -> None:
        page.evaluate(_UNFOLD)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide = page.evaluate(_WIDE)
            wrong.append(f"{what}: scrolls sideways: {wide}")
        if page.viewport_size["width"] in (320, 768):
            return
        page.evaluate(axe)
        for check in (_AXE, _SMALL, _SHORT_PRIMARY):
            wrong.extend(f"{what}: {line}" for line in page.evaluate(check))

    for width in (320, 375, 768, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for address in addresses:
            assert visitor.go(address).status == 200, address
            look(f"{address} at {width}")
        # What a search found, and what is wrong with a form.
        visitor.go("/console/cases/find/")
        page.fill("#asked", "over_limit")
        visitor.follow("form[role=search] button")
        look(f"found at {width}")
        visitor.go(next(address for address in addresses if "special/new" in address))
        page.fill("#amount", "?")
        page.fill("#reason", "?")
        visitor.follow("main button.primary")
        look(f"a wrong amount at {width}")
    assert wrong == []


def test_the_desk_works_without_javascript_and_by_keyboard(visit: Visit) -> None:
    visitor = visit("over_limit", "en", script=False)
    page = visitor.page
    _asked(visitor)
    visitor.work_as("fang")
    visitor.go("/console/cases/")
    link = page.locator("tbody a").first
    for _ in range(40):
        page.keyboard.press("Tab")
        if link.evaluate("one => one === document.activeElement"):
            break
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.focus("#message")
    page.keyboard.type("Because your line is used up.")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.inner_text("[role=status]") == "The reply was sent."
