"""Amortization: which part of each instalment pays the price back, and which part is interest.

Every pricing is one loop over the rows: interest on what is still owed (or on what was first financed), and a principal
that a rule gives: what the equal instalment leaves, an even share, or nothing until the last row. What differs by custom
(digits, rounding, multiples, smoothing, grace) is asked of the plan's conventions and changes no rule.

Whatever the conventions: principal adds up to the amount financed, no part is negative, and the last row pays what is left.

>>> from decimal import Decimal
>>> from fenqi.terms.plan import Annuity, Plan
>>> plan = Plan("loan-3", "loan", "lender", "loan", 3, Annuity(Decimal("0.12")))
>>> [(row.principal_minor, row.interest_minor) for row in amortize(plan, 100_000, [Fraction(1, 100)] * 3)]
[(33002, 1000), (33332, 670), (33666, 337)]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import lcm
from typing import Final, NamedTuple

import msgspec

from fenqi.money import Residue, Rounding, round_ratio, round_to_multiple
from fenqi.terms.charges import split_by_multiple
from fenqi.terms.interest import arithmetic_of
from fenqi.terms.plan import (
    Annuity,
    Balloon,
    Conventions,
    EqualPrincipal,
    FlatInterest,
    InterestOnly,
    Plan,
    TermsError,
)

__all__ = ["Accrual", "Parts", "Piece", "amortize", "equal_instalment", "interest_in_pieces"]

_SMOOTHING_ROUNDS: Final = 3
_DECIMAL_ROUNDING: Final[dict[Rounding, str]] = {
    "half_even": ROUND_HALF_EVEN,
    "half_up": ROUND_HALF_UP,
    "up": ROUND_CEILING,
}
_WIDE: Final = arithmetic_of(200)
"""Wide enough for a sum of bounded figures to be exact."""


class Parts(NamedTuple):
    """What one row pays: its part of the price, and its interest."""

    principal_minor: int
    interest_minor: int


class Piece(NamedTuple):
    """A balance that bears interest for the first `days` of the `whole_days` that `factor` is for."""

    balance: int
    factor: Fraction
    days: int
    whole_days: int


class Accrual(msgspec.Struct, frozen=True, gc=False):
    """How one row's interest runs where it does not run on the balance for the whole period.

    `unpaid`: for its first `days` of `whole_days` the whole amount financed is owed, since nothing was paid (`factor` is that
    of the whole period), and from then on the balance at `rest_factor` for `rest_days`. Otherwise nothing is owed
    until then, since the money came later.
    """

    unpaid: bool
    factor: Fraction
    days: int
    whole_days: int
    rest_factor: Fraction
    rest_days: int


class _Terms(msgspec.Struct, frozen=True):
    """What the loop over the rows needs, with the balance already standing at what is to be amortized."""

    owed: int
    factors: Sequence[Fraction]
    decimals: Sequence[Decimal]
    days: Sequence[int]
    accruals: Sequence[Accrual | None]
    grace: int
    balloon: int
    conventions: Conventions


def amortize(
    plan: Plan,
    financed_minor: int,
    factors: Sequence[Fraction],
    *,
    price_minor: int | None = None,
    days: Sequence[int] = (),
    accruals: Sequence[Accrual | None] = (),
    deferral_factor: Fraction = Fraction(0),
) -> tuple[Parts, ...]:
    """Principal and interest of each row, one for each of `factors`.

    `price_minor` is the price with the down payment (only a flat interest on the price asks for it). `days` of the
    periods matter where digits are bounded; `accruals` stand for rows whose interest runs otherwise (`Accrual`).
    `deferral_factor` is that of the time before the first period, by the plan's `deferral_interest`. Raises `TermsError`
    for a pricing without interest rows, or a balloon of more than is financed.
    """
    count = len(factors)
    rules = plan.conventions
    factors = [Fraction(0) if number < plan.interest_free_periods else f for number, f in enumerate(factors)]
    deferred = 0
    if deferral_factor and plan.deferral_interest != "none":
        deferred = _interest_on(financed_minor, deferral_factor, 1, rules)
    capitalised = deferred if plan.deferral_interest == "capitalised" else 0
    terms = _Terms(
        owed=financed_minor + capitalised,
        factors=factors,
        decimals=() if rules.digits is None else [_exactly(factor) for factor in factors],
        days=days or (1,) * count,
        accruals=accruals or (None,) * count,
        grace=min(plan.grace_principal, count - 1),
        balloon=0,
        conventions=rules,
    )
    pricing = plan.pricing
    if isinstance(pricing, Annuity):
        rows = _annuity(_with_balloon(terms, pricing.balloon, financed_minor))
    elif isinstance(pricing, EqualPrincipal):
        terms = _with_balloon(terms, pricing.balloon, financed_minor)
        rows = _on_balance(terms, _even_principal(terms, plan.residue))
    elif isinstance(pricing, InterestOnly):
        rows = _on_balance(terms, lambda number, interest: 0)
    elif isinstance(pricing, FlatInterest):
        base = financed_minor
        if rules.flat_interest_on == "price" and price_minor is not None:
            base = price_minor
        rows = _flat(terms, base, plan.interest_free_periods)
    else:
        raise TermsError(f"plan {plan.id}: pricing.kind", type(pricing).__name__, "a pricing with interest")
    if plan.grace_interest:
        rows = _interest_later(rows, min(plan.grace_interest, count - 1))
    if capitalised:
        rows = _apart(rows, capitalised)
    elif deferred:
        rows[0] = Parts(rows[0].principal_minor, rows[0].interest_minor + deferred)
    return tuple(rows)


def equal_instalment(
    owed_minor: int, factors: Sequence[Fraction], conventions: Conventions, balloon_minor: int = 0
) -> int:
    """The instalment that, paid in every period, pays `owed_minor` back but for a balloon at the end.

    (P · Π(1 + f) - balloon) / F with F₁ = 1, Fₖ = 1 + Fₖ₋₁ · (1 + fₖ), rounded, then to the multiple of the conventions.

    >>> equal_instalment(100_000, [Fraction(1, 100)] * 3, Conventions())
    34002
    """
    digits = conventions.digits
    if digits is None:
        # All over one denominator: exact, and integers alone.
        under = lcm(*(factor.denominator for factor in factors))
        grown, sum_, power = 1, 0, 1
        for number, factor in enumerate(factors):
            growth = under + factor.numerator * (under // factor.denominator)
            grown *= growth
            sum_ = sum_ * growth + power if number else 1
            power *= under
        # power is now under**n; F is over under**(n-1).
        value = round_ratio(owed_minor * grown - balloon_minor * power, under * sum_, conventions.rounding)
    else:
        context = arithmetic_of(digits)
        grown_ = series = Decimal(1)
        for number, factor in enumerate(factors):
            growth_ = _WIDE.add(Decimal(1), _exactly(factor))
            grown_ = context.multiply(grown_, growth_)
            if number:
                series = context.add(Decimal(1), context.multiply(series, growth_))
        due = context.multiply(grown_, Decimal(owed_minor))
        due = context.divide(context.subtract(due, Decimal(balloon_minor)), series)
        value = _to_minor(due, conventions.rounding)
    return round_to_multiple(max(value, 0), conventions.instalment_multiple_minor, conventions.rounding)


def _with_balloon(terms: _Terms, balloon: Balloon | None, financed: int) -> _Terms:
    if balloon is None:
        return terms
    amount = balloon.amount_minor or 0
    if balloon.share is not None:
        over, under = balloon.share.as_integer_ratio()
        amount = round_ratio(financed * over, under, terms.conventions.rounding)
    if not 0 <= amount <= financed:
        raise TermsError("pricing.balloon", amount, f"at most the {financed} that are financed")
    return msgspec.structs.replace(terms, balloon=amount)


def _annuity(terms: _Terms) -> list[Parts]:
    paying = terms.factors[terms.grace :]
    instalment = equal_instalment(terms.owed, paying, terms.conventions, terms.balloon)
    if terms.conventions.smoothing:
        # As agreed: what falls due unpaid later moves no instalment.
        agreed = tuple(None if accrual is None or accrual.unpaid else accrual for accrual in terms.accruals)
        instalment = _smoothed(msgspec.structs.replace(terms, accruals=agreed), instalment)
    return _equal_rows(terms, instalment)


def _equal_rows(terms: _Terms, instalment: int) -> list[Parts]:
    return _on_balance(
        terms, lambda number, interest: 0 if number < terms.grace else instalment - interest, instalment
    )


def _smoothed(terms: _Terms, instalment: int) -> int:
    """Move the instalment by the n-th part of the last row's distance, as long as that brings it nearer."""
    count = len(terms.factors) - terms.grace
    half = count // 2
    rules = terms.conventions
    apart = _last_apart(terms, _equal_rows(terms, instalment))
    for _ in range(_SMOOTHING_ROUNDS):
        if not half or abs(apart) <= half:
            break
        moved = instalment + _share_of(apart, count, rules)
        moved = round_to_multiple(moved, rules.instalment_multiple_minor, rules.rounding)
        if moved == instalment:
            break
        apart_moved = _last_apart(terms, _equal_rows(terms, moved))
        if abs(apart_moved) >= abs(apart):
            break
        instalment, apart = moved, apart_moved
    return instalment


