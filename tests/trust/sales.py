"""Lives of sales, made up from a seed: what is agreed, what happens, and what has to be refused.

Every kind of event has its own probability in each contract (many are 0 there), so that rare paths are not always hidden behind
common ones. A `Form` says how contracts of a form live; those of leases and pledges are `tests.trust.leases`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, get_args

import msgspec
from tests.trust import model
from tests.trust.model import PARTS, Book, Figures

from fenqi.contracts.allocation import Allocation, Bucket, Rule, check_allocation
from fenqi.contracts.contract import Running
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
    Disbursed,
    DueDayChanged,
    DueMoved,
    DueReached,
    Event,
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
from fenqi.contracts.terms import ContractTerms, Interest, pin
from fenqi.terms.agreed import AccelerationTerms, LateTerms, PayoffTerms, ReturnTerms
from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import disclose
from fenqi.terms.plan import Annuity, ContingentCost, DownPayment, EqualPrincipal, FlatFee, Plan, ZeroInterest
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

__all__ = [
    "COSTS",
    "DATED",
    "EVENTS",
    "FAULTS",
    "RULED",
    "SALES",
    "STARTS",
    "Form",
    "Life",
    "begin",
    "next_event",
]

STATES: Final = ("unconfirmed", "active", "overdue", "called due", "closed", "cancelled", "written off")
COSTS: Final = (
    ContingentCost("late_fee", Text("滞纳金", "Late fee"), Text("逾期", "If late"), "the mall"),
    ContingentCost("early_fee", Text("提前还款费", "Early payoff"), Text("提前", "If early"), "the mall"),
)


@dataclass(frozen=True)
class Form:
    """A form of contract: by which rules it is reckoned, in which states it can be, what happens to it and what cannot.

    `cannot`: kinds of events that cannot follow a state, but for what is told late and what is owed again; they are told, and
    refused. `rare` states are lived in longer. `follows`: what hardly ever could follow by chance, and can now.
    """

    book: type[Book]
    states: tuple[str, ...]
    state: Callable[[Life], str]
    events: Mapping[type, Callable[[Life], Event | None]]
    cannot: frozenset[tuple[str, str]]
    begin: Callable[[str, int], Life]
    impossible: Callable[[Life], Event]
    follows: Callable[[Life, str], list[type]]
    rare: tuple[str, ...] = ()
    evenly: float = 0.0
    """How often any kind of event is told, whatever the contract's own probabilities."""


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


def late(chance: random.Random) -> LateTerms | None:
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
                late=late(chance),
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

    form: Form
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
    running: Running | None = None
    """The engine's own account of what was told so far."""

    @property
    def state(self) -> str:
        return self.form.state(self)

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


def _state(life: Life) -> str:
    stands = life.stands
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


def confirm(life: Life) -> Event:
    return Confirmed(**life.dates())


def reach(life: Life) -> Event | None:
    """The next due date comes, if it has not: time goes on to it."""
    rows = life.rows or [(row.number, row.due_on, "", False) for row in life.terms.rows]
    for number, due_on, _, reached, *_ in sorted(rows, key=lambda row: row[1]):
        if not reached:
            life.today = max(life.today, due_on)
            return DueReached(**life.dates(due_on), row=number)
    return None


def put_off(life: Life) -> Event | None:
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


def pay(life: Life) -> Event:
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


