"""A payment slip: what a customer goes to the cashier with.

It says which contract is to be paid, how much, and under which number the money is to be booked; it is signed, so that nobody
changes it on the way, and stored nowhere. The shop's server asks us what it says (`POST /v1/payment-slips`), takes the
money as it takes any other, and books it under that number: pressing twice is booked once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlsplit
from uuid import UUID

import msgspec

from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.ids import uuid7
from fenqi_server.shops.models import Shop

__all__ = ["PLACE", "STANDS", "BadSlip", "Slip", "cashier_address", "check_cashier", "make_slip", "read_slip"]

STANDS: Final = timedelta(hours=1)
"""How long the cashier may begin with a slip. Money that comes later is booked all the same."""
PLACE: Final = "{slip}"
_CONTEXT: Final = "ps1"


class BadSlip(ValueError):
    """Not a slip of this shop's customers."""


class Slip(msgspec.Struct, frozen=True, array_like=True):
    """What is to be paid: for which contract, how much, under which number, by which quote, and until when."""

    shop: bytes
    contract: str
    amount_minor: int
    reference: str
    expires: int
    settles: str = ""

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.expires, UTC)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Slip).decode


def make_slip(
    shop: Shop,
    contract: str,
    amount_minor: int,
    at: datetime,
    *,
    settles: str = "",
    until: datetime | None = None,
) -> str:
    """A slip for a new payment. `until` ends it sooner, as the day of a quote does."""
    expires = min(at + STANDS, until) if until is not None else at + STANDS
    slip = Slip(
        shop.id.bytes,
        contract,
        amount_minor,
        f"PB-{uuid7(at).hex[-12:].upper()}",
        int(expires.timestamp()),
        settles,
    )
    return seal_token(_CONTEXT, _encode(slip))


def read_slip(shop_id: UUID, token: str) -> Slip:
    """What a slip says; its end is the caller's to judge. Raises `BadSlip`, for another shop's too."""
    try:
        slip = _decode(open_token(_CONTEXT, token))
    except (BadToken, msgspec.DecodeError, msgspec.ValidationError):
        raise BadSlip("not a slip that was made here") from None
    if slip.shop != shop_id.bytes:
        raise BadSlip("not a slip of this shop")
    return slip


def check_cashier(template: str, *, live: bool) -> str:
    """The address of a shop's cashier, with the place for the slip. Raises `ValueError` with what is wrong.

    >>> check_cashier("https://mall.example/cashier?slip={slip}", live=True)
    'https://mall.example/cashier?slip={slip}'
    """
    parts = urlsplit(template)
    if template.count(PLACE) != 1 or "{" in template.replace(PLACE, ""):
        raise ValueError(f"it has to hold {PLACE} once, where the slip goes")
    if PLACE in parts.netloc or parts.username is not None or not parts.hostname:
        raise ValueError("it has to name a host, before the place of the slip")
    local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1") and not live
    if parts.scheme != "https" and not local:
        raise ValueError("it has to begin with https:// (a test shop's may be http://localhost)")
    if len(template) > 500 or not template.isprintable() or " " in template:
        raise ValueError("it has to be one address of at most 500 characters")
    return template


def cashier_address(shop: Shop, token: str) -> str:
    """Where the customer goes with a slip; empty where the shop has said no cashier."""
    return shop.pay_url.replace(PLACE, quote(token, safe="")) if shop.pay_url else ""
