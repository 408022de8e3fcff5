"""Messages taken from the queue, said as things are by then, and sent.

Taking a message up for the first time gathers everything that waits for its customer, and tells the shop's own programs
(`reminder.due`) in the same transaction. A mail goes out once more only where a worker died in the middle of its few leased rows,
and then under the same Message-ID. What was paid meanwhile is not reminded of. Nothing is sent between ten in the evening and eight.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection, transaction

from fenqi.calendars import local_date
from fenqi_server.autopay.collectors import way_of
from fenqi_server.autopay.mandates import ACTIVE_SQL
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import parse_public_id, public_id
from fenqi_server.outbox.service import enqueue_many
from fenqi_server.reminders.letters import Item, letter, unsubscribe_url
from fenqi_server.reminders.queueing import EVENT
from fenqi_server.reminders.rules import wish_of
from fenqi_server.servicing import leases, service
from fenqi_server.shops.models import Shop
from fenqi_server.subscriptions.addresses import digest_of
from fenqi_server.subscriptions.messages import message_id
from fenqi_server.subscriptions.ports import Outgoing, Port, PortDown, offered, open_port
from fenqi_server.subscriptions.quiet import awake_at, is_quiet

__all__ = ["BATCH_ROWS", "send_due"]

log = logging.getLogger(__name__)

BATCH_ROWS: Final = 20
LEASE_SECONDS: Final = 120
BATCHES: Final = 25
RETRY_SECONDS: Final = (60, 300, 900, 3_600, 7_200, 14_400, 28_800)
GIVE_UP: Final = timedelta(days=3)
PORT_DOWN: Final = timedelta(seconds=60)
SUSPENDED: Final = timedelta(days=30)
"""An address that its own server refused for good is written to no more for so long."""


class _Leased(msgspec.Struct, frozen=True):
    customer_id: UUID
    id: UUID
    created_at: datetime
    attempt: int


def send_due(now: datetime) -> int:
    """Send what is due, of all shops; how many messages were taken up. A job of the worker."""
    return sum(_send(shop, now) for shop in Shop.objects.order_by("created_at"))


def _send(shop: Shop, now: datetime) -> int:
    if is_quiet(now, shop.time_zone):
        return 0
    taken, port = 0, None
    try:
        for _ in range(BATCHES):
            batch, items = in_transaction(lambda: _take(shop, now))
            for row in batch:
                try:
                    outcome, code, port = _one(shop, row, items.get(row.id, ()), port, now)
                except PortDown as down:
                    log.warning("no reminder can be mailed: %s", down)
                    _put_off(shop, row, now + PORT_DOWN, now)
                    continue
                except Exception:
                    # One that cannot be made keeps no other waiting, nor itself the queue for ever.
                    log.exception("the reminder %s could not be sent", row.id)
                    outcome, code = "retry", None
                if outcome in ("retry", "unknown") and now - row.created_at > GIVE_UP:
                    outcome = "given_up"
                _record(shop, row, outcome, code, now)
            taken += len(batch)
            if len(batch) < BATCH_ROWS:
                break
    finally:
        if port is not None:
            port.close()
    return taken


_LEASE: Final = """
UPDATE reminders_message AS m SET leased_until = %(until)s, attempt = m.attempt + 1
  FROM (SELECT customer_id, id FROM reminders_message
         WHERE shop_id = %(shop)s AND due_at <= %(now)s AND (leased_until IS NULL OR leased_until <= %(now)s)
         ORDER BY due_at LIMIT %(rows)s FOR UPDATE SKIP LOCKED) AS due
 WHERE m.customer_id = due.customer_id AND m.id = due.id
RETURNING m.customer_id, m.id, m.created_at, m.attempt
"""


def _take(shop: Shop, now: datetime) -> tuple[list[_Leased], dict[UUID, tuple[Item, ...]]]:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            _LEASE,
            {
                "shop": shop.id,
                "now": now,
                "until": now + timedelta(seconds=LEASE_SECONDS),
                "rows": BATCH_ROWS,
            },
        )
        batch = [_Leased(*row) for row in cursor.fetchall()]
        new = [row for row in batch if row.attempt == 1]
        if new:
            cursor.execute(
                "UPDATE reminders_notice AS n SET message_id = u.id FROM unnest(%s::uuid[], %s::uuid[]) AS u (customer_id, id)"
                " WHERE n.customer_id = u.customer_id AND n.message_id IS NULL",
                [[row.customer_id for row in new], [row.id for row in new]],
            )
    items = _items(shop, batch, now) if batch else {}
    told = [row for row in new if items.get(row.id)]
    enqueue_many(shop, EVENT, [(row.customer_id, _payload(shop, row, items[row.id])) for row in told], now)
    return batch, items


_ITEMS: Final = f"""
SELECT n.message_id, n.customer_id, n.contract_id, n.stage, n.about, n.due_on, c.order_ref, c.currency,
       s.status, s.open_due_on, s.open_minor, m.ceiling_minor, m.tool_brand, m.tool_last4
  FROM unnest(%s::uuid[], %s::uuid[]) AS u (customer_id, id)
  JOIN reminders_notice AS n ON n.customer_id = u.customer_id AND n.message_id = u.id
  JOIN servicing_contract AS c ON c.customer_id = n.customer_id AND c.contract_id = n.contract_id
  JOIN servicing_state AS s ON s.customer_id = n.customer_id AND s.contract_id = n.contract_id
  LEFT JOIN LATERAL ({ACTIVE_SQL.format(customer="n.customer_id", contract="n.contract_id")}) AS m ON true
 ORDER BY n.message_id, n.due_on NULLS LAST, n.contract_id, n.stage, n.about
