"""A contract in the words of those who look after it: its state, its rows, what a payment paid, and each event in a sentence.

Sentences are in the language that is active; amounts and dates are the voice's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.utils.translation import gettext, ngettext, pgettext

from fenqi.contracts.contract import ContractState, PaidPart, PaymentState, RowState
from fenqi.contracts.events import (
    Accelerated,
    AllocatedByInstruction,
    BoughtOut,
    Cancelled,
    Captured,
    Charged,
    Confirmed,
    DepositApplied,
    DepositHeld,
    DepositReleased,
    Disbursed,
    DueDayChanged,
    DueMoved,
    DueReached,
    Event,
    GoodsReturned,
    GoodwillGranted,
    HandedOver,
    Inspected,
    LeaseReturned,
    PaidBack,
    Paused,
    PaymentFailed,
    PaymentReceived,
    PaymentReversed,
    PayoffQuoted,
    Pledged,
    PledgeReleased,
    ReAged,
    ReAmortised,
    Recovered,
    RefundPaid,
    Renewed,
    Shipped,
    UnappliedRefunded,
    Waived,
    WrittenOff,
)
from fenqi_server.servicing.acts import PAID_BACK
from fenqi_server.servicing.requests import CUSTOMER
from fenqi_server.storefront.selector import row_name
from fenqi_server.storefront.voice import Voice

__all__ = [
    "age_name",
    "awaited_text",
    "by_name",
    "channel_name",
    "event_text",
    "failure_name",
    "kind_name",
    "lapsed",
    "no_money",
    "part_name",
    "parts_of",
    "reason_name",
    "reference_of",
    "request_state",
    "reversal_name",
    "row_state",
    "said",
    "said_why",
    "state_of",
]


def said(who: str) -> str:
    """A name as the records have it, in short."""
    return who.removeprefix("staff:")


def state_of(state: ContractState) -> tuple[str, str]:
    """A contract's state in a word, and its tone."""
    if state.status == "unconfirmed":
        return pgettext("contract", "not agreed yet"), ""
    if state.cancelled_on is not None:
        return pgettext("contract", "called off"), ""
    if state.written_off_on is not None and state.status == "active":
        return pgettext("contract", "written off"), "bad"
    ended = _ended(state)
    if state.status == "closed":
        return ended or pgettext("contract", "paid off"), "good"
    if state.accelerated_on is not None:
        return pgettext("contract", "called due"), "bad"
    if state.paused_until is not None and state.paused_until > state.as_of:
        return pgettext("contract", "paused"), "warn"
    if state.overdue:
        return pgettext("contract", "past due"), "bad"
    if ended:
        return ended, "warn"
    if state.lease is not None and state.lease.awaits == "return_or_buyout":
        return pgettext("contract", "awaits return or buyout"), "warn"
    if state.pledge is not None and state.pledge.stage in ("agreed", "pledged"):
        return pgettext("contract", "pledged"), ""
    return pgettext("contract", "in order"), "good"


def _ended(state: ContractState) -> str:
    """How a lease or a pledge came to its end, in a word; empty where it did not."""
    if state.lease is not None:
        return {
            "returned": pgettext("contract", "given back"),
            "bought_out": pgettext("contract", "bought"),
            "lost": pgettext("contract", "written off"),
        }.get(state.lease.outcome or "", "")
    if state.pledge is not None and state.pledge.stage == "released":
        return pgettext("contract", "released")
    return ""


def awaited_text(state: ContractState) -> str:
    """What a lease or a pledge waits for beside payments, in a sentence; empty where for nothing."""
    if state.lease is not None:
        return {
            "hand_over": gettext("The goods are to be handed over."),
            "return_or_buyout": gettext(
                "The term is over: the goods are to come back, or to be bought. No further rent arises."
            ),
            "inspection": gettext("The goods are to be inspected."),
            "deposit_release": gettext("What is left of the deposit is to be released."),
        }.get(state.lease.awaits or "", "")
    if state.pledge is not None and state.pledge.stage == "pledged":
        return gettext("It is captured if the campaign succeeds, and released if not.")
    return ""


