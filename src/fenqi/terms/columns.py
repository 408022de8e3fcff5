"""Prices in columns: one plan applied to very many amounts, exactly, for simulation.

`build_schedule` and `cost_of` price one amount in some twenty microseconds; here a million take a fraction of a second. The
money is the same to the fen: whole numbers in NumPy, each rounded as the schedule rounds it, and what would not fit
64 bits is worked out in Python's own integers. The yearly rate (`simple_e12`) agrees with `cost_of` to a unit of 1e-12.

Priced in columns are the everyday plans (`in_columns`): zero interest, a flat fee, an annuity, equal principal, payment in
full, with a down payment, a deferral free of interest and any residue rule. Every other plan, and the few amounts that
ask for more care (`Prices.careful`), are left to `build_schedule`. Nothing is approximated.

Needs NumPy, from the extra `simulate`. This module solves rates in floats, as `fenqi.terms.cost` does, and no money.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import msgspec

from fenqi.money import MAX_MINOR, round_half_even
from fenqi.terms.cost import periods_per_year
from fenqi.terms.interest import period_rate
from fenqi.terms.plan import (
    Annuity,
    Conventions,
    EqualPrincipal,
    FlatFee,
    PayInFull,
    Plan,
    TermsError,
    ZeroInterest,
    check_plan,
)

try:
    import numpy as np
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"prices in columns need NumPy: pip install 'fenqi[simulate]' ({missing})", name=missing.name
    ) from missing

__all__ = ["Ints", "Prices", "in_columns", "price_columns"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

_BLOCK: Final = 8_192
"""Amounts at a time: their intermediate columns stay in the processor's cache."""
_ROUNDS: Final = 60
_NEAR: Final = 1e-8
"""How far from the root a step of Newton's method may begin to be the last one: it leaves about the square of this."""
_ANY: Final = 1e-3
_HIGH: Final = 5.0
"""Yearly rates above 500 % have fewer digits behind the point than are asked for: those rows are left to `cost_of`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Prices:
    """What a plan comes to for each amount, in whole minor units. Where `priced` is false, its terms cannot be applied.

    `first_minor` is the first instalment, `rest_minor` the second (those between are as large, or differ by what does not
    divide), `last_minor` the last; all the same where there is only one. The yearly rates, `simple_e12` and
    `compounded_e12`, are 0 where nothing is charged. In the rows that are `careful` the other columns hold nothing of
    meaning: `build_schedule` prices those.
    """

    priced: Bools
    careful: Bools
    down_minor: Ints
    financed_minor: Ints
    fee_minor: Ints
    total_minor: Ints
    first_minor: Ints
    rest_minor: Ints
    last_minor: Ints
    smallest_minor: Ints
    largest_minor: Ints
    simple_e12: Ints
    compounded_e12: Ints

    def __len__(self) -> int:
        return len(self.priced)


_ARRAYS: Final = tuple(field.name for field in dataclasses.fields(Prices))
_MONEY: Final = tuple(name for name in _ARRAYS if name.endswith("_minor"))

# What may differ from a plain plan without changing how it is priced here. A field that a later version adds is not among
# them, so a plan that uses it goes to the row engine until somebody has taught it to the columns.
_PLAIN: Final = Plan("", "", "", "loan", 1, PayInFull())
_UNDERSTOOD: Final = (
    "id",
    "family",
    "funder",
    "legal_form",
    "periods",
    "pricing",
    "unit",
    "every",
    "down_payment",
    "defer_periods",
    "authority",
    "residue",
    "fee_code",
    "fee_payee",
    "contingent",
    "indicative_basis",
)


def in_columns(plan: Plan) -> bool:
    """Whether the plan is priced in columns; `build_schedule` prices it otherwise.

    >>> from decimal import Decimal
    >>> in_columns(Plan("mall-12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006"))))
    True
    """
    pricing = plan.pricing
    if isinstance(pricing, (Annuity, EqualPrincipal)):
        plain = pricing.annual_rate > 0 and pricing == type(pricing)(pricing.annual_rate)
    elif isinstance(pricing, FlatFee):
        known = ("rate_per_period", "total_rate", "minimum_minor", "timing")
        plain = pricing == FlatFee(**{name: getattr(pricing, name) for name in known})
        plain &= pricing.timing == "per_period"
    else:
        plain = isinstance(pricing, (ZeroInterest, PayInFull))
    conventions = msgspec.structs.replace(plan.conventions, profile=Conventions().profile)
    like = {name: getattr(plan, name) for name in _UNDERSTOOD}
    return (
        plain
        and conventions == Conventions()
        and msgspec.structs.replace(_PLAIN, **like, conventions=plan.conventions) == plan
    )


def price_columns(plan: Plan, amounts: Ints, *, progress: Callable[[int], None] | None = None) -> Prices:
    """The plan's price for each amount (minor units). Raises `TermsError` where the plan itself is wrong.

    An amount of 0 or less, or beyond `fenqi.money.MAX_MINOR`, has no price. `progress` is told how many rows are done.

    >>> from decimal import Decimal
    >>> plan = Plan("mall-12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")))
    >>> two = price_columns(plan, np.array([600_000, 0]))
    >>> two.priced.tolist(), two.first_minor.tolist()[0], two.fee_minor.tolist()[0], two.simple_e12.tolist()[0]
    ([True, False], 53600, 43200, 130342242811)
    """
    problems = check_plan(plan)
    if problems:
        worst = problems[0]
        raise TermsError(f"plan {plan.id}: {worst.place}", worst.value, worst.expected, worst.way_out)
    rows = len(amounts)
    columns: dict[str, Any] = {name: np.zeros(rows, dtype=np.int64) for name in _ARRAYS}
    columns["priced"] = (amounts > 0) & (amounts <= MAX_MINOR)
    columns["careful"] = columns["priced"].copy()
    if in_columns(plan):
        terms = _Terms(plan)
        for start in range(0, rows, _BLOCK):
            part = slice(start, min(start + _BLOCK, rows))
            into = {name: columns[name][part] for name in _ARRAYS}
            into["careful"][:] = terms.price(amounts[part], into)
            if progress is not None:
                progress(part.stop)
    return Prices(**columns)


class _Terms:
    """A plan's terms as integer ratios, and its prices for one block of amounts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.pricing = plan.pricing
        self.periods = plan.periods
        self.defer = plan.defer_periods
        self.yearly = float(periods_per_year(plan.unit, plan.every))
        down = plan.down_payment
        self.down_minor = 0 if down is None else down.amount_minor or 0
        self.down_rate = Fraction(0) if down is None else Fraction(down.share or 0)
        self.fee, self.minimum = Fraction(0), 0
        self.interest = self.annuity = Fraction(0)
        pricing = plan.pricing
        if isinstance(pricing, FlatFee):
            per_period = pricing.rate_per_period
            self.fee = Fraction(pricing.total_rate or 0)
            if per_period is not None:
                self.fee = Fraction(per_period) * plan.periods
            self.minimum = pricing.minimum_minor
        elif isinstance(pricing, (Annuity, EqualPrincipal)):
            self.interest = period_rate(Fraction(pricing.annual_rate), plan.unit, plan.every)
            growth = (1 + self.interest) ** plan.periods
            self.annuity = self.interest * Fraction(growth, growth - 1)

    def price(self, amounts: Ints, into: dict[str, Any]) -> Bools:
        """Fill the block's columns; answers which rows need more care than this (they are filled with anything)."""
        right = into["priced"]
        amounts = np.where(right, amounts, 1)
        if isinstance(self.pricing, PayInFull):
            for name in _MONEY:
                into[name][:] = amounts
            into["down_minor"][:] = into["fee_minor"][:] = 0
            return np.zeros(len(amounts), dtype=np.bool_)
        down: Ints | int = self.down_minor
        if self.down_rate:
            down = _share(amounts, self.down_rate)
        financed = amounts - down
        if self.plan.down_payment is not None:
            right &= financed > 0
            financed = np.where(right, financed, 1)
        into["down_minor"][:] = down
        into["financed_minor"][:] = financed
        if isinstance(self.pricing, Annuity):
            careful = self._annuity(financed, into)
        elif isinstance(self.pricing, EqualPrincipal):
            careful = self._equal_principal(financed, into)
        else:
            careful = self._even(financed, into)
        np.add(amounts, into["fee_minor"], out=into["total_minor"])
        careful &= right
        return careful

    def _even(self, financed: Ints, into: dict[str, Any]) -> Bools:
        """Principal and fee, each split evenly."""
        periods, residue = self.periods, self.plan.residue
        fee = _share(financed, self.fee) if self.fee else np.zeros_like(financed)
        if self.minimum:
            fee = np.maximum(fee, self.minimum)
        into["fee_minor"][:] = fee
        each = financed // periods
        left = financed - each * periods
        fee_each = fee // periods
        fee_left = fee - fee_each * periods
        each += fee_each
        first = last = extra_first = extra_last = None
        ones: tuple[Ints, ...] = ()
        if residue == "first" or periods == 1:
            extra_first = left + fee_left
            first = each + extra_first
        elif residue == "last":
            extra_last = left + fee_left
            last = each + extra_last
        else:
            ones = (left, fee_left)
            first = each + (left > 0) + (fee_left > 0)
            into["rest_minor"][:] = each + (left > 1) + (fee_left > 1)
        into["first_minor"][:] = each if first is None else first
        if residue != "spread" or periods == 1:
            into["rest_minor"][:] = each if periods > 1 else into["first_minor"]
        if periods == 2 and last is not None:
            into["rest_minor"][:] = last
        into["last_minor"][:] = each if last is None else last
        if periods == 1:
            into["last_minor"][:] = into["first_minor"]
        into["smallest_minor"][:] = each if periods > 1 else into["first_minor"]
        into["largest_minor"][:] = into["first_minor"] if last is None else last
        return self._rate_of_even(financed, each, extra_first, extra_last, ones, into)

    def _annuity(self, financed: Ints, into: dict[str, Any]) -> Bools:
        """Equal instalments, interest on the balance; the last one pays what is left."""
        instalment = _share(financed, self.annuity)
        charge = _Rounding(self.interest, int(financed.max(initial=1)))
        balance = financed.copy()
        fee = np.zeros_like(financed)
        careful = np.zeros(len(financed), dtype=np.bool_)
        for _ in range(self.periods - 1):
            interest = charge(balance)
            fee += interest
            balance += interest
            balance -= instalment
            careful |= balance < 0  # a tiny amount is paid back before its time
        interest = charge(balance)
        fee += interest
        last = balance + interest
        into["fee_minor"][:] = fee
        into["first_minor"][:] = instalment if self.periods > 1 else last
        into["rest_minor"][:] = instalment if self.periods > 2 else last
        into["last_minor"][:] = last
        if self.periods > 1:
            np.minimum(instalment, last, out=into["smallest_minor"])
            np.maximum(instalment, last, out=into["largest_minor"])
        else:
            into["smallest_minor"][:] = into["largest_minor"][:] = last
        each = instalment if self.periods > 1 else np.zeros_like(last)
        return careful | self._rate_of_even(financed, each, None, last - each, (), into)

    def _equal_principal(self, financed: Ints, into: dict[str, Any]) -> Bools:
        """The same principal each time, interest on the balance."""
        periods, residue = self.periods, self.plan.residue
        charge = _Rounding(self.interest, int(financed.max(initial=1)))
        each = financed // periods
        left = financed - each * periods
        balance = financed.copy()
        totals = np.empty((periods, len(financed)), dtype=np.int64)
        for number in range(periods):
            principal = each
            if residue == "spread":
                principal = each + (left > number)
            elif number == (0 if residue == "first" else periods - 1):
                principal = each + left
            np.add(principal, charge(balance), out=totals[number])
            balance -= principal
        into["fee_minor"][:] = totals.sum(axis=0) - financed
        into["first_minor"][:], into["last_minor"][:] = totals[0], totals[-1]
        into["rest_minor"][:] = totals[min(1, periods - 1)]
        into["smallest_minor"][:] = totals.min(axis=0)
        into["largest_minor"][:] = totals.max(axis=0)
        return self._rate_of_any(financed, totals, into)

    # --- rates -------------------------------------------------------------------------------------------------

    def _rate_of_even(
        self,
        advance: Ints,
        each: Ints,
        extra_first: Ints | None,
        extra_last: Ints | None,
        ones: tuple[Ints, ...],
        into: dict[str, Any],
    ) -> Bools:
        """The rate of payments of `each`, with something more in the first or the last, and single units in the first few.

        The present value of n equal payments is (1 - e^-nx) / (e^x - 1) times one of them, so nothing is summed.
        """
        n, shift = float(self.periods), float(self.defer)
        charge = into["fee_minor"]
        if not charge.any():
            return np.zeros(len(advance), dtype=np.bool_)
        some = each.astype(np.float64)
        moments = [some * n, some * (n * (n + 1.0) / 2.0), some * (n * (n + 1.0) * (2.0 * n + 1.0) / 6.0)]
        more_first = None if extra_first is None else extra_first.astype(np.float64)
        more_last = None if extra_last is None else extra_last.astype(np.float64)
        counts = [count.astype(np.float64) for count in ones]
        if more_first is not None:
            moments = [moment + more_first for moment in moments]
        if more_last is not None:
            moments = [moment + more_last * n**power for power, moment in enumerate(moments)]
        for count in counts:
            moments[0] = moments[0] + count
            moments[1] = moments[1] + count * (count + 1.0) / 2.0
            moments[2] = moments[2] + count * (count + 1.0) * (2.0 * count + 1.0) / 6.0

        def value(x: Floats) -> tuple[Floats, Floats]:
            growth = np.expm1(x)  # the rate of a period
            lost = -np.expm1(x * -n)  # 1 - v^n
            annuity = lost / growth
            worth = some * annuity
            falls = some * (annuity * (1.0 + growth) - n * (1.0 - lost)) / growth
            if more_first is not None:
                early = more_first / (1.0 + growth)
                worth += early
                falls += early
            if more_last is not None:
                late = more_last * (1.0 - lost)
                worth += late
                falls += late * n
            for count in counts:
                units = -np.expm1(x * -count) / growth
                worth += units
                falls += (units * (1.0 + growth) - count * np.exp(x * -count)) / growth
            return worth, falls

        return self._solved(advance, charge, moments, shift, value, into)

    def _rate_of_any(self, advance: Ints, totals: Ints, into: dict[str, Any]) -> Bools:
        """The rate of any payments, one row of `totals` for each period."""
        paid = totals.astype(np.float64)
        charge = into["fee_minor"]
        if not charge.any():
            return np.zeros(len(advance), dtype=np.bool_)
        times = np.arange(1.0, self.periods + 1.0)
        moments = [times**power @ paid for power in range(3)]

        def value(x: Floats) -> tuple[Floats, Floats]:
            v = np.exp(-x)
            worth, falls = np.zeros_like(x), np.zeros_like(x)
            for number in range(self.periods - 1, -1, -1):
                # Horner, with the derivative beside it: worth = v (c + worth), falls = worth + v falls.
                worth += paid[number]
                worth *= v
                falls *= v
                falls += worth
            return worth, falls

        return self._solved(advance, charge, moments, float(self.defer), value, into)

    def _solved(
        self,
        advance: Ints,
        charge: Ints,
        moments: list[Floats],
        shift: float,
        value: Callable[[Floats], tuple[Floats, Floats]],
        into: dict[str, Any],
    ) -> Bools:
        """Newton on the logarithm of present value over x = ln(1 + i), from the payments' mean time and its spread.

        `value` gives the present value, `shift` periods later than it counts, and how fast it falls.
        """
        lent = advance.astype(np.float64)
        free = charge == 0
        # Rows that are priced with more care hold anything at all; their divisions by zero are nobody's concern.
        with np.errstate(all="ignore"):
            height = np.log1p(charge / lent)
            mean = moments[1] / moments[0]
            variance = np.maximum(moments[2] / moments[0] - mean * mean, 0.0)
            mean += shift
            spread = mean * mean - 2.0 * variance * height
            x = 2.0 * height / (mean + np.sqrt(np.maximum(spread, 0.0)))
            # Where nothing is charged any rate will do: the answer is 0 whatever is found.
            x[free] = _ANY
            for _ in range(_ROUNDS):
                worth, falls = value(x)
                over = np.log(worth / lent)
                if shift:
                    over -= shift * x
                x += over / (falls / worth + shift)
                far = (np.abs(over) > _NEAR) & ~free
                if not far.any():
                    break
            simple, compounded = np.expm1(x) * self.yearly, np.expm1(x * self.yearly)
            wrong: Bools = (far | ~((simple > 0.0) & (simple <= _HIGH) & (compounded <= _HIGH))) & ~free
            for name, rate in (("simple_e12", simple), ("compounded_e12", compounded)):
                rate[wrong] = 0.0
                # A charge is never shown as free, however small.
                whole = np.maximum(np.rint(rate * 1e12).astype(np.int64), 1)
                whole[free] = 0
                into[name][:] = whole
        return wrong


