"""Dates and instants: due dates that keep their day, business days, and the shop's local day and hour.

A date on which something is due belongs to the shop's zone and has no time. Which days are business days is
versioned data, known up to a confirmed day and not beyond it. An instant that crosses the policy boundary is an
`int` of epoch seconds; `from_epoch` and `to_epoch` turn it into a local time and back. Nothing here asks for
the time: every instant comes in as an argument.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from fenqi.problems import BadInput, Problem

__all__ = [
    "BusinessCalendar",
    "CalendarError",
    "Holiday",
    "Instant",
    "Unit",
    "add_months",
    "at_local",
    "check_calendar",
    "due_dates",
    "format_date",
    "format_instant",
    "format_minute",
    "from_epoch",
    "is_business_day",
    "local_date",
    "local_minute_of_day",
    "local_weekday",
    "period_dates",
    "regular_start",
    "to_business_day",
    "to_epoch",
    "zone_of",
]

Unit = Literal["day", "week", "half_month", "month"]
Holiday = Literal["none", "following", "preceding", "modified_following"]
"""Where a due date moves that is no business day; `modified_following` never leaves the month."""
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
    return _on_day(anchor, months, anchor.day)


def _on_day(anchor: date, months: int, day: int) -> date:
    """The `day` of the month that lies `months` after the anchor's, clipped to that month's last."""
    years, index = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + years, index + 1
    if not 1 <= year <= 9999:
        raise CalendarError("date", f"{anchor} + {months} months", "a year from 1 to 9999")
    if day > 28:
        last = _MONTH_DAYS[month]
        if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
            last = 29
        if day > last:
            day = last
    return date(year, month, day)


def _after_months(anchor: date, day: int, months: int) -> date:
    return _on_day(anchor, months, day)


def _after_halves(anchor: date, day: int, halves: int) -> date:
    """Whole months; between two of them, 15 days after the earlier (12 CFR 1026 App. J (b)(5)(iii))."""
    months, half = divmod(halves, 2)
    on = _on_day(anchor, months, day)
    return on + timedelta(days=15) if half else on


def _first_step(start_on: date, unit: Unit, due_day: int, min_first_days: int) -> int:
    """How many units after the start's own month the first due day lies."""
    if not 1 <= due_day <= 31:
        raise CalendarError("due_day", due_day, "1 to 31")
    if min_first_days < 0:
        raise CalendarError("min_first_days", min_first_days, "0 or more")
    later = _after_months if unit == "month" else _after_halves
    earliest = start_on.toordinal() + max(1, min_first_days)
    # Half months before the start's month can reach into it: the 20th + 15 days.
    first = -1
    while later(start_on, due_day, first).toordinal() < earliest:
        first += 1
    return first


def regular_start(start_on: date, unit: Unit, due_day: int | None = None, min_first_days: int = 0) -> date:
    """Where a whole first period would have begun: the due day before the first, or the start itself.

    >>> regular_start(date(2026, 11, 23), "month", 31).isoformat()
    '2026-10-31'
    """
    if due_day is None:
        return start_on
    later = _after_months if unit == "month" else _after_halves
    return later(start_on, due_day, _first_step(start_on, unit, due_day, min_first_days) - 1)


@lru_cache(maxsize=4096)
def period_dates(
    start_on: date,
    unit: Unit,
    every: int,
    count: int,
    defer_periods: int = 0,
    due_day: int | None = None,
    min_first_days: int = 0,
) -> tuple[date, ...]:
    """Where periods begin and end: the start, the ends of the deferred periods, then the `count` due dates.

    The periods are `every` units long. Without a `due_day` all count from `start_on`. With one (of month or half
    month periods; 31 is a month's last day) the first period ends on the first such day that is after the start and
    at least `min_first_days` after it, (every - 1) units later where periods are longer than one unit. Cached, since
    the plans of one checkout share their dates. Raises `CalendarError`.

    >>> [d.isoformat() for d in period_dates(date(2026, 11, 23), "month", 1, 2, due_day=10, min_first_days=20)]
    ['2026-11-23', '2027-01-10', '2027-02-10']
    """
    if every < 1:
        raise CalendarError("every", every, "at least 1")
    if not 1 <= count <= MAX_COUNT:
        raise CalendarError("count", count, f"1 to {MAX_COUNT}")
    if defer_periods < 0:
        raise CalendarError("defer_periods", defer_periods, "0 or more")
    steps = range(every, every * (1 + defer_periods + count), every)
    if unit in ("month", "half_month"):
        later = _after_months if unit == "month" else _after_halves
        if due_day is None:
            return (start_on, *[later(start_on, start_on.day, step) for step in steps])
        first = _first_step(start_on, unit, due_day, min_first_days)
        return (start_on, *[later(start_on, due_day, first - 1 + step) for step in steps])
    if unit not in ("day", "week"):
        raise CalendarError("unit", unit, "day, week, half_month or month")
    if due_day is not None:
        raise CalendarError("due_day", due_day, f"none, since periods are {unit}s", "use it with months")
    unit_days = 7 if unit == "week" else 1
    start = start_on.toordinal()
    if start + steps[-1] * unit_days > date.max.toordinal():
        raise CalendarError("date", f"{start_on} + {steps[-1]} {unit}s", "a year up to 9999")
    return (start_on, *[date.fromordinal(start + step * unit_days) for step in steps])


