"""The proof of the book: everything that must hold, looked at anew from what is stored.

The database refuses a transaction that does not balance, and grants nobody who serves a shop the right to change one. The
proof does not rely on either. It is what a restored backup, an upgrade and every night are held against, and has two halves:

- `prove_sums` reads the whole book in a few passes of the database's own: every transaction balances, every currency sums to zero,
  what is cached for each contract is what is booked for it, closed contracts and arrived settlements have left nothing, every
  transaction names an event there is, and closed months are what was written down.
- `prove_contracts` replays contracts from their events and compares, account by account. It costs a contract a fraction of a
  millisecond, so a night looks at those that were touched and at a share of the others.

`prove` does both, over every contract.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, Final
from uuid import UUID

import msgspec

from fenqi.contracts.contract import replay
from fenqi.contracts.events import Event, decode_event
from fenqi.contracts.terms import ContractTerms
from fenqi.ledger.accounts import CHART, IN_TRANSIT
from fenqi.ledger.closure import closure_problems, settlement_problems
from fenqi.ledger.entries import FeeNotListed, position
from fenqi.problems import BadInput, Problem
from fenqi_server.books.beside import beside
from fenqi_server.books.reading import Balance, trial_digest
from fenqi_server.books.sealing import verify
from fenqi_server.db import use_shop
from fenqi_server.ids import public_id
from fenqi_server.servicing.storage import EVENT_SQL
from fenqi_server.shops.models import Shop

__all__ = [
    "CurrencyTotals",
    "Key",
    "Replayed",
    "Report",
    "one_instant",
    "prove",
    "prove_contracts",
    "prove_shop",
    "prove_sums",
    "touched",
]

MAX_PROBLEMS: Final = 1000
_BATCH: Final = 500

Key = tuple[UUID, UUID]
"""A contract's key: its customer's, then its own."""
_FIRST: Final[Key] = (UUID(int=0), UUID(int=0))


class CurrencyTotals(msgspec.Struct, frozen=True):
    """One currency's whole book. `sum_minor` is 0, or the book is broken; `debit_minor` is what moved."""

    currency: str
    transactions: int
    debit_minor: int
    sum_minor: int
    in_transit_minor: int
    accounts: dict[str, int]


class Report(msgspec.Struct, frozen=True):
    """What the proof found. `ok` is true where there is no problem; at most `MAX_PROBLEMS` are listed.

    Of `contracts`, whose sums were all looked at, `replayed` were replayed from their events.
    """

    ok: bool
    problems: tuple[Problem, ...]
    totals: tuple[CurrencyTotals, ...]
    contracts: int
    transactions: int
    replayed: int

    def with_contracts(self, replayed: Replayed) -> Report:
        """The same with what replaying contracts found."""
        problems = (*self.problems, *replayed.problems)[:MAX_PROBLEMS]
        return msgspec.structs.replace(
            self, ok=not problems, problems=problems, replayed=self.replayed + replayed.contracts
        )


class Replayed(msgspec.Struct, frozen=True):
    """What replaying contracts found. `last` is the last one's key where there may be more after it, None at the end."""

    contracts: int
    problems: tuple[Problem, ...]
    last: Key | None


def prove(connection: Any) -> Report:
    """Prove the book that `connection` (Django's or psycopg's) can see: one shop's for the service, all for the owner.

    All of it is of one instant, while others write, unless the caller is in a transaction already.
    """
    with one_instant(connection):
        return prove_sums(connection).with_contracts(prove_contracts(connection))


def prove_shop(shop: Shop) -> Report:
    """Prove one shop's book on Django's connection."""
    from django.db import connection

    use_shop(shop.id)
    return prove(connection)


@contextmanager
def one_instant(connection: Any) -> Iterator[None]:
    """A transaction in which every statement sees what the first one saw."""
    from django.db import transaction
    from psycopg.pq import TransactionStatus

    if hasattr(connection, "in_atomic_block"):  # Django's
        within, begin = connection.in_atomic_block, transaction.atomic
    else:
        within = connection.info.transaction_status != TransactionStatus.IDLE
        begin = connection.transaction
    if within:
        yield
        return
    with begin():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


