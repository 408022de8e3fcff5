"""Cases by e-mail: what the shop's mail gateway hands over becomes a case, or a message in one.

The gateway posts each mail as it came (RFC 5322) to `/v1/inbound-mail`. Of it we keep the plain text and the subject, and
nothing else: no attachment, no picture, no markup. It finds its case by the address that it answers to, which names the
case and carries our signature (`support+<token>@…`), or by the case's number in the subject where the sender is that
case's customer. Anything else opens a new case.

A sender's address is easily forged. So a mail can only ever add a question: nothing is told to its sender, and an
answer goes to the address that is on file for the customer. A sender whom the shop does not know becomes a customer of
their own, whose address is kept where every other is, and can be forgotten like every other.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr
from typing import Final, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from fenqi_server.api.reading import without_cards
from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop
from fenqi_server.support import cases

__all__ = [
    "MARK",
    "MAX_BYTES",
    "BadMail",
    "Received",
    "read_token",
    "receive",
    "reply_address",
    "reply_token",
]

MAX_BYTES: Final = 256_000
MAX_PARTS: Final = 50
MARK: Final = "—— 请在此行上方回复 · Please reply above this line ——"
"""Stands in every mail that we send about a case; what is below it in an answer is our own mail quoted."""

_SALT: Final = "fenqi.support.reply"
_TOKEN: Final = re.compile(r"^(?P<case>[0-9a-f]{32})(?P<mac>[0-9a-f]{16})$")
_NUMBER: Final = re.compile(r"\[#(?P<number>[0-9A-Fa-f]{8})\]")


# What the standard library raises for headers and parts that are none: its parser has no one way to say so.
_UNREADABLE: Final = (
    MessageError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    RecursionError,
)


class BadMail(ValueError):
    """Not a mail that can be taken: what is wrong, and what was expected."""


class Received(msgspec.Struct, frozen=True):
    """What became of a mail: a case was `opened`, a message `added`, it was there already, or it is `ignored` (`why`)."""

    outcome: Literal["opened", "added", "repeated", "ignored"]
    case: str | None = None
    why: str = ""


def reply_token(shop: Shop, case: cases.Case) -> str:
    """What names a case in an address, and cannot be made up."""
    return case.id.hex + _mac(shop, case.id)


def reply_address(shop: Shop, case: cases.Case) -> str:
    """The address that a customer answers to; empty where the installation has no support address."""
    local, at, domain = settings.FENQI_SUPPORT_MAIL.partition("@")
    return f"{local}+{reply_token(shop, case)}@{domain}" if at else ""


def read_token(shop: Shop, token: str) -> UUID | None:
    """The case's own id that a token names; None where the token is not ours."""
    found = _TOKEN.match(token.lower())
    if found is None:
        return None
    name = UUID(hex=found["case"])
    return name if constant_time_compare(found["mac"], _mac(shop, name)) else None


def _mac(shop: Shop, case: UUID) -> str:
    return salted_hmac(_SALT, shop.id.hex + case.hex, algorithm="sha256").hexdigest()[:16]


def receive(shop: Shop, raw: bytes, at: datetime) -> Received:
    """Take a mail as the gateway hands it over. The same mail twice is one message. Raises `BadMail`."""
    mail = _parsed(raw)
    _, sender = parseaddr(_header(mail, "From"))
    sender = sender.strip().lower()
    try:
        validate_email(sender)
    except ValidationError:
        raise BadMail(f"From is {sender[:80]!r}: expected one e-mail address") from None
    automatic = _automatic(mail)
    if automatic:
        # Answering an answering machine would never end.
        return Received("ignored", why=automatic)
    body = _text_of(mail)
    subject = " ".join(_header(mail, "Subject").split())
    message_id = _header(mail, "Message-ID").strip()[:500]
    mail_id = message_id or "sha256:" + hashlib.sha256(raw).hexdigest()
    case = _case_named(shop, mail, subject, sender)
    with transaction.atomic():
        use_shop(shop.id)
        customer_id = case.customer_id if case is not None else _customer(shop, sender, at)
        customers.lock(shop, customer_id)
        known = cases.has_mail(shop, customer_id, mail_id)
        if known is not None:
            return Received("repeated", known)
        if case is not None:
            cases.write(shop, case.public_id, "customer", body, at, via="email", mail_id=mail_id)
            return Received("added", case.public_id)
        opened = cases.open_case(
            shop,
            customer_id,
            body,
            at,
            locale="zh-CN" if any("\u4e00" <= letter <= "\u9fff" for letter in subject + body) else "en",
            came_from="email",
            subject=without_cards(subject),
            via="email",
            mail_id=mail_id,
        )
        return Received("opened", opened.public_id)


