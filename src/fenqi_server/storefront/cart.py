"""The demo mall's cart: articles and quantities, kept in the visitor's session."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

import msgspec

from fenqi.checkout.request import Line
from fenqi.texts import Text
from fenqi_server.decisions.quotes import cart_digest
from fenqi_server.demo.catalogue import PRODUCT_BY_SKU, Product

__all__ = ["MAX_EACH", "CartItem", "clear", "count", "digest", "items", "lines", "put"]

MAX_EACH: Final = 9
_KEY: Final = "cart"

Session = MutableMapping[str, Any]


class CartItem(msgspec.Struct, frozen=True):
    """One article in the cart."""

    product: Product
    quantity: int

    @property
    def title(self) -> Text:
        return self.product.title

    @property
    def total_minor(self) -> int:
        return self.product.price_minor * self.quantity


def items(session: Session) -> tuple[CartItem, ...]:
    """What is in the cart, in the order in which it was put there; articles no longer sold are left out."""
    return tuple(
        CartItem(PRODUCT_BY_SKU[sku], quantity)
        for sku, quantity in session.get(_KEY, {}).items()
        if sku in PRODUCT_BY_SKU
    )


def count(session: Session) -> int:
    """How many pieces are in the cart."""
    return sum(item.quantity for item in items(session))


def put(session: Session, sku: str, quantity: int | None = None) -> None:
    """Set an article's quantity, where 0 takes it out; without one, add a piece. Raises `KeyError` for no article."""
    product = PRODUCT_BY_SKU[sku]
    kept = dict(session.get(_KEY, {}))
    wanted = kept.get(product.sku, 0) + 1 if quantity is None else quantity
    if wanted <= 0:
        kept.pop(product.sku, None)
    else:
        kept[product.sku] = min(wanted, MAX_EACH)
    session[_KEY] = kept


def clear(session: Session) -> None:
    """Empty the cart, once its order is placed."""
    session.pop(_KEY, None)


def lines(session: Session) -> tuple[Line, ...]:
    """The cart as a checkout asks about it."""
    return lines_of(items(session))


def lines_of(found: tuple[CartItem, ...]) -> tuple[Line, ...]:
    """These articles as lines of an order."""
    return tuple(
        Line(
            sku=item.product.sku,
            title=item.product.title.zh_cn,
            category=item.product.category,
            kind=item.product.kind,
            quantity=item.quantity,
            unit_price_minor=item.product.price_minor,
            seller=item.product.seller,
        )
        for item in found
    )


def digest(session: Session, currency: str) -> str:
    """A name for the cart as it is now: a page shown for another one is stale."""
    return cart_digest(lines(session), currency).hex()[:16]
