"""The console's pages about announcements: what is said, what is late, what was granted, and saying it better.

An announcement's texts are the policy's. To change them is a draft like any other change: the composer writes it from a
form, so that an author need not know the files, and what follows is checked, reviewed and published as ever.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fenqi.calendars import from_epoch, to_epoch, zone_of
from fenqi.policy.snapshot import Notice
from fenqi.policy.wording import banned_words
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server import clock
from fenqi_server.announcements import compensation
from fenqi_server.announcements.alarms import Alarm, alarms
from fenqi_server.announcements.drafting import draft_of
from fenqi_server.announcements.lifecycle import Revision, revisions
from fenqi_server.announcements.reading import PHASES, board
from fenqi_server.announcements.wording import (
    ChangeLine,
    ImpactLine,
    change_lines,
    compensation_line,
    impact_lines,
    kind_word,
    plan_names,
    repayment_line,
    state_word,
    when_line,
)
from fenqi_server.console.access import Staff, actor, allowed
from fenqi_server.console.home import voice_of
from fenqi_server.policies import acts, drafts, edits
from fenqi_server.policies import service as policies
from fenqi_server.storefront.voice import Voice

LONGEST: Final = 2_000
_TEXTS: Final = ("title", "reason", "affected", "unaffected", "purpose", "restored")
_REQUIRED: Final = ("title", "reason", "affected", "unaffected")


def _staff(request: HttpRequest) -> Staff:
    staff: Staff = request.staff  # type: ignore[attr-defined]
    return staff


class AlarmLine(msgspec.Struct, frozen=True):
    """What an announcement promised and did not keep."""

    title: str
    text: str
    url: str


class NoticeRow(msgspec.Struct, frozen=True):
    """One announcement in the list."""

    url: str
    title: str
    plans: str
    when: str
    next_update: str
    number: int
    state: str
    tone: str


class RevisionRow(msgspec.Struct, frozen=True):
    """One revision: who said it, what changed, and what can be shared of it."""

    number: int
    kind: str
    at: str
    actor: str
    changes: tuple[ChangeLine, ...]
    posts: tuple[tuple[str, str], ...]
    cards: tuple[tuple[str, str], ...]


class GrantRow(msgspec.Struct, frozen=True):
    """One of an announcement's compensations: to how many it was issued, and how many used it."""

    name: str
    issued: int
    redeemed: int


class Field(msgspec.Struct, frozen=True):
    """One field of the composer."""

    id: str
    label: str
    lang: str
    value: str
    required: bool
    error: str


@allowed()
@require_safe
def announcement_list(request: HttpRequest) -> HttpResponse:
    """Everything that is announced, and what is late."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    found = board(staff.shop, at)
    titles = {"now": gettext("In force now"), "coming": gettext("Coming"), "past": gettext("Over")}
    parts = [
        {"id": phase, "title": titles[phase], "rows": [_row(each, voice) for each in found[phase][:100]]}
        for phase in PHASES
    ]
    known = {each.announcement: each for part in found.values() for each in part}
    late = [_alarm(alarm, known, voice) for alarm in alarms(staff.shop)]
    return render(
        request,
        "console/announcements/list.html",
        {"parts": parts, "late": late, "public_url": reverse("announcements:index")},
    )


def _row(revision: Revision, voice: Voice) -> NoticeRow:
    document = revision.document
    state, tone = state_word(revision, voice.at)
    return NoticeRow(
        reverse("console:announcement", args=[revision.announcement]),
        voice.text(document.title),
        plan_names(policies.by_digest(document.policy_digest), document.plans, voice),
        when_line(document, voice),
        voice.instant(document.next_update) if document.next_update is not None else "",
        revision.number,
        state,
        tone,
    )


def _alarm(alarm: Alarm, known: dict[str, Revision], voice: Voice) -> AlarmLine:
    revision = known.get(alarm.announcement)
    at = voice.instant(to_epoch(alarm.deadline))
    if alarm.kind == "update_overdue":
        text = gettext("News was promised by %(at)s, and none came. Publish an update.") % {"at": at}
    else:
        text = gettext("It was to be back at %(at)s, and the checkout does not offer it: %(codes)s.") % {
            "at": at,
            "codes": ", ".join(alarm.detail.get("codes", ())),
        }
    return AlarmLine(
        voice.text(revision.document.title) if revision is not None else alarm.announcement,
        text,
        reverse("console:announcement", args=[alarm.announcement]),
    )


@allowed()
@require_safe
def announcement(request: HttpRequest, notice: str) -> HttpResponse:
    """One announcement: what it does, every revision with its post and picture, and what was granted for it."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    found = revisions(staff.shop, notice)
    if not found:
        raise Http404("no such announcement")
    newest = found[0]
    document = newest.document
    policy = policies.by_digest(document.policy_digest)
    state, tone = state_word(newest, voice.at)
    impacts: tuple[ImpactLine, ...] = impact_lines(policy, document, voice)
    context = {
        "title": voice.text(document.title),
        "id": notice,
        "state": state,
        "tone": tone,
        "reason": voice.text(document.reason),
        "when": when_line(document, voice),
        "next_update": voice.instant(document.next_update) if document.next_update is not None else "",
        "impacts": impacts,
        "repayment": repayment_line(document, voice),
        "compensation": [compensation_line(each, voice) for each in document.compensation],
        "late": [
            _alarm(each, {notice: newest}, voice)
            for each in alarms(staff.shop)
            if each.announcement == notice
        ],
        "revisions": [_revision_row(each, staff, voice) for each in found],
        "grants": _grants(staff, newest, voice),
        "public_url": reverse("announcements:notice", args=[notice]),
        "edit_url": reverse("console:announcement_edit", args=[notice])
        if staff.may("author") and notice in policies.current(staff.shop.id, at).notices
        else "",
    }
    return render(request, "console/announcements/announcement.html", context)


