"""An outage of paying back moves due dates, and charges nothing.

A notice with a repayment impact says from when until when nobody can pay, and on which day what falls due meanwhile is due
instead. The job applies it to exactly the contracts that have a row still to be paid on one of the outage's days: when the
revision is published, when the outage begins and when it ends, so that a contract made in between is not forgotten, and at no
other time, for each sweep looks at every open contract of the shop.

What was promised is kept: a notice that is retracted moves nothing further, and takes no moved date back.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from django.db import connection

from fenqi.calendars import local_date
from fenqi_server.announcements.document import RepaymentRecord
from fenqi_server.announcements.lifecycle import Revision, latest
from fenqi_server.db import use_shop
from fenqi_server.ids import first_uuid7, instant_of
from fenqi_server.servicing import service as servicing
from fenqi_server.shops.models import Shop

__all__ = ["move_due"]

_log = logging.getLogger(__name__)
BASIS: Final = "outage"


def move_due(now: datetime) -> int:
    """Move the due dates that announced outages take; how many rows. A job of the worker."""
    return sum(
        _move(shop, revision, now)
        for shop in Shop.objects.order_by("created_at")
        for revision in latest(shop).values()
        if revision.document.repayment is not None and revision.state != "retracted"
    )


def _move(shop: Shop, revision: Revision, now: datetime) -> int:
    found = revision.document.repayment
    assert found is not None, "asked for only where there is one"
    job = f"repayment:{revision.number}"
    last = _last(shop, revision.announcement, job)
    points = (revision.published_at, *(datetime.fromtimestamp(at, UTC) for at in (found.start, found.end)))
    if not any((last is None or last < point) and point <= now for point in points):
        return 0
    report = servicing.put_off(
        shop,
        *_days(found, shop),
        date.fromisoformat(found.due_moves_to),
        revision.announcement,
        BASIS,
        now,
        plans=frozenset(revision.document.plans) or None,
    )
    if report.failed:
        _log.error(
            "%s: due dates of %d contracts could not be moved: %s",
            revision.announcement,
            len(report.failed),
            ", ".join(report.failed[:20]),
        )
    _done(shop, revision.announcement, job, now)
    return report.rows


def _days(found: RepaymentRecord, shop: Shop) -> tuple[date, date]:
    """The days of which the outage takes a part."""
    return local_date(found.start, shop.time_zone), local_date(found.end - 1, shop.time_zone)


def _last(shop: Shop, announcement: str, job: str) -> datetime | None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reached FROM announcements_scan WHERE shop_id = %s AND announcement = %s AND job = %s",
            [shop.id, announcement, job],
        )
        row: tuple[UUID] | None = cursor.fetchone()
    return None if row is None else instant_of(row[0])


def _done(shop: Shop, announcement: str, job: str, now: datetime) -> None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO announcements_scan (shop_id, announcement, job, reached) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (shop_id, announcement, job) DO UPDATE SET reached = excluded.reached",
            [shop.id, announcement, job, first_uuid7(now)],
        )
