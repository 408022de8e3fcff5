"""A revision of an announcement is told to everybody whose scope it touches, once."""

from __future__ import annotations

from django.db import connection
from tests.announcements.policies import changed_notice
from tests.api.world import AT, demo_snapshot

PAUSE = "beichen-24-pause"


def _waiting() -> dict[tuple[str, int], str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT announcement, number, kind FROM subscriptions_fanout")
        return {(announcement, number): kind for announcement, number, kind in cursor.fetchall()}


def _move_the_end(mall):
    from fenqi_server.policies import service as policies

    before = next(notice for notice in demo_snapshot().notices if notice.id == PAUSE)
    policies.publish(
        mall.shop,
        changed_notice(demo_snapshot(), PAUSE, next_update=before.since + 99 * 86_400),
        AT,
        "t",
        silent_reason="a test",
    )


def test_a_publication_has_each_of_its_revisions_told_in_its_own_transaction(mall):
    assert set(_waiting()) == {(notice.id, 1) for notice in demo_snapshot().notices}
    _move_the_end(mall)
    assert _waiting()[(PAUSE, 2)] == "updated"


def test_a_revision_that_is_told_twice_is_fanned_out_once(mall):
    from fenqi_server.announcements import lifecycle
    from fenqi_server.subscriptions import fanout

    _move_the_end(mall)
    found = lifecycle.latest(mall.shop)[PAUSE]
    before = _waiting()
    assert not fanout.on_revision(mall.shop, found, AT)
    assert _waiting() == before


def test_nothing_is_told_of_a_revision_that_was_rolled_back(mall):
    from django.db import transaction

    with transaction.atomic():
        _move_the_end(mall)
        assert (PAUSE, 2) in _waiting()
        transaction.set_rollback(True)
    assert (PAUSE, 2) not in _waiting()


def test_what_a_revision_says_goes_with_it_by_value(mall):
    import msgspec

    from fenqi_server.subscriptions.fanout import Said

    _move_the_end(mall)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT said::text FROM subscriptions_fanout WHERE announcement = %s AND number = 2", [PAUSE]
        )
        said = msgspec.json.decode(cursor.fetchone()[0], type=Said)
    assert "beichen_24" in said.plans
    assert said.families == ("beichen",)
    assert [moved.field for moved in said.moved] == ["next_update"]
    assert said.title.zh_cn != said.title.en
