"""The staff: their roles, given and taken away.

A person is an account of the framework's; what they may do is in `console_membership`, one row a role and shop.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.db import connection

from fenqi.policy.snapshot import LAYERS
from fenqi_server.console.access import ROLES
from fenqi_server.shops.models import Shop

__all__ = ["grant", "take_away"]


def grant(shop: Shop, user: User, role: str, at: datetime, actor: str, *, layers: Sequence[str] = ()) -> None:
    """Give a role; given again, a reviewer's layers become these. Raises `ValueError`."""
    if role not in ROLES:
        raise ValueError(f"{role!r} is not among the roles {', '.join(ROLES)}")
    unknown = sorted(set(layers) - set(LAYERS))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not among the layers {', '.join(LAYERS)}")
    if (role == "reviewer") != bool(layers):
        raise ValueError("a reviewer reviews at least one layer, and nobody else has layers")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO console_membership (shop_id, user_id, role, layers, granted_at, granted_by)"
            " VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (shop_id, user_id, role) DO UPDATE SET layers = excluded.layers",
            [shop.id, user.pk, role, [layer for layer in LAYERS if layer in layers], at, actor],
        )


def take_away(shop: Shop, user: User, role: str) -> bool:
    """Take a role away; False where it was not given."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM console_membership WHERE shop_id = %s AND user_id = %s AND role = %s",
            [shop.id, user.pk, role],
        )
        return bool(cursor.rowcount)
