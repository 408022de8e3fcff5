"""An announcement in a reader's words. Pages, feeds, cards and the API say the same, because all of them say it here.

The texts of the operators come from the document; the words around them from the catalogue, in the language in force
(`speaking` sets it for whatever is not a page).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Final

import msgspec
from django.utils import translation
from django.utils.translation import gettext, pgettext

from fenqi.calendars import format_minute
from fenqi.policy.compile import Policy
from fenqi_server.announcements.document import (
    BettermentRecord,
    CompensationRecord,
    Difference,
    Document,
    ImpactRecord,
)
from fenqi_server.announcements.lifecycle import Revision
from fenqi_server.announcements.reading import phase_of
from fenqi_server.storefront.voice import Voice

__all__ = [
    "LANGUAGES",
    "ChangeLine",
    "ImpactLine",
    "act_word",
    "better_line",
    "change_lines",
    "channel_word",
    "compensation_line",
    "confidence_word",
    "effect_word",
    "impact_lines",
    "kind_word",
    "plain_text",
    "plan_names",
    "repayment_line",
    "speaking",
    "state_word",
    "until_line",
    "when_line",
]

LANGUAGES: Final = {"zh-CN": "zh-hans", "en": "en"}


@contextmanager
def speaking(locale: str) -> Iterator[None]:
    """Inside, the catalogue speaks this language: for feeds and pictures, which have one of their own."""
    with translation.override(LANGUAGES[locale]):
        yield


class ImpactLine(msgspec.Struct, frozen=True):
    """One impact as a line of a table."""

    act: str
    effect: str
    tone: str
    what: str
    where: str
    who: str
    start: str
    end: str
    daily: str
    code: str


class ChangeLine(msgspec.Struct, frozen=True):
    """One thing that was said otherwise before."""

    name: str
    before: str
    after: str


_TONES: Final = {
    "paused": "bad",
    "limited": "warn",
    "demoted": "warn",
    "changed": "",
    "restored": "good",
    "new": "good",
}


def effect_word(effect: str) -> str:
    """What happens to a way to pay."""
    return {
        "paused": pgettext("effect", "paused"),
        "limited": pgettext("effect", "limited"),
        "demoted": pgettext("effect", "moved down"),
        "changed": pgettext("effect", "changed"),
        "restored": pgettext("effect", "back"),
        "new": pgettext("effect", "new"),
    }.get(effect, effect)


def act_word(act: str) -> str:
    """What a customer does, that an impact is about."""
    return {
        "buy": pgettext("act", "new orders"),
        "repay": pgettext("act", "repayments"),
        "pay_off": pgettext("act", "paying off early"),
        "refund": pgettext("act", "refunds"),
        "autopay": pgettext("act", "automatic payments"),
    }.get(act, act)


def kind_word(kind: str) -> str:
    """What a revision does."""
    return {
        "published": pgettext("revision", "Published"),
        "updated": pgettext("revision", "Updated"),
        "resolved": pgettext("revision", "Over"),
        "restored": pgettext("revision", "Back"),
        "retracted": pgettext("revision", "Withdrawn"),
    }.get(kind, kind)


def channel_word(policy: Policy, channel: str, voice: Voice) -> str:
    """Where an order is placed, as the vocabulary calls it."""
    label = policy.vocabulary["channel.kind"].value_labels.get(channel)
    return voice.text(label) if label is not None else channel


def confidence_word(confidence: str) -> str:
    """How sure a stated end is."""
    return {
        "fixed": pgettext("confidence", "fixed"),
        "estimate": pgettext("confidence", "estimate"),
    }.get(confidence, pgettext("confidence", "not known"))


def state_word(revision: Revision, at: int) -> tuple[str, str]:
    """Where an announcement stands, in a word, and its tone. The word says it; the tone is only a further sign."""
    if revision.state == "retracted":
        return pgettext("notice", "withdrawn"), ""
    if revision.kind == "restored":
        return pgettext("notice", "back"), "good"
    return {
        "coming": (pgettext("notice", "coming"), ""),
        "now": (pgettext("notice", "in force"), "warn"),
        "past": (pgettext("notice", "over"), "good"),
    }[phase_of(revision, at)]


def until_line(document: Document, voice: Voice) -> str:
    """Until when. A rule that stands, such as the one about blind boxes, is no outage whose end nobody knows."""
    if document.until is not None:
        return voice.instant(document.until)
    return gettext("not known yet") if document.next_update is not None else gettext("no end is set")


def when_line(document: Document, voice: Voice) -> str:
    """Since when and until when, in a line."""
    since = gettext("since %(at)s") % {"at": voice.instant(document.since)}
    if document.until is not None:
        end = gettext("until %(at)s") % {"at": voice.instant(document.until)}
    elif document.next_update is not None:
        end = gettext("when it ends is not known yet")
    else:
        end = gettext("no end is set")
    return f"{since} · {end}"


def plan_names(policy: Policy, plans: tuple[str, ...], voice: Voice) -> str:
    """Plans as people call them: each family once, with its terms."""
    families: dict[str, list[int]] = {}
    for plan_id in plans:
        if plan_id in policy.plan_index:
            plan = policy.plan(plan_id)
            families.setdefault(plan.family, [])
            if plan.legal_form != "full_payment":
                families[plan.family].append(plan.periods)
    names = []
    for family, periods in families.items():
        name = voice.text(policy.families[family].name)
        names.append(
            gettext("%(family)s, %(terms)s") % {"family": name, "terms": voice.terms(sorted(periods))}
            if periods
            else name
        )
    return pgettext("between groups", "; ").join(names)


def impact_lines(policy: Policy, document: Document, voice: Voice) -> tuple[ImpactLine, ...]:
    """What an announcement does, impact by impact."""
    return tuple(_impact_line(policy, impact, voice) for impact in document.impacts)


def _impact_line(policy: Policy, impact: ImpactRecord, voice: Voice) -> ImpactLine:
    comma = pgettext("between names", ", ")
    where = [channel_word(policy, channel, voice) for channel in impact.channels]
    where += impact.regions
    daily = ""
    if impact.daily is not None:
        daily = gettext("%(start)s to %(end)s") % {
            "start": format_minute(impact.daily[0]),
            "end": format_minute(impact.daily[1]),
        }
    return ImpactLine(
        act=act_word(impact.act),
        effect=effect_word(impact.effect),
        tone=_TONES.get(impact.effect, ""),
        what=plan_names(policy, impact.plans, voice),
        where=comma.join(where) or gettext("everywhere"),
        who=voice.text(impact.segment) if impact.segment is not None else gettext("everybody"),
        start=voice.instant(impact.start) if impact.start is not None else "",
        end=voice.instant(impact.end) if impact.end is not None else gettext("not set"),
        daily=daily,
        code=impact.code,
    )


_INSTANTS: Final = frozenset({"since", "until", "next_update"})


def change_lines(document: Document, voice: Voice) -> tuple[ChangeLine, ...]:
    """What the revision before said otherwise: old and new."""
    return tuple(_change_line(change, voice) for change in document.changes)


def _change_line(change: Difference, voice: Voice) -> ChangeLine:
    name = {
        "title": gettext("Title"),
        "reason": gettext("Why"),
        "affected": gettext("Affected"),
        "unaffected": gettext("Not affected"),
        "since": gettext("Since"),
        "until": gettext("Until"),
        "next_update": gettext("Next news by"),
        "confidence": gettext("How sure the end is"),
        "plans": gettext("Ways to pay concerned"),
        "impacts": gettext("What changes"),
        "purpose": gettext("What it is for"),
        "repayment": gettext("Repayments"),
        "compensation": gettext("Compensation"),
        "percent": gettext("Share of customers"),
    }.get(change.field, change.field)
    before, after = (_said(change.field, value, voice) for value in (change.before, change.after))
    return ChangeLine(name, before, after)


def _said(field: str, value: Any, voice: Voice) -> str:
    if value is None or value == []:
        return gettext("not set")
    if field in _INSTANTS:
        return voice.instant(int(value))
    if field == "percent":
        return f"{value}%"
    if field == "confidence":
        return confidence_word(value)
    if field == "repayment":
        return gettext("due dates move to %(day)s") % {
            "day": voice.day(date.fromisoformat(value["due_moves_to"]))
        }
    if isinstance(value, dict) and voice.locale in value:
        return str(value[voice.locale])
    # A list of impacts, plans or terms is told as it is now, in its own part of the page.
    return gettext("%(n)s entries") % {"n": len(value)} if isinstance(value, list) else str(value)


def repayment_line(document: Document, voice: Voice) -> str:
    """What becomes of due dates; empty where nothing does."""
    found = document.repayment
    if found is None:
        return ""
    return gettext(
        "What is due between %(start)s and %(end)s is due on %(day)s instead. Nothing is charged for it."
    ) % {
        "start": voice.instant(found.start),
        "end": voice.instant(found.end),
        "day": voice.day(date.fromisoformat(found.due_moves_to)),
    }


def compensation_line(found: CompensationRecord, voice: Voice) -> str:
    """What those whom it hit get."""
    parts = [voice.text(found.name)]
    if found.amount_minor:
        parts.append(voice.money(found.amount_minor))
    if found.hours:
        parts.append(gettext("for %(n)s hours") % {"n": found.hours})
    return " · ".join(parts)


def better_line(policy: Policy, found: BettermentRecord, voice: Voice) -> ChangeLine:
    """What got better in one way to pay: before and after."""
    what = {
        "fee": gettext("fee"),
        "annual_cost": gettext("annual cost"),
        "max": gettext("highest amount"),
        "min": gettext("lowest amount"),
        "new_term": gettext("new term"),
    }.get(found.what, found.what)
    name = gettext("%(name)s: %(value)s") % {
        "name": plan_names(policy, (found.plan,), voice),
        "value": what
        if found.amount_minor is None
        else gettext("%(what)s for an order of %(amount)s")
        % {"what": what, "amount": voice.money(found.amount_minor)},
    }
    return ChangeLine(name, *(_figure(found.what, value, voice) for value in (found.before, found.after)))


def _figure(what: str, value: int | None, voice: Voice) -> str:
    if value is None:
        return gettext("none")
    if what == "annual_cost":
        return voice.rate(value)
    return voice.terms([value]) if what == "new_term" else voice.money(value)


def plain_text(revision: Revision, policy: Policy, voice: Voice) -> str:
    """A revision as plain text, for feeds and calendars: what is said on its page, line by line."""
    document = revision.document
    lines = [voice.text(document.note)] if document.note is not None else []
    lines.append(voice.text(document.reason))
    lines += [
        gettext("%(name)s: %(before)s → %(after)s")
        % {"name": line.name, "before": line.before, "after": line.after}
        for line in change_lines(document, voice)
        if line.before and line.after
    ]
    facts = [
        (gettext("Since"), voice.instant(document.since)),
        (gettext("Until"), until_line(document, voice)),
        (
            gettext("Next news by"),
            voice.instant(document.next_update) if document.next_update is not None else "",
        ),
        (gettext("Affected"), voice.text(document.affected)),
        (gettext("Not affected"), voice.text(document.unaffected)),
        (gettext("Ways to pay concerned"), plan_names(policy, document.plans, voice)),
        (gettext("Repayments"), repayment_line(document, voice)),
    ]
    lines += [
        gettext("%(name)s: %(value)s") % {"name": name, "value": value} for name, value in facts if value
    ]
    lines += [compensation_line(each, voice) for each in document.compensation]
    better = [better_line(policy, each, voice) for each in document.betterments]
    lines += [
        gettext("%(name)s: %(before)s → %(after)s")
        % {"name": line.name, "before": line.before, "after": line.after}
        for line in better
    ]
    return "\n".join(lines)
