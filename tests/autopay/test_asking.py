"""Asking for what is due: by a mandate alone, once, never above what is owed or allowed, and what becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import ProgrammingError, connection
from tests.conftest import ROOT
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.contracts.events import PaymentFailed, PaymentReceived
from fenqi.problems import BadInput
from fenqi_server.autopay import attempts, mandates, rules
from fenqi_server.autopay.attempts import Attempt
from fenqi_server.autopay.mandates import Mandate, Tool
from fenqi_server.books.proof import prove_shop
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id
from fenqi_server.servicing import closing, service
from fenqi_server.shops.models import Shop

# A phone of 6,000 in 12 instalments of 500 with 36 of fee each: 53,600 fen due on the 23rd of each month.
DUE = 53_600


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    monkeypatch.setattr(settings, "FENQI_AUTOPAY_COLLECTOR", "fenqi_server.autopay.pretend.PretendCollector")


def tool(script: str = "ok") -> Tool:
    return Tool(f"pretend:{script}", "UnionPay", "4242")


def allowed(shop: Shop, customer: UUID, script: str = "ok", ceiling: int = 200_000, **more: Any) -> Mandate:
    return mandates.give(shop, customer, tool(script), ceiling, "v1", AT, **more)


def day(shop: Shop, days: int, seconds: int = 0) -> service.DueReport:
    """The shop's day is closed, and the worker acts."""
    report = closing.close_day(shop, on(days), after(days, seconds))
    attempts.act_due(after(days, seconds))
    return report


def states(shop: Shop, contract: str) -> list[tuple[date, int, str, str]]:
    found = attempts.attempts_of(shop, contract)
    return [(each.day, each.amount_minor, each.state, each.reason) for each in reversed(found)]


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def listen(shop: Shop, *events: str) -> None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_endpoint (shop_id, id, url, events, sealed_secret, created_at)"
            " VALUES (%s, gen_random_uuid(), 'https://mall.example/hooks', %s, '', %s)",
            [shop.id, list(events), AT],
        )


@pytest.mark.usefixtures("collector")
def test_what_is_due_is_collected_by_a_mandate_alone_and_booked_as_a_payment(shop: Shop) -> None:
    payer, other = make_customer(shop), make_customer(shop, "c-2")
    allowed(shop, payer)
    contract, without = open_one(shop, payer), open_one(shop, other)
    report = day(shop, 30)
    assert (report.asked, report.asked_minor) == (1, DUE)
    assert states(shop, contract) == [(on(30), DUE, "collected", "")]
    assert states(shop, without) == []
    view = service.get(shop, contract, on(30))
    assert view.state.balance_minor == 12 * DUE - DUE
    (paid,) = [event for event in view.events if isinstance(event, PaymentReceived)]
    assert (paid.channel, paid.payment_id) == ("autopay", attempts.attempts_of(shop, contract)[0].attempt_id)
    assert day(shop, 30, 60).asked == 0
    assert day(shop, 31).asked == 0
    assert attempts.sums_of(shop, [on(30), on(31)]) == {on(30): attempts.DaySums(1, DUE, 1, DUE, 0, 0, 0)}
    assert prove_shop(shop).ok


@pytest.mark.usefixtures("collector")
def test_never_more_than_the_ceiling_or_than_is_owed_and_a_contracts_own_mandate_comes_first(
    shop: Shop,
) -> None:
    customer = make_customer(shop)
    allowed(shop, customer, ceiling=100_000)
    first, second = open_one(shop, customer), open_one(shop, customer, order_ref="order-2")
    own = allowed(shop, customer, ceiling=20_000, contract=second)
    service.pay(shop, first, 50_000, "received", "early", after(5))
    day(shop, 30)
    assert states(shop, first) == [(on(30), 3_600, "collected", "")]
    assert states(shop, second) == [(on(30), 20_000, "collected", "")]
    (attempt,) = attempts.attempts_of(shop, second)
    assert (attempt.due_minor, attempt.mandate_id) == (DUE, own.mandate_id)
    mandates.withdraw(shop, own.mandate_id, after(40))
    day(shop, 61)  # what was left of the first row is asked for with the second
    assert states(shop, second)[1] == (on(61), 2 * DUE - 20_000, "collected", "")


