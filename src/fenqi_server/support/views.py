"""Asking a person: the customer's side. The desk's side is the console's (`support.desk`)."""

from __future__ import annotations

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.views.decorators.http import require_http_methods, require_safe

from fenqi_server import clock
from fenqi_server.decisions import service as decisions
from fenqi_server.portal.contract_views import own_contract
from fenqi_server.portal.visitor import PortalVisitor, customer_page
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.selector import (
    ReasonView,
    option_name,
    reason_view,
)
from fenqi_server.storefront.visitor import own_decision
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


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    """A question as its customer has it."""

    title: str
    url: str
    state: str
    tone: str
    opened: str
    messages: tuple[MessageView, ...] = ()
    reasons: tuple[ReasonView, ...] = ()


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def new(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """The question's form. It names the decision by itself, so nobody has to describe what they saw."""
    asked = request.POST if request.method == "POST" else request.GET
    decision = own_decision(visitor, asked.get("decision", ""))
    plan = asked.get("plan", "")
    notice = asked.get("notice", "")
    policy = visitor.policy
    notice = notice if policy is not None and notice in policy.notices else ""
    refund = asked.get("refund", "")
    error, message = "", request.POST.get("message", "") or (_refund_words(refund, visitor) if refund else "")
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
                came_from=_came_from(decision, notice),
                notice=notice,
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
        {"about": about, "notice": notice, "error": error, "message": message},
        status=422 if error else 200,
    )


def _refund_words(contract_id: str, visitor: PortalVisitor) -> str:
    """The question of somebody who paid more than was owed, to be sent as it is; empty where there is nothing to ask back."""
    found = own_contract(visitor, contract_id)
    if not found.state.unapplied_minor:
        return ""
    return gettext(
        "Please refund the %(amount)s that I paid beyond what was owed, for order %(order)s (contract %(contract)s)."
    ) % {
        "amount": visitor.voice.money(found.state.unapplied_minor),
        "order": found.order_ref,
        "contract": found.contract_id,
    }


def _came_from(decision: decisions.Decision | None, notice: str) -> str:
    if notice or (decision is not None and decision.source == "notice"):
        return "notice"
    return "portal" if decision is None else "checkout"


@require_safe
@customer_page
def mine(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """The customer's questions."""
    found = cases.cases_of(visitor.shop, visitor.customer_id)
    views = [_case_view(visitor.shop, case, visitor.voice) for case in found]
    return render(request, "support/mine.html", {"cases": views})


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def case(request: HttpRequest, visitor: PortalVisitor, case_id: str) -> HttpResponse:
    """One question with its answers, for its customer."""
    try:
        found, messages = cases.get(visitor.shop, case_id)
    except cases.NoCase:
        raise Http404("no such case") from None
    if found.customer_id != visitor.customer_id:
        raise Http404("no such case")
    if request.method == "POST":
        _write(visitor.shop, case_id, request)
        return HttpResponseRedirect(request.path)
    view = _case_view(visitor.shop, found, visitor.voice, messages=messages)
    return render(request, "support/case.html", {"case": view})


def _write(shop: Shop, case_id: str, request: HttpRequest) -> None:
    message = request.POST.get("message", "")[: cases.MAX_MESSAGE]
    if message.strip():
        cases.write(shop, case_id, "customer", message, clock.now())


def _customer_reasons(decision: decisions.Decision, plan: str, voice: Voice) -> tuple[ReasonView, ...]:
    option = decision.evaluation.option(plan)
    return tuple(reason_view(decision.policy, reason, voice) for reason in option.verdict.reasons)


def _case_view(
    shop: Shop, found: cases.Case, voice: Voice, *, messages: tuple[cases.Message, ...] = ()
) -> CaseView:
    decision = None
    if found.decision is not None:
        try:
            decision = decisions.load(found.decision, shop=shop)
        except decisions.NoDecision:
            decision = None
    about = decision is not None and found.plan in decision.policy.plan_index
    name = option_name(decision.policy, found.plan, voice) if decision and about else gettext("A question")
    state, tone = {
        "open": (pgettext("case", "waiting for an answer"), "warn"),
        "answered": (pgettext("case", "answered"), "good"),
        "closed": (pgettext("case", "closed"), ""),
    }[found.state]
    return CaseView(
        title=f"{found.subject or name} · {found.number}",
        url=reverse("support:case", args=[found.public_id]),
        state=state,
        tone=tone,
        opened=voice.instant(found.opened_at),
        messages=tuple(_message(message, voice) for message in messages),
        reasons=_customer_reasons(decision, found.plan, voice) if decision and about else (),
    )


def _message(message: cases.Message, voice: Voice) -> MessageView:
    by_agent = message.author == "agent"
    return MessageView(
        by_agent,
        gettext("Support") if by_agent else gettext("Customer"),
        voice.instant(message.written_at),
        message.body,
    )
