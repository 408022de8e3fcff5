"""`fenqi demo`: the sample mall, from an empty machine to a served page."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  fenqi demo
  fenqi demo --port 8080

It starts a database of its own under .fenqi/ (or uses FENQI_DATABASE_URL with FENQI_OWNER_URL), fills it once, and
writes the address and a test API key to .fenqi/demo.json. Ctrl-C stops everything; what you did is there next time.
To begin anew, stop it and remove .fenqi/. Where root's data lie below /var/lib/fenqi, the next start names
the folder to move away as well.
"""


def add_parser(subparsers: Any) -> None:
    from fenqi_server.commands.serve import add_server_options

    parser = subparsers.add_parser(
        "demo",
        help="serve the demo mall",
        description="Starts a database, fills it with a sample mall, and serves it on this machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_server_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import Failure, note
    from fenqi_server.commands.database import open_database, owner_url_of, require_safe_settings
    from fenqi_server.commands.migrate import migrate_in_own_process
    from fenqi_server.commands.serve import end_on_sigterm, refuse_port, run_server

    end_on_sigterm()
    refuse_port(arguments)
    began_at = time.monotonic()
    with open_database() as (home, cluster):
        require_safe_settings(cluster)
        url = f"http://{arguments.host}:{arguments.port}"
        environ = home.environ(cluster, FENQI_DEMO="1", FENQI_ORIGIN=url)
        if migrate_in_own_process(environ, owner_url_of(cluster), quiet=True):
            raise Failure("the database could not be brought to this release; see above")
        seeding = subprocess.run(
            [sys.executable, "-m", "fenqi_server.preparation", "--seed-demo"],
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if seeding.returncode:
            raise Failure("the demo could not be filled; see above")
        seeded = json.loads(seeding.stdout)

        def announce(address: str) -> None:
            written = home.write("demo.json", {"url": address, "api_key": seeded["api_key"]})
            note(
                f"\nThe demo mall is open ({time.monotonic() - began_at:.1f} s).\n\n"
                f"  address   {address}/\n"
                f"  API key   {seeded['api_key']}   (a test key; both are in {written})\n\n"
                f"Ctrl-C closes it."
            )

        try:
            run_server(arguments, environ, announce)
        finally:
            # Whoever reads the file finds an address that answers, or no file.
            (home.path / "demo.json").unlink(missing_ok=True)
    return 0