class _Rounding:
    """amount x ratio in whole minor units, a half to even, exactly: for amounts of at most `most`."""

    def __init__(self, ratio: Fraction, most: int) -> None:
        self.ratio = ratio
        self.over, self.under = ratio.numerator, ratio.denominator
        self.direct = most * self.over * 2 + self.under < 2**63 and self.under < 2**61

    def __call__(self, amounts: Ints) -> Ints:
        if not self.direct:
            return _share_wide(amounts, self.ratio)
        # floor(p/u + 1/2) rounds a half up; where that half was one, and made an odd number, it is one less.
        doubled = amounts * (2 * self.over)
        doubled += self.under
        whole: Ints = doubled // (2 * self.under)
        if self.under % 2 == 0:
            doubled -= whole * (2 * self.under)
            tie = doubled == 0
            if tie.any():
                whole -= tie & (whole & 1).astype(np.bool_)
        return whole


def _share(amounts: Ints, ratio: Fraction) -> Ints:
    """amount x ratio in whole minor units, a half to even, exactly."""
    return _Rounding(ratio, int(amounts.max(initial=1)))(amounts)


_SCALE: Final = 62


def _share_wide(amounts: Ints, ratio: Fraction) -> Ints:
    """The same for a ratio whose terms are too large for 64 bits, such as an annuity's.

    The ratio is cut to 62 binary digits and multiplied in two halves; the few products that come too near a half to
    tell are done again in Python's integers, as are amounts of more than 31 bits.
    """
    scaled = (ratio.numerator << _SCALE) // ratio.denominator
    whole, fraction = divmod(scaled, 1 << _SCALE)
    high, low = divmod(fraction, 1 << 31)
    small = np.where((amounts >= 0) & (amounts < 2**31), amounts, 0)
    # amount x fraction = (amount x high + amount x low / 2**31) / 2**31, short by less than 2 units of 2**-31.
    halves = small * high + ((small * low) >> 31)
    rounded: Ints = ((halves + (1 << 30)) >> 31) + small * (whole if whole < 2**31 else 0)
    near = np.abs((halves & ((1 << 31) - 1)) - (1 << 30)) <= 3
    for row in np.flatnonzero(near | (small != amounts) | (whole >= 2**31)).tolist():
        rounded[row] = round_half_even(int(amounts[row]) * ratio.numerator, ratio.denominator)
    return rounded
