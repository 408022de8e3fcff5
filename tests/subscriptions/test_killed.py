"""The worker is killed while it tells ten thousand that it is back. None is lost, and only what was in flight comes twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.db import connection, transaction
from tests.api.world import AT, GROWN_UP, PHONE

PAUSE = "beichen-24-pause"
MESSAGES = 10_000
CUSTOMERS = 500
LEASE_SECONDS = 3

# The worker as it is, with a clock that runs from the test's instant on: what is open to whom then does not depend on today.
_WORKER = """
import datetime, sys
import django
django.setup()
from fenqi_server import clock, worker
ahead = datetime.datetime.fromisoformat(sys.argv[1]) - clock.system_now()
clock.set_source(lambda: clock.system_now() + ahead)
worker.run_forever()
"""
_MESSAGE_ID = re.compile(rb"(?m)^Message-ID: *(?:\r\n )?(<[^>]+>)\r?$")


class _Counted:
    """A mail server that only notes which message came for whom: it has to be faster than the worker."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        found = _MESSAGE_ID.search(envelope.content)
        assert found is not None
        self.got.append((found[1].decode(), envelope.rcpt_tos[0]))
        return "250 OK"


@pytest.fixture
def waiting(committed_mall: Any) -> Any:
    """Ten thousand who wait: customers with a cart of their own, and addresses of which nothing is known."""
    from django.test import override_settings

    from fenqi_server.announcements import lifecycle
    from fenqi_server.customers import service as customers
    from fenqi_server.decisions import service as decisions
    from fenqi_server.subscriptions import fanout, wishes

    mall = committed_mall
    with override_settings(FENQI_DECISION_LOG="direct", FENQI_SMTP_URL="smtp://127.0.0.1"):
        fanout.expand_due(AT)
        customers.set_private(mall.shop, mall.customer_id, customers.Private("Ann", "c0@example.com"), AT)
        decision = decisions.evaluate(mall.shop, mall.customer_id, (PHONE,), "web", GROWN_UP, AT)
        assert decision.evaluation.option("mall_12").offered
        first = wishes.request_back(
            mall.shop, mall.customer_id, decision.public_id, "mall_12", "c0@example.com", "en", AT
        )
        other = wishes.request_over(mall.shop, PAUSE, "a0@example.com", "en", AT)
        wishes.confirm(mall.shop, other, AT)
    with connection.cursor() as cursor:
        for wish, letter, count in ((first, "c", CUSTOMERS), (other, "a", MESSAGES - CUSTOMERS)):
            cursor.execute(
                "INSERT INTO subscriptions_wish SELECT (jsonb_populate_record(w, jsonb_build_object("
                " 'id', gen_random_uuid(), 'address', %s || n || '@example.com', 'token', repeat('t', 20) || n))).*"
                " FROM subscriptions_wish w, generate_series(1, %s) AS n WHERE w.customer_id = %s AND w.id = %s",
                [letter, count - 1, wish.customer_id, wish.id],
            )
        cursor.execute("DELETE FROM subscriptions_message")
        cursor.execute("SELECT count(*) FROM subscriptions_wish WHERE state = 'waiting'")
        assert cursor.fetchone() == (MESSAGES,)
    with transaction.atomic():
        last = lifecycle.latest(mall.shop)[PAUSE]
        assert lifecycle.append_revision(mall.shop, last, "restored", last.document, AT, "engine")
    return mall


def _start(port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, AT.isoformat()],
        env={
            **os.environ,
            "FENQI_SMTP_URL": f"smtp://127.0.0.1:{port}",
            "FENQI_ORIGIN": "https://pay.example.com",
            "FENQI_NOTIFY_PER_MINUTE": "60000000",
            "FENQI_NOTIFY_LEASE_SECONDS": str(LEASE_SECONDS),
        },
        stderr=subprocess.DEVNULL,
    )


def _leased() -> set[Any]:
    """The attempts that a worker holds, or held when it was killed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, attempt FROM subscriptions_message WHERE leased_until IS NOT NULL")
        return set(cursor.fetchall())


def _until(what: Any, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it did not get there in time"
        time.sleep(0.01)


def test_ten_thousand_are_told_though_the_worker_is_killed_while_it_tells_them(waiting):
    from fenqi_server.processes import free_port
    from fenqi_server.subscriptions.queue import BATCH_ROWS

    box, port = _Counted(), free_port()
    server = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=10)
    server.start()
    worker = None
    try:
        worker = _start(port)
        _until(lambda: len(box.got) >= 4_000, 120)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        in_flight = _leased()
        assert 4_000 <= len(box.got) < MESSAGES, "it was killed while it was at it"
        assert len(in_flight) <= BATCH_ROWS, "no more rows are held than one batch"
        worker = _start(port)
        _until(lambda: len(box.got) >= MESSAGES and len({name for name, _ in box.got}) == MESSAGES, 120)

        def nothing_left() -> bool:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM subscriptions_message")
                return cursor.fetchone() == (0,)

        _until(nothing_left, 20)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    finally:
        if worker is not None and worker.poll() is None:
            worker.kill()
            worker.wait()
        server.stop()

    times = Counter(name for name, _ in box.got)
    assert len(times) == MESSAGES
    doubled = sum(count - 1 for count in times.values())
    assert doubled <= len(in_flight)
    # Whatever came twice is the same message to the same address.
    assert len(set(box.got)) == MESSAGES
    assert len({address for _, address in box.got}) == MESSAGES
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, address, count(*) FROM subscriptions_wish GROUP BY 1, 2")
        assert cursor.fetchall() == [("told", "", MESSAGES)], "and every address is forgotten"
        cursor.execute("SELECT outcome, count(*) FROM subscriptions_delivery GROUP BY 1")
        assert dict(cursor.fetchall()) == {"delivered": MESSAGES}
