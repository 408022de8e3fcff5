"""kill -9 under load: what was acknowledged is there once, and what was not can be asked for again.

Several clients pay contracts over HTTP, take payments back, send money that names no contract, and repeat themselves, while the
clock moves and days are closed. At instants drawn from a seed something is killed (`installation.KILLS`), started again,
and then everything is looked at: `Check` says what has to hold.

    python -m tests.trust.crash --seed 7 --cycles 20
    python -m tests.trust.crash --seed 7 --cycles 20 --loses      # synchronous_commit off: it has to report losses

The seed draws what is sent, what is killed and when; which request was in flight at that instant is the machine's doing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import psycopg
from tests.trust.installation import KILLS, Fault, Installation, Receiver

__all__ = ["Act", "Broken", "Figures", "run", "stock"]

CLIENTS: Final = 6
TIMEOUT: Final = 20.0
LOAD_SECONDS: Final = (0.2, 1.6)
HOT: Final = 3
"""Contracts that all clients pay."""

Kind = Literal["payment", "reversal", "unknown contract"]


class Broken(AssertionError):
    """Something does not hold after a kill. The message names the seed and the cycle."""


@dataclass(slots=True)
class Act:
    """A request that has to have one effect, and what was answered. `unknown` counts tries that brought no answer."""

    kind: Kind
    contract: str
    reference: str
    amount: int
    key: str
    path: str
    body: bytes
    answer: bytes | None = None
    sent: bool = False
    """Whether it may have reached the service: a connection that is refused sent nothing."""


@dataclass(slots=True)
class Figures:
    """What a run did. `unknown` requests were on their way and had no answer when something was killed, or were told that something is
    wrong; of them, `committed` were done all the same."""

    seed: str
    cycles: int = 0
    acknowledged: int = 0
    lost: int = 0
    twice: int = 0
    unknown: int = 0
    committed: int = 0
    replayed: int = 0
    reversals: int = 0
    due_rows: int = 0
    messages: int = 0
    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {kill}" for kill, count in sorted(self.kills.items()))
        return (
            f"seed {self.seed}: {self.cycles} cycles ({kills}), {self.acknowledged} acknowledged ({self.reversals} of them"
            f" reversals), {self.lost} lost, {self.twice} twice; {self.unknown} in flight, {self.committed} of them committed;"
            f" {self.replayed} answers asked for again; {self.due_rows} due dates closed; {self.messages} messages"
            f" delivered; {self.seconds:.0f} s"
        )


# ---------------------------------------------------------------------------------------------------------- what is sold


def stock(contracts: int, webhooks: str) -> dict[str, object]:
    """A shop with contracts that fall due on every day of the month, a key and an endpoint. For a process of the service's role."""
    from datetime import timedelta
    from decimal import Decimal

    from django.db import transaction
    from tests.engine.contracts.made import offer

    from fenqi.terms.plan import FlatFee, Plan
    from fenqi_server.clock import system_now
    from fenqi_server.customers import service as customers
    from fenqi_server.demo import clock as demo_clock
    from fenqi_server.outbox.service import add_endpoint
    from fenqi_server.servicing import service as servicing
    from fenqi_server.shops import service as shops

    plan = Plan("mall_36", "mall", "shop", "instalment_sale", 36, FlatFee(Decimal("0.006")))
    at = system_now()
    demo_clock.start(at)
    shop = shops.create_shop("mall", name_zh_cn="商城", name_en="The mall", at=at)
    named = []
    for number in range(contracts):
        begun = at - timedelta(days=number % 28)
        customer = customers.ensure(shop, f"c-{number // 2}", begun)
        bill, table = offer(plan, 600_000 + number, begun.date())
        with transaction.atomic():
            servicing.lock_customer(shop, customer)
            named.append(
                servicing.open_contract(
                    shop,
                    customer,
                    plan=plan,
                    schedule=bill,
                    disclosure=table,
                    policy_digest="sha256:" + "0" * 64,
                    order_ref=f"order-{number}",
                    at=begun,
                )
            )
    add_endpoint(shop, webhooks, ("contract.payment_booked", "contract.payment_reversed"), at)
    return {"contracts": named, "key": shops.create_key(shop, "crash", at=at)}


# --------------------------------------------------------------------------------------------------------------- clients


