"""The operator's view of closed days: what each day's run did, and the contracts that it could not do."""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fenqi.calendars import to_epoch
from fenqi_server import clock
from fenqi_server.autopay.attempts import DaySums, waiting_of
from fenqi_server.console.access import allowed
from fenqi_server.days import read_day
from fenqi_server.servicing.closing import Failure, Run, failures_of, runs_of
from fenqi_server.servicing.month_end import MonthEnd, month_ends
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
    late_charges: int
    late_charged: str
    reminders: int
    asked: str
    collected: str
    refused: str
    open: int
    anything: bool


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
            before = read_day(given)
        except ValueError:
            wrong = given
    runs = runs_of(shop, before=before, limit=DAYS_SHOWN + 1)
    shown = runs[:DAYS_SHOWN]
    views = [_run_view(run, voice) for run in shown]
    return render(
        request,
        "servicing/closings.html",
        {
            "runs": views,
            "told": any(view.anything for view in views),
            "waiting": waiting_of(shop, clock.now()),
            "months": [_month_view(each, voice) for each in month_ends(shop)],
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


class MonthView(msgspec.Struct, frozen=True):
    """The end of one month, in words: `ended` is empty while contracts are left."""

    month: str
    ended: str
    contracts: int
    replayed: int
    accrued: str
    seconds: str


def _month_view(each: MonthEnd, voice: Voice) -> MonthView:
    return MonthView(
        f"{each.last_on:%Y-%m}",
        "" if each.ended_at is None else voice.instant(each.ended_at),
        each.contracts,
        each.replayed,
        voice.money(each.accrued_minor),
        f"{each.worked_ms / 1000:.1f}",
    )


def _run_view(run: Run, voice: Voice) -> RunView:
    asked = run.asked or DaySums(0, 0, 0, 0, 0, 0, 0)

    def counted(number: int, minor: int) -> str:
        return f"{number} · {voice.money(minor)}" if number else "0"

    return RunView(
        day=run.day,
        started=voice.instant(run.started_at),
        ended=voice.instant(run.ended_at) if run.ended_at else "",
        contracts=run.contracts,
        due_rows=run.due_rows,
        at_once=run.at_once,
        earned=voice.money(run.earned_minor),
        seconds=f"{run.worked_ms / 1000:.1f}",
        failed=run.failed,
        late_charges=run.late_charges,
        late_charged=counted(run.late_charges, run.late_charged_minor),
        reminders=run.reminders,
        asked=counted(asked.asked, asked.asked_minor),
        collected=counted(asked.collected, asked.collected_minor),
        refused=counted(asked.failed, asked.failed_minor),
        open=asked.open,
        anything=bool(asked.asked or run.reminders or run.late_charges),
    )
