"""A schedule: what is paid when, to the fen.

`build_schedule` applies a plan to an amount on a date. Everything is integer arithmetic: a flat fee and
its shares follow the plan's residue rule, an annuity rounds each row half to even and lets the last row
absorb what is left. That is the short way, for what most checkouts ask; every other pricing and convention
goes through `fenqi.terms.interest` and `fenqi.terms.amortization`, which give the same where both apply. A
holiday moves the day on which something is due, never what is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal

import msgspec

from fenqi.business_days import SHIPPED
from fenqi.calendars import (
    BusinessCalendar,
    Holiday,
    due_dates,
    period_dates,
    regular_start,
    to_business_day,
)
from fenqi.money import Residue, check_minor, round_half_even
from fenqi.terms.amortization import Accrual, amortize
from fenqi.terms.charges import Charging, charge, charging_of, split_by_multiple
from fenqi.terms.interest import Period, period_factor, period_factors, period_rate
from fenqi.terms.plan import (
    Annuity,
    DownPayment,
    EqualPrincipal,
    FlatFee,
    FlatInterest,
    InterestOnly,
    Party,
    PayInFull,
    Plan,
    TermsError,
    check_plan,
)
from fenqi.terms.rent import Lease, LeaseFigures, Pledge

__all__ = ["Borne", "Charge", "Row", "RowKind", "Schedule", "build_schedule", "check_terms", "periods_of"]

RowKind = Literal[
    "down_payment",
    "up_front",
    "instalment",
    "payment",
    "deposit",
    "rent",
    "buyout",
    "goods_return",
    "deposit_return",
    "extra",
]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One payment: the part that pays the price back, and the part that is its cost (interest and fees).

    What is paid at the start, a down payment or fees (`up_front`), is number 0; instalments count from 1; a full payment is
    number 1. A lease's rows have rent and deposit; a deposit given back is negative.
    """

    number: int
    kind: RowKind
    due_on: date
    principal_minor: int
    fee_minor: int
    rent_minor: int = 0
    deposit_minor: int = 0

    @property
    def total_minor(self) -> int:
        """What the customer pays on the day."""
        return self.principal_minor + self.fee_minor + self.rent_minor + self.deposit_minor


class Charge(msgspec.Struct, frozen=True):
    """One of the costs in a schedule: its code, who receives it, and its part of each row, in the rows' order."""

    code: str
    payee: str
    by_row_minor: tuple[int, ...]

    @property
    def total_minor(self) -> int:
        """The whole of it."""
        return sum(self.by_row_minor)


class Borne(msgspec.Struct, frozen=True):
    """What somebody else than the customer bears of the plan's own pricing, paid to its payee at the start."""

    party: Party
    amount_minor: int


class Schedule(msgspec.Struct, frozen=True):
    """Every payment of one way to pay for `amount_minor`.

    amount = down payment + financed; total = amount + fee = the sum of the rows. `charges` divide the fee where it has
    several parts (empty: all of it is the plan's `fee_code`). `borne` is what others pay; it is in no row. `start_on` is
    the day from which time is counted: a first period of another length costs by its days. `calendar` names the business
    calendar (and its version) by which due dates moved. A lease's figures are in
    `lease`: its fee is what it costs beyond the price, or all of it where nothing is owned at the end, and so nothing financed.
    """

    currency: str
    amount_minor: int
    down_payment_minor: int
    financed_minor: int
    fee_minor: int
    total_minor: int
    rows: tuple[Row, ...]
    charges: tuple[Charge, ...] = ()
    borne: tuple[Borne, ...] = ()
    start_on: date | None = None
    lease: LeaseFigures | None = None
    calendar: str | None = None


