"""A table of costs at its own address, as a page and as a print. Its name is a hash of what it says, so an address never comes
to mean anything else; it says nothing of whoever was shown it, and may be kept by any cache."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.translation import get_language, override
from django.views.decorators.http import require_safe

from fenqi.calendars import to_epoch
from fenqi.terms.disclosure import Disclosure
from fenqi_server import clock
from fenqi_server.announcements.reader import shop_asked
from fenqi_server.disclosures import service
from fenqi_server.disclosures.pages import LANGUAGES
from fenqi_server.disclosures.printing import printed
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.disclosed import TableView, table_view
from fenqi_server.storefront.voice import Voice

_NAME: Final = re.compile(r"sha256:[0-9a-f]{64}")
PAGE_SECONDS: Final = 3_600
PRINT_SECONDS: Final = 86_400
RENDERING: Final = "1"
"""Raised when the page or the print of the same table comes out otherwise: what caches hold is asked for anew."""


@require_safe
def table_in_your_language(request: HttpRequest, name: str) -> HttpResponse:
    """On to the table in the reader's language."""
    _table(request, name)
    locale = next((ours for ours, theirs in LANGUAGES.items() if theirs == get_language()), "zh-CN")
    response = HttpResponseRedirect(_with_query(request, reverse("disclosures:table", args=[name, locale])))
    response.headers["Vary"] = "Accept-Language, Cookie"
    return response


@require_safe
def table(request: HttpRequest, name: str, locale: str) -> HttpResponse:
    """The table as a page: no script, no name of a person, and fit for printing."""
    shop, found = _table(request, name)
    if locale not in LANGUAGES:
        raise Http404("no such language")
    with override(LANGUAGES[locale]):
        view = _view(shop, found, locale)
        other = next(each for each in LANGUAGES if each != locale)
        response = render(
            request,
            "disclosures/table.html",
            {
                "table": view,
                "name": name,
                "lang": locale,
                "shop": shop.name.in_(locale),
                "title": _title(found, locale),
                "other": {
                    "lang": other,
                    "name": {"en": "English", "zh-CN": "中文"}[other],
                    "url": _with_query(request, reverse("disclosures:table", args=[name, other])),
                },
                "pdf": _with_query(request, reverse("disclosures:table-pdf", args=[name, locale])),
            },
        )
    return _cached(request, response, name, locale, PAGE_SECONDS)


@require_safe
def table_pdf(request: HttpRequest, name: str, locale: str) -> HttpResponse:
    """The same as a print."""
    shop, found = _table(request, name)
    if locale not in LANGUAGES:
        raise Http404("no such language")
    if _etag(name, locale) == request.headers.get("If-None-Match"):
        return _cached(request, HttpResponseNotModified(), name, locale, PRINT_SECONDS)
    with override(LANGUAGES[locale]):
        view = _view(shop, found, locale)
        data = printed(view, name, shop.name.in_(locale), locale, _title(found, locale))
    response = HttpResponse(data, content_type="application/pdf")
    # By its name alone: a file name with the shop's or the plan's words in it would differ from one browser to the next.
    response.headers["Content-Disposition"] = f'inline; filename="{name[7:23]}-{locale}.pdf"'
    return _cached(request, response, name, locale, PRINT_SECONDS)


def _table(request: HttpRequest, name: str) -> tuple[Shop, Disclosure]:
    if not _NAME.fullmatch(name):
        raise Http404("no such table")
    shop = shop_asked(request)
    try:
        return shop, service.find(shop, name)
    except service.NoTable:
        raise Http404("no such table") from None


def _view(shop: Shop, found: Disclosure, locale: str) -> TableView:
    voice = Voice(locale, found.currency, shop.time_zone, to_epoch(clock.now()))
    return table_view(found, (), voice, {})


def _title(found: Disclosure, locale: str) -> str:
    name = found.funder_name.in_(locale)
    return name if not found.is_credit else f"{name} × {found.periods}"


def _with_query(request: HttpRequest, address: str) -> str:
    # `shop_asked` has found it: nothing but a shop's code comes back here.
    code = request.GET.get("shop", "")
    return f"{address}?{urlencode({'shop': code})}" if code else address


def _etag(name: str, locale: str) -> str:
    return f'"{name[7:39]}-{locale}-{RENDERING}"'


def _cached(
    request: HttpRequest, response: HttpResponse, name: str, locale: str, seconds: int
) -> HttpResponse:
    response.headers["Content-Language"] = locale
    response.headers["ETag"] = _etag(name, locale)
    response.headers.pop("Vary", None)
    patch_cache_control(response, public=True, max_age=seconds)
    response.headers["X-Robots-Tag"] = "noindex"
    return response
