"""Which policy is in force.

A publication says that a snapshot is in force from an instant on. It is never changed or taken back: rolling back
publishes the old digest again. Of the publications that have begun, the one that begins last is in force, and
among those that begin together the one recorded last. So an urgent change holds until the next planned one.

Each process keeps the shop's publications as one immutable value and swaps the reference; it asks the database
for newer ones at most every `CHECK_SECONDS`. Compiled policies are kept by digest.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection, transaction

from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.snapshot import Snapshot, decode, digest, encode
from fenqi.problems import BadInput
from fenqi_server.ids import uuid7
from fenqi_server.shops.models import Shop

__all__ = [
    "Misfit",
    "NoPolicy",
    "Publication",
    "by_digest",
    "current",
    "forget_caches",
    "in_force",
    "keep",
    "publications",
    "publish",
    "publish_again",
]

CHECK_SECONDS: Final = 1.0
MAX_COMPILED: Final = 64


class NoPolicy(LookupError):
    """No policy of the shop has begun at the instant, or no snapshot has the digest."""


class Misfit(BadInput):
    """A policy that cannot be this shop's: its money, or what it calls a day, is another's."""


class Publication(msgspec.Struct, frozen=True):
    """One line of the record: this snapshot, from then on."""

    id: UUID
    digest: str
    valid_from: datetime
    recorded_at: datetime
    actor: str


_published: dict[UUID, tuple[float, tuple[Publication, ...]]] = {}
_compiled: OrderedDict[str, Policy] = OrderedDict()
_lock = threading.Lock()


def publish(
    shop: Shop, snapshot: Snapshot, at: datetime, actor: str, *, valid_from: datetime | None = None
) -> Publication:
    """Put a snapshot in force from `valid_from` (default: `at`) on, and record who did it and when.

    Raises `Misfit` where the policy is in another currency or time zone than the shop.
    """
    _check_fits(shop, snapshot)
    name = digest(snapshot)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO policies_snapshot (digest, body, recorded_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [name, encode(snapshot), at],
        )
        return _record(shop, Publication(uuid7(at), name, valid_from or at, at, actor))


def keep(snapshot: Snapshot, at: datetime) -> None:
    """Keep a snapshot under its digest without publishing it, so that what was decided by it can be decided again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO policies_snapshot (digest, body, recorded_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [digest(snapshot), encode(snapshot), at],
        )


def publish_again(shop: Shop, name: str, at: datetime, actor: str) -> Publication:
    """Roll back: put a policy that this shop had before in force from `at` on.

    It is published as it was kept, under the name that it has. Raises `NoPolicy` where the shop never had it.
    """
    if all(name != known.digest for known in publications(shop.id)):
        raise NoPolicy(f"{name} was never published in shop {shop.code}")
    return _record(shop, Publication(uuid7(at), name, at, at, actor))


def _check_fits(shop: Shop, snapshot: Snapshot) -> None:
    for field in ("currency", "time_zone"):
        found, expected = getattr(snapshot.shop, field), getattr(shop, field)
        if found != expected:
            raise Misfit(
                f"shop.{field} of the policy",
                found,
                f"{expected}, which shop {shop.code} has",
                "a shop keeps it for good: change the policy, or publish it in a shop of its own",
            )


def _record(shop: Shop, made: Publication) -> Publication:
    # Announcements read which policies are to come: they are above this module, and are called when it is loaded.
    from fenqi_server.announcements.lifecycle import record_publication

    with transaction.atomic(), connection.cursor() as cursor:
        was = in_force(publications(shop.id), made.valid_from)
        cursor.execute(
            "INSERT INTO policies_publication (shop_id, id, digest, valid_from, recorded_at, actor)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [shop.id, made.id, made.digest, made.valid_from, made.recorded_at, made.actor],
        )
        before = None if was is None else by_digest(was.digest)
        record_publication(shop, before, by_digest(made.digest), made, made.recorded_at, made.actor)
        # Another thread may have read the list a moment ago: what commits here is to be seen at once.
        transaction.on_commit(lambda: _published.pop(shop.id, None))
    _published.pop(shop.id, None)
    return made


def publications(shop_id: UUID) -> tuple[Publication, ...]:
    """All publications of a shop, in the order in which they begin."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, digest, valid_from, recorded_at, actor FROM policies_publication"
            " WHERE shop_id = %s ORDER BY valid_from, recorded_at, id",
            [shop_id],
        )
        return tuple(Publication(*row) for row in cursor.fetchall())


def in_force(published: tuple[Publication, ...], at: datetime) -> Publication | None:
    """The one of them that is in force at `at`; `published` is in the order in which they begin."""
    return next((made for made in reversed(published) if made.valid_from <= at), None)


def current(shop_id: UUID, at: datetime) -> Policy:
    """The policy in force in the shop at `at`. Raises `NoPolicy` before the first."""
    now = time.monotonic()
    known = _published.get(shop_id)
    if known is None or known[0] <= now:
        known = _published[shop_id] = (now + CHECK_SECONDS, publications(shop_id))
    publication = in_force(known[1], at)
    if publication is None:
        raise NoPolicy(f"shop {shop_id} has no policy in force at {at.isoformat()}: publish one")
    return by_digest(publication.digest)


def by_digest(name: str) -> Policy:
    """The policy of a snapshot ever published. Raises `NoPolicy`."""
    policy = _compiled.get(name)
    if policy is not None:
        return policy
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM policies_snapshot WHERE digest = %s", [name])
        row = cursor.fetchone()
    if row is None:
        raise NoPolicy(f"no snapshot {name} was ever published")
    policy = compile_policy(decode(bytes(row[0])))
    with _lock:
        _compiled[name] = policy
        while len(_compiled) > MAX_COMPILED:
            _compiled.popitem(last=False)
    return policy


def forget_caches() -> None:
    """Read everything anew, as after the database was replaced under a test."""
    _published.clear()
    with _lock:
        _compiled.clear()
