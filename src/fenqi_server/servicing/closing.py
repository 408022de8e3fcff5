"""Closing a day: every due date that has come is recorded, and what it earns is booked.

What is due is found by an index, and done in chunks, each a short transaction that holds only contracts nobody else holds
(`SKIP LOCKED`): several workers share a day, none waits for a payment, and one that is killed leaves whole chunks behind.
In a chunk, the contracts whose consequence can be read off (`fenqi_server.servicing.at_once`) are written together; each of the
others is replayed in a transaction of its own. Days that were missed come first, under their own dates.

Each day's run is a record, counted in the same transactions. A contract that cannot be done is recorded with what is
wrong, keeps no other from its day, and is tried again. How late a contract is follows from its open rows on any day: nothing
is aged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date, to_epoch
from fenqi.ledger.accounts import CHART
from fenqi.problems import BadInput
from fenqi_server.autopay import asking
from fenqi_server.autopay.asking import Asked
from fenqi_server.autopay.attempts import DaySums, sums_of
from fenqi_server.db import array_of, in_transaction, read_by_index, use_shop
from fenqi_server.ids import public_id
from fenqi_server.reminders import coming, ending
from fenqi_server.reminders.queueing import Reach, reach_of
from fenqi_server.reminders.rules import Rules, queued_on, rules_of
from fenqi_server.servicing import at_once, storage, watch
from fenqi_server.servicing.at_once import Found
from fenqi_server.servicing.service import DueReport, reached_by
from fenqi_server.servicing.watch import Looked, Watched
from fenqi_server.shops.models import Shop

__all__ = ["CHUNK", "Failure", "Run", "close_day", "failures_of", "run_due", "runs_of"]

log = logging.getLogger(__name__)

CHUNK: Final = 500
"""How many contracts one transaction holds. A payment for one of them waits until it is done."""
CHUNKS_A_ROUND: Final = 20
RETRY_AFTER: Final = timedelta(hours=1)
MAX_DETAIL: Final = 500


Told = tuple[Rules, Reach]
"""When the shop reminds, and whom that can reach: read once for a run."""


class Run(msgspec.Struct, frozen=True):
    """One day's run. `at_once` of the `contracts` were written together; `failed` could not be done yet.

    `asked` is what was asked for by mandate on the day, with what became of it by now; None where nothing was.
    """

    day: date
    started_at: datetime
    ended_at: datetime | None
    contracts: int
    due_rows: int
    at_once: int
    earned_minor: int
    worked_ms: int
    failed: int
    late_charges: int = 0
    late_charged_minor: int = 0
    asked: DaySums | None = None
    reminders: int = 0


class Failure(msgspec.Struct, frozen=True):
    """A contract that a day's run could not do. `kind` says what to do about it.

    `refused`: its events, terms or book do not fit each other, and somebody has to look; `broken`: the program or the
    database failed, and it may well succeed when it is tried again.
    """

    day: date
    contract_id: str
    kind: Literal["refused", "broken"]
    problem: str
    detail: str
    tries: int
    failed_at: datetime
    retry_at: datetime


class _Done(msgspec.Struct):
    """What a chunk did. `busy` are contracts that somebody else holds; where it is not `full`, it found all that was free."""

    full: bool = False
    contracts: int = 0
    rows: int = 0
    reminders: int = 0
    failed: list[UUID] = []
    names: list[str] = []
    busy: list[UUID] = []


def close_day(
    shop: Shop, on: date, at: datetime, *, chunks: int | None = None, retry: bool = True
) -> DueReport:
    """Close every day up to `on` that has something due. Contracts with nothing due are not touched.

    A run that was stopped goes on where it was, several may run at once, and a second one finds nothing to do. A contract
    that somebody else holds is left to the next run. `chunks` bounds how much is done; without `retry`, contracts that failed
    within the hour are not tried again. Raises `fenqi.problems.BadInput` where `on` has not come.
    """
    today = local_date(at, shop.time_zone)
    if on > today:
        raise BadInput("on", on.isoformat(), f"{today} or before", "a day is run when it has come")
    contracts = rows = 0
    asked = Asked()
    looked = Looked()
    use_shop(shop.id)
    told = (rules_of(shop), reach_of(shop))
    left_out: list[UUID] = []
    failed: list[str] = []
    ran: date | None = None
    passed = date.min
    day: date | None = None
    full = False
    while chunks is None or chunks > 0:
        use_shop(shop.id)
        # After a full chunk there is most likely more of the day; sought anew for each, it is sought past all that was just done.
        if not full:
            day = _next_day(shop, on, at, left_out, passed, retry=retry)
        if day is None:
            break
        if ran is not None and ran != day:
            _end(shop, ran, at)
        ran = day
        done = _chunk(shop, day, at, today, told, left_out, retry=retry)
        contracts += done.contracts
        rows += done.rows
        looked.reminders += done.reminders
        left_out += done.failed + done.busy
        failed += done.names
        if not (done.contracts or done.failed or done.busy) and not full:
            passed = day  # all that is left of it is held by others
        full = done.full
        if chunks is not None:
            chunks -= 1
    else:
        return DueReport(contracts, rows, tuple(failed), reminders=looked.reminders)
    if ran is not None and ran != on:
        _end(shop, ran, at)
    while chunks is None or chunks > 0:
        part = asking.ask_chunk(shop, at)
        asked.attempts += part.attempts
        asked.amount_minor += part.amount_minor
        if part.looked_at < asking.CHUNK:
            break
        if chunks is not None:
            chunks -= 1
    while chunks is None or chunks > 0:
        look = watch.look_chunk(shop, *told, at)
        looked.reminders += look.reminders
        looked.charges += look.charges
        looked.charged_minor += look.charged_minor
        failed += look.failed
        if look.looked_at < watch.CHUNK:
            break
        if chunks is not None:
            chunks -= 1
    while told[1] and (chunks is None or chunks > 0):
        queued = coming.search(shop, *told, at)
        if queued is None:
            break
        looked.reminders += queued
        if chunks is not None:
            chunks -= 1
    while told[1] and (chunks is None or chunks > 0):
        queued = ending.search(shop, told[1], at)
        if queued is None:
            break
        looked.reminders += queued
        if chunks is not None:
            chunks -= 1
    if chunks is None or chunks > 0:
        _end(shop, on, at)
    return DueReport(
        contracts,
        rows,
        tuple(failed),
        asked.attempts,
        asked.amount_minor,
        looked.reminders,
        looked.charges,
        looked.charged_minor,
    )


def run_due(now: datetime) -> int:
    """Close what is to be closed in every shop, up to that shop's day: how many rows came due. A job for the worker."""
    reports = [
        close_day(shop, local_date(now, shop.time_zone), now, chunks=CHUNKS_A_ROUND, retry=False)
        for shop in Shop.objects.all()
    ]
    return sum(report.rows for report in reports)


