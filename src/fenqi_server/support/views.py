"""Asking a person: the customer's side, and a plain desk that shows the recorded decision."""

from __future__ import annotations

from typing import Any

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from fenqi.policy.reasons import reason_texts
from fenqi.policy.verdict import Reason
from fenqi_server import clock
from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import only_shop
from fenqi_server.storefront.selector import (
    ReasonView,
    WayView,
    compared_with,
    open_ways,
    option_name,
    reason_view,
    until_text,
)
from fenqi_server.storefront.visitor import own_decision, visitor_of
from fenqi_server.storefront.voice import Voice, locale_now
from fenqi_server.support import cases


class AboutView(msgspec.Struct, frozen=True):
    """What a question is about."""

    name: str = ""
    decision: str = ""
    plan: str = ""
    reasons: tuple[ReasonView, ...] = ()


class MessageView(msgspec.Struct, frozen=True):
    agent: bool
    who: str
    at: str
    text: str


class AgentReason(msgspec.Struct, frozen=True):
    """A reason with everything that the customer does not see of it."""

    code: str
    layer: str
    rule: str
    title: str
    detail: str
    fix: str
    when: str
    say: str
    clauses: tuple[str, ...]


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    url: str
    state: str
    tone: str
    opened: str
    customer: str = ""
    first_reason: str = ""
    messages: tuple[MessageView, ...] = ()
    reasons: tuple[ReasonView, ...] = ()
    decision: str = ""
    decided_at: str = ""
    policy_digest: str = ""
    replayed: str = ""
    verdict: str = ""
    agent_reasons: tuple[AgentReason, ...] = ()
    ways: tuple[WayView, ...] = ()
    compared: str = ""


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The question's form. It names the decision by itself, so nobody has to describe what they saw."""
    visitor = visitor_of(request)
    asked = request.POST if request.method == "POST" else request.GET
    decision = own_decision(visitor, asked.get("decision", ""))
    plan = asked.get("plan", "")
    error, message = "", request.POST.get("message", "")
    if request.method == "POST":
        try:
            opened = cases.open_case(
                visitor.shop,
                visitor.customer_id,
                message,
                visitor.at,
                locale=locale_now(),
                decision=decision.public_id if decision else None,
                plan=plan if decision and plan in decision.policy.plan_index else "",
            )
        except ValueError:
            error = gettext("Write your question, in at most 2,000 characters.")
        else:
            return HttpResponseRedirect(reverse("support:case", args=[opened.public_id]))
    voice = visitor.voice
    about = AboutView()
    if decision is not None:
        known = plan in decision.policy.plan_index
        about = AboutView(
            option_name(decision.policy, plan, voice) if known else gettext("Your check of this order"),
            decision.public_id,
            plan if known else "",
            _customer_reasons(decision, plan, voice) if known else (),
        )
    return render(
        request,
        "support/new.html",
        {"about": about, "error": error, "message": message},
        status=422 if error else 200,
    )


@never_cache
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    """The customer's questions."""
    visitor = visitor_of(request)
    found = cases.cases_of(visitor.shop, visitor.customer_id)
    views = [_case_view(visitor.shop, case, visitor.voice) for case in found]
    return render(request, "support/mine.html", {"cases": views})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def case(request: HttpRequest, case_id: str) -> HttpResponse:
    """One question with its answers, for its customer."""
    visitor = visitor_of(request)
    try:
        found, messages = cases.get(visitor.shop, case_id)
    except cases.NoCase:
        raise Http404("no such case") from None
    if found.customer_id != visitor.customer_id:
        raise Http404("no such case")
    if request.method == "POST":
        _write(visitor.shop, case_id, "customer", request)
        return HttpResponseRedirect(request.path)
    view = _case_view(visitor.shop, found, visitor.voice, messages=messages)
    return render(request, "support/case.html", {"case": view})


@never_cache
@require_safe
def agent(request: HttpRequest) -> HttpResponse:
    """The desk: all cases, those that wait first."""
    shop, voice = _desk()
    views = [_case_view(shop, found, voice, for_agent=True) for found in cases.desk(shop)]
    return render(request, "support/agent_cases.html", {"cases": views})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def agent_case(request: HttpRequest, case_id: str) -> HttpResponse:
    """One case at the desk: the recorded decision with every failing clause, and the reply."""
    shop, voice = _desk()
    try:
        found, messages = cases.get(shop, case_id)
    except cases.NoCase:
        raise Http404("no such case") from None
    if request.method == "POST":
        _write(shop, case_id, "agent", request)
        return HttpResponseRedirect(request.path)
    view = _case_view(shop, found, voice, messages=messages, for_agent=True, whole=True)
    return render(request, "support/agent_case.html", {"case": view})


