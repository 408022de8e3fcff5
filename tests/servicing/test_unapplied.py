"""Money that nothing is owed for: matched wrongly and taken back, matched anew, and sent back."""

from __future__ import annotations

import pytest
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi_server.books.proof import prove_shop
from fenqi_server.books.settlement import in_transit
from fenqi_server.servicing import service, unapplied
from fenqi_server.servicing.service import Refusal
from fenqi_server.shops.models import Shop

pytestmark = pytest.mark.usefixtures("db")

WHO = {"actor": "lin", "reason": "the payer wrote the wrong order"}


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


@pytest.fixture
def money(shop: Shop) -> str:
    service.pay(shop, "order-9", 53_600, "received", "bank-9", AT, settlement="bank:a")
    (found,) = unapplied.unmatched(shop).money
    return found.unapplied_id


def waiting(shop: Shop) -> list[str]:
    return [each.unapplied_id for each in unapplied.unmatched(shop).money]


def totals(shop: Shop) -> tuple[int, int]:
    report = prove_shop(shop)
    assert report.ok, report.problems
    accounts = report.totals[0].accounts
    return accounts.get("in_transit", 0), accounts.get("unapplied_cash", 0)


def test_a_wrong_match_is_undone_once_and_the_money_goes_to_the_right_contract(
    shop: Shop, money: str
) -> None:
    wrong = open_one(shop, make_customer(shop))
    right = open_one(shop, make_customer(shop, "c-2"), order_ref="order-2")
    unapplied.match(shop, money, wrong, after(1))
    found, view = unapplied.undo_match(shop, money, after(2), **WHO)
    assert (found.amount_minor, view.state.balance_minor) == (53_600, 643_200)
    assert view.state.payments[0].reversed_on == on(2)
    assert waiting(shop) == [money]
    assert totals(shop) == (53_600, -53_600)
    again, _ = unapplied.undo_match(shop, money, after(3), **WHO)
    assert again == found
    assert len(service.get(shop, wrong, at=after(3)).events) == 3
    done = unapplied.match(shop, money, right, after(3))
    assert (done.payment_id, done.applied_minor) == ("bank-9", 53_600)
    assert waiting(shop) == []
    # What came with the batch stays with it, however often it was matched.
    assert in_transit(shop.id, "bank:a") == {"CNY": 53_600}
    assert totals(shop) == (53_600, 0)


def test_money_matched_back_to_where_it_was_has_a_number_of_its_own(shop: Shop, money: str) -> None:
    contract = open_one(shop, make_customer(shop))
    unapplied.match(shop, money, contract, after(1))
    unapplied.undo_match(shop, money, after(2), **WHO)
    done = unapplied.match(shop, money, contract, after(3))
    assert (done.payment_id, done.repeated) == ("bank-9 (2)", False)
    assert unapplied.match(shop, money, contract, after(4)).repeated
    assert service.get(shop, contract, at=after(4)).state.balance_minor == 589_600
    unapplied.undo_match(shop, money, after(5), **WHO)
    assert waiting(shop) == [money]
    assert totals(shop) == (53_600, -53_600)


def test_what_was_matched_in_error_is_no_payment_that_left(shop: Shop, money: str) -> None:
    contract = open_one(shop, make_customer(shop))
    unapplied.match(shop, money, contract, after(1))
    with pytest.raises(Refusal) as refused:
        service.reverse(shop, contract, "bank-9", "booked_in_error", after(2))
    assert refused.value.code == "matched"
    assert refused.value.way_out is not None
    assert refused.value.way_out.en == "undo the match"
    unapplied.undo_match(shop, money, after(2), **WHO)
    assert waiting(shop) == [money]
    # What the bank took back is gone, however it came.
    unapplied.match(shop, money, contract, after(3))
    service.reverse(shop, contract, "bank-9 (2)", "charged_back", after(4))
    assert totals(shop) == (0, 0)


def test_what_is_matched_to_nothing_has_no_match_to_undo(shop: Shop, money: str) -> None:
    with pytest.raises(Refusal) as refused:
        unapplied.undo_match(shop, money, AT, **WHO)
    assert refused.value.code == "not_matched"


def test_money_of_nobody_goes_back_whole_and_once_and_is_matched_no_more(shop: Shop, money: str) -> None:
    contract = open_one(shop, make_customer(shop))
    unapplied.refund_unmatched(shop, money, "f-1", after(1), **WHO)
    unapplied.refund_unmatched(shop, money, "f-1", after(2), **WHO)
    assert waiting(shop) == []
    assert totals(shop) == (0, 0)
    with pytest.raises(Refusal) as other:
        unapplied.refund_unmatched(shop, money, "f-2", after(2), **WHO)
    with pytest.raises(Refusal) as late:
        unapplied.match(shop, money, contract, after(2))
    assert (other.value.code, late.value.code) == ("already_refunded", "already_refunded")


def test_what_is_matched_is_the_contracts_and_does_not_go_back_from_here(shop: Shop, money: str) -> None:
    unapplied.match(shop, money, open_one(shop, make_customer(shop)), after(1))
    with pytest.raises(Refusal) as refused:
        unapplied.refund_unmatched(shop, money, "f-1", after(1), **WHO)
    assert refused.value.code == "already_matched"


def test_what_a_contract_holds_beyond_its_debt_goes_back_and_no_more(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), FREE_3)
    service.pay(shop, contract, 600_700, "received", "p-1", AT)
    with pytest.raises(Refusal) as refused:
        unapplied.refund_held(shop, contract, "f-1", 701, AT)
    assert "¥7.00" in refused.value.detail.zh_cn
    assert unapplied.refund_held(shop, contract, "f-1", 700, AT).after.unapplied_minor == 0
    assert unapplied.refund_held(shop, contract, "f-1", 700, after(1)).repeated
    assert totals(shop) == (600_000, 0)
