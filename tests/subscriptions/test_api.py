"""A shop's own checkout asks to have its customer told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from tests.api.world import AT, GROWN_UP, PHONE
from tests.subscriptions.test_wishes import NOON, _close_the_way, _run

URL = "/v1/wishes"


def _rows(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


@pytest.fixture
def body(mall, post, settled):
    from fenqi_server.decisions import service as decisions

    _close_the_way(mall)
    decision = decisions.evaluate(mall.shop, mall.customer_id, (PHONE,), "web", GROWN_UP, AT)
    return {
        "evaluation_id": decision.public_id,
        "plan": "mall_12",
        "email": "ann@example.com",
        "locale": "en",
        "confirmed": True,
    }


def test_a_customer_of_the_shop_is_told_once(mall, call, post, body):
    made = call("POST", URL, body, key=mall.key)
    assert made.status_code == 201, made.content
    assert made.json()["state"] == "waiting"
    assert "ann@example.com" not in made.content.decode()
    assert call("POST", URL, body, key=mall.key).json()["id"] == made.json()["id"], "the same wish is one"
    assert _run(NOON + timedelta(minutes=1)) == 1
    assert post.to == ["ann@example.com"]
    assert call("GET", f"{URL}/{made.json()['id']}", key=mall.key).json()["state"] == "told"


def test_an_address_that_the_shop_does_not_vouch_for_is_asked_first(mall, call, post, body):
    made = call("POST", URL, {**body, "confirmed": False}, key=mall.key)
    assert made.json()["state"] == "unconfirmed"
    _run(AT)
    assert "Please confirm" in post.mails[0][1]["Subject"]


def test_a_wish_is_cancelled_and_its_address_gone(mall, call, post, body):
    made = call("POST", URL, body, key=mall.key).json()
    for _ in range(2):
        assert call("DELETE", f"{URL}/{made['id']}", key=mall.key).status_code == 204
    assert _rows("SELECT state, address FROM subscriptions_wish") == [("cancelled", "")]
    assert _run(NOON + timedelta(minutes=1)) == 0


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"email": "nobody"}, 422, "/email"),
        ({"email": "ann@example.com\r\nBcc: x@y.example"}, 422, "/email"),
        ({"email": "x" * 300 + "@example.com"}, 422, "/email"),
        ({"plan": "nothing"}, 422, "/plan"),
        ({"evaluation_id": "dc_nothing"}, 404, None),
        ({"locale": "fr"}, 400, None),
    ],
)
def test_a_wrong_request_says_where_and_writes_nothing(mall, call, post, body, change, status, pointer):
    found = call("POST", URL, {**body, **change}, key=mall.key)
    assert found.status_code in ({status, 422} if status == 400 else {status}), found.content
    if pointer is not None:
        assert found.json()["errors"][0]["pointer"] == pointer
    assert _rows("SELECT count(*) FROM subscriptions_wish") == [(0,)]


def test_another_shops_evaluations_and_wishes_are_not_there(mall, call, post, body):
    from tests.api.world import make_world

    made = call("POST", URL, body, key=mall.key).json()
    other = make_world("other")
    assert call("POST", URL, body, key=other.key).status_code == 404
    assert call("GET", f"{URL}/{made['id']}", key=other.key).status_code == 404
    assert call("DELETE", f"{URL}/{made['id']}", key=other.key).status_code == 404


def test_nobodys_evaluation_has_no_customer_to_tell(mall, call, post, body):
    from fenqi_server.decisions import service as decisions

    nobody = decisions.evaluate(mall.shop, None, (PHONE,), "web", GROWN_UP, AT)
    found = call("POST", URL, {**body, "evaluation_id": nobody.public_id}, key=mall.key)
    assert found.status_code == 422
    assert found.json()["errors"][0]["pointer"] == "/evaluation_id"


def test_without_a_mail_server_it_says_so(mall, call, post, body):
    from django.test import override_settings

    with override_settings(FENQI_SMTP_URL=""):
        found = call("POST", URL, body, key=mall.key)
    assert (found.status_code, found.json()["code"]) == (409, "mail_not_set_up")
