"""Money that named no contract of ours, and the day it is known whose it is.

It lies with the house's party `suspense`. Matching takes it out there and books it into the contract as the payment it was
from the start: with its own number and the day it arrived, so that the contract's rows are as if it had named the contract.
A match to the wrong contract is undone, and the money waits again; or it goes back to whoever sent it.

What a contract itself holds beyond its debt goes back by `refund_held`.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID, uuid5

import msgspec
from django.db import connection

from fenqi.calendars import local_date, to_epoch
from fenqi.contracts.events import Event, PaymentReceived, PaymentReversed, UnappliedRefunded
from fenqi.ledger.accounts import IN_TRANSIT, UNAPPLIED_CASH
from fenqi.ledger.entries import Entries
from fenqi.money import format_money
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.autopay.asking import midnight
from fenqi_server.books.posting import post
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import first_uuid7, house_party, parse_public_id, public_id
from fenqi_server.policies import audit
from fenqi_server.servicing import acts, service, storage
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = [
    "MAX_PAGE",
    "NoMoney",
    "Placed",
    "PlacedPage",
    "Unmatched",
    "UnmatchedPage",
    "count_unmatched",
    "find",
    "match",
    "placed",
    "refund_held",
    "refund_unmatched",
    "undo_match",
    "unmatched",
]

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


class Placed(msgspec.Struct, frozen=True):
    """Money and where it is: in the contract that it is matched to, gone back by a refund, or (both empty) waiting."""

    money: Unmatched
    contract: str
    refunded_by: str


class PlacedPage(msgspec.Struct, frozen=True):
    """Money that is matched or went back, newest first. `after` is where the next page begins; None at the end."""

    placed: tuple[Placed, ...]
    after: str | None


_MONEY: Final = """
SELECT t.transaction_id, t.event_id, t.reference, t.amounts[1], t.currency, t.settlement, t.occurred_on, t.recorded_at
  FROM books_transaction AS t
 WHERE t.customer_id = %(party)s AND t.event_kind = 'unmatched_money'
"""
_STANDING: Final = """
       (SELECT coalesce(sum(CASE m.event_kind WHEN 'match_undone' THEN -1 ELSE 1 END), 0) FROM books_transaction AS m
         WHERE m.customer_id = %(party)s AND m.event_kind IN ('matched_money', 'match_undone', 'unmatched_refunded')
           AND split_part(m.reference, ' ', 1) = t.transaction_id::text)
