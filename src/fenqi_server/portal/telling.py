"""A contract in its customer's words: what is owed, what each payment paid, and why a figure is other than it was.

Every figure is the contract's own (`fenqi.contracts.replay`); here it becomes words.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import msgspec
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext

from fenqi.calendars import local_date
from fenqi.checkout.request import Line
from fenqi.contracts import events as told
from fenqi.contracts.contract import ContractState, PaymentState, RowState, replay
from fenqi.contracts.events import EventRefused
from fenqi.contracts.explanation import explain
from fenqi.contracts.lease import LeaseState
from fenqi_server.db import use_shop
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions
from fenqi_server.ids import parse_public_id
from fenqi_server.papers.addresses import token_of
from fenqi_server.policies import service as policies
from fenqi_server.reminders.ending import TERM_DAYS
from fenqi_server.servicing.requests import HardshipAsked, Pause, ReAge, ReAmortise, Request, ReturnAsked
from fenqi_server.servicing.service import ContractView as Contract
from fenqi_server.servicing.words import awaited_text, failure_name, lapsed, no_money, reference_of
from fenqi_server.shops.models import Shop
from fenqi_server.storefront import orders
from fenqi_server.storefront.selector import option_name, row_name
from fenqi_server.storefront.voice import Voice

__all__ = [
    "ChangeView",
    "ContractPage",
    "PaymentView",
    "RequestView",
    "RowView",
    "bought",
    "contract_page",
    "funder_names",
    "late_days",
    "order_title",
    "part_words",
    "payoff_rule",
    "plan_name",
    "request_view",
    "title_of",
    "titles_of",
    "why_changed",
]


class RowView(msgspec.Struct, frozen=True):
    number: str
    due: date
    total: str
    fee: str
    paid: str
    part_paid: bool
    state: str
    tone: str
    mark: str
    moved: str
    moved_notice: str
    extra: str
    """Interest and charges in it, where there are any."""


class PaymentView(msgspec.Struct, frozen=True):
    on: str
    amount: str
    reference: str
    parts: tuple[str, ...]


class ChangeView(msgspec.Struct, frozen=True):
    """Something that made figures other than they were said to be: what happened, and each figure before and after."""

    on: str
    title: str
    owed: str
    lines: tuple[str, ...]
    basis: str = ""
    """How a charge is reckoned, as the disclosure said it."""


class ContractPage(msgspec.Struct, frozen=True, kw_only=True):
    """A contract as its customer reads it."""

    id: str
    url: str
    title: str
    short_id: str
    made: str
    state: str
    tone: str
    open: bool
    balance: str
    total: str
    fee: str
    paid: str
    paid_share: int
    progress: str
    next_amount: str
    next_minor: int
    next_on: str
    next_label: str
    done: str
    """What is said where nothing is to be paid any more."""
    late: str
    late_help: str
    notes: tuple[str, ...]
    costs: tuple[tuple[str, str, str], ...]
    """What it costs, part by part, as things stand: what it is, how much, and its name."""
    payoff_rule: str
    """What of fees and interest is owed by whoever pays off early; empty where nothing is to be paid off."""
    pay_url: str
    disclosure_url: str
    statement_url: str
    pdf_url: str
    csv_url: str
    calendar_url: str
    disclosure_digest: str
    policy_digest: str
    support: str
    rows: tuple[RowView, ...]
    payments: tuple[PaymentView, ...]
    failures: tuple[str, ...]
    """Automatic payments that did not work, each in a line."""


def contract_page(found: Contract, shop: Shop, voice: Voice) -> ContractPage:
    """The page of one contract."""
    state = found.state
    total = sum(row.total_minor for row in state.rows)
    asked = [row for row in state.rows if row.total_minor]
    # A deposit, a down payment or a charge beside the rows is no instalment.
    asked = [row for row in asked if row.kind in ("instalment", "rent")] or asked
    done = sum(row.status == "paid" for row in asked)
    word, tone = _contract_state(state)
    late = late_help = ""
    if state.overdue:
        late = late_days(state.overdue_minor, state.days_past_due, voice)
        late_help = gettext(
            "Pay it and the contract is in order again; mall instalments open again for new orders at once."
        )
    next_label = ""
    if state.next_row is not None and state.next_due_on is not None:
        kind = next(row.kind for row in state.rows if row.number == state.next_row)
        name, on = row_name(kind, state.next_row), voice.day(state.next_due_on)
        next_label = (
            gettext("Instalment %(n)s, due on %(on)s") % {"n": name, "on": on}
            if name.isdecimal()
            else gettext("%(what)s, due on %(on)s") % {"what": name, "on": on}
        )
    papers = token_of(shop.id, found.contract_id)
    lang = f"?lang={voice.locale}"
    return ContractPage(
        id=found.contract_id,
        url=reverse("portal:contract", args=[found.contract_id]),
        title=title_of(found, shop, voice),
        short_id=gettext("Order %(number)s") % {"number": found.order_ref},
        made=gettext("%(name)s, agreed on %(at)s")
        % {
            "name": plan_name(found.terms.policy_digest, found.plan.id, voice),
            "at": voice.instant(found.created_at),
        },
        state=word,
        tone=tone,
        open=state.status == "active",
        balance=voice.money(state.balance_minor),
        total=voice.money(total),
        fee=voice.money(sum(row.fee_minor for row in state.rows)),
        paid=voice.money(state.paid_minor),
        paid_share=state.paid_minor * 100 // total if total else 100,
        progress=gettext("%(done)s of %(n)s instalments paid") % {"done": done, "n": len(asked)},
        next_amount=voice.money(state.next_due_minor) if state.next_row is not None else "",
        next_minor=state.next_due_minor,
        next_on=voice.day(state.next_due_on) if state.next_due_on is not None else "",
        next_label=next_label,
        done=_done(found),
        late=late,
        late_help=late_help,
        notes=_notes(state, voice),
        costs=_costs(found, voice),
        payoff_rule=payoff_rule(found) if state.status == "active" and state.lease is None else "",
        pay_url=reverse("portal:pay", args=[found.contract_id]),
        disclosure_url=reverse("portal:disclosure", args=[found.contract_id]),
        statement_url=reverse("papers:statement", args=[papers]) + lang,
        pdf_url=reverse("papers:statement-pdf", args=[papers]) + lang,
        csv_url=reverse("papers:statement-csv", args=[papers]) + lang,
        calendar_url=reverse("papers:due-dates", args=[papers]) + lang,
        disclosure_digest=found.terms.disclosure_digest[:19],
        policy_digest=found.terms.policy_digest[:19],
        support=reverse("support:new"),
        rows=tuple(_row(row, state, voice) for row in state.rows),
        payments=tuple(_payment(payment, state, voice) for payment in state.payments),
        failures=_failures(found, voice),
    )


def _costs(found: Contract, voice: Voice) -> tuple[tuple[str, str, str], ...]:
    state = found.state
    if state.lease is not None:
        return _rental_costs(state, state.lease, voice)
    price = sum(row.principal_minor for row in found.terms.rows)
    parts = (
        (gettext("Price of the goods"), price, "price"),
        (gettext("Goods that went back"), -state.returned_minor, "went-back"),
        (gettext("Fees"), sum(row.fee_minor for row in state.rows), "fees"),
        (gettext("Interest"), sum(row.interest_minor for row in state.rows), "interest"),
        (gettext("Charges for lateness"), sum(row.penalty_minor for row in state.rows), "penalties"),
        (gettext("Fee given back"), -state.given_back_minor, "given-back"),
    )
    lines = [(label, minor, name) for label, minor, name in parts if minor or name in ("price", "fees")]
    whole = sum(minor for _, minor, _ in lines)
    if state.cancelled_on is not None:
        return ()
    return (
        *((label, voice.money(minor), name) for label, minor, name in lines),
        (gettext("What it costs in all"), voice.money(whole), "cost"),
    )


def _rental_costs(state: ContractState, lease: LeaseState, voice: Voice) -> tuple[tuple[str, str, str], ...]:
    """What renting comes to. A deposit costs nothing as long as it is not lost: it stands below the sum."""
    parts = (
        (gettext("Rents"), sum(row.rent_minor for row in state.rows), "rents"),
        (gettext("Price of buying the goods"), lease.buyout_minor or 0, "buyout"),
        (gettext("Fees"), sum(row.fee_minor for row in state.rows), "fees"),
        (gettext("Charges for lateness"), sum(row.penalty_minor for row in state.rows), "penalties"),
        (gettext("Lost of the deposit"), lease.deposit_lost_minor, "deposit-lost"),
    )
    lines = [(label, minor, name) for label, minor, name in parts if minor or name == "rents"]
    whole = sum(minor for _, minor, _ in lines)
    told = [
        *((label, voice.money(minor), name) for label, minor, name in lines),
        (gettext("What it costs in all"), voice.money(whole), "cost"),
    ]
    if lease.deposit_held_minor:
        told.append((gettext("Deposit, still yours"), voice.money(lease.deposit_held_minor), "deposit"))
    return tuple(told)


def payoff_rule(found: Contract) -> str:
    """What of fees or interest is owed by whoever pays off, in a sentence; empty where the contract has neither."""
    if not any(row.fee_minor or row.interest_minor for row in found.state.rows):
        return ""
    if found.terms.interest is not None:
        return (
            gettext("Interest is owed up to the day on which you pay off.")
            if found.terms.interest.payoff == "to_date"
            else gettext("Interest is owed up to the end of the period that has begun.")
        )
    return {
        "whole": gettext("The fees of all instalments are owed, also when you pay off early, as agreed."),
        "to_period_end": gettext(
            "The fee of the period that has begun is owed; those of later periods are spared."
        ),
        "to_date": gettext("The fee is owed up to the day on which you pay off; what is after it is spared."),
    }[found.terms.payoff.fees]


def _went_back(found: Contract) -> bool:
    """Everything that the contract paid for went back."""
    price = sum(row.principal_minor for row in found.terms.rows)
    return bool(price) and found.state.returned_minor >= price


def _done(found: Contract) -> str:
    if _went_back(found):
        return gettext("Everything went back, and nothing is owed.")
    return gettext("Everything is paid. Thank you.")


def late_days(minor: int, days: int, voice: Voice) -> str:
    """How much is late, and since how long."""
    return ngettext(
        "%(amount)s is past due, for %(days)s day.", "%(amount)s is past due, for %(days)s days.", days
    ) % {"amount": voice.money(minor), "days": days}


def _notes(state: ContractState, voice: Voice) -> tuple[str, ...]:
    notes = []
    awaited = awaited_text(state)
    if awaited:
        notes.append(awaited)
    lease = state.lease
    if lease is not None and lease.handed_over_on is not None and lease.outcome is None:
        ahead = (lease.term_ends_on - state.as_of).days
        if 0 <= ahead <= max(TERM_DAYS):
            notes.append(
                gettext(
                    "Your rental ends on %(on)s. Below you can buy the goods, rent on or read how to give them back, as far as that was agreed; nothing of it happens by itself."
                )
                % {"on": voice.day(lease.term_ends_on)}
            )
    if state.cancelled_on is not None:
        notes.append(gettext("The sale was called off on %(on)s.") % {"on": voice.day(state.cancelled_on)})
    if state.paused_until is not None and state.paused_until > state.as_of:
        notes.append(
            gettext("Your payments are paused until %(on)s; nothing is charged for being late meanwhile.")
            % {"on": voice.day(state.paused_until)}
        )
        if state.next_due_on is not None:
            notes.append(
                gettext("The next payment, of %(amount)s, is due on %(on)s.")
                % {"amount": voice.money(state.next_due_minor), "on": voice.day(state.next_due_on)}
            )
    if state.refund_due_minor:
        notes.append(
            gettext("%(amount)s is to be refunded to you.") % {"amount": voice.money(state.refund_due_minor)}
        )
    if state.unapplied_minor:
        notes.append(
            gettext(
                "%(amount)s was received beyond what was owed. It is yours: it is refunded when you ask for it, or pays what "
                "comes to be owed."
            )
            % {"amount": voice.money(state.unapplied_minor)}
        )
    return tuple(notes)


# -------------------------------------------------------------------------------------------------- its goods, its names


def bought(found: Contract, shop: Shop) -> tuple[Line, ...]:
    """The lines of the order that the contract pays for, from the decision's record; empty where there is none."""
    try:
        owner, name = parse_public_id(found.decision_id, "dc")
    except ValueError:
        return ()
    use_shop(shop.id)
    record = log.read(owner, name)
    if record is None or record.shop_id != shop.id or owner != found.customer_id:
        return ()
    return decisions.request_of(record).lines


