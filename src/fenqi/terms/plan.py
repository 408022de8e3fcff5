"""A plan: one way to pay, with one term, as its terms are agreed.

A plan says how many payments there are and how they are priced; applied to an amount on a date it becomes
a schedule (`fenqi.terms.schedule`). Rates are exact decimals; amounts are whole minor units.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, get_args

import msgspec

from fenqi.calendars import Unit
from fenqi.money import MAX_MINOR, Residue
from fenqi.problems import BadInput, Problem
from fenqi.texts import Text

__all__ = [
    "Annuity",
    "Authority",
    "ContingentCost",
    "DownPayment",
    "FlatFee",
    "LegalForm",
    "PayInFull",
    "Plan",
    "Pricing",
    "TermsError",
    "ZeroInterest",
    "check_plan",
]

LegalForm = Literal[
    "loan",
    "card_instalment",
    "instalment_sale",
    "operating_lease",
    "finance_lease",
    "pledge",
    "full_payment",
]
Authority = Literal["shop", "funder"]
"""Whose figures are binding. A funder's figures are indicative here, and say on what basis."""

MAX_PERIODS: Final = 600
_MAX_RATE: Final = Decimal(100)
_RATE_DIGITS: Final = 18
_DIGITS: Final = f"with at most {_RATE_DIGITS} digits and decimals"
_A_RATE: Final = f"a rate from 0 to {_MAX_RATE}, {_DIGITS}"
_MAX_YEARS: Final = 100


class TermsError(BadInput):
    """Terms that make no sense, or that cannot be applied to the amount given."""


class ZeroInterest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="zero_interest"
):
    """The customer pays the price in parts and nothing else; somebody else bears the cost."""

    borne_by: Literal["shop", "funder"]


class FlatFee(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="flat_fee"):
    """A fee on the amount first financed: a rate for each period, or one in total (exactly one of them).

    12 x 0.6 % of ¥6,000 is ¥432; as money is paid back all along, that is 13.03 % a year, not 7.2 %.
    """

    rate_per_period: Decimal | None = None
    total_rate: Decimal | None = None


class Annuity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="annuity"):
    """Equal instalments; interest on what is still owed, at `annual_rate` (a nominal yearly rate)."""

    annual_rate: Decimal


