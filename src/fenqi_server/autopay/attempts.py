"""What became of each attempt, and finding it out.

An attempt is collected once, if at all. An answer that did not come makes it *unknown*: it is queried, again and again, and nothing more is
asked of its contract until it is known. What was collected is an ordinary payment, whenever it comes, after a failure too; what failed
is an event of the contract, a message to its customer, and perhaps another try.
"""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date, to_epoch
from fenqi.contracts.events import PaymentFailed
from fenqi.money import check_minor
from fenqi.problems import BadInput
from fenqi_server.autopay import collectors
from fenqi_server.autopay.asking import LOOK_AGAIN, ask_one_later, midnight
from fenqi_server.autopay.collectors import Answer, Ask, Collector, NotAnswered
from fenqi_server.autopay.mandates import Tool, withdraw
from fenqi_server.autopay.rules import HARD, REASONS, retry_days, suspensions
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import parse_public_id, public_id
from fenqi_server.outbox.service import enqueue
from fenqi_server.outbox.service import recall as recall_message
from fenqi_server.reminders import queueing as reminders
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing import storage
from fenqi_server.shops.models import Shop

__all__ = [
    "OPEN",
    "Attempt",
    "Contradiction",
    "DaySums",
    "NoAttempt",
    "Waiting",
    "act_due",
    "attempt",
    "attempts_of",
    "recall",
    "record",
    "sums_of",
    "waiting_of",
]

log = logging.getLogger(__name__)

State = Literal["asked", "sent", "unknown", "collected", "failed", "cancelled"]
OPEN: Final = ("asked", "sent", "unknown")
"""The states in which money may still come by it."""

BATCH: Final = 20
ROUNDS: Final = 25
CALL_SECONDS: Final = 120
"""How long a call to a collector may take before the attempt counts as unanswered."""
QUERY_SECONDS: Final = (60, 300, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
"""How long to wait before each further question about an unknown outcome; the last again and again."""


class NoAttempt(LookupError):
    """No attempt of this shop has the id."""


class Contradiction(Exception):  # an answer, and nothing was written
    """An outcome that cannot be after the one that is known. `code`: attempt_collected, amount_differs, reason_differs, payment_ref_reused."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt. `due_minor` was due, `amount_minor` of it asked for; `nth` counts the mandate's attempts from 0."""

    attempt_id: str
    customer_id: UUID
    contract_id: str
    mandate_id: str
    tool: Tool
    day: date
    due_on: tuple[date, ...]
    first_on: date
    try_: int
    due_minor: int
    amount_minor: int
    currency: str
    asked_at: datetime
    state: State
    reason: str
    settled_at: datetime | None
    collected_minor: int
    nth: int


class DaySums(msgspec.Struct, frozen=True):
    """What was asked for on a day, and what became of it."""

    asked: int
    asked_minor: int
    collected: int
    collected_minor: int
    failed: int
    failed_minor: int
    open: int


class Waiting(msgspec.Struct, frozen=True):
    """What somebody has to see to: attempts of which nobody knows what became, and contracts that nobody would be asked for."""

    unknown: int
    unheard: int


_COLUMNS: Final = """
a.customer_id, a.attempt_id, a.contract_id, a.mandate_id, m.tool_token, m.tool_brand, m.tool_last4, a.day, a.due_on, a.first_on,
a.try, a.due_minor, a.amount_minor, a.currency, a.asked_at, a.state, a.reason, a.settled_at, a.collected_minor,
(SELECT count(*) FROM autopay_attempt AS b WHERE b.customer_id = a.customer_id AND b.mandate_id = a.mandate_id
    AND b.attempt_id < a.attempt_id)
  FROM autopay_attempt AS a JOIN autopay_mandate AS m USING (customer_id, mandate_id)
"""


def attempt(shop: Shop, attempt_id: str) -> Attempt:
    """One attempt by its id. Raises `NoAttempt`."""
    found = _one(shop, *_parsed(attempt_id))
    if found is None:
        raise NoAttempt(attempt_id)
    return found


def attempts_of(shop: Shop, contract: str) -> list[Attempt]:
    """A contract's attempts, newest first. Raises `servicing.service.NoContract` for what is no id."""
    customer_id, contract_id = servicing.parsed(contract)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} WHERE a.customer_id = %s AND a.contract_id = %s ORDER BY a.day DESC",
            [customer_id, contract_id],
        )
        return [_read(row) for row in cursor.fetchall()]