def titles_of(found: Contract, shop: Shop, voice: Voice) -> dict[str, str]:
    """What the mall's own order calls its goods, in the reader's language; empty where the order is not the mall's."""
    order = orders.by_contract(shop, found.customer_id, found.contract_id)
    return {} if order is None else {line.sku: voice.text(line.title) for line in order.lines}


def title_of(found: Contract, shop: Shop, voice: Voice) -> str:
    """What was bought, in short; the order's number where that is not known."""
    order = orders.by_contract(shop, found.customer_id, found.contract_id)
    if order is not None:
        return order_title(order.lines, voice)
    lines = bought(found, shop)
    if not lines:
        return gettext("Order %(number)s") % {"number": found.order_ref}
    return _and_more(lines[0].title, [line.quantity for line in lines])


def order_title(lines: tuple[orders.OrderLine, ...], voice: Voice) -> str:
    """The demo mall's order, in its reader's language."""
    return _and_more(voice.text(lines[0].title), [line.quantity for line in lines])


def _and_more(first: str, quantities: list[int]) -> str:
    """The first line's goods with how many there are of them, and how many pieces there are of others."""
    if quantities[0] > 1:
        first = f"{first} × {quantities[0]}"
    others = sum(quantities[1:])
    if not others:
        return first
    return gettext("%(first)s and %(n)s more") % {"first": first, "n": others}


