"""What one revision of an announcement says, as a value: everything in it is in both languages, and by value.

It is made from the policy alone (`document_of`): an announcement *is* a notice of the policy, with the impacts that
follow from the rules and placements linking it. So nothing can be announced that the policy does not say. A revision keeps its
document for good; a page of then is shown as it was then. `changes` says what differs from the revision before, so
that a moved time is shown as old and new.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from fenqi.calendars import format_instant
from fenqi.policy.compile import Policy
from fenqi.policy.impacts import Impact, impacts_of, segment_text
from fenqi.policy.snapshot import Notice, selects
from fenqi.texts import LOCALES, Text

__all__ = [
    "COMPARED",
    "BettermentRecord",
    "CompensationRecord",
    "Difference",
    "Document",
    "ImpactRecord",
    "Kind",
    "RepaymentRecord",
    "State",
    "changes_between",
    "clean",
    "concerned_plans",
    "continued",
    "decode_document",
    "document_of",
    "encode_document",
    "with_post",
]

Kind = Literal["published", "updated", "resolved", "restored", "retracted"]
State = Literal["scheduled", "published", "updated", "resolved", "retracted"]


class Difference(msgspec.Struct, frozen=True):
    """One field that says something else than before. Instants are epoch seconds; texts have both languages."""

    field: str
    before: Any
    after: Any


class ImpactRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that the announcement does: to which act, of which ways to pay, where, for whom, and from when to when.

    Empty `channels` and `regions` are all of them; no `segment`, everybody. `daily` are minutes of the shop's day, from
    and to. `code` is the reason that a checkout gives.
    """

    act: str
    effect: str
    funder: str
    family: str
    plans: tuple[str, ...]
    code: str
    channels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    segment: Text | None = None
    start: int | None = None
    end: int | None = None
    daily: tuple[int, int] | None = None
    confidence: str = "unknown"
    next_update: int | None = None


class CompensationRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What those whom it hit get: a price kept for some hours, a voucher, a fee that is not charged."""

    id: str
    kind: str
    name: Text
    hours: int = 0
    amount_minor: int = 0


class RepaymentRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An outage of paying back: what is due on its days is due on `due_moves_to` (a date), and nothing is charged for it."""

    start: int
    end: int
    due_moves_to: str
    acts: tuple[str, ...] = ()


class BettermentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is better than before in a way to pay: its fee, its range of amounts, a new term; as the engine works it out.

    Amounts are minor units, a yearly cost is in 1e-12. Fee and yearly cost are those of an order of `amount_minor`.
    """

    plan: str
    what: str
    after: int
    before: int | None = None
    amount_minor: int | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One revision's whole content. Instants are epoch seconds.

    `note` is what is said besides, on the day it is back. `lifted`: its rules went before its end, which is then `until`.
    `until` is when it ends, where that is known; `next_update` by when there is news at the latest. `plans` are the ways
    to pay it is about.
    """

    id: str
    title: Text
    reason: Text
    affected: Text
    unaffected: Text
    since: int
    policy_digest: str
    zone: str
    until: int | None = None
    next_update: int | None = None
    confidence: str = "unknown"
    plans: tuple[str, ...] = ()
    impacts: tuple[ImpactRecord, ...] = ()
    percent: int = 100
    purpose: Text | None = None
    restored: Text | None = None
    repayment: RepaymentRecord | None = None
    compensation: tuple[CompensationRecord, ...] = ()
    betterments: tuple[BettermentRecord, ...] = ()
    note: Text | None = None
    lifted: bool = False
    changes: tuple[Difference, ...] = ()
    post: Text | None = None

    def over(self, at: int) -> bool:
        """Whether it has ended by then."""
        return self.until is not None and self.until <= at


COMPARED: Final = (
    "title",
    "reason",
    "affected",
    "unaffected",
    "since",
    "until",
    "next_update",
    "confidence",
    "plans",
    "impacts",
    "purpose",
    "repayment",
    "compensation",
    "percent",
)
"""What makes a new revision when it differs. The policy's digest does not: most publications are about other things."""

_decoder: Final[msgspec.json.Decoder[Document]] = msgspec.json.Decoder(Document)


_CONTROL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """The text without control characters, which no XML document may hold, nor the database a NUL."""
    return _CONTROL.sub("", text)


def _text(text: Text) -> Text:
    return Text(clean(text.zh_cn), clean(text.en))


def encode_document(document: Document) -> str:
    """As it is kept."""
    return msgspec.json.encode(document).decode()


def decode_document(data: str | bytes) -> Document:
    """As it was kept."""
    return _decoder.decode(data)


def document_of(policy: Policy, notice: Notice, *, not_before: int, percent: int = 100) -> Document:
    """What the policy says about one of its notices. Nothing of it holds before `not_before`, when the policy begins."""
    return Document(
        id=notice.id,
        title=_text(notice.title),
        reason=_text(notice.reason),
        affected=_text(notice.affected),
        unaffected=_text(notice.unaffected),
        since=notice.since,
        until=notice.until,
        next_update=notice.next_update,
        confidence=notice.certainty,
        plans=concerned_plans(policy, notice),
        impacts=_impacts(policy, notice, not_before),
        percent=percent,
        purpose=None if notice.purpose is None else _text(notice.purpose),
        restored=None if notice.restored is None else _text(notice.restored),
        repayment=None
        if notice.repayment is None
        else RepaymentRecord(
            start=notice.repayment.start,
            end=notice.repayment.end,
            due_moves_to=notice.repayment.due_moves_to.isoformat(),
            acts=notice.repayment.acts,
        ),
        compensation=tuple(
            CompensationRecord(
                id=terms.id,
                kind=terms.kind,
                name=_text(terms.name),
                hours=terms.hours,
                amount_minor=terms.amount_minor,
            )
            for terms in notice.compensation
        ),
        policy_digest=policy.digest,
        zone=policy.zone,
    )


