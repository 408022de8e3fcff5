"""The life of an announcement: published, updated, resolved, restored or retracted, each a revision kept for good.

Revisions are made inside the transaction of the publication that changed what the policy says (`record_publication`), so
there is no moment at which the checkout says one thing and the notice another. What the engine finds by itself (an
option that is back) becomes a revision through `append_revision`. Whoever follows announcements is told in the same transaction:
webhooks by the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection
from django.urls import reverse

from fenqi.calendars import to_epoch
from fenqi.policy.compile import Policy
from fenqi_server.announcements.document import (
    Difference,
    Document,
    Kind,
    State,
    changes_between,
    continued,
    decode_document,
    document_of,
    encode_document,
    with_post,
)
from fenqi_server.db import use_shop
from fenqi_server.ids import house_party
from fenqi_server.outbox.service import enqueue
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.subscriptions import fanout

__all__ = [
    "COLUMNS",
    "Revision",
    "append_revision",
    "latest",
    "read_row",
    "record_publication",
    "revision",
    "revisions",
]


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said about one announcement. `number` counts from 1 within it.

    `publication_id` is None where no publication made it, but the engine's answer: an option that is back, or a matter
    that is over.
    """

    shop_id: UUID
    announcement: str
    number: int
    kind: Kind
    state: State
    published_at: datetime
    publication_id: UUID | None
    actor: str
    document: Document

    @property
    def key(self) -> str:
        """Its name inside the shop: the same for as long as it is kept."""
        return f"{self.announcement}/{self.number}"


COLUMNS: Final = (
    "shop_id, announcement, number, kind, state, published_at, publication_id, actor, document::text"
)
_EVENTS: Final = {
    "published": "announcement.published",
    "updated": "announcement.updated",
    "resolved": "announcement.resolved",
    "restored": "announcement.resolved",
    "retracted": "announcement.retracted",
}


def read_row(row: Iterable[Any]) -> Revision:
    shop_id, announcement, number, kind, state, published_at, publication_id, actor, document = row
    return Revision(
        shop_id=shop_id,
        announcement=announcement,
        number=number,
        kind=kind,
        state=state,
        published_at=published_at,
        publication_id=publication_id,
        actor=actor,
        document=decode_document(document),
    )


def latest(shop: Shop) -> dict[str, Revision]:
    """The newest revision of every announcement of the shop, by its id."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT ON (announcement) {COLUMNS} FROM announcements_revision WHERE shop_id = %s"
            " ORDER BY announcement, number DESC",
            [shop.id],
        )
        found = [read_row(row) for row in cursor.fetchall()]
    return {each.announcement: each for each in found}


def revisions(shop: Shop, announcement: str) -> tuple[Revision, ...]:
    """Everything said about one announcement, newest first; empty where there is none of that id."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM announcements_revision WHERE shop_id = %s AND announcement = %s ORDER BY number DESC",
            [shop.id, announcement],
        )
        return tuple(read_row(row) for row in cursor.fetchall())


def revision(shop: Shop, announcement: str, number: int) -> Revision | None:
    """One revision."""
    return next((each for each in revisions(shop, announcement) if each.number == number), None)


def record_publication(
    shop: Shop, before: Policy | None, after: Policy, publication: Any, at: datetime, actor: str
) -> tuple[Revision, ...]:
    """Say what a publication changes, in its own transaction: one revision for each notice that says something else now.

    `before` is what was in force when it begins, `after` what it puts in force from `publication.valid_from` on. What was
    said last is compared with what is to be said, not `before` with `after`: a notice may have been restored meanwhile.

    A notice that the policy no longer has is retracted where it had not begun; otherwise it ends with the change. One
    that another publication still to come has is left alone.
    """
    assert connection.in_atomic_block, "an announcement is made inside the transaction that publishes"
    use_shop(shop.id)
    _lock(shop, after, at)
    begins = to_epoch(publication.valid_from)
    percent = publication.percent
    known = latest(shop)
    made: list[Revision] = []
    for notice in after.notices.values():
        last = known.get(notice.id)
        # What everybody is told already is not for a share of them because a pilot says it too.
        told = before is not None and before.notices.get(notice.id) == notice
        document = document_of(after, notice, not_before=begins, percent=100 if told else percent)
        if last is None:
            made.append(_append(shop, None, "published", document, at, actor, publication.id))
            continue
        document = _lifted(last.document, continued(last.document, document, begins), begins)
        changes = changes_between(last.document, document)
        if changes or last.kind == "retracted":
            document = msgspec.structs.replace(document, changes=changes)
            made.append(_append(shop, last, "updated", document, at, actor, publication.id))
    still = {id for policy in _to_come(shop, after, publication, at) for id in policy.notices}
    if percent < 100 and before is not None:
        still |= before.notices.keys()  # the others have it still
    for last in known.values():
        if last.announcement not in still and last.state not in ("resolved", "retracted"):
            gone = _taken_out(shop, last, begins, at, actor, publication.id)
            made += [] if gone is None else [gone]
    return tuple(made)


