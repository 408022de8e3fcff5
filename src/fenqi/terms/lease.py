"""What a lease comes to, to the fen, by the way it ends; and a pledge, which is paid when its campaign succeeds.

`build_lease` follows one path: the goods go back, are bought at the end of the term, or before it, perhaps after a
renewal. Its rows are what changes hands: a deposit that is frozen is in no row unless it is used or lost. On every path

    deposit = credited + returned + lost          total = rents + fees + buyout + deposit lost = the sum of the rows

and with P the price, own = fees + rents + buyout, premium = own / P; giving the goods back costs the same without the
buyout, with the way back. What owning comes to in a year follows from the same rows (`fenqi.terms.cost`): the goods' price
advanced, less the deposit and whatever else is paid on the first day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import msgspec

from fenqi.calendars import due_dates
from fenqi.money import MAX_MINOR, apply_rate, check_minor, split_evenly
from fenqi.terms.intervals import UnitPeriod, odd_periods, periods_per_year
from fenqi.terms.plan import Fee, Plan, TermsError
from fenqi.terms.rent import (
    Buyout,
    Deposit,
    DepositEnd,
    DepositForm,
    Lease,
    LeaseFigures,
    LeasePath,
    Pledge,
)
from fenqi.terms.schedule import Charge, Row, RowKind, Schedule, check_terms

__all__ = [
    "RETURN_SHIPPING",
    "CampaignClosed",
    "Ending",
    "build_lease",
    "build_pledge",
    "default_ending",
    "early_buyout_from",
    "flows_over_time",
]

RETURN_SHIPPING = "return_shipping"
"""The code of what sending the goods back costs, beside the codes of the plan's fees."""


class CampaignClosed(TermsError):
    """A campaign that is over, or so far off that an authorisation would not stand until its end."""


class Ending(msgspec.Struct, frozen=True):
    """How a lease ends: its path, after `renewed_periods` more, or before the term `on` a day. `deposit` overrules what
    becomes of the deposit, for "what if it is lost".
    """

    path: LeasePath
    on: date | None = None
    renewed_periods: int = 0
    deposit: DepositEnd | None = None


def default_ending(plan: Plan) -> Ending:
    """Ownership at the end of the term where the goods can be bought, else their return."""
    return Ending("buy_out" if _lease_of(plan).buyout is not None else "return")


def build_lease(
    plan: Plan,
    amount_minor: int,
    currency: str,
    start_on: date,
    ending: Ending | None = None,
    *,
    deposit_waived: bool = False,
) -> Schedule:
    """The dated payments of a lease of goods priced `amount_minor`, on one path; `lease` has its figures.

    All rents due up to and on the day on which a lease ends early count as paid. Raises `TermsError` where the plan is wrong or
    does not have the path: no buyout, no renewal, a day before the minimum term or outside the days for buying early.

    >>> from fenqi.terms.rent import Deposit, Rent
    >>> terms = Lease(
    ...     rent=Rent(49_900), paid="in_advance", goods="new", buyout=Buyout(160_000),
    ...     deposit=Deposit(amount_minor=100_000, at_end="credited", release_days=3),
    ... )
    >>> plan = Plan("phone-12", "phone", "lessor", "operating_lease", 12, terms)
    >>> own = build_lease(plan, 699_900, "CNY", date(2026, 11, 23))
    >>> own.total_minor, own.rows[0].total_minor, own.rows[1].due_on.isoformat(), own.rows[-1].total_minor
    (758800, 100000, '2026-11-23', 60000)
    """
    check_terms(plan)
    lease = _lease_of(plan)
    check_minor(amount_minor, currency)
    if amount_minor == 0:
        raise TermsError("amount_minor", amount_minor, "more than 0")
    ending = ending or default_ending(plan)
    made = _Made(plan, lease, amount_minor, currency, start_on, ending, deposit_waived)
    return made.schedule()


def build_pledge(plan: Plan, amount_minor: int, currency: str, start_on: date) -> Schedule:
    """One payment, the whole price, on the day of success; nothing at all where the campaign fails.

    Raises `CampaignClosed` where that day is past, or lies beyond what an authorisation stands for.

    >>> plan = Plan("desk", "desk", "card", "pledge", 1, Pledge(success_on=date(2027, 1, 31)))
    >>> [(row.due_on.isoformat(), row.total_minor) for row in build_pledge(plan, 59_900, "CNY", date(2026, 11, 23)).rows]
    [('2027-01-31', 59900)]
    """
    pledge = plan.pricing
    assert isinstance(pledge, Pledge), "the caller has looked"
    check_minor(amount_minor, currency)
    if amount_minor == 0:
        raise TermsError("amount_minor", amount_minor, "more than 0")
    wait = (pledge.success_on - start_on).days
    if wait < 0:
        raise CampaignClosed(
            "start_on", start_on.isoformat(), f"no later than {pledge.success_on}, when the campaign ends"
        )
    if pledge.hold_days is not None and wait > pledge.hold_days:
        raise CampaignClosed(
            "start_on",
            start_on.isoformat(),
            f"at most {pledge.hold_days} days before {pledge.success_on}, since the authorisation lapses then",
            "authorise later",
        )
    row = Row(1, "payment", pledge.success_on, amount_minor, 0)
    return Schedule(currency, amount_minor, 0, amount_minor, 0, amount_minor, (row,), start_on=start_on)


