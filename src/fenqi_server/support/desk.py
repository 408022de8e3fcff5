"""The desk: the queue, a case, the diagnosis of a decision, special cases, reply templates. Plain forms, one act each.

What may be seen and done follows from the role: an agent answers and asks for a special case, a supervisor decides about
it, an auditor and a reviewer read. Whoever opens a diagnosis is in the audit log with it.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fenqi.calendars import to_epoch
from fenqi.money import MoneyError, format_money, parse_money
from fenqi.policy.compile import Policy
from fenqi.texts import LOCALES, Text
from fenqi_server import clock
from fenqi_server.console.access import Staff, actor, allowed, role_name
from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.ids import anonymous_party
from fenqi_server.policies import audit
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.selector import option_name
from fenqi_server.storefront.voice import Voice, locale_now
from fenqi_server.support import cases, finding, mailing, overrides, replies
from fenqi_server.support.diagnosis import (
    Cause,
    Diagnosis,
    LayerOutcome,
    PlanDiagnosis,
    Sight,
    customer_words,
    diagnose,
    focus_of,
)

DESK: Final = ("support", "supervisor")
READERS: Final = ("support", "supervisor", "reviewer", "auditor")
SPECIAL_READERS: Final = ("support", "supervisor", "auditor")


def sight_of(staff: Staff) -> Sight:
    """What this member of staff may see of a person and of risk."""
    return Sight.of(staff.roles, staff.layers)


def _voice(shop: Shop) -> Voice:
    return Voice(locale_now(), shop.currency, shop.time_zone, to_epoch(clock.now()))


def _said(request: HttpRequest, text: str) -> None:
    request.session["flash"] = text


# ----------------------------------------------------------------------------------------------------- the queue


class QueueLine(msgspec.Struct, frozen=True):
    """One case in the queue."""

    url: str
    title: str
    customer: str
    came_from: str
    opened: str
    state: str
    tone: str
    assignee: str


class QueueTab(msgspec.Struct, frozen=True):
    label: str
    url: str
    current: bool


class FoundLine(msgspec.Struct, frozen=True):
    """One recorded decision that was found."""

    url: str
    at: str
    source: str
    amount: str
    missing: str
    customer: str


@allowed(*DESK)
@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """Who waits, who was answered; and the search for what a caller names."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    shown = request.GET.get("show", "waiting")
    filters: dict[str, dict[str, str]] = {
        "waiting": {"state": "open"},
        "mine": {"assignee": staff.username},
        "answered": {"state": "answered"},
        "closed": {"state": "closed"},
        "all": {},
    }
    names = {
        "waiting": gettext("Waiting"),
        "mine": gettext("Mine"),
        "answered": gettext("Answered"),
        "closed": gettext("Closed"),
        "all": gettext("All"),
    }
    if shown not in filters:
        shown = "waiting"
    voice = _voice(staff.shop)
    found = cases.desk(staff.shop, **filters[shown])
    return render(
        request,
        "console/support/queue.html",
        {
            "tabs": [
                QueueTab(names[name], f"{reverse('console:cases')}?show={name}", name == shown)
                for name in filters
            ],
            "lines": [_queue_line(staff.shop, case, voice) for case in found],
            "shown": names[shown],
        },
    )


@allowed(*READERS)
@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest) -> HttpResponse:
    """Find by order, phone, customer, decision or case. Posted, so that no phone number stands in an address."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    asked = request.POST.get("asked", "").strip()
    lines: list[FoundLine] = []
    if asked:
        voice = _voice(staff.shop)
        found = finding.find(staff.shop, asked)
        lines = [_found_line(staff, line, voice) for line in found]
        audit.record(
            staff.shop,
            actor(request),
            "decision.find",
            # By what it was found says enough; a phone number does not belong into a log that is never erased.
            found[0].how if found else "nothing",
            clock.now(),
            after={"found": len(found)},
        )
    return render(
        request,
        "console/support/find.html",
        {"asked": asked, "lines": lines, "nothing": bool(asked) and not lines},
    )


def _queue_line(shop: Shop, case: cases.Case, voice: Voice) -> QueueLine:
    state, tone = case_state(case)
    return QueueLine(
        url=reverse("console:case", args=[case.public_id]),
        title=f"{case.subject or plan_name(shop, case, voice)} · {case.number}",
        customer=customer_name(shop, case.customer_id),
        came_from=came_from(case),
        opened=voice.instant(case.opened_at),
        state=state,
        tone=tone,
        assignee=case.assignee,
    )


def _found_line(staff: Staff, line: finding.FoundDecision, voice: Voice) -> FoundLine:
    return FoundLine(
        url=reverse("console:diagnosis", args=[line.decision]),
        at=voice.instant(line.at),
        source=source_name(line.source),
        amount=voice.money(line.amount_minor),
        missing=ngettext("%(n)s way missing", "%(n)s ways missing", line.missing) % {"n": line.missing},
        customer=customer_name(staff.shop, line.customer_id) if sight_of(staff).person else "",
    )


def case_state(case: cases.Case) -> tuple[str, str]:
    """A case's state in a word, and its tone."""
    return {
        "open": (pgettext("case", "waiting for an answer"), "warn"),
        "answered": (pgettext("case", "answered"), "good"),
        "closed": (pgettext("case", "closed"), ""),
    }[case.state]


