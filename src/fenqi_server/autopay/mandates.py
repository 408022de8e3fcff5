"""Mandates: what a customer allowed to be debited. Without one nothing is ever asked for.

A mandate names a tool by the payment provider's token and by what a person knows it by (brand and the last four digits); the
number of a card is refused wherever it stands. It is for every contract of the customer or for one, has a most per debit, and
names the words that were agreed to. Given and withdrawn are two facts that stay; neither is ever changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import at_local, local_date
from fenqi.money import check_minor
from fenqi.problems import BadInput
from fenqi_server.api.reading import without_cards
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import parse_public_id, public_id, uuid7_after
from fenqi_server.outbox.service import enqueue
from fenqi_server.shops.models import Shop

__all__ = [
    "ACTIVE_SQL",
    "Mandate",
    "NoMandate",
    "Tool",
    "give",
    "mandate",
    "mandates_of",
    "paying",
    "withdraw",
]

MAX_TOKEN: Final = 200
MAX_BRAND: Final = 40
MAX_REFERENCE: Final = 100
_LAST4: Final = re.compile(r"^[0-9]{4}$")

Withdrawer = Literal["customer", "shop", "provider"]


class NoMandate(LookupError):
    """No mandate of this shop has the id."""


class Tool(msgspec.Struct, frozen=True):
    """What is debited, without anything that could be debited by whoever reads it: `token` means something to the provider alone."""

    token: str
    brand: str
    last4: str


class Mandate(msgspec.Struct, frozen=True, kw_only=True):
    """A mandate. `contract_id` is None where it is for every contract; `withdrawn_at` where it still stands."""

    mandate_id: str
    customer_id: UUID
    contract_id: str | None
    tool: Tool
    ceiling_minor: int
    currency: str
    text_version: str
    consent_ref: str
    given_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: str | None

    @property
    def stands(self) -> bool:
        return self.withdrawn_at is None


ACTIVE_SQL: Final = """
SELECT m.mandate_id, m.tool_token, m.tool_brand, m.tool_last4, m.ceiling_minor
  FROM autopay_mandate AS m
 WHERE m.customer_id = {customer} AND (m.contract_id IS NULL OR m.contract_id = {contract})
   AND NOT EXISTS (SELECT FROM autopay_withdrawal AS w
                    WHERE w.customer_id = m.customer_id AND w.mandate_id = m.mandate_id)
 ORDER BY m.contract_id IS NULL, m.mandate_id DESC LIMIT 1
"""
"""The mandate by which a contract is debited: the newest of its own, else the newest for all. Takes two columns' names."""

_COLUMNS: Final = """
m.mandate_id, m.customer_id, m.contract_id, m.tool_token, m.tool_brand, m.tool_last4, m.ceiling_minor, m.currency,
m.text_version, m.consent_ref, m.given_at, w.withdrawn_at, w.withdrawn_by
  FROM autopay_mandate AS m LEFT JOIN autopay_withdrawal AS w USING (customer_id, mandate_id)
"""