def take_back(life: Life) -> Event | None:
    gone = {event.payment_id for event in life.told if isinstance(event, PaymentReversed)}
    standing = [
        event
        for event in life.told
        if isinstance(event, (PaymentReceived, GoodwillGranted, PaidBack, Recovered, Captured))
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


def some_amount(life: Life, most: int) -> int:
    return life.chance.choice([1, max(most, 1), life.chance.randint(1, max(most, 1)), most + 1])


def grant(life: Life) -> Event:
    owed = life.stands.owed if life.stands else 100
    return GoodwillGranted(
        **life.dates(life.day()),
        payment_id=life.name("g"),
        amount_minor=some_amount(life, owed // 3),
        # As it is told today, or as it was before that was said.
        unused="lapses" if len(life.told) % 3 else "held",
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


def charge(life: Life) -> Event:
    part = life.chance.choice(["fee", "penalty"])
    amount = life.chance.choice([1, 1_500, 99])
    if part == "penalty" and life.told and life.chance.random() < 0.7:
        # What may be charged by now, or a fen more.
        due = model.penalty_due(life.terms, life.told, max(life.today, life.latest), book=life.form.book)
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
        amount_minor=some_amount(life, paid),
        settlement=f"bank:{life.today}",
    )


def refund(life: Life) -> Event:
    held = life.stands.held if life.stands else 0
    return UnappliedRefunded(
        **life.dates(),
        amount_minor=some_amount(life, held),
        settlement=f"bank:{life.today}",
        refund_id=life.name("u"),
        goodwill="taken_back" if len(life.told) % 3 else "refunded",
    )


def ship(life: Life) -> Event:
    return Shipped(**life.dates(life.day()), shipment_id=life.name("s"))


def cancel(life: Life) -> Event:
    return Cancelled(**life.dates(), reason="changed my mind", goodwill=_of_goodwill(life))


def _of_goodwill(life: Life) -> Any:
    """What becomes of what we granted: as it is told today, or as it was before that was said."""
    return life.chance.choice(["taken_back", "taken_back", "refunded"])


def return_goods(life: Life) -> Event:
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
        goodwill=_of_goodwill(life),
    )


def pay_refund(life: Life) -> Event:
    due = life.stands.acts[0] if life.stands else 0
    return RefundPaid(
        **life.dates(), refund_id=life.name("f"), amount_minor=some_amount(life, due), settlement="bank:out"
    )


def _quote(life: Life) -> Event:
    on = max(life.today, life.latest)
    amount = charge = 0
    if life.state != "unconfirmed":
        amount, charge, _ = model.payoff(life.terms, life.told, on, book=life.form.book)
    life.today = on
    return PayoffQuoted(
        **life.dates(),
        quote_id=life.name("q"),
        amount_minor=max(amount, 1),
        valid_until=on + timedelta(days=life.chance.choice([0, 0, 5])),
        charge_minor=charge,
    )


def waive(life: Life) -> Event:
    part = life.chance.choice(["fee", "penalty", "interest"])
    return Waived(
        **life.dates(),
        waiver_id=life.name("x"),
        part=part,
        amount_minor=some_amount(life, life.owed_of(part)),
        row=life.chance.choice([None, life.row()]),
    )


def fail(life: Life) -> Event:
    return PaymentFailed(
        **life.dates(life.day()), attempt_id=life.name("a"), amount_minor=100, reason="no money"
    )


def instruct(life: Life) -> Event | None:
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


def write_off(life: Life) -> Event:
    return WrittenOff(**life.dates(), reason="given up")


def recover(life: Life) -> Event:
    left = life.stands.acts[2] - life.stands.acts[3] if life.stands else 0
    amount = some_amount(life, left)
    return Recovered(
        **life.dates(life.day()),
        payment_id=life.name("p"),
        amount_minor=amount,
        settlement="bank:agency",
        cost_minor=life.chance.choice([0, amount // 5, amount]),
    )


EVENTS: Final[dict[type, Callable[[Life], Event | None]]] = {
    Confirmed: confirm,
    Shipped: ship,
    Cancelled: cancel,
    GoodsReturned: return_goods,
    RefundPaid: pay_refund,
    DueReached: reach,
    DueMoved: put_off,
    DueDayChanged: _change_day,
    Paused: _pause,
    PaymentReceived: pay,
    PaymentFailed: fail,
    PaymentReversed: take_back,
    AllocatedByInstruction: instruct,
    PayoffQuoted: _quote,
    GoodwillGranted: grant,
    Charged: charge,
    Waived: waive,
    PaidBack: _pay_back,
    UnappliedRefunded: refund,
    ReAged: _re_age,
    ReAmortised: _re_amortise,
    Accelerated: _accelerate,
    WrittenOff: write_off,
    Recovered: recover,
}
"""How each kind of event is made up. A new kind is added here, and to the rules of `tests.trust.model`."""

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
        # What is of loans, leases and pledges.
        lambda: [
            Disbursed(**dates, amount_minor=0),
            HandedOver(**dates, cost_minor=5),
            LeaseReturned(**dates, settlement="s"),
            BoughtOut(**dates, price_minor=price, consent="c", settlement="s"),
            Pledged(**dates, authorisation="a", amount_minor=price),
            Captured(**dates, payment_id=name, settlement="s"),
        ][life.clock % 6],
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
    return Life(SALES, chance, terms, chance.randint(3, 24), weights, faults, today=start, follows=follows)


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


@cache
def _ruled(seed: str) -> tuple[tuple[ContractTerms, date], ...]:
    """The same sales, with payments allocated by rules of twelve buckets."""
    chance = random.Random(f"{seed}:rules")
    made = []
    for terms, start in agreements(seed):
        rules = []
        for purpose in chance.choice([(None,), (None, "merchant_refund"), ("repayment", "goodwill")]):
            order = list(get_args(Bucket))
            if chance.random() < 0.7:
                chance.shuffle(order)
            along = chance.choice(["rows", "parts"])
            rules.append(
                Rule(
                    tuple(order),
                    purpose,
                    chance.choice(["next", "last", "next_last", "re_amortise"]),
                    along,
                    charges_by_own_date=along == "rows" and chance.random() < 0.8,
                )
            )
        allocation = msgspec.structs.replace(terms.allocation, rules=tuple(rules))
        assert not check_allocation(allocation)
        made.append((msgspec.structs.replace(terms, allocation=allocation), start))
    return tuple(made)


def _begin_ruled(seed: str, number: int) -> Life:
    life = begin(seed, number)
    life.terms, life.today = life.chance.choice(_ruled(seed))
    if _by_own_date(life.terms) and life.chance.random() < 0.7:
        _charge_often(life)
    return life


def _by_own_date(terms: ContractTerms) -> bool:
    return any(rule.charges_by_own_date for rule in terms.allocation.rules)


def _charge_often(life: Life) -> None:
    """Charged before the row's day, waived, and paid before it, too."""
    life.weights[Charged], life.weights[Waived], life.weights[PaymentReceived] = 8, 3, 8


def _begin_dated(seed: str, number: int) -> Life:
    life = begin(seed, number)
    life.terms, life.today = life.chance.choice([made for made in _ruled(seed) if _by_own_date(made[0])])
    _charge_often(life)
    for kind in (Cancelled, WrittenOff, Accelerated, ReAged, DueReached):
        life.weights[kind] = min(life.weights[kind], 1)
    return life


SALES: Final = Form(
    Book,
    STATES,
    _state,
    EVENTS,
    CANNOT,
    begin,
    _impossible,
    _follows,
    rare=("called due", "cancelled", "written off"),
)


RULED: Final = replace(SALES, begin=_begin_ruled)
"""Sales whose payments are allocated by rules of twelve buckets."""
DATED: Final = replace(SALES, begin=_begin_dated)
"""Those of them whose charges are paid by their own days, and that are charged often."""


# ------------------------------------------------------------------------------------------------ of every form


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
            HandedOver,
            DepositHeld,
            DepositApplied,
            LeaseReturned,
            Inspected,
            BoughtOut,
            Renewed,
            Captured,
            PledgeReleased,
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
    DepositHeld: (),
    DepositApplied: ("application_id",),
    Pledged: (),
}
"""By what an event with an amount is told apart."""


def _wrong_amount(life: Life) -> Event | None:
    event = life.some(tuple(NAMES))
    changed: dict[str, Any] = {"amount_minor": life.chance.choice([0, -1])}
    if event is None:
        return None
    changed |= {name: life.name("z") for name in NAMES[type(event)]}
    return _again(life, event, **changed)


REFUSED: Final[dict[str, Callable[[Life], Event | None]]] = {
    "told twice": _told_twice,
    "wrong amount": _wrong_amount,
    "impossible": lambda life: life.form.impossible(life),
}
"""What has to be refused."""


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
    if state in life.form.rare and state not in life.seen:
        # Hardly anything would be seen there if it were as short as the rest of the life.
        life.seen.add(state)
        life.length += 10
    events, kinds = life.form.events, tuple(life.form.events)
    follows = life.form.follows(life, state)
    if follows and chance.random() < life.follows:
        return events[chance.choice(follows)](life), False
    if life.form.evenly and chance.random() < life.form.evenly:
        return events[chance.choice(kinds)](life), False
    weights = life.weights if state == "unconfirmed" else {**life.weights, Confirmed: 1}
    odds = [weights[each] for each in kinds]
    (kind,) = chance.choices(kinds, odds)
    if (kind.__name__, state) in life.form.cannot and chance.random() < 0.6:
        # It would be refused: that is seen often enough.
        (kind,) = chance.choices(kinds, odds)
    return events[kind](life), False
