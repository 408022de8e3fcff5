"""The console's page for changing what is offered in one act: stop now, pause, a window, longer, over, looked at afterwards.

Each act is shown before it is done, with what the public will be told, and is done by one button. What cannot be is said beside the
form, and nothing is published then.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Literal, cast
from uuid import UUID

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fenqi.calendars import CalendarError
from fenqi.policy.compile import Policy
from fenqi.policy.conditions import ValueTrouble, parse_instant
from fenqi.policy.snapshot import selects
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server import clock
from fenqi_server.console.access import Staff, allowed
from fenqi_server.console.home import voice_of
from fenqi_server.policies import acts, afterwards
from fenqi_server.policies import service as policies
from fenqi_server.policies.desk import bad_input_text
from fenqi_server.policies.telling import plan_names, told_of
from fenqi_server.storefront.selector import option_name
from fenqi_server.storefront.voice import Voice

READERS: Final = ("author", "reviewer", "publisher", "auditor")
NEXT_WORD: Final = timedelta(hours=24)
"""Where nobody knows the end, by then there is news."""


class PlanLine(msgspec.Struct, frozen=True):
    id: str
    name: str
    stop_url: str
    chosen: bool = False


class WindowLine(msgspec.Struct, frozen=True):
    """A rule with a window that runs or is to come."""

    rule: str
    plans: str
    since: str
    until: str
    running: bool
    extend_url: str
    end_url: str


class WaitingLine(msgspec.Struct, frozen=True):
    """One person's act that somebody else has to look at."""

    url: str
    what: str
    actor: str
    reason: str
    by: str
    own: bool


def _staff(request: HttpRequest) -> Staff:
    return cast(Staff, request.staff)  # type: ignore[attr-defined]


def _policy(staff: Staff, at: datetime) -> Policy:
    try:
        return policies.current(staff.shop.id, at)
    except policies.NoPolicy:
        raise Http404("no policy is in force") from None


@allowed(*READERS)
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """What can be done at once, what runs or is planned, and what waits to be looked at."""
    return _overview(request)


def _overview(request: HttpRequest, *, error: str = "", status: int = 200) -> HttpResponse:
    staff, at = _staff(request), clock.now()
    policy, voice = _policy(staff, at), voice_of(staff.shop, at)
    context = {
        "plans": [
            PlanLine(plan.id, option_name(policy, plan.id, voice), reverse("console:stop", args=[plan.id]))
            for plan in policy.plans
        ],
        "windows": _windows(policy, voice),
        "waiting": [
            WaitingLine(
                reverse("console:looked_at", args=[made.id]),
                {"stop": gettext("stopped at once"), "rollback": gettext("rolled back")}.get(
                    made.kind, made.kind
                ),
                made.actor,
                made.reason,
                "" if made.review_by is None else voice.instant(made.review_by),
                made.actor == staff.actor,
            )
            for made in afterwards.waiting(staff.shop)
        ],
        "publisher": "publisher" in staff.roles,
        "reviewer": bool({"reviewer", "publisher"} & set(staff.roles)),
        "error": error,
    }
    return render(request, "console/acts.html", context, status=status)


def _windows(policy: Policy, voice: Voice) -> list[WindowLine]:
    lines = []
    for rule in policy.snapshot.rules:
        window = rule.blocked
        if window is None or window.start is None or (window.end is not None and window.end <= voice.at):
            continue
        plans = [plan.id for plan in policy.plans if selects(rule.applies, plan)]
        lines.append(
            WindowLine(
                rule.id,
                plan_names(policy, plans, voice.locale),
                voice.instant(window.start),
                gettext("not known") if window.end is None else voice.instant(window.end),
                window.start <= voice.at,
                reverse("console:window_extend", args=[rule.id]),
                reverse("console:window_end", args=[rule.id]),
            )
        )
    return lines


@allowed("publisher")
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, plan: str) -> HttpResponse:
    """Stop one plan now: first what that is, then one act."""
    staff, at = _staff(request), clock.now()
    policy, voice = _policy(staff, at), voice_of(staff.shop, at)
    if plan not in policy.plan_index:
        raise Http404("no such plan")
    error, reason = "", request.POST.get("reason", "").strip()
    if request.method == "POST":
        try:
            acts.stop_now(staff.shop, plan, staff.actor, reason, at)
        except BadInput as problem:
            error = gettext("Say why, in a sentence.") if not reason else bad_input_text(problem)
        else:
            request.session["flash"] = gettext(
                "Stopped. Every page shows it within a second, with its notice; somebody else looks at it within a day."
            )
            return HttpResponseRedirect(reverse("console:acts"))
    context = {
        "name": option_name(policy, plan, voice),
        "news": voice.instant(at + acts.STOP_NEWS),
        "reason": reason,
        "error": error,
    }
    return render(request, "console/stop.html", context, status=422 if error else 200)


