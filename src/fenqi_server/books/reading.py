"""Reading the book: its transactions, newest first, and what every account comes to."""

from __future__ import annotations

from collections.abc import Iterator
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

__all__ = [
    "PAGE",
    "Balance",
    "Line",
    "Page",
    "Statement",
    "lines",
    "page_of",
    "statement",
    "trial_balance",
    "trial_digest",
]

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
    where: list[str] = ["shop_id = %s"]
    values: list[Any] = [shop.id]
    if contract:
        customer_id, contract_id = parse_public_id(contract, "ct")
        where.append("customer_id = %s AND contract_id = %s")
        values += [customer_id, contract_id]
    if before:
        told, _, name = before.partition("~")
        instant = datetime.fromisoformat(told)
        # The index is over instants: it is to be entered where the page begins.
        where.append("(recorded_at, transaction_id) < (%s, %s) AND recorded_at <= %s")
        values += [instant, UUID(name), instant]
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


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an account's statement. `balance_minor` is what the account comes to with it, debits positive."""

    booked_on: date
    recorded_at: datetime
    transaction_id: UUID
    line: int
    occurred_on: date
    event_kind: str
    customer_id: UUID
    contract_id: UUID | None
    settlement: str | None
    reference: str
    amount_minor: int
    balance_minor: int

    @property
    def place(self) -> str:
        """Where the statement goes on after this line, for `statement(after=...)`."""
        return f"{self.booked_on}~{self.recorded_at.isoformat()}~{self.transaction_id}~{self.line}"


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """An account in one currency over days of the book, oldest line first.

    `opening_minor` is what it came to before the first line here, `closing_minor` at the end of the last day. `more` leads to the lines
    after these, and is None at the end.
    """

    account: int
    currency: str
    first_on: date | None
    last_on: date | None
    opening_minor: int
    closing_minor: int
    lines: tuple[Line, ...]
    more: str | None


_ORDER: Final = ("booked_on", "recorded_at", "transaction_id", "line")


def statement(
    shop: Shop,
    account: int,
    currency: str,
    *,
    first_on: date | None = None,
    last_on: date | None = None,
    known_at: datetime | None = None,
    after: str = "",
    limit: int = PAGE,
) -> Statement:
    """An account's entries, by the days of the book that they count to. The same bounds as `trial_balance`.

    Lines that are added never move what a place that was given out leads to. Raises `ValueError` where `after` is none.
    """
    use_shop(shop.id)
    where: list[str] = ["shop_id = %s", "account = %s", "currency = %s"]
    values: list[Any] = [shop.id, account, currency]
    for clause, value in (("booked_on <= %s", last_on), ("recorded_at <= %s", known_at)):
        if value is not None:
            where.append(clause)
            values.append(value)
    begins, at = "booked_on >= coalesce(%s, '-infinity'::date)", [first_on]
    if after:
        begins, at = f"({', '.join(_ORDER)}) > (%s, %s, %s, %s)", list(_parsed(after))
    own = " AND ".join(where)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce(sum(amount_minor), 0)::bigint, coalesce(sum(amount_minor) FILTER (WHERE NOT {begins}), 0)::bigint"
            f" FROM books_entry WHERE {own}",
            [*at, *values],
        )
        closing, opening = cursor.fetchone()
        cursor.execute(
            f"SELECT {', '.join(Line.__struct_fields__[:-1])} FROM books_entry WHERE {own} AND {begins}"
            f" ORDER BY {', '.join(_ORDER)} LIMIT %s",
            [*values, *at, limit + 1],
        )
        rows = cursor.fetchall()
    found, balance = [], opening
    for row in rows[:limit]:
        balance += row[-1]
        found.append(Line(**dict(zip(Line.__struct_fields__, (*row, balance), strict=True))))
    return Statement(
        account=account,
        currency=currency,
        first_on=first_on,
        last_on=last_on,
        opening_minor=opening,
        closing_minor=closing,
        lines=tuple(found),
        more=found[-1].place if len(rows) > limit else None,
    )


def lines(shop: Shop, account: int, currency: str, **bounds: Any) -> Iterator[Line]:
    """Every line of a statement, page after page."""
    after = ""
    while True:
        page = statement(shop, account, currency, after=after, limit=1000, **bounds)
        yield from page.lines
        if page.more is None:
            return
        after = page.more


def _parsed(place: str) -> tuple[date, datetime, UUID, int]:
    booked_on, recorded_at, name, line = place.split("~")
    return date.fromisoformat(booked_on), datetime.fromisoformat(recorded_at), UUID(name), int(line)


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
