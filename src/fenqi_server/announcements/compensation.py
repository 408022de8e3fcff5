"""Compensation: what an announcement promises to those it hit is issued to exactly those, and redeemed once.

Whom it hit is read from the record: whoever's *recorded checkout* linked the announcement in its time, and nobody else. The job
reads the decision log from where it stopped, decides each record again with its own policy and facts (the same
answer, by the same engine), and looks whether the notice is linked. Reading a stretch twice grants nothing twice: a
customer gets each of an announcement's compensations once, which the database holds.

Visitors who were not signed in have no account that could hold a grant; they get none.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection
from django.utils.translation import gettext, pgettext

from fenqi.calendars import to_epoch
from fenqi.texts import Text
from fenqi_server.announcements.affected import links_of
from fenqi_server.announcements.document import CompensationRecord, Document
from fenqi_server.announcements.lifecycle import Revision, latest
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.decisions import service as decisions
from fenqi_server.ids import anonymous_party, first_uuid7, parse_public_id, public_id, uuid7
from fenqi_server.outbox.service import enqueue
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = [
    "Grant",
    "NoGrant",
    "Spent",
    "issue_due",
    "name_line",
    "of_announcement",
    "of_customer",
    "redeem",
    "state_line",
]

BATCH: Final = 200
LATE: Final = timedelta(seconds=30)
"""A decision is written within a second of being made: what is younger than this may still be missing from the log."""
MAX_REFERENCE: Final = 200


class NoGrant(LookupError):
    """No grant of this shop has the id."""


class Spent(Exception):  # an answer, and nothing was written
    """The grant cannot be redeemed. `code`: redeemed, expired."""

    def __init__(self, code: str, grant: Grant) -> None:
        super().__init__(f"{code}: {grant.public_id}")
        self.code = code
        self.grant = grant


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What one customer got for one announcement. `amount_minor` None: no amount is stated, as for a kept price.

    `redeemed_for` is the shop's reference of what it was used for.
    """

    shop_id: UUID
    customer_id: UUID
    id: UUID
    announcement: str
    number: int
    terms: str
    kind: str
    name: Text
    amount_minor: int | None
    currency: str
    decision_id: UUID
    affected_at: datetime
    issued_at: datetime
    expires_at: datetime | None
    redeemed_at: datetime | None
    redeemed_for: str | None

    @property
    def public_id(self) -> str:
        return public_id("cg", self.customer_id, self.id)

    @property
    def decision(self) -> str:
        """The checkout that was affected."""
        return public_id("dc", self.customer_id, self.decision_id)

    def state(self, at: datetime) -> str:
        """open, redeemed or expired."""
        if self.redeemed_at is not None:
            return "redeemed"
        return "expired" if self.expires_at is not None and self.expires_at <= at else "open"


_COLUMNS: Final = (
    "shop_id, customer_id, id, announcement, number, terms, kind, name::text, amount_minor, currency, decision_id,"
    " affected_at, issued_at, expires_at, redeemed_at, redeemed_for"
)
_FIELDS: Final = Grant.__struct_fields__


def _grant(row: Any) -> Grant:
    values = dict(zip(_FIELDS, row, strict=True))
    values["name"] = _text(values["name"])
    return Grant(**values)


def _select(where: str, *values: object) -> tuple[Grant, ...]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM announcements_grant WHERE {where}", values)
        return tuple(_grant(row) for row in cursor.fetchall())


def of_customer(shop: Shop, customer_id: UUID) -> tuple[Grant, ...]:
    """What a customer was granted, newest first."""
    use_shop(shop.id)
    return _select("customer_id = %s AND shop_id = %s ORDER BY issued_at DESC, id", customer_id, shop.id)


def of_announcement(shop: Shop, announcement: str) -> tuple[Grant, ...]:
    """Everything granted for one announcement, in the order in which people were affected."""
    use_shop(shop.id)
    return _select("shop_id = %s AND announcement = %s ORDER BY affected_at, id", shop.id, announcement)


# ----------------------------------------------------------------------------------------------------- issuing


