"""Cases: a customer's question, tied to the decision that they were looking at.

The agent reads what the engine decided then, from its record; nobody has to describe a screen. A case has one thread,
which the customer and the desk both read, and notes, which only the desk reads: they are kept in a table of their own,
so that no way of showing the one can show the other. It comes from the checkout, from a notice, from the customer's
own pages, by e-mail or through the API, and whoever looks after it is named.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from django.db import connection, transaction

from fenqi_server.api.reading import without_cards
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id, public_id, uuid7, uuid7_after
from fenqi_server.policies import audit
from fenqi_server.shops.models import Shop

__all__ = [
    "CAME_FROM",
    "MAX_MESSAGE",
    "Case",
    "Message",
    "NoCase",
    "Note",
    "assign",
    "by_name",
    "cases_of",
    "close",
    "desk",
    "forget_words",
    "get",
    "has_mail",
    "note",
    "notes",
    "open_case",
    "similar",
    "waiting",
    "write",
]

MAX_MESSAGE: Final = 2000
MAX_SUBJECT: Final = 200
SIMILAR_DAYS: Final = 7

CAME_FROM: Final = ("checkout", "notice", "portal", "email", "api")
Via = Literal["page", "email", "api"]


class NoCase(LookupError):
    """No case of this shop has the id."""


class Message(msgspec.Struct, frozen=True):
    """Something written in a case. `author` is customer or agent; `actor` says which agent, to the desk alone."""

    author: str
    body: str
    written_at: datetime
    actor: str = ""
    via: str = "page"


class Note(msgspec.Struct, frozen=True):
    """What one agent tells the others; no customer reads it."""

    actor: str
    body: str
    written_at: datetime


class Case(msgspec.Struct, frozen=True):
    """One case. `state` is open while the customer waits for an answer, then answered, and closed at its end."""

    customer_id: UUID
    id: UUID
    decision_id: UUID | None
    plan: str
    locale: str
    state: str
    opened_at: datetime
    came_from: str = "checkout"
    subject: str = ""
    notice: str = ""
    assignee: str = ""

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
    came_from: str = "checkout",
    subject: str = "",
    notice: str = "",
    via: Via = "page",
    mail_id: str | None = None,
    actor: str = "",
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
    if came_from not in CAME_FROM:
        raise ValueError(f"a case comes from one of {', '.join(CAME_FROM)}, not from {came_from!r}")
    said = subject.replace("\x00", "").strip()[:MAX_SUBJECT]
    case = Case(customer_id, uuid7(at), decision_id, plan, locale, "open", at, came_from, said, notice)
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            places = ", ".join(["%s"] * (len(Case.__struct_fields__) + 1))
            cursor.execute(
                f"INSERT INTO support_case (shop_id, {_COLUMNS}) VALUES ({places})",
                [shop.id, *msgspec.structs.astuple(case)],
            )
        _add(shop, case, "customer", body, at, actor=actor, via=via, mail_id=mail_id)
    return case


def get(shop: Shop, case_id: str) -> tuple[Case, tuple[Message, ...]]:
    """A case with everything written in its thread. Raises `NoCase`, for another shop's too."""
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
            "SELECT author, body, written_at, actor, via FROM support_message"
            " WHERE customer_id = %s AND case_id = %s ORDER BY id",
            [customer_id, name],
        )
        return Case(*row), tuple(Message(*found) for found in cursor.fetchall())


def write(
    shop: Shop,
    case_id: str,
    author: Literal["customer", "agent"],
    message: str,
    at: datetime,
    *,
    actor: str = "",
    via: Via = "page",
    mail_id: str | None = None,
) -> bool:
    """Add a message. The agent's makes the case answered, the customer's opens it again, a closed one too.

    False where it is a mail that was handed over before: then nothing is added.
    """
    from fenqi_server.support import mailing

    body = _body(message)
    case, messages = get(shop, case_id)
    with transaction.atomic():
        use_shop(shop.id)
        added = _add(shop, case, author, body, at, actor=actor, via=via, mail_id=mail_id)
        if added is None:
            return False
        state = "answered" if author == "agent" else "open"
        _change(case, "state", state)
        if author == "agent":
            if mailing.by_mail(shop, case, messages):
                mailing.enqueue(shop, case, added, at)
            # What was said stands in the thread; the log says that it was said, and by whom.
            audit.record(
                shop,
                actor,
                "case.reply",
                case.public_id,
                at,
                before={"state": case.state},
                after={"state": state},
            )
    return True


def forget_words(shop: Shop, customer_id: UUID) -> int:
    """Blank what a customer wrote, what was answered, and what the desk noted, in every case; how many texts that was.

    That there was a case, when, and about which decision stays.
    """
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT support_forget(%s)", [customer_id])
        return int(cursor.fetchone()[0])


def note(shop: Shop, case_id: str, actor: str, text: str, at: datetime) -> None:
    """Add a note for the desk."""
    body = _body(text)
    case, _ = get(shop, case_id)
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO support_note (shop_id, customer_id, case_id, id, actor, body, written_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [shop.id, case.customer_id, case.id, uuid7(at), actor, body, at],
            )
        audit.record(shop, actor, "case.note", case.public_id, at)


