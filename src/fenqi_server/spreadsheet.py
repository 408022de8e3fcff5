"""Files for a spreadsheet: CSV as programs of that kind read it, safely."""

from __future__ import annotations

from typing import Final

__all__ = ["ENCODING", "no_formula"]

ENCODING: Final = "utf-8-sig"
"""UTF-8 with its mark: without it the most used of these programs reads Chinese as something else."""


def no_formula(text: str) -> str:
    """A text in a cell: what somebody wrote is no formula, whatever it begins with.

    >>> no_formula("=1+1"), no_formula("bank-1")
    ("'=1+1", 'bank-1')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
