"""What is wrong with something that was handed in, said so that its author can put it right.

A `Problem` is a value: several can be collected and shown together. `BadInput` is the exception for
places that cannot go on; it carries one problem. Each room derives its own error from it.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

__all__ = ["BadInput", "Problem"]

_VALUE_LIMIT = 200


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong: where it stands, what was found, what was expected, and the way out.

    >>> Problem("amount", "12.345", "at most 2 decimals", "round it to whole fen").sentence
    'amount is 12.345: expected at most 2 decimals; round it to whole fen'
    """

    place: str
    value: str
    expected: str
    way_out: str = ""

    @property
    def sentence(self) -> str:
        """The problem in one English sentence, for logs and command lines."""
        tail = f"; {self.way_out}" if self.way_out else ""
        return f"{self.place} is {self.value}: expected {self.expected}{tail}"


class BadInput(ValueError):
    """Input that cannot be used; `problem` says place, value, expectation and way out."""

    default_way_out: ClassVar[str] = ""

    def __init__(self, place: str, value: object, expected: str, way_out: str = "") -> None:
        shown = value if isinstance(value, str) else repr(value)
        if len(shown) > _VALUE_LIMIT:
            shown = shown[:_VALUE_LIMIT] + "…"
        self.problem = Problem(place, shown or "empty", expected, way_out or self.default_way_out)
        super().__init__(self.problem.sentence)
