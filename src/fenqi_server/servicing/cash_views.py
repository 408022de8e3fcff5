"""Money that named no contract, matched or sent back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from fenqi.calendars import local_date
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.console.access import actor, allowed
from fenqi_server.db import in_transaction
from fenqi_server.policies import audit
from fenqi_server.servicing import acts, requests, unapplied
from fenqi_server.servicing.act_views import (
    PreviewView,
    RefusedView,
    bad_words,
    preview_of,
    refused_words,
    seen_by,
)
from fenqi_server.servicing.desk import ContractLine, contract_of, lines_of, staff_at, voice_at
from fenqi_server.servicing.listing import Asked, list_contracts
from fenqi_server.servicing.service import NoContract, Refusal
from fenqi_server.servicing.staff_acts.act import tried
from fenqi_server.servicing.staff_acts.money import channels
from fenqi_server.servicing.unapplied import NoMoney, Placed, Unmatched
from fenqi_server.servicing.words import age_name
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = ["money", "money_match", "money_refund", "money_undo", "unapplied_cash"]

READERS: Final = ("support", "supervisor", "finance", "auditor")
MATCHERS: Final = ("supervisor", "finance")
CANDIDATES: Final = 10
LATE_DAYS: Final = 7
"""Money that has waited longer is late."""


class MoneyLine(msgspec.Struct, frozen=True, kw_only=True):
    """Money in a list. `named` is what its payer wrote where a contract should stand."""

    url: str
    reference: str
    named: str
    amount: str
    settlement: str
    arrived: str
    age: str
    late: bool
    place: str
    contract_url: str


@allowed(*READERS)
@require_safe
def unapplied_cash(request: HttpRequest) -> HttpResponse:
    """What waits to be matched, newest first; `?done=1` shows what is matched or went back."""
    staff, at = staff_at(request), clock.now()
    shop, voice = staff.shop, voice_at(staff.shop, at)
    waiting, after = not request.GET.get("done"), request.GET.get("after", "")
    try:
        if waiting:
            open_page = unapplied.unmatched(shop, after=after)
            found = tuple(Placed(each, "", "") for each in open_page.money)
            more = open_page.after
        else:
            done_page = unapplied.placed(shop, after=after)
            found, more = done_page.placed, done_page.after
    except BadInput:
        raise Http404("no such place in the list") from None
    kept = {} if waiting else {"done": "1"}
    context = {
        "lines": [_money(each, voice, shop) for each in found],
        "next": f"?{urlencode({**kept, 'after': more})}" if more else "",
        "waiting": waiting,
        "held_url": f"{reverse('console:contracts')}?unapplied=1",
    }
    return render(request, "servicing/unapplied.html", context)


def _money(each: Placed, voice: Voice, shop: Shop) -> MoneyLine:
    found = each.money
    days = (local_date(clock.now(), shop.time_zone) - found.occurred_on).days
    open_ = not each.contract and not each.refunded_by
    place = ""
    if each.contract:
        place = gettext("matched")
    elif each.refunded_by:
        place = gettext("sent back (%(reference)s)") % {"reference": each.refunded_by}
    return MoneyLine(
        url=reverse("console:money", args=[found.unapplied_id]),
        reference=found.payment_ref,
        named=found.named,
        amount=voice.money(found.amount_minor),
        settlement=found.settlement,
        arrived=voice.day(found.occurred_on),
        age=age_name(days) if open_ else "",
        late=open_ and days > LATE_DAYS,
        place=place,
        contract_url=reverse("console:contract", args=[each.contract]) if each.contract else "",
    )


# ------------------------------------------------------------------------------------------------------- one sum of money


@allowed(*READERS)
@require_safe
def money(request: HttpRequest, unapplied_id: str) -> HttpResponse:
    """One sum: what is known of it, the contracts it may be for (`?order=`, `?customer=`), and what can be done."""
    return _page(request, _found(request, unapplied_id))


@allowed(*MATCHERS)
@require_POST
def money_match(request: HttpRequest, unapplied_id: str) -> HttpResponse:
    """Match it to a contract: seen first, then done."""
    each, staff, at = _found(request, unapplied_id), staff_at(request), clock.now()
    shop, contract, reason = (
        staff.shop,
        request.POST.get("contract", ""),
        request.POST.get("reason", "").strip(),
    )

    def act() -> None:
        acts.by_whom(staff.actor, reason)
        unapplied.match(shop, unapplied_id, contract, at)
        audit.record(
            shop,
            staff.actor,
            "unapplied.match",
            f"unapplied:{unapplied_id}",
            at,
            reason=reason,
            after={"contract": contract, "amount_minor": each.money.amount_minor},
        )

    if not contract:
        return _page(request, each, error=gettext("Choose the contract that the money is for."), status=400)
    return _seen_or_done(
        request, each, contract, act, gettext("Matched: the contract has it as of the day it arrived.")
    )


@allowed(*MATCHERS)
@require_POST
def money_undo(request: HttpRequest, unapplied_id: str) -> HttpResponse:
    """Undo a match to the wrong contract: the money waits again."""
    each, staff, at = _found(request, unapplied_id), staff_at(request), clock.now()
    reason = request.POST.get("reason", "").strip()

    def act() -> None:
        unapplied.undo_match(staff.shop, unapplied_id, at, actor=staff.actor, reason=reason)

    if not each.contract:
        return _page(request, each, error=gettext("This money is matched to no contract."), status=409)
    return _seen_or_done(
        request, each, each.contract, act, gettext("Undone: the money waits to be matched again.")
    )


@allowed("finance")
@require_POST
def money_refund(request: HttpRequest, unapplied_id: str) -> HttpResponse:
    """Say that it was sent back, whole, to whoever sent it; above the limit, ask for it."""
    each, staff, at = _found(request, unapplied_id), staff_at(request), clock.now()
    channel = request.POST.get("channel", "")
    if channel not in dict(channels()):
        return _page(request, each, error=gettext("Choose one of those shown."), status=400)
    reference, reason = (request.POST.get(name, "").strip() for name in ("reference", "reason"))
    if not reference or not reason:
        return _page(request, each, error=_both(), status=400)
    try:
        done = requests.ask_for_unmatched(
            staff.shop,
            unapplied_id,
            reference,
            at,
            channel=cast(Any, channel),
            actor=actor(request),
            reason=reason,
        )
    except Refusal as refused:
        return _page(request, each, refused=refused_words(refused, voice_at(staff.shop, at)), status=409)
    except BadInput as problem:
        return _page(request, each, refused=bad_words(problem), status=400)
    if isinstance(done, requests.Request):
        request.session["flash"] = gettext("Asked. Someone else has to approve it.")
        return HttpResponseRedirect(reverse("console:request", args=[done.request_id]))
    return _told(request, gettext("Sent back: nothing of it waits any more."), unapplied_id)


def _both() -> str:
    return gettext("Give the number of the transfer and say why.")


def _seen_or_done(
    request: HttpRequest, each: Placed, contract: str, act: Callable[[], None], done: str
) -> HttpResponse:
    """Show what an act on a contract would do, or do it: `step` is `preview` or `confirm`."""
    staff, at = staff_at(request), clock.now()
    shop, voice = staff.shop, voice_at(staff.shop, at)
    if not 1 <= len(request.POST.get("reason", "").strip()) <= acts.MAX_REASON:
        said_why = gettext("Say why, in 1 to %(n)s characters.") % {"n": acts.MAX_REASON}
        return _page(request, each, error=said_why, status=400)
    try:
        before = contract_of(shop, contract, at)
    except Http404:
        return _page(request, each, error=gettext("No contract is called that."), status=400)
    changed = request.POST.get("seen", "") != str(seen_by(before))
    confirmed = request.POST.get("step") == "confirm"
    try:
        if confirmed and not changed:
            in_transaction(act)
            return _told(request, done, each.money.unapplied_id)
        _, after = tried(act, lambda: contract_of(shop, contract, at))
    except Refusal as refused:
        return _page(request, each, refused=refused_words(refused, voice), status=409)
    except NoContract:
        return _page(request, each, error=gettext("No contract is called that."), status=400)
    except BadInput as problem:
        return _page(request, each, refused=bad_words(problem), status=400)
    return _page(
        request,
        each,
        preview=preview_of(before, after, voice),
        seen=seen_by(before),
        moved=confirmed and changed,
        order=before.order_ref,
    )


def _found(request: HttpRequest, unapplied_id: str) -> Placed:
    try:
        return unapplied.find(staff_at(request).shop, unapplied_id)
    except NoMoney:
        raise Http404("no such money") from None


def _told(request: HttpRequest, text: str, unapplied_id: str) -> HttpResponse:
    request.session["flash"] = text
    return HttpResponseRedirect(reverse("console:money", args=[unapplied_id]))


def _page(
    request: HttpRequest,
    each: Placed,
    *,
    error: str = "",
    refused: RefusedView | None = None,
    preview: PreviewView | None = None,
    seen: int = 0,
    moved: bool = False,
    order: str = "",
    status: int = 200,
) -> HttpResponse:
    staff, at = staff_at(request), clock.now()
    shop, voice = staff.shop, voice_at(staff.shop, at)
    open_ = not each.contract and not each.refunded_by
    asked = {name: request.GET.get(name, "").strip() for name in ("order", "customer")}
    sent: Any = request.POST if request.method == "POST" else {}
    asked_back = requests.of_money(shop, each.money.unapplied_id) if open_ else []
    waits = next((found for found in asked_back if found.state == "open"), None)
    limit = settings.FENQI_CONCESSION_LIMIT_MINOR
    context = {
        "line": _money(each, voice, shop),
        "id": each.money.unapplied_id,
        "asked": asked,
        "candidates": _candidates(shop, each.money, asked, voice) if open_ and staff.may(*MATCHERS) else (),
        "searched": any(asked.values()),
        "may_match": open_ and staff.may(*MATCHERS),
        "may_refund": open_ and staff.may("finance") and waits is None,
        "waits_url": reverse("console:request", args=[waits.request_id]) if waits is not None else "",
        "above": voice.money(limit) if each.money.amount_minor > limit else "",
        "may_undo": bool(each.contract) and staff.may(*MATCHERS),
        "channels": channels(),
        "error": error,
        "refused": refused,
        "preview": preview,
        "order": order,
        "seen": seen,
        "moved": moved,
        "act": request.path.rstrip("/").rpartition("/")[2] if request.method == "POST" else "",
        "sent": sent,
        "max_reason": acts.MAX_REASON,
    }
    return render(request, "servicing/money.html", context, status=status)


def _candidates(
    shop: Shop, found: Unmatched, asked: dict[str, str], voice: Voice
) -> tuple[ContractLine, ...]:
    """Contracts that the money may be for: those searched for, or those whose order or number its payer wrote."""
    today = local_date(clock.now(), shop.time_zone)
    if any(asked.values()):
        wanted = [Asked(order_ref=asked["order"] or None, customer=asked["customer"] or None)]
    else:
        words = [word for word in found.named.replace(",", " ").replace("，", " ").split() if word][:5]
        wanted = [Asked(order_ref=word) for word in dict.fromkeys([found.named, *words]) if word]
        wanted += [Asked(customer=word) for word in dict.fromkeys([found.named, *words]) if word]
    listed = {
        line.contract_id: line
        for each in wanted
        for line in list_contracts(shop, each, today, limit=CANDIDATES).contracts
    }
    return lines_of(shop, tuple(listed.values())[:CANDIDATES], voice)
