"""Rented goods, and pledges: handed over, come back, looked at, captured, released."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.utils.translation import gettext, gettext_noop

from fenqi.contracts.contract import ContractState
from fenqi_server.servicing import leases
from fenqi_server.servicing.staff_acts.act import (
    DESK_ROLES,
    MONEY_ROLES,
    Doing,
    StaffAct,
)
from fenqi_server.servicing.staff_acts.form import (
    Field,
    amount_field,
    day_field,
    key_field,
    no_fields,
)

__all__ = ["RENTALS"]


def _hand_over(doing: Doing) -> None:
    given = doing.given
    leases.hand_over(
        doing.shop,
        doing.contract,
        doing.at,
        cost_minor=given["cost"] or 0,
        residual_minor=given["residual"] or 0,
        on=given["on"],
        actor=doing.actor,
    )


def _take_back(doing: Doing) -> None:
    leases.take_back(doing.shop, doing.contract, doing.at, on=doing.given["on"], actor=doing.actor)


def _inspect(doing: Doing) -> None:
    given = doing.given
    leases.inspect(
        doing.shop,
        doing.contract,
        given["finding"],
        doing.at,
        deduction_minor=given["deduction"] or 0,
        reason=doing.reason if given["deduction"] else "",
        evidence=given["evidence"] or "",
        actor=doing.actor,
    )


def _deposit_pays(doing: Doing) -> None:
    leases.apply_deposit(
        doing.shop,
        doing.contract,
        f"staff:{doing.given['key']}",
        doing.given["amount"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _release_deposit(doing: Doing) -> None:
    leases.release_deposit(doing.shop, doing.contract, doing.at, actor=doing.actor)


def _capture(doing: Doing) -> None:
    given = doing.given
    leases.capture(
        doing.shop, doing.contract, given["reference"], doing.at, on=given["on"], actor=doing.actor
    )


def _release_pledge(doing: Doing) -> None:
    leases.release_pledge(doing.shop, doing.contract, doing.at, reason=doing.reason, actor=doing.actor)


def _rented_out(state: ContractState) -> bool:
    lease = state.lease
    return lease is not None and lease.handed_over_on is not None and lease.ended_on is None


def _awaits(what: str) -> Callable[[ContractState], bool]:
    return lambda state: state.lease is not None and state.lease.awaits == what


RENTALS: Final[tuple[StaffAct, ...]] = (
    StaffAct(
        name="hand-over",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Rented goods were handed over"),
        about=gettext_noop(
            "The lease begins; its deposit is held by then. What the goods cost is what they lose value from."
        ),
        way_back=gettext_noop("It is not undone: the goods come back."),
        fields=lambda shop, found, voice, at: (
            Field(name="cost", label=gettext("What the goods cost the shop"), kind="money", required=False),
            Field(
                name="residual", label=gettext("What they are worth at the end"), kind="money", required=False
            ),
            day_field(at, found),
        ),
        fits=_awaits("hand_over"),
        do=_hand_over,
    ),
    StaffAct(
        name="take-back",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Rented goods came back"),
        about=gettext_noop("The lease ends. Where a deposit is held, the goods are looked at next."),
        way_back=gettext_noop("It is not undone: goods that go out again are a new lease."),
        fields=lambda shop, found, voice, at: (day_field(at, found),),
        fits=_rented_out,
        do=_take_back,
    ),
    StaffAct(
        name="inspect",
        roles=MONEY_ROLES,
        group="goods",
        title=gettext_noop("Say what was found"),
        about=gettext_noop(
            "What the goods look like. Something is kept of the deposit only for a reason, with what shows it."
        ),
        way_back=gettext_noop("It is not undone: what was kept too much is granted as goodwill or refunded."),
        fields=lambda shop, found, voice, at: (
            Field(name="finding", label=gettext("What was found"), kind="text"),
            Field(name="deduction", label=gettext("Kept of the deposit"), kind="money", required=False),
            Field(
                name="evidence",
                label=gettext("What shows it"),
                kind="text",
                required=False,
                hint=gettext("The number of a photo or a report; needed where something is kept."),
            ),
        ),
        fits=_awaits("inspection"),
        do=_inspect,
    ),
    StaffAct(
        name="deposit-pays",
        roles=MONEY_ROLES,
        group="goods",
        title=gettext_noop("Let the deposit pay rents"),
        about=gettext_noop("Rents that are due, where the plan says that the deposit covers them."),
        way_back=gettext_noop("It is not undone: the customer fills the deposit up by paying."),
        fields=lambda shop, found, voice, at: (amount_field(found.state.overdue_minor, found), key_field(at)),
        fits=lambda state: (
            state.lease is not None and state.lease.deposit_held_minor > 0 and state.overdue_minor > 0
        ),
        do=_deposit_pays,
    ),
    StaffAct(
        name="deposit-release",
        roles=MONEY_ROLES,
        group="goods",
        title=gettext_noop("Release the deposit"),
        about=gettext_noop(
            "What is left of it is the customer’s again: cash is to be refunded, what was frozen is set free."
        ),
        way_back=gettext_noop("It is not undone."),
        fields=no_fields,
        fits=_awaits("deposit_release"),
        do=_release_deposit,
    ),
    StaffAct(
        name="capture",
        roles=MONEY_ROLES,
        group="goods",
        title=gettext_noop("Capture the pledge"),
        about=gettext_noop("The campaign succeeded: what was pledged is taken, and owed and paid with it."),
        way_back=gettext_noop("Goods that are not delivered are returned and refunded."),
        fields=lambda shop, found, voice, at: (
            Field(name="reference", label=gettext("Number of the payment"), kind="text"),
            day_field(at, found),
        ),
        fits=lambda state: state.pledge is not None and state.pledge.stage == "pledged",
        do=_capture,
    ),
    StaffAct(
        name="pledge-release",
        roles=DESK_ROLES,
        group="goods",
        title=gettext_noop("Release the pledge"),
        about=gettext_noop(
            "The campaign did not succeed, or the customer steps back: nothing is taken, and nothing was ever owed."
        ),
        way_back=gettext_noop("It is not undone: the customer pledges again."),
        fields=no_fields,
        fits=lambda state: state.pledge is not None and state.pledge.stage in ("agreed", "pledged"),
        do=_release_pledge,
    ),
)
