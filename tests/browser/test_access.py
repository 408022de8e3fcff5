"""Every page for everybody: axe-core finds nothing, nothing scrolls sideways, everything can be hit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Visit = Callable[..., Any]


def _walk(visitor: Any) -> list[str]:
    """Bring about every state that a page can be in; the addresses that show them."""
    page = visitor.page
    addresses = [
        "/",
        "/product/cg-15-pro/",
        "/product/figures-12/",
        "/cart/",
        "/contracts/",
        "/orders/",
        "/announcements/",
        "/announcements/mall-maintenance-2026-11-23/",
        "/announcements/beichen-nightly/",
        "/announcements/?mine=1",
        "/announcements/?plan=beichen",
        "/ways-to-pay/",
        "/ways-to-pay/beichen/",
        "/support/",
        "/support/new/",
        "/mailbox/",
        "/notify/mine/",
        "/notify/subscribe/",
        "/notify/subscribe/?announcement=mall-maintenance-2026-11-23",
        "/notify/asked/",
        "/demo/",
        "/demo/staff/",
        "/nothing/",
    ]
    visitor.put("cg-15-pro")

    def took(plan: str) -> None:
        visitor.go("/checkout/")
        page.evaluate(_UNFOLD)
        page.check(f"input[value={plan}]")
        with page.expect_navigation():
            page.locator("#choose").evaluate("form => form.submit()")

    def here() -> str:
        return str(page.url.removeprefix(visitor.site))

    took("mall_12")
    addresses.append(here())
    visitor.agree()
    page.wait_for_url("**/contracts/**")
    addresses += [here(), here().split("?")[0] + "disclosure/"]
    visitor.follow("form[action$='/pay/'] button")
    addresses.append(here())
    visitor.follow("button[value=pay]")
    addresses.append(here())
    for answer in ("declined", "silent_declined"):
        visitor.put("cg-15")
        took("tingchao_12")
        visitor.agree()
        page.wait_for_url("**/funders/pretend/**")
        addresses.append(here())
        visitor.follow(f"button[value={answer}]")
        visitor.go("/orders/")
        visitor.follow("tbody a")
        addresses.append(here())
    visitor.move("maintenance")
    visitor.go("/checkout/")
    row = page.locator("#family-mall .fq-missing")
    links = {
        way: row.locator(f"[data-fq-part={way}]").first.get_attribute("href")
        for way in ("notice", "support", "notify")
    }
    addresses += [link for link in links.values() if link]
    visitor.go(links["support"])
    page.fill("#message", "?")
    visitor.follow("main button.primary")
    addresses.append(here())
    visitor.go(links["notify"])
    page.fill("#email", "another@example.com")
    visitor.follow("main button.primary")
    addresses.append(here())
    visitor.go("/notify/subscribe/?plan=mall_12")
    page.fill("#address", "not an address")
    page.locator("main form.card").evaluate("form => form.submit()")
    page.fill("#address", "someone@example.com")
    visitor.follow("main button.primary")
    addresses += _mailed(visitor)
    addresses.append("/checkout/sheet?decision=dc_gone&plan=mall_12")
    addresses.append("/checkout/?choose=none")
    addresses.append("/checkout/")
    return addresses


def _mailed(visitor: Any) -> list[str]:
    """The pages behind the links of the mails, which the worker brings: to confirm, to change, to leave."""
    for _ in range(100):
        visitor.go("/mailbox/")
        links = visitor.page.locator(".mail a").evaluate_all("all => all.map(one => one.href)")
        mine = [link.removeprefix(visitor.site) for link in links if "/notify/confirm/sb_" in link]
        if mine:
            break
        visitor.page.wait_for_timeout(100)
    (confirm,) = mine
    visitor.go(confirm)
    visitor.follow("main button.primary")
    return [confirm, confirm.replace("/confirm/", "/manage/"), confirm.replace("/confirm/", "/off/")]


_UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
_AXE = """
async () => {
  const found = await axe.run(document, {
    resultTypes: ['violations'],
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  });
  return found.violations.map(one => `${one.id}: ${one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ')}`);
}
"""

_SMALL = """
() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
  .filter(one => {
    const inText = one.matches('a') && one.closest('p, dd, li, td, th, span, .mail, .crumbs, h1, h2, h3');
    const box = (one.closest('label') || one).getBoundingClientRect();
    return !inText && box.width && box.height && (box.height < 24 || box.width < 24);
  })
  .map(one => one.outerHTML.slice(0, 120))
"""

_SHORT_PRIMARY = """
() => [...document.querySelectorAll('.primary')].filter(one => one.getBoundingClientRect().height < 44)
  .map(one => one.outerHTML.slice(0, 120))
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_axe_finds_nothing_on_any_page_in_any_state(
    visit: Visit, axe: str, language: str, dark: bool
) -> None:
    visitor = visit("good", language, dark=dark)
    page = visitor.page
    addresses = _walk(visitor)
    wrong: list[str] = []
    for width in (375, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for address in addresses:
            visitor.go(address)
            page.evaluate(_UNFOLD)
            page.evaluate(axe)
            wrong += [f"{address} at {width}: {line}" for line in page.evaluate(_AXE)]
            wrong += [f"{address} at {width}: small target {line}" for line in page.evaluate(_SMALL)]
            wrong += [f"{address} at {width}: low button {line}" for line in page.evaluate(_SHORT_PRIMARY)]
    # The dialog, and what is overdue.
    visitor.go("/checkout/")
    page.locator("input[name=plan]").first.check()
    page.click("[data-fq-part=next]")
    page.wait_for_selector("dialog[open] #agree")
    page.evaluate(axe)
    wrong += [f"the dialog: {line}" for line in page.evaluate(_AXE)]
    visitor.become("overdue")
    visitor.go("/contracts/")
    visitor.follow("main h2 a")
    page.evaluate(axe)
    wrong += [f"an overdue contract: {line}" for line in page.evaluate(_AXE)]
    assert wrong == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_scrolls_sideways_at_320_pixels_or_with_text_twice_as_large(
    visit: Visit, language: str
) -> None:
    visitor = visit("good", language)
    page = visitor.page
    addresses = _walk(visitor)
    wrong = []
    for width in (320, 375, 768):
        page.set_viewport_size({"width": width, "height": 700})
        for address in addresses:
            visitor.go(address)
            page.evaluate(_UNFOLD)
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                wrong.append(f"{address} at {width}: {wide}")
    page.set_viewport_size({"width": 1280, "height": 800})
    for address in addresses:
        visitor.go(address)
        # 200 % text: what a reader's own setting does.
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > 1280:
            wrong.append(f"{address} with large text: {wide}")
    assert wrong == []


def test_a_printed_contract_is_a_statement_without_the_shops_frame(visit: Visit) -> None:
    visitor = visit("overdue", "en")
    page = visitor.page
    visitor.go("/contracts/")
    visitor.follow("main h2 a")
    page.emulate_media(media="print")
    assert not page.locator(".site-nav").is_visible()
    assert not page.locator(".demo-strip").is_visible()
    assert not page.locator("form[action$='/pay/']").is_visible()
    assert page.locator("[data-fq-part=rows]").is_visible()
