"""The words of a reminder, in the customer's language: one sentence for each thing, all of them in one mail."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext, ngettext

from fenqi.calendars import to_epoch
from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.reminders.queueing import Stage
from fenqi_server.servicing.words import failure_name
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice
from fenqi_server.subscriptions.letters import DJANGO_LANGUAGE
from fenqi_server.subscriptions.ports import Letter

__all__ = ["Item", "customer_of", "letter", "unsubscribe_url"]

_CONTEXT: Final = "rm1"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell, as it is when it is told. `amount_minor` is what is owed of it; `tool` what is debited, where
    something is, and `taken_minor` how much of it."""

    stage: Stage
    contract_id: str
    order_ref: str
    amount_minor: int
    currency: str
    due_on: date | None = None
    days_late: int = 0
    tool: str = ""
    taken_minor: int = 0
    reason: str = ""
    attempt_id: str = ""
    again_on: date | None = None
    buyout_minor: int | None = None
    """What buying what is rented costs on the last day of its term; None where it cannot be bought."""
    renewal_minor: int | None = None
    """What renting on costs for each further period; None where it was not agreed."""


def letter(shop: Shop, items: tuple[Item, ...], locale: str, at: datetime, leave: str) -> Letter:
    """The mail to one customer."""
    with translation.override(DJANGO_LANGUAGE[locale]):
        voice = Voice(locale, shop.currency, shop.time_zone, to_epoch(at))
        mall = _plain(voice.text(shop.name))
        owes = any(item.stage in ("before", "due", "late", "autopay_failed") for item in items)
        late = any(item.stage in ("late", "autopay_failed") for item in items)
        further = []
        if owes:
            further.append(
                gettext(
                    "On the page below you can see everything you owe, and pay any amount of it at any time."
                )
            )
        if late:
            further.append(
                gettext("If paying is difficult now, ask us for help there: we look for a way together.")
            )
            if contact := _plain(shop.support_zh_cn if locale == "zh-CN" else shop.support_en):
                further.append(gettext("You can also reach us: %(contact)s") % {"contact": contact})
        rented = [item for item in items if item.stage == "term_ends"]
        return Letter(
            _subject(items, mall),
            (*(_sentence(item, voice) for item in items), *further),
            (
                (gettext("What I owe"), f"{settings.FENQI_ORIGIN}{reverse('portal:overview')}"),
                *(
                    (
                        gettext("Buy, rent on or give back"),
                        f"{settings.FENQI_ORIGIN}{reverse('portal:rented', args=[item.contract_id])}",
                    )
                    for item in rented
                ),
            ),
            (
                gettext(
                    "You get this because you pay %(mall)s over time. We never ask for card numbers or passwords."
                )
                % {"mall": mall},
            ),
            ((gettext("No more reminders by mail"), leave),),
        )


def _subject(items: tuple[Item, ...], mall: str) -> str:
    stages = {item.stage for item in items}
    if "autopay_failed" in stages:
        return gettext("%(mall)s: an automatic payment did not work") % {"mall": mall}
    if "late" in stages:
        return gettext("%(mall)s: a payment is late") % {"mall": mall}
    if stages & {"before", "due"}:
        return gettext("%(mall)s: what is due") % {"mall": mall}
    if "term_ends" in stages:
        return gettext("%(mall)s: your rental ends soon") % {"mall": mall}
    return gettext("%(mall)s: everything is paid") % {"mall": mall}


