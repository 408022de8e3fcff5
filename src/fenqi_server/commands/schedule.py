"""`fenqi schedule`: what is paid when, and what it truly costs, for terms given on the command line or in a file."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from fenqi.business_days import SHIPPED
from fenqi.calendars import Holiday, Unit
from fenqi.money import Residue, format_money, parse_money
from fenqi.problems import BadInput
from fenqi.terms.cost import Cost, cost_of
from fenqi.terms.disclosure import percent
from fenqi.terms.lease import Ending, build_lease
from fenqi.terms.lease_sheet import LeaseSheet, lease_sheet
from fenqi.terms.plan import (
    PROFILES,
    Annuity,
    Balloon,
    Bearer,
    Conventions,
    DayCount,
    DownPayment,
    EqualPrincipal,
    Fee,
    FeeTiming,
    FlatFee,
    FlatInterest,
    InterestOnly,
    Party,
    PayInFull,
    Plan,
    Pricing,
    ZeroInterest,
    check_plan,
)
from fenqi.terms.rent import Lease
from fenqi.terms.schedule import Row, Schedule, build_schedule
from fenqi.texts import Text
from fenqi_server.cli import print_json
from fenqi_server.commands.table import shown_percent, table
from fenqi_server.days import FIRST, LAST, read_day

EXAMPLES = """\
examples:
  a ¥6,000 phone in 12 monthly instalments, 0.6 % of the price each month: 13.03 % a year, not 7.2 %
    fenqi schedule --amount 6000 --periods 12 --flat-fee 0.6% --start 2026-11-23
  the same fee, all of it at once (14.02 %), or half of it paid by the shop
    fenqi schedule --amount 6000 --periods 12 --flat-fee 0.6% --fee-timing up_front --start 2026-11-23
    fenqi schedule --amount 6000 --periods 12 --flat-fee 0.6% --bearers customer=50%,shop=50% --start 2026-11-23
  a loan at 7.2 % a year with a guarantor's fee of 2 % at the start: 11.01 %
    fenqi schedule --amount 10000 --periods 12 --annuity 7.2% --fee guarantee=2%@up_front --start 2026-11-23
  always due on the 10th, the first time after at least 20 days, interest by days, 30 % paid at once
    fenqi schedule --amount 6000 --periods 12 --annuity 15% --day-count act/365 --due-day 10 --min-first-days 20 \\
      --odd-first by_days --down 30% --start 2026-11-23
  nothing for two months, while interest is added to what is owed; a fifth of the price with the last instalment
    fenqi schedule --amount 6000 --periods 12 --annuity 15% --defer 2 --defer-interest capitalised --balloon 20% \\
      --start 2026-11-23
  interest-free in 3, every second week, never due on a day off
    fenqi schedule --amount 1999 --periods 3 --zero --unit week --every 2 --holiday following --start 2026-09-15
  a plan from a file, {"plan": {"periods": 12, "pricing": {"kind": "flat_fee", "total_rate": "0.072"}},
  "amount": "6000", "currency": "CNY", "start_on": "2026-11-23"} (- reads standard input):
    fenqi schedule plan.json
  a lease from a file, {"plan": {"periods": 12, "pricing": {"kind": "lease", "rent": {"amount_minor": 49900},
  "paid": "in_advance", "goods": "new", "buyout": {"amount_minor": 160000}}}, "amount": "6999", ...}, to its return instead of
  its buyout, and bought early (docs/leases.md):
    fenqi schedule lease.json --ending return
    fenqi schedule lease.json --ending early_buy_out@2027-05-23

