"""What waits for somebody's decision: customers' requests for help and returns, and what one of the staff asks another to agree to.

A request is decided beside its contract, with what deciding would do shown first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import urlencode

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from fenqi.calendars import local_date
from fenqi.money import decimal_text
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.console.access import actor, allowed
from fenqi_server.servicing import requests, unapplied
from fenqi_server.servicing.act_views import (
    PreviewView,
    RefusedView,
    bad_words,
    preview_of,
    refused_words,
    seen_by,
)
from fenqi_server.servicing.desk import ContractPage, contract_of, page_of, staff_at, voice_at
from fenqi_server.servicing.outgoing import (
    ChargeAsked,
    HeldRefundAsked,
    Outgoing,
    PayBackAsked,
    RefundAsked,
    ReversalAsked,
    UnmatchedRefundAsked,
)
from fenqi_server.servicing.requests import (
    Concession,
    HardshipAsked,
    NoRequest,
    Request,
    ReturnAsked,
)
from fenqi_server.servicing.service import ContractView, Refusal
from fenqi_server.servicing.staff_acts.act import tried
from fenqi_server.servicing.staff_acts.form import Field, WrongField, read
from fenqi_server.servicing.staff_acts.relief import first_day, interest_choices
from fenqi_server.servicing.unapplied import Placed
from fenqi_server.servicing.words import (
    age_name,
    by_name,
    channel_name,
    kind_name,
    part_name,
    reason_name,
    request_state,
    reversal_name,
)
from fenqi_server.storefront.voice import Voice

__all__ = ["DECIDERS", "READERS", "RequestLine", "line_of", "queue", "request_decide", "request_page"]

READERS: Final = ("support", "supervisor", "finance", "auditor")
DECIDERS: Final = ("supervisor", "finance")
_STATES: Final = ("open", "approved", "declined", "withdrawn")
LATE_DAYS: Final = 3
"""A request that has waited longer is late."""


class RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """A request in a list."""

    url: str
    what: str
    contract_url: str
    asked: str
    by: str
    age: str
    late: bool
    stake: str
    state: str
    tone: str


class Tab(msgspec.Struct, frozen=True):
    label: str
    url: str
    current: bool


@allowed(*READERS)
@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """What waits, newest first; `?state=` shows what was decided."""
    staff, at = staff_at(request), clock.now()
    voice = voice_at(staff.shop, at)
    state = request.GET.get("state", "open")
    if state not in _STATES:
        state = "open"
    try:
        page = requests.list_requests(staff.shop, state=cast(Any, state), after=request.GET.get("after", ""))
    except BadInput:
        raise Http404("no such place in the list") from None
    context = {
        "lines": [line_of(each, voice, at) for each in page.requests],
        "next": f"?{urlencode({'state': state, 'after': page.after})}" if page.after else "",
        "shown": request_state(state)[0],
        "tabs": [Tab(request_state(each)[0], f"?state={each}", each == state) for each in _STATES],
    }
    return render(request, "servicing/requests.html", context)


def line_of(each: Request, voice: Voice, at: datetime) -> RequestLine:
    """A request as a list has it."""
    days = (local_date(at, voice.zone) - local_date(each.asked_at, voice.zone)).days
    state, tone = request_state(each.state)
    is_open = each.state == "open"
    return RequestLine(
        url=reverse("console:request", args=[each.request_id]),
        what=kind_name(each.kind),
        contract_url=reverse("console:contract", args=[each.contract_id]) if each.contract_id else "",
        asked=voice.instant(each.asked_at),
        by=gettext("%(customer)s, written down by %(who)s")
        % {"customer": by_name(each.asked_by), "who": by_name(each.taken_by)}
        if each.taken_by
        else by_name(each.asked_by),
        age=age_name(days) if is_open else "",
        late=is_open and days > LATE_DAYS,
        stake=voice.money(each.at_stake_minor) if each.at_stake_minor else "",
        state=state,
        tone=tone,
    )


# ------------------------------------------------------------------------------------------------------ one request


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to agree: what it is, and what it asks for."""

    name: str
    label: str
    fields: tuple[dict[str, Any], ...]