def row_state(status: str) -> tuple[str, str]:
    """A row's state in a word, and its tone."""
    return {
        "paid": (pgettext("instalment", "paid"), "good"),
        "overdue": (pgettext("instalment", "past due"), "bad"),
        "due": (pgettext("instalment", "due today"), "warn"),
        "upcoming": (pgettext("instalment", "to come"), ""),
    }[status]


def part_name(part: str) -> str:
    """A part of what is owed, in a word."""
    return {
        "principal": pgettext("part of what is owed", "price"),
        "fee": pgettext("part of what is owed", "fee"),
        "interest": pgettext("part of what is owed", "interest"),
        "penalty": pgettext("part of what is owed", "penalty"),
        "rent": pgettext("part of what is owed", "rent"),
        "deposit": pgettext("part of what is owed", "deposit"),
    }[part]


def channel_name(channel: str) -> str:
    """How money came, in a word."""
    return {
        "bank": pgettext("how money came", "bank"),
        "wallet": pgettext("how money came", "wallet"),
        "cash": pgettext("how money came", "cash at the till"),
        "autopay": pgettext("how money came", "automatic payment"),
    }.get(channel, channel)


def reversal_name(reason: str) -> str:
    """Why a payment was taken back."""
    return {
        "charged_back": pgettext("why a payment was taken back", "charged back"),
        "bounced": pgettext("why a payment was taken back", "bounced"),
        "booked_in_error": pgettext("why a payment was taken back", "booked in error"),
    }.get(reason, reason)


def lapsed(payment: PaymentState, voice: Voice) -> str:
    """What of a grant found nothing to pay; empty where all of it did, and of money."""
    if not payment.lapsed_minor:
        return ""
    return gettext("%(amount)s lapsed: nothing was left for it to pay") % {
        "amount": voice.money(payment.lapsed_minor)
    }


def no_money(payment: PaymentState) -> str:
    """What paid where no money came, and empty where money did: a lessee's own deposit is nothing that the shop grants."""
    if payment.money:
        return ""
    words = {
        "deposit": gettext("from the deposit"),
        "goods_returned": gettext("by goods that went back"),
    }
    return words.get(payment.purpose) or gettext("granted by the shop")


def reference_of(payment: PaymentState) -> str:
    """The number that a payment came with; empty where a deposit paid by itself at the end, which nobody numbered."""
    return "" if payment.payment_id == f"deposit {payment.event_seq}" else payment.payment_id


def failure_name(reason: str) -> str:
    """Why an automatic payment did not work (`autopay.rules.REASONS`)."""
    words = {
        "insufficient_funds": gettext("not enough money"),
        "limit_exceeded": gettext("above the card’s limit"),
        "tool_expired": gettext("the card has expired"),
        "tool_invalid": gettext("the card cannot be used any more"),
        "mandate_revoked": gettext("the permission was taken back"),
        "refused": gettext("the bank refused it"),
    }
    return words.get(reason) or gettext("it did not work")


def parts_of(payment: PaymentState, rows: tuple[RowState, ...], voice: Voice) -> tuple[str, ...]:
    """Where a payment's money went, line by line, each row by its name."""
    names = {row.number: row_name(row.kind, row.number) for row in rows}
    lines = [_part(part, names.get(part.row, str(part.row)), voice) for part in payment.parts]
    if payment.unapplied_minor:
        lines.append(gettext("%(amount)s unapplied") % {"amount": voice.money(payment.unapplied_minor)})
    if left := lapsed(payment, voice):
        lines.append(left)
    if payment.recovered_minor:
        lines.append(
            gettext("%(amount)s of what was written off") % {"amount": voice.money(payment.recovered_minor)}
        )
    if payment.reversed_on is not None:
        lines.append(gettext("taken back on %(on)s") % {"on": voice.day(payment.reversed_on)})
    return tuple(lines)


def _part(part: PaidPart, name: str, voice: Voice) -> str:
    several = [
        f"{part_name(each)} {voice.money(minor)}"
        for each, minor in (
            ("principal", part.principal_minor),
            ("fee", part.fee_minor),
            ("interest", part.interest_minor),
            ("penalty", part.penalty_minor),
            ("rent", part.rent_minor),
            ("deposit", part.deposit_minor),
        )
        if minor
    ]
    paid = pgettext("between things listed", ", ").join(several)
    if name.isdecimal():
        return gettext("instalment %(n)s: %(price)s") % {"n": name, "price": paid}
    return pgettext("a row and what was paid of it", "%(about)s: %(paid)s") % {"about": name, "paid": paid}


