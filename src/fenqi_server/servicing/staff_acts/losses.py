"""What is not paid: charged for, called due, written off, recovered."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext, gettext_noop

from fenqi.calendars import local_date
from fenqi.contracts.delinquency import acceleration
from fenqi_server.servicing import acts, requests
from fenqi_server.servicing.outgoing import ChargeAsked
from fenqi_server.servicing.service import ContractView
from fenqi_server.servicing.staff_acts.act import (
    MONEY_ROLES,
    Doing,
    StaffAct,
    asked_or_done,
    late,
    running,
    seen_alone,
    the_amount,
)
from fenqi_server.servicing.staff_acts.form import (
    Field,
    amount_field,
    day_field,
    key_field,
)
from fenqi_server.servicing.words import part_name
from fenqi_server.storefront.voice import Voice

__all__ = ["LOSSES"]


def _charge(doing: Doing) -> ChargeAsked:
    given = doing.given
    part, _, code = given["what"].partition(":")
    return ChargeAsked(
        reference=f"staff:{given['key']}",
        amount_minor=given["amount"],
        reason=doing.reason,
        part=part,  # type: ignore[arg-type]
        code=code,
        due_on=given["due_on"],
    )


def _chargeable(found: ContractView, voice: Voice) -> tuple[tuple[str, str], ...]:
    """What the table of costs named as a cost that may arise; what it charges for being late is a penalty."""
    late = found.terms.late.code if found.terms.late else ""
    return tuple(
        (
            f"{'penalty' if cost.code == late else 'fee'}:{cost.code}",
            f"{part_name('penalty' if cost.code == late else 'fee')} · {voice.text(cost.name)}",
        )
        for cost in found.terms.plan.contingent
    )


def _accelerate(doing: Doing) -> None:
    acts.accelerate(
        doing.shop,
        doing.contract,
        doing.given["demanded_on"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _acceleration_guard(found: ContractView, voice: Voice) -> str:
    """What calling everything due takes, and what of it is there."""
    needed = acceleration(found.terms, found.state)
    said = {
        "needed": voice.money(needed.threshold_minor),
        "there": voice.money(needed.arrears_minor),
        "missing": voice.money(max(0, needed.threshold_minor - needed.arrears_minor)),
        "days": found.terms.acceleration.days_after_demand,
        "basis": found.terms.acceleration.basis,
    }
    if needed.enough:
        return (
            gettext(
                "Arrears of %(needed)s are needed and %(there)s are there: enough. The customer has to have been told to pay them, and "
                "%(days)s days to have gone by (%(basis)s)."
            )
            % said
        )
    return (
        gettext(
            "Arrears of %(needed)s are needed and %(there)s are there: %(missing)s are missing, so it will be refused. After that the "
            "customer has to be told to pay them, and %(days)s days to go by (%(basis)s)."
        )
        % said
    )


def _write_off(doing: Doing) -> requests.Request:
    asked = requests.Concession(reference=doing.given["key"], kind="write_off", reason=doing.reason)
    return requests.concede(doing.shop, doing.contract, asked, doing.at, actor=doing.actor)


def _see_write_off(doing: Doing) -> object:
    return acts.write_off(doing.shop, doing.contract, doing.at, actor=doing.actor, reason=doing.reason)


def _recover(doing: Doing) -> None:
    given = doing.given
    acts.recover(
        doing.shop,
        doing.contract,
        given["reference"],
        given["amount"],
        doing.at,
        cost_minor=given["cost"] or 0,
        on=given["on"],
        actor=doing.actor,
        reason=doing.reason,
    )


LOSSES: Final[tuple[StaffAct, ...]] = (
    StaffAct(
        name="charge",
        roles=MONEY_ROLES,
        group="loss",
        title=gettext_noop("Charge a fee or a penalty"),
        about=gettext_noop(
            "Only what the table of costs named as one that may arise. Penalties stay within the law’s most."
        ),
        way_back=gettext_noop("Waive it."),
        fields=lambda shop, found, voice, at: (
            Field(name="what", label=gettext("What for"), kind="choice", choices=_chargeable(found, voice)),
            amount_field(0, found),
            Field(
                name="due_on",
                label=gettext("Due on"),
                kind="date",
                value=local_date(at, found.terms.zone).isoformat(),
            ),
            key_field(at),
        ),
        fits=running,
        do=lambda doing: asked_or_done(doing, _charge(doing)),
        preview=lambda doing: seen_alone(doing, _charge(doing)),
        stake=the_amount,
    ),
    StaffAct(
        name="accelerate",
        roles=("supervisor",),
        group="loss",
        title=gettext_noop("Call everything due"),
        about=gettext_noop("Everything is owed at once, without the fees of a time that has not come."),
        way_back=gettext_noop("Spread everything over new instalments."),
        fields=lambda shop, found, voice, at: (
            Field(
                name="demanded_on",
                label=gettext("The customer was told to pay on"),
                kind="date",
                hint=gettext("The day on which the demand reached them; keep it in writing."),
            ),
        ),
        fits=late,
        do=_accelerate,
        guard=_acceleration_guard,
    ),
    StaffAct(
        name="write-off",
        roles=MONEY_ROLES,
        group="loss",
        title=gettext_noop("Write off"),
        about=gettext_noop(
            "What is owed is given up in the book. The claim stays, and what still comes is recovered."
        ),
        way_back=gettext_noop("Money that still comes is booked as recovered."),
        fields=lambda shop, found, voice, at: (key_field(at),),
        fits=running,
        do=_write_off,
        preview=_see_write_off,
        stake=lambda found, _given: found.state.balance_minor,
    ),
    StaffAct(
        name="recover",
        roles=MONEY_ROLES,
        group="loss",
        title=gettext_noop("Something was recovered"),
        about=gettext_noop("Money that came of a claim that was written off."),
        way_back=gettext_noop("It is not undone here: a difference is cleared in reconciliation."),
        fields=lambda shop, found, voice, at: (
            amount_field(0, found),
            Field(name="cost", label=gettext("Of it kept for collecting"), kind="money", required=False),
            Field(name="reference", label=gettext("Number of the payment"), kind="text"),
            day_field(at, found),
        ),
        fits=lambda state: state.written_off_on is not None,
        do=_recover,
    ),
)