# What failed within the hour waits, unless it is asked for.
_WAITING: Final = """
SELECT FROM servicing_close_failure AS f
 WHERE f.customer_id = s.customer_id AND f.contract_id = s.contract_id AND f.resolved_at IS NULL AND f.retry_at > %s
"""
_DUE: Final = f"""
  FROM servicing_state AS s
 WHERE s.shop_id = %s AND s.next_due_on > %s AND s.next_due_on <= %s AND s.contract_id <> ALL(%s::uuid[])
   AND (%s OR NOT EXISTS ({_WAITING}))
"""


def _next_day(
    shop: Shop, on: date, at: datetime, left_out: list[UUID], passed: date, *, retry: bool
) -> date | None:
    """The first day that something is due on."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT s.next_due_on {_DUE} ORDER BY s.next_due_on LIMIT 1",
            [shop.id, passed, on, left_out, retry, at],
        )
        row = cursor.fetchone()
    return row[0] if row else None


# What is due first, by its index, and then the terms: joined in one, a day that is a large share of all contracts is sought among
# all of them, again for each chunk.
_CHUNK: Final = f"""
WITH s AS MATERIALIZED (
    SELECT s.* FROM servicing_state AS s
     WHERE s.shop_id = %s AND s.next_due_on = %s AND s.contract_id <> ALL(%s::uuid[]) AND (%s OR NOT EXISTS ({_WAITING}))
     LIMIT %s
       FOR NO KEY UPDATE OF s SKIP LOCKED)