def came_from(case: cases.Case) -> str:
    """Where a case came from, in a word."""
    return {
        "checkout": pgettext("a case came from", "checkout"),
        "notice": pgettext("a case came from", "notice"),
        "portal": pgettext("a case came from", "customer’s pages"),
        "email": pgettext("a case came from", "e-mail"),
        "api": pgettext("a case came from", "the shop’s own system"),
    }[case.came_from]


def source_name(source: str) -> str:
    """What asked for a decision, in a word."""
    return {
        "checkout": pgettext("a decision's source", "checkout"),
        "product": pgettext("a decision's source", "product page"),
        "notice": pgettext("a decision's source", "notice"),
        "api": pgettext("a decision's source", "API"),
        "browser": pgettext("a decision's source", "checkout in the browser"),
        "confirm": pgettext("a decision's source", "confirmation"),
    }.get(source, source)


def customer_name(shop: Shop, customer_id: UUID) -> str:
    """What the desk calls a customer."""
    if customer_id == anonymous_party(shop.id):
        return gettext("a visitor, not signed in")
    known = customers.private(shop, customer_id)
    return known.display_name or known.email or customer_id.hex[-8:].upper()


def plan_name(shop: Shop, case: cases.Case, voice: Voice) -> str:
    """What a case is about."""
    decision = _decision_of(shop, case)
    if decision is not None and case.plan in decision.policy.plan_index:
        return option_name(decision.policy, case.plan, voice)
    return gettext("A question")


def _decision_of(shop: Shop, case: cases.Case) -> decisions.Decision | None:
    if case.decision is None:
        return None
    try:
        return decisions.load(case.decision, shop=shop)
    except decisions.NoDecision:
        return None


# ------------------------------------------------------------------------------------------------------ one case


class MessageLine(msgspec.Struct, frozen=True):
    agent: bool
    who: str
    at: str
    text: str


class NoteLine(msgspec.Struct, frozen=True):
    who: str
    at: str
    text: str


class TemplateChoice(msgspec.Struct, frozen=True):
    name: str
    label: str
    current: bool


class CasePage(msgspec.Struct, frozen=True, kw_only=True):
    """One case as the desk has it."""

    id: str
    number: str
    title: str
    state: str
    tone: str
    closed: bool
    customer: str
    came_from: str
    opened: str
    language: str
    assignee: str
    mine: bool
    messages: tuple[MessageLine, ...]
    notes: tuple[NoteLine, ...]
    templates: tuple[TemplateChoice, ...]
    draft: str
    verdict: str
    causes: tuple[Cause, ...]
    diagnosis: str
    notice: str
    similar: tuple[QueueLine, ...]
    special: tuple[SpecialLine, ...]
    staff: tuple[str, ...]
    by_mail: str


class SpecialLine(msgspec.Struct, frozen=True, kw_only=True):
    """One special case in a list."""

    url: str
    number: str
    customer: str
    what: str
    amount: str
    state: str
    tone: str
    until: str
    asked: str


