"""The table of all costs (综合融资成本明示表) and its dated schedule, in words."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from django.utils.translation import gettext, ngettext

from fenqi.terms.disclosure import Disclosure, percent
from fenqi.terms.schedule import Row
from fenqi_server.storefront.selector import method_name, row_name
from fenqi_server.storefront.voice import Voice

__all__ = ["TableView", "table_view"]


class FactView(msgspec.Struct, frozen=True):
    name: str
    value: str
    figure: str


class ItemView(msgspec.Struct, frozen=True):
    name: str
    timing: str
    basis: str
    rate: str
    payee: str
    amount: str


class RowView(msgspec.Struct, frozen=True):
    number: str
    due: date
    principal: str
    fee: str
    total: str


class SumView(msgspec.Struct, frozen=True):
    principal: str
    fee: str
    total: str


class TableView(msgspec.Struct, frozen=True):
    """The table as the page shows it. Contingent costs stand apart and are in none of the figures."""

    full: bool
    per: str
    odd: str
    total: str
    extra: str
    cost: str
    method: str
    basis: str
    heading: str
    facts: tuple[FactView, ...]
    items: tuple[ItemView, ...]
    contingent: tuple[ItemView, ...]
    nothing_else: str
    rows: tuple[RowView, ...]
    sum: SumView
    open: bool
    schedule_title: str


def table_view(
    disclosure: Disclosure, rows: tuple[Row, ...], voice: Voice, names: dict[str, str]
) -> TableView:
    """The table of an offer or a contract. `names` are the parties' names by their ids."""
    full = disclosure.legal_form == "full_payment"
    due = [row for row in rows if row.kind not in ("down_payment", "up_front")]
    usual = due[len(due) // 2].total_minor if len(due) > 2 else due[-1].total_minor
    odd = []
    if due[0].total_minor != usual:
        odd.append(gettext("first %(amount)s") % {"amount": voice.money(due[0].total_minor)})
    if len(due) > 1 and due[-1].total_minor != usual:
        odd.append(gettext("last %(amount)s") % {"amount": voice.money(due[-1].total_minor)})
    total = disclosure.total_repayment_minor + disclosure.down_payment_minor
    facts = [
        FactView(
            gettext("Price paid over time") if not full else gettext("Price"),
            voice.money(disclosure.principal_minor),
            "principal",
        )
    ]
    if disclosure.down_payment_minor:
        facts.append(
            FactView(gettext("Paid at the start"), voice.money(disclosure.down_payment_minor), "down")
        )
    facts.append(FactView(gettext("All costs"), voice.money(disclosure.total_cost_minor), "fee"))
    facts.append(FactView(gettext("Funded by"), voice.text(disclosure.funder_name), "funder"))
    cost = disclosure.annual_cost
    if not full:
        facts.append(FactView(voice.text(cost.label), voice.rate(cost.simple_e12), "simple"))
        facts.append(
            FactView(voice.text(cost.compounded_label), voice.rate(cost.compounded_e12), "compounded")
        )
    return TableView(
        full=full,
        per=voice.money(usual) if full else f"{voice.money(usual)} × {len(due)}",
        odd=" · ".join(odd),
        total=voice.money(total),
        extra=gettext("%(amount)s more than paying in full")
        % {"amount": voice.money(disclosure.total_cost_minor)}
        if disclosure.total_cost_minor
        else gettext("the same as paying in full")
        if not full
        else gettext("the price of the goods"),
        cost=voice.rate(cost.simple_e12),
        method=method_name(cost.method),
        basis=voice.text(disclosure.indicative_basis) if disclosure.indicative_basis else "",
        heading=gettext("Table of all costs"),
        facts=tuple(facts),
        items=tuple(
            ItemView(
                voice.text(item.name),
                voice.text(item.timing),
                voice.text(item.basis),
                "—" if item.annual_rate_e12 is None else percent(item.annual_rate_e12) + "%",
                voice.text(item.payee_name),
                voice.money(item.amount_minor),
            )
            for item in disclosure.items
        ),
        contingent=tuple(
            ItemView(
                voice.text(cost.name), "", voice.text(cost.basis), "", names.get(cost.payee, cost.payee), ""
            )
            for cost in disclosure.contingent
        ),
        nothing_else=voice.text(disclosure.nothing_else),
        rows=() if full else tuple(_row(row, voice) for row in rows),
        sum=SumView(
            voice.money(sum(row.principal_minor for row in rows)),
            voice.money(sum(row.fee_minor for row in rows)),
            voice.money(sum(row.total_minor for row in rows)),
        ),
        open=len(rows) <= 12,
        schedule_title=ngettext("%(n)s payment, with its date", "%(n)s payments, with their dates", len(rows))
        % {"n": len(rows)},
    )


def _row(row: Any, voice: Voice) -> RowView:
    # The table's columns say "¥" once, in their heading's place, so that figures fit a small screen.
    return RowView(
        row_name(row.kind, row.number),
        row.due_on,
        voice.money(row.principal_minor),
        voice.money(row.fee_minor),
        voice.money(row.total_minor),
    )
