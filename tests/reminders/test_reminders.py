"""Reminders: once for each contract and stage, when people are awake, of what is owed by then, several in one message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.db import connection, transaction
from django.test import Client
from tests.conftest import ROOT
from tests.engine.contracts.made import FLAT_12, FREE_3, offer
from tests.engine.contracts.test_leases import PHONE
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.contracts.events import Charged
from fenqi.problems import BadInput
from fenqi.terms.agreed import LateTerms
from fenqi.terms.plan import ContingentCost, Plan
from fenqi.terms.rent import Lease
from fenqi.texts import Text
from fenqi_server import clock
from fenqi_server.autopay import attempts, mandates
from fenqi_server.autopay.mandates import Tool
from fenqi_server.books.proof import prove_shop
from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.reminders import coming, rules, sending
from fenqi_server.reminders.letters import unsubscribe_url
from fenqi_server.reminders.queueing import reach_of
from fenqi_server.reminders.rules import Rules
from fenqi_server.servicing import acts, closing, leases, service, watch
from fenqi_server.shops.models import Shop
from fenqi_server.subscriptions import ports
from fenqi_server.subscriptions.mailbox import mails

DUE = 53_600


@pytest.fixture
def shop(db: object, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose mails are kept in the mailbox."""
    from django.conf import settings

    monkeypatch.setattr(ports, "_named", lambda channel: ports._MAILBOX if channel == "email" else "")
    monkeypatch.setattr(settings, "FENQI_AUTOPAY_COLLECTOR", "fenqi_server.autopay.pretend.PretendCollector")
    return make_shop()


def reached(shop: Shop, ref: str = "c-1", locale: str = "en", **wish: Any) -> UUID:
    """A customer with an address."""
    customer = make_customer(shop, ref)
    customers.set_private(shop, customer, customers.Private(email=f"{ref}@mall.example"), AT)
    rules.set_wish(shop, customer, AT, locale=locale, **wish)
    return customer


def night(days: int) -> datetime:
    """Midnight in the shop, when the day begins."""
    return datetime(2026, 11, 22, 16, 0, tzinfo=UTC) + timedelta(days=days)


def day(shop: Shop, days: int) -> list[str]:
    """The day begins, is closed, and is worked through: the bodies of the mails of it."""
    before = len(mails(shop))
    closing.run_due(night(days))
    attempts.act_due(night(days))
    for hours in (0, 7, 8, 13, 21, 23):
        instant = night(days) + timedelta(hours=hours, minutes=1)
        with clock.pinned(instant):
            sending.send_due(instant)
    found = mails(shop)
    return [each.body for each in found[: len(found) - before]]


def rows(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def listen(shop: Shop, *events: str) -> None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_endpoint (shop_id, id, url, events, sealed_secret, created_at)"
            " VALUES (%s, gen_random_uuid(), 'https://mall.example/hooks', %s, '', %s)",
            [shop.id, list(events), AT],
        )


def stages() -> list[tuple[str, str]]:
    return rows("SELECT stage, about FROM reminders_notice ORDER BY day, stage, about")


def test_a_row_is_reminded_of_before_on_and_after_its_day_once_each(shop: Shop) -> None:
    open_one(shop, reached(shop))
    told = {days: day(shop, days) for days in range(25, 62)}
    assert {days: len(bodies) for days, bodies in told.items() if bodies} == {
        27: 1,
        30: 1,
        31: 1,
        37: 1,
        58: 1,
        60: 1,
        61: 1,
    }
    assert "¥536.00 is due on 23 Dec" in told[27][0]
    assert "¥536.00 is due today" in told[30][0]
    assert "¥536.00 has been open since 23 Dec, 1 day ago" in told[31][0]
    assert "7 days ago" in told[37][0]
    assert "30 days ago" in told[60][0]
    assert "Order order-1" in told[27][0]
    assert stages() == [
        ("before", "2026-12-23:3"),
        ("due", "2026-12-23"),
        ("late", "2026-12-23:1"),
        ("late", "2026-12-23:7"),
        ("before", "2027-01-23:3"),
        ("late", "2026-12-23:30"),
        ("due", "2027-01-23"),
    ]


