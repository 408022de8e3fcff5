"""`fenqi shop`: the storefronts that this installation serves."""

from __future__ import annotations

import argparse
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fenqi.calendars import CalendarError, zone_of
from fenqi.money import check_currency
from fenqi.problems import BadInput

if TYPE_CHECKING:
    from fenqi_server.shops.models import Shop

__all__ = ["add_parser", "local_text", "shop_of", "text_of"]

_EXAMPLES = """\
examples:
  fenqi shop add corner --name-zh 街角数码 --name-en "Corner Digital" --time-zone Asia/Shanghai --currency CNY
  fenqi shop add corner-live --live --name-zh 街角数码 --name-en "Corner Digital" \\
        --time-zone Asia/Shanghai --currency CNY          the real one, beside the one to try things in
  fenqi shop list
  fenqi shop origin corner https://mall.example             let this site's pages use the shop's checkout sessions
  fenqi shop origin corner https://mall.example --remove
  fenqi shop rules corner --before 7,3 --late 1,7,30 --retry 1,3     when customers are reminded
  fenqi shop set corner --cashier 'https://mall.example/cashier?slip={slip}'     where customers pay what they owe
  fenqi shop set corner --run-by one                        nobody else is there to agree: a day goes by instead

A shop keeps its code, its time zone (what a day is) and its currency for good. A test shop and a live shop are two
shops: nothing is shared between them, and each opens only with keys of its own kind. What comes next:
  fenqi policy publish policy/ --shop corner --actor ann
  fenqi key add --shop corner --label "checkout server"
"""

