"""A pilot: a share of the customers, compared by what became of it, widened, taken back."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from tests.agreed import agree
from tests.api.world import AT, GROWN_UP, PHONE, demo_snapshot

from fenqi.policy.rollout import bucket_of


@pytest.fixture
def pilot(mall):
    """mall_12 goes away for 40 % of the customers: both sides have known customers in plenty."""
    from fenqi_server.policies import service as policies

    snapshot = demo_snapshot()
    less = msgspec.structs.replace(
        snapshot, plans=tuple(plan for plan in snapshot.plans if plan.id != "mall_12")
    )
    made = policies.publish(
        mall.shop,
        less,
        AT - timedelta(hours=1),
        "staff:ann",
        kind="pilot",
        percent=40,
        salt="pepper",
        silent_reason="a test",
    )
    policies.forget_caches()
    return made


@pytest.fixture
def customers(mall):
    from fenqi_server.customers import service

    return [
        service.ensure(mall.shop, f"p-{number}", AT - timedelta(days=30), limit_minor=2_000_000)
        for number in range(24)
    ]


def _shop_around(mall, customers, confirm_every=3):
    from fenqi_server.decisions import log
    from fenqi_server.decisions import service as decisions

    confirmed = 0
    for number, customer in enumerate(customers):
        shown = decisions.evaluate(mall.shop, customer, [PHONE], "web", GROWN_UP, AT)
        if number % confirm_every == 0:
            agree(mall.shop, customer, shown.quotes["mall_3"].token, f"o-{number}", AT)
            confirmed += 1
    decisions.evaluate(mall.shop, None, [PHONE], "web", GROWN_UP, AT)
    log.flush()
    return confirmed


def test_each_side_is_counted_by_what_it_was_offered_and_what_it_confirmed(mall, pilot, customers):
    from fenqi_server.funders import pilots

    confirmed = _shop_around(mall, customers)
    inside = [each for each in customers if bucket_of("pepper", each.hex) < 4_000]
    assert 0 < len(inside) < len(customers)
    (found,) = pilots.running(mall.shop, AT)
    assert (found.with_it.customers, found.without_it.customers) == (
        len(inside),
        len(customers) - len(inside),
    )
    assert found.with_it.decisions + found.without_it.decisions == len(customers), "visitors are in no share"
    assert found.with_it.confirmations == sum(
        1 for number, each in enumerate(customers) if number % 3 == 0 and each in inside
    )
    assert found.with_it.confirmations + found.without_it.confirmations == confirmed
    assert "mall_12" not in {one.plan for one in found.with_it.plans}
    twelve = next(one for one in found.without_it.plans if one.plan == "mall_12")
    assert twelve.asked == twelve.offered == found.without_it.decisions


def test_widening_keeps_everybody_who_had_it_and_everybody_ends_the_pilot(mall, pilot, customers):
    from fenqi_server.funders import pilots
    from fenqi_server.policies import service as policies

    def who(at=AT):
        policies.forget_caches()
        return {each for each in customers if policies.current(mall.shop.id, at, each).digest == pilot.digest}

    before = who()
    wider = pilots.widen(mall.shop, pilot.id, 70, "staff:ann", "it goes well", AT)
    assert (wider.percent, wider.salt, wider.kind) == (70, "pepper", "pilot")
    assert before < who()
    (found,) = pilots.running(mall.shop, AT)
    assert found.publication.id == wider.id
    assert found.since == pilot.valid_from, "it is compared from its beginning"
    with pytest.raises(pilots.NoPilot):
        pilots.widen(mall.shop, pilot.id, 80, "staff:ann", "", AT)
    later = AT + timedelta(minutes=1)
    pilots.widen(mall.shop, wider.id, 100, "staff:ann", "for all", later)
    assert who(later) == set(customers)
    assert pilots.running(mall.shop, later) == ()


def test_ending_gives_everybody_what_the_others_had(mall, pilot, customers):
    from fenqi_server.funders import pilots
    from fenqi_server.policies import service as policies

    base = policies.current(mall.shop.id, AT).digest
    pilots.end(mall.shop, pilot.id, "staff:ann", "fewer bought", AT)
    policies.forget_caches()
    assert {policies.current(mall.shop.id, AT, each).digest for each in customers} == {base}
    assert pilots.running(mall.shop, AT) == ()


@pytest.mark.parametrize("percent", [0, 40, 39, 101])
def test_a_share_only_grows(mall, pilot, percent):
    from fenqi.problems import BadInput
    from fenqi_server.funders import pilots

    with pytest.raises(BadInput) as wrong:
        pilots.widen(mall.shop, pilot.id, percent, "staff:ann", "", AT)
    assert wrong.value.problem.place == "percent"


def test_an_unknown_pilot_is_none(mall, pilot):
    from fenqi_server.funders import pilots

    for act in (
        lambda: pilots.widen(mall.shop, UUID(int=1), 50, "staff:ann", "", AT),
        lambda: pilots.end(mall.shop, UUID(int=1), "staff:ann", "", AT),
    ):
        with pytest.raises(pilots.NoPilot):
            act()