@allowed(*DESK)
@require_safe
def case(request: HttpRequest, case_id: str) -> HttpResponse:
    """One case: what the customer saw and why, the thread, the notes, the reply."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    found, messages = _case(staff.shop, case_id)
    return render(
        request,
        "console/support/case.html",
        {"case": _case_page(staff, found, messages, request.GET.get("template", ""))},
    )


def _case(shop: Shop, case_id: str) -> tuple[cases.Case, tuple[cases.Message, ...]]:
    try:
        return cases.get(shop, case_id)
    except cases.NoCase:
        raise Http404("no such case") from None


def _case_page(
    staff: Staff, found: cases.Case, messages: tuple[cases.Message, ...], template: str, *, draft: str = ""
) -> CasePage:
    shop, now = staff.shop, clock.now()
    voice = _voice(shop)
    decision = _decision_of(shop, found)
    plan = focus = None
    if decision is not None:
        focus = found.plan if found.plan in decision.policy.plan_index else focus_of(decision)
        plan = diagnose(
            shop, decision.public_id, sight=sight_of(staff), locale=voice.locale, at=now, plan=focus
        ).focused
    offered = replies.templates(shop)
    chosen = next((each for each in offered if each.name == template), None)
    if chosen is not None and not draft:
        draft = _filled(shop, found, chosen, decision, focus or "")
    state, tone = case_state(found)
    notice = (
        next((cause.notice for cause in plan.causes if cause.notice), found.notice) if plan else found.notice
    )
    codes = tuple(cause.code for cause in plan.causes if not cause.withheld) if plan else ()
    title = found.subject or (plan.name if plan else gettext("A question"))
    return CasePage(
        id=found.public_id,
        number=found.number,
        title=title,
        state=state,
        tone=tone,
        closed=found.state == "closed",
        customer=customer_name(shop, found.customer_id),
        came_from=came_from(found),
        opened=voice.instant(found.opened_at),
        language=_LANGUAGES[found.locale],
        assignee=found.assignee,
        mine=found.assignee == staff.username,
        messages=tuple(
            MessageLine(
                message.author == "agent",
                (message.actor.removeprefix("staff:") or gettext("Support"))
                if message.author == "agent"
                else gettext("Customer, by e-mail (sender not verified)")
                if message.via == "email"
                else gettext("Customer"),
                voice.instant(message.written_at),
                message.body,
            )
            for message in messages
        ),
        notes=tuple(
            NoteLine(note.actor.removeprefix("staff:"), voice.instant(note.written_at), note.body)
            for note in cases.notes(shop, found)
        ),
        templates=tuple(
            TemplateChoice(each.name, template_name(each), each.name == template) for each in offered
        ),
        draft=draft,
        verdict=_verdict(plan) if plan else "",
        causes=plan.causes if plan else (),
        diagnosis=_diagnosis_url(decision.public_id, focus or "", found.public_id) if decision else "",
        notice=reverse("announcements:notice", args=[notice]) if notice else "",
        similar=tuple(_queue_line(shop, other, voice) for other in cases.similar(shop, found, codes, now)),
        special=tuple(
            _special_line(shop, special, voice, None)
            for special in overrides.of_customer(shop, found.customer_id)
        ),
        staff=_agents(shop),
        by_mail=mailing.by_mail(shop, found, messages),
    )


_LANGUAGES: Final = {"zh-CN": "中文", "en": "English"}


def template_name(template: replies.Template) -> str:
    """A template's name; Fenqi's own are called by what they are for."""
    if template.own:
        return template.name
    return {
        "why": gettext("Why it is missing, and what else there is"),
        "looking": gettext("We are looking into it"),
        "special": gettext("A special case was approved"),
        "law": gettext("Required by law: no exception"),
    }.get(template.name, template.name)


def _filled(
    shop: Shop, found: cases.Case, template: replies.Template, decision: decisions.Decision | None, plan: str
) -> str:
    voice = msgspec.structs.replace(_voice(shop), locale=found.locale)
    words = notice = None
    if decision is not None:
        words = customer_words(decision, plan, found.locale)
        verdict = decision.evaluation.option(plan).verdict
        linked = next((reason.notice for reason in verdict.reasons if reason.notice), None)
        notice = absolute(reverse("announcements:notice", args=[linked])) if linked else ""
    now = clock.now()
    special = next(
        (each for each in overrides.of_customer(shop, found.customer_id) if each.state(now) == "approved"),
        None,
    )
    until = ""
    if special is not None and special.expires_at is not None:
        until = (
            Text("有效至 {at}", "until {at}").in_(found.locale).format(at=voice.instant(special.expires_at))
        )
    return replies.fill_in(
        template, found.locale, case=found.number, words=words, notice=notice or "", special=until
    )


def absolute(path: str) -> str:
    """An address as it stands in a mail."""
    from django.conf import settings

    return f"{settings.FENQI_ORIGIN}{path}"


def _agents(shop: Shop) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT u.username FROM console_membership m JOIN auth_user u ON u.id = m.user_id"
            " WHERE m.shop_id = %s AND m.role = ANY(%s) AND u.is_active ORDER BY u.username",
            [shop.id, list(DESK)],
        )
        return tuple(row[0] for row in cursor.fetchall())


@allowed(*DESK)
@require_POST
def reply(request: HttpRequest, case_id: str) -> HttpResponse:
    """Answer the customer."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    found, messages = _case(staff.shop, case_id)
    text = request.POST.get("message", "")
    try:
        cases.write(staff.shop, case_id, "agent", text, clock.now(), actor=actor(request))
    except ValueError:
        page = _case_page(staff, found, messages, "", draft=text)
        error = gettext("Write your reply, in at most 2,000 characters.")
        return render(request, "console/support/case.html", {"case": page, "error": error}, status=422)
    _said(request, gettext("The reply was sent."))
    return HttpResponseRedirect(reverse("console:case", args=[case_id]))