def issue_due(now: datetime) -> int:
    """Issue what announcements promise, from the decisions recorded since last time, and say how many grants that was.

    A job of the worker. Each round reads a bounded stretch of the log for each announcement with compensation.
    """
    return sum(_issue_of(shop, now) for shop in Shop.objects.order_by("created_at"))


def _issue_of(shop: Shop, now: datetime) -> int:
    issued = 0
    for revision in latest(shop).values():
        # What was promised is kept: a retracted notice keeps its promise up to its retraction.
        if revision.document.compensation:
            issued += _issue(shop, revision, now)
    return issued


def _stretch(revision: Revision, now: datetime) -> tuple[datetime, datetime]:
    """The time in which somebody can have been affected: that of the announcement, as far as it is over."""
    document = revision.document
    ends = [now - LATE]
    if document.until is not None:
        ends.append(datetime.fromtimestamp(document.until, UTC))
    if revision.state == "retracted":
        ends.append(revision.published_at)
    return datetime.fromtimestamp(document.since, UTC), min(ends)


def _issue(shop: Shop, revision: Revision, now: datetime) -> int:
    since, until = _stretch(revision, now)
    job = _job(revision.document)
    reached = max(_reached(shop, revision.announcement, job), first_uuid7(since))
    use_shop(shop.id)
    with connection.cursor() as cursor:
        # A name is made from its instant, to the millisecond; what an instant does not reach, it leaves out.
        cursor.execute(
            "SELECT decision_id, customer_id, policy_digest FROM decisions_decision WHERE shop_id = %s"
            " AND decision_id >= %s AND decision_id < %s ORDER BY decision_id LIMIT %s",
            [shop.id, reached, first_uuid7(max(since, until)), BATCH],
        )
        rows = cursor.fetchall()
    if not rows:
        return 0
    anonymous = anonymous_party(shop.id)
    # A policy without the notice cannot have linked it.
    linking = {
        digest
        for digest in {row[2] for row in rows}
        if revision.announcement in policies.by_digest(digest).notices
    }
    issued = 0
    for decision_id, customer_id, digest in rows:
        if customer_id != anonymous and digest in linking:
            issued += _issue_for(shop, revision, customer_id, decision_id, now)
    _reach(shop, revision.announcement, job, UUID(int=rows[-1][0].int + 1))
    return issued


def _issue_for(shop: Shop, revision: Revision, customer_id: UUID, decision_id: UUID, now: datetime) -> int:
    document = revision.document
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT terms FROM announcements_grant WHERE customer_id = %s AND announcement = %s",
            [customer_id, revision.announcement],
        )
        has = {row[0] for row in cursor.fetchall()}
    missing = [terms for terms in document.compensation if terms.id not in has]
    if not missing:
        return 0
    decision = decisions.load(public_id("dc", customer_id, decision_id), shop=shop)
    if not any(link.notice == revision.announcement for link in links_of(decision.evaluation)):
        return 0
    return in_transaction(lambda: sum(_insert(shop, revision, decision, terms, now) for terms in missing))


def _insert(
    shop: Shop, revision: Revision, decision: decisions.Decision, terms: CompensationRecord, now: datetime
) -> int:
    use_shop(shop.id)
    name = uuid7(now)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO announcements_grant (shop_id, customer_id, id, announcement, number, terms, kind, name,"
            " amount_minor, currency, decision_id, affected_at, issued_at, expires_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT ON CONSTRAINT announcements_grant_once DO NOTHING",
            [
                shop.id,
                decision.customer_id,
                name,
                revision.announcement,
                revision.number,
                terms.id,
                terms.kind,
                msgspec.json.encode(terms.name).decode(),
                _amount(terms, decision),
                shop.currency,
                decision.id,
                decision.at,
                now,
                _expires_at(terms, revision.document, decision.at),
            ],
        )
        if not cursor.rowcount:
            return 0
    enqueue(
        shop,
        decision.customer_id,
        "compensation.issued",
        {
            "compensation": public_id("cg", decision.customer_id, name),
            "announcement": revision.announcement,
            "kind": terms.kind,
            "evaluation_id": decision.public_id,
        },
        now,
    )
    return 1


