"""Running contracts of another system, from a file: each becomes the dated events that it would have had here.

One line is one instalment. The file is read and replayed whole before anything is written, and refused whole where a single
line cannot be used. What a contract sold, earned and was paid before is in the shop's old books: its opening posting takes
that out again against `opening_balances`, so that what is left here is what is owed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, date, datetime
from io import StringIO
from typing import Final
from uuid import UUID, uuid5

import msgspec
from django.db import connection

from fenqi.calendars import add_months, at_local, local_date, to_epoch
from fenqi.contracts.contract import ContractState, replay
from fenqi.contracts.events import Confirmed, DueReached, Event, PaymentReceived
from fenqi.contracts.terms import ContractTerms, pin
from fenqi.ledger.accounts import FEE_RECEIVABLE, OPENING_BALANCES, PRINCIPAL_RECEIVABLE
from fenqi.ledger.entries import position, posting
from fenqi.money import format_money, parse_money
from fenqi.problems import BadInput, Problem
from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import disclose
from fenqi.terms.plan import Fee, Plan, ZeroInterest
from fenqi.terms.schedule import Charge, Row, Schedule
from fenqi.texts import Text
from fenqi_server.api.reading import without_cards
from fenqi_server.books.posting import post
from fenqi_server.customers import service as customers
from fenqi_server.days import FIRST, LAST, read_day
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.servicing import storage
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = ["COLUMNS", "BadFile", "Imported", "Report", "import_contracts", "read"]

COLUMNS: Final = (
    "contract",
    "customer",
    "agreed_on",
    "number",
    "due_on",
    "price",
    "fee",
    "paid",
    "paid_on",
    "balance",
)
"""The columns of the file, in any order. `balance` is what is left of the whole contract, on each of its lines."""

IMPORTED: Final = "imported"
"""The plan of every imported contract: what its rows say, and nothing besides."""

MAX_PROBLEMS: Final = 100
MAX_NAME: Final = 100
MAX_YEARS: Final = 40
"""No contract runs longer from the day it was agreed: a due date beyond that is a slip of the pen."""
_FEE: Final = "agreed_fee"


class BadFile(BadInput):
    """A file of which nothing was imported. `problems` are all that was found wrong, each with its line."""

    def __init__(self, problems: list[Problem]) -> None:
        first = problems[0]
        super().__init__(first.place, first.value, first.expected, first.way_out)
        self.problems = tuple(problems[:MAX_PROBLEMS])


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A contract as the file says it: its terms, what happened to it, and what is left. `line` is its first line."""

    line: int
    contract: str
    customer: str
    agreed_on: date
    terms: ContractTerms
    events: tuple[Event, ...]
    balance_minor: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or would do. `already` contracts were imported before, and are left as they are."""

    contracts: int
    imported: int
    already: int
    price_minor: int
    fee_minor: int
    paid_minor: int
    balance_minor: int
    currency: str


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    line: int
    contract: str
    customer: str
    agreed_on: date
    number: int
    due_on: date
    price_minor: int
    fee_minor: int
    paid_minor: int
    paid_on: date | None
    balance_minor: int


# ------------------------------------------------------------------------------------------------------ reading


def read(shop: Shop, raw: bytes, at: datetime) -> tuple[Imported, ...]:
    """The contracts of a file, each replayed to the balance that the file states. Raises `BadFile`."""
    today = local_date(at, shop.time_zone)
    problems: list[Problem] = []
    by_contract: dict[str, list[_Line]] = {}
    broken: set[str] = set()
    for number, cells in _cells(raw):
        try:
            line = _line(shop, number, cells, today)
        except BadInput as problem:
            problems.append(problem.problem)
            broken.add(cells["contract"])
            continue
        by_contract.setdefault(line.contract, []).append(line)
    found: list[Imported] = []
    for name, lines in by_contract.items():
        if name in broken:  # what is wrong with the rest may only follow from the line
            continue
        try:
            found.append(_contract(shop, lines, at, today))
        except BadInput as problem:
            told = problem.problem
            if not told.place.startswith("line "):
                told = msgspec.structs.replace(told, place=f"line {lines[0].line}, {told.place}")
            problems.append(told)
    if problems:
        raise BadFile(sorted(problems, key=lambda each: int(each.place.split(",")[0].split()[1])))
    return tuple(found)


def _mended(head: list[str]) -> str:
    """What has to be done to these columns."""
    if len(head) == 1 and any(mark in head[0] for mark in ";\t|"):
        return "separate the columns by commas"
    missing = [name for name in COLUMNS if name not in head]
    strange = [name for name in head if name and name not in COLUMNS]
    twice = [name for name in COLUMNS if head.count(name) > 1]
    said = [
        f"{do} {', '.join(names)[:200]}"
        for do, names in (("add", missing), ("leave out", strange), ("name only once", twice))
        if names
    ]
    return " and ".join(said) or "give every column its name"


def _cells(raw: bytes) -> Iterable[tuple[int, dict[str, str]]]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadFile(
            [Problem(f"line {line}", "not UTF-8", "a file in UTF-8", "save it as CSV UTF-8")]
        ) from None
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        if sorted(head) != sorted(COLUMNS):
            raise BadFile(
                [Problem("line 1", ", ".join(head)[:200] or "empty", ", ".join(COLUMNS), _mended(head))]
            )
        rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise BadFile([Problem(f"line {reader.line_num}", str(error), "a line of CSV")]) from None
    if not rows:
        raise BadFile([Problem("line 2", "missing", "at least one instalment")])
    wrong = [
        Problem(f"line {number}", f"{len(cells)} cells", f"{len(head)}, as the first line has")
        for number, cells in rows
        if len(cells) != len(head)
    ]
    if wrong:
        raise BadFile(wrong)
    return [
        (number, {name: cell.strip() for name, cell in zip(head, cells, strict=True)})
        for number, cells in rows
    ]


def _line(shop: Shop, number: int, cells: dict[str, str], today: date) -> _Line:
    def place(name: str) -> str:
        return f"line {number}, {name}"

    def name_of(name: str) -> str:
        text = cells[name]
        if not 1 <= len(text) <= MAX_NAME or not (text.isascii() and text.isprintable()):
            raise BadInput(place(name), text, f"1 to {MAX_NAME} printable ASCII characters")
        if without_cards(text) != text:
            raise BadInput(
                place(name),
                "a number withheld",
                "no payment card number",
                "if it is another number, put a letter in front of it",
            )
        return text

    def day(name: str) -> date:
        try:
            return read_day(cells[name])
        except ValueError:
            raise BadInput(
                place(name),
                cells[name],
                f"a date such as 2026-12-01, of the years {FIRST.year} to {LAST.year}",
            ) from None

    def money(name: str) -> int:
        return parse_money(cells[name] or "0", shop.currency, place=place(name))

    row = cells["number"]
    if not (row.isascii() and row.isdecimal() and len(row) < 4):
        raise BadInput(place("number"), row, "0 for a down payment, 1 to 999 for an instalment")
    line = _Line(
        line=number,
        contract=name_of("contract"),
        customer=name_of("customer"),
        agreed_on=day("agreed_on"),
        number=int(row),
        due_on=day("due_on"),
        price_minor=money("price"),
        fee_minor=money("fee"),
        paid_minor=money("paid"),
        paid_on=day("paid_on") if cells["paid_on"] else None,
        balance_minor=money("balance"),
    )
    if line.agreed_on > today:
        raise BadInput(place("agreed_on"), cells["agreed_on"], f"{today} or before")
    if line.due_on < line.agreed_on:
        raise BadInput(place("due_on"), cells["due_on"], f"{line.agreed_on}, when it was agreed, or later")
    last = add_months(line.agreed_on, 12 * MAX_YEARS)
    if line.due_on > last:
        raise BadInput(
            place("due_on"), cells["due_on"], f"{last}, {MAX_YEARS} years after it was agreed, or before"
        )
    if line.price_minor + line.fee_minor == 0:
        raise BadInput(place("price"), cells["price"], "something to pay")
    if line.paid_minor > line.price_minor + line.fee_minor:
        total = format_money(line.price_minor + line.fee_minor, shop.currency)
        raise BadInput(place("paid"), cells["paid"], f"at most {total}, the instalment's price and fee")
    if (line.paid_on is not None) is not (line.paid_minor > 0):
        raise BadInput(place("paid_on"), cells["paid_on"], "the day of what was paid, and only with it")
    if line.paid_on is not None and not line.agreed_on <= line.paid_on <= today:
        raise BadInput(place("paid_on"), cells["paid_on"], f"{line.agreed_on} to {today}")
    return line


def _contract(shop: Shop, lines: list[_Line], at: datetime, today: date) -> Imported:
    first, seen = lines[0], dict[int, int]()

    def written(line: _Line, name: str) -> str:
        value = getattr(line, name)
        return format_money(value, shop.currency) if name == "balance_minor" else str(value)

    for line in lines:
        for name in ("customer", "agreed_on", "balance_minor"):
            if getattr(line, name) != getattr(first, name):
                raise BadInput(
                    f"line {line.line}, {name.removesuffix('_minor')}",
                    written(line, name),
                    f"{written(first, name)}, as on line {first.line}",
                )
        if line.number in seen:
            raise BadInput(
                f"line {line.line}, number",
                str(line.number),
                f"a number that is not on line {seen[line.number]}",
            )
        seen[line.number] = line.line
    ordered = sorted(lines, key=lambda line: (line.due_on, line.number))
    terms = _terms(shop, ordered)
    events = _events(shop, ordered, at, today)
    state = replay(terms, events, today)
    for row, line in zip(state.rows, ordered, strict=True):
        if row.paid_minor != line.paid_minor:
            raise BadInput(
                f"line {line.line}, paid",
                format_money(line.paid_minor, shop.currency),
                f"{format_money(row.paid_minor, shop.currency)}: money pays the oldest instalment first",
                "state what was paid in the order of the due dates",
            )
    if state.balance_minor != first.balance_minor:
        raise BadInput(
            f"line {first.line}, balance",
            format_money(first.balance_minor, shop.currency),
            f"{format_money(state.balance_minor, shop.currency)}, as its instalments come to",
        )
    return Imported(
        line=first.line,
        contract=first.contract,
        customer=first.customer,
        agreed_on=first.agreed_on,
        terms=terms,
        events=events,
        balance_minor=state.balance_minor,
    )


def _terms(shop: Shop, lines: list[_Line]) -> ContractTerms:
    """Terms whose table of costs lists the one fee that the rows have, as an amount."""
    fee = sum(line.fee_minor for line in lines)
    price = sum(line.price_minor for line in lines)
    down = sum(line.price_minor for line in lines if line.number == 0)
    plan = Plan(
        IMPORTED,
        IMPORTED,
        shop.code,
        "instalment_sale",
        max(1, sum(line.number > 0 for line in lines)),
        ZeroInterest("shop"),
        fees=(
            Fee(
                code=_FEE,
                name=Text("约定手续费", "Fee as agreed"),
                payee=shop.code,
                payee_name=shop.name,
                amount_minor=fee,
            ),
        )
        if fee
        else (),
    )
    schedule = Schedule(
        shop.currency,
        price,
        down,
        price - down,
        fee,
        price + fee,
        tuple(
            [
                Row(
                    line.number,
                    "instalment" if line.number else "down_payment",
                    line.due_on,
                    line.price_minor,
                    line.fee_minor,
                )
                for line in lines
            ]
        ),
        charges=(Charge(_FEE, shop.code, tuple([line.fee_minor for line in lines])),) if fee else (),
        start_on=lines[0].agreed_on,
    )
    table = disclose(plan, schedule, cost_of(schedule, plan), shop.name)
    return pin(plan, schedule, table, zone=shop.time_zone, policy_digest="")


def _events(shop: Shop, lines: list[_Line], at: datetime, today: date) -> tuple[Event, ...]:
    agreed_on, known = lines[0].agreed_on, to_epoch(at)
    # On one day: what came due, then what was paid.
    dated: list[tuple[date, int, int]] = [
        *[(line.due_on, 0, index) for index, line in enumerate(lines) if line.due_on <= today],
        *[(line.paid_on, 1, index) for index, line in enumerate(lines) if line.paid_on is not None],
    ]
    events: list[Event] = [Confirmed(seq=1, occurred_on=agreed_on, recorded_at=known)]
    for seq, (on, paid, index) in enumerate(sorted(dated), 2):
        line = lines[index]
        if not paid:
            events.append(DueReached(seq=seq, occurred_on=on, recorded_at=known, row=line.number))
            continue
        events.append(
            PaymentReceived(
                seq=seq,
                occurred_on=on,
                recorded_at=known,
                payment_id=f"opening-{line.number}",
                amount_minor=line.paid_minor,
                settlement=f"opening:{line.contract}",
            )
        )
    return tuple(events)


# ------------------------------------------------------------------------------------------------------ writing


def import_contracts(shop: Shop, raw: bytes, at: datetime, *, dry_run: bool = False) -> Report:
    """Import the contracts of a file, or say what would be imported.

    Each is one transaction; a run that was stopped is run again, and what it had imported is left as it is. Raises `BadFile`,
    with nothing written, for a file with anything wrong in it, and for a contract that was imported with other figures.
    """
    found = read(shop, raw, at)
    problems: list[Problem] = []
    fresh: list[Imported] = []
    for each in found:
        try:
            if _there(shop, each) is None:
                fresh.append(each)
        except BadInput as problem:
            problems.append(problem.problem)
    if problems:
        raise BadFile(problems)
    if not dry_run:
        for each in fresh:
            _write(shop, each, at)
    states = [each.terms.rows for each in found]
    balance = sum(each.balance_minor for each in found)
    total = sum(row.total_minor for rows in states for row in rows)
    return Report(
        contracts=len(found),
        imported=len(fresh),
        already=len(found) - len(fresh),
        price_minor=sum(row.principal_minor for rows in states for row in rows),
        fee_minor=sum(row.fee_minor for rows in states for row in rows),
        paid_minor=total - balance,
        balance_minor=balance,
        currency=shop.currency,
    )


def _there(shop: Shop, new: Imported) -> Stored | None:
    """The contract, where it was imported before. Raises `BadInput` where that was with other figures."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, contract_id FROM servicing_contract"
            " WHERE shop_id = %s AND order_ref = %s AND terms -> 'plan' ->> 'id' = %s",
            [shop.id, new.contract, IMPORTED],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    stored = storage.load(*row)
    assert stored is not None, "the row was just read"
    if (
        stored.customer_id != customers.find(shop, new.customer)
        or stored.created_at != _made_at(shop, new)
        or stored.terms.rows != new.terms.rows
        or _opening(stored.events) != _opening(new.events)
    ):
        raise BadInput(
            f"line {new.line}, contract",
            new.contract,
            "the customer, dates, amounts and payments that it was imported with",
            "what has happened since is told to Fenqi as a payment, not by another import",
        )
    return stored