def plan_name(policy_digest: str, plan: str, voice: Voice) -> str:
    """The plan as the policy of that time called it; its id where the policy is not here."""
    try:
        return option_name(policies.by_digest(policy_digest), plan, voice)
    except (policies.NoPolicy, KeyError):
        return plan


def funder_names(policy_digest: str, voice: Voice) -> dict[str, str]:
    """The funders' names in the policy of that time."""
    try:
        policy = policies.by_digest(policy_digest)
    except policies.NoPolicy:
        return {}
    return {funder.id: voice.text(funder.name) for funder in policy.funders.values()}


# ---------------------------------------------------------------------------------------------------- rows and payments


def _contract_state(state: ContractState) -> tuple[str, str]:
    if state.cancelled_on is not None:
        return pgettext("contract", "called off"), ""
    if state.status == "closed":
        return pgettext("contract", "paid off"), "good"
    if state.overdue:
        return pgettext("contract", "past due"), "bad"
    if state.paused_until is not None and state.paused_until > state.as_of:
        return pgettext("contract", "paused"), "warn"
    return pgettext("contract", "in order"), "good"


def _row(row: RowState, state: ContractState, voice: Voice) -> RowView:
    word, tone = {
        "paid": (pgettext("instalment", "paid"), "good"),
        "overdue": (pgettext("instalment", "past due"), "bad"),
        "due": (pgettext("instalment", "due today"), "warn"),
        "upcoming": (pgettext("instalment", "to come"), ""),
    }[row.status]
    if row.status == "paid" and not row.total_minor:
        word, tone = pgettext("instalment", "nothing to pay"), ""
    if row.status != "paid" and row.paid_minor:
        word = gettext("%(state)s, part paid") % {"state": word}
    mark = "done" if row.status == "paid" else "now" if row.number == state.next_row else ""
    moved = ""
    if row.moved_from is not None:
        moved = gettext("put off from %(day)s, free of charge") % {"day": voice.day(row.moved_from)}
    extra = []
    if row.interest_minor:
        extra.append(gettext("interest %(amount)s") % {"amount": voice.money(row.interest_minor)})
    if row.penalty_minor:
        extra.append(gettext("charge for lateness %(amount)s") % {"amount": voice.money(row.penalty_minor)})
    return RowView(
        row_name(row.kind, row.number),
        row.due_on,
        voice.money(row.total_minor),
        voice.money(row.fee_minor),
        voice.money(row.paid_minor),
        row.status != "paid" and row.paid_minor > 0,
        word,
        tone,
        mark,
        moved,
        reverse("announcements:notice", args=[row.moved_by]) if row.moved_by else "",
        pgettext("between names", ", ").join(extra),
    )


