"""Leases and pledges of the shop's own, through a year of its database: each act once, booked, told, and proven."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from django.db import connection
from tests.engine.contracts.test_leases import DEPOSIT, DESK, PHONE, lease_of
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.contracts.events import Instruction
from fenqi.problems import BadInput
from fenqi.terms.plan import Plan
from fenqi.terms.rent import Lease
from fenqi_server.books.proof import prove_shop
from fenqi_server.outbox import service as outbox
from fenqi_server.policies import audit
from fenqi_server.servicing import acts, closing, leases, payoffs, returns, service, storage
from fenqi_server.servicing.acts import TOLD_AS
from fenqi_server.servicing.service import NoContract, Refusal
from fenqi_server.shops.models import Shop

pytestmark = pytest.mark.usefixtures("db")

WHO = {"actor": "lin", "reason": "a case"}


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


@pytest.fixture
def customer(shop: Shop) -> UUID:
    return make_customer(shop)


def opened(shop: Shop, customer: UUID, lease: Lease = PHONE, *, order_ref: str = "o-1") -> str:
    """12 rents of 400.00 in arrears from 23 Nov 2026, deposit 1,000.00, for a phone of 4,900.00."""
    plan = Plan("rent_12", "rent", "mall", "operating_lease", 12, lease)
    return open_one(shop, customer, plan, 490_000, order_ref=order_ref)


def running(shop: Shop, customer: UUID, lease: Lease = PHONE, *, order_ref: str = "o-1") -> str:
    contract = opened(shop, customer, lease, order_ref=order_ref)
    service.pay(shop, contract, 100_000, "request", "deposit", AT)
    leases.hand_over(shop, contract, AT, cost_minor=480_000, residual_minor=120_000)
    return contract


def pay_rents(shop: Shop, contract: str, last: int) -> None:
    """So many rents fall due when their days are closed, and are paid on them."""
    for number in range(1, last + 1):
        due = next(row for row in state(shop, contract).rows if row.number == number).due_on
        at = AT + timedelta(days=(due - AT.date()).days)
        closing.close_day(shop, due, at)
        service.pay(shop, contract, 40_000, "request", f"rent-{number}", at)


def state(shop: Shop, contract: str, days: int = 1_000):  # type: ignore[no-untyped-def]
    return service.get(shop, contract, on(days)).state


def day_of(shop: Shop, contract: str, number: int) -> int:
    return (next(row for row in state(shop, contract).rows if row.number == number).due_on - AT.date()).days


def test_a_phone_is_rented_for_half_a_year_and_bought(shop: Shop, customer: UUID) -> None:
    contract = running(shop, customer)
    pay_rents(shop, contract, 6)
    day = day_of(shop, contract, 6)
    offer = leases.preview_buyout(shop, contract, after(day))
    # 4,900 less six rents of 400 are 2,500, of which the deposit pays 1,000.
    assert (offer.price_minor, offer.deposit_credited_minor, offer.to_pay_minor) == (
        250_000,
        100_000,
        150_000,
    )
    with pytest.raises(Refusal) as refused:
        leases.buy_out(shop, contract, 249_999, "click-1", after(day))
    assert (refused.value.code, refused.value.owed_minor) == ("price_changed", 250_000)
    done, told = leases.buy_out(shop, contract, 250_000, "click-1", after(day))
    assert (told, done.view.state.balance_minor) == (offer, 150_000)
    again, told = leases.buy_out(shop, contract, 250_000, "click-1", after(day))
    assert (again.repeated, told) == (True, offer)
    with pytest.raises(Refusal, match="bought"):
        leases.buy_out(shop, contract, 250_000, "click-2", after(day))
    paid = service.pay(shop, contract, 150_000, "request", "last", after(day))
    assert paid.contract is not None
    assert paid.contract.state.status == "closed"
    closing.close_day(shop, on(400), after(400))
    assert state(shop, contract).rent_outstanding_minor == 0, "after the end nothing falls due"
    assert prove_shop(shop).problems == ()


def test_a_phone_comes_back_is_inspected_and_the_rest_of_the_deposit_is_refunded(
    shop: Shop, customer: UUID
) -> None:
    contract = running(shop, customer)
    pay_rents(shop, contract, 12)
    day = day_of(shop, contract, 12)
    leases.take_back(shop, contract, after(day))
    with pytest.raises(Refusal) as early:
        leases.release_deposit(shop, contract, after(day))
    assert early.value.state is not None
    assert early.value.state.zh_cn == "商品尚未验收"
    with pytest.raises(BadInput, match="evidence"):
        leases.inspect(
            shop, contract, "a scratch", after(day), deduction_minor=12_000, reason="screen", actor="lin"
        )
    leases.inspect(
        shop,
        contract,
        "a scratch",
        after(day),
        deduction_minor=12_000,
        reason="screen",
        evidence="photo-7",
        actor="lin",
    )
    assert leases.inspect(
        shop,
        contract,
        "a scratch",
        after(day + 1),
        deduction_minor=12_000,
        reason="screen",
        evidence="photo-7",
        actor="lin",
    ).repeated
    leases.release_deposit(shop, contract, after(day + 3), actor="lin")
    assert leases.release_deposit(shop, contract, after(day + 3)).repeated
    service.pay(shop, contract, 3_000, "request", "shipping", after(day + 3))
    assert state(shop, contract).refund_due_minor == 88_000
    returns.refund_paid(shop, contract, "r-1", 88_000, after(day + 4))
    assert (state(shop, contract).status, state(shop, contract).refund_due_minor) == ("closed", 0)
    acts_of = [entry.act for entry in audit.entries(shop)]
    assert {"contract.inspected", "contract.deposit_released"} <= set(acts_of)
    assert prove_shop(shop).problems == ()


def test_a_deposit_that_has_less_to_pay_by_a_later_instruction_gives_back_to_its_own_batch(
    shop: Shop, customer: UUID
) -> None:
    frozen = lease_of(deposit=msgspec.structs.replace(DEPOSIT, form="frozen", covers_rent=True))
    contract = opened(shop, customer, frozen)
    leases.hold_deposit(shop, contract, "a-1", 100_000, AT)
    leases.hand_over(shop, contract, AT)
    first, second = day_of(shop, contract, 1), day_of(shop, contract, 2)
    closing.close_day(shop, on(first), after(first))
    # Two rents: the first and, in advance, the third; so the deposit pays the second.
    service.pay(shop, contract, 80_000, "request", "p-1", after(first))
    acts.instruct(
        shop,
        contract,
        "p-1",
        [Instruction(1, "interest", 40_000), Instruction(3, "interest", 40_000)],
        after(first),
        **WHO,
    )
    closing.close_day(shop, on(second), after(second))
    leases.apply_deposit(
        shop, contract, "d-1", 40_000, after(second), settlement="wallet:7", actor="lin", reason="asked"
    )
    assert in_batch("wallet:7") == 40_000
    # The second after all: nothing was left for the deposit to pay.
    acts.instruct(
        shop,
        contract,
        "p-1",
        [Instruction(1, "interest", 40_000), Instruction(2, "interest", 40_000)],
        after(second + 1),
        **WHO,
    )
    assert in_batch("wallet:7") == 0
    assert state(shop, contract, second + 1).balance_minor == 10 * 40_000
    assert prove_shop(shop).problems == ()


def in_batch(settlement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(amount_minor), 0) FROM books_entry WHERE account = 1020 AND settlement = %s",
            [settlement],
        )
        return int(cursor.fetchone()[0])


def test_a_deposit_that_paid_rents_is_not_taken_back_as_a_payment(shop: Shop, customer: UUID) -> None:
    covers = lease_of(deposit=msgspec.structs.replace(DEPOSIT, covers_rent=True))
    contract = running(shop, customer, covers)
    day = day_of(shop, contract, 1)
    closing.close_day(shop, on(day), after(day))
    leases.apply_deposit(shop, contract, "a-1", 40_000, after(day), actor="lin", reason="asked")
    known = len(service.get(shop, contract, on(1_000)).events)
    with pytest.raises(Refusal) as refused:
        service.reverse(shop, contract, "deposit:a-1", "bounced", after(day))
    assert (refused.value.code, refused.value.way_out is not None) == ("no_money", True)
    assert len(service.get(shop, contract, on(1_000)).events) == known


def test_whoever_charged_the_deposit_back_owes_the_damage(shop: Shop, customer: UUID) -> None:
    contract = running(shop, customer)
    deposit = state(shop, contract, 1).payments[0]
    service.reverse(shop, contract, deposit.payment_id, "charged_back", after(1))
    day = day_of(shop, contract, 12)
    leases.take_back(shop, contract, after(day))
    owed = state(shop, contract).balance_minor
    said = {"deduction_minor": 12_000, "reason": "screen", "evidence": "photo-7", "actor": "lin"}
    done = leases.inspect(shop, contract, "broken", after(day), **said)
    assert done.view.state.balance_minor == owed + 12_000
    assert leases.inspect(shop, contract, "broken", after(day), **said).repeated
    assert prove_shop(shop).problems == ()


def test_after_its_term_a_lease_waits_and_a_renewal_takes_consent(shop: Shop, customer: UUID) -> None:
    contract = running(shop, customer)
    pay_rents(shop, contract, 12)
    day = day_of(shop, contract, 12)
    closing.close_day(shop, on(day + 100), after(day + 100))
    assert state(shop, contract).lease.awaits == "return_or_buyout"
    assert state(shop, contract).balance_minor == 0, "rents do not go on by themselves"
    renewed = running(shop, customer, order_ref="o-2")
    for number in range(1, 13):
        service.pay(shop, renewed, 40_000, "received", f"rent-{number}", after(day))
    with pytest.raises(BadInput, match="consent"):
        leases.renew(shop, renewed, 2, "", after(day))
    done = leases.renew(shop, renewed, 2, "call-5", after(day))
    assert done.view.state.balance_minor == 2 * 32_000
    assert leases.renew(shop, renewed, 2, "call-5", after(day)).repeated
    closing.close_day(shop, on(day + 40), after(day + 40))
    assert (state(shop, renewed, day + 40).overdue_minor, state(shop, renewed, day + 40).lease.awaits) == (
        32_000,
        None,
    )
    with pytest.raises(Refusal, match="day of the term"):
        leases.renew(shop, contract, 1, "call-6", after(day + 100))
    assert prove_shop(shop).problems == ()


def test_a_frozen_deposit_is_taken_only_for_what_was_agreed(shop: Shop, customer: UUID) -> None:
    frozen = lease_of(deposit=msgspec.structs.replace(DEPOSIT, form="frozen", covers_rent=True))
    contract = opened(shop, customer, frozen)
    with pytest.raises(Refusal) as refused:
        leases.hand_over(shop, contract, AT)
    assert refused.value.way_out is not None
    assert refused.value.way_out.zh_cn == "先冻结押金"
    leases.hold_deposit(shop, contract, "a-1", 100_000, AT)
    leases.hand_over(shop, contract, AT)
    with pytest.raises(Refusal):
        leases.hand_over(shop, contract, AT, cost_minor=5)
    day = day_of(shop, contract, 1)
    closing.close_day(shop, on(day), after(day))
    leases.apply_deposit(shop, contract, "d-1", 40_000, after(day + 9), **WHO)
    with connection.cursor() as cursor:
        cursor.execute("SELECT settlement FROM books_transaction WHERE event_kind = 'deposit_applied'")
        assert cursor.fetchall() == [(f"wallet:{on(day + 9)}",)]
    leases.take_back(shop, contract, after(day_of(shop, contract, 7)))
    assert prove_shop(shop).problems == ()


def test_a_pledge_is_captured_once_or_released_and_never_both(shop: Shop, customer: UUID) -> None:
    plan = msgspec.structs.replace(DESK, funder="mall")
    contract, other = (
        open_one(shop, customer, plan, 59_900, order_ref="o-1"),
        open_one(shop, customer, plan, 59_900, order_ref="o-2"),
    )
    for each in (contract, other):
        leases.pledge(shop, each, f"a-{each[-4:]}", 59_900, AT)
    assert service.standing(shop, customer, on(80)).exposure_minor == 0, "no credit before success"
    with pytest.raises(Refusal, match="The campaign runs until"):
        leases.capture(shop, contract, "cap", after(68))
    closing.close_day(shop, on(69), after(69))
    done = leases.capture(shop, contract, "cap", after(69))
    assert (done.view.state.status, done.view.state.paid_minor) == ("closed", 59_900)
    assert leases.capture(shop, contract, "cap", after(70)).repeated
    told = service.pay(shop, contract, 59_900, "received", "cap", after(70))
    assert (told.repeated, told.unapplied_minor) == (True, 0), "what was captured is that payment"
    with pytest.raises(Refusal) as differs:
        service.pay(shop, contract, 1, "received", "cap", after(70))
    assert differs.value.code == "payment_ref_reused"
    leases.release_pledge(shop, other, after(69), reason="too few")
    with pytest.raises(Refusal) as refused:
        leases.capture(shop, other, "cap-2", after(70))
    assert "released" in refused.value.detail.en
    assert "另立合同" in refused.value.detail.zh_cn
    assert state(shop, other).status == "closed"
    assert prove_shop(shop).problems == ()


def test_the_cached_row_is_what_events_and_book_come_to(shop: Shop, customer: UUID) -> None:
    contract = running(shop, customer)
    pay_rents(shop, contract, 3)
    leases.take_back(shop, contract, after(day_of(shop, contract, 6)), on=on(day_of(shop, contract, 6)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM servicing_state")
        before = cursor.fetchall()
        storage.rebuild(*service.parsed(contract))
        cursor.execute("SELECT * FROM servicing_state")
        assert cursor.fetchall() == before


def test_what_a_lease_is_not_asked_for_is_refused_in_both_languages(shop: Shop, customer: UUID) -> None:
    contract = running(shop, customer)
    for act in (
        lambda: payoffs.payoff_quote(shop, contract, after(5)),
        lambda: acts.change_due_day(shop, contract, 5, after(5)),
        lambda: acts.pause(shop, contract, 1, after(5), **WHO),
        lambda: returns.confirm_return(shop, contract, "r", 100, after(5)),
        lambda: acts.accelerate(shop, contract, on(1), after(300), **WHO),
    ):
        with pytest.raises(Refusal) as refused:
            act()
        assert refused.value.state is not None
        assert refused.value.state.zh_cn == "这是租赁合同"
        assert refused.value.way_out is not None
    with pytest.raises(NoContract):
        leases.take_back(make_shop("other"), contract, AT)


def test_every_act_of_a_lease_is_told(shop: Shop, customer: UUID) -> None:
    assert set(TOLD_AS.values()) <= set(outbox.EVENTS)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_endpoint (shop_id, id, url, events, sealed_secret, created_at)"
            " VALUES (%s, gen_random_uuid(), 'https://m.example', %s, '', %s)",
            [shop.id, ["contract.handed_over", "contract.lease_returned"], AT],
        )
    contract = running(shop, customer)
    leases.take_back(shop, contract, after(day_of(shop, contract, 6) + 1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT event FROM outbox_message ORDER BY event")
        assert cursor.fetchall() == [("contract.handed_over",), ("contract.lease_returned",)]
