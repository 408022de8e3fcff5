"""How a policy takes in a pack: its parameters are put in, and its rules become rules of the policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Set
from typing import Final

import msgspec
from msgspec.structs import replace
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from fenqi.calendars import local_date
from fenqi.policy.compile import Policy
from fenqi.policy.conditions import ValueTrouble, parse_fact_value, parse_ratio
from fenqi.policy.facts import FactType, clock_facts
from fenqi.policy.packs import Case, Pack, Parameter, find_pack, gaps, shipped_packs
from fenqi.policy.reading import NO_TEXT, Reader
from fenqi.policy.snapshot import FunderKind, PackTaken, Rule, Selector, Window
from fenqi.policy.verdict import decide
from fenqi.problems import BadInput
from fenqi.texts import Text

__all__ = ["RULE_OPTIONAL", "RULE_REQUIRED", "PackError", "PackReading", "cases_of", "refuses", "summary_of"]

_PACK_RULE: Final = ("optional", "each_funder", "date", "allowed", "refused")
RULE_REQUIRED: Final = ("id", "layer", "owner", "reason", "applies")
RULE_OPTIONAL: Final = (
    "when",
    "require",
    "blocked",
    "daily",
    "valid",
    "unknown",
    "pending",
    "instead",
    "notice",
    "public",
    "change",
    "source",
    "confirmed",
    "title",
    "detail",
    "fix",
    "since",
    "until",
    "rollout",
    "tests",
)
_ALL_PACK_RULE_KEYS: Final = (*RULE_REQUIRED, *RULE_OPTIONAL, *_PACK_RULE)


class _PackInUse(msgspec.Struct, frozen=True):
    """A pack on its way into a policy: the nodes of its rules, and with what values they are read."""

    taken: PackTaken
    rules: tuple[Node, ...]
    parameters: Mapping[str, Parameter]
    facts: tuple[FactType, ...]
    notices: Mapping[str, str]
    owner: str
    rule_nodes: list[Node]


class PackText(Reader):
    """What a pack says of itself: its parameters, with their dates."""

    def pack_parameters(self, written: Mapping[str, Node]) -> dict[str, Parameter]:
        found: dict[str, Parameter] = {}
        for node in self.items(written["parameters"], "parameters") if "parameters" in written else []:
            fields = self.fields(
                node,
                "a parameter",
                ("id", "type"),
                ("value", "values", "times", "of", "source", "confirmed", "note"),
            )
            name = self.scalar(fields["id"], "id")
            values: tuple[tuple[int | None, str], ...]
            if "value" in fields:
                values = ((None, self.scalar(fields["value"], "value")),)
            elif "of" in fields:
                # 4 x LPR: the rule's own arithmetic, done once here and never in a condition.
                times = self.integer(fields["times"], "times")
                base = found[self.scalar(fields["of"], "of")]
                values = tuple((start, _times(times, text)) for start, text in base.values)
            else:
                values = tuple(self.dated(item) for item in self.items(fields["values"], "values"))
            found[name] = Parameter(
                name,
                self.scalar(fields["type"], "type"),
                values,
                self.optional(fields, "source", self.scalar, ""),
                self.optional(fields, "confirmed", self.boolean, False),
                self.integer(fields["times"], "times") if "times" in fields else 0,
                self.scalar(fields["of"], "of") if "of" in fields else "",
            )
        return found

    def dated(self, node: Node) -> tuple[int | None, str]:
        fields = self.fields(node, "a dated value", ("from", "value"))
        return self.instant(fields["from"], "from"), self.scalar(fields["value"], "value")


class PackReading(PackText, ABC):
    """The part of a policy's reader that is about packs."""

    def __init__(self) -> None:
        super().__init__()
        self.funder_kinds: dict[str, FunderKind] = {}
        self.packs: list[_PackInUse] = []
        self.parameters: Mapping[str, str] = {}

    @abstractmethod
    def fact(self, node: Node) -> FactType:
        """A fact as the policy's reader reads it."""

    @abstractmethod
    def rule(self, node: Node, more: tuple[str, ...] = ()) -> Rule:
        """A rule as the policy's reader reads it; `more` are keys that a pack's rule has beside."""

    def pack_use(self, node: Node) -> None:
        """A pack that the policy takes in: its parameters, facts and rules, which become rules of this policy."""
        fields = self.fields(
            node, "a pack", ("id",), ("version", "set", "without", "with", "notices", "owner")
        )
        if "id" not in fields:
            return
        pack = find_pack(self.one_of(fields["id"], shipped_packs(), "id"))
        if pack is None:
            return
        if any(use.taken.id == pack.id for use in self.packs):
            self.problem(fields["id"], f"{pack.id} stands twice in packs", "keep one")
            return
        if "version" in fields and self.scalar(fields["version"], "version") != pack.version:
            self.problem(
                fields["version"],
                f"version is {fields['version'].value}: this Fenqi comes with {pack.id} {pack.version}",
                f"read what is new in it (fenqi policy pack show {pack.id}), then write version: {pack.version}",
            )
        root = self.compose(pack.file, pack.text)
        if root is None:
            return
        written = self.fields(root, "a pack file", ("format", "pack", "rules"), ("parameters", "facts"))
        rules = self.items(written["rules"], "rules")
        parameters = self.pack_parameters(written)
        set_to = self.pack_settings(fields, parameters)
        facts = (
            tuple(self.fact(item) for item in self.items(written["facts"], "facts"))
            if "facts" in written
            else ()
        )
        names = {
            str(self.fields(rule, "a rule", ("id",), _ALL_PACK_RULE_KEYS)["id"].value): rule for rule in rules
        }
        optional = {
            name for name, rule in names.items() if any(key.value == "optional" for key, _ in rule.value)
        }
        without = self.pack_rule_names(fields, "without", names.keys() - optional)
        added = self.pack_rule_names(fields, "with", optional)
        notices: dict[str, str] = {}
        if "notices" in fields:
            linked = self.fields(fields["notices"], "notices", (), names)
            notices = {
                name: self.reference(value, "notices", f"notices.{name}") for name, value in linked.items()
            }
        taken = tuple(
            rule
            for name, rule in names.items()
            if name not in without and (name not in optional or name in added)
        )
        self.ids["rules"] |= {name for name, rule in names.items() if rule in taken}
        self.packs.append(
            _PackInUse(
                PackTaken(
                    id=pack.id,
                    version=pack.version,
                    parameters=dict(sorted(set_to.items())),
                    without=tuple(sorted(without)),
                    added=tuple(sorted(added)),
                ),
                taken,
                _set(parameters, set_to),
                facts,
                notices,
                self.scalar(fields["owner"], "owner") if "owner" in fields else "",
                [],
            )
        )

    def pack_settings(
        self, fields: Mapping[str, Node], parameters: Mapping[str, Parameter]
    ) -> dict[str, str]:
        """What the policy sets parameters to, each read as its type."""
        if "set" not in fields:
            return {}
        found: dict[str, str] = {}
        for name, node in self.fields(fields["set"], "set", (), parameters).items():
            kind = parameters[name].type
            listed = self.items(node, f"set.{name}") if kind == "names" else [node]
            texts = [self.scalar(item, f"set.{name}") for item in listed]
            if kind == "names":
                found[name] = "[" + ", ".join(texts) + "]"
                continue
            like = FactType(name=name, type=kind, source="cart", label=NO_TEXT)  # type: ignore[arg-type]
            try:
                parse_fact_value(like, texts[0], self.currency, self.zone)
                found[name] = texts[0]
            except ValueTrouble as trouble:
                self.problem(node, f"set.{trouble.message}", trouble.suggestion)
        return found

    def pack_rule_names(self, fields: Mapping[str, Node], key: str, known: Set[str]) -> set[str]:
        names: set[str] = set()
        for node in self.items(fields[key], key) if key in fields else []:
            name = self.scalar(node, key)
            if name not in known:
                what = "a rule of the pack that is on" if key == "without" else "an optional rule of the pack"
                self.problem(node, f"{key} is {name}: not {what}", self.meant(name, known))
            names.add(name)
        return names

    def pack_rules(self, use: _PackInUse) -> Iterator[Rule]:
        """The rules that a pack's rule comes to: one, or one for each funder, or for each time of its parameters."""
        for node in use.rules:
            keys = {key.value: value for key, value in node.value}
            used = set(gaps(_conditions_text(keys)))
            for funder in self.each_funder(keys):
                for window, values in _times_of(used, use.parameters):
                    self.parameters = {**values, "funder": funder}
                    rule = self.rule(node, _PACK_RULE)
                    self.parameters = {}
                    name, applies = rule.id, rule.applies
                    if funder:
                        rule = replace(rule, id=f"{rule.id}.{funder}")
                        applies = Selector(
                            all=applies.all,
                            funders=applies.funders,
                            families=applies.families,
                            plans=applies.plans,
                            legal_forms=applies.legal_forms,
                            within=Selector(funders=(funder,)),
                        )
                    if window is not None:
                        start = (
                            ""
                            if window.start is None
                            else "." + local_date(window.start, self.zone).isoformat()
                        )
                        rule = replace(rule, id=f"{rule.id}{start}", valid=_both(rule.valid, window))
                    date = f" ({keys['date'].value})" if "date" in keys else ""
                    use.rule_nodes.append(node)
                    yield replace(
                        rule,
                        applies=applies,
                        owner=use.owner or rule.owner,
                        source=f"{rule.source}{date}" if rule.source else None,
                        notice=use.notices.get(name),
                        unconfirmed=rule.unconfirmed
                        or any(not use.parameters[gap].confirmed for gap in used if gap in use.parameters),
                    )

    def each_funder(self, keys: Mapping[str, Node]) -> tuple[str, ...]:
        """The funders for each of which a pack's rule stands; one empty name where it stands once."""
        if "each_funder" not in keys:
            return ("",)
        kinds = {
            self.literal(item, FunderKind, "each_funder")
            for item in self.items(keys["each_funder"], "each_funder")
        }
        return tuple(name for name, kind in self.funder_kinds.items() if kind in kinds)


