"""`fenqi cost`: what any payments over time truly cost in a year, by named methods."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

import msgspec

from fenqi.calendars import Unit, due_dates
from fenqi.money import check_currency, check_minor, format_money, parse_money
from fenqi.problems import BadInput
from fenqi.terms.cost import (
    ACT365,
    COMPOUNDED,
    EU,
    MAX_FLOWS,
    METHODS,
    SIMPLE,
    UK,
    US,
    AnnualCost,
    CashFlow,
    CashFlows,
    CostError,
    DatedFlow,
    DatedFlows,
    annual_cost,
    counted,
    internal_rate,
)
from fenqi.terms.disclosure import percent
from fenqi.terms.intervals import IntervalError, UnitPeriod, periods_per_year
from fenqi.terms.realised import hidden_cost
from fenqi_server.cli import print_json
from fenqi_server.commands.schedule import UNDEFINED, amount_of, day_of, read_json
from fenqi_server.commands.table import print_table, shown_percent

EXAMPLES = """\
examples:
  ¥6,000 now, 12 monthly payments of ¥536 (13.03 % a year, not 7.2 %):
    fenqi cost --advance 6000 --payment 536x12
  two months without payment, then 12 (the first at the end of month 3):
    fenqi cost --advance 6000 --payment 536x12@3
  payments of different size follow each other; every second week:
    fenqi cost --advance 1000 --payment 600 --payment 210x2 --unit week --every 2
  pay 101.50 in 30 days for 100 now:
    fenqi cost --advance 100 --payment 101.50 --unit day --every 30

  on dates, by each law's own way of counting days:
    fenqi cost --advance 5999@2026-11-22 --payment 537.41x12@2026-12-10
  the same by one method; several may be named, and --method all is every one:
    fenqi cost --start 2026-11-22 --advance 5999 --payment 537.41x12@2026-12-10 --method eu_annual

  a fee of ¥200 kept back at the start is a payment at 0:
    fenqi cost --advance 10000 --payment 200@0 --payment 866.19x12
  "0 %", where cash is cheaper:
    fenqi cost --advance 6000 --payment 500x12 --cash-price 5800
  paid three times, then everything went back, the fees kept (what was realised, not what was quoted):
    fenqi cost --advance 6000 --payment 536x3 --returned 6000@3 --refunded 1500@3

  cash flows from a file (- reads standard input), {"currency": "CNY", "unit": "month", "every": 1,
  "advances": [{"at": 0, "amount": "6000"}], "payments": [{"at": 1, "amount": "536", "times": 12}]};
  "on": "2026-11-22" instead of "at", or "start_on" for all, makes them dated:
    fenqi cost flows.json

AMOUNT[xTIMES][@WHEN]: TIMES payments, one a period; the first at the end of period WHEN, or on the date WHEN (by default the
period after the payment before; an advance is at 0, the start). Flows by period show the two usual figures, dated ones the
laws' too. A year that cannot be said is "undefined", with the reason; it is never 0."""

# Flows of which nothing can be asked are refused; several rates, or none, are an answer.
_NO_QUESTION = (
    ("one_signed", "all of one sign", "something advanced, and something paid for it later"),
    ("beyond_measure", "a rate beyond measure", "a rate of a period below a hundred digits"),
)
_FILE_FIELDS = {
    "advances",
    "payments",
    "returned",
    "refunded",
    "currency",
    "unit",
    "every",
    "start_on",
    "cash_price",
}
_ENTRY_FIELDS = ("at", "on", "amount", "amount_minor", "times")
_BESIDE_FILE = (
    "advance",
    "payment",
    "returned",
    "refunded",
    "currency",
    "unit",
    "every",
    "start",
    "cash_price",
)
_FLOW = re.compile(
    r"(?P<amount>[^x×*@]+)(?:[x×*](?P<times>[0-9]{1,5}))?"
    r"(?:@(?:(?P<at>[0-9]{1,6})|(?P<on>[0-9]{4}-[0-9]{2}-[0-9]{2})))?"
)
_SIGNS = re.compile(r"\s*([x×*@])\s*")
_BY_PERIOD = (SIMPLE, COMPOUNDED)
_BY_DATE = (SIMPLE, COMPOUNDED, US, EU, UK, ACT365)


