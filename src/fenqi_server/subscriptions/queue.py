"""The queue of messages: leased in small batches, sent, their outcomes recorded, then deleted.

A worker leases a few rows for a while and sends them one after another over one connection. What became of them is recorded
together, in one transaction that also deletes the rows and forgets the addresses that are no longer needed. A worker that is
killed leaves at most the messages of its lease in doubt: they come back when the lease ends, and go out again under the same
Message-ID. None is lost, and no other message can be doubled.

| Outcome | Then |
|---|---|
| delivered | recorded, the row deleted; a wish is told, and its address forgotten |
| retry | later, and later again; given up after `GIVE_UP` |
| unknown | the connection was lost before the answer: sent again, same Message-ID |
| refused | recorded, and the address suspended: nothing is sent there for `SUSPENDED` |
| withdrawn | not sent: its reader has left, or the engine does not offer it any more |
| superseded | not sent: a newer revision of the same announcement was due before it went |
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, transaction

from fenqi.texts import Text
from fenqi_server.db import use_shop
from fenqi_server.ids import public_id
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.subscriptions import letters, pace, wishes
from fenqi_server.subscriptions.addresses import Channel, digest_of
from fenqi_server.subscriptions.messages import link, message_id
from fenqi_server.subscriptions.ports import Letter, Outcome, Outgoing, Port, PortDown, open_port
from fenqi_server.subscriptions.quiet import awake_at, is_quiet
from fenqi_server.subscriptions.said import Said, decode_said
from fenqi_server.subscriptions.subscription import Scope

__all__ = ["GIVE_UP", "RETRY_SECONDS", "SUSPENDED", "deliver_due"]

BATCH_ROWS: Final = 20
PROGRAM_ROWS: Final = 5
"""Webhooks at a time: at the longest send these are done within their lease."""
RETRY_SECONDS: Final = (60, 300, 900, 3_600, 7_200, 14_400, 28_800)
"""How long to wait after each attempt that failed; the last one again and again."""
GIVE_UP: Final = timedelta(days=3)
SUSPENDED: Final = timedelta(days=30)
PORT_DOWN: Final = timedelta(seconds=60)
FRESH: Final = timedelta(minutes=5)
"""What the engine said longer ago is asked again before it is told."""
ROUND_SECONDS: Final = 10.0
"""What one shop gets of a round: the worker's other jobs wait no longer."""

_log = logging.getLogger(__name__)

State = Literal["delivered", "retry", "unknown", "refused", "given_up", "withdrawn"]


class _Leased(msgspec.Struct, frozen=True):
    customer_id: UUID
    id: UUID
    target: UUID
    kind: str
    about: str
    channel: Channel
    announcement: str
    number: int | None
    content: str
    asked_at: datetime | None
    created_at: datetime
    attempt: int


class _Reader(msgspec.Struct, frozen=True):
    """Whom it goes to, read when it is sent."""

    address: str
    locale: str
    token: str
    state: str
    at_night: bool
    secret: str | None
    scope: Scope
    plan: str


class _Done(msgspec.Struct, frozen=True):
    """One message with what became of it."""

    message: _Leased
    state: State
    code: int | None
    address: str


_LEASE: Final = """
UPDATE subscriptions_message AS m
   SET leased_until = %(until)s, attempt = m.attempt + 1
  FROM (SELECT customer_id, id FROM subscriptions_message
         WHERE shop_id = %(shop)s AND due_at <= %(now)s AND CASE WHEN channel = 'webhook' THEN 'programs'
               WHEN kind = 'confirm' THEN 'questions' ELSE 'paced' END = %(which)s
           AND (leased_until IS NULL OR leased_until <= %(now)s)
         ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS due
 WHERE m.customer_id = due.customer_id AND m.id = due.id
RETURNING m.customer_id, m.id, m.target, m.kind, m.about, m.channel, m.announcement, m.number, m.content::text,
    m.asked_at, m.created_at, m.attempt
"""


