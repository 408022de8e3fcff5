"""Who is asking: a shop's server with its key, or a browser with a client token.

A key opens what its scopes say. A client token is a signed note from the shop's own server: this customer, this
cart, these facts, from this origin, for fifteen minutes. It can ask how the cart can be paid and confirm one of the
answers, nothing else, and only from pages of exactly that origin.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.http import HttpRequest

from fenqi_server import clock
from fenqi_server.api.problems import ApiProblem
from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop

__all__ = ["SESSION_SECONDS", "Access", "ClientClaims", "access_of", "authorize", "client_token"]

SESSION_SECONDS: Final = 900
CONTEXT: Final = "fc1"


class ClientClaims(msgspec.Struct, frozen=True, array_like=True):
    """What a client token says. `customer` is empty for a visitor not signed in."""

    id: bytes
    shop: bytes
    customer: bytes
    cart: bytes
    origin: str
    expires: int
    channel: str
    facts: dict[str, Any]
    last_used_family: str | None
    coupon: str | None
    ship_to: str | None
    as_of: dict[str, int] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ClientClaims).decode


class Access(msgspec.Struct, frozen=True):
    """The shop in whose name the request runs; `client` is set for a browser's token.

    `actor` is who does it: the key, or whoever of the staff holds it, so that nobody is two people. `caller` is what let them in,
    with idempotency keys of its own.
    """

    shop: Shop
    actor: str
    scopes: frozenset[str]
    caller: str
    client: ClientClaims | None = None

    @property
    def customer_id(self) -> UUID | None:
        """The customer that a client token is bound to."""
        return UUID(bytes=self.client.customer) if self.client and self.client.customer else None


_CLIENT_SCOPES: Final = frozenset({"evaluations:write", "contracts:write", "hand_offs:read"})


def client_token(claims: ClientClaims) -> str:
    """The token for the browser."""
    return seal_token(CONTEXT, _encode(claims))


def authorize(request: HttpRequest, scope: str, *, browsers: bool = False) -> Access:
    """Who asks, if they may do this. Raises `ApiProblem` 401 or 403 without saying more than the asker knows."""
    scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise _unauthorized("Send the API key as `Authorization: Bearer fq_…`.")
    now = clock.now()
    if secret.startswith(CONTEXT + "."):
        return _client(request, secret, scope, now, browsers)
    caller = shops.caller_of(secret, now) if len(secret) < 200 else None
    if caller is None:
        raise _unauthorized("The API key is unknown, revoked or expired.")
    if scope not in caller.scopes:
        raise ApiProblem(403, "scope_missing", "The key may not do this", f"The key lacks the scope {scope}.")
    key = f"key:{caller.key_id.hex}"
    return Access(caller.shop, f"staff:{caller.held_by}" if caller.held_by else key, caller.scopes, key)


def access_of(request: HttpRequest) -> Access:
    """Who asks: whoever was let in before anything of the request was read (`ApiController.dispatch`)."""
    found: Access = request.fenqi_access
    return found


def _client(request: HttpRequest, token: str, scope: str, now: datetime, browsers: bool) -> Access:
    try:
        claims = _decode(open_token(CONTEXT, token))
    except (BadToken, msgspec.DecodeError):
        raise _unauthorized("The client token was not issued here.") from None
    if now.timestamp() >= claims.expires:
        until = datetime.fromtimestamp(claims.expires, UTC).isoformat()
        raise _unauthorized(
            f"The client token stood until {until}: have the shop's server open a new session."
        )
    origin = request.META.get("HTTP_ORIGIN", "")
    if origin != claims.origin or not shops.is_allowed(UUID(bytes=claims.shop), origin):
        raise ApiProblem(
            403, "origin_refused", "Not from this origin", "The client token is bound to another web origin."
        )
    if not browsers or scope not in _CLIENT_SCOPES:
        raise ApiProblem(
            403, "scope_missing", "A browser may not do this", "This call needs the shop's API key."
        )
    shop = shops.by_id(UUID(bytes=claims.shop))
    browser = f"client:{claims.id.hex()}"
    return Access(shop, browser, _CLIENT_SCOPES, browser, claims)


def _unauthorized(detail: str) -> ApiProblem:
    return ApiProblem(
        401, "unauthorized", "Not let in", detail, headers={"WWW-Authenticate": 'Bearer realm="fenqi"'}
    )