MAX_NAME = 80  # what the database keeps of a name
MAX_SUPPORT = 200


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "shop",
        help="make a shop, or list them",
        description="Makes a shop, or lists the shops of this installation.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add = actions.add_parser(
        "add",
        help="make a shop",
        description="Makes a shop. It has no key and no policy yet.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add.add_argument("code", metavar="CODE", help="its short name: small letters, digits, - and _")
    add.add_argument("--name-zh", required=True, metavar="NAME", help="its name in Chinese")
    add.add_argument("--name-en", required=True, metavar="NAME", help="its name in English")
    add.add_argument("--time-zone", required=True, metavar="ZONE", help="IANA name, such as Asia/Shanghai")
    add.add_argument("--currency", required=True, help="ISO 4217 code, such as CNY")
    add.add_argument(
        "--live", action="store_true", help="a shop for real customers (without it: a test shop)"
    )
    add.set_defaults(run=run_add)
    listing = actions.add_parser(
        "list",
        help="all shops",
        description="Lists the shops, the first made first.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.set_defaults(run=run_list)
    origin = actions.add_parser(
        "origin",
        help="let a site's pages use the shop's checkout sessions",
        description="Lets pages of a site use checkout sessions of the shop, or stops it. Prints all that may.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    origin.add_argument("code", metavar="CODE", help="the shop's code")
    origin.add_argument(
        "origin", metavar="ORIGIN", help="scheme, host and port, such as https://mall.example"
    )
    origin.add_argument("--remove", action="store_true", help="take it off the list again")
    origin.set_defaults(run=run_origin)
    tell = actions.add_parser(
        "set",
        help="say where customers pay, how support is reached, and whether one person runs it",
        description="Sets what the shop says of itself on its customers' pages, and whether one person runs it. What is not given stays as it is.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tell.add_argument("code", metavar="CODE", help="the shop's code")
    tell.add_argument(
        "--cashier",
        metavar="URL",
        help="where customers pay, with {slip} where the payment slip goes; '' takes it away",
    )
    tell.add_argument("--support-zh", metavar="TEXT", help="how support is reached, in Chinese")
    tell.add_argument("--support-en", metavar="TEXT", help="how support is reached, in English")
    tell.add_argument(
        "--run-by",
        choices=("one", "several"),
        help="by one person: what needs a second one waits a day instead; by several (the default): for somebody else",
    )
    tell.set_defaults(run=run_set)
    rules = actions.add_parser(
        "rules",
        help="say when customers are reminded, and when a failed automatic payment is tried again",
        description="Prints when the shop reminds and tries again; what is given is set before.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rules.add_argument("code", metavar="CODE", help="the shop's code")
    rules.add_argument(
        "--before", metavar="DAYS", help="so many days before a due date, such as 7,3; '' for none"
    )
    rules.add_argument("--on-due", choices=("yes", "no"), help="on the due date itself")
    rules.add_argument("--late", metavar="DAYS", help="so many days after it, such as 1,7,30; '' for none")
    rules.add_argument(
        "--retry",
        metavar="DAYS",
        help="a failed automatic payment is tried again so many days after the first try, such as 1,3; '' for never",
    )
    rules.set_defaults(run=run_rules)


def run_add(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    code: str = arguments.code
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", code):
        raise BadInput("CODE", code, "1 to 40 small letters, digits, - and _, such as corner")
    name_zh_cn = text_of(arguments.name_zh, "--name-zh", longest=MAX_NAME)
    name_en = text_of(arguments.name_en, "--name-en", longest=MAX_NAME)
    time_zone = _zone(arguments.time_zone)
    currency = check_currency(arguments.currency, place="--currency")
    with open_service():
        from django.db import IntegrityError, transaction

        from fenqi_server import clock
        from fenqi_server.shops import service as shops

        try:
            with transaction.atomic():
                shop = shops.create_shop(
                    code,
                    name_zh_cn=name_zh_cn,
                    name_en=name_en,
                    at=clock.now(),
                    time_zone=time_zone,
                    currency=currency,
                    live=arguments.live,
                )
        except IntegrityError:
            raise BadInput(
                "CODE", code, "a code that no shop has", "`fenqi shop list` shows those taken"
            ) from None
        print_json(_shown(shop))
    note(f"Next: fenqi policy publish DIR --shop {code} --actor NAME, and fenqi key add --shop {code}")
    return 0


def run_rules(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    before, late, retry = (
        _days(text, place)
        for text, place in (
            (arguments.before, "--before"),
            (arguments.late, "--late"),
            (arguments.retry, "--retry"),
        )
    )
    with open_service():
        from django.db import transaction

        from fenqi_server.autopay.rules import retry_days, set_retry_days
        from fenqi_server.reminders.rules import Rules, rules_of, set_rules

        shop = shop_of(arguments.code)
        with transaction.atomic():
            known = rules_of(shop)
            if before is not None or late is not None or arguments.on_due is not None:
                set_rules(
                    shop,
                    Rules(
                        known.before_days if before is None else before,
                        known.on_due if arguments.on_due is None else arguments.on_due == "yes",
                        known.late_days if late is None else late,
                    ),
                )
            if retry is not None:
                set_retry_days(shop, retry)
            found = rules_of(shop)
            print_json(
                {
                    "shop": shop.code,
                    "before_days": list(found.before_days),
                    "on_due": found.on_due,
                    "late_days": list(found.late_days),
                    "retry_days": list(retry_days(shop)),
                }
            )
    return 0


def _days(text: str | None, place: str) -> tuple[int, ...] | None:
    """Days as they are written on the command line; None where nothing is said."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isdecimal() and len(part) < 5 for part in parts):
        raise BadInput(place, text, "whole days with commas between, such as 1,7,30")
    return tuple(sorted(int(part) for part in parts))


def run_list(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.shops.models import Shop

        print_json({"shops": [_shown(shop) for shop in Shop.objects.order_by("created_at", "code")]})
    return 0


def run_origin(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server import clock
        from fenqi_server.shops import service as shops

        shop = shop_of(arguments.code, place="CODE")
        if not arguments.remove:
            try:
                shops.allow_origin(shop, arguments.origin, clock.now())
            except ValueError:
                raise BadInput(
                    "ORIGIN",
                    arguments.origin,
                    "an origin as browsers write it, such as https://mall.example",
                    "small letters, no path and no slash at the end, no * and no port 443 or 80",
                ) from None
        elif not shops.forbid_origin(shop, arguments.origin):
            known = ", ".join(shops.origins_of(shop))
            raise BadInput(
                "ORIGIN", arguments.origin, f"one of {known}" if known else "an origin on the list"
            )
        print_json({"shop": shop.code, "origins": shops.origins_of(shop)})
    return 0


def run_set(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.portal.slips import check_cashier
        from fenqi_server.shops import service as shops
        from fenqi_server.shops.models import Shop

        shop = shop_of(arguments.code, place="CODE")
        cashier: str | None = arguments.cashier
        if cashier:
            try:
                check_cashier(cashier, live=shop.live)
            except ValueError as wrong:
                raise BadInput(
                    "--cashier",
                    cashier,
                    "an address such as https://mall.example/cashier?slip={slip}",
                    str(wrong),
                ) from None
        zh, en = (
            text if not text else text_of(text, place, longest=MAX_SUPPORT)
            for text, place in (
                (arguments.support_zh, "--support-zh"),
                (arguments.support_en, "--support-en"),
            )
        )
        alone = None if arguments.run_by is None else arguments.run_by == "one"
        shops.say(shop, pay_url=cashier, support_zh_cn=zh, support_en=en, single_operator=alone)
        print_json(_shown(Shop.objects.get(id=shop.id)))
    return 0


def shop_of(code: str, *, place: str = "--shop") -> Shop:
    """The shop that an option or argument names."""
    from fenqi_server.shops import service as shops
    from fenqi_server.shops.models import Shop

    try:
        return shops.by_code(code)
    except Shop.DoesNotExist:
        known = ", ".join(Shop.objects.order_by("code").values_list("code", flat=True)[:20])
        way_out = "`fenqi shop add` makes a shop"
        raise BadInput(place, code, f"one of {known}" if known else "a shop", way_out) from None


def text_of(given: str, place: str, *, longest: int) -> str:
    """What a person is called, or calls something: one line, not empty, not longer than is kept."""
    text = given.strip()
    if not 1 <= len(text) <= longest or not text.isprintable():
        raise BadInput(place, given, f"1 to {longest} characters on one line")
    return text


def local_text(instant: datetime | None, shop: Shop) -> str | None:
    """An instant as the shop's clock shows it, with its offset."""
    return None if instant is None else instant.astimezone(zone_of(shop.time_zone)).isoformat()


def _zone(given: str) -> str:
    try:
        zone_of(given)
    except CalendarError:
        raise BadInput("--time-zone", given, "an IANA time zone", "write it like Asia/Shanghai") from None
    return given


def _shown(shop: Shop) -> dict[str, Any]:
    return {
        "shop": shop.code,
        "id": str(shop.id),
        "name": {"zh-CN": shop.name_zh_cn, "en": shop.name_en},
        "time_zone": shop.time_zone,
        "currency": shop.currency,
        "live": shop.live,
        "run_by": "one" if shop.single_operator else "several",
        "cashier": shop.pay_url,
        "support": {"zh-CN": shop.support_zh_cn, "en": shop.support_en},
        "created_at": local_text(shop.created_at, shop),
    }
