"""The statement of a contract: what was agreed, came due, was paid and is left at the end of a day.

It is made once, of typed cells, and then written three ways: as a page, as a print and as a file for a spreadsheet.
So no figure can stand in one of them and not in the others.
"""

from __future__ import annotations

import csv
from datetime import date, datetime
from io import StringIO
from typing import Any, Final

import msgspec
from django.utils.translation import gettext, pgettext

from fenqi.calendars import format_date, format_instant
from fenqi.contracts.contract import PaymentState, RowState
from fenqi.contracts.events import Event, GoodsReturned, PaidBack, RefundPaid, UnappliedRefunded
from fenqi.money import decimal_text
from fenqi_server.disclosures.printing import Setter, page_width, put_together
from fenqi_server.servicing.service import ContractView
from fenqi_server.servicing.words import lapsed, no_money, reference_of
from fenqi_server.spreadsheet import ENCODING, no_formula
from fenqi_server.storefront.selector import row_name
from fenqi_server.storefront.voice import Voice

__all__ = ["Amount", "Cell", "Statement", "TextTable", "as_csv", "as_pdf", "shown", "statement_of"]


class Amount(msgspec.Struct, frozen=True):
    """Money in a cell, in minor units."""

    minor: int


Cell = Amount | date | str


class Table(msgspec.Struct, frozen=True):
    """A table of a statement. `name` says, in the file for a spreadsheet, what a line is. A narrow screen does without the
    columns in `wide`, and breaks what stands in `long` where it has to: numbers that others gave."""

    name: str
    heading: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[Cell, ...] = ()
    wide: frozenset[int] = frozenset()
    long: frozenset[int] = frozenset()


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement in one language. `facts` are what is said once; `nothing` stands where a table is empty."""

    heading: str
    as_of: str
    shop: str
    contract: str
    made: str
    facts: tuple[tuple[str, Cell], ...]
    tables: tuple[Table, ...]
    nothing: str


def statement_of(view: ContractView, shop: str, voice: Voice) -> Statement:
    """The statement of a contract as of its state's day, in the language that is active and that `voice` speaks."""
    state = view.state
    facts: list[tuple[str, Cell]] = [
        (gettext("Order"), view.order_ref),
        (gettext("Agreed on"), _instant(view.created_at, voice)),
        (gettext("To pay in all"), Amount(sum(row.total_minor for row in state.rows))),
        (gettext("Paid"), Amount(state.paid_minor)),
        (gettext("Left to pay"), Amount(state.balance_minor)),
        (gettext("Of it past due"), Amount(state.overdue_minor)),
    ]
    if state.unapplied_minor:
        facts.append((gettext("Beyond what was owed, kept for you"), Amount(state.unapplied_minor)))
    if state.given_back_minor:
        facts.append((gettext("Fee given back"), Amount(state.given_back_minor)))
    back = _money_back(view)
    refunded = sum(event.amount_minor for event in _until(view) if isinstance(event, RefundPaid | PaidBack))
    if refunded:
        facts.append((gettext("Refunded to you"), Amount(refunded)))
    if state.refund_due_minor:
        facts.append((gettext("Still to be refunded to you"), Amount(state.refund_due_minor)))
    if state.next_due_on is not None:
        facts.append(
            (
                gettext("Next to pay, on %(day)s") % {"day": format_date(state.next_due_on, voice.locale)},
                Amount(state.next_due_minor),
            )
        )
    return Statement(
        heading=gettext("Statement of account"),
        as_of=gettext("As of the end of %(day)s") % {"day": format_date(state.as_of, voice.locale)},
        shop=shop,
        contract=view.contract_id,
        made=gettext("From what was known on %(at)s.") % {"at": _instant(voice.at, voice)},
        facts=tuple(facts),
        tables=(_rows(state.rows), _payments(state.payments, state.rows, voice), *back),
        nothing=gettext("None."),
    )


def _instant(at: int | datetime, voice: Voice) -> str:
    # With its year always: a statement is read in other years too.
    return format_instant(at, voice.zone, voice.locale)


_PARTS: Final = ("principal", "fee", "rent", "deposit", "interest", "penalty")