def early_buyout_from(plan: Plan, start_on: date) -> date | None:
    """The first day on which the goods can be bought before the end of the term; None where they cannot."""
    buyout = _lease_of(plan).buyout
    if buyout is None or buyout.early is None:
        return None
    if buyout.early.last_days is None:
        return start_on
    matures_on = due_dates(start_on, plan.unit, plan.every, plan.periods)[-1]
    return max(start_on, matures_on - timedelta(days=buyout.early.last_days))


def flows_over_time(schedule: Schedule, plan: Plan) -> list[tuple[int | Fraction, int]]:
    """What changes hands at which time, in periods from the start, in order: what the customer pays, less what they get.

    The customer gets the goods' price at the start where the goods become theirs, and a deposit when it goes back.
    """
    start_on = schedule.start_on or schedule.rows[0].due_on
    rents = schedule.lease.rents if schedule.lease is not None else 0
    # Almost everything falls due with a period; only what does not is counted by its days.
    whole = {start_on: 0}
    if rents:
        for number, on in enumerate(due_dates(start_on, plan.unit, plan.every, rents), 1):
            whole[on] = number
    net: dict[int | Fraction, int] = {0: -schedule.financed_minor}
    for row in schedule.rows:
        at: int | Fraction | None = whole.get(row.due_on)
        if at is None:
            at = odd_periods(start_on, row.due_on, UnitPeriod(plan.unit, plan.every))
        net[at] = net.get(at, 0) + row.total_minor
    return sorted((at, amount) for at, amount in net.items() if amount)


def _lease_of(plan: Plan) -> Lease:
    if not isinstance(plan.pricing, Lease):
        raise TermsError(f"plan {plan.id}: pricing.kind", type(plan.pricing).__name__, "a lease")
    return plan.pricing


def _part(amount_minor: int | None, share: Decimal | None, price_minor: int) -> int:
    return amount_minor if amount_minor is not None else apply_rate(price_minor, share or Decimal(0))


class _Line:
    """One row while it is put together."""

    def __init__(self, number: int, kind: RowKind, due_on: date) -> None:
        self.number, self.kind, self.due_on = number, kind, due_on
        self.principal = self.rent = self.deposit = 0
        self.fees: dict[str, int] = {}

    def row(self) -> Row:
        fee = sum(self.fees.values())
        return Row(self.number, self.kind, self.due_on, self.principal, fee, self.rent, self.deposit)


