"""The nearest change: what a customer would have to do differently, and never what they would have to be."""

from __future__ import annotations

from itertools import combinations, product
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.policy.policies import (
    NOON,
    PLANS,
    VOCABULARY,
    ZONE,
    clause,
    policy_of,
    random_facts,
    rule,
    rules,
    snapshot_of,
    words,
)

from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.nearest import NearestChange, Step, nearest_change, nearest_text
from fenqi.checkout.request import CheckoutRequest, Line, RequestError
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import All, Clause
from fenqi.policy.conditions import Any as AnyOf
from fenqi.policy.facts import FactType, FactValue, clock_facts
from fenqi.policy.snapshot import Rule, Selector, Window
from fenqi.policy.verdict import Override, decide, in_the_way
from fenqi.terms.plan import DownPayment

MALL = Selector(families=("mall",))


def line(price: int = 100_000, kind: str = "goods", category: str = "phones", seller: str = "mall") -> Line:
    return Line("sku", "Thing", category, kind, 1, price, seller)


def request(*lines: Line, **more: Any) -> CheckoutRequest:
    return CheckoutRequest(lines or (line(),), "CNY", more.pop("channel", "web"), NOON, **more)


def found(policy: Policy, asked: CheckoutRequest, plan: str = "mall_12") -> NearestChange | None:
    change = nearest_change(policy, asked, plan)
    if change is not None:
        assert_offered(policy, asked, change)
    return change


def said(policy: Policy, asked: CheckoutRequest, plan: str = "mall_12") -> tuple[str, str]:
    change = found(policy, asked, plan)
    assert change is not None
    return nearest_text(policy, change, "zh-CN"), nearest_text(policy, change, "en")


def assert_offered(policy: Policy, asked: CheckoutRequest, change: NearestChange) -> None:
    """Asked of the whole checkout, with the request changed as it says."""
    facts = change.facts
    lines = asked.lines
    for step in change.steps:
        if step.bound == "without":
            attribute = {
                "cart.kinds": "kind",
                "cart.categories": "category",
                "cart.sellers": "seller",
                "cart.skus": "sku",
            }[step.fact]
            lines = tuple(one for one in lines if getattr(one, attribute) not in step.value)
        elif step.fact == "cart.amount":
            # The same items: a line that is left out would be another change.
            prices = (step.value, *([0] * (len(lines) - 1)))
            lines = tuple(
                msgspec.structs.replace(one, quantity=1, unit_price_minor=price)
                for one, price in zip(lines, prices, strict=True)
            )
    then = msgspec.structs.replace(
        asked,
        lines=lines,
        channel=facts.get("channel.kind", asked.channel),
        coupon=None if facts.get("cart.has_coupon") is False else asked.coupon,
        ship_to=facts.get("region.ship_to", asked.ship_to),
        facts={
            **asked.facts,
            **{k: v for k, v in facts.items() if VOCABULARY.get(k, _OTHER).source not in ("cart", "channel")},
        },
    )
    assert evaluate(policy, then).option(change.plan).offered, change


_OTHER = FactType(name="x", type="text", source="customer", label=words("x"))


# --- one thing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("require", "more", "zh_cn", "en"),
    [
        ("cart.amount >= ¥3000", {}, "订单满 ¥3,000.00 时可用。", "Available from ¥3,000.00."),
        ("cart.amount <= ¥300", {}, "订单不超过 ¥300.00 时可用。", "Available up to ¥300.00."),
        ("cart.has_coupon is no", {"coupon": "c"}, "不使用优惠券时可用。", "Available without the coupon."),
        ("customer.signed_in is yes", {}, "登录后可用。", "Available once you are signed in."),
        ("channel.kind in [app]", {}, "在App下单时可用。", "Available when you order in the app."),
        ("card.kind is credit", {}, "使用信用卡时可用。", "Available with a card of this kind: credit card."),
        (
            "card.bank is ccb",
            {},
            "使用建设银行的卡时可用。",
            "Available with a card of China Construction Bank.",
        ),
        (
            "region.ship_to in ['上海']",
            {"ship_to": "北京"},
            "收货地区为上海时可用。",
            "Available for delivery to 上海.",
        ),
    ],
)
def test_one_thing_is_said_in_a_sentence(require: str, more: Any, zh_cn: str, en: str) -> None:
    policy = policy_of(rule("r", "cart", applies=MALL, require=require))
    assert said(policy, request(**more)) == (zh_cn, en)