class PayInFull(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pay_in_full"):
    """The whole price at once."""


Pricing = ZeroInterest | FlatFee | Annuity | PayInFull


class DownPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is paid at the start, as a share of the price or as an amount (exactly one of them)."""

    share: Decimal | None = None
    amount_minor: int | None = None


class ContingentCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cost that arises only if something goes otherwise than agreed, such as late interest."""

    code: str
    name: Text
    basis: Text
    payee: str


class Plan(msgspec.Struct, frozen=True):
    """One way to pay with one term. `family` groups the terms of one way; `funder` puts up the money.

    `every` units lie between two payments; the first is due after (1 + defer_periods) of these periods.
    A deferral is free of interest. `residue` says which instalment takes what does not divide; an annuity's is
    always the last. `fee_payee` receives the fee (the funder, where it is left out).
    `indicative_basis` says on what basis figures of `authority="funder"` were worked out.
    """

    id: str
    family: str
    funder: str
    legal_form: LegalForm
    periods: int
    pricing: Pricing
    unit: Unit = "month"
    every: int = 1
    down_payment: DownPayment | None = None
    defer_periods: int = 0
    authority: Authority = "shop"
    residue: Residue = "first"
    fee_code: str = "instalment_fee"
    fee_payee: str | None = None
    contingent: tuple[ContingentCost, ...] = ()
    indicative_basis: Text | None = None


def check_plan(plan: Plan) -> list[Problem]:
    """Everything wrong with a plan's terms; an empty list means that schedules can be built from it.

    >>> check_plan(Plan("a", "a", "shop", "instalment_sale", 0, FlatFee(total_rate=Decimal("0.05"))))[0].place
    'periods'
    """
    found: list[Problem] = []

    def wrong(place: str, value: object, expected: str, way_out: str = "") -> None:
        shown = value if isinstance(value, str) and value else repr(value)
        found.append(Problem(place, shown, expected, way_out))

    for place, name in (
        ("id", plan.id),
        ("family", plan.family),
        ("funder", plan.funder),
        ("fee_code", plan.fee_code),
    ):
        if not name:
            wrong(place, name, "a name")
    if plan.fee_payee == "":
        wrong("fee_payee", plan.fee_payee, "a name, or nothing where the funder receives the fee")
    if plan.legal_form not in get_args(LegalForm):
        wrong("legal_form", plan.legal_form, "one of " + ", ".join(get_args(LegalForm)))
    if plan.unit not in get_args(Unit):
        wrong("unit", plan.unit, "one of " + ", ".join(get_args(Unit)))
    if plan.residue not in get_args(Residue):
        wrong("residue", plan.residue, "first or last")
    if not 1 <= plan.periods <= MAX_PERIODS:
        wrong("periods", plan.periods, f"1 to {MAX_PERIODS}")
    if not 1 <= plan.every <= 366:
        wrong("every", plan.every, "1 to 366")
    if not 0 <= plan.defer_periods <= MAX_PERIODS:
        wrong("defer_periods", plan.defer_periods, f"0 to {MAX_PERIODS}")

    per_year = {"day": 365, "week": 52, "month": 12}.get(plan.unit, 1)
    if not found and plan.every * (plan.periods + plan.defer_periods) > _MAX_YEARS * per_year:
        length = f"{plan.periods + plan.defer_periods} periods of {plan.every} {plan.unit}s"
        wrong("periods", length, f"at most {_MAX_YEARS} years until the last payment")

    pricing = plan.pricing
    if isinstance(pricing, FlatFee):
        if (pricing.rate_per_period is None) == (pricing.total_rate is None):
            wrong(
                "pricing",
                "rate_per_period and total_rate",
                "exactly one of the two",
                "keep the one that the agreement states",
            )
        for place, rate in (
            ("pricing.rate_per_period", pricing.rate_per_period),
            ("pricing.total_rate", pricing.total_rate),
        ):
            if rate is not None and not _is_rate(rate):
                wrong(place, str(rate), _A_RATE, "write 0.6 % as 0.006")
    elif isinstance(pricing, Annuity):
        if not _is_rate(pricing.annual_rate):
            wrong(
                "pricing.annual_rate",
                str(pricing.annual_rate),
                _A_RATE,
                "write 7.2 % as 0.072",
            )
    elif isinstance(pricing, PayInFull):
        if plan.periods != 1:
            wrong("periods", plan.periods, "1, since everything is paid at once")
        if plan.down_payment is not None:
            wrong("down_payment", "given", "none, since everything is paid at once")
        if plan.defer_periods:
            wrong("defer_periods", plan.defer_periods, "0, since everything is paid at once")
    elif pricing.borne_by not in ("shop", "funder"):
        wrong("pricing.borne_by", pricing.borne_by, "shop or funder")
    if plan.legal_form == "full_payment" and not isinstance(pricing, PayInFull):
        wrong("pricing.kind", type(pricing).__name__, "pay_in_full for a full_payment")

    down = plan.down_payment
    if down is not None:
        if (down.share is None) == (down.amount_minor is None):
            wrong("down_payment", "share and amount_minor", "exactly one of the two")
        if down.share is not None and not (_is_rate(down.share) and 0 < down.share < 1):
            wrong("down_payment.share", str(down.share), f"more than 0 and less than 1, {_DIGITS}")
        if down.amount_minor is not None and not 0 < down.amount_minor <= MAX_MINOR:
            wrong("down_payment.amount_minor", down.amount_minor, f"1 to {MAX_MINOR}")

    if plan.authority not in get_args(Authority):
        wrong("authority", plan.authority, "shop or funder")
    elif plan.authority == "funder" and plan.indicative_basis is None:
        wrong(
            "indicative_basis",
            "missing",
            "a text, since a funder's figures are indicative",
            "say from what they were worked out, in both languages",
        )
    seen: set[str] = set()
    for number, cost in enumerate(plan.contingent):
        if not cost.code or cost.code in seen or cost.code == plan.fee_code:
            wrong(f"contingent[{number}].code", cost.code, "a code that no other cost has")
        seen.add(cost.code)
        if not cost.payee:
            wrong(f"contingent[{number}].payee", cost.payee, "the name of who receives it")
    return found


def _is_rate(rate: Decimal) -> bool:
    # More digits than a double holds make an agreed rate doubtful, and integers in an annuity huge.
    if not (rate.is_finite() and 0 <= rate <= _MAX_RATE):
        return False
    _, digits, exponent = rate.as_tuple()
    return len(digits) <= _RATE_DIGITS and isinstance(exponent, int) and exponent >= -_RATE_DIGITS