def notes(shop: Shop, case: Case) -> tuple[Note, ...]:
    """The desk's notes on a case."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT actor, body, written_at FROM support_note"
            " WHERE customer_id = %s AND case_id = %s AND shop_id = %s ORDER BY id",
            [case.customer_id, case.id, shop.id],
        )
        return tuple(Note(*row) for row in cursor.fetchall())


def assign(shop: Shop, case_id: str, assignee: str, actor: str, at: datetime) -> None:
    """Say who looks after it; nobody where `assignee` is empty."""
    case, _ = get(shop, case_id)
    with transaction.atomic():
        use_shop(shop.id)
        _change(case, "assignee", assignee)
        audit.record(
            shop,
            actor,
            "case.assign",
            case.public_id,
            at,
            before={"assignee": case.assignee},
            after={"assignee": assignee},
        )


def close(shop: Shop, case_id: str, actor: str, at: datetime) -> None:
    """Close it. A further message of the customer's opens it again."""
    case, _ = get(shop, case_id)
    with transaction.atomic():
        use_shop(shop.id)
        _change(case, "state", "closed")
        audit.record(
            shop,
            actor,
            "case.close",
            case.public_id,
            at,
            before={"state": case.state},
            after={"state": "closed"},
        )


def by_name(shop: Shop, name: UUID) -> Case | None:
    """The case whose own id this is."""
    found = _many(shop, "shop_id = %s AND id = %s", [shop.id, name])
    return found[0] if found else None


def has_mail(shop: Shop, customer_id: UUID, mail_id: str) -> str | None:
    """The case that this mail of the customer's is in already."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT case_id FROM support_message WHERE customer_id = %s AND mail_id = %s AND shop_id = %s",
            [customer_id, mail_id, shop.id],
        )
        row = cursor.fetchone()
    return None if row is None else public_id("cs", customer_id, row[0])


def cases_of(shop: Shop, customer_id: UUID) -> tuple[Case, ...]:
    """A customer's cases, newest first."""
    return _many(shop, "customer_id = %s ORDER BY id DESC LIMIT 100", [customer_id])


def desk(shop: Shop, *, assignee: str | None = None, state: str | None = None) -> tuple[Case, ...]:
    """The desk's list: of those who wait the one who waits longest first, then what is answered, then what is closed."""
    condition, values = "", list[object]()
    if assignee is not None:
        condition += " AND assignee = %s"
        values.append(assignee)
    if state is not None:
        condition += " AND state = %s"
        values.append(state)
    order = (
        "CASE state WHEN 'open' THEN 0 WHEN 'answered' THEN 1 ELSE 2 END,"
        " CASE state WHEN 'open' THEN opened_at END, opened_at DESC"
    )
    return _many(shop, f"shop_id = %s {condition} ORDER BY {order} LIMIT 200", [shop.id, *values])


def waiting(shop: Shop) -> int:
    """How many customers wait for an answer."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM support_case WHERE shop_id = %s AND state = 'open'", [shop.id])
        return int(cursor.fetchone()[0])


def similar(shop: Shop, case: Case, codes: tuple[str, ...], at: datetime) -> tuple[Case, ...]:
    """Other cases of the last days about a decision in which the same plan was missing for one of these reasons."""
    if not case.plan or not codes:
        return ()
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join('c.' + name for name in Case.__struct_fields__)} FROM support_case c"
            " JOIN decisions_decision d ON d.customer_id = c.customer_id AND d.decision_id = c.decision_id"
            " WHERE c.shop_id = %s AND c.opened_at > %s AND c.id <> %s AND c.plan = %s"
            " AND jsonb_exists_any(d.verdicts -> c.plan -> 1, %s) ORDER BY c.opened_at DESC LIMIT 10",
            [shop.id, at - timedelta(days=SIMILAR_DAYS), case.id, case.plan, list(codes)],
        )
        return tuple(Case(*row) for row in cursor.fetchall())


def _many(shop: Shop, condition: str, values: list[object]) -> tuple[Case, ...]:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM support_case WHERE {condition}", values)
        return tuple(Case(*row) for row in cursor.fetchall())


def _change(case: Case, column: Literal["state", "assignee"], value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE support_case SET {column} = %s WHERE customer_id = %s AND id = %s",
            [value, case.customer_id, case.id],
        )


def _add(
    shop: Shop,
    case: Case,
    author: str,
    body: str,
    at: datetime,
    *,
    actor: str,
    via: str,
    mail_id: str | None,
) -> UUID | None:
    """The new message's name; None where it is a mail that is there already."""
    with connection.cursor() as cursor:
        # One at a time in a case, so that what was said after stands after.
        cursor.execute(
            "SELECT id FROM support_case WHERE customer_id = %s AND id = %s FOR UPDATE",
            [case.customer_id, case.id],
        )
        cursor.execute(
            "SELECT id FROM support_message WHERE customer_id = %s AND case_id = %s ORDER BY id DESC LIMIT 1",
            [case.customer_id, case.id],
        )
        last = cursor.fetchone()
        name = uuid7_after(last[0] if last else None, at)
        cursor.execute(
            "INSERT INTO support_message"
            " (shop_id, customer_id, case_id, id, author, body, written_at, actor, via, mail_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (customer_id, mail_id) DO NOTHING",
            [shop.id, case.customer_id, case.id, name, author, body, at, actor, via, mail_id],
        )
        return name if cursor.rowcount else None


def _body(message: str) -> str:
    body = without_cards(message.replace("\x00", "").strip())
    if not body or len(body) > MAX_MESSAGE:
        raise ValueError(f"a message has 1 to {MAX_MESSAGE} characters")
    return body