class Wire:
    """One client's connection. An answer is a status, whether it was given before, and a body; None where it is unknown."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def send(self, act: Act) -> tuple[int, bool, bytes] | None:
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
            if self._connection.sock is None:
                self._connection.connect()
            act.sent = True
            self._connection.request(
                "POST", act.path, act.body, {**self._headers, "Idempotency-Key": act.key}
            )
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        if answer.status >= 500 or (answer.status == 409 and b"idempotency_key_in_flight" in body):
            return None
        return answer.status, answer.headers.get("Idempotent-Replayed") == "true", body

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Client(threading.Thread):
    """Acts one after another until it is told to stop. Everything that it did is in `done` or in `open`."""

    def __init__(self, name: str, wire: Wire, contracts: list[str], paid: list[Act], stop: threading.Event):
        super().__init__(name=name, daemon=True)
        self._chance = random.Random(name)
        self._wire = wire
        self._contracts = contracts
        self._paid = paid
        """Payments of this client's that can be taken back or asked for again."""
        self._stop_asked = stop
        self._number = 0
        self.done: list[Act] = []
        self.open: list[Act] = []
        self.replayed = 0
        self.problem: str | None = None

    def run(self) -> None:
        while not self._stop_asked.is_set() and self.problem is None:
            if self._paid and self._chance.random() < 0.05:
                self._repeat(self._chance.choice(self._paid))
                continue
            act = self._next()
            said = self._wire.send(act)
            if said is None:
                self.open.append(act)
                self._stop_asked.wait(0.05)
            elif said[0] != 201 or said[1]:
                self.problem = f"{act} was answered {said}"
            else:
                act.answer = said[2]
                self.done.append(act)
                if act.kind == "payment":
                    self._paid.append(act)
        self._wire.close()

    def _repeat(self, act: Act) -> None:
        said = self._wire.send(act)
        if said is None:
            self._stop_asked.wait(0.05)
        elif said != (201, True, act.answer):
            self.problem = f"{act} was answered anew, {said}"
        else:
            self.replayed += 1

    def _next(self) -> Act:
        chance = self._chance
        self._number += 1
        name = f"{self.name}-{self._number}"
        drawn = chance.random()
        if drawn < 0.06 and self._paid:
            paid = self._paid.pop(chance.randrange(len(self._paid)))
            body = {
                "payment_ref": paid.reference,
                "reason": chance.choice(["charged_back", "bounced", "booked_in_error"]),
            }
            return self._act("reversal", paid.contract, paid.reference, paid.amount, name, body, "reversals")
        kind: Kind = "payment"
        contract = chance.choice(self._contracts if chance.random() < 0.7 else self._contracts[:HOT])
        if drawn > 0.97:
            kind, contract = "unknown contract", f"nobody-{chance.randint(1, 9)}"
        amount = chance.choice([1, 53_600, chance.randint(1, 20_000)])
        body = {
            "amount_minor": amount,
            "currency": "CNY",
            "kind": "received",
            "payment_ref": name,
            "channel": chance.choice(["bank", "wallet"]),
        }
        if chance.random() < 0.1:
            body["cash"] = {"till": "front", "operator": "ann"}
        return self._act(kind, contract, name, amount, name, body, "payments")

    @staticmethod
    def _act(
        kind: Kind, contract: str, reference: str, amount: int, key: str, body: dict[str, Any], call: str
    ) -> Act:
        path = f"/v1/contracts/{contract}/{call}"
        return Act(kind, contract, reference, amount, key, path, json.dumps(body).encode())


# ------------------------------------------------------------------------------------------------------ what has to hold

