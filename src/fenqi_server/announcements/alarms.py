"""Alarms: what an announcement promised and did not keep, raised once for each deadline.

Two kinds. `update_overdue`: the instant by which there was to be news has passed without any. `not_back`: an end came, and
the engine still does not offer what was to be back. An alarm is over when the announcement has a newer revision than the
one that the alarm is about; nobody has to close it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import connection

from fenqi_server.announcements.lifecycle import Revision
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop

__all__ = ["Alarm", "alarms", "raise_alarm", "raise_overdue"]


class Alarm(msgspec.Struct, frozen=True):
    """One alarm. `number` is the revision that it is about; `detail` what stands in the way, as codes and plans."""

    announcement: str
    kind: str
    deadline: datetime
    number: int
    raised_at: datetime
    detail: dict[str, Any]


_INSERT: Final = """
INSERT INTO announcements_alarm (shop_id, announcement, kind, deadline, number, raised_at, detail)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


def raise_alarm(
    shop: Shop, revision: Revision, kind: str, deadline: datetime, now: datetime, detail: dict[str, Any]
) -> bool:
    """Raise an alarm; False where it was raised for this deadline before."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                shop.id,
                revision.announcement,
                kind,
                deadline,
                revision.number,
                now,
                msgspec.json.encode(detail).decode(),
            ],
        )
        return bool(cursor.rowcount)


def alarms(shop: Shop, *, everything: bool = False) -> tuple[Alarm, ...]:
    """The alarms that stand, newest first; with `everything`, those that are over too."""
    use_shop(shop.id)
    standing = "" if everything else " AND r.last_number = a.number"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.announcement, a.kind, a.deadline, a.number, a.raised_at, a.detail::text"
            " FROM announcements_alarm AS a JOIN announcements_announcement AS r"
            f" ON r.shop_id = a.shop_id AND r.id = a.announcement WHERE a.shop_id = %s{standing}"
            " ORDER BY a.raised_at DESC, a.announcement",
            [shop.id],
        )
        return tuple(Alarm(*row[:5], msgspec.json.decode(row[5])) for row in cursor.fetchall())


_OVERDUE: Final = """
INSERT INTO announcements_alarm (shop_id, announcement, kind, deadline, number, raised_at, detail)
SELECT shop_id, id, 'update_overdue', next_update_at, last_number, %(now)s, '{}'
  FROM announcements_announcement
 WHERE shop_id = %(shop)s AND next_update_at <= %(now)s AND kind IN ('published', 'updated')
   AND (ends_at IS NULL OR ends_at > next_update_at)
ON CONFLICT DO NOTHING
"""


def raise_overdue(now: datetime) -> int:
    """Raise an alarm for every promise of news that has passed. A job of the worker: how many are new."""
    raised = 0
    for shop in Shop.objects.order_by("created_at"):
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(_OVERDUE, {"shop": shop.id, "now": now})
            raised += cursor.rowcount
    return raised
