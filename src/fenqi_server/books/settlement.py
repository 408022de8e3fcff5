"""Money in transit, and the day it arrives.

What a customer pays is collected by somebody (a bank, a wallet) who hands it over later, in batches. Until then it is
booked as in transit, under the batch's name, with the customer. The arrival is one transaction of the house's own
party, whatever the number of customers in it: so no transaction ever spans two customers, and a batch is
reconciled when the legs of all of them come to zero.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from fenqi.calendars import local_date
from fenqi.ledger.accounts import BANK, IN_TRANSIT
from fenqi.ledger.entries import posting
from fenqi_server.books.posting import post
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import uuid7
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import by_id

__all__ = ["StillAdding", "in_transit", "run_settlements", "settle", "settle_due", "wait_for_earlier"]

WAIT_SECONDS: Final = 5.0


class StillAdding(Exception):
    """Somebody who began before has not ended: try again in a moment."""


def wait_for_earlier(seconds: float = WAIT_SECONDS) -> None:
    """Wait until all that began to write before the caller's transaction has ended; it holds nothing yet that they may wait for.

    A payment on its way could else be left out of the arrival of its batch and count as one that it has. So whatever an arrival does
    not see has a transaction after it. Raises `StillAdding`.
    """
    ends = time.monotonic() + seconds
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        (own,) = cursor.fetchone()
        while True:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            if cursor.fetchone()[0] >= own:
                return
            if time.monotonic() > ends:
                raise StillAdding(f"a transaction that began before takes more than {seconds:.0f} s")
            time.sleep(0.005)


def in_transit(shop_id: UUID, settlement: str) -> dict[str, int]:
    """What of a batch has not arrived, by currency. The caller has set the shop."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT currency, sum(amount_minor)::bigint FROM books_entry"
            " WHERE shop_id = %s AND settlement = %s AND account = %s GROUP BY currency"
            " HAVING sum(amount_minor) <> 0 ORDER BY currency",
            [shop_id, settlement, IN_TRANSIT],
        )
        return dict(cursor.fetchall())


def settle(shop: Shop, settlement: str, at: datetime) -> dict[str, int]:
    """The batch arrived at the bank whole: book it, and return what was booked, by currency.

    Doing it twice books once. A payment that joined the batch in between is booked by the second time. Raises `StillAdding`.
    """
    today = local_date(at, shop.time_zone)

    def act() -> dict[str, int]:
        use_shop(shop.id)
        wait_for_earlier()
        party = customers.house(shop, "settlement", at)
        # Two that settle the same batch at once: the second looks after the first has committed.
        customers.lock(shop, party)
        arrived = in_transit(shop.id, settlement)
        for currency, minor in arrived.items():
            entries = posting({BANK: minor, IN_TRANSIT: -minor}, {})
            assert entries is not None
            post(
                shop_id=shop.id,
                customer_id=party,
                event_id=uuid7(at),
                event_kind="settlement",
                entries=entries,
                currency=currency,
                occurred_on=today,
                recorded_at=at,
                booked_on=today,
                settlement=settlement,
                reference=settlement,
            )
        return arrived

    return in_transaction(act)


def settle_due(shop: Shop, at: datetime) -> int:
    """Settle every batch whose last payment was booked before today: how many arrived.

    The demo's pretend bank hands over each day's money the next day. A real provider's statement says what arrived.
    """
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT settlement FROM books_entry WHERE shop_id = %s AND settlement IS NOT NULL AND account = %s"
            " GROUP BY settlement, currency HAVING sum(amount_minor) <> 0 AND max(booked_on) < %s ORDER BY 1",
            [shop.id, IN_TRANSIT, local_date(at, shop.time_zone)],
        )
        waiting = list(dict.fromkeys(row[0] for row in cursor.fetchall()))
    done = 0
    for settlement in waiting:
        with suppress(StillAdding):  # the next round has it
            done += bool(settle(shop, settlement, at))
    return done


def run_settlements(now: datetime) -> int:
    """Settle what is due in every shop: how many batches arrived. A job for the demo's worker.

    Outside the demo nothing arrives by the calendar, so nothing is done: money is in the bank when its statement says so.
    """
    if not settings.FENQI_DEMO:
        return 0
    return sum(settle_due(by_id(shop_id), now) for shop_id in Shop.objects.values_list("id", flat=True))
