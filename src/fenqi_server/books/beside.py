"""A second session that sees the very instant that the first one sees, so that two passes over the book run at once.

PostgreSQL hands on what a transaction sees by the name of its snapshot. A session that takes it up sees the same, whatever was
committed since: the two prove one book, on two processors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg.sql import SQL, Literal

from fenqi_server.database import psycopg_parameters

__all__ = ["beside"]

T = TypeVar("T")

_KEPT: Final = ("fenqi.shop_id", "work_mem", "jit", "statement_timeout", "TimeZone")
"""What the second session takes over: whose rows it may see, and how it works."""
_BETWEEN_CANCELS_SECONDS: Final = 0.1


@contextmanager
def beside(connection: Any, act: Callable[[Any], T]) -> Iterator[Callable[[], T]]:
    """Begin `act(session)` beside what `connection` (Django's or psycopg's) does next; what is given waits for its answer.

    Where no session can see what this one sees, `act(connection)` runs when it is waited for. An error ends what was begun.
    """
    session = _session(connection)
    if session is None:
        yield lambda: act(connection)
        return
    with session, ThreadPoolExecutor(1) as pool:
        begun: Future[T] = pool.submit(act, session)
        try:
            yield begun.result
        finally:
            # Whoever leaves without having waited has no use for it any more. It may be between two statements.
            while not begun.done():
                session.cancel_safe()
                wait([begun], _BETWEEN_CANCELS_SECONDS)


def _session(connection: Any) -> psycopg.Connection[Any] | None:
    """A session in a transaction that sees what this one sees, and writes nothing; None where there can be none.

    There can be none where this transaction sees what no other can (it has written), sees another instant with every statement,
    has set a savepoint or taken a role, or where the server takes no session more. Of a session of psycopg's we cannot see
    the savepoints.
    """
    if not hasattr(connection, "savepoint_ids") or any(connection.savepoint_ids):
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_current_xact_id_if_assigned() IS NULL AND current_user = session_user"
            " AND current_setting('transaction_isolation') IN ('repeatable read', 'serializable')"
        )
        if not cursor.fetchone()[0]:
            return None
        try:
            session = psycopg.connect(**psycopg_parameters(connection.settings_dict))
        except psycopg.OperationalError:
            return None
        try:
            cursor.execute(
                "SELECT name, current_setting(name, true) FROM unnest(%s::text[]) AS name", [list(_KEPT)]
            )
            kept = cursor.fetchall()
            cursor.execute("SELECT pg_export_snapshot()")
            (snapshot,) = cursor.fetchone()
            session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            session.read_only = True
            session.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(snapshot)))
            for name, value in kept:
                session.execute("SELECT set_config(%s, coalesce(%s, ''), true)", [name, value])
        except BaseException:
            session.close()
            raise
    return session
