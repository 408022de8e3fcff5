"""The console's pages for policies: drafts and their difference, review, publication and its undoing, and the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fenqi.calendars import zone_of
from fenqi.policy.compile import Policy
from fenqi.policy.difference import Change, change_text
from fenqi.policy.snapshot import LAYERS, Layer
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.console.access import Staff, allowed
from fenqi_server.console.home import NoticeLink, family_name, layer_name, notice_link, voice_of
from fenqi_server.days import read_instant
from fenqi_server.policies import audit, drafts
from fenqi_server.policies import service as policies
from fenqi_server.policies.drafts import Refusal, Standing
from fenqi_server.policies.proofs import faults_of
from fenqi_server.policies.replay import replay
from fenqi_server.storefront.selector import option_name
from fenqi_server.storefront.voice import Voice

READERS: Final = ("author", "reviewer", "publisher", "auditor")
MAX_EDITED: Final = 50_000
"""A list longer than that is not edited in a page, which would be posted whole with every save."""


class DraftLine(msgspec.Struct, frozen=True):
    url: str
    title: str
    author: str
    at: str
    state: str
    tone: str


class ChangeLine(msgspec.Struct, frozen=True):
    """One change in plain words; `fields` are what the files say, before and after."""

    text: str
    effect: str
    layer: str
    availability: bool
    notice: NoticeLink | None
    fields: tuple[tuple[str, str, str], ...]


class ReviewLine(msgspec.Struct, frozen=True):
    layer: str
    verdict: str
    tone: str
    reviewer: str
    at: str
    reason: str


class PublicationLine(msgspec.Struct, frozen=True):
    id: str
    digest: str
    since: str
    recorded: str
    actor: str
    kind: str
    reason: str
    percent: int
    silent: str
    state: str
    tone: str
    draft: str
    back: str


class PlanLine(msgspec.Struct, frozen=True):
    name: str
    gained: int
    lost: int
    goes: tuple[tuple[str, int], ...]
    witnesses: tuple[tuple[str, str], ...]


class EntryLine(msgspec.Struct, frozen=True):
    number: int
    at: str
    actor: str
    act: str
    subject: str
    reason: str
    before: str
    after: str
    digest: str


def _staff(request: HttpRequest) -> Staff:
    return cast(Staff, request.staff)  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------------- drafts


@allowed(*READERS)
@require_safe
def draft_list(request: HttpRequest) -> HttpResponse:
    """Every draft, newest first, and the form that begins one."""
    return _draft_list(request)


def _draft_list(request: HttpRequest, error: str = "") -> HttpResponse:
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    lines = []
    for standing in drafts.listed(staff.shop, at):
        state, tone = _state(standing.state)
        draft = standing.draft
        url = reverse("console:draft", args=[draft.id])
        lines.append(DraftLine(url, draft.title, draft.author, voice.instant(draft.created_at), state, tone))
    return render(
        request,
        "console/drafts.html",
        {"drafts": lines, "may_begin": staff.may("author"), "error": error},
        status=422 if error else 200,
    )


@allowed("author")
@require_POST
def draft_new(request: HttpRequest) -> HttpResponse:
    """Begin a draft from the policy in force."""
    staff = _staff(request)
    try:
        made = drafts.create(staff.shop, request.POST.get("title", ""), staff.actor, clock.now())
    except Refusal as refusal:
        return _draft_list(request, _refused(refusal))
    return HttpResponseRedirect(reverse("console:draft_edit", args=[made.draft.id]))


@allowed(*READERS)
@require_safe
def draft(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """One draft: what it changes in plain words, who has to look at it and who has, and what may be done now."""
    return _draft(request, draft_id)


def _draft(request: HttpRequest, draft_id: UUID, error: str = "") -> HttpResponse:
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    try:
        standing = drafts.get(staff.shop, draft_id, at)
    except drafts.NoDraft:
        raise Http404("no such draft") from None
    state, tone = _state(standing.state)
    context: dict[str, Any] = {
        "error": error,
        "standing": standing,
        "title": standing.draft.title,
        "state": state,
        "tone": tone,
        "created": voice.instant(standing.draft.created_at),
        "submitted": voice.instant(standing.submitted_at) if standing.submitted_at else "",
        "needed": [layer_name(layer) for layer in standing.needed],
        "missing": [layer_name(layer) for layer in standing.missing],
        "waits_until": voice.instant(standing.waits_until) if standing.waits_until else "",
        "reviews": [_review(review, voice) for review in standing.reviews],
        "publications": [_publication(each, at, voice, None) for each in standing.publications],
        "zone": staff.shop.time_zone,
        "is_author": standing.draft.author == staff.actor and staff.may("author"),
        "moved": _base_moved(standing, at, staff),
        "may_review": [
            (layer, layer_name(layer), layer in standing.missing)
            for layer in LAYERS
            if layer in staff.layers and (layer in standing.needed or not standing.needed)
        ]
        if staff.may("reviewer") and standing.draft.author != staff.actor
        else [],
        "may_publish": staff.may("publisher"),
        "may_withdraw": staff.may("publisher") or standing.draft.author == staff.actor,
        "is_open": standing.state not in ("withdrawn", "published"),
    }
    if standing.revision.digest is not None:
        before, after, difference = drafts.difference_of(standing, at)
        context["changes"] = [_change(before, after, change, voice) for change in difference.changes]
        context["faults"] = faults_of(after, at, voice.locale)
        if request.GET.get("replay") and before is not None:
            context["replay"] = _replay(staff, before, after, at, voice)
    return render(request, "console/draft.html", context, status=409 if error else 200)


@allowed("author")
@require_http_methods(["GET", "HEAD", "POST"])
def draft_edit(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """The draft's files as text. What is wrong is said with file, line and column."""
    staff, at = _staff(request), clock.now()
    try:
        standing = drafts.get(staff.shop, draft_id, at)
    except drafts.NoDraft:
        raise Http404("no such draft") from None
    files, silent, error = dict(standing.revision.files), standing.revision.silent_reason, ""
    if request.method == "POST":
        # A browser sends every line's end as two letters; the files have one.
        files = {
            name: request.POST.get(f"file:{name}", text).replace("\r\n", "\n") for name, text in files.items()
        }
        silent = request.POST.get("silent_reason", "")
        try:
            saved = drafts.edit(staff.shop, draft_id, staff.actor, files, at, silent_reason=silent)
        except Refusal as refusal:
            error = _refused(refusal)
        else:
            if not saved.revision.problems:
                request.session["flash"] = gettext("Saved as revision %(n)s.") % {"n": saved.revision.number}
                return HttpResponseRedirect(reverse("console:draft", args=[draft_id]))
            standing = saved
    problems = [
        {
            "where": f"{each.file}:{each.line}:{each.column}",
            "file": f"file-{list(files).index(each.file) + 1}" if each.file in files else "",
            "message": each.message,
            "suggestion": each.suggestion,
        }
        for each in standing.revision.problems
    ]
    return render(
        request,
        "console/draft_edit.html",
        {
            "standing": standing,
            "title": standing.draft.title,
            "files": [
                {
                    "name": name,
                    "text": text,
                    "rows": min(40, text.count("\n") + 2),
                    "lines": text.count("\n") + 1,
                    "long": len(text) > MAX_EDITED and name.endswith(".txt"),
                }
                for name, text in files.items()
            ],
            "silent_reason": silent,
            "problems": problems,
            "error": error,
        },
        status=422 if error or problems else 200,
    )