"""
_OPEN: Final = f" AND {_STANDING} = 0"


def unmatched(shop: Shop, *, after: str = "", limit: int = 25) -> UnmatchedPage:
    """What was not matched yet, newest first, from behind `after`. Raises `fenqi.problems.BadInput`."""
    party = house_party(shop.id, "suspense")
    rows = _page(shop, party, _OPEN, after, limit)
    found = tuple([_unmatched(shop, party, row) for row in rows[:limit]])
    return UnmatchedPage(found, found[-1].unapplied_id if len(rows) > limit else None)


def placed(shop: Shop, *, after: str = "", limit: int = 25) -> PlacedPage:
    """What is matched or went back, newest first, from behind `after`. Raises `fenqi.problems.BadInput`."""
    party = house_party(shop.id, "suspense")
    rows = _page(shop, party, f" AND {_STANDING} <> 0", after, limit)
    found = tuple([_placed(shop, party, row) for row in rows[:limit]])
    return PlacedPage(found, found[-1].money.unapplied_id if len(rows) > limit else None)


def _page(shop: Shop, party: UUID, which: str, after: str, limit: int) -> list[tuple[Any, ...]]:
    """A page of money and one more, newest first."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadInput("limit", limit, f"1 to {MAX_PAGE}")
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
        cursor.execute(f"{_MONEY}{which}{where} ORDER BY t.transaction_id DESC LIMIT %(limit)s", values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def count_unmatched(shop: Shop) -> int:
    """How many sums wait to be matched."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM ({_MONEY}{_OPEN}) AS waiting", {"party": house_party(shop.id, "suspense")}
        )
        return int(cursor.fetchone()[0])


def find(shop: Shop, unapplied_id: str) -> Placed:
    """Money that named no contract, and where it is now. Raises `NoMoney`."""
    party = house_party(shop.id, "suspense")
    values = {"party": party, "name": _own(party, unapplied_id)}
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(f"{_MONEY} AND t.transaction_id = %(name)s", values)
        row = cursor.fetchone()
    if row is None:
        raise NoMoney(unapplied_id)
    return _placed(shop, party, row)


def _placed(shop: Shop, party: UUID, row: tuple[Any, ...]) -> Placed:
    went = _went(party, row[0])
    return Placed(_unmatched(shop, party, row), went.to, went.refunded_by)


def match(shop: Shop, unapplied_id: str, contract: str, at: datetime) -> service.PaymentResult:
    """Book money that named no contract into the one it was for, as of the day it arrived.

    What is more than the contract owes stays with the contract, unapplied. Matching again to the same contract gives the
    first result. Raises `NoMoney`, `fenqi_server.servicing.service.NoContract`, and `Refusal` where the money went to
    another contract (`already_matched`) or back (`already_refunded`), or the contract has a payment of this number
    (`payment_ref_reused`).
    """
    today = local_date(at, shop.time_zone)
    party = house_party(shop.id, "suspense")
    name = _own(party, unapplied_id)

    def act() -> service.PaymentResult:
        found = _held(shop, party, name, unapplied_id, at)
        stored = storage.load_for_update(*service.parsed(contract))
        if stored is None or stored.shop_id != shop.id:
            raise service.NoContract(contract)
        went = _went(party, name)
        if went.to and went.to != stored.public_id:
            raise _already_matched(found, went.to)
        payment_ref = found.payment_ref
        if went.to:
            # The money arrives, or has arrived, in the batch it came with: what passes between suspense and contract is no part of
            # that, and comes to zero by itself.
            passage = _passage(name, went.times)
            payment_ref = _booked_by(stored, passage).payment_id
        else:
            passage = _passage(name, went.times + 1)
            payment_ref = storage.free_number(stored, payment_ref)
            booked = storage.has_payment(stored, payment_ref)
            if booked is not None and not booked.settlement.startswith(_passage(name, 1)):
                # A payment of its own has this number: were it the same money, it would be here twice.
                raise service.reference_reused(booked, stored.latest(today).balance_minor, found.currency)
            if booked is not None:
                # It was matched to this contract before, and that was undone: a number is booked once.
                payment_ref = f"{payment_ref} ({went.times + 1})"
            _pass(
                shop,
                party,
                found,
                passage,
                "matched_money",
                found.amount_minor,
                f"{name} {stored.public_id}",
                at,
            )
        payment = PaymentReceived(
            seq=0,
            occurred_on=found.occurred_on,
            recorded_at=to_epoch(at),
            payment_id=payment_ref,
            amount_minor=found.amount_minor,
            settlement=passage,
            channel=_channel(found.settlement),
        )
        if not went.to and storage.amount_of(stored, payment_ref) is not None:
            # The price of a pledge was captured under this number.
            raise service.reference_reused(payment, stored.latest(today).balance_minor, found.currency)
        return service.book_payment(shop, stored, payment, "received", at, today)

    return in_transaction(act)


def undo_match(
    shop: Shop, unapplied_id: str, at: datetime, *, actor: str, reason: str
) -> tuple[Unmatched, service.ContractView]:
    """The money was matched to the wrong contract: there it is taken back, and it waits to be matched again.

    Undoing twice is once. Raises `NoMoney`, and `Refusal` (`not_matched`) where it is matched to nothing.
    """
    acts.by_whom(actor, reason)
    today = local_date(at, shop.time_zone)
    party = house_party(shop.id, "suspense")
    name = _own(party, unapplied_id)

    def act() -> tuple[Unmatched, service.ContractView]:
        found = _held(shop, party, name, unapplied_id, at)
        went = _went(party, name, undone=True)
        if not went.last:
            raise service.Refusal(
                "not_matched",
                Text("尚未匹配", "Not matched"),
                Text(
                    "这笔钱没有匹配到合同，无需撤销。",
                    "This money is matched to no contract: there is nothing to undo.",
                ),
                asked_minor=found.amount_minor,
                currency=found.currency,
            )
        stored = storage.load_for_update(*service.parsed(went.last))
        assert stored is not None, "a contract is never removed"
        if not went.to:
            return found, service.view_of(stored, stored.latest(today))
        passage = _passage(name, went.times)
        booked = _booked_by(stored, passage)
        event = PaymentReversed(
            seq=len(stored.events) + 1,
            occurred_on=today,
            recorded_at=to_epoch(at),
            payment_id=booked.payment_id,
            settlement=passage,
            reason="booked_in_error",
        )
        before = stored.latest(today)
        if any(isinstance(e, PaymentReversed) and e.payment_id == booked.payment_id for e in stored.events):
            raise service.Refusal(
                "payment_reversed",
                Text("付款已撤销", "The payment was reversed"),
                Text(
                    "这笔付款在合同中已被撤销，不能再撤销匹配。",
                    "The payment was reversed in the contract already, so its match cannot be undone.",
                ),
                asked_minor=found.amount_minor,
                currency=found.currency,
            )
        after = storage.append(stored, [event], at, today)
        _pass(
            shop, party, found, passage, "match_undone", -found.amount_minor, f"{name} {stored.public_id}", at
        )
        service.tell_reversed(shop, stored, event, booked.amount_minor, after, at)
        audit.record(
            shop,
            actor,
            "unapplied.undo_match",
            f"unapplied:{unapplied_id}",
            at,
            reason=reason,
            before={"contract": stored.public_id, "balance_minor": before.balance_minor},
            after={"balance_minor": after.balance_minor},
        )
        return found, service.view_of(stored, after)

    return in_transaction(act)


def refund_unmatched(
    shop: Shop,
    unapplied_id: str,
    refund_id: str,
    at: datetime,
    *,
    settlement: str | None = None,
    channel: str = "bank",
    actor: str,
    reason: str,
) -> Unmatched:
    """Money that named no contract went back, whole. `settlement` is the batch that it leaves with.

    The same refund again is once. Raises `NoMoney`, and `Refusal` where it is matched (`already_matched`) or went back by another
    refund (`already_refunded`).
    """
    acts.by_whom(actor, reason)
    acts.named(refund_id, "refund_id")
    today = local_date(at, shop.time_zone)
    party = house_party(shop.id, "suspense")
    name = _own(party, unapplied_id)

    def act() -> Unmatched:
        found = _held(shop, party, name, unapplied_id, at, refunded_by=refund_id)
        went = _went(party, name, undone=True)
        if went.to:
            raise _already_matched(found, went.to)
        if went.refunded_by:
            return found
        post(
            shop_id=shop.id,
            customer_id=party,
            event_id=uuid5(shop.id, f"refunded:{name}"),
            event_kind="unmatched_refunded",
            entries=Entries((UNAPPLIED_CASH, IN_TRANSIT), (found.amount_minor, -found.amount_minor)),
            currency=found.currency,
            occurred_on=today,
            recorded_at=at,
            booked_on=today,
            settlement=settlement or f"{channel}:{today}",
            reference=f"{name} {refund_id}"[:400],
        )
        audit.record(
            shop,
            actor,
            "unapplied.refund",
            f"unapplied:{unapplied_id}",
            at,
            reason=reason,
            after={"refund_id": refund_id, "amount_minor": found.amount_minor},
        )
        return found

    return in_transaction(act)


def sent_back_on(shop: Shop, day: date) -> int:
    """How much money that named no contract was booked as sent back on a day, by whomever."""
    use_shop(shop.id)
    # Named by when they were booked: the day's own are the end of the key.
    since, until = (first_uuid7(midnight(each, shop)) for each in (day, day + timedelta(days=1)))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(amounts[1]), 0)::bigint FROM books_transaction"
            " WHERE customer_id = %s AND transaction_id >= %s AND transaction_id < %s AND event_kind = 'unmatched_refunded'",
            [house_party(shop.id, "suspense"), since, until],
        )
        return int(cursor.fetchone()[0])


def refund_held(
    shop: Shop,
    contract: str,
    refund_id: str,
    amount_minor: int,
    at: datetime,
    *,
    settlement: str | None = None,
    channel: str = "bank",
    actor: str = "",
    reason: str = "",
) -> acts.Acted:
    """Money that a contract holds and nothing is owed for went back to the customer.

    Raises `NoContract`, `Refusal` where more is to go back than it holds, `BadInput`.
    """
    acts.named(refund_id, "refund_id")
    acts.money(amount_minor, shop.currency)
    today = local_date(at, shop.time_zone)

    def make(_: Stored, dates: dict[str, Any]) -> Event:
        return UnappliedRefunded(
            **dates,
            amount_minor=amount_minor,
            settlement=settlement or f"{channel}:{today}",
            refund_id=refund_id,
            goodwill="taken_back",
        )

    return acts.perform(shop, contract, at, make, actor=actor, reason=reason)


def _held(
    shop: Shop, party: UUID, name: UUID, unapplied_id: str, at: datetime, *, refunded_by: str = ""
) -> Unmatched:
    """The money, its party held until the transaction ends. Raises `NoMoney`, and `Refusal` where it went back otherwise."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(f"{_MONEY} AND t.transaction_id = %(name)s", {"party": party, "name": name})
        row = cursor.fetchone()
    if row is None:
        raise NoMoney(unapplied_id)
    # Two who act on the same money at once: the second looks after the first has committed.
    customers.lock(shop, party)
    found = _unmatched(shop, party, row)
    refund = _went(party, name).refunded_by
    if refund and refund != refunded_by:
        raise service.Refusal(
            "already_refunded",
            Text("已退回", "It went back"),
            Text(
                f"这笔钱已通过退款{refund}退回。",
                f"This money went back by refund {refund}.",
            ),
            asked_minor=found.amount_minor,
            currency=found.currency,
        )
    return found


class _Went(msgspec.Struct, frozen=True):
    """Where money is: matched `to` a contract ("": to none), by the `times`-th match, `last` to which; or back, by which refund."""

    to: str
    times: int
    last: str = ""
    refunded_by: str = ""


def _went(party: UUID, name: UUID, *, undone: bool = False) -> _Went:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event_kind, substr(reference, strpos(reference, ' ') + 1) FROM books_transaction"
            " WHERE customer_id = %s AND event_kind IN ('matched_money', 'match_undone', 'unmatched_refunded')"
            " AND split_part(reference, ' ', 1) = %s",
            [party, str(name)],
        )
        rows = cursor.fetchall()
    matched = [contract for kind, contract in rows if kind == "matched_money"]
    back = [contract for kind, contract in rows if kind == "match_undone"]
    refunded_by = next((refund for kind, refund in rows if kind == "unmatched_refunded"), "")
    standing = list(matched)
    for contract in back:
        standing.remove(contract)
    to = standing[0] if standing else ""
    return _Went(to, len(matched), to or (matched[-1] if undone and matched else ""), refunded_by)


