"""Whole lives of contracts, made up from a seed, held to rules that the engine does not know.

A step tells one contract one thing: an event, or one that has to be refused. After each step the engine's answer is held to
`oracles`. `tests.trust.sales` and `tests.trust.leases` make the lives up; `Reached` counts what happened in which state.

    python -m tests.trust.simulation --seed 7 --steps 200000
"""

from __future__ import annotations

import argparse
import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from tests.trust import model, rented
from tests.trust.leases import LEASES, PLEDGES
from tests.trust.model import NOTES, Figures, Refused, reckon
from tests.trust.sales import DATED, FAULTS, REFUSED, RULED, SALES, Form, Life, next_event

from fenqi.contracts import contract as engine
from fenqi.contracts import delinquency
from fenqi.contracts.buyout import buyout_quote
from fenqi.contracts.events import Disbursed, Event, EventRefused
from fenqi.contracts.movements import Movement
from fenqi.contracts.payoff import payoff_quote
from fenqi.contracts.terms import ContractTerms
from fenqi.ledger import closure, entries

__all__ = ["FORMS", "NOT_YET", "Break", "Reached", "Run", "holds", "simulate", "step"]

FORMS: Final[dict[str, Form]] = {"sale": SALES, "lease": LEASES, "pledge": PLEDGES}
LIVES: Final[dict[str, Form]] = {**FORMS, "ruled sale": RULED, "dated sale": DATED}
SHARES: Final = ("sale", "ruled sale", "lease", "sale", "pledge", "sale", "lease", "sale")
"""Which forms the contracts of a run have, one after another."""
NOT_YET: Final[dict[type, str]] = {
    Disbursed: "spreads what is open anew over rows whose interest runs: the second reckoning does not know that yet",
}
"""Kinds of events that are never told, with the reason."""
RECEIVABLES: Final = (1110, 1120, 1130, 1140, 1150)
"""Of principal, fees, interest, penalties and rents."""


