"""What is done to a contract besides being paid, each in one transaction, once, and told to the shop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from django.db import connection
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, TODAY, after, make_customer, make_shop, on, open_one

from fenqi.contracts.events import Instruction
from fenqi.problems import BadInput
from fenqi.terms.agreed import PayoffTerms
from fenqi.terms.plan import ContingentCost
from fenqi.texts import Text
from fenqi_server.books.proof import prove_shop
from fenqi_server.policies import audit
from fenqi_server.servicing import acts, closing, payoffs, returns, service, storage, unapplied
from fenqi_server.servicing.service import NoContract, Refusal
from fenqi_server.shops.models import Shop

pytestmark = pytest.mark.usefixtures("db")

WHO = {"actor": "lin", "reason": "the parcel was late"}


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


@pytest.fixture
def contract(shop: Shop) -> str:
    """12 x (500.00 + 36.00), from 23 Nov 2026; the first is due on 23 Dec."""
    return open_one(shop, make_customer(shop))


def messages(event: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbox_message WHERE event = %s", [event])
        return int(cursor.fetchone()[0])


# ------------------------------------------------------------------------------------------------ paying off


def test_a_quote_is_kept_and_paying_by_it_closes_the_contract(shop: Shop, contract: str) -> None:
    # Whole fees are owed: 6,432.00, the same on every day until the quote ends.
    quote = payoffs.payoff_quote(shop, contract, AT)
    assert (quote.amount_minor, quote.saving_minor, quote.charge_minor) == (643_200, 0, 0)
    assert (quote.principal_minor, quote.fee_minor) == (600_000, 43_200)
    assert quote.valid_until == on(7)
    assert payoffs.payoff_quote(shop, contract, AT) == quote, "an equal quote that stands is that one"
    done = service.pay(shop, contract, 643_200, "request", "p-1", after(3), settles=quote.quote_id)
    assert done.contract is not None
    assert (done.contract.state.status, done.unapplied_minor) == ("closed", 0)
    assert payoffs.quote_of(shop, contract, quote.quote_id, after(4)).state == "settled"
    assert prove_shop(shop).ok


def test_a_quote_spares_the_fees_to_come_and_a_request_past_its_day_is_refused_with_the_way_out(
    shop: Shop,
) -> None:
    # Owed are the fees up to the period that runs: 36.00 of 432.00, so that 396.00 are saved.
    contract = open_one(shop, make_customer(shop), payoff=PayoffTerms(fees="to_period_end"))
    quote = payoffs.payoff_quote(shop, contract, after(1))
    assert (quote.amount_minor, quote.saving_minor) == (603_600, 39_600)
    with pytest.raises(Refusal) as refused:
        service.pay(shop, contract, 603_600, "request", "p-1", after(9), settles=quote.quote_id)
    assert refused.value.code == "quote_expired"
    assert "2026年12月1日" in refused.value.detail.zh_cn
    assert "Ask for a new one" in refused.value.detail.en
    with pytest.raises(Refusal) as less:
        service.pay(shop, contract, 603_599, "request", "p-1", after(2), settles=quote.quote_id)
    assert (less.value.code, less.value.owed_minor) == ("below_quote", 603_600)
    with pytest.raises(Refusal) as unknown:
        service.pay(shop, contract, 603_600, "request", "p-1", after(2), settles="pq_no")
    assert unknown.value.code == "quote_unknown"
    # Money that has come is never refused: past its day, it is a payment like any other.
    late = service.pay(shop, contract, 603_600, "received", "p-1", after(9), settles=quote.quote_id)
    assert late.contract is not None
    assert (late.contract.state.status, late.contract.state.balance_minor) == ("active", 39_600)
    assert prove_shop(shop).ok


def test_a_payment_in_between_makes_a_quote_one_of_before(shop: Shop, contract: str) -> None:
    quote = payoffs.payoff_quote(shop, contract, AT)
    service.pay(shop, contract, 53_600, "received", "p-1", after(1))
    with pytest.raises(Refusal) as refused:
        service.pay(shop, contract, 643_200, "request", "p-2", after(1), settles=quote.quote_id)
    assert (refused.value.code, refused.value.owed_minor) == ("quote_outdated", 589_600)
    assert payoffs.quote_of(shop, contract, quote.quote_id, after(1)).state == "outdated"
    assert payoffs.payoff_quote(shop, contract, after(1)).amount_minor == 589_600


def test_a_closed_contract_is_not_paid_off(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), FREE_3)
    service.pay(shop, contract, 600_000, "received", "p-1", AT)
    with pytest.raises(Refusal) as refused:
        payoffs.payoff_quote(shop, contract, AT)
    assert refused.value.state is not None
    assert refused.value.state.zh_cn == "合同已结清"


# ------------------------------------------------------------------------------------------------ goods


def test_a_return_shows_first_what_it_does_then_and_is_done_once(shop: Shop, contract: str) -> None:
    service.pay(shop, contract, 53_600, "received", "p-1", after(1))
    # 1,200.00 come off the last rows: two whole ones of 500.00, and 200.00 of the tenth with 200/500 of its 36.00.
    seen = returns.preview_return(shop, contract, 120_000, after(2))
    assert (seen.settled_minor, seen.refund_minor, seen.fee_returned_minor) == (120_000, 0, 0)
    assert seen.fee_let_go_minor == 3_600 + 3_600 + 1_440
    assert (seen.balance_before_minor, seen.balance_after_minor) == (589_600, 589_600 - 120_000 - 8_640)
    assert [(row.principal_minor, row.fee_minor) for row in seen.rows_after[9:]] == [
        (30_000, 2_160),
        (0, 0),
        (0, 0),
    ]
    assert len(service.get(shop, contract, at=after(2)).events) == 2, "nothing was written"
    done = returns.confirm_return(shop, contract, "r-1", 120_000, after(2))
    assert (done.rows_after, done.changes) == (seen.rows_after, seen.changes)
    again = returns.confirm_return(shop, contract, "r-1", 120_000, after(5))
    assert again.repeated
    assert again.balance_after_minor == done.balance_after_minor
    with pytest.raises(Refusal) as other:
        returns.confirm_return(shop, contract, "r-1", 130_000, after(5))
    assert other.value.code == "reference_reused"
    assert prove_shop(shop).ok


def test_more_than_was_bought_cannot_go_back_and_both_languages_say_what_can(
    shop: Shop, contract: str
) -> None:
    returns.confirm_return(shop, contract, "r-1", 400_000, AT)
    for act in (
        lambda: returns.preview_return(shop, contract, 200_001, AT),
        lambda: returns.confirm_return(shop, contract, "r-2", 200_001, AT),
    ):
        with pytest.raises(Refusal) as refused:
            act()
        told = refused.value
        assert told.code == "cannot_follow"
        assert told.state
        assert told.rule
        assert told.way_out
        assert "¥2,000.01" in told.state.en
        assert "¥2,000.00" in told.rule.zh_cn
    assert service.get(shop, contract, TODAY).state.balance_minor == 200_000 + 14_400


def test_what_was_paid_for_goods_that_went_back_is_refunded_once_and_no_more(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), FREE_3)
    service.pay(shop, contract, 600_000, "received", "p-1", AT)
    assert returns.confirm_return(shop, contract, "r-1", 150_000, after(1)).refund_minor == 150_000
    with pytest.raises(Refusal) as refused:
        returns.refund_paid(shop, contract, "f-1", 150_001, after(1))
    assert "¥1,500.00" in refused.value.detail.en
    more = returns.confirm_return(shop, contract, "r-2", 50_000, after(1))
    assert (more.refund_minor, more.refund_due_minor) == (50_000, 200_000)
    returns.refund_paid(shop, contract, "f-0", 50_000, after(1))
    assert returns.refund_paid(shop, contract, "f-1", 150_000, after(1)).after.refund_due_minor == 0
    assert returns.refund_paid(shop, contract, "f-1", 150_000, after(2)).repeated
    with connection.cursor() as cursor:
        # What is paid out is found again in the bank's statement by its number.
        cursor.execute("SELECT reference FROM books_transaction WHERE event_kind = 'refund_paid' ORDER BY 1")
        assert cursor.fetchall() == [("f-0",), ("f-1",)]
    assert prove_shop(shop).ok


def test_a_sale_is_called_off_before_it_is_shipped_and_not_after(shop: Shop, contract: str) -> None:
    other = open_one(shop, make_customer(shop, "c-2"), order_ref="order-2")
    service.pay(shop, contract, 53_600, "received", "p-1", AT)
    done = acts.cancel(shop, contract, after(1), reason="changed my mind")
    assert (done.after.status, done.after.refund_due_minor) == ("closed", 53_600)
    assert acts.cancel(shop, contract, after(2)).repeated
    acts.ship(shop, other, AT, shipment_id="s-1")
    assert acts.ship(shop, other, after(1), shipment_id="s-1").repeated
    with pytest.raises(Refusal) as refused:
        acts.cancel(shop, other, after(1))
    assert refused.value.detail.zh_cn == "商品已于2026年11月23日发出；商品须尚未发出。可以：改为办理退货。"
    assert prove_shop(shop).ok


# ------------------------------------------------------------------------------------------------ the due day


def test_another_due_day_moves_every_row_to_come_costs_nothing_and_the_day_closes_by_it(
    shop: Shop, contract: str
) -> None:
    seen = acts.preview_due_day(shop, contract, 28, after(1))
    assert [(row.number, row.before, row.after) for row in seen.rows[:2]] == [
        (1, date(2026, 12, 23), date(2026, 12, 28)),
        (2, date(2027, 1, 23), date(2027, 1, 28)),
    ]
    assert (len(seen.rows), seen.cost_minor) == (12, 0)
    done, said = acts.change_due_day(shop, contract, 28, after(1))
    assert said.rows == seen.rows
    assert not done.repeated
    assert acts.change_due_day(shop, contract, 28, after(1))[0].repeated
    # The day that was agreed passes; the new one is when the fee is earned.
    assert closing.close_day(shop, date(2026, 12, 27), after(34)).rows == 0
    assert closing.close_day(shop, date(2026, 12, 28), after(35)).rows == 1
    assert prove_shop(shop).ok


def test_a_customer_moves_the_due_day_now_and_then_and_not_while_late(shop: Shop, contract: str) -> None:
    acts.change_due_day(shop, contract, 28, after(1))
    with pytest.raises(Refusal) as lately:
        acts.change_due_day(shop, contract, 25, after(9))
    assert lately.value.code == "due_day_changed_lately"
    acts.change_due_day(shop, contract, 25, after(9), **WHO)
    with pytest.raises(Refusal) as late:
        acts.preview_due_day(shop, contract, 5, after(60))
    assert (late.value.code, late.value.owed_minor) == ("overdue", 53_600)
    with pytest.raises(Refusal) as never:
        acts.change_due_day(shop, contract, 32, after(9), **WHO)
    assert "1至31" in never.value.detail.zh_cn


# ------------------------------------------------------------------------------------------------ staff


def test_goodwill_pays_as_money_would_with_who_and_why_in_the_audit_log(shop: Shop, contract: str) -> None:
    done = acts.goodwill(shop, contract, "g-1", 53_600, AT, **WHO)
    assert (done.after.balance_minor, done.after.rows[0].status) == (589_600, "paid")
    assert acts.goodwill(shop, contract, "g-1", 53_600, after(1), **WHO).repeated
    (entry,) = [each for each in audit.entries(shop) if each.act == "contract.goodwill"]
    assert (entry.actor, entry.reason, entry.before["balance_minor"]) == ("lin", WHO["reason"], 643_200)
    with pytest.raises(Refusal):
        acts.goodwill(shop, contract, "g-2", 589_601, AT, **WHO)
    with pytest.raises(BadInput):
        acts.goodwill(shop, contract, "g-2", 100, AT, actor="lin", reason=" ")
    assert prove_shop(shop).ok


def test_hardship_pauses_and_spreads_anew_and_days_close_by_what_stands_then(
    shop: Shop, contract: str
) -> None:
    acts.pause(shop, contract, 2, after(1), **WHO)
    state = service.get(shop, contract, at=after(1)).state
    assert state.next_due_on == date(2027, 2, 23)
    assert closing.close_day(shop, date(2027, 2, 22), after(91)).rows == 0
    acts.re_age(shop, contract, 4, date(2027, 3, 10), after(91), **WHO)
    rows = [row for row in service.get(shop, contract, at=after(91)).state.rows if row.outstanding_minor]
    assert [(row.due_on, row.total_minor) for row in rows[:2]] == [
        (date(2027, 3, 10), 160_800),
        (date(2027, 4, 10), 160_800),
    ]
    report = closing.close_day(shop, date(2027, 3, 10), after(107))
    assert report.failed == ()
    assert report.rows >= 1
    rows = service.get(shop, contract, at=after(107)).state.rows
    assert [row.reached for row in rows if row.number in (13, 14)] == [True, False]
    assert prove_shop(shop).ok


def test_a_payment_goes_where_the_customer_meant_it(shop: Shop, contract: str) -> None:
    service.pay(shop, contract, 10_000, "received", "p-1", AT)
    done = acts.instruct(shop, contract, "p-1", [Instruction(3, "principal", 10_000)], AT, **WHO)
    assert [row.paid_minor for row in done.after.rows[:3]] == [0, 0, 10_000]
    assert prove_shop(shop).ok


def test_everything_is_called_due_only_after_arrears_demand_and_time(shop: Shop, contract: str) -> None:
    with pytest.raises(Refusal) as refused:
        acts.accelerate(shop, contract, on(30), after(40), **WHO)
    assert "民法典634" in refused.value.detail.zh_cn
    # Three rows late: 1,608.00 of 6,000.00 is more than a fifth.
    demanded = date(2027, 2, 24)
    done = acts.accelerate(shop, contract, demanded, after(120), **WHO)
    assert done.after.accelerated_on == on(120)
    assert prove_shop(shop).ok


def test_what_is_written_off_is_recovered_and_money_that_comes_is_never_refused(
    shop: Shop, contract: str
) -> None:
    acts.write_off(shop, contract, after(200), **WHO)
    assert acts.write_off(shop, contract, after(201), **WHO).repeated
    done = acts.recover(shop, contract, "c-1", 50_000, after(201), cost_minor=10_000)
    assert (done.after.recovered_minor, done.moved("collection_cost")) == (50_000, 10_000)
    again = service.pay(shop, contract, 50_000, "received", "c-1", after(202))
    assert again.repeated, "the same money told as a payment is the same money"
    service.pay(shop, contract, 1_000, "received", "p-9", after(202))
    assert service.get(shop, contract, at=after(202)).state.recovered_minor == 51_000
    assert prove_shop(shop).ok


def test_what_is_owed_again_after_a_write_off_is_written_off_in_its_turn(shop: Shop, contract: str) -> None:
    service.pay(shop, contract, 53_600, "received", "p-1", after(1))
    acts.write_off(shop, contract, after(200), **WHO)
    # 100.00 of what was paid go out, and are owed again.
    acts.pay_back(shop, contract, "b-1", 10_000, after(201), **WHO)
    assert service.get(shop, contract, at=after(202)).state.balance_minor == 10_000
    done = acts.write_off(shop, contract, after(203), **WHO)
    assert (done.repeated, done.after.balance_minor) == (False, 0)
    # 12 rows of 536.00 less the one that was paid, and the 100.00.
    assert done.after.written_off_minor == 11 * 53_600 + 10_000
    assert acts.write_off(shop, contract, after(204), **WHO).repeated
    assert prove_shop(shop).ok


def test_what_belongs_to_another_shop_is_not_there(shop: Shop, contract: str) -> None:
    other = make_shop("other")
    for act in (
        lambda: acts.cancel(other, contract, AT),
        lambda: payoffs.payoff_quote(other, contract, AT),
        lambda: returns.preview_return(other, contract, 100, AT),
        lambda: acts.ship(other, "ct_nothing", AT),
    ):
        with pytest.raises(NoContract):
            act()


def test_what_happens_is_told_once_to_whoever_listens(shop: Shop, contract: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_endpoint (shop_id, id, url, events, sealed_secret, created_at)"
            " VALUES (%s, gen_random_uuid(), 'https://m.example', %s, '', %s)",
            [shop.id, ["contract.shipped", "contract.goods_returned"], AT],
        )
    acts.ship(shop, contract, AT)
    acts.ship(shop, contract, after(1))
    returns.confirm_return(shop, contract, "r-1", 1_000, AT)
    assert (messages("contract.shipped"), messages("contract.goods_returned")) == (1, 1)


def test_a_shipped_contracts_day_is_closed_together_with_the_others(shop: Shop, contract: str) -> None:
    acts.ship(shop, contract, AT)
    closing.close_day(shop, date(2026, 12, 23), after(30))
    assert sum(run.at_once for run in closing.runs_of(shop)) == 1
    assert service.get(shop, contract, at=after(30)).state.rows[0].fee_earned_minor == 3_600
    assert prove_shop(shop).ok


def test_a_payoff_that_costs_more_than_it_spares_says_so_and_its_charge_is_booked_once(shop: Shop) -> None:
    cost = ContingentCost(
        "early", Text("提前结清手续费", "Payoff charge"), Text("提前结清", "If paid off"), "shop"
    )
    # Nothing is due: 3 % of 6,000.00 is charged, and no fee is spared of a plan without one.
    contract = open_one(
        shop,
        make_customer(shop),
        msgspec.structs.replace(FREE_3, contingent=(cost,)),
        payoff=PayoffTerms(charge_rate=Decimal("0.03"), charge_code="early"),
    )
    quote = payoffs.payoff_quote(shop, contract, AT)
    assert (quote.amount_minor, quote.charge_minor, quote.saving_minor) == (618_000, 18_000, -18_000)
    with pytest.raises(Refusal) as above:
        service.pay(shop, contract, 618_001, "request", "p-1", AT, settles=quote.quote_id)
    assert (above.value.code, above.value.owed_minor) == ("above_debt", 618_000)
    done = service.pay(shop, contract, 618_000, "request", "p-1", AT, settles=quote.quote_id)
    assert done.contract is not None
    assert (done.applied_minor, done.contract.state.status) == (618_000, "closed")
    again = service.pay(shop, contract, 618_000, "request", "p-1", after(1), settles=quote.quote_id)
    assert again.repeated
    assert prove_shop(shop).ok


def test_a_row_s_number_that_stands_for_another_row_since_news_came_late_falls_due_again(shop: Shop) -> None:
    cost = ContingentCost("late_fee", Text("滞纳金", "Late fee"), Text("逾期", "If late"), "shop")
    contract = open_one(
        shop, make_customer(shop), msgspec.structs.replace(FREE_3, contingent=(cost,)), 100_000
    )
    acts.re_age(shop, contract, 2, on(32), after(31), **WHO)
    closing.close_day(shop, on(32), after(32))
    assert [row.number for row in service.get(shop, contract, on(32)).state.rows if row.reached][-1] == 4
    # All of it was paid before the rows 4 and 5 were made: there are none. Then a fee is owed, and spread over a new row 4.
    service.pay(shop, contract, 100_000, "received", "p-1", after(33), occurred_on=on(20))
    acts.charge(shop, contract, "c-1", "fee", 500, "late_fee", after(34), **WHO)
    acts.re_age(shop, contract, 1, on(37), after(35), **WHO)
    report = closing.close_day(shop, on(37), after(37))
    assert (report.rows, report.failed) == (1, ())
    rows = {row.number: row for row in service.get(shop, contract, on(37)).state.rows}
    assert (rows[4].due_on, rows[4].reached, rows[4].outstanding_minor) == (on(37), True, 500)
    assert prove_shop(shop).ok


DONE: dict[str, Callable[[Shop, str], object]] = {
    "cancelled": lambda shop, contract: acts.cancel(shop, contract, after(40)),
    "half returned": lambda shop, contract: returns.confirm_return(shop, contract, "r", 300_000, after(40)),
    "all returned": lambda shop, contract: returns.confirm_return(shop, contract, "r", 600_000, after(40)),
    "another day": lambda shop, contract: acts.change_due_day(shop, contract, 31, after(40), **WHO),
    "paused": lambda shop, contract: acts.pause(shop, contract, 3, after(40), **WHO),
    "spread anew": lambda shop, contract: acts.re_age(shop, contract, 6, on(60), after(40), **WHO),
    "arrears spread": lambda shop, contract: acts.re_amortise(shop, contract, after(40), **WHO),
    "goodwill": lambda shop, contract: acts.goodwill(shop, contract, "g", 643_200, after(40), **WHO),
    "called due": lambda shop, contract: acts.accelerate(shop, contract, on(100), after(120), **WHO),
    "written off": lambda shop, contract: acts.write_off(shop, contract, after(40), **WHO),
    "paid off": lambda shop, contract: service.pay(
        shop,
        contract,
        643_200,
        "request",
        "p",
        after(40),
        settles=payoffs.payoff_quote(shop, contract, after(40)).quote_id,
    ),
}


@pytest.mark.parametrize("done", DONE)
def test_whatever_was_done_the_days_that_follow_close_and_the_cached_row_is_what_follows(
    shop: Shop, contract: str, done: str
) -> None:
    closing.close_day(shop, on(30), after(30))
    DONE[done](shop, contract)
    report = closing.close_day(shop, on(800), after(800))
    assert report.failed == ()
    state = service.get(shop, contract, on(800)).state
    assert all(row.reached for row in state.rows)
    customer_id, contract_id = service.parsed(contract)
    columns = "status, balance_minor, open_due_on, open_minor, next_due_on, booked_accounts, booked_amounts"
    kept: list[object] = []
    for _ in range(2):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM servicing_state WHERE contract_id = %s", [contract_id])
            row = cursor.fetchone()
        booked = dict(zip(row[5], row[6], strict=True))
        kept.append((*row[:5], {account: minor for account, minor in booked.items() if minor}))
        storage.rebuild(customer_id, contract_id)
    assert kept[0] == kept[1]
    assert kept[0][4] is None  # type: ignore[index]
    assert prove_shop(shop).ok


def test_goodwill_never_leaves_as_cash(shop: Shop) -> None:
    called_off, returned = (
        open_one(shop, make_customer(shop, name), FREE_3, 200_000) for name in ("u-1", "u-2")
    )
    for contract in (called_off, returned):
        service.pay(shop, contract, 10_000, "received", f"p-{contract[-4:]}", AT)
        acts.goodwill(shop, contract, "g-1", 190_000, AT, **WHO)
    done = acts.cancel(shop, called_off, after(1))
    assert done.after.refund_due_minor == 10_000
    assert acts.cancel(shop, called_off, after(1)).repeated
    foretold = returns.preview_return(shop, returned, 200_000, after(1))
    assert (foretold.settled_minor, foretold.refund_minor) == (0, 10_000)
    booked = returns.confirm_return(shop, returned, "r-1", 200_000, after(1))
    assert (booked.settled_minor, booked.refund_minor) == (0, 10_000)
    assert returns.confirm_return(shop, returned, "r-1", 200_000, after(2)).repeated
    report = prove_shop(shop)
    assert report.ok, report.problems
    accounts = dict(report.totals[0].accounts)
    assert (accounts.get("goodwill", 0), accounts["refund_payable"]) == (0, -20_000)


def test_no_more_is_paid_back_than_was_paid_in_money(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), FREE_3, 200_000)
    service.pay(shop, contract, 10_000, "received", "p-1", AT)
    acts.goodwill(shop, contract, "g-1", 190_000, AT, **WHO)
    with pytest.raises(Refusal) as more:
        acts.pay_back(shop, contract, "t-1", 10_001, after(1), **WHO)
    assert (more.value.code, "¥100.00" in more.value.detail.en) == ("above_paid", True)
    assert acts.pay_back(shop, contract, "t-1", 10_000, after(1), **WHO).after.balance_minor == 10_000
    with pytest.raises(Refusal):
        acts.pay_back(shop, contract, "t-2", 1, after(1), **WHO)


def test_what_goes_back_for_goods_or_a_sale_called_off_is_not_paid_back_besides(shop: Shop) -> None:
    customer = make_customer(shop)
    returned = open_one(shop, customer, FREE_3, 90_000)
    service.pay(shop, returned, 90_000, "received", "p-1", AT)
    returns.confirm_return(shop, returned, "r-1", 45_000, after(1))
    called_off = open_one(shop, customer, FREE_3, 90_000, order_ref="order-2")
    service.pay(shop, called_off, 40_000, "received", "p-1", AT)
    acts.cancel(shop, called_off, after(1))

    def refused(contract: str, minor: int) -> Refusal:
        with pytest.raises(Refusal) as more:
            acts.pay_back(shop, contract, "t-1", minor, after(2), **WHO)
        return more.value

    # 900.00 were paid, of which 450.00 go back for the goods.
    assert (refused(returned, 45_001).code, refused(called_off, 1).code) == ("above_paid", "above_paid")
    assert "¥450.00 was paid that does not go back otherwise" in refused(returned, 45_001).detail.en
    returns.refund_paid(shop, returned, "f-1", 45_000, after(2), **WHO)
    returns.refund_paid(shop, called_off, "f-1", 40_000, after(2), **WHO)
    assert (refused(returned, 45_001).code, refused(called_off, 1).code) == ("above_paid", "above_paid")
    assert acts.pay_back(shop, returned, "t-1", 45_000, after(2), **WHO).after.balance_minor == 45_000
    # The goods that are left come back, too: nothing is left to be refunded, and no more went out than came.
    last = returns.confirm_return(shop, returned, "r-2", 45_000, after(3))
    assert (last.refund_minor, last.balance_after_minor) == (0, 0)
    report = prove_shop(shop)
    assert report.ok, report.problems
    assert not report.totals[0].accounts.get("in_transit")


def test_goodwill_that_pays_nothing_is_never_paid_out(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), FREE_3, 90_000)
    acts.goodwill(shop, contract, "g-1", 50_000, after(5), **WHO)
    # A transfer of the second day is learnt of on the sixth.
    service.pay(shop, contract, 70_000, "received", "p-1", after(6), occurred_on=on(2))
    assert returns.confirm_return(shop, contract, "r-1", 90_000, after(7)).refund_due_minor == 70_000
    with pytest.raises(Refusal, match=r"¥0\.00 is held"):
        unapplied.refund_held(shop, contract, "u-1", 1, after(8), **WHO)
    report = prove_shop(shop)
    assert report.ok, report.problems
    accounts = dict(report.totals[0].accounts)
    assert (accounts.get("goodwill", 0), accounts.get("unapplied_cash", 0)) == (0, 0)
    assert accounts["refund_payable"] == -70_000