def _lifted(last: Document, document: Document, begins: int) -> Document:
    """Rules that linked it are gone while its notice stands: it is over with the change, or has been since an earlier one."""
    if document.impacts or document.until is not None:
        return document
    if last.lifted:
        return msgspec.structs.replace(document, until=last.until, impacts=last.impacts, lifted=True)
    if last.impacts and not last.over(begins):
        return msgspec.structs.replace(document, until=begins, impacts=last.impacts, lifted=True)
    return document


def _to_come(shop: Shop, after: Policy, publication: Any, at: datetime) -> list[Policy]:
    """The policies that are in force once this publication begins, or begin later."""
    names = {
        each.digest
        for each in policies.publications(shop.id)
        if each.valid_from > publication.valid_from or each.valid_from > at
    }
    return [after, *(policies.by_digest(name) for name in names if name != after.digest)]


def _taken_out(
    shop: Shop, last: Revision, begins: int, at: datetime, actor: str, publication_id: UUID
) -> Revision | None:
    document = last.document
    if document.over(begins):
        return None
    if document.since >= begins:
        gone = msgspec.structs.replace(document, changes=(), next_update=None)
        return _append(shop, last, "retracted", gone, at, actor, publication_id)
    changes = (Difference("until", document.until, begins),)
    ended = msgspec.structs.replace(document, until=begins, next_update=None, changes=changes)
    return _append(shop, last, "updated", ended, at, actor, publication_id)


def append_revision(
    shop: Shop, last: Revision, kind: Kind, document: Document, at: datetime, actor: str
) -> Revision | None:
    """Add what no publication made. None where another revision came first: whoever asks looks again."""
    assert connection.in_atomic_block, "a revision and what follows from it are one transaction"
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT last_number FROM announcements_announcement WHERE shop_id = %s AND id = %s FOR UPDATE",
            [shop.id, last.announcement],
        )
        row = cursor.fetchone()
    if row is None or row[0] != last.number:
        return None
    return _append(shop, last, kind, document, at, actor, None)


def _lock(shop: Shop, policy: Policy, at: datetime) -> None:
    """Hold the shop's announcements until the transaction ends, those included that are about to begin."""
    with connection.cursor() as cursor:
        for name in sorted(policy.notices):
            cursor.execute(
                "INSERT INTO announcements_announcement (shop_id, id, first_at, last_number, last_at, kind, starts_at)"
                " VALUES (%s, %s, %s, 0, %s, 'published', %s) ON CONFLICT DO NOTHING",
                [shop.id, name, at, at, at],
            )
        cursor.execute(
            "SELECT 1 FROM announcements_announcement WHERE shop_id = %s ORDER BY id FOR UPDATE", [shop.id]
        )


def _state(kind: Kind, document: Document, at: datetime) -> State:
    if kind == "retracted":
        return "retracted"
    if kind in ("resolved", "restored"):
        return "resolved"
    if document.since > to_epoch(at):
        return "scheduled"
    return "published" if kind == "published" else "updated"


def _append(
    shop: Shop,
    last: Revision | None,
    kind: Kind,
    document: Document,
    at: datetime,
    actor: str,
    publication_id: UUID | None,
) -> Revision:
    state = _state(kind, document, at)
    # Another word about what is over already does not make it open again.
    if kind == "updated" and last is not None and last.state == "resolved" and document.over(to_epoch(at)):
        state = "resolved"
    new = Revision(
        shop_id=shop.id,
        announcement=document.id,
        number=1 if last is None else last.number + 1,
        kind=kind,
        state=state,
        published_at=at,
        publication_id=publication_id,
        actor=actor,
        document=with_post(document, kind),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE announcements_announcement SET last_number = %s, last_at = %s, kind = %s, starts_at = %s,"
            " ends_at = %s, next_update_at = %s WHERE shop_id = %s AND id = %s",
            [
                new.number,
                at,
                kind,
                _instant(document.since),
                _instant(document.until),
                _instant(document.next_update),
                shop.id,
                new.announcement,
            ],
        )
        cursor.execute(
            "INSERT INTO announcements_revision (shop_id, announcement, number, kind, state, published_at,"
            " publication_id, actor, document) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                shop.id,
                new.announcement,
                new.number,
                kind,
                state,
                at,
                publication_id,
                actor,
                encode_document(new.document),
            ],
        )
    enqueue(shop, house_party(shop.id, "announcements"), _EVENTS[kind], _payload(new), at)
    fanout.on_revision(shop, new, at)
    return new


def _instant(epoch: int | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


def _payload(new: Revision) -> dict[str, Any]:
    """What a webhook says: enough to act on, and the address of the rest."""
    document = new.document
    path = reverse("announcements:notice", args=[new.announcement])
    return {
        "announcement": new.announcement,
        "revision": new.number,
        "kind": new.kind,
        "state": new.state,
        "title": msgspec.to_builtins(document.title),
        "since": _instant(document.since),
        "until": _instant(document.until),
        "next_update": _instant(document.next_update),
        "plans": list(document.plans),
        "url": f"{settings.FENQI_ORIGIN}{path}",
    }
