"""Single cases that the market's papers work out, each in figures from outside."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from fenqi.calendars import add_months
from fenqi.money import apply_rate
from fenqi.terms.cost import (
    ACT365,
    COMPOUNDED,
    SIMPLE,
    CashFlow,
    CashFlows,
    DatedFlow,
    DatedFlows,
    annual_cost,
    cost_of,
    max_flat_fee,
    sum_of_items,
)
from fenqi.terms.disclosure import percent
from fenqi.terms.plan import Annuity, Fee, FlatFee, Plan
from fenqi.terms.realised import realised_cost
from fenqi.terms.schedule import build_schedule
from fenqi.terms.viewpoints import viewpoints
from fenqi.texts import Text

YUAN = 100


def shown(rate_e12: int | None, places: int = 4) -> str:
    assert rate_e12 is not None
    return percent(rate_e12, places)


def test_a_bank_settled_with_the_fourth_instalment_for_3_percent() -> None:
    # 12,000 in 12 x (1,000 + 72); settled with the 4th: 8,000 left and 3 % of them.
    payoff = 1_072 + 8_000 + 8_000 * 3 // 100
    assert payoff == 9_312
    paid = CashFlows(
        (CashFlow(0, 12_000 * YUAN),),
        (*(CashFlow(month, 1_072 * YUAN) for month in (1, 2, 3)), CashFlow(4, payoff * YUAN)),
    )
    monthly = annual_cost("periodic_irr@1", paid).rate_e12
    assert shown(monthly, 6) == "1.244750"
    assert shown(realised_cost(paid).rate_e12) == "14.9370"
    assert shown(realised_cost(paid, method=COMPOUNDED).rate_e12) == "16.0033"
    assert 12 * 1_072 - (3 * 1_072 + payoff) == 336


def test_interest_and_a_guarantee_joined_and_added_up() -> None:
    # 10,000 at 7.2 % over 12 months in equal payments, and 200 for a guarantee at the start. Without fen, for four decimals.
    interest = Plan("bank", "bank", "bank", "loan", 12, Annuity(Decimal("0.072")))
    rows = build_schedule(interest, 1_000_000_000, "CNY", date(2026, 1, 5)).rows
    principal = CashFlows(
        (CashFlow(0, 1_000_000_000),), tuple(CashFlow(row.number, row.principal_minor) for row in rows)
    )
    of_interest = [CashFlow(row.number, row.fee_minor) for row in rows]
    guarantee = [CashFlow(0, 20_000_000)]
    joint = CashFlows(principal.advances, (*principal.payments, *of_interest, *guarantee))
    assert shown(annual_cost("periodic_irr@1", joint).rate_e12, 6) == "0.917569"
    assert shown(annual_cost(SIMPLE, joint).rate_e12) == "11.0108"
    assert shown(annual_cost(COMPOUNDED, joint).rate_e12) == "11.5839"
    total, items = sum_of_items(principal, [of_interest, guarantee])
    assert [shown(item.rate_e12) for item in items] == ["7.2000", "3.7053"]
    assert shown(total.rate_e12) == "10.9053"


def test_the_same_as_a_plan_with_a_fee_at_the_start() -> None:
    fee = Fee(
        code="guarantee",
        name=Text("担保费", "Guarantee"),
        payee="guarantor",
        total_rate=Decimal("0.02"),
        timing="up_front",
    )
    plan = Plan("bank", "bank", "bank", "loan", 12, Annuity(Decimal("0.072")), fees=(fee,))
    schedule = build_schedule(plan, 1_000_000_000, "CNY", date(2026, 1, 5))
    cost = cost_of(schedule, plan)
    assert (shown(cost.simple_e12), shown(cost.compounded_e12)) == ("11.0108", "11.5839")
    # The guarantor's fee is no income of the bank: it lends at its own rate.
    assert shown(viewpoints(schedule, plan).funder.rate_e12) == "7.2000"


def test_an_item_without_a_rate_leaves_the_sum_without_one() -> None:
    principal = CashFlows((CashFlow(0, 100),), (CashFlow(12, 100),))
    total, items = sum_of_items(principal, [[CashFlow(12, 5)], [CashFlow(0, 100)]])
    assert items[0].rate_e12 is not None
    assert (total.rate_e12, total.undefined) == (None, "one_signed")


@pytest.mark.parametrize(
    ("first_due", "effective", "nominal"),
    [
        (date(2026, 12, 10), "15.5255", "14.4458"),
        (date(2026, 12, 22), "14.4927", "13.5667"),
        (date(2027, 1, 10), "13.1521", "12.3664"),
    ],
)
def test_a_first_period_of_another_length(first_due: date, effective: str, nominal: str) -> None:
    # ¥5,999 for 7.5 % in 12, bought on 22 November: 18 days, a month, or 49 days to the first instalment.
    plan = Plan("card", "card", "bank", "card_instalment", 12, FlatFee(total_rate=Decimal("0.075")))
    rows = build_schedule(plan, 599_900, "CNY", date(2026, 11, 22)).rows
    dated = DatedFlows(
        (DatedFlow(date(2026, 11, 22), 599_900),),
        tuple(DatedFlow(add_months(first_due, row.number - 1), row.total_minor) for row in rows),
    )
    assert shown(annual_cost(ACT365, dated).rate_e12) == effective
    assert shown(annual_cost(SIMPLE, dated).rate_e12) == nominal
    on_the_day = Plan(
        "card",
        "card",
        "bank",
        "card_instalment",
        12,
        FlatFee(total_rate=Decimal("0.075")),
        due_day=first_due.day,
        min_first_days=30 if first_due.year == 2027 else 0,
    )
    schedule = build_schedule(on_the_day, 599_900, "CNY", date(2026, 11, 22))
    assert schedule.rows[0].due_on == first_due
    cost = cost_of(schedule, on_the_day)
    assert shown(cost.simple_e12) == nominal
    monthly = Fraction(cost.simple_e12 or 0, 12 * 10**12)
    assert cost.compounded_e12 == pytest.approx(((1 + monthly) ** 12 - 1) * 10**12, rel=1e-11)


def test_a_subsidy_of_one_point_but_at_most_half_of_the_rate() -> None:
    # 30,000 at 3 % over 12 months in equal payments. One point of three is a third of each month's interest. The papers'
    # figures are not of whole fen, so these are of 1e-8: 12 x 2,540.8110 - 30,000 = 489.73.
    unit = 10**8
    plan = Plan("bank", "bank", "bank", "loan", 12, Annuity(Decimal("0.03")))
    schedule = build_schedule(plan, 30_000 * unit, "CNY", date(2026, 1, 5))
    share = min(Fraction(1, 100), Fraction(3, 100) / 2) / Fraction(3, 100)
    subsidies = [apply_rate(row.fee_minor, share) for row in schedule.rows]
    interest, subsidy = schedule.fee_minor, sum(subsidies)
    assert [round(Decimal(part) / unit, 2) for part in (interest, subsidy, interest - subsidy)] == [
        Decimal("489.73"),
        Decimal("163.24"),
        Decimal("326.49"),
    ]
    paid = CashFlows(
        (CashFlow(0, 30_000 * unit),),
        tuple(
            CashFlow(row.number, row.total_minor - part)
            for row, part in zip(schedule.rows, subsidies, strict=True)
        ),
    )
    assert shown(annual_cost(SIMPLE, paid).rate_e12) == "2.0000"
    assert shown(cost_of(schedule, plan).simple_e12) == "3.0000"


def test_goods_of_250_go_back_from_the_last_instalment_on() -> None:
    # ¥1,200 in 12 x (100 + 6), three paid; 250 of goods: two and a half instalments fall away from the end, their fees with them.
    owed = dict.fromkeys(range(4, 13), (100, 6))
    left = 250
    for month in range(12, 3, -1):
        principal, fee = owed[month]
        off = min(left, principal)
        owed[month] = (principal - off, fee * (principal - off) // 100)
        left -= off
    assert [sum(owed[month]) for month in (4, 9, 10, 11, 12)] == [106, 106, 53, 0, 0]
    assert sum(principal for principal, _ in owed.values()) == 650
    assert sum(sum(row) for row in owed.values()) == 689
    assert 9 * 6 - sum(fee for _, fee in owed.values()) == 15
    paid = CashFlows(
        (CashFlow(0, 1_200 * YUAN),),
        (
            *(CashFlow(month, 106 * YUAN) for month in (1, 2, 3)),
            *(CashFlow(month, sum(row) * YUAN) for month, row in owed.items() if sum(row)),
        ),
    )
    realised = realised_cost(paid, (CashFlow(3, 250 * YUAN),))
    quoted = annual_cost(
        SIMPLE, CashFlows(paid.advances, tuple(CashFlow(k, 106 * YUAN) for k in range(1, 13)))
    )
    # Paid 318 + 689 and goods of 250 for 1,200: 57 of the 72 in fees. Shown beside the quoted 10.90, never in its place. The fee
    # of 6 a month stays whole up to the 9th instalment on less principal, so what is realised is dearer.
    assert 318 + 689 + 250 - 1_200 == 57
    assert shown(quoted.rate_e12, 2) == "10.90"
    assert (realised.rate_e12 or 0) > (quoted.rate_e12 or 0)


def test_a_ceiling_of_four_times_the_lpr_is_held_against_what_is_not_rounded() -> None:
    # LPR of one year 3.00 % at the contract's date: 12 %.
    cap_e12 = 4 * 30_000_000_000
    assert percent(cap_e12) == "12.00"
    fee = max_flat_fee(Fraction(cap_e12, 10**12), 12)
    for step, within in ((0, True), (1, False)):
        rate = Decimal(math.floor(fee * 10**7) + step).scaleb(-7)
        plan = Plan("p", "p", "p", "loan", 12, FlatFee(total_rate=rate))
        cost = cost_of(build_schedule(plan, 10**13, "CNY", date(2026, 1, 5)), plan)
        assert percent(cost.simple_e12 or 0) == "12.00"
        assert (cost.simple_e12 or 0) <= cap_e12 or not within
        assert ((cost.simple_e12 or 0) <= cap_e12) is within


def test_late_interest_of_half_as_much_again_under_a_ceiling() -> None:
    # 500 late for 45 of 360 days: 18 % x 1.5 = 27 % would be 16.875; the ceiling of 24 % makes it 15.00.
    days = Fraction(45, 360)
    assert 500 * Fraction(27, 100) * days == Fraction("16.875")
    assert (
        apply_rate(500 * YUAN, min(Fraction(18, 100) * Fraction(3, 2), Fraction(24, 100)) * days) == 15 * YUAN
    )


def test_a_fifth_of_the_price_in_arrears() -> None:
    # Civil Code 634: price 6,000, so arrears of 1,200 and more, after a demand and a reasonable time.
    assert apply_rate(6_000 * YUAN, Fraction(1, 5)) == 1_200 * YUAN