"""


def _items(shop: Shop, batch: list[_Leased], now: datetime) -> dict[UUID, tuple[Item, ...]]:
    """What each message has to tell by now."""
    with connection.cursor() as cursor:
        cursor.execute(_ITEMS, [[row.customer_id for row in batch], [row.id for row in batch]])
        found = cursor.fetchall()
    heard, today = way_of(shop) != "none", local_date(now, shop.time_zone)
    items: dict[UUID, tuple[Item, ...]] = {}
    for row in found:
        item = _item(shop, row, today, heard, now)
        # Two notices may have come to the same by now: two stages of being late, say.
        if item is not None and item not in items.get(row[0], ()):
            items[row[0]] = (*items.get(row[0], ()), item)
    return items


def _item(shop: Shop, row: tuple[Any, ...], today: date, heard: bool, at: datetime) -> Item | None:
    """One thing to tell. `heard`: somebody would be asked to collect; where nobody would, no debit is promised."""
    (
        _,
        customer_id,
        contract_id,
        stage,
        about,
        due_on,
        order_ref,
        currency,
        status,
        open_due_on,
        open_minor,
        ceiling_minor,
        *tool,
    ) = row
    due = list(zip(open_due_on, open_minor, strict=True))
    known = Item(
        stage=stage,
        contract_id=public_id("ct", customer_id, contract_id),
        order_ref=order_ref,
        amount_minor=0,
        currency=currency,
        due_on=due_on,
    )
    if stage in ("paid_off", "closed"):
        return known if status == "closed" else None
    if status != "active":
        return None
    if stage == "term_ends":
        return _ending(shop, known, at)
    if stage == "autopay_failed":
        owed_minor = sum(minor for on, minor in due if on <= today)
        return _failed(shop, known, customer_id, about, owed_minor, heard)
    if stage == "late" or (due_on is not None and due_on < today):
        # A message that had to wait does not call a day "today" that is over.
        owed = [(on, minor) for on, minor in due if on < today]
        if not owed:
            return None
        return msgspec.structs.replace(
            known,
            stage="late",
            amount_minor=sum(minor for _, minor in owed),
            due_on=owed[0][0],
            days_late=(today - owed[0][0]).days,
        )
    minor = sum(minor for on, minor in due if on == due_on)
    if not minor:
        return None
    told = msgspec.structs.replace(known, stage="due" if due_on == today else stage, amount_minor=minor)
    if not heard or not tool[0]:
        return told
    # One debit for all that is due by then, and no more than is allowed: what is older is paid first.
    owed_minor = sum(minor for on, minor in due if on <= due_on)
    taken_minor = max(min(owed_minor, ceiling_minor) - (owed_minor - minor), 0)
    if not taken_minor:
        return told
    return msgspec.structs.replace(told, tool=f"{tool[0]} •{tool[1]}", taken_minor=taken_minor)


def _ending(shop: Shop, known: Item, at: datetime) -> Item | None:
    """What can be done with what is rented, where it is out still and its term ends as it was to."""
    view = service.get(shop, known.contract_id, at=at)
    lease = view.state.lease
    assert known.due_on is not None
    if lease is None or lease.outcome is not None or lease.term_ends_on != known.due_on:
        return None
    if known.due_on < view.state.as_of:
        return None  # it is over, and the customer's pages say what is awaited
    buyout_minor = None
    with contextlib.suppress(service.Refusal):
        buyout_minor = leases.preview_buyout(shop, known.contract_id, at, on=known.due_on).price_minor
    return msgspec.structs.replace(
        known, buyout_minor=buyout_minor, renewal_minor=leases.renewal_rent_minor(view)
    )


def _failed(
    shop: Shop, known: Item, customer_id: UUID, about: str, owed_minor: int, heard: bool
) -> Item | None:
    """What could not be collected, where it is owed still and was not asked for again: a later attempt tells of itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.amount_minor, a.reason, a.day, m.tool_brand, m.tool_last4, a.state, d.ask_at,"
            "       EXISTS (SELECT FROM autopay_attempt AS b WHERE b.customer_id = a.customer_id"
            "                AND b.contract_id = a.contract_id AND b.day > a.day AND b.state <> 'cancelled')"
            "  FROM autopay_attempt AS a JOIN autopay_mandate AS m USING (customer_id, mandate_id)"
            "  LEFT JOIN autopay_due AS d ON d.customer_id = a.customer_id AND d.contract_id = a.contract_id"
            " WHERE a.customer_id = %s AND a.attempt_id = %s",
            [customer_id, parse_public_id(about, "aa")[1]],
        )
        minor, reason, day, brand, last4, state, ask_at, again = cursor.fetchone()
    if state != "failed" or not owed_minor or again:
        return None
    return msgspec.structs.replace(
        known,
        amount_minor=min(minor, owed_minor),
        due_on=day,
        tool=f"{brand} •{last4}",
        reason=reason,
        attempt_id=about,
        again_on=None if ask_at is None or not heard else local_date(ask_at, shop.time_zone),
    )


