"""The whole answer for one cart: figures, groups, places, and that nothing is missing without a reason."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from benchmarks.engine import bench_policy, check_shape
from hypothesis import given, settings
from hypothesis import strategies as st

import fenqi_server.demo
from fenqi.business_days import SHIPPED
from fenqi.calendars import at_local, local_date
from fenqi.checkout.evaluation import Evaluation, evaluate, priced_facts
from fenqi.checkout.request import CheckoutRequest, Line, RequestError
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.document import load_policy
from fenqi.policy.facts import FactValue
from fenqi.policy.snapshot import Selector, Snapshot
from fenqi.policy.verdict import Until, decide
from fenqi.terms.cost import cost_of
from fenqi.terms.plan import Annuity, DownPayment, FlatFee
from fenqi.terms.schedule import build_schedule

ZONE = "Asia/Shanghai"
TEN = at_local(date(2026, 11, 23), 10 * 60, ZONE)
MAINTAINED = at_local(date(2026, 11, 23), 22 * 60 + 30, ZONE)
GOOD: dict[str, FactValue] = {
    "customer.signed_in": True,
    "customer.age": 34,
    "customer.student": False,
    "customer.real_name_verified": True,
    "customer.consents": frozenset({"hean"}),
    "customer.overdue": False,
    "limit.mall": 2_000_000,
    "limit.mall_available": 2_000_000,
    "card.bank": "tingchao",
    "card.kind": "credit",
    "funder.hean.prequal": "approved",
}


def _load() -> Snapshot:
    loaded = load_policy(Path(fenqi_server.demo.__file__ or "").parent / "policy")
    assert loaded.snapshot is not None
    return loaded.snapshot


SNAPSHOT = _load()
POLICY = compile_policy(SNAPSHOT)


def ask(
    at: int = TEN, price: int = 499_900, facts: dict[str, FactValue] | None = None, **changes: Any
) -> Any:
    line = Line("p", "Phone", "phones", changes.pop("kind", "goods"), 1, price, "mall")
    return CheckoutRequest((line,), "CNY", "web", at, GOOD if facts is None else facts, **changes)


FACTS = st.fixed_dictionaries(
    {},
    optional={
        "customer.signed_in": st.booleans(),
        "customer.age": st.integers(10, 80),
        "customer.student": st.booleans(),
        "customer.real_name_verified": st.booleans(),
        "customer.consents": st.frozensets(st.sampled_from(["hean", "cloudpay"])),
        "customer.overdue": st.booleans(),
        "customer.account_check": st.sampled_from(["clear", "held"]),
        "limit.mall": st.sampled_from([0, 500_000, 2_000_000]),
        "limit.mall_available": st.integers(0, 2_000_000),
        "card.bank": st.sampled_from(["tingchao", "beichen", "other"]),
        "card.kind": st.sampled_from(["debit", "credit"]),
        "funder.hean.prequal": st.sampled_from(["approved", "declined", "pending"]),
        "funder.hean.prequal_deadline": st.integers(TEN - 86_400, TEN + 86_400),
        "funder.tingchao.health": st.sampled_from(["up", "degraded", "down"]),
        "customer.last_used_family": st.sampled_from(["mall", "cloudpay", "card", "gone"]),
    },
)
LINES = st.lists(
    st.builds(
        Line,
        sku=st.just("p"),
        title=st.just("P"),
        category=st.sampled_from(["phones", "toys"]),
        kind=st.sampled_from(["goods", "goods", "blind_box", "pledge"]),
        quantity=st.integers(1, 3),
        unit_price_minor=st.integers(1, 1_500_000),
        seller=st.sampled_from(["mall", "vista_home"]),
    ),
    min_size=1,
    max_size=3,
)
REQUESTS = st.builds(
    CheckoutRequest,
    lines=LINES.map(tuple),
    currency=st.just("CNY"),
    channel=st.sampled_from(["web", "app", "store", "mini_program"]),
    at=st.integers(TEN - 40 * 86_400, TEN + 40 * 86_400),
    facts=FACTS,
    coupon=st.sampled_from([None, "NOV"]),
)


@settings(max_examples=150, deadline=None)
@given(REQUESTS)
def test_nothing_is_missing_without_reason_date_and_ways_on(request: CheckoutRequest) -> None:
    answer = evaluate(POLICY, request)
    offers = {option.plan for option in answer.offers}
    assert {option.plan for option in answer.options} == set(POLICY.plan_index)
    for option in answer.options:
        if option.offered:
            assert option.alternatives == ()
            continue
        assert option.verdict.reasons, option.plan
        for reason in option.verdict.reasons:
            assert reason.until.kind in ("instant", "unknown", "none")
            assert (reason.until.at is not None) == (reason.until.kind == "instant")
            assert reason.notice is None or reason.notice in POLICY.notices
        assert len(option.alternatives) == min(3, len(offers))
        assert {other.plan for other in option.alternatives} <= offers
        assert len({other.plan for other in option.alternatives}) == len(option.alternatives)


@settings(max_examples=150, deadline=None)
@given(REQUESTS)
def test_every_figure_is_the_schedules_own(request: CheckoutRequest) -> None:
    answer = evaluate(POLICY, request)
    totals = {option.plan: option.schedule.total_minor for option in answer.options if option.schedule}
    start_on = local_date(request.at, POLICY.zone)
    for option in answer.options:
        plan, schedule, cost = POLICY.plan(option.plan), option.schedule, option.cost
        assert schedule is not None
        assert cost is not None
        assert schedule == build_schedule(plan, answer.amount_minor, "CNY", start_on)
        assert cost == cost_of(schedule, plan)
        rows = schedule.rows
        assert sum(row.principal_minor for row in rows) == answer.amount_minor
        assert sum(row.fee_minor for row in rows) == schedule.fee_minor == cost.fee_minor
        assert schedule.total_minor == answer.amount_minor + schedule.fee_minor
        assert (option.disclosure is not None) == option.offered
        if option.disclosure is not None:
            assert option.disclosure.total_cost_minor == schedule.fee_minor
            assert sum(item.amount_minor for item in option.disclosure.items) == schedule.fee_minor
            assert option.disclosure.annual_cost.simple_e12 == cost.simple_e12
        for other in option.alternatives:
            assert other.difference_minor == totals[other.plan] - schedule.total_minor


@settings(max_examples=100, deadline=None)
@given(REQUESTS)
def test_the_decision_replays_from_the_facts_recorded(request: CheckoutRequest) -> None:
    answer = evaluate(POLICY, request)
    assert evaluate(POLICY, request) == answer
    offers = {
        option.plan: priced_facts(option.schedule, option.cost, POLICY.plan(option.plan).periods)
        for option in answer.options
        if option.schedule and option.cost
    }
    again = decide(POLICY, answer.facts, offers)
    assert again == {option.plan: option.verdict for option in answer.options}
    # The first pass alone never blocks what the whole does not.
    for plan, verdict in decide(POLICY, answer.facts).items():
        assert verdict.state == again[plan].state or again[plan].state == "unavailable"


@settings(max_examples=100, deadline=None)
@given(REQUESTS, st.randoms(use_true_random=False))
def test_the_order_of_facts_does_not_matter(request: CheckoutRequest, random: Any) -> None:
    names = list(request.facts)
    random.shuffle(names)
    shuffled = msgspec.structs.replace(request, facts={name: request.facts[name] for name in names})
    assert evaluate(POLICY, shuffled) == evaluate(POLICY, request)


@settings(max_examples=150, deadline=None)
@given(REQUESTS)
def test_credit_and_payment_tools_are_two_groups_and_what_is_there_comes_first(
    request: CheckoutRequest,
) -> None:
    answer = evaluate(POLICY, request)
    assert [group.id for group in answer.groups] == ["payment", "instalment"]
    for option in answer.options:
        assert (option.group == "payment") == (option.legal_form == "full_payment")
        assert option.last_used == (option.family == answer.facts.get("customer.last_used_family"))
        if option.verdict.state == "unavailable" and not option.last_used:
            assert option.collapsed
    for group in answer.groups:
        families = [option.family for option in answer.options if option.group == group.id]
        assert list(dict.fromkeys(families)) == list(group.families)
        missing = [
            all(o.verdict.state == "unavailable" for o in answer.options if o.family == family)
            for family in group.families
            if family != answer.facts.get("customer.last_used_family")
        ]
        assert missing == sorted(missing)


def _with_last_used(at: int, family: str | None) -> Evaluation:
    return evaluate(POLICY, ask(at, last_used_family=family))


def test_the_last_used_way_stands_where_it_stood_while_it_is_missing() -> None:
    there, missing = _with_last_used(TEN, "mall"), _with_last_used(MAINTAINED, "mall")
    assert [o.plan for o in there.options if o.family == "mall"] == ["mall_3", "mall_6", "mall_12"]
    for page in (there, missing):
        credit = [option.plan for option in page.options if option.group == "instalment"]
        assert credit[:3] == ["mall_3", "mall_6", "mall_12"]
    folded = _with_last_used(MAINTAINED, None)
    credit = [option.plan for option in folded.options if option.group == "instalment"]
    assert credit.index("mall_3") > credit.index("tingchao_3")


def test_the_answer_holds_until_time_alone_may_change_it() -> None:
    assert evaluate(POLICY, ask(TEN)).valid_until == at_local(date(2026, 11, 23), 22 * 60, ZONE)
    assert evaluate(POLICY, ask(MAINTAINED)).valid_until == at_local(date(2026, 11, 23), 23 * 60 + 30, ZONE)
    late = at_local(date(2026, 11, 24), 2 * 60, ZONE)
    # The bank's rest at 23:30 comes before midnight, from which due dates count anew.
    assert evaluate(POLICY, ask(late)).valid_until == at_local(date(2026, 11, 24), 23 * 60 + 30, ZONE)
    midnight = at_local(date(2026, 11, 24), 23 * 60 + 45, ZONE)
    assert evaluate(POLICY, ask(midnight)).valid_until == at_local(date(2026, 11, 25), 0, ZONE)
    # Asked again for earlier instants, after what was remembered of later ones.
    assert evaluate(POLICY, ask(TEN)).valid_until == at_local(date(2026, 11, 23), 22 * 60, ZONE)


def test_due_dates_count_from_the_shops_day() -> None:
    late = at_local(date(2026, 11, 23), 23 * 60 + 59, ZONE)
    schedule = evaluate(POLICY, ask(late)).option("tingchao_3").schedule
    assert schedule is not None
    assert schedule.rows[0].due_on == date(2026, 12, 23)


def test_a_plan_above_the_cost_ceiling_is_blocked_by_its_price_and_says_so() -> None:
    plans = tuple(
        msgspec.structs.replace(plan, pricing=FlatFee(total_rate=Decimal("0.2")))
        if plan.id == "tingchao_12"
        else plan
        for plan in SNAPSHOT.plans
    )
    policy = compile_policy(msgspec.structs.replace(SNAPSHOT, plans=plans))
    option = evaluate(policy, ask()).option("tingchao_12")
    # 20 % in all over 12 months is about 34.5 % a year: above the market's 24 and the agreement's 18.
    assert option.verdict.state == "unavailable"
    assert [reason.code for reason in option.verdict.reasons] == ["COST_OVER_CAP", "COST_OVER_CAP"]
    assert option.schedule is not None
    assert option.disclosure is None
    assert option.alternatives[0].plan == "mall_12"


def test_what_cannot_be_priced_is_not_offered_and_has_no_figures() -> None:
    plans = tuple(
        msgspec.structs.replace(plan, down_payment=DownPayment(amount_minor=1_000_000))
        if plan.id == "mall_12"
        else plan
        for plan in SNAPSHOT.plans
    )
    rules = tuple(rule for rule in SNAPSHOT.rules if rule.id != "compliance.cost_ceiling")
    funders = tuple(
        msgspec.structs.replace(funder, agreement=None, agreements=()) for funder in SNAPSHOT.funders
    )
    policy = compile_policy(msgspec.structs.replace(SNAPSHOT, plans=plans, rules=rules, funders=funders))
    option = evaluate(policy, ask()).option("mall_12")
    assert option.verdict.state == "unavailable"
    assert [reason.code for reason in option.verdict.reasons] == ["AMOUNT_LOW"]
    assert (option.schedule, option.cost, option.disclosure) == (None, None, None)
    assert "down payment" in (option.not_priced or "")
    assert all(other.difference_minor is None for other in option.alternatives)


def test_a_term_that_ends_in_a_year_nobody_arranged_is_missing_and_a_shorter_one_is_there() -> None:
    plans = tuple(
        msgspec.structs.replace(plan, holiday="following", calendar="cn", unit="week", periods=periods)
        if (periods := {"mall_3": 3, "mall_12": 12}.get(plan.id))
        else plan
        for plan in SNAPSHOT.plans
    )
    rules = tuple(rule for rule in SNAPSHOT.rules if rule.id != "compliance.cost_ceiling")
    funders = tuple(
        msgspec.structs.replace(funder, agreement=None, agreements=()) for funder in SNAPSHOT.funders
    )
    policy = compile_policy(
        msgspec.structs.replace(
            SNAPSHOT, plans=plans, calendars=(SHIPPED["cn"],), rules=rules, funders=funders
        )
    )
    # From 23 November 2026: three weeks end on 14 December, twelve in the year after.
    answer = evaluate(policy, ask())
    short, long = answer.option("mall_3"), answer.option("mall_12")
    assert (short.verdict.state, short.schedule is not None) == ("available", True)
    assert (long.verdict.state, long.verdict.until.kind) == ("unavailable", "unknown")
    assert [(reason.code, reason.change) for reason in long.verdict.reasons] == [("TERM_UNAVAILABLE", "shop")]
    assert "cn@2026" in (long.not_priced or "")
    assert long.alternatives[0].plan


def _mall_3(**terms: object) -> Policy:
    """The mall without its funders' limits, and with other terms for its three instalments."""
    plans = tuple(
        msgspec.structs.replace(plan, **terms) if plan.id == "mall_3" else plan for plan in SNAPSHOT.plans
    )
    funders = tuple(
        msgspec.structs.replace(funder, agreement=None, agreements=()) for funder in SNAPSHOT.funders
    )
    return compile_policy(
        msgspec.structs.replace(SNAPSHOT, plans=plans, calendars=(SHIPPED["cn"],), funders=funders)
    )


