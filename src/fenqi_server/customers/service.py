"""Who a customer is: a key that means nothing, found through the shop's own names for the person.

Everything else refers to the key. What says who the person is lies in one erasable row (`Private`), so that forgetting
somebody changes no contract and no book.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from django.db import connection

from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import house_party, uuid7
from fenqi_server.shops.models import Shop

__all__ = [
    "Customer",
    "NoCustomer",
    "Private",
    "add_alias",
    "ensure",
    "erase_private",
    "find",
    "house",
    "lock",
    "private",
    "set_limit",
    "set_private",
]


class NoCustomer(LookupError):
    """No customer of this shop has the key."""


class Customer(msgspec.Struct, frozen=True):
    """A customer. `limit_minor` is what the shop itself lends at most; None where no limit was set."""

    customer_id: UUID
    shop_id: UUID
    kind: str
    limit_minor: int | None


class Private(msgspec.Struct, frozen=True):
    """What says who somebody is. Empty where it was never told, or was erased."""

    display_name: str = ""
    email: str = ""
    phone: str = ""


def find(shop: Shop, external_ref: str) -> UUID | None:
    """The customer whom the shop calls `external_ref`."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id FROM customers_alias WHERE shop_id = %s AND external_ref = %s",
            [shop.id, external_ref],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def ensure(shop: Shop, external_ref: str, at: datetime, *, limit_minor: int | None = None) -> UUID:
    """The customer whom the shop calls `external_ref`, made if there is none yet.

    `limit_minor` is that of a new customer; an existing one's is changed by `set_limit` alone.
    """

    def act() -> UUID:
        use_shop(shop.id)
        new = uuid7(at)
        with connection.cursor() as cursor:
            # The name first: of two who come at once, one waits here and finds the other's customer.
            cursor.execute(
                "INSERT INTO customers_alias (shop_id, external_ref, customer_id, created_at)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [shop.id, external_ref, new, at],
            )
            if cursor.rowcount:
                cursor.execute(
                    "INSERT INTO customers_customer (customer_id, shop_id, kind, limit_minor, created_at)"
                    " VALUES (%s, %s, 'person', %s, %s)",
                    [new, shop.id, limit_minor, at],
                )
                return new
        found = find(shop, external_ref)
        assert found is not None, "an alias is never removed"
        return found

    known = find(shop, external_ref)
    return known if known is not None else in_transaction(act)


def add_alias(shop: Shop, customer_id: UUID, external_ref: str, at: datetime) -> bool:
    """Let the shop call this customer `external_ref` too. False where that name is somebody's already."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customers_alias (shop_id, external_ref, customer_id, created_at)"
            " SELECT shop_id, %s, customer_id, %s FROM customers_customer WHERE customer_id = %s"
            " ON CONFLICT DO NOTHING",
            [external_ref, at, customer_id],
        )
        return bool(cursor.rowcount)


def lock(shop: Shop, customer_id: UUID) -> Customer:
    """Hold the customer until the caller's transaction ends: whoever else wants to add a debt waits.

    Taken before any contract's lock, always. Raises `NoCustomer`.
    """
    assert connection.in_atomic_block, "a lock outside a transaction holds nothing"
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, shop_id, kind, limit_minor FROM customers_customer"
            " WHERE customer_id = %s FOR NO KEY UPDATE",
            [customer_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise NoCustomer(f"shop {shop.code} has no customer {customer_id}")
    return Customer(*row)


def house(shop: Shop, name: str, at: datetime) -> UUID:
    """The shop's house party of this name (`settlement`, `suspense`), there from its first use on."""
    party = house_party(shop.id, name)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customers_customer (customer_id, shop_id, kind, created_at)"
            " VALUES (%s, %s, 'house', %s) ON CONFLICT DO NOTHING",
            [party, shop.id, at],
        )
    return party


def set_limit(shop: Shop, customer_id: UUID, limit_minor: int | None) -> None:
    """What the shop itself lends this customer at most, from now on; None takes the limit away."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE customers_customer SET limit_minor = %s WHERE customer_id = %s AND kind = 'person'",
            [limit_minor, customer_id],
        )
        if not cursor.rowcount:
            raise NoCustomer(f"shop {shop.code} has no customer {customer_id}")


def private(shop: Shop, customer_id: UUID) -> Private:
    """What is known of the person."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT display_name, email, phone FROM customers_private WHERE customer_id = %s", [customer_id]
        )
        row = cursor.fetchone()
    return Private(*row) if row else Private()


def set_private(shop: Shop, customer_id: UUID, known: Private, at: datetime) -> None:
    """Keep this of the person, instead of what was kept before."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customers_private (customer_id, shop_id, display_name, email, phone, updated_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (customer_id) DO UPDATE SET"
            " display_name = excluded.display_name, email = excluded.email, phone = excluded.phone,"
            " updated_at = excluded.updated_at",
            [customer_id, shop.id, known.display_name, known.email, known.phone, at],
        )


def erase_private(shop: Shop, customer_id: UUID) -> bool:
    """Forget who the person is. Contracts and books stay: they name only the key."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM customers_private WHERE customer_id = %s", [customer_id])
        return bool(cursor.rowcount)
