"""What is owed follows from terms and dated events, whatever the order in which they arrived."""

from __future__ import annotations

import random
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.contracts.made import ANNUITY_6, DOWN_6, FLAT_12, FREE_3, START, Story, days, terms_of

from fenqi.contracts.contract import EventRefused, paid_by, replay
from fenqi.contracts.events import (
    Charged,
    Confirmed,
    DueReached,
    Event,
    PaidBack,
    PaymentReceived,
    PaymentReversed,
    decode_event,
    encode_event,
)
from fenqi.contracts.terms import Allocation, Interest
from fenqi.ledger.entries import position
from fenqi.terms.plan import ContingentCost
from fenqi.texts import Text

LATER = date(2030, 1, 1)


def test_a_new_contract_owes_every_row_and_none_is_late() -> None:
    terms = terms_of()
    state = replay(terms, Story(terms).events, START)
    assert (state.status, state.balance_minor, state.principal_outstanding_minor) == (
        "active",
        643_200,
        600_000,
    )
    assert (state.next_row, state.next_due_on, state.next_due_minor) == (1, date(2026, 12, 23), 53_600)
    assert not state.overdue
    assert {row.status for row in state.rows} == {"upcoming"}


def test_money_pays_the_fee_before_the_principal_of_the_oldest_row() -> None:
    terms = terms_of()
    state = replay(terms, Story(terms).pay(days(3), 4_000, "short").events, days(3))
    assert (state.rows[0].fee_paid_minor, state.rows[0].principal_paid_minor) == (3_600, 400)
    (payment,) = state.payments
    assert [(part.row, part.fee_minor, part.principal_minor) for part in payment.parts] == [(1, 3_600, 400)]


def test_one_payment_over_two_rows_says_what_it_paid_of_each() -> None:
    terms = terms_of()
    state = replay(terms, Story(terms).pay(days(3), 60_000).events, days(3))
    assert [(part.row, part.fee_minor, part.principal_minor) for part in state.payments[0].parts] == [
        (1, 3_600, 50_000),
        (2, 3_600, 2_800),
    ]
    assert [payment.payment_id for payment, _ in paid_by(state, 2)] == ["p1"]


def test_a_row_is_due_on_its_day_and_late_from_the_next() -> None:
    terms = terms_of()
    events = Story(terms).events
    assert replay(terms, events, date(2026, 12, 23)).rows[0].status == "due"
    late = replay(terms, events, date(2026, 12, 26))
    assert (late.rows[0].status, late.overdue_minor, late.days_past_due) == ("overdue", 53_600, 3)


def test_a_contract_closes_on_the_day_of_its_last_payment() -> None:
    terms = terms_of(FREE_3)
    story = Story(terms)
    for number, row in enumerate(terms.rows, 1):
        story.due(number).pay(row.due_on, row.total_minor)
    state = replay(terms, story.events, LATER)
    assert (state.status, state.closed_on, state.next_row) == ("closed", terms.rows[-1].due_on, None)


def test_money_beyond_the_debt_is_kept_unapplied() -> None:
    terms = terms_of(FREE_3)
    state = replay(terms, Story(terms).pay(days(1), 600_700).events, days(1))
    assert (state.status, state.unapplied_minor, state.payments[0].unapplied_minor) == ("closed", 700, 700)


def test_a_down_payment_is_row_0_and_due_at_once() -> None:
    terms = terms_of(DOWN_6)
    state = replay(terms, Story(terms).events, START)
    assert (state.next_row, state.rows[0].kind, state.rows[0].status) == (0, "down_payment", "due")
    assert state.next_due_minor == 120_000


def test_an_offer_of_yesterday_agreed_to_today_has_nothing_late() -> None:
    terms = terms_of(DOWN_6)
    confirmed = Confirmed(seq=1, occurred_on=days(1), recorded_at=1)
    state = replay(terms, [confirmed], days(1))
    assert (state.rows[0].due_on, state.rows[0].status, state.overdue) == (days(1), "due", False)
    assert replay(terms, [confirmed], days(2)).days_past_due == 1