def _times(times: int, rate: str) -> str:
    """So many times a rate, as it is written: 4 x 3.0 % is 12 %."""
    ratio = parse_ratio(rate)
    assert ratio is not None, f"{rate} is a rate of a shipped pack"
    return f"{(ratio * times * 100).normalize():f}%"


def _set(parameters: Mapping[str, Parameter], texts: Mapping[str, str]) -> dict[str, Parameter]:
    """The parameters as the policy has them: what counsel set is confirmed by them, and what follows it follows."""
    found: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        if name in texts:
            found[name] = replace(parameter, values=((None, texts[name]),), confirmed=True)
        elif parameter.of in texts:
            base = found[parameter.of]
            values = tuple((start, _times(parameter.times, text)) for start, text in base.values)
            found[name] = replace(parameter, values=values, confirmed=parameter.confirmed)
        else:
            found[name] = parameter
    return found


def _conditions_text(keys: Mapping[str, Node]) -> str:
    """Every word of a rule's conditions, to find its parameters in."""
    words: list[str] = []
    stack = [keys[key] for key in ("when", "require") if key in keys]
    while stack:
        node = stack.pop()
        if isinstance(node, MappingNode):
            stack.extend(value for _, value in node.value)
        elif isinstance(node, SequenceNode):
            stack.extend(node.value)
        else:
            words.append(str(node.value))
    return "\n".join(words)


