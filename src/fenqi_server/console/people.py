"""The staff: who they are, what they may do, and how they get in.

A person is an account of the framework's; what they may do is in `console_membership`, one row a role and shop. An
account is made without a password: `link_of` makes the link that sets one, once, within a day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.db import connection
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from fenqi.policy.snapshot import LAYERS
from fenqi_server.console.access import ROLES
from fenqi_server.db import in_transaction
from fenqi_server.shops.models import Shop

__all__ = [
    "USERNAME",
    "Member",
    "add",
    "close",
    "find",
    "grant",
    "link_of",
    "members",
    "open_again",
    "reset",
    "take_away",
]

USERNAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
"""Small letters, so that two names that look the same are the same: records say `staff:<username>`."""


class Member(msgspec.Struct, frozen=True):
    """One person in one shop. `second_factors` are kinds: totp, webauthn."""

    username: str
    shop: UUID
    roles: tuple[str, ...]
    layers: tuple[str, ...]
    is_open: bool
    has_password: bool
    second_factors: tuple[str, ...]
    last_sign_in: datetime | None


def find(username: str) -> User | None:
    """The account of this name."""
    return User.objects.filter(username=username).first()


def add(username: str) -> User:
    """An account with no password yet. Raises `ValueError`."""
    if not USERNAME.fullmatch(username):
        raise ValueError(
            f"{username!r}: a name is 1 to 40 small letters, digits, dots, - and _, and begins with a letter or digit"
        )
    user = User(username=username)
    user.set_unusable_password()
    user.save()
    return user


def grant(shop: Shop, user: User, role: str, at: datetime, actor: str, *, layers: Sequence[str] = ()) -> None:
    """Give a role; given again, a reviewer's layers become these. Raises `ValueError`."""
    if role not in ROLES:
        raise ValueError(f"{role!r} is not among the roles {', '.join(ROLES)}")
    unknown = sorted(set(layers) - set(LAYERS))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not among the layers {', '.join(LAYERS)}")
    if (role == "reviewer") != bool(layers):
        raise ValueError("a reviewer reviews at least one layer, and no other role has layers")
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


def link_of(user: User) -> str:
    """The address at which this person sets a password. It works once, and for a day."""
    path = reverse(
        "console_start",
        args=[urlsafe_base64_encode(force_bytes(user.pk)), default_token_generator.make_token(user)],
    )
    return settings.FENQI_ORIGIN + path


def reset(user: User) -> None:
    """Forget the password and every second factor, and end every session: the way in begins anew."""

    def act() -> None:
        # A session carries a hash of the password's, so that it ends with the password.
        user.set_unusable_password()
        user.save(update_fields=["password"])
        Authenticator.objects.filter(user=user).delete()

    in_transaction(act)


def close(user: User) -> None:
    """From the next request on, this account opens nothing. Its roles stay, for the day it is opened again."""
    user.is_active = False
    user.save(update_fields=["is_active"])


def open_again(user: User) -> None:
    user.is_active = True
    user.save(update_fields=["is_active"])


def members(shop: Shop | None = None, user: User | None = None) -> list[Member]:
    """Everybody who works in the shop, or in any, in order of their names."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT u.username, m.shop_id, array_agg(m.role), u.is_active, u.password NOT LIKE '!%%', u.last_login,
                   (SELECT coalesce(array_agg(DISTINCT a.type ORDER BY a.type), '{}') FROM mfa_authenticator a
                     WHERE a.user_id = u.id AND a.type <> 'recovery_codes'),
                   (SELECT r.layers FROM console_membership r
                     WHERE r.shop_id = m.shop_id AND r.user_id = u.id AND r.role = 'reviewer')
            FROM console_membership m JOIN auth_user u ON u.id = m.user_id
            WHERE (%(shop)s::uuid IS NULL OR m.shop_id = %(shop)s) AND (%(user)s::integer IS NULL OR u.id = %(user)s)
            GROUP BY u.id, m.shop_id ORDER BY u.username, m.shop_id
            """,
            {"shop": shop.id if shop else None, "user": user.pk if user else None},
        )
        return [
            Member(
                username=name,
                shop=shop_id,
                roles=tuple(role for role in ROLES if role in roles),
                layers=tuple(layers or ()),
                is_open=is_open,
                has_password=has_password,
                second_factors=tuple(factors),
                last_sign_in=last,
            )
            for name, shop_id, roles, is_open, has_password, last, factors, layers in cursor.fetchall()
        ]
