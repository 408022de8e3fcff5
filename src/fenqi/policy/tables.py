"""Band tables: a sheet of lines such as "from ¥300 to ¥1,000: 3 or 6 instalments", read into ordinary rules.

A table is a CSV file. Its columns are facts, one line is one band of each of them, and what holds in the band stands in the
columns of the answer: the plans allowed there, or a bound on another fact. Exactly one line holds for anything inside the range that
the table says it is for (hit policy *unique*), which is proven here: two lines that hold for the same thing, and a stretch for
which none does, are told with their lines and the stretch itself.

What comes out are rules of clauses like any others, so that nothing behind this module knows of tables.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from fractions import Fraction
from itertools import pairwise
from typing import Final, Literal

import msgspec

from fenqi.calendars import CalendarError, format_instant, format_minute
from fenqi.money import format_money, format_rate
from fenqi.policy.conditions import (
    RATE_ONE,
    All,
    Any,
    Clause,
    Condition,
    ConditionError,
    Dialect,
    Range,
    ValueTrouble,
    parse,
    parse_fact_value,
)
from fenqi.policy.facts import FactType
from fenqi.policy.snapshot import Rule, Selector, Window
from fenqi.terms.plan import Plan

__all__ = ["Band", "Note", "Span", "Table", "read_span", "read_table", "rules_of", "span_text", "whole_span"]

MAX_LINES: Final = 1_000
MAX_COLUMNS: Final = 16
MAX_TOLD: Final = 5
"""So many gaps and overlaps are told at once: who mends these sees the rest."""
_WIDEST: Final = 10**19  # beyond every value that a fact can have
_ORDERED: Final = ("int", "money", "rate", "time", "instant")


class Band(msgspec.Struct, frozen=True, order=True):
    """From `low` up to, and without, `high`, in the fact's own units; an end left out has no bound."""

    low: int | None
    high: int | None

    @property
    def ends(self) -> tuple[int, int]:
        """Both ends, those without a bound beyond all values."""
        return (
            -_WIDEST if self.low is None else self.low,
            _WIDEST if self.high is None else self.high,
        )


Span = Band | frozenset[str]
"""The values of one fact that a line, or a whole table, is for: a band of numbers, or names (yes and no among them)."""

_ALL: Final = Band(None, None)
"""What `*` reads as, of names too."""

Note = Callable[[int, int, str, str, str], None]
"""Notes a problem: line, column (both from 1), the text found, the message, and what was perhaps meant."""


class _Input(msgspec.Struct, frozen=True):
    """A column that says when a line holds. `part` is of a band that stands in two columns."""

    at: int
    fact: FactType
    part: Literal["", "min", "max", "below"]


class _Bound(msgspec.Struct, frozen=True):
    """A column that says what is asked in the band: its cells are what stands behind the header in a clause."""

    at: int
    header: str
    fact: str


class _Line(msgspec.Struct, frozen=True):
    """One line: where each fact lies, and what holds then. `allowed` is None in a table without that column."""

    number: int
    name: str
    spans: tuple[Span, ...]
    allowed: frozenset[str] | None
    asked: tuple[Clause, ...]


class Table(msgspec.Struct, frozen=True):
    """A table that is disjoint and complete over `over`; `facts` are its columns in order."""

    facts: tuple[FactType, ...]
    over: tuple[Span, ...]
    lines: tuple[_Line, ...]


# --- reading ------------------------------------------------------------------------------------------------------


def read_table(
    content: str,
    dialect: Dialect,
    over: Mapping[str, Span],
    plans: Sequence[Plan],
    note: Note,
) -> Table | None:
    """Read a table's CSV text and prove it; None where something is wrong, each thing noted.

    `over` is the range that the table is for, by fact; a fact out of a fixed list of names is for all of them where it is left
    out. `plans` are those that the table is about.
    """
    return _TableReader(dialect, over, plans, note).read(content)