_EVENTS: Final = """
SELECT e.kind, e.reference, count(*), max((e.body->>'amount_minor')::bigint), count(t.transaction_id),
       coalesce(sum((SELECT sum(x.amount_minor) FROM books_entry AS x
                      WHERE x.customer_id = t.customer_id AND x.transaction_id = t.transaction_id AND x.account = 1020)), 0)::bigint
  FROM servicing_event AS e
  LEFT JOIN books_transaction AS t ON t.customer_id = e.customer_id AND t.event_id = e.event_id
 WHERE e.kind IN ('payment_received', 'payment_reversed')
 GROUP BY 1, 2
"""
_SUSPENSE: Final = """
SELECT reference, count(*), sum(amounts[1])::bigint FROM books_transaction WHERE event_kind = 'unmatched_money' GROUP BY 1
"""
_KEYS: Final = (
    "SELECT key, count(*), min(status), min(encode(response, 'escape')) FROM servicing_idempotency GROUP BY 1"
)
_MESSAGES: Final = """
SELECT event, body::jsonb->'data'->>'payment_ref', count(*), count(DISTINCT event_id)
  FROM (SELECT event, body, event_id FROM outbox_message
        UNION ALL SELECT event, body, event_id FROM outbox_delivery WHERE outcome <> 'retry') AS message
 GROUP BY 1, 2
"""
_DELIVERED: Final = "SELECT DISTINCT 'evt_' || replace(event_id::text, '-', '') FROM outbox_delivery WHERE outcome = 'delivered'"
_DAYS: Final = """
SELECT (SELECT count(*) FROM servicing_event WHERE kind = 'due_reached'),
       (SELECT coalesce(sum(due_rows), 0) FROM servicing_close_run),
       (SELECT count(*) FROM servicing_close_failure)
"""
_CACHED: Final = """
SELECT c.shop_id, c.customer_id, c.contract_id, c.order_ref, c.decision_id, c.created_at, c.terms::text,
       ARRAY(SELECT {event} FROM servicing_event AS e
              WHERE e.customer_id = c.customer_id AND e.contract_id = c.contract_id ORDER BY e.seq),
       (SELECT jsonb_object_agg(b.account, b.total) FROM (
               SELECT account, sum(amount_minor) AS total FROM books_entry AS x
                WHERE x.customer_id = c.customer_id AND x.contract_id = c.contract_id
                GROUP BY account HAVING sum(amount_minor) <> 0) AS b),
       to_jsonb(s) - 'booked_accounts' - 'booked_amounts', s.booked_accounts, s.booked_amounts
  FROM servicing_contract AS c JOIN servicing_state AS s USING (customer_id, contract_id)
"""


