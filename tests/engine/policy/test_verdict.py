from __future__ import annotations

import msgspec
import pytest

from fenqi.policy.snapshot import DailyWindow, Pending, Selector, Window
from fenqi.policy.verdict import Failing, Until, Verdict, decide, for_customer

from .policies import DAY, HOUR, NOON, clause, mall_policy, policy_of, rule

MALL_3 = Selector(plans=("mall_3",))


def _verdict(policy, facts=None, offers=None, plan="mall_3"):  # type: ignore[no-untyped-def]
    return decide(policy, {"clock.now": NOON, **(facts or {})}, offers)[plan]


def test_every_failing_rule_is_a_reason_and_every_failing_clause_is_named() -> None:
    policy = mall_policy(
        rule("age", "law", require="customer.age >= 18", reason="UNDERAGE"),
        rule(
            "card",
            "agreement",
            reason="CARD_UNSUPPORTED",
            require=clause_all("card.kind is credit", "card.bank in [ccb, cmb]", "cart.amount <= ¥5,000"),
        ),
        rule("amount", "cart", require="cart.amount >= ¥300", reason="AMOUNT_LOW"),
    )
    verdict = _verdict(
        policy, {"customer.age": 17, "card.kind": "debit", "card.bank": "icbc", "cart.amount": 20_000}
    )
    assert verdict.state == "unavailable"
    assert [reason.code for reason in verdict.reasons] == ["UNDERAGE", "CARD_UNSUPPORTED", "AMOUNT_LOW"]
    assert verdict.reasons[1].clauses == (
        Failing("card.kind", "is", "debit", "credit"),
        Failing("card.bank", "in", "icbc", frozenset({"ccb", "cmb"})),
    )
    assert verdict.reasons[2].params == {"min": 30_000, "current": 20_000}


def clause_all(*texts: str):  # type: ignore[no-untyped-def]
    from fenqi.policy.conditions import All

    return All(tuple(clause(text) for text in texts))


def test_of_alternatives_all_are_named_only_if_none_holds() -> None:
    from fenqi.policy.conditions import Any

    either = Any(
        (clause("customer.tier >= 3"), clause_all("customer.tier >= 1", "customer.account_days >= 365"))
    )
    policy = mall_policy(rule("tenure", "risk", require=either))
    low = _verdict(policy, {"customer.tier": 1, "customer.account_days": 30})
    assert [found.fact for found in low.reasons[0].clauses] == ["customer.tier", "customer.account_days"]
    assert _verdict(policy, {"customer.tier": 3}).state == "available"


def test_what_is_forbidden_is_said_as_what_should_be() -> None:
    policy = mall_policy(
        rule("box", "compliance", when="cart.kinds has any of [blind_box]", reason="ITEM_BLIND_BOX")
    )
    verdict = _verdict(policy, {"cart.kinds": frozenset({"goods", "blind_box"})})
    assert verdict.reasons[0].clauses == (
        Failing("cart.kinds", "has none of", frozenset({"goods", "blind_box"}), frozenset({"blind_box"})),
    )
    both = mall_policy(rule("b", when="cart.kinds has all of [blind_box, goods]"))
    assert (
        _verdict(both, {"cart.kinds": frozenset({"goods", "blind_box"})}).reasons[0].clauses[0].op
        == "lacks some of"
    )


def test_a_clause_between_two_facts_names_both() -> None:
    policy = mall_policy(
        rule("line", "customer", require="limit.mall_available >= cart.amount", reason="LINE_INSUFFICIENT")
    )
    reason = _verdict(policy, {"limit.mall_available": 10_000, "cart.amount": 25_000}).reasons[0]
    assert reason.clauses == (Failing("limit.mall_available", ">=", 10_000, 25_000, "cart.amount"),)
    assert reason.params == {"min": 25_000, "current": 10_000}
    assert reason.personal


@pytest.mark.parametrize(
    ("unknown", "state", "asks"),
    [("block", "unavailable", ()), ("ask", "unavailable", ("customer.age",)), ("allow", "available", ())],
)
def test_an_unknown_fact_blocks_asks_or_is_let_through_as_its_rule_says(
    unknown: str, state: str, asks: tuple[str, ...]
) -> None:
    verdict = _verdict(
        mall_policy(rule("a", "law", require="customer.age >= 18", unknown=unknown, change="time"))
    )
    assert (verdict.state, verdict.asks) == (state, asks)
    for reason in verdict.reasons:
        assert reason.unknown
        assert reason.clauses == (Failing("customer.age", ">=", None, 18),)
        assert reason.until == Until("none" if unknown == "ask" else "unknown")


