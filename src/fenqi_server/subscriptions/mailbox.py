"""The demo's mailbox: mails are kept as rows instead of being sent. Nothing leaves the machine."""

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
from fenqi_server.subscriptions.ports import Outcome, Outgoing

__all__ = ["Mail", "MailboxBackend", "MailboxPort", "mails"]


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
                        "INSERT INTO subscriptions_mail (shop_id, id, recipient, subject, body, locale, sent_at,"
                        " message_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                        [
                            shop.id,
                            uuid7(now),
                            recipient,
                            message.subject,
                            message.body,
                            locale,
                            now,
                            message.extra_headers.get("Message-ID", ""),
                        ],
                    )
            sent += 1
        return sent


class MailboxPort:
    """The same as a port of the queue, so that the demo's mails go the way that every mail goes."""

    def deliver(self, message: Outgoing) -> Outcome:
        """Put the mail into the box."""
        MailboxBackend().send_messages(
            [
                EmailMessage(
                    message.letter.subject,
                    message.letter.text,
                    to=[message.address],
                    reply_to=[message.reply_to] if message.reply_to else None,
                    headers={"Content-Language": message.locale, "Message-ID": message.message_id},
                )
            ]
        )
        return Outcome("delivered")

    def close(self) -> None:
        """Nothing is held open."""


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
