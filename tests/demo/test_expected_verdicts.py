"""The demo mall answers what was written down by hand before its policy existed (`expected_verdicts`)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from tests.demo.expected_verdicts import ALTERNATIVES, CARTS, EXPECTED, ORDER_AT_2230, SITUATIONS, Row

import fenqi_server.demo.people as people
from fenqi.calendars import to_epoch, zone_of
from fenqi.checkout.evaluation import Evaluation, evaluate
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.document import load_policy
from fenqi.policy.facts import FactValue, check_facts
from fenqi.policy.snapshot import LAYERS

CASES = [(person, situation) for person, situations in EXPECTED.items() for situation in situations]

# What Fenqi reads from its own contracts, by hand: ¥8,000 less the ¥5,999 in use, ¥15,000 less four of six parts of
# ¥1,999, and two customers without a line.
OURS: dict[str, dict[str, FactValue]] = {
    "new": {"customer.overdue": False, "limit.mall_available": 0},
    "student": {"customer.overdue": False, "limit.mall_available": 0},
    "good": {"customer.overdue": False, "limit.mall_available": 2_000_000},
    "overdue": {"customer.overdue": True, "limit.mall_available": 1_366_736},
    "over_limit": {"customer.overdue": False, "limit.mall_available": 200_100},
}


def _instant(written: str) -> int:
    return to_epoch(datetime.fromisoformat(written).replace(tzinfo=zone_of("Asia/Shanghai")))


@pytest.fixture(scope="module")
def policy() -> Policy:
    loaded = load_policy(Path(people.__file__).parent / "policy")
    assert loaded.snapshot is not None, "\n".join(map(str, loaded.problems))
    return compile_policy(loaded.snapshot)


def _answer(policy: Policy, person: str, situation: str) -> Evaluation:
    cart, channel, written = SITUATIONS[situation]
    at = _instant(written)
    customer = people.PERSON_BY_REF[person]
    facts = {
        **people.shop_facts(customer),
        **people.funder_answers(customer, at),
        "customer.consents": frozenset(customer.consents),
        "limit.mall": customer.limit_minor,
        **OURS[person],
    }
    assert check_facts(policy.vocabulary, facts) == []
    lines = tuple(Line(*line) for line in CARTS[cart])
    return evaluate(policy, CheckoutRequest(lines, "CNY", channel, at, facts, customer.last_used_family))


@pytest.mark.parametrize(("person", "situation"), CASES)
def test_every_plan_has_the_state_and_every_reason_that_were_expected(
    policy: Policy, person: str, situation: str
) -> None:
    answer = _answer(policy, person, situation)
    rows = {plan: row for row in EXPECTED[person][situation] for plan in row.plans.split()}
    assert set(rows) == {option.plan for option in answer.options}, "the table names every plan once"
    for option in answer.options:
        row, verdict = rows[option.plan], option.verdict
        blocking = [reason for reason in verdict.reasons if not reason.pending]
        found = (verdict.state, Counter(reason.code for reason in blocking))
        assert found == (row.state, Counter(row.reasons.split())), option.plan
        layers = [LAYERS.index(reason.layer) for reason in verdict.reasons]
        assert layers == sorted(layers), option.plan
        assert sorted(verdict.asks) == sorted(row.asks.split()), option.plan
        assert _date(verdict, row.state) == _expected_date(row), option.plan


def _date(verdict: object, state: str) -> int | None:
    if state == "pending":
        return verdict.deadline  # type: ignore[attr-defined]
    return verdict.until.at  # type: ignore[attr-defined]


def _expected_date(row: Row) -> int | None:
    return None if row.until is None else _instant(row.until)


@pytest.mark.parametrize(("person", "situation"), CASES)
def test_codes_stand_in_the_order_written(policy: Policy, person: str, situation: str) -> None:
    """Codes of one layer may stand in any order; across layers the table's order is the page's."""
    answer = _answer(policy, person, situation)
    for row in EXPECTED[person][situation]:
        for plan in row.plans.split():
            reasons = [reason for reason in answer.option(plan).verdict.reasons if not reason.pending]
            layer_of = {reason.code: LAYERS.index(reason.layer) for reason in reasons}
            written = [layer_of[code] for code in row.reasons.split()]
            assert written == sorted(written), (plan, row.reasons)


@pytest.mark.parametrize(("case", "expected"), ALTERNATIVES.items(), ids=lambda value: str(value)[:60])
def test_alternatives_and_their_differences(
    policy: Policy, case: tuple[str, str, str], expected: tuple[tuple[str, int], ...]
) -> None:
    person, situation, plan = case
    found = _answer(policy, person, situation).option(plan).alternatives
    assert tuple((other.plan, other.difference_minor) for other in found) == expected


def test_mall_12_in_its_maintenance_offers_the_other_twelves_the_cheaper_first(policy: Policy) -> None:
    found = _answer(policy, "good", "phone at 22:30").option("mall_12").alternatives
    assert [other.plan for other in found] == [plan for plan, _ in ORDER_AT_2230]
    for other, (_, difference) in zip(found, ORDER_AT_2230, strict=True):
        assert difference is None or other.difference_minor == difference
    assert 13_000 < (found[2].difference_minor or 0) < 15_000


def test_the_last_used_way_keeps_its_place_while_it_is_missing(policy: Policy) -> None:
    open_page = _answer(policy, "good", "phone at 10:00")
    closed_page = _answer(policy, "good", "phone at 22:30")
    for page in (open_page, closed_page):
        credit = next(group for group in page.groups if group.id == "instalment")
        assert credit.families[0] == "mall"
        assert [group.id for group in page.groups] == ["payment", "instalment"]
    assert not any(option.collapsed for option in closed_page.options if option.family == "mall")
    # Whoever did not use it last finds it after what is there, folded away.
    other = _answer(policy, "new", "phone at 22:30")
    assert all(option.collapsed for option in other.options if option.family == "mall")


def test_the_wallets_instalments_stand_lower_since_november_and_say_why(policy: Policy) -> None:
    page = _answer(policy, "good", "phone at 10:00")
    option = page.option("cloudpay_12")
    assert option.placement_since == _instant("2026-11-15T00:00:00")
    assert option.placement_reason is not None
    assert option.placement_notice == "cloudpay-2026-11"
    credit = next(group for group in page.groups if group.id == "instalment")
    assert credit.families.index("tingchao") < credit.families.index("cloudpay")


def test_every_change_of_ours_has_its_notice(policy: Policy) -> None:
    page = _answer(policy, "good", "phone at 22:30")
    maintenance = page.option("mall_12").verdict.reasons[0]
    notice = policy.notices[maintenance.notice or ""]
    assert (notice.since, notice.until) == (maintenance.since, maintenance.until.at)
    assert set(notice.plans) == {"mall_3", "mall_6", "mall_12"}
