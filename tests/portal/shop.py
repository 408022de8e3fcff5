"""A real shop (no demo): its server, its customers and their browsers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from django.test import Client
from tests.api.world import AT
from tests.servicing.opened import make_shop, open_one

from fenqi_server.customers import service as customers
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop

__all__ = ["AT", "RealShop", "real_shop"]

MALL = "https://mall.example"
CASHIER = MALL + "/cashier?slip={slip}"
LANGUAGES = {"en": "en", "zh": "zh-CN"}


@dataclass
class RealShop:
    """A shop with a key, an origin and a cashier; `owner` has one contract of 12 instalments of 536.00."""

    shop: Shop
    key: str
    owner: UUID
    contract: str

    def api(self, path: str, body: dict[str, Any], *, key: str | None = None, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {key or self.key}", **headers}
        return Client().post(path, json.dumps(body), content_type="application/json", headers=sent)

    def link(self, customer: str = "c-1", **more: Any) -> str:
        """A link's address, without the host."""
        answer = self.api("/v1/portal-links", {"customer": {"ref": customer}, **more})
        assert answer.status_code == 201, answer.content
        return "/portal/in/?" + urlsplit(json.loads(answer.content)["url"]).query

    def browser(self, language: str = "en", **more: Any) -> Client:
        return Client(headers={"accept-language": LANGUAGES[language]}, **more)

    def signed_in(self, customer: str = "c-1", language: str = "en", **more: Any) -> Client:
        """A browser of that customer, in by a link."""
        client = self.browser(language)
        answer = press(client, self.link(customer, **more))
        assert answer.status_code == 302, answer.content
        return client


def token(address: str) -> str:
    return parse_qs(urlsplit(address).query)["t"][0]


def press(client: Client, address: str) -> Any:
    """Press the button on a link's page."""
    return client.post("/portal/in/", {"t": token(address)})


def real_shop(code: str = "mall", at: datetime = AT, **agreed: Any) -> RealShop:
    shop = make_shop(code)
    shops.allow_origin(shop, MALL, at)
    shops.say(shop, pay_url=CASHIER, support_zh_cn="电话 400-000", support_en="Phone 400-000")
    owner = customers.ensure(shop, "c-1", at)
    made = open_one(shop, owner, at=at, order_ref="order-1", **agreed)
    return RealShop(shops.by_code(code), shops.create_key(shop, "server", at=at), owner, made)
