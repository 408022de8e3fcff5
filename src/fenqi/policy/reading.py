"""Reading what people write: YAML nodes into typed values, with every problem placed.

Each scalar is text until its field types it. A problem is noted with its file, line and column, and reading goes on
with a stand-in of the right type, so that one pass finds everything that is wrong.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Final, TypeVar, get_args

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fenqi.calendars import CalendarError
from fenqi.money import MoneyError, parse_money
from fenqi.policy.conditions import ValueTrouble, parse_instant, parse_minute, parse_ratio
from fenqi.policy.facts import VOCABULARY, FactType
from fenqi.policy.reasons import GAP_KINDS, PARAMETERS
from fenqi.policy.snapshot import AudienceText, DailyWindow, Window
from fenqi.texts import Text, TextError, placeholders

__all__ = ["NO_TEXT", "SHOWN_CHARACTERS", "Fields", "Problem", "Reader"]

SHOWN_CHARACTERS: Final = 120
# What plain YAML comes to by itself; each scalar is text to us, whatever YAML takes it for.
_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp", "value")
)
NO_TEXT: Final = Text("-", "-")
"""Stands in for a text that is not there; reported, so that it never reaches a snapshot."""

Fields = dict[str, Node]
_T = TypeVar("_T")


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in a policy's files; line and column count from 1.

    >>> str(Problem("rules/banks.yaml", 12, 15, "cbc", "card.bank is cbc: not one of cmb, ccb", "did you mean ccb?"))
    'rules/banks.yaml:12:15: card.bank is cbc: not one of cmb, ccb; did you mean ccb?'
    """

    file: str
    line: int
    column: int
    text: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        tail = f"; {self.suggestion}" if self.suggestion else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{tail}"


