"""Disclosure: what is shown, what is booked and what is computed are the same figures."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.terms.plans import AT_ONCE, LOAN_12, MALL_3, MALL_12, START, Case, cases

from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import TABLE_VERSION, Disclosure, digest, disclose, percent
from fenqi.terms.plan import ContingentCost, FlatFee, Plan
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

MALL = Text("商城", "The mall")


def table(plan: Plan, amount_minor: int = 600_000, start_on: date = START) -> Disclosure:
    schedule = build_schedule(plan, amount_minor, "CNY", start_on)
    return disclose(plan, schedule, cost_of(schedule, plan), MALL)


def test_every_field_of_the_table_for_6000_in_12() -> None:
    shown = table(MALL_12)
    assert (shown.table_version, shown.authority, shown.currency) == (TABLE_VERSION, "shop", "CNY")
    assert (shown.principal_minor, shown.periods) == (600_000, 12)
    assert (shown.total_cost_minor, shown.total_repayment_minor) == (43_200, 643_200)
    (item,) = shown.items
    assert item.code == "instalment_fee"
    assert item.name.zh_cn == "分期手续费"
    assert item.timing.en == "with each instalment"
    assert item.basis.zh_cn == "按分期本金每期0.6%收取"
    assert (item.amount_minor, item.payee, item.payee_name) == (43_200, "shop", MALL)
    cost = shown.annual_cost
    assert (cost.shown_percent, cost.shown_compounded_percent) == ("13.03", "13.84")
    assert "单利" in cost.label.zh_cn
    assert "simple" in cost.label.en
    assert cost.method == "cn_irr_x12_simple@1"
    assert "不收取任何其他费用" in shown.nothing_else.zh_cn


def test_a_fee_in_total_and_an_interest_rate_say_their_standard_with_every_digit() -> None:
    total = msgspec.structs.replace(MALL_12, pricing=FlatFee(total_rate=Decimal("0.0712345")))
    assert table(total).items[0].basis.en == "7.12345% of the amount financed in total, over 12 instalments"
    interest = table(LOAN_12).items[0]
    assert interest.name.zh_cn == "利息"
    assert interest.basis.zh_cn == "按剩余本金计息，年利率7.2%"
    assert interest.annual_rate_e12 == 72_000_000_000


def test_a_cards_instalments_cost_interest_by_name() -> None:
    card = msgspec.structs.replace(MALL_12, legal_form="card_instalment", fee_payee="bank")
    item = table(card).items[0]
    assert item.name.zh_cn == "分期利息"
    assert (item.payee, item.payee_name.en) == ("bank", "bank")


def test_a_subsidy_is_said_and_not_counted() -> None:
    shown = table(MALL_3)
    (item,) = shown.items
    assert (item.amount_minor, item.annual_rate_e12) == (0, 0)
    assert item.basis.en == "borne by the shop; you pay nothing"
    assert shown.total_cost_minor == 0
    assert shown.annual_cost.simple_e12 == 0
    assert shown.annual_cost.shown_percent == "0.00"


def test_paying_at_once_has_no_cost_to_list() -> None:
    shown = table(AT_ONCE)
    assert shown.items == ()
    assert shown.total_repayment_minor == 600_000


def test_contingent_costs_stand_apart_and_count_in_nothing() -> None:
    late = ContingentCost("late", Text("逾期利息", "Late interest"), Text("每日0.05%", "0.05% a day"), "shop")
    with_late = table(msgspec.structs.replace(MALL_12, contingent=(late,)))
    without = table(MALL_12)
    assert with_late.contingent == (late,)
    assert with_late.items == without.items
    assert with_late.annual_cost == without.annual_cost
    assert with_late.nothing_else != without.nothing_else


def test_a_funders_figures_say_on_what_basis_they_are_indicative() -> None:
    basis = Text("按标准费率测算，以资金方页面为准", "At the standard rate; the funder's page decides")
    plan = msgspec.structs.replace(MALL_12, authority="funder", indicative_basis=basis)
    shown = table(plan)
    assert (shown.authority, shown.indicative_basis) == ("funder", basis)


def test_a_table_is_named_by_what_it_says() -> None:
    name = digest(table(MALL_12))
    assert name == digest(table(msgspec.structs.replace(MALL_12)))
    assert name.startswith("sha256:")
    assert len(name) == 71
    assert name != digest(table(MALL_12, 600_001))
    again = msgspec.json.decode(msgspec.json.encode(table(MALL_12)), type=Disclosure)
    assert digest(again) == name


@given(cases())
def test_shown_equals_scheduled_to_the_fen(case: Case) -> None:
    schedule = build_schedule(case.plan, case.amount_minor, "CNY", case.start_on)
    shown = disclose(case.plan, schedule, cost_of(schedule, case.plan), MALL)
    assert sum(item.amount_minor for item in shown.items) == shown.total_cost_minor == schedule.fee_minor
    instalments = [row for row in schedule.rows if row.kind == "instalment"]
    assert shown.total_repayment_minor == sum(row.total_minor for row in instalments)
    assert shown.principal_minor == sum(row.principal_minor for row in instalments)


@pytest.mark.parametrize(
    ("rate_e12", "places", "shown"),
    [
        (130_350_000_000, 1, "13.0"),
        (30_550_000_000, 1, "3.1"),
        (30_550_000_000, 2, "3.06"),
        (50_000_000, 2, "0.01"),
        (49_999_999, 2, "0.00"),
        (-49_999_999, 2, "0.00"),
        (-50_000_000, 2, "-0.01"),
        (999_950_000_000, 2, "100.00"),
        (130_000_000_000, 0, "13"),
        (1, 10, "0.0000000001"),
        (0, 2, "0.00"),
    ],
)
def test_a_rate_is_displayed_half_up(rate_e12: int, places: int, shown: str) -> None:
    assert percent(rate_e12, places) == shown


def test_places_beyond_the_figure_are_refused() -> None:
    with pytest.raises(ValueError, match="places"):
        percent(1, 11)


@given(st.integers(-(10**15), 10**15), st.integers(0, 10))
def test_a_displayed_rate_is_within_half_its_last_place(rate_e12: int, places: int) -> None:
    shown = Decimal(percent(rate_e12, places))
    assert abs(shown - Decimal(rate_e12).scaleb(-10)) <= Decimal(5).scaleb(-places - 1)
