"""The book at a million transactions: how long the nightly proof of all of it takes.

One contract is made through the service itself, with its events and postings; the owner's role then multiplies it, row by row
as it is, so that what is measured is what the service wrote, whatever that is in this release.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.installation import installed

if TYPE_CHECKING:
    import psycopg

__all__ = ["book_of", "proof_1m"]

CONTRACTS = 100_000
ERA = 2**48  # the first of the book's eras: see fenqi_server.books.sealing
_TABLES = (
    "customers_customer",
    "servicing_contract",
    "servicing_event",
    "servicing_state",
    "books_transaction",
)
# In a copy these name other things, and everything else is the same.
_OWN = ("customer_id", "contract_id", "event_id", "transaction_id")


@contextmanager
def book_of(contracts: int) -> Iterator[tuple[dict[str, str], str]]:
    """A database of its own whose book has so many contracts, with ten transactions each: the service's environment, the owner's address."""
    import psycopg

    with installed() as (_, cluster, environ):
        owner_url = cluster.owner_url
        assert owner_url is not None, "our own server has an owner"
        made = run_as_service(environ, "template")
        with psycopg.connect(owner_url, autocommit=True) as session:
            multiply(session, made, contracts)
        run_as_service(environ, "seal")
        yield environ, owner_url


def run_as_service(environ: dict[str, str], word: str) -> dict[str, Any]:
    """What `benchmarks.book_stock` answers, in a process that holds the service's role alone."""
    import json

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.book_stock", word],
        env={**environ, "DJANGO_SETTINGS_MODULE": "fenqi_server.settings"},
        cwd=Path(__file__).resolve().parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"benchmarks.book_stock {word} failed; see above")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def multiply(session: psycopg.Connection[Any], made: dict[str, Any], contracts: int) -> None:
    """Make of one customer with one contract so many, in the order in which things happened.

    Each has amounts of its own, so that no two transactions are alike: the nth contract's are `1 + mod(n, 997)` times as much.
    """
    for table in _TABLES:
        columns = [
            name
            for (name,) in session.execute(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                " AND attgenerated = '' ORDER BY attnum",
                [table],
            ).fetchall()
        ]
        recorded = "t.recorded_at, " if "recorded_at" in columns else ""
        session.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(map(_copied, columns))} FROM (SELECT t.*, n,"
            f" row_number() OVER (ORDER BY {recorded}n) AS rank, count(*) OVER () AS ranks FROM {table} AS t"
            " CROSS JOIN generate_series(2, %s) AS n WHERE t.customer_id = %s) AS t ORDER BY rank",
            [contracts, made["customer_id"]],
        )
    # What they all paid arrives in the same batches.
    (times,) = session.execute(
        "SELECT sum(1 + mod(n, 997)) FROM generate_series(2, %s) AS n", [contracts]
    ).fetchone()  # type: ignore[misc]
    session.execute(
        "INSERT INTO books_transaction (customer_id, transaction_id, shop_id, event_id, event_kind, settlement, reference, currency,"
        " accounts, amounts, occurred_on, recorded_at, booked_on) SELECT customer_id, gen_random_uuid(), shop_id, gen_random_uuid(),"
        " event_kind, settlement, reference, currency, accounts, ARRAY(SELECT amount * %s FROM unnest(amounts) AS amount),"
        " occurred_on, recorded_at, booked_on FROM books_transaction WHERE customer_id = %s",
        [times, made["house"]],
    )
    session.execute("VACUUM ANALYZE")


def _copied(column: str) -> str:
    """A column of the nth copy."""
    if column in _OWN:
        return f"(left(t.{column}::text, 24) || lpad(to_hex(n), 12, '0'))::uuid"
    if column in ("amounts", "booked_amounts"):
        return f"ARRAY(SELECT amount * (1 + mod(n, 997)) FROM unnest(t.{column}) AS amount)"
    if column == "xact":
        # Spread over the transactions that this database has had, so that seals are of the size that they have in life.
        return f"{ERA} + 1 + t.rank * (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 100) / t.ranks"
    return f"t.{column}"


def proof_1m() -> Iterator[dict[str, object]]:
    """Seconds of the set-based proof of the whole book, its seals included, per million transactions."""
    with book_of(CONTRACTS) as (environ, _):
        proved = run_as_service(environ, "prove")
    millions = proved["transactions"] / 1_000_000
    yield {
        "name": "proof.1m",
        "value": round(statistics.median(proved["seconds"]) / millions, 2),
        "unit": "s",
        "best_s": round(min(proved["seconds"]) / millions, 2),
        "cpu_s": round(min(proved["cpu_seconds"]) / millions, 2),
        "transactions": proved["transactions"],
        "contracts": proved["contracts"],
        "load": round(os.getloadavg()[0], 1),
    }
