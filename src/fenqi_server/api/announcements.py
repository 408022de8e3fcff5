"""Announcements over the API, open to everybody; and compensation, for the shop's server with its key."""

from __future__ import annotations

from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from dmr import ResponseSpec, validate
from dmr.components import Path, Query
from dmr.plugins.msgspec import BodyMsgspec

from fenqi.calendars import to_epoch
from fenqi.texts import Text
from fenqi_server import clock
from fenqi_server.announcements import compensation
from fenqi_server.announcements.document import Document, ImpactRecord
from fenqi_server.announcements.lifecycle import Revision, revisions
from fenqi_server.announcements.reading import PHASES, Filter, Phase, board, phase_of
from fenqi_server.api.access import access_of
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import one_of
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.api.reading import refused
from fenqi_server.customers import service as customers
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop

__all__ = [
    "AnnouncementController",
    "AnnouncementsController",
    "CompensationsController",
    "RedemptionController",
]


class TextOut(msgspec.Struct, frozen=True, rename={"zh_cn": "zh-CN"}):
    """A text in both languages."""

    zh_cn: str
    en: str


class ImpactOut(msgspec.Struct, frozen=True, kw_only=True):
    """What changes: which act, of which ways to pay, where, for whom, from when to when.

    Empty `channels` and `regions` are all of them; `segment` null is everybody. `daily` is from and to in the shop's day.
    """

    act: Literal["buy", "repay", "pay_off", "refund", "autopay"]
    effect: Literal["paused", "limited", "demoted", "changed", "restored", "new"]
    funder: str
    family: str
    plans: tuple[str, ...]
    channels: tuple[str, ...]
    regions: tuple[str, ...]
    segment: TextOut | None
    start: datetime | None
    expected_end: datetime | None
    confidence: Literal["fixed", "estimate", "unknown"]
    next_update_by: datetime | None
    daily: tuple[str, str] | None
    code: str


class ChangedOut(msgspec.Struct, frozen=True):
    """A time that the revision moved, old and new."""

    field: Literal["since", "until", "next_update"]
    before: datetime | None
    after: datetime | None


class RepaymentOut(msgspec.Struct, frozen=True):
    """What is due meanwhile is due on `due_moves_to`; nothing is charged for it."""

    start: datetime
    end: datetime
    due_moves_to: date


class CompensationOut(msgspec.Struct, frozen=True):
    """What those affected get."""

    id: str
    kind: Literal["price_protection", "voucher", "fee_waiver"]
    name: TextOut
    hours: int
    amount_minor: int


class BettermentOut(msgspec.Struct, frozen=True):
    """What is better than before. Amounts are minor units, a yearly cost is in 1e-12."""

    plan: str
    what: str
    before: int | None
    after: int


