"""What to use instead: for each way to pay that is missing, up to three that are there, with the difference.

What a rule's author named comes first. After it comes what is most alike: a way of the same group, with the same
number of payments or the nearest, the cheaper first. So that nobody is led into a dearer way unawares, the last
place goes to one that costs no more, where there is such a way and the others do not include one.

Renting a thing and giving it back is not instead of owning it, however little it costs: it is only named where a rule's
author named it, and without a difference, since the two do not buy the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

__all__ = ["MAX_ALTERNATIVES", "Alternative", "Candidate", "alternatives_to"]

MAX_ALTERNATIVES = 3


class Alternative(msgspec.Struct, frozen=True):
    """An offer to take instead. `difference_minor`: its total less the missing way's (negative: it costs less);
    None where the missing way has no price, or where only one of the two ends in ownership. `instalment_minor` is its largest
    payment.
    """

    plan: str
    difference_minor: int | None
    total_minor: int
    instalment_minor: int
    periods: int


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An offer on the page, at `position` in the page's order. `owns`: whether the goods are the customer's at its end."""

    plan: str
    group: str
    periods: int
    total_minor: int
    instalment_minor: int
    position: int
    owns: bool = True


def alternatives_to(
    group: str,
    periods: int,
    total_minor: int | None,
    instead: Iterable[str],
    offers: Sequence[Candidate],
    *,
    owns: bool = True,
) -> tuple[Alternative, ...]:
    """Up to three of the `offers` instead of a plan of `group` with `periods` payments, at whose end the goods are the
    customer's or not (`owns`); empty where there are none.

    >>> full = Candidate("card", "payment", 1, 600_000, 600_000, 0)
    >>> other = Candidate("bank_12", "instalment", 12, 639_600, 53_300, 1)
    >>> [(a.plan, a.difference_minor) for a in alternatives_to("instalment", 12, 643_200, (), [full, other])]
    [('bank_12', -3600), ('card', -43200)]
    """
    if not offers:
        return ()
    chosen: list[Candidate] = []
    for plan in instead:
        for offer in offers:
            if offer.plan == plan and offer not in chosen:
                chosen.append(offer)
    del chosen[MAX_ALTERNATIVES:]
    if len(chosen) < MAX_ALTERNATIVES:
        ranked = sorted(
            [
                (
                    offer.owns != owns,
                    offer.group != group,
                    abs(offer.periods - periods),
                    offer.total_minor,
                    offer.position,
                    offer,
                )
                for offer in offers
                if offer not in chosen and (offer.owns or not owns)
            ]
        )
        free = MAX_ALTERNATIVES - len(chosen)
        chosen += [entry[5] for entry in ranked[:free]]
        if total_minor is not None and len(ranked) > free:
            least = min([offer.total_minor for offer in chosen if offer.owns == owns], default=None)
            if least is not None and least > total_minor:
                for entry in ranked[free:]:
                    if entry[5].owns == owns and entry[3] <= total_minor:
                        chosen[-1] = entry[5]
                        break
    return tuple(
        [
            Alternative(
                offer.plan,
                None if total_minor is None or offer.owns != owns else offer.total_minor - total_minor,
                offer.total_minor,
                offer.instalment_minor,
                offer.periods,
            )
            for offer in chosen
        ]
    )
