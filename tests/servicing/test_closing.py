"""Closing a day: the same books whichever way and however often it is cut off, and a record of what was done."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec
import psycopg
import pytest
from django.db import connection, transaction
from django.test import Client
from tests.conftest import ROOT
from tests.engine.contracts.made import DOWN_6, FLAT_12, FREE_3
from tests.servicing.opened import TODAY, after, make_customer, make_shop, on, open_one

from fenqi.contracts.allocation import Allocation, Bucket
from fenqi.contracts.events import PaymentFailed
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.books.proof import prove_shop
from fenqi_server.cli import main
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id
from fenqi_server.servicing import at_once, closing, service, storage
from fenqi_server.shops.models import Shop

FIRST = date(2026, 12, 23)
"""When the first instalment of what was bought on `TODAY` is due."""


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


def rows(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


# Everything but the names that are drawn by chance; an entry of the book is found by its event instead.
EVERYTHING = (
    "SELECT customer_id, contract_id, seq, shop_id, kind, reference, occurred_on, recorded_at, body::text"
    "  FROM servicing_event ORDER BY customer_id, contract_id, seq",
    "SELECT t.customer_id, e.contract_id, e.seq, t.shop_id, t.event_kind, t.contract_id, t.settlement, t.reference,"
    "       t.currency, t.accounts, t.amounts, t.occurred_on, t.recorded_at, t.booked_on"
    "  FROM books_transaction AS t JOIN servicing_event AS e USING (customer_id, event_id)"
    " ORDER BY t.customer_id, e.contract_id, e.seq",
    "SELECT * FROM servicing_state ORDER BY customer_id, contract_id",
    "SELECT day, started_at, ended_at, contracts, due_rows, earned_minor FROM servicing_close_run ORDER BY day",
)


def everything(shop: Shop) -> list[list[tuple[Any, ...]]]:
    use_shop(shop.id)
    return [rows(sql) for sql in EVERYTHING]


def many(shop: Shop, number: int, seed: int) -> list[str]:
    """Contracts of several plans and orders of allocation, with payments early, in part, late, whole and taken back."""
    chance = random.Random(seed)
    contracts = []
    for index in range(number):
        plan = chance.choice((FLAT_12, FLAT_12, FREE_3, DOWN_6))
        contract = open_one(
            shop,
            make_customer(shop, f"c-{index}"),
            plan,
            chance.choice((30_000, 599_900, 600_000)),
            allocation=Allocation(
                chance.choice((("fee", "principal"), ("principal", "fee"))),
                chance.choice(("rows", "rows", "parts")),
            ),
        )
        contracts.append(contract)
        for paid in range(chance.randrange(4)):
            view = service.get(shop, contract, TODAY)
            if view.state.balance_minor:
                minor = chance.choice(
                    (1, 3_600, 53_600, view.state.next_due_minor, view.state.balance_minor // 2)
                )
                service.pay(
                    shop, contract, max(1, minor), "received", f"p-{paid}", after(chance.randrange(25))
                )
        if index % 4 == 0:
            fail(shop, contract)
        if chance.random() < 0.1:
            service.pay(shop, contract, 5_000, "received", "back", after(1))
            service.reverse(shop, contract, "back", "bounced", after(2))
    return contracts


def fail(shop: Shop, contract: str) -> None:
    """An attempt to collect that came to nothing."""
    with transaction.atomic():
        use_shop(shop.id)
        stored = storage.load_for_update(*parse_public_id(contract, "ct"))
        assert stored is not None
        event = PaymentFailed(
            seq=len(stored.events) + 1,
            occurred_on=TODAY,
            recorded_at=int(after(1).timestamp()),
            attempt_id="a-1",
            amount_minor=1,
            reason="other",
        )
        storage.append(stored, [event], after(1), TODAY)


def test_a_contract_paid_whole_comes_due_and_nothing_of_it_runs(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 643_200, "received", "whole", after(1))
    closing.close_day(shop, FIRST, after(30))
    assert [run.at_once for run in closing.runs_of(shop) if run.contracts] == [1]
    cached = rows("SELECT * FROM servicing_state")
    with transaction.atomic():
        use_shop(shop.id)
        storage.rebuild(*parse_public_id(contract, "ct"))
    assert rows("SELECT * FROM servicing_state") == cached
    assert rows("SELECT status, next_due_on - %s, accrues_from FROM servicing_state", FIRST) == [
        ("closed", 31, None)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_contracts_closed_together_and_one_by_one_leave_the_same(
    shop: Shop, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts = many(shop, 40, seed)

    def run() -> list[list[tuple[Any, ...]]]:
        closing.close_day(shop, FIRST, after(30))
        for index, contract in enumerate(contracts[::3]):
            service.pay(
                shop, contract, 20_000 + index, "received", "later", after(40), occurred_on=on(20 + index)
            )
        service.put_off(
            shop, on(60), on(63), on(64), "night", "outage", after(45), plans=frozenset({FREE_3.id})
        )
        closing.close_day(shop, on(95), after(95))
        closing.close_day(shop, on(400), after(400))
        return everything(shop)

    def undone() -> list[list[tuple[Any, ...]]]:
        point = transaction.savepoint()
        found = run()
        together = sum(run.at_once for run in closing.runs_of(shop, limit=1_000))
        transaction.savepoint_rollback(point)
        counts.append((together, sum(row[3] for row in found[3])))
        return found

    counts: list[tuple[int, int]] = []
    monkeypatch.setattr(closing, "CHUNK", 7)
    together = undone()
    monkeypatch.setattr(at_once, "read_off", lambda *_: None)
    one_by_one = undone()
    assert together == one_by_one
    (at_once_then, closings), (never, _) = counts
    assert never == 0
    # What was taken back or put off is replayed; all the rest is read off.
    assert closings * 0.6 < at_once_then < closings
    run()
    assert prove_shop(shop).ok


def test_a_cached_row_that_does_not_fit_is_not_believed(
    committed_db: Any, as_owner: psycopg.Connection[Any]
) -> None:
    shop = make_shop()
    as_owner.execute("SET row_security = off")
    for column, value, believed in (
        ("status", "'active'", True),
        ("status", "'unconfirmed'", False),
        ("booked_amounts", "'{600000,-600001}'", False),
        ("booked_amounts", "'{599999,-599999}'", False),
        ("next_due_on", "'2026-12-22'", False),
        ("open_minor", "open_minor[1:11] || 1::bigint", False),
        ("open_due_on", "open_due_on[1:11] || date '2030-01-01'", False),
        ("principal_outstanding_minor", "1", False),
        ("balance_minor", "1", False),
        ("last_seq", "7", False),
    ):
        key = parse_public_id(open_one(shop, make_customer(shop, f"{column} = {value}")))
        as_owner.execute(
            f"UPDATE servicing_state SET {column} = {value} WHERE customer_id = %s AND contract_id = %s", key
        )
        found, events = held(shop, key[1])
        assert (at_once.read_off(found, events, FIRST) is not None) == believed, (column, value)


def held(shop: Shop, contract_id: UUID) -> tuple[at_once.Found, at_once.Events]:
    with transaction.atomic():
        use_shop(shop.id)
        sql = (
            f"SELECT {at_once.COLUMNS} FROM servicing_state AS s JOIN servicing_contract AS c"
            " USING (customer_id, contract_id) WHERE s.contract_id = %s"
        )
        found = at_once.Found(*rows(sql, contract_id)[0])
        return found, at_once.events_of([found])[contract_id]


def test_events_and_terms_that_the_reasoning_does_not_cover_are_replayed(shop: Shop) -> None:
    found, events = held(shop, parse_public_id(open_one(shop, make_customer(shop)))[1])
    assert at_once.read_off(found, events, FIRST) is not None
    for kind in ("payment_reversed", "due_moved", "a_kind_of_tomorrow"):
        other = msgspec.structs.replace(events, kinds=["confirmed", kind])
        assert at_once.read_off(found, other, FIRST) is None, kind
    terms = msgspec.json.decode(found.terms)
    rule = {"order": list(get_args(Bucket)), "future": "last"}
    for change in (
        {"semantics": 2},
        {"interest": {"counted_from": "2026-11-23", "begins_on": "2026-11-23"}},
        {"allocation": terms["allocation"] | {"rules": [rule]}},
        {"rows": [terms["rows"][0] | {"rent_minor": 1}, *terms["rows"][1:]]},
        {"disclosure": terms["disclosure"] | {"items": []}},
    ):
        other_terms = msgspec.json.encode(terms | change).decode()
        assert at_once.read_off(msgspec.structs.replace(found, terms=other_terms), events, FIRST) is None, (
            change
        )


def test_days_that_were_missed_have_runs_of_their_own(shop: Shop) -> None:
    open_one(shop, make_customer(shop, "a"))
    open_one(shop, make_customer(shop, "b"), at=after(2))
    assert closing.run_due(after(35)) == 2
    assert [
        (run.day, run.contracts, run.due_rows, run.at_once, run.earned_minor, run.failed, run.ended_at)
        for run in closing.runs_of(shop)
    ] == [
        (on(35), 0, 0, 0, 0, 0, after(35)),
        (on(32), 1, 1, 1, 3_600, 0, after(35)),
        (on(30), 1, 1, 1, 3_600, 0, after(35)),
    ]
    assert rows(
        "SELECT occurred_on, booked_on FROM books_transaction WHERE event_kind = 'due_reached' ORDER BY 1"
    ) == [
        (on(30), on(30)),
        (on(32), on(32)),
    ]
    assert closing.run_due(after(35)) == 0
    assert len(closing.runs_of(shop)) == 3


def test_a_contract_that_cannot_be_done_is_recorded_and_tried_again_after_an_hour(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = open_one(shop, make_customer(shop, "bad"))
    open_one(shop, make_customer(shop, "good"))
    tried: list[str] = []
    append = storage.append

    def failing(contract: storage.Stored, *rest: Any) -> Any:
        tried.append(contract.public_id)
        if contract.public_id == bad:
            raise ValueError("broken on purpose")
        return append(contract, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(storage, "append", failing)
        broken.setattr(at_once, "read_off", lambda *_: None)
        assert closing.run_due(after(30)) == 1
        (failure,) = closing.failures_of(shop)
        assert (
            failure.contract_id,
            failure.day,
            failure.kind,
            failure.problem,
            failure.detail,
            failure.tries,
        ) == (
            *(bad, FIRST, "broken", "ValueError", ""),
            1,
        )
        (run,) = closing.runs_of(shop)
        assert (run.contracts, run.failed, run.ended_at) == (1, 1, after(30))
        closing.run_due(after(30, 60))
        assert tried.count(bad) == 1
        closing.run_due(after(30, 3_601))
        assert tried.count(bad) == 2
        assert closing.failures_of(shop)[0].tries == 2
    assert closing.run_due(after(30, 3_700)) == 0, "it waits for its hour"
    assert closing.close_day(shop, FIRST, after(30, 3_700)).rows == 1, "unless it is asked for"
    assert closing.failures_of(shop) == []
    assert closing.runs_of(shop)[0].contracts == 2
    assert prove_shop(shop).ok


@pytest.mark.usefixtures("committed_db")
def test_a_contract_that_a_payment_holds_is_left_to_the_next_run(committed_db: Any) -> None:
    shop = make_shop()
    held = open_one(shop, make_customer(shop, "held"))
    open_one(shop, make_customer(shop, "free"))
    with psycopg.connect(committed_db.superuser_url) as payment:
        payment.execute(
            "SELECT FROM servicing_state WHERE contract_id = %s FOR NO KEY UPDATE", [parse_public_id(held)[1]]
        )
        began = time.monotonic()
        assert closing.close_day(shop, FIRST, after(30)) == service.DueReport(1, 1)
        assert time.monotonic() - began < 5, "nobody waits for anybody"
        assert closing.runs_of(shop)[0].ended_at is None, "the day is not closed yet"
    assert closing.close_day(shop, FIRST, after(30)) == service.DueReport(1, 1)
    assert closing.runs_of(shop)[0].ended_at == after(30)


_KILLED = """
import os, signal, sys
from datetime import datetime
import django
django.setup()
from fenqi_server.servicing import at_once, closing
closing.CHUNK = 4
write, written = at_once.write, []
def killed(*words):
    write(*words)
    written.append(1)
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
at_once.write = killed
closing.run_due(datetime.fromisoformat(sys.argv[1]))
"""


def test_a_worker_killed_half_way_leaves_whole_chunks_and_the_next_run_the_same_books(
    committed_db: Any,
) -> None:
    shop = make_shop()
    for number in range(14):
        open_one(shop, make_customer(shop, f"c-{number}"))
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, after(30).isoformat()],
        env=os.environ,
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    (run,) = closing.runs_of(shop)
    assert (run.contracts, run.earned_minor, run.ended_at) == (8, 8 * 3_600, None)
    assert rows("SELECT count(*) FROM servicing_event WHERE kind = 'due_reached'") == [(8,)]
    assert prove_shop(shop).ok
    assert closing.run_due(after(30, 60)) == 6
    (run,) = closing.runs_of(shop)
    assert (run.contracts, run.due_rows, run.earned_minor) == (14, 14, 14 * 3_600)
    assert (run.started_at, run.ended_at) == (after(30), after(30, 60))
    assert rows(
        "SELECT count(*), sum(amounts[1]) FROM books_transaction WHERE event_kind = 'due_reached'"
    ) == [(14, 14 * 3_600)]
    assert rows(
        "SELECT count(*) FROM servicing_state WHERE last_seq <> 2 OR next_due_on <> %s", date(2027, 1, 23)
    ) == [(0,)]
    assert prove_shop(shop).ok


# ---------------------------------------------------------------------------------------------- page and command


def test_the_page_shows_runs_and_what_could_not_be_done(
    shop: Shop, as_staff: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = open_one(shop, make_customer(shop, "bad"))
    open_one(shop, make_customer(shop, "b"), at=after(2))

    def refused(*_: object) -> None:
        raise BadInput("row", 1, "a row of the contract")

    with clock.pinned(after(35)):
        finance = as_staff("finance", shop=shop)
        assert "No day is closed yet" in finance.get("/console/closings/").content.decode()
        with monkeypatch.context() as broken:
            broken.setattr(at_once, "read_off", lambda found, *_: refused())
            broken.setattr(storage, "append", refused)
            closing.run_due(after(35))
        page = finance.get("/console/closings/").content.decode()
        assert page.count(bad) == 2
        assert "prove the book" in page
        closing.close_day(shop, on(35), after(35))
        page = finance.get("/console/closings/").content.decode()
        assert bad not in page
        assert re.findall(r'<time datetime="([-0-9]+)"', page) == ["2026-12-28", "2026-12-25", "2026-12-23"]
        assert page.count("¥36.00") == 2
        older = finance.get("/console/closings/?before=2026-12-25").content.decode()
        assert re.findall(r'<time datetime="([-0-9]+)"', older) == ["2026-12-23"]
        zh = finance.get("/console/closings/", headers={"accept-language": "zh-CN"}).content.decode()
        assert "已日结" in zh
        assert finance.get("/console/closings/?before=yesterday").status_code == 404
        other = as_staff("auditor", shop=make_shop("corner")).get("/console/closings/").content.decode()
        assert "No day is closed yet" in other


def test_the_command_closes_what_has_come_and_names_what_could_not_be_done(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_OWNER_URL", "")
    contract = open_one(shop, make_customer(shop))

    def told(*words: str) -> tuple[int, Any, str]:
        code = main(["close-day", *words])
        caught = capsys.readouterr()
        return code, json.loads(caught.out) if caught.out else None, caught.err

    with clock.pinned(after(70)):
        code, said, _ = told("--shop", "mall", "--on", "2026-12-23")
        nothing = dict.fromkeys(
            ("asked", "asked_minor", "late_charges", "late_charged_minor", "reminders"), 0
        )
        done = {
            "shop": "mall",
            "contracts": 1,
            "due_rows": 1,
            "failed": [],
            "to_do": [],
            "not_charged": [],
        } | nothing
        assert (code, said) == (0, {"shops": [done]})
        with monkeypatch.context() as broken:
            broken.setattr(at_once, "read_off", lambda *_: None)
            broken.setattr(storage, "append", lambda *_: 1 / 0)
            code, said, err = told()
        (failed,) = said["shops"][0]["failed"]
        assert (code, failed["contract_id"], failed["problem"]) == (1, contract, "ZeroDivisionError")
        assert "1 contracts could not be done" in err
        assert told()[0] == 0
        assert told("--on", "tomorrow")[0] == 2
        assert told("--on", "2027-12-23")[0] == 2
        assert told("--shop", "nowhere")[0] == 2
