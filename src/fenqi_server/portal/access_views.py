"""Coming in by the shop's link, and signing out.

Mail programs, scanners and previews open every link: opening this one shows a page with a button, and only the button lets
somebody in. No script is needed for it.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, override
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django.views.i18n import set_language

from fenqi.calendars import format_instant
from fenqi_server import clock
from fenqi_server.customers import service as customers
from fenqi_server.demo.people import PEOPLE
from fenqi_server.disclosures.pages import LANGUAGES
from fenqi_server.portal import entry
from fenqi_server.portal.visitor import (
    PortalVisitor,
    begin_visit,
    customer_page,
    end_visit,
    portal_visitor,
    support_words,
)
from fenqi_server.reminders.rules import set_wish
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import locale_now


class DoorView(msgspec.Struct, frozen=True, kw_only=True):
    """The page behind a link: its button, or why it has none and what to do."""

    shop: str
    title: str
    text: str
    token: str = ""
    back: str = ""
    support: str = ""


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def enter(request: HttpRequest) -> HttpResponse:
    """A link's page. Opening it uses nothing; its button begins the visit."""
    token = (request.POST if request.method == "POST" else request.GET).get("t", "")
    try:
        shop_id, customer_id, link_id = entry.find(token)
        shop = shops.by_id(shop_id)
        link = entry.look(shop, customer_id, link_id)
    except (entry.BadLink, Shop.DoesNotExist):
        return _private(_unknown(request))
    at = clock.now()
    # What the visitor chose on this page goes before what the shop thought.
    chosen = settings.LANGUAGE_COOKIE_NAME in request.COOKIES
    locale = locale_now() if chosen or not link.locale else link.locale
    with override(LANGUAGES[locale]):
        if request.method == "POST":
            used = entry.use(shop, link, at)
            if used is None:
                link = entry.look(shop, customer_id, link_id)
                return _private(_too_late(request, shop, link, locale, at))
            return _private(_in(request, shop, used, locale))
        if link.state(at) != "open":
            return _private(_too_late(request, shop, link, locale, at))
        view = DoorView(
            shop=shop.name.in_(locale),
            title=gettext("Your instalments at %(shop)s") % {"shop": shop.name.in_(locale)},
            text=gettext(
                "Press the button to see what you owe and to pay it. The link works once, and until %(at)s."
            )
            % {"at": format_instant(link.expires_at, shop.time_zone, locale)},
            token=token,
            back=link.return_url,
        )
        return _private(render(request, "portal/enter.html", {"door": view}))


def language(request: HttpRequest) -> HttpResponse:
    """The language switch of every page. Whoever is signed in is written to in the language that they chose, too."""
    response: HttpResponse = set_language(request)
    chosen = {code: locale for locale, code in LANGUAGES.items()}.get(request.POST.get("language", ""))
    visitor = portal_visitor(request) if chosen else None
    if visitor is not None:
        set_wish(visitor.shop, visitor.customer_id, visitor.at, locale=chosen)
    return response


def _in(request: HttpRequest, shop: Shop, link: entry.Link, locale: str) -> HttpResponse:
    begin_visit(request, shop, link)
    if settings.FENQI_DEMO:
        # In the demo the mall's pages are the same person's.
        for person in PEOPLE:
            if customers.find(shop, person.external_ref) == link.customer_id:
                request.session["person"] = person.external_ref
    target = reverse("portal:contract", args=[link.contract]) if link.contract else reverse("portal:overview")
    response = HttpResponseRedirect(target)
    if link.locale:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            LANGUAGES[locale],
            secure=settings.SESSION_COOKIE_SECURE,
            samesite="Lax",
        )
    return response


def _too_late(request: HttpRequest, shop: Shop, link: entry.Link, locale: str, at: datetime) -> HttpResponse:
    words = {
        "used": (
            gettext("This link was used already"),
            gettext(
                "A link opens your pages once, so that nobody else can open them later. Go back to the shop and ask for "
                "a new one. If it was not you who used it, tell the shop."
            ),
        ),
        "expired": (
            gettext("This link has run out"),
            gettext(
                "A link can be used for 10 minutes. Go back to the shop and ask for a new one; nothing of yours has changed."
            ),
        ),
        "ended": (
            gettext("This link is no longer valid"),
            gettext("Go back to the shop and ask for a new one."),
        ),
    }
    state = link.state(at)
    title, text = words[state if state in words else "expired"]
    view = DoorView(
        shop=shop.name.in_(locale),
        title=title,
        text=text,
        back=link.return_url,
        support=support_words(shop),
    )
    return render(request, "portal/enter.html", {"door": view}, status=410)


def _unknown(request: HttpRequest) -> HttpResponse:
    view = DoorView(
        shop="",
        title=gettext("This link is not complete"),
        text=gettext(
            "Part of the address may be missing, or it was changed. Open it from the message or the page that it came "
            "in, or ask the shop for a new one."
        ),
    )
    return render(request, "portal/enter.html", {"door": view}, status=404)


def _private(response: HttpResponse) -> HttpResponse:
    # The site's own Referrer-Policy (same-origin) stays: without any, a browser names no origin when the button is pressed,
    # and the form would be refused.
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@require_POST
@customer_page
def leave(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """Sign out. In the demo, where nobody signed in, there is nothing to end."""
    back, shop = visitor.back, visitor.shop
    end_visit(request, visitor)
    return render(
        request,
        "portal/left.html",
        {"back": back, "shop": shop, "shop_name": shop.name.in_(locale_now())},
    )
