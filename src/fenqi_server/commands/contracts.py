"""`fenqi contracts`: bringing running contracts over from another system."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from fenqi.problems import BadInput
from fenqi_server.commands.shop import shop_of

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  fenqi contracts import running.csv --shop corner --dry-run     is the file right, and what would it bring?
  fenqi contracts import running.csv --shop corner               bring it; a second time brings nothing more

One line is one instalment, in UTF-8 with these columns:
  contract,customer,agreed_on,number,due_on,price,fee,paid,paid_on,balance
  C-1001,u-1001,2026-09-01,1,2026-10-01,500.00,36.00,536.00,2026-09-30,536.00
  C-1001,u-1001,2026-09-01,2,2026-11-01,500.00,36.00,,,536.00

balance is what is left of the whole contract, the same on each of its lines. number 0 is a down payment. A file with anything
wrong in it is refused whole (exit code 2), each wrong line named, and nothing is written.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "contracts",
        help="bring running contracts over from another system",
        description="Brings running contracts over from another system.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    imports = actions.add_parser(
        "import",
        help="import contracts with their opening balances",
        description="Imports contracts with what was paid of them, and their opening balances.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    imports.add_argument("file", metavar="FILE", help="the CSV file; - reads standard input")
    imports.add_argument("--shop", required=True, metavar="CODE", help="whose contracts")
    imports.add_argument("--dry-run", action="store_true", help="read, check and say, and write nothing")
    imports.set_defaults(run=run_import)


def run_import(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    try:
        raw = sys.stdin.buffer.read() if arguments.file == "-" else Path(arguments.file).read_bytes()
    except OSError as error:
        raise BadInput("FILE", arguments.file, f"a file that can be read ({error.strerror})") from None
    with open_service():
        from fenqi_server import clock
        from fenqi_server.servicing.importing import BadFile, import_contracts

        shop = shop_of(arguments.shop)
        try:
            report = import_contracts(shop, raw, clock.now(), dry_run=arguments.dry_run)
        except BadFile as problem:
            for each in problem.problems:
                note(f"fenqi: {each.sentence}")
            note(f"fenqi: nothing of {arguments.file} was imported")
            return 2
    print_json({"shop": shop.code, "dry_run": arguments.dry_run, **msgspec.to_builtins(report)})
    return 0
