"""The console's home: what is off, what is about to be, what waits, and what shoppers met this hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext

from fenqi.calendars import to_epoch
from fenqi.policy.catalogue import CATALOGUE
from fenqi.policy.compile import Policy, place
from fenqi.policy.reasons import reason_texts
from fenqi.policy.verdict import Reason
from fenqi_server import clock
from fenqi_server.console import availability
from fenqi_server.console.access import Staff
from fenqi_server.console.availability import Happening, Stretch
from fenqi_server.console.waiting import Waiting, waiting_for
from fenqi_server.decisions import encounters
from fenqi_server.decisions.encounters import Encounters, Went
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice, locale_now

__all__ = [
    "Home",
    "NoticeLink",
    "ReasonLine",
    "family_name",
    "forget_counts",
    "home_of",
    "layer_name",
    "notice_link",
    "often",
    "plans_text",
    "reason_line",
    "voice_of",
]

AHEAD: Final = timedelta(days=7)
LOWER_DAYS: Final = timedelta(days=60)
"""How long a change of place is still news."""
COUNT_SECONDS: Final = 15.0
"""Counting a busy hour takes a second: who reloads the page gets the count of a moment ago."""


class NoticeLink(msgspec.Struct, frozen=True):
    title: str
    url: str


class ReasonLine(msgspec.Struct, frozen=True):
    """One reason that keeps a way from everybody."""

    family: str
    plans: str
    whole: bool
    layer: str
    title: str
    rule: str
    since: str
    until: str
    notice: NoticeLink | None


class ComingLine(msgspec.Struct, frozen=True):
    """Something that will happen by itself: a way goes, comes back, or a policy takes over."""

    at: int
    when: str
    family: str
    plans: str
    what: str
    tone: str
    until: str
    often: str
    notice: NoticeLink | None


class MovedLine(msgspec.Struct, frozen=True):
    family: str
    since: str
    reason: str
    notice: NoticeLink | None


class MetLine(msgspec.Struct, frozen=True):
    """A reason, who met it, and where they went: (where, how many)."""

    code: str
    title: str
    shoppers: int
    unnamed: int
    went: tuple[tuple[str, int], ...]


class HourView(msgspec.Struct, frozen=True):
    start: str
    end: str
    shoppers: int
    unnamed: int
    left_without: int
    met: tuple[MetLine, ...]


class Home(msgspec.Struct, frozen=True):
    """Everything on the page. `policy` is None before the first publication."""

    policy: Policy | None
    off: tuple[ReasonLine, ...]
    coming: tuple[ComingLine, ...]
    moved: tuple[MovedLine, ...]
    waiting: tuple[Waiting, ...]
    hour: HourView | None


def voice_of(shop: Shop, at: datetime) -> Voice:
    """How the console speaks of this shop to this reader."""
    return Voice(locale_now(), shop.currency, shop.time_zone, to_epoch(at))


def home_of(staff: Staff, at: datetime) -> Home:
    """The home of one person at one instant."""
    shop = staff.shop
    waiting = waiting_for(staff, at)
    try:
        policy = policies.current(shop.id, at)
    except policies.NoPolicy:
        return Home(None, (), (), (), waiting, None)
    voice = voice_of(shop, at)
    now = to_epoch(at)
    ways = availability.ways(shop, now, to_epoch(at + AHEAD), at)
    off = [
        reason_line(
            stretch.policy, way.family, cause.reason, cause.plans, len(cause.plans) == stretch.plans, voice
        )
        for way in ways
        if (stretch := way.at(now)) is not None
        for cause in stretch.causes
    ]
    coming = [line for way in ways for line in _coming(way, now, voice)]
    coming += _policies_to_come(shop, at, voice)
    moved = _moved(policy, availability.moves(policy, to_epoch(at - LOWER_DAYS), now + 1), voice)
    hour = _hour(policy, _counted(shop, at), voice)
    return Home(
        policy, tuple(off), tuple(sorted(coming, key=lambda line: line.at)), tuple(moved), waiting, hour
    )


# ---------------------------------------------------------------------------------------------------- in words


def family_name(policy: Policy, family: str, voice: Voice) -> str:
    known = policy.families.get(family)
    return voice.text(known.name) if known is not None else family


def plans_text(policy: Policy, plans: tuple[str, ...], whole: bool, voice: Voice) -> str:
    """Which terms of a family: all of it, or "3 / 6 instalments"."""
    if whole:
        return gettext("all of it")
    return voice.terms(sorted(policy.plan(plan).periods for plan in plans))


def layer_name(layer: str) -> str:
    """Where a reason comes from, in a word."""
    from fenqi_server.support.desk import layer_name as name

    return name(layer)


def notice_link(policy: Policy, notice: str | None, voice: Voice) -> NoticeLink | None:
    known = policy.notices.get(notice) if notice else None
    if known is None:
        return None
    return NoticeLink(voice.text(known.title), reverse("announcements:notice", args=[known.id]))


def reason_line(
    policy: Policy, family: str, reason: Reason, plans: tuple[str, ...], whole: bool, voice: Voice
) -> ReasonLine:
    """A reason as the console tells it: since when, until when, and which notice says so to the public."""
    return ReasonLine(
        family=family_name(policy, family, voice),
        plans=plans_text(policy, plans, whole, voice),
        whole=whole,
        layer=layer_name(reason.layer),
        title=reason_texts(policy, reason, "operator", voice.locale, year=voice.year).title,
        rule=reason.rule,
        since=voice.instant(reason.since) if reason.since is not None else gettext("not known"),
        until=_until(reason, voice),
        notice=notice_link(policy, reason.notice, voice),
    )


def _until(reason: Reason, voice: Voice) -> str:
    if reason.until.kind == "instant" and reason.until.at is not None:
        return voice.instant(reason.until.at)
    return gettext("not known") if reason.until.kind == "unknown" else gettext("does not end by itself")


def _moved(policy: Policy, moves: tuple[availability.Move, ...], voice: Voice) -> list[MovedLine]:
    """The changes of place, families that moved together in one line."""
    lines: dict[tuple[int, str, str | None], list[str]] = {}
    for move in moves:
        key = (move.since, _moved_why(policy, move, voice), move.notice)
        lines.setdefault(key, []).append(family_name(policy, move.family, voice))
    return [
        MovedLine(
            pgettext("between things listed", ", ").join(families),
            voice.instant(since),
            why,
            notice_link(policy, notice, voice),
        )
        for (since, why, notice), families in lines.items()
    ]


def _moved_why(policy: Policy, move: availability.Move, voice: Voice) -> str:
    reasons = (
        placed.reason
        for plan, placed in place(policy, move.since).items()
        if placed.placement == move.placement and policy.plan(plan).family == move.family
    )
    reason = next(reasons, None)
    return voice.text(reason) if reason is not None else gettext("no reason is recorded")


def _coming(way: availability.Way, now: int, voice: Voice) -> list[ComingLine]:
    lines = []
    end = max(stretch.end for stretch in way.stretches)
    for happening in availability.happenings(way):
        policy = happening.policy
        texts = reason_texts(policy, happening.reason, "operator", voice.locale, year=voice.year)
        name = family_name(policy, way.family, voice)
        plans = plans_text(policy, happening.plans, happening.whole, voice)
        link = notice_link(policy, happening.reason.notice, voice)
        if happening.start > now:
            lines.append(
                ComingLine(
                    happening.start,
                    voice.instant(happening.start),
                    name,
                    plans,
                    gettext("off: %(reason)s") % {"reason": texts.title},
                    "warn",
                    voice.instant(happening.end) if happening.end < end else _until(happening.reason, voice),
                    often(happening, end, voice),
                    link,
                )
            )
        elif happening.end < end:
            lines.append(
                ComingLine(
                    happening.end,
                    voice.instant(happening.end),
                    name,
                    plans,
                    _ended(way.at(happening.end), happening, texts.title),
                    "good",
                    "",
                    often(happening, end, voice),
                    link,
                )
            )
    return lines


def _ended(after: Stretch | None, happening: Happening, title: str) -> str:
    """What is true once a reason is over: open again, unless another reason still stands in the way of the same plans."""
    still = {plan for cause in after.causes for plan in cause.plans} if after is not None else set()
    if after is None or still & set(happening.plans):
        return gettext("one reason less: %(reason)s") % {"reason": title}
    return gettext("open again: %(reason)s is over") % {"reason": title}


def often(happening: Happening, end: int, voice: Voice) -> str:
    """How many more times, and until when; what goes on past the end of what was looked at has no last time here."""
    if not happening.again:
        return ""
    if happening.last_end >= end:
        return ngettext("and %(n)s more time", "and %(n)s more times", happening.again) % {
            "n": happening.again
        }
    return ngettext(
        "and %(n)s more time, until %(last)s", "and %(n)s more times, until %(last)s", happening.again
    ) % {"n": happening.again, "last": voice.instant(happening.last_end)}


def _policies_to_come(shop: Shop, at: datetime, voice: Voice) -> list[ComingLine]:
    return [
        ComingLine(
            to_epoch(made.valid_from),
            voice.instant(made.valid_from),
            "",
            "",
            gettext("another policy comes into force, published by %(actor)s") % {"actor": made.actor},
            "",
            "",
            "",
            None,
        )
        for made in policies.publications(shop.id)
        if at < made.valid_from <= at + AHEAD
    ]


# --------------------------------------------------------------------------------------------------- this hour

_counts: dict[UUID, tuple[float, datetime, Encounters]] = {}


def _counted(shop: Shop, at: datetime) -> Encounters:
    """The hour up to `at`, or up to a few seconds before it where that was counted just now."""
    tick = clock.system_now().timestamp()
    known = _counts.get(shop.id)
    if (
        known is not None
        and known[0] > tick
        and timedelta(0) <= at - known[1] <= timedelta(seconds=COUNT_SECONDS)
    ):
        return known[2]
    found = encounters.between(shop, at - timedelta(hours=1), at + timedelta(milliseconds=1))
    _counts[shop.id] = (tick + COUNT_SECONDS, at, found)
    return found


def forget_counts() -> None:
    """Count anew, as after the database was replaced under a test."""
    _counts.clear()


def _hour(policy: Policy, found: Encounters, voice: Voice) -> HourView:
    met = tuple(
        MetLine(
            each.code,
            voice.text(CATALOGUE[each.code].title) if each.code in CATALOGUE else each.code,
            each.shoppers,
            each.unnamed,
            tuple((_where(policy, went, voice), went.shoppers) for went in each.went),
        )
        for each in found.met
    )
    return HourView(
        voice.instant(found.start),
        voice.instant(found.end),
        found.shoppers,
        found.unnamed,
        found.left_without,
        met,
    )


def _where(policy: Policy, went: Went, voice: Voice) -> str:
    name = family_name(policy, went.family, voice)
    if went.way == "confirmed":
        return gettext("agreed to %(family)s") % {"family": name}
    if went.way == "handed_off":
        return gettext("went on to %(family)s") % {"family": name}
    return gettext("nothing so far")
