"""Gains and losses: which plans one policy takes from anybody, or gives to anybody, against another.

`fenqi.policy.difference` says what two policies *say* otherwise; this says what that does. "No" is proven of every case, "yes"
comes with one that both policies have been asked about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from fenqi.policy.cases import Answer, Case, Formula, Space, reads_of
from fenqi.policy.facts import CLOCK_FACTS, EARLIEST, LATEST, FactValue, clock_facts
from fenqi.policy.snapshot import selects
from fenqi.policy.verdict import in_the_way
from fenqi.policy.witness import (
    TRIES,
    Price,
    ProofError,
    Steps,
    Tries,
    Watch,
    Witness,
    is_offered,
    real_figures,
    said_of,
)
from fenqi.texts import Text

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = ["PlanDifference", "differences"]


class PlanDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What one policy takes from a plan, and gives to it, against another: whether there is a case, and one such case."""

    plan: str
    loses: Answer
    gains: Answer
    sentences: tuple[Text, ...]
    lost: Witness | None = None
    gained: Witness | None = None


_LOSES: Final[dict[tuple[str, Answer], Text]] = {
    ("loses", "yes"): Text(
        "“{plan}”：有此前可用、此后不可用的情况。", "{plan}: there are cases that lose it."
    ),
    ("loses", "no"): Text("“{plan}”：已证明没有任何情况会失去它。", "{plan}: proven: no case loses it."),
    ("loses", "unknown"): Text(
        "“{plan}”：是否有情况会失去它，未能证明。", "{plan}: not proven: whether any case loses it."
    ),
    ("gains", "yes"): Text(
        "“{plan}”：有此前不可用、此后可用的情况。", "{plan}: there are cases that gain it."
    ),
    ("gains", "no"): Text("“{plan}”：已证明没有任何情况会新得到它。", "{plan}: proven: no case gains it."),
    ("gains", "unknown"): Text(
        "“{plan}”：是否有情况会新得到它，未能证明。", "{plan}: not proven: whether any case gains it."
    ),
}


def differences(
    before: Policy,
    after: Policy,
    *,
    start: int = EARLIEST,
    end: int = LATEST,
    near: int | None = None,
    limit_ms: int = 1_000,
    price: Price | None = None,
    watch: Watch | None = None,
) -> tuple[PlanDifference, ...]:
    """Plan by plan: is there a case from `start` up to `end` that `after` takes the plan from, or gives it to?

    "no" is proven of all cases; "yes" comes with one. Raises `NoSolver` where z3 is not installed.
    """
    return _Comparer(before, after, start, end, near, limit_ms, price, watch).run()