@allowed(*DESK)
@require_POST
def note(request: HttpRequest, case_id: str) -> HttpResponse:
    """Leave a note for the desk."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    found, messages = _case(staff.shop, case_id)
    try:
        cases.note(staff.shop, case_id, actor(request), request.POST.get("note", ""), clock.now())
    except ValueError:
        error = gettext("Write your note, in at most 2,000 characters.")
        page = _case_page(staff, found, messages, "")
        return render(request, "console/support/case.html", {"case": page, "note_error": error}, status=422)
    _said(request, gettext("The note was kept. The customer does not see it."))
    return HttpResponseRedirect(reverse("console:case", args=[case_id]))


@allowed(*DESK)
@require_POST
def assign(request: HttpRequest, case_id: str) -> HttpResponse:
    """Say who looks after a case."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    _case(staff.shop, case_id)
    assignee = request.POST.get("assignee", "")
    if assignee and assignee not in _agents(staff.shop):
        raise Http404("nobody of that name works at this desk")
    cases.assign(staff.shop, case_id, assignee, actor(request), clock.now())
    _said(
        request,
        gettext("Looked after by %(name)s now.") % {"name": assignee}
        if assignee
        else gettext("Looked after by nobody now."),
    )
    return HttpResponseRedirect(reverse("console:case", args=[case_id]))


@allowed(*DESK)
@require_POST
def close(request: HttpRequest, case_id: str) -> HttpResponse:
    """Close a case."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    _case(staff.shop, case_id)
    cases.close(staff.shop, case_id, actor(request), clock.now())
    _said(request, gettext("The case is closed. It opens again if the customer writes."))
    return HttpResponseRedirect(reverse("console:cases"))


# ----------------------------------------------------------------------------------------------------- diagnosis


class LayerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of one plan, as the page says it: a sign and a word, never a colour alone."""

    number: int
    name: str
    outcome: str
    word: str
    sign: str
    tone: str
    passed: str
    let_pass: str
    causes: tuple[CauseLine, ...]
    special: tuple[tuple[str, str], ...]
    decides: bool


class CauseLine(msgspec.Struct, frozen=True, kw_only=True):
    cause: Cause
    alone: str
    withheld: str
    notice: str
    ask: str


class PlanLine(msgspec.Struct, frozen=True):
    """One plan in the list of all of them."""

    name: str
    url: str
    state: str
    tone: str
    current: bool
    first: str


class SaidView(msgspec.Struct, frozen=True):
    """What to tell the customer, in one language."""

    language: str
    lang: str
    text: str
    rows: int


