"""Which policy is in force: from an instant on, recorded at another, never taken back."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from tests.api.world import AT, demo_snapshot


def _named(number: int):
    snapshot = demo_snapshot()
    shop = msgspec.structs.replace(snapshot.shop, id=f"mall-{number}")
    return msgspec.structs.replace(snapshot, shop=shop)


def _current(mall, at):
    from fenqi_server.policies import service as policies

    return policies.current(mall.shop.id, at).shop.id


def test_a_publication_counts_from_its_instant_and_an_old_digest_can_be_published_again(mall):
    from fenqi_server.policies import service as policies

    first = policies.publish(mall.shop, _named(1), AT, "ann")
    policies.publish(mall.shop, _named(2), AT, "ann", valid_from=AT + timedelta(hours=1))
    assert _current(mall, AT) == "mall-1"
    assert _current(mall, AT + timedelta(minutes=59)) == "mall-1"
    assert _current(mall, AT + timedelta(hours=1)) == "mall-2"
    again = policies.publish(mall.shop, _named(1), AT + timedelta(hours=2), "bob")
    assert again.digest == first.digest
    assert _current(mall, AT + timedelta(hours=2)) == "mall-1"


def test_an_urgent_change_holds_until_the_next_planned_one(mall):
    from fenqi_server.policies import service as policies

    policies.publish(mall.shop, _named(5), AT, "ann", valid_from=AT + timedelta(days=5))
    policies.publish(mall.shop, _named(9), AT + timedelta(days=1), "ann")
    assert _current(mall, AT + timedelta(days=4)) == "mall-9"
    assert _current(mall, AT + timedelta(days=5)) == "mall-5"


def test_before_the_first_there_is_none(mall):
    from fenqi_server.policies import service as policies

    with pytest.raises(policies.NoPolicy):
        _current(mall, AT - timedelta(days=1000))
    with pytest.raises(policies.NoPolicy):
        policies.by_digest("sha256:" + "0" * 64)


def test_a_digest_names_what_was_published_in_every_process(mall):
    from fenqi_server.policies import service as policies

    made = policies.publish(mall.shop, _named(3), AT, "ann")
    policies.forget_caches()
    assert policies.by_digest(made.digest).digest == made.digest


def test_another_processs_publication_is_seen_within_a_second(mall, monkeypatch):
    from django.db import connection

    from fenqi_server.policies import service as policies

    old = _current(mall, AT)
    published = policies._published[mall.shop.id]
    policies.publish(mall.shop, _named(7), AT, "elsewhere")
    # As in another process: its cache still holds the list from before.
    policies._published[mall.shop.id] = published
    with connection.cursor():
        assert _current(mall, AT) == old
    policies._published[mall.shop.id] = (0.0, published[1])
    assert _current(mall, AT) == "mall-7"


@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET digest = digest", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
@pytest.mark.parametrize("table", ["policies_publication", "policies_snapshot"])
def test_the_record_cannot_be_changed_by_the_service(mall, statement, table):
    from django.db import ProgrammingError, connection, transaction

    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(statement.format(table))
