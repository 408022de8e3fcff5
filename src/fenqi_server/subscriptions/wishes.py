"""Tell me when it is back: a wish that is told once, and then forgotten.

A *customer's* wish is about one plan for one cart, kept with it. It is fulfilled by the decision engine, not by the end of a
window: when `evaluate` offers the plan to that customer for that cart again, one message is written. Somebody whom
another reason still keeps from it is told nothing, and stays waiting. An *anonymous* wish names an announcement and gets
the general message once that is over.

It lives *unconfirmed → waiting → telling → told*, or *cancelled*. An address that the shop itself told us of this customer needs
no confirmation; any other does. `telling` is a message in the queue: if the option is gone again before it was sent, the
wish goes back to waiting.
"""

from __future__ import annotations

import hmac
import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.utils import translation

from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.facts import freeze_facts
from fenqi.texts import Text
from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.decisions import service as decisions
from fenqi_server.facts.asserted import may_assert
from fenqi_server.ids import anonymous_party, parse_public_id, public_id, uuid7
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.selector import option_name, per_text
from fenqi_server.storefront.voice import Voice
from fenqi_server.subscriptions.addresses import BadAddress, Channel, check_address
from fenqi_server.subscriptions.confirmation import KEPT, Expired, check_may_ask, new_token
from fenqi_server.subscriptions.letters import DJANGO_LANGUAGE
from fenqi_server.subscriptions.messages import enqueue, name_of
from fenqi_server.subscriptions.pace import per_minute
from fenqi_server.subscriptions.quiet import is_quiet

__all__ = [
    "KEPT_DAYS",
    "NoWish",
    "Wish",
    "ask_again",
    "cancel",
    "confirm",
    "expire_due",
    "fulfil_due",
    "get",
    "of_customer",
    "opened_by",
    "request_back",
    "request_over",
    "still_offered",
]

KEPT_DAYS: Final = 90
"""A wish that was not fulfilled by then is given up, and its address forgotten."""
LOOK_AGAIN: Final = timedelta(seconds=60)
LOOKS_PER_MINUTE: Final = 1_000
"""Where more than these wait, each is looked at less often: asking must not become the load."""
BATCH: Final = 200

_log = logging.getLogger(__name__)


class NoWish(LookupError):
    """No wish of this shop has the id."""


class Wish(msgspec.Struct, frozen=True):
    """One wish. `address` is empty once it is told or cancelled; `plan` is empty in an anonymous one."""

    customer_id: UUID
    id: UUID
    decision_id: UUID | None
    plan: str
    announcement: str
    channel: Channel
    address: str
    locale: str
    at_night: bool
    state: str
    token: str
    asked_at: datetime
    confirm_until: datetime | None
    checked_at: datetime | None
    closed_at: datetime | None

    @property
    def public_id(self) -> str:
        return public_id("nr", self.customer_id, self.id)

    @property
    def open(self) -> bool:
        return self.state in ("unconfirmed", "waiting", "telling")


class _Kept(msgspec.Struct, frozen=True):
    """The checkout as it is kept: enough to ask the same question again."""

    lines: tuple[object, ...]
    channel: str
    facts: dict[str, object]
    last_used_family: str | None = None
    coupon: str | None = None
    ship_to: str | None = None


_COLUMNS: Final = ", ".join(Wish.__struct_fields__)


def request_back(
    shop: Shop,
    customer_id: UUID,
    decision_id: str,
    plan: str,
    address: str,
    locale: str,
    at: datetime,
    *,
    at_night: bool = False,
    channel: Channel = "email",
    vouched: bool = False,
) -> Wish:
    """Write down that the customer wants to be told when this plan is open to them again. The same wish twice is one.

    `vouched`: the shop says that the address is the customer's own; so does what it told us of the customer.

    Raises `BadAddress`, `NoDecision` for a decision that is not this customer's, `KeyError` for a plan that its policy
    has not.
    """
    found = check_address(channel, address)
    owner, name = parse_public_id(decision_id, "dc")
    if owner != customer_id:
        raise decisions.NoDecision(decision_id)
    decision = decisions.load(decision_id, shop=shop)
    decision.policy.plan(plan)
    known = customers.private(shop, customer_id)
    vouched = vouched or found.lower() == (known.email if channel == "email" else known.phone).lower()
    made = Wish(
        customer_id,
        uuid7(at),
        name,
        plan,
        "",
        channel,
        found,
        locale,
        at_night,
        "waiting" if vouched else "unconfirmed",
        new_token(),
        at,
        None if vouched else at + KEPT,
        None,
        None,
    )
    return _write(shop, made, _kept(decision.request), at)


