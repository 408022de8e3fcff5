"""Refunds: what is given back of interest when goods go back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from fenqi.contracts.contract import account_of
from fenqi.contracts.events import (
    Confirmed,
    Disbursed,
    Event,
    GoodwillGranted,
    PaymentReceived,
    PaymentReversed,
)
from fenqi.contracts.terms import ContractTerms

__all__ = ["interest_refund_minor"]

_REFUNDS: Final = ("merchant_refund", "payout_refund")


def interest_refund_minor(terms: ContractTerms, events: Iterable[Event], payment_id: str) -> int:
    """The interest that would not have accrued by a refund's day, had what it refunds been paid back as it was lent.

    What earlier refunds saved is left out. 0 where interest does not run daily.
    """
    told = sorted(events, key=lambda event: (event.occurred_on, event.recorded_at, event.seq))
    undone = {event.payment_id for event in told if isinstance(event, PaymentReversed)}
    this = next(e for e in told if isinstance(e, PaymentReceived) and e.payment_id == payment_id)
    if terms.interest is None or not terms.interest.daily:
        return 0
    refunded = sum(
        event.amount_minor
        for event in told
        if isinstance(event, PaymentReceived)
        and event.purpose in _REFUNDS
        and event.payment_id not in undone
        and event.seq < this.seq
    )
    before = _interest_without(terms, told, this, refunded)
    return max(before - _interest_without(terms, told, this, refunded + this.amount_minor), 0)


def _interest_without(terms: ContractTerms, told: list[Event], refund: PaymentReceived, refunded: int) -> int:
    """The interest until a refund's day, with so much paid back on the days on which it was lent."""
    retold: list[Event] = []

    def tell(event: Event) -> None:
        retold.append(msgspec.structs.replace(event, seq=len(retold) + 1, recorded_at=0))

    for event in told:
        if event.occurred_on > refund.occurred_on or _is_refund(event):
            continue
        tell(event)
        lent = 0
        if isinstance(event, Confirmed):
            lent = sum(row.principal_minor for row in terms.rows)
        elif isinstance(event, Disbursed):
            lent = event.amount_minor
        if lent and refunded:
            back = min(lent, refunded)
            refunded -= back
            tell(
                PaymentReceived(
                    seq=0,
                    occurred_on=event.occurred_on,
                    recorded_at=0,
                    payment_id=f"refund as of {event.seq}",
                    amount_minor=back,
                    settlement="",
                )
            )
    account = account_of(terms, retold, refund.occurred_on)
    account.come_to(refund.occurred_on)
    return 0 if account.accrual is None else account.accrual.interest_until(refund.occurred_on)


def _is_refund(event: Event) -> bool:
    if isinstance(event, PaymentReceived):
        return event.purpose in _REFUNDS
    return isinstance(event, GoodwillGranted) and event.purpose == "interest_refund"
