"""The register of agreements: which version is in force, and which end is raised, once, before it comes."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from tests.api.world import AT, demo_snapshot

from fenqi.calendars import at_local, local_date, to_epoch
from fenqi.policy.compile import compile_policy
from fenqi.policy.snapshot import Agreement


def _snapshot(*versions, funder="beichen"):
    snapshot = demo_snapshot()
    return msgspec.structs.replace(
        snapshot,
        funders=tuple(
            msgspec.structs.replace(each, agreement=None, agreements=versions) if each.id == funder else each
            for each in snapshot.funders
        ),
    )


def _midnight(days):
    day = local_date(to_epoch(AT), "Asia/Shanghai") + timedelta(days=days)
    return at_local(day, 0, "Asia/Shanghai")


def _publish(mall, *versions, at=AT):
    from fenqi_server.policies import service as policies

    policies.publish(mall.shop, _snapshot(*versions), at, "test", silent_reason="a test")
    policies.forget_caches()


def test_every_version_has_its_state_and_counts_the_shops_days():
    from fenqi_server.funders import agreements

    policy = compile_policy(
        _snapshot(
            Agreement(version="b-1", valid_to=_midnight(-3)),
            Agreement(version="b-2", valid_from=_midnight(-3), valid_to=_midnight(30)),
            Agreement(version="b-3", valid_from=_midnight(30), valid_to=_midnight(400)),
        )
    )
    rows = [each for each in agreements.register(policy, AT) if each.funder == "beichen"]
    assert [(row.agreement.version, row.state, row.days_left, row.replaced) for row in rows] == [
        ("b-1", "over", None, True),
        ("b-2", "ending", 30, True),
        ("b-3", "coming", 400, False),
    ]
    day_before = agreements.register(policy, AT - timedelta(days=1))
    assert next(row for row in day_before if row.agreement.version == "b-2").state == "in_force"


def test_a_version_for_other_customers_does_not_replace_one():
    from fenqi.policy.conditions import Clause
    from fenqi_server.funders import agreements

    new = Clause("customer.has_running_contract", "is", False)
    policy = compile_policy(
        _snapshot(
            Agreement(version="b-1", valid_to=_midnight(10)),
            Agreement(version="b-2", valid_from=_midnight(5), audience=new),
        )
    )
    first = next(row for row in agreements.register(policy, AT) if row.agreement.version == "b-1")
    assert (first.state, first.replaced) == ("ending", False)


def test_an_end_is_raised_once_and_put_away_by_a_person(mall):
    from fenqi_server.funders import agreements
    from fenqi_server.policies import audit

    _publish(mall, Agreement(version="b-9", valid_to=_midnight(29)))
    assert agreements.warn_due(AT - timedelta(minutes=1)) == 0, "it is not the policy of then"
    assert agreements.warn_due(AT) == 1
    assert agreements.warn_due(AT + timedelta(days=1)) == 0
    (warning,) = agreements.open_warnings(mall.shop, AT)
    assert (warning.funder, warning.version, to_epoch(warning.ends_at)) == ("beichen", "b-9", _midnight(29))
    assert agreements.see(mall.shop, "beichen", "b-9", "staff:ann", AT)
    assert not agreements.see(mall.shop, "beichen", "b-9", "staff:ann", AT)
    assert agreements.open_warnings(mall.shop, AT) == ()
    assert audit.entries(mall.shop)[0].act == "agreement.warning_seen"


def test_a_renewal_ends_the_warning_by_itself(mall):
    from fenqi_server.funders import agreements

    _publish(mall, Agreement(version="b-9", valid_to=_midnight(29)))
    agreements.warn_due(AT)
    assert len(agreements.open_warnings(mall.shop, AT)) == 1
    later = AT + timedelta(hours=1)
    _publish(
        mall,
        Agreement(version="b-9", valid_to=_midnight(29)),
        Agreement(version="b-10", valid_from=_midnight(29)),
        at=later,
    )
    assert agreements.open_warnings(mall.shop, later) == ()
    assert agreements.warn_due(later) == 0
