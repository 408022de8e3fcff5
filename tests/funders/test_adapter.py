"""Handing over to a funder with an adapter: called once after the commit, asked about ever after."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.agreed import agree
from tests.api.world import AT, GROWN_UP, PHONE
from tests.budgets.policies import with_purses
from tests.funders.test_health import _verdicts, funder  # noqa: F401


@pytest.fixture
def handed(mall, funder):  # noqa: F811
    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents, handoffs
    from fenqi_server.policies import service as policies

    policies.publish(
        mall.shop,
        with_purses(quota={"tingchao": 900_000}),
        AT - timedelta(days=1),
        "test",
        silent_reason="a test",
    )
    policies.forget_caches()
    consents.record(mall.shop, mall.customer_id, "tingchao", AT)
    shown = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    done = agree(
        mall.shop,
        mall.customer_id,
        shown.quotes["tingchao_12"].token,
        "o-1",
        AT,
        return_url="/orders/o-1/",
    )
    return handoffs.get(mall.shop, done.hand_off_id)


def _go(hand_off):
    from django.test import Client

    from fenqi_server.funders import handoffs

    return Client().get(handoffs.page_url(hand_off))


def _left(mall):
    from fenqi_server.budgets import service as budgets
    from fenqi_server.policies import service as policies

    (found,) = budgets.standings(mall.shop, policies.current(mall.shop.id, AT), AT)
    return found.left_minor


def test_the_confirmation_calls_nobody_and_the_way_to_the_page_calls_once(mall, funder, handed):  # noqa: F811
    assert funder.calls["start"] == 0
    for _ in range(3):
        answer = _go(handed)
        assert (answer.status_code, answer["Location"]) == (302, f"{funder.url}/pages/{handed.public_id}")
    assert funder.calls["start"] == 1
    told = funder.applications[handed.public_id]
    assert (told["amount_minor"], told["order_ref"], told["plan"]) == (499_900, "o-1", "tingchao_12")
    assert not {"customer", "name", "phone"} & set(told)


def test_a_forged_link_calls_nobody(mall, funder, handed):  # noqa: F811
    from django.test import Client

    assert Client().get(f"/funders/go/{handed.public_id}/?t=forged").status_code == 404
    assert funder.calls["start"] == 0


def test_the_worker_calls_for_a_customer_who_did_not_come_along(mall, funder, handed):  # noqa: F811
    from fenqi_server.funders import handoffs

    assert handoffs.deliver_due(AT) == 0
    later = AT + timedelta(seconds=handoffs.DELIVER_SECONDS)
    assert handoffs.deliver_due(later) == 1
    assert handoffs.deliver_due(later) == 0
    assert funder.calls["start"] == 1


def test_a_start_that_timed_out_is_unknown_and_asked_about_and_never_made_again(mall, funder, handed):  # noqa: F811
    from fenqi_server.funders import handoffs

    funder.mode = "hangs"
    waiting = _go(handed)
    assert waiting.status_code == 202
    assert "<script" not in waiting.content.decode()
    assert handoffs.get(mall.shop, handed.public_id).state == "unknown"
    assert _left(mall) == 900_000 - 499_900, "what may have been taken is not given back"
    funder.mode = "works"
    assert _go(handed)["Location"] == f"{funder.url}/pages/{handed.public_id}"
    assert handoffs.get(mall.shop, handed.public_id).state == "started"
    assert funder.calls["start"] == 1
    funder.answers[handed.public_id] = "approved"
    assert handoffs.query(mall.shop, handed.public_id, AT).state == "approved"


def test_a_start_that_is_refused_took_nothing_and_gives_the_quota_back(mall, funder, handed):  # noqa: F811
    from fenqi_server.funders import handoffs

    assert _left(mall) == 900_000 - 499_900
    funder.mode = "refuses"
    assert _go(handed).status_code == 302
    known = handoffs.get(mall.shop, handed.public_id)
    assert (known.state, known.cause) == ("declined", "not_taken")
    assert _left(mall) == 900_000
    funder.mode = "works"
    _go(handed)
    assert funder.calls["start"] == 1
    assert not funder.applications


def test_an_application_that_never_arrived_is_declined_only_after_the_deadline(mall, funder, handed):  # noqa: F811
    from fenqi_server.funders import handoffs

    funder.mode = "hangs"
    handoffs.deliver(mall.shop, handed.public_id, AT)
    funder.applications.clear()
    funder.mode = "works"
    assert handoffs.query(mall.shop, handed.public_id, AT).state == "unknown"
    late = handoffs.query(mall.shop, handed.public_id, handed.deadline_at)
    assert (late.state, late.cause) == ("declined", "not_taken")
    assert _left(mall) == 900_000


def test_an_answer_declined_gives_the_quota_back(mall, funder, handed):  # noqa: F811
    from fenqi_server.funders import handoffs

    _go(handed)
    funder.answers[handed.public_id] = "declined"
    known = handoffs.query(mall.shop, handed.public_id, AT)
    assert (known.state, known.cause) == ("declined", "funder")
    assert _left(mall) == 900_000


def test_calls_of_real_hand_offs_open_the_breaker(mall, funder, handed):  # noqa: F811
    from fenqi_server.funders import handoffs, health

    handoffs.deliver(mall.shop, handed.public_id, AT)
    funder.mode = "refuses"
    for _ in range(health.TERMS.refusals):
        handoffs.query(mall.shop, handed.public_id, AT)
    assert handoffs.get(mall.shop, handed.public_id).state == "started", "a refused question answers nothing"
    assert _verdicts(mall, AT)["tingchao_12"].state == "unavailable"


def test_a_live_shop_hands_over_to_a_funder_with_an_adapter(mall, funder):  # noqa: F811
    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents
    from fenqi_server.shops.models import Shop

    Shop.objects.filter(id=mall.shop.id).update(live=True)
    live = Shop.objects.get(id=mall.shop.id)
    consents.record(live, mall.customer_id, "tingchao", AT)
    shown = decisions.evaluate(live, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    done = agree(live, mall.customer_id, shown.quotes["tingchao_12"].token, "o", AT)
    assert isinstance(done, decisions.HandedOff)
    assert done.url.startswith("/funders/go/")


def test_while_a_funder_rests_nobody_asks_it_and_the_hand_off_waits(mall, funder, handed):  # noqa: F811
    from fenqi_server.funders import handoffs, health

    handoffs.deliver(mall.shop, handed.public_id, AT)
    funder.mode = "refuses"
    for _ in range(health.TERMS.refusals):
        handoffs.query(mall.shop, handed.public_id, AT)
    funder.mode = "works"
    funder.answers[handed.public_id] = "approved"
    calls = funder.calls["inquire"]
    resting = AT + timedelta(seconds=health.TERMS.rest_seconds)
    assert handoffs.query(mall.shop, handed.public_id, resting).state == "started"
    assert funder.calls["inquire"] == calls, "half open is for the probes alone"
    health.probe_due(resting)
    back = resting + timedelta(seconds=health.CHECK_AGAIN_SECONDS)
    health.probe_due(back)
    assert handoffs.query(mall.shop, handed.public_id, back).state == "approved"


def test_a_funder_that_went_away_after_the_confirmation_is_not_called(mall, funder, handed):  # noqa: F811
    from fenqi_server.funders import handoffs, health

    funder.mode = "refuses"
    for _ in range(health.TERMS.refusals):
        with pytest.raises(health.Refusing):
            health.call(mall.shop, "tingchao", "probe", AT, health.port_of(mall.shop, "tingchao").probe)
    funder.mode = "works"
    known = handoffs.deliver(mall.shop, handed.public_id, AT)
    assert (known.state, known.cause, funder.calls["start"]) == ("declined", "not_taken", 0)
    assert _left(mall) == 900_000
