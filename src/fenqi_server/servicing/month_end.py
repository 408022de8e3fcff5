"""The end of a month: what of the rows that run belongs to it is income of the month.

For each contract two transactions: on the month's last day, income against `accrued_income`; on the day after, the same back. Together
they are nothing, so that whatever comes to the contract later, be it learnt of late, finds its book as its events left it, and closing it
needs no thought of them. (The other way, catching up with what was accrued before, would leave on every contract a balance that
each later event, and the closure rules, would have to know.)

It is one pass over `servicing_state`, in chunks in the order of the keys: a chunk's bookings and how far the pass has come are one
transaction, so that one which is killed goes on where it was and books nothing twice. What is not told by the cached row (an event of
the new month came first; income of two kinds) is replayed as of the month's last day.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date
from fenqi.ledger.accounts import ACCRUED_INCOME
from fenqi.ledger.recognition import accrued
from fenqi.problems import BadInput
from fenqi_server.books.posting import FIRST_OPEN
from fenqi_server.db import array_of, in_transaction, use_shop
from fenqi_server.ids import uuid7
from fenqi_server.servicing import storage
from fenqi_server.shops.models import Shop

__all__ = ["ACCRUED", "CHUNK", "REVERSED", "MonthEnd", "find", "left_due", "month_ends", "run", "run_due"]

CHUNK: Final = 20_000
"""How many contracts one transaction books. Nothing waits for it: it holds none of them."""
CHUNKS_A_ROUND: Final = 4
ACCRUED: Final = "accrued"
REVERSED: Final = "accrual_reversed"


class MonthEnd(msgspec.Struct, frozen=True):
    """One month's pass: `ended_at` is None while contracts are left. Of the `contracts` looked at, `replayed` were not told by their cached rows."""

    last_on: date
    started_at: datetime
    ended_at: datetime | None
    contracts: int
    replayed: int
    accrued_minor: int
    worked_ms: int


_COLUMNS: Final = ", ".join(MonthEnd.__struct_fields__)
_NOTHING: Final = UUID(int=0)

# The part of a row up to the month's last day, as `fenqi.ledger.recognition.accrued_minor` has it.
_PART: Final = """
greatest(0, s.accrues_minor * (%(on)s::date - s.accrues_from) / (s.accrues_to - s.accrues_from) - s.accrues_earned)
"""
_NAME: Final = "md5(u.contract_id || ' ' || k.kind || ' ' || %(on)s::date)::uuid"
_INSERT: Final = f"""
INSERT INTO books_transaction (customer_id, transaction_id, shop_id, event_id, event_kind, contract_id, reference, currency,
                               accounts, amounts, occurred_on, recorded_at, booked_on)
SELECT u.customer_id, (%(prefix)s || lpad(to_hex(2 * u.number + k.later), 12, '0'))::uuid, %(shop)s, {_NAME}, k.kind,
       u.contract_id, to_char(%(on)s::date, 'YYYY-MM'), %(currency)s,
"""
_TWO: Final = f"""
(VALUES (0, '{ACCRUED}'), (1, '{REVERSED}')) AS k (later, kind)
"""
_CHUNK: Final = f"""
WITH part AS MATERIALIZED (
    SELECT s.customer_id, s.contract_id, s.accrues_as, row_number() OVER (ORDER BY s.customer_id, s.contract_id) AS number,
           s.told_on IS NULL OR s.told_on > %(on)s AS unsure,
           CASE WHEN s.status = 'active' AND s.told_on <= %(on)s AND s.accrues_from <= %(on)s AND s.accrues_to > %(on)s
                THEN {_PART} ELSE 0 END AS minor
      FROM servicing_state AS s
     WHERE s.shop_id = %(shop)s AND (s.customer_id, s.contract_id) > (%(customer)s, %(contract)s)
     ORDER BY s.customer_id, s.contract_id LIMIT %(limit)s),
booked AS (
    {_INSERT} CASE k.later WHEN 0 THEN ARRAY[{ACCRUED_INCOME}, u.accrues_as]::smallint[]
                   ELSE ARRAY[u.accrues_as, {ACCRUED_INCOME}]::smallint[] END,
              ARRAY[u.minor, -u.minor], %(on)s::date + k.later, %(at)s, %(on)s::date + k.later
      FROM part AS u CROSS JOIN {_TWO} WHERE u.minor > 0 ORDER BY u.number, k.later)
SELECT count(*), coalesce(sum(minor), 0)::bigint,
       (array_agg(customer_id ORDER BY number DESC))[1], (array_agg(contract_id ORDER BY number DESC))[1],
       array_agg(customer_id ORDER BY number) FILTER (WHERE unsure), array_agg(contract_id ORDER BY number) FILTER (WHERE unsure)
  FROM part
"""
_REPLAYED: Final = f"""
{_INSERT} u.accounts::smallint[], CASE k.later WHEN 0 THEN u.amounts ELSE u.taken_back END::bigint[],
       %(on)s::date + k.later, %(at)s, %(on)s::date + k.later
  FROM unnest(%(customers)s::uuid[], %(contracts)s::uuid[], %(accounts)s::text[], %(amounts)s::text[], %(taken_back)s::text[])
       WITH ORDINALITY AS u (customer_id, contract_id, accounts, amounts, taken_back, number) CROSS JOIN {_TWO}
"""


