"""Replaying: a recorded decision, decided again from its record, has to come out as it was recorded.

A record holds everything that went into a decision: the cart, the instant, every fact that was gathered, the special
cases in force, and the name of the policy. It also holds what came out: each plan's state and the codes of its reasons.
So the one can be worked out again and compared with the other, years later. Where they differ, either the record was
touched or the engine has changed its meaning, and nobody may rest an answer to a customer on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.checkout.evaluation import Evaluation
from fenqi_server.db import use_shop
from fenqi_server.decisions import log
from fenqi_server.ids import public_id
from fenqi_server.shops.models import Shop

__all__ = ["Difference", "Replay", "compare", "replay_all", "verdicts_of"]

_PAGE_ROWS: Final = 500

Verdicts = dict[str, tuple[str, tuple[str, ...]]]
"""Each plan's state, and the codes of its reasons in order."""


class Difference(msgspec.Struct, frozen=True):
    """One plan that came out otherwise. A plan that only one side knows is None on the other."""

    plan: str
    recorded: tuple[str, tuple[str, ...]] | None
    replayed: tuple[str, tuple[str, ...]] | None


class Replay(msgspec.Struct, frozen=True):
    """One decision's comparison. `fault` says why it could not be decided again at all."""

    decision: str
    source: str
    differences: tuple[Difference, ...] = ()
    fault: str = ""

    @property
    def identical(self) -> bool:
        return not self.differences and not self.fault


def verdicts_of(evaluation: Evaluation) -> Verdicts:
    """What the record keeps of an answer."""
    return {
        option.plan: (option.verdict.state, tuple([reason.code for reason in option.verdict.reasons]))
        for option in evaluation.options
    }


def compare(record: log.Record, evaluation: Evaluation) -> tuple[Difference, ...]:
    """Where the answer worked out again differs from the recorded one; empty where they are the same."""
    recorded = _verdicts(record.verdicts)
    replayed = verdicts_of(evaluation)
    plans = dict.fromkeys((*recorded, *replayed))
    return tuple(
        Difference(plan, recorded.get(plan), replayed.get(plan))
        for plan in plans
        if recorded.get(plan) != replayed.get(plan)
    )


def replay_all(shop: Shop, *, newest: int | None = None) -> Iterator[Replay]:
    """Every decision that the shop's log keeps (or only so many of the `newest`), each decided again and compared."""
    from fenqi_server.decisions.service import decision_of

    last: tuple[UUID, UUID] | None = None
    done = 0
    while newest is None or done < newest:
        page = _page(shop, last, min(_PAGE_ROWS, newest - done) if newest is not None else _PAGE_ROWS)
        for record in page:
            name = public_id("dc", record.customer_id, record.decision_id)
            try:
                decision = decision_of(shop, record)
            except Exception as fault:  # one record that cannot be read must not hide the others
                yield Replay(name, record.source, fault=f"{type(fault).__name__}: {fault}")
            else:
                yield Replay(name, record.source, compare(record, decision.evaluation))
        if not page:
            return
        done += len(page)
        last = (page[-1].decision_id, page[-1].customer_id)


def _page(shop: Shop, last: tuple[UUID, UUID] | None, rows: int) -> list[log.Record]:
    use_shop(shop.id)
    before = "" if last is None else "AND (decision_id, customer_id) < (%s, %s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {log.SELECTED} FROM decisions_decision WHERE shop_id = %s {before}"
            " ORDER BY decision_id DESC, customer_id DESC LIMIT %s",
            [shop.id, *(last or ()), rows],
        )
        return [log.record_of(row) for row in cursor.fetchall()]


# Made with the module: see fenqi.policy.snapshot.
_verdicts: Final = msgspec.json.Decoder(Verdicts).decode
