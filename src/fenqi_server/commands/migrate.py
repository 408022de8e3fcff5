"""`fenqi migrate`: brings the database to this release."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import Any

__all__ = ["add_parser", "migrate_in_own_process"]

_EXAMPLES = """\
examples:
  fenqi migrate
  FENQI_DATABASE_URL=postgresql://fenqi_service:...@db/fenqi \\
  FENQI_OWNER_URL=postgresql://fenqi_owner:...@db/fenqi fenqi migrate

A database of your own needs the two roles first (a database administrator runs this once):
  CREATE ROLE fenqi_owner LOGIN PASSWORD '...';
  CREATE ROLE fenqi_service LOGIN PASSWORD '...';
  CREATE DATABASE fenqi OWNER fenqi_owner;
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "migrate",
        help="bring the database to this release",
        description="Applies this release's migrations as the owner's role. Running it again changes nothing.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_database, owner_url_of

    if os.environ.get("FENQI_MIGRATING") == "1":
        import django

        django.setup()
        from fenqi_server.migration import migrate

        print_json({"applied": migrate()})
        return 0
    with open_database() as (home, cluster):
        return migrate_in_own_process(home.environ(cluster), owner_url_of(cluster))


def migrate_in_own_process(environ: dict[str, str], owner_url: str, *, quiet: bool = False) -> int:
    """Migrates as the owner in a process that holds the owner's address and ends; returns its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "fenqi_server", "migrate"],
        env={**environ, "FENQI_DATABASE_URL": owner_url, "FENQI_MIGRATING": "1"},
        stdout=subprocess.DEVNULL if quiet else None,
        check=False,
    )
    return done.returncode