class Break(AssertionError):
    """An oracle was broken: by which events of which contract, and the seed that shows it again."""

    def __init__(
        self, oracle: str, seed: str, number: int, said: str, terms: ContractTerms, told: list[Event]
    ) -> None:
        self.made_of = (oracle, seed, number, said, terms, told)
        self.oracle = oracle
        self.terms = terms
        self.told = told
        lines = [f"  {event!r}" for event in told]
        super().__init__(
            f"{oracle}: {said}\nseed {seed}, contract {number}, plan {terms.plan.id}, parts {terms.allocation.parts}"
            f" along {terms.allocation.along}; the first {len(told)} events show it:\n" + "\n".join(lines)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # It may come from another process.
        return Break, self.made_of


# ------------------------------------------------------------------------------------------------------- oracles


def _told_rows(state: engine.ContractState, parts: Sequence[str]) -> list[tuple[Any, ...]]:
    return [
        (
            row.number,
            row.due_on,
            row.status,
            row.reached,
            row.fee_earned_minor,
            row.interest_earned_minor + row.rent_earned_minor,
            {part: getattr(row, f"{part}_minor") for part in parts},
            {part: getattr(row, f"{part}_paid_minor") for part in parts},
        )
        for row in state.rows
    ]


def _told_payments(state: engine.ContractState, parts: Sequence[str]) -> list[tuple[Any, ...]]:
    told = []
    for payment in state.payments:
        used: dict[tuple[int, str], int] = {}
        for part in payment.parts:
            for name in parts:
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


def _left(row: tuple[Any, ...]) -> tuple[int, int, int]:
    """What a row comes to, what is paid of it, and what is open."""
    owed, paid = sum(row[-2].values()), sum(row[-1].values())
    return owed, paid, owed - paid


def _left_by_part(figures: Figures, parts: Sequence[str]) -> list[int]:
    return [sum(row[-2][part] - row[-1][part] for row in figures.rows) for part in parts]


def _told_sums(
    state: engine.ContractState, parts: Sequence[str]
) -> tuple[list[tuple[int, int, int]], list[int]]:
    return (
        [(row.total_minor, row.paid_minor, row.outstanding_minor) for row in state.rows],
        [getattr(state, f"{part}_outstanding_minor") for part in parts],
    )


def _next_row(figures: Figures, left: list[tuple[int, int, int]]) -> tuple[int | None, date | None, int]:
    """The oldest row that is not paid, with its day and what is open of it."""
    for row, (_, _, still_open) in zip(figures.rows, left, strict=True):
        if still_open:
            return row[0], row[1], still_open
    return None, None, 0


def _told_more(state: engine.ContractState) -> tuple[Any, ...]:
    """Where a lease or a pledge stands."""
    lease, pledge = state.lease, state.pledge
    if lease is not None:
        return (
            lease.term_ends_on,
            lease.awaits,
            lease.outcome,
            lease.ended_on,
            lease.handed_over_on,
            lease.renewed_periods,
            lease.deposit_form,
            (
                lease.deposit_minor,
                lease.deposit_held_minor,
                lease.deposit_applied_minor,
                lease.deposit_lost_minor,
                lease.deposit_released_minor,
            ),
            (lease.asset_minor, lease.depreciated_minor),
            lease.buyout_minor,
            lease.finding,
        )
    if pledge is not None:
        return pledge.stage, pledge.authorisation, pledge.until, pledge.captured_on, pledge.released_on
    return ()


def _held_though_owed(state: engine.ContractState, figures: Figures) -> bool:
    """Whether money is held while something is owed that it could pay: what is no money pays no deposit."""
    if state.status == "unconfirmed" or not state.unapplied_minor:
        return False
    money = sum(payment.unapplied_minor for payment in state.payments if payment.money)
    owed = state.balance_minor
    return bool(owed and (money or owed != state.deposit_outstanding_minor))


def oracles(
    state: engine.ContractState, figures: Figures, balances: dict[int, int], parts: Sequence[str]
) -> Iterator[tuple[str, object, object]]:
    """Each rule by name, with what the engine says and what it has to say."""
    yield "rows", _told_rows(state, parts), figures.rows
    yield "payments", _told_payments(state, parts), figures.payments
    yield "more", _told_more(state), figures.more
    yield (
        "balance",
        (state.status, state.closed_on, state.balance_minor, state.unapplied_minor),
        (figures.status, figures.closed_on, figures.owed, figures.held),
    )
    left = [_left(row) for row in figures.rows]
    yield "sums", _told_sums(state, parts), (left, _left_by_part(figures, parts))
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
    yield "held and owed", _held_though_owed(state, figures), False
    yield "accounts", balances, figures.accounts
    yield "closure", closure.closure_problems(state, balances), []
    receivable = [balances.get(code, 0) for code in RECEIVABLES]
    yield "closed at zero", state.status == "closed" and any(receivable), False
    yield "below zero", [minor for minor in receivable if minor < 0], []
    yield "sum", sum(balances.values()), 0
    if len(state.movements) % 4 == 0:
        # Hardly anything of it depends on the contract.
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

    def __add__(self, other: Reached) -> Reached:
        return Reached(
            self.events + other.events,
            self.refused + other.refused,
            self.cannot + other.cannot,
            self.marks + other.marks,
        )

    def fewest(self) -> tuple[int, str]:
        """The counter that was reached least, of every event and state that can be, and every fault."""
        every: dict[str, int] = {}
        for name, form in FORMS.items():
            for state in form.states:
                where = f"{name} {state}"
                for kind in form.events:
                    if (kind.__name__, state) in form.cannot:
                        every[f"{kind.__name__} x {where}, refused"] = self.cannot[kind.__name__, where]
                    else:
                        every[f"{kind.__name__} x {where}"] = self.events[kind.__name__, where]
                for fault in REFUSED:
                    every[f"{fault} x {where}"] = self.refused[fault, where]
        every |= dict(self.marks)
        every |= {what: self.marks[what] for what in (*FAULTS, *NOTES)}
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
    life: Life, told: list[Event], as_of: date, known_at: int | None = None
) -> tuple[engine.ContractState | None, Figures | None]:
    """What the engine and the second reckoning make of events; None for refused."""
    try:
        state = engine.replay(life.terms, told, as_of, known_at)
    except EventRefused:
        state = None
    return state, _reckoned(life, told, as_of, known_at)


def _reckoned(life: Life, told: list[Event], as_of: date, known_at: int | None = None) -> Figures | None:
    """What the second reckoning makes of events; None for refused."""
    try:
        return reckon(life.terms, told, as_of, known_at, book=life.form.book)
    except Refused:
        return None


def _asked(life: Life, told: list[Event], on: date) -> tuple[object, object]:
    """What paying everything off comes to on a day, or buying the goods of a lease: by the engine, and by the second reckoning."""
    if life.terms.lease is None:
        quote = payoff_quote(life.terms, told, on)
        said = (quote.amount_minor, quote.charge_minor, quote.saving_minor)
        return said, model.payoff(life.terms, told, on, book=life.form.book)
    try:
        price = buyout_quote(life.terms, told, on)
    except EventRefused:
        return None, rented.buyout(life.terms, told, on)
    return (
        price.price_minor,
        price.deposit_credited_minor,
        price.to_pay_minor,
        price.spared_minor,
        price.deposit_back_minor,
    ), rented.buyout(life.terms, told, on)


