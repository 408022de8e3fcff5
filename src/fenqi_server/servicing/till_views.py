"""What each till took on a day, and what was counted in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from fenqi.calendars import local_date
from fenqi.money import MoneyError, parse_money
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.console.access import actor, allowed
from fenqi_server.days import read_day
from fenqi_server.ids import uuid7
from fenqi_server.servicing import tills
from fenqi_server.servicing.acts import MAX_REASON
from fenqi_server.servicing.desk import staff_at, voice_at
from fenqi_server.servicing.tills import Count, Taking
from fenqi_server.servicing.words import said
from fenqi_server.storefront.voice import Voice

__all__ = ["till_count", "till_counts", "till_days"]

READERS: Final = ("supervisor", "finance", "auditor")
COUNTERS: Final = ("supervisor", "finance")


class CountLine(msgspec.Struct, frozen=True, kw_only=True):
    """One count in words; `since` where the book says something else now than it did then."""

    url: str
    day: str
    till: str
    counted: str
    expected: str
    verdict: str
    tone: str
    by: str
    at: str
    note: str
    since: str = ""


class TillLine(msgspec.Struct, frozen=True, kw_only=True):
    """A till's day: who took what, the sum, and what was counted."""

    till: str
    name: str
    people: tuple[tuple[str, int, str, str], ...]
    total: str
    counts: tuple[CountLine, ...]
    key: str


@allowed(*READERS)
@require_safe
def till_days(request: HttpRequest) -> HttpResponse:
    """What each till took on a day (`?day=`), by whom, and what was counted in it."""
    return _page(request, request.GET.get("day", "").strip())


@allowed(*COUNTERS)
@require_POST
def till_count(request: HttpRequest) -> HttpResponse:
    """Keep a count of a till: `day`, `till`, `counted`, and a note."""
    staff, at = staff_at(request), clock.now()
    sent = {name: request.POST.get(name, "").strip() for name in ("day", "till", "counted", "note", "key")}
    try:
        day, key = read_day(sent["day"]), UUID(sent["key"])
    except ValueError:
        raise Http404("the form names a day and a number of its own") from None
    try:
        counted = parse_money(sent["counted"], staff.shop.currency)
    except MoneyError:
        return _page(request, sent["day"], wrong=gettext("Write an amount such as 500.00."))
    try:
        tills.count(
            staff.shop, day, sent["till"], counted, at, actor=actor(request), note=sent["note"], key=key
        )
    except BadInput as problem:
        return _page(request, sent["day"], wrong=_wrong(problem))
    request.session["flash"] = gettext("Kept: the count stands below what was booked.")
    return HttpResponseRedirect(f"{reverse('console:tills')}?day={day}")


def _wrong(problem: BadInput) -> str:
    return {
        "day": gettext("A day that has not come cannot be counted."),
        "note": gettext("At most %(n)s characters.") % {"n": MAX_REASON},
        "till": gettext("At most %(n)s characters.") % {"n": tills.MAX_TILL},
    }.get(problem.problem.place, problem.problem.sentence)


@allowed(*READERS)
@require_safe
def till_counts(request: HttpRequest) -> HttpResponse:
    """Every count, newest first; `?off=1` only those that did not agree with the book."""
    staff, at = staff_at(request), clock.now()
    voice, off = voice_at(staff.shop, at), bool(request.GET.get("off"))
    try:
        page = tills.list_counts(staff.shop, off=off, after=request.GET.get("after", ""))
    except BadInput:
        raise Http404("no such place in the list") from None
    kept = {"off": "1"} if off else {}
    context = {
        "lines": [_count_line(each, voice) for each in page.counts],
        "next": f"?{urlencode({**kept, 'after': page.after})}" if page.after else "",
        "off": off,
    }
    return render(request, "servicing/till_counts.html", context)


def _page(request: HttpRequest, given: str, *, wrong: str = "") -> HttpResponse:
    staff, at = staff_at(request), clock.now()
    shop, voice = staff.shop, voice_at(staff.shop, at)
    today = local_date(at, shop.time_zone)
    day = today
    try:
        day = read_day(given) if given else today
    except ValueError:
        wrong = gettext("Write a day like 2026-12-31.")
    found, counted = tills.takings(shop, day), tills.counts_of(shop, day)
    names = dict.fromkeys([*(each.till for each in found), *(each.till for each in counted)])
    context = {
        "lines": [_till(till, found, counted, voice, uuid7(at).hex) for till in names],
        "another_key": uuid7(at).hex,
        "may_count": staff.may(*COUNTERS) and day <= today,
        "day": day.isoformat(),
        "day_text": voice.day(day),
        "before": (day - timedelta(days=1)).isoformat(),
        "after": (day + timedelta(days=1)).isoformat() if day < today else "",
        "wrong": wrong,
        "total": voice.money(sum(each.net_minor for each in found)),
        "max_till": tills.MAX_TILL,
        "max_note": MAX_REASON,
    }
    return render(request, "servicing/tills.html", context, status=400 if wrong else 200)


def _till(
    till: str, found: tuple[Taking, ...], counted: tuple[Count, ...], voice: Voice, key: str
) -> TillLine:
    own = [each for each in found if each.till == till]
    net = sum(each.net_minor for each in own)
    return TillLine(
        till=till,
        name=_named(till),
        people=tuple(
            (
                said(each.operator) or gettext("nobody named"),
                each.payments,
                voice.money(each.taken_minor),
                voice.money(each.back_minor) if each.back_minor else "",
            )
            for each in own
        ),
        total=voice.money(net),
        counts=tuple(_count_line(each, voice, net) for each in counted if each.till == till),
        key=key,
    )


def _named(till: str) -> str:
    return till or gettext("no till named")


def _count_line(each: Count, voice: Voice, booked_minor: int | None = None) -> CountLine:
    verdict, tone = _compared(each.difference_minor, voice)
    since = ""
    if booked_minor is not None and booked_minor != each.expected_minor:
        since = gettext("%(then)s was booked then, and is %(now)s now.") % {
            "then": voice.money(each.expected_minor),
            "now": voice.money(booked_minor),
        }
    return CountLine(
        url=f"{reverse('console:tills')}?day={each.day}",
        day=voice.day(each.day),
        till=_named(each.till),
        counted=voice.money(each.counted_minor),
        expected=voice.money(each.expected_minor),
        verdict=verdict,
        tone=tone,
        by=said(each.counted_by),
        at=voice.instant(each.counted_at),
        note=each.note,
        since=since,
    )


def _compared(difference_minor: int, voice: Voice) -> tuple[str, str]:
    if not difference_minor:
        return gettext("What was counted is what was booked."), "good"
    if difference_minor < 0:
        return gettext("%(amount)s is missing.") % {"amount": voice.money(-difference_minor)}, "bad"
    return gettext("%(amount)s too much.") % {"amount": voice.money(difference_minor)}, "bad"
