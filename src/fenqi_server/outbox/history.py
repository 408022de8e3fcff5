"""What became of each message to the shop's server, and sending one again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.problems import BadInput
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import parse_public_id, public_id, uuid7
from fenqi_server.shops.models import Shop

__all__ = ["MAX_PAGE", "Attempt", "AttemptPage", "NoMessage", "NotAgain", "attempts", "send_again"]

MAX_PAGE: Final = 100
_PREFIX: Final = "wd"

Outcome = Literal["delivered", "retry", "given_up"]


class NoMessage(LookupError):
    """No message of this shop has the id."""


class NotAgain(Exception):  # an answer, and nothing was written
    """A message that cannot be sent again. `code`: endpoint_removed, body_not_kept."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to bring one message to one endpoint. `webhook_id` is what the receiver was told, the same each time."""

    delivery_id: str
    webhook_id: str
    event: str
    endpoint_id: str
    attempt: int
    at: datetime
    outcome: Outcome
    status: int | None
    error: str


class AttemptPage(msgspec.Struct, frozen=True):
    """Attempts, newest first. `after` is where the next page begins; None at the end."""

    attempts: tuple[Attempt, ...]
    after: str | None


def attempts(
    shop: Shop,
    *,
    outcome: Outcome | None = None,
    event: str | None = None,
    after: str = "",
    limit: int = 25,
) -> AttemptPage:
    """What was tried, newest first, from behind `after`. Raises `fenqi.problems.BadInput`."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadInput("limit", limit, f"1 to {MAX_PAGE}")
    where, values = ["shop_id = %s"], [shop.id]
    for column, value in (("outcome", outcome), ("event", event)):
        if value is not None:
            where.append(f"{column} = %s")
            values.append(value)
    if after:
        where.append("(at, message_id, attempt) < (%s, %s, %s)")
        values += _place(after)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, message_id, event_id, event, endpoint_id, attempt, at, outcome, status, error"
            f" FROM outbox_delivery WHERE {' AND '.join(where)}"
            " ORDER BY at DESC, message_id DESC, attempt DESC LIMIT %s",
            [*values, limit + 1],
        )
        rows = cursor.fetchall()
    found = tuple([_attempt(shop, row) for row in rows[:limit]])
    last = rows[limit - 1] if len(rows) > limit else None
    return AttemptPage(found, None if last is None else _written(last[6], last[1], last[5]))


def _written(at: datetime, message: UUID, attempt: int) -> str:
    return f"{at.astimezone(UTC).strftime('%Y%m%dT%H%M%S.%fZ')}~{message.hex}~{attempt}"


def _place(after: str) -> list[Any]:
    try:
        instant, message, attempt = after.split("~")
        at = datetime.strptime(instant, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
        if not 0 < len(attempt) < 9:
            raise ValueError(attempt)
        return [at, UUID(message), int(attempt)]
    except ValueError:
        raise BadInput("after", after[:80], "the `after` of the page before, as it was given") from None


def _attempt(shop: Shop, row: tuple[Any, ...]) -> Attempt:
    customer_id, message_id, event_id, event, endpoint_id, attempt, at, outcome, status, error = row
    return Attempt(
        delivery_id=public_id(_PREFIX, customer_id, message_id),
        webhook_id=f"evt_{event_id.hex}",
        event=event,
        endpoint_id=public_id("we", shop.id, endpoint_id),
        attempt=attempt,
        at=at,
        outcome=outcome,
        status=status,
        error=error,
    )


def send_again(shop: Shop, delivery_id: str, at: datetime) -> str:
    """Send a message again as it was, under its own `webhook-id`, and return its new delivery's id.

    One that still waits for its next attempt is sent now. Raises `NoMessage`, `NotAgain`.
    """
    try:
        customer_id, message_id = parse_public_id(delivery_id, _PREFIX)
    except ValueError:
        raise NoMessage(delivery_id) from None

    def act() -> str:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            # One that is being sent this moment is left to its holder: it is sent now anyhow.
            cursor.execute(
                "UPDATE outbox_message SET due_at = least(due_at, %s) WHERE customer_id = %s AND id = %s",
                [at, customer_id, message_id],
            )
            if cursor.rowcount:
                return delivery_id
            cursor.execute(
                "SELECT d.endpoint_id, d.event_id, d.event, d.body, e.id IS NOT NULL FROM outbox_delivery AS d"
                " LEFT JOIN outbox_endpoint AS e ON e.shop_id = d.shop_id AND e.id = d.endpoint_id"
                " WHERE d.customer_id = %s AND d.message_id = %s ORDER BY d.attempt DESC LIMIT 1",
                [customer_id, message_id],
            )
            row = cursor.fetchone()
            if row is None:
                raise NoMessage(delivery_id)
            endpoint_id, event_id, event, body, listens = row
            if not listens:
                raise NotAgain("endpoint_removed", "The endpoint that the message was for was removed.")
            if body is None:
                raise NotAgain("body_not_kept", "The message was sent before messages were kept.")
            name = uuid7(at)
            cursor.execute(
                "INSERT INTO outbox_message (shop_id, customer_id, id, endpoint_id, event_id, event, body,"
                " created_at, due_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [shop.id, customer_id, name, endpoint_id, event_id, event, body, at, at],
            )
            return public_id(_PREFIX, customer_id, name)

    return in_transaction(act)