def _sentence(item: Item, voice: Voice) -> str:
    values = {
        "order": _plain(item.order_ref),
        "amount": voice.money(item.amount_minor),
        "day": voice.day(item.due_on) if item.due_on else "",
        "tool": _plain(item.tool),
        "taken": voice.money(item.taken_minor),
        "days": item.days_late,
    }
    if item.stage == "before":
        if item.tool and item.taken_minor < item.amount_minor:
            return (
                gettext(
                    "Order %(order)s: %(amount)s is due on %(day)s. %(taken)s of it will be collected from %(tool)s: no more is allowed. The rest you pay yourself."
                )
                % values
            )
        if item.tool:
            return (
                gettext("Order %(order)s: %(amount)s is due on %(day)s and will be collected from %(tool)s.")
                % values
            )
        return gettext("Order %(order)s: %(amount)s is due on %(day)s.") % values
    if item.stage == "due":
        if item.tool and item.taken_minor < item.amount_minor:
            return (
                gettext(
                    "Order %(order)s: %(amount)s is due today, %(day)s. %(taken)s of it is collected from %(tool)s: no more is allowed. The rest you pay yourself."
                )
                % values
            )
        if item.tool:
            return (
                gettext("Order %(order)s: %(amount)s is due today, %(day)s, and is collected from %(tool)s.")
                % values
            )
        return gettext("Order %(order)s: %(amount)s is due today, %(day)s.") % values
    if item.stage == "late":
        return (
            ngettext(
                "Order %(order)s: %(amount)s has been open since %(day)s, %(days)s day ago.",
                "Order %(order)s: %(amount)s has been open since %(day)s, %(days)s days ago.",
                item.days_late,
            )
            % values
        )
    if item.stage == "autopay_failed":
        why = failure_name(item.reason)
        if item.again_on is not None:
            return gettext(
                "Order %(order)s: %(amount)s could not be collected from %(tool)s (%(why)s). It is tried again on %(again)s, or you pay it yourself before."
            ) % {**values, "why": why, "again": voice.day(item.again_on)}
        return gettext(
            "Order %(order)s: %(amount)s could not be collected from %(tool)s (%(why)s). It is not tried again: please pay it yourself."
        ) % {**values, "why": why}
    if item.stage == "term_ends":
        return _term_ends(item, voice, values)
    if item.stage == "paid_off":
        return (
            gettext("Order %(order)s is paid off, earlier than agreed. Nothing is owed for it any more.")
            % values
        )
    return gettext("Order %(order)s is settled. Nothing is owed for it any more.") % values


def _term_ends(item: Item, voice: Voice, values: dict[str, str | int]) -> str:
    values = {
        **values,
        "price": "" if item.buyout_minor is None else voice.money(item.buyout_minor),
        "rent": "" if item.renewal_minor is None else voice.money(item.renewal_minor),
    }
    if item.buyout_minor is not None and item.renewal_minor is not None:
        said = gettext(
            "Order %(order)s: your rental ends on %(day)s. You can give the goods back, buy them for %(price)s on that day, or rent on for %(rent)s a period. Nothing of this happens by itself: you choose on the page below."
        )
    elif item.buyout_minor is not None:
        said = gettext(
            "Order %(order)s: your rental ends on %(day)s. You can give the goods back, or buy them for %(price)s on that day. Nothing of this happens by itself: you choose on the page below."
        )
    elif item.renewal_minor is not None:
        said = gettext(
            "Order %(order)s: your rental ends on %(day)s. You can give the goods back, or rent on for %(rent)s a period. Nothing of this happens by itself: you choose on the page below."
        )
    else:
        said = gettext(
            "Order %(order)s: your rental ends on %(day)s. Please give the goods back by then. It is not renewed by itself."
        )
    return said % values


def _plain(text: str) -> str:
    """Somebody else's words as one line without anything invisible."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def unsubscribe_url(shop: Shop, customer_id: UUID) -> str:
    """The address at which this customer refuses these mails: signed, and for nothing else."""
    token = seal_token(_CONTEXT, shop.id.bytes + customer_id.bytes)
    return f"{settings.FENQI_ORIGIN}{reverse('reminders:off', args=[token])}"


def customer_of(token: str) -> tuple[UUID, UUID]:
    """The shop's and the customer's keys behind such an address. Raises `LookupError`."""
    try:
        raw = open_token(_CONTEXT, token)
    except BadToken:
        raise LookupError("the address was not given out here") from None
    if len(raw) != 32:
        raise LookupError("the address was not given out here")
    return UUID(bytes=raw[:16]), UUID(bytes=raw[16:])
