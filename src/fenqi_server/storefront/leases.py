"""A lease in words: its rents, what becomes of the deposit, what happens at the end, and the sheet to read before renting.

The figures and sentences are the engine's (`fenqi.terms.lease_sheet`); here they find their place on the page.
"""

from __future__ import annotations

from typing import Final

import msgspec
from django.utils.translation import gettext

from fenqi.checkout.evaluation import Option
from fenqi.checkout.leases import sheet_of
from fenqi.policy.compile import Policy
from fenqi.policy.reasons import reason_texts
from fenqi.policy.verdict import Verdict, for_customer
from fenqi.terms.cost import Cost
from fenqi.terms.lease_sheet import sheet_digest
from fenqi.terms.plan import Plan
from fenqi.terms.rent import LeaseFigures
from fenqi.terms.schedule import Schedule
from fenqi_server.storefront.voice import Voice

__all__ = ["LeaseView", "PointView", "deposit_text", "end_text", "lease_view", "rents_text", "sums_text"]


class PointView(msgspec.Struct, frozen=True):
    """One thing to know; `warns` where it is to the customer's cost."""

    code: str
    title: str
    says: str
    warns: bool


class LeaseView(msgspec.Struct, frozen=True):
    """The sheet of a lease, under its name."""

    points: tuple[PointView, ...]
    digest: str


def lease_view(policy: Policy, plan: Plan, schedule: Schedule, cost: Cost, voice: Voice) -> LeaseView | None:
    """The sheet of an offer; None where it is no lease."""
    if schedule.lease is None:
        return None
    sheet = sheet_of(policy, plan, schedule, cost)
    return LeaseView(
        tuple(
            PointView(point.code, voice.text(point.title), voice.text(point.says), point.warns)
            for point in sheet.points
        ),
        sheet_digest(sheet),
    )


def rents_text(plan: Plan, figures: LeaseFigures, voice: Voice) -> str:
    """ "¥499.00 a month × 12"."""
    amount, n = voice.money(figures.rent_minor), figures.rents
    unit = {
        ("day", 1): gettext("%(amount)s a day × %(n)s"),
        ("week", 1): gettext("%(amount)s a week × %(n)s"),
        ("half_month", 1): gettext("%(amount)s each half month × %(n)s"),
        ("month", 1): gettext("%(amount)s a month × %(n)s"),
        ("month", 12): gettext("%(amount)s a year × %(n)s"),
    }.get((plan.unit, plan.every), gettext("%(amount)s × %(n)s"))
    return unit % {"amount": amount, "n": n}


def sums_text(figures: LeaseFigures, fee_minor: int, voice: Voice) -> str:
    """What it comes to against the price, or that nothing is owned."""
    if not figures.owns:
        return gettext("rent only, not yours")
    if fee_minor > 0:
        return gettext("%(amount)s above the price") % {"amount": voice.money(fee_minor)}
    if fee_minor < 0:
        return gettext("%(amount)s below the price") % {"amount": voice.money(-fee_minor)}
    return gettext("the price and no more")


def end_text(figures: LeaseFigures, voice: Voice) -> str:
    """What happens when the term is over."""
    if not figures.owns:
        return gettext("At the end, on %(day)s: it goes back.") % {"day": voice.day(figures.ends_on)}
    if not figures.buyout_minor:
        return gettext("At the end, on %(day)s: it is yours.") % {"day": voice.day(figures.ends_on)}
    return gettext("At the end, on %(day)s: yours for %(buyout)s more, or it goes back.") % {
        "day": voice.day(figures.ends_on),
        "buyout": voice.money(figures.buyout_minor),
    }


def deposit_text(policy: Policy, option: Option, voice: Voice) -> tuple[str, str]:
    """The deposit, and why it is asked for where it might not be; both empty where there is none."""
    figures = option.schedule.lease if option.schedule is not None else None
    if figures is None or figures.deposit_form is None:
        return "", ""
    if figures.deposit_form == "waived":
        return gettext("Deposit of %(amount)s waived") % {"amount": voice.money(figures.waived_minor)}, ""
    text = _fates()[figures.deposit_form == "frozen", _fate(figures)]
    return text % {"amount": voice.money(figures.deposit_minor)}, _why(policy, option.deposit_verdict, voice)


def _fate(figures: LeaseFigures) -> str:
    if figures.lost_minor:
        return "lost"
    if figures.credited_minor:
        return "shared" if figures.returned_minor else "credited"
    return "returned"


def _fates() -> dict[tuple[bool, str], str]:
    """What becomes of a deposit, paid or frozen, each in a sentence of its own."""
    return {
        (False, "lost"): gettext("Deposit %(amount)s now; it is not given back"),
        (False, "shared"): gettext("Deposit %(amount)s now; part of it pays the buyout, the rest comes back"),
        (False, "credited"): gettext("Deposit %(amount)s now; it pays part of the buyout"),
        (False, "returned"): gettext("Deposit %(amount)s now; it comes back at the end"),
        (True, "lost"): gettext("Deposit %(amount)s frozen, and taken at the end"),
        (True, "shared"): gettext(
            "Deposit %(amount)s frozen, not paid; part of it pays the buyout, the rest is released"
        ),
        (True, "credited"): gettext("Deposit %(amount)s frozen, not paid; it pays part of the buyout"),
        (True, "returned"): gettext("Deposit %(amount)s frozen, not paid; released at the end"),
    }


_ON_ITS_PAGE: Final = "funder_decides"


def _why(policy: Policy, verdict: Verdict | None, voice: Voice) -> str:
    if verdict is None or policy.waivers is None:
        return ""
    if verdict.state == _ON_ITS_PAGE:
        return gettext("It may be waived on the funder’s page.")
    said = [
        reason_texts(policy.waivers, for_customer(reason), "customer", voice.locale, year=voice.year).detail
        for reason in verdict.reasons
    ]
    return " ".join(dict.fromkeys(said))
