"""Paying off early: what settles a contract on a day, and what it saves.

Interest that runs daily is owed up to the day, or to the end of the period that runs, as agreed. Rows that are fixed owe their
fees as agreed (`fenqi.terms.agreed.PayoffTerms`): whole, up to the running period, or by its days. Every fee and penalty that is
due belongs to it, and so does the charge for it, if one was agreed and named by the disclosure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from fenqi.contracts.allocation import FEE, INTEREST, PENALTY, PRINCIPAL
from fenqi.contracts.contract import account_of
from fenqi.contracts.events import Event, EventRefused
from fenqi.contracts.terms import ContractTerms
from fenqi.money import apply_rate

__all__ = ["PayoffQuote", "payoff_quote", "settling_minor"]


class PayoffQuote(msgspec.Struct, frozen=True, kw_only=True):
    """What settles a contract on `on`: `amount_minor` is the sum of the parts.

    `saving_minor` is how much less that is than paying every row on its day from now on. It can be less than nothing, where a
    charge is dearer than what it spares.
    """

    on: date
    amount_minor: int
    principal_minor: int
    fee_minor: int
    interest_minor: int
    penalty_minor: int
    charge_minor: int
    saving_minor: int


def payoff_quote(terms: ContractTerms, events: Iterable[Event], on: date) -> PayoffQuote:
    """What settles a contract at the end of a day, from everything known.

    12 x (1,000 + 72), three paid; with the fourth, 8,000 are not due yet, at 3 %: 1,072 + 8,240, and 8 x 72 - 240 are saved.
    """
    if terms.lease is not None:
        raise EventRefused(
            "payoff_quoted",
            "a lease",
            "a contract that pays a price back",
            "buy the goods out, or give them back",
        )
    account = account_of(terms, events, on)
    account.come_to(on)
    scheduled = account.outstanding
    not_due = sum(account.left[4 * row + PRINCIPAL] for row in account.sequence if account.due_on(row) > on)
    charge = apply_rate(not_due, terms.payoff.charge_rate)
    left = account.left
    principal = sum(left[4 * row + PRINCIPAL] for row in account.sequence)
    penalty = sum(left[4 * row + PENALTY] for row in account.sequence)
    if account.daily and account.accrual is not None:
        fee = sum(left[4 * row + FEE] for row in account.sequence)
        interest = account.payoff_minor(on) - principal - penalty - fee
    else:
        account.spare_fees(0, on)
        fee = sum(account.left[4 * row + FEE] for row in account.sequence)
        interest = sum(account.left[4 * row + INTEREST] for row in account.sequence)
    amount = principal + fee + interest + penalty + charge
    return PayoffQuote(
        on=on,
        amount_minor=amount,
        principal_minor=principal,
        fee_minor=fee,
        interest_minor=interest,
        penalty_minor=penalty,
        charge_minor=charge,
        saving_minor=scheduled - amount,
    )


def settling_minor(terms: ContractTerms, events: Iterable[Event], on: date) -> int:
    """What is to be paid on a day so that nothing is owed any more."""
    return payoff_quote(terms, events, on).amount_minor
