"""What becomes unavailable, available, dearer or stands elsewhere is announced, or the reason for silence is on record."""

from __future__ import annotations

import msgspec
import pytest
from tests.announcements.policies import changed_notice
from tests.api.world import AT, demo_snapshot

from fenqi.policy.snapshot import Placement, Rule, Selector, Window


def _pause(notice=None, **more):
    window = Window(start=int(AT.timestamp()))
    return Rule(
        id="strategy.pause_6",
        layer="strategy",
        owner="business",
        reason="STRATEGY_PAUSE",
        applies=Selector(plans=("mall_6",)),
        blocked=window,
        notice=notice,
        **more,
    )


def _with_rule(rule):
    snapshot = demo_snapshot()
    return msgspec.structs.replace(snapshot, rules=(*snapshot.rules, rule))


def _lower():
    snapshot = demo_snapshot()
    place = Placement(id="mall.lower", applies=Selector(families=("mall",)), rank=900)
    return msgspec.structs.replace(snapshot, placements=(*snapshot.placements, place))


def _gone():
    snapshot = demo_snapshot()
    return msgspec.structs.replace(
        snapshot,
        rules=tuple(rule for rule in snapshot.rules if rule.id != "cart.coupon"),
    )


PAUSE = "mall-maintenance-2026-11-23"
CHANGES = {
    "a pause": lambda: _with_rule(_pause()),
    "a rule taken away": _gone,
    "another place": _lower,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_is_offered_is_not_published_in_silence(mall, change):
    from fenqi_server.policies import audit, service

    before = len(service.publications(mall.shop.id)), audit.verify(mall.shop)
    with pytest.raises(service.Unannounced) as refused:
        service.publish(mall.shop, CHANGES[change](), AT, "staff:ann")
    assert refused.value.changes
    problem = refused.value.problem
    assert problem.value
    assert "notice" in problem.expected
    assert "notice: ID" in problem.way_out
    assert (len(service.publications(mall.shop.id)), audit.verify(mall.shop)) == before


@pytest.mark.parametrize("change", CHANGES)
def test_the_reason_for_silence_is_kept(mall, change):
    from fenqi_server.policies import audit, service

    made = service.publish(mall.shop, CHANGES[change](), AT, "staff:ann", silent_reason="nobody has it yet")
    kept = service.publications(mall.shop.id)[-1]
    assert kept == made
    assert (kept.needs_notice, kept.announced, kept.silent_reason) == (True, False, "nobody has it yet")
    assert audit.entries(mall.shop)[0].after["silent_reason"] == "nobody has it yet"


def test_a_change_with_its_notice_is_published(mall):
    from fenqi_server.policies import service

    snapshot = _with_rule(_pause("beichen-24-pause"))
    made = service.publish(mall.shop, snapshot, AT, "staff:ann")
    assert (made.needs_notice, made.announced) == (True, True)


def test_words_alone_need_no_notice(mall):
    from fenqi_server.policies import service

    last = next(each for each in demo_snapshot().notices if each.id == PAUSE)
    words = changed_notice(demo_snapshot(), PAUSE, unaffected=last.affected)
    made = service.publish(mall.shop, words, AT, "staff:ann")
    assert not made.needs_notice


def test_the_database_refuses_it_too(mall):
    from django.db import IntegrityError, connection, transaction

    with (
        pytest.raises(IntegrityError, match="policies_publication_announced"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO policies_publication (shop_id, id, digest, valid_from, recorded_at, actor, needs_notice)"
            " SELECT shop_id, gen_random_uuid(), digest, now(), now(), 'staff:ann', true FROM policies_publication"
        )
