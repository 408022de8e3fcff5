"""Paying off early: a quote that binds us until its day, and what it saves.

The figure is the core's (`fenqi.contracts.payoff`). A quote for today stands for as long as the figure stays the same, at most
`MAX_DAYS`; where interest runs by the day that is today. A quote for a later day is what settles the contract on that day. Paying by
it is a payment with `settles` (`fenqi_server.servicing.service.pay`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from fenqi.calendars import local_date
from fenqi.contracts.contract import ContractState
from fenqi.contracts.events import Event, EventRefused, PaymentReceived, PaymentReversed, PayoffQuoted
from fenqi.contracts.payoff import PayoffQuote
from fenqi.contracts.payoff import payoff_quote as figures
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.db import in_transaction
from fenqi_server.ids import public_id, uuid7
from fenqi_server.servicing import acts, service
from fenqi_server.servicing.refusals import refusal_of
from fenqi_server.servicing.service import Refusal
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = [
    "MAX_DAYS",
    "NoQuote",
    "Payoff",
    "dearer_from",
    "payoff_quote",
    "preview_payoff",
    "quote_of",
    "quotes_of",
]

MAX_DAYS: Final = 7
"""How long a quote for today stands at most."""
MAX_AHEAD: Final = 62
"""How far ahead a quote can be for."""

QuoteState = Literal["open", "settled", "expired", "outdated"]


class NoQuote(LookupError):
    """The contract has no such quote."""


class Payoff(msgspec.Struct, frozen=True, kw_only=True):
    """What settles a contract until `valid_until`: `amount_minor` is the sum of the parts, `charge_minor` among them.

    `held_minor` is money that the contract holds already and nothing is owed for; `to_pay_minor` is what is to be paid beside it.
    `saving_minor` is how much less the amount is than paying every row on its day; negative where a charge is dearer than what it
    spares. `quote_id` is empty for what was only asked about. `state`: `outdated` where something happened since.
    """

    quote_id: str
    contract_id: str
    quoted_on: date
    valid_until: date
    amount_minor: int
    principal_minor: int
    fee_minor: int
    interest_minor: int
    penalty_minor: int
    charge_minor: int
    saving_minor: int
    held_minor: int
    to_pay_minor: int
    currency: str
    state: QuoteState = "open"


def preview_payoff(shop: Shop, contract: str, at: datetime, *, on: date | None = None) -> Payoff:
    """What would settle the contract. Nothing is written, and nothing is promised. Raises `NoContract`, `Refusal`."""
    today = local_date(at, shop.time_zone)
    stored = acts.seen(shop, contract)
    found, until = _reckon(stored, stored.latest(today), today, _day(on, today))
    return _payoff(stored, "", today, until, found, stored.latest(today).unapplied_minor)


def payoff_quote(shop: Shop, contract: str, at: datetime, *, on: date | None = None) -> Payoff:
    """Quote what settles the contract on `on` (today), and keep the quote. Raises `NoContract`, `Refusal`, `BadInput`.

    Asked again while an equal quote stands and nothing has happened since, it is that one.
    """
    today = local_date(at, shop.time_zone)
    day = _day(on, today)

    def act() -> Payoff:
        stored = acts.hold(shop, contract)
        state = stored.latest(today)
        found, until = _reckon(stored, state, today, day)
        for event in reversed(stored.events):
            if isinstance(event, PayoffQuoted):
                known = _known(stored, event, today)
                if (known.state, known.amount_minor, known.valid_until) == (
                    "open",
                    found.amount_minor,
                    until,
                ):
                    return known
                break
        quote_id = public_id("pq", stored.customer_id, uuid7(at))

        def make(_: Stored, dates: dict[str, Any]) -> Event:
            return PayoffQuoted(
                **dates,
                quote_id=quote_id,
                amount_minor=found.amount_minor,
                valid_until=until,
                charge_minor=found.charge_minor,
            )

        acts.perform(shop, contract, at, make)
        return _payoff(stored, quote_id, today, until, found, state.unapplied_minor)

    return in_transaction(act)


def quote_of(shop: Shop, contract: str, quote_id: str, at: datetime) -> Payoff:
    """A quote as it was given, and whether it stands. Raises `NoContract`, `NoQuote`."""
    for each in quotes_of(shop, contract, at):
        if each.quote_id == quote_id:
            return each
    raise NoQuote(quote_id)


def quotes_of(shop: Shop, contract: str, at: datetime) -> list[Payoff]:
    """A contract's quotes, newest first. Raises `NoContract`."""
    today = local_date(at, shop.time_zone)
    stored = acts.seen(shop, contract)
    return [
        _known(stored, event, today) for event in reversed(stored.events) if isinstance(event, PayoffQuoted)
    ]


