"""Lives of leases and pledges, made up from a seed: what is agreed, what happens, and what has to be refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final

from tests.trust.model import Figures, live_through
from tests.trust.rented import LeaseBook, PledgeBook
from tests.trust.sales import (
    COSTS,
    FAULTS,
    STARTS,
    Form,
    Life,
    cancel,
    charge,
    confirm,
    fail,
    grant,
    instruct,
    late,
    pay_refund,
    put_off,
    reach,
    recover,
    refund,
    return_goods,
    ship,
    some_amount,
    take_back,
    write_off,
)

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
    GoodsReturned,
    GoodwillGranted,
    HandedOver,
    Inspected,
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
from fenqi.contracts.terms import ContractTerms, pin
from fenqi.terms.agreed import ReturnTerms
from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import disclose
from fenqi.terms.plan import Fee, Plan
from fenqi.terms.rent import Buyout, Deposit, EarlyBuyout, Lease, Pledge, Renewal, Rent
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

__all__ = ["LEASES", "PLEDGES"]


# ------------------------------------------------------------------------------------------------ what is agreed


def _deposit(chance: random.Random, *, lost: bool) -> Deposit | None:
    if chance.random() < 0.15:
        return None
    whole = chance.choice([{"amount_minor": 100_000}, {"share": Decimal("0.2")}])
    return Deposit(
        **whole,
        at_end=chance.choice(["credited", "returned", "lost" if lost else "returned"]),
        form=chance.choice(["cash", "frozen"]),
        waivable=True,
        release_days=3,
        inspection_days=2,
        covers_rent=chance.random() < 0.8,
    )


def _lease(chance: random.Random, periods: int) -> Lease:
    formula = chance.choice(["price_less_paid", "maturity_plus_unpaid_rent"])
    early = chance.choice([None, EarlyBuyout(formula), EarlyBuyout(formula), EarlyBuyout(formula, 20)])
    at_end = chance.choice(
        [Buyout(60_000, early=early), Buyout(0, early=early), Buyout(share=Decimal("0.25"), early=early)]
    )
    if early is not None and formula == "price_less_paid":
        at_end = chance.choice([at_end, Buyout(early=early)])
    return Lease(
        rent=chance.choice([Rent(40_000), Rent(chance.randint(1, 90_000)), Rent(share=Decimal("0.0713"))]),
        paid=chance.choice(["in_advance", "in_arrears"]),
        goods="new",
        minimum_periods=chance.choice([None, 1, 1, max(periods - 1, 1)]),
        deposit=_deposit(chance, lost=early is None or formula != "price_less_paid"),
        buyout=chance.choice([None, at_end, at_end, at_end]),
        renewal=chance.choice([None, Renewal(Decimal("0.8")), Renewal(Decimal("1.05"))]),
        return_shipping_minor=chance.choice([0, 3_000]),
    )


def _fees(chance: random.Random) -> tuple[Fee, ...]:
    timing = chance.choice(["", "", "per_period", "per_period", "first_bill", "up_front", "at_end"])
    if not timing:
        return ()
    cost = chance.choice([{"amount_minor": chance.randint(1, 9_999)}, {"total_rate": Decimal("0.0331")}])
    return (Fee(code="service", name=Text("服务费", "Service"), payee="shop", timing=timing, **cost),)


def _pinned(chance: random.Random, plan: Plan, price: int, start: date, **more: Any) -> ContractTerms:
    waived = more.pop("waived", False)
    bill = build_schedule(plan, price, "CNY", start, deposit_waived=waived)
    table = disclose(plan, bill, cost_of(bill, plan), Text("商城", "The mall"))
    return pin(
        plan,
        bill,
        table,
        zone="Asia/Shanghai",
        policy_digest="sha256:" + "0" * 64,
        allocation=Allocation(
            chance.choice([("fee", "principal"), ("fee", "principal"), ("principal", "fee")]),
            chance.choice(["rows", "rows", "parts"]),
        ),
        late=late(chance),
        **more,
    )


@cache
def _rentals(seed: str) -> tuple[tuple[ContractTerms, date], ...]:
    """The leases that a run makes, and from when."""
    chance = random.Random(f"{seed}:leases")
    made = []
    for number in range(60):
        periods = chance.choice([1, 3, 4, 6, 9, 12])
        unit, every = chance.choice([("month", 1), ("month", 1), ("month", 2), ("week", 1), ("day", 10)])
        plan = Plan(
            f"rent_{number}",
            "rent",
            "shop",
            "operating_lease",
            periods,
            _lease(chance, periods),
            unit=unit,
            every=every,
            residue=chance.choice(["first", "last", "spread"]),
            fees=_fees(chance),
            contingent=COSTS,
        )
        deposit = plan.pricing.deposit  # type: ignore[union-attr]
        start = chance.choice(STARTS)
        waived = deposit is not None and chance.random() < 0.2
        price = chance.choice([490_000, chance.randint(100_000, 1_000_000)])
        made.append((_pinned(chance, plan, price, start, waived=waived), start))
    return tuple(made)


@cache
def _campaigns(seed: str) -> tuple[tuple[ContractTerms, date], ...]:
    """The pledges that a run makes, and from when."""
    chance = random.Random(f"{seed}:pledges")
    made = []
    for number in range(20):
        start = chance.choice(STARTS)
        success_on = start + timedelta(days=chance.choice([0, 10, 69]))
        plan = Plan(
            f"desk_{number}", "desk", "shop", "pledge", 1, Pledge(success_on=success_on), contingent=COSTS
        )
        price = chance.choice([999, 59_900, chance.randint(1_000, 999_999)])
        terms = _pinned(
            chance,
            plan,
            price,
            start,
            for_other_sellers_minor=chance.choice([0, price // 3, price]),
            returns=ReturnTerms(
                chance.choice(["from_last", "from_next", "proportional"]), chance.choice(["kept", "returned"])
            ),
        )
        made.append((terms, start))
    return tuple(made)


# ------------------------------------------------------------------------------------------------ what happens to a lease


def _book(life: Life, on: date | None = None) -> LeaseBook:
    """Where the lease stands on a day, or today."""
    book = live_through(life.terms, life.told, on or max(life.today, life.latest), book=LeaseBook)
    assert isinstance(book, LeaseBook)
    return book


def _batch(life: Life) -> str:
    return life.chance.choice(["wallet:1"] * 6 + [""])


def _pay(life: Life) -> Event:
    """The deposit, what is due, a rent, everything, ahead, too much, or a fen off."""
    rows = life.rows
    left = [sum(row[-2].values()) - sum(row[-1].values()) for row in rows]
    owed, due = sum(left), sum(minor for row, minor in zip(rows, left, strict=True) if row[1] <= life.today)
    deposit = life.owed_of("deposit")
    row = life.chance.choice(left) if left else 40_000
    minor = life.chance.choice(
        [
            due,
            due,
            due + deposit,
            row,
            row,
            row + 1,
            row - 1,
            deposit,
            owed,
            owed + 5_000,
            row // 2,
            1,
            row * 2,
        ]
    )
    if life.follows and deposit and life.chance.random() < life.follows:
        minor = deposit + life.chance.choice([0, due])
    life.mark("lease paid")
    return PaymentReceived(
        **life.dates(life.day()),
        payment_id=life.name("p"),
        amount_minor=max(minor, 1),
        settlement=f"bank:{life.today}",
        channel="bank",
    )


def _reach(life: Life) -> Event | None:
    """The next due date comes; after the end of a lease, any: nothing falls due by it."""
    if life.state in _OVER and life.chance.random() < 0.3:
        return DueReached(**life.dates(), row=life.chance.choice(life.rows)[0])
    return reach(life)


def _hand_over(life: Life) -> Event:
    cost = life.chance.choice([480_000, 480_001, 0, life.chance.randint(1, 900_000)])
    residual = life.chance.choice([0, cost // 4, cost, cost + 1])
    return HandedOver(**life.dates(), cost_minor=cost, residual_minor=residual)


def _freeze(life: Life) -> Event:
    whole = life.stands.more[7][0] if life.stands else 1
    return DepositHeld(
        **life.dates(),
        authorisation=life.chance.choice(["a-1"] * 9 + [""]),
        amount_minor=life.chance.choice([whole] * 4 + [whole + 1, whole - 1]),
    )


def _apply_deposit(life: Life) -> Event:
    """To rents that are due, if that was agreed: no more than that, or a fen more. Time may go on to the next one's day."""
    coming = [row[1] for row in life.rows if row[-2]["rent"] > row[-1]["rent"] and row[1] >= life.today]
    if coming and life.chance.random() < (0.8 if life.state == "rented" else 0.4):
        life.today = coming[0]
    held = life.stands.more[7][1] if life.stands else 0
    due = sum(row[-2]["rent"] - row[-1]["rent"] for row in life.rows if row[1] <= life.today)
    return DepositApplied(
        **life.dates(),
        application_id=life.name("d"),
        amount_minor=some_amount(life, min(held, due)),
        settlement=_batch(life),
    )


