"""What the simulation of whole lives found (tests/trust), each by figures worked by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest
from tests.engine.contracts.made import FLAT_12, FREE_3, START, days
from tests.engine.contracts.test_acts import ANNUITY, TWELVE, Told, agreed, due

from fenqi.contracts.allocation import Allocation, Rule
from fenqi.contracts.contract import EventRefused, replay
from fenqi.contracts.delinquency import penalty_due
from fenqi.contracts.events import (
    Accelerated,
    AllocatedByInstruction,
    Cancelled,
    Charged,
    DueMoved,
    DueReached,
    GoodsReturned,
    Instruction,
    PaidBack,
    Paused,
    PaymentReversed,
    PayoffQuoted,
    ReAged,
    Recovered,
    RefundPaid,
    UnappliedRefunded,
    Waived,
    WrittenOff,
)
from fenqi.contracts.payoff import payoff_quote
from fenqi.contracts.terms import Interest
from fenqi.ledger.accounts import (
    CREDIT_LOSS,
    FEE_INCOME,
    IN_TRANSIT,
    INTEREST_INCOME,
    OTHER_INCOME,
    PENALTY_INCOME,
    PRINCIPAL_RECEIVABLE,
    REFUND_PAYABLE,
    SALES,
    SALES_RETURNS,
)
from fenqi.terms.agreed import LateTerms, PayoffTerms, ReturnTerms


def charge(told: Told, on: date, minor: int, part: str = "fee") -> Told:
    return told.tell(
        Charged, on, charge_id=f"c{len(told.events)}", part=part, amount_minor=minor, due_on=on, code="late"
    )


def take_back(told: Told, on: date, name: str) -> Told:
    return told.tell(PaymentReversed, on, payment_id=name, settlement="s", reason="charged_back")


def test_a_sale_that_is_called_off_gives_back_what_was_charged_and_leaves_no_income() -> None:
    # The first row of 500 + 36, 15 charged beside it and a penalty of 2: 553 are paid, and go back.
    told = charge(charge(Told(agreed(FLAT_12, 600_000)), days(1), 1_500), days(1), 200, "penalty")
    told.pay(days(2), 55_300).tell(Cancelled, days(3))
    assert told.state().refund_due_minor == 55_300
    assert told.booked() == {
        IN_TRANSIT: 55_300,
        REFUND_PAYABLE: -55_300,
        SALES: -600_000,
        SALES_RETURNS: 600_000,
    }


def test_a_charge_that_is_spread_over_new_rows_and_given_up_is_no_income_of_either_kind() -> None:
    told = charge(Told(agreed(FREE_3, 90_000)), days(1), 1_500)
    told.tell(ReAged, days(2), periods=2, first_due_on=days(30)).tell(WrittenOff, days(200))
    assert told.booked() == {SALES: -90_000, CREDIT_LOSS: 90_000}


def test_of_a_row_s_fees_what_was_charged_beside_is_paid_first_since_it_is_earned() -> None:
    # 36 agreed and not earned yet, 15 charged: 15 pay the charge. The 36 are given up, and nobody ever booked them.
    told = charge(Told(agreed(FLAT_12, 600_000)), days(1), 1_500).pay(days(2), 1_500)
    told.tell(WrittenOff, days(3))
    assert told.booked() == {IN_TRANSIT: 1_500, OTHER_INCOME: -1_500, SALES: -600_000, CREDIT_LOSS: 600_000}


def test_a_paid_fee_goes_back_in_proportion_once_however_many_parts_the_goods_come_back_in() -> None:
    # 3 x (500 + 36) are paid. Half of the goods: 54 of the 108. The other half: the other 54, and the 1,500 of price.
    terms = agreed(FLAT_12, 600_000, returns=ReturnTerms(paid_fee="returned"))
    told = Told(terms).pay_rows(1, 2, 3)
    told.tell(GoodsReturned, days(100), return_id="r1", amount_minor=300_000)
    assert told.state().refund_due_minor == 5_400
    told.tell(GoodsReturned, days(101), return_id="r2", amount_minor=300_000)
    assert told.state().refund_due_minor == 3 * 53_600
    assert FEE_INCOME not in told.booked()


def test_goods_that_go_back_do_not_undo_what_was_charged_for_being_late() -> None:
    terms = agreed(FLAT_12, 600_000, returns=ReturnTerms(paid_fee="returned"))
    told = charge(Told(terms), days(40), 1_500)
    told.tell(GoodsReturned, days(41), return_id="r", amount_minor=600_000)
    assert told.state().balance_minor == 1_500


@pytest.mark.parametrize(("recovered", "refund"), [(0, 30_000), (20_000, 50_000)])
def test_goods_that_come_back_after_a_write_off_settle_the_claim_before_anything_is_refunded(
    recovered: int, refund: int
) -> None:
    # 900, of which 300 were paid and 600 written off. All goods back: the claim goes, and only what came is refunded.
    told = Told(agreed(FREE_3, 90_000)).pay_rows(1).tell(WrittenOff, days(200))
    if recovered:
        told.tell(Recovered, days(210), payment_id="x", amount_minor=recovered, settlement="s")
    told.tell(GoodsReturned, days(220), return_id="r", amount_minor=90_000)
    state = told.state()
    assert (state.refund_due_minor, state.written_off_minor - state.recovered_minor) == (refund, 0)
    assert told.booked().get(CREDIT_LOSS, 0) == 60_000 - (60_000 - recovered)


def test_the_fee_in_a_claim_goes_with_the_goods_in_proportion() -> None:
    # 12 x (500 + 36) written off, 6,432. Goods of 1,500, a quarter, come back: 1,500 and a quarter of 432 are not claimed.
    told = Told(agreed(FLAT_12, 600_000)).tell(WrittenOff, days(5))
    told.tell(GoodsReturned, days(6), return_id="r", amount_minor=150_000)
    assert told.state().written_off_minor == 643_200 - 150_000 - 10_800


def test_what_was_refunded_of_a_payment_that_is_then_charged_back_is_owed_again() -> None:
    told = Told(agreed(FLAT_12, 600_000)).pay(days(1), 53_600).tell(Cancelled, days(2))
    told.tell(RefundPaid, days(3), refund_id="f", amount_minor=53_600, settlement="s")
    take_back(told, days(9), "p1")
    # Charged back on the ninth: as it turned out, the refund of the third was of nothing.
    state = told.state()
    assert (state.balance_minor, state.refund_due_minor, state.status) == (53_600, 0, "active")
    assert told.booked() == {
        IN_TRANSIT: -53_600,
        PRINCIPAL_RECEIVABLE: 53_600,
        SALES: -600_000,
        SALES_RETURNS: 600_000,
    }
    told.tell(WrittenOff, days(99))
    assert (told.state().balance_minor, told.state().written_off_minor) == (0, 53_600)


def test_money_that_went_out_and_is_owed_again_is_not_called_off_with_the_sale() -> None:
    # 6,432 and 568 too much are paid, the 568 go back, and then the 7,000 bounce: 568 are owed besides the price.
    told = Told(agreed(FLAT_12, 600_000)).pay(days(1), 700_000)
    told.tell(UnappliedRefunded, days(2), amount_minor=56_800, settlement="s", refund_id="u")
    take_back(told, days(3), "p1").tell(Cancelled, days(4))
    assert (told.state().balance_minor, told.state().refund_due_minor) == (56_800, 0)


def test_what_is_owed_again_after_a_write_off_can_be_written_off_too() -> None:
    told = Told(agreed(FREE_3, 90_000)).pay_rows(1).tell(WrittenOff, days(200))
    told.tell(PaidBack, days(201), payment_id="b", amount_minor=10_000, settlement="s")
    assert told.state().balance_minor == 10_000
    told.tell(WrittenOff, days(202))
    assert (told.state().balance_minor, told.state().written_off_minor) == (0, 70_000)


def test_what_is_owed_of_what_was_called_off_or_given_up_is_late_and_costs_nothing() -> None:
    late = LateTerms(Decimal("0.18"), "early")
    terms = agreed(FREE_3, 90_000, late=late)
    told = Told(terms).pay_rows(1).tell(WrittenOff, days(200))
    told.tell(PaidBack, days(201), payment_id="b", amount_minor=10_000, settlement="s")
    assert told.state().days_past_due > 0
    assert penalty_due(terms, told.events, days(300)) == 0
    # Goods called off; the money that went out is owed again, since the payment that it came from was taken back.
    told = Told(terms).pay(days(1), 100_000)
    told.tell(UnappliedRefunded, days(2), amount_minor=10_000, settlement="s", refund_id="u")
    take_back(told, days(3), "p1").tell(Cancelled, days(4))
    assert told.state().balance_minor == 10_000
    assert penalty_due(terms, told.events, days(300)) == 0


def test_a_charge_that_was_waived_is_not_paid_by_its_own_day_out_of_the_agreed_fee() -> None:
    # Principal first of what is not due yet, but for charges whose day has come: of 1.00 that was charged 0.40 were waived. 0.60 of
    # the 0.70 are the charge's, and 0.10 the principal's.
    timings = ("past_due", "due", "in_advance")
    parts = ("principal", "penalty", "fee", "interest")
    order = tuple(f"{timing}_{part}" for timing in timings for part in parts)
    allocation = Allocation(rules=(Rule(order, charges_by_own_date=True),))  # type: ignore[arg-type]
    told = charge(Told(agreed(FLAT_12, 600_000, allocation=allocation)), days(1), 100)
    told.tell(Waived, days(2), waiver_id="w", part="fee", amount_minor=40, row=1).pay(days(3), 70)
    (row, *_) = told.state().rows
    assert (row.fee_paid_minor, row.principal_paid_minor) == (60, 10)
    # On the very day its day has come, on the day before it has not.
    for day, paid in ((4, (0, 30)), (5, (30, 0))):
        told = charge(Told(agreed(FLAT_12, 600_000, allocation=allocation)), days(5), 100).pay(days(day), 30)
        (row, *_) = told.state().rows
        assert (row.fee_paid_minor, row.principal_paid_minor) == paid


def test_a_payoff_that_is_paid_twice_is_charged_once() -> None:
    # 8,000 are not due yet: 240. The second 9,312 pay nothing, and none of them is kept.
    plan = msgspec.structs.replace(
        TWELVE, pricing=msgspec.structs.replace(TWELVE.pricing, total_rate=Decimal("0.072"))
    )
    terms = agreed(plan, 1_200_000, payoff=PayoffTerms("to_period_end", Decimal("0.03"), "early"))
    told = Told(terms).pay_rows(1, 2, 3)
    on = terms.rows[3].due_on
    told.tell(PayoffQuoted, on, quote_id="q", amount_minor=931_200, valid_until=on, charge_minor=24_000)
    told.pay(on, 931_200, settles="q").pay(on, 931_200, settles="q")
    assert (told.state().status, told.state().unapplied_minor) == ("closed", 931_200)


def test_a_payoff_of_a_contract_that_was_written_off_charges_nothing() -> None:
    terms = agreed(FREE_3, 90_000, payoff=PayoffTerms("whole", Decimal("0.03"), "early"))
    told = Told(terms)
    told.tell(
        PayoffQuoted, days(1), quote_id="q", amount_minor=92_700, valid_until=days(9), charge_minor=2_700
    )
    told.tell(WrittenOff, days(2)).pay(days(3), 92_700, settles="q")
    assert (told.state().balance_minor, told.state().unapplied_minor) == (0, 2_700)


def test_a_quote_costs_nothing_once_everything_is_paid() -> None:
    # 900 are paid in the ordinary way; the 927 by the quote, which come after them, are all held.
    told = Told(agreed(FREE_3, 90_000, payoff=PayoffTerms("whole", Decimal("0.03"), "early")))
    told.tell(
        PayoffQuoted, days(1), quote_id="q", amount_minor=92_700, valid_until=days(9), charge_minor=2_700
    )
    told.pay(days(2), 90_000).pay(days(3), 92_700, settles="q")
    assert (told.state().status, told.state().unapplied_minor) == ("closed", 92_700)


def test_a_quote_from_before_a_write_off_charges_nothing_though_some_is_owed_again() -> None:
    # 600 written off, 100 owed again: 618 by the quote of before pay the claim, and 18 of the 100.
    told = Told(agreed(FREE_3, 90_000, payoff=PayoffTerms("whole", Decimal("0.03"), "early"))).pay(
        days(1), 30_000
    )
    told.tell(
        PayoffQuoted, days(2), quote_id="q", amount_minor=61_800, valid_until=days(9), charge_minor=1_800
    )
    told.tell(WrittenOff, days(3))
    told.tell(PaidBack, days(4), payment_id="b", amount_minor=10_000, settlement="s")
    told.pay(days(5), 61_800, settles="q")
    assert (told.state().recovered_minor, told.state().balance_minor) == (60_000, 8_200)


def test_a_payoff_does_not_ask_again_for_a_fee_that_was_paid_in_advance() -> None:
    # 4 of the first fee of 6 are paid; by the 15th of 30 days 3 are owed: nothing more, and nothing back.
    told = Told(agreed(TWELVE, 120_000, payoff=PayoffTerms("to_date"))).pay(days(1), 400)
    quote = payoff_quote(told.terms, told.events, days(15))
    assert (quote.principal_minor, quote.fee_minor) == (120_000, 0)


def test_a_payoff_lets_go_of_agreed_fees_and_not_of_the_income_from_charges() -> None:
    # 1,200 + 3 + 15 by a quote: 3 of fee income and 15 of other income are left.
    told = charge(Told(agreed(TWELVE, 120_000, payoff=PayoffTerms("to_date"))), days(10), 1_500)
    told.tell(PayoffQuoted, days(15), quote_id="q", amount_minor=121_800, valid_until=days(15))
    told.pay(days(15), 121_800, settles="q")
    assert told.state().status == "closed"
    assert (told.booked()[FEE_INCOME], told.booked()[OTHER_INCOME]) == (-300, -1_500)


def test_a_payoff_to_the_day_owes_what_was_charged_whole() -> None:
    # 12 x (100 + 6); on the 15th of the first 30 days, 3 of the first fee are owed, and the 15 charged in that time.
    told = charge(Told(agreed(TWELVE, 120_000, payoff=PayoffTerms("to_date"))), days(10), 1_500)
    quote = payoff_quote(told.terms, told.events, days(15))
    assert (quote.principal_minor, quote.fee_minor) == (120_000, 300 + 1_500)


def test_a_payoff_of_rows_that_were_spread_anew_reckons_from_the_day_on_which_they_were() -> None:
    # 12 fees of 6 go with two new rows, 36 each. Ten days into the first one's 20 days, half of its 36 are owed.
    told = Told(agreed(TWELVE, 120_000, payoff=PayoffTerms("to_date")))
    told.tell(ReAged, days(5), periods=2, first_due_on=days(25))
    assert payoff_quote(told.terms, told.events, days(15)).fee_minor == 1_800


def test_a_payoff_of_rows_that_were_paused_reckons_from_the_days_as_they_are() -> None:
    # Rows 2 and on are two months later: the third one's time is 23 March to 23 April, and 15 of its 31 days are over.
    runs = Interest(counted_from=START, begins_on=START)
    told = Told(agreed(ANNUITY, 600_000, interest=runs, payoff=PayoffTerms("to_date")))
    told.tell(Paused, date(2026, 12, 24), periods=2)
    first, second, third = (row.fee_minor for row in told.terms.rows[:3])
    quote = payoff_quote(told.terms, told.events, date(2027, 4, 7))
    assert quote.interest_minor == first + second + round(third * 15 / 31)


def test_calling_everything_due_leaves_what_was_charged() -> None:
    told = Told(agreed(FLAT_12, 600_000))
    on = told.terms.rows[2].due_on + timedelta(days=20)
    charge(told, on - timedelta(days=1), 1_500)
    told.tell(Accelerated, on, demanded_on=on - timedelta(days=16))
    assert told.state().balance_minor == 600_000 + 3 * 3_600 + 1_500


def test_money_is_taken_though_what_it_changes_makes_later_events_idle() -> None:
    # Everything was paid before it was spread anew, as is learnt late: there are no new rows that could have been reached.
    told = Told(agreed(FREE_3, 90_000)).tell(ReAged, days(40), periods=2, first_due_on=days(60))
    told.tell(DueReached, days(60), row=4).pay(days(30), 90_000)
    assert (told.state().status, len(told.state().rows)) == ("closed", 3)
    with pytest.raises(EventRefused, match="row"):
        told.tell(DueReached, days(90), row=5)


def test_a_chargeback_is_taken_though_the_customer_said_what_the_payment_was_for() -> None:
    told = Told(agreed(FREE_3, 90_000)).pay(days(1), 30_000)
    told.tell(AllocatedByInstruction, days(10), payment_id="p1", parts=(Instruction(3, "principal", 20_000),))
    take_back(told, days(5), "p1")
    assert told.state().balance_minor == 90_000


def test_goods_of_which_it_is_learnt_that_they_came_back_before_come_back_once() -> None:
    told = Told(agreed(FREE_3, 90_000)).tell(GoodsReturned, days(10), return_id="r", amount_minor=90_000)
    told.tell(GoodsReturned, days(5), return_id="s", amount_minor=90_000)
    assert (told.state().returned_minor, told.state().refund_due_minor) == (90_000, 0)


def test_a_payment_before_the_agreement_goes_where_the_customer_said_too() -> None:
    told = Told(agreed(FREE_3, 90_000)).pay(days(-1), 30_000)
    told.tell(AllocatedByInstruction, days(2), payment_id="p1", parts=(Instruction(3, "principal", 20_000),))
    assert due(told) == [20_000, 30_000, 10_000]


def test_a_day_in_two_pauses_is_paused_once() -> None:
    # Late since 23 December, paused 2 January to 2 February and 12 January to 12 February: of 61 days, 41.
    told = Told(agreed(FREE_3, 90_000))
    told.tell(Paused, date(2027, 1, 2), periods=1).tell(Paused, date(2027, 1, 12), periods=1)
    assert told.state(date(2027, 2, 22)).days_past_due == 20


def test_what_is_paid_late_was_late_on_the_day_on_which_it_is_paid() -> None:
    # 500 late for 45 days at 24 % of 360 days: 15.00, also when they are paid on the 45th.
    late = LateTerms(Decimal("0.24"), "late", Decimal("0.24"), "law")
    told = Told(agreed(msgspec.structs.replace(FREE_3, periods=1), 50_000, late=late))
    on = told.terms.rows[0].due_on + timedelta(days=45)
    told.pay(on, 50_000)
    assert (
        penalty_due(told.terms, told.events, on) == penalty_due(told.terms, told.events, days(400)) == 1_500
    )


def test_interest_that_was_earned_stays_earned_when_it_is_spread_over_new_rows() -> None:
    # A month of 2 % on 6,000.00: 120.00.
    told = Told(agreed(ANNUITY, 600_000, interest=Interest(counted_from=START, begins_on=START)))
    told.tell(DueReached, days(30), row=1)
    assert told.booked()[INTEREST_INCOME] == -12_000
    told.tell(ReAged, days(31), periods=3, first_due_on=days(60))
    assert told.booked()[INTEREST_INCOME] == -12_000
    told.tell(WrittenOff, days(90))
    assert INTEREST_INCOME not in told.booked()


def test_a_new_row_is_put_off_past_the_days_of_rows_that_it_stands_for() -> None:
    told = Told(agreed(FREE_3, 90_000)).tell(ReAged, days(1), periods=1, first_due_on=days(10))
    told.tell(DueMoved, days(2), row=4, to=days(40), basis="b", announcement="night")
    assert replay(told.terms, told.events, days(39)).days_past_due == 0


def test_a_row_is_reached_once_in_whatever_order_it_is_told() -> None:
    told = Told(agreed(FREE_3, 90_000)).tell(DueReached, days(31), row=1)
    with pytest.raises(EventRefused, match="reached once"):
        told.tell(DueReached, days(30), row=1)


def test_no_penalty_is_left_when_a_sale_is_called_off() -> None:
    told = charge(Told(agreed(FREE_3, 90_000)), days(1), 500, "penalty").tell(Cancelled, days(2))
    assert (told.state().balance_minor, told.booked().get(PENALTY_INCOME, 0)) == (0, 0)
