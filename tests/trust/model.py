"""What a contract comes to, reckoned a second time: plain and slow, from the rules in docs/ledger.md, docs/servicing.md and what
events and terms say of themselves.

Nothing of `fenqi.contracts` is used but its events and terms as data. It works the other way round than the engine: there are no
movements. What stands at the end (rows, what is paid of them, what is held, given up, to be refunded) is reckoned first, and each
account's balance is read off it.

Only the event that was learnt last is held to what can still follow (`Book.cannot`): what was taken before stays, and does what it
still can when something told later changes what it met.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, ClassVar

from fenqi.contracts.allocation import Rule
from fenqi.contracts.events import (
    Accelerated,
    AllocatedByInstruction,
    Cancelled,
    Charged,
    Confirmed,
    Disbursed,
    DueDayChanged,
    DueMoved,
    DueReached,
    Event,
    GoodsReturned,
    GoodwillGranted,
    PaidBack,
    Paused,
    PaymentFailed,
    PaymentReceived,
    PaymentReversed,
    PayoffQuoted,
    ReAged,
    ReAmortised,
    Recovered,
    RefundPaid,
    Shipped,
    UnappliedRefunded,
    Waived,
    WrittenOff,
)
from fenqi.contracts.terms import ContractTerms

__all__ = [
    "NOTES",
    "PARTS",
    "RULES",
    "Book",
    "Figures",
    "Line",
    "Purse",
    "Refused",
    "even_shares",
    "live_through",
    "months_after",
    "payoff",
    "penalty_due",
    "reckon",
]

NOTES = ("charge by its own day",)
"""What happens inside a payment and has to be seen often enough."""
AT_START = ("down_payment", "up_front", "deposit")
PARTS = ("penalty", "fee", "interest", "principal")


class Refused(Exception):
    """These events cannot all be true."""


@dataclass(slots=True)
class Line:
    """A row. `charged` is the part of its fee that was charged beside the agreed one; it is earned at once, and so paid first."""

    number: int
    kind: str
    due: date
    owed: dict[str, int]
    paid: dict[str, int]
    put_off_to: date | None = None
    reached: bool = False
    reached_by: int = 0
    runs: bool = True
    """Not any more, once everything was spread over new rows."""
    fee_earned: int = 0
    """Of the agreed fee."""
    charged: int = 0
    interest_kept: int = 0
    """Interest that was earned with another row."""
    pieces: list[tuple[date, str, int]] = field(default_factory=list)
    """What was paid of what bears penalties, and when."""
    dated: list[tuple[date, str, int]] = field(default_factory=list)
    """What was charged beside the agreed parts: its own day, the part, how much."""

    @property
    def day(self) -> date:
        return self.put_off_to or self.due

    def left(self, part: str) -> int:
        return self.owed[part] - self.paid[part]

    @property
    def open(self) -> int:
        return sum(self.owed.values()) - sum(self.paid.values())

    @property
    def charge_left(self) -> int:
        return max(self.charged - self.paid["fee"], 0)

    def fallen(self, part: str, on: date) -> int:
        """What is open of the charges whose own day has come: the oldest were paid first, or waived."""
        charges = sorted((day, minor) for day, which, minor in self.dated if which == part)
        asked, left = (
            (self.charged, self.charge_left) if part == "fee" else (self.owed[part], self.left(part))
        )
        gone = self.paid[part] + max(sum(minor for _, minor in charges) - asked, 0)
        come = 0
        for day, minor in charges:
            done = min(gone, minor)
            gone -= done
            come += minor - done if day <= on else 0
        return min(come, left)

    @property
    def fee_left(self) -> int:
        """Of the agreed fee."""
        return self.left("fee") - self.charge_left

    @property
    def fee_paid(self) -> int:
        """Of the agreed fee."""
        return max(self.paid["fee"] - self.charged, 0)

    @property
    def interest_earned(self) -> int:
        """When its day has come, all of it; before, by being paid."""
        return self.owed["interest"] if self.reached else max(self.paid["interest"], self.interest_kept)

    def income(self, part: str) -> int:
        """What is earned of a part: of the agreed fee, where it is that."""
        if part == "rent":
            return self.rent_earned
        return self.fee_earned if part == "fee" else self.interest_earned

    @property
    def rent_earned(self) -> int:
        """When its day has come, all of it; before, by being paid."""
        return self.owed["rent"] if self.reached else self.paid["rent"]

    def settle_income(self) -> None:
        """Never more is earned than is owed, and never less than is paid."""
        self.fee_earned = max(min(self.fee_earned, self.owed["fee"] - self.charged), self.fee_paid)
        self.interest_kept = min(self.interest_kept, self.owed["interest"])


@dataclass(slots=True)
class Purse:
    """Money, or what stands for it, and how much of it is not used."""

    name: str
    on: date
    amount: int
    is_money: bool
    unused: int
    used: dict[tuple[int, str], int] = field(default_factory=dict)
    taken_back: date | None = None
    recovered: int = 0
    granted: bool = False
    """We took it on ourselves."""
    lapses: bool = False
    """What it finds nothing to pay with is not granted."""
    pieces: list[tuple[int, tuple[date, str, int]]] = field(default_factory=list)
    """The pieces of lines that it paid."""
    purpose: str = "repayment"


@dataclass(slots=True)
class Figures:
    """What stands on a day. `rows` and `payments` are told as plain tuples, `accounts` by the codes of docs/ledger.md."""

    status: str
    closed_on: date | None
    rows: list[tuple[Any, ...]]
    payments: list[tuple[Any, ...]]
    owed: int
    held: int
    overdue: int
    days_late: int
    accounts: dict[int, int]
    acts: tuple[Any, ...]
    """Refund due, returned, given up, recovered; the days of shipping, cancelling, calling due, giving up, and until when it is paused."""
    told: tuple[tuple[str, ...], tuple[str, ...]]
    """Attempts that failed, and quotes."""
    running: tuple[int, ...]
    """Numbers of the rows that were not spread over new ones."""
    more: tuple[Any, ...] = ()
    """Where a lease or a pledge stands (`tests.trust.rented`)."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """How often what was done that no kind of event names (`NOTES`)."""


def reckon(
    terms: ContractTerms,
    events: Iterable[Event],
    as_of: date,
    known_at: int | None = None,
    *,
    book: type[Book] | None = None,
) -> Figures:
    """What the events come to, by the rules of a form of contract (left out: of a sale). Raises `Refused`."""
    return live_through(terms, events, as_of, known_at, book=book).figures(as_of)


def payoff(
    terms: ContractTerms, events: Iterable[Event], on: date, *, book: type[Book] | None = None
) -> tuple[int, int, int]:
    """What settles everything on a day, the charge in it, and what it saves."""
    lived = live_through(terms, events, on, book=book)
    if lived.confirmed_on is None:
        raise Refused("nothing is agreed that could be paid off")
    scheduled = sum(line.open for line in lived.lines)
    ahead = sum(line.left("principal") for line in lived.lines if line.day > on)
    charge = round(ahead * Fraction(terms.payoff.charge_rate))
    lived.spare(on)
    amount = sum(line.open for line in lived.lines) + charge
    return amount, charge, scheduled - amount


def penalty_due(
    terms: ContractTerms, events: Iterable[Event], on: date, *, book: type[Book] | None = None
) -> int:
    """What may be charged for being late by a day, at the agreed rate or the law's, beyond what was charged.

    What was called off or written off takes no charge.
    """
    lived = live_through(terms, events, on, book=book)
    late = terms.late
    if late is None or lived.cancelled_on is not None or lived.given_up_on is not None:
        return 0
    rate = late.annual_rate if late.cap_rate is None else min(late.annual_rate, late.cap_rate)
    return max(lived.penalty_at(Fraction(rate), on) - lived.penalties_charged, 0)


def live_through(
    terms: ContractTerms,
    events: Iterable[Event],
    as_of: date,
    known_at: int | None = None,
    *,
    book: type[Book] | None = None,
) -> Book:
    """Lives through the events. Where a payment was taken back, or it was said what it is for, it all happens again, knowing it."""
    begin = book or Book
    told = sorted(
        (e for e in events if e.occurred_on <= as_of and (known_at is None or e.recorded_at <= known_at)),
        key=lambda e: (e.occurred_on, e.recorded_at, e.seq),
    )
    newest = max((event.seq for event in told), default=0)
    gone: dict[str, date] = {}
    meant: dict[str, tuple[Any, ...]] = {}
    lived = begin(terms, gone, meant, newest)
    past: list[Event] = []
    for event in told:
        if isinstance(event, (PaymentReversed, AllocatedByInstruction)):
            if isinstance(event, PaymentReversed):
                if not lived.is_payment(event.payment_id) or event.payment_id in gone:
                    raise Refused("reversal")
                gone = {**gone, event.payment_id: event.occurred_on}
            elif lived.may_be_meant(event):
                meant = {**meant, event.payment_id: event.parts}
            lived = begin(terms, gone, meant, newest)
            for each in past:
                lived.happen(each)
        else:
            past.append(event)
            lived.happen(event)
            continue
        lived.close_or_open(event.occurred_on)
    return lived


def months_after(on: date, months: int, day: int | None = None) -> date:
    """The same day of a later month (or `day`), or the month's last."""
    year, month = divmod(on.year * 12 + on.month - 1 + months, 12)
    return date(year, month + 1, min(day or on.day, monthrange(year, month + 1)[1]))


