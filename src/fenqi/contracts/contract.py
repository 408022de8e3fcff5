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

from fenqi.contracts.account import Account, Credit, refused
from fenqi.contracts.acts import agreement, charging, dates, distress, goods, leasing, money, pledging
from fenqi.contracts.allocation import FEE, INTEREST, PENALTY, PRINCIPAL, Purpose
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
    EventRefused,
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
from fenqi.contracts.lease import LeaseState
from fenqi.contracts.movements import Movement, MovementKind
from fenqi.contracts.pledge import PledgeState
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
    "Running",
    "account_of",
    "apply",
    "begin",
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
    rent_minor: int = 0
    rent_paid_minor: int = 0
    rent_earned_minor: int = 0
    deposit_minor: int = 0
    deposit_paid_minor: int = 0

    @property
    def total_minor(self) -> int:
        return (
            self.principal_minor
            + self.fee_minor
            + self.interest_minor
            + self.penalty_minor
            + self.rent_minor
            + self.deposit_minor
        )

    @property
    def paid_minor(self) -> int:
        return (
            self.principal_paid_minor
            + self.fee_paid_minor
            + self.interest_paid_minor
            + self.penalty_paid_minor
            + self.rent_paid_minor
            + self.deposit_paid_minor
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
    rent_minor: int = 0
    deposit_minor: int = 0

    @property
    def total_minor(self) -> int:
        return (
            self.fee_minor
            + self.principal_minor
            + self.interest_minor
            + self.penalty_minor
            + self.rent_minor
            + self.deposit_minor
        )


class PaymentState(msgspec.Struct, frozen=True):
    """A payment and where its money went: `amount_minor` = the parts + `unapplied_minor`, unless reversed or given back.

    `money` is False for what we granted instead; what of that found nothing to pay is `lapsed_minor`.
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
    recovered_minor: int = 0
    lapsed_minor: int = 0


_GIVEN_BACK: Final = ("fee_returned", "charge_returned", "interest_returned", "penalty_returned")
_REFUNDED: Final = ("refund_due", "refund_due_for_others", *_GIVEN_BACK)


class ContractState(msgspec.Struct, frozen=True, kw_only=True):
    """A contract on a day.

    `next_*` is the oldest row that is not paid, late or not. `unapplied_minor` is money received beyond what was owed,
    `refund_due_minor` what is to be paid out for goods that went back. What was written off is a claim still:
    `written_off_minor` of it there was, and `recovered_minor` came. A lease owes all rents of its term, and its deposit until that
    is paid; it is closed when it has ended and nothing is held or owed. `lease` and `pledge` say where those stand.
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
    refund_due_minor: int = 0
    returned_minor: int = 0
    written_off_minor: int = 0
    recovered_minor: int = 0
    shipped_on: date | None = None
    cancelled_on: date | None = None
    accelerated_on: date | None = None
    written_off_on: date | None = None
    paused_until: date | None = None
    failures: tuple[PaymentFailed, ...] = ()
    quotes: tuple[PayoffQuoted, ...] = ()
    rent_outstanding_minor: int = 0
    deposit_outstanding_minor: int = 0
    lease: LeaseState | None = None
    pledge: PledgeState | None = None

    @property
    def balance_minor(self) -> int:
        """Everything still to be paid, due or not."""
        return (
            self.principal_outstanding_minor
            + self.fee_outstanding_minor
            + self.interest_outstanding_minor
            + self.penalty_outstanding_minor
            + self.rent_outstanding_minor
            + self.deposit_outstanding_minor
        )

    @property
    def paid_minor(self) -> int:
        """What has been paid towards the rows."""
        return sum(row.paid_minor for row in self.rows)

    @property
    def given_back_minor(self) -> int:
        """Fees, interest and charges that were paid and go back to the customer; the rows say still what they were."""
        return sum(movement.amount_minor for movement in self.movements if movement.kind in _GIVEN_BACK)

    @property
    def refunded_minor(self) -> int:
        """What was paid and is, or was, to go back to the customer for goods or a sale that was called off."""
        return sum(movement.amount_minor for movement in self.movements if movement.kind in _REFUNDED)

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
    account.newest = max([event.seq for event in known], default=0)
    _run(account, known)
    return account


class Running:
    """A contract with its account kept, so that one more event costs one step. It is never changed: `apply` gives another."""

    __slots__ = ("account", "events", "terms")

    def __init__(self, terms: ContractTerms, events: tuple[Event, ...], account: Account) -> None:
        self.terms = terms
        self.events = events
        self.account = account

    def state(self, as_of: date) -> ContractState:
        """The contract at the end of a day, from every event there is. The day is not before the last event's."""
        account = self.account
        if account.daily:
            account = account.copy()
            account.come_to(as_of)
        return _state(account, as_of)


def begin(terms: ContractTerms, events: Iterable[Event] = ()) -> Running:
    """A contract to which events are applied one by one."""
    told = tuple(sorted(events, key=_order))
    return Running(terms, told, account_of(terms, told, date.max))


def apply(running: Running, event: Event) -> Running:
    """The contract with one more event: one step where it is the latest, from the start where it is told late.

    Raises `EventRefused`, with `running` as it was. What comes out is what `replay` gives.
    """
    events = running.events
    if events and _order(event) < _order(events[-1]):
        return begin(running.terms, (*events, event))
    account = running.account.copy()
    account.newest = max(account.newest, event.seq)
    step(account, event)
    return Running(running.terms, (*events, event), account)


def paid_by(state: ContractState, row: int) -> tuple[tuple[PaymentState, PaidPart], ...]:
    """The payments that paid a row, with what each paid of it."""
    return tuple((payment, part) for payment in state.payments for part in payment.parts if part.row == row)


def _order(event: Event) -> tuple[date, int, int]:
    return event.occurred_on, event.recorded_at, event.seq


def _run(account: Account, events: list[Event]) -> None:
    """Let events happen, in their order."""
    for event in events:
        step(account, event)


def step(account: Account, event: Event) -> None:
    """Let one event happen after those before it."""
    kind, start = type(event), len(account.movements)
    if account.leased is not None or account.pledge is not None:
        _check_kind(account, event)
    if kind is PaymentReversed:
        money.reverse(account, event, _run)  # type: ignore[arg-type]
    elif kind is AllocatedByInstruction:
        money.instruct(account, event, _run)  # type: ignore[arg-type]
    else:
        _ACTS[kind](account, event)
    if account.may_lapse:
        account.let_lapse(event.seq, start)
    account.past.append(event)
    if account.terms.interest is not None:
        account.recognise(event.seq)
    if account.outstanding or not account.over:
        account.closed_on = None
    elif account.closed_on is None and account.confirmed_on is not None:
        account.closed_on = event.occurred_on


def _check_kind(account: Account, event: Event) -> None:
    """That an event is one of a lease, or of a pledge."""
    if account.leased is not None:
        way_out = _NOT_OF_LEASES.get(type(event))
        if way_out:
            raise refused(event, "a lease", "a contract that pays a price back", way_out)
    elif account.pledge is not None and account.pledge.captured_on is None:
        way_out = _NOT_BEFORE_CAPTURE.get(type(event))
        if way_out:
            raise refused(
                event, f"a pledge that is {account.pledge.stage}", "a pledge that was captured", way_out
            )


_NOT_OF_LEASES: Final[dict[type, str]] = {
    Shipped: "hand the goods over",
    GoodsReturned: "take the goods of the lease back",
    PaidBack: "reverse the payment, or release the deposit",
    PayoffQuoted: "buy the goods out, or give them back",
    DueDayChanged: "put a due date off",
    Paused: "put a due date off, or waive a rent",
    ReAged: "put a due date off, or waive a rent",
    ReAmortised: "put a due date off, or waive a rent",
    Accelerated: "collect what is due: rents of a time that has not come are not called due",
}
_NOT_BEFORE_CAPTURE: Final[dict[type, str]] = {
    Cancelled: "release the pledge",
    GoodsReturned: "release the pledge",
    Shipped: "capture it first",
    PayoffQuoted: "nothing is owed before it is captured",
    DueDayChanged: "release the pledge, and make another",
    Paused: "nothing is owed before it is captured",
    Charged: "nothing is owed before it is captured",
    WrittenOff: "release the pledge",
}

_ACTS: Final[dict[type, Callable[[Account, Any], None]]] = {
    Confirmed: agreement.confirm,
    Shipped: agreement.ship,
    Cancelled: agreement.cancel,
    Disbursed: agreement.disburse,
    GoodsReturned: goods.take_back,
    RefundPaid: goods.pay_refund,
    DueReached: dates.reach,
    DueMoved: dates.put_off,
    DueDayChanged: dates.change_day,
    Paused: dates.pause,
    PaymentReceived: money.receive,
    PaymentFailed: money.fail,
    PaidBack: money.pay_back,
    UnappliedRefunded: money.give_back,
    GoodwillGranted: money.grant,
    PayoffQuoted: money.quote,
    Charged: charging.charge,
    Waived: charging.waive,
    ReAged: distress.re_age,
    ReAmortised: distress.re_amortise,
    Accelerated: distress.accelerate,
    WrittenOff: distress.write_off,
    Recovered: distress.recover,
    HandedOver: leasing.hand_over,
    DepositHeld: leasing.hold_deposit,
    DepositApplied: leasing.apply_deposit,
    DepositReleased: leasing.release_deposit,
    LeaseReturned: leasing.take_back,
    Inspected: leasing.inspect,
    BoughtOut: leasing.buy_out,
    Renewed: leasing.renew,
    Pledged: pledging.pledge,
    Captured: pledging.capture,
    PledgeReleased: pledging.release,
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
                    if account.pauses:
                        late_days -= account.paused_days(due_on, as_of)
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
    elif not account.outstanding and account.over:
        status_now = "closed"
    rents = deposit_open = 0
    leased, pledge = account.leased, account.pledge
    if leased is not None:
        rows = [
            _row_of_lease(row, place == leased.deposit_row)
            for row, place in zip(rows, account.sequence, strict=True)
        ]
        rents, interests = interests, 0
        if leased.deposit_row is not None:
            deposit_open = left[4 * leased.deposit_row + PRINCIPAL]
            principals -= deposit_open
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
        refund_due_minor=account.refund_due,
        returned_minor=sum(minor for _, minor, _ in account.returned),
        written_off_minor=account.written_off,
        recovered_minor=account.recovered,
        shipped_on=account.shipped_on,
        cancelled_on=account.cancelled_on,
        accelerated_on=account.accelerated_on,
        written_off_on=account.written_off_on,
        paused_until=max([until for _, until in account.pauses], default=None),
        failures=tuple(account.failures),
        quotes=tuple(account.quotes.values()),
        rent_outstanding_minor=rents,
        deposit_outstanding_minor=deposit_open,
        lease=None if leased is None else leased.state(as_of, account.deposit_left),
        pledge=None if pledge is None else pledge.state(),
    )


def _row_of_lease(row: RowState, deposit: bool) -> RowState:
    """A rent lies where interest does, and a deposit where principal does: here they have their own names."""
    row = msgspec.structs.replace(
        row,
        rent_minor=row.interest_minor,
        rent_paid_minor=row.interest_paid_minor,
        rent_earned_minor=row.interest_earned_minor,
        interest_minor=0,
        interest_paid_minor=0,
        interest_earned_minor=0,
    )
    if not deposit:
        return row
    return msgspec.structs.replace(
        row,
        deposit_minor=row.principal_minor,
        deposit_paid_minor=row.principal_paid_minor,
        principal_minor=0,
        principal_paid_minor=0,
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
    if account.leased is not None:
        place = account.leased.deposit_row
        parts = [_part_of_lease(part, None if place is None else numbers[place]) for part in parts]
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
        credit.recovered,
        credit.lapsed,
    )


def _part_of_lease(part: PaidPart, deposit_row: int | None) -> PaidPart:
    """What was paid of a rent or of a deposit, by its own name."""
    deposit = part.principal_minor if part.row == deposit_row else 0
    return msgspec.structs.replace(
        part,
        interest_minor=0,
        rent_minor=part.interest_minor,
        principal_minor=part.principal_minor - deposit,
        deposit_minor=deposit,
    )
