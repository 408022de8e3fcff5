"""The table of all costs (综合融资成本明示表) and its dated schedule, in words: what the page shows and the print says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec
from django.utils.translation import gettext, ngettext, pgettext

from fenqi.terms.disclosure import FIRST_VERSION, ContingentKind, Disclosure, percent, rates_of
from fenqi.terms.schedule import Row
from fenqi_server.storefront.selector import REGULAR, method_name, row_name
from fenqi_server.storefront.voice import Voice

__all__ = ["TableView", "table_view"]


class FactView(msgspec.Struct, frozen=True):
    name: str
    value: str
    figure: str


class ItemView(msgspec.Struct, frozen=True):
    """A cost: `terms` is how it is paid back and whether its rate is fixed, where that is said apart."""

    name: str
    timing: str
    basis: str
    rate: str
    payee: str
    amount: str
    terms: str = ""


class RateView(msgspec.Struct, frozen=True):
    """One yearly figure under its label; `figure` names its method."""

    label: str
    value: str
    figure: str


class RowView(msgspec.Struct, frozen=True):
    number: str
    due: date
    principal: str
    fee: str
    total: str
    deposit: str = ""
    """What of a row is a deposit, paid or coming back."""


class SumView(msgspec.Struct, frozen=True):
    principal: str
    fee: str
    total: str


class TableView(msgspec.Struct, frozen=True):
    """The table as the page shows it. Contingent costs stand apart and are in none of the figures.

    `rates` begins with the figure that leads (`cost`). Without rows, as at the table's own address, `per` is empty.
    """

    full: bool
    per: str
    odd: str
    total: str
    extra: str
    cost: str
    cost_label: str
    method: str
    basis: str
    heading: str
    facts: tuple[FactView, ...]
    rates: tuple[RateView, ...]
    items: tuple[ItemView, ...]
    contingent: tuple[ItemView, ...]
    nothing_else: str
    version: str
    rows: tuple[RowView, ...]
    sum: SumView
    open: bool
    schedule_title: str
    leased: bool = False


def table_view(
    disclosure: Disclosure, rows: tuple[Row, ...], voice: Voice, names: Mapping[str, str]
) -> TableView:
    """The table of an offer, of a contract, or by itself (no rows). `names` are the parties' names by their ids."""
    full = disclosure.legal_form in ("full_payment", "pledge")
    leased = any(row.kind == "rent" for row in rows) or any(item.kind == "rent" for item in disclosure.items)
    per, odd = _instalments(rows, full, voice)
    total = disclosure.total_repayment_minor + disclosure.down_payment_minor
    leading, *_ = rates = rates_of(disclosure.annual_cost)
    figures = {
        disclosure.annual_cost.method: "simple",
        disclosure.annual_cost.compounded_method: "compounded",
        disclosure.annual_cost.sum_method: "sum_of_items",
    }
    return TableView(
        full=full,
        per=per,
        odd=odd,
        total=voice.money(total),
        extra=_extra(disclosure, full, voice),
        cost=voice.rate(leading.rate_e12),
        cost_label=voice.text(leading.label),
        method=method_name(leading.method),
        basis=voice.text(disclosure.indicative_basis) if disclosure.indicative_basis else "",
        heading=gettext("Table of all costs"),
        facts=tuple(_facts(disclosure, full, leased, voice)),
        rates=()
        if full
        else tuple(
            RateView(voice.text(rate.label), voice.rate(rate.rate_e12), figures[rate.method])
            for rate in rates
        ),
        items=tuple(
            ItemView(
                voice.text(item.name),
                voice.text(item.timing),
                voice.text(item.basis),
                "—" if item.annual_rate_e12 is None else percent(item.annual_rate_e12) + "%",
                voice.text(item.payee_name),
                voice.money(item.amount_minor),
                pgettext("between names", ", ").join(
                    voice.text(said) for said in (item.repay_mode, item.rate_type) if said is not None
                )
                if item.kind == "interest"
                else "",
            )
            for item in disclosure.items
        ),
        contingent=_contingent(disclosure, voice, names),
        nothing_else=voice.text(disclosure.nothing_else),
        version=disclosure.table_version,
        rows=() if full else tuple(_row(row, voice) for row in rows),
        sum=SumView(
            voice.money(sum(row.principal_minor + row.rent_minor for row in rows)),
            voice.money(sum(row.fee_minor for row in rows)),
            voice.money(sum(row.total_minor for row in rows)),
        ),
        open=len(rows) <= 12,
        schedule_title=ngettext("%(n)s payment, with its date", "%(n)s payments, with their dates", len(rows))
        % {"n": len(rows)},
        leased=leased,
    )


