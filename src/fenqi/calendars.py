"""Dates and instants: due dates that keep their day, and the shop's local day and hour.

A date on which something is due belongs to the shop's zone and has no time. An instant that crosses the
policy boundary is an `int` of epoch seconds; `from_epoch` and `to_epoch` turn it into a local time and
back. Nothing here asks for the time: every instant comes in as an argument.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from fenqi.problems import BadInput

__all__ = [
    "CalendarError",
    "Instant",
    "Unit",
    "add_months",
    "at_local",
    "due_dates",
    "format_date",
    "format_instant",
    "format_minute",
    "from_epoch",
    "local_date",
    "local_minute_of_day",
    "local_weekday",
    "to_epoch",
    "zone_of",
]

Unit = Literal["day", "week", "half_month", "month"]
Instant = datetime | int
"""An instant: an aware `datetime`, or epoch seconds."""

MAX_COUNT: Final = 1200
"""Most due dates in one schedule: a hundred years of months."""

_MONTH_DAYS: Final = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTH_NAMES: Final = (
    "",
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


class CalendarError(BadInput):
    """A date, instant or zone that cannot be used."""


def add_months(anchor: date, months: int) -> date:
    """The anchor's day, `months` later, clipped to the month's last day.

    Always count from the anchor: chained additions lose the 31st for good.

    >>> add_months(date(2026, 10, 31), 1), add_months(date(2026, 10, 31), 2)
    (datetime.date(2026, 11, 30), datetime.date(2026, 12, 31))
    """
    years, index = divmod(anchor.month - 1 + months, 12)
    year, month, day = anchor.year + years, index + 1, anchor.day
    if not 1 <= year <= 9999:
        raise CalendarError("date", f"{anchor} + {months} months", "a year from 1 to 9999")
    if day > 28:
        last = _MONTH_DAYS[month]
        if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
            last = 29
        if day > last:
            day = last
    return date(year, month, day)


def _half_months(anchor: date, halves: int) -> date:
    """Whole months from the anchor; between two of them, 15 days after the earlier (12 CFR 1026 App. J (b)(5)(iii))."""
    months, half = divmod(halves, 2)
    on = add_months(anchor, months)
    return on + timedelta(days=15) if half else on


@lru_cache(maxsize=4096)
def due_dates(start_on: date, unit: Unit, every: int, count: int, defer_periods: int = 0) -> tuple[date, ...]:
    """The `count` dates on which something is due, `every` units apart, anchored on `start_on`.

    The first lies (1 + defer_periods) periods after the start. Cached, since the plans of one checkout
    share their dates. Raises `CalendarError`.

    >>> [d.isoformat() for d in due_dates(date(2026, 10, 31), "month", 1, 3)]
    ['2026-11-30', '2026-12-31', '2027-01-31']
    """
    if every < 1:
        raise CalendarError("every", every, "at least 1")
    if not 1 <= count <= MAX_COUNT:
        raise CalendarError("count", count, f"1 to {MAX_COUNT}")
    if defer_periods < 0:
        raise CalendarError("defer_periods", defer_periods, "0 or more")
    steps = range(every * (1 + defer_periods), every * (1 + defer_periods + count), every)
    if unit == "month":
        return tuple(add_months(start_on, step) for step in steps)
    if unit == "half_month":
        return tuple(_half_months(start_on, step) for step in steps)
    if unit not in ("day", "week"):
        raise CalendarError("unit", unit, "day, week, half_month or month")
    unit_days = 7 if unit == "week" else 1
    start = start_on.toordinal()
    if start + steps[-1] * unit_days > date.max.toordinal():
        raise CalendarError("date", f"{start_on} + {steps[-1]} {unit}s", "a year up to 9999")
    return tuple(date.fromordinal(start + step * unit_days) for step in steps)


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name, cached. Raises `CalendarError` where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise CalendarError("zone", name, "an IANA time zone", "write it like Asia/Shanghai") from error


def to_epoch(instant: datetime) -> int:
    """Epoch seconds of an aware datetime (a fraction of a second is cut off downwards).

    >>> to_epoch(datetime(1970, 1, 1, 8, tzinfo=zone_of("Asia/Shanghai")))
    0
    """
    if instant.tzinfo is None:
        raise CalendarError("instant", instant.isoformat(), "a time with its offset from UTC")
    since = instant - _EPOCH
    return since.days * 86_400 + since.seconds


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch(epoch: int, zone: str) -> datetime:
    """The local time in `zone` of an instant in epoch seconds.

    >>> from_epoch(0, "Asia/Shanghai").isoformat()
    '1970-01-01T08:00:00+08:00'
    """
    try:
        return (_EPOCH + timedelta(seconds=epoch)).astimezone(zone_of(zone))
    except OverflowError as error:
        raise CalendarError("instant", epoch, "epoch seconds of the years 1 to 9999") from error


def _local(instant: Instant, zone: str) -> datetime:
    if isinstance(instant, int):
        return from_epoch(instant, zone)
    if instant.tzinfo is None:
        raise CalendarError("instant", instant.isoformat(), "a time with its offset from UTC")
    return instant.astimezone(zone_of(zone))


def local_date(instant: Instant, zone: str) -> date:
    """The shop's date at an instant.

    >>> local_date(1795363200, "Asia/Shanghai")
    datetime.date(2026, 11, 23)
    """
    return _local(instant, zone).date()


def local_minute_of_day(instant: Instant, zone: str) -> int:
    """Minutes since the shop's midnight by its wall clock, 0 to 1439."""
    local = _local(instant, zone)
    return local.hour * 60 + local.minute


