"""The table of all costs (综合融资成本明示表): what a customer is shown before agreeing, as a value.

It lists each cost with how and by what standard it is charged, its yearly level and who receives it; the
total; and, apart from these, what would be charged only if something went otherwise than agreed. Nothing
may ever be booked that is not in it. Its digest names it: the same table always has the same name.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from typing import Final

import msgspec

from fenqi.terms.cost import Cost
from fenqi.terms.plan import (
    Annuity,
    Authority,
    ContingentCost,
    EqualPrincipal,
    FlatFee,
    FlatInterest,
    InterestOnly,
    PayInFull,
    Plan,
)
from fenqi.terms.schedule import Schedule
from fenqi.texts import Text

__all__ = [
    "TABLE_VERSION",
    "DisclosedCost",
    "Disclosure",
    "DisclosureItem",
    "digest",
    "disclose",
    "percent",
]

TABLE_VERSION: Final = "cn-2026-08@1"
"""The layout of the table: the mainland's, in force since 2026-08-01."""


class DisclosureItem(msgspec.Struct, frozen=True):
    """One cost of a plan kept as agreed: what, when (收取方式), by what standard (收取标准), how much a year
    (年化水平), to whom (收取主体: `payee` the party's id, `payee_name` for people).

    An interest-free plan has its item too, of 0: it says who bears the cost.
    """

    code: str
    name: Text
    timing: Text
    basis: Text
    amount_minor: int
    annual_rate_e12: int | None
    payee: str
    payee_name: Text


class DisclosedCost(msgspec.Struct, frozen=True):
    """The yearly cost as it is shown: simple, by the method and under the label given; compounded beside it.

    `shown_percent` is the simple rate rounded half up to two decimals, for display alone: a ceiling is held
    against `simple_e12`. None, with a reason in `undefined`, where there is no such rate.
    """

    simple_e12: int | None
    compounded_e12: int | None
    method: str
    label: Text
    shown_percent: str | None
    compounded_label: Text
    shown_compounded_percent: str | None
    undefined: str | None = None


class Disclosure(msgspec.Struct, frozen=True):
    """The table. `principal_minor` is the amount financed; total repayment = principal + total cost."""

    table_version: str
    plan_id: str
    legal_form: str
    funder: str
    funder_name: Text
    authority: Authority
    currency: str
    principal_minor: int
    down_payment_minor: int
    periods: int
    items: tuple[DisclosureItem, ...]
    total_cost_minor: int
    total_repayment_minor: int
    annual_cost: DisclosedCost
    contingent: tuple[ContingentCost, ...]
    nothing_else: Text
    indicative_basis: Text | None = None


def disclose(plan: Plan, schedule: Schedule, cost: Cost, funder_name: Text) -> Disclosure:
    """The table for a plan applied to an amount, from its schedule and cost.

    >>> from datetime import date
    >>> from fenqi.terms.cost import cost_of
    >>> from fenqi.terms.schedule import build_schedule
    >>> plan = Plan("mall-12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")))
    >>> bill = build_schedule(plan, 600_000, "CNY", date(2026, 11, 23))
    >>> table = disclose(plan, bill, cost_of(bill, plan), Text("商城", "The mall"))
    >>> table.annual_cost.shown_percent, table.items[0].basis.en
    ('13.03', '0.6% of the amount financed for each period')
    """
    words = _wording(plan)
    items: tuple[DisclosureItem, ...] = ()
    if words.name is not None:
        item = DisclosureItem(
            plan.fee_code,
            words.name,
            words.timing,
            words.basis,
            cost.fee_minor,
            cost.simple_e12 if words.rate_e12 is None else words.rate_e12,
            words.payee,
            funder_name if words.payee == plan.funder else words.payee_name,
        )
        items = (item,)
    simple, compounded = cost.simple_e12, cost.compounded_e12
    return Disclosure(
        TABLE_VERSION,
        plan.id,
        plan.legal_form,
        plan.funder,
        funder_name,
        plan.authority,
        schedule.currency,
        schedule.financed_minor,
        schedule.down_payment_minor,
        plan.periods,
        items,
        cost.fee_minor,
        schedule.financed_minor + cost.fee_minor,
        DisclosedCost(
            simple,
            compounded,
            cost.method,
            _SIMPLE_LABEL,
            None if simple is None else percent(simple),
            _COMPOUNDED_LABEL,
            None if compounded is None else percent(compounded),
            cost.undefined,
        ),
        plan.contingent,
        words.nothing_else,
        plan.indicative_basis,
    )


def digest(disclosure: Disclosure) -> str:
    """The table's name: SHA-256 over its canonical encoding (compact JSON, fields in the struct's order)."""
    return "sha256:" + sha256(msgspec.json.encode(disclosure, order="deterministic")).hexdigest()


def percent(rate_e12: int, places: int = 2) -> str:
    """A rate in 1e-12 as a percentage without its sign, rounded half up (away from zero), for display.

    >>> percent(130_342_242_811), percent(30_550_000_000, 1), percent(-18_513_945_654)
    ('13.03', '3.1', '-1.85')
    """
    if not 0 <= places <= 10:
        raise ValueError(f"places is {places}: expected 0 to 10")
    unit = 10 ** (10 - places)
    shown = (abs(rate_e12) * 2 + unit) // (2 * unit)
    sign = "-" if rate_e12 < 0 and shown else ""
    if places == 0:
        return f"{sign}{shown}"
    whole, part = divmod(shown, 10**places)
    return f"{sign}{whole}.{part:0{places}d}"


