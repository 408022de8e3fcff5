"""What a way to pay cost in the end, beside what was quoted; and what "0 %" costs beside a price for cash."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.calendars import add_months
from fenqi.terms.cost import (
    ACT365,
    SIMPLE,
    AnnualCost,
    CashFlow,
    CashFlows,
    CostError,
    DatedFlow,
    DatedFlows,
    annual_cost,
)
from fenqi.terms.disclosure import percent
from fenqi.terms.realised import hidden_cost, realised_cost

YUAN = 100


def months(first: int, last: int, amount: int) -> tuple[CashFlow, ...]:
    return tuple(CashFlow(month, amount) for month in range(first, last + 1))


def lent(*payments: CashFlow, amount: int = 6000 * YUAN) -> CashFlows:
    return CashFlows((CashFlow(0, amount),), payments)


def shown(cost: AnnualCost) -> str:
    assert cost.rate_e12 is not None
    return percent(cost.rate_e12)


# ¥6,000 in 12 x (500 + 36), quoted 13.03 %. After three, goods of 2,000 go back: 4,500 - 2,000 are left over nine months.

FIRST_THREE = months(1, 3, 536 * YUAN)
GOODS_2000 = (CashFlow(3, 2000 * YUAN),)


def test_a_refund_with_the_fee_left_as_it_was_costs_17_25() -> None:
    # 2,500 / 9 is 277.78 (the last 277.76), and still 36 a month.
    rest = (*months(4, 11, 277_78 + 36_00), CashFlow(12, 277_76 + 36_00))
    assert sum(flow.amount_minor for flow in rest) == 2500_00 + 9 * 36_00
    assert shown(realised_cost(lent(*FIRST_THREE, *rest), GOODS_2000)) == "17.25"


def test_a_refund_with_the_fee_scaled_to_what_is_left_costs_11_72() -> None:
    # 36 x 2,500 / 4,500 = 20 a month.
    rest = (*months(4, 11, 277_78 + 20_00), CashFlow(12, 277_76 + 20_00))
    assert shown(realised_cost(lent(*FIRST_THREE, *rest), GOODS_2000)) == "11.72"


def test_everything_back_and_every_fee_costs_exactly_nothing() -> None:
    goods, money = (CashFlow(3, 6000 * YUAN),), (CashFlow(3, 3 * 536 * YUAN),)
    found = realised_cost(lent(*FIRST_THREE), goods, money)
    assert found == AnnualCost(SIMPLE, 0)
    assert type(found.rate_e12) is int


def test_everything_back_but_the_fees_costs_7_85() -> None:
    goods, money = (CashFlow(3, 6000 * YUAN),), (CashFlow(3, 3 * 500 * YUAN),)
    assert shown(realised_cost(lent(*FIRST_THREE), goods, money)) == "7.85"


def test_paid_off_with_the_sixth_costs_9_07_or_17_78() -> None:
    # 3,000 are left after six; the six later fees of 36 are waived, or charged all the same.
    waived = lent(*months(1, 5, 536 * YUAN), CashFlow(6, 536_00 + 3000_00))
    charged = lent(*months(1, 5, 536 * YUAN), CashFlow(6, 536_00 + 3000_00 + 6 * 36_00))
    assert shown(realised_cost(waived)) == "9.07"
    assert shown(realised_cost(charged)) == "17.78"


def test_by_date_a_refund_may_come_later_than_the_goods() -> None:
    start = date(2026, 11, 23)
    paid = DatedFlows(
        (DatedFlow(start, 6000 * YUAN),),
        tuple(DatedFlow(add_months(start, month), 536 * YUAN) for month in (1, 2, 3)),
    )
    goods = (DatedFlow(date(2027, 2, 23), 6000 * YUAN),)
    at_once = realised_cost(paid, goods, (DatedFlow(date(2027, 2, 23), 3 * 500 * YUAN),), method=ACT365)
    later = realised_cost(paid, goods, (DatedFlow(date(2027, 3, 9), 3 * 500 * YUAN),), method=ACT365)
    all_back = realised_cost(paid, goods, (DatedFlow(date(2027, 2, 23), 3 * 536 * YUAN),), method=ACT365)
    assert all_back.rate_e12 == 0
    assert at_once.rate_e12 is not None
    assert later.rate_e12 is not None
    # Money that comes back two weeks late was lent to the shop meanwhile: that costs too.
    assert later.rate_e12 > at_once.rate_e12 > 0


def test_the_quoted_cost_is_another_figure() -> None:
    quoted = annual_cost(SIMPLE, lent(*months(1, 12, 536 * YUAN)))
    assert shown(quoted) == "13.03"
    assert realised_cost(lent(*months(1, 12, 536 * YUAN))) == quoted


def test_dates_and_periods_do_not_mix() -> None:
    with pytest.raises(CostError, match="returned is a date"):
        realised_cost(lent(*FIRST_THREE), (DatedFlow(date(2026, 1, 1), 5),))
    with pytest.raises(CostError, match="refunded is a period"):
        realised_cost(DatedFlows((DatedFlow(date(2026, 1, 1), 5),), ()), (), (CashFlow(1, 5),))


# "0 %" beside a lower price for cash.


@pytest.mark.parametrize(("cash", "cost"), [(5800, "6.31"), (5700, "9.58"), (6000, "0.00")])
def test_zero_percent_is_not_free_where_cash_is_cheaper(cash: int, cost: str) -> None:
    free = lent(*months(1, 12, 500 * YUAN))
    assert shown(hidden_cost(free, (6000 - cash) * YUAN)) == cost
    assert (hidden_cost(free, (6000 - cash) * YUAN).rate_e12 == 0) is (cash == 6000)


def test_a_forgone_discount_adds_to_a_fee() -> None:
    with_fee = lent(*months(1, 12, 536 * YUAN))
    start = date(2026, 11, 23)
    dated = DatedFlows(
        (DatedFlow(start, 6000 * YUAN),),
        tuple(DatedFlow(add_months(start, month), 536 * YUAN) for month in range(1, 13)),
    )
    found = hidden_cost(with_fee, 200 * YUAN)
    assert found == hidden_cost(dated, 200 * YUAN)
    assert (found.rate_e12 or 0) > (annual_cost(SIMPLE, with_fee).rate_e12 or 0)


@pytest.mark.parametrize("forgone", [-1, 6000 * YUAN, 0.5, True])
def test_a_discount_is_less_than_the_price(forgone: int) -> None:
    with pytest.raises(CostError, match="forgone_minor"):
        hidden_cost(lent(*months(1, 12, 500 * YUAN)), forgone)


def test_without_an_advance_there_is_no_discount_on_it() -> None:
    with pytest.raises(CostError, match="advances is empty"):
        hidden_cost(CashFlows((), (CashFlow(1, 5),)), 1)


@given(st.integers(1, 11), st.integers(0, 600_000))
def test_whatever_goes_back_with_all_that_was_paid_for_it_costs_nothing(month: int, price: int) -> None:
    # A part of the goods goes back and everything paid for that part; for the rest 12 x 500 x its share was owed, free.
    kept = 600_000 - price
    payments = tuple(
        CashFlow(at, paid) for at in range(1, 13) if (paid := kept // 12 + (kept % 12 if at == 12 else 0))
    )
    extra = (CashFlow(month, price),) if price else ()
    found = realised_cost(CashFlows((CashFlow(0, 600_000),), payments), extra)
    assert found.rate_e12 == 0