class Reader:
    """Collects problems while it reads. What cannot be read is replaced by something of its type and reported."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.files: dict[int, str] = {}
        self.roots: list[Node] = []
        self.zone = "UTC"
        self.currency = "CNY"
        self.vocabulary: Mapping[str, FactType] = VOCABULARY
        self.ids: dict[str, set[str]] = {}

    def compose(self, name: str, content: str) -> Node | None:
        try:
            root = YAML(typ="safe", pure=True).compose(content)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            shown = content.splitlines()[line - 1].strip() if 0 < line <= len(content.splitlines()) else ""
            said = " ".join(str(part) for part in (error.context, error.problem) if part)
            self.problems.append(
                Problem(name, line, column, shown[:SHOWN_CHARACTERS], f"this is not YAML: {said}")
            )
            return None
        except RecursionError:
            self.problems.append(Problem(name, 1, 1, "", "the file is nested too deeply"))
            return None
        except (YAMLError, ValueError) as error:
            said = str(error).splitlines()[0]
            self.problems.append(Problem(name, 1, 1, "", f"this is not YAML: {said}"))
            return None
        if root is None:
            self.problems.append(Problem(name, 1, 1, "", "the file is empty"))
            return None
        self._adopt(root, name)
        return root if not any(problem.file == name for problem in self.problems) else None

    def _adopt(self, root: Node, name: str) -> None:
        """Note each node's file; refuse what the language does not have (anchors, tags)."""
        stack = [root]
        seen: set[int] = set()
        while stack:
            node = stack.pop()
            self.files[id(node)] = name
            if id(node) in seen:
                self.problem(node, "an alias (*name) has no place in a policy", "write it out")
                continue
            seen.add(id(node))
            if node.anchor is not None:
                self.problem(node, f"an anchor (&{node.anchor}) has no place in a policy", "write it out")
            if str(node.tag) not in _TAGS:
                self.problem(node, f"the tag {node.tag} has no place in a policy")
            if isinstance(node, MappingNode):
                for key, value in node.value:
                    stack.extend((value, key))
            elif isinstance(node, SequenceNode):
                stack.extend(node.value)
        # Nodes are known by identity: they must live as long as the reader.
        self.roots.append(root)

    # --- reporting -----------------------------------------------------------------------------------------

    def problem(
        self, node: Node, message: str, suggestion: str = "", *, offset: int = 0, length: int | None = None
    ) -> None:
        mark = node.start_mark
        column = mark.column
        text = node.value if isinstance(node, ScalarNode) else ""
        if isinstance(node, ScalarNode) and offset:
            quotes = 2 if node.style in ("'", '"') else 0
            one_line = node.end_mark.line == mark.line
            # Escapes shift what stands behind them; then the scalar's own beginning is the honest answer.
            if one_line and node.end_mark.column - column == len(text) + quotes:
                column += offset + quotes // 2
        elif isinstance(node, ScalarNode) and node.style in ("'", '"') and length is not None:
            column += 1
        if length is not None:
            text = text[offset : offset + length] or text
        file = self.files.get(id(node), "")
        self.problems.append(
            Problem(file, mark.line + 1, column + 1, text[:SHOWN_CHARACTERS], message, suggestion)
        )

    def meant(self, word: str, options: Iterable[str]) -> str:
        close = get_close_matches(word, list(options), n=1, cutoff=0.6)
        return f"did you mean {close[0]}?" if close else ""

    # --- shapes --------------------------------------------------------------------------------------------

    def fields(self, node: Node, what: str, required: Iterable[str], optional: Iterable[str] = ()) -> Fields:
        required = tuple(required)
        allowed = tuple(dict.fromkeys((*required, *optional)))
        if not isinstance(node, MappingNode):
            self.problem(node, f"{what} is written as keys and values", f"keys are {', '.join(allowed)}")
            return {}
        fields: Fields = {}
        empty: set[str] = set()
        for key_node, value in node.value:
            key = key_node.value if isinstance(key_node, ScalarNode) else "?"
            if key in fields:
                self.problem(key_node, f"{key} stands twice in {what}", "keep one")
            elif key.isdigit() and isinstance(value, ScalarNode) and not value.value:
                self.problem(
                    key_node,
                    f"{key} is not a key of {what}",
                    'inside { } a comma ends an entry: write "¥5,000"',
                )
            elif key not in allowed:
                self.problem(
                    key_node,
                    f"{key} is not a key of {what}",
                    self.meant(key, allowed) or f"keys are {', '.join(allowed)}",
                )
            elif isinstance(value, ScalarNode) and not value.value and value.style is None:
                # YAML places an empty value where the next thing begins: the key is the better place.
                self.problem(key_node, f"{key} is empty", "write a value, or leave the key out")
                empty.add(key)
            else:
                fields[key] = value
        for key in required:
            if key not in fields and key not in empty:
                self.problem(node, f"{what} has no {key}", f"write {key}:")
        return fields

    def items(self, node: Node, what: str) -> list[Node]:
        if isinstance(node, SequenceNode):
            return list(node.value)
        self.problem(node, f"{what} is not a list", "begin each entry with a dash")
        return []

    def scalar(self, node: Node, what: str) -> str:
        if not isinstance(node, ScalarNode):
            self.problem(node, f"{what} is one text, not a list or keys")
            return ""
        value = str(node.value)
        if not value.strip():
            self.problem(node, f"{what} is empty", "write a value, or leave the key out")
        return value

    def optional(self, fields: Fields, key: str, read: Callable[[Node, str], _T], default: _T) -> _T:
        return read(fields[key], key) if key in fields else default

    def one_of(self, node: Node, options: Iterable[str], what: str) -> typing.Any:  # one of the options
        options = tuple(options)
        value = self.scalar(node, what)
        if value and value not in options:
            self.problem(
                node, f"{what} is {value}: not one of {', '.join(options)}", self.meant(value, options)
            )
        return value if value in options else options[0]

    def literal(self, node: Node, kind: object, what: str) -> typing.Any:  # one of the Literal's words
        return self.one_of(node, get_args(kind), what)

    def reference(self, node: Node, section: str, what: str) -> str:
        value = self.scalar(node, what)
        known = self.ids[section]
        if value and value not in known:
            self.problem(
                node, f"{what} is {value}: there is no such entry in {section}", self.meant(value, known)
            )
        return value

    def references(self, node: Node, section: str, what: str) -> tuple[str, ...]:
        return tuple(self.reference(item, section, what) for item in self.items(node, what))

    def boolean(self, node: Node, what: str) -> bool:
        return self.one_of(node, ("no", "yes", "true", "false"), what) in ("yes", "true")

    def integer(self, node: Node, what: str) -> int:
        value = self.scalar(node, what)
        if re.fullmatch(r"[0-9]{1,9}", value):
            return int(value)
        if value:
            self.problem(node, f"{what} is {value}: not a whole number")
        return 0

    def money(self, node: Node, what: str) -> int:
        value = self.scalar(node, what)
        if not value:
            return 0
        if re.fullmatch(r"[0-9][0-9,.]*", value):
            self.problem(
                node, f"{what} is {value}: an amount needs its currency", f"write {value} {self.currency}"
            )
            return 0
        try:
            return parse_money(value, self.currency)
        except MoneyError as error:
            self.problem(node, f"{what} is {value}: expected {error.problem.expected}", error.problem.way_out)
            return 0

    def ratio(self, node: Node, what: str) -> Decimal:
        value = self.scalar(node, what)
        ratio = parse_ratio(value)
        if ratio is None:
            if value:
                self.problem(node, f"{what} is {value}: not a rate", "write it like 24% or 0.6%")
            return Decimal(0)
        return ratio

    def instant(self, node: Node, what: str) -> int:
        return self._instant(node, what, end=False)

    def end_instant(self, node: Node, what: str) -> int:
        return self._instant(node, what, end=True)

    def _instant(self, node: Node, what: str, *, end: bool) -> int:
        value = self.scalar(node, what)
        try:
            return parse_instant(value, self.zone, end=end) if value else 0
        except ValueTrouble as trouble:
            self.problem(node, f"{what}: {trouble.message}", trouble.suggestion)
        except CalendarError as error:
            self.problem(node, f"{what}: {error.problem.sentence}")
        return 0

    def day(self, node: Node, what: str) -> date:
        value = self.scalar(node, what)
        try:
            return date.fromisoformat(value) if value else date.min
        except ValueError:
            self.problem(node, f"{what} is {value}: not a date", "write it like 2026-11-25")
            return date.min

    def duration(self, node: Node, what: str) -> int:
        """A length of time as whole seconds."""
        value = self.scalar(node, what)
        found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", value)
        if found is None:
            if value:
                self.problem(
                    node, f"{what} is {value}: not a length of time", "write it like 90s, 10m, 12h or 30d"
                )
            return 0
        return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]

    def minute(self, node: Node, what: str) -> int:
        value = self.scalar(node, what)
        try:
            return parse_minute(value) if value else 0
        except ValueTrouble as trouble:
            self.problem(node, f"{what}: {trouble.message}", trouble.suggestion)
            return 0

    def text(self, node: Node, what: str) -> Text:
        fields = self.fields(node, what, (), ("zh-CN", "en"))
        found: dict[str, str] = {}
        if isinstance(node, MappingNode):
            for locale, name in (("zh-CN", "Chinese"), ("en", "English")):
                if locale not in fields:
                    if not any(key.value == locale for key, _ in node.value):
                        self.problem(node, f"{what} has no {name} text", f"write {locale}:")
                else:
                    found[locale] = self.scalar(fields[locale], f"{what} in {name}")
        return Text(found.get("zh-CN") or "-", found.get("en") or "-")

    def filled_text(self, node: Node, what: str) -> Text:
        """A text whose gaps a reason's parameters fill."""
        text = self.text(node, what)
        gaps: list[dict[str, str]] = []
        for written in (text.zh_cn, text.en):
            try:
                gaps.append(dict(placeholders(written)))
            except TextError as error:
                self.problem(node, f"{what}: {error.problem.sentence}")
                return text
        for name in dict.fromkeys((*gaps[0], *gaps[1])):
            if name not in PARAMETERS:
                self.problem(
                    node,
                    f"{what} has the gap {{{name}}}: no reason has such a parameter",
                    self.meant(name, PARAMETERS) or f"gaps are {', '.join(PARAMETERS)}",
                )
            elif any(
                found.get(name, GAP_KINDS.get(name)) != GAP_KINDS.get(name, found.get(name)) for found in gaps
            ):
                kind = GAP_KINDS[name]
                self.problem(node, f"{what} has the gap {{{name}}} not as {kind}", f"write {{{name}:{kind}}}")
        if gaps[0] != gaps[1] and "-" not in (text.zh_cn, text.en):
            self.problem(node, f"{what} has not the same gaps in both languages")
        return text

    def audience_text(self, node: Node, what: str) -> AudienceText:
        pairs = node.value if isinstance(node, MappingNode) else []
        if not any(key.value in ("customer", "agent", "operator") for key, _ in pairs):
            return AudienceText(self.filled_text(node, what))
        fields = self.fields(node, what, ("customer",), ("agent", "operator"))
        texts = {key: self.filled_text(value, f"{what} for the {key}") for key, value in fields.items()}
        return AudienceText(texts.get("customer", NO_TEXT), texts.get("agent"), texts.get("operator"))

    def window(self, node: Node, what: str) -> Window:
        before = len(self.problems)
        fields = self.fields(node, what, (), ("from", "to"))
        start = self.instant(fields["from"], f"{what}.from") if "from" in fields else None
        end = self.end_instant(fields["to"], f"{what}.to") if "to" in fields else None
        if isinstance(node, MappingNode) and start is None and end is None:
            self.problem(node, f"{what} has neither from nor to")
        if start is not None and end is not None and end <= start and before == len(self.problems):
            self.problem(fields["to"], f"{what} ends before it begins")
        return Window(start, end)

    def daily(self, node: Node, what: str) -> DailyWindow:
        fields = self.fields(node, what, ("from", "to"))
        before = len(self.problems)
        start = self.minute(fields["from"], f"{what}.from") if "from" in fields else 0
        end = self.minute(fields["to"], f"{what}.to") if "to" in fields else 1440
        if before == len(self.problems) and start % 1440 == end % 1440 and (start, end) != (0, 1440):
            self.problem(fields.get("to", node), f"{what} is over as it begins")
        return DailyWindow(start % 1440, end)
