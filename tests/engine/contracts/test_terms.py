"""A contract is made only of a plan, a schedule and a disclosure that tell the same story."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from tests.engine.contracts.made import DOWN_6, FLAT_12, FREE_3, START, THE_MALL, Story, offer, terms_of
from tests.engine.terms.plans import Case, wide_cases

from fenqi.contracts.contract import replay
from fenqi.contracts.events import Confirmed, DueReached, PaymentReceived
from fenqi.contracts.terms import (
    Allocation,
    ContractTerms,
    TermsMismatch,
    charged_codes,
    listed_fees,
    pin,
)
from fenqi.ledger.accounts import FEE_INCOME
from fenqi.ledger.entries import entries_for, position
from fenqi.money import MAX_MINOR, MoneyError
from fenqi.terms.agreed import PayoffTerms, ReturnTerms, ServicingTerms
from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import disclose
from fenqi.terms.plan import Bearer, Fee, FlatFee, check_own_book
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

SERVICE = Fee(
    code="service",
    name=Text("服务费", "Service fee"),
    payee="shop",
    amount_minor=1_000,
    timing="up_front",
)


def test_terms_come_back_from_json_as_they_went() -> None:
    for plan in (FLAT_12, FREE_3, DOWN_6):
        terms = terms_of(plan)
        assert msgspec.json.decode(msgspec.json.encode(terms), type=ContractTerms) == terms


def test_a_contract_pins_what_its_plan_says_of_later() -> None:
    said = ServicingTerms(PayoffTerms("to_date"), returns=ReturnTerms("proportional", "returned"))
    plan = msgspec.structs.replace(FLAT_12, servicing=said)
    bill, table = offer(plan, 600_000)
    terms = pin(plan, bill, table, zone="Asia/Shanghai", policy_digest="sha256:00")
    assert (terms.payoff, terms.late, terms.returns) == (said.payoff, None, said.returns)
    other = pin(
        plan, bill, table, zone="Asia/Shanghai", policy_digest="sha256:00", payoff=PayoffTerms("whole")
    )
    assert other.payoff == PayoffTerms("whole")


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


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"fee_payee": "wallet"}, "plan mall_12: fee_payee"),
        ({"fees": (msgspec.structs.replace(SERVICE, payee="guarantor"),)}, "plan mall_12: fees[0].payee"),
        ({"bearers": (Bearer("brand", Decimal(1)),)}, "plan mall_12: bearers[0].party"),
    ],
)
def test_what_the_own_book_cannot_say_makes_no_contract(changes: dict[str, Any], place: str) -> None:
    plan = msgspec.structs.replace(FLAT_12, **changes)
    with pytest.raises(TermsMismatch) as refused:
        terms_of(plan)
    assert refused.value.problem.place == place
    assert [f"plan mall_12: {problem.place}" for problem in check_own_book(plan)] == [place]


def test_fees_at_the_start_and_beside_the_pricing_are_rows_like_others() -> None:
    plan = msgspec.structs.replace(
        FLAT_12, pricing=FlatFee(Decimal("0.006"), timing="up_front"), fees=(SERVICE,)
    )
    terms = terms_of(plan)
    # 432.00 and 10.00 at once, before 12 x 500.00.
    assert [(row.number, row.kind, row.principal_minor, row.fee_minor) for row in terms.rows[:2]] == [
        (0, "up_front", 0, 44_200),
        (1, "instalment", 50_000, 0),
    ]
    assert listed_fees(terms) == {"instalment_fee": 43_200, "service": 1_000}
    assert charged_codes(terms) == ("instalment_fee", "service")
    story = Story(terms).due(0).pay(START, 44_200)
    state = replay(terms, story.events, START)
    assert (state.rows[0].status, state.fee_outstanding_minor, state.principal_outstanding_minor) == (
        "paid",
        0,
        600_000,
    )
    assert [(each.kind, each.amount_minor) for each in state.movements] == [
        ("sold", 600_000),
        ("fee_earned", 44_200),
        ("fee_paid", 44_200),
    ]
    entries = entries_for(terms, state.movements)
    assert entries is not None
    assert sum(entries.amounts) == 0


def test_a_fee_under_another_code_than_the_disclosed_makes_no_contract() -> None:
    bill, table = offer(FLAT_12, 600_000)
    with pytest.raises(TermsMismatch, match="fee_code is other"):
        pin(
            msgspec.structs.replace(FLAT_12, fee_code="other"),
            bill,
            table,
            zone="Asia/Shanghai",
            policy_digest="sha256:00",
        )


def test_a_contract_keeps_the_calendar_by_which_its_dates_moved() -> None:
    assert terms_of(FREE_3).calendar == "gregorian@1"
    plan = msgspec.structs.replace(FREE_3, holiday="following", calendar="cn")
    bill = build_schedule(plan, 600_000, "CNY", date(2026, 9, 1))
    table = disclose(plan, bill, cost_of(bill, plan), THE_MALL)
    terms = pin(plan, bill, table, zone="Asia/Shanghai", policy_digest="sha256:00")
    assert (terms.calendar, terms.rows[0].due_on) == ("cn@2026", date(2026, 10, 8))


@given(wide_cases())
def test_what_is_booked_is_what_is_disclosed_on_every_axis(case: Case) -> None:
    bill = build_schedule(case.plan, case.amount_minor, "CNY", case.start_on)
    table = disclose(case.plan, bill, cost_of(bill, case.plan), THE_MALL)
    codes = [charge.code for charge in bill.charges] or [case.plan.fee_code]
    assert [item.code for item in table.items] == codes
    assert sum(item.amount_minor for item in table.items) == bill.fee_minor
    keepable = not check_own_book(case.plan) and max(row.fee_minor for row in bill.rows) <= MAX_MINOR
    if not keepable:
        with pytest.raises((TermsMismatch, MoneyError)):
            pin(case.plan, bill, table, zone="UTC", policy_digest="sha256:00")
        return
    terms = pin(case.plan, bill, table, zone="UTC", policy_digest="sha256:00")
    assert listed_fees(terms).keys() == set(charged_codes(terms))
    days = [Confirmed(seq=1, occurred_on=case.start_on, recorded_at=1)]
    days += [
        DueReached(seq=2 + at, occurred_on=row.due_on, recorded_at=2 + at, row=row.number)
        for at, row in enumerate(terms.rows)
    ]
    last_on = terms.rows[-1].due_on
    paid = PaymentReceived(
        seq=1_000,
        occurred_on=last_on,
        recorded_at=1_000,
        payment_id="all",
        amount_minor=bill.total_minor,
        settlement="bank:1",
    )
    state = replay(terms, [*days, paid], last_on)
    assert (state.status, state.balance_minor, state.unapplied_minor) == ("closed", 0, 0)
    booked = position(terms, state.movements)
    assert sum(booked.values()) == 0
    assert -booked.get(FEE_INCOME, 0) == sum(listed_fees(terms).values())


def test_an_allocation_names_each_part_once() -> None:
    with pytest.raises(TermsMismatch):
        terms_of(allocation=Allocation(("fee", "fee")))
    with pytest.raises(TermsMismatch):
        terms_of(for_other_sellers_minor=600_001)
