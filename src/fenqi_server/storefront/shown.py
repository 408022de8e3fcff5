"""What a visitor was shown last: the signed offers of their latest evaluations, kept in the session.

A page names an offer by decision and plan. The quotes themselves are long and stay here, where a changed page can
also say what an offer was before.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from django.utils.translation import gettext

from fenqi.terms.disclosure import digest
from fenqi_server.decisions.service import Decision
from fenqi_server.storefront.selector import REGULAR
from fenqi_server.storefront.voice import Voice

__all__ = ["ChangeView", "Shown", "changes_between", "find", "keep_reading", "reading_of", "remember"]

_KEY: Final = "shown"
_KEPT: Final = 3


class Shown(msgspec.Struct, frozen=True):
    """One offer as it was shown."""

    token: str
    expires: int
    disclosure: str
    amount_minor: int
    fee_minor: int
    total_minor: int
    usual_minor: int
    periods: int
    simple_e12: int | None
    reading: str = ""
    """The note of its table's reading, once that was shown: held here, where no form can change it."""

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.expires, UTC)


class ChangeView(msgspec.Struct, frozen=True):
    """One line of old and new."""

    name: str
    before: str
    after: str


def remember(session: MutableMapping[str, Any], decision: Decision) -> dict[str, Shown]:
    """Keep the offers of a decision, and forget those of the ones before the last few."""
    offers: dict[str, Shown] = {}
    for plan, quote in decision.quotes.items():
        option = decision.evaluation.option(plan)
        if option.schedule is None or option.disclosure is None or option.cost is None:
            continue
        rows = [row for row in option.schedule.rows if row.kind in REGULAR]
        offers[plan] = Shown(
            quote.token,
            int(quote.expires_at.timestamp()),
            digest(option.disclosure),
            option.schedule.amount_minor,
            option.schedule.fee_minor,
            option.schedule.total_minor,
            rows[len(rows) // 2].total_minor if len(rows) > 2 else rows[-1].total_minor,
            len(rows),
            option.cost.simple_e12,
        )
    kept = dict(session.get(_KEY, {}))
    kept[decision.public_id] = msgspec.to_builtins(offers)
    while len(kept) > _KEPT:
        kept.pop(next(iter(kept)))
    session[_KEY] = kept
    return offers


def find(session: MutableMapping[str, Any], decision: str, plan: str) -> Shown | None:
    """The offer of a plan as that decision's page showed it."""
    found = session.get(_KEY, {}).get(decision, {}).get(plan)
    return None if found is None else msgspec.convert(found, Shown)


def reading_of(session: MutableMapping[str, Any], decision: str, plan: str) -> str:
    """The note of the reading of this offer's table; empty where it was not shown yet."""
    offer = find(session, decision, plan)
    return "" if offer is None else offer.reading


def keep_reading(session: MutableMapping[str, Any], decision: str, plan: str, note: str) -> None:
    """Remember since when this offer's table is read: closing and opening it again does not begin anew."""
    kept = dict(session.get(_KEY, {}))
    if plan in kept.get(decision, {}):
        kept[decision] = {**kept[decision], plan: {**kept[decision][plan], "reading": note}}
        session[_KEY] = kept


def changes_between(before: Shown | None, after: Shown | None, voice: Voice) -> tuple[ChangeView, ...]:
    """What is different now, old beside new; never silently."""
    if before is None or after is None:
        return ()
    lines = (
        (gettext("Price of the goods"), voice.money(before.amount_minor), voice.money(after.amount_minor)),
        (gettext("Each instalment"), _per(before, voice), _per(after, voice)),
        (gettext("All costs"), voice.money(before.fee_minor), voice.money(after.fee_minor)),
        (gettext("Total to pay"), voice.money(before.total_minor), voice.money(after.total_minor)),
        (gettext("Annual cost"), voice.rate(before.simple_e12), voice.rate(after.simple_e12)),
    )
    return tuple(ChangeView(*line) for line in lines if line[1] != line[2])


def _per(shown: Shown, voice: Voice) -> str:
    return f"{voice.money(shown.usual_minor)} × {shown.periods}"


# Made with the module: see fenqi.policy.snapshot.
msgspec.json.Decoder(Shown)
