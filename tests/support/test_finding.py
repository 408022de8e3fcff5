"""Finding what a customer saw: by order, phone, customer, decision and case, whole numbers of this shop alone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.agreed import agree
from tests.api.world import AT, GROWN_UP, PHONE, make_world

from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.funders import consents
from fenqi_server.support import cases, finding


def shown(mall: Any, source: str = "checkout") -> decisions.Decision:
    return decisions.evaluate(
        mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT, source=source, signed=source == "checkout"
    )


def names(mall: Any, asked: str) -> list[str]:
    return [line.decision for line in finding.find(mall.shop, asked)]


def test_by_the_decision_itself_and_by_a_case_about_it(mall):
    decision = shown(mall)
    case = cases.open_case(mall.shop, mall.customer_id, "Why?", AT, locale="en", decision=decision.public_id)
    assert names(mall, decision.public_id) == names(mall, f"  {case.public_id} ") == [decision.public_id]
    # A case about nothing in particular leads to all that its customer was shown.
    general = cases.open_case(mall.shop, mall.customer_id, "Why?", AT, locale="en")
    assert names(mall, general.public_id) == [decision.public_id]


def test_by_our_number_of_an_order_and_by_the_shops(mall):
    done = agree(mall.shop, mall.customer_id, shown(mall).quotes["mall_12"].token, "o-77", AT)
    assert names(mall, "o-77") == names(mall, done.contract_id) == [done.decision_id]
    (line,) = finding.find(mall.shop, "o-77")
    assert (line.how, line.source) == ("order", "confirm")


def test_by_an_order_that_went_to_a_funder(mall):
    consents.record(mall.shop, mall.customer_id, "tingchao", AT)
    from django.test import override_settings

    with override_settings(FENQI_DEMO=True):
        done = agree(mall.shop, mall.customer_id, shown(mall).quotes["tingchao_12"].token, "o-78", AT)
    assert names(mall, "o-78") == names(mall, done.hand_off_id) == [done.decision_id]


@pytest.mark.parametrize("written", ["13800138000", "138 0013 8000", "+86 138-0013-8000", "0086 13800138000"])
def test_by_phone_whole_however_it_is_written(mall, written):
    decision = shown(mall)
    customers.set_private(mall.shop, mall.customer_id, customers.Private("Li", "", "+86 138 0013 8000"), AT)
    assert names(mall, written) == [decision.public_id]


@pytest.mark.parametrize(
    "asked", ["138", "0013 8000", "13800138001", "3800138000", "113800138000", "", "%", "x" * 300, "a\x00b"]
)
def test_nothing_is_found_by_part(mall, asked):
    shown(mall)
    customers.set_private(mall.shop, mall.customer_id, customers.Private("Li", "", "13800138000"), AT)
    assert names(mall, asked) == []


def test_by_the_shops_name_for_the_customer_product_pages_too_newest_first(mall):
    checkout, product = shown(mall), shown(mall, "product")
    found = finding.find(mall.shop, "u-1")
    assert {line.decision for line in found} == {checkout.public_id, product.public_id}
    assert {line.source for line in found} == {"checkout", "product"}


def test_another_shops_is_not_there(mall):
    other = make_world("other")
    decision = shown(mall)
    customers.set_private(mall.shop, mall.customer_id, customers.Private("Li", "", "13800138000"), AT)
    case = cases.open_case(mall.shop, mall.customer_id, "Why?", AT, locale="en", decision=decision.public_id)
    done = agree(mall.shop, mall.customer_id, decision.quotes["mall_12"].token, "o-9", AT)
    for asked in (decision.public_id, case.public_id, done.contract_id, "o-9", "13800138000"):
        assert names(mall, asked)
        assert names(other, asked) == []
    # Both shops call a customer u-1: each finds its own.
    assert names(other, "u-1") == []
