"""What may be asked of the shop, or by one of the staff of another; how it is done; and a request as it stands."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from fenqi_server.servicing.outgoing import (
    ChargeAsked,
    HeldRefundAsked,
    PayBackAsked,
    RefundAsked,
    ReversalAsked,
    UnmatchedRefundAsked,
)
from fenqi_server.shops.models import ALONE_WAITS

__all__ = [
    "CUSTOMER",
    "GIVEN_AWAY",
    "Act",
    "Asked",
    "Concession",
    "HardshipAsked",
    "HardshipReason",
    "Help",
    "Kind",
    "Pause",
    "ReAge",
    "ReAmortise",
    "Request",
    "RequestPage",
    "ReturnAsked",
    "ReturnLine",
    "ReturnReason",
    "State",
    "Taken",
]

CUSTOMER: Final = "customer"
"""Who asked, where it was the customer."""

Kind = Literal[
    "return",
    "hardship",
    "goodwill",
    "waiver",
    "write_off",
    "refund",
    "held_refund",
    "unmatched_refund",
    "reversal",
    "charge",
    "pay_back",
]
GIVEN_AWAY: Final = ("goodwill", "waiver", "write_off")
State = Literal["open", "approved", "declined", "withdrawn"]
ReturnReason = Literal["unwanted", "defective", "wrong_item", "late", "other"]
HardshipReason = Literal["income", "illness", "family", "disaster", "other"]


# ------------------------------------------------------------------------------------------------ what is asked


class ReturnLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the order that is to go back, at the price it was bought for."""

    sku: str
    title: str
    quantity: int
    amount_minor: int
    other_seller: bool = False


class ReturnAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="return"):
    """Goods are to go back. Without `lines`, goods of `amount_minor` in all."""

    amount_minor: int
    lines: tuple[ReturnLine, ...] = ()
    for_other_sellers_minor: int = 0
    reason: ReturnReason = "other"


class HardshipAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hardship"):
    """Paying is hard: why, in one of a few words, and for how many months help is wished for."""

    reason: HardshipReason
    months: int


class Concession(msgspec.Struct, frozen=True, kw_only=True, tag="concession"):
    """What staff want to give away: goodwill or a waiver of an amount, or everything that is owed (written off).

    `reference` is the asker's own number for it: the same again is the same concession.
    """

    reference: str
    kind: Literal["goodwill", "waiver", "write_off"]
    reason: str
    amount_minor: int = 0
    part: Literal["fee", "penalty", "interest", "rent"] | None = None
    row: int | None = None


Asked = (
    ReturnAsked
    | HardshipAsked
    | Concession
    | RefundAsked
    | HeldRefundAsked
    | UnmatchedRefundAsked
    | ReversalAsked
    | ChargeAsked
    | PayBackAsked
)


# ------------------------------------------------------------------------------------------------ what is done


class Pause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="pause"):
    """What falls due later is due so many periods later still."""

    periods: int
    interest: Literal["stops", "runs"] = "runs"


class ReAge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="re_age"):
    """Everything that is owed is spread over new rows."""

    periods: int
    first_due_on: date


class ReAmortise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="re_amortise"):
    """What is late is spread over the rows to come."""


class Taken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="taken"):
    """The goods that came back: all that was asked for, or of another price (None: as asked), on a day (None: today)."""

    amount_minor: int | None = None
    for_other_sellers_minor: int | None = None
    on: date | None = None


Help = Pause | ReAge | ReAmortise
Act = Pause | ReAge | ReAmortise | Taken


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request and what became of it. `done` is what approving it did, by the contract's event `event_seq`.

    `contract_id` is empty where it is about money of no contract (`unapplied_id`). `alone`: the shop was run by one person then.
    `taken_by` is who of the staff wrote it down for a customer who called.
    """

    request_id: str
    contract_id: str
    customer_id: UUID
    kind: Kind
    asked: Asked
    said: str
    at_stake_minor: int
    limit_minor: int
    asked_by: str
    asked_at: datetime
    state: State = "open"
    done: Act | None = None
    event_seq: int | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    note: str = ""
    alone: bool = False
    taken_by: str = ""

    @property
    def unapplied_id(self) -> str:
        return self.asked.unapplied_id if isinstance(self.asked, UnmatchedRefundAsked) else ""

    @property
    def by_customer(self) -> bool:
        return self.asked_by == CUSTOMER

    @property
    def before_minor(self) -> int:
        """What of the stake one person decided before."""
        asked = self.asked
        own = 0 if isinstance(asked, HardshipAsked | ReturnAsked) else asked.amount_minor
        return self.at_stake_minor - own if own else 0

    @property
    def needs_second(self) -> bool:
        """Whether whoever asked may not agree."""
        return self.at_stake_minor > self.limit_minor

    @property
    def waits_until(self) -> datetime | None:
        """From when on whoever asked may agree themselves; None where only somebody else may."""
        return self.asked_at + ALONE_WAITS if self.alone and self.needs_second else None

    def may_agree(self, actor: str, at: datetime) -> bool:
        """Whether this person may agree to it now."""
        if not self.needs_second or actor.lower() != self.asked_by.lower():
            return True
        return self.waits_until is not None and at >= self.waits_until


class RequestPage(msgspec.Struct, frozen=True):
    """Requests, newest first. `after` is where the next page begins; None at the end."""

    requests: tuple[Request, ...]
    after: str | None
