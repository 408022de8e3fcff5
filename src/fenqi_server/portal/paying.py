"""Paying: any amount up to what is owed, said beforehand what it pays.

In the demo the money is paid at a pretend bank. In a shop it is paid at the shop's own cashier, to which the customer goes
with a slip: card numbers and passwords are never asked for here.
"""

from __future__ import annotations

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
from fenqi_server.portal.slips import BadSlip, cashier_address, make_slip, read_slip
from fenqi_server.portal.telling import part_words, title_of
from fenqi_server.portal.visitor import PortalVisitor, customer_page, support_words
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.service import ContractView as Contract


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
    can_pay: bool
    support: str


class BankView(msgspec.Struct, frozen=True):
    url: str
    token: str
    payee: str
    purpose: str
    amount: str


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
    return _form(request, found, visitor, asked)


def _amount(asked: Any, found: Contract, visitor: PortalVisitor) -> tuple[int, str]:
    """The amount that was asked for, or why not."""
    voice, state = visitor.voice, found.state
    owed = state.balance_minor
    if not owed:
        return 0, gettext("Everything is paid; nothing is owed.")
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
            payment_id="preview",
            amount_minor=amount,
            settlement="preview",
        ),
    ).state(visitor.today)
    paid = next(payment for payment in state.payments if payment.payment_id == "preview")
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
        payoff="",
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


# ------------------------------------------------------------------------------------------------ the pretend bank


def to_bank(
    visitor: PortalVisitor, contract_id: str, amount: int, *, settles: str = ""
) -> HttpResponseRedirect:
    """To the demo's pretend bank, with a slip."""
    slip = make_slip(visitor.shop, contract_id, amount, visitor.at, settles=settles)
    return HttpResponseRedirect(f"{reverse('portal:bank')}?{urlencode({'t': slip})}")


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def bank(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """The pretend bank: it says that it is one. Paying here makes money arrive, which is booked whatever happens."""
    if not settings.FENQI_DEMO:
        raise Http404("only the demo has a pretend bank")
    token = (request.POST if request.method == "POST" else request.GET).get("t") or request.POST.get(
        "token", ""
    )
    try:
        slip = read_slip(visitor.shop.id, token)
    except BadSlip:
        raise Http404("not a payment that the mall asked for") from None
    own_contract(visitor, slip.contract)
    back = reverse("portal:contract", args=[slip.contract])
    if request.method == "POST":
        if request.POST.get("answer") != "pay":
            return HttpResponseRedirect(back)
        servicing.pay(
            visitor.shop,
            slip.contract,
            slip.amount_minor,
            "received",
            slip.reference,
            visitor.at,
            settles=slip.settles,
        )
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
