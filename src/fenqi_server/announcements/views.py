"""Notices made from the policy in force, the wish to be told, and the demo's mailbox."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fenqi.calendars import format_minute, to_epoch
from fenqi.policy.compile import Policy
from fenqi.policy.snapshot import Notice, selects
from fenqi_server import clock
from fenqi_server.decisions import service as decisions
from fenqi_server.demo.catalogue import PRODUCTS
from fenqi_server.policies import service as policies
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop
from fenqi_server.storefront import cart
from fenqi_server.storefront.selector import (
    WayView,
    compared_with,
    open_ways,
    option_name,
)
from fenqi_server.storefront.views import CHANNEL, decide_cart
from fenqi_server.storefront.visitor import Visitor, visitor_of
from fenqi_server.storefront.voice import Voice, locale_now


class Reader(msgspec.Struct, frozen=True):
    """Who reads a notice: the demo's visitor, or anybody at all, of whom nothing is known or asked."""

    shop: Shop
    at: datetime
    policy: Policy
    visitor: Visitor | None
    query: str
    """What an address of another notice needs to stay with the same shop."""

    @property
    def voice(self) -> Voice:
        return Voice(locale_now(), self.shop.currency, self.shop.time_zone, to_epoch(self.at))


class NoticeLine(msgspec.Struct, frozen=True):
    """A notice in the list."""

    url: str
    title: str
    reason: str
    since: str
    until: str
    state: str
    tone: str


class PartView(msgspec.Struct, frozen=True):
    id: str
    title: str
    notices: tuple[NoticeLine, ...]


class NoticeView(msgspec.Struct, frozen=True):
    """A notice's page. The alternatives are asked of the engine when it is read."""

    title: str
    state: str
    tone: str
    reason: str
    since: str
    until: str
    daily: str
    next_update: str
    affected: str
    unaffected: str
    plans: str
    source: str
    checked: str
    ways: tuple[WayView, ...]
    notify: str
    support: str
    list_url: str
    personal: bool
    support_text: str


def _reader(request: HttpRequest) -> Reader:
    """Notices are public facts: outside the demo, too, of the first shop, or of the one that `?shop=` names."""
    if settings.FENQI_DEMO:
        visitor = visitor_of(request)
        return Reader(visitor.shop, visitor.at, visitor.policy, visitor, "")
    at, code = clock.now(), request.GET.get("shop", "")
    try:
        shop = shops.by_code(code) if code else shops.only_shop()
        policy = policies.current(shop.id, at)
    except (Shop.DoesNotExist, policies.NoPolicy):
        raise Http404("no such shop, or none with a policy in force") from None
    return Reader(shop, at, policy, None, "?" + urlencode({"shop": code}) if code else "")


