"""The proof of the book: everything that must hold, looked at anew from what is stored.

The database refuses a transaction that does not balance, and grants nobody who serves a shop the right to change one. The
proof does not rely on either: it reads the whole book, replays every contract from its events, and compares. It is what a
restored backup, an upgrade and every night are held against.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import msgspec

from fenqi.contracts.contract import replay
from fenqi.contracts.events import Event, decode_event
from fenqi.contracts.terms import ContractTerms
from fenqi.ledger.accounts import CHART, IN_TRANSIT
from fenqi.ledger.closure import closure_problems, settlement_problems
from fenqi.ledger.entries import FeeNotListed, position
from fenqi.problems import BadInput, Problem
from fenqi_server.db import use_shop
from fenqi_server.ids import public_id
from fenqi_server.servicing.storage import EVENT_SQL
from fenqi_server.shops.models import Shop

__all__ = ["CurrencyTotals", "Report", "prove", "prove_shop"]

MAX_PROBLEMS: Final = 1000
_BATCH: Final = 500


class CurrencyTotals(msgspec.Struct, frozen=True):
    """One currency's whole book. `sum_minor` is 0, or the book is broken; `debit_minor` is what moved."""

    currency: str
    transactions: int
    debit_minor: int
    sum_minor: int
    in_transit_minor: int
    accounts: dict[str, int]


class Report(msgspec.Struct, frozen=True):
    """What the proof found. `ok` is true where there is no problem; at most `MAX_PROBLEMS` are listed."""

    ok: bool
    problems: tuple[Problem, ...]
    totals: tuple[CurrencyTotals, ...]
    contracts: int
    transactions: int


def prove(connection: Any) -> Report:
    """Prove the book that `connection` (Django's or psycopg's) can see: one shop's for the service, all for the owner.

    Run inside a REPEATABLE READ transaction where others are writing, so that all of it is of one instant.
    """
    problems: list[Problem] = []
    with connection.cursor() as cursor:
        totals = tuple(_totals(cursor))
        for each in totals:
            if each.sum_minor:
                problems.append(Problem(f"sum in {each.currency}", str(each.sum_minor), "0"))
        problems += _broken_transactions(cursor)
        problems += _settlements(cursor)
        contracts, found = _contracts(cursor)
    problems += found
    return Report(
        not problems,
        tuple(problems[:MAX_PROBLEMS]),
        totals,
        contracts,
        sum(each.transactions for each in totals),
    )


def prove_shop(shop: Shop) -> Report:
    """Prove one shop's book on Django's connection."""
    from django.db import connection

    use_shop(shop.id)
    return prove(connection)


def _totals(cursor: Any) -> Iterator[CurrencyTotals]:
    cursor.execute(
        "SELECT currency, account, sum(amount_minor)::text, coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0)::text"
        " FROM books_entry GROUP BY currency, account ORDER BY currency, account"
    )
    lines = cursor.fetchall()
    cursor.execute("SELECT currency, count(*) FROM books_transaction GROUP BY currency ORDER BY currency")
    for currency, count in cursor.fetchall():
        own = [(account, int(net), int(debit)) for each, account, net, debit in lines if each == currency]
        yield CurrencyTotals(
            currency,
            count,
            sum(debit for _, _, debit in own),
            sum(net for _, net, _ in own),
            sum(net for account, net, _ in own if account == IN_TRANSIT),
            {CHART[account].name if account in CHART else str(account): net for account, net, _ in own},
        )


def _broken_transactions(cursor: Any) -> list[Problem]:
    """Rows that the table's own check would refuse: it can have been switched off, or a backup altered."""
    cursor.execute(
        "SELECT customer_id, transaction_id FROM books_transaction"
        " WHERE books_entries_ok(accounts, amounts) IS NOT TRUE LIMIT %s",
        [MAX_PROBLEMS],
    )
    found = [
        Problem(f"transaction {name} of {customer}", "unbalanced", "two legs or more that sum to zero")
        for customer, name in cursor.fetchall()
    ]
    cursor.execute(
        "SELECT t.customer_id, t.transaction_id, t.contract_id FROM books_transaction AS t"
        " LEFT JOIN servicing_event AS e ON e.customer_id = t.customer_id AND e.event_id = t.event_id"
        "  AND e.contract_id = t.contract_id"
        " WHERE t.contract_id IS NOT NULL AND e.event_id IS NULL LIMIT %s",
        [MAX_PROBLEMS],
    )
    return found + [
        Problem(
            f"transaction {name} of {customer}",
            f"contract {contract}",
            "an event of a contract that names it",
        )
        for customer, name, contract in cursor.fetchall()
    ]


