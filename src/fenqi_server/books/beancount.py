"""The whole book of a shop in the language of Beancount, whose own checker then adds everything up again.

Each transaction is one of Beancount's, in its own currency, on the day of the book. At the end of every month a balance is asserted
for every account, to the minor unit: for a closed month the one that was written down when it closed, otherwise one that the
database summed. So the file is not only read but proves itself: `bean-check FILE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import groupby
from typing import Final, TextIO

import msgspec
from django.db import connection

from fenqi.ledger.accounts import CHART
from fenqi.money import decimal_text
from fenqi_server.books import periods
from fenqi_server.books.journal import Entry, entries_between
from fenqi_server.books.mapping import Mapped, mapping
from fenqi_server.books.proof import one_instant
from fenqi_server.db import use_shop
from fenqi_server.ids import public_id
from fenqi_server.shops.models import Shop

__all__ = ["Written", "account_name", "write_book"]

_ROOTS: Final = {
    "asset": "Assets",
    "liability": "Liabilities",
    "equity": "Equity",
    "income": "Income",
    "expense": "Expenses",
}


class Written(msgspec.Struct, frozen=True):
    """What was written: how many transactions, and how many balances are asserted."""

    transactions: int
    assertions: int


def account_name(account: int) -> str:
    """An account in Beancount's spelling.

    >>> account_name(1110), account_name(4110)
    ('Assets:PrincipalReceivable', 'Income:FeeIncome')
    """
    known = CHART[account]
    return f"{_ROOTS[known.account_class]}:{''.join(word.capitalize() for word in known.name.split('_'))}"


def write_book(shop: Shop, out: TextIO) -> Written:
    """Write the book of a shop, all of one instant."""
    with one_instant(connection):
        use_shop(shop.id)
        sums = _sums(shop)
        out.write(
            f"; The book of {shop.code}, one transaction for each of its own, balances at the end of each month.\n"
        )
        out.write(f'option "title" {_text(shop.name.en)}\n')
        for currency in dict.fromkeys([shop.currency, *(each.currency for each in sums)]):
            out.write(f'option "operating_currency" "{currency}"\n')
        out.write("\n")
        if not sums:
            return Written(0, 0)
        began_on = min(each.day for each in sums)
        named = mapping(shop)
        for account in sorted({each.account for each in sums}):
            out.writelines(_opened(account, began_on, named.get(account)))
        transactions = 0
        for _, group in groupby(entries_between(shop), key=lambda entry: entry.transaction_id):
            out.writelines(_transaction(list(group)))
            transactions += 1
        assertions = 0
        out.write("\n")
        for line in _balances(shop, sums):
            out.write(line)
            assertions += 1
    return Written(transactions, assertions)


def _text(said: str) -> str:
    """A string of the file's language: on one line, its quotes and backslashes marked."""
    plain = "".join(character if character.isprintable() else " " for character in said)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _opened(account: int, on: date, mapped: Mapped | None) -> Iterator[str]:
    yield f"{on.isoformat()} open {account_name(account)}\n"
    yield f'  code: "{account}"\n'
    yield f"  title: {_text(CHART[account].title.zh_cn)}\n"
    if mapped is not None:
        yield f"  own-code: {_text(mapped.code)}\n"
        yield f"  own-name: {_text(mapped.name)}\n"


def _transaction(entries: list[Entry]) -> Iterator[str]:
    first = entries[0]
    link = f" ^{public_id('ct', first.customer_id, first.contract_id)}" if first.contract_id else ""
    yield f"\n{first.booked_on.isoformat()} * {_text(first.event_kind)} {_text(first.reference)}{link}\n"
    yield f'  transaction: "{first.transaction_id}"\n'
    yield f"  occurred: {first.occurred_on.isoformat()}\n"
    yield f'  recorded: "{first.recorded_at.isoformat()}"\n'
    if first.settlement:
        yield f"  settlement: {_text(first.settlement)}\n"
    for entry in entries:
        amount = decimal_text(entry.amount_minor, entry.currency)
        yield f"  {account_name(entry.account)}  {amount} {entry.currency}\n"


class _Sum(msgspec.Struct, frozen=True):
    """What was booked on an account for one day."""

    day: date
    currency: str
    account: int
    minor: int


def _sums(shop: Shop) -> list[_Sum]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT booked_on, currency, account, sum(amount_minor)::bigint FROM books_entry WHERE shop_id = %s"
            " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            [shop.id],
        )
        return [_Sum(*row) for row in cursor.fetchall()]


def _balances(shop: Shop, sums: list[_Sum]) -> Iterator[str]:
    """The balance of every account at the end of each month and after the last day. Asserted at the start of the day after."""
    written = {
        period.last_on: {
            (each.currency, each.account): each.debit_minor - each.credit_minor for each in period.balances
        }
        for period in periods.periods(shop)
        if period.closed_at is not None
    }
    balances: dict[tuple[str, int], int] = {}
    waiting = list(reversed(sums))
    for end in _ends(sums[0].day, sums[-1].day):
        while waiting and waiting[-1].day <= end:
            each = waiting.pop()
            key = (each.currency, each.account)
            balances[key] = balances.get(key, 0) + each.minor
        yield from _asserted(end + timedelta(days=1), written.get(end, balances).items())


def _asserted(on: date, balances: Iterable[tuple[tuple[str, int], int]]) -> Iterator[str]:
    for (currency, account), minor in sorted(balances):
        # Without a tolerance of 0 the checker takes a difference of one minor unit for a rounding.
        yield f"{on.isoformat()} balance {account_name(account)}  {decimal_text(minor, currency)} ~ 0 {currency}\n"


def _ends(first: date, last: date) -> Iterator[date]:
    """The last day of each month between two days, and the last of them."""
    end = first
    while True:
        end = (end.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        yield min(end, last)
        if end >= last:
            return
        end += timedelta(days=1)
