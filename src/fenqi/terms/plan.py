"""A plan: one way to pay, with one term, as its terms are agreed.

A plan says how many payments there are and how they are priced; applied to an amount on a date it becomes
a schedule (`fenqi.terms.schedule`). Rates are exact decimals; amounts are whole minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Final, Literal, Protocol, get_args

import msgspec

from fenqi.calendars import Holiday, Unit
from fenqi.money import MAX_MINOR, Residue
from fenqi.problems import BadInput, Problem
from fenqi.terms.agreed import ServicingTerms, check_agreed
from fenqi.terms.rent import Lease, Pledge, check_lease, check_pledge, traps_of
from fenqi.texts import Text

__all__ = [
    "PROFILES",
    "Annuity",
    "Authority",
    "Balloon",
    "Bearer",
    "ContingentCost",
    "Conventions",
    "DayCount",
    "DownPayment",
    "EqualPrincipal",
    "Fee",
    "FeeTiming",
    "FlatFee",
    "FlatInterest",
    "Holiday",
    "InterestOnly",
    "LegalForm",
    "Party",
    "PayInFull",
    "Plan",
    "Pricing",
    "TermsError",
    "ZeroInterest",
    "check_own_book",
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

Party = Literal["customer", "shop", "brand", "funder"]
"""Who may bear a charge."""
FeeTiming = Literal["per_period", "first_bill", "up_front", "at_end"]
"""When a fee is charged: spread over the instalments, whole with the first, at the start, or whole with the last."""
DayCount = Literal[
    "period", "30/360", "30/364", "30/365", "30/act", "act/360", "act/364", "act/365", "act/act"
]
"""Days of a month / days of a year, for interest. `period`: a period is its share of a year, whatever its days."""

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
    It is never less than `minimum_minor` in total.
    """

    rate_per_period: Decimal | None = None
    total_rate: Decimal | None = None
    minimum_minor: int = 0
    timing: FeeTiming = "per_period"


class Balloon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is paid back with the last instalment beside it: a share of the amount financed, or an amount (one of them)."""

    share: Decimal | None = None
    amount_minor: int | None = None


class Annuity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="annuity"):
    """Equal instalments; interest on what is still owed, at `annual_rate` (a nominal yearly rate)."""

    annual_rate: Decimal
    balloon: Balloon | None = None


class EqualPrincipal(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="equal_principal"
):
    """The same part of the price with each instalment; interest on what is still owed, so that instalments fall."""

    annual_rate: Decimal
    balloon: Balloon | None = None


class InterestOnly(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="interest_only"
):
    """Each instalment pays the interest alone; the last one pays the price back."""

    annual_rate: Decimal


class FlatInterest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="flat_interest"
):
    """Interest on the amount first financed for the whole term, as if nothing were paid back meanwhile; equal instalments."""

    annual_rate: Decimal


class PayInFull(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pay_in_full"):
    """The whole price at once."""


Pricing = (
    ZeroInterest
    | FlatFee
    | Annuity
    | EqualPrincipal
    | InterestOnly
    | FlatInterest
    | PayInFull
    | Lease
    | Pledge
)


class Fee(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A charge beside the plan's own pricing, such as a guarantor's fee: every one that the customer pays counts.

    Exactly one of `rate_per_period`, `total_rate` (both of the amount financed) and `amount_minor` (in total); never
    less than `minimum_minor` in total.
    """

    code: str
    name: Text
    payee: str
    payee_name: Text | None = None
    rate_per_period: Decimal | None = None
    total_rate: Decimal | None = None
    amount_minor: int | None = None
    minimum_minor: int = 0
    timing: FeeTiming = "per_period"


class Bearer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who bears which share of what the plan's own pricing charges; the shares of all come to 1."""

    party: Party
    share: Decimal