def _last_apart(terms: _Terms, rows: list[Parts]) -> int:
    """How far the last row that is paid, less the balloon, is from the one before."""
    totals = [sum(row) for row in rows[terms.grace :]]
    totals[-1] -= terms.balloon
    while len(totals) > 1 and not totals[-1]:
        totals.pop()
    return totals[-1] - totals[-2] if len(totals) > 1 else 0


def _share_of(total: int, count: int, rules: Conventions) -> int:
    if rules.digits is None:
        return round_ratio(total, count, rules.rounding)
    return _to_minor(arithmetic_of(rules.digits).divide(Decimal(total), Decimal(count)), rules.rounding)


def _even_principal(terms: _Terms, residue: Residue) -> Callable[[int, int], int]:
    """The same principal in each row after the grace, before the balloon."""
    multiple = terms.conventions.instalment_multiple_minor
    even = split_by_multiple(terms.owed - terms.balloon, len(terms.factors) - terms.grace, residue, multiple)
    parts = (*(0,) * terms.grace, *even)
    return lambda number, interest: parts[number]


def _on_balance(
    terms: _Terms, principal_of: Callable[[int, int], int], most: int | None = None
) -> list[Parts]:
    """The rows where interest is on the balance and `principal_of(number, interest)` says what is paid back.

    Interest beyond the equal instalment (`most`) is paid with the next row, and bears none itself.
    """
    balance = terms.owed
    carried = 0
    rows: list[Parts] = []
    last = len(terms.factors) - 1
    for number in range(last + 1):
        interest = _interest(terms, number, balance) + carried
        if number == last:
            rows.append(Parts(balance, interest))
            break
        carried = 0
        if most is not None and number >= terms.grace and interest > most:
            carried, interest = interest - most, most
        principal = min(max(principal_of(number, interest), 0), balance)
        balance -= principal
        rows.append(Parts(principal, interest))
    return rows