def _release(life: Life) -> Event:
    return DepositReleased(**life.dates())


def _wait(life: Life, *days: date) -> None:
    """Time goes on to one of these days, the one before or the one after: more often than not, but seldom while a lease runs."""
    later = [on for on in days if on >= life.today - timedelta(days=1)]
    if later and life.chance.random() < (0.2 if life.state in ("rented", "late") else 0.7):
        on = life.chance.choice(later) + timedelta(days=life.chance.choice([-1, 0, 0, 0, 1]))
        life.today = max(life.today, on)


def _runs_on(life: Life) -> bool:
    """Whether it does not end yet: hardly anything would be seen of a lease that runs."""
    return life.state in ("rented", "late") and life.chance.random() < 0.25


def _give_back(life: Life) -> Event | None:
    if _runs_on(life):
        return None
    book = _book(life)
    least = book.lease.minimum_periods
    _wait(life, book.bound(least or book.periods), book.term_end)
    return LeaseReturned(**life.dates(life.day()), settlement=_batch(life))


def _buy(life: Life) -> Event | None:
    """For what the formula comes to, a fen off, or without asking the customer."""
    if _runs_on(life):
        return None
    book = _book(life)
    agreed = book.lease.buyout
    days = agreed.early.last_days if agreed is not None and agreed.early is not None else None
    _wait(life, book.term_end, book.term_end - timedelta(days=days or 25))
    on = life.day()
    price = 60_000
    if agreed is not None and (agreed.early is not None or on >= book.term_end):
        book = _book(life, max(on, life.latest))
        paid = sum(
            book.due_of(number) <= on or on >= book.term_end
            for number in range(1, book.periods + book.renewed + 1)
        )
        price = book.formula(on, paid)[0]
    return BoughtOut(
        **life.dates(on),
        price_minor=max(price + life.chance.choice([0] * 8 + [1, -1]), 0),
        consent=life.chance.choice(["click-9"] * 9 + [" "]),
        settlement=_batch(life),
    )