class _TableReader:
    def __init__(self, dialect: Dialect, over: Mapping[str, Span], plans: Sequence[Plan], note: Note) -> None:
        self.dialect = dialect
        self.over = over
        self.plans = plans
        self.raw: list[str] = []
        self.troubles = 0
        self._note = note
        self.inputs: list[_Input] = []
        self.bounds: list[_Bound] = []
        self.allow: tuple[int, Literal["plans", "periods"]] | None = None
        self.name_at: int | None = None

    def read(self, content: str) -> Table | None:
        content = content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        self.raw = content.split("\n")
        if "\x00" in content:
            line = content[: content.index("\x00")].count("\n") + 1
            self.trouble(line, 1, "", "the file is not text", "save it as CSV in UTF-8")
            return None
        rows = self._rows()
        if rows is None:
            return None
        if not rows:
            self.trouble(1, 1, "", "the table is empty", "its first line names the columns")
            return None
        (header_line, header), *body = rows
        if not self._header(header_line, header):
            return None
        if not body:
            self.trouble(header_line, 1, "", "the table has no line", "write one for each band")
            return None
        if len(body) > MAX_LINES:
            self.trouble(
                body[MAX_LINES][0], 1, "", f"the table has {len(body)} lines", f"at most {MAX_LINES}"
            )
            return None
        facts = tuple(dict.fromkeys(column.fact.name for column in self.inputs))
        over = self._over(header_line, facts)
        if over is None:
            return None
        lines = [self._line(number, row, len(header)) for number, row in body]
        self._check_twice(body)
        if self.troubles:
            return None
        read = tuple(line for line in lines if line is not None)
        vocabulary = self.dialect.vocabulary
        table = Table(tuple(vocabulary[name] for name in facts), over, read)
        self._prove(table)
        return None if self.troubles else table

    def trouble(self, line: int, column: int, text: str, message: str, suggestion: str = "") -> None:
        self.troubles += 1
        self._note(line, column, text, message, suggestion)

    def at_cell(self, line: int, cell: int, text: str, message: str, suggestion: str = "") -> None:
        self.trouble(line, self._column(line, cell), text, message, suggestion)

    def _column(self, line: int, cell: int) -> int:
        """Where a cell begins, as an editor counts; 1 where the line is not as simple as that."""
        raw = self.raw[line - 1] if line <= len(self.raw) else ""
        starts = [found.start() for found in _CELL.finditer(raw)]
        return starts[cell] + 1 if cell < len(starts) else 1

    def _rows(self) -> list[tuple[int, list[str]]] | None:
        first = next((line for line in self.raw if line.strip()), "")
        if "," not in first and re.search(r"[;\t]", first):
            self.trouble(
                self.raw.index(first) + 1,
                1,
                first,
                "the columns are not separated by commas",
                "save it as CSV (comma)",
            )
            return None
        reader = csv.reader(self.raw, strict=True)
        rows: list[tuple[int, list[str]]] = []
        try:
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    rows.append((reader.line_num, cells))
        except csv.Error as error:
            self.trouble(reader.line_num, 1, "", f"this is not CSV: {error}", "close each quote it opens")
            return None
        return rows

    def _header(self, line: int, header: list[str]) -> bool:
        before = self.troubles
        if len(header) > MAX_COLUMNS:
            self.trouble(line, 1, "", f"the table has {len(header)} columns", f"at most {MAX_COLUMNS}")
            return False
        seen: set[str] = set()
        for at, written in enumerate(header):
            words = " ".join(written.split())
            if words in seen:
                self.at_cell(line, at, written, f"{written or 'a column'} stands twice", "keep one")
                continue
            seen.add(words)
            self._column_of(line, at, words)
        asked = {bound.fact for bound in self.bounds}
        for column in self.inputs:
            parts = {other.part for other in self.inputs if other.fact.name == column.fact.name}
            if ("" in parts and len(parts) > 1) or {"max", "below"} <= parts:
                self.at_cell(
                    line,
                    column.at,
                    header[column.at],
                    f"{column.fact.name} says its band twice",
                    "keep one way",
                )
            if column.fact.name in asked:
                self.at_cell(
                    line,
                    column.at,
                    header[column.at],
                    f"{column.fact.name} is asked for by itself: the table goes round in a circle",
                    "a line says what holds of another fact",
                )
        if self.troubles == before:
            if not self.inputs:
                self.trouble(line, 1, "", "no column is a fact", "name one, such as cart.amount")
            if self.allow is None and not self.bounds:
                self.trouble(
                    line,
                    1,
                    "",
                    "no column says what holds in a band",
                    "name one: plans, periods, or a fact with an operator such as offer.annual_cost <=",
                )
        return self.troubles == before

    def _column_of(self, line: int, at: int, words: str) -> None:
        if words == "row":
            self.name_at = at
            return
        if words == "note":
            return
        if words in ("plans", "periods"):
            if self.allow is not None:
                self.at_cell(line, at, words, "plans and periods say the same thing", "keep one")
            self.allow = (at, "plans" if words == "plans" else "periods")
            return
        name, _, rest = words.partition(" ")
        fact = self.dialect.vocabulary.get(name)
        if fact is None:
            close = get_close_matches(
                words, [*self.dialect.vocabulary, "plans", "periods", "row", "note"], n=1, cutoff=0.6
            )
            self.at_cell(
                line,
                at,
                words,
                f"{words or 'an empty header'} is not a column: neither a fact nor plans, periods, row or note",
                f"did you mean {close[0]}?" if close else "",
            )
            return
        if rest in ("", "min", "max", "below"):
            if fact.type == "set":
                self.at_cell(
                    line, at, words, f"{name} is a set of names, which has no bands", "ask for it in a rule"
                )
            elif rest and fact.type not in _ORDERED:
                self.at_cell(line, at, words, f"{name} has no order", f"write the names in one column {name}")
            else:
                part: Literal["", "min", "max", "below"] = (
                    "min" if rest == "min" else "max" if rest == "max" else "below" if rest else ""
                )
                self.inputs.append(_Input(at, fact, part))
            return
        if rest not in _OPERATORS:
            self.at_cell(
                line,
                at,
                words,
                f"{rest} says neither a band nor what is asked",
                f"write {name}, {name} min, {name} max, {name} below, or {name} with one of {', '.join(_OPERATORS)}",
            )
            return
        self.bounds.append(_Bound(at, words, name))

    def _over(self, line: int, facts: tuple[str, ...]) -> tuple[Span, ...] | None:
        found: list[Span] = []
        for name in facts:
            span = self.over.get(name)
            if span is None:
                span = whole_span(self.dialect.vocabulary[name])
            if span is None:
                self.trouble(
                    line,
                    1,
                    name,
                    f"nothing says for which {name} the table is",
                    "say it under over:, beside the table",
                )
            else:
                found.append(span)
        for name in self.over:
            if name not in facts:
                self.trouble(line, 1, name, f"over says {name}, of which there is no column", "leave it out")
        return tuple(found) if len(found) == len(facts) else None

    # --- one line -------------------------------------------------------------------------------------------------

    def _line(self, number: int, row: list[str], width: int) -> _Line | None:
        before = self.troubles
        if len(row) != width:
            self.trouble(
                number,
                1,
                "",
                f"the line has {len(row)} cells and the header {width}",
                "an amount with a comma in it stands in quotes",
            )
            return None
        spans: dict[str, Span] = {}
        for column in self.inputs:
            span = self._cell(number, column, row[column.at])
            known = spans.get(column.fact.name)
            if isinstance(known, Band) and isinstance(span, Band):
                low = span.low if known.low is None else known.low
                high = span.high if known.high is None else known.high
                span = Band(low, high)
                if low is not None and high is not None and high <= low:
                    self.at_cell(
                        number, column.at, row[column.at], f"{column.fact.name}: the band holds nothing"
                    )
            spans[column.fact.name] = span
        name = "" if self.name_at is None else row[self.name_at]
        if self.name_at is not None and not _NAME.fullmatch(name):
            self.at_cell(
                number,
                self.name_at,
                name,
                f"row is {name or 'empty'}: not a name",
                "small letters, digits, _ and -",
            )
        allowed = None if self.allow is None else self._allowed(number, *self.allow, row)
        asked = [self._asked(number, bound, row[bound.at]) for bound in self.bounds]
        if self.troubles > before:
            return None
        return _Line(
            number,
            name,
            tuple(spans.values()),
            allowed,
            tuple(clause for clause in asked if clause is not None),
        )

    def _cell(self, number: int, column: _Input, text: str) -> Span:
        fact = column.fact
        try:
            if not text:
                raise ValueTrouble(f"{fact.name} is empty", "write * where it does not matter")
            if column.part and text != "*":
                value = parse_fact_value(fact, text, self.dialect.currency, self.dialect.zone)
                assert isinstance(value, int), "an ordered fact's values are whole numbers"
                if column.part == "min":
                    return Band(value, None)
                return Band(None, value + 1 if column.part == "max" else value)
            return read_span(fact, text, self.dialect)
        except ValueTrouble as trouble:
            self.at_cell(number, column.at, text, trouble.message, trouble.suggestion)
        except CalendarError as error:
            self.at_cell(number, column.at, text, error.problem.sentence)
        return _ALL

    def _allowed(self, number: int, at: int, kind: str, row: list[str]) -> frozenset[str]:
        text = row[at]
        everything = frozenset(plan.id for plan in self.plans)
        if text == "*":
            return everything
        if text == "none":
            return frozenset()
        if not text:
            self.at_cell(
                number, at, text, f"{kind} is empty", "write none, * for all, or names with | between"
            )
            return frozenset()
        found: set[str] = set()
        for word in (part.strip() for part in text.split("|")):
            if kind == "plans":
                named = {plan.id for plan in self.plans if plan.id == word}
            else:
                named = {plan.id for plan in self.plans if str(plan.periods) == word}
            if not named:
                known = sorted(everything) if kind == "plans" else sorted({p.periods for p in self.plans})
                close = get_close_matches(word, list(map(str, known)), n=1, cutoff=0.6)
                what = "plan" if kind == "plans" else "number of periods"
                self.at_cell(
                    number,
                    at,
                    word,
                    f"{word or 'nothing'} is no {what} that the table is about: not one of {', '.join(map(str, known))}",
                    f"did you mean {close[0]}?" if close else "",
                )
            found |= named
        return frozenset(found)

    def _asked(self, number: int, bound: _Bound, text: str) -> Clause | None:
        if text == "*":
            return None
        try:
            if not text:
                raise ValueTrouble(f"{bound.header} is empty", "write * where nothing is asked")
            return parse(f"{bound.header} {text}", self.dialect)
        except (ConditionError, ValueTrouble) as error:
            self.at_cell(number, bound.at, text, error.message, error.suggestion)
        except CalendarError as error:
            self.at_cell(number, bound.at, text, error.problem.sentence)
        return None

    def _check_twice(self, body: list[tuple[int, list[str]]]) -> None:
        lines: dict[tuple[str, ...], int] = {}
        names: dict[str, int] = {}
        for number, row in body:
            first = lines.setdefault(tuple(row), number)
            if first != number:
                self.trouble(number, 1, "", f"the line says again what line {first} says", "keep one of them")
            if self.name_at is not None and self.name_at < len(row):
                named = names.setdefault(row[self.name_at], number)
                if named != number and first == number:
                    self.at_cell(
                        number,
                        self.name_at,
                        row[self.name_at],
                        f"line {named} has that name",
                        "names occur once",
                    )

    # --- proving --------------------------------------------------------------------------------------------------

    def _prove(self, table: Table) -> None:
        told = 0
        for line in table.lines:
            for fact, span, whole in zip(table.facts, line.spans, table.over, strict=True):
                # `*` is all that the table is for, and no more.
                if span != _ALL and not _covers(whole, span):
                    told += 1
                    self.trouble(
                        line.number,
                        1,
                        "",
                        f"{fact.name} {span_text(fact, span, self.dialect)} reaches beyond what the table is for, "
                        f"{span_text(fact, whole, self.dialect)}",
                        "end the band sooner, or widen over:",
                    )
        if told:
            return
        boxes = [_box(table, line) for line in table.lines]
        clashes = 0
        for first, second, both in _overlaps(boxes):
            clashes += 1
            if clashes <= MAX_TOLD:
                self.trouble(
                    table.lines[second].number,
                    1,
                    "",
                    f"lines {table.lines[first].number} and {table.lines[second].number} both hold for "
                    f"{self._said(table, both)}",
                    "let one band end where the other begins",
                )
        if clashes and len(table.facts) > 1:
            return
        for number, missing in enumerate(_gaps(table.over, boxes, disjoint=not clashes)):
            if number == MAX_TOLD:
                break
            self.trouble(
                self._line_before(table, missing[0]),
                1,
                "",
                f"no line holds for {self._said(table, missing)}",
                "add a line for it, or say under over: that the table is not for it",
            )

    def _said(self, table: Table, box: Sequence[Span]) -> str:
        return " with ".join(
            f"{fact.name} {span_text(fact, span, self.dialect)}"
            for fact, span in zip(table.facts, box, strict=True)
        )

    def _line_before(self, table: Table, missing: Span) -> int:
        """The line behind which what is missing belongs."""
        if isinstance(missing, Band):
            for line in reversed(table.lines):
                span = line.spans[0]
                if isinstance(span, Band) and span.high is not None and span.high == missing.low:
                    return line.number
        return table.lines[0].number


