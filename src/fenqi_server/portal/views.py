"""What was agreed: contracts with their bills and payments, orders with their states, and the pretend bank."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fenqi.calendars import local_date
from fenqi.contracts.contract import ContractState, PaymentState, RowState
from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.disclosures import service as disclosures
from fenqi_server.disclosures.pages import table_pages
from fenqi_server.funders import handoffs
from fenqi_server.ids import uuid7
from fenqi_server.papers.addresses import token_of
from fenqi_server.policies import service as policies
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.service import ContractView as Contract
from fenqi_server.storefront import cart, orders
from fenqi_server.storefront.disclosed import TableView, table_view
from fenqi_server.storefront.selector import WayView, compared_with, open_ways, option_name, row_name
from fenqi_server.storefront.views import decide_cart
from fenqi_server.storefront.visitor import Visitor, visitor_of
from fenqi_server.storefront.voice import Voice


class RowView(msgspec.Struct, frozen=True):
    number: str
    due: date
    total: str
    fee: str
    paid: str
    part_paid: bool
    state: str
    tone: str
    mark: str
    moved: str
    moved_notice: str


class PaymentView(msgspec.Struct, frozen=True):
    on: str
    amount: str
    reference: str
    parts: tuple[str, ...]


class ContractPage(msgspec.Struct, frozen=True, kw_only=True):
    """A contract as its customer reads it."""

    url: str
    title: str
    short_id: str
    made: str
    state: str
    tone: str
    balance: str
    total: str
    fee: str
    paid: str
    paid_share: int
    progress: str
    next_amount: str
    next_minor: int
    next_on: str
    next_label: str
    late: str
    late_help: str
    pay_url: str
    disclosure_url: str
    statement_url: str
    calendar_url: str
    disclosure_digest: str
    policy_digest: str
    support: str
    rows: tuple[RowView, ...]
    payments: tuple[PaymentView, ...]


@never_cache
@require_safe
def contracts(request: HttpRequest) -> HttpResponse:
    """All contracts of the customer, newest first."""
    visitor = visitor_of(request)
    today = local_date(visitor.at, visitor.shop.time_zone)
    found = servicing.contracts_of(visitor.shop, visitor.customer_id, today)
    return render(
        request, "portal/contracts.html", {"contracts": [_page(contract, visitor) for contract in found]}
    )


@never_cache
@require_safe
def contract(request: HttpRequest, contract_id: str) -> HttpResponse:
    """One contract: its instalments, what each payment paid, what is owed and what is next."""
    visitor = visitor_of(request)
    found = _own_contract(visitor, contract_id)
    paid = ""
    reference = request.GET.get("paid", "")
    for payment in found.state.payments:
        if payment.payment_id == reference:
            voice = visitor.voice
            paid = gettext("%(amount)s received. It paid: %(parts)s.") % {
                "amount": voice.money(payment.amount_minor),
                "parts": pgettext("between names", ", ").join(_parts(payment, found.state, voice)),
            }
    return render(
        request,
        "portal/contract.html",
        {"contract": _page(found, visitor), "fresh": "fresh" in request.GET, "paid": paid},
    )


@never_cache
@require_safe
def disclosure(request: HttpRequest, contract_id: str) -> HttpResponse:
    """The table of all costs, by value as it was agreed to."""
    visitor = visitor_of(request)
    found = _own_contract(visitor, contract_id)
    table: TableView = table_view(
        found.terms.disclosure,
        found.terms.rows,
        visitor.voice,
        _names(found.terms.policy_digest, visitor.voice),
    )
    read = disclosures.acknowledgement_for(found.decision_id)
    said = ""
    if read is not None:
        said = ngettext(
            "Shown on %(shown)s, read for %(n)s second, agreed to on %(agreed)s.",
            "Shown on %(shown)s, read for %(n)s seconds, agreed to on %(agreed)s.",
            read.read_seconds,
        ) % {
            "shown": visitor.voice.instant(read.shown_at),
            "n": read.read_seconds,
            "agreed": visitor.voice.instant(read.confirmed_at),
        }
    return render(
        request,
        "portal/disclosure.html",
        {
            "contract": _page(found, visitor),
            "table": table,
            "read": said,
            "pages": table_pages(disclosures.keep(visitor.shop, found.terms.disclosure, visitor.at)),
        },
    )


def _own_contract(visitor: Visitor, contract_id: str) -> Contract:
    try:
        found = servicing.get(visitor.shop, contract_id, at=visitor.at)
    except servicing.NoContract:
        raise Http404("no such contract") from None
    if found.customer_id != visitor.customer_id:
        raise Http404("no such contract")
    return found


def _names(policy_digest: str, voice: Voice) -> dict[str, str]:
    try:
        policy = policies.by_digest(policy_digest)
    except policies.NoPolicy:
        return {}
    return {funder.id: voice.text(funder.name) for funder in policy.funders.values()}


def _page(found: Contract, visitor: Visitor) -> ContractPage:
    voice, state = visitor.voice, found.state
    order = orders.by_contract(visitor.shop, found.customer_id, found.contract_id)
    title = _order_title(order.lines, voice) if order is not None else found.order_ref
    total = sum(row.total_minor for row in state.rows)
    done = sum(row.status == "paid" for row in state.rows)
    word, tone = _contract_state(state)
    late = late_help = ""
    if state.overdue:
        late = gettext("%(amount)s is past due, for %(days)s days.") % {
            "amount": voice.money(state.overdue_minor),
            "days": state.days_past_due,
        }
        late_help = gettext(
            "Pay it and the contract is in order again; mall instalments open again for new orders at once."
        )
    next_label = ""
    if state.next_row is not None and state.next_due_on is not None:
        next_label = gettext("Instalment %(n)s, due on %(on)s") % {
            "n": state.next_row,
            "on": voice.day(state.next_due_on),
        }
    return ContractPage(
        url=reverse("portal:contract", args=[found.contract_id]),
        title=title,
        short_id=gettext("Order %(number)s") % {"number": found.order_ref},
        made=gettext("%(name)s, agreed on %(at)s")
        % {
            "name": _plan_name(found.terms.policy_digest, found.plan.id, voice),
            "at": voice.instant(found.created_at),
        },
        state=word,
        tone=tone,
        balance=voice.money(state.balance_minor),
        total=voice.money(total),
        fee=voice.money(sum(row.fee_minor for row in state.rows)),
        paid=voice.money(state.paid_minor),
        paid_share=state.paid_minor * 100 // total if total else 100,
        progress=gettext("%(done)s of %(n)s instalments paid") % {"done": done, "n": len(state.rows)},
        next_amount=voice.money(state.next_due_minor) if state.next_row is not None else "",
        next_minor=state.next_due_minor,
        next_on=voice.day(state.next_due_on) if state.next_due_on is not None else "",
        next_label=next_label,
        late=late,
        late_help=late_help,
        pay_url=reverse("portal:pay", args=[found.contract_id]),
        disclosure_url=reverse("portal:disclosure", args=[found.contract_id]),
        statement_url=reverse("papers:statement", args=[token_of(visitor.shop.id, found.contract_id)]),
        calendar_url=reverse("papers:due-dates", args=[token_of(visitor.shop.id, found.contract_id)]),
        disclosure_digest=found.terms.disclosure_digest[:19],
        policy_digest=found.terms.policy_digest[:19],
        support=reverse("support:new"),
        rows=tuple(_row(row, state, voice) for row in state.rows),
        payments=tuple(_payment(payment, state, voice) for payment in state.payments),
    )


def _order_title(lines: tuple[orders.OrderLine, ...], voice: Voice) -> str:
    first = voice.text(lines[0].title)
    if len(lines) == 1:
        return first
    return gettext("%(first)s and %(n)s more") % {"first": first, "n": len(lines) - 1}


def _plan_name(policy_digest: str, plan: str, voice: Voice) -> str:
    try:
        return option_name(policies.by_digest(policy_digest), plan, voice)
    except (policies.NoPolicy, KeyError):
        return plan


def _contract_state(state: ContractState) -> tuple[str, str]:
    if state.status == "closed":
        return pgettext("contract", "paid off"), "good"
    if state.overdue:
        return pgettext("contract", "past due"), "bad"
    return pgettext("contract", "in order"), "good"


def _row(row: RowState, state: ContractState, voice: Voice) -> RowView:
    word, tone = {
        "paid": (pgettext("instalment", "paid"), "good"),
        "overdue": (pgettext("instalment", "past due"), "bad"),
        "due": (pgettext("instalment", "due today"), "warn"),
        "upcoming": (pgettext("instalment", "to come"), ""),
    }[row.status]
    if row.status != "paid" and row.paid_minor:
        word = gettext("%(state)s, part paid") % {"state": word}
    mark = "done" if row.status == "paid" else "now" if row.number == state.next_row else ""
    moved = ""
    if row.moved_from is not None:
        moved = gettext("put off from %(day)s, free of charge") % {"day": voice.day(row.moved_from)}
    return RowView(
        row_name(row.kind, row.number),
        row.due_on,
        voice.money(row.total_minor),
        voice.money(row.fee_minor),
        voice.money(row.paid_minor),
        row.status != "paid" and row.paid_minor > 0,
        word,
        tone,
        mark,
        moved,
        reverse("announcements:notice", args=[row.moved_by]) if row.moved_by else "",
    )


def _payment(payment: PaymentState, state: ContractState, voice: Voice) -> PaymentView:
    return PaymentView(
        voice.day(payment.occurred_on),
        voice.money(payment.amount_minor),
        payment.payment_id,
        _parts(payment, state, voice),
    )


def _parts(payment: PaymentState, state: ContractState, voice: Voice) -> tuple[str, ...]:
    lines = []
    for part in payment.parts:
        words = {
            "n": part.row,
            "price": voice.money(part.principal_minor),
            "fee": voice.money(part.fee_minor),
        }
        lines.append(
            gettext("instalment %(n)s: price %(price)s, fee %(fee)s") % words
            if part.fee_minor
            else gettext("instalment %(n)s: %(price)s") % words
        )
    if payment.unapplied_minor:
        lines.append(
            gettext("%(amount)s beyond what was owed, kept for you")
            % {"amount": voice.money(payment.unapplied_minor)}
        )
    if payment.reversed_on is not None:
        lines.append(gettext("taken back on %(on)s") % {"on": voice.day(payment.reversed_on)})
    return tuple(lines)


# --------------------------------------------------------------------------------------- paying an instalment


class _Slip(msgspec.Struct, frozen=True, array_like=True):
    """What the mall tells the bank's page: for which contract, how much, under which number."""

    contract: str
    amount_minor: int
    reference: str