def _times_of(
    used: Set[str], parameters: Mapping[str, Parameter]
) -> Iterator[tuple[Window | None, dict[str, str]]]:
    """Each stretch of time in which the parameters used keep their values; one without a window where none has dates."""
    names = sorted(used & parameters.keys())
    starts = sorted({start for name in names for start, _ in parameters[name].values if start is not None})
    undated = all(parameters[name].values[0][0] is None for name in names)
    edges: list[int | None] = [None, *starts] if undated else list(starts)
    for number, start in enumerate(edges):
        end = edges[number + 1] if number + 1 < len(edges) else None
        values = {}
        for name in names:
            known = [
                text
                for since, text in parameters[name].values
                if since is None or (start is not None and since <= start)
            ]
            if known:
                values[name] = known[-1]
        if len(values) == len(names):
            yield (None if start is None and end is None else Window(start, end)), values


def _both(valid: Window | None, window: Window) -> Window:
    """The time in which both hold."""
    if valid is None:
        return window
    starts = [start for start in (valid.start, window.start) if start is not None]
    ends = [end for end in (valid.end, window.end) if end is not None]
    return Window(max(starts, default=None), min(ends, default=None))


class RuleSummary(msgspec.Struct, frozen=True):
    """What a pack says of one of its rules, for people who decide whether to take it in."""

    id: str
    layer: str
    reason: str
    source: str
    date: str
    confirmed: bool
    optional: bool
    conditions: tuple[str, ...]
    parameters: tuple[str, ...]