class _Move(msgspec.Struct, frozen=True):
    """So much, so often, from a period (`at`) or a date on; neither: after the one before."""

    place: str
    amount_minor: int
    times: int
    at: Fraction | None
    on: date | None


class _Asked(msgspec.Struct, frozen=True):
    """What is asked of: the flows of each side, in a unit of time."""

    currency: str
    unit: UnitPeriod
    start: date | None
    advances: tuple[_Move, ...]
    payments: tuple[_Move, ...]
    returned: tuple[_Move, ...]
    refunded: tuple[_Move, ...]
    cash_price: int | None
    unit_said: bool


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cost` to the program's commands."""
    parser = subparsers.add_parser(
        "cost",
        help="what payments over time truly cost in a year",
        description=__doc__,
        epilog=EXAMPLES + "\n\nmethods:\n" + "\n".join(_method_lines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", metavar="FILE.json", help="cash flows; - for standard input")
    for option, what in (
        ("--advance", "what the customer gets"),
        ("--payment", "what the customer pays"),
        ("--returned", "goods that went back, at their price: a payment in kind"),
        ("--refunded", "money that came back"),
    ):
        parser.add_argument(option, nargs="+", action="append", metavar="AMOUNT[xTIMES][@WHEN]", help=what)
    parser.add_argument(
        "--start", metavar="DATE", help="day of the first advance: every period becomes a date"
    )
    parser.add_argument("--currency", help="ISO 4217 code (CNY)")
    parser.add_argument(
        "--unit",
        choices=get_args(Unit),
        help="unit of a period (month; where every flow has its date, what the dates show)",
    )
    parser.add_argument("--every", help="units in a period (1)")
    parser.add_argument(
        "--method",
        action="append",
        metavar="NAME",
        help="one of the methods below, with or without its @version; several; or all",
    )
    parser.add_argument(
        "--cash-price", metavar="AMOUNT", help="what it would cost at once, where that is less than advanced"
    )
    parser.add_argument("--lang", choices=("en", "zh-CN"), default="en", help="language of the table (en)")
    parser.add_argument(
        "--json", action="store_true", help="for programs: amounts in minor units, rates in 1e-12"
    )
    parser.set_defaults(run=run)


def _method_lines() -> list[str]:
    longest = max(map(len, METHODS))
    return [
        f"  {name.ljust(longest)}  {method.name.en} ({method.source})" for name, method in METHODS.items()
    ]


def run(arguments: argparse.Namespace) -> int:
    """Print what the flows cost, as a table or as JSON."""
    asked = _from_file(arguments) if arguments.file is not None else _from_options(arguments)
    flows = _flows(asked)
    methods = _methods(arguments.method, dated=isinstance(flows, DatedFlows))
    chosen = bool(arguments.method) and arguments.method != ["all"]
    costs = [cost for method in methods if (cost := _cost(method, flows, asked, chosen=chosen)) is not None]
    methods = tuple(cost.method for cost in costs)
    for reason, found, expected in _NO_QUESTION:
        if all(cost.undefined == reason for cost in costs):
            raise BadInput("flows", found, expected)
    beside_cash = _beside_cash(flows, asked, methods)
    if arguments.json:
        print_json(_document(asked, flows, costs, beside_cash))
    else:
        _show(asked, flows, costs, beside_cash, arguments.lang)
    return 0


def _methods(given: list[str] | None, *, dated: bool) -> tuple[str, ...]:
    if not given:
        return _BY_DATE if dated else _BY_PERIOD
    if given == ["all"]:
        return tuple(METHODS)
    latest = {name.partition("@")[0]: name for name in METHODS}
    for name in given:
        if name not in METHODS and name not in latest:
            raise BadInput("--method", name, "all, or one of " + ", ".join(METHODS))
    return tuple(dict.fromkeys(latest.get(name, name) for name in given))


def _cost(method: str, flows: CashFlows | DatedFlows, asked: _Asked, *, chosen: bool) -> AnnualCost | None:
    try:
        return annual_cost(method, flows, _unit_of(flows, asked))
    except IntervalError:
        # Dates that one method cannot count are no fault where it was not asked for by its name.
        if chosen:
            raise
        return None


def _unit_of(flows: CashFlows | DatedFlows, asked: _Asked) -> UnitPeriod | None:
    # A unit that was said is the transaction's, and so is that in which a start counts; else its dates show which.
    said = asked.unit_said or asked.start is not None
    return asked.unit if isinstance(flows, DatedFlows) and said else None


def _beside_cash(flows: CashFlows | DatedFlows, asked: _Asked, methods: Sequence[str]) -> list[AnnualCost]:
    if asked.cash_price is None:
        return []
    advanced = sum(flow.amount_minor for flow in flows.advances[:1])
    if not 0 < asked.cash_price <= advanced:
        raise BadInput(
            "--cash-price",
            format_money(asked.cash_price, asked.currency),
            f"more than 0 and at most the {format_money(advanced, asked.currency)} advanced",
        )
    return [
        hidden_cost(flows, advanced - asked.cash_price, method=method, unit=_unit_of(flows, asked))
        for method in methods
    ]


# What is printed.


def _show(
    asked: _Asked,
    flows: CashFlows | DatedFlows,
    costs: list[AnnualCost],
    beside_cash: list[AnnualCost],
    locale: str,
) -> None:
    chinese = locale == "zh-CN"
    advanced, paid = _totals(flows)
    returned, refunded = _back(asked)
    count = len(flows.payments) - sum(move.times for move in asked.returned)
    if returned or refunded:
        print(_sentence_back(asked.currency, advanced, paid, count, returned, refunded, chinese=chinese))
    else:
        print(_sentence(asked.currency, advanced, paid, count, chinese=chinese))
    print()
    head = ["方法", "年化", "定义"] if chinese else ["method", "a year", "defined as"]
    if beside_cash:
        head.insert(2, "相对现金价" if chinese else "beside cash")
    rows = []
    for number, cost in enumerate(costs):
        cells = [METHODS[cost.method].name.in_(locale), _said(cost, chinese=chinese)]
        if beside_cash:
            cells.append(_said(beside_cash[number], chinese=chinese))
        rows.append([*cells, cost.method])
    print_table(head, rows, right=tuple(range(1, len(head) - 1)))
    roots = _roots(flows, asked)
    for reason in dict.fromkeys(cost.undefined for cost in costs if cost.undefined):
        print()
        print(("未定义：" if chinese else "undefined: ") + UNDEFINED[reason].in_(locale))
    if len(roots) > 1:
        print(("每期利率：" if chinese else "rates of a period: ") + ", ".join(f"{root}%" for root in roots))


def _sentence(currency: str, advanced: int, paid: int, count: int, *, chinese: bool) -> str:
    lent, back = format_money(advanced, currency), format_money(paid, currency)
    end = _charge_said(currency, advanced, paid, chinese=chinese)
    if chinese:
        return f"得到 {lent}，分 {count} 笔共付 {back}：{end}。"
    payments = "one payment" if count == 1 else f"{count} payments"
    return f"{lent} received, {back} paid in {payments}: {end}."


def _sentence_back(
    currency: str, advanced: int, paid: int, count: int, returned: int, refunded: int, *, chinese: bool
) -> str:
    """What was received and paid where goods went back (a payment in kind) or money came back (an advance)."""
    lent, back = format_money(advanced - refunded, currency), format_money(paid - returned, currency)
    goods, money = format_money(returned, currency), format_money(refunded, currency)
    end = _charge_said(currency, advanced, paid, chinese=chinese)
    if chinese:
        return f"得到 {lent}，分 {count} 笔共付 {back}；退货 {goods}，退款 {money}：{end}。"
    payments = "one payment" if count == 1 else f"{count} payments"
    return f"{lent} received, {back} paid in {payments}; goods of {goods} went back, {money} was refunded: {end}."


def _charge_said(currency: str, advanced: int, paid: int, *, chinese: bool) -> str:
    more, less = format_money(paid - advanced, currency), format_money(advanced - paid, currency)
    if chinese:
        return f"多付 {more}" if paid > advanced else f"少付 {less}" if paid < advanced else "没有费用"
    return f"{more} for it" if paid > advanced else f"{less} less" if paid < advanced else "nothing for it"


def _back(asked: _Asked) -> tuple[int, int]:
    """What goods went back at their price, and what money came back."""
    returned, refunded = (
        sum(move.amount_minor * move.times for move in side) for side in (asked.returned, asked.refunded)
    )
    return returned, refunded


def _said(cost: AnnualCost, *, chinese: bool) -> str:
    if cost.rate_e12 is None:
        return "未定义" if chinese else "undefined"
    return shown_percent(cost.rate_e12, METHODS[cost.method].places)


def _document(
    asked: _Asked, flows: CashFlows | DatedFlows, costs: list[AnnualCost], beside_cash: list[AnnualCost]
) -> dict[str, Any]:
    advanced, paid = _totals(flows)
    answer: dict[str, Any] = {
        "currency": asked.currency,
        "advanced_minor": advanced,
        "paid_minor": paid,
        "charge_minor": paid - advanced,
    }
    returned, refunded = _back(asked)
    if returned or refunded:
        # Payments and advances of their own kind, in the two sums above.
        answer |= {"returned_minor": returned, "refunded_minor": refunded}
    if isinstance(flows, CashFlows):
        answer["periods_per_year"] = str(flows.periods_per_year)
    answer["annual_cost"] = [_entry(cost, flows, asked) for cost in costs]
    if beside_cash:
        answer["cash_price_minor"] = asked.cash_price
        answer["annual_cost_beside_cash"] = [_entry(cost, flows, asked) for cost in beside_cash]
    roots = _roots(flows, asked)
    if len(roots) > 1:
        answer["rates_per_period_percent"] = roots
    return answer


def _entry(cost: AnnualCost, flows: CashFlows | DatedFlows, asked: _Asked) -> dict[str, Any]:
    shown = {
        "method": cost.method,
        "rate_e12": cost.rate_e12,
        "percent": None if cost.rate_e12 is None else percent(cost.rate_e12, METHODS[cost.method].places),
        "undefined": cost.undefined,
    }
    if cost.undefined:
        shown["reason"] = UNDEFINED[cost.undefined].en
    if isinstance(flows, DatedFlows):
        shown["periods_per_year"] = str(counted(cost.method, flows, _unit_of(flows, asked)).periods_per_year)
    return shown


def _totals(flows: CashFlows | DatedFlows) -> tuple[int, int]:
    return sum(flow.amount_minor for flow in flows.advances), sum(
        flow.amount_minor for flow in flows.payments
    )


def _roots(flows: CashFlows | DatedFlows, asked: _Asked) -> list[str]:
    by_period = flows
    if isinstance(by_period, DatedFlows):
        by_period = counted(SIMPLE, by_period, _unit_of(flows, asked))
    found = internal_rate(by_period.advances, by_period.payments)
    return [percent(round(root * 10**12), 6) for root in found.roots]


# What is asked.


def _from_options(arguments: argparse.Namespace) -> _Asked:
    currency = check_currency(arguments.currency or "CNY", place="--currency")
    for option, given in (("--advance", arguments.advance), ("--payment", arguments.payment)):
        if not given:
            raise BadInput(option, "missing", "at least one amount", f"add {option} 6000, or see --help")
    every = 1
    if arguments.every is not None:
        if not re.fullmatch(r"[0-9]{1,6}", arguments.every):
            raise BadInput("--every", arguments.every, "a whole number of units")
        every = int(arguments.every)
    return _Asked(
        currency,
        _unit(arguments.unit or "month", every, "--every"),
        day_of(arguments.start, "--start") if arguments.start is not None else None,
        _written(arguments.advance, "--advance", currency),
        _written(arguments.payment, "--payment", currency),
        _written(arguments.returned or [], "--returned", currency),
        _written(arguments.refunded or [], "--refunded", currency),
        None
        if arguments.cash_price is None
        else parse_money(arguments.cash_price, currency, place="--cash-price"),
        arguments.unit is not None or arguments.every is not None,
    )


def _written(given: list[list[str]], option: str, currency: str) -> tuple[_Move, ...]:
    """Flows written AMOUNT[xTIMES][@WHEN], one after the other; round the signs there may be spaces."""
    moves = []
    for text in (word for words in given for word in _SIGNS.sub(r"\1", " ".join(words)).split()):
        found = _FLOW.fullmatch(text)
        if found is None:
            raise BadInput(
                option,
                text,
                "AMOUNT[xTIMES][@WHEN], WHEN a period or a date",
                "write 536x12, 536x12@3 or 536@2027-01-10",
            )
        moves.append(
            _Move(
                option,
                parse_money(found["amount"], currency, place=option),
                _times(int(found["times"] or 1), option),
                Fraction(found["at"]) if found["at"] is not None else None,
                day_of(found["on"], option) if found["on"] is not None else None,
            )
        )
    return tuple(moves)


def _from_file(arguments: argparse.Namespace) -> _Asked:
    for name in _BESIDE_FILE:
        if getattr(arguments, name) is not None:
            option = "--" + name.replace("_", "-")
            raise BadInput(option, "given", "no option beside a file", f"write it into {arguments.file}")
    content = read_json(arguments.file)
    if not isinstance(content, dict):
        raise BadInput(arguments.file, content, "a JSON object with advances and payments")
    for name in content:
        if name not in _FILE_FIELDS:
            raise BadInput(f"/{name}", "given", "one of " + ", ".join(sorted(_FILE_FIELDS)))
    currency = content.get("currency", "CNY")
    if not isinstance(currency, str):
        raise BadInput("/currency", currency, "a currency code such as CNY")
    check_currency(currency, place="/currency")
    unit, every = content.get("unit", "month"), content.get("every", 1)
    if unit not in get_args(Unit):
        raise BadInput("/unit", unit, "one of " + ", ".join(get_args(Unit)))
    if type(every) is not int:
        raise BadInput("/every", str(every), "a whole number of units")
    cash = content.get("cash_price")
    return _Asked(
        currency,
        _unit(unit, every, "/every"),
        day_of(content["start_on"], "/start_on") if "start_on" in content else None,
        _listed(content, "advances", currency),
        _listed(content, "payments", currency),
        _listed(content, "returned", currency) if "returned" in content else (),
        _listed(content, "refunded", currency) if "refunded" in content else (),
        None if cash is None else amount_of({"amount": cash}, currency, "/cash_price"),
        "unit" in content or "every" in content,
    )


def _listed(content: dict[str, Any], name: str, currency: str) -> tuple[_Move, ...]:
    listed = content.get(name)
    if not isinstance(listed, list):
        raise BadInput(
            f"/{name}", "missing" if listed is None else listed, 'a list of {"at": ..., "amount": ...}'
        )
    moves = []
    for number, entry in enumerate(listed):
        place = f"/{name}/{number}"
        if not isinstance(entry, dict):
            raise BadInput(place, entry, 'an object {"at": ..., "amount": ...}')
        for field in entry:
            if field not in _ENTRY_FIELDS:
                raise BadInput(f"{place}/{field}", "given", "one of " + ", ".join(_ENTRY_FIELDS))
        if "at" in entry and "on" in entry:
            raise BadInput(f"{place}/on", "given beside at", "a period or a date, not both")
        times = entry.get("times", 1)
        if type(times) is not int:
            raise BadInput(f"{place}/times", str(times), "a whole number")
        moves.append(
            _Move(
                place,
                check_minor(amount_of(entry, currency, place), currency, place=f"{place}/amount_minor"),
                _times(times, f"{place}/times"),
                None if "on" in entry else _period(entry.get("at"), f"{place}/at"),
                day_of(entry["on"], f"{place}/on") if "on" in entry else None,
            )
        )
    return tuple(moves)


def _period(given: object, place: str) -> Fraction:
    if isinstance(given, (int, Decimal)) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str) or not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,12}|/[1-9][0-9]{0,5})?", given):
        found = "missing" if given is None else given
        raise BadInput(place, found, "a time in periods from the start", 'write 1, 1.5 or "1/3"')
    return Fraction(given)


def _times(times: int, place: str) -> int:
    if not 1 <= times <= MAX_FLOWS:
        raise BadInput(place, times, f"1 to {MAX_FLOWS} times")
    return times


def _unit(unit: Unit, every: int, place: str) -> UnitPeriod:
    if not 1 <= every <= 3660:
        raise BadInput(place, every, "1 to 3660 units")
    return UnitPeriod(unit, every)


# Moves become flows: by period, or all of them dated.


def _flows(asked: _Asked) -> CashFlows | DatedFlows:
    sides = (asked.advances, asked.payments, asked.returned, asked.refunded)
    if asked.start is None and not any(move.on for side in sides for move in side):
        advances, payments, returned, refunded = (
            _by_period(side, first=int(side is not asked.advances)) for side in sides
        )
        yearly = periods_per_year(_plain(asked.unit), asked.unit.every)
        return CashFlows((*advances, *refunded), (*payments, *returned), yearly)
    lent, paid, in_kind, back = (
        _by_date(side, asked, first=int(side is not asked.advances)) for side in sides
    )
    return DatedFlows((*lent, *back), (*paid, *in_kind))


def _plain(unit: UnitPeriod) -> Unit:
    assert unit.kind != "year", "no option says so"
    return unit.kind


def _by_period(moves: tuple[_Move, ...], *, first: int) -> tuple[CashFlow, ...]:
    flows: list[CashFlow] = []
    following = Fraction(first)
    for move in moves:
        start = following if move.at is None else move.at
        flows += [CashFlow(start + step, move.amount_minor) for step in range(move.times)]
        following = start + move.times
        _count(flows)
    return tuple(flows)


def _by_date(moves: tuple[_Move, ...], asked: _Asked, *, first: int) -> tuple[DatedFlow, ...]:
    """On the date given and each period after it; at a period counted from the start; or after the move before."""
    flows: list[DatedFlow] = []
    unit, every = _plain(asked.unit), asked.unit.every
    # Periods are counted from one day on, so that months keep it: the start, or the last date given.
    anchor, following = asked.start, first
    for move in moves:
        if move.on is not None:
            anchor, following = move.on, 0
        elif move.at is not None:
            if move.at.denominator > 1:
                raise CostError(
                    f"{move.place}/at", str(move.at), "whole periods, where others are dated", "give a date"
                )
            anchor, following = asked.start, int(move.at)
        if anchor is None:
            raise BadInput(
                "--start",
                "missing",
                "the day of the first advance, since other days are given",
                "add --start 2026-11-22",
            )
        last = following + move.times
        dates = (anchor, *due_dates(anchor, unit, every, last - 1)) if last > 1 else (anchor,)
        flows += [DatedFlow(on, move.amount_minor) for on in dates[following:last]]
        following = last
        _count(flows)
    return tuple(flows)


def _count(flows: Sequence[CashFlow | DatedFlow]) -> None:
    if len(flows) > MAX_FLOWS:
        raise CostError("flows", f"{len(flows)} flows", f"at most {MAX_FLOWS}")
