"""Movements into balanced entries.

A contract's *position* is what its movements come to, account by account. An event posts the difference between the
position after it and what is booked already, so that a back-dated event books its whole consequence, once, by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from fenqi.contracts.contract import Movement, MovementKind
from fenqi.contracts.terms import ContractTerms, charged_codes, listed_fees
from fenqi.ledger.accounts import (
    ACCUMULATED_DEPRECIATION,
    CHART,
    COLLECTION_COST,
    COST_OF_SALES,
    CREDIT_LOSS,
    DEFERRED_INCOME,
    DEPOSITS_HELD,
    DEPRECIATION,
    FEE_INCOME,
    FEE_RECEIVABLE,
    GOODWILL,
    IN_TRANSIT,
    INTEREST_INCOME,
    INTEREST_RECEIVABLE,
    INVENTORY,
    LEASE_INCOME,
    LEASED_ASSETS,
    MERCHANT_PAYABLE,
    OTHER_INCOME,
    PENALTY_INCOME,
    PENALTY_RECEIVABLE,
    PRINCIPAL_RECEIVABLE,
    RECOVERIES,
    REFUND_PAYABLE,
    RENT_RECEIVABLE,
    SALES,
    SALES_RETURNS,
    SUBSIDY_RECEIVABLE,
    UNAPPLIED_CASH,
)
from fenqi.problems import BadInput

__all__ = [
    "POSTINGS",
    "Entries",
    "FeeNotListed",
    "Unbalanced",
    "check_fees",
    "entries_for",
    "fees_of",
    "position",
    "posting",
]

Position = Mapping[int, int]
"""Account to signed balance in minor units, debits positive. Balances of zero are left out."""

POSTINGS: Final[dict[MovementKind, tuple[int, int]]] = {
    "sold": (PRINCIPAL_RECEIVABLE, SALES),
    "sold_for_others": (PRINCIPAL_RECEIVABLE, MERCHANT_PAYABLE),
    "principal_paid": (IN_TRANSIT, PRINCIPAL_RECEIVABLE),
    "fee_earned": (FEE_RECEIVABLE, FEE_INCOME),
    "fee_charged": (FEE_RECEIVABLE, OTHER_INCOME),
    "fee_paid": (IN_TRANSIT, FEE_RECEIVABLE),
    "fee_waived": (GOODWILL, FEE_RECEIVABLE),
    "fee_returned": (FEE_INCOME, REFUND_PAYABLE),
    "charge_returned": (OTHER_INCOME, REFUND_PAYABLE),
    "interest_earned": (INTEREST_RECEIVABLE, INTEREST_INCOME),
    "interest_paid": (IN_TRANSIT, INTEREST_RECEIVABLE),
    "interest_waived": (GOODWILL, INTEREST_RECEIVABLE),
    "interest_returned": (INTEREST_INCOME, REFUND_PAYABLE),
    "penalty_charged": (PENALTY_RECEIVABLE, PENALTY_INCOME),
    "penalty_paid": (IN_TRANSIT, PENALTY_RECEIVABLE),
    "penalty_waived": (GOODWILL, PENALTY_RECEIVABLE),
    "penalty_returned": (PENALTY_INCOME, REFUND_PAYABLE),
    "unapplied": (IN_TRANSIT, UNAPPLIED_CASH),
    "unapplied_refunded": (UNAPPLIED_CASH, IN_TRANSIT),
    "reclaimed": (PRINCIPAL_RECEIVABLE, UNAPPLIED_CASH),
    "goodwill": (GOODWILL, PRINCIPAL_RECEIVABLE),
    "goodwill_unapplied": (GOODWILL, UNAPPLIED_CASH),
    "returned": (SALES_RETURNS, PRINCIPAL_RECEIVABLE),
    "returned_for_others": (MERCHANT_PAYABLE, PRINCIPAL_RECEIVABLE),
    "refund_due": (SALES_RETURNS, REFUND_PAYABLE),
    "refund_due_for_others": (MERCHANT_PAYABLE, REFUND_PAYABLE),
    "refunded": (REFUND_PAYABLE, IN_TRANSIT),
    "written_off_principal": (CREDIT_LOSS, PRINCIPAL_RECEIVABLE),
    "written_off_interest": (INTEREST_INCOME, INTEREST_RECEIVABLE),
    "written_off_fee": (FEE_INCOME, FEE_RECEIVABLE),
    "written_off_charge": (OTHER_INCOME, FEE_RECEIVABLE),
    "written_off_penalty": (PENALTY_INCOME, PENALTY_RECEIVABLE),
    "written_off_rent": (LEASE_INCOME, RENT_RECEIVABLE),
    "recovered": (IN_TRANSIT, RECOVERIES),
    "collection_cost": (COLLECTION_COST, IN_TRANSIT),
    "subsidy_granted": (SUBSIDY_RECEIVABLE, DEFERRED_INCOME),
    "subsidy_earned": (DEFERRED_INCOME, INTEREST_INCOME),
    "deposit_held": (IN_TRANSIT, DEPOSITS_HELD),
    "deposit_released": (DEPOSITS_HELD, REFUND_PAYABLE),
    "deposit_applied": (DEPOSITS_HELD, PRINCIPAL_RECEIVABLE),
    "deposit_applied_rent": (DEPOSITS_HELD, RENT_RECEIVABLE),
    "deposit_forfeited": (DEPOSITS_HELD, OTHER_INCOME),
    "rent_earned": (RENT_RECEIVABLE, LEASE_INCOME),
    "rent_paid": (IN_TRANSIT, RENT_RECEIVABLE),
    "rent_waived": (GOODWILL, RENT_RECEIVABLE),
    "leased": (LEASED_ASSETS, INVENTORY),
    "depreciated": (DEPRECIATION, ACCUMULATED_DEPRECIATION),
    "asset_lost": (CREDIT_LOSS, LEASED_ASSETS),
    "bought_out": (PRINCIPAL_RECEIVABLE, SALES),
    "cost_of_sale": (COST_OF_SALES, LEASED_ASSETS),
    "depreciation_cleared": (ACCUMULATED_DEPRECIATION, LEASED_ASSETS),
}
"""For each kind of movement: the account it debits, and the one it credits. A negative amount does the opposite."""


class FeeNotListed(BadInput):
    """A fee that the disclosure does not list, or more of it than is listed. It is never booked."""


class Unbalanced(AssertionError):
    """Entries that do not sum to zero: a fault of this program. The database would refuse them too."""


class Entries(msgspec.Struct, frozen=True):
    """The lines of one transaction: `amounts[i]` goes to `accounts[i]`, debits positive and first."""

    accounts: tuple[int, ...]
    amounts: tuple[int, ...]


def position(terms: ContractTerms, movements: Iterable[Movement]) -> dict[int, int]:
    """What movements come to, account by account. Raises `FeeNotListed`."""
    balances: dict[int, int] = {}
    fees = 0
    sales: set[int] = set()
    capped: tuple[MovementKind, ...] = ("fee_earned",)
    if terms.interest is not None and not terms.interest.daily:
        # Interest that was agreed to the fen is listed to the fen.
        capped = ("fee_earned", "interest_earned")
    for movement in movements:
        debit, credit = POSTINGS[movement.kind]
        amount = movement.amount_minor
        balances[debit] = balances.get(debit, 0) + amount
        balances[credit] = balances.get(credit, 0) - amount
        if movement.kind in capped:
            fees += amount
        elif movement.kind in ("sold", "sold_for_others"):
            sales.add(movement.event_seq)
    # What was lent later bears interest that no disclosure of the first amount could list.
    if fees and len(sales) < 2:
        _check_listed(terms, fees)
    return {account: minor for account, minor in sorted(balances.items()) if minor}


def _check_listed(terms: ContractTerms, minor: int) -> None:
    listed, total = listed_fees(terms), 0
    codes = charged_codes(terms)
    for code in codes:
        if code not in listed:
            raise FeeNotListed("fee", code, "a fee that the contract's disclosure lists")
        total += listed[code]
    if minor > total:
        raise FeeNotListed(f"fee {', '.join(codes)}", minor, f"at most the {total} that the disclosure lists")


def check_fees(entries: Entries, terms: ContractTerms | None) -> None:
    """That entries which earn a fee belong to a contract whose disclosure lists it: the last look before they are written,
    wherever they come from. Raises `FeeNotListed`.

    >>> check_fees(Entries((1020, 2110), (500, -500)), None)
    """
    earned = fees_of(entries)
    if FEE_INCOME in entries.accounts:
        if terms is None:
            raise FeeNotListed("fee", earned, "a contract whose disclosure lists it")
        _check_listed(terms, earned)


def fees_of(entries: Entries) -> int:
    """The fees that entries earn, in minor units.

    >>> fees_of(Entries((1120, 4110), (500, -500)))
    500
    """
    return -sum(
        minor
        for account, minor in zip(entries.accounts, entries.amounts, strict=True)
        if account == FEE_INCOME
    )


def posting(after: Position, booked: Position) -> Entries | None:
    """The entries that bring what is booked to what it should be; None where it is so already.

    >>> posting({1020: 500, 2110: -500}, {})
    Entries(accounts=(1020, 2110), amounts=(500, -500))
    >>> posting({1020: 500, 2110: -500}, {1020: 500, 2110: -500}) is None
    True
    """
    legs = [
        (account, after.get(account, 0) - booked.get(account, 0)) for account in after.keys() | booked.keys()
    ]
    legs = [(account, minor) for account, minor in legs if minor]
    if not legs:
        return None
    legs.sort(key=lambda leg: (leg[1] < 0, leg[0]))
    if sum(minor for _, minor in legs) or any(account not in CHART for account, _ in legs):
        raise Unbalanced(f"entries of accounts in the chart that sum to zero, not {legs}")
    return Entries(tuple(account for account, _ in legs), tuple(minor for _, minor in legs))


def entries_for(terms: ContractTerms, movements: Iterable[Movement]) -> Entries | None:
    """The entries of these movements alone, as if nothing were booked."""
    return posting(position(terms, movements), {})
