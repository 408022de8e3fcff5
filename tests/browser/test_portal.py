"""A newcomer to the customer's pages, on a phone: what is owed, paying, paying off, returning, and what each cost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.browser.test_access import _AXE, _SMALL, _UNFOLD

from fenqi.money import format_money, parse_money

Visit = Callable[..., Any]
SHOTS = os.environ.get("FENQI_SHOTS", "")


def yuan(minor: int) -> str:
    return format_money(minor, "CNY")


class Newcomer:
    """Somebody with a phone: every page that they come to is looked at, by axe and for what does not fit."""

    def __init__(self, visitor: Any, axe: str, name: str) -> None:
        self.visitor, self.page, self.axe, self.name = visitor, visitor.page, axe, name
        self.wrong: list[str] = []
        self.seen = 0

    def look(self, what: str) -> None:
        page = self.page
        page.evaluate(_UNFOLD)
        page.evaluate(self.axe)
        self.wrong += [f"{what}: {line}" for line in page.evaluate(_AXE)]
        self.wrong += [f"{what}: small target {line}" for line in page.evaluate(_SMALL)]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > page.viewport_size["width"]:
            self.wrong.append(f"{what}: {wide} wide")
        self.seen += 1
        if SHOTS:
            for width in (1280, 375):
                page.set_viewport_size({"width": width, "height": 800})
                page.screenshot(
                    path=str(
                        Path(SHOTS) / f"{self.name}-{self.seen:02}-{what.replace(' ', '-')}-{width}.png"
                    ),
                    full_page=True,
                )

    def figure(self, name: str) -> int:
        text = self.page.locator(f"[data-figure={name}]").first.inner_text().split("\n")[0].strip()
        return parse_money(text, "CNY")

    def go(self, address: str, what: str) -> None:
        self.visitor.go(address)
        self.look(what)

    def follow(self, target: Any, what: str) -> None:
        self.visitor.follow(target)
        self.look(what)

    def buys(self, plan: str, *skus: str) -> str:
        """The address of the contract."""
        visitor = self.visitor
        for sku in skus:
            visitor.put(sku)
        visitor.go("/checkout/")
        self.page.evaluate(_UNFOLD)
        self.page.check(f"input[value={plan}]")
        with self.page.expect_navigation():
            self.page.locator("#choose").evaluate("form => form.submit()")
        visitor.agree()
        self.page.wait_for_url("**/contracts/**")
        return str(self.page.url.removeprefix(visitor.site).split("?")[0])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_newcomer_finds_pays_pays_off_returns_and_reads_what_each_cost(
    visit: Visit, axe: str, language: str
) -> None:
    newcomer = Newcomer(visit("good", language, width=375), axe, language)
    page = newcomer.page
    phone = newcomer.buys("mall_12", "cg-15")
    set_of_two = newcomer.buys("mall_6", "cg-lite", "cg-buds")

    # Find what is owed: both contracts, and what is next.
    visitor = newcomer.visitor
    visitor.go(phone)
    owed = {phone: newcomer.figure("balance")}
    first = newcomer.figure("next")
    assert newcomer.figure("cost") == owed[phone]
    visitor.go(set_of_two)
    owed[set_of_two] = newcomer.figure("balance")
    # 1,999.00 and 499.00, free of interest.
    assert owed[set_of_two] == newcomer.figure("cost") == 249_800
    newcomer.go("/account/", "overview")
    assert newcomer.figure("owed") == sum(owed.values())

    # Pay the next instalment of the phone: what it pays is said first.
    newcomer.follow(f"main a[href='{phone}']", "contract")
    newcomer.follow("main a[href$='/pay/']", "pay")
    page.check("input[name=choice][value=next]")
    newcomer.follow("form:has(input[name=choice]) button", "pay preview")
    assert newcomer.figure("left") == owed[phone] - first
    newcomer.follow("section form button.primary", "bank")
    assert newcomer.figure("amount") == first
    newcomer.follow("button[value=pay]", "paid")
    assert newcomer.figure("balance") == owed[phone] - first
    assert yuan(first) in page.inner_text("main .note.good")

    # Pay off the phone: the price that is left, without the fees of the months that are spared.
    price, fees = newcomer.figure("price"), newcomer.figure("fees")
    assert price == 499_900
    newcomer.follow("main a[href$='/pay-off/']", "pay off")
    amount, saving = newcomer.figure("amount"), newcomer.figure("saving")
    assert amount + saving == owed[phone] - first
    assert saving > 0
    newcomer.follow("section form button.primary", "quote")
    assert newcomer.figure("amount") == amount
    visitor.follow("section form button.primary")
    assert newcomer.figure("amount") == amount
    newcomer.follow("button[value=pay]", "paid off")
    assert newcomer.figure("balance") == 0
    # What it cost: the price, and the fees that were not spared.
    assert newcomer.figure("fees") == fees - saving
    assert newcomer.figure("cost") == price + fees - saving == first + amount
    changes = page.inner_text("[data-fq-part=changes]")
    assert yuan(amount) in changes
    assert yuan(saving) in changes

    # Return the earphones of the other: 499.00 comes off the last instalments.
    visitor.go(set_of_two)
    newcomer.follow("main a[href$='/return/']", "return")
    page.select_option("select[name=n-cg-buds]", "1")
    newcomer.follow("form:has(select[name=n-cg-buds]) button", "return preview")
    assert (newcomer.figure("returned"), newcomer.figure("settled")) == (49_900, 49_900)
    assert (newcomer.figure("before"), newcomer.figure("after")) == (249_800, 199_900)
    page.select_option("#reason", "unwanted")
    newcomer.follow("section form button.primary", "return asked for")
    assert newcomer.figure("balance") == 249_800, "nothing has changed before the goods are there"
    newcomer.follow("form[action$='/parcel/'] button", "returned")
    assert newcomer.figure("balance") == 199_900
    assert (newcomer.figure("price"), newcomer.figure("cost")) == (249_800, 199_900)
    assert yuan(49_900) in page.inner_text("[data-fq-part=changes]")

    # Its statement names the return by its long number, and fits all the same.
    newcomer.follow("#documents ~ ul a[href*='/papers/']", "statement")
    # And everything that is owed now is what the one contract says.
    newcomer.go("/account/", "overview after")
    assert newcomer.figure("owed") == 199_900
    assert newcomer.wrong == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_other_page_of_the_customer_reads_well_on_a_phone(
    visit: Visit, axe: str, language: str
) -> None:
    newcomer = Newcomer(visit("overdue", language, width=375), axe, f"{language}-late")
    page, visitor = newcomer.page, newcomer.visitor
    newcomer.go("/account/", "overview late")
    newcomer.follow("section.note a", "cure")
    visitor.go("/contracts/")
    newcomer.follow("main h2 a", "contract late")
    late = str(page.url.removeprefix(visitor.site))
    newcomer.go(late + "due-day/", "due day refused")
    newcomer.go(late + "help/", "help")
    page.check("input[name=reason][value=income]")
    newcomer.follow("form:has(input[name=reason]) button", "help preview")
    newcomer.follow("main form.card button", "help asked for")
    newcomer.go("/account/data/erase/", "erase refused")
    visitor.become("running")
    visitor.go("/contracts/")
    visitor.follow("main h2 a")
    newcomer.follow("main a[href$='/due-day/']", "due day")
    page.select_option("#day", "5")
    newcomer.follow("form:has(#day) button", "due day preview")
    newcomer.follow("section form button.primary", "due day moved")
    newcomer.go("/account/autopay/", "autopay")
    page.check("input[name=card][value=steady]")
    newcomer.follow("form:has(input[name=card]) button", "autopay preview")
    newcomer.follow("form button.primary", "autopay on")
    newcomer.follow("main a[href*='act=off']", "autopay off")
    newcomer.go("/account/", "overview running")
    newcomer.go("/account/ways/?amount=10", "ways")
    newcomer.go("/account/data/", "data")
    visitor.become("new")
    newcomer.go("/account/", "overview empty")
    newcomer.go("/account/data/erase/", "erase")
    newcomer.follow("main form button", "erase again")
    page.check("input[name=sure]")
    newcomer.follow("main form button.primary", "erased")
    assert newcomer.wrong == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_way_in_reads_well_on_a_phone(visit: Visit, axe: str, language: str) -> None:
    from fenqi_server import clock
    from fenqi_server.customers import service as customers
    from fenqi_server.portal import entry
    from fenqi_server.shops.service import only_shop

    newcomer = Newcomer(visit("good", language, width=375), axe, f"{language}-in")
    page, visitor, shop = newcomer.page, newcomer.visitor, only_shop()
    at = clock.now()
    made = entry.make_link(shop, customers.ensure(shop, "overdue", at), at)
    address = "/portal/in/?" + made.url.partition("?")[2]
    newcomer.go(address, "enter")
    newcomer.follow("main button.primary", "in")
    assert page.url.endswith("/account/")
    newcomer.go(address, "used")
    visitor.go("/account/")
    newcomer.follow("form[action='/portal/out/'] button", "left")
    assert newcomer.wrong == []
