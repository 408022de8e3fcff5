"""Cash by day, till and whoever took it, as it was booked.

What one till takes in a day is one settlement, `cash:<till>:<day>`: it is counted together, and goes to the bank together. A payment
that was taken back comes out of the till of the day on which it was.

What is counted in a till is kept for good, beside what was booked at that moment: a second count is another row, and changes none.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date, zone_of
from fenqi.ledger.accounts import IN_TRANSIT
from fenqi.money import check_minor
from fenqi.problems import BadInput
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.policies import audit
from fenqi_server.servicing.acts import MAX_REASON
from fenqi_server.shops.models import Shop

__all__ = [
    "MAX_PAGE",
    "MAX_TILL",
    "Count",
    "CountPage",
    "Taking",
    "count",
    "counts_of",
    "list_counts",
    "takings",
]

MAX_PAGE: Final = 100
MAX_TILL: Final = 100
"""The most characters of a till's name."""


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


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody counted in a till of a day. `expected_minor` is what was booked of it at that moment."""

    count_id: UUID
    day: date
    till: str
    counted_minor: int
    expected_minor: int
    counted_by: str
    counted_at: datetime
    note: str

    @property
    def difference_minor(self) -> int:
        """What there is too much; negative: what is missing."""
        return self.counted_minor - self.expected_minor


class CountPage(msgspec.Struct, frozen=True):
    """Counts, newest first. `after` is where the next page begins; "" at the end."""

    counts: tuple[Count, ...]
    after: str


_COUNTS: Final = """
SELECT count_id, day, till, counted_minor, expected_minor, counted_by, counted_at, note FROM servicing_till_count
 WHERE shop_id = %(shop)s
"""


def count(
    shop: Shop,
    day: date,
    till: str,
    counted_minor: int,
    at: datetime,
    *,
    actor: str,
    key: UUID,
    note: str = "",
) -> Count:
    """Keep what was counted in a till of a day, beside what is booked of it now. The same `key` again is the same count.

    A till that nothing was booked into is counted too: then nothing was expected. Raises `BadInput`.
    """
    if not actor:
        raise BadInput("actor", actor, "who counted")
    if day > local_date(at, shop.time_zone):
        raise BadInput("day", day.isoformat(), f"{local_date(at, shop.time_zone)} or before")
    if len(till) > MAX_TILL:
        raise BadInput("till", till[:80], f"at most {MAX_TILL} characters")
    if len(note) > MAX_REASON:
        raise BadInput("note", note[:80], f"at most {MAX_REASON} characters")
    check_minor(counted_minor, shop.currency, place="counted_minor")

    def act() -> Count:
        expected = sum(each.net_minor for each in takings(shop, day) if each.till == till)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO servicing_till_count (shop_id, count_id, day, till, counted_minor, expected_minor, counted_by,"
                " counted_at, note) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [shop.id, key, day, till, counted_minor, expected, actor, at, note],
            )
            fresh = cursor.rowcount == 1
        (kept,) = _counts(f"{_COUNTS} AND count_id = %(key)s", {"shop": shop.id, "key": key})
        if fresh:
            audit.record(
                shop,
                actor,
                "till.counted",
                f"till:{till}:{day}",
                at,
                reason=note,
                after={"counted_minor": kept.counted_minor, "expected_minor": kept.expected_minor},
            )
        return kept

    return in_transaction(act)


def counts_of(shop: Shop, day: date) -> tuple[Count, ...]:
    """What was counted in the tills of a day, the last first."""
    use_shop(shop.id)
    return _counts(f"{_COUNTS} AND day = %(day)s ORDER BY count_id DESC", {"shop": shop.id, "day": day})


def list_counts(shop: Shop, *, off: bool = False, after: str = "", limit: int = 25) -> CountPage:
    """Every count, newest first, from behind `after`; `off`: only those that did not agree with the book. Raises `BadInput`."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadInput("limit", limit, f"1 to {MAX_PAGE}")
    where = ""
    values: dict[str, Any] = {"shop": shop.id, "limit": limit + 1}
    if off:
        where += " AND counted_minor <> expected_minor"
    if after:
        try:
            values["after"] = UUID(after)
        except ValueError:
            raise BadInput("after", after[:80], "the `after` of the page before, as it was given") from None
        where += " AND count_id < %(after)s"
    use_shop(shop.id)
    found = _counts(f"{_COUNTS}{where} ORDER BY count_id DESC LIMIT %(limit)s", values)
    return CountPage(found[:limit], found[limit - 1].count_id.hex if len(found) > limit else "")


def _counts(sql: str, values: dict[str, Any]) -> tuple[Count, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return tuple(
            Count(
                count_id=row[0],
                day=row[1],
                till=row[2],
                counted_minor=row[3],
                expected_minor=row[4],
                counted_by=row[5],
                counted_at=row[6],
                note=row[7],
            )
            for row in cursor.fetchall()
        )
