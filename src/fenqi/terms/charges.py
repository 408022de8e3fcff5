"""Charges: what beside the price is paid, to whom, in which row, and who bears it.

A plan's own pricing (a flat fee, or interest) is charged as its timing says and shared by its `bearers`; the plan's
`fees` come beside it and are the customer's. Everything is whole minor units, and nothing is lost: the parts of
a charge come to the charge, and the shares of the bearers to the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from fenqi.money import Residue, round_half_even, split_evenly
from fenqi.terms.plan import Fee, FeeTiming, FlatFee, Party, PayInFull, Plan
from fenqi.terms.rent import Lease, Pledge

__all__ = ["Charged", "Charging", "apportion", "charge", "charging_of", "split_by_multiple"]


class _FeeTerms(msgspec.Struct, frozen=True):
    """A fee beside the pricing: `numerator / denominator` of the amount financed and `fixed_minor`, at least `minimum_minor`."""

    code: str
    payee: str
    timing: FeeTiming
    numerator: int
    denominator: int
    fixed_minor: int
    minimum_minor: int


class Charging(msgspec.Struct, frozen=True):
    """How a plan's charges lie, worked out once for each plan."""

    code: str
    payee: str
    flat: bool
    timing: FeeTiming
    residue: Residue
    multiple: int
    customer: Fraction
    others: tuple[tuple[Party, Fraction], ...]
    fees: tuple[_FeeTerms, ...]


class Charged(msgspec.Struct, frozen=True):
    """The customer's charges: of the pricing and of each fee, at the start and in each instalment; and what others bear."""

    codes: tuple[tuple[str, str], ...]
    """Code and payee of each charge, the pricing's first."""
    at_start: tuple[int, ...]
    by_row: tuple[tuple[int, ...], ...]
    borne: tuple[tuple[Party, int], ...]


def charging_of(plan: Plan) -> Charging | None:
    """How a plan's charges lie; None where all there is lies in its instalments and is the customer's, and for leases."""
    pricing = plan.pricing
    flat = isinstance(pricing, FlatFee)
    timing: FeeTiming = pricing.timing if isinstance(pricing, FlatFee) else "per_period"
    if isinstance(pricing, (PayInFull, Lease, Pledge)) or not (
        plan.fees or plan.bearers or timing != "per_period"
    ):
        return None
    shares = {bearer.party: Fraction(bearer.share) for bearer in plan.bearers}
    return Charging(
        code=plan.fee_code,
        payee=plan.fee_payee or plan.funder,
        flat=flat,
        timing=timing,
        residue=plan.residue,
        multiple=plan.conventions.instalment_multiple_minor,
        customer=shares.pop("customer", Fraction(0)) if plan.bearers else Fraction(1),
        others=tuple(shares.items()),
        fees=tuple(_fee_terms(fee, plan.periods) for fee in plan.fees),
    )


def _fee_terms(fee: Fee, periods: int) -> _FeeTerms:
    rate = Fraction(fee.total_rate or 0)
    if fee.rate_per_period is not None:
        rate = Fraction(fee.rate_per_period) * periods
    return _FeeTerms(
        fee.code,
        fee.payee,
        fee.timing,
        rate.numerator,
        rate.denominator,
        fee.amount_minor or 0,
        fee.minimum_minor,
    )


def charge(charging: Charging, financed_minor: int, own: Sequence[int]) -> Charged:
    """Every charge of a plan whose own pricing comes to `own` in its instalments, before anybody shares it."""
    periods = len(own)
    whole = sum(own)
    borne: tuple[tuple[Party, int], ...] = ()
    if charging.others:
        shares = (charging.customer, *(share for _, share in charging.others))
        mine, *theirs = apportion(whole, shares)
        borne = tuple((party, part) for (party, _), part in zip(charging.others, theirs, strict=True) if part)
    else:
        mine = whole
    if charging.flat:
        first = _timed(charging, mine, charging.timing, periods)
    else:
        # Interest stays where it arises; the customer's part of it, and not of each row, is rounded.
        first = (0, tuple(own) if mine == whole else _running(own, charging.customer))
    parts = [first]
    for fee in charging.fees:
        total = fee.fixed_minor
        if fee.numerator:
            total = round_half_even(financed_minor * fee.numerator, fee.denominator)
        parts.append(_timed(charging, max(total, fee.minimum_minor), fee.timing, periods))
    return Charged(
        codes=((charging.code, charging.payee), *((fee.code, fee.payee) for fee in charging.fees)),
        at_start=tuple(start for start, _ in parts),
        by_row=tuple(rows for _, rows in parts),
        borne=borne,
    )


def _timed(charging: Charging, total: int, timing: FeeTiming, periods: int) -> tuple[int, tuple[int, ...]]:
    """What of a charge is due at the start, and in each instalment."""
    if timing == "per_period":
        return 0, split_by_multiple(total, periods, charging.residue, charging.multiple)
    none = (0,) * (periods - 1)
    if timing == "up_front":
        return total, (0, *none)
    return 0, (total, *none) if timing == "first_bill" else (*none, total)


def _running(amounts: Sequence[int], share: Fraction) -> tuple[int, ...]:
    """A share of each amount such that every running total is the share of the running total, half to even."""
    numerator, denominator = share.numerator, share.denominator
    parts: list[int] = []
    gone = had = 0
    for amount in amounts:
        gone += amount
        upto = round_half_even(gone * numerator, denominator)
        parts.append(upto - had)
        had = upto
    return tuple(parts)


def apportion(total: int, shares: Sequence[Fraction]) -> tuple[int, ...]:
    """Divide a total by shares that come to 1: each running total is rounded half to even, and the last takes the rest.

    >>> apportion(43_201, (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)))
    (21600, 12961, 8640)
    """
    parts: list[int] = []
    had, gone = 0, Fraction(0)
    for share in shares:
        gone += share
        upto = round_half_even(total * gone.numerator, gone.denominator)
        parts.append(upto - had)
        had = upto
    return tuple(parts)


def split_by_multiple(total: int, n: int, residue: Residue, multiple: int = 1) -> tuple[int, ...]:
    """Split a total evenly into multiples; less than one multiple that is left over goes to the first part, or the last.

    >>> split_by_multiple(1_005, 3, "last", 10), split_by_multiple(1_025, 3, "spread", 10)
    ((330, 330, 345), (345, 340, 340))
    """
    if multiple == 1:
        return split_evenly(total, n, residue)
    units, rest = divmod(total, multiple)
    parts = [part * multiple for part in split_evenly(units, n, residue)]
    parts[-1 if residue == "last" else 0] += rest
    return tuple(parts)
