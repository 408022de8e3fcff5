"""Quiet hours, by the shop's own clock: across midnight, and in the nights in which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi_server.subscriptions.quiet import awake_at, is_quiet


def _local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("zone", "at", "awake"),
    [
        ("Asia/Shanghai", "2026-11-23T21:59:59", "2026-11-23T21:59:59"),
        ("Asia/Shanghai", "2026-11-23T22:00:00", "2026-11-24T08:00:00"),
        ("Asia/Shanghai", "2026-11-23T23:59:59", "2026-11-24T08:00:00"),
        ("Asia/Shanghai", "2026-11-24T00:00:00", "2026-11-24T08:00:00"),
        ("Asia/Shanghai", "2026-11-24T07:59:59", "2026-11-24T08:00:00"),
        ("Asia/Shanghai", "2026-11-24T08:00:00", "2026-11-24T08:00:00"),
        ("Asia/Shanghai", "2026-12-31T23:00:00", "2027-01-01T08:00:00"),
        ("Asia/Shanghai", "2028-02-28T22:30:00", "2028-02-29T08:00:00"),
        # The night in which clocks go forward is an hour shorter, the one in which they go back an hour longer.
        ("Europe/Berlin", "2026-03-28T22:00:00", "2026-03-29T08:00:00"),
        ("Europe/Berlin", "2026-10-24T22:00:00", "2026-10-25T08:00:00"),
        ("America/Santiago", "2026-09-05T23:30:00", "2026-09-06T08:00:00"),
    ],
)
def test_a_message_of_the_night_waits_until_eight(zone, at, awake):
    assert awake_at(_local(at, zone), zone) == _local(awake, zone)


def test_the_night_is_as_long_as_it_is():
    def night(on: str) -> timedelta:
        begins = _local(f"{on}T22:00:00", "Europe/Berlin")
        return awake_at(begins, "Europe/Berlin") - begins

    assert night("2026-03-28") == timedelta(hours=9)
    assert night("2026-10-24") == timedelta(hours=11)
    assert night("2026-06-01") == timedelta(hours=10)


def test_both_two_oclocks_of_the_long_night_are_quiet():
    for fold in (0, 1):
        assert is_quiet(_local("2026-10-25T02:30:00", "Europe/Berlin", fold), "Europe/Berlin")


@given(
    st.integers(1_577_836_800, 2_051_222_400).map(lambda at: datetime.fromtimestamp(at, UTC)),
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_it_is_put_off_by_less_than_half_a_day_never_dropped_and_lands_when_people_are_awake(at, zone):
    awake = awake_at(at, zone)
    assert not is_quiet(awake, zone)
    assert timedelta() <= awake - at <= timedelta(hours=11)
    assert is_quiet(at, zone) == (awake != at)