def _rows(rows: tuple[RowState, ...]) -> Table:
    words = {
        "principal": gettext("Price"),
        "fee": pgettext("of an instalment", "Fee"),
        "interest": gettext("Interest"),
        "penalty": gettext("Penalty"),
        "rent": pgettext("of an instalment", "Rent"),
        "deposit": pgettext("of an instalment", "Deposit"),
    }
    # Price and fee always; what this contract has none of has no column.
    parts = [
        part for part in _PARTS if part in _PARTS[:2] or any(getattr(row, f"{part}_minor") for row in rows)
    ]
    states = {
        "paid": pgettext("instalment", "paid"),
        "overdue": pgettext("instalment", "past due"),
        "due": pgettext("instalment", "due today"),
        "upcoming": pgettext("instalment", "to come"),
    }
    nothing = pgettext("instalment", "nothing to pay")
    return Table(
        wide=frozenset({*range(2, 2 + len(parts)), 3 + len(parts), 4 + len(parts)}),
        name=gettext("Instalment"),
        heading=gettext("Instalments"),
        head=(
            gettext("No."),
            gettext("Due on"),
            *(words[part] for part in parts),
            gettext("To pay"),
            gettext("Paid"),
            pgettext("of an instalment", "Left"),
            gettext("State"),
        ),
        rows=tuple(
            (
                row_name(row.kind, row.number),
                row.due_on,
                *(Amount(getattr(row, f"{part}_minor")) for part in parts),
                Amount(row.total_minor),
                Amount(row.paid_minor),
                Amount(row.outstanding_minor),
                states[row.status] if row.total_minor or row.status != "paid" else nothing,
            )
            for row in rows
        ),
        foot=(
            gettext("Sum"),
            "",
            *(Amount(sum(getattr(row, f"{part}_minor") for row in rows)) for part in parts),
            Amount(sum(row.total_minor for row in rows)),
            Amount(sum(row.paid_minor for row in rows)),
            Amount(sum(row.outstanding_minor for row in rows)),
            "",
        ),
    )


def _payments(payments: tuple[PaymentState, ...], rows: tuple[RowState, ...], voice: Voice) -> Table:
    names = {row.number: row_name(row.kind, row.number) for row in rows}
    return Table(
        long=frozenset({1}),
        name=pgettext("a line of a statement", "Payment"),
        heading=gettext("Payments received"),
        head=(gettext("Received"), gettext("Reference"), gettext("Amount"), gettext("What it paid")),
        rows=tuple(
            (each.occurred_on, reference_of(each), Amount(each.amount_minor), _paid(each, names, voice))
            for each in payments
        ),
    )


def _until(view: ContractView) -> list[Event]:
    """What had happened by the end of the statement's day, in its order."""
    return sorted(
        (event for event in view.events if event.occurred_on <= view.state.as_of),
        key=lambda event: (event.occurred_on, event.seq),
    )


def _money_back(view: ContractView) -> tuple[Table, ...]:
    """Goods that went back and money that did; no table where there is neither."""
    words = {
        GoodsReturned: gettext("Goods that went back, at their price"),
        RefundPaid: gettext("Refunded to you"),
        PaidBack: gettext("Paid back to you"),
        UnappliedRefunded: gettext("Paid back to you, of what was beyond what was owed"),
    }
    rows = tuple(
        (event.occurred_on, event.reference, Amount(event.amount_minor), words[type(event)])
        for event in _until(view)
        if isinstance(event, GoodsReturned | RefundPaid | PaidBack | UnappliedRefunded)
        # What went to another contract did not go back.
        and not getattr(event, "matched_to", "")
    )
    if not rows:
        return ()
    return (
        Table(
            long=frozenset({1}),
            name=pgettext("a line of a statement", "Return or refund"),
            heading=gettext("Returns and refunds"),
            head=(gettext("Date"), gettext("Reference"), gettext("Amount"), gettext("What it was")),
            rows=rows,
        ),
    )


