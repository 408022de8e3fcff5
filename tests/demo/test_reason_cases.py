"""For each reason that a shopper of the demo can meet: the case written by hand (`reason_cases`) is what they are told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.demo.expected_verdicts import CARTS
from tests.demo.reason_cases import CASES, POLICIES, Case, Told
from tests.demo.test_expected_verdicts import OURS

import fenqi_server.demo.people as people
from fenqi.calendars import to_epoch, zone_of
from fenqi.checkout.evaluation import Evaluation, evaluate
from fenqi.checkout.nearest import nearest_change
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.document import load_policy
from fenqi.policy.facts import check_facts
from fenqi.policy.reasons import reason_texts
from fenqi.policy.snapshot import Budget, Selector, Snapshot
from fenqi.policy.verdict import Reason, Until, for_customer
from fenqi.texts import Text

_replace = msgspec.structs.replace
_PLEDGE = (("a-pledge", "A thing to be", "toys", "pledge", 1, 59_900, "mall"),)


def _instant(written: str) -> int:
    return to_epoch(datetime.fromisoformat(written).replace(tzinfo=zone_of("Asia/Shanghai")))


def _agreement(snapshot: Snapshot, funder: str, **fields: Any) -> Snapshot:
    """One funder's terms, with something else in them."""

    def changed(found: Any) -> Any:
        if found.id != funder:
            return found
        if found.agreement is not None:
            return _replace(found, agreement=_replace(found.agreement, **fields))
        return _replace(found, agreements=tuple(_replace(each, **fields) for each in found.agreements))

    return _replace(snapshot, funders=tuple(changed(found) for found in snapshot.funders))


_INTEREST_FREE = Budget(
    id="interest_free",
    name=Text("免息预算", "interest-free budget"),
    total_minor=50_000_000,
    applies=Selector(plans=("mall_3", "mall_6")),
    share=None,
    start=_instant("2026-11-01T00:00"),
    end=None,
    renews=_instant("2026-12-01T00:00"),
    notice=None,
)

_CHANGES: dict[str, Callable[[Snapshot], Snapshot]] = {
    "the demo's": lambda snapshot: snapshot,
    "tingchao may cost 10 % at most": lambda s: _agreement(s, "tingchao", cost_ceiling=Decimal("0.10")),
    "tingchao has no 24 terms": lambda s: _agreement(s, "tingchao", terms=(3, 6, 12)),
    "cloudpay has a daily quota": lambda s: _agreement(s, "cloudpay", daily_quota_minor=100_000_000),
    "a budget pays for the mall's interest-free terms": lambda s: _replace(s, budgets=(_INTEREST_FREE,)),
    "the card acquirer is not on the partner list": lambda s: _agreement(s, "acquirer", partner_listed=False),
    "the wallet's agreement is paused": lambda s: _agreement(s, "cloudpay", paused=True),
}


@lru_cache
def _policy(name: str) -> Policy:
    loaded = load_policy(Path(people.__file__).parent / "policy")
    assert loaded.snapshot is not None, "\n".join(map(str, loaded.problems))
    return compile_policy(_CHANGES[name](loaded.snapshot))


def _asked(case: Case) -> tuple[Policy, CheckoutRequest]:
    policy, at = _policy(case.policy), _instant(case.at)
    customer = people.PERSON_BY_REF[case.who]
    told = {
        name: _instant(value) if policy.vocabulary[name].type == "instant" else value
        for name, value in case.facts.items()
    }
    facts = {
        **people.shop_facts(customer),
        **people.funder_answers(customer, at),
        "customer.consents": frozenset(customer.consents),
        "limit.mall": customer.limit_minor,
        **OURS[case.who],
        **told,
    }
    assert check_facts(policy.vocabulary, facts) == []
    cart = _PLEDGE if case.cart == "pledge" else CARTS[case.cart]
    lines = tuple(Line(*line) for line in cart)
    return policy, CheckoutRequest(
        lines, "CNY", case.channel, at, facts, customer.last_used_family, case.coupon
    )


@lru_cache
def _answer(name: str) -> tuple[Policy, CheckoutRequest, Evaluation]:
    policy, request = _asked(CASES[name])
    return policy, request, evaluate(policy, request)


def _written(until: Until) -> int | str:
    return until.kind if until.at is None else until.at


def _meant(until: str) -> int | str:
    return until if until in ("none", "unknown") else _instant(until)


names = pytest.mark.parametrize("name", CASES)


@names
def test_the_state_all_reasons_since_and_until_are_those_written(name: str) -> None:
    case = CASES[name]
    _, _, answer = _answer(name)
    verdict = answer.option(case.plan).verdict
    assert verdict.state == case.state
    found = [(reason.code, reason.since, _written(reason.until), reason.notice) for reason in verdict.reasons]
    assert found == [
        (told.code, None if told.since is None else _instant(told.since), _meant(told.until), told.notice)
        for told in case.reasons
    ]
    assert (verdict.deadline if case.state == "pending" else _written(verdict.until)) == _meant(case.until)


@names
def test_the_nearest_change_is_the_one_written(name: str) -> None:
    case = CASES[name]
    policy, request, _ = _answer(name)
    found = nearest_change(policy, request, case.plan)
    steps = None if found is None else tuple((step.fact, step.bound, step.value) for step in found.steps)
    assert steps == case.nearest


@names
def test_the_alternatives_and_their_differences_are_those_written(name: str) -> None:
    case = CASES[name]
    _, _, answer = _answer(name)
    found = tuple((other.plan, other.difference_minor) for other in answer.option(case.plan).alternatives)
    assert found == case.instead


@names
@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_the_shopper_is_told_the_words_written(name: str, locale: str) -> None:
    case = CASES[name]
    policy, _, answer = _answer(name)

    def said(reason: Reason) -> tuple[str, str, str]:
        words = reason_texts(policy, for_customer(reason), "customer", locale, year=int(case.at[:4]))
        return (words.title, words.detail, words.fix)

    def meant(told: Told) -> tuple[str, str, str]:
        return told.zh if locale == "zh-CN" else told.en

    reasons = answer.option(case.plan).verdict.reasons
    assert [said(reason) for reason in reasons] == [meant(told) for told in case.reasons]


def test_every_reason_that_the_demo_and_these_policies_can_give_has_its_case() -> None:
    possible = {rule.reason for policy in POLICIES for rule in _policy(policy).rules}
    assert {told.code for case in CASES.values() for told in case.reasons} == possible
