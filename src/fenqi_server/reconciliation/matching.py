"""Our lines against theirs: what belongs together, and what is broken. Pure.

First by reference, then by amount, date and party. A pair is made only where it is the only one that can be meant; what
stays alone on either side is a break. Each line ends in exactly one match or one break.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Final, Literal, TypeVar

import msgspec

__all__ = [
    "KINDS",
    "TOLERANCE_DAYS",
    "Break",
    "BreakKind",
    "Match",
    "Matching",
    "Ours",
    "Theirs",
    "match",
    "settled_key",
]

TOLERANCE_DAYS: Final = 2
"""How many days apart two dates of one payment may stand: midnight, and a bank's own day."""

BreakKind = Literal["missing_ours", "missing_theirs", "amount", "date", "duplicate", "one_fen"]
KINDS: Final[tuple[BreakKind, ...]] = (
    "missing_ours",
    "missing_theirs",
    "amount",
    "date",
    "duplicate",
    "one_fen",
)


class Ours(msgspec.Struct, frozen=True):
    """A line of our book. `key` is whatever tells it from others."""

    key: str
    reference: str
    amount_minor: int
    currency: str
    on: date
    party: str = ""


class Theirs(msgspec.Struct, frozen=True):
    """A line of a statement."""

    key: str
    reference: str
    amount_minor: int
    currency: str
    on: date
    party: str = ""


class Match(msgspec.Struct, frozen=True):
    """Two lines that say the same."""

    ours: Ours
    theirs: Theirs
    by: Literal["reference", "amount"]


class Break(msgspec.Struct, frozen=True):
    """Lines that do not: one of them is missing, or they differ. `duplicate` has the line that is one too many."""

    kind: BreakKind
    ours: Ours | None
    theirs: Theirs | None

    @property
    def difference_minor(self) -> int:
        """What they say more than we do."""
        return (self.theirs.amount_minor if self.theirs else 0) - (self.ours.amount_minor if self.ours else 0)


class Matching(msgspec.Struct, frozen=True):
    matches: tuple[Match, ...]
    breaks: tuple[Break, ...]


Settled = tuple[str, str, bool]
"""A reference, its currency, and whether money came in."""

L = TypeVar("L", Ours, Theirs)


def match(
    ours: Iterable[Ours],
    theirs: Iterable[Theirs],
    *,
    days: int = TOLERANCE_DAYS,
    settled: Collection[Settled] = frozenset(),
) -> Matching:
    """Pair the lines and classify the rest. `settled` are the references of lines that were paired before: another line with
    one of them is one too many.

    >>> day = date(2026, 11, 23)
    >>> found = match([Ours("o", "p-1", 500, "CNY", day)], [Theirs("t", "p-1", 499, "CNY", day)])
    >>> [(each.kind, each.difference_minor) for each in found.breaks]
    [('one_fen', -1)]
    """
    matches: list[Match] = []
    breaks: list[Break] = []
    left_ours, left_theirs = _by_reference(ours, theirs, days, settled, matches, breaks)
    for off in (0, 1):
        left_ours, left_theirs = _by_amount(left_ours, left_theirs, days, off, matches, breaks)
    breaks += [Break("missing_theirs", each, None) for each in left_ours]
    breaks += [Break("missing_ours", None, each) for each in left_theirs]
    return Matching(tuple(matches), tuple(breaks))