@pytest.mark.usefixtures("collector")
def test_what_was_late_when_the_mandate_was_given_is_asked_for_from_the_next_day_on(shop: Shop) -> None:
    customer = make_customer(shop)
    contract = open_one(shop, customer)
    day(shop, 30)
    mandates.give(shop, customer, tool(), 200_000, "v1", after(35))
    assert day(shop, 35, 60).asked == 0
    day(shop, 36)
    assert states(shop, contract) == [(on(36), DUE, "collected", "")]


@pytest.mark.usefixtures("collector")
def test_without_money_it_is_tried_again_after_one_and_three_days_and_then_it_stops(shop: Shop) -> None:
    customer = make_customer(shop)
    allowed(shop, customer, "insufficient")
    contract = open_one(shop, customer)
    listen(shop, "autopay.failed")
    for days in range(30, 40):
        day(shop, days)
    assert states(shop, contract) == [
        (on(days), DUE, "failed", "insufficient_funds") for days in (30, 31, 33)
    ]
    events = service.get(shop, contract, on(40)).events
    assert [event.occurred_on for event in events if isinstance(event, PaymentFailed)] == [
        on(30),
        on(31),
        on(33),
    ]
    said = rows(
        "SELECT body::jsonb -> 'data' ->> 'again_on', body::jsonb -> 'data' ->> 'final', body::jsonb -> 'data' ->> 'try'"
        " FROM outbox_message ORDER BY body::jsonb -> 'data' ->> 'try'"
    )
    assert said == [
        (on(31).isoformat(), "false", "1"),
        (on(33).isoformat(), "false", "2"),
        (None, "true", "3"),
    ]
    day(shop, 61)  # the next due date begins anew, with both rows
    assert states(shop, contract)[3] == (on(61), 2 * DUE, "failed", "insufficient_funds")
    assert prove_shop(shop).ok


@pytest.mark.usefixtures("collector")
def test_what_no_second_try_can_mend_is_not_tried_again(shop: Shop) -> None:
    customer = make_customer(shop)
    allowed(shop, customer, "expired")
    contract = open_one(shop, customer)
    for days in range(30, 36):
        day(shop, days)
    assert states(shop, contract) == [(on(30), DUE, "failed", "tool_expired")]


@pytest.mark.usefixtures("collector")
def test_the_days_of_trying_again_are_the_shops_own(shop: Shop) -> None:
    rules.set_retry_days(shop, (2,))
    customer = make_customer(shop)
    allowed(shop, customer, "insufficient,ok")
    contract = open_one(shop, customer)
    for days in range(30, 36):
        day(shop, days)
    assert states(shop, contract) == [
        (on(30), DUE, "failed", "insufficient_funds"),
        (on(32), DUE, "collected", ""),
    ]
    for wrong in ((3, 1), (1, 1), (0,), (61,), tuple(range(1, 12))):
        with pytest.raises(BadInput):
            rules.set_retry_days(shop, wrong)


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize(
    ("word", "became"), [("timeout-collected", "collected"), ("timeout-failed", "failed")]
)
def test_a_time_out_is_unknown_and_asked_about_and_nothing_is_asked_for_until_it_is_known(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, word: str, became: str
) -> None:
    from fenqi_server.autopay.pretend import PretendCollector

    debits: list[str] = []
    collect = PretendCollector.collect
    monkeypatch.setattr(
        PretendCollector, "collect", lambda self, ask: debits.append(ask.key) or collect(self, ask)
    )
    customer = make_customer(shop)
    allowed(shop, customer, word)
    contract = open_one(shop, customer)
    day(shop, 30)
    assert states(shop, contract) == [(on(30), DUE, "unknown", "")]
    attempts.act_due(after(30, 30))
    assert states(shop, contract)[0][2] == "unknown", "it is asked about after a minute"
    attempts.act_due(after(30, 90))
    assert states(shop, contract)[0][2] == became
    assert len(debits) == 1
    assert prove_shop(shop).ok


