"""What of a policy stands beside its YAML, or goes by more than the facts: tables, sets, rollouts, and how old facts may be.

A table is `tables/NAME.csv`, a set `sets/NAME.txt`; the YAML describes the one and names the other.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ruamel.yaml.nodes import MappingNode, Node

from fenqi.calendars import CalendarError
from fenqi.policy.conditions import Clause, Condition, Dialect, Members, ValueTrouble, clauses_of
from fenqi.policy.facts import FactType
from fenqi.policy.pack_reading import RULE_REQUIRED
from fenqi.policy.reading import SHOWN_CHARACTERS, Fields, Problem, Reader
from fenqi.policy.rollout import BUCKETS, PREFIX, Rollout
from fenqi.policy.sets import digest_of, encode_members, read_set
from fenqi.policy.snapshot import Funder, Rule, SetInfo, Snapshot, selects, versions_of
from fenqi.policy.tables import Span, read_span, read_table, rules_of, whole_span
from fenqi.terms.plan import Plan
from fenqi.texts import Text

__all__ = ["MAX_SET_BYTES", "BesideReading", "is_age", "is_policy_file"]

_TABLE_FILE: Final = re.compile(r"(?:.*/)?tables/([^/]+)\.csv", re.IGNORECASE)
_SET_FILE: Final = re.compile(r"(?:.*/)?sets/([^/]+)\.txt", re.IGNORECASE)
_FILE_ID: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,39}")
MAX_SET_BYTES: Final = 32_000_000
_SALT: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_TABLE_OPTIONAL: Final = (
    "over",
    "valid",
    "unknown",
    "instead",
    "notice",
    "public",
    "change",
    "source",
    "title",
    "detail",
    "fix",
)


def is_policy_file(name: str) -> bool:
    """Whether a file of that name (a path inside the policy's folder) is part of the policy.

    >>> [is_policy_file(name) for name in ("rules/law.yaml", "tables/terms.csv", "sets/vip.txt", "notes.txt")]
    [True, True, True, False]
    """
    if name.lower().endswith((".yaml", ".yml")):
        return True
    return _TABLE_FILE.fullmatch(name) is not None or _SET_FILE.fullmatch(name) is not None


class BesideReading(Reader, ABC):
    """The part of a policy's reader that is about tables, sets, rollouts and ages."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, tuple[str, str]] = {}
        """By name: the file and its text."""
        self.sets: dict[str, Members] = {}
        self.members: dict[str, frozenset[str]] = {}
        self.labels: dict[str, Text] = {}
        self.rollouts: dict[str, Rollout] = {}
        """By salt."""
        self.max_ages: dict[str, int] = {}

    @property
    def dialect(self) -> Dialect:
        return Dialect(self.vocabulary, self.currency, self.zone, self.sets)

    @abstractmethod
    def rule_of(self, node: Node, fields: Fields, what: str) -> Rule:
        """A rule as the policy's reader reads it, from its fields."""

    def beside(self, files: Mapping[str, str]) -> None:
        """Take in the tables' text and read the sets."""
        for file, content in files.items():
            table, named = _TABLE_FILE.fullmatch(file), _SET_FILE.fullmatch(file)
            found = table or named
            if found is None:
                self.problems.append(
                    Problem(
                        file,
                        1,
                        1,
                        "",
                        "this is no file of a policy",
                        "policies are *.yaml, tables/*.csv and sets/*.txt",
                    )
                )
                continue
            name = found[1]
            if not _FILE_ID.fullmatch(name):
                self.problems.append(
                    Problem(
                        file, 1, 1, name, f"{name} is not a name", "names are small letters, digits and _"
                    )
                )
            elif name in (self.tables if table else self.sets):
                self.problems.append(
                    Problem(file, 1, 1, name, f"there are two files called {name}", "rename one")
                )
            elif table:
                self.tables[name] = (file, content)
            else:
                self.read_set_file(file, name, content)

    def read_set_file(self, file: str, name: str, content: str) -> None:
        members = read_set(content, self.noting(file))
        # One that cannot be read is there all the same: what asks about it is not wrong as well.
        digest = digest_of(encode_members(members or ()))
        self.sets[name] = Members(name, digest)
        self.members[digest] = members or frozenset()

    def noting(self, file: str) -> Callable[[int, int, str, str, str], None]:
        def note(line: int, column: int, text: str, message: str, suggestion: str) -> None:
            self.problems.append(Problem(file, line, column, text[:SHOWN_CHARACTERS], message, suggestion))

        return note

    def set_label(self, node: Node) -> None:
        fields = self.fields(node, "a set", ("id", "label"))
        name = self.optional(fields, "id", self.scalar, "")
        if name and name not in self.sets:
            self.problem(
                fields["id"], f"{name}: there is no file sets/{name}.txt", self.meant(name, self.sets)
            )
        if "label" in fields:
            self.labels[name] = self.text(fields["label"], "label")

    def sets_asked(self, rules: Iterable[Rule], funders: Iterable[Funder]) -> tuple[SetInfo, ...]:
        """The sets that something asks about: what nobody asks about is not part of the policy."""
        trees: list[Condition | None] = [
            version.audience for funder in funders for version in versions_of(funder)
        ]
        for rule in rules:
            trees += (rule.when, rule.require, rule.pending.when if rule.pending else None)
        asked = {clause.members for tree in trees if tree is not None for clause in clauses_of(tree)}
        return tuple(
            SetInfo(
                name=known.name,
                digest=known.digest,
                count=len(self.members[known.digest]),
                label=self.labels.get(known.name),
            )
            for known in self.sets.values()
            if known in asked
        )

    def members_of(self, snapshot: Snapshot | None) -> dict[str, frozenset[str]]:
        """The members of the sets that the snapshot asks about, by digest."""
        return {} if snapshot is None else {info.digest: self.members[info.digest] for info in snapshot.sets}

    def table(self, node: Node, plans: tuple[Plan, ...]) -> tuple[Rule, ...]:
        """The rules that a table amounts to; none where something is wrong with it."""
        fields = self.fields(node, "a table", RULE_REQUIRED, _TABLE_OPTIONAL)
        template = self.rule_of(node, fields, "a table")
        over = self.over(fields["over"]) if "over" in fields else {}
        known = self.tables.get(template.id)
        if known is None:
            if template.id:
                self.problem(
                    fields["id"],
                    f"there is no file tables/{template.id}.csv",
                    self.meant(template.id, self.tables) or "write one, its first line naming the columns",
                )
            return ()
        file, content = known
        about = [plan for plan in plans if selects(template.applies, plan)]
        table = read_table(content, self.dialect, over, about, self.noting(file))
        if table is None:
            return ()
        made = rules_of(table, template.id, template, about)
        taken = self.ids["rules"] & {rule.id for rule in made}
        ids = [rule.id for rule in made]
        for twice in sorted(taken | {name for name in ids if ids.count(name) > 1}):
            self.problem(node, f"{twice} would be two rules", "name the table's row otherwise")
        return made

    def over(self, node: Node) -> dict[str, Span]:
        if not isinstance(node, MappingNode):
            self.problem(
                node, "over is written as facts and ranges", "write {cart.amount: '[¥300, ¥50,000]'}"
            )
            return {}
        found: dict[str, Span] = {}
        for key, value in node.value:
            fact = self.vocabulary.get(str(key.value))
            if fact is None:
                self.problem(key, f"{key.value} is not a fact", self.meant(str(key.value), self.vocabulary))
                continue
            text = self.scalar(value, f"over.{fact.name}")
            try:
                span = read_span(fact, text, self.dialect) if text else None
            except ValueTrouble as trouble:
                self.problem(value, trouble.message, trouble.suggestion)
                continue
            except CalendarError as error:
                self.problem(value, error.problem.sentence)
                continue
            if text == "*" and not _is_ordered(fact):
                span = whole_span(fact)
                if span is None:
                    self.problem(
                        value, f"{fact.name} is {text}: nobody can list all its names", "write a | b"
                    )
            if span is not None:
                found[fact.name] = span
        return found

    def age(self, node: Node) -> None:
        """How old a fact may be that this file does not describe: one of Fenqi's own, told by somebody else."""
        fields = self.fields(node, "a fact", ("name", "max_age"))
        name = self.scalar(fields["name"], "name")
        seconds = self.duration(fields["max_age"], "max_age")
        fact = self.vocabulary.get(name)
        if fact is None:
            self.problem(fields["name"], f"{name} is not a fact", self.meant(name, self.vocabulary))
        elif name in self.max_ages:
            self.problem(fields["name"], f"{name} has a max_age already", "keep one")
        elif fact.source not in ("customer", "card", "funder"):
            self.problem(
                fields["name"],
                f"{name} is found out with each decision: it is never old",
                "leave it out",
            )
        else:
            self.max_ages[name] = seconds

    def rollout(self, node: Node, name: str) -> Clause:
        """The share of the customers that something is for, as a clause on their place among all."""
        fields = self.fields(node, "rollout", ("percent",), ("by", "salt"))
        salt = self.scalar(fields["salt"], "salt") if "salt" in fields else name
        if "salt" in fields and salt and not _SALT.fullmatch(salt):
            self.problem(fields["salt"], f"salt is {salt}: not an id", "small letters, digits, _ . and -")
        by = self.scalar(fields["by"], "by") if "by" in fields else "customer.id"
        fact = self.vocabulary.get(by)
        place = fields.get("by", node)
        if by.startswith(PREFIX):
            self.problem(place, f"by is {by}: a rollout cannot go by a rollout", "write by: customer.id")
        elif fact is None:
            self.problem(place, f"by is {by}: there is no such fact", self.meant(by, self.vocabulary))
        elif fact.type not in ("text", "int") or fact.values or fact.source in ("clock", "offer"):
            self.problem(
                place,
                f"by is {by}: it does not tell one customer or order from another",
                "write by: customer.id, or a fact of your own that names the order",
            )
        known = self.rollouts.setdefault(salt, Rollout(salt, by))
        if known.by != by:
            self.problem(place, f"the salt {salt} goes by {known.by} elsewhere", "use another salt")
        return Clause(PREFIX + salt, "<", self.share(fields["percent"]) if "percent" in fields else 0)

    def share(self, node: Node) -> int:
        """A percentage as a number of places."""
        value = self.scalar(node, "percent")
        found = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?\s*%?", value)
        part = 0 if found is None else int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
        if value and not 0 < part <= BUCKETS:
            self.problem(node, f"percent is {value}: not a share from 0.01 to 100", "write it like 5 or 0.5")
        return part


def is_age(node: Node) -> bool:
    """Whether an entry of facts says how old a fact may be, and nothing else about it."""
    written = {key.value for key, _ in node.value} if isinstance(node, MappingNode) else set()
    return written == {"name", "max_age"}


def _is_ordered(fact: FactType) -> bool:
    return fact.type in ("int", "money", "rate", "time", "instant")
