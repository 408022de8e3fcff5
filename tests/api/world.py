"""A shop with the demo mall's policy, a key and a customer: what the service's tests stand on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from fenqi.checkout.request import Line
from fenqi.policy.document import load_policy
from fenqi.policy.snapshot import Snapshot
from fenqi_server import facts
from fenqi_server.customers import service as customers
from fenqi_server.policies import service as policies
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop

AT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
"""10:00 on a Tuesday in Shanghai: no window of the demo's policy is open."""

PHONE = Line("phone", "Phone", "phones", "goods", 1, 499_900, "mall")
GROWN_UP: dict[str, Any] = {
    "customer.age": 30,
    "customer.student": False,
    "customer.real_name_verified": True,
    "card.bank": "tingchao",
    "card.kind": "credit",
}


def demo_snapshot() -> Snapshot:
    """The demo's policy folder, compiled."""
    result = load_policy(Path(str(files("fenqi_server.demo") / "policy")))
    assert result.snapshot is not None, result.problems
    return result.snapshot


@dataclass
class World:
    """One shop, its policy in force since long ago, a key, and a customer of good standing with a limit."""

    shop: Shop
    key: str
    customer_ref: str
    customer_id: UUID
    more: dict[str, Any] = field(default_factory=dict)

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **more}

    def body(self, **changes: Any) -> dict[str, Any]:
        """The body of an evaluation."""
        return {
            "customer": {"ref": self.customer_ref},
            "currency": "CNY",
            "channel": "web",
            "lines": [line_json(PHONE)],
            "facts": dict(GROWN_UP),
        } | changes


def line_json(line: Line, **changes: Any) -> dict[str, Any]:
    return {
        "sku": line.sku,
        "title": line.title,
        "category": line.category,
        "kind": line.kind,
        "quantity": line.quantity,
        "unit_price_minor": line.unit_price_minor,
        "seller": line.seller,
    } | changes


def make_world(code: str = "mall", *, limit_minor: int = 2_000_000, at: datetime = AT) -> World:
    begun = at - timedelta(days=365)
    shop = shops.create_shop(code, name_zh_cn="商城", name_en="The mall", at=begun, id=uuid4())
    policies.publish(shop, demo_snapshot(), begun, "test")
    key = shops.create_key(shop, "test", at=begun)
    customer_id = customers.ensure(shop, "u-1", begun, limit_minor=limit_minor)
    for funder in demo_snapshot().funders:
        facts.record_health(shop.id, funder.id, "up", at)
    return World(shop, key, "u-1", customer_id)


def forget_caches() -> None:
    """Each test has a database of its own; what was cached belongs to the one before."""
    from fenqi_server.api import controllers
    from fenqi_server.support import overrides

    policies.forget_caches()
    shops.forget_caches()
    facts.forget_caches()
    overrides.forget_caches()
    controllers._aliases.clear()


def decoded(response: Any) -> Any:
    return json.loads(response.content)
