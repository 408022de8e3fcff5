"""The table of all costs (综合融资成本明示表): what a customer is shown before agreeing, as a value.

It lists each cost with how (收取方式) and by what standard (收取标准) it is charged, its yearly level (年化水平) and who
receives it (收取主体); the total; and, apart from these and in none of the figures, what would be charged only if something
went otherwise than agreed. Nothing may ever be booked that is not in it. Its digest names it: the same table always has
the same name, and a table that was stored keeps the name that it was stored under.

The layout follows 金规〔2026〕2号 (in force 2026-08-01) as far as it is known: its official form was not read (unconfirmed);
the fields are those in which a large wallet passes it on (`loan_cost_fields`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

import msgspec

from fenqi.money import format_money
from fenqi.terms.cost import COMPOUNDED, SUM_OF_ITEMS, Cost, cost_of
from fenqi.terms.lease import RETURN_SHIPPING
from fenqi.terms.plan import (
    Annuity,
    Authority,
    ContingentCost,
    EqualPrincipal,
    Fee,
    FeeTiming,
    FlatFee,
    FlatInterest,
    InterestOnly,
    Party,
    PayInFull,
    Plan,
    TermsError,
)
from fenqi.terms.rent import Lease, Pledge
from fenqi.terms.schedule import Charge, Schedule
from fenqi.texts import Text

__all__ = [
    "FIRST_VERSION",
    "MANNER",
    "MAX_READING_SECONDS",
    "READING_SECONDS",
    "SUM_OF_ITEMS",
    "TABLE_VERSION",
    "ContingentItem",
    "ContingentKind",
    "DisclosedCost",
    "DisclosedRate",
    "Disclosure",
    "DisclosureItem",
    "ItemKind",
    "Manner",
    "ShownCost",
    "digest",
    "disclose",
    "loan_cost_fields",
    "percent",
    "rates_of",
]

TABLE_VERSION: Final = "cn-2026-08@2"
"""The layout of the table that is made now."""
FIRST_VERSION: Final = "cn-2026-08@1"
"""The layout of tables made before; they are read, shown and named as they were."""

READING_SECONDS: Final = 10
"""How long a table is read at least before it can be agreed to, where a shop does not say otherwise (unconfirmed: the rule
asks for a forced reading time, and no number of seconds was found)."""
MAX_READING_SECONDS: Final = 600

ShownCost = Literal["simple", "compounded", "sum_of_items"]
"""Which of the yearly figures stands at the head of the table. All of them are in it, each with its label."""
ItemKind = Literal["", "interest", "instalment_fee", "guarantee_fee", "rent", "other_fee"]
"""What a cost is, in the table's terms; "" in tables of the first layout, which did not say."""
ContingentKind = Literal[
    "", "overdue_penalty_interest", "misuse_penalty_interest", "prepayment_charge", "other"
]


_PAID_AT_ONCE: Final = frozenset({"full_payment", "pledge"})


class Manner(msgspec.Struct, frozen=True):
    """How a shop and its funder disclose: seconds of reading, which yearly figure leads, and the ceiling of the yearly
    cost that the funder's agreement states (a ratio; None where it states none)."""

    reading_seconds: int = READING_SECONDS
    shown: ShownCost = "simple"
    ceiling: Decimal | None = None


MANNER: Final = Manner()


class DisclosureItem(msgspec.Struct, frozen=True):
    """One cost of a plan kept as agreed: what, when (收取方式), by what standard (收取标准), how much a year
    (年化水平, `annual_rate_e12`: agreed, or by the method `rate_method` for this cost alone), to whom (收取主体: `payee` the
    party's id, `payee_name` for people).

    An interest-free plan has its item too, of 0: it says who bears the cost. `repay_mode` is how it is paid back
    (还款方式), `rate_type` whether its rate is fixed (利率类型).
    """

    code: str
    name: Text
    timing: Text
    basis: Text
    amount_minor: int
    annual_rate_e12: int | None
    payee: str
    payee_name: Text
    kind: ItemKind = ""
    rate_type: Text | None = None
    repay_mode: Text | None = None
    rate_method: str = ""
    phase: Literal["normal"] = "normal"


class ContingentItem(msgspec.Struct, frozen=True):
    """A cost that arises only in the case that it names. It is in no figure of the table."""

    code: str
    name: Text
    basis: Text
    payee: str
    payee_name: Text | None = None
    kind: ContingentKind = ""
    phase: Literal["contingent"] = "contingent"