class Check:
    """Holds what the database has to what was acknowledged. Each rule yields what is wrong."""

    def __init__(self, session: psycopg.Connection[Any], receiver: Receiver, heads: list[tuple[int, str]]):
        self.session = session
        self.receiver = receiver
        self.heads = heads
        """The seals that were seen before: the chain has to have them still."""

    def problems(self, acts: list[Act]) -> Iterator[str]:
        yield from self.payments(acts)
        yield from self.answers(acts)
        yield from self.messages(acts)
        yield from self.days()
        yield from self.caches()
        yield from self.book()

    def lost(self, acts: list[Act]) -> list[Act]:
        """Acts that were acknowledged and are not there."""
        there, _ = self._there()
        return [act for act in acts if act.answer is not None and _named(act) not in there]

    def _there(self) -> tuple[dict[tuple[str, str], tuple[int, int]], list[str]]:
        found: dict[tuple[str, str], tuple[int, int]] = {}
        wrong: list[str] = []
        for kind, reference, events, amount, bookings, moved in self.session.execute(_EVENTS):
            kind = {"payment_received": "payment", "payment_reversed": "reversal"}[kind]
            found[kind, reference] = (events, moved if kind == "payment" else -moved)
            if bookings != events:
                wrong.append(f"{kind} {reference} has {events} events and {bookings} bookings")
            if kind == "payment" and amount != moved:
                wrong.append(f"payment {reference} of {amount} is booked with {moved}")
        for reference, count, minor in self.session.execute(_SUSPENSE):
            found["unknown contract", reference] = (count, minor)
        return found, wrong

    def payments(self, acts: list[Act]) -> Iterator[str]:
        """Every act is there exactly once, with its amount, in events and book; and nothing else is."""
        there, wrong = self._there()
        yield from wrong
        wanted = {_named(act): act.amount for act in acts}
        for name, (count, minor) in there.items():
            if name not in wanted:
                yield f"{name} is there, and nobody asked for it"
            elif count != 1:
                yield f"{name} is there {count} times"
            elif minor != wanted[name]:
                yield f"{name} moved {minor}, not {wanted[name]}"
        for name in wanted.keys() - there.keys():
            yield f"{name} was acknowledged and is not there"

    def answers(self, acts: list[Act]) -> Iterator[str]:
        """The answer to each key is kept, as it was given."""
        kept = {key: (count, status, said) for key, count, status, said in self.session.execute(_KEYS)}
        for act in acts:
            assert act.answer is not None
            said = kept.pop(act.key, None)
            if said is None or said[:2] != (1, 201) or _escaped(act.answer) != said[2]:
                yield f"the answer to {act.key} is kept as {said}, not {act.answer!r}"
        for key in kept:
            yield f"key {key} is there, and nobody asked for it"

    def messages(self, acts: list[Act]) -> Iterator[str]:
        """The shop is told of each act under one id: the message waits or was delivered, once."""
        event = {"payment": "contract.payment_booked", "reversal": "contract.payment_reversed"}
        wanted = {(event[act.kind], act.reference) for act in acts if act.kind in event}
        told = {(kind, reference): counts for kind, reference, *counts in self.session.execute(_MESSAGES)}
        for name in wanted ^ told.keys():
            yield f"message {name}: {'missing' if name in wanted else 'nobody asked for it'}"
        for name, counts in told.items():
            if counts != [1, 1]:
                yield f"message {name} is there {counts[0]} times, under {counts[1]} ids"
        ids: dict[tuple[str, str], set[str]] = {}
        for message, kind, reference in list(self.receiver.came):
            ids.setdefault((kind, reference), set()).add(message)
        for name, each in ids.items():
            if len(each) != 1 or name not in wanted:
                yield f"the shop was told of {name} under {len(each)} ids"
        # The database first: what it calls delivered has come by then.
        delivered = self.session.execute(_DELIVERED).fetchall()
        came = {message for message, _, _ in list(self.receiver.came)}
        for (message,) in delivered:
            if message not in came:
                yield f"message {message} counts as delivered and never came"

    def days(self) -> Iterator[str]:
        """The runs' records count what they did, and nothing could not be done."""
        row = self.session.execute(_DAYS).fetchone()
        assert row is not None
        reached, counted, failed = row
        if reached != counted:
            yield f"{reached} due dates are recorded, and the days' records count {counted}"
        if failed:
            yield f"{failed} contracts could not be closed"

    def caches(self) -> Iterator[str]:
        """Each contract's cached row is what its terms, events and book come to."""
        import msgspec

        from fenqi.contracts.events import EventRefused, decode_event
        from fenqi.contracts.terms import ContractTerms
        from fenqi_server.servicing.storage import EVENT_SQL, Stored, cached_row

        terms = msgspec.json.Decoder(ContractTerms)
        for row in self.session.execute(_CACHED.format(event=EVENT_SQL)):
            booked = {int(account): int(minor) for account, minor in (row[8] or {}).items()}
            stored = Stored(
                shop_id=row[0],
                customer_id=row[1],
                contract_id=row[2],
                order_ref=row[3],
                decision_id=row[4],
                created_at=row[5],
                terms=terms.decode(row[6]),
                events=[decode_event(body) for body in row[7]],
                booked=booked,
            )
            try:
                told = stored.told()
            except EventRefused as refused:
                # A reversal whose payment somebody took away, say: what is left cannot all be true.
                yield f"contract {stored.public_id} cannot be replayed: {refused}"
                continue
            wanted = json.loads(msgspec.json.encode(cached_row(stored, told)))
            del wanted["booked_accounts"], wanted["booked_amounts"]
            cached = {name: row[9].get(name) for name in wanted}
            held = {account: minor for account, minor in zip(row[10], row[11], strict=True) if minor}
            if cached != wanted or held != booked:
                yield f"contract {stored.public_id} is cached as {cached}, {held}; it comes to {wanted}, {booked}"

    def book(self) -> Iterator[str]:
        """The whole book is proved, every contract replayed, and the chain of seals has every head seen before."""
        from fenqi_server.books.proof import prove
        from fenqi_server.books.sealing import verify

        report = prove(self.session)
        yield from (problem.sentence for problem in report.problems)
        if report.replayed != report.contracts:
            yield f"{report.replayed} of {report.contracts} contracts were replayed"
        yield from (problem.sentence for problem in verify(self.session, noted=self.heads))
        self.heads[:] = self.session.execute("SELECT number, digest FROM books_seal").fetchall()


def _named(act: Act) -> tuple[str, str]:
    if act.kind == "unknown contract":
        return act.kind, f"{act.reference} for {act.contract}"
    return act.kind, act.reference


