"""What the core refuses is said in both languages: state, rule and way out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.engine.contracts import test_leases as leases
from tests.engine.contracts.made import START, days

from fenqi.contracts.contract import EventRefused, replay
from fenqi.contracts.events import Confirmed, Event
from fenqi.contracts.terms import ContractTerms
from fenqi_server.servicing.refusals import TITLES, phrase, refusal_of

pytestmark = pytest.mark.no_db


@settings(max_examples=200)
@given(leases.lives())
def test_every_refusal_of_a_lease_or_a_pledge_has_its_words(
    life: tuple[ContractTerms, list[tuple[str, int, int, int]]],
) -> None:
    terms, acts = life
    events: list[Event] = [Confirmed(seq=1, occurred_on=START, recorded_at=1)]
    for kind, day, amount, number in acts:
        seq = len(events) + 1
        event = leases.MADE[kind]({"seq": seq, "occurred_on": days(day), "recorded_at": seq}, amount, number)
        try:
            replay(terms, [*events, event], leases.LATER)
        except EventRefused as refused:
            said = refused.problem
            if said.place in TITLES:
                assert phrase(said.value, "CNY") is not None, said
                assert phrase(said.way_out, "CNY") is not None, said
            assert phrase(said.expected, "CNY") is not None, said
            told = refusal_of(refused, str(event.__struct_config__.tag), "CNY")
            assert told.detail.zh_cn != told.detail.en
        else:
            events.append(event)
