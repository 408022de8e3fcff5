"""Asking for what is due: contracts wait in a queue, and leave it in the transaction that makes the attempt.

Closing a day puts contracts with a mandate and something due into the queue (`queue`); a chunk of it (`ask_chunk`) becomes attempts, each
with its message to the collector, all of it together or not at all. So a close that is killed and run again asks exactly once. What is
asked for is never above what is owed by that day, nor above the mandate's ceiling; and while an attempt's outcome is not known, its
contract is not asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import at_local, local_date
from fenqi_server.autopay import collectors
from fenqi_server.autopay.mandates import ACTIVE_SQL
from fenqi_server.autopay.rules import Suspension, suspensions
from fenqi_server.db import BY_KEY, array_of, array_of_texts, in_transaction, read_by_index, use_shop
from fenqi_server.ids import public_id, uuid7
from fenqi_server.outbox.service import enqueue_many
from fenqi_server.shops.models import Shop

__all__ = ["CHUNK", "LOOK_AGAIN", "Asked", "ask_chunk", "ask_one_later", "midnight", "queue"]

CHUNK: Final = 500
LOOK_AGAIN: Final = timedelta(hours=1)
"""A contract whose attempt is still under way, or whose shop has nobody to ask, is looked at again after so long."""
FIRST_QUERY: Final = timedelta(hours=1)
"""A shop's server has so long to say what became of an attempt before it is asked."""


class Asked(msgspec.Struct):
    """What a chunk did: how many contracts it looked at, and what it asked for."""

    looked_at: int = 0
    attempts: int = 0
    amount_minor: int = 0


_QUEUE: Final = f"""
INSERT INTO autopay_due AS d (customer_id, contract_id, shop_id, ask_at, first_on)
SELECT u.customer_id, u.contract_id, %s, %s, %s
  FROM unnest(%s::uuid[], %s::uuid[]) AS u (customer_id, contract_id)
 WHERE EXISTS ({ACTIVE_SQL.format(customer="u.customer_id", contract="u.contract_id")})
ON CONFLICT (customer_id, contract_id) DO UPDATE
   SET ask_at = least(d.ask_at, excluded.ask_at), first_on = greatest(d.first_on, excluded.first_on),
       tries = CASE WHEN excluded.first_on > d.first_on THEN 0 ELSE d.tries END
"""


def queue(shop: Shop, contracts: Sequence[tuple[UUID, UUID]], day: date, at: datetime) -> None:
    """Let these contracts, which owe something by `day`, be asked for it where a mandate allows it. In the caller's transaction."""
    if contracts:
        with connection.cursor() as cursor:
            cursor.execute(
                _QUEUE,
                [
                    shop.id,
                    at,
                    day,
                    array_of(first for first, _ in contracts),
                    array_of(second for _, second in contracts),
                ],
            )


def ask_one_later(
    shop: Shop, customer_id: UUID, contract_id: UUID, ask_at: datetime, first_on: date, tries: int
) -> None:
    """Put one contract into the queue for a later instant; a series that began later stays as it is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO autopay_due AS d (customer_id, contract_id, shop_id, ask_at, first_on, tries)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (customer_id, contract_id) DO UPDATE"
            " SET ask_at = excluded.ask_at, tries = excluded.tries WHERE d.first_on <= excluded.first_on",
            [customer_id, contract_id, shop.id, ask_at, first_on, tries],
        )


_FOUND: Final = f"""
WITH d AS MATERIALIZED (
    SELECT customer_id, contract_id, first_on, tries FROM autopay_due AS d
     WHERE d.shop_id = %(shop)s AND d.ask_at <= %(at)s
     ORDER BY d.ask_at LIMIT %(limit)s
       FOR NO KEY UPDATE OF d SKIP LOCKED)