_CELL: Final = re.compile(r'(?:^|(?<=,))\s*("(?:[^"]|"")*"|[^,]*)')
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_OPERATORS: Final = (
    "<=",
    ">=",
    "<",
    ">",
    "is",
    "is not",
    "in",
    "not in",
    "has any of",
    "has all of",
    "has none of",
)


def whole_span(fact: FactType) -> Span | None:
    """All values of a fact, where they are a fixed list or a day; None where only a person can say how far they go.

    >>> from fenqi.policy.facts import VOCABULARY
    >>> sorted(whole_span(VOCABULARY["card.kind"])), whole_span(VOCABULARY["cart.amount"])
    (['credit', 'debit'], None)
    """
    if fact.type == "bool":
        return frozenset({"yes", "no"})
    if fact.type == "time":
        return Band(0, 1440)
    return frozenset(fact.values) if fact.values else None


def read_span(fact: FactType, text: str, dialect: Dialect) -> Span:
    """Read a cell: `[low, high)`, `low..high`, `>= low`, one value, names with | between, or * for all.

    Raises `ValueTrouble`, and `CalendarError` for an instant that is none.

    >>> from fenqi.policy.facts import VOCABULARY
    >>> here = Dialect(VOCABULARY, "CNY", "Asia/Shanghai")
    >>> read_span(VOCABULARY["cart.amount"], "[¥300, ¥1,000)", here)
    Band(low=30000, high=100000)
    >>> read_span(VOCABULARY["customer.tier"], "3..5", here)
    Band(low=3, high=6)
    """
    if text == "*":
        return _ALL
    if fact.type not in _ORDERED:
        names = [str(_value(fact, word.strip(), dialect)) for word in text.split("|")]
        if len(set(names)) < len(names):
            raise ValueTrouble(f"{fact.name} is {text}: a name stands twice", "keep one")
        return frozenset({"True": "yes", "False": "no"}.get(name, name) for name in names)
    band = _band(fact, text, dialect)
    low, high = band.low, band.high
    if low is not None and high is not None and high <= low:
        raise ValueTrouble(f"{fact.name} is {text}: the band holds nothing")
    return band


