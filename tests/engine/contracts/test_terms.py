"""A contract is made only of a plan, a schedule and a disclosure that tell the same story."""

from __future__ import annotations

import msgspec
import pytest
from tests.engine.contracts.made import DOWN_6, FLAT_12, FREE_3, offer, terms_of

from fenqi.contracts.terms import Allocation, ContractTerms, TermsMismatch, listed_fees, pin


def test_terms_come_back_from_json_as_they_went() -> None:
    for plan in (FLAT_12, FREE_3, DOWN_6):
        terms = terms_of(plan)
        assert msgspec.json.decode(msgspec.json.encode(terms), type=ContractTerms) == terms


def test_the_listed_fees_are_the_disclosure_s() -> None:
    assert listed_fees(terms_of()) == {"instalment_fee": 43_200}
    assert listed_fees(terms_of(FREE_3)) == {"instalment_fee": 0}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda bill, table: (bill, msgspec.structs.replace(table, authority="funder")), "authority"),
        (lambda bill, table: (bill, msgspec.structs.replace(table, plan_id="other")), "disclosure.plan_id"),
        (lambda bill, table: (bill, msgspec.structs.replace(table, currency="USD")), "disclosure.currency"),
        (lambda bill, table: (bill, msgspec.structs.replace(table, items=())), "disclosure.items"),
        (
            lambda bill, table: (bill, msgspec.structs.replace(table, total_cost_minor=1)),
            "disclosure.total_cost_minor",
        ),
        (
            lambda bill, table: (bill, msgspec.structs.replace(table, principal_minor=1)),
            "disclosure.principal_minor",
        ),
        (lambda bill, table: (msgspec.structs.replace(bill, rows=bill.rows[:-1]), table), "rows' principal"),
        (lambda bill, table: (msgspec.structs.replace(bill, rows=bill.rows[::-1]), table), "rows"),
    ],
)
def test_a_figure_that_differs_makes_no_contract(change: object, place: str) -> None:
    bill, table = change(*offer(FLAT_12, 600_000))  # type: ignore[operator]
    with pytest.raises(TermsMismatch) as refused:
        pin(FLAT_12, bill, table, zone="Asia/Shanghai", policy_digest="sha256:00")
    assert refused.value.problem.place == place


def test_an_allocation_names_each_part_once() -> None:
    with pytest.raises(TermsMismatch):
        terms_of(allocation=Allocation(("fee", "fee")))
    with pytest.raises(TermsMismatch):
        terms_of(for_other_sellers_minor=600_001)