def _renew(life: Life) -> Event | None:
    """By the last day of the term, with the customer's consent to this time; it may be told late."""
    if _runs_on(life):
        return None
    last = _book(life).term_end
    _wait(life, last)
    on = life.day()
    if on > last and life.chance.random() < 0.4:
        on = last
    return Renewed(
        **life.dates(on),
        periods=life.chance.choice([1, 1, 2, 3, 0]),
        consent=life.chance.choice([life.name("yes ")] * 8 + [""]),
    )


def _inspect(life: Life) -> Event:
    whole, held, *_ = life.stands.more[7] if life.stands else (0, 0)
    most = life.chance.choice([whole, held])
    minor = life.chance.choice([0, 0, most, most // 3, most + 1])
    proof = life.chance.choice([True] * 7 + [False])
    return Inspected(
        **life.dates(),
        finding=life.chance.choice(["as it was"] * 9 + [" "]),
        deduction_minor=minor,
        reason="dent" if proof else "",
        evidence=life.chance.choice(["photo-7"] * 9 + [""]),
        settlement=_batch(life),
        not_held=life.chance.choice(["owed", "owed", "let_go"]),
    )


def _waive(life: Life) -> Event:
    part = life.chance.choice(["fee", "penalty", "rent", "rent"])
    return Waived(
        **life.dates(),
        waiver_id=life.name("x"),
        part=part,
        amount_minor=some_amount(life, life.owed_of(part)),
        row=life.chance.choice([None, life.row()]),
    )


LEASE_STATES: Final = (
    "unconfirmed",
    "agreed",
    "rented",
    "late",
    "term over",
    "given back",
    "bought",
    "ended",
    "called off",
    "given up",
)


def _lease_state(life: Life) -> str:
    stands = life.stands
    if stands is None or stands.status == "unconfirmed":
        return "unconfirmed"
    _, awaits, outcome, _, handed_over_on, *_ = stands.more
    if outcome == "cancelled":
        return "called off"
    if stands.acts[-2]:
        return "given up"
    if outcome is not None:
        if stands.status == "closed":
            return "ended"
        return "given back" if outcome == "returned" else "bought"
    if handed_over_on is None:
        return "agreed"
    if awaits == "return_or_buyout":
        return "term over"
    return "late" if stands.days_late else "rented"


LEASE_EVENTS: Final[dict[type, Callable[[Life], Event | None]]] = {
    Confirmed: confirm,
    Cancelled: cancel,
    DueReached: _reach,
    DueMoved: put_off,
    PaymentReceived: _pay,
    PaymentFailed: fail,
    PaymentReversed: take_back,
    AllocatedByInstruction: instruct,
    GoodwillGranted: grant,
    Charged: charge,
    Waived: _waive,
    UnappliedRefunded: refund,
    RefundPaid: pay_refund,
    WrittenOff: write_off,
    Recovered: recover,
    HandedOver: _hand_over,
    DepositHeld: _freeze,
    DepositApplied: _apply_deposit,
    DepositReleased: _release,
    LeaseReturned: _give_back,
    Inspected: _inspect,
    BoughtOut: _buy,
    Renewed: _renew,
}
_OUT: Final = ("rented", "late", "term over")
_OVER: Final = ("given back", "bought", "ended", "called off", "given up")
LEASE_CANNOT: Final[frozenset[tuple[str, str]]] = frozenset(
    [
        *[("Confirmed", state) for state in LEASE_STATES if state != "unconfirmed"],
        *[("Cancelled", state) for state in LEASE_STATES if state != "agreed"],
        *[("HandedOver", state) for state in LEASE_STATES if state != "agreed"],
        *[("DepositHeld", state) for state in LEASE_STATES if state != "agreed"],
        *[
            (kind, state)
            for kind in ("LeaseReturned", "BoughtOut", "Renewed")
            for state in ("unconfirmed", "agreed", *_OVER)
        ],
        *[("Inspected", state) for state in ("unconfirmed", "agreed", *_OUT, "bought", "called off")],
        *[("DepositReleased", state) for state in ("unconfirmed", "agreed", *_OUT, "ended")],
        *[("DepositApplied", state) for state in ("unconfirmed", "ended", "called off", "given up")],
        *[("RefundPaid", state) for state in ("unconfirmed", "agreed", *_OUT, "called off")],
        ("UnappliedRefunded", "bought"),
        ("UnappliedRefunded", "late"),
        *[("Recovered", state) for state in LEASE_STATES if state != "given up"],
        *[("WrittenOff", state) for state in ("unconfirmed", "ended", "called off")],
        *[("Charged", state) for state in ("called off", "given up")],
        *[("Waived", state) for state in ("unconfirmed", "ended", "called off", "given up")],
    ]
)


def _impossible_of_lease(life: Life) -> Event:
    dates, name, today = life.dates(), life.name("z"), life.today
    whole = life.stands.more[7][0] if life.stands else 0
    applied = life.some(DepositApplied)
    made: list[Callable[[], Event]] = [
        lambda: DueReached(**dates, row=9_999),
        lambda: DueMoved(**dates, row=0, to=date(2020, 1, 1), basis="x", announcement="x"),
        lambda: PaymentReversed(**dates, payment_id="nobody", settlement="bank:x", reason="bounced"),
        lambda: Charged(**dates, charge_id=name, part="fee", amount_minor=5, due_on=today, code="unnamed"),
        lambda: Waived(**dates, waiver_id=name, part="interest", amount_minor=1),
        lambda: HandedOver(**dates, cost_minor=5, residual_minor=life.chance.choice([6, -1])),
        lambda: DepositHeld(**dates, authorisation="a", amount_minor=whole + life.chance.choice([1, -1])),
        lambda: DepositHeld(**dates, authorisation="", amount_minor=whole),
        lambda: Inspected(**dates, finding="dent", deduction_minor=-1),
        lambda: Inspected(**dates, finding="dent", deduction_minor=1, reason="dent"),
        lambda: BoughtOut(**dates, price_minor=10**12, consent="c"),
        lambda: BoughtOut(**dates, price_minor=60_000, consent=" ", settlement="s"),
        lambda: Renewed(**dates, periods=1, consent=""),
        lambda: Renewed(**dates, periods=life.chance.choice([0, -1, 700]), consent="c"),
        # What is of contracts that pay a price back, of loans, or of pledges.
        lambda: Shipped(**dates, shipment_id=name),
        lambda: GoodsReturned(**dates, return_id=name, amount_minor=1),
        lambda: PaidBack(**dates, payment_id=name, amount_minor=1, settlement="s"),
        lambda: PayoffQuoted(**dates, quote_id=name, amount_minor=1, valid_until=date(2040, 1, 1)),
        lambda: DueDayChanged(**dates, day=5, from_row=1),
        lambda: Paused(**dates, periods=1),
        lambda: ReAged(**dates, periods=2, first_due_on=date(2040, 1, 1)),
        lambda: ReAmortised(**dates),
        lambda: Accelerated(**dates, demanded_on=date(2020, 1, 1)),
        lambda: Disbursed(**dates, amount_minor=100),
        lambda: Pledged(**dates, authorisation="a", amount_minor=whole),
        lambda: Captured(**dates, payment_id=name, settlement="s"),
        lambda: PledgeReleased(**dates),
    ]
    if applied is not None and life.chance.random() < 0.5:
        # What a deposit paid is no payment that could be taken back.
        dates["occurred_on"] = max(today, applied.occurred_on)
        return PaymentReversed(**dates, payment_id=applied.application_id, settlement="s", reason="bounced")
    return life.chance.choice(made)()


def _begin(
    form: Form,
    seed: str,
    number: int,
    kind: str,
    agreed: tuple[tuple[ContractTerms, date], ...],
) -> Life:
    chance = random.Random(f"{seed}:{kind}:{number}")
    weights = {each: chance.choice([0, 0, 1, 2, 5]) for each in form.events}
    weights[Confirmed] = chance.choice([3, 30, 99])
    weights[PaymentReceived] = chance.choice([1, 3, 8])
    faults = {fault: chance.choice([0.0, 0.0, 0.03, 0.15]) for fault in FAULTS}
    faults["asked for a payoff"] = chance.choice([0.0, 0.3])
    terms, start = chance.choice(agreed)
    follows = chance.choice([0.0, 0.3, 0.6])
    return Life(form, chance, terms, chance.randint(6, 30), weights, faults, today=start, follows=follows)


def begin_lease(seed: str, number: int) -> Life:
    """A lease with probabilities of its own: most are handed over, and most come to some end."""
    life = _begin(LEASES, seed, number, "lease", _rentals(seed))
    chance, weights = life.chance, life.weights
    life.follows = chance.choice([0.1, 0.4, 0.8])
    life.faults["clock forward"] = chance.choice([0.0, 0.0, 0.02])
    weights[HandedOver] = chance.choice([1, 9, 30])
    weights[Cancelled] = chance.choice([0, 0, 0, 2, 9])
    weights[WrittenOff] = chance.choice([0, 0, 1, 2])
    for kind in (LeaseReturned, BoughtOut):
        weights[kind] = chance.choice([0, 0, 1, 2])
    weights[Renewed] = chance.choice([0, 0, 1, 2])
    weights[DepositApplied] = chance.choice([0, 1, 4])
    weights[DueReached] = chance.choice([1, 5, 8])
    return life


def _lease_follows(life: Life, state: str) -> list[type]:
    """What the next steps of a lease are: the deposit, the goods, and what is left when it has ended."""
    stands = life.stands
    if stands is None or state == "unconfirmed":
        return []
    found: list[type] = []
    awaits, form, (_, held, *_) = stands.more[1], stands.more[6], stands.more[7]
    if state == "agreed":
        if form == "frozen" and not held:
            return [DepositHeld]
        if form == "cash" and life.owed_of("deposit"):
            return [PaymentReceived]
        found = [HandedOver, HandedOver, HandedOver, UnappliedRefunded if stands.held else DepositApplied]
        return [*found, Cancelled] if form == "frozen" else found
    if stands.acts[0]:
        found += [RefundPaid] * (8 if state == "bought" else 2) + [PaymentReversed]
    if state in ("rented", "late") and life.chance.random() < 0.3:
        # Most of what ends a lease comes at the end of its term: now and then, it comes before.
        found += [LeaseReturned, BoughtOut, Renewed, Waived, AllocatedByInstruction]
    if awaits == "inspection":
        found += [Inspected, Inspected, DepositReleased]
    elif awaits == "deposit_release":
        found += [DepositReleased] * 2
    elif awaits == "return_or_buyout":
        found += [LeaseReturned, BoughtOut, Renewed, Waived]
    deposit = life.terms.plan.pricing.deposit  # type: ignore[union-attr]
    if held and deposit is not None and deposit.covers_rent:
        due = [row for row in stands.rows if row[2] in ("due", "overdue")]
        if any(row[-2]["rent"] > row[-1]["rent"] for row in due):
            found += [DepositApplied] * (16 if state in ("rented", "bought") else 2)
    if state == "ended" and stands.more[2] == "returned" and life.chance.random() < 0.2:
        found.append(Inspected)
    if state == "bought" and life.chance.random() < 0.3:
        found += [Waived, AllocatedByInstruction]
    if state == "called off" and held:
        found.append(DepositReleased)
    if state == "given up":
        found += [Inspected, DepositReleased, Recovered if life.chance.random() < 0.3 else PaymentReversed]
        if stands.owed:
            found.append(WrittenOff)
    if stands.held and state not in ("ended", "called off"):
        found.append(UnappliedRefunded)
    return found


LEASES: Final = Form(
    LeaseBook,
    LEASE_STATES,
    _lease_state,
    LEASE_EVENTS,
    LEASE_CANNOT,
    begin_lease,
    _impossible_of_lease,
    _lease_follows,
    rare=("rented", "late", "term over", "given back", "bought", "called off", "given up"),
    evenly=0.3,
)


# ------------------------------------------------------------------------------------------------ what happens to a pledge


def _pledge(life: Life) -> Event:
    price = sum(row.principal_minor for row in life.terms.rows)
    until = life.chance.choice(
        [None, life.today, life.today + timedelta(days=life.chance.choice([5, 80, -1]))]
    )
    return Pledged(
        **life.dates(life.day()),
        authorisation=life.chance.choice([life.name("a")] * 9 + [""]),
        amount_minor=life.chance.choice([price] * 6 + [price + 1, price - 1]),
        until=until,
    )


def _capture(life: Life) -> Event:
    """On the day of success, the day before, or later."""
    until = life.stands.more[2] if life.stands and life.stands.more else None
    _wait(life, *[row[1] for row in life.rows[:1]], *([until] if until else []))
    return Captured(**life.dates(life.day()), payment_id=life.name("p"), settlement="card:1")


def _let_go(life: Life) -> Event:
    return PledgeReleased(**life.dates(), reason="too few")


def _pay_for_pledge(life: Life) -> Event:
    price = sum(row.principal_minor for row in life.terms.rows)
    owed = life.stands.owed if life.stands else 0
    return PaymentReceived(
        **life.dates(life.day()),
        payment_id=life.name("p"),
        amount_minor=max(life.chance.choice([price, owed, owed + 7, owed - 1, 1]), 1),
        settlement=f"bank:{life.today}",
    )


PLEDGE_STATES: Final = (
    "unconfirmed",
    "agreed",
    "pledged",
    "captured",
    "owed again",
    "released",
    "cancelled",
    "written off",
)


def _pledge_state(life: Life) -> str:
    stands: Figures | None = life.stands
    if stands is None or stands.status == "unconfirmed":
        return "unconfirmed"
    if stands.acts[-4]:
        return "cancelled"
    if stands.acts[-2]:
        return "written off"
    stage = str(stands.more[0])
    return "owed again" if stage == "captured" and stands.owed else stage


PLEDGE_EVENTS: Final[dict[type, Callable[[Life], Event | None]]] = {
    Confirmed: confirm,
    Pledged: _pledge,
    Captured: _capture,
    PledgeReleased: _let_go,
    Shipped: ship,
    Cancelled: cancel,
    GoodsReturned: return_goods,
    RefundPaid: pay_refund,
    DueReached: reach,
    DueMoved: put_off,
    PaymentReceived: _pay_for_pledge,
    PaymentReversed: take_back,
    GoodwillGranted: grant,
    UnappliedRefunded: refund,
    Charged: charge,
    WrittenOff: write_off,
    Recovered: recover,
}
_NOT_CAPTURED: Final = ("unconfirmed", "agreed", "pledged", "released")
PLEDGE_CANNOT: Final[frozenset[tuple[str, str]]] = frozenset(
    [
        *[("Confirmed", state) for state in PLEDGE_STATES if state != "unconfirmed"],
        *[("Captured", state) for state in PLEDGE_STATES if state != "pledged"],
        *[
            (kind, state)
            for kind in ("Pledged", "PledgeReleased")
            for state in PLEDGE_STATES
            if state not in ("agreed", "pledged")
        ],
        *[
            (kind, state)
            for kind in ("Shipped", "Cancelled")
            for state in (*_NOT_CAPTURED, "cancelled", "written off")
        ],
        *[("GoodsReturned", state) for state in (*_NOT_CAPTURED, "cancelled")],
        *[("RefundPaid", state) for state in _NOT_CAPTURED],
        *[("Charged", state) for state in (*_NOT_CAPTURED, "cancelled", "written off")],
        *[("WrittenOff", state) for state in (*_NOT_CAPTURED, "captured", "cancelled")],
        *[("Recovered", state) for state in PLEDGE_STATES if state != "written off"],
        ("UnappliedRefunded", "owed again"),
        ("RefundPaid", "owed again"),
        ("WrittenOff", "written off"),
    ]
)


def _impossible_of_pledge(life: Life) -> Event:
    dates, name, today = life.dates(), life.name("z"), life.today
    price = sum(row.principal_minor for row in life.terms.rows)
    made: list[Callable[[], Event]] = [
        lambda: DueReached(**dates, row=9_999),
        lambda: Pledged(**dates, authorisation="a", amount_minor=price + life.chance.choice([1, -1])),
        lambda: Pledged(**dates, authorisation="", amount_minor=price),
        lambda: Pledged(**dates, authorisation="a", amount_minor=price, until=today - timedelta(days=1)),
        lambda: GoodsReturned(**dates, return_id=name, amount_minor=price + 1),
        lambda: PaymentReversed(**dates, payment_id="nobody", settlement="bank:x", reason="bounced"),
        lambda: HandedOver(**dates, cost_minor=5),
        lambda: DepositHeld(**dates, authorisation="a", amount_minor=price),
        lambda: DepositApplied(**dates, application_id=name, amount_minor=1, settlement="s"),
        lambda: DepositReleased(**dates),
        lambda: LeaseReturned(**dates, settlement="s"),
        lambda: Inspected(**dates, finding="fine"),
        lambda: BoughtOut(**dates, price_minor=price, consent="c", settlement="s"),
        lambda: Renewed(**dates, periods=1, consent="c"),
        lambda: Disbursed(**dates, amount_minor=100),
    ]
    return life.chance.choice(made)()


def begin_pledge(seed: str, number: int) -> Life:
    """A pledge with probabilities of its own."""
    life = _begin(PLEDGES, seed, number, "pledge", _campaigns(seed))
    chance, weights = life.chance, life.weights
    life.follows = chance.choice([0.2, 0.5, 0.8])
    weights[Pledged] = chance.choice([1, 9])
    weights[Captured] = chance.choice([0, 9, 9, 9])
    weights[PledgeReleased] = chance.choice([0, 0, 1])
    weights[Cancelled] = chance.choice([0, 0, 1])
    weights[WrittenOff] = chance.choice([0, 0, 1])
    weights[GoodsReturned] = chance.choice([0, 1, 3])
    weights[UnappliedRefunded] = chance.choice([0, 1])
    return life


def _pledge_follows(life: Life, state: str) -> list[type]:
    stands = life.stands
    if stands is None or state == "unconfirmed":
        return []
    found: list[type] = []
    if stands.acts[0]:
        found.append(RefundPaid)
    if stands.held and state != "owed again":
        found.append(UnappliedRefunded)
    if state == "captured":
        found += [PaymentReversed, PaymentReversed, Shipped, GoodsReturned, Cancelled]
    if state == "owed again" and life.chance.random() < 0.3:
        found += [Cancelled, Cancelled, WrittenOff, WrittenOff, GoodsReturned, Shipped]
    if state == "agreed":
        found += [Pledged, Pledged]
    if state == "pledged":
        found += [Captured] * 5 + [PledgeReleased]
    if state == "written off":
        found += [Recovered, GoodsReturned]
    if not all(row[3] for row in stands.rows):
        found += [DueReached] * {"written off": 9, "cancelled": 4}.get(state, 0)
    return found


PLEDGES: Final = Form(
    PledgeBook,
    PLEDGE_STATES,
    _pledge_state,
    PLEDGE_EVENTS,
    PLEDGE_CANNOT,
    begin_pledge,
    _impossible_of_pledge,
    _pledge_follows,
    rare=("captured", "owed again", "released", "cancelled", "written off"),
    evenly=0.45,
)
