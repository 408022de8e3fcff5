"""A contract as it stands: `replay` derives it from its terms and its events.

Rows, balances, what each payment paid, lateness and the economic *movements* all come out of the same pass. There is
no other way to them: what is stored anywhere is a cache of this function. `as_of` asks what was true on a day,
`known_at` what was believed at an instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Final, Literal

import msgspec

from fenqi.contracts.account import Account, Credit
from fenqi.contracts.allocation import FEE, INTEREST, PENALTY, PRINCIPAL, Purpose
from fenqi.contracts.events import (
    Charged,
    Confirmed,
    Disbursed,
    DueMoved,
    DueReached,
    Event,
    EventRefused,
    GoodwillGranted,
    PaidBack,
    PaymentReceived,
    PaymentReversed,
    UnappliedRefunded,
)
from fenqi.contracts.movements import Movement, MovementKind
from fenqi.contracts.terms import ContractTerms
from fenqi.terms.schedule import RowKind

__all__ = [
    "ContractState",
    "EventRefused",
    "Movement",
    "MovementKind",
    "PaidPart",
    "PaymentState",
    "RowState",
    "account_of",
    "paid_by",
    "replay",
]

RowStatus = Literal["paid", "upcoming", "due", "overdue"]
ContractStatus = Literal["unconfirmed", "active", "closed"]


class RowState(msgspec.Struct, frozen=True, gc=False):
    """One row: what is due, what was paid of it (before its day and after it, too), and how much of its fee is earned.

    `moved_from` is the date that was agreed, where an outage put it off; `moved_by` the notice that says so.
    """

    number: int
    kind: RowKind
    due_on: date
    principal_minor: int
    fee_minor: int
    principal_paid_minor: int
    fee_paid_minor: int
    fee_earned_minor: int
    reached: bool
    status: RowStatus
    moved_from: date | None = None
    moved_by: str = ""
    interest_minor: int = 0
    interest_paid_minor: int = 0
    interest_earned_minor: int = 0
    penalty_minor: int = 0
    penalty_paid_minor: int = 0
    paid_early_minor: int = 0
    paid_late_minor: int = 0

    @property
    def total_minor(self) -> int:
        return self.principal_minor + self.fee_minor + self.interest_minor + self.penalty_minor

    @property
    def paid_minor(self) -> int:
        return (
            self.principal_paid_minor
            + self.fee_paid_minor
            + self.interest_paid_minor
            + self.penalty_paid_minor
        )

    @property
    def outstanding_minor(self) -> int:
        return self.total_minor - self.paid_minor


class PaidPart(msgspec.Struct, frozen=True, gc=False):
    """What a payment paid of one row: when it came, or by a later event (`applied_by`) that gave it something to pay."""

    row: int
    fee_minor: int
    principal_minor: int
    interest_minor: int = 0
    penalty_minor: int = 0
    applied_by: int | None = None

    @property
    def total_minor(self) -> int:
        return self.fee_minor + self.principal_minor + self.interest_minor + self.penalty_minor


class PaymentState(msgspec.Struct, frozen=True):
    """A payment and where its money went: `amount_minor` = the parts + `unapplied_minor`, unless reversed or given back.

    `money` is False for what we granted instead.
    """

    payment_id: str
    event_seq: int
    occurred_on: date
    amount_minor: int
    parts: tuple[PaidPart, ...]
    unapplied_minor: int
    reversed_on: date | None = None
    purpose: Purpose = "repayment"
    money: bool = True


class ContractState(msgspec.Struct, frozen=True, kw_only=True):
    """A contract on a day.

    `next_*` is the oldest row that is not paid, late or not. `unapplied_minor` is money received beyond what was owed.
    """

    as_of: date
    status: ContractStatus
    currency: str
    rows: tuple[RowState, ...]
    payments: tuple[PaymentState, ...]
    principal_outstanding_minor: int
    fee_outstanding_minor: int
    unapplied_minor: int
    overdue_minor: int
    days_past_due: int
    next_row: int | None
    next_due_on: date | None
    next_due_minor: int
    confirmed_on: date | None
    closed_on: date | None
    movements: tuple[Movement, ...]
    interest_outstanding_minor: int = 0
    penalty_outstanding_minor: int = 0

    @property
    def balance_minor(self) -> int:
        """Everything still to be paid, due or not."""
        return (
            self.principal_outstanding_minor
            + self.fee_outstanding_minor
            + self.interest_outstanding_minor
            + self.penalty_outstanding_minor
        )

    @property
    def paid_minor(self) -> int:
        """What has been paid towards the rows."""
        return sum(row.paid_minor for row in self.rows)

    @property
    def overdue(self) -> bool:
        return self.days_past_due > 0


def replay(
    terms: ContractTerms, events: Iterable[Event], as_of: date, known_at: int | None = None
) -> ContractState:
    """The contract on `as_of` (end of that day), from what was known at `known_at` (epoch seconds; None: everything).

    The order in which events are given does not matter. Raises `EventRefused` where they cannot all be true.
    """
    account = account_of(terms, events, as_of, known_at)
    account.come_to(as_of)
    return _state(account, as_of)


def account_of(
    terms: ContractTerms, events: Iterable[Event], as_of: date, known_at: int | None = None
) -> Account:
    """The running account after the events up to a day. Interest that runs has come as far as the last event."""
    known = [
        event
        for event in events
        if event.occurred_on <= as_of and (known_at is None or event.recorded_at <= known_at)
    ]
    known.sort(key=_order)
    account = Account(terms)
    _run(account, known)
    return account


def paid_by(state: ContractState, row: int) -> tuple[tuple[PaymentState, PaidPart], ...]:
    """The payments that paid a row, with what each paid of it."""
    return tuple((payment, part) for payment in state.payments for part in payment.parts if part.row == row)


def _order(event: Event) -> tuple[date, int, int]:
    return event.occurred_on, event.recorded_at, event.seq


def _run(account: Account, events: list[Event]) -> None:
    """Let events happen, in their order."""
    for index, event in enumerate(events):
        kind = type(event)
        if kind is PaymentReversed:
            _reverse(account, event, events[:index])  # type: ignore[arg-type]
        else:
            _VERBS[kind](account, event)
        if account.terms.interest is not None:
            # What was agreed to the fen is earned by being paid early, too: or a receivable would be below zero.
            account.recognise(event.seq)
        if account.outstanding:
            account.closed_on = None
        elif account.closed_on is None and account.confirmed_on is not None:
            account.closed_on = event.occurred_on


def _confirm(account: Account, event: Confirmed) -> None:
    if account.confirmed_on is not None:
        raise EventRefused("event", event.seq, "a contract that is not confirmed yet")
    account.confirmed_on = event.occurred_on
    terms = account.terms
    others = terms.for_other_sellers_minor
    principal = sum(row.principal_minor for row in terms.rows)
    account.move(event.seq, "sold", principal - others)
    account.move(event.seq, "sold_for_others", others)
    if terms.interest is not None:
        at_start = sum(row.principal_minor for row in terms.rows if row.kind in ("down_payment", "up_front"))
        account.lend(terms.interest.begins_on, principal - at_start, replan=False)
    if account.credits:
        # Money came before the agreement: now there is something to pay with it.
        account.apply_held(event.seq, event.occurred_on)


def _reach(account: Account, event: DueReached) -> None:
    row = account.place_of(event.row, event.seq)
    if account.reached[row]:
        raise EventRefused("event", event.seq, f"row {event.row} to be reached once")
    account.reached[row] = True
    rest = account.owed[4 * row + FEE] - account.earned[row]
    if rest:
        account.earned[row] += rest
        account.move(event.seq, "fee_earned", rest, row)
    account.recognise(event.seq)


def _put_off(account: Account, event: DueMoved) -> None:
    """A date only ever moves to a later one. No fee follows from it, and what was earned stays earned."""
    row = account.place_of(event.row, event.seq)
    due_on = account.due_on(row)
    if event.to <= due_on:
        raise EventRefused("to", event.to.isoformat(), f"a date after {due_on.isoformat()}, when it is due")
    at = account.sequence.index(row) + 1
    if at < len(account.sequence):
        following = account.due_on(account.sequence[at])
        if event.to > following:
            raise EventRefused(
                "to", event.to.isoformat(), f"at most {following.isoformat()}, when the next row is due"
            )
    account.moved[row] = (event.to, event.announcement)


def _receive(account: Account, event: PaymentReceived) -> None:
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    if event.payment_id in account.credits:
        raise EventRefused("payment_id", event.payment_id, "a payment that is not booked yet")
    if account.daily:
        account.come_to(event.occurred_on, event.amount_minor)
    account.take(
        Credit(event.payment_id, event.seq, event.occurred_on, event.amount_minor, event.purpose, True)
    )


def _grant(account: Account, event: GoodwillGranted) -> None:
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    if event.payment_id in account.credits:
        raise EventRefused("payment_id", event.payment_id, "a credit that is not booked yet")
    account.come_to(event.occurred_on)
    account.take(
        Credit(event.payment_id, event.seq, event.occurred_on, event.amount_minor, event.purpose, False)
    )


def _reverse(account: Account, event: PaymentReversed, past: list[Event]) -> None:
    """Without the payment, everything up to now went otherwise: the event's movements are the difference."""
    credit = account.credits.get(event.payment_id)
    if credit is None:
        raise EventRefused("payment_id", event.payment_id, "a payment received on or before that day")
    if credit.reversed_on is not None:
        raise EventRefused("payment_id", event.payment_id, "a payment that was not reversed before")
    anew = Account(account.terms)
    anew.void = {**account.void, event.payment_id: event.occurred_on}
    _run(anew, [each for each in past if type(each) is not PaymentReversed])
    before, after = account.movements, anew.movements
    kept = len(before)
    undone = [Movement(event.seq, each.kind, -each.amount_minor, each.row) for each in before]
    anew.movements = before + after + undone
    anew.gather(event.seq, kept)
    account.__dict__ = anew.__dict__


