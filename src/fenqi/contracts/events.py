"""What happened to a contract, as dated facts.

An event has two dates: the day on which it happened (in the shop's zone), and the instant at which we learnt of it.
They arrive in any order; `seq` only tells two apart that have the same dates. An event is never changed or removed: what
turned out wrong is undone by a further event.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from fenqi.contracts.allocation import Part, Purpose
from fenqi.problems import BadInput

__all__ = [
    "Accelerated",
    "AllocatedByInstruction",
    "BoughtOut",
    "Cancelled",
    "Captured",
    "Charged",
    "Confirmed",
    "DepositApplied",
    "DepositHeld",
    "DepositReleased",
    "Disbursed",
    "DueDayChanged",
    "DueMoved",
    "DueReached",
    "Event",
    "EventRefused",
    "GoodsReturned",
    "GoodwillGranted",
    "HandedOver",
    "Inspected",
    "Instruction",
    "LeaseReturned",
    "PaidBack",
    "Paused",
    "PaymentFailed",
    "PaymentReceived",
    "PaymentReversed",
    "PayoffQuoted",
    "PledgeReleased",
    "Pledged",
    "ReAged",
    "ReAmortised",
    "Recovered",
    "RefundPaid",
    "Renewed",
    "Shipped",
    "UnappliedRefunded",
    "Waived",
    "WrittenOff",
    "decode_event",
    "encode_event",
]


class EventRefused(BadInput):
    """An event that cannot follow the ones before it."""


class _Dated(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", gc=False):
    """`occurred_on` in the shop's zone; `recorded_at` in epoch seconds."""

    seq: int
    occurred_on: date
    recorded_at: int

    @property
    def reference(self) -> str:
        """What makes it this event and not another of its kind in the same contract."""
        return ""


# ---------------------------------------------------------------------------------------------- agreeing and delivering


class Confirmed(_Dated, frozen=True, kw_only=True, tag="confirmed", gc=False):
    """The customer agreed, and what was sold is owed from here on."""


class Cancelled(_Dated, frozen=True, kw_only=True, tag="cancelled", gc=False):
    """The sale was called off before anything was shipped: nothing is owed, and what was paid goes back.

    What goodwill had paid is `taken_back`, and was `refunded` as money is by events of before that was said.
    """

    reason: str = ""
    goodwill: Literal["refunded", "taken_back"] = "refunded"


class Shipped(_Dated, frozen=True, kw_only=True, tag="shipped", gc=False):
    """Goods, or a part of them, went out. From here on a sale is not cancelled: goods are returned."""

    shipment_id: str = ""

    @property
    def reference(self) -> str:
        return self.shipment_id


class Disbursed(_Dated, frozen=True, kw_only=True, tag="disbursed", gc=False):
    """More was lent under the contract: what is open is spread anew. Its own down payment is due on the day."""

    amount_minor: int
    down_payment_minor: int = 0
    disbursement_id: str = ""

    @property
    def reference(self) -> str:
        return self.disbursement_id or str(self.seq)


class GoodsReturned(_Dated, frozen=True, kw_only=True, tag="goods_returned", gc=False):
    """Goods went back, at the price they were bought for. What they settle is agreed (`fenqi.terms.agreed.ReturnTerms`).

    What was paid of them goes back as far as it was money; what goodwill had paid is `taken_back` (`refunded` as in `Cancelled`).
    """

    return_id: str
    amount_minor: int
    for_other_sellers_minor: int = 0
    goodwill: Literal["refunded", "taken_back"] = "refunded"

    @property
    def reference(self) -> str:
        return self.return_id


class RefundPaid(_Dated, frozen=True, kw_only=True, tag="refund_paid", gc=False):
    """What the customer had to get back was paid. `settlement` is the batch that it left with."""

    refund_id: str
    amount_minor: int
    settlement: str

    @property
    def reference(self) -> str:
        return self.refund_id


# ---------------------------------------------------------------------------------------------- rows falling due


class DueReached(_Dated, frozen=True, kw_only=True, tag="due_reached", gc=False):
    """The due date of a row came: its fee is earned, whether or not anything was paid."""

    row: int

    @property
    def reference(self) -> str:
        return str(self.row)


