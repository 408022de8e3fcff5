"""What staff do to a contract, as data: who may, what is asked for, what is done, and how it is undone.

`ACTS` is everything there is. The doing itself is the services' (`acts`, `returns`, `requests`, `service`); a preview is the same
doing, taken back (`tried`), so that what is shown beforehand is what will happen, its refusals with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, Literal, TypeVar

import msgspec
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop, pgettext

from fenqi.calendars import add_months, local_date
from fenqi.contracts.contract import ContractState
from fenqi.contracts.delinquency import acceleration
from fenqi.contracts.events import EventRefused, PaymentReceived
from fenqi.contracts.payoff import payoff_quote
from fenqi.money import MoneyError, decimal_text, parse_money
from fenqi_server.console.access import Staff
from fenqi_server.db import in_transaction
from fenqi_server.ids import uuid7
from fenqi_server.policies import audit
from fenqi_server.servicing import acts, leases, outgoing, payoffs, requests, returns, service
from fenqi_server.servicing.outgoing import (
    ChargeAsked,
    HeldRefundAsked,
    OfContract,
    RefundAsked,
    ReversalAsked,
)
from fenqi_server.servicing.refusals import refusal_of
from fenqi_server.servicing.service import ContractView
from fenqi_server.servicing.words import part_name, reversal_name
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = [
    "ACTS",
    "MAX_REASON",
    "ActGroup",
    "ActLink",
    "Doing",
    "Field",
    "StaffAct",
    "WrongField",
    "channels",
    "first_day",
    "groups_for",
    "interest_choices",
    "read",
    "tried",
]

MAX_REASON: Final = acts.MAX_REASON
MONEY_ROLES: Final = ("supervisor", "finance")
DESK_ROLES: Final = ("support", "supervisor", "finance")

Kind = Literal["money", "text", "date", "whole", "choice"]
T = TypeVar("T")


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a form asks for. `value` stands in it at first."""

    name: str
    label: str
    kind: Kind
    hint: str = ""
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    required: bool = True
    hidden: bool = False


class WrongField(ValueError):
    """A field that cannot be read; `said` says how to write it."""

    def __init__(self, name: str, said: str) -> None:
        super().__init__(said)
        self.name = name
        self.said = said


class Doing(msgspec.Struct, frozen=True, kw_only=True):
    """An act to be done: by whom, when, with what. `given` are the fields as they were read."""

    shop: Shop
    contract: str
    given: dict[str, Any]
    at: datetime
    actor: str
    reason: str