@allowed(*READERS)
@require_safe
def diagnosis(request: HttpRequest, decision_id: str) -> HttpResponse:
    """Why it was so: every layer of every way to pay, what would change it, and what to say."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    now = clock.now()
    sight = sight_of(staff)
    voice = _voice(staff.shop)
    try:
        found = diagnose(
            staff.shop,
            decision_id,
            sight=sight,
            locale=voice.locale,
            at=now,
            plan=request.GET.get("plan", ""),
        )
    except decisions.NoDecision:
        raise Http404("no such decision") from None
    audit.record(
        staff.shop, actor(request), "diagnosis.view", found.decision, now, after={"plan": found.focus}
    )
    case_id = request.GET.get("case", "")
    focus = found.focused
    return render(
        request,
        "console/support/diagnosis.html",
        {
            "found": found,
            "at": voice.instant(found.at),
            "amount": voice.money(found.amount_minor),
            "source": source_name(found.source),
            "digest": found.policy_digest[:19],
            "customer": customer_name(staff.shop, found.customer_id) if sight.person else "",
            "verdict": _verdict(focus),
            "tone": _tone(focus),
            "layers": _layer_lines(staff, found, focus, case_id),
            "nearest": focus.nearest,
            "said": [
                SaidView(
                    _LANGUAGES[locale],
                    locale,
                    focus.words[locale].text,
                    min(16, 2 * focus.words[locale].text.count("\n") + 3),
                )
                for locale in LOCALES
            ],
            "placed": focus.words[voice.locale].placed,
            "ways": focus.words[voice.locale].instead,
            "similar": [
                {"name": similar.code, "text": _similar_text(similar.decisions, similar.customers)}
                for similar in found.similar
            ],
            "plans": [
                PlanLine(
                    plan.name,
                    _diagnosis_url(found.decision, plan.plan, case_id),
                    _state_word(plan.state),
                    _tone(plan),
                    plan.plan == found.focus,
                    plan.causes[0].title if plan.causes else "",
                )
                for plan in found.plans
            ],
            "withheld": _withheld_text(focus),
            "case": reverse("console:case", args=[case_id]) if case_id and staff.may(*DESK) else "",
            "special": [
                _special_line(staff.shop, overrides.get(staff.shop, used), voice, None)
                for used in focus.overrides
            ],
        },
    )


def _diagnosis_url(decision: str, plan: str, case_id: str) -> str:
    asked = {"plan": plan} if plan else {}
    if case_id:
        asked["case"] = case_id
    return f"{reverse('console:diagnosis', args=[decision])}?{urlencode(asked)}"


def _verdict(plan: PlanDiagnosis) -> str:
    word = _state_word(plan.state)
    text = gettext("%(name)s: %(state)s") % {"name": plan.name, "state": word}
    return f"{text} · {plan.until}" if plan.until else text


def _state_word(state: str) -> str:
    return {
        "available": pgettext("a way to pay is", "open"),
        "unavailable": pgettext("a way to pay is", "not open"),
        "pending": pgettext("a way to pay is", "waiting for an answer"),
        "funder_decides": pgettext("a way to pay is", "open; the funder decides on its page"),
    }[state]


def _tone(plan: PlanDiagnosis) -> str:
    return "good" if plan.offered else "" if plan.state == "pending" else "warn"


def _similar_text(count: int, of: int) -> str:
    times = ngettext("%(n)s time today", "%(n)s times today", count) % {"n": f"{count:,}"}
    people = ngettext("to %(n)s customer", "to %(n)s customers", of) % {"n": f"{of:,}"}
    return f"{times}, {people}"


def _withheld_text(plan: PlanDiagnosis) -> str:
    parts = [_WITHHELD[kind]() for kind in plan.withheld]
    return " ".join(parts)


_WITHHELD: Final = {
    "risk": lambda: (
        gettext("Particulars of risk are withheld from you. Who may see them: %(roles)s.")
        % {
            "roles": pgettext("between names", ", ").join(
                (role_name("supervisor"), role_name("auditor"), gettext("reviewers of the layer risk"))
            )
        }
    ),
    "person": lambda: (
        gettext("Figures of the person are withheld from you. Who may see them: %(roles)s.")
        % {
            "roles": pgettext("between names", ", ").join(
                (role_name("support"), role_name("supervisor"), role_name("auditor"))
            )
        }
    ),
}


def layer_name(layer: str) -> str:
    """A layer of the rules, in a word."""
    return {
        "law": pgettext("layer", "law"),
        "compliance": pgettext("layer", "compliance"),
        "agreement": pgettext("layer", "agreement"),
        "risk": pgettext("layer", "risk"),
        "maintenance": pgettext("layer", "maintenance"),
        "health": pgettext("layer", "outage"),
        "strategy": pgettext("layer", "business"),
        "cart": pgettext("layer", "cart"),
        "customer": pgettext("layer", "customer"),
    }.get(layer, layer)


def _layer_lines(staff: Staff, found: Diagnosis, plan: PlanDiagnosis, case_id: str) -> list[LayerLine]:
    first = next((layer.layer for layer in plan.layers if layer.causes), "")
    return [
        _layer_line(staff, found, plan, layer, number, case_id, decides=layer.layer == first)
        for number, layer in enumerate(plan.layers, 1)
    ]


def _layer_line(
    staff: Staff,
    found: Diagnosis,
    plan: PlanDiagnosis,
    layer: LayerOutcome,
    number: int,
    case_id: str,
    *,
    decides: bool,
) -> LayerLine:
    word, sign, tone = {
        "passed": (pgettext("a layer", "passed"), "✓", "good"),
        "blocks": (pgettext("a layer", "in the way"), "✗", "warn"),
        "unknown": (pgettext("a layer", "cannot be decided"), "?", "warn"),
        "pending": (pgettext("a layer", "an answer is awaited"), "…", ""),
        "set_aside": (pgettext("a layer", "special case"), "★", "good"),
        "no_rules": (pgettext("a layer", "no rules"), "—", ""),
    }[layer.outcome]
    between = pgettext("between names", ", ")
    return LayerLine(
        number=number,
        name=layer_name(layer.layer),
        outcome=layer.outcome,
        word=word,
        sign=sign,
        tone=tone,
        passed=ngettext("%(n)s rule met", "%(n)s rules met", layer.passed) % {"n": layer.passed}
        if layer.passed
        else "",
        let_pass=gettext("not known, and let pass: %(facts)s") % {"facts": between.join(layer.let_pass)}
        if layer.let_pass
        else "",
        causes=tuple(_cause_line(staff, found, plan, cause, case_id) for cause in layer.causes),
        special=tuple((used, reverse("console:override", args=[used])) for used in layer.set_aside)
        if staff.may(*SPECIAL_READERS)
        else tuple((used, "") for used in layer.set_aside),
        decides=decides,
    )


def _cause_line(staff: Staff, found: Diagnosis, plan: PlanDiagnosis, cause: Cause, case_id: str) -> CauseLine:
    ask = ""
    if cause.can_be_set_aside and staff.may(*DESK):
        asked = {"decision": found.decision, "plan": plan.plan, "rule": cause.rule}
        if case_id:
            asked["case"] = case_id
        ask = f"{reverse('console:override_new')}?{urlencode(asked)}"
    return CauseLine(
        cause=cause,
        alone=_alone(cause),
        withheld=_WITHHELD[cause.withheld]() if cause.withheld else "",
        notice=reverse("announcements:notice", args=[cause.notice]) if cause.notice else "",
        ask=ask,
    )


def _alone(cause: Cause) -> str:
    if cause.withheld:
        return ""
    if cause.alone is None:
        return gettext("Nobody may set a rule of law aside.") if cause.layer == "law" else ""
    if cause.alone in ("available", "funder_decides"):
        return gettext("Without this one it would be open.")
    return gettext("Without this one it would still not be open: %(rest)s.") % {
        "rest": pgettext("between names", ", ").join(cause.remains)
    }


# ------------------------------------------------------------------------------------------------- special cases


class SpecialPage(msgspec.Struct, frozen=True, kw_only=True):
    """One special case, with what this reader may do about it."""

    id: str
    number: str
    customer: str
    what: str
    rule: str
    layer: str
    plan: str
    reason: str
    asked_by: str
    asked_at: str
    amount: str
    amount_plain: str
    hours: int
    state: str
    tone: str
    decided: str
    note: str
    until: str
    revoked: str
    uses: tuple[tuple[str, str, str], ...]
    decision: str
    case: str
    may_decide: bool
    may_withdraw: bool
    may_revoke: bool
    own: bool


@allowed(*SPECIAL_READERS)
@require_safe
def special_cases(request: HttpRequest) -> HttpResponse:
    """All special cases: those that wait for a decision first."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    voice = _voice(staff.shop)
    policy = _policy(staff.shop)
    return render(
        request,
        "console/support/overrides.html",
        {
            "lines": [
                _special_line(staff.shop, found, voice, policy) for found in overrides.listed(staff.shop)
            ]
        },
    )