def _payment(payment: PaymentState, state: ContractState, voice: Voice) -> PaymentView:
    return PaymentView(
        voice.day(payment.occurred_on),
        voice.money(payment.amount_minor),
        reference_of(payment),
        part_words(payment, state, voice),
    )


def _failures(found: Contract, voice: Voice) -> tuple[str, ...]:
    failed = (event for event in found.events if isinstance(event, told.PaymentFailed))
    return tuple(
        gettext("%(on)s: %(amount)s could not be collected (%(why)s).")
        % {
            "on": voice.day(event.occurred_on),
            "amount": voice.money(event.amount_minor),
            "why": failure_name(event.reason),
        }
        for event in sorted(failed, key=lambda event: (event.occurred_on, event.seq))
        if event.occurred_on <= found.state.as_of
    )


def part_words(payment: PaymentState, state: ContractState, voice: Voice) -> tuple[str, ...]:
    """What a payment paid, row by row, and what became of the rest."""
    kinds = {row.number: row.kind for row in state.rows}
    lines = []
    for part in payment.parts:
        name = row_name(kinds[part.row], part.row) if part.row in kinds else str(part.row)
        about = gettext("instalment %(n)s") % {"n": name} if name.isdecimal() else name
        several = [
            word % {"amount": voice.money(minor)}
            for word, minor in (
                (gettext("price %(amount)s"), part.principal_minor),
                (gettext("fee %(amount)s"), part.fee_minor),
                (gettext("rent %(amount)s"), part.rent_minor),
                (gettext("deposit %(amount)s"), part.deposit_minor),
                (gettext("interest %(amount)s"), part.interest_minor),
                (gettext("charge for lateness %(amount)s"), part.penalty_minor),
            )
            if minor
        ]
        paid = (
            voice.money(part.total_minor)
            if len(several) == 1 and (part.principal_minor or part.rent_minor or part.deposit_minor)
            else pgettext("between names", ", ").join(several)
        )
        lines.append(
            pgettext("a row and what was paid of it", "%(about)s: %(paid)s") % {"about": about, "paid": paid}
        )
    if payment.unapplied_minor:
        lines.append(
            gettext("%(amount)s beyond what was owed, kept for you")
            % {"amount": voice.money(payment.unapplied_minor)}
        )
    if payment.reversed_on is not None:
        lines.append(gettext("taken back on %(on)s") % {"on": voice.day(payment.reversed_on)})
    if left := lapsed(payment, voice):
        lines.append(left)
    if paid_by := no_money(payment):
        lines.append(paid_by)
    return tuple(lines)


