"""The words of every message, in the reader's language: a question, a revision, "it is back", "it is over".

Operators' words come from the policy. They go in as text, each piece made one line, so that none can pass for a
line of ours; what makes HTML of a letter escapes all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext, pgettext

from fenqi.calendars import to_epoch
from fenqi.policy.compile import Policy
from fenqi.texts import Text
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.selector import option_name
from fenqi_server.storefront.voice import Voice
from fenqi_server.subscriptions.ports import Letter
from fenqi_server.subscriptions.said import Moved, Said

__all__ = ["DJANGO_LANGUAGE", "back", "confirm", "over", "payload_of", "revision", "scope_text"]

DJANGO_LANGUAGE: Final = {"zh-CN": "zh-hans", "en": "en"}
FINAL: Final = frozenset({"resolved", "restored", "retracted"})


def _voice(shop: Shop, locale: str, at: datetime) -> Voice:
    return Voice(locale, shop.currency, shop.time_zone, to_epoch(at))


def _plain(text: str) -> str:
    """Somebody else's words as one line without anything invisible."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def scope_text(policy: Policy, scope: Any, voice: Voice, title: Text | None = None) -> str:
    """What a subscription is about, in words; in the language that is active."""
    if title is not None:
        return _plain(voice.text(title))
    names = [
        *(voice.text(policy.funders[name].name) for name in scope.funders if name in policy.funders),
        *(voice.text(policy.families[name].name) for name in scope.families if name in policy.families),
        *(option_name(policy, name, voice) for name in scope.plans if name in policy.plan_index),
    ]
    return pgettext("between names", ", ").join(map(_plain, names)) if names else gettext("every way to pay")


def confirm(shop: Shop, locale: str, at: datetime, what: str, yes: str, no: str, *, once: bool) -> Letter:
    """The one question to an address of which nobody knows yet whether its owner wants it."""
    with translation.override(DJANGO_LANGUAGE[locale]):
        mall = _plain(_voice(shop, locale, at).text(shop.name))
        asked = (
            gettext("Somebody gave this address to be told once by %(mall)s: %(what)s.")
            if once
            else gettext("Somebody gave this address to be told by %(mall)s about changes in: %(what)s.")
        ) % {"mall": mall, "what": _plain(what)}
        return Letter(
            gettext("Please confirm: messages from %(mall)s") % {"mall": mall},
            (
                asked,
                gettext("If that was you, open this page within 48 hours and press the button:"),
            ),
            ((gettext("Confirm"), yes),),
            (
                gettext(
                    "If it was not you, do nothing: nothing else is sent, and the address is deleted after 48 hours."
                ),
            ),
            ((gettext("Delete my address now"), no),),
        )


def revision(shop: Shop, said: Said, locale: str, at: datetime, manage: str, leave: str) -> Letter:
    """One revision of one announcement, to somebody who follows what it is about."""
    with translation.override(DJANGO_LANGUAGE[locale]):
        voice = _voice(shop, locale, at)
        return Letter(
            _subject(shop, said, voice),
            _paragraphs(said, voice),
            ((gettext("The notice, with what is open instead"), notice_url(said.announcement)),),
            (gettext("You asked for these messages."),),
            (
                (gettext("Change what you get"), manage),
                (gettext("Unsubscribe"), leave),
            ),
        )


def over(shop: Shop, said: Said, locale: str, at: datetime, leave: str) -> Letter:
    """The general message to somebody of whom nothing is known: what they waited for is over."""
    with translation.override(DJANGO_LANGUAGE[locale]):
        voice = _voice(shop, locale, at)
        general = (
            ()
            if said.kind == "retracted"
            else (
                gettext(
                    "Whether it is open to you, and at what cost, depends on you and your order: the checkout shows it."
                ),
            )
        )
        return Letter(
            _subject(shop, said, voice),
            (*_paragraphs(said, voice), *general),
            ((gettext("The notice"), notice_url(said.announcement)),),
            (gettext("This is the only message about it, and your address is now deleted with us."),),
            ((gettext("What we kept"), leave),),
        )


