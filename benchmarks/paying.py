"""Payments booked over HTTP: the service, PostgreSQL and the load together on two cores.

Each request pays another contract, with an Idempotency-Key and a number of its own, and is durable when it is answered. What was
answered is held to what is booked.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.repaying import child, stocked
from benchmarks.service import run_module

__all__ = ["http_payments"]

CONTRACTS: Final = 24_000
CONNECTIONS: Final = 16
WARM_SECONDS: Final = 5.0
SECONDS: Final = 12.0
WORKERS: Final = 2
_BOOKED: Final = "SELECT count(*) FROM books_transaction WHERE reference LIKE 'http-%'"


def seconds_of(process: int) -> float:
    """The processor seconds of a process and of all that it began, also of what has ended by now."""
    ticks = 0
    for pid in (process, *_children(process)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*found, *(grandchild for child in found for grandchild in _children(child))]


def http_payments() -> Iterator[dict[str, object]]:
    """Payments a second over HTTP at 16 connections."""
    import psycopg

    from fenqi_server.processes import Server, free_port

    cores = sorted(os.sched_getaffinity(0))[:2]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        with (
            stocked(CONTRACTS, "opened") as (cluster, environ, made),
            tempfile.TemporaryDirectory() as folder,
        ):
            assert cluster.data_dir is not None, "our own server has its data"
            assert cluster.owner_url is not None, "our own server has an owner"
            server = Server(
                port=free_port(),
                environ=environ,
                worker=False,
                workers=WORKERS,
                log=Path(folder) / "service.log",
            )
            server.start()
            try:
                database = int((cluster.data_dir / "postmaster.pid").read_text().split()[0])
                processes = [database, *(process.pid for process in server._processes.values())]
                load = (
                    *("benchmarks.load", "--port", str(server.port), "--payments", str(CONTRACTS)),
                    *("--connections", str(CONNECTIONS)),
                )
                keyed = environ | {"FENQI_BENCH_KEY": str(made["key"])}
                # What a process does once, it does here.
                warm = run_module(keyed, *load, "--warm-up", "0", "--seconds", str(WARM_SECONDS))
                first = int(str(warm["answered"])) + CONNECTIONS
                began, used = time.monotonic(), [seconds_of(process) for process in processes]
                measured = run_module(
                    keyed, *load, "--warm-up", "0", "--seconds", str(SECONDS), "--first", str(first)
                )
                took = time.monotonic() - began
                spent = [seconds_of(process) - was for process, was in zip(processes, used, strict=True)]
            finally:
                server.stop()
            with psycopg.connect(cluster.owner_url) as session:
                session.execute("SET row_security = off")
                (booked,) = session.execute(_BOOKED).fetchone() or (0,)
            proved = child(environ, "prove")
    finally:
        os.sched_setaffinity(0, before)
    if proved["problems"]:
        raise SystemExit("\n".join(proved["problems"]))
    answered, refused = int(str(measured["answered"])), int(str(measured["refused"]))
    # Up to one request a connection was booked and its answer not waited for.
    booked -= int(str(warm["answered"]))
    if refused or warm["refused"] or not answered <= booked <= answered + 2 * CONNECTIONS:
        raise SystemExit(f"{answered} were answered, {refused} refused, {booked} booked")
    yield {
        "name": "http.payments",
        "value": round(float(str(measured["requests_per_s"]))),
        "unit": "1/s",
        "p50_ms": round(float(str(measured["p50_ms"])), 1),
        "p99_ms": round(float(str(measured["p99_ms"])), 1),
        "connections": CONNECTIONS,
        "answered": answered,
        "booked": booked,
        # Of both processors' time. Where this machine is shared, what is missing to 1 was somebody else's.
        "ours": round(sum(spent) / took / len(cores), 2),
        "database_ms": round(1000 * spent[0] / answered, 2),
        "service_ms": round(1000 * sum(spent[1:]) / answered, 2),
        "cores": len(cores),
        "load": round(os.getloadavg()[0], 1),
    }
