"""What falls due in some days, found by the index of due dates, a part at a time.

How far a day's search has come is kept in the transaction that queues what it found: one that is killed goes on there, and two
workers never search the same part.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from fenqi.calendars import local_date
from fenqi_server.db import in_transaction, read_by_index, use_shop
from fenqi_server.reminders.queueing import Notice, Reach, queue
from fenqi_server.reminders.rules import Rules
from fenqi_server.shops.models import Shop

__all__ = ["CHUNK", "search"]

CHUNK: Final = 5_000

# In the index's own order: each part begins where the one before it ended, and reads nothing twice.
_FOUND: Final = """
SELECT customer_id, contract_id, status = 'active' AND next_due_on = ANY (open_due_on) FROM servicing_state
 WHERE shop_id = %s AND next_due_on = %s AND (customer_id, contract_id) > (%s, %s) ORDER BY customer_id, contract_id LIMIT %s
"""


def search(shop: Shop, rules: Rules, reach: Reach, at: datetime) -> int | None:
    """Queue a part of what falls due soon: how many reminders, or None where the search is done.

    A due date is searched for on the day of its reminder. Where nothing ran on that day, it is searched for as long as it is ahead,
    by the nearest of its stages that have come: late, and once.
    """
    today = local_date(at, shop.time_zone)
    if not rules.before_days:
        return None
    searched = _searched(shop, today - timedelta(days=max(rules.before_days)))
    for ahead in range(1, max(rules.before_days) + 1):
        due_on = today + timedelta(days=ahead)
        days = min(each for each in rules.before_days if each >= ahead)
        if (due_on - timedelta(days=days), days) in searched:
            continue
        queued = in_transaction(lambda due_on=due_on, days=days: _part(shop, due_on, days, reach, at))
        if queued is not None:
            return queued
    return None


def _searched(shop: Shop, since: date) -> set[tuple[date, int]]:
    """The days and stages whose search is done."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT day, days_before FROM reminders_scan WHERE shop_id = %s AND day >= %s AND done",
            [shop.id, since],
        )
        return set(cursor.fetchall())


def _part(shop: Shop, due_on: date, days: int, reach: Reach, at: datetime) -> int | None:
    """A part of what falls due on a day. Its search is kept under the day on which its reminder was to be queued."""
    use_shop(shop.id)
    read_by_index()
    key = [shop.id, due_on - timedelta(days=days), days]
    nothing = UUID(int=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT after_customer, after_contract, done FROM reminders_scan"
            " WHERE shop_id = %s AND day = %s AND days_before = %s FOR NO KEY UPDATE SKIP LOCKED",
            key,
        )
        row = cursor.fetchone()
        if row is None:
            cursor.execute(
                "INSERT INTO reminders_scan (shop_id, day, days_before, after_customer, after_contract, done)"
                " VALUES (%s, %s, %s, %s, %s, false) ON CONFLICT DO NOTHING",
                [*key, nothing, nothing],
            )
            if not cursor.rowcount:
                return None  # another worker is at it
            row = (nothing, nothing, False)
        after_customer, after_contract, done = row
        if done:
            return None
        cursor.execute(_FOUND, [shop.id, due_on, after_customer, after_contract, CHUNK])
        found = cursor.fetchall()
        notices = [
            Notice(customer_id, contract_id, "before", f"{due_on}:{days}", due_on)
            for customer_id, contract_id, is_open in found
            if is_open
        ]
        queued = queue(shop, notices, at, reach)
        last = found[-1][:2] if found else (after_customer, after_contract)
        cursor.execute(
            "UPDATE reminders_scan SET after_customer = %s, after_contract = %s, done = %s"
            " WHERE shop_id = %s AND day = %s AND days_before = %s",
            [*last, len(found) < CHUNK, *key],
        )
    return queued
