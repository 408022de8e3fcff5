"""A database written to one file and read back from it, by PostgreSQL's own programs.

The file is `pg_dump`'s custom format: one snapshot, compressed, with tables, rows and every grant, so that what the
service's role may not do to the book holds again where it is restored. The two roles have the same names in every
installation, which is why grants can travel.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from fenqi_server.embedded.binaries import Binaries, find_binaries, inspect_binaries, system_folders
from fenqi_server.embedded.problems import EmbeddedError

__all__ = ["dump", "is_dump", "is_empty", "programs_for", "restore"]

_MAGIC = b"PGDMP"


def dump(url: str, binaries: Binaries, file: Path) -> None:
    """Writes the database to `file`, mode 0600, whole or not at all."""
    part = file.with_name(f".{file.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as output:
            _run(
                [binaries.program("pg_dump"), "--format=custom", "--no-owner", *_to(url)],
                url,
                stdout=output.fileno(),
            )
            os.fsync(output.fileno())
        # A dump that cannot be listed cannot be restored: better to know now.
        _run([binaries.program("pg_restore"), "--list", str(part)], None, stdout=subprocess.DEVNULL)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def restore(url: str, binaries: Binaries, file: Path) -> None:
    """Reads `file` into the empty database at `url`, in one transaction: all of it or nothing."""
    _run(
        [
            binaries.program("pg_restore"),
            *("--no-owner", "--single-transaction", "--exit-on-error"),
            *_to(url),
            str(file),
        ],
        url,
    )


def is_dump(file: Path) -> bool:
    """Does the file begin as a dump of this format does?"""
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC


def is_empty(url: str) -> bool:
    """Has the database no table, view or function of anyone's yet?"""
    with psycopg.connect(url) as session:
        found = session.execute(
            "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
            " OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace)"
            " OR EXISTS (SELECT FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema'))"
        ).fetchone()
    return found is not None and not found[0]


def programs_for(url: str) -> Binaries:
    """The programs nearest to the server at `url`, and not older.

    An older `pg_dump` refuses a newer server, and what a newer one writes asks for settings that an older server does
    not know when it is restored there.
    """
    with psycopg.connect(url) as session:
        major = session.info.server_version // 10_000
    found = []
    with contextlib.suppress(EmbeddedError):
        found.append(find_binaries())
    for folder in system_folders():
        with contextlib.suppress(EmbeddedError):
            found.append(inspect_binaries(folder))
    fitting = [binaries for binaries in found if binaries.major >= major]
    if not fitting:
        raise EmbeddedError(
            f"The server is PostgreSQL {major}, and no pg_dump as new is here. Install PostgreSQL {major}'s client programs "
            f"and name their folder in FENQI_POSTGRES_BIN."
        )
    return min(fitting, key=lambda binaries: binaries.major)


def _to(url: str) -> tuple[str, str]:
    """Where to, without the password: a command line can be read by every user of the machine."""
    named = conninfo_to_dict(url)
    named.pop("password", None)
    return "--dbname", make_conninfo("", **named)


def _run(command: list[str], url: str | None, stdout: int = subprocess.DEVNULL) -> None:
    environ = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
    if url is not None:
        environ["PGPASSWORD"] = str(conninfo_to_dict(url).get("password") or "")
    done = subprocess.run(command, env=environ, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise EmbeddedError(
            f"{Path(command[0]).name} failed ({done.returncode}): {done.stderr.strip()[-2000:]}"
        )
