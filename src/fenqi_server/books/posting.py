"""Adding to the book. There is no other way to write it, and none to change it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID, uuid5

import msgspec
from django.db import connection

from fenqi.contracts.terms import ContractTerms
from fenqi.ledger.accounts import BANK, CONVERSION
from fenqi.ledger.entries import Entries, FeeNotListed, check_fees, fees_of
from fenqi.money import Money
from fenqi.problems import BadInput
from fenqi_server.db import array_of, array_of_texts
from fenqi_server.ids import uuid7

__all__ = ["FIRST_OPEN", "Transaction", "balances_of", "convert", "post", "post_many"]


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """One booked transaction. `amounts[i]` goes to `accounts[i]`, debits positive.

    `occurred_on` is when it happened, `recorded_at` when we learnt of it, `booked_on` the day of the book that it
    counts to: a closed period takes nothing more, so what is learnt late is booked in the first open one.
    `linked_id` names the other transaction of a conversion: each has one currency.
    """

    customer_id: UUID
    transaction_id: UUID
    shop_id: UUID
    event_id: UUID
    event_kind: str
    contract_id: UUID | None
    settlement: str | None
    reference: str
    currency: str
    accounts: list[int]
    amounts: list[int]
    occurred_on: date
    recorded_at: datetime
    linked_id: UUID | None = None
    booked_on: date


FIRST_OPEN: Final = (
    "SELECT coalesce(max(last_on) + 1, '-infinity'::date) FROM books_period WHERE shop_id = %s"
)
"""The first day that a shop's book still takes: the one after every period that is closed, or is being closed."""

_COLUMNS: Final = Transaction.__struct_fields__
_GIVEN: Final = _COLUMNS[:-1]
assert _COLUMNS[-1] == "booked_on"
# One statement asks which day is open and books on it: a day asked for before could have been closed in between. The policy
# `open_period` of the table asks once more, of whoever writes in another way. What a close has to do so that no statement is
# left that looked before it: see periods.py.
_INSERT: Final = (
    f"INSERT INTO books_transaction ({', '.join(_COLUMNS)})"
    f" SELECT {', '.join('%s' for _ in _GIVEN)}, greatest(%s::date, ({FIRST_OPEN}))"
)


def post(
    *,
    shop_id: UUID,
    customer_id: UUID,
    event_id: UUID,
    event_kind: str,
    entries: Entries,
    currency: str,
    occurred_on: date,
    recorded_at: datetime,
    booked_on: date,
    contract_id: UUID | None = None,
    settlement: str | None = None,
    reference: str = "",
    terms: ContractTerms | None = None,
    linked_id: UUID | None = None,
) -> UUID:
    """Book what an event came to, in the caller's transaction, and return the new transaction's key.

    What an event of a contract books has the event's name, an act of the house one of its own. It counts to `booked_on`, or to the first open day after it where that one's period is closed. A fee is booked only with the `terms` of a contract whose disclosure lists it: anything else raises
    `fenqi.ledger.entries.FeeNotListed`, with nothing written. The database refuses what does not balance, and a second booking of the same event (`django.db.IntegrityError`).
    """
    check_fees(entries, terms)
    name = event_id if contract_id is not None else uuid7(recorded_at)
    booked = Transaction(
        customer_id=customer_id,
        transaction_id=name,
        shop_id=shop_id,
        event_id=event_id,
        event_kind=event_kind,
        contract_id=contract_id,
        settlement=settlement,
        reference=reference,
        currency=currency,
        accounts=list(entries.accounts),
        amounts=list(entries.amounts),
        occurred_on=occurred_on,
        recorded_at=recorded_at,
        booked_on=booked_on,
        linked_id=linked_id,
    )
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [*(getattr(booked, column) for column in _GIVEN), booked_on, shop_id])
    return name