def request_over(
    shop: Shop,
    announcement: str,
    address: str,
    locale: str,
    at: datetime,
    *,
    at_night: bool = False,
    channel: Channel = "email",
) -> Wish:
    """Write down that somebody of whom nothing is known wants to hear when this announcement is over.

    Raises `BadAddress`, and `NoWish` where there is no such announcement, or it is over already.
    """
    from fenqi_server.announcements import lifecycle

    found = check_address(channel, address)
    last = lifecycle.latest(shop).get(announcement)
    if last is None or last.state in ("resolved", "retracted"):
        raise NoWish(announcement)
    party = anonymous_party(shop.id)
    made = Wish(
        party,
        uuid7(at),
        None,
        "",
        announcement,
        channel,
        found,
        locale,
        at_night,
        "unconfirmed",
        new_token(),
        at,
        at + KEPT,
        None,
        None,
    )
    return _write(shop, made, None, at)


def _write(shop: Shop, made: Wish, checkout: str | None, at: datetime) -> Wish:
    if made.channel not in ("email", "sms", "push"):
        raise BadAddress("form", _NOT_A_PERSON)
    with transaction.atomic():
        use_shop(shop.id)
        known = _same(made)
        if known is not None:
            return known
        if made.state == "unconfirmed":
            check_may_ask(shop, made.address, at)
        with connection.cursor() as cursor:
            places = ", ".join(["%s"] * (len(Wish.__struct_fields__) + 2))
            cursor.execute(
                f"INSERT INTO subscriptions_wish (shop_id, {_COLUMNS}, checkout) VALUES ({places})"
                " ON CONFLICT DO NOTHING",
                [shop.id, *msgspec.structs.astuple(made), checkout],
            )
            if not cursor.rowcount:
                again = _same(made)
                assert again is not None, "what is in the way of a new one is there"
                return again
        if made.state == "unconfirmed":
            enqueue(shop, made.customer_id, made.id, "confirm", "wish", made.channel, at)
        return made


_NOT_A_PERSON: Final = Text("此处须为人的地址。", "This has to be a person's address.")


def _same(made: Wish) -> Wish | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM subscriptions_wish WHERE customer_id = %s AND plan = %s AND announcement = %s"
            " AND channel = %s AND lower(address) = lower(%s) AND state IN ('unconfirmed', 'waiting', 'telling')",
            [made.customer_id, made.plan, made.announcement, made.channel, made.address],
        )
        row = cursor.fetchone()
    return None if row is None else Wish(*row)


def get(shop: Shop, wish_id: str) -> Wish:
    """The wish with this public id. Raises `NoWish`."""
    try:
        customer_id, name = parse_public_id(wish_id, "nr")
    except ValueError:
        raise NoWish(wish_id) from None
    use_shop(shop.id)
    found = _by_key(customer_id, name, shop)
    if found is None:
        raise NoWish(wish_id)
    return found


def _by_key(customer_id: UUID, name: UUID, shop: Shop) -> Wish | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM subscriptions_wish WHERE customer_id = %s AND id = %s AND shop_id = %s",
            [customer_id, name, shop.id],
        )
        row = cursor.fetchone()
    return None if row is None else Wish(*row)


def opened_by(wish: Wish, token: str) -> bool:
    """Whether the token is this wish's."""
    return hmac.compare_digest(wish.token.encode(), token.encode())


