"""`fenqi books`: closing a month, proving the book, taking it elsewhere."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fenqi_server.commands.shop import shop_of, text_of

if TYPE_CHECKING:
    from fenqi.problems import Problem
    from fenqi_server.books.periods import Period

__all__ = ["add_parser"]

MAX_SHOWN = 50
MAX_ACTOR = 80

_EXAMPLES = """\
examples:
  fenqi books close 2026-11 --shop corner --actor ann      nothing more is booked in November; its trial balance is written down
  fenqi books periods --shop corner                        the months that are closed, and the one that closes next

A month closes after its last day, in order, and for good: what is put right later is booked on the day on which it is put
right. It stays open while something stands in the way (exit code 1, each named): a contract whose book is not what its
events come to, a settlement that has arrived and left money in transit, a due date that was not run.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "books",
        help="close a month of the book, prove it, take it elsewhere",
        description="Closes months of a shop's book, proves it, and takes it elsewhere.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, help: str, description: str, run: Any) -> Any:
        made = actions.add_parser(
            name,
            help=help,
            description=description,
            epilog=_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        return made

    close = action(
        "close",
        "close a month for good",
        "Closes a month: nothing more is booked in it, and its trial balance is written down.",
        run_close,
    )
    close.add_argument("period", metavar="MONTH", help="such as 2026-11")
    _shop(close)
    close.add_argument("--actor", required=True, metavar="NAME", help="who closes it, for the record")
    periods = action(
        "periods",
        "the months that are closed",
        "Lists the months that are closed, the newest first.",
        run_periods,
    )
    _shop(periods)


def _shop(parser: Any) -> None:
    parser.add_argument("--shop", required=True, metavar="CODE", help="whose book")


def run_close(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    actor = f"cli:{text_of(arguments.actor, '--actor', longest=MAX_ACTOR)}"
    with open_service():
        from fenqi_server import clock
        from fenqi_server.books import periods

        shop = shop_of(arguments.shop)
        try:
            closed = periods.close(shop, arguments.period, actor, clock.now())
        except periods.CloseRefused as refused:
            print_json(
                {"shop": shop.code, "period": refused.period, "closed": False, **_problems(refused.problems)}
            )
            return 1
        print_json({"shop": shop.code, **_period(closed)})
    return 0


def run_periods(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.books import periods

        shop = shop_of(arguments.shop)
        following = periods.next_period(shop)
        print_json(
            {
                "shop": shop.code,
                "next": f"{following[0]:%Y-%m}" if following else None,
                "periods": [_period(each) for each in periods.periods(shop)],
            }
        )
    return 0


def _period(period: Period) -> dict[str, Any]:
    return {
        "period": period.name,
        "closed": period.closed_at is not None,
        "closed_at": period.closed_at.isoformat() if period.closed_at else None,
        "closed_by": period.begun_by,
        "transactions": period.transactions,
        "digest": period.digest,
    }


def _problems(problems: tuple[Problem, ...]) -> dict[str, Any]:
    return {
        "problems": [problem.sentence for problem in problems[:MAX_SHOWN]],
        "problems_not_shown": max(0, len(problems) - MAX_SHOWN),
    }