def _band(fact: FactType, text: str, dialect: Dialect) -> Band:
    compared = re.fullmatch(r"(>=|<=|>|<)\s*(.+)", text)
    if compared is not None:
        edge = _number(fact, compared[2], dialect)
        return {
            ">=": Band(edge, None),
            ">": Band(edge + 1, None),
            "<": Band(None, edge),
            "<=": Band(None, edge + 1),
        }[compared[1]]
    bracketed = re.fullmatch(r"([\[(])(.*)([\])])", text)
    if bracketed is not None:
        low_text, high_text = _parted(fact, bracketed[2], text, dialect)
        low = None if low_text == "*" else _number(fact, low_text, dialect) + (bracketed[1] == "(")
        high = None if high_text == "*" else _number(fact, high_text, dialect) + (bracketed[3] == "]")
        return Band(low, high)
    if ".." in text:
        low_text, _, high_text = text.partition("..")
        closed = fact.type not in ("time", "instant")
        return Band(
            _number(fact, low_text.strip(), dialect), _number(fact, high_text.strip(), dialect) + closed
        )
    edge = _number(fact, text, dialect)
    return Band(edge, edge + 1)


def _parted(fact: FactType, inner: str, text: str, dialect: Dialect) -> tuple[str, str]:
    """Both ends of `[low, high)`. An amount may have commas of its own, so each comma is tried."""
    commas = [found.start() for found in re.finditer(",", inner)]
    readable: list[tuple[str, str]] = []
    for comma in commas:
        ends = (inner[:comma].strip(), inner[comma + 1 :].strip())
        if all(end == "*" or _reads(fact, end, dialect) for end in ends):
            readable.append(ends)
    spaced = re.split(r",\s+", inner.strip())
    if len(spaced) == 2:
        return spaced[0].strip(), spaced[1].strip()
    if len(readable) == 1:
        return readable[0]
    if len(commas) == 1:
        return inner[: commas[0]].strip(), inner[commas[0] + 1 :].strip()
    raise ValueTrouble(
        f"{fact.name} is {text}: not a band", "write it like [low, high), with a space after the comma"
    )


