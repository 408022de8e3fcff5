"""When a purse is full again: the shop's midnight whatever the clocks do, and month ends."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.calendars import at_local, from_epoch, local_date
from fenqi.policy.snapshot import Budget, Selector
from fenqi.texts import Text
from fenqi_server.budgets.purses import Purse, budget_period, quota_period

ZONES = ("Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Cairo")


def _at(zone, *parts):
    return int(datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp())


def _budget(**more):
    return Budget(
        id="b", name=Text("预算", "budget"), total_minor=1_000_000, applies=Selector(all=True), **more
    )


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", (2026, 3, 8), 23),
        ("America/New_York", (2026, 11, 1), 25),
        ("Europe/London", (2026, 3, 29), 23),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Asia/Shanghai", (2026, 11, 24), 24),
    ],
)
def test_the_quotas_day_is_the_shops_day_however_long_it_is(zone, day, hours):
    start, end = quota_period(_at(zone, *day, 12), zone)
    assert (end - start) / 3600 == hours
    for instant in (start, end):
        assert (from_epoch(instant, zone).hour, from_epoch(instant, zone).minute) == (0, 0)


def test_where_the_clocks_skip_midnight_the_quota_renews_at_the_instant_they_jump_to():
    # Cairo, 24 April 2026: after 23:59 it is 01:00.
    start, end = quota_period(_at("Africa/Cairo", 2026, 4, 24, 12), "Africa/Cairo")
    assert from_epoch(start, "Africa/Cairo").hour == 1
    assert end - start == 23 * 3600
    before = quota_period(start - 1, "Africa/Cairo")
    assert before[1] == start, "the day before ends where this one begins"


@given(st.sampled_from(ZONES), st.integers(1_735_689_600, 1_893_456_000))
def test_every_instant_lies_in_exactly_one_day(zone, at):
    start, end = quota_period(at, zone)
    assert start <= at < end
    assert quota_period(end - 1, zone) == (start, end)
    assert quota_period(end, zone)[0] == end


def test_a_budget_that_renews_at_the_end_of_a_month_does_so_at_every_months_end():
    zone = "America/New_York"
    budget = _budget(start=_at(zone, 2026, 1, 1), renews=_at(zone, 2026, 1, 31))
    instants = []
    at = budget.start
    for _ in range(6):
        period = budget_period(budget, at, zone)
        at = period[1]
        instants.append(from_epoch(at, zone).isoformat())
    assert instants == [
        "2026-01-31T00:00:00-05:00",
        "2026-02-28T00:00:00-05:00",
        "2026-03-31T00:00:00-04:00",
        "2026-04-30T00:00:00-04:00",
        "2026-05-31T00:00:00-04:00",
        "2026-06-30T00:00:00-04:00",
    ]


def test_a_budget_renews_at_its_hour_of_the_clock_on_both_sides_of_summer():
    zone = "Europe/London"
    budget = _budget(start=_at(zone, 2026, 3, 1), renews=_at(zone, 2026, 3, 15, 9, 30))
    _, first = budget_period(budget, _at(zone, 2026, 3, 20), zone)
    assert from_epoch(first, zone).isoformat() == "2026-04-15T09:30:00+01:00"


@given(
    st.sampled_from(ZONES),
    st.dates(date(2025, 1, 1), date(2026, 12, 31)),
    st.integers(0, 1439),
    st.integers(0, 800 * 86_400),
)
def test_every_instant_after_the_start_lies_in_one_period_and_periods_touch(zone, day, minute, later):
    renews = at_local(day, minute, zone)
    budget = _budget(start=renews - 20 * 86_400, renews=renews)
    at = budget.start + later
    start, end = budget_period(budget, at, zone)
    assert start <= at < end
    assert budget_period(budget, end - 1, zone) == (start, end)
    assert budget_period(budget, end, zone)[0] == end
    assert end - start <= 32 * 86_400
    if start >= renews:
        assert local_date(end, zone).day in (day.day, *range(28, day.day))


def test_a_budget_has_no_period_outside_its_time_and_none_after_its_end_renews():
    zone = "Asia/Shanghai"
    start, end = _at(zone, 2026, 11, 1), _at(zone, 2026, 12, 1)
    once = _budget(start=start, end=end)
    assert budget_period(once, start - 1, zone) is None
    assert budget_period(once, start, zone) == (start, end)
    assert budget_period(once, end, zone) is None
    monthly = _budget(start=start, end=end + 86_400, renews=end)
    assert budget_period(monthly, end, zone) == (end, end + 86_400)


@given(
    st.integers(1, 10**12),
    st.decimals("0.0001", "1", places=4),
    st.integers(1, 10**10),
)
def test_the_volume_told_covers_an_amount_exactly_when_its_cost_is_there(left, share, amount):
    purse = Purse("budget.x", left, 0, None, None, Decimal(share))
    assert (purse.volume_minor(left) >= amount) == (purse.cost_minor(amount) <= left)


def test_a_days_quota_is_full_again_by_itself():
    day = 86_400
    first = quota_period(_at("Asia/Shanghai", 2026, 11, 24, 23, 59), "Asia/Shanghai")
    second = quota_period(_at("Asia/Shanghai", 2026, 11, 25), "Asia/Shanghai")
    assert first[1] == second[0]
    assert second[1] - second[0] == day == timedelta(days=1).total_seconds()
