"""The console's own pages."""

from __future__ import annotations

from datetime import timedelta

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from fenqi_server import clock
from fenqi_server.console import availability, timeline
from fenqi_server.console.access import ROLES, Staff, allowed, choose_shop, role_name
from fenqi_server.console.home import home_of, voice_of


@allowed()
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What is off, what is about to be, what waits for whoever asks, and what shoppers met this hour."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    at = clock.now()
    return render(
        request,
        "console/home.html",
        {
            "home": home_of(staff, at),
            "at": voice_of(staff.shop, at).instant(at),
            "roles": [role_name(role) for role in ROLES if role in staff.roles],
        },
    )


@allowed()
@require_safe
def time_line(request: HttpRequest) -> HttpResponse:
    """Two weeks of every family, drawn and in a table; `?from=` begins on another day."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    shop, now = staff.shop, clock.now()
    voice = voice_of(shop, now)
    wrong = ""
    try:
        first = timeline.first_day(shop, request.GET.get("from", "").strip(), now)
    except ValueError:
        first = timeline.first_day(shop, "", now)
        wrong = gettext("Write a day such as 2026-11-30, at most 400 days away.")
    start, end = timeline.bounds(shop, first)
    ways = availability.ways(shop, start, end, now)
    return render(
        request,
        "console/timeline.html",
        {
            "picture": timeline.picture_of(shop, ways, first, now, voice) if ways else None,
            "rows": timeline.rows_of(ways, start, end, voice),
            "first": first.isoformat(),
            "from_text": voice.day(first),
            "to_text": voice.day(first + timedelta(days=timeline.DAYS - 1)),
            "before": (first - timedelta(days=7)).isoformat(),
            "after": (first + timedelta(days=7)).isoformat(),
            "wrong": wrong,
        },
        status=422 if wrong else 200,
    )


@allowed()
@require_POST
def shop(request: HttpRequest) -> HttpResponse:
    """Work in another of one's shops."""
    if not choose_shop(request, request.POST.get("shop", "")):
        raise Http404("no such shop for this person")
    return HttpResponseRedirect(reverse("console:home"))
