"""Money that goes out, payments taken back, charges: by one person up to the limit (500.00), above it by two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest
from django.db import IntegrityError, connection, transaction
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.contracts.events import EventRefused
from fenqi.problems import BadInput
from fenqi.terms.plan import ContingentCost
from fenqi.texts import Text
from fenqi_server.books.proof import prove_shop
from fenqi_server.books.settlement import in_transit
from fenqi_server.policies import audit
from fenqi_server.servicing import requests, returns, service, unapplied
from fenqi_server.servicing.acts import Acted
from fenqi_server.servicing.outgoing import (
    ChargeAsked,
    HeldRefundAsked,
    OfContract,
    PayBackAsked,
    RefundAsked,
    ReversalAsked,
)
from fenqi_server.servicing.requests import Request
from fenqi_server.servicing.service import Refusal
from fenqi_server.shops.models import Shop

WHY = "they asked on the phone"


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


def accounts(shop: Shop) -> dict[str, int]:
    report = prove_shop(shop)
    assert report.ok, report.problems
    return dict(report.totals[0].accounts)


def holding(shop: Shop, minor: int) -> str:
    """A contract of 6,000.00 that was paid, and holds so much beyond it."""
    contract = open_one(shop, make_customer(shop), FREE_3)
    service.pay(shop, contract, 600_000 + minor, "received", "p-1", AT)
    return contract


def held(minor: int, reference: str = "t-1") -> HeldRefundAsked:
    return HeldRefundAsked(reference=reference, amount_minor=minor, reason=WHY)


def ask(shop: Shop, contract: str, asked: OfContract, days: int = 0, actor: str = "lin") -> Any:
    return requests.ask(shop, contract, asked, after(days), actor=actor)


def test_up_to_the_limit_one_person_sends_it_back(shop: Shop) -> None:
    contract = holding(shop, 50_000)
    done = ask(shop, contract, held(50_000))
    assert isinstance(done, Acted)
    assert done.after.unapplied_minor == 0
    assert requests.of_contract(shop, contract) == []
    assert accounts(shop).get("unapplied_cash", 0) == 0
    assert ask(shop, contract, held(50_000)).repeated


def test_above_it_nothing_moves_until_another_agrees_and_then_it_is_done_once(shop: Shop) -> None:
    contract = holding(shop, 50_001)
    waits = ask(shop, contract, held(50_001))
    assert isinstance(waits, Request)
    assert (waits.kind, waits.state, waits.at_stake_minor, waits.needs_second) == (
        "held_refund",
        "open",
        50_001,
        True,
    )
    assert accounts(shop)["unapplied_cash"] == -50_001, "asking moves nothing"
    assert ask(shop, contract, held(50_001)) == waits, "asking again is asking once"
    with pytest.raises(Refusal) as other:
        ask(shop, contract, held(50_001, "t-2"))
    assert other.value.code == "request_open"
    with pytest.raises(Refusal) as own:
        requests.approve(shop, waits.request_id, after(9), actor="LIN")
    assert own.value.code == "own_request"
    assert accounts(shop)["unapplied_cash"] == -50_001
    done = requests.approve(shop, waits.request_id, after(1), actor="wu")
    assert (done.state, done.decided_by) == ("approved", "wu")
    assert accounts(shop).get("unapplied_cash", 0) == 0
    assert requests.approve(shop, waits.request_id, after(2), actor="wu") == done
    assert ask(shop, contract, held(50_001), 3).repeated, "the same transfer is one transfer"
    event = service.get(shop, contract, at=after(3)).events[-1]
    assert (event.occurred_on, event.reference) == (on(1), "t-1")
    told = [(entry.actor, entry.act) for entry in audit.entries(shop)]
    assert told[:3] == [
        ("wu", "request.approved"),
        ("wu", "contract.unapplied_refunded"),
        ("lin", "request.held_refund"),
    ]


def test_what_leaves_a_contract_on_one_day_counts_together(shop: Shop) -> None:
    contract = holding(shop, 150_000)
    assert isinstance(ask(shop, contract, held(30_000)), Acted)
    assert ask(shop, contract, held(30_000)).repeated
    second = ask(shop, contract, held(20_001, "t-2"), actor="wu")
    assert (second.state, second.at_stake_minor) == ("open", 50_001)
    requests.approve(shop, second.request_id, AT, actor="lin")
    # What two agreed to leaves the first one's 300.00.
    assert isinstance(ask(shop, contract, held(20_000, "t-3")), Acted)
    assert isinstance(ask(shop, contract, held(1, "t-4")), Request)
    assert isinstance(ask(shop, contract, held(30_000, "t-5"), 1), Acted), "the next day is another"
    assert accounts(shop)["unapplied_cash"] == -(150_000 - 30_000 - 20_001 - 20_000 - 30_000)


def test_payments_taken_back_on_one_day_count_together_and_so_do_charges(shop: Shop) -> None:
    cost = ContingentCost("letter", Text("催告信", "Letter"), Text("逾期", "If late"), "shop")
    contract = open_one(shop, make_customer(shop), msgspec.structs.replace(FREE_3, contingent=(cost,)))
    for number in ("p-1", "p-2"):
        service.pay(shop, contract, 30_000, "received", number, AT)
    assert isinstance(ask(shop, contract, ReversalAsked(reference="p-1", amount_minor=0, reason=WHY)), Acted)
    waits = ask(shop, contract, ReversalAsked(reference="p-2", amount_minor=0, reason=WHY))
    assert (waits.state, waits.at_stake_minor) == ("open", 60_000)
    charge = ChargeAsked(reference="c-1", amount_minor=30_000, reason=WHY, part="fee", code="letter")
    assert isinstance(ask(shop, contract, charge), Acted), "what is charged is not what was taken back"
    more = ask(shop, contract, msgspec.structs.replace(charge, reference="c-2", amount_minor=20_001))
    assert (more.state, more.at_stake_minor) == ("open", 50_001)
    with pytest.raises(BadInput):
        ask(shop, contract, msgspec.structs.replace(charge, reference="late:2026-11-24"), 1)


def test_what_is_declined_or_withdrawn_does_not_happen(shop: Shop) -> None:
    contract = holding(shop, 60_000)
    first = ask(shop, contract, held(60_000))
    requests.decline(shop, first.request_id, after(1), actor="wu", note="wrong account")
    second = ask(shop, contract, held(60_000, "t-2"), 2)
    requests.withdraw(shop, second.request_id, after(2), by="lin")
    with pytest.raises(Refusal) as late:
        requests.approve(shop, first.request_id, after(3), actor="wu")
    assert late.value.code == "not_open"
    assert accounts(shop)["unapplied_cash"] == -60_000


def test_what_cannot_be_done_is_refused_when_it_is_asked(shop: Shop) -> None:
    contract = holding(shop, 60_000)
    with pytest.raises(Refusal) as more:
        ask(shop, contract, held(60_001))
    assert more.value.way_out is not None
    assert requests.of_contract(shop, contract) == []
    with pytest.raises(BadInput):
        ask(shop, contract, HeldRefundAsked(reference="t-1", amount_minor=60_000, reason=""))
    with pytest.raises(BadInput):
        ask(shop, contract, held(60_000), actor=requests.CUSTOMER)
    with pytest.raises(EventRefused):
        ask(shop, contract, ReversalAsked(reference="p-9", amount_minor=0, reason=WHY))


def test_what_the_contract_holds_no_more_is_not_sent_and_what_to_do_is_said(shop: Shop) -> None:
    contract = holding(shop, 60_000)
    waits = ask(shop, contract, held(60_000))
    unapplied.refund_held(shop, contract, "t-7", 20_000, after(1))
    with pytest.raises(Refusal) as refused:
        requests.approve(shop, waits.request_id, after(2), actor="wu")
    assert refused.value.way_out is not None
    assert "¥400.00" in refused.value.detail.en
    assert requests.get(shop, waits.request_id).state == "open"
    assert accounts(shop)["unapplied_cash"] == -40_000
    requests.decline(shop, waits.request_id, after(2), actor="wu", note="part of it went meanwhile")


def test_what_was_done_meanwhile_is_not_done_again(shop: Shop) -> None:
    contract = holding(shop, 60_000)
    waits = ask(shop, contract, held(60_000))
    unapplied.refund_held(shop, contract, "t-1", 60_000, after(1))
    with pytest.raises(Refusal) as refused:
        requests.approve(shop, waits.request_id, after(2), actor="wu")
    assert (refused.value.code, refused.value.way_out is not None) == ("done_meanwhile", True)
    assert accounts(shop).get("unapplied_cash", 0) == 0


def test_a_payment_above_the_limit_is_taken_back_by_two(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 50_000, "received", "small", AT)
    service.pay(shop, contract, 53_600, "received", "large", AT)
    small = ask(shop, contract, ReversalAsked(reference="small", amount_minor=0, reason=WHY))
    assert small.view.state.balance_minor == 643_200 - 53_600
    # The amount is the payment's, whatever was said.
    waits = ask(shop, contract, ReversalAsked(reference="large", amount_minor=1, reason=WHY))
    # With the 500.00 that one person took back on the same day.
    assert (waits.state, waits.asked.amount_minor, waits.at_stake_minor) == ("open", 53_600, 103_600)
    assert service.get(shop, contract, at=AT).state.balance_minor == 643_200 - 53_600
    done = requests.approve(shop, waits.request_id, after(1), actor="wu")
    after_it = service.get(shop, contract, at=after(1))
    assert (after_it.state.balance_minor, done.event_seq) == (643_200, after_it.events[-1].seq)
    again = ask(shop, contract, ReversalAsked(reference="large", amount_minor=0, reason=WHY), 2)
    assert again.repeated
    assert accounts(shop).get("in_transit", 0) == 0


def test_a_payment_that_the_bank_took_back_meanwhile_is_taken_back_once(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 53_600, "received", "p-1", AT)
    waits = ask(shop, contract, ReversalAsked(reference="p-1", amount_minor=0, reason=WHY))
    service.reverse(shop, contract, "p-1", "bounced", after(1))
    with pytest.raises(Refusal) as refused:
        requests.approve(shop, waits.request_id, after(2), actor="wu")
    assert refused.value.code == "done_meanwhile"
    assert service.get(shop, contract, at=after(2)).state.balance_minor == 643_200


def test_a_refund_above_the_limit_is_paid_on_the_day_of_the_agreement(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), FREE_3)
    service.pay(shop, contract, 600_000, "received", "p-1", AT)
    returns.confirm_return(shop, contract, "r-1", 100_000, AT)
    asked = RefundAsked(reference="f-1", amount_minor=100_000, reason=WHY)
    waits = requests.ask(shop, contract, asked, after(3), actor="lin", on=on(1))
    assert isinstance(waits, Request)
    assert accounts(shop)["refund_payable"] == -100_000
    requests.approve(shop, waits.request_id, after(4), actor="wu")
    assert accounts(shop).get("refund_payable", 0) == 0
    event = cast(Any, service.get(shop, contract, at=after(4)).events[-1])
    assert (event.occurred_on, event.settlement) == (on(4), f"bank:{on(4)}")


def test_a_charge_above_the_limit_is_due_no_earlier_than_the_agreement(shop: Shop) -> None:
    cost = ContingentCost("letter", Text("催告信", "Letter"), Text("逾期", "If late"), "shop")
    contract = open_one(shop, make_customer(shop), msgspec.structs.replace(FREE_3, contingent=(cost,)))
    before = service.get(shop, contract, at=AT).state.balance_minor
    asked = ChargeAsked(
        reference="c-1", amount_minor=60_000, reason=WHY, part="fee", code="letter", due_on=on(0)
    )
    small = ask(
        shop, contract, msgspec.structs.replace(asked, reference="c-0", amount_minor=50_000, due_on=on(-1))
    )
    assert small.event.due_on == on(-1), "done at once, it is due when it was said to be"
    waits = ask(shop, contract, asked)
    assert service.get(shop, contract, at=AT).state.balance_minor == before + 50_000
    requests.approve(shop, waits.request_id, after(5), actor="wu")
    state = service.get(shop, contract, at=after(5)).state
    assert state.balance_minor == before + 110_000
    event = cast(Any, service.get(shop, contract, at=after(5)).events[-1])
    assert (event.charge_id, event.due_on) == ("c-1", on(5))
    assert prove_shop(shop).ok


# ------------------------------------------------------------------------------------------ what had paid instalments


def back(minor: int, reference: str = "f-1") -> PayBackAsked:
    return PayBackAsked(reference=reference, amount_minor=minor, reason=WHY)


def test_what_was_paid_in_advance_goes_back_and_what_was_paid_last_is_owed_again(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 107_200, "received", "p-1", AT)
    done = ask(shop, contract, back(50_000), 1)
    # Two of 12 × 536.00 were paid, of each 500.00 price and 36.00 fee: 500.00 of the second go back.
    state = done.after
    assert [row.outstanding_minor for row in state.rows[:3]] == [0, 50_000, 53_600]
    assert (state.balance_minor, state.unapplied_minor) == (643_200 - 57_200, 0)
    assert accounts(shop)["in_transit"] == 57_200
    assert in_transit(shop.id, f"bank:{on(1)}") == {"CNY": -50_000}
    assert ask(shop, contract, back(50_000), 2).repeated
    with pytest.raises(Refusal) as used:
        ask(shop, contract, back(40_000), 2)
    assert used.value.code == "reference_reused"
    # A payer may well have our number.
    again = service.pay(shop, contract, 50_000, "received", "f-1", after(3))
    assert again.applied_minor == 50_000
    assert accounts(shop)["in_transit"] == 107_200


def test_more_of_it_takes_two_and_what_was_not_paid_does_not_go_back(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 107_200, "received", "p-1", AT)
    with pytest.raises(Refusal) as more:
        ask(shop, contract, back(107_201))
    assert more.value.way_out is not None
    waits = ask(shop, contract, back(107_200))
    assert (waits.kind, waits.state) == ("pay_back", "open")
    service.reverse(shop, contract, "p-1", "bounced", after(1))
    with pytest.raises(Refusal) as gone:
        requests.approve(shop, waits.request_id, after(2), actor="wu")
    assert gone.value.code == "above_paid"
    service.pay(shop, contract, 107_200, "received", "p-2", after(3))
    requests.approve(shop, waits.request_id, after(3), actor="wu")
    assert service.get(shop, contract, at=after(3)).state.balance_minor == 643_200
    assert accounts(shop).get("in_transit", 0) == 0


def test_what_goes_back_in_parts_of_a_day_counts_together(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 107_200, "received", "p-1", AT)
    assert isinstance(ask(shop, contract, back(30_000)), Acted)
    waits = ask(shop, contract, back(20_001, "f-2"))
    assert (waits.state, waits.at_stake_minor) == ("open", 50_001)


def test_a_contract_that_was_paid_off_is_owed_again(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), FREE_3)
    service.pay(shop, contract, 600_000, "received", "p-1", AT)
    assert service.get(shop, contract, at=AT).state.status == "closed"
    state = ask(shop, contract, back(20_000), 1).after
    assert (state.status, state.balance_minor, state.rows[-1].outstanding_minor) == ("active", 20_000, 20_000)
    assert prove_shop(shop).ok


# ------------------------------------------------------------------------------------------- money without a contract


def nobodys(shop: Shop, minor: int, number: str = "bank-9") -> str:
    service.pay(shop, "order-9", minor, "received", number, AT, settlement="bank:a")
    (found,) = (each for each in unapplied.unmatched(shop).money if each.amount_minor == minor)
    return found.unapplied_id


def send_back(shop: Shop, money: str, days: int = 0, refund: str = "f-1", actor: str = "lin") -> Any:
    return requests.ask_for_unmatched(shop, money, refund, after(days), actor=actor, reason=WHY)


def test_money_of_nobody_goes_back_by_one_up_to_the_limit(shop: Shop) -> None:
    money = nobodys(shop, 50_000)
    assert isinstance(send_back(shop, money), unapplied.Unmatched)
    assert isinstance(send_back(shop, money), unapplied.Unmatched), "once"
    assert accounts(shop).get("unapplied_cash", 0) == 0


def test_more_of_it_waits_for_another_and_is_sent_once(shop: Shop) -> None:
    money = nobodys(shop, 53_600)
    waits = send_back(shop, money)
    assert (waits.kind, waits.state, waits.contract_id, waits.unapplied_id) == (
        "unmatched_refund",
        "open",
        "",
        money,
    )
    assert send_back(shop, money) == waits
    assert [each.unapplied_id for each in unapplied.unmatched(shop).money] == [money]
    assert requests.list_requests(shop, state="open").requests == (waits,)
    with pytest.raises(Refusal) as own:
        requests.approve(shop, waits.request_id, after(5), actor="lin")
    assert own.value.code == "own_request"
    done = requests.approve(shop, waits.request_id, after(1), actor="wu")
    assert (done.state, done.event_seq) == ("approved", None)
    assert requests.approve(shop, waits.request_id, after(2), actor="wu") == done
    assert unapplied.find(shop, money).refunded_by == "f-1"
    assert isinstance(send_back(shop, money, 3), unapplied.Unmatched)
    assert accounts(shop).get("unapplied_cash", 0) == 0


def test_a_large_sum_is_not_several_small_ones_of_one_day(shop: Shop) -> None:
    first, second, third, large = (
        nobodys(shop, minor, f"bank-{minor}") for minor in (20_000, 30_000, 1, 90_000)
    )
    two = send_back(shop, large, refund="f-0")
    requests.approve(shop, two.request_id, AT, actor="wu")
    assert isinstance(send_back(shop, first), unapplied.Unmatched), "what two agreed to does not count"
    assert isinstance(send_back(shop, second, refund="f-2", actor="ma"), unapplied.Unmatched)
    waits = send_back(shop, third, refund="f-3")
    assert (waits.state, waits.at_stake_minor, waits.asked.amount_minor) == ("open", 50_001, 1)
    assert isinstance(send_back(shop, first), unapplied.Unmatched), "once: it counts no second time"
    requests.decline(shop, waits.request_id, AT, actor="wu", note="tomorrow")
    # Shanghai's midnight is at 16:00 here.
    eve = AT.replace(hour=15, minute=59)
    assert requests.ask_for_unmatched(shop, third, "f-3", eve, actor="lin", reason=WHY).needs_second
    (again,) = (each for each in requests.of_money(shop, third) if each.state == "open")
    requests.decline(shop, again.request_id, eve, actor="wu", note="tomorrow")
    sent = requests.ask_for_unmatched(shop, third, "f-3", eve + timedelta(minutes=1), actor="lin", reason=WHY)
    assert isinstance(sent, unapplied.Unmatched)
    assert accounts(shop).get("unapplied_cash", 0) == 0
    assert prove_shop(shop).ok


def test_money_that_was_matched_or_sent_meanwhile_is_not_sent(shop: Shop) -> None:
    money = nobodys(shop, 53_600)
    waits = send_back(shop, money)
    contract = open_one(shop, make_customer(shop))
    unapplied.match(shop, money, contract, after(1))
    with pytest.raises(Refusal) as matched:
        requests.approve(shop, waits.request_id, after(2), actor="wu")
    assert matched.value.code == "already_matched"
    assert "undo the match first" in matched.value.detail.en
    unapplied.undo_match(shop, money, after(2), actor="wu", reason="wrong")
    unapplied.refund_unmatched(shop, money, "f-1", after(3), actor="wu", reason="sent")
    with pytest.raises(Refusal) as sent:
        requests.approve(shop, waits.request_id, after(4), actor="wu")
    assert sent.value.code == "done_meanwhile"
    requests.decline(shop, waits.request_id, after(4), actor="wu", note="it went")
    assert accounts(shop).get("unapplied_cash", 0) == 0


# ---------------------------------------------------------------------------------------------- a shop of one person


def test_one_person_alone_agrees_a_day_later_and_not_before(shop: Shop) -> None:
    Shop.objects.filter(id=shop.id).update(single_operator=True)
    shop.refresh_from_db()
    contract = holding(shop, 60_000)
    waits = ask(shop, contract, held(60_000))
    assert waits.waits_until == AT + timedelta(hours=24)
    soon = AT + timedelta(hours=23, minutes=59)
    assert (requests.count_open(shop, soon, "lin"), requests.count_open(shop, after(1), "lin")) == (0, 1)
    with pytest.raises(Refusal) as early:
        requests.approve(shop, waits.request_id, soon, actor="lin")
    assert "a day" in early.value.detail.en
    requests.approve(shop, waits.request_id, after(1), actor="lin")
    assert accounts(shop).get("unapplied_cash", 0) == 0


@pytest.mark.parametrize(
    ("alone", "hours", "kept"), [(True, 24, True), (True, 23, False), (False, 240, False)]
)
def test_the_database_keeps_whoever_agrees_with_themselves_out(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, alone: bool, hours: int, kept: bool
) -> None:
    Shop.objects.filter(id=shop.id).update(single_operator=alone)
    shop.refresh_from_db()
    contract = holding(shop, 60_000)
    waits = ask(shop, contract, held(60_000))
    monkeypatch.setattr(Request, "may_agree", lambda *_: True)

    def agree() -> None:
        with transaction.atomic():
            requests.approve(shop, waits.request_id, AT + timedelta(hours=hours), actor="Lin")

    if kept:
        agree()
        return
    with pytest.raises(IntegrityError, match="servicing_request_two_people"):
        agree()
    with pytest.raises(IntegrityError, match="as_asked"), transaction.atomic(), connection.cursor() as cursor:
        # Nor does saying that somebody else had asked, or earlier.
        cursor.execute(
            "INSERT INTO servicing_request_decision (customer_id, request_id, shop_id, kind, asked_by, asked_at, alone,"
            " at_stake_minor, limit_minor, verdict, event_seq, decided_by, decided_at)"
            " SELECT customer_id, request_id, shop_id, kind, asked_by, asked_at - interval '2 days', true, at_stake_minor,"
            " limit_minor, 'approved', 9, asked_by, asked_at FROM servicing_request"
        )


@pytest.mark.parametrize(
    "made", [held, lambda minor: RefundAsked(reference="f", amount_minor=minor, reason=WHY)]
)
def test_nothing_and_less_are_no_amounts(shop: Shop, made: Callable[[int], OfContract]) -> None:
    contract = holding(shop, 60_000)
    for minor in (0, -60_000):
        with pytest.raises(BadInput):
            ask(shop, contract, made(minor))
