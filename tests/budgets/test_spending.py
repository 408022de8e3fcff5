"""Spending a purse once: what is taken, given back, called back; and what a confirmation does when it is spent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.agreed import agree, agreed_to
from tests.api.world import AT, GROWN_UP, PHONE
from tests.budgets.policies import with_purses


def _publish(mall, at=AT - timedelta(days=1), **purses):
    from fenqi_server.policies import service as policies

    policies.publish(mall.shop, with_purses(**purses), at, "test", silent_reason="a test")
    policies.forget_caches()


def _show(mall, at=AT, lines=(PHONE,)):
    from fenqi_server import facts
    from fenqi_server.decisions import service as decisions

    facts.forget_caches()
    return decisions.evaluate(mall.shop, mall.customer_id, list(lines), "web", GROWN_UP, at)


def _confirm(mall, shown, plan, at=AT, order="o-1"):

    return agree(mall.shop, mall.customer_id, shown.quotes[plan].token, order, at)


def _standing(mall, at=AT):
    from fenqi_server.budgets import service as budgets
    from fenqi_server.policies import service as policies

    (found,) = budgets.standings(mall.shop, policies.current(mall.shop.id, at), at)
    return found


def test_a_confirmation_takes_what_it_finances_and_the_next_shopper_is_told_what_is_left(mall):
    _publish(mall, total_minor=1_200_000)
    shown = _show(mall)
    assert shown.facts["budget.test_subsidy.left"] == 1_200_000
    _confirm(mall, shown, "mall_3")
    later = _show(mall)
    assert later.facts["budget.test_subsidy.left"] == 1_200_000 - 499_900
    assert _standing(mall).used_minor == 499_900


def test_a_plan_outside_the_budget_takes_nothing(mall):
    _publish(mall, total_minor=1_200_000)
    _confirm(mall, _show(mall), "mall_12")
    assert _standing(mall).used_minor == 0


def test_spent_between_quote_and_confirmation_is_refused_as_a_changed_verdict_and_nothing_is_written(mall):
    from django.db import connection
    from tests.api.test_contracts import _counts

    from fenqi_server.decisions import service as decisions

    _publish(mall, total_minor=600_000)
    one, two = _show(mall), _show(mall)
    _confirm(mall, one, "mall_3")
    before = _counts()
    with pytest.raises(decisions.Refused) as refused, connection.cursor():
        _confirm(mall, two, "mall_3", order="o-2")
    assert refused.value.code == "verdict_changed"
    changed = refused.value.changed
    assert (changed.plan, changed.was, changed.now) == ("mall_3", "available", "unavailable")
    (reason,) = [reason for reason in changed.reasons if reason.code == "SUBSIDY_SPENT"]
    assert reason.rule == "budget.test_subsidy"
    assert _counts() == before
    assert _standing(mall).used_minor == 499_900


def test_it_is_refused_over_http_with_409_and_what_changed(mall, call):
    import json

    _publish(mall, total_minor=600_000)
    one, two = _show(mall), _show(mall)
    _confirm(mall, one, "mall_3")
    answer = call(
        "POST",
        "/v1/contracts",
        {"quote": two.quotes["mall_3"].token, "order_ref": "o-2", "customer": {"ref": "u-1"}}
        | agreed_to(two.quotes["mall_3"].token, AT),
        key=mall.key,
        headers={"Idempotency-Key": "two"},
    )
    assert answer.status_code == 409
    said = json.loads(answer.content)
    assert said["code"] == "verdict_changed"
    assert [reason["code"] for reason in said["changed"]["reasons"]] == ["SUBSIDY_SPENT"]
    assert said["changed"]["alternatives"]


def test_a_quota_is_full_again_at_the_shops_midnight_by_itself(mall):
    from fenqi_server.funders import consents

    _publish(mall, quota={"tingchao": 600_000})
    consents.record(mall.shop, mall.customer_id, "tingchao", AT)
    _confirm(mall, _show(mall), "tingchao_12")
    spent = _show(mall).evaluation.option("tingchao_12").verdict
    (reason,) = spent.reasons
    midnight = int((AT + timedelta(hours=14)).timestamp())  # 10:00 in Shanghai and fourteen hours
    assert (spent.state, reason.code, reason.until.at) == ("unavailable", "QUOTA_EXHAUSTED", midnight)
    assert _show(mall, AT + timedelta(hours=13, minutes=59)).evaluation.option("tingchao_12").verdict.reasons
    renewed = _show(mall, AT + timedelta(hours=14))
    assert renewed.evaluation.option("tingchao_12").verdict.offered
    assert renewed.facts["funder.tingchao.quota_left"] == 600_000


def test_a_hand_off_that_ends_declined_gives_back_and_one_approved_does_not(mall):
    from fenqi_server.funders import consents, handoffs, pretend

    _publish(mall, quota={"tingchao": 1_200_000})
    consents.record(mall.shop, mall.customer_id, "tingchao", AT)
    for number, answer, used in ((1, "approved", 499_900), (2, "declined", 499_900)):
        done = _confirm(mall, _show(mall), "tingchao_12", order=f"o-{number}")
        pretend.decide(done.hand_off_id, answer, AT)
        handoffs.query(mall.shop, done.hand_off_id, AT)
        handoffs.query(mall.shop, done.hand_off_id, AT)
        assert _standing(mall).used_minor == used
    assert _show(mall).facts["funder.tingchao.quota_left"] == 1_200_000 - 499_900


def test_a_total_that_is_lowered_counts_at_once_and_raised_again_never_lends_what_was_spent(mall):
    _publish(mall, total_minor=1_100_000)
    _confirm(mall, _show(mall), "mall_3")
    _publish(mall, AT - timedelta(hours=2), total_minor=400_000)
    assert _show(mall).facts["budget.test_subsidy.left"] == 0
    assert not _show(mall).evaluation.option("mall_3").verdict.offered
    _publish(mall, AT - timedelta(hours=1), total_minor=1_000_000)
    _confirm(mall, _show(mall), "mall_3", order="o-2")
    assert _standing(mall).used_minor == 999_800
    assert not _show(mall).evaluation.option("mall_3").verdict.offered


def test_a_share_takes_the_cost_and_tells_the_volume(mall):
    from decimal import Decimal

    _publish(mall, total_minor=20_000, share=Decimal("0.03"))
    assert _show(mall).facts["budget.test_subsidy.left"] == 666_666
    _confirm(mall, _show(mall), "mall_3")
    assert _standing(mall).used_minor == 14_997
    assert _show(mall).facts["budget.test_subsidy.left"] == 166_766


def test_money_leased_and_unused_is_called_back_before_anybody_is_refused(mall):
    """Another process holds nearly everything in its slice; the order fits the purse, so it is not refused."""
    from django.db import connection

    from fenqi_server.budgets import service as budgets

    _publish(mall, total_minor=1_000_000)
    _confirm(mall, _show(mall), "mall_3")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE budgets_budget_period SET free_minor = 0")
        cursor.execute("UPDATE budgets_slice SET granted_minor = 1000000")
    budgets._process = None
    _confirm(mall, _show(mall), "mall_3", order="o-2")
    standing = _standing(mall)
    assert (standing.used_minor, standing.left_minor) == (999_800, 200)


def test_a_slice_whose_lease_is_over_comes_back(mall):
    from fenqi_server import clock
    from fenqi_server.budgets import service as budgets

    _publish(mall, total_minor=100_000_000)
    _confirm(mall, _show(mall), "mall_3")
    leased = _standing(mall).leased_minor
    assert leased == 100_000_000 // budgets.SLICES - 499_900
    now = clock.system_now()
    assert budgets.reclaim(mall.shop, now) == 0
    assert budgets.reclaim(mall.shop, now + timedelta(seconds=budgets.LEASE_SECONDS + 1)) == 1
    standing = _standing(mall)
    assert (standing.leased_minor, standing.free_minor) == (0, 100_000_000 - 499_900)
    _confirm(mall, _show(mall), "mall_3", order="o-2")


def test_the_database_itself_refuses_to_spend_twice(mall):
    from django.db import IntegrityError, connection, transaction

    _publish(mall, total_minor=1_000_000)
    _confirm(mall, _show(mall), "mall_3")
    for statement in (
        "UPDATE budgets_slice SET used_minor = granted_minor + 1",
        "UPDATE budgets_budget_period SET free_minor = -1",
        "UPDATE budgets_slice SET used_minor = -1",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_what_was_taken_is_given_back_once(mall):
    from fenqi_server.budgets import service as budgets

    _publish(mall, total_minor=1_000_000)
    done = _confirm(mall, _show(mall), "mall_3")
    assert budgets.give_back(mall.shop, mall.customer_id, done.decision_id, AT) == 499_900
    assert budgets.give_back(mall.shop, mall.customer_id, done.decision_id, AT) == 0
    assert _standing(mall).used_minor == 0


def test_a_special_case_for_a_spent_budget_is_granted_on_top_and_takes_nothing_from_it(mall):
    from fenqi_server.support import overrides

    _publish(mall, total_minor=600_000)
    _confirm(mall, _show(mall), "mall_3")
    assert not _show(mall).evaluation.option("mall_3").verdict.offered
    asked = overrides.ask(
        mall.shop,
        mall.customer_id,
        "budget.test_subsidy",
        actor="staff:li",
        reason="promised on the phone before it was spent",
        max_amount_minor=500_000,
        hours=24,
        at=AT,
        plan="mall_3",
    )
    overrides.approve(mall.shop, asked.public_id, actor="staff:wang", at=AT)
    shown = _show(mall)
    assert shown.evaluation.option("mall_3").verdict.overrides
    _confirm(mall, shown, "mall_3", order="o-2")
    assert _standing(mall).used_minor == 499_900


def test_quotas_of_many_days_do_not_slow_the_answer(mall):
    """What is read is what is open: yesterday's periods and slices stay out of it."""
    from fenqi_server.budgets import service as budgets
    from fenqi_server.policies import service as policies

    _publish(mall, quota={"tingchao": 600_000})
    policy = policies.current(mall.shop.id, AT)
    from django.db import transaction

    for day in range(5):
        at = AT + timedelta(days=day)
        with transaction.atomic():
            budgets.reserve(
                mall.shop, mall.customer_id, f"dc_{day}", policy, policy.plan("tingchao_3"), 100_000, at
            )
    at = AT + timedelta(days=4)
    known = budgets._known(mall.shop.id, at, fresh=True)
    assert list(known.values()) == [100_000]
    assert budgets.facts(mall.shop, policy, at, fresh=True)["funder.tingchao.quota_left"] == 500_000
