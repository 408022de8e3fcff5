"""The log of what was in force: which policy held at an instant, by what was known of it at another.

A publication is recorded once and never changed: it says that a snapshot is in force from an instant on. Of those that have
begun the one that begins last is in force, and among those that begin together the one recorded last. Rolling back is publishing
an old digest again. So the log has two times, and an answer of last March can be given as it was given then, and as it would be
given with all that was recorded since.

A publication may be for a share of the customers (`percent`, told by `salt` as in `fenqi.policy.rollout`); everybody else has
what is in force without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from fenqi.policy.facts import Facts, FactValue, clock_facts
from fenqi.policy.rollout import BUCKETS, bucket_of
from fenqi.policy.verdict import Override, Verdict, decide

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = ["NothingInForce", "Publication", "Published", "decide_over", "in_force", "in_order"]

_EVERYBODY: Final = 100


class NothingInForce(LookupError):
    """No policy had begun at the instant, by what was recorded until the other."""


class Published(Protocol):
    """What of a publication tells whether it is in force. Instants are of any one kind that has an order."""

    @property
    def digest(self) -> str: ...
    @property
    def valid_from(self) -> Any: ...
    @property
    def recorded_at(self) -> Any: ...
    @property
    def percent(self) -> int: ...
    @property
    def salt(self) -> str: ...


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log: this snapshot, in force from `valid_from` on, recorded at `recorded_at` (epoch seconds) by `actor`."""

    digest: str
    valid_from: int
    recorded_at: int
    actor: str
    percent: int = _EVERYBODY
    salt: str = ""


P = TypeVar("P", bound=Published)


def in_order(published: Sequence[P]) -> tuple[P, ...]:
    """The publications in the order in which they begin, those that begin together as they were recorded."""
    return tuple(sorted(published, key=lambda made: (made.valid_from, made.recorded_at)))


def in_force(
    ordered: Sequence[P], valid_at: Any, known_at: Any = None, subject: str | None = None
) -> P | None:
    """The publication in force at `valid_at`, by what was recorded until `known_at` (None: by all that there is).

    `ordered` is as `in_order` gives it. `subject` is who asks, where it is somebody in particular: a publication for a share of the
    customers counts for those in it alone.

    >>> first = Publication(digest="a", valid_from=10, recorded_at=10, actor="ann")
    >>> second = Publication(digest="b", valid_from=20, recorded_at=15, actor="bob")
    >>> [in_force((first, second), 25, known).digest for known in (12, 15, None)]
    ['a', 'b', 'b']
    """
    for made in reversed(ordered):
        if made.valid_from > valid_at or (known_at is not None and made.recorded_at > known_at):
            continue
        if made.percent == _EVERYBODY:
            return made
        if subject is not None and bucket_of(made.salt, subject) * _EVERYBODY < made.percent * BUCKETS:
            return made
    return None


def decide_over(
    published: Sequence[P],
    policy_of: Callable[[str], Policy],
    facts: Facts,
    valid_at: int,
    known_at: int | None = None,
    *,
    subject: str | None = None,
    offers: Mapping[str, Facts] | None = None,
    overrides: Sequence[Override] = (),
) -> dict[str, Verdict]:
    """Every plan's verdict at `valid_at`, under the policy that was in force then by what was known at `known_at`.

    `policy_of` gives the policy of a digest. The clock's facts are those of `valid_at`, whatever `facts` says. Raises
    `NothingInForce` where no policy had begun.
    """
    made = in_force(in_order(published), valid_at, known_at, subject)
    if made is None:
        known = "" if known_at is None else f", as known at {known_at}"
        raise NothingInForce(f"no policy was in force at {valid_at}{known}: the log begins later")
    policy = policy_of(made.digest)
    then: dict[str, FactValue] = {**facts, **clock_facts(valid_at, policy.zone)}
    return decide(policy, then, offers, overrides=overrides)
