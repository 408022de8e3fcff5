"""One installation of the service in a folder of its own, whose processes are there to be killed.

PostgreSQL is the embedded one with the settings of production, started by `acquire`; the service is the program itself
(`python -m fenqi_server serve`: Granian, its workers, the background worker) over the same folder. It runs as a demo does
(`FENQI_DEMO=1`), so that its clock can be moved and webhooks may come to this machine.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import psycopg
from tests.leftovers import own_folder

from fenqi_server.embedded import Cluster, acquire
from fenqi_server.embedded.cluster import _status
from fenqi_server.embedded.lifeline import die_with_parent
from fenqi_server.home import Home
from fenqi_server.processes import ProcessError, refuse_taken_port

__all__ = ["KILLS", "Fault", "Installation", "Receiver", "family"]

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE: Final = 90.0
"""Seconds that a start may take on a machine that is busy with other things."""

_GIVES_UP: Final = 15.0
"""Two kills of the worker closer than this can end Granian: 5.5 s between two of its starts, and what a start takes."""
KILLS: Final = ("service", "answering process", "database", "session", "both")
"""What is killed: all of the service; the process that answers requests, which Granian starts again; PostgreSQL's postmaster and
its children; one session's process, after which the postmaster ends all others; everything."""

LOSES_ON_PURPOSE: Final = {
    "synchronous_commit": "off",
    # What the WAL writer has not written when it is killed is lost, though the machine lives on: let it write seldom.
    "wal_writer_delay": "10s",
    "wal_writer_flush_after": "1GB",
    "wal_buffers": "64MB",
}


def family(pid: int) -> list[int]:
    """A process and all that came from it, parents first."""
    found, known = [pid], {pid}
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*"):
            with contextlib.suppress(OSError):
                for child in (task / "children").read_text().split():
                    if int(child) not in known:
                        known.add(int(child))
                        found.append(int(child))
    return found


def _faulty(place: Path, fault: Fault) -> Path:
    """The program's sources with the fault in them."""
    source = place / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    file = source / fault.file
    text = file.read_text()
    assert text.count(fault.right) == 1, (
        f"{fault.name}: {fault.right!r} is there {text.count(fault.right)} times"
    )
    file.write_text(text.replace(fault.right, fault.wrong))
    return source


