"""Finding what a customer means: by order, phone, customer, decision or case.

A caller says a number, and it is one of few kinds; which kind is told by its shape, and nothing is searched by part.
A phone is compared whole, written as it may be (`138 0013 8000`, `+86-138…`). Whatever belongs to another shop is not
there. What is found are recorded decisions, newest first, of the checkout and of product pages alike.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.decisions import log
from fenqi_server.ids import parse_public_id, public_id
from fenqi_server.shops.models import Shop

__all__ = ["MAX_FOUND", "FoundDecision", "decisions_of", "find", "phone_digits"]

MAX_FOUND: Final = 50
MAX_ASKED: Final = 200


class FoundDecision(msgspec.Struct, frozen=True):
    """A recorded decision in a list. `how` says by what it was found; `missing` counts the plans that were not open."""

    decision: str
    customer_id: UUID
    at: datetime
    source: str
    amount_minor: int
    currency: str
    missing: int
    how: str


def find(shop: Shop, asked: str) -> tuple[FoundDecision, ...]:
    """The decisions that `asked` names, newest first; empty where it names nothing of this shop.

    It may be the id of a decision, case, contract, hand-off, order or special case; the shop's order number; the shop's
    name for a customer; or a phone number.
    """
    text = asked.strip()
    if not text or len(text) > MAX_ASKED or "\x00" in text:
        return ()
    use_shop(shop.id)
    kind, _, _ = text.partition("_")
    if kind in _BY_ID:
        try:
            customer_id, name = parse_public_id(text, kind)
        except ValueError:
            pass
        else:
            return _by_id(shop, kind, customer_id, name)
    found = _by_order(shop, text)
    if found:
        return found
    customer_id = customers.find(shop, text)
    if customer_id is not None:
        return decisions_of(shop, customer_id, "customer")
    return tuple(
        sorted(
            (line for owner in _by_phone(shop, text) for line in decisions_of(shop, owner, "phone")),
            key=lambda line: line.at,
            reverse=True,
        )[:MAX_FOUND]
    )


def decisions_of(shop: Shop, customer_id: UUID, how: str = "customer") -> tuple[FoundDecision, ...]:
    """A customer's decisions, newest first."""
    use_shop(shop.id)
    return tuple(
        _line(record, how) for record in log.newest_of(customer_id, MAX_FOUND) if record.shop_id == shop.id
    )


_BY_ID: Final = {
    "dc": "decision",
    "cs": "case",
    "ct": "order",
    "ho": "order",
    "or": "order",
    "ov": "special case",
}
# Each gives the decision's own id, as a uuid or as the id it has outside.
_DECISION_OF: Final = {
    "cs": "SELECT decision_id::text FROM support_case WHERE customer_id = %s AND id = %s AND shop_id = %s",
    "ct": "SELECT decision_id FROM servicing_contract WHERE customer_id = %s AND contract_id = %s AND shop_id = %s",
    "ho": "SELECT decision_id::text FROM funders_hand_off WHERE customer_id = %s AND id = %s AND shop_id = %s",
    "ov": "SELECT decision_id::text FROM support_override WHERE customer_id = %s AND id = %s AND shop_id = %s",
}


def _by_id(shop: Shop, kind: str, customer_id: UUID, name: UUID) -> tuple[FoundDecision, ...]:
    if kind == "dc":
        return _one(shop, customer_id, name, "decision")
    how = _BY_ID[kind]
    if kind == "or":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT reference FROM storefront_order WHERE customer_id = %s AND id = %s AND shop_id = %s",
                [customer_id, name, shop.id],
            )
            row = cursor.fetchone()
        return _by_order(shop, row[0]) if row else ()
    with connection.cursor() as cursor:
        cursor.execute(_DECISION_OF[kind], [customer_id, name, shop.id])
        row = cursor.fetchone()
    if row is None:
        return ()
    if not row[0]:
        # It was about nothing in particular: then about anything that this customer was shown.
        return decisions_of(shop, customer_id, how)
    return _one(shop, customer_id, _name(row[0]), how)


def _by_order(shop: Shop, reference: str) -> tuple[FoundDecision, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, decision_id FROM servicing_contract WHERE shop_id = %(shop)s AND order_ref = %(ref)s"
            " UNION ALL"
            " SELECT customer_id, decision_id::text FROM funders_hand_off WHERE shop_id = %(shop)s AND order_ref = %(ref)s"
            " LIMIT %(most)s",
            {"shop": shop.id, "ref": reference, "most": MAX_FOUND},
        )
        rows = cursor.fetchall()
    found = [
        line
        for customer_id, decision in rows
        if decision
        for line in _one(shop, customer_id, _name(decision), "order")
    ]
    return tuple(sorted(found, key=lambda line: line.at, reverse=True))


def _by_phone(shop: Shop, text: str) -> tuple[UUID, ...]:
    digits = phone_digits(text)
    if digits is None:
        return ()
    with connection.cursor() as cursor:
        # The index is over the last eleven digits; which of those found is the very number is seen here.
        cursor.execute(
            "SELECT customer_id, phone FROM customers_private WHERE shop_id = %s AND phone <> ''"
            " AND right(regexp_replace(phone, '[^0-9]', '', 'g'), 11) = %s LIMIT 200",
            [shop.id, digits[-11:]],
        )
        return tuple(owner for owner, phone in cursor.fetchall() if phone_digits(phone) == digits)


_PHONE: Final = re.compile(r"^\+?[0-9][0-9 ()\-./]{4,28}$")


def phone_digits(text: str) -> str | None:
    """A phone number as its digits, without China's prefix; None where it is no phone number.

    >>> phone_digits("+86 138-0013-8000"), phone_digits("0086 13800138000"), phone_digits("o-1001")
    ('13800138000', '13800138000', None)
    """
    text = text.strip()
    if not _PHONE.match(text):
        return None
    digits = "".join(letter for letter in text if letter.isdigit())
    for prefix in ("0086", "86"):
        if digits.startswith(prefix) and len(digits) == len(prefix) + 11 and digits[len(prefix)] == "1":
            return digits[len(prefix) :]
    return digits if len(digits) >= 6 else None


def _one(shop: Shop, customer_id: UUID, name: UUID | None, how: str) -> tuple[FoundDecision, ...]:
    if name is None:
        return ()
    use_shop(shop.id)
    record = log.read(customer_id, name)
    return (_line(record, how),) if record is not None and record.shop_id == shop.id else ()


def _name(decision: str) -> UUID | None:
    try:
        return parse_public_id(decision, "dc")[1] if decision.startswith("dc_") else UUID(decision)
    except ValueError:
        return None


def _line(record: log.Record, how: str) -> FoundDecision:
    verdicts = msgspec.json.decode(record.verdicts, type=dict[str, tuple[str, tuple[str, ...]]])
    return FoundDecision(
        public_id("dc", record.customer_id, record.decision_id),
        record.customer_id,
        record.recorded_at,
        record.source,
        record.amount_minor,
        record.currency,
        sum(1 for state, _ in verdicts.values() if state in ("unavailable", "pending")),
        how,
    )
