"""`fenqi restore FILE`: a backup into an empty database, and the proof of its book."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fenqi.problems import BadInput

__all__ = ["add_parser", "prove_in_own_process"]

_EXAMPLES = """\
examples:
  fenqi restore fenqi-2026-11-23.dump
  FENQI_HOME=.fenqi-check fenqi restore fenqi-2026-11-23.dump     try a backup beside the running one

The database must be empty; it is filled in one transaction, brought to this release, and its book is proved: every
transaction balances, every currency sums to zero. Put .fenqi/keys.json back first: what was signed needs it.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "restore",
        help="fill an empty database from a backup, and prove its book",
        description="Fills an empty database from a backup, brings it to this release and proves its book.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what `fenqi backup` wrote")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import Failure, print_json
    from fenqi_server.commands.database import open_database, owner_url_of
    from fenqi_server.commands.migrate import migrate_in_own_process
    from fenqi_server.embedded import EmbeddedError
    from fenqi_server.embedded.transfer import is_dump, is_empty, programs_for, restore

    file: Path = arguments.file
    if not file.is_file():
        raise BadInput("FILE", str(file), "a file that `fenqi backup` wrote")
    if not is_dump(file):
        raise BadInput("FILE", str(file), "a file that `fenqi backup` wrote", "this one begins differently")
    with open_database() as (home, cluster):
        owner_url = owner_url_of(cluster)
        if not is_empty(owner_url):
            raise BadInput(
                "database",
                "not empty",
                "an empty one",
                "nothing was changed; name an empty one in FENQI_DATABASE_URL and FENQI_OWNER_URL, or another FENQI_HOME",
            )
        try:
            restore(owner_url, cluster.binaries or programs_for(owner_url), file)
        except EmbeddedError as problem:
            raise Failure(f"{problem}. The database is still empty.") from problem
        environ = home.environ(cluster)
        if migrate_in_own_process(environ, owner_url, quiet=True):
            raise Failure("the backup is restored and could not be brought to this release; see above")
        proved = prove_in_own_process(environ, owner_url)
    print_json({"file": str(file), "proof": proved})
    if not proved["ok"]:
        raise Failure("the backup is restored, and its book does not prove; the problems are in the answer")
    return 0


def prove_in_own_process(environ: dict[str, str], owner_url: str) -> dict[str, Any]:
    """The proof of the whole book: the owner sees every shop's rows."""
    from fenqi_server.cli import Failure

    done = subprocess.run(
        [sys.executable, "-m", "fenqi_server.proving"],
        env={**environ, "FENQI_DATABASE_URL": owner_url},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failure("the book could not be proved; see above")
    proved: dict[str, Any] = json.loads(done.stdout)
    return proved
