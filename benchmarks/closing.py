"""Closing a day: 33,000 contracts due among 1,000,000 active ones, and the same 33,000 among 100,000.

Some ninety contracts are made by the service itself, a few for each day, and multiplied set-based into two databases of one
durable server: in each, every third contract has paid nothing, every third a part of its first instalment, every third all of it. The contracts due
on a day lie scattered over the whole table. Days are closed in turn, one in the large database and one in the small, by one process.

Before each, PostgreSQL makes a checkpoint, as it would have between two nights. Otherwise the small database would close its second day on
pages that are whole in the log since its first, and the large one on pages that are not; and its own log would start a checkpoint that
the small one's never does. What else PostgreSQL keeps in memory is what the days before left there: both share it, and both begin on what the
other's close has not driven out.

`day_close_mandates` closes days on which more follows: each of the 33,000 is asked for by mandate and reminded of its day, and 33,000 others are
told of theirs, three days ahead.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.installation import installed

DUE = 33_000
SIZES = {"1m": 1_000_000, "100k": 100_000}
DAYS = tuple(date(year, month, day) for year, month in ((2026, 12), (2027, 1)) for day in (1, 2, 3))
"""What is closed: each contract's first row, of which a third earns something on its day, and its second, of which all do."""
GROUPS = 30
MANDATE_DAYS = (date(2026, 12, 1), date(2026, 12, 4), date(2026, 12, 7))
"""Three days apart, as the reminder ahead of a due date: on each, the next day's contracts are told of theirs. What they leave late is looked
at on the days between, which are not measured."""
DEBITS = 33_000
REMINDERS = 66_000

_COUNTERS = """
SELECT d.blks_hit + d.blks_read AS buffers, d.blks_read AS read_blocks, d.tup_fetched AS rows,
       w.wal_bytes::bigint AS log_bytes, w.wal_fpi AS whole_pages
  FROM pg_stat_database AS d, pg_stat_wal AS w WHERE d.datname = current_database()
"""


def day_close() -> Iterator[dict[str, object]]:
    """Seconds for a day in both databases, with what was read, and the ratio of interleaved pairs."""
    import psycopg

    with installed() as (_, cluster, environ):
        assert cluster.superuser_url is not None, "our own server has a superuser"
        _child(environ, "make", "scattered")
        urls = {}
        for size, contracts in SIZES.items():
            began = time.monotonic()
            with psycopg.connect(_named(cluster.superuser_url, "postgres"), autocommit=True) as session:
                session.execute(f"CREATE DATABASE bench_{size} TEMPLATE fenqi")
            urls[size] = _named(cluster.superuser_url, f"bench_{size}")
            _multiply(urls[size], contracts)
            print(f"{size}: built in {time.monotonic() - began:.0f} s", file=sys.stderr)
        runs: dict[str, list[dict[str, Any]]] = {size: [] for size in SIZES}
        for number, day in enumerate(DAYS):
            # Whoever comes second finds the machine warmer or colder: they take turns.
            for size in list(SIZES)[:: 1 if number % 2 else -1]:
                with psycopg.connect(urls[size], autocommit=True) as session:
                    session.execute("CHECKPOINT")
                before = _counters(urls[size])
                there = environ | {
                    "FENQI_DATABASE_URL": _named(environ["FENQI_DATABASE_URL"], f"bench_{size}")
                }
                run = _child(there, "close", day.isoformat())
                after = _counters(urls[size])
                run |= {name: after[name] - before[name] for name in after}
                print(f"{size} {day}: {run}", file=sys.stderr)
                if run["contracts"] != DUE:
                    raise SystemExit(f"{run['contracts']} contracts were closed instead of {DUE}")
                runs[size].append(run)
    for size in SIZES:
        yield {
            "name": f"day_close.{size}",
            "value": round(statistics.median(run["seconds"] for run in runs[size]), 2),
            "unit": "s",
            "seconds": [round(run["seconds"], 2) for run in runs[size]],
            # Of the closing process and of its session in PostgreSQL, which take turns: what a day takes when nothing else runs.
            "cpu_seconds": round(statistics.median(run["cpu_seconds"] for run in runs[size]), 2),
            "database_cpu_seconds": round(
                statistics.median(run["database_cpu_seconds"] for run in runs[size]), 2
            ),
            "due": DUE,
            "at_once": runs[size][0]["at_once"],
            "buffers": round(statistics.median(run["buffers"] for run in runs[size])),
            "rows": round(statistics.median(run["rows"] for run in runs[size])),
            "read_blocks": round(statistics.median(run["read_blocks"] for run in runs[size])),
            "log_mb": round(statistics.median(run["log_bytes"] for run in runs[size]) / 1e6),
            "whole_pages": round(statistics.median(run["whole_pages"] for run in runs[size])),
            "load": round(os.getloadavg()[0], 1),
        }
    yield {
        "name": "day_close.ratio",
        "value": _ratio(runs, "seconds"),
        "unit": "1m / 100k, median of pairs",
        "buffers": _ratio(runs, "buffers"),
        "rows": _ratio(runs, "rows"),
        "cpu": _ratio(runs, "cpu_seconds"),
        "pairs": [
            round(large["seconds"] / small["seconds"], 2)
            for large, small in zip(runs["1m"], runs["100k"], strict=True)
        ],
    }


