"""The demo's clock: one for everybody, running with the machine's, movable forward and never back.

It is a row in the database, so that every process of the demo reads the same instant. What is kept is the distance
to the machine's clock; the clock itself therefore runs by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection

from fenqi_server.clock import system_now

__all__ = ["START", "Backwards", "move_to", "now", "start"]

START: Final = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
"""2026-11-23 10:00 in Shanghai: where a new demo begins."""


class Backwards(ValueError):
    """The clock was asked to go back: what has been booked cannot be taken back with it."""


def now() -> datetime:
    """The demo's instant; the machine's own before the demo was seeded."""
    return system_now() + (_ahead() or timedelta())


def start(at: datetime = START) -> None:
    """Set the clock of a new demo. Does nothing where it runs already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO demo_clock (id, ahead) VALUES (1, %s) ON CONFLICT DO NOTHING", [at - system_now()]
        )


def move_to(instant: datetime) -> datetime:
    """Move the clock forward to `instant`. Raises `Backwards`."""
    ahead = instant - system_now()
    with connection.cursor() as cursor:
        # Compared in the database: of two visitors who move it at once, the one who goes further wins.
        cursor.execute(
            "INSERT INTO demo_clock AS c (id, ahead) VALUES (1, %s)"
            " ON CONFLICT (id) DO UPDATE SET ahead = excluded.ahead WHERE c.ahead <= excluded.ahead RETURNING 1",
            [ahead],
        )
        if cursor.fetchone() is None:
            raise Backwards(instant.isoformat())
    return instant


def _ahead() -> timedelta | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT ahead FROM demo_clock WHERE id = 1")
        row = cursor.fetchone()
    return row[0] if row else None
