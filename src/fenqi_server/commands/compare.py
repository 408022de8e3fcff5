"""`fenqi compare`: buy, pay over time, rent and give back, rent and buy out: which of them costs what."""

from __future__ import annotations

import argparse
import re
from datetime import date
from typing import Any

import msgspec

from fenqi.calendars import add_months, due_dates
from fenqi.money import check_currency, format_money, parse_money
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import parse_ratio
from fenqi.policy.document import load_policy
from fenqi.problems import BadInput
from fenqi.terms.comparison import Comparison, Resale, Way, compare, lease_ways, outright, way_of
from fenqi.terms.plan import PayInFull, Plan
from fenqi.terms.rent import Buyout, Deposit, Lease, Pledge, Renewal, Rent
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text
from fenqi_server import clock
from fenqi_server.cli import print_json
from fenqi_server.commands.schedule import day_of
from fenqi_server.commands.table import print_table, shown_percent

EXAMPLES = """\
examples:
  a phone of ¥6,999: rent it for ¥499 a month, deposit ¥1,000, buyout ¥1,600 after 12 months, or buy it:
    fenqi compare --price 6999 --rent 499x12 --deposit 1000 --buyout 1600
  the same, where a phone bought is still worth ¥5,500 after a month and ¥3,000 after a year:
    fenqi compare --price 6999 --rent 499x12 --deposit 1000 --buyout 1600 --resale 5500@1 --resale 3000@12
  somebody's instalments against the price for cash (500 now, then 12 x 600):
    fenqi compare --price 6999 --instalments 500+600x12
  plans of a policy, for this price:
    fenqi compare --price 6999 --policy policy/ --plan mall_12 --plan phone_rent_12

  "0 %" at the list price, where cash is ¥200 cheaper:
    fenqi compare --price 5800 --list-price 6000 --policy policy/ --plan mall_3

Every way counts all that is paid and comes back; a deposit goes against the buyout unless you write 1000:returned or
1000:lost. What a thing bought is worth later is your assumption (--resale); without one it counts as nothing, which is the
most that can be said for renting. "a year" is twelve times the rate of a month (simple)."""