class RevisionOut(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said. `note` is what is said besides, on the day it is back."""

    number: int
    kind: Literal["published", "updated", "resolved", "restored", "retracted"]
    state: Literal["scheduled", "published", "updated", "resolved", "retracted"]
    published_at: datetime
    title: TextOut
    public_reason: TextOut
    note: TextOut | None
    affected: TextOut
    unaffected: TextOut
    since: datetime
    until: datetime | None
    confidence: Literal["fixed", "estimate", "unknown"]
    next_update_by: datetime | None
    plans: tuple[str, ...]
    impacts: tuple[ImpactOut, ...]
    moved: tuple[ChangedOut, ...]
    repayment: RepaymentOut | None
    compensation: tuple[CompensationOut, ...]
    betterments: tuple[BettermentOut, ...]
    post: TextOut | None
    policy: str


class AnnouncementOut(msgspec.Struct, frozen=True, kw_only=True):
    """An announcement as it is now. `revisions` is filled where one announcement is asked for, newest first."""

    id: str
    phase: Literal["now", "coming", "past"]
    url: str
    newest: RevisionOut
    revisions: tuple[RevisionOut, ...] = ()


class AnnouncementsOut(msgspec.Struct, frozen=True):
    """Announcements: those in force, then those coming, then those over."""

    announcements: tuple[AnnouncementOut, ...]


class AnnouncementsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which ones. `plan` may name a family; `shop` is needed where there are several."""

    phase: str = ""
    funder: str = ""
    plan: str = ""
    channel: str = ""
    region: str = ""
    shop: str = ""


class ShopQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose announcement it is, where there are several shops."""

    shop: str = ""


class AnnouncementPath(msgspec.Struct, frozen=True):
    """An announcement's id."""

    announcement_id: str


def _shop(code: str) -> Shop:
    try:
        return shops.by_code(code) if code else shops.only_shop()
    except Shop.DoesNotExist:
        raise ApiProblem(
            404, "not_found", "Not found", "There is no such shop; name one with `shop`."
        ) from None


class AnnouncementsController(ApiController):
    """What the public is told."""

    tags: ClassVar[Any] = ["Announcements"]

    @validate(ResponseSpec(AnnouncementsOut, status_code=HTTPStatus.OK), *problems(404, 422))
    def get(self, parsed_query: Query[AnnouncementsQuery]) -> HttpResponse:
        """List announcements: of one `phase` (`now`, `coming`, `past`), or all. No key is needed: it is what the public page says."""
        phase = one_of(parsed_query.phase or None, PHASES, "/phase")
        shop, at = _shop(parsed_query.shop), clock.now()
        asked = Filter(
            parsed_query.funder[:80],
            parsed_query.plan[:80],
            parsed_query.channel[:80],
            parsed_query.region[:80],
        )
        found = board(shop, at, asked)
        phases = PHASES if phase is None else (phase,)
        listed = tuple(_announcement(each, phase) for phase in phases for each in found[phase][:200])
        return answer(self.request, AnnouncementsOut(listed))


class AnnouncementController(ApiController):
    """One announcement."""

    tags: ClassVar[Any] = ["Announcements"]

    @validate(ResponseSpec(AnnouncementOut, status_code=HTTPStatus.OK), *problems(404, 422))
    def get(self, parsed_path: Path[AnnouncementPath], parsed_query: Query[ShopQuery]) -> HttpResponse:
        """One announcement with everything that was said of it. No key is needed."""
        shop = _shop(parsed_query.shop)
        found = revisions(shop, parsed_path.announcement_id[:200])
        if not found:
            raise ApiProblem(404, "not_found", "Not found", "There is no such announcement in this shop.")
        made = _announcement(found[0], phase_of(found[0], to_epoch(clock.now())))
        every = tuple(_revision(each) for each in found)
        return answer(self.request, msgspec.structs.replace(made, revisions=every))


def _announcement(revision: Revision, phase: Phase) -> AnnouncementOut:
    path = reverse("announcements:notice", args=[revision.announcement])
    return AnnouncementOut(
        id=revision.announcement,
        phase=phase,
        url=f"{settings.FENQI_ORIGIN}{path}",
        newest=_revision(revision),
    )


def _text(text: Text) -> TextOut:
    return TextOut(text.zh_cn, text.en)


def _maybe(text: Text | None) -> TextOut | None:
    return None if text is None else _text(text)


def _at(epoch: int | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


def _revision(revision: Revision) -> RevisionOut:
    document = revision.document
    return RevisionOut(
        number=revision.number,
        kind=revision.kind,
        state=revision.state,
        published_at=revision.published_at,
        title=_text(document.title),
        public_reason=_text(document.reason),
        note=_maybe(document.note),
        affected=_text(document.affected),
        unaffected=_text(document.unaffected),
        since=datetime.fromtimestamp(document.since, UTC),
        until=_at(document.until),
        confidence=document.confidence,  # type: ignore[arg-type]  # as the engine wrote it
        next_update_by=_at(document.next_update),
        plans=document.plans,
        impacts=tuple(_impact(impact) for impact in document.impacts),
        moved=tuple(
            ChangedOut(change.field, _at(change.before), _at(change.after))  # type: ignore[arg-type]
            for change in document.changes
            if change.field in ("since", "until", "next_update")
        ),
        repayment=_repayment(document),
        compensation=tuple(
            CompensationOut(each.id, each.kind, _text(each.name), each.hours, each.amount_minor)  # type: ignore[arg-type]
            for each in document.compensation
        ),
        betterments=tuple(
            BettermentOut(each.plan, each.what, each.before, each.after) for each in document.betterments
        ),
        post=_maybe(document.post),
        policy=document.policy_digest,
    )


def _impact(impact: ImpactRecord) -> ImpactOut:
    daily = None
    if impact.daily is not None:
        first, last = (f"{minute // 60:02}:{minute % 60:02}" for minute in impact.daily)
        daily = (first, last)
    return ImpactOut(
        act=impact.act,  # type: ignore[arg-type]
        effect=impact.effect,  # type: ignore[arg-type]
        funder=impact.funder,
        family=impact.family,
        plans=impact.plans,
        channels=impact.channels,
        regions=impact.regions,
        segment=_maybe(impact.segment),
        start=_at(impact.start),
        expected_end=_at(impact.end),
        confidence=impact.confidence,  # type: ignore[arg-type]
        next_update_by=_at(impact.next_update),
        daily=daily,
        code=impact.code,
    )


def _repayment(document: Document) -> RepaymentOut | None:
    found = document.repayment
    if found is None:
        return None
    return RepaymentOut(
        datetime.fromtimestamp(found.start, UTC),
        datetime.fromtimestamp(found.end, UTC),
        date.fromisoformat(found.due_moves_to),
    )


# ------------------------------------------------------------------------------------------------- compensation


class GrantOut(msgspec.Struct, frozen=True, kw_only=True):
    """What one customer was granted. `amount_minor` of a kept price is the price of the checkout that was affected."""

    id: str
    announcement: str
    kind: Literal["price_protection", "voucher", "fee_waiver"]
    name: TextOut
    amount_minor: int | None
    currency: str
    evaluation_id: str
    state: Literal["open", "redeemed", "expired"]
    issued_at: datetime
    expires_at: datetime | None
    redeemed_at: datetime | None
    used_for: str | None


class GrantsOut(msgspec.Struct, frozen=True):
    """A customer's compensations, newest first."""

    compensations: tuple[GrantOut, ...]


class GrantsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose: the shop's own reference of the customer."""

    customer: str = ""


class GrantPath(msgspec.Struct, frozen=True):
    """A compensation's id."""

    compensation_id: str


class RedemptionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it is used for: the shop's own reference, such as the order's."""

    used_for: Annotated[str, msgspec.Meta(min_length=1, max_length=compensation.MAX_REFERENCE)]


class CompensationsController(ApiController):
    """What a customer was granted."""

    scopes: ClassVar[Any] = {"get": "compensations:read"}
    tags: ClassVar[Any] = ["Compensation"]

    @validate(ResponseSpec(GrantsOut, status_code=HTTPStatus.OK), *problems(401, 403, 422))
    def get(self, parsed_query: Query[GrantsQuery]) -> HttpResponse:
        """List a customer's compensations. A customer that the shop never named has none."""
        access = access_of(self.request)
        if not 0 < len(parsed_query.customer) <= 100:
            raise refused(
                FieldError(
                    "/customer",
                    parsed_query.customer[:120],
                    "the shop's reference of one customer, of 1 to 100 characters",
                    in_="query",
                )
            )
        customer = customers.find(access.shop, parsed_query.customer)
        found = () if customer is None else compensation.of_customer(access.shop, customer)
        return answer(self.request, GrantsOut(tuple(_grant(each) for each in found)))


class RedemptionController(ApiController):
    """Using a compensation."""

    scopes: ClassVar[Any] = {"post": "compensations:write"}
    tags: ClassVar[Any] = ["Compensation"]

    @validate(ResponseSpec(GrantOut, status_code=HTTPStatus.OK), *problems(400, 401, 403, 404, 409, 413, 422))
    def post(self, parsed_path: Path[GrantPath], parsed_body: BodyMsgspec[RedemptionIn]) -> HttpResponse:
        """Redeem it, once. The same `used_for` again is the same redemption, so a lost answer can be asked for again."""
        access = access_of(self.request)
        try:
            grant = compensation.redeem(
                access.shop, parsed_path.compensation_id, parsed_body.used_for, clock.now()
            )
        except compensation.NoGrant:
            raise ApiProblem(
                404, "not_found", "Not found", "There is no such compensation in this shop."
            ) from None
        except compensation.Spent as spent:
            when = spent.grant.redeemed_at or spent.grant.expires_at
            raise ApiProblem(
                409,
                f"compensation_{spent.code}",
                "It cannot be redeemed",
                f"It was {spent.code} at {when.isoformat() if when else 'an earlier time'}.",
            ) from None
        return answer(self.request, _grant(grant))


def _grant(grant: compensation.Grant) -> GrantOut:
    return GrantOut(
        id=grant.public_id,
        announcement=grant.announcement,
        kind=grant.kind,  # type: ignore[arg-type]  # the table has no other
        name=_text(grant.name),
        amount_minor=grant.amount_minor,
        currency=grant.currency,
        evaluation_id=grant.decision,
        state=grant.state(clock.now()),  # type: ignore[arg-type]
        issued_at=grant.issued_at,
        expires_at=grant.expires_at,
        redeemed_at=grant.redeemed_at,
        used_for=grant.redeemed_for,
    )
