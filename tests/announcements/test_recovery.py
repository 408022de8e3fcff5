"""Back only when the engine really offers it; what cannot be said to be back is an alarm, raised once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.announcements.changes import CHANGES, snapshot_with
from tests.announcements.policies import changed_notice, changed_rule
from tests.api.world import AT, GROWN_UP, PHONE

from fenqi.policy.snapshot import Selector, Window
from fenqi.terms.plan import FlatFee
from fenqi.texts import Text

START = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
END = START + timedelta(hours=8)
AFTER = END + timedelta(minutes=1)
NAMES = {change.id: change for change in CHANGES}
NAMES_OF_TINGCHAO = Selector(funders=("tingchao",))
APPROVED = Text("听潮12期、24期已恢复。", "Tingchao's 12 and 24 instalments are back.")


@pytest.fixture(autouse=True)
def _tried_nothing_yet():
    from fenqi_server.announcements import recovery

    recovery._tried.clear()


def _publish(mall, snapshot, at=AT):
    from fenqi_server.policies import service as policies

    policies.publish(mall.shop, snapshot, at, "staff:ann", silent_reason="a test")


def _app_only(folder):
    return changed_notice(snapshot_with(NAMES["app-only"], folder), "app-only", restored=APPROVED)


def _ask(mall, at, *, ref="c-1", channel="app", facts=GROWN_UP):
    from fenqi_server.customers import service as customers
    from fenqi_server.decisions import log
    from fenqi_server.decisions import service as decisions

    decisions.evaluate(mall.shop, customers.ensure(mall.shop, ref, AT), (PHONE,), channel, dict(facts), at)
    log.flush()


def _health(mall, funder, state, at):
    from fenqi_server import facts

    facts.record_health(mall.shop.id, funder, state, at)
    facts.forget_caches()


def _run(at):
    from fenqi_server import facts
    from fenqi_server.announcements import recovery

    facts.forget_caches()
    recovery._tried.clear()
    return recovery.run_due(at)


def _kinds(mall, name):
    from fenqi_server.announcements import lifecycle

    return [each.kind for each in lifecycle.revisions(mall.shop, name)]


def _alarms(mall, **more):
    from fenqi_server.announcements.alarms import alarms

    return [(each.announcement, each.kind) for each in alarms(mall.shop, **more)]


def test_it_is_back_when_the_engine_offers_it_again_in_the_words_approved_before(mall, tmp_path):
    from fenqi_server.announcements import lifecycle

    _publish(mall, _app_only(tmp_path))
    _ask(mall, START + timedelta(hours=1))
    _run(END - timedelta(seconds=1))
    assert _kinds(mall, "app-only") == ["published"], "not before its end"
    assert _run(AFTER) == 1
    newest = lifecycle.revisions(mall.shop, "app-only")[0]
    assert (newest.kind, newest.state, newest.actor) == ("restored", "resolved", "engine")
    assert newest.document.note == APPROVED
    assert _run(AFTER + timedelta(minutes=5)) == 0, "said once"
    assert not [name for name, _ in _alarms(mall) if name == "app-only"]


@pytest.mark.parametrize("asked", [True, False], ids=["somebody waited", "nobody asked"])
def test_an_outage_of_the_funder_keeps_it_from_being_announced_as_back_and_raises_an_alarm_once(
    mall, tmp_path, asked
):
    from fenqi_server.announcements.alarms import alarms

    _publish(mall, _app_only(tmp_path))
    if asked:
        _ask(mall, START + timedelta(hours=1))
    _health(mall, "tingchao", "down", END)
    for minutes in (1, 2, 3):
        _run(END + timedelta(minutes=minutes))
    assert _kinds(mall, "app-only") == ["published"]
    (alarm,) = [each for each in alarms(mall.shop) if each.announcement == "app-only"]
    assert (alarm.kind, alarm.detail["codes"]) == ("not_back", ["FUNDER_OUTAGE"])
    _health(mall, "tingchao", "up", END + timedelta(minutes=10))
    _run(END + timedelta(minutes=11))
    assert _kinds(mall, "app-only") == ["restored", "published"]
    assert not [name for name, _ in _alarms(mall) if name == "app-only"], "over when it is back"


def test_another_pause_that_has_begun_keeps_it_from_being_announced_as_back(mall, tmp_path):
    snapshot = changed_rule(
        _app_only(tmp_path), "strategy.beichen_24", applies=NAMES_OF_TINGCHAO, blocked=Window(None, None)
    )
    _publish(mall, snapshot)
    _ask(mall, START - timedelta(hours=1))
    _run(AFTER)
    assert _kinds(mall, "app-only") == ["published"]
    assert ("app-only", "not_back") in _alarms(mall)


def test_what_is_one_customers_own_does_not_keep_it_from_the_public(mall, tmp_path):
    from fenqi_server.customers import service as customers

    snapshot = changed_notice(snapshot_with(NAMES["whole-window"], tmp_path), "whole-window", restored=None)
    _publish(mall, snapshot)
    _ask(mall, START + timedelta(hours=1), ref="u-1", channel="web")
    # The line is closed meanwhile: this customer is not offered it, and everybody else is.
    customers.set_limit(mall.shop, mall.customer_id, 0)
    _run(AFTER)
    assert _kinds(mall, "whole-window") == ["restored", "published"]


def test_rules_that_are_lifted_early_end_the_notice_and_bring_it_back(mall, tmp_path):
    snapshot = _app_only(tmp_path)
    _publish(mall, snapshot)
    _ask(mall, START + timedelta(hours=1))
    lifted = msgspec.structs.replace(
        snapshot,
        rules=tuple(rule for rule in snapshot.rules if rule.id != "test.change"),
        notices=tuple(each for each in snapshot.notices if each.id != "app-only"),
    )
    _publish(mall, lifted, START + timedelta(hours=2))
    assert _kinds(mall, "app-only")[0] == "updated"
    _run(START + timedelta(hours=2, minutes=1))
    assert _kinds(mall, "app-only")[0] == "restored"


def test_what_got_better_is_said_with_before_and_after(mall, tmp_path):
    from decimal import Decimal

    from fenqi_server.announcements import lifecycle

    snapshot = _app_only(tmp_path)
    _publish(mall, snapshot)
    cheaper = msgspec.structs.replace(
        snapshot,
        plans=tuple(
            msgspec.structs.replace(plan, pricing=FlatFee(Decimal("0.004")))
            if plan.id == "tingchao_12"
            else plan
            for plan in snapshot.plans
        ),
    )
    _publish(mall, cheaper, END)
    _run(AFTER)
    found = {
        each.what: (each.before, each.after)
        for each in lifecycle.revisions(mall.shop, "app-only")[0].document.betterments
        if each.plan == "tingchao_12"
    }
    # ¥3,000 x 12: 0.55 % and 0.4 % a month.
    assert found["fee"] == (19_800, 14_400)


def test_a_publication_after_the_return_says_nothing_again(mall, tmp_path):
    snapshot = _app_only(tmp_path)
    _publish(mall, snapshot)
    _run(AFTER)
    shop = msgspec.structs.replace(snapshot.shop, id="another-digest")
    _publish(mall, msgspec.structs.replace(snapshot, shop=shop), AFTER + timedelta(hours=1))
    assert _kinds(mall, "app-only") == ["restored", "published"]


def test_news_that_was_promised_and_did_not_come_raises_an_alarm_once_for_each_deadline(mall):
    from tests.api.world import demo_snapshot

    from fenqi_server.announcements.alarms import raise_overdue

    first, second = (int(AT.timestamp()) + 3600 * hours for hours in (1, 5))
    name = "beichen-24-pause"
    _publish(mall, changed_notice(demo_snapshot(), name, next_update=first))

    def overdue(at):
        raise_overdue(datetime.fromtimestamp(at, UTC))
        return [each for each in _alarms(mall, everything=True) if each == (name, "update_overdue")]

    assert overdue(first - 1) == []
    assert len(overdue(first)) == 1
    assert len(overdue(first + 600)) == 1
    _publish(
        mall,
        changed_notice(demo_snapshot(), name, next_update=second),
        datetime.fromtimestamp(first + 700, UTC),
    )
    assert (name, "update_overdue") not in _alarms(mall), "news came"
    assert len(overdue(second - 1)) == 1
    assert len(overdue(second)) == 2


def test_a_notice_that_stood_for_a_place_alone_is_resolved_and_nothing_is_awaited(mall, tmp_path):
    from tests.announcements.policies import with_notices
    from tests.api.world import demo_snapshot

    until = int(AT.timestamp()) + 60
    _publish(mall, with_notices(demo_snapshot(), "words-only", since=int(AT.timestamp()), until=until))
    _run(AT + timedelta(minutes=2))
    assert _kinds(mall, "words-only") == ["resolved", "published"]
