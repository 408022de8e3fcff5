"""The queues of a day's close, where the planner believes them empty: nothing compares all that waits with all that is to go."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, TODAY, make_customer, make_shop, open_one

from fenqi_server.autopay import asking
from fenqi_server.db import array_of, read_by_index, use_shop
from fenqi_server.ids import parse_public_id
from fenqi_server.reminders import ending
from fenqi_server.servicing import watch

CONTRACTS, KEYS = 40, 10
_FILLED = {
    "autopay_due": "(customer_id, contract_id, shop_id, ask_at, first_on) SELECT customer_id, contract_id, shop_id, created_at, %s",
    "servicing_watch": "(customer_id, contract_id, shop_id, look_on) SELECT customer_id, contract_id, shop_id, %s",
    "reminders_term": "(customer_id, contract_id, shop_id, look_on, ends_on) SELECT customer_id, contract_id, shop_id, %s, '2027-12-01'",
}
# What each statement takes between the keys: nothing, or what is changed.
_STATEMENTS: list[tuple[str, str, list[list[Any]]]] = [
    ("autopay_due", asking._LEAVE, []),
    ("autopay_due", asking._PUT_OFF, [[AT + timedelta(days=1)] * KEYS, [TODAY] * KEYS]),
    ("servicing_watch", watch._LEAVE, []),
    ("servicing_watch", watch._PUT_OFF, [[TODAY + timedelta(days=1)] * KEYS]),
    ("reminders_term", ending._LEAVE, []),
    ("reminders_term", ending._PUT_OFF, [[TODAY + timedelta(days=1)] * KEYS]),
]


@pytest.mark.parametrize(("table", "statement", "changed"), _STATEMENTS)
def test_what_leaves_a_queue_or_waits_longer_is_found_by_its_key(
    committed_db: object,
    as_owner: psycopg.Connection[Any],
    table: str,
    statement: str,
    changed: list[list[Any]],
) -> None:
    shop = make_shop()
    contracts = [
        parse_public_id(
            open_one(shop, make_customer(shop, f"c-{number}"), FREE_3, 30_000, order_ref=f"o-{number}")
        )
        for number in range(CONTRACTS)
    ]
    fill = f"INSERT INTO {table} {_FILLED[table]} FROM servicing_contract"
    as_owner.execute(fill, [TODAY])
    as_owner.execute(f"DELETE FROM {table}")
    as_owner.execute(f"ANALYZE {table}")  # pages there are, and nothing in them
    as_owner.execute(fill, [TODAY])
    use_shop(shop.id)
    these = contracts[:: CONTRACTS // KEYS]
    customers, keys = array_of(each for each, _ in these), array_of(each for _, each in these)
    given = [keys, *(array_of(each) for each in changed), customers, keys] if changed else [customers, keys]
    with transaction.atomic(), connection.cursor() as cursor:
        use_shop(shop.id)
        read_by_index()
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
        (said,) = cursor.fetchone()
    plan = (json.loads(said) if isinstance(said, str) else said)[0]["Plan"]
    compared = sum(each.get("Rows Removed by Join Filter", 0) for each in _nodes(plan))
    assert compared <= KEYS * KEYS, f"{compared} of {CONTRACTS} x {KEYS} pairs were compared"
    left = as_owner.execute(f"SELECT customer_id, contract_id FROM {table}").fetchall()
    if not changed:
        assert set(left) == set(contracts) - set(these)
        return
    column = "ask_at" if table == "autopay_due" else "look_on"
    moved = as_owner.execute(
        f"SELECT customer_id, contract_id FROM {table} WHERE {column} = %s", [changed[0][0]]
    ).fetchall()
    assert set(moved) == set(these)
    assert len(left) == CONTRACTS


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for each in plan.get("Plans", ()) for node in _nodes(each))]
