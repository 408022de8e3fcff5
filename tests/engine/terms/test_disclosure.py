"""Disclosure: what is shown, what is booked and what is computed are the same figures."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.terms.plans import AT_ONCE, LOAN_12, MALL_3, MALL_12, START, Case, cases

from fenqi.contracts.terms import ContractTerms, TermsMismatch, pin
from fenqi.terms.cost import COMPOUNDED, SIMPLE, CashFlow, CashFlows, cost_of, sum_of_items
from fenqi.terms.disclosure import (
    FIRST_VERSION,
    MANNER,
    SUM_OF_ITEMS,
    TABLE_VERSION,
    Disclosure,
    Manner,
    digest,
    disclose,
    loan_cost_fields,
    percent,
    rates_of,
)
from fenqi.terms.plan import (
    Annuity,
    Bearer,
    ContingentCost,
    Conventions,
    DownPayment,
    EqualPrincipal,
    Fee,
    FlatFee,
    FlatInterest,
    InterestOnly,
    Plan,
    TermsError,
)
from fenqi.terms.rent import Buyout, Deposit, Lease, Rent
from fenqi.terms.schedule import Charge, Row, Schedule, build_schedule
from fenqi.texts import Text

KEPT = Path(__file__).parent / "kept"

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
    assert (shown.is_credit, shown.reading_seconds) == (False, 0)
    assert shown.total_repayment_minor == 600_000


def test_contingent_costs_stand_apart_and_count_in_nothing() -> None:
    late = ContingentCost("late", Text("逾期利息", "Late interest"), Text("每日0.05%", "0.05% a day"), "shop")
    with_late = table(msgspec.structs.replace(MALL_12, contingent=(late,)))
    without = table(MALL_12)
    (item,) = with_late.contingent
    assert (item.code, item.name, item.basis, item.payee) == (late.code, late.name, late.basis, late.payee)
    assert (item.phase, item.kind, item.payee_name) == ("contingent", "overdue_penalty_interest", MALL)
    assert {item.phase for item in with_late.items} == {"normal"}
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


# ---------------------------------------------------------------- several costs, each annualised and then added up

LENDER, GUARANTOR = Text("某银行", "A bank"), Text("某融资担保公司", "A guarantor")
GUARANTEED = msgspec.structs.replace(
    LOAN_12,
    fees=(
        Fee(
            code="guarantee_fee",
            name=Text("担保费", "Guarantee fee"),
            payee="guarantor",
            payee_name=GUARANTOR,
            amount_minor=20_000,
            timing="up_front",
        ),
    ),
    contingent=(
        ContingentCost(
            "late_interest",
            Text("逾期罚息", "Overdue penalty interest"),
            Text("按贷款利率上浮50%，即年利率10.8%", "the loan's rate plus 50 %: 10.8 % a year"),
            "lender",
        ),
        ContingentCost(
            "misuse_interest",
            Text("挪用罚息", "Misuse penalty interest"),
            Text("按贷款利率上浮100%，即年利率14.4%", "the loan's rate plus 100 %: 14.4 % a year"),
            "lender",
        ),
        ContingentCost(
            "prepayment_charge",
            Text("提前结清违约金", "Early settlement charge"),
            Text("提前归还本金的1%", "1 % of the principal paid back early"),
            "lender",
        ),
    ),
)


def guaranteed_bill() -> Schedule:
    """¥10,000 at 7.2 % in 12 equal instalments, and ¥200 to a guarantor at the start."""
    bare = build_schedule(LOAN_12, 1_000_000, "CNY", START)
    interest = Charge("instalment_fee", "lender", (0, *(row.fee_minor for row in bare.rows)))
    guarantee = Charge("guarantee_fee", "guarantor", (20_000, *(0 for _ in bare.rows)))
    return msgspec.structs.replace(
        bare,
        fee_minor=bare.fee_minor + 20_000,
        total_minor=bare.total_minor + 20_000,
        rows=(Row(0, "up_front", START, 0, 20_000), *bare.rows),
        charges=(interest, guarantee),
    )


def guaranteed_table(manner: Manner = MANNER) -> Disclosure:
    bill = guaranteed_bill()
    return disclose(GUARANTEED, bill, cost_of(bill, GUARANTEED), LENDER, manner=manner)


def test_a_published_table_field_by_field() -> None:
    """The fields are those of a published form, the figures those of a published case.

    No filled-in 综合融资成本明示表 of a lender was found to copy. The fields are all nineteen of Alipay's published class
    `LoanCostDisclosureInfo` (SDK of 2026-07-08); the figures are the case `worked-guarantee-joint` of
    tests/vectors/data/market_cases.json (7.2 % + 3.7053 % = 10.9053 %, jointly 11.0108 %), and by hand: 7.2 % x 1.5 and x 2
    for the penalties (银发〔2003〕251号).
    """
    shown = guaranteed_table(Manner(shown="sum_of_items", ceiling=Decimal("0.24")))
    record = loan_cost_fields(shown)
    guarantee_rate, cost_rate = record.pop("guarantee_fee_rate"), record.pop("cost_rate")
    assert isinstance(guarantee_rate, str)
    assert isinstance(cost_rate, str)
    assert round(Decimal(guarantee_rate) * 100, 4) == Decimal("3.7053")
    assert round(Decimal(cost_rate) * 100, 4) == Decimal("10.9053")
    assert record == {
        "capped": True,
        "loan_interest_rate": "0.072",
        "loan_interest_rate_type": "固定利率",
        "loan_interest_repay_mode": "等额本息",
        "loan_interest_org_name": "某银行",
        "guarantee_fee_rate_type": "固定费率",
        "guarantee_fee_repay_mode": "签约时一次性收取",
        "guarantee_fee_org_name": "某融资担保公司",
        "overdue_penalty_interest_text": "按贷款利率上浮50%，即年利率10.8%",
        "overdue_penalty_interest_org_name": "某银行",
        "misappropriation_penalty_interest_text": "按贷款利率上浮100%，即年利率14.4%",
        "misappropriation_penalty_interest_org_name": "某银行",
        "prepayment_penalty_name": "提前结清违约金",
        "prepayment_penalty_text": "提前归还本金的1%",
        "prepayment_penalty_org_name": "某银行",
    }
    assert len(record) + 2 + len(("other_fee_text", "other_fee_org_name")) == 19
    # And what the class leaves to its surroundings.
    assert (shown.principal_minor, shown.periods, shown.unit, shown.every) == (1_000_000, 12, "month", 1)
    assert (shown.table_version, shown.reading_seconds) == ("cn-2026-08@2", 10)
    assert shown.ceiling_e12 == 240_000_000_000


def test_the_schedule_of_the_published_case_is_the_engines_own() -> None:
    assert build_schedule(GUARANTEED, 1_000_000, "CNY", START).rows == guaranteed_bill().rows
    assert build_schedule(GUARANTEED, 1_000_000, "CNY", START).charges == guaranteed_bill().charges


def test_all_yearly_figures_are_kept_and_one_leads_with_its_label() -> None:
    cost = guaranteed_table().annual_cost
    # Whole fen move the joint rate in its fifth place: 11.0108 % is that of exact instalments.
    assert abs(Decimal(cost.simple_e12 or 0).scaleb(-10) - Decimal("11.0108")) < Decimal("0.0002")
    assert abs(Decimal(cost.compounded_e12 or 0).scaleb(-10) - Decimal("11.5839")) < Decimal("0.0002")
    assert (cost.shown_percent, cost.shown_compounded_percent, cost.shown_sum_percent) == (
        "11.01",
        "11.58",
        "10.91",
    )
    for leading, method, word in (
        ("simple", SIMPLE, "单利"),
        ("compounded", COMPOUNDED, "复利"),
        ("sum_of_items", SUM_OF_ITEMS, "年化之和"),
    ):
        rates = rates_of(guaranteed_table(Manner(shown=leading)).annual_cost)  # type: ignore[arg-type]
        assert (rates[0].method, len(rates)) == (method, 3)
        assert word in rates[0].label.zh_cn
        assert "正常履约年化综合融资成本" in rates[0].label.zh_cn
    assert digest(guaranteed_table()) != digest(guaranteed_table(Manner(shown="compounded")))


def test_each_costs_level_is_that_of_its_cash_flows() -> None:
    """The same by the other road: `sum_of_items` over typed-in flows."""
    bill = guaranteed_bill()
    principal = CashFlows(
        (CashFlow(0, 1_000_000),),
        tuple(CashFlow(row.number, row.principal_minor) for row in bill.rows if row.number),
    )
    parts = [
        [
            CashFlow(row.number, minor)
            for row, minor in zip(bill.rows, charge.by_row_minor, strict=True)
            if minor
        ]
        for charge in bill.charges
    ]
    _, levels = sum_of_items(principal, parts)
    interest, guarantee = guaranteed_table().items
    assert levels[1].rate_e12 is not None
    assert guarantee.annual_rate_e12 is not None
    assert abs(levels[1].rate_e12 - guarantee.annual_rate_e12) <= 1
    # Interest stands at the rate agreed; what its whole fen come to is within a thousandth of a percent of it.
    assert levels[0].rate_e12 is not None
    assert interest.annual_rate_e12 == 72_000_000_000
    assert abs(levels[0].rate_e12 - 72_000_000_000) < 10_000_000


def test_a_single_cost_is_its_own_sum() -> None:
    cost = table(MALL_12).annual_cost
    assert cost.sum_of_items_e12 == cost.simple_e12
    interest = table(LOAN_12).annual_cost
    assert interest.sum_of_items_e12 == 72_000_000_000


def test_the_sum_of_every_payees_costs_is_the_total() -> None:
    shown = guaranteed_table()
    assert [(item.code, item.kind, item.payee) for item in shown.items] == [
        ("instalment_fee", "interest", "lender"),
        ("guarantee_fee", "guarantee_fee", "guarantor"),
    ]
    interest = build_schedule(LOAN_12, 1_000_000, "CNY", START).fee_minor
    assert [item.amount_minor for item in shown.items] == [interest, 20_000]
    assert shown.total_cost_minor == interest + 20_000
    assert shown.total_repayment_minor == 1_000_000 + interest + 20_000


def test_other_fees_are_passed_on_in_words_and_contingent_costs_are_in_no_figure() -> None:
    service = Fee(
        code="service_fee",
        name=Text("服务费", "Service fee"),
        payee="platform",
        total_rate=Decimal("0.01"),
        minimum_minor=500,
        timing="first_bill",
    )
    plan = msgspec.structs.replace(LOAN_12, fees=(service,))
    bare = build_schedule(LOAN_12, 1_000_000, "CNY", START)
    rows = (msgspec.structs.replace(bare.rows[0], fee_minor=bare.rows[0].fee_minor + 10_000), *bare.rows[1:])
    bill = msgspec.structs.replace(
        bare,
        rows=rows,
        fee_minor=bare.fee_minor + 10_000,
        total_minor=bare.total_minor + 10_000,
        charges=(
            Charge("instalment_fee", "lender", tuple(row.fee_minor for row in bare.rows)),
            Charge("service_fee", "platform", (10_000, *[0] * 11)),
        ),
    )
    names = {"platform": Text("某平台", "A platform")}
    shown = disclose(plan, bill, cost_of(bill, plan), LENDER, names=names)
    record = loan_cost_fields(shown, "en")
    assert record["other_fee_text"] == "Service fee: 1% of the amount financed in total, at least ¥5.00"
    assert record["other_fee_org_name"] == "A platform"
    assert record["capped"] is False
    fee = shown.items[1]
    assert fee.timing.zh_cn == "随首期应还款一次性收取"
    assert fee.rate_method == SIMPLE
    # ¥100 of ¥10,000, paid after one month of about six and a half: between 1 % and 2 x 1 % / (6.5 / 12).
    assert fee.annual_rate_e12 is not None
    assert 10_000_000_000 < fee.annual_rate_e12 < 37_000_000_000
    with_late = msgspec.structs.replace(plan, contingent=GUARANTEED.contingent)
    same = disclose(with_late, bill, cost_of(bill, plan), LENDER, names=names)
    assert (same.items, same.annual_cost) == (shown.items, shown.annual_cost)
    assert "overdue_penalty_interest_text" not in record


def test_the_way_of_paying_back_is_said() -> None:
    for pricing, said in (
        (Annuity(Decimal("0.1")), "等额本息"),
        (EqualPrincipal(Decimal("0.1")), "等额本金"),
        (InterestOnly(Decimal("0.1")), "按期付息，到期还本"),
    ):
        plan = msgspec.structs.replace(LOAN_12, pricing=pricing)
        bill = build_schedule(LOAN_12, 600_000, "CNY", START)
        mode = disclose(plan, bill, cost_of(bill, plan), LENDER).items[0].repay_mode
        assert mode is not None
        assert mode.zh_cn == said


def test_an_agreed_rate_that_is_not_borne_all_the_time_is_worked_out() -> None:
    # One month's deferral without interest: 7.2 % on twelve of thirteen months' debt is less than 7.2 %.
    later = msgspec.structs.replace(LOAN_12, defer_periods=1)
    item = table(later).items[0]
    assert item.rate_method == SIMPLE
    assert item.annual_rate_e12 == table(later).annual_cost.simple_e12
    assert item.annual_rate_e12 is not None
    assert item.annual_rate_e12 < 72_000_000_000


def test_a_rate_is_agreed_for_a_year_only_where_a_year_bears_it() -> None:
    # Bought on 29 November and due on the 1st: two days bear a month's interest, which is 44.77 % a year, not 24 %.
    loan = msgspec.structs.replace(LOAN_12, periods=3, pricing=Annuity(Decimal("0.24")))
    on = date(2026, 11, 29)
    for change, is_agreed in (
        ({"due_day": 1}, False),
        ({"due_day": 1, "odd_first": "by_days"}, True),
        ({"conventions": Conventions(day_count="act/360")}, False),
        ({"conventions": Conventions(day_count="30/365")}, False),
        ({"conventions": Conventions(day_count="30/360")}, True),
        ({"conventions": Conventions(day_count="30/360"), "unit": "week"}, False),
        ({"conventions": Conventions(day_count="act/365")}, True),
    ):
        plan = msgspec.structs.replace(loan, **change)
        bill = build_schedule(plan, 600_000, "CNY", on)
        shown = disclose(plan, bill, cost_of(bill, plan), LENDER)
        item = shown.items[0]
        assert (item.rate_method == "agreed") is is_agreed, change
        assert item.annual_rate_e12 == (240_000_000_000 if is_agreed else shown.annual_cost.simple_e12)
    plan = msgspec.structs.replace(loan, due_day=1)
    bill = build_schedule(plan, 600_000, "CNY", on)
    # Interest of 120.00, 80.79 and 40.79, paid after 2, 32 and 62 days of a month of 30.
    assert disclose(plan, bill, cost_of(bill, plan), LENDER).annual_cost.shown_sum_percent == "44.77"


def test_a_flat_interest_on_the_price_says_so() -> None:
    # Half is paid down, and the interest is asked of the whole price: 6,000 x 24 % x a quarter of a year, by days.
    plan = msgspec.structs.replace(
        LOAN_12,
        periods=3,
        pricing=FlatInterest(Decimal("0.24")),
        down_payment=DownPayment(share=Decimal("0.5")),
        conventions=Conventions(flat_interest_on="price"),
    )
    bill = build_schedule(plan, 600_000, "CNY", START)
    assert bill.fee_minor == 36_000
    basis = disclose(plan, bill, cost_of(bill, plan), LENDER).items[0].basis
    assert basis.en == "24% a year on the price, down payment included, for the whole term"
    assert "含首付" in basis.zh_cn


@pytest.mark.parametrize(
    ("buyout", "amount", "basis"),
    [
        # 12 x 499 + 1600 + 1000 - 6999
        (
            Buyout(160_000),
            158_900,
            "rents, buyout and the deposit that is kept together, less the price of the goods",
        ),
        # 12 x 499 + 1000
        (
            None,
            698_800,
            "the rents and the deposit that is kept together; the goods go back at the end of the term",
        ),
    ],
)
def test_a_deposit_that_is_kept_is_named_where_it_is_counted(
    buyout: Buyout | None, amount: int, basis: str
) -> None:
    plan = Plan(
        "rent",
        "rent",
        "lessor",
        "operating_lease",
        12,
        Lease(
            rent=Rent(49_900),
            paid="in_advance",
            goods="new",
            deposit=Deposit(amount_minor=100_000, at_end="lost", release_days=0),
            buyout=buyout,
        ),
    )
    bill = build_schedule(plan, 699_900, "CNY", START)
    item = disclose(plan, bill, cost_of(bill, plan), LENDER).items[0]
    assert (item.amount_minor, item.basis.en) == (amount, basis)


def test_who_bears_which_share_is_said() -> None:
    shared = msgspec.structs.replace(
        MALL_12, bearers=(Bearer("customer", Decimal("0.5")), Bearer("brand", Decimal("0.5")))
    )
    bill = build_schedule(MALL_12, 600_000, "CNY", START)
    item = disclose(shared, bill, cost_of(bill, shared), MALL).items[0]
    assert item.basis.zh_cn == "按分期本金每期0.6%收取；其中您承担50%，品牌方承担50%"
    assert (
        item.basis.en
        == "0.6% of the amount financed for each period; of this you bear 50%, the brand bears 50%"
    )


def test_a_charge_that_the_plan_does_not_have_is_never_disclosed() -> None:
    bill = guaranteed_bill()
    with pytest.raises(TermsError, match="guarantee_fee"):
        disclose(LOAN_12, bill, cost_of(bill, LOAN_12), LENDER)


def test_a_contract_is_pinned_with_the_division_of_its_fees() -> None:
    # In an own book every fee is the lender's own: here it guarantees by itself.
    mall = msgspec.structs.replace(
        GUARANTEED, fees=(msgspec.structs.replace(GUARANTEED.fees[0], payee="lender", payee_name=None),)
    )
    bill = build_schedule(mall, 1_000_000, "CNY", START)
    shown = disclose(mall, bill, cost_of(bill, mall), LENDER)
    terms = pin(mall, bill, shown, zone="Asia/Shanghai", policy_digest="sha256:00")
    assert terms.charges == bill.charges
    dearer = msgspec.structs.replace(bill.charges[1], by_row_minor=(20_001, *[0] * 12))
    cheaper = msgspec.structs.replace(bill.charges[0], by_row_minor=(-1, *bill.charges[0].by_row_minor[1:]))
    for charges, place in (
        ((bill.charges[0], dearer), "charges.guarantee_fee"),
        ((cheaper, bill.charges[1]), "charges.instalment_fee"),
        ((bill.charges[0],), "charges, row 0"),
        ((bill.charges[0], msgspec.structs.replace(bill.charges[1], code="traffic_fee")), "charges"),
        (
            (bill.charges[0], msgspec.structs.replace(bill.charges[1], by_row_minor=(20_000,))),
            "charges.guarantee_fee",
        ),
    ):
        with pytest.raises(TermsMismatch) as refused:
            pin(
                mall,
                msgspec.structs.replace(bill, charges=charges),
                shown,
                zone="Asia/Shanghai",
                policy_digest="sha256:00",
            )
        assert refused.value.problem.place == place


# ------------------------------------------------------------------------------------ tables made before this layout

FIRST = {
    "mall_12": "sha256:061a2d039aa73bb915f5a5b7654c384d307c56ac05c62f860e93fd03e4edf6a9",
    "tingchao_3": "sha256:2a1c85df843f2720a55145fc183f0a889beaae39fc546e0fa8c84474fd8fdf08",
    "mall_3": "sha256:23abad7448786d824f5de7159492634adecc1031e1baad472e7f1d5cc32b35e2",
}
"""Names that the code of the first layout gave to the tables in `kept/`."""


@pytest.mark.parametrize("plan", FIRST)
def test_a_stored_table_of_the_first_layout_keeps_its_name(plan: str) -> None:
    old = msgspec.json.decode((KEPT / f"disclosure-1-{plan}.json").read_bytes(), type=Disclosure)
    assert old.table_version == FIRST_VERSION
    assert digest(old) == FIRST[plan]
    assert (old.reading_seconds, old.capped) == (0, False)
    # Read, stored again with what is new at its default, and read: still the same table.
    assert digest(msgspec.json.decode(msgspec.json.encode(old), type=Disclosure)) == FIRST[plan]
    assert [rate.shown_percent for rate in rates_of(old.annual_cost)] == [
        old.annual_cost.shown_percent,
        old.annual_cost.shown_compounded_percent,
    ]


def test_a_contract_pinned_before_keeps_its_table_and_its_fees() -> None:
    old = msgspec.json.decode((KEPT / "contract-1.json").read_bytes(), type=ContractTerms)
    assert old.disclosure_digest == FIRST["mall_12"] == digest(old.disclosure)
    assert old.charges == ()