def _policy(shop: Shop) -> Policy:
    from fenqi_server.policies import service as policies

    return policies.current(shop.id, clock.now())


def special_state(found: overrides.SpecialCase) -> tuple[str, str]:
    """Where a special case stands, in a word, and its tone."""
    return {
        "asked": (pgettext("special case", "waiting for a decision"), "warn"),
        "approved": (pgettext("special case", "in force"), "good"),
        "refused": (pgettext("special case", "refused"), ""),
        "withdrawn": (pgettext("special case", "withdrawn"), ""),
        "revoked": (pgettext("special case", "revoked"), ""),
        "expired": (pgettext("special case", "expired"), ""),
    }[found.state(clock.now())]


def _special_line(
    shop: Shop, found: overrides.SpecialCase, voice: Voice, policy: Policy | None
) -> SpecialLine:
    state, tone = special_state(found)
    return SpecialLine(
        url=reverse("console:override", args=[found.public_id]),
        number=found.number,
        customer=customer_name(shop, found.customer_id),
        what=rule_title(policy or _policy(shop), found.rule, voice),
        amount=gettext("up to %(amount)s") % {"amount": voice.money(found.max_amount_minor)},
        state=state,
        tone=tone,
        until=gettext("until %(at)s") % {"at": voice.instant(found.expires_at)} if found.expires_at else "",
        asked=gettext("asked by %(who)s, %(at)s")
        % {"who": found.asked_by.removeprefix("staff:"), "at": voice.instant(found.asked_at)},
    )


def rule_title(policy: Policy, rule: str, voice: Voice) -> str:
    """What a rule is about, in the words that it or its reason's catalogue has for agents."""
    from fenqi.policy.catalogue import CATALOGUE

    index = policy.rule_index.get(rule)
    if index is None:
        return rule
    found = policy.rules[index]
    if found.title is not None:
        return voice.text(found.title.agent or found.title.customer)
    title = voice.text(CATALOGUE[found.reason].title)
    return title if "{" not in title else rule


