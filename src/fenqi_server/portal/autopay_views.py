"""Automatic payment: on and off. Nothing is ever debited without a mandate, and a mandate is taken back by one button.

Turning it on names a tool that the shop's payment provider knows. In the demo that is a pretend card; in a shop the shop's own
pages do it, since only there can a card become the provider's token (`POST /v1/mandates`).
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from fenqi.money import CURRENCIES, MoneyError, decimal_text, parse_money
from fenqi_server.autopay import attempts, collectors, mandates
from fenqi_server.autopay.mandates import Mandate, Tool
from fenqi_server.portal.telling import title_of
from fenqi_server.portal.visitor import PortalVisitor, customer_page
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.service import ContractView as Contract
from fenqi_server.servicing.words import failure_name

TEXT_VERSION: Final = "portal-autopay-2026-11"
"""The words of this page that are agreed to."""
PRETEND: Final = {
    "steady": Tool("pretend:ok", "Pretend Bank", "4242"),
    "short": Tool("pretend:insufficient,ok", "Pretend Bank", "0002"),
}
"""The demo's cards: one pays always, one has too little on it the first time."""
ALWAYS_MAJOR: Final = 10_000
"""Up to so much may be allowed at a time whatever is owed, for what is bought later; more than that, only up to what is owed in all."""


class MandateView(msgspec.Struct, frozen=True):
    id: str
    what: str
    card: str
    most: str
    since: str
    ended: str
    idle: bool
    """Another card comes before it for each contract that runs."""


class AttemptView(msgspec.Struct, frozen=True):
    on: str
    what: str
    amount: str
    state: str
    tone: str
    why: str


class Card(msgspec.Struct, frozen=True):
    value: str
    label: str
    chosen: bool


class TurnOn(msgspec.Struct, frozen=True):
    """What is about to be allowed."""

    card: str
    name: str
    most: str
    written: str
    short: str
    """What is said where the most is below what is due at once."""
    instead: tuple[MandateView, ...]
    """What is taken back by it."""


