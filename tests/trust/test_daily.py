"""Interest that runs daily, by a sum over days, and the bugs that this finds."""

from __future__ import annotations

import pytest
from tests.trust.bugs import Bug, put_in
from tests.trust.daily import BUGS, Wrong, live

pytestmark = pytest.mark.no_db

STEPS = 500


def test_interest_is_what_the_days_come_to() -> None:
    live("bugs", STEPS)
    reached = live("1", STEPS)
    for what in (
        "PaymentReceived x active",
        "PaymentReversed x active",
        "DueReached x active",
        "back-dated",
        "late",
    ):
        assert reached[what] >= 20, reached


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_bug_in_it_is_caught(bug: Bug) -> None:
    with put_in(bug), pytest.raises(Wrong):
        live("bugs", STEPS)


@pytest.mark.campaign
def test_20_000_steps_come_to_it_too() -> None:
    live("campaign", 20_000)
