"""A change of policy over recorded checkouts: every count is the one that comes of asking each cart by itself."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random

import msgspec
import polars as pl
import pytest

from fenqi.checkout.evaluation import Evaluation, Option, evaluate
from fenqi.checkout.request import CheckoutRequest
from fenqi.checkout.simulation import (
    CostChange,
    PlanDifference,
    RuleCount,
    Segment,
    Simulation,
    Tally,
    Turn,
    simulate,
)
from fenqi.money import round_half_even
from fenqi.policy.columns import ColumnsError, both_vocabularies, columns_of, outcomes_of_words, rule_outcomes
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import Clause
from fenqi.policy.snapshot import DailyWindow, Snapshot
from fenqi.terms.plan import Annuity, FlatFee

from .test_columns import AT, policy, recorded, requests_of

SEGMENTS = ("channel.kind", "customer.student", "customer.tier")


def changed(snapshot: Snapshot) -> Snapshot:
    """Another policy: a stricter law, a lower ceiling, an earlier maintenance, dearer and cheaper plans, one less, one more."""
    rules = []
    for rule in snapshot.rules:
        if rule.id == "law.adult":
            rule = msgspec.structs.replace(rule, require=Clause("customer.age", ">=", 22))
        elif rule.id == "compliance.cap":
            rule = msgspec.structs.replace(rule, require=Clause("offer.annual_cost", "<=", 140_000_000_000))
        elif rule.id == "maintenance.mall":
            rule = msgspec.structs.replace(rule, blocked=None, daily=DailyWindow(60, 120))
        elif rule.id in ("customer.line", "customer.opened"):
            continue
        rules.append(rule)
    plans = []
    for plan in snapshot.plans:
        if plan.id == "wallet_6":
            plan = msgspec.structs.replace(plan, pricing=FlatFee(total_rate=Decimal("0.0375")))
        elif plan.id == "mall_12":
            plan = msgspec.structs.replace(plan, pricing=Annuity(Decimal("0.135")))
        elif plan.id == "north_12":
            continue
        plans.append(plan)
    plans.append(msgspec.structs.replace(snapshot.plans[4], id="wallet_24", periods=24))
    return msgspec.structs.replace(snapshot, rules=tuple(rules), plans=tuple(plans))


def both() -> tuple[Policy, Policy]:
    before = policy()
    return before, compile_policy(changed(before.snapshot))


def carts(before: Policy, after: Policy, count: int, seed: int):  # type: ignore[no-untyped-def]
    requests = requests_of(before, count, Random(seed))
    requests = [msgspec.structs.replace(request, overrides=()) for request in requests]
    facts = [recorded(request, before) for request in requests]
    return requests, columns_of(facts, both_vocabularies(before, after), before.zone)


def offered(answer: Evaluation, plan: str) -> Option | None:
    try:
        option = answer.option(plan)
    except KeyError:
        return None
    return option if option.offered else None


def tally(requests: list[CheckoutRequest], rows: list[int]) -> Tally:
    return Tally(len(rows), sum(amount_of(requests[row]) for row in rows))


def amount_of(request: CheckoutRequest) -> int:
    return sum(line.quantity * line.unit_price_minor for line in request.lines)


def figures(option: Option) -> tuple[object, ...]:
    assert option.schedule is not None
    assert option.cost is not None
    return tuple(row.total_minor for row in option.schedule.rows), option.cost.simple_e12


def one_by_one(
    before: Policy, after: Policy, requests: list[CheckoutRequest], segments: tuple[str, ...]
) -> dict[str, PlanDifference]:
    """What `simulate` counts, by asking each cart under both policies and counting in plain Python."""
    was = [evaluate(before, request) for request in requests]
    will = [evaluate(after, request) for request in requests]
    found = {}
    for plan in dict.fromkeys(plan.id for plan in (*after.plans, *before.plans)):
        rows: dict[str, list[int]] = {
            name: [] for name in ("gained", "lost", "changed", "before", "after", "same")
        }
        turns: Counter[tuple[str | None, str | None]] = Counter()
        blamed: dict[str, Counter[str]] = {"gained": Counter(), "lost": Counter()}
        money: dict[str, Counter[str]] = {"gained": Counter(), "lost": Counter()}
        alone: dict[str, Counter[str]] = {"gained": Counter(), "lost": Counter()}
        totals, annuals = [], []
        for row, (old_answer, new_answer) in enumerate(zip(was, will, strict=True)):
            old, new = offered(old_answer, plan), offered(new_answer, plan)
            states = tuple(
                answer.option(plan).verdict.state if plan in by.plan_index else None
                for answer, by in ((old_answer, before), (new_answer, after))
            )
            if states[0] != states[1]:
                turns[states] += 1  # type: ignore[index]
            rows["before"] += [row] if old else []
            rows["after"] += [row] if new else []
            if bool(old) is not bool(new):
                name, by, answer = ("gained", before, old_answer) if new else ("lost", after, new_answer)
                rows[name].append(row)
                if plan in by.plan_index:
                    reasons = {reason.rule for reason in answer.option(plan).verdict.reasons}
                    for rule in reasons:
                        blamed[name][rule] += 1
                        money[name][rule] += amount_of(requests[row])
                        alone[name][rule] += len(reasons) == 1
            elif old and new and figures(old) != figures(new):
                rows["changed"].append(row)
                assert old.schedule and new.schedule and old.cost and new.cost  # noqa: PT018
                totals.append(new.schedule.total_minor - old.schedule.total_minor)
                annuals.append((new.cost.simple_e12 or 0) - (old.cost.simple_e12 or 0))
            else:
                rows["same"].append(row)
        order = ("available", "funder_decides", "pending", "unavailable", None)
        values = []
        for fact in segments:
            known = {was[row].facts.get(fact) for name in ("gained", "lost", "changed") for row in rows[name]}
            of_fact = []
            for value in known:
                of_value = [
                    tally(requests, [row for row in rows[name] if was[row].facts.get(fact) == value])
                    for name in ("gained", "lost", "changed")
                ]
                shown = (
                    None
                    if value is None
                    else {True: "yes", False: "no"}[value]
                    if isinstance(value, bool)
                    else str(value)
                )
                of_fact.append(Segment(fact, shown, *of_value))
            of_fact.sort(key=lambda s: (-(s.gained.carts + s.lost.carts + s.changed.carts), s.value or ""))
            values += of_fact
        found[plan] = PlanDifference(
            plan=plan,
            gained=tally(requests, rows["gained"]),
            lost=tally(requests, rows["lost"]),
            changed=tally(requests, rows["changed"]),
            unchanged=tally(requests, rows["same"]),
            offered_before=tally(requests, rows["before"]),
            offered_after=tally(requests, rows["after"]),
            turns=tuple(
                Turn(old, new, turns[old, new])  # type: ignore[arg-type]
                for old, new in sorted(turns, key=lambda turn: (order.index(turn[0]), order.index(turn[1])))
            ),
            freed_from=ranked(blamed["gained"], money["gained"], alone["gained"]),
            blocked_by=ranked(blamed["lost"], money["lost"], alone["lost"]),
            segments=tuple(values),
            cost=CostChange(
                sum(delta > 0 for delta in totals),
                sum(delta < 0 for delta in totals),
                round_half_even(sum(totals), len(totals)),
                min(totals),
                max(totals),
                round_half_even(sum(annuals), len(annuals)),
                min(annuals),
                max(annuals),
            )
            if totals
            else None,
        )
    return found


def ranked(carts: Counter[str], money: Counter[str], alone: Counter[str]) -> tuple[RuleCount, ...]:
    found = [RuleCount(rule, carts[rule], money[rule], alone[rule]) for rule in carts]
    return tuple(sorted(found, key=lambda count: (-count.carts, count.rule)))


def without_witnesses(plan: PlanDifference) -> PlanDifference:
    return msgspec.structs.replace(plan, gained_witnesses=(), lost_witnesses=(), changed_witnesses=())


def assert_same(found: PlanDifference, expected: PlanDifference) -> None:
    """All counts alike, and the yearly costs to a unit of 1e-12 each."""
    bare = without_witnesses(found)
    if bare.cost is not None and expected.cost is not None:
        for name in ("annual_mean_e12", "annual_least_e12", "annual_most_e12"):
            got, wanted = getattr(bare.cost, name), getattr(expected.cost, name)
            assert abs(got - wanted) <= 2, (found.plan, name)
        bare = msgspec.structs.replace(
            bare,
            cost=msgspec.structs.replace(
                bare.cost,
                annual_mean_e12=expected.cost.annual_mean_e12,
                annual_least_e12=expected.cost.annual_least_e12,
                annual_most_e12=expected.cost.annual_most_e12,
            ),
        )
    assert bare == expected


def test_every_count_is_that_of_one_cart_at_a_time() -> None:
    before, after = both()
    requests, checkouts = carts(before, after, 800, 5)
    found = simulate(before, after, checkouts, segments=SEGMENTS)
    expected = one_by_one(before, after, requests, SEGMENTS)
    assert [plan.plan for plan in found.plans] == list(expected)
    for plan in found.plans:
        assert_same(plan, expected[plan.plan])
    # The change does all that a change can do, or this would prove little.
    for name in ("gained", "lost", "changed"):
        assert sum(getattr(plan, name).carts for plan in found.plans) > 10, name
        assert sum(getattr(plan, name).carts > 0 for plan in found.plans) > (name != "changed"), name
    by_plan = {plan.plan: plan for plan in found.plans}
    cost = by_plan["wallet_6"].cost
    assert cost is not None
    assert cost.cheaper == by_plan["wallet_6"].changed.carts
    assert {turn.after for turn in by_plan["north_12"].turns} == {None}
    assert found.carts == Tally(800, sum(map(amount_of, requests)))
    instalments = {plan.id for plan in before.plans if plan.periods > 1}
    none_before = [
        row
        for row, request in enumerate(requests)
        if not any(option.plan in instalments for option in evaluate(before, request).offers)
    ]
    assert found.without_before == tally(requests, none_before)
    # However the carts are cut into slices.
    assert simulate(before, after, checkouts, segments=SEGMENTS, slice_rows=97) == found


def test_witnesses_are_carts_that_the_change_hits() -> None:
    before, after = both()
    requests, checkouts = carts(before, after, 600, 6)
    seen = 0
    for plan in simulate(before, after, checkouts).plans:
        for name in ("gained", "lost", "changed"):
            witnesses = getattr(plan, f"{name}_witnesses")
            assert len(witnesses) == min(3, getattr(plan, name).carts)
            for witness in witnesses:
                request = requests[int(witness.decision) - 1]
                old, new = (
                    evaluate(by, request).option(plan.plan) if plan.plan in by.plan_index else None
                    for by in (before, after)
                )
                assert witness.amount_minor == amount_of(request)
                assert (witness.before, witness.after) == tuple(
                    one and one.verdict.state for one in (old, new)
                )
                for option, total in ((old, witness.total_before_minor), (new, witness.total_after_minor)):
                    if option is not None and option.schedule is not None:
                        assert total == option.schedule.total_minor
                blocked = old if name == "gained" else new
                if name != "changed" and blocked is not None:
                    assert set(witness.rules) == {reason.rule for reason in blocked.verdict.reasons}
                seen += 1
    assert seen > 15


def test_the_same_policy_changes_nothing_and_asks_no_rule_again() -> None:
    before = policy()
    _, checkouts = carts(before, before, 200, 7)
    found = simulate(before, compile_policy(before.snapshot), checkouts)
    assert not found.differs
    assert (found.rules, found.rules_asked) == (len(before.rules), 0)
    assert all(plan.unchanged.carts == 200 for plan in found.plans)


def test_a_fact_that_counts_for_less_long_has_its_rules_asked_again() -> None:
    before = policy()
    requests, checkouts = carts(before, before, 300, 14)
    ages = (msgspec.structs.replace(before.snapshot.max_ages[0], seconds=5), *before.snapshot.max_ages[1:])
    after = compile_policy(msgspec.structs.replace(before.snapshot, max_ages=ages))
    found = simulate(before, after, checkouts, segments=())
    expected = one_by_one(before, after, requests, ())
    for plan in found.plans:
        assert_same(plan, expected[plan.plan])
    assert found.rules_asked == 1  # the one that looks at the wallet's health
    assert found.differs


def test_only_changed_rules_are_asked_where_the_bit_sets_of_before_are_recorded() -> None:
    before, after = both()
    _, checkouts = carts(before, after, 500, 8)
    first = rule_outcomes(before, checkouts)
    words = {which: first.words(which) for which in ("violated", "unknown", "pending")}  # type: ignore[arg-type]
    recorded = outcomes_of_words(before, words)  # type: ignore[arg-type]
    assert recorded.frame.equals(first.frame)
    assert simulate(before, after, checkouts, recorded=recorded) == simulate(before, after, checkouts)
    # At another instant other rules hold: what was recorded says nothing of it.
    moved = simulate(before, after, checkouts, at=AT + 40_000, recorded=recorded)
    assert moved == simulate(before, after, checkouts, at=AT + 40_000)
    # What the recorded bits say is believed: with all of them cleared, nothing of before blocks by facts.
    cleared = {which: [word * 0 for word in some] for which, some in words.items()}
    trusting = simulate(before, after, checkouts, recorded=outcomes_of_words(before, cleared))  # type: ignore[arg-type]
    assert trusting.plans[0].offered_before.carts == 500


def test_a_simulation_is_a_value_that_goes_through_json() -> None:
    before, after = both()
    _, checkouts = carts(before, after, 150, 9)
    found = simulate(before, after, checkouts)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Simulation) == found


def test_all_carts_can_be_asked_at_the_instant_of_the_change() -> None:
    before, after = both()
    requests, checkouts = carts(before, after, 300, 10)
    found = simulate(before, after, checkouts, at=AT + 3_600, segments=())
    # What was a minute old then is a minute old still.
    moved = [
        msgspec.structs.replace(
            request,
            at=AT + 3_600,
            as_of={name: told + AT + 3_600 - request.at for name, told in request.as_of.items()},
        )
        for request in requests
    ]
    expected = one_by_one(before, after, moved, ())
    for plan in found.plans:
        assert_same(plan, expected[plan.plan])
    assert found.at == AT + 3_600
    assert found.segments == ()


def test_segments_have_few_values_and_were_recorded() -> None:
    before, after = both()
    _, checkouts = carts(before, after, 400, 11)
    found = simulate(before, after, checkouts)
    assert {segment.fact for segment in found.segments} == {"channel.kind", "customer.tier"}
    for fact in {segment.fact for segment in found.segments}:
        assert sum(segment.carts for segment in found.segments if segment.fact == fact) == 400
    for asked, message in (
        ("card.age", "segment is card.age: expected a fact that was recorded"),
        ("cart.kinds", "segment is cart.kinds, a set: expected an enum"),
        ("customer.account_days", "expected a fact of at most 200 values"),
    ):
        with pytest.raises(ColumnsError, match=message):
            simulate(before, after, checkouts, segments=[asked])


def test_policies_of_two_currencies_are_not_compared() -> None:
    before = policy()
    _, checkouts = carts(before, before, 5, 12)
    shop = msgspec.structs.replace(before.snapshot.shop, currency="EUR")
    other = compile_policy(msgspec.structs.replace(before.snapshot, shop=shop))
    with pytest.raises(ColumnsError, match="currency is CNY before, EUR after"):
        simulate(before, other, checkouts)


def test_sums_beyond_64_bits_are_right() -> None:
    before, after = both()
    most = 10**15
    facts = [{"clock.now": AT, "cart.amount": most}] * 20_000
    checkouts = columns_of(facts, both_vocabularies(before, after), before.zone)  # type: ignore[arg-type]
    found = simulate(before, after, checkouts)
    assert found.carts == Tally(20_000, 20_000 * most)
    assert found.plans[0].unchanged.amount_minor == 20_000 * most


def test_progress_is_told_slice_by_slice() -> None:
    before, after = both()
    _, checkouts = carts(before, after, 100, 13)
    told: list[tuple[int, int]] = []
    simulate(before, after, checkouts, slice_rows=40, progress=lambda done, of: told.append((done, of)))
    assert told == [(40, 100), (80, 100), (100, 100)]


def test_values_of_either_policy_are_known_to_both() -> None:
    before = policy()
    banks = tuple(
        msgspec.structs.replace(fact, values=("east", "south")) if fact.name == "card.bank" else fact
        for fact in before.snapshot.facts
    )
    after = compile_policy(msgspec.structs.replace(before.snapshot, rules=(), facts=banks))
    known = both_vocabularies(before, after)["card.bank"]
    assert known.values == ("east", "north", "other", "south")
    assert pl.Enum(known.values).categories.to_list() == list(known.values)
    typed = tuple(msgspec.structs.replace(fact, type="text", values=()) for fact in banks)
    other = compile_policy(msgspec.structs.replace(before.snapshot, rules=(), facts=typed))
    with pytest.raises(ColumnsError, match=r"card\.bank, enum before and text after"):
        both_vocabularies(before, other)
