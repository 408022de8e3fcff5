"""Cases: a customer's question, tied to the decision that they were looking at.

The agent reads what the engine decided then, from its record; nobody has to describe a screen.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection, transaction

from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id, public_id, uuid7
from fenqi_server.shops.models import Shop

__all__ = ["MAX_MESSAGE", "Case", "Message", "NoCase", "cases_of", "desk", "get", "open_case", "write"]

MAX_MESSAGE: Final = 2000


class NoCase(LookupError):
    """No case of this shop has the id."""


class Message(msgspec.Struct, frozen=True):
    """Something written in a case. `author` is customer or agent."""

    author: str
    body: str
    written_at: datetime


class Case(msgspec.Struct, frozen=True):
    """One case. `state` is open while the customer waits for an answer."""

    customer_id: UUID
    id: UUID
    decision_id: UUID | None
    plan: str
    locale: str
    state: str
    opened_at: datetime

    @property
    def public_id(self) -> str:
        return public_id("cs", self.customer_id, self.id)

    @property
    def decision(self) -> str | None:
        """The id under which `decisions.service.load` finds what the customer saw."""
        return None if self.decision_id is None else public_id("dc", self.customer_id, self.decision_id)

    @property
    def number(self) -> str:
        """What people call it: the end of its id."""
        return self.id.hex[-8:].upper()


_COLUMNS: Final = ", ".join(Case.__struct_fields__)


def open_case(
    shop: Shop,
    customer_id: UUID,
    message: str,
    at: datetime,
    *,
    locale: str,
    decision: str | None = None,
    plan: str = "",
) -> Case:
    """Open a case with the customer's first message. `decision` has to be one of this customer's.

    Raises `ValueError` for an empty message, one that is too long, or another customer's decision.
    """
    body = _body(message)
    decision_id = None
    if decision:
        owner, decision_id = parse_public_id(decision, "dc")
        if owner != customer_id:
            raise ValueError("the decision belongs to another customer")
    case = Case(customer_id, uuid7(at), decision_id, plan, locale, "open", at)
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO support_case (shop_id, {_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [shop.id, *msgspec.structs.astuple(case)],
            )
            _add(shop, case, "customer", body, at)
    return case


def get(shop: Shop, case_id: str) -> tuple[Case, tuple[Message, ...]]:
    """A case with everything written in it. Raises `NoCase`, for another shop's too."""
    try:
        customer_id, name = parse_public_id(case_id, "cs")
    except ValueError:
        raise NoCase(case_id) from None
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM support_case WHERE customer_id = %s AND id = %s AND shop_id = %s",
            [customer_id, name, shop.id],
        )
        row = cursor.fetchone()
        if row is None:
            raise NoCase(case_id)
        cursor.execute(
            "SELECT author, body, written_at FROM support_message WHERE customer_id = %s AND case_id = %s"
            " ORDER BY id",
            [customer_id, name],
        )
        return Case(*row), tuple(Message(*found) for found in cursor.fetchall())


def write(shop: Shop, case_id: str, author: str, message: str, at: datetime) -> None:
    """Add a message. The agent's makes the case answered, the customer's opens it again."""
    body = _body(message)
    case, _ = get(shop, case_id)
    with transaction.atomic():
        use_shop(shop.id)
        _add(shop, case, author, body, at)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE support_case SET state = %s WHERE customer_id = %s AND id = %s",
                ["answered" if author == "agent" else "open", case.customer_id, case.id],
            )


def cases_of(shop: Shop, customer_id: UUID) -> tuple[Case, ...]:
    """A customer's cases, newest first."""
    return _many(shop, "customer_id = %s ORDER BY id DESC LIMIT 100", [customer_id])


def desk(shop: Shop) -> tuple[Case, ...]:
    """The agent's list: who waits first, then what is answered."""
    return _many(shop, "shop_id = %s ORDER BY state DESC, opened_at DESC LIMIT 200", [shop.id])


def _many(shop: Shop, condition: str, values: list[object]) -> tuple[Case, ...]:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM support_case WHERE {condition}", values)
        return tuple(Case(*row) for row in cursor.fetchall())


def _add(shop: Shop, case: Case, author: str, body: str, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO support_message (shop_id, customer_id, case_id, id, author, body, written_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [shop.id, case.customer_id, case.id, uuid7(at), author, body, at],
        )


def _body(message: str) -> str:
    body = message.replace("\x00", "").strip()
    if not body or len(body) > MAX_MESSAGE:
        raise ValueError(f"a message has 1 to {MAX_MESSAGE} characters")
    return body
