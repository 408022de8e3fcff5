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
from tests.trust.model import Figures, reckon
from tests.trust.proxy import FAULTS, Proxy
from tests.trust.sales import EVENTS, Life, begin
from tests.trust.simulation import step

from fenqi.contracts.contract import replay
from fenqi.contracts.events import (
    Accelerated,
    AllocatedByInstruction,
    Cancelled,
    Charged,
    Confirmed,
    DueDayChanged,
    DueMoved,
    DueReached,
    Event,
    EventRefused,
    GoodsReturned,
    GoodwillGranted,
    PaidBack,
    Paused,
    PaymentReceived,
    PaymentReversed,
    PayoffQuoted,
    ReAged,
    ReAmortised,
    Recovered,
    RefundPaid,
    Shipped,
    UnappliedRefunded,
    Waived,
    WrittenOff,
    decode_event,
)

__all__ = ["CALLS", "Differs", "Played", "play"]

TIMEOUT: Final = 30.0
SHORT: Final = 0.7
"""How long a client waits that is going to hear nothing."""
NOON: Final = 4
"""UTC; noon in the shop."""
EVENTS_A_LIFE: Final = 16
REASON: Final = "as agreed"


class Differs(AssertionError):
    """The service came to something else. The message names the seed, the contract, and what was told to it."""


@dataclass(slots=True)
class Played:
    """What a run did. Both digests are of every contract's status, what it owes and holds, and its accounts."""

    seed: str
    lives: int = 0
    events: int = 0
    refused: int = 0
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
    asked: int = 0


