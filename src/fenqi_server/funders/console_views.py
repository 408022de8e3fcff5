"""The console's pages about what makes an option come and go: agreements, health, windows, purses, pilots."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext
from django.views.decorators.http import require_POST, require_safe

from fenqi.calendars import at_local, from_epoch, local_date
from fenqi.policy.catalogue import CATALOGUE
from fenqi.policy.compile import Policy
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.budgets import service as budgets
from fenqi_server.console.access import Staff, actor, allowed
from fenqi_server.console.home import family_name, layer_name, notice_link, voice_of
from fenqi_server.days import read_day, read_instant
from fenqi_server.funders import agreements, health, pilots, windows
from fenqi_server.funders.breaker import HEALTHS, Told
from fenqi_server.policies import service as policies
from fenqi_server.storefront.voice import Voice

_KNOWS_TERMS: Final = ("author", "reviewer", "publisher", "finance", "auditor")
_KNOWS_PILOTS: Final = ("author", "reviewer", "publisher", "auditor")
CALENDAR_DAYS: Final = 28
FURTHEST: Final = timedelta(days=400)


def _staff(request: HttpRequest) -> Staff:
    staff: Staff = request.staff  # type: ignore[attr-defined]
    return staff


def _policy(staff: Staff, at: datetime) -> Policy | None:
    try:
        return policies.current(staff.shop.id, at)
    except policies.NoPolicy:
        return None


def _said(request: HttpRequest, text: str, url: str) -> HttpResponse:
    request.session["flash"] = text
    return HttpResponseRedirect(url)


# ------------------------------------------------------------------------------------------------ agreements


@allowed(*_KNOWS_TERMS)
@require_safe
def agreements_page(request: HttpRequest) -> HttpResponse:
    """Every funder's dated versions, and the ends that somebody has to see to."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    policy = _policy(staff, at)
    if policy is None:
        return render(request, "console/no_policy.html")
    unseen = {(one.funder, one.version) for one in agreements.open_warnings(staff.shop, at)}
    rows = [
        _version(policy, each, (each.funder, each.agreement.version) in unseen, voice)
        for each in agreements.register(policy, at)
    ]
    return render(
        request,
        "console/funders/agreements.html",
        {
            "rows": rows,
            "waiting": sum(row["warning"] for row in rows),
            "may_see": staff.may("author", "publisher"),
        },
    )


def _version(policy: Policy, each: agreements.Version, warning: bool, voice: Voice) -> dict[str, Any]:
    terms = each.agreement
    limits = []
    if terms.min_amount_minor is not None:
        limits.append(gettext("from %(amount)s") % {"amount": voice.money(terms.min_amount_minor)})
    if terms.max_amount_minor is not None:
        limits.append(gettext("up to %(amount)s") % {"amount": voice.money(terms.max_amount_minor)})
    if terms.terms:
        limits.append(voice.terms(sorted(terms.terms)))
    if terms.cost_ceiling is not None:
        limits.append(gettext("annual cost at most %(rate)s") % {"rate": _percent(terms.cost_ceiling)})
    if terms.daily_quota_minor is not None:
        limits.append(gettext("%(amount)s a day") % {"amount": voice.money(terms.daily_quota_minor)})
    return {
        "funder": voice.text(each.funder_name),
        "funder_id": each.funder,
        "version": terms.version,
        "state": _version_state(each),
        "tone": {"coming": "", "in_force": "good", "ending": "warn", "over": ""}[each.state],
        "paused": terms.paused,
        "listed": terms.partner_listed,
        "audience": terms.audience is not None,
        "starts": "—" if terms.valid_from is None else voice.instant(terms.valid_from),
        "ends": "—" if terms.valid_to is None else voice.instant(terms.valid_to),
        "limits": limits,
        "replaced": each.replaced,
        "note": "" if terms.note is None else voice.text(terms.note),
        "notice": notice_link(policy, terms.notice, voice),
        "warning": warning,
    }


def _version_state(each: agreements.Version) -> str:
    if each.state == "coming":
        return pgettext("agreement", "coming")
    if each.state == "over":
        return pgettext("agreement", "over")
    if each.state == "in_force":
        return pgettext("agreement", "in force")
    days = each.days_left or 0
    return ngettext("ends in %(n)s day", "ends in %(n)s days", days) % {"n": days}


def _percent(ratio: Decimal) -> str:
    return f"{(ratio * 100).normalize():f}%"


