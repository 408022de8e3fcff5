"""A subscription: an address that follows what changes, within scopes, until it leaves.

It lives *unconfirmed → active → ended*, or *suspended* once its own server refused our mail for good. The address is there
only while it is of use: ended and suspended ones have none. The same address twice is one subscription, whose scopes its
owner changes by the link in every mail; whoever merely types the address again changes nothing of an active one.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection, transaction

from fenqi.policy.compile import Policy
from fenqi.policy.facts import VOCABULARY
from fenqi.texts import Text
from fenqi_server.db import use_shop
from fenqi_server.ids import anonymous_party, parse_public_id, public_id, uuid7
from fenqi_server.outbox.signing import new_secret, seal_secret
from fenqi_server.shops.models import Shop
from fenqi_server.subscriptions.addresses import Channel, check_address
from fenqi_server.subscriptions.confirmation import KEPT, Expired, check_may_ask, new_token
from fenqi_server.subscriptions.messages import enqueue

__all__ = [
    "BadScope",
    "NoSubscription",
    "Scope",
    "Subscription",
    "change",
    "checked_scope",
    "confirm",
    "end",
    "expire_due",
    "get",
    "of_customer",
    "subscribe",
]

MAX_NAMES: Final = 50


class NoSubscription(LookupError):
    """No subscription of this shop has the id, or it is not opened by this token."""


class BadScope(ValueError):
    """A scope that names what the policy has not."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


class Scope(msgspec.Struct, frozen=True):
    """What a subscription is about. Nothing named is everything; otherwise whatever is named in any of the first three.

    `sales_channels` and `regions` narrow it to where it matters; `announcement` to one announcement, until that is over.
    """

    funders: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    sales_channels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    announcement: str = ""


class Subscription(msgspec.Struct, frozen=True):
    """One subscription. `address` is empty unless it is unconfirmed or active."""

    customer_id: UUID
    id: UUID
    channel: Channel
    address: str
    locale: str
    funders: tuple[str, ...]
    families: tuple[str, ...]
    plans: tuple[str, ...]
    sales_channels: tuple[str, ...]
    regions: tuple[str, ...]
    announcement: str
    quiet: bool
    state: str
    token: str
    created_at: datetime
    confirm_until: datetime
    confirmed_at: datetime | None
    ended_at: datetime | None
    ended_why: str

    @property
    def public_id(self) -> str:
        return public_id("sb", self.customer_id, self.id)

    @property
    def scope(self) -> Scope:
        return Scope(
            self.funders, self.families, self.plans, self.sales_channels, self.regions, self.announcement
        )


class Subscribed(msgspec.Struct, frozen=True):
    """What became of asking. `secret` is a new webhook's, shown this once."""

    subscription: Subscription
    made: bool
    secret: str | None = None


_COLUMNS: Final = ", ".join(Subscription.__struct_fields__)


def _read(row: Any) -> Subscription:
    return Subscription(*(tuple(value) if isinstance(value, list) else value for value in row))


def checked_scope(policy: Policy, scope: Scope) -> Scope:
    """The scope, if the policy in force knows every name in it. Raises `BadScope` naming the one it does not know."""
    known = {
        "funders": set(policy.funders),
        "families": set(policy.families),
        "plans": set(policy.plan_index),
        "sales_channels": set(VOCABULARY["channel.kind"].values),
    }
    for field in ("funders", "families", "plans", "sales_channels", "regions"):
        named = getattr(scope, field)
        if len(named) > MAX_NAMES:
            raise BadScope(
                Text(
                    f"{field} 最多 {MAX_NAMES} 项，收到 {len(named)} 项。",
                    f"{field} names {len(named)} things; at most {MAX_NAMES} are followed: leave some out, or all.",
                )
            )
        for name in named:
            if field in known and name not in known[field]:
                shown = "".join(letter if letter.isprintable() else "?" for letter in name[:40])
                raise BadScope(
                    Text(
                        f"{field}：没有“{shown}”。请从页面所列中选择。",
                        f"{field}: there is no {shown!r} here. Choose from those on the page.",
                    )
                )
            if len(name) > 40 or not name.isprintable():
                raise BadScope(
                    Text(f"{field}：名称无法识别。", f"{field}: a name has at most 40 printable characters.")
                )
    if scope.announcement and scope.announcement not in policy.notices:
        raise BadScope(Text("没有这条公告。", "There is no such announcement now."))
    return scope


