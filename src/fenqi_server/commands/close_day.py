"""`fenqi close-day`: let the due dates that have come be recorded, now."""

from __future__ import annotations

import argparse
from typing import Any

from fenqi.problems import BadInput
from fenqi_server.commands.shop import local_text, shop_of
from fenqi_server.days import read_day

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  fenqi close-day                                      every shop, up to its today
  fenqi close-day --shop corner                        one shop; what failed before is tried again
  fenqi close-day --shop corner --on 2026-12-23        no further than that day

The worker of a running service does the same by itself, all day long. Running both at once, running it again, or stopping
it half-way leaves the same books. Days that were missed are caught up first, under their own dates. The exit code is 1 where
a contract could not be done; the others are done all the same.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "close-day",
        help="let the due dates that have come be recorded, now",
        description="Records every due date that has come, and books what it earns.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--shop", metavar="CODE", help="only this shop; all of them without")
    parser.add_argument("--on", metavar="DATE", help="the last day to close; the shop's today without")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    on = None
    if arguments.on is not None:
        try:
            on = read_day(arguments.on)
        except ValueError:
            raise BadInput("--on", arguments.on, "a day such as 2026-12-23") from None
    with open_service():
        from fenqi.calendars import local_date
        from fenqi_server import clock
        from fenqi_server.autopay.attempts import waiting_of
        from fenqi_server.servicing import closing
        from fenqi_server.shops.models import Shop

        shops = [shop_of(arguments.shop)] if arguments.shop else list(Shop.objects.order_by("code"))
        shown, failed = [], 0
        for shop in shops:
            now = clock.now()
            report = closing.close_day(shop, on or local_date(now, shop.time_zone), now)
            failures = closing.failures_of(shop)
            # Those whose late charge failed are tried again with the next day; the log has what was wrong.
            not_charged = sorted(set(report.failed) - {each.contract_id for each in failures})
            failed += len(failures) + len(not_charged)
            shown.append(
                {
                    "shop": shop.code,
                    "contracts": report.contracts,
                    "due_rows": report.rows,
                    "asked": report.asked,
                    "asked_minor": report.asked_minor,
                    "late_charges": report.late_charges,
                    "late_charged_minor": report.late_charged_minor,
                    "reminders": report.reminders,
                    "not_charged": not_charged,
                    "to_do": _to_do(waiting_of(shop, now)),
                    "failed": [
                        {
                            "day": each.day.isoformat(),
                            "contract_id": each.contract_id,
                            "problem": each.problem,
                            "detail": each.detail,
                            "tries": each.tries,
                            "what_to_do": _WHAT_TO_DO[each.kind],
                            "tried_again_from": local_text(each.retry_at, shop),
                        }
                        for each in failures
                    ],
                }
            )
        print_json({"shops": shown})
    if failed:
        note(f"{failed} contracts could not be done; every other due date is recorded.")
    return 1 if failed else 0


def _to_do(waiting: Any) -> list[str]:
    """What somebody has to see to, in whole sentences."""
    found = []
    if waiting.unknown:
        found.append(
            f"{waiting.unknown} automatic payments have no known outcome: ask the payment provider, and say it by"
            " POST /v1/autopay-attempts/{id}/outcome"
        )
    if waiting.unheard:
        found.append(
            f"{waiting.unheard} contracts have a mandate and something due, and nobody to collect it: have a program of"
            " yours listen to autopay.collect_requested"
        )
    return found


_WHAT_TO_DO = {
    "refused": "its events, terms and entries do not fit each other: look at its entries (console, Books) and prove the book",
    "broken": "the program or the database failed: run this again, and look in the log if it fails again",
}
