"""Money that named no contract of ours, and the day it is known whose it is.

It lies with the house's party `suspense`. Matching takes it out there and books it into the contract as the payment it was
from the start: with its own number and the day it arrived, so that the contract's rows are as if it had named the contract.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID, uuid5

import msgspec
from django.db import connection

from fenqi.calendars import local_date, to_epoch
from fenqi.contracts.events import PaymentReceived
from fenqi.ledger.accounts import IN_TRANSIT, UNAPPLIED_CASH
from fenqi.ledger.entries import Entries
from fenqi.money import format_money
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.books.posting import post
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import house_party, parse_public_id, public_id
from fenqi_server.servicing import service, storage
from fenqi_server.shops.models import Shop

__all__ = ["MAX_PAGE", "NoMoney", "Unmatched", "UnmatchedPage", "match", "unmatched"]

MAX_PAGE: Final = 100
_PREFIX: Final = "un"


class NoMoney(LookupError):
    """No money of this shop that named no contract has the id."""


class Unmatched(msgspec.Struct, frozen=True, kw_only=True):
    """Money that named no contract. `named` is what was written where a contract should stand."""

    unapplied_id: str
    payment_ref: str
    named: str
    amount_minor: int
    currency: str
    settlement: str
    occurred_on: date
    recorded_at: datetime


class UnmatchedPage(msgspec.Struct, frozen=True):
    """Money, newest first. `after` is where the next page begins; None at the end."""

    money: tuple[Unmatched, ...]
    after: str | None


_MONEY: Final = """
SELECT t.transaction_id, t.event_id, t.reference, t.amounts[1], t.currency, t.settlement, t.occurred_on, t.recorded_at
  FROM books_transaction AS t
 WHERE t.customer_id = %(party)s AND t.event_kind = 'unmatched_money'
"""
_OPEN: Final = """
   AND NOT EXISTS (SELECT FROM books_transaction AS m
                    WHERE m.customer_id = %(party)s AND m.event_kind = 'matched_money'
                      AND split_part(m.reference, ' ', 1) = t.transaction_id::text)
"""


def unmatched(shop: Shop, *, after: str = "", limit: int = 25) -> UnmatchedPage:
    """What was not matched yet, newest first, from behind `after`. Raises `fenqi.problems.BadInput`."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadInput("limit", limit, f"1 to {MAX_PAGE}")
    party = house_party(shop.id, "suspense")
    values: dict[str, Any] = {"party": party, "limit": limit + 1}
    where = ""
    if after:
        try:
            values["after"] = _own(party, after)
        except NoMoney:
            raise BadInput("after", after[:80], "the `after` of the page before, as it was given") from None
        where = " AND t.transaction_id < %(after)s"
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(f"{_MONEY}{_OPEN}{where} ORDER BY t.transaction_id DESC LIMIT %(limit)s", values)
        rows = cursor.fetchall()
    found = tuple([_unmatched(shop, party, row) for row in rows[:limit]])
    return UnmatchedPage(found, found[-1].unapplied_id if len(rows) > limit else None)