def convert(
    *,
    shop_id: UUID,
    customer_id: UUID,
    event_id: UUID,
    given: Money,
    got: Money,
    occurred_on: date,
    recorded_at: datetime,
    booked_on: date,
    account: int = BANK,
    reference: str = "",
) -> tuple[UUID, UUID]:
    """Book that `given` was changed into `got` on an account: two transactions, as each has one currency.

    Both stand against the account `conversion`; the second names the first. Raises `fenqi.problems.BadInput` where both are
    of one currency, or nothing was given or got.
    """
    if given.currency == got.currency:
        raise BadInput("got", str(got), f"money of another currency than {given.currency}")
    for place, money in (("given", given), ("got", got)):
        if money.minor <= 0:
            raise BadInput(place, str(money), "more than 0")
    first = post(
        shop_id=shop_id,
        customer_id=customer_id,
        event_id=event_id,
        event_kind="converted",
        entries=Entries((CONVERSION, account), (given.minor, -given.minor)),
        currency=given.currency,
        occurred_on=occurred_on,
        recorded_at=recorded_at,
        booked_on=booked_on,
        reference=reference,
    )
    second = post(
        shop_id=shop_id,
        customer_id=customer_id,
        # An event books once: of two transactions each has its own, and the same every time.
        event_id=uuid5(event_id, "converted"),
        event_kind="converted",
        entries=Entries((account, CONVERSION), (got.minor, -got.minor)),
        currency=got.currency,
        occurred_on=occurred_on,
        recorded_at=recorded_at,
        booked_on=booked_on,
        reference=reference,
        linked_id=first,
    )
    return first, second


_TYPES: Final = {
    "customer_id": "uuid",
    "transaction_id": "uuid",
    "shop_id": "uuid",
    "event_id": "uuid",
    "event_kind": "text",
    "contract_id": "uuid",
    "settlement": "text",
    "reference": "text",
    "currency": "text",
    "accounts": "text",
    "amounts": "text",
    "occurred_on": "date",
    "recorded_at": "timestamptz",
    "linked_id": "uuid",
    "booked_on": "date",
}
_ARRAYS: Final = {"accounts": "smallint[]", "amounts": "bigint[]"}
# PostgreSQL has no array of arrays of different lengths: those two travel as text.
_INSERT_MANY: Final = (
    f"INSERT INTO books_transaction ({', '.join(_COLUMNS)})"
    f" SELECT {', '.join(f'u.{c}::{_ARRAYS[c]}' if c in _ARRAYS else f'u.{c}' for c in _GIVEN)},"
    f" greatest(u.booked_on, ({FIRST_OPEN}))"
    f" FROM unnest({', '.join(f'%s::{_TYPES[c]}[]' for c in _COLUMNS)}) AS u ({', '.join(_COLUMNS)})"
)


def post_many(shop_id: UUID, booked: Sequence[Transaction], listed_minor: Sequence[int]) -> None:
    """Book many transactions of one shop in one statement, in the caller's transaction. Each counts to the day that `post` says.

    `listed_minor[i]` is what the disclosure of the i-th one's contract lists of the fee: more raises
    `fenqi.ledger.entries.FeeNotListed`, with nothing written. The database refuses what `post` says it does.
    """
    for each, listed in zip(booked, listed_minor, strict=True):
        earned = fees_of(Entries(tuple(each.accounts), tuple(each.amounts)))
        if earned > listed:
            raise FeeNotListed("fee", earned, f"at most the {listed} that the disclosure lists")
    if not booked:
        return
    columns = [
        array_of_texts(array_of(getattr(each, column)) for each in booked)
        if column in _ARRAYS
        else array_of_texts(getattr(each, column) for each in booked)
        if _TYPES[column] == "text"
        else array_of(getattr(each, column) for each in booked)
        for column in _COLUMNS
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_MANY, [shop_id, *columns])


def balances_of(customer_id: UUID, contract_id: UUID) -> dict[int, int]:
    """What is booked for a contract, account by account, zeros left out. The caller has set the shop."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account, sum(amount_minor)::bigint FROM books_entry"
            " WHERE customer_id = %s AND contract_id = %s GROUP BY account HAVING sum(amount_minor) <> 0"
            " ORDER BY account",
            [customer_id, contract_id],
        )
        return dict(cursor.fetchall())
