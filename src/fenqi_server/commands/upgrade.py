"""`fenqi upgrade`: the embedded database's data to another PostgreSQL major."""

from __future__ import annotations

import argparse
import os
from typing import Any

from fenqi.problems import BadInput

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  fenqi upgrade
  FENQI_OLD_POSTGRES_BIN=/path/to/old/bin fenqi upgrade

Needed when the data is of another PostgreSQL major than the installed programs; `fenqi serve` says so. The data is
copied into a new folder and its book is proved; the old folder stays beside it until you remove it.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "upgrade",
        help="bring the embedded database's data to the installed PostgreSQL",
        description="Copies the embedded database's data to the installed PostgreSQL's major.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import Failure, print_json
    from fenqi_server.commands.database import open_database, owner_url_of
    from fenqi_server.commands.migrate import migrate_in_own_process
    from fenqi_server.commands.restore import prove_in_own_process
    from fenqi_server.embedded import EmbeddedError, upgrade
    from fenqi_server.home import Home

    if os.environ.get("FENQI_DATABASE_URL"):
        raise BadInput(
            "FENQI_DATABASE_URL",
            "set",
            "the embedded database",
            "a server of your own is upgraded with its own tools",
        )
    try:
        old_major, new_major, kept = upgrade(Home.open().path)
    except EmbeddedError as problem:
        raise Failure(str(problem)) from problem
    answer: dict[str, object] = {"from": old_major, "to": new_major, "kept": str(kept) if kept else None}
    if kept is not None:
        with open_database() as (home, cluster):
            environ, owner_url = home.environ(cluster), owner_url_of(cluster)
            if migrate_in_own_process(environ, owner_url, quiet=True):
                raise Failure(
                    f"the data is copied and could not be brought to this release; the old data is {kept}"
                )
            answer["proof"] = proof = prove_in_own_process(environ, owner_url)
        if not proof["ok"]:
            print_json(answer)
            raise Failure(f"the copied book does not prove; the old data is {kept}")
    print_json(answer)
    return 0
