"""What has to reach a shop's server, kept in the transaction that made it true.

`enqueue` writes one row for each endpoint that listens, in the caller's transaction: it is there exactly when the contract
is. `deliver_due` leases rows (so that one worker has a row at a time, and a killed worker's rows come back), sends
them outside any transaction, writes the outcome, and only then deletes the row. A message can therefore arrive
twice, with the same `webhook-id`; it cannot get lost.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, transaction

from fenqi_server.clock import system_now
from fenqi_server.db import array_of, use_shop
from fenqi_server.ids import parse_public_id, public_id, uuid7, uuid7s
from fenqi_server.outbox.addresses import RefusedAddress, check_url, resolve
from fenqi_server.outbox.sending import SendFailed, post
from fenqi_server.outbox.signing import (
    SealedWithAnotherKey,
    headers_for,
    new_secret,
    open_secret,
    seal_secret,
)
from fenqi_server.shops.models import Shop

__all__ = [
    "EVENTS",
    "RETRY_SECONDS",
    "Endpoint",
    "TooManyEndpoints",
    "add_endpoint",
    "deliver_due",
    "deliveries",
    "endpoints",
    "enqueue",
    "enqueue_many",
    "listening",
    "recall",
    "remove_endpoint",
]

EVENTS: Final = (
    "announcement.published",
    "announcement.updated",
    "announcement.resolved",
    "announcement.retracted",
    "compensation.issued",
    "contract.opened",
    "contract.payment_booked",
    "contract.payment_reversed",
    "contract.due_moved",
    "mandate.given",
    "mandate.withdrawn",
    "contract.shipped",
    "contract.cancelled",
    "contract.goods_returned",
    "contract.refund_paid",
    "contract.paid_back",
    "contract.payoff_quoted",
    "contract.due_day_changed",
    "contract.reallocated",
    "contract.goodwill_granted",
    "contract.charged",
    "contract.waived",
    "contract.paused",
    "contract.re_aged",
    "contract.re_amortised",
    "contract.accelerated",
    "contract.written_off",
    "contract.recovered",
    "contract.unapplied_refunded",
    "contract.handed_over",
    "contract.deposit_held",
    "contract.deposit_applied",
    "contract.deposit_released",
    "contract.lease_returned",
    "contract.inspected",
    "contract.bought_out",
    "contract.renewed",
    "contract.pledged",
    "contract.captured",
    "contract.pledge_released",
    "request.opened",
    "request.approved",
    "request.declined",
    "request.withdrawn",
    "autopay.collect_requested",
    "autopay.query_requested",
    "autopay.recalled",
    "autopay.failed",
    "reminder.due",
    "hand_off.started",
    "hand_off.approved",
    "hand_off.declined",
    "hand_off.unknown",
)

RETRY_SECONDS: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""How long to wait after each failed attempt: about three days in all, then the message is given up and says so."""

LEASE_SECONDS: Final = 60
LEASED_ROWS: Final = 5
"""At the longest send these are done within their lease, so no other worker sends them too."""
ROUND_ROWS: Final = 500
ROUND_SECONDS: Final = 10.0
"""What one shop gets of a round: another shop's messages, and the worker's other jobs, wait no longer for slow receivers."""
MAX_ENDPOINTS: Final = 20


class TooManyEndpoints(ValueError):
    """A shop has at most `MAX_ENDPOINTS` endpoints."""


class Endpoint(msgspec.Struct, frozen=True):
    """Who listens. `secret` is set only in the answer that creates it."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime
    secret: str | None = None


def add_endpoint(shop: Shop, url: str, events: tuple[str, ...], at: datetime) -> Endpoint:
    """Have these events sent to `url`. Raises `RefusedAddress`, `TooManyEndpoints`."""
    check_url(url, allow_loopback=_allow_loopback())
    if len(endpoints(shop)) >= MAX_ENDPOINTS:
        raise TooManyEndpoints(f"a shop has at most {MAX_ENDPOINTS} webhook endpoints: remove one first")
    name = uuid7(at)
    secret = new_secret()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_endpoint (shop_id, id, url, events, sealed_secret, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [shop.id, name, url, list(events), seal_secret(secret), at],
        )
    return Endpoint(public_id("we", shop.id, name), url, events, at, secret)


def endpoints(shop: Shop) -> list[Endpoint]:
    """The shop's endpoints, oldest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, url, events, created_at FROM outbox_endpoint WHERE shop_id = %s ORDER BY id",
            [shop.id],
        )
        return [
            Endpoint(public_id("we", shop.id, row[0]), row[1], tuple(row[2]), row[3])
            for row in cursor.fetchall()
        ]