class DisclosedCost(msgspec.Struct, frozen=True):
    """The yearly cost by every method, each with its label; `shown` says which of them leads.

    `shown_percent`, `shown_compounded_percent` and `shown_sum_percent` are rounded half up to two decimals, for display
    alone: a ceiling is held against the `..._e12`. None, with a reason in `undefined`, where there is no such rate.
    """

    simple_e12: int | None
    compounded_e12: int | None
    method: str
    label: Text
    shown_percent: str | None
    compounded_label: Text
    shown_compounded_percent: str | None
    undefined: str | None = None
    compounded_method: str = COMPOUNDED
    sum_of_items_e12: int | None = None
    sum_method: str = ""
    sum_label: Text | None = None
    shown_sum_percent: str | None = None
    shown: ShownCost = "simple"


class DisclosedRate(msgspec.Struct, frozen=True):
    """One yearly figure, ready to be shown: never without its label."""

    method: str
    label: Text
    rate_e12: int | None
    shown_percent: str | None


class Disclosure(msgspec.Struct, frozen=True):
    """The table. `principal_minor` is the amount financed; total repayment = principal + total cost.

    `reading_seconds`: how long it is shown at least before it can be agreed to. `ceiling_e12`: the most that the yearly cost
    may come to by the funder's agreement, where that states it.
    """

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
    contingent: tuple[ContingentItem, ...]
    nothing_else: Text
    indicative_basis: Text | None = None
    unit: str = "month"
    every: int = 1
    ceiling_e12: int | None = None
    reading_seconds: int = 0

    @property
    def capped(self) -> bool:
        """Whether the yearly cost has a stated ceiling (综合费率是否有盖帽)."""
        return self.ceiling_e12 is not None

    @property
    def is_credit(self) -> bool:
        """Whether something is owed after the start: such a table is read and agreed to before anything is signed."""
        return self.legal_form not in _PAID_AT_ONCE


_NO_NAMES: Final[Mapping[str, Text]] = MappingProxyType({})


def disclose(
    plan: Plan,
    schedule: Schedule,
    cost: Cost,
    funder_name: Text,
    *,
    names: Mapping[str, Text] = _NO_NAMES,
    manner: Manner = MANNER,
) -> Disclosure:
    """The table for a plan applied to an amount, from its schedule and cost. `names` are the parties' by their ids.

    Raises `TermsError` where the schedule charges a cost that the plan does not have.

    >>> from datetime import date
    >>> from fenqi.terms.schedule import build_schedule
    >>> plan = Plan("mall-12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")))
    >>> bill = build_schedule(plan, 600_000, "CNY", date(2026, 11, 23))
    >>> table = disclose(plan, bill, cost_of(bill, plan), Text("商城", "The mall"))
    >>> table.annual_cost.shown_percent, table.items[0].basis.en
    ('13.03', '0.6% of the amount financed for each period')
    """
    words = _wording(plan, funder_name, names, schedule.currency)
    items = _items(words, schedule, cost)
    ceiling = manner.ceiling
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
        _annual_cost(items, cost, manner.shown),
        words.contingent,
        words.nothing_else,
        plan.indicative_basis,
        plan.unit,
        plan.every,
        None if ceiling is None else int((ceiling * 10**12).to_integral_value()),
        0 if plan.legal_form in _PAID_AT_ONCE else manner.reading_seconds,
    )


def _items(words: _Wording, schedule: Schedule, cost: Cost) -> tuple[DisclosureItem, ...]:
    lines, plan = words.lines, words.plan
    if schedule.lease is not None:
        return _lease_items(lines, schedule, cost)
    if not schedule.charges:
        if not lines:
            return ()
        # Without a division, the whole fee is the plan's own.
        first = _item(lines[0], cost.fee_minor, _rate(lines[0], cost.fee_minor, cost.simple_e12))
        return (first,) if len(lines) == 1 else (first, *[_item(line, 0, 0) for line in lines[1:]])
    charges = {charge.code: charge for charge in schedule.charges}
    unknown = charges.keys() - {line.code for line in lines}
    if unknown:
        raise TermsError(
            f"plan {plan.id}: charges",
            ", ".join(sorted(unknown)),
            "costs that the plan has: its own, or one of its fees",
        )
    amounts = {code: charge.total_minor for code, charge in charges.items()}
    alone = sum(1 for amount in amounts.values() if amount) == 1
    items = []
    for line in lines:
        amount = amounts.get(line.code, 0)
        rate: int | None = 0
        if amount and line.rate_e12 is None:
            rate = cost.simple_e12 if alone else _rate_alone(plan, schedule, charges[line.code])
        items.append(_item(line, amount, _rate(line, amount, rate)))
    return tuple(items)