SENTENCES = 3
_TIMES = re.compile(r"(?P<amount>[^x×*+]+)[x×*](?P<times>[0-9]{1,4})")
_UNITS = ("day", "week", "month", "year")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `compare` to the program's commands."""
    parser = subparsers.add_parser(
        "compare",
        help="rent or buy: the ways to have one thing, side by side",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--price", required=True, metavar="AMOUNT", help="the lowest price for cash today")
    parser.add_argument(
        "--list-price",
        metavar="AMOUNT",
        help="the price at which a policy's plans are, where cash is cheaper (--price)",
    )
    parser.add_argument("--currency", default="CNY", help="ISO 4217 code (CNY)")
    parser.add_argument("--start", metavar="DATE", help="the first day (today)")
    parser.add_argument(
        "--months",
        metavar="N",
        help="for how long the thing is used (until the rent ends; where nothing is rented, until the last payment)",
    )
    parser.add_argument(
        "--resale",
        action="append",
        default=[],
        metavar="AMOUNT@MONTH",
        help="what it is worth then; several, in order; straight lines between them",
    )
    rent = parser.add_argument_group("a rent, typed in")
    rent.add_argument("--rent", metavar="AMOUNTxTIMES", help="each rent, and how many of them")
    rent.add_argument("--unit", choices=_UNITS, default="month", help="a rent is for a ... (month)")
    rent.add_argument(
        "--arrears", action="store_true", help="paid at the end of each period, not at its beginning"
    )
    rent.add_argument(
        "--deposit",
        metavar="AMOUNT[:credited|returned|lost]",
        help="paid at the start, and what becomes of it",
    )
    rent.add_argument("--buyout", metavar="AMOUNT", help="the price after the last rent")
    rent.add_argument("--renewal", metavar="SHARE", help="renting on costs this share of the rent: 80%%")
    rent.add_argument("--return-shipping", metavar="AMOUNT", help="what sending it back costs")
    parser.add_argument(
        "--instalments",
        action="append",
        default=[],
        metavar="[DOWN+]AMOUNTxTIMES",
        help="monthly payments of anybody's offer, after what is paid at once",
    )
    parser.add_argument("--policy", metavar="DIR", help="take plans from this policy")
    parser.add_argument(
        "--plan", action="append", default=[], metavar="ID", help="one of its plans (all of them)"
    )
    parser.add_argument(
        "--lang", choices=("en", "zh-CN"), default="en", help="language of names and sentences (en)"
    )
    parser.add_argument("--json", action="store_true", help="for programs: everything, in minor units")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the ways side by side, and the sentence that says which to take."""
    currency = check_currency(arguments.currency, place="--currency")
    price = _money(arguments.price, currency, "--price")
    start = day_of(arguments.start, "--start") if arguments.start else clock.system_now().date()
    months = _number(arguments.months, "--months") if arguments.months else 0
    ways = [outright(price, start)]
    if arguments.rent:
        plan, name = _typed_lease(arguments, currency), Text("租", "Renting")
        months = months or _months_of(plan, start)
        ways += lease_ways(plan, price, currency, start, months, name)
    else:
        for option in ("deposit", "buyout", "renewal", "return_shipping"):
            if getattr(arguments, option) is not None:
                raise BadInput(
                    "--" + option.replace("_", "-"), "given", "a rent with it", "add --rent 499x12"
                )
    for number, written in enumerate(arguments.instalments, 1):
        ways.append(_typed_instalments(written, number, currency, start))
    listed = _money(arguments.list_price, currency, "--list-price") if arguments.list_price else price
    if arguments.policy:
        policy, plans = _plans_of(arguments.policy, arguments.plan, currency)
        longest = max((_months_of(plan, start) for plan, _ in plans), default=0)
        months = months or max(longest, _last_month(ways, start))
        for plan, name in plans:
            if isinstance(plan.pricing, Lease):
                ways += lease_ways(plan, listed, currency, start, months, name)
            else:
                bill = build_schedule(plan, listed, currency, start, policy.calendars)
                ways.append(way_of(bill, plan.id, name))
    elif arguments.plan:
        raise BadInput("--plan", arguments.plan[0], "a policy with it", "add --policy DIR")
    if len(ways) == 1:
        raise BadInput(
            "ways", "buying alone", "something to compare it with", "add --rent, --instalments or --policy"
        )
    months = months or _last_month(ways, start)
    resale = [_resale(written, currency) for written in arguments.resale]
    found = compare(ways, price_minor=price, currency=currency, start_on=start, months=months, resale=resale)
    if arguments.json:
        print_json(_document(found))
    else:
        _show(found, arguments.lang)
    return 0


def _show(found: Comparison, locale: str) -> None:
    head = {
        "en": ("way", "paid", "back", "worth then", "costs", "yours?", "over the price", "a year"),
        "zh-CN": ("方式", "付出", "退回", "期末价值", "净花费", "归您", "比现价多", "年化（单利）"),
    }[locale]
    yes, no, none = {"en": ("yes", "no", "-"), "zh-CN": ("是", "否", "-")}[locale]

    def money(minor: int | None) -> str:
        return none if minor is None else format_money(minor, found.currency)

    rows = [
        (
            way.name.in_(locale),
            money(way.paid_minor),
            money(way.returned_minor),
            money(way.value_left_minor),
            money(way.cost_minor),
            yes if way.owns else no,
            money(way.over_price_minor),
            none if way.simple_e12 is None else shown_percent(way.simple_e12),
        )
        for way in found.ways
    ]
    print_table(head, rows, right=(1, 2, 3, 4, 6, 7))
    print("\n" + found.sentence.in_(locale, found.currency))
    told = [way for way in found.ways if way.sentence is not None and way.sentence != found.sentence]
    # Of many ways the table says enough.
    for way in told if len(told) <= SENTENCES else []:
        if way.sentence is not None:
            print(way.sentence.in_(locale, found.currency))
    if not found.resale:
        print(
            {
                "en": "A thing bought counts as worth nothing afterwards: say what it is worth with --resale.",
                "zh-CN": "未给出期末价值，买下之物按期末不值钱计：可用 --resale 说明。",
            }[locale]
        )


def _document(found: Comparison) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(found)
    for place, sentence in (
        (document, found.sentence),
        *zip(document["ways"], [way.sentence for way in found.ways], strict=True),
    ):
        if sentence is not None:
            place["sentence"] = {locale: sentence.in_(locale, found.currency) for locale in ("zh-CN", "en")}
    return document


def _typed_lease(arguments: argparse.Namespace, currency: str) -> Plan:
    rent, times = _repeated(arguments.rent, currency, "--rent")
    every = 12 if arguments.unit == "year" else 1
    deposit = None
    if arguments.deposit is not None:
        amount, _, end = arguments.deposit.partition(":")
        if end not in ("", "credited", "returned", "lost"):
            raise BadInput("--deposit", arguments.deposit, "AMOUNT, or AMOUNT:credited, :returned or :lost")
        minor = _money(amount, currency, "--deposit")
        at_end = end or ("credited" if arguments.buyout is not None else "returned")
        deposit = Deposit(amount_minor=minor, at_end=at_end, release_days=0)
    renewal = None
    if arguments.renewal is not None:
        share = parse_ratio(arguments.renewal)
        if share is None or not 0 < share <= 10:
            raise BadInput("--renewal", arguments.renewal, "a share of the rent", "write 80%")
        renewal = Renewal(coefficient=share)
    lease = Lease(
        rent=Rent(amount_minor=rent),
        paid="in_arrears" if arguments.arrears else "in_advance",
        goods="new",
        deposit=deposit,
        buyout=None if arguments.buyout is None else Buyout(_money(arguments.buyout, currency, "--buyout")),
        renewal=renewal,
        return_shipping_minor=_money(arguments.return_shipping or "0", currency, "--return-shipping"),
    )
    unit = "month" if arguments.unit == "year" else arguments.unit
    return Plan("rent", "rent", "lessor", "operating_lease", times, lease, unit=unit, every=every)


def _typed_instalments(written: str, number: int, currency: str, start: date) -> Way:
    down, plus, rest = written.rpartition("+")
    each, times = _repeated(rest, currency, "--instalments")
    flows = [(start, _money(down, currency, "--instalments"))] if plus else []
    flows += [(on, each) for on in due_dates(start, "month", 1, times)]
    shown = format_money(each, currency)
    return Way(
        id=f"instalments_{number}",
        kind="instalments",
        name=Text(f"分 {times} 期，每期 {shown}", f"Paying {times} x {shown}"),
        flows=tuple(flows),
        owns=True,
    )


def _plans_of(folder: str, wanted: list[str], currency: str) -> tuple[Policy, list[tuple[Plan, Text]]]:
    loaded = load_policy(folder)
    if loaded.snapshot is None:
        raise BadInput("--policy", str(loaded.problems[0]), "a policy", f"fenqi policy check {folder}")
    policy = compile_policy(loaded.snapshot)
    if policy.currency != currency:
        raise BadInput("--currency", currency, f"{policy.currency}, the policy's currency")
    for name in wanted:
        if name not in policy.plan_index:
            raise BadInput("--plan", name, "one of " + ", ".join(policy.plan_index))
    found = []
    for plan in policy.plans:
        priced_at_once = isinstance(plan.pricing, (PayInFull, Pledge))
        if (plan.id in wanted) if wanted else not priced_at_once:
            name = policy.families[plan.family].name
            found.append(
                (plan, Text(f"{name.zh_cn} {plan.periods} 期", f"{name.en}, {plan.periods} payments"))
            )
    return policy, found


def _months_of(plan: Plan, start: date) -> int:
    due = due_dates(
        start, plan.unit, plan.every, plan.periods, plan.defer_periods, plan.due_day, plan.min_first_days
    )
    return _month_after(start, due[-1])


def _last_month(ways: list[Way], start: date) -> int:
    return _month_after(start, max(on for way in ways for on, _ in way.flows))


def _month_after(start: date, on: date) -> int:
    month = 1
    while add_months(start, month) < on:
        month += 1
    return month


def _repeated(written: str, currency: str, place: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(written.strip())
    if found is None or not 1 <= int(found["times"]) <= 600:
        raise BadInput(place, written, "AMOUNTxTIMES, up to 600 times", "write 499x12")
    return _money(found["amount"], currency, place), int(found["times"])


def _resale(written: str, currency: str) -> Resale:
    amount, at, month = written.partition("@")
    if not at:
        raise BadInput("--resale", written, "AMOUNT@MONTH", "write 3000@12")
    return Resale(_number(month, "--resale"), _money(amount, currency, "--resale"))


def _money(written: str, currency: str, place: str) -> int:
    return parse_money(written, currency, place=place)


def _number(written: str, place: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", written):
        raise BadInput(place, written, "a whole number of months")
    return int(written)
