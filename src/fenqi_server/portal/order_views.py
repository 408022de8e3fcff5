"""The demo mall's orders: how each is paid, and what to do where that did not work."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from fenqi.calendars import local_date
from fenqi.contracts.contract import ContractState
from fenqi_server.funders import handoffs
from fenqi_server.portal.telling import funder_names, order_title, plan_name
from fenqi_server.servicing import service as servicing
from fenqi_server.storefront import cart, orders
from fenqi_server.storefront.selector import WayView, compared_with, open_ways
from fenqi_server.storefront.views import decide_cart
from fenqi_server.storefront.visitor import Visitor, visitor_of
from fenqi_server.storefront.voice import Voice


class OrderLineView(msgspec.Struct, frozen=True):
    name: str
    quantity: int
    total: str


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order and how its payment stands."""

    url: str
    title: str
    number: str
    placed: str
    way: str
    amount: str
    state: str
    tone: str
    headline: str
    explanation: str
    note_tone: str
    lines: tuple[OrderLineView, ...]
    support: str
    contract_url: str = ""
    can_query: bool = False
    query_url: str = ""
    funder_url: str = ""
    ways: tuple[WayView, ...] = ()
    compared: str = ""


@never_cache
@require_safe
def order_list(request: HttpRequest) -> HttpResponse:
    """All orders of the customer."""
    visitor = visitor_of(request)
    found = orders.orders_of(visitor.shop, visitor.customer_id)
    states = _states(visitor)
    return render(
        request, "portal/orders.html", {"orders": [_order_view(order, visitor, states) for order in found]}
    )


@never_cache
@require_safe
def order(request: HttpRequest, order_id: str) -> HttpResponse:
    """One order: what was bought, how it is paid, and what to do where that did not work."""
    visitor = visitor_of(request)
    found = _own_order(visitor, order_id)
    view = _order_view(found, visitor, _states(visitor))
    hand_off = _hand_off(found, visitor)
    if hand_off is not None and hand_off.state == "approved":
        _empty_cart_of(request, found)
    if hand_off is not None and hand_off.state == "declined" and cart.items(request.session):
        decision, _ = decide_cart(request, visitor, source="declined")
        same_family = [
            option.plan for option in decision.evaluation.options if option.family == hand_off.family
        ]
        view = msgspec.structs.replace(
            view,
            ways=open_ways(
                visitor.policy,
                decision.evaluation,
                visitor.voice,
                decision.public_id,
                than=found.plan,
                without=same_family,
            ),
            compared=compared_with(visitor.policy, decision.evaluation, found.plan, visitor.voice),
        )
    return render(request, "portal/order.html", {"order": view})


@require_POST
def ask_funder(request: HttpRequest, order_id: str) -> HttpResponse:
    """Ask the funder now, instead of waiting for its answer."""
    visitor = visitor_of(request)
    found = _own_order(visitor, order_id)
    if found.hand_off is not None:
        handoffs.query(visitor.shop, found.hand_off, visitor.at)
    return HttpResponseRedirect(reverse("portal:order", args=[order_id]))


def _own_order(visitor: Visitor, order_id: str) -> orders.Order:
    try:
        found = orders.get(visitor.shop, order_id)
    except orders.NoOrder:
        raise Http404("no such order") from None
    if found.customer_id != visitor.customer_id:
        raise Http404("no such order")
    return found


def _hand_off(order: orders.Order, visitor: Visitor) -> handoffs.HandOff | None:
    return None if order.hand_off is None else handoffs.get(visitor.shop, order.hand_off)


def _empty_cart_of(request: HttpRequest, order: orders.Order) -> None:
    """The order went through: what it was made of leaves the cart, unless the cart has changed since."""
    ordered = {line.sku: line.quantity for line in order.lines}
    if {item.product.sku: item.quantity for item in cart.items(request.session)} == ordered:
        cart.clear(request.session)


def _states(visitor: Visitor) -> dict[str, ContractState]:
    """How the customer's contracts stand, by their ids."""
    today = local_date(visitor.at, visitor.shop.time_zone)
    return {
        each.contract_id: each.state
        for each in servicing.contracts_of(visitor.shop, visitor.customer_id, today)
    }


