"""The public pages: what is announced now, coming and past; one announcement; the ways to pay with their history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fenqi.calendars import to_epoch
from fenqi.policy.compile import Policy
from fenqi_server.announcements import compensation
from fenqi_server.announcements.feeds import FORMATS
from fenqi_server.announcements.guide import off_for_everybody
from fenqi_server.announcements.history import DAYS, Day, Span, days_of, spans_of
from fenqi_server.announcements.lifecycle import Revision, revisions
from fenqi_server.announcements.reader import Reader, reader_of
from fenqi_server.announcements.reading import PHASES, Filter, board, phase_of
from fenqi_server.announcements.ways import affecting, alternatives_now, own_decision
from fenqi_server.announcements.wording import (
    ChangeLine,
    ImpactLine,
    better_line,
    change_lines,
    channel_word,
    compensation_line,
    confidence_word,
    effect_word,
    impact_lines,
    kind_word,
    plan_names,
    repayment_line,
    state_word,
    until_line,
    when_line,
)
from fenqi_server.policies import service as policies
from fenqi_server.storefront.selector import (
    ReasonView,
    WayView,
    legal_form_name,
    option_name,
    reason_view,
    until_text,
)
from fenqi_server.storefront.voice import Voice

PAST_SHOWN: Final = 50


class NoticeLine(msgspec.Struct, frozen=True):
    """An announcement in a list."""

    url: str
    title: str
    reason: str
    when: str
    moved: str
    plans: str
    state: str
    tone: str


class PartView(msgspec.Struct, frozen=True):
    id: str
    title: str
    notices: tuple[NoticeLine, ...]


class Choice(msgspec.Struct, frozen=True):
    value: str
    label: str
    chosen: bool


class FilterView(msgspec.Struct, frozen=True):
    id: str
    label: str
    choices: tuple[Choice, ...]


class FeedLink(msgspec.Struct, frozen=True):
    name: str
    type: str
    url: str


class RevisionLine(msgspec.Struct, frozen=True):
    """One revision on its announcement's page."""

    number: int
    kind: str
    at: str
    changes: tuple[ChangeLine, ...]
    post: str
    card: str


class GrantLine(msgspec.Struct, frozen=True):
    """What this customer was granted."""

    name: str
    state: str


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """An announcement's page, as it is now. The alternatives are asked of the engine when it is read."""

    title: str
    state: str
    tone: str
    reason: str
    note: str
    purpose: str
    since: str
    until: str
    confidence: str
    was: tuple[ChangeLine, ...]
    daily: str
    next_update: str
    affected: str
    unaffected: str
    plans: str
    impacts: tuple[ImpactLine, ...]
    repayment: str
    compensation: tuple[str, ...]
    grants: tuple[GrantLine, ...]
    better: tuple[ChangeLine, ...]
    over: bool
    checked: str
    ways: tuple[WayView, ...]
    notify: str
    support: str
    list_url: str
    subscribe_url: str
    personal: bool
    support_text: str
    revisions: tuple[RevisionLine, ...]
    source: str
    feeds: tuple[FeedLink, ...]


_REGIONS: Final = 40


@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What is changed now, what is coming, and what is over: all of it, or what a filter or the reader's own checkout leaves."""
    reader = reader_of(request)
    asked = Filter.read(request.GET)
    found = board(reader.shop, reader.at, asked)
    mine = reader.visitor is not None and request.GET.get("mine") == "1"
    if mine:
        ids = affecting(request, reader, (each for phase in ("now", "coming") for each in found[phase]))
        found = {phase: tuple(each for each in found[phase] if each.announcement in ids) for phase in PHASES}
    titles = {"now": gettext("In force now"), "coming": gettext("Coming"), "past": gettext("Over")}
    parts = [
        PartView(phase, titles[phase], tuple(_line(each, reader) for each in found[phase][:PAST_SHOWN]))
        for phase in PHASES
    ]
    context = {
        "parts": parts,
        "empty": not any(part.notices for part in parts),
        "filters": _filters(reader, asked),
        "filtered": bool(asked.query) or mine,
        "shop_code": reader.shop_code,
        "known": reader.visitor is not None,
        "mine": mine,
        "all_url": reverse("announcements:index") + reader.query(),
        "ways_url": reverse("announcements:ways") + reader.query(),
        "guide_url": reverse("announcements:guide") + reader.query(),
        "subscribe_url": reverse("subscriptions:subscribe") + reader.query(),
        "feeds": _feeds(reader, asked),
        "shop": reader.shop,
    }
    return render(request, "announcements/index.html", context)


