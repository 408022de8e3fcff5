"""What the book was held against, by whom, when, and what was found: a record that is only added to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.problems import Problem
from fenqi_server.books.proof import Report
from fenqi_server.db import use_shop
from fenqi_server.ids import uuid7
from fenqi_server.shops.models import Shop

__all__ = ["Kind", "Proof", "latest", "record"]

Kind = Literal["nightly", "close", "asked"]
MAX_KEPT: Final = 100


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One proof. `subject` is a month's name where it was asked for by a close, otherwise empty."""

    id: UUID
    at: datetime
    kind: Kind
    subject: str
    actor: str
    transactions: int
    contracts: int
    duration_ms: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def record(
    shop: Shop,
    kind: Kind,
    report: Report,
    at: datetime,
    actor: str,
    duration_ms: int,
    *,
    subject: str = "",
    problems: Sequence[Problem] | None = None,
) -> UUID:
    """Keep what a proof found; `problems` where there are more than the report's own. At most `MAX_KEPT` are kept."""
    found = report.problems if problems is None else problems
    sentences = [problem.sentence for problem in found]
    if len(sentences) > MAX_KEPT:
        sentences[MAX_KEPT - 1 :] = [f"and {len(sentences) - MAX_KEPT + 1} more"]
    name = uuid7(at)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO books_proof (shop_id, id, at, kind, subject, actor, transactions, contracts, duration_ms, problems)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                shop.id, name, at, kind, subject, actor, report.transactions, report.contracts, duration_ms,
                msgspec.json.encode(sentences).decode(),
            ],
        )  # fmt: skip
    return name


def latest(shop: Shop, *, kind: Kind | None = None, limit: int = 20) -> tuple[Proof, ...]:
    """The newest proofs, newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, at, kind, subject, actor, transactions, contracts, duration_ms, problems::text FROM books_proof"
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
