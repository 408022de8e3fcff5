"""`fenqi decisions`: do the recorded decisions still come out as they were recorded? And all of them in a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fenqi.problems import BadInput
from fenqi_server.cli import Failure
from fenqi_server.commands.shop import shop_of

__all__ = ["add_parser"]

MAX_SHOWN = 20

_EXAMPLES = """\
examples:
  fenqi decisions replay --shop corner                  every decision that is kept
  fenqi decisions replay --shop corner --newest 1000    the newest thousand, as before and after an upgrade
  fenqi decisions export --shop corner --parquet week.parquet --newest 500000
  fenqi policy simulate --before published/ --after policy/ --checkouts week.parquet

Replayed, each is decided again from its record (policy, cart, facts, special cases) and compared: every plan's state and the codes
of its reasons. The exit code is 1 where one differs; those are listed, without anything of the customer.

Exported, each is a row: what was asked and known, a column for each fact, its decision's id as its name. There is no name and no
number of a customer in it; facts such as an age or a tier are, so keep the file as you keep those.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "decisions",
        help="replay recorded decisions and compare, or export them",
        description="Decides recorded decisions again and compares the answers with the records; or writes them to a file.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    replay = actions.add_parser(
        "replay",
        help="decide again what was decided, and compare",
        description="Decides recorded decisions again and compares the answers with the records.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    replay.add_argument("--shop", required=True, metavar="CODE", help="whose decisions")
    replay.add_argument("--newest", metavar="N", help="only the newest N; all of them without")
    replay.set_defaults(run=run_replay)
    export = actions.add_parser(
        "export",
        help="write recorded checkouts to a Parquet file, to simulate changes over",
        description="Writes recorded checkouts to a Parquet file: a row for each decision, a column for each fact.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("--shop", required=True, metavar="CODE", help="whose decisions")
    export.add_argument(
        "--parquet", required=True, metavar="FILE", help="the file to write; it must not be there yet"
    )
    export.add_argument("--newest", metavar="N", help="only the newest N; all of them without")
    export.set_defaults(run=run_export)


def run_replay(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    newest = _newest(arguments.newest)
    with open_service():
        from fenqi_server.decisions import replay

        shop = shop_of(arguments.shop)
        replayed, differing = 0, []
        for found in replay.replay_all(shop, newest=newest):
            replayed += 1
            if not found.identical:
                differing.append(found)
        print_json(
            {
                "shop": shop.code,
                "replayed": replayed,
                "identical": replayed - len(differing),
                "differing": [
                    {
                        "decision": found.decision,
                        "source": found.source,
                        "fault": found.fault,
                        "plans": [difference.plan for difference in found.differences],
                    }
                    for found in differing[:MAX_SHOWN]
                ],
                "differing_not_shown": max(0, len(differing) - MAX_SHOWN),
            }
        )
    return 1 if differing else 0


def run_export(arguments: argparse.Namespace) -> int:
    import polars  # noqa: F401  # without the extra there is nothing to do

    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service
    from fenqi_server.commands.progress import Progress

    newest = _newest(arguments.newest)
    path = Path(arguments.parquet)
    if path.exists():
        raise BadInput("--parquet", arguments.parquet, "a file that is not there yet")
    if not path.absolute().parent.is_dir():
        raise BadInput("--parquet", arguments.parquet, "a file in a folder that there is")
    with open_service():
        from fenqi_server.decisions import export

        shop = shop_of(arguments.shop)
        with Progress("exporting", export.count(shop, newest)) as bar:
            table = export.table_of(shop, newest=newest, progress=bar.to)
    if not table.height:
        raise Failure(f"shop {shop.code} has recorded no decision yet")
    # Whole or not at all: half a file would be simulated over as if it were one.
    unfinished = path.with_name(path.name + ".part")
    table.write_parquet(unfinished)
    unfinished.replace(path)
    print_json({"shop": shop.code, "checkouts": table.height, "columns": table.width, "file": str(path)})
    return 0


def _newest(given: str | None) -> int | None:
    if given is None:
        return None
    if not given.isdecimal() or not 0 < int(given) <= 10**9:
        raise BadInput("--newest", given, "a whole number from 1", "leave it out for all of them")
    return int(given)