@pytest.mark.usefixtures("collector")
def test_an_outcome_that_stays_unknown_keeps_its_contract_from_being_asked_for(shop: Shop) -> None:
    customer = make_customer(shop)
    allowed(shop, customer, "silent")
    contract = open_one(shop, customer)
    for days in (30, 31, 33, 61, 62):
        day(shop, days)
    assert states(shop, contract) == [(on(30), DUE, "unknown", "")]
    (unknown,) = attempts.attempts_of(shop, contract)
    attempts.record(shop, unknown.attempt_id, "failed", after(63), reason="other")
    assert day(shop, 64).asked_minor == 2 * DUE, "both rows, once it is known that the first got nothing"


def test_a_server_that_collects_is_asked_by_webhook_and_reminded_of_its_answer(shop: Shop) -> None:
    customer = make_customer(shop)
    allowed(shop, customer, "whatever")
    contract = open_one(shop, customer)
    assert day(shop, 30).asked == 0, "nobody would hear it"
    listen(shop, "autopay.collect_requested", "autopay.query_requested")
    assert day(shop, 30, 3_600).asked == 1
    ((event, attempt_id, minor, token),) = rows(
        "SELECT event, body::jsonb -> 'data' ->> 'attempt_id', body::jsonb -> 'data' ->> 'amount_minor',"
        " body::jsonb -> 'data' -> 'tool' ->> 'token' FROM outbox_message"
    )
    assert (event, minor, token) == ("autopay.collect_requested", str(DUE), "pretend:whatever")
    attempts.act_due(after(30, 3_600 + 3_599))
    assert states(shop, contract)[0][2] == "sent"
    attempts.act_due(after(30, 7_201))
    assert states(shop, contract)[0][2] == "unknown"
    assert rows("SELECT count(*) FROM outbox_message WHERE event = 'autopay.query_requested'") == [(1,)]
    done = attempts.record(shop, attempt_id, "collected", after(31))
    assert (done.state, done.collected_minor) == ("collected", DUE)
    attempts.act_due(after(33))
    assert rows("SELECT count(*) FROM outbox_message WHERE event = 'autopay.query_requested'") == [(1,)]


def test_an_ask_that_no_server_was_sent_yet_is_taken_back_with_its_mandate(shop: Shop) -> None:
    customer = make_customer(shop)
    given = allowed(shop, customer)
    contract = open_one(shop, customer)
    listen(shop, "autopay.collect_requested", "autopay.recalled")
    listen(shop, "autopay.collect_requested")
    assert day(shop, 30).asked == 1
    # It waits for two endpoints, of which none was tried.
    assert rows("SELECT count(*) FROM outbox_message") == [(2,)]
    mandates.withdraw(shop, given.mandate_id, after(30, 5))
    assert rows("SELECT count(*) FROM outbox_message") == [(0,)]
    assert states(shop, contract) == [(on(30), DUE, "cancelled", "mandate_withdrawn")]
    attempts.act_due(after(30, 7_300))
    assert day(shop, 31).asked == 0
    assert rows("SELECT count(*) FROM outbox_message") == [(0,)], "nor is it asked about"
    # Another mandate asks for it anew.
    mandates.give(shop, customer, tool(), 200_000, "v1", after(31))
    assert day(shop, 32).asked == 1
    assert states(shop, contract)[1] == (on(32), DUE, "sent", "")