def _lease_items(lines: tuple[_Line, ...], schedule: Schedule, cost: Cost) -> tuple[DisclosureItem, ...]:
    """Rents and buyout beyond the price of the goods, and the fees. Beside one another none of them has a rate of its own."""
    amounts = {charge.code: charge.total_minor for charge in schedule.charges}
    own, *others = lines
    alone = not any(amounts.values())
    left = cost.fee_minor - sum(amounts.values())
    return (
        _item(own, left, _rate(own, left, cost.simple_e12 if alone else None)),
        *[
            _item(line, amounts.get(line.code, 0), 0 if not amounts.get(line.code) else None)
            for line in others
        ],
    )


def _rate(line: _Line, amount_minor: int, worked_out: int | None) -> int | None:
    # What costs nothing is 0 a year, whatever rate was agreed: zero is decided in integers.
    if amount_minor == 0:
        return 0
    return worked_out if line.rate_e12 is None else line.rate_e12


def _rate_alone(plan: Plan, schedule: Schedule, charge: Charge) -> int | None:
    """The yearly level of one cost: that of the same schedule if nothing else were charged."""
    rows = tuple(
        [
            msgspec.structs.replace(row, fee_minor=minor)
            for row, minor in zip(schedule.rows, charge.by_row_minor, strict=True)
        ]
    )
    fee = charge.total_minor
    only = msgspec.structs.replace(
        schedule, rows=rows, fee_minor=fee, total_minor=schedule.amount_minor + fee, charges=()
    )
    return cost_of(only, plan).simple_e12


def _item(line: _Line, amount_minor: int, rate_e12: int | None) -> DisclosureItem:
    return DisclosureItem(
        line.code,
        line.name,
        line.timing,
        line.basis,
        amount_minor,
        rate_e12,
        line.payee,
        line.payee_name,
        line.kind,
        line.rate_type,
        line.repay_mode,
        line.rate_method,
    )


def _annual_cost(items: tuple[DisclosureItem, ...], cost: Cost, shown: ShownCost) -> DisclosedCost:
    simple, compounded = cost.simple_e12, cost.compounded_e12
    total: int | None = 0
    for item in items:
        if item.annual_rate_e12 is None or total is None:
            total = None
        else:
            total += item.annual_rate_e12
    said = None if simple is None else percent(simple)
    return DisclosedCost(
        simple,
        compounded,
        cost.method,
        _SIMPLE_LABEL,
        said,
        _COMPOUNDED_LABEL,
        None if compounded is None else percent(compounded),
        cost.undefined,
        cost.compounded_method,
        total,
        SUM_OF_ITEMS,
        _SUM_LABEL,
        said if total == simple else None if total is None else percent(total),
        shown,
    )


def rates_of(cost: DisclosedCost) -> tuple[DisclosedRate, ...]:
    """The yearly figures of a table, the one that leads first. A table of the first layout has no sum of its items."""
    rates = {
        "simple": DisclosedRate(cost.method, cost.label, cost.simple_e12, cost.shown_percent),
        "compounded": DisclosedRate(
            cost.compounded_method, cost.compounded_label, cost.compounded_e12, cost.shown_compounded_percent
        ),
    }
    if cost.sum_label is not None:
        rates["sum_of_items"] = DisclosedRate(
            cost.sum_method, cost.sum_label, cost.sum_of_items_e12, cost.shown_sum_percent
        )
    return (rates.pop(cost.shown), *rates.values())


def digest(disclosure: Disclosure) -> str:
    """The table's name: SHA-256 over its canonical encoding (compact JSON, fields in the struct's order), in the layout
    of its version: what later layouts added is not part of an older table's name."""
    if disclosure.table_version == FIRST_VERSION:
        said = msgspec.json.encode(_as_first(disclosure))  # in the order of the dict's own keys
    else:
        said = msgspec.json.encode(disclosure, order="deterministic")
    return "sha256:" + sha256(said).hexdigest()