def _reads(fact: FactType, text: str, dialect: Dialect) -> bool:
    try:
        _number(fact, text, dialect)
    except (ValueTrouble, CalendarError):
        return False
    return True


def _value(fact: FactType, text: str, dialect: Dialect) -> int | bool | str:
    return parse_fact_value(fact, text, dialect.currency, dialect.zone)


def _number(fact: FactType, text: str, dialect: Dialect) -> int:
    value = _value(fact, text, dialect)
    assert isinstance(value, int), "an ordered fact's values are whole numbers"
    return value


def span_text(fact: FactType, span: Span, dialect: Dialect) -> str:
    """A band or names as people write them.

    >>> from fenqi.policy.facts import VOCABULARY
    >>> here = Dialect(VOCABULARY, "CNY", "Asia/Shanghai")
    >>> span_text(VOCABULARY["cart.amount"], Band(30_000, None), here)
    '[¥300.00, *)'
    """
    if isinstance(span, Band):
        low, high = ("*" if end is None else _end_text(fact, end, dialect) for end in (span.low, span.high))
        return f"{'(' if span.low is None else '['}{low}, {high})"
    return " | ".join(sorted(span))


def _end_text(fact: FactType, value: int, dialect: Dialect) -> str:
    if fact.type == "money":
        return format_money(value, dialect.currency)
    if fact.type == "time":
        return format_minute(value)
    if fact.type == "instant":
        return format_instant(value, dialect.zone, "en")
    if fact.type == "rate":
        return format_rate(Fraction(value, RATE_ONE))
    return str(value)


