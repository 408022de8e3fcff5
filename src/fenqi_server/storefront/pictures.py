"""Which drawing stands for which product of the demo mall."""

from __future__ import annotations

from typing import Final

__all__ = ["picture_of"]

_BY_SKU: Final = {
    "cg-15": "phone",
    "cg-15-pro": "phone-pro",
    "cg-fold": "phone-fold",
    "cg-lite": "phone-lite",
    "vista-65": "tv",
    "cg-buds": "earbuds",
    "cg-case": "case",
    "figures-12": "blind-box",
}


def picture_of(sku: str) -> str:
    """The static file of a product's drawing; a plain parcel for one that has none."""
    return f"fenqi/pictures/{_BY_SKU.get(sku, 'parcel')}.svg"
