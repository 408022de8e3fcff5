"""Many at once, and acts that are cut off: one effect each, or none."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, connections, transaction
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, TODAY, after, make_customer, make_shop, open_one

from fenqi_server.books.proof import prove_shop
from fenqi_server.books.settlement import StillAdding, settle, wait_for_earlier
from fenqi_server.db import in_transaction, sqlstate, use_shop
from fenqi_server.ids import parse_public_id
from fenqi_server.servicing import acts, closing, payoffs, requests, service, unapplied
from fenqi_server.servicing.idempotency import Answer, KeyInFlight, KeyReused, once
from fenqi_server.shops.models import Shop

pytestmark = pytest.mark.usefixtures("committed_db")

THREADS = 8


@pytest.fixture
def shop(committed_db: object) -> Shop:
    return make_shop()


def at_once(jobs: list[Callable[[], Any]], threads: int = THREADS) -> list[Any]:
    """Run jobs in threads that start together; an exception is a result too."""
    gate = threading.Barrier(threads)
    started = threading.local()

    def run(job: Callable[[], Any]) -> Any:
        try:
            if not getattr(started, "yes", False):
                started.yes = True
                gate.wait(10)
            return job()
        except Exception as problem:
            return problem

    def leave() -> None:
        gate.wait(10)
        connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(run, jobs))
        for done in [pool.submit(leave) for _ in range(threads)]:
            done.result()
    return results


def test_a_hundred_requests_with_one_key_pay_once(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    party = parse_public_id(contract)[0]
    calls: list[int] = []

    def act() -> Answer:
        calls.append(1)
        paid = service.pay(shop, contract, 53_600, "request", f"bank-{len(calls)}", AT)
        return Answer(201, paid.payment_id.encode())

    def ask() -> Answer:
        return once(shop, party, "key-1", "idem-1", path="/v1/x", body=b"{}", at=AT, act=act)

    results = at_once([ask] * 100)
    kinds = Counter(type(result).__name__ for result in results)
    assert set(kinds) <= {"Answer", "KeyInFlight"}, results
    assert len({result.body for result in results if isinstance(result, Answer)}) == 1
    assert sum(isinstance(result, Answer) and not result.repeated for result in results) == 1
    assert service.get(shop, contract, TODAY).state.paid_minor == 53_600
    assert prove_shop(shop).ok


def test_a_hundred_callbacks_of_one_payment_book_it_once(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    results = at_once([lambda: service.pay(shop, contract, 53_600, "received", "bank-1", AT)] * 100)
    assert Counter(result.repeated for result in results) == {False: 1, True: 99}
    assert service.get(shop, contract, TODAY).state.paid_minor == 53_600


def test_a_hundred_different_payments_are_all_booked_and_none_above_the_debt_is_taken(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), FREE_3, 100_000)
    results = at_once(
        [lambda n=n: service.pay(shop, contract, 3_000, "request", f"bank-{n}", AT) for n in range(100)]
    )
    kinds = Counter(type(result).__name__ for result in results)
    assert kinds == {"PaymentResult": 33, "Refusal": 67}
    state = service.get(shop, contract, TODAY).state
    assert (state.balance_minor, state.unapplied_minor, len(state.payments)) == (1_000, 0, 33)
    assert prove_shop(shop).ok


def test_two_confirmations_against_one_limit_lend_once(shop: Shop) -> None:
    customer = make_customer(shop, limit_minor=600_000)

    def confirm() -> str | None:
        def act() -> str | None:
            use_shop(shop.id)
            service.lock_customer(shop, customer)
            available = service.standing(shop, customer, TODAY).available_minor
            if available is not None and available < 400_000:
                return None
            return open_one(shop, customer, amount_minor=400_000)

        return in_transaction(act)

    results = at_once([confirm] * THREADS)
    assert sum(isinstance(result, str) for result in results) == 1
    assert service.exposure(shop, customer) == 400_000


def test_several_workers_over_one_day_do_each_contract_once(shop: Shop) -> None:
    for number in range(12):
        open_one(shop, make_customer(shop, f"c-{number}"))
    reports = at_once([lambda: closing.close_day(shop, after(30).date(), after(30))] * 4, threads=4)
    assert sum(report.rows for report in reports) == 12
    assert all(not report.failed for report in reports)
    assert prove_shop(shop).ok


def test_payments_and_the_day_s_run_do_not_disturb_each_other(shop: Shop) -> None:
    contracts = [open_one(shop, make_customer(shop, f"c-{number}")) for number in range(6)]

    def pay(contract: str, number: int) -> Any:
        return service.pay(shop, contract, 10_000, "received", f"p{number}", after(31))

    jobs: list[Callable[[], Any]] = [lambda: closing.close_day(shop, after(31).date(), after(31))] * 4
    jobs += [lambda c=c, n=n: pay(c, n) for n in range(5) for c in contracts]
    results = at_once(jobs)
    assert not [result for result in results if isinstance(result, Exception)]
    assert all(service.get(shop, c, after(31).date()).state.paid_minor == 50_000 for c in contracts)
    assert prove_shop(shop).ok


def _deadlocks(session: psycopg.Connection[Any]) -> int:
    """How many this database has had; a session says so at its end."""
    row = session.execute(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_everything_at_once_on_the_same_customers_locks_nobody_out_and_comes_out_right(
    shop: Shop, as_owner: psycopg.Connection[Any]
) -> None:
    people = [make_customer(shop, f"c-{number}") for number in range(3)]
    contracts = [open_one(shop, people[number % 3], order_ref=f"o-{number}") for number in range(6)]
    stray = []
    for number, contract in enumerate(contracts):
        service.pay(shop, contract, 20_000, "received", f"back-{number}", AT)
        service.pay(shop, f"stray-{number}", 5_000, "received", f"stray-{number}", AT)
    for money in unapplied.unmatched(shop).money:
        stray.append((money.unapplied_id, contracts[int(money.payment_ref.rpartition("-")[2])]))
    first, at = TODAY.replace(month=12), after(31)

    def sent(contract: str, name: str) -> Answer:
        """As the API does it: the key's row first, then the contract's."""

        def act() -> Answer:
            paid = service.pay(shop, contract, 1_000, "received", name, at)
            return Answer(201, paid.payment_id.encode())

        party = parse_public_id(contract)[0]
        return once(shop, party, "shop", name, path="/v1/x", body=b"{}", at=at, act=act)

    jobs: list[Callable[[], Any]] = []
    for number, contract in enumerate(contracts):
        jobs += [lambda c=contract, n=f"p-{number}-{each}": sent(c, n) for each in range(4) for _ in range(2)]
        jobs += [lambda c=contract, n=f"back-{number}": service.reverse(shop, c, n, "bounced", at)] * 2
    jobs += [lambda m=money, c=contract: unapplied.match(shop, m, c, at) for money, contract in stray] * 2
    jobs += [lambda: closing.close_day(shop, at.date(), at)] * 4
    jobs += [
        lambda d=days: service.put_off(
            shop, first, first.replace(day=31), first.replace(day=24 + d), f"outage-{d}", "basis", at
        )
        for days in (1, 2)
    ]
    jobs += [
        lambda c=contract: acts.goodwill(shop, c, "g", 500, at, actor="cli:ann", reason="late")
        for contract in contracts
    ]
    jobs += [lambda c=contract: payoffs.payoff_quote(shop, c, at) for contract in contracts] * 2
    hard = requests.HardshipAsked(reason="income", months=2)
    jobs += [lambda c=contract: requests.open_request(shop, c, hard, at) for contract in contracts] * 2
    jobs += [lambda: settle(shop, f"bank:{TODAY}", at)] * 2
    random.Random(1).shuffle(jobs)
    results = at_once(jobs)
    # A request that meets the same one in flight is told so after a moment; nothing else goes wrong.
    assert not [
        result for result in results if isinstance(result, Exception) and not isinstance(result, KeyInFlight)
    ]
    closing.close_day(shop, at.date(), at)
    for contract in contracts:
        state = service.get(shop, contract, at.date()).state
        paid = {
            payment.payment_id: payment.amount_minor
            for payment in state.payments
            if payment.reversed_on is None
        }
        assert sum(paid.values()) == 4 * 1_000 + 5_000 + 500
        assert state.balance_minor == state.rows[0].total_minor * 12 - 9_500
        assert len(requests.of_contract(shop, contract)) == 1
    assert prove_shop(shop).ok
    assert _deadlocks(as_owner) == 0


def test_the_arrival_of_a_batch_waits_for_a_payment_that_began_before_it(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    inside, leave = threading.Event(), threading.Event()

    def on_its_way() -> None:
        with transaction.atomic():
            service.pay(shop, contract, 3_000, "received", "slow", AT, settlement="bank:1")
            inside.set()
            assert leave.wait(10)

    def in_thread(act: Callable[[], Any]) -> Any:
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        paying = pool.submit(in_thread, on_its_way)
        assert inside.wait(10)
        arriving = pool.submit(in_thread, lambda: settle(shop, "bank:1", after(1)))
        assert not wait([arriving], timeout=0.3).done, "it would have left the payment out"
        leave.set()
        paying.result()
        assert arriving.result() == {"CNY": 3_000}
    assert prove_shop(shop).ok


def test_a_payment_that_comes_behind_the_arrival_of_its_batch_is_no_fault_of_the_book(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 3_000, "received", "early", AT, settlement="bank:1")
    settle(shop, "bank:1", after(1))
    # It was asked for before the batch arrived, and took its time.
    service.pay(shop, contract, 500, "received", "late", AT, settlement="bank:1")
    assert prove_shop(shop).ok
    assert settle(shop, "bank:1", after(1)) == {"CNY": 500}


def test_an_arrival_does_not_wait_for_ever(shop: Shop, committed_db: Any) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 3_000, "received", "early", AT, settlement="bank:1")
    with psycopg.connect(committed_db.service_url) as other:
        other.execute("SELECT pg_current_xact_id()")
        with pytest.raises(StillAdding), transaction.atomic():
            wait_for_earlier(0.05)
    assert settle(shop, "bank:1", after(1)) == {"CNY": 3_000}


def test_an_act_cut_off_in_the_middle_leaves_nothing(
    shop: Shop, committed_db: Any, as_owner: psycopg.Connection[Any]
) -> None:
    contract = open_one(shop, make_customer(shop))
    tables = ("servicing_event", "books_transaction", "servicing_idempotency", "outbox_message")
    counted = " UNION ALL ".join(f"SELECT count(*) FROM {table}" for table in tables)
    before = as_owner.execute(counted).fetchall()
    party = parse_public_id(contract)[0]

    def cut_off() -> Answer:
        service.pay(shop, contract, 53_600, "received", "bank-1", AT)
        # The process is killed: its session ends without a commit.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (session,) = cursor.fetchone()
        with psycopg.connect(committed_db.superuser_url) as killer:
            assert killer.execute("SELECT pg_terminate_backend(%s, 5000)", [session]).fetchone() == (True,)
        return Answer(201, b"")

    with pytest.raises(OperationalError):
        once(shop, party, "key-1", "idem-1", path="/v1/x", body=b"{}", at=AT, act=cut_off)
    connection.close()
    assert as_owner.execute(counted).fetchall() == before
    paid = once(
        shop,
        party,
        "key-1",
        "idem-1",
        path="/v1/x",
        body=b"{}",
        at=AT,
        act=lambda: Answer(
            201, service.pay(shop, contract, 53_600, "received", "bank-1", AT).payment_id.encode()
        ),
    )
    assert not paid.repeated
    assert service.get(shop, contract, TODAY).state.paid_minor == 53_600


class TestOnce:
    def ask(
        self, shop: Shop, key: str = "k", *, path: str = "/p", body: bytes = b"b", client: str = "c"
    ) -> Answer:
        return once(
            shop, shop.id, client, key, path=path, body=body, at=AT, act=lambda: Answer(422, b"refused")
        )

    def test_the_first_answer_is_given_again_a_refusal_too(self, shop: Shop) -> None:
        assert self.ask(shop) == Answer(422, b"refused")
        assert self.ask(shop) == Answer(422, b"refused", repeated=True)

    def test_another_body_or_path_is_422(self, shop: Shop) -> None:
        self.ask(shop)
        for change in ({"body": b"other"}, {"path": "/other"}):
            with pytest.raises(KeyReused) as reused:
                self.ask(shop, **change)  # type: ignore[arg-type]
            assert reused.value.status == 422

    def test_another_client_or_customer_has_keys_of_its_own(self, shop: Shop) -> None:
        self.ask(shop)
        assert not self.ask(shop, client="d").repeated
        other = make_customer(shop)
        answer = once(shop, other, "c", "k", path="/p", body=b"b", at=AT, act=lambda: Answer(200, b""))
        assert not answer.repeated

    def test_what_raises_leaves_the_key_unused(self, shop: Shop) -> None:
        def broken() -> Answer:
            raise RuntimeError("broken on purpose")

        with pytest.raises(RuntimeError):
            once(shop, shop.id, "c", "k", path="/p", body=b"b", at=AT, act=broken)
        assert not self.ask(shop).repeated

    def test_one_in_flight_is_409(self, shop: Shop) -> None:
        inside, leave = threading.Event(), threading.Event()

        def slow() -> Answer:
            inside.set()
            assert leave.wait(10)
            return Answer(200, b"slow")

        def first() -> Answer:
            try:
                return once(shop, shop.id, "c", "k", path="/p", body=b"b", at=AT, act=slow)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(first)
            assert inside.wait(10)
            with pytest.raises(KeyInFlight) as in_flight:
                self.ask(shop)
            assert in_flight.value.status == 409
            leave.set()
            assert running.result().body == b"slow"
        assert self.ask(shop) == Answer(200, b"slow", repeated=True)


def test_a_deadlock_is_run_again_and_both_acts_happen(shop: Shop, as_owner: psycopg.Connection[Any]) -> None:
    both = [make_customer(shop, "a"), make_customer(shop, "b")]
    gate = threading.Barrier(2)
    tries: list[int] = []

    def crossing(first: int) -> Callable[[], int]:
        def act() -> int:
            tries.append(first)
            service.lock_customer(shop, both[first])
            if len(tries) <= 2:
                gate.wait(10)
            service.lock_customer(shop, both[1 - first])
            return first

        return lambda: in_transaction(act)

    assert at_once([crossing(0), crossing(1)], threads=2) == [0, 1]
    # One was the victim at least once; it may meet the other again before that one is through.
    assert len(tries) >= 3
    assert set(tries) == {0, 1}
    assert _deadlocks(as_owner) >= 1


def test_an_act_inside_a_transaction_belongs_to_it(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))

    def change_of_mind() -> None:
        with transaction.atomic():
            service.pay(shop, contract, 100, "received", "x", AT)
            raise RuntimeError("the caller changed its mind")

    with pytest.raises(RuntimeError):
        change_of_mind()
    assert service.get(shop, contract, TODAY).state.paid_minor == 0


def test_the_shop_named_in_a_transaction_does_not_outlive_it(shop: Shop) -> None:
    other = make_shop("other")
    use_shop(shop.id)

    def named() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('fenqi.shop_id', true)")
            return str(cursor.fetchone()[0])

    with transaction.atomic():
        use_shop(other.id)
        assert named() == str(other.id)
        use_shop(shop.id)
        assert named() == str(shop.id)
        use_shop(other.id)
    assert named() == str(shop.id)
    use_shop(other.id)
    assert named() == str(other.id)
    assert sqlstate(ValueError()) is None