def _by_reference(
    ours: Iterable[Ours],
    theirs: Iterable[Theirs],
    days: int,
    settled: Collection[Settled],
    matches: list[Match],
    breaks: list[Break],
) -> tuple[list[Ours], list[Theirs]]:
    mine, others = _grouped(ours), _grouped(theirs)
    left_ours, left_theirs = mine.pop(None, []), others.pop(None, [])
    for key in mine.keys() | others.keys():
        here, there = mine.get(key, []), others.get(key, [])
        if key in settled and not (here and there):
            breaks += [Break("duplicate", each, None) for each in here]
            breaks += [Break("duplicate", None, each) for each in there]
            continue
        if not here or not there:
            left_ours += here
            left_theirs += there
            continue
        pairs = sorted(
            ((_distance(a, b), i, j) for i, a in enumerate(here) for j, b in enumerate(there)),
        )
        used_here: set[int] = set()
        used_there: set[int] = set()
        for _, i, j in pairs:
            if i in used_here or j in used_there:
                continue
            used_here.add(i)
            used_there.add(j)
            _pair(here[i], there[j], days, matches, breaks)
        breaks += [Break("duplicate", a, None) for i, a in enumerate(here) if i not in used_here]
        breaks += [Break("duplicate", None, b) for j, b in enumerate(there) if j not in used_there]
    # Sets have no order of their own: the same lines give the same answer under every hash seed.
    breaks.sort(key=_order)
    matches.sort(key=lambda each: each.theirs.key)
    return sorted(left_ours, key=lambda each: each.key), sorted(left_theirs, key=lambda each: each.key)


def _grouped(lines: Iterable[L]) -> dict[Settled | None, list[L]]:
    groups: dict[Settled | None, list[L]] = defaultdict(list)
    for line in lines:
        groups[settled_key(line) if line.reference else None].append(line)
    for group in groups.values():
        group.sort(key=lambda line: line.key)
    return groups


def settled_key(line: Ours | Theirs) -> Settled:
    """By what lines are paired first. Money back is never paired with money in: a reversal bears its payment's reference."""
    return line.reference, line.currency, line.amount_minor > 0


def _distance(ours: Ours, theirs: Theirs) -> tuple[int, int]:
    return abs(ours.amount_minor - theirs.amount_minor), abs((ours.on - theirs.on).days)


def _pair(ours: Ours, theirs: Theirs, days: int, matches: list[Match], breaks: list[Break]) -> None:
    amount, apart = _distance(ours, theirs)
    if amount:
        breaks.append(Break("one_fen" if amount == 1 else "amount", ours, theirs))
    elif apart > days:
        breaks.append(Break("date", ours, theirs))
    else:
        matches.append(Match(ours, theirs, "reference"))


def _by_amount(
    ours: Sequence[Ours],
    theirs: Sequence[Theirs],
    days: int,
    off: int,
    matches: list[Match],
    breaks: list[Break],
) -> tuple[list[Ours], list[Theirs]]:
    """Pair what has no reference in common, where each is the other's only candidate; `off` is by how many fen they differ."""
    at: dict[tuple[str, int], list[Ours]] = defaultdict(list)
    for mine in ours:
        at[mine.currency, mine.amount_minor].append(mine)
    wanted: dict[str, list[Ours]] = {}
    suitors: dict[str, int] = defaultdict(int)
    for other in theirs:
        amounts = {other.amount_minor - off, other.amount_minor + off}
        found = [
            mine
            for amount in sorted(amounts)
            for mine in at.get((other.currency, amount), ())
            if _may_be(mine, other, days, off)
        ]
        wanted[other.key] = found
        for mine in found:
            suitors[mine.key] += 1
    paired: set[str] = set()
    left = []
    for other in theirs:
        found = wanted[other.key]
        if len(found) == 1 and suitors[found[0].key] == 1:
            paired.add(found[0].key)
            if off:
                breaks.append(Break("one_fen", found[0], other))
            else:
                matches.append(Match(found[0], other, "amount"))
        else:
            left.append(other)
    return [mine for mine in ours if mine.key not in paired], left


def _may_be(ours: Ours, theirs: Theirs, days: int, off: int) -> bool:
    if abs((ours.on - theirs.on).days) > days:
        return False
    known = bool(ours.party and theirs.party)
    if known and ours.party != theirs.party:
        return False
    # Two references that differ deny that it is one payment: only the same payer outweighs them. So does a fen.
    return known or (not off and not (ours.reference and theirs.reference))


def _order(each: Break) -> tuple[str, str]:
    return each.theirs.key if each.theirs else "", each.ours.key if each.ours else ""
