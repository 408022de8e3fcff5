"""What the measurements of the book run as the service, each in a process of its own.

python -m benchmarks.book_stock template     a contract with four months behind it, to be multiplied; prints its keys
python -m benchmarks.book_stock seal         hash what is booked; prints how many batches it took
python -m benchmarks.book_stock prove        prove the sums of the whole book some times over; prints the seconds
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import django

RUNS = 3


def template() -> dict[str, object]:
    """A shop with one contract: ten transactions of its own, and those of the house by which its payments arrived."""
    from tests.servicing.opened import AT, after, make_customer, make_shop, open_one

    from fenqi_server.books.settlement import settle
    from fenqi_server.ids import house_party, parse_public_id
    from fenqi_server.servicing import closing, service

    shop = make_shop("bench")
    contract = open_one(shop, make_customer(shop))
    for month in range(1, 6):
        day = after(31 * month)
        closing.close_day(shop, day.date(), day)
        if month < 5:
            service.pay(shop, contract, 53_600, "received", f"p{month}", day, settlement=f"bank:{month}")
            settle(shop, f"bank:{month}", after(31 * month, 60))
    customer_id, contract_id = parse_public_id(contract)
    return {
        "shop": shop.code,
        "shop_id": str(shop.id),
        "customer_id": str(customer_id),
        "contract_id": str(contract_id),
        "house": str(house_party(shop.id, "settlement")),
        "opened_at": AT.isoformat(),
    }


def seal() -> dict[str, object]:
    """Seal everything, as the worker does."""
    from fenqi_server import clock
    from fenqi_server.books import sealing

    began, batches = time.perf_counter(), 0
    while sealing.seal(clock.now()):
        batches += 1
    return {"batches": batches, "seconds": time.perf_counter() - began}


def prove() -> dict[str, object]:
    """The seconds of each run, and what was looked at."""
    from django.db import connection

    from fenqi_server.books.proof import prove_sums
    from fenqi_server.db import use_shop
    from fenqi_server.shops import service as shops

    use_shop(shops.by_code("bench").id)
    seconds, busy = [], []
    for _ in range(RUNS):
        before, began = _database_cpu_seconds(connection), time.perf_counter()
        report = prove_sums(connection)
        seconds.append(time.perf_counter() - began)
        busy.append(_database_cpu_seconds(connection) - before)
        if not report.ok:
            raise SystemExit("\n".join(problem.sentence for problem in report.problems[:5]))
    return {
        "seconds": seconds,
        "cpu_seconds": busy,
        "transactions": report.transactions,
        "contracts": report.contracts,
    }


def _database_cpu_seconds(connection: Any) -> float:
    """What this session's process has used, and every worker that its server has seen end: what others use does not count."""
    ticks = os.sysconf("SC_CLK_TCK")
    session = _stat(connection.connection.info.backend_pid)
    server = _stat(int(session[1]))
    return (sum(map(int, session[11:13])) + sum(map(int, server[13:15]))) / ticks


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


if __name__ == "__main__":
    django.setup()
    print(json.dumps({"template": template, "seal": seal, "prove": prove}[sys.argv[1]]()))
