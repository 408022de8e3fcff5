"""Facts that the shop tells us: about its customer, the card chosen, where the order goes.

A shop may tell what it knows better than we do. It may not tell what we know ourselves (arrears, limits, consents), what
only the funder knows, what follows from the cart, and what time it is: a checkout that could would grant itself
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fenqi.policy.compile import Policy
from fenqi.policy.facts import FactType, FactValue, check_facts, freeze_facts
from fenqi.problems import Problem

__all__ = ["MAX_FACTS", "BadFacts", "accept", "may_assert"]

MAX_FACTS: Final = 64
MAX_NAMES: Final = 100

_TELLABLE: Final = frozenset({"customer", "card", "channel", "cart"})
_OURS: Final = {
    "customer.consents": "record the consent itself; it is read from there",
    "channel.kind": "it is the request's `channel`",
    "customer.last_used_family": "it is read from their orders; the request's `last_used_family` goes before it",
}
# What the evaluation works out from the lines. The delivery region is the one fact of a cart that lines do not hold.
_FROM_CART: Final = frozenset(
    {
        "cart.amount",
        "cart.currency",
        "cart.categories",
        "cart.kinds",
        "cart.sellers",
        "cart.skus",
        "cart.has_coupon",
        "cart.line_count",
    }
)


class BadFacts(ValueError):
    """Facts that cannot be accepted; each problem's place is the fact's name."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.sentence for problem in problems))
        self.problems = problems


def may_assert(fact: FactType) -> bool:
    """Whether a shop may tell this fact."""
    return fact.source in _TELLABLE and fact.name not in _OURS and fact.name not in _FROM_CART


def accept(policy: Policy, told: Mapping[str, object]) -> dict[str, FactValue]:
    """The told facts with their types checked. Raises `BadFacts` with everything that is wrong at once."""
    if not told:
        return {}
    problems: list[Problem] = []
    if len(told) > MAX_FACTS:
        raise BadFacts([Problem("facts", f"{len(told)} facts", f"at most {MAX_FACTS} facts")])
    facts = freeze_facts(told)
    vocabulary = policy.vocabulary
    for name, value in facts.items():
        fact = vocabulary.get(name)
        if fact is not None and not may_assert(fact):
            problems.append(
                Problem(name, "a fact told by the shop", _whose(fact), _OURS.get(name, "leave it out"))
            )
        elif isinstance(value, frozenset) and len(value) > MAX_NAMES:
            problems.append(Problem(name, f"{len(value)} names", f"at most {MAX_NAMES} names"))
        elif isinstance(value, str) and len(value) > MAX_NAMES:
            problems.append(Problem(name, f"{len(value)} letters", f"at most {MAX_NAMES} letters"))
    problems += check_facts(
        vocabulary, {name: v for name, v in facts.items() if not _refused(vocabulary.get(name))}
    )
    if problems:
        raise BadFacts(problems)
    return facts  # type: ignore[return-value]  # check_facts has just looked at every value


def _refused(fact: FactType | None) -> bool:
    return fact is not None and not may_assert(fact)


def _whose(fact: FactType) -> str:
    if fact.source == "ours" or fact.name in _OURS:
        return "a fact that Fenqi knows itself"
    if fact.source == "funder":
        return "a fact that only the funder can tell"
    if fact.source in ("clock", "offer"):
        return "a fact that the decision works out"
    return "a fact that follows from the cart's lines"