def _settlements(cursor: Any) -> list[Problem]:
    """A batch that has arrived leaves nothing in transit, unless a payment joined it after."""
    cursor.execute(
        "SELECT settlement, sum(amount_minor)::text FROM books_entry WHERE account = %s"
        " GROUP BY shop_id, settlement, currency"
        " HAVING sum(amount_minor) <> 0 AND max(recorded_at) FILTER (WHERE event_kind = 'settlement') >="
        "        max(recorded_at) FILTER (WHERE event_kind <> 'settlement') ORDER BY 1",
        [IN_TRANSIT],
    )
    return [
        problem
        for settlement, minor in cursor.fetchall()
        for problem in settlement_problems(settlement, int(minor))
    ]


_terms: Final[msgspec.json.Decoder[ContractTerms]] = msgspec.json.Decoder(ContractTerms)

# Sums as text: a number of the database's may be longer than ours, and is compared, not computed with.
_CONTRACTS: Final = f"""
SELECT c.customer_id, c.contract_id, c.terms::text,
       ARRAY(SELECT {EVENT_SQL} FROM servicing_event AS e
              WHERE e.customer_id = c.customer_id AND e.contract_id = c.contract_id ORDER BY e.seq),
       (SELECT jsonb_object_agg(b.account, b.total::text) FROM (
               SELECT account, sum(amount_minor) AS total FROM books_entry AS x
                WHERE x.customer_id = c.customer_id AND x.contract_id = c.contract_id
                GROUP BY account HAVING sum(amount_minor) <> 0) AS b)::text,
       s.status, s.balance_minor, s.booked_accounts, s.booked_amounts
  FROM servicing_contract AS c
  LEFT JOIN servicing_state AS s USING (customer_id, contract_id)
 WHERE (c.customer_id, c.contract_id) > (%s, %s)
 ORDER BY c.customer_id, c.contract_id
 LIMIT %s
"""


def _contracts(cursor: Any) -> tuple[int, list[Problem]]:
    """Every contract's book against what its own events come to."""
    found: list[Problem] = []
    count = 0
    last: tuple[Any, Any] = ("00000000-0000-0000-0000-000000000000",) * 2
    while True:
        cursor.execute(_CONTRACTS, [*last, _BATCH])
        rows = cursor.fetchall()
        if not rows:
            return count, found
        count += len(rows)
        last = rows[-1][:2]
        for customer_id, contract_id, terms, bodies, booked, status, balance, accounts, amounts in rows:
            name = public_id("ct", customer_id, contract_id)
            in_book = {
                int(account): int(minor) for account, minor in msgspec.json.decode(booked or "{}").items()
            }
            cached = dict(zip(accounts or (), amounts or (), strict=False))
            found += _contract(name, _terms.decode(terms), [decode_event(body) for body in bodies], in_book)
            if status is None:
                found.append(Problem(f"contract {name}", "no cached state", "a row of servicing_state"))
            elif cached != in_book:
                found.append(Problem(f"contract {name}: cached balances", str(cached), str(in_book)))
            elif (status == "closed") != (balance == 0):
                found.append(
                    Problem(f"contract {name}: cached status", f"{status} with {balance}", "closed at 0")
                )


def _contract(name: str, terms: ContractTerms, events: list[Event], in_book: dict[int, int]) -> list[Problem]:
    try:
        state = replay(terms, events, date.max)
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
            title = CHART[account].name if account in CHART else str(account)
            found.append(
                Problem(
                    f"contract {name}: {title}",
                    f"{in_book.get(account, 0)} booked",
                    f"{derived.get(account, 0)}, as its events come to",
                )
            )
    found += [
        Problem(f"contract {name}: {each.place}", each.value, each.expected)
        for each in closure_problems(state, in_book)
    ]
    return found