def day_close_mandates() -> Iterator[dict[str, object]]:
    """Seconds for a day on which all that is due is asked for and told of, and for each part of it."""
    import psycopg

    with installed() as (_, cluster, environ):
        assert cluster.superuser_url is not None, "our own server has a superuser"
        _child(environ, "make", "mandates")
        url = _named(cluster.superuser_url, "fenqi")
        began = time.monotonic()
        _multiply(url, SIZES["1m"])
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("SET session_replication_role = replica")
            session.execute(_MANDATES)
            session.execute("VACUUM (ANALYZE) autopay_mandate")
        print(f"built in {time.monotonic() - began:.0f} s", file=sys.stderr)
        runs: list[dict[str, Any]] = []
        for day in MANDATE_DAYS:
            if runs:
                _child(environ, "close", (day - timedelta(days=1)).isoformat())
            with psycopg.connect(url, autocommit=True) as session:
                session.execute("CHECKPOINT")
            before = _counters(url)
            run = _child(environ, "close", day.isoformat())
            after = _counters(url)
            run |= {name: after[name] - before[name] for name in after}
            print(f"{day}: {run}", file=sys.stderr)
            done = {"contracts": DUE, "debits": DEBITS, "reminders": REMINDERS}
            if any(run[name] != count for name, count in done.items()):
                raise SystemExit(f"{day}: expected {done}")
            runs.append(run)
    yield {
        "name": "day_close.mandates",
        "value": round(statistics.median(run["seconds"] for run in runs), 2),
        "unit": "s",
        "seconds": [round(run["seconds"], 2) for run in runs],
        "parts": {
            part: round(statistics.median(run["parts"][part] for run in runs), 2) for part in runs[0]["parts"]
        },
        "due": DUE,
        "debits": DEBITS,
        "reminders": REMINDERS,
        **{
            name: round(statistics.median(run[name] for run in runs), 2)
            for name in (
                "cpu_seconds",
                "database_cpu_seconds",
                "buffers",
                "rows",
                "read_blocks",
                "whole_pages",
            )
        },
        "load": round(os.getloadavg()[0], 1),
    }


def _ratio(runs: dict[str, list[dict[str, Any]]], what: str) -> float:
    pairs = zip(runs["1m"], runs["100k"], strict=True)
    return round(statistics.median(large[what] / small[what] for large, small in pairs), 3)


def _named(url: str, name: str) -> str:
    before, _, query = url.partition("?")
    return f"{before.rpartition('/')[0]}/{name}?{query}"


