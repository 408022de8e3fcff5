"""What a customer can have done to a contract: pay it off, send goods back, move the due day, ask for help.

Each is shown before it is done and done by a form; what cannot be done says why and what can. The reckoning is the service's
(`servicing.payoffs`, `returns`, `acts`, `requests`).
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext
from django.views.decorators.http import require_http_methods, require_POST

from fenqi.calendars import at_local
from fenqi.money import MoneyError, decimal_text, parse_money
from fenqi.problems import BadInput
from fenqi_server.ids import uuid7
from fenqi_server.portal.contract_views import own_contract
from fenqi_server.portal.goods import Item, chosen_lines, items_of
from fenqi_server.portal.paying import to_bank
from fenqi_server.portal.slips import cashier_address, make_slip
from fenqi_server.portal.telling import payoff_rule, request_view, title_of
from fenqi_server.portal.visitor import PortalVisitor, customer_page, support_words
from fenqi_server.servicing import acts, payoffs, requests, returns
from fenqi_server.servicing.requests import (
    HardshipAsked,
    HardshipReason,
    Pause,
    ReturnAsked,
    ReturnReason,
)
from fenqi_server.servicing.service import ContractView as Contract
from fenqi_server.servicing.service import Refusal
from fenqi_server.storefront.selector import row_name

WAREHOUSE: Final = "demo:warehouse"


class Head(msgspec.Struct, frozen=True):
    """Which contract a page is about."""

    title: str
    back: str
    url: str
    owed: str
    support: str


class LineView(msgspec.Struct, frozen=True):
    """A line of a sum. `figure` names it to whoever reads the page's figures."""

    label: str
    amount: str
    figure: str
    strong: bool = False


class Choice(msgspec.Struct, frozen=True):
    value: str
    label: str
    chosen: bool = False


def _head(found: Contract, visitor: PortalVisitor, name: str) -> Head:
    return Head(
        title_of(found, visitor.shop, visitor.voice),
        reverse("portal:contract", args=[found.contract_id]),
        reverse(f"portal:{name}", args=[found.contract_id]),
        visitor.voice.money(found.state.balance_minor),
        support_words(visitor.shop),
    )


def _refused(request: HttpRequest, head: Head, refusal: Refusal, visitor: PortalVisitor) -> HttpResponse:
    """Why it cannot be done, and the way out, in the words of whoever refused."""
    say = visitor.voice.text
    return render(
        request,
        "portal/not_done.html",
        {"page": head, "title": say(refusal.title), "detail": say(refusal.detail)},
        status=409,
    )


def _done(request: HttpRequest, head: Head, said: str) -> HttpResponse:
    request.session["flash"] = said
    return HttpResponseRedirect(head.back)


# ------------------------------------------------------------------------------------------------------- paying off


