"""The lives of `tests.trust.simulation`, lived once more through the real API over the real PostgreSQL.

The same seeds make up what happens. Here each event is asked for as a shop would ask (`CALLS`), over HTTP and through a proxy that
cuts, delays, doubles and garbles (`proxy`); what is not known is asked again. The pure core is told the same, and is held to the second
reckoning step by step as always. At the end the service has to have every event once and in the same order, and what its answers
and its book say has to be what the second reckoning says, account by account.

Time is one for all, as it is for a service: it goes on from day to day, and days are closed as it does.
"""

from __future__ import annotations

import hashlib
import heapq
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from tests.trust.calls import CALLS, TOLD_AGAIN, payment_body
from tests.trust.model import Figures, reckon
from tests.trust.proxy import FAULTS, Proxy
from tests.trust.sales import Life
from tests.trust.simulation import LIVES, step

from fenqi.contracts.contract import replay
from fenqi.contracts.events import (
    Charged,
    Confirmed,
    DueReached,
    Event,
    EventRefused,
    PaymentReceived,
    decode_event,
)

__all__ = ["CALLS", "Differs", "Played", "play"]

TIMEOUT: Final = 30.0
SHORT: Final = 0.3
"""How long a client waits that is going to hear nothing."""
NOON: Final = 4
"""UTC; noon in the shop."""
EVENTS_A_LIFE: Final = 16
SHARES: Final = ("sale", "lease", "pledge", "sale", "lease", "ruled sale", "lease", "sale")
"""Which forms the contracts have, one after another."""


class Differs(AssertionError):
    """The service came to something else. The message names the seed, the contract, and what was told to it."""


@dataclass(slots=True)
class Played:
    """What a run did. Both digests are of every contract's status, what it owes and holds, and its accounts."""

    seed: str
    lives: int = 0
    events: int = 0
    refused: int = 0
    repeated: int = 0
    requests: int = 0
    days: int = 0
    told: Counter[str] = field(default_factory=Counter)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0
    core: str = ""
    service: str = ""

    def __str__(self) -> str:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(self.told.items()))
        return (
            f"seed {self.seed}: {self.events} events of {self.lives} contracts ({told}), {self.refused} refused, over"
            f" {self.days} days; {self.requests} requests, {sum(self.faults.values())} of them with a fault; sha256"
            f" {self.service[:16]}; {self.seconds:.0f} s"
        )


@dataclass(slots=True)
class Lived:
    """A life with its contract in the service."""

    number: int
    life: Life
    contract: str
    contract_id: UUID
    wire: random.Random
    """Draws what goes wrong on the way: what happens to the contract is the same without it."""
    left: int
    opened_on: date
    asked: int = 0
    waits_for: type | None = None
    """What is going to happen on the day on which it goes on."""


