"""Taking a statement in, and holding the book against it.

All of an import is one transaction: the statement, its lines, what matches, what is broken, and what of that goes to suspense.
The money of a line that we know nothing of, or know another amount of, is booked as in transit (it is stated) against
suspense (we do not know whose it is); so what is in transit for a settlement is what its provider states, and what of ours is
still missing there.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec
from django.conf import settings
from django.db import connection

from fenqi.calendars import local_date
from fenqi.ledger.accounts import IN_TRANSIT, SUSPENSE
from fenqi.ledger.entries import posting
from fenqi.problems import BadInput, Problem
from fenqi_server.books.posting import post
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import uuid7
from fenqi_server.policies import audit
from fenqi_server.reconciliation.layouts import Layout
from fenqi_server.reconciliation.matching import (
    TOLERANCE_DAYS,
    Break,
    Match,
    Matching,
    Ours,
    Settled,
    Theirs,
    match,
    settled_key,
)
from fenqi_server.reconciliation.statement import Statement, StatementRefused, read_statement
from fenqi_server.shops.models import Shop

__all__ = [
    "MAX_SETTLEMENT",
    "Imported",
    "hold",
    "import_statement",
    "match_again",
    "move",
    "preview",
    "settle_down",
]

MAX_SETTLEMENT: Final = 200
EVENT_KIND: Final = "reconciliation"
"""What this books; the rest of what is in transit is what a statement is held against."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import came to. `repeated`: the file was imported before, and nothing was done now.

    `breaks` counts those open for the settlement, by kind.
    """

    statement_id: UUID | None
    settlement: str
    lines: int
    amount_minor: int
    fee_minor: int
    currency: str
    matched: int
    breaks: dict[str, int]
    repeated: bool = False


def preview(shop: Shop, written: bytes, layout: Layout, settlement: str) -> Imported:
    """What an import would come to, with nothing written. Raises as `import_statement` does."""
    settlement, read = _read(shop, written, layout, settlement)
    use_shop(shop.id)
    if known := _known(shop, read.digest):
        return known
    theirs = [_theirs(f"new:{line.number:09}", line) for line in read.lines]
    found, _ = _held_against(shop, settlement, [*_their_lines(shop, settlement), *theirs])
    return _imported(None, settlement, read, shop, found)


def import_statement(
    shop: Shop,
    written: bytes,
    layout: Layout,
    settlement: str,
    *,
    actor: str,
    at: datetime,
    file_name: str = "",
) -> Imported:
    """Keep a statement of the batch that the book calls `settlement`, match it, and open what breaks.

    The same file twice is one import. Raises `StatementRefused` with every wrong line, and then nothing was written;
    `fenqi.problems.BadInput` for a settlement that is no name.
    """
    settlement, read = _read(shop, written, layout, settlement)

    def act() -> Imported:
        hold(shop, at)
        if known := _known(shop, read.digest):
            return known
        statement = uuid7(at)
        days = [line.on for line in read.lines]
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO reconciliation_statement (shop_id, id, settlement, layout, file_name, digest, currency, lines,"
                " amount_minor, fee_minor, first_on, last_on, imported_by, imported_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    shop.id,
                    statement,
                    settlement,
                    layout.name,
                    file_name[-200:],
                    read.digest,
                    shop.currency,
                    len(read.lines),
                    read.amount_minor(shop.currency),
                    sum(line.fee_minor for line in read.lines),
                    min(days),
                    max(days),
                    actor,
                    at,
                ],
            )
            cursor.executemany(
                "INSERT INTO reconciliation_line (shop_id, statement_id, number, reference, amount_minor, fee_minor,"
                " currency, happened_on, party) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    [
                        shop.id,
                        statement,
                        line.number,
                        line.reference,
                        line.amount_minor,
                        line.fee_minor,
                        line.currency,
                        line.on,
                        line.party,
                    ]
                    for line in read.lines
                ],
            )
        found = settle_down(shop, settlement, at)
        done = _imported(statement, settlement, read, shop, found)
        audit.record(
            shop,
            actor,
            "statement.import",
            f"statement:{statement}",
            at,
            after={
                "settlement": settlement,
                "digest": read.digest,
                "lines": done.lines,
                "breaks": done.breaks,
            },
        )
        return done

    return in_transaction(act)


def match_again(shop: Shop, settlement: str, *, actor: str, at: datetime) -> Matching:
    """Hold the book against a settlement's statements once more: what was booked since may have mended a break.

    Raises `fenqi.problems.BadInput` for a settlement without a statement: nobody states yet that anything of it is missing.
    """

    def act() -> Matching:
        hold(shop, at)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT FROM reconciliation_statement WHERE shop_id = %s AND settlement = %s LIMIT 1",
                [shop.id, settlement],
            )
            if cursor.fetchone() is None:
                raise BadInput("settlement", settlement, "one that a statement was imported for")
        found = settle_down(shop, settlement, at)
        audit.record(
            shop, actor, "settlement.match", f"settlement:{settlement}", at, after={"breaks": _counts(found)}
        )
        return found

    return in_transaction(act)


def hold(shop: Shop, at: datetime) -> UUID:
    """Hold the shop's suspense until the caller's transaction ends: whoever reconciles does so one after the other."""
    use_shop(shop.id)
    party = customers.house(shop, "suspense", at)
    customers.lock(shop, party)
    return party


def move(shop: Shop, settlement: str, minor: int, event_id: UUID, reference: str, at: datetime) -> None:
    """Book `minor` from suspense into what is in transit for a settlement; negative: back."""
    entries = posting({IN_TRANSIT: minor, SUSPENSE: -minor}, {})
    if entries is None:
        return
    today = local_date(at, shop.time_zone)
    post(
        shop_id=shop.id,
        customer_id=customers.house(shop, "suspense", at),
        event_id=event_id,
        event_kind=EVENT_KIND,
        entries=entries,
        currency=shop.currency,
        occurred_on=today,
        recorded_at=at,
        booked_on=today,
        settlement=settlement,
        reference=reference[:400],
    )


def _read(shop: Shop, written: bytes, layout: Layout, settlement: str) -> tuple[str, Statement]:
    name = settlement.strip()
    if not 1 <= len(name) <= MAX_SETTLEMENT or not name.isprintable():
        raise BadInput(
            "settlement", settlement, f"1 to {MAX_SETTLEMENT} characters, as the book names the batch"
        )
    read = read_statement(written, layout, shop.currency)
    foreign = tuple(
        Problem(
            f"line {line.number}, {layout.currency}", line.currency, f"{shop.currency}, the shop's currency"
        )
        for line in read.lines
        if line.currency != shop.currency
    )
    if foreign:
        raise StatementRefused(foreign[:50])
    return name, read


def _known(shop: Shop, digest: str) -> Imported | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, settlement, lines, amount_minor, fee_minor, currency,"
            " (SELECT count(*) FROM reconciliation_match m WHERE m.shop_id = s.shop_id AND m.statement_id = s.id)"
            " FROM reconciliation_statement s WHERE shop_id = %s AND digest = %s",
            [shop.id, digest],
        )
        row = cursor.fetchone()
        if row is None:
            return None
        cursor.execute(
            "SELECT kind, count(*) FROM reconciliation_break WHERE shop_id = %s AND settlement = %s"
            " AND state IN ('open', 'asked') GROUP BY kind ORDER BY kind",
            [shop.id, row[1]],
        )
        breaks = dict(cursor.fetchall())
    return Imported(
        statement_id=row[0],
        settlement=row[1],
        lines=row[2],
        amount_minor=row[3],
        fee_minor=row[4],
        currency=row[5],
        matched=row[6],
        breaks=breaks,
        repeated=True,
    )


def _imported(
    statement: UUID | None, settlement: str, read: Statement, shop: Shop, found: Matching
) -> Imported:
    return Imported(
        statement_id=statement,
        settlement=settlement,
        lines=len(read.lines),
        amount_minor=read.amount_minor(shop.currency),
        fee_minor=sum(line.fee_minor for line in read.lines),
        currency=shop.currency,
        matched=len(found.matches),
        breaks=_counts(found),
    )


def _counts(found: Matching) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in found.breaks:
        counts[each.kind] = counts.get(each.kind, 0) + 1
    return dict(sorted(counts.items()))


def _theirs(key: str, line: Any) -> Theirs:
    return Theirs(key, line.reference, line.amount_minor, line.currency, line.on, line.party)


# A line and a transaction are done with once they are matched, or their break is cleared.
_OPEN_LINES: Final = """
SELECT l.statement_id::text || ':' || lpad(l.number::text, 9, '0'), l.reference, l.amount_minor, l.currency, l.happened_on,
       l.party
  FROM reconciliation_statement AS s
  JOIN reconciliation_line AS l ON l.shop_id = s.shop_id AND l.statement_id = s.id
 WHERE s.shop_id = %s AND s.settlement = %s
   AND NOT EXISTS (SELECT FROM reconciliation_match AS m
                    WHERE m.shop_id = l.shop_id AND m.statement_id = l.statement_id AND m.number = l.number)
   AND NOT EXISTS (SELECT FROM reconciliation_break AS b
                    WHERE b.shop_id = l.shop_id AND b.statement_id = l.statement_id AND b.number = l.number
                      AND b.state = 'cleared')
