"""Settling: a payment by a rule of twelve buckets, row by row.

Which rows are past due, due or not due yet depends on the day of the payment, and how much of a row can be paid before
its day is asked of the account anew each time, since interest may run. `fenqi.contracts.account` holds the amounts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Protocol

from fenqi.contracts.allocation import FEE, PENALTY, Future, Rule, Timing, split_bucket
from fenqi.money import round_half_even

__all__ = ["Backwards", "Payable", "settle"]

Paid = list[tuple[int, int]]


class Payable(Protocol):
    """What settling asks of an account."""

    sequence: list[int]
    left: list[int]

    def due_on(self, row: int) -> date: ...

    def begins_on(self, row: int) -> date: ...

    def is_open(self, row: int) -> bool: ...

    def emptied(self, row: int) -> bool: ...

    def matured(self, row: int, part: int, on: date) -> int: ...

    def pay(self, row: int, part: int, most: int, on: date, in_advance: bool, paid: Paid) -> int: ...


class Backwards:
    """An account seen from its end: what is paid is open, and paying gives it back. `paid` takes negative amounts."""

    def __init__(self, account: Payable, owed: list[int]) -> None:
        self.account = account
        self.sequence = account.sequence
        self.left = [whole - left for whole, left in zip(owed, account.left, strict=True)]
        self.due_on = account.due_on
        self.begins_on = account.begins_on

    def is_open(self, row: int) -> bool:
        return any(self.left[4 * row : 4 * row + 4])

    def emptied(self, row: int) -> bool:
        return False

    def matured(self, row: int, part: int, on: date) -> int:
        return 0

    def pay(self, row: int, part: int, most: int, on: date, in_advance: bool, paid: Paid) -> int:
        slot = 4 * row + part
        minor = min(self.left[slot], most)
        if minor:
            self.left[slot] -= minor
            self.account.left[slot] += minor
            paid.append((slot, -minor))
        return minor


def settle(account: Payable, rule: Rule, money: int, on: date, paid: Paid) -> int:
    """Pay with `money` on a day, by a rule; `paid` takes the slots and amounts. Returns what is left over."""
    buckets = [split_bucket(bucket) for bucket in rule.order]
    if rule.along == "parts":
        for timing, part in buckets:
            money = _part_over_rows(account, rule.future, timing, part, money, on, paid)
        return money
    groups: dict[Timing, list[int]] = {}
    for timing, part in buckets:
        groups.setdefault(timing, []).append(part)
    for timing, parts in groups.items():
        if timing == "in_advance":
            money = _in_advance(account, rule, parts, money, on, paid)
        else:
            money = _by_rows(account, timing, parts, money, on, paid)
    return money


def _rows(account: Payable, timing: Timing, on: date, wanted: Callable[[int], bool]) -> list[int]:
    rows = []
    for row in account.sequence:
        due_on = account.due_on(row)
        when: Timing = "past_due" if due_on < on else "due" if due_on == on else "in_advance"
        if when == timing and wanted(row):
            rows.append(row)
    return rows


def _by_rows(account: Payable, timing: Timing, parts: list[int], money: int, on: date, paid: Paid) -> int:
    """Every part of the oldest row, then of the next."""
    for row in _rows(account, timing, on, account.is_open):
        for part in parts:
            if money:
                money -= account.pay(row, part, money, on, False, paid)
    return money


def _future(account: Payable, future: Future, rows: list[int], on: date) -> list[int]:
    """Which of the rows that are not due yet come first."""
    if future == "re_amortise" or not rows:
        return rows
    if future == "next":
        return rows[:1]
    if future == "next_last":
        running = [row for row in rows if account.begins_on(row) <= on and account.is_open(row)]
        if running:
            return running
    return rows[-1:]


def _shares(money: int, count: int) -> list[int]:
    """Equal shares, half to even; the last takes the difference."""
    each = round_half_even(money, count)
    if money - each * (count - 1) < 0:
        each = money // count
    return [each] * (count - 1) + [money - each * (count - 1)]


def _in_advance(account: Payable, rule: Rule, parts: list[int], money: int, on: date, paid: Paid) -> int:
    """The parts of the rows that `rule.future` names, over and over while money is left."""
    spent: set[int] = set()

    def wanted(row: int) -> bool:
        # Of what is left in all, a later row may take more than stands in it now.
        return row not in spent and (account.is_open(row) or (from_the_end and account.emptied(row)))

    from_the_end = rule.future in ("last", "next_last")
    while money:
        rows = _future(account, rule.future, _rows(account, "in_advance", on, wanted), on)
        if not rows:
            break
        before = money
        if rule.charges_by_own_date:
            for part in (PENALTY, FEE):
                for row in rows:
                    due = min(account.matured(row, part, on), money)
                    if due:
                        money -= account.pay(row, part, due, on, False, paid)
        for part in parts:
            for row, share in zip(rows, _shares(money, len(rows)), strict=True):
                if share > 0:
                    money -= account.pay(row, part, share, on, True, paid)
        if money == before:
            # What is open of them cannot be paid yet: interest of a time that has not begun.
            spent.update(rows)
    return money


def _part_over_rows(
    account: Payable, future: Future, timing: Timing, part: int, money: int, on: date, paid: Paid
) -> int:
    """One part of every row, before the next part of any."""

    def wanted(row: int) -> bool:
        return account.left[4 * row + part] > 0

    spent: set[int] = set()
    while money:
        rows = _rows(account, timing, on, lambda row: wanted(row) and row not in spent)
        rows = _future(account, future, rows, on) if timing == "in_advance" else rows[:1]
        if not rows:
            break
        before = money
        for row, share in zip(rows, _shares(money, len(rows)), strict=True):
            if share > 0:
                money -= account.pay(row, part, share, on, timing == "in_advance", paid)
        if money == before:
            spent.update(rows)
    return money