# -------------------------------------------------------------------------------------------------- what was asked for


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the customer asked for, and how it stands."""

    id: str
    kind: str
    title: str
    what: tuple[str, ...]
    asked: str
    state: str
    tone: str
    open: bool
    next: str
    note: str


def request_view(request: Request, found: Contract, shop: Shop, voice: Voice) -> RequestView:
    """A request in its customer's words, as they read now: goods are told in this language, not in the asker's."""
    asked = request.asked
    what: tuple[str, ...] = ()
    title, following = gettext("Request"), ""
    if isinstance(asked, ReturnAsked):
        title = gettext("Return of goods for %(amount)s") % {"amount": voice.money(asked.amount_minor)}
        titles = titles_of(found, shop, voice)
        what = tuple(f"{titles.get(line.sku, line.title)} × {line.quantity}" for line in asked.lines)
        following = gettext(
            "Send the goods to the shop. Once it has them, the return is booked, and what is due to you is refunded."
        )
    elif isinstance(asked, HardshipAsked):
        title = ngettext(
            "Help with paying, for %(n)s month", "Help with paying, for %(n)s months", asked.months
        ) % {"n": asked.months}
        following = (
            gettext(
                "Somebody of the shop looks at it and answers here. Until then everything stays as agreed: what is due is due."
            )
            if found.state.status == "active"
            else gettext(
                "Nothing is owed any more, so there is nothing to ease. You can take this request back."
            )
        )
    state, tone = {
        "open": (pgettext("request", "waiting for the shop"), "warn"),
        "approved": (pgettext("request", "done"), "good"),
        "declined": (pgettext("request", "declined"), "bad"),
        "withdrawn": (pgettext("request", "taken back"), ""),
    }[request.state]
    return RequestView(
        id=request.request_id,
        kind=request.kind,
        title=title,
        what=what,
        asked=gettext("asked for on %(at)s") % {"at": voice.instant(request.asked_at)},
        state=state,
        tone=tone,
        open=request.state == "open",
        next=following if request.state == "open" else _granted(request),
        note=request.note if request.state == "declined" else "",
    )


def _granted(request: Request) -> str:
    """What became of help that was asked for."""
    match request.done:
        case Pause(periods=periods):
            return ngettext(
                "The shop agreed to a pause of %(n)s period.",
                "The shop agreed to a pause of %(n)s periods.",
                periods,
            ) % {"n": periods}
        case ReAge(periods=periods):
            return ngettext(
                "The shop spread what you owe over %(n)s new instalment.",
                "The shop spread what you owe over %(n)s new instalments.",
                periods,
            ) % {"n": periods}
        case ReAmortise():
            return gettext("The shop spread what was late over the instalments to come.")
    return ""


# ------------------------------------------------------------------------------------------------- why a figure changed


_ORDINARY: Final = (told.Confirmed, told.DueReached, told.Shipped, told.PaymentFailed, told.PayoffQuoted)
"""What was to be expected, or changes no figure."""


_MONEY_BACK: Final = (told.GoodsReturned, told.RefundPaid, told.PaidBack, told.UnappliedRefunded)
"""What is told even where no figure of a row changed by it: the customer's money moved, or is about to."""