_SIMPLE_LABEL: Final = Text("年化综合融资成本（IRR，单利）", "Annual cost (IRR x 12, simple)")
_COMPOUNDED_LABEL: Final = Text("年化综合融资成本（IRR，复利）", "Annual cost (IRR, compounded)")

_NOTHING_ELSE: Final = Text(
    "除上表所列费用外，不收取任何其他费用。", "Nothing but what is listed here will be charged."
)
_NOTHING_ELSE_CONTINGENT: Final = Text(
    "按约还款时，除上表所列费用外，不收取任何其他费用；仅在所列情形发生时，才收取对应的或有费用。",
    "If you pay as agreed, nothing but what is listed here will be charged; a contingent cost arises only in the "
    "case that it names.",
)

_INTEREST: Final = Text("利息", "Interest")
_INSTALMENT_INTEREST: Final = Text("分期利息", "Instalment interest")
_INSTALMENT_FEE: Final = Text("分期手续费", "Instalment fee")
_RENT: Final = Text("租金附加费", "Rental charge")
_EACH_PERIOD: Final = Text("随每期应还款一并收取", "with each instalment")
_NOT_CHARGED: Final = Text("不向您收取", "not charged to you")
_NONE: Final = Text("", "")
_BORNE_BY_SHOP: Final = Text("由商家承担，您无需支付", "borne by the shop; you pay nothing")
_BORNE_BY_FUNDER: Final = Text("由资方承担，您无需支付", "borne by the funder; you pay nothing")


class _Wording(msgspec.Struct, frozen=True):
    """What the table says of a plan whatever the amount. `name` is None where there is no cost to list."""

    plan: Plan
    name: Text | None
    timing: Text
    basis: Text
    rate_e12: int | None
    payee: str
    payee_name: Text
    nothing_else: Text


# Keyed by identity, as in fenqi.terms.schedule; the entry holds its plan, so that the id stays its own.
_WORDINGS: Final[dict[int, _Wording]] = {}
_WORDINGS_LIMIT: Final = 4096


def _wording(plan: Plan) -> _Wording:
    known = _WORDINGS.get(id(plan))
    if known is not None and known.plan is plan:
        return known
    words = _words_of(plan)
    if len(_WORDINGS) >= _WORDINGS_LIMIT:
        _WORDINGS.clear()
    _WORDINGS[id(plan)] = words
    return words


def _words_of(plan: Plan) -> _Wording:
    payee = plan.fee_payee or plan.funder
    nothing_else = _NOTHING_ELSE_CONTINGENT if plan.contingent else _NOTHING_ELSE
    name: Text | None = _cost_name(plan)
    timing, basis, rate_e12 = _EACH_PERIOD, _NONE, None
    pricing = plan.pricing
    if isinstance(pricing, PayInFull):
        name, timing = None, _NONE
    elif isinstance(pricing, FlatFee):
        if pricing.rate_per_period is not None:
            rate = _exactly(pricing.rate_per_period)
            basis = Text(f"按分期本金每期{rate}收取", f"{rate} of the amount financed for each period")
        else:
            rate = _exactly(pricing.total_rate or Decimal(0))
            basis = Text(
                f"按分期本金共{rate}收取，分{plan.periods}期",
                f"{rate} of the amount financed in total, over {plan.periods} instalments",
            )
    elif isinstance(pricing, FlatInterest):
        rate = _exactly(pricing.annual_rate)
        basis = Text(
            f"按分期本金全程计息，年利率{rate}", f"{rate} a year on the amount financed, for the whole term"
        )
    elif isinstance(pricing, (Annuity, EqualPrincipal, InterestOnly)):
        rate = _exactly(pricing.annual_rate)
        basis = Text(f"按剩余本金计息，年利率{rate}", f"{rate} a year on what is still owed")
        # The rate agreed, not the one that whole fen come to.
        rate_e12 = int((pricing.annual_rate * 10**12).to_integral_value())
    else:
        timing = _NOT_CHARGED
        basis = _BORNE_BY_SHOP if pricing.borne_by == "shop" else _BORNE_BY_FUNDER
        rate_e12 = 0
    return _Wording(plan, name, timing, basis, rate_e12, payee, Text(payee, payee), nothing_else)


def _exactly(rate: Decimal) -> str:
    """An agreed rate as a percentage with every digit that it was agreed with."""
    return f"{(rate * 100).normalize():f}%"


def _cost_name(plan: Plan) -> Text:
    if plan.legal_form == "card_instalment":
        return _INSTALMENT_INTEREST  # since 2022 a card's instalments are to be expressed as interest (银保监规〔2022〕13号)
    if plan.legal_form == "loan" or isinstance(
        plan.pricing, (Annuity, EqualPrincipal, InterestOnly, FlatInterest)
    ):
        return _INTEREST
    if plan.legal_form in ("operating_lease", "finance_lease"):
        return _RENT
    return _INSTALMENT_FEE