class DueMoved(_Dated, frozen=True, kw_only=True, tag="due_moved", gc=False):
    """A row's due date is put off to `to`, for nothing: paying was not possible when it was due.

    `announcement` is the notice that said so, `basis` how it is told apart from another move of the same row.
    """

    row: int
    to: date
    basis: str
    announcement: str

    @property
    def reference(self) -> str:
        return f"{self.row}:{self.announcement}:{self.to}"


class DueDayChanged(_Dated, frozen=True, kw_only=True, tag="due_day_changed", gc=False):
    """The customer's day of the month, from row `from_row` on (31: the month's last day)."""

    day: int
    from_row: int

    @property
    def reference(self) -> str:
        return str(self.seq)


# ---------------------------------------------------------------------------------------------- money


class PaymentReceived(_Dated, frozen=True, kw_only=True, tag="payment_received", gc=False):
    """Money arrived. `settlement` is the batch in which whoever collected it will hand it over.

    `purpose` says what it is for where it is no repayment: a down payment, or what a seller sends for goods that went back.
    `operator` is who took it at a till. `settles` names the quote by which it pays everything off; past its date, or too
    little, it is an ordinary payment.
    """

    payment_id: str
    amount_minor: int
    settlement: str
    channel: str = "bank"
    purpose: Purpose = "repayment"
    operator: str = ""
    settles: str = ""

    @property
    def reference(self) -> str:
        return self.payment_id


class PaymentReversed(_Dated, frozen=True, kw_only=True, tag="payment_reversed", gc=False):
    """A payment was taken back whole (charged back, bounced). `settlement` is the batch that it is taken from."""

    payment_id: str
    settlement: str
    reason: Literal["charged_back", "bounced", "booked_in_error"]

    @property
    def reference(self) -> str:
        return self.payment_id


class PaymentFailed(_Dated, frozen=True, kw_only=True, tag="payment_failed", gc=False):
    """An attempt to collect came to nothing: nothing is owed or paid by it, and it is remembered."""

    attempt_id: str
    amount_minor: int
    reason: str

    @property
    def reference(self) -> str:
        return self.attempt_id


class Instruction(msgspec.Struct, frozen=True):
    """So much of a payment is for one part of a row."""

    row: int
    part: Part
    amount_minor: int


class AllocatedByInstruction(_Dated, frozen=True, kw_only=True, tag="allocated_by_instruction", gc=False):
    """The customer said what a payment is for: that much of it goes there, and the rest by the usual order."""

    payment_id: str
    parts: tuple[Instruction, ...]

    @property
    def reference(self) -> str:
        return f"{self.payment_id}:{self.seq}"


class PaidBack(_Dated, frozen=True, kw_only=True, tag="paid_back", gc=False):
    """Money that had paid rows goes back to the customer: what was paid last, and in advance, is owed again first."""

    payment_id: str
    amount_minor: int
    settlement: str

    @property
    def reference(self) -> str:
        return self.payment_id


class UnappliedRefunded(_Dated, frozen=True, kw_only=True, tag="unapplied_refunded", gc=False):
    """Money that nothing was owed for went back to the customer, or to what it was really for (`matched_to`).

    `settlement` is the batch that it left with. What goodwill has left by then is `taken_back`, and was `refunded` as money is by
    events of before that was said.
    """

    amount_minor: int
    settlement: str
    refund_id: str = ""
    matched_to: str = ""
    goodwill: Literal["refunded", "taken_back"] = "refunded"

    @property
    def reference(self) -> str:
        return self.refund_id


class PayoffQuoted(_Dated, frozen=True, kw_only=True, tag="payoff_quoted", gc=False):
    """What settles everything until `valid_until` was told to the customer: see `fenqi.contracts.payoff.payoff_quote`."""

    quote_id: str
    amount_minor: int
    valid_until: date
    charge_minor: int = 0

    @property
    def reference(self) -> str:
        return self.quote_id


# ---------------------------------------------------------------------------------------------- charges and what is let go