def sums_of(shop: Shop, days: list[date]) -> dict[date, DaySums]:
    """What was asked for on these days, as of now. Days on which nothing was asked for are left out."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT day, count(*), sum(amount_minor)::bigint,"
            " count(*) FILTER (WHERE state = 'collected'), coalesce(sum(collected_minor), 0)::bigint,"
            " count(*) FILTER (WHERE state = 'failed'),"
            " coalesce(sum(amount_minor) FILTER (WHERE state = 'failed'), 0)::bigint,"
            " count(*) FILTER (WHERE state IN ('asked', 'sent', 'unknown'))"
            "  FROM autopay_attempt WHERE shop_id = %s AND day = ANY (%s) GROUP BY day",
            [shop.id, days],
        )
        return {row[0]: DaySums(*row[1:]) for row in cursor.fetchall()}


def waiting_of(shop: Shop, at: datetime) -> Waiting:
    """What waits for somebody now."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM autopay_attempt WHERE shop_id = %s AND act_at IS NOT NULL AND state = 'unknown'",
            [shop.id],
        )
        (unknown,) = cursor.fetchone()
        unheard = 0
        if collectors.way_of(shop) == "none":
            cursor.execute(
                "SELECT count(*) FROM autopay_due WHERE shop_id = %s AND ask_at <= %s",
                [shop.id, at + LOOK_AGAIN],
            )
            (unheard,) = cursor.fetchone()
    return Waiting(unknown, unheard)


# ------------------------------------------------------------------------------------------------ outcomes


def record(
    shop: Shop,
    attempt_id: str,
    result: Literal["collected", "failed", "unknown"],
    at: datetime,
    *,
    reason: str = "",
    amount_minor: int | None = None,
    occurred_on: date | None = None,
    by: str = "shop",
) -> Attempt:
    """Say what became of an attempt. The same again is nothing new; what is known is not made unknown.

    `collected` books a payment of the attempt's amount, or of `amount_minor` where that is what came: after a failure too, for money
    that arrived is never refused. `failed` after `collected` raises `Contradiction`: a payment that was taken back is reversed.
    `failed` again for a harder reason (`rules.HARD`, and `mandate_revoked` above all) ends the tries, and the mandate if it is that; for
    another reason it raises `Contradiction`.
    Raises `NoAttempt`, `fenqi.problems.BadInput`.
    """
    customer_id, name = _parsed(attempt_id)
    if result == "failed" and reason not in REASONS:
        raise BadInput("reason", reason, "one of " + ", ".join(REASONS))
    if amount_minor is not None:
        check_minor(amount_minor, shop.currency)
        if result != "collected" or amount_minor == 0:
            raise BadInput("amount_minor", amount_minor, "more than 0, and only of what was collected")

    def act() -> Attempt:
        found = _held(shop, customer_id, name)
        if result == "collected":
            return _collected(shop, found, amount_minor, occurred_on, at, by)
        if result == "failed":
            return _failed(shop, found, reason, at, by)
        return _unknown(shop, found, at, by)

    return in_transaction(act)