def test_nobody_is_woken_and_what_falls_into_the_night_goes_at_eight(shop: Shop) -> None:
    open_one(shop, reached(shop))
    closing.run_due(night(27))
    for minutes in (1, 60, 7 * 60 + 59):
        assert sending.send_due(night(27) + timedelta(minutes=minutes)) == 0
    late = night(27) + timedelta(hours=22, minutes=30)
    assert sending.send_due(late) == 0, "not even what has waited since the morning"
    eight = night(27) + timedelta(hours=8)
    with clock.pinned(eight):
        assert sending.send_due(eight) == 1
    assert mails(shop)[0].sent_at == eight
    # A day that is closed late in the evening waits for the morning too.
    evening = night(30) + timedelta(hours=21, minutes=59)
    closing.run_due(evening)
    assert sending.send_due(evening + timedelta(minutes=3)) == 0
    assert rows("SELECT due_at FROM reminders_message") == [(night(31) + timedelta(hours=8),)]


def test_the_search_for_what_falls_due_reads_each_contract_of_the_day_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small its parts are, and however many contracts fall due on other days."""
    monkeypatch.setattr(coming, "CHUNK", 2)
    for number in range(24):
        # Of every three one falls due on the 23rd, in three days, and two on the 26th.
        open_one(shop, reached(shop, f"c-{number}"), FREE_3, 30_000, at=AT if number % 3 == 0 else after(3))
    use_shop(shop.id)
    read = (
        "SELECT coalesce(seq_tup_read, 0) + idx_tup_fetch FROM pg_stat_xact_user_tables"
        " WHERE relname = 'servicing_state'"
    )
    [(before,)] = rows(read)
    parts = []
    while (queued := coming.search(shop, Rules(), reach_of(shop), night(27))) is not None:
        parts.append(queued)
    [(now,)] = rows(read)
    assert parts == [0, 0, 2, 2, 2, 2, 0], "nothing in one day, nothing in two, and eight in three"
    assert now - before == 8


def test_several_things_of_one_customer_are_one_message(shop: Shop) -> None:
    customer = reached(shop)
    open_one(shop, customer)
    open_one(shop, customer, FREE_3, 30_000, order_ref="order-2")
    open_one(shop, customer, FREE_3, 60_000, order_ref="order-3", at=after(3))
    (body,) = day(shop, 30)
    assert body.count("is due today") == 2
    assert "Order order-1: ¥536.00" in body
    assert "Order order-2: ¥100.00" in body
    assert "Order order-3: ¥200.00 is due on 26 Dec" in body


def test_what_was_paid_meanwhile_is_not_reminded_of(shop: Shop) -> None:
    contract = open_one(shop, reached(shop))
    closing.run_due(night(30))
    service.pay(shop, contract, DUE, "received", "p-1", night(30) + timedelta(hours=1))
    assert day(shop, 30) == []
    assert rows("SELECT outcome FROM reminders_outcome") == [("withdrawn",)]
    assert rows("SELECT count(*) FROM reminders_message") == [(0,)]
    assert day(shop, 31) == [], "nor is it late"


def test_who_refused_gets_no_mail_and_the_shops_program_is_told_all_the_same(shop: Shop) -> None:
    customer = reached(shop)
    contract = open_one(shop, customer)
    page = Client().get(unsubscribe_url(shop, customer).removeprefix("http://127.0.0.1:8000"))
    assert page.status_code == 200
    assert rules.wish_of(shop, customer).refused_at is None, "opening the page changes nothing"
    with clock.pinned(after(1)):
        Client().post(page.request["PATH_INFO"])  # as a mail program does
        assert rules.wish_of(shop, customer).refused_at == after(1)
        assert day(shop, 27) == []
        assert stages() == [], "nobody could be told"
        listen(shop, "reminder.due")
        assert day(shop, 30) == []
    ((body,),) = rows("SELECT body FROM outbox_message")
    data = msgspec.json.decode(body)["data"]
    assert (data["locale"], data["mailed"], data["refused_mail"]) == ("en", False, True)
    assert [(item["stage"], item["contract_id"], item["amount_minor"]) for item in data["items"]] == [
        ("due", contract, DUE)
    ]
    with clock.pinned(after(31)):
        Client().post(page.request["PATH_INFO"], {"again": "1"})
    assert rules.wish_of(shop, customer).refused_at is None
    assert Client().get("/reminders/off/nonsense/").status_code == 404


def test_a_failed_automatic_payment_is_told_with_the_ways_on_in_both_languages(shop: Shop) -> None:
    for ref, locale in (("a", "en"), ("b", "zh-CN")):
        customer = reached(shop, ref, locale)
        mandates.give(shop, customer, Tool("pretend:insufficient", "UnionPay", "4242"), 200_000, "v1", AT)
        open_one(shop, customer)
    before = "\n".join(day(shop, 27))
    assert "will be collected from UnionPay •4242" in before
    told = "\n".join(day(shop, 30))
    assert "¥536.00 could not be collected from UnionPay •4242 (not enough money)" in told
    assert "tried again on 24 Dec" in told
    assert "/account/" in told
    assert "扣款未成功" in told
    day(shop, 31)
    last = "\n".join(day(shop, 33))
    assert "It is not tried again" in last
    assert "不再自动扣款" in last


def test_a_debit_is_promised_only_where_somebody_would_collect_it_and_only_what_is_allowed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ref, ceiling in (("a", 200_000), ("b", 10_000)):
        customer = reached(shop, ref)
        mandates.give(shop, customer, Tool("pretend:ok", "UnionPay", "4242"), ceiling, "v1", AT)
        open_one(shop, customer)
    told = "\n".join(day(shop, 27))
    assert "¥536.00 is due on 23 Dec and will be collected from UnionPay •4242." in told
    assert "¥536.00 is due on 23 Dec. ¥100.00 of it will be collected from UnionPay •4242" in told
    from django.conf import settings

    monkeypatch.setattr(settings, "FENQI_AUTOPAY_COLLECTOR", "")
    bodies = day(shop, 30)
    assert len(bodies) == 2
    assert all("¥536.00 is due today" in body and "UnionPay" not in body for body in bodies)


@pytest.mark.parametrize(
    ("locale", "told", "never"),
    [
        (
            "en",
            "Order order-1: ¥436.00 has been open since 23 Dec, 1 day ago.",
            ("could not be collected", "due today"),
        ),
        ("zh-CN", "¥436.00", ("扣款未成功", "不再自动扣款", "今天")),
    ],
)
def test_a_message_that_had_to_wait_says_nothing_that_is_over_and_nothing_twice(
    shop: Shop, locale: str, told: str, never: tuple[str, ...]
) -> None:
    customer = reached(shop, locale=locale)
    # The first debit fails, the second pays the 100.00 that the mandate allows; 436.00 stay open, of no failed attempt.
    mandates.give(shop, customer, Tool("pretend:insufficient,ok", "UnionPay", "4242"), 10_000, "v1", AT)
    open_one(shop, customer)
    closing.run_due(night(30))
    attempts.act_due(night(30))
    (body,) = day(shop, 31)
    assert [state for (state,) in rows("SELECT state FROM autopay_attempt ORDER BY day")] == [
        "failed",
        "collected",
    ]
    assert stages() == [("autopay_failed", stages()[0][1]), ("due", "2026-12-23"), ("late", "2026-12-23:1")]
    assert body.count(told) == body.count("order-1") == 1
    assert not [words for words in never if words in body]


def test_paying_off_early_and_the_last_instalment_are_confirmed(shop: Shop) -> None:
    early, slow = reached(shop, "a"), reached(shop, "b")
    first = open_one(shop, early, FREE_3, 30_000)
    last = open_one(shop, slow, FREE_3, 30_000, order_ref="order-2")
    service.pay(shop, first, 30_000, "received", "all", after(10))
    assert ["paid off, earlier than agreed" in body for body in day(shop, 11)] == [True]
    service.pay(shop, last, 30_000, "received", "late", after(100))
    assert ["order-2 is settled" in body for body in day(shop, 101)] == [True]
    assert [stage for stage, _ in stages()] == ["paid_off", "closed"]


def test_where_nobody_can_be_reached_nothing_is_queued(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    open_one(shop, make_customer(shop))
    monkeypatch.setattr(ports, "_named", lambda _: "")
    closing.close_day(shop, on(40), after(40))
    assert rows("SELECT count(*) FROM reminders_notice") == [(0,)]
    assert rows("SELECT count(*) FROM servicing_watch") == [(0,)]


def test_the_days_are_the_shops_own(shop: Shop) -> None:
    rules.set_rules(shop, Rules((1, 5), False, (2,)))
    open_one(shop, reached(shop))
    assert [days for days in range(24, 35) if day(shop, days)] == [25, 29, 32]
    for wrong in (Rules((3, 1)), Rules((0,)), Rules(late_days=(400,)), Rules(tuple(range(1, 10)))):
        with pytest.raises(BadInput):
            rules.set_rules(shop, wrong)


@pytest.mark.parametrize(
    ("down", "told"),
    [
        # The 7th and the 3rd day before 23 December are 16 and 20 December, the 23rd and 27th day.
        (range(0), ["is due on 23 Dec"]),
        (range(23, 25), ["is due on 23 Dec"]),
        (range(23, 28), ["is due on 23 Dec"]),
        (range(23, 30), ["is due today"]),
        (range(23, 31), ["has been open since 23 Dec, 1 day ago"]),
        (range(23, 34), ["has been open since 23 Dec, 4 days ago"]),
    ],
)
def test_a_day_that_was_missed_is_made_up_for_by_what_still_makes_sense(
    shop: Shop, down: range, told: list[str]
) -> None:
    rules.set_rules(shop, Rules((3, 7), True, (1,)))
    open_one(shop, reached(shop))
    last = max((*down, 22)) + 1
    said = [body for days in range(20, last + 1) if days not in down for body in day(shop, days)]
    # While nothing ran nothing was told; then each thing once, and nothing that is over.
    assert [words in body for words, body in zip(told, said, strict=True)] == [True] * len(told)
    assert day(shop, last) == []
    queued = [about for stage, about in stages() if stage == "before"]
    assert len(queued) == len(set(queued))


# ------------------------------------------------------------------------------------------- the end of a rental


def rent(shop: Shop, customer: UUID, lease: Lease = PHONE, order_ref: str = "order-1") -> str:
    """12 rents of 400.00 to 23 November 2027, the 365th day, all paid ahead; the goods are out."""
    plan = Plan("rent_12", "rent", "mall", "operating_lease", 12, lease)
    contract = open_one(shop, customer, plan, 490_000, order_ref=order_ref)
    service.pay(shop, contract, 100_000 + 480_000, "received", f"all-{order_ref}", AT)
    leases.hand_over(shop, contract, AT)
    return contract


@pytest.mark.parametrize(
    ("locale", "ways"),
    [
        (
            "en",
            "Order order-1: your rental ends on 23 Nov. You can give the goods back, buy them for ¥600.00 on that day, "
            "or rent on for ¥320.00 a period. Nothing of this happens by itself",
        ),
        ("zh-CN", "可以归还商品，也可以在当天以¥600.00买下，或按每期¥320.00续租。都不会自动发生"),
    ],
)
def test_the_end_of_a_rental_is_told_a_fortnight_and_three_days_before_with_what_can_be_done(
    shop: Shop, locale: str, ways: str
) -> None:
    contract = rent(shop, reached(shop, locale=locale))
    told = {days: day(shop, days) for days in (1, 350, 351, 352, 361, 362, 363, 365, 366, 400)}
    assert [days for days, bodies in told.items() if bodies] == [351, 362]
    for days in (351, 362):
        assert ways in told[days][0]
        assert f"/contracts/{contract}/rented/" in told[days][0]
    # And nothing was done by itself.
    state = service.get(shop, contract, on(400)).state
    assert state.lease is not None
    assert (state.lease.renewed_periods, state.lease.outcome, state.lease.awaits) == (
        0,
        None,
        "return_or_buyout",
    )
    assert [stage for stage, _ in stages()] == ["term_ends", "term_ends"]
    assert rows("SELECT count(*) FROM reminders_term") == [(0,)]


def test_only_what_was_agreed_is_offered_at_the_end_of_a_rental(shop: Shop) -> None:
    customer = reached(shop)
    bare = msgspec.structs.replace(PHONE, buyout=None, renewal=None)
    rent(shop, customer, bare)
    rent(shop, customer, msgspec.structs.replace(PHONE, renewal=None), "order-2")
    rent(shop, customer, msgspec.structs.replace(PHONE, buyout=None), "order-3")
    (body,) = day(shop, 351)
    assert "order-1: your rental ends on 23 Nov. Please give the goods back by then." in body
    assert "order-2: your rental ends on 23 Nov. You can give the goods back, or buy them for ¥600.00" in body
    assert "order-3: your rental ends on 23 Nov. You can give the goods back, or rent on for ¥320.00" in body


def test_a_rental_that_ended_or_goes_on_is_not_told_to_end(shop: Shop) -> None:
    customer = reached(shop)
    back, on_and_on, waiting = (rent(shop, customer, order_ref=f"order-{n}") for n in (1, 2, 3))
    leases.take_back(shop, back, after(300))
    leases.renew(shop, on_and_on, 2, "click-1", after(300))
    closing.run_due(night(351))
    leases.take_back(shop, waiting, after(351) - timedelta(hours=9))
    assert day(shop, 351) == [], "it came back before the mail went"
    assert day(shop, 362) == []
    # Two months on it ends on 23 January 2028, 61 days later.
    (body,) = day(shop, 365 + 61 - 14)
    assert "order-2: your rental ends on 23 Jan." in body


def test_an_end_whose_day_of_telling_was_missed_is_told_as_long_as_it_is_ahead(shop: Shop) -> None:
    customer = reached(shop)
    rent(shop, customer)
    (body,) = day(shop, 355)
    assert "your rental ends on 23 Nov" in body
    assert stages() == [("term_ends", "2027-11-23:14")]
    assert day(shop, 370) == [], "and nothing of it once it is over"
    assert rows("SELECT count(*) FROM reminders_term") == [(0,)]


# ------------------------------------------------------------------------------------------------ late charges


COST = ContingentCost("late", Text("逾期违约金", "Late charge"), Text("按日计", "by the day"), "shop")


def open_late(shop: Shop, customer: UUID, late: LateTerms) -> str:
    plan = msgspec.structs.replace(FLAT_12, contingent=(COST,))
    bill, table = offer(plan, 600_000, on(0))
    with transaction.atomic():
        service.lock_customer(shop, customer)
        return service.open_contract(
            shop,
            customer,
            plan=plan,
            schedule=bill,
            disclosure=table,
            policy_digest="sha256:" + "0" * 64,
            order_ref="order-1",
            at=AT,
            late=late,
        )


def charged(shop: Shop, contract: str, days: int) -> list[tuple[int, int]]:
    events = service.get(shop, contract, on(days)).events
    return [
        ((event.occurred_on - on(0)).days, event.amount_minor)
        for event in events
        if isinstance(event, Charged)
    ]


@pytest.mark.parametrize(
    ("cap", "amounts"),
    # 500.00 of principal at 18 % a year of 360 days is 25 fen a day; the law's 12 % would be 16 2/3. Days of grace cost
    # nothing: on the 4th day late one day is charged, on the 7th three more, on the 30th another 23.
    [(None, [(34, 25), (37, 75), (60, 575)]), (Decimal("0.12"), [(34, 17), (37, 50), (60, 383)])],
)
def test_being_late_costs_what_was_agreed_after_the_days_of_grace_and_never_more_than_the_law_lets(
    shop: Shop, cap: Decimal | None, amounts: list[tuple[int, int]]
) -> None:
    contract = open_late(shop, reached(shop), LateTerms(Decimal("0.18"), "late", cap, "law", grace_days=3))
    for days in range(28, 61):
        closing.run_due(night(days))
    assert charged(shop, contract, 60) == amounts
    assert closing.close_day(shop, on(60), after(60)).late_charges == 0, "once a day"
    (run,) = [run for run in closing.runs_of(shop) if run.day == on(60)]
    assert (run.late_charges, run.late_charged_minor) == (1, amounts[-1][1])
    assert prove_shop(shop).ok


def test_what_was_late_is_charged_once_more_when_it_is_paid_and_then_no_more(shop: Shop) -> None:
    contract = open_late(shop, reached(shop), LateTerms(Decimal("0.18"), "late"))
    for days in range(30, 35):
        closing.run_due(night(days))
    service.pay(shop, contract, DUE + 25, "received", "p", night(35))
    for days in range(35, 60):
        closing.run_due(night(days))
    # One day on the 31st, and the four until it was paid on the 35th when it is looked at on the 37th.
    assert charged(shop, contract, 60) == [(31, 25), (37, 100)]


def test_whoever_pays_everything_that_is_shown_as_owed_owes_nothing_for_days_that_were_not_charged_yet(
    shop: Shop,
) -> None:
    contract = open_late(shop, reached(shop), LateTerms(Decimal("0.18"), "late"))
    for days in range(30, 35):
        closing.run_due(night(days))
    owed = service.get(shop, contract, on(34)).state.balance_minor
    assert owed == 12 * DUE + 25, "the 31st is charged, and the days since are not yet"
    service.pay(shop, contract, owed, "request", "all", night(35))
    for days in (*range(35, 40), 61, 95):
        closing.run_due(night(days))
    state = service.get(shop, contract, on(95)).state
    assert charged(shop, contract, 95) == [(31, 25)]
    assert (state.status, state.balance_minor) == ("closed", 0)
    assert rows("SELECT count(*) FROM servicing_watch") == [(0,)]
    assert prove_shop(shop).ok


def test_what_is_owed_again_after_a_write_off_is_late_and_costs_nothing_more(shop: Shop) -> None:
    contract = open_late(shop, reached(shop), LateTerms(Decimal("0.18"), "late"))
    service.pay(shop, contract, DUE, "received", "p-1", night(29))
    acts.write_off(shop, contract, night(35), reason="gone", actor="lin")
    acts.pay_back(shop, contract, "b-1", 10_000, night(40), reason="asked", actor="lin")
    for days in (61, 62, 92, 150):
        assert closing.close_day(shop, on(days), night(days)).failed == ()
    state = service.get(shop, contract, on(150)).state
    assert (state.status, state.balance_minor, state.days_past_due > 0) == ("active", 10_000, True)
    assert charged(shop, contract, 150) == []


def test_a_charge_that_cannot_be_made_keeps_no_other_and_is_tried_again_the_next_day(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = LateTerms(Decimal("0.18"), "late")
    bad, good = (open_late(shop, reached(shop, ref), late) for ref in ("a", "b"))
    closing.run_due(night(30))
    real = watch.penalty_due

    def broken(terms: Any, events: Any, day: Any) -> int:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("broken on purpose")
        return real(terms, events, day)

    tried: list[int] = []
    with monkeypatch.context() as failing:
        failing.setattr(watch, "penalty_due", broken)
        report = closing.close_day(shop, on(31), night(31))
    assert (report.late_charges, len(report.failed)) == (1, 1)
    assert closing.close_day(shop, on(31), night(31)).failed == (), "not over and over"
    closing.run_due(night(32))
    amounts = sorted(charged(shop, contract, 40) for contract in (bad, good))
    assert amounts == [[(31, 25)], [(32, 50)]]


def test_nothing_is_charged_for_the_days_of_a_pause(shop: Shop) -> None:
    contract = open_late(shop, reached(shop), LateTerms(Decimal("0.18"), "late"))
    closing.run_due(night(30))
    acts.pause(shop, contract, 1, night(30) + timedelta(hours=1), actor="ann", reason="illness")
    for days in range(31, 62):
        closing.run_due(night(days))
    assert charged(shop, contract, 61) == []


def test_nothing_is_charged_where_an_outage_put_the_date_off(shop: Shop) -> None:
    contract = open_late(shop, reached(shop), LateTerms(Decimal("0.18"), "late"))
    closing.run_due(night(30))
    service.put_off(shop, on(30), on(30), on(33), "night", "outage", night(30) + timedelta(hours=1))
    for days in (31, 32, 33):
        closing.run_due(night(days))
    assert charged(shop, contract, 40) == []


# ------------------------------------------------------------------------------------------------ cut off


def left() -> list[list[tuple[Any, ...]]]:
    return [
        rows(
            "SELECT customer_id, contract_id, stage, about, due_on, day FROM reminders_notice ORDER BY 1, 2, 3, 4"
        ),
        rows("SELECT customer_id, due_at FROM reminders_message ORDER BY 1"),
        rows("SELECT customer_id, contract_id, look_on, grace_days FROM servicing_watch ORDER BY 1, 2"),
        rows("SELECT customer_id, contract_id, day, amount_minor, state FROM autopay_attempt ORDER BY 1, 2"),
        rows(
            "SELECT customer_id, contract_id, last_seq, balance_minor, booked_amounts FROM servicing_state ORDER BY 1, 2"
        ),
        rows(
            "SELECT day, contracts, due_rows, earned_minor, late_charges, late_charged_minor FROM servicing_close_run ORDER BY 1"
        ),
        rows("SELECT days_before, done FROM reminders_scan ORDER BY day, 1"),
    ]


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_a_close_cut_off_and_run_again_leaves_the_same_books_asks_and_reminders(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    for number in range(9):
        customer = reached(shop, f"c-{number}")
        if number % 3 == 0:
            mandates.give(shop, customer, Tool("pretend:ok", "UnionPay", "4242"), 200_000, "v1", AT)
        if number % 3 == 1:
            open_late(shop, customer, LateTerms(Decimal("0.18"), "late"))
        open_one(shop, customer, order_ref="order-2")
        open_one(shop, customer, FREE_3, 30_000, order_ref="order-3", at=after(3))
    monkeypatch.setattr(closing, "CHUNK", 3)
    monkeypatch.setattr("fenqi_server.autopay.asking.CHUNK", 2)
    monkeypatch.setattr(watch, "CHUNK", 4)
    monkeypatch.setattr(coming, "CHUNK", 2)
    closing.close_day(shop, on(29), after(29))

    def run(chunks: int | None) -> list[list[tuple[Any, ...]]]:
        point = transaction.savepoint()
        for days in (30, 31):
            for _ in range(0 if chunks is None else 7):
                closing.close_day(shop, on(days), after(days), chunks=chunks)
            closing.close_day(shop, on(days), after(days))
        found = left()
        transaction.savepoint_rollback(point)
        return found

    whole = run(None)
    assert all(whole)
    assert run(cut) == whole


_KILLED = """
import os, signal, sys
from datetime import datetime
import django
django.setup()
from fenqi_server import clock
from fenqi_server.reminders import sending
from fenqi_server.subscriptions import mailbox, ports
ports._named = lambda channel: ports._MAILBOX if channel == "email" else ""
deliver, sent = mailbox.MailboxPort.deliver, []
def killed(self, message):
    sent.append(1)
    done = deliver(self, message)
    if len(sent) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return done
