"""The pretend funder's page, and the way back from it."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from fenqi.money import format_money
from fenqi_server import clock
from fenqi_server.funders import handoffs, pretend
from fenqi_server.ids import parse_public_id
from fenqi_server.policies import service as policies
from fenqi_server.shops.service import by_id, only_shop


@never_cache
@require_http_methods(["GET", "POST"])
def pretend_page(request: HttpRequest, hand_off: str) -> HttpResponse:
    """Another company's page, played: it shows what it was asked for, and answers as the visitor has it answer.

    `silent` decides too, but sends nobody back and tells nobody: only asking finds the answer.
    """
    try:
        parse_public_id(hand_off, "ho")
    except ValueError:
        raise Http404("not a reference that we gave") from None
    application = pretend.find(hand_off)
    if application is None:
        raise Http404("no such application")
    if request.method == "POST":
        act = request.POST.get("answer", "")
        if act in ("approved", "declined"):
            pretend.decide(hand_off, "approved" if act == "approved" else "declined", clock.now())
            return HttpResponseRedirect(application.return_to)
        if act in ("silent_approved", "silent_declined"):
            application = pretend.decide(
                hand_off, "approved" if act == "silent_approved" else "declined", clock.now()
            )
            return render(request, "funders/silent.html", {"application": application}, status=200)
        return HttpResponse(status=400)
    return render(
        request,
        "funders/pretend.html",
        {
            "application": application,
            "funder_name": _funder_name(application.funder, request),
            "amount": format_money(application.amount_minor, application.currency),
        },
    )


@never_cache
@require_safe
def go_on(request: HttpRequest, hand_off: str) -> HttpResponse:
    """The customer is on the way to the funder's page: call the funder, once, and go on to the page that it names.

    Opening this again calls nobody a second time: it asks what became of the first call.
    """
    shop_id = handoffs.hand_off_of_link("go", hand_off, request.GET.get("t", ""))
    if shop_id is None:
        raise Http404("not a link of ours")
    shop, now = by_id(shop_id), clock.now()
    known = handoffs.deliver(shop, hand_off, now)
    if known.state in ("started", "unknown") and not known.page_url:
        known = handoffs.query(shop, hand_off, now)
    if known.state in ("approved", "declined"):
        return HttpResponseRedirect(handoffs.return_link(known))
    if known.page_url:
        return HttpResponseRedirect(known.page_url)
    context = {
        "funder_name": _funder_name(known.funder, request),
        "again": handoffs.page_url(known),
        "back": handoffs.return_link(known),
        "order_ref": known.order_ref,
    }
    return render(request, "funders/waiting.html", context, status=202)


@never_cache
@require_safe
def come_back(request: HttpRequest, hand_off: str) -> HttpResponse:
    """The customer is back: ask the funder, then go on to where the shop wants the customer."""
    shop_id = handoffs.shop_of_return(hand_off, request.GET.get("t", ""))
    if shop_id is None:
        raise Http404("not a return link of ours")
    known = handoffs.query(by_id(shop_id), hand_off, clock.now())
    target = known.return_url or "/"
    joint = "&" if "?" in target else "?"
    return HttpResponseRedirect(f"{target}{joint}hand_off={known.public_id}&state={known.state}")


def _funder_name(funder: str, request: HttpRequest) -> str:
    locale = "en" if getattr(request, "LANGUAGE_CODE", "zh-hans").startswith("en") else "zh-CN"
    try:
        policy = policies.current(only_shop().id, clock.now())
    except LookupError:
        return funder
    for found in policy.snapshot.funders:
        if found.id == funder:
            return found.name.in_(locale)
    return funder
