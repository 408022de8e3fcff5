"""A contract in the database: its terms and events as they were written, and the cached row beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date
from fenqi.contracts.acts.dates import check_days
from fenqi.contracts.contract import ContractState, replay
from fenqi.contracts.events import (
    BoughtOut,
    Captured,
    DepositApplied,
    DueReached,
    Event,
    GoodsReturned,
    GoodwillGranted,
    Inspected,
    LeaseReturned,
    PaidBack,
    PaymentReceived,
    Recovered,
    Waived,
    WrittenOff,
    decode_event,
    encode_event,
)
from fenqi.contracts.terms import ContractTerms
from fenqi.ledger.accounts import IN_TRANSIT
from fenqi.ledger.entries import Entries, check_fees, position, posting
from fenqi.ledger.recognition import running_row
from fenqi_server.books.posting import balances_of
from fenqi_server.ids import public_id, uuid7
from fenqi_server.reminders import queueing as reminders
from fenqi_server.shops import service as shops

__all__ = [
    "EVENT_SQL",
    "Stored",
    "append",
    "cached_row",
    "create",
    "day_of_book",
    "load",
    "load_for_update",
    "load_many",
    "rebuild",
]


class Stored(msgspec.Struct, kw_only=True):
    """A contract as stored. `booked` is what the book holds for it, account by account."""

    shop_id: UUID
    customer_id: UUID
    contract_id: UUID
    order_ref: str
    decision_id: str
    created_at: datetime
    terms: ContractTerms
    events: list[Event]
    booked: dict[int, int]

    @property
    def public_id(self) -> str:
        return public_id("ct", self.customer_id, self.contract_id)

    def state(self, as_of: date, known_at: int | None = None) -> ContractState:
        return replay(self.terms, self.events, as_of, known_at)

    def latest(self, today: date) -> ContractState:
        """With every event there is, on `today` or on a later day that another request has reached already.

        Around midnight, a request that began on the old day may come to a contract after one of the new day. Leaving
        that one's event out would un-book it.
        """
        return self.state(max([today, *[event.occurred_on for event in self.events]]))

    def told(self) -> ContractState:
        """As of the last event: what is cached does not age, even where interest runs from day to day."""
        return self.state(max([event.occurred_on for event in self.events], default=date.min))


_terms: Final[msgspec.json.Decoder[ContractTerms]] = msgspec.json.Decoder(ContractTerms)

EVENT_SQL: Final = """
concat('{"kind":"', e.kind, '","seq":', e.seq, ',"occurred_on":"', e.occurred_on, '","recorded_at":',
       floor(date_part('epoch', e.recorded_at))::bigint,
       CASE WHEN e.body::text = '{}' THEN '}' ELSE ',' || substr(e.body::text, 2) END)
"""
"""An event as it is decoded, of `servicing_event AS e`: what the columns hold is not held a second time in the body."""
_LOAD: Final = f"""
SELECT c.customer_id, c.contract_id, c.shop_id, c.order_ref, c.decision_id, c.created_at, c.terms::text,
       s.booked_accounts, s.booked_amounts,
       ARRAY(SELECT {EVENT_SQL} FROM servicing_event AS e
              WHERE e.customer_id = c.customer_id AND e.contract_id = c.contract_id ORDER BY e.seq)
  FROM servicing_contract AS c
  JOIN servicing_state AS s USING (customer_id, contract_id)
 WHERE c.customer_id = %s
"""


class _Held(msgspec.Struct):
    """What `servicing_held` tells of a contract."""

    shop_id: UUID
    order_ref: str
    decision_id: str
    created_at: datetime
    booked_accounts: list[int]
    booked_amounts: list[int]
    events: list[Event]
    terms: ContractTerms


_held: Final[msgspec.json.Decoder[_Held]] = msgspec.json.Decoder(_Held)


def load(customer_id: UUID, contract_id: UUID) -> Stored | None:
    """A contract, or None. The caller has set the shop."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_LOAD} AND c.contract_id = %s", [customer_id, contract_id])
        row = cursor.fetchone()
    return None if row is None else _stored(*row)