@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What is changed now, what is coming, and what is over."""
    reader = _reader(request)
    now = to_epoch(reader.at)
    parts = {
        "now": (gettext("In force now"), []),
        "coming": (gettext("Coming"), []),
        "past": (gettext("Over"), []),
    }
    for found in sorted(reader.policy.notices.values(), key=lambda notice: -notice.since):
        parts[_phase(found, now)][1].append(_line(found, reader, now))
    views = [PartView(name, title, tuple(lines)) for name, (title, lines) in parts.items()]
    return render(request, "announcements/index.html", {"parts": views, "shop": reader.shop})


def _phase(notice: Notice, now: int) -> str:
    if now < notice.since:
        return "coming"
    return "past" if notice.until is not None and notice.until <= now else "now"


def _state(notice: Notice, now: int) -> tuple[str, str]:
    return {
        "coming": (pgettext("notice", "coming"), ""),
        "now": (pgettext("notice", "in force"), "warn"),
        "past": (pgettext("notice", "over"), "good"),
    }[_phase(notice, now)]


def _since(notice: Notice, voice: Voice) -> str:
    return voice.instant(notice.since)


def _until(notice: Notice, voice: Voice) -> str:
    if notice.until is not None:
        return voice.instant(notice.until)
    # A rule that stands, such as the one about blind boxes, is not an outage whose end nobody knows.
    return gettext("not known yet") if notice.next_update is not None else gettext("no end is set")


def _line_end(notice: Notice, voice: Voice) -> str:
    if notice.until is not None:
        return gettext("until %(at)s") % {"at": _until(notice, voice)}
    if notice.next_update is not None:
        return gettext("when it ends is not known yet")
    return _until(notice, voice)


def _line(notice: Notice, reader: Reader, now: int) -> NoticeLine:
    voice = reader.voice
    state, tone = _state(notice, now)
    return NoticeLine(
        reverse("announcements:notice", args=[notice.id]) + reader.query,
        voice.text(notice.title),
        voice.text(notice.reason),
        gettext("since %(at)s") % {"at": _since(notice, voice)},
        _line_end(notice, voice),
        state,
        tone,
    )


@never_cache
@require_safe
def notice(request: HttpRequest, notice: str) -> HttpResponse:
    """One notice: why, since when, until when, who is affected and who is not, and what to use instead."""
    reader = _reader(request)
    found = reader.policy.notices.get(notice)
    if found is None:
        raise Http404("no such notice")
    voice, now = reader.voice, to_epoch(reader.at)
    plans = concerned_plans(reader.policy, found)
    plan = request.GET.get("plan", "")
    about = plan if plan in plans else (plans[0] if plans else "")
    ways: tuple[WayView, ...] = ()
    checked, decision, support, notify = "", None, "", ""
    if reader.visitor is not None:
        ways, checked, decision = _ways(request, reader.visitor, about, plans)
        support = reverse("support:new")
    state, tone = _state(found, now)
    if decision and about:
        named = f"?decision={decision.public_id}&plan={about}"
        support += named
        if not decision.evaluation.option(about).offered:
            notify = reverse("subscriptions:ask") + named
    view = NoticeView(
        title=voice.text(found.title),
        state=state,
        tone=tone,
        reason=voice.text(found.reason),
        since=_since(found, voice),
        until=_until(found, voice),
        daily=_daily(reader.policy, found),
        next_update=voice.instant(found.next_update) if found.next_update is not None else "",
        affected=voice.text(found.affected),
        unaffected=voice.text(found.unaffected),
        plans=pgettext("between names", ", ").join(option_name(reader.policy, plan, voice) for plan in plans),
        source=gettext("Made from the policy in force (%(digest)s).") % {"digest": reader.policy.digest[:19]},
        checked=checked,
        ways=ways,
        notify=notify,
        support=support,
        list_url=reverse("announcements:index") + reader.query,
        personal=reader.visitor is not None,
        support_text=reader.shop.support_zh_cn if voice.locale == "zh-CN" else reader.shop.support_en,
    )
    return render(request, "announcements/notice.html", {"notice": view, "shop": reader.shop})


def concerned_plans(policy: Policy, notice: Notice) -> tuple[str, ...]:
    """The plans that a notice is about: those it names, else those of the rules it names."""
    if notice.plans:
        return tuple(plan for plan in notice.plans if plan in policy.plan_index)
    rules = [policy.rules[policy.rule_index[rule]] for rule in notice.rules if rule in policy.rule_index]
    return tuple(plan.id for plan in policy.plans if any(selects(rule.applies, plan) for rule in rules))


def _daily(policy: Policy, notice: Notice) -> str:
    for rule in notice.rules:
        index = policy.rule_index.get(rule)
        window = policy.rules[index].daily if index is not None else None
        if window is not None:
            return gettext("%(start)s to %(end)s") % {
                "start": format_minute(window.start),
                "end": format_minute(window.end),
            }
    return ""


def _ways(
    request: HttpRequest, visitor: Visitor, about: str, plans: tuple[str, ...]
) -> tuple[tuple[WayView, ...], str, decisions.Decision | None]:
    """What is open instead, asked just now: for the visitor's cart, or for a product as an example."""
    voice = visitor.voice
    if cart.items(request.session):
        decision, _ = decide_cart(request, visitor, source="notice")
        ways = open_ways(
            visitor.policy, decision.evaluation, voice, decision.public_id, than=about or None, without=plans
        )
        checked = gettext("Checked just now for you and the order in your cart.")
        compared = compared_with(visitor.policy, decision.evaluation, about, voice)
        return ways, f"{checked} {compared}".rstrip(), decision
    example = PRODUCTS[0]
    decision = decisions.evaluate(
        visitor.shop,
        visitor.customer_id,
        cart.lines_of((cart.CartItem(example, 1),)),
        CHANNEL,
        visitor.asserted,
        visitor.at,
        source="notice",
    )
    ways = open_ways(
        visitor.policy, decision.evaluation, voice, decision.public_id, than=about or None, without=plans
    )
    plain = tuple(msgspec.structs.replace(way, url="") for way in ways)
    checked = gettext("Checked just now for you, with %(product)s as an example.") % {
        "product": voice.text(example.title)
    }
    compared = compared_with(visitor.policy, decision.evaluation, about, voice)
    return plain, f"{checked} {compared}".rstrip(), None