SELECT {at_once.COLUMNS}
  FROM s JOIN servicing_contract AS c USING (customer_id, contract_id)
"""


def _chunk(
    shop: Shop, day: date, at: datetime, today: date, told: Told, left_out: list[UUID], *, retry: bool
) -> _Done:
    """Up to `CHUNK` contracts: those that can be read off together, then the others one by one."""
    began = time.monotonic()
    done = _Done()
    others: list[tuple[UUID, UUID]] = []

    def act() -> tuple[int, int, int, list[tuple[UUID, UUID]]]:
        use_shop(shop.id)
        others.clear()
        read_by_index()
        with connection.cursor() as cursor:
            cursor.execute(_CHUNK, [shop.id, day, left_out, retry, at, CHUNK])
            found = [Found(*row) for row in cursor.fetchall()]
        if not found:
            return 0, 0, 0, []
        others.extend((each.customer_id, each.contract_id) for each in found)
        done.full = len(found) == CHUNK
        events = at_once.events_of(found)
        reached = [
            read
            for each in found
            if (read := at_once.read_off(each, events.get(each.contract_id), day)) is not None
        ]
        reminders = 0
        if reached:
            at_once.write(shop.id, reached, at)
            _resolve(
                [each.found.contract_id for each in reached], [each.found.customer_id for each in reached], at
            )
            reminders = _follow_up(
                shop,
                [
                    Watched(
                        each.found.customer_id,
                        each.found.contract_id,
                        each.grace_days,
                        each.found.open_due_on[0],
                    )
                    for each in reached
                    # A due date that comes leaves open what was open.
                    if each.found.status == "active"
                    and each.found.open_due_on
                    and each.found.open_due_on[0] <= day
                ],
                day,
                at,
                told,
            )
            _count(
                shop,
                day,
                at,
                contracts=len(reached),
                rows=sum(len(each.events) for each in reached),
                at_once=len(reached),
                earned=sum(each.earned_minor for each in reached),
                milliseconds=_since(began),
            )
        written = {each.found.contract_id for each in reached}
        rest = [key for key in others if key[1] not in written]
        return len(reached), sum(len(each.events) for each in reached), reminders, rest

    try:
        done.contracts, done.rows, done.reminders, rest = in_transaction(act)
    except Exception:
        if not others:
            raise
        # Nothing of it was written; one by one it shows whose fault it is.
        log.exception("%d contracts could not be closed together", len(others))
        rest = others
    for customer_id, contract_id in rest:
        _alone(shop, customer_id, contract_id, day, at, today, told, done)
    return done


def _alone(
    shop: Shop,
    customer_id: UUID,
    contract_id: UUID,
    day: date,
    at: datetime,
    today: date,
    told: Told,
    done: _Done,
) -> None:
    """One contract, by replay, in a transaction of its own."""
    began = time.monotonic()

    def act() -> tuple[int, int] | None:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT FROM servicing_state WHERE customer_id = %s AND contract_id = %s AND next_due_on <= %s"
                " FOR NO KEY UPDATE SKIP LOCKED",
                [customer_id, contract_id, day],
            )
            if cursor.fetchone() is None:
                return None
        rows, earned, grace_days = _reach(customer_id, contract_id, day, at, today)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT open_due_on[1] FROM servicing_state WHERE customer_id = %s AND contract_id = %s"
                " AND status = 'active' AND open_due_on[1] <= %s",
                [customer_id, contract_id, day],
            )
            owing = [Watched(customer_id, contract_id, grace_days, since) for (since,) in cursor.fetchall()]
        reminders = _follow_up(shop, owing, day, at, told)
        _resolve([contract_id], [customer_id], at)
        _count(shop, day, at, contracts=1, rows=rows, at_once=0, earned=earned, milliseconds=_since(began))
        return rows, reminders

    try:
        written = in_transaction(act)
    except Exception as problem:
        # One contract that cannot be done must not keep the others from their day.
        name = public_id("ct", customer_id, contract_id)
        log.exception("the day %s of contract %s could not be closed", day, name)
        in_transaction(lambda problem=problem: _fail(shop, customer_id, contract_id, day, at, problem))
        done.failed.append(contract_id)
        done.names.append(name)
        return
    if written is None:
        done.busy.append(contract_id)
        return
    rows, reminders = written
    done.contracts += 1
    done.rows += rows
    done.reminders += reminders


def _follow_up(shop: Shop, owing: Sequence[Watched], day: date, at: datetime, told: Told) -> int:
    """What follows for contracts that owe something on their due date, in the caller's transaction; how many reminders were queued."""
    asking.queue(shop, [(each.customer_id, each.contract_id) for each in owing], day, at)
    return watch.begin(shop, owing, day, *told, at)


