"""Whole lives of contracts, made up from a seed, held to rules that the engine does not know.

A step tells one contract one thing: an event, or one that has to be refused. After each step the engine's answer is held to
`oracles`. Every kind of event has its own probability in each contract (many are 0 there), so that rare paths are not always
hidden behind common ones. `Reached` counts what happened in which state.

    python -m tests.trust.simulation --seed 7 --steps 200000
"""

from __future__ import annotations

import argparse
import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final

from tests.trust import model
from tests.trust.model import Figures, Refused, reckon

from fenqi.contracts import contract as engine
from fenqi.contracts import delinquency
from fenqi.contracts.allocation import Allocation
from fenqi.contracts.events import (
    Accelerated,
    AllocatedByInstruction,
    BoughtOut,
    Cancelled,
    Captured,
    Charged,
    Confirmed,
    DepositApplied,
    DepositHeld,
    DepositReleased,
    Disbursed,
    DueDayChanged,
    DueMoved,
    DueReached,
    Event,
    EventRefused,
    GoodsReturned,
    GoodwillGranted,
    HandedOver,
    Inspected,
    Instruction,
    LeaseReturned,
    PaidBack,
    Paused,
    PaymentFailed,
    PaymentReceived,
    PaymentReversed,
    PayoffQuoted,
    Pledged,
    PledgeReleased,
    ReAged,
    ReAmortised,
    Recovered,
    RefundPaid,
    Renewed,
    Shipped,
    UnappliedRefunded,
    Waived,
    WrittenOff,
)
from fenqi.contracts.movements import Movement
from fenqi.contracts.payoff import payoff_quote
from fenqi.contracts.terms import ContractTerms, Interest, pin
from fenqi.ledger import closure, entries
from fenqi.terms.agreed import AccelerationTerms, LateTerms, PayoffTerms, ReturnTerms
from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import disclose
from fenqi.terms.plan import Annuity, ContingentCost, DownPayment, EqualPrincipal, FlatFee, Plan, ZeroInterest
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

__all__ = [
    "CANNOT",
    "EVENTS",
    "FAULTS",
    "NOT_YET",
    "STATES",
    "Break",
    "Life",
    "Reached",
    "Run",
    "holds",
    "simulate",
]

STATES: Final = ("unconfirmed", "active", "overdue", "called due", "closed", "cancelled", "written off")
COSTS: Final = (
    ContingentCost("late_fee", Text("滞纳金", "Late fee"), Text("逾期", "If late"), "the mall"),
    ContingentCost("early_fee", Text("提前还款费", "Early payoff"), Text("提前", "If early"), "the mall"),
)


class Break(AssertionError):
    """An oracle was broken: by which events of which contract, and the seed that shows it again."""

    def __init__(
        self, oracle: str, seed: str, number: int, said: str, terms: ContractTerms, told: list[Event]
    ) -> None:
        self.oracle = oracle
        self.terms = terms
        self.told = told
        lines = [f"  {event!r}" for event in told]
        super().__init__(
            f"{oracle}: {said}\nseed {seed}, contract {number}, plan {terms.plan.id}, parts {terms.allocation.parts}"
            f" along {terms.allocation.along}; the first {len(told)} events show it:\n" + "\n".join(lines)
        )


# ------------------------------------------------------------------------------------------------ what is sold


def _plan(name: str, count: int, pricing: Any, **more: Any) -> Plan:
    return Plan(name, "mall", "shop", "instalment_sale", count, pricing, contingent=COSTS, **more)


PLANS: Final = (
    _plan("flat_6", 6, FlatFee(Decimal("0.006"))),
    _plan("flat_12", 12, FlatFee(Decimal("0.0051"))),
    _plan("free_3", 3, ZeroInterest("shop")),
    _plan("down_4", 4, FlatFee(total_rate=Decimal("0.05")), down_payment=DownPayment(share=Decimal("0.2"))),
    _plan("annuity_5", 5, Annuity(Decimal("0.072"))),
    _plan("interest_6", 6, Annuity(Decimal("0.156"))),
    _plan("interest_4", 4, EqualPrincipal(Decimal("0.09"))),
    _plan("weekly_5", 5, FlatFee(total_rate=Decimal("0.04")), unit="week", every=2, residue="spread"),
)
STARTS: Final = (date(2026, 11, 23), date(2027, 1, 31), date(2027, 8, 30))


def _late(chance: random.Random) -> LateTerms | None:
    cap = chance.choice([None, Decimal("0.24"), Decimal("4")])
    rate = chance.choice([Decimal("0.27"), Decimal("3.65")])
    year = chance.choice([360, 365])
    late = LateTerms(rate, "late_fee", cap, "law", year, chance.choice([0, 0, 3]))
    return chance.choice([None, late, late])