# --- boxes --------------------------------------------------------------------------------------------------------


def _covers(whole: Span, part: Span) -> bool:
    if part == _ALL:
        return whole == _ALL
    if isinstance(whole, Band) and isinstance(part, Band):
        return whole.ends[0] <= part.ends[0] and part.ends[1] <= whole.ends[1]
    return isinstance(whole, frozenset) and isinstance(part, frozenset) and part <= whole


def _meet(one: Span, other: Span) -> Span:
    if other == _ALL:
        return one
    if isinstance(one, Band) and isinstance(other, Band):
        low = max((end for end in (one.low, other.low) if end is not None), default=None)
        high = min((end for end in (one.high, other.high) if end is not None), default=None)
        return Band(low, high)
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return one & other
    raise TypeError("a fact has bands or names, not both")


def _size(span: Span) -> int:
    if isinstance(span, Band):
        low, high = span.ends
        return max(0, high - low)
    return len(span)


def _common(one: Sequence[Span], other: Sequence[Span]) -> tuple[Span, ...] | None:
    """What lies in both boxes; None where nothing does."""
    both: list[Span] = []
    for mine, theirs in zip(one, other, strict=True):
        shared = _meet(mine, theirs)
        if not _size(shared):
            return None
        both.append(shared)
    return tuple(both)