def back(
    shop: Shop, content: Mapping[str, str], locale: str, at: datetime, keep: str, checkout: str
) -> Letter:
    """The message to the one customer to whom the engine offers it again."""
    with translation.override(DJANGO_LANGUAGE[locale]):
        values = {key: _plain(value) for key, value in content.items()}
        values["mall"] = _plain(_voice(shop, locale, at).text(shop.name))
        costs = (gettext("As of then: %(per)s, total %(total)s.") % values,) if values.get("total") else ()
        return Letter(
            gettext("%(name)s is back at %(mall)s") % values,
            (
                gettext(
                    "You asked us to tell you. %(name)s is open to you again for your order of %(amount)s: "
                    "we checked it for you on %(at)s, by the same rules as the checkout."
                )
                % values,
                *costs,
            ),
            ((gettext("To the checkout"), checkout),) if checkout else (),
            (gettext("This is the only message about it, and your address is now deleted with us."),),
            ((gettext("What we kept of your request, and how to cancel it"), keep),),
        )


def checkout_url() -> str:
    """Where to go on; only the demo's mall has a checkout of its own."""
    return f"{settings.FENQI_ORIGIN}{reverse('storefront:checkout')}" if settings.FENQI_DEMO else ""


def notice_url(announcement: str) -> str:
    """The notice's page."""
    return f"{settings.FENQI_ORIGIN}{reverse('announcements:notice', args=[announcement])}"


def _subject(shop: Shop, said: Said, voice: Voice) -> str:
    values = {"title": _plain(voice.text(said.title))}
    forms = {
        "published": gettext("New: %(title)s"),
        "updated": gettext("Changed: %(title)s"),
        "resolved": gettext("Over: %(title)s"),
        "restored": gettext("It is back: %(title)s"),
        "retracted": gettext("Withdrawn: %(title)s"),
    }
    return forms[said.kind] % values


def _paragraphs(said: Said, voice: Voice) -> tuple[str, ...]:
    if said.kind == "retracted":
        return (gettext("This notice no longer holds."), _plain(voice.text(said.title)))
    lines = []
    if said.restored is not None and said.kind == "restored":
        lines.append(_plain(voice.text(said.restored)))
    elif said.kind == "restored":
        lines.append(gettext("What was missing is offered again: the checkout's own rules were asked."))
    elif said.kind == "resolved":
        lines.append(gettext("What this notice was about is over."))
    lines.append(_plain(voice.text(said.reason)))
    lines += [_moved(moved, voice) for moved in said.moved]
    if said.kind not in FINAL:
        lines.append(_when(said, voice))
        lines.append(gettext("Affected: %(who)s") % {"who": _plain(voice.text(said.affected))})
        lines.append(gettext("Not affected: %(who)s") % {"who": _plain(voice.text(said.unaffected))})
        if said.next_update is not None:
            lines.append(gettext("Next news by %(at)s.") % {"at": voice.instant(said.next_update)})
    lines += [_plain(voice.text(line)) for line in said.further]
    return tuple(line for line in lines if line)


def _when(said: Said, voice: Voice) -> str:
    since = voice.instant(said.since)
    if said.until is not None:
        return gettext("From %(since)s to %(until)s.") % {
            "since": since,
            "until": voice.instant(said.until),
        }
    return gettext("Since %(since)s; when it ends is not known yet.") % {"since": since}


def _moved(moved: Moved, voice: Voice) -> str:
    def told(at: int | None) -> str:
        return gettext("not known") if at is None else voice.instant(at)

    form = {
        "since": gettext("The beginning moves from %(before)s to %(after)s."),
        "until": gettext("The end moves from %(before)s to %(after)s."),
        "next_update": gettext("The next news moves from %(before)s to %(after)s."),
    }[moved.field]
    return form % {"before": told(moved.before), "after": told(moved.after)}


def payload_of(said: Said) -> dict[str, Any]:
    """A revision as data, for a webhook: the same as the mail says."""
    import msgspec

    event = {
        "published": "published",
        "updated": "updated",
        "resolved": "resolved",
        "restored": "resolved",
        "retracted": "retracted",
    }[said.kind]
    return {
        "type": f"announcement.{event}",
        "data": {**msgspec.to_builtins(said), "url": notice_url(said.announcement)},
    }
