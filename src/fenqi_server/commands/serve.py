"""`fenqi serve`: the service over its database."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["add_parser", "add_server_options", "end_on_sigterm", "prepare", "refuse_port", "run_server"]

_EXAMPLES = """\
examples:
  fenqi serve --port 8000
  FENQI_ORIGIN=https://pay.example.com fenqi serve --workers 2
  FENQI_DATABASE_URL=postgresql://fenqi_service:...@db/fenqi fenqi serve

It stops with Ctrl-C or SIGTERM: requests in flight end, then the database if it was started here.
TLS ends at a proxy in front; with an https origin, cookies are secure and HSTS is sent.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="serve the API and the pages",
        description="Serves the API and the pages, and runs what is due in the background.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_server_options(parser)
    parser.set_defaults(run=run)


def add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=8000, help="TCP port (8000)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--workers", type=int, default=1, help="processes that answer requests (1)")
    parser.add_argument("--threads", type=int, default=4, help="requests a process answers at a time (4)")


def run(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import Failure, note
    from fenqi_server.commands.database import open_database, require_safe_settings

    end_on_sigterm()
    refuse_port(arguments)
    with open_database() as (home, cluster):
        require_safe_settings(cluster)
        environ = home.environ(cluster)
        environ.setdefault("FENQI_ORIGIN", f"http://{arguments.host}:{arguments.port}")
        missing = prepare(environ)
        if missing:
            raise Failure(f"the database is not at this release: {missing}. Run `fenqi migrate` first.")
        run_server(arguments, environ, lambda url: note(f"Fenqi serves {url}"))
    return 0


def run_server(
    arguments: argparse.Namespace, environ: dict[str, str], when_ready: Callable[[str], None]
) -> None:
    """Serves until Ctrl-C or SIGTERM; both processes are gone when it returns."""
    from fenqi_server.cli import Failure, note
    from fenqi_server.processes import ProcessError, Server

    server = Server(
        host=arguments.host,
        port=arguments.port,
        environ=environ,
        workers=arguments.workers,
        threads=arguments.threads,
    )
    try:
        server.start()
        when_ready(server.url)
        server.watch()
    except ProcessError as problem:
        raise Failure(str(problem)) from problem
    except KeyboardInterrupt:
        note("Stopping ...")
    finally:
        server.stop()


def refuse_port(arguments: argparse.Namespace) -> None:
    """A port that is taken is said at once, before a database is started for it."""
    from fenqi_server.cli import Failure
    from fenqi_server.processes import ProcessError, refuse_taken_port

    try:
        refuse_taken_port(arguments.host, arguments.port)
    except ProcessError as problem:
        raise Failure(str(problem)) from problem


def prepare(environ: dict[str, str]) -> str:
    """Collects the static files, and names the migrations that the database lacks."""
    done = subprocess.run(
        [sys.executable, "-m", "fenqi_server.preparation"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        from fenqi_server.cli import Failure

        raise Failure("the service cannot start; see above")
    return done.stdout.strip()


def end_on_sigterm() -> None:
    """A service manager's SIGTERM ends the program as Ctrl-C does; a second one does not interrupt the ending."""

    def ending(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ending)
    signal.signal(signal.SIGINT, ending)


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65_536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port: expected 1 to 65535")