def said_why(event: Event) -> str:
    """What whoever recorded an event wrote beside it."""
    if isinstance(event, DueMoved | Accelerated):
        return event.basis
    if isinstance(event, PaymentReversed | PaymentFailed):
        return ""
    return str(getattr(event, "reason", ""))


def event_text(event: Event, rows: tuple[RowState, ...], voice: Voice) -> str:
    """What happened, in a sentence. `rows` are the contract's: what is no instalment has a name, and its number says nothing."""
    if isinstance(event, DueReached | DueMoved):
        name = next((row_name(row.kind, row.number) for row in rows if row.number == event.row), "")
        if name and not name.isdecimal():
            return _of_named_row(event, name, voice)
    known = _SENTENCES.get(type(event))
    return known(event, voice) if known else str(event.__struct_config__.tag).replace("_", " ")


def _of_named_row(event: DueReached | DueMoved, name: str, voice: Voice) -> str:
    if isinstance(event, DueReached):
        return gettext("%(row)s fell due.") % {"row": name}
    return gettext("%(row)s was put off to %(day)s, free of charge.") % {
        "row": name,
        "day": voice.day(event.to),
    }


def _received(event: PaymentReceived, voice: Voice) -> str:
    said = {"amount": voice.money(event.amount_minor), "id": event.payment_id}
    if event.operator:
        return gettext("%(amount)s in cash was taken at the till by %(who)s, receipt %(id)s.") % (
            said | {"who": event.operator.removeprefix("staff:")}
        )
    if event.settles:
        return gettext("%(amount)s arrived to pay everything off (%(id)s).") % said
    return gettext("%(amount)s arrived by %(channel)s (%(id)s).") % (
        said | {"channel": channel_name(event.channel)}
    )


def _charged(event: Charged, voice: Voice) -> str:
    said = {"amount": voice.money(event.amount_minor), "day": voice.day(event.due_on), "code": event.code}
    if event.part == "penalty":
        return gettext("A penalty of %(amount)s was charged, due on %(day)s (%(code)s).") % said
    return gettext("A fee of %(amount)s was charged, due on %(day)s (%(code)s).") % said


def _waived(event: Waived, voice: Voice) -> str:
    said = {"amount": voice.money(event.amount_minor), "part": part_name(event.part), "n": event.row}
    if event.row is None:
        return gettext("%(amount)s of what is owed as %(part)s was waived.") % said
    return gettext("%(amount)s of instalment %(n)s’s %(part)s was waived.") % said


def _unapplied(event: UnappliedRefunded, voice: Voice) -> str:
    said = {"amount": voice.money(event.amount_minor), "id": event.refund_id, "to": event.matched_to}
    if event.matched_to:
        return gettext("%(amount)s that nothing was owed for went to where it belongs: %(to)s.") % said
    return gettext("%(amount)s that nothing was owed for was paid back (%(id)s).") % said


def _paused(event: Paused, voice: Voice) -> str:
    said = {"n": event.periods}
    if event.interest == "stops":
        return (
            ngettext(
                "Paused for %(n)s period; no interest runs meanwhile.",
                "Paused for %(n)s periods; no interest runs meanwhile.",
                event.periods,
            )
            % said
        )
    return ngettext("Paused for %(n)s period.", "Paused for %(n)s periods.", event.periods) % said


def _re_aged(event: ReAged, voice: Voice) -> str:
    return ngettext(
        "What is owed was spread over %(n)s new instalment, the first due on %(day)s.",
        "What is owed was spread over %(n)s new instalments, the first due on %(day)s.",
        event.periods,
    ) % {"n": event.periods, "day": voice.day(event.first_due_on)}


def _directed(event: AllocatedByInstruction, voice: Voice) -> str:
    parts = pgettext("between things listed", ", ").join(
        gettext("instalment %(n)s: %(price)s")
        % {"n": part.row, "price": f"{part_name(part.part)} {voice.money(part.amount_minor)}"}
        for part in event.parts
    )
    return gettext("The customer said what payment %(id)s is for: %(parts)s.") % {
        "id": event.payment_id,
        "parts": parts,
    }