mailbox.MailboxPort.deliver = killed
sending.BATCH_ROWS = 4
now = datetime.fromisoformat(sys.argv[1])
with clock.pinned(now):
    sending.send_due(now)
"""


def test_a_sender_killed_half_way_sends_no_more_twice_than_it_had_taken(
    committed_db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_named", lambda channel: ports._MAILBOX if channel == "email" else "")
    monkeypatch.setattr(sending, "BATCH_ROWS", 4)
    shop = make_shop()
    listen(shop, "reminder.due")
    for number in range(12):
        open_one(shop, reached(shop, f"c-{number}"))
    closing.run_due(night(30))
    eight = night(30) + timedelta(hours=8)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, eight.isoformat(), "6"],
        env=os.environ,
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    for seconds in (1, 121):
        with clock.pinned(eight + timedelta(seconds=seconds)):
            sending.send_due(clock.now())
    names = rows("SELECT message_id, count(*) FROM subscriptions_mail GROUP BY message_id")
    assert len(names) == 12, "everybody got one"
    # What became of the fifth was recorded; the sixth alone had gone when it died, and goes again, under the same Message-ID.
    assert sum(count - 1 for _, count in names) == 1
    assert rows("SELECT count(*) FROM outbox_message") == [(12,)], "the program is told once"
    assert rows("SELECT count(*) FROM reminders_message") == [(0,)]


def test_the_settings_table_is_read_once_for_a_run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real: Callable[..., Rules] = rules.rules_of
    monkeypatch.setattr(closing, "rules_of", lambda shop: calls.append(1) or real(shop))
    monkeypatch.setattr(closing, "CHUNK", 1)
    for number in range(3):
        open_one(shop, reached(shop, f"c-{number}"))
    closing.close_day(shop, on(30), after(30))
    assert len(calls) == 1


# ------------------------------------------------------------------------------------------------ the record


def test_the_page_and_the_command_say_what_a_day_asked_for_and_what_is_to_be_done(
    shop: Shop,
    as_staff: Callable[..., Client],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from fenqi_server.cli import main

    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_OWNER_URL", "")
    for ref, script in (("a", "ok"), ("b", "insufficient"), ("c", "silent")):
        customer = reached(shop, ref)
        mandates.give(shop, customer, Tool(f"pretend:{script}", "UnionPay", "4242"), 200_000, "v1", AT)
        open_one(shop, customer)

    def told(*words: str) -> Any:
        assert main(list(words)) == 0
        return msgspec.json.decode(capsys.readouterr().out)

    with clock.pinned(after(30)):
        (said,) = told("close-day")["shops"]
        assert (said["asked"], said["asked_minor"], said["reminders"], said["to_do"]) == (3, 3 * DUE, 3, [])
        attempts.act_due(after(30))
        (said,) = told("close-day")["shops"]
        assert (said["asked"], len(said["to_do"])) == (0, 1)
        assert said["to_do"][0].startswith("1 automatic payments have no known outcome")
        finance = as_staff("finance", shop=shop)
        page = finance.get("/console/closings/").content.decode()
        part = page[page.index("close-asked") :]
        for shown in ("3 · ¥1,608.00", "1 · ¥536.00", "1 automatic payment has no known outcome"):
            assert shown in page, shown
        # Asked for, collected, failed, not known yet, late charges, reminders: the three of the day, and the failed attempt's.
        cells = [cell.split("<")[0].strip() for cell in part.split("data-label=")[1:]]
        assert [cell.split(">")[1] for cell in cells] == [
            "3 · ¥1,608.00",
            "1 · ¥536.00",
            "1 · ¥536.00",
            "1",
            "0",
            "4",
        ]
        zh = finance.get("/console/closings/", headers={"accept-language": "zh-CN"}).content.decode()
        assert "有 1 笔自动扣款结果未知" in zh
        monkeypatch.setattr("django.conf.settings.FENQI_AUTOPAY_COLLECTOR", "")
        mandates.give(shop, make_customer(shop, "d"), Tool("tok", "Visa", "1111"), 1, "v1", AT)
        open_one(shop, make_customer(shop, "d"))
        (said,) = told("close-day")["shops"]
        assert said["to_do"][1].startswith(
            "1 contracts have a mandate and something due, and nobody to collect it"
        )


def test_the_command_sets_when_a_shop_reminds_and_tries_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from fenqi_server.cli import main

    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_OWNER_URL", "")

    def told(*words: str) -> Any:
        assert main(["shop", "rules", "mall", *words]) == 0
        return msgspec.json.decode(capsys.readouterr().out)

    usual = {
        "shop": "mall",
        "before_days": [3],
        "on_due": True,
        "late_days": [1, 7, 30],
        "retry_days": [1, 3],
    }
    assert told() == usual
    changed = told("--before", "7,3", "--late", "", "--on-due", "no", "--retry", "2")
    assert changed == usual | {"before_days": [3, 7], "late_days": [], "on_due": False, "retry_days": [2]}
    assert told() == changed
    assert main(["shop", "rules", "mall", "--late", "soon"]) == 2
    assert main(["shop", "rules", "mall", "--retry", "99"]) == 2


def test_the_shops_server_says_how_a_customer_is_reminded(mall: Any, call: Any) -> None:
    def said(**wish: Any) -> Any:
        body = {"customer": {"ref": "u-1"}} | wish
        answer = call("POST", "/v1/reminder-wishes", body, key=mall.key)
        return answer.status_code, msgspec.json.decode(answer.content)

    assert said(locale="en") == (200, {"locale": "en", "refused_at": None})
    status, refused = said(refused=True)
    assert (status, refused["locale"], refused["refused_at"] is None) == (200, "en", False)
    assert said(refused=True) == (200, refused), "since when does not move"
    assert said(locale="zh-CN", refused=False) == (200, {"locale": "zh-CN", "refused_at": None})
    assert said(locale="fr")[0] == 422
