"""A contract as it stands: `replay` derives it from its terms and its events.

Rows, balances, what each payment paid, lateness and the economic *movements* all come out of the same pass. There is
no other way to them: what is stored anywhere is a cache of this function. `as_of` asks what was true on a day,
`known_at` what was believed at an instant.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final, Literal

import msgspec

from fenqi.contracts.events import Confirmed, DueMoved, DueReached, Event, PaymentReceived, PaymentReversed
from fenqi.contracts.terms import ContractTerms
from fenqi.problems import BadInput
from fenqi.terms.schedule import RowKind

__all__ = [
    "ContractState",
    "EventRefused",
    "Movement",
    "MovementKind",
    "PaidPart",
    "PaymentState",
    "RowState",
    "paid_by",
    "replay",
]

MovementKind = Literal["sold", "sold_for_others", "fee_earned", "fee_paid", "principal_paid", "unapplied"]
RowStatus = Literal["paid", "upcoming", "due", "overdue"]
ContractStatus = Literal["unconfirmed", "active", "closed"]


class EventRefused(BadInput):
    """An event that cannot follow the ones before it."""


class Movement(msgspec.Struct, frozen=True, gc=False):
    """What one event did, economically. Negative where it undoes something.

    `row` is None where a movement belongs to no row (a sale; money that nothing was owed for).
    """

    event_seq: int
    kind: MovementKind
    amount_minor: int
    row: int | None = None


class RowState(msgspec.Struct, frozen=True, gc=False):
    """One row: what is due, what was paid of it, and how much of its fee is earned.

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

    @property
    def total_minor(self) -> int:
        return self.principal_minor + self.fee_minor

    @property
    def paid_minor(self) -> int:
        return self.principal_paid_minor + self.fee_paid_minor

    @property
    def outstanding_minor(self) -> int:
        return self.principal_minor + self.fee_minor - self.principal_paid_minor - self.fee_paid_minor


class PaidPart(msgspec.Struct, frozen=True, gc=False):
    """What a payment paid of one row."""

    row: int
    fee_minor: int
    principal_minor: int


class PaymentState(msgspec.Struct, frozen=True):
    """A payment and where its money went: `amount_minor` = the parts + `unapplied_minor`, unless reversed."""

    payment_id: str
    event_seq: int
    occurred_on: date
    amount_minor: int
    parts: tuple[PaidPart, ...]
    unapplied_minor: int
    reversed_on: date | None = None


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

    @property
    def balance_minor(self) -> int:
        """Everything still to be paid, due or not."""
        return self.principal_outstanding_minor + self.fee_outstanding_minor

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
    known = [
        event
        for event in events
        if event.occurred_on <= as_of and (known_at is None or event.recorded_at <= known_at)
    ]
    known.sort(key=_order)
    return _Replay(terms).run(known, as_of)


def paid_by(state: ContractState, row: int) -> tuple[tuple[PaymentState, PaidPart], ...]:
    """The payments that paid a row, with what each paid of it."""
    return tuple((payment, part) for payment in state.payments for part in payment.parts if part.row == row)


def _order(event: Event) -> tuple[date, int, int]:
    return event.occurred_on, event.recorded_at, event.seq


class _Payment:
    """A payment while it is replayed."""

    __slots__ = ("event", "paid", "reversed_on", "unapplied")

    def __init__(self, event: PaymentReceived) -> None:
        self.event = event
        self.paid: list[tuple[int, int]] = []
        self.unapplied = event.amount_minor
        self.reversed_on: date | None = None


# Slots: one for each part of each row, numbered 2 * row index for the fee and one more for the principal.
_FEE: Final = 0
_PRINCIPAL: Final = 1


