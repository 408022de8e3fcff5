"""Reading the book: its transactions, newest first, and what every account comes to."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi_server.books.posting import Transaction
from fenqi_server.chain import digest_of
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id
from fenqi_server.shops.models import Shop

__all__ = ["PAGE", "Balance", "Page", "page_of", "trial_balance", "trial_digest"]

PAGE: Final = 25


class Balance(msgspec.Struct, frozen=True):
    """What an account comes to: everything debited to it, everything credited (both positive)."""

    currency: str
    account: int
    debit_minor: int
    credit_minor: int


class Page(msgspec.Struct, frozen=True):
    """Transactions, newest first; `older` leads to the next ones, and is None at the end."""

    transactions: tuple[Transaction, ...]
    older: str | None


_COLUMNS: Final = ", ".join(Transaction.__struct_fields__)


def page_of(shop: Shop, *, contract: str = "", before: str = "") -> Page:
    """A page of the book, of one contract where `contract` names it, after the place that `before` names.

    New transactions never move what a page that was given out leads to. Raises `ValueError` where `contract` or
    `before` is no such name.
    """
    use_shop(shop.id)
    where, values = ["shop_id = %s"], [shop.id]
    if contract:
        customer_id, contract_id = parse_public_id(contract, "ct")
        where.append("customer_id = %s AND contract_id = %s")
        values += [customer_id, contract_id]
    if before:
        instant, _, name = before.partition("~")
        where.append("(recorded_at, transaction_id) < (%s, %s)")
        values += [datetime.fromisoformat(instant), UUID(name)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM books_transaction WHERE {' AND '.join(where)}"
            " ORDER BY recorded_at DESC, transaction_id DESC LIMIT %s",
            [*values, PAGE + 1],
        )
        rows = cursor.fetchall()
    found = tuple(
        Transaction(**dict(zip(Transaction.__struct_fields__, row, strict=True))) for row in rows[:PAGE]
    )
    older = f"{found[-1].recorded_at.isoformat()}~{found[-1].transaction_id}" if len(rows) > PAGE else None
    return Page(found, older)


def trial_balance(
    shop: Shop, *, contract: str = "", as_of: date | None = None, known_at: datetime | None = None
) -> tuple[Balance, ...]:
    """Every account that was used, of the whole book or of one contract.

    `as_of` leaves out what counts to a later day of the book; `known_at` what was recorded after an instant, so that the
    two together give back what a page of that day showed. Raises `ValueError` as `page_of`.
    """
    use_shop(shop.id)
    where: list[str] = ["shop_id = %s"]
    values: list[Any] = [shop.id]
    if contract:
        customer_id, contract_id = parse_public_id(contract, "ct")
        where.append("customer_id = %s AND contract_id = %s")
        values += [customer_id, contract_id]
    if as_of is not None:
        where.append("booked_on <= %s")
        values.append(as_of)
    if known_at is not None:
        where.append("recorded_at <= %s")
        values.append(known_at)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT currency, account, coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0)::bigint,"
            " coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0)::bigint"
            f" FROM books_entry WHERE {' AND '.join(where)} GROUP BY currency, account ORDER BY currency, account",
            values,
        )
        return tuple(Balance(*row) for row in cursor.fetchall())


def trial_digest(shop_id: UUID, last_on: date, transactions: int, balances: tuple[Balance, ...]) -> str:
    """What a closed month is held to: a digest over its trial balance, in one spelling.

    The first value names the formula.
    """
    said = [
        "fenqi.books.period.1",
        str(shop_id),
        last_on.isoformat(),
        transactions,
        *(msgspec.structs.astuple(balance) for balance in balances),
    ]
    return f"sha256:{digest_of(said)}"
