"""Hashes over what was written, each over the one before, and the seal that only this service can put under them.

Whoever owns the database can change a row and hash everything anew from there on. The seal is an HMAC by the service's signing
key, which the database does not hold: hashed anew, a chain has no seal that fits.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
from django.conf import settings

__all__ = ["digest_of", "seal_of", "sealed"]


def digest_of(said: Sequence[Any]) -> str:
    """SHA-256 over plain JSON values, in hex.

    They stand in an array, which keeps where one value ends and the next begins.

    >>> digest_of(["a", "bc"]) == digest_of(["ab", "c"])
    False
    """
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def seal_of(key_id: str, purpose: str, *said: object) -> str:
    """The seal under values of one line each, by the signing key `key_id`. Raises `KeyError` where there is no such key."""
    lines = "\n".join((purpose, *map(str, said)))
    return hmac.new(settings.FENQI_SIGNING_KEYS[key_id], lines.encode(), hashlib.sha256).hexdigest()


def sealed(seal: str, key_id: str, purpose: str, *said: object) -> bool:
    """Whether the seal is this service's. Raises `KeyError` where it has no such key (any more)."""
    return hmac.compare_digest(seal, seal_of(key_id, purpose, *said))
