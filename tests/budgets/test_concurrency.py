"""Many confirmations at once, in several processes and threads, and one killed: never a fen too much."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from tests.api.world import AT
from tests.budgets.policies import with_purses

PROCESSES = 3
THREADS = 4

# Each process confirms as long as it is let, and prints what it has taken, order by order.
_CONFIRMS = """
import sys, threading
import django
django.setup()
from django.db import connection
from datetime import datetime, timedelta
from uuid import UUID
from fenqi.checkout.request import Line
from fenqi_server import clock
from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.shops import service as shops
at = datetime.fromisoformat(sys.argv[1])
number, threads, orders = map(int, sys.argv[2:5])
clock.set_source(lambda: at)
shop = shops.by_code("mall")
facts = {"customer.age": 30, "customer.student": False, "customer.real_name_verified": True}
lock = threading.Lock()

def run(thread):
    customer = customers.find(shop, f"c-{number}-{thread}")
    phone = Line("phone", "Phone", "phones", "goods", 1, 100_000 + 1_000 * thread, "mall")
    for order in range(orders):
        shown = decisions.evaluate(shop, customer, [phone], "web", facts, at)
        if "mall_3" not in shown.quotes:
            break
        try:
            token = shown.quotes["mall_3"].token
            begun = decisions.begin_reading(shop, customer, token, at - timedelta(seconds=10))
            decisions.confirm(
                shop, customer, token, f"o-{thread}-{order}", begun.digest, at, reading=begun.note
            )
        except decisions.Refused as refused:
            assert refused.code == "verdict_changed", refused
            continue
        with lock:
            print(phone.unit_price_minor, flush=True)
    connection.close()

started = [threading.Thread(target=run, args=(each,)) for each in range(threads)]
[each.start() for each in started]
[each.join() for each in started]
"""


@pytest.fixture
def busy_mall(committed_mall):
    from fenqi_server.customers import service as customers

    begun = AT - timedelta(days=365)
    for number in range(PROCESSES + 1):
        for thread in range(THREADS):
            customers.ensure(committed_mall.shop, f"c-{number}-{thread}", begun, limit_minor=900_000_000)
    return committed_mall


def _publish(mall, total_minor):
    from fenqi_server.policies import service as policies

    policies.publish(
        mall.shop,
        with_purses(total_minor=total_minor),
        AT - timedelta(days=1),
        "test",
        silent_reason="a test",
    )


def _start(number, orders):
    return subprocess.Popen(
        [sys.executable, "-c", _CONFIRMS, AT.isoformat(), str(number), str(THREADS), str(orders)],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _standing(mall):
    from fenqi_server.budgets import service as budgets
    from fenqi_server.policies import service as policies

    (found,) = budgets.standings(mall.shop, policies.current(mall.shop.id, AT), AT)
    return found


def _booked(mall):
    """What the contracts themselves say: the budget's own rows are not their own witness."""
    from django.db import connection

    from fenqi_server.db import use_shop

    use_shop(mall.shop.id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), coalesce(sum(principal_outstanding_minor), 0) FROM servicing_state")
        return cursor.fetchone()


def test_processes_and_threads_together_spend_the_budget_to_its_end_and_no_fen_further(busy_mall):
    total = 3_000_000
    _publish(busy_mall, total)
    running = [_start(number, 100) for number in range(PROCESSES)]
    taken = []
    for process in running:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        taken += [int(line) for line in out.split()]
    count, booked = _booked(busy_mall)
    assert (len(taken), sum(taken)) == (count, booked)
    assert booked <= total, "overshoot"
    assert total - booked < 100_000, "what is left is too little for any of these orders"
    standing = _standing(busy_mall)
    assert (standing.used_minor, standing.left_minor) == (booked, total - booked)


def test_a_killed_processs_slices_come_back_when_their_lease_is_over(busy_mall):
    from fenqi_server import clock
    from fenqi_server.budgets import service as budgets

    total = 900_000_000
    _publish(busy_mall, total)
    victim = _start(0, 10_000)
    assert victim.stdout.readline(), victim.stderr.read()
    time.sleep(0.3)
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=30)
    # Its open transactions end with its sessions.
    deadline = time.monotonic() + 10
    while True:
        count, booked = _booked(busy_mall)
        if _standing(busy_mall).used_minor == booked or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    standing = _standing(busy_mall)
    assert standing.used_minor == booked
    assert count >= 1
    assert standing.leased_minor > 0, "the dead one held more than it used"
    later = clock.system_now() + timedelta(seconds=budgets.LEASE_SECONDS + 1)
    assert budgets.reclaim(busy_mall.shop, later) >= 1
    standing = _standing(busy_mall)
    assert (standing.leased_minor, standing.free_minor) == (0, total - booked)