def build_schedule(
    plan: Plan,
    amount_minor: int,
    currency: str,
    start_on: date,
    calendars: Mapping[str, BusinessCalendar] = SHIPPED,
    *,
    deposit_waived: bool = False,
    dates_from: date | None = None,
    unpaid_on: date | None = None,
) -> Schedule:
    """The dated payments of `plan` for an amount, starting on `start_on` (the shop's date).

    A lease is followed to ownership where it can be had, else to the goods' return; `fenqi.terms.lease` has the other paths.

    `dates_from`: the day from which due dates are counted where it is an earlier one, such as that of the application;
    interest still begins at the start. `unpaid_on`: the schedule as it stands on that day if nothing has been paid: principal
    that fell due bears interest up to then, instalments stay, the last one grows. None of this touches a pricing without interest on a balance.

    `calendars` are those that a plan may name. Raises `TermsError` where the plan itself is wrong, names a calendar that
    there is not, or its down payment leaves nothing to finance; `MoneyError` where the amount cannot be used;
    `CalendarError` where a due date lies beyond what the plan's calendar knows.

    >>> from decimal import Decimal
    >>> plan = Plan("mall-12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")))
    >>> bill = build_schedule(plan, 600_000, "CNY", date(2026, 11, 23))
    >>> bill.fee_minor, bill.rows[0].total_minor, bill.rows[11].due_on.isoformat()
    (43200, 53600, '2027-11-23')
    """
    terms = _prepared(plan)
    if terms.elsewhere:
        return _built_elsewhere(plan, amount_minor, currency, start_on, deposit_waived)
    check_minor(amount_minor, currency)
    if amount_minor == 0:
        raise TermsError("amount_minor", amount_minor, "more than 0")
    if terms.at_once:
        row = Row(1, "payment", start_on, amount_minor, 0)
        return Schedule(currency, amount_minor, 0, amount_minor, 0, amount_minor, (row,), start_on=start_on)

    down_minor = terms.down_minor
    if terms.down_numerator:
        down_minor = _down_of(terms, amount_minor)
    financed = amount_minor - down_minor
    if financed <= 0:
        raise TermsError("amount_minor", amount_minor, f"more than the down payment of {down_minor}")
    periods = terms.periods
    counted_from = dates_from or start_on
    dates = due_dates(
        counted_from, plan.unit, plan.every, periods, plan.defer_periods, plan.due_day, plan.min_first_days
    )
    calendar = None
    if plan.calendar is not None:
        known = _calendar_of(plan, plan.calendar, calendars)
        dates, calendar = _moved(dates, start_on, plan.holiday, known), known.name

    if terms.bears_interest:
        if terms.annuity_numerator and dates_from is None and unpaid_on is None:
            rows, fee = _annuity_rows(terms, financed, dates)
        else:
            rows, fee = _interest_rows(
                terms, amount_minor, financed, start_on, counted_from, dates, unpaid_on
            )
    else:
        fee = 0
        if terms.fee_numerator:
            fee = round_half_even(financed * terms.fee_numerator, terms.fee_denominator)
        if fee < terms.fee_minimum:
            fee = terms.fee_minimum
        rows = _even_rows(terms, financed, fee, dates)
    if terms.charging is not None:
        return _charged(terms.charging, rows, currency, amount_minor, down_minor, start_on, calendar)
    if down_minor:
        rows.insert(0, Row(0, "down_payment", start_on, down_minor, 0))
    return Schedule(
        currency,
        amount_minor,
        down_minor,
        financed,
        fee,
        amount_minor + fee,
        tuple(rows),
        start_on=start_on,
        calendar=calendar,
    )


def check_terms(plan: Plan) -> None:
    """Raises `TermsError` where no schedule can be built from the plan. It looks once at each."""
    _prepared(plan)


def _built_elsewhere(
    plan: Plan, amount_minor: int, currency: str, start_on: date, deposit_waived: bool
) -> Schedule:
    # Leases are made of this module's rows, so that it cannot import them while it is read itself.
    from fenqi.terms.lease import build_lease, build_pledge

    if isinstance(plan.pricing, Pledge):
        return build_pledge(plan, amount_minor, currency, start_on)
    return build_lease(plan, amount_minor, currency, start_on, deposit_waived=deposit_waived)


def _calendar_of(plan: Plan, name: str, calendars: Mapping[str, BusinessCalendar]) -> BusinessCalendar:
    calendar = calendars.get(name)
    if calendar is None:
        raise TermsError(f"plan {plan.id}: calendar", name, "one of " + ", ".join(sorted(calendars)))
    return calendar


