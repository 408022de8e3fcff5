"""Tables of all costs as they were shown: kept under their names, shown from an instant on, and agreed to not before their
reading time has passed.

Showing a table begins a *reading*: a signed note of whose quote it belongs to, which table it is and when it was shown. It is
handed in with the agreement. Nothing is written when a table is shown but the table itself, once; what a customer read and
for how long is written with what they agreed to.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.terms.disclosure import Disclosure, digest
from fenqi_server.db import use_shop
from fenqi_server.decisions.quotes import BadToken, Claims, open_token, seal_token
from fenqi_server.ids import parse_public_id
from fenqi_server.shops.models import Shop

__all__ = [
    "Acknowledgement",
    "NoTable",
    "Reading",
    "acknowledge",
    "acknowledgement_for",
    "acknowledgement_of",
    "begin",
    "find",
    "forget_caches",
    "keep",
    "left",
    "read",
]

_CONTEXT: Final = "rd1"


class NoTable(LookupError):
    """No table of this shop has the name."""


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """What the note of a reading says: this table, of this quote, was shown to its customer at this instant."""

    quote: bytes
    customer: bytes
    shop: bytes
    table: str
    shown_us: int

    @property
    def shown_at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.shown_us)


class Acknowledgement(msgspec.Struct, frozen=True):
    """A table that was agreed to: when it was shown, how long it was read, how long it had to be, and when it was agreed to."""

    digest: str
    shown_at: datetime
    read_seconds: int
    asked_seconds: int
    confirmed_at: datetime


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode: Final = msgspec.msgpack.Encoder().encode
_reading: Final = msgspec.msgpack.Decoder(Reading).decode
_table: Final = msgspec.json.Decoder(Disclosure).decode

# A table is kept once and never changed: what this process has written needs no writing again.
_kept: set[tuple[UUID, str]] = set()
_KEPT_LIMIT: Final = 50_000


def forget_caches() -> None:
    """For tests, whose databases come and go."""
    _kept.clear()


def keep(shop: Shop, table: Disclosure, at: datetime) -> str:
    """Keep a table under its name, for its permanent address; its name. The same table is kept once."""
    name = digest(table)
    if (shop.id, name) in _kept:
        return name
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO disclosures_table (shop_id, digest, table_version, body, kept_at)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [shop.id, name, table.table_version, msgspec.json.encode(table).decode(), at],
        )
    if not connection.in_atomic_block:  # one that is rolled back has written nothing
        if len(_kept) >= _KEPT_LIMIT:
            _kept.clear()
        _kept.add((shop.id, name))
    return name


def find(shop: Shop, name: str) -> Disclosure:
    """The table of that name. Raises `NoTable`."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT body::text FROM disclosures_table WHERE shop_id = %s AND digest = %s", [shop.id, name]
        )
        row = cursor.fetchone()
    if row is None:
        raise NoTable(name)
    return _table(row[0])


def begin(claims: Claims, table: str, at: datetime) -> str:
    """The note that the table of a quote was shown at an instant: hand it in with the agreement."""
    shown_us = (at - _EPOCH) // timedelta(microseconds=1)
    return seal_token(_CONTEXT, _encode(Reading(claims.quote, claims.customer, claims.shop, table, shown_us)))


def read(token: str) -> Reading:
    """What a note says, once its signature holds. Raises `BadToken`."""
    try:
        return _reading(open_token(_CONTEXT, token))
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise BadToken("malformed", "the note's payload is not one of ours") from None


def left(reading: Reading, seconds: int, at: datetime) -> int:
    """How many seconds of a reading time are still to pass, rounded up; 0 where it has passed."""
    over = reading.shown_at + timedelta(seconds=seconds) - at
    return max(0, -(-over // timedelta(seconds=1)))


def acknowledge(
    shop: Shop, customer_id: UUID, decision_id: UUID, reading: Reading, seconds: int, at: datetime
) -> None:
    """Write down what was read and agreed to, in the transaction that confirms it.

    The caller has seen that the time has passed (`left`); the database refuses a row that says otherwise.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO disclosures_acknowledgement (customer_id, decision_id, shop_id, digest, shown_at, read_seconds,"
            " asked_seconds, confirmed_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                customer_id,
                decision_id,
                shop.id,
                reading.table,
                reading.shown_at,
                (at - reading.shown_at) // timedelta(seconds=1),
                seconds,
                at,
            ],
        )


def acknowledgement_of(customer_id: UUID, decision_id: UUID) -> Acknowledgement | None:
    """What was read before this decision's contract or hand-off was agreed to; None where nothing had to be, or where it
    was made before readings were recorded. The caller has set the shop."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT digest, shown_at, read_seconds, asked_seconds, confirmed_at FROM disclosures_acknowledgement"
            " WHERE customer_id = %s AND decision_id = %s",
            [customer_id, decision_id],
        )
        row = cursor.fetchone()
    return None if row is None else Acknowledgement(*row)


def acknowledgement_for(decision: str) -> Acknowledgement | None:
    """The same by the decision's public id, which is empty where a contract came about without one."""
    try:
        return acknowledgement_of(*parse_public_id(decision, "dc"))
    except ValueError:
        return None