def _impacts(policy: Policy, notice: Notice, not_before: int) -> tuple[ImpactRecord, ...]:
    return tuple(
        _record(policy, impact, not_before)
        for impact in impacts_of(policy, notice.id)
        if _public(policy, impact)
    )


def _public(policy: Policy, impact: Impact) -> bool:
    """The policy check refuses a notice that a personal rule links; a policy that passed by it tells no more."""
    if impact.rule is None:
        return True
    index = policy.rule_index[impact.rule]
    rule = policy.rules[index]
    return rule.public == "full" and rule.layer not in ("risk", "customer") and not policy.personal[index]


def _record(policy: Policy, impact: Impact, not_before: int) -> ImpactRecord:
    segment = None
    if impact.segment is not None:
        segment = _text(Text(*(segment_text(policy, impact, locale) for locale in LOCALES)))
    return ImpactRecord(
        act=impact.act,
        effect=impact.effect,
        funder=impact.funder,
        family=impact.family,
        plans=impact.plans,
        code=impact.code,
        channels=impact.channels,
        regions=impact.regions,
        segment=segment,
        start=_start(impact, not_before),
        end=impact.end,
        daily=None if impact.daily is None else (impact.daily.start, impact.daily.end),
        confidence=impact.confidence,
        next_update=impact.next_update,
    )


def _start(impact: Impact, not_before: int) -> int | None:
    """A policy changes nothing before it begins; what was over by then stays as it is told."""
    if impact.end is not None and impact.end <= not_before:
        return impact.start
    return not_before if impact.start is None else max(not_before, impact.start)


def continued(last: Document, document: Document, not_before: int) -> Document:
    """The document, with impacts that went on from the one before since when they really are so."""
    before = {msgspec.structs.replace(impact, start=None): impact.start for impact in last.impacts}
    impacts = []
    for impact in document.impacts:
        known = before.get(msgspec.structs.replace(impact, start=None))
        went_on = known is not None and impact.start == not_before and known < not_before
        impacts.append(msgspec.structs.replace(impact, start=known) if went_on else impact)
    return msgspec.structs.replace(document, impacts=tuple(impacts))


def concerned_plans(policy: Policy, notice: Notice) -> tuple[str, ...]:
    """The plans that a notice is about: those it names, else those of the rules and places that link it."""
    if notice.plans:
        return tuple(plan for plan in notice.plans if plan in policy.plan_index)
    linking = [rule.applies for rule in policy.rules if rule.notice == notice.id or rule.id in notice.rules]
    linking += [place.applies for place in policy.snapshot.placements if place.notice == notice.id]
    return tuple(plan.id for plan in policy.plans if any(selects(each, plan) for each in linking))


def changes_between(before: Document, after: Document) -> tuple[Difference, ...]:
    """What the later says otherwise, field by field, in the order of `COMPARED`."""
    found = []
    for name in COMPARED:
        was, now = (
            msgspec.to_builtins(getattr(document, name), str_keys=True) for document in (before, after)
        )
        if was != now:
            found.append(Difference(name, was, now))
    return tuple(found)


def with_post(document: Document, kind: Kind) -> Document:
    """The document with its short post: what can be pasted where people are, without its link."""
    zh_cn, en = (_post(document, kind, locale) for locale in LOCALES)
    return msgspec.structs.replace(document, post=Text(zh_cn, en))


_HEADS: Final[dict[str, Text]] = {
    "published": Text("公告", "Notice"),
    "scheduled": Text("预告", "Coming"),
    "updated": Text("更新", "Update"),
    "resolved": Text("已结束", "Over"),
    "restored": Text("已恢复", "Back"),
    "retracted": Text("已撤回", "Withdrawn"),
}


def _post(document: Document, kind: Kind, locale: str) -> str:
    zh = locale == "zh-CN"

    def when(at: int) -> str:
        return format_instant(at, document.zone, locale)

    head = _HEADS[kind].in_(locale)
    parts = [f"【{head}】{document.title.in_(locale)}" if zh else f"{head}: {document.title.in_(locale)}"]
    moved = next((change for change in document.changes if change.field == "until"), None)
    if kind == "retracted":
        parts.append("此公告不再有效" if zh else "this notice no longer holds")
    elif kind in ("resolved", "restored"):
        pass
    elif moved is not None and moved.before is not None and moved.after is not None:
        before, after = when(moved.before), when(moved.after)
        parts.append(f"结束时间由{before}改为{after}" if zh else f"the end moves from {before} to {after}")
    else:
        since = when(document.since)
        if document.until is not None:
            parts.append(
                f"{since}至{when(document.until)}" if zh else f"from {since} to {when(document.until)}"
            )
        else:
            parts.append(f"自{since}起" if zh else f"since {since}")
    if kind in ("published", "updated") and document.next_update is not None:
        news = when(document.next_update)
        parts.append(f"下次更新不晚于{news}" if zh else f"next news by {news}")
    return "。".join(parts) + "。" if zh else ". ".join(parts) + "."