def _contract_words(found: orders.Order, state: ContractState | None) -> dict[str, Any]:
    """What became of an order that a contract pays for."""
    words = {
        "state": pgettext("order", "placed"),
        "tone": "good",
        "headline": gettext("Paid over time with the mall."),
        "explanation": gettext("The contract says what you pay and when."),
        "note_tone": "good",
    }
    if state is None:
        return words
    if state.cancelled_on is not None:
        words |= {"state": pgettext("order", "called off"), "tone": "", "note_tone": ""}
        words["headline"] = gettext("The sale was called off before anything was shipped.")
    elif state.returned_minor >= found.amount_minor:
        words |= {"state": pgettext("order", "went back"), "tone": "", "note_tone": ""}
        words["headline"] = gettext("Everything went back.")
    elif state.returned_minor:
        words["state"] = pgettext("order", "went back in part")
        words["headline"] = gettext("Goods went back in part.")
    else:
        return words
    words["explanation"] = gettext("The contract says what that settled and what was refunded.")
    return words


def _order_view(found: orders.Order, visitor: Visitor, states: dict[str, ContractState]) -> OrderView:
    voice = visitor.voice
    words: dict[str, Any]
    hand_off = _hand_off(found, visitor)
    if hand_off is None:
        words = {
            **_contract_words(found, states.get(found.contract or "")),
            "contract_url": reverse("portal:contract", args=[found.contract]),
        }
    else:
        words = _hand_off_words(found, hand_off, voice)
    return OrderView(
        url=reverse("portal:order", args=[found.public_id]),
        title=order_title(found.lines, voice),
        number=found.reference,
        placed=voice.instant(found.placed_at),
        way=plan_name(found.policy_digest, found.plan, voice),
        amount=voice.money(found.amount_minor),
        lines=tuple(
            OrderLineView(voice.text(line.title), line.quantity, voice.money(line.total_minor))
            for line in found.lines
        ),
        support=f"{reverse('support:new')}?decision={hand_off.decision}&plan={found.plan}"
        if hand_off
        else reverse("support:new"),
        **words,
    )


def _hand_off_words(found: orders.Order, hand_off: handoffs.HandOff, voice: Voice) -> dict[str, Any]:
    names = funder_names(found.policy_digest, voice)
    funder = {"funder": names.get(hand_off.funder, hand_off.funder)}
    asking = {
        "can_query": True,
        "query_url": reverse("portal:ask", args=[found.public_id]),
        "funder_url": handoffs.page_url(hand_off),
    }
    if hand_off.state == "approved":
        return {
            "state": pgettext("order", "paid"),
            "tone": "good",
            "headline": gettext("%(funder)s has approved it.") % funder,
            "explanation": gettext(
                "Your order is paid. What you owe %(funder)s, if anything, stands on its own pages."
            )
            % funder,
            "note_tone": "good",
        }
    if hand_off.state == "declined" and hand_off.cause == "not_taken":
        return {
            "state": pgettext("order", "not taken"),
            "tone": "bad",
            "headline": gettext("%(funder)s did not take the order.") % funder,
            "explanation": gettext(
                "Its service could not be reached or takes no orders now. Nothing was charged, and the goods are still "
                "in your cart: pay another way, or try again later."
            ),
            "note_tone": "bad",
        }
    if hand_off.state == "declined":
        return {
            "state": pgettext("order", "declined"),
            "tone": "bad",
            "headline": gettext("%(funder)s has declined.") % funder,
            "explanation": gettext(
                "Nothing was charged, and the goods are still in your cart. It does not tell us why; its own support can."
            ),
            "note_tone": "bad",
        }
    if hand_off.state == "unknown":
        return {
            "state": pgettext("order", "unknown"),
            "tone": "warn",
            "headline": gettext("%(funder)s has not answered.") % funder,
            "explanation": gettext(
                "We do not know yet whether it was paid, and go on asking. Do not pay another way before it is known: "
                "you could pay twice."
            ),
            "note_tone": "warn",
            **asking,
        }
    return {
        "state": pgettext("order", "waiting for the funder"),
        "tone": "",
        "headline": gettext("%(funder)s has it now.") % funder,
        "explanation": gettext(
            "Its answer is due by %(at)s. Do not pay another way before: you could pay twice."
        )
        % {"at": voice.instant(hand_off.deadline_at)},
        "note_tone": "",
        **asking,
    }
