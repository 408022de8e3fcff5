"""Bands: for which amounts the plans of a family are offered, and between which ones nothing is.

Amounts are cut into pieces within which no rule changes its mind, so that one amount of each piece answers for all of it. That is
looked at in each stretch of time between the dated instants of the rules, since terms change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Literal

import msgspec

from fenqi.money import MAX_MINOR
from fenqi.policy.cases import Case, Formula, Outcome, View, reads_of, trees_of
from fenqi.policy.conditions import Range, clauses_of
from fenqi.policy.snapshot import Rule
from fenqi.policy.witness import (
    Price,
    ProofError,
    Witness,
    bits_in,
    blocking_in,
    figures_of,
    is_offered,
    real_figures,
)
from fenqi.terms.plan import Plan

if TYPE_CHECKING:
    pass

__all__ = ["Band", "Bands"]


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts from `low_minor` to `high_minor`, both included, for which none of the plans, or both of them, are offered."""

    kind: Literal["gap", "overlap"]
    plans: tuple[str, ...]
    low_minor: int
    high_minor: int
    start: int | None = None
    end: int | None = None
    witnesses: tuple[Witness, ...]


class Bands:
    """The amounts for which each of some plans is offered; `outcomes` are, by plan, what each rule about it says."""

    def __init__(
        self,
        view: View,
        plans: Sequence[Plan],
        outcomes: Mapping[str, Mapping[str, Outcome]],
        price: Price | None,
    ) -> None:
        self.view, self.policy, self.space = view, view.policy, view.space
        self.plans, self.price = plans, price
        self.about = {plan: tuple(of_plan) for plan, of_plan in outcomes.items()}
        names = dict.fromkeys(rule for of_plan in outcomes.values() for rule in of_plan)
        self.rules = [self.policy.resolved[self.policy.rule_index[name]] for name in names]
        self.names = {name for rule in self.rules for name in reads_of(rule)} | {"cart.amount"}
        self.pieces = _pieces(self.rules)
        self.amount = self.space.variable(("cart.amount",), "cart.amount", "", "").value
        self.offered = {
            plan: self.space.literal(
                f"offered {plan}",
                self.space.both(self.space.no(outcome.blocked) for outcome in of_plan.values()),
            )
            for plan, of_plan in outcomes.items()
        }
        self.anything = self.space.literal("anything", self.space.either(self.offered.values()))
        self.gaps: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self.overlaps: dict[tuple[str, str, int, int], tuple[int, int]] = {}
        self.alive: list[tuple[int, int]] = []

    def found(self) -> list[Band] | None:
        """All gaps and overlaps, each with cases; None where the time was up."""
        for start, end in self._stretches():
            if not self._look(start, end):
                return None
        return [*self._told_gaps(), *self._told_overlaps()]

    def _stretches(self) -> list[tuple[int, int]]:
        """The times between the dated instants of these rules."""
        edges = {
            edge
            for rule in self.rules
            for edge in self.policy.timings[self.policy.rule_index[rule.id]].dated
            if self.space.start < edge < self.space.end
        }
        return list(pairwise([self.space.start, *sorted(edges), self.space.end]))

    def _look(self, start: int, end: int) -> bool:
        """Find what is offered from `start` up to `end`; False where the time was up."""
        now = self.space.now()
        then = self.space.literal("then", self.space.both([now >= start, now < end]))
        of_plan: dict[str, set[int]] = {}
        for plan in self.plans:
            found = self._offered(plan, then)
            if found is None:
                return False
            of_plan[plan.id] = found
        somewhere = sorted(set[int]().union(*of_plan.values()))
        if not somewhere:
            return True
        self.alive.append((start, end))
        for below, above in pairwise(somewhere):
            if above > below + 1:
                gap = (self.pieces[below][1] + 1, self.pieces[above][0] - 1)
                self.gaps.setdefault(gap, []).append((start, end))
        for one, other in combinations(sorted(of_plan, key=lambda plan: min(of_plan[plan], default=0)), 2):
            mine, theirs = of_plan[one], of_plan[other]
            if mine and theirs and min(mine) < min(theirs) <= max(mine) < max(theirs):
                low, high = self.pieces[min(theirs)][0], self.pieces[max(mine)][1]
                self.overlaps.setdefault((one, other, low, high), (start, end))
        return True

    def _offered(self, plan: Plan, then: Formula) -> set[int] | None:
        """The pieces for which the plan is offered to somebody."""
        left = set(range(len(self.pieces)))
        found: set[int] = set()
        while left:
            inside = self.space.literal("inside", self._within(left))
            answer = self.space.ask(self.offered[plan.id], then, inside)
            if answer == "no":
                return found
            if answer == "unknown":
                return None
            case = self._case()
            at = case.facts["cart.amount"]
            assert type(at) is int, "an amount is always known"
            if not self._is_offered(case, plan.id, at):
                raise ProofError(f"{plan.id}: the row engine does not offer it in {case.facts}")
            # What holds of one amount of a piece holds of all. The same facts may do for other pieces too.
            here = {
                number
                for number in left
                if self.pieces[number][0] <= at <= self.pieces[number][1]
                or self._is_offered(case, plan.id, self.pieces[number][0])
            }
            found |= here
            left -= here
        return found

    def _within(self, pieces: Iterable[int]) -> Formula:
        """The amount is in one of these pieces, those side by side as one."""
        runs: list[list[int]] = []
        for number in sorted(pieces):
            if runs and runs[-1][1] == number - 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        return self.space.either(
            self.space.both([self.amount >= self.pieces[first][0], self.amount <= self.pieces[last][1]])
            for first, last in runs
        )

    def _case(self) -> Case:
        side = self.view.side
        return self.space.case(self.names, self.policy.zone, {plan.id: side for plan in self.plans})

    def _is_offered(self, case: Case, plan: str, amount: int) -> bool:
        blocked, _ = bits_in(self.policy, Case({**case.facts, "cart.amount": amount}, case.offers), plan)
        return not any(blocked >> self.policy.rule_index[rule] & 1 for rule in self.about[plan])

    def _told_gaps(self) -> list[Band]:
        found = []
        for (low, high), times in self.gaps.items():
            start, end = (None, None) if times == self.alive else (times[0][0], times[-1][1])
            found.append(
                Band(
                    kind="gap",
                    plans=tuple(plan.id for plan in self.plans),
                    low_minor=low,
                    high_minor=high,
                    start=None if start == self.space.start else start,
                    end=None if end == self.space.end else end,
                    witnesses=self._around(low, high, *times[0]),
                )
            )
        return found

    def _told_overlaps(self) -> list[Band]:
        found = []
        now = self.space.now()
        for (one, other, low, high), (start, end) in self.overlaps.items():
            there = [self.amount >= low, self.amount <= high, now >= start, now < end]
            both = self.space.literal("both", self.space.both(there))
            # Each is offered for such an amount to somebody; is there anybody to whom both are?
            if self.space.show(self.offered[one], self.offered[other], both) == "yes":
                witness = self._said(self._case())
                if not {one, other} <= set(witness.offered):
                    raise ProofError(f"an overlap: the row engine does not agree in {witness.facts}")
                found.append(
                    Band(
                        kind="overlap",
                        plans=(one, other),
                        low_minor=low,
                        high_minor=high,
                        witnesses=(witness,),
                    )
                )
        return found

    def _around(self, low: int, high: int, start: int, end: int) -> tuple[Witness, ...]:
        """A case just below the gap, the same inside it, and one just above."""
        now = self.space.now()
        found: list[Witness] = []
        for amount in (low - 1, high + 1):
            there = self.space.literal(
                "there", self.space.both([self.amount == amount, now >= start, now < end])
            )
            if self.space.show(self.anything, there) != "yes":
                continue
            case = self._case()
            witness = self._said(case)
            if not witness.offered:
                raise ProofError(f"an amount beside a gap: the row engine does not agree in {witness.facts}")
            found.append(witness)
            if amount < low:
                inside = self._said(Case({**case.facts, "cart.amount": low}, case.offers))
                if inside.offered:
                    raise ProofError(f"a gap: the row engine does not agree in {inside.facts}")
                found.append(inside)
        return tuple(found)

    def _said(self, case: Case) -> Witness:
        """What the row engine says of a case; at what the plans really cost, where that is the same answer."""
        shown = self._answer(case)
        real = {
            plan.id: real_figures(self.price, self.policy, plan.id, case.facts)
            for plan in self.plans
            if case.offers.get(plan.id)
        }
        if real and all(real.values()):
            told = self._answer(
                Case(
                    case.facts,
                    {
                        plan: {name: value for name, value in figures.items() if name in self.names}
                        for plan, figures in real.items()
                        if figures is not None
                    },
                )
            )
            if told.offered == shown.offered:
                return told
        return shown

    def _answer(self, case: Case) -> Witness:
        blocked = 0
        for plan in self.plans:
            about = sum(1 << self.policy.rule_index[rule] for rule in self.about[plan.id])
            blocked |= bits_in(self.policy, case, plan.id)[0] & about
        return Witness(
            facts=case.facts,
            offers=figures_of(case),
            blocking=blocking_in(self.policy, blocked, [rule.id for rule in self.rules]),
            offered=tuple(plan.id for plan in self.plans if is_offered(self.policy, case, plan.id)),
        )


def _pieces(rules: Sequence[Rule]) -> list[tuple[int, int]]:
    """Amounts in stretches within which every rule says the same, whatever the facts are that it is compared with."""
    clauses = [clause for rule in rules for tree in trees_of(rule) for clause in clauses_of(tree)]
    together, grown = {"cart.amount"}, True
    while grown:
        grown = False
        for clause in clauses:
            pair = {clause.fact, clause.other or clause.fact}
            if not pair.isdisjoint(together) and not pair <= together:
                together |= pair
                grown = True
    edges = {0, MAX_MINOR}
    for clause in clauses:
        if clause.fact in together:
            if isinstance(clause.value, Range):
                edges |= {clause.value.low, clause.value.high}
            elif type(clause.value) is int:
                edges.add(clause.value)
    # So many whole numbers beside an edge may be needed to keep that many facts apart from each other.
    room = len(together) + 1
    marks = sorted(
        {at for edge in edges for at in range(edge - room, edge + room + 1) if 1 <= at <= MAX_MINOR}
    )
    found: list[tuple[int, int]] = []
    for mark in marks:
        if found and mark > found[-1][1] + 1:
            found.append((found[-1][1] + 1, mark - 1))
        found.append((mark, mark))
    return found