@cache
def agreements(seed: str) -> tuple[tuple[ContractTerms, date], ...]:
    """The contracts that a run sells, and from when, from the engine's own schedules and tables of costs.

    What is agreed differs from one to the next, as it does where a shop changes its policies.
    """
    chance = random.Random(f"{seed}:agreements")
    made: list[tuple[ContractTerms, date]] = []
    for plan in PLANS:
        for _ in range(9):
            price = chance.choice([999, 30_001, 600_000, chance.randint(1_000, 9_999_999)])
            start = chance.choice(STARTS)
            bill = build_schedule(plan, price, "CNY", start)
            terms = pin(
                plan,
                bill,
                disclose(plan, bill, cost_of(bill, plan), Text("商城", "The mall")),
                zone="Asia/Shanghai",
                policy_digest="sha256:" + "0" * 64,
                for_other_sellers_minor=chance.choice([0, price // 3, price]),
                allocation=Allocation(
                    chance.choice([("fee", "principal"), ("principal", "fee")]),
                    chance.choice(["rows", "parts"]),
                ),
                interest=Interest(counted_from=start, begins_on=start) if "interest" in plan.id else None,
                payoff=PayoffTerms(
                    chance.choice(["whole", "to_period_end", "to_date", "to_date"]),
                    chance.choice([Decimal(0), Decimal("0.03")]),
                    "early_fee",
                ),
                late=_late(chance),
                returns=ReturnTerms(
                    chance.choice(["from_last", "from_next", "proportional"]),
                    chance.choice(["kept", "returned", "returned"]),
                ),
                acceleration=AccelerationTerms(
                    chance.choice([5, 20, 100]), chance.choice([0, 15, 30]), "civil code"
                ),
            )
            made.append((terms, start))
    return tuple(made)


# ------------------------------------------------------------------------------------------------- one contract


@dataclass(slots=True)
class Life:
    """One contract: what it was told, what is booked, and how it lives (`weights`, `faults`)."""

    chance: random.Random
    terms: ContractTerms
    length: int
    weights: dict[type, int]
    faults: dict[str, float]
    today: date
    clock: int = 1_000
    told: list[Event] = field(default_factory=list)
    booked: dict[int, int] = field(default_factory=dict)
    follows: float = 0.0
    """How readily what hardly ever can follow does (`_follows`)."""
    seen: set[str] = field(default_factory=set)
    stands: Figures | None = None
    marks: list[str] = field(default_factory=list)
    latest: date = date.min

    @property
    def state(self) -> str:
        stands = self.stands
        if stands is None or stands.status == "unconfirmed":
            return "unconfirmed"
        *_, cancelled_on, called_on, given_up_on, _ = stands.acts
        if cancelled_on:
            return "cancelled"
        if given_up_on:
            return "written off"
        if stands.status == "closed":
            return "closed"
        if called_on:
            return "called due"
        return "overdue" if stands.days_late else "active"

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """As they stand: number, day, status, and so on (`model.Figures.rows`)."""
        return [] if self.stands is None else self.stands.rows

    def row(self) -> int:
        """The number of any row, the ones that still run more often."""
        running = self.stands.running if self.stands else ()
        return self.chance.choice(running or [row.number for row in self.terms.rows])

    def owed_of(self, part: str) -> int:
        return sum(row[-2][part] - row[-1][part] for row in self.rows)

    def dates(self, on: date | None = None) -> dict[str, Any]:
        """The dates of the next event: it is learnt of now, and happened today or on `on`."""
        return {"seq": len(self.told) + 1, "occurred_on": on or self.today, "recorded_at": self.clock}

    def some(self, kind: type | tuple[type, ...]) -> Any:
        """One of the events of a kind that were told; None where there is none."""
        found = [event for event in self.told if isinstance(event, kind)]
        return self.chance.choice(found) if found else None

    def name(self, letter: str) -> str:
        return f"{letter}{len(self.told) + 1}"

    def mark(self, what: str) -> None:
        self.marks.append(what)

    def hits(self, fault: str) -> bool:
        return self.chance.random() < self.faults[fault]

    def day(self) -> date:
        """Today, or an earlier day where news comes late."""
        if self.hits("back-dated"):
            self.mark("back-dated")
            return self.today - timedelta(days=self.chance.randint(1, 60))
        return self.today


def _confirm(life: Life) -> Event:
    return Confirmed(**life.dates())


def _reach(life: Life) -> Event | None:
    """The next due date comes, if it has not: time goes on to it."""
    rows = life.rows or [(row.number, row.due_on, "", False) for row in life.terms.rows]
    for number, due_on, _, reached, *_ in sorted(rows, key=lambda row: row[1]):
        if not reached:
            life.today = max(life.today, due_on)
            return DueReached(**life.dates(due_on), row=number)
    return None


def _put_off(life: Life) -> Event | None:
    """An outage: a row's day is moved, at most to the next row's."""
    rows = [(row[0], row[1]) for row in life.rows] or [(row.number, row.due_on) for row in life.terms.rows]
    place = life.chance.randrange(len(rows))
    number, day = rows[place]
    to = day + timedelta(days=life.chance.randint(1, 3))
    if place + 1 < len(rows) and life.chance.random() < 0.2:
        # To the very day of the next row, or one beyond, which is refused.
        to = rows[place + 1][1] + timedelta(days=life.chance.randint(0, 1))
    life.mark("outage")
    return DueMoved(**life.dates(), row=number, to=to, basis=life.name("b"), announcement="night")


def _pay(life: Life) -> Event:
    quote = life.some(PayoffQuoted)
    if quote is not None and life.chance.random() < 0.5:
        return _settle(life, quote)
    owed = life.stands.owed if life.stands else sum(row.total_minor for row in life.terms.rows)
    row = life.terms.rows[life.chance.randrange(len(life.terms.rows))].total_minor
    how = life.chance.choice(
        ["exact", "short", "one over", "one under", "all", "too much", "a fen", "two rows"]
    )
    life.mark(f"paid {how}")
    amount = {
        "exact": row,
        "short": row * life.chance.randint(1, 99) // 100,
        "one over": row + 1,
        "one under": row - 1,
        "all": owed,
        "too much": owed + life.chance.randint(1, 5_000),
        "a fen": 1,
        "two rows": row * 2,
    }[how]
    return PaymentReceived(
        **life.dates(life.day()),
        payment_id=life.name("p"),
        amount_minor=max(amount, 1),
        settlement=f"bank:{life.today}",
        channel=life.chance.choice(["bank", "wallet", "cash"]),
        purpose=life.chance.choice(["repayment", "repayment", "merchant_refund"]),
    )


def _settle(life: Life, quote: PayoffQuoted) -> Event:
    """Pays everything off by a quote, or a fen less, or after it has run out."""
    on = min(max(quote.occurred_on, life.today), quote.valid_until)
    if life.chance.random() < 0.2:
        on = quote.valid_until + timedelta(days=1)
    life.today = max(life.today, on)
    life.mark("paid by a quote")
    return PaymentReceived(
        **life.dates(on),
        payment_id=life.name("p"),
        amount_minor=max(quote.amount_minor - life.chance.choice([0, 0, 0, 1]), 1),
        settlement=f"bank:{life.today}",
        settles=quote.quote_id,
    )


def _take_back(life: Life) -> Event | None:
    gone = {event.payment_id for event in life.told if isinstance(event, PaymentReversed)}
    standing = [
        event
        for event in life.told
        if isinstance(event, (PaymentReceived, GoodwillGranted, PaidBack, Recovered))
        and event.payment_id not in gone
    ]
    if not standing:
        return None
    payment = life.chance.choice(standing)
    life.mark("disputed" if payment.occurred_on < life.today else "bounced at once")
    return PaymentReversed(
        **life.dates(max(life.day(), payment.occurred_on)),
        payment_id=payment.payment_id,
        settlement=f"bank:{life.today}",
        reason=life.chance.choice(["charged_back", "bounced", "booked_in_error"]),
    )


def _amount(life: Life, most: int) -> int:
    return life.chance.choice([1, max(most, 1), life.chance.randint(1, max(most, 1)), most + 1])


def _grant(life: Life) -> Event:
    owed = life.stands.owed if life.stands else 100
    return GoodwillGranted(
        **life.dates(life.day()), payment_id=life.name("g"), amount_minor=_amount(life, owed // 3)
    )


def _present_again(life: Life) -> Event | None:
    """What was charged back is presented once more, under a number of its own: the same money comes again."""
    undone = life.some(PaymentReversed)
    if undone is None:
        return None
    found = [e for e in life.told if isinstance(e, PaymentReceived) and e.payment_id == undone.payment_id]
    if not found:
        return None
    life.mark("presented again")
    return _again(life, found[0], payment_id=life.name("p"), occurred_on=life.today, settles="")


def _charge(life: Life) -> Event:
    part = life.chance.choice(["fee", "penalty"])
    amount = life.chance.choice([1, 1_500, 99])
    if part == "penalty" and life.told and life.chance.random() < 0.7:
        # What may be charged by now, or a fen more.
        due = model.penalty_due(life.terms, life.told, max(life.today, life.latest))
        amount = max(due + life.chance.choice([0, 0, 1]), 1)
    return Charged(
        **life.dates(),
        charge_id=life.name("c"),
        part=part,
        amount_minor=amount,
        due_on=life.today + timedelta(days=life.chance.choice([-40, 0, 0, 20, 400])),
        code="late_fee",
    )


def _pay_back(life: Life) -> Event:
    paid = sum(sum(row[-1].values()) for row in life.stands.rows) if life.stands else 0
    return PaidBack(
        **life.dates(),
        payment_id=life.name("r"),
        amount_minor=_amount(life, paid),
        settlement=f"bank:{life.today}",
    )


def _refund(life: Life) -> Event:
    held = life.stands.held if life.stands else 0
    return UnappliedRefunded(
        **life.dates(),
        amount_minor=_amount(life, held),
        settlement=f"bank:{life.today}",
        refund_id=life.name("u"),
    )


def _ship(life: Life) -> Event:
    return Shipped(**life.dates(life.day()), shipment_id=life.name("s"))


def _cancel(life: Life) -> Event:
    return Cancelled(**life.dates(), reason="changed my mind")


def _return_goods(life: Life) -> Event:
    price = sum(row.principal_minor for row in life.terms.rows)
    others = life.terms.for_other_sellers_minor
    left = price - (life.stands.acts[1] if life.stands else 0)
    minor = life.chance.choice(
        [left, left // 2, price // 9, price // 9, 1, left + 1, life.chance.randint(1, price)]
    )
    # All of it of other sellers, none, or in proportion.
    of_others = life.chance.choice([min(minor, others), 0, minor * others // price])
    return GoodsReturned(
        **life.dates(life.day()),
        return_id=life.name("w"),
        amount_minor=max(minor, 1),
        for_other_sellers_minor=of_others,
    )


def _pay_refund(life: Life) -> Event:
    due = life.stands.acts[0] if life.stands else 0
    return RefundPaid(
        **life.dates(), refund_id=life.name("f"), amount_minor=_amount(life, due), settlement="bank:out"
    )


def _quote(life: Life) -> Event:
    on = max(life.today, life.latest)
    amount = charge = 0
    if life.state != "unconfirmed":
        amount, charge, _ = model.payoff(life.terms, life.told, on)
    life.today = on
    return PayoffQuoted(
        **life.dates(),
        quote_id=life.name("q"),
        amount_minor=max(amount, 1),
        valid_until=on + timedelta(days=life.chance.choice([0, 0, 5])),
        charge_minor=charge,
    )


def _waive(life: Life) -> Event:
    part = life.chance.choice(["fee", "penalty", "interest"])
    return Waived(
        **life.dates(),
        waiver_id=life.name("x"),
        part=part,
        amount_minor=_amount(life, life.owed_of(part)),
        row=life.chance.choice([None, life.row()]),
    )


def _fail(life: Life) -> Event:
    return PaymentFailed(
        **life.dates(life.day()), attempt_id=life.name("a"), amount_minor=100, reason="no money"
    )


def _instruct(life: Life) -> Event | None:
    payment = life.some((PaymentReceived, Recovered))
    if payment is None:
        return None
    parts = []
    rest = payment.amount_minor + life.chance.choice([0, 0, 0, 1])
    for _ in range(life.chance.randint(1, 2)):
        minor = life.chance.choice([rest, rest // 2, 1])
        if 0 < minor <= rest:
            parts.append(Instruction(life.row(), life.chance.choice(PARTS), minor))
            rest -= minor
    return AllocatedByInstruction(
        **life.dates(max(payment.occurred_on, life.today)), payment_id=payment.payment_id, parts=tuple(parts)
    )


def _change_day(life: Life) -> Event:
    return DueDayChanged(**life.dates(), day=life.chance.choice([1, 5, 15, 23, 28, 31]), from_row=life.row())


def _pause(life: Life) -> Event:
    return Paused(
        **life.dates(),
        periods=life.chance.choice([1, 1, 2, 3]),
        interest=life.chance.choice(["stops", "runs"]),
    )


def _re_age(life: Life) -> Event:
    return ReAged(
        **life.dates(),
        periods=life.chance.choice([1, 2, 3, 6]),
        first_due_on=life.today + timedelta(days=life.chance.choice([1, 10, 30])),
    )


def _re_amortise(life: Life) -> Event:
    return ReAmortised(**life.dates())


def _accelerate(life: Life) -> Event:
    """Once enough is late: time goes on until then, more often than not."""
    days = life.terms.acceleration.days_after_demand + life.chance.choice([0, 1, 1, 1, 9])
    late = sorted(row[1] for row in life.rows if row[2] != "paid")
    if late and life.chance.random() < 0.7:
        life.today = max(life.today, life.chance.choice(late) + timedelta(days=1))
    return Accelerated(**life.dates(), demanded_on=life.today - timedelta(days=days))


def _write_off(life: Life) -> Event:
    return WrittenOff(**life.dates(), reason="given up")


def _recover(life: Life) -> Event:
    left = life.stands.acts[2] - life.stands.acts[3] if life.stands else 0
    amount = _amount(life, left)
    return Recovered(
        **life.dates(life.day()),
        payment_id=life.name("p"),
        amount_minor=amount,
        settlement="bank:agency",
        cost_minor=life.chance.choice([0, amount // 5, amount]),
    )


EVENTS: Final[dict[type, Callable[[Life], Event | None]]] = {
    Confirmed: _confirm,
    Shipped: _ship,
    Cancelled: _cancel,
    GoodsReturned: _return_goods,
    RefundPaid: _pay_refund,
    DueReached: _reach,
    DueMoved: _put_off,
    DueDayChanged: _change_day,
    Paused: _pause,
    PaymentReceived: _pay,
    PaymentFailed: _fail,
    PaymentReversed: _take_back,
    AllocatedByInstruction: _instruct,
    PayoffQuoted: _quote,
    GoodwillGranted: _grant,
    Charged: _charge,
    Waived: _waive,
    PaidBack: _pay_back,
    UnappliedRefunded: _refund,
    ReAged: _re_age,
    ReAmortised: _re_amortise,
    Accelerated: _accelerate,
    WrittenOff: _write_off,
    Recovered: _recover,
}
"""How each kind of event is made up. A new kind is added here, and to the rules of `tests.trust.model`."""

KINDS: Final = tuple(EVENTS)
RARE: Final = ("called due", "cancelled", "written off")

NOT_YET: Final[dict[type, str]] = {
    Disbursed: "spreads what is open anew over rows whose interest runs: the second reckoning does not know that yet",
    **dict.fromkeys(
        (
            BoughtOut,
            Captured,
            DepositApplied,
            DepositHeld,
            DepositReleased,
            HandedOver,
            Inspected,
            LeaseReturned,
            Pledged,
            PledgeReleased,
            Renewed,
        ),
        "an act of a lease or a pledge, held to worked figures, to the schedule of its way and to replay in"
        " tests/engine/contracts/test_leases.py; the second reckoning knows neither",
    ),
}
"""Kinds of events that are never told, with the reason."""

_NOT_RUNNING: Final = ("unconfirmed", "cancelled", "written off")
CANNOT: Final[frozenset[tuple[str, str]]] = frozenset(
    [
        *[("Confirmed", state) for state in STATES if state != "unconfirmed"],
        *[
            (kind, state)
            for kind in ("Shipped", "Cancelled", "DueDayChanged", "Paused", "Waived")
            for state in _NOT_RUNNING
        ],
        *[
            (kind, state)
            for kind in ("ReAged", "ReAmortised", "Accelerated")
            for state in (*_NOT_RUNNING, "closed")
        ],
        *[("Charged", state) for state in ("cancelled", "written off")],
        *[("GoodsReturned", state) for state in ("unconfirmed", "cancelled")],
        *[("WrittenOff", state) for state in ("unconfirmed", "closed", "cancelled")],
        *[("PayoffQuoted", state) for state in (*_NOT_RUNNING, "closed")],
        ("Waived", "closed"),
        ("Accelerated", "called due"),
        *[("Recovered", state) for state in STATES if state != "written off"],
        # Before it is agreed to, nothing is paid that could be paid back, or is to be refunded.
        ("PaidBack", "unconfirmed"),
        ("RefundPaid", "unconfirmed"),
        # Money is held only where nothing is owed: but for what is told late, there is none to refund.
        ("UnappliedRefunded", "active"),
        ("UnappliedRefunded", "overdue"),
        ("UnappliedRefunded", "called due"),
    ]
)
"""Kinds of events that cannot follow a state, but for what is told late and what is owed again; they are told, and refused."""

FAULTS: Final = (
    "back-dated",
    "presented again",
    "told twice",
    "reordered",
    "asked back",
    "asked for a payoff",
    "one by one",
    "clock forward",
    "clock back",
    "wrong amount",
    "impossible",
)


def _told_twice(life: Life) -> Event | None:
    """A callback that comes again under a new number: refused, whatever it was. Refunds carry no name to know them by."""
    event = life.some(
        (
            Confirmed,
            DueReached,
            PaymentReceived,
            PaymentReversed,
            PaymentFailed,
            PayoffQuoted,
            GoodwillGranted,
            GoodsReturned,
            Charged,
            PaidBack,
            Recovered,
        )
    )
    return None if event is None else _again(life, event)


def _again(life: Life, event: Any, **changed: Any) -> Event:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    fields.update(seq=len(life.told) + 1, recorded_at=life.clock, **changed)
    return type(event)(**fields)


NAMES: Final[dict[type, tuple[str, ...]]] = {
    PaymentReceived: ("payment_id",),
    GoodwillGranted: ("payment_id",),
    PaidBack: ("payment_id",),
    Recovered: ("payment_id",),
    Charged: ("charge_id",),
    Waived: ("waiver_id",),
    GoodsReturned: ("return_id",),
    RefundPaid: (),
    UnappliedRefunded: (),
}
"""By what an event with an amount is told apart."""


def _wrong_amount(life: Life) -> Event | None:
    event = life.some(tuple(NAMES))
    changed: dict[str, Any] = {"amount_minor": life.chance.choice([0, -1])}
    if event is None:
        return None
    changed |= {name: life.name("z") for name in NAMES[type(event)]}
    return _again(life, event, **changed)


def _impossible(life: Life) -> Event:
    """What cannot follow any state: rows and payments that are not there, dates and numbers out of bounds, an unnamed cost."""
    dates, name, today = life.dates(), life.name("z"), life.today
    number = life.terms.rows[-1].number
    price = sum(row.principal_minor for row in life.terms.rows)
    made: list[Callable[[], Event]] = [
        lambda: DueReached(**dates, row=9_999),
        lambda: DueMoved(**dates, row=number, to=date(2020, 1, 1), basis="x", announcement="x"),
        lambda: DueMoved(**dates, row=9_999, to=date(2040, 1, 1), basis="x", announcement="x"),
        lambda: PaymentReversed(**dates, payment_id="nobody", settlement="bank:x", reason="bounced"),
        lambda: Charged(**dates, charge_id=name, part="fee", amount_minor=5, due_on=today, code="unnamed"),
        lambda: GoodsReturned(**dates, return_id=name, amount_minor=price + 1),
        lambda: GoodsReturned(**dates, return_id=name, amount_minor=1, for_other_sellers_minor=2),
        lambda: Waived(**dates, waiver_id=name, part="fee", amount_minor=1, row=9_999),
        lambda: Paused(**dates, periods=life.chance.choice([0, 25])),
        lambda: DueDayChanged(**dates, day=life.chance.choice([0, 32]), from_row=number),
        lambda: DueDayChanged(**dates, day=5, from_row=9_999),
        lambda: ReAged(**dates, periods=life.chance.choice([0, 121]), first_due_on=date(2040, 1, 1)),
        lambda: ReAged(**dates, periods=2, first_due_on=today),
        lambda: PayoffQuoted(**dates, quote_id=name, amount_minor=1, valid_until=today - timedelta(days=1)),
        lambda: Recovered(**dates, payment_id=name, amount_minor=5, settlement="bank:x", cost_minor=6),
        lambda: AllocatedByInstruction(**dates, payment_id="nobody", parts=()),
        lambda: Disbursed(**dates, amount_minor=0),
    ]
    payment = life.some(PaymentReceived)
    if payment is not None:
        dates["occurred_on"] = max(today, payment.occurred_on)
        more = Instruction(number, "principal", payment.amount_minor + 1)
        made += [
            lambda: AllocatedByInstruction(**dates, payment_id=payment.payment_id, parts=(more,)),
            lambda: AllocatedByInstruction(
                **dates, payment_id=payment.payment_id, parts=(Instruction(number, "principal", 0),)
            ),
            lambda: AllocatedByInstruction(
                **dates, payment_id=payment.payment_id, parts=(Instruction(9_999, "principal", 1),)
            ),
        ]
        made = made[-3:] if life.chance.random() < 0.2 else made[:-3]
        if made[0] is not made[-3]:
            dates["occurred_on"] = today
    return life.chance.choice(made)()


RECEIVABLES: Final = (1110, 1120, 1130, 1140)
"""Of principal, fees, interest and penalties."""

REFUSED: Final[dict[str, Callable[[Life], Event | None]]] = {
    "told twice": _told_twice,
    "wrong amount": _wrong_amount,
    "impossible": _impossible,
}
"""What has to be refused."""


def begin(seed: str, number: int) -> Life:
    """A contract with probabilities of its own."""
    chance = random.Random(f"{seed}:{number}")
    weights = {kind: chance.choice([0, 0, 1, 2, 5]) for kind in EVENTS}
    weights[Confirmed] = chance.choice([2, 10, 99, 99])
    weights[PaymentReceived] = chance.choice([1, 3, 8])
    # What ends a contract's life comes late, or it would hide everything else.
    weights[Cancelled] = chance.choice([0, 0, 0, 1, 5])
    weights[WrittenOff] = chance.choice([0, 0, 1, 2])
    weights[PayoffQuoted] = chance.choice([0, 1, 6])
    weights[GoodsReturned] = chance.choice([0, 1, 3, 8])
    weights[Accelerated] = chance.choice([0, 2, 9])
    faults = {fault: chance.choice([0.0, 0.0, 0.03, 0.15]) for fault in FAULTS}
    faults["asked for a payoff"] = chance.choice([0.0, 0.3])
    terms, start = chance.choice(agreements(seed))
    follows = chance.choice([0.0, 0.3, 0.6])
    return Life(chance, terms, chance.randint(3, 24), weights, faults, today=start, follows=follows)


def _follows(life: Life, state: str) -> list[type]:
    """What hardly ever could follow by chance, and can now: what is to be paid out, what is owed again, what runs again."""
    stands = life.stands
    if stands is None or state == "unconfirmed":
        return []
    found: list[type] = []
    if stands.acts[0]:
        found += [RefundPaid, RefundPaid] if stands.owed else [RefundPaid]
    elif (
        stands.owed
        and not stands.acts[1]
        and life.terms.returns.paid_fee == "returned"
        and any(row[-1]["fee"] + row[-1]["interest"] for row in stands.rows)
    ):
        # A part of the goods comes back, and a part of the fee with it.
        found.append(GoodsReturned)
    if stands.held:
        found.append(UnappliedRefunded)
    if state == "written off" and stands.owed:
        found.append(WrittenOff)
    if state == "called due" and any(row[1] > life.today for row in stands.rows if row[0] in stands.running):
        found += [DueDayChanged, ReAmortised, Waived]
    return found


def next_event(life: Life) -> tuple[Event | None, bool]:
    """The next thing that a contract is told, and whether it has to be refused."""
    chance = life.chance
    life.marks.clear()
    life.clock += chance.randint(0, 3)
    life.today += timedelta(days=chance.choice([0, 0, 1, 5, 30]))
    if life.hits("clock forward"):
        life.mark("clock forward")
        life.today += timedelta(days=400)
    if life.hits("clock back"):
        life.mark("clock back")
        life.today -= timedelta(days=chance.randint(1, 90))
        life.clock -= 50
    if life.hits("presented again"):
        event = _present_again(life)
        if event is not None:
            return event, False
    for fault, make in REFUSED.items():
        if life.hits(fault):
            event = make(life)
            if event is not None:
                life.mark(fault)
                return event, True
    state = life.state
    if state in RARE and state not in life.seen:
        # Hardly anything would be seen there if it were as short as the rest of the life.
        life.seen.add(state)
        life.length += 10
    follows = _follows(life, state)
    if follows and chance.random() < life.follows:
        return EVENTS[chance.choice(follows)](life), False
    weights = life.weights if state == "unconfirmed" else {**life.weights, Confirmed: 1}
    odds = [weights[each] for each in KINDS]
    (kind,) = chance.choices(KINDS, odds)
    if (kind.__name__, state) in CANNOT and chance.random() < 0.6:
        # It would be refused: that is seen often enough.
        (kind,) = chance.choices(KINDS, odds)
    return EVENTS[kind](life), False


# ------------------------------------------------------------------------------------------------------- oracles


def _told_rows(state: engine.ContractState) -> list[tuple[Any, ...]]:
    return [
        (
            row.number,
            row.due_on,
            row.status,
            row.reached,
            row.fee_earned_minor,
            row.interest_earned_minor,
            {
                "penalty": row.penalty_minor,
                "fee": row.fee_minor,
                "interest": row.interest_minor,
                "principal": row.principal_minor,
            },
            {
                "penalty": row.penalty_paid_minor,
                "fee": row.fee_paid_minor,
                "interest": row.interest_paid_minor,
                "principal": row.principal_paid_minor,
            },
        )
        for row in state.rows
    ]


def _told_payments(state: engine.ContractState) -> list[tuple[Any, ...]]:
    told = []
    for payment in state.payments:
        used: dict[tuple[int, str], int] = {}
        for part in payment.parts:
            for name in ("penalty", "fee", "interest", "principal"):
                minor = getattr(part, f"{name}_minor")
                if minor:
                    used[part.row, name] = used.get((part.row, name), 0) + minor
        told.append(
            (
                payment.payment_id,
                payment.amount_minor,
                payment.unapplied_minor,
                payment.reversed_on,
                payment.recovered_minor,
                used,
            )
        )
    return told


PARTS: Final = ("penalty", "fee", "interest", "principal")


def _left(row: tuple[Any, ...]) -> tuple[int, int, int]:
    """What a row comes to, what is paid of it, and what is open."""
    owed, paid = sum(row[-2].values()), sum(row[-1].values())
    return owed, paid, owed - paid


def _left_by_part(figures: Figures) -> list[int]:
    return [sum(row[-2][part] - row[-1][part] for row in figures.rows) for part in PARTS]


def _told_sums(state: engine.ContractState) -> tuple[list[tuple[int, int, int]], list[int]]:
    return (
        [(row.total_minor, row.paid_minor, row.outstanding_minor) for row in state.rows],
        [getattr(state, f"{part}_outstanding_minor") for part in PARTS],
    )


def _next_row(figures: Figures, left: list[tuple[int, int, int]]) -> tuple[int | None, date | None, int]:
    """The oldest row that is not paid, with its day and what is open of it."""
    for row, (_, _, still_open) in zip(figures.rows, left, strict=True):
        if still_open:
            return row[0], row[1], still_open
    return None, None, 0


def oracles(
    state: engine.ContractState, figures: Figures, balances: dict[int, int]
) -> Iterator[tuple[str, object, object]]:
    """Each rule by name, with what the engine says and what it has to say."""
    yield "rows", _told_rows(state), figures.rows
    yield "payments", _told_payments(state), figures.payments
    yield (
        "balance",
        (state.status, state.closed_on, state.balance_minor, state.unapplied_minor),
        (figures.status, figures.closed_on, figures.owed, figures.held),
    )
    left = [_left(row) for row in figures.rows]
    yield "sums", _told_sums(state), (left, _left_by_part(figures))
    yield "next row", (state.next_row, state.next_due_on, state.next_due_minor), _next_row(figures, left)
    yield "lateness", (state.overdue_minor, state.days_past_due), (figures.overdue, figures.days_late)
    yield (
        "acts",
        (
            state.refund_due_minor,
            state.returned_minor,
            state.written_off_minor,
            state.recovered_minor,
            state.shipped_on,
            state.cancelled_on,
            state.accelerated_on,
            state.written_off_on,
            state.paused_until,
        ),
        figures.acts,
    )
    yield (
        "told",
        (
            tuple([failure.attempt_id for failure in state.failures]),
            tuple([quote.quote_id for quote in state.quotes]),
        ),
        figures.told,
    )
    yield (
        "held and owed",
        state.status != "unconfirmed" and state.unapplied_minor and state.balance_minor,
        0 if state.status != "unconfirmed" else False,
    )
    yield "accounts", balances, figures.accounts
    yield "closure", closure.closure_problems(state, balances), []
    receivable = [balances.get(code, 0) for code in RECEIVABLES]
    yield "closed at zero", state.status == "closed" and any(receivable), False
    yield "below zero", [minor for minor in receivable if minor < 0], []
    yield "sum", sum(balances.values()), 0
    yield "teeth", _let_through(state), []


def _beyond_the_listed(terms: ContractTerms) -> Iterator[tuple[str, Callable[[], object]]]:
    """Ways to book more of a fee than the table of costs lists: each has to be refused."""
    more = 10**12
    yield "a fee", lambda: entries.check_fees(entries.Entries((1120, 4110), (more, -more)), terms)
    yield "a fee earned", lambda: entries.position(terms, [Movement(1, "fee_earned", more)])
    if terms.interest is not None:
        yield "interest", lambda: entries.position(terms, [Movement(1, "interest_earned", more)])


def _let_through(state: engine.ContractState) -> list[str]:
    """What is wrong, and passes the engine's own checks: they have to object to each."""
    passed = []
    if not closure.closure_problems(state, {1110: -1, 4010: 1}):
        passed.append("a receivable below zero")
    if not closure.closure_problems(state, {1020: 1}):
        passed.append("a book that does not sum to zero")
    if not closure.closure_problems(state, {9_999: 1, 1020: -1}):
        passed.append("an account that is not in the chart")
    if state.status == "closed" and not closure.closure_problems(state, {1120: 1, 4110: -1}):
        passed.append("a closed contract with a fee receivable")
    try:
        entries.posting({1020: 1}, {})
        passed.append("entries that do not balance")
    except entries.Unbalanced:
        pass
    return passed


@dataclass(slots=True)
class Reached:
    """How often what happened, in which state."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    cannot: Counter[tuple[str, str]] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)

    def fewest(self) -> tuple[int, str]:
        """The counter that was reached least, of every event and state that can be, and every fault."""
        every = {
            f"{kind.__name__} x {state}": self.events[kind.__name__, state]
            for kind in EVENTS
            for state in STATES
            if (kind.__name__, state) not in CANNOT
        }
        every |= {f"{kind} x {state}, refused": self.cannot[kind, state] for kind, state in CANNOT}
        every |= {f"{fault} x {state}": self.refused[fault, state] for fault in REFUSED for state in STATES}
        every |= dict(self.marks)
        every |= {fault: self.marks[fault] for fault in FAULTS}
        return min((count, what) for what, count in every.items())


@dataclass(slots=True)
class Run:
    """What a run did. `digest` is the same wherever and whenever the same seed runs."""

    seed: str
    steps: int = 0
    contracts: int = 0
    seconds: float = 0.0
    reached: Reached = field(default_factory=Reached)
    digest: str = ""


def _answer(
    terms: ContractTerms, told: list[Event], as_of: date, known_at: int | None = None
) -> tuple[engine.ContractState | None, Figures | None]:
    """What the engine and the second reckoning make of events; None for refused."""
    try:
        state = engine.replay(terms, told, as_of, known_at)
    except EventRefused:
        state = None
    try:
        figures = reckon(terms, told, as_of, known_at)
    except Refused:
        figures = None
    return state, figures


def step(life: Life, event: Event, refusal: bool, seed: str, number: int, digest: Any) -> bool:
    """Tell a contract one thing and hold the answer to the rules. Says whether it was taken."""
    told = [*life.told, event]

    def broken(oracle: str, said: str) -> Break:
        return Break(oracle, seed, number, said, life.terms, told)

    life.latest = as_of = max(life.today, life.latest)
    try:
        state, figures = _answer(life.terms, told, as_of)
        if (state is None) is not (figures is None):
            raise broken("refusal", f"the engine {'refuses' if state is None else 'takes'} {event!r}")
        if state is None or figures is None:
            digest.update(b"refused\n")
            return False
        if refusal:
            raise broken("refusal", f"{event!r} is taken")
        balances = _hold(state, figures, life.terms, broken)
        change = entries.posting(balances, life.booked)
        if change is not None:
            if sum(change.amounts) or 0 in change.amounts or len(change.amounts) < 2:
                raise broken("posting", repr(change))
            for account, minor in zip(change.accounts, change.amounts, strict=True):
                life.booked[account] = life.booked.get(account, 0) + minor
            if {code: minor for code, minor in life.booked.items() if minor} != figures.accounts:
                raise broken("booked", f"{life.booked}, not {figures.accounts}")
            for what, book in _beyond_the_listed(life.terms):
                try:
                    book()
                except entries.FeeNotListed:
                    continue
                raise broken("teeth", f"{what} beyond what is listed is booked")
        if life.hits("reordered"):
            life.mark("reordered")
            mixed = told.copy()
            life.chance.shuffle(mixed)
            if engine.replay(life.terms, mixed, as_of) != state:
                raise broken("order of arrival", "told in another order, it comes to something else")
        if life.hits("one by one"):
            life.mark("one by one")
            running = engine.apply(engine.begin(life.terms, life.told), event)
            if running.state(as_of) != state:
                raise broken("one by one", "one event more comes to something else than all of them")
        if life.hits("asked for a payoff") and state.status != "unconfirmed":
            life.mark("asked for a payoff")
            quote = payoff_quote(life.terms, told, as_of)
            said = (quote.amount_minor, quote.charge_minor, quote.saving_minor)
            expected = model.payoff(life.terms, told, as_of)
            if said != expected:
                raise broken("payoff", f"{said}, not {expected}")
            due = delinquency.penalty_due(life.terms, told, as_of), model.penalty_due(life.terms, told, as_of)
            if due[0] != due[1]:
                raise broken("penalty", f"{due[0]}, not {due[1]}")
        if life.hits("asked back"):
            life.mark("asked back")
            look = life.chance.choice(told)
            known_at = life.chance.choice([None, look.recorded_at])
            state_then, then = _answer(life.terms, told, look.occurred_on, known_at)
            if (state_then is None) is not (then is None):
                raise broken("refusal", f"as of {look.occurred_on}, known at {known_at}")
            if state_then is not None and then is not None:
                _hold(state_then, then, life.terms, broken)
    except Break:
        raise
    except Exception as wrong:
        # Whatever else the engine raises is a fault of it: these events are refused or taken.
        raise broken("crash", f"{type(wrong).__name__}: {wrong}") from wrong
    life.told.append(event)
    life.stands = figures
    digest.update(repr((figures.status, figures.owed, figures.held, sorted(balances.items()))).encode())
    return True


def _hold(
    state: engine.ContractState,
    figures: Figures,
    terms: ContractTerms,
    broken: Callable[[str, str], Break],
) -> dict[int, int]:
    """Hold an answer to the oracles; returns what it comes to, account by account."""
    balances = entries.position(terms, state.movements)
    for oracle, said, expected in oracles(state, figures, balances):
        if said != expected:
            raise broken(oracle, f"{said}, not {expected}")
    return balances


def holds(terms: ContractTerms, told: list[Event]) -> bool:
    """Whether events told to one contract break nothing, told from the first to the last."""
    latest = max((event.occurred_on for event in told), default=date(2026, 1, 1))
    life = Life(random.Random(0), terms, 0, {}, dict.fromkeys(FAULTS, 0.0), today=latest)
    try:
        for event in told:
            step(life, event, False, "", 0, hashlib.sha256())
    except Break:
        return False
    return True


def simulate(seed: str, steps: int) -> Run:
    """Lives of contracts, one after another, until so many steps are taken. Raises `Break`."""
    run = Run(seed)
    digest = hashlib.sha256()
    began = time.perf_counter()
    while run.steps < steps:
        run.contracts += 1
        life = begin(seed, run.contracts)
        lived = 0
        while lived < life.length:
            lived += 1
            event, refusal = next_event(life)
            if event is None:
                continue
            was, kind = life.state, type(event).__name__
            taken = step(life, event, refusal, seed, run.contracts, digest)
            run.steps += 1
            run.reached.marks.update(life.marks)
            if not taken and not refusal:
                run.reached.marks["refused by the way"] += 1
                run.reached.cannot[kind, was] += 1
            elif refusal:
                run.reached.refused[life.marks[-1], was] += 1
            else:
                run.reached.events[kind, was] += 1
            if run.steps == steps:
                break
    run.seconds = time.perf_counter() - began
    run.digest = digest.hexdigest()
    return run


def main() -> None:
    asked = argparse.ArgumentParser(description="Simulate lives of contracts from a seed.")
    asked.add_argument("--seed", default="1")
    asked.add_argument("--steps", type=int, default=200_000)
    given = asked.parse_args()
    run = simulate(given.seed, given.steps)
    fewest, where = run.reached.fewest()
    print(f"{run.steps} steps, {run.contracts} contracts, {run.seconds:.1f} s, 0 breaks; sha256 {run.digest}")
    print(f"reached least: {where}, {fewest} times")


if __name__ == "__main__":
    main()