def _amount(terms: CompensationRecord, decision: decisions.Decision) -> int | None:
    """What it is worth. A price that is kept is the price of the checkout that could not be paid that way."""
    if terms.kind == "price_protection":
        return decision.evaluation.amount_minor
    return terms.amount_minor or None


def _expires_at(terms: CompensationRecord, document: Document, affected_at: datetime) -> datetime | None:
    """Its hours count from the end of what made it necessary; where no end is known, from the checkout."""
    if not terms.hours:
        return None
    start = affected_at
    if document.until is not None:
        start = max(start, datetime.fromtimestamp(document.until, UTC))
    return start + timedelta(hours=terms.hours)


def _job(document: Document) -> str:
    """The reading of the log for these terms since this instant: other terms, or an earlier start, begin anew."""
    return f"compensation:{document.since}:{','.join(sorted(terms.id for terms in document.compensation))}"


def _reached(shop: Shop, announcement: str, job: str) -> UUID:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reached FROM announcements_scan WHERE shop_id = %s AND announcement = %s AND job = %s",
            [shop.id, announcement, job],
        )
        row = cursor.fetchone()
    return row[0] if row else UUID(int=0)


def _reach(shop: Shop, announcement: str, job: str, reached: UUID) -> None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO announcements_scan AS s (shop_id, announcement, job, reached) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (shop_id, announcement, job)"
            " DO UPDATE SET reached = greatest(s.reached, excluded.reached)",
            [shop.id, announcement, job, reached],
        )


# --------------------------------------------------------------------------------------------------- redeeming


def redeem(shop: Shop, grant: str, used_for: str, at: datetime) -> Grant:
    """Use a grant, once, for what the shop's reference names. Raises `NoGrant`, `Spent`.

    The same reference again returns the grant as it is: a repeated request is one request.
    """
    if not used_for or len(used_for) > MAX_REFERENCE:
        raise ValueError(f"a reference has 1 to {MAX_REFERENCE} characters")
    try:
        customer_id, name = parse_public_id(grant, "cg")
    except ValueError:
        raise NoGrant(grant) from None

    def act() -> Grant:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            # The condition stands in the statement: of two at once the second finds it redeemed.
            cursor.execute(
                "UPDATE announcements_grant SET redeemed_at = %s, redeemed_for = %s"
                " WHERE customer_id = %s AND id = %s AND shop_id = %s AND redeemed_at IS NULL"
                " AND (expires_at IS NULL OR expires_at > %s)",
                [at, used_for, customer_id, name, shop.id, at],
            )
            done = cursor.rowcount
        found = _select("customer_id = %s AND id = %s AND shop_id = %s", customer_id, name, shop.id)
        if not found:
            raise NoGrant(grant)
        if not done and found[0].redeemed_for != used_for:
            raise Spent("redeemed" if found[0].redeemed_at is not None else "expired", found[0])
        return found[0]

    return in_transaction(act)


# ------------------------------------------------------------------------------------------------------- words


def name_line(grant: Grant, voice: Voice) -> str:
    """What it is, in a line."""
    parts = [voice.text(grant.name)]
    if grant.amount_minor is not None:
        parts.append(voice.money(grant.amount_minor))
    return " · ".join(parts)


def state_line(grant: Grant, voice: Voice) -> str:
    """Whether it can still be used, and until when."""
    if grant.redeemed_at is not None:
        return gettext("used on %(at)s") % {"at": voice.instant(to_epoch(grant.redeemed_at))}
    if grant.expires_at is None:
        return pgettext("compensation", "yours, without an end date")
    end = voice.instant(to_epoch(grant.expires_at))
    if to_epoch(grant.expires_at) <= voice.at:
        return gettext("expired on %(at)s") % {"at": end}
    return gettext("yours until %(at)s") % {"at": end}


# Made with the module: see fenqi.policy.snapshot.
_text: Final = msgspec.json.Decoder(Text).decode