class PackSummary(msgspec.Struct, frozen=True):
    """A pack in short: its parameters with their sources, and its rules."""

    id: str
    version: str
    title: Text
    parameters: tuple[Parameter, ...]
    rules: tuple[RuleSummary, ...]


def summary_of(pack: Pack, zone: str = "UTC") -> PackSummary:
    """What a pack holds. Dates of its parameters are days of `zone`.

    >>> summary_of(shipped_packs()["eu"]).rules[0].id
    'eu.adult'
    """
    reader = _Cases(zone)
    root = reader.compose(pack.file, pack.text)
    assert isinstance(root, MappingNode), "a shipped pack is a mapping"
    written = {key.value: value for key, value in root.value}
    head = {key.value: value for key, value in written["pack"].value}
    parameters = reader.pack_parameters(written)
    rules = []
    for node in written["rules"].value:
        keys = {key.value: value for key, value in node.value}
        words = _conditions_text(keys).splitlines()
        rules.append(
            RuleSummary(
                str(keys["id"].value),
                str(keys["layer"].value),
                str(keys["reason"].value),
                str(keys["source"].value) if "source" in keys else "",
                str(keys["date"].value) if "date" in keys else "",
                "confirmed" not in keys or keys["confirmed"].value == "yes",
                "optional" in keys,
                tuple(reversed(words)),
                tuple(sorted(set(gaps(" ".join(words))) & parameters.keys())),
            )
        )
    return PackSummary(
        pack.id, pack.version, reader.text(head["title"], "title"), tuple(parameters.values()), tuple(rules)
    )


def cases_of(pack: Pack, policy: Policy) -> tuple[Case, ...]:
    """The pack's cases, worked by hand, with facts typed by the policy of its stage. Raises `PackError` where one does not read."""
    reader = _Cases(policy.zone)
    reader.currency = policy.currency
    root = reader.compose(pack.file, pack.text)
    assert isinstance(root, MappingNode), "a shipped pack is a mapping"
    written = {key.value: value for key, value in root.value}
    found: list[Case] = []
    for node in written["rules"].value:
        keys = {key.value: value for key, value in node.value}
        for word, refused in (("allowed", False), ("refused", True)):
            if word not in keys:
                raise PackError(f"{pack.file} {keys['id'].value}", "nothing", f"a case that is {word}")
            fields = reader.fields(keys[word], word, ("plan",), ("facts", "offer", "at"))
            facts, offer = (
                {
                    str(name.value): _typed(policy.vocabulary[str(name.value)], value, policy)
                    for name, value in fields[part].value
                }
                if part in fields
                else {}
                for part in ("facts", "offer")
            )
            found.append(
                Case(
                    rule=str(keys["id"].value),
                    refused=refused,
                    plan=str(fields["plan"].value),
                    at=reader.instant(fields["at"], "at") if "at" in fields else None,
                    facts=facts,
                    offer=offer,
                )
            )
    if reader.problems:
        raise PackError(pack.file, str(reader.problems[0]), "cases that can be read")
    return tuple(found)


def refuses(policy: Policy, case: Case, at: int) -> bool:
    """Whether, in a case, its rule stands in its plan's way; `at` is the instant where the case names none."""
    instant = at if case.at is None else case.at
    facts = {**case.facts, **clock_facts(instant, policy.zone)}
    verdict = decide(policy, facts, {case.plan: case.offer})[case.plan]
    return any(
        reason.rule == case.rule or reason.rule.startswith(f"{case.rule}.") for reason in verdict.reasons
    )


class PackError(BadInput):
    """A pack that is not as packs are."""


class _Cases(PackText):
    def __init__(self, zone: str) -> None:
        super().__init__()
        self.zone = zone


def _typed(fact: FactType, node: Node, policy: Policy) -> int | str | bool | frozenset[str]:
    if fact.type == "set":
        return frozenset(str(item.value) for item in node.value)
    return parse_fact_value(fact, str(node.value), policy.currency, policy.zone)
