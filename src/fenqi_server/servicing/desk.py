"""The console's pages of contracts: the list, and one contract with everything that made it what it is.

A contract's page says what is owed and since when, what each payment paid, every event in words with its three dates, and, for
any event, which figures it changed. `as_of` shows the end of another day, `known_at` what was believed at an instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext
from django.views.decorators.http import require_POST, require_safe

from fenqi.calendars import local_date, to_epoch, zone_of
from fenqi.contracts.contract import ContractState, PaymentState, RowState, replay
from fenqi.contracts.delinquency import age_bucket
from fenqi.contracts.events import Event, PaymentReceived
from fenqi.contracts.explanation import Difference, explain
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.console.access import Staff, allowed
from fenqi_server.customers import service as customers
from fenqi_server.days import read_day, read_instant
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import parse_public_id
from fenqi_server.papers.addresses import token_of
from fenqi_server.policies import audit
from fenqi_server.policies import service as policies
from fenqi_server.portal import entry
from fenqi_server.servicing import requests, service
from fenqi_server.servicing.listing import Asked, Listed, list_contracts
from fenqi_server.servicing.service import ContractView, NoContract
from fenqi_server.servicing.staff_acts.table import groups_for
from fenqi_server.servicing.words import (
    awaited_text,
    by_name,
    channel_name,
    event_text,
    kind_name,
    no_money,
    part_name,
    parts_of,
    reference_of,
    request_state,
    row_state,
    said,
    said_why,
    state_of,
)
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.selector import option_name, row_name
from fenqi_server.storefront.voice import Voice, locale_now

__all__ = [
    "READERS",
    "ChangeLine",
    "ChangeView",
    "change_view",
    "contract",
    "contract_of",
    "contracts",
    "lines_of",
    "page_of",
    "portal_link",
    "staff_at",
    "state_word",
    "voice_at",
]

READERS: Final = ("support", "supervisor", "finance", "auditor")
_STATUSES: Final = ("active", "closed", "unconfirmed")


def staff_at(request: HttpRequest) -> Staff:
    """Who is at work: the view is behind `allowed`."""
    staff: Staff = request.staff  # type: ignore[attr-defined]
    return staff


def voice_at(shop: Shop, at: datetime) -> Voice:
    """How the console speaks of this shop's money and days."""
    return Voice(locale_now(), shop.currency, shop.time_zone, to_epoch(at))


# ---------------------------------------------------------------------------------------------------------- the list


class ContractLine(msgspec.Struct, frozen=True, kw_only=True):
    """One contract of the list."""

    id: str
    url: str
    order: str
    customer: str
    plan: str
    agreed: str
    state: str
    tone: str
    balance: str
    overdue: str
    since: str
    next_due: str
    next_amount: str
    unapplied: str


@allowed(*READERS)
@require_safe
def contracts(request: HttpRequest) -> HttpResponse:
    """The shop's contracts, newest first, by whatever of status, lateness, due date, customer and order is asked for."""
    staff, at = staff_at(request), clock.now()
    shop, voice, today = staff.shop, voice_at(staff.shop, at), local_date(at, staff.shop.time_zone)
    given = {
        name: request.GET.get(name, "").strip()
        for name in ("status", "late", "due_before", "customer", "order", "unapplied", "after")
    }
    if given["order"].startswith("ct_"):
        return HttpResponseRedirect(reverse("console:contract", args=[given["order"]]))
    wrong, found = "", None
    try:
        found = list_contracts(shop, _asked(given), today, after=given["after"])
    except ValueError:
        # A day that is none, or a place in the list that nobody gave out.
        wrong = gettext("Write a day like 2026-12-31.")
    except BadInput as problem:
        wrong = problem.problem.sentence
    listed = found.contracts if found else ()
    kept = {name: value for name, value in given.items() if value and name != "after"}
    context = {
        "lines": lines_of(shop, listed, voice),
        "next": f"?{urlencode({**kept, 'after': found.after})}" if found and found.after else "",
        "given": given,
        "filtered": bool(kept),
        "wrong": wrong,
        "statuses": [
            ("", gettext("any")),
            ("active", pgettext("contracts", "running")),
            ("closed", pgettext("contracts", "closed")),
            ("unconfirmed", pgettext("contracts", "not agreed yet")),
        ],
    }
    return render(request, "servicing/contracts.html", context, status=400 if wrong else 200)


