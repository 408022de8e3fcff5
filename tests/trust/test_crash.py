"""A few kills under load, what the harness sees of tampering, and what it sees of a database that loses."""

from __future__ import annotations

import random

import pytest
from tests.trust.crash import Broken, Check, Run, kills, run
from tests.trust.installation import KILLS, Fault, Installation

pytestmark = pytest.mark.no_db

# What nobody asked for, was asked for and is gone, is there twice, or differs by a fen: done by the tables' owner, and undone.
_ONE = "(SELECT e.event_id FROM servicing_event AS e WHERE e.kind = 'payment_received' LIMIT 1)"
TAMPERINGS = {
    "a payment is gone from the events": f"DELETE FROM servicing_event WHERE event_id = {_ONE}",
    "a payment that was taken back is gone from the events": "DELETE FROM servicing_event AS e WHERE e.kind = 'payment_received'"
    " AND EXISTS (SELECT FROM servicing_event AS r WHERE r.kind = 'payment_reversed' AND r.customer_id = e.customer_id"
    " AND r.contract_id = e.contract_id AND r.reference = e.reference)",
    "a payment is gone from the book": f"DELETE FROM books_transaction WHERE event_id = {_ONE}",
    "a payment is booked a fen higher": "UPDATE books_transaction SET amounts = array_replace(array_replace(amounts, amounts[1],"
    f" amounts[1] + 1), amounts[2], amounts[2] - 1) WHERE event_id = {_ONE}",
    "money that named no contract is gone": "DELETE FROM books_transaction WHERE event_kind = 'unmatched_money'",
    "an answer is another": "UPDATE servicing_idempotency SET response = '{}' WHERE key = (SELECT min(key) FROM servicing_idempotency)",
    "a key is gone": "DELETE FROM servicing_idempotency WHERE key = (SELECT min(key) FROM servicing_idempotency)",
    "a message is gone": "DELETE FROM outbox_delivery WHERE outcome <> 'retry' AND event_id = (SELECT min(event_id::text)::uuid"
    " FROM outbox_delivery WHERE outcome <> 'retry')",
    "a message is there twice": "INSERT INTO outbox_message (shop_id, customer_id, id, endpoint_id, event_id, event, body, created_at,"
    " due_at) SELECT shop_id, customer_id, gen_random_uuid(), endpoint_id, gen_random_uuid(), event, body, at, at"
    " FROM outbox_delivery WHERE outcome = 'delivered' LIMIT 1",
    "a day counts more than it did": "UPDATE servicing_close_run SET due_rows = due_rows + 1",
    "a cached balance is a fen lower": "UPDATE servicing_state SET balance_minor = balance_minor - 1",
    "a seal is gone": "DELETE FROM books_seal",
}


def test_what_was_acknowledged_outlives_every_kind_of_kill_and_what_is_tampered_with_shows() -> None:
    seen: dict[str, list[str]] = {}

    def tamper(going: Run) -> None:
        with going.site.owner() as session:
            session.execute("UPDATE demo_clock SET ahead = ahead + interval '40 days'")
            going.site.run("fenqi_server", "close-day")
            for name, statement in TAMPERINGS.items():
                with session.transaction(force_rollback=True):
                    assert session.execute(statement).rowcount > 0, name
                    check = Check(session, going.receiver, list(going.heads))
                    seen[name] = list(check.problems(going.acts))

    figures = run("make test", len(KILLS), contracts=30, at_end=tamper)
    assert (figures.lost, figures.twice, figures.cycles) == (0, 0, len(KILLS))
    assert set(figures.kills) == set(KILLS)
    assert figures.acknowledged > 50
    assert not [name for name in TAMPERINGS if not seen[name]]


def test_each_kind_of_kill_comes_as_often_as_the_others() -> None:
    drawn = kills(random.Random(1), 200)
    assert {kill: drawn.count(kill) for kill in KILLS} == dict.fromkeys(KILLS, 40)


def test_a_database_that_acknowledges_what_it_has_not_written_is_refused_and_seen_to_lose() -> None:
    def refused(site: Installation) -> None:
        with pytest.raises(
            RuntimeError, match="synchronous_commit = off: a payment that was answered could be lost"
        ):
            site.start_service(guarded=True)

    figures = run("loses", 1, contracts=10, loses=True, before=refused)
    assert figures.lost > 0


@pytest.mark.campaign
def test_200_kills_lose_nothing_and_book_nothing_twice() -> None:
    figures = run("campaign", 200, contracts=400)
    assert (figures.lost, figures.twice, figures.cycles) == (0, 0, 200)
    assert figures.acknowledged > 10_000


@pytest.mark.campaign
def test_20_kills_of_a_database_that_loses_are_seen_to_lose() -> None:
    assert run("campaign", 20, loses=True).lost > 100


# With each of these everything happens that is to happen, only not together.
FAULTS = (
    Fault(
        "no act is one transaction",
        "fenqi_server/db.py",
        "            with transaction.atomic():\n                return act()",
        "            return act()",
    ),
    Fault(
        "the key and its answer are not in the act's transaction",
        "fenqi_server/servicing/idempotency.py",
        "    return in_transaction(attempt)",
        "    return attempt()",
    ),
    Fault(
        "the shop is told after the act's transaction",
        "fenqi_server/outbox/service.py",
        "    return enqueue_many(shop, event, [(customer_id, payload)], at)[0]",
        "    transaction.on_commit(lambda: enqueue_many(shop, event, [(customer_id, payload)], at))\n    return uuid7(at)",
    ),
)


@pytest.mark.campaign
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_what_does_not_happen_together_is_found(fault: Fault) -> None:
    with pytest.raises(Broken, match="seed faults, cycle"):
        run("faults", 40, fault=fault)