@allowed("publisher")
@require_http_methods(["GET", "HEAD", "POST"])
def window_new(request: HttpRequest) -> HttpResponse:
    """Pause ways to pay, or plan their maintenance, with what the public is told."""
    staff, at = _staff(request), clock.now()
    policy, voice = _policy(staff, at), voice_of(staff.shop, at)
    sent, error = request.POST, ""
    chosen = set(sent.getlist("plan"))
    kind: Literal["pause", "maintenance"] = "maintenance" if sent.get("kind") == "maintenance" else "pause"
    if request.method == "POST":
        try:
            start = _instant(staff, sent.get("from", ""), "from") or at
            end = _instant(staff, sent.get("until", ""), "until", end=True)
            plans = [plan.id for plan in policy.plans if plan.id in chosen]
            reason = Text(sent.get("zh", "").strip(), sent.get("en", "").strip())
            rule, told = told_of(
                kind, staff.shop, policy, plans, start, reason, None if end else at + NEXT_WORD
            )
            why, applies = sent.get("reason", "").strip(), {"plans": plans}
            if kind == "pause":
                acts.pause(staff.shop, rule, applies, staff.actor, at, told, start=start, end=end, reason=why)
            elif end is None:
                raise BadInput(
                    "until",
                    "",
                    "the end of the maintenance",
                    "a maintenance has an end; a pause may have none",
                )
            else:
                acts.open_window(
                    staff.shop, rule, applies, staff.actor, at, told, start=start, end=end, reason=why
                )
        except BadInput as problem:
            error = bad_input_text(problem)
        else:
            request.session["flash"] = gettext("Published, with its notice.")
            return HttpResponseRedirect(reverse("console:acts"))
    context = {
        "plans": [
            PlanLine(plan.id, option_name(policy, plan.id, voice), "", plan.id in chosen)
            for plan in policy.plans
        ],
        "kind": kind,
        "sent": {name: sent.get(name, "") for name in ("from", "until", "zh", "en", "reason")},
        "zone": staff.shop.time_zone,
        "error": error,
    }
    return render(request, "console/window_new.html", context, status=422 if error else 200)


@allowed("publisher")
@require_http_methods(["GET", "HEAD", "POST"])
def window_extend(request: HttpRequest, rule: str) -> HttpResponse:
    """Let a window end later, or sooner; or say that nobody knows, and by when there is news."""
    staff, at = _staff(request), clock.now()
    policy, voice = _policy(staff, at), voice_of(staff.shop, at)
    line = next((each for each in _windows(policy, voice) if each.rule == rule), None)
    if line is None:
        raise Http404("no such window")
    error = ""
    if request.method == "POST":
        try:
            until = _instant(staff, request.POST.get("until", ""), "until", end=True)
            news = _instant(staff, request.POST.get("news", ""), "news")
            why = request.POST.get("reason", "").strip()
            acts.extend(staff.shop, rule, until, staff.actor, at, next_update=news, reason=why)
        except BadInput as problem:
            error = bad_input_text(problem)
        else:
            request.session["flash"] = gettext("The end has moved, on the checkout and in the notice.")
            return HttpResponseRedirect(reverse("console:acts"))
    context = {
        "window": line,
        "zone": staff.shop.time_zone,
        "sent": {name: request.POST.get(name, "") for name in ("until", "news", "reason")},
        "error": error,
    }
    return render(request, "console/window_extend.html", context, status=422 if error else 200)


@allowed("publisher")
@require_POST
def window_end(request: HttpRequest, rule: str) -> HttpResponse:
    """End a window now, or call off one that is to come."""
    staff, at = _staff(request), clock.now()
    if all(each.rule != rule for each in _windows(_policy(staff, at), voice_of(staff.shop, at))):
        raise Http404("no such window")
    try:
        acts.end_now(staff.shop, rule, staff.actor, at, reason=request.POST.get("reason", "").strip())
    except BadInput as problem:
        return _overview(request, error=bad_input_text(problem), status=409)
    request.session["flash"] = gettext("Ended. What was missing is back where nothing else is in its way.")
    return HttpResponseRedirect(reverse("console:acts"))


@allowed("reviewer", "publisher")
@require_POST
def looked_at(request: HttpRequest, publication_id: UUID) -> HttpResponse:
    """Say whether one person's act was right."""
    staff, at = _staff(request), clock.now()
    if all(made.id != publication_id for made in afterwards.waiting(staff.shop)):
        raise Http404("nothing of that name waits")
    verdict: Literal["right", "wrong"] = "wrong" if request.POST.get("verdict") == "wrong" else "right"
    try:
        afterwards.close(staff.shop, publication_id, staff.actor, verdict, request.POST.get("reason", ""), at)
    except BadInput as problem:
        return _overview(request, error=bad_input_text(problem), status=409)
    request.session["flash"] = gettext("Kept on record.")
    return HttpResponseRedirect(reverse("console:acts"))


def _instant(staff: Staff, written: str, place: str, *, end: bool = False) -> datetime | None:
    text = written.strip()
    if not text:
        return None
    try:
        return datetime.fromtimestamp(parse_instant(text, staff.shop.time_zone, end=end), UTC)
    except ValueTrouble as trouble:
        expected = f"a time in {staff.shop.time_zone}"
        raise BadInput(
            place, text, expected, trouble.suggestion or "write it like 2026-12-01T22:00"
        ) from None
    except CalendarError as problem:
        raise BadInput(place, text, "an instant", problem.problem.sentence) from None