@allowed(*DESK)
@require_http_methods(["GET", "HEAD", "POST"])
def special_case_new(request: HttpRequest) -> HttpResponse:
    """Ask for a special case, from a reason of a diagnosis."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    shop = staff.shop
    given = request.POST if request.method == "POST" else request.GET
    try:
        decision = decisions.load(given.get("decision", ""), shop=shop)
    except decisions.NoDecision:
        raise Http404("a special case is asked for from a diagnosis") from None
    voice = _voice(shop)
    rule, plan = given.get("rule", ""), given.get("plan", "")
    policy = decision.policy
    index = policy.rule_index.get(rule)
    if index is None or plan not in policy.plan_index:
        raise Http404("no such reason")
    amount = given.get("amount", "") or format_money(decision.evaluation.amount_minor, shop.currency)
    hours, only_plan = given.get("hours", "24"), given.get("scope", "plan") == "plan"
    error, field = "", ""
    if request.method == "POST":
        try:
            made = overrides.ask(
                shop,
                decision.customer_id,
                rule,
                actor=actor(request),
                reason=given.get("reason", ""),
                max_amount_minor=parse_money(amount, shop.currency, place="amount"),
                hours=int(hours) if hours.isdecimal() and len(hours) < 4 else 0,
                at=clock.now(),
                plan=plan if only_plan else "",
                decision=decision.public_id,
                case=given.get("case", "") or None,
            )
        except MoneyError:
            error, field = _no_amount(voice), "max_amount_minor"
        except overrides.Refusal as refusal:
            error, field = refusal.text.in_(voice.locale), refusal.field
        else:
            _said(request, gettext("Asked. Someone else has to approve it."))
            return HttpResponseRedirect(reverse("console:override", args=[made.public_id]))
    layer = policy.rules[index].layer
    return render(
        request,
        "console/support/override_new.html",
        {
            "asked": {
                "decision": decision.public_id,
                "plan": plan,
                "rule": rule,
                "case": given.get("case", ""),
                "amount": amount,
                "hours": hours,
                "reason": given.get("reason", ""),
                "only_plan": only_plan,
            },
            "customer": customer_name(shop, decision.customer_id),
            "what": rule_title(policy, rule, voice),
            "plan_name": option_name(policy, plan, voice),
            "layer": layer_name(layer),
            "law": layer == "law",
            "max_hours": overrides.MAX_HOURS,
            "currency": shop.currency,
            "error": error,
            "field": field,
        },
        status=422 if error else 200,
    )


def _no_amount(voice: Voice) -> str:
    return gettext("Write an amount such as %(example)s.") % {"example": voice.money(500_000)}


@allowed(*SPECIAL_READERS)
@require_safe
def special_case(request: HttpRequest, override_id: str) -> HttpResponse:
    """One special case: what was asked, by whom and why, and what became of it."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    found = _special(staff.shop, override_id)
    return render(request, "console/support/override.html", {"special": _special_page(staff, found)})


def _special(shop: Shop, override_id: str) -> overrides.SpecialCase:
    try:
        return overrides.get(shop, override_id)
    except overrides.NoOverride:
        raise Http404("no such special case") from None


def _special_page(staff: Staff, found: overrides.SpecialCase) -> SpecialPage:
    shop, voice, now = staff.shop, _voice(staff.shop), clock.now()
    policy = _policy(shop)
    state, tone = special_state(found)
    own = found.asked_by.lower() == staff.actor.lower()
    waiting = found.state(now) == "asked"
    decided = ""
    if found.decided_at is not None:
        decided = gettext("%(who)s, %(at)s") % {
            "who": found.decided_by.removeprefix("staff:"),
            "at": voice.instant(found.decided_at),
        }
    revoked = ""
    if found.revoked_at is not None:
        revoked = gettext("%(who)s, %(at)s: %(note)s") % {
            "who": found.revoked_by.removeprefix("staff:"),
            "at": voice.instant(found.revoked_at),
            "note": found.revoked_note,
        }
    return SpecialPage(
        id=found.public_id,
        number=found.number,
        customer=customer_name(shop, found.customer_id),
        what=rule_title(policy, found.rule, voice),
        rule=found.rule,
        layer=layer_name(found.layer),
        plan=option_name(policy, found.plan, voice) if found.plan in policy.plan_index else found.plan,
        reason=found.reason,
        asked_by=found.asked_by.removeprefix("staff:"),
        asked_at=voice.instant(found.asked_at),
        amount=voice.money(found.max_amount_minor),
        amount_plain=format_money(found.max_amount_minor, shop.currency),
        hours=found.hours,
        state=state,
        tone=tone,
        decided=decided,
        note=found.note,
        until=voice.instant(found.expires_at) if found.expires_at else "",
        revoked=revoked,
        uses=tuple(
            (use.order_ref, voice.money(use.amount_minor), voice.instant(use.used_at))
            for use in overrides.uses(shop, found)
        ),
        decision=_diagnosis_url(found.decision, found.plan, "") if found.decision else "",
        case=reverse("console:case", args=[found.case]) if found.case and staff.may(*DESK) else "",
        may_decide=waiting and not own and staff.may("supervisor"),
        may_withdraw=waiting and own,
        may_revoke=found.state(now) == "approved" and staff.may("supervisor"),
        own=waiting and own,
    )


