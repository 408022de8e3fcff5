"""How the tests that stand in a policy's files are read: cases of facts, with what is expected of them."""

from __future__ import annotations

from typing import Final, get_args

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from fenqi.calendars import CalendarError
from fenqi.policy.conditions import ValueTrouble, parse_fact_value
from fenqi.policy.facts import FactType, FactValue
from fenqi.policy.reading import Reader
from fenqi.policy.reasons import CATALOGUE
from fenqi.policy.rollout import PREFIX, Rollout, rollout_fact
from fenqi.policy.snapshot import Expected, Outcome, PolicyExample, Rule, RuleExample, State
from fenqi.policy.timeline import timing_of

__all__ = ["ExampleReading", "Place", "example_key"]

Place = tuple[str, int, int]
"""A file's name, a line and a column, both from 1."""

_OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
_STATES: Final[tuple[State, ...]] = get_args(State)


def example_key(rule: str | None, name: str) -> str:
    """What a test is called among all: its rule's id and its own name.

    >>> example_key("law.adult", "seventeen"), example_key(None, "a student")
    ('law.adult: seventeen', 'a student')
    """
    return name if rule is None else f"{rule}: {name}"


class ExampleReading(Reader):
    """The part of a policy's reader that is about tests."""

    def __init__(self) -> None:
        super().__init__()
        self.rollouts: dict[str, Rollout] = {}
        """By salt."""
        self.places: dict[str, Place] = {}
        """Where each test stands, by its key."""

    def rule_examples(self, node: Node, rule: Rule) -> tuple[RuleExample, ...]:
        """A rule's own tests. Where time matters to the rule each says when it is asked."""
        return tuple(
            example
            for number, item in enumerate(self.items(node, "tests"), 1)
            if (example := self._rule_example(item, rule, number)) is not None
        )

    def _rule_example(self, node: Node, rule: Rule, number: int) -> RuleExample | None:
        before = len(self.problems)
        fields = self.fields(node, "a test", ("facts", "expect"), ("name", "at"))
        name = self.scalar(fields["name"], "name") if "name" in fields else str(number)
        facts = self.example_facts(fields["facts"]) if "facts" in fields else ()
        expect: Outcome = self.one_of(fields["expect"], _OUTCOMES, "expect") if "expect" in fields else "open"
        at = self.instant(fields["at"], "at") if "at" in fields else None
        timing = timing_of(rule)
        # A deadline or a told end is compared with the clock, though no clause names that.
        timed = timing.moves or rule.pending is not None
        if timed and at is None and len(self.problems) == before:
            self.problem(node, "the test has no at: time matters to its rule", "write at: 2026-11-23T10:00")
        if self._place(node, example_key(rule.id, name)) and len(self.problems) == before:
            return RuleExample(name=name, facts=facts, expect=expect, at=at)
        return None

    def policy_example(self, node: Node) -> PolicyExample | None:
        """A test of the whole policy."""
        before = len(self.problems)
        fields = self.fields(node, "a test", ("name", "at", "facts", "expect"))
        name = self.scalar(fields["name"], "name") if "name" in fields else ""
        at = self.instant(fields["at"], "at") if "at" in fields else 0
        facts = self.example_facts(fields["facts"]) if "facts" in fields else ()
        expected: list[Expected] = []
        if "expect" in fields:
            for plan, said in self.fields(fields["expect"], "expect", (), sorted(self.ids["plans"])).items():
                expected.append(self._expected(plan, said))
            if not expected and len(self.problems) == before:
                self.problem(
                    fields["expect"], "the test expects nothing", "name a plan and its state or reasons"
                )
        if self._place(node, example_key(None, name)) and len(self.problems) == before:
            return PolicyExample(name=name, facts=facts, at=at, expect=tuple(expected))
        return None

    def _expected(self, plan: str, node: Node) -> Expected:
        if not isinstance(node, SequenceNode):
            return Expected(plan=plan, state=self.one_of(node, _STATES, f"expect.{plan}"))
        codes = [self.scalar(item, f"expect.{plan}") for item in node.value]
        for item, code in zip(node.value, codes, strict=True):
            if code and code not in CATALOGUE:
                self.problem(
                    item, f"expect.{plan} is {code}: there is no such code", self.meant(code, CATALOGUE)
                )
        if not codes:
            self.problem(node, f"expect.{plan} is an empty list", "write available, or the reasons' codes")
        return Expected(plan=plan, reasons=tuple(codes))

    def _place(self, node: Node, key: str) -> bool:
        if key in self.places:
            self.problem(node, f"there are two tests called {key}", "names occur once")
            return False
        mark = node.start_mark
        self.places[key] = (self.files.get(id(node), ""), mark.line + 1, mark.column + 1)
        return True

    def example_facts(self, node: Node) -> tuple[tuple[str, FactValue], ...]:
        """A case's facts, each typed by the vocabulary."""
        if not isinstance(node, MappingNode):
            self.problem(node, "facts are written as names and values", "write {customer.age: 17}")
            return ()
        found: dict[str, FactValue] = {}
        for key, value in node.value:
            name = str(key.value)
            fact = self.vocabulary.get(name)
            salt = name.removeprefix(PREFIX)
            if name.startswith(PREFIX) and salt in self.rollouts:
                fact = rollout_fact(salt)
            if fact is None:
                self.problem(key, f"{name} is not a fact", self.meant(name, self.vocabulary))
            elif name.startswith("clock."):
                self.problem(key, f"{name} follows from at", "leave it out")
            else:
                known = self._fact_value(fact, value)
                if known is not None:
                    found[name] = known
        return tuple(sorted(found.items(), key=lambda pair: pair[0]))

    def _fact_value(self, fact: FactType, node: Node) -> FactValue | None:
        if fact.type == "set":
            items = self.items(node, fact.name)
            names = [self._read(fact, item) for item in items]
            return frozenset(name for name in names if isinstance(name, str))
        return self._read(fact, node)

    def _read(self, fact: FactType, node: Node) -> int | bool | str | None:
        text = self.scalar(node, fact.name)
        if not text:
            return None
        try:
            return parse_fact_value(fact, text, self.currency, self.zone)
        except ValueTrouble as trouble:
            self.problem(node, trouble.message, trouble.suggestion)
        except CalendarError as error:
            self.problem(node, error.problem.sentence)
        return None
