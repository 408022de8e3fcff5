"""No fee is booked that the contract's own table of costs does not list: on no path, and with nothing written."""

from __future__ import annotations

import ast
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from tests.engine.contracts.made import FLAT_12, offer
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.contracts.terms import TermsMismatch
from fenqi.ledger.accounts import FEE_INCOME, FEE_RECEIVABLE
from fenqi.ledger.entries import Entries, FeeNotListed
from fenqi_server.books.posting import post
from fenqi_server.servicing import closing, service

SOURCE = Path(__file__).parents[2] / "src"


def written() -> list[int]:
    from django.db import connection

    found = []
    with connection.cursor() as cursor:
        for table in (
            "servicing_contract",
            "servicing_event",
            "servicing_state",
            "books_transaction",
            "outbox_message",
        ):
            cursor.execute(f"SELECT count(*) FROM {table}")
            found.append(cursor.fetchone()[0])
    return found


@pytest.mark.parametrize("how", ["nothing listed", "another code", "less listed"])
def test_no_contract_is_opened_whose_table_does_not_list_its_fee(db: Any, how: str) -> None:
    from django.db import transaction

    shop = make_shop()
    customer = make_customer(shop)
    bill, table = offer(FLAT_12, 600_000)
    (item,) = table.items
    items = {
        "nothing listed": (),
        "another code": (msgspec.structs.replace(item, code="other_fee"),),
        "less listed": (msgspec.structs.replace(item, amount_minor=item.amount_minor - 1),),
    }[how]
    before = written()
    unlisted = msgspec.structs.replace(table, items=items)

    def open_it() -> None:
        with transaction.atomic():
            service.lock_customer(shop, customer)
            service.open_contract(
                shop,
                customer,
                plan=FLAT_12,
                schedule=bill,
                disclosure=unlisted,
                policy_digest="sha256:" + "0" * 64,
                order_ref="o",
                at=AT,
            )

    with pytest.raises(TermsMismatch):
        open_it()
    assert written() == before


@pytest.mark.parametrize(
    "act",
    [
        lambda shop, contract: service.pay(shop, contract, 53_600, "received", "p-2", after(days=40)),
        lambda shop, contract: service.pay(shop, contract, 53_600, "request", "p-2", after(days=40)),
        lambda shop, contract: service.reverse(shop, contract, "p-1", "bounced", after(days=40)),
    ],
    ids=["received", "request", "reversed"],
)
def test_a_stored_contract_that_came_to_say_otherwise_books_nothing_more(
    committed_db: Any, as_owner: Any, act: Any
) -> None:
    """Somebody with the owner's rights takes the fee out of the table that is pinned in a running contract."""
    shop = make_shop()
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 53_600, "received", "p-1", after(days=1))
    as_owner.execute(
        "UPDATE servicing_contract SET terms = jsonb_set(terms::jsonb, '{disclosure,items}', '[]')::json"
    )
    before = written()
    with pytest.raises(FeeNotListed, match="instalment_fee"):
        act(shop, contract)
    assert written() == before


def test_neither_does_the_days_run(committed_db: Any, as_owner: Any) -> None:
    shop = make_shop()
    contract = open_one(shop, make_customer(shop))
    as_owner.execute(
        "UPDATE servicing_contract SET terms = jsonb_set(terms::jsonb, '{disclosure,items,0,code}', '\"other_fee\"')::json"
    )
    before = written()
    report = closing.close_day(shop, on(31), after(days=31))
    assert report.failed == (contract,)
    assert written() == before


def test_a_posting_of_its_own_making_is_refused_too(db: Any) -> None:
    """Every booking goes through `post`, whoever worked out its entries."""
    shop = make_shop()
    customer = make_customer(shop)
    contract = service.get(shop, open_one(shop, customer), at=AT)
    unlisted = msgspec.structs.replace(
        contract.terms, disclosure=msgspec.structs.replace(contract.terms.disclosure, items=())
    )
    before = written()
    for terms, minor in ((None, 1), (unlisted, 1), (contract.terms, 43_201)):
        with pytest.raises(FeeNotListed):
            post(
                shop_id=shop.id,
                customer_id=customer,
                event_id=uuid4(),
                event_kind="due_reached",
                entries=Entries((FEE_RECEIVABLE, FEE_INCOME), (minor, -minor)),
                currency="CNY",
                occurred_on=on(0),
                recorded_at=AT + timedelta(seconds=1),
                booked_on=on(0),
                terms=terms,
            )
    assert written() == before


def test_there_is_no_other_way_into_the_book() -> None:
    """One INSERT, in one function, and the set-based pass of a month's end, which takes back on the next day what it books.

    The account of fee income is named by the ledger alone.
    """
    inserts, namers = [], []
    for file in sorted(SOURCE.rglob("*.py")):
        if "migrations" in file.parts:
            continue
        text = file.read_text()
        name = file.relative_to(SOURCE).as_posix()
        if "INSERT INTO books_transaction" in text:
            inserts.append(name)
        if any(isinstance(node, ast.Name) and node.id == "FEE_INCOME" for node in ast.walk(ast.parse(text))):
            namers.append(name)
    assert inserts == ["fenqi_server/books/posting.py", "fenqi_server/servicing/month_end.py"]
    assert namers == [
        "fenqi/ledger/accounts.py",
        "fenqi/ledger/entries.py",
        "fenqi/ledger/recognition.py",
    ]
