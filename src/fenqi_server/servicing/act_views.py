"""The pages of acts on a contract: a form, what it would do, and, confirmed with a reason, what it did.

One address an act, so that each opens to its own roles. A form is sent twice: first to see (`preview`), then to do it. If the contract
changed in between, it is shown once more before anything is done.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from fenqi.contracts.explanation import explain
from fenqi.money import format_money
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.console.access import actor, allowed, role_name
from fenqi_server.servicing import acts, requests
from fenqi_server.servicing.desk import ChangeView, change_view, contract_of, staff_at, state_word, voice_at
from fenqi_server.servicing.service import ContractView, Refusal
from fenqi_server.servicing.staff_acts.act import MAX_REASON, Doing, StaffAct, tried
from fenqi_server.servicing.staff_acts.form import Field, WrongField, read
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = ["PreviewView", "RefusedView", "act_page", "bad_words", "preview_of", "refused_words", "seen_by"]


class RefusedView(msgspec.Struct, frozen=True):
    """Why something is not done, in words: with the state, the rule and the way out where they are known."""

    title: str
    detail: str
    english: str = ""


def act_page(act: StaffAct) -> Callable[..., HttpResponse]:
    """The view of one act."""

    @allowed(*act.roles)
    @require_http_methods(["GET", "HEAD", "POST"])
    def view(request: HttpRequest, contract_id: str) -> HttpResponse:
        return _answer(request, act, contract_id)

    view.__doc__ = f"{act.title}: the form, what it would do, and doing it."
    return view


def _answer(request: HttpRequest, act: StaffAct, contract_id: str) -> HttpResponse:
    staff, at = staff_at(request), clock.now()
    voice = voice_at(staff.shop, at)
    found = contract_of(staff.shop, contract_id, at)
    fields = act.fields(staff.shop, found, voice, at)
    if request.method != "POST":
        return _page(request, act, found, fields, voice)
    sent = {field.name: request.POST.get(field.name, "") for field in fields}
    reason = request.POST.get("reason", "").strip()
    try:
        given = read(fields, sent, staff.shop.currency)
        if not 1 <= len(reason) <= MAX_REASON:
            raise WrongField("reason", gettext("Say why, in 1 to %(n)s characters.") % {"n": MAX_REASON})
    except WrongField as wrong:
        return _page(request, act, found, fields, voice, wrong=wrong, status=400)
    doing = Doing(
        shop=staff.shop, contract=contract_id, given=given, at=at, actor=actor(request), reason=reason
    )
    confirmed = request.POST.get("step") == "confirm"
    changed = request.POST.get("seen", "") != str(seen_by(found))
    try:
        if confirmed and not changed:
            return _done(request, act, found, doing, voice)
        _, after = tried(
            lambda: (act.preview or act.do)(doing), lambda: contract_of(staff.shop, contract_id, at)
        )
    except Refusal as refused:
        return _page(request, act, found, fields, voice, refused=refused_words(refused, voice), status=409)
    except BadInput as problem:
        return _page(request, act, found, fields, voice, refused=bad_words(problem), status=400)
    return _page(
        request,
        act,
        found,
        fields,
        voice,
        preview=preview_of(found, after, voice),
        moved=confirmed and changed,
        second=_second(staff.shop, act, found, given, voice, at),
    )


def seen_by(found: ContractView) -> int:
    """The number of a contract's last event: what whoever looked at it had seen."""
    return max((event.seq for event in found.events), default=0)


def refused_words(refused: Refusal, voice: Voice) -> RefusedView:
    """A refusal as it is shown."""
    return RefusedView(voice.text(refused.title), voice.text(refused.detail))


def bad_words(problem: BadInput) -> RefusedView:
    """Bad input as it is shown; what the program says of it is English."""
    return RefusedView(gettext("This cannot be used."), "", problem.problem.sentence)


def _done(
    request: HttpRequest, act: StaffAct, found: ContractView, doing: Doing, voice: Voice
) -> HttpResponse:
    asked = act.do(doing)
    here = reverse("console:contract", args=[doing.contract])
    if asked is not None and asked.state == "open":
        request.session["flash"] = (
            gettext("Written down. It waits to be decided, and the customer sees it on their pages.")
            if asked.by_customer
            else gettext("Asked. Someone else has to approve it.")
        )
        return HttpResponseRedirect(reverse("console:request", args=[asked.request_id]))
    now = contract_of(doing.shop, doing.contract, doing.at)
    new = seen_by(now)
    if new == seen_by(found):
        request.session["flash"] = gettext("It was done before, and nothing was done now.")
        return HttpResponseRedirect(here)
    request.session["flash"] = gettext("Done: %(act)s. %(balance)s is left to pay. %(back)s") % {
        "act": gettext(act.title),
        "balance": voice.money(now.state.balance_minor),
        "back": gettext(act.way_back),
    }
    return HttpResponseRedirect(f"{here}?event={new}#changed")


