"""The running account of one contract while its events are replayed: what is owed, what paid it, and what each event moved.

Amounts lie in *slots*, four for each row (`fenqi.contracts.allocation.PARTS`). Money fills them in the order of the
allocation. Where nothing but age decides that order, it is worked out once (`_line_up`), and a payment is a walk along it;
every other rule looks for its rows anew (`fenqi.contracts.settling`). With interest that runs daily, interest and principal of
the rows are `fenqi.contracts.accrual`'s, fetched after each step (`_fetch`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from fenqi.calendars import add_months
from fenqi.contracts.accrual import Accrual, RunningRow
from fenqi.contracts.allocation import (
    FEE,
    INTEREST,
    PARTS,
    PENALTY,
    PRINCIPAL,
    Purpose,
    Rule,
    backwards,
    order_of,
    parts_in_full,
    rule_for,
)
from fenqi.contracts.events import Event, EventRefused, Instruction, PaymentFailed, PayoffQuoted
from fenqi.contracts.lease import Leased
from fenqi.contracts.movements import Movement, MovementKind
from fenqi.contracts.pledge import Pledging
from fenqi.contracts.settling import Backwards, settle
from fenqi.contracts.terms import ContractTerms
from fenqi.money import round_half_even
from fenqi.terms.interest import Period
from fenqi.terms.plan import Annuity, EqualPrincipal, FlatInterest, InterestOnly
from fenqi.terms.rent import Pledge
from fenqi.terms.schedule import RowKind, periods_of

__all__ = ["EARNED", "WRITTEN_OFF", "Account", "Credit", "Kinds", "refused"]

Kinds = tuple[MovementKind, MovementKind, MovementKind, MovementKind]
"""The kind of a movement for each part, in the order of `PARTS`."""

_MONEY: Final[Kinds] = ("penalty_paid", "fee_paid", "interest_paid", "principal_paid")
_GOODWILL: Final[Kinds] = ("penalty_waived", "fee_waived", "interest_waived", "goodwill")
WRITTEN_OFF: Final[Kinds] = (
    "written_off_penalty",
    "written_off_fee",
    "written_off_interest",
    "written_off_principal",
)
EARNED: Final[Kinds] = ("penalty_charged", "fee_earned", "interest_earned", "sold")
"""What lessening undoes instead, where it never was to be earned."""
_OF_CHARGES: Final[dict[MovementKind, MovementKind]] = {
    "written_off_fee": "written_off_charge",
    "fee_earned": "fee_charged",
}
"""What is charged beside the agreed fees is another income than they are."""
_OF_RENT: Final[dict[MovementKind, MovementKind]] = {
    "interest_paid": "rent_paid",
    "interest_waived": "rent_waived",
    "interest_earned": "rent_earned",
    "written_off_interest": "written_off_rent",
}
"""A rent lies where interest does in a contract that bears any: it is earned when its row is reached, too."""
_BEAR_INTEREST: Final = (Annuity, EqualPrincipal, InterestOnly, FlatInterest)
_AT_START: Final = ("down_payment", "up_front", "deposit")
_OF_LEASE: Final = ("up_front", "deposit", "rent")
"""The rows of a lease that are owed however it ends."""


def refused(event: Event, state: str, rule: str, way_out: str) -> EventRefused:
    """An event that cannot follow: in which state, by which rule, and what can be done."""
    return EventRefused(str(event.__struct_config__.tag), state, rule, way_out)


class Credit:
    """Something that pays: money, or what stands for it. `paid` holds slots and amounts; `later` those by a later event, and its day.

    `noted`: it says what a deposit, goods or a waiver settled, and is no payment that could be taken back. `lapses`: what of it finds
    nothing to pay is not granted.
    """

    __slots__ = (
        "amount",
        "lapsed",
        "lapses",
        "later",
        "money",
        "name",
        "noted",
        "on",
        "paid",
        "purpose",
        "recovered",
        "reversed_on",
        "seq",
        "unapplied",
    )

    def __init__(self, name: str, seq: int, on: date, amount: int, purpose: Purpose, money: bool) -> None:
        self.name = name
        self.seq = seq
        self.on = on
        self.amount = amount
        self.purpose = purpose
        self.money = money
        self.noted = self.lapses = False
        self.paid: list[tuple[int, int]] = []
        self.later: list[tuple[int, date, int, int]] = []
        self.unapplied = amount
        self.recovered = self.lapsed = 0
        self.reversed_on: date | None = None

    @property
    def is_goodwill(self) -> bool:
        """Whether we took it on ourselves."""
        return not self.money and self.purpose not in ("deposit", "goods_returned")

    def paid_of(self, *parts: int) -> int:
        """What it paid of these parts of rows."""
        return sum(minor for slot, minor in self.paid if slot & 3 in parts) + sum(
            minor for _, _, slot, minor in self.later if slot & 3 in parts
        )

    def copy(self) -> Credit:
        twin = Credit(self.name, self.seq, self.on, self.amount, self.purpose, self.money)
        twin.paid, twin.later = self.paid.copy(), self.later.copy()
        twin.noted, twin.lapses, twin.lapsed = self.noted, self.lapses, self.lapsed
        twin.unapplied, twin.recovered, twin.reversed_on = self.unapplied, self.recovered, self.reversed_on
        return twin


class Account:
    """What is owed and paid, row by row. Every verb says by which event (`seq`) it is done."""

    def __init__(self, terms: ContractTerms) -> None:
        self.terms = terms
        rows = terms.rows
        self.leased: Leased | None = None
        self.pledge: Pledging | None = None
        if terms.lease is not None:
            self.leased = Leased(terms.plan, terms.lease)
            rows = tuple([row for row in rows if row.kind in _OF_LEASE])
        elif isinstance(terms.plan.pricing, Pledge):
            self.pledge = Pledging()
        self.numbers = [row.number for row in rows]
        self.kinds: list[RowKind] = [row.kind for row in rows]
        self.due = [row.due_on for row in rows]
        self.sequence = list(range(len(rows)))
        self.owed: list[int] = []
        if self.leased is not None:
            for place, row in enumerate(rows):
                self.owed += (0, row.fee_minor, row.rent_minor, row.deposit_minor)
                if row.kind == "rent":
                    self.leased.rents.append(place)
                elif row.kind == "deposit":
                    self.leased.deposit_row = place
        elif self.pledge is not None:
            # Before its success nothing is owed.
            self.owed += (0,) * (4 * len(rows))
        elif terms.interest is None:
            for row in rows:
                self.owed += (0, row.fee_minor, 0, row.principal_minor)
        else:
            for row in rows:
                self.owed += (0, 0, row.fee_minor, row.principal_minor)
        self.left = self.owed.copy()
        self.outstanding = sum(self.owed)
        self.reached = [False] * len(rows)
        self.earned = [0] * len(rows)
        self.interest_earned = [0] * len(rows)
        self.moved: dict[int, tuple[date, str]] = {}
        self.credits: dict[str, Credit] = {}
        self.may_lapse = False
        self.movements: list[Movement] = []
        self.confirmed_on: date | None = None
        self.closed_on: date | None = None
        self.charges: dict[str, tuple[int, int, int, date]] = {}
        self.void: dict[str, date] = {}
        self.instructions: dict[str, tuple[Instruction, ...]] = {}
        self.past: list[Event] = []
        self.newest = 0
        self.shipped_on: date | None = None
        self.cancelled_on: date | None = None
        self.accelerated_on: date | None = None
        self.written_off_on: date | None = None
        self.written_off = 0
        self.recovered = 0
        self.returned: list[tuple[str, int, int]] = []
        self.lent_since = 0
        self.fees_charged: dict[int, int] = {}
        self.interest_kept: dict[int, int] = {}
        self.reached_by: dict[int, int] = {}
        self.closed: set[int] = set()
        self.spread_on: date | None = None
        self.claim_principal = self.claim_fee = 0
        self.fee_back = 0
        self.settled: set[str] = set()
        self.refund_due = 0
        self.price_back = self.goodwill_back = 0
        self.quotes: dict[str, PayoffQuoted] = {}
        self.failures: list[PaymentFailed] = []
        self.pauses: list[tuple[date, date]] = []
        self.by_age = not terms.allocation.rules
        self.parts = [PARTS.index(part) for part in parts_in_full(terms.allocation.parts)]
        self.accrual: Accrual | None = None
        self.running: dict[int, int] = {}
        self.daily = False
        self.to_period_end = False
        if terms.interest is not None:
            self._run_interest()
        self.order: list[int] = []
        self.at = 0
        self._line_up()

    def copy(self) -> Account:
        twin = Account.__new__(Account)
        twin.__dict__.update(self.__dict__)
        for name in (
            "numbers",
            "kinds",
            "due",
            "sequence",
            "owed",
            "left",
            "reached",
            "earned",
            "interest_earned",
            "moved",
            "movements",
            "charges",
            "void",
            "running",
            "instructions",
            "past",
            "returned",
            "quotes",
            "failures",
            "pauses",
            "closed",
            "fees_charged",
            "interest_kept",
            "reached_by",
            "settled",
        ):
            setattr(twin, name, getattr(self, name).copy())
        twin.credits = {name: credit.copy() for name, credit in self.credits.items()}
        if self.accrual is not None:
            twin.accrual = self.accrual.copy()
        if self.leased is not None:
            twin.leased = self.leased.copy()
        if self.pledge is not None:
            twin.pledge = self.pledge.copy()
        return twin

    # --------------------------------------------------------------------------------------------- the rows

    def _run_interest(self) -> None:
        terms = self.terms
        interest, plan = terms.interest, terms.plan
        assert interest is not None
        pricing = plan.pricing
        rate = Fraction(pricing.annual_rate) if isinstance(pricing, _BEAR_INTEREST) else Fraction(0)
        periods = periods_of(plan, interest.counted_from)[plan.defer_periods :]
        regular = [place for place, kind in enumerate(self.kinds) if kind not in _AT_START]
        running: list[RunningRow] = []
        for number, (place, period) in enumerate(zip(regular, periods, strict=True)):
            row = terms.rows[place]
            running.append(RunningRow(period, row.total_minor, number < plan.interest_free_periods))
            self.running[place] = number
        self.accrual = Accrual(plan, rate, running)
        self.accrual.remember_agreed(sum(terms.rows[place].principal_minor for place in regular))
        self.daily = interest.daily

    def _line_up(self) -> None:
        """The slots in the order in which money fills them, where nothing but their age decides it."""
        allocation = self.terms.allocation
        parts = self.parts
        owed, sequence = self.owed, self.sequence
        if allocation.along == "rows":
            self.order = [slot for row in sequence for part in parts if owed[slot := 4 * row + part]]
        else:
            self.order = [slot for part in parts for row in sequence if owed[slot := 4 * row + part]]
        self.at = 0

    def place_of(self, number: int, event: Event) -> int | None:
        """Where a row of the contract lies. None where an event that was taken before names one that is not there any more.

        Raises `EventRefused` where the event is the one that was learnt last.
        """
        for place, each in enumerate(self.numbers):
            if each == number:
                return place
        if event.seq == self.newest:
            raise EventRefused("row", number, f"a row of the contract, in event {event.seq}")
        return None

    def due_on(self, row: int) -> date:
        """When a row is due: as agreed, or as it was put off to."""
        moved = self.moved.get(row)
        return self.due[row] if moved is None else moved[0]

    def is_open(self, row: int) -> bool:
        at = 4 * row
        left = self.left
        return bool(left[at] or left[at + 1] or left[at + 2] or left[at + 3])

    def begins_on(self, row: int) -> date:
        """When the time of a row begins: with the end of the one before."""
        index = self.running.get(row)
        if self.daily and index is not None and self.accrual is not None:
            return self.accrual.rows[index].period.from_on
        before = date.min
        for each in self.sequence:
            if each == row:
                break
            if each not in self.closed:
                before = self.due_on(each)
        return before

    def matured(self, row: int, part: int, on: date) -> int:
        """What is open of a row's charges whose own date has come. What was paid and what was waived was of the oldest."""
        slot = 4 * row + part
        due = whole = 0
        for where, which, minor, due_on in self.charges.values():
            if (where, which) == (row, part):
                whole += minor
                due += minor if due_on <= on else 0
        asked, still = self.owed[slot], self.left[slot]
        gone = asked - still
        if part == FEE:
            # The agreed fee is no charge.
            asked, still = self.fees_charged.get(row, 0), self.open_charge(row)
        return max(min(due - gone - max(whole - asked, 0), still), 0)

    def emptied(self, row: int) -> bool:
        """Whether a row whose interest runs came to nothing, since little is left in all: it could still take that."""
        return (
            self.daily
            and row in self.running
            and self.outstanding > 0
            and not any(self.owed[4 * row : 4 * row + 4])
        )

    def add_row(self, kind: RowKind, due_on: date, *, reached: bool = True) -> int:
        """A row that was not agreed, in the order of its date; its number follows the last one."""
        place = len(self.numbers)
        self.numbers.append(max(self.numbers) + 1)
        self.kinds.append(kind)
        self.due.append(due_on)
        self.owed += (0, 0, 0, 0)
        self.left += (0, 0, 0, 0)
        self.reached.append(reached)
        self.earned.append(0)
        self.interest_earned.append(0)
        after = len(self.sequence)
        while after and self.due[self.sequence[after - 1]] > due_on:
            after -= 1
        self.sequence.insert(after, place)
        return place

    def owe(self, row: int, part: int, minor: int) -> None:
        """More (or less, down to what is paid) is owed of a row."""
        slot = 4 * row + part
        self.owed[slot] += minor
        self.left[slot] += minor
        self.outstanding += minor
        self._line_up()

    def open_charge(self, row: int) -> int:
        """What is open of what was charged beside a row's agreed fee: it is earned already, and so paid first."""
        slot = 4 * row + FEE
        return max(self.fees_charged.get(row, 0) - (self.owed[slot] - self.left[slot]), 0)

    def open_fee(self, row: int) -> int:
        """What is open of a row's agreed fee."""
        return self.left[4 * row + FEE] - self.open_charge(row)

    def paid_fee(self, row: int) -> int:
        """What was paid of a row's agreed fee."""
        slot = 4 * row + FEE
        return max(self.owed[slot] - self.left[slot] - self.fees_charged.get(row, 0), 0)

    def lessen(
        self, seq: int, row: int, part: int, minor: int, kinds: Kinds, *, charges: bool = True
    ) -> None:
        """Less is owed of what is open of a row. Only what was earned of it moves: what was not, nobody booked.

        What was charged beside the agreed fee goes first, or not at all without `charges`.
        """
        if not minor:
            return
        charged = min(minor, self.open_charge(row)) if part == FEE and charges else 0
        self.owe(row, part, -minor)
        sign = -1 if kinds is EARNED else 1
        kind = kinds[part]
        if self.leased is not None:
            kind = _OF_RENT.get(kind, kind)
            if part == PRINCIPAL and row == self.leased.deposit_row:
                # Nobody booked what a deposit was to be.
                return
        if part == FEE:
            if charged:
                self.fees_charged[row] -= charged
                self.earned[row] -= charged
                self.move(seq, _OF_CHARGES.get(kind, kind), charged * sign, row)
            earned = self.earned
            if self.leased is not None and row in self.leased.later_rows:
                kind = _OF_CHARGES.get(kind, kind)
        elif part == INTEREST:
            earned = self.interest_earned
            if row in self.interest_kept:
                self.interest_kept[row] = min(self.interest_kept[row], self.owed[4 * row + part])
        else:
            self.move(seq, kind, minor * sign, row)
            return
        excess = earned[row] - self.owed[4 * row + part]
        if excess > 0:
            earned[row] -= excess
            self.move(seq, kind, excess * sign, row)

    def shift(self, seq: int, source: int, target: int, part: int, minor: int) -> None:
        """What is open of one row is owed with another instead; what was earned of it stays earned, with that one."""
        if not minor:
            return
        earned = self.earned if part == FEE else self.interest_earned if part == INTEREST else None
        if earned is not None:
            over = max(earned[source] - (self.owed[4 * source + part] - minor), 0)
            earned[source] -= over
            earned[target] += over
            if part == INTEREST:
                self.interest_kept[source] = earned[source]
                self.interest_kept[target] = self.interest_kept.get(target, 0) + over
            else:
                charged = max(over - max(earned[source] + over - self._settled_fee(source), 0), 0)
                if charged:
                    self.fees_charged[source] -= charged
                    self.fees_charged[target] = self.fees_charged.get(target, 0) + charged
                if self.reached[target]:
                    earned[target] += minor - over
                    self.move(seq, "fee_earned", minor - over, target)
        self.owe(source, part, -minor)
        self.owe(target, part, minor)

    def _settled_fee(self, row: int) -> int:
        """What is paid of a row's fees, and what is open of those charged beside: all of it is earned."""
        slot = 4 * row + FEE
        return max(self.owed[slot] - self.left[slot], self.fees_charged.get(row, 0))

    def rows_later(self, on: date) -> list[int]:
        """The rows that are due after a day and still run: those that were spread over new ones do not."""
        return [row for row in self.sequence if self.due_on(row) > on and row not in self.closed]

    def row_for(self, on: date) -> int:
        """The row in whose time a day lies: the first regular one that is due on it or later, or one after the last."""
        last: int | None = None
        for row in self.sequence:
            kind = self.kinds[row]
            if kind in _AT_START or row in self.closed:
                continue
            if kind == "extra":
                last = row
                continue
            if on <= self.due[row]:
                return row
        if last is None:
            last = self.add_row("extra", on)
        elif on > self.due[last]:
            self.due[last] = on
        return last

    # --------------------------------------------------------------------------------------------- movements

    def move(self, seq: int, kind: MovementKind, amount: int, row: int | None = None) -> None:
        if amount:
            self.movements.append(Movement(seq, kind, amount, None if row is None else self.numbers[row]))

    def gather(self, seq: int, start: int) -> None:
        """Movements of one event, one of each kind for each row, in the rows' order."""
        sums: dict[tuple[int | None, MovementKind], int] = {}
        for each in self.movements[start:]:
            key = (each.row, each.kind)
            sums[key] = sums.get(key, 0) + each.amount_minor
        places = {self.numbers[row]: index for index, row in enumerate(self.sequence)}
        del self.movements[start:]
        self.movements += [
            Movement(seq, kind, amount, row)
            for (row, kind), amount in sorted(
                sums.items(), key=lambda item: (item[0][0] is None, places.get(item[0][0] or 0, 0))
            )
            if amount
        ]

    def recognise(self, seq: int) -> None:
        """Interest that runs is earned when its row is reached, or by being paid before."""
        if self.terms.interest is None:
            return
        owed, left = self.owed, self.left
        for row in self.sequence:
            slot = 4 * row + INTEREST
            earned = owed[slot] - left[slot]
            if self.reached[row]:
                earned = owed[slot]
            elif row in self.interest_kept:
                earned = max(earned, min(self.interest_kept[row], owed[slot]))
            if earned != self.interest_earned[row]:
                self.move(seq, "interest_earned", earned - self.interest_earned[row], row)
                self.interest_earned[row] = earned

    # --------------------------------------------------------------------------------------------- interest

    def come_to(self, on: date, paying: int = 0) -> None:
        """Let interest run until a day, or to the end of its period where that is owed: by whoever is `paying` everything."""
        accrual = self.accrual
        if not self.daily or self.confirmed_on is None or accrual is None:
            return
        interest = self.terms.interest
        assert interest is not None
        self.to_period_end = False
        if interest.payoff == "to_period_end":
            running = accrual.rows[accrual.running(on)]
            end = running.period.due_on
            self.to_period_end = interest.rest == "period" or 0 < sum(accrual.payoff(end)) <= paying
            if self.to_period_end:
                accrual.come_to(max(on, end))
                if paying and running.is_paid:
                    accrual.bring_up(running, end)
        accrual.come_to(on)
        self._fetch()

    def stop_interest(self, on: date) -> None:
        """No more interest runs: what there is up to a day is what there is."""
        accrual = self.accrual
        if not self.daily or accrual is None:
            return
        accrual.come_to(on)
        accrual.freeze(on)
        self._fetch()
        self.daily = False
        self._line_up()

    def redate(self, rows: list[int], new: list[date]) -> None:
        """Rows are due on other days; the time for which their interest runs follows."""
        for row, on in zip(rows, new, strict=True):
            self.due[row] = on
            self.moved.pop(row, None)
        accrual = self.accrual
        running = [(self.running[row], on) for row, on in zip(rows, new, strict=True) if row in self.running]
        if not self.daily or accrual is None or not running:
            return
        plan = self.terms.plan
        ends = [on for _, on in running]
        step = plan.every * (1 if plan.unit in ("month", "half_month", "day") else 7)
        first = ends[0]
        whole_from = add_months(first, -step) if plan.unit == "month" else first - timedelta(days=step)
        accrual.redate(running[0][0], ends, [whole_from, *[None] * (len(ends) - 1)])
        self._fetch()

    def stop_between(self, since: date, until: date) -> None:
        """No interest runs after one day and up to another."""
        assert self.accrual is not None
        self.accrual.stop(since, until)
        self._fetch()

    def start_anew(self, on: date, rows: list[int], periods: list[Period]) -> None:
        """What is owed where interest runs is spread over new rows."""
        assert self.accrual is not None
        first = len(self.accrual.rows)
        self.accrual.start_anew(on, periods)
        for number, row in enumerate(rows):
            self.running[row] = first + number
        self._fetch()

    def spread_arrears(self, on: date) -> None:
        """What is past due where interest runs is spread over the rows to come."""
        assert self.accrual is not None
        self.accrual.spread_arrears(on)
        self._fetch()

    def note(self, seq: int, on: date, name: str, purpose: Purpose, paid: list[tuple[int, int]]) -> None:
        """Remember what was paid by something that is no money, to say later what paid each row."""
        while name in self.credits:
            # Numbers of payments come from outside: money of this name stays known.
            name += "*"
        credit = Credit(name, seq, on, sum(minor for _, minor in paid), purpose, False)
        credit.paid, credit.unapplied, credit.noted = paid, 0, True
        self.credits[name] = credit

    def _fetch(self) -> None:
        """Take interest and principal of the rows over from the accrual."""
        accrual = self.accrual
        assert accrual is not None
        for row, index in self.running.items():
            running = accrual.rows[index]
            self._set_owed(4 * row + INTEREST, running.due_interest)
            self._set_owed(4 * row + PRINCIPAL, running.due_principal)

    def _set_owed(self, slot: int, minor: int) -> None:
        change = minor - self.owed[slot]
        if not change:
            return
        if self.left[slot] + change < 0:
            # Never less than was paid.
            change = -self.left[slot]
        self.owed[slot] += change
        self.left[slot] += change
        self.outstanding += change

    def lend(self, on: date, minor: int, *, replan: bool) -> None:
        """Principal goes out: the rows that are open take it up."""
        accrual = self.accrual
        assert accrual is not None
        if replan and on > accrual.rows[-1].period.due_on:
            # After the last row there is nothing to spread it over.
            self.owe(self.row_for(on), PRINCIPAL, minor)
            return
        before = [(row.due_principal, row.due_interest) for row in accrual.rows]
        accrual.lend(on, minor, replan=replan)
        if self.daily:
            self._fetch()
        elif replan:
            short = 0
            for row, index in self.running.items():
                running = accrual.rows[index]
                for part, change in (
                    (PRINCIPAL, running.due_principal - before[index][0]),
                    (INTEREST, running.due_interest - before[index][1]),
                ):
                    # A row that was paid in advance cannot owe less than that: later rows make up for it.
                    least = max(change, -self.left[4 * row + part])
                    if part == PRINCIPAL:
                        short += least - change
                    self.owe(row, part, least)
            for row in reversed(self.running):
                if short:
                    less = min(short, self.left[4 * row + PRINCIPAL])
                    self.owe(row, PRINCIPAL, -less)
                    short -= less

    # --------------------------------------------------------------------------------------------- paying

    def take(self, credit: Credit) -> None:
        """Let a credit pay what is owed; what is left over stays with it."""
        seq = credit.seq
        self.credits[credit.name] = credit
        if credit.name in self.void:
            credit.reversed_on = self.void[credit.name]
            credit.unapplied = 0
            return
        if self.written_off_on is not None and credit.money:
            credit.recovered = min(self.written_off - self.recovered, credit.unapplied)
            credit.unapplied -= credit.recovered
            self.recovered += credit.recovered
            self.move(seq, "recovered", credit.recovered)
        if self.confirmed_on is not None:
            self._instructed(credit, credit.on)
            self.allocate(credit, credit.on, self._rule(credit.purpose))
            self.book(seq, credit.paid, _MONEY if credit.money else _GOODWILL)
        if credit.unapplied:
            self.move(seq, "unapplied" if credit.money else "goodwill_unapplied", credit.unapplied)

    def _instructed(self, credit: Credit, on: date) -> None:
        """What the customer said a payment is for comes first, as far as it is owed and did not get it yet."""
        if credit.name not in self.instructions:
            return
        got: dict[int, int] = {}
        for slot, minor in [*credit.paid, *[(slot, minor) for _, _, slot, minor in credit.later]]:
            got[slot] = got.get(slot, 0) + minor
        for each in self.instructions[credit.name]:
            if each.row not in self.numbers:
                continue
            row, part = self.numbers.index(each.row), PARTS.index(each.part)
            slot = 4 * row + part
            had = min(got.get(slot, 0), each.amount_minor)
            got[slot] = got.get(slot, 0) - had
            most = min(each.amount_minor - had, credit.unapplied)
            credit.unapplied -= self.pay(row, part, most, on, on < self.due_on(row), credit.paid)

    def _rule(self, purpose: Purpose) -> Rule | None:
        if self.by_age:
            return None
        return rule_for(self.terms.allocation, purpose)

    def allocate(self, credit: Credit, on: date, rule: Rule | None) -> None:
        """Fill what is owed with a credit's money, by a rule or by age."""
        if rule is None and not self.daily:
            if self.leased is None or credit.money:
                self._walk(credit)
            else:
                self._walk_past_deposit(credit)
            return
        if rule is None:
            allocation = self.terms.allocation
            rule = Rule(order_of(allocation.parts), along=allocation.along)
        money = settle(self, rule, credit.unapplied, on, credit.paid)
        if self.daily:
            money = self._settle_rest(rule, money, on, credit.paid)
        credit.unapplied = money

    def _settle_rest(self, rule: Rule, money: int, on: date, paid: list[tuple[int, int]]) -> int:
        """Paying one part can make more of another due; money is left over only where nothing is owed."""
        before = -1
        while money and self.outstanding and money != before:
            before = money
            money = settle(self, rule, money, on, paid)
        for row in self.sequence:
            for part in range(4):
                if money:
                    money -= self.pay(row, part, money, on, False, paid)
        return money

    def _walk(self, credit: Credit) -> None:
        money, at, left, order = credit.unapplied, self.at, self.left, self.order
        end = len(order)
        paid = credit.paid
        while at < end:
            slot = order[at]
            owed = left[slot]
            if owed > money:
                if money:
                    left[slot] = owed - money
                    paid.append((slot, money))
                    money = 0
                break
            if owed:
                left[slot] = 0
                money -= owed
                paid.append((slot, owed))
            at += 1
        self.outstanding -= credit.unapplied - money
        self.at = at
        credit.unapplied = money

    def _walk_past_deposit(self, credit: Credit) -> None:
        """What is no money pays rents, and never a deposit: that would go back as money."""
        assert self.leased is not None
        row = self.leased.deposit_row
        for slot in self.order:
            if row is not None and slot == 4 * row + PRINCIPAL:
                continue
            minor = min(self.left[slot], credit.unapplied)
            if minor:
                self.left[slot] -= minor
                self.outstanding -= minor
                credit.unapplied -= minor
                credit.paid.append((slot, minor))

    def interest_day(self, on: date) -> date:
        """The day up to which whoever settles everything on `on` owes interest."""
        interest, accrual = self.terms.interest, self.accrual
        if interest is None or interest.payoff == "to_date" or accrual is None:
            return on
        return max(on, accrual.rows[accrual.running(on)].period.due_on)

    def spare_fees(self, seq: int, on: date) -> None:
        """Let go what a payoff on a day does not owe of the fees of rows that are not due yet, where rows are fixed."""
        spares = self.terms.payoff.fees
        if spares == "whole" or self.daily:
            return
        running = True
        for row in self.sequence:
            due_on = self.due_on(row)
            if due_on <= on or row in self.closed:
                continue
            begins_on = max(self.begins_on(row), self.confirmed_on or date.min, self.spread_on or date.min)
            for part in (FEE, INTEREST):
                slot = 4 * row + part
                left = self.open_fee(row) if part == FEE else self.left[slot]
                paid = self.paid_fee(row) if part == FEE else self.owed[slot] - left
                owed = 0
                if running and begins_on < on:
                    # On its first day a period has not cost anything yet.
                    owed = left + paid
                    if spares == "to_date":
                        owed = round_half_even(owed * (on - begins_on).days, (due_on - begins_on).days)
                self.lessen(seq, row, part, left - max(owed - paid, 0), WRITTEN_OFF, charges=False)
            running = False

    def payoff_minor(self, on: date) -> int:
        """What settles everything on a day, but for a charge."""
        accrual = self.accrual
        if not self.daily or accrual is None:
            twin = self.copy()
            twin.spare_fees(0, on)
            return twin.outstanding
        twin = self.copy()
        day = twin.interest_day(on)
        twin.come_to(day)
        assert twin.accrual is not None
        running = sum(self.left[4 * row + INTEREST] + self.left[4 * row + PRINCIPAL] for row in self.running)
        return self.outstanding - running + sum(twin.accrual.payoff(day))

    def pay(
        self, row: int, part: int, most: int, on: date, in_advance: bool, paid: list[tuple[int, int]]
    ) -> int:
        """Pay up to `most` of one part of a row, and say how much it was."""
        slot = 4 * row + part
        index = self.running.get(row) if self.daily and part >= INTEREST else None
        if index is None:
            minor = min(self.left[slot], most)
        else:
            accrual = self.accrual
            assert accrual is not None
            if in_advance:
                period = accrual.rows[index].period
                if self.to_period_end and period.from_on < on:
                    on = period.due_on
                principal, interest = accrual.due_if_paid(index, on)
                due = principal if part == PRINCIPAL else interest
                minor = min(max(due - (self.owed[slot] - self.left[slot]), 0), most)
            else:
                minor = min(self.left[slot], most)
            if part == PRINCIPAL:
                minor = min(minor, accrual.owed())
            if minor <= 0:
                return 0
            if part == PRINCIPAL:
                accrual.pay_principal(index, on, minor)
            else:
                accrual.pay_interest(index, on, minor)
            if minor > self.left[slot]:
                self._set_owed(slot, self.owed[slot] + minor - self.left[slot])
            self.left[slot] -= minor
            self.outstanding -= minor
            paid.append((slot, minor))
            self._fetch()
            return minor
        if minor <= 0:
            return 0
        self.left[slot] -= minor
        self.outstanding -= minor
        paid.append((slot, minor))
        return minor

    def book(self, seq: int, paid: Iterable[tuple[int, int]], kinds: Kinds) -> None:
        """The movements of what was paid."""
        if self.leased is not None:
            self._book_of_lease(seq, paid, kinds)
            return
        reached, earned, numbers, move = self.reached, self.earned, self.numbers, self.movements.append
        for slot, minor in paid:
            row, part = slot >> 2, slot & 3
            if part == FEE and not reached[row]:
                # Paid before its date, a fee is earned by being paid.
                more = self.owed[slot] - self.left[slot] - earned[row]
                if more > 0:
                    earned[row] += more
                    move(Movement(seq, "fee_earned", more, numbers[row]))
            move(Movement(seq, kinds[part], minor, numbers[row]))

    def _book_of_lease(self, seq: int, paid: Iterable[tuple[int, int]], kinds: Kinds) -> None:
        """The movements of what was paid of a lease: its deposit is held by it, and a rent is paid."""
        leased = self.leased
        assert leased is not None
        for slot, minor in paid:
            row, part = slot >> 2, slot & 3
            if part in (FEE, INTEREST) and not self.reached[row]:
                earned = self.earned if part == FEE else self.interest_earned
                self.earn(seq, row, part, self.owed[slot] - self.left[slot] - earned[row])
            kind = _OF_RENT.get(kinds[part], kinds[part])
            if part == PRINCIPAL and row == leased.deposit_row:
                kind = "deposit_held"
            self.move(seq, kind, minor, row)

    def earn(self, seq: int, row: int, part: int, minor: int) -> None:
        """So much more of a lease's rent, or of its fee, is earned. A fee of a renewal is no fee that was disclosed at first."""
        if minor <= 0:
            return
        if part == INTEREST:
            self.interest_earned[row] += minor
            self.move(seq, "rent_earned", minor, row)
            return
        self.earned[row] += minor
        kind: MovementKind = "fee_earned"
        if self.leased is not None and row in self.leased.later_rows:
            kind = "fee_charged"
        self.move(seq, kind, minor, row)

    def set_free(self, seq: int, row: int, part: int, most: int | None = None) -> None:
        """What was paid of a part of a row (or so much of it) pays nothing any more: it is held until something is owed."""
        slot = 4 * row + part
        rest = self.owed[slot] - self.left[slot] if most is None else most
        for credit in reversed(self.credits.values()):
            freed = 0
            for index, (where, minor) in enumerate(credit.paid):
                if where == slot and minor > 0 and rest:
                    part_of_it = min(minor, rest)
                    credit.paid[index] = (slot, minor - part_of_it)
                    freed += part_of_it
                    rest -= part_of_it
            for index, (by, on, where, minor) in enumerate(credit.later):
                if where == slot and minor > 0 and rest:
                    part_of_it = min(minor, rest)
                    credit.later[index] = (by, on, slot, minor - part_of_it)
                    freed += part_of_it
                    rest -= part_of_it
            if not freed:
                continue
            credit.paid = [each for each in credit.paid if each[1]]
            credit.later = [each for each in credit.later if each[3]]
            self.left[slot] += freed
            self.outstanding += freed
            if credit.purpose == "deposit":
                assert self.leased is not None
                credit.amount -= freed
                self.leased.applied -= freed
                self.move(seq, "deposit_applied_rent", -freed, row)
                if self.leased.form == "frozen":
                    # It was taken, and is money by now: it is not frozen again, and goes back as money.
                    self.leased.released += freed
                    self.refund_due += freed
                    self.move(seq, "deposit_released", freed)
                continue
            self.book(seq, [(slot, -freed)], _MONEY if credit.money else _GOODWILL)
            credit.unapplied += freed
            self.move(seq, "unapplied" if credit.money else "goodwill_unapplied", freed)

    def withdraw_goodwill(self, seq: int, on: date) -> None:
        """What we took on ourselves is owed again, and was not granted after all."""
        for credit in self.credits.values():
            if not credit.is_goodwill or credit.reversed_on is not None:
                continue
            undone: list[tuple[int, int]] = []
            for slot, minor in [*credit.paid, *[(slot, minor) for _, _, slot, minor in credit.later]]:
                # What it had paid may have gone back to the customer since.
                minor = min(minor, self.owed[slot] - self.left[slot])
                self.left[slot] += minor
                self.outstanding += minor
                undone.append((slot, -minor))
            self.book(seq, [each for each in undone if each[1]], _GOODWILL)
            self.move(seq, "goodwill_unapplied", -credit.unapplied)
            credit.paid, credit.later, credit.unapplied, credit.reversed_on = [], [], 0, on
        self._line_up()

    def let_lapse(self, seq: int, start: int, *, every: bool = False) -> None:
        """What we took on ourselves and nothing is owed for, after movements from `start` on, was not granted after all.

        Of what was granted so; of `every` one, whatever was said of it.
        """
        if self.confirmed_on is None:
            # It waits for what it is to pay.
            return
        lapsed = False
        for credit in self.credits.values():
            if credit.unapplied and (credit.lapses or (every and credit.is_goodwill)):
                self.move(seq, "goodwill_unapplied", -credit.unapplied)
                credit.lapsed += credit.unapplied
                credit.unapplied, lapsed = 0, True
        if lapsed:
            self.gather(seq, start)

    @property
    def deposit_left(self) -> int:
        """What is held of a lease's deposit, in cash or frozen."""
        leased = self.leased
        if leased is None:
            return 0
        row = leased.deposit_row
        paid = 0 if row is None else self.owed[4 * row + PRINCIPAL] - self.left[4 * row + PRINCIPAL]
        return leased.held(paid)

    @property
    def over(self) -> bool:
        """Whether nothing is to come of it but what is owed: a lease has ended, and a pledge was captured or released."""
        leased, pledge = self.leased, self.pledge
        if leased is not None:
            return leased.ended_on is not None and leased.awaits(date.max, self.deposit_left) is None
        return pledge is None or pledge.captured_on is not None or pledge.released_on is not None

    def apply_held(self, seq: int, on: date | None = None, purpose: Purpose | None = None) -> None:
        """Money that nothing was owed for pays what is owed now: by the day and the rule of each credit, or as given."""
        if self.confirmed_on is None:
            # Nothing is owed before it is agreed to.
            return
        start = len(self.movements)
        for credit in self.credits.values():
            held = credit.unapplied
            if not held:
                continue
            before = len(credit.paid)
            day = on or credit.on
            self._instructed(credit, day)
            self.allocate(credit, day, self._rule(purpose or credit.purpose))
            new = credit.paid[before:]
            if not new:
                continue
            self.book(seq, new, _MONEY if credit.money else _GOODWILL)
            if credit.seq != seq:
                del credit.paid[before:]
                credit.later += [(seq, day, slot, minor) for slot, minor in new]
            self.move(seq, "unapplied" if credit.money else "goodwill_unapplied", credit.unapplied - held)
        self.gather(seq, start)

    # --------------------------------------------------------------------------------------------- lateness

    @property
    def penalties(self) -> int:
        """The penalties charged so far."""
        return sum(minor for _, part, minor, _ in self.charges.values() if part == PENALTY)

    @property
    def cap_basis(self) -> str:
        late = self.terms.late
        return "" if late is None else late.cap_basis

    def paused_days(self, since: date, until: date) -> int:
        """The days of a time on which the contract was paused: each counts once, however many pauses it lies in."""
        days = 0
        for first, last in sorted(self.pauses):
            stop = min(until, last)
            days += max((stop - max(since, first)).days, 0)
            since = max(since, stop)
        return days

    def penalty_at(self, rate: Fraction, on: date) -> int:
        """What a yearly rate on principal that was late, and on rents, comes to by a day."""
        late = self.terms.late
        if late is None:
            return 0
        paid: dict[int, list[tuple[date, int]]] = {}
        bearing = (PRINCIPAL,) if self.leased is None else (INTEREST, PRINCIPAL)
        for credit in self.credits.values():
            for slot, minor in credit.paid:
                if slot & 3 in bearing:
                    paid.setdefault(slot >> 2, []).append((credit.on, minor))
            for _, day, slot, minor in credit.later:
                if slot & 3 in bearing:
                    paid.setdefault(slot >> 2, []).append((day, minor))
        days = 0
        for row in self.sequence:
            if self.leased is not None and row == self.leased.deposit_row:
                continue
            due_on = self.due_on(row)
            if (on - due_on).days <= late.grace_days:
                continue
            since = due_on + timedelta(days=late.grace_days)
            times = sorted((day, minor) for day, minor in paid.get(row, ()) if since < day <= on)
            open_minor = sum(self.left[4 * row + part] for part in bearing) + sum(minor for _, minor in times)
            for day, minor in [*times, (on, 0)]:
                days += open_minor * ((day - since).days - self.paused_days(since, day))
                open_minor -= minor
                since = day
        return round_half_even(days * rate.numerator, rate.denominator * late.year_days)

    def penalty_most(self, on: date) -> int | None:
        """The most that the law lets be charged for being late by a day; None where nothing was pinned."""
        late = self.terms.late
        if late is None or late.cap_rate is None:
            return None
        return self.penalty_at(Fraction(late.cap_rate), on)

    def penalty_due(self, on: date) -> int:
        """What is to be charged for being late by a day beyond what was: at the agreed rate, or at the law's most.

        Nothing is charged any more to what was called off or written off, though something may be owed again.
        """
        late = self.terms.late
        if late is None or self.cancelled_on is not None or self.written_off_on is not None:
            return 0
        rate = Fraction(late.annual_rate)
        if late.cap_rate is not None:
            rate = min(rate, Fraction(late.cap_rate))
        return max(self.penalty_at(rate, on) - self.penalties, 0)

    @property
    def held(self) -> int:
        """Money that nothing is owed for."""
        return sum(credit.unapplied for credit in self.credits.values())

    @property
    def held_money(self) -> int:
        """Of what is held, what came from the customer."""
        return sum(credit.unapplied for credit in self.credits.values() if credit.money)

    def give_back(self, minor: int, *, only_money: bool = False) -> int:
        """Take money that nothing is owed for out of the account, the oldest first; say how much there was."""
        taken = 0
        for credit in self.credits.values():
            if only_money and not credit.money:
                continue
            part = min(credit.unapplied, minor - taken)
            credit.unapplied -= part
            taken += part
        return taken

    def send_out(self, seq: int, on: date, minor: int, *, only_money: bool = False) -> None:
        """Money leaves that no row gives: of what is held, and beyond that it is owed again."""
        short = minor - self.give_back(minor, only_money=only_money)
        self.move(seq, "unapplied_refunded", minor)
        if short:
            self.reclaim(seq, on, short)

    def pay_back(self, credit: Credit) -> int:
        """Give back what was paid, the last first; `credit` takes it as negative. Returns what there was none of."""
        rule = self._rule("repayment") or Rule(
            order_of(self.terms.allocation.parts), along=self.terms.allocation.along
        )
        short = settle(Backwards(self, self.owed), backwards(rule), -credit.amount, credit.on, credit.paid)
        credit.unapplied = 0
        credit.amount += short
        self.outstanding -= sum(minor for _, minor in credit.paid)
        self.credits[credit.name] = credit
        self.book(credit.seq, credit.paid, _MONEY)
        self._line_up()
        return short

    def reclaim(self, seq: int, on: date, minor: int) -> None:
        """Principal that was paid back and went out again is due with the row that runs, or after the last."""
        accrual = self.accrual
        if self.daily and accrual is not None and accrual.lend_again(on, minor):
            row = next(place for place, index in self.running.items() if accrual.rows[index].lent_again)
            self._fetch()
        else:
            row = next(
                (
                    each
                    for each in self.sequence
                    if self.kinds[each] not in _AT_START
                    and each not in self.closed
                    and (self.due[each] > on or self.kinds[each] == "extra")
                ),
                -1,
            )
            if row < 0:
                row = self.row_for(on)
            self.due[row] = max(self.due[row], on)
            self.owe(row, PRINCIPAL, minor)
        self.move(seq, "reclaimed", minor, row)

    def charge(self, seq: int, name: str, part: int, minor: int, due_on: date) -> None:
        """A fee or a penalty is added to the row in whose time its day lies, and is earned at once."""
        row = self.row_for(due_on)
        self.charges[name] = (row, part, minor, due_on)
        self.owe(row, part, minor)
        if part == PENALTY:
            self.move(seq, "penalty_charged", minor, row)
        else:
            self.earned[row] += minor
            self.fees_charged[row] = self.fees_charged.get(row, 0) + minor
            self.move(seq, "fee_charged", minor, row)
