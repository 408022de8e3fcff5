"""A change that nothing announces yet gets a first draft in both languages, made from the difference."""

from __future__ import annotations

import msgspec
import pytest
from tests.announcements.policies import changed_rule
from tests.api.world import AT, demo_snapshot

from fenqi.policy.compile import compile_policy
from fenqi.policy.difference import announced, compare
from fenqi.policy.snapshot import Rule, Selector, Window

NOW = int(AT.timestamp())


def _with(rule: Rule):
    snapshot = demo_snapshot()
    return msgspec.structs.replace(snapshot, rules=(*snapshot.rules, rule))


def _pause(layer="strategy", reason="STRATEGY_PAUSE", **more) -> Rule:
    return Rule(
        id="test.pause",
        layer=layer,
        owner="test",
        reason=reason,
        applies=Selector(plans=("tingchao_24",)),
        blocked=Window(NOW + 3600, NOW + 7200),
        **more,
    )


def _drafts(after, at=NOW):
    from fenqi_server.announcements.drafting import draft_of

    before, then = compile_policy(demo_snapshot()), compile_policy(after)
    return draft_of(before, then, compare(before, then, at), at)


@pytest.mark.parametrize(
    ("layer", "reason", "zh_cn", "en"),
    [
        ("strategy", "STRATEGY_PAUSE", "经营", "what it offers"),
        ("maintenance", "MAINTENANCE", "维护", "maintained"),
        ("agreement", "AGREEMENT_ADJUST", "合作条款", "terms"),
    ],
)
def test_a_pause_is_drafted_with_its_plans_times_and_cause(layer, reason, zh_cn, en):
    (made,) = _drafts(_with(_pause(layer, reason)))
    notice = made.notice
    assert (notice.since, notice.until, notice.certainty) == (NOW + 3600, NOW + 7200, "fixed")
    assert notice.plans == ("tingchao_24",)
    assert made.rules == ("test.pause",)
    assert zh_cn in notice.reason.zh_cn
    assert en in notice.reason.en
    assert "24期暂停" in notice.title.zh_cn
    assert "× 24: paused" in notice.title.en
    for text in (notice.title, notice.reason, notice.affected, notice.unaffected):
        assert text.zh_cn
        assert text.en


def test_what_has_no_end_is_drafted_as_unknown():
    rule = msgspec.structs.replace(_pause(), blocked=Window(NOW + 3600, None))
    (made,) = _drafts(_with(rule))
    assert (made.notice.until, made.notice.certainty) == (None, "unknown")


def test_what_is_announced_and_what_is_a_customers_own_is_not_drafted():
    assert _drafts(demo_snapshot()) == ()
    assert _drafts(_with(_pause(notice="beichen-24-pause"))) == ()
    assert _drafts(changed_rule(demo_snapshot(), "risk.overdue", unknown="allow")) == ()


def test_the_draft_published_with_its_change_announces_it():
    snapshot = _with(_pause())
    (made,) = _drafts(snapshot)
    with_notice = msgspec.structs.replace(
        snapshot,
        notices=(*snapshot.notices, made.notice),
        rules=tuple(
            msgspec.structs.replace(rule, notice=made.notice.id) if rule.id in made.rules else rule
            for rule in snapshot.rules
        ),
    )
    before, after = compile_policy(demo_snapshot()), compile_policy(with_notice)
    difference = compare(before, after, NOW)
    assert all(announced(change, before, after) for change in difference.availability)
    assert _drafts(with_notice) == ()