class StaffAct(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `fits` says of which contracts it is offered; `done` returns the request where somebody else has to agree.

    `preview` is `do` where it is left out. `guard` says what the law or the contract asks for first. `stake` is the amount, by the
    contract and what was given, above which somebody else has to agree; None: one person does it whatever the amount.
    """

    name: str
    roles: tuple[str, ...]
    group: Literal["money", "help", "goods", "loss"]
    title: str
    about: str
    way_back: str
    fields: Callable[[ContractView, Voice, datetime], tuple[Field, ...]]
    fits: Callable[[ContractState], bool]
    do: Callable[[Doing], requests.Request | None]
    preview: Callable[[Doing], object] | None = None
    guard: Callable[[ContractView, Voice], str] | None = None
    stake: Callable[[ContractView, dict[str, Any]], int] | None = None


def tried(act: Callable[[], T], then: Callable[[], Any] = lambda: None) -> tuple[T, Any]:
    """Do an act and look (`then`), and take it all back: nothing of it is kept, and nobody hears of it."""
    return outgoing.foreseen(lambda: (act(), then()))


def read(fields: tuple[Field, ...], sent: Mapping[str, str], currency: str) -> dict[str, Any]:
    """The fields of a form. Raises `WrongField` of the first that cannot be read."""
    given: dict[str, Any] = {}
    for field in fields:
        text = sent.get(field.name, "").strip()
        if not text:
            if field.required:
                raise WrongField(field.name, gettext("Fill in “%(field)s”.") % {"field": field.label})
            given[field.name] = None
            continue
        given[field.name] = _read(field, text, currency)
    return given


def _read(field: Field, text: str, currency: str) -> Any:
    if field.kind == "money":
        try:
            return parse_money(text, currency, place=field.name)
        except MoneyError:
            raise WrongField(field.name, gettext("Write an amount such as 500.00.")) from None
    if field.kind == "date":
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise WrongField(field.name, gettext("Write a day like 2026-12-31.")) from None
    if field.kind == "whole":
        if not text.isdecimal() or len(text) > 4:
            raise WrongField(field.name, gettext("Write a whole number, such as 3."))
        return int(text)
    if field.kind == "choice" and text not in {value for value, _ in field.choices}:
        raise WrongField(field.name, gettext("Choose one of those shown."))
    if len(text) > service.MAX_REFERENCE:
        raise WrongField(field.name, gettext("At most %(n)s characters.") % {"n": service.MAX_REFERENCE})
    return text


# ----------------------------------------------------------------------------------------------------------- money


def _amount(minor: int, found: ContractView, hint: str = "") -> Field:
    shown = decimal_text(minor, found.terms.currency) if minor else ""
    return Field(name="amount", label=gettext("Amount"), kind="money", hint=hint, value=shown)


def _happened(at: datetime, found: ContractView) -> Field:
    return Field(
        name="on",
        label=gettext("When it happened"),
        kind="date",
        value=local_date(at, found.terms.zone).isoformat(),
    )


def _key(at: datetime) -> Field:
    """A number of our own, made with the form: sent twice, it is done once."""
    return Field(name="key", label="", kind="text", value=uuid7(at).hex, hidden=True)


def _recorded(doing: Doing, kind: str, after: dict[str, Any]) -> None:
    audit.record(
        doing.shop,
        doing.actor,
        f"contract.{kind}",
        f"contract:{doing.contract}",
        doing.at,
        reason=doing.reason,
        after=after,
    )


def _take_cash(doing: Doing) -> None:
    given, shop = doing.given, doing.shop
    today = local_date(doing.at, shop.time_zone)

    def act() -> None:
        paid = service.pay(
            shop,
            doing.contract,
            given["amount"],
            "request",
            given["receipt"],
            doing.at,
            channel="cash",
            # What lies in one till at the end of a day is counted and taken to the bank together.
            settlement=f"cash:{given['till']}:{today}",
            operator=doing.actor,
            settles=given["settles"] or "",
        )
        if not paid.repeated:
            event = {
                "kind": "payment_received",
                "payment_id": paid.payment_id,
                "amount_minor": paid.amount_minor,
            }
            _recorded(doing, "payment_received", {"event": {**event, "till": given["till"]}})

    in_transaction(act)


def _quotes(found: ContractView, voice: Voice, at: datetime) -> tuple[tuple[str, str], ...]:
    """What a payment is for: what is owed in its order, or everything, by a quote that still stands."""
    today = local_date(at, found.terms.zone)
    standing = tuple(
        (
            quote.quote_id,
            gettext("everything, as quoted: %(amount)s until %(day)s")
            % {"amount": voice.money(quote.amount_minor), "day": voice.day(quote.valid_until)},
        )
        for quote in reversed(found.state.quotes)
        if quote.valid_until >= today
    )
    return (("", gettext("what is owed, the oldest first")), *standing)


def _quote_payoff(doing: Doing) -> None:
    def act() -> None:
        known = len(service.get(doing.shop, doing.contract, at=doing.at).events)
        made = payoffs.payoff_quote(doing.shop, doing.contract, doing.at)
        if len(service.get(doing.shop, doing.contract, at=doing.at).events) > known:
            event = {"kind": "payoff_quoted", "quote_id": made.quote_id, "amount_minor": made.amount_minor}
            _recorded(doing, "payoff_quoted", {"event": event})

    in_transaction(act)


def _payoff_guard(found: ContractView, voice: Voice) -> str:
    quote = payoff_quote(found.terms, found.events, found.state.as_of)
    said = {"amount": voice.money(quote.amount_minor), "saving": voice.money(quote.saving_minor)}
    if quote.saving_minor > 0:
        return (
            gettext(
                "%(amount)s settles everything today, %(saving)s less than paying each instalment on its day."
            )
            % said
        )
    return gettext("%(amount)s settles everything today; nothing is saved by it.") % said


def _ask(doing: Doing, asked: OfContract) -> requests.Request | None:
    """Do it, or ask for it where somebody else has to agree."""
    try:
        done = requests.ask(
            doing.shop, doing.contract, asked, doing.at, actor=doing.actor, on=doing.given.get("on")
        )
    except EventRefused as problem:
        raise refusal_of(problem, "payment_reversed", doing.shop.currency) from None
    return done if isinstance(done, requests.Request) else None


def _see(doing: Doing, asked: OfContract) -> object:
    """Do it alone, which is only looked at."""
    on = doing.given.get("on")
    try:
        return outgoing.perform(doing.shop, doing.contract, asked, doing.at, actor=doing.actor, on=on)
    except EventRefused as problem:
        raise refusal_of(problem, "payment_reversed", doing.shop.currency) from None


def _the_amount(_found: ContractView, given: dict[str, Any]) -> int:
    amount: int = given["amount"]
    return amount


def _reversal(doing: Doing) -> ReversalAsked:
    given = doing.given
    minor = outgoing.amount_of(doing.shop, doing.contract, given["payment"])
    return ReversalAsked(
        reference=given["payment"], amount_minor=minor, reason=doing.reason, why=given["why"]
    )


def _the_payment(found: ContractView, given: dict[str, Any]) -> int:
    return next(
        (
            event.amount_minor
            for event in found.events
            if isinstance(event, PaymentReceived) and event.payment_id == given["payment"]
        ),
        0,
    )


def _standing_payments(found: ContractView, voice: Voice) -> tuple[tuple[str, str], ...]:
    money = {event.payment_id for event in found.events if isinstance(event, PaymentReceived)}
    return tuple(
        (
            each.payment_id,
            f"{voice.day(each.occurred_on)} · {voice.money(each.amount_minor)} · {each.payment_id}",
        )
        for each in reversed(found.state.payments)
        if each.payment_id in money and each.reversed_on is None
    )


def _refund(doing: Doing) -> RefundAsked:
    given = doing.given
    return RefundAsked(
        reference=given["reference"],
        amount_minor=given["amount"],
        reason=doing.reason,
        channel=given["channel"],
    )


def _held_refund(doing: Doing) -> HeldRefundAsked:
    given = doing.given
    return HeldRefundAsked(
        reference=given["reference"],
        amount_minor=given["amount"],
        reason=doing.reason,
        channel=given["channel"],
    )


def _recover(doing: Doing) -> None:
    given = doing.given
    acts.recover(
        doing.shop,
        doing.contract,
        given["reference"],
        given["amount"],
        doing.at,
        cost_minor=given["cost"] or 0,
        on=given["on"],
        actor=doing.actor,
        reason=doing.reason,
    )


def channels() -> tuple[tuple[str, str], ...]:
    """By what money goes back."""
    return (
        ("bank", pgettext("how money came", "bank")),
        ("wallet", pgettext("how money came", "wallet")),
    )


# -------------------------------------------------------------------------------------- what is charged and given away


def _charge(doing: Doing) -> ChargeAsked:
    given = doing.given
    part, _, code = given["what"].partition(":")
    return ChargeAsked(
        reference=f"staff:{given['key']}",
        amount_minor=given["amount"],
        reason=doing.reason,
        part=part,  # type: ignore[arg-type]
        code=code,
        due_on=given["due_on"],
    )


def _chargeable(found: ContractView, voice: Voice) -> tuple[tuple[str, str], ...]:
    """What the table of costs named as a cost that may arise; what it charges for being late is a penalty."""
    late = found.terms.late.code if found.terms.late else ""
    return tuple(
        (
            f"{'penalty' if cost.code == late else 'fee'}:{cost.code}",
            f"{part_name('penalty' if cost.code == late else 'fee')}: {cost.code}",
        )
        for cost in found.terms.plan.contingent
    )


def _goodwill(doing: Doing) -> requests.Request:
    asked = requests.Concession(
        reference=doing.given["key"], kind="goodwill", reason=doing.reason, amount_minor=doing.given["amount"]
    )
    return requests.concede(doing.shop, doing.contract, asked, doing.at, actor=doing.actor)


def _see_goodwill(doing: Doing) -> object:
    return acts.goodwill(
        doing.shop,
        doing.contract,
        doing.given["key"],
        doing.given["amount"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _waive(doing: Doing) -> requests.Request:
    asked = requests.Concession(
        reference=doing.given["key"],
        kind="waiver",
        reason=doing.reason,
        amount_minor=doing.given["amount"],
        part=doing.given["part"],
    )
    return requests.concede(doing.shop, doing.contract, asked, doing.at, actor=doing.actor)


def _see_waiver(doing: Doing) -> object:
    given = doing.given
    return acts.waive(
        doing.shop,
        doing.contract,
        given["key"],
        given["part"],
        given["amount"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _waivable(found: ContractView, voice: Voice) -> tuple[tuple[str, str], ...]:
    state = found.state
    owed = {
        "penalty": state.penalty_outstanding_minor,
        "fee": state.fee_outstanding_minor,
        "interest": state.interest_outstanding_minor,
        "rent": state.rent_outstanding_minor,
    }
    return tuple(
        (
            part,
            gettext("%(part)s, %(amount)s owed") % {"part": part_name(part), "amount": voice.money(minor)},
        )
        for part, minor in owed.items()
        if minor
    )


# ------------------------------------------------------------------------------------------------- hardship and dates


def _pause(doing: Doing) -> None:
    acts.pause(
        doing.shop,
        doing.contract,
        doing.given["periods"],
        doing.at,
        interest=doing.given["interest"],
        actor=doing.actor,
        reason=doing.reason,
    )


def _re_age(doing: Doing) -> None:
    acts.re_age(
        doing.shop,
        doing.contract,
        doing.given["periods"],
        doing.given["first_due_on"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _re_amortise(doing: Doing) -> None:
    acts.re_amortise(doing.shop, doing.contract, doing.at, actor=doing.actor, reason=doing.reason)


def _due_day(doing: Doing) -> None:
    acts.change_due_day(
        doing.shop,
        doing.contract,
        doing.given["day"],
        doing.at,
        from_row=doing.given["from_row"],
        actor=doing.actor,
        reason=doing.reason,
    )


def interest_choices() -> tuple[tuple[str, str], ...]:
    """Whether interest runs while a contract is paused."""
    return (
        ("runs", pgettext("interest during a pause", "it runs as agreed")),
        ("stops", pgettext("interest during a pause", "none runs")),
    )


def first_day(found: ContractView, at: datetime) -> str:
    """A month from now: where a new row may first be due."""
    return add_months(local_date(at, found.terms.zone), 1).isoformat()


# ------------------------------------------------------------------------------------------------------------ goods


def _ship(doing: Doing) -> None:
    acts.ship(
        doing.shop,
        doing.contract,
        doing.at,
        shipment_id=doing.given["reference"] or "",
        on=doing.given["on"],
        actor=doing.actor,
    )


def _cancel(doing: Doing) -> None:
    acts.cancel(doing.shop, doing.contract, doing.at, reason=doing.reason, actor=doing.actor)


def _return(doing: Doing) -> None:
    given = doing.given
    returns.confirm_return(
        doing.shop,
        doing.contract,
        given["reference"],
        given["amount"],
        doing.at,
        for_other_sellers_minor=given["others"] or 0,
        on=given["on"],
        actor=doing.actor,
        reason=doing.reason,
    )


# ------------------------------------------------------------------------------------------------- leases and pledges


def _hand_over(doing: Doing) -> None:
    given = doing.given
    leases.hand_over(
        doing.shop,
        doing.contract,
        doing.at,
        cost_minor=given["cost"] or 0,
        residual_minor=given["residual"] or 0,
        on=given["on"],
        actor=doing.actor,
    )


def _take_back(doing: Doing) -> None:
    leases.take_back(doing.shop, doing.contract, doing.at, on=doing.given["on"], actor=doing.actor)


def _inspect(doing: Doing) -> None:
    given = doing.given
    leases.inspect(
        doing.shop,
        doing.contract,
        given["finding"],
        doing.at,
        deduction_minor=given["deduction"] or 0,
        reason=doing.reason if given["deduction"] else "",
        evidence=given["evidence"] or "",
        actor=doing.actor,
    )


def _deposit_pays(doing: Doing) -> None:
    leases.apply_deposit(
        doing.shop,
        doing.contract,
        f"staff:{doing.given['key']}",
        doing.given["amount"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _release_deposit(doing: Doing) -> None:
    leases.release_deposit(doing.shop, doing.contract, doing.at, actor=doing.actor)


def _capture(doing: Doing) -> None:
    given = doing.given
    leases.capture(
        doing.shop, doing.contract, given["reference"], doing.at, on=given["on"], actor=doing.actor
    )


def _release_pledge(doing: Doing) -> None:
    leases.release_pledge(doing.shop, doing.contract, doing.at, reason=doing.reason, actor=doing.actor)


# ----------------------------------------------------------------------------------------------------------- losses


def _accelerate(doing: Doing) -> None:
    acts.accelerate(
        doing.shop,
        doing.contract,
        doing.given["demanded_on"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _acceleration_guard(found: ContractView, voice: Voice) -> str:
    """What calling everything due takes, and what of it is there."""
    needed = acceleration(found.terms, found.state)
    said = {
        "needed": voice.money(needed.threshold_minor),
        "there": voice.money(needed.arrears_minor),
        "missing": voice.money(max(0, needed.threshold_minor - needed.arrears_minor)),
        "days": found.terms.acceleration.days_after_demand,
        "basis": found.terms.acceleration.basis,
    }
    if needed.enough:
        return (
            gettext(
                "Arrears of %(needed)s are needed and %(there)s are there: enough. The customer has to have been told to pay them, and "
                "%(days)s days to have gone by (%(basis)s)."
            )
            % said
        )
    return (
        gettext(
            "Arrears of %(needed)s are needed and %(there)s are there: %(missing)s are missing, so it will be refused. After that the "
            "customer has to be told to pay them, and %(days)s days to go by (%(basis)s)."
        )
        % said
    )


def _write_off(doing: Doing) -> requests.Request:
    asked = requests.Concession(reference=doing.given["key"], kind="write_off", reason=doing.reason)
    return requests.concede(doing.shop, doing.contract, asked, doing.at, actor=doing.actor)


def _see_write_off(doing: Doing) -> object:
    return acts.write_off(doing.shop, doing.contract, doing.at, actor=doing.actor, reason=doing.reason)


# -------------------------------------------------------------------------------------------------------------- all


def _running(state: ContractState) -> bool:
    return state.status == "active" and state.written_off_on is None


def _sold(state: ContractState) -> bool:
    """A price is paid back: no lease, and no pledge that is not captured yet."""
    captured = state.pledge is None or state.pledge.stage == "captured"
    return _running(state) and state.lease is None and captured


def _late(state: ContractState) -> bool:
    return _sold(state) and state.overdue_minor > 0


def _rented_out(state: ContractState) -> bool:
    lease = state.lease
    return lease is not None and lease.handed_over_on is not None and lease.ended_on is None


def _awaits(what: str) -> Callable[[ContractState], bool]:
    return lambda state: state.lease is not None and state.lease.awaits == what


def _no_fields(_found: ContractView, _voice: Voice, _at: datetime) -> tuple[Field, ...]:
    return ()


_REVERSED: Final = gettext_noop(
    "A payment that was booked is taken back by “Take a payment back”; what it paid is owed again."
)

ACTS: Final[tuple[StaffAct, ...]] = (
    StaffAct(
        name="cash",
        roles=DESK_ROLES,
        group="money",
        title=gettext_noop("Take cash at the till"),
        about=gettext_noop(
            "Money over the counter, with the number of its receipt. More than is owed is refused."
        ),
        way_back=_REVERSED,
        fields=lambda found, voice, at: (
            _amount(found.state.next_due_minor, found),
            Field(
                name="till",
                label=gettext("Till"),
                kind="text",
                hint=gettext("As the shop calls it. What one till takes in a day is counted together."),
            ),
            Field(name="receipt", label=gettext("Receipt number"), kind="text"),
            Field(
                name="settles",
                label=gettext("What it pays"),
                kind="choice",
                required=False,
                choices=_quotes(found, voice, at),
            ),
        ),
        fits=_running,
        do=_take_cash,
    ),
    StaffAct(
        name="payoff",
        roles=DESK_ROLES,
        group="money",
        title=gettext_noop("Quote paying everything off"),
        about=gettext_noop(
            "What settles the contract, told to the customer and kept: it binds the shop until its day."
        ),
        way_back=gettext_noop("A quote changes nothing by itself; it runs out."),
        fields=_no_fields,
        fits=_sold,
        do=_quote_payoff,
        guard=_payoff_guard,
    ),
    StaffAct(
        name="reverse",
        roles=MONEY_ROLES,
        group="money",
        title=gettext_noop("Take a payment back"),
        about=gettext_noop(
            "A payment that was charged back, bounced or was booked in error. What it paid is owed again, and later payments pay anew."
        ),
        way_back=gettext_noop("It is not undone: book the payment again, under another number."),
        fields=lambda found, voice, at: (
            Field(
                name="payment",
                label=gettext("Payment"),
                kind="choice",
                choices=_standing_payments(found, voice),
            ),
            Field(
                name="why",
                label=gettext("What became of it"),
                kind="choice",
                choices=tuple(
                    (code, reversal_name(code)) for code in ("charged_back", "bounced", "booked_in_error")
                ),
            ),
        ),
        fits=lambda state: any(each.money and each.reversed_on is None for each in state.payments),
        do=lambda doing: _ask(doing, _reversal(doing)),
        preview=lambda doing: _see(doing, _reversal(doing)),
        stake=_the_payment,
    ),
    StaffAct(
        name="refund",
        roles=("finance",),
        group="money",
        title=gettext_noop("Pay a refund out"),
        about=gettext_noop(
            "What the customer has to get back for goods or a sale that was called off was paid to them."
        ),
        way_back=gettext_noop("It is not undone here: money that came back is a payment."),
        fields=lambda found, voice, at: (
            _amount(found.state.refund_due_minor, found),
            Field(name="channel", label=gettext("Paid out by"), kind="choice", choices=channels()),
            Field(name="reference", label=gettext("Number of the transfer"), kind="text"),
            _happened(at, found),
        ),
        fits=lambda state: state.refund_due_minor > 0,
        do=lambda doing: _ask(doing, _refund(doing)),
        preview=lambda doing: _see(doing, _refund(doing)),
        stake=_the_amount,
    ),
    StaffAct(
        name="give-back",
        roles=("finance",),
        group="money",
        title=gettext_noop("Send unapplied money back"),
        about=gettext_noop("What the contract holds and nothing is owed for was sent back to the customer."),
        way_back=gettext_noop("It is not undone here: money that came back is a payment."),
        fields=lambda found, voice, at: (
            _amount(found.state.unapplied_minor, found),
            Field(name="channel", label=gettext("Paid out by"), kind="choice", choices=channels()),
            Field(name="reference", label=gettext("Number of the transfer"), kind="text"),
        ),
        fits=lambda state: state.unapplied_minor > 0,
        do=lambda doing: _ask(doing, _held_refund(doing)),
        preview=lambda doing: _see(doing, _held_refund(doing)),
        stake=_the_amount,
    ),
    StaffAct(
        name="goodwill",
        roles=DESK_ROLES,
        group="help",
        title=gettext_noop("Grant goodwill"),
        about=gettext_noop(
            "The shop takes a part of what is owed on itself: it pays as money would, and is none."
        ),
        way_back=gettext_noop("It is not undone: what was granted was told to the customer."),
        fields=lambda found, voice, at: (_amount(0, found), _key(at)),
        fits=_running,
        do=_goodwill,
        preview=_see_goodwill,
        stake=_the_amount,
    ),
    StaffAct(
        name="waive",
        roles=DESK_ROLES,
        group="help",
        title=gettext_noop("Waive a fee, a penalty or interest"),
        about=gettext_noop("A part of what is owed besides the price is not asked for, the oldest first."),
        way_back=gettext_noop("It is not undone; a fee that is due after all is charged anew."),
        fields=lambda found, voice, at: (
            Field(name="part", label=gettext("What of"), kind="choice", choices=_waivable(found, voice)),
            _amount(0, found),
            _key(at),
        ),
        fits=lambda state: (
            _running(state)
            and bool(
                state.fee_outstanding_minor
                + state.penalty_outstanding_minor
                + state.interest_outstanding_minor
                + state.rent_outstanding_minor
            )
        ),
        do=_waive,
        preview=_see_waiver,
        stake=_the_amount,
    ),
    StaffAct(
        name="pause",
        roles=("supervisor",),
        group="help",
        title=gettext_noop("Pause"),
        about=gettext_noop(
            "Hardship: what falls due later is due so many instalments later still, and nothing is charged for being late meanwhile."
        ),
        way_back=gettext_noop("Customers may pay at any time during a pause; the dates stay moved."),
        fields=lambda found, voice, at: (
            Field(name="periods", label=gettext("For how many instalments"), kind="whole", value="1"),
            Field(
                name="interest",
                label=gettext("Interest meanwhile"),
                kind="choice",
                choices=interest_choices(),
            ),
        ),
        fits=_sold,
        do=_pause,
    ),
    StaffAct(
        name="re-age",
        roles=("supervisor",),
        group="help",
        title=gettext_noop("Spread everything over new instalments"),
        about=gettext_noop("Everything that is owed, late or not, is owed in so many new instalments."),
        way_back=gettext_noop("Spread it once more, over other instalments."),
        fields=lambda found, voice, at: (
            Field(name="periods", label=gettext("How many instalments"), kind="whole", value="6"),
            Field(
                name="first_due_on",
                label=gettext("The first is due on"),
                kind="date",
                value=first_day(found, at),
            ),
        ),
        fits=_sold,
        do=_re_age,
    ),
    StaffAct(
        name="re-amortise",
        roles=("supervisor",),
        group="help",
        title=gettext_noop("Spread what is late over later instalments"),
        about=gettext_noop("What is past due is owed with the instalments to come, in equal parts."),
        way_back=gettext_noop("Spread everything over new instalments."),
        fields=_no_fields,
        fits=_late,
        do=_re_amortise,
    ),
    StaffAct(
        name="due-day",
        roles=("support", "supervisor"),
        group="help",
        title=gettext_noop("Move the due day"),
        about=gettext_noop("From an instalment on, each is due on another day of its month."),
        way_back=gettext_noop("Move it back in the same way."),
        fields=lambda found, voice, at: (
            Field(
                name="day",
                label=gettext("Day of the month"),
                kind="whole",
                hint=gettext("31 is the last day of each month."),
            ),
            Field(
                name="from_row",
                label=gettext("From instalment"),
                kind="whole",
                required=False,
                hint=gettext("Left empty: the next one to come."),
            ),
        ),
        fits=_sold,
        do=_due_day,
    ),
    StaffAct(
        name="ship",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Goods were shipped"),
        about=gettext_noop("From here on the sale is not called off: goods are returned."),
        way_back=gettext_noop("It is not undone: goods that do not arrive are returned."),
        fields=lambda found, voice, at: (
            Field(name="reference", label=gettext("Number of the parcel"), kind="text", required=False),
            _happened(at, found),
        ),
        fits=lambda state: _sold(state) and state.shipped_on is None,
        do=_ship,
    ),
    StaffAct(
        name="return",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Goods came back"),
        about=gettext_noop(
            "At the price they were bought for. What of it is not paid yet comes off the instalments as the contract agreed; the rest is to be refunded."
        ),
        way_back=gettext_noop("It is not undone: goods that go out again are a new order."),
        fields=lambda found, voice, at: (
            _amount(0, found, gettext("The price of what came back.")),
            Field(
                name="others",
                label=gettext("Of it goods of other sellers"),
                kind="money",
                required=False,
            ),
            Field(name="reference", label=gettext("Number of the return"), kind="text"),
            _happened(at, found),
        ),
        fits=lambda state: (
            state.confirmed_on is not None
            and state.cancelled_on is None
            and state.lease is None
            and (state.pledge is None or state.pledge.stage == "captured")
        ),
        do=_return,
    ),
    StaffAct(
        name="cancel",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Call the sale off"),
        about=gettext_noop(
            "Before anything was shipped: nothing is owed, and what was paid is to be refunded."
        ),
        way_back=gettext_noop("It is not undone: the customer orders again."),
        fields=_no_fields,
        fits=lambda state: (
            state.confirmed_on is not None
            and state.shipped_on is None
            and state.cancelled_on is None
            and state.written_off_on is None
            and state.pledge is None
            and (state.lease is None or state.lease.handed_over_on is None)
        ),
        do=_cancel,
    ),
    StaffAct(
        name="hand-over",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Rented goods were handed over"),
        about=gettext_noop(
            "The lease begins; its deposit is held by then. What the goods cost is what they lose value from."
        ),
        way_back=gettext_noop("It is not undone: the goods come back."),
        fields=lambda found, voice, at: (
            Field(name="cost", label=gettext("What the goods cost the shop"), kind="money", required=False),
            Field(
                name="residual", label=gettext("What they are worth at the end"), kind="money", required=False
            ),
            _happened(at, found),
        ),
        fits=_awaits("hand_over"),
        do=_hand_over,
    ),
    StaffAct(
        name="take-back",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Rented goods came back"),
        about=gettext_noop("The lease ends. Where a deposit is held, the goods are looked at next."),
        way_back=gettext_noop("It is not undone: goods that go out again are a new lease."),
        fields=lambda found, voice, at: (_happened(at, found),),
        fits=_rented_out,
        do=_take_back,
    ),
    StaffAct(
        name="inspect",
        roles=MONEY_ROLES,
        group="goods",
        title=gettext_noop("Say what was found"),
        about=gettext_noop(
            "What the goods look like. Something is kept of the deposit only for a reason, with what shows it."
        ),
        way_back=gettext_noop("It is not undone: what was kept too much is granted as goodwill or refunded."),
        fields=lambda found, voice, at: (
            Field(name="finding", label=gettext("What was found"), kind="text"),
            Field(name="deduction", label=gettext("Kept of the deposit"), kind="money", required=False),
            Field(
                name="evidence",
                label=gettext("What shows it"),
                kind="text",
                required=False,
                hint=gettext("The number of a photo or a report; needed where something is kept."),
            ),
        ),
        fits=_awaits("inspection"),
        do=_inspect,
    ),
    StaffAct(
        name="deposit-pays",
        roles=MONEY_ROLES,
        group="goods",
        title=gettext_noop("Let the deposit pay rents"),
        about=gettext_noop("Rents that are due, where the plan says that the deposit covers them."),
        way_back=gettext_noop("It is not undone: the customer fills the deposit up by paying."),
        fields=lambda found, voice, at: (_amount(found.state.overdue_minor, found), _key(at)),
        fits=lambda state: (
            state.lease is not None and state.lease.deposit_held_minor > 0 and state.overdue_minor > 0
        ),
        do=_deposit_pays,
    ),
    StaffAct(
        name="deposit-release",
        roles=MONEY_ROLES,
        group="goods",
        title=gettext_noop("Release the deposit"),
        about=gettext_noop(
            "What is left of it is the customer’s again: cash is to be refunded, what was frozen is set free."
        ),
        way_back=gettext_noop("It is not undone."),
        fields=_no_fields,
        fits=_awaits("deposit_release"),
        do=_release_deposit,
    ),
    StaffAct(
        name="capture",
        roles=MONEY_ROLES,
        group="goods",
        title=gettext_noop("Capture the pledge"),
        about=gettext_noop("The campaign succeeded: what was pledged is taken, and owed and paid with it."),
        way_back=gettext_noop("Goods that are not delivered are returned and refunded."),
        fields=lambda found, voice, at: (
            Field(name="reference", label=gettext("Number of the payment"), kind="text"),
            _happened(at, found),
        ),
        fits=lambda state: state.pledge is not None and state.pledge.stage == "pledged",
        do=_capture,
    ),
    StaffAct(
        name="pledge-release",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Release the pledge"),
        about=gettext_noop(
            "The campaign did not succeed, or the customer steps back: nothing is taken, and nothing was ever owed."
        ),
        way_back=gettext_noop("It is not undone: the customer pledges again."),
        fields=_no_fields,
        fits=lambda state: state.pledge is not None and state.pledge.stage in ("agreed", "pledged"),
        do=_release_pledge,
    ),
    StaffAct(
        name="charge",
        roles=MONEY_ROLES,
        group="loss",
        title=gettext_noop("Charge a fee or a penalty"),
        about=gettext_noop(
            "Only what the table of costs named as one that may arise. Penalties stay within the law’s most."
        ),
        way_back=gettext_noop("Waive it."),
        fields=lambda found, voice, at: (
            Field(name="what", label=gettext("What for"), kind="choice", choices=_chargeable(found, voice)),
            _amount(0, found),
            Field(
                name="due_on",
                label=gettext("Due on"),
                kind="date",
                value=local_date(at, found.terms.zone).isoformat(),
            ),
            _key(at),
        ),
        fits=_running,
        do=lambda doing: _ask(doing, _charge(doing)),
        preview=lambda doing: _see(doing, _charge(doing)),
        stake=_the_amount,
    ),
    StaffAct(
        name="accelerate",
        roles=("supervisor",),
        group="loss",
        title=gettext_noop("Call everything due"),
        about=gettext_noop("Everything is owed at once, without the fees of a time that has not come."),
        way_back=gettext_noop("Spread everything over new instalments."),
        fields=lambda found, voice, at: (
            Field(
                name="demanded_on",
                label=gettext("The customer was told to pay on"),
                kind="date",
                hint=gettext("The day on which the demand reached them; keep it in writing."),
            ),
        ),
        fits=_late,
        do=_accelerate,
        guard=_acceleration_guard,
    ),
    StaffAct(
        name="write-off",
        roles=MONEY_ROLES,
        group="loss",
        title=gettext_noop("Write off"),
        about=gettext_noop(
            "What is owed is given up in the book. The claim stays, and what still comes is recovered."
        ),
        way_back=gettext_noop("Money that still comes is booked as recovered."),
        fields=lambda found, voice, at: (_key(at),),
        fits=_running,
        do=_write_off,
        preview=_see_write_off,
        stake=lambda found, _given: found.state.balance_minor,
    ),
    StaffAct(
        name="recover",
        roles=MONEY_ROLES,
        group="loss",
        title=gettext_noop("Something was recovered"),
        about=gettext_noop("Money that came of a claim that was written off."),
        way_back=gettext_noop("It is not undone here: a difference is cleared in reconciliation."),
        fields=lambda found, voice, at: (
            _amount(0, found),
            Field(name="cost", label=gettext("Of it kept for collecting"), kind="money", required=False),
            Field(name="reference", label=gettext("Number of the payment"), kind="text"),
            _happened(at, found),
        ),
        fits=lambda state: state.written_off_on is not None,
        do=_recover,
    ),
)


class ActLink(msgspec.Struct, frozen=True):
    label: str
    url: str


class ActGroup(msgspec.Struct, frozen=True):
    label: str
    links: tuple[ActLink, ...]


_GROUPS: Final = {
    "money": gettext_noop("Money"),
    "help": gettext_noop("Help"),
    "goods": gettext_noop("Goods"),
    "loss": gettext_noop("Not paid"),
}


def groups_for(staff: Staff, contract_id: str, state: ContractState) -> tuple[ActGroup, ...]:
    """What this person may do to a contract in this state."""
    groups = []
    for group, label in _GROUPS.items():
        links = tuple(
            ActLink(gettext(each.title), reverse(f"console:contract_{each.name}", args=[contract_id]))
            for each in ACTS
            if each.group == group and staff.may(*each.roles) and each.fits(state)
        )
        if links:
            groups.append(ActGroup(gettext(label), links))
    return tuple(groups)