"""
# Days may lie between a payment and its statement; a search beyond them would read the whole book.
_NEAR_DAYS: Final = 14
# What passed from suspense into its contract, and what an imported contract was paid before, no statement of ours tells.
_OUR_LINES: Final = """
SELECT t.customer_id::text || ':' || t.transaction_id::text, t.event_kind, t.reference,
       (SELECT sum(e.amount) FROM unnest(t.accounts, t.amounts) AS e (account, amount) WHERE e.account = 1020)::bigint,
       t.currency, t.occurred_on, t.customer_id, t.settlement
  FROM books_transaction AS t
 WHERE t.shop_id = %(shop)s AND {which} AND 1020 = ANY (t.accounts)
   AND t.settlement !~ '^(matched|opening):'
   AND t.event_kind NOT IN ('settlement', 'reconciliation')
   AND NOT EXISTS (SELECT FROM reconciliation_match AS m
                    WHERE m.shop_id = t.shop_id AND m.customer_id = t.customer_id AND m.transaction_id = t.transaction_id)
   AND NOT EXISTS (SELECT FROM reconciliation_break AS b
                    WHERE b.shop_id = t.shop_id AND b.customer_id = t.customer_id AND b.transaction_id = t.transaction_id
                      AND b.state = 'cleared')
"""
_OWN_BATCH: Final = _OUR_LINES.format(which="t.settlement = %(settlement)s")
_OTHER_BATCH: Final = _OUR_LINES.format(
    which="t.recorded_at BETWEEN %(first)s AND %(last)s AND t.reference = ANY (%(references)s)"
    " AND t.settlement <> %(settlement)s"
)
_SETTLED: Final = """
SELECT DISTINCT l.reference, l.currency, l.amount_minor > 0
  FROM reconciliation_line AS l
 WHERE l.shop_id = %(shop)s AND l.reference = ANY (%(references)s)
   AND (EXISTS (SELECT FROM reconciliation_match AS m
                 WHERE m.shop_id = l.shop_id AND m.statement_id = l.statement_id AND m.number = l.number)
     OR EXISTS (SELECT FROM reconciliation_break AS b
                 WHERE b.shop_id = l.shop_id AND b.statement_id = l.statement_id AND b.number = l.number
                   AND b.transaction_id IS NOT NULL AND b.state = 'cleared'))