def why_changed(found: Contract, voice: Voice) -> tuple[ChangeView, ...]:
    """What made figures other than they were, newest first: everything but paying, and what was learnt late or settles."""
    terms, zone, today = found.terms, found.terms.zone, found.state.as_of
    events = sorted(found.events, key=lambda event: event.seq)
    views = []
    for index, event in enumerate(events):
        if isinstance(event, _ORDINARY) or event.occurred_on > today:
            continue
        late = event.occurred_on < local_date(event.recorded_at, zone)
        if isinstance(event, told.PaymentReceived) and not event.settles and not late:
            continue
        try:
            # As of today, without it and with it: what the others did is in both.
            before = replay(terms, events[:index], today)
            after = replay(terms, events[: index + 1], today)
        except EventRefused:
            continue
        difference = explain(before, after)
        shown = [
            change.text.in_(voice.locale)
            for change in difference.rows
            if isinstance(event, told.PaymentReversed | told.PaidBack) or not change.figure.endswith("_paid")
        ]
        owed = difference.balance_change_minor
        words = ""
        if owed < 0:
            words = gettext("You owe %(amount)s less.") % {"amount": voice.money(-owed)}
        elif owed > 0:
            words = gettext("You owe %(amount)s more.") % {"amount": voice.money(owed)}
        if not words and isinstance(event, told.GoodsReturned) and after.refund_due_minor:
            words = gettext("%(amount)s is to be refunded to you.") % {
                "amount": voice.money(after.refund_due_minor)
            }
        if not shown and not words and not isinstance(event, _MONEY_BACK):
            continue
        title = _what(event, late, not after.balance_minor, voice)
        if isinstance(event, told.BoughtOut):
            words = _by_deposit(event, after, words, voice)
        if isinstance(event, told.PaymentReceived) and event.settles:
            saved = _to_pay(before) - _to_pay(after)
            if saved > 0 and not after.balance_minor:
                words = gettext("It saved %(amount)s.") % {"amount": voice.money(saved)}
        views.append(
            ChangeView(voice.day(event.occurred_on), title, words, tuple(shown), _basis(event, found, voice))
        )
    return tuple(reversed(views))


def _by_deposit(event: told.BoughtOut, after: ContractState, owed: str, voice: Voice) -> str:
    """Where the deposit paid of the price, that is said before what is owed more."""
    paid = sum(
        each.amount_minor
        for each in after.payments
        if each.event_seq == event.seq and each.purpose == "deposit"
    )
    if not paid:
        return owed
    said = gettext("%(amount)s of it came from your deposit.") % {"amount": voice.money(paid)}
    return (
        pgettext("two sentences", "%(first)s %(second)s") % {"first": said, "second": owed} if owed else said
    )