def _due_day(event: DueDayChanged, voice: Voice) -> str:
    said = {"n": event.from_row, "day": event.day}
    if event.day == 31:
        return gettext("From instalment %(n)s on, each is due on the last day of its month.") % said
    return gettext("From instalment %(n)s on, each is due on day %(day)s of its month.") % said


def _recovered(event: Recovered, voice: Voice) -> str:
    said = {
        "amount": voice.money(event.amount_minor),
        "cost": voice.money(event.cost_minor),
        "id": event.payment_id,
    }
    if event.cost_minor:
        return (
            gettext(
                "%(amount)s of what was written off was recovered, of it %(cost)s for collecting (%(id)s)."
            )
            % said
        )
    return gettext("%(amount)s of what was written off was recovered (%(id)s).") % said


def _handed_over(event: HandedOver, voice: Voice) -> str:
    if event.cost_minor:
        return gettext("The goods were handed over; they cost %(amount)s.") % {
            "amount": voice.money(event.cost_minor)
        }
    return gettext("The goods were handed over.")


def _inspected(event: Inspected, voice: Voice) -> str:
    if event.deduction_minor:
        return gettext(
            "The goods were inspected (%(found)s): %(amount)s was deducted, for %(why)s (%(id)s)."
        ) % {
            "found": event.finding,
            "amount": voice.money(event.deduction_minor),
            "why": event.reason,
            "id": event.evidence,
        }
    return gettext("The goods were inspected: %(found)s.") % {"found": event.finding}


def _renewed(event: Renewed, voice: Voice) -> str:
    return ngettext(
        "The customer agreed to rent on for %(n)s period (%(id)s).",
        "The customer agreed to rent on for %(n)s periods (%(id)s).",
        event.periods,
    ) % {"n": event.periods, "id": event.consent}


def _pledged(event: Pledged, voice: Voice) -> str:
    said = {"amount": voice.money(event.amount_minor), "id": event.authorisation}
    if event.until is not None:
        return gettext("%(amount)s was authorised until %(day)s (%(id)s).") % (
            said | {"day": voice.day(event.until)}
        )
    return gettext("%(amount)s was authorised (%(id)s).") % said


def _with_amount(event: Any, voice: Voice) -> dict[str, str]:
    return {"amount": voice.money(event.amount_minor), "id": event.reference}


