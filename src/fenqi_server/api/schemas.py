"""What goes over the wire, as types: they are the check of a request and the text of the OpenAPI document."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

from fenqi.checkout.document import AlternativeDocument, ReasonDocument, UntilDocument, WayOn
from fenqi.checkout.request import Line
from fenqi.contracts.contract import ContractStatus, RowStatus
from fenqi.contracts.lease import LeaseState
from fenqi.contracts.pledge import PledgeState
from fenqi.policy.verdict import State
from fenqi.terms.disclosure import Disclosure
from fenqi.terms.schedule import RowKind
from fenqi_server.servicing.listing import Listed
from fenqi_server.servicing.unapplied import Unmatched

Ref = Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="The shop's own name for it")]
Short = Annotated[str, msgspec.Meta(max_length=100)]
Amount = Annotated[int, msgspec.Meta(gt=0, le=10**15, description="Minor units: ¥12.34 is 1234")]
FactIn = bool | int | str | Annotated[list[Short], msgspec.Meta(max_length=100)]
AgesIn = Annotated[
    dict[Short, datetime],
    msgspec.Meta(max_length=64, description="When facts were found out, where that was not just now"),
]
FactsIn = Annotated[dict[Short, FactIn], msgspec.Meta(max_length=64)]


class _In(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a request: a field that is not documented is refused."""


class Customer(_In, frozen=True, kw_only=True):
    """The shop's customer, by the shop's own name for them. No person's name, phone or number belongs here."""

    ref: Ref


class EvaluationIn(_In, frozen=True, kw_only=True):
    """One cart: how can it be paid? Without `customer` the visitor is not signed in.

    `facts` are what the shop knows and Fenqi does not: `customer.age`, `customer.student`, `card.bank` ...
    """

    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=200)]
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    channel: Literal["web", "app", "store", "mini_program"] = "web"
    customer: Customer | None = None
    facts: FactsIn = {}
    as_of: AgesIn = {}
    last_used_family: Short | None = None
    coupon: Short | None = None
    ship_to: Short | None = None


class ConsentIn(_In, frozen=True, kw_only=True):
    """The customer agreed that the order goes to this funder."""

    recipient: Ref
    purpose: Literal["apply", "prequal"] = "apply"
    version: Short


class ReadingIn(_In, frozen=True, kw_only=True):
    """The table of costs of this offer is on the customer's screen now."""

    quote: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    customer: Customer | None = None


class ConfirmationIn(_In, frozen=True, kw_only=True):
    """Take one offer. `lines` and `facts`, where given, are the cart and the shop's facts as they are now.

    Whatever is owed after the start needs `acknowledged_disclosure`, the digest of the offer's table of costs, and `reading`,
    the note that `POST /v1/readings` gave when that table was shown, not before its reading time has passed.
    """

    quote: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    order_ref: Ref
    customer: Customer | None = None
    acknowledged_disclosure: Short | None = None
    reading: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None
    consents: Annotated[list[ConsentIn], msgspec.Meta(max_length=10)] = []
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=200)] | None = None
    facts: FactsIn | None = None
    return_url: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class CashIn(_In, frozen=True, kw_only=True):
    """Cash over the counter: into which till, and who took it. The receipt's number is the `payment_ref`."""

    till: Ref
    operator: Ref


class PaymentIn(_In, frozen=True, kw_only=True):
    """Money for a contract: `received` has arrived and is always booked; `request` asks whether it may be taken.

    `occurred_on` is the day it arrived, today if left out. `cash` is set for what was paid at a till. `settles` names the payoff quote
    by which it pays everything off.
    """

    amount_minor: Amount
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    kind: Literal["request", "received"]
    payment_ref: Ref
    channel: Literal["bank", "wallet"] = "bank"
    occurred_on: date | None = None
    cash: CashIn | None = None
    settles: Annotated[str, msgspec.Meta(max_length=100)] = ""


class MatchIn(_In, frozen=True, kw_only=True):
    """The contract that the money was for."""

    contract_id: Annotated[str, msgspec.Meta(max_length=100)]


class SessionIn(_In, frozen=True, kw_only=True):
    """What a browser may ask about, for fifteen minutes: this customer, this cart, from this origin."""

    origin: Annotated[str, msgspec.Meta(max_length=200)]
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=200)]
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    channel: Literal["web", "app", "store", "mini_program"] = "web"
    customer: Customer | None = None
    facts: FactsIn = {}
    as_of: AgesIn = {}
    last_used_family: Short | None = None
    coupon: Short | None = None
    ship_to: Short | None = None


class EndpointIn(_In, frozen=True, kw_only=True):
    """Where events go: an https address, and which events."""

    url: Annotated[str, msgspec.Meta(max_length=1000)]
    events: Annotated[list[str], msgspec.Meta(min_length=1, max_length=100)]


class ChangedOut(msgspec.Struct, frozen=True):
    """What became of a quoted offer: its state then and now, what stands in its way, and what else there is."""

    plan: str
    was: State
    now: State
    reasons: tuple[ReasonDocument, ...]
    until: UntilDocument
    alternatives: tuple[AlternativeDocument, ...]
    ways_on: tuple[WayOn, ...]


class ReadingOut(msgspec.Struct, frozen=True):
    """A reading that has begun: `reading` goes into the confirmation, which is taken from `confirm_from` on.

    `pages` are the table's permanent addresses by language: nobody's name is in them, and whoever has one may read it.
    """

    reading: str
    disclosure: str
    shown_at: datetime
    reading_seconds: int
    confirm_from: datetime
    pages: dict[str, str]


