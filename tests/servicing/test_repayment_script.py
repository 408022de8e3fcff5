"""The measurement of repayments runs what the service runs: the same statements, which leave the same rows behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from benchmarks.repaying import CONTRACTS, FIRST_COPY, PAID, copy_contracts, script_of
from benchmarks.repaying_stock import recorded, template
from django.db import connection
from tests.servicing.opened import after, make_customer, make_shop, open_one

from fenqi_server.books.proof import prove
from fenqi_server.db import use_shop
from fenqi_server.ids import public_id
from fenqi_server.servicing import service
from fenqi_server.shops import service as shops

COPY = FIRST_COPY + 5
LEFT_BEHIND = (
    "SELECT seq, kind, reference, occurred_on, recorded_at, body::text FROM servicing_event WHERE contract_id = %s ORDER BY seq",
    "SELECT event_kind, settlement, reference, currency, accounts, amounts, occurred_on, recorded_at, booked_on"
    "  FROM books_transaction WHERE contract_id = %s ORDER BY recorded_at, event_kind, amounts",
    "SELECT last_seq, status, principal_outstanding_minor, balance_minor, open_due_on, open_minor, next_due_on, booked_accounts,"
    "       booked_amounts FROM servicing_state WHERE contract_id = %s",
)


def left_behind(contract_id: str) -> list[list[tuple[Any, ...]]]:
    found = []
    with connection.cursor() as cursor:
        for sql in LEFT_BEHIND:
            cursor.execute(sql, [contract_id])
            found.append(list(cursor.fetchall()))
    return found


def run_as_pgbench_would(script: Any, n: int) -> None:
    """Each statement with its variables in place, as parameters of unknown type, as pgbench sends them."""
    values = {**script.values, "n": str(n)}
    names = sorted(values, key=len, reverse=True)
    with connection.cursor() as cursor:
        for line in script.text.splitlines():
            if line.startswith("\\") or line in ("BEGIN;", "END;"):
                continue
            for name in names:
                line = line.replace(f":{name}", "'" + values[name].replace("'", "''") + "'")
            cursor.execute(line.replace("%", "%%"))


@pytest.fixture
def as_superuser(committed_db: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(committed_db.superuser_url, autocommit=True) as session:
        yield session


@pytest.fixture
def made(committed_db: Any) -> dict[str, Any]:
    shops.forget_caches()
    return template()


def test_what_the_script_does_to_a_copy_the_service_does_to_the_contract(
    made: dict[str, Any], as_superuser: psycopg.Connection[Any]
) -> None:
    copy_contracts(as_superuser, made, 6)
    shop = shops.by_code("bench")
    use_shop(shop.id)
    copy = f"20000000-0000-4000-8000-{COPY}"
    assert left_behind(copy) == left_behind(made["contract_id"])
    script = script_of(made)
    run_as_pgbench_would(script, COPY)
    service.pay(
        shop,
        public_id("ct", UUID(made["customer_id"]), UUID(made["contract_id"])),
        made["amount_minor"],
        "received",
        "bank-5",
        datetime.fromisoformat(made["at"]),
    )
    paid = left_behind(made["contract_id"])
    assert left_behind(copy) == paid
    assert [len(each[4]) for each in paid[1] if each[2] == "bank-5"] == [5], "five entries"
    assert prove(connection).ok


def test_every_statement_of_the_service_is_in_the_script_in_its_order(made: dict[str, Any]) -> None:
    text = script_of(made).text
    at = 0
    assert made["statements"], "a payment runs statements"
    for statement in made["statements"]:
        for part in statement["sql"].replace("%%", "%").split("%s"):
            at = text.index(part, at) + len(part)
    assert text.count("\nBEGIN;\n") == text.count("\nEND;\n") == 1


def test_another_contract_of_another_shop_runs_the_same_statements(made: dict[str, Any]) -> None:
    shop = make_shop()
    contract = open_one(shop, make_customer(shop))
    service.get(shop, contract, at=after(1))
    others = recorded(lambda: service.pay(shop, contract, 5_000, "received", "p", after(1)))
    assert [each["sql"] for each in others] == [each["sql"] for each in made["statements"]]


def test_each_copy_is_paid_once() -> None:
    assert PAID <= CONTRACTS
