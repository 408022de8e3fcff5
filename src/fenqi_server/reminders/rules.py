"""When a shop reminds, and how a customer wants to be told."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.problems import BadInput
from fenqi.texts import LOCALES
from fenqi_server.db import use_shop
from fenqi_server.shops.models import Shop

__all__ = ["Rules", "Wish", "queued_on", "rules_of", "set_rules", "set_wish", "wish_of"]

MAX_STAGES: Final = 8
MAX_DAYS: Final = 366


class Rules(msgspec.Struct, frozen=True):
    """So many days before a due date; on it; and so many days after the oldest one that is open."""

    before_days: tuple[int, ...] = (3,)
    on_due: bool = True
    late_days: tuple[int, ...] = (1, 7, 30)

    def late_stage(self, days: int) -> int | None:
        """The stage that so many days late have reached."""
        return max((each for each in self.late_days if each <= days), default=None)

    def next_late(self, days: int) -> int | None:
        """The next stage of what is so many days late."""
        return min((each for each in self.late_days if each > days), default=None)


class Wish(msgspec.Struct, frozen=True):
    """A customer's language, and since when they refuse mails of this kind (None: they do not)."""

    locale: str = "zh-CN"
    refused_at: datetime | None = None


def rules_of(shop: Shop) -> Rules:
    """When the shop reminds."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT before_days, on_due, late_days FROM reminders_setting WHERE shop_id = %s", [shop.id]
        )
        row = cursor.fetchone()
    return Rules() if row is None else Rules(tuple(row[0]), row[1], tuple(row[2]))


def set_rules(shop: Shop, rules: Rules) -> None:
    """Remind so from now on. Raises `BadInput`."""
    for place, days, order in (
        ("before_days", rules.before_days, sorted(set(rules.before_days))),
        ("late_days", rules.late_days, sorted(set(rules.late_days))),
    ):
        if len(days) > MAX_STAGES or list(days) != order or any(not 1 <= day <= MAX_DAYS for day in days):
            raise BadInput(
                place,
                ",".join(map(str, days)),
                f"up to {MAX_STAGES} rising numbers of days from 1 to {MAX_DAYS}, such as 1,7,30",
            )
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO reminders_setting (shop_id, before_days, on_due, late_days) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (shop_id) DO UPDATE SET before_days = excluded.before_days, on_due = excluded.on_due,"
            " late_days = excluded.late_days",
            [shop.id, list(rules.before_days), rules.on_due, list(rules.late_days)],
        )


def wish_of(shop: Shop, customer_id: UUID) -> Wish:
    """How the customer wants to be told."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT locale, refused_at FROM reminders_wish WHERE customer_id = %s", [customer_id])
        row = cursor.fetchone()
    return Wish() if row is None else Wish(*row)


def set_wish(
    shop: Shop, customer_id: UUID, at: datetime, *, locale: str | None = None, refused: bool | None = None
) -> Wish:
    """The customer's language, and whether they refuse to be reminded by mail. What is None stays as it is."""
    if locale is not None and locale not in LOCALES:
        raise BadInput("locale", locale, "one of " + ", ".join(LOCALES))
    known = wish_of(shop, customer_id)
    since = known.refused_at if refused is None else (known.refused_at or at) if refused else None
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO reminders_wish (customer_id, shop_id, locale, refused_at, updated_at) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (customer_id) DO UPDATE SET locale = excluded.locale, refused_at = excluded.refused_at,"
            " updated_at = excluded.updated_at",
            [customer_id, shop.id, locale or known.locale, since, at],
        )
    return wish_of(shop, customer_id)


def queued_on(shop: Shop, days: list[date]) -> dict[date, int]:
    """How many reminders were queued on these days."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT day, count(*) FROM reminders_notice WHERE shop_id = %s AND day = ANY (%s) GROUP BY day",
            [shop.id, days],
        )
        return dict(cursor.fetchall())
