"""A contract from its events: replayed whole, and with one payment that is learnt of late.

Contracts are of a thousand amounts, so that nothing but what holds for any contract can be remembered. `back_dated` is told
twice: by `replay` of all events, which is what the service runs, and by `apply` on a contract whose account was kept.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal

from fenqi.contracts.contract import apply, begin, replay
from fenqi.contracts.events import Confirmed, DueReached, Event, PaymentReceived
from fenqi.contracts.terms import ContractTerms, Interest, pin
from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import disclose
from fenqi.terms.plan import Annuity, FlatFee, Plan, Pricing
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

__all__ = ["back_dated", "replay_p50"]

START = date(2026, 1, 15)
MALL = Text("商城", "The mall")
RUNS = 2_000
SLOW_RUNS = 200
CONTRACTS = 256
PRICINGS: dict[str, Pricing] = {"fee": FlatFee(Decimal("0.006")), "daily": Annuity(Decimal("0.072"))}


def terms_of(periods: int, number: int, *, daily: bool = False) -> ContractTerms:
    """The nth contract's terms: a fee for each of so many periods, or interest that runs from day to day."""
    pricing = PRICINGS["daily" if daily else "fee"]
    plan = Plan(f"mall_{periods}", "mall", "shop", "instalment_sale", periods, pricing)
    bill = build_schedule(plan, 600_000 + 7 * number, "CNY", START)
    table = disclose(plan, bill, cost_of(bill, plan), MALL)
    interest = Interest(counted_from=START, begins_on=START, daily=True) if daily else None
    return pin(plan, bill, table, zone="Asia/Shanghai", policy_digest="sha256:" + "0" * 64, interest=interest)


def paid(terms: ContractTerms, months: int, *, less_in: int | None = None) -> list[Event]:
    """Its events: each of the first so many due dates comes, and is paid that day. In month `less_in` nothing is paid."""
    events: list[Event] = [Confirmed(seq=1, occurred_on=START, recorded_at=0)]
    for row in terms.rows[:months]:
        events.append(DueReached(seq=len(events) + 1, occurred_on=row.due_on, recorded_at=0, row=row.number))
        if row.number != less_in:
            events.append(
                PaymentReceived(
                    seq=len(events) + 1,
                    occurred_on=row.due_on,
                    recorded_at=0,
                    payment_id=f"p{row.number}",
                    amount_minor=row.principal_minor + row.fee_minor,
                    settlement="bank:1",
                )
            )
    return events


def late_payment(terms: ContractTerms, events: list[Event]) -> PaymentReceived:
    """The payment of month 2, learnt of after everything else."""
    row = terms.rows[1]
    return PaymentReceived(
        seq=len(events) + 1,
        occurred_on=row.due_on + timedelta(days=3),
        recorded_at=1,
        payment_id="late",
        amount_minor=row.principal_minor + row.fee_minor,
        settlement="bank:1",
    )


def _median_us(run: Callable[[int], object], runs: int) -> float:
    for number in range(runs // 10):
        run(number)
    times: list[int] = []
    now = time.perf_counter_ns
    gc.collect()
    for number in range(runs):
        began = now()
        run(number)
        times.append(now() - began)
    return round(statistics.median(times) / 1000, 1)


def replay_p50() -> Iterator[dict[str, object]]:
    """Microseconds of one replay: 12 instalments that fell due, 12 payments, up to rows, balances and movements."""
    made = [(terms, paid(terms, 12)) for terms in (terms_of(12, number) for number in range(CONTRACTS))]
    daily = [
        (terms, paid(terms, 12))
        for terms in (terms_of(12, number, daily=True) for number in range(CONTRACTS))
    ]
    for terms, events in (*made, *daily):
        state = replay(terms, events, date(2027, 12, 31))
        if state.status != "closed" or len(state.payments) != 12:
            raise SystemExit("a contract that was paid is not closed")

    def run_over(stock: list[tuple[ContractTerms, list[Event]]]) -> Callable[[int], object]:
        return lambda number: replay(*stock[number % CONTRACTS], date(2027, 12, 31))

    yield {
        "name": "replay.p50",
        "value": _median_us(run_over(made), RUNS),
        "unit": "us",
        "daily_interest_us": _median_us(run_over(daily), SLOW_RUNS),
        "instalments": 12,
        "payments": 12,
        "events": 25,
    }


def back_dated() -> Iterator[dict[str, object]]:
    """Microseconds until a contract of 24 months is right again after a payment into month 2 is learnt of."""
    figures: dict[str, float] = {}
    on = date(2027, 12, 31)
    for name, daily in (("", False), ("daily_", True)):
        stock = []
        for number in range(CONTRACTS):
            terms = terms_of(24, number, daily=daily)
            events = paid(terms, 23, less_in=2)
            stock.append((terms, events, begin(terms, events), late_payment(terms, events)))
        for terms, events, running, late in stock[:8]:
            told = replay(terms, [*events, late], on)
            if told != apply(running, late).state(on) or told == replay(terms, events, on):
                raise SystemExit("a payment that was learnt of late does not come to what it comes to")
        runs = SLOW_RUNS if daily else RUNS

        def whole(number: int, stock: list = stock) -> object:  # type: ignore[type-arg]
            terms, events, _, late = stock[number % CONTRACTS]
            return replay(terms, [*events, late], on)

        def step(number: int, stock: list = stock) -> object:  # type: ignore[type-arg]
            _, _, running, late = stock[number % CONTRACTS]
            return apply(running, late).state(on)

        figures[f"{name}replay_us"] = _median_us(whole, runs)
        figures[f"{name}apply_us"] = _median_us(step, runs)
    yield {
        "name": "replay.back_dated",
        "value": max(figures["replay_us"], figures["apply_us"]),
        "unit": "us",
        **figures,
        "instalments": 24,
        "payments": 23,
        "events": 48,
    }
