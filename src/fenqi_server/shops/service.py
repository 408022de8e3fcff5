"""Which shop is asking: keys, origins and shops, through small caches in the process.

A cache entry lives for `CACHE_SECONDS`: that is how long a revoked key or origin may still be let in, and it is
what keeps the key check of a request at a hash and a dictionary lookup.
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import Q

from fenqi_server.ids import uuid7
from fenqi_server.shops.models import ApiKey, Origin, Shop
from fenqi_server.shops.scopes import GIVEN_BY_NAME, SCOPES

__all__ = [
    "CACHE_SECONDS",
    "GIVEN_BY_NAME",
    "SCOPES",
    "Caller",
    "allow_origin",
    "by_code",
    "by_id",
    "caller_of",
    "check_origin",
    "create_key",
    "create_shop",
    "forbid_origin",
    "forget_caches",
    "is_allowed",
    "only_shop",
    "origin_is_known",
    "origins_of",
    "revoke_key",
    "say",
]

CACHE_SECONDS: Final = 5.0
MAX_CACHED: Final = 10_000
TOUCH_SECONDS: Final = 60


class Caller(msgspec.Struct, frozen=True):
    """Who presented a valid key."""

    shop: Shop
    key_id: UUID
    scopes: frozenset[str]
    held_by: str = ""


_keys: dict[bytes, tuple[float, Caller | None]] = {}
_shops: dict[UUID | str, tuple[float, Shop]] = {}
_origins: dict[UUID, tuple[float, frozenset[str]]] = {}
_all_origins: tuple[float, frozenset[str]] = (0.0, frozenset())


def create_shop(
    code: str,
    *,
    name_zh_cn: str,
    name_en: str,
    at: datetime,
    time_zone: str = "Asia/Shanghai",
    currency: str = "CNY",
    live: bool = False,
    support_zh_cn: str = "",
    support_en: str = "",
    id: UUID | None = None,
) -> Shop:
    """Make a shop."""
    return Shop.objects.create(
        id=id or uuid7(at),
        code=code,
        name_zh_cn=name_zh_cn,
        name_en=name_en,
        time_zone=time_zone,
        currency=currency,
        live=live,
        support_zh_cn=support_zh_cn,
        support_en=support_en,
        created_at=at,
    )


def say(
    shop: Shop,
    *,
    pay_url: str | None = None,
    support_zh_cn: str | None = None,
    support_en: str | None = None,
    single_operator: bool | None = None,
) -> None:
    """Set what the shop says of itself on its customers' pages, and whether one person runs it; what is None stays as it is."""
    told = {
        "pay_url": pay_url,
        "support_zh_cn": support_zh_cn,
        "support_en": support_en,
        "single_operator": single_operator,
    }
    Shop.objects.filter(id=shop.id).update(
        **{name: value for name, value in told.items() if value is not None}
    )
    forget_caches()


