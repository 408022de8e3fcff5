"""Every event's entries balance, and at close nothing is left that should be zero."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.contracts.made import FREE_3, Story, days, terms_of
from tests.engine.contracts.test_contract import LATER, stories

from fenqi.contracts.contract import Movement, replay
from fenqi.ledger.accounts import (
    CHART,
    FEE_INCOME,
    FEE_RECEIVABLE,
    IN_TRANSIT,
    MERCHANT_PAYABLE,
    PRINCIPAL_RECEIVABLE,
    SALES,
    UNAPPLIED_CASH,
)
from fenqi.ledger.closure import closure_problems, settlement_problems
from fenqi.ledger.entries import POSTINGS, FeeNotListed, Unbalanced, entries_for, position, posting
from fenqi.terms.schedule import Charge


def booked(story: Story, on: date = LATER) -> dict[int, int]:
    return position(story.terms, replay(story.terms, story.events, on).movements)


def test_a_sale_on_credit_is_a_receivable_and_a_sale() -> None:
    assert booked(Story(terms_of())) == {PRINCIPAL_RECEIVABLE: 600_000, SALES: -600_000}


def test_what_belongs_to_another_seller_is_owed_to_it() -> None:
    story = Story(terms_of(for_other_sellers_minor=150_000))
    assert booked(story) == {PRINCIPAL_RECEIVABLE: 600_000, MERCHANT_PAYABLE: -150_000, SALES: -450_000}


def test_a_fee_is_booked_on_its_due_date_and_not_before() -> None:
    story = Story(terms_of())
    before = booked(story)
    entries = posting(booked(story.due(1)), before)
    assert entries is not None
    assert dict(zip(entries.accounts, entries.amounts, strict=True)) == {
        FEE_RECEIVABLE: 3_600,
        FEE_INCOME: -3_600,
    }


def test_a_payment_books_money_in_transit_against_what_it_paid() -> None:
    story = Story(terms_of()).due(1)
    before = booked(story)
    entries = posting(booked(story.pay(days(30), 53_600)), before)
    assert entries is not None
    assert entries.accounts == (IN_TRANSIT, PRINCIPAL_RECEIVABLE, FEE_RECEIVABLE)
    assert entries.amounts == (53_600, -50_000, -3_600)


def test_a_fee_paid_before_its_date_is_income_at_once() -> None:
    story = Story(terms_of())
    before = booked(story)
    entries = posting(booked(story.pay(days(1), 53_600)), before)
    assert entries is not None
    assert dict(zip(entries.accounts, entries.amounts, strict=True)) == {
        IN_TRANSIT: 53_600,
        PRINCIPAL_RECEIVABLE: -50_000,
        FEE_INCOME: -3_600,
    }
    assert posting(booked(story.due(1)), booked(story)) is None, "its date then books nothing more"


def test_money_beyond_the_debt_is_a_liability() -> None:
    story = Story(terms_of(FREE_3)).pay(days(1), 600_700)
    assert booked(story)[UNAPPLIED_CASH] == -700


def test_a_fee_that_the_disclosure_does_not_list_is_never_booked() -> None:
    terms = terms_of(FREE_3)
    with pytest.raises(FeeNotListed):
        position(terms, [Movement(1, "fee_earned", 1, 1)])
    unlisted = msgspec.structs.replace(terms, disclosure=msgspec.structs.replace(terms.disclosure, items=()))
    with pytest.raises(FeeNotListed):
        position(unlisted, [Movement(1, "fee_earned", 1, 1)])
    with pytest.raises(FeeNotListed):
        position(terms_of(), [Movement(1, "fee_earned", 43_201, 1)])


@given(stories(), st.sampled_from(["gone", "renamed", "less"]))
def test_whatever_happens_no_fee_is_booked_that_its_table_does_not_list(story: Story, how: str) -> None:
    """Any contract, any events: take the fee out of the pinned table, rename it or make it less, and nothing of it is booked."""
    movements = replay(story.terms, story.events, LATER).movements
    earned = sum(movement.amount_minor for movement in movements if movement.kind == "fee_earned")
    table = story.terms.disclosure
    items = {
        "gone": (),
        "renamed": tuple(msgspec.structs.replace(item, code="other") for item in table.items),
        "less": tuple(msgspec.structs.replace(item, amount_minor=earned - 1) for item in table.items),
    }[how]
    other = msgspec.structs.replace(story.terms, disclosure=msgspec.structs.replace(table, items=items))
    if earned:
        with pytest.raises(FeeNotListed):
            position(other, movements)
    else:
        assert position(other, movements) == position(story.terms, movements)


def test_each_of_several_fees_has_to_be_listed() -> None:
    terms = terms_of()
    halves = tuple(row.fee_minor // 2 for row in terms.rows)
    terms = msgspec.structs.replace(
        terms, charges=(Charge("instalment_fee", "shop", halves), Charge("traffic_fee", "partner", halves))
    )
    with pytest.raises(FeeNotListed, match="traffic_fee"):
        position(terms, [Movement(1, "fee_earned", 1, 1)])


def test_entries_that_do_not_balance_are_a_fault_of_the_program() -> None:
    with pytest.raises(Unbalanced):
        posting({IN_TRANSIT: 5, SALES: -4}, {})
    with pytest.raises(Unbalanced):
        posting({IN_TRANSIT: 5, 9999: -5}, {})


def test_the_chart_is_closed_and_every_posting_is_in_it() -> None:
    assert all(code == account.code for code, account in CHART.items())
    assert len({account.name for account in CHART.values()}) == len(CHART)
    assert {code for pair in POSTINGS.values() for code in pair} <= CHART.keys()
    for account in CHART.values():
        # A subsidy is owed by somebody else than the customer, and may outlast the contract.
        if account.name.endswith("_receivable") and account.name != "subsidy_receivable":
            assert account.zero_at == "close", "a receivable nobody has to close hides a loss"


def test_a_receivable_left_at_close_is_found() -> None:
    story = Story(terms_of(FREE_3)).pay(days(1), 600_000)
    state = replay(story.terms, story.events, LATER)
    assert closure_problems(state, booked(story)) == []
    left = {PRINCIPAL_RECEIVABLE: 1, SALES: -1}
    assert [problem.place for problem in closure_problems(state, left)] == ["principal_receivable"]
    assert [problem.place for problem in closure_problems(state, {IN_TRANSIT: 1})] == ["sum"]
    assert [p.place for p in closure_problems(state, {9999: 1, SALES: -1})] == ["account"]
    assert settlement_problems("bank:1", 0) == []
    assert settlement_problems("bank:1", 5)[0].value == "5"


@given(stories())
def test_every_event_s_entries_balance_and_close_leaves_nothing(story: Story) -> None:
    terms = story.terms
    done: dict[int, int] = {}
    for count in range(1, len(story.events) + 1):
        state = replay(terms, story.events[:count], LATER)
        after = position(terms, state.movements)
        entries = posting(after, done)
        if entries is not None:
            assert sum(entries.amounts) == 0
            assert all(entries.amounts)
            assert len(set(entries.accounts)) == len(entries.accounts) >= 2
        done = after
        assert closure_problems(state, done) == []
    # However the events were told, the book ends where a book written in order would.
    assert done == position(terms, replay(terms, story.events, LATER).movements)
    whole = entries_for(terms, state.movements)
    assert whole is None or sum(whole.amounts) == 0


@given(stories())
def test_the_book_is_what_the_rows_say(story: Story) -> None:
    """Figured out a second way: from the rows, not from the movements."""
    state = replay(story.terms, story.events, LATER)
    rows = state.rows
    agreed = sum(row.principal_minor for row in rows)
    expected = {
        IN_TRANSIT: sum(p.amount_minor for p in state.payments if p.reversed_on is None),
        PRINCIPAL_RECEIVABLE: agreed - sum(row.principal_paid_minor for row in rows),
        FEE_RECEIVABLE: sum(row.fee_earned_minor - row.fee_paid_minor for row in rows),
        UNAPPLIED_CASH: -state.unapplied_minor,
        MERCHANT_PAYABLE: -story.terms.for_other_sellers_minor,
        SALES: story.terms.for_other_sellers_minor - agreed,
        FEE_INCOME: -sum(row.fee_earned_minor for row in rows),
    }
    assert position(story.terms, state.movements) == {k: v for k, v in expected.items() if v}
