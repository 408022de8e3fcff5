"""The simulation's seeds through the real API and PostgreSQL: the same states, the same accounts, one effect each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from tests.servicing.opened import make_shop
from tests.trust.calls import CALLS
from tests.trust.postgres import Differs, Play, Played, play
from tests.trust.proxy import FAULTS

AT = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


@pytest.fixture
def played(committed_db: Any, serve: Callable[..., Any]) -> Callable[..., Played]:
    """`played(seed, events)`, over a shop of this test's and the real server."""
    from fenqi_server.demo import clock
    from fenqi_server.shops import service as shops

    clock.start(AT)
    shop = make_shop()
    # What staff give away is not to wait for a second person.
    server = serve(demo=True, environ={"FENQI_CONCESSION_LIMIT_MINOR": str(10**8 - 1)})

    def run(seed: str, events: int, **more: Any) -> Played:
        key = shops.create_key(shop, "trust", at=AT, scopes=shops.SCOPES)
        return play(
            seed, events, shop=shop, key=key, upstream=server.port, owner_url=committed_db.owner_url, **more
        )

    return run


# What the owner of the tables may do, and what each of these differs by.
TAMPERINGS = {
    "is stored as": "DELETE FROM servicing_event WHERE event_id = (SELECT event_id FROM servicing_event WHERE kind = 'payment_received'"
    " ORDER BY recorded_at DESC LIMIT 1)",
    "booked is": "UPDATE books_transaction SET amounts = ARRAY[amounts[1] + 1, amounts[2] - 1]"
    " WHERE transaction_id = (SELECT transaction_id FROM books_transaction WHERE cardinality(amounts) = 2 AND contract_id IS NOT NULL LIMIT 1)",
    "the book is not proved": "UPDATE servicing_state SET balance_minor = 1 WHERE status = 'closed'",
}


def test_800_events_come_to_the_same_as_in_the_pure_core(played: Callable[..., Played]) -> None:
    seen = []

    def tamper(going: Play, day: date, session: psycopg.Connection[Any]) -> None:
        for said, statement in TAMPERINGS.items():
            with session.transaction(force_rollback=True):
                assert session.execute(statement).rowcount > 0, said
                with pytest.raises(Differs, match=said):
                    going.finish(day, session)
            seen.append(said)

    done = played("1", 800, at_end=tamper, until=date(2027, 1, 31))
    print(done)
    assert seen == [*TAMPERINGS]
    assert done.core == done.service
    assert done.events >= 800
    # What lives come to is up to which of two workers charges first what being late costs: not all of the rare acts have to be there.
    assert len({kind.__name__ for kind in CALLS} - done.told.keys()) <= 2, done.told
    assert done.repeated
    assert {fault for fault, _ in done.faults} == set(FAULTS)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", ["campaign 1", "campaign 2", "campaign 3", "campaign 4"])
def test_10_000_events_come_to_the_same(played: Callable[..., Played], seed: str) -> None:
    done = played(seed, 10_000)
    print(done)
    assert done.events >= 10_000
    assert {(fault, call) for fault in FAULTS for call in ("payments", "reversals")} <= done.faults.keys()