def _disburse(account: Account, event: Disbursed) -> None:
    if account.confirmed_on is None:
        raise EventRefused("event", event.seq, "a contract that is confirmed")
    if account.accrual is None:
        raise EventRefused(
            "event",
            event.seq,
            "a contract with interest",
            "make a contract of its own for what is bought besides",
        )
    if not 0 <= event.down_payment_minor <= event.amount_minor or not event.amount_minor:
        raise EventRefused("down_payment_minor", event.down_payment_minor, f"0 to {event.amount_minor}")
    account.come_to(event.occurred_on)
    account.move(event.seq, "sold", event.amount_minor)
    if event.down_payment_minor:
        row = account.add_row("down_payment", event.occurred_on)
        account.owe(row, PRINCIPAL, event.down_payment_minor)
    account.lend(event.occurred_on, event.amount_minor - event.down_payment_minor, replan=True)
    account.apply_held(event.seq, event.occurred_on, "repayment")


def _charge(account: Account, event: Charged) -> None:
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    if event.charge_id in account.charges:
        raise EventRefused("charge_id", event.charge_id, "a charge that is not booked yet")
    if all(cost.code != event.code for cost in account.terms.plan.contingent):
        raise EventRefused("code", event.code, "a cost that the disclosure named as one that may arise")
    part = PENALTY if event.part == "penalty" else FEE
    account.charge(event.seq, event.charge_id, part, event.amount_minor, event.due_on)
    account.apply_held(event.seq)