@pytest.mark.parametrize("tried", ["sending", "delivered to one of two", "delivered"])
def test_an_ask_that_a_server_may_have_is_recalled_and_its_outcome_waited_for(shop: Shop, tried: str) -> None:
    customer = make_customer(shop)
    given = allowed(shop, customer)
    contract = open_one(shop, customer)
    listen(shop, "autopay.collect_requested", "autopay.recalled")
    if tried == "delivered to one of two":
        listen(shop, "autopay.collect_requested")
    day(shop, 30)
    with connection.cursor() as cursor:
        if tried == "sending":
            cursor.execute("UPDATE outbox_message SET attempt = 1, leased_until = %s", [after(30, 60)])
        else:
            cursor.execute(
                "INSERT INTO outbox_delivery (shop_id, customer_id, message_id, attempt, endpoint_id, event_id, event, at,"
                " outcome) SELECT shop_id, customer_id, id, 1, endpoint_id, event_id, event, %s, 'delivered'"
                " FROM outbox_message ORDER BY id LIMIT 1",
                [after(30, 1)],
            )
            cursor.execute("DELETE FROM outbox_message WHERE id IN (SELECT message_id FROM outbox_delivery)")
    waiting = rows("SELECT count(*) FROM outbox_message WHERE event = 'autopay.collect_requested'")
    mandates.withdraw(shop, given.mandate_id, after(30, 5))
    mandates.withdraw(shop, given.mandate_id, after(30, 6))
    assert rows("SELECT count(*) FROM outbox_message WHERE event = 'autopay.collect_requested'") == waiting
    ((told, reason),) = rows(
        "SELECT body::jsonb -> 'data' ->> 'attempt_id', body::jsonb -> 'data' ->> 'reason' FROM outbox_message"
        " WHERE event = 'autopay.recalled'"
    )
    (attempt,) = attempts.attempts_of(shop, contract)
    assert (told, reason, attempt.state) == (attempt.attempt_id, "mandate_withdrawn", "sent")
    attempts.record(shop, told, "failed", after(30, 9), reason="mandate_revoked")
    assert states(shop, contract) == [(on(30), DUE, "failed", "mandate_revoked")]
    assert rows("SELECT count(*) FROM outbox_message WHERE event = 'autopay.recalled'") == [(1,)]
    assert day(shop, 31).asked == 0


def test_what_the_provider_says_is_revoked_recalls_the_mandates_other_asks_and_not_its_own(
    shop: Shop,
) -> None:
    customer = make_customer(shop)
    allowed(shop, customer)
    first, second = open_one(shop, customer), open_one(shop, customer, order_ref="order-2")
    listen(shop, "autopay.collect_requested", "autopay.recalled")
    day(shop, 30)
    (attempt,) = attempts.attempts_of(shop, first)
    attempts.record(shop, attempt.attempt_id, "failed", after(30, 9), reason="mandate_revoked")
    assert states(shop, first) == [(on(30), DUE, "failed", "mandate_revoked")]
    assert states(shop, second) == [(on(30), DUE, "cancelled", "mandate_withdrawn")]
    assert rows("SELECT event FROM outbox_message") == [("autopay.collect_requested",)]


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize(("reason", "stands"), [("mandate_revoked", False), ("tool_expired", True)])
def test_a_harder_reason_after_a_softer_one_ends_the_tries(shop: Shop, reason: str, stands: bool) -> None:
    customer = make_customer(shop)
    mandate = allowed(shop, customer, "insufficient")
    contract = open_one(shop, customer)
    listen(shop, "autopay.failed")
    day(shop, 30)
    (failed,) = attempts.attempts_of(shop, contract)
    harder = attempts.record(shop, failed.attempt_id, "failed", after(30, 60), reason=reason)
    assert (harder.state, harder.reason) == ("failed", reason)
    assert attempts.record(shop, failed.attempt_id, "failed", after(30, 70), reason=reason) == harder
    assert (mandates.mandate(shop, mandate.mandate_id).withdrawn_at is None) is stands
    for days in range(31, 35):
        assert day(shop, days).asked == 0
    assert states(shop, contract) == [(on(30), DUE, "failed", reason)]
    with pytest.raises(attempts.Contradiction):
        attempts.record(shop, failed.attempt_id, "failed", after(31), reason="insufficient_funds")
    events = service.get(shop, contract, on(40)).events
    assert sum(isinstance(event, PaymentFailed) for event in events) == 1
    said = rows(
        "SELECT body::jsonb -> 'data' ->> 'reason', body::jsonb -> 'data' ->> 'final' FROM outbox_message"
    )
    assert sorted(said) == sorted([("insufficient_funds", "false"), (reason, "true")])


