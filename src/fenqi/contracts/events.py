"""What happened to a contract, as dated facts.

An event has two dates: the day on which it happened (in the shop's zone), and the instant at which we learnt of it.
They arrive in any order; `seq` only tells two apart that have the same dates. An event is never changed or removed: what
turned out wrong is undone by a further event.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from fenqi.contracts.allocation import Purpose
from fenqi.problems import BadInput

__all__ = [
    "Charged",
    "Confirmed",
    "Disbursed",
    "DueMoved",
    "DueReached",
    "Event",
    "EventRefused",
    "GoodwillGranted",
    "PaidBack",
    "PaymentReceived",
    "PaymentReversed",
    "UnappliedRefunded",
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


class Confirmed(_Dated, frozen=True, kw_only=True, tag="confirmed", gc=False):
    """The customer agreed, and what was sold is owed from here on."""


class DueReached(_Dated, frozen=True, kw_only=True, tag="due_reached", gc=False):
    """The due date of a row came: its fee is earned, whether or not anything was paid."""

    row: int


class DueMoved(_Dated, frozen=True, kw_only=True, tag="due_moved", gc=False):
    """A row's due date is put off to `to`, for nothing: paying was not possible when it was due.

    `announcement` is the notice that said so, `basis` how it is told apart from another move of the same row.
    """

    row: int
    to: date
    basis: str
    announcement: str


class PaymentReceived(_Dated, frozen=True, kw_only=True, tag="payment_received", gc=False):
    """Money arrived. `settlement` is the batch in which whoever collected it will hand it over.

    `purpose` says what it is for where it is no repayment: a down payment, or what a seller sends for goods that went back.
    `operator` is who took it at a till.
    """

    payment_id: str
    amount_minor: int
    settlement: str
    channel: str = "bank"
    purpose: Purpose = "repayment"
    operator: str = ""


class PaymentReversed(_Dated, frozen=True, kw_only=True, tag="payment_reversed", gc=False):
    """A payment was taken back whole (charged back, bounced). `settlement` is the batch that it is taken from."""

    payment_id: str
    settlement: str
    reason: Literal["charged_back", "bounced", "booked_in_error"]


class Disbursed(_Dated, frozen=True, kw_only=True, tag="disbursed", gc=False):
    """More was lent under the contract: what is open is spread anew. Its own down payment is due on the day."""

    amount_minor: int
    down_payment_minor: int = 0


class GoodwillGranted(_Dated, frozen=True, kw_only=True, tag="goodwill", gc=False):
    """We take on ourselves a part of what is owed: it pays as money would, and is none."""

    payment_id: str
    amount_minor: int
    purpose: Purpose = "goodwill"
    reason: str = ""


class Charged(_Dated, frozen=True, kw_only=True, tag="charged", gc=False):
    """A fee or a penalty beside the agreed rows: due on `due_on`, with the row in whose time that lies.

    `code` is a cost that the disclosure named as one that may arise.
    """

    charge_id: str
    part: Literal["fee", "penalty"]
    amount_minor: int
    due_on: date
    code: str


class PaidBack(_Dated, frozen=True, kw_only=True, tag="paid_back", gc=False):
    """Money that had paid rows goes back to the customer: what was paid last, and in advance, is owed again first."""

    payment_id: str
    amount_minor: int
    settlement: str


class UnappliedRefunded(_Dated, frozen=True, kw_only=True, tag="unapplied_refunded", gc=False):
    """Money that nothing was owed for went back to the customer. `settlement` is the batch that it left with."""

    amount_minor: int
    settlement: str
    refund_id: str = ""


Event = (
    Confirmed
    | DueReached
    | DueMoved
    | PaymentReceived
    | PaymentReversed
    | Disbursed
    | GoodwillGranted
    | Charged
    | PaidBack
    | UnappliedRefunded
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
