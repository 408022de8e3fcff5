"""What customers ask for: seen, withdrawn, decided once with who and why, and done in the transaction of the decision."""

from __future__ import annotations

import threading
from datetime import date, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.problems import BadInput
from fenqi_server.books.proof import prove_shop
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id
from fenqi_server.policies import audit
from fenqi_server.servicing import requests, service
from fenqi_server.servicing.requests import (
    Concession,
    HardshipAsked,
    NoRequest,
    Pause,
    ReAge,
    ReAmortise,
    ReturnAsked,
    ReturnLine,
    Taken,
)
from fenqi_server.servicing.service import NoContract, Refusal
from fenqi_server.shops.models import Shop

LAMP = ReturnLine(sku="lamp", title="Lamp", quantity=2, amount_minor=120_000)
HARD = HardshipAsked(reason="income", months=3)


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


@pytest.fixture
def contract(shop: Shop) -> str:
    return open_one(shop, make_customer(shop))


def state_of(shop: Shop, contract: str, days: int = 0):
    return service.get(shop, contract, at=after(days)).state


def give(minor: int, reference: str = "g-1") -> Concession:
    return Concession(reference=reference, kind="goodwill", reason="the parcel was late", amount_minor=minor)


def test_a_return_is_asked_for_and_done_when_the_shop_says_that_it_has_the_goods(
    shop: Shop, contract: str
) -> None:
    asked = requests.open_request(
        shop, contract, ReturnAsked(amount_minor=120_000, lines=(LAMP,)), AT, said="刮花了"
    )
    assert (asked.state, asked.by_customer, asked.said) == ("open", True, "刮花了")
    assert state_of(shop, contract).balance_minor == 643_200, "asking changes nothing"
    done = requests.approve(shop, asked.request_id, after(3), actor="lin")
    # Two last rows of 536.00 and 200/500 of the tenth's 36.00 with 200.00 of its price.
    assert state_of(shop, contract, 3).balance_minor == 643_200 - 107_200 - 21_440
    assert (done.state, done.decided_by, done.event_seq, done.done) == ("approved", "lin", 2, Taken())
    assert requests.approve(shop, asked.request_id, after(4), actor="lin") == done
    assert state_of(shop, contract, 4).returned_minor == 120_000
    with pytest.raises(Refusal) as late:
        requests.decline(shop, asked.request_id, after(4), actor="wu", note="no")
    assert late.value.code == "not_open"
    assert prove_shop(shop).ok


def test_a_part_of_what_was_asked_may_have_come_back(shop: Shop, contract: str) -> None:
    asked = requests.open_request(shop, contract, ReturnAsked(amount_minor=120_000, lines=(LAMP,)), AT)
    requests.approve(
        shop, asked.request_id, after(3), actor="lin", act=Taken(amount_minor=60_000, on=on(2)), note="one"
    )
    event = service.get(shop, contract, at=after(3)).events[-1]
    assert (event.occurred_on, getattr(event, "amount_minor", None)) == (on(2), 60_000)


def test_what_cannot_go_back_is_refused_when_it_is_asked(shop: Shop, contract: str) -> None:
    with pytest.raises(Refusal) as refused:
        requests.open_request(shop, contract, ReturnAsked(amount_minor=600_001), AT)
    assert refused.value.way_out is not None
    with pytest.raises(BadInput):
        requests.open_request(shop, contract, ReturnAsked(amount_minor=1, lines=(LAMP,)), AT)


def test_hardship_is_helped_by_a_pause_by_new_rows_or_not_with_a_reason(shop: Shop, contract: str) -> None:
    first = requests.open_request(shop, contract, HARD, AT)
    assert requests.open_request(shop, contract, HARD, after(1)) == first
    with pytest.raises(Refusal) as waiting:
        requests.open_request(shop, contract, HardshipAsked(reason="illness", months=1), AT)
    assert waiting.value.code == "request_open"
    before, then, difference = requests.preview_help(shop, contract, Pause(periods=2), after(1))
    assert (before.next_due_on, then.next_due_on) == (date(2026, 12, 23), date(2027, 2, 23))
    assert difference.balance_change_minor == 0
    requests.approve(shop, first.request_id, after(1), actor="lin", act=Pause(periods=2))
    assert state_of(shop, contract, 1).paused_until == date(2027, 1, 24)
    second = requests.open_request(shop, contract, HARD, after(100))
    with pytest.raises(BadInput):
        requests.approve(shop, second.request_id, after(100), actor="lin")
    with pytest.raises(BadInput):
        requests.decline(shop, second.request_id, after(100), actor="lin", note=" ")
    requests.decline(shop, second.request_id, after(100), actor="lin", note="twice this year")
    third = requests.open_request(shop, contract, HARD, after(101))
    requests.approve(
        shop, third.request_id, after(101), actor="lin", act=ReAge(periods=24, first_due_on=on(130))
    )
    assert state_of(shop, contract, 101).next_due_on == on(130)
    fourth = requests.open_request(shop, contract, HARD, after(140))
    requests.approve(shop, fourth.request_id, after(140), actor="lin", act=ReAmortise())
    assert state_of(shop, contract, 140).overdue_minor == 0
    assert [each.state for each in requests.of_contract(shop, contract)] == [
        "approved",
        "approved",
        "declined",
        "approved",
    ]
    assert prove_shop(shop).ok


