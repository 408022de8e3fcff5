"""Money that came, did not come, was taken back, or goes back; and what we take on ourselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import msgspec

from fenqi.contracts.account import Account, Credit, refused
from fenqi.contracts.allocation import PARTS, Purpose
from fenqi.contracts.events import (
    AllocatedByInstruction,
    Event,
    EventRefused,
    GoodwillGranted,
    PaidBack,
    PaymentFailed,
    PaymentReceived,
    PaymentReversed,
    PayoffQuoted,
    UnappliedRefunded,
)
from fenqi.contracts.movements import Movement

__all__ = [
    "fail",
    "give_back",
    "grant",
    "instruct",
    "pay_back",
    "quote",
    "receive",
    "reverse",
]


def _credit(
    account: Account, event: PaymentReceived | GoodwillGranted | PaidBack, purpose: Purpose, money: bool
) -> Credit:
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    if event.payment_id in account.credits:
        raise EventRefused("payment_id", event.payment_id, "a payment that is not booked yet")
    return Credit(event.payment_id, event.seq, event.occurred_on, event.amount_minor, purpose, money)


def receive(account: Account, event: PaymentReceived) -> None:
    """Money pays what is owed. By a quote that stands, it pays everything off; else it is a payment like any other."""
    credit = _credit(account, event, event.purpose, True)
    if event.settles and event.payment_id not in account.void:
        asked = account.quotes.get(event.settles)
        if asked is not None and event.occurred_on <= asked.valid_until:
            settle_by(account, event.seq, asked, event)
    if account.daily:
        account.come_to(event.occurred_on, event.amount_minor)
    account.take(credit)


def settle_by(account: Account, seq: int, asked: PayoffQuoted, event: PaymentReceived) -> None:
    """Let what a payoff spares go, and charge what it costs, so that the quoted amount leaves nothing owed: once."""
    if event.amount_minor + account.held < asked.amount_minor or asked.quote_id in account.settled:
        return
    if account.confirmed_on is None or account.cancelled_on is not None or account.written_off_on is not None:
        return
    if not account.outstanding:
        # Everything is paid: there is nothing to pay off, and it costs nothing.
        return
    account.settled.add(asked.quote_id)
    account.spare_fees(seq, event.occurred_on)
    if asked.charge_minor:
        account.charge(
            seq, f"payoff {asked.quote_id}", PARTS.index("fee"), asked.charge_minor, event.occurred_on
        )


def quote(account: Account, event: PayoffQuoted) -> None:
    """A quote is remembered. It binds us until its date, and changes nothing."""
    owed = account.confirmed_on is not None and account.outstanding > 0
    if event.seq == account.newest and not owed:
        state = "not confirmed" if account.confirmed_on is None else "closed"
        raise refused(event, state, "a contract with something owed", "nothing is to be paid off")
    if event.quote_id in account.quotes:
        raise EventRefused("quote_id", event.quote_id, "a quote that is not known yet")
    if event.valid_until < event.occurred_on:
        raise EventRefused(
            "valid_until", event.valid_until.isoformat(), f"{event.occurred_on}, when it is given, or later"
        )
    account.quotes[event.quote_id] = event


def grant(account: Account, event: GoodwillGranted) -> None:
    """A credit of ours pays as money would. What of it nothing is owed for is held, or lapses with this event or a later one."""
    credit = _credit(account, event, event.purpose, False)
    if event.unused == "lapses":
        credit.lapses = account.may_lapse = True
    if account.daily:
        account.come_to(event.occurred_on)
    account.take(credit)


def fail(account: Account, event: PaymentFailed) -> None:
    """Nothing is owed or paid by an attempt that failed."""
    if any(each.attempt_id == event.attempt_id for each in account.failures):
        raise EventRefused("attempt_id", event.attempt_id, "an attempt that is not booked yet")
    account.failures.append(event)


def reverse(account: Account, event: PaymentReversed, run: Callable[[Account, list[Event]], None]) -> None:
    """Without the payment, everything up to now went otherwise: the event's movements are the difference."""
    credit = account.credits.get(event.payment_id)
    if credit is None or credit.noted:
        raise EventRefused("payment_id", event.payment_id, "a payment received on or before that day")
    if event.payment_id in account.void:
        raise EventRefused("payment_id", event.payment_id, "a payment that was not reversed before")
    _again(account, event, run, void={**account.void, event.payment_id: event.occurred_on})


