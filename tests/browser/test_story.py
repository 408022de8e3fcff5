"""The issue's story in real Chromium: the purchase, and the evening on which 商城分期 was being maintained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from fenqi.money import format_money
from fenqi.terms.disclosure import percent
from fenqi_server.books.proof import prove

Visit = Callable[..., Any]


def _yuan(minor: int) -> str:
    return format_money(minor, "CNY")


def _texts(page: Any, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


def _agree(visitor: Any) -> None:
    page = visitor.page
    page.wait_for_selector("#agree")
    for box in page.locator("#agree input[type=checkbox]").all():
        assert not box.is_checked(), "nothing is ticked beforehand"
    visitor.agree()


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("zh", 375)])
def test_a_phone_over_twelve_months_every_figure_the_engines(visit: Visit, language: str, width: int) -> None:
    visitor = visit("good", language, width=width)
    page = visitor.page
    visitor.put("cg-15-pro")
    visitor.go("/checkout/")
    assert page.locator("input[name=plan]:checked").count() == 0
    option = visitor.decision.evaluation.option("mall_12")
    rows = option.schedule.rows
    for offer in visitor.decision.evaluation.offers:
        tile = page.inner_text(f"#term-{offer.plan}")
        assert _yuan(offer.schedule.total_minor) in tile
        shown = "0%" if offer.cost.simple_e12 == 0 else percent(offer.cost.simple_e12) + "%"
        assert shown in tile

    page.check("input[value=mall_12]")
    chosen = page.inner_text("[data-fq-part=chosen]")
    for figure in (rows[5].total_minor, option.schedule.total_minor, option.cost.fee_minor):
        assert _yuan(figure) in chosen
    assert page.get_attribute("[data-fq-part=chosen]", "aria-live") == "polite"

    page.click("[data-fq-part=next]")
    page.wait_for_selector("dialog[open] #agree")
    assert page.url.endswith("/checkout/"), "the sheet opens without leaving the page"
    assert _texts(page, "dialog [data-figure=row-total]") == [_yuan(row.total_minor) for row in rows]
    assert _texts(page, "dialog [data-figure=fee]") == [_yuan(option.cost.fee_minor)]
    assert _yuan(option.schedule.total_minor) in page.inner_text("dialog [data-figure=total]")
    page.click("#agree button.primary", timeout=20_000)
    assert page.locator("dialog[open]").count() == 1, (
        "without the tick the browser itself holds the form back"
    )
    _agree(visitor)

    page.wait_for_url("**/contracts/**")
    assert _texts(page, "[data-figure=due]") == [_yuan(row.total_minor) for row in rows]
    visitor.follow("form[action$='/pay/'] button")
    assert _yuan(rows[0].total_minor) in page.inner_text("[data-figure=amount]")
    visitor.follow("button[value=pay]")
    page.wait_for_url("**/contracts/**")
    assert _texts(page, "[data-figure=paid]")[0] == _yuan(rows[0].total_minor)
    left = option.schedule.total_minor - rows[0].total_minor
    assert page.inner_text("[data-figure=balance]") == _yuan(left)
    report = prove(connection)
    assert report.ok, report
    visitor.go("/demo/staff/?next=/console/books/")
    visitor.follow("form:has(input[value=qian]) button")
    assert page.locator("[data-figure=book-sum]").all_inner_texts() == ["¥0.00"]


def test_the_evening_of_the_maintenance(visit: Visit) -> None:
    good = visit("good", "en")
    page = good.page
    good.put("cg-15")
    good.go("/checkout/")
    places = page.locator("fieldset").evaluate_all("all => all.map(one => one.id)")
    good.move("maintenance")

    # It keeps its place, with reason, until and the four ways.
    good.go("/checkout/")
    assert page.locator("fieldset").evaluate_all("all => all.map(one => one.id)").index(
        "family-mall"
    ) == places.index("family-mall")
    row = page.locator("#family-mall .fq-missing")
    assert row.is_visible()
    assert "24 Nov 02:00" in row.locator("[data-fq-part=until]").inner_text()
    reason = row.locator(".fq-reasons strong").inner_text()
    for way in ("instead", "notice", "support", "notify"):
        assert row.locator(f"[data-fq-part={way}]").first.is_visible()

    # Reads the notice.
    good.follow(row.locator("[data-fq-part=notice]").first)
    assert "upgrading the system" in page.inner_text("dl.facts")
    assert "Contracts in force" in page.inner_text("dl.facts")
    assert page.locator("[data-fq-part=instead]").count() > 0

    # Opens a case, which the agent's page shows with the same reason.
    good.go("/checkout/")
    good.follow(row.locator("[data-fq-part=support]").first)
    page.fill("#message", "When will it work again?")
    good.follow("main button.primary")
    assert reason in page.inner_text("[data-fq-part=reasons]")
    agent = visit("new", "en")
    agent.work_as("fang")
    agent.go("/console/cases/")
    agent.follow("tbody a")
    assert agent.page.locator("[data-fq-part=reasons] > li").get_attribute("data-code") == "MAINTENANCE"
    assert reason in agent.page.inner_text("[data-fq-part=reasons]")
    agent.page.fill("#message", "At two in the morning; your contracts are not affected.")
    agent.follow("form[action$='/reply'] button.primary")

    # Asks to be told; so does somebody who is over the limit.
    over = visit("over_limit", "zh")
    over.put("cg-15")
    for visitor, email in ((good, "chen.jing@example.com"), (over, "zhao.xue@example.com")):
        visitor.go("/checkout/")
        visitor.follow(".fq-missing[data-plans*=mall_12] [data-fq-part=notify]")
        visitor.page.fill("#email", email)
        visitor.page.check("#at-night")
        visitor.follow("main button.primary")
        visitor.page.wait_for_url("**/notify/nr_*/")

    # Takes the alternative, and its hand-off is declined once and then approved.
    good.go("/checkout/")
    for answer, state in (("declined", "declined"), ("approved", "paid")):
        if answer == "declined":
            good.follow(row.locator("[data-fq-part=instead]").first)
        else:
            good.follow("[data-fq-part=instead]")
        _agree(good)
        page.wait_for_url("**/funders/pretend/**")
        assert "pretend" in page.inner_text("main").lower()
        good.follow(f"button[value={answer}]")
        page.wait_for_url("**/orders/**")
        assert page.inner_text("[data-fq-part=state]") == state

    # The clock passes the window: one mail, and none for whom another reason still stands.
    good.move("after")
    for _ in range(50):
        good.go("/mailbox/")
        if page.locator(".mail").count():
            break
        page.wait_for_timeout(100)
    box = page.inner_text("main")
    assert page.locator(".mail").count() == 1
    assert "chen.jing@example.com" in box
    assert "zhao.xue@example.com" not in box


def test_without_a_script_the_purchase_and_the_four_ways_work(visit: Visit) -> None:
    visitor = visit("good", "zh", width=375, script=False)
    page = visitor.page
    visitor.put("cg-15")
    visitor.follow("main a[href='/checkout/']")
    page.check("input[value=mall_6]")
    visitor.follow("[data-fq-part=next]")
    _agree(visitor)
    page.wait_for_url("**/contracts/**")
    visitor.follow("form[action$='/pay/'] button")
    visitor.follow("button[value=pay]")
    assert "¥833.20" in page.inner_text("[data-figure=paid] >> nth=0")

    visitor.move("maintenance")
    visitor.put("cg-15")
    visitor.go("/checkout/")
    row = page.locator("#family-mall .fq-missing")
    visitor.follow(row.locator("[data-fq-part=notice]").first)
    assert "商城分期系统维护" in page.inner_text("h1")
    visitor.go("/checkout/")
    visitor.follow(row.locator("[data-fq-part=support]").first)
    page.fill("#message", "什么时候恢复？")
    visitor.follow("main button.primary")
    assert "什么时候恢复？" in page.inner_text("main")
    visitor.go("/checkout/")
    visitor.follow(row.locator("[data-fq-part=notify]").first)
    # An address that the shop does not know has to say yes first; the customer's own is told at once.
    page.fill("#email", "jing@example.com")
    visitor.follow("main button.primary")
    assert "还差一步" in page.inner_text("h1")
    visitor.go("/checkout/")
    visitor.follow(row.locator("[data-fq-part=notify]").first)
    page.fill("#email", "chen.jing@example.com")
    visitor.follow("main button.primary")
    assert "恢复时会通知您" in page.inner_text("h1")
    visitor.go("/checkout/")
    visitor.follow(row.locator("[data-fq-part=instead]").first)
    _agree(visitor)
    visitor.follow("button[value=approved]")
    assert page.inner_text("[data-fq-part=state]") == "已付款"


def test_by_keyboard_alone_in_few_steps_with_the_focus_in_sight(visit: Visit) -> None:
    visitor = visit("good", "en")
    page = visitor.page
    visitor.put("cg-15")
    visitor.go("/checkout/")
    page.focus("input[value=mall_3]")
    page.keyboard.press("ArrowDown")
    assert page.locator("input[name=plan]:checked").get_attribute("value") == "mall_6"
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] #agree")
    stops = 1
    while page.evaluate("document.activeElement.name") != "read":
        page.keyboard.press("Tab")
        stops += 1
        assert stops < 9
        assert page.evaluate(_IN_SIGHT), page.evaluate("document.activeElement.outerHTML")
    page.keyboard.press("Space")
    page.wait_for_selector("#agree button.primary:enabled", timeout=20_000)
    page.keyboard.press("Tab")
    stops += 1
    assert page.evaluate("document.activeElement.closest('form').id") == "agree"
    assert stops <= 8
    page.keyboard.press("Enter")
    page.wait_for_url("**/contracts/**")


_UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
_IN_SIGHT = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return true;
  const target = one.closest('label') || one;
  const box = target.getBoundingClientRect();
  if (!box.width || !box.height) return false;
  const x = Math.min(Math.max(box.left + Math.min(box.width / 2, 20), 0), innerWidth - 1);
  for (const y of [box.top + Math.min(6, box.height / 2), box.top + box.height / 2]) {
    if (y < 0 || y >= innerHeight) return false;
    const seen = document.elementFromPoint(x, y);
    if (!(seen && (target.contains(seen) || seen.contains(target)))) return false;
  }
  return true;
}
"""


