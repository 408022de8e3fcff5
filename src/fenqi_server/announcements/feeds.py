"""The feeds: the same revisions as Atom (RFC 4287), RSS 2.0, JSON Feed 1.1 and, for what has an end, iCalendar (RFC 5545).

One entry is one revision: it never changes once it is there, so a reader that saw it need not ask again, and one that
comes back is told each move by its old and new time. A feed depends on what was said and on nothing else: not on who
asks, nor on when. Texts are written by operators: every format escapes them in its own way, and what no XML may hold
(control characters) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Final
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import msgspec
from django.conf import settings
from django.urls import reverse
from django.utils.html import escape
from django.utils.translation import gettext

from fenqi.calendars import at_local, from_epoch, local_date, to_epoch, zone_of
from fenqi_server.announcements.document import clean
from fenqi_server.announcements.lifecycle import Revision, latest
from fenqi_server.announcements.reading import Filter, stream
from fenqi_server.announcements.wording import kind_word, plain_text, speaking
from fenqi_server.ical import calendar_bytes, escaped
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = ["FORMATS", "Feed", "feed_of"]

ATOM: Final = "http://www.w3.org/2005/Atom"


class Feed(msgspec.Struct, frozen=True):
    """A feed as it goes out. `modified_at` is when the newest thing in it was said."""

    body: bytes
    content_type: str
    modified_at: datetime


class _Entry(msgspec.Struct, frozen=True):
    revision: Revision
    title: str
    text: str
    url: str
    id: str


class _Source(msgspec.Struct, frozen=True):
    """What every format is made from."""

    shop: Shop
    locale: str
    asked: Filter
    title: str
    about: str
    home: str
    here: str
    id: str
    entries: tuple[_Entry, ...]
    modified_at: datetime


def feed_of(shop: Shop, format: str, locale: str, asked: Filter) -> Feed:
    """The shop's announcements in one of the `FORMATS` and one of the two languages."""
    content_type, make = FORMATS[format]
    with speaking(locale):
        source = _source(shop, format, locale, asked)
        return Feed(make(source), content_type, source.modified_at)


def _source(shop: Shop, format: str, locale: str, asked: Filter) -> _Source:
    found = stream(shop, asked) if format != "ics" else tuple(latest(shop).values())
    found = tuple(each for each in found if asked.fits(each.document))
    query = {"shop": shop.code, "lang": locale, **asked.query}
    here = f"{settings.FENQI_ORIGIN}{reverse('announcements:feed', args=[format])}?{urlencode(query)}"
    host = urlsplit(settings.FENQI_ORIGIN).hostname or "localhost"
    home = f"{settings.FENQI_ORIGIN}{reverse('announcements:index')}?{urlencode({'shop': shop.code, **asked.query})}"
    return _Source(
        shop=shop,
        locale=locale,
        asked=asked,
        title=clean(gettext("%(shop)s: ways to pay") % {"shop": shop.name.in_(locale)}),
        about=gettext("What is changed, paused or moved among the ways to pay, and when it is back."),
        home=home,
        here=here,
        id=f"tag:{host},2026:fenqi/{shop.code}/announcements/{locale}"
        + "".join(f"/{name}={value}" for name, value in asked.query.items()),
        entries=tuple(_entry(each, shop, locale, host) for each in found),
        modified_at=max((each.published_at for each in found), default=shop.created_at),
    )


def _entry(revision: Revision, shop: Shop, locale: str, host: str) -> _Entry:
    document = revision.document
    # The instant of the revision, not of whoever asks: the text of an entry never changes.
    voice = Voice(locale, shop.currency, shop.time_zone, to_epoch(revision.published_at))
    path = reverse("announcements:notice", args=[revision.announcement])
    return _Entry(
        revision=revision,
        title=clean(
            gettext("%(kind)s: %(title)s")
            % {"kind": kind_word(revision.kind), "title": document.title.in_(locale)}
        ),
        text=clean(plain_text(revision, policies.by_digest(document.policy_digest), voice)),
        url=f"{settings.FENQI_ORIGIN}{path}?{urlencode({'shop': shop.code})}#r{revision.number}",
        id=f"tag:{host},2026:fenqi/{shop.code}/{revision.announcement}/{revision.number}/{locale}",
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in text.split("\n") if line)