@allowed("author", "publisher")
@require_POST
def agreement_seen(request: HttpRequest) -> HttpResponse:
    """Take note of an end that comes near."""
    staff = _staff(request)
    funder, version = request.POST.get("funder", ""), request.POST.get("version", "")
    if not agreements.see(staff.shop, funder, version, actor(request), clock.now()):
        raise Http404("no such warning")
    return _said(
        request,
        gettext("Noted: %(version)s. It is in the record that you have seen it.") % {"version": version},
        reverse("console:agreements"),
    )


# ---------------------------------------------------------------------------------------------------- health


class FunderLine(msgspec.Struct, frozen=True):
    """A funder's health in a row."""

    id: str
    name: str
    state: str
    tone: str
    since: str
    until: str
    heard: str
    overridden: str
    connection: str


def _health_word(told: Told | None) -> tuple[str, str]:
    if told is None:
        return pgettext("health", "not known"), ""
    return {
        "up": (pgettext("health", "working"), "good"),
        "degraded": (pgettext("health", "slow"), "warn"),
        "checking": (pgettext("health", "being checked"), "warn"),
        "down": (pgettext("health", "not available"), "bad"),
    }[told.health]


def _health_line(staff: Staff, policy: Policy, funder: str, at: datetime, voice: Voice) -> FunderLine:
    standing = health.standing(staff.shop, funder, at)
    told = standing.told
    state, tone = _health_word(told)
    until = ""
    if told is not None and told.deadline is not None:
        until = gettext("known by %(at)s") % {"at": voice.instant(told.deadline)}
    elif standing.override is None and standing.breaker is not None and standing.breaker.until is not None:
        until = gettext("tried again %(at)s") % {"at": voice.instant(standing.breaker.until)}
    overridden = ""
    if standing.override is not None:
        overridden = gettext("set by %(who)s until %(at)s: %(why)s") % {
            "who": standing.override_by,
            "at": voice.instant(standing.override.until),
            "why": standing.override_reason,
        }
    if standing.connected:
        connection = gettext("adapter")
    else:
        connection = gettext("not connected") if staff.shop.live else gettext("pretend funder")
    return FunderLine(
        funder,
        voice.text(policy.funders[funder].name),
        state,
        tone,
        "—" if told is None or told.since is None else voice.instant(told.since),
        until,
        # A funder that was only set by hand has never been heard of.
        "—"
        if standing.as_of is None or standing.as_of.year < 2000
        else voice.instant(standing.as_of.replace(microsecond=0)),
        overridden,
        connection,
    )


