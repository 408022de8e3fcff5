"""Due dates of many contracts at once, where what follows from them can be read off the cached row.

When a row's date comes, what is left of its fee to earn is earned, and nothing else changes. For a contract of fixed rows
whose events are its confirmation, shipments, dates that came, payments and attempts that failed, how much that is follows from what is open of the row: an
unreached row's fee is earned as far as it is paid. `read_off` decides from terms, cached row and kinds of events, and
checks every figure of the row against the others: where one does not fit it answers None, and the contract is replayed by
itself (`fenqi_server.servicing.closing`). Both ways write the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date
from fenqi.contracts.allocation import Allocation
from fenqi.ledger.entries import POSTINGS
from fenqi.terms.schedule import Charge, Row
from fenqi_server.books.posting import Transaction, post_many
from fenqi_server.db import array_of, array_of_texts
from fenqi_server.ids import uuid7s

__all__ = ["COLUMNS", "Found", "Reached", "events_of", "read_off", "write"]

SEMANTICS: Final = 1
"""The only version of the rules for which the reasoning above was made."""
_EARNED: Final = POSTINGS["fee_earned"]
_RECEIVABLE, _INCOME = _EARNED
_PRINCIPAL: Final = POSTINGS["principal_paid"][1]
_PLAIN: Final = frozenset({"confirmed", "due_reached", "payment_received", "payment_failed", "shipped"})


class Found(msgspec.Struct, frozen=True):
    """A contract with a due date that has come: its cached row, held, and its terms as JSON."""

    customer_id: UUID
    contract_id: UUID
    created_at: datetime
    currency: str
    terms: str
    last_seq: int
    status: str
    principal_outstanding_minor: int
    balance_minor: int
    open_due_on: list[date]
    open_minor: list[int]
    next_due_on: date
    booked_accounts: list[int]
    booked_amounts: list[int]


COLUMNS: Final = ", ".join(
    {"created_at": "c.created_at", "currency": "c.currency", "terms": "c.terms::text"}.get(name, f"s.{name}")
    for name in Found.__struct_fields__
)
"""What a query over `servicing_state AS s` and `servicing_contract AS c` selects to make a `Found`."""


class Events(msgspec.Struct, frozen=True):
    """What a contract's events are, without their bodies. `paid_on` is the last payment's day."""

    count: int
    last_seq: int
    kinds: list[str]
    reached: list[str]
    paid_on: date | None = None


class Reached(msgspec.Struct, frozen=True):
    """What follows for one contract: its new events as (seq, row, day, fee earned), and its cached row then.

    `runs` is the row whose time runs: from, to, its fee, what is earned of it.
    """

    found: Found
    events: tuple[tuple[int, int, date, int], ...]
    listed_minor: int
    next_due_on: date | None
    booked: dict[int, int]
    told_on: date
    runs: tuple[date, date, int, int] | None
    grace_days: int | None = None
    """Where being late was agreed to cost something: after so many days."""

    @property
    def earned_minor(self) -> int:
        return sum(fee for _, _, _, fee in self.events)


class _Item(msgspec.Struct):
    code: str
    amount_minor: int


class _Disclosure(msgspec.Struct):
    items: tuple[_Item, ...]


class _Plan(msgspec.Struct):
    fee_code: str = "instalment_fee"


class _Late(msgspec.Struct):
    grace_days: int = 0


class _Terms(msgspec.Struct):
    """The part of `fenqi.contracts.terms.ContractTerms` that matters here: reading all of it would take most of the time."""

    plan: _Plan
    zone: str
    rows: tuple[Row, ...]
    disclosure: _Disclosure
    allocation: Allocation
    semantics: int
    charges: tuple[Charge, ...] = ()
    interest: Any = None
    late: _Late | None = None


_decoder: Final[msgspec.json.Decoder[_Terms]] = msgspec.json.Decoder(_Terms)

_EVENTS: Final = """
SELECT e.contract_id, count(*), max(e.seq), array_agg(DISTINCT e.kind::text),
       array_agg(e.reference) FILTER (WHERE e.kind = 'due_reached'),
       max(e.occurred_on) FILTER (WHERE e.kind = 'payment_received')
  FROM unnest(%s::uuid[], %s::uuid[]) AS u (customer_id, contract_id)
  JOIN servicing_event AS e USING (customer_id, contract_id)
 GROUP BY e.contract_id
