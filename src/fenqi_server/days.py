"""Days and instants as people and files write them, of an age in which a shop can be.

Python knows the years 1 to 9999; a step before or after either end is an error, and so is its instant in another time zone. What
is written at the edge is therefore of the years 1970 to 2199, and nobody inside has to think of the ends.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

__all__ = ["FIRST", "LAST", "checked", "read_day", "read_instant"]

FIRST: Final = date(1970, 1, 1)
LAST: Final = date(2199, 12, 31)


def read_day(text: str) -> date:
    """A day in ISO form. Raises `ValueError` where it is none, or one of another age.

    >>> read_day("2026-12-31")
    datetime.date(2026, 12, 31)
    >>> read_day("9999-12-31")
    Traceback (most recent call last):
    ValueError: 9999-12-31: expected a day from 1970-01-01 to 2199-12-31
    """
    return checked(date.fromisoformat(text))


def checked(on: date) -> date:
    """The day, if it is of our age. Raises `ValueError`."""
    if not FIRST <= on <= LAST:
        raise ValueError(f"{on}: expected a day from {FIRST} to {LAST}")
    return on


def read_instant(text: str) -> datetime:
    """An instant in ISO form, with its offset or without. Raises `ValueError` as `read_day` does."""
    at = datetime.fromisoformat(text)
    checked(at.date())
    return at
