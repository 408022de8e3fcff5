"""Goods: shipped, come back, called off."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext, gettext_noop

from fenqi_server.servicing import acts, returns
from fenqi_server.servicing.staff_acts.act import (
    DESK_ROLES,
    Doing,
    StaffAct,
    sold,
)
from fenqi_server.servicing.staff_acts.form import (
    Field,
    amount_field,
    day_field,
    no_fields,
)

__all__ = ["GOODS"]


def _ship(doing: Doing) -> None:
    acts.ship(
        doing.shop,
        doing.contract,
        doing.at,
        shipment_id=doing.given["reference"] or "",
        on=doing.given["on"],
        actor=doing.actor,
    )


def _cancel(doing: Doing) -> None:
    acts.cancel(doing.shop, doing.contract, doing.at, reason=doing.reason, actor=doing.actor)


def _return(doing: Doing) -> None:
    given = doing.given
    returns.confirm_return(
        doing.shop,
        doing.contract,
        given["reference"],
        given["amount"],
        doing.at,
        for_other_sellers_minor=given["others"] or 0,
        on=given["on"],
        actor=doing.actor,
        reason=doing.reason,
    )


GOODS: Final[tuple[StaffAct, ...]] = (
    StaffAct(
        name="ship",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Goods were shipped"),
        about=gettext_noop("From here on the sale is not called off: goods are returned."),
        way_back=gettext_noop("It is not undone: goods that do not arrive are returned."),
        fields=lambda shop, found, voice, at: (
            Field(name="reference", label=gettext("Number of the parcel"), kind="text", required=False),
            day_field(at, found),
        ),
        fits=lambda state: sold(state) and state.shipped_on is None,
        do=_ship,
    ),
    StaffAct(
        name="return",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Goods came back"),
        about=gettext_noop(
            "At the price they were bought for. What of it is not paid yet comes off the instalments as the contract agreed; the rest is to be refunded."
        ),
        way_back=gettext_noop("It is not undone: goods that go out again are a new order."),
        fields=lambda shop, found, voice, at: (
            amount_field(0, found, gettext("The price of what came back.")),
            Field(
                name="others",
                label=gettext("Of it goods of other sellers"),
                kind="money",
                required=False,
            ),
            Field(name="reference", label=gettext("Number of the return"), kind="text"),
            day_field(at, found),
        ),
        fits=lambda state: (
            state.confirmed_on is not None
            and state.cancelled_on is None
            and state.lease is None
            and (state.pledge is None or state.pledge.stage == "captured")
        ),
        do=_return,
    ),
    StaffAct(
        name="cancel",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Call the sale off"),
        about=gettext_noop(
            "Before anything was shipped: nothing is owed, and what was paid is to be refunded."
        ),
        way_back=gettext_noop("It is not undone: the customer orders again."),
        fields=no_fields,
        fits=lambda state: (
            state.confirmed_on is not None
            and state.shipped_on is None
            and state.cancelled_on is None
            and state.written_off_on is None
            and state.pledge is None
            and (state.lease is None or state.lease.handed_over_on is None)
        ),
        do=_cancel,
    ),
)