"""


def events_of(found: Sequence[Found]) -> dict[UUID, Events]:
    """What the events of contracts are, in one query. The caller has set the shop, and holds them."""
    with connection.cursor() as cursor:
        cursor.execute(
            _EVENTS,
            [array_of(each.customer_id for each in found), array_of(each.contract_id for each in found)],
        )
        return {row[0]: Events(row[1], row[2], row[3], row[4] or [], row[5]) for row in cursor.fetchall()}


def read_off(found: Found, events: Events | None, day: date) -> Reached | None:
    """What follows when every due date up to `day` comes; None where only a replay can say it."""
    terms = _decoder.decode(found.terms)
    if (
        events is None
        or terms.semantics != SEMANTICS
        or terms.interest is not None
        or terms.allocation.rules
        or found.status == "unconfirmed"
        or not events.count == events.last_seq == found.last_seq
        or not _PLAIN.issuperset(events.kinds)
        or any(row.rent_minor or row.deposit_minor for row in terms.rows)
    ):
        return None
    agreed_on = local_date(found.created_at, terms.zone)
    days = [max(row.due_on, agreed_on) for row in terms.rows]
    left = dict(zip(found.open_due_on, found.open_minor, strict=True))
    if len(set(days)) < len(days) or len(left) < len(found.open_due_on) or not left.keys() <= set(days):
        return None  # a day does not say which row it is
    parts = terms.allocation.parts
    fee_first = parts.index("fee") < parts.index("principal")
    reached = set(events.reached)
    paid_in = (events.paid_on or date.min).replace(day=1)
    principal_left = fee_left = earned = 0
    begun = agreed_on
    runs: tuple[date, date, int, int] | None = None
    new: list[tuple[int, int, date, int]] = []
    waiting: list[date] = []
    still: list[date] = []
    for row, on in zip(terms.rows, days, strict=True):
        paid = row.principal_minor + row.fee_minor - left.get(on, 0)
        fee_paid = min(row.fee_minor, paid) if fee_first else max(0, paid - row.principal_minor)
        fee_left += row.fee_minor - fee_paid
        principal_left += row.principal_minor - (paid - fee_paid)
        if paid < 0:
            return None
        if fee_paid and on < paid_in and str(row.number) not in reached and row.due_on <= day:
            # A payment of a later month may have earned it: then the booking counts to that month.
            return None
        if str(row.number) in reached:
            earned += row.fee_minor
            begun = on
            continue
        earned += fee_paid
        waiting.append(on)
        if row.due_on <= day:
            new.append((found.last_seq + len(new) + 1, row.number, on, row.fee_minor - fee_paid))
        else:
            # Of a closed contract everything is earned: nothing runs, though its rows come due.
            if not still and row.fee_minor and found.status != "closed":
                runs = (begun, on, row.fee_minor, fee_paid)
            still.append(on)
        begun = on
    fees_paid = sum(row.fee_minor for row in terms.rows) - fee_left
    booked = dict(zip(found.booked_accounts, found.booked_amounts, strict=True))
    if (
        principal_left != found.principal_outstanding_minor
        or principal_left + fee_left != found.balance_minor
        or principal_left != booked.get(_PRINCIPAL, 0)
        or earned - fees_paid != booked.get(_RECEIVABLE, 0)
        or earned != -booked.get(_INCOME, 0)
        or sum(booked.values())
        or found.next_due_on != min(waiting, default=None)
        or not new
    ):
        return None
    listed = _listed(terms)
    more = sum(fee for _, _, _, fee in new)
    if earned + more > listed:
        return None
    booked[_RECEIVABLE] = booked.get(_RECEIVABLE, 0) + more
    booked[_INCOME] = booked.get(_INCOME, 0) - more
    return Reached(
        found,
        tuple(new),
        listed,
        min(still, default=None),
        {account: minor for account, minor in sorted(booked.items()) if minor},
        max(on for _, _, on, _ in new),
        runs,
        None if terms.late is None else terms.late.grace_days,
    )


def _listed(terms: _Terms) -> int:
    """What the disclosure lists of the fees that the rows consist of; 0 where it lists one of them not at all."""
    listed: dict[str, int] = {}
    for item in terms.disclosure.items:
        listed[item.code] = listed.get(item.code, 0) + item.amount_minor
    codes = [charge.code for charge in terms.charges] or [terms.plan.fee_code]
    return sum(listed[code] for code in codes) if listed.keys() >= set(codes) else 0


_INSERT_EVENTS: Final = """
INSERT INTO servicing_event (customer_id, contract_id, seq, shop_id, event_id, kind, reference, occurred_on, recorded_at,
                             body)
