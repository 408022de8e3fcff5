"""Answers by mail, to whoever asked by mail.

A reply and its place in the queue are written in one transaction; a worker leases what is due, hands it to the same
port as every other mail, and records what became of it before the row goes. Its Message-ID is the message's own name,
so that a mail sent twice by a worker that died in between can be told from two.

The answer goes to the address on file for the customer, never to one that a mail named. What the customer answers
comes back to the case's own signed address.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection, transaction

from fenqi.texts import Text
from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop
from fenqi_server.subscriptions.messages import message_id
from fenqi_server.subscriptions.ports import Letter, Outgoing, Port, PortDown, offered, open_port
from fenqi_server.support import cases
from fenqi_server.support.mail import MARK, reply_address

__all__ = ["by_mail", "enqueue", "letter_of", "send_due"]

BATCH_ROWS: Final = 20
LEASE_SECONDS: Final = 120
RETRY_SECONDS: Final = (60, 300, 900, 3_600, 7_200, 14_400, 28_800)
GIVE_UP: Final = timedelta(days=3)
PORT_DOWN: Final = timedelta(seconds=60)

_log = logging.getLogger(__name__)

_SUBJECT: Final = Text("您的咨询", "Your question")
_NUMBER: Final = Text(
    "咨询编号 {case}。直接回复此邮件即可继续。", "Your case is {case}. Answer this mail to go on."
)


def by_mail(shop: Shop, case: cases.Case, messages: tuple[cases.Message, ...]) -> str:
    """The address that a reply is mailed to; empty where the customer did not write by mail, or it cannot be sent."""
    if not offered("email") or not any(message.via == "email" for message in messages):
        return ""
    return customers.private(shop, case.customer_id).email


def enqueue(shop: Shop, case: cases.Case, message: UUID, at: datetime) -> None:
    """Have a reply mailed, if the caller's transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO support_mail (shop_id, customer_id, case_id, id, created_at, due_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [shop.id, case.customer_id, case.id, message, at, at],
        )


class _Leased(msgspec.Struct, frozen=True):
    customer_id: UUID
    case_id: UUID
    id: UUID
    created_at: datetime
    attempt: int


def send_due(now: datetime) -> int:
    """The worker's job: mail the replies that are due, of all shops; how many were delivered."""
    return sum(_send(shop, now) for shop in Shop.objects.order_by("created_at"))


def _send(shop: Shop, now: datetime) -> int:
    batch = _lease(shop, now)
    if not batch:
        return 0
    delivered, port = 0, None
    try:
        for row in batch:
            try:
                port = port or open_port("email")
                outcome, code = _deliver(shop, port, row, now)
            except PortDown as down:
                _log.warning("no reply can be mailed: %s", down)
                _put_off(shop, row, now + PORT_DOWN, tried=False)
                continue
            except Exception:
                # One that cannot be made keeps no other waiting, nor itself the queue for ever.
                _log.exception("the reply %s could not be mailed", row.id)
                outcome, code = "retry", None
            if outcome in ("retry", "unknown") and now - row.created_at > GIVE_UP:
                outcome = "given_up"
            _record(shop, row, outcome, code, now)
            delivered += outcome == "delivered"
    finally:
        if port is not None:
            port.close()
    return delivered


def _lease(shop: Shop, now: datetime) -> list[_Leased]:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE support_mail AS m SET leased_until = %(until)s, attempt = m.attempt + 1"
            " FROM (SELECT customer_id, id FROM support_mail WHERE shop_id = %(shop)s AND due_at <= %(now)s"
            "        AND (leased_until IS NULL OR leased_until <= %(now)s)"
            "       ORDER BY due_at LIMIT %(rows)s FOR UPDATE SKIP LOCKED) AS due"
            " WHERE m.customer_id = due.customer_id AND m.id = due.id"
            " RETURNING m.customer_id, m.case_id, m.id, m.created_at, m.attempt",
            {
                "shop": shop.id,
                "now": now,
                "until": now + timedelta(seconds=LEASE_SECONDS),
                "rows": BATCH_ROWS,
            },
        )
        return [_Leased(*row) for row in cursor.fetchall()]


def _deliver(shop: Shop, port: Port, row: _Leased, now: datetime) -> tuple[str, int | None]:
    case = cases.by_name(shop, row.case_id)
    assert case is not None, "a case is never removed"
    address = customers.private(shop, row.customer_id).email
    if not address:
        return "no_address", None  # forgotten meanwhile
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT body FROM support_message WHERE customer_id = %s AND case_id = %s AND id = %s",
            [row.customer_id, row.case_id, row.id],
        )
        (body,) = cursor.fetchone()
    done = port.deliver(
        Outgoing(
            message_id=message_id(row.id),
            kind="reply",
            address=address,
            locale=case.locale,
            letter=letter_of(case, body),
            sender=shop.name.in_(case.locale),
            unsubscribe="",
            at=now,
            payload=_payload(case),
            reply_to=reply_address(shop, case),
        )
    )
    return done.state, done.code


def letter_of(case: cases.Case, body: str) -> Letter:
    """The mail of one reply: the line to answer above, the reply, and the case's number."""
    subject = case.subject or _SUBJECT.in_(case.locale)
    return Letter(
        f"Re: {subject.removeprefix('Re: ')} [#{case.number}]",
        (MARK, *body.split("\n\n")),
        footer=(_NUMBER.in_(case.locale).format(case=case.number),),
    )


def _payload(case: cases.Case) -> dict[str, Any]:
    return {"type": "case.reply", "data": {"case": case.public_id}}


def _put_off(shop: Shop, row: _Leased, due: datetime, *, tried: bool) -> None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE support_mail SET due_at = %s, leased_until = NULL, attempt = attempt - %s"
            " WHERE customer_id = %s AND id = %s AND attempt = %s",
            [due, 0 if tried else 1, row.customer_id, row.id, row.attempt],
        )


def _record(shop: Shop, row: _Leased, outcome: str, code: int | None, now: datetime) -> None:
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO support_mail_outcome (shop_id, customer_id, id, attempt, at, outcome, code)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [shop.id, row.customer_id, row.id, row.attempt, now, outcome, code],
            )
            if outcome in ("retry", "unknown"):
                pause = RETRY_SECONDS[min(row.attempt, len(RETRY_SECONDS)) - 1]
                _put_off(shop, row, now + timedelta(seconds=pause), tried=True)
            else:
                # Only the holder of this attempt's lease decides.
                cursor.execute(
                    "DELETE FROM support_mail WHERE customer_id = %s AND id = %s AND attempt = %s",
                    [row.customer_id, row.id, row.attempt],
                )
