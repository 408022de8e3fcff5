"""Where a table of costs stands for good: its name is its address."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

__all__ = ["LANGUAGES", "table_pages"]

LANGUAGES: Final = {"zh-CN": "zh-hans", "en": "en"}
"""The languages of a table, and what Django calls them."""


def table_pages(name: str, shop: str = "") -> dict[str, str]:
    """The addresses of a table by language; `shop` is its code, where an installation has several."""
    query = f"?{urlencode({'shop': shop})}" if shop else ""
    return {locale: reverse("disclosures:table", args=[name, locale]) + query for locale in LANGUAGES}