def subscribe(
    shop: Shop,
    policy: Policy,
    channel: Channel,
    address: str,
    locale: str,
    scope: Scope,
    at: datetime,
    *,
    customer_id: UUID | None = None,
    quiet: bool = True,
) -> Subscribed:
    """Write down who wants to follow what, and ask the address whether it does. The same twice is one.

    An address that is there already unconfirmed gets no second question; its scope is what was asked for last. Of one that
    is active nothing changes. Raises `BadAddress`, `BadScope`; then nothing is written.
    """
    found = check_address(channel, address)
    checked_scope(policy, scope)
    party = customer_id or anonymous_party(shop.id)
    secret = new_secret() if channel == "webhook" else None
    with transaction.atomic():
        use_shop(shop.id)
        known = _same(party, channel, scope.announcement, found)
        if known is not None:
            return Subscribed(_asked_again(known, scope, locale, quiet), False)
        check_may_ask(shop, found, at)
        name = uuid7(at)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO subscriptions_subscription (shop_id, customer_id, id, channel, address, sealed_secret,"
                " locale, funders, families, plans, sales_channels, regions, announcement, quiet, state, token,"
                " created_at, confirm_until) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
                " 'unconfirmed', %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    shop.id,
                    party,
                    name,
                    channel,
                    found,
                    seal_secret(secret) if secret else None,
                    locale,
                    list(scope.funders),
                    list(scope.families),
                    list(scope.plans),
                    list(scope.sales_channels),
                    list(scope.regions),
                    scope.announcement,
                    quiet and channel != "webhook",
                    new_token(),
                    at,
                    at + KEPT,
                ],
            )
            if not cursor.rowcount:
                # Somebody else asked for the same in this moment.
                again = _same(party, channel, scope.announcement, found)
                assert again is not None, "what is in the way of a new one is there"
                return Subscribed(again, False)
        enqueue(shop, party, name, "confirm", "subscription", channel, at)
        return Subscribed(_by_key(party, name), True, secret)


def _same(party: UUID, channel: str, announcement: str, address: str) -> Subscription | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM subscriptions_subscription WHERE customer_id = %s AND channel = %s"
            " AND announcement = %s AND lower(address) = lower(%s) AND state IN ('unconfirmed', 'active')",
            [party, channel, announcement, address],
        )
        row = cursor.fetchone()
    return None if row is None else _read(row)


def _asked_again(known: Subscription, scope: Scope, locale: str, quiet: bool) -> Subscription:
    if known.state == "unconfirmed":
        _write_scope(known, scope, quiet, locale)
    return _by_key(known.customer_id, known.id)


def _write_scope(found: Subscription, scope: Scope, quiet: bool, locale: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_subscription SET funders = %s, families = %s, plans = %s, sales_channels = %s,"
            " regions = %s, quiet = %s, locale = %s WHERE customer_id = %s AND id = %s"
            " AND state IN ('unconfirmed', 'active')",
            [
                list(scope.funders),
                list(scope.families),
                list(scope.plans),
                list(scope.sales_channels),
                list(scope.regions),
                quiet and found.channel != "webhook",
                locale,
                found.customer_id,
                found.id,
            ],
        )


def _by_key(customer_id: UUID, name: UUID) -> Subscription:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM subscriptions_subscription WHERE customer_id = %s AND id = %s",
            [customer_id, name],
        )
        return _read(cursor.fetchone())


def get(shop: Shop, subscription_id: str, token: str) -> Subscription:
    """The subscription that the link names. Raises `NoSubscription` where the token is not its own."""
    try:
        customer_id, name = parse_public_id(subscription_id, "sb")
    except ValueError:
        raise NoSubscription(subscription_id) from None
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM subscriptions_subscription WHERE customer_id = %s AND id = %s AND shop_id = %s",
            [customer_id, name, shop.id],
        )
        row = cursor.fetchone()
    found = None if row is None else _read(row)
    if found is None or not hmac.compare_digest(found.token.encode(), token.encode()):
        raise NoSubscription(subscription_id)
    return found


def of_customer(shop: Shop, customer_id: UUID) -> tuple[Subscription, ...]:
    """A customer's subscriptions that are still something, newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM subscriptions_subscription WHERE customer_id = %s AND shop_id = %s"
            " AND state IN ('unconfirmed', 'active') ORDER BY id DESC LIMIT 100",
            [customer_id, shop.id],
        )
        return tuple(_read(row) for row in cursor.fetchall())


def confirm(shop: Shop, found: Subscription, at: datetime) -> Subscription:
    """The address's owner says yes. Saying it again changes nothing. Raises `Expired`."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_subscription SET state = 'active', confirmed_at = %s"
            " WHERE customer_id = %s AND id = %s AND state = 'unconfirmed' AND confirm_until > %s",
            [at, found.customer_id, found.id, at],
        )
    now = _by_key(found.customer_id, found.id)
    if now.state == "unconfirmed" or now.ended_why == "not_confirmed":
        raise Expired(now.public_id)
    return now


def change(shop: Shop, policy: Policy, found: Subscription, scope: Scope, quiet: bool, locale: str) -> None:
    """Its owner, who has the link, wants something else. Raises `BadScope`."""
    checked_scope(policy, msgspec.structs.replace(scope, announcement=""))
    use_shop(shop.id)
    _write_scope(found, scope, quiet, locale)


def end(shop: Shop, found: Subscription, at: datetime, why: str = "unsubscribed") -> None:
    """Nothing more is sent, what waits included, and the address is forgotten. Ending twice is ending once."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_subscription SET state = 'ended', address = '', sealed_secret = NULL,"
            " ended_at = %s, ended_why = %s WHERE customer_id = %s AND id = %s AND state IN ('unconfirmed', 'active')",
            [at, why, found.customer_id, found.id],
        )


def expire_due(shop: Shop, now: datetime) -> int:
    """Forget the addresses of which nobody said in time that they want it; how many."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_subscription SET state = 'ended', address = '', sealed_secret = NULL, ended_at = %s,"
            " ended_why = 'not_confirmed' WHERE shop_id = %s AND state = 'unconfirmed' AND confirm_until <= %s",
            [now, shop.id, now],
        )
        return int(cursor.rowcount)