def of_customer(shop: Shop, customer_id: UUID) -> tuple[Wish, ...]:
    """A customer's open wishes, newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM subscriptions_wish WHERE customer_id = %s AND shop_id = %s"
            " AND state IN ('unconfirmed', 'waiting', 'telling') ORDER BY id DESC LIMIT 100",
            [customer_id, shop.id],
        )
        return tuple(Wish(*row) for row in cursor.fetchall())


def confirm(shop: Shop, wish: Wish, at: datetime) -> Wish:
    """The address's owner says yes. Saying it again changes nothing. Raises `Expired`."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_wish SET state = 'waiting' WHERE customer_id = %s AND id = %s"
            " AND state = 'unconfirmed' AND confirm_until > %s",
            [wish.customer_id, wish.id, at],
        )
    now = get(shop, wish.public_id)
    if now.state == "unconfirmed":
        raise Expired(now.public_id)
    return now


def cancel(shop: Shop, wish: Wish, at: datetime) -> Wish:
    """Forget the wish and its address. One that is closed already stays as it is."""
    use_shop(shop.id)
    _close(wish, "cancelled", at)
    return get(shop, wish.public_id)


def expire_due(shop: Shop, now: datetime) -> int:
    """Forget the addresses that nobody confirmed in time, and those of wishes that nothing came of; how many."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_wish SET state = 'cancelled', address = '', closed_at = %(now)s WHERE shop_id = %(shop)s"
            " AND ((state = 'unconfirmed' AND confirm_until <= %(now)s)"
            " OR (state = 'waiting' AND asked_at <= %(oldest)s))",
            {"now": now, "shop": shop.id, "oldest": now - timedelta(days=KEPT_DAYS)},
        )
        return int(cursor.rowcount)


# ------------------------------------------------------------------------------------------------- asking again


def fulfil_due(now: datetime) -> int:
    """The worker's job: ask the engine again for the customers who wait, and say how many will be told.

    No more are asked than can be told within about a minute, for what is said must be true when it arrives. Each is one
    transaction, and a failing one keeps nobody else waiting.
    """
    told = 0
    for shop in Shop.objects.order_by("created_at"):
        use_shop(shop.id)
        for wish in _due(shop, now):
            try:
                told += _look(shop, wish, now)
            except Exception:
                _log.exception("the wish %s could not be looked at", wish.public_id)
    return told


def _due(shop: Shop, now: datetime) -> list[Wish]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM subscriptions_wish WHERE shop_id = %(shop)s AND state = 'waiting'),"
            " (SELECT count(*) FROM subscriptions_message WHERE shop_id = %(shop)s AND kind = 'back')",
            {"shop": shop.id},
        )
        waiting, queued = cursor.fetchone()
        limit = min(BATCH, per_minute() - queued)
        if not waiting or limit <= 0:
            return []
        rest = LOOK_AGAIN * max(1.0, waiting / LOOKS_PER_MINUTE)
        cursor.execute(
            f"SELECT {_COLUMNS} FROM subscriptions_wish WHERE shop_id = %s AND state = 'waiting' AND announcement = ''"
            " AND (checked_at IS NULL OR checked_at <= %s) AND (at_night OR NOT %s)"
            " ORDER BY checked_at NULLS FIRST, asked_at LIMIT %s",
            [shop.id, now - rest, is_quiet(now, shop.time_zone), limit],
        )
        return [Wish(*row) for row in cursor.fetchall()]


def _look(shop: Shop, wish: Wish, now: datetime) -> bool:
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            # Two workers would both tell: the second finds it taken, or held, and goes on.
            cursor.execute(
                "SELECT checkout::text FROM subscriptions_wish WHERE customer_id = %s AND id = %s"
                " AND state = 'waiting' FOR UPDATE SKIP LOCKED",
                [wish.customer_id, wish.id],
            )
            row = cursor.fetchone()
            if row is None:
                return False
            cursor.execute(
                "UPDATE subscriptions_wish SET checked_at = %s WHERE customer_id = %s AND id = %s",
                [now, wish.customer_id, wish.id],
            )
        content = ask_again(shop, wish, row[0], now)
        if content is None:
            return False
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE subscriptions_wish SET state = 'telling' WHERE customer_id = %s AND id = %s",
                [wish.customer_id, wish.id],
            )
        enqueue(
            shop,
            wish.customer_id,
            wish.id,
            "back",
            "wish",
            wish.channel,
            now,
            content=content,
            asked_at=now,
        )
        return True


def still_offered(shop: Shop, customer_id: UUID, name: UUID, now: datetime) -> dict[str, str] | None:
    """Ask once more, for a message that has waited long: what is to be said now, or None.

    Where it is not offered any more the wish goes back to waiting, and its message is gone.
    """
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS}, checkout::text FROM subscriptions_wish WHERE customer_id = %s AND id = %s"
                " AND state = 'telling' FOR UPDATE",
                [customer_id, name],
            )
            row = cursor.fetchone()
            if row is None:
                return None
            content = ask_again(shop, Wish(*row[:-1]), row[-1], now)
            if content is None:
                cursor.execute(
                    "UPDATE subscriptions_wish SET state = 'waiting', checked_at = %s"
                    " WHERE customer_id = %s AND id = %s",
                    [now, customer_id, name],
                )
            else:
                cursor.execute(
                    "UPDATE subscriptions_message SET content = %s, asked_at = %s WHERE customer_id = %s AND id = %s",
                    [msgspec.json.encode(content).decode(), now, customer_id, name_of(name, "back")],
                )
    return content


def ask_again(shop: Shop, wish: Wish, kept: str, now: datetime) -> dict[str, str] | None:
    """What can be said to this customer: the offer in the figures of now. None where the engine offers it not."""
    decision = _evaluate(shop, wish, kept, now)
    evaluation = decision.evaluation
    option = next((found for found in evaluation.options if found.plan == wish.plan), None)
    if option is None or not option.offered:
        return None
    voice = Voice(wish.locale, evaluation.currency, evaluation.zone, evaluation.as_of)
    with translation.override(DJANGO_LANGUAGE[wish.locale]):
        per = total = ""
        if option.schedule is not None:
            per, _ = per_text(option.schedule, voice)
            total = voice.money(option.schedule.total_minor)
        return {
            "name": option_name(decision.policy, wish.plan, voice),
            "amount": voice.money(evaluation.amount_minor),
            "per": per,
            "total": total,
            "at": voice.instant(now),
            "plan": wish.plan,
        }


def _evaluate(shop: Shop, wish: Wish, kept: str, now: datetime) -> decisions.Decision:
    checkout = _read_kept(kept)
    vocabulary = policies.current(shop.id, now).vocabulary
    told = {
        name: value
        for name, value in freeze_facts(checkout.facts).items()
        if name in vocabulary and may_assert(vocabulary[name])
    }
    return decisions.evaluate(
        shop,
        wish.customer_id,
        msgspec.convert(checkout.lines, tuple[Line, ...]),
        checkout.channel,
        told,
        now,
        source="announcement",
        last_used_family=checkout.last_used_family,
        coupon=checkout.coupon,
        ship_to=checkout.ship_to,
    )


def _close(wish: Wish, state: str, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_wish SET state = %s, address = '', closed_at = %s"
            " WHERE customer_id = %s AND id = %s AND state IN ('unconfirmed', 'waiting', 'telling')",
            [state, at, wish.customer_id, wish.id],
        )


def _kept(request: CheckoutRequest) -> str:
    return msgspec.json.encode(
        {
            "lines": request.lines,
            "channel": request.channel,
            "facts": {
                name: sorted(value) if isinstance(value, frozenset) else value
                for name, value in request.facts.items()
            },
            "last_used_family": request.last_used_family,
            "coupon": request.coupon,
            "ship_to": request.ship_to,
        }
    ).decode()


# Made with the module: see fenqi.policy.snapshot.
_read_kept: Final = msgspec.json.Decoder(_Kept).decode