@allowed()
@require_safe
def health_page(request: HttpRequest) -> HttpResponse:
    """How every funder's service is, by what calls to it come to."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    policy = _policy(staff, at)
    if policy is None:
        return render(request, "console/no_policy.html")
    outside = [funder.id for funder in policy.snapshot.funders if not funder.own_book]
    names = {funder: voice.text(policy.funders[funder].name) for funder in outside}
    changes = [
        _change(change, names.get(change.funder, change.funder), voice)
        for change in reversed(health.history(staff.shop, at - timedelta(days=7)))
    ]
    return render(
        request,
        "console/funders/health.html",
        {
            "lines": [_health_line(staff, policy, funder, at, voice) for funder in outside],
            "changes": changes[:50],
            "terms": _stated_times(),
        },
    )


def _change(change: health.Transition, name: str, voice: Voice) -> dict[str, str]:
    if change.state == "unknown":
        state, tone = _health_word(None)
    else:
        known: Any = change.state
        state, tone = _health_word(Told(known))
    return {
        "at": voice.instant(change.recorded_at.replace(microsecond=0)),
        "funder": name,
        "state": state,
        "tone": tone,
        "who": change.actor,
        "why": change.reason,
    }


def _stated_times() -> list[tuple[str, str]]:
    terms = health.TERMS
    return [
        (
            gettext("Away after"),
            gettext("%(n)s refusals in %(seconds)s s without a success")
            % {"n": terms.refusals, "seconds": terms.window_seconds},
        ),
        (
            gettext("Pending after"),
            gettext("%(n)s calls without an answer in %(seconds)s s, for at most %(most)s s")
            % {"n": terms.unknowns, "seconds": terms.window_seconds, "most": terms.checking_seconds},
        ),
        (
            gettext("Tried again after"),
            gettext("%(seconds)s s, twice as long after each failed probe, at most %(most)s s")
            % {"seconds": terms.rest_seconds, "most": terms.rest_max_seconds},
        ),
        (
            gettext("Back after"),
            gettext("%(n)s probes answered within %(seconds)s s")
            % {"n": terms.probes, "seconds": terms.half_open_seconds},
        ),
    ]


@allowed()
@require_safe
def funder_page(request: HttpRequest, funder: str) -> HttpResponse:
    """One funder: its latest calls, what changed, and for publishers the form that overrides it."""
    return _funder_page(request, funder)


def _funder_page(request: HttpRequest, funder: str, wrong: BadInput | None = None) -> HttpResponse:
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    policy = _funder_policy(staff, funder, at)
    line = _health_line(staff, policy, funder, at, voice)
    written = request.POST if wrong is not None else {}
    return render(
        request,
        "console/funders/funder.html",
        {
            "line": line,
            "machine": _health_word(health.standing(staff.shop, funder, at).machine),
            "overridden": bool(line.overridden),
            "may_override": staff.may("publisher"),
            "outcomes": [
                {
                    "at": voice.instant(one.recorded_at.replace(microsecond=0)),
                    "act": _act_word(one.act),
                    "kind": _kind_word(one.kind),
                    "tone": {"success": "good", "refusal": "bad", "unknown": "warn"}[one.kind],
                    "latency": f"{one.latency_ms} ms",
                    "note": one.note,
                }
                for one in health.outcomes(staff.shop, funder)
            ],
            "changes": [
                _change(change, line.name, voice)
                for change in reversed(health.history(staff.shop, at - timedelta(days=30), funder=funder))
            ][:30],
            "states": [(state, _health_word(Told(state))[0]) for state in HEALTHS],
            "chosen": written.get("state", "down"),
            "until": written.get("until") or _local_minute(at + timedelta(hours=2), staff.shop.time_zone),
            "earliest": _local_minute(at + timedelta(minutes=1), staff.shop.time_zone),
            "reason": written.get("reason", ""),
            "zone": staff.shop.time_zone,
            "longest": health.LONGEST_OVERRIDE.days,
            "wrong": None if wrong is None else wrong.problem.place,
            "wrong_text": "" if wrong is None else _wrong_text(wrong),
        },
        status=422 if wrong is not None else 200,
    )


def _funder_policy(staff: Staff, funder: str, at: datetime) -> Policy:
    policy = _policy(staff, at)
    if policy is None or funder not in policy.funders or policy.funders[funder].own_book:
        raise Http404("no such funder outside this house")
    return policy


def _wrong_text(wrong: BadInput) -> str:
    return {
        "state": gettext("Choose one of the states."),
        "until": gettext("Write an instant after now, at most %(days)s days ahead.")
        % {"days": health.LONGEST_OVERRIDE.days},
        "reason": gettext("Say why, in 1 to %(most)s characters: it stays in the record.")
        % {"most": health.MAX_REASON},
    }[wrong.problem.place]


def _local_minute(at: datetime, zone: str) -> str:
    return from_epoch(int(at.timestamp()), zone).strftime("%Y-%m-%dT%H:%M")


def _written_instant(text: str, zone: str) -> datetime | None:
    try:
        local = read_instant(text.strip())
    except ValueError:
        return None
    if local.tzinfo is not None:
        return None
    return datetime.fromtimestamp(at_local(local.date(), local.hour * 60 + local.minute, zone), UTC)


def _act_word(act: str) -> str:
    return {
        "probe": pgettext("call", "probe"),
        "start": pgettext("call", "application"),
        "inquire": pgettext("call", "question"),
    }[act]


def _kind_word(kind: str) -> str:
    return {
        "success": pgettext("outcome", "answered"),
        "refusal": pgettext("outcome", "refused"),
        "unknown": pgettext("outcome", "no answer"),
    }[kind]


@allowed("publisher")
@require_POST
def override(request: HttpRequest, funder: str) -> HttpResponse:
    """A person knows better than the machine, until an instant."""
    staff, at = _staff(request), clock.now()
    _funder_policy(staff, funder, at)
    until = _written_instant(request.POST.get("until", ""), staff.shop.time_zone)
    try:
        if until is None:
            raise health.BadOverride("until", request.POST.get("until", "")[:40], "a local time")
        health.override(
            staff.shop,
            funder,
            request.POST.get("state", ""),
            until,
            actor(request),
            request.POST.get("reason", ""),
            at,
        )
    except health.BadOverride as wrong:
        return _funder_page(request, funder, wrong)
    return _said(
        request,
        gettext("It counts as set until %(at)s; then what is observed counts again.")
        % {"at": voice_of(staff.shop, at).instant(until)},
        reverse("console:funder_health", args=[funder]),
    )


@allowed("publisher")
@require_POST
def override_end(request: HttpRequest, funder: str) -> HttpResponse:
    """What is observed counts again, now."""
    staff, at = _staff(request), clock.now()
    _funder_policy(staff, funder, at)
    health.end_override(staff.shop, funder, actor(request), request.POST.get("reason", "")[:500], at)
    return _said(
        request, gettext("What is observed counts again."), reverse("console:funder_health", args=[funder])
    )


# -------------------------------------------------------------------------------------------------- calendar


@allowed()
@require_safe
def calendar_page(request: HttpRequest) -> HttpResponse:
    """Four weeks of windows, day by day: planned ones, nightly ones, agreements and policies that begin or end."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    policy = _policy(staff, at)
    if policy is None:
        return render(request, "console/no_policy.html")
    today = local_date(at, staff.shop.time_zone)
    wrong, first = "", today
    asked = request.GET.get("from", "").strip()
    if asked:
        try:
            first = read_day(asked)
            if abs(first - today) > FURTHEST:
                raise ValueError(asked)
        except ValueError:
            wrong, first = gettext("Write a day such as 2026-11-30, at most 400 days away."), today
    found = windows.occurrences(policy, first, CALENDAR_DAYS)
    days = []
    for number in range(CALENDAR_DAYS):
        day = first + timedelta(days=number)
        entries = [
            _entry(policy, one, voice)
            for one in found
            if (
                local_date(one.start, staff.shop.time_zone) == day
                or (number == 0 and one.start < at_local(first, 0, staff.shop.time_zone))
            )
        ]
        entries += _ends(policy, day, voice)
        if entries:
            days.append({"day": voice.day(day), "today": day == today, "entries": entries})
    return render(
        request,
        "console/funders/calendar.html",
        {
            "days": days,
            "first": first.isoformat(),
            "from_text": voice.day(first),
            "to_text": voice.day(first + timedelta(days=CALENDAR_DAYS - 1)),
            "before": (first - timedelta(days=CALENDAR_DAYS)).isoformat(),
            "after": (first + timedelta(days=CALENDAR_DAYS)).isoformat(),
            "wrong": wrong,
        },
        status=422 if wrong else 200,
    )