def _asked(given: dict[str, str]) -> Asked:
    status: Any = given["status"] if given["status"] in _STATUSES else None
    return Asked(
        status=status,
        customer=given["customer"] or None,
        order_ref=given["order"] or None,
        overdue={"yes": True, "no": False}.get(given["late"]),
        due_before=read_day(given["due_before"]) if given["due_before"] else None,
        unapplied=True if given["unapplied"] else None,
    )


def _names_of(shop: Shop, customer_ids: list[UUID]) -> dict[UUID, str]:
    """What the shop calls each customer."""
    if not customer_ids:
        return {}
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, min(external_ref) FROM customers_alias WHERE shop_id = %s AND customer_id = ANY (%s)"
            " GROUP BY customer_id",
            [shop.id, customer_ids],
        )
        return dict(cursor.fetchall())


def lines_of(shop: Shop, listed: Sequence[Listed], voice: Voice) -> tuple[ContractLine, ...]:
    """Contracts as a list has them."""
    names = _names_of(shop, [parse_public_id(each.contract_id, "ct")[0] for each in listed])
    plans = {of: _plan_name(*of, voice) for of in {(each.policy_digest, each.plan) for each in listed}}
    return tuple(_line(shop, each, names, plans, voice) for each in listed)


def _line(
    shop: Shop, each: Listed, names: dict[UUID, str], plans: dict[tuple[str, str], str], voice: Voice
) -> ContractLine:
    if each.status == "closed":
        state, tone = pgettext("contract", "paid off"), "good"
    elif each.status == "unconfirmed":
        state, tone = pgettext("contract", "not agreed yet"), ""
    elif each.overdue_minor:
        state, tone = pgettext("contract", "past due"), "bad"
    else:
        state, tone = pgettext("contract", "in order"), "good"
    customer_id, _ = parse_public_id(each.contract_id, "ct")
    return ContractLine(
        id=each.contract_id,
        url=reverse("console:contract", args=[each.contract_id]),
        order=each.order_ref,
        customer=names.get(customer_id, customer_id.hex[-8:].upper()),
        plan=plans[each.policy_digest, each.plan],
        agreed=voice.day(local_date(each.created_at, shop.time_zone)),
        state=state,
        tone=tone,
        balance=voice.money(each.balance_minor),
        overdue=voice.money(each.overdue_minor) if each.overdue_minor else "",
        since=voice.day(each.overdue_since) if each.overdue_since else "",
        next_due=voice.day(each.next_due_on) if each.next_due_on else "",
        next_amount=voice.money(each.next_due_minor) if each.next_due_on else "",
        unapplied=voice.money(each.unapplied_minor) if each.unapplied_minor else "",
    )


# ------------------------------------------------------------------------------------------------------ one contract