@lru_cache(maxsize=4096)
def due_dates(
    start_on: date,
    unit: Unit,
    every: int,
    count: int,
    defer_periods: int = 0,
    due_day: int | None = None,
    min_first_days: int = 0,
) -> tuple[date, ...]:
    """The `count` dates on which something is due, `every` units apart, before any of them moves for a holiday.

    The first lies (1 + defer_periods) periods after the start; `period_dates` says how they are anchored. Cached.

    >>> [d.isoformat() for d in due_dates(date(2026, 10, 31), "month", 1, 3)]
    ['2026-11-30', '2026-12-31', '2027-01-31']
    """
    return period_dates(start_on, unit, every, count, defer_periods, due_day, min_first_days)[-count:]


class BusinessCalendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The business days of a place, as one version tells them.

    Every day from `known_from` through `confirmed_through` is a business day unless it is a `weekend` day (Monday 1 to
    Sunday 7) or in `holidays`; days in `workdays` (a weekend day worked instead of another day, 调休) always are. Of any
    other day the calendar knows nothing: next year's arrangement is published, not computed.
    """

    id: str
    version: str
    known_from: date
    confirmed_through: date
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()
    weekend: tuple[int, ...] = (6, 7)

    @property
    def name(self) -> str:
        """Calendar and version, as a contract keeps it: `cn@2026`."""
        return f"{self.id}@{self.version}"


def check_calendar(calendar: BusinessCalendar) -> list[Problem]:
    """Everything wrong with a calendar; empty where its days can be relied on."""
    found: list[Problem] = []
    for place, value in (("id", calendar.id), ("version", calendar.version)):
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,39}", value):
            found.append(Problem(place, value or "empty", "small letters, digits, _ . -"))
    span = f"{calendar.known_from.isoformat()} to {calendar.confirmed_through.isoformat()}"
    if calendar.confirmed_through < calendar.known_from:
        found.append(
            Problem("confirmed_through", calendar.confirmed_through.isoformat(), "no earlier day than from")
        )
    weekend = calendar.weekend
    if len(set(weekend)) != len(weekend) or len(weekend) > 6 or not all(1 <= day <= 7 for day in weekend):
        found.append(
            Problem("weekend", repr(weekend), "days from 1 (Monday) to 7 (Sunday), each once, not all")
        )
    for place, days in (("holidays", calendar.holidays), ("workdays", calendar.workdays)):
        found += [
            Problem(place, on.isoformat(), f"a day from {span}", "confirm the year that it lies in")
            for on in sorted(days)
            if not calendar.known_from <= on <= calendar.confirmed_through
        ]
    for on in sorted(calendar.workdays):
        if on in calendar.holidays:
            found.append(Problem("workdays", on.isoformat(), "a day that is not in holidays too"))
        elif on.isoweekday() not in weekend:
            found.append(
                Problem("workdays", on.isoformat(), "a day of the weekend: any other is worked anyway")
            )
    return found


def is_business_day(on: date, calendar: BusinessCalendar) -> bool:
    """Whether a day is a business day. Raises `CalendarError` for a day that the calendar knows nothing of.

    >>> tiny = BusinessCalendar(
    ...     id="x", version="1", known_from=date(2026, 1, 1), confirmed_through=date(2026, 12, 31),
    ...     holidays=frozenset({date(2026, 10, 1)}), workdays=frozenset({date(2026, 10, 10)}))
    >>> [is_business_day(date(2026, 10, day), tiny) for day in (1, 2, 10, 11)]
    [False, True, True, False]
    """
    if not calendar.known_from <= on <= calendar.confirmed_through:
        raise CalendarError(
            "date",
            on.isoformat(),
            f"a day from {calendar.known_from.isoformat()} to {calendar.confirmed_through.isoformat()}, the days that "
            f"the calendar {calendar.name} knows",
            "publish the calendar of the new year",
        )
    if on in calendar.workdays:
        return True
    return on not in calendar.holidays and on.isoweekday() not in calendar.weekend


def to_business_day(on: date, holiday: Holiday, calendar: BusinessCalendar) -> date:
    """Where a date moves that is no business day. Raises `CalendarError` beyond what the calendar knows.

    >>> weekdays = BusinessCalendar(
    ...     id="x", version="1", known_from=date(2026, 1, 1), confirmed_through=date(2026, 12, 31))
    >>> saturday = date(2026, 10, 31)
    >>> [to_business_day(saturday, rule, weekdays).isoformat() for rule in ("following", "modified_following")]
    ['2026-11-02', '2026-10-30']
    """
    if holiday == "none" or is_business_day(on, calendar):
        return on
    if holiday == "preceding":
        return _nearest(on, -1, calendar)
    if holiday == "following":
        return _nearest(on, 1, calendar)
    if holiday != "modified_following":
        raise CalendarError("holiday", holiday, "one of " + ", ".join(get_args(Holiday)))
    later = on
    while later.month == on.month:
        if is_business_day(later, calendar):
            return later
        later += timedelta(days=1)
    return _nearest(on, -1, calendar)


def _nearest(on: date, step: int, calendar: BusinessCalendar) -> date:
    while not is_business_day(on, calendar):
        on += timedelta(days=step)
    return on


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
