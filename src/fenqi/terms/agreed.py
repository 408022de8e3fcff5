"""What is agreed for when things go otherwise: paying off, paying late, giving goods back, falling due at once.

A plan says it (`Plan.servicing`), and a contract pins it with its values, the law's among them as it stood when the contract was
made: what a law changes later reaches a running contract only as an event with its basis.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from fenqi.problems import Problem

__all__ = [
    "AccelerationTerms",
    "LateTerms",
    "PayoffTerms",
    "ReturnTerms",
    "ServicingTerms",
    "check_agreed",
]


class PayoffTerms(msgspec.Struct, frozen=True):
    """What paying off early costs where rows are fixed: which of their fees are still owed, and a charge.

    `fees`: `whole` owes every row's, `to_period_end` those up to the period that runs, `to_date` those of past periods and of the
    running one by its days. `charge_rate` of the principal that is paid before its day is charged as `charge_code`.
    """

    fees: Literal["whole", "to_period_end", "to_date"] = "whole"
    charge_rate: Decimal = Decimal(0)
    charge_code: str = ""


class LateTerms(msgspec.Struct, frozen=True):
    """What is charged for paying late: a yearly rate on late principal, never above the law's.

    `cap_rate` is the law's most as of when the contract was made, `cap_basis` what says so. Interest is by days over `year_days`;
    the first `grace_days` of a row cost nothing. `code` is the cost that the disclosure named as one that may arise.
    """

    annual_rate: Decimal
    code: str
    cap_rate: Decimal | None = None
    cap_basis: str = ""
    year_days: Literal[360, 365] = 360
    grace_days: int = 0


class ReturnTerms(msgspec.Struct, frozen=True):
    """What goods that go back settle: instalments from the last one backwards, from the next one on, or each in proportion.

    What is not paid yet of the fee is written off with them; what was paid is `kept`, or `returned` in proportion.
    """

    settles: Literal["from_last", "from_next", "proportional"] = "from_last"
    paid_fee: Literal["kept", "returned"] = "kept"


class AccelerationTerms(msgspec.Struct, frozen=True):
    """When everything may be called due at once: arrears of a part of the price, demanded, and not paid within days.

    The fifth is the mainland's (Civil Code 634); so is the demand with a reasonable time, whose days are ours.
    """

    part_of_price: int = 5
    days_after_demand: int = 15
    basis: str = "民法典634"


class ServicingTerms(msgspec.Struct, frozen=True):
    """Everything that a plan says of a contract's later life. Without `late`, being late costs nothing."""

    payoff: PayoffTerms = PayoffTerms()
    late: LateTerms | None = None
    returns: ReturnTerms = ReturnTerms()
    acceleration: AccelerationTerms = AccelerationTerms()


def check_agreed(
    payoff: PayoffTerms, late: LateTerms | None, acceleration: AccelerationTerms, contingent: set[str]
) -> list[Problem]:
    """Everything wrong with what was agreed for later. Charges may only be ones that the disclosure named (`contingent`)."""
    found: list[Problem] = []
    if not 0 <= payoff.charge_rate < 1:
        found.append(Problem("payoff.charge_rate", str(payoff.charge_rate), "0 or more and less than 1"))
    if payoff.charge_rate and payoff.charge_code not in contingent:
        found.append(
            Problem(
                "payoff.charge_code",
                payoff.charge_code,
                "a cost that the disclosure names as one that may arise",
            )
        )
    if late is not None:
        if not 0 <= late.annual_rate <= 100:
            found.append(Problem("late.annual_rate", str(late.annual_rate), "a rate from 0 to 100"))
        if late.cap_rate is not None and not 0 <= late.cap_rate <= 100:
            found.append(Problem("late.cap_rate", str(late.cap_rate), "a rate from 0 to 100"))
        if late.year_days not in (360, 365):
            found.append(Problem("late.year_days", str(late.year_days), "360 or 365"))
        if not 0 <= late.grace_days <= 366:
            found.append(Problem("late.grace_days", str(late.grace_days), "0 to 366"))
        if late.code not in contingent:
            found.append(
                Problem("late.code", late.code, "a cost that the disclosure names as one that may arise")
            )
    if not 1 <= acceleration.part_of_price <= 100:
        found.append(
            Problem("acceleration.part_of_price", str(acceleration.part_of_price), "1 to 100 (5: a fifth)")
        )
    if not 0 <= acceleration.days_after_demand <= 366:
        found.append(
            Problem("acceleration.days_after_demand", str(acceleration.days_after_demand), "0 to 366")
        )
    return found