@pytest.mark.parametrize(
    ("terms", "opens"),
    [
        # Maintenance is over on the 24th. From there 37 days end on 31 December, 38 in a year whose days off nobody knows.
        ({"periods": 1, "unit": "day", "every": 37, "holiday": "following", "calendar": "cn"}, True),
        ({"periods": 1, "unit": "day", "every": 38, "holiday": "following", "calendar": "cn"}, False),
        # A month's interest for the days up to the 26th, then two months at 13 %: about 13 % x 2 / 1.1 = 23.6 % for three
        # days from the 23rd, 13 % x 2 / 1.07 = 24.4 % for two from the 24th, and the ceiling is 24 %.
        ({"due_day": 26, "pricing": Annuity(Decimal("0.13"))}, False),
        ({"due_day": 26, "pricing": Annuity(Decimal("0.12"))}, True),
    ],
)
def test_a_plan_opens_at_an_instant_only_where_that_days_price_lets_it(
    terms: dict[str, object], opens: bool
) -> None:
    policy = _mall_3(**terms)
    before = evaluate(policy, ask(MAINTAINED)).option("mall_3")
    assert [reason.code for reason in before.verdict.reasons] == ["MAINTENANCE"]
    over = at_local(date(2026, 11, 24), 2 * 60, ZONE)
    assert before.verdict.until == (Until("instant", over) if opens else Until("unknown"))
    assert evaluate(policy, ask(over)).option("mall_3").offered is opens


