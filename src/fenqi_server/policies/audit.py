"""The audit log: who did what, to what, when and why, with what was before and what came after.

Entries are numbered from 1 within a shop and hashed each over the one before, so that a change, a removal or another
order breaks the chain at its place. The service's role may add and do nothing else; whoever owns the database may do
anything, but cannot seal: the head of the chain carries an HMAC by the service's signing key, which the
database does not hold. A log cut off at its end, or hashed anew from some place on, has a head that does not fit.

What this cannot find is the whole log put back as it was on an earlier day, head included: note the head elsewhere
(`fenqi policy audit --verify` prints it) and compare.

Every act of an operator, a key or the command line is recorded in the transaction that does it. No entry carries what
belongs to a customer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from django.conf import settings
from django.db import connection, transaction

from fenqi_server.chain import digest_of, seal_of, sealed
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop

__all__ = ["Break", "Entry", "Head", "entries", "hold", "record", "verify"]

MAX_ENTRIES: Final = 500
_SEALED_AS: Final = "fenqi.audit.head"
_COLUMNS: Final = "number, at, actor, act, subject, reason, before, after, previous, digest"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `act` is a noun and a verb, `policy.publish`; `subject` is what it was done to, `draft:<id>`."""

    number: int
    at: datetime
    actor: str
    act: str
    subject: str
    reason: str
    before: Any
    after: Any
    digest: str


class Head(msgspec.Struct, frozen=True):
    """Where the chain stands: worth noting outside the database."""

    number: int
    digest: str


class Break(msgspec.Struct, frozen=True):
    """The first place at which the log is not what was written, and how that shows."""

    number: int
    what: str


def record(
    shop: Shop,
    actor: str,
    act: str,
    subject: str,
    at: datetime,
    *,
    reason: str = "",
    before: Any = None,
    after: Any = None,
) -> Entry:
    """Add an entry to the shop's log, in the caller's transaction; `before` and `after` are plain JSON values.

    Acts of one shop wait here for each other, so that their numbers have no gap.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        head = hold(shop)
        number, previous = head.number + 1, head.digest
        was, is_now = _json(before), _json(after)
        digest = _digest(shop, number, at, actor, act, subject, reason, was, is_now, previous)
        cursor.execute(
            f"INSERT INTO policies_audit (shop_id, {_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [shop.id, number, at, actor, act, subject, reason, was, is_now, previous, digest],
        )
        key_id = settings.FENQI_SIGNING_KEY_ID
        cursor.execute(
            "UPDATE policies_audit_head SET number = %s, digest = %s, key_id = %s, seal = %s WHERE shop_id = %s",
            [number, digest, key_id, seal_of(key_id, _SEALED_AS, shop.id, number, digest), shop.id],
        )
    return Entry(
        number=number,
        at=at,
        actor=actor,
        act=act,
        subject=subject,
        reason=reason,
        before=before,
        after=after,
        digest=digest,
    )


def hold(shop: Shop) -> Head:
    """Keep everybody else from acting on the shop's policy until the caller's transaction ends."""
    assert connection.in_atomic_block, "what is held is let go when the transaction ends"
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO policies_audit_head (shop_id, number, digest, key_id, seal) VALUES (%s, 0, '', '', '')"
            " ON CONFLICT DO NOTHING",
            [shop.id],
        )
        cursor.execute(
            "SELECT number, digest FROM policies_audit_head WHERE shop_id = %s FOR UPDATE", [shop.id]
        )
        return Head(*cursor.fetchone())


def entries(
    shop: Shop,
    *,
    before: int | None = None,
    actor: str = "",
    act: str = "",
    subject: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> tuple[Entry, ...]:
    """The newest entries, newest first: those under the number `before`, of an actor, an act or its kind, a subject."""
    use_shop(shop.id)
    wheres, values = ["shop_id = %s"], [shop.id]
    for clause, value in (
        ("number < %s", before),
        ("actor = %s", actor or None),
        ("subject = %s", subject or None),
        ("at >= %s", since),
        ("at < %s", until),
    ):
        if value is not None:
            wheres.append(clause)
            values.append(value)
    if act:
        wheres.append("(act = %s OR starts_with(act, %s))")
        values += [act, act + "."]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM policies_audit WHERE {' AND '.join(wheres)} ORDER BY number DESC LIMIT %s",
            [*values, max(1, min(limit, MAX_ENTRIES))],
        )
        return tuple(_entry(row) for row in cursor.fetchall())


def verify(shop: Shop, *, noted: Head | None = None) -> Head | Break:
    """The chain's head if the log is whole, otherwise the first break.

    `noted` is a head noted earlier: the log has to have that entry still, as it was.
    """
    use_shop(shop.id)
    number, previous = 0, ""
    with transaction.atomic():
        for row in _all(shop):
            expected = number + 1
            if row[0] != expected:
                return Break(expected, f"entry {expected} is missing: the next one is {row[0]}")
            number = expected
            if row[8] != previous:
                return Break(number, "it does not follow the entry before it")
            if row[9] != _digest(shop, *row[:9]):
                return Break(number, "it is not what was written")
            previous = row[9]
            if noted is not None and noted.number == number and noted.digest != previous:
                return Break(number, "it is not the entry whose digest was noted")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT number, digest, key_id, seal FROM policies_audit_head WHERE shop_id = %s", [shop.id]
            )
            head = cursor.fetchone() or (0, "", "", "")
    if noted is not None and noted.number > number:
        return Break(number + 1, f"entry {noted.number}, whose digest was noted, is missing")
    if (head[0], head[1]) != (number, previous):
        return Break(number + 1, f"the log ends at {number}; {head[0]} entries were written")
    if number == 0:
        return Head(0, "")
    if head[2] not in settings.FENQI_SIGNING_KEYS:
        return Break(number, f"it is sealed with the key {head[2]}, which FENQI_SIGNING_KEYS does not have")
    if not sealed(head[3], head[2], _SEALED_AS, shop.id, number, previous):
        return Break(number, "the chain was not sealed by this service")
    return Head(number, previous)


def _all(shop: Shop) -> Iterator[Any]:
    """Every row in order, a thousand at a time."""
    after = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM policies_audit WHERE shop_id = %s AND number > %s ORDER BY number LIMIT 1000",
                [shop.id, after],
            )
            rows = cursor.fetchall()
            if not rows:
                return
            yield from rows
            after = rows[-1][0]


def _entry(row: Any) -> Entry:
    number, at, actor, act, subject, reason, before, after, _, digest = row
    return Entry(
        number=number,
        at=at,
        actor=actor,
        act=act,
        subject=subject,
        reason=reason,
        before=None if before is None else json.loads(before),
        after=None if after is None else json.loads(after),
        digest=digest,
    )


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value, order="sorted").decode()


def _digest(
    shop: Shop,
    number: int,
    at: datetime,
    actor: str,
    act: str,
    subject: str,
    reason: str,
    before: str | None,
    after: str | None,
    previous: str,
) -> str:
    said = [str(shop.id), number, at.astimezone(UTC).isoformat(), actor, act, subject, reason, before, after]
    return digest_of([*said, previous])