# The fields of the first layout, in their order.
_FIRST: Final[Mapping[type, tuple[str, ...]]] = MappingProxyType(
    {
        Disclosure: Disclosure.__struct_fields__[:17],
        DisclosureItem: DisclosureItem.__struct_fields__[:8],
        ContingentItem: ContingentItem.__struct_fields__[:4],
        DisclosedCost: DisclosedCost.__struct_fields__[:8],
    }
)


def _as_first(value: Any) -> Any:
    fields = _FIRST.get(type(value))
    if fields is not None:
        return {name: _as_first(getattr(value, name)) for name in fields}
    return [_as_first(part) for part in value] if isinstance(value, tuple) else value


def loan_cost_fields(disclosure: Disclosure, locale: str = "zh-CN") -> dict[str, str | bool]:
    """The table in the fields of Alipay's `LoanCostDisclosureInfo` (SDK of 2026-07-08), for passing it on.

    Rates are decimal ratios. A field is left out where the table has nothing for it.

    >>> from datetime import date
    >>> from fenqi.terms.schedule import build_schedule
    >>> plan = Plan("loan-12", "loan", "bank", "loan", 12, Annuity(Decimal("0.072")))
    >>> bill = build_schedule(plan, 600_000, "CNY", date(2026, 11, 23))
    >>> record = loan_cost_fields(disclose(plan, bill, cost_of(bill, plan), Text("银行", "The bank")), "en")
    >>> record["loan_interest_rate"], record["loan_interest_repay_mode"], record["capped"]
    ('0.072', 'equal instalments', False)
    """
    record: dict[str, str | bool] = {"capped": disclosure.capped}
    headline = rates_of(disclosure.annual_cost)[0].rate_e12
    if headline is not None:
        record["cost_rate"] = _ratio(headline)
    others: list[DisclosureItem] = []
    for item in disclosure.items:
        field = {"interest": "loan_interest", "guarantee_fee": "guarantee_fee"}.get(item.kind)
        if field is None or f"{field}_org_name" in record:
            if item.amount_minor:
                others.append(item)
            continue
        if item.annual_rate_e12 is not None:
            record[f"{field}_rate"] = _ratio(item.annual_rate_e12)
        record[f"{field}_rate_type"] = _in(item.rate_type, locale)
        record[f"{field}_repay_mode"] = _in(item.repay_mode, locale)
        record[f"{field}_org_name"] = item.payee_name.in_(locale)
    fields = {
        "overdue_penalty_interest": "overdue_penalty_interest",
        "misuse_penalty_interest": "misappropriation_penalty_interest",
        "prepayment_charge": "prepayment_penalty",
    }
    for cost in disclosure.contingent:
        field = fields.get(cost.kind)
        if field is None or f"{field}_text" in record:
            continue
        if field == "prepayment_penalty":
            record["prepayment_penalty_name"] = cost.name.in_(locale)
        record[f"{field}_text"] = cost.basis.in_(locale)
        record[f"{field}_org_name"] = _in(cost.payee_name, locale) or cost.payee
    if others:
        between = "；" if locale == "zh-CN" else "; "
        record["other_fee_text"] = between.join(
            f"{item.name.in_(locale)}: {item.basis.in_(locale)}" for item in others
        )
        record["other_fee_org_name"] = between.join(
            dict.fromkeys(item.payee_name.in_(locale) for item in others)
        )
    return record


def _in(text: Text | None, locale: str) -> str:
    return "" if text is None else text.in_(locale)


def _ratio(rate_e12: int) -> str:
    return f"{Decimal(rate_e12).scaleb(-12).normalize():f}"


def percent(rate_e12: int, places: int = 2) -> str:
    """A rate in 1e-12 as a percentage without its sign, rounded half up (away from zero), for display.

    >>> percent(130_342_242_811), percent(30_550_000_000, 1), percent(-18_513_945_654)
    ('13.03', '3.1', '-1.85')
    """
    if places == 2:  # what every table and page shows, many times an answer
        shown = (abs(rate_e12) + 50_000_000) // 100_000_000
        sign = "-" if rate_e12 < 0 and shown else ""
        return f"{sign}{shown // 100}.{shown % 100:02d}"
    if not 0 <= places <= 10:
        raise ValueError(f"places is {places}: expected 0 to 10")
    unit = 10 ** (10 - places)
    shown = (abs(rate_e12) * 2 + unit) // (2 * unit)
    sign = "-" if rate_e12 < 0 and shown else ""
    if places == 0:
        return f"{sign}{shown}"
    whole, part = divmod(shown, 10**places)
    return f"{sign}{whole}.{part:0{places}d}"


