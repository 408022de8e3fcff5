"""The service's processes: Granian and the background worker, started, watched and stopped together."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fenqi_server.embedded.lifeline import die_with_parent

__all__ = ["ProcessError", "Server", "free_port", "refuse_taken_port"]

_READY_SECONDS = 60
_STOP_SECONDS = 10


class ProcessError(Exception):
    """A process of the service did not start, or ended by itself."""


def free_port() -> int:
    """A TCP port of this machine that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refuse_taken_port(host: str, port: int) -> None:
    """Raises `ProcessError` when somebody listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            raise ProcessError(
                f"{host}:{port} cannot be listened on ({problem.strerror}); name another port, such as --port {port + 1}"
            ) from problem


@dataclass
class Server:
    """The service on one port: Granian with its workers and, where asked, the background worker.

    Attributes:
        log: where both write; `None`: to this program's standard error.
    """

    port: int
    environ: Mapping[str, str]
    host: str = "127.0.0.1"
    workers: int = 1
    threads: int = 4
    worker: bool = True
    log: Path | None = None
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Starts the processes and returns once the service answers. Raises `ProcessError` when it does not."""
        refuse_taken_port(self.host, self.port)
        try:
            self._processes["service"] = self._spawn(
                "granian",
                *("--interface", "wsgi", "--host", self.host, "--port", str(self.port)),
                *("--workers", str(self.workers), "--blocking-threads", str(self.threads)),
                *("--backlog", "1024", "--log-level", "warning", "--no-ws"),
                *("--respawn-failed-workers", "--workers-kill-timeout", str(_STOP_SECONDS)),
                "fenqi_server.wsgi:application",
            )
            if self.worker:
                self._processes["worker"] = self._spawn("fenqi_server.worker", "--checked")
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def watch(self) -> None:
        """Returns only by `ProcessError`, when a process ended that should not have."""
        while True:
            self._complain_of_the_dead()
            time.sleep(0.5)

    def stop(self) -> None:
        """Lets requests in flight end, then ends both."""
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(_STOP_SECONDS + 2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def kill(self) -> None:
        """Ends both at once, as a crash would. Tests ask what is left behind."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def _spawn(self, module: str, *words: str) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as opened:
            output = None
            if self.log is not None:
                output = opened.enter_context(
                    open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")  # noqa: PTH123
                )
            return subprocess.Popen(
                [sys.executable, "-m", module, *words],
                env={**self.environ, "DJANGO_SETTINGS_MODULE": "fenqi_server.settings"},
                stdin=subprocess.DEVNULL,
                stdout=output or sys.stderr,
                stderr=output or sys.stderr,
                # Ctrl-C reaches the program alone; it stops these first and the database after them.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        answer = "nothing yet"
        while time.monotonic() < deadline:
            self._complain_of_the_dead()
            asking = http.client.HTTPConnection(self.host, self.port, timeout=5)
            try:
                asking.request("GET", "/healthz")
                response = asking.getresponse()
                if response.status == 200:
                    return
                answer = f"{response.status} {response.read(200).decode(errors='replace')}"
            except OSError as problem:
                answer = str(problem)
            finally:
                asking.close()
            time.sleep(0.05)
        raise ProcessError(f"{self.url}/healthz did not answer in {_READY_SECONDS} s: {answer}")

    def _complain_of_the_dead(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                where = f"; its log is {self.log}" if self.log else ""
                raise ProcessError(f"the {name} ended by itself with code {process.returncode}{where}")
