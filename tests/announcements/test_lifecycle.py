"""The life of an announcement: what a publication says anew is a revision, and nothing else is."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from tests.announcements.policies import changed_notice, with_notices, without_notice
from tests.api.world import AT, demo_snapshot

from fenqi.calendars import format_instant

PAUSE = "beichen-24-pause"


def _tomorrow():
    return with_notices(demo_snapshot(), "tomorrow", since=int(AT.timestamp()) + 86_400)


def _publish(mall, snapshot, at=AT, **more):
    from fenqi_server.policies import service as policies

    return policies.publish(mall.shop, snapshot, at, "staff:ann", silent_reason="a test", **more)


def _latest(mall, name):
    from fenqi_server.announcements import lifecycle

    return lifecycle.latest(mall.shop)[name]


def _numbers(mall, name):
    from fenqi_server.announcements import lifecycle

    return [(each.number, each.kind, each.state) for each in lifecycle.revisions(mall.shop, name)]


def test_every_notice_of_the_first_policy_is_published_once_in_both_languages(mall):
    from fenqi_server.announcements import lifecycle

    found = lifecycle.latest(mall.shop)
    assert set(found) == {notice.id for notice in demo_snapshot().notices}
    for each in found.values():
        assert each.number == 1
        assert each.kind == "published"
        assert each.document.title.zh_cn
        assert each.document.title.en
        assert each.document.post is not None


def test_a_publication_that_says_nothing_new_makes_no_revision(mall):
    snapshot = demo_snapshot()
    shop = msgspec.structs.replace(snapshot.shop, id="another-digest")
    _publish(mall, msgspec.structs.replace(snapshot, shop=shop))
    assert _numbers(mall, PAUSE) == [(1, "published", _latest(mall, PAUSE).state)]


def test_a_moved_end_is_told_as_old_and_new_in_both_languages(mall):
    before = next(notice for notice in demo_snapshot().notices if notice.id == PAUSE)
    assert before.until is not None
    _publish(mall, changed_notice(demo_snapshot(), PAUSE, until=before.until + 7200))
    found = _latest(mall, PAUSE)
    assert (found.number, found.kind) == (2, "updated")
    assert [(c.field, c.before, c.after) for c in found.document.changes] == [
        ("until", before.until, before.until + 7200)
    ]
    moved = [
        (before.until, "zh-CN"),
        (before.until + 7200, "zh-CN"),
        (before.until, "en"),
        (before.until + 7200, "en"),
    ]
    old_zh, new_zh, old_en, new_en = (format_instant(at, "Asia/Shanghai", locale) for at, locale in moved)
    assert f"由{old_zh}改为{new_zh}" in found.document.post.zh_cn
    assert f"from {old_en} to {new_en}" in found.document.post.en


def test_a_notice_that_begins_later_is_scheduled(mall):
    _publish(mall, _tomorrow())
    assert _latest(mall, "tomorrow").state == "scheduled"


def test_a_notice_that_had_not_begun_is_retracted_when_the_policy_drops_it(mall):
    _publish(mall, _tomorrow())
    _publish(mall, demo_snapshot())
    assert _numbers(mall, "tomorrow")[0] == (2, "retracted", "retracted")


def test_a_notice_in_force_that_the_policy_drops_ends_with_the_change(mall):
    _publish(mall, without_notice(demo_snapshot(), PAUSE))
    found = _latest(mall, PAUSE)
    assert (found.number, found.kind) == (2, "updated")
    assert found.document.until == int(AT.timestamp())


def test_what_is_over_stays_as_it_was_when_the_policy_drops_it(mall):
    later = AT + timedelta(days=30)
    _publish(mall, without_notice(demo_snapshot(), PAUSE), later)
    assert _latest(mall, PAUSE).number == 1


def test_a_notice_of_a_publication_still_to_come_is_not_retracted_by_an_urgent_one(mall):
    planned = with_notices(demo_snapshot(), "planned-1", since=int(AT.timestamp()) + 86400)
    _publish(mall, planned, valid_from=AT + timedelta(days=1))
    assert _latest(mall, "planned-1").state == "scheduled"
    _publish(mall, changed_notice(demo_snapshot(), PAUSE, until=None), AT + timedelta(hours=1))
    assert _numbers(mall, "planned-1") == [(1, "published", "scheduled")]


def test_a_retracted_notice_that_comes_again_is_an_update(mall):
    _publish(mall, _tomorrow())
    _publish(mall, demo_snapshot(), AT + timedelta(minutes=1))
    _publish(mall, _tomorrow(), AT + timedelta(minutes=2))
    assert [kind for _, kind, _ in _numbers(mall, "tomorrow")] == ["updated", "retracted", "published"]


def test_listeners_are_told_in_the_same_transaction(mall):
    from django.db import connection

    from fenqi_server.outbox import service as outbox

    outbox.add_endpoint(
        mall.shop, "https://93.184.215.14/hook", ("announcement.published", "announcement.updated"), AT
    )
    _publish(mall, changed_notice(demo_snapshot(), PAUSE, next_update=int(AT.timestamp()) + 600))
    with connection.cursor() as cursor:
        cursor.execute("SELECT event, body::jsonb #>> '{data,announcement}' FROM outbox_message")
        assert cursor.fetchall() == [("announcement.updated", PAUSE)]


def test_a_publication_that_fails_announces_nothing(mall):
    from django.db import transaction

    from fenqi_server.policies import service as policies

    with transaction.atomic():
        policies.publish(
            mall.shop,
            changed_notice(demo_snapshot(), PAUSE, until=None),
            AT,
            "staff:ann",
            silent_reason="a test",
        )
        transaction.set_rollback(True)
    assert _numbers(mall, PAUSE)[0][0] == 1


@pytest.mark.parametrize("statement", ["UPDATE {} SET shop_id = shop_id", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["announcements_revision", "announcements_alarm"])
def test_what_was_said_cannot_be_unsaid_by_the_service(mall, statement, table):
    from django.db import ProgrammingError, connection, transaction

    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(statement.format(table))


def test_the_row_beside_the_revisions_follows_from_them(mall):
    from django.db import connection

    _publish(mall, changed_notice(demo_snapshot(), PAUSE, until=None, next_update=int(AT.timestamp()) + 600))
    for each in _all(mall):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT last_number, kind, extract(epoch FROM starts_at)::bigint,"
                " extract(epoch FROM ends_at)::bigint, extract(epoch FROM next_update_at)::bigint"
                " FROM announcements_announcement WHERE shop_id = %s AND id = %s",
                [mall.shop.id, each.announcement],
            )
            document = each.document
            assert cursor.fetchone() == (
                each.number,
                each.kind,
                document.since,
                document.until,
                document.next_update,
            )


def _all(mall):
    from fenqi_server.announcements import lifecycle

    return lifecycle.latest(mall.shop).values()
