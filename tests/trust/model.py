"""What a contract comes to, reckoned a second time: plain and slow, from the rules in docs/ledger.md and docs/servicing.md.

Nothing of `fenqi.contracts` is used but its events and terms as data. It works the other way round than the engine: there are no
movements. What stands at the end (rows, what is paid of them, what is held) is reckoned first, and each account's balance
is read off it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fenqi.contracts.events import (
    Charged,
    Confirmed,
    DueMoved,
    DueReached,
    Event,
    GoodwillGranted,
    PaidBack,
    PaymentReceived,
    PaymentReversed,
    UnappliedRefunded,
)
from fenqi.contracts.terms import ContractTerms

__all__ = ["Figures", "Refused", "reckon"]

AT_START = ("down_payment", "up_front")


class Refused(Exception):
    """These events cannot all be true."""


@dataclass(slots=True)
class Line:
    number: int
    kind: str
    due: date
    owed: dict[str, int]
    paid: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("penalty", "fee", "interest", "principal"), 0)
    )
    put_off_to: date | None = None
    reached: bool = False
    earned: int = 0

    @property
    def day(self) -> date:
        return self.put_off_to or self.due

    @property
    def open(self) -> int:
        owed, paid = self.owed, self.paid
        return (
            owed["penalty"] + owed["fee"] + owed["interest"] + owed["principal"]
            - paid["penalty"] - paid["fee"] - paid["interest"] - paid["principal"]
        )  # fmt: skip


@dataclass(slots=True)
class Purse:
    """Money, or what stands for it, and how much of it is not used."""

    name: str
    amount: int
    is_money: bool
    unused: int
    used: dict[tuple[int, str], int] = field(default_factory=dict)
    taken_back: date | None = None


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


def reckon(
    terms: ContractTerms, events: Iterable[Event], as_of: date, known_at: int | None = None
) -> Figures:
    """What the events come to. Raises `Refused`."""
    told = sorted(
        (e for e in events if e.occurred_on <= as_of and (known_at is None or e.recorded_at <= known_at)),
        key=lambda e: (e.occurred_on, e.recorded_at, e.seq),
    )
    book = _Book(terms, _taken_back(told), max((event.seq for event in told), default=0))
    for event in told:
        book.happen(event)
    return book.figures(as_of)


def _taken_back(told: list[Event]) -> dict[str, date]:
    """Which payments do not count, since they were taken back: each is there before, and is taken back once."""
    there: set[str] = set()
    gone: dict[str, date] = {}
    for event in told:
        if isinstance(event, PaymentReversed):
            if event.payment_id not in there or event.payment_id in gone:
                raise Refused("reversal")
            gone[event.payment_id] = event.occurred_on
        elif isinstance(event, (PaymentReceived, GoodwillGranted, PaidBack)):
            there.add(event.payment_id)
    return gone


class _Book:
    def __init__(self, terms: ContractTerms, gone: dict[str, date], newest: int) -> None:
        self.terms = terms
        self.gone = gone
        self.newest = newest
        """Only what was learnt last is held to what there is to give back: what was taken before stays."""
        self.lines: list[Line] = []
        for row in terms.rows:
            charged = "fee" if terms.interest is None else "interest"
            owed = {"penalty": 0, "fee": 0, "interest": 0, "principal": row.principal_minor}
            owed[charged] = row.fee_minor
            self.lines.append(Line(row.number, row.kind, row.due_on, owed))
        fees_first = terms.allocation.parts[0] == "fee"
        self.parts = ["penalty", "fee", "interest"]
        self.parts.insert(3 if fees_first else 1, "principal")
        self.purses: dict[str, Purse] = {}
        self.charges: set[str] = set()
        self.confirmed_on: date | None = None
        self.closed_on: date | None = None
        self.money_in = self.money_out = self.granted = self.lent_again = self.penalties = (
            self.fees_charged
        ) = 0

    def happen(self, event: Event) -> None:
        if isinstance(event, Confirmed):
            if self.confirmed_on is not None:
                raise Refused("confirmed twice")
            self.confirmed_on = event.occurred_on
            self.use_what_is_held()
        elif isinstance(event, DueReached):
            line = self.line(event.row)
            if line.reached:
                raise Refused("reached twice")
            line.reached = True
            line.earned = max(line.earned, line.owed["fee"])
        elif isinstance(event, DueMoved):
            self.put_off(event)
        elif isinstance(event, (PaymentReceived, GoodwillGranted)):
            self.receive(event)
        elif isinstance(event, Charged):
            self.charge(event)
        elif isinstance(event, PaidBack):
            self.pay_back(event)
        elif isinstance(event, UnappliedRefunded):
            self.refund(event)
        elif not isinstance(event, PaymentReversed):
            raise NotImplementedError(f"no rule for {type(event).__name__}")
        if any(line.paid != line.owed for line in self.lines):
            self.closed_on = None
        elif self.confirmed_on is not None:
            self.closed_on = self.closed_on or event.occurred_on

    def line(self, number: int) -> Line:
        for line in self.lines:
            if line.number == number:
                return line
        raise Refused("no such row")

    def put_off(self, event: DueMoved) -> None:
        line = self.line(event.row)
        place = self.lines.index(line)
        if event.to <= line.day:
            raise Refused("not later")
        if place + 1 < len(self.lines) and event.to > self.lines[place + 1].day:
            raise Refused("past the next row")
        line.put_off_to = event.to

    def receive(self, event: PaymentReceived | GoodwillGranted) -> None:
        if event.amount_minor <= 0 or event.payment_id in self.purses:
            raise Refused("payment")
        purse = Purse(
            event.payment_id, event.amount_minor, isinstance(event, PaymentReceived), event.amount_minor
        )
        self.purses[purse.name] = purse
        if purse.name in self.gone:
            purse.taken_back, purse.unused = self.gone[purse.name], 0
            return
        if purse.is_money:
            self.money_in += purse.amount
        else:
            self.granted += purse.amount
        if self.confirmed_on is not None:
            self.use(purse)

    def fen_slots(self) -> list[tuple[Line, str]]:
        if self.terms.allocation.along == "rows":
            return [(line, part) for line in self.lines for part in self.parts]
        return [(line, part) for part in self.parts for line in self.lines]

    def use(self, purse: Purse) -> None:
        for line, part in self.fen_slots():
            if not purse.unused:
                break
            minor = min(purse.unused, line.owed[part] - line.paid[part])
            if minor:
                line.paid[part] += minor
                purse.unused -= minor
                purse.used[line.number, part] = purse.used.get((line.number, part), 0) + minor
                if part == "fee" and line.earned < line.paid["fee"]:
                    line.earned = line.paid["fee"]

    def use_what_is_held(self) -> None:
        if self.confirmed_on is not None:
            for purse in self.purses.values():
                self.use(purse)

    def line_at(self, on: date) -> Line:
        """The instalment in whose time a day lies; behind the last one, a line of its own that goes with the last such day."""
        extra = None
        for line in self.lines:
            if line.kind == "extra":
                extra = line
            elif line.kind not in AT_START and on <= line.due:
                return line
        if extra is None:
            extra = Line(
                max(line.number for line in self.lines) + 1,
                "extra",
                on,
                dict.fromkeys(("penalty", "fee", "interest", "principal"), 0),
                reached=True,
            )
            self.lines.append(extra)
        extra.due = max(extra.due, on)
        return extra

    def charge(self, event: Charged) -> None:
        if event.amount_minor <= 0 or event.charge_id in self.charges:
            raise Refused("charge")
        if event.code not in [cost.code for cost in self.terms.plan.contingent]:
            raise Refused("a cost that was not named")
        self.charges.add(event.charge_id)
        line = self.line_at(event.due_on)
        line.owed[event.part] += event.amount_minor
        if event.part == "fee":
            line.earned += event.amount_minor
            self.fees_charged += event.amount_minor
        else:
            self.penalties += event.amount_minor
        self.use_what_is_held()

    def pay_back(self, event: PaidBack) -> None:
        """In advance first and from the end, then what is due, then what was late; of each the last part first."""
        if event.amount_minor <= 0 or event.payment_id in self.purses:
            raise Refused("paid back")
        wanted = event.amount_minor
        if event.payment_id in self.gone:
            self.purses[event.payment_id] = Purse(
                event.payment_id, -wanted, True, 0, taken_back=self.gone[event.payment_id]
            )
            return
        if event.seq == self.newest and wanted > sum(sum(line.paid.values()) for line in self.lines):
            raise Refused("more than was paid")
        purse = Purse(event.payment_id, 0, True, 0)
        ahead = [line for line in reversed(self.lines) if line.day > event.occurred_on]
        today = [line for line in self.lines if line.day == event.occurred_on]
        late = [line for line in self.lines if line.day < event.occurred_on]
        parts = self.parts[::-1]
        if self.terms.allocation.along == "rows":
            slots = [(line, part) for group in (ahead, today, late) for line in group for part in parts]
        else:
            slots = [(line, part) for group in (ahead, today, late) for part in parts for line in group]
        for line, part in slots:
            minor = min(wanted, line.paid[part])
            if minor:
                line.paid[part] -= minor
                wanted -= minor
                purse.amount -= minor
                purse.used[line.number, part] = -minor
        self.purses[purse.name] = purse
        self.money_out += event.amount_minor
        self.use_what_is_held()
        self.take_out(wanted, event.occurred_on)

    def refund(self, event: UnappliedRefunded) -> None:
        if event.amount_minor <= 0:
            raise Refused("refund")
        if event.seq == self.newest and event.amount_minor > sum(
            purse.unused for purse in self.purses.values()
        ):
            raise Refused("more than is held")
        self.money_out += event.amount_minor
        self.take_out(event.amount_minor, event.occurred_on)

    def take_out(self, wanted: int, on: date) -> None:
        """Money goes out that no row gives: of what is held, the oldest first; beyond that, it is lent again."""
        for purse in self.purses.values():
            part = min(purse.unused, wanted)
            purse.unused -= part
            wanted -= part
        if wanted:
            running = [
                line
                for line in self.lines
                if line.kind == "extra" or (line.kind not in AT_START and line.due > on)
            ]
            line = running[0] if running else self.line_at(on)
            line.due = max(line.due, on)
            line.owed["principal"] += wanted
            self.lent_again += wanted

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
                days_late = days_late or (as_of - due).days
            owed += line.open
            rows.append((line.number, due, status, line.reached, line.earned, line.owed, line.paid))
        status = "active" if owed else "closed"
        if agreed_on is None:
            status, overdue, days_late = "unconfirmed", 0, 0
        held = sum(purse.unused for purse in self.purses.values())
        payments = [(p.name, p.amount, p.unused, p.taken_back, p.used) for p in self.purses.values()]
        return Figures(
            status, self.closed_on, rows, payments, owed, held, overdue, days_late, self.accounts(held)
        )

    def accounts(self, held: int) -> dict[int, int]:
        """Each account's balance, read off what stands. Debits are positive."""
        paid = {part: sum(line.paid[part] for line in self.lines) for part in self.parts}
        sold = sum(row.principal_minor for row in self.terms.rows) if self.confirmed_on is not None else 0
        others = self.terms.for_other_sellers_minor if self.confirmed_on is not None else 0
        fees = sum(line.earned for line in self.lines)
        interest = sum(
            line.owed["interest"] if line.reached else line.paid["interest"] for line in self.lines
        )
        balances = {
            1020: self.money_in - self.money_out,
            1110: sold + self.lent_again - paid["principal"],
            1120: fees - paid["fee"],
            1130: interest - paid["interest"],
            1140: self.penalties - paid["penalty"],
            2010: -others,
            2110: -held,
            4010: others - sold,
            4110: self.fees_charged - fees,
            4120: -interest,
            4130: -self.penalties,
            4190: -self.fees_charged,
            5120: self.granted,
        }
        return {code: minor for code, minor in balances.items() if minor}