def load_for_update(customer_id: UUID, contract_id: UUID) -> Stored | None:
    """A contract, held until the transaction ends: events are added to it by one at a time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT servicing_held(%s, %s)", [customer_id, contract_id])
        (found,) = cursor.fetchone()
    if found is None:
        return None
    held = _held.decode(found)
    return Stored(
        shop_id=held.shop_id,
        customer_id=customer_id,
        contract_id=contract_id,
        order_ref=held.order_ref,
        decision_id=held.decision_id,
        created_at=held.created_at,
        terms=held.terms,
        events=held.events,
        booked=dict(zip(held.booked_accounts, held.booked_amounts, strict=True)),
    )


def load_many(customer_id: UUID) -> list[Stored]:
    """A customer's contracts, newest first. The caller has set the shop."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_LOAD} ORDER BY c.contract_id DESC", [customer_id])
        return [_stored(*row) for row in cursor.fetchall()]


def _stored(
    customer_id: UUID,
    contract_id: UUID,
    shop_id: UUID,
    order_ref: str,
    decision_id: str,
    created_at: datetime,
    terms: str,
    accounts: Sequence[int],
    amounts: Sequence[int],
    events: Iterable[str],
) -> Stored:
    return Stored(
        shop_id=shop_id,
        customer_id=customer_id,
        contract_id=contract_id,
        order_ref=order_ref,
        decision_id=decision_id,
        created_at=created_at,
        terms=_terms.decode(terms),
        events=[decode_event(event) for event in events],
        booked=dict(zip(accounts, amounts, strict=True)),
    )