_SIMPLE_LABEL: Final = Text(
    "正常履约年化综合融资成本（单利，IRR×12）", "Annual cost if paid as agreed (simple, IRR x 12)"
)
_COMPOUNDED_LABEL: Final = Text(
    "正常履约年化综合融资成本（复利，IRR）", "Annual cost if paid as agreed (compounded, IRR)"
)
_SUM_LABEL: Final = Text(
    "正常履约年化综合融资成本（各项息费年化之和）",
    "Annual cost if paid as agreed (sum of each cost's yearly level)",
)

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
_TIMINGS: Final[Mapping[FeeTiming, Text]] = MappingProxyType(
    {
        "per_period": _EACH_PERIOD,
        "first_bill": Text("随首期应还款一次性收取", "once, with the first instalment"),
        "up_front": Text("签约时一次性收取", "once, at the start"),
        "at_end": Text("随末期应还款一次性收取", "once, with the last instalment"),
    }
)
_ON_THEIR_DATES: Final = Text(
    "随租金、买断款于各自到期日支付", "with the rents and the buyout, on their dates"
)
_BEYOND_PRICE_WITH_DEPOSIT: Final = Text(
    "租金、买断款与不退还的押金合计超出商品价格的部分",
    "rents, buyout and the deposit that is kept together, less the price of the goods",
)
_USE_AND_DEPOSIT: Final = Text(
    "租金与不退还的押金合计；租期届满归还商品",
    "the rents and the deposit that is kept together; the goods go back at the end of the term",
)
_AT_RETURN: Final = Text("归还商品时", "when the goods go back")
_BEYOND_PRICE: Final = Text(
    "租金与买断款合计超出商品价格的部分", "rents and buyout together, less the price of the goods"
)
_USE_ONLY: Final = Text(
    "租金合计；租期届满归还商品", "the rents together; the goods go back at the end of the term"
)
_NOT_CHARGED: Final = Text("不向您收取", "not charged to you")
_NONE: Final = Text("", "")
_BORNE_BY_SHOP: Final = Text("由商家承担，您无需支付", "borne by the shop; you pay nothing")
_BORNE_BY_FUNDER: Final = Text("由资方承担，您无需支付", "borne by the funder; you pay nothing")
_FIXED_RATE: Final = Text("固定利率", "fixed rate")
_FIXED_FEE: Final = Text("固定费率", "fixed fee")
_EQUAL_INSTALMENTS: Final = Text("等额本息", "equal instalments")
_EQUAL_PRINCIPAL: Final = Text("等额本金", "equal principal")
_INTEREST_FIRST: Final = Text("按期付息，到期还本", "interest each period, principal at the end")
_EQUAL_PARTS: Final = Text("本金与费用等额分摊到每期", "principal and fee in equal parts")

_CONTINGENT: Final[Mapping[str, ContingentKind]] = MappingProxyType(
    {
        "late_interest": "overdue_penalty_interest",
        "late": "overdue_penalty_interest",
        "overdue_penalty_interest": "overdue_penalty_interest",
        "misuse_interest": "misuse_penalty_interest",
        "misuse_penalty_interest": "misuse_penalty_interest",
        "prepayment_charge": "prepayment_charge",
        "prepayment_fee": "prepayment_charge",
    }
)
_GUARANTEE: Final = "guarantee_fee"
"""The code of a guarantor's fee; every other fee is an `other_fee` in the table's terms."""


class _Line(msgspec.Struct, frozen=True):
    """What the table says of one cost whatever the amount; `rate_e12` is the agreed yearly level, where it is one."""

    code: str
    name: Text
    timing: Text
    basis: Text
    rate_e12: int | None
    payee: str
    payee_name: Text
    kind: ItemKind
    rate_type: Text
    repay_mode: Text
    rate_method: str


class _Wording(msgspec.Struct, frozen=True):
    """What the table says of a plan whatever the amount."""

    plan: Plan
    funder_name: Text
    names: Mapping[str, Text]
    currency: str
    lines: tuple[_Line, ...]
    contingent: tuple[ContingentItem, ...]
    nothing_else: Text


# Keyed by identity, as in fenqi.terms.schedule; the entry holds its plan, so that the id stays its own.
_WORDINGS: Final[dict[int, _Wording]] = {}
_WORDINGS_LIMIT: Final = 4096