def _pay_back(account: Account, event: PaidBack) -> None:
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    if event.payment_id in account.credits:
        raise EventRefused("payment_id", event.payment_id, "a payment that is not booked yet")
    if account.daily:
        raise EventRefused(
            "event", event.seq, "a contract whose interest does not run daily", "reverse the payment instead"
        )
    credit = Credit(event.payment_id, event.seq, event.occurred_on, -event.amount_minor, "paid_back", True)
    if event.payment_id in account.void:
        credit.reversed_on, credit.unapplied = account.void[event.payment_id], 0
        account.credits[credit.name] = credit
        return
    short = account.pay_back(credit)
    if short:
        # It went out all the same: of what is held, or it is owed again.
        account.move(event.seq, "unapplied_refunded", short)
        short -= account.give_back(short)
    if short:
        account.reclaim(event.seq, event.occurred_on, short)


def _give_back(account: Account, event: UnappliedRefunded) -> None:
    """What is given back of money that turned out to be owed after all is owed again."""
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    account.come_to(event.occurred_on)
    short = event.amount_minor - account.give_back(event.amount_minor)
    account.move(event.seq, "unapplied_refunded", event.amount_minor)
    if short:
        account.reclaim(event.seq, event.occurred_on, short)


_VERBS: Final[dict[type, Callable[[Account, Any], None]]] = {
    Confirmed: _confirm,
    DueReached: _reach,
    DueMoved: _put_off,
    PaymentReceived: _receive,
    GoodwillGranted: _grant,
    Disbursed: _disburse,
    Charged: _charge,
    PaidBack: _pay_back,
    UnappliedRefunded: _give_back,
}


