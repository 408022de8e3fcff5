"""`fenqi backup FILE`: the whole database in one file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fenqi.problems import BadInput

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  fenqi backup fenqi-2026-11-23.dump

It may run while the service works: the file is one instant of the database. It is readable by its owner alone, and
it is a dump of PostgreSQL's (pg_restore reads it too). Keep .fenqi/keys.json with the same care in another place:
what was signed or sealed with those keys needs them again.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "backup",
        help="write the whole database to one file",
        description="Writes the whole database to one file, while the service works.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="where to; a file that is there is left alone"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import Failure, print_json
    from fenqi_server.commands.database import open_database, owner_url_of
    from fenqi_server.embedded import EmbeddedError
    from fenqi_server.embedded.transfer import dump, programs_for

    file: Path = arguments.file
    if file.exists():
        raise BadInput(
            "FILE", str(file), "a name that is not taken", "an earlier backup is never overwritten"
        )
    if not file.absolute().parent.is_dir():
        raise BadInput("FILE", str(file), "a file in a folder that exists")
    with open_database() as (_home, cluster):
        try:
            owner_url = owner_url_of(cluster)
            dump(owner_url, cluster.binaries or programs_for(owner_url), file)
        except EmbeddedError as problem:
            raise Failure(str(problem)) from problem
    print_json({"file": str(file), "bytes": file.stat().st_size})
    return 0
