"""Putting reminders into the queue: each contract and stage once, several of one customer in one message.

A notice and the message that will carry it are written in the transaction that gave the reason. The message is due when people are awake, and
until it is taken up everything new about its customer goes with it. Where nobody can be reached (no program listens, and there is no
address, or its owner refused) nothing is queued.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date
from fenqi_server.db import array_of, array_of_texts, use_shop
from fenqi_server.ids import uuid7s
from fenqi_server.outbox.service import listening
from fenqi_server.shops.models import Shop
from fenqi_server.subscriptions.ports import offered
from fenqi_server.subscriptions.quiet import awake_at

__all__ = ["EVENT", "Notice", "Reach", "Stage", "queue", "reach_of"]

EVENT: Final = "reminder.due"
GATHER: Final = timedelta(minutes=2)
"""How long a message waits for what else there is to tell its customer."""

Stage = Literal["before", "due", "late", "autopay_failed", "paid_off", "closed", "term_ends"]


class Notice(msgspec.Struct, frozen=True):
    """One thing to tell about one contract. `about` is what tells it from another of its stage."""

    customer_id: UUID
    contract_id: UUID
    stage: Stage
    about: str
    due_on: date | None = None


class Reach(msgspec.Struct, frozen=True):
    """Who could be told at all: a program of the shop's, and people by mail."""

    webhook: bool
    mail: bool

    def __bool__(self) -> bool:
        return self.webhook or self.mail


def reach_of(shop: Shop) -> Reach:
    """Whom reminders of the shop can reach now."""
    return Reach(bool(listening(shop, EVENT)), offered("email"))


_NOTICES: Final = """
INSERT INTO reminders_notice (customer_id, contract_id, stage, about, shop_id, due_on, day, queued_at)
SELECT u.customer_id, u.contract_id, u.stage, u.about, %s, u.due_on, %s, %s
  FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::date[]) AS u (customer_id, contract_id, stage, about, due_on)
 WHERE %s OR (EXISTS (SELECT FROM customers_private AS p WHERE p.customer_id = u.customer_id AND p.email <> '')
              AND NOT EXISTS (SELECT FROM reminders_wish AS w
                               WHERE w.customer_id = u.customer_id AND w.refused_at IS NOT NULL))
ON CONFLICT DO NOTHING RETURNING customer_id
"""
# Locks the message that waits: whoever would take it up comes after this transaction, and finds what it added.
_MESSAGES: Final = """
INSERT INTO reminders_message AS m (customer_id, id, shop_id, created_at, due_at)
SELECT u.customer_id, u.id, %s, %s, %s FROM unnest(%s::uuid[], %s::uuid[]) AS u (customer_id, id)
ON CONFLICT (customer_id) WHERE attempt = 0 DO UPDATE SET due_at = least(m.due_at, excluded.due_at)
"""


def queue(shop: Shop, notices: Sequence[Notice], at: datetime, reach: Reach | None = None) -> int:
    """Queue what was not queued before, in the caller's transaction; how many were new."""
    if not notices:
        return 0
    reach = reach_of(shop) if reach is None else reach
    if not reach:
        return 0
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            _NOTICES,
            [
                shop.id,
                local_date(at, shop.time_zone),
                at,
                array_of(each.customer_id for each in notices),
                array_of(each.contract_id for each in notices),
                array_of_texts(each.stage for each in notices),
                array_of_texts(each.about for each in notices),
                array_of(each.due_on for each in notices),
                reach.webhook,
            ],
        )
        new = [row[0] for row in cursor.fetchall()]
        if new:
            # In one order everywhere, so that two who queue never wait for each other.
            customers = sorted(set(new))
            cursor.execute(
                _MESSAGES,
                [
                    shop.id,
                    at,
                    awake_at(at + GATHER, shop.time_zone),
                    array_of(customers),
                    array_of(uuid7s(at, len(customers))),
                ],
            )
    return len(new)
