"""Contracts made under an earlier layout of the cost table: they run on, keep its name, and it gets an address."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from tests.servicing.opened import AT, after, make_customer, make_shop, on

from fenqi.calendars import to_epoch
from fenqi.contracts.events import Confirmed
from fenqi.contracts.terms import ContractTerms
from fenqi.terms.disclosure import FIRST_VERSION, digest
from fenqi_server.disclosures import service as disclosures
from fenqi_server.ids import uuid7
from fenqi_server.servicing import closing, service, storage

KEPT = Path(__file__).parents[1] / "engine" / "terms" / "kept"
NAME = "sha256:061a2d039aa73bb915f5a5b7654c384d307c56ac05c62f860e93fd03e4edf6a9"
"""What the code of the first layout called the table in `contract-1.json`."""


def old_contract(shop: Any) -> str:
    """A contract as the code of the first layout stored it: ¥6,000 over 12 months at 0.6 %."""
    contract = storage.Stored(
        shop_id=shop.id,
        customer_id=make_customer(shop),
        contract_id=uuid7(AT),
        order_ref="old-1",
        decision_id="",
        created_at=AT,
        terms=msgspec.json.decode((KEPT / "contract-1.json").read_bytes(), type=ContractTerms),
        events=[],
        booked={},
    )
    storage.create(contract, "CNY")
    storage.append(contract, [Confirmed(seq=1, occurred_on=on(0), recorded_at=to_epoch(AT))], AT, on(0))
    return contract.public_id


def test_it_runs_on_to_its_end_with_its_fees_and_its_tables_name(db: Any) -> None:
    shop = make_shop()
    contract = old_contract(shop)
    for number in range(1, 13):
        row = service.get(shop, contract, at=AT).terms.rows[number - 1]
        days = (row.due_on - on(0)).days
        assert closing.close_day(shop, row.due_on, after(days=days)).rows == 1
        service.pay(shop, contract, row.total_minor, "received", f"p-{number}", after(days=days))
    view = service.get(shop, contract, at=after(days=366))
    assert view.state.status == "closed"
    assert view.state.paid_minor == 643_200
    assert view.terms.disclosure.table_version == FIRST_VERSION
    assert view.terms.disclosure_digest == digest(view.terms.disclosure) == NAME
    assert disclosures.acknowledgement_for(view.decision_id) is None


def test_the_migration_gives_its_table_an_address(committed_db: Any, as_owner: Any) -> None:
    shop = make_shop()
    old_contract(shop)
    statement = import_module("fenqi_server.disclosures.migrations.0001_initial").OF_CONTRACTS
    as_owner.execute(statement)
    found = disclosures.find(shop, NAME)
    assert digest(found) == NAME
    assert found.reading_seconds == 0