def _acted(
    request: HttpRequest, draft_id: UUID, act: Callable[[Staff, datetime], object], said: str
) -> HttpResponse:
    """Do something to a draft and come back to it, saying that it is done; or say why it is not."""
    staff = _staff(request)
    try:
        act(staff, clock.now())
    except drafts.NoDraft:
        raise Http404("no such draft") from None
    except Refusal as refusal:
        return _draft(request, draft_id, _refused(refusal))
    except BadInput as problem:
        return _draft(request, draft_id, bad_input_text(problem))
    request.session["flash"] = said
    return HttpResponseRedirect(reverse("console:draft", args=[draft_id]))


@allowed("author")
@require_POST
def draft_submit(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """Ask for review, saying why."""
    reason = request.POST.get("reason", "")
    return _acted(
        request,
        draft_id,
        lambda staff, at: drafts.submit(staff.shop, draft_id, staff.actor, reason, at),
        gettext("Submitted. Whoever reviews sees it now."),
    )


@allowed("author")
@require_POST
def draft_base(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """Take the policy in force now as the base."""
    return _acted(
        request,
        draft_id,
        lambda staff, at: drafts.take_base(staff.shop, draft_id, staff.actor, at),
        gettext("The draft is compared with the policy in force now. Look at the difference again."),
    )


@allowed("reviewer")
@require_POST
def draft_review(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """Agree to the revision for some layers, or send it back. A reviewer speaks for their own layers alone."""
    staff = _staff(request)
    layers = [cast(Layer, layer) for layer in request.POST.getlist("layer") if layer in staff.layers]
    reason = request.POST.get("reason", "")

    def act(staff: Staff, at: datetime) -> object:
        if not layers:
            raise Refusal("no_layer", "name at least one of your layers")
        if request.POST.get("verdict") == "approved":
            return drafts.approve(staff.shop, draft_id, staff.actor, layers, at, reason=reason)
        return drafts.send_back(staff.shop, draft_id, staff.actor, layers, at, reason=reason)

    said = gettext("Approved.") if request.POST.get("verdict") == "approved" else gettext("Sent back.")
    return _acted(request, draft_id, act, said)


@allowed("publisher")
@require_POST
def draft_publish(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """Put it in force: now, at an instant of the shop's clock, or for a share of the customers first."""

    def act(staff: Staff, at: datetime) -> object:
        valid_from, percent = _when(request, staff, at), _percent(request)
        return drafts.publish(staff.shop, draft_id, staff.actor, at, valid_from=valid_from, percent=percent)

    return _acted(request, draft_id, act, gettext("Published. Every page shows it within a second."))


@allowed("author", "publisher")
@require_POST
def draft_withdraw(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """Put a draft away."""

    def act(staff: Staff, at: datetime) -> object:
        standing = drafts.get(staff.shop, draft_id, at)
        if not staff.may("publisher") and standing.draft.author != staff.actor:
            raise Refusal("not_author", "only its author or a publisher puts a draft away")
        return drafts.withdraw(staff.shop, draft_id, staff.actor, at)

    return _acted(request, draft_id, act, gettext("Withdrawn. Its record stays."))


def _when(request: HttpRequest, staff: Staff, at: datetime) -> datetime | None:
    written = request.POST.get("from", "").strip()
    if not written:
        return None
    try:
        instant = read_instant(written)
    except ValueError:
        raise Refusal("bad_instant", f"{written[:40]!r} is no instant such as 2026-12-01T10:00") from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=zone_of(staff.shop.time_zone))
    if instant < at:
        raise Refusal("past", "a policy begins now or later, never in the past")
    return instant.astimezone(UTC)


def _percent(request: HttpRequest) -> int:
    written = request.POST.get("percent", "").strip() or "100"
    if not written.isascii() or not written.isdigit() or not 1 <= int(written) <= 100:
        raise Refusal("bad_percent", "the share is a whole number from 1 to 100")
    return int(written)


def _base_moved(standing: Standing, at: datetime, staff: Staff) -> bool:
    now = policies.in_force(policies.publications(staff.shop.id), at)
    return (now.digest if now else None) != standing.revision.base and standing.state not in (
        "published",
        "withdrawn",
    )


def _state(state: str) -> tuple[str, str]:
    return {
        "broken": (pgettext("draft", "has problems"), "bad"),
        "editing": (pgettext("draft", "being written"), ""),
        "waiting": (pgettext("draft", "waits for review"), "warn"),
        "returned": (pgettext("draft", "sent back"), "bad"),
        "ready": (pgettext("draft", "ready to publish"), "good"),
        "published": (pgettext("draft", "published"), "good"),
        "withdrawn": (pgettext("draft", "withdrawn"), ""),
    }[state]


def _refused(refusal: Refusal) -> str:
    """Why it is not done, in the reader's language; a particular that no catalogue can know stays as it was said."""
    said = {
        "not_author": gettext("Only its author changes a draft: begin your own."),
        "own_change": gettext("Nobody reviews what they wrote themselves."),
        "not_checked": gettext("The files have problems: mend them first."),
        "not_submitted": gettext("The newest revision was not submitted yet."),
        "not_reviewed": gettext("Somebody else has to agree first; the layers are named below."),
        "no_files": gettext(
            "The policy in force was published without its files, so nothing can begin from it. Publish it once more from its folder."
        ),
        "withdrawn": gettext("The draft was withdrawn: begin another one."),
        "published": gettext(
            "This revision is published already; a share of the customers can only be widened."
        ),
        "unchanged": gettext("Nothing would change by it."),
        "no_layer": gettext("Name at least one of your layers."),
        "bad_instant": gettext("Write an instant such as 2026-12-01T10:00."),
        "past": gettext("A policy begins now or later, never in the past."),
        "bad_percent": gettext("The share is a whole number from 1 to 100."),
    }.get(refusal.code)
    if said is not None:
        return said
    if refusal.place in ("reason", "title", "silent_reason"):
        return (
            gettext("Say why, in a sentence; at most 2,000 letters.")
            if refusal.place != "title"
            else gettext("Give it a title of at most 200 letters, on one line.")
        )
    return refusal.sentence


def bad_input_text(problem: BadInput) -> str:
    """What is wrong with an act, in the reader's words where there are some."""
    if isinstance(problem, policies.MovedBase):
        return gettext(
            "Another policy came into force since this draft began, and publishing would undo it unseen. "
            "Take it as the base, look at the difference again, and have it reviewed again."
        )
    if type(problem).__name__ == "Unannounced":
        return gettext(
            "It changes what somebody can use or where it stands, and no notice says so. Link a notice to the rule or placement, "
            "or write why the public is not told."
        )
    return str(problem)


def _change(before: Policy | None, after: Policy, change: Change, voice: Voice) -> ChangeLine:
    effects = {
        "paused": pgettext("effect", "paused"),
        "limited": pgettext("effect", "limited"),
        "demoted": pgettext("effect", "moved down"),
        "promoted": pgettext("effect", "moved up"),
        "changed": pgettext("effect", "changed"),
        "restored": pgettext("effect", "open again"),
        "new": pgettext("effect", "new"),
        "withdrawn": pgettext("effect", "withdrawn"),
        "said": pgettext("effect", "only words"),
    }
    return ChangeLine(
        change_text(before, after, change, voice.locale),
        effects.get(change.effect, change.effect),
        layer_name(change.layer) if change.layer else "",
        change.availability,
        notice_link(after, change.notice, voice),
        tuple((field.path, _plain(field.before), _plain(field.after)) for field in change.fields),
    )


def _plain(value: object) -> str:
    if value is None:
        return "—"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _review(review: drafts.Review, voice: Voice) -> ReviewLine:
    agreed = review.verdict == "approved"
    return ReviewLine(
        layer_name(review.layer),
        gettext("approved") if agreed else gettext("sent back"),
        "good" if agreed else "bad",
        review.reviewer,
        voice.instant(review.reviewed_at),
        review.reason,
    )


def _replay(staff: Staff, before: Policy, after: Policy, at: datetime, voice: Voice) -> dict[str, Any]:
    outcome = replay(staff.shop, before, after, at)

    def name(plan: str) -> str:
        return option_name(after if plan in after.plan_index else before, plan, voice)

    lines = [
        PlanLine(
            name(each.plan),
            each.gained,
            each.lost,
            tuple(
                (family_name(after, family, voice) if family else gettext("nothing else"), count)
                for family, count in each.goes
            ),
            tuple((witness[-8:], reverse("console:diagnosis", args=[witness])) for witness in each.witnesses)
            if staff.may("support", "supervisor", "reviewer", "auditor")
            else (),
        )
        for each in outcome.plans
    ]
    return {
        "looked": outcome.looked,
        "failed": outcome.failed,
        "plans": lines,
        "without_before": outcome.without_before,
        "without_after": outcome.without_after,
    }


# -------------------------------------------------------------------------------------------------- publications


@allowed(*READERS)
@require_safe
def history(request: HttpRequest) -> HttpResponse:
    """What was, is and will be in force, newest first."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    published = policies.publications(staff.shop.id)
    now = policies.in_force(published, at)
    lines = [_publication(each, at, voice, now, may=staff.may("publisher")) for each in reversed(published)]
    return render(request, "console/history.html", {"publications": lines})


def _publication(
    made: policies.Publication,
    at: datetime,
    voice: Voice,
    now: policies.Publication | None,
    *,
    may: bool = False,
) -> PublicationLine:
    if now is not None and made.id == now.id:
        state, tone = pgettext("policy", "in force"), "good"
    elif made.valid_from > at:
        state, tone = pgettext("policy", "to come"), "warn"
    else:
        state, tone = (
            (pgettext("policy", "earlier"), "")
            if made.percent == 100
            else (
                gettext("for a share of the customers"),
                "warn",
            )
        )
    kinds = {
        "publish": pgettext("publication", "change"),
        "rollback": pgettext("publication", "rolled back"),
        "stop": pgettext("publication", "stopped"),
        "window": pgettext("publication", "window"),
        "pilot": pgettext("publication", "pilot"),
        "seed": pgettext("publication", "first"),
    }
    back = may and now is not None and made.digest != now.digest and made.valid_from <= at
    return PublicationLine(
        str(made.id),
        made.digest[:19],
        voice.instant(made.valid_from),
        voice.instant(made.recorded_at),
        made.actor,
        kinds.get(made.kind, made.kind),
        made.reason,
        made.percent,
        made.silent_reason,
        state if now is not None or made.valid_from > at else "",
        tone,
        reverse("console:draft", args=[made.draft_id]) if made.draft_id else "",
        reverse("console:roll_back", args=[made.id]) if back else "",
    )


@allowed("publisher")
@require_http_methods(["GET", "HEAD", "POST"])
def roll_back(request: HttpRequest, publication_id: UUID) -> HttpResponse:
    """Put an earlier policy in force again: first what that changes, then one act."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    published = policies.publications(staff.shop.id)
    found = next((each for each in published if each.id == publication_id), None)
    now = policies.in_force(published, at)
    if found is None or now is None:
        raise Http404("no such publication")
    error, reason, silent = (
        "",
        request.POST.get("reason", "").strip(),
        request.POST.get("silent_reason", "").strip(),
    )
    if request.method == "POST":
        if not reason or len(reason) > drafts.MAX_REASON:
            error = gettext("Say why, in a sentence; at most 2,000 letters.")
        else:
            try:
                # What was shown is what is undone: if another policy came into force meanwhile, it is shown first.
                policies.publish_again(
                    staff.shop, found.digest, at, staff.actor, reason=reason, base=request.POST.get("base") or now.digest,
                    silent_reason=silent,
                )  # fmt: skip
            except BadInput as problem:
                error = bad_input_text(problem)
            else:
                request.session["flash"] = gettext("Rolled back. Every page shows it within a second.")
                return HttpResponseRedirect(reverse("console:history"))
    before, after = (policies.by_digest(each.digest, staff.shop.id) for each in (now, found))
    from fenqi.policy.difference import compare

    changes = compare(before, after, int(at.timestamp())).changes
    return render(
        request,
        "console/roll_back.html",
        {
            "publication": _publication(found, at, voice, now),
            "base": now.digest,
            "changes": [_change(before, after, change, voice) for change in changes],
            "reason": reason,
            "silent_reason": silent,
            "error": error,
        },
        status=409 if error else 200,
    )


# --------------------------------------------------------------------------------------------------------- audit


@allowed("auditor", "admin")
@require_safe
def audit_log(request: HttpRequest) -> HttpResponse:
    """Who did what, newest first; and whether the chain is whole."""
    staff, at = _staff(request), clock.now()
    voice = voice_of(staff.shop, at)
    asked = {
        key: request.GET.get(key, "").replace("\x00", "").strip()[:200] for key in ("actor", "act", "subject")
    }
    before = request.GET.get("before", "")
    found = audit.entries(
        staff.shop,
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None,
        limit=51,
        **asked,
    )
    verified: dict[str, Any] = {}
    if request.GET.get("verify"):
        result = audit.verify(staff.shop)
        verified = (
            {"broken": True, "number": result.number, "what": result.what}
            if isinstance(result, audit.Break)
            else {"broken": False, "number": result.number, "digest": result.digest}
        )
    lines = [
        EntryLine(
            entry.number,
            voice.instant(entry.at),
            entry.actor,
            entry.act,
            entry.subject,
            entry.reason,
            "" if entry.before is None else _plain(entry.before),
            "" if entry.after is None else _plain(entry.after),
            entry.digest,
        )
        for entry in found[:50]
    ]
    older = ""
    if len(found) > 50:
        older = urlencode(
            {key: value for key, value in asked.items() if value} | {"before": str(lines[-1].number)}
        )
    return render(
        request,
        "console/audit.html",
        {"entries": lines, "asked": asked, "older": older, "verified": verified},
    )
