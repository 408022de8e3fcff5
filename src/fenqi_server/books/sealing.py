"""Hashes over the whole book, one chain for the cell, so that a change to what was booked shows.

The worker seals what was added, batch after batch. A batch is every row whose database transaction lies in a range; its digest
goes over every field of every row of each shop, and over the batch before. The newest digest, noted somewhere else
(`fenqi books heads`), stands for the whole book until then: no row of it can be changed, removed, added or put in another order
without another digest. Whoever owns the database could hash everything anew; the seal under each batch is an HMAC by the
service's signing key, which the database does not hold.

*In which order.* Two transactions that add to the book at once commit in either order, so that "the rows after the last one" would
skip whichever came late. Rows are taken by the number of the transaction that wrote them (`xact`), and only below the oldest one
that still runs, `pg_snapshot_xmin`: nothing can come below it any more. Nobody waits for a seal, and no seal waits for anybody but
the longest transaction.

*The formula*, version 1. A row's encoding is PostgreSQL's binary form of the record of its columns in `COLUMNS`: the number of fields, then
for each its type, its length (-1 where it is null) and its bytes, so that no two rows have the same. The digest of a shop's
rows in a batch is SHA-256 over their encodings, ordered by (xact, transaction_id). The batch's digest is SHA-256 over a JSON
array of the formula's name, number, range, each shop with the count and the digest of its rows and the digest of its leaves, how
many rows are sealed until then, the instant, and the digest before. A leaf is the first eight bytes of a row's own hash: it proves nothing, and finds the row.

Another formula is another version, beside this one: what was sealed by the old one stays provable.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, transaction

from fenqi.problems import Problem
from fenqi_server.chain import digest_of, seal_of, sealed
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop

__all__ = ["COLUMNS", "VERSION", "Head", "begin_era", "era_problem", "heads", "seal", "seal_due", "verify"]

VERSION: Final = 1
COLUMNS: Final = (
    "xact",
    "customer_id",
    "transaction_id",
    "shop_id",
    "event_id",
    "event_kind",
    "contract_id",
    "settlement",
    "reference",
    "currency",
    "accounts",
    "amounts",
    "occurred_on",
    "recorded_at",
    "booked_on",
    "linked_id",
)
"""What version 1 goes over: every column there is."""
BATCH_ROWS: Final = 2_000
BATCHES_PER_ROUND: Final = 20
REST: Final = timedelta(seconds=60)
LEAF_BYTES: Final = 8
ERA: Final = 2**48
LOWEST: Final = -(2**63)
_SEALED_AS: Final = "fenqi.books.head"
_LOCK: Final = 0x66656E7169  # "fenqi"
_CHUNK_ROWS: Final = 50_000
"""How many rows are read and sorted at a time when the chain is looked at: they fit into memory."""

_log = logging.getLogger(__name__)

# The text of the formulas stands here and not in the database, whose owner could replace it.
_ENCODED: Final = {1: f"record_send(ROW({', '.join(COLUMNS)}))"}


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Where the chain stands after a batch: worth noting outside the database. `rows` is how many are sealed until then."""

    number: int
    digest: str
    rows: int
    sealed_at: datetime
    key_id: str
    seal: str


class _Seal(msgspec.Struct, frozen=True, kw_only=True):
    """One batch as it is kept."""

    number: int
    version: int
    from_xact: int
    to_xact: int
    shops: tuple[UUID, ...]
    counts: tuple[int, ...]
    digests: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    rows: int
    sealed_at: datetime
    previous: str
    digest: str
    key_id: str
    seal: str

    def computed(self) -> str:
        """The digest that belongs to what is kept."""
        return digest_of(
            [
                f"fenqi.books.seal.{self.version}",
                self.number,
                self.from_xact,
                self.to_xact,
                [
                    [str(shop), count, digest.hex(), hashlib.sha256(leaves).hexdigest()]
                    for shop, count, digest, leaves in zip(
                        self.shops, self.counts, self.digests, self.leaves, strict=True
                    )
                ],
                self.rows,
                self.sealed_at.astimezone(UTC).isoformat(),
                self.previous,
            ]
        )


_NAMES: Final = _Seal.__struct_fields__


# ---------------------------------------------------------------------------------------------------------- sealing


