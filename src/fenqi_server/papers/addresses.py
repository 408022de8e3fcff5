"""The private address of a contract's papers: whoever has it may read them, and nothing else leads to them.

It is signed, not stored: it names the contract, and stays the same while the key that signed it is in use.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.ids import parse_public_id, public_id

__all__ = ["BadAddress", "address_of", "contract_at", "token_of"]

_CONTEXT: Final = "cp1"


class BadAddress(LookupError):
    """The address was not given out here."""


def token_of(shop_id: UUID, contract: str) -> str:
    """The signed part of the address of a contract (`ct_…`)."""
    customer_id, contract_id = parse_public_id(contract, "ct")
    return seal_token(_CONTEXT, shop_id.bytes + customer_id.bytes + contract_id.bytes)


def contract_at(token: str) -> tuple[UUID, str]:
    """The shop's key and the contract's public id. Raises `BadAddress`."""
    try:
        raw = open_token(_CONTEXT, token)
    except BadToken:
        raise BadAddress(token[:20]) from None
    if len(raw) != 48:
        raise BadAddress(token[:20])
    return UUID(bytes=raw[:16]), public_id("ct", UUID(bytes=raw[16:32]), UUID(bytes=raw[32:]))


def address_of(shop_id: UUID, contract: str, what: str = "statement") -> str:
    """The whole address of `statement` or `due-dates`."""
    return f"{settings.FENQI_ORIGIN}{reverse(f'papers:{what}', args=[token_of(shop_id, contract)])}"