def run(shop: Shop, last_on: date, at: datetime, *, chunks: int | None = None) -> MonthEnd:
    """Book the end of the month whose last day is `last_on`; go on where a pass was stopped; nothing where it has ended.

    `chunks` bounds how much is done. Raises `fenqi.problems.BadInput` where the month is not over, is closed, or a due date
    of it was not let come (`fenqi close-day` first).
    """
    today = local_date(at, shop.time_zone)
    name = f"{last_on:%Y-%m}"
    if (last_on + timedelta(days=1)).day != 1:
        raise BadInput("month", last_on.isoformat(), "the last day of a month")
    if last_on >= today:
        raise BadInput("month", name, f"a month that is over on {today}", "run it after its last day")
    found = find(shop, last_on)
    while (found is None or found.ended_at is None) and (chunks is None or chunks > 0):
        if found is None and left_due(shop, last_on):
            raise BadInput(
                "month",
                name,
                "a month whose due dates were all let come",
                f"run `fenqi close-day --shop {shop.code}` first",
            )
        found = in_transaction(lambda: _chunk(shop, last_on, at))
        chunks = None if chunks is None else chunks - 1
    assert found is not None, "a pass that began is recorded"
    return found


def run_due(now: datetime) -> int:
    """The end of last month in every shop, a bounded share of it: how many contracts were looked at. A job for the worker."""
    done = 0
    for shop in Shop.objects.all():
        last_on = local_date(now, shop.time_zone).replace(day=1) - timedelta(days=1)
        before = find(shop, last_on)
        if (before is not None and before.ended_at is not None) or not _has_anything(shop, last_on):
            continue
        if left_due(shop, last_on):
            continue  # closing the days comes first
        after = run(shop, last_on, now, chunks=CHUNKS_A_ROUND)
        done += after.contracts - (before.contracts if before else 0)
    return done


def find(shop: Shop, last_on: date) -> MonthEnd | None:
    """The pass over a month, if it began."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM servicing_month_end WHERE shop_id = %s AND last_on = %s",
            [shop.id, last_on],
        )
        row = cursor.fetchone()
    return MonthEnd(*row) if row else None


def month_ends(shop: Shop, limit: int = 12) -> tuple[MonthEnd, ...]:
    """The passes over a shop's months, the newest month first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM servicing_month_end WHERE shop_id = %s ORDER BY last_on DESC LIMIT %s",
            [shop.id, limit],
        )
        return tuple(MonthEnd(*row) for row in cursor.fetchall())


