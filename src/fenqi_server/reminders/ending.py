"""The end of a rental: told some days before it, with what can be done. Nothing is renewed or bought by itself.

What is rented is noted when its goods go out and when it is renewed, with the next day on which something is to be told; it leaves when
the rental ends. A day that was missed is made up for as long as the end is ahead.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from fenqi.calendars import local_date
from fenqi.contracts.lease import LeaseState
from fenqi_server.db import BY_KEY, array_of, in_transaction, read_by_index, use_shop
from fenqi_server.reminders.queueing import Notice, Reach, queue
from fenqi_server.shops.models import Shop

__all__ = ["CHUNK", "TERM_DAYS", "note", "search"]

CHUNK: Final = 500
TERM_DAYS: Final = (3, 14)
"""So many days before its term ends a customer is told what can be done with what is rented."""


def note(shop: Shop, customer_id: UUID, contract_id: UUID, lease: LeaseState, today: date) -> None:
    """Note when something is to be told next of a rental as it stands now. In the caller's transaction."""
    look_on = None
    if lease.handed_over_on is not None and lease.outcome is None:
        # Whoever rents for a week knows on the first day when it ends.
        days = [lease.term_ends_on - timedelta(days=before) for before in TERM_DAYS]
        look_on = min((day for day in days if day > today), default=None)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        if look_on is None:
            cursor.execute(
                "DELETE FROM reminders_term WHERE customer_id = %s AND contract_id = %s",
                [customer_id, contract_id],
            )
            return
        cursor.execute(
            "INSERT INTO reminders_term AS t (customer_id, contract_id, shop_id, ends_on, look_on) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (customer_id, contract_id) DO UPDATE SET ends_on = excluded.ends_on, look_on = excluded.look_on"
            " WHERE t.ends_on <> excluded.ends_on",
            [customer_id, contract_id, shop.id, lease.term_ends_on, look_on],
        )


_FOUND: Final = """
SELECT customer_id, contract_id, ends_on FROM reminders_term
 WHERE shop_id = %s AND look_on <= %s ORDER BY look_on LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""


_LEAVE: Final = f"DELETE FROM reminders_term WHERE {BY_KEY}"
_PUT_OFF: Final = f"""
UPDATE reminders_term SET look_on = u.later FROM unnest(%s::uuid[], %s::date[]) AS u (contract, later)
 WHERE contract_id = u.contract AND {BY_KEY}
"""


def search(shop: Shop, reach: Reach, at: datetime) -> int | None:
    """Queue reminders of up to `CHUNK` rentals whose day has come: how many, or None where none waits."""
    today = local_date(at, shop.time_zone)

    def act() -> int | None:
        use_shop(shop.id)
        read_by_index()
        with connection.cursor() as cursor:
            cursor.execute(_FOUND, [shop.id, today, CHUNK])
            found = cursor.fetchall()
        if not found:
            return None
        notices: list[Notice] = []
        gone: list[tuple[UUID, UUID]] = []
        later: list[tuple[UUID, UUID, date]] = []
        for customer_id, contract_id, ends_on in found:
            ahead = (ends_on - today).days
            if ahead >= 0:
                stage = min(each for each in TERM_DAYS if each >= ahead)
                notices.append(Notice(customer_id, contract_id, "term_ends", f"{ends_on}:{stage}", ends_on))
            further = max((each for each in TERM_DAYS if each < ahead), default=None)
            if further is None:
                gone.append((customer_id, contract_id))
            else:
                later.append((customer_id, contract_id, ends_on - timedelta(days=further)))
        queued = queue(shop, notices, at, reach)
        with connection.cursor() as cursor:
            cursor.execute(
                _LEAVE,
                [array_of(first for first, _ in gone), array_of(second for _, second in gone)],
            )
            cursor.execute(
                _PUT_OFF,
                [
                    contracts := array_of(second for _, second, _ in later),
                    array_of(on for *_, on in later),
                    array_of(first for first, _, _ in later),
                    contracts,
                ],
            )
        return queued

    return in_transaction(act)
