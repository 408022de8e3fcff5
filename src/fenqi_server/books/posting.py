"""Adding to the book. There is no other way to write it, and none to change it."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.contracts.terms import ContractTerms
from fenqi.ledger.entries import Entries, check_fees
from fenqi_server.ids import uuid7

__all__ = ["Transaction", "balances_of", "post"]


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """One booked transaction. `amounts[i]` goes to `accounts[i]`, debits positive.

    `occurred_on` is when it happened, `recorded_at` when we learnt of it, `booked_on` the day of the book that it
    counts to: a closed period takes nothing more, so what is learnt late is booked in the first open one.
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
    booked_on: date


_COLUMNS = Transaction.__struct_fields__
_INSERT = (
    f"INSERT INTO books_transaction ({', '.join(_COLUMNS)}) VALUES ({', '.join('%s' for _ in _COLUMNS)})"
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
) -> UUID:
    """Book what an event came to, in the caller's transaction, and return the new transaction's key.

    A fee is booked only with the `terms` of a contract whose disclosure lists it: anything else raises
    `fenqi.ledger.entries.FeeNotListed`, with nothing written. The database refuses what does not balance, and a second booking of the same event (`django.db.IntegrityError`).
    """
    check_fees(entries, terms)
    name = uuid7(recorded_at)
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
    )
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [getattr(booked, column) for column in _COLUMNS])
    return name


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