def _flat(terms: _Terms, base: int, free: int) -> list[Parts]:
    """Interest on `base` throughout. Worked out by period, all instalments are equal; in total, principal and interest each are
    split evenly. The last row pays what is left of either.
    """
    rules = terms.conventions
    count = len(terms.factors)
    paying = count - terms.grace
    multiple = rules.instalment_multiple_minor
    if rules.flat_interest_split == "by_period":
        interest = [_interest_on(base, f, d, rules) for f, d in zip(terms.factors, terms.days, strict=True)]
        equal = _share_of(terms.owed + sum(interest[terms.grace :]), paying, rules)
        totals = [round_to_multiple(equal, multiple, rules.rounding)] * count
    else:
        interest = _even_interest(terms, base, min(free, count - 1))
        equal = _share_of(terms.owed, paying, rules)
        totals = [round_to_multiple(equal + charge, multiple, rules.rounding) for charge in interest]
    rows: list[Parts] = []
    balance = terms.owed
    for number, (total, charge) in enumerate(zip(totals, interest, strict=True)):
        principal = 0 if number < terms.grace else min(max(total - charge, 0), balance)
        if number == count - 1:
            principal = balance
        balance -= principal
        rows.append(Parts(principal, charge))
    return rows


def _even_interest(terms: _Terms, base: int, free: int) -> list[int]:
    """The whole interest in equal parts after the free periods; a part that was rounded up never leaves less than nothing."""
    rules = terms.conventions
    count = len(terms.factors)
    left = _interest_on(base, sum(terms.factors, Fraction(0)), 1, rules)
    share = _share_of(left, count - free, rules)
    interest = [0] * count
    for number in range(free, count - 1):
        interest[number] = min(share, left)
        left -= interest[number]
    interest[-1] = left
    return interest


