"""Hand-offs: started, then approved, declined or unknown; and only asking makes unknown known."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.agreed import agree
from tests.api.world import AT, GROWN_UP, PHONE


@pytest.fixture
def started(mall):
    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents, handoffs

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


def _answer(client, hand_off, answer):
    return client.post(f"/funders/pretend/{hand_off.public_id}/", {"answer": answer})


@pytest.fixture
def client(mall):
    from django.test import Client

    return Client()


@pytest.mark.parametrize("answer", ["approved", "declined"])
def test_the_funders_answer_arrives_with_the_customers_return(mall, started, client, answer):
    from fenqi_server.funders import handoffs

    there = _answer(client, started, answer)
    assert there.status_code == 302
    assert handoffs.get(mall.shop, started.public_id).state == "started"
    back = client.get(there["Location"])
    assert back["Location"] == f"/orders/o-1/?hand_off={started.public_id}&state={answer}"
    known = handoffs.get(mall.shop, started.public_id)
    assert (known.state, known.answered_at) == (answer, AT)


@pytest.mark.parametrize(
    ("silent", "answer"), [("silent_approved", "approved"), ("silent_declined", "declined")]
)
def test_silence_is_unknown_after_the_deadline_until_it_is_asked_about(mall, started, client, silent, answer):
    from fenqi_server.funders import handoffs

    assert handoffs.query_due(AT) == 0
    late = started.deadline_at
    # Nobody has answered yet: asking finds nothing, and nothing is what we know.
    assert handoffs.query_due(late) == 1
    assert handoffs.get(mall.shop, started.public_id).state == "unknown"
    assert _answer(client, started, silent).status_code == 200
    assert handoffs.get(mall.shop, started.public_id).state == "unknown"
    assert handoffs.query_due(late + timedelta(seconds=299)) == 0
    assert handoffs.query(mall.shop, started.public_id, late + timedelta(seconds=1)).state == answer


def test_asking_a_pretend_funder_is_an_outcome_like_any_other(mall, started):
    from fenqi_server.funders import handoffs, health

    handoffs.query(mall.shop, started.public_id, AT)
    (line,) = health.outcomes(mall.shop, "tingchao")
    assert (line.act, line.kind) == ("inquire", "success")
    assert health.standing(mall.shop, "tingchao", AT).told.health == "up"
    assert health.outcomes(mall.shop, "beichen") == ()


def test_an_answer_is_final(mall, started, client):
    from fenqi_server.funders import handoffs

    _answer(client, started, "declined")
    assert handoffs.query(mall.shop, started.public_id, AT).state == "declined"
    _answer(client, started, "approved")
    assert handoffs.query(mall.shop, started.public_id, AT).state == "declined"


def test_what_the_browser_says_is_not_believed(mall, started, client):
    from fenqi_server.funders import handoffs

    path = f"/funders/return/{started.public_id}/"
    assert client.get(path + "?t=forged&state=approved").status_code == 404
    back = client.get(handoffs.return_link(started) + "&state=approved")
    assert back["Location"].endswith("&state=started")
    assert handoffs.get(mall.shop, started.public_id).state == "started"


def test_a_return_link_is_good_for_its_own_hand_off_alone(mall, started, client):
    from fenqi_server.funders import handoffs

    link = handoffs.return_link(started)
    assert handoffs.shop_of_return(started.public_id, link.partition("?t=")[2]) == mall.shop.id
    assert handoffs.shop_of_return("ho_other", link.partition("?t=")[2]) is None


def test_the_page_says_that_it_pretends(started, client):
    for language in ("en", "zh-hans"):
        page = client.get(
            f"/funders/pretend/{started.public_id}/", headers={"Accept-Language": language}
        ).content.decode()
        assert "o-1" in page
        assert "4,999.00" in page
        assert "<script" not in page
    for unknown in ("ho_nothing", f"ho_{'a' * 52}", "é"):
        assert client.get(f"/funders/pretend/{unknown}/").status_code == 404
    assert client.get("/funders/pretend/%00/").status_code == 400
    assert _answer(client, started, "nonsense").status_code == 400


def test_each_change_is_told_to_the_shop_once(mall, started, client):
    from django.db import connection

    from fenqi_server.funders import handoffs
    from fenqi_server.outbox import service as outbox

    outbox.add_endpoint(mall.shop, "https://hooks.example/", outbox.EVENTS, AT)
    handoffs.query(mall.shop, started.public_id, started.deadline_at)
    handoffs.query(mall.shop, started.public_id, started.deadline_at)
    _answer(client, started, "approved")
    handoffs.query(mall.shop, started.public_id, started.deadline_at)
    handoffs.query(mall.shop, started.public_id, started.deadline_at)
    with connection.cursor() as cursor:
        cursor.execute("SELECT event FROM outbox_message")
        assert sorted(row[0] for row in cursor.fetchall()) == ["hand_off.approved", "hand_off.unknown"]


def test_a_withdrawn_consent_is_none(mall):
    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents

    consents.record(mall.shop, mall.customer_id, "tingchao", AT)
    consents.record(mall.shop, mall.customer_id, "tingchao", AT + timedelta(seconds=1), is_given=False)
    shown = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    with pytest.raises(decisions.Refused) as refused:
        agree(mall.shop, mall.customer_id, shown.quotes["tingchao_3"].token, "o", AT)
    assert refused.value.code == "consent_missing"


def test_a_live_shop_hands_nobody_over_to_a_pretend_funder(mall):
    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents
    from fenqi_server.shops.models import Shop

    quoted = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    Shop.objects.filter(id=mall.shop.id).update(live=True)
    live = Shop.objects.get(id=mall.shop.id)
    consents.record(live, mall.customer_id, "tingchao", AT)
    shown = decisions.evaluate(live, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    assert set(shown.quotes) == {"mall_3", "mall_6", "mall_12"}
    verdict = shown.evaluation.option("tingchao_12").verdict
    assert verdict.state == "unavailable"
    assert [(reason.code, reason.layer, reason.change) for reason in verdict.reasons] == [
        ("FUNDER_NOT_CONNECTED", "agreement", "shop")
    ]
    with pytest.raises(decisions.Refused) as refused:
        agree(live, mall.customer_id, quoted.quotes["tingchao_12"].token, "o", AT)
    assert refused.value.code == "verdict_changed"
    assert [reason.code for reason in refused.value.changed.reasons] == ["FUNDER_NOT_CONNECTED"]
    opened = agree(live, mall.customer_id, shown.quotes["mall_12"].token, "o", AT)
    assert isinstance(opened, decisions.Confirmed), "the shop's own contracts need nobody else"
