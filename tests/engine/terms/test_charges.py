"""Charges: when a fee is due, who bears it, who receives it, and that no fen of it is lost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.terms.plans import LOAN_12, MALL_12, START

from fenqi.money import Residue
from fenqi.terms.charges import apportion, split_by_multiple
from fenqi.terms.cost import CashFlow, CashFlows, annual_cost
from fenqi.terms.disclosure import percent
from fenqi.terms.plan import Bearer, Conventions, DownPayment, Fee, FeeTiming, FlatFee, Plan, ZeroInterest
from fenqi.terms.schedule import Schedule, build_schedule
from fenqi.texts import Text

RATE = Decimal("0.006")
GUARANTEE = Fee(
    code="guarantee",
    name=Text("担保费", "Guarantee fee"),
    payee="guarantor",
    total_rate=Decimal("0.02"),
    timing="up_front",
)


def timed(timing: FeeTiming, minimum_minor: int = 0) -> Plan:
    pricing = FlatFee(RATE, timing=timing, minimum_minor=minimum_minor)
    return msgspec.structs.replace(MALL_12, pricing=pricing)


def bill(plan: Plan, amount_minor: int = 600_000, start_on: date = START) -> Schedule:
    return build_schedule(plan, amount_minor, "CNY", start_on)


def simple_percent(schedule: Schedule) -> str:
    """IRR x 12 of the flows: what is paid at the start lowers what is advanced."""
    at_start = sum(row.fee_minor for row in schedule.rows if not row.number)
    payments = tuple(CashFlow(row.number, row.total_minor) for row in schedule.rows if row.number)
    flows = CashFlows((CashFlow(0, schedule.financed_minor - at_start),), payments)
    rate_e12 = annual_cost("cn_irr_x12_simple@1", flows).rate_e12
    assert rate_e12 is not None
    return percent(rate_e12)


# ¥6,000 in 12 instalments of ¥500; the fee is 12 x 0.6 % x ¥6,000 = ¥432, whenever it is due. What differs is
# for how long the customer has the ¥432: never (14.02 %), one month (13.86), half a year on average (13.03), a year (12.33).


@pytest.mark.parametrize(
    ("timing", "at_start", "first", "middle", "last", "cost"),
    [
        ("per_period", None, 53_600, 53_600, 53_600, "13.03"),
        ("first_bill", None, 93_200, 50_000, 50_000, "13.86"),
        ("up_front", 43_200, 50_000, 50_000, 50_000, "14.02"),
        ("at_end", None, 50_000, 50_000, 93_200, "12.33"),
    ],
)
def test_the_same_fee_costs_more_the_sooner_it_is_due(
    timing: FeeTiming, at_start: int | None, first: int, middle: int, last: int, cost: str
) -> None:
    schedule = bill(timed(timing))
    rows = {row.number: row for row in schedule.rows}
    assert (rows[1].total_minor, rows[6].total_minor, rows[12].total_minor) == (first, middle, last)
    assert (rows[0].total_minor if 0 in rows else None) == at_start
    assert (schedule.fee_minor, schedule.total_minor) == (43_200, 643_200)
    assert simple_percent(schedule) == cost
    assert schedule.charges == ()


def test_what_is_due_at_the_start_is_one_row() -> None:
    upfront = bill(timed("up_front")).rows[0]
    assert (upfront.number, upfront.kind, upfront.due_on) == (0, "up_front", START)
    assert (upfront.principal_minor, upfront.fee_minor) == (0, 43_200)
    # With 30 % down: the fee is on the ¥4,200 financed, ¥302.40, beside the ¥1,800.
    both = bill(
        msgspec.structs.replace(timed("up_front"), down_payment=DownPayment(share=Decimal("0.3")))
    ).rows
    assert (both[0].kind, both[0].principal_minor, both[0].fee_minor) == ("down_payment", 180_000, 30_240)
    assert [row.number for row in both] == list(range(13))


def test_a_fee_is_never_less_than_its_minimum() -> None:
    # 12 x 0.6 % of ¥100 is ¥7.20; of ¥200 it is ¥14.40.
    assert bill(timed("per_period", 1_000), 10_000).fee_minor == 1_000
    assert bill(timed("at_end", 1_000), 10_000).rows[-1].fee_minor == 1_000
    assert bill(timed("per_period", 1_000), 20_000).fee_minor == 1_440


# P = ¥10: the fee is ¥0.72, ¥0.06 each; ¥10.00 / 12 = ¥0.83 and 4 fen over.


@pytest.mark.parametrize(
    ("residue", "rows", "cost"),
    [
        ("first", [93, *[89] * 11], "13.08"),
        ("last", [*[89] * 11, 93], "12.99"),
        ("spread", [*[90] * 4, *[89] * 8], None),
    ],
)
def test_of_ten_yuan_the_residue_shows_in_the_cost(
    residue: Residue, rows: list[int], cost: str | None
) -> None:
    schedule = bill(msgspec.structs.replace(MALL_12, residue=residue), 1_000)
    assert [row.total_minor for row in schedule.rows] == rows
    assert schedule.total_minor == 1_072
    if cost is not None:
        assert simple_percent(schedule) == cost


def test_instalments_in_whole_yuan_leave_the_rest_to_the_first() -> None:
    whole = msgspec.structs.replace(MALL_12, conventions=Conventions(instalment_multiple_minor=100))
    # ¥5,999: 499 x 12 = 5,988, and 11 over. The fee is ¥431.93 (431.928): 35 x 12 = 420, and 11.93 over.
    rows = bill(whole, 599_900).rows
    assert (rows[0].principal_minor, rows[0].fee_minor) == (51_000, 4_693)
    assert {(row.principal_minor, row.fee_minor) for row in rows[1:]} == {(49_900, 3_500)}


def test_a_down_payment_too_is_a_whole_multiple_unless_nothing_would_be_left_of_it() -> None:
    down = DownPayment(share=Decimal("0.3"))
    whole = msgspec.structs.replace(
        MALL_12, down_payment=down, conventions=Conventions(instalment_multiple_minor=100)
    )
    # 30 % of ¥5,999 is ¥1,799.70.
    assert bill(whole, 599_900).down_payment_minor == 180_000
    # Half to even: 30 % of ¥15 is ¥4.50, and of ¥5 ¥1.50.
    assert bill(whole, 1_500).down_payment_minor == 400
    assert bill(whole, 500).down_payment_minor == 200
    # 30 % of ¥1.20 is ¥0.36: no whole yuan.
    assert bill(whole, 120).down_payment_minor == 36


# --- fees beside the pricing -------------------------------------------------------------------------------


def test_a_guarantors_fee_stands_beside_the_interest_with_its_payee() -> None:
    # ¥10,000 at 7.2 %, and 2 % for the guarantor at once: the joint cost is 11.01 %.
    schedule = bill(msgspec.structs.replace(LOAN_12, fees=(GUARANTEE,)), 1_000_000)
    interest, guarantee = schedule.charges
    assert (interest.code, interest.payee, guarantee.code, guarantee.payee) == (
        "instalment_fee",
        "lender",
        "guarantee",
        "guarantor",
    )
    assert guarantee.by_row_minor == (20_000, *[0] * 12)
    assert interest.by_row_minor[:3] == (0, 6_000, 5_516)
    assert simple_percent(schedule) == "11.01"


def test_every_row_is_the_sum_of_its_charges() -> None:
    service = Fee(
        code="service",
        name=Text("服务费", "Service fee"),
        payee="platform",
        amount_minor=1_001,
        timing="per_period",
    )
    stamp = Fee(
        code="stamp",
        name=Text("工本费", "Stamp"),
        payee="shop",
        rate_per_period=Decimal("0.0001"),
        minimum_minor=600,
        timing="at_end",
    )
    schedule = bill(msgspec.structs.replace(timed("first_bill"), fees=(GUARANTEE, service, stamp)))
    # 432.00 in the first bill, 120.00 at once, 10.01 over 12 (0.83 each and 0.05 first), 12 x 0.01 % = 7.20 (at least 6.00).
    assert [charge.total_minor for charge in schedule.charges] == [43_200, 12_000, 1_001, 720]
    for position, row in enumerate(schedule.rows):
        assert row.fee_minor == sum(charge.by_row_minor[position] for charge in schedule.charges)
    assert [schedule.rows[n].fee_minor for n in (0, 1, 2, 12)] == [12_000, 43_288, 83, 803]
    assert schedule.fee_minor == 56_921


def test_without_interest_and_with_a_fee_only_the_fee_is_charged() -> None:
    schedule = bill(msgspec.structs.replace(MALL_12, pricing=ZeroInterest("shop"), fees=(GUARANTEE,)))
    assert [(charge.code, charge.total_minor) for charge in schedule.charges] == [
        ("instalment_fee", 0),
        ("guarantee", 12_000),
    ]
    assert schedule.fee_minor == 12_000


# --- who bears what ----------------------------------------------------------------------------------------


def test_what_shop_and_brand_bear_is_in_no_row() -> None:
    bearers = (
        Bearer("shop", Decimal("0.3")),
        Bearer("customer", Decimal("0.5")),
        Bearer("brand", Decimal("0.2")),
    )
    schedule = bill(msgspec.structs.replace(MALL_12, bearers=bearers))
    # Of ¥432.00: the customer ¥216.00, which is ¥18.00 each time; the shop ¥129.60, the brand ¥86.40.
    assert {row.fee_minor for row in schedule.rows} == {1_800}
    assert schedule.fee_minor == 21_600
    assert [(borne.party, borne.amount_minor) for borne in schedule.borne] == [
        ("shop", 12_960),
        ("brand", 8_640),
    ]


def test_a_third_of_a_bank_loans_interest_is_the_states() -> None:
    # ¥30,000 at 3 %, level pay: ¥489.73 of interest; a subsidy of one point of the three, worked out each month on
    # what is owed, is ¥163.24 and leaves ¥326.49 (财金〔2026〕1号). In whole fen, month by month, the interest is ¥489.74,
    # of which a third is ¥163.247.
    third = Decimal("0.333333333333333333")
    plan = msgspec.structs.replace(
        LOAN_12,
        pricing=msgspec.structs.replace(LOAN_12.pricing, annual_rate=Decimal("0.03")),
        bearers=(Bearer("funder", third), Bearer("customer", 1 - third)),
    )
    schedule = bill(plan, 3_000_000)
    assert schedule.fee_minor == 32_649
    assert [(borne.party, borne.amount_minor) for borne in schedule.borne] == [("funder", 16_325)]
    # Each row's interest is shared: the first one's ¥75.00 leaves ¥50.00.
    assert schedule.rows[0].fee_minor == 5_000


def test_what_the_shop_bears_whole_costs_the_customer_exactly_nothing() -> None:
    schedule = bill(msgspec.structs.replace(MALL_12, bearers=(Bearer("shop", Decimal(1)),)))
    assert schedule.fee_minor == 0
    assert schedule.borne[0].amount_minor == 43_200


shares = st.lists(st.integers(1, 1000), min_size=1, max_size=5).map(
    lambda weights: tuple(Fraction(weight, sum(weights)) for weight in weights)
)


@given(st.integers(0, 10**15), shares)
def test_shares_come_to_the_whole_and_none_is_off_by_more_than_a_fen(
    total: int, parts: tuple[Fraction, ...]
) -> None:
    found = apportion(total, parts)
    assert sum(found) == total
    assert all(abs(part - total * share) <= 1 for part, share in zip(found, parts, strict=True))
    assert min(found) >= 0


@given(
    st.integers(0, 10**12),
    st.integers(1, 60),
    st.sampled_from(["first", "last", "spread"]),
    st.integers(1, 1000),
)
def test_all_but_one_part_are_whole_multiples(total: int, n: int, residue: Residue, multiple: int) -> None:
    parts = split_by_multiple(total, n, residue, multiple)
    assert (sum(parts), len(parts)) == (total, n)
    assert sum(part % multiple != 0 for part in parts) <= 1
    assert min(parts) >= 0