# ------------------------------------------------------------------------------------------------------------- sums


def prove_sums(connection: Any) -> Report:
    """Everything that the database can see in the whole book at once, without replaying a contract."""
    with one_instant(connection), connection.cursor() as cursor:
        # Sums over a million groups fit; and a plan for a query that runs for a second is not worth compiling.
        for setting, value in (("work_mem", "64MB"), ("jit", "off")):
            cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])
        # A hash follows another: the seals keep one processor busy for two fifths of it all. The sums have the other meanwhile.
        with beside(connection, verify) as sealed:
            sums = _sums(cursor)
            counts, broken = _shapes(cursor)
            problems = [
                *_unbalanced(sums),
                *broken,
                *_settlements(sums),
                *_closed_months(cursor, sums, counts),
            ]
            problems += _events(cursor)
            contracts, found = _cached(cursor)
            problems += found
            problems += sealed()
    totals = tuple(_totals(sums, counts))
    transactions = sum(count for _, _, _, count in counts)
    return Report(not problems, tuple(problems[:MAX_PROBLEMS]), totals, contracts, transactions, 0)


class _Sum(msgspec.Struct, frozen=True):
    """What was booked on an account for a day; on `in_transit`, of one settlement."""

    shop_id: UUID
    currency: str
    day: date
    account: int
    settlement: str | None
    net: int
    debit: int
    arrived: bool


# Money in transit is told apart by its settlement. One that has arrived has left nothing, unless a payment joined it after: which of the
# two was first is told by their transactions (an arrival waits for those that began before it), and within one by the instant: a
# payment may have been on its way since before the arrival, and is recorded as of then.
# Sums travel as text: a number of the database's may be longer than ours.
_SUMS: Final = """
SELECT shop_id, currency, booked_on, account, CASE WHEN account = %s THEN settlement END, sum(minor)::text,
       coalesce(sum(minor) FILTER (WHERE minor > 0), 0)::text,
       max(xact) FILTER (WHERE account = %s AND event_kind = 'settlement'),
       max(recorded_at) FILTER (WHERE account = %s AND event_kind = 'settlement'),
       max(xact) FILTER (WHERE account = %s AND event_kind <> 'settlement'),
       max(recorded_at) FILTER (WHERE account = %s AND event_kind <> 'settlement')
  FROM (SELECT shop_id, currency, booked_on, settlement, event_kind, xact, recorded_at,
               unnest(accounts) AS account, unnest(amounts) AS minor FROM books_transaction) AS entry
 GROUP BY 1, 2, 3, 4, 5
"""


def _sums(cursor: Any) -> list[_Sum]:
    cursor.execute(_SUMS, [IN_TRANSIT] * 5)
    rows = cursor.fetchall()
    arrivals: dict[tuple[UUID, str, str], list[Any]] = {}
    for shop_id, currency, _, account, settlement, _, _, *last in rows:
        if account == IN_TRANSIT:
            seen = arrivals.setdefault((shop_id, currency, settlement), [None, None])
            for index, moment in enumerate((last[:2], last[2:])):
                if moment[0] is not None and (seen[index] is None or moment > seen[index]):
                    seen[index] = moment
    return [
        _Sum(
            shop_id,
            currency,
            day,
            account,
            settlement,
            int(net or 0),
            int(debit),
            _arrived(arrivals.get((shop_id, currency, settlement))),
        )
        for shop_id, currency, day, account, settlement, net, debit, *_ in rows
    ]


def _arrived(seen: Sequence[Any] | None) -> bool:
    return seen is not None and seen[0] is not None and (seen[1] is None or seen[0] >= seen[1])


def _named(account: int) -> str:
    return CHART[account].name if account in CHART else str(account)