def _desk() -> tuple[Shop, Voice]:
    if not settings.FENQI_DEMO:
        raise Http404("agents sign in elsewhere")
    shop = only_shop()
    return shop, Voice(locale_now(), shop.currency, shop.time_zone, int(clock.now().timestamp()))


def _write(shop: Shop, case_id: str, author: str, request: HttpRequest) -> None:
    message = request.POST.get("message", "")[: cases.MAX_MESSAGE]
    if message.strip():
        cases.write(shop, case_id, author, message, clock.now())


def _customer_reasons(decision: decisions.Decision, plan: str, voice: Voice) -> tuple[ReasonView, ...]:
    option = decision.evaluation.option(plan)
    return tuple(reason_view(decision.policy, reason, voice) for reason in option.verdict.reasons)


def _case_view(
    shop: Shop,
    found: cases.Case,
    voice: Voice,
    *,
    messages: tuple[cases.Message, ...] = (),
    for_agent: bool = False,
    whole: bool = False,
) -> CaseView:
    decision = None
    if found.decision is not None:
        try:
            decision = decisions.load(found.decision, shop=shop)
        except decisions.NoDecision:
            decision = None
    about = decision is not None and found.plan in decision.policy.plan_index
    name = option_name(decision.policy, found.plan, voice) if decision and about else gettext("A question")
    state, tone = (
        (pgettext("case", "answered"), "good")
        if found.state == "answered"
        else (pgettext("case", "waiting for an answer"), "warn")
    )
    further: dict[str, Any] = {}
    if decision is not None and about:
        option = decision.evaluation.option(found.plan)
        reasons = _customer_reasons(decision, found.plan, voice)
        further = {"reasons": reasons, "first_reason": reasons[0].title if reasons else ""}
        if whole:
            further |= {
                "decision": decision.public_id,
                "decided_at": voice.instant(decision.at),
                "policy_digest": decision.policy.digest[:19],
                "replayed": gettext("from its record: same policy, same facts, same answer"),
                "verdict": f"{name}: {until_text(option.verdict, voice) if option.verdict.reasons else gettext('open')}",
                "agent_reasons": tuple(
                    _agent_reason(decision, reason, voice) for reason in option.verdict.reasons
                ),
                "ways": open_ways(
                    decision.policy, decision.evaluation, voice, decision.public_id, than=found.plan
                ),
                "compared": compared_with(decision.policy, decision.evaluation, found.plan, voice),
            }
    return CaseView(
        title=f"{name} · {found.number}",
        url=reverse("support:agent_case" if for_agent else "support:case", args=[found.public_id]),
        state=state,
        tone=tone,
        opened=voice.instant(found.opened_at),
        customer=customers.private(shop, found.customer_id).display_name or found.customer_id.hex[:8]
        if for_agent
        else "",
        messages=tuple(_message(message, voice) for message in messages),
        **further,
    )


def _message(message: cases.Message, voice: Voice) -> MessageView:
    by_agent = message.author == "agent"
    return MessageView(
        by_agent,
        gettext("Support") if by_agent else gettext("Customer"),
        voice.instant(message.written_at),
        message.body,
    )


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


def _agent_reason(decision: decisions.Decision, reason: Reason, voice: Voice) -> AgentReason:
    texts = reason_texts(decision.policy, reason, "agent", voice.locale, year=voice.year)
    seen = reason_view(decision.policy, reason, voice)
    rest = " ".join(part for part in (seen.detail, seen.fix) if part)
    said = gettext("%(name)s: %(per)s") % {"name": seen.title, "per": rest} if rest else seen.title
    return AgentReason(
        code=reason.code,
        layer=layer_name(reason.layer),
        rule=reason.rule,
        title=texts.title,
        detail=texts.detail,
        fix=texts.fix,
        when=seen.when,
        say=said,
        clauses=texts.clauses,
    )
