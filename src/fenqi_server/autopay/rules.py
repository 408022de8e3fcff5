"""When a failed debit is tried again, and when nothing is asked for at all.

The days of trying again are a shop's own data. What no second try can mend (a card that has expired, a mandate that the provider
says is gone) is not tried again. While an outage pauses automatic payment, nothing is asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, get_args

import msgspec
from django.db import connection

from fenqi.calendars import to_epoch, zone_of
from fenqi.policy.snapshot import Act
from fenqi.problems import BadInput
from fenqi_server.announcements.document import Document
from fenqi_server.announcements.lifecycle import latest
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop

__all__ = ["HARD", "REASONS", "RETRY_DAYS", "Suspension", "retry_days", "set_retry_days", "suspensions"]

RETRY_DAYS: Final = (1, 3)
"""Where a shop set nothing: again one and three days after the first try, and no more."""
MAX_RETRIES: Final = 10
MAX_DAYS: Final = 60
REASONS: Final = (
    "insufficient_funds",
    "limit_exceeded",
    "refused",
    "tool_expired",
    "tool_invalid",
    "mandate_revoked",
    "provider_down",
    "other",
)
"""Why a debit failed."""
HARD: Final = frozenset({"tool_expired", "tool_invalid", "mandate_revoked"})
"""Trying again would fail again."""
UNKNOWN_END: Final = timedelta(hours=1)
"""A pause whose end nobody knows is looked at again after so long."""

assert "autopay" in get_args(Act)


class Suspension(msgspec.Struct, frozen=True):
    """An outage of automatic payment: of these plans (None: of all), and when it is looked at again."""

    plans: frozenset[str] | None
    until: datetime


def retry_days(shop: Shop) -> tuple[int, ...]:
    """How many days after the first of its series a failed debit is tried again."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT retry_days FROM autopay_setting WHERE shop_id = %s", [shop.id])
        row = cursor.fetchone()
    return RETRY_DAYS if row is None else tuple(row[0])


def set_retry_days(shop: Shop, days: tuple[int, ...]) -> None:
    """Try again on these days after the first; an empty tuple never. Raises `BadInput`."""
    if (
        len(days) > MAX_RETRIES
        or list(days) != sorted(set(days))
        or any(not 1 <= day <= MAX_DAYS for day in days)
    ):
        raise BadInput(
            "retry_days",
            ",".join(map(str, days)),
            f"up to {MAX_RETRIES} rising days from 1 to {MAX_DAYS}, such as 1,3",
        )
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO autopay_setting (shop_id, retry_days) VALUES (%s, %s)"
            " ON CONFLICT (shop_id) DO UPDATE SET retry_days = excluded.retry_days",
            [shop.id, list(days)],
        )


def suspensions(shop: Shop, at: datetime) -> list[Suspension]:
    """The outages of automatic payment that are in force."""
    found: list[Suspension] = []
    for revision in latest(shop).values():
        if revision.state not in ("resolved", "retracted"):
            found += _of(revision.document, shop, at)
    return found


def _of(document: Document, shop: Shop, at: datetime) -> list[Suspension]:
    now = to_epoch(at)
    found: list[Suspension] = []
    repayment = document.repayment
    if (
        repayment is not None
        and (not repayment.acts or "autopay" in repayment.acts)
        and repayment.start <= now < repayment.end
    ):
        found.append(
            Suspension(frozenset(document.plans) or None, datetime.fromtimestamp(repayment.end, UTC))
        )
    for impact in document.impacts:
        if impact.act != "autopay" or impact.effect != "paused":
            continue
        if (impact.start or 0) <= now and (impact.end is None or now < impact.end):
            until = at + UNKNOWN_END if impact.end is None else datetime.fromtimestamp(impact.end, UTC)
            if impact.daily is not None:
                local = at.astimezone(zone_of(shop.time_zone))
                minute = local.hour * 60 + local.minute
                first, last = impact.daily
                inside = first <= minute < last if first < last else minute >= first or minute < last
                if not inside:
                    continue
                until = min(until, at + UNKNOWN_END)
            found.append(Suspension(frozenset(impact.plans) or None, until))
    return found