class Client:
    """One thread's connections to the proxy, and what a caller does who gets no answer: ask again with the same key."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

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
            return None
        return answer.status, answer.headers.get("Idempotent-Replayed") == "true", said

    def surely(self, path: str, body: bytes, key: str, fault: str) -> tuple[int, bool, bytes]:
        """An answer, however often it has to be asked for."""
        said = self.ask("POST", path, body, key=key, fault=fault)
        ends = time.monotonic() + TIMEOUT
        while said is None:
            if time.monotonic() > ends:
                raise Differs(f"{path} with key {key} was not answered in {TIMEOUT:.0f} s")
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
                waiting = _waiting(life, day)
                if isinstance(event, DueReached):
                    rows += 1
                    expected = (event.occurred_on, event.row) in waiting
                else:
                    expected = isinstance(event, Charged) and event.charge_id == f"late:{day}"
                dated = msgspec.structs.replace(event, recorded_at=life.clock)
                if not expected or not self._tell(lived, dated):
                    why = _refused(lived.life, dated)
                    raise self.differs(
                        lived, f"closing {day} tells it {event} ({why}); {waiting} were waiting"
                    )
            if waiting := _waiting(life, day):
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
        life = begin(seed, number)
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
        )
        self._tell(lived, first)
        self.lived[number] = lived
        return lived

    def live(self, lived: Lived, day: date) -> int | None:
        """What happens to a contract on a day; after how many days something more will. None at its end."""
        life = lived.life
        while lived.left:
            lived.left -= 1
            life.today, life.clock = day, int(self.now().timestamp())
            life.marks.clear()
            kinds = [kind for kind in CALLS if kind in EVENTS]
            weights = [life.weights.get(kind, 1) for kind in kinds]
            kind = life.chance.choices(kinds, weights)[0]
            event = EVENTS[kind](life)
            life.today = day
            if event is not None:
                CALLS[kind](self, lived, event)
                if life.chance.random() < 0.1:
                    self._again(lived)
            days = life.chance.choice([0, 0, 1, 5, 30])
            if days:
                return days
        return None

    def _tell(self, lived: Lived, event: Event) -> bool:
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
        status, _, said = self.client.surely(path, sent, key, fault)
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
        if status == 202 or (status == 201 and (said.get("repeated") or said.get("state") == "open")):
            return  # done before, or for a second person to agree to: the contract stays as it is
        if status != 201 and said["code"] in only:
            with self._lock:
                self.played.refused += 1
            return
        made = event(said if status == 201 else {})
        why = _refused(lived.life, made)
        taken = self._tell(lived, made)
        self.expect(lived, taken, status == 201, f"{said}; to the core {why}")

    def _again(self, lived: Lived) -> None:
        """The same payment under another key: there is still one. With another amount it is refused."""
        payment = lived.life.some(PaymentReceived)
        if payment is None:
            return
        wrong = lived.wire.random() < 0.3
        status, said = self.post(lived, "payments", _payment(payment, more=wrong))
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
            figures = reckon(lived.life.terms, lived.life.told, day)
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


def _waiting(life: Life, day: date) -> set[tuple[date, int]]:
    """The rows that are due by a day and were not told so: their days and numbers."""
    rows = life.stands.rows if life.stands is not None else []
    return {(row[1], row[0]) for row in rows if not row[3] and row[1] <= day}


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


def _used(parts: list[dict[str, Any]]) -> dict[tuple[int, str], int]:
    """What a payment paid, row by row and part by part: some of it may have been used later than the rest."""
    used: dict[tuple[int, str], int] = {}
    for each in parts:
        for part in ("penalty", "fee", "interest", "principal"):
            if each[f"{part}_minor"]:
                used[each["row"], part] = used.get((each["row"], part), 0) + each[f"{part}_minor"]
    return used


# ----------------------------------------------------------------------------------------------------- how it is asked for


def _payment(event: PaymentReceived, *, more: bool = False) -> dict[str, Any]:
    body: dict[str, Any] = {
        "amount_minor": event.amount_minor + more,
        "currency": "CNY",
        "kind": "received",
        "payment_ref": event.payment_id,
        "occurred_on": event.occurred_on.isoformat(),
        "settles": event.settles,
    }
    if event.channel == "cash":
        body["cash"] = {"till": "front", "operator": "ann"}
    else:
        body["channel"] = event.channel
    return body


def _pay(play: Play, lived: Lived, event: PaymentReceived) -> None:
    life = lived.life
    channel = event.channel
    event = PaymentReceived(
        **life.dates(min(event.occurred_on, life.today)),
        payment_id=event.payment_id,
        amount_minor=event.amount_minor,
        settlement=f"cash:front:{life.today}" if channel == "cash" else f"{channel}:{life.today}",
        channel=channel,
        operator="ann" if channel == "cash" else "",
        settles=event.settles,
    )
    taken = play._tell(lived, event)
    status, said = play.post(lived, "payments", _payment(event))
    play.expect(lived, taken, status == 201, said)


def _take_back(play: Play, lived: Lived, event: PaymentReversed) -> None:
    life = lived.life
    paid = [e for e in life.told if isinstance(e, PaymentReceived) and e.payment_id == event.payment_id]
    channel = paid[0].channel if paid else "bank"
    event = PaymentReversed(
        **life.dates(),
        payment_id=event.payment_id,
        # Cash goes back out of the till that it went into.
        settlement=f"cash:front:{life.today}" if channel == "cash" else f"{channel}:{life.today}",
        reason=event.reason,
    )
    # Only money is taken back as a payment: goodwill stays granted.
    granted = any(isinstance(e, GoodwillGranted) and e.payment_id == event.payment_id for e in life.told)
    taken = not granted and play._tell(lived, event)
    status, said = play.post(lived, "reversals", {"payment_ref": event.payment_id, "reason": event.reason})
    play.expect(lived, taken, status == 201, said)


def _put_off(play: Play, lived: Lived, event: DueMoved) -> None:
    """An outage over the days of one row: what is open of the rows that are due then is put off, or nothing of it."""
    from fenqi_server.servicing import service as servicing

    life = lived.life
    assert life.stands is not None
    days = {row[0]: row[1] for row in life.stands.rows}
    first = days.get(event.row)
    if first is None or event.to <= first:
        return
    moved = [
        row[0]
        for row in life.stands.rows
        if row[1] == first
        and sum(row[-2].values()) > sum(row[-1].values())
        and life.stands.status == "active"
    ]
    told = []
    for number in reversed(moved):
        told.append(
            DueMoved(
                seq=len(life.told) + 1 + len(told),
                occurred_on=life.today,
                recorded_at=life.clock,
                row=number,
                to=event.to,
                basis=event.basis,
                announcement=event.basis,
            )
        )
    report = servicing.put_off(
        play.shop,
        first,
        first,
        event.to,
        event.basis,
        event.basis,
        play.now(),
        plans=frozenset([life.terms.plan.id]),
    )
    if report.failed:
        if len(told) > 1:
            return  # one of several rows stands in the way: none is moved
        play.expect(lived, play._tell(lived, told[0]), False, report)
        return
    if report.rows != len(told):
        raise play.differs(lived, f"{report} for {told}")
    for each in told:
        play.expect(lived, play._tell(lived, each), True, report)


_CONCEDED: Final = ("above_debt", "request_open", "cannot_follow")


def _grant(play: Play, lived: Lived, event: GoodwillGranted) -> None:
    dates = lived.life.dates()
    # More than is owed is not given, and nothing where nothing is owed.
    play.act(
        lived,
        "goodwill",
        {
            "reference": f"{event.payment_id}-{lived.asked}",
            "amount_minor": event.amount_minor,
            "reason": REASON,
        },
        lambda said: GoodwillGranted(
            **dates,
            payment_id=f"goodwill:{said.get('request_id')}",
            amount_minor=event.amount_minor,
            reason=REASON,
        ),
        only=_CONCEDED,
    )


def _waive(play: Play, lived: Lived, event: Waived) -> None:
    dates = lived.life.dates()
    body = {
        "reference": f"{event.waiver_id}-{lived.asked}",
        "part": event.part,
        "amount_minor": event.amount_minor,
        "reason": REASON,
    }
    play.act(
        lived,
        "waivers",
        body if event.row is None else {**body, "row": event.row},
        lambda said: Waived(
            **dates,
            waiver_id=said.get("request_id", "none"),
            part=event.part,
            amount_minor=event.amount_minor,
            row=event.row,
            reason=REASON,
        ),
        only=("above_debt", "request_open"),
    )


def _write_off(play: Play, lived: Lived, event: WrittenOff) -> None:
    dates = lived.life.dates()
    play.act(
        lived,
        "write-off",
        {"reference": f"off-{lived.asked}", "reason": REASON},
        lambda _: WrittenOff(**dates, reason=REASON),
        only=("request_open",),
    )


def _charge(play: Play, lived: Lived, event: Charged) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    play.act(
        lived,
        "charges",
        {
            "charge_id": event.charge_id,
            "part": event.part,
            "amount_minor": event.amount_minor,
            "code": event.code,
            "due_on": event.due_on.isoformat(),
            "reason": REASON,
        },
        lambda _: told,
    )


def _refund_held(play: Play, lived: Lived, event: UnappliedRefunded) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates(), settlement="bank:out")
    play.act(
        lived,
        "unapplied-refunds",
        {"refund_id": event.refund_id, "amount_minor": event.amount_minor, "settlement": "bank:out"},
        lambda _: told,
    )


def _pay_back(play: Play, lived: Lived, event: PaidBack) -> None:
    number = event.payment_id
    told = PaidBack(
        **lived.life.dates(),
        payment_id=f"back:{number}",
        amount_minor=event.amount_minor,
        settlement="bank:out",
    )
    play.act(
        lived,
        "pay-backs",
        {
            "refund_id": number,
            "amount_minor": event.amount_minor,
            "settlement": "bank:out",
            "reason": REASON,
        },
        lambda _: told,
        # What goodwill paid is not paid back as money.
        only=("above_paid",),
    )


def _ship(play: Play, lived: Lived, event: Shipped) -> None:
    life = lived.life
    on = min(event.occurred_on, life.today)
    told = Shipped(**life.dates(on), shipment_id=event.shipment_id)
    play.act(
        lived,
        "shipments",
        {"shipment_id": event.shipment_id, "occurred_on": on.isoformat()},
        lambda _: told,
    )


def _cancel(play: Play, lived: Lived, event: Cancelled) -> None:
    told = Cancelled(**lived.life.dates(), reason=REASON, goodwill="taken_back")
    play.act(lived, "cancellation", {"reason": REASON}, lambda _: told)


def _return_goods(play: Play, lived: Lived, event: GoodsReturned) -> None:
    life = lived.life
    on = min(event.occurred_on, life.today)
    told = msgspec.structs.replace(event, **life.dates(on), goodwill="taken_back")
    play.act(
        lived,
        "returns",
        {
            "return_id": event.return_id,
            "amount_minor": event.amount_minor,
            "for_other_sellers_minor": event.for_other_sellers_minor,
            "occurred_on": on.isoformat(),
        },
        lambda _: told,
    )


def _pay_refund(play: Play, lived: Lived, event: RefundPaid) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates(), settlement="bank:out")
    play.act(
        lived,
        "refunds",
        {
            "refund_id": event.refund_id,
            "amount_minor": event.amount_minor,
            "currency": "CNY",
            "settlement": "bank:out",
        },
        lambda _: told,
    )


def _quote(play: Play, lived: Lived, event: PayoffQuoted) -> None:
    life = lived.life
    dates = life.dates()
    known = {each.quote_id for each in life.told if isinstance(each, PayoffQuoted)}

    def quoted(said: Any) -> PayoffQuoted:
        return PayoffQuoted(
            **dates,
            quote_id=said.get("quote_id", "none"),
            amount_minor=said.get("amount_minor", event.amount_minor),
            valid_until=date.fromisoformat(said.get("valid_until", event.valid_until.isoformat())),
            charge_minor=said.get("charge_minor", event.charge_minor),
        )

    status, said = play.post(lived, "payoff-quotes", {})
    if status == 201 and said["quote_id"] in known:
        return  # an equal one stands
    play.expect(lived, play._tell(lived, quoted(said if status == 201 else {})), status == 201, said)


def _change_day(play: Play, lived: Lived, event: DueDayChanged) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    # By the customer: while nothing is late, and not often.
    play.act(
        lived,
        "due-day",
        {"day": event.day, "from_row": event.from_row},
        lambda _: told,
        only=("overdue", "due_day_changed_lately"),
    )


def _relief(play: Play, lived: Lived, event: Paused | ReAged | ReAmortised) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    act: dict[str, Any] = {"type": "re_amortise"}
    if isinstance(event, Paused):
        told = msgspec.structs.replace(told, reason=REASON)
        act = {"type": "pause", "periods": event.periods, "interest": event.interest}
    elif isinstance(event, ReAged):
        act = {"type": "re_age", "periods": event.periods, "first_due_on": event.first_due_on.isoformat()}
    play.act(lived, "relief", {"act": act, "reason": REASON}, lambda _: told)


def _instruct(play: Play, lived: Lived, event: AllocatedByInstruction) -> None:
    if not event.parts:
        return
    told = msgspec.structs.replace(event, **lived.life.dates())
    play.act(
        lived,
        "instructions",
        {
            "payment_ref": event.payment_id,
            "parts": [msgspec.to_builtins(part) for part in event.parts],
            "reason": REASON,
        },
        lambda _: told,
    )


def _accelerate(play: Play, lived: Lived, event: Accelerated) -> None:
    life = lived.life
    demanded_on = life.today - (event.occurred_on - event.demanded_on)
    told = Accelerated(**life.dates(), demanded_on=demanded_on, basis=life.terms.acceleration.basis)
    play.act(
        lived,
        "acceleration",
        {"demanded_on": demanded_on.isoformat(), "reason": REASON},
        lambda _: told,
    )


def _recover(play: Play, lived: Lived, event: Recovered) -> None:
    life = lived.life
    on = min(event.occurred_on, life.today)
    told = msgspec.structs.replace(event, **life.dates(on), settlement="bank:agency")
    play.act(
        lived,
        "recoveries",
        {
            "payment_ref": event.payment_id,
            "amount_minor": event.amount_minor,
            "cost_minor": event.cost_minor,
            "settlement": "bank:agency",
            "occurred_on": on.isoformat(),
        },
        lambda _: told,
    )


CALLS: Final[dict[type, Callable[[Play, Lived, Any], None]]] = {
    PaymentReceived: _pay,
    PaymentReversed: _take_back,
    DueMoved: _put_off,
    GoodwillGranted: _grant,
    Waived: _waive,
    WrittenOff: _write_off,
    Recovered: _recover,
    Charged: _charge,
    UnappliedRefunded: _refund_held,
    PaidBack: _pay_back,
    Shipped: _ship,
    Cancelled: _cancel,
    GoodsReturned: _return_goods,
    RefundPaid: _pay_refund,
    PayoffQuoted: _quote,
    DueDayChanged: _change_day,
    Paused: _relief,
    ReAged: _relief,
    ReAmortised: _relief,
    Accelerated: _accelerate,
    AllocatedByInstruction: _instruct,
}
"""How each kind of event is asked for. Due dates come by closing days, and a contract is confirmed as it is opened."""


def play(
    seed: str,
    events: int,
    *,
    shop: Any,
    key: str,
    upstream: int,
    owner_url: str,
    threads: int = 3,
    at_end: Callable[[Play, date, psycopg.Connection[Any]], object] = lambda *_: None,
) -> Played:
    """So many events or some more, of lives that begin within a fortnight of each other. Raises `Differs`, or `Break` of the pure core."""
    began = time.monotonic()
    going = Play(seed, shop, key, upstream, threads)
    played = going.played
    heap: list[tuple[date, int]] = []
    day = date.min
    try:
        while True:
            while played.events + EVENTS_A_LIFE * len(heap) < events:
                played.lives += 1
                number = played.lives
                begins = max(day, begin(seed, number).today) + timedelta(days=number % 14)
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
                number = heapq.heappop(heap)[1]
                awake.append(going.lived.get(number) or going.open(number, day))
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