def match(shop: Shop, unapplied_id: str, contract: str, at: datetime) -> service.PaymentResult:
    """Book money that named no contract into the one it was for, as of the day it arrived.

    What is more than the contract owes stays with the contract, unapplied. Matching again to the same contract gives the
    first result. Raises `NoMoney`, `fenqi_server.servicing.service.NoContract`, and `Refusal` where the money went to
    another contract (`already_matched`) or the contract has a payment of this number (`payment_ref_reused`).
    """
    today = local_date(at, shop.time_zone)
    party = house_party(shop.id, "suspense")
    name = _own(party, unapplied_id)

    def act() -> service.PaymentResult:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(f"{_MONEY} AND t.transaction_id = %(name)s", {"party": party, "name": name})
            row = cursor.fetchone()
        if row is None:
            raise NoMoney(unapplied_id)
        # Two who match the same money at once: the second looks after the first has committed.
        customers.lock(shop, party)
        found = _unmatched(shop, party, row)
        stored = storage.load_for_update(*service.parsed(contract))
        if stored is None or stored.shop_id != shop.id:
            raise service.NoContract(contract)
        booked = storage.has_payment(stored, found.payment_ref)
        went_to = _went_to(party, name)
        if went_to and went_to != stored.public_id:
            raise _already_matched(found, went_to)
        if booked is not None and not went_to:
            # A payment of its own has this number: were it the same money, it would be here twice.
            raise service.reference_reused(booked, stored.latest(today).balance_minor, found.currency)
        # The money arrives, or has arrived, in the batch it came with: what passes between suspense and contract is no part of
        # that, and comes to zero by itself.
        passage = f"matched:{name}"
        if not went_to:
            post(
                shop_id=shop.id,
                customer_id=party,
                event_id=uuid5(shop.id, f"matched:{name}"),
                event_kind="matched_money",
                entries=Entries((UNAPPLIED_CASH, IN_TRANSIT), (found.amount_minor, -found.amount_minor)),
                currency=found.currency,
                occurred_on=today,
                recorded_at=at,
                booked_on=today,
                settlement=passage,
                reference=f"{name} {stored.public_id}",
            )
        payment = PaymentReceived(
            seq=0,
            occurred_on=found.occurred_on,
            recorded_at=to_epoch(at),
            payment_id=found.payment_ref,
            amount_minor=found.amount_minor,
            settlement=passage,
            channel=_channel(found.settlement),
        )
        return service.book_payment(shop, stored, payment, "received", at, today)

    return in_transaction(act)


def _own(party: UUID, unapplied_id: str) -> UUID:
    try:
        owner, name = parse_public_id(unapplied_id, _PREFIX)
    except ValueError:
        raise NoMoney(unapplied_id) from None
    if owner != party:
        raise NoMoney(unapplied_id)
    return name


def _went_to(party: UUID, name: UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT split_part(reference, ' ', 2) FROM books_transaction"
            " WHERE customer_id = %s AND event_kind = 'matched_money' AND split_part(reference, ' ', 1) = %s",
            [party, str(name)],
        )
        row = cursor.fetchone()
    return row[0] if row else ""


def _channel(settlement: str) -> Literal["bank", "wallet", "cash"]:
    channel = settlement.partition(":")[0]
    return channel if channel in ("bank", "wallet", "cash") else "bank"  # type: ignore[return-value]


_FOR: Final = " for "


def _unmatched(shop: Shop, party: UUID, row: tuple[Any, ...]) -> Unmatched:
    name, event_id, reference, minor, currency, settlement, occurred_on, recorded_at = row
    payment_ref, named = _said(shop, event_id, reference)
    return Unmatched(
        unapplied_id=public_id(_PREFIX, party, name),
        payment_ref=payment_ref,
        named=named,
        amount_minor=minor,
        currency=currency,
        settlement=settlement,
        occurred_on=occurred_on,
        recorded_at=recorded_at,
    )


def _said(shop: Shop, event_id: UUID, reference: str) -> tuple[str, str]:
    """The payment's number and what stood for the contract. Either may have `for` in it: the event's name, made from both,
    tells which one parts them."""
    at = reference.find(_FOR)
    while at >= 0:
        payment_ref, named = reference[:at], reference[at + len(_FOR) :]
        if uuid5(shop.id, f"received:{payment_ref}\n{named}") == event_id:
            return payment_ref, named
        at = reference.find(_FOR, at + 1)
    payment_ref, _, named = reference.partition(_FOR)
    return payment_ref, named


def _already_matched(found: Unmatched, contract: str) -> service.Refusal:
    amount = format_money(found.amount_minor, found.currency)
    return service.Refusal(
        "already_matched",
        Text("已匹配到其他合同", "Matched to another contract"),
        Text(f"{amount}已记入合同{contract}。", f"{amount} is booked to contract {contract} already."),
        asked_minor=found.amount_minor,
        owed_minor=0,
        currency=found.currency,
    )
