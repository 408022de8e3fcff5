"""Lateness: how late a contract is, what it may be charged for it, and when everything may be called due.

A penalty is a yearly rate on principal that is late, for the days that it is late, never above the law's most as it was pinned
when the contract was made. Days on which the contract was paused cost nothing and do not age it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final, Literal

import msgspec

from fenqi.contracts.contract import ContractState, account_of
from fenqi.contracts.events import Event
from fenqi.contracts.terms import ContractTerms

__all__ = ["BUCKETS", "Acceleration", "AgeBucket", "acceleration", "age_bucket", "penalty_due"]

AgeBucket = Literal["current", "1-30", "31-60", "61-90", "91+"]
BUCKETS: Final[tuple[AgeBucket, ...]] = ("current", "1-30", "31-60", "61-90", "91+")


def age_bucket(days_past_due: int) -> AgeBucket:
    """How late that many days are.

    >>> [age_bucket(days) for days in (0, 1, 30, 31, 91)]
    ['current', '1-30', '1-30', '31-60', '91+']
    """
    if days_past_due <= 0:
        return "current"
    return BUCKETS[min(1 + (days_past_due - 1) // 30, 4)]


def penalty_due(terms: ContractTerms, events: Iterable[Event], on: date) -> int:
    """What is to be charged for being late by the end of a day, beyond what was charged: 0 where nothing was agreed."""
    account = account_of(terms, events, on)
    account.come_to(on)
    return account.penalty_due(on)


class Acceleration(msgspec.Struct, frozen=True):
    """Whether everything may be called due: the arrears it takes, those there are, and the first day (None: not demanded)."""

    threshold_minor: int
    arrears_minor: int
    from_on: date | None

    @property
    def enough(self) -> bool:
        """Whether the arrears are enough to demand them, with everything else to follow."""
        return self.arrears_minor >= self.threshold_minor


def acceleration(terms: ContractTerms, state: ContractState, demanded_on: date | None = None) -> Acceleration:
    """What calling everything due takes: a fifth of 6,000 is 1,200, demanded and not met within the days that were agreed."""
    agreed = terms.acceleration
    price = sum(row.principal_minor for row in terms.rows)
    from_on = None if demanded_on is None else demanded_on + timedelta(days=agreed.days_after_demand + 1)
    return Acceleration(-(-price // agreed.part_of_price), state.overdue_minor, from_on)