class Conventions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How figures come about where an agreement leaves it to custom.

    `day_count`, `year_split` and `leap_rule` say what share of a year a period is: under act/act a period over New Year is
    cut at 31 December, or at 1 January where the first day counts; under `feb29_period` a year has 366 days only for
    periods (from, due] that hold a 29 February. `digits` bounds the significant decimal digits of intermediate figures
    (None: exact ratios). Instalments are whole multiples of `instalment_multiple_minor`. `smoothing` moves the instalment
    until the last one is close to the others: as long as they are more minor units apart than half the instalments are many,
    and it helps, three times at most. `flat_interest_on`: the amount financed, or the whole price, down payment
    included. `flat_interest_split`: interest worked out period by period, or in total and split evenly.
    """

    profile: str = "fenqi"
    day_count: DayCount = "period"
    year_split: Literal["dec31", "jan1"] = "dec31"
    leap_rule: Literal["actual", "feb29_period"] = "actual"
    rounding: Literal["half_even", "half_up", "up"] = "half_even"
    digits: int | None = None
    instalment_multiple_minor: int = 1
    smoothing: bool = False
    flat_interest_on: Literal["financed", "price"] = "financed"
    flat_interest_split: Literal["by_period", "even"] = "by_period"


PROFILES: Final[Mapping[str, Conventions]] = MappingProxyType(
    {
        "fenqi": Conventions(),
        # Published instalment fees of wallets: one fee in total, principal and fee each split with the remainder first.
        "wallet-fee-split": Conventions(profile="wallet-fee-split"),
        # Apache Fineract's two schedule engines, by their golden tables (tests/vectors/data/servicing.json).
        "fineract-progressive": Conventions(
            profile="fineract-progressive", day_count="act/act", digits=19, smoothing=True
        ),
        "fineract-cumulative": Conventions(
            profile="fineract-cumulative",
            day_count="act/365",
            digits=19,
            flat_interest_on="price",
            flat_interest_split="even",
        ),
    }
)
"""Named bundles of conventions. A plan keeps its conventions by value, so that a bundle may change later."""


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

    `every` units lie between two payments; the first is due after (1 + defer_periods) of these periods. What a deferral
    costs is `deferral_interest`: nothing, or interest that is owed with the rest (`capitalised`) or paid with the first
    instalment (`first_bill`). `due_day`: the day of the month on which instalments fall due (31: the month's last), the
    first one at least `min_first_days` after the start; `odd_first` says whether a first period of another length bears
    interest as a whole one or by its days. `grace_principal` instalments pay interest alone, `grace_interest` ones pay
    no interest yet, `interest_free_periods` ones bear none. Due dates that are no business day of `calendar` move by
    `holiday`.

    `residue` says which instalment takes what does not divide, or spreads it one by one; an annuity's or a flat interest's is always the last.
    `fee_payee` receives the fee (the funder, where it is left out). `bearers` share what the pricing charges (the customer
    bears it all where it is empty); `fees` are charged beside it. `indicative_basis` says on what basis figures of
    `authority="funder"` were worked out. `servicing` is what is agreed for when things go otherwise.
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
    conventions: Conventions = Conventions()
    deferral_interest: Literal["none", "capitalised", "first_bill"] = "none"
    due_day: int | None = None
    min_first_days: int = 0
    odd_first: Literal["whole", "by_days"] = "whole"
    grace_principal: int = 0
    grace_interest: int = 0
    interest_free_periods: int = 0
    holiday: Holiday = "none"
    calendar: str | None = None
    bearers: tuple[Bearer, ...] = ()
    fees: tuple[Fee, ...] = ()
    servicing: ServicingTerms | None = None


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
        wrong("residue", plan.residue, "one of " + ", ".join(get_args(Residue)))
    if not 1 <= plan.periods <= MAX_PERIODS:
        wrong("periods", plan.periods, f"1 to {MAX_PERIODS}")
    if not 1 <= plan.every <= 366:
        wrong("every", plan.every, "1 to 366")
    if not 0 <= plan.defer_periods <= MAX_PERIODS:
        wrong("defer_periods", plan.defer_periods, f"0 to {MAX_PERIODS}")

    per_year = {"day": 365, "week": 52, "half_month": 24, "month": 12}.get(plan.unit, 1)
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
        if not 0 <= pricing.minimum_minor <= MAX_MINOR:
            wrong("pricing.minimum_minor", pricing.minimum_minor, f"0 to {MAX_MINOR}")
        if pricing.timing not in get_args(FeeTiming):
            wrong("pricing.timing", pricing.timing, "one of " + ", ".join(get_args(FeeTiming)))
    elif isinstance(pricing, (Annuity, EqualPrincipal, InterestOnly, FlatInterest)):
        if not _is_rate(pricing.annual_rate):
            wrong(
                "pricing.annual_rate",
                str(pricing.annual_rate),
                _A_RATE,
                "write 7.2 % as 0.072",
            )
    elif isinstance(pricing, (PayInFull, Pledge)):
        if plan.periods != 1:
            wrong("periods", plan.periods, "1, since everything is paid at once")
        if plan.down_payment is not None:
            wrong("down_payment", "given", "none, since everything is paid at once")
        if plan.defer_periods:
            wrong("defer_periods", plan.defer_periods, "0, since everything is paid at once")
        if isinstance(pricing, Pledge):
            found += _within_pricing(check_pledge(pricing))
    elif isinstance(pricing, Lease):
        found += _within_pricing(check_lease(pricing, plan.periods))
        for place, given in (
            ("down_payment", plan.down_payment is not None),
            ("defer_periods", plan.defer_periods > 0),
            ("due_day", plan.due_day is not None),
            ("grace_principal", plan.grace_principal > 0),
            ("grace_interest", plan.grace_interest > 0),
            ("interest_free_periods", plan.interest_free_periods > 0),
            ("bearers", bool(plan.bearers)),
            ("deferral_interest", plan.deferral_interest != "none"),
            ("conventions", plan.conventions != Conventions()),
        ):
            if given:
                wrong(place, "given", "none in a lease: its payments are rents")
    elif pricing.borne_by not in ("shop", "funder"):
        wrong("pricing.borne_by", pricing.borne_by, "shop or funder")
    if plan.legal_form == "full_payment" and not isinstance(pricing, PayInFull):
        wrong("pricing.kind", type(pricing).__name__, "pay_in_full for a full_payment")
    if isinstance(pricing, Lease) and plan.legal_form not in ("operating_lease", "finance_lease"):
        wrong("legal_form", plan.legal_form, "operating_lease or finance_lease, since the pricing is a lease")
    if isinstance(pricing, Pledge) and plan.legal_form != "pledge":
        wrong("legal_form", plan.legal_form, "pledge, since the pricing is one")
    if plan.legal_form == "pledge" and not isinstance(pricing, (Pledge, PayInFull)):
        wrong(
            "pricing.kind",
            type(pricing).__name__,
            "pledge or pay_in_full: before its success a campaign is no ground for credit",
        )

    if not isinstance(pricing, (Lease, Pledge)):
        _check_interest(plan, wrong)
        _check_bearers(plan, wrong)
    _check_dates(plan, wrong)
    _check_fees(plan, wrong)
    _check_conventions(plan.conventions, wrong)

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
    seen = {plan.fee_code, *(fee.code for fee in plan.fees)}
    for number, cost in enumerate(plan.contingent):
        if not cost.code or cost.code in seen:
            wrong(f"contingent[{number}].code", cost.code, "a code that no other cost has")
        seen.add(cost.code)
        if not cost.payee:
            wrong(f"contingent[{number}].payee", cost.payee, "the name of who receives it")
    if plan.servicing is not None:
        said = plan.servicing
        costs = {cost.code for cost in plan.contingent}
        for problem in check_agreed(said.payoff, said.late, said.acceleration, costs):
            wrong(f"servicing.{problem.place}", problem.value, problem.expected, problem.way_out)
    return found


def _within_pricing(problems: Iterable[Problem]) -> list[Problem]:
    return [msgspec.structs.replace(problem, place=f"pricing.{problem.place}") for problem in problems]


_BEARS_INTEREST: Final = (Annuity, EqualPrincipal, InterestOnly, FlatInterest)
_REPAYS: Final = (Annuity, EqualPrincipal, FlatInterest)
"""Pricings that pay the price back all along, so that they can put that off."""


class _Wrong(Protocol):
    def __call__(self, place: str, value: object, expected: str, way_out: str = "") -> None: ...


def _check_interest(plan: Plan, wrong: _Wrong) -> None:
    """What only an interest-bearing pricing has: grace, periods without interest, a balloon, a deferral that costs."""
    pricing, periods = plan.pricing, plan.periods
    bears = isinstance(pricing, _BEARS_INTEREST)
    for place, given, allowed, most in (
        ("grace_principal", plan.grace_principal, isinstance(pricing, _REPAYS), periods - 1),
        ("grace_interest", plan.grace_interest, bears, periods - 1),
        ("interest_free_periods", plan.interest_free_periods, bears, periods),
    ):
        if given and not allowed:
            wrong(
                place, given, f"0, since the pricing is {_kind(pricing)}", "use defer_periods to begin later"
            )
        elif not 0 <= given <= max(most, 0):
            wrong(place, given, f"0 to {max(most, 0)}, of {periods} periods")
    if plan.deferral_interest not in ("none", "capitalised", "first_bill"):
        wrong("deferral_interest", plan.deferral_interest, "none, capitalised or first_bill")
    elif plan.deferral_interest != "none":
        if not bears:
            wrong("deferral_interest", plan.deferral_interest, f"none, since the pricing is {_kind(pricing)}")
        elif not plan.defer_periods:
            wrong(
                "deferral_interest",
                plan.deferral_interest,
                "none, since nothing is deferred",
                "set defer_periods",
            )
    balloon = pricing.balloon if isinstance(pricing, (Annuity, EqualPrincipal)) else None
    if balloon is not None:
        if (balloon.share is None) == (balloon.amount_minor is None):
            wrong("pricing.balloon", "share and amount_minor", "exactly one of the two")
        if balloon.share is not None and not (_is_rate(balloon.share) and 0 < balloon.share < 1):
            wrong("pricing.balloon.share", str(balloon.share), f"more than 0 and less than 1, {_DIGITS}")
        if balloon.amount_minor is not None and not 0 < balloon.amount_minor <= MAX_MINOR:
            wrong("pricing.balloon.amount_minor", balloon.amount_minor, f"1 to {MAX_MINOR}")
        if periods == 1:
            wrong("pricing.balloon", "given", "none, since one payment pays everything back")


def _check_dates(plan: Plan, wrong: _Wrong) -> None:
    at_once = isinstance(plan.pricing, (PayInFull, Pledge))
    if plan.due_day is not None:
        if not 1 <= plan.due_day <= 31:
            wrong("due_day", plan.due_day, "1 to 31 (31 is a month's last day)")
        if plan.unit not in ("month", "half_month"):
            wrong("due_day", plan.due_day, f"none, since periods are {plan.unit}s", "use it with months")
        if at_once:
            wrong("due_day", plan.due_day, "none, since everything is paid at once")
    if not 0 <= plan.min_first_days <= 366:
        wrong("min_first_days", plan.min_first_days, "0 to 366")
    elif plan.min_first_days and plan.due_day is None:
        wrong("min_first_days", plan.min_first_days, "0, since the plan has no due_day", "set due_day")
    if plan.odd_first not in ("whole", "by_days"):
        wrong("odd_first", plan.odd_first, "whole or by_days")
    elif plan.odd_first == "by_days":
        if plan.due_day is None:
            wrong("odd_first", plan.odd_first, "whole, since the plan has no due_day", "set due_day")
        if not isinstance(plan.pricing, _BEARS_INTEREST):
            wrong("odd_first", plan.odd_first, f"whole, since the pricing is {_kind(plan.pricing)}")
    if plan.holiday not in get_args(Holiday):
        wrong("holiday", plan.holiday, "one of " + ", ".join(get_args(Holiday)))
    elif plan.holiday != "none":
        if not plan.calendar:
            wrong(
                "calendar",
                plan.calendar or "missing",
                "the calendar of the business days",
                "name one, such as cn",
            )
        if at_once or isinstance(plan.pricing, Lease):
            wrong("holiday", plan.holiday, f"none, since the pricing is {_kind(plan.pricing)}")
    elif plan.calendar is not None:
        wrong(
            "holiday",
            plan.holiday,
            "where due dates move, since a calendar is given",
            "or leave calendar out",
        )


def _check_bearers(plan: Plan, wrong: _Wrong) -> None:
    bearers = plan.bearers
    if bearers and not isinstance(plan.pricing, (FlatFee, *_BEARS_INTEREST)):
        wrong(
            "bearers",
            "given",
            f"none, since the pricing is {_kind(plan.pricing)} and charges nothing to share",
        )
    for number, bearer in enumerate(bearers):
        if bearer.party not in get_args(Party):
            wrong(f"bearers[{number}].party", bearer.party, "one of " + ", ".join(get_args(Party)))
        if any(bearer.party == other.party for other in bearers[:number]):
            wrong(f"bearers[{number}].party", bearer.party, "a party that does not stand here already")
        if not (_is_rate(bearer.share) and 0 < bearer.share <= 1):
            wrong(f"bearers[{number}].share", str(bearer.share), f"more than 0 and at most 1, {_DIGITS}")
    if bearers and all(_is_rate(bearer.share) for bearer in bearers):
        # Exactly, as ratios: a Decimal's sum is rounded to the context's digits.
        whole = sum(Fraction(bearer.share) for bearer in bearers)
        if whole != 1:
            shown = " + ".join(str(bearer.share) for bearer in bearers)
            wrong(
                "bearers",
                shown,
                "shares that come to exactly 1",
                "write who bears the rest, the customer too",
            )


def _check_fees(plan: Plan, wrong: _Wrong) -> None:
    if plan.fees and isinstance(plan.pricing, PayInFull):
        wrong("fees", "given", "none, since everything is paid at once")
    codes = {plan.fee_code}
    for number, fee in enumerate(plan.fees):
        place = f"fees[{number}]"
        if not fee.code or fee.code in codes:
            wrong(f"{place}.code", fee.code, "a code that no other cost has")
        codes.add(fee.code)
        if not fee.payee:
            wrong(f"{place}.payee", fee.payee, "the name of who receives it")
        given = (fee.rate_per_period, fee.total_rate, fee.amount_minor)
        if sum(each is not None for each in given) != 1:
            wrong(place, "rate_per_period, total_rate and amount_minor", "exactly one of the three")
        for name, rate in (("rate_per_period", fee.rate_per_period), ("total_rate", fee.total_rate)):
            if rate is not None and not _is_rate(rate):
                wrong(f"{place}.{name}", str(rate), _A_RATE, "write 0.6 % as 0.006")
        if fee.amount_minor is not None and not 0 <= fee.amount_minor <= MAX_MINOR:
            wrong(f"{place}.amount_minor", fee.amount_minor, f"0 to {MAX_MINOR}")
        if not 0 <= fee.minimum_minor <= MAX_MINOR:
            wrong(f"{place}.minimum_minor", fee.minimum_minor, f"0 to {MAX_MINOR}")
        elif fee.minimum_minor and fee.amount_minor is not None:
            wrong(f"{place}.minimum_minor", fee.minimum_minor, "0, since the fee is an amount")
        if fee.timing not in get_args(FeeTiming):
            wrong(f"{place}.timing", fee.timing, "one of " + ", ".join(get_args(FeeTiming)))


def _check_conventions(conventions: Conventions, wrong: _Wrong) -> None:
    if not conventions.profile:
        wrong("conventions.profile", conventions.profile, "a name")
    for place, value, words in (
        ("day_count", conventions.day_count, get_args(DayCount)),
        ("year_split", conventions.year_split, ("dec31", "jan1")),
        ("leap_rule", conventions.leap_rule, ("actual", "feb29_period")),
        ("rounding", conventions.rounding, ("half_even", "half_up", "up")),
        ("flat_interest_on", conventions.flat_interest_on, ("financed", "price")),
        ("flat_interest_split", conventions.flat_interest_split, ("by_period", "even")),
    ):
        if value not in words:
            wrong(f"conventions.{place}", value, "one of " + ", ".join(words))
    if conventions.digits is not None and not 6 <= conventions.digits <= 100:
        wrong(
            "conventions.digits", conventions.digits, "6 to 100 significant digits, or none for exact ratios"
        )
    if not 1 <= conventions.instalment_multiple_minor <= MAX_MINOR:
        wrong(
            "conventions.instalment_multiple_minor",
            conventions.instalment_multiple_minor,
            f"1 to {MAX_MINOR}",
        )


def _kind(pricing: Pricing) -> str:
    return str(pricing.__struct_config__.tag)


def check_own_book(plan: Plan) -> list[Problem]:
    """Why a contract of a sound plan cannot be kept in its funder's own book; empty where it can.

    What is owed there is principal, rents and fees, and every fee is the funder's own income. A finance lease gives the goods away
    in the books at its start: those postings are not made here.

    >>> check_own_book(Plan("a", "a", "mall", "loan", 3, FlatFee(Decimal("0.01")), fee_payee="wallet"))[0].place
    'fee_payee'
    """
    found: list[Problem] = []
    if isinstance(plan.pricing, Lease):
        if plan.legal_form == "finance_lease":
            found.append(
                Problem(
                    "legal_form",
                    plan.legal_form,
                    "operating_lease in an own book: what a finance lease books is not kept here",
                    "let a partner keep it, whose own_book is no",
                )
            )
        found += _within_pricing(traps_of(plan.pricing))
    payees = [("fee_payee", plan.fee_payee or plan.funder)]
    payees += [(f"fees[{number}].payee", fee.payee) for number, fee in enumerate(plan.fees)]
    for place, payee in payees:
        if payee != plan.funder:
            expected = (
                f"{plan.funder}, in whose own book the contract is kept: a fee for others is not booked"
            )
            found.append(Problem(place, payee, expected, "let the other party charge it itself"))
    for number, bearer in enumerate(plan.bearers):
        if bearer.party == "brand":
            expected = "customer, shop or funder in an own book: what a brand owes for it is not booked"
            found.append(
                Problem(f"bearers[{number}].party", bearer.party, expected, "give its share to the shop")
            )
    return found


def _is_rate(rate: Decimal) -> bool:
    # More digits than a double holds make an agreed rate doubtful, and integers in an annuity huge.
    if not (rate.is_finite() and 0 <= rate <= _MAX_RATE):
        return False
    _, digits, exponent = rate.as_tuple()
    return len(digits) <= _RATE_DIGITS and isinstance(exponent, int) and exponent >= -_RATE_DIGITS
