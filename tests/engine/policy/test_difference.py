"""What a policy changes: nothing that can change an answer is missed, nothing that cannot is counted, and it is said in words."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.policy.policies import DAY, FAMILIES, FUNDERS, HOUR, NOON, PLANS, ZONE, clause, rule, words

from fenqi.business_days import SHIPPED
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import All, Not
from fenqi.policy.conditions import Any as Any_
from fenqi.policy.difference import announced, betterments, change_text, compare, review_layers
from fenqi.policy.facts import FactValue
from fenqi.policy.impacts import condition_text, impacts_of, segment_text
from fenqi.policy.snapshot import (
    Agreement,
    Budget,
    DailyWindow,
    Notice,
    Placement,
    RepaymentImpact,
    Selector,
    ShopTerms,
    Snapshot,
    Window,
)
from fenqi.policy.verdict import decide
from fenqi.terms.plan import Bearer, FlatFee, Plan

MALL = Selector(families=("mall",))


def notice(name: str = "n", **more: Any) -> Notice:
    said = {
        "title": words("T"),
        "reason": words("R"),
        "affected": words("A"),
        "unaffected": words("U"),
        "since": NOON,
    }
    return Notice(id=name, **(said | more))


def policy_of(*rules: Any, **more: Any) -> Policy:
    fields: dict[str, Any] = {"funders": FUNDERS, "families": FAMILIES, "plans": PLANS} | more
    return compile_policy(Snapshot(shop=ShopTerms("mall", words("Mall"), ZONE, "CNY"), rules=rules, **fields))


PAUSE = rule("pause", applies=MALL, blocked=Window(NOON + HOUR, NOON + DAY), notice="n")


def only(before: Policy | None, after: Policy, at: int = NOON) -> Any:
    (change,) = compare(before, after, at).availability
    return change


def test_a_new_pause_is_told_with_its_plans_and_its_times() -> None:
    change = only(policy_of(notices=(notice(),)), policy_of(PAUSE, notices=(notice(),)))
    assert (change.effect, change.plans, change.since, change.until, change.notice, change.layer) == (
        "paused",
        ("mall_3", "mall_12"),
        NOON + HOUR,
        NOON + DAY,
        "n",
        "strategy",
    )
    after = policy_of(PAUSE, notices=(notice(),))
    assert change_text(None, after, change, "en") == (
        "Mall instalments × 3/12: paused from 23 Nov 2026 13:00 to 24 Nov 2026 12:00 (everybody)"
    )
    assert change_text(None, after, change, "zh-CN") == (
        "Mall instalments × 3/12：2026年11月23日 13:00至2026年11月24日 12:00暂停（所有客户）"
    )


def test_an_extension_says_the_old_end_and_the_new() -> None:
    longer = msgspec.structs.replace(PAUSE, blocked=Window(NOON + HOUR, NOON + DAY + 2 * HOUR))
    before, after = policy_of(PAUSE, notices=(notice(),)), policy_of(longer, notices=(notice(),))
    change = only(before, after)
    assert (change.effect, change.was_until, change.until) == ("changed", NOON + DAY, NOON + DAY + 2 * HOUR)
    assert "its end moves from 24 Nov 2026 12:00 to 24 Nov 2026 14:00" in change_text(
        before, after, change, "en"
    )


def test_a_pause_taken_away_restores_and_one_that_was_over_changes_nothing() -> None:
    with_it, without = policy_of(PAUSE, notices=(notice(),)), policy_of(notices=(notice(),))
    assert only(with_it, without).effect == "restored"
    assert compare(with_it, without, NOON + DAY).availability == ()


def test_another_text_or_owner_changes_no_answer() -> None:
    other = msgspec.structs.replace(PAUSE, owner="somebody else", source="a letter")
    difference = compare(policy_of(PAUSE, notices=(notice(),)), policy_of(other, notices=(notice(),)), NOON)
    assert difference.availability == ()
    assert [change.effect for change in difference.changes] == ["said"]


def test_a_lower_place_is_a_change_of_prominence() -> None:
    moved = Placement(id="p", applies=MALL, rank=900, since=NOON + DAY, reason=words("why"), notice="n")
    change = only(policy_of(notices=(notice(),)), policy_of(placements=(moved,), notices=(notice(),)))
    assert (change.kind, change.effect, change.plans, change.since, change.notice) == (
        "placement",
        "demoted",
        ("mall_3", "mall_12"),
        NOON + DAY,
        "n",
    )


def test_law_compliance_and_risk_need_other_eyes() -> None:
    rules = [
        rule(layer, layer, applies=MALL, blocked=Window(NOON, None)) for layer in ("law", "risk", "strategy")
    ]
    assert review_layers(compare(policy_of(), policy_of(*rules), NOON)) == {"law", "risk"}


def test_a_rule_of_law_given_another_layer_still_needs_other_eyes() -> None:
    law = rule("r", "law", applies=MALL, require="customer.age >= 18")
    milder = msgspec.structs.replace(law, layer="strategy")
    assert review_layers(compare(policy_of(law), policy_of(milder), NOON)) == {"law"}
    assert review_layers(compare(policy_of(law), policy_of(), NOON)) == {"law"}


def test_another_time_zone_moves_every_hour_and_needs_other_eyes() -> None:
    night = rule("night", "maintenance", applies=MALL, daily=DailyWindow(22 * 60, 2 * 60))
    before = policy_of(night)
    elsewhere = msgspec.structs.replace(before.snapshot, shop=ShopTerms("mall", words("Mall"), "UTC", "CNY"))
    after = compile_policy(elsewhere)
    at_night = {"clock.now": NOON + 11 * HOUR, "cart.amount": 100_000}
    assert decide(before, at_night)["mall_3"].state != decide(after, at_night)["mall_3"].state
    change = only(before, after)
    assert (change.kind, change.plans) == ("shop", tuple(plan.id for plan in PLANS))
    assert review_layers(compare(before, after, NOON)) == {"law"}
    assert change_text(before, after, change, "en") == (
        "every way to pay: the shop's time zone or currency changes"
    )
    named = msgspec.structs.replace(before.snapshot, shop=ShopTerms("mall", words("Mall 2"), ZONE, "CNY"))
    assert compare(before, compile_policy(named), NOON).availability == ()


def test_what_is_left_of_is_told_where_there_is_more_or_less_of_it() -> None:
    def with_budget(**more: Any) -> Policy:
        budget = Budget(id="free", name=words("Free"), total_minor=100_000, applies=MALL, notice="n")
        return policy_of(budgets=(msgspec.structs.replace(budget, **more),), notices=(notice(),))

    before, after = with_budget(), with_budget(total_minor=250_000)
    change = only(before, after)
    assert (change.kind, change.effect, change.plans, change.notice) == (
        "budget",
        "changed",
        ("mall_3", "mall_12"),
        "n",
    )
    assert change_text(before, after, change, "en") == (
        "Mall instalments × 3/12: the budget free goes from ¥1,000.00 to ¥2,500.00"
    )
    assert change_text(before, after, change, "zh-CN") == (
        "Mall instalments × 3/12：预算“free”由¥1,000.00改为¥2,500.00"
    )
    renewed = with_budget(renews=NOON + DAY)
    assert "is spent or renewed" in change_text(before, renewed, only(before, renewed), "en")
    over = {"end": NOON}
    assert compare(with_budget(**over), with_budget(total_minor=1, **over), NOON).availability == ()


def test_a_daily_quota_is_told_from_and_to() -> None:
    def with_quota(most: int | None) -> Policy:
        mall = msgspec.structs.replace(FUNDERS[0], agreement=Agreement(version="1", daily_quota_minor=most))
        return policy_of(funders=(mall, *FUNDERS[1:]))

    before, after = with_quota(100_000), with_quota(50_000)
    assert change_text(before, after, only(before, after), "en") == (
        "Mall instalments × 3/12: the funder's daily quota goes from ¥1,000.00 to ¥500.00"
    )
    assert only(with_quota(None), after).rule == "agreement.mall.quota"


def test_another_case_and_another_price_are_told_from_and_to() -> None:
    floor = rule("floor", "cart", applies=MALL, require="cart.amount >= ¥300")
    higher = msgspec.structs.replace(floor, require=clause("cart.amount >= ¥500"))
    before, after = policy_of(floor), policy_of(higher)
    change = only(before, after)
    assert change_text(before, after, change, "zh-CN") == (
        "Mall instalments × 3/12：不可用的情形由“订单金额低于¥300.00”改为“订单金额低于¥500.00”"
    )
    assert change_text(before, after, change, "en") == (
        "Mall instalments × 3/12: left out is now whoever meets (order amount below ¥500.00); "
        "before, (order amount below ¥300.00)"
    )
    cheaper = tuple(
        msgspec.structs.replace(plan, pricing=FlatFee(Decimal("0.005"))) if plan.id == "mall_12" else plan
        for plan in PLANS
    )
    priced = policy_of(plans=cheaper)
    assert change_text(policy_of(), priced, only(policy_of(), priced), "zh-CN") == (
        "Mall instalments × 12：每期费率由0.6%改为0.5%"
    )
    fixed = tuple(
        msgspec.structs.replace(plan, pricing=FlatFee(total_rate=Decimal("0.05")))
        if plan.id == "mall_12"
        else plan
        for plan in PLANS
    )
    other = policy_of(plans=fixed)
    assert change_text(policy_of(), other, only(policy_of(), other), "zh-CN") == (
        "Mall instalments × 12：计费方式改变"
    )


@pytest.mark.parametrize(
    ("changes", "zh", "en"),
    [
        ({"periods": 10}, "期数改变", "what changes: number of instalments"),
        (
            {"due_day": 10, "min_first_days": 20},
            "每月还款日、距首个还款日的最少天数改变",
            "what changes: day of the month on which it is due, least days before the first due date",
        ),
        (
            {"pricing": FlatFee(Decimal("0.006"), timing="up_front", minimum_minor=500)},
            "最低手续费、手续费收取时间改变",
            "what changes: least fee, when the fee is charged",
        ),
        (
            {"bearers": (Bearer("shop", Decimal("0.5")), Bearer("customer", Decimal("0.5")))},
            "费用由谁承担改变",
            "what changes: who bears the charge",
        ),
        ({"unit": "week", "every": 2}, "还款周期改变", "what changes: length of a period"),
        ({"legal_form": "loan", "periods": 10}, "费用或期次改变", "its price or terms change"),
    ],
)
def test_what_of_a_plan_changes_is_named(changes: dict[str, Any], zh: str, en: str) -> None:
    plans = tuple(
        msgspec.structs.replace(plan, **changes) if plan.id == "mall_12" else plan for plan in PLANS
    )
    before, after = policy_of(), policy_of(plans=plans)
    change = only(before, after)
    for locale, said in (("zh-CN", zh), ("en", en)):
        assert (
            change_text(before, after, change, locale).partition("：" if locale == "zh-CN" else ": ")[2]
            == said
        )


def test_other_business_days_move_due_dates_and_so_change_what_is_offered() -> None:
    plans = tuple(
        msgspec.structs.replace(plan, holiday="following", calendar="cn") if plan.id == "mall_3" else plan
        for plan in PLANS
    )
    longer = msgspec.structs.replace(SHIPPED["cn"], version="2027", confirmed_through=date(2027, 12, 31))
    before = policy_of(plans=plans, calendars=(SHIPPED["cn"],))
    after = policy_of(plans=plans, calendars=(longer,))
    change = only(before, after)
    assert (change.kind, change.effect, change.plans) == ("calendar", "changed", ("mall_3",))
    assert change_text(before, after, change, "zh-CN") == (
        "Mall instalments × 3：工作日历“cn”改变，还款日随之变动"
    )
    unused = compare(policy_of(), policy_of(calendars=(longer,)), NOON).changes
    assert [(one.kind, one.effect, one.availability) for one in unused] == [("calendar", "said", False)]
    assert change_text(policy_of(), policy_of(calendars=(longer,)), unused[0], "en") == (
        "the business calendar cn changes"
    )


def test_an_or_inside_an_and_is_read_as_one_thing() -> None:
    both = All(
        (clause("cart.has_coupon is yes"), Any_((clause("channel.kind is app"), clause("cart.amount < ¥5"))))
    )
    policy = policy_of()
    assert (
        condition_text(policy, both, "en")
        == "coupon used, and (channel: the app, or order amount below ¥5.00)"
    )
    assert condition_text(policy, both, "zh-CN") == "使用优惠券，且（下单渠道为App，或订单金额低于¥5.00）"


def test_a_rule_about_no_plan_or_of_a_time_past_is_a_change_all_the_same_and_alters_no_answer() -> None:
    past = rule("past", applies=MALL, blocked=Window(NOON - DAY, NOON - HOUR))
    nowhere = rule("nowhere", applies=Selector(plans=("none",)))
    for one in (past, nowhere):
        for before, after in ((policy_of(), policy_of(one)), (policy_of(one), policy_of())):
            (change,) = compare(before, after, NOON).changes
            assert (change.name, change.effect, change.availability) == (one.id, "said", False)
            assert one.id in change_text(before, after, change, "en")


def test_a_change_is_announced_by_the_notice_it_links_or_by_a_new_one_about_its_plans() -> None:
    silent = msgspec.structs.replace(PAUSE, notice=None)
    before = policy_of()
    assert not announced(only(before, policy_of(silent)), before, policy_of(silent))
    about = policy_of(silent, notices=(notice(plans=("mall_3", "mall_12")),))
    assert announced(only(before, about), before, about)
    half = policy_of(silent, notices=(notice(plans=("mall_3",)),))
    assert not announced(only(before, half), before, half)
    # A notice that stood there already says nothing new.
    stood = policy_of(notices=(notice(plans=("mall_3", "mall_12")),))
    assert not announced(only(stood, about), stood, about)


def test_what_got_better_is_told_before_and_after() -> None:
    cheaper = tuple(
        msgspec.structs.replace(plan, pricing=FlatFee(Decimal("0.005"))) if plan.id == "mall_12" else plan
        for plan in PLANS
    )
    more = (*cheaper, Plan("mall_24", "mall", "mall", "instalment_sale", 24, FlatFee(Decimal("0.005"))))
    found = betterments(
        policy_of(), policy_of(plans=more), ("mall_12",), amount_minor=600_000, on=date(2026, 11, 23)
    )
    by_what = {one.what: one for one in found}
    # 12 x 0.6 % of ¥6,000 is ¥432; 12 x 0.5 % is ¥360.
    assert (by_what["fee"].before, by_what["fee"].after) == (43_200, 36_000)
    assert (by_what["new_term"].plan, by_what["new_term"].after) == ("mall_24", 24)
    assert by_what["annual_cost"].after < (by_what["annual_cost"].before or 0)


def test_a_raised_limit_is_better_and_a_lowered_one_is_not() -> None:
    def limited(most: int) -> Policy:
        mall = msgspec.structs.replace(FUNDERS[0], agreement=Agreement(version="1", max_amount_minor=most))
        return policy_of(funders=(mall, *FUNDERS[1:]))

    kept = {"amount_minor": 100_000, "on": date(2026, 11, 23)}
    (raised,) = betterments(limited(100), limited(200), ("mall_3",), **kept)
    assert (raised.what, raised.before, raised.after) == ("max", 100, 200)
    assert betterments(limited(200), limited(100), ("mall_3",), **kept) == ()


_SHAPES: list[dict[str, Any]] = [
    {"blocked": Window(NOON - DAY, NOON + DAY)},
    {"blocked": Window(NOON + HOUR, NOON + 2 * HOUR)},
    {"blocked": Window(NOON - DAY, NOON - HOUR)},
    {"require": "cart.amount >= ¥500"},
    {"require": "customer.tier >= 2", "unknown": "allow"},
    {"when": "cart.has_coupon is yes"},
    {"require": "offer.annual_cost <= 10%"},
    {"valid": Window(NOON, NOON + HOUR), "require": "channel.kind is app"},
]


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 1_000_000))
def test_where_an_answer_differs_the_plan_is_in_a_change_of_availability(seed: int) -> None:
    random = Random(seed)

    def made() -> tuple[Any, ...]:
        return tuple(
            rule(
                f"r{number}",
                random.choice(["law", "strategy", "cart", "risk"]),
                applies=random.choice([MALL, Selector(plans=("card",)), Selector(all=True)]),
                **({"unknown": "block"} | random.choice(_SHAPES)),
            )
            for number in random.sample(range(4), random.randint(0, 4))
        )

    before, after = policy_of(*made()), policy_of(*made())
    named = {plan for change in compare(before, after, NOON).availability for plan in change.plans}
    for _ in range(12):
        known: dict[str, FactValue] = {
            "clock.now": NOON + random.choice([0, 60, HOUR, 90 * 60, 3 * HOUR, 2 * DAY]),
            "cart.amount": random.choice([10_000, 100_000]),
            "cart.has_coupon": random.random() < 0.5,
            "channel.kind": random.choice(["web", "app"]),
        }
        if random.random() < 0.7:
            known["customer.tier"] = random.choice([1, 3])
        offers = {plan.id: {"offer.annual_cost": random.choice([0, 200_000_000_000])} for plan in PLANS}
        was, now = decide(before, known, offers), decide(after, known, offers)
        for plan in PLANS:
            if (was[plan.id].state, {r.code for r in was[plan.id].reasons}) != (
                now[plan.id].state,
                {r.code for r in now[plan.id].reasons},
            ):
                assert plan.id in named


@given(seed=st.integers(0, 100_000))
@settings(deadline=None, max_examples=40)
def test_a_policy_changes_nothing_against_itself(seed: int) -> None:
    random = Random(seed)
    rules = tuple(rule(f"r{n}", applies=MALL, **random.choice(_SHAPES)) for n in range(3))
    assert compare(policy_of(*rules), policy_of(*rules), NOON).changes == ()


# ------------------------------------------------------------------------------------------------- impacts


def test_a_pause_of_a_family_is_one_impact_for_everybody() -> None:
    (impact,) = impacts_of(policy_of(PAUSE, notices=(notice(until=NOON + DAY),)), "n")
    assert (impact.act, impact.effect, impact.family, impact.plans, impact.code) == (
        "buy",
        "paused",
        "mall",
        ("mall_3", "mall_12"),
        "STRATEGY_PAUSE",
    )
    assert (impact.start, impact.end, impact.confidence, impact.segment) == (
        NOON + HOUR,
        NOON + DAY,
        "fixed",
        None,
    )


def test_channels_and_regions_are_read_off_and_the_rest_is_the_segment() -> None:
    bound = msgspec.structs.replace(
        PAUSE,
        blocked=Window(NOON, None),
        when=All((clause("channel.kind in [app, web]"), clause("region.ship_to is GD"))),
        require=Not(clause("cart.amount >= ¥5,000")),
    )
    policy = policy_of(bound, notices=(notice(),))
    (impact,) = impacts_of(policy, "n")
    assert (impact.effect, impact.channels, impact.regions) == ("limited", ("web", "app"), ("GD",))
    assert segment_text(policy, impact, "en") == "order amount of ¥5,000.00 or more"
    assert segment_text(policy, impact, "zh-CN") == "订单金额满¥5,000.00"
    assert (impact.end, impact.confidence) == (None, "unknown")


def test_an_outage_of_paying_back_is_an_impact_of_each_act_on_the_shop_s_own_contracts() -> None:
    rests = RepaymentImpact(
        start=NOON, end=NOON + HOUR, due_moves_to=date(2026, 11, 25), acts=("repay", "autopay")
    )
    policy = policy_of(notices=(notice(repayment=rests, plans=("mall_3",)),))
    assert [(i.act, i.effect, i.family, i.plans, i.start, i.end) for i in impacts_of(policy, "n")] == [
        ("repay", "paused", "mall", ("mall_3",), NOON, NOON + HOUR),
        ("autopay", "paused", "mall", ("mall_3",), NOON, NOON + HOUR),
    ]


def test_a_lower_place_is_an_impact_too() -> None:
    moved = Placement(id="p", applies=MALL, rank=900, since=NOON, reason=words("why"), notice="n")
    (impact,) = impacts_of(policy_of(placements=(moved,), notices=(notice(),)), "n")
    assert (impact.effect, impact.placement, impact.code, impact.start) == ("demoted", "p", "", NOON)


def test_there_is_no_impact_of_a_notice_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        impacts_of(policy_of(), "n")


def test_a_plan_that_is_added_or_dropped_changes_no_rule_that_speaks_of_all_plans() -> None:
    law = rule("law", layer="law", applies=Selector(all=True), require=clause("customer.age >= 18"))
    fewer = policy_of(law, plans=tuple(plan for plan in PLANS if plan.id != "mall_3"))
    more = policy_of(law)
    assert "law" not in {change.rule for change in compare(fewer, more, NOON).changes}
    assert "law" not in review_layers(compare(fewer, more, NOON))
    assert "law" not in {change.rule for change in compare(more, fewer, NOON).changes}


def test_a_rule_that_comes_to_be_about_a_plan_that_was_there_has_changed() -> None:
    for_all = rule("law", layer="law", applies=Selector(all=True), require=clause("customer.age >= 18"))
    for_some = msgspec.structs.replace(for_all, applies=Selector(all=True, within=MALL))
    assert "law" in review_layers(compare(policy_of(for_some), policy_of(for_all), NOON))


def test_within_narrows_what_a_selector_names() -> None:
    policy = policy_of(
        rule("r", applies=Selector(legal_forms=("instalment_sale", "card_instalment"), within=MALL))
    )
    verdicts = decide(policy, {"clock.now": NOON})
    blocked = {
        plan for plan, verdict in verdicts.items() if any(reason.rule == "r" for reason in verdict.reasons)
    }
    assert blocked == {"mall_3", "mall_12"}
