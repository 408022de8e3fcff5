"""The decision log: what was asked, what was known, what was answered.

A row holds the whole input of a decision (cart, channel, instant, every gathered fact) and the digest of the
policy, so that `decide` answers it again exactly, and each verdict's state and reason codes for whoever counts.

Rows are written off the request's path: a request puts its row into a bounded queue, and one thread a process writes
what has gathered, at most `LINGER_SECONDS` later, in one statement a shop. It is not COPY: PostgreSQL refuses that on a
table under row-level security, and it cannot skip a row that a confirmation has already written.

What can be lost: rows still queued when a process is killed outright (SIGKILL, power), which are those of the last
`LINGER_SECONDS` plus one write, never more than `QUEUE_ROWS`. On SIGTERM the queue is written first. A full
queue makes the request write its own row, so a slow database slows the askers instead of filling the memory. A row
that PostgreSQL refuses for what it says is named in the log and given up. A decision that was confirmed cannot be lost: it
is written in the transaction of its contract.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing.util
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from django.db import DataError, IntegrityError, connection, transaction

from fenqi_server.db import sqlstate, use_shop

__all__ = [
    "SELECTED",
    "Record",
    "append",
    "flush",
    "insert",
    "newest_of",
    "partitions_sql",
    "read",
    "record_of",
    "stop",
    "waiting",
    "write_due",
]

LINGER_SECONDS: Final = 0.2
QUEUE_ROWS: Final = 5_000
BATCH_ROWS: Final = 500
RETRY_SECONDS: Final = 0.5
STOP_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class Record(msgspec.Struct, frozen=True, gc=False):
    """One decision as it is kept. `input` and `verdicts` are JSON."""

    shop_id: UUID
    customer_id: UUID
    decision_id: UUID
    recorded_at: datetime
    source: str
    policy_digest: str
    amount_minor: int
    currency: str
    input: msgspec.Raw
    verdicts: msgspec.Raw


_COLUMNS: Final = ", ".join(Record.__struct_fields__)
# One parameter for a whole batch: composing it costs the process a few microseconds a row, and PostgreSQL reads it.
_INSERT: Final = f"""
INSERT INTO decisions_decision ({_COLUMNS}) SELECT {_COLUMNS} FROM jsonb_to_recordset(%s::jsonb) AS d (
    shop_id uuid, customer_id uuid, decision_id uuid, recorded_at timestamptz, source text, policy_digest text,
    amount_minor bigint, currency text, input jsonb, verdicts jsonb)
ON CONFLICT DO NOTHING
"""
SELECTED: Final = (
    "shop_id, customer_id, decision_id, recorded_at, source, policy_digest, amount_minor, currency,"
    " input::text, verdicts::text"
)
"""What `record_of` reads a record from."""
_SELECT: Final = f"SELECT {SELECTED} FROM decisions_decision WHERE customer_id = %s AND decision_id = %s"

_json = msgspec.json.Encoder().encode
_queue: deque[Record] = deque()
_starting = threading.Lock()
_writing = threading.Lock()
_stopping = threading.Event()
_writer: threading.Thread | None = None


def append(record: Record) -> None:
    """Have a decision written, within a second. Returns at once unless the queue is full.

    Inside the caller's transaction it is written there and then, and shares that transaction's fate.
    """
    if connection.in_atomic_block or len(_queue) >= QUEUE_ROWS or _stopping.is_set():
        insert([record])
        return
    _queue.append(record)
    if _writer is None or not _writer.is_alive():
        _start()


def insert(records: Sequence[Record]) -> None:
    """Write decisions now, in the caller's transaction if there is one. A row already there stays as it is."""
    for shop_id, group in groupby(sorted(records, key=attrgetter("shop_id")), key=attrgetter("shop_id")):
        use_shop(shop_id)
        with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
            cursor.execute(_INSERT, [_json(list(group)).decode()], prepare=True)


def read(customer_id: UUID, decision_id: UUID) -> Record | None:
    """A decision, from the queue of this process if it still waits there. The caller has set the shop."""
    for record in reversed(_queue.copy()):
        if record.decision_id == decision_id and record.customer_id == customer_id:
            return record
    # One that left the queue may be in the middle of being written: wait for that write, then look.
    with _writing, connection.cursor() as cursor:
        cursor.execute(_SELECT, [customer_id, decision_id])
        row = cursor.fetchone()
    return None if row is None else record_of(row)