def create(contract: Stored, currency: str) -> None:
    """Write a new contract, without events yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO servicing_contract (customer_id, contract_id, shop_id, order_ref, decision_id, currency,"
            " terms, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                contract.customer_id,
                contract.contract_id,
                contract.shop_id,
                contract.order_ref,
                contract.decision_id,
                currency,
                msgspec.json.encode(contract.terms).decode(),
                contract.created_at,
            ],
        )


_DATED: Final = ("kind", "seq", "occurred_on", "recorded_at")

_APPEND: Final = f"SELECT servicing_append({', '.join(['%s'] * 29)})"


class _Posted(msgspec.Struct, frozen=True):
    """What an event books, and the day that it counts to."""

    entries: Entries
    settlement: str | None
    reference: str
    booked_on: date


def _reference(event: Event, told: Sequence[Event]) -> str:
    """What makes an event of its kind this one. News that comes late may take rows away that were added, and then a row's number
    stands for another row, whose due date comes as well. What is owed again after a write-off is written off in its turn."""
    if isinstance(event, DueReached):
        for other in told:
            if other is event:
                break
            if isinstance(other, DueReached) and other.row == event.row:
                return f"{event.row} ({event.seq})"
    if isinstance(event, WrittenOff) and any(
        isinstance(other, WrittenOff) and other is not event for other in told
    ):
        return str(event.seq)
    return event.reference


def _batch_of(contract: Stored, entries: Entries, state: ContractState, today: date) -> str | None:
    """The batch of the money that the last event changes and does not bring: what was taken of a frozen deposit, where it has less or
    more to pay by now. None where no money in transit changes. Where what several took changes, it is the first one's batch.
    """
    if IN_TRANSIT not in entries.accounts:
        return None
    told = contract.events[:-1]
    before = _used(msgspec.structs.replace(contract, events=told).latest(today))
    after = _used(state)
    taken = [event for event in told if isinstance(event, _TAKES_DEPOSIT) and event.settlement]
    for event in taken:
        name = event.application_id if isinstance(event, DepositApplied) else f"deposit {event.seq}"
        if before.get(name) != after.get(name):
            return event.settlement
    return taken[-1].settlement if taken else None


_TAKES_DEPOSIT: Final = (DepositApplied, BoughtOut, LeaseReturned, Inspected)


def _used(state: ContractState) -> dict[str, int]:
    """How much each payment is used for, whatever for."""
    return {
        payment.payment_id: sum(
            part.fee_minor
            + part.principal_minor
            + part.interest_minor
            + part.penalty_minor
            + part.rent_minor
            + part.deposit_minor
            for part in payment.parts
        )
        for payment in state.payments
    }


def append(
    contract: Stored, new: Sequence[Event], at: datetime, today: date, *, booked_from: date = date.min
) -> ContractState:
    """Add events to a contract that is held, book what each came to, and return the contract as it is then.

    Each event books the difference between what follows from everything known now and what is booked already, on the day that
    `day_of_book` says, not before `booked_from`. Raises `EventRefused`, with nothing written, where an event cannot follow the
    others.
    """
    state: ContractState | None = None
    before = dict(contract.booked)
    posted: list[_Posted | None] = []
    grown = msgspec.structs.replace(contract, events=list(contract.events))
    for event in new:
        known = state
        check_days(event)
        grown.events.append(event)
        state = grown.latest(today)
        after = position(contract.terms, state.movements)
        entries = posting(after, before)
        before = after
        if entries is None:
            posted.append(None)
            continue
        check_fees(entries, contract.terms)
        posted.append(
            _Posted(
                entries,
                getattr(event, "settlement", None) or _batch_of(grown, entries, state, today),
                getattr(event, "payment_id", "") or getattr(event, "refund_id", ""),
                max(booked_from, day_of_book(grown, event, state, known, today)),
            )
        )
    assert state is not None, "append without events"
    contract.events, contract.booked = grown.events, before
    row = cached_row(contract, state if contract.terms.interest is None else contract.told())
    del row["last_seq"]  # each call says it: an event is added where the one before it is the last
    with connection.cursor() as cursor:
        for event, books in zip(new, posted, strict=True):
            cursor.execute(
                _APPEND,
                [
                    contract.customer_id,
                    contract.contract_id,
                    at,
                    uuid7(at),
                    event.seq,
                    _kind(event),
                    _reference(event, grown.events),
                    event.occurred_on,
                    _body(event),
                    *_booking(books, contract.terms.currency, event.occurred_on),
                    *row.values(),
                ],
            )
    if state.status == "closed" and state.cancelled_on is None and state.written_off_on is None:
        _confirm_closed(contract, state, at)
    return state


def _booking(books: _Posted | None, currency: str, on: date) -> Sequence[Any]:
    """What `servicing_append` is given of what an event of the day `on` books."""
    if books is None:
        return (None,) * 6
    return (
        books.settlement,
        books.reference,
        currency,
        books.booked_on if books.booked_on > on else None,
        list(books.entries.accounts),
        list(books.entries.amounts),
    )


def _confirm_closed(contract: Stored, state: ContractState, at: datetime) -> None:
    """Let the customer be told that nothing is owed any more: once for each time that it is so."""
    early = (
        isinstance(contract.events[-1], PaymentReceived)
        and state.closed_on is not None
        and state.closed_on < max(row.due_on for row in contract.terms.rows)
    )
    reminders.queue(
        shops.by_id(contract.shop_id),
        [
            reminders.Notice(
                contract.customer_id,
                contract.contract_id,
                "paid_off" if early else "closed",
                str(state.closed_on),
            )
        ],
        at,
    )


def day_of_book(
    grown: Stored, event: Event, state: ContractState, known: ContractState | None, today: date
) -> date:
    """The day that an event's booking counts to, if its period is open: the day on which it happened.

    What is learnt late may change what later events came to. Where one of those happened in a later month, the booking counts
    to that month: what it earned or paid is put right there and not in a month that it was never in. Nothing counts to a month
    before the one in which the contract was made. `state` is the contract with the event, `known` without it, where that is at
    hand.
    """
    made_in = _month(local_date(grown.created_at, grown.terms.zone))
    month = _month(event.occurred_on)
    later = [each for each in grown.events if _month(each.occurred_on) > month]
    if not later:
        return max(event.occurred_on, made_in)
    if known is None:
        known = msgspec.structs.replace(grown, events=grown.events[:-1]).latest(today)
    now, then = Counter(state.movements), Counter(known.movements)
    changed = {movement.event_seq for movement in (*(now - then), *(then - now))}
    return max(
        [event.occurred_on, made_in, *[_month(each.occurred_on) for each in later if each.seq in changed]]
    )


def _month(on: date) -> date:
    return on.replace(day=1)


def _kind(event: Event) -> str:
    return str(event.__struct_config__.tag)


def _body(event: Event) -> str:
    body = msgspec.json.decode(encode_event(event))
    for column in _DATED:
        del body[column]
    return msgspec.json.encode(body).decode()


def cached_row(contract: Stored, state: ContractState) -> dict[str, Any]:
    """The cached columns: derived from the contract's terms and events, and from what the book holds for it."""
    open_rows = [row for row in state.rows if row.outstanding_minor]
    waiting = [row.due_on for row in state.rows if not row.reached]
    return {
        "last_seq": max((event.seq for event in contract.events), default=0),
        "status": state.status,
        "principal_outstanding_minor": state.principal_outstanding_minor,
        "balance_minor": state.balance_minor,
        "open_due_on": [row.due_on for row in open_rows],
        "open_minor": [row.outstanding_minor for row in open_rows],
        "next_due_on": min(waiting, default=None),
        "booked_accounts": list(contract.booked),
        "booked_amounts": list(contract.booked.values()),
        **_row_that_runs(contract, state),
    }