def _counters(url: str) -> dict[str, int]:
    import psycopg
    from psycopg.rows import dict_row

    # A session's counts arrive when it ends, and a moment later.
    time.sleep(1)
    with psycopg.connect(url, row_factory=dict_row) as session:
        found = session.execute(_COUNTERS).fetchone()
    assert found is not None
    return found


# Each contract copies one made for its group (a day) and what was paid, under names of its own.
_COPIES = """
CREATE UNLOGGED TABLE copies AS
SELECT c.customer_id, c.contract_id, ('10000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS new_customer,
       ('20000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS new_contract
  FROM generate_series(0, %(contracts)s - 1) AS n
  JOIN servicing_contract AS c
    ON c.order_ref = 'group-' || (CASE WHEN n / %(groups)s < %(due)s THEN n %% %(groups)s ELSE %(last)s END) || '-' || n / %(groups)s %% 3
"""
_MULTIPLIED = {
    "servicing_contract": ("customer_id", "contract_id"),
    "servicing_state": ("customer_id", "contract_id"),
    "servicing_event": ("customer_id", "contract_id", "event_id"),
    "books_transaction": ("customer_id", "contract_id", "event_id", "transaction_id"),
}
_NEW = {
    "customer_id": "k.new_customer",
    "contract_id": "k.new_contract",
    # The same for an event and its entry: a name drawn from the copied one's and the new contract's.
    "event_id": "md5(t.event_id::text || k.new_contract)::uuid",
    "transaction_id": "gen_random_uuid()",
}

# Everyone has given one; read off what was multiplied.
_MANDATES = """
INSERT INTO autopay_mandate (customer_id, mandate_id, shop_id, tool_token, tool_brand, tool_last4, ceiling_minor, currency,
                             text_version, given_at)
SELECT c.customer_id, c.contract_id, c.shop_id, 'tok_' || c.contract_id, 'UnionPay', '4242', 100000, c.currency, 'autopay-1', c.created_at
  FROM servicing_contract AS c
"""


def _multiply(url: str, contracts: int) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as session:
        # Foreign keys are not asked a million times for what was copied from rows that hold them.
        session.execute("SET session_replication_role = replica")
        session.execute("SET synchronous_commit = off")
        session.execute("SET work_mem = '256MB'")
        groups = contracts // DUE
        session.execute(_COPIES, {"contracts": contracts, "groups": groups, "due": DUE, "last": GROUPS - 1})
        for table, keys in _MULTIPLIED.items():
            names = [
                name
                for (name,) in session.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                    " ORDER BY attnum",
                    [table],
                )
            ]
            chosen = ", ".join(_NEW[name] if name in keys else f"t.{name}" for name in names)
            session.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen} FROM copies AS k JOIN {table} AS t"
                " ON t.customer_id = k.customer_id AND t.contract_id = k.contract_id ORDER BY k.new_customer"
            )
            # Those that were copied are no part of the measurement.
            session.execute(f"DELETE FROM {table} WHERE contract_id < '10000000-0000-4000-8000-000000000000'")
            session.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        session.execute("DROP TABLE copies")
        session.execute("VACUUM (ANALYZE)")
        session.execute("CHECKPOINT")


def _child(environ: dict[str, str], *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.closing", *words],
        env=environ,
        cwd=Path(__file__).resolve().parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"benchmarks.closing {' '.join(words)} failed; see above")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


# --------------------------------------------------------------------------------------------- in a process of its own


