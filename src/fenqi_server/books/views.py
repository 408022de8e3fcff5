"""The operator's view of the book: every transaction with its entries, every account, and their sum."""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_safe

from fenqi.calendars import to_epoch
from fenqi.ledger.accounts import CHART
from fenqi.money import format_money
from fenqi_server import clock
from fenqi_server.books.posting import Transaction
from fenqi_server.books.proof import Report, prove_shop
from fenqi_server.books.reading import Balance, page_of, trial_balance
from fenqi_server.console.access import allowed
from fenqi_server.ids import public_id
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice, locale_now

_HAPPENED: Final = {
    "confirmed": gettext_noop("Contract confirmed"),
    "due_reached": gettext_noop("Due date reached"),
    "due_moved": gettext_noop("Due date put off"),
    "payment_received": gettext_noop("Payment received"),
    "payment_reversed": gettext_noop("Payment taken back"),
    "reconciliation": gettext_noop("Reconciliation: into or out of suspense"),
    "settlement": gettext_noop("Settlement arrived at the bank"),
    "unmatched_money": gettext_noop("Money that names no contract"),
    "opening_balance": gettext_noop("Opening balance of an imported contract"),
    "converted": gettext_noop("Currency exchanged"),
    "accrued": gettext_noop("Income of the month before its due date"),
    "accrual_reversed": gettext_noop("Income of the month before taken back"),
    "matched_money": gettext_noop("Money matched to its contract"),
    "match_undone": gettext_noop("Match undone"),
    "unmatched_refunded": gettext_noop("Money that named no contract went back"),
    "cancelled": gettext_noop("Contract cancelled"),
    "goods_returned": gettext_noop("Goods returned"),
    "refund_paid": gettext_noop("Refund paid out"),
    "paid_back": gettext_noop("Money that had paid instalments went back"),
    "unapplied_refunded": gettext_noop("Money beyond the debt went back"),
    "allocated_by_instruction": gettext_noop("Payment put where it belongs"),
    "goodwill": gettext_noop("Goodwill granted"),
    "charged": gettext_noop("Charged"),
    "waived": gettext_noop("Waived"),
    "re_aged": gettext_noop("Spread over new rows"),
    "re_amortised": gettext_noop("Arrears spread over the rows to come"),
    "accelerated": gettext_noop("Everything called due"),
    "written_off": gettext_noop("Written off"),
    "recovered": gettext_noop("Recovered"),
    "handed_over": gettext_noop("Goods of a lease handed over"),
    "deposit_applied": gettext_noop("Rents paid from the deposit"),
    "deposit_released": gettext_noop("Deposit released"),
    "lease_returned": gettext_noop("Goods of a lease came back"),
    "inspected": gettext_noop("Goods of a lease inspected"),
    "bought_out": gettext_noop("Goods of a lease bought"),
    "renewed": gettext_noop("Lease renewed"),
    "captured": gettext_noop("Pledge captured"),
}


class LineView(msgspec.Struct, frozen=True):
    """One entry: an amount stands on one side, and the other is empty."""

    code: int
    account: str
    debit: str
    credit: str


class TransactionView(msgspec.Struct, frozen=True):
    name: str
    happened: str
    contract: str
    settlement: str
    reference: str
    occurred_on: date
    recorded_at: str
    booked_on: date
    lines: tuple[LineView, ...]
    total: str


class TotalsView(msgspec.Struct, frozen=True):
    """The trial balance of one currency. `sum` is debits less credits over every account."""

    currency: str
    lines: tuple[LineView, ...]
    debit: str
    credit: str
    sum: str
    balanced: bool


class ProofView(msgspec.Struct, frozen=True):
    ok: bool
    contracts: int
    transactions: int
    problems: tuple[str, ...]


@allowed("finance", "auditor")
@require_safe
def book(request: HttpRequest) -> HttpResponse:
    """The book, newest first; `?contract=` shows one contract's, `?prove=1` proves the whole."""
    shop: Shop = request.staff.shop  # type: ignore[attr-defined]
    contract = request.GET.get("contract", "").strip()
    voice = Voice(locale_now(), shop.currency, shop.time_zone, to_epoch(clock.now()))
    wrong = ""
    try:
        page = page_of(shop, contract=contract, before=request.GET.get("before", ""))
        balances = trial_balance(shop, contract=contract)
    except ValueError:
        wrong, contract = contract or request.GET.get("before", ""), ""
        page, balances = page_of(shop), trial_balance(shop)
    return render(
        request,
        "books/book.html",
        {
            "transactions": [_transaction(each, voice) for each in page.transactions],
            "older": page.older,
            "totals": totals_of(balances, voice),
            "contract": contract,
            "wrong": wrong,
            "proof": _proof(shop) if request.GET.get("prove") else None,
            "zone": shop.time_zone,
        },
        status=404 if wrong else 200,
    )


def _transaction(booked: Transaction, voice: Voice) -> TransactionView:
    money = booked.currency
    return TransactionView(
        str(booked.transaction_id),
        happened(booked.event_kind),
        public_id("ct", booked.customer_id, booked.contract_id) if booked.contract_id else "",
        booked.settlement or "",
        booked.reference,
        booked.occurred_on,
        voice.instant(booked.recorded_at),
        booked.booked_on,
        tuple(
            _line(account, max(0, minor), max(0, -minor), money, voice)
            for account, minor in zip(booked.accounts, booked.amounts, strict=True)
        ),
        format_money(sum(booked.amounts), money),
    )


def happened(kind: str) -> str:
    """What an event is, in words."""
    return gettext(_HAPPENED.get(kind, kind))


def _line(account: int, debit: int, credit: int, currency: str, voice: Voice) -> LineView:
    known = CHART.get(account)
    return LineView(
        account,
        voice.text(known.title) if known else str(account),
        format_money(debit, currency) if debit else "",
        format_money(credit, currency) if credit else "",
    )


def totals_of(balances: tuple[Balance, ...], voice: Voice) -> list[TotalsView]:
    """A trial balance as it is shown, currency by currency."""
    views = []
    for currency in dict.fromkeys(balance.currency for balance in balances):
        own = [balance for balance in balances if balance.currency == currency]
        debit, credit = sum(each.debit_minor for each in own), sum(each.credit_minor for each in own)
        lines = []
        for each in own:
            net = each.debit_minor - each.credit_minor
            lines.append(_line(each.account, max(0, net), max(0, -net), currency, voice))
        net_debit = sum(max(0, each.debit_minor - each.credit_minor) for each in own)
        net_credit = sum(max(0, each.credit_minor - each.debit_minor) for each in own)
        views.append(
            TotalsView(
                currency,
                tuple(lines),
                format_money(net_debit, currency),
                format_money(net_credit, currency),
                format_money(debit - credit, currency),
                debit == credit,
            )
        )
    return views


def _proof(shop: Shop) -> ProofView:
    report: Report = prove_shop(shop)
    return ProofView(
        report.ok,
        report.contracts,
        report.transactions,
        tuple(problem.sentence for problem in report.problems[:20]),
    )