class ContractAutopay(msgspec.Struct, frozen=True):
    """A contract that is paid automatically: by which card, and what is taken next."""

    card: str
    most: str
    taken: str
    idle: str
    """What is said where nothing is taken, though it is allowed."""


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def autopay(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """Whether payments are automatic, by which tool and up to how much; turned on and off here."""
    shop, voice, at = visitor.shop, visitor.voice, visitor.at
    asked = request.POST if request.method == "POST" else request.GET
    act = asked.get("act", "")
    known = mandates.mandates_of(shop, visitor.customer_id)
    standing = [each for each in known if each.stands]
    error, preview, ending = "", None, None
    contracts = servicing.contracts_of(shop, visitor.customer_id, visitor.today)
    if act == "off":
        named = [each for each in standing if each.mandate_id == asked.get("mandate", "")]
        if not named:
            raise Http404("no such mandate that stands")
        if request.method == "POST":
            mandates.withdraw(shop, named[0].mandate_id, at)
            return _said(
                request, gettext("Automatic payment is off. From now on you pay each instalment yourself.")
            )
        ending = _mandate_view(named[0], visitor, contracts)
    elif act == "on":
        if not settings.FENQI_DEMO:
            raise Http404("turned on in the shop")
        tool = PRETEND.get(asked.get("card", ""))
        try:
            most = parse_money(asked.get("most", "").strip(), shop.currency)
        except MoneyError:
            most = 0
        limit = max(ALWAYS_MAJOR * 10 ** CURRENCIES[shop.currency], _owed(contracts))
        shown = {each.mandate_id for each in standing}
        if most > limit:
            error = gettext(
                "%(asked)s is more than one payment could ever come to here. Write %(limit)s at most."
            ) % {"asked": voice.money(most), "limit": voice.money(limit)}
        elif tool is None or not most:
            error = gettext("Choose a card, and write the most for one payment, such as %(example)s.") % {
                "example": decimal_text(100_000, shop.currency)
            }
        # Nothing is taken back that was not shown: where others stand by now, it is shown again.
        elif request.method == "POST" and set(request.POST.getlist("instead")) == shown:
            mandates.give(
                shop, visitor.customer_id, tool, most, TEXT_VERSION, at, instead_of=[*sorted(shown)]
            )
            return _said(
                request, gettext("Automatic payment is on. The first one is asked for on your next due date.")
            )
        else:
            preview = TurnOn(
                asked["card"],
                _card_words(tool),
                voice.money(most),
                decimal_text(most, shop.currency),
                _short_words(most, contracts, visitor),
                tuple(_mandate_view(each, visitor, contracts) for each in standing),
            )
    return render(
        request,
        "portal/autopay.html",
        {
            "standing": [_mandate_view(each, visitor, contracts, known) for each in standing],
            "ended": [_mandate_view(each, visitor, contracts) for each in known if not each.stands][:5],
            "attempts": _attempts(contracts, visitor),
            "cards": [
                Card(name, _card_words(tool), name == asked.get("card")) for name, tool in PRETEND.items()
            ],
            "most": asked.get("most", "")[:20] or _suggested(contracts, shop.currency),
            "preview": preview,
            "ending": ending,
            "error": error,
            "demo": settings.FENQI_DEMO,
            "nobody": nobody_collects(visitor) if standing else "",
            "back": visitor.back,
        },
        status=422 if error else 200,
    )


def autopay_words(visitor: PortalVisitor, contracts: list[Contract]) -> tuple[str, ...]:
    """Whether payments are automatic, and by which card: in a line, or in one for each contract where they differ."""
    known = mandates.mandates_of(visitor.shop, visitor.customer_id)
    standing = [each for each in known if each.stands]
    if not standing:
        return ()
    running = _running(contracts)
    paid_by = [mandates.paying(standing, each.contract_id) for each in running]
    if len(set(paid_by)) < 2:
        return (_by_words(next(iter(paid_by), None) or standing[0], visitor),)
    return tuple(
        gettext("%(what)s: %(how)s")
        % {
            "what": title_of(each, visitor.shop, visitor.voice),
            "how": gettext("you pay yourself") if found is None else _by_words(found, visitor),
        }
        for each, found in zip(running, paid_by, strict=True)
    )


def contract_autopay(visitor: PortalVisitor, found: Contract) -> ContractAutopay | None:
    """How a contract is paid automatically; None where it is not, or where nothing is owed."""
    state, voice = found.state, visitor.voice
    known = mandates.mandates_of(visitor.shop, visitor.customer_id)
    by = mandates.paying(known, found.contract_id)
    if by is None or state.status != "active" or state.next_due_on is None:
        return None
    due = sum(row.outstanding_minor for row in state.rows if row.due_on == state.next_due_on)
    words = {"on": voice.day(state.next_due_on), "amount": voice.money(min(due, by.ceiling_minor))}
    taken, idle = "", nobody_collects(visitor)
    under_way = [
        each for each in attempts.attempts_of(visitor.shop, found.contract_id) if each.state in attempts.OPEN
    ]
    if idle:
        pass
    elif under_way:
        taken = gettext(
            "%(amount)s was asked for on %(on)s and may still be taken: you need not pay it yourself. What comes twice is yours, and is refunded when you ask for it."
        ) % {"on": voice.day(under_way[0].day), "amount": voice.money(under_way[0].amount_minor)}
    elif state.next_due_on <= visitor.today:
        taken = gettext(
            "What is due already can be collected still; paid by you, it is not asked for any more."
        )
    elif due > by.ceiling_minor:
        taken = gettext(
            "On %(on)s, %(amount)s of it is taken: no more is allowed. %(rest)s you pay yourself."
        ) % {**words, "rest": voice.money(due - by.ceiling_minor)}
    else:
        taken = gettext("On %(on)s, %(amount)s is taken. You need not pay it yourself.") % words
    return ContractAutopay(_card_words(by.tool), voice.money(by.ceiling_minor), taken, idle)


def nobody_collects(visitor: PortalVisitor) -> str:
    """What is said where the shop has nobody who would be asked to collect; empty where it has."""
    if collectors.way_of(visitor.shop) != "none":
        return ""
    return gettext("The shop does not collect automatically at present: nothing is taken. Pay it yourself.")


def _by_words(found: Mandate, visitor: PortalVisitor) -> str:
    return gettext("by %(card)s, up to %(most)s each time") % {
        "card": _card_words(found.tool),
        "most": visitor.voice.money(found.ceiling_minor),
    }


def _short_words(most: int, contracts: list[Contract], visitor: PortalVisitor) -> str:
    """What is said of a most that is below what will be due at once."""
    due = _largest(contracts)
    if most >= due:
        return ""
    return gettext(
        "%(due)s will be due at once, and only %(most)s of it is taken. The rest is not paid by that: you pay it yourself, or it is late."
    ) % {"due": visitor.voice.money(due), "most": visitor.voice.money(most)}


def _said(request: HttpRequest, said: str) -> HttpResponse:
    request.session["flash"] = said
    return HttpResponseRedirect(reverse("portal:autopay"))


def _card_words(tool: Tool) -> str:
    brand = gettext("Pretend Bank") if tool.brand == "Pretend Bank" else tool.brand
    return gettext("%(brand)s, ending in %(last4)s") % {"brand": brand, "last4": tool.last4}


def _mandate_view(
    found: Mandate, visitor: PortalVisitor, contracts: list[Contract], known: list[Mandate] | None = None
) -> MandateView:
    """A mandate in words; beside the others that are `known`, whether it pays anything."""
    voice = visitor.voice
    running = [each.contract_id for each in _running(contracts)]
    idle = bool(known and running) and all(mandates.paying(known or [], each) != found for each in running)
    what = gettext("for everything that you owe here")
    for each in contracts:
        if each.contract_id == found.contract_id:
            what = gettext("for %(what)s") % {"what": title_of(each, visitor.shop, voice)}
    return MandateView(
        found.mandate_id,
        what,
        _card_words(found.tool),
        voice.money(found.ceiling_minor),
        voice.instant(found.given_at),
        voice.instant(found.withdrawn_at) if found.withdrawn_at is not None else "",
        idle,
    )


def _attempts(contracts: list[Contract], visitor: PortalVisitor) -> list[AttemptView]:
    voice = visitor.voice
    words = {
        "asked": (gettext("asked for"), ""),
        "sent": (gettext("asked for"), ""),
        "unknown": (gettext("not known yet"), "warn"),
        "collected": (gettext("paid"), "good"),
        "failed": (gettext("did not work"), "bad"),
        "cancelled": (gettext("not asked for after all"), ""),
    }
    found = [
        (attempt, each)
        for each in contracts
        for attempt in attempts.attempts_of(visitor.shop, each.contract_id)[:10]
    ]
    found.sort(key=lambda pair: pair[0].asked_at, reverse=True)
    return [
        AttemptView(
            voice.day(attempt.day),
            title_of(each, visitor.shop, voice),
            voice.money(attempt.amount_minor),
            *words[attempt.state],
            failure_name(attempt.reason) if attempt.state == "failed" else "",
        )
        for attempt, each in found[:10]
    ]


def _running(contracts: list[Contract]) -> list[Contract]:
    return [each for each in contracts if each.state.status == "active" and each.state.balance_minor]


def _owed(contracts: list[Contract]) -> int:
    return sum(each.state.balance_minor for each in contracts)


def _largest(contracts: list[Contract]) -> int:
    """The most that is due at once of one contract: of what is to come, or of what is late already."""
    most = 0
    for each in contracts:
        days: Counter[object] = Counter({None: each.state.overdue_minor})
        for row in each.state.rows:
            days[row.due_on] += row.outstanding_minor
        most = max(most, *days.values())
    return most


def _suggested(contracts: list[Contract], currency: str) -> str:
    """Enough for whatever is due at once."""
    most = _largest(contracts)
    return decimal_text(most, currency) if most else ""