class Client:
    """One thread's connections to the proxy, and what a caller does who gets no answer: ask again with the same key."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None
        self.last = "nothing"

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, key: str = "", fault: str = ""
    ) -> tuple[int, bool, bytes] | None:
        """Status, whether it was answered before, and the body; None where nothing is known."""
        headers = dict(self._headers)
        if key:
            headers["Idempotency-Key"] = key
        if fault:
            headers["X-Fault"] = fault
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        try:
            if self._connection.sock is None:
                self._connection.connect()
            self._connection.sock.settimeout(SHORT if fault == "half open" else TIMEOUT)
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None
        if answer.status >= 500 or (answer.status == 409 and b"idempotency_key_in_flight" in said):
            self.last = f"{answer.status} {said[:300]!r}"
            return None
        return answer.status, answer.headers.get("Idempotent-Replayed") == "true", said

    def surely(self, path: str, body: bytes, key: str, fault: str) -> tuple[int, bool, bytes]:
        """An answer, however often it has to be asked for."""
        said = self.ask("POST", path, body, key=key, fault=fault)
        ends = time.monotonic() + TIMEOUT
        while said is None:
            if time.monotonic() > ends:
                raise Differs(
                    f"{path} with key {key} was not answered in {TIMEOUT:.0f} s, but with {self.last}: {body!r}"
                )
            time.sleep(0.01)
            said = self.ask("POST", path, body, key=key)
        return said


class Play:
    """A seed's lives over one shop."""

    def __init__(self, seed: str, shop: Any, key: str, upstream: int, threads: int) -> None:
        self.played = Played(seed)
        self.shop = shop
        self.threads = threads
        self.proxy = Proxy(upstream)
        self._key = key
        self._own = threading.local()
        self._lock = threading.Lock()
        self.lived: dict[int, Lived] = {}
        self.pool = ThreadPoolExecutor(threads)
        """Each thread has a connection to the proxy, and one to the database for what is asked for inside."""

    # ------------------------------------------------------------------------------------------------------- time

    def now(self) -> datetime:
        from fenqi_server.demo import clock

        return clock.now()

    def end(self) -> None:
        """Close what every thread holds."""
        from django.db import connections

        gate = threading.Barrier(self.threads)

        def leave() -> None:
            gate.wait(60)
            connections.close_all()

        for done in [self.pool.submit(leave) for _ in range(self.threads)]:
            done.result()
        self.pool.shutdown()
        self.proxy.close()

    def _go_to(self, day: date) -> None:
        from fenqi_server.demo import clock

        at = datetime(day.year, day.month, day.day, NOON, tzinfo=UTC)
        if at > clock.now():
            clock.move_to(at)

    def close(self, day: date) -> None:
        """Every due date that has come, by two workers at once; and the core is told of it."""
        from fenqi_server.servicing import closing

        began = self.now()

        def work() -> Any:
            return closing.close_day(self.shop, day, self.now())

        reports = [done.result() for done in [self.pool.submit(work), self.pool.submit(work)]]
        # What one of them held when the other came by is left to the next: each may have found the other at the only one that is due.
        reports.append(closing.close_day(self.shop, day, self.now()))
        if any(report.failed for report in reports):
            raise Differs(f"seed {self.played.seed}: {day} could not be closed: {reports}")
        rows = self._reached(day, began)
        if rows != sum(report.rows for report in reports):
            raise Differs(f"seed {self.played.seed}: {rows} rows were due until {day}, not {reports}")

    def _reached(self, day: date, began: datetime) -> int:
        """What closing told the contracts since `began`: each due date that has come, once, and what being late cost."""
        from django.db import connection

        from fenqi_server.db import use_shop
        from fenqi_server.servicing.storage import EVENT_SQL

        use_shop(self.shop.id)
        told: dict[UUID, list[Event]] = {}
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT contract_id, {EVENT_SQL} FROM servicing_event AS e WHERE recorded_at >= %s"
                " ORDER BY contract_id, seq",
                [began],
            )
            for contract_id, body in cursor.fetchall():
                told.setdefault(contract_id, []).append(decode_event(body))
        rows = 0
        for lived in self.lived.values():
            life = lived.life
            life.today, life.clock = max(life.today, day), int(self.now().timestamp())
            for event in told.get(lived.contract_id, []):
                waiting = _waiting(lived, day)
                if isinstance(event, DueReached):
                    rows += 1
                    expected = (event.occurred_on, event.row) in waiting
                else:
                    expected = isinstance(event, Charged) and event.charge_id == f"late:{day}"
                dated = msgspec.structs.replace(event, recorded_at=life.clock)
                if not expected or not self.tell(lived, dated):
                    why = _refused(lived.life, dated)
                    raise self.differs(
                        lived, f"closing {day} tells it {event} ({why}); {waiting} were waiting"
                    )
            if waiting := _waiting(lived, day):
                raise self.differs(lived, f"{waiting} are not recorded, and {day} is closed")
        return rows

    # ------------------------------------------------------------------------------------------------------- lives

    def open(self, number: int, day: date) -> Lived:
        """A contract as it is agreed: its terms are the simulation's, with a plan of their own (an outage then moves them alone)."""
        from django.db import transaction

        from fenqi_server.customers import service as customers
        from fenqi_server.db import use_shop
        from fenqi_server.ids import uuid7
        from fenqi_server.servicing import service as servicing
        from fenqi_server.servicing import storage

        seed = self.played.seed
        life = begun(seed, number)
        plan = msgspec.structs.replace(life.terms.plan, id=f"{life.terms.plan.id}_{number}")
        life.terms = msgspec.structs.replace(life.terms, plan=plan)
        life.faults = {**life.faults, "clock back": 0.0, "clock forward": 0.0}
        life.today = day
        at = self.now()
        life.clock = int(at.timestamp())
        customer = customers.ensure(self.shop, f"c-{number // 3}", at)
        # As `servicing.open_contract` does it, which makes terms of a plan's schedule: here they are made.
        stored = storage.Stored(
            shop_id=self.shop.id,
            customer_id=customer,
            contract_id=uuid7(at),
            order_ref=f"order-{number}",
            decision_id="",
            created_at=at,
            terms=life.terms,
            events=[],
            booked={},
        )
        with transaction.atomic():
            use_shop(self.shop.id)
            servicing.lock_customer(self.shop, customer)
            storage.create(stored, life.terms.currency)
            first = Confirmed(**life.dates())
            storage.append(stored, [first], at, day)
        lived = Lived(
            number,
            life,
            stored.public_id,
            stored.contract_id,
            random.Random(f"{seed}:{number}:wire"),
            life.length,
            day,
        )
        self.tell(lived, first)
        self.lived[number] = lived
        return lived

    def live(self, lived: Lived, day: date) -> int | None:
        """What happens to a contract on a day; after how many days something more will. None at its end."""
        life = lived.life
        while lived.left:
            lived.left -= 1
            life.today, life.clock = day, int(self.now().timestamp())
            life.marks.clear()
            if life.state in life.form.rare and life.state not in life.seen:
                life.seen.add(life.state)
                lived.left += 3
            waited, lived.waits_for = lived.waits_for, None
            kind = waited or _kind(life)
            if kind is None:
                self._told_again(lived)
            else:
                event = life.form.events[kind](life)
                if life.today > day and waited is None:
                    # What it was made for is a later day's: it happens then.
                    days, lived.waits_for = (life.today - day).days, kind
                    lived.left += 1
                    return days
                life.today = day
                if event is not None:
                    CALLS[kind](self, lived, event)
            if life.hits("impossible"):
                event = life.form.impossible(life)
                life.today = day
                if type(event) in CALLS:
                    CALLS[type(event)](self, lived, event)
            if life.chance.random() < 0.1:
                self._again(lived)
            days = life.chance.choice([0, 0, 1, 5, 30])
            if days:
                # Many contracts go on on the same days: there is more at once, and there are fewer days to close.
                return days if days == 1 else days + -(day.toordinal() + days) % 5
        return None

    def tell(self, lived: Lived, event: Event) -> bool:
        """Tell the core. Whether it takes it."""
        taken = step(lived.life, event, False, self.played.seed, lived.number, hashlib.sha256())
        with self._lock:
            self.played.events += taken
            self.played.refused += not taken
            if taken:
                self.played.told[type(event).__name__] += 1
        return taken

    # ------------------------------------------------------------------------------------------------------- calls

    @property
    def client(self) -> Client:
        if not hasattr(self._own, "client"):
            self._own.client = Client(self.proxy.port, self._key)
        client: Client = self._own.client
        return client

    def post(self, lived: Lived, call: str, body: dict[str, Any]) -> tuple[int, Any]:
        """One request that has to have one effect, whatever the way does to it and however often it is sent."""
        lived.asked += 1
        path, key = f"/v1/contracts/{lived.contract}/{call}", f"{lived.number}-{lived.asked}"
        sent = json.dumps(body).encode()
        fault = lived.wire.choice(FAULTS) if lived.wire.random() < 0.2 else ""
        try:
            status, _, said = self.client.surely(path, sent, key, fault)
        except Differs as unknown:
            raise self.differs(lived, str(unknown)) from None
        with self._lock:
            self.played.requests += 1
        if lived.wire.random() < 0.1:
            again = self.client.surely(path, sent, key, "")
            if status == 201 and again != (201, True, said):
                raise self.differs(lived, f"{call} asked again: {again}, not {said!r}")
            if again[0] != status:
                raise self.differs(lived, f"{call} asked again: {again[0]}, not {status}")
        return status, msgspec.json.decode(said)

    def expect(self, lived: Lived, taken: bool, done: bool, what: object) -> None:
        if taken is not done:
            raise self.differs(
                lived, f"the core {'takes' if taken else 'refuses'} it, the service does not: {what}"
            )

    def differs(self, lived: Lived, said: str) -> Differs:
        told = "\n".join(f"  {event!r}" for event in lived.life.told)
        return Differs(
            f"seed {self.played.seed}, contract {lived.number} ({lived.life.terms.plan.id}, {lived.contract}): {said}\n{told}"
        )

    def act(
        self,
        lived: Lived,
        call: str,
        body: dict[str, Any],
        event: Callable[[Any], Event],
        *,
        only: tuple[str, ...] = (),
    ) -> None:
        """Ask for an act; what the service makes of it is `event` of its answer, and the core has to take it, or refuse it too.

        `only` are the service's own refusals, of what the core would take.
        """
        status, said = self.post(lived, call, body)
        if status == 202 or (
            status == 201
            and (
                said.get("act", said).get("repeated")
                or said.get("state") == "open"
                or (said.get("event_seq") or len(lived.life.told) + 1) <= len(lived.life.told)
            )
        ):
            return  # done before, or for a second person to agree to: the contract stays as it is
        if status != 201 and said["code"] in only:
            with self._lock:
                self.played.refused += 1
            return
        made = event(said if status == 201 else {})
        why = _refused(lived.life, made)
        taken = self.tell(lived, made)
        self.expect(lived, taken, status == 201, f"{said}; to the core {why}")

    def _told_again(self, lived: Lived) -> None:
        """What was done, in the same words and with another key: it was done before, and nothing is done now."""
        event = lived.life.some(TOLD_AGAIN)
        if event is None:
            return
        known = len(lived.life.told)
        with self._lock:
            self.played.repeated += 1
        CALLS[type(event)](self, lived, event)
        if len(lived.life.told) != known:
            raise self.differs(lived, f"{event} is told again, and is done again")

    def _again(self, lived: Lived) -> None:
        """The same payment under another key: there is still one. With another amount it is refused."""
        payment = lived.life.some(PaymentReceived)
        if payment is None:
            return
        wrong = lived.wire.random() < 0.3
        status, said = self.post(lived, "payments", payment_body(payment, more=wrong))
        if status != (409 if wrong else 201):
            raise self.differs(lived, f"{payment.payment_id} told again: {status} {said}")

    # --------------------------------------------------------------------------------------------------- looking

    def finish(self, day: date, session: psycopg.Connection[Any]) -> None:
        """Hold what the service has to what the core and the second reckoning say."""
        from fenqi_server.books.proof import prove
        from fenqi_server.servicing.storage import EVENT_SQL

        booked: dict[UUID, dict[int, int]] = {}
        for contract_id, account, minor in session.execute(
            "SELECT contract_id, account, sum(amount_minor)::bigint FROM books_entry WHERE contract_id IS NOT NULL"
            " GROUP BY 1, 2 HAVING sum(amount_minor) <> 0"
        ):
            booked.setdefault(contract_id, {})[account] = minor
        stored: dict[UUID, list[Event]] = {}
        for contract_id, body in session.execute(
            f"SELECT contract_id, {EVENT_SQL} FROM servicing_event AS e ORDER BY contract_id, seq"
        ):
            stored.setdefault(contract_id, []).append(decode_event(body))
        from fenqi_server.ids import parse_public_id

        core, service = hashlib.sha256(), hashlib.sha256()
        for _, lived in sorted(self.lived.items()):
            _, contract_id = parse_public_id(lived.contract, "ct")
            told = [_undated(event) for event in lived.life.told]
            there = [_undated(event) for event in stored.get(contract_id, [])]
            if told != there:
                at = next(
                    (n for n, pair in enumerate(zip(told, there, strict=False)) if pair[0] != pair[1]),
                    min(len(told), len(there)),
                )
                raise self.differs(
                    lived,
                    f"event {at + 1} of {len(told)} is stored as {there[at : at + 1]}, not {told[at : at + 1]}",
                )
            figures = reckon(lived.life.terms, lived.life.told, day, book=lived.life.form.book)
            answer = self.client.ask("GET", f"/v1/contracts/{lived.contract}?as_of={day}")
            if answer is None or answer[0] != 200:
                raise self.differs(lived, f"it is not shown: {answer}")
            shown = msgspec.json.decode(answer[2])
            for name, said, expected in _compared(shown, figures):
                if said != expected:
                    raise self.differs(lived, f"{name} is {said}, not {expected}")
            accounts = booked.get(contract_id, {})
            if accounts != figures.accounts:
                raise self.differs(lived, f"booked is {accounts}, not {figures.accounts}")
            for digest, of in (
                (core, (figures.status, figures.owed, figures.held, sorted(figures.accounts.items()))),
                (
                    service,
                    (
                        shown["status"],
                        shown["balance_minor"],
                        shown["unapplied_minor"],
                        sorted(accounts.items()),
                    ),
                ),
            ):
                digest.update(repr((lived.number, *of)).encode())
        self.played.core, self.played.service = core.hexdigest(), service.hexdigest()
        if self.played.core != self.played.service:
            raise Differs(f"seed {self.played.seed}: the digests differ")
        report = prove(session)
        if not report.ok or report.replayed != report.contracts:
            raise Differs(
                f"seed {self.played.seed}: the book is not proved: "
                + "; ".join(problem.sentence for problem in report.problems)
            )


