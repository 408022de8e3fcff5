"""Mail over a shop's own mail server, several to a connection, with every answer told apart.

`FENQI_SMTP_URL` names the server:

    smtp://user:password@mail.example.com:587      STARTTLS, which must succeed
    smtps://user:password@mail.example.com:465     TLS from the first byte
    smtp://127.0.0.1:25                            a server on the same machine: no TLS
    ...?starttls=no                                in a network of your own; never with a password
    ...?ca=/etc/fenqi/mail-ca.pem                  a certificate authority of your own

What an answer means: 2xx after the text, it was taken over. 4xx, later. 5xx about the recipient or the text, never. A
connection lost after the text was sent and before the answer leaves open whether it arrived.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.template.loader import render_to_string

from fenqi_server.subscriptions.ports import Outcome, Outgoing, PortDown

__all__ = ["MailServer", "SmtpPort", "mail_from", "mail_of", "read_url"]

TIMEOUT_SECONDS: Final = 10.0
MAX_PER_CONNECTION: Final = 200
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_WIRE: Final = compat32.clone(linesep="\r\n")
_ABOUT_US: Final = frozenset({500, 502, 503, 504, 530, 534, 535, 538})
"""What a server answers where the set-up is wrong: no address is to blame for it."""
_LEADING_DOT: Final = re.compile(rb"(?m)^\.")


class MailServer(msgspec.Struct, frozen=True):
    """Where mail is handed in."""

    host: str
    port: int
    tls: str
    """`implicit`, `starttls` or `none`."""
    user: str = ""
    password: str = ""
    ca: str | None = None


def read_url(url: str) -> MailServer:
    """The mail server that an address names. Raises `ImproperlyConfigured` saying what is wrong with it.

    >>> read_url("smtp://mail.example.com").tls, read_url("smtp://127.0.0.1:2525").port
    ('starttls', 2525)
    """

    def wrong(what: str) -> ImproperlyConfigured:
        # Not the address itself: it has a password in it.
        return ImproperlyConfigured(
            f"FENQI_SMTP_URL {what}; write it like smtp://user:password@mail.example.com:587"
        )

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong("cannot be read") from None
    if parts.scheme not in ("smtp", "smtps"):
        raise wrong("must begin with smtp:// or smtps://")
    if not parts.hostname or parts.path not in ("", "/") or parts.fragment:
        raise wrong("needs a host and no path")
    asked = parse_qs(parts.query, keep_blank_values=True)
    if set(asked) - {"starttls", "ca"}:
        raise wrong("knows only ?starttls=no and ?ca=FILE")
    starttls = asked.get("starttls", ["no" if parts.hostname in _LOOPBACK and "ca" not in asked else "yes"])[
        0
    ]
    if starttls not in ("yes", "no"):
        raise wrong("says starttls that is neither yes nor no")
    tls = "implicit" if parts.scheme == "smtps" else "starttls" if starttls == "yes" else "none"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if user and tls == "none" and parts.hostname not in _LOOPBACK:
        raise wrong("sends a password without TLS")
    return MailServer(
        parts.hostname,
        port or (465 if tls == "implicit" else 587 if tls == "starttls" else 25),
        tls,
        user,
        password,
        asked["ca"][0] if "ca" in asked else None,
    )


def mail_from() -> str:
    """The address that mails come from."""
    named = settings.FENQI_MAIL_FROM
    if named:
        return str(named)
    host = urlsplit(settings.FENQI_ORIGIN).hostname or "localhost"
    return (
        f"no-reply@{host if '.' in host and not host.replace('.', '').isdigit() else 'localhost.localdomain'}"
    )


def mail_of(message: Outgoing) -> bytes:
    """The message as it goes over the wire: plain text, and the same as HTML with every word escaped.

    The headers are written here, each from one line of text, and ASCII or not at all: the library would fold a long link
    where some readers lose it, or take three times as long.
    """
    head = [
        ("Message-ID", message.message_id),
        ("Date", format_datetime(message.at)),
        ("From", f"{_phrase(_one_line(message.sender))}<{mail_from()}>"),
        ("To", message.address),
        ("Subject", _encoded(_one_line(message.letter.subject))),
        ("Content-Language", message.locale),
        ("X-Auto-Response-Suppress", "All"),
    ]
    if message.reply_to:
        head.append(("Reply-To", message.reply_to))
    if message.unsubscribe:
        head += [
            ("Auto-Submitted", "auto-generated"),
            ("List-Unsubscribe", f"<{message.unsubscribe}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ]
    for name, value in head:
        if "\n" in value.replace("\r\n ", "") or "\r" in value.replace("\r\n ", ""):
            raise ValueError(f"the header {name} would begin another")
    html = render_to_string("subscriptions/letter.html", {"letter": message.letter, "lang": message.locale})
    body = MIMEMultipart("alternative", policy=_WIRE)
    body.attach(MIMEText(message.letter.text, "plain", "utf-8", policy=_WIRE))
    body.attach(MIMEText(html, "html", "utf-8", policy=_WIRE))
    lines = "".join(f"{name}: {value}\r\n" for name, value in head)
    return lines.encode("ascii") + body.as_bytes(policy=_WIRE)


def _encoded(text: str) -> str:
    return Header(text, maxlinelen=72, header_name="Subject").encode(linesep="\r\n")


def _phrase(name: str) -> str:
    """The name before an address: quoted, or encoded where it is not ASCII."""
    if not name:
        return ""
    if name.isascii():
        return '"' + name.replace("\\", "").replace('"', "'") + '" '
    return _encoded(name) + " "


def _one_line(text: str) -> str:
    # A header ends with its line: what an operator or a shop's name brings along must not begin another.
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


class SmtpPort:
    """One connection to the mail server, opened when the first mail goes and renewed every so often."""

    def __init__(self, server: MailServer | None = None) -> None:
        self._server = server or read_url(settings.FENQI_SMTP_URL)
        self._connection: smtplib.SMTP | None = None
        self._sent = 0

    def deliver(self, message: Outgoing) -> Outcome:
        """Hand in one mail."""
        raw = _LEADING_DOT.sub(b"..", mail_of(message))
        if not raw.endswith(b"\r\n"):
            raw += b"\r\n"
        fresh = self._connection is None
        try:
            return self._hand_in(message.address, raw)
        except _NotBegun:
            if fresh:
                raise PortDown("the mail server ended the connection before it took a mail") from None
        # An old connection may have been ended by the server meanwhile; nothing was handed in by then.
        try:
            return self._hand_in(message.address, raw)
        except _NotBegun:
            raise PortDown("the mail server ended the connection before it took a mail") from None

    def _hand_in(self, address: str, raw: bytes) -> Outcome:
        connection = self._open()
        try:
            code, _ = connection.mail(mail_from())
            if code != 250:
                # About us, not about the recipient.
                self._drop()
                raise PortDown(f"the mail server refuses our own address ({code})")
            code, said = connection.rcpt(address)
            if code not in (250, 251):
                return self._refused(code, said)
            code, said = connection.docmd("DATA")
            if code != 354:
                return self._refused(code, said)
        except (smtplib.SMTPException, OSError):
            self._drop()
            raise _NotBegun from None
        self._sent += 1
        try:
            connection.send(raw + b".\r\n")
            code, said = connection.getreply()
        except (smtplib.SMTPException, OSError):
            self._drop()
            return Outcome("unknown")
        if code == 250:
            return Outcome("delivered", code)
        return self._refused(code, said)

    def _refused(self, code: int, said: bytes) -> Outcome:
        if code in _ABOUT_US:
            self._drop()
            raise PortDown(f"the mail server takes nothing from us ({code})")
        if code == 421 or not 400 <= code < 600:
            self._drop()
            return Outcome("retry", code)
        connection = self._connection
        if connection is not None:
            try:
                connection.rset()
            except (smtplib.SMTPException, OSError):
                self._drop()
        # 5.7.x is a policy: of relaying, of what we are thought to be. It says nothing of the recipient's address.
        return Outcome("refused" if code >= 500 and not said.startswith(b"5.7.") else "retry", code)

    def _open(self) -> smtplib.SMTP:
        if self._connection is not None and self._sent < MAX_PER_CONNECTION:
            return self._connection
        self.close()
        server = self._server
        connection: smtplib.SMTP | None = None
        try:
            if server.tls == "implicit":
                connection = smtplib.SMTP_SSL(
                    server.host, server.port, timeout=TIMEOUT_SECONDS, context=self._context()
                )
            else:
                connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
            connection.ehlo_or_helo_if_needed()
            if server.tls == "starttls":
                connection.starttls(context=self._context())
                connection.ehlo()
            if server.user:
                connection.login(server.user, server.password)
        except (smtplib.SMTPException, OSError, ssl.SSLError) as problem:
            if connection is not None:
                connection.close()
            code = getattr(problem, "smtp_code", None)
            raise PortDown(
                f"the mail server cannot be reached: {type(problem).__name__}{f' {code}' if code else ''}"
            ) from None
        self._connection, self._sent = connection, 0
        return connection

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._server.ca)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Say goodbye."""
        if self._connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self._connection.quit()
            self._drop()


class _NotBegun(Exception):
    """The connection ended before the mail server was given anything to take over."""