def _held(shop: Shop, customer_id: UUID, name: UUID) -> Attempt:
    """The attempt, with its contract held first: in the order in which everyone takes them."""
    found = _one(shop, customer_id, name)
    if found is None:
        raise NoAttempt(public_id("aa", customer_id, name))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM servicing_state WHERE customer_id = %s AND contract_id = %s FOR NO KEY UPDATE",
            servicing.parsed(found.contract_id),
        )
        cursor.execute(
            "SELECT FROM autopay_attempt WHERE customer_id = %s AND attempt_id = %s FOR NO KEY UPDATE",
            [customer_id, name],
        )
    held = _one(shop, customer_id, name)
    assert held is not None
    return held


def _collected(
    shop: Shop, found: Attempt, amount_minor: int | None, occurred_on: date | None, at: datetime, by: str
) -> Attempt:
    minor = amount_minor or found.amount_minor
    if found.state == "collected":
        if found.collected_minor != minor:
            raise Contradiction("amount_differs", f"{found.collected_minor} was collected by this attempt")
        return found
    try:
        servicing.pay(
            shop,
            found.contract_id,
            minor,
            "received",
            found.attempt_id,
            at,
            occurred_on=occurred_on,
            channel="autopay",
        )
    except servicing.Refusal as refusal:
        # Money is never refused, but one number is not booked with two amounts.
        raise Contradiction(
            refusal.code,
            "a payment under this attempt's id is booked with another amount; say that amount if it is what came",
        ) from None
    return _settle(shop, found, "collected", "", at, by, collected_minor=minor)


def _failed(shop: Shop, found: Attempt, reason: str, at: datetime, by: str) -> Attempt:
    if found.state == "collected":
        raise Contradiction(
            "attempt_collected",
            "this attempt was collected and its payment is booked; if the money was taken back, reverse the payment",
        )
    if found.state == "failed":
        return _failed_otherwise(shop, found, reason, at, by)
    today = local_date(at, shop.time_zone)
    stored = storage.load_for_update(*servicing.parsed(found.contract_id))
    assert stored is not None, "an attempt is for a contract"
    if not any(isinstance(e, PaymentFailed) and e.attempt_id == found.attempt_id for e in stored.events):
        event = PaymentFailed(
            seq=len(stored.events) + 1,
            occurred_on=today,
            recorded_at=to_epoch(at),
            attempt_id=found.attempt_id,
            amount_minor=found.amount_minor,
            reason=reason,
        )
        storage.append(stored, [event], at, today)
    again = None if reason in HARD else _again_on(shop, found, today)
    if again is not None:
        ask_one_later(
            shop,
            stored.customer_id,
            stored.contract_id,
            midnight(again, shop),
            found.first_on,
            found.try_,
        )
    reminders.queue(
        shop,
        [
            reminders.Notice(
                stored.customer_id, stored.contract_id, "autopay_failed", found.attempt_id, found.day
            )
        ],
        at,
    )
    done = _settle(shop, found, "failed", reason, at, by)
    if reason == "mandate_revoked":
        # After its own outcome is written: this one is not recalled, others of the mandate are.
        withdraw(shop, found.mandate_id, at, by="provider")
    _tell_failed(shop, done, again, at)
    return done


def _failed_otherwise(shop: Shop, found: Attempt, reason: str, at: datetime, by: str) -> Attempt:
    """It failed for another reason than was known: a harder one ends what the softer one left to be tried."""
    if reason == found.reason:
        return found
    if _hardness(reason) <= _hardness(found.reason):
        raise Contradiction(
            "reason_differs", f"this attempt is known to have failed, and why: {found.reason}"
        )
    customer_id, contract_id = servicing.parsed(found.contract_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM autopay_due WHERE customer_id = %s AND contract_id = %s AND first_on = %s AND tries >= %s",
            [customer_id, contract_id, found.first_on, found.try_],
        )
    done = _settle(shop, found, "failed", reason, at, by)
    if reason == "mandate_revoked":
        withdraw(shop, found.mandate_id, at, by="provider")
    _tell_failed(shop, done, None, at)
    return done


def _hardness(reason: str) -> int:
    """How much a reason ends: nothing, the series of tries, the mandate."""
    return 2 if reason == "mandate_revoked" else int(reason in HARD)


