"""Tell me when it is back: one wish of one customer about one plan for one cart.

A wish is fulfilled by the decision engine, not by the end of a window: when `evaluate` offers the plan to *that*
customer for *that* cart again, one mail is written, and the address is forgotten. Somebody whom another reason still
keeps from it is told nothing.
"""

from __future__ import annotations

import logging
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.validators import validate_email
from django.db import connection, transaction
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from fenqi.checkout.request import CheckoutRequest
from fenqi.policy.facts import freeze_facts
from fenqi_server.db import use_shop
from fenqi_server.decisions import service as decisions
from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.facts.asserted import may_assert
from fenqi_server.ids import parse_public_id, public_id, uuid7
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.selector import option_name, per_text
from fenqi_server.storefront.voice import Voice

__all__ = [
    "KEPT_DAYS",
    "NoWish",
    "Wish",
    "cancel",
    "fulfil_due",
    "get",
    "link_token",
    "opens",
    "request_back",
]

KEPT_DAYS: Final = 90
"""A wish that was not fulfilled by then is given up, and its address forgotten."""
_LOOK_AGAIN: Final = timedelta(seconds=60)
_BATCH: Final = 200
_DJANGO_LANGUAGE: Final = {"zh-CN": "zh-hans", "en": "en"}

_log = logging.getLogger(__name__)


class NoWish(LookupError):
    """No wish of this shop has the id."""


class Wish(msgspec.Struct, frozen=True):
    """One wish. `address` is empty once it is told or cancelled."""

    customer_id: UUID
    id: UUID
    decision_id: UUID
    plan: str
    address: str
    locale: str
    state: str
    asked_at: datetime
    checked_at: datetime | None
    closed_at: datetime | None

    @property
    def public_id(self) -> str:
        return public_id("nr", self.customer_id, self.id)


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
    shop: Shop, customer_id: UUID, decision_id: str, plan: str, email: str, locale: str, at: datetime
) -> Wish:
    """Write down that the customer wants to be told. The same wish twice is one.

    Raises `django.core.exceptions.ValidationError` for an address that is none, `NoDecision` for a decision that is not
    this customer's, `KeyError` for a plan that its policy has not.
    """
    validate_email(email)
    if len(email) > 200:
        raise ValueError("an address has at most 200 characters")
    owner, name = parse_public_id(decision_id, "dc")
    if owner != customer_id:
        raise decisions.NoDecision(decision_id)
    decision = decisions.load(decision_id, shop=shop)
    decision.policy.plan(plan)
    made = Wish(customer_id, uuid7(at), name, plan, email, locale, "waiting", at, None, None)
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO subscriptions_wish (shop_id, {_COLUMNS}, checkout, token)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [shop.id, *msgspec.structs.astuple(made), _kept(decision.request), secrets.token_urlsafe(24)],
            )
            if cursor.rowcount:
                return made
            cursor.execute(
                f"SELECT {_COLUMNS} FROM subscriptions_wish"
                " WHERE customer_id = %s AND plan = %s AND lower(address) = lower(%s) AND state = 'waiting'",
                [customer_id, plan, email],
            )
            return Wish(*cursor.fetchone())


def get(shop: Shop, request_id: str) -> Wish:
    """The wish with this public id. Raises `NoWish`."""
    try:
        customer_id, name = parse_public_id(request_id, "nr")
    except ValueError:
        raise NoWish(request_id) from None
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM subscriptions_wish WHERE customer_id = %s AND id = %s AND shop_id = %s",
            [customer_id, name, shop.id],
        )
        row = cursor.fetchone()
    if row is None:
        raise NoWish(request_id)
    return Wish(*row)


def cancel(shop: Shop, request_id: str, at: datetime) -> Wish:
    """Forget the wish and its address. One that is closed already stays as it is."""
    found = get(shop, request_id)
    _close(found, "cancelled", at)
    return get(shop, request_id)


def link_token(request_id: str) -> str:
    """What a mail's link carries, so that its reader needs no account to cancel."""
    return seal_token("nr", request_id.encode())