def test_an_instalment_that_is_too_small_is_told_as_the_order_that_it_takes() -> None:
    policy = policy_of(rule("r", "cart", applies=MALL, require="offer.instalment_min >= ¥500"))
    change = found(policy, request())
    assert change is not None
    (step,) = change.steps
    assert (step.fact, step.bound) == ("cart.amount", "at_least")
    assert isinstance(step.value, int)
    below = msgspec.structs.replace(request(), lines=(line(step.value - 1),))
    assert not evaluate(policy, below).option("mall_12").offered


def test_an_order_below_the_down_payment_is_told_from_what_amount_on_it_can_be_priced() -> None:
    down = [
        msgspec.structs.replace(plan, down_payment=DownPayment(amount_minor=200_000)) for plan in PLANS[:1]
    ]
    policy = compile_policy(msgspec.structs.replace(snapshot_of(), plans=(*down, *PLANS[1:])))
    change = found(policy, request(), "mall_3")
    assert change is not None
    assert change.steps == (Step("cart.amount", "at_least", 200_001),)


def test_two_things_of_the_card_are_one_card() -> None:
    policy = policy_of(
        rule(
            "r",
            "agreement",
            applies=MALL,
            require=All((clause("card.kind is credit"), clause("card.bank is ccb"))),
        )
    )
    assert said(policy, request(facts={"card.kind": "debit"})) == (
        "使用建设银行的信用卡时可用。",
        "Available with a card of China Construction Bank, of this kind: credit card.",
    )


def test_several_things_are_listed_and_no_fourth_is_asked() -> None:
    two = [
        rule("a", "cart", applies=MALL, require="cart.has_coupon is no"),
        rule("b", "cart", applies=MALL, require="channel.kind is app"),
    ]
    asked = request(coupon="c")
    assert said(policy_of(*two), asked) == (
        "同时满足两项时可用：不使用优惠券；在App下单。",
        "Available when both hold: no coupon is used; you order in the app.",
    )
    three = [*two, rule("c", "cart", applies=MALL, require="cart.amount >= ¥2000")]
    assert said(policy_of(*three), asked)[1] == (
        "Available when all three hold: no coupon is used; you order in the app; the order comes to at least ¥2,000.00."
    )
    four = [*three, rule("d", "cart", applies=MALL, require="customer.signed_in is yes")]
    assert found(policy_of(*four), asked) is None


def test_what_would_break_another_rule_is_no_way_out() -> None:
    policy = policy_of(
        rule("a", "cart", applies=MALL, require="channel.kind in [app, store]"),
        rule("b", "cart", applies=MALL, require="channel.kind is not app"),
    )
    change = found(policy, request())
    assert change is not None
    assert change.steps == (Step("channel.kind", "is", "store"),)


def test_one_change_that_is_enough_goes_before_two() -> None:
    either = AnyOf(
        (clause("cart.amount >= ¥2000"), All((clause("card.kind is credit"), clause("card.bank is ccb"))))
    )
    change = found(policy_of(rule("a", "cart", applies=MALL, require=either)), request())
    assert change is not None
    assert [step.fact for step in change.steps] == ["cart.amount"]


# --- the cart -----------------------------------------------------------------------------------------------------

BLIND = rule("blind", "compliance", applies=MALL, require="cart.kinds has none of [blind_box]")


def test_a_cart_without_the_item_in_the_way_is_told_with_the_amount_that_it_then_has() -> None:
    asked = request(line(500_000), line(9_900, "blind_box", "toys"))
    change = found(policy_of(BLIND), asked)
    assert change is not None
    assert change.steps == (Step("cart.kinds", "without", frozenset({"blind_box"})),)
    assert (change.facts["cart.amount"], change.facts["cart.kinds"]) == (500_000, frozenset({"goods"}))
    assert nearest_text(policy_of(BLIND), change, "zh-CN") == "订单不含盲盒时可用。"
    # Nobody is told to order the rest another time: that would be to split the order.
    assert "分" not in nearest_text(policy_of(BLIND), change, "zh-CN")


def test_a_cart_of_nothing_else_has_no_way_out() -> None:
    assert found(policy_of(BLIND), request(line(9_900, "blind_box"))) is None


