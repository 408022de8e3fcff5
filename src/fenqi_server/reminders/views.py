"""Refusing reminders by mail, from the link in one. Opening the page changes nothing; a POST does, a mail program's own too (RFC 8058)."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from fenqi_server import clock
from fenqi_server.reminders.letters import customer_of
from fenqi_server.reminders.rules import set_wish, wish_of
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def off(request: HttpRequest, token: str) -> HttpResponse:
    """The page with its button, and what it does: no more mails, or mails again."""
    try:
        shop_id, customer_id = customer_of(token)
        shop = shops.by_id(shop_id)
    except (LookupError, Shop.DoesNotExist):
        raise Http404("the address was not given out here") from None
    if request.method == "POST":
        wish = set_wish(shop, customer_id, clock.now(), refused=request.POST.get("again") != "1")
    else:
        wish = wish_of(shop, customer_id)
    return render(request, "reminders/off.html", {"refused": wish.refused_at is not None, "shop": shop})
