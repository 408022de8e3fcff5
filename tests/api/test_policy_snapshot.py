"""The policy in force as a signed file: for a shop's own process, when the service does not answer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from tests.api.world import AT, GROWN_UP, PHONE, decoded, line_json

from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.request import read_request
from fenqi.policy.signing import UnknownKey, key_id, load, private_key, public_key, verify

URL = "/v1/policy/snapshot"
KEY = private_key(bytes(range(32)))


@pytest.fixture
def signing(monkeypatch):
    monkeypatch.setattr(settings, "FENQI_POLICY_KEY", KEY)


@pytest.fixture
def published(mall, signing):
    """The policy in force, published again by a service that has the key."""
    from fenqi_server.policies import service as policies

    made = policies.current(mall.shop.id, AT)
    return policies.publish_again(
        mall.shop, made.digest, AT - timedelta(hours=1), "staff:ann", silent_reason="to sign it"
    )


def test_what_is_given_out_is_the_policy_in_force_signed(mall, published, call):
    from fenqi_server.policies import service as policies

    response = call("GET", URL, key=mall.key)
    assert response.status_code == 200
    assert response.headers["ETag"] == f'"{published.digest}"'
    assert response.headers["Content-Type"] == "application/vnd.fenqi.signed-snapshot"
    header, _ = verify(response.content, [public_key(KEY)])
    assert (header.digest, header.key, header.shop) == (
        published.digest,
        key_id(public_key(KEY)),
        mall.shop.code,
    )
    assert header.valid_from == int((AT - timedelta(hours=1)).timestamp())
    policy = load(response.content, [public_key(KEY)])
    assert policy.digest == policies.current(mall.shop.id, AT).digest
    with pytest.raises(UnknownKey):
        load(response.content, [public_key(private_key(bytes(32)))])


def test_who_has_it_already_is_told_so(mall, published, call):
    response = call("GET", URL, key=mall.key, headers={"If-None-Match": f'"{published.digest}"'})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == f'"{published.digest}"'
    other = call("GET", URL, key=mall.key, headers={"If-None-Match": '"sha256:0"'})
    assert other.status_code == 200


def test_a_shops_own_process_answers_as_the_service_does_and_says_that_it_is_indicative(
    mall, published, call
):
    policy = load(call("GET", URL, key=mall.key).content, [public_key(KEY)])
    asked = {
        "lines": [line_json(PHONE)],
        "currency": "CNY",
        "channel": "web",
        "at": AT.isoformat(),
        "facts": {**GROWN_UP, "customer.signed_in": False, "funder.mall.health": "up"},
    }
    own = evaluate(policy, read_request(asked, policy))
    answer = decoded(call("POST", "/v1/evaluations", {**mall.body(), "customer": None}, key=mall.key))
    assert answer["indicative"] is False
    assert {option.plan for option in own.options if option.offered} == {
        offer["plan"] for offer in answer["offers"]
    }


def test_without_a_key_of_the_service_there_is_nothing_to_give(mall, call):
    response = call("GET", URL, key=mall.key)
    assert response.status_code == 404
    assert decoded(response)["code"] == "not_signed"


def test_only_who_may_ask_how_a_cart_can_be_paid_may_fetch_it(mall, published, call):
    from fenqi_server.shops import service as shops

    assert call("GET", URL).status_code == 401
    other = shops.create_key(mall.shop, "books", scopes=("contracts:read",), at=AT)
    assert call("GET", URL, key=other).status_code == 403


def test_rolling_back_signs_again_and_a_signature_is_never_changed(mall, published):
    from django.db import DatabaseError, connection, transaction

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM policies_publication WHERE signature IS NOT NULL")
        assert cursor.fetchone() == (1,)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE policies_publication SET signature = NULL, signed_header = NULL")


def test_a_key_file_that_cannot_be_right_stops_the_start(tmp_path):
    from django.core.exceptions import ImproperlyConfigured

    from fenqi_server.settings import _policy_key

    assert _policy_key("") is None
    (tmp_path / "key").write_bytes(KEY)
    assert _policy_key(str(tmp_path / "key")) == KEY
    (tmp_path / "key").write_bytes(b"no key")
    for name in ("key", "nowhere"):
        with pytest.raises(ImproperlyConfigured, match="Make one with `fenqi policy key`"):
            _policy_key(str(tmp_path / name))
