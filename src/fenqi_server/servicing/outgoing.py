"""What leaves the shop or falls to a customer because staff say so: refunds, payments taken back, charges.

Up to `FENQI_CONCESSION_LIMIT_MINOR` a contract and day one person does it. Above it the same thing is a request, which waits for somebody else
(`requests.ask`); whoever agrees does it then, with the number that it was asked with. What was done meanwhile is not done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime
from typing import Final, Literal, TypeVar

import msgspec
from django.db import transaction

from fenqi.calendars import local_date
from fenqi.contracts.events import Charged, PaidBack, PaymentReversed, RefundPaid, UnappliedRefunded
from fenqi.texts import Text
from fenqi_server.policies import audit
from fenqi_server.servicing import acts, returns, service, storage, unapplied
from fenqi_server.servicing.acts import Acted
from fenqi_server.servicing.service import Refusal
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = [
    "ChargeAsked",
    "HeldRefundAsked",
    "OfContract",
    "Outgoing",
    "PayBackAsked",
    "RefundAsked",
    "ReversalAsked",
    "UnmatchedRefundAsked",
    "amount_of",
    "done_meanwhile",
    "done_on",
    "foreseen",
    "kind_of",
    "perform",
    "reverse",
]

Channel = Literal["bank", "wallet", "cash"]
T = TypeVar("T")


class _SentOut(msgspec.Struct, frozen=True, kw_only=True):
    """Money that is to go out. `reference` is the number of the transfer."""

    reference: str
    amount_minor: int
    reason: str
    channel: Channel = "bank"
    settlement: str = ""


class RefundAsked(_SentOut, frozen=True, kw_only=True, tag="refund"):
    """What the customer has to get back is to be paid out."""


class HeldRefundAsked(_SentOut, frozen=True, kw_only=True, tag="held_refund"):
    """What a contract holds and nothing is owed for is to go back."""


class PayBackAsked(_SentOut, frozen=True, kw_only=True, tag="pay_back"):
    """Money that had paid instalments is to go back: they are owed again."""


class UnmatchedRefundAsked(_SentOut, frozen=True, kw_only=True, tag="unmatched_refund"):
    """Money that named no contract is to go back, whole."""

    unapplied_id: str


class ReversalAsked(msgspec.Struct, frozen=True, kw_only=True, tag="reversal"):
    """A payment is to be taken back whole: what it paid is owed again. `reference` is the payment's number."""

    reference: str
    amount_minor: int
    reason: str
    why: Literal["charged_back", "bounced", "booked_in_error"] = "booked_in_error"


class ChargeAsked(msgspec.Struct, frozen=True, kw_only=True, tag="charge"):
    """A fee or a penalty that the table of costs names is to be charged."""

    reference: str
    amount_minor: int
    reason: str
    part: Literal["fee", "penalty"]
    code: str
    due_on: date | None = None


OfContract = RefundAsked | HeldRefundAsked | PayBackAsked | ReversalAsked | ChargeAsked
Outgoing = OfContract | UnmatchedRefundAsked
_SENT_OUT: Final = ("refund", "held_refund", "pay_back")


def kind_of(
    asked: Outgoing,
) -> Literal["refund", "held_refund", "unmatched_refund", "pay_back", "reversal", "charge"]:
    """The kind of request that it is."""
    return asked.__struct_config__.tag  # type: ignore[return-value]