def _tell_failed(shop: Shop, failed: Attempt, again: date | None, at: datetime) -> None:
    enqueue(
        shop,
        failed.customer_id,
        "autopay.failed",
        {
            "attempt_id": failed.attempt_id,
            "contract_id": failed.contract_id,
            "mandate_id": failed.mandate_id,
            "amount_minor": failed.amount_minor,
            "currency": failed.currency,
            "reason": failed.reason,
            "try": failed.try_,
            "again_on": again and again.isoformat(),
            "final": again is None,
        },
        at,
    )


def _again_on(shop: Shop, found: Attempt, today: date) -> date | None:
    """The day of the next try: none where there were enough."""
    days = retry_days(shop)
    if found.try_ > len(days):
        return None
    customer_id, contract_id = servicing.parsed(found.contract_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(day) FROM autopay_attempt WHERE customer_id = %s AND contract_id = %s AND first_on = %s",
            [customer_id, contract_id, found.first_on],
        )
        (began,) = cursor.fetchone()
    return max(began + timedelta(days=days[found.try_ - 1]), today + timedelta(days=1))


def _unknown(shop: Shop, found: Attempt, at: datetime, by: str) -> Attempt:
    if found.state not in OPEN:
        return found
    return _settle(shop, found, "unknown", "", at, by)


def _cancelled(shop: Shop, found: Attempt, reason: str, at: datetime) -> None:
    _settle(shop, found, "cancelled", reason, at, "fenqi")


def recall(shop: Shop, customer_id: UUID, mandate_name: UUID, at: datetime) -> None:
    """What is asked for by a mandate that was taken back: it is not, where nobody has it yet; whoever may have it is told.

    In the caller's transaction. Another mandate that stands is used from the next day on.
    """
    use_shop(shop.id)
    with connection.cursor() as cursor:
        # One that is held has its outcome written this moment; nobody waits for it here with a contract in hand.
        cursor.execute(
            "SELECT attempt_id FROM autopay_attempt WHERE customer_id = %s AND mandate_id = %s"
            " AND state IN ('asked', 'sent', 'unknown') ORDER BY attempt_id FOR NO KEY UPDATE SKIP LOCKED",
            [customer_id, mandate_name],
        )
        names = [name for (name,) in cursor.fetchall()]
    tomorrow = midnight(local_date(at, shop.time_zone) + timedelta(days=1), shop)
    for name in names:
        found = _one(shop, customer_id, name)
        assert found is not None
        if found.state == "asked" or recall_message(
            shop, customer_id, collectors.ASKED, "attempt_id", found.attempt_id
        ):
            _cancelled(shop, found, "mandate_withdrawn", at)
            ask_one_later(
                shop, *servicing.parsed(found.contract_id), tomorrow, found.first_on, found.try_ - 1
            )
        elif collectors.way_of(shop) == "webhook":
            enqueue(
                shop,
                customer_id,
                "autopay.recalled",
                {
                    "attempt_id": found.attempt_id,
                    "contract_id": found.contract_id,
                    "mandate_id": found.mandate_id,
                    "amount_minor": found.amount_minor,
                    "currency": found.currency,
                    "reason": "mandate_withdrawn",
                },
                at,
            )


def _settle(
    shop: Shop, found: Attempt, state: State, reason: str, at: datetime, by: str, *, collected_minor: int = 0
) -> Attempt:
    customer_id, name = _parsed(found.attempt_id)
    open_still = state == "unknown"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO autopay_outcome (customer_id, attempt_id, seq, shop_id, said_at, said_by, result, reason,"
            " amount_minor) SELECT %s, %s, coalesce(max(seq), 0) + 1, %s, %s, %s, %s, %s, %s FROM autopay_outcome"
            " WHERE customer_id = %s AND attempt_id = %s",
            [customer_id, name, shop.id, at, by, state, reason, collected_minor, customer_id, name],
        )
        cursor.execute(
            "UPDATE autopay_attempt SET state = %s, reason = %s, settled_at = %s, collected_minor = %s, act_at = %s"
            " WHERE customer_id = %s AND attempt_id = %s",
            [
                state,
                reason,
                None if open_still else at,
                collected_minor,
                at + timedelta(seconds=QUERY_SECONDS[0]) if open_still else None,
                customer_id,
                name,
            ],
        )
    held = _one(shop, customer_id, name)
    assert held is not None
    return held