class RequestPage(msgspec.Struct, frozen=True, kw_only=True):
    """A request beside its contract, or beside money of none (`money`)."""

    line: RequestLine
    facts: tuple[tuple[str, str], ...]
    words: str
    decided: str
    note: str
    limit: str
    together: str
    contract: ContractPage | None
    money: tuple[tuple[str, str], ...]
    money_url: str
    ways: tuple[Way, ...]
    may_decide: bool
    own: bool
    alone_until: str
    by_customer: bool
    may_withdraw: bool


@allowed(*READERS)
@require_safe
def request_page(request: HttpRequest, request_id: str) -> HttpResponse:
    """One request: what is asked, the contract, and what deciding would do."""
    return _page(request, _found(request, request_id))


@allowed(*DECIDERS)
@require_POST
def request_decide(request: HttpRequest, request_id: str) -> HttpResponse:
    """Agree or not: `step` is `preview`, `approve` or `decline`."""
    each, staff, at = _found(request, request_id), staff_at(request), clock.now()
    voice = voice_at(staff.shop, at)
    note, step = request.POST.get("note", "").strip(), request.POST.get("step", "")
    try:
        if step == "decline":
            requests.decline(staff.shop, request_id, at, actor=actor(request), note=note)
            told = gettext("Declined, and the customer is told why.")
            return _said(request, told if each.by_customer else gettext("Declined."), request_id)
        if not each.contract_id:
            if not note:
                raise WrongField("note", _why())
            requests.approve(staff.shop, request_id, at, actor=actor(request), note=note)
            return _said(request, gettext("Approved, and done."), request_id)
        found = contract_of(staff.shop, each.contract_id, at)
        act = _act(each, found, request, at)
        if not note:
            raise WrongField("note", _why())
        changed = request.POST.get("seen", "") != str(seen_by(found))
        if step == "approve" and not changed:
            requests.approve(staff.shop, request_id, at, actor=actor(request), act=act, note=note)
            return _said(request, gettext("Approved, and done."), request_id)
        _, after = tried(
            lambda: requests.approve(staff.shop, request_id, at, actor=actor(request), act=act, note=note),
            lambda: contract_of(staff.shop, each.contract_id, at),
        )
    except WrongField as wrong:
        return _page(request, each, error=wrong.said, status=400)
    except Refusal as refused:
        return _page(request, each, refused=refused_words(refused, voice), status=409)
    except BadInput as problem:
        if not note:
            return _page(request, each, error=_why(), status=400)
        return _page(request, each, refused=bad_words(problem), status=400)
    return _page(request, each, preview=preview_of(found, after, voice), moved=step == "approve" and changed)


@allowed("support", *DECIDERS)
@require_POST
def request_withdraw(request: HttpRequest, request_id: str) -> HttpResponse:
    """Take back what one asked oneself."""
    each, staff = _found(request, request_id), staff_at(request)
    try:
        requests.withdraw(staff.shop, request_id, clock.now(), by=actor(request))
    except NoRequest:
        raise Http404("not one's own request") from None
    except Refusal as refused:
        return _page(
            request, each, refused=refused_words(refused, voice_at(staff.shop, clock.now())), status=409
        )
    return _said(request, gettext("Withdrawn."), request_id)


def _why() -> str:
    return gettext("Say why, in 1 to %(n)s characters.") % {"n": requests.MAX_REASON}


def _found(request: HttpRequest, request_id: str) -> Request:
    try:
        return requests.get(staff_at(request).shop, request_id)
    except NoRequest:
        raise Http404("no such request") from None


def _said(request: HttpRequest, text: str, request_id: str) -> HttpResponse:
    request.session["flash"] = text
    return HttpResponseRedirect(reverse("console:request", args=[request_id]))


