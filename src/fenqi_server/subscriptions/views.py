"""The pages of whoever wants to be told: the wish, and the demo's mailbox."""

from __future__ import annotations

from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from fenqi_server.customers import service as customers
from fenqi_server.storefront.selector import ReasonView, option_name, reason_view
from fenqi_server.storefront.visitor import own_decision, visitor_of
from fenqi_server.storefront.voice import locale_now
from fenqi_server.subscriptions import mailbox, wishes

# ------------------------------------------------------------------------------------------ the wish to be told


class TermChoice(msgspec.Struct, frozen=True):
    plan: str
    name: str
    asked: bool


class NotifyView(msgspec.Struct, frozen=True):
    name: str
    decision: str
    terms: tuple[TermChoice, ...]
    reasons: tuple[ReasonView, ...]
    personal: bool


class WishView(msgspec.Struct, frozen=True):
    title: str
    text: str
    name: str
    email: str
    asked: str
    state: str
    tone: str
    open: bool


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """The form to be told, and its answer."""
    visitor = visitor_of(request)
    asked = request.POST if request.method == "POST" else request.GET
    decision = own_decision(visitor, asked.get("decision", ""))
    plan = asked.get("plan", "")
    if decision is None or plan not in decision.policy.plan_index:
        raise Http404("no such decision of this customer")
    error, email = "", customers.private(visitor.shop, visitor.customer_id).email
    if request.method == "POST":
        email = request.POST.get("email", "").strip()
        try:
            made = wishes.request_back(
                visitor.shop, visitor.customer_id, decision.public_id, plan, email, locale_now(), visitor.at
            )
        except (ValidationError, ValueError):
            error = gettext("Write an e-mail address such as name@example.com.")
        else:
            return HttpResponseRedirect(reverse("subscriptions:wish", args=[made.public_id]))
    voice = visitor.voice
    option = decision.evaluation.option(plan)
    reasons = option.verdict.reasons
    # Terms that are missing stand together on the page: here the customer says which one they mean.
    terms = [
        found.plan
        for found in decision.evaluation.options
        if found.plan == plan or (found.family == option.family and not found.offered)
    ]
    view = NotifyView(
        voice.text(decision.policy.families[option.family].name),
        decision.public_id,
        tuple(TermChoice(term, option_name(decision.policy, term, voice), term == plan) for term in terms),
        tuple(reason_view(decision.policy, reason, voice) for reason in reasons),
        any(reason.until.kind == "none" for reason in reasons),
    )
    return render(
        request,
        "subscriptions/ask.html",
        {"notify": view, "error": error, "email": email},
        status=422 if error else 200,
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def wish_page(request: HttpRequest, wish_id: str) -> HttpResponse:
    """What is kept of a wish, and its end. Open to its customer, and to whoever has the mail's link."""
    visitor = visitor_of(request)
    try:
        found = wishes.get(visitor.shop, wish_id)
    except wishes.NoWish:
        raise Http404("no such request") from None
    if found.customer_id != visitor.customer_id and not wishes.opens(wish_id, request.GET.get("t", "")):
        raise Http404("no such request")
    if request.method == "POST":
        wishes.cancel(visitor.shop, wish_id, visitor.at)
        return HttpResponseRedirect(request.get_full_path())
    voice = visitor.voice
    title, text, state, tone = _wish_words(found)
    view = WishView(
        title=title,
        text=text,
        name=option_name(visitor.policy, found.plan, voice)
        if found.plan in visitor.policy.plan_index
        else found.plan,
        email=found.address,
        asked=voice.instant(found.asked_at),
        state=state,
        tone=tone,
        open=found.state == "waiting",
    )
    return render(request, "subscriptions/wish.html", {"wish": view})


def _wish_words(found: wishes.Wish) -> tuple[str, str, str, str]:
    if found.state == "waiting":
        return (
            gettext("We will tell you"),
            gettext(
                "Once it is open to you again, you get one mail, and your address is deleted. It is deleted after "
                "%(days)s days at the latest."
            )
            % {"days": wishes.KEPT_DAYS},
            gettext("waiting"),
            "",
        )
    if found.state == "told":
        return (
            gettext("You have been told"),
            gettext("The mail was sent and your address deleted. You get no other mail about it."),
            gettext("told"),
            "good",
        )
    return (
        gettext("Request cancelled"),
        gettext("Your address is deleted, and you get no mail."),
        gettext("cancelled"),
        "",
    )


# ------------------------------------------------------------------------------------------------- the mailbox


class MailView(msgspec.Struct, frozen=True):
    subject: str
    sent: str
    to: str
    body: str
    lang: str


@never_cache
@require_safe
def mailbox_page(request: HttpRequest) -> HttpResponse:
    """Every mail of the demo."""
    if not settings.FENQI_DEMO:
        raise Http404("only the demo has a mailbox")
    visitor = visitor_of(request)
    voice = visitor.voice
    views: list[Any] = [
        MailView(mail.subject, voice.instant(mail.sent_at), mail.recipient, mail.body, mail.locale)
        for mail in mailbox.mails(visitor.shop)
    ]
    return render(request, "subscriptions/mailbox.html", {"mails": views})