def even_shares(whole: int, count: int, residue: str) -> list[int]:
    """As equal as they can be; what is left over lies first, last, or a fen each with the first ones."""
    shares = [whole // count] * count
    over = whole - sum(shares)
    if residue == "spread":
        for place in range(over):
            shares[place] += 1
    else:
        shares[0 if residue == "first" else -1] += over
    return shares


class Book:
    """A sale, and what it has in common with leases and pledges."""

    parts_of_a_row: ClassVar[tuple[str, ...]] = PARTS
    bearing: ClassVar[tuple[str, ...]] = ("principal",)
    """What bears penalties when it is late."""
    waivable: ClassVar[tuple[str, ...]] = ("fee", "penalty", "interest")
    agreed_income: ClassVar[str] = "interest"
    """What rows bear beside fees."""

    def __init__(
        self,
        terms: ContractTerms,
        gone: dict[str, date],
        meant: dict[str, tuple[Any, ...]],
        newest: int,
    ) -> None:
        self.terms = terms
        self.gone = gone
        self.meant = meant
        self.newest = newest
        self.agreed_part = "fee" if terms.interest is None else "interest"
        self.parts = ["penalty", "fee", "interest"]
        self.parts.insert(3 if terms.allocation.parts[0] == "fee" else 1, "principal")
        self.lines = self.agreed_lines()
        self.purses: dict[str, Purse] = {}
        self.charges: set[str] = set()
        self.returns: set[str] = set()
        self.failures: list[str] = []
        self.quotes: dict[str, PayoffQuoted] = {}
        self.settled: set[str] = set()
        self.pauses: list[tuple[date, date]] = []
        self.notes: Counter[str] = Counter()
        self.confirmed_on: date | None = None
        self.closed_on: date | None = None
        self.shipped_on: date | None = None
        self.cancelled_on: date | None = None
        self.called_on: date | None = None
        self.given_up_on: date | None = None
        self.spread_on: date | None = None
        # Money in transit, and what became of everything, as it stands.
        self.transit = self.goodwill = self.lent_again = self.refund_due = 0
        self.price_back = self.granted_back = 0
        self.returned = self.returned_of_others = 0
        self.penalties_charged = self.penalties_dropped = 0
        self.charged = self.charges_dropped = 0
        self.let_go = dict.fromkeys(("fee", "interest", "rent", "fee of a renewal"), 0)
        self.fees_returned = self.interest_returned = 0
        self.claim = self.claim_principal = self.claim_fee = self.recovered = self.cost = 0
        self.lost_principal = 0

    # ------------------------------------------------------------------------------------------- what every event obeys

    def agreed_lines(self) -> list[Line]:
        lines = []
        for row in self.terms.rows:
            owed = self.nothing()
            owed["principal"], owed[self.agreed_part] = row.principal_minor, row.fee_minor
            lines.append(Line(row.number, row.kind, row.due_on, owed, self.nothing()))
        return lines

    def is_payment(self, name: str) -> bool:
        return name in self.purses

    def income_of(self, line: Line, part: str) -> str:
        """Which income a part of a row is."""
        return part

    def part_meant(self, line: Line, part: str) -> str:
        """Which part of a row an instruction means."""
        return part

    def nothing(self) -> dict[str, int]:
        return dict.fromkeys(self.parts_of_a_row, 0)

    def rules(self) -> Mapping[type, Callable[[Any, Any], None]]:
        return RULES

    def happen(self, event: Event) -> None:
        rule = self.rules().get(type(event))
        if rule is None:
            raise Refused("not of this form of contract")
        rule(self, event)
        self.drop_unused([purse for purse in self.purses.values() if purse.lapses])
        self.close_or_open(event.occurred_on)

    def drop_unused(self, purses: Iterable[Purse]) -> None:
        """Once there is something that it could pay, what is left of what we granted is not granted any more."""
        if self.confirmed_on is None:
            return
        for purse in purses:
            self.goodwill -= purse.unused
            purse.unused = 0

    @property
    def sold(self) -> bool:
        return self.confirmed_on is not None

    @property
    def over(self) -> bool:
        """Whether nothing is to come of it but what is owed."""
        return True

    def close_or_open(self, on: date) -> None:
        if not self.over or any(line.paid != line.owed for line in self.lines):
            self.closed_on = None
        elif self.confirmed_on is not None:
            self.closed_on = self.closed_on or on

    def cannot(self, event: Event, why: str) -> None:
        """What was learnt last is refused; what was taken before has nothing to do any more."""
        if event.seq == self.newest:
            raise Refused(why)

    def running(self) -> None:
        """What we do with a contract takes one that was confirmed, and neither cancelled nor written off."""
        if self.confirmed_on is None or self.cancelled_on is not None or self.given_up_on is not None:
            raise Refused("not running")

    @property
    def owed(self) -> int:
        return sum(line.open for line in self.lines)

    def line(self, number: int) -> Line | None:
        return next((line for line in self.lines if line.number == number), None)

    # ------------------------------------------------------------------------------------------- agreeing, delivering

    def confirm(self, event: Confirmed) -> None:
        if self.confirmed_on is not None:
            raise Refused("confirmed twice")
        self.confirmed_on = event.occurred_on
        self.use_what_is_held(event.occurred_on)

    def ship(self, event: Shipped) -> None:
        self.running()
        self.shipped_on = self.shipped_on or event.occurred_on

    def cancel(self, event: Cancelled) -> None:
        """Nothing is owed, and what was paid goes back: the price, fees, interest and penalties."""
        self.running()
        if self.shipped_on is not None or self.returned:
            raise Refused("goods went out, or came back")
        self.cancelled_on = event.occurred_on
        if event.goodwill == "taken_back":
            self.take_grants_back(event.occurred_on)
        price = sum(row.principal_minor for row in self.terms.rows)
        self.refund_due += price
        for line in self.lines:
            dropped = min(price, line.left("principal"))
            price -= dropped
            self.refund_due -= dropped
            self.charges_dropped += line.charged
            self.penalties_dropped += line.owed["penalty"]
            self.fees_returned += line.fee_paid
            self.interest_returned += line.paid["interest"]
            self.refund_due += sum(line.paid.values()) - line.paid["principal"]
            line.owed = {**line.paid, "principal": line.owed["principal"] - dropped}
            line.charged = min(line.charged, line.paid["fee"])
            line.settle_income()
        self.returned = sum(row.principal_minor for row in self.terms.rows)
        self.returned_of_others = self.terms.for_other_sellers_minor

    def take_grants_back(self, on: date) -> None:
        """What we took on ourselves is owed again, and was not granted after all."""
        for purse in self.purses.values():
            if not purse.granted or purse.taken_back:
                continue
            self.goodwill -= purse.unused
            for (number, part), minor in purse.used.items():
                line = self.line(number)
                assert line is not None
                # What it had paid may have gone back to the customer since.
                undone = min(minor, line.paid[part])
                line.paid[part] -= undone
                self.goodwill -= undone
            for number, piece in purse.pieces:
                line = self.line(number)
                if line is not None and piece in line.pieces:
                    line.pieces.remove(piece)
            purse.used, purse.unused, purse.taken_back, purse.pieces = {}, 0, on, []

    def disburse(self, event: Disbursed) -> None:
        raise Refused("nothing more is lent under a contract without interest")

    def take_goods_back(self, event: GoodsReturned) -> None:
        """Principal that is not paid is settled, or the claim for it; what was paid goes back."""
        if self.confirmed_on is None or self.cancelled_on is not None or event.return_id in self.returns:
            raise Refused("goods")
        minor, others = event.amount_minor, event.for_other_sellers_minor
        if minor <= 0 or not 0 <= others <= minor:
            raise Refused("amount of goods")
        price = sum(row.principal_minor for row in self.terms.rows)
        bought = price - self.returned
        bought_of_others = self.terms.for_other_sellers_minor - self.returned_of_others
        own = bought - bought_of_others
        if others > bought_of_others or minor - others > own:
            self.cannot(event, "more than was bought")
            others = min(others, bought_of_others)
            minor = others + min(event.amount_minor - event.for_other_sellers_minor, own)
        self.returns.add(event.return_id)
        self.returned += minor
        self.returned_of_others += others
        fee_paid = sum(line.fee_paid + line.paid["interest"] for line in self.lines)
        fee_paid -= self.fees_returned + self.interest_returned
        if event.goodwill == "taken_back":
            fee_paid -= self.paid_by(True, "fee", "interest")
        off = self.settle_with_goods(minor)
        claimed = min(minor - off, self.claim_principal, self.claim - self.recovered)
        if claimed:
            fee = round(Fraction(self.claim_fee * claimed, self.claim_principal))
            fee = min(fee, self.claim - self.recovered - claimed)
            self.claim -= claimed + fee
            self.claim_fee -= fee
            self.claim_principal -= claimed
            self.lost_principal -= claimed
        back = minor - off - claimed
        if event.goodwill == "taken_back":
            # Money goes back first, and no more of it than came for the price.
            money = max(self.paid_by(False, "principal") + self.recovered - self.price_back, 0)
            granted = self.paid_by(True, "principal") - self.granted_back
            not_money = min(max(back - money, 0), max(granted, 0))
            self.granted_back += not_money
            self.goodwill -= not_money
            back -= not_money
        self.price_back += back
        self.refund_due += back
        if self.terms.returns.paid_fee == "returned" and bought:
            back = max(round(Fraction(fee_paid * minor, bought)), 0)
            self.refund_due += back
            if self.agreed_part == "fee":
                self.fees_returned += back
            else:
                self.interest_returned += back

    def paid_by(self, granted: bool, *parts: str) -> int:
        """What we granted, or else what money paid of these parts."""
        return sum(
            minor
            for purse in self.purses.values()
            for (_, part), minor in purse.used.items()
            if purse.granted is granted and part in parts
        )

    def settle_with_goods(self, minor: int) -> int:
        """Take principal off the rows that are open, and of what is open of their agreed fee the same part."""
        lines = [line for line in self.lines if line.left("principal")]
        opened = [line.left("principal") for line in lines]
        whole = sum(opened)
        minor = min(minor, whole)
        off = [0] * len(lines)
        rest = minor
        if self.terms.returns.settles == "proportional":
            for place, each in enumerate(opened):
                off[place] = min(round(Fraction(minor * each, whole)), rest)
                rest -= off[place]
        ways = list(range(len(lines)))
        if self.terms.returns.settles != "from_next":
            ways.reverse()
        for place in ways:
            more = min(rest, opened[place] - off[place])
            off[place] += more
            rest -= more
        for line, each, part in zip(lines, opened, off, strict=True):
            if part:
                self.give_up(line, "fee", round(Fraction(line.fee_left * part, each)))
                self.give_up(line, "interest", round(Fraction(line.left("interest") * part, each)))
                line.owed["principal"] -= part
        return minor

    def give_up(self, line: Line, part: str, minor: int) -> None:
        """So much of the agreed fee, or of the interest, of a row is not owed; what was earned of it was not, after all."""
        line.owed[part] -= minor
        line.settle_income()

    def pay_refund(self, event: RefundPaid) -> None:
        """What was paid out and is not due, since what it was for was undone, is owed again."""
        if event.amount_minor <= 0:
            raise Refused("refund")
        if event.amount_minor > self.refund_due:
            self.cannot(event, "more than is due")
        due = min(event.amount_minor, max(self.refund_due, 0))
        self.refund_due -= due
        self.transit -= due
        self.transit -= event.amount_minor - due
        self.take_out(event.amount_minor - due, event.occurred_on)

    # ------------------------------------------------------------------------------------------- dates

    def reach(self, event: DueReached) -> None:
        line = self.line(event.row)
        if line is None:
            self.cannot(event, "no such row")
            return
        if line.reached:
            if self.newest in (event.seq, line.reached_by):
                raise Refused("reached twice")
            return
        line.reached, line.reached_by = True, event.seq
        line.fee_earned = max(line.fee_earned, line.owed["fee"] - line.charged)

    def put_off(self, event: DueMoved) -> None:
        line = self.line(event.row)
        if line is None or event.to <= line.day:
            self.cannot(event, "no such row, or not later")
            return
        behind = self.lines[self.lines.index(line) + 1 :]
        following = next((each.day for each in behind if each.runs), None)
        if line.runs and following is not None and event.to > following:
            self.cannot(event, "past the next row")
            return
        line.put_off_to = event.to

    def change_day(self, event: DueDayChanged) -> None:
        """The same months, or each the next where the first would be due too early."""
        self.running()
        if not 1 <= event.day <= 31:
            raise Refused("day")
        if self.terms.plan.unit != "month":
            raise Refused("not by the month")
        line = self.line(event.from_row)
        if line is None or not line.runs or line.day <= event.occurred_on:
            self.cannot(event, "row")
            return
        place = self.lines.index(line)
        lines = [each for each in self.lines[place:] if each.runs]
        before = [each.day for each in self.lines[:place] if each.runs]
        earliest = max([event.occurred_on, *before[-1:]])
        later = int(months_after(line.due, 0, event.day) <= earliest)
        for each in lines:
            each.due = months_after(each.due, later, event.day)
            each.put_off_to = None

    def periods_after(self, on: date, periods: int) -> date:
        plan = self.terms.plan
        steps = plan.every * periods
        if plan.unit in ("week", "day"):
            return on + timedelta(days=steps * (7 if plan.unit == "week" else 1))
        half = 0
        if plan.unit == "half_month":
            steps, half = divmod(steps, 2)
        agreed = max(row.due_on.day for row in self.terms.rows if row.number)
        clipped = on.day == monthrange(on.year, on.month)[1] and on.day < agreed
        return months_after(on, steps, agreed if clipped else None) + timedelta(days=15 * half)

    def pause(self, event: Paused) -> None:
        self.running()
        if not 1 <= event.periods <= 24:
            raise Refused("periods")
        lines = [line for line in self.lines if line.runs and line.day > event.occurred_on]
        if not lines:
            self.cannot(event, "nothing falls due later")
            return
        self.pauses.append((event.occurred_on, self.periods_after(event.occurred_on, event.periods)))
        for line in lines:
            line.due = self.periods_after(line.due, event.periods)
            line.put_off_to = None

    def late_days(self, since: date, until: date) -> int:
        """The days after one and up to another on which the contract was not paused: each counts once."""
        if until <= since:
            return 0
        if not self.pauses:
            return (until - since).days
        days = (since + timedelta(days=count + 1) for count in range((until - since).days))
        return sum(not any(first < day <= last for first, last in self.pauses) for day in days)

    # ------------------------------------------------------------------------------------------- money

    def receive(self, event: PaymentReceived | GoodwillGranted | Recovered) -> None:
        if event.amount_minor <= 0 or event.payment_id in self.purses:
            raise Refused("payment")
        is_money = not isinstance(event, GoodwillGranted)
        if isinstance(event, Recovered):
            if not 0 <= event.cost_minor <= event.amount_minor:
                raise Refused("cost")
            if self.given_up_on is None:
                raise Refused("not written off")
        purse = Purse(event.payment_id, event.occurred_on, event.amount_minor, is_money, event.amount_minor)
        purse.granted = not is_money
        purse.lapses = isinstance(event, GoodwillGranted) and event.unused == "lapses"
        if not isinstance(event, Recovered):
            purse.purpose = event.purpose
        if event.payment_id in self.gone:
            self.purses[purse.name] = purse
            purse.taken_back, purse.unused = self.gone[purse.name], 0
            return
        if isinstance(event, PaymentReceived) and event.settles:
            self.settle(event)
        self.purses[purse.name] = purse
        if not is_money:
            self.goodwill += purse.amount
        else:
            self.transit += purse.amount
        if isinstance(event, Recovered):
            self.transit -= event.cost_minor
            self.cost += event.cost_minor
        if is_money and self.given_up_on is not None:
            purse.recovered = min(self.claim - self.recovered, purse.unused)
            self.recovered += purse.recovered
            purse.unused -= purse.recovered
        self.use(purse, event.occurred_on)

    def settle(self, event: PaymentReceived) -> None:
        """By a quote that stands, what it spares is let go and what it costs is charged: once, and where anything is owed."""
        quote = self.quotes.get(event.settles)
        if quote is None or event.settles in self.settled or event.occurred_on > quote.valid_until:
            return
        held = sum(purse.unused for purse in self.purses.values())
        if event.amount_minor + held < quote.amount_minor:
            return
        if self.confirmed_on is None or self.cancelled_on or self.given_up_on or not self.owed:
            return
        self.settled.add(event.settles)
        self.spare(event.occurred_on)
        if quote.charge_minor:
            self.add_charge("fee", quote.charge_minor, event.occurred_on)

    def spare(self, on: date) -> None:
        """Let go what a payoff does not owe of the agreed fees of rows that are not due yet."""
        owes = self.terms.payoff.fees
        if owes == "whole":
            return
        assert self.confirmed_on is not None
        begins = max(self.confirmed_on, self.spread_on or date.min)
        first = True
        for line in [each for each in self.lines if each.runs]:
            if line.day > on:
                for part in ("fee", "interest"):
                    charged, paid = (line.charged, line.fee_paid) if part == "fee" else (0, line.paid[part])
                    whole = line.owed[part] - charged
                    owed = Fraction(0)
                    if first and begins < on:
                        owed = Fraction(whole)
                        if owes == "to_date":
                            owed *= Fraction((on - begins).days, (line.day - begins).days)
                    self.give_up(line, part, whole - max(round(owed), paid))
                first = False
            begins = max(begins, line.day)

    def fail(self, event: PaymentFailed) -> None:
        if event.attempt_id in self.failures:
            raise Refused("attempt")
        self.failures.append(event.attempt_id)

    def remember(self, event: PayoffQuoted) -> None:
        if self.confirmed_on is None or not self.owed:
            self.cannot(event, "nothing to pay off")
        if event.quote_id in self.quotes or event.valid_until < event.occurred_on:
            raise Refused("quote")
        self.quotes[event.quote_id] = event

    def may_be_meant(self, event: AllocatedByInstruction) -> bool:
        if any(each.amount_minor <= 0 for each in event.parts):
            raise Refused("instruction")
        purse = self.purses.get(event.payment_id)
        if purse is None or not purse.is_money or purse.taken_back:
            self.cannot(event, "no payment that stands")
            return False
        if sum(each.amount_minor for each in event.parts) > purse.amount:
            raise Refused("more than was paid")
        if any(self.line(each.row) is None for each in event.parts):
            self.cannot(event, "no such row")
        return True

    def use(self, purse: Purse, on: date) -> None:
        """What it is meant for first, as far as that is owed and did not get it yet; then by the agreed order."""
        if self.confirmed_on is None or not purse.unused:
            return

        def pay(line: Line, part: str, most: int) -> int:
            self.fill(purse, line, part, most, on)
            return purse.unused

        got = dict(purse.used)
        for each in self.meant.get(purse.name, ()):
            line = self.line(each.row)
            if line is None:
                continue
            key = (each.row, self.part_meant(line, each.part))
            had = min(got.get(key, 0), each.amount_minor)
            got[key] = got.get(key, 0) - had
            self.fill(purse, line, key[1], each.amount_minor - had, on)
        rule = self.rule_of(purse.purpose)
        if rule is not None:
            self.by_rule(
                rule,
                rule.order,
                rule.future,
                on,
                lambda line, part: line.left(part),
                pay,
                rule.charges_by_own_date,
            )
            return
        for line, part in self.fen_slots():
            if not purse.unused:
                break
            if line.owed[part] != line.paid[part]:
                self.fill(purse, line, part, purse.unused, on)

    def rule_of(self, purpose: str) -> Rule | None:
        """The rule for payments of a purpose, or else the one for all that have none."""
        rules = {rule.purpose: rule for rule in self.terms.allocation.rules}
        return rules.get(purpose) or rules.get(None)

    def by_rule(
        self,
        rule: Rule,
        order: tuple[str, ...],
        future: str,
        on: date,
        open_of: Callable[[Line, str], int],
        pay: Callable[[Line, str, int], int],
        own_dates: bool = False,
    ) -> None:
        """Twelve buckets: when a row is due, seen from a day, and which part. `pay` says what money is left.

        Along parts, each bucket for itself; along rows, all parts of a row that are due then, before the next row.
        """
        steps: list[tuple[str, list[str]]] = []
        for bucket in order:
            when, _, part = bucket.rpartition("_")
            found = next((parts for each, parts in steps if each == when), None)
            if rule.along == "parts" or found is None:
                steps.append((when, [part]))
            else:
                found.append(part)
        for when, parts in steps:
            while True:
                lines = [
                    line
                    for line in self.lines
                    if self.when(line, on) == when and any(open_of(line, part) for part in parts)
                ]
                if not lines:
                    break
                lines = self.of_the_future(lines, future, on) if when == "in_advance" else lines[:1]
                rest = 1
                if own_dates and when == "in_advance" and rule.along == "rows":
                    # What was charged for by now is not in advance: of these rows it comes first.
                    for part in ("penalty", "fee"):
                        for line in lines:
                            self.notes["charge by its own day"] += line.fallen(part, on) > 0
                            rest = pay(line, part, line.fallen(part, on))
                for part in parts:
                    for line, share in zip(
                        lines, self.equal(pay(lines[0], part, 0), len(lines)), strict=True
                    ):
                        rest = pay(line, part, min(share, open_of(line, part)))
                if not rest:
                    return

    def when(self, line: Line, on: date) -> str:
        return "past_due" if line.day < on else "due" if line.day == on else "in_advance"

    def of_the_future(self, lines: list[Line], future: str, on: date) -> list[Line]:
        """Of what is not due yet: the next row, the last, the one that runs and else the last, or all."""
        if future == "re_amortise":
            return lines
        if future == "next":
            return lines[:1]
        if future == "next_last":
            running = []
            for line in lines:
                before = [each.day for each in self.lines[: self.lines.index(line)] if each.runs]
                if not before or before[-1] <= on:
                    running.append(line)
            if running:
                return running
        return lines[-1:]

    def equal(self, money: int, count: int) -> list[int]:
        """Half to even each, and the last takes the difference."""
        each = round(Fraction(money, count))
        if each * (count - 1) > money:
            each = money // count
        return [each] * (count - 1) + [money - each * (count - 1)]

    def fen_slots(self) -> Iterable[tuple[Line, str]]:
        if self.terms.allocation.along == "rows":
            return ((line, part) for line in self.lines for part in self.parts)
        return ((line, part) for part in self.parts for line in self.lines)

    def fill(self, purse: Purse, line: Line, part: str, most: int, on: date) -> None:
        minor = min(purse.unused, line.left(part), most)
        if minor <= 0:
            return
        line.paid[part] += minor
        line.settle_income()
        purse.unused -= minor
        purse.used[line.number, part] = purse.used.get((line.number, part), 0) + minor
        if part in self.bearing:
            line.pieces.append((on, part, minor))
            purse.pieces.append((line.number, (on, part, minor)))

    def use_what_is_held(self, on: date | None = None) -> None:
        for purse in self.purses.values():
            self.use(purse, on or purse.on)

    def pay_back(self, event: PaidBack) -> None:
        """In advance first and from the end, then what is due, then what was late; of each the last part first."""
        if event.amount_minor <= 0 or event.payment_id in self.purses:
            raise Refused("paid back")
        wanted, on = event.amount_minor, event.occurred_on
        if event.payment_id in self.gone:
            self.purses[event.payment_id] = Purse(
                event.payment_id, on, -wanted, True, 0, taken_back=self.gone[event.payment_id]
            )
            return
        if wanted > sum(sum(line.paid.values()) for line in self.lines):
            self.cannot(event, "more than was paid")
        purse = Purse(event.payment_id, on, 0, True, 0)
        ahead = [line for line in reversed(self.lines) if line.day > on]
        today = [line for line in self.lines if line.day == on]
        late = [line for line in self.lines if line.day < on]
        parts = self.parts[::-1]
        if self.terms.allocation.along == "rows":
            slots = [(line, part) for group in (ahead, today, late) for line in group for part in parts]
        else:
            slots = [(line, part) for group in (ahead, today, late) for part in parts for line in group]

        def give(line: Line, part: str, most: int) -> int:
            nonlocal wanted
            minor = min(wanted, most, line.paid[part])
            if minor:
                line.paid[part] -= minor
                wanted -= minor
                purse.amount -= minor
                purse.used[line.number, part] = purse.used.get((line.number, part), 0) - minor
                if part == "principal":
                    line.pieces.append((on, part, -minor))
            return wanted

        rule = self.rule_of("repayment")
        if rule is None:
            for line, part in slots:
                give(line, part, wanted)
        else:
            # The last bucket first, and the last of the rows to come where the next one was paid first.
            future = {"next": "last", "last": "next"}.get(rule.future, rule.future)
            self.by_rule(rule, rule.order[::-1], future, on, lambda line, part: line.paid[part], give)
        self.purses[purse.name] = purse
        self.transit -= event.amount_minor
        self.use_what_is_held(on)
        self.take_out(wanted, on)

    def refund(self, event: UnappliedRefunded) -> None:
        if event.amount_minor <= 0:
            raise Refused("refund")
        held = list(self.purses.values())
        granted = [purse for purse in held if purse.granted]
        if event.goodwill == "taken_back":
            held = [purse for purse in held if not purse.granted]
        if event.amount_minor > sum(purse.unused for purse in held):
            self.cannot(event, "more than is held")
        self.transit -= event.amount_minor
        self.take_out(event.amount_minor, event.occurred_on, held)
        if event.goodwill == "taken_back":
            self.use_what_is_held(event.occurred_on)
            self.drop_unused(granted)

    def take_out(self, wanted: int, on: date, held: Iterable[Purse] | None = None) -> None:
        """Money goes out that no row gives: of what is held, the oldest first; beyond that, it is lent again."""
        for purse in self.purses.values() if held is None else held:
            part = min(purse.unused, wanted)
            purse.unused -= part
            wanted -= part
        if wanted:
            running = [
                line
                for line in self.lines
                if line.runs and (line.kind == "extra" or (line.kind not in AT_START and line.due > on))
            ]
            line = running[0] if running else self.line_at(on)
            line.due = max(line.due, on)
            line.owed["principal"] += wanted
            self.lent_again += wanted

    # ------------------------------------------------------------------------------------------- charges

    def line_at(self, on: date) -> Line:
        """The instalment in whose time a day lies; behind the last one, a line of its own that goes with the last such day."""
        extra = None
        for line in self.lines:
            if not line.runs or line.kind in AT_START:
                continue
            if line.kind == "extra":
                extra = line
            elif on <= line.due:
                return line
        if extra is None:
            extra = self.add("extra", on, reached=True)
        extra.due = max(extra.due, on)
        return extra

    def add(self, kind: str, due: date, *, reached: bool) -> Line:
        """A row that was not agreed: in the order of its date, numbered on."""
        number = max(each.number for each in self.lines) + 1
        line = Line(number, kind, due, self.nothing(), self.nothing(), reached=reached)
        place = len(self.lines)
        while place and self.lines[place - 1].due > due:
            place -= 1
        self.lines.insert(place, line)
        return line

    def charge(self, event: Charged) -> None:
        if event.amount_minor <= 0 or event.charge_id in self.charges:
            raise Refused("charge")
        if self.confirmed_on is not None:
            self.running()
        if event.code not in [cost.code for cost in self.terms.plan.contingent]:
            raise Refused("a cost that was not named")
        late = self.terms.late
        if event.part == "penalty" and late is not None and late.cap_rate is not None:
            most = self.penalty_at(Fraction(late.cap_rate), event.occurred_on)
            if self.penalties_charged + event.amount_minor > most:
                self.cannot(event, "more than the law has it")
        self.charges.add(event.charge_id)
        self.add_charge(event.part, event.amount_minor, event.due_on)
        self.use_what_is_held()

    def add_charge(self, part: str, minor: int, on: date) -> None:
        line = self.line_at(on)
        line.owed[part] += minor
        line.dated.append((on, part, minor))
        if part == "fee":
            line.charged += minor
            self.charged += minor
        else:
            self.penalties_charged += minor

    def penalty_at(self, rate: Fraction, on: date) -> int:
        """Each fen of late principal by the days after its day (and the days of grace) until it was paid, or until now."""
        late = self.terms.late
        assert late is not None
        days = 0
        for line in self.lines:
            since = line.day + timedelta(days=late.grace_days)
            if since >= on:
                continue
            late_still = sum(line.left(part) for part in self.bearing)
            if late_still:
                days += late_still * self.late_days(since, on)
            for paid_on, _, minor in line.pieces:
                days += minor * self.late_days(since, min(paid_on, on))
        return round(days * rate / late.year_days)

    def waive(self, event: Waived) -> None:
        """What is earned of it costs us goodwill; what is not earned yet never is. What was charged beside goes first."""
        if event.amount_minor <= 0 or event.part not in self.waivable:
            raise Refused("waiver")
        self.running()
        lines = self.lines
        if event.row is not None:
            line = self.line(event.row)
            if line is None:
                self.cannot(event, "no such row")
                return
            lines = [line]
        if event.amount_minor > sum(line.left(event.part) for line in lines):
            self.cannot(event, "more than is owed")
        rest = event.amount_minor
        for line in lines:
            minor = min(rest, line.left(event.part))
            rest -= minor
            if event.part == "penalty":
                line.owed["penalty"] -= minor
                self.goodwill += minor
                continue
            if event.part == "fee":
                beside = min(minor, line.charge_left)
                line.charged -= beside
                line.owed["fee"] -= beside
                self.goodwill += beside
                minor -= beside
            before = line.income(event.part)
            self.give_up(line, event.part, minor)
            let_go = before - line.income(event.part)
            self.goodwill += let_go
            self.let_go[self.income_of(line, event.part)] += let_go

    # ------------------------------------------------------------------------------------------- when it cannot go on

    def something_owed(self, event: Event) -> bool:
        self.running()
        if not self.owed:
            self.cannot(event, "nothing is owed")
        return self.owed > 0

    def re_age(self, event: ReAged) -> None:
        if not self.something_owed(event):
            return
        if not 1 <= event.periods <= 120 or event.first_due_on <= event.occurred_on:
            raise Refused("new rows")
        old = [line for line in self.lines if line.open]
        for line in self.lines:
            line.runs = False
        new = [
            self.add("instalment", self.periods_after(event.first_due_on, number), reached=False)
            if number
            else self.add("instalment", event.first_due_on, reached=False)
            for number in range(event.periods)
        ]
        self.spread_on = event.occurred_on
        self.spread(old, new)

    def spread(self, old: list[Line], new: list[Line]) -> None:
        """Each part in equal shares, the oldest first; what was earned of it stays earned, and leaves its row last."""
        for part in PARTS:
            shares = even_shares(sum(line.left(part) for line in old), len(new), self.terms.plan.residue)
            fens = [(target, share) for target, share in zip(new, shares, strict=True) if share]
            for source in old:
                while source.left(part):
                    target, share = fens[0]
                    minor = min(share, source.left(part))
                    self.hand_on(source, target, part, minor)
                    fens[0] = (target, share - minor)
                    if share == minor:
                        fens.pop(0)

    def hand_on(self, source: Line, target: Line, part: str, minor: int) -> None:
        earned = minor
        if part == "fee":
            # The agreed fee that is not earned, the one that is, and what was charged.
            unearned = source.owed["fee"] - source.charged - source.fee_earned
            earned = max(minor - unearned, 0)
            agreed = min(earned, source.fee_earned - source.fee_paid)
            source.fee_earned -= agreed
            target.fee_earned += agreed
            source.charged -= earned - agreed
            target.charged += earned - agreed
            if target.reached:
                target.fee_earned += minor - earned
        elif part == "interest":
            earned = max(minor - (source.owed["interest"] - source.interest_earned), 0)
            source.interest_kept = source.interest_earned - earned
            target.interest_kept += earned
        source.owed[part] -= minor
        target.owed[part] += minor

    def re_amortise(self, event: ReAmortised) -> None:
        if not self.something_owed(event):
            return
        fallen = [line for line in self.lines if line.day <= event.occurred_on and line.open]
        to_come = [
            line
            for line in self.lines
            if line.day > event.occurred_on and line.runs and line.kind == "instalment"
        ]
        if not fallen or not to_come:
            self.cannot(event, "nothing past due, or no row to come")
            return
        self.spread(fallen, to_come)

    def call_due(self, event: Accelerated) -> None:
        """Everything is due on the day; agreed fees of a time that has not come are not owed."""
        if not self.something_owed(event):
            return
        if self.called_on is not None:
            self.cannot(event, "called already")
            return
        agreed, on = self.terms.acceleration, event.occurred_on
        if event.demanded_on > on:
            self.cannot(event, "demanded later")
        late = sum(line.open for line in self.lines if line.day < on)
        price = sum(row.principal_minor for row in self.terms.rows)
        if Fraction(late) < Fraction(price, agreed.part_of_price):
            self.cannot(event, "too little is late")
        if (on - event.demanded_on).days <= agreed.days_after_demand:
            self.cannot(event, "the time that was given is not over")
        self.called_on = on
        for line in self.lines:
            if line.day > on:
                self.give_up(line, "fee", line.fee_left)
                self.give_up(line, "interest", line.left("interest"))
                line.due, line.put_off_to = on, None

    def write_off(self, event: WrittenOff) -> None:
        """Income that was booked and never came is none; principal is lost; the claim stays."""
        if self.confirmed_on is None:
            raise Refused("not confirmed")
        if not self.owed:
            self.cannot(event, "nothing is owed")
        self.give_up_what_is_owed(event.occurred_on)

    def give_up_what_is_owed(self, on: date) -> None:
        self.given_up_on = on
        self.claim += self.owed
        for line in self.lines:
            self.claim_principal += line.left("principal")
            self.lost_principal += line.left("principal")
            self.claim_fee += line.fee_left + line.left("interest")
            self.charges_dropped += line.charge_left
            self.penalties_dropped += line.left("penalty")
            line.charged -= line.charge_left
            line.owed = dict(line.paid)
            line.settle_income()

    # ------------------------------------------------------------------------------------------- what stands

    def figures(self, as_of: date) -> Figures:
        rows: list[tuple[Any, ...]] = []
        owed = overdue = days_late = 0
        agreed_on = self.confirmed_on
        for line in self.lines:
            due = line.due if agreed_on is None or line.due > agreed_on else agreed_on
            due = line.put_off_to or due
            if not line.open:
                status = "paid"
            elif due > as_of:
                status = "upcoming"
            elif due == as_of:
                status = "due"
            else:
                status = "overdue"
                overdue += line.open
                days_late = days_late or self.late_days(due, as_of)
            owed += line.open
            earned = line.fee_earned + line.charged
            rows.append(
                (
                    line.number,
                    due,
                    status,
                    line.reached,
                    earned,
                    line.income(self.agreed_income),
                    line.owed,
                    line.paid,
                )
            )
        status = "closed" if not owed and self.over else "active"
        if agreed_on is None:
            status, overdue, days_late = "unconfirmed", 0, 0
        held = sum(purse.unused for purse in self.purses.values())
        payments = [
            (p.name, p.amount, p.unused, p.taken_back, p.recovered, p.used) for p in self.purses.values()
        ]
        until = max((last for _, last in self.pauses), default=None)
        return Figures(
            status,
            self.closed_on,
            rows,
            payments,
            owed,
            held,
            overdue,
            days_late,
            self.accounts(held),
            (
                self.refund_due,
                0 if self.cancelled_on else self.returned,
                self.claim,
                self.recovered,
                self.shipped_on,
                self.cancelled_on,
                self.called_on,
                self.given_up_on,
                until,
            ),
            (tuple(self.failures), tuple(self.quotes)),
            tuple(line.number for line in self.lines if line.runs),
            self.more(as_of),
            self.notes,
        )

    def more(self, as_of: date) -> tuple[Any, ...]:
        return ()

    @property
    def not_sold_yet(self) -> int:
        """Rows are there before they are agreed to; what they are the price of is not sold before."""
        return 0 if self.sold else sum(row.principal_minor for row in self.terms.rows)

    def accounts(self, held: int) -> dict[int, int]:
        """Each account's balance, read off what stands. Debits are positive."""
        paid = {part: sum(line.paid[part] for line in self.lines) for part in PARTS}
        price = sum(row.principal_minor for row in self.terms.rows)
        sold = price if self.sold else 0
        others = self.terms.for_other_sellers_minor if self.sold else 0
        fees = sum(line.fee_earned for line in self.lines)
        charged = sum(line.charged for line in self.lines)
        interest = sum(line.interest_earned for line in self.lines)
        balances = {
            1020: self.transit,
            1110: sum(line.left("principal") for line in self.lines) - self.not_sold_yet,
            1120: fees + charged - paid["fee"],
            1130: interest - paid["interest"],
            1140: sum(line.left("penalty") for line in self.lines),
            2010: self.returned_of_others - others,
            2110: -held,
            2120: -self.refund_due,
            4010: others - sold,
            4020: self.returned - self.returned_of_others,
            4110: self.fees_returned - fees - self.let_go["fee"],
            4120: self.interest_returned - interest - self.let_go["interest"],
            4130: self.penalties_dropped - self.penalties_charged,
            4150: -self.recovered,
            4190: self.charges_dropped - self.charged,
            5110: self.lost_principal,
            5120: self.goodwill,
            5210: self.cost,
        }
        return {code: minor for code, minor in balances.items() if minor}


RULES: dict[type, Callable[[Book, Any], None]] = {
    Confirmed: Book.confirm,
    Shipped: Book.ship,
    Cancelled: Book.cancel,
    Disbursed: Book.disburse,
    GoodsReturned: Book.take_goods_back,
    RefundPaid: Book.pay_refund,
    DueReached: Book.reach,
    DueMoved: Book.put_off,
    DueDayChanged: Book.change_day,
    Paused: Book.pause,
    PaymentReceived: Book.receive,
    GoodwillGranted: Book.receive,
    Recovered: Book.receive,
    PaymentFailed: Book.fail,
    PayoffQuoted: Book.remember,
    PaidBack: Book.pay_back,
    UnappliedRefunded: Book.refund,
    Charged: Book.charge,
    Waived: Book.waive,
    ReAged: Book.re_age,
    ReAmortised: Book.re_amortise,
    Accelerated: Book.call_due,
    WrittenOff: Book.write_off,
}
