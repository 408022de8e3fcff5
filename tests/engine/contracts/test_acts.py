"""What happens to a contract besides payments: each act by figures worked by hand, and all of them against replay."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.contracts.made import FLAT_12, FREE_3, START, days, offer

from fenqi.contracts.acts.dates import check_days
from fenqi.contracts.contract import ContractState, EventRefused, apply, begin, replay
from fenqi.contracts.delinquency import acceleration, penalty_due
from fenqi.contracts.events import (
    Accelerated,
    AllocatedByInstruction,
    Cancelled,
    Charged,
    Confirmed,
    DueDayChanged,
    DueMoved,
    DueReached,
    Event,
    GoodsReturned,
    GoodwillGranted,
    Instruction,
    Paused,
    PaymentFailed,
    PaymentReceived,
    PaymentReversed,
    PayoffQuoted,
    ReAged,
    ReAmortised,
    Recovered,
    RefundPaid,
    Shipped,
    UnappliedRefunded,
    Waived,
    WrittenOff,
    decode_event,
    encode_event,
)
from fenqi.contracts.explanation import explain
from fenqi.contracts.payoff import payoff_quote
from fenqi.contracts.terms import ContractTerms, Interest, pin
from fenqi.ledger.accounts import (
    FEE_RECEIVABLE,
    IN_TRANSIT,
    INTEREST_RECEIVABLE,
    PENALTY_RECEIVABLE,
    PRINCIPAL_RECEIVABLE,
    REFUND_PAYABLE,
    UNAPPLIED_CASH,
)
from fenqi.ledger.closure import closure_problems
from fenqi.ledger.entries import position
from fenqi.terms.agreed import LateTerms, PayoffTerms, ReturnTerms
from fenqi.terms.plan import Annuity, ContingentCost, FlatFee, Plan
from fenqi.texts import Text

LATER = date(2030, 1, 1)
COSTS = tuple(
    ContingentCost(code, Text("费用", "A cost"), Text("逾期", "If late"), "shop")
    for code in ("late", "early")
)
ANNUITY = Plan("loan_6", "loan", "shop", "loan", 6, Annuity(Decimal("0.24")))
TWELVE = Plan("m", "m", "shop", "instalment_sale", 12, FlatFee(total_rate=Decimal("0.06")))


def agreed(plan: Plan, price: int, **terms: Any) -> ContractTerms:
    plan = msgspec.structs.replace(plan, contingent=COSTS)
    bill, table = offer(plan, price)
    return pin(plan, bill, table, zone="Asia/Shanghai", policy_digest="sha256:00", **terms)


class Told:
    """Events one after another, each learnt when it is told."""

    def __init__(self, terms: ContractTerms) -> None:
        self.terms = terms
        self.events: list[Event] = []
        self.tell(Confirmed, START)

    def tell(self, kind: Any, on: date, **fields: Any) -> Told:
        seq = len(self.events) + 1
        event = kind(seq=seq, occurred_on=on, recorded_at=seq, **fields)
        replay(self.terms, [*self.events, event], LATER)
        self.events.append(event)
        return self

    def pay(self, on: date, minor: int, **fields: Any) -> Told:
        name = f"p{len(self.events)}"
        return self.tell(PaymentReceived, on, payment_id=name, amount_minor=minor, settlement="s", **fields)

    def pay_rows(self, *numbers: int) -> Told:
        for row in self.terms.rows:
            if row.number in numbers:
                self.pay(row.due_on, row.total_minor)
        return self

    def state(self, as_of: date = LATER) -> ContractState:
        return replay(self.terms, self.events, as_of)

    def booked(self) -> Mapping[int, int]:
        return position(self.terms, self.state().movements)


def due(told: Told) -> list[int]:
    return [row.outstanding_minor for row in told.state().rows]


def test_goods_that_go_back_settle_from_the_last_instalment_and_write_its_fee_off() -> None:
    # 1,200.00 in 12 x (100 + 6), three paid, goods of 250 back: p4 to p9 106, p10 53, p11 and p12 nothing.
    told = Told(agreed(TWELVE, 120_000)).pay_rows(1, 2, 3)
    told.tell(GoodsReturned, days(100), return_id="r", amount_minor=25_000)
    assert due(told) == [0, 0, 0, *[10_600] * 6, 5_300, 0, 0]
    state = told.state()
    # 650 of principal and 39 of fee are left; 15 of fee are written off.
    assert (state.principal_outstanding_minor, state.balance_minor) == (65_000, 68_900)
    assert state.refund_due_minor == 0


@pytest.mark.parametrize(
    ("settles", "left"),
    [
        # 250 off 900 that are open, 100 a row: the first two and a half.
        ("from_next", [0, 0, 5_300, *[10_600] * 6]),
        # 250/900 of each, 27.78, and of its fee of 6.00 the same part, 1.67; the last loses 27.76 and 1.67.
        ("proportional", [*[10_600 - 2_778 - 167] * 8, 10_600 - 2_776 - 167]),
    ],
)
def test_goods_that_go_back_settle_as_agreed(settles: Any, left: list[int]) -> None:
    told = Told(agreed(TWELVE, 120_000, returns=ReturnTerms(settles))).pay_rows(1, 2, 3)
    told.tell(GoodsReturned, days(100), return_id="r", amount_minor=25_000)
    assert due(told)[3:] == left


def test_what_was_paid_for_goods_that_go_back_is_owed_to_the_customer() -> None:
    # 300 of 900 are open; goods of 500 go back: 300 are settled, 200 are refunded.
    told = Told(agreed(FREE_3, 90_000)).pay_rows(1, 2)
    told.tell(GoodsReturned, days(70), return_id="r", amount_minor=50_000)
    assert (told.state().status, told.state().refund_due_minor) == ("closed", 20_000)
    assert told.booked()[REFUND_PAYABLE] == -20_000
    told.tell(RefundPaid, days(71), refund_id="f", amount_minor=20_000, settlement="s")
    assert REFUND_PAYABLE not in told.booked()
    with pytest.raises(EventRefused, match="no more than was bought"):
        told.tell(GoodsReturned, days(80), return_id="r2", amount_minor=40_001)


def test_a_paid_fee_goes_back_in_proportion_where_that_was_agreed() -> None:
    # 3 x 36.00 of fee are paid; half of the goods go back: half of it does.
    told = Told(agreed(FLAT_12, 600_000, returns=ReturnTerms(paid_fee="returned"))).pay_rows(1, 2, 3)
    told.tell(GoodsReturned, days(100), return_id="r", amount_minor=300_000)
    assert told.state().refund_due_minor == 3 * 3_600 // 2


def test_a_sale_is_cancelled_only_before_it_is_shipped() -> None:
    told = Told(agreed(FLAT_12, 600_000, for_other_sellers_minor=200_000)).pay(days(1), 53_600)
    shipped = Told(told.terms).tell(Shipped, days(1))
    with pytest.raises(EventRefused, match="take the goods back"):
        shipped.tell(Cancelled, days(2))
    told.tell(Cancelled, days(2))
    state = told.state()
    assert (state.balance_minor, state.refund_due_minor, state.cancelled_on) == (0, 53_600, days(2))
    assert told.booked() == {IN_TRANSIT: 53_600, REFUND_PAYABLE: -53_600, 4010: -400_000, 4020: 400_000}
    with pytest.raises(EventRefused, match="cancelled"):
        told.tell(Shipped, days(3))


def test_what_was_granted_is_not_paid_out_when_the_sale_is_called_off() -> None:
    # Goodwill pays the first instalment, 500.00 and 36.00 of fee; 100.00 of money pay of the second.
    told = Told(agreed(FLAT_12, 600_000)).tell(GoodwillGranted, days(1), payment_id="g", amount_minor=53_600)
    told.pay(days(1), 10_000)
    before = Told(told.terms)
    before.events = list(told.events)
    told.tell(Cancelled, days(2), goodwill="taken_back")
    state = told.state()
    assert (state.balance_minor, state.refund_due_minor, state.unapplied_minor) == (0, 10_000, 0)
    assert told.booked() == {IN_TRANSIT: 10_000, REFUND_PAYABLE: -10_000, 4010: -600_000, 4020: 600_000}
    granted = next(each for each in state.payments if each.payment_id == "g")
    assert (granted.reversed_on, granted.parts) == (days(2), ())
    # An event of before that was said means what it meant.
    before.tell(Cancelled, days(2))
    assert before.state().refund_due_minor == 63_600


def test_nothing_is_paid_out_where_all_was_granted() -> None:
    told = Told(agreed(FREE_3, 200_000))
    for number in range(4):
        told.tell(GoodwillGranted, days(number), payment_id=f"g{number}", amount_minor=50_000)
    assert told.state().status == "closed"
    returned = Told(told.terms)
    returned.events = list(told.events)
    told.tell(Cancelled, days(5), goodwill="taken_back")
    returned.tell(GoodsReturned, days(5), return_id="r", amount_minor=200_000, goodwill="taken_back")
    for each in (told, returned):
        assert each.state().refund_due_minor == 0
        assert each.booked() == {4010: -200_000, 4020: 200_000}


def test_of_goods_that_were_paid_money_goes_back_first_and_no_more_than_came() -> None:
    # 900.00 of which 300.00 are another seller's: 300.00 granted, 600.00 paid.
    terms = agreed(FREE_3, 90_000, for_other_sellers_minor=30_000)
    told = (
        Told(terms).tell(GoodwillGranted, days(1), payment_id="g", amount_minor=30_000).pay(days(1), 60_000)
    )
    told.tell(GoodsReturned, days(2), return_id="r1", amount_minor=50_000, goodwill="taken_back")
    assert told.state().refund_due_minor == 50_000
    assert told.booked()[5120] == 30_000, "it pays for what was kept"
    told.tell(
        GoodsReturned,
        days(3),
        return_id="r2",
        amount_minor=40_000,
        for_other_sellers_minor=30_000,
        goodwill="taken_back",
    )
    # 400.00 go back: 100.00 of money are left, and 300.00 had been granted, of which 3/4 were the other seller's.
    assert told.state().refund_due_minor == 60_000
    assert told.booked() == {IN_TRANSIT: 60_000, REFUND_PAYABLE: -60_000, 4010: -60_000, 4020: 60_000}


def test_what_was_granted_and_finds_nothing_to_pay_is_not_granted() -> None:
    # 900.00: 500.00 are granted on the fifth day, and a transfer of 700.00 on the second is learnt of after that. 200.00 are left to grant.
    told = Told(agreed(FREE_3, 90_000))
    told.tell(GoodwillGranted, days(5), payment_id="g", amount_minor=50_000, unused="lapses").pay(
        days(2), 70_000
    )
    assert (told.state().status, told.state().unapplied_minor) == ("closed", 0)
    granted = next(each for each in told.state().payments if not each.money)
    assert (granted.parts[0].total_minor, granted.lapsed_minor) == (20_000, 30_000)
    assert told.booked() == {IN_TRANSIT: 70_000, 4010: -90_000, 5120: 20_000}
    # The transfer bounces: now 500.00 of what was granted find something to pay.
    told.tell(
        PaymentReversed,
        days(6),
        payment_id=told.state().payments[0].payment_id,
        settlement="s",
        reason="bounced",
    )
    assert told.state().balance_minor == 40_000
    assert told.booked() == {PRINCIPAL_RECEIVABLE: 40_000, 4010: -90_000, 5120: 50_000}


def test_goodwill_of_before_stays_held_and_is_taken_back_with_what_is_paid_out() -> None:
    told = Told(agreed(FREE_3, 90_000))
    told.tell(GoodwillGranted, days(5), payment_id="g", amount_minor=50_000).pay(days(2), 70_000).pay(
        days(6), 1_000
    )
    told.tell(GoodsReturned, days(7), return_id="r", amount_minor=90_000, goodwill="taken_back")
    # 300.00 of goodwill and 10.00 of money pay nothing; 700.00 of money go back for the goods, 200.00 of goodwill do not.
    assert (told.state().unapplied_minor, told.state().refund_due_minor) == (31_000, 70_000)
    out: dict[str, Any] = {"settlement": "s", "refund_id": "u"}
    before = Told(told.terms)
    before.events = list(told.events)
    before.tell(UnappliedRefunded, days(8), amount_minor=31_000, **out)
    assert before.booked()[5120] == 30_000, "an event of before that was said means what it meant"
    with pytest.raises(EventRefused, match="1000 unapplied"):
        told.tell(UnappliedRefunded, days(8), amount_minor=1_001, goodwill="taken_back", **out)
    told.tell(UnappliedRefunded, days(8), amount_minor=1_000, goodwill="taken_back", **out)
    assert told.state().unapplied_minor == 0
    assert told.booked() == {IN_TRANSIT: 70_000, REFUND_PAYABLE: -70_000, 4010: -90_000, 4020: 90_000}
    # The 10.00 bounce after they went out: they are owed again, and what was granted pays them before the rest is taken back.
    told.tell(
        PaymentReversed,
        days(9),
        payment_id=told.state().payments[-1].payment_id,
        settlement="s",
        reason="bounced",
    )
    assert (told.state().balance_minor, told.state().unapplied_minor, told.booked()[5120]) == (0, 0, 1_000)


def test_a_fee_that_was_granted_is_not_paid_out_with_the_goods() -> None:
    # Two fees of 36.00 are paid, one of them by goodwill; half of the goods go back.
    terms = agreed(FLAT_12, 600_000, returns=ReturnTerms(paid_fee="returned"))
    told = (
        Told(terms).tell(GoodwillGranted, days(1), payment_id="g", amount_minor=53_600).pay(days(1), 53_600)
    )
    told.tell(GoodsReturned, days(2), return_id="r", amount_minor=300_000, goodwill="taken_back")
    assert told.state().refund_due_minor == 3_600 // 2


def test_paying_off_with_the_fourth_instalment_costs_its_charge_and_spares_the_fees_to_come() -> None:
    # 12,000 in 12 x (1,000 + 72), 3 % of the 8,000 not due yet: 1,072 + 8,240 = 9,312; 8 x 72 - 240 = 336 are saved.
    plan = msgspec.structs.replace(TWELVE, pricing=FlatFee(total_rate=Decimal("0.072")))
    terms = agreed(plan, 1_200_000, payoff=PayoffTerms("to_period_end", Decimal("0.03"), "early"))
    told = Told(terms).pay_rows(1, 2, 3)
    on = terms.rows[3].due_on
    quote = payoff_quote(terms, told.events, on)
    assert (quote.amount_minor, quote.charge_minor, quote.saving_minor) == (931_200, 24_000, 33_600)
    told.tell(
        PayoffQuoted,
        on,
        quote_id="q",
        amount_minor=quote.amount_minor,
        valid_until=on,
        charge_minor=quote.charge_minor,
    )
    late = Told(terms)
    late.events = list(told.events)
    late.pay(on + timedelta(days=1), 931_200, settles="q")
    assert late.state().balance_minor > 0, "the quote has expired: an ordinary payment"
    told.pay(on, 931_200, settles="q")
    assert (told.state().status, told.state().unapplied_minor) == ("closed", 0)


def test_a_penalty_is_capped_by_the_law_as_it_was_pinned() -> None:
    # 500 late for 45 days at 18 % x 1.5 = 27 %: 16.875; the law's 24 % of 360 days lets 15.00.
    late = LateTerms(Decimal("0.27"), "late", Decimal("0.24"), "法发〔2017〕22号")
    plan = msgspec.structs.replace(FREE_3, periods=1)
    told = Told(agreed(plan, 50_000, late=late))
    on = told.terms.rows[0].due_on + timedelta(days=45)
    assert penalty_due(told.terms, told.events, on) == 1_500
    free = agreed(plan, 50_000, late=msgspec.structs.replace(late, cap_rate=None))
    assert penalty_due(free, told.events, on) == 1_688, "16.875, half to even"
    with pytest.raises(EventRefused, match="no more than 1500"):
        told.tell(Charged, on, charge_id="c", part="penalty", amount_minor=1_501, due_on=on, code="late")
    told.tell(Charged, on, charge_id="c", part="penalty", amount_minor=1_500, due_on=on, code="late")
    assert penalty_due(told.terms, told.events, on) == 0
    told.tell(Waived, on, waiver_id="w", part="penalty", amount_minor=1_500)
    assert told.state().penalty_outstanding_minor == 0


@pytest.mark.parametrize("on", [date.min, days(-366), date(2036, 11, 24), date.max])
def test_a_day_that_an_act_names_is_near_it_when_it_is_told(on: date) -> None:
    # START is 23 November 2026: from 23 November 2025 to 23 November 2036.
    told: dict[str, Any] = {"seq": 2, "occurred_on": START, "recorded_at": 1}
    charged = Charged(**told, charge_id="c", part="fee", amount_minor=1, due_on=on, code="late")
    aged = ReAged(**told, periods=3, first_due_on=on)
    moved = DueMoved(**told, row=1, to=on, basis="outage", announcement="n")
    for event, place in ((charged, "due_on"), (aged, "first_due_on"), (moved, "to")):
        with pytest.raises(EventRefused, match=f"{place} is {on}: expected 2025-11-23 to 2036-11-23"):
            check_days(event)
    for near in (date(2025, 11, 23), date(2036, 11, 23)):
        check_days(msgspec.structs.replace(charged, due_on=near))


@pytest.mark.parametrize("on", [date.min, date.max])
def test_a_row_of_any_year_that_was_stored_before_that_was_refused_is_replayed(on: date) -> None:
    late = LateTerms(Decimal("0.1"), "late", Decimal("0.24"), "法发〔2017〕22号", grace_days=3)
    told = Told(agreed(FREE_3, 60_000, late=late))
    told.tell(Charged, START, charge_id="c", part="fee", amount_minor=100, due_on=on, code="late")
    told.tell(ReAged, days(1), periods=1, first_due_on=date.max)
    assert told.state(days(300)).balance_minor == 60_100
    assert penalty_due(told.terms, told.events, days(300)) == 0, "nothing is late before the end of time"


def test_a_demand_of_a_day_to_come_is_none() -> None:
    told = Told(agreed(FREE_3, 60_000))
    with pytest.raises(EventRefused, match="demanded_on is 9999-12-31: expected 2027-03-03 or before"):
        told.tell(Accelerated, days(100), demanded_on=date.max)


def test_everything_is_called_due_only_for_a_fifth_of_the_price_after_a_demand_and_its_time() -> None:
    # A price of 6,000: it takes arrears of 1,200. Of 536 a month, the third late row reaches them.
    told = Told(agreed(FLAT_12, 600_000))
    two_late, three_late = (told.terms.rows[number].due_on + timedelta(days=20) for number in (1, 2))
    assert acceleration(told.terms, told.state(two_late)).threshold_minor == 120_000
    with pytest.raises(EventRefused, match="arrears of 1/5"):
        told.tell(Accelerated, two_late, demanded_on=two_late - timedelta(days=20))
    with pytest.raises(EventRefused, match="within 15 days"):
        told.tell(Accelerated, three_late, demanded_on=three_late - timedelta(days=15))
    told.tell(Accelerated, three_late, demanded_on=three_late - timedelta(days=16))
    state = told.state(three_late)
    assert {row.due_on for row in state.rows[3:]} == {three_late}
    assert state.balance_minor == 600_000 + 3 * 3_600, "fees of a time that has not come are not owed"


def test_what_was_written_off_is_recovered_up_to_the_claim() -> None:
    told = Told(agreed(FREE_3, 90_000)).pay_rows(1).tell(WrittenOff, days(200))
    state = told.state()
    assert (state.status, state.written_off_minor) == ("closed", 60_000)
    assert PRINCIPAL_RECEIVABLE not in told.booked()
    told.tell(Recovered, days(300), payment_id="x", amount_minor=50_000, settlement="s", cost_minor=10_000)
    told.pay(days(310), 15_000)
    state = told.state()
    assert (state.recovered_minor, state.unapplied_minor) == (60_000, 5_000)
    assert told.booked()[IN_TRANSIT] == 30_000 + 40_000 + 15_000


def test_a_payment_goes_where_the_customer_said() -> None:
    told = Told(agreed(FREE_3, 90_000)).pay(days(1), 30_000)
    told.tell(AllocatedByInstruction, days(2), payment_id="p1", parts=(Instruction(3, "principal", 20_000),))
    assert due(told) == [20_000, 30_000, 10_000]


def test_a_pause_puts_off_what_falls_due_and_charges_nothing() -> None:
    told = Told(agreed(FREE_3, 90_000)).tell(Paused, days(5), periods=2)
    before = [row.due_on for row in told.terms.rows]
    after = [row.due_on for row in told.state(days(6)).rows]
    assert [on.month for on in after] == [2, 3, 4]
    assert [on.day for on in after] == [on.day for on in before]
    assert not told.state(before[0] + timedelta(days=9)).overdue


def test_another_due_day_holds_from_the_row_on() -> None:
    told = Told(agreed(FREE_3, 90_000)).tell(DueDayChanged, days(5), day=31, from_row=2)
    assert [row.due_on.isoformat() for row in told.state().rows] == ["2026-12-23", "2027-01-31", "2027-02-28"]


def test_arrears_are_spread_over_the_rows_to_come_or_over_new_ones() -> None:
    told = Told(agreed(FREE_3, 90_000))
    on = told.terms.rows[0].due_on + timedelta(days=3)
    spread = Told(told.terms).tell(ReAmortised, on)
    assert due(spread) == [0, 45_000, 45_000]
    anew = Told(told.terms).tell(ReAged, on, periods=4, first_due_on=on + timedelta(days=10))
    assert [minor for minor in due(anew) if minor] == [22_500] * 4
    assert anew.state().balance_minor == 90_000


@pytest.mark.parametrize(("payoff", "interest"), [("to_date", 4_000), ("to_period_end", 12_000)])
def test_interest_that_runs_is_paid_off_to_the_day_or_to_the_end_of_its_period(
    payoff: Any, interest: int
) -> None:
    # 6,000.00 at 2 % a month: ten days of the first month's 30 cost 40.00, the whole of it 120.00.
    runs = Interest(counted_from=START, begins_on=START, daily=True, payoff=payoff)
    told = Told(agreed(ANNUITY, 600_000, interest=runs))
    quote = payoff_quote(told.terms, told.events, days(10))
    assert (quote.principal_minor, quote.interest_minor) == (600_000, interest)
    told.pay(days(10), quote.amount_minor)
    assert (told.state().status, told.state().unapplied_minor) == ("closed", 0)


def test_a_payment_told_late_is_explained_row_by_row() -> None:
    told = Told(agreed(FREE_3, 90_000)).pay(days(40), 30_000)
    before = told.state(days(50))
    told.pay(days(5), 30_000)
    found = explain(before, told.state(days(50)))
    assert found.balance_change_minor == -30_000
    assert [(change.row, change.figure, change.before, change.after) for change in found.rows] == [
        (2, "principal_paid", 0, 30_000)
    ]
    assert {change.payment_id: (change.before, change.after) for change in found.payments} == {
        "p1": (((1, 30_000),), ((2, 30_000),)),
        "p2": ((), ((1, 30_000),)),
    }
    assert found.rows[0].text.en == "Instalment 2: price paid is ¥300.00, not ¥0.00."


# Everything that may happen, in any order, told on any day.

AMOUNTS = st.sampled_from([1, 99, 2_500, 30_000, 53_600, 100_000, 700_000])
DAYS = st.integers(-1, 420)
RUNS = [
    None,
    Interest(counted_from=START, begins_on=START),
    Interest(counted_from=START, begins_on=START, daily=True),
    Interest(counted_from=START, begins_on=START, daily=True, payoff="to_period_end"),
]
LATE = LateTerms(Decimal("0.27"), "late", Decimal("0.24"), "law")


_GOODWILL: Any = ("taken_back", "refunded")
_UNUSED: Any = ("lapses", "held")
MADE: dict[str, Any] = {
    "pay": lambda d, a, n: PaymentReceived(**d, payment_id=f"p{d['seq']}", amount_minor=a, settlement="s"),
    "pay again": lambda d, a, n: PaymentReceived(
        **d, payment_id=f"p{d['seq']}", amount_minor=a, settlement="s"
    ),
    "settle": lambda d, a, n: PaymentReceived(
        **d, payment_id=f"p{d['seq']}", amount_minor=700_000, settlement="s", settles=f"q{n}"
    ),
    "quote": lambda d, a, n: PayoffQuoted(
        **d,
        quote_id=f"q{d['seq']}",
        amount_minor=a,
        valid_until=d["occurred_on"] + timedelta(days=n),
        charge_minor=n,
    ),
    "reverse": lambda d, a, n: PaymentReversed(**d, payment_id=f"p{n}", settlement="s", reason="bounced"),
    "due": lambda d, a, n: DueReached(**d, row=n),
    "ship": lambda d, a, n: Shipped(**d),
    "cancel": lambda d, a, n: Cancelled(**d, goodwill=_GOODWILL[n % 2]),
    "return": lambda d, a, n: GoodsReturned(
        **d, return_id=f"r{d['seq']}", amount_minor=a, goodwill=_GOODWILL[n % 2]
    ),
    "refund": lambda d, a, n: RefundPaid(**d, refund_id=f"f{d['seq']}", amount_minor=a, settlement="s"),
    "unapplied": lambda d, a, n: UnappliedRefunded(
        **d, amount_minor=a, settlement="s", refund_id=f"u{d['seq']}", goodwill=_GOODWILL[n % 2]
    ),
    "goodwill": lambda d, a, n: GoodwillGranted(
        **d, payment_id=f"p{d['seq']}", amount_minor=a, unused=_UNUSED[n % 2]
    ),
    "fee": lambda d, a, n: Charged(
        **d, charge_id=f"c{d['seq']}", part="fee", amount_minor=n, due_on=d["occurred_on"], code="late"
    ),
    "penalty": lambda d, a, n: Charged(
        **d, charge_id=f"c{d['seq']}", part="penalty", amount_minor=n, due_on=d["occurred_on"], code="late"
    ),
    "waive": lambda d, a, n: Waived(
        **d, waiver_id=f"w{d['seq']}", part=("fee", "penalty", "interest")[n % 3], amount_minor=n
    ),
    "fail": lambda d, a, n: PaymentFailed(**d, attempt_id=f"a{d['seq']}", amount_minor=a, reason="no money"),
    "instruct": lambda d, a, n: AllocatedByInstruction(
        **d, payment_id=f"p{n}", parts=(Instruction(2, "principal", n),)
    ),
    "pause": lambda d, a, n: Paused(**d, periods=1 + n % 3, interest=("stops", "runs")[n % 2]),
    "due day": lambda d, a, n: DueDayChanged(**d, day=3 * n, from_row=1 + n % 3),
    "re-age": lambda d, a, n: ReAged(**d, periods=n, first_due_on=d["occurred_on"] + timedelta(days=20)),
    "re-amortise": lambda d, a, n: ReAmortised(**d),
    "accelerate": lambda d, a, n: Accelerated(**d, demanded_on=d["occurred_on"] - timedelta(days=20)),
    "write off": lambda d, a, n: WrittenOff(**d),
    "recover": lambda d, a, n: Recovered(**d, payment_id=f"p{d['seq']}", amount_minor=a, settlement="s"),
}


@st.composite
def lives(draw: st.DrawFn) -> tuple[ContractTerms, list[tuple[str, int, int, int]]]:
    interest = draw(st.sampled_from(RUNS))
    plan = draw(st.sampled_from([FLAT_12, FREE_3])) if interest is None else ANNUITY
    returns = ReturnTerms(
        draw(st.sampled_from(["from_last", "from_next", "proportional"])),
        draw(st.sampled_from(["kept", "returned"])),
    )
    payoff = PayoffTerms(
        draw(st.sampled_from(["whole", "to_date", "to_period_end"])), Decimal("0.03"), "early"
    )
    terms = agreed(plan, 600_000, interest=interest, returns=returns, payoff=payoff, late=LATE)
    kinds = st.sampled_from(sorted(MADE))
    return terms, draw(st.lists(st.tuples(kinds, DAYS, AMOUNTS, st.integers(1, 9)), max_size=9))


def test_every_kind_of_event_comes_back_from_json_as_it_went() -> None:
    for make in MADE.values():
        event = make({"seq": 3, "occurred_on": START, "recorded_at": 5}, 100, 2)
        assert decode_event(encode_event(event)) == event


@given(lives(), st.randoms(use_true_random=False))
def test_whatever_happens_money_is_taken_and_replay_apply_and_the_book_agree(
    life: tuple[ContractTerms, list[tuple[str, int, int, int]]], shuffle: random.Random
) -> None:
    terms, acts = life
    events: list[Event] = [Confirmed(seq=1, occurred_on=START, recorded_at=1)]
    running = begin(terms, events)
    for kind, day, amount, number in acts:
        seq = len(events) + 1
        event = MADE[kind]({"seq": seq, "occurred_on": days(day), "recorded_at": seq}, amount, number)
        try:
            state = replay(terms, [*events, event], LATER)
        except EventRefused:
            assert not isinstance(event, PaymentReceived), "money received is never refused"
            continue
        events.append(event)
        running = apply(running, event)
        assert running.state(LATER) == state
        others = list(events)
        shuffle.shuffle(others)
        assert replay(terms, others, LATER) == state, "the order of arrival does not matter"
        _agrees(terms, state)
        if all(getattr(each, "goodwill", "taken_back") == "taken_back" for each in events):
            came = sum(each.amount_minor for each in state.payments if each.money and not each.reversed_on)
            assert state.refund_due_minor <= came, "no more goes back than came"
            if all(getattr(each, "unused", "lapses") == "lapses" for each in events):
                assert state.refund_due_minor + state.unapplied_minor <= came, "nor is more held"


def _agrees(terms: ContractTerms, state: ContractState) -> None:
    booked = position(terms, state.movements)

    def balance(code: int) -> int:
        return booked.get(code, 0)

    rows = state.rows
    assert balance(PRINCIPAL_RECEIVABLE) == state.principal_outstanding_minor
    assert balance(FEE_RECEIVABLE) == sum(row.fee_earned_minor - row.fee_paid_minor for row in rows)
    assert balance(INTEREST_RECEIVABLE) == sum(
        row.interest_earned_minor - row.interest_paid_minor for row in rows
    )
    assert balance(PENALTY_RECEIVABLE) == state.penalty_outstanding_minor
    assert balance(UNAPPLIED_CASH) == -state.unapplied_minor
    assert balance(REFUND_PAYABLE) == -state.refund_due_minor
    assert sum(booked.values()) == 0
    assert closure_problems(state, booked) == []
    for row in rows:
        assert 0 <= row.principal_paid_minor <= row.principal_minor
        assert 0 <= row.interest_paid_minor <= row.interest_minor
        assert 0 <= row.fee_paid_minor <= row.fee_earned_minor <= row.fee_minor
    if state.unapplied_minor and state.confirmed_on is not None:
        assert state.balance_minor == 0, "money is held only where nothing is owed"
