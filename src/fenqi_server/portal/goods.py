"""What can still go back of what a contract pays for: the order's lines, without those that went back or are asked for."""

from __future__ import annotations

from collections import Counter

import msgspec

from fenqi_server.portal.telling import bought, titles_of
from fenqi_server.servicing.requests import Request, ReturnAsked, ReturnLine
from fenqi_server.servicing.service import ContractView as Contract
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = ["Item", "chosen_lines", "items_of"]


class Item(msgspec.Struct, frozen=True):
    """A line of the order; `left` pieces of it can still go back."""

    sku: str
    title: str
    quantity: int
    unit_minor: int
    left: int
    other_seller: bool


def items_of(found: Contract, shop: Shop, asked: list[Request], voice: Voice) -> tuple[Item, ...]:
    """The lines, in the order's order; empty where the order's lines are not known (a contract that was imported)."""
    gone: Counter[str] = Counter()
    for request in asked:
        if isinstance(request.asked, ReturnAsked) and request.state in ("open", "approved"):
            for line in request.asked.lines:
                gone[line.sku] += line.quantity
    titles = titles_of(found, shop, voice)
    others = found.terms.for_other_sellers_minor > 0
    return tuple(
        Item(
            line.sku,
            titles.get(line.sku, line.title),
            line.quantity,
            line.unit_price_minor,
            max(line.quantity - gone[line.sku], 0),
            others and line.seller != shop.code,
        )
        for line in bought(found, shop)
    )


def chosen_lines(items: tuple[Item, ...], counts: dict[str, int]) -> tuple[ReturnLine, ...]:
    """The lines of a return, by how many pieces of each were chosen: none of more than are `left`."""
    return tuple(
        ReturnLine(
            sku=item.sku,
            title=item.title,
            quantity=counts[item.sku],
            amount_minor=counts[item.sku] * item.unit_minor,
            other_seller=item.other_seller,
        )
        for item in items
        if counts.get(item.sku)
    )
