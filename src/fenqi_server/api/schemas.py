"""What goes over the wire, as types: they are the check of a request and the text of the OpenAPI document."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

from fenqi.checkout.alternatives import Alternative
from fenqi.checkout.request import Line
from fenqi.policy.verdict import Failing
from fenqi.terms.cost import Cost
from fenqi.terms.disclosure import Disclosure
from fenqi.terms.schedule import Schedule
from fenqi.texts import Text

Ref = Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="The shop's own name for it")]
Short = Annotated[str, msgspec.Meta(max_length=100)]
Amount = Annotated[int, msgspec.Meta(gt=0, le=10**15, description="Minor units: ¥12.34 is 1234")]
FactIn = bool | int | str | Annotated[list[Short], msgspec.Meta(max_length=100)]
FactsIn = Annotated[dict[Short, FactIn], msgspec.Meta(max_length=64)]


class _In(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a request: a field that is not documented is refused."""


class Customer(_In):
    """The shop's customer, by the shop's own name for them. No person's name, phone or number belongs here."""

    ref: Ref


class EvaluationIn(_In):
    """One cart: how can it be paid? Without `customer` the visitor is not signed in.

    `facts` are what the shop knows and Fenqi does not: `customer.age`, `customer.student`, `card.bank` ...
    """

    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=200)]
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    channel: Literal["web", "app", "store", "mini_program"] = "web"
    customer: Customer | None = None
    facts: FactsIn = {}
    last_used_family: Short | None = None
    coupon: Short | None = None
    ship_to: Short | None = None


class ConsentIn(_In):
    """The customer agreed that the order goes to this funder."""

    recipient: Ref
    purpose: Literal["apply", "prequal"] = "apply"
    version: Short


class ConfirmationIn(_In):
    """Take one offer. `lines` and `facts`, where given, are the cart and the shop's facts as they are now."""

    quote: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    order_ref: Ref
    customer: Customer | None = None
    acknowledged_disclosure: Short | None = None
    consents: Annotated[list[ConsentIn], msgspec.Meta(max_length=10)] = []
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=200)] | None = None
    facts: FactsIn | None = None
    return_url: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class PaymentIn(_In):
    """Money for a contract: `received` has arrived and is always booked; `request` asks whether it may be taken."""

    amount_minor: Amount
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    kind: Literal["request", "received"]
    payment_ref: Ref


class SessionIn(_In):
    """What a browser may ask about, for fifteen minutes: this customer, this cart, from this origin."""

    origin: Annotated[str, msgspec.Meta(max_length=200)]
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=200)]
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    channel: Literal["web", "app", "store", "mini_program"] = "web"
    customer: Customer | None = None
    facts: FactsIn = {}
    last_used_family: Short | None = None
    coupon: Short | None = None
    ship_to: Short | None = None


class EndpointIn(_In):
    """Where events go: an https address, and which events."""

    url: Annotated[str, msgspec.Meta(max_length=1000)]
    events: Annotated[list[str], msgspec.Meta(min_length=1, max_length=20)]


class QuoteOut(msgspec.Struct, frozen=True):
    """A signed offer: send `token` back to confirm it."""

    token: str
    expires_at: datetime


class Message(msgspec.Struct, frozen=True):
    """A reason in words for the customer: what, why, and what to do."""

    title: Text
    detail: Text
    fix: Text


class UntilOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """When it ends by itself: at an exact `instant`; at a time `unknown`; or `none`: time does not change it."""

    kind: Literal["instant", "unknown", "none"]
    at: datetime | None = None


class ReasonOut(msgspec.Struct, frozen=True):
    """One reason, as its customer may see it. `params` has amounts in minor units and instants in epoch seconds."""

    code: str
    layer: str
    rule: str
    until: UntilOut
    change: str
    message: Message
    since: datetime | None = None
    params: dict[str, int | str] = {}
    clauses: tuple[Failing, ...] = ()
    notice: str = "none_yet"
    unknown: bool = False
    pending: bool = False


class OptionOut(msgspec.Struct, frozen=True):
    """One way to pay. It is an offer when it has a `quote`; otherwise `reasons` say why not, all of them."""

    plan: str
    family: str
    funder: str
    legal_form: str
    periods: int
    group: Literal["instalment", "payment"]
    rank: int
    collapsed: bool
    last_used: bool
    state: Literal["available", "unavailable", "pending", "funder_decides"]
    until: UntilOut
    reasons: list[ReasonOut]
    asks: tuple[str, ...]
    deadline: datetime | None
    placement_reason: Text | None
    schedule: Schedule | None
    cost: Cost | None
    disclosure: Disclosure | None
    disclosure_digest: str | None
    quote: QuoteOut | None
    alternatives: tuple[Alternative, ...]


class GroupOut(msgspec.Struct, frozen=True):
    """A headed group of the page, with its families in order. Loans and payment tools are never one list."""

    id: Literal["instalment", "payment"]
    families: tuple[str, ...]


class FamilyOut(msgspec.Struct, frozen=True):
    """A way to pay, whatever its term."""

    id: str
    name: Text
    funder: str
    funder_name: Text
    legal_form: str


class EvaluationOut(msgspec.Struct, frozen=True):
    """The whole answer. `options` are in the order of the page; nothing is preselected."""

    evaluation_id: str
    policy: str
    as_of: datetime
    valid_until: datetime
    amount_minor: int
    currency: str
    start_on: date
    groups: tuple[GroupOut, ...]
    options: list[OptionOut]
    families: dict[str, FamilyOut]


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


class ConfirmationOut(msgspec.Struct, frozen=True):
    """Either a contract of the shop's own, or a hand-off: send the customer to `hand_off.url`."""

    result: Literal["contract", "hand_off"]
    evaluation_id: str
    contract_id: str | None = None
    hand_off: HandOffOut | None = None


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