def _box(table: Table, line: _Line) -> tuple[Span, ...]:
    return tuple(_meet(whole, span) for whole, span in zip(table.over, line.spans, strict=True))


def _volume(box: Sequence[Span]) -> int:
    product = 1
    for span in box:
        product *= _size(span)
    return product


def _overlaps(boxes: Sequence[Sequence[Span]]) -> Iterator[tuple[int, int, tuple[Span, ...]]]:
    """Each two boxes that share something, by their places, and what they share."""
    banded = next((at for at, span in enumerate(boxes[0]) if isinstance(span, Band)), None)
    order = list(range(len(boxes)))
    if banded is None:
        ends = [(0, 1)] * len(boxes)
    else:
        ends = [span.ends for span in (box[banded] for box in boxes) if isinstance(span, Band)]
        order.sort(key=lambda at: (ends[at], at))
    for place, one in enumerate(order):
        for other in order[place + 1 :]:
            # Beyond the end of this one's band nothing further on reaches back.
            if ends[other][0] >= ends[one][1]:
                break
            both = _common(boxes[one], boxes[other])
            if both is not None:
                yield min(one, other), max(one, other), both


def _gaps(
    over: Sequence[Span], boxes: Sequence[Sequence[Span]], *, disjoint: bool
) -> Iterator[tuple[Span, ...]]:
    """Boxes inside of `over` that lie in none of `boxes`.

    Of disjoint boxes the volumes say exactly whether something is missing, so that only where it is one looks for it.
    """
    if not boxes:
        yield tuple(over)
        return
    if not over or (disjoint and sum(map(_volume, boxes)) == _volume(over)):
        return
    for piece in _pieces(over[0], [box[0] for box in boxes]):
        inside = [box[1:] for box in boxes if _covers(box[0], piece)]
        for missing in _gaps(over[1:], inside, disjoint=disjoint):
            yield (piece, *missing)


def _pieces(whole: Span, parts: Sequence[Span]) -> Iterator[Span]:
    """`whole` in pieces that each of the parts covers wholly or not at all; a stretch that none covers in one piece."""
    if isinstance(whole, frozenset):
        alike: dict[frozenset[int], set[str]] = {}
        for name in sorted(whole):
            covered = frozenset(
                at for at, part in enumerate(parts) if isinstance(part, frozenset) and name in part
            )
            alike.setdefault(covered, set()).add(name)
        yield from map(frozenset, alike.values())
        return
    low, high = whole.ends
    edges = {low, high}
    for part in parts:
        if isinstance(part, Band):
            edges.update(end for end in part.ends if low < end < high)
    ordered = sorted(edges)
    for start, end in pairwise(ordered):
        yield Band(None if start == -_WIDEST else start, None if end == _WIDEST else end)


# --- rules --------------------------------------------------------------------------------------------------------