def test_one_unknown_fact_is_asked_once() -> None:
    policy = mall_policy(
        rule("a", "law", require="customer.age >= 18", unknown="ask"),
        rule("b", "law", require="customer.age >= 16", unknown="ask"),
        rule("c", "law", require="customer.student is no", unknown="ask"),
    )
    assert _verdict(policy).asks == ("customer.age", "customer.student")


def _prequal_policy():  # type: ignore[no-untyped-def]
    return policy_of(
        rule(
            "prequal",
            "risk",
            reason="PREQUAL_DECLINED",
            applies=Selector(plans=("ccb_6",)),
            require="funder.ccb.prequal is approved",
            pending=Pending(clause("funder.ccb.prequal is pending"), "funder.ccb.prequal_deadline"),
            change="funder",
        )
    )


def test_an_answer_on_its_way_is_pending_until_its_deadline_and_unknown_after_it() -> None:
    facts = {
        "cart.amount": 100_000,
        "funder.ccb.prequal": "pending",
        "funder.ccb.prequal_deadline": NOON + 10,
    }
    verdict = _verdict(_prequal_policy(), facts, plan="ccb_6")
    assert (verdict.state, verdict.deadline, verdict.until) == ("pending", NOON + 10, Until("unknown"))
    assert verdict.reasons[0].pending
    late = _verdict(_prequal_policy(), {**facts, "funder.ccb.prequal_deadline": NOON}, plan="ccb_6")
    assert (late.state, late.deadline) == ("unavailable", None)
    assert late.reasons[0].unknown
    assert (
        _verdict(_prequal_policy(), {**facts, "funder.ccb.prequal": "approved"}, plan="ccb_6").state
        == "funder_decides"
    )
    assert (
        _verdict(_prequal_policy(), {**facts, "funder.ccb.prequal": "declined"}, plan="ccb_6").state
        == "unavailable"
    )


def test_an_answer_on_its_way_does_not_hide_another_reason() -> None:
    facts = {"cart.amount": 100, "funder.ccb.prequal": "pending", "funder.ccb.prequal_deadline": NOON + 10}
    verdict = _verdict(_prequal_policy(), facts, plan="ccb_6")
    assert verdict.state == "unavailable"
    assert [reason.code for reason in verdict.reasons] == ["AMOUNT_LOW", "PREQUAL_DECLINED"]


def test_the_second_pass_asks_the_priced_rules_of_each_plan() -> None:
    policy = policy_of(rule("floor", "strategy", require="offer.instalment_min >= ¥50", reason="AMOUNT_LOW"))
    facts = {"clock.now": NOON, "cart.amount": 60_000}
    assert decide(policy, facts)["mall_12"].state == "available"
    offers = {plan.id: {"offer.instalment_min": 20_000, "offer.annual_cost": 0} for plan in policy.plans}
    offers["mall_12"] = {"offer.instalment_min": 4_999}
    found = decide(policy, facts, offers)
    assert [plan for plan, verdict in found.items() if verdict.offered] == ["mall_3", "ccb_6", "card"]
    assert found["mall_12"].reasons[0].clauses == (Failing("offer.instalment_min", ">=", 4_999, 5_000),)


def test_a_plan_without_a_price_never_slips_under_a_ceiling() -> None:
    found = decide(policy_of(), {"clock.now": NOON, "cart.amount": 60_000}, {})
    assert found["ccb_6"].state == "unavailable"
    assert [(reason.code, reason.unknown) for reason in found["ccb_6"].reasons] == [("COST_OVER_CAP", True)]
    # What is blocked anyway is not blocked once more for want of a price.
    low = decide(policy_of(), {"clock.now": NOON, "cart.amount": 100}, {})
    assert [reason.code for reason in low["ccb_6"].reasons] == ["AMOUNT_LOW"]


def test_a_decision_is_made_at_an_instant() -> None:
    with pytest.raises(ValueError, match="add clock_facts"):
        decide(policy_of(), {"cart.amount": 1})


def test_two_plans_share_one_reason() -> None:
    found = decide(
        policy_of(rule("p", blocked=Window(NOON, NOON + DAY))), {"clock.now": NOON, "cart.amount": 100_000}
    )
    assert found["mall_3"].reasons[0] is found["mall_12"].reasons[0]
    assert found["mall_3"].until == Until("instant", NOON + DAY)