def _escaped(body: bytes) -> str:
    """As PostgreSQL's encode(.., 'escape') writes it."""
    return "".join(
        "\\\\" if byte == 0x5C else chr(byte) if 0 < byte < 0x80 else f"\\{byte:03o}" for byte in body
    )


# -------------------------------------------------------------------------------------------------------------- the runs


class Run:
    """Cycles over one installation."""

    def __init__(self, seed: str, site: Installation, contracts: int, clients: int) -> None:
        self.figures = Figures(seed)
        self.site = site
        self.chance = random.Random(seed)
        self.clients = clients
        self.receiver = Receiver()
        made = site.run("tests.trust.crash", "stock", str(contracts), self.receiver.url)
        with psycopg.connect(site.cluster.superuser_url, autocommit=True) as session:  # type: ignore[arg-type]
            session.execute("CHECKPOINT")  # what is lost later is not what is sold here
        self.contracts: list[str] = made["contracts"]
        self.key: str = made["key"]
        self.acts: list[Act] = []
        self.paid: list[list[Act]] = [[] for _ in range(clients)]
        self.heads: list[tuple[int, str]] = []

    def broken(self, said: str) -> Broken:
        return Broken(
            f"seed {self.figures.seed}, cycle {self.figures.cycles}: {said}\n{self.figures}\nthe service's log ends:\n"
            f"{self.site.tail('service.log', 1500)}\nPostgreSQL's log ends:\n{self.site.tail('postgres.log', 1500)}"
        )

    def cycle(self, kill: str) -> None:
        """Load, a kill, a start; then what was open is asked for again, and everything is looked at."""
        figures = self.figures
        figures.cycles += 1
        figures.kills[kill] += 1
        fresh, unanswered = self._load(kill)
        self.site.rise()
        if self.site.loses:
            figures.acknowledged += self._count_losses(fresh, unanswered)
        for act in unanswered:
            figures.unknown += act.sent
            figures.committed += self._ask_until_answered(act)
        # Whatever is asked for again has the answer that it had.
        again = unanswered + self.chance.sample(fresh, min(20, len(fresh)))
        for act in again:
            said = self._answer(act)
            if said != (201, True, act.answer):
                raise self.broken(f"asked again, {act} was answered {said}")
        figures.replayed += len(again)
        figures.acknowledged += len(fresh) + len(unanswered)
        figures.reversals += sum(act.kind == "reversal" for act in fresh + unanswered)
        self.acts += fresh + unanswered
        self._look()

    def _load(self, kill: str) -> tuple[list[Act], list[Act]]:
        """Until something is killed: what was acknowledged, and what was not answered."""
        stop = threading.Event()
        clients = [
            Client(
                f"{self.figures.seed}.{self.figures.cycles}.{number}",
                Wire(self.site.port, self.key),
                self.contracts,
                self.paid[number],
                stop,
            )
            for number in range(self.clients)
        ]
        for client in clients:
            client.start()
        wait = self.chance.uniform(*LOAD_SECONDS)
        moved_after, days = self.chance.uniform(0, wait), self.chance.choice([0, 1, 1, 2, 3, 20])
        time.sleep(moved_after)
        with self.site.owner() as session:
            session.execute("UPDATE demo_clock SET ahead = ahead + make_interval(days => %s)", [days])
        time.sleep(wait - moved_after)
        try:
            self.site.kill(kill, self.chance)
            # Those whose service lives on go on for a moment.
            time.sleep(0.05 if kill in ("service", "both") else 0.3)
        finally:
            stop.set()
            for client in clients:
                client.join(TIMEOUT + 5)
        for client in clients:
            if client.problem is not None:
                raise self.broken(client.problem)
            self.figures.replayed += client.replayed
        return (
            [act for client in clients for act in client.done],
            [act for client in clients for act in client.open],
        )

    def _answer(self, act: Act) -> tuple[int, bool, bytes]:
        wire = Wire(self.site.port, self.key)
        ends = time.monotonic() + 60
        try:
            while time.monotonic() < ends:
                said = wire.send(act)
                if said is not None:
                    return said
                time.sleep(0.05)
        finally:
            wire.close()
        raise self.broken(f"{act} is not answered")

    def _ask_until_answered(self, act: Act) -> bool:
        """Whether it was done already when it was asked for again."""
        status, replayed, act.answer = self._answer(act)
        if status != 201:
            raise self.broken(f"{act} was answered {status}")
        if act.kind == "payment":
            self.chance.choice(self.paid).append(act)
        return replayed

    def _count_losses(self, fresh: list[Act], unanswered: list[Act]) -> int:
        """What was lost is forgotten here too, with what was to take it back. How many of the new ones are forgotten."""
        acknowledged = len(fresh)
        with self.site.owner() as session:
            lost = Check(session, self.receiver, []).lost([*self.acts, *fresh])
        self.figures.lost += len(lost)
        gone = {act.reference for act in lost}
        for acts in (self.acts, fresh, unanswered, *self.paid):
            acts[:] = [act for act in acts if act.reference not in gone]
        return acknowledged - len(fresh)

    def _look(self) -> None:
        if self.site.loses:
            return  # what it lost was counted; a shop that was told of it knows more than the book
        with self.site.owner() as session:
            check = Check(session, self.receiver, self.heads)
            lost = check.lost(self.acts)
            wrong = list(check.problems(self.acts))
            row = session.execute(
                "SELECT coalesce(sum(due_rows), 0)::bigint FROM servicing_close_run"
            ).fetchone()
        self.figures.lost += len(lost)
        self.figures.twice += sum(" times" in each for each in wrong)
        self.figures.due_rows = int(row[0]) if row else 0
        self.figures.messages = len({message for message, _, _ in list(self.receiver.came)})
        if wrong:
            raise self.broken("\n".join(wrong[:20]))

    def end(self) -> None:
        """What PostgreSQL wrote into its log over all of it."""
        log = self.site.tail("postgres.log", 100_000_000)
        for word in ("deadlock detected", "PANIC", "invalid page", "could not read block"):
            if word in log:
                raise self.broken(f"PostgreSQL's log says {word!r}")
        self.receiver.close()