def _revision_row(revision: Revision, staff: Staff, voice: Voice) -> RevisionRow:
    document = revision.document
    link = f"{settings.FENQI_ORIGIN}{reverse('announcements:notice', args=[revision.announcement])}"
    post = document.post or document.title
    return RevisionRow(
        revision.number,
        kind_word(revision.kind),
        voice.instant(to_epoch(revision.published_at)),
        revision.actor,
        tuple(line for line in change_lines(document, voice) if line.before != line.after),
        tuple((locale, f"{post.in_(locale)} {link}") for locale in ("zh-CN", "en")),
        tuple(
            (
                locale,
                reverse("announcements:card", args=[revision.announcement, revision.number, locale])
                + f"?shop={staff.shop.code}",
            )
            for locale in ("zh-CN", "en")
        ),
    )


def _grants(staff: Staff, newest: Revision, voice: Voice) -> list[GrantRow]:
    if not newest.document.compensation:
        return []
    issued = compensation.of_announcement(staff.shop, newest.announcement)
    return [
        GrantRow(
            compensation_line(terms, voice),
            sum(grant.terms == terms.id for grant in issued),
            sum(grant.terms == terms.id and grant.redeemed_at is not None for grant in issued),
        )
        for terms in newest.document.compensation
    ]


# ------------------------------------------------------------------------------------------------- the composer