def create_key(
    shop: Shop,
    label: str,
    *,
    at: datetime,
    scopes: tuple[str, ...] = tuple(scope for scope in SCOPES if scope not in GIVEN_BY_NAME),
    expires_at: datetime | None = None,
    held_by: str = "",
    id: UUID | None = None,
) -> str:
    """Make a key for the shop's server and return it. It is shown this once: only its hash stays.

    `held_by` names one of the staff who uses it themselves: what is done with it is done by them.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise ValueError(f"scopes {unknown} are not among {', '.join(SCOPES)}")
    key = f"fq_{'live' if shop.live else 'test'}_{secrets.token_urlsafe(32)}"
    ApiKey.objects.create(
        id=id or uuid7(at),
        shop=shop,
        label=label,
        hint=key[:12],
        key_hash=sha256(key.encode()).digest(),
        scopes=list(scopes),
        created_at=at,
        expires_at=expires_at,
        held_by=held_by,
    )
    return key


def revoke_key(key_id: UUID, at: datetime) -> None:
    """From now on the key opens nothing, here at once and in other processes within `CACHE_SECONDS`."""
    ApiKey.objects.filter(id=key_id, revoked_at=None).update(revoked_at=at)
    _keys.clear()


def caller_of(key: str, at: datetime) -> Caller | None:
    """Who presents `key`; None where it is unknown, revoked, expired, of the other mode, or of one who works here no more."""
    digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
    known = _keys.get(digest)
    now = time.monotonic()
    if known is not None and known[0] > now:
        return known[1]
    if not key.startswith(("fq_test_", "fq_live_")):
        return None
    caller = None
    row = (
        ApiKey.objects.select_related("shop")
        .filter(Q(expires_at=None) | Q(expires_at__gt=at), key_hash=digest, revoked_at=None)
        .first()
    )
    if row is not None and row.shop.live == key.startswith("fq_live_") and _is_held(row):
        caller = Caller(row.shop, row.id, frozenset(row.scopes), row.held_by)
        if row.last_used_at is None or abs((at - row.last_used_at).total_seconds()) >= TOUCH_SECONDS:
            # Once a minute a key and process: enough to see which keys are in use, too little to be felt.
            ApiKey.objects.filter(id=row.id).update(last_used_at=at)
    if len(_keys) >= MAX_CACHED:
        _keys.clear()
    if caller is not None:
        # A wrong key is not remembered: guesses must not push the real ones out.
        _keys[digest] = (now + CACHE_SECONDS, caller)
    return caller


def _is_held(row: ApiKey) -> bool:
    """Whether the key is the shop's own server's, or whoever holds it still works there."""
    if not row.held_by:
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM console_membership AS m JOIN auth_user AS u ON u.id = m.user_id"
            " WHERE m.shop_id = %s AND u.username = %s AND u.is_active LIMIT 1",
            [row.shop_id, row.held_by],
        )
        return cursor.fetchone() is not None


def by_id(shop_id: UUID) -> Shop:
    """The shop of this key. Raises `Shop.DoesNotExist`."""
    return _cached_shop(shop_id, Q(id=shop_id))


def by_code(code: str) -> Shop:
    """The shop of this short name. Raises `Shop.DoesNotExist`."""
    return _cached_shop(code, Q(code=code))


def only_shop() -> Shop:
    """The first shop made: what a demo, and an installation with a single shop, serve."""
    return _cached_shop("", Q())


def _cached_shop(name: UUID | str, query: Q) -> Shop:
    known = _shops.get(name)
    now = time.monotonic()
    if known is not None and known[0] > now:
        return known[1]
    shop = Shop.objects.filter(query).order_by("created_at").first()
    if shop is None:
        raise Shop.DoesNotExist(f"no shop {name or 'at all'}")
    _shops[name] = (now + CACHE_SECONDS, shop)
    return shop


def check_origin(origin: str) -> str:
    """`origin` if it is one, as browsers write it: scheme, host and a port that is not the scheme's own.

    >>> check_origin("https://mall.example")
    'https://mall.example'
    """
    parts = urlsplit(origin)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or origin != f"{parts.scheme}://{parts.netloc}"
        or parts.username is not None
        or origin != origin.lower()
        or "*" in origin
        or parts.port == {"http": 80, "https": 443}[parts.scheme]
    ):
        raise ValueError(f"{origin!r} is not an origin such as https://mall.example")
    return origin


def allow_origin(shop: Shop, origin: str, at: datetime) -> None:
    """Let pages of `origin` use client tokens of this shop."""
    Origin.objects.get_or_create(
        shop=shop, origin=check_origin(origin), defaults={"id": uuid7(at), "created_at": at}
    )
    forget_caches()


def forbid_origin(shop: Shop, origin: str) -> bool:
    """Take an origin off the shop's list; False where it was not on it."""
    gone, _ = Origin.objects.filter(shop=shop, origin=origin).delete()
    forget_caches()
    return bool(gone)


def origins_of(shop: Shop) -> list[str]:
    """The origins whose pages may use client tokens of this shop, in order of the alphabet."""
    return list(Origin.objects.filter(shop=shop).order_by("origin").values_list("origin", flat=True))


def is_allowed(shop_id: UUID, origin: str) -> bool:
    """Whether pages of exactly this origin may use client tokens of the shop."""
    known = _origins.get(shop_id)
    now = time.monotonic()
    if known is None or known[0] <= now:
        found = frozenset(Origin.objects.filter(shop_id=shop_id).values_list("origin", flat=True))
        known = _origins[shop_id] = (now + CACHE_SECONDS, found)
    return origin in known[1]


def origin_is_known(origin: str) -> bool:
    """Whether any shop lists this origin: all that can be asked of a preflight, which carries no token."""
    global _all_origins
    now = time.monotonic()
    if _all_origins[0] <= now:
        _all_origins = (now + CACHE_SECONDS, frozenset(Origin.objects.values_list("origin", flat=True)))
    return origin in _all_origins[1]


def forget_caches() -> None:
    """Read everything anew, as after a change made elsewhere in this process."""
    global _all_origins
    _keys.clear()
    _shops.clear()
    _origins.clear()
    _all_origins = (0.0, frozenset())