def deliver_due(now: datetime) -> int:
    """The worker's job: send what is due, of all shops; how many were delivered."""
    began = time.monotonic()
    return sum(_Round(shop, now, began).run() for shop in Shop.objects.order_by("created_at"))


class _Round:
    """One shop's share of a round, with the ports that it opened."""

    def __init__(self, shop: Shop, now: datetime, began: float) -> None:
        self._shop = shop
        self._start, self._began = now, began
        self._ports: dict[Channel, Port] = {}
        self._down: set[Channel] = set()
        self._said: dict[tuple[str, int], Said] = {}

    @property
    def _now(self) -> datetime:
        # Sending takes its time, and a lease counts from when it is taken.
        return self._start + timedelta(seconds=time.monotonic() - self._began)

    def run(self) -> int:
        ends, delivered = time.monotonic() + ROUND_SECONDS, 0
        use_shop(self._shop.id)
        try:
            # Each gets its turn: slow programs keep no mail waiting, nor ten thousand mails a question.
            while True:
                sent = 0
                for lease in (self._questions, self._paced, self._programs):
                    batch = lease()
                    if batch:
                        sent += len(batch)
                        delivered += self._send(batch)
                if not sent or time.monotonic() >= ends:
                    break
        finally:
            for port in self._ports.values():
                port.close()
        return delivered

    def _questions(self) -> list[_Leased]:
        return self._leased("questions", BATCH_ROWS)

    def _programs(self) -> list[_Leased]:
        return self._leased("programs", PROGRAM_ROWS)

    def _paced(self) -> list[_Leased]:
        """What brings people to the checkout: as fast as the shop's pace allows."""
        with transaction.atomic():
            use_shop(self._shop.id)
            granted = pace.take(self._shop, BATCH_ROWS, self._now)
            found = self._leased("paced", granted) if granted else []
            pace.give_back(self._shop, granted - len(found))
        return found

    def _leased(self, which: str, limit: int) -> list[_Leased]:
        now = self._now
        until = now + timedelta(seconds=settings.FENQI_NOTIFY_LEASE_SECONDS)
        use_shop(self._shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                _LEASE,
                {"shop": self._shop.id, "which": which, "now": now, "until": until, "limit": limit},
            )
            return [_Leased(*row) for row in cursor.fetchall()]

    def _send(self, batch: list[_Leased]) -> int:
        began = time.monotonic()
        readers = self._readers(batch)
        suspended = self._suspended({reader.address for reader in readers.values() if reader.address})
        done: list[_Done] = []
        later: list[tuple[_Leased, datetime]] = []
        for message in batch:
            # The last of a slow batch must not go out while another worker has its lease already.
            if time.monotonic() - began > settings.FENQI_NOTIFY_LEASE_SECONDS / 2:
                later.append((message, self._now))
                continue
            reader = readers.get((message.customer_id, message.target))
            if reader is None or not _wanted(message, reader):
                done.append(_Done(message, "withdrawn", None, ""))
            elif digest_of(reader.address) in suspended:
                done.append(_Done(message, "refused", None, ""))
            elif not _may_go(message, reader, self._now, self._shop.time_zone):
                later.append((message, awake_at(self._now, self._shop.time_zone)))
            else:
                try:
                    done.append(self._one(message, reader))
                except PortDown as down:
                    if message.channel not in self._down:
                        self._down.add(message.channel)
                        _log.warning("nothing can be sent by %s: %s", message.channel, down)
                    later.append((message, self._now + PORT_DOWN))
                except Exception:
                    # One message that cannot be made keeps no other waiting, nor itself the queue for ever.
                    _log.exception("the message %s could not be sent", message.id)
                    done.append(self._judged(message, reader, Outcome("retry")))
        with transaction.atomic():
            use_shop(self._shop.id)
            self._put_off(later)
            self._record(done)
        return sum(each.state == "delivered" for each in done)

    def _one(self, message: _Leased, reader: _Reader) -> _Done:
        if message.channel in self._down:
            raise PortDown("it was down a moment ago")
        content: dict[str, str] = msgspec.json.decode(message.content)
        if message.kind == "back" and message.asked_at is not None and self._now - message.asked_at > FRESH:
            again = wishes.still_offered(self._shop, message.customer_id, message.target, self._now)
            if again is None:
                return _Done(message, "withdrawn", None, "")
            content = again
        outgoing = self._outgoing(message, reader, content)
        port = self._ports.get(message.channel)
        if port is None:
            port = self._ports[message.channel] = open_port(message.channel)
        return self._judged(message, reader, port.deliver(outgoing))

    def _judged(self, message: _Leased, reader: _Reader, outcome: Outcome) -> _Done:
        state: State = outcome.state
        if state in ("retry", "unknown") and self._now - message.created_at > GIVE_UP:
            state = "given_up"
        return _Done(message, state, outcome.code, reader.address)

    # ------------------------------------------------------------------------------------------- what it says

    def _outgoing(self, message: _Leased, reader: _Reader, content: dict[str, str]) -> Outgoing:
        shop, locale, at = self._shop, reader.locale, self._now
        public = public_id(
            "sb" if message.about == "subscription" else "nr", message.customer_id, message.target
        )
        leave = link(shop, "off", public, reader.token)
        manage = link(shop, "manage" if message.about == "subscription" else "wish", public, reader.token)
        yes = link(shop, "confirm", public, reader.token)
        letter: Letter
        payload: dict[str, Any]
        if message.kind == "confirm":
            once = message.about == "wish"
            what = self._what(reader, locale, at, once)
            letter = letters.confirm(shop, locale, at, what, yes, leave, once=once)
            payload = {
                "type": "subscription.confirm",
                "data": {"what": what, "confirm": yes, "unsubscribe": leave},
            }
        elif message.kind == "back":
            letter = letters.back(shop, content, locale, at, manage, letters.checkout_url())
            payload = {"type": "way.back", "data": dict(content)}
        else:
            said = self._revision(message.announcement, message.number or 0)
            payload = letters.payload_of(said)
            payload["data"]["unsubscribe"] = leave
            if message.kind == "over":
                letter = letters.over(shop, said, locale, at, manage)
            else:
                letter = letters.revision(shop, said, locale, at, manage, leave)
        payload["timestamp"] = at
        return Outgoing(
            message_id=message_id(message.id),
            kind=message.kind,
            address=reader.address,
            locale=locale,
            letter=letter,
            sender=shop.name.in_(locale),
            unsubscribe=leave,
            at=at,
            payload=payload,
            secret=reader.secret,
        )

    def _what(self, reader: _Reader, locale: str, at: datetime, once: bool) -> str:
        from django.utils import translation
        from django.utils.translation import gettext

        policy = policies.current(self._shop.id, at)
        notice = policy.notices.get(reader.scope.announcement)
        title: Text | None = notice.title if notice is not None else None
        with translation.override(letters.DJANGO_LANGUAGE[locale]):
            voice = letters._voice(self._shop, locale, at)
            if once and reader.plan:
                plan = letters.scope_text(policy, Scope(plans=(reader.plan,)), voice)
                return gettext("when %(plan)s is back") % {"plan": plan}
            what = letters.scope_text(policy, reader.scope, voice, title)
            return gettext("when this is over: %(title)s") % {"title": what} if once else what

    def _revision(self, announcement: str, number: int) -> Said:
        key = (announcement, number)
        if key not in self._said:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT said::text FROM subscriptions_fanout"
                    " WHERE shop_id = %s AND announcement = %s AND number = %s",
                    [self._shop.id, announcement, number],
                )
                self._said[key] = decode_said(cursor.fetchone()[0])
        return self._said[key]

    # ------------------------------------------------------------------------------------------------- whom

    def _readers(self, batch: list[_Leased]) -> dict[tuple[UUID, UUID], _Reader]:
        keys = {
            about: [(message.customer_id, message.target) for message in batch if message.about == about]
            for about in ("subscription", "wish")
        }
        found: dict[tuple[UUID, UUID], _Reader] = {}
        with connection.cursor() as cursor:
            if keys["subscription"]:
                cursor.execute(
                    "SELECT s.customer_id, s.id, address, locale, token, state, NOT quiet, sealed_secret, funders,"
                    " families, plans, sales_channels, regions, announcement FROM subscriptions_subscription s"
                    " JOIN unnest(%s::uuid[], %s::uuid[]) AS k(c, i) ON s.customer_id = k.c AND s.id = k.i",
                    _columns(keys["subscription"]),
                )
                for row in cursor.fetchall():
                    scope = Scope(*(tuple(names) for names in row[8:13]), row[13])
                    found[row[0], row[1]] = _Reader(*row[2:8], scope, "")
            if keys["wish"]:
                cursor.execute(
                    "SELECT w.customer_id, w.id, address, locale, token, state, at_night, announcement, plan"
                    " FROM subscriptions_wish w"
                    " JOIN unnest(%s::uuid[], %s::uuid[]) AS k(c, i) ON w.customer_id = k.c AND w.id = k.i",
                    _columns(keys["wish"]),
                )
                for row in cursor.fetchall():
                    found[row[0], row[1]] = _Reader(*row[2:7], None, Scope(announcement=row[7]), row[8])
        return found

    def _suspended(self, addresses: set[str]) -> set[bytes]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT digest FROM subscriptions_suspension WHERE shop_id = %s AND digest = ANY (%s) AND until > %s",
                [self._shop.id, [digest_of(address) for address in addresses], self._now],
            )
            return {bytes(digest) for (digest,) in cursor.fetchall()}

    # ------------------------------------------------------------------------------------------ what became of it

    def _put_off(self, later: list[tuple[_Leased, datetime]]) -> None:
        if not later:
            return
        with connection.cursor() as cursor:
            # It was not tried: the attempt does not count.
            cursor.execute(
                "UPDATE subscriptions_message m SET due_at = k.due, leased_until = NULL, attempt = m.attempt - 1"
                " FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::timestamptz[]) AS k(c, i, a, due)"
                " WHERE m.customer_id = k.c AND m.id = k.i AND m.attempt = k.a",
                [
                    [message.customer_id for message, _ in later],
                    [message.id for message, _ in later],
                    [message.attempt for message, _ in later],
                    [due for _, due in later],
                ],
            )

    def _record(self, done: list[_Done]) -> None:
        if not done:
            return
        now = self._now
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO subscriptions_delivery (shop_id, customer_id, message_id, attempt, target, kind, channel,"
                " announcement, number, at, outcome, code) SELECT %s, c, i, a, t, k, ch, an, n, %s, o, code"
                " FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::uuid[], %s::text[], %s::text[], %s::text[],"
                " %s::int[], %s::text[], %s::int[]) AS d(c, i, a, t, k, ch, an, n, o, code) ON CONFLICT DO NOTHING",
                [
                    self._shop.id,
                    now,
                    [each.message.customer_id for each in done],
                    [each.message.id for each in done],
                    [each.message.attempt for each in done],
                    [each.message.target for each in done],
                    [each.message.kind for each in done],
                    [each.message.channel for each in done],
                    [each.message.announcement for each in done],
                    [each.message.number for each in done],
                    [each.state for each in done],
                    [each.code for each in done],
                ],
            )
            again = [each for each in done if each.state in ("retry", "unknown")]
            if again:
                cursor.execute(
                    "UPDATE subscriptions_message m SET due_at = k.due, leased_until = NULL"
                    " FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::timestamptz[]) AS k(c, i, a, due)"
                    " WHERE m.customer_id = k.c AND m.id = k.i AND m.attempt = k.a",
                    [*_keys(again), [now + _pause(each.message.attempt) for each in again]],
                )
            final = [each for each in done if each.state not in ("retry", "unknown")]
            if final:
                # Only the holder of this attempt's lease decides: one that took too long finds another attempt there.
                cursor.execute(
                    "DELETE FROM subscriptions_message m USING unnest(%s::uuid[], %s::uuid[], %s::int[]) AS k(c, i, a)"
                    " WHERE m.customer_id = k.c AND m.id = k.i AND m.attempt = k.a",
                    _keys(final),
                )
            told = [
                each for each in done if each.state == "delivered" and each.message.kind in ("back", "over")
            ]
            _close_wishes(cursor, told, "told", now)
            # What was given up or refused is needed no longer either.
            ended = [each for each in done if each.state in ("refused", "given_up")]
            _close_wishes(cursor, [each for each in ended if each.message.about == "wish"], "cancelled", now)
            _end_subscriptions(
                cursor,
                [each for each in ended if each.message.about == "subscription"],
                "suspended",
                "refused",
                now,
            )
            over = [
                each
                for each in done
                if each.state == "delivered"
                and each.message.kind == "revision"
                and self._revision(each.message.announcement, each.message.number or 0).kind in letters.FINAL
            ]
            _end_subscriptions(cursor, over, "ended", "over", now, only_of_one=True)
            for each in ended:
                if each.address and each.state == "refused":
                    cursor.execute(
                        "INSERT INTO subscriptions_suspension (shop_id, digest, since, until, code)"
                        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (shop_id, digest) DO UPDATE"
                        " SET since = excluded.since, until = excluded.until, code = excluded.code",
                        [self._shop.id, digest_of(each.address), now, now + SUSPENDED, each.code],
                    )


