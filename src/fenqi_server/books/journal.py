"""A month of the book as CSV, in the shop's own accounts: what its bookkeeping takes in.

One line an entry. Nothing is exported while an account that is used has no account of the shop's own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final, TextIO

import msgspec
from django.db import connection

from fenqi.money import decimal_text
from fenqi_server.books import periods
from fenqi_server.books.mapping import Mapped, mapping, require
from fenqi_server.books.proof import one_instant
from fenqi_server.db import use_shop
from fenqi_server.ids import public_id
from fenqi_server.shops.models import Shop
from fenqi_server.spreadsheet import no_formula

__all__ = ["COLUMNS", "Exported", "entries_between", "write_month"]

COLUMNS: Final = (
    "date",
    "voucher",
    "line",
    "account_code",
    "account_name",
    "debit",
    "credit",
    "currency",
    "event",
    "occurred_on",
    "recorded_at",
    "contract",
    "settlement",
    "reference",
)
_BATCH: Final = 2_000


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. `closed`: the month takes nothing more, so the file is what it will always be."""

    period: str
    closed: bool
    transactions: int
    lines: int
    debit_minor: dict[str, int]


class Entry(msgspec.Struct, frozen=True):
    """One entry as the export reads it, in the order of the book."""

    booked_on: date
    recorded_at: datetime
    transaction_id: Any
    line: int
    customer_id: Any
    contract_id: Any
    event_kind: str
    settlement: str | None
    reference: str
    currency: str
    occurred_on: date
    account: int
    amount_minor: int


_ENTRIES: Final = (
    f"SELECT {', '.join(Entry.__struct_fields__)} FROM books_entry"
    " WHERE shop_id = %s AND booked_on BETWEEN coalesce(%s, '-infinity'::date) AND coalesce(%s, 'infinity'::date)"
    " ORDER BY booked_on, recorded_at, transaction_id, line"
)


def entries_between(shop: Shop, first_on: date | None = None, last_on: date | None = None) -> Iterator[Entry]:
    """The book's entries over days, in order, without holding them all. Inside a transaction of the caller's."""
    assert connection.in_atomic_block, "what is read bit by bit is read in a transaction"
    use_shop(shop.id)
    with connection.chunked_cursor() as cursor:
        cursor.execute(_ENTRIES, [shop.id, first_on, last_on])
        while rows := cursor.fetchmany(_BATCH):
            for row in rows:
                yield Entry(*row)


def write_month(shop: Shop, period: str, out: TextIO, *, mapped_at: datetime | None = None) -> Exported:
    """Write a month as CSV (RFC 4180), in the shop's own accounts as they are now or were at `mapped_at`.

    Raises `fenqi_server.books.mapping.Unmapped`, and `fenqi.problems.BadInput` where `period` is no month, with nothing written.
    """
    first_on, last_on = periods.parse_period(period)
    transactions, written = set(), 0
    debits: dict[str, int] = {}
    with one_instant(connection):
        use_shop(shop.id)
        named = mapping(shop, at=mapped_at)
        require(named, _used(shop, first_on, last_on))
        closed = any(each.last_on == last_on and each.closed_at for each in periods.periods(shop))
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for entry in entries_between(shop, first_on, last_on):
            writer.writerow(_cells(entry, named[entry.account]))
            transactions.add(entry.transaction_id)
            written += 1
            if entry.amount_minor > 0:
                debits[entry.currency] = debits.get(entry.currency, 0) + entry.amount_minor
    return Exported(
        period=f"{first_on:%Y-%m}",
        closed=closed,
        transactions=len(transactions),
        lines=written,
        debit_minor=debits,
    )


def _used(shop: Shop, first_on: date, last_on: date) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT account FROM books_entry WHERE shop_id = %s AND booked_on BETWEEN %s AND %s",
            [shop.id, first_on, last_on],
        )
        return [account for (account,) in cursor.fetchall()]


def _cells(entry: Entry, mapped: Mapped) -> tuple[str, ...]:
    amount = decimal_text(abs(entry.amount_minor), entry.currency)
    return (
        entry.booked_on.isoformat(),
        str(entry.transaction_id),
        str(entry.line),
        no_formula(mapped.code),
        no_formula(mapped.name),
        amount if entry.amount_minor > 0 else "",
        amount if entry.amount_minor < 0 else "",
        entry.currency,
        entry.event_kind,
        entry.occurred_on.isoformat(),
        entry.recorded_at.isoformat(),
        public_id("ct", entry.customer_id, entry.contract_id) if entry.contract_id else "",
        no_formula(entry.settlement or ""),
        no_formula(entry.reference),
    )
