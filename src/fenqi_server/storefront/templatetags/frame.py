"""What every page shows around its content: the mall's name, the menu, whose page it is and what time it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from django import template
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from django.template.context import Context
from django.urls import reverse
from django.utils.translation import gettext

from fenqi.calendars import format_instant, zone_of
from fenqi_server import clock
from fenqi_server.portal.visitor import PortalVisitor, portal_visitor
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import only_shop
from fenqi_server.storefront import cart
from fenqi_server.storefront.visitor import person_of
from fenqi_server.storefront.voice import locale_now

register = template.Library()

_LANGUAGES: Final = {
    "zh-CN": {"code": "en", "lang": "en", "name": "English"},
    "en": {"code": "zh-hans", "lang": "zh-CN", "name": "中文"},
}


class MenuItem(msgspec.Struct, frozen=True):
    label: str
    url: str
    current: bool
    count: int = 0


class Frame(msgspec.Struct, frozen=True):
    """The frame of one page."""

    lang: str
    mall: str
    menu: tuple[MenuItem, ...]
    here: str
    other_language: dict[str, str]
    demo: bool
    now: datetime
    now_text: str
    person: str
    flash: str
    home: str
    """Where the brand leads; empty where there is no page to lead to."""
    signed_in: bool
    """Whether a customer came by the shop's link, and can sign out."""
    back: str


def _visitor(request: HttpRequest | None) -> PortalVisitor | None:
    """The customer whose visit it is, on pages too that are everybody's; None for whoever did not come by a link."""
    if request is None or "portal" not in getattr(request, "session", {}):
        return None
    try:
        return portal_visitor(request)
    except DatabaseError:
        return None


@register.simple_tag(takes_context=True)
def get_frame(context: Context) -> Frame:
    """The frame for this request; a page without one (an error very early) gets a plain one."""
    request: HttpRequest | None = context.get("request")
    locale = locale_now()
    visitor = _visitor(request)
    try:
        shop: Shop | None = visitor.shop if visitor else context.get("shop") or only_shop()
    except (Shop.DoesNotExist, DatabaseError):
        shop = None
    zone = shop.time_zone if shop else "Asia/Shanghai"
    now = clock.now() if shop else clock.system_now()
    session: Any = getattr(request, "session", None)
    person = person_of(request) if request is not None and settings.FENQI_DEMO else None
    path = request.path if request is not None else "/"
    # After a form was answered on the spot, its address may have no page of its own to come back to.
    here = request.get_full_path() if request is not None and request.method in ("GET", "HEAD") else path
    signed_in = visitor is not None and visitor.link is not None
    items: tuple[tuple[str, str, int], ...] = ()
    if settings.FENQI_DEMO:
        items = (
            (gettext("Products"), "/", 0),
            (gettext("Cart"), reverse("storefront:cart"), cart.count(session) if session is not None else 0),
            (gettext("What I owe"), reverse("portal:overview"), 0),
            (gettext("My contracts"), reverse("portal:contracts"), 0),
            (gettext("Orders"), reverse("portal:orders"), 0),
            (gettext("Notices"), reverse("announcements:index"), 0),
        )
    elif signed_in:
        items = (
            (gettext("What I owe"), reverse("portal:overview"), 0),
            (gettext("My contracts"), reverse("portal:contracts"), 0),
            (gettext("My questions"), reverse("support:mine"), 0),
        )
    return Frame(
        lang=locale,
        mall=shop.name.in_(locale) if shop else "Fenqi",
        menu=tuple(
            MenuItem(label, url, path == url if url == "/" else path.startswith(url), count)
            for label, url, count in items
        ),
        here=here,
        other_language=_LANGUAGES[locale],
        demo=settings.FENQI_DEMO,
        now=now.astimezone(zone_of(zone)),
        now_text=format_instant(now, zone, locale),
        person=person.name.in_(locale) if person else "",
        flash=session.pop("flash", "") if session is not None and "flash" in session else "",
        home="/"
        if settings.FENQI_DEMO
        else reverse("portal:overview")
        if signed_in
        else reverse("announcements:index"),
        signed_in=signed_in,
        back=visitor.back if visitor is not None else "",
    )
