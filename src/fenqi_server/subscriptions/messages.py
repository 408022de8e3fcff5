"""A message before it is sent: what it is about, its name, and how it gets into the queue.

Its name is computed from what it is about (whom, which revision), never drawn: the same message made twice is one row,
and its Message-ID is the same for every attempt, so that a receiver who got it twice can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection
from django.urls import reverse

from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import only_shop

__all__ = ["NAME_SQL", "enqueue", "link", "message_id", "name_of"]

NAME_SQL: Final = "encode(substring(sha256(convert_to({text}, 'UTF8')) from 1 for 16), 'hex')::uuid"
"""`name_of` in the database; `text` is an expression for `target:kind:announcement:number`."""


def name_of(target: UUID, kind: str, announcement: str = "", number: int | None = None) -> UUID:
    """The name of the message of this kind to this subscription or wish.

    >>> name_of(UUID(int=1), "back") == name_of(UUID(int=1), "back")
    True
    """
    text = f"{target}:{kind}:{announcement}:{'' if number is None else number}"
    return UUID(bytes=sha256(text.encode()).digest()[:16])


def message_id(name: UUID) -> str:
    """The Message-ID of a message."""
    return f"<{name.hex}@{urlsplit(settings.FENQI_ORIGIN).hostname or 'localhost'}>"


def link(shop: Shop, view: str, public_id: str, token: str) -> str:
    """The address of a page about a subscription or a wish, for whoever has the mail."""
    asked = {"t": token}
    if only_shop().id != shop.id:
        asked["shop"] = shop.code
    return f"{settings.FENQI_ORIGIN}{reverse(f'subscriptions:{view}', args=[public_id])}?{urlencode(asked)}"


def enqueue(
    shop: Shop,
    customer_id: UUID,
    target: UUID,
    kind: str,
    about: str,
    channel: str,
    at: datetime,
    *,
    content: Mapping[str, Any] | None = None,
    asked_at: datetime | None = None,
    due_at: datetime | None = None,
) -> bool:
    """Have one message sent, if the caller's transaction commits. False where it waits already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO subscriptions_message (shop_id, customer_id, id, target, kind, about, channel, content,"
            " asked_at, created_at, due_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [
                shop.id,
                customer_id,
                name_of(target, kind),
                target,
                kind,
                about,
                channel,
                msgspec.json.encode(content or {}).decode(),
                asked_at,
                at,
                due_at or at,
            ],
        )
        return bool(cursor.rowcount)
