"""Months of the book, and closing them for good.

A month is closed once: then nothing more is booked in it, its trial balance stands written down, and what is put right later is
booked on the day on which it is put right. Months close in order, each after its end.

Closing never makes a payment wait, and still lets none slip into what is closed:

1. `begin` writes the month down and commits. Every posting asks in its own statement which day is open, so each that begins
   from now on counts to a later day.
2. `finish` waits for the transactions that were adding to the book at that moment: their statements may have looked before.
   There are few, and they are short.
3. What must hold is looked at: the whole book's proof, and that no due date of the month was left. Where something stands in
   the way the month is open again, and the answer names it. Otherwise the trial balance is written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
from django.db import connection

from fenqi.calendars import local_date
from fenqi.problems import BadInput, Problem
from fenqi_server.books import proofs
from fenqi_server.books.proof import prove_shop
from fenqi_server.books.reading import Balance, trial_balance, trial_digest
from fenqi_server.days import checked
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import public_id
from fenqi_server.policies import audit
from fenqi_server.servicing import month_end
from fenqi_server.shops.models import Shop

__all__ = [
    "CloseRefused",
    "Period",
    "begin",
    "close",
    "finish",
    "finish_due",
    "next_period",
    "parse_period",
    "periods",
]

WAIT_SECONDS: Final = 30.0
MAX_LEFT: Final = 20


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A month of the book that is closed, or is being closed (`closed_at` is None).

    `balances` is the trial balance on its last day, of everything booked until then; `digest` is over it, see
    `reading.trial_digest`; `transactions` counts those of the month.
    """

    first_on: date
    last_on: date
    begun_at: datetime
    begun_by: str
    closed_at: datetime | None
    transactions: int | None
    balances: tuple[Balance, ...]
    digest: str | None

    @property
    def name(self) -> str:
        return f"{self.first_on:%Y-%m}"


class CloseRefused(Exception):
    """The month stays open: `problems` stand in the way."""

    def __init__(self, period: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(
            f"{period} stays open: " + "; ".join(problem.sentence for problem in problems[:MAX_LEFT])
        )
        self.period = period
        self.problems = problems


def parse_period(text: str, place: str = "period") -> tuple[date, date]:
    """The first and the last day of a month written `2026-11`. Raises `fenqi.problems.BadInput`.

    >>> parse_period("2026-11")
    (datetime.date(2026, 11, 1), datetime.date(2026, 11, 30))
    """
    year, dash, month = text.partition("-")
    if not (
        dash and len(year) == 4 and len(month) == 2 and (year + month).isascii() and (year + month).isdigit()
    ):
        raise BadInput(place, text, "a month such as 2026-11")
    try:
        first_on = checked(date(int(year), int(month), 1))
    except ValueError:
        raise BadInput(place, text, "a month such as 2026-11") from None
    return first_on, _end_of(first_on)


def _end_of(on: date) -> date:
    return (on.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


_COLUMNS: Final = "first_on, last_on, begun_at, begun_by, closed_at, transactions, balances, digest"
_balances: Final[msgspec.json.Decoder[tuple[tuple[str, int, int, int], ...]]] = msgspec.json.Decoder(
    tuple[tuple[str, int, int, int], ...]
)


def periods(shop: Shop) -> tuple[Period, ...]:
    """The months that are closed or being closed, the newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM books_period WHERE shop_id = %s ORDER BY last_on DESC", [shop.id]
        )
        return tuple(_period(row) for row in cursor.fetchall())


def next_period(shop: Shop) -> tuple[date, date] | None:
    """The first and the last day of the month that closes next; None while nothing is booked."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce((SELECT max(last_on) + 1 FROM books_period WHERE shop_id = %(shop)s),"
            " (SELECT min(booked_on) FROM books_transaction WHERE shop_id = %(shop)s))",
            {"shop": shop.id},
        )
        (day,) = cursor.fetchone()
    return None if day is None else (day.replace(day=1), _end_of(day))


def begin(shop: Shop, period: str, actor: str, at: datetime) -> Period:
    """Let nothing more be booked in a month; `finish` then closes it, or opens it again.

    Beginning twice is beginning once. Raises `fenqi.problems.BadInput` where it is not the month that closes next, or is
    not over.
    """
    first_on, last_on = parse_period(period)

    def act() -> Period:
        # In this order: whoever else begins it in between is found.
        following = next_period(shop)
        found = _find(shop, last_on)
        if found is not None:
            return found
        if following is None:
            raise BadInput("period", period, "a month with something booked", "nothing is booked yet")
        if following[0] != first_on:
            raise BadInput(
                "period", period, f"{following[0]:%Y-%m}, which closes next", "months close in order"
            )
        today = local_date(at, shop.time_zone)
        if last_on >= today:
            raise BadInput(
                "period", period, f"a month that is over on {today}", "close it after its last day"
            )
        _end_month(shop, last_on, at)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO books_period (shop_id, first_on, last_on, begun_at, begun_by) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [shop.id, first_on, last_on, at, actor],
            )
        begun = _find(shop, last_on)
        assert begun is not None, "a month that is being closed is there"
        return begun

    return in_transaction(act)