def _totals(sums: list[_Sum], counts: list[_Count]) -> Iterator[CurrencyTotals]:
    for currency in sorted({each[1] for each in counts}):
        own = [each for each in sums if each.currency == currency]
        accounts: dict[int, int] = {}
        for each in own:
            accounts[each.account] = accounts.get(each.account, 0) + each.net
        yield CurrencyTotals(
            currency,
            sum(count for _, of, _, count in counts if of == currency),
            sum(each.debit for each in own),
            sum(each.net for each in own),
            accounts.get(IN_TRANSIT, 0),
            {_named(account): minor for account, minor in sorted(accounts.items())},
        )


def _unbalanced(sums: list[_Sum]) -> Iterator[Problem]:
    by_shop: dict[tuple[UUID, str], int] = {}
    for each in sums:
        key = (each.shop_id, each.currency)
        by_shop[key] = by_shop.get(key, 0) + each.net
    for (_, currency), minor in by_shop.items():
        if minor:
            yield Problem(f"sum in {currency}", str(minor), "0")


def _settlements(sums: list[_Sum]) -> Iterator[Problem]:
    waiting: dict[tuple[UUID, str, str], int] = {}
    for each in sums:
        if each.account == IN_TRANSIT and each.arrived:
            key = (each.shop_id, each.currency, each.settlement or "")
            waiting[key] = waiting.get(key, 0) + each.net
    for (_, _, settlement), minor in sorted(waiting.items(), key=lambda item: item[0][2]):
        yield from settlement_problems(settlement, minor)


_Count = tuple[UUID, str, date, int]

# What the table's own CHECK says, said here anew: it can have been switched off, its function replaced, a backup altered.
_SHAPE: Final = f"""
array_ndims(accounts) = 1 AND array_ndims(amounts) = 1 AND cardinality(accounts) = cardinality(amounts)
AND cardinality(accounts) >= 2 AND array_position(accounts, NULL) IS NULL AND array_position(amounts, NULL) IS NULL
AND array_position(amounts, 0::bigint) IS NULL AND accounts <@ '{{{", ".join(map(str, CHART))}}}'::smallint[]
"""
_BALANCED: Final = f"({_SHAPE} AND (SELECT sum(amount) FROM unnest(amounts) AS amount) = 0)"
# The same for the few legs and the amounts that nearly every transaction has: no sum of them leaves a bigint, so they are added as
# they stand, which several workers can do, three times as fast. What this does not vouch for is looked at once more.
_LEGS: Final = 6
_PLAINLY: Final = (
    f"({_SHAPE} AND cardinality(amounts) <= {_LEGS} AND array_lower(amounts, 1) = 1"
    f" AND {2**60} > ALL (amounts) AND {-(2**60)} < ALL (amounts) AND "
    + " + ".join(f"coalesce(amounts[{leg}], 0)" for leg in range(1, _LEGS + 1))
    + " = 0)"
)


def _shapes(cursor: Any) -> tuple[list[_Count], list[Problem]]:
    """How many transactions a day has in a currency, and those that do not balance."""
    cursor.execute(
        f"SELECT shop_id, currency, booked_on, count(*), count(*) FILTER (WHERE {_PLAINLY} IS NOT TRUE)"
        " FROM books_transaction GROUP BY 1, 2, 3"
    )
    rows = cursor.fetchall()
    counts = [(shop_id, currency, day, count) for shop_id, currency, day, count, _ in rows]
    if not any(unsure for *_, unsure in rows):
        return counts, []
    cursor.execute(
        f"SELECT customer_id, transaction_id FROM books_transaction WHERE {_PLAINLY} IS NOT TRUE"
        f" AND {_BALANCED} IS NOT TRUE ORDER BY 1, 2 LIMIT %s",
        [MAX_PROBLEMS],
    )
    return counts, [
        Problem(f"transaction {name} of {customer}", "unbalanced", "two legs or more that sum to zero")
        for customer, name in cursor.fetchall()
    ]


