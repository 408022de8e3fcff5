"""Reading a statement: bytes and a layout in, lines out; or every problem with its line number, and nothing else.

A file is taken whole or not at all. What it says is never mended by guessing: a date that is none, an amount with half a
fen, a line that stands there twice and a kind of line that the layout does not know are each the reason to refuse it.
"""

from __future__ import annotations

import csv
import hashlib
import re
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import msgspec

from fenqi.money import CURRENCIES, MAX_MINOR, check_currency
from fenqi.problems import BadInput, Problem
from fenqi_server.days import FIRST, LAST, checked
from fenqi_server.reconciliation.layouts import Kind, Layout

__all__ = ["MAX_BYTES", "MAX_LINES", "Line", "Statement", "StatementRefused", "read_statement"]

MAX_BYTES: Final = 20_000_000
MAX_LINES: Final = 100_000
MAX_PROBLEMS: Final = 50
MAX_REFERENCE: Final = 200
# No exponent, no other script's digits, commas only between thousands.
_EXAMPLE: Final = datetime(2026, 11, 23, 18, 30)  # noqa: DTZ001 (an example of how days are written)
_AMOUNT: Final = re.compile(r"[+-]?(?:[0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4})(?:\.[0-9]{1,10})?")


class StatementRefused(BadInput):
    """A file that is refused whole; `problems` says each reason with its line, at most `MAX_PROBLEMS`."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first = problems[0]
        super().__init__(first.place, first.value, first.expected, first.way_out)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(problem.sentence for problem in self.problems)


class Line(msgspec.Struct, frozen=True):
    """One line of a statement. `number` is its line in the file; money that came to us is positive, a fee is what it cost."""

    number: int
    reference: str
    amount_minor: int
    currency: str
    on: date
    party: str = ""
    fee_minor: int = 0


class Statement(msgspec.Struct, frozen=True):
    """A statement as read. `digest` is of the file's bytes: the same file twice is one import."""

    digest: str
    lines: tuple[Line, ...]

    def amount_minor(self, currency: str) -> int:
        """What came in, less what went out."""
        return sum(line.amount_minor for line in self.lines if line.currency == currency)


def read_statement(written: bytes, layout: Layout, currency: str) -> Statement:
    """The lines of a file; `currency` is that of lines that name none. Raises `StatementRefused`."""
    if len(written) > MAX_BYTES:
        raise _refused("file", f"{len(written)} bytes", f"at most {MAX_BYTES} bytes", "import it in parts")
    text = _decoded(written, layout)
    before, nul, _ = text.partition("\x00")
    if nul:
        line = len(re.split(r"\r\n|\r|\n", before))
        raise _refused(
            f"line {line}", "text with U+0000", "text without control characters", "fetch it again"
        )
    rows = list(_rows(text, layout))[layout.header_rows :]
    if not rows:
        raise _refused("file", "empty", "a row of column names")
    number, names = rows[0]
    places = _places(number, names, layout)
    body, footer = _split(rows[1:], layout)
    if len(body) > MAX_LINES:
        raise _refused(
            "file", f"{len(body)} lines", f"at most {MAX_LINES} lines", "import it in parts, day by day"
        )
    problems: list[Problem] = []
    lines: list[Line] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, cells in body:
        if len(cells) != len(names):
            problems.append(
                Problem(f"line {number}", f"{len(cells)} fields", f"{len(names)}, as the heading has")
            )
            continue
        before = seen.setdefault(cells, number)
        if before != number:
            problems.append(Problem(f"line {number}", f"the same as line {before}", "each line once"))
            continue
        try:
            lines.append(_line(number, cells, places, layout, currency))
        except BadInput as problem:
            problems.append(problem.problem)
    problems += _count_problems(footer, len(body), layout)
    if problems:
        raise StatementRefused(tuple(problems[:MAX_PROBLEMS]))
    if not lines:
        raise _refused("file", "no lines", "at least one line under its heading")
    return Statement(f"sha256:{hashlib.sha256(written).hexdigest()}", tuple(lines))


def _refused(place: str, value: str, expected: str, way_out: str = "") -> StatementRefused:
    return StatementRefused((Problem(place, value, expected, way_out),))


def _decoded(written: bytes, layout: Layout) -> str:
    place = 0
    for encoding in layout.encodings:
        try:
            # A byte-order mark is no part of the first column's name.
            return written.decode("utf-8-sig" if encoding == "utf-8" else encoding)
        except UnicodeDecodeError as problem:
            place = problem.start
    line = written.count(b"\n", 0, place) + 1
    raise _refused(
        f"line {line}",
        f"bytes that are not {' or '.join(layout.encodings)}",
        f"a file in {' or '.join(layout.encodings)}",
        "take the file as the provider gave it, not saved anew by a spreadsheet",
    )


