"""A shop whose partner leases phones and whose acquirer takes pledges: a policy for the tests of leases."""

from __future__ import annotations

from functools import lru_cache

from fenqi.checkout.evaluation import Evaluation, evaluate
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.document import LoadResult, read_policy
from fenqi.policy.facts import FactValue

NOON = 1795406400  # 2026-11-23 12:00 in Shanghai

SHOP = """\
format: fenqi/policy@1
shop: {id: mall, name: {zh-CN: 商城, en: The mall}, time_zone: Asia/Shanghai, currency: CNY}
funders:
- {id: lessor, name: {zh-CN: 青禾租赁, en: Qinghe Leasing}, kind: lessor}
- {id: scorer, name: {zh-CN: 云支付, en: Cloudpay}, kind: wallet, decides: on_its_page}
- {id: acquirer, name: {zh-CN: 收单, en: The acquirer}, kind: acquirer}
- {id: mall, name: {zh-CN: 商城, en: The mall}, kind: shop, own_book: yes}
families:
- {id: phone_rent, funder: lessor, name: {zh-CN: 青禾租机, en: Qinghe phone rental}, legal_form: operating_lease}
- {id: cloud_rent, funder: scorer, name: {zh-CN: 云租, en: Cloud rental}, legal_form: operating_lease}
- {id: pledge, funder: acquirer, name: {zh-CN: 众筹, en: Pledge}, legal_form: pledge}
- {id: card, funder: acquirer, name: {zh-CN: 银行卡, en: Bank card}, legal_form: full_payment}
- {id: mall, funder: mall, name: {zh-CN: 商城分期, en: Mall instalments}, legal_form: instalment_sale}
"""
PLANS = """\
plans:
- id: rent_12
  family: phone_rent
  periods: 12
  authority: funder
  indicative_basis: {zh-CN: 按合同条款估算, en: estimated from the partner's terms}
  pricing:
    kind: lease
    rent: ¥499.00
    paid: in_advance
    goods: new
    minimum_periods: 6
    deposit: {amount: "¥1,000.00", form: frozen, waivable: yes, at_end: credited, inspection_days: 2, release_days: 3}
    buyout: {amount: "¥1,600.00", early: maturity_plus_unpaid_rent, last_days: 10}
    renewal: {coefficient: 80%}
    return_shipping: ¥30.00
- id: rent_only
  family: phone_rent
  periods: 6
  authority: funder
  indicative_basis: {zh-CN: 按合同条款估算, en: estimated from the partner's terms}
  pricing: {kind: lease, rent: 8%, paid: in_arrears, goods: used, statement: {zh-CN: 九成新, en: Used}}
- id: cloud_12
  family: cloud_rent
  periods: 12
  pricing:
    kind: lease
    rent: ¥499.00
    paid: in_advance
    goods: new
    deposit: {share: 20%, waivable: yes, at_end: returned, release_days: 3}
    buyout: ¥1,600.00
- {id: pledge, family: pledge, periods: 1, pricing: {kind: pledge, success_on: 2027-01-31, hold_days: 90}}
- {id: card, family: card, periods: 1, pricing: {kind: pay_in_full}}
- {id: mall_12, family: mall, periods: 12, pricing: {kind: flat_fee, rate_per_period: 0.6%}}
"""
WAIVERS = """\
waivers:
- id: deposit.score
  layer: risk
  owner: risk
  reason: DEPOSIT_SCORE_LOW
  applies: {family: phone_rent}
  require: customer.credit_score >= 600
  unknown: ask
"""


def loaded(*parts: str) -> LoadResult:
    return read_policy(
        {f"{number}.yaml": part for number, part in enumerate(parts or (SHOP, PLANS, WAIVERS))}
    )


def told(*parts: str) -> list[str]:
    """What is wrong with a policy, without where."""
    return [problem.message for problem in loaded(*parts).problems]


@lru_cache
def policy(*more: str) -> Policy:
    result = loaded(SHOP, PLANS, WAIVERS, *more)
    assert result.snapshot is not None, "\n".join(map(str, result.problems))
    return compile_policy(result.snapshot)


def answer(of: Policy, amount_minor: int = 699_900, at: int = NOON, **facts: FactValue) -> Evaluation:
    line = Line("phone", "Phone", "phones", "goods", 1, amount_minor, "mall")
    known = {name.replace("__", "."): value for name, value in facts.items()}
    return evaluate(of, CheckoutRequest((line,), "CNY", "web", at, known))