def test_without_the_item_the_rest_must_still_be_enough() -> None:
    floor = rule("floor", "cart", applies=MALL, require="cart.amount >= ¥300")
    asked = request(line(20_000), line(20_000, "blind_box"))
    assert found(policy_of(BLIND, floor), asked) is None


# --- never --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "require",
    [
        "customer.age >= 18",
        "customer.student is no",
        "customer.tier >= 3",
        "customer.consents has any of [ccb]",
        "funder.ccb.health is not down",
        "clock.time in 09:00..11:00",
        "cart.line_count <= 0",
        "cart.has_coupon is yes",
        "customer.signed_in is no",
    ],
)
def test_nobody_is_told_to_be_somebody_else_or_to_wait_or_to_split_an_order(require: str) -> None:
    facts: dict[str, FactValue] = {"customer.signed_in": True, "customer.age": 17, "customer.student": True}
    policy = policy_of(rule("r", "cart", applies=MALL, require=require))
    assert found(policy, request(facts=facts)) is None


def test_a_window_is_waited_out_not_worked_around() -> None:
    assert found(policy_of(rule("r", applies=MALL, blocked=Window(NOON - 60, None))), request()) is None


def test_a_hidden_rule_is_never_given_away() -> None:
    hidden = rule("hidden", "risk", applies=MALL, require="cart.amount <= ¥500", public="generic")
    asked = request(coupon="c")
    assert found(policy_of(hidden), asked) is None
    # Nor does its bound show through another rule's.
    coupon = rule("coupon", "cart", applies=MALL, require="cart.has_coupon is no")
    assert found(policy_of(hidden, coupon), asked) is None
    floor = rule("floor", "cart", applies=MALL, require="cart.amount >= ¥2000")
    above = msgspec.structs.replace(hidden, require=clause("cart.amount <= ¥1500"))
    assert found(policy_of(above, floor), request()) is None


def test_what_the_customer_has_does_not_show_through_a_bound() -> None:
    left = rule("line", "customer", applies=MALL, require="limit.mall_available >= cart.amount")
    assert found(policy_of(left), request(facts={"limit.mall_available": 60_000})) is None
    coupon = rule("coupon", "cart", applies=MALL, require="cart.has_coupon is no")
    assert found(policy_of(left, coupon), request(coupon="c", facts={"limit.mall_available": 60_000})) is None


def test_what_is_offered_has_no_nearest_change() -> None:
    assert nearest_change(policy_of(), request(), "mall_12") is None


def test_a_special_case_counts() -> None:
    policy = policy_of(
        rule("a", "cart", applies=MALL, require="cart.has_coupon is no"),
        rule("b", applies=MALL, blocked=Window(NOON - 60, None)),
    )
    asked = request(coupon="c")
    assert found(policy, asked) is None
    change = found(
        policy, msgspec.structs.replace(asked, overrides=(Override(id="o", rule="b", until=NOON + 60),))
    )
    assert change is not None
    assert change.facts == {"cart.has_coupon": False}


def test_a_wrong_request_and_a_plan_that_is_none_are_refused() -> None:
    with pytest.raises(RequestError):
        nearest_change(policy_of(), request(line(-1)), "mall_12")
    with pytest.raises(KeyError):
        nearest_change(policy_of(), request(), "none")


# --- against the checkout -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_every_rule_in_the_way_is_one_that_decide_names(seed: int) -> None:
    chance = Random(seed)
    for _ in range(10):
        policy = policy_of(*[_some_rule(chance, number) for number in range(6)], *_PRICED)
        facts = {**random_facts(chance), **clock_facts(NOON, ZONE)}
        offer = random_facts(chance, offer=True)
        for plan in PLANS:
            for given_offer in (offer, None):
                offers = {} if given_offer is None else {plan.id: given_offer}
                verdict = decide(policy, facts, offers)[plan.id]
                named = [reason.rule for reason in verdict.reasons]
                assert [one.id for one in in_the_way(policy, facts, plan.id, given_offer)] == named
                granted = [Override(id=name, rule=name, until=NOON + 60) for name in named[::2]]
                verdict = decide(policy, facts, offers, overrides=granted)[plan.id]
                left = in_the_way(policy, facts, plan.id, given_offer, overrides=granted)
                assert [one.id for one in left] == [reason.rule for reason in verdict.reasons]