def _closed_months(cursor: Any, sums: list[_Sum], counts: list[_Count]) -> Iterator[Problem]:
    """Closed months against what was written down when they closed."""
    cursor.execute(
        "SELECT shop_id, first_on, last_on, transactions, digest FROM books_period WHERE closed_at IS NOT NULL"
        " ORDER BY shop_id, last_on"
    )
    for shop_id, first_on, last_on, transactions, digest in cursor.fetchall():
        balances: dict[tuple[str, int], tuple[int, int]] = {}
        for each in sums:
            if each.shop_id == shop_id and each.day <= last_on:
                debit, credit = balances.get((each.currency, each.account), (0, 0))
                balances[each.currency, each.account] = debit + each.debit, credit + each.debit - each.net
        now = tuple(
            Balance(currency, account, debit, credit)
            for (currency, account), (debit, credit) in sorted(balances.items())
        )
        count = sum(n for shop, _, day, n in counts if shop == shop_id and first_on <= day <= last_on)
        if trial_digest(shop_id, last_on, count, now) != digest:
            yield Problem(
                f"period {first_on:%Y-%m}",
                f"another trial balance, with {count} transactions",
                f"the one that was written down when it closed, with {transactions} ({digest})",
            )


def _events(cursor: Any) -> list[Problem]:
    cursor.execute(
        "SELECT t.customer_id, t.transaction_id, t.contract_id FROM books_transaction AS t"
        # The end of a month is no event of the contract: it books, and takes back.
        " WHERE t.contract_id IS NOT NULL AND t.event_kind NOT IN ('accrued', 'accrual_reversed') AND NOT EXISTS (SELECT FROM servicing_event AS e"
        "  WHERE e.customer_id = t.customer_id AND e.event_id = t.event_id AND e.contract_id = t.contract_id) LIMIT %s",
        [MAX_PROBLEMS],
    )
    return [
        Problem(
            f"transaction {name} of {customer}",
            f"contract {contract}",
            "an event of a contract that names it",
        )
        for customer, name, contract in cursor.fetchall()
    ]


# What is booked for each contract, less what is cached for it: nothing is left where both say the same.
_CACHED: Final = """
SELECT customer_id, contract_id, account, sum(minor)::text FROM (
       SELECT customer_id, contract_id, unnest(accounts) AS account, unnest(amounts) AS minor
         FROM books_transaction WHERE contract_id IS NOT NULL
       UNION ALL
       SELECT customer_id, contract_id, unnest(booked_accounts), -unnest(booked_amounts) FROM servicing_state) AS entry
 GROUP BY 1, 2, 3 HAVING sum(minor) <> 0 ORDER BY 1, 2, 3 LIMIT %s
"""
# Accounts that are zero when their contract is closed, and the sign that each never has before.
_ENDED: Final = {
    code: "<" if account.normal_side == "debit" else ">"
    for code, account in CHART.items()
    if account.zero_at == "close"
}
_STATUS: Final = """
SELECT customer_id, contract_id, status, balance_minor FROM servicing_state AS s
 WHERE (status = 'closed') <> (balance_minor = 0)
   -- A lease whose rents are paid waits for its goods, and a pledge for its success.
   AND NOT (status = 'active' AND EXISTS (
       SELECT FROM servicing_contract AS c WHERE c.customer_id = s.customer_id AND c.contract_id = s.contract_id
          AND c.terms #>> '{plan,pricing,kind}' IN ('lease', 'pledge')))
 ORDER BY 1, 2 LIMIT %s
"""
_CLOSURE: Final = f"""
SELECT s.customer_id, s.contract_id, s.status, e.account, e.minor
  FROM servicing_state AS s
 CROSS JOIN LATERAL unnest(s.booked_accounts, s.booked_amounts) AS e (account, minor)
 WHERE e.account IN ({", ".join(map(str, _ENDED))}) AND e.minor <> 0
   AND (s.status = 'closed' OR {" OR ".join(f"e.account = {code} AND e.minor {sign} 0" for code, sign in _ENDED.items())})
 ORDER BY 1, 2, 4 LIMIT %s
"""


