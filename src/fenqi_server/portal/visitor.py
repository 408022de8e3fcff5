"""Who is on the customer's own pages: whoever came by a link of the shop's, or in the demo its customer in use.

A page is the customer's only if its view says so (`customer_page`); that finds the visit, refuses whoever has none, and
lets no cache keep the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from fenqi.calendars import local_date, to_epoch
from fenqi_server import clock
from fenqi_server.policies import service as policies
from fenqi_server.portal import entry
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.visitor import visitor_of
from fenqi_server.storefront.voice import Voice, locale_now

__all__ = ["PortalVisitor", "begin_visit", "customer_page", "end_visit", "portal_visitor"]

_KEY: Final = "portal"
P = ParamSpec("P")


class PortalVisitor(msgspec.Struct, frozen=True):
    """The customer whose pages these are. `link` is the visit that the shop's link began; None for the demo's customer."""

    shop: Shop
    customer_id: UUID
    at: datetime
    link: entry.Link | None = None

    @property
    def voice(self) -> Voice:
        return Voice(locale_now(), self.shop.currency, self.shop.time_zone, to_epoch(self.at))

    @property
    def today(self) -> Any:
        return local_date(self.at, self.shop.time_zone)

    @property
    def policy(self) -> Any:
        """The policy in force for this customer; None where the shop has none."""
        try:
            return policies.current(self.shop.id, self.at, self.customer_id)
        except policies.NoPolicy:
            return None

    @property
    def back(self) -> str:
        """Where in the shop the customer came from; empty where the shop did not say."""
        return self.link.return_url if self.link is not None else ""


def begin_visit(request: HttpRequest, shop: Shop, link: entry.Link) -> None:
    """Let the customer in. Whatever this browser was before, another customer too, is gone with its session."""
    request.session.flush()
    request.session[_KEY] = [shop.id.hex, link.customer_id.hex, link.id.hex]
    request.session.set_expiry(int(entry.LONGEST.total_seconds()))
    rotate_token(request)


def end_visit(request: HttpRequest, visitor: PortalVisitor) -> None:
    """Sign out, here and in the database."""
    if visitor.link is not None:
        entry.end(visitor.shop, visitor.link, visitor.at)
    request.session.flush()


def portal_visitor(request: HttpRequest) -> PortalVisitor | None:
    """Whose pages they are; None where nobody is signed in. Asked once a request."""
    known = request.__dict__.get("fenqi_portal", False)
    if known is False:
        known = request.__dict__["fenqi_portal"] = _find(request)
    found: PortalVisitor | None = known
    return found


def _find(request: HttpRequest) -> PortalVisitor | None:
    at = clock.now()
    session: Any = getattr(request, "session", {})
    kept = session.get(_KEY)
    if kept is not None:
        try:
            shop_id, customer_id, link_id = (UUID(hex=part) for part in kept)
            shop = shops.by_id(shop_id)
        except (ValueError, Shop.DoesNotExist):
            return None
        link = entry.visit_of(shop, customer_id, link_id, at)
        if link is not None:
            return PortalVisitor(shop, customer_id, at, link)
        session.pop(_KEY, None)
    if not settings.FENQI_DEMO:
        return None
    visitor = visitor_of(request)
    return PortalVisitor(visitor.shop, visitor.customer_id, visitor.at)


def customer_page(
    view: Callable[Concatenate[HttpRequest, PortalVisitor, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Open a page to the customer whose it is, and to nobody else."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        visitor = portal_visitor(request)
        if visitor is None:
            response = closed(request)
        else:
            response = view(request, visitor, *args, **kwargs)
        add_never_cache_headers(response)
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    guarded.portal_customer = True  # type: ignore[attr-defined]  # a test asks every view of the portal for it
    return guarded


def closed(request: HttpRequest) -> HttpResponse:
    """What somebody without a visit reads: how one begins."""
    try:
        shop = shops.only_shop()
    except Shop.DoesNotExist:
        raise Http404("no shop yet") from None
    return render(request, "portal/closed.html", {"shop": shop, "support": support_words(shop)}, status=403)


def support_words(shop: Shop) -> str:
    """How the shop's support is reached, in the shop's own words; empty where it said nothing."""
    return shop.support_en if locale_now() == "en" else shop.support_zh_cn