def _state(account: Account, as_of: date) -> ContractState:
    left, owed, reached, earned = account.left, account.owed, account.reached, account.earned
    kinds, numbers = account.kinds, account.numbers
    rows: list[RowState] = []
    fees = principals = interests = penalties = overdue = late_days = next_minor = 0
    next_row: int | None = None
    next_on: date | None = None
    # An offer of one day that is agreed to on the next has nothing due, let alone late, before it is agreed.
    earliest = account.confirmed_on or date.min
    early, late = _early_and_late(account, earliest)
    for row in account.sequence:
        at = 4 * row
        penalty_left, fee_left, interest_left, principal_left = left[at : at + 4]
        due_on = account.due[row]
        if due_on < earliest:
            due_on = earliest
        moved_from, moved_by = None, ""
        if row in account.moved:
            moved_from, (due_on, moved_by) = due_on, account.moved[row]
        open_minor = penalty_left + fee_left + interest_left + principal_left
        status: RowStatus = "paid"
        if open_minor:
            penalties += penalty_left
            fees += fee_left
            interests += interest_left
            principals += principal_left
            if next_row is None:
                next_row, next_on, next_minor = numbers[row], due_on, open_minor
            if due_on > as_of:
                status = "upcoming"
            elif due_on == as_of:
                status = "due"
            else:
                status = "overdue"
                overdue += open_minor
                if not late_days:
                    late_days = (as_of - due_on).days
        penalty, fee, interest, principal = owed[at : at + 4]
        rows.append(
            RowState(
                numbers[row],
                kinds[row],
                due_on,
                principal,
                fee,
                principal - principal_left,
                fee - fee_left,
                earned[row],
                reached[row],
                status,
                moved_from,
                moved_by,
                interest,
                interest - interest_left,
                account.interest_earned[row],
                penalty,
                penalty - penalty_left,
                early.get(row, 0),
                late.get(row, 0),
            )
        )
    status_now: ContractStatus = "active"
    if account.confirmed_on is None:
        # Nothing is owed yet, so nothing is late.
        status_now, overdue, late_days = "unconfirmed", 0, 0
    elif not account.outstanding:
        status_now = "closed"
    return ContractState(
        as_of=as_of,
        status=status_now,
        currency=account.terms.currency,
        rows=tuple(rows),
        payments=tuple([_payment(account, credit) for credit in account.credits.values()]),
        principal_outstanding_minor=principals,
        fee_outstanding_minor=fees,
        unapplied_minor=account.held,
        overdue_minor=overdue,
        days_past_due=late_days,
        next_row=next_row,
        next_due_on=next_on,
        next_due_minor=next_minor,
        confirmed_on=account.confirmed_on,
        closed_on=account.closed_on,
        movements=tuple(account.movements),
        interest_outstanding_minor=interests,
        penalty_outstanding_minor=penalties,
    )


def _early_and_late(account: Account, earliest: date) -> tuple[dict[int, int], dict[int, int]]:
    """What was paid of each row before its day, and after it."""
    early: dict[int, int] = {}
    late: dict[int, int] = {}
    due = account.due
    moved = account.moved
    for credit in account.credits.values():
        on = credit.on
        for slot, minor in credit.paid:
            row = slot >> 2
            due_on = moved[row][0] if row in moved else due[row]
            if due_on < earliest:
                due_on = earliest
            if on < due_on:
                early[row] = early.get(row, 0) + minor
            elif on > due_on:
                late[row] = late.get(row, 0) + minor
        for _, on, slot, minor in credit.later:
            row = slot >> 2
            if on < due[row]:
                early[row] = early.get(row, 0) + minor
            elif on > due[row]:
                late[row] = late.get(row, 0) + minor
    return early, late


def _payment(account: Account, credit: Credit) -> PaymentState:
    numbers = account.numbers
    parts: list[PaidPart] = []
    sums: dict[tuple[int | None, int], list[int]] = {}
    for slot, amount in credit.paid:
        four = sums.get((None, slot >> 2))
        if four is None:
            four = sums[None, slot >> 2] = [0, 0, 0, 0]
        four[slot & 3] += amount
    for seq, _, slot, amount in credit.later:
        sums.setdefault((seq, slot >> 2), [0, 0, 0, 0])[slot & 3] += amount
    for (applied_by, row), four in sums.items():
        parts.append(
            PaidPart(numbers[row], four[FEE], four[PRINCIPAL], four[INTEREST], four[PENALTY], applied_by)
        )
    if account.terms.allocation.along != "rows" or account.terms.allocation.rules:
        places = {numbers[row]: at for at, row in enumerate(account.sequence)}
        parts.sort(key=lambda part: (part.applied_by or 0, places[part.row]))
    return PaymentState(
        credit.name,
        credit.seq,
        credit.on,
        credit.amount,
        tuple(parts),
        credit.unapplied,
        credit.reversed_on,
        credit.purpose,
        credit.money,
    )