SELECT d.customer_id, d.contract_id, d.first_on, d.tries, s.status, s.open_due_on, s.open_minor, s.next_due_on,
       c.currency, c.order_ref, {{plan}}, m.mandate_id, m.tool_token, m.tool_brand, m.tool_last4, m.ceiling_minor,
       t.waiting, t.today
  FROM d
  JOIN servicing_state AS s USING (customer_id, contract_id)
  JOIN servicing_contract AS c USING (customer_id, contract_id)
  LEFT JOIN LATERAL ({ACTIVE_SQL.format(customer="d.customer_id", contract="d.contract_id")}) AS m ON true
  -- Both conditions in one look by the contract's key: a day alone would have all of the day's attempts read for each.
  LEFT JOIN LATERAL (SELECT coalesce(bool_or(a.state IN ('asked', 'sent', 'unknown')), false) AS waiting,
                            coalesce(bool_or(a.day = %(today)s), false) AS today
                       FROM autopay_attempt AS a
                      WHERE a.customer_id = d.customer_id AND a.contract_id = d.contract_id) AS t ON true
"""


class _Found(msgspec.Struct, frozen=True):
    customer_id: UUID
    contract_id: UUID
    first_on: date
    tries: int
    status: str
    open_due_on: list[date]
    open_minor: list[int]
    next_due_on: date | None
    currency: str
    order_ref: str
    plan: str
    mandate_id: UUID | None
    token: str | None
    brand: str | None
    last4: str | None
    ceiling_minor: int | None
    waiting: bool
    asked_today: bool

    @property
    def key(self) -> tuple[UUID, UUID]:
        return self.customer_id, self.contract_id


class _Attempt(msgspec.Struct, frozen=True):
    found: _Found
    name: UUID
    due_on: list[date]
    due_minor: int
    amount_minor: int


def ask_chunk(shop: Shop, at: datetime) -> Asked:
    """Make attempts of up to `CHUNK` contracts that wait. Where none is looked at, none waits."""
    today = local_date(at, shop.time_zone)

    def act() -> Asked:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            # Most of the time nothing waits, and a worker asks twice a second.
            cursor.execute(
                "SELECT FROM autopay_due WHERE shop_id = %s AND ask_at <= %s LIMIT 1", [shop.id, at]
            )
            if cursor.fetchone() is None:
                return Asked()
        read_by_index()
        paused = suspensions(shop, at)
        way = collectors.way_of(shop)
        plan = "c.terms -> 'plan' ->> 'id'" if any(each.plans for each in paused) else "''"
        with connection.cursor() as cursor:
            cursor.execute(
                _FOUND.format(plan=plan), {"today": today, "shop": shop.id, "at": at, "limit": CHUNK}
            )
            found = [_Found(*row) for row in cursor.fetchall()]
        attempts: list[_Attempt] = []
        gone: list[tuple[UUID, UUID]] = []
        later: list[tuple[_Found, datetime, date]] = []
        for each in found:
            due = [
                (on, minor)
                for on, minor in zip(each.open_due_on, each.open_minor, strict=True)
                if on <= today
            ]
            if each.status != "active" or each.mandate_id is None or not each.open_due_on:
                gone.append(each.key)
            elif not due:
                moved = each.open_due_on[0]
                # What was recorded as due and then put off by an outage is asked for on its new day; the rest, when its day closes.
                if each.next_due_on is None or moved < each.next_due_on:
                    later.append((each, midnight(moved, shop), moved))
                else:
                    gone.append(each.key)
            elif each.waiting:
                later.append((each, at + LOOK_AGAIN, each.first_on))
            elif each.asked_today:
                later.append((each, midnight(today + timedelta(days=1), shop), each.first_on))
            elif (until := _paused_until(each.plan, paused)) is not None:
                later.append((each, max(until, at + timedelta(minutes=1)), each.first_on))
            elif way == "none":
                later.append((each, at + LOOK_AGAIN, each.first_on))
            else:
                assert each.ceiling_minor is not None
                owed = sum(minor for _, minor in due)
                attempts.append(
                    _Attempt(each, uuid7(at), [on for on, _ in due], owed, min(owed, each.ceiling_minor))
                )
        _write(shop, attempts, today, at, way)
        _leave(gone + [each.found.key for each in attempts])
        _put_off(later)
        return Asked(len(found), len(attempts), sum(each.amount_minor for each in attempts))

    return in_transaction(act)


def midnight(day: date, shop: Shop) -> datetime:
    """The instant at which a day of the shop begins."""
    return datetime.fromtimestamp(at_local(day, 0, shop.time_zone), UTC)


def _paused_until(plan: str, paused: list[Suspension]) -> datetime | None:
    return max((each.until for each in paused if each.plans is None or plan in each.plans), default=None)


_INSERT: Final = """
INSERT INTO autopay_attempt (customer_id, attempt_id, shop_id, contract_id, mandate_id, day, due_on, first_on, try, due_minor,
                             amount_minor, currency, asked_at, state, act_at)
