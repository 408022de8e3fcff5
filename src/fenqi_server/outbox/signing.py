"""Standard Webhooks signatures: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64>`.

The signed text is `{id}.{timestamp}.{body}`, the scheme HMAC-SHA256 under a secret written `whsec_<base64>`. During a
change of secret the header holds several signatures with a space between; a receiver takes any that fits.
Source: the Standard Webhooks specification, "Signature scheme".
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

__all__ = [
    "TOLERANCE_SECONDS",
    "SealedWithAnotherKey",
    "headers_for",
    "new_secret",
    "open_secret",
    "seal_secret",
    "sign",
    "verify",
]

TOLERANCE_SECONDS: Final = 300
_PREFIX: Final = "whsec_"


class SealedWithAnotherKey(ValueError):
    """A stored secret that none of the keys in use opens."""


def new_secret() -> str:
    """A secret of 256 random bits for one endpoint."""
    return _PREFIX + b64encode(os.urandom(32)).decode("ascii")


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of one message, `v1,<base64>`.

    >>> sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = b64decode(secret.removeprefix(_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode("ascii")


def headers_for(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers that go with a message."""
    timestamp = int(at.timestamp())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, at: datetime) -> bool:
    """What a receiver does: the signature fits the raw bytes, and the message is at most five minutes old or early."""
    try:
        timestamp = int(headers["webhook-timestamp"])
        expected = sign(secret, headers["webhook-id"], timestamp, body)
        offered = headers["webhook-signature"].split(" ")
    except (KeyError, ValueError):
        return False
    if abs(at.timestamp() - timestamp) > TOLERANCE_SECONDS:
        return False
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in offered)


def _sealing_key(key_id: str) -> AESGCM:
    return AESGCM(hmac.digest(settings.FENQI_SIGNING_KEYS[key_id], b"fenqi/1/webhook-secret", "sha256"))


def seal_secret(secret: str) -> str:
    """The secret as it is stored: it has to be read back to sign, so it is encrypted and not hashed."""
    key_id = settings.FENQI_SIGNING_KEY_ID
    nonce = os.urandom(12)
    sealed = _sealing_key(key_id).encrypt(nonce, secret.encode(), key_id.encode())
    return f"{key_id}.{urlsafe_b64encode(nonce + sealed).decode('ascii')}"


def open_secret(sealed: str) -> str:
    """The secret again. Raises `SealedWithAnotherKey` when its key is gone or the text was changed."""
    key_id, _, body = sealed.partition(".")
    raw = urlsafe_b64decode(body)
    try:
        return _sealing_key(key_id).decrypt(raw[:12], raw[12:], key_id.encode()).decode()
    except (InvalidTag, KeyError):
        raise SealedWithAnotherKey(
            f"the secret is sealed with the key {key_id!r}, which is not in use here"
        ) from None
