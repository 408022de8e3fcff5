"""A shop with a customer and contracts, for tests of servicing and of the book."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from tests.engine.contracts.made import FLAT_12, offer

from fenqi.contracts.terms import Allocation
from fenqi.terms.plan import Plan
from fenqi_server.customers import service as customers
from fenqi_server.servicing import service as servicing
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop

AT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
"""10:00 in the shop."""
TODAY = date(2026, 11, 23)


def after(days: int = 0, seconds: int = 0) -> datetime:
    return AT + timedelta(days=days, seconds=seconds)


def on(days: int) -> date:
    return TODAY + timedelta(days=days)


def make_shop(code: str = "mall") -> Shop:
    shops.forget_caches()
    return shops.create_shop(code, name_zh_cn="商城", name_en="The mall", at=AT)


def make_customer(shop: Shop, ref: str = "c-1", limit_minor: int | None = None) -> UUID:
    return customers.ensure(shop, ref, AT, limit_minor=limit_minor)


def open_one(
    shop: Shop,
    customer_id: UUID,
    plan: Plan = FLAT_12,
    amount_minor: int = 600_000,
    *,
    at: datetime = AT,
    order_ref: str = "order-1",
    allocation: Allocation | None = None,
    policy_digest: str = "sha256:" + "0" * 64,
    **agreed: Any,
) -> str:
    bill, table = offer(plan, amount_minor, at.astimezone(UTC).date())
    with transaction.atomic():
        servicing.lock_customer(shop, customer_id)
        return servicing.open_contract(
            shop,
            customer_id,
            plan=plan,
            schedule=bill,
            disclosure=table,
            policy_digest=policy_digest,
            order_ref=order_ref,
            at=at,
            allocation=allocation,
            **agreed,
        )