class Charged(_Dated, frozen=True, kw_only=True, tag="charged", gc=False):
    """A fee or a penalty beside the agreed rows: due on `due_on`, with the row in whose time that lies.

    `code` is a cost that the disclosure named as one that may arise.
    """

    charge_id: str
    part: Literal["fee", "penalty"]
    amount_minor: int
    due_on: date
    code: str

    @property
    def reference(self) -> str:
        return self.charge_id


class Waived(_Dated, frozen=True, kw_only=True, tag="waived", gc=False):
    """A part of what is owed besides the price is not asked for: of one row, or of the oldest that owe it (`row` None)."""

    waiver_id: str
    part: Literal["fee", "penalty", "interest", "rent"]
    amount_minor: int
    row: int | None = None
    reason: str = ""

    @property
    def reference(self) -> str:
        return self.waiver_id


class GoodwillGranted(_Dated, frozen=True, kw_only=True, tag="goodwill", gc=False):
    """We take on ourselves a part of what is owed: it pays as money would, and is none.

    What of it finds nothing to pay, now or since something else had paid, is spared or went back, `lapses`; it was `held` as money is by
    events of before that was said.
    """

    payment_id: str
    amount_minor: int
    purpose: Purpose = "goodwill"
    reason: str = ""
    unused: Literal["held", "lapses"] = "held"

    @property
    def reference(self) -> str:
        return self.payment_id


# ---------------------------------------------------------------------------------------------- hardship and losses


class Paused(_Dated, frozen=True, kw_only=True, tag="paused", gc=False):
    """Hardship: what falls due after the day is due so many periods later. Meanwhile nothing is charged for being late.

    With `interest` stopped, none runs for that long either.
    """

    periods: int
    interest: Literal["stops", "runs"] = "runs"
    reason: str = ""

    @property
    def reference(self) -> str:
        return str(self.seq)


class ReAged(_Dated, frozen=True, kw_only=True, tag="re_aged", gc=False):
    """Everything that is owed is spread over `periods` new rows, the first due on `first_due_on`."""

    periods: int
    first_due_on: date

    @property
    def reference(self) -> str:
        return str(self.seq)


class ReAmortised(_Dated, frozen=True, kw_only=True, tag="re_amortised", gc=False):
    """What is past due is spread over the rows that are not due yet."""

    @property
    def reference(self) -> str:
        return str(self.seq)


class Accelerated(_Dated, frozen=True, kw_only=True, tag="accelerated", gc=False):
    """Everything is called due at once, since it was demanded on `demanded_on` and not paid in time."""

    demanded_on: date
    basis: str = ""

    @property
    def reference(self) -> str:
        return str(self.seq)


class WrittenOff(_Dated, frozen=True, kw_only=True, tag="written_off", gc=False):
    """What is owed is given up in the book. The claim stays: what still comes is recovered."""

    reason: str = ""


class Recovered(_Dated, frozen=True, kw_only=True, tag="recovered", gc=False):
    """Something came of a claim that was written off; `cost_minor` of it stayed with whoever collected it."""

    payment_id: str
    amount_minor: int
    settlement: str
    cost_minor: int = 0

    @property
    def reference(self) -> str:
        return self.payment_id


# ---------------------------------------------------------------------------------------------- leases


class HandedOver(_Dated, frozen=True, kw_only=True, tag="handed_over", gc=False):
    """The goods of a lease went out. In our books they cost `cost_minor`, and will stand at `residual_minor` after its term."""

    cost_minor: int = 0
    residual_minor: int = 0


class DepositHeld(_Dated, frozen=True, kw_only=True, tag="deposit_held", gc=False):
    """A deposit was frozen on the customer's own account (`authorisation`): no money of ours. One in cash is held by being paid."""

    authorisation: str
    amount_minor: int

    @property
    def reference(self) -> str:
        return self.authorisation


class DepositApplied(_Dated, frozen=True, kw_only=True, tag="deposit_applied", gc=False):
    """So much of a deposit pays rents that are due, where that was agreed (`fenqi.terms.rent.Deposit.covers_rent`).

    Of one that is frozen as much is taken, with `settlement` the batch that it comes with.
    """

    application_id: str
    amount_minor: int
    settlement: str = ""

    @property
    def reference(self) -> str:
        return self.application_id


