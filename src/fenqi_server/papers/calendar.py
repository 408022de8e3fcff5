"""The due dates of a contract as iCalendar (RFC 5545): one day-long event for each row.

A row keeps its UID for good. Only another date makes its SEQUENCE grow, as the RFC has it for what matters to whoever put it
into a calendar; that it was paid is another text, of a later LAST-MODIFIED.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext

from fenqi.contracts.contract import RowState, replay
from fenqi.contracts.events import (
    Accelerated,
    DueDayChanged,
    DueMoved,
    EventRefused,
    LeaseReturned,
    Paused,
    ReAged,
    ReAmortised,
    Renewed,
)
from fenqi.contracts.explanation import explain
from fenqi_server.ical import calendar_bytes, escaped
from fenqi_server.servicing.service import ContractView
from fenqi_server.storefront.selector import row_name
from fenqi_server.storefront.voice import Voice

__all__ = ["due_dates"]

_DATING: Final = (
    Accelerated,
    DueDayChanged,
    DueMoved,
    LeaseReturned,
    Paused,
    ReAged,
    ReAmortised,
    Renewed,
)
"""What may give a row another date."""


def due_dates(view: ContractView, shop: str, voice: Voice, statement_url: str) -> bytes:
    """The calendar in the language that is active."""
    name = gettext("%(shop)s: order %(number)s") % {"shop": shop, "number": view.order_ref}
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Fenqi//Due dates//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{escaped(name)}",
    ]
    moves = _moves(view)
    for row in view.state.rows:
        lines += _event(row, moves[row.number], view, voice, statement_url)
    return calendar_bytes([*lines, "END:VCALENDAR"])


def _moves(view: ContractView) -> Counter[int]:
    """How often each row got another date."""
    moves: Counter[int] = Counter()
    told = sorted(view.events, key=lambda event: event.seq)
    for index, event in enumerate(told):
        if not isinstance(event, _DATING) or event.occurred_on > view.state.as_of:
            continue
        try:
            before = replay(view.terms, told[:index], view.state.as_of)
            after = replay(view.terms, told[: index + 1], view.state.as_of)
        except EventRefused:
            continue
        moves.update(
            change.row
            for change in explain(before, after).rows
            if change.figure == "due_on" and change.before is not None and change.after is not None
        )
    return moves


def _event(row: RowState, moves: int, view: ContractView, voice: Voice, url: str) -> Iterator[str]:
    host = urlsplit(settings.FENQI_ORIGIN).hostname or "localhost"
    # What is said of a row depends on the contract's events and on nothing else: not on who asks, nor on when.
    stamp = _utc(max((event.recorded_at for event in view.events), default=int(view.created_at.timestamp())))
    name = row_name(row.kind, row.number)
    words = {
        "what": gettext("instalment %(n)s") % {"n": name} if name.isdecimal() else name,
        "amount": voice.money(row.outstanding_minor or row.total_minor),
        "order": view.order_ref,
    }
    if row.outstanding_minor:
        summary = gettext("Pay %(amount)s (order %(order)s, %(what)s)") % words
    elif row.total_minor:
        summary = gettext("Paid: %(amount)s (order %(order)s, %(what)s)") % words
    else:
        summary = gettext("Nothing to pay (order %(order)s, %(what)s)") % words
    yield "BEGIN:VEVENT"
    yield f"UID:{view.contract_id}-{row.number}@{host}"
    yield f"DTSTAMP:{stamp}"
    yield f"LAST-MODIFIED:{stamp}"
    yield f"SEQUENCE:{moves}"
    yield f"DTSTART;VALUE=DATE:{row.due_on:%Y%m%d}"
    if row.due_on < date.max:  # without an end, an event lasts its one day (RFC 5545, 3.6.1)
        yield f"DTEND;VALUE=DATE:{row.due_on + timedelta(days=1):%Y%m%d}"
    yield f"SUMMARY:{escaped(summary)}"
    if row.moved_from is not None:
        moved = gettext("Put off from %(day)s, free of charge.") % {"day": row.moved_from.isoformat()}
        yield f"DESCRIPTION:{escaped(moved)}"
    yield f"URL:{url}"
    yield f"STATUS:{'CONFIRMED' if row.total_minor else 'CANCELLED'}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _utc(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%dT%H%M%SZ")