def _row_that_runs(contract: Stored, state: ContractState) -> dict[str, Any]:
    """What the end of a month reads of a contract. One with income of two kinds in a row is replayed then: no day is told of it."""
    row = running_row(state)
    if row is None:
        found: dict[str, Any] = dict.fromkeys(_RUNS)
    else:
        found = dict(zip(_RUNS, (row.from_on, row.to_on, *row.income[0]), strict=True))
    plain = row is None or len(row.income) == 1
    return {"told_on": max(event.occurred_on for event in contract.events) if plain else None, **found}


_RUNS: Final = ("accrues_from", "accrues_to", "accrues_as", "accrues_minor", "accrues_earned")


def rebuild(customer_id: UUID, contract_id: UUID) -> None:
    """Make the cached row anew from terms, events and book. The caller has set the shop."""
    contract = load_for_update(customer_id, contract_id)
    if contract is None:
        raise LookupError(f"no contract {contract_id}")
    contract.booked = balances_of(customer_id, contract_id)
    row = cached_row(contract, contract.told())
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE servicing_state SET {', '.join(f'{name} = %s' for name in row)}"
            " WHERE customer_id = %s AND contract_id = %s",
            [*row.values(), customer_id, contract_id],
        )


def free_number(contract: Stored, payment_id: str) -> str:
    """The number under which money is booked: its own, or with " (2)" where that names something that pays and is no money.

    Money is never refused, and no bank knows our numbers.
    """
    taken = names_no_money(contract, payment_id) or paid_back(contract, payment_id) is not None
    return f"{payment_id} (2)" if taken and amount_of(contract, payment_id) is None else payment_id


def paid_back(contract: Stored, payment_id: str) -> int | None:
    """How much of what had been paid went back under this number, if it did."""
    return next(
        (e.amount_minor for e in contract.events if isinstance(e, PaidBack) and e.payment_id == payment_id),
        None,
    )


def names_no_money(contract: Stored, name: str) -> bool:
    """Whether something has this name that pays and is no money: goodwill, a deposit, and where interest runs
    daily goods that went back and waivers.
    """
    daily = contract.terms.interest is not None and contract.terms.interest.daily
    for event in contract.events:
        match event:
            case GoodwillGranted(payment_id=other) | DepositApplied(application_id=other):
                pass
            case GoodsReturned(return_id=other) | Waived(waiver_id=other) if daily:
                pass
            case BoughtOut(seq=seq):
                other = f"deposit {seq}"
            case _:
                continue
        if other == name:
            return True
    return False


def amount_of(contract: Stored, payment_id: str) -> int | None:
    """How much the money with this number is, if it is booked: a payment, something recovered, or a pledge that was captured."""
    for event in contract.events:
        match event:
            case PaymentReceived(payment_id=other) | Recovered(payment_id=other) if other == payment_id:
                return event.amount_minor
            case Captured(payment_id=other) if other == payment_id:
                return sum(row.principal_minor for row in contract.terms.rows)
            case _:
                pass
    return None


def has_payment(contract: Stored, payment_id: str) -> PaymentReceived | Recovered | None:
    """The money with this number, if it is booked."""
    for event in contract.events:
        if isinstance(event, (PaymentReceived, Recovered)) and event.payment_id == payment_id:
            return event
    return None
