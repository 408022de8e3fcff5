"""A database session: which shop it speaks for, and one business act as one transaction.

Every table of decisions, servicing and books has row-level security by `shop_id`. `use_shop` names the shop; a
session that has named none sees no rows, so that a forgotten call fails closed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import psycopg
from django.db import Error, connection, transaction

__all__ = ["BY_KEY", "array_of", "array_of_texts", "in_transaction", "read_by_index", "sqlstate", "use_shop"]

ATTEMPTS: Final = 8
FIRST_PAUSE_SECONDS: Final = 0.005

# Serialization failure and deadlock: the transaction did nothing, and may well succeed when run again.
_AGAIN: Final = frozenset({"40001", "40P01"})

T = TypeVar("T")

BY_KEY: Final = "customer_id = ANY (%s::uuid[]) AND (contract_id = ANY (%s::uuid[])) IS TRUE"
"""The rows of many contracts in a queue of the day's close, by two arrays (`array_of`).

Where statistics were taken while the queue was empty, the planner takes it for a single row, and finds that by any index. A join would then
compare all that waits with each key: 1.5 s for 500 of 33,000. These two are looked up in a table of hashes for each row, whatever the
plan (the second by no index: a row of the one array with a row of the other would be looked for otherwise). A contract has one customer.
"""


def use_shop(shop_id: UUID) -> None:
    """Let this session see the rows of `shop_id` and of no other shop.

    Outside a transaction the setting is the session's, and is remembered, so that asking again costs nothing. Inside
    one it lasts until the transaction ends: were it the session's, a rollback would silently bring back the shop
    named before, while this process believed otherwise.
    """
    connection.ensure_connection()
    session: Any = connection.connection
    named: UUID | None = getattr(session, "fenqi_shop", None)
    if connection.in_atomic_block:
        if named == shop_id and not getattr(session, "fenqi_shop_overridden", False):
            return
        session.fenqi_shop_overridden = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('fenqi.shop_id', %s, true)", [str(shop_id)])
        return
    session.fenqi_shop_overridden = False
    if named == shop_id:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('fenqi.shop_id', %s, false)", [str(shop_id)])
    session.fenqi_shop = shop_id


def in_transaction(act: Callable[[], T], *, attempts: int = ATTEMPTS) -> T:
    """Run one business act in one transaction: all of it happens or none of it.

    Inside a transaction of the caller's, it becomes part of that one, and the caller decides whether to run the whole
    again. Otherwise a deadlock or a serialization failure (40P01, 40001) is run again, after a short random pause.
    `act` must therefore do nothing outside the database.
    """
    if connection.in_atomic_block:
        return act()
    for attempt in range(attempts):
        try:
            with transaction.atomic():
                return act()
        except Error as problem:
            if sqlstate(problem) not in _AGAIN or attempt == attempts - 1:
                raise
        # Two that met once would meet again if both waited equally long.
        time.sleep(random.uniform(0.5, 1) * FIRST_PAUSE_SECONDS * 2**attempt)
    raise AssertionError("attempts must be at least 1")


def sqlstate(problem: BaseException) -> str | None:
    """PostgreSQL's five-letter code of a database error, through Django's wrapping of it."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, psycopg.Error):
            return cause.sqlstate
        cause = cause.__cause__
    return None


def read_by_index() -> None:
    """For the rest of this transaction, find rows by their indexes and nothing else.

    For the chunks of a large job: where its work is a large share of the tables, or was written a moment ago and is in no
    statistics yet, the planner would rather read all of them, again for each chunk; or all of a shop's by another index, and compare
    each with each.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),"
            " set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true),"
            " set_config('enable_material', 'off', true)"
        )


def array_of(values: Iterable[UUID | date | datetime | int | None]) -> str:
    """Many values as one parameter, for `%s::uuid[]` and the like: written a fifth as fast one by one by the driver.

    >>> array_of([date(2026, 11, 23), None])
    '{2026-11-23,NULL}'
    """
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def array_of_texts(values: Iterable[str | None]) -> str:
    """The same of texts, for `%s::text[]`, whatever stands in them.

    >>> array_of_texts(["CNY", "{1,2}", None])
    '{"CNY","{1,2}",NULL}'
    """
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