def test_as_of_a_day_before_confirmation_nothing_is_owed_late() -> None:
    terms = terms_of()
    state = replay(terms, Story(terms).events, days(-1))
    assert (state.status, state.overdue, state.movements) == ("unconfirmed", False, ())


def test_money_that_came_before_the_agreement_is_applied_at_it() -> None:
    terms = terms_of(FREE_3)
    events = Story(terms).pay(days(-1), 200_000).events
    before = replay(terms, events, days(-1))
    assert (before.unapplied_minor, before.status) == (200_000, "unconfirmed")
    after = replay(terms, events, START)
    assert (after.unapplied_minor, after.rows[0].status) == (0, "paid")


def test_what_was_believed_at_an_instant_leaves_out_later_news() -> None:
    terms = terms_of()
    events = Story(terms).pay(days(10), 53_600, recorded_at=5_000).events
    assert replay(terms, events, days(40), known_at=4_999).overdue
    assert not replay(terms, events, days(40), known_at=5_000).overdue


def test_a_payment_back_dated_before_another_takes_its_place() -> None:
    terms = terms_of(FREE_3)
    events = Story(terms).pay(days(20), 200_000, "second").pay(days(10), 200_000, "first").events
    state = replay(terms, events, days(30))
    assert [payment.payment_id for payment, _ in paid_by(state, 1)] == ["first"]
    assert [payment.payment_id for payment, _ in paid_by(state, 2)] == ["second"]


def test_a_reversed_payment_leaves_its_rows_open_and_moves_later_money_up() -> None:
    terms = terms_of(FREE_3)
    events = Story(terms).pay(days(5), 200_000, "a").pay(days(6), 200_000, "b").reverse(days(9), "a").events
    assert replay(terms, events, days(8)).balance_minor == 200_000
    state = replay(terms, events, days(9))
    assert state.balance_minor == 400_000
    assert [payment.payment_id for payment, _ in paid_by(state, 1)] == ["b"]
    assert state.payments[0].reversed_on == days(9)


def test_a_reversal_opens_a_closed_contract_again_and_takes_back_a_fee_earned_by_paying() -> None:
    terms = terms_of()
    events = Story(terms).pay(days(5), 643_200, "all").reverse(days(7), "all").events
    assert replay(terms, events, days(6)).status == "closed"
    state = replay(terms, events, days(7))
    assert (state.status, state.closed_on, state.balance_minor) == ("active", None, 643_200)
    assert all(row.fee_earned_minor == 0 for row in state.rows)


def test_a_fee_is_earned_on_its_date_or_when_paid_before_it() -> None:
    terms = terms_of()
    state = replay(terms, Story(terms).pay(days(1), 53_600 + 1_000).due(1).due(2).events, LATER)
    assert [row.fee_earned_minor for row in state.rows[:3]] == [3_600, 3_600, 0]
    assert sum(m.amount_minor for m in state.movements if m.kind == "fee_earned") == 7_200


def test_agreed_interest_is_earned_by_being_paid_early_so_that_no_receivable_is_below_zero() -> None:
    terms = msgspec.structs.replace(
        terms_of(ANNUITY_6), interest=Interest(counted_from=START, begins_on=START)
    )
    agreed = sum(row.fee_minor for row in terms.rows)
    state = replay(terms, Story(terms).pay(days(1), 600_000 + agreed).events, days(1))
    assert state.status == "closed"
    assert sum(m.amount_minor for m in state.movements if m.kind == "interest_earned") == agreed
    assert 1130 not in position(terms, state.movements), "interest receivable"


def test_money_that_came_before_the_agreement_is_not_used_for_a_charge_before_it() -> None:
    cost = ContingentCost("late_fee", Text("滞纳金", "Late fee"), Text("逾期", "If late"), "the mall")
    terms = terms_of(msgspec.structs.replace(FREE_3, contingent=(cost,)))
    charged = Charged(
        seq=8,
        occurred_on=days(-1),
        recorded_at=8,
        charge_id="c",
        part="fee",
        amount_minor=100,
        due_on=days(-1),
        code="late_fee",
    )
    events = [*Story(terms).pay(days(-2), 500).events, charged]
    assert replay(terms, events, days(-1)).unapplied_minor == 500
    assert replay(terms, events, START).unapplied_minor == 0