def _passage(name: UUID, number: int) -> str:
    return f"{service.MATCHED}{name}" if number == 1 else f"{service.MATCHED}{name}:{number}"


def _booked_by(stored: Stored, passage: str) -> PaymentReceived:
    return next(
        event for event in stored.events if isinstance(event, PaymentReceived) and event.settlement == passage
    )


def _pass(
    shop: Shop,
    party: UUID,
    found: Unmatched,
    passage: str,
    kind: str,
    minor: int,
    reference: str,
    at: datetime,
) -> None:
    """Out of suspense, or back into it."""
    matched = kind == "matched_money"
    event = passage if matched else f"{passage} undone"
    # It was the contract's from the day on which it came.
    on = found.occurred_on if matched else local_date(at, shop.time_zone)
    post(
        shop_id=shop.id,
        customer_id=party,
        event_id=uuid5(shop.id, event),
        event_kind=kind,
        entries=Entries((UNAPPLIED_CASH, IN_TRANSIT), (minor, -minor)),
        currency=found.currency,
        occurred_on=on,
        recorded_at=at,
        booked_on=max(on, local_date(shop.created_at, shop.time_zone)),
        settlement=passage,
        reference=reference,
    )


def _own(party: UUID, unapplied_id: str) -> UUID:
    try:
        owner, name = parse_public_id(unapplied_id, _PREFIX)
    except ValueError:
        raise NoMoney(unapplied_id) from None
    if owner != party:
        raise NoMoney(unapplied_id)
    return name


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
        Text(
            f"{amount}已记入合同{contract}。如匹配有误，请先撤销匹配。",
            f"{amount} is booked to contract {contract} already. If that is wrong, undo the match first.",
        ),
        asked_minor=found.amount_minor,
        owed_minor=0,
        currency=found.currency,
    )
