"""Time without payment, and first periods of another length: worked by hand.

¥6,000 throughout. 7.2 % a year is 0.6 % a month: ¥36 a month on all of it.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.engine.terms.plans import MALL_12

from fenqi.terms.cost import ACT365, annual_cost, cost_of, dated_flows_of
from fenqi.terms.disclosure import percent
from fenqi.terms.plan import Conventions, EqualPrincipal, InterestOnly, Plan
from fenqi.terms.schedule import build_schedule

YEARLY = Decimal("0.072")
EVEN_3 = Plan("even-3", "even", "lender", "loan", 3, EqualPrincipal(YEARLY))
EVEN_4 = msgspec.structs.replace(EVEN_3, periods=4)
INTEREST_3 = msgspec.structs.replace(EVEN_3, pricing=InterestOnly(YEARLY))


def parts(plan: Plan, start_on: date = date(2026, 11, 23), **changes: Any) -> list[tuple[int, int]]:
    schedule = build_schedule(msgspec.structs.replace(plan, **changes), 600_000, "CNY", start_on)
    return [(row.principal_minor, row.fee_minor) for row in schedule.rows]


def test_two_months_without_payment_make_the_same_fee_cheaper() -> None:
    # 12 x ¥536 from the third month on, instead of from the first: 13.03 % becomes 9.91 %.
    plan = msgspec.structs.replace(MALL_12, defer_periods=2)
    schedule = build_schedule(plan, 600_000, "CNY", date(2026, 11, 23))
    assert {row.total_minor for row in schedule.rows} == {53_600}
    cost = cost_of(schedule, plan)
    assert cost.simple_e12 is not None
    assert percent(cost.simple_e12) == "9.91"


def test_what_a_deferral_bears_is_nothing_or_paid_at_once_or_owed_with_the_rest() -> None:
    # Without: ¥2,000 each with ¥36, ¥24, ¥12.
    plain = [(200_000, 3_600), (200_000, 2_400), (200_000, 1_200)]
    assert parts(EVEN_3, defer_periods=2) == plain
    # With the first bill: two months of ¥36 beside its own.
    first, *others = parts(EVEN_3, defer_periods=2, deferral_interest="first_bill")
    assert first == (200_000, 10_800)
    assert others == plain[1:]
    # Owed with the rest: ¥6,072 in three parts of ¥2,024, of which ¥24 is deferred interest; on what is owed, ¥36.43
    # (36.432), ¥24.29 (24.288) and ¥12.14 (12.144).
    assert parts(EVEN_3, defer_periods=2, deferral_interest="capitalised") == [
        (200_000, 3_643 + 2_400),
        (200_000, 2_429 + 2_400),
        (200_000, 1_214 + 2_400),
    ]


def test_grace_puts_off_the_price_or_its_interest_or_charges_none() -> None:
    # ¥1,500 each with ¥36, ¥27, ¥18, ¥9.
    assert parts(EVEN_4) == [(150_000, 3_600), (150_000, 2_700), (150_000, 1_800), (150_000, 900)]
    assert parts(EVEN_4, grace_principal=2) == [(0, 3_600), (0, 3_600), (300_000, 3_600), (300_000, 1_800)]
    # 36 + 27 + 18 with the third.
    assert parts(EVEN_4, grace_interest=2) == [(150_000, 0), (150_000, 0), (150_000, 8_100), (150_000, 900)]
    assert parts(EVEN_4, interest_free_periods=2) == [
        (150_000, 0),
        (150_000, 0),
        (150_000, 1_800),
        (150_000, 900),
    ]


@pytest.mark.parametrize(
    ("changes", "first_minor"),
    [
        # Bought on 23 November, due on the 10th. To 10 December it is 17 days of that month's 30 (10 November to 10 December).
        ({}, 3_600),
        ({"odd_first": "by_days"}, 2_040),
        # In days of 365: 6,000 x 7.2 % x 17 / 365 = 20.12.
        ({"odd_first": "by_days", "conventions": Conventions(day_count="act/365")}, 2_012),
        # At least 20 days later: 10 January, 48 days, where a whole period would have 31: 36 x 48 / 31 = 55.74.
        ({"min_first_days": 20}, 3_600),
        ({"min_first_days": 20, "odd_first": "by_days"}, 5_574),
        (
            {"min_first_days": 20, "odd_first": "by_days", "conventions": Conventions(day_count="act/365")},
            5_681,
        ),
    ],
)
def test_a_first_period_bears_a_whole_ones_interest_or_that_of_its_days(
    changes: dict[str, Any], first_minor: int
) -> None:
    assert parts(INTEREST_3, due_day=10, **changes)[0] == (0, first_minor)


def test_a_holiday_moves_the_day_and_not_the_interest() -> None:
    by_days = Conventions(day_count="act/365")
    start = date(2026, 8, 1)
    moved = {"holiday": "following", "calendar": "cn"}
    # 1 October is a holiday until the 8th; the second period still has the 30 days of September.
    assert parts(INTEREST_3, start, conventions=by_days, **moved) == parts(
        INTEREST_3, start, conventions=by_days
    )


def test_a_holiday_changes_no_cost_where_time_is_counted_in_periods() -> None:
    for due_day in (None, 1):
        plain = msgspec.structs.replace(EVEN_3, due_day=due_day)
        moved = msgspec.structs.replace(plain, holiday="following", calendar="cn")
        there, then = (build_schedule(plan, 600_000, "CNY", date(2026, 8, 1)) for plan in (plain, moved))
        assert [row.due_on for row in there.rows] != [row.due_on for row in then.rows]
        assert cost_of(there, plain) == cost_of(then, moved)


@pytest.mark.parametrize(
    ("start_on", "least_days", "days", "effective"),
    [
        (date(2026, 12, 10), 0, 10, "15.6"),
        (date(2026, 11, 20), 0, 30, "13.9"),
        (date(2026, 10, 31), 40, 50, "12.5"),
    ],
)
def test_the_same_fee_costs_less_the_later_the_first_due_day(
    start_on: date, least_days: int, days: int, effective: str
) -> None:
    # 12 x ¥536, always due on the 20th: by days and effective it is 15.6 % after 10 days, 13.9 % after 30, 12.5 % after 50.
    plan = msgspec.structs.replace(MALL_12, due_day=20, min_first_days=least_days)
    schedule = build_schedule(plan, 600_000, "CNY", start_on)
    assert (schedule.rows[0].due_on - start_on).days == days
    assert {row.total_minor for row in schedule.rows} == {53_600}
    rate_e12 = annual_cost(ACT365, dated_flows_of(schedule)).rate_e12
    assert rate_e12 is not None
    assert percent(rate_e12, 1) == effective