def remove_endpoint(shop: Shop, endpoint_id: str) -> bool:
    """Send nothing more there, what waits included. False where the shop has no such endpoint."""
    try:
        owner, name = parse_public_id(endpoint_id, "we")
    except ValueError:
        return False
    use_shop(shop.id)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM outbox_endpoint WHERE shop_id = %s AND id = %s", [shop.id, name])
        removed = cursor.rowcount > 0 and owner == shop.id
        if removed:
            cursor.execute(
                "DELETE FROM outbox_message WHERE shop_id = %s AND endpoint_id = %s", [shop.id, name]
            )
    return removed


def enqueue(shop: Shop, customer_id: UUID, event: str, payload: dict[str, Any], at: datetime) -> UUID:
    """Tell the shop's endpoints that something happened, if and when the caller's transaction commits.

    The event's id is returned; it is the same for every endpoint and every attempt.
    """
    return enqueue_many(shop, event, [(customer_id, payload)], at)[0]


def enqueue_many(
    shop: Shop, event: str, payloads: Sequence[tuple[UUID, dict[str, Any]]], at: datetime
) -> list[UUID]:
    """The same of many customers, in two statements: the ids of the events, in the order given."""
    if event not in EVENTS:
        raise ValueError(f"event {event!r} is not one of {', '.join(EVENTS)}")
    names = uuid7s(at, len(payloads))
    rows = [
        (message, endpoint, customer_id, name, payload)
        for endpoint in listening(shop, event)
        for message, name, (customer_id, payload) in zip(
            uuid7s(at, len(payloads)), names, payloads, strict=True
        )
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO outbox_message (shop_id, customer_id, id, endpoint_id, event_id, event, body, created_at,"
                " due_at) SELECT %s, u.customer_id, u.id, u.endpoint_id, u.event_id, %s, u.body, %s, %s"
                " FROM ROWS FROM (unnest(%s::uuid[]), unnest(%s::uuid[]), unnest(%s::uuid[]), unnest(%s::uuid[]),"
                " json_array_elements_text(%s::json)) AS u (customer_id, id, endpoint_id, event_id, body)",
                [
                    shop.id,
                    event,
                    at,
                    at,
                    array_of(customer_id for _, _, customer_id, _, _ in rows),
                    array_of(row[0] for row in rows),
                    array_of(row[1] for row in rows),
                    array_of(row[3] for row in rows),
                    msgspec.json.encode(
                        [
                            msgspec.json.encode({"type": event, "timestamp": at, "data": row[4]}).decode()
                            for row in rows
                        ]
                    ).decode(),
                ],
            )
    return names


def recall(shop: Shop, customer_id: UUID, event: str, name: str, value: str) -> bool:
    """Take back the message of a customer whose data say `value` under `name`, in the caller's transaction.

    Only where no endpoint was tried yet: what may have arrived is not unsaid. Whether it was taken back is returned.
    """
    use_shop(shop.id)
    with connection.cursor() as cursor:
        # Whoever delivers passes over what is held here, or has it already and has counted its attempt.
        cursor.execute(
            "SELECT id, event_id, attempt FROM outbox_message WHERE shop_id = %s AND customer_id = %s AND event = %s"
            " AND body::jsonb -> 'data' ->> %s = %s FOR UPDATE",
            [shop.id, customer_id, event, name, value],
        )
        found = cursor.fetchall()
        if not found or any(attempt for *_, attempt in found):
            return False
        cursor.execute(
            "SELECT EXISTS (SELECT FROM outbox_delivery WHERE shop_id = %s AND customer_id = %s AND event_id = ANY (%s::uuid[]))",
            [shop.id, customer_id, [row[1] for row in found]],
        )
        if cursor.fetchone()[0]:
            return False
        cursor.execute(
            "DELETE FROM outbox_message WHERE shop_id = %s AND customer_id = %s AND id = ANY (%s::uuid[])",
            [shop.id, customer_id, [row[0] for row in found]],
        )
    return True


def listening(shop: Shop, event: str) -> list[UUID]:
    """The endpoints that listen to an event."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM outbox_endpoint WHERE shop_id = %s AND %s = ANY (events) ORDER BY id",
            [shop.id, event],
        )
        return [row[0] for row in cursor.fetchall()]


class _Leased(msgspec.Struct, frozen=True):
    customer_id: UUID
    id: UUID
    endpoint_id: UUID
    event_id: UUID
    event: str
    body: str
    attempt: int
    url: str | None
    sealed_secret: str | None


_LEASE: Final = """
UPDATE outbox_message AS m
   SET leased_until = %(until)s, attempt = m.attempt + 1
  FROM (SELECT customer_id, id FROM outbox_message
         WHERE shop_id = %(shop)s AND due_at <= %(now)s AND (leased_until IS NULL OR leased_until <= %(now)s)
         ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS due
 WHERE m.customer_id = due.customer_id AND m.id = due.id
RETURNING m.customer_id, m.id, m.endpoint_id, m.event_id, m.event, m.body, m.attempt,
    (SELECT url FROM outbox_endpoint e WHERE e.shop_id = m.shop_id AND e.id = m.endpoint_id),
    (SELECT sealed_secret FROM outbox_endpoint e WHERE e.shop_id = m.shop_id AND e.id = m.endpoint_id)
"""


def deliver_due(now: datetime) -> int:
    """Send what is due, of all shops, and say how many messages were tried."""
    began = time.monotonic()
    return sum(_deliver_of(shop, now, began) for shop in Shop.objects.order_by("created_at"))


def _deliver_of(shop: Shop, now: datetime, began: float) -> int:
    tried, ends = 0, time.monotonic() + ROUND_SECONDS
    while tried < ROUND_ROWS and time.monotonic() < ends:
        # Sending takes its time, and a lease counts from when it is taken.
        leased = _lease(shop, now + timedelta(seconds=time.monotonic() - began))
        for message in leased:
            _deliver(shop, message, now)
        tried += len(leased)
        if len(leased) < LEASED_ROWS:
            break
    return tried


def _lease(shop: Shop, now: datetime) -> list[_Leased]:
    use_shop(shop.id)
    until = now + timedelta(seconds=LEASE_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(_LEASE, {"shop": shop.id, "now": now, "until": until, "limit": LEASED_ROWS})
        return [_Leased(*row) for row in cursor.fetchall()]


def _deliver(shop: Shop, message: _Leased, now: datetime) -> None:
    status: int | None = None
    error = ""
    if message.url is None or message.sealed_secret is None:
        error = "the endpoint was removed"
    else:
        try:
            status = _send(message, message.url, open_secret(message.sealed_secret))
        except (SendFailed, RefusedAddress, SealedWithAnotherKey) as failure:
            error = str(failure)
    if status is not None and 200 <= status < 300:
        outcome = "delivered"
    elif message.url is None or message.attempt > len(RETRY_SECONDS) or status == 410:
        # 410 Gone is the receiver's own word that nobody listens there any more.
        outcome = "given_up"
    else:
        outcome = "retry"
        error = error or "not an answer of success"
    use_shop(shop.id)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_delivery (shop_id, customer_id, message_id, attempt, endpoint_id, event_id, event,"
            " at, outcome, status, error, body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [
                shop.id,
                message.customer_id,
                message.id,
                message.attempt,
                message.endpoint_id,
                message.event_id,
                message.event,
                now,
                outcome,
                status,
                error,
                None if outcome == "retry" else message.body,
            ],
        )
        # Only the holder of this attempt's lease decides: one that took too long finds another attempt there.
        key = [message.customer_id, message.id, message.attempt]
        if outcome == "retry":
            due_at = now + timedelta(seconds=RETRY_SECONDS[message.attempt - 1])
            cursor.execute(
                "UPDATE outbox_message SET due_at = %s, leased_until = NULL"
                " WHERE customer_id = %s AND id = %s AND attempt = %s",
                [due_at, *key],
            )
        else:
            cursor.execute(
                "DELETE FROM outbox_message WHERE customer_id = %s AND id = %s AND attempt = %s", key
            )


def _send(message: _Leased, url: str, secret: str) -> int:
    body = message.body.encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Fenqi-Webhooks/1",
        # The machine's instant, not the shop's: it tells the receiver how old the message is on the wire.
        **headers_for(secret, f"evt_{message.event_id.hex}", system_now(), body),
    }
    return post(resolve(url, allow_loopback=_allow_loopback()), body, headers)


def deliveries(shop: Shop, limit: int = 100) -> list[dict[str, Any]]:
    """The newest attempts, for whoever asks where a message stayed."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event, event_id, endpoint_id, attempt, at, outcome, status, error FROM outbox_delivery"
            " WHERE shop_id = %s ORDER BY at DESC, attempt DESC LIMIT %s",
            [shop.id, limit],
        )
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _allow_loopback() -> bool:
    return bool(getattr(settings, "FENQI_WEBHOOK_ALLOW_LOOPBACK", False))