def seal_due(now: datetime) -> int:
    """Seal what was added to the book: how many batches. A job for the worker.

    A batch that is not full waits until `REST` after the one before, so that a quiet shop has a seal a minute and no more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sealed_at, (SELECT sum(n) FROM unnest(counts) AS n) FROM books_seal ORDER BY number DESC LIMIT 1"
        )
        row = cursor.fetchone()
    if row is not None and row[1] < BATCH_ROWS and timedelta(0) <= now - row[0] < REST:
        return 0
    done = 0
    while done < BATCHES_PER_ROUND and seal(now):
        done += 1
    return done


def seal(at: datetime) -> Head | None:
    """Seal the next batch, of every shop; None where nothing is there to seal, or somebody else is at it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return None
        problem = era_problem(connection)
        if problem is not None:
            raise RuntimeError(problem)
        # After the lock, in statements of their own: what the one before us sealed is seen. Whatever ran when the horizon was read
        # is above it, and whatever is below it is there, or was undone, for every later statement.
        cursor.execute("SELECT number, to_xact, digest, rows FROM books_seal ORDER BY number DESC LIMIT 1")
        number, start, previous, rows = cursor.fetchone() or (0, 0, "", 0)
        cursor.execute(
            "SELECT (SELECT max(era) FROM books_cell) * %s + pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
            [ERA],
        )
        (horizon,) = cursor.fetchone()
        shops = sorted(Shop.objects.values_list("id", flat=True))
        end = _end(cursor, shops, start, horizon)
        parts = [part for shop_id in shops if (part := _part(cursor, shop_id, start, end))]
        if not parts:
            return None
        made = _Seal(
            number=number + 1,
            version=VERSION,
            from_xact=start,
            to_xact=end,
            shops=tuple(part[0] for part in parts),
            counts=tuple(part[1] for part in parts),
            digests=tuple(part[2] for part in parts),
            leaves=tuple(part[3] for part in parts),
            rows=rows + sum(part[1] for part in parts),
            sealed_at=at,
            previous=previous,
            digest="",
            key_id=settings.FENQI_SIGNING_KEY_ID,
            seal="",
        )
        digest = made.computed()
        made = msgspec.structs.replace(
            made, digest=digest, seal=seal_of(made.key_id, _SEALED_AS, made.number, digest)
        )
        values = [
            list(value) if isinstance(value, tuple) else value for value in msgspec.structs.astuple(made)
        ]
        cursor.execute(
            f"INSERT INTO books_seal ({', '.join(_NAMES)}) VALUES ({', '.join('%s' for _ in _NAMES)})", values
        )
    return _head(made)


def _end(cursor: Any, shops: Sequence[UUID], start: int, horizon: int) -> int:
    """Where the batch ends: at the horizon, or after about `BATCH_ROWS` rows. A transaction's rows are never parted."""
    end = horizon
    for shop_id in shops:
        use_shop(shop_id)
        cursor.execute(
            "SELECT xact FROM books_transaction WHERE shop_id = %s AND xact >= %s AND xact < %s ORDER BY xact"
            " OFFSET %s LIMIT 1",
            [shop_id, start, end, BATCH_ROWS - 1],
        )
        row = cursor.fetchone()
        if row is not None:
            end = row[0] + 1
    return end


def _part(cursor: Any, shop_id: UUID, start: int, end: int) -> tuple[UUID, int, bytes, bytes] | None:
    use_shop(shop_id)
    cursor.execute(
        "SELECT count(*), sha256(string_agg(row, '' ORDER BY xact, transaction_id)),"
        f" string_agg(substr(sha256(row), 1, {LEAF_BYTES}), '' ORDER BY xact, transaction_id)"
        f" FROM (SELECT xact, transaction_id, {_ENCODED[VERSION]} AS row FROM books_transaction"
        "  WHERE shop_id = %s AND xact >= %s AND xact < %s) AS encoded",
        [shop_id, start, end],
    )
    count, digest, leaves = cursor.fetchone()
    return (shop_id, count, bytes(digest), bytes(leaves)) if count else None


