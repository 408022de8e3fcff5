"""Pledges: authorised, captured on success, or released with nothing owed. There is no credit before success."""

from __future__ import annotations

from fenqi.contracts.account import Account, Credit, refused
from fenqi.contracts.allocation import PRINCIPAL
from fenqi.contracts.events import Captured, Event, EventRefused, Pledged, PledgeReleased
from fenqi.contracts.pledge import Pledging

__all__ = ["capture", "pledge", "release"]


def _pledge_of(account: Account, event: Event) -> Pledging:
    """The pledge that is confirmed and still open."""
    held = account.pledge
    if held is None:
        raise refused(event, "no pledge", "a contract of a pledge", "check the contract")
    if account.confirmed_on is None:
        raise refused(event, "not confirmed", "a contract that is confirmed", "confirm it first")
    if held.released_on is not None:
        raise refused(
            event,
            f"released on {held.released_on}",
            "a pledge that was not released: its authorisation is void",
            "make a contract of its own, and have it authorised",
        )
    if held.captured_on is not None:
        raise refused(
            event,
            f"captured on {held.captured_on}",
            "a pledge that was not captured",
            "take the goods back, or reverse the payment",
        )
    return held


def pledge(account: Account, event: Pledged) -> None:
    """The whole price is authorised. Nothing is booked: it is the customer's money."""
    held = _pledge_of(account, event)
    price = sum(row.principal_minor for row in account.terms.rows)
    if event.amount_minor != price:
        raise EventRefused("amount_minor", event.amount_minor, f"{price}, the whole price")
    if not event.authorisation:
        raise EventRefused("authorisation", event.authorisation, "the authorisation's reference")
    if event.until is not None and event.until < event.occurred_on:
        raise EventRefused("until", event.until.isoformat(), f"{event.occurred_on} or later")
    stands = held.until is None or event.occurred_on <= held.until
    if held.authorisation and stands and event.seq == account.newest:
        raise refused(
            event,
            "authorised" if held.until is None else f"authorised until {held.until}",
            "an authorisation that has lapsed before another follows it",
            "capture it, or release the pledge",
        )
    held.authorisation, held.until = event.authorisation, event.until


def capture(account: Account, event: Captured) -> None:
    """The sale is made and paid, both by this."""
    held = _pledge_of(account, event)
    on = event.occurred_on
    if not held.authorisation:
        raise refused(event, "nothing authorised", "a price that is authorised", "have it authorised first")
    if held.until is not None and on > held.until:
        raise refused(
            event,
            f"authorised until {held.until}",
            f"an authorisation that stands on {on}",
            "have it authorised anew",
        )
    success_on = account.due_on(0)
    if on < success_on:
        raise refused(
            event,
            f"a campaign until {success_on}",
            f"a day from {success_on} on, as was disclosed",
            "capture it then",
        )
    if event.payment_id in account.credits:
        raise EventRefused("payment_id", event.payment_id, "a payment that is not booked yet")
    held.captured_on = on
    terms = account.terms
    others = terms.for_other_sellers_minor
    for row, agreed in enumerate(terms.rows):
        account.owe(row, PRINCIPAL, agreed.principal_minor)
    price = sum(row.principal_minor for row in terms.rows)
    account.move(event.seq, "sold", price - others)
    account.move(event.seq, "sold_for_others", others)
    account.take(Credit(event.payment_id, event.seq, on, price, "repayment", True))
    account.apply_held(event.seq)


def release(account: Account, event: PledgeReleased) -> None:
    """The authorisation is void, and nothing was ever owed."""
    held = _pledge_of(account, event)
    held.released_on = event.occurred_on
