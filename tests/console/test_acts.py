"""Changing what is offered in one act, through the console: shown first, done by one button, looked at by somebody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from tests.pages.page import parse

from fenqi_server import clock
from fenqi_server.policies import afterwards
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import only_shop

ACTS = "/console/policy/acts/"


@pytest.fixture
def shop(mall: None) -> Shop:
    return only_shop()


@pytest.fixture
def eve(shop: Shop, as_staff: Callable[..., Client]) -> Client:
    return as_staff("publisher", shop=shop, username="eve")


@pytest.fixture
def bob(shop: Shop, as_staff: Callable[..., Client]) -> Client:
    return as_staff("reviewer", shop=shop, username="bob", layers=("law",))


def digest(shop: Shop) -> str:
    return policies.current(shop.id, clock.now()).digest


def test_a_stop_is_shown_first_and_done_by_one_button_and_looked_at_by_somebody_else(
    shop: Shop, eve: Client, bob: Client
) -> None:
    before = digest(shop)
    page = eve.get(f"{ACTS}stop/mall_12/").content.decode()
    assert "Somebody else looks at it within a day" in page or "一天内由另一人复核" in page
    assert digest(shop) == before, "looking changes nothing"
    assert eve.post(f"{ACTS}stop/mall_12/", {"reason": "a wrong fee is shown"}).status_code == 302
    assert digest(shop) != before
    (waiting,) = afterwards.waiting(shop)
    assert waiting.reason == "a wrong fee is shown"
    path = f"{ACTS}looked-at/{waiting.id}"
    refused = eve.post(path, {"verdict": "right", "reason": "I think so"})
    assert refused.status_code == 409
    assert afterwards.waiting(shop) == (waiting,)
    assert bob.post(path, {"verdict": "right", "reason": "it was wrong indeed"}).status_code == 302
    assert afterwards.waiting(shop) == ()


def test_a_stop_without_a_reason_stops_nothing(shop: Shop, eve: Client) -> None:
    before = digest(shop)
    answer = eve.post(f"{ACTS}stop/mall_12/", {"reason": " "})
    assert answer.status_code == 422
    assert parse(answer.content).one("p", role="alert").text
    assert digest(shop) == before
    assert eve.get(f"{ACTS}stop/mall_99/").status_code == 404


WINDOW = {
    "kind": "maintenance",
    "plan": ["mall_12"],
    "from": "2026-11-23T20:00",
    "until": "2026-11-23T21:00",
    "zh": "账务系统升级。",
    "en": "The accounts are being upgraded.",
}


def test_a_maintenance_is_planned_extended_and_called_off(shop: Shop, eve: Client) -> None:
    assert eve.post(f"{ACTS}window/new/", WINDOW).status_code == 302
    policy = policies.current(shop.id, clock.now())
    rule = policy.rules[policy.rule_index["maintenance.mall_12.20261123"]]
    assert rule.notice is not None
    assert policy.notices[rule.notice].reason.en == "The accounts are being upgraded."
    assert eve.post(f"{ACTS}window/{rule.id}/extend/", {"until": "2026-11-23T23:00"}).status_code == 302
    longer = policies.current(shop.id, clock.now())
    notice = longer.notices[rule.notice]
    assert notice.until == (rule.blocked.end if rule.blocked and rule.blocked.end else 0) + 2 * 3600
    listed = parse(eve.get(ACTS).content)
    assert listed.one("tr", data_rule=rule.id)
    assert eve.post(f"{ACTS}window/{rule.id}/end").status_code == 302
    assert rule.id not in policies.current(shop.id, clock.now()).rule_index


@pytest.mark.parametrize(
    "changed",
    [
        {"until": "2026-11-23T19:00"},
        {"until": ""},
        {"zh": " "},
        {"plan": []},
        {"from": "tonight"},
    ],
    ids=["ends before it starts", "a maintenance without an end", "one language", "no plan", "no time"],
)
def test_a_window_that_cannot_be_says_why_and_keeps_what_was_written(
    shop: Shop, eve: Client, changed: dict[str, Any]
) -> None:
    before = digest(shop)
    answer = eve.post(f"{ACTS}window/new/", WINDOW | changed)
    assert answer.status_code == 422
    page = parse(answer.content)
    assert page.one("p", role="alert").text
    assert page.one("textarea", name="en").text == WINDOW["en"]
    assert digest(shop) == before


def test_an_end_before_now_is_refused_and_a_window_that_is_not_there_is_404(shop: Shop, eve: Client) -> None:
    before = digest(shop)
    path = f"{ACTS}window/maintenance.mall/extend/"
    assert eve.post(path, {"until": "2026-11-23T09:00"}).status_code == 422
    assert eve.get(f"{ACTS}window/nothing/extend/").status_code == 404
    assert eve.post(f"{ACTS}window/nothing/end").status_code == 404
    assert digest(shop) == before
