"""Buying the goods of a lease: what it comes to on a day, before the customer decides."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from fenqi.contracts.acts.leasing import buyout_schedule
from fenqi.contracts.contract import ContractState, account_of, replay
from fenqi.contracts.events import BoughtOut, Event
from fenqi.contracts.terms import ContractTerms

__all__ = ["BuyoutQuote", "buyout_quote"]


class BuyoutQuote(msgspec.Struct, frozen=True, kw_only=True):
    """What buying on `on` comes to. to pay = price - deposit credited + whatever else is open - money that is free by then.

    `spared_minor` is what is owed less of rents and fees to come; `deposit_back_minor` goes back besides.
    """

    on: date
    price_minor: int
    deposit_credited_minor: int
    to_pay_minor: int
    spared_minor: int
    deposit_back_minor: int


def buyout_quote(terms: ContractTerms, events: Iterable[Event], on: date) -> BuyoutQuote:
    """What buying the goods on a day comes to, from everything known. Raises `EventRefused` where the terms do not let them be bought.

    480 for 12 months at 40, bought with the sixth rent by price less paid, deposit 100: 480 - 240 - 100 = 140 are to be paid.
    """
    told = list(events)
    account = account_of(terms, told, on)
    seq = max([event.seq for event in told], default=0) + 1
    learnt = max([event.recorded_at for event in told], default=0)
    event = BoughtOut(
        seq=seq, occurred_on=on, recorded_at=learnt, price_minor=0, consent="quote", settlement="quote"
    )
    figures = buyout_schedule(account, event).lease
    assert figures is not None, "the schedule of a lease"
    event = msgspec.structs.replace(event, price_minor=figures.buyout_minor)
    before, after = replay(terms, told, on), replay(terms, [*told, event], on)
    assert before.lease is not None
    assert after.lease is not None
    credited = after.lease.deposit_applied_minor - before.lease.deposit_applied_minor
    return BuyoutQuote(
        on=on,
        price_minor=event.price_minor,
        deposit_credited_minor=credited,
        to_pay_minor=after.balance_minor,
        spared_minor=_rents(before) - _rents(after),
        deposit_back_minor=after.lease.deposit_held_minor,
    )


def _rents(state: ContractState) -> int:
    """The rents with their fees, paid or not."""
    return sum(row.total_minor for row in state.rows if row.kind == "rent")
