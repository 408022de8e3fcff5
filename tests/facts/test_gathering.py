"""Where facts come from, and what is left out: unknown, never false."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.agreed import agree
from tests.api.world import AT, GROWN_UP, PHONE


@pytest.fixture
def policy(mall):
    from fenqi_server.policies import service as policies

    return policies.current(mall.shop.id, AT)


def _gather(mall, policy, at=AT, asserted=None, customer=True):
    from fenqi_server import facts

    facts.forget_caches()
    return facts.gather(mall.shop, mall.customer_id if customer else None, asserted or {}, policy, at)


def test_a_visitor_has_no_arrears_no_limit_and_no_consents_they_are_unknown(mall, policy):
    facts = _gather(mall, policy, customer=False)
    assert facts["customer.signed_in"] is False
    assert not {"customer.overdue", "limit.mall", "customer.consents"} & set(facts)


def test_arrears_and_exposure_are_those_of_real_contracts(mall, policy):
    from fenqi_server.decisions import service as decisions

    assert _gather(mall, policy)["limit.mall_available"] == 2_000_000
    shown = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    agree(mall.shop, mall.customer_id, shown.quotes["mall_3"].token, "o", AT)
    facts = _gather(mall, policy)
    assert (facts["customer.overdue"], facts["limit.mall_available"]) == (False, 2_000_000 - 499_900)
    late = _gather(mall, policy, AT + timedelta(days=32))
    assert late["customer.overdue"] is True


def test_the_last_used_way_is_that_of_the_newest_purchase_that_went_through(mall, policy):
    from django.test import Client

    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents, handoffs

    def buy(plan, minutes):
        at = AT + timedelta(minutes=minutes)
        consents.record(mall.shop, mall.customer_id, "tingchao", at)
        shown = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, at)
        token = shown.quotes[plan].token
        return agree(mall.shop, mall.customer_id, token, f"o-{minutes}", at)

    assert "customer.last_used_family" not in _gather(mall, policy)
    buy("mall_3", 1)
    assert _gather(mall, policy)["customer.last_used_family"] == "mall"
    started = handoffs.get(mall.shop, buy("tingchao_12", 2).hand_off_id)
    assert _gather(mall, policy)["customer.last_used_family"] == "mall"
    there = Client().post(f"/funders/pretend/{started.public_id}/", {"answer": "approved"})
    Client().get(there["Location"])
    assert _gather(mall, policy)["customer.last_used_family"] == "tingchao"
    buy("mall_6", 3)
    assert _gather(mall, policy)["customer.last_used_family"] == "mall"


def test_a_funders_health_is_known_while_it_is_fresh(mall, policy):
    from fenqi_server import facts

    facts.record_health(mall.shop.id, "hean", "down", AT)
    assert _gather(mall, policy)["funder.hean.health"] == "down"
    assert "funder.hean.health" not in _gather(mall, policy, AT + timedelta(days=8))
    assert _gather(mall, policy, AT + timedelta(days=8))["funder.mall.health"] == "up"


def test_what_a_funder_thinks_of_a_customer_is_known_only_with_consent(mall, policy):
    from fenqi_server import facts
    from fenqi_server.funders import consents

    facts.record_prequal(
        mall.shop.id, mall.customer_id, "hean", "pending", AT, deadline_at=AT + timedelta(hours=1)
    )
    assert "funder.hean.prequal" not in _gather(mall, policy)
    consents.record(mall.shop, mall.customer_id, "hean", AT)
    known = _gather(mall, policy)
    assert known["funder.hean.prequal"] == "pending"
    assert known["funder.hean.prequal_deadline"] == int(AT.timestamp()) + 3600
    assert known["customer.consents"] == frozenset({"hean"})


def test_all_of_a_customer_comes_in_one_round_trip(mall, policy):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    _gather(mall, policy)
    from fenqi_server import facts

    with CaptureQueriesContext(connection) as through_django:
        facts.gather(mall.shop, mall.customer_id, GROWN_UP, policy, AT)
    # The one prepared statement goes past Django's log; nothing else may go through it.
    assert [q["sql"] for q in through_django if "set_config" not in q["sql"]] == []


def test_everything_wrong_is_said_at_once(mall, policy):
    from fenqi_server import facts

    with pytest.raises(facts.BadFacts) as bad:
        _gather(mall, policy, asserted={"customer.overdue": False, "customer.age": "x", "no.such": 1})
    assert {problem.place for problem in bad.value.problems} == {
        "customer.overdue",
        "customer.age",
        "no.such",
    }


def test_a_database_restarted_under_an_idle_connection_costs_no_answer(committed_mall, committed_db):
    import psycopg

    from fenqi_server.decisions import service as decisions

    def ask():
        return decisions.evaluate(
            committed_mall.shop, committed_mall.customer_id, [PHONE], "web", GROWN_UP, AT
        )

    ask()
    with psycopg.connect(committed_db.superuser_url, autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'fenqi_service' AND datname = current_database()"
        )
    assert ask().quotes


def _with(text):
    """The demo's policy, with a file more."""
    from fenqi.policy.compile import compile_policy
    from fenqi.policy.document import files_in, read_policy
    from fenqi_server.demo.seed import POLICY_FOLDER

    result = read_policy({**files_in(POLICY_FOLDER)[0], "more.yaml": text})
    assert result.problems == ()
    return compile_policy(result.snapshot)


