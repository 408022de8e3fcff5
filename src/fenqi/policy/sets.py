"""Sets: long lists of names, kept beside a policy and named in it by the digest of what is in them.

A policy says `merchant.id in set vip_merchants`; which merchants those are stands in `sets/vip_merchants.txt`, one a line. The
snapshot holds the digest alone, so it stays small and still names exactly one list; whoever compiles it brings the
members, and a wrong or missing list is refused. While it runs, asking is one look into a frozenset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from fenqi.policy.conditions import All, Any, Clause, Condition, Not
from fenqi.policy.facts import MAX_NAME
from fenqi.policy.snapshot import Rule, Snapshot, SnapshotError

__all__ = [
    "MAX_MEMBERS",
    "MissingSet",
    "Sets",
    "decode_members",
    "digest_of",
    "encode_members",
    "members_in",
    "read_set",
    "resolved",
]

MAX_MEMBERS: Final = 100_000

Sets = Mapping[str, frozenset[str]]
"""Sets' members by their digest."""

Note = Callable[[int, int, str, str, str], None]


class MissingSet(SnapshotError):
    """A set that a snapshot names was not brought along, or what was brought is another list."""


def read_set(content: str, note: Note) -> frozenset[str] | None:
    """Read the text of a set's file: a value a line; empty lines and those that begin with # say nothing.

    None where something is wrong: each problem is noted with its line.
    """
    lines: dict[str, int] = {}
    wrong = False

    def trouble(number: int, text: str, message: str, suggestion: str = "") -> None:
        nonlocal wrong
        wrong = True
        note(number, 1, text, message, suggestion)

    for number, raw in enumerate(content.removeprefix("\ufeff").split("\n"), 1):
        value = raw.strip()
        if not value or value.startswith("#"):
            continue
        first = lines.setdefault(value, number)
        if first != number:
            trouble(
                number, value[:MAX_NAME], f"{value[:MAX_NAME]} stands on line {first} already", "keep one"
            )
        elif len(value) > MAX_NAME:
            trouble(number, value[:MAX_NAME], f"the value has {len(value)} letters", f"at most {MAX_NAME}")
        elif not value.isprintable():
            trouble(number, "", "the value holds something that cannot be printed", "write one value a line")
        elif value.startswith("set "):
            trouble(
                number,
                value,
                f"{value}: a set holds values, not other sets, nor itself",
                "write its values out",
            )
        elif len(lines) == MAX_MEMBERS + 1:
            trouble(
                number,
                "",
                f"the set has more than {MAX_MEMBERS} values",
                "make it a fact that somebody provides",
            )
            break
    if not lines and not wrong:
        trouble(1, "", "the set is empty", "write one value a line, or ask no rule about it")
    return None if wrong else frozenset(lines)


def encode_members(members: Iterable[str]) -> bytes:
    """The members as they are stored and named: in order, each ended by a new line, in UTF-8."""
    return "".join(f"{member}\n" for member in sorted(members)).encode()


def digest_of(encoded: bytes) -> str:
    """The name of encoded members.

    >>> digest_of(encode_members({"b", "a"})) == digest_of(b"a\\nb\\n")
    True
    """
    return "sha256:" + hashlib.sha256(encoded).hexdigest()


def decode_members(encoded: bytes, digest: str) -> frozenset[str]:
    """The members in what was stored under a digest. Raises `MissingSet` where it is not what the digest names."""
    found = digest_of(encoded)
    if found != digest:
        raise MissingSet(
            f"sets.{digest}", found, "the members that have this digest", "bring the list that was published"
        )
    return frozenset(encoded.decode().split("\n")[:-1])


def members_in(snapshot: Snapshot, sets: Sets) -> Sets:
    """The sets that the snapshot needs, out of `sets`. Raises `MissingSet` where one is not there."""
    found: dict[str, frozenset[str]] = {}
    for info in snapshot.sets:
        members = sets.get(info.digest)
        if members is None:
            raise MissingSet(
                f"sets.{info.name}",
                "not there",
                f"the {info.count} values of {info.digest}",
                "bring the set's members along with the snapshot",
            )
        if len(members) != info.count:
            raise MissingSet(
                f"sets.{info.name}", f"{len(members)} values", f"the {info.count} values of {info.digest}"
            )
        found[info.digest] = members
    return found


def resolved(rule: Rule, sets: Sets) -> Rule:
    """The rule with the names of its sets in its clauses; the same rule where it asks about none."""
    changed = {
        name: _resolved(tree, sets)
        for name, tree in (("when", rule.when), ("require", rule.require))
        if tree is not None
    }
    if rule.pending is not None:
        pending = msgspec.structs.replace(rule.pending, when=_resolved(rule.pending.when, sets))
        if pending != rule.pending:
            rule = msgspec.structs.replace(rule, pending=pending)
    same = all(tree is getattr(rule, name) for name, tree in changed.items())
    return rule if same else msgspec.structs.replace(rule, **changed)


def _resolved(condition: Condition, sets: Sets) -> Condition:
    if isinstance(condition, Clause):
        if condition.members is None or condition.value is not None:
            return condition
        members = sets.get(condition.members.digest)
        if members is None:
            raise MissingSet(
                f"sets.{condition.members.name}", "not there", f"the values of {condition.members.digest}"
            )
        return msgspec.structs.replace(condition, value=members)
    if isinstance(condition, Not):
        part = _resolved(condition.part, sets)
        return condition if part is condition.part else Not(part)
    parts = tuple(_resolved(part, sets) for part in condition.parts)
    if all(new is old for new, old in zip(parts, condition.parts, strict=True)):
        return condition
    return Any(parts) if isinstance(condition, Any) else All(parts)
