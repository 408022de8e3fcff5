"""Income between due dates: how much of the row that runs belongs to the time up to a day.

A row's fee, interest or rent is earned when its due date comes. At the end of a month the part of the running row that lies in the month
is income too: `accrued` says how much, by days. It is booked against `accrued_income` and taken back on the next day, so that the due
date, or whatever comes before it, finds the contract as if nothing had been booked. Taken month by month, the parts and what is left
for the due date are the row's income to the fen: each is cut off from the whole up to its day, and the last one takes the rest.

The time of a row is that from the due date before it (the first: from the day of the contract) to its own. What a payment has earned of
it before that day is not earned again.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec

from fenqi.contracts.contract import ContractState
from fenqi.ledger.accounts import ACCRUED_INCOME, FEE_INCOME, INTEREST_INCOME, LEASE_INCOME
from fenqi.ledger.entries import Entries

__all__ = ["RunningRow", "accrued", "accrued_minor", "running_row"]

_OF: Final = (("fee", FEE_INCOME), ("interest", INTEREST_INCOME), ("rent", LEASE_INCOME))


class RunningRow(msgspec.Struct, frozen=True):
    """A row whose time runs: `income` has for each account of income the whole amount, and what of it is earned already."""

    number: int
    from_on: date
    to_on: date
    income: tuple[tuple[int, int, int], ...]


def running_row(state: ContractState) -> RunningRow | None:
    """The first row whose due date was not let come, where it has income; None where none runs.

    `state` is the contract on some day; the row runs on every day from `from_on` on and before `to_on`.
    """
    if state.confirmed_on is None or state.status == "closed":
        return None
    from_on = state.confirmed_on
    for row in state.rows:
        if row.reached:
            from_on = max(from_on, row.due_on)
            continue
        charged = sum(
            each.amount_minor
            for each in state.movements
            if each.row == row.number and each.kind == "fee_charged"
        )
        whole = {
            "fee": (row.fee_minor - charged, row.fee_earned_minor - charged),
            "interest": (row.interest_minor, row.interest_earned_minor),
            "rent": (row.rent_minor, row.rent_earned_minor),
        }
        income = tuple((account, *whole[part]) for part, account in _OF if whole[part][0] > 0)
        return RunningRow(row.number, from_on, row.due_on, income) if income else None
    return None


def accrued_minor(from_on: date, to_on: date, on: date, income_minor: int, earned_minor: int) -> int:
    """How much of a row's income belongs to the days up to the end of `on`, less what is earned; 0 where it does not run then.

    >>> accrued_minor(date(2026, 11, 15), date(2026, 12, 15), date(2026, 11, 30), 3_601, 0)
    1800
    """
    days = (to_on - from_on).days
    if not from_on <= on < to_on:
        return 0
    return max(0, income_minor * (on - from_on).days // days - earned_minor)


def accrued(state: ContractState, on: date) -> Entries | None:
    """What the contract's running row has earned by the end of `on` beyond what is booked; None where that is nothing.

    `state` is of that day.
    """
    row = running_row(state)
    if row is None:
        return None
    parts = [
        (account, accrued_minor(row.from_on, row.to_on, on, minor, earned))
        for account, minor, earned in row.income
    ]
    parts = [(account, minor) for account, minor in parts if minor]
    if not parts:
        return None
    return Entries(
        (ACCRUED_INCOME, *[account for account, _ in parts]),
        (sum(minor for _, minor in parts), *[-minor for _, minor in parts]),
    )