def heads(*, daily: int = 1) -> tuple[Head, ...]:
    """The last head of each of the newest `daily` days (UTC) that have one, newest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (date_trunc('day', sealed_at, 'UTC')) number, digest, rows, sealed_at, key_id, seal"
            " FROM books_seal ORDER BY date_trunc('day', sealed_at, 'UTC') DESC, number DESC LIMIT %s",
            [daily],
        )
        names = Head.__struct_fields__
        return tuple(Head(**dict(zip(names, row, strict=True))) for row in cursor.fetchall())


def _head(made: _Seal) -> Head:
    return Head(
        number=made.number,
        digest=made.digest,
        rows=made.rows,
        sealed_at=made.sealed_at,
        key_id=made.key_id,
        seal=made.seal,
    )


# ---------------------------------------------------------------------------------------------------------- looking


def verify(connection: Any, *, noted: Sequence[tuple[int, str]] = ()) -> list[Problem]:
    """What is not as it was sealed, in the book that `connection` can see: one shop's for the service, all for the owner.

    `noted` are heads noted earlier, as (number, digest): the chain has to have them still. Sees one instant where the caller has begun
    a `REPEATABLE READ` transaction.
    """
    found: list[Problem] = []
    with connection.cursor() as cursor:
        only = _only_shop(cursor)
        cursor.execute(f"SELECT {', '.join(_NAMES)} FROM books_seal ORDER BY number")
        seals = [_kept(row) for row in cursor.fetchall()]
        found += _chain(seals)
        known = {seal.number: seal.digest for seal in seals}
        for number, digest in noted:
            if known.get(number) != digest:
                found.append(Problem(f"seal {number}", known.get(number, "missing"), f"{digest}, as noted"))
        for chunk in _chunks(seals):
            found += _rows(cursor, chunk, only)
        found += _to_come(cursor)
    return found


def _to_come(cursor: Any) -> Iterator[Problem]:
    """Rows that say they were written by a transaction that has not begun: no batch would ever have them."""
    cursor.execute(
        "SELECT transaction_id FROM books_transaction WHERE xact >= (SELECT max(era) FROM books_cell) * %s + greatest("
        " pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_current_xact_id_if_assigned()::text::bigint + 1)"
        " ORDER BY xact LIMIT 100",
        [ERA],
    )
    for (name,) in cursor.fetchall():
        yield Problem(
            f"transaction {name}", "of a time to come", "one that was written by a transaction there was"
        )


def _kept(row: Sequence[Any]) -> _Seal:
    values = dict(zip(_NAMES, row, strict=True))
    for name in ("shops", "counts", "digests", "leaves"):
        each = (bytes(v) if isinstance(v, memoryview) else v for v in values[name])
        values[name] = tuple(each)
    return _Seal(**values)


def _only_shop(cursor: Any) -> UUID | None:
    """The shop whose rows alone this role sees; None where it sees all."""
    cursor.execute(
        "SELECT row_security_active('books_transaction'), nullif(current_setting('fenqi.shop_id', true), '')"
    )
    secured, shop = cursor.fetchone()
    if not secured:
        return None
    return UUID(shop) if shop else UUID(int=0)


def _chain(seals: Sequence[_Seal]) -> Iterator[Problem]:
    """Seals against each other and against the key: none is missing, altered, or made by somebody else."""
    number, end, rows, previous = 0, 0, 0, ""
    for each in seals:
        number += 1
        place = f"seal {each.number}"
        if each.number != number:
            yield Problem(f"seal {number}", "missing", f"every seal before {each.number}")
            number = each.number
        elif (each.from_xact, each.previous, each.rows) != (end, previous, rows + sum(each.counts)):
            yield Problem(place, "out of its place", "one that follows the seal before it")
        if each.version not in _ENCODED:
            yield Problem(place, f"of version {each.version}", f"one of {', '.join(map(str, _ENCODED))}")
        elif each.computed() != each.digest:
            yield Problem(place, "altered", "what was sealed")
        elif each.key_id not in settings.FENQI_SIGNING_KEYS:
            yield Problem(
                place,
                f"by the key {each.key_id}",
                "a key of FENQI_SIGNING_KEYS",
                "keep old keys, behind the new",
            )
        elif not sealed(each.seal, each.key_id, _SEALED_AS, each.number, each.digest):
            yield Problem(place, "not sealed by this service", "a seal of its signing key")
        end, rows, previous = each.to_xact, each.rows, each.digest


def _chunks(seals: Sequence[_Seal]) -> Iterator[list[_Seal]]:
    """Seals that follow each other, as many at a time as can be looked at in memory, and all of one version."""
    chunk: list[_Seal] = []
    rows = 0
    for each in seals:
        if chunk and (rows + sum(each.counts) > _CHUNK_ROWS or each.version != chunk[0].version):
            yield chunk
            chunk, rows = [], 0
        chunk.append(each)
        rows += sum(each.counts)
    if chunk:
        yield chunk


def _rows(cursor: Any, chunk: list[_Seal], only: UUID | None) -> Iterator[Problem]:
    """The rows that lie in the ranges of seals, against what was sealed."""
    encoded = _ENCODED.get(chunk[0].version)
    if encoded is None:
        return
    first = chunk[0].from_xact
    cursor.execute(
        f"SELECT {_BUCKET}, shop_id, count(*), sha256(string_agg(row, '' ORDER BY xact, transaction_id)) FROM"
        f" (SELECT xact, transaction_id, shop_id, {encoded} AS row FROM books_transaction WHERE xact >= %s AND xact < %s)"
        " AS encoded GROUP BY 1, 2",
        [[each.from_xact for each in chunk], first or LOWEST, chunk[-1].to_xact],
    )
    there = {(bucket, shop): (count, bytes(digest)) for bucket, shop, count, digest in cursor.fetchall()}
    for bucket, each in enumerate(chunk, 1):
        sealed_rows = {
            shop: (count, digest)
            for shop, count, digest in zip(each.shops, each.counts, each.digests, strict=True)
            if only is None or shop == only
        }
        shops = sealed_rows.keys() | {shop for at, shop in there if at == bucket}
        for shop in sorted(shops):
            if there.get((bucket, shop)) != sealed_rows.get(shop):
                yield from _located(cursor, each, shop, there.get((bucket, shop), (0, b""))[0])
    if stray := sum(count for (bucket, _), (count, _) in there.items() if bucket == 0):
        yield Problem("book", f"{stray} rows before the first seal", "none")


_BUCKET: Final = "width_bucket(xact, %s::bigint[])"


def _located(cursor: Any, seal: _Seal, shop: UUID, there: int) -> Iterator[Problem]:
    """Which rows of a batch differ: its digest proves that some do, the leaves say which."""
    cursor.execute(
        f"SELECT transaction_id, substr(sha256({_ENCODED[seal.version]}), 1, {LEAF_BYTES}) FROM books_transaction"
        " WHERE shop_id = %s AND xact >= %s AND xact < %s ORDER BY xact, transaction_id",
        [shop, seal.from_xact or LOWEST, seal.to_xact],
    )
    rows = [(name, bytes(leaf)) for name, leaf in cursor.fetchall()]
    kept = dict(zip(seal.shops, seal.leaves, strict=True)).get(shop, b"")
    was = [kept[at : at + LEAF_BYTES] for at in range(0, len(kept), LEAF_BYTES)]
    place = f"seal {seal.number}"
    known, now = set(was), {leaf for _, leaf in rows}
    others = [name for name, leaf in rows if leaf not in known]
    gone = [index for index, leaf in enumerate(was, 1) if leaf not in now]
    expected = f"the {len(was)} that were sealed at {seal.sealed_at.isoformat()}"
    for name in others:
        yield Problem(f"{place}: transaction {name}", "not what was sealed, or added", expected)
    if len(gone) > len(others):
        yield Problem(f"{place}: row {gone[0]} of {len(was)}", f"missing, {there} are there", expected)
    elif not others:
        yield Problem(place, f"{there} rows in another order or number", expected)


# -------------------------------------------------------------------------------------------------------------- eras


def era_problem(connection: Any) -> str | None:
    """Why nothing can be sealed in this database: it is another one than the book's. None where it is the same."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
        if not cursor.fetchone()[0]:
            return None  # some hosts keep it to themselves; there, `fenqi restore` and `migrate` are the way back
        cursor.execute(
            "SELECT (SELECT system_identifier FROM books_cell ORDER BY era DESC LIMIT 1), system_identifier"
            " FROM pg_control_system()"
        )
        known, here = cursor.fetchone()
    if known == here:
        return None
    return (
        f"the book was restored from another database (system {known}, here {here}); `fenqi migrate` begins a new era of "
        "its seals"
    )


def begin_era(connection: Any) -> int | None:
    """Begin a new era where this database is another one than the book's, as the owner; its number, or None.

    The transactions of a restored database are counted from the start again. Those of the new era are above all of the old.
    """
    if era_problem(connection) is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO books_cell (era, system_identifier) SELECT (SELECT max(era) + 1 FROM books_cell), system_identifier"
            " FROM pg_control_system() RETURNING era"
        )
        (era,) = cursor.fetchone()
        cursor.execute(
            "ALTER TABLE books_transaction ALTER COLUMN xact"
            f" SET DEFAULT ({ERA} * {int(era)} + pg_current_xact_id()::text::bigint)"
        )
    return int(era)
