"""A customer's agreement that data goes to a funder: to whom, for what, in which wording.

Without one there is no call: not for a pre-assessment, and no hand-off. A consent is a dated line, and so is its
withdrawal; the newest line per recipient and purpose counts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection

from fenqi_server.db import use_shop
from fenqi_server.ids import uuid7
from fenqi_server.shops.models import Shop

__all__ = ["APPLY", "CONSENT_VERSION", "PURPOSES", "given", "record"]

APPLY: Final = "apply"
"""Passing the order to the funder, so that it can decide and pay."""

PURPOSES: Final = (APPLY, "prequal")
CONSENT_VERSION: Final = "2026-09"
"""The wording that the pages of this version show."""


def record(
    shop: Shop,
    customer_id: UUID,
    recipient: str,
    at: datetime,
    *,
    purpose: str = APPLY,
    version: str = CONSENT_VERSION,
    is_given: bool = True,
) -> UUID:
    """Write down that the customer agreed, or with `is_given=False` that they no longer do."""
    if purpose not in PURPOSES:
        raise ValueError(f"purpose {purpose!r} is not one of {', '.join(PURPOSES)}")
    name = uuid7(at)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO funders_consent (shop_id, customer_id, id, recipient, purpose, version, given, recorded_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [shop.id, customer_id, name, recipient, purpose, version, is_given, at],
        )
    return name


def given(shop: Shop, customer_id: UUID, recipient: str, *, purpose: str = APPLY) -> bool:
    """Whether the customer's newest word to this recipient and purpose is yes."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT given FROM funders_consent WHERE customer_id = %s AND recipient = %s AND purpose = %s"
            " ORDER BY recorded_at DESC, id DESC LIMIT 1",
            [customer_id, recipient, purpose],
        )
        row = cursor.fetchone()
    return bool(row and row[0])