@lru_cache(maxsize=1024)
def _moved(
    dates: tuple[date, ...], start_on: date, holiday: Holiday, calendar: BusinessCalendar
) -> tuple[date, ...]:
    moved = []
    for due_on in dates:
        on = to_business_day(due_on, holiday, calendar)
        # Nothing falls due before there is anything to pay for.
        moved.append(on if on > start_on else to_business_day(due_on, "following", calendar))
    return tuple(moved)


def _charged(
    charging: Charging,
    rows: list[Row],
    currency: str,
    amount_minor: int,
    down_minor: int,
    start_on: date,
    calendar: str | None,
) -> Schedule:
    """The schedule with every charge where its timing puts it. What is paid at the start is one row."""
    financed = amount_minor - down_minor
    charged = charge(charging, financed, [row.fee_minor for row in rows])
    fees = [sum(parts) for parts in zip(*charged.by_row, strict=True)]
    made = [
        Row(row.number, row.kind, row.due_on, row.principal_minor, fee)
        for row, fee in zip(rows, fees, strict=True)
    ]
    at_start = sum(charged.at_start)
    if down_minor or at_start:
        made.insert(0, Row(0, "down_payment" if down_minor else "up_front", start_on, down_minor, at_start))
    fee_minor = sum(fees) + at_start
    charges: tuple[Charge, ...] = ()
    if len(charged.codes) > 1:
        charges = tuple(
            Charge(code, payee, (start, *parts) if down_minor or at_start else parts)
            for (code, payee), start, parts in zip(
                charged.codes, charged.at_start, charged.by_row, strict=True
            )
        )
    return Schedule(
        currency,
        amount_minor,
        down_minor,
        financed,
        fee_minor,
        amount_minor + fee_minor,
        tuple(made),
        charges,
        tuple(Borne(party, part) for party, part in charged.borne),
        start_on,
        calendar=calendar,
    )


class _Prepared(msgspec.Struct, frozen=True):
    """A checked plan with its rates as integer ratios, so that a schedule is integer work alone."""

    plan: Plan
    at_once: bool
    elsewhere: bool
    bears_interest: bool
    periods: int
    residue: Residue
    down_minor: int = 0
    down_numerator: int = 0
    down_denominator: int = 1
    fee_numerator: int = 0
    fee_denominator: int = 1
    fee_minimum: int = 0
    annuity_numerator: int = 0
    annuity_denominator: int = 1
    interest_numerator: int = 0
    interest_denominator: int = 1
    multiple: int = 1
    charging: Charging | None = None
    accrued: dict[date, _Accrued] = {}


# Keyed by identity: hashing a plan costs more than building its schedule. The entry holds its plan, so
# an id cannot come to mean another plan while the entry stands.
_PREPARED: Final[dict[int, _Prepared]] = {}
_PREPARED_LIMIT: Final = 4096


def _prepared(plan: Plan) -> _Prepared:
    known = _PREPARED.get(id(plan))
    if known is not None and known.plan is plan:
        return known
    terms = _prepare(plan)
    if len(_PREPARED) >= _PREPARED_LIMIT:
        _PREPARED.clear()
    _PREPARED[id(plan)] = terms
    return terms


def _prepare(plan: Plan) -> _Prepared:
    problems = check_plan(plan)
    if problems:
        worst = problems[0]
        raise TermsError(f"plan {plan.id}: {worst.place}", worst.value, worst.expected, worst.way_out)
    down_minor, down_rate = _down(plan.down_payment)
    fee, fee_minimum = Fraction(0), 0
    annuity = interest = Fraction(0)
    pricing = plan.pricing
    if isinstance(pricing, FlatFee):
        if pricing.rate_per_period is not None:
            fee = Fraction(pricing.rate_per_period) * plan.periods
        elif pricing.total_rate is not None:
            fee = Fraction(pricing.total_rate)
        fee_minimum = pricing.minimum_minor
    elif isinstance(pricing, Annuity) and pricing.annual_rate and _is_plain(plan):
        interest = period_rate(Fraction(pricing.annual_rate), plan.unit, plan.every)
        growth = (1 + interest) ** plan.periods
        annuity = interest * Fraction(growth, growth - 1)
    return _Prepared(
        plan=plan,
        at_once=isinstance(pricing, PayInFull),
        elsewhere=isinstance(pricing, (Lease, Pledge)),
        # Without a rate, a plain annuity is split like what is free of interest.
        bears_interest=isinstance(pricing, _BEAR_INTEREST) and (bool(annuity) or not _is_plain(plan)),
        periods=plan.periods,
        residue=plan.residue,
        down_minor=down_minor,
        down_numerator=down_rate.numerator,
        down_denominator=down_rate.denominator,
        fee_numerator=fee.numerator,
        fee_denominator=fee.denominator,
        fee_minimum=fee_minimum,
        annuity_numerator=annuity.numerator,
        annuity_denominator=annuity.denominator,
        interest_numerator=interest.numerator,
        interest_denominator=interest.denominator,
        multiple=plan.conventions.instalment_multiple_minor,
        charging=charging_of(plan),
    )