def test_a_generic_reason_keeps_its_dates_and_ways_on_and_loses_its_particulars() -> None:
    risk = rule(
        "velocity",
        "risk",
        reason="DAY_LIMIT",
        require="cart.amount <= ¥100",
        public="generic",
        blocked=Window(NOON - HOUR, NOON + HOUR),
        instead=("card",),
        change="customer",
    )
    reason = _verdict(mall_policy(risk), {"cart.amount": 20_000}).reasons[0]
    shown = for_customer(reason)
    assert (shown.code, shown.rule, shown.clauses, shown.change) == ("ACCOUNT_RISK", "", (), "nobody")
    assert (shown.since, shown.until, shown.instead) == (
        NOON - HOUR,
        Until("instant", NOON + HOUR),
        ("card",),
    )
    assert shown.params == {"since": NOON - HOUR, "until": NOON + HOUR}
    assert for_customer(shown) == shown


def test_deciding_twice_is_the_same() -> None:
    policy = policy_of(rule("a", require="customer.age >= 18", applies=MALL_3))
    facts = {"clock.now": NOON, "cart.amount": 100_000, "customer.age": 17}
    assert decide(policy, facts) == decide(policy, dict(reversed(facts.items())))


def test_a_verdict_can_be_recorded_and_read_again() -> None:
    policy = policy_of(
        rule("a", require="card.bank in [ccb, cmb]", blocked=Window(None, NOON + DAY)),
        rule("b", require="cart.amount in ¥1..¥2"),
        rule("c", "law", require="customer.student is no", unknown="ask"),
    )
    facts = {"clock.now": NOON, "cart.amount": 100_000, "card.bank": "icbc"}
    for verdict in decide(policy, facts, {}).values():
        assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


def test_a_priced_rule_that_begins_later_moves_the_opening_too() -> None:
    policy = mall_policy(
        rule("now", blocked=Window(NOON - HOUR, NOON + HOUR)),
        rule("later", blocked=Window(NOON, NOON + 2 * HOUR), require="offer.fee <= ¥1"),
        rule("last", blocked=Window(NOON + HOUR, NOON + 3 * HOUR), require="offer.fee <= ¥2"),
    )
    facts = {"clock.now": NOON}
    assert decide(policy, facts)["mall_3"].until.at == NOON + HOUR
    assert decide(policy, facts, {"mall_3": {"offer.fee": 50}})["mall_3"].until.at == NOON + HOUR
    assert decide(policy, facts, {"mall_3": {"offer.fee": 150}})["mall_3"].until.at == NOON + 2 * HOUR
    assert decide(policy, facts, {"mall_3": {"offer.fee": 250}})["mall_3"].until.at == NOON + 3 * HOUR


def test_two_windows_that_end_together_open_once_and_not_a_day_later() -> None:
    night = [rule(name, daily=DailyWindow(0, 1)) for name in ("accounts", "backup")]
    policy = mall_policy(rule("hours", require="clock.time in 00:00..00:15"), *night)
    assert _verdict(policy).until == Until("instant", NOON + 12 * HOUR + 60)


@pytest.mark.parametrize(
    ("text", "amount", "params"),
    [
        ("cart.amount > ¥300", 30_000, {"min": 30_001, "current": 30_000}),
        ("cart.amount < ¥300", 30_000, {"max": 29_999, "current": 30_000}),
        ("cart.amount in ¥1..¥300", 30_001, {"min": 100, "max": 30_000, "current": 30_001}),
        ("cart.amount not in ¥1..¥300", 20_000, {"current": 20_000}),
    ],
)
def test_the_least_and_the_most_that_are_told_would_do(
    text: str, amount: int, params: dict[str, int]
) -> None:
    policy = mall_policy(rule("amount", "cart", require=text, reason="AMOUNT_LOW"))
    assert _verdict(policy, {"cart.amount": amount}).reasons[0].params == params
    for told in (params.get("min"), params.get("max")):
        if told is not None:
            assert _verdict(policy, {"cart.amount": told}).state == "available"


def test_a_generic_rule_does_not_ask_for_what_it_looks_at() -> None:
    adult = rule("r", "risk", require="customer.age >= 18", unknown="ask", public="generic")
    verdict = _verdict(mall_policy(adult))
    assert (verdict.state, verdict.asks) == ("unavailable", ())
