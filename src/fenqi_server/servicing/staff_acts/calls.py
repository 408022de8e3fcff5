"""What a customer asks for by phone or mail, written down by whoever answers.

It is the customer's request, as if they had asked on their own pages: they see it there and may take it back. Moving the due day and
quoting a payoff need no request, and are acts of their own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, get_args

from django.utils.translation import gettext, gettext_noop, ngettext

from fenqi.calendars import to_epoch
from fenqi.contracts.contract import ContractState
from fenqi.texts import Text
from fenqi_server.api.reading import without_cards
from fenqi_server.portal.goods import Item, chosen_lines, items_of
from fenqi_server.servicing import outgoing, requests, returns, service
from fenqi_server.servicing.requests import HardshipAsked, HardshipReason, ReturnAsked, ReturnReason
from fenqi_server.servicing.service import ContractView
from fenqi_server.servicing.staff_acts.act import Doing, StaffAct, running, sold
from fenqi_server.servicing.staff_acts.form import Field, amount_field
from fenqi_server.servicing.words import reason_name
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice, locale_now

__all__ = ["CALLS"]

_ROLES: Final = ("support", "supervisor")
"""Those who read customers' own words."""
_MONTHS: Final = (1, 2, 3, 6, 12)


def _said() -> Field:
    return Field(
        name="said",
        label=gettext("In their own words"),
        kind="words",
        required=False,
        hint=gettext("Only those who answer read it, and it is blanked when they ask to be forgotten."),
    )


def _items(shop: Shop, found: ContractView, voice: Voice) -> tuple[Item, ...]:
    return items_of(found, shop, requests.of_contract(shop, found.contract_id), voice)


def _return_fields(shop: Shop, found: ContractView, voice: Voice, _at: datetime) -> tuple[Field, ...]:
    items = _items(shop, found, voice)
    what = tuple(
        Field(
            name=f"item-{number}",
            label=f"{item.title} · {voice.money(item.unit_minor)}",
            kind="choice",
            choices=tuple((str(n), str(n)) for n in range(item.left + 1)),
            value="0",
        )
        for number, item in enumerate(items)
        if item.left
    )
    if not items:
        # The order's lines are not known of a contract that was imported.
        what = (amount_field(0, found, gettext("The price of what is to go back.")),)
    reasons = tuple((reason, reason_name(reason)) for reason in get_args(ReturnReason))
    return (
        *what,
        Field(name="because", label=gettext("The customer’s reason"), kind="choice", choices=reasons),
        _said(),
    )


def _wanted(doing: Doing) -> ReturnAsked:
    shop, given = doing.shop, doing.given
    if "amount" in given:
        return ReturnAsked(amount_minor=given["amount"], reason=given["because"])
    found = service.get(shop, doing.contract, at=doing.at)
    items = _items(shop, found, Voice(locale_now(), shop.currency, shop.time_zone, to_epoch(doing.at)))
    counts = {item.sku: int(given.get(f"item-{number}") or 0) for number, item in enumerate(items)}
    lines = chosen_lines(items, counts)
    if not lines:
        raise service.Refusal(
            "nothing_chosen",
            Text("未选择商品", "Nothing is chosen"),
            Text("请至少选择一件要退回的商品。", "Choose at least one thing that goes back."),
            currency=shop.currency,
        )
    return ReturnAsked(
        amount_minor=sum(line.amount_minor for line in lines),
        lines=lines,
        for_other_sellers_minor=sum(line.amount_minor for line in lines if line.other_seller),
        reason=given["because"],
    )


def _ask_return(doing: Doing) -> requests.Request:
    return _open(doing, _wanted(doing))


def _see_return(doing: Doing) -> object:
    """What the return will do once the goods are there."""
    wanted = _wanted(doing)
    outgoing.foreseen(lambda: _open(doing, wanted))
    return returns.act_of_return(
        doing.shop,
        doing.contract,
        "asked",
        wanted.amount_minor,
        doing.at,
        for_other_sellers_minor=wanted.for_other_sellers_minor,
    )


def _help_fields(_shop: Shop, _found: ContractView, _voice: Voice, _at: datetime) -> tuple[Field, ...]:
    reasons = tuple((reason, reason_name(reason)) for reason in get_args(HardshipReason))
    months = tuple((str(n), ngettext("%(n)s month", "%(n)s months", n) % {"n": n}) for n in _MONTHS)
    return (
        Field(name="because", label=gettext("The customer’s reason"), kind="choice", choices=reasons),
        Field(name="months", label=gettext("For how long"), kind="choice", choices=months),
        _said(),
    )


def _ask_help(doing: Doing) -> requests.Request:
    return _open(doing, HardshipAsked(reason=doing.given["because"], months=int(doing.given["months"])))


def _open(doing: Doing, asked: ReturnAsked | HardshipAsked) -> requests.Request:
    return requests.open_request(
        doing.shop,
        doing.contract,
        asked,
        doing.at,
        said=without_cards(doing.given["said"] or ""),
        taken_by=doing.actor,
        reason=doing.reason,
    )


def _may_go_back(state: ContractState) -> bool:
    captured = state.pledge is None or state.pledge.stage == "captured"
    bought = state.confirmed_on is not None and state.cancelled_on is None and state.lease is None
    return bought and captured


CALLS: Final[tuple[StaffAct, ...]] = (
    StaffAct(
        name="ask-return",
        roles=_ROLES,
        group="calls",
        title=gettext_noop("They want to return goods"),
        about=gettext_noop(
            "Written down as the customer’s request. It waits until somebody says that the goods are there; what is shown is what it does then."
        ),
        way_back=gettext_noop("Until it is decided, it is withdrawn on its page, or by the customer."),
        fields=_return_fields,
        fits=_may_go_back,
        do=_ask_return,
        preview=_see_return,
    ),
    StaffAct(
        name="ask-help",
        roles=_ROLES,
        group="calls",
        title=gettext_noop("They need help with paying"),
        about=gettext_noop(
            "Written down as the customer’s request. Nothing changes until a supervisor or finance decides how to help."
        ),
        way_back=gettext_noop("Until it is decided, it is withdrawn on its page, or by the customer."),
        fields=_help_fields,
        fits=lambda state: sold(state) and running(state),
        do=_ask_help,
    ),
)