def give(
    shop: Shop,
    customer_id: UUID,
    tool: Tool,
    ceiling_minor: int,
    text_version: str,
    at: datetime,
    *,
    contract: str | None = None,
    consent_ref: str = "",
    instead_of: Sequence[str] = (),
) -> Mandate:
    """Record that the customer allows `tool` to be debited, up to `ceiling_minor` at a time.

    `contract` (`ct_...`) makes it for that one; without, it is for all. What is owed already is asked for from the next day on.
    `text_version` names the words that were agreed to, `consent_ref` the shop's own proof. The mandates of
    `instead_of` are taken back in the same transaction, so that never two stand where one was meant, and never none. Raises
    `NoMandate` for one of them that is not this customer's, `fenqi.problems.BadInput` for what cannot be a tool (the number of a card above all), `servicing.service.NoContract`,
    `customers.service.NoCustomer`.
    """
    check_tool(tool)
    check_minor(ceiling_minor, shop.currency, place="ceiling_minor")
    if ceiling_minor == 0:
        raise BadInput("ceiling_minor", ceiling_minor, "more than 0")
    _check_words("text_version", text_version, least=1)
    _check_words("consent_ref", consent_ref, least=0)

    def act() -> Mandate:
        customers.lock(shop, customer_id)
        for old in instead_of:
            if mandate(shop, old).customer_id != customer_id:
                raise NoMandate(old)
            withdraw(shop, old, at)
        contract_id = None if contract is None else _own_contract(shop, customer_id, contract)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT mandate_id FROM autopay_mandate WHERE customer_id = %s ORDER BY mandate_id DESC LIMIT 1",
                [customer_id],
            )
            last = cursor.fetchone()
            name = uuid7_after(last and last[0], at)
            cursor.execute(
                "INSERT INTO autopay_mandate (customer_id, mandate_id, shop_id, contract_id, tool_token, tool_brand,"
                " tool_last4, ceiling_minor, currency, text_version, consent_ref, given_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    customer_id,
                    name,
                    shop.id,
                    contract_id,
                    tool.token,
                    tool.brand,
                    tool.last4,
                    ceiling_minor,
                    shop.currency,
                    text_version,
                    consent_ref,
                    at,
                ],
            )
            # What is owed already has no date to come: it is asked for from the next day on.
            today = local_date(at, shop.time_zone)
            cursor.execute(
                "INSERT INTO autopay_due (customer_id, contract_id, shop_id, ask_at, first_on)"
                " SELECT customer_id, contract_id, shop_id, %s, open_due_on[1] FROM servicing_state"
                "  WHERE customer_id = %s AND shop_id = %s AND status = 'active' AND open_due_on[1] <= %s"
                "    AND (%s::uuid IS NULL OR contract_id = %s) ON CONFLICT DO NOTHING",
                [
                    datetime.fromtimestamp(at_local(today + timedelta(days=1), 0, shop.time_zone), UTC),
                    customer_id,
                    shop.id,
                    today,
                    contract_id,
                    contract_id,
                ],
            )
        found = _one(shop, customer_id, name)
        assert found is not None
        enqueue(shop, customer_id, "mandate.given", _payload(found), at)
        return found

    return in_transaction(act)


def withdraw(shop: Shop, mandate_id: str, at: datetime, *, by: Withdrawer = "customer") -> Mandate:
    """Record that the mandate is taken back: from now on nothing is asked for by it. Twice is once. Raises `NoMandate`.

    What was asked for and nobody has yet is recalled (`attempts.recall`). What is under way may still arrive, and is booked as any
    money is.
    """
    from fenqi_server.autopay.attempts import recall

    def act() -> Mandate:
        found = mandate(shop, mandate_id)
        name = parse_public_id(mandate_id, "mn")[1]
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO autopay_withdrawal (customer_id, mandate_id, shop_id, withdrawn_at, withdrawn_by)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [found.customer_id, name, shop.id, at, by],
            )
            new = bool(cursor.rowcount)
        found = mandate(shop, mandate_id)
        if new:
            enqueue(shop, found.customer_id, "mandate.withdrawn", _payload(found), at)
            recall(shop, found.customer_id, name, at)
        return found

    return in_transaction(act)


def mandate(shop: Shop, mandate_id: str) -> Mandate:
    """One mandate by its id. Raises `NoMandate`."""
    try:
        customer_id, name = parse_public_id(mandate_id, "mn")
    except ValueError:
        raise NoMandate(mandate_id) from None
    found = _one(shop, customer_id, name)
    if found is None:
        raise NoMandate(mandate_id)
    return found


def mandates_of(
    shop: Shop, customer_id: UUID, *, contract: str | None = None, after: str | None = None
) -> list[Mandate]:
    """A customer's mandates, newest first, withdrawn ones too; with `contract`, those that are for it or for all.

    `after`: only those given before that one. Raises `ValueError` for what is no id.
    """
    contract_id = None if contract is None else parse_public_id(contract, "ct")[1]
    before = None if after is None else parse_public_id(after, "mn")[1]
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} WHERE m.customer_id = %s AND (%s::uuid IS NULL OR m.contract_id IS NULL OR m.contract_id = %s)"
            " AND (%s::uuid IS NULL OR m.mandate_id < %s) ORDER BY m.mandate_id DESC",
            [customer_id, contract_id, contract_id, before, before],
        )
        return [_read(row) for row in cursor.fetchall()]