@pytest.mark.usefixtures("collector")
def test_what_is_booked_under_an_attempts_id_with_another_amount_contradicts_it(shop: Shop) -> None:
    customer = make_customer(shop)
    allowed(shop, customer, "timeout-collected")
    contract = open_one(shop, customer)
    day(shop, 30)
    (found,) = attempts.attempts_of(shop, contract)
    assert found.state == "unknown"
    service.pay(shop, contract, 100, "received", found.attempt_id, after(30, 30))
    attempts.act_due(after(30, 600))
    assert attempts.attempt(shop, found.attempt_id).state == "unknown", "somebody has to look"
    assert attempts.act_due(after(30, 601)) == 0, "and it is not asked again at once"
    with pytest.raises(attempts.Contradiction) as wrong:
        attempts.record(shop, found.attempt_id, "collected", after(31))
    assert wrong.value.code == "payment_ref_reused"
    done = attempts.record(shop, found.attempt_id, "collected", after(31), amount_minor=100)
    assert (done.state, done.collected_minor) == ("collected", 100)
    assert service.get(shop, contract, on(31)).state.balance_minor == 12 * DUE - 100


@pytest.mark.usefixtures("collector")
def test_money_that_comes_after_a_failure_is_booked_and_a_contradiction_is_not(shop: Shop) -> None:
    customer = make_customer(shop)
    allowed(shop, customer, "insufficient")
    contract = open_one(shop, customer)
    day(shop, 30)
    (failed,) = attempts.attempts_of(shop, contract)
    again = attempts.record(shop, failed.attempt_id, "failed", after(30, 60), reason="insufficient_funds")
    assert again == failed
    with pytest.raises(attempts.Contradiction, match="insufficient_funds") as wrong:
        attempts.record(shop, failed.attempt_id, "failed", after(30, 60), reason="other")
    assert wrong.value.code == "reason_differs"
    assert attempts.record(shop, failed.attempt_id, "unknown", after(30, 60)) == failed
    late = attempts.record(shop, failed.attempt_id, "collected", after(30, 90))
    assert (late.state, late.collected_minor) == ("collected", DUE)
    assert attempts.record(shop, failed.attempt_id, "collected", after(30, 99)) == late
    assert service.get(shop, contract, on(30)).state.balance_minor == 11 * DUE
    for result, reason, minor in (("failed", "other", None), ("collected", "", 1)):
        with pytest.raises(attempts.Contradiction):
            attempts.record(shop, failed.attempt_id, result, after(31), reason=reason, amount_minor=minor)  # type: ignore[arg-type]
    assert day(shop, 31).asked == 0, "the second try finds nothing owed"
    assert [row[0] for row in rows("SELECT result FROM autopay_outcome ORDER BY seq")] == [
        "failed",
        "collected",
    ]
    assert prove_shop(shop).ok


@pytest.mark.usefixtures("collector")
def test_what_was_withdrawn_or_paid_between_asking_and_collecting_is_not_collected(shop: Shop) -> None:
    one, two = make_customer(shop), make_customer(shop, "c-2")
    given = allowed(shop, one)
    allowed(shop, two)
    first, second = open_one(shop, one), open_one(shop, two)
    assert closing.close_day(shop, on(30), after(30)).asked == 2
    mandates.withdraw(shop, given.mandate_id, after(30, 5))
    service.pay(shop, second, 13_600, "received", "own", after(30, 6))
    attempts.act_due(after(30, 10))
    assert states(shop, first) == [(on(30), DUE, "cancelled", "mandate_withdrawn")]
    assert states(shop, second) == [(on(30), DUE, "cancelled", "paid_meanwhile")]
    day(shop, 31)
    assert states(shop, second)[1] == (on(31), 40_000, "collected", "")
    assert len(states(shop, first)) == 1


