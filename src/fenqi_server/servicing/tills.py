"""Cash by day, till and whoever took it, as it was booked.

What one till takes in a day is one settlement, `cash:<till>:<day>`: it is counted together, and goes to the bank together. A payment
that was taken back comes out of the till of the day on which it was.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final

import msgspec
from django.db import connection

from fenqi.calendars import zone_of
from fenqi.ledger.accounts import IN_TRANSIT
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop

__all__ = ["Taking", "takings"]


class Taking(msgspec.Struct, frozen=True):
    """What one person took into one till on a day. `operator` is empty where nobody was named; `back_minor` was given back."""

    till: str
    operator: str
    payments: int
    taken_minor: int
    back_minor: int

    @property
    def net_minor(self) -> int:
        """What has to lie in the till because of it."""
        return self.taken_minor - self.back_minor


# The day's transactions come from the index by instant; a till is in the settlement's name.
_TAKINGS: Final = """
SELECT t.settlement, coalesce(e.body ->> 'operator', ''), count(*) FILTER (WHERE moved.minor > 0),
       coalesce(sum(moved.minor) FILTER (WHERE moved.minor > 0), 0)::bigint,
       coalesce(-sum(moved.minor) FILTER (WHERE moved.minor < 0), 0)::bigint
  FROM books_transaction AS t
  LEFT JOIN servicing_event AS e
    ON e.customer_id = t.customer_id AND e.contract_id = t.contract_id AND e.event_id = t.event_id
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(entry.minor), 0) AS minor FROM unnest(t.accounts, t.amounts) AS entry (account, minor)
        WHERE entry.account = %(in_transit)s) AS moved
 WHERE t.shop_id = %(shop)s AND t.recorded_at >= %(start)s AND t.recorded_at < %(end)s
   AND starts_with(t.settlement, 'cash:') AND right(t.settlement, 11) = ':' || %(day)s
   AND t.event_kind <> 'settlement'
 GROUP BY 1, 2 ORDER BY 1, 2
"""


def takings(shop: Shop, day: date) -> tuple[Taking, ...]:
    """What was taken on a day of the shop, by till and by who took it."""
    zone = zone_of(shop.time_zone)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKINGS,
            {
                "shop": shop.id,
                "in_transit": IN_TRANSIT,
                "start": datetime.combine(day, time(), zone),
                "end": datetime.combine(day + timedelta(days=1), time(), zone),
                "day": day.isoformat(),
            },
        )
        return tuple(
            # `cash:2026-11-24` names no till.
            Taking(settlement.removesuffix(day.isoformat()).strip(":").partition(":")[2], operator, *figures)
            for settlement, operator, *figures in cursor.fetchall()
        )
