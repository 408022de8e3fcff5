"""Prices in columns are the schedule's to the fen, and its yearly rates to a unit of 1e-12."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest

from fenqi.money import MAX_MINOR, MoneyError, round_half_even
from fenqi.terms.columns import Prices, _Rounding, _share_wide, in_columns, price_columns
from fenqi.terms.cost import cost_of
from fenqi.terms.plan import (
    Annuity,
    Balloon,
    Bearer,
    Conventions,
    DownPayment,
    EqualPrincipal,
    FlatFee,
    PayInFull,
    Plan,
    Pricing,
    TermsError,
    ZeroInterest,
    check_plan,
)
from fenqi.terms.schedule import build_schedule

from .plans import LOAN_12, MALL_12, START

MONEY = (
    "down_minor",
    "financed_minor",
    "fee_minor",
    "total_minor",
    "first_minor",
    "rest_minor",
    "last_minor",
    "smallest_minor",
    "largest_minor",
)


def plain_price(plan: Plan, amount: int, start_on: date = START) -> dict[str, int] | None:
    """The same figures from the schedule itself; None where the terms cannot be applied."""
    try:
        bill = build_schedule(plan, amount, "CNY", start_on)
    except (TermsError, MoneyError):
        return None
    cost = cost_of(bill, plan)
    totals = [row.total_minor for row in bill.rows if row.number]
    assert cost.simple_e12 is not None
    return {
        "down_minor": bill.down_payment_minor,
        "financed_minor": bill.financed_minor,
        "fee_minor": bill.fee_minor,
        "total_minor": bill.total_minor,
        "first_minor": totals[0],
        "rest_minor": totals[1] if len(totals) > 1 else totals[0],
        "last_minor": totals[-1],
        "smallest_minor": min(totals),
        "largest_minor": max(totals),
        "simple_e12": cost.simple_e12,
        "compounded_e12": cost.compounded_e12 or 0,
    }


def differences(plan: Plan, amounts: list[int]) -> tuple[list[tuple[int, str, int, int]], Prices]:
    """Where the columns and the schedule differ; a yearly rate may differ by one unit of 1e-12."""
    prices = price_columns(plan, np.array(amounts, dtype=np.int64))
    found = []
    for row, amount in enumerate(amounts):
        plain = plain_price(plan, amount)
        if plain is None:
            if prices.priced[row]:
                found.append((amount, "priced", 1, 0))
            continue
        if not prices.priced[row]:
            found.append((amount, "priced", 0, 1))
        if prices.careful[row]:
            continue
        for name, expected in plain.items():
            got = int(getattr(prices, name)[row])
            # A rate may differ by a unit, but free is free and a charge is a charge.
            if abs(got - expected) > (0 if name in MONEY else 1) or (got == 0) is not (expected == 0):
                found.append((amount, name, got, expected))
    return found, prices


def random_pricing(chance: Random) -> Pricing:
    def rate(most: str) -> Decimal:
        return Decimal(chance.randint(1, int(Decimal(most) * 10**6))).scaleb(-6)

    # Mostly what an agreement would say, sometimes far beyond it.
    high = chance.random() < 0.2
    return chance.choice(
        (
            lambda: ZeroInterest("shop"),
            lambda: FlatFee(rate_per_period=rate("0.2" if high else "0.015")),
            lambda: FlatFee(total_rate=rate("2" if high else "0.2")),
            lambda: FlatFee(total_rate=rate("0.1"), minimum_minor=chance.randint(0, 5_000)),
            lambda: Annuity(rate("5" if high else "0.36")),
            lambda: EqualPrincipal(rate("5" if high else "0.36")),
        )
    )()


def random_plan(chance: Random) -> Plan:
    down: DownPayment | None = None
    if chance.random() < 0.4:
        share = Decimal(chance.randint(1, 99)).scaleb(-2)
        down = (
            DownPayment(share=share)
            if chance.random() < 0.5
            else DownPayment(amount_minor=chance.randint(1, 3_000))
        )
    return Plan(
        "any",
        "any",
        "shop",
        "loan",
        chance.choice((1, 2, 3, 6, 12, 24, 36, chance.randint(1, 60))),
        random_pricing(chance),
        unit=chance.choice(("day", "week", "half_month", "month", "month", "month")),
        every=chance.choice((1, 1, 2, 3)),
        down_payment=down,
        defer_periods=chance.choice((0, 0, 1, 3)),
        residue=chance.choice(("first", "last", "spread")),
    )


def random_amounts(chance: Random, count: int) -> list[int]:
    spans = (60, 10_000, 10_000_000, 10_000_000, 10**12, MAX_MINOR)
    return [0, -5, MAX_MINOR + 1, 1] + [chance.randint(1, chance.choice(spans)) for _ in range(count)]


def test_any_plan_on_any_amount_costs_in_columns_what_its_schedule_says() -> None:
    chance = Random(20261123)
    cells = left = 0
    for _ in range(2_000):
        plan = random_plan(chance)
        if check_plan(plan):
            continue
        assert in_columns(plan)
        found, prices = differences(plan, random_amounts(chance, 30))
        assert found == [], plan
        cells += len(prices)
        left += int(prices.careful.sum())
    assert cells > 50_000
    # What is left to the schedules is the exception: rates above 500 %, and fens paid back before their time.
    assert left < cells / 8


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(60))
def test_any_plan_on_any_amount_costs_in_columns_what_its_schedule_says_for_long(seed: int) -> None:
    chance = Random(seed)
    for _ in range(3_000):
        plan = random_plan(chance)
        if not check_plan(plan):
            assert differences(plan, random_amounts(chance, 60))[0] == [], plan


@pytest.mark.parametrize(
    "plan",
    [
        MALL_12,
        LOAN_12,
        msgspec.structs.replace(MALL_12, pricing=FlatFee(total_rate=Decimal("0.075")), residue="spread"),
        msgspec.structs.replace(LOAN_12, pricing=Annuity(Decimal("0.18")), periods=24),
        msgspec.structs.replace(LOAN_12, pricing=EqualPrincipal(Decimal("0.155"))),
        msgspec.structs.replace(MALL_12, pricing=ZeroInterest("shop"), periods=3),
        msgspec.structs.replace(MALL_12, pricing=PayInFull(), periods=1),
    ],
    ids=lambda plan: plan.pricing.__struct_config__.tag,
)
def test_everyday_amounts_are_all_priced_in_columns(plan: Plan) -> None:
    amounts = list(range(9_900, 3_000_000, 9_973))
    found, prices = differences(plan, amounts)
    assert found == []
    assert not prices.careful.any()


def test_a_known_table_comes_out_by_hand() -> None:
    # ¥6,000 in 12 at 0.6 % a period: 432 fee, 12 x (500 + 36); a cent more goes into the first.
    two = price_columns(MALL_12, np.array([600_000, 600_001]))
    assert two.first_minor.tolist() == [53_600, 53_601]
    assert two.rest_minor.tolist() == two.last_minor.tolist() == [53_600, 53_600]
    assert two.fee_minor.tolist() == [43_200, 43_200]
    assert [round(rate / 10**10, 2) for rate in two.simple_e12.tolist()] == [13.03, 13.03]
    free = price_columns(msgspec.structs.replace(MALL_12, pricing=ZeroInterest("shop")), np.array([600_000]))
    assert (free.simple_e12.tolist(), free.compounded_e12.tolist()) == ([0], [0])


def test_a_charge_of_one_fen_is_never_shown_as_free() -> None:
    plan = msgspec.structs.replace(MALL_12, pricing=FlatFee(total_rate=Decimal(0), minimum_minor=1))
    prices = price_columns(plan, np.array([MAX_MINOR]))
    assert prices.fee_minor.tolist() == [1]
    assert prices.simple_e12.tolist() == prices.compounded_e12.tolist() == [1]
    found, prices = differences(plan, [MAX_MINOR, *(10**digits for digits in range(4, 15)), 5])
    assert found == []
    assert not prices.careful[:-1].any()


def test_rates_that_are_almost_nothing_are_found_all_the_same() -> None:
    chance = Random(8)
    for periods in (2, 7, 12, 36, 60):
        for fee in (1, 40, 1_000):
            plan = msgspec.structs.replace(
                MALL_12, periods=periods, pricing=FlatFee(total_rate=Decimal(0), minimum_minor=fee)
            )
            found, prices = differences(plan, [int(10 ** chance.uniform(5, 15)) for _ in range(200)])
            assert found == []
            assert not prices.careful.any()


def test_a_wrong_plan_is_refused_as_its_schedule_refuses_it() -> None:
    with pytest.raises(TermsError, match="plan mall-12: periods is 0"):
        price_columns(msgspec.structs.replace(MALL_12, periods=0), np.array([1]))


# Another value for each field that changes how a plan is priced and that the columns do not know.
UNKNOWN_TO_COLUMNS: dict[str, Any] = {
    "conventions": Conventions(rounding="half_up"),
    "deferral_interest": "first_bill",
    "due_day": 15,
    "min_first_days": 10,
    "odd_first": "by_days",
    "grace_principal": 1,
    "grace_interest": 1,
    "interest_free_periods": 1,
    "holiday": "following",
    "calendar": "cn",
    "bearers": (Bearer("shop", Decimal(1)),),
    "pricing": Annuity(Decimal("0.1"), Balloon(share=Decimal("0.2"))),
}


@pytest.mark.parametrize("field", UNKNOWN_TO_COLUMNS)
def test_a_plan_that_the_columns_do_not_know_is_left_to_its_schedule(field: str) -> None:
    plan = msgspec.structs.replace(LOAN_12, **{field: UNKNOWN_TO_COLUMNS[field]})
    assert in_columns(LOAN_12)
    assert not in_columns(plan)


def test_a_field_that_a_plan_gains_later_is_not_taken_for_known() -> None:
    known = {
        "id", "family", "funder", "legal_form", "periods", "pricing", "unit", "every", "down_payment", "defer_periods",
        "authority", "residue", "fee_code", "fee_payee", "contingent", "indicative_basis",
        "conventions",  # of which every field but the profile's name counts, as above
    }  # fmt: skip
    for field in msgspec.structs.fields(Plan):
        if field.name not in known:
            assert not in_columns(msgspec.structs.replace(MALL_12, **{field.name: object()})), field.name


def test_products_that_do_not_fit_64_bits_are_rounded_as_python_rounds_them() -> None:
    chance = Random(3)
    for _ in range(300):
        denominator = chance.choice((2, 10**6, 10**18 + 9, 2**70, 3**50))
        ratio = Fraction(chance.randint(1, denominator * 2), denominator)
        amounts = [chance.randint(0, 2 ** chance.randint(1, 50)) for _ in range(50)]
        expected = [round_half_even(amount * ratio.numerator, ratio.denominator) for amount in amounts]
        assert _Rounding(ratio, max(amounts))(np.array(amounts)).tolist() == expected
        assert _share_wide(np.array(amounts), ratio).tolist() == expected


def test_halves_go_to_the_even_fen() -> None:
    assert _Rounding(Fraction(1, 2), 10)(np.array([1, 3, 5, 7])).tolist() == [0, 2, 2, 4]
    assert _share_wide(np.array([1, 3, 5, 7]), Fraction(1, 2)).tolist() == [0, 2, 2, 4]


def test_no_rows_cost_nothing() -> None:
    assert len(price_columns(MALL_12, np.array([], dtype=np.int64))) == 0