def opens(request_id: str, token: str) -> bool:
    """Whether the token is this wish's."""
    try:
        return open_token("nr", token) == request_id.encode()
    except BadToken:
        return False


def fulfil_due(now: datetime) -> int:
    """The worker's job: ask the engine again for everybody who waits, and say how many were told.

    A wish is looked at once a minute. Each is one transaction, and a failing one keeps nobody else waiting.
    """
    told = 0
    for shop in Shop.objects.order_by("created_at"):
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM subscriptions_wish WHERE shop_id = %s AND state = 'waiting'"
                " AND (checked_at IS NULL OR checked_at <= %s) ORDER BY asked_at LIMIT %s",
                [shop.id, now - _LOOK_AGAIN, _BATCH],
            )
            waiting = [Wish(*row) for row in cursor.fetchall()]
        for wish in waiting:
            try:
                told += _look(shop, wish, now)
            except Exception:
                _log.exception("the wish %s could not be looked at", wish.public_id)
    return told


def _look(shop: Shop, wish: Wish, now: datetime) -> bool:
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            # Two workers would both send: the second finds it closed, or held, and goes on.
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
        if now - wish.asked_at > timedelta(days=KEPT_DAYS):
            _close(wish, "cancelled", now)
            return False
        decision = _ask_again(shop, wish, row[0], now)
        option = next((found for found in decision.evaluation.options if found.plan == wish.plan), None)
        if option is None or not option.offered:
            return False
        _send(shop, wish, decision, now)
        _close(wish, "told", now)
        return True


def _ask_again(shop: Shop, wish: Wish, kept: str, now: datetime) -> decisions.Decision:
    from fenqi.checkout.request import Line

    checkout = msgspec.json.decode(kept, type=_Kept)
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


def _send(shop: Shop, wish: Wish, decision: decisions.Decision, now: datetime) -> None:
    evaluation = decision.evaluation
    option = evaluation.option(wish.plan)
    voice = Voice(wish.locale, evaluation.currency, evaluation.zone, evaluation.as_of)
    with translation.override(_DJANGO_LANGUAGE[wish.locale]):
        name = option_name(decision.policy, wish.plan, voice)
        per = total = ""
        if option.schedule is not None:
            per, _ = per_text(option.schedule, voice)
            total = voice.money(option.schedule.total_minor)
        forget = f"{reverse('subscriptions:wish', args=[wish.public_id])}?t={link_token(wish.public_id)}"
        values = {
            "name": name,
            "mall": voice.text(shop.name),
            "amount": voice.money(evaluation.amount_minor),
            "per": per,
            "total": total,
            "at": voice.instant(now),
            "checkout": f"{settings.FENQI_ORIGIN}{reverse('storefront:checkout')}",
            "forget": f"{settings.FENQI_ORIGIN}{forget}",
        }
        subject = gettext("%(name)s is back at %(mall)s") % values
        body = (
            gettext(
                "Hello,\n\n"
                "you asked us to tell you. %(name)s is open to you again for your order of %(amount)s: "
                "we checked it for you on %(at)s, by the same rules as the checkout.\n\n"
                "As of then: %(per)s, total %(total)s.\n\n"
                "To the checkout: %(checkout)s\n\n"
                "This is the only mail about it, and your address is now deleted with us. "
                "What we kept of your request, and how to cancel it: %(forget)s\n"
            )
            % values
        )
    backend = "fenqi_server.subscriptions.mailbox.MailboxBackend" if settings.FENQI_DEMO else None
    EmailMessage(
        subject,
        body,
        to=[wish.address],
        headers={
            "Content-Language": wish.locale,
            "List-Unsubscribe": f"<{values['forget']}>",
            "Auto-Submitted": "auto-generated",
        },
        connection=get_connection(backend),
    ).send()


def _close(wish: Wish, state: str, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_wish SET state = %s, address = '', closed_at = %s"
            " WHERE customer_id = %s AND id = %s AND state = 'waiting'",
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
