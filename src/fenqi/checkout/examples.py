"""The tests that a policy brings along: cases with what their author expects, asked of the policy itself.

Each is answered by the compiled rules and by the same decision as a checkout's, so that a policy which says something else
than its author meant is found before anybody meets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fenqi.checkout.evaluation import verdicts_of
from fenqi.policy.example_reading import example_key
from fenqi.policy.facts import EARLIEST, Facts, FactValue, clock_facts
from fenqi.policy.rollout import places
from fenqi.policy.snapshot import Expected, Outcome, PolicyExample, Rule, RuleExample, selects
from fenqi.policy.verdict import Verdict

if TYPE_CHECKING:
    from fenqi.policy.compile import Bits, Policy

__all__ = ["ExampleResult", "failed_examples", "outcome_of", "run_examples"]


class ExampleResult(msgspec.Struct, frozen=True):
    """One test: what it is called, whether it passed, and otherwise what was expected and what was found."""

    key: str
    passed: bool
    expected: str
    found: str

    @property
    def sentence(self) -> str:
        """What is wrong, in a sentence.

        >>> ExampleResult("law.adult: seventeen", False, "blocked", "open").sentence
        'law.adult: seventeen: expected blocked, found open'
        """
        return f"{self.key}: expected {self.expected}, found {self.found}"


def run_examples(policy: Policy) -> tuple[ExampleResult, ...]:
    """All tests of the policy: those of its rules, then those of the whole, in the order written."""
    found = [_of_rule(policy, rule, example) for rule in policy.snapshot.rules for example in rule.examples]
    for whole in policy.snapshot.examples:
        found.append(_of_policy(policy, whole))
    return tuple(found)


def failed_examples(policy: Policy) -> tuple[ExampleResult, ...]:
    """The tests that do not pass; empty where the policy says what its author meant."""
    return tuple(result for result in run_examples(policy) if not result.passed)


def _of_rule(policy: Policy, rule: Rule, example: RuleExample) -> ExampleResult:
    # Where time does not matter to the rule any instant will do.
    at = EARLIEST if example.at is None else example.at
    found = outcome_of(policy, rule, {**dict(example.facts), **clock_facts(at, policy.zone)})
    return ExampleResult(
        example_key(rule.id, example.name),
        found == example.expect,
        _OUTCOMES[example.expect],
        _OUTCOMES[found],
    )


_OUTCOMES: Final[dict[Outcome, str]] = {
    "open": "open",
    "blocked": "blocked",
    "unknown": "unknown (in the way for want of a fact)",
    "pending": "pending",
}


def outcome_of(policy: Policy, rule: Rule, facts: Facts) -> Outcome:
    """What one rule of the policy says of these facts, those of an offer and of the clock among them."""
    facts = {**facts, **places(policy.rollouts, facts)}
    bit = 1 << policy.rule_index[rule.id]
    violated, unknown, pending = _bits(policy, rule, facts)
    if pending & bit:
        return "pending"
    if not violated & bit:
        return "open"
    return "unknown" if unknown & bit else "blocked"


def _bits(policy: Policy, rule: Rule, facts: Facts) -> Bits:
    for plan, mask, priced in zip(policy.plans, policy.masks, policy.second, strict=True):
        if selects(rule.applies, plan):
            if mask >> policy.rule_index[rule.id] & 1 or priced is None:
                break
            return priced(facts, facts)
    return policy.first(facts)


def _of_policy(policy: Policy, example: PolicyExample) -> ExampleResult:
    facts: dict[str, FactValue] = {**dict(example.facts), **clock_facts(example.at, policy.zone)}
    verdicts = verdicts_of(policy, facts)
    wrong = [
        expected
        for expected in example.expect
        if expected.plan not in verdicts or not _as_expected(verdicts[expected.plan], expected)
    ]
    shown = wrong or example.expect
    return ExampleResult(
        example_key(None, example.name),
        not wrong,
        "; ".join(f"{each.plan} {each.state or _listed(each.reasons)}" for each in shown),
        "; ".join(_found(verdicts.get(each.plan), each) for each in shown),
    )


def _as_expected(verdict: Verdict, expected: Expected) -> bool:
    if expected.state is not None:
        return verdict.state == expected.state
    return sorted(set(expected.reasons)) == sorted({reason.code for reason in verdict.reasons})


def _found(verdict: Verdict | None, expected: Expected) -> str:
    if verdict is None:
        return f"no plan {expected.plan}"
    codes = _listed(tuple(dict.fromkeys(reason.code for reason in verdict.reasons)))
    return f"{expected.plan} {verdict.state}" + (f" {codes}" if verdict.reasons else "")


def _listed(codes: tuple[str, ...]) -> str:
    return f"[{', '.join(codes)}]"
