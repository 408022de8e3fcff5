"""What the public can read: the newest revision of each announcement, in the part of the page where it belongs.

The record is read, not the policy: what was said stays to be read after the policy has moved on. Where in its life an
announcement stands follows from its document and the instant; nothing has to run for it to move from coming to now.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

import msgspec
from django.db import connection

from fenqi.calendars import to_epoch
from fenqi_server.announcements.document import Document
from fenqi_server.announcements.lifecycle import COLUMNS, Revision, latest, read_row
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop

__all__ = ["PHASES", "Filter", "Phase", "board", "phase_of", "stream"]

Phase = Literal["now", "coming", "past"]
PHASES: Final[tuple[Phase, ...]] = ("now", "coming", "past")
STREAM_ROWS: Final = 100


class Filter(msgspec.Struct, frozen=True):
    """Which announcements: those that concern this funder, way to pay, channel and region. What is empty asks nothing."""

    funder: str = ""
    plan: str = ""
    channel: str = ""
    region: str = ""

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Filter:
        """From an address's query. A value that nothing has finds nothing; it is not an error."""
        return cls(*(asked.get(name, "").strip()[:80] for name in cls.__struct_fields__))

    @property
    def query(self) -> dict[str, str]:
        """As it stands in an address."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name))}

    def fits(self, document: Document) -> bool:
        """Whether the announcement concerns it. `plan` may name a whole family of plans."""
        if not self.query:
            return True
        if not document.impacts:
            return self.plan in document.plans and not (self.funder or self.channel or self.region)
        return any(
            (not self.funder or impact.funder == self.funder)
            and (not self.plan or self.plan == impact.family or self.plan in impact.plans)
            and (not self.channel or not impact.channels or self.channel in impact.channels)
            and (not self.region or not impact.regions or self.region in impact.regions)
            for impact in document.impacts
        )


EVERYTHING: Final = Filter()


def phase_of(revision: Revision, at: int) -> Phase:
    """Where an announcement stands at an instant: it is coming, it is now, or it is past."""
    document = revision.document
    if revision.state in ("resolved", "retracted") or document.over(at):
        return "past"
    return "coming" if document.since > at else "now"


def board(shop: Shop, at: datetime, asked: Filter = EVERYTHING) -> dict[Phase, tuple[Revision, ...]]:
    """The shop's announcements by phase: what is now and what is past newest first, what is coming soonest first."""
    now = to_epoch(at)
    parts: dict[Phase, list[Revision]] = {phase: [] for phase in PHASES}
    for revision in latest(shop).values():
        if asked.fits(revision.document):
            parts[phase_of(revision, now)].append(revision)
    parts["now"].sort(key=lambda each: (-each.document.since, each.announcement))
    parts["coming"].sort(key=lambda each: (each.document.since, each.announcement))
    parts["past"].sort(
        key=lambda each: (-(each.document.until or to_epoch(each.published_at)), each.announcement)
    )
    return {phase: tuple(found) for phase, found in parts.items()}


def stream(shop: Shop, asked: Filter = EVERYTHING) -> tuple[Revision, ...]:
    """The newest revisions of all announcements, newest first: what a feed tells."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM announcements_revision WHERE shop_id = %s"
            " ORDER BY published_at DESC, announcement, number DESC LIMIT %s",
            [shop.id, STREAM_ROWS * (10 if asked.query else 1)],
        )
        found = [read_row(row) for row in cursor.fetchall()]
    return tuple([each for each in found if asked.fits(each.document)][:STREAM_ROWS])
