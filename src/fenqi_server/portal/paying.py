"""Paying: any amount up to what is owed, said beforehand what it pays.

In the demo the money is paid at a pretend bank. In a shop it is paid at the shop's own cashier, to which the customer goes
with a slip: card numbers and passwords are never asked for here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from fenqi.calendars import to_epoch
from fenqi.contracts.contract import apply, begin
from fenqi.contracts.events import PaymentReceived
from fenqi.money import MAX_MINOR, MoneyError, decimal_text, parse_money
from fenqi_server.portal.contract_views import own_contract
from fenqi_server.portal.slips import BadSlip, Slip, cashier_address, make_slip, read_slip
from fenqi_server.portal.telling import part_words, title_of
from fenqi_server.portal.visitor import PortalVisitor, customer_page, support_words
from fenqi_server.servicing import payoffs
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.acts import NOBODYS
from fenqi_server.servicing.service import ContractView as Contract
from fenqi_server.servicing.service import Refusal


class PresetView(msgspec.Struct, frozen=True):
    value: str
    label: str
    amount: str
    chosen: bool


class PayPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What an amount would pay, today."""

    amount: str
    minor: int
    parts: tuple[str, ...]
    left: str
    next: str
    cashier: str = ""
    cashier_host: str = ""


class PayPage(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    url: str
    back: str
    owed: str
    presets: tuple[PresetView, ...]
    other: str
    other_chosen: bool
    most: str
    payoff: str
    """That paying off early costs less than all instalments, where it does."""
    payoff_url: str
    can_pay: bool
    support: str


class BankView(msgspec.Struct, frozen=True):
    """What the pretend bank shows: `owed` is what was owed then, so that nobody pays what they did not read."""

    url: str
    token: str
    payee: str
    purpose: str
    parts: tuple[str, ...]
    amount: str
    owed: int
    back: str
    booked: bool
    changed: bool


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def pay(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """Choose an amount, see what it pays, and go to pay it. More than is owed is refused before any money moves."""
    found = own_contract(visitor, contract_id)
    asked = request.POST if request.method == "POST" else request.GET
    voice, owed = visitor.voice, found.state.balance_minor
    choice = asked.get("choice", "")
    if choice or "amount" in asked:
        amount, error = _amount(asked, found, visitor)
        if error and ("amount" in asked or not owed):
            return _refused(request, error, reverse("portal:contract", args=[contract_id]))
        if not error and request.method == "POST" and settings.FENQI_DEMO:
            return to_bank(visitor, contract_id, amount)
        if not error and request.method == "POST":
            query = urlencode({"choice": "other", "other": decimal_text(amount, voice.currency)})
            return HttpResponseRedirect(f"{request.path}?{query}")
        preview = None if error else _preview(found, amount, visitor)
        return _form(request, found, visitor, asked, preview=preview, error=error)
    if not owed:
        # A form for an amount of nothing would only be refused afterwards.
        return _refused(request, _nothing_owed(), reverse("portal:contract", args=[contract_id]))
    return _form(request, found, visitor, asked)


def _nothing_owed() -> str:
    return gettext("Everything is paid; nothing is owed.")


def _amount(asked: Any, found: Contract, visitor: PortalVisitor) -> tuple[int, str]:
    """The amount that was asked for, or why not."""
    voice, state = visitor.voice, found.state
    owed = state.balance_minor
    if not owed:
        return 0, _nothing_owed()
    choice = asked.get("choice", "")
    if choice in ("next", "late", "all"):
        amount = {"next": state.next_due_minor, "late": state.overdue_minor, "all": owed}[choice]
        # Nothing is late any more, say: then the next one is what is meant.
        return amount or state.next_due_minor, ""
    if choice == "other":
        try:
            amount = parse_money(asked.get("other", "").strip(), voice.currency)
        except MoneyError:
            return 0, gettext("Write an amount such as %(example)s.") % {
                "example": decimal_text(state.next_due_minor, voice.currency)
            }
    else:
        written = asked.get("amount", "")
        amount = int(written) if written.isdecimal() and len(written) < 16 else 0
    if not 0 < amount <= owed:
        return 0, gettext("%(owed)s is owed, so %(asked)s cannot be asked for.") % {
            "owed": voice.money(owed),
            "asked": voice.money(min(amount, MAX_MINOR)),
        }
    return amount, ""


def _refused(request: HttpRequest, reason: str, back: str) -> HttpResponse:
    return render(request, "portal/refused.html", {"reason": reason, "back": back}, status=422)


def _preview(found: Contract, amount: int, visitor: PortalVisitor) -> PayPreview:
    voice = visitor.voice
    state = apply(
        begin(found.terms, found.events),
        PaymentReceived(
            seq=max(event.seq for event in found.events) + 1,
            occurred_on=visitor.today,
            recorded_at=to_epoch(visitor.at),
            payment_id=NOBODYS,
            amount_minor=amount,
            settlement=NOBODYS,
        ),
    ).state(visitor.today)
    paid = next(payment for payment in state.payments if payment.payment_id == NOBODYS)
    following = ""
    if state.next_due_on is not None:
        following = gettext("%(amount)s, due on %(on)s") % {
            "amount": voice.money(state.next_due_minor),
            "on": voice.day(state.next_due_on),
        }
    address = ""
    if not settings.FENQI_DEMO:
        address = cashier_address(
            visitor.shop, make_slip(visitor.shop, found.contract_id, amount, visitor.at)
        )
    return PayPreview(
        amount=voice.money(amount),
        minor=amount,
        parts=part_words(paid, state, voice),
        left=voice.money(state.balance_minor),
        next=following,
        cashier=address,
        cashier_host=urlsplit(address).hostname or "",
    )


def _form(
    request: HttpRequest,
    found: Contract,
    visitor: PortalVisitor,
    asked: Any,
    *,
    preview: PayPreview | None = None,
    error: str = "",
) -> HttpResponse:
    voice, state = visitor.voice, found.state
    choice = asked.get("choice", "")
    presets = []
    if state.overdue_minor:
        presets.append(("late", gettext("All that is past due"), state.overdue_minor))
    if state.next_due_minor and state.next_due_minor != state.overdue_minor:
        presets.append(("next", gettext("The next instalment"), state.next_due_minor))
    if state.balance_minor and state.balance_minor not in [minor for _, _, minor in presets]:
        presets.append(("all", gettext("All instalments that are left"), state.balance_minor))
    page = PayPage(
        title=title_of(found, visitor.shop, voice),
        url=reverse("portal:pay", args=[found.contract_id]),
        back=reverse("portal:contract", args=[found.contract_id]),
        owed=voice.money(state.balance_minor),
        presets=tuple(
            PresetView(name, label, voice.money(minor), name == choice) for name, label, minor in presets
        ),
        other=asked.get("other", "")[:20],
        other_chosen=choice == "other",
        most=decimal_text(state.balance_minor, voice.currency),
        payoff=_cheaper(found, visitor),
        payoff_url=reverse("portal:pay-off", args=[found.contract_id]),
        can_pay=settings.FENQI_DEMO or bool(visitor.shop.pay_url),
        support=support_words(visitor.shop),
    )
    status = 422 if error else 409 if preview is not None and not page.can_pay else 200
    return render(
        request,
        "portal/pay.html",
        {"page": page, "preview": preview, "error": error, "demo": settings.FENQI_DEMO},
        status=status,
    )


def _cheaper(found: Contract, visitor: PortalVisitor) -> str:
    """Whoever would pay all instalments now reads that paying off early settles the same for less."""
    try:
        payoff = payoffs.preview_payoff(visitor.shop, found.contract_id, visitor.at)
    except Refusal:
        return ""
    spared = found.state.balance_minor - payoff.to_pay_minor
    if spared <= 0:
        return ""
    return gettext(
        "Paying off early costs %(amount)s today: %(less)s less than all instalments that are left."
    ) % {
        "amount": visitor.voice.money(payoff.to_pay_minor),
        "less": visitor.voice.money(spared),
    }


# ------------------------------------------------------------------------------------------------ the pretend bank


def to_bank(
    visitor: PortalVisitor, contract_id: str, amount: int, *, settles: str = "", until: datetime | None = None
) -> HttpResponseRedirect:
    """To the demo's pretend bank, with a slip. `until` ends it sooner, as the day of a quote does."""
    slip = make_slip(visitor.shop, contract_id, amount, visitor.at, settles=settles, until=until)
    return HttpResponseRedirect(f"{reverse('portal:bank')}?{urlencode({'t': slip})}")


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def bank(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """The pretend bank: it says that it is one. What a slip stands for no more is sent back before any money moves."""
    if not settings.FENQI_DEMO:
        raise Http404("only the demo has a pretend bank")
    asked = request.POST if request.method == "POST" else request.GET
    token = asked.get("t") or request.POST.get("token", "")
    try:
        slip = read_slip(visitor.shop.id, token)
    except BadSlip:
        raise Http404("not a payment that the mall asked for") from None
    found = own_contract(visitor, slip.contract)
    back = reverse("portal:contract", args=[slip.contract])
    if request.method == "POST" and asked.get("answer") != "pay":
        return HttpResponseRedirect(back)
    booked = any(payment.payment_id == slip.reference for payment in found.state.payments)
    if not booked and (gone := _gone(slip, visitor)):
        return _sent_back(request, slip, gone, visitor)
    # Something was paid since this page was read, say in another tab: what it would pay is other now.
    changed = asked.get("owed", str(found.state.balance_minor)) != str(found.state.balance_minor)
    if request.method == "POST" and (booked or not changed):
        try:
            servicing.pay(
                visitor.shop,
                slip.contract,
                slip.amount_minor,
                # By a quote that does not stand it would be an ordinary payment, and settle nothing.
                "request" if slip.settles else "received",
                slip.reference,
                visitor.at,
                settles=slip.settles,
            )
        except Refusal as refusal:
            return _sent_back(request, slip, visitor.voice.text(refusal.detail), visitor)
        return HttpResponseRedirect(f"{back}?paid={slip.reference}")
    return render(
        request,
        "portal/bank.html",
        {"bank": _bank_view(found, slip, token, visitor, booked=booked, changed=changed)},
        status=409 if changed and not booked else 200,
    )


def _gone(slip: Slip, visitor: PortalVisitor) -> str:
    """Why a slip cannot be paid any more; empty where it can."""
    if slip.settles:
        try:
            quote = payoffs.quote_of(visitor.shop, slip.contract, slip.settles, visitor.at)
        except payoffs.NoQuote:
            raise Http404("no such quote") from None
        if quote.state == "settled":
            return gettext("You have paid this off. Nothing is owed by this quote any more.")
        if quote.state != "open":
            return gettext("The quote that this payment was for does not stand any more.")
    if visitor.at >= slip.expires_at:
        return gettext("This payment was begun too long ago. Begin it again.")
    return ""


def _sent_back(request: HttpRequest, slip: Slip, reason: str, visitor: PortalVisitor) -> HttpResponse:
    """Nothing was paid: why, what it would cost now, and where to begin again."""
    context = {"reason": reason, "back": reverse("portal:contract", args=[slip.contract])}
    try:
        # Of a contract that is closed by now there is nothing to begin again.
        now = payoffs.preview_payoff(visitor.shop, slip.contract, visitor.at) if slip.settles else None
    except Refusal:
        return render(request, "portal/refused.html", context, status=409)
    if now is not None:
        context["costs"] = gettext("Paying off costs %(amount)s today.") % {
            "amount": visitor.voice.money(now.to_pay_minor)
        }
    context["again"] = reverse("portal:pay" if now is None else "portal:pay-off", args=[slip.contract])
    return render(request, "portal/refused.html", context, status=409)


def _bank_view(
    found: Contract, slip: Slip, token: str, visitor: PortalVisitor, *, booked: bool, changed: bool
) -> BankView:
    voice = visitor.voice
    parts: tuple[str, ...] = ()
    if not booked:
        parts = (
            (gettext("paying off early"),)
            if slip.settles
            else _preview(found, slip.amount_minor, visitor).parts
        )
    return BankView(
        url=reverse("portal:bank"),
        token=token,
        payee=voice.text(visitor.shop.name),
        purpose=gettext("%(title)s, order %(number)s, payment %(reference)s")
        % {
            "title": title_of(found, visitor.shop, voice),
            "number": found.order_ref,
            "reference": slip.reference,
        },
        parts=parts,
        amount=voice.money(slip.amount_minor),
        owed=found.state.balance_minor,
        back=reverse("portal:contract", args=[slip.contract]),
        booked=booked,
        changed=changed,
    )
