"""A revision of an announcement, on its way to everybody who follows what it is about.

`on_revision` is called in the transaction that makes the revision and writes one row: so nothing is sent of a revision
that was rolled back, and a revision that is told twice is fanned out once. The row carries what the revision says, by
value. The worker makes the messages of it afterwards, in batches, for a publication must not wait for ten thousand of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
from django.db import connection

from fenqi.texts import Text
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop

if TYPE_CHECKING:
    from fenqi_server.announcements.lifecycle import Revision

__all__ = ["Moved", "Said", "on_revision"]


class Moved(msgspec.Struct, frozen=True):
    """A time that a revision tells otherwise than the one before. Epoch seconds; None is not known."""

    field: str
    before: int | None
    after: int | None


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message needs of a revision: its words in both languages, its times, and what it is about."""

    announcement: str
    number: int
    kind: str
    state: str
    title: Text
    reason: Text
    affected: Text
    unaffected: Text
    since: int
    until: int | None = None
    next_update: int | None = None
    plans: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    funders: tuple[str, ...] = ()
    sales_channels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    moved: tuple[Moved, ...] = ()


_MOVABLE: Final = ("since", "until", "next_update")


def on_revision(shop: Shop, revision: Revision, at: datetime) -> bool:
    """Have this revision told, exactly once, if the caller's transaction commits. False where it is known already."""
    assert connection.in_atomic_block, "a revision and its being told are one transaction"
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO subscriptions_fanout (shop_id, announcement, number, kind, said, created_at, stage)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'subscriptions') ON CONFLICT DO NOTHING",
            [
                shop.id,
                revision.announcement,
                revision.number,
                revision.kind,
                msgspec.json.encode(_said(revision)).decode(),
                at,
            ],
        )
        return bool(cursor.rowcount)


def _said(revision: Revision) -> Said:
    from fenqi_server.policies import service as policies

    document = revision.document
    policy = policies.by_digest(document.policy_digest)
    plans = [policy.plan(plan) for plan in document.plans if plan in policy.plan_index]
    return Said(
        announcement=revision.announcement,
        number=revision.number,
        kind=revision.kind,
        state=revision.state,
        title=document.title,
        reason=document.reason,
        affected=document.affected,
        unaffected=document.unaffected,
        since=document.since,
        until=document.until,
        next_update=document.next_update,
        plans=tuple(document.plans),
        families=tuple(sorted({plan.family for plan in plans})),
        funders=tuple(sorted({plan.funder for plan in plans})),
        moved=tuple(
            Moved(change.field, change.before, change.after)
            for change in document.changes
            if change.field in _MOVABLE
        ),
    )