def _parsed(raw: bytes) -> EmailMessage:
    if not raw or len(raw) > MAX_BYTES:
        raise BadMail(f"the mail has {len(raw)} bytes: expected 1 to {MAX_BYTES}; leave attachments out")
    try:
        mail = message_from_bytes(raw, policy=policy.default)
    except _UNREADABLE as error:
        raise BadMail(f"it is not an RFC 5322 message: {error}") from None
    assert isinstance(mail, EmailMessage), "the default policy makes these"
    return mail


def _storable(text: str) -> str:
    """The text without what no database takes: U+0000, and half a surrogate pair, which UTF-7 can write."""
    return text.replace("\x00", "").encode(errors="replace").decode()


def _headers(mail: EmailMessage, name: str) -> list[str]:
    """A header as often as it stands there. Each is read only when it is asked for, and may turn out to be none."""
    try:
        return [_storable(str(value)) for value in mail.get_all(name, [])]
    except _UNREADABLE:
        raise BadMail(f"its header {name} cannot be read: expected it as RFC 5322 has it") from None


def _header(mail: EmailMessage, name: str, otherwise: str = "") -> str:
    return next(iter(_headers(mail, name)), otherwise)


def _automatic(mail: EmailMessage) -> str:
    """Why nobody wrote this mail; empty where somebody did."""
    if _header(mail, "Auto-Submitted", "no").strip().lower() != "no":
        return "auto_submitted"
    if _header(mail, "Precedence").strip().lower() in ("bulk", "junk", "list"):
        return "bulk"
    if _header(mail, "Return-Path", "unknown").strip() == "<>":
        return "bounce"
    return ""


def _plain(part: EmailMessage) -> str:
    """The plain text of a part; empty where it is another kind of part, or where nobody can tell what it is."""
    try:
        if part.get_content_type() != "text/plain" or part.is_attachment() or part.is_multipart():
            return ""
        try:
            return str(part.get_content())
        except _UNREADABLE:
            # An unknown charset, or bytes that are not what they say: what can be read of it is kept.
            payload = part.get_payload(decode=True)
            return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    except _UNREADABLE:
        return ""


def _text_of(mail: EmailMessage) -> str:
    for number, part in enumerate(mail.walk()):
        if number >= MAX_PARTS:
            break
        text = _plain(part)
        body = without_cards(_without_quote(_storable(text)))
        if body:
            return body if len(body) <= cases.MAX_MESSAGE else body[: cases.MAX_MESSAGE - 4].rstrip() + " […]"
    raise BadMail("the mail has no text: expected a text/plain part with something in it")


def _without_quote(text: str) -> str:
    text = text.replace("\r\n", "\n").partition(MARK)[0]
    lines = text.split("\n")
    # The quotation marks that were put before the mark's own line, and what a mail program writes above a quotation.
    while lines and (not lines[-1].strip(" >\u3000") or lines[-1].lstrip().startswith(">")):
        lines.pop()
    return "\n".join(lines).strip()


def _case_named(shop: Shop, mail: EmailMessage, subject: str, sender: str) -> cases.Case | None:
    fields = [
        value
        for name in ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To")
        for value in _headers(mail, name)
    ]
    for _, address in getaddresses(fields):
        _, plus, token = address.partition("@")[0].rpartition("+")
        name = read_token(shop, token) if plus else None
        found = cases.by_name(shop, name) if name is not None else None
        if found is not None:
            return found
    number = _NUMBER.search(subject)
    if number is not None:
        for owner in _customers_with(shop, sender):
            for case in cases.cases_of(shop, owner):
                if case.number == number["number"].upper():
                    return case
    return None


def _customers_with(shop: Shop, email: str) -> tuple[UUID, ...]:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id FROM customers_private WHERE shop_id = %s AND email <> '' AND lower(email) = %s"
            " ORDER BY customer_id LIMIT 20",
            [shop.id, email],
        )
        return tuple(row[0] for row in cursor.fetchall())


def _customer(shop: Shop, email: str, at: datetime) -> UUID:
    """The customer with this address; where none has it, or several do, one made for the address alone."""
    known = _customers_with(shop, email)
    if len(known) == 1:
        return known[0]
    ref = "mail:" + hashlib.sha256(f"{shop.id.hex}:{email}".encode()).hexdigest()[:40]
    customer_id = customers.ensure(shop, ref, at)
    if not customers.private(shop, customer_id).email:
        customers.set_private(shop, customer_id, customers.Private(email=email), at)
    return customer_id
