"""Who is affected: whoever's checkout links the announcement, and nobody else.

There is no second way to find that out. `links_of` reads an evaluation of the engine; compensation asks it of recorded
decisions, "only what affects me" of a decision made just now.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fenqi.checkout.evaluation import Evaluation
from fenqi.policy.verdict import Until

__all__ = ["Link", "links_of"]


class Link(msgspec.Struct, frozen=True):
    """A checkout's link to a notice: of a reason for which `plan` is missing, or of the place where it stands."""

    notice: str
    plan: str
    code: str
    until: Until
    since: int | None = None


PLACED = ""
"""The code of a link that no reason makes, but a changed place on the page."""


def links_of(evaluation: Evaluation) -> tuple[Link, ...]:
    """Every link of a checkout to a notice, in the order of the page."""
    return tuple(_links(evaluation))


def _links(evaluation: Evaluation) -> Iterator[Link]:
    for option in evaluation.options:
        for reason in option.verdict.reasons:
            if reason.notice is not None:
                yield Link(reason.notice, option.plan, reason.code, reason.until, reason.since)
        if option.placement_notice is not None:
            yield Link(option.placement_notice, option.plan, PLACED, Until("unknown"), option.placement_since)