def kills(chance: random.Random, cycles: int) -> list[str]:
    """Each kind as often as the others, in any order."""
    drawn = [KILLS[number % len(KILLS)] for number in range(cycles)]
    chance.shuffle(drawn)
    return drawn


def run(
    seed: str,
    cycles: int,
    *,
    contracts: int = 60,
    clients: int = CLIENTS,
    loses: bool = False,
    fault: Fault | None = None,
    before: Callable[[Installation], object] = lambda _: None,
    at_end: Callable[[Run], object] = lambda _: None,
    said: Callable[[str], object] = lambda _: None,
) -> Figures:
    """So many kills over an installation of its own. Raises `Broken`; with `loses`, losses are counted instead."""
    began = time.monotonic()
    with Installation.made(loses=loses, fault=fault) as site:
        before(site)
        going = Run(seed, site, contracts, clients)
        site.start_service()
        planned = ["database"] * cycles if loses else kills(going.chance, cycles)
        for kill in planned:
            going.cycle(kill)
            going.figures.seconds = time.monotonic() - began
            said(str(going.figures))
        at_end(going)
        going.end()
    return going.figures


@contextmanager
def _django(url: str) -> Iterator[None]:
    """Django for a process that is not pytest's: the proof wants its settings, and no database of its own."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="fenqi_server.settings",
        FENQI_SECRET_KEY=os.environ.get("FENQI_SECRET_KEY") or secrets.token_urlsafe(48),
        FENQI_SIGNING_KEYS=os.environ.get("FENQI_SIGNING_KEYS") or f"crash:{secrets.token_hex(32)}",
    )
    os.environ.setdefault("FENQI_DATABASE_URL", url)
    import django

    django.setup()
    yield


def main() -> None:
    if sys.argv[1:2] == ["stock"]:
        with _django(""):
            print(json.dumps(stock(int(sys.argv[2]), sys.argv[3])))
        return
    asked = argparse.ArgumentParser(description="Kill the service and its database under load.")
    asked.add_argument("--seed", default="1")
    asked.add_argument("--cycles", type=int, default=20)
    asked.add_argument("--contracts", type=int, default=60)
    asked.add_argument("--loses", action="store_true", help="synchronous_commit off: count what is lost")
    given = asked.parse_args()
    with _django("postgresql://nobody@/nowhere?host=/nonexistent"):
        print(
            run(
                given.seed,
                given.cycles,
                contracts=given.contracts,
                loses=given.loses,
                said=lambda line: print(line, file=sys.stderr, flush=True),
            )
        )


if __name__ == "__main__":
    main()
