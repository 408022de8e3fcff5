"""Requests as they are kept: what was asked is one row, what was decided another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.problems import BadInput
from fenqi_server.db import use_shop
from fenqi_server.ids import house_party, parse_public_id, public_id
from fenqi_server.servicing import acts
from fenqi_server.servicing.asked import CUSTOMER, Act, Asked, Kind, Request, RequestPage, State
from fenqi_server.shops.models import ALONE_WAITS, Shop

__all__ = [
    "MAX_PAGE",
    "PREFIX",
    "NoRequest",
    "count_open",
    "get",
    "list_requests",
    "of_contract",
    "of_customer",
    "of_money",
    "rows",
]

MAX_PAGE: Final = 100
PREFIX: Final = "rq"


class NoRequest(LookupError):
    """No request of this shop has the id."""


_COLUMNS: Final = """
SELECT r.customer_id, r.request_id, r.contract_id, r.kind, r.body::text, r.said, r.at_stake_minor, r.limit_minor, r.asked_by,
       r.asked_at, d.verdict, d.body::text, d.event_seq, d.decided_by, d.decided_at, d.note, r.alone, r.taken_by
  FROM servicing_request AS r
  LEFT JOIN servicing_request_decision AS d USING (customer_id, request_id)
"""
_asked: Final[msgspec.json.Decoder[Asked]] = msgspec.json.Decoder(Asked)
_done: Final[msgspec.json.Decoder[Act]] = msgspec.json.Decoder(Act)


def _read(row: Sequence[Any]) -> Request:
    return Request(
        customer_id=row[0],
        request_id=public_id(PREFIX, row[0], row[1]),
        contract_id="" if row[2] is None else public_id("ct", row[0], row[2]),
        kind=row[3],
        asked=_asked.decode(row[4]),
        said=row[5],
        at_stake_minor=row[6],
        limit_minor=row[7],
        asked_by=row[8],
        asked_at=row[9],
        state=row[10] or "open",
        done=None if row[11] is None else _done.decode(row[11]),
        event_seq=row[12],
        decided_by=row[13] or "",
        decided_at=row[14],
        note=row[15] or "",
        alone=row[16],
        taken_by=row[17],
    )


def rows(sql: str, values: Sequence[Any]) -> list[Request]:
    """The requests (`r`, with what was decided as `d`) that a condition names. The caller has set the shop."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_COLUMNS} {sql}", values)
        return [_read(row) for row in cursor.fetchall()]


def get(shop: Shop, request_id: str) -> Request:
    """One request. Raises `NoRequest`."""
    try:
        key = parse_public_id(request_id, PREFIX)
    except ValueError:
        raise NoRequest(request_id) from None
    use_shop(shop.id)
    found = rows("WHERE r.customer_id = %s AND r.request_id = %s AND r.shop_id = %s", [*key, shop.id])
    if not found:
        raise NoRequest(request_id)
    return found[0]


def of_contract(shop: Shop, contract: str) -> list[Request]:
    """A contract's requests, newest first. Raises `NoContract`."""
    stored = acts.seen(shop, contract)
    return rows(
        "WHERE r.customer_id = %s AND r.contract_id = %s ORDER BY r.request_id DESC",
        [stored.customer_id, stored.contract_id],
    )


def of_money(shop: Shop, unapplied_id: str) -> list[Request]:
    """What was asked about money of no contract, newest first."""
    use_shop(shop.id)
    return rows(
        "WHERE r.customer_id = %s AND r.kind = 'unmatched_refund' AND r.body ->> 'unapplied_id' = %s"
        " ORDER BY r.request_id DESC",
        [house_party(shop.id, "suspense"), unapplied_id],
    )


def of_customer(shop: Shop, customer_id: UUID) -> list[Request]:
    """What a customer asked for themselves, newest first: what staff ask each other is not among it."""
    use_shop(shop.id)
    return rows(
        "WHERE r.customer_id = %s AND r.shop_id = %s AND r.asked_by = %s ORDER BY r.request_id DESC",
        [customer_id, shop.id, CUSTOMER],
    )


def list_requests(
    shop: Shop, *, state: State | None = None, kind: Kind | None = None, after: str = "", limit: int = 25
) -> RequestPage:
    """The shop's requests, newest first, from behind `after`. What is asked meanwhile is in front of every page given out."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadInput("limit", limit, f"1 to {MAX_PAGE}")
    where, values = ["r.shop_id = %s"], [shop.id]
    if state is not None:
        where.append("coalesce(d.verdict, 'open') = %s")
        values.append(state)
    if kind is not None:
        where.append("r.kind = %s")
        values.append(kind)
    if after:
        try:
            _, last = parse_public_id(after, PREFIX)
        except ValueError:
            raise BadInput("after", after[:80], "the `after` of the page before, as it was given") from None
        where.append("r.request_id < %s")
        values.append(last)
    use_shop(shop.id)
    found = rows(f"WHERE {' AND '.join(where)} ORDER BY r.request_id DESC LIMIT %s", [*values, limit + 1])
    page = tuple(found[:limit])
    return RequestPage(page, page[-1].request_id if len(found) > limit else None)


def count_open(shop: Shop, at: datetime, actor: str = "") -> int:
    """How many requests wait: with `actor`, without those that this person asked and may not agree to at `at`."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM servicing_request AS r WHERE r.shop_id = %s AND NOT EXISTS ("
            " SELECT FROM servicing_request_decision AS d WHERE d.customer_id = r.customer_id"
            " AND d.request_id = r.request_id) AND (r.at_stake_minor <= r.limit_minor OR lower(r.asked_by) <> lower(%s)"
            " OR (r.alone AND r.asked_at <= %s))",
            [shop.id, actor, at - ALONE_WAITS],
        )
        return int(cursor.fetchone()[0])
