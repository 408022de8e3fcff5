"""What the book was held against, by whom, when, and what was found: a record that is only added to.

Every night the worker proves each shop's book: all its sums, then the contracts that were touched since the night before, then
as many others as there is time for, from where the night before stopped. What is found is logged as an error and stands on the
console's home until a later proof finds nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date, local_minute_of_day
from fenqi.problems import Problem
from fenqi_server.books.proof import Key, Report, one_instant, prove_contracts, prove_sums, touched
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id, public_id, uuid7_after
from fenqi_server.shops.models import Shop

__all__ = ["Kind", "Proof", "latest", "prove_due", "prove_night", "record", "standing_problems"]

Kind = Literal["nightly", "close", "asked"]
MAX_KEPT: Final = 100
NIGHT_MINUTE: Final = 3 * 60
"""03:00 in the shop: then the night's proof is due."""
REPLAY_SECONDS: Final = 10.0
MAX_TOUCHED: Final = 20_000

_log = logging.getLogger(__name__)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One proof. `subject` is a month's name where it was asked for by a close, otherwise empty.

    `replayed` of the `contracts` were replayed; `replayed_to` names the last of a night's share, and is empty at the end.
    """

    id: UUID
    at: datetime
    kind: Kind
    subject: str
    actor: str
    transactions: int
    contracts: int
    replayed: int
    replayed_to: str
    duration_ms: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


_COLUMNS: Final = (
    "id, at, kind, subject, actor, transactions, contracts, replayed, replayed_to, duration_ms, problems"
)


def record(
    shop: Shop,
    kind: Kind,
    report: Report,
    at: datetime,
    actor: str,
    duration_ms: int,
    *,
    subject: str = "",
    replayed_to: str = "",
    problems: Sequence[Problem] | None = None,
) -> Proof:
    """Keep what a proof found; `problems` where there are more than the report's own. At most `MAX_KEPT` are kept."""
    found = report.problems if problems is None else problems
    sentences = [problem.sentence for problem in found]
    if len(sentences) > MAX_KEPT:
        sentences[MAX_KEPT - 1 :] = [f"and {len(sentences) - MAX_KEPT + 1} more"]
    before = latest(shop, limit=1)
    proof = Proof(
        id=uuid7_after(before[0].id if before and before[0].at == at else None, at),
        at=at,
        kind=kind,
        subject=subject,
        actor=actor,
        transactions=report.transactions,
        contracts=report.contracts,
        replayed=report.replayed,
        replayed_to=replayed_to,
        duration_ms=duration_ms,
        problems=tuple(sentences),
    )
    *values, said = msgspec.structs.astuple(proof)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO books_proof (shop_id, {_COLUMNS}) VALUES (%s, {', '.join('%s' for _ in (*values, said))})",
            [shop.id, *values, msgspec.json.encode(said).decode()],
        )
    return proof


def latest(shop: Shop, *, kind: Kind | None = None, limit: int = 20) -> tuple[Proof, ...]:
    """The newest proofs, newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS.replace('problems', 'problems::text')} FROM books_proof"
            " WHERE shop_id = %s AND kind = coalesce(%s, kind) ORDER BY at DESC, id DESC LIMIT %s",
            [shop.id, kind, limit],
        )
        rows = cursor.fetchall()
    names = Proof.__struct_fields__
    return tuple(
        Proof(
            **dict(zip(names, (*row[:-1], msgspec.json.decode(row[-1], type=tuple[str, ...])), strict=True))
        )
        for row in rows
    )


def standing_problems(shop: Shop) -> tuple[str, ...]:
    """What the newest proof of the whole book found: an alarm that stands until a later one finds nothing."""
    found = next((proof for proof in latest(shop) if proof.kind != "close"), None)
    return found.problems if found else ()


_proven: dict[UUID, date] = {}
"""The night that this process knows to be done, so that it asks the database once a night."""


def prove_due(now: datetime) -> int:
    """The night's proof, in every shop where it is due: how many books were proven. A job for the worker."""
    done = 0
    for shop in Shop.objects.all():
        tonight = local_date(now, shop.time_zone)
        if (
            local_minute_of_day(now, shop.time_zone) < NIGHT_MINUTE
            or _proven.get(shop.id, date.min) >= tonight
        ):
            continue
        before = latest(shop, kind="nightly", limit=1)
        if not before or local_date(before[0].at, shop.time_zone) < tonight:
            if prove_night(shop, now) is None:
                continue  # another worker is at it
            done += 1
        _proven[shop.id] = tonight
    return done


def prove_night(shop: Shop, at: datetime, *, seconds: float = REPLAY_SECONDS) -> Proof | None:
    """One shop's nightly proof, recorded; None where another worker is proving the same book.

    Contracts are replayed for about `seconds`, those first that were touched since the night before.
    """
    began = time.monotonic()
    with one_instant(connection):
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_try_advisory_xact_lock(hashtext('fenqi.books.proof'), hashtext(%s))",
                [str(shop.id)],
            )
            if not cursor.fetchone()[0]:
                return None
        report = prove_sums(connection)
        before = latest(shop, kind="nightly", limit=1)
        until = time.monotonic() + seconds
        recent = prove_contracts(
            connection,
            these=touched(connection, before[0].at, MAX_TOUCHED) if before else [],
            seconds=seconds,
        )
        others = prove_contracts(
            connection,
            after=_parsed(before[0].replayed_to) if before else None,
            seconds=max(0.0, until - time.monotonic()),
        )
        report = report.with_contracts(recent).with_contracts(others)
        proof = record(
            shop,
            "nightly",
            report,
            at,
            "worker",
            round((time.monotonic() - began) * 1000),
            replayed_to=public_id("ct", *others.last) if others.last else "",
        )
    if not proof.ok:
        _log.error(
            "the book of shop %s is broken, %d problems: %s",
            shop.code,
            len(report.problems),
            "; ".join(proof.problems[:3]),
        )
    return proof


def _parsed(name: str) -> Key | None:
    return parse_public_id(name, "ct") if name else None