def _quiet_port() -> int:
    """A port that nobody uses and that the kernel gives to nobody: a client that asks for the service while it is down could else
    be connected to itself, and hold the port."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 200):
        with contextlib.suppress(ProcessError):
            refuse_taken_port("127.0.0.1", port)
            return port
    raise RuntimeError("no port is free between 20000 and 32000")


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Receiver:
    """The shop's server that webhooks come to: which event of which act came how often."""

    def __init__(self) -> None:
        self.came: Counter[tuple[str, str, str]] = Counter()
        """By message id, event and the payment's number."""
        lock = threading.Lock()

        class Answering(BaseHTTPRequestHandler):
            def do_POST(this) -> None:
                said = json.loads(this.rfile.read(int(this.headers["Content-Length"])))
                with lock:
                    self.came[
                        this.headers["webhook-id"], said["type"], said["data"].get("payment_ref", "")
                    ] += 1
                this.send_response(204)
                this.end_headers()

            def log_message(this, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Fault:
    """A fault of the program: `right` of a file becomes `wrong`."""

    name: str
    file: str
    right: str
    wrong: str


class Installation:
    """`place` is its folder. With `loses`, PostgreSQL acknowledges what it has not written; with `fault`, the program has one."""

    def __init__(
        self, place: Path, environ: dict[str, str], *, loses: bool = False, fault: Fault | None = None
    ) -> None:
        self.place = place
        self.loses = loses
        self.state = place / ".fenqi"
        self.port = _quiet_port()
        self._given = {name: value for name, value in environ.items() if name != "FENQI_DATABASE_URL"}
        if fault is not None:
            self._given["PYTHONPATH"] = os.pathsep.join([str(_faulty(place, fault)), str(ROOT)])
        self._program: subprocess.Popen[bytes] | None = None
        self._workers_killed: list[float] = []
        self.cluster = self._acquire()
        try:
            self._migrate()
            if loses:
                with psycopg.connect(self.cluster.superuser_url, autocommit=True) as session:  # type: ignore[arg-type]
                    for name, value in LOSES_ON_PURPOSE.items():
                        session.execute(f"ALTER SYSTEM SET {name} = '{value}'")
                self.cluster.stop()
                self.cluster = self._acquire()
        except BaseException:
            self.cluster.stop()
            raise

    @classmethod
    @contextlib.contextmanager
    def made(cls, *, loses: bool = False, fault: Fault | None = None) -> Iterator[Installation]:
        """An installation for as long as the block lasts."""
        place = own_folder()
        place.chmod(0o711)  # root's PostgreSQL runs as `nobody`, who has to pass
        made = None
        try:
            made = cls(place, dict(os.environ), loses=loses, fault=fault)
            yield made
        finally:
            if made is not None:
                made.stop()
            shutil.rmtree(place, ignore_errors=True)

    # ------------------------------------------------------------------------------------------------- starting

    def _acquire(self) -> Cluster:
        return acquire(self.state, environ={}, root_home=self.place / "root")

    @property
    def environ(self) -> dict[str, str]:
        """What the service is started with."""
        given = Home.open(self.state).environ(self.cluster)
        wanted = {name: given[name] for name in ("FENQI_SECRET_KEY", "FENQI_SIGNING_KEYS")}
        return {
            **self._given,
            **wanted,
            "FENQI_HOME": str(self.state),
            "FENQI_POSTGRES_HOME": str(self.place / "root"),
            "FENQI_STATIC_ROOT": str(self.state / "static"),
            "FENQI_DEMO": "1",
            # Nobody is there to agree to what takes two.
            "FENQI_CONCESSION_LIMIT_MINOR": str(10**8 - 1),
        }

    def run(self, *words: str) -> Any:
        """Run a module as the service, and what it printed as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", *words],
            env={**self.environ, "FENQI_DATABASE_URL": self.cluster.service_url},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def _migrate(self) -> None:
        assert self.cluster.owner_url is not None
        subprocess.run(
            [sys.executable, "-m", "fenqi_server", "migrate"],
            env={
                **self.environ,
                "FENQI_DATABASE_URL": self.cluster.owner_url,
                "FENQI_MIGRATING": "1",
            },
            cwd=ROOT,
            capture_output=True,
            check=True,
        )

    def start_service(self, *, guarded: bool | None = None) -> None:
        """Start the program and wait until it answers. One over a database that loses is refused, unless it is not `guarded`."""
        guarded = not self.loses if guarded is None else guarded
        module = "fenqi_server" if guarded else "tests.trust.unguarded"
        with (self.place / "service.log").open("ab") as log:
            self._program = subprocess.Popen(
                [sys.executable, "-m", module, "serve", "--port", str(self.port)],
                env=self.environ,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        ends = time.monotonic() + PATIENCE
        said = "nothing"
        while time.monotonic() < ends:
            if self._program is None or self._program.poll() is not None:
                self._program = None
                raise RuntimeError(f"the program ended by itself; its log says:\n{self.tail('service.log')}")
            asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                asking.request("GET", "/healthz")
                answer = asking.getresponse()
                said = answer.read(200).decode(errors="replace")
                if answer.status == 200:
                    return
            except (OSError, http.client.HTTPException) as problem:
                said = str(problem)
            finally:
                asking.close()
            time.sleep(0.03)
        raise RuntimeError(
            f"no answer in {PATIENCE:.0f} s, but {said}; the log says:\n{self.tail('service.log')}"
        )

    # -------------------------------------------------------------------------------------------------- killing

    def kill(self, what: str, chance: random.Random) -> None:
        """Kill -9 one of `KILLS`, parents or children first."""
        assert self._program is not None
        pids: list[int] = []
        if what in ("service", "both"):
            pids += family(self._program.pid)
        if what in ("database", "both"):
            pids += family(self._postmaster())
        if what == "answering process":
            pids += self._answering()
            self._workers_killed.append(time.monotonic())
        if what == "session":
            pids += self._sessions(chance)[:1]
        if chance.random() < 0.5:
            pids.reverse()
        _kill(pids)
        if what in ("service", "both"):
            self._program.wait()
            self._program = None
        if what in ("database", "both"):
            self.cluster.stop()  # it is dead; this takes its end from the kernel

    def rise(self) -> None:
        """Start again what was killed, and wait until the whole answers."""
        if self.cluster._process is None:
            self.cluster = self._acquire()
        if self._program is None:
            self.start_service()
            return
        try:
            self.wait_until_it_answers()
        except RuntimeError:
            # Granian gives up where a worker dies twice within so long, and the program ends with it: its supervisor starts it again.
            quick = (
                len(self._workers_killed) > 1
                and self._workers_killed[-1] - self._workers_killed[-2] < _GIVES_UP
            )
            if not quick or self._program is not None:
                raise
            self.start_service()

    def _postmaster(self) -> int:
        assert self.cluster.data_dir is not None
        status = _status(self.cluster.data_dir)
        assert status is not None
        return status[0]

    def _answering(self) -> list[int]:
        """Granian's children, which answer requests."""
        assert self._program is not None
        found = []
        for pid in family(self._program.pid)[1:]:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"granian" in words:
                    found += family(pid)[1:]
        return list(dict.fromkeys(found))

    def _sessions(self, chance: random.Random) -> list[int]:
        """PostgreSQL's processes that serve a session, in any order."""
        found = []
        for pid in family(self._postmaster())[1:]:
            with contextlib.suppress(OSError):
                if b"fenqi_service" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        chance.shuffle(found)
        return found

    # -------------------------------------------------------------------------------------------------- looking

    @contextlib.contextmanager
    def owner(self) -> Iterator[psycopg.Connection[Any]]:
        """A session that sees every shop, each statement by itself."""
        assert self.cluster.owner_url is not None
        with psycopg.connect(self.cluster.owner_url, autocommit=True) as session:
            session.execute("SET row_security = off")
            yield session

    def tail(self, log: str, size: int = 3000) -> str:
        path = (self.state if log.startswith("postgres") else self.place) / log
        return path.read_text(errors="replace")[-size:] if path.exists() else ""

    def stop(self) -> None:
        if self._program is not None:
            _kill(family(self._program.pid))
            self._program.wait()
            self._program = None
        self.cluster.stop()
