"""Double opt-in: an address gets nothing but one question until its owner has answered it.

Whoever types an address may not be its owner. So what is asked for waits unconfirmed; one message goes out with a link; only
a button on the page behind the link confirms, for mail scanners open every link there is. What is not confirmed in
time is forgotten, address and all. And nobody can be flooded with questions: an address has few open ones at a time.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from fenqi.texts import Text
from fenqi_server.shops.models import Shop
from fenqi_server.subscriptions.addresses import BadAddress, digest_of

__all__ = ["KEPT", "Expired", "check_may_ask", "new_token"]

KEPT: Final = timedelta(hours=48)
"""How long the question stands."""
MAX_OPEN: Final = 3
"""Unanswered questions to one address at a time."""


class Expired(Exception):
    """The question was not answered in time; the address is forgotten, and it has to be asked for anew."""


def new_token() -> str:
    """What a link carries: 192 random bits."""
    return secrets.token_urlsafe(24)


def check_may_ask(shop: Shop, address: str, at: datetime) -> None:
    """Raises `BadAddress` where the address refused our mail lately, or has enough unanswered questions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT until FROM subscriptions_suspension WHERE shop_id = %s AND digest = %s AND until > %s",
            [shop.id, digest_of(address), at],
        )
        if cursor.fetchone():
            raise BadAddress("suspended", _SUSPENDED)
        cursor.execute(
            "SELECT (SELECT count(*) FROM subscriptions_subscription WHERE shop_id = %(shop)s"
            " AND lower(address) = lower(%(address)s) AND state = 'unconfirmed')"
            " + (SELECT count(*) FROM subscriptions_wish WHERE shop_id = %(shop)s"
            " AND lower(address) = lower(%(address)s) AND state = 'unconfirmed')",
            {"shop": shop.id, "address": address},
        )
        if cursor.fetchone()[0] >= MAX_OPEN:
            raise BadAddress("too_many", _TOO_MANY)


_SUSPENDED: Final = Text(
    "该地址的邮件服务器不久前拒收了我们的邮件。请检查地址，或换一个地址。",
    "The server of this address refused our mail a short while ago. Check the address, or use another one.",
)
_TOO_MANY: Final = Text(
    "发往该地址的确认信还有几封未答复。请先打开其中一封，或等它们过期（48 小时）。",
    "Several questions to this address are still open. Answer one of them first, or wait until they run out (48 hours).",
)
