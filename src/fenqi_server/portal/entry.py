"""The way in for a shop's customer: a signed link that works once and for minutes, and the visit that it begins.

The shop knows who its customer is and asks for a link; nobody has a password here. The link names a row and is worth
nothing after that row was used, ran out, or was ended. The row stays as the visit's own record, so that a visit can be ended
from this side: by signing out, and by erasing the customer's data.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection
from django.urls import reverse

from fenqi_server.db import use_shop
from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.ids import uuid7
from fenqi_server.shops.models import Shop

__all__ = [
    "IDLE",
    "LINK_STANDS",
    "LONGEST",
    "BadLink",
    "Link",
    "Opened",
    "end",
    "end_all",
    "find",
    "forget_due",
    "look",
    "make_link",
    "use",
    "visit_of",
]

LINK_STANDS: Final = timedelta(minutes=10)
"""How long a link can be used."""
IDLE: Final = timedelta(minutes=30)
"""A visit ends after so long without a page."""
LONGEST: Final = timedelta(hours=8)
"""However busy it is, a visit ends after so long."""
KEPT: Final = timedelta(days=30)
SEEN_EVERY: Final = timedelta(minutes=1)
_CONTEXT: Final = "pl1"

State = Literal["open", "used", "expired", "ended"]


class BadLink(LookupError):
    """The address was not given out here, or what it named is gone."""


class Link(msgspec.Struct, frozen=True):
    """One link, and the visit that it began once `used_at` is set."""

    customer_id: UUID
    id: UUID
    contract: str
    locale: str
    return_url: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    seen_at: datetime | None = None
    ended_at: datetime | None = None

    def state(self, at: datetime) -> State:
        """What pressing the link's button would meet."""
        if self.used_at is not None:
            return "used"
        if self.ended_at is not None:
            return "ended"
        return "open" if at < self.expires_at else "expired"

    def lasts(self, at: datetime) -> bool:
        """Whether the visit goes on."""
        return (
            self.used_at is not None
            and self.seen_at is not None
            and self.ended_at is None
            and at < self.used_at + LONGEST
            and at < self.seen_at + IDLE
        )


class Opened(msgspec.Struct, frozen=True):
    """A new link: its address is a secret of its customer's until it is used."""

    url: str
    expires_at: datetime


_COLUMNS: Final = ", ".join(Link.__struct_fields__)


def make_link(
    shop: Shop,
    customer_id: UUID,
    at: datetime,
    *,
    contract: str = "",
    locale: str = "",
    return_url: str = "",
) -> Opened:
    """A link for this customer. What it opens with and where it leads back to was checked by the caller."""
    link = Link(customer_id, uuid7(at), contract, locale, return_url, at, at + LINK_STANDS)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO portal_link (shop_id, {_COLUMNS}) VALUES ({', '.join(['%s'] * 11)})",
            [shop.id, *msgspec.structs.astuple(link)],
        )
    token = seal_token(_CONTEXT, shop.id.bytes + customer_id.bytes + link.id.bytes)
    return Opened(f"{settings.FENQI_ORIGIN}{reverse('portal:enter')}?t={token}", link.expires_at)


def find(token: str) -> tuple[UUID, UUID, UUID]:
    """The keys of shop, customer and link that a link's token names. Raises `BadLink`."""
    try:
        raw = open_token(_CONTEXT, token)
    except BadToken:
        raise BadLink(token[:12]) from None
    if len(raw) != 48:
        raise BadLink(token[:12])
    return UUID(bytes=raw[:16]), UUID(bytes=raw[16:32]), UUID(bytes=raw[32:])


def look(shop: Shop, customer_id: UUID, link_id: UUID) -> Link:
    """A link as it stands; looking uses nothing. Raises `BadLink`."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM portal_link WHERE customer_id = %s AND id = %s AND shop_id = %s",
            [customer_id, link_id, shop.id],
        )
        row: Any = cursor.fetchone()
    if row is None:
        raise BadLink(str(link_id))
    return Link(*row)


def use(shop: Shop, link: Link, at: datetime) -> Link | None:
    """Begin the visit. None where somebody was there before, or it is too late: of two who come at once, one gets in."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE portal_link SET used_at = %s, seen_at = %s WHERE customer_id = %s AND id = %s"
            f" AND used_at IS NULL AND ended_at IS NULL AND expires_at > %s RETURNING {_COLUMNS}",
            [at, at, link.customer_id, link.id, at],
        )
        row: Any = cursor.fetchone()
    return Link(*row) if row else None


def visit_of(shop: Shop, customer_id: UUID, link_id: UUID, at: datetime) -> Link | None:
    """The visit of a link, if it goes on; that it was seen is written once a minute."""
    try:
        link = look(shop, customer_id, link_id)
    except BadLink:
        return None
    if not link.lasts(at):
        return None
    assert link.seen_at is not None
    if at - link.seen_at >= SEEN_EVERY:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE portal_link SET seen_at = %s WHERE customer_id = %s AND id = %s AND seen_at < %s",
                [at, customer_id, link_id, at],
            )
    return link


def end(shop: Shop, link: Link, at: datetime) -> None:
    """Sign out."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE portal_link SET ended_at = %s WHERE customer_id = %s AND id = %s AND ended_at IS NULL",
            [at, link.customer_id, link.id],
        )


def end_all(shop: Shop, customer_id: UUID, at: datetime) -> int:
    """End every visit of a customer and every link that waits, and say how many."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE portal_link SET ended_at = %s, return_url = '' WHERE customer_id = %s AND ended_at IS NULL",
            [at, customer_id],
        )
        return cursor.rowcount


def forget_due(now: datetime) -> int:
    """Delete what is older than any visit can be, some a round."""
    done = 0
    for shop in Shop.objects.all():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM portal_link WHERE (customer_id, id) IN (SELECT customer_id, id FROM portal_link"
                " WHERE shop_id = %s AND created_at < %s LIMIT 1000)",
                [shop.id, now - KEPT],
            )
            done += cursor.rowcount
    return done
