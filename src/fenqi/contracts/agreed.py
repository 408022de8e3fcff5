"""What a contract pins of `fenqi.terms.agreed`, and of a lease."""

from __future__ import annotations

from datetime import date

import msgspec

from fenqi.terms.agreed import AccelerationTerms, LateTerms, PayoffTerms, ReturnTerms, check_agreed

__all__ = ["AccelerationTerms", "LateTerms", "LeaseTerms", "PayoffTerms", "ReturnTerms", "check_agreed"]


class LeaseTerms(msgspec.Struct, frozen=True):
    """What the payments of a lease follow from, beside its plan: the price of the goods, its first day, and whether its deposit
    was waived. However it ends, `fenqi.terms.lease.build_lease` says from them what is paid.
    """

    price_minor: int
    start_on: date
    deposit_waived: bool = False