"""


def _their_lines(shop: Shop, settlement: str) -> list[Theirs]:
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_LINES, [shop.id, settlement])
        return [Theirs(*row) for row in cursor.fetchall()]


def _held_against(shop: Shop, settlement: str, theirs: list[Theirs]) -> tuple[Matching, dict[str, str]]:
    """What their open lines and ours come to, and for each of our lines the settlement it was booked to.

    A payment of a minute before midnight may be booked to one day's batch and stated in the next one's: a transaction of
    another settlement counts where reference and amount are the same and its date is near.
    """
    told = {settled_key(line): line for line in theirs if line.reference}
    references = sorted({line.reference for line in theirs if line.reference})
    told_numbers = frozenset(references)
    parties = sorted({line.party for line in theirs if line.party})
    booked_to: dict[str, str] = {}
    ours = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT external_ref, customer_id::text FROM customers_alias WHERE shop_id = %s AND external_ref = ANY (%s)",
            [shop.id, parties],
        )
        # Who pays is compared where the statement calls the customer as the shop does; a wallet's own name says nothing here.
        payers = dict(cursor.fetchall())
        cursor.execute(_OWN_BATCH, {"shop": shop.id, "settlement": settlement})
        ours_booked = cursor.fetchall()
        if references:
            days = [line.on for line in theirs]
            near = timedelta(_NEAR_DAYS)
            cursor.execute(
                _OTHER_BATCH,
                {
                    "shop": shop.id,
                    "settlement": settlement,
                    "references": references,
                    "first": min(days) - near,
                    "last": max(days) + near,
                },
            )
            ours_booked += cursor.fetchall()
        for key, kind, reference, minor, currency, on, customer, batch in ours_booked:
            # Money that names no contract says in its reference what it was paid for.
            nameless = kind == "unmatched_money"
            plain = _number(reference, told_numbers) if nameless else reference
            line = Ours(key, plain, minor, currency, on, "" if nameless else str(customer))
            if batch != settlement:
                there = told.get(settled_key(line))
                if there is None or there.amount_minor != minor or abs((there.on - on).days) > TOLERANCE_DAYS:
                    continue
            booked_to[key] = batch
            ours.append(line)
        cursor.execute(
            _SETTLED,
            {"shop": shop.id, "references": sorted({*references, *(each.reference for each in ours)})},
        )
        settled: set[Settled] = set(cursor.fetchall())
    own = {settled_key(line) for line in ours if booked_to[line.key] == settlement}
    ours = [line for line in ours if booked_to[line.key] == settlement or settled_key(line) not in own]
    theirs = [msgspec.structs.replace(line, party=payers.get(line.party, "")) for line in theirs]
    found = match(ours, theirs, settled=settled)
    kept = tuple(
        each for each in found.breaks if each.theirs or (each.ours and booked_to[each.ours.key] == settlement)
    )
    return Matching(found.matches, kept), booked_to


def _number(reference: str, told: frozenset[str]) -> str:
    """The payment's number in a reference `NUMBER for CONTRACT`, where either may have ` for ` in it: the one that is stated."""
    words = reference.split(" for ")
    numbers = [" for ".join(words[:count]) for count in range(1, len(words))]
    return next((number for number in numbers if number in told), numbers[0] if numbers else reference)


