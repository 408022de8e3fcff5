"""Who reads. The demo's visitor, who is a known customer; anywhere else anybody at all, of whom nothing is known or asked."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest

from fenqi.calendars import to_epoch
from fenqi.policy.compile import Policy
from fenqi_server import clock
from fenqi_server.policies import service as policies
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.visitor import Visitor, visitor_of
from fenqi_server.storefront.voice import Voice, locale_now

__all__ = ["Reader", "reader_of", "shop_asked"]


class Reader(msgspec.Struct, frozen=True):
    """Who reads which shop's announcements, when, under which policy. `shop_code` is empty unless the address names one."""

    shop: Shop
    at: datetime
    policy: Policy
    visitor: Visitor | None
    shop_code: str

    @property
    def now(self) -> int:
        return to_epoch(self.at)

    @property
    def voice(self) -> Voice:
        return Voice(locale_now(), self.shop.currency, self.shop.time_zone, self.now)

    def query(self, **more: str) -> str:
        """The query of an address that stays with the same shop; empty where nothing has to be said."""
        asked = {
            **({"shop": self.shop_code} if self.shop_code else {}),
            **{k: v for k, v in more.items() if v},
        }
        return "?" + urlencode(asked) if asked else ""


def shop_asked(request: HttpRequest) -> Shop:
    """The shop that `?shop=` names, else the installation's only one. Raises `Http404`."""
    code = request.GET.get("shop", "")
    try:
        return shops.by_code(code) if code and not settings.FENQI_DEMO else shops.only_shop()
    except Shop.DoesNotExist:
        raise Http404("no such shop") from None


def reader_of(request: HttpRequest) -> Reader:
    """Announcements are public facts: nobody has to be known to read them. Raises `Http404`."""
    if settings.FENQI_DEMO:
        visitor = visitor_of(request)
        return Reader(visitor.shop, visitor.at, visitor.policy, visitor, "")
    at, shop = clock.now(), shop_asked(request)
    try:
        policy = policies.current(shop.id, at)
    except policies.NoPolicy:
        raise Http404("no policy in force") from None
    return Reader(shop, at, policy, None, request.GET.get("shop", ""))