def test_what_was_paid_back_is_owed_again_where_the_payment_that_it_came_from_bounces() -> None:
    # 500 came, 500 went out, and the 500 that came were taken back: the customer has 500 of ours besides the goods.
    terms = terms_of(FREE_3)
    dates = {"occurred_on": days(2), "recorded_at": 9}
    back = PaidBack(seq=9, payment_id="back", amount_minor=500, settlement="bank:2", **dates)
    events = [*Story(terms).pay(days(1), 500, "in").events, back]
    bounced = PaymentReversed(
        seq=10, occurred_on=days(3), recorded_at=10, payment_id="in", settlement="bank:3", reason="bounced"
    )
    state = replay(terms, [*events, bounced], days(3))
    assert position(terms, state.movements) == {1020: -500, 1110: 600_500, 4010: -600_000}
    assert state.balance_minor == 600_500
    # The 500 that went out come back as well: nothing happened but the sale.
    returned = msgspec.structs.replace(bounced, seq=11, payment_id="back")
    state = replay(terms, [*events, bounced, returned], days(3))
    assert position(terms, state.movements) == {1110: 600_000, 4010: -600_000}
    with pytest.raises(EventRefused):
        replay(terms, [*events, returned, msgspec.structs.replace(returned, seq=12)], days(3))


def test_allocation_along_parts_pays_every_fee_before_any_principal() -> None:
    terms = terms_of(allocation=Allocation(along="parts"))
    state = replay(terms, Story(terms).pay(days(1), 43_300).events, days(1))
    assert sum(row.fee_paid_minor for row in state.rows) == 43_200
    assert state.rows[0].principal_paid_minor == 100


@pytest.mark.parametrize(
    ("told", "place"),
    [
        (lambda s: s.confirm(), "event"),
        (lambda s: s.pay(days(1), 100, "a").pay(days(2), 100, "a"), "payment_id"),
        (lambda s: s.pay(days(1), 0), "amount_minor"),
        (lambda s: s.reverse(days(1), "nobody"), "payment_id"),
        (lambda s: s.pay(days(1), 5, "a").reverse(days(2), "a").reverse(days(3), "a"), "payment_id"),
        (lambda s: s.due(1).due(1), "event"),
        (lambda s: s.put_off(1, s.terms.rows[0].due_on), "to"),
        (lambda s: s.put_off(1, days(60)).put_off(1, days(50)), "to"),
        (lambda s: s.put_off(99, days(60)), "row"),
        (
            lambda s: s.events.append(DueReached(seq=2, occurred_on=START, recorded_at=2, row=99)),
            "row",
        ),
    ],
)
def test_events_that_cannot_all_be_true_are_refused_by_name(told: object, place: str) -> None:
    story = Story(terms_of())
    told(story)  # type: ignore[operator]
    with pytest.raises(EventRefused) as refused:
        replay(story.terms, story.events, LATER)
    assert refused.value.problem.place == place


def test_a_due_date_put_off_charges_nothing_and_is_not_late_until_the_new_day() -> None:
    terms = terms_of()
    first = terms.rows[0].due_on
    plain, moved = Story(terms), Story(terms).put_off(1, first + timedelta(days=2))
    before = replay(terms, plain.events, first + timedelta(days=1))
    after = replay(terms, moved.events, first + timedelta(days=1))
    assert (before.overdue, before.days_past_due) == (True, 1)
    assert (after.overdue, after.rows[0].status) == (False, "upcoming")
    assert (after.rows[0].due_on, after.rows[0].moved_from) == (first + timedelta(days=2), first)
    assert after.balance_minor == before.balance_minor
    assert after.movements == before.movements
    late = replay(terms, moved.events, first + timedelta(days=3))
    assert (late.overdue, late.days_past_due) == (True, 1)


