"""Help: what is given away, and hardship made easier."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.utils.translation import gettext, gettext_noop, pgettext

from fenqi.calendars import add_months, local_date
from fenqi_server.servicing import acts, requests
from fenqi_server.servicing.service import ContractView
from fenqi_server.servicing.staff_acts.act import (
    DESK_ROLES,
    Doing,
    StaffAct,
    late,
    running,
    sold,
    the_amount,
)
from fenqi_server.servicing.staff_acts.form import (
    Field,
    amount_field,
    key_field,
    no_fields,
)
from fenqi_server.servicing.words import part_name
from fenqi_server.storefront.voice import Voice

__all__ = ["RELIEF", "first_day", "interest_choices"]


def _goodwill(doing: Doing) -> requests.Request:
    asked = requests.Concession(
        reference=doing.given["key"], kind="goodwill", reason=doing.reason, amount_minor=doing.given["amount"]
    )
    return requests.concede(doing.shop, doing.contract, asked, doing.at, actor=doing.actor)


def _see_goodwill(doing: Doing) -> object:
    return acts.goodwill(
        doing.shop,
        doing.contract,
        doing.given["key"],
        doing.given["amount"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _waive(doing: Doing) -> requests.Request:
    asked = requests.Concession(
        reference=doing.given["key"],
        kind="waiver",
        reason=doing.reason,
        amount_minor=doing.given["amount"],
        part=doing.given["part"],
    )
    return requests.concede(doing.shop, doing.contract, asked, doing.at, actor=doing.actor)


def _see_waiver(doing: Doing) -> object:
    given = doing.given
    return acts.waive(
        doing.shop,
        doing.contract,
        given["key"],
        given["part"],
        given["amount"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _waivable(found: ContractView, voice: Voice) -> tuple[tuple[str, str], ...]:
    state = found.state
    owed = {
        "penalty": state.penalty_outstanding_minor,
        "fee": state.fee_outstanding_minor,
        "interest": state.interest_outstanding_minor,
        "rent": state.rent_outstanding_minor,
    }
    return tuple(
        (
            part,
            gettext("%(part)s, %(amount)s owed") % {"part": part_name(part), "amount": voice.money(minor)},
        )
        for part, minor in owed.items()
        if minor
    )


def _pause(doing: Doing) -> None:
    acts.pause(
        doing.shop,
        doing.contract,
        doing.given["periods"],
        doing.at,
        interest=doing.given["interest"],
        actor=doing.actor,
        reason=doing.reason,
    )


def _re_age(doing: Doing) -> None:
    acts.re_age(
        doing.shop,
        doing.contract,
        doing.given["periods"],
        doing.given["first_due_on"],
        doing.at,
        actor=doing.actor,
        reason=doing.reason,
    )


def _re_amortise(doing: Doing) -> None:
    acts.re_amortise(doing.shop, doing.contract, doing.at, actor=doing.actor, reason=doing.reason)


def _due_day(doing: Doing) -> None:
    acts.change_due_day(
        doing.shop,
        doing.contract,
        doing.given["day"],
        doing.at,
        from_row=doing.given["from_row"],
        actor=doing.actor,
        reason=doing.reason,
    )


def interest_choices() -> tuple[tuple[str, str], ...]:
    """Whether interest runs while a contract is paused."""
    return (
        ("runs", pgettext("interest during a pause", "it runs as agreed")),
        ("stops", pgettext("interest during a pause", "none runs")),
    )


def first_day(found: ContractView, at: datetime) -> str:
    """A month from now: where a new row may first be due."""
    return add_months(local_date(at, found.terms.zone), 1).isoformat()


RELIEF: Final[tuple[StaffAct, ...]] = (
    StaffAct(
        name="goodwill",
        roles=DESK_ROLES,
        group="help",
        title=gettext_noop("Grant goodwill"),
        about=gettext_noop(
            "The shop takes a part of what is owed on itself: it pays as money would, and is none."
        ),
        way_back=gettext_noop("It is not undone: what was granted was told to the customer."),
        fields=lambda shop, found, voice, at: (amount_field(0, found), key_field(at)),
        fits=running,
        do=_goodwill,
        preview=_see_goodwill,
        stake=the_amount,
    ),
    StaffAct(
        name="waive",
        roles=DESK_ROLES,
        group="help",
        title=gettext_noop("Waive a fee, a penalty or interest"),
        about=gettext_noop("A part of what is owed besides the price is not asked for, the oldest first."),
        way_back=gettext_noop("It is not undone; a fee that is due after all is charged anew."),
        fields=lambda shop, found, voice, at: (
            Field(name="part", label=gettext("What of"), kind="choice", choices=_waivable(found, voice)),
            amount_field(0, found),
            key_field(at),
        ),
        fits=lambda state: (
            running(state)
            and bool(
                state.fee_outstanding_minor
                + state.penalty_outstanding_minor
                + state.interest_outstanding_minor
                + state.rent_outstanding_minor
            )
        ),
        do=_waive,
        preview=_see_waiver,
        stake=the_amount,
    ),
    StaffAct(
        name="pause",
        roles=("supervisor",),
        group="help",
        title=gettext_noop("Pause"),
        about=gettext_noop(
            "Hardship: what falls due later is due so many instalments later still, and nothing is charged for being late meanwhile."
        ),
        way_back=gettext_noop("Customers may pay at any time during a pause; the dates stay moved."),
        fields=lambda shop, found, voice, at: (
            Field(name="periods", label=gettext("For how many instalments"), kind="whole", value="1"),
            Field(
                name="interest",
                label=gettext("Interest meanwhile"),
                kind="choice",
                choices=interest_choices(),
            ),
        ),
        fits=sold,
        do=_pause,
    ),
    StaffAct(
        name="re-age",
        roles=("supervisor",),
        group="help",
        title=gettext_noop("Spread everything over new instalments"),
        about=gettext_noop("Everything that is owed, late or not, is owed in so many new instalments."),
        way_back=gettext_noop("Spread it once more, over other instalments."),
        fields=lambda shop, found, voice, at: (
            Field(name="periods", label=gettext("How many instalments"), kind="whole", value="6"),
            Field(
                name="first_due_on",
                label=gettext("The first is due on"),
                kind="date",
                value=first_day(found, at),
            ),
        ),
        fits=sold,
        do=_re_age,
    ),
    StaffAct(
        name="re-amortise",
        roles=("supervisor",),
        group="help",
        title=gettext_noop("Spread what is late over later instalments"),
        about=gettext_noop("What is past due is owed with the instalments to come, in equal parts."),
        way_back=gettext_noop("Spread everything over new instalments."),
        fields=no_fields,
        fits=late,
        do=_re_amortise,
    ),
    StaffAct(
        name="due-day",
        roles=("support", "supervisor"),
        group="help",
        title=gettext_noop("Move the due day"),
        about=gettext_noop("From an instalment on, each is due on another day of its month."),
        way_back=gettext_noop("Move it back in the same way."),
        fields=lambda shop, found, voice, at: (
            Field(
                name="day",
                label=gettext("Day of the month"),
                kind="whole",
                hint=gettext("31 is the last day of each month."),
            ),
            Field(
                name="from_row",
                label=gettext("From instalment"),
                kind="whole",
                required=False,
                hint=gettext("Left empty: the next one to come."),
            ),
        ),
        fits=sold,
        do=_due_day,
    ),
)
