"""`fenqi reconcile`: statements of banks, wallets and funders, held against the book."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fenqi.problems import BadInput
from fenqi_server.commands.shop import shop_of, text_of

if TYPE_CHECKING:
    from fenqi_server.reconciliation.layouts import Layout

__all__ = ["add_parser"]

MAX_ACTOR = 80

_EXAMPLES = """\
examples:
  fenqi reconcile import bill.csv --shop corner --layout alipay --settlement alipay:2026-11-23 --actor ann --dry-run
  fenqi reconcile import bill.csv --shop corner --layout bank.json --settlement bank:2026-11-23 --actor ann
  fenqi reconcile breaks --shop corner                      what does not match, and waits for somebody
  fenqi reconcile match alipay:2026-11-23 --shop corner --actor ann      look once more, after something was booked
  fenqi reconcile arrived alipay:2026-11-23 --shop corner --actor ann    the bank has the money: book it

Layouts: alipay (业务明细), wechat (交易账单), own (reference,amount,currency,date,party,fee), or a JSON file that declares one
(docs/reconciliation.md). A file with a wrong line is refused whole (exit code 2, each line named); the same file twice is one
import. Breaks are cleared by people, in the console.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "reconcile",
        help="hold statements of banks, wallets and funders against the book",
        description="Imports statements, matches them with the book, and tells what breaks.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, help: str, run: Any, *, actor: bool = True) -> Any:
        made = actions.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            epilog=_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.add_argument("--shop", required=True, metavar="CODE", help="whose book")
        if actor:
            made.add_argument("--actor", required=True, metavar="NAME", help="who does it, for the record")
        made.set_defaults(run=run)
        return made

    taken = action("import", "import a statement", run_import)
    taken.add_argument("file", metavar="FILE", help="the statement, as the provider gave it")
    taken.add_argument("--layout", required=True, metavar="NAME", help="alipay, wechat, own, or a JSON file")
    taken.add_argument(
        "--settlement", required=True, metavar="NAME", help="what the book calls the batch that it is about"
    )
    taken.add_argument("--dry-run", action="store_true", help="tell what it would come to, and write nothing")
    again = action("match", "hold the book against a settlement's statements once more", run_match)
    again.add_argument("settlement", metavar="SETTLEMENT")
    arrived = action("arrived", "book that a settlement arrived at the bank", run_arrived)
    arrived.add_argument("settlement", metavar="SETTLEMENT")
    action("breaks", "list what does not match and waits for somebody", run_breaks, actor=False)


def run_import(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    layout = _layout(arguments.layout)
    written = _bytes(arguments.file, "FILE")
    actor = _actor(arguments)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.reconciliation import importing

        shop = shop_of(arguments.shop)
        if arguments.dry_run:
            done = importing.preview(shop, written, layout, arguments.settlement)
        else:
            done = importing.import_statement(
                shop,
                written,
                layout,
                arguments.settlement,
                actor=actor,
                at=clock.now(),
                file_name=Path(arguments.file).name,
            )
        print_json(
            {
                "statement": None if done.statement_id is None else str(done.statement_id),
                "settlement": done.settlement,
                "lines": done.lines,
                "amount_minor": done.amount_minor,
                "fee_minor": done.fee_minor,
                "currency": done.currency,
                "matched": done.matched,
                "breaks": done.breaks,
                "repeated": done.repeated,
            }
        )
    if arguments.dry_run:
        note("Nothing was written: this was a dry run.")
    elif done.repeated:
        note("This file was imported before; nothing was done now.")
    return 0


def run_match(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    actor = _actor(arguments)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.reconciliation import importing

        found = importing.match_again(
            shop_of(arguments.shop), arguments.settlement, actor=actor, at=clock.now()
        )
        print_json(
            {
                "settlement": arguments.settlement,
                "newly_matched": len(found.matches),
                "breaks": len(found.breaks),
            }
        )
    return 0


def run_arrived(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import Failure, print_json
    from fenqi_server.commands.database import open_service

    actor = _actor(arguments)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.reconciliation import clearing

        shop = shop_of(arguments.shop)
        try:
            minor = clearing.arrive(shop, arguments.settlement, actor=actor, at=clock.now())
        except clearing.Refusal as refused:
            raise Failure(f"{arguments.settlement}: {refused.text.en}") from None
        print_json({"settlement": arguments.settlement, "bank_minor": minor, "currency": shop.currency})
    return 0


def run_breaks(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.reconciliation import clearing

        shop = shop_of(arguments.shop)
        found, last = [], None
        while page := clearing.breaks(shop, after=last)[: clearing.PAGE]:
            found += page
            last = page[-1].id
        print_json(
            {
                "shop": shop.code,
                "breaks": [
                    {
                        "id": str(each.id),
                        "settlement": each.settlement,
                        "kind": each.kind,
                        "state": each.state,
                        "line": each.number,
                        "reference": each.their_reference or each.our_reference or "",
                        "ours_minor": each.ours_minor,
                        "theirs_minor": each.theirs_minor,
                        "currency": each.currency,
                    }
                    for each in found
                ],
            }
        )
    return 0


def _actor(arguments: argparse.Namespace) -> str:
    return f"cli:{text_of(arguments.actor, '--actor', longest=MAX_ACTOR)}"


def _layout(given: str) -> Layout:
    from fenqi_server.reconciliation.layouts import decode_layout, layout_of

    return decode_layout(_bytes(given, "--layout")) if given.endswith(".json") else layout_of(given)


def _bytes(given: str, place: str) -> bytes:
    try:
        return Path(given).read_bytes()
    except OSError as problem:
        raise BadInput(place, given, f"a file that can be read ({problem.strerror})") from None