_BEAR_INTEREST: Final = (Annuity, EqualPrincipal, InterestOnly, FlatInterest)


def _is_plain(plan: Plan) -> bool:
    """Whether this is an annuity of whole periods, exactly, which has its own short way."""
    rules = plan.conventions
    return (
        isinstance(plan.pricing, Annuity)
        and plan.pricing.balloon is None
        and rules.day_count == "period"
        and rules.rounding == "half_even"
        and rules.digits is None
        and rules.instalment_multiple_minor == 1
        and not rules.smoothing
        and not (plan.grace_principal or plan.grace_interest or plan.interest_free_periods)
        and plan.deferral_interest == "none"
        and (plan.due_day is None or plan.odd_first == "whole")
    )


def _down(down: DownPayment | None) -> tuple[int, Fraction]:
    if down is None:
        return 0, Fraction(0)
    if down.amount_minor is not None:
        return down.amount_minor, Fraction(0)
    return 0, Fraction(down.share or 0)


def _down_of(terms: _Prepared, amount_minor: int) -> int:
    """A share of the price in whole minor units, then in whole multiples unless that leaves nothing of it."""
    down = round_half_even(amount_minor * terms.down_numerator, terms.down_denominator)
    if terms.multiple == 1:
        return down
    return round_half_even(down, terms.multiple) * terms.multiple or down


def _even_rows(terms: _Prepared, financed: int, fee: int, dates: tuple[date, ...]) -> list[Row]:
    """Principal and fee, each split evenly with what does not divide where the plan puts it."""
    principal = split_by_multiple(financed, terms.periods, terms.residue, terms.multiple)
    share = split_by_multiple(fee, terms.periods, terms.residue, terms.multiple)
    return [
        Row(number, "instalment", due_on, principal[number - 1], share[number - 1])
        for number, due_on in enumerate(dates, 1)
    ]


def _annuity_rows(terms: _Prepared, financed: int, dates: tuple[date, ...]) -> tuple[list[Row], int]:
    """Equal totals; interest on the balance, half to even; the last row pays what is left."""
    over, under = terms.interest_numerator, terms.interest_denominator
    instalment = round_half_even(financed * terms.annuity_numerator, terms.annuity_denominator)
    balance, charged = financed, 0
    rows: list[Row] = []
    last = terms.periods
    for number, due_on in enumerate(dates, 1):
        whole, rest = divmod(balance * over, under)
        rest *= 2
        if rest > under or (rest == under and whole & 1):
            whole += 1
        principal = balance if number == last else min(instalment - whole, balance)
        balance -= principal
        charged += whole
        rows.append(Row(number, "instalment", due_on, principal, whole))
    return rows, charged