SELECT u.customer_id, u.contract_id, u.seq, %s, u.event_id, 'due_reached', u.number::text, u.occurred_on, %s,
       ('{"row":' || u.number || '}')::json
  FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::uuid[], %s::int[], %s::date[])
       AS u (customer_id, contract_id, seq, event_id, number, occurred_on)
"""
# As in `servicing_append`, an event follows the last one that there is.
_UPDATE_STATES: Final = """
UPDATE servicing_state AS s
   SET last_seq = u.last_seq + u.added, next_due_on = u.next_due_on,
       booked_accounts = u.accounts::smallint[], booked_amounts = u.amounts::bigint[],
       -- Where no day is told yet, there is none to come after.
       told_on = CASE WHEN s.told_on IS NOT NULL THEN greatest(s.told_on, u.told_on) END,
       accrues_from = u.runs_from, accrues_to = u.runs_to, accrues_minor = u.runs_minor, accrues_earned = u.runs_earned,
       accrues_as = CASE WHEN u.runs_minor IS NOT NULL THEN %s END
  FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::int[], %s::date[], %s::text[], %s::text[], %s::date[], %s::date[], %s::date[],
              %s::bigint[], %s::bigint[])
       AS u (customer_id, contract_id, last_seq, added, next_due_on, accounts, amounts, told_on, runs_from, runs_to, runs_minor,
             runs_earned)
 WHERE s.customer_id = u.customer_id AND s.contract_id = u.contract_id AND s.last_seq = u.last_seq
"""


def write(shop_id: UUID, reached: Sequence[Reached], at: datetime) -> None:
    """Write events, postings and cached rows, each kind in one statement, in the caller's transaction."""
    new = [(each, event) for each in reached for event in each.events]
    lines = [(each, *event, name) for (each, event), name in zip(new, uuid7s(at, len(new)), strict=True)]
    booked = [
        (
            Transaction(
                customer_id=each.found.customer_id,
                transaction_id=name,
                shop_id=shop_id,
                event_id=name,
                event_kind="due_reached",
                contract_id=each.found.contract_id,
                settlement=None,
                reference="",
                currency=each.found.currency,
                accounts=list(_EARNED),
                amounts=[fee, -fee],
                occurred_on=on,
                recorded_at=at,
                booked_on=on,
            ),
            each.listed_minor,
        )
        for each, _, _, on, fee, name in lines
        if fee
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT_EVENTS,
            [
                shop_id,
                at,
                array_of(each.found.customer_id for each, *_ in lines),
                array_of(each.found.contract_id for each, *_ in lines),
                array_of(seq for _, seq, *_ in lines),
                array_of(name for *_, name in lines),
                array_of(row for _, _, row, *_ in lines),
                array_of(on for _, _, _, on, _, _ in lines),
            ],
        )
        post_many(shop_id, [each for each, _ in booked], [listed for _, listed in booked])
        cursor.execute(
            _UPDATE_STATES,
            [
                _INCOME,
                array_of(each.found.customer_id for each in reached),
                array_of(each.found.contract_id for each in reached),
                array_of(each.found.last_seq for each in reached),
                array_of(len(each.events) for each in reached),
                array_of(each.next_due_on for each in reached),
                array_of_texts(array_of(each.booked) for each in reached),
                array_of_texts(array_of(each.booked.values()) for each in reached),
                array_of(each.told_on for each in reached),
                *(
                    array_of(each.runs[place] if each.runs else None for each in reached)
                    for place in range(4)
                ),
            ],
        )
        if cursor.rowcount != len(reached):
            raise RuntimeError(
                f"{len(reached)} contracts were held and {cursor.rowcount} of them were as they were read: nothing of the chunk is kept"
            )
