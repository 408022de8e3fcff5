"""Finance's pages of the book: its balance on any day, an account's statement, months and closing them, the shop's own accounts,
and what the proofs found.

Finance acts, the auditor reads.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import msgspec
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fenqi.calendars import to_epoch, zone_of
from fenqi.ledger.accounts import CHART
from fenqi.money import CURRENCIES, format_money
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.books import journal, mapping, periods, proofs, reading, sealing
from fenqi_server.books.periods import CloseRefused, Period
from fenqi_server.books.proof import prove_shop
from fenqi_server.books.views import TotalsView, happened, totals_of
from fenqi_server.console.access import Staff, actor, allowed
from fenqi_server.days import read_day, read_instant
from fenqi_server.db import use_shop
from fenqi_server.ids import public_id
from fenqi_server.shops.models import Shop
from fenqi_server.spreadsheet import ENCODING
from fenqi_server.storefront.voice import Voice, locale_now

_READERS: Final = ("finance", "auditor")
PAGE: Final = 50
MAX_CSV_TRANSACTIONS: Final = 50_000
AT_ONCE_CONTRACTS: Final = 5_000
"""A book with more contracts is looked at by the worker: nobody's browser waits for that."""


class StatementLine(msgspec.Struct, frozen=True):
    """One entry. An amount stands on one side, and the other is empty."""

    booked_on: str
    happened: str
    reference: str
    settlement: str
    contract: str
    debit: str
    credit: str
    balance: str


class MonthLine(msgspec.Struct, frozen=True):
    name: str
    closed: str
    actor: str
    transactions: int | None
    digest: str
    totals: tuple[TotalsView, ...]
    csv_url: str


class AccountLine(msgspec.Struct, frozen=True):
    """An account of the chart, and what the shop calls it. `earlier` are the versions before, in words."""

    account: int
    name: str
    code: str
    own_name: str
    since: str
    used: bool
    earlier: tuple[str, ...]
    url: str


class ProofLine(msgspec.Struct, frozen=True):
    at: str
    kind: str
    actor: str
    ok: bool
    transactions: int
    contracts: int
    replayed: int
    seconds: str
    problems: tuple[str, ...]


def _staff(request: HttpRequest) -> Staff:
    staff: Staff = request.staff  # type: ignore[attr-defined]
    return staff


def _voice(shop: Shop) -> Voice:
    return Voice(locale_now(), shop.currency, shop.time_zone, to_epoch(clock.now()))


def _day(text: str) -> date | None:
    """A day of a form; None where it is empty. Raises `ValueError`."""
    return read_day(text) if text else None


def _instant(text: str, shop: Shop) -> datetime | None:
    """An instant of a form, on the shop's clock where it has no offset. Raises `ValueError`."""
    if not text:
        return None
    found = read_instant(text)
    return found if found.tzinfo else found.replace(tzinfo=zone_of(shop.time_zone))


# ---------------------------------------------------------------------------------------------------------- reading


@allowed(*_READERS)
@require_safe
def balance(request: HttpRequest) -> HttpResponse:
    """The trial balance: `?as_of=` a day of the book, `?known_at=` an instant."""
    shop = _staff(request).shop
    voice = _voice(shop)
    asked = {name: request.GET.get(name, "").strip() for name in ("as_of", "known_at")}
    wrong = ""
    try:
        as_of, known_at = _day(asked["as_of"]), _instant(asked["known_at"], shop)
    except ValueError:
        as_of = known_at = None
        wrong = gettext("Write a day like 2026-11-30, and an instant like 2026-12-05T18:00.")
    balances = reading.trial_balance(shop, as_of=as_of, known_at=known_at)
    context = {
        "totals": totals_of(balances, voice),
        "asked": asked,
        "as_of": as_of,
        "known_at": voice.instant(known_at) if known_at else "",
        "wrong": wrong,
        "zone": shop.time_zone,
    }
    return render(request, "books/balance.html", context, status=404 if wrong else 200)


@allowed(*_READERS)
@require_safe
def account(request: HttpRequest, code: int) -> HttpResponse:
    """An account's statement: `?currency=`, `?from=` and `?to=` days of the book, `?after=` the place to go on from."""
    shop = _staff(request).shop
    voice = _voice(shop)
    known = CHART.get(code)
    currency = request.GET.get("currency", "") or shop.currency
    if known is None or currency not in CURRENCIES:
        raise Http404("no such account")
    asked = {name: request.GET.get(name, "").strip() for name in ("from", "to", "after")}
    wrong = ""
    try:
        found = reading.statement(
            shop, code, currency,
            first_on=_day(asked["from"]), last_on=_day(asked["to"]), after=asked["after"], limit=PAGE,
        )  # fmt: skip
    except ValueError:
        wrong, asked = gettext("Write a day like 2026-11-30."), dict.fromkeys(asked, "")
        found = reading.statement(shop, code, currency, limit=PAGE)
    context = {
        "code": code,
        "name": voice.text(known.title),
        "currency": currency,
        "lines": [_line(line, currency) for line in found.lines],
        "opening": format_money(found.opening_minor, currency),
        "closing": format_money(found.closing_minor, currency),
        "more": found.more,
        "asked": asked,
        "wrong": wrong,
    }
    return render(request, "books/account.html", context, status=404 if wrong else 200)


