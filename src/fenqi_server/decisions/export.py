"""Recorded checkouts as a table: what was asked and known, a row for each decision, a column for each fact.

For simulating a change of policy over them (`fenqi policy simulate`, `fenqi.policy.columns`). Confirmations are left out:
their cart was asked about before. No name and no number of a customer is in it, as there is none among facts, but Fenqi's own key of
theirs (`customer.id`), by which a rollout tells whom it reaches; a row is named by its decision, which opens only to who may see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.checkout.request import CheckoutRequest, facts_of
from fenqi.policy.columns import AS_OF, OVERRIDES, ROW_NAME
from fenqi_server.db import use_shop
from fenqi_server.decisions import log
from fenqi_server.decisions.service import asked_of
from fenqi_server.ids import public_id
from fenqi_server.shops.models import Shop

if TYPE_CHECKING:
    import polars as pl

__all__ = ["count", "table_of"]

_PAGE_ROWS: Final = 1_000
_FRAME_ROWS: Final = 50_000
# They follow from the instant.
_DERIVED: Final = ("clock.time", "clock.weekday")

_json = msgspec.json.Encoder().encode


def count(shop: Shop, newest: int | None = None) -> int:
    """How many decisions there are to export."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM decisions_decision WHERE shop_id = %s AND source <> 'confirm'", [shop.id]
        )
        found = int(cursor.fetchone()[0])
    return found if newest is None else min(found, newest)


def table_of(
    shop: Shop, *, newest: int | None = None, progress: Callable[[int], None] | None = None
) -> pl.DataFrame:
    """The shop's recorded checkouts, newest first (or only so many of them); no rows where there are none."""
    import polars as pl

    frames: list[pl.DataFrame] = []
    rows: list[dict[str, Any]] = []
    for done, (name, request) in enumerate(_requests(shop, newest), 1):
        rows.append(_row(name, request, shop.time_zone))
        if len(rows) == _FRAME_ROWS:
            frames.append(pl.DataFrame(rows, infer_schema_length=None))
            rows = []
        if progress is not None and done % _PAGE_ROWS == 0:
            progress(done)
    if rows:
        frames.append(pl.DataFrame(rows, infer_schema_length=None))
    # A fact that was first asked for halfway through is unknown before.
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def _row(name: str, request: CheckoutRequest, zone: str) -> dict[str, Any]:
    amount = sum(line.quantity * line.unit_price_minor for line in request.lines)
    facts = facts_of(request, amount, zone)
    row: dict[str, Any] = {ROW_NAME: name}
    for fact, value in facts.items():
        if fact not in _DERIVED:
            row[fact] = sorted(value) if isinstance(value, frozenset) else value
    row |= {AS_OF + fact: at for fact, at in request.as_of.items()}
    row[OVERRIDES] = _json(request.overrides).decode() if request.overrides else None
    return row


def _requests(shop: Shop, newest: int | None) -> Iterator[tuple[str, CheckoutRequest]]:
    last: tuple[UUID, UUID] | None = None
    left = newest
    while left is None or left > 0:
        page = _page(shop, last, _PAGE_ROWS if left is None else min(_PAGE_ROWS, left))
        for record in page:
            yield public_id("dc", record.customer_id, record.decision_id), asked_of(record)
        if not page:
            return
        left = None if left is None else left - len(page)
        last = (page[-1].decision_id, page[-1].customer_id)


def _page(shop: Shop, last: tuple[UUID, UUID] | None, rows: int) -> list[log.Record]:
    use_shop(shop.id)
    before = "" if last is None else "AND (decision_id, customer_id) < (%s, %s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {log.SELECTED} FROM decisions_decision WHERE shop_id = %s AND source <> 'confirm' {before}"
            " ORDER BY decision_id DESC, customer_id DESC LIMIT %s",
            [shop.id, *(last or ()), rows],
        )
        return [log.record_of(row) for row in cursor.fetchall()]
