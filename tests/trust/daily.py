"""Sales whose interest runs daily, held to a sum over days: what the second reckoning (`tests.trust.model`) does not know.

How the rows of such a contract come about is not reckoned here. What is: on each day interest runs on the principal that nobody had
paid by then, at the agreed rate over 365. Which part of a payment was principal is taken from the engine; that it had to be no more
than was owed, and what the interest on what is left comes to by any day, is not. With it: order of arrival, closure, the sums of every
payment and account, and that what is quoted for paying off closes the contract.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, Final

from tests.trust.bugs import Bug
from tests.trust.sales import STARTS

from fenqi.contracts import contract as engine
from fenqi.contracts.accrual import Accrual
from fenqi.contracts.events import (
    Confirmed,
    DueReached,
    Event,
    EventRefused,
    PaymentReceived,
    PaymentReversed,
)
from fenqi.contracts.payoff import payoff_quote
from fenqi.contracts.terms import ContractTerms, Interest, pin
from fenqi.ledger import closure, entries
from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import disclose
from fenqi.terms.plan import Annuity, Conventions, Plan
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

__all__ = ["BUGS", "Wrong", "live"]

RECEIVABLES: Final = (1110, 1120, 1130, 1140)


class Wrong(AssertionError):
    """A rule was broken: which, and by which events of which contract."""


@cache
def agreed(seed: str) -> tuple[tuple[ContractTerms, date], ...]:
    chance = random.Random(f"{seed}:daily")
    made = []
    for number in range(40):
        count = chance.choice([2, 2, 3, 3, 6])
        rate = chance.choice([Decimal("0.072"), Decimal("0.156"), Decimal("0.24")])
        plan = Plan(
            f"daily_{number}",
            "mall",
            "shop",
            "instalment_sale",
            count,
            Annuity(rate),
            conventions=Conventions(day_count="act/365"),
        )
        price, start = (
            chance.choice([30_001, 600_000, chance.randint(10_000, 9_999_999)]),
            chance.choice(STARTS),
        )
        bill = build_schedule(plan, price, "CNY", start)
        terms = pin(
            plan,
            bill,
            disclose(plan, bill, cost_of(bill, plan), Text("商城", "The mall")),
            zone="Asia/Shanghai",
            policy_digest="sha256:" + "0" * 64,
            interest=Interest(counted_from=start, begins_on=start, daily=True),
        )
        made.append((terms, start))
    return tuple(made)


def by_days(terms: ContractTerms, state: engine.ContractState, start: date, on: date) -> Fraction:
    """What the principal that nobody had paid by each day bore until a day."""
    rate = Fraction(terms.plan.pricing.annual_rate)  # type: ignore[union-attr]
    price = sum(row.principal_minor for row in terms.rows)
    paid: dict[date, int] = {}
    for payment in state.payments:
        minor = sum(part.principal_minor for part in payment.parts)
        paid[payment.occurred_on] = paid.get(payment.occurred_on, 0) + minor
    on = min(on, state.rows[-1].due_on)
    # A fen that is left for a day is a fen-day.
    fen_days = price * (on - start).days - sum(
        minor * (on - max(day, start)).days for day, minor in paid.items() if day < on
    )
    return fen_days * rate / 365


def rules(
    terms: ContractTerms,
    told: list[Event],
    state: engine.ContractState,
    start: date,
    on: date,
    asked: bool,
) -> Iterator[tuple[str, object, object]]:
    """Each rule by name, with what the engine says and what it has to say; what takes long where it is `asked`."""
    balances = entries.position(terms, state.movements)
    yield "closure", closure.closure_problems(state, balances), []
    yield "sum", sum(balances.values()), 0
    yield "below zero", [code for code in RECEIVABLES if balances.get(code, 0) < 0], []
    yield (
        "closed at zero",
        state.status == "closed" and any(balances.get(code) for code in RECEIVABLES),
        False,
    )
    gone = {event.payment_id for event in told if isinstance(event, PaymentReversed)}
    for payment in state.payments:
        used = sum(part.principal_minor + part.interest_minor for part in payment.parts)
        whole = 0 if payment.payment_id in gone else payment.amount_minor
        yield "payment", used + payment.unapplied_minor, whole
    price = sum(row.principal_minor for row in terms.rows)
    principal = sum(part.principal_minor for payment in state.payments for part in payment.parts)
    interest = sum(part.interest_minor for payment in state.payments for part in payment.parts)
    yield "principal", principal + state.principal_outstanding_minor, price
    yield "income", -balances.get(4120, 0) >= interest, True
    money = sum(p.amount_minor for p in state.payments if p.payment_id not in gone)
    yield "in transit", balances.get(1020, 0), money
    yield "held", -balances.get(2110, 0), state.unapplied_minor
    if state.status != "active" or not asked:
        if state.status == "closed":
            # Each row rounds once, and each payment may cut a row in two.
            most = len(terms.rows) + len(state.payments) + 1
            borne = by_days(terms, state, start, state.closed_on or on)
            yield "interest of all", abs(interest - borne) <= most, True
        return
    most = len(terms.rows) + len(state.payments) + 1
    borne = by_days(terms, state, start, on)
    quote = payoff_quote(terms, told, on)
    yield "payoff principal", quote.principal_minor, state.principal_outstanding_minor
    said = (quote.interest_minor + interest, float(borne), most)
    yield f"interest by days {said}", abs(quote.interest_minor + interest - borne) <= most, True
    if all(event.occurred_on <= on for event in told):
        closed = engine.replay(
            terms,
            [
                *told,
                PaymentReceived(
                    seq=len(told) + 1,
                    occurred_on=on,
                    recorded_at=9_999,
                    payment_id="all of it",
                    amount_minor=quote.amount_minor,
                    settlement="s",
                ),
            ],
            on,
        )
        yield "what is quoted closes it", (closed.status, closed.unapplied_minor), ("closed", 0)


def live(seed: str, steps: int) -> dict[str, int]:
    """So many steps of such lives; how often what happened. Raises `Wrong`."""
    reached: dict[str, int] = {}
    number = taken = 0
    while taken < steps:
        number += 1
        chance = random.Random(f"{seed}:daily:{number}")
        terms, start = chance.choice(agreed(seed))
        told: list[Event] = []
        running = engine.begin(terms)
        today, latest = start, start
        state: engine.ContractState | None = None

        def note(what: str) -> None:
            reached[what] = reached.get(what, 0) + 1

        closed = 0
        while len(told) < 22 and closed < 3 and taken < steps:
            taken += 1
            if told:
                today += timedelta(days=chance.choice([0, 0, 1, 5, 30, 30]))
            event = _next(chance, terms, told, state, today)
            latest = max(latest, today, event.occurred_on)
            try:
                running = engine.apply(running, event)
                state = running.state(latest)
            except EventRefused:
                note("refused")
                continue
            told.append(event)
            closed += state.status == "closed"
            note(f"{type(event).__name__} x {state.status}")
            if event.occurred_on < today and isinstance(event, PaymentReceived):
                note("back-dated")
            if state.days_past_due:
                note("late")

            shown = (seed, number, terms, told)
            try:
                for rule, said, expected in rules(terms, told, state, start, latest, chance.random() < 0.5):
                    if said != expected:
                        raise wrong(rule, shown, f"{said}, not {expected}")
                if chance.random() < 0.1:
                    mixed = told.copy()
                    chance.shuffle(mixed)
                    if engine.replay(terms, mixed, latest) != state:
                        raise wrong(
                            "order of arrival", shown, "told in another order, it comes to something else"
                        )
            except Wrong:
                raise
            except Exception as problem:
                raise wrong("crash", shown, repr(problem)) from problem
    return reached


def wrong(rule: str, shown: tuple[str, int, ContractTerms, list[Event]], said: object) -> Wrong:
    """Names the seed, the contract and what it was told."""
    seed, number, terms, told = shown
    lines = "\n".join(f"  {each!r}" for each in told)
    return Wrong(f"{rule}: {said}\nseed {seed}, contract {number}, {terms.plan!r}\n{lines}")


def _next(
    chance: random.Random,
    terms: ContractTerms,
    told: list[Event],
    state: engine.ContractState | None,
    today: date,
) -> Event:
    dates: dict[str, Any] = {"seq": len(told) + 1, "occurred_on": today, "recorded_at": 1_000 + len(told)}
    if state is None:
        return Confirmed(**dates)
    waiting = [row for row in state.rows if not row.reached and row.due_on <= today]
    if waiting:
        return DueReached(**{**dates, "occurred_on": waiting[0].due_on}, row=waiting[0].number)
    paid = [e for e in told if isinstance(e, PaymentReceived)]
    if paid and chance.random() < 0.1:
        payment = chance.choice(paid)
        return PaymentReversed(**dates, payment_id=payment.payment_id, settlement="s", reason="bounced")
    if chance.random() < 0.2:
        first = min(e.occurred_on for e in told)
        dates["occurred_on"] = max(first, today - timedelta(days=chance.randint(1, 60)))
    row = chance.choice(terms.rows)
    due = sum(each.outstanding_minor for each in state.rows if each.due_on <= today)
    amount = chance.choice(
        [
            row.total_minor,
            row.total_minor,
            due,
            due,
            due - 1,
            1,
            row.total_minor // 3,
            row.total_minor * 2,
            state.balance_minor,
        ]
    )
    return PaymentReceived(
        **dates, payment_id=f"p{len(told) + 1}", amount_minor=max(amount, 1), settlement="bank:1"
    )


BUGS: Final = (
    Bug("principal that was paid bears interest on", Accrual.pay_principal, "self.changes.append((on, -minor))", "pass"),
    Bug("a day more is counted of each piece", Accrual._interest, "(stop - start).days,", "(stop - start).days + 1,"),
    Bug("principal paid early bears interest to the end of its period", Accrual._interest, "if since < day < until:\n            cuts.add(day)", "pass"),
    Bug("what is late bears nothing", Accrual._interest, "elif ahead and (on is None or start >= on):", "elif ahead:"),
    Bug("time does not go on for what is late", Accrual.come_to, "self.on = day", "pass"),
    Bug("interest that was paid is owed again", Accrual.pay_interest, "row.paid_interest += min(minor, most)", "pass"),
    Bug("interest that does not fit its row is lost", Accrual.reckon, "+ row.carried_in + carried", "+ row.carried_in"),
    Bug("a fen of the principal paid is lost", Accrual.pay_principal, "row.paid_principal += min(minor, self.owed())", "row.paid_principal += minor - 1"),
    Bug("a payoff owes the whole period", Accrual.payoff, "twin.until = on", "pass"),
)  # fmt: skip
