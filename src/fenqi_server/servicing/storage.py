"""A contract in the database: its terms and events as they were written, and the cached row beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.contracts.contract import ContractState, replay
from fenqi.contracts.events import (
    Event,
    PaymentReceived,
    Recovered,
    decode_event,
    encode_event,
)
from fenqi.contracts.terms import ContractTerms
from fenqi.ledger.entries import position, posting
from fenqi_server.books.posting import balances_of, post
from fenqi_server.ids import public_id, uuid7
from fenqi_server.reminders import queueing as reminders
from fenqi_server.shops import service as shops

__all__ = [
    "EVENT_SQL",
    "Stored",
    "append",
    "cached_row",
    "create",
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

_CONTRACT: Final = """
SELECT c.shop_id, c.customer_id, c.contract_id, c.order_ref, c.decision_id, c.created_at, c.terms::text,
       s.booked_accounts, s.booked_amounts
  FROM servicing_contract AS c
  JOIN servicing_state AS s USING (customer_id, contract_id)
"""
# What the columns hold is not held a second time in the body.
EVENT_SQL: Final = """
(e.body || jsonb_build_object('kind', e.kind, 'seq', e.seq, 'occurred_on', e.occurred_on,
                              'recorded_at', floor(extract(epoch FROM e.recorded_at))::bigint))::text
"""
_EVENTS: Final = f"""
SELECT {EVENT_SQL} FROM servicing_event AS e WHERE e.customer_id = %s AND e.contract_id = %s ORDER BY e.seq
"""


def load(customer_id: UUID, contract_id: UUID) -> Stored | None:
    """A contract, or None. The caller has set the shop."""
    return _load(customer_id, contract_id, "")


def load_for_update(customer_id: UUID, contract_id: UUID) -> Stored | None:
    """A contract, held until the transaction ends: events are added to it by one at a time."""
    return _load(customer_id, contract_id, " FOR NO KEY UPDATE OF s")


def _load(customer_id: UUID, contract_id: UUID, lock: str) -> Stored | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_CONTRACT} WHERE c.customer_id = %s AND c.contract_id = %s{lock}", [customer_id, contract_id]
        )
        row = cursor.fetchone()
        if row is None:
            return None
        # A statement of its own: one that waited for the lock would still see the events of before it waited.
        cursor.execute(_EVENTS, [customer_id, contract_id])
        return _stored(row, [body for (body,) in cursor.fetchall()])


def load_many(customer_id: UUID) -> list[Stored]:
    """A customer's contracts, newest first. The caller has set the shop."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_CONTRACT} WHERE c.customer_id = %s ORDER BY c.contract_id DESC", [customer_id])
        rows = cursor.fetchall()
        cursor.execute(
            f"SELECT e.contract_id, {EVENT_SQL} FROM servicing_event AS e WHERE e.customer_id = %s"
            " ORDER BY e.contract_id, e.seq",
            [customer_id],
        )
        bodies: dict[UUID, list[str]] = {}
        for contract_id, body in cursor.fetchall():
            bodies.setdefault(contract_id, []).append(body)
    return [_stored(row, bodies.get(row[2], [])) for row in rows]


def _stored(row: Sequence[Any], bodies: Iterable[str]) -> Stored:
    return Stored(
        shop_id=row[0],
        customer_id=row[1],
        contract_id=row[2],
        order_ref=row[3],
        decision_id=row[4],
        created_at=row[5],
        terms=_terms.decode(row[6]),
        events=[decode_event(body) for body in bodies],
        booked=dict(zip(row[7], row[8], strict=True)),
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


def append(contract: Stored, new: Sequence[Event], at: datetime, booked_on: date) -> ContractState:
    """Add events to a contract that is held, book what each came to, and return the contract as it is then.

    Each event books the difference between what follows from everything known now and what is booked already. Raises
    `EventRefused`, with nothing written, where an event cannot follow the others.
    """
    state: ContractState | None = None
    before = dict(contract.booked)
    written: list[tuple[Event, UUID]] = []
    posted: list[dict[str, Any]] = []
    grown = msgspec.structs.replace(contract, events=list(contract.events))
    for event in new:
        grown.events.append(event)
        state = grown.latest(booked_on)
        after = position(contract.terms, state.movements)
        entries = posting(after, before)
        before = after
        name = uuid7(at)
        written.append((event, name))
        if entries is not None:
            posted.append(
                {
                    "event_id": name,
                    "event_kind": _kind(event),
                    "entries": entries,
                    "occurred_on": event.occurred_on,
                    "settlement": getattr(event, "settlement", None),
                    "reference": getattr(event, "payment_id", "") or getattr(event, "refund_id", ""),
                }
            )
    assert state is not None, "append without events"
    for event, name in written:
        _insert_event(contract, event, name, at)
    for each in posted:
        post(
            shop_id=contract.shop_id,
            customer_id=contract.customer_id,
            contract_id=contract.contract_id,
            currency=contract.terms.currency,
            recorded_at=at,
            booked_on=booked_on,
            terms=contract.terms,
            **each,
        )
    contract.events, contract.booked = grown.events, before
    _write_cache(contract, state if contract.terms.interest is None else contract.told())
    if state.status == "closed" and state.cancelled_on is None and state.written_off_on is None:
        _confirm_closed(contract, state, at)
    return state


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


def _kind(event: Event) -> str:
    return str(event.__struct_config__.tag)


def _insert_event(contract: Stored, event: Event, name: UUID, at: datetime) -> None:
    body = msgspec.json.decode(encode_event(event))
    for column in _DATED:
        del body[column]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO servicing_event (customer_id, contract_id, seq, shop_id, event_id, kind, reference,"
            " occurred_on, recorded_at, body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                contract.customer_id,
                contract.contract_id,
                event.seq,
                contract.shop_id,
                name,
                _kind(event),
                event.reference,
                event.occurred_on,
                at,
                msgspec.json.encode(body).decode(),
            ],
        )


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
    }


def _write_cache(contract: Stored, state: ContractState) -> None:
    row = {
        "customer_id": contract.customer_id,
        "contract_id": contract.contract_id,
        "shop_id": contract.shop_id,
        **cached_row(contract, state),
    }
    names = ", ".join(row)
    updates = ", ".join(f"{name} = excluded.{name}" for name in list(row)[3:])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO servicing_state ({names}) VALUES ({', '.join('%s' for _ in row)})"
            f" ON CONFLICT (customer_id, contract_id) DO UPDATE SET {updates}",
            list(row.values()),
        )


def rebuild(customer_id: UUID, contract_id: UUID) -> None:
    """Make the cached row anew from terms, events and book. The caller has set the shop."""
    contract = load_for_update(customer_id, contract_id)
    if contract is None:
        raise LookupError(f"no contract {contract_id}")
    contract.booked = balances_of(customer_id, contract_id)
    _write_cache(contract, contract.told())


def has_payment(contract: Stored, payment_id: str) -> PaymentReceived | Recovered | None:
    """The money with this number, if it is booked."""
    for event in contract.events:
        if isinstance(event, (PaymentReceived, Recovered)) and event.payment_id == payment_id:
            return event
    return None
