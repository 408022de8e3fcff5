"""One request, one effect: the first answer to a key is kept, and given again.

The key's row is written first and in the same transaction as the effect, so that one never exists without the other.
Whoever comes with the same key meanwhile meets the uncommitted row and is told, after a short wait, that it is in
flight. A row, unlike an advisory lock, lives on its customer's shard and holds on every distributed PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

import msgspec
from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper

from fenqi_server.db import in_transaction, sqlstate, use_shop
from fenqi_server.shops.models import Shop

__all__ = ["Answer", "KeyInFlight", "KeyReused", "once"]

_LOCK_NOT_AVAILABLE: Final = "55P03"


class KeyReused(Exception):  # an answer (422) to the request, not a fault of the program
    """The key came before, for another path or with another body."""

    status = 422

    def __init__(self, key: str, path: str) -> None:
        super().__init__(
            f"Idempotency-Key {key!r} was used before, for another request than this one to {path}: "
            "repeat a request unchanged, or give a new one a new key"
        )
        self.key = key


class KeyInFlight(Exception):  # an answer (409) to the request, not a fault of the program
    """The first request with this key has not been answered yet."""

    status = 409

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the first request with Idempotency-Key {key!r} is still being worked on: ask again shortly"
        )
        self.key = key


class Answer(msgspec.Struct, frozen=True):
    """What was answered; `repeated` where it was answered before."""

    status: int
    body: bytes
    repeated: bool = False


def once(
    shop: Shop,
    party: UUID,
    client: str,
    key: str,
    *,
    path: str,
    body: bytes,
    at: datetime,
    act: Callable[[], Answer],
) -> Answer:
    """Run `act` once for this key, and give its answer to every repetition.

    The key's scope is (`party`, `client`): a customer or house party, and the API key or session that asks. `act` runs
    in the transaction that keeps its answer; what it returns is kept, also a refusal with its status; what it raises
    undoes everything, the key included, so that the same request may be tried again.

    Raises `KeyReused` (422) for another path or body, `KeyInFlight` (409) while the first is being worked on.
    """
    body_hash = sha256(body).digest()

    def attempt() -> Answer:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            if not _claim(cursor, shop, party, client, key, path, body_hash, at):
                cursor.execute(
                    "SELECT path, body_hash, status, response FROM servicing_idempotency"
                    " WHERE customer_id = %s AND client = %s AND key = %s",
                    [party, client, key],
                )
                first_path, first_hash, status, response = cursor.fetchone()
                if first_path != path or bytes(first_hash) != body_hash:
                    raise KeyReused(key, path)
                return Answer(status, bytes(response), repeated=True)
            answer = act()
            cursor.execute(
                "UPDATE servicing_idempotency SET status = %s, response = %s"
                " WHERE customer_id = %s AND client = %s AND key = %s",
                [answer.status, answer.body, party, client, key],
            )
            return answer

    return in_transaction(attempt)


def _claim(
    cursor: CursorWrapper,
    shop: Shop,
    party: UUID,
    client: str,
    key: str,
    path: str,
    body_hash: bytes,
    at: datetime,
) -> bool:
    """Write the key's row; False where a committed one is there. Waits for an uncommitted one, but not long."""
    try:
        cursor.execute(
            "SELECT servicing_claim(%s, %s, %s, %s, %s, %s, %s)",
            [shop.id, party, client, key, path, body_hash, at],
        )
        (claimed,) = cursor.fetchone()
    except OperationalError as problem:
        if sqlstate(problem) == _LOCK_NOT_AVAILABLE:
            raise KeyInFlight(key) from None
        raise
    return bool(claimed)
