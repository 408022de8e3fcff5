"""A quote: one offer, signed, so that what was shown can be held against what is confirmed.

    fq1.<key id>.<payload>.<HMAC-SHA256>

The payload is readable by anyone and changeable by no one: whose offer it is, of which cart and which plan, under
which policy, at which figures, until when. The quote itself is stored nowhere until it is used; using it is a
row, unique per customer, written in the transaction that confirms.

Keys rotate without a gap: `settings.FENQI_SIGNING_KEYS` lists `id: secret`, the first signs and all verify. Each use
of a key is separated from the others by a context word, so a quote can never pass for a session or a link.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, date, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final
from uuid import UUID

import msgspec
from django.conf import settings

from fenqi.checkout.request import Line

__all__ = [
    "MAX_TOKEN_LENGTH",
    "QUOTE_SECONDS",
    "BadToken",
    "Claims",
    "Quote",
    "cart_digest",
    "open_token",
    "read_quote",
    "seal_token",
    "sign_quote",
]

QUOTE_SECONDS: Final = 900
"""How long an offer stands: fifteen minutes, the time of an unhurried checkout."""

MAX_TOKEN_LENGTH: Final = 6_000
"""Above it servers and proxies begin to refuse the header that carries it (8 KiB)."""

_encode = msgspec.msgpack.Encoder().encode


class BadToken(ValueError):
    """A token that was not signed here, or is none. `code` says which: malformed, unknown_key, tampered."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Quote(msgspec.Struct, frozen=True, gc=False):
    """An offer that the service stands by until `expires_at`."""

    token: str
    expires_at: datetime


class Claims(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a quote says. Instants are epoch seconds, ids and digests are raw bytes."""

    quote: bytes
    customer: bytes
    shop: bytes
    decision: bytes
    plan: str
    policy: str
    currency: str
    amount_minor: int
    start_on: str
    cart: bytes
    figures: bytes
    issued: int
    expires: int

    @property
    def quote_id(self) -> UUID:
        return UUID(bytes=self.quote)

    @property
    def customer_id(self) -> UUID:
        return UUID(bytes=self.customer)

    @property
    def shop_id(self) -> UUID:
        return UUID(bytes=self.shop)

    @property
    def decision_id(self) -> UUID:
        return UUID(bytes=self.decision)

    @property
    def start(self) -> date:
        return date.fromisoformat(self.start_on)

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.expires, UTC)


_claims = msgspec.msgpack.Decoder(Claims).decode


def sign_quote(claims: Claims) -> Quote:
    """Sign one offer. Its id and its expiry are the caller's: nothing here asks the clock."""
    return Quote(seal_token("fq1", _encode(claims)), claims.expires_at)


def read_quote(token: str) -> Claims:
    """What a quote says, once its signature holds. Raises `BadToken`; expiry is the caller's to judge."""
    try:
        return _claims(open_token("fq1", token))
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise BadToken("malformed", "the quote's payload is not one of ours") from None


def cart_digest(lines: tuple[Line, ...], currency: str, coupon: str = "") -> bytes:
    """One name for one cart: any change of an article, a quantity or a price is another."""
    return sha256(_encode((currency, coupon, lines))).digest()


@lru_cache(maxsize=64)
def _keyed(secret: bytes, context: str) -> hmac.HMAC:
    """The keyed hash, ready to be copied: setting a key costs as much as signing."""
    key = hmac.digest(secret, b"fenqi/1/" + context.encode(), "sha256")
    return hmac.new(key, digestmod="sha256")


def _signature(secret: bytes, context: str, body: str) -> str:
    keyed = _keyed(secret, context).copy()
    keyed.update(body.encode())
    return _text(keyed.digest())


def seal_token(context: str, payload: bytes) -> str:
    """`<context>.<key id>.<payload>.<signature>`, signed with the newest key."""
    key_id = settings.FENQI_SIGNING_KEY_ID
    body = f"{context}.{key_id}.{_text(payload)}"
    return f"{body}.{_signature(settings.FENQI_SIGNING_KEYS[key_id], context, body)}"


def open_token(context: str, token: str) -> bytes:
    """The payload of a token made by `seal_token(context, ...)`. Raises `BadToken`."""
    parts = token.split(".")
    if len(token) > MAX_TOKEN_LENGTH or len(parts) != 4 or parts[0] != context or not token.isascii():
        raise BadToken("malformed", f"it does not have the form {context}.<key>.<payload>.<signature>")
    secret = settings.FENQI_SIGNING_KEYS.get(parts[1])
    if secret is None:
        raise BadToken(
            "unknown_key", f"it was signed with the key {parts[1][:20]!r}, which is not in use here"
        )
    body, _, signature = token.rpartition(".")
    # Compared as written: base64 has several spellings of the same bytes, and only one is ours.
    if not hmac.compare_digest(_signature(secret, context, body), signature):
        raise BadToken("tampered", "its signature does not fit what it says")
    try:
        return urlsafe_b64decode(parts[2] + "=" * (-len(parts[2]) % 4))
    except ValueError:
        raise BadToken("malformed", "its payload cannot be read") from None


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