def _acted(request: HttpRequest, override_id: str, act: Any, said: str) -> HttpResponse:
    staff: Staff = request.staff  # type: ignore[attr-defined]
    found = _special(staff.shop, override_id)
    try:
        act(staff)
    except MoneyError:
        error = _no_amount(_voice(staff.shop))
    except overrides.Refusal as refusal:
        error = refusal.text.in_(locale_now())
    else:
        _said(request, said)
        return HttpResponseRedirect(reverse("console:override", args=[override_id]))
    return render(
        request,
        "console/support/override.html",
        {"special": _special_page(staff, found), "error": error},
        status=422,
    )


@allowed("supervisor")
@require_POST
def special_case_approve(request: HttpRequest, override_id: str) -> HttpResponse:
    """Approve it, for at most what was asked."""
    amount, hours = request.POST.get("amount", ""), request.POST.get("hours", "")

    def act(staff: Staff) -> None:
        overrides.approve(
            staff.shop,
            override_id,
            actor=staff.actor,
            at=clock.now(),
            note=request.POST.get("note", ""),
            max_amount_minor=parse_money(amount, staff.shop.currency, place="amount"),
            hours=int(hours) if hours.isdecimal() and len(hours) < 4 else 0,
        )

    return _acted(request, override_id, act, gettext("Approved. It counts from the next checkout on."))


@allowed("supervisor")
@require_POST
def special_case_refuse(request: HttpRequest, override_id: str) -> HttpResponse:
    """Refuse it, saying why."""

    def act(staff: Staff) -> None:
        overrides.refuse(
            staff.shop, override_id, actor=staff.actor, at=clock.now(), note=request.POST.get("note", "")
        )

    return _acted(request, override_id, act, gettext("Refused."))


@allowed("supervisor")
@require_POST
def special_case_revoke(request: HttpRequest, override_id: str) -> HttpResponse:
    """End it now."""

    def act(staff: Staff) -> None:
        overrides.revoke(
            staff.shop, override_id, actor=staff.actor, at=clock.now(), note=request.POST.get("note", "")
        )

    return _acted(request, override_id, act, gettext("Revoked. It counts no more from now on."))


@allowed(*DESK)
@require_POST
def special_case_withdraw(request: HttpRequest, override_id: str) -> HttpResponse:
    """Take one's own request back."""

    def act(staff: Staff) -> None:
        overrides.withdraw(staff.shop, override_id, actor=staff.actor, at=clock.now())

    return _acted(request, override_id, act, gettext("Withdrawn."))


# ----------------------------------------------------------------------------------------------- reply templates


@allowed(*DESK)
@require_http_methods(["GET", "HEAD", "POST"])
def reply_templates(request: HttpRequest) -> HttpResponse:
    """The shop's reply templates, each in both languages."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    voice = _voice(staff.shop)
    error = ""
    given = {name: request.POST.get(name, "") for name in ("name", "zh", "en")}
    if request.method == "POST":
        try:
            replies.save(
                staff.shop,
                given["name"],
                Text(given["zh"], given["en"]),
                actor=actor(request),
                at=clock.now(),
            )
        except replies.BadTemplate as bad:
            error = voice.text(bad.text)
        else:
            _said(request, gettext("The template was kept."))
            return HttpResponseRedirect(reverse("console:templates"))
    elif (editing := request.GET.get("edit", "")) != "":
        for template in replies.templates(staff.shop):
            if template.name == editing:
                given = {"name": template.name, "zh": template.body.zh_cn, "en": template.body.en}
    return render(
        request,
        "console/support/templates.html",
        {
            "templates": [
                {
                    "name": template.name,
                    "label": template_name(template),
                    "own": template.own,
                    "zh": template.body.zh_cn,
                    "en": template.body.en,
                    "edit": f"{reverse('console:templates')}?{urlencode({'edit': template.name})}#form",
                }
                for template in replies.templates(staff.shop)
            ],
            "gaps": [(f"{{{name}}}", voice.text(about)) for name, about in replies.GAPS.items()],
            "given": given,
            "error": error,
        },
        status=422 if error else 200,
    )


@allowed(*DESK)
@require_POST
def reply_template_retire(request: HttpRequest) -> HttpResponse:
    """Offer a template no more."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    try:
        replies.retire(staff.shop, request.POST.get("name", ""), actor=actor(request), at=clock.now())
    except replies.BadTemplate:
        raise Http404("no such template") from None
    _said(request, gettext("The template is offered no more."))
    return HttpResponseRedirect(reverse("console:templates"))
