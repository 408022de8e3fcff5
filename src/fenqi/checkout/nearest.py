"""The nearest change: the fewest things that a customer can do at the checkout so that a missing way opens.

Another card, another channel, signing in, leaving a coupon out, something more in the cart: those are in the
customer's own hands. Their age, their credit line and what a funder thinks of them are not, and nobody is ever told to
split an order in two to slip under a limit. What is found is not guessed from the rules: each candidate is put to
`decide`, and only what it really offers is an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from fenqi.calendars import local_date
from fenqi.checkout.evaluation import priced_facts
from fenqi.checkout.request import CheckoutRequest, checked_amount, facts_of
from fenqi.money import MAX_MINOR, MoneyError
from fenqi.policy.conditions import Condition, Range, clauses_of
from fenqi.policy.facts import Facts, FactType, FactValue
from fenqi.policy.verdict import Until, Verdict, decide
from fenqi.terms.cost import cost_of
from fenqi.terms.plan import TermsError
from fenqi.terms.schedule import build_schedule

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy
    from fenqi.policy.snapshot import Rule

__all__ = ["MAX_CHANGES", "NearestChange", "nearest_change"]

MAX_CHANGES: Final = 3
"""More than so many things at once is no advice."""
_MAX_TRIES: Final = 200
_MAX_VALUES: Final = 16

# Changed only by taking things out of the order, to be bought by another: splitting it.
_OF_THE_ORDER: Final = frozenset({"cart.categories", "cart.kinds", "cart.sellers", "cart.line_count"})


class NearestChange(msgspec.Struct, frozen=True):
    """What the customer would change, each fact with its new value. `cart.amount` is the least that would do."""

    facts: dict[str, FactValue]


def nearest_change(policy: Policy, request: CheckoutRequest, plan: str) -> NearestChange | None:
    """The fewest facts that, changed by the customer, make the engine offer `plan`; None where none do, or it is open.

    Where several single changes would do, the first in the order of the reasons and of the vocabulary is told.
    """
    asked = _Asked(policy, request, plan)
    first = asked.verdict({})
    if first.offered:
        return None
    reached: list[dict[str, FactValue]] = [{}]
    seen: set[frozenset[tuple[str, FactValue]]] = set()
    for _ in range(MAX_CHANGES):
        further: list[dict[str, FactValue]] = []
        for changed in reached:
            for name, value in asked.steps(changed):
                together = {**changed, name: value}
                key = frozenset(together.items())
                if key in seen:
                    continue
                if len(seen) == _MAX_TRIES:
                    return None
                seen.add(key)
                if asked.verdict(together).offered:
                    return NearestChange(together)
                further.append(together)
        reached = further
    return None


class _Asked:
    """One plan of one request, asked again with some facts changed."""

    def __init__(self, policy: Policy, request: CheckoutRequest, plan: str) -> None:
        self.policy = policy
        self.request = request
        self.plan = policy.plan(plan)
        self.amount = checked_amount(request)
        self.facts = facts_of(request, self.amount, policy.zone)
        self._verdicts: dict[frozenset[tuple[str, FactValue]], Verdict] = {}

    def verdict(self, changed: dict[str, FactValue]) -> Verdict:
        key = frozenset(changed.items())
        known = self._verdicts.get(key)
        if known is None:
            known = self._verdicts[key] = self._ask(changed)
        return known

    def _ask(self, changed: dict[str, FactValue]) -> Verdict:
        amount = changed.get("cart.amount", self.amount)
        assert isinstance(amount, int), "an amount is an amount"
        offers: dict[str, Facts] = {}
        try:
            on = local_date(self.request.at, self.policy.zone)
            schedule = build_schedule(self.plan, amount, self.request.currency, on)
        except (TermsError, MoneyError):
            # Terms that do not fit the amount are no offer, whatever the rules say.
            return Verdict(plan=self.plan.id, state="unavailable", until=Until("none"))
        offers[self.plan.id] = priced_facts(schedule, cost_of(schedule, self.plan), self.plan.periods)
        facts = {**self.facts, **changed}
        return decide(self.policy, facts, offers, overrides=self.request.overrides)[self.plan.id]

    def steps(self, changed: dict[str, FactValue]) -> Iterator[tuple[str, FactValue]]:
        """The single further changes worth trying: of facts that a rule in the way looks at."""
        verdict = self.verdict(changed)
        rules = [
            self.policy.rules[self.policy.rule_index[reason.rule]]
            for reason in verdict.reasons
            if reason.rule in self.policy.rule_index
        ]
        choices = [list(self._choices(rule, changed)) for rule in rules]
        if not all(choices):
            return  # one of them looks at nothing that the customer could change
        for found in choices:
            yield from found

    def _choices(self, rule: Rule, changed: dict[str, FactValue]) -> Iterator[tuple[str, FactValue]]:
        facts = {**self.facts, **changed}
        for condition in (rule.require, rule.when):
            if condition is None:
                continue
            named = [name for clause in clauses_of(condition) for name in (clause.fact, clause.other)]
            for name in dict.fromkeys(name for name in named if name is not None):
                fact = self.policy.vocabulary[name]
                if name in changed or not _in_the_customers_hands(fact):
                    continue
                yield from ((name, value) for value in _values(fact, condition, facts))


def _in_the_customers_hands(fact: FactType) -> bool:
    return fact.changeable and not fact.personal and fact.name not in _OF_THE_ORDER


def _values(fact: FactType, condition: Condition, facts: Facts) -> list[FactValue]:
    """Other values of the fact: those that the condition names first, then the rest of the few that there are."""
    now = facts.get(fact.name)
    named: list[FactValue] = []
    for clause in clauses_of(condition):
        bound = clause.value if clause.other is None else facts.get(clause.other)
        if clause.fact != fact.name or bound is None:
            continue
        if isinstance(bound, Range):
            named += [bound.low, bound.high]
        elif isinstance(bound, frozenset) and fact.type != "set":
            named += sorted(bound)
        elif isinstance(bound, int) and not isinstance(bound, bool):
            # "More than ¥300" begins one fen above it.
            named += [bound, bound + 1]
        elif not isinstance(bound, frozenset):
            named.append(bound)
    if fact.type == "bool":
        named += [True, False]
    elif fact.type == "enum":
        named += fact.values
    values = [value for value in dict.fromkeys(named) if value != now]
    if fact.name == "cart.amount":
        # Something more in the cart, never less: to take a part out is to split the order.
        values = sorted(
            value
            for value in values
            if isinstance(value, int) and isinstance(now, int) and now < value <= MAX_MINOR
        )
    return values[:_MAX_VALUES]