class PayoffPage(msgspec.Struct, frozen=True, kw_only=True):
    """What settles everything: its parts, what it spares, and until when it stands."""

    amount: str
    to_pay: str
    saving: str
    same: str
    dearer: str
    lines: tuple[LineView, ...]
    quote_id: str
    until: str
    state: str
    gone: str
    why: str
    """What of the fees is owed by whoever pays off."""
    later: str
    """From when on it costs more, and how much."""
    cashier: str = ""
    cashier_host: str = ""
    can_pay: bool = True


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def pay_off(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """What settles the contract today; a quote that binds the shop; and paying by it."""
    found = own_contract(visitor, contract_id)
    head = _head(found, visitor, "pay-off")
    shop, at = visitor.shop, visitor.at
    asked = request.POST if request.method == "POST" else request.GET
    quote_id = asked.get("quote", "")
    try:
        if request.method == "POST" and asked.get("act") == "quote":
            made = payoffs.payoff_quote(shop, contract_id, at)
            return HttpResponseRedirect(f"{head.url}?{urlencode({'quote': made.quote_id})}")
        if quote_id:
            figures = payoffs.quote_of(shop, contract_id, quote_id, at)
        else:
            figures = payoffs.preview_payoff(shop, contract_id, at)
    except payoffs.NoQuote:
        raise Http404("no such quote") from None
    except Refusal as refusal:
        return _refused(request, head, refusal, visitor)
    open_quote = bool(quote_id) and figures.state == "open" and figures.to_pay_minor > 0
    if request.method == "POST" and asked.get("act") == "pay" and open_quote and settings.FENQI_DEMO:
        until = _end_of(figures, visitor)
        return to_bank(visitor, contract_id, figures.to_pay_minor, settles=quote_id, until=until)
    if request.method == "POST":
        return HttpResponseRedirect(f"{head.url}?{urlencode({'quote': quote_id})}" if quote_id else head.url)
    page = _payoff_page(figures, found, visitor, open_quote)
    return render(request, "portal/pay_off.html", {"page": head, "payoff": page, "demo": settings.FENQI_DEMO})


def _end_of(figures: payoffs.Payoff, visitor: PortalVisitor) -> datetime:
    """A quote ends with its day, in the shop's zone."""
    ends = at_local(figures.valid_until + timedelta(days=1), 0, visitor.shop.time_zone)
    return datetime.fromtimestamp(ends, UTC)


def _payoff_page(
    figures: payoffs.Payoff, found: Contract, visitor: PortalVisitor, open_quote: bool
) -> PayoffPage:
    voice, money = visitor.voice, visitor.voice.money
    parts = (
        (gettext("Price that is left"), figures.principal_minor, "principal"),
        (pgettext("of a payoff", "Fee"), figures.fee_minor, "fee"),
        (gettext("Interest until then"), figures.interest_minor, "interest"),
        (gettext("Charges for lateness"), figures.penalty_minor, "penalty"),
        (gettext("Charge for paying off early, as agreed"), figures.charge_minor, "charge"),
    )
    lines = [
        LineView(label, money(minor), name) for label, minor, name in parts if minor or name == "principal"
    ]
    lines.append(LineView(gettext("Settles everything"), money(figures.amount_minor), "amount", True))
    if figures.held_minor:
        lines.append(LineView(gettext("Held for you already"), money(-figures.held_minor), "held"))
        lines.append(LineView(gettext("To pay"), money(figures.to_pay_minor), "to-pay", True))
    gone = {
        "settled": gettext("You have paid this off. Nothing is owed by this quote any more."),
        "expired": gettext("This quote has run out. Ask for a new one: it takes a moment and costs nothing."),
        "outdated": gettext(
            "Something happened on the contract since, so this quote does not fit any more. Ask for a new one."
        ),
    }.get(figures.state, "")
    address = ""
    if open_quote and not settings.FENQI_DEMO:
        address = cashier_address(
            visitor.shop,
            make_slip(
                visitor.shop,
                found.contract_id,
                figures.to_pay_minor,
                visitor.at,
                settles=figures.quote_id,
                until=_end_of(figures, visitor),
            ),
        )
    return PayoffPage(
        amount=money(figures.amount_minor),
        to_pay=money(figures.to_pay_minor),
        saving=money(figures.saving_minor) if figures.saving_minor > 0 else "",
        same=money(0) if figures.saving_minor == 0 else "",
        dearer=money(-figures.saving_minor) if figures.saving_minor < 0 else "",
        lines=tuple(lines),
        quote_id=figures.quote_id,
        until=voice.day(figures.valid_until),
        state=figures.state,
        gone=gone if figures.quote_id else "",
        why=payoff_rule(found),
        later=_dearer_later(figures, visitor) if figures.state == "open" else "",
        cashier=address,
        cashier_host=urlsplit(address).hostname or "",
        can_pay=settings.FENQI_DEMO or bool(visitor.shop.pay_url),
    )


def _dearer_later(figures: payoffs.Payoff, visitor: PortalVisitor) -> str:
    """From which day on it costs more, and how much; empty where it does not."""
    later = payoffs.dearer_from(figures, visitor.shop, visitor.at)
    if later is None:
        return ""
    return gettext("From %(on)s on it costs %(more)s more.") % {
        "on": visitor.voice.day(later[0]),
        "more": visitor.voice.money(later[1]),
    }


# ----------------------------------------------------------------------------------------------------- sending back


class ItemView(msgspec.Struct, frozen=True):
    sku: str
    title: str
    price: str
    choices: tuple[Choice, ...]
    gone: str


class RowChangeView(msgspec.Struct, frozen=True):
    """A row before and after. An amount that stays the same is not a change."""

    name: str
    due: str
    before: str
    after: str


class ReturnPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a return would do."""

    what: tuple[str, ...]
    hidden: tuple[tuple[str, str], ...]
    lines: tuple[LineView, ...]
    rows: tuple[RowChangeView, ...]
    refund: str


_RETURN_REASONS: Final[tuple[ReturnReason, ...]] = ("unwanted", "defective", "wrong_item", "late", "other")


def _return_reasons(chosen: str) -> tuple[Choice, ...]:
    words = {
        "unwanted": gettext("I do not want it"),
        "defective": gettext("It is faulty"),
        "wrong_item": gettext("It is not what I ordered"),
        "late": gettext("It came too late"),
        "other": gettext("Something else"),
    }
    return tuple(Choice(name, words[name], name == chosen) for name in _RETURN_REASONS)


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def send_back(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """Choose what goes back, see what it settles and refunds, and ask for it."""
    found = own_contract(visitor, contract_id)
    if found.state.lease is not None:
        # What is rented goes back by the lease, and nothing of a price is refunded for it.
        return HttpResponseRedirect(reverse("portal:rented", args=[contract_id]))
    head = _head(found, visitor, "send-back")
    known = requests.of_contract(visitor.shop, contract_id)
    items = items_of(found, visitor.shop, known, visitor.voice)
    asked = request.POST if request.method == "POST" else request.GET
    wanted, error = _wanted(asked, items, visitor)
    waiting = [each for each in known if each.kind == "return" and each.state == "open"]
    preview = None
    if wanted is not None and not waiting:
        try:
            if request.method == "POST" and asked.get("act") == "confirm":
                requests.open_request(
                    visitor.shop, contract_id, wanted, visitor.at, said=asked.get("said", "").strip()
                )
                return _done(
                    request, head, gettext("Your return is asked for. It stands below, with what is next.")
                )
            preview = _return_page(wanted, asked, visitor, contract_id)
        except Refusal as refusal:
            return _refused(request, head, refusal, visitor)
        except BadInput:
            error = gettext("Write at most 2,000 characters.")
    return render(
        request,
        "portal/send_back.html",
        {
            "page": head,
            "contract_id": contract_id,
            "items": [_item_view(item, asked, visitor) for item in items],
            "known": bool(items),
            "amount": asked.get("amount", "")[:20],
            "preview": preview,
            "reasons": _return_reasons(asked.get("reason", "")),
            "said": asked.get("said", ""),
            "waiting": [request_view(each, found, visitor.shop, visitor.voice) for each in waiting],
            "error": error,
            "demo": settings.FENQI_DEMO,
        },
        status=422 if error else 200,
    )


def _wanted(asked: Any, items: tuple[Item, ...], visitor: PortalVisitor) -> tuple[ReturnAsked | None, str]:
    """What is to go back, of what the form said; None where it was not sent."""
    written = asked.get("reason", "other")
    reason = cast(ReturnReason, written if written in _RETURN_REASONS else "other")
    if items:
        written_counts = {item.sku: asked.get(f"n-{item.sku}", "").strip() for item in items}
        if not any(written_counts.values()):
            return None, ""
        counts: dict[str, int] = {}
        for item in items:
            number = written_counts[item.sku]
            # A page that stood open while a return was asked for, or an address that somebody wrote: the form has no more to choose.
            if number and not (number.isdecimal() and len(number) < 10):
                return None, gettext("Write how many of %(what)s go back, as a number.") % {
                    "what": item.title
                }
            counts[item.sku] = int(number or "0")
            if counts[item.sku] > item.left:
                return None, _too_many(item, counts[item.sku])
        lines = chosen_lines(items, counts)
        if not lines:
            return None, gettext("Choose at least one thing that goes back.")
        return (
            ReturnAsked(
                amount_minor=sum(line.amount_minor for line in lines),
                lines=lines,
                for_other_sellers_minor=sum(line.amount_minor for line in lines if line.other_seller),
                reason=reason,
            ),
            "",
        )
    if "amount" not in asked:
        return None, ""
    try:
        amount = parse_money(asked.get("amount", "").strip(), visitor.voice.currency)
    except MoneyError:
        amount = 0
    if not amount:
        return None, gettext("Write the price of what goes back, such as %(example)s.") % {
            "example": decimal_text(19_900, visitor.voice.currency)
        }
    return ReturnAsked(amount_minor=amount, reason=reason), ""


def _too_many(item: Item, asked: int) -> str:
    what = {"asked": asked, "what": item.title, "left": item.left}
    if not item.left:
        return gettext("None of %(what)s can go back any more: all went back or are asked for.") % what
    return gettext("You asked to return %(asked)s of %(what)s, but only %(left)s can go back.") % what


def _item_view(item: Item, asked: Any, visitor: PortalVisitor) -> ItemView:
    chosen = asked.get(f"n-{item.sku}", "0")
    gone = item.quantity - item.left
    return ItemView(
        item.sku,
        item.title,
        visitor.voice.money(item.unit_minor),
        tuple(Choice(str(n), str(n), str(n) == chosen) for n in range(item.left + 1)) if item.left else (),
        ngettext("%(n)s went back or is asked for", "%(n)s went back or are asked for", gone) % {"n": gone}
        if gone
        else "",
    )


def _return_page(wanted: ReturnAsked, asked: Any, visitor: PortalVisitor, contract_id: str) -> ReturnPage:
    voice, money = visitor.voice, visitor.voice.money
    done = returns.preview_return(
        visitor.shop,
        contract_id,
        wanted.amount_minor,
        visitor.at,
        for_other_sellers_minor=wanted.for_other_sellers_minor,
    )
    lines = [LineView(gettext("Price of what goes back"), money(done.amount_minor), "returned", True)]
    sums = (
        (gettext("Comes off what you owe of the price"), done.settled_minor, "settled"),
        (gettext("Fee that you need not pay any more"), done.fee_let_go_minor, "fee-let-go"),
        (gettext("Fee that you paid and get back"), done.fee_returned_minor, "fee-returned"),
        (gettext("Refunded to you"), done.refund_minor, "refund"),
    )
    lines += [LineView(label, money(minor), name) for label, minor, name in sums if minor]
    lines.append(LineView(gettext("You owe now"), money(done.balance_before_minor), "before"))
    lines.append(LineView(gettext("You would owe"), money(done.balance_after_minor), "after", True))
    before = {row.number: row for row in done.rows_before}
    rows = tuple(
        RowChangeView(
            row_name(row.kind, row.number),
            voice.day(row.due_on),
            money(before[row.number].total_minor),
            money(row.total_minor),
        )
        for row in done.rows_after
        if row.number in before and before[row.number].total_minor != row.total_minor
    )
    what = tuple(f"{line.title} × {line.quantity}" for line in wanted.lines)
    hidden = [(f"n-{line.sku}", str(line.quantity)) for line in wanted.lines]
    if not wanted.lines:
        hidden = [("amount", decimal_text(wanted.amount_minor, voice.currency))]
    return ReturnPage(
        what=what,
        hidden=tuple(hidden),
        lines=tuple(lines),
        rows=rows,
        refund=money(done.refund_minor) if done.refund_minor else "",
    )


@require_POST
@customer_page
def take_back(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """Take back what was asked for, before it is decided."""
    found = own_contract(visitor, contract_id)
    head = _head(found, visitor, "take-back")
    name = request.POST.get("request", "")
    known = {each.request_id for each in requests.of_contract(visitor.shop, contract_id) if each.by_customer}
    if name not in known:
        raise Http404("no such request of this contract")
    try:
        requests.withdraw(visitor.shop, name, visitor.at)
    except Refusal as refusal:
        return _refused(request, head, refusal, visitor)
    return _done(request, head, gettext("You took your request back. Nothing has changed."))


@require_POST
@customer_page
def parcel(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """The demo's pretend warehouse: the parcel is there, so the return is booked, and what is due is refunded."""
    if not settings.FENQI_DEMO:
        raise Http404("only the demo has a pretend warehouse")
    found = own_contract(visitor, contract_id)
    head = _head(found, visitor, "parcel")
    name = request.POST.get("request", "")
    known = {each.request_id: each for each in requests.of_contract(visitor.shop, contract_id)}
    if name not in known or known[name].kind != "return":
        raise Http404("no such return of this contract")
    try:
        requests.approve(visitor.shop, name, visitor.at, actor=WAREHOUSE)
        due = own_contract(visitor, contract_id).state.refund_due_minor
        if due:
            number = f"RF-{uuid7(visitor.at).hex[-12:].upper()}"
            returns.refund_paid(visitor.shop, contract_id, number, due, visitor.at)
    except Refusal as refusal:
        return _refused(request, head, refusal, visitor)
    said = gettext("The pretend warehouse has your parcel, and the return is done.")
    if due:
        said = gettext(
            "The pretend warehouse has your parcel, and the return is done. %(amount)s went back to your account."
        ) % {"amount": visitor.voice.money(due)}
    return _done(request, head, said)


# ------------------------------------------------------------------------------------------------------ the due day


class MoveView(msgspec.Struct, frozen=True):
    name: str
    before: str
    after: str
    amount: str


class DueDayPage(msgspec.Struct, frozen=True):
    day: str
    words: str
    rows: tuple[MoveView, ...]
    cost: str
    sooner: str
    """That the next payment comes before its day, where it does."""
    again: str


def _days(chosen: str) -> tuple[Choice, ...]:
    days = [
        Choice(str(day), gettext("day %(day)s of the month") % {"day": day}, str(day) == chosen)
        for day in range(1, 29)
    ]
    return (*days, Choice("31", gettext("the last day of the month"), chosen == "31"))


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def due_day(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """Choose another day of the month, see which dates move and what that costs, and have it so."""
    found = own_contract(visitor, contract_id)
    head = _head(found, visitor, "due-day")
    asked = request.POST if request.method == "POST" else request.GET
    written = asked.get("day", "")
    page = None
    known = [choice for choice in _days(written) if choice.chosen]
    try:
        if known and request.method == "POST":
            acts.change_due_day(visitor.shop, contract_id, int(written), visitor.at)
            return _done(request, head, gettext("Your due day is now %(day)s.") % {"day": known[0].label})
        if known:
            page = _due_day_page(
                acts.preview_due_day(visitor.shop, contract_id, int(written), visitor.at),
                known[0].label,
                visitor,
            )
        else:
            # Whether it can be moved at all is said before anybody chooses a day.
            acts.preview_due_day(visitor.shop, contract_id, 1, visitor.at)
    except Refusal as refusal:
        return _refused(request, head, refusal, visitor)
    present = _present_day(found)
    days = _days(written or present)
    context = {
        "page": head,
        "days": days,
        "preview": page,
        "present": next((choice.label for choice in _days(present) if choice.chosen), ""),
    }
    return render(request, "portal/due_day.html", context)


def _present_day(found: Contract) -> str:
    """The day on which what is to come falls due; empty where nothing is to come."""
    dates = [
        row.due_on
        for row in found.state.rows
        if row.outstanding_minor and row.due_on > found.state.as_of and row.moved_from is None
    ]
    if not dates:
        return ""
    if all((on + timedelta(days=1)).day == 1 for on in dates):
        return "31"
    # A day that not every month has is none that can be chosen.
    return (
        "" if max(on.day for on in dates) > 28 else str(Counter(on.day for on in dates).most_common(1)[0][0])
    )


def _due_day_page(found: acts.DueDayPreview, words: str, visitor: PortalVisitor) -> DueDayPage:
    voice = visitor.voice
    sooner = ""
    if found.rows and found.rows[0].after < found.rows[0].before:
        days = (found.rows[0].before - found.rows[0].after).days
        sooner = ngettext(
            "Your next payment comes %(n)s day sooner: on %(on)s.",
            "Your next payment comes %(n)s days sooner: on %(on)s.",
            days,
        ) % {"n": days, "on": voice.day(found.rows[0].after)}
    return DueDayPage(
        str(found.day),
        words,
        tuple(
            MoveView(
                str(row.number),
                voice.day(row.before),
                voice.day(row.after),
                voice.money(row.outstanding_minor),
            )
            for row in found.rows
        ),
        voice.money(found.cost_minor) if found.cost_minor else "",
        sooner,
        gettext("After that it cannot be moved again before %(on)s.")
        % {"on": voice.day(visitor.today + timedelta(days=acts.DAYS_BETWEEN_DUE_DAYS))},
    )


# --------------------------------------------------------------------------------------------------------- hardship


_HARDSHIP_REASONS: Final[tuple[HardshipReason, ...]] = ("income", "illness", "family", "disaster", "other")
_MONTHS: Final = (1, 2, 3, 6, 12)


def _hardship_reasons(chosen: str) -> tuple[Choice, ...]:
    words = {
        "income": gettext("My income fell or stopped"),
        "illness": gettext("Illness or an accident"),
        "family": gettext("Something in my family"),
        "disaster": gettext("A disaster"),
        "other": gettext("Something else"),
    }
    return tuple(Choice(name, words[name], name == chosen) for name in _HARDSHIP_REASONS)


class HelpPage(msgspec.Struct, frozen=True):
    """What is about to be asked for, and what a pause of that length would look like."""

    reason: str
    months: str
    example: str


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def ask_for_help(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """Paying is hard: say why and for how long, read what happens next, and send it."""
    found = own_contract(visitor, contract_id)
    head = _head(found, visitor, "help")
    if found.state.status != "active":
        context = {
            "page": head,
            "title": gettext("There is nothing to ease"),
            "detail": gettext("Nothing is owed of this contract."),
        }
        return render(request, "portal/not_done.html", context, status=409)
    asked = request.POST if request.method == "POST" else request.GET
    waiting = [
        each
        for each in requests.of_contract(visitor.shop, contract_id)
        if each.kind == "hardship" and each.state == "open"
    ]
    reason, written = asked.get("reason", ""), asked.get("months", "")
    chosen = [each for each in _hardship_reasons(reason) if each.chosen]
    months = int(written) if written.isdecimal() and len(written) < 3 and int(written) in _MONTHS else 0
    error, preview = "", None
    if (reason or written) and not (chosen and months):
        error = gettext("Choose why, and for how long.")
    elif chosen and not waiting:
        try:
            wish = HardshipAsked(reason=cast(HardshipReason, reason), months=months)
            if request.method == "POST":
                requests.open_request(
                    visitor.shop, contract_id, wish, visitor.at, said=asked.get("said", "").strip()
                )
                return _done(
                    request,
                    head,
                    gettext("You asked for help. Somebody of the shop answers; it stands below until then."),
                )
            preview = HelpPage(
                chosen[0].label,
                ngettext("%(n)s month", "%(n)s months", months) % {"n": months},
                _pause_example(visitor, contract_id, months),
            )
        except Refusal as refusal:
            return _refused(request, head, refusal, visitor)
        except BadInput:
            error = gettext("Write at most 2,000 characters.")
    return render(
        request,
        "portal/help.html",
        {
            "page": head,
            "contract_id": contract_id,
            "reasons": _hardship_reasons(reason),
            "months": [
                Choice(str(n), ngettext("%(n)s month", "%(n)s months", n) % {"n": n}, n == months)
                for n in _MONTHS
            ],
            "said": asked.get("said", ""),
            "reason": reason,
            "chosen_months": written,
            "preview": preview,
            "waiting": [request_view(each, found, visitor.shop, visitor.voice) for each in waiting],
            "error": error,
        },
        status=422 if error else 200,
    )


def _pause_example(visitor: PortalVisitor, contract_id: str, months: int) -> str:
    """When the next payment would be due after a pause, by the core's own reckoning. Empty where a pause is not possible."""
    try:
        _, after, _ = requests.preview_help(visitor.shop, contract_id, Pause(periods=months), visitor.at)
    except Refusal:
        return ""
    coming = [row for row in after.rows if row.due_on > visitor.today and row.outstanding_minor]
    if not coming:
        return ""
    return gettext(
        "If the shop agreed to a pause for so long, the next payment not due yet (%(amount)s) would be due on %(on)s. "
        "It may also offer something else."
    ) % {
        "amount": visitor.voice.money(coming[0].outstanding_minor),
        "on": visitor.voice.day(coming[0].due_on),
    }