# ------------------------------------------------------------------------------------------------ the worker


def act_due(now: datetime) -> int:
    """Collect what is asked of a collector inside the process, and find out what is unknown. A job of the worker."""
    collector = collectors.in_process()
    return sum(_act_of(shop, collector, now) for shop in Shop.objects.order_by("created_at"))


def _act_of(shop: Shop, collector: Collector | None, now: datetime) -> int:
    done = 0
    for _ in range(ROUNDS):
        batch = _lease(shop, now)
        for customer_id, name, state, queries in batch:
            try:
                _act(shop, customer_id, name, state, queries, collector, now)
            except Exception:
                # One that cannot be done keeps no other waiting; it is found again when its time comes.
                log.exception("the attempt %s could not be brought on", public_id("aa", customer_id, name))
        done += len(batch)
        if len(batch) < BATCH:
            break
    return done


_LEASE: Final = """
UPDATE autopay_attempt AS a
   SET state = CASE WHEN a.state = 'asked' THEN 'sent' ELSE a.state END, act_at = %(until)s, queries = a.queries + 1
  FROM (SELECT customer_id, attempt_id, state, queries FROM autopay_attempt
         WHERE shop_id = %(shop)s AND act_at <= %(now)s ORDER BY act_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS due
 WHERE a.customer_id = due.customer_id AND a.attempt_id = due.attempt_id
RETURNING a.customer_id, a.attempt_id, due.state, due.queries
"""