class RowLine(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    due: date
    moved: str
    parts: tuple[str, ...]
    total: str
    paid: str
    part_paid: bool
    left: str
    state: str
    tone: str
    mark: str


class PaymentLine(msgspec.Struct, frozen=True, kw_only=True):
    on: str
    amount: str
    reference: str
    how: str
    granted: str
    """What paid where no money came."""
    parts: tuple[str, ...]


class EventLine(msgspec.Struct, frozen=True, kw_only=True):
    """An event in words, with the day it happened, the instant it was recorded and the day of the book it counts to."""

    seq: int
    text: str
    why: str
    who: str
    occurred: str
    recorded: str
    booked: str
    url: str
    shown: bool


class ChangeLine(msgspec.Struct, frozen=True):
    row: str
    figure: str
    before: str
    after: str


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """What one event changed: figures of rows, payments that paid something else, and the balance."""

    text: str
    lines: tuple[ChangeLine, ...]
    payments: tuple[ChangeLine, ...]
    balance_before: str
    balance_after: str
    changed: bool


class ContractPage(msgspec.Struct, frozen=True, kw_only=True):
    """A contract as those who look after it have it."""

    id: str
    url: str
    order: str
    customer: str
    customer_url: str
    plan: str
    agreed: str
    state: str
    tone: str
    late: str
    figures: tuple[tuple[str, str, str], ...]
    notices: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[RowLine, ...]
    foot_parts: tuple[str, ...]
    foot_total: str
    foot_paid: str
    foot_left: str
    payments: tuple[PaymentLine, ...]
    events: tuple[EventLine, ...]
    book_url: str
    statement_url: str
    calendar_url: str
    past: bool


@allowed(*READERS)
@require_safe
def contract(request: HttpRequest, contract_id: str) -> HttpResponse:
    """One contract: `?as_of=` a day, `?known_at=` an instant, `?event=` whose changes are shown."""
    staff, at = staff_at(request), clock.now()
    shop, voice = staff.shop, voice_at(staff.shop, at)
    asked = {name: request.GET.get(name, "").strip() for name in ("as_of", "known_at", "event")}
    wrong, as_of, known_at = "", None, None
    try:
        as_of = read_day(asked["as_of"]) if asked["as_of"] else None
        known_at = _instant(asked["known_at"], shop)
    except ValueError:
        wrong = gettext("Write a day like 2026-11-30, and an instant like 2026-12-05T18:00.")
    if wrong:
        asked["as_of"] = asked["known_at"] = ""
    found = contract_of(shop, contract_id, at, as_of=as_of, known_at=known_at)
    chosen = next((event for event in _known(found, known_at) if str(event.seq) == asked["event"]), None)
    context = {
        "contract": page_of(staff, found, voice, asked=asked, known_at=known_at),
        # What was is not acted upon.
        "requests": [
            {
                "url": reverse("console:request", args=[each.request_id]),
                "what": kind_name(each.kind),
                "asked": f"{voice.instant(each.asked_at)}, {by_name(each.asked_by)}",
                "state": request_state(each.state)[0],
                "tone": request_state(each.state)[1],
            }
            for each in requests.of_contract(shop, contract_id)
        ],
        "acts": () if as_of or known_at else groups_for(staff, contract_id, found.state),
        "change": _change(found, chosen, voice) if chosen else None,
        "asked": asked,
        "wrong": wrong,
        "may_link": staff.may("support", "supervisor"),
    }
    return render(request, "servicing/contract.html", context, status=400 if wrong else 200)


@allowed("support", "supervisor")
@require_POST
def portal_link(request: HttpRequest, contract_id: str) -> HttpResponse:
    """A link that lets the contract's customer in to their own pages, once: whoever has it is let in, so the log keeps who made it."""
    staff, at = staff_at(request), clock.now()
    found = contract_of(staff.shop, contract_id, at)

    def act() -> entry.Opened:
        made = entry.make_link(staff.shop, found.customer_id, at, contract=contract_id)
        audit.record(staff.shop, staff.actor, "portal.link", f"contract:{contract_id}", at)
        return made

    made = in_transaction(act)
    context = {
        "link": made.url,
        "until": voice_at(staff.shop, at).instant(made.expires_at),
        "contract_url": reverse("console:contract", args=[contract_id]),
        "order": found.order_ref,
    }
    return render(request, "servicing/portal_link.html", context)


def contract_of(
    shop: Shop,
    contract_id: str,
    at: datetime,
    *,
    as_of: date | None = None,
    known_at: datetime | None = None,
) -> ContractView:
    """A contract of the shop; 404 where there is none."""
    try:
        return service.get(shop, contract_id, as_of, at=at, known_at=known_at)
    except NoContract:
        raise Http404("no such contract") from None


def _instant(text: str, shop: Shop) -> datetime | None:
    """An instant of a form, on the shop's clock where it has no offset. Raises `ValueError`."""
    if not text:
        return None
    found = read_instant(text)
    return found if found.tzinfo else found.replace(tzinfo=zone_of(shop.time_zone))


def _known(found: ContractView, known_at: datetime | None) -> list[Event]:
    """The events that the state shown follows from, as they were recorded."""
    limit = None if known_at is None else to_epoch(known_at)
    return [
        event
        for event in found.events
        if event.occurred_on <= found.state.as_of and (limit is None or event.recorded_at <= limit)
    ]


def page_of(
    staff: Staff,
    found: ContractView,
    voice: Voice,
    *,
    asked: dict[str, str] | None = None,
    known_at: datetime | None = None,
) -> ContractPage:
    """Everything on a contract's page, in words."""
    asked, state, shop = asked or {}, found.state, staff.shop
    word, tone = state_of(state)
    names = _names_of(shop, [found.customer_id])
    customer = names.get(found.customer_id, found.customer_id.hex[-8:].upper())
    person = customers.private(shop, found.customer_id) if staff.may("support", "supervisor") else None
    parts = [
        part
        for part in ("principal", "fee", "rent", "deposit", "interest", "penalty")
        if part in ("principal", "fee") or any(getattr(row, f"{part}_minor") for row in state.rows)
    ]
    token = token_of(shop.id, found.contract_id)
    url = reverse("console:contract", args=[found.contract_id])
    kept = {name: asked[name] for name in ("as_of", "known_at") if asked.get(name)}
    return ContractPage(
        id=found.contract_id,
        url=url,
        order=found.order_ref,
        customer=f"{person.display_name} ({customer})" if person and person.display_name else customer,
        customer_url=f"{reverse('console:contracts')}?{urlencode({'customer': customer})}",
        plan=_plan_name(found.terms.policy_digest, found.plan.id, voice),
        agreed=voice.instant(found.created_at),
        state=word,
        tone=tone,
        late=_late(state, voice),
        figures=_figures(state, voice),
        notices=_notices(state, voice),
        heads=tuple(part_name(part) for part in parts),
        rows=tuple(_row(row, state, parts, voice) for row in state.rows),
        foot_parts=tuple(
            voice.money(sum(getattr(row, f"{part}_minor") for row in state.rows)) for part in parts
        ),
        foot_total=voice.money(sum(row.total_minor for row in state.rows)),
        foot_paid=voice.money(state.paid_minor),
        foot_left=voice.money(state.balance_minor),
        payments=tuple(_payment(each, found, voice) for each in state.payments),
        events=_events(staff, found, _known(found, known_at), kept, asked.get("event", ""), voice),
        book_url=f"{reverse('console:books')}?{urlencode({'contract': found.contract_id})}"
        if staff.may("finance", "auditor")
        else "",
        statement_url=reverse("papers:statement", args=[token]),
        calendar_url=reverse("papers:due-dates", args=[token]),
        past=bool(kept),
    )


def _plan_name(policy_digest: str, plan: str, voice: Voice) -> str:
    """What the policy by which it was agreed calls a plan."""
    try:
        return option_name(policies.by_digest(policy_digest), plan, voice)
    except (policies.NoPolicy, KeyError):
        return plan


def _late(state: ContractState, voice: Voice) -> str:
    if not state.overdue:
        return ""
    return ngettext(
        "%(amount)s is past due, for %(days)s day (%(bucket)s).",
        "%(amount)s is past due, for %(days)s days (%(bucket)s).",
        state.days_past_due,
    ) % {
        "amount": voice.money(state.overdue_minor),
        "days": state.days_past_due,
        "bucket": age_bucket(state.days_past_due),
    }


def _figures(state: ContractState, voice: Voice) -> tuple[tuple[str, str, str], ...]:
    """(name for a test, label, amount): what is owed always, the rest where there is some."""
    figures = [
        ("balance", gettext("Left to pay"), state.balance_minor),
        ("overdue", gettext("Of it past due"), state.overdue_minor),
        ("paid", gettext("Paid"), state.paid_minor),
    ]
    rest = [
        ("interest", gettext("Interest owed"), state.interest_outstanding_minor),
        ("penalty", gettext("Penalties owed"), state.penalty_outstanding_minor),
        ("deposit-open", gettext("Deposit to be paid"), state.deposit_outstanding_minor),
        (
            "deposit-held",
            gettext("Deposit held"),
            0 if state.lease is None else state.lease.deposit_held_minor,
        ),
        ("unapplied", gettext("Unapplied"), state.unapplied_minor),
        ("refund-due", gettext("To be refunded"), state.refund_due_minor),
        ("returned", gettext("Goods returned"), state.returned_minor),
        ("written-off", gettext("Written off"), state.written_off_minor),
        ("recovered", gettext("Recovered of it"), state.recovered_minor),
    ]
    shown = [*figures, *(each for each in rest if each[2])]
    return tuple((name, label, voice.money(minor)) for name, label, minor in shown)


def _notices(state: ContractState, voice: Voice) -> tuple[str, ...]:
    told = []
    if state.next_row is not None and state.next_due_on is not None:
        told.append(
            gettext("Next: instalment %(n)s, %(amount)s, due on %(on)s.")
            % {
                "n": state.next_row,
                "amount": voice.money(state.next_due_minor),
                "on": voice.day(state.next_due_on),
            }
        )
    awaited = awaited_text(state)
    if awaited:
        told.append(awaited)
    if state.shipped_on is not None:
        told.append(gettext("Shipped on %(on)s.") % {"on": voice.day(state.shipped_on)})
    if state.paused_until is not None and state.paused_until > state.as_of:
        told.append(gettext("Paused until %(on)s.") % {"on": voice.day(state.paused_until)})
    if state.accelerated_on is not None:
        told.append(gettext("Called due on %(on)s.") % {"on": voice.day(state.accelerated_on)})
    if state.written_off_on is not None:
        told.append(gettext("Written off on %(on)s.") % {"on": voice.day(state.written_off_on)})
    return tuple(told)


def _row(row: RowState, state: ContractState, parts: list[str], voice: Voice) -> RowLine:
    word, tone = row_state(row.status)
    if row.status == "paid" and not row.total_minor:
        word, tone = pgettext("instalment", "nothing to pay"), ""
    if row.status != "paid" and row.paid_minor:
        word = gettext("%(state)s, part paid") % {"state": word}
    moved = ""
    if row.moved_from is not None:
        moved = gettext("put off from %(day)s, free of charge") % {"day": voice.day(row.moved_from)}
    return RowLine(
        name=row_name(row.kind, row.number),
        due=row.due_on,
        moved=moved,
        parts=tuple(voice.money(getattr(row, f"{part}_minor")) for part in parts),
        total=voice.money(row.total_minor),
        paid=voice.money(row.paid_minor),
        part_paid=row.status != "paid" and row.paid_minor > 0,
        left=voice.money(row.outstanding_minor),
        state=word,
        tone=tone,
        mark="done" if row.status == "paid" else "now" if row.number == state.next_row else "",
    )


def _payment(payment: PaymentState, found: ContractView, voice: Voice) -> PaymentLine:
    event = next(
        (
            each
            for each in found.events
            if each.seq == payment.event_seq and isinstance(each, PaymentReceived)
        ),
        None,
    )
    how = ""
    if event is not None:
        how = channel_name(event.channel)
        if event.operator:
            how = gettext("%(channel)s, taken by %(who)s") % {"channel": how, "who": said(event.operator)}
    return PaymentLine(
        on=voice.day(payment.occurred_on),
        amount=voice.money(payment.amount_minor),
        reference=reference_of(payment),
        how=how,
        granted=no_money(payment),
        parts=parts_of(payment, found.state.rows, voice),
    )


# ------------------------------------------------------------------------------------------------ events and changes


def _booked(found: ContractView) -> dict[int, date]:
    """The day of the book to which each event counts, by the event's number; what booked nothing has none."""
    customer_id, contract_id = service.parsed(found.contract_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.seq, t.booked_on FROM servicing_event AS e JOIN books_transaction AS t"
            " ON t.customer_id = e.customer_id AND t.contract_id = e.contract_id AND t.event_id = e.event_id"
            " WHERE e.customer_id = %s AND e.contract_id = %s",
            [customer_id, contract_id],
        )
        return dict(cursor.fetchall())


def _by_whom(shop: Shop, found: ContractView) -> dict[int, tuple[str, str]]:
    """Who recorded each event and why, where the audit log has it. The log tells events by kind and instant."""
    waiting: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for told in audit.entries(shop, subject=f"contract:{found.contract_id}", limit=audit.MAX_ENTRIES):
        kind = told.act.removeprefix("contract.")
        # Newest first: of several in one second, the last event takes the first that is found.
        waiting.setdefault((kind, int(told.at.timestamp())), []).append((told.actor, told.reason))
    named: dict[int, tuple[str, str]] = {}
    for event in reversed(found.events):
        fitting = waiting.get((str(event.__struct_config__.tag), event.recorded_at))
        if fitting:
            named[event.seq] = fitting.pop(0)
    return named


def _events(
    staff: Staff, found: ContractView, events: list[Event], kept: dict[str, str], shown: str, voice: Voice
) -> tuple[EventLine, ...]:
    use_shop(staff.shop.id)
    booked, who = _booked(found), _by_whom(staff.shop, found)
    return tuple(
        EventLine(
            seq=event.seq,
            text=event_text(event, found.state.rows, voice),
            why=said_why(event) or who.get(event.seq, ("", ""))[1],
            who=said(getattr(event, "operator", "") or who.get(event.seq, ("", ""))[0]),
            occurred=voice.day(event.occurred_on),
            recorded=voice.instant(event.recorded_at),
            booked=voice.day(booked[event.seq]) if event.seq in booked else "",
            url=f"?{urlencode({**kept, 'event': event.seq})}#changed",
            shown=str(event.seq) == shown,
        )
        # Newest first, as the book has it.
        for event in reversed(events)
    )


def _change(found: ContractView, event: Event, voice: Voice) -> ChangeView:
    """What learning of an event changed on the day shown: everything known before it, and that with it."""
    before = [each for each in found.events if each.seq < event.seq]
    day = found.state.as_of
    difference = explain(replay(found.terms, before, day), replay(found.terms, [*before, event], day))
    return change_view(event_text(event, found.state.rows, voice), difference, voice)


def change_view(text: str, difference: Difference, voice: Voice) -> ChangeView:
    """A difference, row by row."""
    return ChangeView(
        text=text,
        lines=_changed_rows(difference, voice),
        payments=tuple(
            ChangeLine(change.payment_id, "", _sums(change.before, voice), _sums(change.after, voice))
            for change in difference.payments
        ),
        balance_before=voice.money(difference.balance_before_minor),
        balance_after=voice.money(difference.balance_after_minor),
        changed=bool(difference.rows or difference.payments or difference.balance_change_minor),
    )


def state_word(state: ContractState) -> str:
    """A contract's state in a word."""
    return state_of(state)[0]


def _changed_rows(difference: Difference, voice: Voice) -> tuple[ChangeLine, ...]:
    return tuple(
        ChangeLine(
            row_name(change.kind, change.row),
            _figure(change.figure),
            _shown(change.before, voice),
            _shown(change.after, voice),
        )
        for change in difference.rows
    )


def _figure(figure: str) -> str:
    if figure == "due_on":
        return gettext("Due on")
    part = figure.removesuffix("_paid")
    if part == figure:
        return part_name(part)
    return gettext("paid of the %(part)s") % {"part": part_name(part)}


def _shown(value: int | date | None, voice: Voice) -> str:
    if value is None:
        return "—"
    return voice.day(value) if isinstance(value, date) else voice.money(value)


def _sums(parts: tuple[tuple[int, int], ...], voice: Voice) -> str:
    if not parts:
        return "—"
    return pgettext("between things listed", ", ").join(
        gettext("instalment %(n)s: %(price)s") % {"n": row, "price": voice.money(minor)}
        for row, minor in parts
    )