def test_another_currency_than_the_shops_is_refused() -> None:
    line = Line("p", "Phone", "phones", "goods", 1, 499_900, "mall")
    with pytest.raises(RequestError, match="/currency is EUR"):
        evaluate(POLICY, CheckoutRequest((line,), "EUR", "web", TEN, GOOD))


def test_where_nothing_is_left_alternatives_are_an_explicit_none() -> None:
    rules = tuple(
        msgspec.structs.replace(rule, applies=Selector(all=True))
        if rule.id == "compliance.blind_box"
        else rule
        for rule in SNAPSHOT.rules
    )
    policy = compile_policy(msgspec.structs.replace(SNAPSHOT, rules=rules))
    answer = evaluate(policy, ask(kind="blind_box"))
    assert answer.offers == ()
    assert all(option.alternatives == () for option in answer.options)


def test_two_policies_in_one_process_keep_their_own_pages() -> None:
    other: Policy = compile_policy(msgspec.structs.replace(SNAPSHOT, placements=()))
    for _ in range(2):
        assert evaluate(POLICY, ask()).option("cloudpay_12").placement_since is not None
        assert evaluate(other, ask()).option("cloudpay_12").placement_since is None


def test_the_measured_policy_has_the_size_that_is_claimed() -> None:
    shape = check_shape(bench_policy())
    assert isinstance(shape["rules"], int)
    assert shape["rules"] >= 60