def rules_of(table: Table, name: str, template: Rule, plans: Sequence[Plan]) -> tuple[Rule, ...]:
    """The rules that a table amounts to, made from a template that says all the rest of them.

    `table.NAME.PLAN` for each plan that some band leaves out, and `table.NAME.ROW` for what is asked in a band, where
    ROW is the line's name or its number among the lines. What the table is not for is not offered: `table.NAME.outside`, where
    no column of plans says so already.
    """
    rules: list[Rule] = []
    outside = _condition(table.facts, table.over)
    if table.lines[0].allowed is not None:
        for plan in plans:
            allowing = [line for line in table.lines if line.allowed is not None and plan.id in line.allowed]
            made = {"id": f"table.{name}.{plan.id}", "applies": Selector(plans=(plan.id,))}
            if not allowing:
                rules.append(msgspec.structs.replace(template, **made, blocked=Window()))
                continue
            where = outside if len(allowing) == len(table.lines) else _anywhere(table, allowing)
            if where is not None:
                rules.append(msgspec.structs.replace(template, **made, require=where))
    elif outside is not None:
        rules.append(msgspec.structs.replace(template, id=f"table.{name}.outside", require=outside))
    for number, line in enumerate(table.lines, 1):
        if not line.asked:
            continue
        require: Condition = line.asked[0] if len(line.asked) == 1 else All(line.asked)
        rules.append(
            msgspec.structs.replace(
                template,
                id=f"table.{name}.{line.name or number}",
                when=_condition(table.facts, _box(table, line)),
                require=require,
            )
        )
    return tuple(rules)


def _anywhere(table: Table, lines: Sequence[_Line]) -> Condition | None:
    """That one of the lines holds, bands that touch said as one."""
    boxes = [_box(table, line) for line in lines]
    first = next((at for at, span in enumerate(table.over) if isinstance(span, Band)), None)
    if first is not None:
        alike: dict[tuple[Span, ...], list[Band]] = {}
        for box in boxes:
            span = box[first]
            assert isinstance(span, Band), "a fact has bands or names, not both"
            alike.setdefault((*box[:first], *box[first + 1 :]), []).append(span)
        boxes = [
            (*rest[:first], band, *rest[first:])
            for rest, bands in alike.items()
            for band in _joined(sorted(bands, key=lambda band: band.ends))
        ]
    found = [_condition(table.facts, box) for box in boxes]
    if None in found:
        return None
    parts = tuple(part for part in found if part is not None)
    return parts[0] if len(parts) == 1 else Any(parts)


def _joined(bands: Sequence[Band]) -> Iterator[Band]:
    current = bands[0]
    for band in bands[1:]:
        if band.low == current.high:
            current = Band(current.low, band.high)
        else:
            yield current
            current = band
    yield current


def _condition(facts: Sequence[FactType], spans: Sequence[Span]) -> Condition | None:
    """That each fact lies in its span; None where that says nothing."""
    parts: list[Condition] = []
    for fact, span in zip(facts, spans, strict=True):
        parts.extend(_clauses(fact, span))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _clauses(fact: FactType, span: Span) -> Iterator[Clause]:
    if isinstance(span, frozenset):
        if span == whole_span(fact):
            return
        if fact.type == "bool":
            yield Clause(fact.name, "is", "yes" in span)
        elif len(span) == 1:
            yield Clause(fact.name, "is", next(iter(span)))
        else:
            yield Clause(fact.name, "in", span)
        return
    low, high = span.low, span.high
    if fact.type == "time" and (low, high) == (0, 1440):
        return
    if low is not None and high is not None and fact.type != "rate":
        if fact.type in ("time", "instant"):
            yield Clause(fact.name, "in", Range(low, high), open_end=True)
        elif high == low + 1:
            yield Clause(fact.name, "is", low)
        else:
            yield Clause(fact.name, "in", Range(low, high - 1))
        return
    if low is not None:
        yield Clause(fact.name, ">=", low)
    if high is not None:
        # "At most ¥999.99" says of whole units what "less than ¥1,000" does, and is what a customer is told.
        if fact.type in ("int", "money"):
            yield Clause(fact.name, "<=", high - 1)
        else:
            yield Clause(fact.name, "<", high)