def _entry(policy: Policy, one: windows.Occurrence, voice: Voice) -> dict[str, Any]:
    return {
        "what": voice.text(CATALOGUE[one.reason].title) if one.reason in CATALOGUE else one.reason,
        "layer": layer_name(one.layer),
        "families": [family_name(policy, family, voice) for family in one.families],
        "whole": one.whole,
        "start": voice.instant(one.start),
        "end": gettext("not known") if one.end is None else voice.instant(one.end),
        "nightly": one.nightly,
        "rule": one.rule,
        "notice": notice_link(policy, one.notice, voice),
    }


def _ends(policy: Policy, day: date, voice: Voice) -> list[dict[str, Any]]:
    """The agreements that begin or end on a day of the shop."""
    entries = []
    for each in agreements.register(policy, datetime.fromtimestamp(voice.at, UTC)):
        for instant, what in (
            (each.agreement.valid_from, gettext("Agreement %(version)s begins")),
            (each.agreement.valid_to, gettext("Agreement %(version)s ends")),
        ):
            if instant is None or local_date(instant, policy.zone) != day:
                continue
            entries.append(
                {
                    "what": what % {"version": each.agreement.version},
                    "layer": layer_name("agreement"),
                    "families": [voice.text(each.funder_name)],
                    "whole": True,
                    "start": voice.instant(instant),
                    "end": "",
                    "nightly": False,
                    "rule": "",
                    "notice": notice_link(policy, each.agreement.notice, voice),
                }
            )
    return entries


# --------------------------------------------------------------------------------------------------- budgets


