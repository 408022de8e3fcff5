"""The background worker: runs what is due, round after round, until it is told to stop.

`settings.FENQI_JOBS` names the jobs. Each is `fn(now) -> int`, takes a bounded share of what is due at `now`, and
returns how many it did. A job that raises is logged and never keeps the others from running; it is called less often
until it succeeds again.

`python -m fenqi_server.worker` is one more worker, beside a running service's own or on another machine.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime

from django.utils.module_loading import import_string

from fenqi_server import clock

__all__ = ["Worker", "run_forever"]

_log = logging.getLogger("fenqi_server.worker")  # also when run as `__main__`
_IDLE_SECONDS = 0.5
_LONGEST_REST_SECONDS = 60.0


class Worker:
    """The jobs with their rests. `round(now)` runs each once that does not rest."""

    def __init__(self, jobs: dict[str, Callable[[datetime], int]]) -> None:
        self._jobs = jobs
        self._failures = dict.fromkeys(jobs, 0)
        self._rests_until = dict.fromkeys(jobs, 0.0)

    @classmethod
    def of_settings(cls) -> Worker:
        from django.conf import settings

        return cls({name: import_string(name) for name in settings.FENQI_JOBS})

    def round(self, now: datetime) -> int:
        """Runs the jobs once, as of `now`; returns how much was done."""
        from django.db import close_old_connections, connection

        done = 0
        for name, job in self._jobs.items():
            if time.monotonic() < self._rests_until[name]:
                continue
            try:
                done += job(now)
            except Exception:
                self._failures[name] += 1
                rest = min(_LONGEST_REST_SECONDS, 2.0 ** self._failures[name])
                self._rests_until[name] = time.monotonic() + rest
                _log.exception("%s failed (%d in a row), rests %.0f s", name, self._failures[name], rest)
                if connection.in_atomic_block:
                    connection.close()
            else:
                self._failures[name] = 0
            close_old_connections()
        return done


def run_forever() -> None:
    """Rounds until SIGTERM or SIGINT; the round under way is finished."""
    stopping = threading.Event()
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: stopping.set())
    worker = Worker.of_settings()
    while not stopping.is_set():
        try:
            done = worker.round(clock.now())
        except Exception:  # the clock itself is in the database, which may be away for a moment
            _log.exception("a round failed")
            done = 0
        # A full round may have left more behind; an empty one has time.
        if not done:
            stopping.wait(_IDLE_SECONDS)


def refused() -> str:
    """Why this worker must not start: a database that may lose what it said was written. Empty where it may start."""
    from django.db import Error, connection

    from fenqi_server.database import unsafe_setting

    def setting_of(name: str) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s)", [name])
            return str(cursor.fetchone()[0])

    try:
        return unsafe_setting(setting_of)
    except Error as problem:
        return f"the database does not answer: {problem}"


def main(words: list[str]) -> int:
    """Runs until it is told to stop. Whoever started the service has checked the database (`--checked`); a worker alone does it itself."""
    import django

    django.setup()
    if "--checked" not in words and (problem := refused()):
        print(f"fenqi worker: {problem}", file=sys.stderr)
        return 1
    run_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
