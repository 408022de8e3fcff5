"""Customer, funder, shop: three figures of one plan, and none in another's place."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from tests.engine.terms.plans import MALL_3, MALL_12, START, Case, wide_cases

from fenqi.terms.cost import COMPOUNDED, SIMPLE, annual_cost, cost_of, flows_of
from fenqi.terms.disclosure import percent
from fenqi.terms.plan import Bearer, Fee, FlatFee, Plan
from fenqi.terms.schedule import build_schedule
from fenqi.terms.viewpoints import Viewpoints, funder_flows, viewpoints
from fenqi.texts import Text


def seen(plan: Plan, amount_minor: int = 600_000) -> Viewpoints:
    return viewpoints(build_schedule(plan, amount_minor, "CNY", START), plan)


def shown(rate_e12: int | None) -> str:
    assert rate_e12 is not None
    return percent(rate_e12)


def borne_by(*shares: tuple[str, str]) -> Plan:
    pricing = FlatFee(total_rate=Decimal("0.072"))
    bearers = tuple(Bearer(party, Decimal(share)) for party, share in shares)  # type: ignore[arg-type]
    return Plan("free-12", "free", "bank", "loan", 12, pricing, bearers=bearers)


def test_interest_free_for_the_customer_is_14_02_for_the_funder_and_7_2_percent_for_the_shop() -> None:
    found = seen(borne_by(("shop", "1")))
    assert found.customer.rate_e12 == 0
    # The shop pays 432 at the start: 5,568 put up, 12 x 500 back.
    assert shown(found.funder.rate_e12) == "14.02"
    shop = found.burden("shop")
    assert shop is not None
    assert (shop.amount_minor, shop.share_e12) == (43_200, 72_000_000_000)
    assert found.burden("brand") is None


def test_what_the_customer_pays_the_funder_earns() -> None:
    found = seen(MALL_12)
    assert found.customer == found.funder
    assert shown(found.funder.rate_e12) == "13.03"
    assert found.burdens == ()


def test_half_borne_by_the_shop_and_a_quarter_by_the_brand() -> None:
    found = seen(borne_by(("customer", "0.25"), ("shop", "0.5"), ("brand", "0.25")))
    # 432: the customer pays 108, 9 a month; 324 come at the start.
    assert [(burden.party, burden.amount_minor) for burden in found.burdens] == [
        ("shop", 21_600),
        ("brand", 10_800),
    ]
    flows = funder_flows(build_schedule(borne_by(("customer", "0.25"), ("shop", "0.75")), 600_000, "CNY", START),
                         borne_by(("customer", "0.25"), ("shop", "0.75")))  # fmt: skip
    assert sorted((flow.at, flow.amount_minor) for flow in flows.payments)[0] == (0, 32_400)
    assert sum(flow.amount_minor for flow in flows.payments) == 643_200
    customer, funder = found.customer.rate_e12, found.funder.rate_e12
    assert customer is not None
    assert funder is not None
    assert 0 < customer < funder


def test_what_the_funder_bears_itself_moves_nothing() -> None:
    found = seen(borne_by(("funder", "1")))
    assert (found.customer.rate_e12, found.funder.rate_e12) == (0, 0)
    funder = found.burden("funder")
    assert funder is not None
    assert funder.amount_minor == 43_200


def test_a_guarantors_fee_costs_the_customer_and_earns_the_funder_nothing() -> None:
    fee = Fee(
        code="guarantee", name=Text("担保费", "Guarantee"), payee="guarantor", total_rate=Decimal("0.02")
    )
    plan = msgspec.structs.replace(MALL_12, fees=(fee,))
    found, without = seen(plan), seen(MALL_12)
    assert found.funder == without.customer
    assert (found.customer.rate_e12 or 0) > (without.customer.rate_e12 or 0)


def test_a_fee_of_its_own_payee_does_not_reach_the_funder() -> None:
    found = seen(msgspec.structs.replace(MALL_12, fee_payee="agent"))
    assert shown(found.customer.rate_e12) == "13.03"
    assert found.funder.rate_e12 == 0
    # What the shop bears goes to the fee's payee as well.
    borne = seen(msgspec.structs.replace(borne_by(("shop", "1")), fee_payee="agent"))
    assert (borne.customer.rate_e12, borne.funder.rate_e12) == (0, 0)
    assert borne.burdens[0].amount_minor == 43_200


def test_a_shops_own_interest_free_plan_earns_nothing() -> None:
    assert seen(MALL_3).funder.rate_e12 == 0


@given(wide_cases())
@settings(max_examples=200, deadline=None)
def test_the_funder_gets_what_customers_and_bearers_pay_less_what_goes_elsewhere(case: Case) -> None:
    schedule = build_schedule(case.plan, case.amount_minor, "CNY", case.start_on)
    flows = funder_flows(schedule, case.plan)
    elsewhere = sum(charge.total_minor for charge in schedule.charges if charge.payee != case.plan.funder)
    borne = sum(part.amount_minor for part in schedule.borne if part.party in ("shop", "brand"))
    got = sum(flow.amount_minor for flow in flows.payments)
    assert got == schedule.financed_minor + schedule.fee_minor - elsewhere + borne
    own = flows_of(schedule, case.plan)
    found = viewpoints(schedule, case.plan)
    assert found.customer == annual_cost(SIMPLE, own)
    compounded = viewpoints(schedule, case.plan, COMPOUNDED)
    assert compounded.customer.method == COMPOUNDED
    simple = cost_of(schedule, case.plan).simple_e12
    if found.customer.rate_e12 is None or simple is None:
        assert found.customer.rate_e12 is simple
    else:
        assert abs(simple - found.customer.rate_e12) <= 2 + abs(simple) * 1e-10
