"""`fenqi month-end`: book what of the rows that run belongs to a month that is over."""

from __future__ import annotations

import argparse
from typing import Any

from fenqi.problems import BadInput
from fenqi_server.commands.shop import local_text, shop_of

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  fenqi month-end 2026-11                   every shop with something booked
  fenqi month-end 2026-11 --shop corner     one shop

A fee, interest or rent is earned when its due date comes. At the end of a month the part of it that belongs to the days of the month is
booked too, and taken back on the next day. The worker of a running service does so by itself in the first hours of a month, and a month of
the book does not close without it. Running both at once, running it again, or stopping it half-way leaves the same books.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "month-end",
        help="book what of the running rows belongs to a month that is over",
        description="Books what of the rows that run belongs to a month that is over, and takes it back on the next day.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("month", metavar="MONTH", help="such as 2026-11")
    parser.add_argument("--shop", metavar="CODE", help="only this shop; all of them without")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server import clock
        from fenqi_server.books.periods import parse_period
        from fenqi_server.servicing import month_end
        from fenqi_server.shops.models import Shop

        _, last_on = parse_period(arguments.month, "MONTH")
        shops = [shop_of(arguments.shop)] if arguments.shop else list(Shop.objects.order_by("code"))
        shown, refused = [], 0
        for shop in shops:
            try:
                done = month_end.run(shop, last_on, clock.now())
            except BadInput as problem:
                if arguments.shop:
                    raise
                refused += 1
                note(f"{shop.code}: {problem.problem.sentence}")
                continue
            shown.append(
                {
                    "shop": shop.code,
                    "month": f"{last_on:%Y-%m}",
                    "contracts": done.contracts,
                    "replayed": done.replayed,
                    "accrued_minor": done.accrued_minor,
                    "currency": shop.currency,
                    "ended_at": None if done.ended_at is None else local_text(done.ended_at, shop),
                }
            )
        print_json({"shops": shown})
    return 1 if refused else 0
