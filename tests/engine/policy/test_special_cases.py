"""Special cases lift one rule for one customer, and never one of law; what-if leaves rules out."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.policy.policies import DAY, FAMILIES, FUNDERS, HOUR, NOON, PLANS, ZONE, rule, words

from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.facts import FactValue
from fenqi.policy.snapshot import Rule, Selector, ShopTerms, Snapshot, Window
from fenqi.policy.verdict import Override, Until, decide

MALL = Selector(families=("mall",))


def policy_of(*rules: Rule) -> Policy:
    return compile_policy(
        Snapshot(
            shop=ShopTerms("mall", words("Mall"), ZONE, "CNY"),
            funders=FUNDERS,
            families=FAMILIES,
            plans=PLANS,
            rules=rules,
        )
    )


def facts(**more: FactValue) -> dict[str, FactValue]:
    known: dict[str, FactValue] = {"clock.now": NOON, "cart.amount": 100_000, "cart.has_coupon": True}
    return known | {name.replace("__", "."): value for name, value in more.items()}


PAUSE = rule("pause", applies=MALL, blocked=Window(NOON - DAY, NOON + 10 * DAY))
COUPON = rule("coupon", "cart", applies=MALL, require="cart.has_coupon is no")
GRANTED = Override(id="so-1", rule="pause", until=NOON + DAY)


def test_the_rule_does_not_count_and_the_verdict_says_by_which_special_case() -> None:
    verdict = decide(policy_of(PAUSE), facts(), overrides=(GRANTED,))["mall_3"]
    assert (verdict.state, verdict.reasons, verdict.overrides) == ("available", (), ("so-1",))
    assert decide(policy_of(PAUSE), facts())["mall_3"].state == "unavailable"


def test_other_rules_still_count() -> None:
    verdict = decide(policy_of(PAUSE, COUPON), facts(), overrides=(GRANTED,))["mall_3"]
    assert ([reason.rule for reason in verdict.reasons], verdict.overrides) == (["coupon"], ("so-1",))


def test_a_rule_of_law_counts_whatever_is_granted() -> None:
    law = rule("adult", "law", applies=MALL, blocked=Window(NOON - DAY, None))
    verdict = decide(
        policy_of(law), facts(), overrides=(Override(id="so-1", rule="adult", until=NOON + DAY),)
    )["mall_3"]
    assert (verdict.state, verdict.overrides) == ("unavailable", ())


@pytest.mark.parametrize(
    "granted",
    [
        msgspec.structs.replace(GRANTED, until=NOON),
        msgspec.structs.replace(GRANTED, max_amount_minor=99_999),
        msgspec.structs.replace(GRANTED, plan="mall_12"),
        msgspec.structs.replace(GRANTED, rule="another"),
    ],
    ids=["expired", "above its amount", "for another plan", "of another rule"],
)
def test_what_it_is_not_for_stays_as_it_was(granted: Override) -> None:
    policy = policy_of(PAUSE)
    assert decide(policy, facts(), overrides=(granted,))["mall_3"] == decide(policy, facts())["mall_3"]


def test_an_order_of_just_its_amount_is_within_it() -> None:
    granted = msgspec.structs.replace(GRANTED, max_amount_minor=100_000)
    assert decide(policy_of(PAUSE), facts(), overrides=(granted,))["mall_3"].offered


def test_one_that_does_not_matter_is_not_named() -> None:
    over = rule("pause", applies=MALL, blocked=Window(NOON - DAY, NOON))
    assert decide(policy_of(over), facts(), overrides=(GRANTED,))["mall_3"].overrides == ()


def test_what_opens_later_than_the_special_case_lasts_opens_when_the_rule_itself_ends() -> None:
    night = rule("night", "maintenance", applies=MALL, blocked=Window(NOON - HOUR, NOON + 2 * DAY))
    verdict = decide(policy_of(PAUSE, night), facts(), overrides=(GRANTED,))["mall_3"]
    assert verdict.until == Until("instant", NOON + 10 * DAY)
    longer = msgspec.structs.replace(GRANTED, until=NOON + 3 * DAY)
    assert decide(policy_of(PAUSE, night), facts(), overrides=(longer,))["mall_3"].until == Until(
        "instant", NOON + 2 * DAY
    )


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_leaving_rules_out_is_the_same_as_a_policy_without_them(seed: int) -> None:
    random = Random(seed)
    rules = [
        rule(
            f"r{number}",
            random.choice(["law", "strategy", "cart", "risk"]),
            applies=MALL,
            unknown="block",
            **shape,
        )
        for number, shape in enumerate(
            random.choices(
                [
                    {"blocked": Window(NOON - DAY, NOON + DAY)},
                    {"require": "cart.has_coupon is no"},
                    {"require": "cart.amount >= ¥500"},
                    {"require": "customer.tier >= 2"},
                    {"require": "offer.annual_cost <= 10%"},
                ],
                k=6,
            )
        )
    ]
    out = {one.id for one in rules if random.random() < 0.5}
    offers = {plan.id: {"offer.annual_cost": random.choice([0, 200_000_000_000])} for plan in PLANS}
    known = facts(cart__amount=random.choice([10_000, 100_000]))
    with_all = decide(policy_of(*rules), known, offers, ignoring=frozenset(out))
    without = decide(policy_of(*[one for one in rules if one.id not in out]), known, offers)
    assert with_all == without


def test_a_reason_s_since_and_until_are_told_by_facts() -> None:
    down = rule(
        "down",
        "health",
        applies=MALL,
        require="funder.ccb.health is not down",
        unknown="allow",
        since_fact="funder.ccb.health_since",
        until_fact="funder.ccb.quota_renews",
    )
    policy = policy_of(down)
    known = facts(funder__ccb__health="down", funder__ccb__health_since=NOON - HOUR)
    (reason,) = decide(policy, known)["mall_3"].reasons
    assert (reason.since, reason.until) == (NOON - HOUR, Until("unknown"))
    told = decide(policy, known | {"funder.ccb.quota_renews": NOON + DAY})["mall_3"]
    assert told.reasons[0].until == told.until == Until("instant", NOON + DAY)
    # What tells the end is past, and it is still so: then nobody knows.
    late = decide(policy, known | {"funder.ccb.quota_renews": NOON - 1})["mall_3"]
    assert late.until == Until("unknown")


def test_a_told_end_and_a_window_are_both_waited_for() -> None:
    quota = rule(
        "quota",
        "agreement",
        applies=MALL,
        require="funder.ccb.quota_left >= cart.amount",
        unknown="allow",
        until_fact="funder.ccb.quota_renews",
    )
    night = rule("night", "maintenance", applies=MALL, blocked=Window(NOON + 11 * HOUR, NOON + 14 * HOUR))
    known = facts(funder__ccb__quota_left=0, funder__ccb__quota_renews=NOON + 12 * HOUR)
    verdict = decide(policy_of(quota, night), known)["mall_3"]
    assert verdict.reasons[0].until == Until("instant", NOON + 12 * HOUR)
    assert verdict.until == Until("instant", NOON + 14 * HOUR)