def finish(shop: Shop, period: str, at: datetime) -> Period:
    """Close a month that `begin` was called for, or open it again and raise `CloseRefused` with what stands in the way.

    Finishing twice is finishing once. Raises `fenqi.problems.BadInput` where nobody began to close it.
    """
    first_on, last_on = parse_period(period)
    found = _find(shop, last_on)
    if found is None:
        raise BadInput("period", period, "a month whose closing was begun")
    if found.closed_at is not None:
        return found
    began = time.monotonic()
    busy = _wait_for_writers(began + WAIT_SECONDS)
    report = prove_shop(shop)
    problems = (*busy, *report.problems, *(_left_due(shop, last_on) or _not_ended(shop, last_on)))
    milliseconds = round((time.monotonic() - began) * 1000)

    def act() -> Period:
        use_shop(shop.id)
        proofs.record(
            shop, "close", report, at, found.begun_by, milliseconds, subject=found.name, problems=problems
        )
        changed = _refuse(shop, last_on) if problems else _write(shop, first_on, last_on, at)
        closed = _find(shop, last_on)
        if changed and not problems:
            assert closed is not None, "a month that was closed is there"
            audit.record(
                shop,
                found.begun_by,
                "books.close",
                f"period:{found.name}",
                at,
                after={"transactions": closed.transactions, "digest": closed.digest},
            )
        return closed or found

    closed = in_transaction(act)
    if problems:
        raise CloseRefused(found.name, problems)
    if closed.closed_at is None:
        # Somebody who finished it at the same time found something that we did not, and opened it.
        raise CloseRefused(
            found.name, (Problem("period", "opened again meanwhile", "nobody else who closes it"),)
        )
    return closed


def close(shop: Shop, period: str, actor: str, at: datetime) -> Period:
    """Close a month now. Raises what `begin` and `finish` raise."""
    begin(shop, period, actor, at)
    return finish(shop, period, at)


def finish_due(now: datetime) -> int:
    """Finish every closing that was begun: how many months were closed. A job for the worker."""
    done = 0
    for shop in Shop.objects.all():
        for period in periods(shop):
            if period.closed_at is None:
                try:
                    finish(shop, period.name, now)
                except CloseRefused:
                    continue  # recorded, and shown where it was asked for
                done += 1
    return done


def _find(shop: Shop, last_on: date) -> Period | None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM books_period WHERE shop_id = %s AND last_on = %s", [shop.id, last_on]
        )
        row = cursor.fetchone()
    return _period(row) if row else None


def _period(row: Any) -> Period:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["balances"] = tuple(Balance(*each) for each in _balances.decode(values["balances"] or "[]"))
    return Period(**values)


_WRITERS: Final = """
SELECT virtualtransaction FROM pg_locks
 WHERE locktype = 'relation' AND relation = 'books_transaction'::regclass AND mode = 'RowExclusiveLock'
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""


def _wait_for_writers(until: float, pause: Callable[[float], None] = time.sleep) -> tuple[Problem, ...]:
    """Wait for whoever adds to the book at this moment; a problem where one takes too long.

    An INSERT locks its table before it looks at what is committed, and holds the lock until its transaction ends. So whoever
    could have looked before `begin` committed, and is not done, holds it now.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS)
        waiting = {name for (name,) in cursor.fetchall()}
        while waiting:
            if time.monotonic() > until:
                return (
                    Problem(
                        "book",
                        f"being added to for more than {WAIT_SECONDS:.0f} s",
                        "transactions that end within moments",
                        "see pg_stat_activity for a session that hangs, and close again",
                    ),
                )
            pause(0.02)
            cursor.execute(_WRITERS)
            waiting &= {name for (name,) in cursor.fetchall()}
    return ()


def _left_due(shop: Shop, last_on: date) -> list[Problem]:
    """Contracts with a due date of the month, or before it, that has not been let come: its fee is not earned yet."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, contract_id, next_due_on FROM servicing_state WHERE shop_id = %s AND next_due_on <= %s"
            " ORDER BY next_due_on, customer_id, contract_id LIMIT %s",
            [shop.id, last_on, MAX_LEFT],
        )
        return [
            Problem(
                f"contract {public_id('ct', customer_id, contract_id)}",
                f"not run for its due date {due_on}",
                "every due date of the month run",
                "let the worker, or `fenqi serve`, close the days of the month first",
            )
            for customer_id, contract_id, due_on in cursor.fetchall()
        ]


def _end_month(shop: Shop, last_on: date, at: datetime) -> None:
    """Book what belongs to the month of the rows that run. The worker has done so in the night; a small book is done here."""
    if month_end.left_due(shop, last_on):
        return  # which stands in the way by itself
    if month_end.run(shop, last_on, at, chunks=1).ended_at is None:
        name = f"{last_on:%Y-%m}"
        raise BadInput(
            "period",
            name,
            "a month whose end is booked",
            f"wait for the worker, or run `fenqi month-end {name}`",
        )


def _not_ended(shop: Shop, last_on: date) -> list[Problem]:
    found = month_end.find(shop, last_on)
    if found is not None and found.ended_at is not None:
        return []
    name = f"{last_on:%Y-%m}"
    return [
        Problem(
            f"period {name}",
            "its end is not booked",
            "what belongs to it of the rows that run, booked",
            f"wait for the worker, or run `fenqi month-end {name}`, and close again",
        )
    ]


def _write(shop: Shop, first_on: date, last_on: date, at: datetime) -> bool:
    balances = trial_balance(shop, as_of=last_on)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM books_transaction WHERE shop_id = %s AND booked_on BETWEEN %s AND %s",
            [shop.id, first_on, last_on],
        )
        (transactions,) = cursor.fetchone()
        cursor.execute(
            "UPDATE books_period SET closed_at = %s, transactions = %s, balances = %s, digest = %s"
            " WHERE shop_id = %s AND last_on = %s AND closed_at IS NULL",
            [
                at,
                transactions,
                msgspec.json.encode([msgspec.structs.astuple(balance) for balance in balances]).decode(),
                trial_digest(shop.id, last_on, transactions, balances),
                shop.id,
                last_on,
            ],
        )
        return bool(cursor.rowcount)


def _refuse(shop: Shop, last_on: date) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM books_period WHERE shop_id = %s AND last_on = %s AND closed_at IS NULL",
            [shop.id, last_on],
        )
        return bool(cursor.rowcount)
