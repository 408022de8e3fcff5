"""The feeds are what their formats say, say what was said, never change what they said, and carry nothing alive."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import feedparser
import icalendar
import jsonschema
import pytest
from lxml import etree
from tests.announcements.policies import changed_notice
from tests.api.world import AT, demo_snapshot

from fenqi.calendars import format_instant
from fenqi.texts import Text

SCHEMAS = Path(__file__).parent / "schemas"
PAUSE = "beichen-24-pause"
LANGUAGES = ("zh-CN", "en")
ATOM = "{http://www.w3.org/2005/Atom}"

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></text><script>alert(2)</script>",
    "]]><script>alert(3)</script>",
    "&lt;b&gt; &amp; &quot; &#x3c;script&#x3e;",
    "javascript:alert(4)",
    "{{ 7*7 }} {% load x %}",
    "ends\r\nBEGIN:VEVENT\r\nSUMMARY:forged\r\nEND:VEVENT",
    'a;b,c\\d:e"f',
    "bell\x07 null\x00 escape\x1b vertical\x0b next\u0085 line\u2028 paragraph\u2029",
    "<svg onload=alert(5)>，；：中文《》",
    "非常长" * 60,
)


@pytest.fixture
def client():
    from django.test import Client

    return Client()


def _get(client: Any, format: str, language: str = "zh-CN", **headers: str) -> Any:
    answer = client.get(f"/announcements/feed.{format}?lang={language}", headers=headers)
    assert answer.status_code in (200, 304)
    return answer


def _publish(mall: Any, snapshot: Any, at: datetime = AT) -> None:
    from fenqi_server.policies import service as policies

    policies.publish(mall.shop, snapshot, at, "staff:ann", silent_reason="a test")


def _hostile(text: str) -> Any:
    said = Text(f"恶意{text}", f"hostile {text}")
    return changed_notice(
        demo_snapshot(), PAUSE, title=said, reason=said, affected=said, unaffected=said, until=None
    )


def _valid_atom(body: bytes) -> etree._Element:
    schema = etree.RelaxNG(etree.parse(SCHEMAS / "atom.rng"))
    document = etree.fromstring(body)
    schema.assertValid(document)
    # What RFC 4287 says beside its grammar: an author for every entry, unique ids, a link where there is no content.
    assert document.find(f"{ATOM}author/{ATOM}name").text
    ids = [entry.find(f"{ATOM}id").text for entry in document.findall(f"{ATOM}entry")]
    assert len(set(ids)) == len(ids)
    assert len(document.findall(f"{ATOM}link[@rel='self']")) == 1
    return document


def _valid_rss(body: bytes) -> etree._Element:
    document = etree.fromstring(body)
    etree.RelaxNG(etree.parse(SCHEMAS / "rss.rng")).assertValid(document)
    guids = [guid.text for guid in document.iter("guid")]
    assert len(set(guids)) == len(guids)
    return document


def _valid_json(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    schema = json.loads((SCHEMAS / "jsonfeed.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    return document


def _valid_ics(body: bytes) -> list[Any]:
    assert body.endswith(b"\r\n")
    lines = body.split(b"\r\n")[:-1]
    assert all(len(line) <= 75 for line in lines), "a line is at most 75 octets"
    assert b"\n" not in body.replace(b"\r\n", b"")
    for line in lines:
        line.decode()  # never cut inside a letter
    calendar = icalendar.Calendar.from_ical(body)
    assert calendar["VERSION"] == "2.0"
    events = list(calendar.walk("VEVENT"))
    for event in events:
        assert event.errors == []
        assert event["UID"]
        assert event.decoded("DTSTART") < event.decoded("DTEND")
    return events


CHECKS = {"atom": _valid_atom, "rss": _valid_rss, "json": _valid_json, "ics": _valid_ics}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("format", CHECKS)
def test_a_feed_is_what_its_format_says(mall, client, format, language):
    _publish(mall, changed_notice(demo_snapshot(), PAUSE, until=int(AT.timestamp()) + 7200))
    answer = _get(client, format, language)
    found = CHECKS[format](answer.content)
    assert len(found), "an empty feed would be valid too"


@pytest.mark.parametrize("format", ["atom", "rss"])
def test_a_schema_that_accepts_anything_would_prove_nothing(mall, client, format):
    body = _get(client, format).content
    for wrong, right in ((b"<title>", b"<titel>"), (b"</title>", b"</titel>")):
        body = body.replace(wrong, right)
    with pytest.raises((etree.DocumentInvalid, AttributeError)):
        CHECKS[format](body)


@pytest.mark.parametrize("format", ["atom", "rss"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reader_of_feeds_reads_it(mall, client, format, language):
    found = feedparser.parse(_get(client, format, language).content)
    assert not found.bozo, found.get("bozo_exception")
    assert found.version == {"atom": "atom10", "rss": "rss20"}[format]
    notice = next(each for each in demo_snapshot().notices if each.id == PAUSE)
    entry = next(each for each in found.entries if notice.title.in_(language) in each.title)
    assert notice.reason.in_(language) in (entry.summary or entry.content[0].value)
    assert f"/announcements/{PAUSE}/" in entry.link


@pytest.mark.parametrize("format", ["atom", "rss", "json"])
def test_a_moved_time_is_a_new_entry_with_old_and_new_and_the_old_entry_stays_as_it_was(mall, client, format):
    def entries():
        body = _get(client, format, "en").content
        if format == "json":
            return {each["id"]: each for each in json.loads(body)["items"]}
        return {each.id: (each.title, each.summary) for each in feedparser.parse(body).entries}

    before = entries()
    old = next(each for each in demo_snapshot().notices if each.id == PAUSE).until
    _publish(mall, changed_notice(demo_snapshot(), PAUSE, until=old + 7200), AT)
    after = entries()
    assert {id: entry for id, entry in after.items() if id in before} == before
    (new,) = set(after) - set(before)
    assert f"{PAUSE}/2" in new
    said = json.dumps(after[new], ensure_ascii=False)
    times = [format_instant(at, "Asia/Shanghai", "en", year=2026) for at in (old, old + 7200)]
    assert " → ".join(times) in said


@pytest.mark.parametrize("format", CHECKS)
def test_a_reader_that_has_it_gets_no_body_until_something_new_is_said(mall, client, format):
    first = _get(client, format)
    assert first["ETag"]
    assert first["Last-Modified"]
    again = _get(client, format)
    assert (again["ETag"], again["Last-Modified"], again.content) == (
        first["ETag"],
        first["Last-Modified"],
        first.content,
    )
    kept = _get(client, format, if_none_match=first["ETag"])
    assert (kept.status_code, kept.content) == (304, b"")
    dated = _get(client, format, if_modified_since=first["Last-Modified"])
    assert dated.status_code == 304
    _publish(mall, changed_notice(demo_snapshot(), PAUSE, until=int(AT.timestamp()) + 7200), AT)
    fresh = _get(client, format, if_none_match=first["ETag"])
    assert fresh.status_code == 200
    assert fresh["ETag"] != first["ETag"]
    assert _get(client, format, if_modified_since=first["Last-Modified"]).status_code == 200


def test_the_same_question_later_and_by_another_gets_the_same_bytes(mall, client):
    from django.test import Client

    from fenqi_server import clock

    bodies = set()
    for days in (0, 1, 40):
        with clock.pinned(AT + timedelta(days=days)):
            bodies |= {_get(Client(), format).content for format in CHECKS}
    assert len(bodies) == len(CHECKS)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_operators_write_is_text_in_every_format(mall, client, text, language):
    _publish(mall, _hostile(text))
    for format in ("atom", "rss"):
        document = CHECKS[format](_get(client, format, language).content)
        assert not list(document.iter("script", f"{ATOM}script", "{*}script", "{*}img", "{*}svg"))
        for element in document.iter(f"{ATOM}content", "description"):
            inner = etree.HTML(f"<div>{element.text}</div>")
            assert not inner.xpath("//script|//img|//svg|//@onerror|//@onload"), (
                "escaped a second time, as HTML"
            )
    for item in _valid_json(_get(client, "json", language).content)["items"]:
        inner = etree.HTML(f"<div>{item['content_html']}</div>")
        assert not inner.xpath("//script|//img|//svg|//@onerror|//@onload")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_breaks_out_of_a_calendar_entry(mall, client, text, language):
    before = len(_valid_ics(_get(client, "ics", language).content))
    said = Text(f"恶意{text}", f"hostile {text}")
    _publish(mall, changed_notice(demo_snapshot(), PAUSE, title=said, reason=said))
    events = _valid_ics(_get(client, "ics", language).content)
    assert len(events) == before
    assert all(
        "forged" not in str(event["SUMMARY"])
        or "hostile" in str(event["SUMMARY"])
        or "恶意" in str(event["SUMMARY"])
        for event in events
    )
    (event,) = (each for each in events if each["UID"].startswith(PAUSE))
    kept = "".join(letter for letter in text if letter.isalnum())
    assert kept[:20] in "".join(letter for letter in str(event["SUMMARY"]) if letter.isalnum())


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_operators_write_is_text_on_pages_and_pictures(mall, client, text, language):
    _publish(mall, _hostile(text))
    headers = {"accept-language": {"zh-CN": "zh-CN", "en": "en"}[language]}
    for path in ("/announcements/", f"/announcements/{PAUSE}/", "/ways-to-pay/", "/ways-to-pay/beichen/"):
        page = client.get(path, headers=headers)
        assert page.status_code == 200
        tree = etree.HTML(page.content)
        assert not tree.xpath("//script[not(@src)]|//@onerror|//@onload|//img"), path
        assert not [link for link in tree.xpath("//@href") if link.lower().startswith("javascript")]
    for path in (f"/announcements/{PAUSE}/2/card.{language}.svg", f"/badge.svg?lang={language}"):
        picture = client.get(path)
        assert picture["Content-Type"].startswith("image/svg+xml")
        root = etree.fromstring(picture.content)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        tags = {etree.QName(each).localname for each in root.iter()}
        assert tags <= {"svg", "title", "rect", "text", "circle"}, tags
        assert not root.xpath("//@*[starts-with(name(), 'on')]|//@style|//@href")


def test_the_calendar_holds_planned_windows_and_what_recurs_and_cancels_what_is_withdrawn(mall, client):
    from tests.announcements.policies import with_notices

    since = int(AT.timestamp()) + 86_400
    _publish(mall, with_notices(demo_snapshot(), "planned", since=since, until=since + 3600))

    def planned():
        events = _valid_ics(_get(client, "ics", "en").content)
        return next(event for event in events if event["UID"].startswith("planned@"))

    event = planned()
    assert event.decoded("DTSTART") == datetime.fromtimestamp(since, UTC)
    assert event.decoded("DTEND") == datetime.fromtimestamp(since + 3600, UTC)
    assert (event["STATUS"], event["SEQUENCE"]) == ("CONFIRMED", 0)
    _publish(
        mall,
        with_notices(demo_snapshot(), "planned", since=since, until=since + 7200),
        AT + timedelta(minutes=1),
    )
    moved = planned()
    assert (moved["UID"], moved["SEQUENCE"]) == (event["UID"], 1)
    _publish(mall, demo_snapshot(), AT + timedelta(minutes=2))
    assert planned()["STATUS"] == "CANCELLED"


def test_a_feed_is_asked_for_by_filter(mall, client):
    found = feedparser.parse(client.get("/announcements/feed.atom?lang=en&plan=mall_12").content)
    titles = {entry.title for entry in found.entries}
    assert "Published: Mall instalments are being maintained" in titles
    assert "Published: 24 instalments with Beichen Bank are paused" not in titles
    assert feedparser.parse(client.get("/announcements/feed.atom?plan=nothing").content).entries == []
    assert client.get("/announcements/feed.xml").status_code == 404
    assert client.get("/announcements/feed.atom?lang=fr").status_code == 404
