"""Calendars: due dates keep their day; instants are the shop's local day and hour."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.calendars import (
    BusinessCalendar,
    CalendarError,
    Holiday,
    add_months,
    at_local,
    check_calendar,
    due_dates,
    format_date,
    format_instant,
    from_epoch,
    is_business_day,
    local_date,
    local_minute_of_day,
    local_weekday,
    period_dates,
    to_business_day,
    to_epoch,
    zone_of,
)

SHANGHAI = "Asia/Shanghai"
dates = st.dates(date(1990, 1, 1), date(2100, 12, 31))
epochs = st.integers(0, 4_000_000_000)
zones = st.sampled_from([SHANGHAI, "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"])


def test_the_31st_stays_the_31st() -> None:
    found = due_dates(date(2027, 10, 31), "month", 1, 6)
    assert [on.isoformat() for on in found] == [
        "2027-11-30",
        "2027-12-31",
        "2028-01-31",
        "2028-02-29",
        "2028-03-31",
        "2028-04-30",
    ]


def test_a_leap_day_comes_back_in_the_next_leap_year() -> None:
    assert add_months(date(2028, 2, 29), 12) == date(2029, 2, 28)
    assert add_months(date(2028, 2, 29), 48) == date(2032, 2, 29)
    assert add_months(date(1999, 12, 31), 2) == date(2000, 2, 29)
    assert add_months(date(2099, 12, 31), 2) == date(2100, 2, 28)
    assert add_months(date(2026, 3, 31), -1) == date(2026, 2, 28)


def test_deferral_and_longer_periods_count_from_the_same_anchor() -> None:
    assert due_dates(date(2026, 11, 30), "month", 3, 2, 1) == (date(2027, 5, 30), date(2027, 8, 30))
    assert due_dates(date(2026, 11, 23), "week", 2, 2) == (date(2026, 12, 7), date(2026, 12, 21))
    assert due_dates(date(2026, 11, 23), "day", 30, 1) == (date(2026, 12, 23),)


@given(
    dates, st.sampled_from(["day", "week", "month"]), st.integers(1, 6), st.integers(1, 60), st.integers(0, 5)
)
def test_due_dates_follow_each_other_and_keep_their_day(
    start: date, unit: str, every: int, count: int, defer: int
) -> None:
    found = due_dates(start, unit, every, count, defer)  # type: ignore[arg-type]
    assert len(found) == count
    assert all(a < b for a, b in zip((start, *found), found, strict=False))
    for number, on in enumerate(found, 1 + defer):
        if unit == "month":
            assert on == add_months(start, number * every)
            next_day = on + timedelta(days=1)
            assert on.day == start.day or (on.day < start.day and next_day.month != on.month)
        else:
            assert (on - start).days == number * every * (7 if unit == "week" else 1)


@pytest.mark.parametrize(
    ("start", "unit", "every", "count", "defer"),
    [
        (date(9999, 12, 1), "month", 1, 1, 0),
        (date(9999, 12, 1), "week", 10, 1, 0),
        (date(2026, 1, 1), "year", 1, 1, 0),
        (date(2026, 1, 1), "month", 0, 1, 0),
        (date(2026, 1, 1), "month", 1, 0, 0),
        (date(2026, 1, 1), "month", 1, 10**9, 0),
        (date(2026, 1, 1), "month", 1, 1, -1),
    ],
)
def test_dates_out_of_the_calendar_are_refused(
    start: date, unit: str, every: int, count: int, defer: int
) -> None:
    with pytest.raises(CalendarError):
        due_dates(start, unit, every, count, defer)  # type: ignore[arg-type]


@given(epochs, zones)
def test_an_instant_survives_the_way_to_the_wall_clock_and_back(epoch: int, zone: str) -> None:
    local = from_epoch(epoch, zone)
    assert to_epoch(local) == epoch
    for instant in (epoch, local, local.astimezone(UTC)):
        assert local_date(instant, zone) == local.date()
        assert local_minute_of_day(instant, zone) == local.hour * 60 + local.minute
        assert local_weekday(instant, zone) == local.isoweekday()


@given(dates, st.integers(0, 1439), st.sampled_from([SHANGHAI, "UTC"]))
def test_a_wall_clock_minute_is_found_where_no_clock_jumps(on: date, minute: int, zone: str) -> None:
    if on < date(1992, 1, 1):
        on = on.replace(year=1992)  # Shanghai had summer time until 1991
    epoch = at_local(on, minute, zone)
    assert (local_date(epoch, zone), local_minute_of_day(epoch, zone)) == (on, minute)


def test_the_shop_day_begins_at_its_own_midnight() -> None:
    just_before = datetime(2026, 11, 22, 15, 59, 59, tzinfo=UTC)
    assert local_date(just_before, SHANGHAI) == date(2026, 11, 22)
    assert local_date(just_before + timedelta(seconds=1), SHANGHAI) == date(2026, 11, 23)
    assert at_local(date(2026, 11, 22), 1440, SHANGHAI) == at_local(date(2026, 11, 23), 0, SHANGHAI)


def test_a_minute_that_the_clock_skips_is_the_one_it_jumps_to_and_one_that_comes_twice_is_the_first() -> None:
    berlin = "Europe/Berlin"
    skipped = at_local(date(2026, 3, 29), 150, berlin)
    assert local_minute_of_day(skipped, berlin) == 210
    twice = at_local(date(2026, 10, 25), 150, berlin)
    assert from_epoch(twice, berlin).utcoffset() == timedelta(hours=2)
    # Midnight after a short day is midnight, not 24 hours on.
    assert at_local(date(2026, 3, 29), 1440, berlin) - at_local(date(2026, 3, 29), 0, berlin) == 23 * 3600


def test_a_time_without_offset_and_an_unknown_zone_are_refused() -> None:
    with pytest.raises(CalendarError, match="offset"):
        to_epoch(datetime(2026, 11, 23))  # noqa: DTZ001
    with pytest.raises(CalendarError, match="offset"):
        local_date(datetime(2026, 11, 23), SHANGHAI)  # noqa: DTZ001
    for name in ("Asia/Nowhere", "", "../etc/passwd", "Asia"):
        with pytest.raises(CalendarError, match="IANA"):
            zone_of(name)
    with pytest.raises(CalendarError):
        from_epoch(10**15, SHANGHAI)
    with pytest.raises(CalendarError):
        at_local(date(2026, 1, 1), 1441, SHANGHAI)


def test_dates_and_instants_are_written_as_each_language_does() -> None:
    on = date(2026, 11, 23)
    at = at_local(on, 120, SHANGHAI)
    assert format_date(on, "zh-CN") == "2026年11月23日"
    assert format_date(on, "en") == "23 Nov 2026"
    assert format_instant(at, SHANGHAI, "zh-CN", year=2026) == "11月23日 02:00"
    assert format_instant(at, SHANGHAI, "en", year=2026) == "23 Nov 02:00"
    assert format_instant(at, SHANGHAI, "en", year=2027) == "23 Nov 2026 02:00"


# --- anchored due days -------------------------------------------------------------------------------------


def iso(dates: tuple[date, ...]) -> list[str]:
    return [on.isoformat() for on in dates]


def test_half_months_are_months_and_fifteen_days_after_them() -> None:
    assert iso(due_dates(date(2027, 1, 31), "half_month", 1, 4)) == [
        "2027-02-15",  # 31 January + 15 days
        "2027-02-28",
        "2027-03-15",  # 28 February + 15 days
        "2027-03-31",
    ]


def test_a_due_day_is_the_first_one_late_enough_and_then_each_months() -> None:
    start = date(2026, 11, 23)
    assert iso(due_dates(start, "month", 1, 2, due_day=10)) == ["2026-12-10", "2027-01-10"]
    # 10 December is 17 days later: too soon for 20.
    assert iso(due_dates(start, "month", 1, 2, due_day=10, min_first_days=17)) == ["2026-12-10", "2027-01-10"]
    assert iso(due_dates(start, "month", 1, 2, due_day=10, min_first_days=18)) == ["2027-01-10", "2027-02-10"]
    # Later in the same month; on the day itself nothing is due yet.
    assert iso(due_dates(start, "month", 1, 1, due_day=28)) == ["2026-11-28"]
    assert iso(due_dates(start, "month", 1, 1, due_day=23)) == ["2026-12-23"]


def test_due_day_31_is_every_months_last_day() -> None:
    assert iso(due_dates(date(2027, 11, 30), "month", 1, 4, due_day=31)) == [
        "2027-12-31",
        "2028-01-31",
        "2028-02-29",
        "2028-03-31",
    ]
    assert iso(due_dates(date(2027, 2, 1), "month", 1, 2, due_day=30)) == ["2027-02-28", "2027-03-30"]


def test_a_due_day_holds_for_quarters_deferrals_and_half_months() -> None:
    start = date(2026, 11, 23)
    # A quarter's first due day: that of two months after the first one.
    assert iso(due_dates(start, "month", 3, 2, due_day=10)) == ["2027-02-10", "2027-05-10"]
    assert iso(period_dates(start, "month", 1, 2, 1, due_day=10)) == [
        "2026-11-23",
        "2026-12-10",
        "2027-01-10",
        "2027-02-10",
    ]
    # The 20th, and 15 days after each: 20 November + 15 is 5 December.
    assert iso(due_dates(start, "half_month", 1, 3, due_day=20)) == ["2026-12-05", "2026-12-20", "2027-01-04"]


@given(
    dates,
    st.sampled_from(["month", "half_month"]),
    st.integers(1, 4),
    st.integers(1, 31),
    st.integers(0, 60),
    st.integers(0, 3),
)
def test_anchored_dates_ascend_and_the_first_is_the_earliest_that_may_be(
    start: date, unit: str, every: int, due_day: int, least: int, defer: int
) -> None:
    found = period_dates(start, unit, every, 12, defer, due_day, least)  # type: ignore[arg-type]
    assert len(found) == 13 + defer
    assert all(a < b for a, b in pairwise(found))
    first = found[1]
    assert (first - start).days >= max(1, least)
    if unit == "month":
        assert all(on.day == due_day or (on + timedelta(days=1)).day == 1 for on in found[1:])
        # One period earlier would have been too early, or would have lain before the start.
        if every == 1:
            before = add_months(first.replace(day=1), -1)
            last = (before.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
            assert (before.replace(day=min(due_day, last.day)) - start).days < max(1, least)


@pytest.mark.parametrize(
    ("unit", "due_day", "least", "place"),
    [
        ("week", 5, 0, "due_day"),
        ("month", 0, 0, "due_day"),
        ("month", 32, 0, "due_day"),
        ("month", 1, -1, "min_first_days"),
    ],
)
def test_a_due_day_that_there_is_not_is_refused(unit: str, due_day: int, least: int, place: str) -> None:
    with pytest.raises(CalendarError, match=place):
        period_dates(date(2026, 11, 23), unit, 1, 2, 0, due_day, least)  # type: ignore[arg-type]


# --- business days -----------------------------------------------------------------------------------------

OCTOBER = BusinessCalendar(
    id="test",
    version="1",
    known_from=date(2026, 1, 1),
    confirmed_through=date(2026, 12, 31),
    holidays=frozenset(date(2026, 10, day) for day in range(1, 8)),
    workdays=frozenset({date(2026, 9, 20), date(2026, 10, 10)}),
)


@pytest.mark.parametrize(
    ("on", "following", "preceding", "modified"),
    [
        ("2026-09-30", "2026-09-30", "2026-09-30", "2026-09-30"),
        # The week of 1 October: back at work on Thursday the 8th, last worked on Wednesday 30 September.
        ("2026-10-01", "2026-10-08", "2026-09-30", "2026-10-08"),
        ("2026-10-07", "2026-10-08", "2026-09-30", "2026-10-08"),
        # A Saturday that is worked, and the Sunday after it.
        ("2026-10-10", "2026-10-10", "2026-10-10", "2026-10-10"),
        ("2026-10-11", "2026-10-12", "2026-10-10", "2026-10-12"),
        # Saturday 31 October: the next business day is in November.
        ("2026-10-31", "2026-11-02", "2026-10-30", "2026-10-30"),
    ],
)
def test_where_a_date_moves_that_is_no_business_day(
    on: str, following: str, preceding: str, modified: str
) -> None:
    day = date.fromisoformat(on)
    rules: tuple[Holiday, ...] = ("none", "following", "preceding", "modified_following")
    assert [to_business_day(day, rule, OCTOBER).isoformat() for rule in rules] == [
        on,
        following,
        preceding,
        modified,
    ]


def test_beyond_what_is_confirmed_no_date_moves_and_none_stays() -> None:
    calendar = msgspec.structs.replace(OCTOBER, confirmed_through=date(2026, 10, 31))
    with pytest.raises(CalendarError, match=r"2026-11-02.*2026-10-31.*test@1.*publish the calendar"):
        to_business_day(date(2026, 11, 2), "following", calendar)
    # Where the move itself would have to know more.
    with pytest.raises(CalendarError, match="2026-11-01"):
        to_business_day(date(2026, 10, 31), "following", calendar)
    assert to_business_day(date(2026, 10, 31), "modified_following", calendar) == date(2026, 10, 30)
    with pytest.raises(CalendarError, match="2025-12-31"):
        is_business_day(date(2025, 12, 31), calendar)
    with pytest.raises(CalendarError, match="2025-12-31"):
        to_business_day(date(2026, 1, 1), "preceding", msgspec.structs.replace(calendar, weekend=(4,)))
    assert to_business_day(date(2099, 1, 1), "none", calendar) == date(2099, 1, 1)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({}, None),
        ({"id": "Test"}, "id"),
        ({"version": ""}, "version"),
        (
            {"confirmed_through": date(2025, 1, 1), "holidays": frozenset(), "workdays": frozenset()},
            "confirmed_through",
        ),
        ({"holidays": frozenset({date(2027, 1, 1)})}, "holidays"),
        ({"workdays": frozenset({date(2027, 1, 2)})}, "workdays"),
        ({"workdays": frozenset({date(2026, 9, 21)})}, "workdays"),  # a Monday
        ({"holidays": OCTOBER.workdays}, "workdays"),
        ({"weekend": (6, 7, 8)}, "weekend"),
        ({"weekend": (1, 2, 3, 4, 5, 6, 7), "workdays": frozenset()}, "weekend"),
    ],
)
def test_a_wrong_calendar_is_told_where(changes: dict[str, object], place: str | None) -> None:
    problems = check_calendar(msgspec.structs.replace(OCTOBER, **changes))
    assert {problem.place for problem in problems} == ({place} if place else set())