@allowed("author")
@require_http_methods(["GET", "HEAD", "POST"])
def announcement_edit(request: HttpRequest, notice: str) -> HttpResponse:
    """Say it otherwise: a form that makes a draft of the policy, with both languages side by side."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    try:
        found = policies.current(staff.shop.id, at).notices[notice]
    except (KeyError, policies.NoPolicy):
        raise Http404("no such notice in the policy in force") from None
    errors: dict[str, str] = {}
    refused = ""
    if request.method == "POST":
        errors = _errors(request)
        if not errors:
            try:
                made = _draft(request, staff, notice, found, at)
            except (BadInput, drafts.Refusal) as problem:
                refused = str(problem)
            else:
                return HttpResponseRedirect(reverse("console:draft", args=[made]))
    fields = _fields(request, found, staff, errors)
    return render(
        request,
        "console/announcements/edit.html",
        {
            "fields": fields,
            "errors": errors,
            "refused": refused,
            "title": voice.text(found.title),
            "back": reverse("console:announcement", args=[notice]),
        },
        status=422 if errors or refused else 200,
    )


_LANGUAGES: Final = (("zh", "zh-CN"), ("en", "en"))


def _labels() -> dict[str, str]:
    return {
        "title": gettext("Title"),
        "reason": gettext("Why"),
        "affected": gettext("Affected"),
        "unaffected": gettext("Not affected"),
        "purpose": gettext("What it is for"),
        "restored": gettext("On the day it is back"),
        "next_update": gettext("Next news by"),
    }


def _fields(request: HttpRequest, found: Notice, staff: Staff, errors: dict[str, str]) -> list[Field]:
    posted = request.method == "POST"
    fields = []
    for name in _TEXTS:
        text: Text | None = getattr(found, name)
        for short, locale in _LANGUAGES:
            id = f"{name}_{short}"
            value = request.POST.get(id, "") if posted else (text.in_(locale) if text is not None else "")
            label = f"{_labels()[name]} ({'中文' if short == 'zh' else 'English'})"
            fields.append(Field(id, label, locale, value, name in _REQUIRED, errors.get(id, "")))
    moment = ""
    if found.next_update is not None:
        moment = from_epoch(found.next_update, staff.shop.time_zone).strftime("%Y-%m-%dT%H:%M")
    value = request.POST.get("next_update", "") if posted else moment
    label = f"{_labels()['next_update']} ({staff.shop.time_zone})"
    fields.append(Field("next_update", label, "", value, False, errors.get("next_update", "")))
    return fields


def _errors(request: HttpRequest) -> dict[str, str]:
    """What is wrong in the form, by field: both languages or neither, and no word that advertising rules forbid."""
    errors = {}
    for name in _TEXTS:
        zh_cn, en = (request.POST.get(f"{name}_{short}", "").strip() for short, _ in _LANGUAGES)
        for short, text, other in (("zh", zh_cn, en), ("en", en, zh_cn)):
            id = f"{name}_{short}"
            if len(text) > LONGEST:
                errors[id] = gettext("At most %(n)s characters.") % {"n": LONGEST}
            elif not text and (name in _REQUIRED or other):
                errors[id] = gettext("Say it in both languages.")
            elif found := banned_words(Text(text, text)):
                errors[id] = gettext(
                    "%(words)s may not stand in an announcement of credit: say what it costs."
                ) % {"words": pgettext("between names", ", ").join(found)}
    moment = request.POST.get("next_update", "").strip()
    if moment and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", moment):
        errors["next_update"] = gettext("Write an instant such as 2026-11-27T10:00.")
    return errors


def _draft(request: HttpRequest, staff: Staff, notice: str, found: Notice, at: datetime) -> UUID:
    _, files = acts.files_in_force(staff.shop, at)
    fields: dict[str, Any] = {}
    for name in _TEXTS:
        zh_cn, en = (request.POST.get(f"{name}_{short}", "").strip() for short, _ in _LANGUAGES)
        new = Text(zh_cn, en) if zh_cn or en else None
        if new != getattr(found, name):
            fields[name] = edits.written(new) if new is not None else None
    moment = request.POST.get("next_update", "").strip() or None
    before = (
        from_epoch(found.next_update, staff.shop.time_zone).strftime("%Y-%m-%dT%H:%M")
        if found.next_update is not None
        else None
    )
    if moment != before:
        fields["next_update"] = moment
    if not fields:
        raise BadInput("notice", notice, gettext("something said otherwise than now"))
    title = gettext("Notice: %(title)s") % {"title": found.title.in_("en")}
    made = drafts.create(
        staff.shop,
        title[: drafts.MAX_TITLE],
        actor(request),
        at,
        files=edits.change(files, "notices", notice, fields),
    )
    return made.draft.id


# ---------------------------------------------------------------------------------------- the proposed announcement


@allowed("author")
@require_POST
def draft_announce(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """Add to a draft the announcement that its change still lacks, drafted from the difference, and link it."""
    staff, at = _staff(request), clock.now()
    try:
        standing = drafts.get(staff.shop, draft_id, at)
    except drafts.NoDraft:
        raise Http404("no such draft") from None
    back = reverse("console:draft", args=[draft_id])
    if standing.revision.digest is None:
        request.session["flash"] = gettext("The draft has problems: mend them first.")
        return HttpResponseRedirect(back)
    before, after, difference = drafts.difference_of(standing, at)
    proposals = draft_of(before, after, difference, to_epoch(at))
    files = dict(standing.revision.files)
    zone = staff.shop.time_zone
    for proposal in proposals:
        files = edits.add(files, "notices", _written(proposal.notice, zone))
        for section, names in (("rules", proposal.rules), ("placements", proposal.placements)):
            for name in names:
                if edits.entry(files, section, name) is not None:
                    files = edits.change(files, section, name, {"notice": proposal.notice.id})
        for name in proposal.rules:
            budget = name.removeprefix("budget.")
            if name != budget and edits.entry(files, "budgets", budget) is not None:
                files = edits.change(files, "budgets", budget, {"notice": proposal.notice.id})
    if proposals:
        try:
            drafts.edit(staff.shop, draft_id, actor(request), files, at)
        except (drafts.Refusal, BadInput) as problem:
            request.session["flash"] = str(problem)
            return HttpResponseRedirect(back)
    request.session["flash"] = (
        ngettext(
            "%(n)s announcement was drafted from the difference: read it, and say why.",
            "%(n)s announcements were drafted from the difference: read them, and say why.",
            len(proposals),
        )
        % {"n": len(proposals)}
        if proposals
        else gettext("Everything that changes is announced already.")
    )
    return HttpResponseRedirect(back)


def _written(notice: Notice, zone: str) -> dict[str, Any]:
    """A notice as the files have it."""

    def instant(epoch: int) -> str:
        return datetime.fromtimestamp(epoch, UTC).astimezone(zone_of(zone)).strftime("%Y-%m-%dT%H:%M")

    said: dict[str, Any] = {
        "id": notice.id,
        **{name: edits.written(getattr(notice, name)) for name in _REQUIRED},
        "since": instant(notice.since),
    }
    if notice.until is not None:
        said["until"] = instant(notice.until)
    if notice.confidence:
        said["confidence"] = notice.confidence
    if notice.plans:
        said["plans"] = list(notice.plans)
    return said