def step(life: Life, event: Event, refusal: bool, seed: str, number: int, digest: Any) -> bool:
    """Tell a contract one thing and hold the answer to the rules. Says whether it was taken."""
    told = [*life.told, event]

    def broken(oracle: str, said: str) -> Break:
        return Break(oracle, seed, number, said, life.terms, told)

    life.latest = as_of = max(life.today, life.latest, event.occurred_on)
    try:
        # The engine goes on from where it stood; that it comes to the same from the start is asked below, now and then.
        running: engine.Running | None = None
        state: engine.ContractState | None = None
        try:
            running = engine.apply(life.running or engine.begin(life.terms), event)
            state = running.state(as_of)
        except EventRefused:
            state = None
        figures = _reckoned(life, told, as_of)
        if (state is None) is not (figures is None):
            raise broken("refusal", f"the engine {'refuses' if state is None else 'takes'} {event!r}")
        if state is None or figures is None:
            digest.update(b"refused\n")
            return False
        if refusal:
            raise broken("refusal", f"{event!r} is taken")
        balances = _hold(state, figures, life, broken)
        change = entries.posting(balances, life.booked)
        if change is not None:
            if sum(change.amounts) or 0 in change.amounts or len(change.amounts) < 2:
                raise broken("posting", repr(change))
            # The service asks that of every posting; here it raises where it must not.
            entries.check_fees(change, life.terms)
            for account, minor in zip(change.accounts, change.amounts, strict=True):
                life.booked[account] = life.booked.get(account, 0) + minor
            if {code: minor for code, minor in life.booked.items() if minor} != figures.accounts:
                raise broken("booked", f"{life.booked}, not {figures.accounts}")
            for what, book in _beyond_the_listed(life.terms) if len(state.movements) % 4 == 0 else ():
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
            if engine.replay(life.terms, told, as_of) != state:
                raise broken(
                    "one by one", "one event after the other comes to something else than all of them"
                )
        if life.hits("asked for a payoff") and state.status != "unconfirmed":
            life.mark("asked for a payoff")
            asked, second = _asked(life, told, as_of)
            if asked != second:
                raise broken("payoff", f"{asked}, not {second}")
            due = (
                delinquency.penalty_due(life.terms, told, as_of),
                model.penalty_due(life.terms, told, as_of, book=life.form.book),
            )
            if due[0] != due[1]:
                raise broken("penalty", f"{due[0]}, not {due[1]}")
        if life.hits("asked back"):
            life.mark("asked back")
            look = life.chance.choice(told)
            known_at = life.chance.choice([None, look.recorded_at])
            state_then, then = _answer(life, told, look.occurred_on, known_at)
            if (state_then is None) is not (then is None):
                raise broken("refusal", f"as of {look.occurred_on}, known at {known_at}")
            if state_then is not None and then is not None:
                _hold(state_then, then, life, broken)
    except Break:
        raise
    except Exception as wrong:
        # Whatever else the engine raises is a fault of it: these events are refused or taken.
        raise broken("crash", f"{type(wrong).__name__}: {wrong}") from wrong
    life.told.append(event)
    before: Mapping[str, int] = {} if life.stands is None else life.stands.notes
    for note, often in figures.notes.items():
        if often > before.get(note, 0):
            life.mark(note)
    life.stands, life.running = figures, running
    digest.update(repr((figures.status, figures.owed, figures.held, sorted(balances.items()))).encode())
    return True


def _hold(
    state: engine.ContractState,
    figures: Figures,
    life: Life,
    broken: Callable[[str, str], Break],
) -> dict[int, int]:
    """Hold an answer to the oracles; returns what it comes to, account by account."""
    balances = entries.position(life.terms, state.movements)
    for oracle, said, expected in oracles(state, figures, balances, life.form.book.parts_of_a_row):
        if said != expected:
            raise broken(oracle, f"{said}, not {expected}")
    return balances


def holds(terms: ContractTerms, told: list[Event]) -> bool:
    """Whether events told to one contract break nothing, told from the first to the last."""
    latest = max((event.occurred_on for event in told), default=date(2026, 1, 1))
    form = FORMS["lease" if terms.lease else "pledge" if terms.plan.legal_form == "pledge" else "sale"]
    life = Life(form, random.Random(0), terms, 0, {}, dict.fromkeys(FAULTS, 0.0), today=latest)
    try:
        for event in told:
            step(life, event, False, "", 0, hashlib.sha256())
    except Break:
        return False
    return True


def simulate(seed: str, steps: int, shares: Sequence[str] = SHARES) -> Run:
    """Lives of contracts, one after another, until so many steps are taken. Raises `Break`."""
    run = Run(seed)
    digest = hashlib.sha256()
    began = time.perf_counter()
    while run.steps < steps:
        run.contracts += 1
        name = shares[run.contracts % len(shares)]
        life = LIVES[name].begin(seed, run.contracts)
        lived = 0
        while lived < life.length:
            lived += 1
            event, refusal = next_event(life)
            if event is None:
                continue
            # However its payments are allocated, a sale is one.
            was, kind = (
                f"{name.removeprefix('ruled ').removeprefix('dated ')} {life.state}",
                type(event).__name__,
            )
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
