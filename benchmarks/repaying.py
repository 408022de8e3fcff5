"""A repayment against pgbench's own TPC-B, and against itself where each goes through a settlement of its own.

`service.pay` runs once, and every statement that it sends is taken down with its values. A script is those statements, in that
order, in one transaction, as the service's role, on the real tables; in place of the template's keys it has a copy's. What a copy
is, row for row, the template was before its payment. So the database does for the script what it does for the service, and what
the service does in between (replaying the contract) is not measured here but in `replay.p50`.

There are two: `repayments.posted` is what writes the event, its five entries and the contract's state; `repayments.handled` is all
that the service sends: the contract is locked and read whole before, and who listens at the shop's is looked up afterwards.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.installation import installed

if TYPE_CHECKING:
    import psycopg

    from fenqi_server.embedded import Cluster

__all__ = ["FIRST_COPY", "Pays", "Script", "copy_contracts", "posted", "script_of", "stocked"]

CONTRACTS: Final = 230_000
SCALE: Final = 50
CLIENTS: Final = 8
ROUNDS: Final = 5
PER_CLIENT: Final = {"posted": 3_000, "handled": 1_400}
# What is run before, and not counted. Of the two million payments between two checkpoints the first ones write whole pages to the log.
WARM_PER_CLIENT: Final = {"posted": 3_000, "handled": 300}
HOT_PER_CLIENT: Final = 300
PAID: Final = CLIENTS * (
    sum(WARM_PER_CLIENT[name] + ROUNDS * each for name, each in PER_CLIENT.items())
    + 2 * ROUNDS * HOT_PER_CLIENT
)
assert PAID <= CONTRACTS, "each contract is paid once"

_POSTING: Final = "SELECT servicing_append("
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# In a copy these name other things, and everything else is the same.
_TABLES: Final = {
    "customers_customer": ("customer_id",),
    "servicing_contract": ("customer_id", "contract_id"),
    "servicing_event": ("customer_id", "contract_id", "event_id"),
    "servicing_state": ("customer_id", "contract_id"),
    "books_transaction": ("customer_id", "contract_id", "event_id", "transaction_id"),
}
# The nth copy's keys, where `n` is counted from `FIRST_COPY`, so that it has as many digits as a key has there: in a script it is
# pgbench's variable, and a number is never part of a statement's text.
FIRST_COPY: Final = 100_000_000_000
_COPY: Final = {
    "customer_id": "('10000000-0000-4000-8000-' || {n}::text)::uuid",
    "contract_id": "('20000000-0000-4000-8000-' || {n}::text)::uuid",
    # The same for an event and what it books, which has its name: one drawn from the copied one's and the copy's.
    "event_id": "md5(t.event_id::text || {n})::uuid",
    "transaction_id": "md5(t.transaction_id::text || {n})::uuid",
}


class Script:
    """A pgbench script with the values that it takes (`pgbench -D name=value`)."""

    def __init__(self, text: str, values: dict[str, str]) -> None:
        self.text = text
        self.values = values


def script_of(
    made: dict[str, Any], *, posting: bool = False, spread: bool = False, live: bool = False
) -> Script:
    """The statements of a payment, for a copy of the contract that they were taken down from: all, or what writes it (`posting`).

    Where it is `live`, each is recorded when it comes, and otherwise when that contract's payment was.

    All payments of a day's batch are booked against the house's money in transit of one settlement; where it is `spread`, each has
    a settlement of its own.
    """
    known = {made[name]: _COPY[name].format(n=":n") for name in ("customer_id", "contract_id")}
    new: dict[str, str] = {}
    values: dict[str, str] = {}
    lines = [
        "\\set i :i + 1",
        f"\\set n {FIRST_COPY} + permute(:from + :client_id + {CLIENTS} * :i, {CONTRACTS}, 7)",
        "BEGIN;",
    ]
    for number, statement in enumerate(made["statements"]):
        if posting and not statement["sql"].startswith(_POSTING):
            continue
        parts = statement["sql"].split("%s")
        text = parts[0]
        for place, (value, after) in enumerate(zip(statement["values"], parts[1:], strict=True)):
            if value is None:
                text += "NULL"
            elif live and value == made["at"]:
                text += "now()"
            elif value in known:
                text += known[value]
            elif _UUID.fullmatch(value) and value != made["shop_id"]:
                # A name that was made for this payment: another for each copy, the same wherever it stands.
                new.setdefault(
                    value,
                    f"('{30 + len(new)}000000-0000-4000-8000-' || :n::text)::uuid",
                )
                text += new[value]
            elif spread and value.startswith("bank:"):
                text += "'bank:'::text || :n::text"
            else:
                name = f"v{number}_{place}"
                values[name] = value
                text += f":{name}"
            text += after
        lines.append(text.replace("%%", "%") + ";")
    return Script("\n".join([*lines, "END;", ""]), values)


def copy_contracts(session: psycopg.Connection[Any], made: dict[str, Any], contracts: int) -> None:
    """Make copies 0 to `contracts` - 1 of one customer with a contract: events, book and cached row, as they are."""
    # Foreign keys are not asked a million times for what was copied from rows that hold them.
    session.execute("SET session_replication_role = replica")
    session.execute("SET synchronous_commit = off")
    for table, keys in _TABLES.items():
        names = [
            name
            for (name,) in session.execute(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                " AND attgenerated = '' ORDER BY attnum",
                [table],
            ).fetchall()
        ]
        chosen = ", ".join(_COPY[name].format(n="n") if name in keys else f"t.{name}" for name in names)
        session.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen} FROM generate_series(%s::bigint, %s) AS n"
            f" JOIN {table} AS t ON t.customer_id = %s ORDER BY n",
            [FIRST_COPY, FIRST_COPY + contracts - 1, made["customer_id"]],
        )
    session.execute("RESET session_replication_role")
    session.execute("VACUUM (ANALYZE)")
    session.execute("CHECKPOINT")


@contextmanager
def stocked(
    contracts: int, word: str = "template"
) -> Iterator[tuple[Cluster, dict[str, str], dict[str, Any]]]:
    """A durable cluster whose service database has copies of a contract: it, the service's environment, the template."""
    import psycopg

    with installed() as (_, cluster, environ):
        assert cluster.superuser_url is not None, "our own server has a superuser"
        made = child(environ, word)
        began = time.monotonic()
        with psycopg.connect(_named(cluster.superuser_url, "fenqi"), autocommit=True) as session:
            copy_contracts(session, made, contracts)
        print(f"{contracts} contracts in {time.monotonic() - began:.0f} s", file=sys.stderr)
        yield cluster, environ, made


