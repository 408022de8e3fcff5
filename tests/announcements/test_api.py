"""Announcements over the API, without a key; compensation with one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.announcements.policies import changed_notice
from tests.announcements.test_compensation import START, _ask, _issue, _publish
from tests.api.world import AT, demo_snapshot

PAUSE = "beichen-24-pause"


def test_everybody_can_list_announcements_with_their_impacts(mall, call):
    found = {each["id"]: each for each in call("GET", "/v1/announcements").json()["announcements"]}
    assert set(found) == {notice.id for notice in demo_snapshot().notices}
    pause = found[PAUSE]["newest"]
    (impact,) = pause["impacts"]
    assert (impact["act"], impact["effect"], impact["plans"], impact["code"]) == (
        "buy",
        "paused",
        ["beichen_24"],
        "STRATEGY_PAUSE",
    )
    assert impact["expected_end"] == pause["until"] == "2026-11-30T16:00:00Z"
    assert pause["title"]["en"]
    assert pause["title"]["zh-CN"]


def test_a_list_is_filtered_and_an_unknown_value_finds_nothing(mall, call):
    def ids(query):
        return {each["id"] for each in call("GET", f"/v1/announcements?{query}").json()["announcements"]}

    assert PAUSE in ids("plan=beichen_24&phase=now")
    assert PAUSE not in ids("phase=coming")
    assert ids("funder=cloudpay") == {"cloudpay-2026-11", "two-groups-2026-09-30", "blind-box-credit"}
    assert ids("plan=nothing") == set()
    assert call("GET", "/v1/announcements?shop=nobody").status_code == 404
    assert call("GET", "/v1/announcements?phase=never").status_code in (400, 422)


def test_one_announcement_has_everything_that_was_said_of_it(mall, call):
    from fenqi_server.policies import service as policies

    until = int(datetime(2026, 12, 5, tzinfo=UTC).timestamp())
    policies.publish(
        mall.shop,
        changed_notice(demo_snapshot(), PAUSE, until=until),
        AT,
        "staff:ann",
        silent_reason="a test",
    )
    found = call("GET", f"/v1/announcements/{PAUSE}").json()
    assert [each["number"] for each in found["revisions"]] == [2, 1]
    assert {"field": "until", "before": "2026-11-30T16:00:00Z", "after": "2026-12-05T00:00:00Z"} in found[
        "newest"
    ]["moved"]
    assert call("GET", "/v1/announcements/nothing").status_code == 404


@pytest.fixture
def granted(mall, tmp_path):
    from fenqi_server.announcements import compensation

    _publish(mall, tmp_path)
    _ask(mall, "c-hit", "app", START)
    _issue(START + timedelta(minutes=5))
    return compensation.of_announcement(mall.shop, "app-only")


def test_a_shop_reads_and_redeems_what_its_customer_was_granted(mall, call, granted):
    listed = call("GET", "/v1/compensations?customer=c-hit", key=mall.key).json()["compensations"]
    assert {each["id"] for each in listed} == {grant.public_id for grant in granted}
    assert call("GET", "/v1/compensations?customer=stranger", key=mall.key).json() == {"compensations": []}
    path = f"/v1/compensations/{granted[0].public_id}/redeem"
    done = call("POST", path, {"used_for": "order-1"}, key=mall.key)
    assert (done.status_code, done.json()["state"], done.json()["used_for"]) == (200, "redeemed", "order-1")
    assert call("POST", path, {"used_for": "order-1"}, key=mall.key).json() == done.json()
    again = call("POST", path, {"used_for": "order-2"}, key=mall.key)
    assert (again.status_code, again.json()["code"]) == (409, "compensation_redeemed")


def test_compensation_needs_a_key_with_the_scope_and_of_that_shop(mall, call, granted):
    from tests.api.world import make_world

    from fenqi_server.shops import service as shops

    path = f"/v1/compensations/{granted[0].public_id}/redeem"
    assert call("POST", path, {"used_for": "x"}).status_code == 401
    poor = shops.create_key(mall.shop, "poor", at=AT, scopes=("contracts:read",))
    assert call("POST", path, {"used_for": "x"}, key=poor).status_code == 403
    assert call("GET", "/v1/compensations?customer=c-hit", key=poor).status_code == 403
    other = make_world("other")
    assert call("POST", path, {"used_for": "x"}, key=other.key).status_code == 404
    for wrong in ({"used_for": ""}, {}, {"used_for": "x", "more": 1}):
        assert call("POST", path, wrong, key=mall.key).status_code in (400, 422)
