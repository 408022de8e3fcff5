"""The nearest change in the sample mall, against every combination that its customers could try."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from tests.engine.checkout.test_evaluation import GOOD, TEN, _load

from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.nearest import MAX_CHANGES, Step, nearest_change
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import Clause
from fenqi.policy.snapshot import Rule, Selector


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compile_policy(_load())


def asked(
    amount_minor: int = 499_900, *, channel: str = "web", coupon: str | None = None, **facts: Any
) -> CheckoutRequest:
    told = {name: value for name, value in {**GOOD, **facts}.items() if value is not None}
    line = Line("p1", "Phone", "phones", "goods", 1, amount_minor, "mall")
    return CheckoutRequest((line,), "CNY", channel, TEN, told, None, coupon)


def changed(policy: Policy, request: CheckoutRequest, plan: str) -> dict[str, Any] | None:
    found = nearest_change(policy, request, plan)
    return None if found is None else found.facts


def test_another_card_is_the_nearest_change_for_another_banks_instalments(policy: Policy) -> None:
    assert changed(policy, asked(), "beichen_12") == {"card.bank": "beichen"}
    assert changed(policy, asked(**{"card.kind": "debit"}), "beichen_12") == {
        "card.bank": "beichen",
        "card.kind": "credit",
    }


def test_what_is_unknown_is_told_as_what_it_should_be(policy: Policy) -> None:
    request = asked(**{"card.bank": None, "card.kind": None})
    assert changed(policy, request, "tingchao_12") == {"card.bank": "tingchao", "card.kind": "credit"}


def test_leaving_a_coupon_out_and_another_channel_and_signing_in(policy: Policy) -> None:
    assert changed(policy, asked(coupon="C1"), "mall_6") == {"cart.has_coupon": False}
    assert changed(policy, asked(channel="mini_program"), "cloudpay_12") in (
        {"channel.kind": "web"},
        {"channel.kind": "app"},
    )
    assert changed(policy, asked(**{"customer.signed_in": False}), "mall_12") == {"customer.signed_in": True}


def test_from_what_amount_on_and_up_to_which_it_is_there(policy: Policy) -> None:
    assert changed(policy, asked(29_900), "mall_12") == {"cart.amount": 30_000}
    rich = asked(2_500_000, **{"limit.mall_available": 9_000_000})
    assert changed(policy, rich, "mall_12") == {"cart.amount": 2_000_000}


@pytest.mark.parametrize(
    "facts",
    [
        {"customer.age": 17},
        {"customer.overdue": True},
        {"limit.mall_available": 100_000},
        {"customer.real_name_verified": False},
    ],
)
def test_nothing_of_the_person_is_ever_advised(policy: Policy, facts: dict[str, Any]) -> None:
    assert changed(policy, asked(**facts), "mall_12") is None


def test_what_is_open_needs_no_change_and_what_is_paused_has_none(policy: Policy) -> None:
    assert changed(policy, asked(), "mall_12") is None
    assert changed(policy, asked(**{"card.bank": "beichen"}), "beichen_24") is None


def test_an_order_with_a_blind_box_is_told_as_one_without_it(policy: Policy) -> None:
    request = asked()
    box = Line("b1", "Box", "toys", "blind_box", 1, 9_900, "mall")
    mixed = msgspec.structs.replace(request, lines=(*request.lines, box))
    found = nearest_change(policy, mixed, "mall_12")
    assert found is not None
    assert found.steps == (Step("cart.kinds", "without", frozenset({"blind_box"})),)
    assert found.facts["cart.amount"] == 499_900


def test_a_change_that_opens_one_rule_and_closes_another_is_no_answer(policy: Policy) -> None:
    """Web is open to the plan again only where the second rule does not want the app."""
    snapshot = policy.snapshot
    wants_app = Rule(
        id="test.app",
        layer="strategy",
        owner="test",
        reason="CHANNEL_UNSUPPORTED",
        applies=Selector(plans=("cloudpay_12",)),
        require=Clause("channel.kind", "is", "app"),
    )
    stricter = compile_policy(msgspec.structs.replace(snapshot, rules=(*snapshot.rules, wants_app)))
    assert changed(stricter, asked(channel="mini_program"), "cloudpay_12") == {"channel.kind": "app"}


def test_it_is_really_offered_and_nothing_smaller_would_do(policy: Policy) -> None:
    """Against every combination of the few enums that the demo's customers change: brute force finds nothing smaller."""
    grid = {
        "card.bank": [None, "tingchao", "beichen"],
        "card.kind": [None, "debit", "credit"],
        "customer.signed_in": [True, False],
    }
    channels = ["web", "app", "mini_program"]
    found_any = 0
    for bank, kind, signed_in in itertools.product(*grid.values()):
        for channel in channels:
            request = asked(
                channel=channel, **{"card.bank": bank, "card.kind": kind, "customer.signed_in": signed_in}
            )
            for plan in ("beichen_12", "tingchao_6", "mall_12", "cloudpay_12", "hean_12"):
                found = nearest_change(policy, request, plan)
                smallest = _smallest(policy, request, plan, grid, channels)
                assert (None if found is None else len(found.facts)) == smallest, (request, plan)
                if found is not None:
                    found_any += 1
                    assert _with(policy, request, found.facts, plan)
    assert found_any > 50


def _smallest(
    policy: Policy, request: CheckoutRequest, plan: str, grid: dict[str, list[Any]], channels: list[str]
) -> int | None:
    if evaluate(policy, request).option(plan).offered:
        return None
    choices = {
        **{name: [v for v in values if v is not None] for name, values in grid.items()},
        "channel.kind": channels,
    }
    for size in range(1, MAX_CHANGES + 1):
        for names in itertools.combinations(choices, size):
            for values in itertools.product(*(choices[name] for name in names)):
                if _with(policy, request, dict(zip(names, values, strict=True)), plan):
                    return size
    return None


def _with(policy: Policy, request: CheckoutRequest, facts: dict[str, Any], plan: str) -> bool:
    """The whole evaluation of the request as the customer would have made it."""
    told = {name: value for name, value in facts.items() if not name.startswith(("channel.", "cart."))}
    there = msgspec.structs.replace(
        request,
        facts={**request.facts, **told},
        channel=facts.get("channel.kind", request.channel),
    )
    return evaluate(policy, there).option(plan).offered