@allowed(*_KNOWS_TERMS)
@require_safe
def budgets_page(request: HttpRequest) -> HttpResponse:
    """What is left of every quota and budget, and when it is full again."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    policy = _policy(staff, at)
    if policy is None:
        return render(request, "console/no_policy.html")
    named = {f"budget.{budget.id}": voice.text(budget.name) for budget in policy.snapshot.budgets}
    rows = []
    for standing in budgets.standings(staff.shop, policy, at):
        purse = standing.purse
        kind, _, name = purse.id.partition(".")
        share = 100 * standing.used_minor // purse.total_minor if purse.total_minor else 100
        rows.append(
            {
                "id": purse.id,
                "kind": gettext("budget") if kind == "budget" else gettext("daily quota"),
                "name": named[purse.id] if kind == "budget" else voice.text(policy.funders[name].name),
                "total": voice.money(purse.total_minor),
                "used": voice.money(standing.used_minor),
                "leased": voice.money(standing.leased_minor),
                "left": voice.money(standing.left_minor),
                "volume": voice.money(purse.volume_minor(standing.left_minor)) if purse.share != 1 else "",
                "share": share,
                "label": gettext("%(share)s%% used") % {"share": share},
                "renews": gettext("does not renew") if purse.renews is None else voice.instant(purse.renews),
                "ends": "" if purse.renews is not None or purse.ends is None else voice.instant(purse.ends),
            }
        )
    return render(request, "console/funders/budgets.html", {"rows": rows})


# ---------------------------------------------------------------------------------------------------- pilots


@allowed(*_KNOWS_PILOTS)
@require_safe
def pilots_page(request: HttpRequest) -> HttpResponse:
    """Policies that a share of the customers has first, beside what the others have."""
    return _pilots_page(request)


def _pilots_page(
    request: HttpRequest, wrong: BadInput | None = None, about: UUID | None = None
) -> HttpResponse:
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    shown = []
    for pilot in pilots.running(staff.shop, at):
        made = pilot.publication
        shown.append(
            {
                "id": made.id,
                "short": made.digest.removeprefix("sha256:")[:12],
                "percent": made.percent,
                "least": made.percent + 1,
                "since": voice.instant(pilot.since.replace(microsecond=0)),
                "actor": made.actor,
                "reason": made.reason,
                "rows": _sides(pilot),
                "plans": _plans(pilot, voice),
                "wrong": wrong is not None and about == made.id,
            }
        )
    return render(
        request,
        "console/funders/pilots.html",
        {"pilots": shown, "may_act": staff.may("publisher")},
        status=422 if wrong is not None else 200,
    )


def _sides(pilot: pilots.Pilot) -> list[dict[str, Any]]:
    rows = []
    for label, side in (
        (gettext("With it"), pilot.with_it),
        (gettext("Without it"), pilot.without_it),
    ):
        rows.append(
            {
                "label": label,
                "customers": side.customers,
                "decisions": side.decisions,
                "served": _share(side.served, side.decisions),
                "confirmations": side.confirmations,
                "rate": _share(side.confirmations, side.decisions),
            }
        )
    return rows


def _plans(pilot: pilots.Pilot, voice: Voice) -> list[dict[str, str]]:
    before = {one.plan: one for one in pilot.without_it.plans}
    after = {one.plan: one for one in pilot.with_it.plans}
    policy = policies.by_digest(pilot.with_it.digest)
    old = policies.by_digest(pilot.without_it.digest)
    rows = []
    for name in dict.fromkeys([*before, *after]):
        owner = policy if name in policy.plan_index else old
        plan = owner.plan(name)
        rows.append(
            {
                "plan": f"{family_name(owner, plan.family, voice)} {voice.terms([plan.periods])}",
                "with": _offered(after.get(name)),
                "without": _offered(before.get(name)),
            }
        )
    return rows


def _offered(one: pilots.PlanFigures | None) -> str:
    return "—" if one is None else _share(one.offered, one.asked)


def _share(part: int, whole: int) -> str:
    """A count with its share of the whole in tenths of a percent; a dash where there is nothing to share."""
    if whole == 0:
        return "—"
    tenths = (part * 2000 + whole) // (2 * whole)
    return f"{part} ({tenths // 10}.{tenths % 10}%)"


@allowed("publisher")
@require_POST
def pilot_widen(request: HttpRequest, publication: UUID) -> HttpResponse:
    """Give the pilot to a larger share."""
    staff, at = _staff(request), clock.now()
    written = request.POST.get("percent", "")
    percent = int(written) if written.isascii() and written.isdigit() and len(written) <= 3 else 0
    reason = request.POST.get("reason", "").strip()[:500]
    try:
        made = pilots.widen(staff.shop, publication, percent, actor(request), reason, at)
    except pilots.NoPilot:
        raise Http404("no such pilot runs") from None
    except BadInput as wrong:
        return _pilots_page(request, wrong, publication)
    if made.percent == 100:
        said = gettext("Everybody has it now. The pilot is over.")
    else:
        said = gettext("%(percent)s%% of the customers have it now.") % {"percent": made.percent}
    return _said(request, said, reverse("console:pilots"))


@allowed("publisher")
@require_POST
def pilot_end(request: HttpRequest, publication: UUID) -> HttpResponse:
    """Take the pilot back."""
    staff, at = _staff(request), clock.now()
    reason = request.POST.get("reason", "").strip()[:500] or "pilot ended"
    try:
        pilots.end(staff.shop, publication, actor(request), reason, at)
    except pilots.NoPilot:
        raise Http404("no such pilot runs") from None
    return _said(
        request,
        gettext("The pilot is taken back: everybody has what the others had."),
        reverse("console:pilots"),
    )
