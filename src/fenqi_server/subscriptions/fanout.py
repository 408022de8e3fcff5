"""A revision of an announcement, on its way to everybody who follows what it is about.

`on_revision` is called in the transaction that makes the revision and writes one row: so nothing is sent of a revision
that was rolled back, and a revision that is told twice is fanned out once. The row carries what the revision says, by
value. The worker makes the messages of it afterwards, in batches, for a publication must not wait for ten thousand of them;
killed in between, it goes on where it was.

Each subscription that the revision touches gets one message of it. One exception, for people: where an older revision of the
same announcement still waits to be sent to them (it is night, or their server is away), the newer one takes its place,
and the record says `superseded`. A webhook gets every revision.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from django.db import connection, transaction
from django.utils.translation import gettext

from fenqi.policy.compile import Policy
from fenqi.texts import LOCALES, Text
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice
from fenqi_server.subscriptions import subscription, wishes
from fenqi_server.subscriptions.letters import FINAL
from fenqi_server.subscriptions.messages import NAME_SQL
from fenqi_server.subscriptions.quiet import awake_at
from fenqi_server.subscriptions.said import Moved, Said, decode_said

if TYPE_CHECKING:
    from fenqi_server.announcements.document import BettermentRecord
    from fenqi_server.announcements.lifecycle import Revision

__all__ = ["expand_due", "expire_due", "on_revision"]

BATCH: Final = 1_000
ROUND_SECONDS: Final = 5.0
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
                msgspec.json.encode(_said(shop, revision)).decode(),
                at,
            ],
        )
        return bool(cursor.rowcount)


def _said(shop: Shop, revision: Revision) -> Said:
    from fenqi_server.policies import service as policies

    document = revision.document
    policy = policies.by_digest(document.policy_digest)
    impacts = document.impacts
    names = tuple(dict.fromkeys((*document.plans, *(plan for each in impacts for plan in each.plans))))
    plans = [policy.plan(plan) for plan in names if plan in policy.plan_index]
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
        restored=document.restored,
        further=_further(shop, revision, policy),
        plans=names,
        families=tuple(sorted({plan.family for plan in plans} | {each.family for each in impacts})),
        funders=tuple(sorted({plan.funder for plan in plans} | {each.funder for each in impacts})),
        sales_channels=_where([each.channels for each in impacts]),
        regions=_where([each.regions for each in impacts]),
        moved=tuple(
            Moved(change.field, change.before, change.after)
            for change in document.changes
            if change.field in _MOVABLE
        ),
    )


def _where(named: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Where all impacts together reach; nothing named is everywhere, and one that reaches everywhere is enough for that."""
    if not named or not all(named):
        return ()
    return tuple(sorted({name for names in named for name in names}))


def _further(shop: Shop, revision: Revision, policy: Policy) -> tuple[Text, ...]:
    """What else it says: the purpose, a moved due date, what those affected get, what is better than before."""
    from fenqi_server.announcements import wording

    document = revision.document
    told: dict[str, list[str]] = {}
    for locale in LOCALES:
        voice = Voice(locale, shop.currency, shop.time_zone, document.since)
        with wording.speaking(locale):
            told[locale] = [
                "" if document.purpose is None else voice.text(document.purpose),
                wording.repayment_line(document, voice),
                *(wording.compensation_line(found, voice) for found in document.compensation),
                *(_better(policy, found, voice) for found in document.betterments),
            ]
    return tuple(Text(*both) for both in zip(*(told[locale] for locale in LOCALES), strict=True) if all(both))


def _better(policy: Policy, found: BettermentRecord, voice: Voice) -> str:
    from fenqi_server.announcements import wording

    line = wording.better_line(policy, found, voice)
    return gettext("%(name)s: %(before)s → %(after)s") % {
        "name": line.name,
        "before": line.before,
        "after": line.after,
    }


def expand_due(now: datetime) -> int:
    """The worker's job: make the messages of the revisions that wait, oldest first; how many were made."""
    made, ends = 0, time.monotonic() + ROUND_SECONDS
    for shop in Shop.objects.order_by("created_at"):
        while time.monotonic() < ends:
            count = _expand(shop, now)
            if count is None:
                break
            made += count
    return made


def _expand(shop: Shop, now: datetime) -> int | None:
    """One batch of the oldest revision that is not done; None where there is none."""
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            # In order, one at a time: of two revisions of one announcement the newer is made last.
            cursor.execute(
                "SELECT announcement, number, said::text, created_at, stage, reached_customer, reached"
                " FROM subscriptions_fanout WHERE shop_id = %s AND stage <> 'done'"
                " ORDER BY created_at, announcement, number LIMIT 1 FOR UPDATE SKIP LOCKED",
                [shop.id],
            )
            row = cursor.fetchone()
            if row is None:
                return None
            announcement, number, text, created_at, stage, *reached = row
            said = decode_said(text)
            values = _values(shop, said, created_at, now, reached)
            if stage == "subscriptions":
                made, last = _to_subscriptions(cursor, values)
                following = "subscriptions" if last else ("wishes" if said.kind in FINAL else "done")
            else:
                made, last = _to_wishes(cursor, values)
                following = "wishes" if last else "done"
            cursor.execute(
                "UPDATE subscriptions_fanout SET stage = %s, reached_customer = %s, reached = %s"
                " WHERE shop_id = %s AND announcement = %s AND number = %s",
                [following, *(last or (None, None)), shop.id, announcement, number],
            )
    return made


