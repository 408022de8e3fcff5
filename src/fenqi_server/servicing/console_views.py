"""The operator's view of closed days: what each day's run did, and the contracts that it could not do."""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fenqi.calendars import to_epoch
from fenqi.money import format_money
from fenqi_server import clock
from fenqi_server.console.access import allowed
from fenqi_server.servicing.closing import Failure, failures_of, runs_of
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice, locale_now

DAYS_SHOWN: Final = 31


class RunView(msgspec.Struct, frozen=True):
    """One day's run, in words: `ended` is empty while something is left."""

    day: date
    started: str
    ended: str
    contracts: int
    due_rows: int
    at_once: int
    earned: str
    seconds: str
    failed: int


class FailureView(msgspec.Struct, frozen=True):
    """A contract that could not be done, with the instants as the shop's clock shows them."""

    failure: Failure
    failed_at: str
    retry_at: str


@allowed("finance", "auditor")
@require_safe
def closings(request: HttpRequest) -> HttpResponse:
    """The newest days first; `?before=` shows the month before a day."""
    shop: Shop = request.staff.shop  # type: ignore[attr-defined]
    voice = Voice(locale_now(), shop.currency, shop.time_zone, to_epoch(clock.now()))
    before, wrong = None, ""
    if given := request.GET.get("before", "").strip():
        try:
            before = date.fromisoformat(given)
        except ValueError:
            wrong = given
    runs = runs_of(shop, before=before, limit=DAYS_SHOWN + 1)
    shown = runs[:DAYS_SHOWN]
    return render(
        request,
        "servicing/closings.html",
        {
            "runs": [
                RunView(
                    run.day,
                    voice.instant(run.started_at),
                    voice.instant(run.ended_at) if run.ended_at else "",
                    run.contracts,
                    run.due_rows,
                    run.at_once,
                    format_money(run.earned_minor, shop.currency),
                    f"{run.worked_ms / 1000:.1f}",
                    run.failed,
                )
                for run in shown
            ],
            "failures": [
                FailureView(each, voice.instant(each.failed_at), voice.instant(each.retry_at))
                for each in failures_of(shop)
            ],
            "older": shown[-1].day if len(runs) > DAYS_SHOWN else None,
            "wrong": wrong,
            "shop_code": shop.code,
        },
        status=404 if wrong else 200,
    )