def begun(seed: str, number: int) -> Life:
    """The life of a seed's contract, of whichever form."""
    life = LIVES[SHARES[number % len(SHARES)]].begin(seed, number)
    # There are not so many of them here that half of them may come to nothing.
    life.follows = max(life.follows, 0.6)
    return life


def _kind(life: Life) -> type | None:
    """What happens next, of what there is a call for; None for what was told already."""
    form, chance, state = life.form, life.chance, life.state
    if life.hits("told twice"):
        return None
    kinds = [kind for kind in CALLS if kind in form.events]
    follows = [kind for kind in form.follows(life, state) if kind in CALLS]
    if follows and chance.random() < life.follows:
        return chance.choice(follows)
    odds = [life.weights.get(kind, 1) for kind in kinds]
    (kind,) = chance.choices(kinds, odds)
    if (kind.__name__, state) in form.cannot and chance.random() < 0.6:
        (kind,) = chance.choices(kinds, odds)
    return kind


def _waiting(lived: Lived, day: date) -> set[tuple[date, int]]:
    """The rows that are due by a day and were not told so: their days and numbers. Nothing falls due before it is agreed."""
    rows = lived.life.stands.rows if lived.life.stands is not None else []
    return {(max(row[1], lived.opened_on), row[0]) for row in rows if not row[3] and row[1] <= day}