_PRICED = (
    rule("cost", "compliance", require="offer.annual_cost <= 0.0000000003%"),
    rule("least", "cart", applies=MALL, require="offer.instalment_min >= ¥0.04", unknown="allow"),
)
_DOMAIN: dict[str, tuple[FactValue, ...]] = {
    "cart.has_coupon": (True, False),
    "channel.kind": ("web", "app", "store", "mini_program"),
    "card.kind": ("debit", "credit"),
    "card.bank": ("cmb", "ccb", "icbc"),
    "customer.signed_in": (True, False),
    "cart.amount": tuple(range(9_900, 10_200, 25)),
}


def _some_rule(chance: Random, number: int) -> Rule:
    def one() -> Clause:
        name = chance.choice([*_DOMAIN, "customer.tier"])
        if name == "customer.tier":
            return Clause(name, ">=", chance.randint(1, 3))
        if name == "cart.amount":
            return Clause(name, chance.choice([">=", "<="]), chance.choice(_DOMAIN[name][1:-1]))
        return Clause(name, chance.choice(["is", "is not"]), chance.choice(_DOMAIN[name]))

    parts = tuple(one() for _ in range(chance.randint(1, 2)))
    require = parts[0] if len(parts) == 1 else chance.choice([All, AnyOf])(parts)
    return rule(f"r{number}", "cart", applies=MALL, require=require)


def _fewest(policy: Policy, facts: dict[str, FactValue]) -> int | None:
    """By trying everything there is."""
    for count in range(1, 4):
        for names in combinations(_DOMAIN, count):
            for values in product(*(_DOMAIN[name] for name in names)):
                then = {**facts, **dict(zip(names, values, strict=True))}
                if ("customer.signed_in" in names and not then["customer.signed_in"]) or (
                    "cart.has_coupon" in names and then["cart.has_coupon"]
                ):
                    continue
                if not in_the_way(policy, then, "mall_12", {}):
                    return count
    return None


@pytest.mark.parametrize("seed", range(40))
def test_nothing_less_would_do_and_where_something_would_it_is_found(seed: int) -> None:
    chance = Random(seed)
    policy = policy_of(*[_some_rule(chance, number) for number in range(chance.randint(1, 5))])
    facts: dict[str, FactValue] = {
        "card.kind": chance.choice(_DOMAIN["card.kind"]),
        "card.bank": chance.choice(_DOMAIN["card.bank"]),
        "customer.signed_in": chance.random() < 0.5,
        "customer.tier": 2,
    }
    asked = request(
        line(chance.choice(_DOMAIN["cart.amount"])),  # type: ignore[arg-type]
        channel=chance.choice(_DOMAIN["channel.kind"]),
        coupon=chance.choice([None, "c"]),
        facts=facts,
    )
    evaluation = evaluate(policy, asked)
    change = found(policy, asked)
    if evaluation.option("mall_12").offered:
        assert change is None
        return
    fewest = _fewest(policy, dict(evaluation.facts))
    assert (None if change is None else len(change.steps)) == fewest


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_whatever_is_told_is_offered_and_varies_nothing_personal(seed: int, data: st.DataObject) -> None:
    made = data.draw(
        st.lists(st.integers(0, 5), min_size=1, max_size=4).flatmap(
            lambda numbers: st.tuples(*[rules(f"r{place}") for place, _ in enumerate(numbers)])
        )
    )
    policy = policy_of(*made)
    chance = Random(seed)
    gathered = {
        name: value
        for name, value in random_facts(chance).items()
        if VOCABULARY[name].source not in ("cart", "channel", "clock", "offer")
    }
    asked = request(
        line(chance.choice([3, 100, 60_000, 9_000_000])),
        line(chance.randint(1, 9), chance.choice(["goods", "blind_box"]), chance.choice(["gold", "drug"])),
        channel=chance.choice(["web", "app"]),
        facts=gathered,
        ship_to=chance.choice([None, "gold"]),
    )
    for plan in PLANS:
        change = found(policy, asked, plan.id)
        if change is None:
            continue
        for step in change.steps:
            fact = VOCABULARY[step.fact]
            assert fact.changeable
            assert not fact.personal
        hidden = [
            reason
            for reason in evaluate(policy, asked).option(plan.id).verdict.reasons
            if reason.public != "full"
        ]
        assert not hidden
        for locale in ("zh-CN", "en"):
            assert nearest_text(policy, change, locale)