def posted() -> Iterator[dict[str, object]]:
    """Repayments a second at 8 connections, and how many there are for one transaction of TPC-B: medians of rounds in turn.

    Then the same where all of a round goes through one settlement of the house, against one where each has its own.
    """
    import psycopg

    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in PER_CLIENT}
    with (
        tempfile.TemporaryDirectory(prefix="fenqi-bench-") as folder,
        stocked(CONTRACTS) as (cluster, environ, made),
    ):
        assert cluster.superuser_url is not None, "our own server"
        with psycopg.connect(cluster.superuser_url, autocommit=True) as session:
            session.execute("CREATE DATABASE tpcb")
        tpcb = _named(cluster.superuser_url, "tpcb")
        _pgbench(tpcb, "-i", "-s", str(SCALE), "-q")
        # Both start from a checkpoint: the first change of a page after it writes the whole page to the log, for whoever makes it.
        with psycopg.connect(cluster.superuser_url, autocommit=True) as session:
            session.execute("CHECKPOINT")
        scripts = {
            "posted": script_of(made, posting=True, live=True),
            "handled": script_of(made, live=True),
            "spread": script_of(made, spread=True, live=True),
        }
        if scripts["spread"].text == scripts["handled"].text:
            raise SystemExit("a payment names its settlement in another way: nothing is spread")
        files = {name: Path(folder) / f"{name}.sql" for name in scripts}
        for name, file in files.items():
            file.write_text(scripts[name].text)
        ours = Pays(
            environ["FENQI_DATABASE_URL"], files["handled"], scripts["handled"].values, made["shop_id"]
        )
        for name, each in PER_CLIENT.items():
            ours.file = files[name]
            for number in range(ROUNDS + 1):
                count = each if number else WARM_PER_CLIENT[name]
                turns: dict[str, Callable[[], float]] = {
                    name: lambda count=count: ours.run(count),
                    "tpcb": lambda: _pgbench(
                        tpcb, "-M", "prepared", "-c", str(CLIENTS), "-t", str(PER_CLIENT["posted"])
                    ),
                }
                # Whoever comes second finds the machine warmer or colder: they take turns.
                rates = {who: turns[who]() for who in list(turns)[:: 1 if number % 2 else -1]}
                print(f"{name} {number}: {rates[name]:.0f} /s, TPC-B {rates['tpcb']:.0f} /s", file=sys.stderr)
                if number:
                    pairs[name].append((rates[name], rates["tpcb"]))
        costs = _hot(ours, files["handled"], files["spread"])
        proved = child(environ, "prove")
        if proved["problems"]:
            raise SystemExit("\n".join(proved["problems"]))
    for name, found in pairs.items():
        yield {
            "name": f"repayments.{name}",
            "value": round(statistics.median(a / b for a, b in found), 2),
            "unit": "repayments for one TPC-B transaction, median of pairs",
            "pairs": [round(a / b, 2) for a, b in found],
            "repayments_per_s": round(statistics.median(a for a, _ in found)),
            "tpcb_per_s": round(statistics.median(b for _, b in found)),
            "statements": 1 if name == "posted" else len(made["statements"]),
            "connections": CLIENTS,
            "contracts": CONTRACTS,
            "proved": proved["transactions"],
            "load": round(os.getloadavg()[0], 1),
        }
    yield {
        "name": "hot_account.cost",
        "value": round(statistics.median(costs), 3),
        "unit": "seconds through one settlement of the house for one where each has its own, median of pairs",
        "pairs": [round(cost, 2) for cost in costs],
        "connections": CLIENTS,
        "load": round(os.getloadavg()[0], 1),
    }


