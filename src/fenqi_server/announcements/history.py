"""A way to pay's last ninety days, from what was announced: which stretches were paused, limited or moved down.

Each revision's impacts hold from its publication until the next revision of the same announcement, clipped to their own
window. Stretches that continue are one. Nothing is asked of the engine: this is a record, and stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

import msgspec
from django.db import connection

from fenqi.calendars import at_local, local_date, to_epoch
from fenqi.texts import Text
from fenqi_server.announcements.document import ImpactRecord
from fenqi_server.announcements.lifecycle import COLUMNS, Revision, read_row
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop

__all__ = ["DAYS", "Day", "Span", "days_of", "spans_of"]

DAYS: Final = 90
_WORST: Final = ("paused", "limited", "demoted", "changed", "restored", "new")


class Span(msgspec.Struct, frozen=True):
    """A stretch of time in which something was so. `end` None: it still is."""

    announcement: str
    title: Text
    effect: str
    plans: tuple[str, ...]
    start: int
    end: int | None
    daily: tuple[int, int] | None = None
    segment: Text | None = None


class Day(msgspec.Struct, frozen=True):
    """One day: the worst that held on it, or nothing. `part`: only for some hours of it, or for some customers."""

    on: date
    effect: str
    part: bool


def spans_of(shop: Shop, family: str, at: int) -> tuple[Span, ...]:
    """What was announced of a family of plans up to `at`, within the last `DAYS` days, newest first."""
    since = at_local(local_date(at, shop.time_zone) - timedelta(days=DAYS - 1), 0, shop.time_zone)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM announcements_revision WHERE shop_id = %s ORDER BY announcement, number",
            [shop.id],
        )
        revisions = [read_row(row) for row in cursor.fetchall()]
    found = [span for each in _held(revisions) for span in _spans(*each, family)]
    return tuple(
        sorted(
            (
                span
                for span in _joined(found)
                if span.start <= at and (span.end is None or span.end > since) and span.start != span.end
            ),
            key=lambda span: (-span.start, span.announcement),
        )
    )


def _held(revisions: Iterable[Revision]) -> Iterable[tuple[Revision, int | None]]:
    """Each revision with the instant until which it was the newest of its announcement."""
    ordered = list(revisions)
    for revision, following in zip(ordered, [*ordered[1:], None], strict=True):
        same = following is not None and following.announcement == revision.announcement
        yield revision, to_epoch(following.published_at) if following is not None and same else None


def _spans(revision: Revision, until: int | None, family: str) -> Iterable[Span]:
    document = revision.document
    if revision.state == "retracted":
        return
    said = to_epoch(revision.published_at)
    for impact in document.impacts:
        if impact.family != family or impact.act != "buy":
            continue
        start = max(said, document.since, impact.start or 0)
        ends = [end for end in (until, impact.end, document.until) if end is not None]
        end = min(ends) if ends else None
        if end is None or start < end:
            yield _span(revision, impact, start, end)


def _span(revision: Revision, impact: ImpactRecord, start: int, end: int | None) -> Span:
    return Span(
        revision.announcement,
        revision.document.title,
        impact.effect,
        impact.plans,
        start,
        end,
        impact.daily,
        impact.segment,
    )


def _joined(spans: Iterable[Span]) -> list[Span]:
    """A matter that went on through a revision of its words is one stretch."""
    found: dict[tuple[object, ...], Span] = {}
    done: list[Span] = []
    for span in sorted(spans, key=lambda each: each.start):
        key = (span.announcement, span.effect, span.plans, span.daily, span.segment)
        before = found.get(key)
        if before is not None and before.end is not None and before.end >= span.start:
            found[key] = msgspec.structs.replace(span, start=before.start)
        else:
            if before is not None:
                done.append(before)
            found[key] = span
    return [*done, *found.values()]


def days_of(spans: Iterable[Span], shop: Shop, at: int) -> tuple[Day, ...]:
    """The last `DAYS` days, the oldest first, each with the worst that held on it."""
    spans = tuple(spans)
    today = local_date(at, shop.time_zone)
    found = []
    for number in range(DAYS - 1, -1, -1):
        on = today - timedelta(days=number)
        begins, ends = at_local(on, 0, shop.time_zone), at_local(on + timedelta(days=1), 0, shop.time_zone)
        ends = min(ends, at + 1)
        held = [span for span in spans if span.start < ends and (span.end is None or span.end > begins)]
        if not held:
            found.append(Day(on, "", False))
            continue
        worst = min(held, key=lambda span: _WORST.index(span.effect))
        whole = any(
            span.effect == worst.effect
            and span.start <= begins
            and (span.end is None or span.end >= ends)
            and span.daily is None
            and span.segment is None
            for span in held
        )
        found.append(Day(on, worst.effect, not whole))
    return tuple(found)