def test_an_answer_stands_no_longer_than_the_deadline_of_one_on_its_way() -> None:
    waiting = {**GOOD, "funder.hean.prequal": "pending", "funder.hean.prequal_deadline": TEN + 300}
    before = evaluate(POLICY, ask(facts=waiting))
    assert before.option("hean_12").verdict.state == "pending"
    assert before.valid_until == TEN + 300
    after = evaluate(POLICY, ask(at=TEN + 300, facts=waiting))
    assert after.option("hean_12").verdict.state != "pending"


def test_what_cannot_be_priced_says_so_beside_its_other_reasons_and_opens_at_no_time() -> None:
    plans = [
        msgspec.structs.replace(plan, down_payment=DownPayment(amount_minor=499_900))
        if plan.id == "mall_12"
        else plan
        for plan in SNAPSHOT.plans
    ]
    policy = compile_policy(msgspec.structs.replace(SNAPSHOT, plans=tuple(plans)))
    verdict = evaluate(policy, ask(at=MAINTAINED)).option("mall_12").verdict
    assert [reason.code for reason in verdict.reasons] == ["MAINTENANCE", "AMOUNT_LOW"]
    assert verdict.until.kind == "none"
    without_line = {name: value for name, value in GOOD.items() if name != "limit.mall"}
    verdict = evaluate(policy, ask(at=MAINTAINED, facts=without_line)).option("mall_12").verdict
    assert [reason.layer for reason in verdict.reasons] == ["maintenance", "cart", "customer"]
