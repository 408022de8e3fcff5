"""Told once, when the engine offers it to that very customer; and the general word to whom nothing is known of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test import override_settings
from tests.announcements.policies import changed_rule
from tests.api.world import AT, GROWN_UP, PHONE, demo_snapshot

from fenqi.policy.snapshot import Window

PAUSE = "beichen-24-pause"
MINUTE = timedelta(minutes=1)
NOON = AT + timedelta(hours=2)
RULE = next(
    rule for rule in demo_snapshot().rules if rule.layer == "maintenance" and rule.blocked is not None
)


def _rows(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _customer(mall, name, *, limit_minor=2_000_000, email="", at=AT):
    from fenqi_server.customers import service as customers

    customer = customers.ensure(mall.shop, name, at - timedelta(days=300), limit_minor=limit_minor)
    if email:
        customers.set_private(mall.shop, customer, customers.Private(name, email), at)
    return customer


def _close_the_way(mall, until=NOON, at=AT):
    blocked = Window(int(at.timestamp()), int(until.timestamp()))
    _publish(mall, changed_rule(demo_snapshot(), RULE.id, blocked=blocked), at)


def _publish(mall, snapshot, at):
    from fenqi_server.policies import service as policies

    policies.publish(mall.shop, snapshot, at, "staff:ann", silent_reason="a test")


def _wish(mall, customer, email, at=AT, **more):
    from fenqi_server.decisions import service as decisions
    from fenqi_server.subscriptions import wishes

    decision = decisions.evaluate(mall.shop, customer, (PHONE,), "web", GROWN_UP, at)
    return wishes.request_back(mall.shop, customer, decision.public_id, "mall_12", email, "en", at, **more)


def _run(at):
    from fenqi_server.subscriptions import fanout, queue, wishes

    fanout.expire_due(at)
    fanout.expand_due(at)
    wishes.fulfil_due(at)
    return queue.deliver_due(at)


def _state(wish):
    return _rows("SELECT state, address FROM subscriptions_wish WHERE id = %s", wish.id)[0]


@pytest.fixture
def closed(mall, post, settled):
    """The mall's own instalments are in maintenance from now until noon."""
    _close_the_way(mall)
    _run(AT)
    return mall


def test_each_is_told_once_when_it_is_back_for_them_and_whom_another_reason_keeps_waits_on(closed, post):
    good = _customer(closed, "good", email="good@example.com")
    poor = _customer(closed, "poor", limit_minor=1, email="poor@example.com")
    told, kept = _wish(closed, good, "good@example.com"), _wish(closed, poor, "poor@example.com")
    assert _run(AT + MINUTE) == 0
    assert _run(NOON - MINUTE) == 0
    assert _run(NOON + MINUTE) == 1
    assert post.to == ["good@example.com"]
    assert "is open to you again for your order of ¥4,999.00" in post.text()
    assert _state(told) == ("told", "")
    assert _state(kept) == ("waiting", "poor@example.com")
    for minutes in (3, 5, 60):
        _run(NOON + minutes * MINUTE)
    assert len(post.mails) == 1
    # And once the other reason is gone, they are told too.
    from fenqi_server.customers import service as customers

    customers.set_limit(closed.shop, poor, 2_000_000)
    assert _run(NOON + 63 * MINUTE) == 1
    assert post.to[1:] == ["poor@example.com"]


def test_the_figures_told_are_those_of_the_decision_that_was_recorded_for_it(closed, post):
    from fenqi.money import format_money
    from fenqi_server.decisions import service as decisions
    from fenqi_server.ids import public_id

    good = _customer(closed, "good", email="good@example.com")
    _wish(closed, good, "good@example.com")
    _run(NOON + MINUTE)
    ((name,),) = _rows(
        "SELECT decision_id FROM decisions_decision WHERE customer_id = %s AND source = 'announcement'"
        " ORDER BY decision_id DESC LIMIT 1",
        good,
    )
    option = decisions.load(public_id("dc", good, name), shop=closed.shop).evaluation.option("mall_12")
    assert option.offered
    assert format_money(option.schedule.total_minor, "CNY") in post.text()