def _page(
    request: HttpRequest,
    each: Request,
    *,
    error: str = "",
    refused: RefusedView | None = None,
    preview: PreviewView | None = None,
    moved: bool = False,
    status: int = 200,
) -> HttpResponse:
    staff, at = staff_at(request), clock.now()
    voice = voice_at(staff.shop, at)
    found = contract_of(staff.shop, each.contract_id, at) if each.contract_id else None
    own = each.asked_by.lower() == staff.actor.lower()
    is_open = each.state == "open"
    may_agree = each.may_agree(staff.actor, at)
    may_decide = is_open and staff.may(*DECIDERS) and may_agree
    waits = each.waits_until
    sent = request.POST if request.method == "POST" else {}
    context = {
        "page": RequestPage(
            line=line_of(each, voice, at),
            facts=_facts(each, voice),
            # A customer's own words are for those who answer them.
            words=each.said if staff.may("support", "supervisor") else "",
            decided=_decided(each, voice),
            note=each.note,
            limit=voice.money(each.limit_minor) if each.needs_second else "",
            together=voice.money(each.at_stake_minor) if each.before_minor else "",
            contract=page_of(staff, found, voice) if found else None,
            money=_money(unapplied.find(staff.shop, each.unapplied_id), voice) if each.unapplied_id else (),
            money_url=reverse("console:money", args=[each.unapplied_id]) if each.unapplied_id else "",
            ways=_ways(each, found, sent, at) if may_decide and found else (),
            may_decide=may_decide,
            own=is_open and own and not may_agree,
            alone_until=voice.instant(waits) if is_open and waits is not None else "",
            by_customer=each.by_customer,
            may_withdraw=is_open and (own or each.taken_by.lower() == staff.actor.lower()),
        ),
        "request_id": each.request_id,
        "chosen": sent.get("way", ""),
        "sent": [(name, sent[name]) for name in sent if name not in ("csrfmiddlewaretoken", "step", "seen")],
        "note": sent.get("note", ""),
        "seen": seen_by(found) if found else 0,
        "error": error,
        "refused": refused,
        "preview": preview,
        "moved": moved,
        "max_reason": requests.MAX_REASON,
    }
    return render(request, "servicing/request.html", context, status=status)


def _decided(each: Request, voice: Voice) -> str:
    if each.decided_at is None:
        return ""
    return {
        "approved": gettext("approved by %(who)s, %(at)s"),
        "declined": gettext("declined by %(who)s, %(at)s"),
        "withdrawn": gettext("withdrawn by %(who)s, %(at)s"),
    }[each.state] % {"who": by_name(each.decided_by), "at": voice.instant(each.decided_at)}


def _facts(each: Request, voice: Voice) -> tuple[tuple[str, str], ...]:
    asked = each.asked
    if isinstance(asked, HardshipAsked):
        return (
            (gettext("Because of"), reason_name(asked.reason)),
            (
                gettext("For how long"),
                ngettext("%(n)s month", "%(n)s months", asked.months) % {"n": asked.months},
            ),
        )
    if isinstance(asked, ReturnAsked):
        lines = tuple(
            (f"{line.title} × {line.quantity}", voice.money(line.amount_minor)) for line in asked.lines
        )
        facts = (*lines, (gettext("Goods to go back, in all"), voice.money(asked.amount_minor)))
        return (*facts, (gettext("Why"), reason_name(asked.reason)))
    if isinstance(asked, Concession):
        return _conceded(asked, each, voice)
    return _outgoing(asked, voice)


def _outgoing(asked: Outgoing, voice: Voice) -> tuple[tuple[str, str], ...]:
    facts = [(gettext("Amount"), voice.money(asked.amount_minor))]
    match asked:
        case RefundAsked() | HeldRefundAsked() | PayBackAsked() | UnmatchedRefundAsked():
            facts.append((gettext("Paid out by"), channel_name(asked.channel)))
            facts.append((gettext("Number of the transfer"), asked.reference))
        case ReversalAsked():
            facts.append((gettext("Payment"), asked.reference))
            facts.append((gettext("What became of it"), reversal_name(asked.why)))
        case ChargeAsked():
            facts.append((gettext("What for"), f"{part_name(asked.part)}: {asked.code}"))
            if asked.due_on is not None:
                facts.append((gettext("Due on"), voice.day(asked.due_on)))
    return (*facts, (gettext("Why"), asked.reason))


def _money(found: Placed, voice: Voice) -> tuple[tuple[str, str], ...]:
    """What is known of money of no contract."""
    money = found.money
    facts = [
        (gettext("The payer’s words"), money.named or "—"),
        (gettext("Payment number"), money.payment_ref),
        (gettext("Arrived"), voice.day(money.occurred_on)),
        (gettext("Settlement"), money.settlement),
    ]
    if found.contract:
        facts.append((gettext("Now"), gettext("matched")))
    elif found.refunded_by:
        facts.append(
            (gettext("Now"), gettext("sent back (%(reference)s)") % {"reference": found.refunded_by})
        )
    return tuple(facts)


