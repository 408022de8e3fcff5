"""Following changes: double opt-in, one message a revision, by day, and gone for good when its reader leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from tests.announcements.policies import changed_notice, without_notice
from tests.api.world import AT, demo_snapshot

PAUSE = "beichen-24-pause"
HOUR = timedelta(hours=1)


def _rows(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _subscribe(mall, address="ann@example.com", *, at=AT, quiet=True, **scope):
    from fenqi_server.policies import service as policies
    from fenqi_server.subscriptions import subscription

    return subscription.subscribe(
        mall.shop,
        policies.current(mall.shop.id, at),
        "email",
        address,
        "en",
        subscription.Scope(**scope),
        at,
        quiet=quiet,
    ).subscription


def _move(mall, days, at=AT, name=PAUSE):
    """A publication that says another time for one notice: one revision of it."""
    from fenqi_server.policies import service as policies

    before = next(notice for notice in demo_snapshot().notices if notice.id == name)
    changed = changed_notice(demo_snapshot(), name, next_update=before.since + days * 86_400)
    policies.publish(mall.shop, changed, at, "staff:ann", silent_reason="a test")


def _run(at=AT):
    from fenqi_server.subscriptions import fanout, queue, wishes

    fanout.expire_due(at)
    fanout.expand_due(at)
    wishes.fulfil_due(at)
    return queue.deliver_due(at)


# ---------------------------------------------------------------------------------------------------- double opt-in


def test_an_unconfirmed_address_gets_the_one_question_and_nothing_else(mall, post, settled):
    _subscribe(mall)
    _subscribe(mall)
    assert _run() == 1
    _move(mall, 99)
    _run(AT + HOUR)
    _run(AT + 2 * HOUR)
    assert len(post.mails) == 1
    assert "/notify/confirm/" in post.text()


def test_the_question_runs_out_and_the_address_is_deleted(mall, post, settled):
    from fenqi_server.subscriptions import subscription
    from fenqi_server.subscriptions.confirmation import Expired

    found = _subscribe(mall)
    _run()
    late = AT + timedelta(hours=48)
    with pytest.raises(Expired):
        subscription.confirm(mall.shop, found, late)
    _run(late)
    assert _rows("SELECT state, address, ended_why FROM subscriptions_subscription") == [
        ("ended", "", "not_confirmed")
    ]
    with pytest.raises(Expired):
        subscription.confirm(mall.shop, found, late)
    again = _subscribe(mall, at=late)
    assert again.id != found.id
    _run(late)
    assert len(post.mails) == 2


def test_a_second_before_it_runs_out_it_still_confirms(mall, post, settled):
    from fenqi_server.subscriptions import subscription

    found = _subscribe(mall)
    at = AT + timedelta(hours=48) - timedelta(seconds=1)
    assert subscription.confirm(mall.shop, found, at).state == "active"
    assert subscription.confirm(mall.shop, found, at + HOUR).confirmed_at == at, "once is enough"


def test_the_same_subscription_twice_is_one_whatever_its_capitals(mall, post, settled):
    first = _subscribe(mall, "ann@example.com")
    assert _subscribe(mall, "Ann@EXAMPLE.com").id == first.id
    assert _rows("SELECT count(*) FROM subscriptions_subscription") == [(1,)]
    assert _rows("SELECT count(*) FROM subscriptions_message") == [(1,)]


def test_whoever_types_an_active_address_again_changes_nothing_of_it(mall, post, settled, follow):
    from fenqi_server.subscriptions import subscription

    known = follow("ann@example.com", families=("mall",))
    _subscribe(mall, families=("beichen",))
    _run()
    assert subscription.get(mall.shop, known.public_id, known.token).families == ("mall",)
    assert post.mails == []


def test_an_address_is_not_flooded_with_questions(mall, post, settled):
    from fenqi_server.customers import service as customers
    from fenqi_server.policies import service as policies
    from fenqi_server.subscriptions import subscription
    from fenqi_server.subscriptions.addresses import BadAddress

    policy = policies.current(mall.shop.id, AT)

    def ask(number):
        customer = customers.ensure(mall.shop, f"c-{number}", AT)
        subscription.subscribe(
            mall.shop,
            policy,
            "email",
            "ann@example.com",
            "en",
            subscription.Scope(),
            AT,
            customer_id=customer,
        )

    for number in range(3):
        ask(number)
    with pytest.raises(BadAddress) as caught:
        ask(3)
    assert caught.value.code == "too_many"
    assert _run() == 3


@pytest.mark.parametrize(
    ("scope", "named"),
    [
        ({"families": ("no_such",)}, "no_such"),
        ({"plans": ("mall_12", "mall_13")}, "mall_13"),
        ({"funders": ("nobody",)}, "nobody"),
        ({"sales_channels": ("moon",)}, "moon"),
        ({"announcement": "no-such"}, "announcement"),
        ({"regions": ("x" * 41,)}, "regions"),
        ({"plans": ("mall_12",) * 51}, "51"),
    ],
)
def test_a_scope_that_the_policy_has_not_is_named_and_nothing_is_written(mall, post, scope, named):
    from fenqi_server.subscriptions.subscription import BadScope

    with pytest.raises(BadScope, match=named) as caught:
        _subscribe(mall, **scope)
    assert caught.value.text.zh_cn
    assert _rows("SELECT count(*) FROM subscriptions_subscription") == [(0,)]


def test_the_database_keeps_no_address_of_what_has_ended(mall, post, settled):
    from django.db import Error, transaction

    found = _subscribe(mall)
    with pytest.raises(Error), transaction.atomic():
        _rows(
            "UPDATE subscriptions_subscription SET state = 'ended', ended_at = now(), ended_why = 'unsubscribed'"
            " WHERE id = %s RETURNING 1",
            found.id,
        )


# ------------------------------------------------------------------------------------------- one message a revision


def test_a_revision_that_touches_the_scope_is_told_once_whatever_is_run_how_often(
    mall, post, settled, follow
):
    from fenqi_server.announcements import lifecycle
    from fenqi_server.subscriptions import fanout

    follow("plan@example.com", plans=("beichen_24",))
    follow("family@example.com", families=("beichen",))
    follow("funder@example.com", funders=("beichen",))
    follow("all@example.com")
    follow("other@example.com", families=("mall",))
    follow("mixed@example.com", families=("mall",), plans=("beichen_24",))
    _move(mall, 99)
    for _ in range(3):
        fanout.on_revision(mall.shop, lifecycle.latest(mall.shop)[PAUSE], AT)
        _run()
    assert sorted(post.to) == [
        "all@example.com",
        "family@example.com",
        "funder@example.com",
        "mixed@example.com",
        "plan@example.com",
    ]
    assert len(set(post.ids)) == 5
    assert "next news moves from" in post.text()


def test_a_channel_or_region_that_a_revision_says_nothing_of_is_touched(mall, post, settled, follow):
    follow("web@example.com", sales_channels=("web",), regions=("CN-11",))
    _move(mall, 99)
    _run()
    assert post.to == ["web@example.com"]


@pytest.mark.parametrize(("said", "told"), [((), True), (("store",), False), (("web", "store"), True)])
def test_a_revision_about_other_channels_is_not_told(mall, post, settled, follow, said, told):
    import msgspec

    from fenqi_server.subscriptions.said import Said

    follow("web@example.com", sales_channels=("web",))
    _move(mall, 99)
    (text,) = _rows("SELECT said::text FROM subscriptions_fanout WHERE stage <> 'done'")[0]
    changed = msgspec.structs.replace(msgspec.json.decode(text, type=Said), sales_channels=said)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_fanout SET said = %s WHERE stage <> 'done'",
            [msgspec.json.encode(changed).decode()],
        )
    _run()
    assert bool(post.mails) == told


def test_each_of_two_revisions_is_told_when_the_first_went_before_the_second(mall, post, settled, follow):
    follow("ann@example.com")
    _move(mall, 98)
    _run()
    _move(mall, 99, AT + HOUR)
    _run(AT + HOUR)
    assert len(post.mails) == 2
    assert len(set(post.ids)) == 2


def test_a_second_revision_takes_the_place_of_one_that_still_waits_and_the_record_says_so(
    mall, post, settled, follow
):
    night = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
    follow("ann@example.com")
    _move(mall, 98, night)
    assert _run(night) == 0
    _move(mall, 99, night + HOUR)
    assert _run(night + HOUR) == 0
    morning = datetime(2026, 11, 25, 0, 0, tzinfo=UTC)
    assert _run(morning - timedelta(seconds=1)) == 0
    assert _run(morning) == 1
    assert len(post.mails) == 1
    assert _rows(
        "SELECT number, outcome FROM subscriptions_delivery WHERE kind = 'revision' ORDER BY number"
    ) == [(2, "superseded"), (3, "delivered")]


def test_what_is_on_its_way_at_that_moment_is_left_alone(mall, post, settled, follow):
    import time

    from fenqi_server.subscriptions import fanout, queue

    follow("ann@example.com")
    _move(mall, 98)
    fanout.expand_due(AT)
    sender = queue._Round(mall.shop, AT, time.monotonic())
    held = sender._paced()
    _move(mall, 99, AT + timedelta(seconds=1))
    fanout.expand_due(AT + timedelta(seconds=1))
    sender._send(held)
    _run(AT + timedelta(seconds=2))
    assert len(post.mails) == 2
    assert len(set(post.ids)) == 2


def test_at_night_only_whom_it_does_not_wake_is_told(mall, post, settled, follow):
    night = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)  # 02:00 in Shanghai
    follow("asleep@example.com")
    follow("awake@example.com", quiet=False)
    _move(mall, 99, night)
    assert _run(night) == 1
    assert post.to == ["awake@example.com"]
    assert _run(datetime(2026, 11, 25, 0, 0, tzinfo=UTC)) == 1
    assert post.to[1:] == ["asleep@example.com"]


def test_a_retry_that_falls_into_the_night_waits_for_the_morning_too(mall, post, settled, follow):
    evening = datetime(2026, 11, 24, 13, 59, 30, tzinfo=UTC)  # 21:59:30
    follow("ann@example.com")
    _move(mall, 99, evening)
    post.rcpt["ann@example.com"] = "451 later"
    _run(evening)
    post.rcpt.clear()
    assert _run(evening + timedelta(minutes=2)) == 0
    assert _run(datetime(2026, 11, 25, 0, 0, tzinfo=UTC)) == 1
    attempts = _rows(
        "SELECT attempt, outcome FROM subscriptions_delivery WHERE kind = 'revision' ORDER BY attempt"
    )
    assert attempts == [(1, "retry"), (2, "delivered")]


def test_who_subscribes_after_a_revision_was_made_is_not_told_of_it(mall, post, settled, follow):
    _move(mall, 99)
    follow("late@example.com", at=AT + timedelta(seconds=1))
    _run(AT + HOUR)
    assert post.mails == []


def test_a_fan_out_that_was_interrupted_goes_on_where_it_was(mall, post, settled, follow, monkeypatch):
    from fenqi_server.subscriptions import fanout

    monkeypatch.setattr(fanout, "BATCH", 2)
    for number in range(5):
        follow(f"a{number}@example.com")
    _move(mall, 99)
    made = [fanout._expand(mall.shop, AT)]
    assert made == [2]
    monkeypatch.setattr(fanout, "ROUND_SECONDS", 60)
    assert fanout.expand_due(AT) == 3
    assert _run() == 5
    assert sorted(post.to) == [f"a{number}@example.com" for number in range(5)]


def test_a_subscription_to_one_announcement_hears_of_no_other_and_ends_with_it(mall, post, settled, follow):
    from fenqi_server.policies import service as policies

    found = follow("ann@example.com", announcement=PAUSE)
    _move(mall, 99, name="cloudpay-2026-11")
    _run()
    assert post.mails == []
    _move(mall, 98)
    _run()
    assert len(post.mails) == 1
    coming = AT + timedelta(minutes=2)
    from django.db import transaction

    from fenqi_server.announcements import lifecycle

    last = lifecycle.latest(mall.shop)[PAUSE]
    with transaction.atomic():
        assert lifecycle.append_revision(mall.shop, last, "resolved", last.document, coming, "engine")
    _run(coming)
    assert "Over:" in post.mails[-1][1]["Subject"]
    assert _rows(
        "SELECT state, address, ended_why FROM subscriptions_subscription WHERE id = %s", found.id
    ) == [("ended", "", "over")]
    assert policies.current(mall.shop.id, coming) is not None


def test_a_notice_that_is_taken_back_is_told_as_withdrawn(mall, post, settled, follow):
    from tests.announcements.policies import with_notices

    from fenqi_server.policies import service as policies

    tomorrow = with_notices(demo_snapshot(), "tomorrow", since=int(AT.timestamp()) + 86_400)
    policies.publish(mall.shop, tomorrow, AT, "t", silent_reason="a test")
    follow("ann@example.com")
    _run()
    policies.publish(mall.shop, without_notice(tomorrow, "tomorrow"), AT + HOUR, "t", silent_reason="a test")
    _run(AT + HOUR)
    assert "Withdrawn: Title tomorrow" in [mail["Subject"] for _, mail in post.mails]


# ------------------------------------------------------------------------------------------------------ leaving


def test_who_leaves_while_a_message_waits_gets_it_no_more(mall, post, settled, follow):
    from fenqi_server.subscriptions import fanout, queue, subscription

    found = follow("ann@example.com")
    _move(mall, 99)
    fanout.expand_due(AT)
    subscription.end(mall.shop, found, AT)
    assert queue.deliver_due(AT) == 0
    assert post.mails == []
    assert _rows("SELECT outcome FROM subscriptions_delivery WHERE kind = 'revision'") == [("withdrawn",)]
    assert _rows("SELECT address FROM subscriptions_subscription") == [("",)]


def test_its_owner_changes_what_it_is_about(mall, post, settled, follow):
    from fenqi_server.policies import service as policies
    from fenqi_server.subscriptions import subscription

    found = follow("ann@example.com", families=("mall",))
    policy = policies.current(mall.shop.id, AT)
    subscription.change(mall.shop, policy, found, subscription.Scope(families=("beichen",)), False, "zh-CN")
    _move(mall, 99)
    _run()
    assert post.mails[0][1]["Content-Language"] == "zh-CN"
    assert "更新：" in post.mails[0][1]["Subject"]


def test_another_shops_subscriptions_hear_nothing(mall, post, settled, follow):
    from tests.api.world import make_world

    follow("ann@example.com")
    other = make_world("other")
    _run()
    _move(other, 99)
    _run()
    assert post.mails == []


def test_no_address_stands_in_the_log(mall, post, settled, follow, caplog):
    caplog.set_level("DEBUG", logger="fenqi_server")
    follow("ann.secret@example.com")
    _move(mall, 99)
    post.data = ["451 later"]
    _run()
    post.rcpt["ann.secret@example.com"] = "550 no"
    _run(AT + HOUR)
    assert "secret" not in caplog.text