def _interest_rows(
    terms: _Prepared,
    amount_minor: int,
    financed: int,
    start_on: date,
    counted_from: date,
    dates: tuple[date, ...],
    unpaid_on: date | None,
) -> tuple[list[Row], int]:
    """Rows by the plan's pricing and conventions. Interest runs to the day agreed, also where `dates` moved for a holiday."""
    plan = terms.plan
    accrued = _accrued(terms, counted_from)
    first = accrued.periods[0]
    if not counted_from <= start_on < first.due_on:
        raise TermsError(
            "start_on", start_on.isoformat(), f"a day from {counted_from} to before {first.due_on}"
        )
    factors = accrued.factors
    waited = plan.defer_periods
    accruals: list[Accrual | None] = []
    if start_on > counted_from or unpaid_on is not None:
        late_on = start_on if start_on > counted_from else None
        accruals = [
            _accrual(plan, accrued.rate, period, late_on, unpaid_on) for period in accrued.periods[waited:]
        ]
        if late_on is not None:
            rest = _part(plan, accrued.rate, first, late_on, None)
            # The equal instalment is that of whole periods; only the interest begins later.
            before = Fraction(0) if waited else _part(plan, accrued.rate, first, None, late_on)
            factors = (before + rest, *factors[1:])
    parts = amortize(
        plan,
        financed,
        factors[waited:],
        price_minor=amount_minor,
        days=accrued.days[waited:],
        accruals=accruals,
        deferral_factor=sum(factors[:waited], Fraction(0)),
    )
    rows = [
        Row(number, "instalment", due_on, principal, interest)
        for number, (due_on, (principal, interest)) in enumerate(zip(dates, parts, strict=True), 1)
    ]
    return rows, sum(part.interest_minor for part in parts)


class _Accrued(msgspec.Struct, frozen=True):
    """How interest runs from one day on: the same for every amount."""

    rate: Fraction
    periods: list[Period]
    factors: tuple[Fraction, ...]
    days: list[int]


_ACCRUED_LIMIT: Final = 32


def _accrued(terms: _Prepared, counted_from: date) -> _Accrued:
    known = terms.accrued.get(counted_from)
    if known is not None:
        return known
    plan = terms.plan
    pricing = plan.pricing
    rate = Fraction(pricing.annual_rate) if isinstance(pricing, _BEAR_INTEREST) else Fraction(0)
    periods = periods_of(plan, counted_from)
    factors = period_factors(rate, plan.conventions, plan.unit, plan.every, periods)
    accrued = _Accrued(rate, periods, factors, [(period.due_on - period.from_on).days for period in periods])
    if len(terms.accrued) >= _ACCRUED_LIMIT:
        terms.accrued.clear()
    terms.accrued[counted_from] = accrued
    return accrued


def _part(plan: Plan, rate: Fraction, period: Period, since: date | None, until: date | None) -> Fraction:
    return period_factor(rate, plan.conventions, plan.unit, plan.every, period, since, until)


def periods_of(plan: Plan, counted_from: date) -> list[Period]:
    """The periods for which interest is reckoned: the deferred ones, then those that end with an instalment.

    They end on the days agreed, also where a holiday moves the day on which an instalment is due.
    """
    days = period_dates(
        counted_from,
        plan.unit,
        plan.every,
        plan.periods,
        plan.defer_periods,
        plan.due_day,
        plan.min_first_days,
    )
    periods = [Period(from_on, due_on) for from_on, due_on in pairwise(days)]
    if plan.due_day is not None:
        whole_from = regular_start(counted_from, plan.unit, plan.due_day, plan.min_first_days)
        first_due = periods[0].due_on
        if plan.odd_first == "by_days":
            periods[0] = Period(counted_from, first_due, whole_from)
        else:
            periods[0] = Period(whole_from, first_due)
    return periods


def _accrual(
    plan: Plan,
    rate: Fraction,
    period: Period,
    late_on: date | None,
    unpaid_on: date | None,
) -> Accrual | None:
    """How interest runs in a period in which the money came later, or what fell due is not paid yet."""
    whole_days = (period.due_on - period.from_on).days
    if late_on is not None and period.from_on < late_on < period.due_on:
        left = (period.due_on - late_on).days
        return Accrual(False, Fraction(0), 0, whole_days, _part(plan, rate, period, late_on, None), left)
    if unpaid_on is None or unpaid_on <= period.from_on:
        return None
    until = min(unpaid_on, period.due_on)
    left = (period.due_on - until).days
    return Accrual(
        True,
        _part(plan, rate, period, None, None),
        whole_days - left,
        whole_days,
        _part(plan, rate, period, until, None),
        left,
    )