def _refused(life: Life, event: Event) -> str:
    """Why the core refuses an event."""
    try:
        replay(life.terms, [*life.told, event], max(life.today, life.latest))
    except EventRefused as refusal:
        return str(refusal)
    return "it is taken"


def _undated(event: Event) -> Event:
    """Without the instant at which it was learnt of, which is the machine's."""
    return msgspec.structs.replace(event, recorded_at=0)


def _compared(shown: dict[str, Any], figures: Figures) -> Iterator[tuple[str, object, object]]:
    """Each figure of an answer beside what the second reckoning says."""
    for name, expected in (
        ("status", figures.status),
        ("balance_minor", figures.owed),
        ("unapplied_minor", figures.held),
        ("overdue_minor", figures.overdue),
        ("days_past_due", figures.days_late),
    ):
        yield name, shown[name], expected
    yield "refund_due_minor", shown["refund_due_minor"], figures.acts[0]
    yield "lease or pledge", _stands(shown), figures.more
    yield (
        "rows",
        [(r["number"], r["due_on"], r["total_minor"], r["paid_minor"], r["status"]) for r in shown["rows"]],
        [
            (row[0], row[1].isoformat(), sum(row[-2].values()), sum(row[-1].values()), row[2])
            for row in figures.rows
        ],
    )
    yield (
        "payments",
        [
            (
                p["payment_ref"],
                p["unapplied_minor"],
                p["reversed_on"],
                _used(p["parts"]),
            )
            for p in shown["payments"]
        ],
        [
            (
                name,
                unused,
                gone.isoformat() if gone else None,
                {key: minor for key, minor in used.items() if minor},
            )
            for name, _, unused, gone, *_, used in figures.payments
        ],
    )


