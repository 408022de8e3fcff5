"""Names of rows, and how they travel outside.

Rows are named by UUIDv7, so that neighbours in time are neighbours on disk and an id says when it was made. An id
that leaves Fenqi carries the customer's key in front of the row's own, so that a callback that brings nothing but
the id finds the shard it lives on: `ct_<52 letters and digits>`.

A *house party* is a customer key that belongs to no person: the money and the records of the house itself, or
the shop's visitors who are not signed in. It is computed from the shop's key, never stored anywhere first.
"""

from __future__ import annotations

import os
from base64 import b32decode
from datetime import UTC, datetime
from uuid import UUID, uuid5

__all__ = [
    "anonymous_party",
    "first_uuid7",
    "house_party",
    "instant_of",
    "parse_public_id",
    "public_id",
    "uuid7",
    "uuid7_after",
    "uuid7s",
]

_VERSION_7 = 7 << 76
_VARIANT = 2 << 62
_RANDOM = (1 << 62) - 1
# Base 32 of RFC 4648 in small letters, two letters at a time: 26 times ten bits are 32 bytes and four zeros.
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]
_PLACES = range(250, -1, -10)


def uuid7(at: datetime) -> UUID:
    """A new name made at `at`: 48 bits of milliseconds, then 74 random bits.

    The edge asks for it; no function of the engine does.

    >>> uuid7(datetime(2026, 9, 30, tzinfo=UTC)).version
    7
    """
    return uuid7s(at, 1)[0]


def uuid7s(at: datetime, count: int) -> list[UUID]:
    """So many new names made at `at`.

    >>> len(set(uuid7s(datetime(2026, 9, 30, tzinfo=UTC), 1000)))
    1000
    """
    first = int(at.timestamp() * 1000) << 80 | _VERSION_7 | _VARIANT
    drawn = os.urandom(10 * count)
    randoms = [int.from_bytes(drawn[place : place + 10], "big") for place in range(0, 10 * count, 10)]
    return [UUID(int=first | (random >> 68) << 64 | random & _RANDOM) for random in randoms]


def uuid7_after(last: UUID | None, at: datetime) -> UUID:
    """A new name made at `at` that sorts after `last`: two things said in one millisecond keep their order.

    >>> first = uuid7(datetime(2026, 9, 30, tzinfo=UTC))
    >>> uuid7_after(first, datetime(2026, 9, 30, tzinfo=UTC)) > first
    True
    """
    made = uuid7(at)
    return made if last is None or made > last else UUID(int=last.int + 1)


def first_uuid7(at: datetime) -> UUID:
    """The smallest name that could have been made at `at`: the bound of a partition or of a search.

    >>> first_uuid7(datetime(2026, 9, 30, tzinfo=UTC)) <= uuid7(datetime(2026, 9, 30, tzinfo=UTC))
    True
    """
    return UUID(int=int(at.timestamp() * 1000) << 80)


def instant_of(name: UUID) -> datetime:
    """When a UUIDv7 was made.

    >>> instant_of(uuid7(datetime(2026, 9, 30, tzinfo=UTC))).isoformat()
    '2026-09-30T00:00:00+00:00'
    """
    return datetime.fromtimestamp((name.int >> 80) / 1000, UTC)


def public_id(prefix: str, customer_id: UUID, name: UUID) -> str:
    """The name a row has outside. `prefix` is two or three letters that say what it is.

    >>> public_id("ct", UUID(int=1), UUID(int=2))
    'ct_aaaaaaaaaaaaaaaaaaaaaaaaaeaaaaaaaaaaaaaaaaaaaaaaaaba'
    """
    bits = (customer_id.int << 128 | name.int) << 4
    return f"{prefix}_{''.join([_PAIRS[bits >> place & 1023] for place in _PLACES])}"


def parse_public_id(text: str, prefix: str | None = None) -> tuple[UUID, UUID]:
    """The customer's key and the row's own. Raises `ValueError` where `text` is no such id, or of another kind.

    >>> parse_public_id(public_id("ct", UUID(int=1), UUID(int=2)), "ct")[1].int
    2
    """
    found, _, body = text.partition("_")
    if not body or (prefix is not None and found != prefix) or len(body) != 52:
        raise ValueError(f"{text!r} is not an id{f' that begins with {prefix}_' if prefix else ''}")
    try:
        raw = b32decode(body.upper() + "====")
    except ValueError:
        raise ValueError(f"{text!r} is not an id: it has a letter that no id has") from None
    if public_id(found, UUID(bytes=raw[:16]), UUID(bytes=raw[16:])) != text:
        # The last letter has spare bits: only one way to write an id is the id.
        raise ValueError(f"{text!r} is not an id in its one spelling")
    return UUID(bytes=raw[:16]), UUID(bytes=raw[16:])


def house_party(shop_id: UUID, name: str) -> UUID:
    """The key under which the house keeps what belongs to no customer.

    >>> house_party(UUID(int=0), "settlement") == house_party(UUID(int=0), "settlement")
    True
    """
    return uuid5(shop_id, f"fenqi:{name}")


def anonymous_party(shop_id: UUID) -> UUID:
    """The key of the shop's visitors who are not signed in: their decisions are kept under it."""
    return house_party(shop_id, "anonymous")