def paying(known: Sequence[Mandate], contract: str) -> Mandate | None:
    """By which of a customer's mandates, newest first, the contract `contract` (`ct_...`) is debited: as `ACTIVE_SQL`, of those at hand."""
    standing = [each for each in known if each.stands and each.contract_id in (None, contract)]
    return min(standing, key=lambda each: each.contract_id is None, default=None)


def check_tool(tool: Tool) -> None:
    """Raises `BadInput` where a tool has no token, no four digits, or the number of a card anywhere in it."""
    for place, text, most in (("tool.token", tool.token, MAX_TOKEN), ("tool.brand", tool.brand, MAX_BRAND)):
        _refuse_card(place, text)
        if not 1 <= len(text) <= most or not text.isprintable():
            raise BadInput(place, text[:80], f"1 to {most} printable characters")
    _refuse_card("tool.last4", tool.last4)
    if not _LAST4.match(tool.last4):
        raise BadInput("tool.last4", tool.last4[:20], "the last four digits, such as 4242")


def _check_words(place: str, text: str, *, least: int) -> None:
    _refuse_card(place, text)
    if not least <= len(text) <= MAX_REFERENCE or not (text.isprintable() or not text):
        raise BadInput(place, text[:80], f"{least} to {MAX_REFERENCE} printable characters")


def _refuse_card(place: str, text: str) -> None:
    if without_cards(text) != text:
        # Not the value: it would be in a log a moment later.
        raise BadInput(
            place,
            "a number withheld",
            "no payment card number",
            "have your payment provider turn the card into a token, and send that",
        )


def _own_contract(shop: Shop, customer_id: UUID, contract: str) -> UUID:
    from fenqi_server.servicing.service import NoContract, parsed

    party, contract_id = parsed(contract)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM servicing_contract WHERE customer_id = %s AND contract_id = %s AND shop_id = %s",
            [party, contract_id, shop.id],
        )
        if party != customer_id or cursor.fetchone() is None:
            raise NoContract(contract)
    return contract_id


def _one(shop: Shop, customer_id: UUID, name: UUID) -> Mandate | None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} WHERE m.customer_id = %s AND m.mandate_id = %s", [customer_id, name]
        )
        row = cursor.fetchone()
    return None if row is None else _read(row)


def _read(row: tuple[object, ...]) -> Mandate:
    name, customer_id, contract_id, token, brand, last4, *rest = row
    assert isinstance(name, UUID)
    assert isinstance(customer_id, UUID)
    ceiling, currency, version, reference, given_at, withdrawn_at, withdrawn_by = rest
    return Mandate(
        mandate_id=public_id("mn", customer_id, name),
        customer_id=customer_id,
        contract_id=public_id("ct", customer_id, contract_id) if isinstance(contract_id, UUID) else None,
        tool=Tool(str(token), str(brand), str(last4)),
        ceiling_minor=ceiling,  # type: ignore[arg-type]
        currency=str(currency),
        text_version=str(version),
        consent_ref=str(reference),
        given_at=given_at,  # type: ignore[arg-type]
        withdrawn_at=withdrawn_at,  # type: ignore[arg-type]
        withdrawn_by=withdrawn_by,  # type: ignore[arg-type]
    )


def _payload(found: Mandate) -> dict[str, object]:
    return {
        "mandate_id": found.mandate_id,
        "contract_id": found.contract_id,
        "tool": {"brand": found.tool.brand, "last4": found.tool.last4},
        "ceiling_minor": found.ceiling_minor,
        "currency": found.currency,
        "text_version": found.text_version,
        "withdrawn_at": found.withdrawn_at,
        "withdrawn_by": found.withdrawn_by,
    }