def test_the_customer_takes_it_back_and_nobody_else_does(shop: Shop, contract: str) -> None:
    asked = requests.open_request(shop, contract, HARD, AT)
    with pytest.raises(NoRequest):
        requests.withdraw(shop, asked.request_id, AT, by="lin")
    gone = requests.withdraw(shop, asked.request_id, AT)
    assert gone.state == "withdrawn"
    assert requests.withdraw(shop, asked.request_id, after(1)) == gone
    with pytest.raises(Refusal):
        requests.approve(shop, asked.request_id, AT, actor="lin", act=ReAmortise())


def test_an_act_that_cannot_follow_leaves_the_request_open(shop: Shop, contract: str) -> None:
    asked = requests.open_request(shop, contract, HARD, AT)
    with pytest.raises(Refusal) as refused:
        requests.approve(shop, asked.request_id, AT, actor="lin", act=ReAmortise())
    assert refused.value.detail.zh_cn.startswith("没有逾期款项；")
    assert requests.get(shop, asked.request_id).state == "open"


def test_a_closed_contract_needs_no_help(shop: Shop, contract: str) -> None:
    service.pay(shop, contract, 643_200, "received", "p-1", AT)
    with pytest.raises(Refusal) as refused:
        requests.open_request(shop, contract, HARD, AT)
    assert refused.value.code == "cannot_follow"


def test_what_one_person_may_give_away_is_given_and_more_waits_for_another(shop: Shop, contract: str) -> None:
    small = requests.concede(shop, contract, give(50_000), AT, actor="lin")
    assert (small.state, state_of(shop, contract).balance_minor) == ("approved", 593_200)
    assert requests.concede(shop, contract, give(50_000), after(1), actor="lin") == small, "once"
    with pytest.raises(Refusal) as used:
        requests.concede(shop, contract, give(40_000), after(1), actor="lin")
    assert used.value.code == "reference_reused"
    large = requests.concede(shop, contract, give(50_001, "g-2"), AT, actor="lin")
    assert (large.state, state_of(shop, contract).balance_minor) == ("open", 593_200)
    assert (requests.count_open(shop, AT, "LIN"), requests.count_open(shop, AT, "wu")) == (0, 1)
    with pytest.raises(Refusal) as own:
        requests.approve(shop, large.request_id, AT, actor="Lin")
    assert own.value.code == "own_request"
    requests.approve(shop, large.request_id, AT, actor="wu")
    assert state_of(shop, contract).balance_minor == 543_199
    lost = Concession(reference="w-1", kind="write_off", reason="moved away")
    requests.approve(
        shop,
        requests.concede(shop, contract, lost, after(400), actor="lin").request_id,
        after(400),
        actor="wu",
    )
    assert state_of(shop, contract, 400).written_off_minor == 543_199
    acts_done = [each.act for each in audit.entries(shop)]
    assert acts_done.count("contract.goodwill") == 2
    assert acts_done.count("contract.written_off") == 1
    assert prove_shop(shop).ok


