"""`fenqi cost`: what any payments over time truly cost in a year, by named methods."""

from __future__ import annotations

import argparse
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

from fenqi.calendars import Unit
from fenqi.money import check_currency, check_minor, parse_money
from fenqi.problems import BadInput
from fenqi.terms.cost import (
    COMPOUNDED,
    MAX_FLOWS,
    METHODS,
    SIMPLE,
    CashFlow,
    CashFlows,
    annual_cost,
    internal_rate,
    periods_per_year,
)
from fenqi.terms.disclosure import percent
from fenqi_server.cli import print_json
from fenqi_server.commands.schedule import amount_of, read_json

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
  cash flows from a file (- reads standard input), {"currency": "CNY", "unit": "month", "every": 1,
  "advances": [{"at": 0, "amount": "6000"}], "payments": [{"at": 1, "amount": "536", "times": 12}]}:
    fenqi cost flows.json

AMOUNT[xTIMES][@PERIOD]: TIMES payments, one a period, the first at the end of PERIOD (by default the period
after the payment before; an advance is at 0, the start). Prints one JSON object; rate_e12 is in 1e-12, null
with a reason where no single rate balances the flows."""

_REASONS = {
    "one_signed": "nothing is advanced, or nothing is paid",
    "no_root": "no rate from -99 % to 1000 % a period balances these flows",
    "ambiguous": "several rates balance these flows",
    "beyond_measure": "the rate is too large to be written",
}
_FILE_FIELDS = {"advances", "payments", "currency", "unit", "every"}
_FLOW = re.compile(r"(?P<amount>[^x×*@]+)(?:[x×*](?P<times>[0-9]{1,5}))?(?:@(?P<at>[0-9]{1,6}))?")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cost` to the program's commands."""
    parser = subparsers.add_parser(
        "cost",
        help="what payments over time truly cost in a year",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", metavar="FILE.json", help="cash flows; - for standard input")
    parser.add_argument(
        "--advance",
        nargs="+",
        action="append",
        metavar="AMOUNT[xTIMES][@PERIOD]",
        help="what the customer gets",
    )
    parser.add_argument(
        "--payment",
        nargs="+",
        action="append",
        metavar="AMOUNT[xTIMES][@PERIOD]",
        help="what the customer pays",
    )
    parser.add_argument("--currency", help="ISO 4217 code (CNY)")
    parser.add_argument("--unit", choices=get_args(Unit), help="unit of a period (month)")
    parser.add_argument("--every", help="units in a period (1)")
    parser.add_argument("--method", choices=tuple(METHODS), help="one method alone (simple and compounded)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the cost as JSON."""
    currency, flows = _from_file(arguments) if arguments.file is not None else _from_options(arguments)
    print_json(_answer(currency, flows, (arguments.method,) if arguments.method else (SIMPLE, COMPOUNDED)))
    return 0


def _answer(currency: str, flows: CashFlows, methods: tuple[str, ...]) -> dict[str, Any]:
    found = internal_rate(flows.advances, flows.payments)
    advanced = sum(flow.amount_minor for flow in flows.advances)
    paid = sum(flow.amount_minor for flow in flows.payments)
    costs = []
    for method in methods:
        cost = annual_cost(method, flows)
        shown = {
            "method": method,
            "rate_e12": cost.rate_e12,
            "percent": None if cost.rate_e12 is None else percent(cost.rate_e12),
            "undefined": cost.undefined,
        }
        if cost.undefined:
            shown["reason"] = _REASONS[cost.undefined]
        costs.append(shown)
    answer: dict[str, Any] = {
        "currency": currency,
        "advanced_minor": advanced,
        "paid_minor": paid,
        "charge_minor": paid - advanced,
        "periods_per_year": str(flows.periods_per_year),
        "annual_cost": costs,
    }
    if len(found.roots) > 1:
        answer["rates_per_period_percent"] = [percent(round(root * 10**12), 6) for root in found.roots]
    return answer


def _from_options(arguments: argparse.Namespace) -> tuple[str, CashFlows]:
    currency = check_currency(arguments.currency or "CNY", place="--currency")
    for option, given in (("--advance", arguments.advance), ("--payment", arguments.payment)):
        if not given:
            raise BadInput(option, "missing", "at least one amount", f"add {option} 6000, or see --help")
    every = 1
    if arguments.every is not None:
        if not re.fullmatch(r"[0-9]{1,6}", arguments.every):
            raise BadInput("--every", arguments.every, "a whole number of units")
        every = int(arguments.every)
    return currency, CashFlows(
        tuple(_written(arguments.advance, "--advance", currency, first=0)),
        tuple(_written(arguments.payment, "--payment", currency, first=1)),
        _yearly(arguments.unit or "month", every, "--every"),
    )


def _written(given: list[list[str]], option: str, currency: str, *, first: int) -> list[CashFlow]:
    """Flows written AMOUNT[xTIMES][@PERIOD], in one word or several."""
    flows: list[CashFlow] = []
    following = first
    for words in given:
        text = "".join(words)
        found = _FLOW.fullmatch(text)
        if found is None:
            raise BadInput(option, " ".join(words), "AMOUNT[xTIMES][@PERIOD]", "write 536x12 or 536x12@3")
        amount_minor = parse_money(found["amount"], currency, place=option)
        start = int(found["at"]) if found["at"] is not None else following
        times = _times(int(found["times"] or 1), option)
        flows += [CashFlow(start + number, amount_minor) for number in range(times)]
        following = start + times
    return flows


def _from_file(arguments: argparse.Namespace) -> tuple[str, CashFlows]:
    for name in ("advance", "payment", "currency", "unit", "every"):
        if getattr(arguments, name) is not None:
            raise BadInput(f"--{name}", "given", "no option beside a file", f"write it into {arguments.file}")
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
    return currency, CashFlows(
        tuple(_listed(content, "advances", currency)),
        tuple(_listed(content, "payments", currency)),
        _yearly(unit, every, "/every"),
    )


def _listed(content: dict[str, Any], name: str, currency: str) -> list[CashFlow]:
    listed = content.get(name)
    if not isinstance(listed, list):
        raise BadInput(
            f"/{name}", "missing" if listed is None else listed, 'a list of {"at": ..., "amount": ...}'
        )
    flows: list[CashFlow] = []
    for number, entry in enumerate(listed):
        place = f"/{name}/{number}"
        if not isinstance(entry, dict):
            raise BadInput(place, entry, 'an object {"at": ..., "amount": ...}')
        for field in entry:
            if field not in ("at", "amount", "amount_minor", "times"):
                raise BadInput(f"{place}/{field}", "given", "one of at, amount, amount_minor, times")
        at = _period(entry.get("at"), f"{place}/at")
        times = entry.get("times", 1)
        if type(times) is not int:
            raise BadInput(f"{place}/times", str(times), "a whole number")
        amount_minor = check_minor(amount_of(entry, currency, place), currency, place=f"{place}/amount_minor")
        flows += [CashFlow(at + step, amount_minor) for step in range(_times(times, f"{place}/times"))]
    return flows


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


def _yearly(unit: Unit, every: int, place: str) -> Fraction:
    if not 1 <= every <= 3660:
        raise BadInput(place, every, "1 to 3660 units")
    return periods_per_year(unit, every)