_SENTENCES: Final[dict[type, Callable[[Any, Voice], str]]] = {
    Confirmed: lambda _event, _voice: gettext("The contract was agreed."),
    Cancelled: lambda _event, _voice: gettext("The sale was called off before anything was shipped."),
    Shipped: lambda event, _voice: (
        gettext("Goods were shipped (%(id)s).") % {"id": event.shipment_id}
        if event.shipment_id
        else gettext("Goods were shipped.")
    ),
    Disbursed: lambda event, voice: (
        gettext("%(amount)s more was lent (%(id)s).") % _with_amount(event, voice)
    ),
    GoodsReturned: lambda event, voice: (
        gettext("Goods bought for %(amount)s came back (%(id)s).") % _with_amount(event, voice)
    ),
    RefundPaid: lambda event, voice: (
        gettext("A refund of %(amount)s was paid out (%(id)s).") % _with_amount(event, voice)
    ),
    DueReached: lambda event, _voice: gettext("Instalment %(n)s fell due.") % {"n": event.row},
    DueMoved: lambda event, voice: (
        gettext("Instalment %(n)s was put off to %(day)s, free of charge.")
        % {"n": event.row, "day": voice.day(event.to)}
    ),
    DueDayChanged: _due_day,
    PaymentReceived: _received,
    PaymentReversed: lambda event, _voice: (
        gettext("Payment %(id)s was taken back: %(why)s.")
        % {"id": event.payment_id, "why": reversal_name(event.reason)}
    ),
    PaymentFailed: lambda event, voice: (
        gettext("An attempt to collect %(amount)s failed: %(why)s.")
        % {"amount": voice.money(event.amount_minor), "why": failure_name(event.reason)}
    ),
    AllocatedByInstruction: _directed,
    PaidBack: lambda event, voice: (
        gettext("%(amount)s that had been paid went back to the customer (%(id)s).")
        % {"amount": voice.money(event.amount_minor), "id": event.payment_id.removeprefix(PAID_BACK)}
    ),
    UnappliedRefunded: _unapplied,
    PayoffQuoted: lambda event, voice: (
        gettext("Paying everything off was quoted at %(amount)s, good until %(day)s.")
        % {"amount": voice.money(event.amount_minor), "day": voice.day(event.valid_until)}
    ),
    Charged: _charged,
    Waived: _waived,
    GoodwillGranted: lambda event, voice: (
        gettext("%(amount)s was granted as goodwill (%(id)s).") % _with_amount(event, voice)
    ),
    Paused: _paused,
    ReAged: _re_aged,
    ReAmortised: lambda _event, _voice: gettext("What is past due was spread over the instalments to come."),
    Accelerated: lambda event, voice: (
        gettext("Everything was called due, after a demand on %(day)s.")
        % {"day": voice.day(event.demanded_on)}
    ),
    WrittenOff: lambda _event, _voice: gettext("What is owed was written off; the claim stays."),
    Recovered: _recovered,
    HandedOver: _handed_over,
    DepositHeld: lambda event, voice: (
        gettext("A deposit of %(amount)s was frozen on the customer’s account (%(id)s).")
        % _with_amount(event, voice)
    ),
    DepositApplied: lambda event, voice: (
        gettext("%(amount)s of the deposit paid rents that were due (%(id)s).") % _with_amount(event, voice)
    ),
    DepositReleased: lambda _event, _voice: gettext("What was left of the deposit was released."),
    LeaseReturned: lambda _event, _voice: gettext("The goods came back, and the lease ended."),
    Inspected: _inspected,
    BoughtOut: lambda event, voice: (
        gettext("The customer bought the goods for %(amount)s (%(id)s).")
        % {"amount": voice.money(event.price_minor), "id": event.consent}
    ),
    Renewed: _renewed,
    Pledged: _pledged,
    Captured: lambda event, _voice: (
        gettext("The campaign succeeded: what was authorised was taken (%(id)s).") % {"id": event.payment_id}
    ),
    PledgeReleased: lambda _event, _voice: gettext("The pledge was released: nothing was ever owed."),
}


def age_name(days: int) -> str:
    """How long something waits."""
    if not days:
        return gettext("today")
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": days}


# ------------------------------------------------------------------------------------------------------------ requests


def kind_name(kind: str) -> str:
    """What a request is about."""
    return {
        "hardship": gettext("Help with paying"),
        "return": gettext("Return of goods"),
        "goodwill": gettext("Goodwill above the limit"),
        "waiver": gettext("Waiver above the limit"),
        "write_off": gettext("Writing off"),
        "refund": gettext("Refund above the limit"),
        "held_refund": gettext("Sending unapplied money back"),
        "unmatched_refund": gettext("Sending money without a contract back"),
        "reversal": gettext("Taking a payment back"),
        "pay_back": gettext("Giving back what was paid"),
        "charge": gettext("Charge above the limit"),
    }.get(kind, kind)


def reason_name(reason: str) -> str:
    """Why paying is hard, or why goods go back."""
    return {
        "unwanted": pgettext("why goods go back", "not wanted any more"),
        "defective": pgettext("why goods go back", "defective"),
        "wrong_item": pgettext("why goods go back", "not what was ordered"),
        "late": pgettext("why goods go back", "came too late"),
        "income": pgettext("why paying is hard", "less income"),
        "illness": pgettext("why paying is hard", "illness"),
        "family": pgettext("why paying is hard", "family"),
        "disaster": pgettext("why paying is hard", "a disaster"),
        "other": pgettext("why paying is hard", "something else"),
    }.get(reason, reason)


def by_name(who: str) -> str:
    """Who asked or decided."""
    return gettext("the customer") if who == CUSTOMER else said(who)


def request_state(state: str) -> tuple[str, str]:
    """A request's state in a word, and its tone."""
    return {
        "open": (pgettext("request", "waiting"), "warn"),
        "approved": (pgettext("request", "approved"), "good"),
        "declined": (pgettext("request", "declined"), "bad"),
        "withdrawn": (pgettext("request", "withdrawn"), ""),
    }[state]