def _paid(payment: PaymentState, names: dict[int, str], voice: Voice) -> str:
    said = []
    for part in payment.parts:
        name = names.get(part.row, str(part.row))
        about = gettext("instalment %(n)s") % {"n": name} if name.isdecimal() else name
        said.append(
            pgettext("a row and what was paid of it", "%(about)s: %(paid)s")
            % {"about": about, "paid": voice.money(part.total_minor)}
        )
    if payment.unapplied_minor:
        said.append(
            gettext("%(amount)s beyond what was owed, kept for you")
            % {"amount": voice.money(payment.unapplied_minor)}
        )
    if left := lapsed(payment, voice):
        said.append(left)
    if payment.reversed_on is not None:
        said.append(gettext("taken back on %(on)s") % {"on": format_date(payment.reversed_on, voice.locale)})
    if paid_by := no_money(payment):
        said.append(paid_by)
    return "\n".join(said)


def shown(cell: Cell, voice: Voice) -> str:
    """A cell for people."""
    if isinstance(cell, Amount):
        return voice.money(cell.minor)
    return cell.isoformat() if isinstance(cell, date) else cell


class TextTable(msgspec.Struct, frozen=True):
    """A table as text, each cell with the classes it has on the page."""

    heading: str
    head: tuple[tuple[str, str], ...]
    rows: tuple[tuple[tuple[str, str], ...], ...]
    foot: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, table: Table, voice: Voice) -> TextTable:
        first = table.rows[0] if table.rows else ("",) * len(table.head)

        def line(cells: tuple[Cell, ...]) -> tuple[tuple[str, str], ...]:
            return tuple(
                (shown(cell, voice), _look(like, number in table.wide, number in table.long))
                for number, (cell, like) in enumerate(zip(cells, first, strict=False))
            )

        return cls(table.heading, line(table.head), tuple(line(row) for row in table.rows), line(table.foot))


def _look(cell: Cell, wide: bool, long: bool) -> str:
    words = (
        "num" if isinstance(cell, Amount) else "nowrap" if isinstance(cell, date) else "",
        "wide-only" * wide,
        "wrap-ok" * long,
    )
    return " ".join(filter(None, words))


# ------------------------------------------------------------------------------------------------------ the print


def as_pdf(statement: Statement, voice: Voice) -> bytes:
    """The statement as a PDF, in the language that it was made in."""
    from reportlab.lib.units import mm
    from reportlab.platypus import Spacer

    setter, width = Setter(voice.locale), page_width()
    story: list[Any] = [
        setter.paragraph(statement.heading, "title"),
        setter.paragraph(f"{statement.as_of}\n{statement.shop}", "plain"),
        Spacer(0, 4 * mm),
        setter.grid([[label, shown(cell, voice)] for label, cell in statement.facts], (0.7, 0.3), width),
    ]
    for table in statement.tables:
        count = len(table.head)
        shares = (0.15, 0.25, 0.18, 0.42) if count == 4 else (1 / count,) * count
        lines = [[shown(cell, voice) for cell in row] for row in (*table.rows, table.foot) if row]
        story += [
            Spacer(0, 4 * mm),
            setter.paragraph(table.heading, "heading"),
            setter.grid(lines or [[statement.nothing, *[""] * (count - 1)]], shares, width, head=table.head),
        ]
    story += [
        Spacer(0, 4 * mm),
        setter.paragraph(f"{statement.made}\n{statement.contract}", "small"),
    ]
    return put_together(
        story,
        title=f"{statement.heading} {statement.as_of}",
        author=statement.shop,
        subject=statement.contract,
        locale=voice.locale,
    )


# ------------------------------------------------------------------------------------------------------- the file


def as_csv(statement: Statement, voice: Voice) -> bytes:
    """The statement for a spreadsheet: UTF-8 with its mark, amounts in major units without signs of currency.

    Each table has its own head; the first column says what a line is.
    """
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow([statement.heading, statement.as_of, voice.currency, statement.contract])
    for label, cell in statement.facts:
        writer.writerow(["", no_formula(label), _plain(cell, voice)])
    for table in statement.tables:
        writer.writerow([table.heading, *map(no_formula, table.head)])
        for row in table.rows:
            writer.writerow([table.name, *(_plain(cell, voice) for cell in row)])
        if table.foot:
            writer.writerow(["", *(_plain(cell, voice) for cell in table.foot)])
    return out.getvalue().encode(ENCODING)


def _plain(cell: Cell, voice: Voice) -> str:
    if isinstance(cell, Amount):
        return decimal_text(cell.minor, voice.currency)
    return cell.isoformat() if isinstance(cell, date) else no_formula(cell)