def _interest_later(rows: list[Parts], grace: int) -> list[Parts]:
    """The same principal; the interest of the first rows is paid with the one after them."""
    put_off = sum(row.interest_minor for row in rows[:grace])
    return [
        Parts(
            row.principal_minor,
            0 if number < grace else row.interest_minor + (put_off if number == grace else 0),
        )
        for number, row in enumerate(rows)
    ]


def _apart(rows: list[Parts], capitalised: int) -> list[Parts]:
    """Rows that pay the price and a capitalised interest back, with the latter's share of each told as interest."""
    owed = sum(row.principal_minor for row in rows)
    paid = told = 0
    found: list[Parts] = []
    for principal, interest in rows:
        paid += principal
        share = capitalised * paid // owed - told
        told += share
        found.append(Parts(principal - share, interest + share))
    return found


def _interest(terms: _Terms, number: int, balance: int) -> int:
    rules = terms.conventions
    accrual = terms.accruals[number]
    factor = terms.factors[number]
    if accrual is None or not factor:
        if rules.digits is None:
            return round_ratio(balance * factor.numerator, factor.denominator, rules.rounding)
        days = terms.days[number]
        return _to_minor(_piece(balance, terms.decimals[number], days, days, rules.digits), rules.rounding)
    pieces = [Piece(balance, accrual.rest_factor, accrual.rest_days, accrual.rest_days)]
    if accrual.unpaid:
        pieces.append(Piece(terms.owed, accrual.factor, accrual.days, accrual.whole_days))
    return interest_in_pieces(pieces, rules)


def _interest_on(balance: int, factor: Fraction, days: int, rules: Conventions) -> int:
    if rules.digits is None:
        return round_ratio(balance * factor.numerator, factor.denominator, rules.rounding)
    return interest_in_pieces([Piece(balance, factor, days, days)], rules)


def interest_in_pieces(pieces: Sequence[Piece], rules: Conventions) -> int:
    """Σ balance x factor x days / whole days, rounded once.

    >>> interest_in_pieces([Piece(8357, Fraction(7, 1200), 14, 29)], Conventions())
    24
    """
    if rules.digits is None:
        exact = sum(
            (balance * factor * Fraction(days, whole) for balance, factor, days, whole in pieces if days),
            Fraction(0),
        )
        return round_ratio(exact.numerator, exact.denominator, rules.rounding)
    sum_ = Decimal(0)
    for balance, factor, days, whole in pieces:
        if days:
            sum_ = _WIDE.add(sum_, _piece(balance, _exactly(factor), days, whole, rules.digits))
    return _to_minor(sum_, rules.rounding)


def _piece(balance: int, factor: Decimal, days: int, whole: int, digits: int) -> Decimal:
    # Fineract divides by the days and multiplies again: where cents are halved exactly, that can decide.
    context = arithmetic_of(digits)
    daily = context.divide(context.multiply(Decimal(balance), factor), Decimal(whole))
    return context.multiply(daily, Decimal(days))


def _exactly(factor: Fraction) -> Decimal:
    """A factor that `period_factor` gave with bounded digits: its decimals end."""
    return _WIDE.divide(Decimal(factor.numerator), Decimal(factor.denominator))


def _to_minor(value: Decimal, rounding: Rounding) -> int:
    return int(value.to_integral_value(_DECIMAL_ROUNDING[rounding]))
