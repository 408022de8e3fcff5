"""Which policy is in force: from an instant on, recorded at another, never taken back."""

from __future__ import annotations

import time
from datetime import timedelta

import msgspec
import pytest
from tests.api.world import AT, demo_snapshot

from fenqi.policy.rollout import bucket_of


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
    policies._published[mall.shop.id] = (time.monotonic() + 60, published[1])
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


def test_a_share_of_the_customers_gets_it_first_and_keeps_it_when_it_grows(mall):
    from uuid import uuid4

    from fenqi_server.policies import service as policies

    subjects = [uuid4() for _ in range(2000)]
    base = policies.current(mall.shop.id, AT).digest
    pilot = policies.publish(mall.shop, _named(4), AT, "ann", kind="pilot", percent=10)

    def inside():
        return {each for each in subjects if policies.current(mall.shop.id, AT, each).digest == pilot.digest}

    first = inside()
    # Four standard deviations of a fair draw of 2,000.
    assert abs(len(first) - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5
    assert inside() == first
    assert policies.current(mall.shop.id, AT).digest == base
    policies.publish(mall.shop, _named(4), AT, "ann", kind="pilot", percent=35, salt=pilot.salt)
    wider = inside()
    assert first < wider
    assert abs(len(wider) - 700) < 4 * (2000 * 0.35 * 0.65) ** 0.5
    policies.publish(mall.shop, _named(4), AT, "ann")
    assert inside() == set(subjects)


def test_another_draw_is_another_share(mall):
    from uuid import uuid4

    subjects = [uuid4() for _ in range(2000)]
    both = sum(bucket_of("a", each.hex) < 5_000 and bucket_of("b", each.hex) < 5_000 for each in subjects)
    assert abs(both - 500) < 4 * (2000 * 0.25 * 0.75) ** 0.5


def test_each_decision_records_the_policy_that_answered_it(mall):
    from tests.api.world import GROWN_UP, PHONE

    from fenqi_server.customers import service as customers
    from fenqi_server.decisions import log
    from fenqi_server.decisions import service as decisions
    from fenqi_server.policies import service as policies

    base = policies.current(mall.shop.id, AT).digest
    pilot = policies.publish(mall.shop, _named(4), AT, "ann", kind="pilot", percent=50)
    seen = set()
    for number in range(20):
        customer = customers.ensure(mall.shop, f"p-{number}", AT)
        made = decisions.evaluate(mall.shop, customer, [PHONE], "web", GROWN_UP, AT)
        log.flush()
        recorded = decisions.load(made.public_id)
        expected = pilot.digest if bucket_of(pilot.salt, customer.hex) < 5_000 else base
        assert recorded.policy.digest == made.policy.digest == expected
        seen.add(expected)
    assert seen == {base, pilot.digest}


def test_a_moved_base_is_refused_and_nothing_is_half_written(mall):
    from django.db import connection

    from fenqi_server.policies import audit
    from fenqi_server.policies import service as policies

    base = policies.current(mall.shop.id, AT).digest
    policies.publish(mall.shop, _named(8), AT, "bob", base=base)
    counted = len(policies.publications(mall.shop.id)), audit.verify(mall.shop)
    with pytest.raises(policies.MovedBase) as refused:
        policies.publish(mall.shop, _named(9), AT, "ann", base=base)
    assert refused.value.problem.value == base
    assert "bob" in refused.value.problem.expected
    assert refused.value.problem.way_out
    assert (len(policies.publications(mall.shop.id)), audit.verify(mall.shop)) == counted
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM policies_snapshot WHERE body LIKE '%%mall-9%%'::bytea")
        assert cursor.fetchone() == (0,)


def test_the_files_are_kept_with_what_they_say(mall):
    from fenqi_server.policies import service as policies

    made = policies.publish(mall.shop, _named(6), AT, "ann", files={"a.yaml": "# why\nshop: {}\n"})
    assert policies.files_of(mall.shop, made.digest) == {"a.yaml": "# why\nshop: {}\n"}
    assert policies.files_of(mall.shop, made.base) is None


def test_within_one_view_there_is_one_policy(mall):
    from fenqi_server.policies import service as policies

    later = AT + timedelta(seconds=1)
    policies.publish(mall.shop, _named(2), AT - timedelta(days=1), "ann", valid_from=later)
    with policies.one_view():
        before = _current(mall, AT)
        published = policies._published.pop(mall.shop.id)
        policies._published[mall.shop.id] = (time.monotonic() + 60, published[1][:1])
        assert _current(mall, AT) == before
        # The next look at the clock is past the instant at which the other begins.
        assert _current(mall, AT + timedelta(milliseconds=50)) == before
        assert _current(mall, later + timedelta(hours=1)) == "mall-2"
    assert _current(mall, AT) == before
    policies._published.pop(mall.shop.id)
    assert _current(mall, later) == "mall-2"


def test_whoever_publishes_sees_it_at_once(mall):
    from fenqi_server.policies import service as policies

    with policies.one_view():
        _current(mall, AT)
        policies.publish(mall.shop, _named(3), AT, "ann")
        assert _current(mall, AT) == "mall-3"


def test_of_two_recorded_at_one_instant_the_later_one_is_in_force(mall):
    from fenqi_server.policies import service as policies

    for number in range(12):
        policies.publish(mall.shop, _named(number), AT, "ann")
        assert _current(mall, AT) == f"mall-{number}"
