"""Money: taken at the till, quoted, taken back, paid out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext, gettext_noop, pgettext

from fenqi.calendars import local_date
from fenqi.contracts.events import PaymentReceived
from fenqi.contracts.payoff import payoff_quote
from fenqi_server.db import in_transaction
from fenqi_server.policies import audit
from fenqi_server.servicing import outgoing, payoffs, service
from fenqi_server.servicing.outgoing import (
    HeldRefundAsked,
    PayBackAsked,
    RefundAsked,
    ReversalAsked,
)
from fenqi_server.servicing.service import ContractView
from fenqi_server.servicing.staff_acts.act import (
    DESK_ROLES,
    MONEY_ROLES,
    Doing,
    StaffAct,
    asked_or_done,
    running,
    seen_alone,
    sold,
    the_amount,
)
from fenqi_server.servicing.staff_acts.form import (
    Field,
    amount_field,
    day_field,
    no_fields,
)
from fenqi_server.servicing.words import reversal_name
from fenqi_server.storefront.voice import Voice

__all__ = ["MONEY", "channels"]


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


def _pay_back(doing: Doing) -> PayBackAsked:
    given = doing.given
    return PayBackAsked(
        reference=given["reference"],
        amount_minor=given["amount"],
        reason=doing.reason,
        channel=given["channel"],
    )


def channels() -> tuple[tuple[str, str], ...]:
    """By what money goes back."""
    return (
        ("bank", pgettext("how money came", "bank")),
        ("wallet", pgettext("how money came", "wallet")),
    )


_REVERSED: Final = gettext_noop(
    "A payment that was booked is taken back by “Take a payment back”; what it paid is owed again."
)


MONEY: Final[tuple[StaffAct, ...]] = (
    StaffAct(
        name="cash",
        roles=DESK_ROLES,
        group="money",
        title=gettext_noop("Take cash at the till"),
        about=gettext_noop(
            "Money over the counter, with the number of its receipt. More than is owed is refused."
        ),
        way_back=_REVERSED,
        fields=lambda shop, found, voice, at: (
            amount_field(found.state.next_due_minor, found),
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
        fits=running,
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
        fields=no_fields,
        fits=sold,
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
        fields=lambda shop, found, voice, at: (
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
        do=lambda doing: asked_or_done(doing, _reversal(doing)),
        preview=lambda doing: seen_alone(doing, _reversal(doing)),
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
        fields=lambda shop, found, voice, at: (
            amount_field(found.state.refund_due_minor, found),
            Field(name="channel", label=gettext("Paid out by"), kind="choice", choices=channels()),
            Field(name="reference", label=gettext("Number of the transfer"), kind="text"),
            day_field(at, found),
        ),
        fits=lambda state: state.refund_due_minor > 0,
        do=lambda doing: asked_or_done(doing, _refund(doing)),
        preview=lambda doing: seen_alone(doing, _refund(doing)),
        stake=the_amount,
    ),
    StaffAct(
        name="give-back",
        roles=("finance",),
        group="money",
        title=gettext_noop("Send unapplied money back"),
        about=gettext_noop("What the contract holds and nothing is owed for was sent back to the customer."),
        way_back=gettext_noop("It is not undone here: money that came back is a payment."),
        fields=lambda shop, found, voice, at: (
            amount_field(found.state.unapplied_minor, found),
            Field(name="channel", label=gettext("Paid out by"), kind="choice", choices=channels()),
            Field(name="reference", label=gettext("Number of the transfer"), kind="text"),
        ),
        fits=lambda state: state.unapplied_minor > 0,
        do=lambda doing: asked_or_done(doing, _held_refund(doing)),
        preview=lambda doing: seen_alone(doing, _held_refund(doing)),
        stake=the_amount,
    ),
    StaffAct(
        name="pay-back",
        roles=("finance",),
        group="money",
        title=gettext_noop("Give back what was paid"),
        about=gettext_noop(
            "Money that had paid instalments goes back to the customer, as one who paid in advance may wish. What was paid last is owed again first."
        ),
        way_back=gettext_noop("It is not undone here: money that came back is a payment."),
        fields=lambda shop, found, voice, at: (
            amount_field(0, found),
            Field(name="channel", label=gettext("Paid out by"), kind="choice", choices=channels()),
            Field(name="reference", label=gettext("Number of the transfer"), kind="text"),
        ),
        fits=lambda state: (
            state.lease is None
            and state.cancelled_on is None
            and state.written_off_on is None
            and any(row.paid_minor for row in state.rows)
        ),
        do=lambda doing: asked_or_done(doing, _pay_back(doing)),
        preview=lambda doing: seen_alone(doing, _pay_back(doing)),
        stake=the_amount,
    ),
)
