"""What is open to anybody and when: the engine's own answers, at every instant at which they can change."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from fenqi.calendars import at_local, to_epoch
from fenqi.checkout.evaluation import evaluate
from fenqi_server import clock, facts
from fenqi_server.console import availability
from fenqi_server.console.availability import Stretch, Way
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import only_shop

DAY = 86_400
pytestmark = pytest.mark.usefixtures("mall")


@pytest.fixture
def shop(mall: None) -> Shop:
    return only_shop()


def looked_at(shop: Shop, before: int = 3, after: int = 8) -> dict[str, Way]:
    now = clock.now()
    start, end = to_epoch(now) - before * DAY, to_epoch(now) + after * DAY
    return {way.family: way for way in availability.ways(shop, start, end, now)}


def local(month: int, day: int, hour: int, minute: int = 0) -> int:
    on = datetime(2026, month, day, tzinfo=UTC).date()
    return at_local(on, hour * 60 + minute, "Asia/Shanghai")


def rules(stretch: Stretch | None) -> set[str]:
    assert stretch is not None
    return {cause.reason.rule for cause in stretch.causes}


def test_the_maintenance_takes_the_whole_family_from_ten_to_two(shop: Shop) -> None:
    mall = looked_at(shop)["mall"]
    assert [(s.start, s.end, s.state, rules(s)) for s in mall.stretches if s.causes] == [
        (local(11, 23, 22), local(11, 24, 2), "off", {"maintenance.mall"})
    ]
    assert mall.stretches[0].state == mall.stretches[-1].state == "open"


def test_a_nightly_window_and_a_paused_term_are_told_together(shop: Shop) -> None:
    beichen = looked_at(shop)["beichen"]
    noon, midnight = beichen.at(local(11, 25, 12)), beichen.at(local(11, 25, 0, 10))
    assert noon is not None
    assert (noon.state, rules(noon)) == ("partly", {"strategy.beichen_24"})
    assert noon.causes[0].plans == ("beichen_24",)
    assert midnight is not None
    assert (midnight.state, rules(midnight)) == (
        "off",
        {"strategy.beichen_24", "maintenance.beichen_nightly"},
    )
    nightly, paused = (
        next(each for each in availability.happenings(beichen) if each.reason.rule == rule)
        for rule in ("maintenance.beichen_nightly", "strategy.beichen_24")
    )
    assert (nightly.start, nightly.end) == (local(11, 20, 23, 30), local(11, 21, 0, 30))
    assert (nightly.again, nightly.last_end) == (10, local(12, 1, 0, 30))
    assert (paused.again, paused.end, paused.whole) == (0, local(12, 1, 0), False)


def test_what_has_no_known_end_is_unsure_only_past_now(shop: Shop) -> None:
    cloudpay = looked_at(shop)["cloudpay"]
    now = to_epoch(clock.now())
    before, after = cloudpay.at(now - 1), cloudpay.at(now)
    assert before is not None
    assert after is not None
    assert (before.unsure, after.unsure) == (False, True)
    assert before.end == after.start == now


def test_an_outage_is_of_now_and_says_nothing_of_before(shop: Shop) -> None:
    now = clock.now()
    facts.record_health(shop.id, "tingchao", "down", now)
    facts.forget_caches()
    tingchao = looked_at(shop)["tingchao"]
    present = to_epoch(now)
    assert [(s.state, s.unsure) for s in tingchao.stretches] == [("open", False), ("off", True)]
    assert tingchao.stretches[1].start == present
    assert rules(tingchao.at(present)) == {"health.tingchao"}


def test_a_policy_to_come_takes_over_on_its_day(shop: Shop) -> None:
    now = clock.now()
    snapshot = policies.current(shop.id, now).snapshot
    changed = msgspec.structs.replace(
        snapshot, rules=tuple(rule for rule in snapshot.rules if rule.id != "strategy.beichen_24")
    )
    begins = now + timedelta(days=2)
    policies.publish(shop, changed, now, "cli:tests", valid_from=begins, silent_reason="a test")
    policies.forget_caches()
    beichen = looked_at(shop)["beichen"]
    assert rules(beichen.at(to_epoch(begins) - 1)) == {"strategy.beichen_24"}
    assert rules(beichen.at(to_epoch(begins) + 1)) == set()


def test_nobody_s_own_reasons_and_none_of_the_made_up_order_are_told(shop: Shop) -> None:
    layers = {
        cause.reason.layer
        for way in looked_at(shop).values()
        for each in way.stretches
        for cause in each.causes
    }
    assert layers <= {"law", "compliance", "agreement", "maintenance", "health", "strategy"}
    codes = {
        cause.reason.code
        for way in looked_at(shop).values()
        for each in way.stretches
        for cause in each.causes
    }
    assert codes.isdisjoint({"AMOUNT_LOW", "AMOUNT_HIGH", "LOGIN_REQUIRED", "UNDERAGE", "CARD_UNSUPPORTED"})


def test_stretches_follow_each_other_without_a_gap(shop: Shop) -> None:
    for way in looked_at(shop).values():
        for one, following in zip(way.stretches, way.stretches[1:], strict=False):
            assert one.end == following.start
            assert one.start < one.end


@pytest.mark.parametrize("seed", range(3))
def test_at_any_instant_it_says_what_the_engine_says_then(shop: Shop, seed: int) -> None:
    """The stretches are only a way of asking less often: asked at any instant, the engine answers the same."""
    dice = random.Random(seed)
    now = clock.now()
    found = looked_at(shop)
    for _ in range(60):
        at = to_epoch(now) + dice.randrange(0, 8 * DAY)
        policy = policies.current(shop.id, datetime.fromtimestamp(at, UTC))
        known = facts.gather(shop, None, {}, policy, now)
        evaluation = evaluate(policy, availability._request(shop, at, known))
        for family, way in found.items():
            expected = {
                reason.rule: {
                    o.plan for o in evaluation.options if reason in availability.reasons_for_everybody(o)
                }
                for option in evaluation.options
                if option.family == family
                for reason in availability.reasons_for_everybody(option)
            }
            stretch = way.at(at)
            assert stretch is not None
            assert {cause.reason.rule: set(cause.plans) for cause in stretch.causes} == expected, (family, at)