def left_due(shop: Shop, last_on: date) -> bool:
    """Whether a due date up to a day has not been let come."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM servicing_state WHERE shop_id = %s AND next_due_on <= %s LIMIT 1", [shop.id, last_on]
        )
        return cursor.fetchone() is not None


def _has_anything(shop: Shop, last_on: date) -> bool:
    """Whether a month is one to end: something is booked in it or before, and it is open."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT ({FIRST_OPEN}) <= %s AND EXISTS (SELECT FROM books_transaction WHERE shop_id = %s AND booked_on <= %s)",
            [shop.id, last_on, shop.id, last_on],
        )
        return bool(cursor.fetchone()[0])


def _chunk(shop: Shop, last_on: date, at: datetime) -> MonthEnd:
    began = time.monotonic()
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT ({FIRST_OPEN}) > %s", [shop.id, last_on])
        if cursor.fetchone()[0]:
            raise BadInput(
                "month", f"{last_on:%Y-%m}", "a month that is open", "nothing is booked in one that is closed"
            )
        cursor.execute(
            "INSERT INTO servicing_month_end (shop_id, last_on, started_at, customer_id, contract_id, contracts, replayed,"
            " accrued_minor, worked_ms) VALUES (%s, %s, %s, %s, %s, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
            [shop.id, last_on, at, _NOTHING, _NOTHING],
        )
        # Of several that run at once each takes the chunk after the other's.
        cursor.execute(
            f"SELECT customer_id, contract_id, {_COLUMNS} FROM servicing_month_end WHERE shop_id = %s AND last_on = %s"
            " FOR UPDATE",
            [shop.id, last_on],
        )
        customer, contract, *kept = cursor.fetchone()
        before = MonthEnd(*kept)
        if before.ended_at is not None:
            return before
        given: dict[str, Any] = {
            "shop": shop.id,
            "on": last_on,
            "at": at,
            "currency": shop.currency,
            "customer": customer,
            "contract": contract,
            "limit": CHUNK,
            # In the order in which they are written.
            "prefix": str(uuid7(at))[:24],
        }
        # The first plan that is found for a share of a large table would sort all of it.
        cursor.execute(
            "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)"
        )
        cursor.execute(_CHUNK, given)
        count, minor, last_customer, last_contract, customers, contracts = cursor.fetchone()
        replayed = list(zip(customers or (), contracts or (), strict=True))
        minor += _replay(cursor, given | {"prefix": str(uuid7(at))[:24]}, replayed, last_on)
        cursor.execute(
            "UPDATE servicing_month_end SET customer_id = coalesce(%s, customer_id), contract_id = coalesce(%s, contract_id),"
            " contracts = contracts + %s, replayed = replayed + %s, accrued_minor = accrued_minor + %s,"
            " worked_ms = worked_ms + %s, ended_at = %s WHERE shop_id = %s AND last_on = %s"
            f" RETURNING {_COLUMNS}",
            [
                last_customer,
                last_contract,
                count,
                len(replayed),
                minor,
                round((time.monotonic() - began) * 1000),
                at if count < CHUNK else None,
                shop.id,
                last_on,
            ],
        )
        return MonthEnd(*cursor.fetchone())


def _replay(cursor: Any, given: dict[str, Any], keys: Sequence[tuple[UUID, UUID]], last_on: date) -> int:
    """Book what only a replay as of the month's last day can say; what it comes to."""
    lines: list[tuple[UUID, UUID, str, str, str]] = []
    total = 0
    for customer_id, contract_id in keys:
        stored = storage.load(customer_id, contract_id)
        if stored is None:
            continue
        days = [event.occurred_on for event in stored.events if event.occurred_on <= last_on]
        entries = accrued(stored.state(max(days)), last_on) if days else None
        if entries is None:
            continue
        total += entries.amounts[0]
        lines.append(
            (
                customer_id,
                contract_id,
                array_of(entries.accounts),
                array_of(entries.amounts),
                array_of(-minor for minor in entries.amounts),
            )
        )
    if lines:
        names = ("customers", "contracts", "accounts", "amounts", "taken_back")
        cursor.execute(
            _REPLAYED,
            given
            | {name: list(column) for name, column in zip(names, zip(*lines, strict=True), strict=True)},
        )
    return total