def perform(
    shop: Shop, contract: str, asked: OfContract, at: datetime, *, actor: str, on: date | None = None
) -> Acted:
    """Do it. `on` is the day on which a refund was paid, today if left out.

    Raises `NoContract`, `Refusal`, `BadInput`, and `EventRefused` of a payment that the contract does not have.
    """
    by = {"actor": actor, "reason": asked.reason}
    match asked:
        case RefundAsked(reference=number, amount_minor=minor, channel=channel, settlement=batch):
            return returns.refund_paid(
                shop, contract, number, minor, at, settlement=batch or None, channel=channel, on=on, **by
            )
        case HeldRefundAsked(reference=number, amount_minor=minor, channel=channel, settlement=batch):
            return unapplied.refund_held(
                shop, contract, number, minor, at, settlement=batch or None, channel=channel, **by
            )
        case PayBackAsked(reference=number, amount_minor=minor, channel=channel, settlement=batch):
            return acts.pay_back(
                shop, contract, number, minor, at, settlement=batch or None, channel=channel, **by
            )
        case ReversalAsked(reference=number, why=why):
            return reverse(shop, contract, number, why, at, **by)
        case ChargeAsked(reference=number, amount_minor=minor, part=part, code=code, due_on=due_on):
            return acts.charge(shop, contract, number, part, minor, code, at, due_on=due_on, **by)


def reverse(
    shop: Shop,
    contract: str,
    payment_ref: str,
    why: Literal["charged_back", "bounced", "booked_in_error"],
    at: datetime,
    *,
    actor: str,
    reason: str,
) -> Acted:
    """As `service.reverse`, told as an act and kept in the audit log. Raises `NoContract`, `EventRefused`."""
    today = local_date(at, shop.time_zone)
    stored = acts.hold(shop, contract)
    before = stored.latest(today)
    known = len(stored.events)
    view = service.reverse(shop, contract, payment_ref, why, at)
    event = next(
        each for each in view.events if isinstance(each, PaymentReversed) and each.payment_id == payment_ref
    )
    repeated = len(view.events) == known
    if not repeated:
        audit.record(
            shop,
            actor,
            "contract.payment_reversed",
            f"contract:{stored.public_id}",
            at,
            reason=reason,
            after={"event": {"kind": "payment_reversed", "payment_id": payment_ref, "reason": why}},
        )
    return Acted(event=event, before=before, after=view.state, view=view, repeated=repeated)


def amount_of(shop: Shop, contract: str, payment_ref: str) -> int:
    """How much a payment was; 0 where the contract has none of this number, which cannot be taken back."""
    return _amount(acts.seen(shop, contract), payment_ref)


def _amount(contract: Stored, number: str) -> int:
    return storage.amount_of(contract, number) or storage.paid_back(contract, number) or 0


def done_on(contract: Stored, kind: str, day: date, besides: Collection[int]) -> int:
    """What was booked on a day that counts with another act of a kind (sent out; taken back; charged by hand), but for the events `besides`."""
    total = 0
    for event in contract.events:
        if event.seq in besides or local_date(event.recorded_at, contract.terms.zone) != day:
            continue
        match event:
            case RefundPaid(amount_minor=minor) | PaidBack(amount_minor=minor) if kind in _SENT_OUT:
                total += minor
            case UnappliedRefunded(amount_minor=minor, matched_to="") if kind in _SENT_OUT:
                total += minor
            case PaymentReversed(payment_id=number) if kind == "reversal":
                total += _amount(contract, number)
            case Charged(amount_minor=minor, charge_id=name) if kind == "charge":
                # What the day close charges nobody decided.
                total += 0 if name.startswith(acts.LATE_CHARGE) else minor
            case _:
                pass
    return total


def foreseen(act: Callable[[], T]) -> T:
    """Do an act and take it back: what stands in its way is said when it is asked for, not when somebody agrees."""
    with transaction.atomic():
        done = act()
        transaction.set_rollback(True)
    return done


def done_meanwhile(currency: str) -> Refusal:
    """The answer to agreeing to what was done while it waited."""
    return Refusal(
        "done_meanwhile",
        Text("已另行办理", "It was done meanwhile"),
        Text(
            "等待审批期间已另行办理。请拒绝这项申请。",
            "It was done while the request waited. Decline the request.",
        ),
        currency=currency,
        state=Text("已另行办理", "it is done already"),
        rule=Text("同一编号只办理一次", "a number is done once"),
        way_out=Text("拒绝这项申请", "decline the request"),
    )
