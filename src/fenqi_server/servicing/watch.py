"""Contracts with something due or late: looked at on the days on which something follows from it.

When a row's date comes and it is not paid, its contract is put here with the next day that matters: a stage of being late, the end of the
days of grace, or the day itself where more than its reminder may follow from it. A look tells what is to be told, charges what being late was agreed to cost, and sets the next
day, or lets the contract go. Payments touch none of it. How late a contract is is never stored: it follows from its open rows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date, to_epoch
from fenqi.contracts.delinquency import penalty_due
from fenqi.contracts.events import Charged
from fenqi_server.db import BY_KEY, array_of, in_transaction, read_by_index, use_shop
from fenqi_server.ids import public_id
from fenqi_server.reminders.queueing import Notice, Reach, queue
from fenqi_server.reminders.rules import Rules
from fenqi_server.servicing import acts, storage
from fenqi_server.shops.models import Shop

__all__ = ["CHUNK", "Looked", "Watched", "begin", "look_chunk"]

log = logging.getLogger(__name__)

CHUNK: Final = 500
CHARGE_EVERY: Final = timedelta(days=30)
"""Beyond the last stage, what being late costs is charged this often."""


class Watched(msgspec.Struct, frozen=True):
    """A contract of which a row came due and which owes something: `since` when. `grace_days` is None where being late costs nothing."""

    customer_id: UUID
    contract_id: UUID
    grace_days: int | None
    since: date


class Looked(msgspec.Struct):
    """What a chunk of looks did."""

    looked_at: int = 0
    reminders: int = 0
    charges: int = 0
    charged_minor: int = 0
    failed: list[str] = []


_BEGIN: Final = """
INSERT INTO servicing_watch AS w (customer_id, contract_id, shop_id, look_on, grace_days)
SELECT u.customer_id, u.contract_id, %s, u.look_on, u.grace_days
  FROM unnest(%s::uuid[], %s::uuid[], %s::date[], %s::smallint[]) AS u (customer_id, contract_id, look_on, grace_days)
ON CONFLICT (customer_id, contract_id) DO UPDATE
   SET look_on = least(w.look_on, excluded.look_on), grace_days = excluded.grace_days
"""


def begin(
    shop: Shop, contracts: Sequence[Watched], day: date, rules: Rules, reach: Reach, at: datetime
) -> int:
    """Watch these contracts, of which a row came due on `day`, in the caller's transaction; how many reminders were queued.

    Where nothing is older, nothing but its reminder follows from the day itself: that is queued here, if the day is today.
    """
    further = [day + timedelta(days=rules.late_days[0])] if reach and rules.late_days else []
    remind = bool(reach) and rules.on_due
    is_today = day == local_date(at, shop.time_zone)
    notices: list[Notice] = []
    rows: list[tuple[Watched, date]] = []
    for each in contracts:
        days = list(further)
        if remind and is_today and each.since == day:
            notices.append(Notice(each.customer_id, each.contract_id, "due", str(day), day))
        elif remind:
            days.append(day)
        if each.grace_days is not None:
            days.append(day + timedelta(days=each.grace_days + 1))
        if days:
            rows.append((each, min(days)))
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(
                _BEGIN,
                [
                    shop.id,
                    array_of(each.customer_id for each, _ in rows),
                    array_of(each.contract_id for each, _ in rows),
                    array_of(on for _, on in rows),
                    array_of(each.grace_days for each, _ in rows),
                ],
            )
    return queue(shop, notices, at, reach)


_TO_CHARGE: Final = """
SELECT customer_id, contract_id FROM servicing_watch WHERE shop_id = %s AND look_on <= %s AND grace_days IS NOT NULL
 ORDER BY look_on LIMIT %s
"""
_LOOK: Final = """
WITH w AS MATERIALIZED (
    SELECT customer_id, contract_id, grace_days FROM servicing_watch AS w
     WHERE w.shop_id = %s AND w.look_on <= %s AND (w.grace_days IS NULL OR w.contract_id = ANY (%s::uuid[]))
     ORDER BY w.look_on LIMIT %s
       FOR NO KEY UPDATE OF w SKIP LOCKED)
SELECT w.customer_id, w.contract_id, w.grace_days, CASE WHEN s.status = 'active' THEN s.open_due_on[1] END, %s = ANY (s.open_due_on)
  FROM w JOIN servicing_state AS s USING (customer_id, contract_id)
