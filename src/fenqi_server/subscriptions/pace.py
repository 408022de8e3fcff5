"""How fast a shop's messages go: so that ten thousand who are told do not come to a recovering funder at once.

A shop has a next instant in one row. Taking `n` places moves it by `n` intervals; it is never further behind than one
second, so that a worker that was away does not make up for it by a flood. In no sixty seconds do more than
`settings.FENQI_NOTIFY_PER_MINUTE` go, however many workers there are.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection

from fenqi_server.shops.models import Shop

__all__ = ["give_back", "per_minute", "take"]

_BEHIND: Final = 1.0
"""Seconds whose places may be taken at once."""


def per_minute() -> int:
    """How many messages a shop sends a minute at most."""
    return int(settings.FENQI_NOTIFY_PER_MINUTE)


def _interval() -> timedelta:
    # A burst of one second's places may come on top of a minute's: the two together are what the setting says.
    return timedelta(seconds=(60 + _behind()) / per_minute())


def _behind() -> float:
    return max(_BEHIND, 60 / per_minute())


def take(shop: Shop, wanted: int, now: datetime) -> int:
    """How many of `wanted` messages may go now; held for the caller until their transaction ends."""
    assert connection.in_atomic_block, "places are taken together with the messages that they are for"
    interval = _interval()
    with connection.cursor() as cursor:
        earliest = now - max(timedelta(seconds=_behind()), interval)
        cursor.execute(
            "INSERT INTO subscriptions_pace (shop_id, next_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [shop.id, earliest],
        )
        cursor.execute("SELECT next_at FROM subscriptions_pace WHERE shop_id = %s FOR UPDATE", [shop.id])
        start = max(cursor.fetchone()[0], earliest)
        granted = min(wanted, max(0, int((now - start) / interval)))
        cursor.execute(
            "UPDATE subscriptions_pace SET next_at = %s WHERE shop_id = %s",
            [start + granted * interval, shop.id],
        )
    return granted


def give_back(shop: Shop, unused: int) -> None:
    """Places that nobody needed, in the transaction that took them."""
    if unused:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE subscriptions_pace SET next_at = next_at - %s WHERE shop_id = %s",
                [unused * _interval(), shop.id],
            )