class PreviewView(msgspec.Struct, frozen=True):
    """What an act would do: figures before and after, row by row, and the state it leaves."""

    change: ChangeView
    figures: tuple[tuple[str, str, str], ...]
    state_before: str
    state_after: str


def preview_of(before: ContractView, after: ContractView, voice: Voice) -> PreviewView:
    """Two states of a contract, side by side."""
    was, now = before.state, after.state
    figures = tuple(
        (label, voice.money(getattr(was, field)), voice.money(getattr(now, field)))
        for label, field in (
            (gettext("Left to pay"), "balance_minor"),
            (gettext("Of it past due"), "overdue_minor"),
            (gettext("To be refunded"), "refund_due_minor"),
            (gettext("Unapplied"), "unapplied_minor"),
            (gettext("Written off"), "written_off_minor"),
            (gettext("Recovered of it"), "recovered_minor"),
        )
        if field == "balance_minor" or getattr(was, field) != getattr(now, field)
    )
    return PreviewView(change_view("", explain(was, now), voice), figures, state_word(was), state_word(now))


_KINDS: Final[dict[str, requests.Kind]] = {
    "goodwill": "goodwill",
    "waive": "waiver",
    "write-off": "write_off",
    "refund": "refund",
    "give-back": "held_refund",
    "pay-back": "pay_back",
    "reverse": "reversal",
    "charge": "charge",
}
"""What an act that may need two people is asked for as."""
_SENT: Final = ("refund", "give-back", "pay-back")


def _second(
    shop: Shop, act: StaffAct, found: ContractView, given: dict[str, Any], voice: Voice, at: datetime
) -> str:
    """That somebody else has to agree, where what is given away, sent out or charged is above the limit."""
    if act.stake is None:
        return ""
    limit = settings.FENQI_CONCESSION_LIMIT_MINOR
    stake = act.stake(found, given)
    before = requests.alone_before(acts.seen(shop, found.contract_id), _KINDS[act.name], at)
    if stake + before <= limit:
        return ""
    said = {"amount": voice.money(stake + before), "limit": format_money(limit, found.terms.currency)}
    if before:
        said["before"] = voice.money(before)
        if act.name in _SENT:
            return (
                gettext(
                    "With %(before)s of today it comes to %(amount)s, above %(limit)s: it is asked for, and somebody else has to agree. Do not send it before they have."
                )
                % said
            )
        return (
            gettext(
                "With %(before)s that one person decided before it comes to %(amount)s, above %(limit)s: it is asked for, and somebody else has to agree."
            )
            % said
        )
    if act.name in _SENT:
        return (
            gettext(
                "%(amount)s is above %(limit)s: it is asked for, and somebody else has to agree. Do not send it before they have."
            )
            % said
        )
    return gettext("%(amount)s is above %(limit)s: it is asked for, and somebody else has to agree.") % said


def _page(
    request: HttpRequest,
    act: StaffAct,
    found: ContractView,
    fields: tuple[Field, ...],
    voice: Voice,
    *,
    wrong: WrongField | None = None,
    refused: RefusedView | None = None,
    preview: PreviewView | None = None,
    moved: bool = False,
    second: str = "",
    status: int = 200,
) -> HttpResponse:
    sent = request.POST if request.method == "POST" else {}
    context = {
        "title": gettext(act.title),
        "about": gettext(act.about),
        "way_back": gettext(act.way_back),
        "guard": act.guard(found, voice) if act.guard and act.fits(found.state) else "",
        "here": reverse(f"console:contract_{act.name}", args=[found.contract_id]),
        "contract_url": reverse("console:contract", args=[found.contract_id]),
        "order": found.order_ref,
        "state": state_word(found.state),
        "balance": voice.money(found.state.balance_minor),
        "overdue": voice.money(found.state.overdue_minor) if found.state.overdue_minor else "",
        "fields": [
            {
                "name": field.name,
                "label": field.label,
                "kind": field.kind,
                "hint": field.hint,
                "required": field.required,
                "hidden": field.hidden,
                "choices": field.choices,
                "value": sent.get(field.name, field.value),
                "error": wrong.said if wrong is not None and wrong.name == field.name else "",
            }
            for field in fields
        ],
        "unfit": not act.fits(found.state),
        "empty": next((field.label for field in fields if field.kind == "choice" and not field.choices), ""),
        "reason": sent.get("reason", ""),
        "reason_error": wrong.said if wrong is not None and wrong.name == "reason" else "",
        "refused": refused,
        "preview": preview,
        "seen": seen_by(found),
        "moved": moved,
        "second": second,
        "max_reason": MAX_REASON,
        "roles": [role_name(role) for role in act.roles],
    }
    return render(request, "servicing/act.html", context, status=status)
