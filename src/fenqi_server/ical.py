"""The two ways in which iCalendar (RFC 5545) writes text: escaped in a value, folded in a line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["calendar_bytes", "escaped", "folded"]

FOLD_OCTETS: Final = 75


def escaped(text: str) -> str:
    """RFC 5545, 3.3.11. Line ends of any kind are one: a bare carriage return would begin a line of its own.

    >>> escaped("a, b; c")
    'a\\\\, b\\\\; c'
    """
    text = re.sub("\r\n?|[\u0085\u2028\u2029\x0b\x0c]", "\n", text)
    text = "".join(letter for letter in text if letter == "\n" or letter == "\t" or letter >= " ")
    for letter, written in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        text = text.replace(letter, written)
    return text.replace("\x7f", "")


def folded(line: str) -> str:
    """A line in pieces of at most 75 octets, never cut inside a letter (RFC 5545, 3.1)."""
    parts, size = [""], 0
    for letter in line:
        octets = len(letter.encode())
        if size + octets > FOLD_OCTETS:
            parts.append(" ")
            size = 1
        parts[-1] += letter
        size += octets
    return "\r\n".join(parts)


def calendar_bytes(lines: Iterable[str]) -> bytes:
    """The lines as they go out."""
    return "".join(f"{folded(line)}\r\n" for line in lines).encode()
