"""A year in the life of a small shop's book: for what has to hold over all of it."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta

from django.db import transaction
from tests.engine.contracts.made import ANNUITY_6, DOWN_6, FLAT_12, FREE_3
from tests.servicing.opened import AT, make_customer, open_one

from fenqi.calendars import local_date
from fenqi.money import Money
from fenqi_server.books import periods
from fenqi_server.books.posting import convert
from fenqi_server.books.settlement import settle_due
from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.ids import uuid7
from fenqi_server.servicing import closing, service
from fenqi_server.shops.models import Shop

BEGINS = AT.replace(month=1, day=5)
DAYS = 400


def live_a_year(shop: Shop, *, seed: int = 1, customers_count: int = 6) -> datetime:
    """Buys, due dates, payments early, late, short and double, one taken back, strays, dollars, months that close; the last instant."""
    chance = random.Random(seed)
    plans = (FLAT_12, FREE_3, ANNUITY_6, DOWN_6)
    people = [make_customer(shop, f"c-{number}") for number in range(customers_count)]
    contracts: list[str] = []
    paid: list[tuple[str, str]] = []
    at = BEGINS
    for day in range(DAYS):
        at = BEGINS + timedelta(days=day)
        today = local_date(at, shop.time_zone)
        closing.close_day(shop, today, at)
        settle_due(shop, at)
        if day % 30 == 0 and day < 180:
            person = chance.choice(people)
            amount = chance.choice((30_000, 99_900, 600_001))
            contracts.append(
                open_one(shop, person, chance.choice(plans), amount, at=at, order_ref=f"order-{day}")
            )
        for contract in contracts:
            state = service.get(shop, contract, today).state
            owed = sum(row.outstanding_minor for row in state.rows if row.due_on <= today)
            if owed and chance.random() < 0.2:
                minor = chance.choice((owed, owed, owed, max(1, owed // 2), owed + 700))
                number = f"p-{contract[-6:]}-{day}"
                late = today - timedelta(days=chance.choice((0, 0, 0, 3)))
                on = max(late, local_date(service.get(shop, contract, today).created_at, shop.time_zone))
                service.pay(shop, contract, minor, "received", number, at, occurred_on=on)
                paid.append((contract, number))
        if day in (100, 220) and paid:
            service.reverse(shop, *paid.pop(), "bounced", at)
        if day == 150:
            service.pay(shop, "ct_nobody", 12_345, "received", "stray-1", at)
        if day == 200:
            change_dollars(shop, at, today)
        following = periods.next_period(shop)
        # The last months stay open, and the file says so by itself.
        if following is not None and following[1] < today - timedelta(days=3) and day < DAYS - 60:
            periods.close(shop, f"{following[0]:%Y-%m}", "cli:year", at)
    return at


def change_dollars(shop: Shop, at: datetime, today: date) -> None:
    with transaction.atomic():
        use_shop(shop.id)
        convert(
            shop_id=shop.id,
            customer_id=customers.house(shop, "settlement", at),
            event_id=uuid7(at),
            given=Money(70_950, "CNY"),
            got=Money(10_000, "USD"),
            occurred_on=today,
            recorded_at=at,
            booked_on=today,
            reference='fx "1" \\ two',
        )