def _make(what: str) -> dict[str, object]:
    """A shop with one contract for each group and each way of having paid; with `mandates`, nobody has paid all, and its server listens."""
    from decimal import Decimal

    from django.db import transaction

    from fenqi.terms.cost import cost_of
    from fenqi.terms.disclosure import disclose
    from fenqi.terms.plan import FlatFee, Plan
    from fenqi.terms.schedule import build_schedule
    from fenqi.texts import Text
    from fenqi_server.autopay.collectors import ASKED
    from fenqi_server.customers import service as customers
    from fenqi_server.outbox.service import add_endpoint
    from fenqi_server.reminders.queueing import EVENT
    from fenqi_server.servicing import service
    from fenqi_server.shops import service as shops

    plan = Plan("mall_12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")))
    shop = shops.create_shop("bench", name_zh_cn="基准商城", name_en="Bench Mall", at=_at(date(2026, 10, 1)))
    mandates = what == "mandates"
    if mandates:
        add_endpoint(shop, "https://mall.example/fenqi", (ASKED, EVENT), _at(date(2026, 10, 1)))
    first = [day.replace(month=11) for day in ((*MANDATE_DAYS, date(2026, 12, 10)) if mandates else DAYS[:3])]
    for group in range(GROUPS):
        agreed_on = first[group] if group < len(first) else date(2027, 2, 1) + timedelta(days=group % 28)
        at = _at(agreed_on)
        for way, paid in enumerate((0, 10_000, 20_000 if mandates else 53_600)):
            customer_id = customers.ensure(shop, f"c-{group}-{way}", at)
            bill = build_schedule(plan, 600_000, "CNY", agreed_on)
            table = disclose(plan, bill, cost_of(bill, plan), Text("商城", "The mall"))
            with transaction.atomic():
                service.lock_customer(shop, customer_id)
                contract = service.open_contract(
                    shop,
                    customer_id,
                    plan=plan,
                    schedule=bill,
                    disclosure=table,
                    policy_digest="sha256:" + "0" * 64,
                    order_ref=f"group-{group}-{way}",
                    at=at,
                )
            if paid:
                service.pay(shop, contract, paid, "received", "bank-1", at + timedelta(hours=1))
    return {}


def _close(day: date) -> dict[str, object]:
    from django.db import connection

    from fenqi_server.autopay import asking
    from fenqi_server.reminders import coming
    from fenqi_server.servicing import closing, watch
    from fenqi_server.shops import service as shops

    shop = shops.by_code("bench")
    parts = {
        "due": _timed(closing, "_chunk"),
        "asked": _timed(asking, "ask_chunk"),
        "told": _timed(watch, "look_chunk"),
        "told_ahead": _timed(coming, "search"),
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (session,) = cursor.fetchone()
    began, used, served = time.monotonic(), time.process_time(), _ticks_of(session)
    report = closing.close_day(shop, day, _at(day))
    seconds, cpu = time.monotonic() - began, time.process_time() - used
    ours = (_ticks_of(session) - served) / os.sysconf("SC_CLK_TCK")
    run = next(run for run in closing.runs_of(shop) if run.day == day)
    if report.failed or run.ended_at is None:
        raise SystemExit(f"the day {day} was not closed: {report.failed[:3]}")
    return {
        "seconds": seconds,
        "cpu_seconds": cpu + ours,
        "database_cpu_seconds": ours,
        "contracts": report.contracts,
        "at_once": run.at_once,
        "earned_minor": run.earned_minor,
        "debits": report.asked,
        "reminders": report.reminders,
        "parts": {part: sum(seconds) for part, seconds in parts.items()},
    }


def _timed(module: Any, name: str) -> list[float]:
    """What each call of a function of the module takes from now on, in seconds."""
    act, seconds = getattr(module, name), list[float]()

    def timed(*given: Any, **named: Any) -> Any:
        began = time.monotonic()
        try:
            return act(*given, **named)
        finally:
            seconds.append(time.monotonic() - began)

    setattr(module, name, timed)
    return seconds


def _ticks_of(process: int) -> int:
    """The ticks that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 2, 0, tzinfo=UTC)


def main(words: list[str]) -> None:
    """`make scattered|mandates`, or `close DAY`: in the database of `FENQI_DATABASE_URL`."""
    import django

    django.setup()
    print(json.dumps(_make(words[1]) if words[0] == "make" else _close(date.fromisoformat(words[1]))))


if __name__ == "__main__":
    main(sys.argv[1:])
