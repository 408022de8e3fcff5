"""The page of the demo's year: let it begin, go on in it, and open any of its contracts as its customer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from fenqi.calendars import add_months, at_local, local_date
from fenqi.problems import BadInput
from fenqi_server.demo import clock, year
from fenqi_server.demo.moving import go_to
from fenqi_server.demo.people import PERSON_BY_REF, YEAR_PEOPLE, Person
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.words import state_of
from fenqi_server.storefront.visitor import Visitor, shop_as, visitor_of

__all__ = ["begin", "contract", "on", "year_page"]


class LifeView(msgspec.Struct, frozen=True):
    """One of the year's people, and how their contract stands."""

    ref: str
    name: str
    about: str
    state: str
    tone: str
    figures: str


class DiaryView(msgspec.Struct, frozen=True):
    on: str
    name: str
    said: str


@never_cache
@require_safe
def year_page(request: HttpRequest) -> HttpResponse:
    """The year: its people, what they did, and the ways on."""
    return _page(request, visitor_of(request))


def _page(request: HttpRequest, visitor: Visitor, error: str = "") -> HttpResponse:
    shop, voice = visitor.shop, visitor.voice
    began = year.began_on(shop)
    told = [
        DiaryView(
            voice.day(local_date(each.at, shop.time_zone)),
            voice.text(PERSON_BY_REF[each.entry.person].name),
            voice.text(each.entry.said),
        )
        for each in reversed(year.happened(shop))
    ]
    context = {
        "error": error,
        "now_text": voice.instant(visitor.at),
        "began": "" if began is None else voice.day(began),
        "over": began is not None and local_date(visitor.at, shop.time_zone) >= _end(began),
        "lives": [_life(person, visitor) for person in YEAR_PEOPLE],
        "told": told,
    }
    return render(request, "demo/year.html", context, status=422 if error else 200)


def _life(person: Person, visitor: Visitor) -> LifeView:
    voice = visitor.voice
    name = year.contract_of(visitor.shop, person.external_ref)
    state, tone, figures = gettext("not begun"), "", ""
    if name is not None:
        found = servicing.get(visitor.shop, name, at=visitor.at).state
        state, tone = state_of(found)
        figures = gettext("%(owed)s owed, %(paid)s paid") % {
            "owed": voice.money(found.balance_minor),
            "paid": voice.money(sum(each.amount_minor for each in found.payments if each.money)),
        }
    return LifeView(
        person.external_ref, voice.text(person.name), voice.text(person.about), state, tone, figures
    )


@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    """Let the year begin, now."""
    visitor = visitor_of(request)
    try:
        year.begin(visitor.shop, visitor.at)
    except BadInput:
        return _page(
            request,
            visitor,
            gettext("Mall instalments are not offered just now: move the clock to a time when they are."),
        )
    return HttpResponseRedirect(reverse("demo:year"))


@require_POST
def on(request: HttpRequest) -> HttpResponse:
    """Go on: a month, or to the end. Everything on the way happens on its day."""
    visitor = visitor_of(request)
    began = year.began_on(visitor.shop)
    if began is None:
        return _page(request, visitor, gettext("The year has not begun."))
    today = local_date(visitor.at, visitor.shop.time_zone)
    until = _end(began) if request.POST.get("to") == "end" else add_months(today, 1)
    target = datetime.fromtimestamp(at_local(until, 12 * 60, visitor.shop.time_zone), UTC)
    try:
        go_to(visitor.shop, target)
    except clock.Backwards:
        return _page(request, visitor, gettext("The year is over."))
    return HttpResponseRedirect(reverse("demo:year"))


@require_POST
def contract(request: HttpRequest) -> HttpResponse:
    """Look at a contract as its customer does."""
    visitor = visitor_of(request)
    ref = request.POST.get("person", "")
    if ref not in {person.external_ref for person in YEAR_PEOPLE}:
        raise Http404("nobody of the year")
    name = year.contract_of(visitor.shop, ref)
    if name is None:
        return _page(request, visitor, gettext("The year has not begun."))
    shop_as(request, ref)
    return HttpResponseRedirect(reverse("portal:contract", args=[name]))


def _end(began: date) -> date:
    """A year and a few days: the last instalment is due, and asked for again where it has to be."""
    return add_months(began, 12) + timedelta(days=5)
