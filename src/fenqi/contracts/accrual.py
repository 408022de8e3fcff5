"""Accrual: interest that runs from day to day on what is really owed.

The instalments are agreed and stay. What changes with every payment is how much of each is interest: up to a day (`on`),
interest ran on the principal that was really outstanding, late rows included; from there on it runs as if everything were
paid on time. The last row that is not paid takes what is left over or short.

- Paid early, principal bears no interest from that day; a row whose principal was paid beyond its share owes no more interest, and
  what accrued in it moves to the rows after it, as far as their instalments hold it.
- Paid late, it bore interest until then.
- A payoff is the principal and the interest up to a day.

The figures follow `fineract-progressive`'s golden tables (tests/vectors, C11 and C12). Nothing here knows of fees, penalties or
where money came from: `fenqi.contracts.account` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Final

from fenqi.money import round_half_even, round_to_multiple
from fenqi.terms.amortization import Piece, equal_instalment, interest_in_pieces
from fenqi.terms.interest import Period, period_factor
from fenqi.terms.plan import Annuity, FlatInterest, Plan

__all__ = ["Accrual", "RunningRow", "accrues_daily"]

_SMOOTHING_ROUNDS: Final = 3


def accrues_daily(plan: Plan) -> bool:
    """Whether interest can be reckoned anew from day to day: equal instalments whose share of interest may change."""
    return (
        isinstance(plan.pricing, (Annuity, FlatInterest))
        and not plan.grace_interest
        and plan.deferral_interest == "none"
        and plan.conventions.flat_interest_split == "by_period"
    )


class RunningRow:
    """One instalment while interest runs: what is agreed, what was paid, and what is due of it as things stand.

    `instalment` may come to less than `agreed` in the last rows that are open. `brought_up_minor` is interest of later, paid rows'
    time that this row takes, since it is the last that is open; those rows are `quiet` then. `carried_in` is interest of rows
    that this one stands for now; such rows are `closed`.
    """

    __slots__ = (
        "agreed",
        "brought_up_minor",
        "carried_in",
        "closed",
        "due_interest",
        "due_principal",
        "factors",
        "instalment",
        "interest_free",
        "lent_again",
        "paid_interest",
        "paid_principal",
        "period",
        "quiet",
        "unplaced",
    )

    def __init__(self, period: Period, instalment: int, interest_free: bool = False) -> None:
        self.period = period
        self.agreed = self.instalment = instalment
        self.interest_free = interest_free
        self.brought_up_minor = 0
        self.carried_in = 0
        self.quiet = self.closed = False
        self.lent_again = 0
        self.paid_principal = self.paid_interest = 0
        self.due_principal = self.due_interest = self.unplaced = 0
        self.factors: dict[date, Fraction] = {}

    def copy(self) -> RunningRow:
        twin = RunningRow.__new__(RunningRow)
        for name in RunningRow.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    @property
    def paid(self) -> int:
        return self.paid_principal + self.paid_interest

    @property
    def total(self) -> int:
        """What is to be paid of it in all."""
        return self.instalment + self.lent_again + self.brought_up_minor + self.carried_in

    @property
    def open_principal(self) -> int:
        return max(self.due_principal - self.paid_principal, 0)

    @property
    def is_paid(self) -> bool:
        return self.total == self.paid


class Accrual:
    """The instalments of one contract, reckoned for a day.

    `on` is the day up to which interest ran on what was really outstanding (None: nothing is reckoned anew, and everything
    counts as paid on time). `until`: no interest beyond that day, for what is due if all is paid then.
    """

    def __init__(self, plan: Plan, rate: Fraction, rows: Sequence[RunningRow]) -> None:
        self.plan = plan
        self.rate = rate
        self.rows = list(rows)
        self.flat = isinstance(plan.pricing, FlatInterest)
        self.flat_base: int | None = None
        self.changes: list[tuple[date, int]] = []
        self.lent: list[tuple[date, int]] = []
        self.stopped: list[tuple[date, date]] = []
        self.on: date | None = None
        self.until: date | None = None

    def copy(self) -> Accrual:
        twin = Accrual.__new__(Accrual)
        twin.plan, twin.rate, twin.flat = self.plan, self.rate, self.flat
        twin.rows = [row.copy() for row in self.rows]
        twin.changes, twin.lent, twin.stopped = self.changes.copy(), self.lent.copy(), self.stopped.copy()
        twin.on, twin.until = self.on, self.until
        twin.flat_base = self.flat_base
        return twin

    def remember_agreed(self, financed: int) -> None:
        """Unless the instalments were moved to bring the last one near (C2), it too was agreed as an equal one."""
        pricing, rules = self.plan.pricing, self.plan.conventions
        paying = self.rows[self.plan.grace_principal :]
        if len(paying) < 2 or not isinstance(pricing, Annuity) or pricing.balloon is not None:
            return
        factors = [self._whole_factor(row) for row in paying]
        equal = equal_instalment(financed, factors, rules)
        if equal == paying[0].instalment:
            paying[-1].agreed = equal

    def _whole_factor(self, row: RunningRow) -> Fraction:
        return Fraction(0) if row.interest_free else self._factor(row, row.period.from_on)

    # ------------------------------------------------------------------------------------ what happens to it

    def lend(self, on: date, minor: int, *, replan: bool) -> None:
        """Principal goes out. Where rows stand already (`replan`), what is open from then on is spread anew."""
        self.changes.append((on, minor))
        self.changes.sort()
        self.lent.append((on, minor))
        if self.flat_base is not None:
            self.flat_base += minor
        if not replan:
            self.reckon()
            return
        first = self._replan(on)
        self.reckon()
        self.settle_last(self.rows[first].period.due_on)

    def lend_again(self, on: date, minor: int) -> bool:
        """Principal that was paid back goes out again: it is due with the row that runs. False after the last row."""
        for row in self.rows:
            if row.closed:
                continue
            if on < row.period.due_on or (row is self.rows[-1] and on == row.period.due_on):
                break
        else:
            return False
        self.changes.append((on, minor))
        self.changes.sort()
        row.lent_again += minor
        self.reckon()
        self.settle_last(on)
        return True

    def come_to(self, on: date) -> None:
        """Let days pass: what fell due unpaid bore interest until `on`, at most until the last row."""
        day = min(on, self.rows[-1].period.due_on)
        if self.on is not None and day <= self.on:
            return
        self.on = day
        self.reckon()
        if any(row.period.due_on < day and row.open_principal for row in self.rows):
            self.settle_last(day)

    def pay_interest(self, index: int, on: date, minor: int) -> None:
        """Interest of a row is paid."""
        row = self.rows[index]
        last_open = self._last_open()
        if last_open is row and row is not self.rows[-1] and on >= row.period.due_on:
            self._bring_up(row, on)
        most = sum(each.due_interest for each in self.rows) - sum(each.paid_interest for each in self.rows)
        row.paid_interest += min(minor, most)
        self.reckon()
        self.settle_last(on)

    def pay_principal(self, index: int, on: date, minor: int) -> None:
        """Principal of a row is paid, on its day, early or late: from then on it bears no interest."""
        if not minor:
            return
        row = self.rows[index]
        row.paid_principal += min(minor, self.owed())
        self.changes.append((on, -minor))
        self.changes.sort()
        day = min(on, row.period.due_on)
        self.reckon()
        self.settle_last(day)
        several_open = sum(not each.is_paid for each in self.rows) > 1
        whole = row.paid > row.total or row.paid == row.agreed + row.lent_again
        if several_open and whole and on < row.period.from_on:
            row.instalment = row.paid - row.lent_again
        self.reckon()
        self.settle_last(day)

    def bring_up(self, row: RunningRow, until: date) -> None:
        """A row that is paid takes the interest of its own time that is still to come."""
        _, interest = self.payoff(until)
        if interest:
            row.brought_up_minor = interest
            self.reckon()

    def stop(self, since: date, until: date) -> None:
        """No interest runs after `since` and up to `until`."""
        self.stopped.append((since, until))
        self.stopped.sort()
        self.reckon()
        self.settle_last(since)

    def freeze(self, on: date) -> None:
        """No interest beyond a day, for good."""
        self.until = on
        self.reckon()
        self.settle_last(on)

    def redate(self, first: int, ends: Sequence[date], regular: Sequence[date | None]) -> None:
        """Rows from `first` on end on other days; `regular` says where a whole period up to each would have begun."""
        since = self.rows[first].period.from_on
        for row, end, whole_from in zip(self.rows[first:], ends, regular, strict=True):
            row.period = Period(since, end, whole_from)
            row.factors = {}
            since = end
        self.reckon()
        self.settle_last(self.rows[first].period.due_on)

    def start_anew(self, on: date, periods: Sequence[Period]) -> None:
        """Close the rows with what was paid of them, and spread what is owed over new ones: interest so far with the first."""
        owed, interest = self.payoff(on)
        for row in self.rows:
            self._close(row)
        rows = [RunningRow(period, 0) for period in periods]
        rows[0].carried_in = interest
        self.rows += rows
        self.on = on if self.on is None or self.on < on else self.on
        if self.flat:
            self.flat_base = owed
            self._plan_flat(rows, owed)
        else:
            factors = [self._whole_factor(row) for row in rows]
            instalment = equal_instalment(owed, factors, self.plan.conventions)
            for row in rows:
                row.instalment = row.agreed = instalment
        self.reckon()
        self.settle_last(rows[0].period.due_on)

    def spread_arrears(self, on: date) -> None:
        """Spread everything that is owed over the rows that are not due yet; interest so far goes with the next."""
        owed, interest = self.payoff(on)
        later = [row for row in self.rows if row.period.due_on > on and not row.closed]
        running = later[0]
        self.on = on if self.on is None or self.on < on else self.on
        for row in self.rows:
            if row.period.due_on <= on:
                self._close(row)
        past = interest - max(self._interest_of(running, on) - running.paid_interest, 0)
        running.carried_in += max(past, 0)
        if self.flat:
            self._plan_flat(later, owed)
        else:
            factors = [self._whole_factor(row) for row in later]
            instalment = equal_instalment(owed, factors, self.plan.conventions)
            for row in later:
                row.instalment = row.agreed = max(instalment, row.paid - row.carried_in)
        self.reckon()
        self.settle_last(running.period.due_on)

    def _close(self, row: RunningRow) -> None:
        """A row that owes no more than was paid of it."""
        row.closed = True
        if row.lent_again:
            self.lent.append((row.period.due_on, row.lent_again))
        row.brought_up_minor = row.carried_in = row.lent_again = 0
        row.instalment = row.paid

    def _interest_of(self, row: RunningRow, on: date) -> int:
        """What a row's own time cost until a day."""
        twin = self.copy()
        twin.until = on
        return twin._interest(row, 0)

    # ------------------------------------------------------------------------------------ what can be asked of it

    def owed(self) -> int:
        """The principal that is outstanding."""
        return (
            sum(minor for _, minor in self.lent)
            + sum(row.lent_again for row in self.rows)
            - sum(row.paid_principal for row in self.rows)
        )

    def due_if_paid(self, index: int, on: date) -> tuple[int, int]:
        """Principal and interest of a row if it is paid on `on`: what accrues later is left out."""
        twin = self.copy()
        if on < self.rows[-1].period.due_on:
            twin.until = on
            twin.reckon()
            twin.settle_last(on)
        row = twin.rows[index]
        if on <= row.period.from_on:
            # Paid before its time began, a row is worth what was agreed, or all that is left.
            open_rows = sum(not each.is_paid for each in twin.rows)
            if open_rows > 1:
                row.instalment = row.agreed
                twin.reckon()
                row.instalment -= max(row.open_principal - twin.owed(), 0)
            elif open_rows == 1 and row.is_paid:
                row.instalment = min(row.agreed, twin.owed() + row.paid_principal + row.due_interest)
            twin.reckon()
        return row.due_principal, row.due_interest

    def payoff(self, on: date) -> tuple[int, int]:
        """The principal and the interest that settle everything on `on`."""
        twin = self.copy()
        twin.until = on
        twin.reckon()
        twin.settle_last(on)
        interest = sum(row.due_interest for row in twin.rows) - sum(row.paid_interest for row in twin.rows)
        return twin.owed(), max(interest, 0)

    def interest_until(self, on: date) -> int:
        """All the interest that accrued by `on`, paid or not."""
        twin = self.copy()
        twin.until = on
        twin.reckon()
        twin.settle_last(on)
        return sum(row.due_interest for row in twin.rows)

    def running(self, on: date) -> int:
        """The row in whose time a day lies: after its start, and up to its end. The last one from then on."""
        for index, row in enumerate(self.rows):
            if on <= row.period.due_on and not row.closed:
                return index
        return len(self.rows) - 1

    # ------------------------------------------------------------------------------------ how it is reckoned

    def reckon(self) -> None:
        """Work out what is interest and what is principal of each row."""
        ahead = carried = 0
        for row in self.rows:
            own = 0
            if not (row.quiet or row.closed or row.interest_free or not self.rate):
                own = self._interest(row, ahead)
            accrued = own + row.brought_up_minor + row.carried_in + carried
            total = row.total
            share = max(total - accrued, 0)
            if row.paid_principal > share:
                interest = row.paid_interest
            else:
                interest = max(min(accrued, total), row.paid_interest)
            row.due_interest = interest
            row.due_principal = max(total - interest, 0, row.paid_principal)
            row.unplaced = carried = max(accrued - interest, 0)
            ahead += row.due_principal - row.paid_principal

    def _interest(self, row: RunningRow, ahead: int) -> int:
        """What a row's time costs. `ahead`: principal of earlier rows that counts as paid from `self.on` on."""
        period = row.period
        since, end = period.from_on, period.due_on
        until = end if self.until is None or self.until > end else self.until
        if until <= since:
            return 0
        on = self.on
        cuts = {since}
        if on is not None and since < on < until and ahead:
            cuts.add(on)
        for day, _ in self.changes:
            if since < day < until:
                cuts.add(day)
        for first, last in self.stopped:
            cuts.update(day for day in (first, last) if since < day < until)
        days = sorted(cuts)
        days.append(until)
        pieces: list[Piece] = []
        for start, stop in pairwise(days):
            if any(first <= start and stop <= last for first, last in self.stopped):
                continue
            balance = sum(minor for day, minor in self.changes if day <= start)
            if self.flat:
                # Flat interest is on what was lent, until all of it is paid back.
                if balance > 0:
                    lent = sum(minor for day, minor in self.lent if day <= start)
                    balance = lent if self.flat_base is None else self.flat_base
            elif ahead and (on is None or start >= on):
                balance -= ahead
            if balance > 0:
                pieces.append(
                    Piece(balance, self._factor(row, start), (stop - start).days, (end - start).days)
                )
        return interest_in_pieces(pieces, self.plan.conventions) if pieces else 0

    def _factor(self, row: RunningRow, since: date) -> Fraction:
        factor = row.factors.get(since)
        if factor is None:
            plan = self.plan
            factor = row.factors[since] = period_factor(
                self.rate, plan.conventions, plan.unit, plan.every, row.period, since
            )
        return factor

    def settle_last(self, day: date) -> None:
        """Let the last row that is open take what the instalments are too much or too little for."""
        owed = self.owed()
        changed = False
        for row in self.rows:
            if row.total < row.paid:
                row.instalment += row.paid - row.total
                changed = True
            excess = row.open_principal - owed
            if excess > 0:
                row.instalment = max(row.instalment - excess, row.paid - row.lent_again - row.carried_in, 0)
                changed = True
        if changed:
            self.reckon()
        while (last := self._last_open()) is not None:
            last.brought_up_minor = 0
            for row in self.rows:
                row.quiet = False
            self.reckon()
            lent = sum(minor for _, minor in self.lent) + sum(row.lent_again for row in self.rows)
            interest = sum(row.due_interest for row in self.rows)
            last.instalment += lent + interest - sum(row.total for row in self.rows)
            floor = max(last.paid - last.lent_again - last.carried_in, 0)
            if last.instalment >= floor:
                self.reckon()
                self._bring_up(last, day)
                self._square()
                return
            last.instalment = floor
            self.reckon()

    def _square(self) -> None:
        """Where interest that was brought up or moved on found no room, it is no principal: the rows owe what was lent."""
        for row in reversed(self.rows):
            excess = sum(each.open_principal for each in self.rows) - self.owed()
            if not excess:
                return
            change = min(excess, row.open_principal)
            if change and not (excess < 0 and row.is_paid):
                row.instalment -= change
                self.reckon()

    def _last_open(self) -> RunningRow | None:
        for row in reversed(self.rows):
            if not row.is_paid:
                return row
        if not any(row.paid_principal for row in self.rows) and self.owed() > sum(
            row.due_principal for row in self.rows
        ):
            return self.rows[-1]
        return None

    def _bring_up(self, last: RunningRow, day: date) -> None:
        """Give the last open row the interest of later rows' time that none of those, all paid, has room for."""
        kept = self.until
        self.until = day if kept is None or day < kept else kept
        self.reckon()
        place = self.rows.index(last)
        unplaced = next((row.unplaced for row in reversed(self.rows[place + 1 :]) if row.unplaced), 0)
        self.until = kept
        if unplaced:
            last.brought_up_minor = unplaced
            for row in self.rows[place + 1 :]:
                row.quiet = True
        self.reckon()

    # ------------------------------------------------------------------------------------ spreading anew

    def _replan(self, on: date) -> int:
        """Equal instalments from the row that runs, for what is then open if every row before it is paid. Says which row."""
        first = next(
            (index for index, row in enumerate(self.rows) if on < row.period.due_on and not row.closed),
            len(self.rows) - 1,
        )
        twin = self.copy()
        twin.on = twin.until = None
        twin.changes = list(twin.lent)
        for row in twin.rows:
            if row.closed:
                twin.changes.append((date.min, -row.paid_principal))
                continue
            row.paid_principal = row.paid_interest = row.brought_up_minor = row.lent_again = 0
            row.quiet = False
        twin.reckon()
        before = sum(row.due_principal for row in twin.rows[:first])
        owed = max(sum(minor for day, minor in twin.lent if day <= on) - before, 0)
        for row, planned in zip(self.rows[first:], twin._planned(first, owed), strict=True):
            row.instalment = planned.instalment
            row.agreed = planned.agreed
        return first

    def _planned(self, first: int, owed: int) -> list[RunningRow]:
        """Rows from `first` on, nothing paid, with the equal instalment that `owed` comes to, smoothed."""
        rows = self.rows[first:]
        rules = self.plan.conventions
        if self.flat:
            self._plan_flat(rows, owed)
            return rows
        instalment = equal_instalment(owed, [self._whole_factor(row) for row in rows], rules)
        self._set(first, instalment)
        if rules.smoothing:
            self._smooth(first, instalment)
        return rows

    def _set(self, first: int, instalment: int) -> None:
        for row in self.rows[first:]:
            row.instalment = row.agreed = instalment
        self.reckon()
        self.settle_last(self.rows[first].period.due_on)

    def _smooth(self, first: int, instalment: int) -> None:
        rows = self.rows[first:]
        count = len(rows)
        rules = self.plan.conventions
        apart = _apart(rows)
        for _ in range(_SMOOTHING_ROUNDS):
            if not count // 2 or abs(apart) <= count // 2:
                break
            moved = round_to_multiple(
                instalment + round_half_even(apart, count), rules.instalment_multiple_minor, rules.rounding
            )
            if moved == instalment:
                break
            kept = [(row.instalment, row.agreed) for row in rows]
            self._set(first, moved)
            apart_moved = _apart(rows)
            if abs(apart_moved) >= abs(apart):
                for row, (was, agreed) in zip(rows, kept, strict=True):
                    row.instalment, row.agreed = was, agreed
                self.reckon()
                break
            instalment, apart = moved, apart_moved
            rows[-1].agreed = rows[-1].instalment

    def _plan_flat(self, rows: list[RunningRow], owed: int) -> None:
        rules = self.plan.conventions
        interest = [0 if row.interest_free else self._interest(row, 0) for row in rows]
        total = owed + sum(interest)
        each = round_to_multiple(
            round_half_even(total, len(rows)), rules.instalment_multiple_minor, rules.rounding
        )
        for row in rows:
            row.instalment = row.agreed = each
        rows[-1].instalment = rows[-1].agreed = total - each * (len(rows) - 1)
        self.reckon()


def _apart(rows: Sequence[RunningRow]) -> int:
    """How far the last row that pays anything is from the one before."""
    totals = [row.instalment for row in rows]
    while len(totals) > 1 and not totals[-1]:
        totals.pop()
    return totals[-1] - totals[-2] if len(totals) > 1 else 0