def record_of(row: Sequence[Any]) -> Record:
    """A record from a row of `SELECTED`."""
    return Record(*row[:8], msgspec.Raw(row[8].encode()), msgspec.Raw(row[9].encode()))


def newest_of(customer_id: UUID, limit: int, before: UUID | None = None) -> tuple[Record, ...]:
    """A customer's newest decisions, those that still wait in this process included. The caller has set the shop.

    With `before`, only those that were made before that one.
    """
    waiting = [
        record
        for record in _queue.copy()
        if record.customer_id == customer_id and (before is None or record.decision_id < before)
    ]
    with _writing, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {SELECTED} FROM decisions_decision WHERE customer_id = %s AND (%s::uuid IS NULL OR decision_id < %s)"
            " ORDER BY decision_id DESC LIMIT %s",
            [customer_id, before, before, limit],
        )
        found = {record.decision_id: record for record in map(record_of, cursor.fetchall())}
    found.update({record.decision_id: record for record in waiting})
    return tuple(found[name] for name in sorted(found, reverse=True)[:limit])


def waiting() -> int:
    """How many decisions of this process are not written yet."""
    return len(_queue)


def flush() -> int:
    """Write everything that waits in this process now, and say how many that was.

    What arrives meanwhile waits for the next time: under a steady load each row would otherwise be a batch of its own.
    """
    waiting, written = len(_queue), 0
    while _queue and written < waiting:
        written += _write_batch()
    return written


def write_due(now: datetime) -> int:
    """The worker's job: what this process still holds. The service's own processes write theirs themselves."""
    return flush()


def _start() -> None:
    global _writer
    with _starting:
        if _writer is None or not _writer.is_alive():
            _writer = threading.Thread(target=_run, name="fenqi-decision-log", daemon=True)
            _writer.start()


def _run() -> None:
    rest = LINGER_SECONDS
    while not _stopping.wait(rest):
        rest = LINGER_SECONDS
        try:
            flush()
        except Exception:
            # The rows stay queued; a full queue turns writing over to the requests, which then say what is wrong.
            _log.exception("decision log: %d decisions wait", len(_queue))
            connection.close()
            rest = RETRY_SECONDS
    connection.close()


def _write_batch() -> int:
    with _writing:
        batch = [_queue[index] for index in range(min(len(_queue), BATCH_ROWS))]
        if not batch:
            return 0
        connection.close_if_unusable_or_obsolete()
        try:
            with transaction.atomic():
                insert(batch)
        except (DataError, IntegrityError):
            _write_singly(batch)
        # Only what is written leaves the queue, so a failed write loses nothing.
        for _ in batch:
            _queue.popleft()
        return len(batch)


def _write_singly(batch: Iterable[Record]) -> None:
    """One row that the database will never take must not keep the others from being written, now or ever."""
    for record in batch:
        try:
            with transaction.atomic():
                insert([record])
        except (DataError, IntegrityError) as refusal:
            # Named and not shown: what the row says belongs to its customer.
            _log.error(
                "decision %s is lost: PostgreSQL refused it (%s)", record.decision_id, sqlstate(refusal)
            )


def stop() -> None:
    """Write what waits and end the thread; the next decision starts another. For the end of a process."""
    _stopping.set()
    try:
        if _writer is not None and _writer is not threading.current_thread():
            _writer.join(STOP_SECONDS)
        flush()
    except Exception:
        _log.exception("decision log: %d decisions could not be written before the end", len(_queue))
    finally:
        _stopping.clear()


# A plain process runs atexit; a worker that multiprocessing started runs only multiprocessing's own finalizers.
atexit.register(stop)
multiprocessing.util.Finalize(None, stop, exitpriority=100)


def partitions_sql(first: datetime, months: int) -> Iterable[str]:
    """The statements that make the monthly partitions from `first`'s month on. They are the owner's to run.

    A partition is a range of decision ids: a UUIDv7 begins with its instant, so the primary key needs no date.
    """
    from fenqi_server.ids import first_uuid7

    begin = datetime(first.year, first.month, 1, tzinfo=UTC)
    for _ in range(months):
        end = (begin + timedelta(days=32)).replace(day=1)
        yield (
            f"CREATE TABLE IF NOT EXISTS decisions_decision_{begin:%Y_%m} PARTITION OF decisions_decision"
            f" FOR VALUES FROM ('{first_uuid7(begin)}') TO ('{first_uuid7(end)}')"
        )
        begin = end