class _Replay:
    """One pass over events in order. Amounts owed lie in slots; money fills them in the order of the allocation."""

    def __init__(self, terms: ContractTerms) -> None:
        self.terms = terms
        rows = terms.rows
        self.owed: list[int] = []
        for row in rows:
            self.owed += (row.fee_minor, row.principal_minor)
        offsets = [_FEE if part == "fee" else _PRINCIPAL for part in terms.allocation.parts]
        indices = range(len(rows))
        self.order = (
            [2 * index + offset for index in indices for offset in offsets]
            if terms.allocation.along == "rows"
            else [2 * index + offset for offset in offsets for index in indices]
        )
        self.left = self.owed.copy()
        self.at = 0
        self.reached = [False] * len(rows)
        self.earned = [0] * len(rows)
        self.moved: dict[int, tuple[date, str]] = {}
        self.payments: dict[str, _Payment] = {}
        self.movements: list[Movement] = []
        self.confirmed_on: date | None = None
        self.closed_on: date | None = None
        self.outstanding = sum(self.owed)

    def run(self, events: list[Event], as_of: date) -> ContractState:
        for event in events:
            kind = type(event)
            if kind is PaymentReceived:
                self.receive(event)  # type: ignore[arg-type]
            elif kind is DueReached:
                self.reach(event)  # type: ignore[arg-type]
            elif kind is Confirmed:
                self.confirm(event)  # type: ignore[arg-type]
            elif kind is DueMoved:
                self.put_off(event)  # type: ignore[arg-type]
            else:
                self.reverse(event)  # type: ignore[arg-type]
            if self.outstanding:
                self.closed_on = None
            elif self.closed_on is None and self.confirmed_on is not None:
                self.closed_on = event.occurred_on
        return self.state(as_of)

    def confirm(self, event: Confirmed) -> None:
        if self.confirmed_on is not None:
            raise EventRefused("event", event.seq, "a contract that is not confirmed yet")
        self.confirmed_on = event.occurred_on
        terms = self.terms
        others = terms.for_other_sellers_minor
        own = sum(row.principal_minor for row in terms.rows) - others
        if own:
            self.movements.append(Movement(event.seq, "sold", own))
        if others:
            self.movements.append(Movement(event.seq, "sold_for_others", others))
        if self.payments:
            # Money came before the agreement: now there is something to pay with it.
            self.reallocate(event.seq)

    def reach(self, event: DueReached) -> None:
        index = self.index_of(event.row, event)
        if self.reached[index]:
            raise EventRefused("event", event.seq, f"row {event.row} to be reached once")
        self.reached[index] = True
        rest = self.owed[2 * index] - self.earned[index]
        if rest:
            self.earned[index] += rest
            self.movements.append(Movement(event.seq, "fee_earned", rest, event.row))

    def put_off(self, event: DueMoved) -> None:
        """A date only ever moves to a later one. No fee follows from it, and what was earned stays earned."""
        index = self.index_of(event.row, event)
        moved = self.moved.get(index)
        due_on = self.terms.rows[index].due_on if moved is None else moved[0]
        if event.to <= due_on:
            raise EventRefused(
                "to", event.to.isoformat(), f"a date after {due_on.isoformat()}, when it is due"
            )
        if index + 1 < len(self.terms.rows):
            following = self.moved.get(index + 1, (self.terms.rows[index + 1].due_on, ""))[0]
            if event.to > following:
                raise EventRefused(
                    "to", event.to.isoformat(), f"at most {following.isoformat()}, when the next row is due"
                )
        self.moved[index] = (event.to, event.announcement)

    def receive(self, event: PaymentReceived) -> None:
        if event.amount_minor <= 0:
            raise EventRefused("amount_minor", event.amount_minor, "more than 0")
        if event.payment_id in self.payments:
            raise EventRefused("payment_id", event.payment_id, "a payment that is not booked yet")
        payment = self.payments[event.payment_id] = _Payment(event)
        if self.confirmed_on is not None:
            self.allocate(payment)
            seq, rows, move = event.seq, self.terms.rows, self.movements.append
            for slot, paid in payment.paid:
                index = slot >> 1
                number = rows[index].number
                if slot & 1:
                    move(Movement(seq, "principal_paid", paid, number))
                    continue
                if not self.reached[index]:
                    # Paid before its date, a fee is earned by being paid.
                    self.earned[index] += paid
                    move(Movement(seq, "fee_earned", paid, number))
                move(Movement(seq, "fee_paid", paid, number))
        if payment.unapplied:
            self.movements.append(Movement(event.seq, "unapplied", payment.unapplied))

    def allocate(self, payment: _Payment) -> None:
        """Fill what is owed, in order; what is left over stays unapplied."""
        money, at, left, order = payment.unapplied, self.at, self.left, self.order
        end = len(order)
        paid = payment.paid
        while at < end:
            slot = order[at]
            owed = left[slot]
            if owed > money:
                if money:
                    left[slot] = owed - money
                    paid.append((slot, money))
                    money = 0
                break
            if owed:
                left[slot] = 0
                money -= owed
                paid.append((slot, owed))
            at += 1
        self.outstanding -= payment.unapplied - money
        self.at = at
        payment.unapplied = money

    def reverse(self, event: PaymentReversed) -> None:
        payment = self.payments.get(event.payment_id)
        if payment is None:
            raise EventRefused("payment_id", event.payment_id, "a payment received on or before that day")
        if payment.reversed_on is not None:
            raise EventRefused("payment_id", event.payment_id, "a payment that was not reversed before")
        payment.reversed_on = event.occurred_on
        self.reallocate(event.seq)

    def reallocate(self, seq: int) -> None:
        """Pay everything anew with the payments that stand; the event's movements are the difference."""
        before = self.left.copy()
        earned_before = self.earned.copy()
        unapplied_before = sum(payment.unapplied for payment in self.payments.values())
        self.left = self.owed.copy()
        self.at = 0
        self.outstanding = sum(self.owed)
        for payment in self.payments.values():
            payment.paid = []
            payment.unapplied = 0 if payment.reversed_on else payment.event.amount_minor
            if self.confirmed_on is not None and payment.reversed_on is None:
                self.allocate(payment)
        for index, row in enumerate(self.terms.rows):
            fee, principal = 2 * index, 2 * index + 1
            fee_paid = self.owed[fee] - self.left[fee]
            earned = self.earned[index] = self.owed[fee] if self.reached[index] else fee_paid
            self.move(seq, "fee_earned", earned - earned_before[index], row.number)
            self.move(seq, "fee_paid", before[fee] - self.left[fee], row.number)
            self.move(seq, "principal_paid", before[principal] - self.left[principal], row.number)
        unapplied = sum(payment.unapplied for payment in self.payments.values())
        self.move(seq, "unapplied", unapplied - unapplied_before, None)

    def move(self, seq: int, kind: MovementKind, amount: int, row: int | None) -> None:
        if amount:
            self.movements.append(Movement(seq, kind, amount, row))

    def index_of(self, number: int, event: Event) -> int:
        for index, row in enumerate(self.terms.rows):
            if row.number == number:
                return index
        raise EventRefused("row", number, f"a row of the contract, in event {event.seq}")

    def state(self, as_of: date) -> ContractState:
        left, reached, earned = self.left, self.reached, self.earned
        rows: list[RowState] = []
        fee_outstanding = principal_outstanding = overdue = late_days = next_minor = 0
        next_row: int | None = None
        next_on: date | None = None
        # An offer of one day that is agreed to on the next has nothing due, let alone late, before it is agreed.
        earliest = self.confirmed_on or date.min
        at = 0
        for index, row in enumerate(self.terms.rows):
            fee_left, principal_left = left[at], left[at + 1]
            at += 2
            due_on = row.due_on
            if due_on < earliest:
                due_on = earliest
            moved_from, moved_by = None, ""
            if index in self.moved:
                moved_from, (due_on, moved_by) = due_on, self.moved[index]
            open_minor = fee_left + principal_left
            status: RowStatus = "paid"
            if open_minor:
                fee_outstanding += fee_left
                principal_outstanding += principal_left
                if next_row is None:
                    next_row, next_on, next_minor = row.number, due_on, open_minor
                if due_on > as_of:
                    status = "upcoming"
                elif due_on == as_of:
                    status = "due"
                else:
                    status = "overdue"
                    overdue += open_minor
                    if not late_days:
                        late_days = (as_of - due_on).days
            fee, principal = row.fee_minor, row.principal_minor
            rows.append(
                RowState(
                    row.number,
                    row.kind,
                    due_on,
                    principal,
                    fee,
                    principal - principal_left,
                    fee - fee_left,
                    earned[index],
                    reached[index],
                    status,
                    moved_from,
                    moved_by,
                )
            )
        payments = tuple([self.payment_state(payment) for payment in self.payments.values()])
        unapplied = 0
        for payment in self.payments.values():
            unapplied += payment.unapplied
        status_now: ContractStatus = "active"
        if self.confirmed_on is None:
            # Nothing is owed yet, so nothing is late.
            status_now, overdue, late_days = "unconfirmed", 0, 0
        elif not self.outstanding:
            status_now = "closed"
        return ContractState(
            as_of=as_of,
            status=status_now,
            currency=self.terms.currency,
            rows=tuple(rows),
            payments=payments,
            principal_outstanding_minor=principal_outstanding,
            fee_outstanding_minor=fee_outstanding,
            unapplied_minor=unapplied,
            overdue_minor=overdue,
            days_past_due=late_days,
            next_row=next_row,
            next_due_on=next_on,
            next_due_minor=next_minor,
            confirmed_on=self.confirmed_on,
            closed_on=self.closed_on,
            movements=tuple(self.movements),
        )

    def payment_state(self, payment: _Payment) -> PaymentState:
        rows = self.terms.rows
        parts: list[PaidPart] = []
        paid = payment.paid
        if self.terms.allocation.along == "rows":
            # Both parts of a row lie side by side.
            at, end = 0, len(paid)
            while at < end:
                slot, amount = paid[at]
                index = slot >> 1
                fee, principal = (0, amount) if slot & 1 else (amount, 0)
                at += 1
                if at < end and paid[at][0] >> 1 == index:
                    if slot & 1:
                        fee = paid[at][1]
                    else:
                        principal = paid[at][1]
                    at += 1
                parts.append(PaidPart(rows[index].number, fee, principal))
        else:
            sums: dict[int, list[int]] = {}
            for slot, amount in paid:
                sums.setdefault(slot >> 1, [0, 0])[slot & 1] += amount
            parts = [PaidPart(rows[index].number, both[0], both[1]) for index, both in sorted(sums.items())]
        event = payment.event
        return PaymentState(
            event.payment_id,
            event.seq,
            event.occurred_on,
            event.amount_minor,
            tuple(parts),
            payment.unapplied,
            payment.reversed_on,
        )