def _wording(plan: Plan, funder_name: Text, names: Mapping[str, Text], currency: str) -> _Wording:
    known = _WORDINGS.get(id(plan))
    if (
        known is not None
        and known.plan is plan
        and known.funder_name is funder_name
        and known.names is names
        and known.currency == currency
    ):
        return known
    words = _words_of(plan, funder_name, names, currency)
    if len(_WORDINGS) >= _WORDINGS_LIMIT:
        _WORDINGS.clear()
    _WORDINGS[id(plan)] = words
    return words


def _words_of(plan: Plan, funder_name: Text, names: Mapping[str, Text], currency: str) -> _Wording:
    def name_of(party: str, written: Text | None = None) -> Text:
        if written is not None:
            return written
        if party == plan.funder:
            return funder_name
        return names.get(party) or Text(party, party)

    lines = (
        []
        if isinstance(plan.pricing, (PayInFull, Pledge))
        else [_own_line(plan, name_of(plan.fee_payee or plan.funder), currency)]
    )
    lines += [_fee_line(plan, fee, name_of(fee.payee, fee.payee_name), currency) for fee in plan.fees]
    if isinstance(plan.pricing, Lease) and plan.pricing.return_shipping_minor and plan.pricing.buyout is None:
        lines.append(_shipping_line(plan, name_of(plan.fee_payee or plan.funder)))
    contingent = tuple(_contingent(cost, name_of(cost.payee)) for cost in plan.contingent)
    nothing_else = _NOTHING_ELSE_CONTINGENT if contingent else _NOTHING_ELSE
    return _Wording(plan, funder_name, names, currency, tuple(lines), contingent, nothing_else)


def _contingent(cost: ContingentCost, payee_name: Text) -> ContingentItem:
    kind = _CONTINGENT.get(cost.code, "other")
    return ContingentItem(cost.code, cost.name, cost.basis, cost.payee, payee_name, kind)


def _own_line(plan: Plan, payee_name: Text, currency: str) -> _Line:
    """The cost that the plan's own pricing is."""
    timing, rate_e12, rate_type, repay_mode = _EACH_PERIOD, None, _FIXED_RATE, _EQUAL_PARTS
    pricing = plan.pricing
    if isinstance(pricing, FlatFee):
        timing, rate_type = _TIMINGS[pricing.timing], _FIXED_FEE
        basis = _flat_basis(plan, pricing.rate_per_period, pricing.total_rate, pricing.timing)
        basis = _at_least(basis, pricing.minimum_minor, currency)
    elif isinstance(pricing, FlatInterest):
        rate = _exactly(pricing.annual_rate)
        basis = Text(
            f"按分期本金全程计息，年利率{rate}", f"{rate} a year on the amount financed, for the whole term"
        )
        if plan.conventions.flat_interest_on == "price" and plan.down_payment is not None:
            basis = Text(
                f"按商品价格（含首付）全程计息，年利率{rate}",
                f"{rate} a year on the price, down payment included, for the whole term",
            )
        repay_mode = _EQUAL_INSTALMENTS
    elif isinstance(pricing, (Annuity, EqualPrincipal, InterestOnly)):
        rate = _exactly(pricing.annual_rate)
        basis = Text(f"按剩余本金计息，年利率{rate}", f"{rate} a year on what is still owed")
        repay_mode = (
            _EQUAL_INSTALMENTS
            if isinstance(pricing, Annuity)
            else _EQUAL_PRINCIPAL
            if isinstance(pricing, EqualPrincipal)
            else _INTEREST_FIRST
        )
        if _bears_its_rate_throughout(plan):
            # The rate agreed, not the one that whole fen come to.
            rate_e12 = int((pricing.annual_rate * 10**12).to_integral_value())
    elif isinstance(pricing, Lease):
        timing, rate_type, repay_mode = _ON_THEIR_DATES, _FIXED_FEE, _ON_THEIR_DATES
        kept = pricing.deposit is not None and pricing.deposit.at_end == "lost"
        if pricing.buyout is not None:
            basis = _BEYOND_PRICE_WITH_DEPOSIT if kept else _BEYOND_PRICE
        else:
            basis = _USE_AND_DEPOSIT if kept else _USE_ONLY
    else:
        timing, rate_e12 = _NOT_CHARGED, 0
        basis = _BORNE_BY_SHOP if getattr(pricing, "borne_by", "shop") == "shop" else _BORNE_BY_FUNDER
    if plan.bearers:
        basis = _with_bearers(basis, plan)
    name = _cost_name(plan)
    kind: ItemKind = (
        "interest"
        if name in (_INTEREST, _INSTALMENT_INTEREST)
        else "rent"
        if name is _RENT
        else "instalment_fee"
    )
    payee = plan.fee_payee or plan.funder
    return _Line(
        plan.fee_code,
        name,
        timing,
        basis,
        rate_e12,
        payee,
        payee_name,
        kind,
        rate_type,
        repay_mode,
        _AGREED if rate_e12 is not None else _ALONE,
    )


