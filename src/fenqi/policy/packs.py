"""Packs: the rules of a jurisdiction, kept as data and taken into a policy by name.

A pack holds parameters (an age, a ceiling, a rate with its dates), facts that its rules ask for, and rules; each with its
source and whether the official text has been read. A policy takes one in with `packs:`, sets parameters where its counsel
says so, leaves rules out or links its own notices; what is compiled are ordinary rules. In a pack's conditions
`{name}` stands for a parameter; one with dates makes a rule for each of its times.

A pack is not legal advice: an operator's counsel confirms it before it is published.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

__all__ = [
    "PACK_FORMAT",
    "Case",
    "Pack",
    "Parameter",
    "find_pack",
    "gaps",
    "put",
    "shipped_packs",
    "stage_of",
]

PACK_FORMAT: Final = "fenqi/pack@1"
_FOLDER: Final = Path(__file__).parent.parent / "packs"
_GAP: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Pack(msgspec.Struct, frozen=True):
    """A pack as it is shipped: its name, its version, and its file's text."""

    id: str
    version: str
    text: str

    @property
    def file(self) -> str:
        """What a problem in it is said to stand in."""
        return f"pack {self.id}@{self.version}"


class Parameter(msgspec.Struct, frozen=True):
    """A figure of a pack, as it is written in a condition: `values` are (from, text), the first perhaps from ever (None).

    One that is so many `times` another (`of`) follows it, where the other is set.
    """

    id: str
    type: str
    values: tuple[tuple[int | None, str], ...]
    source: str = ""
    confirmed: bool = False
    times: int = 0
    of: str = ""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One case worked by hand: with these facts a plan of the pack's stage is, or is not, refused by a rule."""

    rule: str
    refused: bool
    plan: str
    at: int | None = None
    facts: dict[str, int | str | bool | frozenset[str]] = {}
    offer: dict[str, int | str | bool | frozenset[str]] = {}


@lru_cache(maxsize=1)
def shipped_packs() -> Mapping[str, Pack]:
    """Every pack that comes with this version of Fenqi, by its id.

    >>> sorted(shipped_packs())
    ['cn-mainland', 'eu']
    """
    found: dict[str, Pack] = {}
    for path in sorted(_FOLDER.glob("*/pack.yaml")):
        text = path.read_text(encoding="utf-8")
        version = re.search(r"^ *version: *['\"]?([^'\"\s]+)", text, re.MULTILINE)
        assert version is not None, f"{path} says its version"
        found[path.parent.name] = Pack(path.parent.name, version[1], text)
    return found


def find_pack(pack_id: str) -> Pack | None:
    """The pack of that id; None where none is shipped."""
    return shipped_packs().get(pack_id)


def stage_of(pack: Pack) -> Path:
    """The folder with the small policy on which a pack's cases are played."""
    return _FOLDER.joinpath(pack.id, "stage")


def put(text: str, values: Mapping[str, str]) -> str:
    """A condition with its parameters written in.

    >>> put("customer.age >= {age}", {"age": "18"})
    'customer.age >= 18'
    """
    return _GAP.sub(lambda found: values.get(found[1], found[0]), text)


def gaps(text: str) -> Iterator[str]:
    """The names in a condition that stand for something."""
    return (found[1] for found in _GAP.finditer(text))