def _line(revision: Revision, reader: Reader) -> NoticeLine:
    document, voice = revision.document, reader.voice
    state, tone = state_word(revision, reader.now)
    moved = [
        gettext("%(name)s: %(before)s → %(after)s")
        % {"name": line.name, "before": line.before, "after": line.after}
        for line in _moved(revision, voice)
    ]
    return NoticeLine(
        url=reverse("announcements:notice", args=[revision.announcement]) + reader.query(),
        title=voice.text(document.title),
        reason=voice.text(document.reason),
        when=when_line(document, voice),
        moved=" · ".join(moved),
        plans=plan_names(policies.by_digest(document.policy_digest), document.plans, voice),
        state=state,
        tone=tone,
    )


def _moved(revision: Revision, voice: Voice) -> tuple[ChangeLine, ...]:
    """The times that this revision moved: old and new."""
    document = revision.document
    timed = {"since", "until", "next_update"}
    lines = zip(change_lines(document, voice), document.changes, strict=True)
    return tuple(line for line, change in lines if change.field in timed)


def _filters(reader: Reader, asked: Filter) -> tuple[FilterView, ...]:
    policy, voice = reader.policy, reader.voice

    def view(id: str, label: str, choices: Iterable[tuple[str, str]]) -> FilterView:
        chosen = getattr(asked, id)
        found = [Choice(value, text, value == chosen) for value, text in choices]
        if chosen and not any(choice.chosen for choice in found):
            found.append(Choice(chosen, chosen, True))
        return FilterView(id, label, (Choice("", gettext("all"), not chosen), *found))

    channels = policy.vocabulary["channel.kind"].values
    regions = sorted(
        {
            region
            for parts in board(reader.shop, reader.at).values()
            for each in parts
            for impact in each.document.impacts
            for region in impact.regions
        }
    )[:_REGIONS]
    found = [
        view(
            "funder",
            gettext("Funder"),
            ((each.id, voice.text(each.name)) for each in policy.funders.values()),
        ),
        view(
            "plan",
            gettext("Way to pay"),
            ((each.id, voice.text(each.name)) for each in policy.families.values()),
        ),
        view("channel", gettext("Channel"), ((each, channel_word(policy, each, voice)) for each in channels)),
    ]
    if regions or asked.region:
        found.append(view("region", gettext("Region"), ((each, each) for each in regions)))
    return tuple(found)


_FEED_NAMES: Final = {"atom": "Atom", "rss": "RSS", "json": "JSON", "ics": "iCalendar"}


def _feeds(reader: Reader, asked: Filter) -> tuple[FeedLink, ...]:
    query = {
        **({"shop": reader.shop_code} if reader.shop_code else {}),
        "lang": reader.voice.locale,
        **asked.query,
    }
    return tuple(
        FeedLink(
            name,
            FORMATS[format][0].partition(";")[0],
            f"{reverse('announcements:feed', args=[format])}?{urlencode(query)}",
        )
        for format, name in _FEED_NAMES.items()
    )


@never_cache
@require_safe
def notice(request: HttpRequest, notice: str) -> HttpResponse:
    """One announcement: why, since when, until when (old and new), who is affected and who is not, what to use instead."""
    reader = reader_of(request)
    found = revisions(reader.shop, notice)
    if not found:
        raise Http404("no such announcement")
    newest, voice = found[0], reader.voice
    document = newest.document
    policy = policies.by_digest(document.policy_digest)
    over = phase_of(newest, reader.now) == "past"
    offered_now = [plan for plan in document.plans if plan in reader.policy.plan_index]
    plan = request.GET.get("plan", "")
    about = plan if plan in offered_now else (offered_now[0] if offered_now else "")
    open_now = alternatives_now(request, reader, about, document.plans if not over else ())
    support = notify = ""
    if reader.visitor is not None:
        support = f"{reverse('support:new')}?{urlencode({'notice': notice})}"
    decision = open_now.decision
    if decision is not None and about:
        named = f"?{urlencode({'decision': decision.public_id, 'plan': about})}"
        support = f"{reverse('support:new')}{named}&{urlencode({'notice': notice})}"
        if open_now.missing:
            notify = reverse("subscriptions:ask") + named
    state, tone = state_word(newest, reader.now)
    impacts = impact_lines(policy, document, voice)
    view = NoticeView(
        title=voice.text(document.title),
        state=state,
        tone=tone,
        reason=voice.text(document.reason),
        note=voice.text(document.note) if document.note is not None else "",
        purpose=voice.text(document.purpose) if document.purpose is not None else "",
        since=voice.instant(document.since),
        until=until_line(document, voice),
        confidence=confidence_word(document.confidence) if document.until is not None else "",
        was=_moved(newest, voice),
        daily=next((impact.daily for impact in impacts if impact.daily), ""),
        next_update=voice.instant(document.next_update) if document.next_update is not None else "",
        affected=voice.text(document.affected),
        unaffected=voice.text(document.unaffected),
        plans=plan_names(policy, document.plans, voice),
        impacts=impacts,
        repayment=repayment_line(document, voice),
        compensation=tuple(compensation_line(each, voice) for each in document.compensation),
        grants=_grants(reader, notice),
        better=tuple(better_line(policy, each, voice) for each in document.betterments),
        over=over,
        checked=open_now.checked,
        ways=open_now.ways,
        notify=notify,
        support=support,
        list_url=reverse("announcements:index") + reader.query(),
        # One that is over has nothing more to tell; what comes next may touch the same ways to pay.
        subscribe_url=reverse("subscriptions:subscribe")
        + reader.query(**({} if over else {"announcement": notice})),
        personal=reader.visitor is not None,
        support_text=reader.shop.support_zh_cn if voice.locale == "zh-CN" else reader.shop.support_en,
        revisions=tuple(_revision_line(each, reader) for each in found),
        source=gettext("Revision %(n)s, made from the policy %(digest)s.")
        % {"n": newest.number, "digest": document.policy_digest[:19]},
        feeds=_feeds(reader, Filter()),
    )
    return render(request, "announcements/notice.html", {"notice": view, "shop": reader.shop})


