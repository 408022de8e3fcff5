"""Reconciliation in the console: statements in, breaks cleared by people, settlements booked as arrived.

Finance acts, the auditor reads. What one person asks for above the limit another one decides.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext
from django.views.decorators.http import require_POST, require_safe

from fenqi.calendars import to_epoch
from fenqi.money import format_money
from fenqi.problems import BadInput, Problem
from fenqi_server import clock
from fenqi_server.console.access import Staff, actor, allowed
from fenqi_server.reconciliation import clearing, importing
from fenqi_server.reconciliation.clearing import BreakRow, SettlementRow
from fenqi_server.reconciliation.layouts import LAYOUTS, Layout, decode_layout, layout_of
from fenqi_server.reconciliation.statement import MAX_BYTES, StatementRefused
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice, locale_now

_READERS: Final = ("finance", "auditor")


class BreakLine(msgspec.Struct, frozen=True):
    """One break in the list. An amount that a side does not have is empty."""

    id: str
    url: str
    kind: str
    reference: str
    settlement: str
    ours: str
    theirs: str
    difference: str
    state: str
    tone: str


class Choice(msgspec.Struct, frozen=True):
    """One way to clear a break."""

    action: str
    label: str
    effect: str
    partners: tuple[BreakLine, ...] = ()


class SettlementLine(msgspec.Struct, frozen=True):
    name: str
    counts: str
    amount: str
    fee: str
    in_transit: str
    open_breaks: int
    arrived: bool
    may_arrive: bool


def _voice(shop: Shop) -> Voice:
    return Voice(locale_now(), shop.currency, shop.time_zone, to_epoch(clock.now()))


def _staff(request: HttpRequest) -> Staff:
    staff: Staff = request.staff  # type: ignore[attr-defined]
    return staff


def _said(request: HttpRequest, text: str, url: str) -> HttpResponse:
    request.session["flash"] = text
    return HttpResponseRedirect(url)


@allowed(*_READERS)
@require_safe
def reconciliation(request: HttpRequest) -> HttpResponse:
    """What waits for somebody, the settlements, and the form for a statement; `?done=1` shows what is closed."""
    return _page(request)


def _page(request: HttpRequest, *, status: int = 200, **more: object) -> HttpResponse:
    staff = _staff(request)
    waiting, settlement = not request.GET.get("done"), request.GET.get("settlement", "")
    try:
        after = UUID(request.GET["after"]) if request.GET.get("after") else None
    except ValueError:
        raise Http404("no such place in the list") from None
    found = clearing.breaks(staff.shop, waiting=waiting, settlement=settlement, after=after)
    context = {
        "breaks": [_line(each) for each in found[: clearing.PAGE]],
        "next": str(found[clearing.PAGE - 1].id) if len(found) > clearing.PAGE else "",
        "waiting": waiting,
        "settlement": settlement,
        "settlements": [_settlement(each) for each in clearing.settlements(staff.shop)],
        "may_act": staff.may("finance"),
        "layouts": [(name, _layout_name(name)) for name in LAYOUTS],
        "given": {"settlement": "", "layout": "alipay"},
        **more,
    }
    return render(request, "reconciliation/list.html", context, status=status)


@allowed("finance")
@require_POST
def take_in(request: HttpRequest) -> HttpResponse:
    """Import a statement, or try it: `act` is `take` or `try`."""
    staff = _staff(request)
    given = {name: request.POST.get(name, "") for name in ("settlement", "layout")}
    try:
        written, name = _uploaded(request, "file")
        if not name:
            raise BadInput("file", "", "a statement", "choose the file that the provider gave")
        layout = _declared(request, given["layout"])
        if request.POST.get("act") == "try":
            tried = importing.preview(staff.shop, written, layout, given["settlement"])
            return _page(request, tried=_told(tried), given=given)
        done = importing.import_statement(
            staff.shop,
            written,
            layout,
            given["settlement"],
            actor=actor(request),
            at=clock.now(),
            file_name=name,
        )
    except StatementRefused as refused:
        return _page(request, status=400, problems=refused.problems, given=given)
    except BadInput as refused:
        problems: tuple[Problem, ...] = (refused.problem,)
        return _page(request, status=400, problems=problems, given=given)
    return _said(request, _told(done), reverse("console:reconciliation"))


def _uploaded(request: HttpRequest, field: str) -> tuple[bytes, str]:
    file = request.FILES.get(field)
    if file is None or isinstance(file, list):
        return b"", ""
    # One byte more than is taken is enough to see that there is too much.
    return file.read(MAX_BYTES + 1), file.name or "statement"


def _declared(request: HttpRequest, name: str) -> Layout:
    written, own = _uploaded(request, "declared")
    return decode_layout(written) if own else layout_of(name)


def _told(done: importing.Imported) -> str:
    if done.repeated:
        return gettext("This file was imported before; nothing was done now.")
    lines = ngettext("%(count)s line", "%(count)s lines", done.lines) % {"count": done.lines}
    broken = sum(done.breaks.values())
    breaks = ngettext("%(count)s break", "%(count)s breaks", broken) % {"count": broken}
    named = ", ".join(f"{kind_name(kind)} {count}" for kind, count in done.breaks.items())
    told = gettext("%(lines)s read, %(matched)s matched, %(breaks)s open.") % {
        "lines": lines,
        "matched": done.matched,
        "breaks": breaks,
    }
    return f"{told} {named}".strip()


@allowed("finance")
@require_POST
def settlement_act(request: HttpRequest) -> HttpResponse:
    """Look at a settlement once more, or book that it arrived: `act` is `match` or `arrive`."""
    staff, name = _staff(request), request.POST.get("settlement", "")
    here = reverse("console:reconciliation")
    if request.POST.get("act") == "arrive":
        try:
            minor = clearing.arrive(staff.shop, name, actor=actor(request), at=clock.now())
        except clearing.Refusal as refused:
            return _page(request, status=409, alert=_voice(staff.shop).text(refused.text))
        said = gettext("Booked: the bank got %(amount)s.") % {
            "amount": format_money(minor, staff.shop.currency)
        }
        return _said(request, said, here)
    if not clearing.settlements(staff.shop, named=name) or not name:
        raise Http404("no such settlement")
    found = importing.match_again(staff.shop, name, actor=actor(request), at=clock.now())
    broken = len(found.breaks)
    return _said(
        request,
        ngettext(
            "Looked once more: %(count)s break is open.",
            "Looked once more: %(count)s breaks are open.",
            broken,
        )
        % {"count": broken},
        here,
    )


@allowed(*_READERS)
@require_safe
def break_page(request: HttpRequest, break_id: UUID) -> HttpResponse:
    """One break: both lines, what was asked and decided, and what can be done."""
    return _break(request, _found(request, break_id))


def _found(request: HttpRequest, break_id: UUID) -> BreakRow:
    try:
        return clearing.break_of(_staff(request).shop, break_id)
    except clearing.NoBreak:
        raise Http404("no such break") from None


def _break(request: HttpRequest, each: BreakRow, *, error: str = "", status: int = 200) -> HttpResponse:
    staff = _staff(request)
    voice, money = _voice(staff.shop), each.currency
    own = bool(each.asked_by) and str(each.asked_by).lower() == staff.actor.lower()
    may_act = staff.may("finance")
    waits = each.waits_until
    # Whoever asked sees what they wait for, and agrees where there is nobody else.
    decides = not own or (waits is not None and clock.now() >= waits)
    context = {
        "line": _line(each),
        "theirs": each.statement_id and format_money(each.theirs_minor, money),
        "ours": each.transaction_id and format_money(each.ours_minor, money),
        "their_reference": each.their_reference,
        "our_reference": each.our_reference,
        "their_on": each.their_on,
        "our_on": each.our_on,
        "number": each.number,
        "opened": voice.instant(each.opened_at),
        "closed": voice.instant(each.closed_at) if each.closed_at else "",
        "asked": _asked(each, voice),
        "reason": each.reason,
        "decided": _decided(each),
        "note": each.note,
        "linked": each.cleared_break_id
        if each.cleared_break_id and each.cleared_break_id != each.id
        else each.other_id,
        "needs_second": each.needs_second,
        "limit": format_money(each.limit_minor, money),
        "choices": _choices(staff.shop, each) if may_act and each.state == "open" else (),
        "may_decide": may_act and each.state == "asked" and decides,
        "own": may_act and each.state == "asked" and not decides,
        "alone": staff.shop.single_operator,
        "alone_until": voice.instant(waits) if waits is not None else "",
        "error": error,
        "given": request.POST,
    }
    return render(request, "reconciliation/break.html", context, status=status)


def _asked(each: BreakRow, voice: Voice) -> str:
    if each.action is None or each.asked_at is None:
        return ""
    return gettext("%(action)s, asked by %(who)s, %(at)s") % {
        "action": _action_name(each.action),
        "who": str(each.asked_by).removeprefix("staff:"),
        "at": voice.instant(each.asked_at),
    }


def _decided(each: BreakRow) -> str:
    if each.verdict is None:
        return ""
    who = {"who": str(each.decided_by).removeprefix("staff:")}
    return (
        gettext("approved by %(who)s") % who
        if each.verdict == "approve"
        else gettext("refused by %(who)s") % who
    )


@allowed("finance")
@require_POST
def break_ask(request: HttpRequest, break_id: UUID) -> HttpResponse:
    """Clear a break, or ask for it where one person is not enough."""
    each, staff = _found(request, break_id), _staff(request)
    action, _, partner = request.POST.get("way", "").partition(":")
    try:
        other = UUID(partner) if partner else None
    except ValueError:
        raise Http404("no such break") from None
    try:
        done = clearing.ask(
            staff.shop,
            each.id,
            action,
            request.POST.get("reason", ""),
            actor=actor(request),
            at=clock.now(),
            other=other,
        )
    except clearing.Refusal as refused:
        return _break(request, each, error=_voice(staff.shop).text(refused.text), status=409)
    if done.state == "cleared":
        said = gettext("Cleared.")
    elif done.alone:
        said = gettext("Asked. You can agree to it yourself in a day.")
    else:
        said = gettext("Asked. Someone else has to approve it.")
    return _said(request, said, reverse("console:break", args=[each.id]))


@allowed("finance")
@require_POST
def break_decide(request: HttpRequest, break_id: UUID) -> HttpResponse:
    """Agree with what somebody else asked, or refuse it."""
    each, staff = _found(request, break_id), _staff(request)
    verdict = "approve" if request.POST.get("verdict") == "approve" else "refuse"
    try:
        clearing.decide(
            staff.shop,
            each.id,
            verdict,  # type: ignore[arg-type]
            actor=actor(request),
            at=clock.now(),
            note=request.POST.get("note", ""),
        )
    except clearing.Refusal as refused:
        return _break(request, each, error=_voice(staff.shop).text(refused.text), status=409)
    said = gettext("Cleared.") if verdict == "approve" else gettext("Refused; the break is open again.")
    return _said(request, said, reverse("console:break", args=[each.id]))


# ------------------------------------------------------------------------------------------------------- in words


def kind_name(kind: str) -> str:
    """A break, in a few words."""
    return {
        "missing_ours": gettext("Stated, not in the book"),
        "missing_theirs": gettext("In the book, not stated"),
        "amount": gettext("Another amount"),
        "date": gettext("Another date"),
        "duplicate": gettext("Once too often"),
        "one_fen": gettext("One fen off"),
    }[kind]


def _action_name(action: str) -> str:
    return {
        "absorb": gettext("Take it on ourselves"),
        "accept": gettext("Accept it as it is"),
        "link": gettext("It is the same payment"),
        "suspend": gettext("Move ours to suspense"),
        "release": gettext("Their line is wrong"),
    }[action]


def _effect(action: str, each: BreakRow) -> str:
    amount = format_money(abs(each.difference_minor), each.currency)
    if action == "accept":
        if not each.difference_minor:
            return gettext("Nothing is booked.")
        return gettext("%(amount)s stays in suspense.") % {"amount": amount}
    if action == "absorb":
        said = (
            gettext("%(amount)s leaves suspense and is other income.")
            if each.difference_minor > 0
            else gettext("%(amount)s leaves suspense and is a cost of the provider.")
        )
        return said % {"amount": amount}
    return {
        "link": gettext("Both breaks close, and %(amount)s leaves suspense."),
        "suspend": gettext("%(amount)s leaves transit and stands in suspense."),
        "release": gettext("%(amount)s leaves suspense and transit again."),
    }[action] % {"amount": amount}


def _choices(shop: Shop, each: BreakRow) -> tuple[Choice, ...]:
    choices = []
    for action in clearing.actions_for(each):
        partners = (
            tuple(_line(other) for other in clearing.partners_of(shop, each)) if action == "link" else ()
        )
        if action != "link" or partners:
            choices.append(Choice(action, _action_name(action), _effect(action, each), partners))
    return tuple(choices)


def _line(each: BreakRow) -> BreakLine:
    state, tone = {
        "open": (pgettext("break", "open"), "warn"),
        "asked": (pgettext("break", "waits for a second person"), "warn"),
        "cleared": (pgettext("break", "cleared"), "good"),
        "resolved": (pgettext("break", "closed by itself"), "good"),
    }[each.state]
    return BreakLine(
        str(each.id),
        reverse("console:break", args=[each.id]),
        kind_name(each.kind),
        each.their_reference or each.our_reference or "",
        each.settlement,
        format_money(each.ours_minor, each.currency) if each.transaction_id else "",
        format_money(each.theirs_minor, each.currency) if each.statement_id else "",
        format_money(each.difference_minor, each.currency),
        state,
        tone,
    )


def _settlement(each: SettlementRow) -> SettlementLine:
    return SettlementLine(
        each.settlement,
        gettext("%(matched)s of %(lines)s") % {"matched": each.matched, "lines": each.lines},
        format_money(each.amount_minor, each.currency),
        format_money(each.fee_minor, each.currency) if each.fee_minor else "",
        format_money(each.in_transit_minor, each.currency),
        each.open_breaks,
        each.arrived and not each.in_transit_minor,
        not each.open_breaks and not (each.arrived and not each.in_transit_minor),
    )


def _layout_name(name: str) -> str:
    return {
        "alipay": gettext("Alipay, bill of trades (业务明细)"),
        "wechat": gettext("WeChat Pay, trade bill (交易账单)"),
        "own": gettext("Own CSV"),
    }[name]