def _conceded(asked: Concession, each: Request, voice: Voice) -> tuple[tuple[str, str], ...]:
    facts = [(gettext("Amount"), voice.money(asked.amount_minor or each.at_stake_minor))]
    if asked.part is not None:
        facts.append((gettext("What of"), part_name(asked.part)))
    return (*facts, (gettext("Why"), asked.reason))


# ------------------------------------------------------------------------------------------------------- ways to agree


def _help_fields(name: str, found: ContractView, months: int, at: datetime) -> tuple[Field, ...]:
    if name == "pause":
        return (
            Field(
                name="pause-periods",
                label=gettext("For how many instalments"),
                kind="whole",
                value=str(months),
            ),
            Field(
                name="pause-interest",
                label=gettext("Interest meanwhile"),
                kind="choice",
                choices=interest_choices(),
                value="runs",
            ),
        )
    if name == "re-age":
        return (
            Field(name="re-age-periods", label=gettext("How many instalments"), kind="whole", value="6"),
            Field(
                name="re-age-first",
                label=gettext("The first is due on"),
                kind="date",
                value=first_day(found, at),
            ),
        )
    return ()


def _return_fields(asked: ReturnAsked, found: ContractView, at: datetime) -> tuple[Field, ...]:
    currency = found.terms.currency
    fields = [
        Field(
            name="taken-amount",
            label=gettext("Goods that came back, at their price"),
            kind="money",
            value=decimal_text(asked.amount_minor, currency),
        ),
        Field(
            name="taken-on",
            label=gettext("When they came back"),
            kind="date",
            value=local_date(at, found.terms.zone).isoformat(),
        ),
    ]
    if asked.for_other_sellers_minor:
        fields.insert(
            1,
            Field(
                name="taken-others",
                label=gettext("Of it goods of other sellers"),
                kind="money",
                value=decimal_text(asked.for_other_sellers_minor, currency),
            ),
        )
    return tuple(fields)


def _offered(each: Request, found: ContractView, at: datetime) -> dict[str, tuple[Field, ...]]:
    """The ways to agree to a request, by name, with what each asks for."""
    if isinstance(each.asked, HardshipAsked):
        months = each.asked.months
        names = ["pause", "re-age", *(["re-amortise"] if found.state.overdue_minor else [])]
        return {name: _help_fields(name, found, months, at) for name in names}
    if isinstance(each.asked, ReturnAsked):
        return {"taken": _return_fields(each.asked, found, at)}
    return {"as_asked": ()}


def _act(each: Request, found: ContractView, request: HttpRequest, at: datetime) -> Any:
    """What was chosen, as the service takes it. Raises `WrongField`."""
    offered = _offered(each, found, at)
    way = request.POST.get("way", "") or (next(iter(offered)) if len(offered) == 1 else "")
    if way not in offered:
        raise WrongField("way", gettext("Choose one of those shown."))
    given = read(offered[way], cast(Any, request.POST), found.terms.currency)
    if way == "pause":
        return requests.Pause(periods=given["pause-periods"], interest=given["pause-interest"])
    if way == "re-age":
        return requests.ReAge(periods=given["re-age-periods"], first_due_on=given["re-age-first"])
    if way == "re-amortise":
        return requests.ReAmortise()
    if way == "taken":
        return requests.Taken(
            amount_minor=given["taken-amount"],
            for_other_sellers_minor=given.get("taken-others"),
            on=given["taken-on"],
        )
    return None


def _ways(each: Request, found: ContractView, sent: Any, at: datetime) -> tuple[Way, ...]:
    return tuple(
        Way(
            name=name,
            label=_way_name(name),
            fields=tuple(
                {
                    "name": field.name,
                    "label": field.label,
                    "kind": field.kind,
                    "choices": field.choices,
                    "value": sent.get(field.name, field.value),
                }
                for field in fields
            ),
        )
        for name, fields in _offered(each, found, at).items()
    )


# ------------------------------------------------------------------------------------------------------------- in words


def _way_name(name: str) -> str:
    return {
        "pause": gettext("Pause"),
        "re-age": gettext("Spread everything over new instalments"),
        "re-amortise": gettext("Spread what is late over later instalments"),
        "taken": gettext("The goods came back"),
        "as_asked": gettext("As it was asked for"),
    }[name]
