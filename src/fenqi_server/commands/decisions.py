"""`fenqi decisions`: do the recorded decisions still come out as they were recorded?"""

from __future__ import annotations

import argparse
from typing import Any

from fenqi.problems import BadInput
from fenqi_server.commands.shop import shop_of

__all__ = ["add_parser"]

MAX_SHOWN = 20

_EXAMPLES = """\
examples:
  fenqi decisions replay --shop corner                  every decision that is kept
  fenqi decisions replay --shop corner --newest 1000    the newest thousand, as before and after an upgrade

Each is decided again from its record (policy, cart, facts, special cases) and compared: every plan's state and the codes
of its reasons. The exit code is 1 where one differs; those are listed, without anything of the customer.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "decisions",
        help="replay recorded decisions and compare",
        description="Decides recorded decisions again and compares the answers with the records.",
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


def run_replay(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    newest = None
    if arguments.newest is not None:
        if not arguments.newest.isdecimal() or not 0 < int(arguments.newest) <= 10**9:
            raise BadInput(
                "--newest", arguments.newest, "a whole number from 1", "leave it out for all of them"
            )
        newest = int(arguments.newest)
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
