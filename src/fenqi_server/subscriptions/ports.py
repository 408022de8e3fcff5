"""The port through which a message leaves: one small contract for mail, webhook, SMS and push.

Fenqi sends mail (`smtp.SmtpPort`) and webhooks (`webhook.WebhookPort`) itself. A text message or a push goes through whatever the
shop uses: name a class of yours in `FENQI_SMS_PORT` or `FENQI_PUSH_PORT`, and the channel is offered on the pages.

    class MyPort:
        def deliver(self, message: Outgoing) -> Outcome: ...
        def close(self) -> None: ...

`deliver` returns within half a lease (`FENQI_NOTIFY_LEASE_SECONDS`) and says what is known:

- `delivered`: the other side took it over.
- `retry`: it did not, and may later. The queue decides when.
- `refused`: it never will at this address. The address is suspended.
- `unknown`: the connection was lost after everything was said and before the answer. It is sent again, under the same
  `message_id`: give that to your provider as its idempotency key.

It raises `PortDown` where nobody can be reached at all: then nothing counts as tried. One object serves one batch after
another in one thread; `close` ends what it holds open. No port logs an address.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, Protocol

import msgspec
from django.conf import settings
from django.utils.module_loading import import_string

from fenqi_server.subscriptions.addresses import Channel

__all__ = ["Letter", "Outcome", "Outgoing", "Port", "PortDown", "offered", "open_port"]


class Letter(msgspec.Struct, frozen=True):
    """The words of a message, in one language. Plain text throughout: whoever makes HTML of it escapes it.

    `paragraphs` come first, then `links` as (label, address), then `footer` in small letters.
    """

    subject: str
    paragraphs: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()
    footer: tuple[str, ...] = ()
    footer_links: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The letter as plain text."""
        parts = [
            *self.paragraphs,
            *(f"{label}\n{address}" for label, address in self.links),
            *(("-- ",) if self.footer or self.footer_links else ()),
            *self.footer,
            *(f"{label}\n{address}" for label, address in self.footer_links),
        ]
        return "\n\n".join(parts) + "\n"


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One message on its way. `message_id` is the same for every attempt and for no other message."""

    message_id: str
    kind: str
    address: str
    locale: str
    letter: Letter
    sender: str
    """The shop's name in the reader's language."""
    unsubscribe: str
    at: datetime
    payload: dict[str, Any]
    """The same as data, for machines."""
    secret: str | None = None
    reply_to: str = ""
    """Where an answer goes, for what a person wrote; nobody can leave a conversation that they began."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of one attempt. `code` is the other side's number for it, where it gave one."""

    state: Literal["delivered", "retry", "refused", "unknown"]
    code: int | None = None


class PortDown(Exception):
    """Nobody can be reached through this port now. Says why in a few words, without any address of a customer."""


class Port(Protocol):
    """What every way out does."""

    def deliver(self, message: Outgoing) -> Outcome:
        """Send one message and say what became of it. Raises `PortDown`."""
        ...

    def close(self) -> None:
        """End what is held open."""
        ...


_WEBHOOK: Final = "fenqi_server.subscriptions.webhook.WebhookPort"
_SMTP: Final = "fenqi_server.subscriptions.smtp.SmtpPort"
_MAILBOX: Final = "fenqi_server.subscriptions.mailbox.MailboxPort"


def _named(channel: Channel) -> str:
    if channel == "webhook":
        return _WEBHOOK
    if channel == "email":
        if settings.FENQI_DEMO:
            return _MAILBOX
        return _SMTP if settings.FENQI_SMTP_URL else ""
    return str(settings.FENQI_SMS_PORT if channel == "sms" else settings.FENQI_PUSH_PORT)


def offered(channel: Channel) -> bool:
    """Whether this installation can send by this channel."""
    return bool(_named(channel))


def open_port(channel: Channel) -> Port:
    """The port of a channel. Raises `PortDown` where the installation has none."""
    name = _named(channel)
    if not name:
        raise PortDown(f"no port is set for {channel}")
    port: Port = import_string(name)()
    return port