def _written(root: ET.Element) -> bytes:
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _atom(source: _Source) -> bytes:
    def add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
        made = ET.SubElement(parent, tag, attributes)
        made.text = text
        return made

    # Written out and not registered: ElementTree's table of prefixes is one for all threads.
    root = ET.Element("feed", {"xmlns": ATOM, "xml:lang": source.locale})
    add(root, "id", _iri(source.id))
    add(root, "title", source.title)
    add(root, "subtitle", source.about)
    add(root, "updated", _instant(source.modified_at))
    add(add(root, "author"), "name", clean(source.shop.name.in_(source.locale)))
    add(root, "link", rel="self", href=source.here, type="application/atom+xml")
    add(root, "link", rel="alternate", href=source.home, type="text/html")
    for each in source.entries:
        entry = add(root, "entry")
        at = _instant(each.revision.published_at)
        add(entry, "id", _iri(each.id))
        add(entry, "title", each.title)
        add(entry, "published", at)
        add(entry, "updated", at)
        add(entry, "link", rel="alternate", href=each.url, type="text/html")
        add(entry, "category", term=each.revision.state)
        add(entry, "content", _paragraphs(each.text), type="html")
    return _written(root)


def _iri(text: str) -> str:
    return clean(text).replace(" ", "%20")


def _rss(source: _Source) -> bytes:
    root = ET.Element("rss", {"version": "2.0", "xmlns:atom": ATOM})
    channel = ET.SubElement(root, "channel")

    def add(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
        made = ET.SubElement(parent, tag, attributes)
        made.text = text or None

    add(channel, "title", source.title)
    add(channel, "link", source.home)
    add(channel, "description", source.about)
    add(channel, "language", source.locale.lower())
    add(channel, "lastBuildDate", format_datetime(source.modified_at.astimezone(UTC), usegmt=True))
    add(channel, "ttl", "5")
    own = {"rel": "self", "href": source.here, "type": "application/rss+xml"}
    ET.SubElement(channel, "atom:link", own)
    for each in source.entries:
        item = ET.SubElement(channel, "item")
        add(item, "title", each.title)
        add(item, "link", each.url)
        add(item, "description", _paragraphs(each.text))
        add(item, "category", each.revision.state)
        add(item, "guid", each.id, isPermaLink="false")
        add(item, "pubDate", format_datetime(each.revision.published_at.astimezone(UTC), usegmt=True))
    return _written(root)


def _json(source: _Source) -> bytes:
    items = []
    for each in source.entries:
        revision, document = each.revision, each.revision.document
        items.append(
            {
                "id": each.id,
                "url": each.url,
                "title": each.title,
                "content_text": each.text,
                "content_html": _paragraphs(each.text),
                "summary": clean(document.post.in_(source.locale))
                if document.post is not None
                else each.title,
                "date_published": _instant(revision.published_at),
                "language": source.locale,
                "tags": [revision.state],
                "_fenqi": {
                    "announcement": revision.announcement,
                    "revision": revision.number,
                    "kind": revision.kind,
                    "since": _instant(datetime.fromtimestamp(document.since, UTC)),
                    "until": None
                    if document.until is None
                    else _instant(datetime.fromtimestamp(document.until, UTC)),
                },
            }
        )
    return msgspec.json.encode(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": source.title,
            "home_page_url": source.home,
            "feed_url": source.here,
            "description": source.about,
            "language": source.locale,
            "authors": [{"name": source.shop.name.in_(source.locale)}],
            "items": items,
        }
    )


# ------------------------------------------------------------------------------------------------------ iCalendar


