"""`fenqi books`: closing a month, proving the book, taking it elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fenqi.problems import BadInput
from fenqi_server.commands.shop import shop_of, text_of

if TYPE_CHECKING:
    from fenqi.problems import Problem
    from fenqi_server.books.periods import Period
    from fenqi_server.shops.models import Shop

__all__ = ["add_parser"]

MAX_SHOWN = 50
MAX_ACTOR = 80

_EXAMPLES = """\
examples:
  fenqi books close 2026-11 --shop corner --actor ann      nothing more is booked in November; its trial balance is written down
  fenqi books periods --shop corner                        the months that are closed, and the one that closes next
  fenqi books prove                                        does everything hold that must? every shop, every contract
  fenqi books prove --shop corner --sums                   its sums alone: seconds for a million transactions
  fenqi books heads > heads.json                           the newest hash over the book: keep it somewhere else
  fenqi books heads --days 30                              the last one of each of the newest thirty days
  fenqi books heads --check heads.json                     is every row still what it was then?

A month closes after its last day, in order, and for good: what is put right later is booked on the day on which it is put
right. It stays open while something stands in the way (exit code 1, each named): a contract whose book is not what its
events come to, a settlement that has arrived and left money in transit, a due date that was not run.

The worker proves every book each night; what it finds stands on the console's home. A proof that finds something ends with 1.
"""


class _Noted(msgspec.Struct):
    number: int
    digest: str


class _Heads(msgspec.Struct):
    """What `fenqi books heads` wrote, and `--check` reads."""

    heads: tuple[_Noted, ...]


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
    prove = action(
        "prove",
        "does everything hold that must?",
        "Proves books: all their sums, and every contract against its events. What is found is recorded.",
        run_prove,
    )
    prove.add_argument("--shop", metavar="CODE", help="whose book (without it: every shop's)")
    heads = action(
        "heads",
        "the newest hash over the whole book",
        "Prints where the chain of hashes over every book of this installation stands, or holds the book to what was printed.",
        run_heads,
    )
    heads.add_argument("--days", metavar="N", default="1", help="the last head of each of so many days (1)")
    heads.add_argument("--check", metavar="FILE", type=Path, help="a file that this command wrote")
    prove.add_argument("--sums", action="store_true", help="the sums alone, without replaying contracts")


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


def run_prove(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.shops.models import Shop

        shops = [shop_of(arguments.shop)] if arguments.shop else list(Shop.objects.order_by("created_at"))
        proved = [_prove(shop, sums=arguments.sums) for shop in shops]
    ok = all(each["ok"] for each in proved)
    print_json({"ok": ok, "shops": proved})
    return 0 if ok else 1


def run_heads(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    if not arguments.days.isascii() or not arguments.days.isdigit() or not 0 < int(arguments.days) <= 3660:
        raise BadInput("--days", arguments.days, "a number of days from 1 to 3660")
    noted = _noted(arguments.check) if arguments.check else None
    with open_service():
        from fenqi_server import clock
        from fenqi_server.books import sealing

        if noted is not None:
            return _check_heads(noted)
        while sealing.seal(clock.now()):
            pass
        print_json(
            {
                "formula": sealing.VERSION,
                "heads": [
                    {**msgspec.to_builtins(each), "sealed_at": each.sealed_at.isoformat()}
                    for each in sealing.heads(daily=int(arguments.days))
                ],
            }
        )
    return 0


def _check_heads(noted: tuple[tuple[int, str], ...]) -> int:
    from django.db import connection

    from fenqi_server.books.proof import one_instant
    from fenqi_server.books.sealing import verify
    from fenqi_server.cli import print_json
    from fenqi_server.db import use_shop
    from fenqi_server.shops.models import Shop

    found: dict[str, Problem] = {}
    for shop in Shop.objects.order_by("created_at"):
        use_shop(shop.id)
        with one_instant(connection):
            use_shop(shop.id)
            # What is wrong with the chain itself is found from every shop; once is enough.
            found.update({problem.sentence: problem for problem in verify(connection, noted=noted)})
    print_json({"ok": not found, "checked": len(noted), **_problems(tuple(found.values()))})
    return 1 if found else 0


def _noted(file: Path) -> tuple[tuple[int, str], ...]:
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Heads)
    except (OSError, msgspec.DecodeError) as problem:
        raise BadInput("--check", str(file), "a file that `fenqi books heads` wrote", str(problem)) from None
    if not kept.heads:
        raise BadInput("--check", str(file), "a file with a head or more", "this one has none")
    return tuple((each.number, each.digest) for each in kept.heads)


def _prove(shop: Shop, *, sums: bool) -> dict[str, Any]:
    import time

    from django.db import connection

    from fenqi_server import clock
    from fenqi_server.books import proofs
    from fenqi_server.books.proof import one_instant, prove_contracts, prove_sums
    from fenqi_server.commands.progress import Progress
    from fenqi_server.db import use_shop

    began = time.monotonic()
    use_shop(shop.id)
    with one_instant(connection):
        use_shop(shop.id)
        report = prove_sums(connection)
        if not sums:
            with Progress(f"replaying the contracts of {shop.code}", report.contracts) as bar:
                report = report.with_contracts(prove_contracts(connection, progress=bar.to))
    proof = proofs.record(shop, "asked", report, clock.now(), "cli", round((time.monotonic() - began) * 1000))
    return {
        "shop": shop.code,
        "ok": report.ok,
        "transactions": report.transactions,
        "contracts": report.contracts,
        "replayed": report.replayed,
        "seconds": round(proof.duration_ms / 1000, 3),
        "sums": {each.currency: each.sum_minor for each in report.totals},
        **_problems(report.problems),
    }


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