class AcknowledgementOut(msgspec.Struct, frozen=True):
    """The table of costs that was agreed to: when it was shown, for how long it was read, how long it had to be."""

    disclosure: str
    shown_at: datetime
    read_seconds: int
    asked_seconds: int
    confirmed_at: datetime


class DisclosureOut(msgspec.Struct, frozen=True):
    """A table of costs by its name: every field in both languages, and as `LoanCostDisclosureInfo` has them, by language."""

    digest: str
    disclosure: Disclosure
    loan_cost: dict[str, dict[str, str | bool]]
    pages: dict[str, str]


class HandOffOut(msgspec.Struct, frozen=True):
    """A confirmed offer of another funder. `unknown`: it did not answer, and is not known until it is asked."""

    id: str
    state: Literal["started", "approved", "declined", "unknown"]
    funder: str
    plan: str
    amount_minor: int
    currency: str
    order_ref: str
    url: str
    started_at: datetime
    answered_at: datetime | None
    acknowledgement: AcknowledgementOut | None = None


class ConfirmationOut(msgspec.Struct, frozen=True):
    """Either a contract of the shop's own, or a hand-off: send the customer to `hand_off.url`."""

    result: Literal["contract", "hand_off"]
    evaluation_id: str
    contract_id: str | None = None
    hand_off: HandOffOut | None = None


class RowOut(msgspec.Struct, frozen=True):
    """One instalment, and what has been paid of it."""

    number: int
    kind: RowKind
    due_on: date
    principal_minor: int
    fee_minor: int
    total_minor: int
    paid_minor: int
    outstanding_minor: int
    status: RowStatus
    moved_from: date | None = None
    """The date agreed, where an outage put it off to `due_on`, free of charge."""
    interest_minor: int = 0
    penalty_minor: int = 0
    rent_minor: int = 0
    deposit_minor: int = 0


class AppliedOut(msgspec.Struct, frozen=True):
    """What a payment paid of one row."""

    row: int
    fee_minor: int
    principal_minor: int
    interest_minor: int = 0
    penalty_minor: int = 0
    rent_minor: int = 0
    deposit_minor: int = 0


class PaymentLineOut(msgspec.Struct, frozen=True):
    """Money that arrived for a contract, and what it paid: `amount_minor` is the parts and `unapplied_minor`, unless it was
    taken back. `money` is false for what the shop granted instead; what of that found nothing to pay is `lapsed_minor`."""

    payment_ref: str
    occurred_on: date
    amount_minor: int
    unapplied_minor: int
    reversed_on: date | None
    parts: tuple[AppliedOut, ...] = ()
    recorded_at: datetime | None = None
    channel: str = ""
    money: bool = True
    operator: str = ""
    lapsed_minor: int = 0


class ContractOut(msgspec.Struct, frozen=True):
    """A contract on a day. `next_*` is the oldest row not paid; `unapplied_minor` is money beyond what was owed.

    `refund_due_minor` is what is to be paid out to the customer; what was written off is a claim still, of which `recovered_minor` came.
    `statement_url` and `calendar_url` are private addresses of its papers, for its customer: given where one contract is asked
    for, and never kept. `lease` and `pledge` say where those stand.
    """

    contract_id: str
    order_ref: str
    plan: str
    as_of: date
    status: ContractStatus
    currency: str
    created_at: datetime
    policy: str
    disclosure_digest: str
    balance_minor: int
    principal_outstanding_minor: int
    fee_outstanding_minor: int
    paid_minor: int
    unapplied_minor: int
    overdue_minor: int
    days_past_due: int
    next_due_on: date | None
    next_due_minor: int
    rows: tuple[RowOut, ...]
    payments: tuple[PaymentLineOut, ...]
    acknowledgement: AcknowledgementOut | None = None
    interest_outstanding_minor: int = 0
    penalty_outstanding_minor: int = 0
    known_at: datetime | None = None
    statement_url: str = ""
    calendar_url: str = ""
    refund_due_minor: int = 0
    returned_minor: int = 0
    written_off_minor: int = 0
    recovered_minor: int = 0
    shipped_on: date | None = None
    cancelled_on: date | None = None
    closed_on: date | None = None
    accelerated_on: date | None = None
    written_off_on: date | None = None
    paused_until: date | None = None
    rent_outstanding_minor: int = 0
    deposit_outstanding_minor: int = 0
    lease: LeaseState | None = None
    pledge: PledgeState | None = None


class ContractsOut(msgspec.Struct, frozen=True):
    """Contracts, newest first. `after` asks for the next page, and is null at the end."""

    as_of: date
    contracts: tuple[Listed, ...]
    after: str | None


class PaymentOut(msgspec.Struct, frozen=True):
    """What became of money. `contract` is null where it is not known whose it is: it is kept as unapplied cash."""

    payment_ref: str
    amount_minor: int
    applied_minor: int
    unapplied_minor: int
    currency: str
    parts: tuple[AppliedOut, ...]
    contract: ContractOut | None


class UnappliedOut(msgspec.Struct, frozen=True):
    """Money that named no contract and was not matched yet, newest first. `after` asks for the next page."""

    money: tuple[Unmatched, ...]
    after: str | None


class SessionOut(msgspec.Struct, frozen=True):
    """A client token for the browser. It opens only this customer and cart, and only from this origin."""

    client_token: str
    expires_at: datetime


class EndpointOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint. `secret` is in the answer that creates it and never again."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime
    secret: str | None = None


class EndpointsOut(msgspec.Struct, frozen=True):
    """The shop's endpoints."""

    endpoints: list[EndpointOut]
