"""An announced outage of paying back moves the dates of exactly the contracts that fall due in it, and charges nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest
from tests.announcements.policies import with_notices
from tests.api.world import demo_snapshot
from tests.engine.contracts.made import FLAT_12, FREE_3
from tests.servicing.opened import AT, make_customer, open_one

from fenqi.policy.snapshot import RepaymentImpact
from fenqi_server.servicing import service as servicing

DUE = date(2026, 12, 23)
"""One month after the contracts of these tests."""
FROM = datetime(2026, 12, 23, 14, 0, tzinfo=UTC)
TO = datetime(2026, 12, 23, 18, 0, tzinfo=UTC)
"""22:00 to 02:00 in the shop: the due date ends inside it."""
BEFORE = datetime(2026, 12, 20, 2, 0, tzinfo=UTC)


@pytest.fixture
def shop(db):
    from tests.servicing.opened import make_shop

    from fenqi_server import facts
    from fenqi_server.policies import service as policies
    from fenqi_server.servicing.service import put_off  # noqa: F401  # what the job calls

    policies.forget_caches()
    facts.forget_caches()
    made = make_shop()
    policies.publish(made, demo_snapshot(), AT, "test", silent_reason="a test")
    yield made
    policies.forget_caches()


def _announce(shop, *, plans=("mall_12",), moves_to=date(2026, 12, 24), end=TO, at=BEFORE):
    from fenqi_server.policies import service as policies

    snapshot = with_notices(demo_snapshot(), "night", since=int(FROM.timestamp()), until=int(end.timestamp()))
    notices = tuple(
        msgspec.structs.replace(
            each,
            plans=plans,
            repayment=RepaymentImpact(
                start=int(FROM.timestamp()), end=int(end.timestamp()), due_moves_to=moves_to
            ),
        )
        if each.id == "night"
        else each
        for each in snapshot.notices
    )
    policies.publish(
        shop, msgspec.structs.replace(snapshot, notices=notices), at, "staff:ann", silent_reason="a test"
    )


def _run(at):
    from fenqi_server.announcements import repayment

    return repayment.move_due(at)


def _first_row(shop, contract, on=DUE):
    return servicing.get(shop, contract, on).state.rows[0]


def test_exactly_the_contracts_due_in_the_outage_are_moved_and_none_is_charged(shop):
    hit = open_one(shop, make_customer(shop, "hit"))
    paid = open_one(shop, make_customer(shop, "paid"), order_ref="o-2")
    servicing.pay(shop, paid, 53_600, "received", "bank-1", AT)
    later = open_one(
        shop, make_customer(shop, "later"), at=datetime(2026, 11, 26, 2, 0, tzinfo=UTC), order_ref="o-3"
    )
    other_plan = open_one(shop, make_customer(shop, "other"), FREE_3, order_ref="o-4")
    owed = servicing.get(shop, hit, DUE).state.balance_minor
    _announce(shop)
    assert _run(BEFORE) == 1
    assert _run(BEFORE) == 0
    moved = {
        name: (_first_row(shop, contract).due_on, _first_row(shop, contract).moved_by)
        for name, contract in (("hit", hit), ("paid", paid), ("later", later), ("other", other_plan))
    }
    assert moved == {
        "hit": (date(2026, 12, 24), "night"),
        "paid": (DUE, ""),
        "later": (date(2026, 12, 26), ""),
        "other": (DUE, ""),
    }
    assert servicing.get(shop, hit, DUE).state.balance_minor == owed
    assert servicing.arrears(shop, make_customer(shop, "hit"), date(2026, 12, 24)) == 0
    assert servicing.arrears(shop, make_customer(shop, "other"), date(2026, 12, 24)) > 0


def test_a_contract_that_was_made_between_is_found_when_the_outage_begins(shop):
    _announce(shop)
    assert _run(BEFORE) == 0
    made = open_one(shop, make_customer(shop), at=AT)
    assert _run(FROM) == 1
    assert _first_row(shop, made).moved_from == DUE


def test_an_extended_outage_moves_the_date_further_and_a_retracted_one_takes_nothing_back(shop):
    from fenqi_server.policies import service as policies

    contract = open_one(shop, make_customer(shop))
    _announce(shop)
    _run(BEFORE)
    longer = datetime(2026, 12, 24, 18, 0, tzinfo=UTC)
    _announce(shop, end=longer, moves_to=date(2026, 12, 26), at=FROM)
    assert _run(FROM) == 1
    assert _first_row(shop, contract).due_on == date(2026, 12, 26)
    policies.publish(shop, demo_snapshot(), FROM, "staff:ann", silent_reason="a test")
    _run(longer)
    assert _first_row(shop, contract, date(2026, 12, 25)).due_on == date(2026, 12, 26)


def test_a_retracted_outage_that_was_not_applied_moves_nothing(shop):
    from fenqi_server.policies import service as policies

    contract = open_one(shop, make_customer(shop))
    _announce(shop)
    policies.publish(shop, demo_snapshot(), BEFORE, "staff:ann", silent_reason="a test")
    assert _run(FROM) == 0
    assert _first_row(shop, contract).due_on == DUE


def test_the_notice_says_what_becomes_of_due_dates(shop):
    from fenqi_server.announcements import lifecycle

    _announce(shop)
    found = lifecycle.latest(shop)["night"].document
    assert found.repayment.due_moves_to == "2026-12-24"
    assert {impact.act for impact in found.impacts} == {"repay", "pay_off", "autopay"}
    assert FLAT_12.id in found.plans
