"""Paying off: what settles a contract on a day.

Interest that runs daily is owed up to the day, or to the end of the period that runs, as agreed; rows that are fixed are owed
whole. Every fee and penalty that is open belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from fenqi.contracts.contract import account_of
from fenqi.contracts.events import Event
from fenqi.contracts.terms import ContractTerms

__all__ = ["settling_minor"]


def settling_minor(terms: ContractTerms, events: Iterable[Event], on: date) -> int:
    """What is to be paid on a day so that nothing is owed any more."""
    account = account_of(terms, events, on)
    return account.payoff_minor(on)