class _Comparer:
    """Two policies over the same cases; each plan's offer has figures of its own under each."""

    def __init__(
        self,
        before: Policy,
        after: Policy,
        start: int,
        end: int,
        near: int | None,
        limit_ms: int,
        price: Price | None,
        watch: Watch | None,
    ) -> None:
        self.before, self.after, self.price = before, after, price
        self.steps = Steps(watch)
        self.differing = {
            name
            for name, fact in before.vocabulary.items()
            if name in after.vocabulary and after.vocabulary[name].type != fact.type
        }
        self.space = Space(
            [before, after], start=start, end=end, near=near, limit_ms=limit_ms, going=self.steps.going
        )
        same = (before.zone, before.currency, before.calendars) == (
            after.zone,
            after.currency,
            after.calendars,
        )
        if same:
            for plan in before.plans:
                # The same terms come to the same price.
                if plan.id in after.plan_index and after.plan(plan.id) == plan:
                    self.space.views[1].shared[plan.id] = self.space.views[0].side

    def run(self) -> tuple[PlanDifference, ...]:
        plans = list(dict.fromkeys(plan.id for policy in (self.before, self.after) for plan in policy.plans))
        self.steps.total = 2 * len(plans)
        found: list[PlanDifference] = []
        for plan in plans:
            loses, lost = self._moves(plan, 0, 1)
            self.steps()
            gains, gained = self._moves(plan, 1, 0)
            self.steps()
            sentences = tuple(
                said_of(self.after, _LOSES[which, answer], {"plans": (plan,)})
                for which, answer in (("loses", loses), ("gains", gains))
            )
            found.append(
                PlanDifference(
                    plan=plan, loses=loses, gains=gains, sentences=sentences, lost=lost, gained=gained
                )
            )
        return tuple(found)

    def _moves(self, plan: str, had: int, has: int) -> tuple[Answer, Witness | None]:
        """Is there a case in which the one policy offers the plan and the other does not?"""
        policies = (self.before, self.after)
        if plan not in policies[had].plan_index:
            return "no", None
        names: set[str] = set()
        assumed: list[Formula] = []
        blocked: list[Formula] = []
        for side in (had, has):
            policy, view = policies[side], self.space.views[side]
            if plan not in policy.plan_index:
                continue
            rules = [rule for rule in policy.resolved if selects(rule.applies, policy.plan(plan))]
            names |= {name for rule in rules for name in reads_of(rule)}
            if names & self.differing:
                return "unknown", None
            outcomes = [view.rule(rule, plan).blocked for rule in rules]
            if side == had:
                assumed += [self.space.no(each) for each in outcomes]
            else:
                blocked = outcomes
            if "offer.periods" in names:
                self.space.solver.add(view.fact("offer.periods", plan).value == policy.plan(plan).periods)
        if plan in policies[has].plan_index:
            if not blocked:
                return "no", None
            assumed.append(self.space.literal("blocked by any", self.space.either(blocked)))
        return self._shown(plan, had, has, names, assumed)

    def _shown(
        self, plan: str, had: int, has: int, names: set[str], assumed: list[Formula]
    ) -> tuple[Answer, Witness | None]:
        policies = (self.before, self.after)
        priced = self.price is not None and any(name.startswith("offer.") for name in names)
        tries = Tries(self.space, assumed)
        while len(tries.amounts) < TRIES:
            answer = tries.ask()
            if answer != "yes":
                return answer, None
            facts = self.space.case({*names, "cart.amount"}, policies[had].zone).facts
            figures: list[dict[str, FactValue] | None] = [
                self.space.case((), view.policy.zone, {plan: view.figures(plan)}).offers[plan]
                for view in self.space.views
            ]
            if not self._differs(plan, had, has, facts, figures):
                raise ProofError(f"{plan}: the row engine does not agree in {facts} at {figures}")
            if priced:
                figures = [real_figures(self.price, policy, plan, facts) for policy in policies]
                if not self._differs(plan, had, has, facts, figures):
                    tries.avoid(facts)
                    continue
            return "yes", self._witness(plan, had, has, facts, figures, names)
        return "unknown", None

    def _differs(
        self,
        plan: str,
        had: int,
        has: int,
        facts: Mapping[str, FactValue],
        offers: Sequence[dict[str, FactValue] | None],
    ) -> bool:
        """What the row engine says: offered by the one, and not by the other."""
        return self._offers(plan, had, facts, offers[had]) and not self._offers(plan, has, facts, offers[has])

    def _offers(
        self, plan: str, side: int, facts: Mapping[str, FactValue], offer: dict[str, FactValue] | None
    ) -> bool:
        policy = (self.before, self.after)[side]
        if plan not in policy.plan_index or offer is None:
            return False
        return is_offered(policy, Case(_in_zone(facts, policy), {plan: offer}), plan)

    def _witness(
        self,
        plan: str,
        had: int,
        has: int,
        facts: dict[str, FactValue],
        figures: Sequence[dict[str, FactValue] | None],
        names: set[str],
    ) -> Witness:
        policy = (self.before, self.after)[has]
        blocking: tuple[str, ...] = ()
        if plan in policy.plan_index:
            rules = in_the_way(policy, _in_zone(facts, policy), plan, figures[has] or {})
            blocking = tuple(rule.id for rule in rules)
        offer = {name: value for name, value in (figures[had] or {}).items() if name in names}
        shown = {name: value for name, value in facts.items() if name in names or name in CLOCK_FACTS}
        return Witness(facts=shown, offers={plan: offer} if offer else {}, blocking=blocking)


def _in_zone(facts: Mapping[str, FactValue], policy: Policy) -> dict[str, FactValue]:
    """The same facts at the same instant, with the time of day of the policy's own zone."""
    now = facts["clock.now"]
    assert type(now) is int, "a case has an instant"
    return {**facts, **clock_facts(now, policy.zone)}