def dearer_from(found: Payoff, shop: Shop, at: datetime) -> tuple[date, int] | None:
    """The first day on which settling costs more than a figure that stands today, and how much more; None within `MAX_AHEAD` days."""
    today = local_date(at, shop.time_zone)
    stored = acts.seen(shop, found.contract_id)
    for days in range(1, MAX_AHEAD + 1):
        day = today + timedelta(days=days)
        try:
            more = figures(stored.terms, stored.events, day).amount_minor - found.amount_minor
        except EventRefused:
            return None
        if more > 0:
            return day, more
    return None


def _day(on: date | None, today: date) -> date:
    if on is None:
        return today
    if not today <= on <= today + timedelta(days=MAX_AHEAD):
        raise BadInput("on", on.isoformat(), f"{today} to {today + timedelta(days=MAX_AHEAD)}")
    return on


def _reckon(stored: Stored, state: ContractState, today: date, day: date) -> tuple[PayoffQuote, date]:
    """What settles a contract on a day, and until when that stands. Raises `Refusal` where nothing is owed."""
    if state.status != "active":
        closed = state.status == "closed"
        raise Refusal(
            "cannot_follow",
            Text("不能提前结清", "It cannot be paid off"),
            Text("合同已结清，没有需要结清的款项。", "The contract is closed: nothing is to be paid off.")
            if closed
            else Text(
                "合同尚未确认，没有需要结清的款项。",
                "The contract is not confirmed: nothing is to be paid off.",
            ),
            currency=stored.terms.currency,
            state=Text("合同已结清", "the contract is closed")
            if closed
            else Text("合同尚未确认", "the contract is not confirmed"),
            rule=Text("合同须有欠款", "something has to be owed"),
            way_out=Text("没有需要结清的款项", "nothing is to be paid off"),
        )
    try:
        found = figures(stored.terms, stored.events, day)
    except EventRefused as problem:
        raise refusal_of(problem, "payoff_quoted", stored.terms.currency) from None
    until = day
    if day == today:
        for days in range(1, MAX_DAYS + 1):
            later = day + timedelta(days=days)
            again = figures(stored.terms, stored.events, later)
            if (again.amount_minor, again.charge_minor) != (found.amount_minor, found.charge_minor):
                break
            until = later
    return found, until


def _known(stored: Stored, event: PayoffQuoted, today: date) -> Payoff:
    """A quote of before: its parts follow from what was known when it was given."""
    before = [each for each in stored.events if each.seq < event.seq]
    found = figures(stored.terms, before, event.valid_until)
    held = msgspec.structs.replace(stored, events=before).latest(event.occurred_on).unapplied_minor
    after = [each for each in stored.events if each.seq > event.seq]
    state: QuoteState = "open"
    if any(_settled(stored, each) for each in after if _is_by(each, event)):
        # A payment of before that bounced since left a debt that the quote did not know of.
        state = "outdated" if stored.latest(today).balance_minor else "settled"
    elif today > event.valid_until:
        state = "expired"
    elif service.unsettles(stored.events, event):
        state = "outdated"
    return _payoff(stored, event.quote_id, event.occurred_on, event.valid_until, found, held, state)


def _is_by(each: Event, quote: PayoffQuoted) -> bool:
    return isinstance(each, PaymentReceived) and each.settles == quote.quote_id


def _settled(stored: Stored, payment: Event) -> bool:
    """Whether a payment that was not taken back left nothing owed: by a quote that had run out it was an ordinary one."""
    assert isinstance(payment, PaymentReceived)
    if any(
        isinstance(each, PaymentReversed) and each.payment_id == payment.payment_id for each in stored.events
    ):
        return False
    known = [each for each in stored.events if each.seq <= payment.seq]
    return not msgspec.structs.replace(stored, events=known).latest(payment.occurred_on).balance_minor


def _payoff(
    stored: Stored,
    quote_id: str,
    quoted_on: date,
    until: date,
    found: PayoffQuote,
    held_minor: int,
    state: QuoteState = "open",
) -> Payoff:
    return Payoff(
        quote_id=quote_id,
        contract_id=stored.public_id,
        quoted_on=quoted_on,
        valid_until=until,
        amount_minor=found.amount_minor,
        principal_minor=found.principal_minor,
        fee_minor=found.fee_minor,
        interest_minor=found.interest_minor,
        penalty_minor=found.penalty_minor,
        charge_minor=found.charge_minor,
        saving_minor=found.saving_minor,
        held_minor=held_minor,
        to_pay_minor=max(found.amount_minor - held_minor, 0),
        currency=stored.terms.currency,
        state=state,
    )
