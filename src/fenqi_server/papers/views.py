"""A contract's papers, for whoever has their address: kept by no cache, and by no search engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fenqi.calendars import local_date, to_epoch
from fenqi_server import clock
from fenqi_server.days import read_day
from fenqi_server.disclosures.pages import LANGUAGES
from fenqi_server.papers.addresses import BadAddress, address_of, contract_at
from fenqi_server.papers.calendar import due_dates as calendar_of
from fenqi_server.papers.statement import TextTable, as_csv, as_pdf, shown, statement_of
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.service import ContractView
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice, locale_now

OTHER: Final = {"zh-CN": ("en", "English"), "en": ("zh-CN", "中文")}


def _locale(request: HttpRequest) -> str:
    asked = request.GET.get("lang", "")
    if asked and asked not in LANGUAGES:
        raise Http404("lang is zh-CN or en")
    return asked or locale_now()


class _NoDay(Exception):
    """The day that was asked for has no paper: `asked` as it was written, and the newest that has one."""

    def __init__(self, asked: str, today: date) -> None:
        super().__init__(asked)
        self.asked, self.today = asked, today


def _contract(request: HttpRequest, token: str) -> tuple[Shop, ContractView]:
    try:
        shop_id, contract = contract_at(token)
        shop = shops.by_id(shop_id)
        return shop, servicing.get(shop, contract, _as_of(request, shop))
    except (BadAddress, Shop.DoesNotExist, servicing.NoContract):
        raise Http404("no such paper") from None


def _as_of(request: HttpRequest, shop: Shop) -> date:
    written, today = request.GET.get("as_of", ""), local_date(clock.now(), shop.time_zone)
    try:
        as_of = read_day(written) if written else today
    except ValueError:
        raise _NoDay(written, today) from None
    if as_of > today:
        raise _NoDay(written, today)
    return as_of


def _voice(shop: Shop, locale: str) -> Voice:
    return Voice(locale, shop.currency, shop.time_zone, to_epoch(clock.now()))


def _file(body: bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(body, content_type=content_type)
    response.headers["Content-Disposition"] = f'inline; filename="{name}"'
    return _private(response)


def _private(response: HttpResponse) -> HttpResponse:
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


_Paper = Callable[[HttpRequest, str, Shop, ContractView, str], HttpResponse]


def _paper(view: _Paper) -> Callable[[HttpRequest, str], HttpResponse]:
    """A paper at its address, in the reader's language; where the day has none, that is said and today's is offered."""

    @never_cache  # type: ignore[untyped-decorator]
    @require_safe  # type: ignore[untyped-decorator]
    @wraps(view)
    def at_address(request: HttpRequest, token: str) -> HttpResponse:
        locale = _locale(request)
        try:
            shop, found = _contract(request, token)
        except _NoDay as wrong:
            context = {"asked": wrong.asked[:20], "today": wrong.today.isoformat(), "lang": locale}
            with override(LANGUAGES[locale]):
                return _private(render(request, "papers/no_day.html", context, status=404))
        with override(LANGUAGES[locale]):
            return view(request, token, shop, found, locale)

    return at_address


@_paper
def statement(request: HttpRequest, token: str, shop: Shop, found: ContractView, locale: str) -> HttpResponse:
    """The statement as a page: `?as_of=2026-12-31` for another day, `?lang=en` for another language."""
    other, other_name = OTHER[locale]
    as_of = found.state.as_of.isoformat()
    voice = _voice(shop, locale)
    made = statement_of(found, shop.name.in_(locale), voice)
    query = urlencode({"as_of": as_of, "lang": locale})
    return _private(
        render(
            request,
            "papers/statement.html",
            {
                "lang": locale,
                "as_of": as_of,
                "today": local_date(clock.now(), shop.time_zone).isoformat(),
                "statement": made,
                "facts": [(label, shown(cell, voice)) for label, cell in made.facts],
                "tables": [TextTable.of(table, voice) for table in made.tables],
                "other": {
                    "lang": other,
                    "name": other_name,
                    "url": f"?{urlencode({'as_of': as_of, 'lang': other})}",
                },
                "pdf": f"{reverse('papers:statement-pdf', args=[token])}?{query}",
                "csv": f"{reverse('papers:statement-csv', args=[token])}?{query}",
                "ics": f"{reverse('papers:due-dates', args=[token])}?{urlencode({'lang': locale})}",
            },
        )
    )


@_paper
def statement_pdf(
    request: HttpRequest, token: str, shop: Shop, found: ContractView, locale: str
) -> HttpResponse:
    """The statement as a print."""
    voice = _voice(shop, locale)
    body = as_pdf(statement_of(found, shop.name.in_(locale), voice), voice)
    return _file(body, "application/pdf", f"statement-{found.state.as_of}.pdf")


@_paper
def statement_csv(
    request: HttpRequest, token: str, shop: Shop, found: ContractView, locale: str
) -> HttpResponse:
    """The statement for a spreadsheet."""
    voice = _voice(shop, locale)
    body = as_csv(statement_of(found, shop.name.in_(locale), voice), voice)
    return _file(body, "text/csv; charset=utf-8", f"statement-{found.state.as_of}.csv")


@_paper
def due_dates(request: HttpRequest, token: str, shop: Shop, found: ContractView, locale: str) -> HttpResponse:
    """The due dates for a calendar, which asks again by itself."""
    body = calendar_of(
        found,
        shop.name.in_(locale),
        _voice(shop, locale),
        address_of(shop.id, found.contract_id),
    )
    return _file(body, "text/calendar; charset=utf-8", "due-dates.ics")