def _opening(events: Iterable[Event]) -> list[tuple[date, str, int]]:
    return [
        (event.occurred_on, event.payment_id, event.amount_minor)
        for event in events
        if isinstance(event, PaymentReceived) and event.settlement.startswith("opening:")
    ]


def _made_at(shop: Shop, new: Imported) -> datetime:
    return datetime.fromtimestamp(at_local(new.agreed_on, 0, shop.time_zone), UTC)


def _name(shop: Shop, new: Imported) -> UUID:
    """The same name at each import: a UUIDv7 of the day it was agreed, whose further bits its number gives."""
    bits = uuid5(shop.id, f"imported:{new.contract}").int
    milliseconds = int(_made_at(shop, new).timestamp() * 1000)
    return UUID(
        int=milliseconds << 80 | 7 << 76 | (bits >> 64 & 0xFFF) << 64 | 2 << 62 | bits & ((1 << 62) - 1)
    )


def _write(shop: Shop, new: Imported, at: datetime) -> None:
    today = local_date(at, shop.time_zone)

    def act() -> None:
        use_shop(shop.id)
        party = customers.house(shop, "opening", at)
        # Two imports at once: the second looks after the first has committed.
        customers.lock(shop, party)
        if _there(shop, new) is not None:
            return
        customer_id = customers.ensure(shop, new.customer, at)
        customers.lock(shop, customer_id)
        stored = Stored(
            shop_id=shop.id,
            customer_id=customer_id,
            contract_id=_name(shop, new),
            order_ref=new.contract,
            decision_id="",
            created_at=_made_at(shop, new),
            terms=new.terms,
            events=[],
            booked={},
        )
        storage.create(stored, new.terms.currency)
        # What happened before this book began is in it as of today, as the opening balance is.
        state = storage.append(stored, new.events, at, today, booked_from=today)
        _post_opening(shop, stored, state, party, at, today)

    in_transaction(act)


def _post_opening(
    shop: Shop, stored: Stored, state: ContractState, party: UUID, at: datetime, today: date
) -> None:
    """Take out what the shop's old books hold: all but the receivables, against the opening balances."""
    held = {
        account: -minor
        for account, minor in position(stored.terms, state.movements).items()
        if account not in (PRINCIPAL_RECEIVABLE, FEE_RECEIVABLE)
    }
    entries = posting({**held, OPENING_BALANCES: -sum(held.values())}, {})
    assert entries is not None, "what was sold is in the old books"
    post(
        shop_id=shop.id,
        customer_id=party,
        event_id=uuid5(stored.contract_id, "opening"),
        event_kind="opening_balance",
        entries=entries,
        currency=stored.terms.currency,
        occurred_on=today,
        recorded_at=at,
        booked_on=today,
        settlement=f"opening:{stored.order_ref}",
        reference=stored.public_id,
        terms=stored.terms,
    )