Rates are 0.006 or 0.6%. docs/terms.md explains every axis. With --json: amounts in minor units (fen), rate_e12 in 1e-12."""

_FILE_FIELDS = {"plan", "amount", "amount_minor", "currency", "start_on"}
_WITH_FILE = {"file", "json", "lang", "run", "command", "ending"}
"""What may stand on the command line beside a file."""
_INTEREST: Final[Mapping[str, type[Annuity | EqualPrincipal | InterestOnly | FlatInterest]]] = {
    "annuity": Annuity,
    "equal_principal": EqualPrincipal,
    "interest_only": InterestOnly,
    "flat_interest": FlatInterest,
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `schedule` to the program's commands."""
    parser = subparsers.add_parser(
        "schedule",
        help="what is paid when, and its true cost",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", metavar="FILE.json", help="plan and amount; - for standard input")
    parser.add_argument("--amount", help="price in major units, such as 6000 or 5999.50")
    parser.add_argument("--currency", help="ISO 4217 code (CNY)")
    parser.add_argument("--start", metavar="DATE", help="the day of the purchase, such as 2026-11-23")
    parser.add_argument("--periods", metavar="N", help="number of instalments")
    parser.add_argument("--json", action="store_true", help="for programs: everything, in minor units")
    parser.add_argument("--lang", choices=("en", "zh-CN"), default="en", help="language of the table (en)")

    parser.add_argument(
        "--ending",
        metavar="WAY[@DATE|@N]",
        help="how a lease of the file ends: return, return@DATE, buy_out, early_buy_out@DATE, renew@PERIODS",
    )

    group = parser.add_argument_group("pricing, one of")
    pricing = group.add_mutually_exclusive_group()
    for option, what in (
        ("--flat-fee", "fee of each period on the amount financed"),
        ("--total-fee", "fee in total on the amount financed"),
        ("--annuity", "yearly interest on what is owed, equal instalments"),
        ("--equal-principal", "yearly interest on what is owed, the same part of the price each time"),
        ("--interest-only", "yearly interest each time, the price at the end"),
        ("--flat-interest", "yearly interest on the first amount throughout"),
    ):
        pricing.add_argument(option, metavar="RATE", help=what)
    pricing.add_argument("--zero", action="store_true", help="interest-free")
    pricing.add_argument("--in-full", action="store_true", help="everything at once")

    group = parser.add_argument_group("charges")
    group.add_argument(
        "--fee-timing", choices=get_args(FeeTiming), help="when a flat fee is due (per_period)"
    )
    group.add_argument("--fee-minimum", metavar="AMOUNT", help="least flat fee in total (0)")
    group.add_argument(
        "--fee",
        action="append",
        metavar="NAME=RATE|AMOUNT[/period][@TIMING]",
        help="a charge beside the pricing; repeat for several",
    )
    group.add_argument(
        "--bearers", metavar="WHO=SHARE,...", help="customer, shop, brand, funder: who bears what"
    )

    group = parser.add_argument_group("when")
    group.add_argument("--unit", choices=get_args(Unit), help="unit of a period (month)")
    group.add_argument("--every", metavar="N", help="units in a period (1)")
    group.add_argument(
        "--defer", metavar="PERIODS", help="periods by which the first due date is put off (0)"
    )
    group.add_argument(
        "--defer-interest", choices=("none", "capitalised", "first_bill"), help="what that costs (none)"
    )
    group.add_argument("--due-day", metavar="DAY", help="day of the month on which it is due; 31 is the last")
    group.add_argument("--min-first-days", metavar="DAYS", help="least days before the first due day (0)")
    group.add_argument(
        "--odd-first",
        choices=("whole", "by_days"),
        help="interest of a longer or shorter first period (whole)",
    )
    group.add_argument(
        "--holiday", choices=get_args(Holiday), help="where due dates move off days off (none)"
    )
    group.add_argument("--calendar", choices=tuple(SHIPPED), help="the business days (cn)")

    group = parser.add_argument_group("how much when")
    group.add_argument("--down", metavar="SHARE|AMOUNT", help="down payment: 30%% or 500")
    group.add_argument("--balloon", metavar="SHARE|AMOUNT", help="paid beside the last instalment")
    group.add_argument(
        "--residue", choices=get_args(Residue), help="which one takes what does not divide (first)"
    )
    group.add_argument("--grace-principal", metavar="PERIODS", help="instalments of interest alone (0)")
    group.add_argument("--grace-interest", metavar="PERIODS", help="instalments that pay no interest yet (0)")
    group.add_argument("--interest-free", metavar="PERIODS", help="periods that bear none (0)")

    group = parser.add_argument_group("by which custom")
    group.add_argument("--profile", choices=tuple(PROFILES), help="a bundle of conventions (fenqi)")
    group.add_argument("--day-count", choices=get_args(DayCount), help="days of a month / of a year")
    group.add_argument(
        "--year-split", choices=("dec31", "jan1"), help="act/act: where New Year cuts a period"
    )
    group.add_argument(
        "--leap-rule", choices=("actual", "feb29_period"), help="act/act: which years have 366 days"
    )
    group.add_argument("--rounding", choices=("half_even", "half_up", "up"), help="of each figure to the fen")
    group.add_argument("--digits", metavar="N", help="significant digits of what is worked out (exact)")
    group.add_argument("--multiple", metavar="AMOUNT", help="instalments are whole multiples of it")
    group.add_argument(
        "--smoothing",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="bring the last one near the others",
    )
    group.add_argument("--flat-interest-on", choices=("financed", "price"), help="with --flat-interest")
    group.add_argument("--flat-interest-split", choices=("by_period", "even"), help="with --flat-interest")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the schedule: a table, or JSON."""
    terms = _from_file(arguments) if arguments.file is not None else _from_options(arguments)
    plan, amount_minor, currency, start_on = terms
    schedule = offered = build_schedule(plan, amount_minor, currency, start_on)
    if arguments.ending is None:
        pass
    elif not isinstance(plan.pricing, Lease):
        raise BadInput("--ending", arguments.ending, "a lease in a file", "leave it out")
    else:
        schedule = build_lease(plan, amount_minor, currency, start_on, _ending(arguments.ending))
    cost = cost_of(schedule, plan)
    # Whatever way was asked for, the sheet is the lease's as it is offered.
    sheet = None if offered.lease is None else lease_sheet(plan, offered, cost_of(offered, plan))
    if arguments.json:
        print_json(_answer(schedule, cost, sheet))
    else:
        sys.stdout.write(_shown(schedule, cost, sheet, arguments.lang) + "\n")
    return 0


def _ending(written: str) -> Ending:
    """`return`, `return@2027-04-08`, `buy_out`, `early_buy_out@2027-05-23`, `renew@2`."""
    way, _, at = written.partition("@")
    if way == "renew" and at:
        return Ending("return", renewed_periods=_whole(at, "--ending"))
    if way in ("return", "buy_out") and not at:
        return Ending(way)  # type: ignore[arg-type]  # one of the two
    if way in ("return", "early_buy_out") and at:
        return Ending(way, day_of(at, "--ending"))  # type: ignore[arg-type]  # one of the two
    raise BadInput(
        "--ending",
        written,
        "return, return@DATE, buy_out, early_buy_out@DATE or renew@PERIODS",
        "write return",
    )


def _answer(schedule: Schedule, cost: Cost, sheet: LeaseSheet | None) -> dict[str, Any]:
    leased = schedule.lease is not None
    answer: dict[str, Any] = {
        "currency": schedule.currency,
        "amount_minor": schedule.amount_minor,
        "down_payment_minor": schedule.down_payment_minor,
        "financed_minor": schedule.financed_minor,
        "fee_minor": schedule.fee_minor,
        "total_minor": schedule.total_minor,
        "annual_cost": [
            {
                "method": method,
                "rate_e12": rate_e12,
                "percent": None if rate_e12 is None else percent(rate_e12),
                "undefined": cost.undefined if cost.undefined or rate_e12 is not None else "beyond_measure",
            }
            for method, rate_e12 in (
                (cost.method, cost.simple_e12),
                (cost.compounded_method, cost.compounded_e12),
            )
        ],
        "rows": [{**_row(row, leased), "total_minor": row.total_minor} for row in schedule.rows],
        "charges": [
            {**msgspec.to_builtins(charge), "total_minor": charge.total_minor} for charge in schedule.charges
        ],
        "borne": msgspec.to_builtins(schedule.borne),
        "calendar": schedule.calendar,
    }
    if leased:
        answer["lease"] = msgspec.to_builtins(schedule.lease)
        answer["sheet"] = msgspec.to_builtins(sheet)
    return answer


def _row(row: Row, leased: bool) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(row)
    if not leased:
        del fields["rent_minor"], fields["deposit_minor"]
    return fields


_COLUMNS: Final[Mapping[str, Text]] = {
    "number": Text("期次", "no."),
    "due_on": Text("还款日", "due"),
    "principal_minor": Text("本金", "principal"),
    "fee_minor": Text("息费", "charges"),
    "rent_minor": Text("租金", "rent"),
    "deposit_minor": Text("押金", "deposit"),
    "total_minor": Text("应付", "to pay"),
}
_KINDS: Final[Mapping[str, Text]] = {
    "down_payment": Text("首付", "down"),
    "up_front": Text("签约时", "at start"),
    "payment": Text("付清", "in full"),
    "deposit": Text("押金", "deposit"),
    "rent": Text("第{number}期租金", "rent {number}"),
    "buyout": Text("买断", "buyout"),
    "goods_return": Text("归还", "return"),
    "deposit_return": Text("退押金", "deposit back"),
    "extra": Text("其他费用", "further charges"),
}
_PARTIES: Final[Mapping[str, Text]] = {
    "shop": Text("商家", "the shop"),
    "brand": Text("品牌方", "the brand"),
    "funder": Text("资方", "the funder"),
    "customer": Text("客户", "the customer"),
}
_PRICE: Final = Text(
    "价格{amount}，首付{down}，分期{financed}", "price {amount}, down {down}, financed {financed}"
)
_TOTAL: Final = Text("息费{fee}，合计应付{total}", "charges {fee}, to pay in all {total}")
_COST: Final = Text(
    "一年的成本：单利{simple}，复利{compounded}", "cost in a year: {simple} simple, {compounded} compounded"
)
_NO_COST: Final = Text("一年的成本无法定义：{why}", "no cost in a year: {why}")
UNDEFINED: Final[Mapping[str, Text]] = {
    "one_signed": Text("没有垫付，或没有付款", "nothing is advanced, or nothing is paid"),
    "no_root": Text(
        "没有每期 -99% 至 1000% 的利率能使两边相等",
        "no rate from -99 % to 1000 % a period balances these flows",
    ),
    "ambiguous": Text("有几个利率都能使两边相等", "several rates balance these flows"),
    "beyond_measure": Text("利率大到无法书写", "the rate is too large to be written"),
    "no_ownership": Text("期满时商品不归您", "nothing is owned at the end"),
    "nothing_advanced": Text(
        "起始付款已不低于商品价格", "as much is paid at the start as the goods cost, or more"
    ),
    "below_price": Text(
        "合计低于商品价格，且押金最后退回", "it comes to less than the price, and the deposit comes back last"
    ),
}
"""Why there is no yearly rate, by the reason of `fenqi.terms.cost`."""
_CHARGE: Final = Text("其中{code}：{amount}，由{payee}收取", "of these {code}: {amount}, to {payee}")
_BORNE: Final = Text("{party}另承担{amount}", "{party} bears {amount} beside that")
_OWNED: Final = Text(
    "价格{amount}；租金{rents}，买断{buyout}，费用{fees}，不退的押金{lost}；合计应付{total}",
    "price {amount}; rents {rents}, buyout {buyout}, fees {fees}, deposit lost {lost}; to pay in all {total}",
)
_RENTED: Final = Text(
    "价格{amount}，商品归还；租金{rents}，费用{fees}，不退的押金{lost}；合计应付{total}",
    "price {amount}, given back; rents {rents}, fees {fees}, deposit lost {lost}; to pay in all {total}",
)
_POINT: Final = Text("{title}：{says}", "{title}: {says}")
_BY_CALENDAR: Final = Text("还款日依工作日历{calendar}", "due dates by the business calendar {calendar}")


def _shown(schedule: Schedule, cost: Cost, sheet: LeaseSheet | None, locale: str) -> str:
    """The schedule for people: a row for each payment, then the sums and what they cost; of a lease, what to know before."""

    def money(minor: int) -> str:
        return format_money(minor, schedule.currency)

    rows = schedule.rows
    columns = [
        name
        for name in _COLUMNS
        if name in ("number", "due_on", "total_minor") or any(getattr(row, name) for row in rows)
    ]
    lines = [
        [
            _named(row, locale)
            if name == "number"
            else row.due_on.isoformat()
            if name == "due_on"
            else money(getattr(row, name))
            for name in columns
        ]
        for row in rows
    ]
    head = [_COLUMNS[name].in_(locale) for name in columns]
    said = [table(head, lines, right=range(2, len(columns))), ""]
    gaps = {
        "amount": money(schedule.amount_minor),
        "down": money(schedule.down_payment_minor),
        "financed": money(schedule.financed_minor),
        "fee": money(schedule.fee_minor),
        "total": money(schedule.total_minor),
    }
    figures = schedule.lease
    if figures is None:
        said.append(_PRICE.in_(locale).format(**gaps))
        said.append(_TOTAL.in_(locale).format(**gaps))
    else:
        gaps |= {"rents": money(figures.rent_total_minor), "buyout": money(figures.buyout_minor)}
        gaps |= {"fees": money(figures.fee_minor), "lost": money(figures.lost_minor)}
        said.append((_OWNED if figures.owns else _RENTED).in_(locale).format(**gaps))
    for charge in schedule.charges:
        said.append(
            _CHARGE.in_(locale).format(code=charge.code, amount=money(charge.total_minor), payee=charge.payee)
        )
    for borne in schedule.borne:
        party = _PARTIES[borne.party].in_(locale)
        said.append(_BORNE.in_(locale).format(party=party, amount=money(borne.amount_minor)))
    if cost.simple_e12 is None:
        said.append(_NO_COST.in_(locale).format(why=UNDEFINED[cost.undefined or "no_root"].in_(locale)))
    else:
        beyond = "-" if cost.compounded_e12 is None else shown_percent(cost.compounded_e12)
        said.append(_COST.in_(locale).format(simple=shown_percent(cost.simple_e12), compounded=beyond))
    if schedule.calendar is not None:
        said.append(_BY_CALENDAR.in_(locale).format(calendar=schedule.calendar))
    if sheet is not None:
        said += [
            "",
            *(
                _POINT.in_(locale).format(title=point.title.in_(locale), says=point.says.in_(locale))
                for point in sheet.points
            ),
        ]
    return "\n".join(said)


def _named(row: Row, locale: str) -> str:
    name = _KINDS.get(row.kind)
    return str(row.number) if name is None else name.in_(locale).format(number=row.number)


Terms = tuple[Plan, int, str, date]


def _from_options(arguments: argparse.Namespace) -> Terms:
    amount = _required(arguments.amount, "--amount", "the price in major units", "add --amount 6000")
    start = _required(arguments.start, "--start", "the day of the purchase", "add --start 2026-11-23")
    currency = arguments.currency or "CNY"
    amount_minor = parse_money(amount, currency, place="--amount")
    periods = 1
    if not arguments.in_full:
        given = _required(arguments.periods, "--periods", "the number of instalments", "add --periods 12")
        periods = _whole(given, "--periods")
    elif arguments.periods is not None:
        periods = _whole(arguments.periods, "--periods")
    fields: dict[str, Any] = {}
    for name, option in _WHOLE.items():
        if getattr(arguments, option) is not None:
            fields[name] = _whole(getattr(arguments, option), "--" + option.replace("_", "-"))
    for name, option in _WORDS.items():
        if getattr(arguments, option) is not None:
            fields[name] = getattr(arguments, option)
    if fields.get("holiday", "none") != "none":
        fields.setdefault("calendar", "cn")
    if arguments.down is not None:
        fields["down_payment"] = DownPayment(*_share_or_amount(arguments.down, currency, "--down"))
    plan = Plan(
        id="command-line",
        family="command-line",
        funder="shop",
        legal_form="full_payment" if arguments.in_full else "instalment_sale",
        periods=periods,
        pricing=_pricing(arguments, currency),
        conventions=_conventions(arguments, currency),
        fees=tuple(_fee(written, currency) for written in arguments.fee or ()),
        bearers=_bearers(arguments.bearers) if arguments.bearers is not None else (),
        **fields,
    )
    _refuse(plan, _OPTIONS)
    return plan, amount_minor, currency, day_of(start, "--start")


# Plan fields and their options: whole numbers, and words that argparse checked already.
_WHOLE: Final[Mapping[str, str]] = {
    "every": "every",
    "defer_periods": "defer",
    "due_day": "due_day",
    "min_first_days": "min_first_days",
    "grace_principal": "grace_principal",
    "grace_interest": "grace_interest",
    "interest_free_periods": "interest_free",
}
_WORDS: Final[Mapping[str, str]] = {
    "unit": "unit",
    "residue": "residue",
    "deferral_interest": "defer_interest",
    "odd_first": "odd_first",
    "holiday": "holiday",
    "calendar": "calendar",
}
_CUSTOM: Final = (
    "day_count",
    "year_split",
    "leap_rule",
    "rounding",
    "smoothing",
    "flat_interest_on",
    "flat_interest_split",
)
_OPTIONS: Final[Mapping[str, str]] = {
    **{name: "--" + option.replace("_", "-") for name, option in (*_WHOLE.items(), *_WORDS.items())},
    "periods": "--periods",
    "pricing.rate_per_period": "--flat-fee",
    "pricing.total_rate": "--total-fee",
    "pricing.balloon": "--balloon",
    "pricing.balloon.share": "--balloon",
    "pricing.balloon.amount_minor": "--balloon",
    "pricing.minimum_minor": "--fee-minimum",
    "down_payment": "--down",
    "down_payment.share": "--down",
    "down_payment.amount_minor": "--down",
    "bearers": "--bearers",
    "fees": "--fee",
    "conventions.digits": "--digits",
    "conventions.instalment_multiple_minor": "--multiple",
}
"""What a plan's field is called on the command line."""


def _pricing(arguments: argparse.Namespace, currency: str) -> Pricing:
    rate_per_period, total_rate = (
        None if given is None else rate_of(given, option)
        for given, option in ((arguments.flat_fee, "--flat-fee"), (arguments.total_fee, "--total-fee"))
    )
    flat = rate_per_period is not None or total_rate is not None
    for option, needed, there in (
        ("fee_timing", "--flat-fee or --total-fee", flat),
        ("fee_minimum", "--flat-fee or --total-fee", flat),
        ("balloon", "--annuity or --equal-principal", arguments.annuity or arguments.equal_principal),
    ):
        if getattr(arguments, option) is not None and not there:
            raise BadInput("--" + option.replace("_", "-"), "given", f"{needed} with it")
    if arguments.in_full:
        return PayInFull()
    if arguments.zero:
        return ZeroInterest("shop")
    if flat:
        minimum = arguments.fee_minimum
        return FlatFee(
            rate_per_period,
            total_rate,
            0 if minimum is None else parse_money(minimum, currency, place="--fee-minimum"),
            arguments.fee_timing or "per_period",
        )
    for name, kind in _INTEREST.items():
        if getattr(arguments, name) is None:
            continue
        rate = rate_of(getattr(arguments, name), "--" + name.replace("_", "-"))
        if arguments.balloon is not None and kind in (Annuity, EqualPrincipal):
            balloon = Balloon(*_share_or_amount(arguments.balloon, currency, "--balloon"))
            return Annuity(rate, balloon) if kind is Annuity else EqualPrincipal(rate, balloon)
        return kind(rate)
    raise BadInput(
        "pricing",
        "missing",
        "one of --flat-fee, --total-fee, --annuity, --equal-principal, --interest-only, --flat-interest, --zero, "
        "--in-full",
        "add --flat-fee 0.006",
    )


def _conventions(arguments: argparse.Namespace, currency: str) -> Conventions:
    given = {name: getattr(arguments, name) for name in _CUSTOM if getattr(arguments, name) is not None}
    if arguments.digits is not None:
        given["digits"] = _whole(arguments.digits, "--digits")
    if arguments.multiple is not None:
        given["instalment_multiple_minor"] = parse_money(arguments.multiple, currency, place="--multiple")
    return msgspec.structs.replace(PROFILES[arguments.profile or "fenqi"], **given)


_FEE = re.compile(r"(?P<name>[^=@]+)=(?P<value>[^@/]+?)(?P<each>/period)?(?:@(?P<timing>[a-z_]+))?")


def _fee(written: str, currency: str) -> Fee:
    """A fee written NAME=RATE|AMOUNT[/period][@TIMING]; its name is its code and its payee."""
    found = _FEE.fullmatch(written.strip())
    if found is None:
        raise BadInput("--fee", written, "NAME=RATE|AMOUNT[/period][@TIMING]", "write guarantee=2%@up_front")
    name, value, timing = found["name"], found["value"], found["timing"] or "per_period"
    if timing not in get_args(FeeTiming):
        raise BadInput("--fee", written, "a timing of " + ", ".join(get_args(FeeTiming)))
    rate, amount = _share_or_amount(value, currency, "--fee")
    if found["each"] and rate is None:
        raise BadInput("--fee", written, "a rate before /period", f"write {name}=0.1%/period")
    return Fee(
        code=name,
        name=Text(name, name),
        payee=name,
        rate_per_period=rate if found["each"] else None,
        total_rate=None if found["each"] else rate,
        amount_minor=amount,
        timing=timing,  # type: ignore[arg-type]  # one of the words, as was just seen
    )


def _bearers(written: str) -> tuple[Bearer, ...]:
    found: list[Bearer] = []
    for part in written.split(","):
        party, _, share = part.strip().partition("=")
        if party not in get_args(Party) or not share:
            expected = "WHO=SHARE, with WHO one of " + ", ".join(get_args(Party))
            raise BadInput("--bearers", part, expected, "write customer=50%,shop=50%")
        found.append(Bearer(party, rate_of(share, "--bearers")))  # type: ignore[arg-type]  # a Party, as was just seen
    return tuple(found)


def _share_or_amount(given: str, currency: str, place: str) -> tuple[Decimal | None, int | None]:
    if given.strip().endswith("%"):
        return rate_of(given, place), None
    return None, parse_money(given, currency, place=place)


def _from_file(arguments: argparse.Namespace) -> Terms:
    for name, value in vars(arguments).items():
        if name not in _WITH_FILE and value not in (None, False):
            option = "--" + name.replace("_", "-")
            raise BadInput(option, value, "no option beside a file", f"write it into {arguments.file}")
    content = read_json(arguments.file)
    if not isinstance(content, dict):
        raise BadInput(arguments.file, content, "a JSON object with plan, amount, currency, start_on")
    for name in content:
        if name not in _FILE_FIELDS:
            raise BadInput(f"/{name}", "given", "one of " + ", ".join(sorted(_FILE_FIELDS)))
    currency = content.get("currency", "CNY")
    if not isinstance(currency, str):
        raise BadInput("/currency", currency, "a currency code such as CNY")
    amount_minor = amount_of(content, currency, "")
    start = content.get("start_on")
    if not isinstance(start, str):
        raise BadInput("/start_on", "missing" if start is None else start, "a date such as 2026-11-23")
    terms = content.get("plan")
    if not isinstance(terms, dict):
        raise BadInput("/plan", "missing" if terms is None else terms, "an object with periods and pricing")
    named: dict[str, Any] = {
        "id": "file",
        "family": "file",
        "funder": "shop",
        "legal_form": "instalment_sale",
        "periods": 1,
        **terms,
    }
    kind = terms["pricing"].get("kind") if isinstance(terms.get("pricing"), dict) else None
    if kind in _LEGAL_FORMS:
        named["legal_form"] = terms.get("legal_form", _LEGAL_FORMS[kind])
    if kind in ("pay_in_full", "pledge"):
        pass  # one payment
    elif "periods" not in terms:
        raise BadInput("/plan/periods", "missing", "the number of instalments")
    unknown = sorted(set(named) - set(Plan.__struct_fields__))
    if unknown:
        raise BadInput(f"/plan/{unknown[0]}", "given", "one of " + ", ".join(Plan.__struct_fields__))
    try:
        plan = msgspec.convert(named, Plan)
    except msgspec.ValidationError as error:
        expected, _, at = str(error).partition(" - at `$")
        pointer = "/plan" + _steps(at.rstrip("`"))
        expected = expected.removeprefix("Expected ").replace("Invalid value", "a known value, not")
        missing = re.fullmatch(r"Object missing required field `(\w+)`", expected)
        if missing:
            pointer, expected = f"{pointer}/{missing[1]}", "a value"
        stranger = re.fullmatch(r"Object contains unknown field `(.+)`", expected)
        if stranger:
            raise BadInput(f"{pointer}/{stranger[1]}", "given", "no such field") from None
        if pointer == "/plan/pricing/kind":
            expected = "one of " + ", ".join(_PRICING_KINDS)
        raise BadInput(pointer, _found(content, pointer), expected) from None
    _refuse(plan, {})
    return plan, amount_minor, currency, day_of(start, "/start_on")


_LEGAL_FORMS: Final[Mapping[str, str]] = {
    "pay_in_full": "full_payment",
    "lease": "operating_lease",
    "pledge": "pledge",
}
_PRICING_KINDS: Final = tuple(str(kind.__struct_config__.tag) for kind in get_args(Pricing))


def _refuse(plan: Plan, names: Mapping[str, str]) -> None:
    for problem in check_plan(plan):
        pointer = f"/plan{_steps('.' + problem.place)}" if not names else problem.place
        place = names.get(problem.place, pointer)
        if names and problem.place == "pricing.annual_rate":
            place = "--" + str(plan.pricing.__struct_config__.tag).replace("_", "-")
        elif names and place == problem.place:
            place = names.get(re.split(r"[.\[]", place)[0], place)
        raise BadInput(place, problem.value, problem.expected, problem.way_out)


def _found(content: object, pointer: str) -> object:
    """What stands at a JSON pointer, or "missing"."""
    for step in pointer.split("/")[1:]:
        if isinstance(content, dict) and step in content:
            content = content[step]
        elif isinstance(content, list) and step.isdigit() and int(step) < len(content):
            content = content[int(step)]
        else:
            return "missing"
    return content


def _steps(path: str) -> str:
    """A path written `.contingent[0].code` as a JSON pointer."""
    return path.replace("[", "/").replace("]", "").replace(".", "/")


def _required(given: str | None, place: str, expected: str, way_out: str) -> str:
    if given is None:
        raise BadInput(place, "missing", expected, way_out)
    return given


def _whole(given: str, place: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", given):
        raise BadInput(place, given, "a whole number")
    return int(given)


def day_of(given: object, place: str) -> date:
    """A day as people write it, 2026-11-23, of an age in which a shop can be."""
    try:
        if not isinstance(given, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
            raise ValueError
        return read_day(given)
    except ValueError:
        expected = f"a date of the calendar from {FIRST} to {LAST}"
        raise BadInput(place, given, expected, "write it like 2026-11-23") from None


def rate_of(given: str, place: str) -> Decimal:
    """A rate as people write it: 0.006 or 0.6%."""
    if not re.fullmatch(r"\s*-?[0-9]{1,12}(\.[0-9]{1,18})?\s*%?\s*", given):
        raise BadInput(place, given, "a rate", "write 0.6 % as 0.006 or 0.6%")
    text = given.strip()
    if text.endswith("%"):
        return Decimal(text[:-1].strip()).scaleb(-2)
    return Decimal(text)


def amount_of(content: dict[str, Any], currency: str, at: str) -> int:
    """The amount of an object of a file: `amount` as text in major units, or `amount_minor` as an integer."""
    if ("amount" in content) == ("amount_minor" in content):
        found = "both given" if "amount" in content else "missing"
        raise BadInput(f"{at}/amount", found, 'either "amount": "6000" or "amount_minor": 600000')
    if "amount" in content:
        written = content["amount"]
        # JSON's numbers were read as their text, so that 5999.99 stays what was written.
        text = (
            str(written) if isinstance(written, (int, Decimal)) and not isinstance(written, bool) else written
        )
        return parse_money(text, currency, place=f"{at}/amount")
    minor = content["amount_minor"]
    if type(minor) is not int:
        raise BadInput(f"{at}/amount_minor", str(minor), "a whole number of minor units")
    return minor


def read_json(name: str) -> Any:
    """The content of a JSON file, or of standard input for "-"; numbers with a point as decimals."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            name, getattr(error, "strerror", None) or "not UTF-8", "a readable JSON file"
        ) from None
    try:
        return json.loads(text, parse_float=Decimal)
    except InvalidOperation:
        raise BadInput(name, "a number without end", "numbers that can be written out") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(name, str(error), "valid JSON") from None
