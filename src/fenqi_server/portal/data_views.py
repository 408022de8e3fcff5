"""The customer's own data: a file of all of it, and being forgotten."""

from __future__ import annotations

from typing import Final

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from fenqi.calendars import to_epoch
from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.portal import personal
from fenqi_server.portal.visitor import PortalVisitor, customer_page, support_words

_CONTEXT: Final = "er1"
SECONDS: Final = 600
"""How long the second question waits for its answer."""


@require_safe
@customer_page
def data(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """What is kept, and what can be done about it."""
    return render(request, "portal/data.html", {"support": support_words(visitor.shop)})


@require_safe
@customer_page
def data_file(request: HttpRequest, visitor: PortalVisitor) -> HttpResponseBase:
    """Everything about the customer, as JSON, sent while it is made."""
    parts = personal.file_of(visitor.shop, visitor.customer_id, visitor.at)
    response = StreamingHttpResponse(parts, content_type="application/json")
    name = f"my-data-{visitor.today.isoformat()}.json"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def erase(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """Being forgotten: what goes and what stays, asked twice, refused with reasons while something is in the way."""
    shop, at, say = visitor.shop, visitor.at, visitor.voice.text
    reasons = personal.in_the_way(shop, visitor.customer_id, at)
    if reasons:
        return render(
            request,
            "portal/erase_refused.html",
            {"reasons": [say(reason) for reason in reasons], "support": support_words(shop)},
            status=409 if request.method == "POST" else 200,
        )
    if request.method != "POST":
        return render(request, "portal/erase.html", {"step": 1})
    if not _asked_before(request.POST.get("token", ""), visitor):
        token = seal_token(_CONTEXT, visitor.customer_id.bytes + to_epoch(at).to_bytes(8, "big"))
        return render(request, "portal/erase.html", {"step": 2, "token": token})
    if request.POST.get("sure") != "yes":
        context = {"step": 2, "token": request.POST["token"], "error": gettext("Tick the box, or go back.")}
        return render(request, "portal/erase.html", context, status=422)
    back = visitor.back
    try:
        done = personal.erase(shop, visitor.customer_id, at)
    except personal.NotYet:
        return HttpResponseRedirect(reverse("portal:erase"))
    request.session.flush()
    request.__dict__["fenqi_portal"] = None
    return render(
        request,
        "portal/erased.html",
        {"done": done, "shop": shop, "shop_name": say(shop.name), "back": back},
    )


def _asked_before(token: str, visitor: PortalVisitor) -> bool:
    """Whether this customer was shown the second question a short while ago."""
    try:
        raw = open_token(_CONTEXT, token)
    except BadToken:
        return False
    asked_at = int.from_bytes(raw[16:], "big")
    return raw[:16] == visitor.customer_id.bytes and 0 <= to_epoch(visitor.at) - asked_at < SECONDS