def _line(line: reading.Line, currency: str) -> StatementLine:
    amount = format_money(abs(line.amount_minor), currency)
    return StatementLine(
        line.booked_on.isoformat(),
        happened(line.event_kind),
        line.reference,
        line.settlement or "",
        public_id("ct", line.customer_id, line.contract_id) if line.contract_id else "",
        amount if line.amount_minor > 0 else "",
        amount if line.amount_minor < 0 else "",
        format_money(line.balance_minor, currency),
    )


# ----------------------------------------------------------------------------------------------------------- months


@allowed(*_READERS)
@require_safe
def months(request: HttpRequest) -> HttpResponse:
    """The months that are closed, and the one that closes next."""
    return _months(request)


def _months(request: HttpRequest, *, problems: Sequence[str] = (), error: str = "") -> HttpResponse:
    staff = _staff(request)
    shop, voice = staff.shop, _voice(staff.shop)
    found = periods.periods(shop)
    closing = next((each for each in found if each.closed_at is None), None)
    following = None if closing else periods.next_period(shop)
    refused = next(iter(proofs.latest(shop, kind="close", limit=1)), None)
    if refused is not None and (
        refused.ok or following is None or refused.subject != f"{following[0]:%Y-%m}"
    ):
        refused = None
    context = {
        "months": [_month(each, voice) for each in found if each.closed_at is not None],
        "closing": closing.name if closing else "",
        "following": f"{following[0]:%Y-%m}" if following else "",
        "over": following is not None
        and following[1] < clock.now().astimezone(zone_of(shop.time_zone)).date(),
        "may_close": staff.may("finance"),
        "problems": list(problems) or (list(refused.problems) if refused else []),
        "refused_at": voice.instant(refused.at) if refused else "",
        "error": error,
    }
    return render(request, "books/months.html", context, status=409 if problems or error else 200)


def _month(period: Period, voice: Voice) -> MonthLine:
    assert period.closed_at is not None, "only months that are closed are shown as such"
    return MonthLine(
        period.name,
        voice.instant(period.closed_at),
        period.begun_by,
        period.transactions,
        period.digest or "",
        tuple(totals_of(period.balances, voice)),
        reverse("console:books_month_csv", args=[period.name]),
    )


@allowed("finance")
@require_POST
def close(request: HttpRequest) -> HttpResponse:
    """Close the month that the form names: at once where the book is small, otherwise by the worker."""
    staff = _staff(request)
    period, at = request.POST.get("period", ""), clock.now()
    try:
        periods.begin(staff.shop, period, actor(request), at)
        if _contracts(staff.shop) <= AT_ONCE_CONTRACTS:
            periods.finish(staff.shop, period, at)
            said = gettext("Closed. Nothing more is booked in this month.")
        else:
            said = gettext("The month is being closed: the book is looked at first. Come back in a while.")
    except BadInput as problem:
        return _months(request, error=problem.problem.sentence)
    except CloseRefused as refused:
        return _months(request, problems=[each.sentence for each in refused.problems[: proofs.MAX_KEPT]])
    request.session["flash"] = said
    return HttpResponseRedirect(reverse("console:books_months"))


def _contracts(shop: Shop) -> int:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM servicing_contract WHERE shop_id = %s LIMIT %s) AS found",
            [shop.id, AT_ONCE_CONTRACTS + 1],
        )
        found: int = cursor.fetchone()[0]
    return found


@allowed(*_READERS)
@require_safe
def month_csv(request: HttpRequest, period: str) -> HttpResponse:
    """A month in the shop's own accounts, as a file."""
    staff = _staff(request)
    out = io.StringIO(newline="")
    try:
        if _transactions(staff.shop, *periods.parse_period(period)) > MAX_CSV_TRANSACTIONS:
            return _months(
                request,
                error=gettext("This month is large: export it at a terminal, with `fenqi books export`."),
            )
        journal.write_month(staff.shop, period, out)
    except mapping.Unmapped as missing:
        voice = _voice(staff.shop)
        names = pgettext("between things listed", ", ").join(
            f"{code} {voice.text(CHART[code].title)}" for code in missing.accounts
        )
        return _months(
            request,
            error=gettext("First say what your own bookkeeping calls these accounts: %(accounts)s")
            % {"accounts": names},
        )
    except BadInput:
        raise Http404("no such month") from None
    answer = HttpResponse(out.getvalue().encode(ENCODING), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{staff.shop.code}-{period}.csv"'
    return answer


def _transactions(shop: Shop, first_on: date, last_on: date) -> int:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM books_transaction WHERE shop_id = %s AND booked_on BETWEEN %s AND %s",
            [shop.id, first_on, last_on],
        )
        found: int = cursor.fetchone()[0]
    return found