SELECT u.customer_id, u.attempt_id, %s, u.contract_id, u.mandate_id, %s, u.due_on::date[], u.first_on, u.try, u.due_minor,
       u.amount_minor, u.currency, %s, %s, %s
  FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::date[], %s::smallint[], %s::bigint[], %s::bigint[],
              %s::text[])
       AS u (customer_id, attempt_id, contract_id, mandate_id, due_on, first_on, try, due_minor, amount_minor, currency)
"""


def _write(shop: Shop, attempts: Sequence[_Attempt], today: date, at: datetime, way: collectors.Way) -> None:
    if not attempts:
        return
    # By webhook the message is the ask: what is left to do is to find out, should nothing be said.
    state, act_at = ("sent", at + FIRST_QUERY) if way == "webhook" else ("asked", at)
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                shop.id,
                today,
                at,
                state,
                act_at,
                array_of(each.found.customer_id for each in attempts),
                array_of(each.name for each in attempts),
                array_of(each.found.contract_id for each in attempts),
                array_of(each.found.mandate_id for each in attempts),
                array_of_texts(array_of(each.due_on) for each in attempts),
                array_of(each.found.first_on for each in attempts),
                array_of(each.found.tries + 1 for each in attempts),
                array_of(each.due_minor for each in attempts),
                array_of(each.amount_minor for each in attempts),
                array_of_texts(each.found.currency for each in attempts),
            ],
        )
    if way == "webhook":
        enqueue_many(
            shop, collectors.ASKED, [(each.found.customer_id, _payload(each, today)) for each in attempts], at
        )


def _payload(each: _Attempt, today: date) -> dict[str, Any]:
    found = each.found
    assert found.mandate_id is not None
    return {
        "attempt_id": public_id("aa", found.customer_id, each.name),
        "mandate_id": public_id("mn", found.customer_id, found.mandate_id),
        "contract_id": public_id("ct", *found.key),
        "order_ref": found.order_ref,
        "tool": {"token": found.token, "brand": found.brand, "last4": found.last4},
        "amount_minor": each.amount_minor,
        "due_minor": each.due_minor,
        "currency": found.currency,
        "day": today.isoformat(),
        "due_on": [on.isoformat() for on in each.due_on],
        "try": found.tries + 1,
    }


_LEAVE: Final = f"DELETE FROM autopay_due WHERE {BY_KEY}"
_PUT_OFF: Final = f"""
UPDATE autopay_due AS d SET ask_at = u.ask_at, first_on = u.first_on,
       tries = CASE WHEN u.first_on > d.first_on THEN 0 ELSE d.tries END
  FROM unnest(%s::uuid[], %s::timestamptz[], %s::date[]) AS u (contract, ask_at, first_on)
 WHERE contract_id = u.contract AND {BY_KEY}
"""


def _leave(keys: list[tuple[UUID, UUID]]) -> None:
    if keys:
        with connection.cursor() as cursor:
            cursor.execute(
                _LEAVE,
                [array_of(first for first, _ in keys), array_of(second for _, second in keys)],
            )


def _put_off(later: list[tuple[_Found, datetime, date]]) -> None:
    if later:
        with connection.cursor() as cursor:
            cursor.execute(
                _PUT_OFF,
                [
                    contracts := array_of(each.contract_id for each, _, _ in later),
                    array_of(at for _, at, _ in later),
                    array_of(on for _, _, on in later),
                    array_of(each.customer_id for each, _, _ in later),
                    contracts,
                ],
            )