def instruct(
    account: Account, event: AllocatedByInstruction, run: Callable[[Account, list[Event]], None]
) -> None:
    """With the payment going where it was meant to, everything up to now went otherwise."""
    for each in event.parts:
        if each.amount_minor <= 0:
            raise EventRefused("parts.amount_minor", each.amount_minor, "more than 0")
    credit = account.credits.get(event.payment_id)
    if credit is None or credit.reversed_on is not None or not credit.money:
        if event.seq == account.newest:
            raise EventRefused("payment_id", event.payment_id, "a payment received before that stands")
        # It was taken back, as was learnt later: there is nothing to say of it any more.
        return
    for each in event.parts:
        account.place_of(each.row, event)
    meant = sum(each.amount_minor for each in event.parts)
    if meant > credit.amount:
        raise refused(
            event,
            f"a payment of {credit.amount}",
            f"parts that come to no more than that, not {meant}",
            "say what so much of it is for",
        )
    _again(account, event, run, instructions={**account.instructions, event.payment_id: event.parts})


def _again(
    account: Account,
    event: Event,
    run: Callable[[Account, list[Event]], None],
    void: dict[str, date] | None = None,
    instructions: dict[str, tuple[msgspec.Struct, ...]] | None = None,
) -> None:
    """Let everything before happen again with something else known, and book the difference by the event."""
    anew = Account(account.terms)
    anew.newest = account.newest
    anew.void = account.void if void is None else void
    anew.instructions = account.instructions if instructions is None else instructions  # type: ignore[assignment]
    past = account.past
    run(anew, [each for each in past if type(each) not in (PaymentReversed, AllocatedByInstruction)])
    before, after = account.movements, anew.movements
    kept = len(before)
    undone = [Movement(event.seq, each.kind, -each.amount_minor, each.row) for each in before]
    anew.movements = before + after + undone
    anew.gather(event.seq, kept)
    anew.past = past
    account.__dict__ = anew.__dict__


def pay_back(account: Account, event: PaidBack) -> None:
    """Money that had paid rows goes back: they are owed again."""
    interest = account.terms.interest
    if interest is not None and interest.daily:
        raise refused(
            event,
            "interest runs daily",
            "a contract whose rows are fixed",
            "reverse the payment, or refund what nothing is owed for",
        )
    credit = _credit(account, event, "paid_back", True)
    if event.payment_id in account.void:
        credit.amount, credit.unapplied = -event.amount_minor, 0
        credit.reversed_on = account.void[event.payment_id]
        account.credits[credit.name] = credit
        return
    paid = sum(account.owed) - sum(account.left)
    if event.seq == account.newest and event.amount_minor > paid:
        raise refused(event, f"{paid} paid", f"no more than that, not {event.amount_minor}", "pay that back")
    credit.amount = -event.amount_minor
    short = account.pay_back(credit)
    account.apply_held(event.seq, event.occurred_on)
    if short:
        account.send_out(event.seq, event.occurred_on, short)


def give_back(account: Account, event: UnappliedRefunded) -> None:
    """What is given back of money that turned out to be owed after all is owed again."""
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    only_money = event.goodwill == "taken_back"
    held = account.held_money if only_money else account.held
    if event.seq == account.newest and event.amount_minor > held:
        raise refused(
            event,
            f"{held} unapplied",
            f"no more than that, not {event.amount_minor}",
            "refund what nothing is owed for",
        )
    if account.daily:
        account.come_to(event.occurred_on)
    start = len(account.movements)
    account.send_out(event.seq, event.occurred_on, event.amount_minor, only_money=only_money)
    if only_money:
        # What is owed again after all, goodwill pays; what is left of that is taken back.
        account.apply_held(event.seq, event.occurred_on)
        account.let_lapse(event.seq, start, every=True)
