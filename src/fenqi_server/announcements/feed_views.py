"""The addresses of feeds and pictures. They are the same for everybody, and a reader that has them gets a 304."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from fenqi.calendars import to_epoch
from fenqi_server import clock
from fenqi_server.announcements.drawings import badge as draw_badge
from fenqi_server.announcements.drawings import card as draw_card
from fenqi_server.announcements.feeds import FORMATS, feed_of
from fenqi_server.announcements.lifecycle import revision
from fenqi_server.announcements.reader import shop_asked
from fenqi_server.announcements.reading import Filter, board
from fenqi_server.announcements.wording import LANGUAGES, speaking
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

_SVG: Final = "image/svg+xml; charset=utf-8"


def _locale(request: HttpRequest) -> str:
    asked = request.GET.get("lang", "zh-CN")
    if asked not in LANGUAGES:
        raise Http404("lang is zh-CN or en")
    return asked


def _answer(request: HttpRequest, body: bytes, content_type: str, modified_at: datetime) -> HttpResponseBase:
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    response = HttpResponse(body, content_type=content_type)
    response["ETag"] = etag
    response["Last-Modified"] = http_date(int(modified_at.timestamp()))
    # May be kept, and is asked about each time: what is published is seen at once.
    response["Cache-Control"] = "no-cache"
    response["Access-Control-Allow-Origin"] = "*"
    return get_conditional_response(request, etag, int(modified_at.timestamp()), response) or response


@require_safe
def feed(request: HttpRequest, format: str) -> HttpResponseBase:
    """Announcements as a feed, per filter, in one language."""
    if format not in FORMATS:
        raise Http404("atom, rss, json or ics")
    made = feed_of(shop_asked(request), format, _locale(request), Filter.read(request.GET))
    return _answer(request, made.body, made.content_type, made.modified_at)


@require_safe
def badge(request: HttpRequest) -> HttpResponseBase:
    """How many announcements are in force, as a small picture."""
    shop, locale, at = shop_asked(request), _locale(request), clock.now()
    found = board(shop, at, Filter.read(request.GET))
    with speaking(locale):
        body = draw_badge(shop, found["now"], locale)
    newest = max((each.published_at for part in found.values() for each in part), default=shop.created_at)
    return _answer(request, body, _SVG, newest)


@require_safe
def card(request: HttpRequest, notice: str, number: int, locale: str) -> HttpResponseBase:
    """One revision as a picture to share."""
    shop: Shop = shop_asked(request)
    found = revision(shop, notice, number)
    if found is None or locale not in LANGUAGES:
        raise Http404("no such revision")
    voice = Voice(locale, shop.currency, shop.time_zone, to_epoch(found.published_at))
    address = f"{settings.FENQI_ORIGIN}{reverse('announcements:notice', args=[notice])}"
    with speaking(locale):
        body = draw_card(shop, found, voice, address.partition("//")[2])
    return _answer(request, body, _SVG, found.published_at)
