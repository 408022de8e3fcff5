"""Contracts, acts and requests in the console: on a phone and on a desk, in axe's eyes, in both languages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from tests.browser.test_access import _AXE, _SHORT_PRIMARY, _SMALL, _UNFOLD
from tests.servicing.opened import open_one

Visit = Callable[..., Any]
LONG = "2026112322001419931441931972-and-what-a-bank-puts-after-it-0123456789"


def looked_at(visitor: Any, axe: str, addresses: Iterable[str]) -> list[str]:
    """What is wrong with these pages at two widths."""
    wrong: list[str] = []
    page = visitor.page
    for address in addresses:
        for width in (375, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert visitor.go(address).status == 200, address
            page.evaluate(_UNFOLD)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{address} at {width}: scrolls sideways")
            page.evaluate(axe)
            for look in (_AXE, _SMALL, _SHORT_PRIMARY):
                wrong.extend(f"{address} at {width}: {line}" for line in page.evaluate(look))
    return wrong


@pytest.mark.parametrize("language", ["zh", "en"])
def test_contracts_fit_a_phone_and_a_desk(visit: Visit, axe: str, language: str) -> None:
    from fenqi_server.customers import service as customers
    from fenqi_server.demo import clock
    from fenqi_server.servicing import returns
    from fenqi_server.servicing import service as servicing
    from fenqi_server.shops.service import only_shop

    shop, at = only_shop(), clock.now()
    contract = open_one(shop, customers.ensure(shop, "browsed", at), at=at)
    servicing.pay(shop, contract, 60_000, "received", LONG, at)
    returns.confirm_return(shop, contract, f"rq_{'0123456789' * 5}", 100_000, at)
    # A row with a note beneath its day.
    due = max(row.due_on for row in servicing.get(shop, contract, at=at).state.rows)
    servicing.put_off(shop, due, due, due + timedelta(days=2), "an_browsed", "outage", at)
    visitor = visit("good", language)
    visitor.work_as("qian")
    here = f"/console/contracts/{contract}/"
    assert looked_at(visitor, axe, ("/console/contracts/", here, f"{here}?event=2")) == []
    # Where the list of what happened is a table still, and has no room to spare.
    visitor.page.set_viewport_size({"width": 1024, "height": 900})
    visitor.go(here)
    assert not visitor.page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_act_and_a_request_fit_a_phone_and_a_desk(visit: Visit, axe: str, language: str) -> None:
    from fenqi_server.customers import service as customers
    from fenqi_server.demo import clock
    from fenqi_server.servicing import requests
    from fenqi_server.shops.service import only_shop

    shop, at = only_shop(), clock.now()
    contract = open_one(shop, customers.ensure(shop, "browsed", at), at=at)
    asked = requests.HardshipAsked(reason="illness", months=2)
    made = requests.open_request(shop, contract, asked, at, said="住院了。" * 20)
    visitor = visit("good", language)
    visitor.work_as("tang")
    here, act = f"/console/requests/{made.request_id}/", f"/console/contracts/{contract}/pause/"
    assert looked_at(visitor, axe, ("/console/requests/", here, act)) == []
    page = visitor.page
    for width in (375, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        visitor.go(act)
        page.fill("#reason", "ill")
        visitor.follow("form[action$='/pause/'] button")
        assert page.locator("[data-fq-part=preview]").count() == 1
        page.evaluate(axe)
        assert page.evaluate(_AXE) == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    visitor.follow("button.primary")
    assert page.locator("[data-fq-part=change]").count() == 1
    # Decided beside the contract: seen first, then done.
    visitor.go(here)
    page.check("input[value=re-age]")
    page.fill("#note", "agreed")
    visitor.follow("button[value=preview]")
    page.evaluate(axe)
    assert page.evaluate(_AXE) == []
    visitor.follow("button.primary")
    assert requests.get(shop, made.request_id).state == "approved"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_unapplied_cash_and_tills_fit_a_phone_and_a_desk(visit: Visit, axe: str, language: str) -> None:
    from fenqi_server.customers import service as customers
    from fenqi_server.demo import clock
    from fenqi_server.ids import uuid7
    from fenqi_server.servicing import service as servicing
    from fenqi_server.servicing import tills, unapplied
    from fenqi_server.shops.service import only_shop

    shop, at = only_shop(), clock.now()
    contract = open_one(shop, customers.ensure(shop, "browsed", at), at=at)
    servicing.pay(shop, LONG, 53_600, "received", LONG, at)
    servicing.pay(shop, "order-1", 600, "received", "wire-2", at)
    servicing.pay(
        shop, contract, 600, "received", "R-1", at, channel="cash", settlement=f"cash:front:{at.date()}"
    )
    tills.count(shop, at.date(), "front", 500, at, actor="staff:qian", key=uuid7(at), note=LONG)
    waiting = unapplied.unmatched(shop).money
    visitor = visit("good", language)
    visitor.work_as("qian")
    pages = [f"/console/unapplied/{each.unapplied_id}/" for each in waiting]
    addresses = ("/console/unapplied/", *pages, f"/console/tills/?day={at.date()}", "/console/tills/counts/")
    assert looked_at(visitor, axe, addresses) == []