class _Made:
    """One lease on one path."""

    def __init__(
        self,
        plan: Plan,
        lease: Lease,
        price: int,
        currency: str,
        start_on: date,
        ending: Ending,
        deposit_waived: bool,
    ) -> None:
        self.plan, self.lease, self.price, self.currency = plan, lease, price, currency
        self.start_on, self.ending, self.waived = start_on, ending, deposit_waived
        term = plan.periods + ending.renewed_periods
        self._check_path(lease, ending)
        self.bounds = (start_on, *due_dates(start_on, plan.unit, plan.every, term))
        self.matures_on = self.bounds[-1]
        self.early = ending.on is not None and ending.on != self.matures_on
        self.ends_on = ending.on or self.matures_on
        self.owns = ending.path != "return"
        self.rent = _part(lease.rent.amount_minor, lease.rent.share, price)
        if self.rent <= 0:
            raise TermsError("amount_minor", price, "a price of which the rent is at least 1 minor unit")
        if self.early:
            self._check_day()

    def _check_path(self, lease: Lease, ending: Ending) -> None:
        place = f"plan {self.plan.id}: ending"
        if ending.path not in ("return", "buy_out", "early_buy_out"):
            raise TermsError(f"{place}.path", ending.path, "return, buy_out or early_buy_out")
        if ending.path != "return" and lease.buyout is None:
            raise TermsError(f"{place}.path", ending.path, "return, since the goods cannot be bought")
        if ending.path == "early_buy_out" and (
            ending.on is None or lease.buyout is None or lease.buyout.early is None
        ):
            found = "no day" if ending.on is None else "no early buyout in the terms"
            raise TermsError(f"{place}.path", found, "a lease with an early buyout, and its day")
        if ending.path == "buy_out" and ending.on is not None:
            raise TermsError(f"{place}.on", str(ending.on), "no day, or the path early_buy_out")
        if not 0 <= ending.renewed_periods <= 600:
            raise TermsError(f"{place}.renewed_periods", ending.renewed_periods, "0 to 600")
        if ending.renewed_periods and (lease.renewal is None or ending.on is not None):
            found = "a day" if ending.on is not None else "no renewal in the terms"
            raise TermsError(f"{place}.renewed_periods", found, "a lease with a renewal, to its end")
        if ending.deposit == "credited" and ending.path == "return":
            raise TermsError(f"{place}.deposit", "credited", "returned or lost: there is no buyout to credit")

    def _check_day(self) -> None:
        on, plan = self.ends_on, self.plan
        if not self.start_on <= on < self.matures_on:
            raise TermsError(
                "ending.on",
                str(on),
                f"a day from {self.start_on} up to {self.matures_on}, when the term ends",
            )
        if self.owns:
            first = early_buyout_from(plan, self.start_on)
            if first is not None and on < first:
                raise TermsError("ending.on", str(on), f"{first} or later, when the goods can be bought")
            return
        least = self.lease.minimum_periods
        first = self.bounds[plan.periods if least is None else least]
        if on < first:
            raise TermsError("ending.on", str(on), f"{first} or later, when the minimum term is over")

    def schedule(self) -> Schedule:
        lease, plan = self.lease, self.plan
        lines = self._rents()
        rents = len(lines)
        rent_total = sum(line.rent for line in lines)
        buyout, takes_deposit = self._buyout(lease.buyout, rent_total) if self.owns else (0, False)
        first, last = _Line(0, "up_front", self.start_on), _Line(rents + 1, "goods_return", self.ends_on)
        if self.owns:
            last = _Line(rents + 1, "buyout", self.ends_on)
            last.principal = buyout
        elif lease.return_shipping_minor:
            last.fees[RETURN_SHIPPING] = lease.return_shipping_minor
        self._charge(plan.fees, first, lines, last)
        held = self._deposit(lease.deposit, buyout, takes_deposit, first, last)
        lines = [first, *lines, last]
        if held.back_on is not None and held.form == "cash" and held.returned:
            back = _Line(rents + 2, "deposit_return", held.back_on)
            back.deposit = -held.returned
            lines.append(back)
        kept = [line for line in lines if line.kind in ("rent", "buyout", "deposit_return") or _moves(line)]
        return self._sum_up(kept, rents, rent_total, buyout, held)

    def _rents(self) -> list[_Line]:
        """The rents of the path: those due up to its end, and in arrears the one of a period begun."""
        plan, lease = self.plan, self.lease
        advance = lease.paid == "in_advance"
        renewed = self.rent
        if lease.renewal is not None:
            renewed = apply_rate(self.rent, lease.renewal.coefficient)
        lines: list[_Line] = []
        for number in range(1, len(self.bounds)):
            begins_on, due_on = self.bounds[number - 1], self.bounds[number - 1 if advance else number]
            if self.early:
                # Buying early settles the rest by its formula; giving back pays for the period that has begun.
                begun = begins_on < self.ends_on and not self.owns
                if due_on > self.ends_on and not begun:
                    break
                due_on = min(due_on, self.ends_on)
                if advance and begins_on == self.ends_on and not self.owns:
                    break
            line = _Line(number, "rent", due_on)
            line.rent = self.rent if number <= plan.periods else renewed
            lines.append(line)
        return lines

    def _buyout(self, buyout: Buyout | None, paid: int) -> tuple[int, bool]:
        """The price of the goods at the end, and whether the formula takes the deposit off it."""
        assert buyout is not None, "_check_path has looked"
        price_at_end: int | None = None
        if buyout.amount_minor is not None or buyout.share is not None:
            price_at_end = _part(buyout.amount_minor, buyout.share, self.price)
        if price_at_end is not None and not self.early:
            return price_at_end, False
        early = buyout.early
        assert early is not None, "check_lease has looked"
        if early.formula == "price_less_paid" or price_at_end is None:
            return max(0, self.price - paid), True
        return price_at_end + self.plan.periods * self.rent - paid, False

    def _charge(self, fees: Sequence[Fee], first: _Line, rents: Sequence[_Line], last: _Line) -> None:
        periods = self.plan.periods
        for fee in fees:
            if fee.amount_minor is not None:
                whole = fee.amount_minor
            else:
                rate = Fraction(fee.total_rate or 0)
                if fee.rate_per_period is not None:
                    rate = Fraction(fee.rate_per_period) * periods
                whole = apply_rate(self.price, rate)
            whole = max(whole, fee.minimum_minor)
            if fee.timing == "up_front":
                first.fees[fee.code] = whole
            elif fee.timing == "at_end":
                last.fees[fee.code] = whole
            elif fee.timing == "first_bill":
                (rents[0] if rents else last).fees[fee.code] = whole
            else:
                parts = split_evenly(whole, periods, self.plan.residue)
                for line in rents:
                    # A period of a renewal bears what an ordinary one does.
                    line.fees[fee.code] = parts[line.number - 1] if line.number <= periods else min(parts)

    def _deposit(
        self, deposit: Deposit | None, buyout: int, takes_deposit: bool, first: _Line, last: _Line
    ) -> _Held:
        if deposit is None:
            return _Held()
        amount = _part(deposit.amount_minor, deposit.share, self.price)
        if self.waived:
            if not deposit.waivable:
                raise TermsError(f"plan {self.plan.id}: deposit", "waived", "a deposit that can be waived")
            return _Held("waived", waived=amount)
        end = self.ending.deposit or deposit.at_end
        if takes_deposit:
            if self.ending.deposit == "lost":
                raise TermsError(
                    "ending.deposit", "lost", "credited, since the buyout's formula takes it off"
                )
            end = "credited"
        credited = min(amount, buyout) if end == "credited" and self.owns else 0
        lost = amount if end == "lost" else 0
        returned = amount - credited - lost
        wait = deposit.release_days + (0 if self.owns else deposit.inspection_days)
        back_on = self.ends_on + timedelta(days=wait) if returned else None
        if deposit.form == "cash":
            first.kind, first.deposit = "deposit", amount
            last.deposit = -credited
        elif lost:
            # Frozen until now, and now it is paid.
            last.deposit = lost
        return _Held(deposit.form, amount, credited, returned, lost, back_on)

    def _sum_up(self, lines: list[_Line], rents: int, rent_total: int, buyout: int, held: _Held) -> Schedule:
        rows = tuple(line.row() for line in lines)
        total = sum(row.total_minor for row in rows)
        if total > MAX_MINOR:
            raise TermsError("amount_minor", self.price, f"a lease of at most {MAX_MINOR} minor units in all")
        fees = sum(row.fee_minor for row in rows)
        payees = {fee.code: fee.payee for fee in self.plan.fees}
        codes = dict.fromkeys(code for line in lines for code in line.fees)
        financed = self.price if self.owns else 0
        return Schedule(
            currency=self.currency,
            amount_minor=self.price,
            down_payment_minor=0,
            financed_minor=financed,
            fee_minor=total - financed,
            total_minor=total,
            rows=rows,
            charges=tuple(
                Charge(
                    code,
                    payees.get(code, self.plan.fee_payee or self.plan.funder),
                    tuple(line.fees.get(code, 0) for line in lines),
                )
                for code in codes
            ),
            start_on=self.start_on,
            lease=LeaseFigures(
                terms=self.lease,
                path="return" if not self.owns else "early_buy_out" if self.early else "buy_out",
                owns=self.owns,
                ends_on=self.ends_on,
                rent_minor=self.rent,
                rents=rents,
                rent_total_minor=rent_total,
                buyout_minor=buyout,
                fee_minor=fees,
                cost_minor=total,
                deposit_minor=held.amount,
                deposit_form=held.form,
                waived_minor=held.waived,
                credited_minor=held.credited,
                returned_minor=held.returned,
                lost_minor=held.lost,
                deposit_back_on=held.back_on,
                own_ratio_e12=self._ratio_e12(Fraction(rent_total), buyout),
                yearly_ratio_e12=self._ratio_e12(self._year_of(rents, rent_total), buyout),
            ),
        )

    def _year_of(self, rents: int, rent_total: int) -> Fraction:
        counted = min(Fraction(rents), periods_per_year(self.plan.unit, self.plan.every))
        return Fraction(rent_total * counted, rents) if rents else Fraction(0)

    def _ratio_e12(self, rents: Fraction, buyout: int) -> int:
        share = Fraction((rents + buyout) * 10**12, self.price)
        return -(-share.numerator // share.denominator)


class _Held(msgspec.Struct, frozen=True):
    """A deposit and what becomes of it."""

    form: DepositForm | None = None
    amount: int = 0
    credited: int = 0
    returned: int = 0
    lost: int = 0
    back_on: date | None = None
    waived: int = 0


def _moves(line: _Line) -> bool:
    return bool(line.principal or line.deposit or any(line.fees.values()))