def _rows(text: str, layout: Layout) -> list[tuple[int, tuple[str, ...]]]:
    """Rows with the line of the file on which each begins, without blank ones and comments."""
    found = []
    # Universal line ends, but no others: a form feed or U+2028 within a field is part of the field.
    source = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = [("" if layout.comment and each.lstrip().startswith(layout.comment) else each) for each in source]
    reader = csv.reader((f"{each}\n" for each in kept), delimiter=layout.delimiter, strict=True)
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((begins, tuple(_field(cell, layout) for cell in cells)))
            begins = reader.line_num + 1
    except csv.Error as problem:
        raise _refused(
            f"line {begins}", str(problem), "fields parted and quoted as in any CSV file"
        ) from None
    return found


def _field(cell: str, layout: Layout) -> str:
    return cell.strip().removeprefix(layout.field_prefix).strip()


def _places(number: int, names: tuple[str, ...], layout: Layout) -> dict[str, int]:
    problems = [
        Problem(
            f"line {number}",
            f"no column {name}",
            ", ".join(layout.columns),
            "choose the layout of this provider",
        )
        for name in layout.columns
        if name not in names
    ]
    problems += [
        Problem(f"line {number}", f"column {name} twice", "each column once")
        for name in layout.columns
        if names.count(name) > 1
    ]
    if problems:
        raise StatementRefused(tuple(problems[:MAX_PROBLEMS]))
    return {name: names.index(name) for name in layout.columns}


_Rows = list[tuple[int, tuple[str, ...]]]


def _split(rows: _Rows, layout: Layout) -> tuple[_Rows, _Rows]:
    if layout.footer:
        for index, (_, cells) in enumerate(rows):
            if cells[0] == layout.footer:
                return rows[:index], rows[index:]
        last = rows[-1][0] if rows else 1
        raise _refused(
            f"line {last}",
            "the last line",
            f"totals that begin with {layout.footer}",
            "the file is cut off: fetch it again",
        )
    if layout.footer_rows:
        return rows[: -layout.footer_rows], rows[-layout.footer_rows :]
    return rows, []


def _count_problems(footer: _Rows, lines: int, layout: Layout) -> list[Problem]:
    if not layout.footer_count:
        return []
    if len(footer) < 2 or layout.footer_count not in footer[0][1]:
        return [
            Problem("footer", "no totals", f"a row of totals with {layout.footer_count}", "fetch it again")
        ]
    number, cells = footer[1]
    place = footer[0][1].index(layout.footer_count)
    said = cells[place] if place < len(cells) else ""
    if said == str(lines):
        return []
    return [
        Problem(f"line {number}", f"{said} lines in all", f"the {lines} that stand above", "fetch it again")
    ]


def _line(number: int, cells: tuple[str, ...], places: dict[str, int], layout: Layout, currency: str) -> Line:
    def cell(name: str) -> str:
        return cells[places[name]] if name else ""

    kind = _kind(number, cell(layout.kind_column), layout)
    reference = cell(kind.reference)
    if len(reference) > MAX_REFERENCE:
        raise BadInput(f"line {number}, {kind.reference}", reference, f"at most {MAX_REFERENCE} characters")
    money = cell(layout.currency) or currency
    try:
        check_currency(money)
    except BadInput:
        raise BadInput(f"line {number}, {layout.currency}", money, "an ISO 4217 code, such as CNY") from None
    place = f"line {number}, {kind.amount}"
    amount = _minor(cell(kind.amount), money, layout, place)
    if kind.sign != "as_written":
        amount = abs(amount) if kind.sign == "in" else -abs(amount)
    if not amount:
        raise BadInput(place, cell(kind.amount), "an amount other than 0")
    fee = _minor(cell(layout.fee) or "0", money, layout, f"line {number}, {layout.fee}", fractions=True)
    try:
        on = checked(datetime.strptime(cell(layout.date), layout.date_format).date())  # noqa: DTZ007 (the day it says)
    except ValueError:
        expected = (
            f"a date of the years {FIRST.year} to {LAST.year} written like {_EXAMPLE:{layout.date_format}}"
        )
        raise BadInput(f"line {number}, {layout.date}", cell(layout.date), expected) from None
    return Line(
        number,
        "" if reference == "0" else reference,  # how WeChat Pay writes "none"
        amount,
        money,
        on,
        cell(layout.party),
        -fee if layout.fee_sign == "signed" else fee,
    )


def _kind(number: int, said: str, layout: Layout) -> Kind:
    for kind in layout.kinds:
        if not kind.values or said in kind.values:
            return kind
    known = ", ".join(value for kind in layout.kinds for value in kind.values)
    raise BadInput(f"line {number}, {layout.kind_column}", said, f"one of {known}")


def _minor(written: str, currency: str, layout: Layout, place: str, *, fractions: bool = False) -> int:
    """An amount in minor units. With `fractions` half a unit is rounded up: providers write fees to five digits."""
    digits = CURRENCIES[currency] if layout.amount_unit == "major" else 0
    if not _AMOUNT.fullmatch(written):
        raise BadInput(place, written, "an amount, such as 1234.50")
    exact = Decimal(written.replace(",", "")).scaleb(digits)
    if abs(exact) > MAX_MINOR:
        raise BadInput(place, written, f"at most {MAX_MINOR} minor units")
    whole = exact.to_integral_value(ROUND_HALF_UP)
    if whole != exact and not fractions:
        raise BadInput(place, written, f"at most {digits} decimals")
    return int(whole)