def _lease(shop: Shop, now: datetime) -> list[tuple[UUID, UUID, str, int]]:
    """Take some, for a while. From then on an attempt counts as sent: if this process dies now, it is asked about, not asked for."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            _LEASE,
            {"shop": shop.id, "now": now, "until": now + timedelta(seconds=CALL_SECONDS), "limit": BATCH},
        )
        return list(cursor.fetchall())


def _act(
    shop: Shop,
    customer_id: UUID,
    name: UUID,
    state: str,
    queries: int,
    collector: Collector | None,
    now: datetime,
) -> None:
    found = _one(shop, customer_id, name)
    assert found is not None
    key = found.attempt_id
    if collector is None:
        _ask_the_shop(shop, found, queries, now)
        return
    ask = Ask(
        key=key, tool=found.tool, amount_minor=found.amount_minor, currency=found.currency, nth=found.nth
    )
    try:
        if state == "asked":
            if not _still_wanted(shop, found, now):
                return
            said = collector.collect(ask)
        else:
            said = collector.query(ask)
    except NotAnswered:
        said = Answer("unknown")
    if said.result != "unknown":
        try:
            record(
                shop,
                key,
                said.result,
                now,
                reason=said.reason,
                amount_minor=said.amount_minor,
                by="collector",
            )
            return
        except Contradiction as wrong:
            # Somebody has to look: it stays among what is unknown, which the console counts.
            log.warning("the attempt %s: %s", key, wrong)
    record(shop, key, "unknown", now, by="collector")
    _query_later(customer_id, name, queries, now)


def _still_wanted(shop: Shop, found: Attempt, now: datetime) -> bool:
    """Whether what was asked for may still be collected: the mandate stands, it is owed, and nothing is paused."""
    customer_id, name = _parsed(found.attempt_id)
    today = local_date(now, shop.time_zone)

    def act() -> bool:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT s.open_due_on, s.open_minor, c.terms -> 'plan' ->> 'id', EXISTS (SELECT FROM autopay_withdrawal AS w"
                " WHERE w.customer_id = a.customer_id AND w.mandate_id = a.mandate_id)"
                " FROM autopay_attempt AS a JOIN servicing_state AS s USING (customer_id, contract_id)"
                " JOIN servicing_contract AS c USING (customer_id, contract_id)"
                " WHERE a.customer_id = %s AND a.attempt_id = %s FOR NO KEY UPDATE OF s",
                [customer_id, name],
            )
            due_on, minors, plan, withdrawn = cursor.fetchone()
        owed = sum(minor for on, minor in zip(due_on, minors, strict=True) if on <= today)
        if withdrawn:
            _cancelled(shop, found, "mandate_withdrawn", now)
            return False
        if owed < found.amount_minor:
            _cancelled(shop, found, "paid_meanwhile", now)
            if owed:
                later = midnight(today + timedelta(days=1), shop)
                ask_one_later(
                    shop, *servicing.parsed(found.contract_id), later, found.first_on, found.try_ - 1
                )
            return False
        until = max(
            (each.until for each in suspensions(shop, now) if each.plans is None or plan in each.plans),
            default=None,
        )
        if until is not None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE autopay_attempt SET state = 'asked', act_at = %s WHERE customer_id = %s AND attempt_id = %s",
                    [max(until, now + timedelta(minutes=1)), customer_id, name],
                )
            return False
        return True

    return in_transaction(act)


def _ask_the_shop(shop: Shop, found: Attempt, queries: int, now: datetime) -> None:
    """The shop's server has not said what became of it: ask, and wait again."""
    customer_id, name = _parsed(found.attempt_id)

    def act() -> None:
        held = _held(shop, customer_id, name)
        if held.state not in OPEN:
            return
        if held.state != "unknown":
            _settle(shop, held, "unknown", "", now, "fenqi")
        enqueue(
            shop,
            customer_id,
            "autopay.query_requested",
            {
                "attempt_id": held.attempt_id,
                "contract_id": held.contract_id,
                "amount_minor": held.amount_minor,
                "currency": held.currency,
                "asked_at": held.asked_at,
            },
            now,
        )
        _query_later(customer_id, name, queries + 3, now)

    in_transaction(act)


def _query_later(customer_id: UUID, name: UUID, queries: int, now: datetime) -> None:
    pause = QUERY_SECONDS[min(queries, len(QUERY_SECONDS) - 1)]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE autopay_attempt SET act_at = %s WHERE customer_id = %s AND attempt_id = %s AND state = 'unknown'",
            [now + timedelta(seconds=pause), customer_id, name],
        )


def _parsed(attempt_id: str) -> tuple[UUID, UUID]:
    try:
        return parse_public_id(attempt_id, "aa")
    except ValueError:
        raise NoAttempt(attempt_id) from None


def _one(shop: Shop, customer_id: UUID, name: UUID) -> Attempt | None:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} WHERE a.customer_id = %s AND a.attempt_id = %s", [customer_id, name]
        )
        row = cursor.fetchone()
    return None if row is None else _read(row)


def _read(row: tuple[Any, ...]) -> Attempt:
    customer_id = row[0]
    return Attempt(
        attempt_id=public_id("aa", customer_id, row[1]),
        customer_id=customer_id,
        contract_id=public_id("ct", customer_id, row[2]),
        mandate_id=public_id("mn", customer_id, row[3]),
        tool=Tool(row[4], row[5], row[6]),
        day=row[7],
        due_on=tuple(row[8]),
        first_on=row[9],
        try_=row[10],
        due_minor=row[11],
        amount_minor=row[12],
        currency=row[13],
        asked_at=row[14],
        state=row[15],
        reason=row[16],
        settled_at=row[17],
        collected_minor=row[18],
        nth=row[19],
    )