class BankView(msgspec.Struct, frozen=True):
    url: str
    token: str
    payee: str
    purpose: str
    amount: str


@require_POST
def pay(request: HttpRequest, contract_id: str) -> HttpResponse:
    """Send the customer to the bank's page. More than is owed is refused before any money moves."""
    visitor = visitor_of(request)
    found = _own_contract(visitor, contract_id)
    voice, owed = visitor.voice, found.state.balance_minor
    written = request.POST.get("amount", "")
    amount = int(written) if written.isdecimal() and len(written) < 16 else 0
    if not 0 < amount <= owed:
        reason = (
            gettext("Everything is paid; nothing is owed.")
            if not owed
            else gettext("%(owed)s is owed, so %(asked)s cannot be asked for.")
            % {"owed": voice.money(owed), "asked": voice.money(amount)}
        )
        back = reverse("portal:contract", args=[contract_id])
        return render(request, "portal/refused.html", {"reason": reason, "back": back}, status=422)
    slip = _Slip(contract_id, amount, f"PB-{uuid7(visitor.at).hex[-12:].upper()}")
    token = seal_token("bank", msgspec.msgpack.encode(slip))
    return HttpResponseRedirect(f"{reverse('portal:bank')}?t={token}")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def bank(request: HttpRequest) -> HttpResponse:
    """The pretend bank: it says that it is one. Paying here makes money arrive, which is booked whatever happens."""
    if not settings.FENQI_DEMO:
        raise Http404("only the demo has a pretend bank")
    token = (request.POST if request.method == "POST" else request.GET).get("t") or request.POST.get(
        "token", ""
    )
    try:
        slip = _slip(open_token("bank", token))
    except (BadToken, msgspec.DecodeError, msgspec.ValidationError):
        raise Http404("not a payment that the mall asked for") from None
    visitor = visitor_of(request)
    back = reverse("portal:contract", args=[slip.contract])
    if request.method == "POST":
        if request.POST.get("answer") != "pay":
            return HttpResponseRedirect(back)
        servicing.pay(visitor.shop, slip.contract, slip.amount_minor, "received", slip.reference, visitor.at)
        return HttpResponseRedirect(f"{back}?paid={slip.reference}")
    voice = visitor.voice
    view = BankView(
        reverse("portal:bank"),
        token,
        voice.text(visitor.shop.name),
        gettext("Contract %(id)s, payment %(reference)s")
        % {"id": slip.contract[-8:].upper(), "reference": slip.reference},
        voice.money(slip.amount_minor),
    )
    return render(request, "portal/bank.html", {"bank": view})