_AGREED: Final = "agreed"
_ALONE: Final = "cn_irr_x12_simple@1"


def _bears_its_rate_throughout(plan: Plan) -> bool:
    """Whether the agreed yearly rate is what the customer pays on all that is owed, all the time."""
    if plan.bearers or plan.defer_periods or plan.interest_free_periods or plan.grace_interest:
        return False
    if plan.due_day is not None and plan.odd_first == "whole":
        # A first period of another length bears a whole one's interest.
        return False
    if plan.conventions.day_count == "30/360":
        return plan.unit in ("month", "half_month")
    # Under the others a year of days or months bears more or less than a year's rate: 365 days over 360.
    return plan.conventions.day_count in ("period", "act/365", "act/act")


def _fee_line(plan: Plan, fee: Fee, payee_name: Text, currency: str) -> _Line:
    """A charge beside the plan's own pricing."""
    if fee.amount_minor is not None:
        amount = format_money(fee.amount_minor, currency)
        basis = Text(f"共{amount}", f"{amount} in total")
    else:
        basis = _flat_basis(plan, fee.rate_per_period, fee.total_rate, fee.timing)
    basis = _at_least(basis, fee.minimum_minor, currency)
    timing = _TIMINGS[fee.timing]
    return _Line(
        fee.code,
        fee.name,
        timing,
        basis,
        None,
        fee.payee,
        payee_name,
        "guarantee_fee" if fee.code == _GUARANTEE else "other_fee",
        _FIXED_FEE,
        timing,
        _ALONE,
    )


def _shipping_line(plan: Plan, payee_name: Text) -> _Line:
    """What sending the goods back costs, where they go back when all goes as agreed."""
    payee = plan.fee_payee or plan.funder
    return _Line(
        RETURN_SHIPPING,
        Text("归还运费", "Sending the goods back"),
        _AT_RETURN,
        Text("归还商品时一次性支付", "once, when the goods go back"),
        None,
        payee,
        payee_name,
        "other_fee",
        _FIXED_FEE,
        _AT_RETURN,
        _ALONE,
    )


def _flat_basis(plan: Plan, per_period: Decimal | None, in_total: Decimal | None, timing: FeeTiming) -> Text:
    if per_period is not None:
        rate = _exactly(per_period)
        return Text(f"按分期本金每期{rate}收取", f"{rate} of the amount financed for each period")
    rate = _exactly(in_total or Decimal(0))
    if timing != "per_period":
        return Text(f"按分期本金共{rate}收取", f"{rate} of the amount financed in total")
    return Text(
        f"按分期本金共{rate}收取，分{plan.periods}期",
        f"{rate} of the amount financed in total, over {plan.periods} instalments",
    )


def _at_least(basis: Text, minimum_minor: int, currency: str) -> Text:
    if not minimum_minor:
        return basis
    least = format_money(minimum_minor, currency)
    return Text(f"{basis.zh_cn}，最低{least}", f"{basis.en}, at least {least}")


_PARTIES: Final[Mapping[Party, Text]] = MappingProxyType(
    {
        "customer": Text("您承担", "you bear"),
        "shop": Text("商家承担", "the shop bears"),
        "brand": Text("品牌方承担", "the brand bears"),
        "funder": Text("资方承担", "the funder bears"),
    }
)
assert _PARTIES.keys() == set(get_args(Party))


def _with_bearers(basis: Text, plan: Plan) -> Text:
    """Of which share is whose. The amount in the table is the customer's."""
    shares = [(_PARTIES[bearer.party], _exactly(bearer.share)) for bearer in plan.bearers]
    zh = "，".join(f"{party.zh_cn}{share}" for party, share in shares)
    en = ", ".join(f"{party.en} {share}" for party, share in shares)
    return Text(f"{basis.zh_cn}；其中{zh}", f"{basis.en}; of this {en}")


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