class DepositReleased(_Dated, frozen=True, kw_only=True, tag="deposit_released", gc=False):
    """What is left of a deposit goes back: one in cash is to be refunded, one that is frozen is free again."""

    @property
    def reference(self) -> str:
        return str(self.seq)


class LeaseReturned(_Dated, frozen=True, kw_only=True, tag="lease_returned", gc=False):
    """The goods of a lease came back: it ends, and no rent of a later time is owed."""

    settlement: str = ""


class Inspected(_Dated, frozen=True, kw_only=True, tag="inspected", gc=False):
    """Goods that came back were looked at. `deduction_minor` is kept of the deposit, for a `reason` and on `evidence`.

    What is not held of it, since the deposit was charged back, is `owed`; by events of before that was said it is `let_go`.
    """

    finding: str
    deduction_minor: int = 0
    reason: str = ""
    evidence: str = ""
    settlement: str = ""
    not_held: Literal["let_go", "owed"] = "let_go"


class BoughtOut(_Dated, frozen=True, kw_only=True, tag="bought_out", gc=False):
    """The customer bought the goods of a lease, for `price_minor` by its formula. `consent` is their own act, by reference.

    Nothing else makes a lease a sale.
    """

    price_minor: int
    consent: str
    settlement: str = ""


class Renewed(_Dated, frozen=True, kw_only=True, tag="renewed", gc=False):
    """The customer agreed, for this time (`consent`, by reference), to rent on for `periods` more."""

    periods: int
    consent: str

    @property
    def reference(self) -> str:
        return self.consent


# ---------------------------------------------------------------------------------------------- pledges


class Pledged(_Dated, frozen=True, kw_only=True, tag="pledged", gc=False):
    """The whole price was authorised on the customer's account, until `until` (None: until captured or released)."""

    authorisation: str
    amount_minor: int
    until: date | None = None

    @property
    def reference(self) -> str:
        return self.authorisation


class Captured(_Dated, frozen=True, kw_only=True, tag="captured", gc=False):
    """The campaign succeeded: what was pledged is sold, and paid by the authorisation, as the payment `payment_id`."""

    payment_id: str
    settlement: str

    @property
    def reference(self) -> str:
        return self.payment_id


class PledgeReleased(_Dated, frozen=True, kw_only=True, tag="pledge_released", gc=False):
    """The campaign failed, or was given up: the authorisation is void, and nothing was ever owed."""

    reason: str = ""


Event = (
    Confirmed
    | DueReached
    | DueMoved
    | PaymentReceived
    | PaymentReversed
    | Accelerated
    | AllocatedByInstruction
    | BoughtOut
    | Cancelled
    | Captured
    | Charged
    | DepositApplied
    | DepositHeld
    | DepositReleased
    | Disbursed
    | DueDayChanged
    | GoodsReturned
    | GoodwillGranted
    | HandedOver
    | Inspected
    | LeaseReturned
    | PaidBack
    | Paused
    | PaymentFailed
    | PayoffQuoted
    | PledgeReleased
    | Pledged
    | ReAged
    | ReAmortised
    | Recovered
    | RefundPaid
    | Renewed
    | Shipped
    | UnappliedRefunded
    | Waived
    | WrittenOff
)


def encode_event(event: Event) -> bytes:
    """An event as JSON, to be kept.

    >>> encode_event(DueReached(seq=2, occurred_on=date(2026, 12, 23), recorded_at=1, row=1))
    b'{"kind":"due_reached","seq":2,"occurred_on":"2026-12-23","recorded_at":1,"row":1}'
    """
    return msgspec.json.encode(event)


def decode_event(data: bytes | str) -> Event:
    """The event that was kept. Raises `msgspec.ValidationError` where it is none.

    >>> decode_event('{"kind":"confirmed","seq":1,"occurred_on":"2026-11-23","recorded_at":1}').seq
    1
    """
    return _decoder.decode(data)


_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
