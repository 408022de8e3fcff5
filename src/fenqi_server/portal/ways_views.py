"""What a customer can use, and why not the rest: the shop's own verdicts, for an order of ordinary goods.

It is the checkout's evaluation, asked with what is known of the customer, and recorded like any other: support finds what
was read here. What only the shop can tell (an age, a card) is what it told last, with that date; what nobody told is unknown,
and the answer says so.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from fenqi.checkout.request import Line
from fenqi.money import CURRENCIES, MoneyError, decimal_text, parse_money
from fenqi.policy.compile import Policy
from fenqi_server.announcements.guide import EXAMPLE_MAJOR
from fenqi_server.db import use_shop
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions
from fenqi_server.facts import BadFacts, may_assert
from fenqi_server.facts.known import standing
from fenqi_server.portal.visitor import PortalVisitor, customer_page
from fenqi_server.storefront.selector import FamilyView, GroupView, MissingView, group_views
from fenqi_server.storefront.visitor import visitor_of
from fenqi_server.subscriptions import ports

SOURCE: Final = "portal"
LOOKED_AT: Final = 50


class Told(msgspec.Struct, frozen=True):
    """What the shop said of the customer, when, and by which channel they came."""

    facts: dict[str, Any] = {}
    as_of: dict[str, int] = {}
    at: int | None = None
    channel: str = "web"


class WaysGroup(msgspec.Struct, frozen=True):
    title: str
    about: str
    families: tuple[FamilyView, ...]


@require_safe
@customer_page
def ways(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """Every way to pay for an order of an amount: open or not, why, until when, and what else can be done."""
    voice, shop = visitor.voice, visitor.shop
    policy = visitor.policy
    written = request.GET.get("amount", "").strip()
    amount, error = EXAMPLE_MAJOR * 10 ** CURRENCIES[shop.currency], ""
    if written:
        try:
            asked = parse_money(written, shop.currency)
        except MoneyError:
            asked = 0
        amount = asked or amount
        if not asked:
            error = gettext("Write an amount such as %(example)s.") % {
                "example": decimal_text(amount, shop.currency)
            }
    context: dict[str, Any] = {
        "amount": written[:20] if error else decimal_text(amount, shop.currency),
        "error": error,
        "no_policy": policy is None,
    }
    if policy is None or error:
        return render(request, "portal/ways.html", context, status=422 if error else 200)
    told = _told(request, visitor, policy)
    decision = _decide(visitor, amount, told)
    groups = group_views(
        policy, decision.evaluation, voice, decision.public_id, overrides=decision.request.overrides
    )
    unknown = any(
        reason.unknown for option in decision.evaluation.options for reason in option.verdict.reasons
    )
    context |= {
        "groups": [_group(group, decision) for group in groups],
        "line": _line_words(visitor, policy),
        "decision": decision.public_id,
        "shown_amount": voice.money(amount),
        "told_at": voice.instant(told.at) if told.at is not None else "",
        "nothing_told": told.at is None and not settings.FENQI_DEMO,
        "unknown": unknown,
        "demo": settings.FENQI_DEMO,
        "back": visitor.back,
        "can_notify": bool(settings.FENQI_DEMO or ports.offered("email")),
    }
    return render(request, "portal/ways.html", context)


def _line_words(visitor: PortalVisitor, policy: Policy) -> str:
    """What is left of the shop's own line; empty where the customer has none."""
    known = standing(visitor.shop, visitor.customer_id, policy, visitor.at)
    line, left = known.get("limit.mall"), known.get("limit.mall_available")
    if not isinstance(line, int) or not isinstance(left, int):
        return ""
    return gettext(
        "Of the shop’s own line of %(line)s, %(left)s is left for you. What you pay back is left again."
    ) % {
        "line": visitor.voice.money(line),
        "left": visitor.voice.money(left),
    }


def _group(group: GroupView, decision: decisions.Decision) -> WaysGroup:
    families = (*group.shown, *group.collapsed, *group.missing)
    return WaysGroup(
        group.title,
        group.about,
        tuple(
            msgspec.structs.replace(
                family, missing=tuple(_missing(each, decision) for each in family.missing)
            )
            for family in families
        ),
    )


_AMOUNT: Final = frozenset({"AMOUNT_LOW", "AMOUNT_HIGH"})
_RENTED: Final = frozenset({"operating_lease", "finance_lease"})
_OF_RENTS: Final = frozenset({"LEASE_TERMS", "COST_OVER_CAP"})


def _missing(view: MissingView, decision: decisions.Decision) -> MissingView:
    """What is missing, without what a reader here can do nothing with."""
    option, reasons = decision.evaluation.option(view.plan), view.reasons
    if option.legal_form in _RENTED and _AMOUNT & {reason.code for reason in reasons}:
        # Goods of that price are not rented at all: what the rents would be in proportion to it says nothing.
        reasons = tuple(reason for reason in reasons if reason.code not in _OF_RENTS)
    # What time and the shop change comes back by a message; what only the customer can change does not.
    lasts = option.verdict.until.kind == "none"
    return msgspec.structs.replace(view, reasons=reasons, notify="" if lasts else view.notify)


def _decide(visitor: PortalVisitor, amount: int, told: Told) -> decisions.Decision:
    def ask(facts: dict[str, Any], as_of: dict[str, int]) -> decisions.Decision:
        return decisions.evaluate(
            visitor.shop,
            visitor.customer_id,
            # Ordinary goods of the shop's own, as the public pages ask about.
            (Line("example", "example", "example", "goods", 1, amount, visitor.shop.code),),
            told.channel,
            facts,
            visitor.at,
            source=SOURCE,
            as_of=as_of,
            signed=False,
        )

    try:
        return ask(told.facts, told.as_of)
    except BadFacts:
        # The policy does not take any more what was told then.
        return ask({}, {})


def _told(request: HttpRequest, visitor: PortalVisitor, policy: Policy) -> Told:
    """What the shop last said of the customer, in a checkout. What was looked at here is not said anew by being looked at."""
    if settings.FENQI_DEMO and visitor.link is None:
        person = visitor_of(request)
        return Told(dict(person.asserted), {}, None, person.channel)
    use_shop(visitor.shop.id)
    for record in log.newest_of(visitor.customer_id, LOOKED_AT):
        if record.shop_id != visitor.shop.id or record.source == SOURCE:
            continue
        asked = decisions.request_of(record)
        facts = {
            name: value
            for name, value in asked.facts.items()
            if name in policy.vocabulary and may_assert(policy.vocabulary[name])
        }
        return Told(facts, {name: asked.as_of.get(name, asked.at) for name in facts}, asked.at, asked.channel)
    return Told()
