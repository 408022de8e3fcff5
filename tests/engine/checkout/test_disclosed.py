"""The table of an offer is the shop's: its reading time, its leading figure, and the ceiling that its funder agreed to."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.engine.policy.policies import NOON, words

from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import Clause
from fenqi.policy.document import read_policy
from fenqi.policy.snapshot import Agreement, Funder, ceiling_of
from fenqi.terms.disclosure import Disclosure, digest, rates_of

POLICY = """
format: fenqi/policy@1
shop: {id: mall, name: {zh-CN: 商城, en: The mall}, time_zone: Asia/Shanghai, currency: CNY%s}
funders:
  - id: mall
    name: {zh-CN: 星河商城, en: Galaxy Mall}
    kind: bank
    agreement: {version: v1%s}
  - {id: partner, name: {zh-CN: 合作方, en: A partner}, kind: bank}
families:
  - {id: mall, funder: mall, name: {zh-CN: 商城分期, en: Mall instalments}, legal_form: instalment_sale}
plans:
  - {id: mall_12, family: mall, periods: 12, pricing: {kind: flat_fee, rate_per_period: 0.6%%}, fee_payee: partner}
"""


def policy(shop: str = "", agreement: str = "") -> Policy:
    loaded = read_policy({"policy.yaml": POLICY % (shop, agreement)})
    assert loaded.snapshot is not None, loaded.problems
    return compile_policy(loaded.snapshot)


def shown(policy: Policy) -> Disclosure:
    line = Line("p", "Phone", "phones", "goods", 1, 600_000, "mall")
    option = evaluate(policy, CheckoutRequest((line,), "CNY", "web", NOON, {})).option("mall_12")
    assert option.disclosure is not None, option.verdict
    return option.disclosure


def test_without_a_word_it_is_ten_seconds_the_simple_rate_and_no_ceiling() -> None:
    table = shown(policy())
    assert (table.reading_seconds, table.ceiling_e12, table.capped) == (10, None, False)
    assert rates_of(table.annual_cost)[0].shown_percent == "13.03"


def test_the_shop_says_how_long_and_which_figure_leads_and_the_agreement_the_ceiling() -> None:
    table = shown(policy(", reading_seconds: 15, shown_cost: compounded", ", cost_ceiling: 24%"))
    assert (table.reading_seconds, table.ceiling_e12, table.capped) == (15, 240_000_000_000, True)
    leading = rates_of(table.annual_cost)[0]
    assert (leading.shown_percent, leading.method) == ("13.84", "irr_compounded@1")
    assert digest(table) != digest(shown(policy()))


def test_a_payee_that_is_a_party_of_the_policy_is_named_as_people_know_it() -> None:
    (item,) = shown(policy()).items
    assert (item.payee, item.payee_name.zh_cn) == ("partner", "合作方")


@pytest.mark.parametrize("written", ["-1", "601", "ten"])
def test_a_reading_time_beyond_sense_is_refused_where_it_stands(written: str) -> None:
    loaded = read_policy({"policy.yaml": POLICY % (f", reading_seconds: {written}", "")})
    assert loaded.snapshot is None
    (problem,) = loaded.problems
    assert problem.line == 3
    assert "reading_seconds" in problem.message


def test_another_figure_than_the_three_cannot_lead() -> None:
    loaded = read_policy({"policy.yaml": POLICY % (", shown_cost: daily", "")})
    assert [problem.line for problem in loaded.problems] == [3]


YOUNG = Clause("customer.age", "<", 25)


@pytest.mark.parametrize(
    ("versions", "at", "ceiling"),
    [
        ((), 10, None),
        ((Agreement(version="1", cost_ceiling=Decimal("0.24")),), 10, Decimal("0.24")),
        # A later version for everybody goes before an earlier one; one that has not begun, or is over, does not count.
        (
            (
                Agreement(version="1", cost_ceiling=Decimal("0.24")),
                Agreement(version="2", valid_from=10, cost_ceiling=Decimal("0.20")),
            ),
            9,
            Decimal("0.24"),
        ),
        (
            (
                Agreement(version="1", cost_ceiling=Decimal("0.24")),
                Agreement(version="2", valid_from=10, cost_ceiling=Decimal("0.20")),
            ),
            10,
            Decimal("0.20"),
        ),
        (
            (
                Agreement(version="1", cost_ceiling=Decimal("0.24")),
                Agreement(version="2", valid_from=5, valid_to=10, cost_ceiling=Decimal("0.20")),
            ),
            10,
            Decimal("0.24"),
        ),
        # Where some have other terms, what holds for all of them is the highest; and nothing, where one states none.
        (
            (
                Agreement(version="1", cost_ceiling=Decimal("0.24")),
                Agreement(version="2", audience=YOUNG, cost_ceiling=Decimal("0.15")),
            ),
            10,
            Decimal("0.24"),
        ),
        (
            (
                Agreement(version="1", cost_ceiling=Decimal("0.24")),
                Agreement(version="2", audience=YOUNG),
            ),
            10,
            None,
        ),
    ],
)
def test_the_ceiling_that_is_told_holds_for_everybody(
    versions: tuple[Agreement, ...], at: int, ceiling: Decimal | None
) -> None:
    funder = Funder(id="bank", name=words("Bank"), kind="bank", agreements=versions)
    assert ceiling_of(funder, at) == ceiling