def _wanted(message: _Leased, reader: _Reader) -> bool:
    if message.kind == "confirm":
        return reader.state == "unconfirmed"
    return reader.state == ("active" if message.about == "subscription" else "telling")


def _may_go(message: _Leased, reader: _Reader, now: datetime, zone: str) -> bool:
    # Whoever has just asked is awake.
    return message.kind == "confirm" or reader.at_night or not is_quiet(now, zone)


def _pause(attempt: int) -> timedelta:
    return timedelta(seconds=RETRY_SECONDS[min(attempt, len(RETRY_SECONDS)) - 1])


def _columns(pairs: list[tuple[UUID, UUID]]) -> list[list[UUID]]:
    return [[first for first, _ in pairs], [second for _, second in pairs]]


def _keys(done: list[_Done]) -> list[list[Any]]:
    return [
        [each.message.customer_id for each in done],
        [each.message.id for each in done],
        [each.message.attempt for each in done],
    ]


def _close_wishes(cursor: Any, done: list[_Done], state: str, now: datetime) -> None:
    if done:
        cursor.execute(
            "UPDATE subscriptions_wish w SET state = %s, address = '', closed_at = %s"
            " FROM unnest(%s::uuid[], %s::uuid[]) AS k(c, i) WHERE w.customer_id = k.c AND w.id = k.i"
            " AND state IN ('unconfirmed', 'waiting', 'telling')",
            [state, now, *_columns([(each.message.customer_id, each.message.target) for each in done])],
        )


def _end_subscriptions(
    cursor: Any, done: list[_Done], state: str, why: str, now: datetime, *, only_of_one: bool = False
) -> None:
    if done:
        cursor.execute(
            "UPDATE subscriptions_subscription s SET state = %s, address = '', sealed_secret = NULL, ended_at = %s,"
            " ended_why = %s FROM unnest(%s::uuid[], %s::uuid[]) AS k(c, i) WHERE s.customer_id = k.c AND s.id = k.i"
            " AND state IN ('unconfirmed', 'active') AND (announcement <> '' OR NOT %s)",
            [
                state,
                now,
                why,
                *_columns([(each.message.customer_id, each.message.target) for each in done]),
                only_of_one,
            ],
        )
