"""The demo's mailbox: a mail backend that writes rows instead of sending anything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection

from fenqi_server import clock
from fenqi_server.db import use_shop
from fenqi_server.ids import uuid7
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import only_shop

__all__ = ["Mail", "MailboxBackend", "mails"]


class Mail(msgspec.Struct, frozen=True):
    """A mail as it would have been sent."""

    recipient: str
    subject: str
    body: str
    locale: str
    sent_at: datetime


class MailboxBackend(BaseEmailBackend):
    """Django's way to send mail, into `subscriptions_mail`.

    The row belongs to the caller's transaction: the mail is there exactly if what caused it is.
    """

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        shop = only_shop()
        now = clock.now()
        use_shop(shop.id)
        sent = 0
        for message in email_messages:
            locale = message.extra_headers.get("Content-Language", "zh-CN")
            for recipient in message.recipients():
                with connection.cursor() as cursor:
                    cursor.execute(
                        "INSERT INTO subscriptions_mail (shop_id, id, recipient, subject, body, locale, sent_at)"
                        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                        [shop.id, uuid7(now), recipient, message.subject, message.body, locale, now],
                    )
            sent += 1
        return sent


def mails(shop: Shop) -> tuple[Mail, ...]:
    """What is in the mailbox, newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT recipient, subject, body, locale, sent_at FROM subscriptions_mail WHERE shop_id = %s"
            " ORDER BY sent_at DESC, id DESC LIMIT 100",
            [shop.id],
        )
        return tuple(Mail(*row) for row in cursor.fetchall())