@pytest.mark.parametrize("width", [375, 1280])
def test_at_no_stop_does_the_sticky_bar_cover_the_focus(visit: Visit, width: int) -> None:
    visitor = visit("new", "zh", width=width, height=667)
    page = visitor.page
    visitor.put("cg-15")
    visitor.go("/checkout/")
    page.evaluate(_UNFOLD)
    page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
    hidden = []
    for key in ("Tab", "Shift+Tab"):
        for _ in range(120):
            page.keyboard.press(key)
            if page.evaluate("document.activeElement === document.body"):
                break
            if not page.evaluate(_IN_SIGHT):
                hidden.append(page.evaluate("document.activeElement.outerHTML.slice(0, 200)"))
    assert hidden == []


def test_a_cart_changed_in_another_window_makes_the_figures_stale_and_then_new(visit: Visit) -> None:
    visitor = visit("good", "en")
    page = visitor.page
    visitor.put("cg-15")
    visitor.go("/checkout/")
    page.check("input[value=mall_12]")
    page.evaluate(_CHANGE_THE_CART_ELSEWHERE)
    page.wait_for_selector(".requote")
    assert page.evaluate("seen") == [["stale", True]]
    assert "¥5,148.00" in page.inner_text(".fq-bar")
    changes = page.inner_text("[data-fq-part=changes]")
    assert "Mall instalments × 12: Total to pay" in changes
    assert "¥4,999.00" in changes
    assert "¥5,148.00" in changes
    assert page.locator("input[name=plan]:checked").count() == 0, "a new offer is chosen anew"
    assert page.locator("fenqi-options[state=ready]").count() == 1
    assert page.locator("[data-fq-part=next]").is_enabled()


# What another window of the same visitor does, and the moment in which this one is looked at again.
_CHANGE_THE_CART_ELSEWHERE = """
async () => {
  const box = document.querySelector('fenqi-options');
  window.seen = [];
  for (const name of ['stale', 'expired', 'error'])
    box.addEventListener(`fenqi-${name}`, () => seen.push([name, box.querySelector('[data-fq-part=next]').disabled]));
  const token = document.querySelector('[name=csrfmiddlewaretoken]').value;
  await fetch('/cart/', { method: 'POST', body: new URLSearchParams({ csrfmiddlewaretoken: token, sku: 'cg-case' }) });
  document.dispatchEvent(new Event('visibilitychange'));
}
"""


def test_offers_that_ran_out_cannot_be_taken_and_are_made_again(visit: Visit) -> None:
    visitor = visit("good", "en")
    page = visitor.page
    visitor.put("cg-15")
    visitor.go("/checkout/")
    page.check("input[value=mall_12]")
    page.evaluate("document.querySelector('fenqi-options').state('expired')")
    assert page.locator("[data-fq-part=next]").is_disabled()
    visitor.follow("[data-fq-part=expired] a")
    assert "These are new offers" in page.inner_text("main")