def _stands(shown: dict[str, Any]) -> tuple[Any, ...]:
    """Where a lease or a pledge stands, as `Figures.more` says it."""
    lease, pledge = shown["lease"], shown["pledge"]
    if lease is not None:
        return (
            _day(lease["term_ends_on"]),
            lease["awaits"],
            lease["outcome"],
            _day(lease["ended_on"]),
            _day(lease["handed_over_on"]),
            lease["renewed_periods"],
            lease["deposit_form"],
            (
                lease["deposit_minor"],
                lease["deposit_held_minor"],
                lease["deposit_applied_minor"],
                lease["deposit_lost_minor"],
                lease["deposit_released_minor"],
            ),
            (lease["asset_minor"], lease["depreciated_minor"]),
            lease["buyout_minor"],
            lease["finding"],
        )
    if pledge is not None:
        days = (_day(pledge[name]) for name in ("until", "captured_on", "released_on"))
        return pledge["stage"], pledge["authorisation"], *days
    return ()


def _day(said: str | None) -> date | None:
    return None if said is None else date.fromisoformat(said)


def _used(parts: list[dict[str, Any]]) -> dict[tuple[int, str], int]:
    """What a payment paid, row by row and part by part: some of it may have been used later than the rest."""
    used: dict[tuple[int, str], int] = {}
    for each in parts:
        for part in ("penalty", "fee", "interest", "principal", "rent", "deposit"):
            if each[f"{part}_minor"]:
                used[each["row"], part] = used.get((each["row"], part), 0) + each[f"{part}_minor"]
    return used