def test_how_old_a_fact_is_is_told_where_the_policy_asks_and_nowhere_else(mall, policy):
    from fenqi_server import facts
    from fenqi_server.funders import consents

    consents.record(mall.shop, mall.customer_id, "hean", AT, purpose="prequal", version="1")
    facts.record_prequal(mall.shop.id, mall.customer_id, "hean", "approved", AT - timedelta(days=3))
    told = {"customer.tier": 2, "customer.age": 30}
    ages = {"customer.tier": int(AT.timestamp()) - 5, "customer.age": int(AT.timestamp()) - 9}
    found = facts.gather_dated(mall.shop, mall.customer_id, told, policy, AT, as_of=ages)
    assert found.as_of == {}
    aged = _with("facts: [{name: funder.hean.prequal, max_age: 2d}, {name: customer.tier, max_age: 1h}]\n")
    found = facts.gather_dated(mall.shop, mall.customer_id, told, aged, AT, as_of=ages)
    assert found.facts["funder.hean.prequal"] == "approved"
    assert found.as_of == {
        "funder.hean.prequal": int(AT.timestamp()) - 3 * 86_400,
        "customer.tier": int(AT.timestamp()) - 5,
    }


def test_who_a_customer_is_is_told_where_a_rollout_goes_by_it(mall, policy):
    from fenqi_server import facts

    assert "customer.id" not in _gather(mall, policy)
    text = """\
rules:
- id: half
  layer: strategy
  owner: me
  reason: STRATEGY_PAUSE
  applies: all
  require: cart.amount <= ¥3,000
  rollout: {percent: 50}
"""
    rolled = _with(text)
    assert _gather(mall, rolled)["customer.id"] == mall.customer_id.hex
    assert "customer.id" not in _gather(mall, rolled, customer=False)
    # Nobody else says who somebody is.
    with pytest.raises(facts.BadFacts):
        _gather(mall, rolled, asserted={"customer.id": "me"})


def test_a_decision_keeps_how_old_its_facts_were_and_is_decided_again_alike(mall, policy):
    from fenqi_server.decisions import log
    from fenqi_server.decisions import service as decisions
    from fenqi_server.policies import service as policies

    text = """\
facts: [{name: customer.tier, max_age: 1h}]
rules:
- {id: tier, layer: customer, owner: me, reason: LINE_INSUFFICIENT, applies: all, require: customer.tier >= 1}
"""
    policies.publish(mall.shop, _with(text).snapshot, AT, "ann", silent_reason="a test")
    told = {**GROWN_UP, "customer.tier": 2}
    for age, code in ((3_600, None), (3_601, "DATA_STALE")):
        made = decisions.evaluate(
            mall.shop,
            mall.customer_id,
            [PHONE],
            "web",
            told,
            AT,
            as_of={"customer.tier": int(AT.timestamp()) - age},
        )
        log.flush()
        again = decisions.load(made.public_id)
        assert again.request.as_of == {"customer.tier": int(AT.timestamp()) - age}
        for decision in (made, again):
            codes = {reason.code for reason in decision.evaluation.option("card_full").verdict.reasons}
            assert codes == ({code} if code else set())