def _cached(cursor: Any) -> tuple[int, list[Problem]]:
    """What is cached for contracts against their book; what closed ones have left."""
    cursor.execute("SELECT count(*) FROM servicing_contract")
    (contracts,) = cursor.fetchone()
    found: list[Problem] = []
    cursor.execute(
        "SELECT customer_id, contract_id FROM servicing_contract AS c WHERE NOT EXISTS (SELECT FROM servicing_state AS s"
        " WHERE s.customer_id = c.customer_id AND s.contract_id = c.contract_id) ORDER BY 1, 2 LIMIT %s",
        [MAX_PROBLEMS],
    )
    for key in cursor.fetchall():
        found.append(Problem(f"contract {_name(key)}", "no cached state", "a row of servicing_state"))
    with _alone(cursor):
        cursor.execute(_CACHED, [MAX_PROBLEMS])
        differing = cursor.fetchall()
    for customer_id, contract_id, account, minor in differing:
        place = f"contract {_name((customer_id, contract_id))}: cached balances of {_named(account)}"
        found.append(Problem(place, f"{minor} less than is booked", "what is booked"))
    cursor.execute(_STATUS, [MAX_PROBLEMS])
    for customer_id, contract_id, status, balance in cursor.fetchall():
        place = f"contract {_name((customer_id, contract_id))}: cached status"
        found.append(Problem(place, f"{status} with {balance}", "closed at 0"))
    cursor.execute(_CLOSURE, [MAX_PROBLEMS])
    for customer_id, contract_id, status, account, minor in cursor.fetchall():
        place = f"contract {_name((customer_id, contract_id))}: {_named(account)}"
        expected = "0 or more" if _ENDED[account] == "<" else "0 or less: it is a credit"
        if status == "closed":
            expected = "0, since the contract is closed"
        found.append(Problem(place, str(minor), expected))
    return contracts, found


@contextmanager
def _alone(cursor: Any) -> Iterator[None]:
    """Statements that one process runs. A group here is a few rows of one contract: workers would hand on nearly as many groups as they
    read rows, sorted, to be added up once more, and work twice as much for it as one."""
    setting = "max_parallel_workers_per_gather"
    cursor.execute("SELECT current_setting(%s), set_config(%s, '0', true)", [setting, setting])
    (before, _) = cursor.fetchone()
    yield
    cursor.execute("SELECT set_config(%s, %s, true)", [setting, before])


def _name(key: Key) -> str:
    return public_id("ct", *key)


# -------------------------------------------------------------------------------------------------------- contracts


_terms: Final[msgspec.json.Decoder[ContractTerms]] = msgspec.json.Decoder(ContractTerms)

_CONTRACTS: Final = f"""
SELECT c.customer_id, c.contract_id, c.terms::text,
       ARRAY(SELECT {EVENT_SQL} FROM servicing_event AS e
              WHERE e.customer_id = c.customer_id AND e.contract_id = c.contract_id ORDER BY e.seq),
       (SELECT jsonb_object_agg(b.account, b.total::text) FROM (
               SELECT account, sum(amount_minor) AS total FROM books_entry AS x
                WHERE x.customer_id = c.customer_id AND x.contract_id = c.contract_id
                GROUP BY account HAVING sum(amount_minor) <> 0) AS b)::text,
       (SELECT s.last_seq FROM servicing_state AS s WHERE s.customer_id = c.customer_id AND s.contract_id = c.contract_id)
  FROM servicing_contract AS c
"""
_AFTER: Final = (
    " WHERE (c.customer_id, c.contract_id) > (%s, %s) ORDER BY c.customer_id, c.contract_id LIMIT %s"
)
_THESE: Final = " JOIN unnest(%s::uuid[], %s::uuid[]) AS asked (customer_id, contract_id) USING (customer_id, contract_id)"