def _values(
    shop: Shop, said: Said, created_at: datetime, now: datetime, reached: list[Any]
) -> dict[str, Any]:
    return {
        "shop": shop.id,
        "announcement": said.announcement,
        "number": said.number,
        "funders": list(said.funders),
        "families": list(said.families),
        "plans": list(said.plans),
        "sales_channels": list(said.sales_channels),
        "regions": list(said.regions),
        "said_at": created_at,
        "now": now,
        "awake": awake_at(now, shop.time_zone),
        "customer": reached[0],
        "reached": reached[1],
        "batch": BATCH,
    }


_NEXT: Final = (
    " AND (%(customer)s::uuid IS NULL OR (customer_id, id) > (%(customer)s::uuid, %(reached)s::uuid))"
    " ORDER BY customer_id, id LIMIT %(batch)s"
)
# Only who followed it when it was said: a revision is no news to whoever subscribes after it.
_TOUCHED: Final = f"""
SELECT customer_id, id, channel, quiet,
       (funders = '{{}}' AND families = '{{}}' AND plans = '{{}}' OR funders && %(funders)s::text[]
        OR families && %(families)s::text[] OR plans && %(plans)s::text[])
       AND (sales_channels = '{{}}' OR cardinality(%(sales_channels)s::text[]) = 0
            OR sales_channels && %(sales_channels)s::text[])
       AND (regions = '{{}}' OR cardinality(%(regions)s::text[]) = 0 OR regions && %(regions)s::text[])
       AND (announcement = '' OR announcement = %(announcement)s) AS touched
  FROM subscriptions_subscription
 WHERE shop_id = %(shop)s AND state = 'active' AND confirmed_at <= %(said_at)s{_NEXT}
"""
_NAME: Final = NAME_SQL.format(
    text="id::text || ':' || {kind} || ':' || %(announcement)s || ':' || %(number)s::text"
)


def _to_subscriptions(cursor: Any, values: dict[str, Any]) -> tuple[int, tuple[Any, Any] | None]:
    cursor.execute(_TOUCHED, values)
    rows = cursor.fetchall()
    touched = [row for row in rows if row[4]]
    if touched:
        further = {
            **values,
            "customers": [row[0] for row in touched],
            "ids": [row[1] for row in touched],
            "ways": [row[2] for row in touched],
            "dues": [values["awake"] if row[3] else values["now"] for row in touched],
        }
        cursor.execute(_SUPERSEDE, further)
        cursor.execute(_INSERT.format(name=_NAME.format(kind="'revision'")), further)
        made = cursor.rowcount
    else:
        made = 0
    return made, (rows[-1][0], rows[-1][1]) if len(rows) == BATCH else None


# What is being sent at this moment is left alone: it may have arrived already.
_SUPERSEDE: Final = """
WITH gone AS (
    DELETE FROM subscriptions_message m USING unnest(%(customers)s::uuid[], %(ids)s::uuid[]) AS k(c, i)
     WHERE m.customer_id = k.c AND m.target = k.i AND m.kind = 'revision' AND m.announcement = %(announcement)s
       AND m.number < %(number)s AND m.channel <> 'webhook' AND (m.leased_until IS NULL OR m.leased_until <= %(now)s)
    RETURNING m.*)
INSERT INTO subscriptions_delivery (shop_id, customer_id, message_id, attempt, target, kind, channel, announcement,
    number, at, outcome)
SELECT shop_id, customer_id, id, attempt + 1, target, kind, channel, announcement, number, %(now)s, 'superseded'
  FROM gone
"""
_INSERT: Final = """
INSERT INTO subscriptions_message (shop_id, customer_id, id, target, kind, about, channel, announcement, number,
    content, created_at, due_at)
SELECT %(shop)s, customer_id, {name}, id, 'revision', 'subscription', channel, %(announcement)s, %(number)s, '{{}}',
       %(now)s, due
  FROM unnest(%(customers)s::uuid[], %(ids)s::uuid[], %(ways)s::text[], %(dues)s::timestamptz[])
       AS k(customer_id, id, channel, due)
ON CONFLICT DO NOTHING
"""


def _to_wishes(cursor: Any, values: dict[str, Any]) -> tuple[int, tuple[Any, Any] | None]:
    cursor.execute(
        "SELECT customer_id, id FROM subscriptions_wish WHERE shop_id = %(shop)s AND state = 'waiting'"
        f" AND announcement = %(announcement)s{_NEXT}",
        values,
    )
    rows = cursor.fetchall()
    if not rows:
        return 0, None
    further = {**values, "customers": [row[0] for row in rows], "ids": [row[1] for row in rows]}
    cursor.execute(_TELL_WISHES.format(name=_NAME.format(kind="'over'")), further)
    return cursor.rowcount, (rows[-1][0], rows[-1][1]) if len(rows) == BATCH else None


_TELL_WISHES: Final = """
WITH told AS (
    UPDATE subscriptions_wish w SET state = 'telling'
      FROM unnest(%(customers)s::uuid[], %(ids)s::uuid[]) AS k(c, i)
     WHERE w.customer_id = k.c AND w.id = k.i AND w.state = 'waiting'
    RETURNING w.*)
INSERT INTO subscriptions_message (shop_id, customer_id, id, target, kind, about, channel, announcement, number,
    content, created_at, due_at)
SELECT %(shop)s, customer_id, {name}, id, 'over', 'wish', channel, %(announcement)s, %(number)s, '{{}}',
       %(now)s, CASE WHEN at_night THEN %(now)s ELSE %(awake)s END
  FROM told
ON CONFLICT DO NOTHING
"""


def expire_due(now: datetime) -> int:
    """The worker's job: forget the addresses that are needed no longer; how many."""
    return sum(
        subscription.expire_due(shop, now) + wishes.expire_due(shop, now)
        for shop in Shop.objects.order_by("created_at")
    )
