"""What must be zero, and when. Books that balance can still be wrong: these rules are what catches it.

A seller's receivable that is never cleared sums to zero with its sale just as well as a paid one does.
"""

from __future__ import annotations

from collections.abc import Mapping

from fenqi.contracts.contract import ContractState
from fenqi.ledger.accounts import CHART
from fenqi.problems import Problem

__all__ = ["closure_problems", "settlement_problems"]


def closure_problems(state: ContractState, balances: Mapping[int, int]) -> list[Problem]:
    """What a contract's booked balances break: receivables left open at close, or a sum that is not zero.

    At any time, what is booked as receivable may not be negative: nobody can owe less than nothing.
    """
    found: list[Problem] = []
    total = sum(balances.values())
    if total:
        found.append(Problem("sum", str(total), "0"))
    for code, minor in balances.items():
        account = CHART.get(code)
        if account is None:
            found.append(Problem("account", str(code), "an account of the chart"))
        elif account.zero_at == "close":
            if state.status == "closed" and minor:
                found.append(Problem(account.name, str(minor), "0, since the contract is closed"))
            elif minor and (minor < 0) is (account.normal_side == "debit"):
                found.append(
                    Problem(
                        account.name,
                        str(minor),
                        "0 or more" if account.normal_side == "debit" else "0 or less: it is a credit",
                    )
                )
    return found


def settlement_problems(settlement: str, in_transit_minor: int) -> list[Problem]:
    """What is wrong with a settlement that has arrived: every fen of it has left transit."""
    if not in_transit_minor:
        return []
    return [Problem(f"settlement {settlement}", str(in_transit_minor), "0 in transit, since it has arrived")]