def _basis(event: Any, found: Contract, voice: Voice) -> str:
    if not isinstance(event, told.Charged):
        return ""
    costs = {cost.code: cost for cost in found.terms.disclosure.contingent}
    cost = costs.get(event.code)
    if cost is None:
        return ""
    return pgettext("a cost and how it is reckoned", "%(name)s: %(basis)s") % {
        "name": voice.text(cost.name),
        "basis": voice.text(cost.basis),
    }


def _to_pay(state: ContractState) -> int:
    return sum(row.total_minor for row in state.rows)


def _what(event: Any, late: bool, settled: bool, voice: Voice) -> str:
    """What happened, in a line. `settled`: nothing was owed after it."""
    money = voice.money
    amount = money(getattr(event, "amount_minor", 0))
    match event:
        case told.PaymentReceived(settles=quote) if quote and not settled:
            return gettext(
                "%(amount)s came too late for your quote, or was too little for it: it paid instalments, as any payment does."
            ) % {"amount": amount}
        case told.PaymentReceived(settles=quote) if quote:
            return gettext("You paid off early, with %(amount)s.") % {"amount": amount}
        case told.PaymentReceived():
            return gettext("A payment of %(amount)s became known later than the day it arrived.") % {
                "amount": amount
            }
        case told.PaymentReversed():
            return gettext(
                "The payment %(reference)s was taken back by your bank, or was booked in error."
            ) % {"reference": event.payment_id}
        case told.DueMoved():
            return gettext("A due date was put off, free of charge, since paying was not possible.")
        case told.DueDayChanged(day=day):
            return (
                gettext("Your due day became the last day of the month.")
                if day == 31
                else gettext("Your due day became day %(day)s of the month.") % {"day": day}
            )
        case told.GoodsReturned():
            return gettext("Goods for %(amount)s went back.") % {"amount": amount}
        case told.RefundPaid():
            return gettext("%(amount)s was refunded to you.") % {"amount": amount}
        case told.LeaseReturned():
            return gettext("The goods came back, and the lease ended: rents of a later time are not owed.")
        case told.BoughtOut(price_minor=price):
            return gettext("You bought the goods for %(amount)s.") % {"amount": money(price)}
        case told.Renewed(periods=periods):
            return ngettext(
                "You agreed to rent on for %(n)s period.", "You agreed to rent on for %(n)s periods.", periods
            ) % {"n": periods}
        case told.Inspected(deduction_minor=deducted) if deducted:
            return gettext("%(amount)s was deducted after the goods were looked at: %(why)s.") % {
                "amount": money(deducted),
                "why": event.reason,
            }
        case told.DepositApplied():
            return gettext("%(amount)s of your deposit paid rents that were due.") % {"amount": amount}
        case told.Captured():
            return gettext("The campaign succeeded, and what you had authorised was taken.")
        case told.Cancelled():
            return gettext("The sale was called off before anything was shipped.")
        case told.GoodwillGranted():
            return gettext("The shop took %(amount)s on itself.") % {"amount": amount}
        case told.Charged(part="penalty"):
            return gettext("%(amount)s was charged for lateness.") % {"amount": amount}
        case told.Charged():
            return gettext("%(amount)s was charged beside the instalments, as agreed.") % {"amount": amount}
        case told.Waived():
            return gettext("%(amount)s is not asked for any more.") % {"amount": amount}
        case told.Paused(periods=periods):
            return ngettext(
                "Your payments were paused for %(n)s period.",
                "Your payments were paused for %(n)s periods.",
                periods,
            ) % {"n": periods}
        case told.ReAged() | told.ReAmortised():
            return gettext("What you owe was spread over other dates.")
        case told.Accelerated():
            return gettext("Everything was called due at once.")
        case told.AllocatedByInstruction():
            return gettext("A payment went where you said that it should.")
        case told.Disbursed():
            return gettext("%(amount)s was added to the contract.") % {"amount": amount}
        case told.UnappliedRefunded(matched_to=other) if other:
            return gettext("%(amount)s that nothing was owed for went to what it was really paid for.") % {
                "amount": amount
            }
        case told.PaidBack() | told.UnappliedRefunded():
            return gettext("%(amount)s was paid back to you.") % {"amount": amount}
        case told.WrittenOff():
            return gettext("The shop does not count on being paid any more; what you owe is owed still.")
    return gettext("Something else changed it.") if not late else gettext("News that came late changed it.")