def settle_down(shop: Shop, settlement: str, at: datetime) -> Matching:
    """Write down what matches, close breaks that are none any more, open new ones. The caller holds the suspense."""
    found, booked_to = _held_against(shop, settlement, _their_lines(shop, settlement))
    wanted = {_name(each): each for each in found.breaks}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, kind, statement_id, number, customer_id, transaction_id, settlement, ours_minor, theirs_minor"
            " FROM reconciliation_break WHERE shop_id = %s AND state IN ('open', 'asked') AND (settlement = %s"
            " OR (customer_id::text || ':' || transaction_id::text) = ANY (%s))",
            [shop.id, settlement, [each.ours.key for each in found.matches]],
        )
        for (
            break_id,
            kind,
            statement,
            number,
            customer,
            transaction,
            batch,
            ours,
            theirs,
        ) in cursor.fetchall():
            name = (
                kind,
                f"{customer}:{transaction}" if customer else "",
                f"{statement}:{number:09}" if statement else "",
            )
            if wanted.pop(name, None) is not None:
                continue
            cursor.execute(
                "UPDATE reconciliation_break SET state = 'resolved', closed_at = %s WHERE shop_id = %s AND id = %s",
                [at, shop.id, break_id],
            )
            if statement:
                move(shop, batch, ours - theirs, uuid5(break_id, "resolved"), f"break {break_id}", at)
        for each in found.matches:
            _keep_match(cursor, shop, each, settlement, booked_to[each.ours.key], at)
        for each in wanted.values():
            _open(cursor, shop, each, settlement, at)
    return found


def _name(each: Break) -> tuple[str, str, str]:
    return each.kind, each.ours.key if each.ours else "", each.theirs.key if each.theirs else ""


def _keep_match(cursor: Any, shop: Shop, each: Match, settlement: str, booked_to: str, at: datetime) -> None:
    statement, _, number = each.theirs.key.partition(":")
    customer, _, transaction = each.ours.key.partition(":")
    cursor.execute(
        "INSERT INTO reconciliation_match (shop_id, statement_id, number, customer_id, transaction_id, matched_by, matched_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [shop.id, statement, int(number), customer, transaction, each.by, at],
    )
    if booked_to != settlement:
        # It arrives in this batch, and no longer in the one that it was booked to.
        name, minor = UUID(transaction), each.ours.amount_minor
        move(shop, settlement, minor, uuid5(name, f"into {settlement}"), f"from {booked_to}", at)
        move(shop, booked_to, -minor, uuid5(name, f"out of {booked_to}"), f"to {settlement}", at)


def _open(cursor: Any, shop: Shop, each: Break, settlement: str, at: datetime) -> None:
    name = uuid7(at)
    statement, _, number = each.theirs.key.partition(":") if each.theirs else ("", "", "")
    customer, _, transaction = each.ours.key.partition(":") if each.ours else ("", "", "")
    cursor.execute(
        "INSERT INTO reconciliation_break (shop_id, id, settlement, kind, statement_id, number, customer_id,"
        " transaction_id, ours_minor, theirs_minor, currency, limit_minor, opened_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            shop.id,
            name,
            settlement,
            each.kind,
            statement or None,
            int(number) if number else None,
            customer or None,
            transaction or None,
            each.ours.amount_minor if each.ours else 0,
            each.theirs.amount_minor if each.theirs else 0,
            shop.currency,
            settings.FENQI_CLEARING_LIMIT_MINOR,
            at,
        ],
    )
    if each.theirs:
        move(shop, settlement, each.difference_minor, uuid5(name, "opened"), f"break {name}", at)