def prove_contracts(
    connection: Any,
    *,
    after: Key | None = None,
    these: Sequence[Key] | None = None,
    seconds: float | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Replayed:
    """Replay contracts from their events, and compare what they come to with what is booked.

    In the order of their keys: those behind `after`, or all; or `these` alone. For `seconds` at most, looked at after every
    batch: `last` then says where to go on.
    """
    until = None if seconds is None else time.monotonic() + seconds
    found: list[Problem] = []
    count, last = 0, after or _FIRST
    with connection.cursor() as cursor:
        while True:
            if these is None:
                cursor.execute(_CONTRACTS + _AFTER, [*last, _BATCH])
            else:
                batch, these = these[:_BATCH], these[_BATCH:]
                cursor.execute(
                    _CONTRACTS + _THESE, [[each[0] for each in batch], [each[1] for each in batch]]
                )
                last = batch[-1] if batch else last
            rows = cursor.fetchall()
            for customer_id, contract_id, terms, bodies, booked, last_seq in rows:
                in_book = {
                    int(account): int(minor) for account, minor in msgspec.json.decode(booked or "{}").items()
                }
                events = [decode_event(body) for body in bodies]
                name = _name((customer_id, contract_id))
                found += _numbers(name, [event.seq for event in events], last_seq)
                found += _contract(name, _terms.decode(terms), events, in_book)
            count += len(rows)
            progress(count)
            if these is None:
                last = rows[-1][:2] if rows else last
                more = len(rows) == _BATCH
            else:
                more = bool(these)
            if not more:
                return Replayed(count, tuple(found), None)
            if until is not None and time.monotonic() >= until:
                return Replayed(count, tuple(found), last)


def touched(connection: Any, since: Any, most: int) -> list[Key]:
    """The contracts for which something was recorded in the book after an instant, at most so many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT customer_id, contract_id FROM (SELECT customer_id, contract_id FROM books_transaction"
            " WHERE recorded_at > %s AND contract_id IS NOT NULL AND event_kind NOT IN ('accrued', 'accrual_reversed') ORDER BY recorded_at DESC LIMIT %s) AS recent",
            [since, most],
        )
        return [(customer_id, contract_id) for customer_id, contract_id in cursor.fetchall()]


def _numbers(name: str, numbers: Sequence[int], last: int | None) -> list[Problem]:
    """An event is added where the cached row says that the one before it is the last: where it says otherwise, none can be."""
    place = f"contract {name}: the numbers of its events"
    for expected, number in enumerate(numbers, 1):
        if number != expected:
            return [Problem(place, f"{number} after {expected - 1}", f"{expected}: each comes once")]
    if last in (None, len(numbers)):
        return []
    return [Problem(place, f"{last} cached as the last one", str(len(numbers)))]


def _contract(
    name: str, terms: ContractTerms, events: Iterable[Event], in_book: dict[int, int]
) -> list[Problem]:
    try:
        state = replay(terms, list(events), date.max)
        derived = position(terms, state.movements)
    except FeeNotListed as problem:
        return [
            Problem(
                f"contract {name}: {problem.problem.place}", problem.problem.value, problem.problem.expected
            )
        ]
    except BadInput as problem:
        return [Problem(f"contract {name}", problem.problem.sentence, "events that can all be true")]
    found: list[Problem] = []
    for account in sorted(derived.keys() | in_book.keys()):
        if derived.get(account, 0) != in_book.get(account, 0):
            found.append(
                Problem(
                    f"contract {name}: {_named(account)}",
                    f"{in_book.get(account, 0)} booked",
                    f"{derived.get(account, 0)}, as its events come to",
                )
            )
    found += [
        Problem(f"contract {name}: {each.place}", each.value, each.expected)
        for each in closure_problems(state, in_book)
    ]
    return found