def test_a_date_put_off_after_its_fee_was_earned_takes_the_fee_neither_back_nor_again() -> None:
    terms = terms_of()
    first = terms.rows[0].due_on
    events = Story(terms).due(1).put_off(1, first + timedelta(days=2), on=first).events
    state = replay(terms, events, first + timedelta(days=5))
    assert [(m.kind, m.amount_minor) for m in state.movements if m.kind == "fee_earned"] == [
        ("fee_earned", 3_600)
    ]


def test_an_event_of_a_moved_date_is_kept_and_read_back() -> None:
    events = Story(terms_of()).put_off(1, days(60)).events
    assert [decode_event(encode_event(event)) for event in events] == events


plans = st.sampled_from([FLAT_12, FREE_3, ANNUITY_6, DOWN_6])
amounts = st.integers(min_value=1_000, max_value=10_000_000)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    allocation = Allocation(
        draw(st.sampled_from([("fee", "principal"), ("principal", "fee")])),
        draw(st.sampled_from(["rows", "parts"])),
    )
    price = draw(amounts)
    terms = terms_of(
        draw(plans),
        price,
        allocation=allocation,
        for_other_sellers_minor=draw(st.sampled_from([0, price // 3, price])),
    )
    story = Story(terms)
    standing: list[str] = []
    left = [row.number for row in terms.rows]
    for _ in range(draw(st.integers(0, 14))):
        what = draw(st.sampled_from(["pay", "pay", "due", "reverse", "exact"]))
        on = days(draw(st.integers(-2, 500)))
        if what == "due" and left:
            story.due(left.pop(0))
        elif what == "reverse" and standing:
            name = standing.pop(draw(st.integers(0, len(standing) - 1)))
            paid = next(e for e in story.events if isinstance(e, PaymentReceived) and e.payment_id == name)
            story.reverse(max(on, paid.occurred_on), name)
        elif what == "exact":
            standing.append(f"x{len(story.events)}")
            owed = replay(terms, story.events, LATER).balance_minor
            story.pay(on, max(1, owed), standing[-1])
        else:
            standing.append(f"x{len(story.events)}")
            story.pay(on, draw(st.integers(1, price)), standing[-1])
    return story


@given(stories(), st.randoms(use_true_random=False))
def test_the_order_in_which_events_arrive_does_not_matter(story: Story, random: random.Random) -> None:
    shuffled: list[Event] = list(story.events)
    random.shuffle(shuffled)
    assert replay(story.terms, shuffled, LATER) == replay(story.terms, story.events, LATER)


@given(stories(), st.integers(-5, 600))
def test_money_received_is_all_accounted_for(story: Story, day: int) -> None:
    state = replay(story.terms, story.events, days(day))
    received = sum(payment.amount_minor for payment in state.payments if payment.reversed_on is None)
    assert received == state.paid_minor + state.unapplied_minor
    for payment in state.payments:
        parts = sum(part.fee_minor + part.principal_minor for part in payment.parts)
        expected = 0 if payment.reversed_on else payment.amount_minor
        assert parts + payment.unapplied_minor == expected
    for row in state.rows:
        assert sum(part.fee_minor for _, part in paid_by(state, row.number)) == row.fee_paid_minor
        assert sum(part.principal_minor for _, part in paid_by(state, row.number)) == row.principal_paid_minor
        assert 0 <= row.principal_paid_minor <= row.principal_minor
        assert 0 <= row.fee_paid_minor <= row.fee_earned_minor <= row.fee_minor
    agreed = sum(row.total_minor for row in state.rows)
    assert state.balance_minor + state.paid_minor == agreed
    if state.unapplied_minor and state.status != "unconfirmed":
        assert state.status == "closed", "money is unapplied only where nothing is owed"


@given(stories())
def test_an_event_comes_back_from_json_as_it_went(story: Story) -> None:
    assert [decode_event(encode_event(event)) for event in story.events] == story.events