def local_weekday(instant: Instant, zone: str) -> int:
    """The shop's weekday at an instant, Monday 1 to Sunday 7."""
    return _local(instant, zone).isoweekday()


def at_local(on: date, minute_of_day: int, zone: str) -> int:
    """Epoch seconds of a wall-clock minute on a date in `zone`; 1440 is the next midnight.

    A minute that the clock skips in spring is the one it jumps to; one that comes twice in autumn is
    the first.

    >>> at_local(date(2026, 11, 23), 120, "Asia/Shanghai")
    1795370400
    """
    if not 0 <= minute_of_day <= 1440:
        raise CalendarError("minute_of_day", minute_of_day, "0 to 1440")
    days, minute = divmod(minute_of_day, 1440)
    start = datetime(on.year, on.month, on.day, minute // 60, minute % 60, tzinfo=zone_of(zone))
    return to_epoch((start + timedelta(days=days)).astimezone(UTC))


def format_date(on: date, locale: str, *, year: int | None = None) -> str:
    """Write a date for people; its year is left out only where it is the given `year`.

    >>> format_date(date(2026, 11, 23), "zh-CN"), format_date(date(2026, 11, 23), "en", year=2026)
    ('2026年11月23日', '23 Nov')
    """
    if locale == "zh-CN":
        short = f"{on.month}月{on.day}日"
        return short if on.year == year else f"{on.year}年{short}"
    short = f"{on.day} {_MONTH_NAMES[on.month]}"
    return short if on.year == year else f"{short} {on.year}"


def format_minute(minute_of_day: int) -> str:
    """Write a minute of the day as a 24-hour time.

    >>> format_minute(125)
    '02:05'
    """
    return f"{minute_of_day // 60:02d}:{minute_of_day % 60:02d}"


def format_instant(instant: Instant, zone: str, locale: str, *, year: int | None = None) -> str:
    """Write an instant in the shop's zone, to the minute; the year as in `format_date`.

    >>> format_instant(1795370400, "Asia/Shanghai", "zh-CN", year=2026)
    '11月23日 02:00'
    >>> format_instant(1795370400, "Asia/Shanghai", "en")
    '23 Nov 2026 02:00'
    """
    local = _local(instant, zone)
    return f"{format_date(local, locale, year=year)} {local.hour:02d}:{local.minute:02d}"
