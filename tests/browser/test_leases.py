"""A lease on a phone's screen: nothing scrolls sideways, axe-core finds nothing, and what to know before renting is read there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.browser.test_access import _AXE, _SMALL, _UNFOLD
from tests.pages.test_leases import publish_leases

Visit = Callable[..., Any]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_lease_is_readable_on_a_phone(visit: Visit, axe: str, language: str) -> None:
    publish_leases()
    visitor = visit("student", language, width=375)
    page = visitor.page
    visitor.put("cg-15")
    visitor.go("/checkout/")
    name = page.get_attribute("#choose input[name=decision]", "value")
    wrong: list[str] = []
    for address in ("/checkout/", f"/checkout/sheet?decision={name}&plan=rent_12"):
        visitor.go(address)
        page.evaluate(_UNFOLD)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, address
        page.evaluate(axe)
        wrong += [f"{address}: {line}" for line in page.evaluate(_AXE)]
        wrong += [f"{address}: small target {line}" for line in page.evaluate(_SMALL)]
    assert wrong == []
    points = page.locator("[data-fq-part=lease-sheet] [data-point]")
    assert points.count() == 11
    assert points.filter(has_text="¥1,600.00").first.is_visible()