# --------------------------------------------------------------------------------------------------------- accounts


@allowed(*_READERS)
@require_http_methods(["GET", "HEAD"])
def accounts(request: HttpRequest) -> HttpResponse:
    """What the shop's own bookkeeping calls each account."""
    return _accounts(request)


def _accounts(request: HttpRequest, *, error: str = "", sent: dict[str, str] | None = None) -> HttpResponse:
    staff = _staff(request)
    voice, named = _voice(staff.shop), mapping.mapping(staff.shop)
    used = {each.account for each in reading.trial_balance(staff.shop)}
    lines = []
    for code, known in CHART.items():
        own = named.get(code)
        lines.append(
            AccountLine(
                code,
                voice.text(known.title),
                own.code if own else "",
                own.name if own else "",
                voice.instant(own.at) if own else "",
                code in used,
                tuple(
                    f"{each.code} {each.name}, {voice.instant(each.at)}, {each.actor}"
                    for each in (mapping.versions(staff.shop, code)[1:] if own and own.version > 1 else ())
                ),
                reverse("console:books_account", args=[code]),
            )
        )
    context = {
        # What is used first: a chart is longer than what one shop needs of it.
        "accounts": sorted(lines, key=lambda line: not line.used),
        "missing": sum(line.used and not line.code for line in lines),
        "may_name": staff.may("finance"),
        "error": error,
        "sent": sent or {},
        "max_code": mapping.MAX_CODE,
        "max_name": mapping.MAX_NAME,
    }
    return render(request, "books/accounts.html", context, status=400 if error else 200)


@allowed("finance")
@require_POST
def name_account(request: HttpRequest, code: int) -> HttpResponse:
    """Say what the shop's own bookkeeping calls an account, from now on."""
    staff = _staff(request)
    if code not in CHART:
        raise Http404("no such account")
    sent = {name: request.POST.get(name, "") for name in ("code", "name")}
    try:
        mapping.map_account(staff.shop, code, sent["code"], sent["name"], actor(request), clock.now())
    except BadInput:
        error = gettext("A code has 1 to %(code)s characters, a name 1 to %(name)s, both on one line.") % {
            "code": mapping.MAX_CODE,
            "name": mapping.MAX_NAME,
        }
        return _accounts(request, error=error, sent={**sent, "account": str(code)})
    request.session["flash"] = gettext("Kept. Exports name the account so from now on.")
    return HttpResponseRedirect(reverse("console:books_accounts"))


# ----------------------------------------------------------------------------------------------------------- proofs


@allowed(*_READERS)
@require_http_methods(["GET", "HEAD", "POST"])
def proven(request: HttpRequest) -> HttpResponse:
    """What the proofs found, newest first, and where the chain of hashes stands; a POST proves the book now."""
    staff = _staff(request)
    shop, voice = staff.shop, _voice(staff.shop)
    if request.method == "POST":
        began = time.monotonic()
        proofs.record(
            shop,
            "asked",
            prove_shop(shop),
            clock.now(),
            actor(request),
            round((time.monotonic() - began) * 1000),
        )
        return HttpResponseRedirect(reverse("console:books_proofs"))
    found = proofs.latest(shop, limit=31)
    context: dict[str, Any] = {
        "proofs": [_proof(each, voice) for each in found],
        "standing": proofs.standing_problems(shop),
        "small": _contracts(shop) <= AT_ONCE_CONTRACTS,
        "heads": [
            {
                "number": each.number,
                "digest": each.digest,
                "rows": each.rows,
                "at": voice.instant(each.sealed_at),
            }
            for each in sealing.heads(daily=7)
        ],
    }
    return render(request, "books/proofs.html", context)


def _proof(proof: proofs.Proof, voice: Voice) -> ProofLine:
    kinds = {
        "nightly": pgettext("proof", "nightly"),
        "asked": pgettext("proof", "asked for"),
        "close": gettext("before closing %(month)s") % {"month": proof.subject},
    }
    return ProofLine(
        voice.instant(proof.at),
        kinds[proof.kind],
        proof.actor,
        proof.ok,
        proof.transactions,
        proof.contracts,
        proof.replayed,
        f"{proof.duration_ms / 1000:.1f}",
        proof.problems,
    )