"""


def look_chunk(shop: Shop, rules: Rules, reach: Reach, at: datetime) -> Looked:
    """Look at up to `CHUNK` contracts whose day has come. Where none is looked at, none waits."""
    today = local_date(at, shop.time_zone)
    done = Looked()
    bad: list[tuple[UUID, UUID, date]] = []
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(_TO_CHARGE, [shop.id, today, CHUNK])
        charged = [(customer_id, contract_id) for customer_id, contract_id in cursor.fetchall()]
    # Each in a transaction of its own, before anything of the queue is held: contracts are locked first, everywhere.
    for customer_id, contract_id in charged:
        try:
            minor = in_transaction(
                lambda customer_id=customer_id, contract_id=contract_id: _charge(
                    shop, customer_id, contract_id, today, at
                )
            )
        except Exception:
            name = public_id("ct", customer_id, contract_id)
            log.exception("what being late costs could not be charged to contract %s", name)
            done.failed.append(name)
            bad.append((customer_id, contract_id, today + timedelta(days=1)))
            continue
        done.charges += minor > 0
        done.charged_minor += minor

    def act() -> tuple[int, int]:
        use_shop(shop.id)
        read_by_index()
        _put_off(bad)
        with connection.cursor() as cursor:
            cursor.execute(
                _LOOK, [shop.id, today, array_of(contract_id for _, contract_id in charged), CHUNK, today]
            )
            found = cursor.fetchall()
        notices: list[Notice] = []
        gone: list[tuple[UUID, UUID]] = []
        later: list[tuple[UUID, UUID, date]] = []
        for customer_id, contract_id, grace_days, since, due_today in found:
            if since is None or since > today:
                gone.append((customer_id, contract_id))
                continue
            late = (today - since).days
            days: list[date] = []
            if rules.on_due and due_today:
                notices.append(Notice(customer_id, contract_id, "due", str(today), today))
            if late and (stage := rules.late_stage(late)) is not None:
                notices.append(Notice(customer_id, contract_id, "late", f"{since}:{stage}", since))
            if (further := rules.next_late(late)) is not None:
                days.append(since + timedelta(days=further))
            if grace_days is not None:
                over = since + timedelta(days=grace_days + 1)
                days.append(over if over > today else today + CHARGE_EVERY)
            if days:
                later.append((customer_id, contract_id, min(days)))
            else:
                gone.append((customer_id, contract_id))
        queued = queue(shop, notices, at, reach)
        _leave(gone)
        _put_off(later)
        return len(found), queued

    done.looked_at, done.reminders = in_transaction(act)
    return done


def _charge(shop: Shop, customer_id: UUID, contract_id: UUID, today: date, at: datetime) -> int:
    """What being late has cost by today and was not charged yet; how much was charged now."""
    use_shop(shop.id)
    stored = storage.load_for_update(customer_id, contract_id)
    if stored is None or stored.terms.late is None:
        return 0
    state = stored.latest(today)
    charge_id = f"{acts.LATE_CHARGE}{today}"
    if (
        state.status != "active"
        or (state.paused_until is not None and today < state.paused_until)
        or any(isinstance(event, Charged) and event.charge_id == charge_id for event in stored.events)
    ):
        return 0
    minor = penalty_due(stored.terms, stored.events, today)
    if minor <= 0:
        return 0
    event = Charged(
        seq=len(stored.events) + 1,
        occurred_on=today,
        recorded_at=to_epoch(at),
        charge_id=charge_id,
        part="penalty",
        amount_minor=minor,
        due_on=today,
        code=stored.terms.late.code,
    )
    after = storage.append(stored, [event], at, today)
    acts.tell(shop, stored, event, after, at)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO servicing_close_run AS r (shop_id, day, started_at, contracts, due_rows, at_once, earned_minor,"
            " worked_ms, late_charges, late_charged_minor) VALUES (%s, %s, %s, 0, 0, 0, 0, 0, 1, %s)"
            " ON CONFLICT (shop_id, day) DO UPDATE SET late_charges = r.late_charges + 1,"
            " late_charged_minor = r.late_charged_minor + excluded.late_charged_minor",
            [shop.id, today, at, minor],
        )
    return minor


_LEAVE: Final = f"DELETE FROM servicing_watch WHERE {BY_KEY}"
_PUT_OFF: Final = f"""
UPDATE servicing_watch SET look_on = u.later FROM unnest(%s::uuid[], %s::date[]) AS u (contract, later)
 WHERE contract_id = u.contract AND {BY_KEY}
"""


def _leave(keys: list[tuple[UUID, UUID]]) -> None:
    if keys:
        with connection.cursor() as cursor:
            cursor.execute(
                _LEAVE,
                [array_of(first for first, _ in keys), array_of(second for _, second in keys)],
            )


def _put_off(later: list[tuple[UUID, UUID, date]]) -> None:
    if later:
        with connection.cursor() as cursor:
            cursor.execute(
                _PUT_OFF,
                [
                    contracts := array_of(second for _, second, _ in later),
                    array_of(on for *_, on in later),
                    array_of(first for first, _, _ in later),
                    contracts,
                ],
            )