def _grants(reader: Reader, announcement: str) -> tuple[GrantLine, ...]:
    if reader.visitor is None:
        return ()
    voice = reader.voice
    return tuple(
        GrantLine(compensation.name_line(each, voice), compensation.state_line(each, voice))
        for each in compensation.of_customer(reader.shop, reader.visitor.customer_id)
        if each.announcement == announcement
    )


def _revision_line(revision: Revision, reader: Reader) -> RevisionLine:
    document, voice = revision.document, reader.voice
    url = f"{settings.FENQI_ORIGIN}{reverse('announcements:notice', args=[revision.announcement])}"
    post = voice.text(document.post) if document.post is not None else voice.text(document.title)
    return RevisionLine(
        number=revision.number,
        kind=kind_word(revision.kind),
        at=voice.instant(to_epoch(revision.published_at)),
        changes=tuple(line for line in change_lines(document, voice) if line.before != line.after),
        post=f"{post} {url}{reader.query()}",
        card=reverse("announcements:card", args=[revision.announcement, revision.number, voice.locale])
        + reader.query(),
    )


# ------------------------------------------------------------------------------------------------- the ways to pay


class TermLine(msgspec.Struct, frozen=True):
    """One plan: whether it is open, and if not, why."""

    name: str
    state: str
    tone: str
    reasons: tuple[ReasonView, ...]


class WayLine(msgspec.Struct, frozen=True):
    """One family of plans in the list."""

    id: str
    name: str
    about: str
    url: str
    state: str
    tone: str
    terms: tuple[TermLine, ...]


@never_cache
@require_safe
def ways(request: HttpRequest) -> HttpResponse:
    """What can I use, and why: every way to pay, without a cart. For a known customer with their own reasons."""
    reader = reader_of(request)
    lines, checked = _way_lines(request, reader)
    context = {
        "ways": lines,
        "checked": checked,
        "known": reader.visitor is not None,
        "list_url": reverse("announcements:index") + reader.query(),
        "guide_url": reverse("announcements:guide") + reader.query(),
        "shop": reader.shop,
    }
    return render(request, "announcements/ways.html", context)


def _way_lines(request: HttpRequest, reader: Reader) -> tuple[list[WayLine], str]:
    voice, policy = reader.voice, reader.policy
    evaluation, checked = _answer(request, reader)
    lines = []
    for family in (policy.families[id] for group in evaluation.groups for id in group.families):
        terms = []
        for option in (each for each in evaluation.options if each.family == family.id):
            reasons = option.verdict.reasons if reader.visitor is not None else off_for_everybody(option)
            is_open = option.offered if reader.visitor is not None else not reasons
            terms.append(
                TermLine(
                    option_name(policy, option.plan, voice),
                    gettext("open") if is_open else _back(option, voice, reader),
                    "good" if is_open else "warn",
                    tuple(reason_view(policy, reason, voice) for reason in reasons),
                )
            )
        off = sum(term.tone != "good" for term in terms)
        state, tone = gettext("open"), "good"
        if off:
            state = gettext("not open") if off == len(terms) else gettext("open in part")
            tone = "warn"
        lines.append(
            WayLine(
                family.id,
                voice.text(family.name),
                gettext("%(form)s · from %(funder)s")
                % {
                    "form": legal_form_name(family.legal_form),
                    "funder": voice.text(policy.funders[family.funder].name),
                },
                reverse("announcements:way", args=[family.id]) + reader.query(),
                state,
                tone,
                tuple(terms),
            )
        )
    return lines, checked


