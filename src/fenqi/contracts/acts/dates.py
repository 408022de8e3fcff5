"""Due dates: reached, put off for an outage, moved to another day of the month, or paused in hardship."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from fenqi.calendars import add_months
from fenqi.contracts.account import Account, refused
from fenqi.contracts.acts.agreement import check_running
from fenqi.contracts.acts.leasing import fall_due
from fenqi.contracts.allocation import FEE
from fenqi.contracts.events import (
    Charged,
    DueDayChanged,
    DueMoved,
    DueReached,
    Event,
    EventRefused,
    Paused,
    ReAged,
)

__all__ = ["change_day", "check_days", "later", "pause", "put_off", "reach"]

_MONTHS_BEFORE: Final = 12
_MONTHS_AFTER: Final = 120


def check_days(event: Event) -> None:
    """The days that an event names lie within a year before it and ten years after: any other is a slip of the pen.

    It holds what is told now, before it is added; what was stored before the rule stays and is replayed. Raises `EventRefused`.

    >>> check_days(DueMoved(seq=1, occurred_on=date(2026, 11, 23), recorded_at=1, row=1, to=date(2062, 1, 1), basis="", announcement=""))
    Traceback (most recent call last):
    fenqi.contracts.events.EventRefused: to is 2062-01-01: expected 2025-11-23 to 2036-11-23
    """
    match event:
        case Charged():
            place, on = "due_on", event.due_on
        case ReAged():
            place, on = "first_due_on", event.first_due_on
        case DueMoved():
            place, on = "to", event.to
        case _:
            return
    first = add_months(event.occurred_on, -_MONTHS_BEFORE)
    last = add_months(event.occurred_on, _MONTHS_AFTER)
    if not first <= on <= last:
        raise EventRefused(place, on.isoformat(), f"{first} to {last}")


def reach(account: Account, event: DueReached) -> None:
    """Its fee is earned, whether or not anything was paid."""
    if account.leased is not None:
        fall_due(account, event)
        return
    row = account.place_of(event.row, event)
    if row is None:
        return
    if account.reached[row]:
        if account.newest in (event.seq, account.reached_by.get(row)):
            raise EventRefused("event", event.seq, f"row {event.row} to be reached once")
        return
    account.reached_by[row] = event.seq
    account.reached[row] = True
    rest = account.owed[4 * row + FEE] - account.earned[row]
    if rest:
        account.earned[row] += rest
        account.move(event.seq, "fee_earned", rest, row)
    account.recognise(event.seq)


def put_off(account: Account, event: DueMoved) -> None:
    """A date only ever moves to a later one. No fee follows from it, and what was earned stays earned."""
    row = account.place_of(event.row, event)
    if row is None:
        return
    due_on = account.due_on(row)
    rule = "" if event.to > due_on else f"a date after {due_on.isoformat()}, when it is due"
    if row not in account.closed:
        for later in account.sequence[account.sequence.index(row) + 1 :]:
            if later not in account.closed:
                following = account.due_on(later)
                if event.to > following:
                    rule = f"at most {following.isoformat()}, when the next row is due"
                break
    if rule:
        if event.seq == account.newest:
            raise EventRefused("to", event.to.isoformat(), rule)
        return
    account.moved[row] = (event.to, event.announcement)


def change_day(account: Account, event: DueDayChanged) -> None:
    """From a row on, what is due is due on another day of the month; interest that runs follows."""
    check_running(account, event)
    if not 1 <= event.day <= 31:
        raise EventRefused("day", event.day, "1 to 31 (31 is a month's last day)")
    if account.terms.plan.unit != "month":
        raise refused(
            event,
            f"rows of every {account.terms.plan.unit}",
            "rows that are due by the month",
            "pause instead",
        )
    first = account.place_of(event.from_row, event)
    if first is None:
        return
    at = account.sequence.index(first)
    rows = [row for row in account.sequence[at:] if row not in account.closed]
    wrong = first in account.closed or account.due_on(first) <= event.occurred_on
    if wrong and event.seq != account.newest:
        return
    if first in account.closed:
        raise refused(
            event,
            f"row {event.from_row} spread over new rows",
            "a row that still runs",
            "begin with one of the new rows",
        )
    if account.due_on(first) <= event.occurred_on:
        raise refused(
            event,
            f"row {event.from_row} due on {account.due_on(first)}",
            f"a row that is due after {event.occurred_on}",
            "begin with a later row",
        )
    new = [_on_day(account.due[row], event.day) for row in rows]
    if new[0] <= max(account.begins_on(first), event.occurred_on):
        new = [_on_day(add_months(on.replace(day=1), 1), event.day) for on in new]
    account.redate(rows, new)


def _on_day(on: date, day: int) -> date:
    """A day of a date's month, or the month's last."""
    return add_months(date(2000, 1, 31).replace(day=day), (on.year - 2000) * 12 + on.month - 1)


def pause(account: Account, event: Paused) -> None:
    """What falls due later is due so many periods later still. Meanwhile nothing is late that was not before."""
    check_running(account, event)
    if not 1 <= event.periods <= 24:
        raise EventRefused("periods", event.periods, "1 to 24")
    rows = account.rows_later(event.occurred_on)
    if not rows:
        if event.seq != account.newest:
            return
        raise refused(
            event,
            "every row has fallen due",
            f"a row that is due after {event.occurred_on}",
            "spread what is owed over new rows",
        )
    on = event.occurred_on
    until = later(account, on, event.periods)
    account.pauses.append((on, until))
    account.redate(rows, [later(account, account.due[row], event.periods) for row in rows])
    if event.interest == "stops" and account.daily:
        account.stop_between(on, until)


def later(account: Account, on: date, periods: int) -> date:
    """So many periods of the plan after a day; the day of the month is the agreed rows'."""
    plan = account.terms.plan
    steps = plan.every * periods
    if plan.unit in ("month", "half_month"):
        months, half = divmod(steps, 2) if plan.unit == "half_month" else (steps, 0)
        day = max(row.due_on.day for row in account.terms.rows if row.number)
        if on.day < day and (on + timedelta(days=1)).day == 1:
            moved = add_months(date(on.year, 1, 31).replace(day=day), on.month - 1 + months)
        else:
            moved = add_months(on, months)
        return moved + timedelta(days=15 * half)
    return on + timedelta(days=steps * (7 if plan.unit == "week" else 1))