def test_the_same_wish_twice_is_one(closed, post):
    good = _customer(closed, "good", email="good@example.com")
    first = _wish(closed, good, "good@example.com")
    assert _wish(closed, good, "GOOD@example.com").id == first.id
    assert _rows("SELECT count(*) FROM subscriptions_wish") == [(1,)]
    assert _run(NOON + MINUTE) == 1


def test_an_address_that_the_shop_did_not_tell_us_is_asked_first_and_told_nothing_until_it_says_yes(
    closed, post
):
    from fenqi_server.subscriptions import wishes

    good = _customer(closed, "good", email="good@example.com")
    wish = _wish(closed, good, "another@example.com")
    assert wish.state == "unconfirmed"
    assert _run(AT) == 1
    assert "Please confirm" in post.mails[0][1]["Subject"]
    assert _run(NOON + MINUTE) == 0
    wishes.confirm(closed.shop, wish, NOON + MINUTE)
    assert _run(NOON + 2 * MINUTE) == 1
    assert "is back" in post.mails[1][1]["Subject"]


def test_a_wish_that_nobody_confirms_is_forgotten_with_its_address(closed, post):
    from fenqi_server.subscriptions import wishes
    from fenqi_server.subscriptions.confirmation import Expired

    wish = _wish(closed, _customer(closed, "good"), "another@example.com")
    late = AT + timedelta(hours=48)
    with pytest.raises(Expired):
        wishes.confirm(closed.shop, wish, late)
    _run(late)
    assert _state(wish) == ("cancelled", "")


def test_a_wish_that_nothing_comes_of_is_forgotten_after_ninety_days(closed, post):
    poor = _customer(closed, "poor", limit_minor=1, email="poor@example.com")
    wish = _wish(closed, poor, "poor@example.com")
    _run(AT + timedelta(days=89))
    assert _state(wish)[0] == "waiting"
    _run(AT + timedelta(days=90))
    assert _state(wish) == ("cancelled", "")
    assert post.mails == []


def test_nobody_is_woken_unless_they_asked_for_it(mall, post, settled):
    evening = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    ends = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)  # two in the morning in Shanghai
    _close_the_way(mall, ends, evening)
    for name, at_night in (("asleep", False), ("awake", True)):
        customer = _customer(mall, name, email=f"{name}@example.com")
        _wish(mall, customer, f"{name}@example.com", evening, at_night=at_night)
    assert _run(ends + MINUTE) == 1
    assert post.to == ["awake@example.com"]
    assert _run(datetime(2026, 11, 24, 23, 59, tzinfo=UTC)) == 0
    assert _run(datetime(2026, 11, 25, 0, 0, tzinfo=UTC)) == 1
    assert post.to[1:] == ["asleep@example.com"]


def test_what_has_waited_is_asked_again_and_not_sent_when_it_is_gone_once_more(closed, post):
    good = _customer(closed, "good", email="good@example.com")
    wish = _wish(closed, good, "good@example.com")
    post.rcpt["good@example.com"] = "451 later"
    _run(NOON + MINUTE)
    assert _state(wish)[0] == "telling"
    post.rcpt.clear()
    again = NOON + 30 * MINUTE
    _close_the_way(closed, again + timedelta(hours=1), NOON + 2 * MINUTE)
    assert _run(again) == 0
    assert post.mails == []
    assert _state(wish) == ("waiting", "good@example.com")
    assert _run(again + timedelta(hours=1, minutes=1)) == 1
    assert len(post.mails) == 1
    assert _state(wish) == ("told", "")