def _back(option, voice: Voice, reader: Reader) -> str:
    if reader.visitor is not None:
        return until_text(option.verdict, voice)
    return gettext("off for everybody now")


def _answer(request: HttpRequest, reader: Reader):
    """The engine's answer: to the customer's own question, or for an example to a reader of whom nothing is known."""
    from fenqi.money import CURRENCIES
    from fenqi_server.announcements.guide import EXAMPLE_MAJOR, example_evaluation

    voice = reader.voice
    if reader.visitor is not None:
        decision, own = own_decision(request, reader.visitor, "ways")
        amount = voice.money(decision.evaluation.amount_minor)
        if own:
            return decision.evaluation, gettext(
                "Asked just now for you, for the order in your cart of %(amount)s."
            ) % {"amount": amount}
        return decision.evaluation, gettext(
            "Asked just now for you, for an order of %(amount)s as an example."
        ) % {"amount": amount}
    minor = EXAMPLE_MAJOR * 10 ** CURRENCIES[reader.shop.currency]
    evaluation = example_evaluation(reader.shop, reader.policy, minor, reader.at)
    return evaluation, gettext(
        "What is the same for everybody now, for an order of %(amount)s of ordinary goods. Your own checkout decides for you."
    ) % {"amount": voice.money(minor)}


class BarView(msgspec.Struct, frozen=True):
    """A day of the picture: the taller and the more hatched, the worse."""

    x: int
    y: int
    height: int
    kind: str


class SpanLine(msgspec.Struct, frozen=True):
    """A stretch of the history."""

    effect: str
    what: str
    who: str
    start: str
    end: str
    daily: str
    title: str
    url: str


_HEIGHTS: Final = {
    "paused": 40,
    "limited": 28,
    "demoted": 18,
    "changed": 14,
    "restored": 10,
    "new": 10,
    "": 5,
}
_STEP: Final = 8


@never_cache
@require_safe
def way(request: HttpRequest, family: str) -> HttpResponse:
    """One way to pay: how it is now, and what its last ninety days were."""
    reader = reader_of(request)
    policy, voice = reader.policy, reader.voice
    if family not in policy.families:
        raise Http404("no such way to pay")
    lines, checked = _way_lines(request, reader)
    own = next(line for line in lines if line.id == family)
    spans = spans_of(reader.shop, family, reader.now)
    days = days_of(spans, reader.shop, reader.now)
    troubled = sum(day.effect in ("paused", "limited") for day in days)
    context = {
        "way": own,
        "checked": checked,
        "known": reader.visitor is not None,
        "bars": [_bar(number, day) for number, day in enumerate(days)],
        "width": DAYS * _STEP,
        "first": voice.day(days[0].on),
        "last": voice.day(days[-1].on),
        "summary": gettext("%(off)s of %(all)s days with a pause or a limit")
        % {"off": troubled, "all": DAYS},
        "spans": [_span_line(span, policy, reader) for span in spans],
        "coming": [
            _line(each, reader) for each in board(reader.shop, reader.at, Filter(plan=family))["coming"]
        ],
        "ways_url": reverse("announcements:ways") + reader.query(),
        "feeds": _feeds(reader, Filter(plan=family)),
        "shop": reader.shop,
    }
    return render(request, "announcements/way.html", context)


def _bar(number: int, day: Day) -> BarView:
    height = _HEIGHTS[day.effect]
    if day.effect and day.part:
        height -= 4
    return BarView(number * _STEP, 44 - height, height, day.effect or "open")


def _span_line(span: Span, policy: Policy, reader: Reader) -> SpanLine:
    from fenqi.calendars import format_minute

    voice = reader.voice
    daily = ""
    if span.daily is not None:
        daily = pgettext("daily", "every day %(start)s to %(end)s") % {
            "start": format_minute(span.daily[0]),
            "end": format_minute(span.daily[1]),
        }
    return SpanLine(
        effect=effect_word(span.effect),
        what=plan_names(policy, span.plans, voice),
        who=voice.text(span.segment) if span.segment is not None else "",
        start=voice.instant(span.start),
        end=voice.instant(span.end) if span.end is not None else gettext("goes on"),
        daily=daily,
        title=voice.text(span.title),
        url=reverse("announcements:notice", args=[span.announcement]) + reader.query(),
    )
