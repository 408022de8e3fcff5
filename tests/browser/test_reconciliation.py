"""Reconciliation on a phone and in axe's eyes, with breaks on the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.browser.test_access import _AXE, _SHORT_PRIMARY, _SMALL, _UNFOLD
from tests.reconciliation.test_statement import own

Visit = Callable[..., Any]
LONG = "2026112322001419931441931972-and-what-a-bank-puts-after-it-0123456789"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_list_and_a_break_fit_a_phone(visit: Visit, axe: str, language: str) -> None:
    from fenqi_server import clock
    from fenqi_server.reconciliation import clearing, importing
    from fenqi_server.reconciliation.layouts import LAYOUTS
    from fenqi_server.shops.service import only_shop

    visitor = visit("good", language)
    page = visitor.page
    shop = only_shop()
    rows = (f"{LONG},5000.00,CNY,2026-11-23,,0", "p-2,0.50,CNY,2026-11-23,,0")
    importing.import_statement(
        shop, own(*rows), LAYOUTS["own"], "alipay:2026-11-23", actor="cli:tests", at=clock.now()
    )
    each = clearing.breaks(shop)[0]
    wrong: list[str] = []
    visitor.go("/demo/staff/?next=/console/reconciliation/")
    visitor.follow("form:has(input[value=qian]) button")
    for address in ("/console/reconciliation/", f"/console/reconciliation/breaks/{each.id}/"):
        for width in (320, 375, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert visitor.go(address).status == 200, address
            page.evaluate(_UNFOLD)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{address} at {width}: scrolls sideways")
            page.evaluate(axe)
            for look in (_AXE, _SMALL, _SHORT_PRIMARY):
                wrong.extend(f"{address} at {width}: {line}" for line in page.evaluate(look))
    assert wrong == []
