"""What the customer owes: everything at a glance, and each contract with its rows, payments, papers and reasons."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext
from django.views.decorators.http import require_safe

from fenqi.contracts.contract import ContractState, PaymentState
from fenqi_server.autopay import attempts
from fenqi_server.disclosures import service as disclosures
from fenqi_server.disclosures.pages import table_pages
from fenqi_server.portal.autopay_views import autopay_words, contract_autopay, nobody_collects
from fenqi_server.portal.telling import (
    contract_page,
    funder_names,
    late_days,
    part_words,
    request_view,
    title_of,
    why_changed,
)
from fenqi_server.portal.visitor import PortalVisitor, customer_page, support_words
from fenqi_server.servicing import payoffs, requests
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.service import ContractView as Contract
from fenqi_server.storefront.disclosed import TableView, table_view
from fenqi_server.storefront.voice import Voice


class DueView(msgspec.Struct, frozen=True):
    """One contract in the overview's list of what is to be paid next."""

    title: str
    url: str
    pay_url: str
    amount: str
    on: str
    late: bool


class OverviewPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the customer owes the shop."""

    owed: str
    running: int
    running_words: str
    next_amount: str
    next_words: str
    late: str
    cures: tuple[tuple[str, str], ...]
    due: tuple[DueView, ...]
    autopay: tuple[str, ...]
    autopay_idle: str
    support: str


def own_contract(visitor: PortalVisitor, contract_id: str) -> Contract:
    """The customer's own contract. Raises `Http404`: somebody else's is not there."""
    try:
        found = servicing.get(visitor.shop, contract_id, at=visitor.at)
    except servicing.NoContract:
        raise Http404("no such contract") from None
    if found.customer_id != visitor.customer_id:
        raise Http404("no such contract")
    return found


@require_safe
@customer_page
def overview(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """What is owed in all, what is next, what is late and how to cure it."""
    found = servicing.contracts_of(visitor.shop, visitor.customer_id, visitor.today)
    return render(request, "portal/overview.html", {"page": _overview(found, visitor), "visitor": visitor})


def _overview(found: list[Contract], visitor: PortalVisitor) -> OverviewPage:
    voice = visitor.voice
    running = [each for each in found if each.state.status == "active"]
    owed = sum(each.state.balance_minor for each in running)
    late = [each for each in running if each.state.overdue]
    late_minor = sum(each.state.overdue_minor for each in late)
    open_rows = [
        (each, row)
        for each in running
        for row in each.state.rows
        if row.outstanding_minor and row.due_on >= visitor.today
    ]
    next_on = min((row.due_on for _, row in open_rows), default=None)
    on_it = [(each, row) for each, row in open_rows if row.due_on == next_on]
    cures: list[tuple[str, str]] = []
    late_words = ""
    if late:
        late_words = late_days(
            late_minor,
            max(each.state.days_past_due for each in late),
            voice,
        )
        cures = [
            (
                gettext("Pay %(amount)s for %(what)s")
                % {
                    "amount": voice.money(each.state.overdue_minor),
                    "what": title_of(each, visitor.shop, voice),
                },
                reverse("portal:pay", args=[each.contract_id]) + "?choice=late",
            )
            for each in late
        ]
    # What is late is to be paid before anything that is due later.
    next_amount = next_words = ""
    if late:
        next_amount, next_words = voice.money(late_minor), gettext("past due")
    elif next_on is not None:
        next_amount = voice.money(sum(row.outstanding_minor for _, row in on_it))
        next_words = gettext("due on %(on)s") % {"on": voice.day(next_on)}
    upcoming = sorted(
        running,
        key=lambda each: (each.state.next_due_on is None, each.state.next_due_on, each.contract_id),
    )
    return OverviewPage(
        owed=voice.money(owed),
        running=len(running),
        running_words=ngettext("in %(n)s contract", "in %(n)s contracts", len(running)) % {"n": len(running)},
        next_amount=next_amount,
        next_words=next_words,
        late=late_words,
        cures=tuple(cures),
        due=tuple(
            DueView(
                title_of(each, visitor.shop, voice),
                reverse("portal:contract", args=[each.contract_id]),
                reverse("portal:pay", args=[each.contract_id])
                + ("?choice=late" if each.state.overdue else ""),
                voice.money(each.state.overdue_minor if each.state.overdue else each.state.next_due_minor),
                voice.day(each.state.next_due_on),
                each.state.overdue,
            )
            for each in upcoming
            if each.state.next_due_on is not None
        ),
        autopay=(by_card := autopay_words(visitor, found)),
        autopay_idle=nobody_collects(visitor) if by_card else "",
        support=support_words(visitor.shop),
    )


@require_safe
@customer_page
def contracts(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """All contracts of the customer, newest first."""
    found = servicing.contracts_of(visitor.shop, visitor.customer_id, visitor.today)
    voice = visitor.voice
    return render(
        request,
        "portal/contracts.html",
        {"contracts": [contract_page(each, visitor.shop, voice) for each in found]},
    )


@require_safe
@customer_page
def contract(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """One contract: its instalments, what each payment paid, what is owed and what is next."""
    found = own_contract(visitor, contract_id)
    voice = visitor.voice
    pledge = found.state.pledge
    sold = found.state.lease is None and (pledge is None or pledge.stage == "captured")
    paid = ""
    reference = request.GET.get("paid", "")
    for payment in found.state.payments:
        if payment.payment_id == reference:
            paid = _received(payment, found.state, voice)
    return render(
        request,
        "portal/contract.html",
        {
            "contract": contract_page(found, visitor.shop, voice),
            "changes": why_changed(found, voice),
            "quote": _open_quote(found, visitor),
            "asked": [
                request_view(each, found, visitor.shop, voice)
                for each in requests.of_contract(visitor.shop, contract_id)
                if each.by_customer
            ],
            "rented": found.state.lease is not None and found.state.lease.outcome is None,
            "sold": sold,
            "can_return": sold
            and found.state.cancelled_on is None
            and found.state.returned_minor < sum(row.principal_minor for row in found.terms.rows),
            "autopay": contract_autopay(visitor, found),
            "refund": reverse("support:new") + "?" + urlencode({"refund": contract_id})
            if found.state.unapplied_minor
            else "",
            "collected": {each.attempt_id for each in attempts.attempts_of(visitor.shop, contract_id)},
            "demo": settings.FENQI_DEMO,
            "fresh": "fresh" in request.GET,
            "paid": paid,
            # The shop's cashier sends the customer back before it has told us.
            "on_its_way": bool(reference) and not paid,
        },
    )


def _open_quote(found: Contract, visitor: PortalVisitor) -> tuple[str, str] | None:
    """The quote that stands, in words and with its page: whoever asked for one finds it again."""
    if found.state.status != "active" or not found.state.quotes:
        return None
    for each in payoffs.quotes_of(visitor.shop, found.contract_id, visitor.at):
        if each.state == "open":
            words = gettext(
                "You have a quote: %(amount)s pays everything off until the end of %(until)s."
            ) % {
                "amount": visitor.voice.money(each.to_pay_minor),
                "until": visitor.voice.day(each.valid_until),
            }
            return words, f"{reverse('portal:pay-off', args=[found.contract_id])}?quote={each.quote_id}"
    return None


MOST_PARTS: Final = 3
"""What a payment paid is said in the first sentence up to so many instalments; the table has them all."""


def _received(payment: PaymentState, state: ContractState, voice: Voice) -> str:
    amount = voice.money(payment.amount_minor)
    parts = part_words(payment, state, voice)
    if len(parts) <= MOST_PARTS:
        return gettext("%(amount)s received. It paid: %(parts)s.") % {
            "amount": amount,
            "parts": pgettext("between names", ", ").join(parts),
        }
    rows = len({part.row for part in payment.parts})
    return ngettext(
        "%(amount)s received. It paid %(n)s instalment; what of each stands below.",
        "%(amount)s received. It paid %(n)s instalments; what of each stands below.",
        rows,
    ) % {"amount": amount, "n": rows}


@require_safe
@customer_page
def disclosure(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """The table of all costs, by value as it was agreed to."""
    found = own_contract(visitor, contract_id)
    voice = visitor.voice
    table: TableView = table_view(
        found.terms.disclosure,
        found.terms.rows,
        voice,
        funder_names(found.terms.policy_digest, voice),
    )
    read = disclosures.acknowledgement_for(found.decision_id)
    said = ""
    if read is not None:
        said = ngettext(
            "Shown on %(shown)s, read for %(n)s second, agreed to on %(agreed)s.",
            "Shown on %(shown)s, read for %(n)s seconds, agreed to on %(agreed)s.",
            read.read_seconds,
        ) % {
            "shown": voice.instant(read.shown_at),
            "n": read.read_seconds,
            "agreed": voice.instant(read.confirmed_at),
        }
    return render(
        request,
        "portal/disclosure.html",
        {
            "contract": contract_page(found, visitor.shop, voice),
            "table": table,
            "read": said,
            "pages": table_pages(disclosures.keep(visitor.shop, found.terms.disclosure, visitor.at)),
        },
    )