def _payload(shop: Shop, row: _Leased, items: tuple[Item, ...]) -> dict[str, Any]:
    wish = wish_of(shop, row.customer_id)
    mailed = (
        offered("email") and wish.refused_at is None and bool(customers.private(shop, row.customer_id).email)
    )
    return {
        "reminder_id": public_id("rm", row.customer_id, row.id),
        "locale": wish.locale,
        # Whether Fenqi mails it itself; a customer who refused that is still told of by this event.
        "mailed": mailed,
        "refused_mail": wish.refused_at is not None,
        "items": msgspec.to_builtins(items),
    }


def _one(
    shop: Shop, row: _Leased, items: tuple[Item, ...], port: Port | None, now: datetime
) -> tuple[str, int | None, Port | None]:
    if not items:
        return "withdrawn", None, port
    wish = wish_of(shop, row.customer_id)
    address = customers.private(shop, row.customer_id).email
    if not address or wish.refused_at is not None or not offered("email"):
        return "not_mailed", None, port
    if _suspended(shop, address, now):
        return "refused", None, port
    port = port or open_port("email")
    leave = unsubscribe_url(shop, row.customer_id)
    done = port.deliver(
        Outgoing(
            message_id=message_id(row.id),
            kind="reminder",
            address=address,
            locale=wish.locale,
            letter=letter(shop, items, wish.locale, now, leave),
            sender=shop.name.in_(wish.locale),
            unsubscribe=leave,
            at=now,
            payload={"type": EVENT, "data": _payload(shop, row, items)},
        )
    )
    if done.state == "refused":
        _suspend(shop, address, done.code, now)
    return done.state, done.code, port


def _suspended(shop: Shop, address: str, now: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM subscriptions_suspension WHERE shop_id = %s AND digest = %s AND until > %s",
            [shop.id, digest_of(address), now],
        )
        return cursor.fetchone() is not None


def _suspend(shop: Shop, address: str, code: int | None, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO subscriptions_suspension (shop_id, digest, since, until, code) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (shop_id, digest) DO UPDATE SET since = excluded.since, until = excluded.until,"
            " code = excluded.code",
            [shop.id, digest_of(address), now, now + SUSPENDED, code],
        )


def _put_off(shop: Shop, row: _Leased, due: datetime, now: datetime) -> None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE reminders_message SET due_at = %s, leased_until = NULL WHERE customer_id = %s AND id = %s AND attempt = %s",
            [awake_at(due, shop.time_zone), row.customer_id, row.id, row.attempt],
        )


def _record(shop: Shop, row: _Leased, outcome: str, code: int | None, now: datetime) -> None:
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO reminders_outcome (shop_id, customer_id, id, attempt, at, outcome, code)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [shop.id, row.customer_id, row.id, row.attempt, now, outcome, code],
            )
            if outcome in ("retry", "unknown"):
                pause = RETRY_SECONDS[min(row.attempt, len(RETRY_SECONDS)) - 1]
                _put_off(shop, row, now + timedelta(seconds=pause), now)
            else:
                # Only the holder of this attempt's lease decides.
                cursor.execute(
                    "DELETE FROM reminders_message WHERE customer_id = %s AND id = %s AND attempt = %s",
                    [row.customer_id, row.id, row.attempt],
                )
