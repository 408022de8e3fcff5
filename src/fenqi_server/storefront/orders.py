"""The demo mall's orders: which cart became which contract or hand-off."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.texts import Text
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id, public_id, uuid7
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.cart import CartItem

__all__ = [
    "NoOrder",
    "Order",
    "OrderLine",
    "by_contract",
    "get",
    "new_name",
    "orders_of",
    "public_name",
    "record",
    "reference_of",
]


class NoOrder(LookupError):
    """No order of this shop has the id."""


class OrderLine(msgspec.Struct, frozen=True):
    """What was ordered, by the names that it had then."""

    sku: str
    title: Text
    quantity: int
    total_minor: int


class Order(msgspec.Struct, frozen=True):
    """One order. Exactly one of `contract` and `hand_off` is given."""

    customer_id: UUID
    id: UUID
    reference: str
    lines: tuple[OrderLine, ...]
    amount_minor: int
    currency: str
    plan: str
    policy_digest: str
    contract: str | None
    hand_off: str | None
    placed_at: datetime

    @property
    def public_id(self) -> str:
        return public_id("or", self.customer_id, self.id)


_COLUMNS: Final = "customer_id, id, reference, lines::text, amount_minor, currency, plan, policy_digest, contract, hand_off, placed_at"
_FIELDS: Final = ", ".join(Order.__struct_fields__)


def record(
    shop: Shop,
    customer_id: UUID,
    name: UUID,
    *,
    reference: str,
    items: tuple[CartItem, ...],
    currency: str,
    plan: str,
    policy_digest: str,
    contract: str | None,
    hand_off: str | None,
    at: datetime,
) -> Order:
    """Write an order down, in the transaction that confirms its offer."""
    lines = tuple(OrderLine(item.product.sku, item.title, item.quantity, item.total_minor) for item in items)
    amount = sum(line.total_minor for line in lines)
    made = Order(
        customer_id, name, reference, lines, amount, currency, plan, policy_digest, contract, hand_off, at
    )
    values = [getattr(made, field) for field in Order.__struct_fields__]
    values[3] = msgspec.json.encode(lines).decode()
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO storefront_order (shop_id, {_FIELDS}) VALUES ({', '.join(['%s'] * (len(values) + 1))})",
            [shop.id, *values],
        )
    return made


def get(shop: Shop, order_id: str) -> Order:
    """The order with this public id. Raises `NoOrder`."""
    try:
        customer_id, name = parse_public_id(order_id, "or")
    except ValueError:
        raise NoOrder(order_id) from None
    found = _many(shop, "customer_id = %s AND id = %s", [customer_id, name])
    if not found:
        raise NoOrder(order_id)
    return found[0]


def orders_of(shop: Shop, customer_id: UUID) -> tuple[Order, ...]:
    """A customer's orders, newest first."""
    return _many(shop, "customer_id = %s", [customer_id])


def by_contract(shop: Shop, customer_id: UUID, contract: str) -> Order | None:
    """The order that a contract pays for."""
    found = _many(shop, "customer_id = %s AND contract = %s", [customer_id, contract])
    return found[0] if found else None


def _many(shop: Shop, condition: str, values: list[object]) -> tuple[Order, ...]:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM storefront_order WHERE {condition} AND shop_id = %s"
            " ORDER BY placed_at DESC, id DESC LIMIT 200",
            [*values, shop.id],
        )
        return tuple(Order(*row[:3], _lines(row[3]), *row[4:]) for row in cursor.fetchall())


def public_name(customer_id: UUID, name: UUID) -> str:
    """The id that an order of this key has outside."""
    return public_id("or", customer_id, name)


def new_name(at: datetime) -> tuple[UUID, str]:
    """A new order's key, and the number that people call it by."""
    name = uuid7(at)
    return name, reference_of(name, at)


def reference_of(name: UUID, at: datetime) -> str:
    """The number that people call an order by: its date, and the end of its key."""
    return f"M-{at:%Y%m%d}-{name.hex[-6:].upper()}"


# Made with the module: see fenqi.policy.snapshot.
_lines: Final = msgspec.json.Decoder(tuple[OrderLine, ...]).decode