def _hot(pays: Pays, one: Path, apart: Path) -> list[float]:
    costs = []
    for number in range(ROUNDS):
        rates: dict[Path, float] = {}
        for file in (one, apart)[:: 1 if number % 2 else -1]:
            pays.file = file
            rates[file] = pays.run(HOT_PER_CLIENT)
        costs.append(rates[apart] / rates[one])
        print(f"hot {number}: {rates[one]:.0f} /s, spread {rates[apart]:.0f} /s", file=sys.stderr)
    return costs


class Pays:
    """The script, run over contracts that were not paid yet."""

    def __init__(self, url: str, file: Path, values: dict[str, str], shop_id: str) -> None:
        self.url = url
        self.file = file
        self.values = [f"-D{name}={value}" for name, value in values.items()]
        self.shop_id = shop_id
        self.paid = 0

    def run(self, per_client: int) -> float:
        """So many payments of each client; how many a second."""
        rate = _pgbench(
            self.url,
            *("-M", "prepared", "-n", "-c", str(CLIENTS), "-t", str(per_client), "-f", str(self.file)),
            *self.values,
            *("-Di=-1", f"-Dfrom={self.paid}"),
            shop_id=self.shop_id,
        )
        self.paid += CLIENTS * per_client
        return rate


def _pgbench(url: str, *words: str, shop_id: str = "") -> float:
    """Run pgbench; the transactions a second that it found, 0 where it only prepares.

    The first second is left out where there are more: a connection that is new plans every statement and meets each page of the
    shared memory for the first time, and the service keeps its connections.
    """
    from fenqi_server.embedded.binaries import find_binaries

    program = find_binaries().program("pgbench")
    environ = {**os.environ, "PGOPTIONS": f"-c fenqi.shop_id={shop_id}"} if shop_id else dict(os.environ)
    if "-i" not in words:
        words = ("-P", "1", *words)
    # A client that a failed statement ended is told of in a line, whatever the exit code.
    done = subprocess.run(
        [str(program), *words, url], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode or "aborted" in done.stderr:
        raise SystemExit(f"pgbench failed:\n{done.stderr[-2000:]}")
    _, *seconds = [float(rate) for rate in re.findall(r"progress: \S+ s, ([0-9.]+) tps", done.stderr)] or [0]
    if seconds:
        return statistics.mean(seconds)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    return float(found[1]) if found else 0.0


def child(environ: dict[str, str], word: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.repaying_stock", word],
        env=environ,
        cwd=Path(__file__).resolve().parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"benchmarks.repaying_stock {word} failed; see above")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _named(url: str, name: str) -> str:
    before, _, query = url.partition("?")
    return f"{before.rpartition('/')[0]}/{name}?{query}"