# ------------------------------------------------------------------------------------------------------ orders


class OrderLineView(msgspec.Struct, frozen=True):
    name: str
    quantity: int
    total: str


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order and how its payment stands."""

    url: str
    title: str
    number: str
    placed: str
    way: str
    amount: str
    state: str
    tone: str
    headline: str
    explanation: str
    note_tone: str
    lines: tuple[OrderLineView, ...]
    support: str
    contract_url: str = ""
    can_query: bool = False
    query_url: str = ""
    funder_url: str = ""
    ways: tuple[WayView, ...] = ()
    compared: str = ""


@never_cache
@require_safe
def order_list(request: HttpRequest) -> HttpResponse:
    """All orders of the customer."""
    visitor = visitor_of(request)
    found = orders.orders_of(visitor.shop, visitor.customer_id)
    return render(request, "portal/orders.html", {"orders": [_order_view(order, visitor) for order in found]})


@never_cache
@require_safe
def order(request: HttpRequest, order_id: str) -> HttpResponse:
    """One order: what was bought, how it is paid, and what to do where that did not work."""
    visitor = visitor_of(request)
    found = _own_order(visitor, order_id)
    view = _order_view(found, visitor)
    hand_off = _hand_off(found, visitor)
    if hand_off is not None and hand_off.state == "approved":
        _empty_cart_of(request, found)
    if hand_off is not None and hand_off.state == "declined" and cart.items(request.session):
        decision, _ = decide_cart(request, visitor, source="declined")
        same_family = [
            option.plan for option in decision.evaluation.options if option.family == hand_off.family
        ]
        view = msgspec.structs.replace(
            view,
            ways=open_ways(
                visitor.policy,
                decision.evaluation,
                visitor.voice,
                decision.public_id,
                than=found.plan,
                without=same_family,
            ),
            compared=compared_with(visitor.policy, decision.evaluation, found.plan, visitor.voice),
        )
    return render(request, "portal/order.html", {"order": view})


@require_POST
def ask_funder(request: HttpRequest, order_id: str) -> HttpResponse:
    """Ask the funder now, instead of waiting for its answer."""
    visitor = visitor_of(request)
    found = _own_order(visitor, order_id)
    if found.hand_off is not None:
        handoffs.query(visitor.shop, found.hand_off, visitor.at)
    return HttpResponseRedirect(reverse("portal:order", args=[order_id]))


def _own_order(visitor: Visitor, order_id: str) -> orders.Order:
    try:
        found = orders.get(visitor.shop, order_id)
    except orders.NoOrder:
        raise Http404("no such order") from None
    if found.customer_id != visitor.customer_id:
        raise Http404("no such order")
    return found


def _hand_off(order: orders.Order, visitor: Visitor) -> handoffs.HandOff | None:
    return None if order.hand_off is None else handoffs.get(visitor.shop, order.hand_off)


def _empty_cart_of(request: HttpRequest, order: orders.Order) -> None:
    """The order went through: what it was made of leaves the cart, unless the cart has changed since."""
    ordered = {line.sku: line.quantity for line in order.lines}
    if {item.product.sku: item.quantity for item in cart.items(request.session)} == ordered:
        cart.clear(request.session)


def _order_view(found: orders.Order, visitor: Visitor) -> OrderView:
    voice = visitor.voice
    words: dict[str, Any]
    hand_off = _hand_off(found, visitor)
    if hand_off is None:
        words = {
            "state": pgettext("order", "placed"),
            "tone": "good",
            "headline": gettext("Paid over time with the mall."),
            "explanation": gettext("The contract says what you pay and when."),
            "note_tone": "good",
            "contract_url": reverse("portal:contract", args=[found.contract]),
        }
    else:
        words = _hand_off_words(found, hand_off, voice)
    return OrderView(
        url=reverse("portal:order", args=[found.public_id]),
        title=_order_title(found.lines, voice),
        number=found.reference,
        placed=voice.instant(found.placed_at),
        way=_plan_name(found.policy_digest, found.plan, voice),
        amount=voice.money(found.amount_minor),
        lines=tuple(
            OrderLineView(voice.text(line.title), line.quantity, voice.money(line.total_minor))
            for line in found.lines
        ),
        support=f"{reverse('support:new')}?decision={hand_off.decision}&plan={found.plan}"
        if hand_off
        else reverse("support:new"),
        **words,
    )


def _hand_off_words(found: orders.Order, hand_off: handoffs.HandOff, voice: Voice) -> dict[str, Any]:
    names = _names(found.policy_digest, voice)
    funder = {"funder": names.get(hand_off.funder, hand_off.funder)}
    asking = {
        "can_query": True,
        "query_url": reverse("portal:ask", args=[found.public_id]),
        "funder_url": handoffs.page_url(hand_off),
    }
    if hand_off.state == "approved":
        return {
            "state": pgettext("order", "paid"),
            "tone": "good",
            "headline": gettext("%(funder)s has approved it.") % funder,
            "explanation": gettext(
                "Your order is paid. What you owe %(funder)s, if anything, stands on its own pages."
            )
            % funder,
            "note_tone": "good",
        }
    if hand_off.state == "declined" and hand_off.cause == "not_taken":
        return {
            "state": pgettext("order", "not taken"),
            "tone": "bad",
            "headline": gettext("%(funder)s did not take the order.") % funder,
            "explanation": gettext(
                "Its service could not be reached or takes no orders now. Nothing was charged, and the goods are still "
                "in your cart: pay another way, or try again later."
            ),
            "note_tone": "bad",
        }
    if hand_off.state == "declined":
        return {
            "state": pgettext("order", "declined"),
            "tone": "bad",
            "headline": gettext("%(funder)s has declined.") % funder,
            "explanation": gettext(
                "Nothing was charged, and the goods are still in your cart. It does not tell us why; its own support can."
            ),
            "note_tone": "bad",
        }
    if hand_off.state == "unknown":
        return {
            "state": pgettext("order", "unknown"),
            "tone": "warn",
            "headline": gettext("%(funder)s has not answered.") % funder,
            "explanation": gettext(
                "We do not know yet whether it was paid, and go on asking. Do not pay another way before it is known: "
                "you could pay twice."
            ),
            "note_tone": "warn",
            **asking,
        }
    return {
        "state": pgettext("order", "waiting for the funder"),
        "tone": "",
        "headline": gettext("%(funder)s has it now.") % funder,
        "explanation": gettext(
            "Its answer is due by %(at)s. Do not pay another way before: you could pay twice."
        )
        % {"at": voice.instant(hand_off.deadline_at)},
        "note_tone": "",
        **asking,
    }


# Made with the module: see fenqi.policy.snapshot.
_slip = msgspec.msgpack.Decoder(_Slip).decode
