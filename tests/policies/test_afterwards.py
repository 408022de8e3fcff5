"""What was done in a hurry waits until someone else has looked at it, and the database knows who did it."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from tests.api.world import AT

from fenqi.policy.document import files_in
from fenqi.policy.rollout import bucket_of
from fenqi.problems import BadInput

HOUR = timedelta(hours=1)


@pytest.fixture
def stopped(mall):
    from fenqi_server.policies import acts, service

    made = files_in(Path(str(files("fenqi_server.demo") / "policy")))[0]
    service.keep_files(mall.shop, service.publications(mall.shop.id)[-1], made)
    return acts.stop_now(mall.shop, "mall_6", "staff:ann", "a wrong fee is shown", AT)


def test_a_stop_waits_a_day_for_someone_else(mall, stopped):
    from fenqi_server.policies import afterwards, audit

    assert afterwards.waiting(mall.shop) == (stopped,)
    assert stopped.review_by == AT + timedelta(hours=24)
    with pytest.raises(BadInput) as refused:
        afterwards.close(mall.shop, stopped.id, "staff:ann", "right", "it was right", AT + HOUR)
    assert "someone else" in refused.value.problem.expected
    assert afterwards.waiting(mall.shop) == (stopped,)
    afterwards.close(mall.shop, stopped.id, "staff:bob", "right", "the fee was wrong", AT + HOUR)
    assert afterwards.waiting(mall.shop) == ()
    entry = audit.entries(mall.shop)[0]
    assert (entry.actor, entry.act, entry.after) == (
        "staff:bob",
        "policy.review_afterwards",
        {"verdict": "right"},
    )
    with pytest.raises(BadInput, match="waits to be looked at"):
        afterwards.close(mall.shop, stopped.id, "staff:cai", "wrong", "no", AT + HOUR)


@pytest.mark.parametrize("claimed", ["staff:ann", "staff:bob"])
def test_the_database_refuses_whoever_did_it_even_under_another_name(mall, stopped, claimed):
    from django.db import IntegrityError, connection, transaction

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO policies_after_review (shop_id, publication_id, actor, verdict, reviewer, reason, reviewed_at)"
            " VALUES (%s, %s, %s, 'right', 'staff:ann', 'x', now())",
            [mall.shop.id, stopped.id, claimed],
        )


@pytest.mark.parametrize(("verdict", "reason"), [("fine", "x"), ("right", " ")])
def test_a_verdict_without_a_word_or_a_reason_is_refused(mall, stopped, verdict, reason):
    from fenqi_server.policies import afterwards

    with pytest.raises(BadInput):
        afterwards.close(mall.shop, stopped.id, "staff:bob", verdict, reason, AT)
    assert afterwards.waiting(mall.shop) == (stopped,)


def test_a_stop_holds_in_what_is_planned_and_for_those_of_a_pilot(mall):
    from fenqi_server.policies import acts, edits, service

    made = files_in(Path(str(files("fenqi_server.demo") / "policy")))[0]
    service.keep_files(mall.shop, service.publications(mall.shop.id)[-1], made)

    def named(name, **more):
        changed = edits.change(made, "funders", "mall", {"name": {"zh-CN": name, "en": name}})
        from fenqi.policy.document import read_policy

        return service.publish(
            mall.shop, read_policy(changed).snapshot, AT, "staff:cai", files=changed, **more
        )

    pilot = named("pilot", kind="pilot", percent=99)
    tomorrow = AT + timedelta(days=1)
    named("planned", valid_from=tomorrow)
    inside = mall.customer_id
    if bucket_of(pilot.salt, inside.hex) >= 9_900:
        inside = mall.shop.id
    acts.stop_now(mall.shop, "mall_6", "staff:ann", "a wrong fee is shown", AT)
    policies = {
        "base": service.current(mall.shop.id, AT),
        "pilot": service.current(mall.shop.id, AT, inside),
        "planned": service.current(mall.shop.id, tomorrow),
    }
    for name, policy in policies.items():
        assert any(rule.id.startswith("stop.mall_6") for rule in policy.rules), name
        assert (policy.funders["mall"].name.en == name) == (name != "base")
