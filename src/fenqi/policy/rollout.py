"""Rollouts: something that holds for a share of the customers, always the same ones.

Everybody has a place among all, told by a salted hash: `bucket_of(salt, who)`, from 0 to 9999. A rollout of 5 % is for those whose
place is below 500, so widening it keeps those who were in. Two rollouts of one salt reach the same customers first, two of
different salts do not. A pilot, which gives a whole policy to a share first, tells the same way who is in it.

In a condition a place is a fact like any other, `rollout.SALT`: the rule of a rollout is an ordinary clause.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from fenqi.policy.facts import Facts, FactType, FactValue
from fenqi.texts import Text

__all__ = ["BUCKETS", "PREFIX", "Rollout", "bucket_of", "places", "rollout_fact"]

BUCKETS: Final = 10_000
PREFIX: Final = "rollout."


class Rollout(msgspec.Struct, frozen=True):
    """A way of telling places: the salt, and the fact that says who it is about."""

    salt: str
    by: str


def bucket_of(salt: str, who: str) -> int:
    """The place of somebody among all, from 0 to 9999.

    The first 64 bits of SHA-256 over `salt`, `/` and `who` in UTF-8, taken as a number, spread evenly over the places.

    >>> bucket_of("spring", "customer-1"), bucket_of("autumn", "customer-1")
    (8649, 4303)
    """
    number = int.from_bytes(hashlib.sha256(f"{salt}/{who}".encode()).digest()[:8], "big")
    return number * BUCKETS >> 64


def places(rollouts: Iterable[Rollout], facts: Facts) -> dict[str, FactValue]:
    """The places that these facts tell, as facts; none where it is not known who it is about.

    What is told already stays: a record may hold a place without the name that it came from.
    """
    found: dict[str, FactValue] = {}
    for rollout in rollouts:
        name = PREFIX + rollout.salt
        if name in facts:
            continue
        who = facts.get(rollout.by)
        if isinstance(who, str) or type(who) is int:
            found[name] = bucket_of(rollout.salt, str(who))
    return found


def rollout_fact(salt: str) -> FactType:
    """The fact that a place is."""
    return FactType(
        name=PREFIX + salt,
        type="int",
        source="ours",
        label=Text(f"灰度名次（{salt}）", f"place in the rollout {salt}"),
    )
