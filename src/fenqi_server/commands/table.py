"""Tables for people at a terminal: columns that line up, Chinese included."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final
from unicodedata import east_asian_width, normalize

from fenqi.terms.disclosure import percent

__all__ = ["print_table", "shown_percent", "table", "width"]


def width(text: str) -> int:
    """How many columns a text takes: a wide character takes two, a combining one none.

    >>> width("¥6,000"), width("分期")
    (6, 4)
    """
    composed = normalize("NFC", text)
    return sum(
        2 if east_asian_width(character) in "WF" else 1 for character in composed if character.isprintable()
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows under a head, two spaces between columns; the columns numbered in `right` stand right-aligned.

    >>> print(table(("plan", "total"), [("mall_12", "¥6,432.00"), ("分期", "¥1.00")], right=(1,)))
    plan         total
    mall_12  ¥6,432.00
    分期         ¥1.00
    """
    lines = [list(map(_on_one_line, line)) for line in (head, *rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(head))]
    written = []
    for line in lines:
        cells = []
        for column, cell in enumerate(line):
            space = " " * (widths[column] - width(cell))
            cells.append(space + cell if column in right else cell + space)
        written.append("  ".join(cells).rstrip())
    return "\n".join(written)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """A table on standard output."""
    sys.stdout.write(table(head, rows, right=right) + "\n")


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


_MORE_THAN_READ: Final = 10**9
"""From so many percent on, a table says no more; its digits would not be the rate's."""


def shown_percent(rate_e12: int, places: int = 2) -> str:
    """A yearly rate (1e-12) as people read it; one that would round to nothing is said to be less than the least shown.

    >>> shown_percent(130_342_242_811), shown_percent(0), shown_percent(20_000_000), shown_percent(-20_000_000, 1)
    ('13.03%', '0.00%', '< 0.01%', '> -0.1%')
    """
    if rate_e12 >= _MORE_THAN_READ * 10**10:
        return f"> {_MORE_THAN_READ:,}%"
    shown = percent(rate_e12, places)
    if not rate_e12 or shown.strip("0."):
        return f"{shown}%"
    least = f"0.{'1'.rjust(places, '0')}" if places else "1"
    return f"< {least}%" if rate_e12 > 0 else f"> -{least}%"