def play(
    seed: str,
    events: int,
    *,
    shop: Any,
    key: str,
    upstream: int,
    owner_url: str,
    threads: int = 3,
    until: date = date.max,
    at_end: Callable[[Play, date, psycopg.Connection[Any]], object] = lambda *_: None,
) -> Played:
    """So many events or some more, of the lives that were agreed to begin by `until`, each within a fortnight of then.

    Raises `Differs`, or `Break` of the pure core.
    """
    began = time.monotonic()
    going = Play(seed, shop, key, upstream, threads)
    played = going.played
    heap: list[tuple[date, int]] = []
    day, number = date.min, 0
    try:
        while True:
            while played.events + EVENTS_A_LIFE * len(heap) < events:
                number += 1
                life = begun(seed, number)
                if life.today > until:
                    continue
                played.lives += 1
                # What is rented is handed over soon after the day that its rents run from.
                begins = max(day, life.today) + timedelta(days=number % (3 if life.terms.lease else 14))
                heapq.heappush(heap, (begins, number))
            if not heap:
                break
            if heap[0][0] > day:
                day = heap[0][0]
                going._go_to(day)
                going.close(day)
                played.days += 1
            awake = []
            while heap and heap[0][0] == day:
                _, each = heapq.heappop(heap)
                awake.append(going.lived.get(each) or going.open(each, day))
            # Contracts of one customer, and of others, at once.
            for lived, days in zip(awake, going.pool.map(going.live, awake, [day] * len(awake)), strict=True):
                if days is not None:
                    heapq.heappush(heap, (day + timedelta(days=days), lived.number))
        with psycopg.connect(owner_url, autocommit=True) as session:
            session.execute("SET row_security = off")
            going.finish(day, session)
            at_end(going, day, session)
    finally:
        going.end()
    played.faults = going.proxy.done
    played.seconds = time.monotonic() - began
    return played