def _extra(disclosure: Disclosure, full: bool, voice: Voice) -> str:
    """The total against the price."""
    cost = disclosure.total_cost_minor
    if full:
        return gettext("the price of the goods")
    if not disclosure.principal_minor:
        return gettext("for the use alone: the goods go back")
    if cost > 0:
        return gettext("%(amount)s more than paying in full") % {"amount": voice.money(cost)}
    if cost < 0:
        return gettext("%(amount)s less than paying in full") % {"amount": voice.money(-cost)}
    return gettext("the same as paying in full")


def _instalments(rows: tuple[Row, ...], full: bool, voice: Voice) -> tuple[str, str]:
    """The usual instalment with how many there are, and what is odd about the first or the last."""
    due = [row for row in rows if row.kind in REGULAR]
    if not due:
        return "", ""
    usual = due[len(due) // 2].total_minor if len(due) > 2 else due[-1].total_minor
    odd = []
    if due[0].total_minor != usual:
        odd.append(gettext("first %(amount)s") % {"amount": voice.money(due[0].total_minor)})
    if len(due) > 1 and due[-1].total_minor != usual:
        odd.append(gettext("last %(amount)s") % {"amount": voice.money(due[-1].total_minor)})
    return (voice.money(usual) if full else f"{voice.money(usual)} × {len(due)}"), " · ".join(odd)


def _facts(disclosure: Disclosure, full: bool, leased: bool, voice: Voice) -> list[FactView]:
    facts: list[FactView] = []
    # Where the goods go back no price is paid at all.
    if disclosure.principal_minor:
        name = gettext("Price") if full or leased else gettext("Price paid over time")
        facts.append(FactView(name, voice.money(disclosure.principal_minor), "principal"))
    if disclosure.down_payment_minor:
        facts.append(
            FactView(gettext("Paid at the start"), voice.money(disclosure.down_payment_minor), "down")
        )
    if not full:
        name = gettext("Number of rents") if leased else gettext("Number of instalments")
        facts.append(FactView(name, str(disclosure.periods), "periods"))
    facts.append(FactView(gettext("All costs"), voice.money(disclosure.total_cost_minor), "fee"))
    facts.append(
        FactView(
            gettext("Total to pay"),
            voice.money(disclosure.total_repayment_minor + disclosure.down_payment_minor),
            "repayment",
        )
    )
    facts.append(FactView(gettext("Funded by"), voice.text(disclosure.funder_name), "funder"))
    if disclosure.ceiling_e12 is not None:
        facts.append(
            FactView(
                gettext("Ceiling of the annual cost, by the funder’s agreement"),
                voice.rate(disclosure.ceiling_e12),
                "ceiling",
            )
        )
    return facts


def _contingent(disclosure: Disclosure, voice: Voice, names: Mapping[str, str]) -> tuple[ItemView, ...]:
    """What may be charged in a case that it names; and of the usual three, which of them never will be."""
    views = [
        ItemView(
            voice.text(cost.name),
            "",
            voice.text(cost.basis),
            "",
            voice.text(cost.payee_name) if cost.payee_name is not None else names.get(cost.payee, cost.payee),
            "",
        )
        for cost in disclosure.contingent
    ]
    if disclosure.is_credit and disclosure.table_version != FIRST_VERSION:
        usual: dict[ContingentKind, str] = {
            "overdue_penalty_interest": gettext("Overdue penalty interest"),
            "misuse_penalty_interest": gettext("Misuse penalty interest"),
            "prepayment_charge": gettext("Early settlement charge"),
        }
        kinds = {cost.kind for cost in disclosure.contingent}
        views += [
            ItemView(name, "", gettext("not charged"), "", "—", "")
            for kind, name in usual.items()
            if kind not in kinds
        ]
    return tuple(views)


def _row(row: Any, voice: Voice) -> RowView:
    # The table's columns say "¥" once, in their heading's place, so that figures fit a small screen.
    return RowView(
        row_name(row.kind, row.number),
        row.due_on,
        voice.money(row.principal_minor + row.rent_minor),
        voice.money(row.fee_minor),
        voice.money(row.total_minor),
        gettext("deposit %(amount)s") % {"amount": voice.money(row.deposit_minor)}
        if row.deposit_minor
        else "",
    )