def test_who_cancels_while_the_message_waits_gets_none(closed, post):
    from fenqi_server.subscriptions import queue, wishes

    wish = _wish(closed, _customer(closed, "good", email="good@example.com"), "good@example.com")
    wishes.fulfil_due(NOON + MINUTE)
    assert _state(wish)[0] == "telling"
    wishes.cancel(closed.shop, wish, NOON + MINUTE)
    assert queue.deliver_due(NOON + MINUTE) == 0
    assert post.mails == []


def test_a_funder_that_is_back_is_not_stampeded(closed, post):
    for number in range(40):
        name = f"c{number}"
        _wish(closed, _customer(closed, name, email=f"{name}@example.com"), f"{name}@example.com")
    with override_settings(FENQI_NOTIFY_PER_MINUTE=10):
        went = []
        for second in range(0, 180, 2):
            went += [second] * _run(NOON + MINUTE + timedelta(seconds=second))
    for start in range(180):
        assert len([second for second in went if start <= second < start + 60]) <= 10
    assert 20 <= len(went) <= 31


def test_another_customers_decision_or_a_plan_that_is_none_is_refused(closed, post):
    from fenqi_server.decisions import service as decisions
    from fenqi_server.subscriptions import wishes

    good, other = _customer(closed, "good"), _customer(closed, "other")
    decision = decisions.evaluate(closed.shop, good, (PHONE,), "web", GROWN_UP, AT)
    with pytest.raises(decisions.NoDecision):
        wishes.request_back(closed.shop, other, decision.public_id, "mall_12", "a@example.com", "en", AT)
    with pytest.raises(KeyError):
        wishes.request_back(closed.shop, good, decision.public_id, "nothing", "a@example.com", "en", AT)
    assert _rows("SELECT count(*) FROM subscriptions_wish") == [(0,)]


# -------------------------------------------------------------------------------------------------- anonymous ones


def _anonymous(mall, address="ann@example.com", at=AT, **more):
    from fenqi_server.subscriptions import wishes

    made = wishes.request_over(mall.shop, PAUSE, address, "en", at, **more)
    return wishes.confirm(mall.shop, made, at)


def _end(mall, kind, at):
    from fenqi_server.announcements import lifecycle

    last = lifecycle.latest(mall.shop)[PAUSE]
    with transaction.atomic():
        assert lifecycle.append_revision(mall.shop, last, kind, last.document, at, "engine")


@pytest.mark.parametrize(("kind", "word"), [("restored", "It is back: "), ("resolved", "Over: ")])
def test_an_anonymous_address_gets_the_general_message_once_it_is_over_and_is_forgotten(
    mall, post, settled, kind, word
):
    wish = _anonymous(mall)
    _run(AT)
    post.mails.clear()
    _run(AT + MINUTE)
    assert post.mails == []
    _end(mall, kind, AT + 2 * MINUTE)
    assert _run(AT + 2 * MINUTE) == 1
    assert post.mails[0][1]["Subject"].startswith(word)
    assert "depends on you and your order" in post.text()
    assert _state(wish) == ("told", "")
    _run(AT + timedelta(hours=1))
    assert len(post.mails) == 1


def test_an_anonymous_wish_for_what_is_over_or_is_none_is_refused(mall, post, settled):
    from fenqi_server.subscriptions import wishes

    _end(mall, "resolved", AT)
    for name in (PAUSE, "no-such"):
        with pytest.raises(wishes.NoWish):
            wishes.request_over(mall.shop, name, "ann@example.com", "en", AT)


def test_an_unconfirmed_anonymous_address_is_told_nothing_when_it_is_over(mall, post, settled):
    from fenqi_server.subscriptions import wishes

    wishes.request_over(mall.shop, PAUSE, "ann@example.com", "en", AT)
    _run(AT)
    _end(mall, "restored", AT + MINUTE)
    _run(AT + MINUTE)
    assert len(post.mails) == 1
    assert "Please confirm" in post.mails[0][1]["Subject"]