@pytest.mark.usefixtures("collector")
def test_a_worker_that_dies_in_a_call_leaves_an_attempt_that_is_asked_about_and_not_asked_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fenqi_server.autopay.pretend import PretendCollector

    customer = make_customer(shop)
    allowed(shop, customer)
    contract = open_one(shop, customer)
    closing.close_day(shop, on(30), after(30))
    with monkeypatch.context() as dying:
        dying.setattr(PretendCollector, "collect", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            attempts.act_due(after(30))
    assert states(shop, contract)[0][2] == "sent"
    monkeypatch.setattr(PretendCollector, "collect", lambda *_: pytest.fail("asked for twice"))
    attempts.act_due(after(30, 60))
    assert states(shop, contract)[0][2] == "sent", "the call may still be running"
    attempts.act_due(after(30, 121))
    assert states(shop, contract)[0][2] == "collected"


@pytest.mark.usefixtures("collector")
def test_an_outage_suspends_asking_and_what_it_moved_is_asked_for_on_its_new_day(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fenqi_server.autopay import asking

    moved, other = make_customer(shop), make_customer(shop, "c-2")
    allowed(shop, moved)
    allowed(shop, other)
    early = open_one(shop, moved)
    free = open_one(shop, other, FREE_3, 30_000)
    over = after(30, 7_200)
    with monkeypatch.context() as outage:
        paused = [rules.Suspension(frozenset({service.get(shop, early, on(0)).plan.id}), over)]
        outage.setattr(asking, "suspensions", lambda *_: paused)
        assert day(shop, 30).asked == 1, "the other plan is not concerned"
    assert day(shop, 30, 3_600).asked == 0, "it is looked at when the outage is over"
    assert states(shop, free) == [(on(30), 10_000, "collected", "")]
    # Its row was recorded as due at midnight; the outage then puts it off.
    assert service.put_off(shop, on(30), on(30), on(33), "night", "outage", after(30, 3_700)).rows == 1
    for days in (30, 31, 32):
        assert day(shop, days, 7_300).asked == 0
    assert day(shop, 33).asked == 1
    assert states(shop, early) == [(on(33), DUE, "collected", "")]


def test_a_paused_autopay_of_a_notice_is_read_from_the_announcements(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from fenqi.calendars import to_epoch
    from fenqi_server.announcements.document import ImpactRecord, RepaymentRecord

    def in_force(**document: Any) -> list[rules.Suspension]:
        state = document.pop("state", "published")
        told = SimpleNamespace(**({"repayment": None, "impacts": (), "plans": ()} | document))
        monkeypatch.setattr(rules, "latest", lambda _: {"night": SimpleNamespace(state=state, document=told)})
        return rules.suspensions(shop, AT)

    begin, end = to_epoch(AT) - 60, to_epoch(AT) + 3_600
    outage = RepaymentRecord(start=begin, end=end, due_moves_to="2026-11-25", acts=("repay", "autopay"))
    assert in_force(repayment=outage, plans=("mall_3",)) == [
        rules.Suspension(frozenset({"mall_3"}), AT + timedelta(hours=1))
    ]
    assert in_force(repayment=outage) == [rules.Suspension(None, AT + timedelta(hours=1))]
    assert in_force(repayment=outage, state="retracted") == []
    assert in_force(repayment=RepaymentRecord(start=begin, end=end, due_moves_to="", acts=("repay",))) == []
    assert in_force(repayment=RepaymentRecord(start=end, end=end + 1, due_moves_to="")) == []

    def paused(**more: Any) -> ImpactRecord:
        known = {
            "act": "autopay",
            "effect": "paused",
            "funder": "mall",
            "family": "mall",
            "plans": ("mall_3",),
        }
        return ImpactRecord(**(known | {"code": "MAINTENANCE"} | more))

    (found,) = in_force(impacts=(paused(start=begin),))
    assert found.plans == {"mall_3"}
    assert in_force(impacts=(paused(start=end),)) == []
    assert in_force(impacts=(paused(act="buy"),)) == []
    # 10:00 in the shop
    assert in_force(impacts=(paused(daily=(22 * 60, 2 * 60)),)) == []
    assert len(in_force(impacts=(paused(daily=(9 * 60, 11 * 60)),))) == 1


# ------------------------------------------------------------------------------------------------ the same, cut off


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_a_close_cut_off_and_run_again_asks_for_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    from django.db import transaction

    from fenqi_server.autopay import asking

    for number in range(12):
        customer = make_customer(shop, f"c-{number}")
        if number % 3:
            allowed(shop, customer, ("ok", "insufficient")[number % 2])
        open_one(shop, customer)
    monkeypatch.setattr(closing, "CHUNK", 3)
    monkeypatch.setattr(asking, "CHUNK", 3)
    left: Callable[[], Any] = lambda: (  # noqa: E731
        rows(
            "SELECT customer_id, contract_id, mandate_id, day, due_on, first_on, try, due_minor, amount_minor, state"
            " FROM autopay_attempt ORDER BY 1, 2"
        ),
        rows("SELECT * FROM autopay_due ORDER BY 1, 2"),
        rows("SELECT customer_id, contract_id, last_seq, balance_minor FROM servicing_state ORDER BY 1, 2"),
        rows("SELECT day, contracts, due_rows, earned_minor FROM servicing_close_run ORDER BY 1"),
    )
    point = transaction.savepoint()
    closing.close_day(shop, on(30), after(30))
    whole = left()
    assert len(whole[0]) == 8
    transaction.savepoint_rollback(point)
    for _ in range(4):
        closing.close_day(shop, on(30), after(30), chunks=cut)
    closing.close_day(shop, on(30), after(30))
    assert left() == whole


_KILLED = """
import os, signal, sys
from datetime import datetime
import django
django.setup()
from fenqi_server import db
from fenqi_server.autopay import asking
from fenqi_server.reminders import coming
from fenqi_server.servicing import closing, watch
closing.CHUNK = asking.CHUNK = watch.CHUNK = coming.CHUNK = 3
done = []
def killed(act, **words):
    def last():
        answer = act()
        done.append(1)
        if len(done) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)  # before it is committed
        return answer
    return db.in_transaction(last, **words)
for room in (closing, asking, watch, coming):
    room.in_transaction = killed
closing.run_due(datetime.fromisoformat(sys.argv[1]))
"""

# By the customers' and orders' own names: what is drawn by chance differs.
_NAMED = "(SELECT external_ref FROM customers_alias AS x WHERE x.customer_id = t.customer_id)"
_ALL_OF_IT = (
    f"SELECT {_NAMED}, e.kind, e.reference, e.occurred_on, e.body::text FROM servicing_event AS e JOIN servicing_state AS t"
    " USING (customer_id, contract_id) ORDER BY 1, 2, 3, 4",
    f"SELECT {_NAMED}, t.event_kind, t.accounts, t.amounts, t.occurred_on, t.booked_on FROM books_transaction AS t ORDER BY 1, 2, 3",
    f"SELECT {_NAMED}, t.last_seq, t.balance_minor, t.open_minor, t.next_due_on, t.booked_amounts FROM servicing_state AS t ORDER BY 1",
    f"SELECT {_NAMED}, t.day, t.due_on, t.try, t.amount_minor, t.state FROM autopay_attempt AS t ORDER BY 1",
    f"SELECT {_NAMED}, t.stage, t.about, t.day FROM reminders_notice AS t ORDER BY 1, 2, 3",
    f"SELECT {_NAMED}, t.due_at FROM reminders_message AS t ORDER BY 1",
    f"SELECT {_NAMED}, t.look_on FROM servicing_watch AS t ORDER BY 1",
    f"SELECT {_NAMED}, t.event FROM outbox_message AS t WHERE t.event = 'autopay.collect_requested' ORDER BY 1",
    "SELECT day, contracts, due_rows, earned_minor FROM servicing_close_run ORDER BY 1",
)


def test_a_close_killed_anywhere_and_run_again_leaves_the_same_books_asks_and_reminders(
    committed_db: Any,
) -> None:
    """Killed before each of its transactions in turn, in a shop of its own each time; then run once more."""

    def shop_of(code: str) -> Shop:
        made = make_shop(code)
        listen(made, "autopay.collect_requested", "reminder.due")
        for number in range(7):
            customer = make_customer(made, f"c-{number}")
            if number % 2:
                allowed(made, customer)
            open_one(made, customer)
            late = open_one(made, make_customer(made, f"d-{number}"), at=after(3))
            service.pay(made, late, 1_000, "received", "p", after(4))
        return made

    def left(made: Shop) -> list[list[tuple[Any, ...]]]:
        use_shop(made.id)
        return [rows(sql) for sql in _ALL_OF_IT]

    whole: list[list[tuple[Any, ...]]] | None = None
    killed = 0
    for cut in (0, 1, 3, 5, 7, 9):
        made = shop_of(f"mall-{cut}")
        if cut:
            done = subprocess.run(
                [sys.executable, "-c", _KILLED, after(30).isoformat(), str(cut)],
                env=os.environ,
                cwd=ROOT,
                capture_output=True,
                check=False,
            )
            assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
            killed += done.returncode != 0
        closing.close_day(made, on(30), after(30))
        if whole is None:
            whole = left(made)
            assert all(whole)
        assert left(made) == whole, cut
        assert prove_shop(made).ok
    assert killed >= 4


def test_an_attempt_has_one_outcome_for_one_day(shop: Shop) -> None:
    """The database itself refuses a second attempt of a contract on a day."""
    from django.db import IntegrityError, transaction

    customer = make_customer(shop)
    allowed(shop, customer)
    contract = open_one(shop, customer)
    listen(shop, "autopay.collect_requested")
    day(shop, 30)
    (first,) = attempts.attempts_of(shop, contract)
    assert isinstance(first, Attempt)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows(
            "INSERT INTO autopay_attempt SELECT customer_id, gen_random_uuid(), shop_id, contract_id, mandate_id, day, due_on,"
            " first_on, try, due_minor, amount_minor, currency, asked_at, state FROM autopay_attempt RETURNING 1"
        )


@pytest.mark.usefixtures("committed_db")
def test_a_days_close_asks_and_reminds_without_writing_the_rows_of_terms_and_mandate() -> None:
    shop = make_shop()
    customer = make_customer(shop)
    listen(shop, "autopay.collect_requested", "reminder.due")
    allowed(shop, customer)
    open_one(shop, customer)
    use_shop(shop.id)
    # Whoever locks a row, as the check of a foreign key does, leaves its number in it.
    looked = (
        "SELECT ctid::text, xmax::text FROM servicing_contract"
        " UNION ALL SELECT ctid::text, xmax::text FROM autopay_mandate"
    )
    before = rows(looked)
    assert closing.close_day(shop, on(30), after(30), chunks=1).reminders == 1, "with the due date itself"
    use_shop(shop.id)
    assert rows("SELECT count(*) FROM autopay_due") == [(1,)]
    assert rows("SELECT count(*) FROM servicing_watch") == [(1,)]
    assert rows(looked) == before
    report = closing.close_day(shop, on(30), after(30))
    assert (report.asked, report.reminders) == (1, 0)
    use_shop(shop.id)
    assert rows("SELECT count(*) FROM autopay_attempt") == [(1,)]
    assert rows("SELECT count(*) FROM reminders_notice") == [(1,)]
    assert rows(looked) == before


def test_an_attempt_names_a_mandate_that_is_there(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    use_shop(shop.id)
    with pytest.raises(ProgrammingError, match="of_a_mandate"), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO autopay_attempt (customer_id, attempt_id, shop_id, contract_id, mandate_id, day, due_on, first_on, try,"
            " due_minor, amount_minor, currency, asked_at, state)"
            " SELECT customer_id, gen_random_uuid(), shop_id, contract_id, gen_random_uuid(), %(day)s, ARRAY[%(day)s::date],"
            " %(day)s, 1, 1, 1, 'CNY', now(), 'asked' FROM servicing_contract WHERE contract_id = %(contract)s",
            {"day": on(30), "contract": parse_public_id(contract)[1]},
        )


@pytest.mark.parametrize("table", ["autopay_attempt", "reminders_notice"])
def test_what_names_a_contract_that_is_not_there_is_refused(shop: Shop, table: str) -> None:
    customer = make_customer(shop)
    allowed(shop, customer)
    use_shop(shop.id)
    [(mandate,)] = rows("SELECT mandate_id FROM autopay_mandate")
    values = {
        "autopay_attempt": "(customer_id, attempt_id, shop_id, contract_id, mandate_id, day, due_on, first_on, try, due_minor,"
        " amount_minor, currency, asked_at, state) VALUES (%(customer)s, gen_random_uuid(), %(shop)s, gen_random_uuid(),"
        " %(mandate)s, %(day)s, ARRAY[%(day)s::date], %(day)s, 1, 1, 1, 'CNY', now(), 'asked')",
        "reminders_notice": "(customer_id, contract_id, stage, about, shop_id, due_on, day, queued_at)"
        " VALUES (%(customer)s, gen_random_uuid(), 'due', 'x', %(shop)s, %(day)s, %(day)s, now())",
    }
    with pytest.raises(ProgrammingError, match="of_a_contract"), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} {values[table]}",
            {"customer": customer, "shop": shop.id, "mandate": mandate, "day": on(30)},
        )
