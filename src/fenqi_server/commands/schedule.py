"""`fenqi schedule`: what is paid when, and what it truly costs, for terms given on the command line or in a file."""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from fenqi.money import parse_money
from fenqi.problems import BadInput
from fenqi.terms.cost import Cost, cost_of
from fenqi.terms.disclosure import percent
from fenqi.terms.plan import Annuity, DownPayment, FlatFee, PayInFull, Plan, Pricing, ZeroInterest, check_plan
from fenqi.terms.schedule import Schedule, build_schedule
from fenqi_server.cli import print_json

EXAMPLES = """\
examples:
  12 monthly instalments of a ¥6,000 phone, 0.6 % of the price each month:
    fenqi schedule --amount 6000 --currency CNY --periods 12 --flat-fee 0.006 --start 2026-11-23
  an annuity at 7.2 % a year, 30 % paid at once, the first instalment two months later:
    fenqi schedule --amount 6000 --periods 12 --annuity 0.072 --down 30% --defer 1 --start 2026-11-23
  interest-free in 3; every second week:
    fenqi schedule --amount 1999 --periods 3 --zero --unit week --every 2 --start 2026-11-23
  a plan from a file, {"plan": {"periods": 12, "pricing": {"kind": "flat_fee", "total_rate": "0.072"}},
  "amount": "6000", "currency": "CNY", "start_on": "2026-11-23"} (- reads standard input):
    fenqi schedule plan.json

Prints one JSON object: the amounts in minor units (fen), the rows, the yearly cost (rate_e12: in 1e-12)."""

_FILE_FIELDS = {"plan", "amount", "amount_minor", "currency", "start_on"}


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
    parser.add_argument("--periods", help="number of instalments")
    pricing = parser.add_mutually_exclusive_group()
    pricing.add_argument(
        "--flat-fee", metavar="RATE", help="fee of each period on the amount financed: 0.006 or 0.6%%"
    )
    pricing.add_argument(
        "--total-fee", metavar="RATE", help="fee in total on the amount financed: 0.072 or 7.2%%"
    )
    pricing.add_argument(
        "--annuity", metavar="RATE", help="yearly interest, equal instalments: 0.072 or 7.2%%"
    )
    pricing.add_argument("--zero", action="store_true", help="interest-free")
    pricing.add_argument("--in-full", action="store_true", help="everything at once")
    parser.add_argument("--start", metavar="DATE", help="the day of the purchase, such as 2026-11-23")
    parser.add_argument("--unit", choices=("day", "week", "month"), help="unit of a period (month)")
    parser.add_argument("--every", help="units in a period (1)")
    parser.add_argument(
        "--defer", metavar="PERIODS", help="periods by which the first due date is put off (0)"
    )
    parser.add_argument("--down", metavar="SHARE|AMOUNT", help="down payment: 30%% or 500")
    parser.add_argument(
        "--residue", choices=("first", "last"), help="which instalment takes what does not divide (first)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the schedule as JSON."""
    terms = _from_file(arguments) if arguments.file is not None else _from_options(arguments)
    plan, amount_minor, currency, start_on = terms
    schedule = build_schedule(plan, amount_minor, currency, start_on)
    print_json(_answer(schedule, cost_of(schedule, plan)))
    return 0


def _answer(schedule: Schedule, cost: Cost) -> dict[str, Any]:
    return {
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
        "rows": [{**msgspec.to_builtins(row), "total_minor": row.total_minor} for row in schedule.rows],
    }


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
    plan = Plan(
        id="command-line",
        family="command-line",
        funder="shop",
        legal_form="full_payment" if arguments.in_full else "instalment_sale",
        periods=periods,
        pricing=_pricing(arguments),
        unit=arguments.unit or "month",
        every=_whole(arguments.every, "--every") if arguments.every is not None else 1,
        down_payment=_down(arguments.down, currency),
        defer_periods=_whole(arguments.defer, "--defer") if arguments.defer is not None else 0,
        residue=arguments.residue or "first",
    )
    _refuse(plan, _OPTIONS)
    return plan, amount_minor, currency, _day(start, "--start")


_OPTIONS = {
    "periods": "--periods",
    "every": "--every",
    "defer_periods": "--defer",
    "pricing.rate_per_period": "--flat-fee",
    "pricing.total_rate": "--total-fee",
    "pricing.annual_rate": "--annuity",
    "down_payment": "--down",
    "down_payment.share": "--down",
    "down_payment.amount_minor": "--down",
}
"""What a plan's field is called on the command line."""


def _pricing(arguments: argparse.Namespace) -> Pricing:
    if arguments.in_full:
        return PayInFull()
    if arguments.zero:
        return ZeroInterest("shop")
    if arguments.flat_fee is not None:
        return FlatFee(rate_per_period=rate_of(arguments.flat_fee, "--flat-fee"))
    if arguments.total_fee is not None:
        return FlatFee(total_rate=rate_of(arguments.total_fee, "--total-fee"))
    if arguments.annuity is not None:
        return Annuity(rate_of(arguments.annuity, "--annuity"))
    raise BadInput(
        "pricing",
        "missing",
        "one of --flat-fee, --total-fee, --annuity, --zero, --in-full",
        "add --flat-fee 0.006",
    )


def _down(given: str | None, currency: str) -> DownPayment | None:
    if given is None:
        return None
    if given.strip().endswith("%"):
        return DownPayment(share=rate_of(given, "--down"))
    return DownPayment(amount_minor=parse_money(given, currency, place="--down"))


def _from_file(arguments: argparse.Namespace) -> Terms:
    for name, value in vars(arguments).items():
        if name in _BESIDE_FILE and value:
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
    if isinstance(terms.get("pricing"), dict) and terms["pricing"].get("kind") == "pay_in_full":
        named["legal_form"] = terms.get("legal_form", "full_payment")
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
            expected = "one of zero_interest, flat_fee, annuity, pay_in_full"
        raise BadInput(pointer, _found(content, pointer), expected) from None
    _refuse(plan, {})
    return plan, amount_minor, currency, _day(start, "/start_on")


_BESIDE_FILE = {
    "amount", "currency", "periods", "flat_fee", "total_fee", "annuity", "zero", "in_full",
    "start", "unit", "every", "defer", "down", "residue",
}  # fmt: skip


def _refuse(plan: Plan, names: dict[str, str]) -> None:
    for problem in check_plan(plan):
        pointer = f"/plan{_steps('.' + problem.place)}" if not names else problem.place
        place = names.get(problem.place, pointer)
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


def _day(given: str, place: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise BadInput(place, given, "a date such as 2026-11-23") from None


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
