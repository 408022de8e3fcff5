"""Quiet hours: from ten in the evening to eight in the morning nobody is woken.

Hours are the shop's, by its zone's rules for the night in question: where clocks change in between, the night is an hour
longer or shorter, and eight is still eight. A message is put off, never dropped.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from fenqi.calendars import at_local, zone_of

__all__ = ["BEGINS_MINUTE", "ENDS_MINUTE", "awake_at", "is_quiet"]

BEGINS_MINUTE: Final = 22 * 60
ENDS_MINUTE: Final = 8 * 60


def is_quiet(at: datetime, zone: str) -> bool:
    """Whether the shop's clock says that people sleep.

    >>> is_quiet(datetime(2026, 11, 23, 14, 30, tzinfo=UTC), "Asia/Shanghai")
    True
    """
    local = at.astimezone(zone_of(zone))
    minute = local.hour * 60 + local.minute
    return minute >= BEGINS_MINUTE or minute < ENDS_MINUTE


def awake_at(at: datetime, zone: str) -> datetime:
    """The first instant from `at` on that is not quiet.

    >>> awake_at(datetime(2026, 11, 23, 14, 30, tzinfo=UTC), "Asia/Shanghai").isoformat()
    '2026-11-24T00:00:00+00:00'
    """
    if not is_quiet(at, zone):
        return at
    local = at.astimezone(zone_of(zone))
    on = local.date()
    if local.hour * 60 + local.minute >= BEGINS_MINUTE:
        on += timedelta(days=1)
    return datetime.fromtimestamp(at_local(on, ENDS_MINUTE, zone), UTC)
