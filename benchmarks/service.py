"""The service over HTTP: its process on one core, PostgreSQL and the load on the other.

Everything is the real thing: durable embedded PostgreSQL in a folder of its own, Granian with one worker, the key
check, signed quotes, and a decision row for each answer, which are counted afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.installation import installed

if TYPE_CHECKING:
    from fenqi_server.processes import Server

CONNECTIONS = 16
SECONDS = 10.0
SETTLING_SECONDS = 2.0


@contextmanager
def _on_core(cores: set[int]) -> Iterator[None]:
    """What is started inside runs on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def http_evaluations() -> Iterator[dict[str, object]]:
    """Evaluations a second, with their latency at 16 connections."""
    from fenqi_server.processes import Server, free_port

    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit(
            "http.evaluations needs two cores: one for the service, one for PostgreSQL and the load"
        )
    service_core, other_core = {cores[0]}, {cores[1]}
    with _on_core(other_core), installed() as (folder, cluster, environ):
        owner_url = cluster.owner_url
        assert owner_url is not None, "our own server has an owner"
        stocked = run_module(environ, "benchmarks.stock")
        server = Server(port=free_port(), environ=environ, worker=False, log=folder / "service.log")
        with _on_core(service_core):
            server.start()
        try:
            before = _ticks(), _ticks_of(server)
            measured = run_module(
                environ | {"FENQI_BENCH_KEY": str(stocked["key"])},
                *("benchmarks.load", "--port", str(server.port)),
                *("--connections", str(CONNECTIONS), "--seconds", str(SECONDS)),
            )
            after = _ticks(), _ticks_of(server)
            time.sleep(SETTLING_SECONDS)
            rows = _decision_rows(owner_url)
        finally:
            server.stop()
    yield {
        "name": "http.evaluations",
        "value": round(_number(measured["requests_per_s"])),
        "unit": "1/s",
        "p50_ms": round(_number(measured["p50_ms"]), 1),
        "p99_ms": round(_number(measured["p99_ms"]), 1),
        "connections": CONNECTIONS,
        "refused": measured["refused"],
        "answered": measured["answered"],
        "decision_rows": rows,
        **_shares(before, after, cores[:2]),
        **{name: measured.get(name) for name in ("plans", "blocked", "quotes", "bytes")},
    }


def _ticks() -> dict[int, tuple[int, int]]:
    """Of each core, ticks busy and ticks in all since the machine started."""
    found: dict[int, tuple[int, int]] = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *numbers = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(number) for number in numbers[:8]]
            found[int(name[3:])] = (sum(ticks) - ticks[3] - ticks[4], sum(ticks))
    return found


def _ticks_of(server: Server) -> int:
    """The ticks that the service's processes have used."""
    used = 0
    for process in server._processes.values():
        for pid in (process.pid, *_children(process.pid)):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
    return used


def _children(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*found, *(grandchild for child in found for grandchild in _children(child))]


_Ticks = tuple[dict[int, tuple[int, int]], int]


def _shares(before: _Ticks, after: _Ticks, cores: list[int]) -> dict[str, object]:
    """How busy both cores were, and how much of its own the service had: the rest was somebody else's."""
    busy = [after[0][core][0] - before[0][core][0] for core in cores]
    whole = [after[0][core][1] - before[0][core][1] for core in cores]
    return {
        "service_core_busy": round(busy[0] / whole[0], 2),
        "service_core_ours": round((after[1] - before[1]) / whole[0], 2),
        "other_core_busy": round(busy[1] / whole[1], 2),
    }


def run_module(environ: dict[str, str], module: str, *words: str) -> dict[str, object]:
    """What a module prints as JSON, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env=environ,
        cwd=Path(__file__).resolve().parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{module} failed; see above")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def _decision_rows(owner_url: str) -> int:
    import psycopg

    with psycopg.connect(owner_url) as session:
        session.execute("SET row_security = off")
        found = session.execute("SELECT count(*) FROM decisions_decision").fetchone()
    return int(found[0]) if found else 0


def _number(value: object) -> float:
    assert isinstance(value, (int, float)), "nothing was answered while it was measured"
    return float(value)
