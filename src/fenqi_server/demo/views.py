"""The demo's panel: its one clock, and whose shopping it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from fenqi.calendars import at_local, local_date, zone_of
from fenqi_server import clock as installation_clock
from fenqi_server.days import read_instant
from fenqi_server.demo import clock
from fenqi_server.demo.moving import go_to
from fenqi_server.demo.people import PEOPLE
from fenqi_server.servicing import service as servicing
from fenqi_server.storefront.visitor import Visitor, person_of, shop_as, visitor_of
from fenqi_server.storefront.voice import locale_now

FURTHEST: Final = timedelta(days=400)
"""One move goes no further: every due date on the way is run."""


class MoveView(msgspec.Struct, frozen=True):
    value: str
    label: str


class PersonView(msgspec.Struct, frozen=True):
    ref: str
    name: str
    about: str
    current: bool


class ReportView(msgspec.Struct, frozen=True):
    title: str
    lines: tuple[str, ...]


@never_cache
@require_safe
def panel(request: HttpRequest) -> HttpResponse:
    """The clock, its moves, and the customers."""
    return _panel(request)


def _panel(request: HttpRequest, *, error: str = "") -> HttpResponse:
    visitor = visitor_of(request)
    voice = visitor.voice
    local = visitor.at.astimezone(zone_of(visitor.shop.time_zone))
    kept = request.session.pop("report", None)
    using = person_of(request).external_ref
    context = {
        "report": ReportView(kept["title"], tuple(kept["lines"])) if kept else None,
        "error": error,
        "frame_now": local,
        "now_text": voice.instant(visitor.at),
        "zone": visitor.shop.time_zone,
        "local_now": (local + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M"),
        "moves": _moves(visitor),
        "people": [
            PersonView(
                person.external_ref,
                voice.text(person.name),
                voice.text(person.about),
                person.external_ref == using,
            )
            for person in PEOPLE
        ],
    }
    return render(request, "demo/panel.html", context, status=422 if error else 200)


def _maintenance(visitor: Visitor) -> tuple[datetime, datetime] | None:
    """The next maintenance of the mall's own instalments, as the policy has it."""
    for rule in visitor.policy.snapshot.rules:
        window = rule.blocked
        if rule.layer == "maintenance" and window is not None and window.start and window.end:
            return datetime.fromtimestamp(window.start, UTC), datetime.fromtimestamp(window.end, UTC)
    return None


def _next_due(visitor: Visitor) -> datetime | None:
    """Ten in the morning of the customer's next due date that is still to come."""
    today = local_date(visitor.at, visitor.shop.time_zone)
    days = [
        row.due_on
        for contract in servicing.contracts_of(visitor.shop, visitor.customer_id, today)
        for row in contract.state.rows
        if row.status == "upcoming" and row.due_on > today
    ]
    if not days:
        return None
    return datetime.fromtimestamp(at_local(min(days), 10 * 60, visitor.shop.time_zone), UTC)


def _targets(visitor: Visitor) -> dict[str, tuple[datetime, str]]:
    voice = visitor.voice
    targets = {"hour": (visitor.at + timedelta(hours=1), gettext("One hour on"))}
    window = _maintenance(visitor)
    if window is not None:
        inside, after = window[0] + timedelta(minutes=5), window[1] + timedelta(minutes=5)
        if inside > visitor.at:
            targets["maintenance"] = (
                inside,
                gettext("Into the maintenance, %(at)s") % {"at": voice.instant(inside)},
            )
        if after > visitor.at:
            targets["after"] = (
                after,
                gettext("After the maintenance, %(at)s") % {"at": voice.instant(after)},
            )
    due = _next_due(visitor)
    if due is not None:
        targets["due"] = (due, gettext("To the next due date, %(on)s") % {"on": voice.instant(due)})
    return targets


def _moves(visitor: Visitor) -> tuple[MoveView, ...]:
    return tuple(MoveView(name, label) for name, (_, label) in _targets(visitor).items())


@require_POST
def move(request: HttpRequest) -> HttpResponse:
    """Move the clock forward, run what was due, and say what that was."""
    visitor = visitor_of(request)
    named = _targets(visitor).get(request.POST.get("to", ""))
    if named is not None:
        target: datetime | None = named[0]
    else:
        target = _written(request.POST.get("instant", ""), visitor)
    if target is None:
        return _panel(request, error=gettext("Write an instant such as 2026-11-24T02:05."))
    if target > visitor.at + FURTHEST:
        return _panel(request, error=gettext("One move goes at most 400 days."))
    try:
        ran = go_to(visitor.shop, target)
    except clock.Backwards:
        return _panel(request, error=gettext("The clock only goes forward: what is booked stays booked."))
    now = installation_clock.now()
    voice = visitor_of(request).voice
    did = [f"{job_name(done.job)}: {done.count}" for done in ran if done.count]
    request.session["report"] = {
        "title": gettext("It is now %(at)s.") % {"at": voice.instant(now)},
        "lines": did or [gettext("Nothing was due on the way.")],
    }
    return HttpResponseRedirect(reverse("demo:panel"))


def job_name(job: str) -> str:
    """What a job did, in words."""
    return {
        "due": gettext("Instalments that came due"),
        "autopay": gettext("Automatic payments asked for and answered"),
        "settled": gettext("Batches of money that arrived at the bank"),
        "hand_offs": gettext("Funders asked about hand-offs"),
        "assessments": gettext("Assessments answered by funders"),
        "put_off": gettext("Due dates put off"),
        "back": gettext("Notices that are over"),
        "overdue": gettext("Alarms about news that is late"),
        "compensation": gettext("Compensations issued"),
        "revisions": gettext("Messages made about changed notices"),
        "told": gettext("Customers told that a way is back"),
        "reminders": gettext("Reminders of due dates sent"),
        "messages": gettext("Messages sent"),
    }[job]


def _written(text: str, visitor: Visitor) -> datetime | None:
    try:
        written = read_instant(text)
    except ValueError:
        return None
    if written.tzinfo is None:
        written = written.replace(tzinfo=zone_of(visitor.shop.time_zone))
    return written


@require_POST
def customer(request: HttpRequest) -> HttpResponse:
    """Shop as another customer."""
    try:
        person = shop_as(request, request.POST.get("customer", ""))
    except KeyError:
        return _panel(request, error=gettext("There is no such customer."))
    request.session["flash"] = gettext("You now shop as %(name)s.") % {"name": person.name.in_(locale_now())}
    return HttpResponseRedirect(reverse("demo:panel"))