def _ics(source: _Source) -> bytes:
    """What has an end, and what recurs by the day, as events: an entry is updated by its number, and cancelled."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Fenqi//Announcements//EN", "CALSCALE:GREGORIAN"]
    lines += [f"X-WR-CALNAME:{escaped(source.title)}", "METHOD:PUBLISH"]
    entries = [each for each in source.entries if _window(each.revision) is not None]
    if any(each.revision.document.until is None for each in entries):
        lines += _zone_lines(source.shop.time_zone, min(each.revision.document.since for each in entries))
    for each in sorted(entries, key=lambda entry: (entry.revision.document.since, entry.id)):
        lines += _event_lines(each, source)
    lines.append("END:VCALENDAR")
    return calendar_bytes(lines)


def _window(revision: Revision) -> tuple[int, int] | None:
    """From when to when; for what recurs, the minutes of a day."""
    document = revision.document
    if document.until is not None:
        return (document.since, document.until) if document.since < document.until else None
    return next((impact.daily for impact in document.impacts if impact.daily is not None), None)


def _event_lines(each: _Entry, source: _Source) -> Iterator[str]:
    revision, document = each.revision, each.revision.document
    host = urlsplit(settings.FENQI_ORIGIN).hostname or "localhost"
    zone = source.shop.time_zone
    stamp = _utc(to_epoch(revision.published_at))
    yield "BEGIN:VEVENT"
    yield f"UID:{escaped(revision.announcement)}@{source.shop.code}.{host}"
    yield f"DTSTAMP:{stamp}"
    yield f"LAST-MODIFIED:{stamp}"
    yield f"SEQUENCE:{revision.number - 1}"
    window = _window(revision)
    assert window is not None
    if document.until is not None:
        yield f"DTSTART:{_utc(window[0])}"
        yield f"DTEND:{_utc(window[1])}"
    else:
        first = local_date(document.since, zone)
        last = first if window[1] > window[0] else first + timedelta(days=1)
        yield f"DTSTART;TZID={zone}:{_local(first, window[0])}"
        yield f"DTEND;TZID={zone}:{_local(last, window[1])}"
        yield "RRULE:FREQ=DAILY"
    yield f"SUMMARY:{escaped(each.title)}"
    yield f"DESCRIPTION:{escaped(each.text)}"
    yield f"URL:{each.url}"
    confirmed = "TENTATIVE" if document.confidence == "estimate" else "CONFIRMED"
    yield f"STATUS:{'CANCELLED' if revision.state == 'retracted' else confirmed}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _utc(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%dT%H%M%SZ")


def _local(on: date, minute: int) -> str:
    return f"{on:%Y%m%d}T{minute // 60:02}{minute % 60:02}00"


YEARS_OF_ZONE: Final = 3


def _zone_lines(zone: str, since: int) -> Iterator[str]:
    """The zone's clock from the first event on: a block for each stretch with one offset from UTC."""
    yield "BEGIN:VTIMEZONE"
    yield f"TZID:{zone}"
    first = local_date(since, zone).replace(month=1, day=1)
    days = (first + timedelta(days=number) for number in range(366 * YEARS_OF_ZONE + 1))
    before: timedelta | None = None
    for on in days:
        local = from_epoch(at_local(on, 0, zone), zone)
        offset = local.utcoffset() or timedelta()
        if offset != before:
            kind = "DAYLIGHT" if zone_of(zone).dst(local.replace(tzinfo=None)) else "STANDARD"
            yield f"BEGIN:{kind}"
            yield f"DTSTART:{_local(on, 0)}"
            yield f"TZOFFSETFROM:{_offset(offset if before is None else before)}"
            yield f"TZOFFSETTO:{_offset(offset)}"
            yield f"END:{kind}"
            before = offset
    yield "END:VTIMEZONE"


def _offset(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


FORMATS: Final[dict[str, tuple[str, Callable[[_Source], bytes]]]] = {
    "atom": ("application/atom+xml; charset=utf-8", _atom),
    "rss": ("application/rss+xml; charset=utf-8", _rss),
    "json": ("application/feed+json; charset=utf-8", _json),
    "ics": ("text/calendar; charset=utf-8", _ics),
}