def _reach(
    customer_id: UUID, contract_id: UUID, day: date, at: datetime, today: date
) -> tuple[int, int, int | None]:
    """Let the due dates of one contract come; how many, what they earned, and the days of grace before being late costs."""
    stored = storage.load_for_update(customer_id, contract_id)
    new = reached_by(day, stored, to_epoch(at), after=len(stored.events)) if stored else []
    if stored is None or not new:
        raise RuntimeError("the cached row names a due date that does not follow from terms and events")
    before = _income(stored.booked)
    storage.append(stored, new, at, today)
    late = stored.terms.late
    return len(new), _income(stored.booked) - before, None if late is None else late.grace_days


def _income(booked: dict[int, int]) -> int:
    return -sum(minor for account, minor in booked.items() if CHART[account].account_class == "income")


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


# ----------------------------------------------------------------------------------------------------- the record


def _count(
    shop: Shop,
    day: date,
    at: datetime,
    *,
    contracts: int,
    rows: int,
    at_once: int,
    earned: int,
    milliseconds: int,
) -> None:
    """Add to the day's record. Last in its transaction: other workers wait here for it to end."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO servicing_close_run AS r (shop_id, day, started_at, contracts, due_rows, at_once, earned_minor,"
            " worked_ms) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (shop_id, day) DO UPDATE SET ended_at = NULL, contracts = r.contracts + excluded.contracts,"
            " due_rows = r.due_rows + excluded.due_rows, at_once = r.at_once + excluded.at_once,"
            " earned_minor = r.earned_minor + excluded.earned_minor, worked_ms = r.worked_ms + excluded.worked_ms",
            [shop.id, day, at, contracts, rows, at_once, earned, milliseconds],
        )


def _end(shop: Shop, day: date, at: datetime) -> None:
    """Say that a day is closed, if nothing is left of it but what failed. A day is closed once."""

    def act() -> None:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT FROM servicing_close_run WHERE shop_id = %s AND day = %s AND ended_at IS NOT NULL",
                [shop.id, day],
            )
            if cursor.fetchone() is not None:
                return
            cursor.execute(
                "SELECT FROM servicing_state AS s WHERE s.shop_id = %s AND s.next_due_on <= %s AND NOT EXISTS ("
                " SELECT FROM servicing_close_failure AS f WHERE f.customer_id = s.customer_id"
                " AND f.contract_id = s.contract_id AND f.resolved_at IS NULL) ORDER BY s.next_due_on LIMIT 1",
                [shop.id, day],
            )
            if cursor.fetchone() is not None:
                return
            cursor.execute(
                "INSERT INTO servicing_close_run (shop_id, day, started_at, ended_at, contracts, due_rows, at_once,"
                " earned_minor, worked_ms) VALUES (%s, %s, %s, %s, 0, 0, 0, 0, 0)"
                " ON CONFLICT (shop_id, day) DO UPDATE SET ended_at = excluded.ended_at",
                [shop.id, day, at, at],
            )

    in_transaction(act)


def _fail(
    shop: Shop, customer_id: UUID, contract_id: UUID, day: date, at: datetime, problem: Exception
) -> None:
    # A failed statement's values may be a customer's; what the engine refuses names dates and amounts of its events.
    detail = str(problem)[:MAX_DETAIL] if isinstance(problem, BadInput) else ""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO servicing_close_failure AS f (customer_id, contract_id, day, shop_id, problem, detail, tries,"
            " failed_at, retry_at) VALUES (%s, %s, %s, %s, %s, %s, 1, %s, %s)"
            " ON CONFLICT (customer_id, contract_id, day) DO UPDATE SET problem = excluded.problem,"
            " detail = excluded.detail, tries = f.tries + 1, failed_at = excluded.failed_at,"
            " retry_at = excluded.retry_at, resolved_at = NULL",
            [customer_id, contract_id, day, shop.id, type(problem).__name__, detail, at, at + RETRY_AFTER],
        )


def _resolve(contracts: Sequence[UUID], customers: Sequence[UUID], at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE servicing_close_failure AS f SET resolved_at = %s"
            "  FROM unnest(%s::uuid[], %s::uuid[]) AS u (customer_id, contract_id)"
            " WHERE f.customer_id = u.customer_id AND f.contract_id = u.contract_id AND f.resolved_at IS NULL",
            [at, array_of(customers), array_of(contracts)],
        )


def runs_of(shop: Shop, *, before: date | None = None, limit: int = 31) -> list[Run]:
    """The runs of a shop's days, the newest day first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.day, r.started_at, r.ended_at, r.contracts, r.due_rows, r.at_once, r.earned_minor, r.worked_ms,"
            "       (SELECT count(*) FROM servicing_close_failure AS f"
            "         WHERE f.shop_id = r.shop_id AND f.day = r.day AND f.resolved_at IS NULL),"
            "       r.late_charges, r.late_charged_minor"
            "  FROM servicing_close_run AS r WHERE r.shop_id = %s AND r.day < %s ORDER BY r.day DESC LIMIT %s",
            [shop.id, before or date.max, limit],
        )
        runs = [Run(*row) for row in cursor.fetchall()]
    # What became of what was asked for is known later, and is counted where it is written: no run is held for it.
    days = [run.day for run in runs]
    asked, queued = sums_of(shop, days), queued_on(shop, days)
    return [
        msgspec.structs.replace(run, asked=asked.get(run.day), reminders=queued.get(run.day, 0))
        for run in runs
    ]


def failures_of(shop: Shop, *, limit: int = 100) -> list[Failure]:
    """The contracts that could not be done yet, the oldest day first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT day, customer_id, contract_id, problem, detail, tries, failed_at, retry_at"
            "  FROM servicing_close_failure WHERE shop_id = %s AND resolved_at IS NULL"
            " ORDER BY day, customer_id, contract_id LIMIT %s",
            [shop.id, limit],
        )
        return [
            Failure(
                day,
                public_id("ct", customer_id, contract_id),
                "refused" if detail else "broken",
                problem,
                detail,
                tries,
                failed_at,
                retry_at,
            )
            for day, customer_id, contract_id, problem, detail, tries, failed_at, retry_at in cursor.fetchall()
        ]