def test_a_large_amount_is_not_given_away_in_small_ones(shop: Shop, contract: str) -> None:
    assert requests.concede(shop, contract, give(30_000), AT, actor="lin").state == "approved"
    # 300.00 and 200.01 are more than 500.00, however many days lie between and whoever asks.
    more = requests.concede(shop, contract, give(20_001, "g-2"), after(40), actor="key till")
    assert (more.state, more.at_stake_minor, more.needs_second) == ("open", 50_001, True)
    with pytest.raises(Refusal) as own:
        requests.approve(shop, more.request_id, after(40), actor="key till")
    assert own.value.code == "own_request"
    requests.withdraw(shop, more.request_id, after(40), by="key till")
    rest = requests.concede(shop, contract, give(20_000, "g-3"), after(41), actor="wu")
    assert (rest.state, rest.at_stake_minor) == ("approved", 50_000)
    lost = Concession(reference="w-1", kind="write_off", reason="moved away")
    waits = requests.concede(shop, contract, lost, after(42), actor="lin")
    assert (waits.state, waits.at_stake_minor) == ("open", 643_200)
    requests.withdraw(shop, waits.request_id, after(42), by="lin")
    # What two agreed to counts no more for what one may do.
    two = requests.concede(shop, contract, give(1, "g-4"), after(43), actor="lin")
    assert two.state == "open"
    requests.approve(shop, two.request_id, after(43), actor="wu")
    again = requests.concede(shop, contract, give(1, "g-5"), after(44), actor="lin")
    assert (again.state, again.at_stake_minor) == ("open", 50_001)


def test_the_database_refuses_whoever_agrees_with_themselves_and_any_change(
    shop: Shop, contract: str
) -> None:
    large = requests.concede(shop, contract, give(50_001), AT, actor="lin")
    customer_id, name = parse_public_id(large.request_id)
    use_shop(shop.id)
    two = pytest.raises(IntegrityError, match="servicing_request_two_people")
    with two, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO servicing_request_decision (customer_id, request_id, shop_id, kind, asked_by, asked_at, alone, at_stake_minor,"
            " limit_minor, verdict, event_seq, decided_by, decided_at)"
            " VALUES (%s, %s, %s, 'goodwill', 'lin', %s, false, 50001, 50000, 'approved', 2, 'LIN', %s)",
            [customer_id, name, shop.id, AT, after(5)],
        )
    for change in (
        "UPDATE servicing_request SET at_stake_minor = 1",
        "DELETE FROM servicing_request_decision",
    ):
        with (
            pytest.raises(Exception, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(change)


def test_the_customers_words_go_when_they_ask_for_it_and_what_was_done_stays(
    shop: Shop, contract: str
) -> None:
    asked = requests.open_request(shop, contract, HARD, AT, said="my mother is ill")
    assert requests.forget_words(shop, asked.customer_id) == 1
    kept = requests.get(shop, asked.request_id)
    assert (kept.said, kept.asked) == ("", HARD)


def test_pages_hold_each_request_once_while_more_are_asked(shop: Shop) -> None:
    contracts = [open_one(shop, make_customer(shop, f"c-{n}"), order_ref=f"o-{n}") for n in range(6)]
    made = [
        requests.open_request(shop, contract, HARD, AT + timedelta(seconds=n)).request_id
        for n, contract in enumerate(contracts[:4])
    ]
    first = requests.list_requests(shop, state="open", limit=2)
    requests.open_request(shop, contracts[4], HARD, AT + timedelta(seconds=9))
    second = requests.list_requests(shop, state="open", limit=2, after=first.after or "")
    assert [each.request_id for each in (*first.requests, *second.requests)] == made[::-1]
    assert second.after is None
    assert requests.list_requests(shop, kind="return").requests == ()
    with pytest.raises(BadInput):
        requests.list_requests(shop, after="rq_no")


def test_another_shop_sees_and_decides_nothing(shop: Shop, contract: str) -> None:
    asked = requests.open_request(shop, contract, HARD, AT)
    other = make_shop("other")
    with pytest.raises(NoRequest):
        requests.get(other, asked.request_id)
    with pytest.raises(NoRequest):
        requests.approve(other, asked.request_id, AT, actor="lin", act=ReAmortise())
    with pytest.raises(NoContract):
        requests.open_request(other, contract, HARD, AT)
    assert requests.list_requests(other).requests == ()
    assert requests.of_customer(other, asked.customer_id) == []


def test_two_who_decide_at_once_decide_once(committed_db: object) -> None:
    shop = make_shop()
    contract = open_one(shop, make_customer(shop))
    asked = requests.open_request(shop, contract, ReturnAsked(amount_minor=120_000), AT)
    told: list[str] = []
    ready = threading.Barrier(2)

    def decide(actor: str) -> None:
        ready.wait()
        try:
            told.append(requests.approve(shop, asked.request_id, after(1), actor=actor).decided_by)
        except Refusal as refusal:
            told.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(name,)) for name in ("lin", "wu")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "not_open" in told
    assert len(told) == 2
    assert state_of(shop, contract, 1).returned_minor == 120_000
