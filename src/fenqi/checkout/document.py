"""An evaluation as a document: what the API answers, and what the command line prints.

Amounts are `*_minor`, rates are percentages as decimal strings, instants are RFC 3339 with the shop's offset, and
every text comes in both languages, or in the one asked for. What only the customer may see in general words is in
general words here (`fenqi.policy.verdict.for_customer`): nobody has to remember to hide it later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakKeyDictionary

import msgspec

from fenqi.calendars import from_epoch
from fenqi.checkout.alternatives import Alternative
from fenqi.checkout.evaluation import Evaluation, Group, Option
from fenqi.checkout.leases import sheet_of
from fenqi.policy.reasons import reason_texts
from fenqi.policy.snapshot import Change, Layer
from fenqi.policy.snapshot import Group as GroupId
from fenqi.policy.verdict import Reason, State, Until, for_customer
from fenqi.terms.disclosure import ContingentKind, DisclosedCost, Disclosure, ItemKind, percent, rates_of
from fenqi.terms.disclosure import digest as digest_of
from fenqi.terms.lease_sheet import PointCode, sheet_digest
from fenqi.terms.plan import Authority, LegalForm, Plan
from fenqi.terms.rent import DepositForm, LeaseFigures, LeasePath
from fenqi.terms.schedule import RowKind, Schedule
from fenqi.texts import LOCALES, Text

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy
    from fenqi.policy.verdict import Override

__all__ = [
    "AlternativeDocument",
    "CostDocument",
    "DisclosureDocument",
    "EvaluationDocument",
    "GroupDocument",
    "OfferDocument",
    "PlaceDocument",
    "QuoteDocument",
    "ReasonDocument",
    "SpecialCaseDocument",
    "UnavailableDocument",
    "WayOn",
    "evaluation_document",
]

Words = dict[str, str]
"""One text by locale: `{"zh-CN": ..., "en": ...}`, or only the locale asked for."""

WayOn = Literal["notice", "another_way", "support", "notify"]
"""看公告, 换支付方式, 联系客服, 恢复时通知我: what a customer can do where something is missing."""


class QuoteDocument(msgspec.Struct, frozen=True):
    """An offer signed by the service: confirm it with `token` before `expires_at`."""

    token: str
    expires_at: str


class FamilyDocument(msgspec.Struct, frozen=True):
    """One way to pay, whose plans differ in their term."""

    id: str
    name: Words
    funder: str
    funder_name: Words
    legal_form: LegalForm


class GroupDocument(msgspec.Struct, frozen=True):
    """A headed group of the page: credit and payment tools are never one list, and nothing is preselected."""

    id: GroupId
    title: Words
    families: tuple[FamilyDocument, ...]


class PlaceDocument(msgspec.Struct, frozen=True):
    """Where it stands on the page; where it was moved, why and since when."""

    group: GroupId
    rank: int
    collapsed: bool
    reason: Words | None
    since: str | None
    notice: str | None


class RowDocument(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One payment. Of a lease a row has rent, and a deposit that is negative where it goes back; both are left out where 0."""

    number: int
    kind: RowKind
    due_on: date
    principal_minor: int
    fee_minor: int
    total_minor: int
    rent_minor: int = 0
    deposit_minor: int = 0


class CostDocument(msgspec.Struct, frozen=True):
    """What it costs in a year: `percent`, by `method` and never shown without `label`, is the figure that leads; the others
    stand beside it. Null with a reason where that is not defined, never 0."""

    percent: str | None
    method: str
    label: Words
    simple_percent: str | None
    compounded_percent: str | None
    sum_of_items_percent: str | None
    undefined: str | None


class DisclosureItemDocument(msgspec.Struct, frozen=True):
    """One cost of the plan kept as agreed: what, when, by what standard, how much, to whom.

    `annual_percent` is agreed, or worked out for this cost alone, as `rate_method` says.
    """

    code: str
    name: Words
    timing: Words
    basis: Words
    amount_minor: int
    annual_percent: str | None
    payee: str
    payee_name: Words
    kind: ItemKind
    rate_type: Words | None
    repay_mode: Words | None
    rate_method: str
    phase: Literal["normal"] = "normal"


class ContingentDocument(msgspec.Struct, frozen=True):
    """A cost that arises only if something goes otherwise than agreed: it is in no figure of the table."""

    code: str
    name: Words
    basis: Words
    payee: str
    payee_name: Words | None
    kind: ContingentKind
    phase: Literal["contingent"] = "contingent"


class DisclosureDocument(msgspec.Struct, frozen=True):
    """The table of all costs. `digest` names it: it is what the customer acknowledges, after it was shown for at least
    `reading_seconds`. `ceiling_percent` is null where the funder's agreement states no ceiling of the yearly cost."""

    digest: str
    table_version: str
    items: tuple[DisclosureItemDocument, ...]
    contingent: tuple[ContingentDocument, ...]
    nothing_else: Words
    indicative_basis: Words | None
    reading_seconds: int
    capped: bool
    ceiling_percent: str | None


class SpecialCaseDocument(msgspec.Struct, frozen=True):
    """The offer rests on a special case (特批) made for this customer: confirm it before `until`, when that ends."""

    until: str


class SheetPointDocument(msgspec.Struct, frozen=True):
    """One thing to know before renting. `warns`: it is to the customer's cost."""

    code: PointCode
    title: Words
    says: Words
    warns: bool


class LeaseSheetDocument(msgspec.Struct, frozen=True):
    """What to know before renting, shown beside the table of all costs. `digest` names it."""

    digest: str
    sheet_version: str
    points: tuple[SheetPointDocument, ...]


class DepositDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit: how it is held, and what becomes of it on the path shown. deposit = credited + returned + lost.

    `verdict` is `available` where it is waived, null where it cannot be; otherwise `reasons` say why it is asked for, and
    `asks` what the customer can tell.
    """

    form: DepositForm
    amount_minor: int
    waived_minor: int
    credited_minor: int
    returned_minor: int
    lost_minor: int
    back_on: date | None
    verdict: State | None
    reasons: tuple[ReasonDocument, ...]
    asks: tuple[str, ...]


class LeaseDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A lease: `path` is the one that the schedule follows, to ownership where the goods can be bought, else to their return.

    `give_back_minor` is what renting to the end and giving back comes to. The percentages, rounded up, are of the price of the goods: all
    rents and the buyout; a year's rents and the buyout.
    """

    path: LeasePath
    owns: bool
    ends_on: date
    rent_minor: int
    rents: int
    rent_total_minor: int
    buyout_minor: int | None
    give_back_minor: int
    own_percent: str
    yearly_percent: str
    deposit: DepositDocument | None
    sheet: LeaseSheetDocument


class OfferDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay that can be taken now. `state` says whether the shop decides or the funder, on its page. `lease` is null for
    everything else."""

    plan: str
    family: str
    funder: str
    legal_form: LegalForm
    state: State
    periods: int
    name: Words
    last_used: bool
    place: PlaceDocument
    authority: Authority
    down_payment_minor: int
    financed_minor: int
    fee_minor: int
    total_minor: int
    instalment_minor: int
    cost: CostDocument
    schedule: tuple[RowDocument, ...]
    disclosure: DisclosureDocument
    quote: QuoteDocument | None
    special_case: SpecialCaseDocument | None
    lease: LeaseDocument | None = None


class UntilDocument(msgspec.Struct, frozen=True):
    """`instant` with `at`; `unknown`: it will end, nobody can say when yet; `none`: time alone does not change it."""

    kind: Literal["instant", "unknown", "none"]
    at: str | None


class NoticeDocument(msgspec.Struct, frozen=True):
    """The public notice about a reason."""

    id: str
    title: Words


class ReasonDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, as the customer may see it. `notice` is null where there is none yet."""

    code: str
    layer: Layer
    title: Words
    detail: Words
    fix: Words
    since: str | None
    until: UntilDocument
    change: Change
    notice: NoticeDocument | None
    personal: bool
    unknown: bool
    pending: bool


class AlternativeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An offer to take instead; `difference_minor` is its total less the missing way's, null where they do not buy the same: one
    rents what the other owns."""

    plan: str
    family: str
    name: Words
    periods: int
    difference_minor: int | None
    total_minor: int
    instalment_minor: int


class UnavailableDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay that is missing, or waited for: every reason, until when, what instead, and the ways on.

    `alternatives` is empty where there is none. The figures are null only where its terms do not fit the amount.
    """

    plan: str
    family: str
    funder: str
    legal_form: LegalForm
    state: State
    periods: int
    name: Words
    last_used: bool
    place: PlaceDocument
    reasons: tuple[ReasonDocument, ...]
    until: UntilDocument
    deadline: str | None
    asks: tuple[str, ...]
    alternatives: tuple[AlternativeDocument, ...]
    ways_on: tuple[WayOn, ...]
    total_minor: int | None
    fee_minor: int | None
    instalment_minor: int | None


class EvaluationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer. `decision` is the service's name for it; without a service there is none, nothing is signed, and the
    answer is `indicative`: the service decides again before anything is agreed.
    """

    decision: str | None
    indicative: bool
    policy: str
    as_of: str
    valid_until: str
    zone: str
    currency: str
    amount_minor: int
    groups: tuple[GroupDocument, ...]
    offers: tuple[OfferDocument, ...]
    unavailable: tuple[UnavailableDocument, ...]


_TITLES: Final[dict[GroupId, Text]] = {
    "payment": Text("支付", "Payment"),
    "instalment": Text("分期与贷款", "Instalments and loans"),
}
_WITH_RENTALS: Final = Text("分期、贷款与租赁", "Instalments, loans and rentals")


def evaluation_document(
    policy: Policy,
    evaluation: Evaluation,
    *,
    locale: str | None = None,
    decision: str | None = None,
    quotes: Mapping[str, QuoteDocument] | None = None,
    digests: Mapping[str, str] | None = None,
    overrides: Sequence[Override] = (),
) -> EvaluationDocument:
    """Write an evaluation for those who asked for it.

    `quotes` and `digests` (of the disclosures) are by plan: the service signs the ones and has computed the others
    already. `overrides` are the request's: an offer that rests on one says so. Without a `locale` texts come in both languages. `msgspec.json.encode` makes JSON of the result.
    """
    zone = evaluation.zone
    writer = _Writer(policy, zone, locale, {override.id: override.until for override in overrides})
    offers: list[OfferDocument] = []
    unavailable: list[UnavailableDocument] = []
    for option in evaluation.options:
        if option.offered and option.schedule is not None and option.disclosure is not None:
            quote = quotes.get(option.plan) if quotes is not None else None
            known_digest = digests.get(option.plan) if digests is not None else None
            offers.append(writer.offer(option, option.schedule, option.disclosure, quote, known_digest))
        else:
            unavailable.append(writer.missing(option))
    return EvaluationDocument(
        decision=decision,
        indicative=decision is None,
        policy=evaluation.policy_digest,
        as_of=_instant(evaluation.as_of, zone),
        valid_until=_instant(evaluation.valid_until, zone),
        zone=zone,
        currency=evaluation.currency,
        amount_minor=evaluation.amount_minor,
        groups=writer.groups(evaluation),
        offers=tuple(offers),
        unavailable=tuple(unavailable),
    )


class _Writer:
    """Writes the parts of one document, in one policy's words."""

    def __init__(self, policy: Policy, zone: str, locale: str | None, ends: Mapping[str, int]) -> None:
        self.policy = policy
        self.ends = ends
        self.zone = zone
        self.locale = locale
        self.families = policy.families
        self.kept = _kept(policy, locale)

    def groups(self, evaluation: Evaluation) -> tuple[GroupDocument, ...]:
        return tuple(
            [
                GroupDocument(
                    group.id,
                    _words(self.title(group), self.locale),
                    tuple([self.family(family_id) for family_id in group.families]),
                )
                for group in evaluation.groups
            ]
        )

    def title(self, group: Group) -> Text:
        forms = {self.families[family].legal_form for family in group.families}
        if group.id == "instalment" and forms & {"operating_lease", "finance_lease"}:
            return _WITH_RENTALS
        return _TITLES[group.id]

    def family(self, family_id: str) -> FamilyDocument:
        known = self.kept.families.get(family_id)
        if known is None:
            family = self.families[family_id]
            known = self.kept.families[family_id] = FamilyDocument(
                family_id,
                _words(family.name, self.locale),
                family.funder,
                _words(self.policy.funders[family.funder].name, self.locale),
                family.legal_form,
            )
        return known

    def offer(
        self,
        option: Option,
        schedule: Schedule,
        disclosure: Disclosure,
        quote: QuoteDocument | None,
        known_digest: str | None,
    ) -> OfferDocument:
        plan = self.policy.plan(option.plan)
        rows = tuple(
            [
                RowDocument(
                    row.number,
                    row.kind,
                    row.due_on,
                    row.principal_minor,
                    row.fee_minor,
                    row.total_minor,
                    row.rent_minor,
                    row.deposit_minor,
                )
                for row in schedule.rows
            ]
        )
        return OfferDocument(
            plan=option.plan,
            family=option.family,
            funder=option.funder,
            legal_form=option.legal_form,
            state=option.verdict.state,
            periods=plan.periods,
            name=_words(self.families[option.family].name, self.locale),
            last_used=option.last_used,
            place=self.place(option),
            authority=plan.authority,
            down_payment_minor=schedule.down_payment_minor,
            financed_minor=schedule.financed_minor,
            fee_minor=schedule.fee_minor,
            total_minor=schedule.total_minor,
            instalment_minor=option.instalment_minor or 0,
            cost=self.cost(disclosure.annual_cost),
            schedule=rows,
            disclosure=self.disclosure(disclosure, known_digest),
            quote=quote,
            special_case=self.special_case(option) if option.verdict.overrides else None,
            lease=None if schedule.lease is None else self.lease(option, plan, schedule, schedule.lease),
        )

    def lease(self, option: Option, plan: Plan, schedule: Schedule, figures: LeaseFigures) -> LeaseDocument:
        assert option.cost is not None, "what is priced has a cost"
        sheet = sheet_of(self.policy, plan, schedule, option.cost)
        return LeaseDocument(
            path=figures.path,
            owns=figures.owns,
            ends_on=figures.ends_on,
            rent_minor=figures.rent_minor,
            rents=figures.rents,
            rent_total_minor=figures.rent_total_minor,
            buyout_minor=sheet.buyout_minor,
            give_back_minor=sheet.give_back_minor,
            own_percent=_percent_up(figures.own_ratio_e12),
            yearly_percent=_percent_up(figures.yearly_ratio_e12),
            deposit=None
            if figures.deposit_form is None
            else self.deposit(option, figures, figures.deposit_form),
            sheet=LeaseSheetDocument(
                sheet_digest(sheet),
                sheet.sheet_version,
                tuple(
                    [
                        SheetPointDocument(
                            point.code,
                            _words(point.title, self.locale),
                            _words(point.says, self.locale),
                            point.warns,
                        )
                        for point in sheet.points
                    ]
                ),
            ),
        )

    def deposit(self, option: Option, figures: LeaseFigures, form: DepositForm) -> DepositDocument:
        verdict = option.deposit_verdict
        # The waivers are rules of their own, and so are their words.
        waivers = self.policy.waivers
        writer = self if waivers is None else _Writer(waivers, self.zone, self.locale, self.ends)
        return DepositDocument(
            form=form,
            amount_minor=figures.deposit_minor,
            waived_minor=figures.waived_minor,
            credited_minor=figures.credited_minor,
            returned_minor=figures.returned_minor,
            lost_minor=figures.lost_minor,
            back_on=figures.deposit_back_on,
            verdict=None if verdict is None else verdict.state,
            reasons=()
            if verdict is None
            else tuple([writer.reason(reason) for reason in _told_apart(verdict.reasons)]),
            asks=() if verdict is None else verdict.asks,
        )

    def special_case(self, option: Option) -> SpecialCaseDocument | None:
        ends = [self.ends[name] for name in option.verdict.overrides if name in self.ends]
        return SpecialCaseDocument(_instant(min(ends), self.zone)) if ends else None

    def cost(self, cost: DisclosedCost) -> CostDocument:
        leading = rates_of(cost)[0]
        return CostDocument(
            leading.shown_percent,
            leading.method,
            _words(leading.label, self.locale),
            cost.shown_percent,
            cost.shown_compounded_percent,
            cost.shown_sum_percent,
            cost.undefined,
        )

    def disclosure(self, disclosure: Disclosure, known_digest: str | None) -> DisclosureDocument:
        locale = self.locale
        ceiling = disclosure.ceiling_e12
        return DisclosureDocument(
            digest_of(disclosure) if known_digest is None else known_digest,
            disclosure.table_version,
            tuple(
                [
                    DisclosureItemDocument(
                        item.code,
                        _words(item.name, locale),
                        _words(item.timing, locale),
                        _words(item.basis, locale),
                        item.amount_minor,
                        None if item.annual_rate_e12 is None else percent(item.annual_rate_e12),
                        item.payee,
                        _words(item.payee_name, locale),
                        item.kind,
                        None if item.rate_type is None else _words(item.rate_type, locale),
                        None if item.repay_mode is None else _words(item.repay_mode, locale),
                        item.rate_method,
                    )
                    for item in disclosure.items
                ]
            ),
            tuple(
                [
                    ContingentDocument(
                        cost.code,
                        _words(cost.name, locale),
                        _words(cost.basis, locale),
                        cost.payee,
                        None if cost.payee_name is None else _words(cost.payee_name, locale),
                        cost.kind,
                    )
                    for cost in disclosure.contingent
                ]
            ),
            _words(disclosure.nothing_else, locale),
            None if disclosure.indicative_basis is None else _words(disclosure.indicative_basis, locale),
            disclosure.reading_seconds,
            disclosure.capped,
            None if ceiling is None else percent(ceiling),
        )

    def place(self, option: Option) -> PlaceDocument:
        # A policy's places change only at their dates, so a plan and a date name one place.
        key = (option.plan, option.collapsed, option.rank, option.placement_since)
        known = self.kept.places.get(key)
        if known is None:
            reason, since = option.placement_reason, option.placement_since
            known = self.kept.places[key] = PlaceDocument(
                option.group,
                option.rank,
                option.collapsed,
                None if reason is None else _words(reason, self.locale),
                None if since is None else _instant(since, self.zone),
                option.placement_notice,
            )
        return known

    def missing(self, option: Option) -> UnavailableDocument:
        verdict, schedule = option.verdict, option.schedule
        reasons = tuple([self.reason(reason) for reason in _told_apart(verdict.reasons)])
        ways: list[WayOn] = []
        if any(reason.notice is not None for reason in reasons):
            ways.append("notice")
        if option.alternatives:
            ways.append("another_way")
        ways += ("support", "notify")
        return UnavailableDocument(
            plan=option.plan,
            family=option.family,
            funder=option.funder,
            legal_form=option.legal_form,
            state=verdict.state,
            periods=self.policy.plan(option.plan).periods,
            name=_words(self.families[option.family].name, self.locale),
            last_used=option.last_used,
            place=self.place(option),
            reasons=reasons,
            until=self.until(verdict.until),
            deadline=None if verdict.deadline is None else _instant(verdict.deadline, self.zone),
            asks=verdict.asks,
            alternatives=tuple([self.alternative(other) for other in option.alternatives]),
            ways_on=tuple(ways),
            total_minor=None if schedule is None else schedule.total_minor,
            fee_minor=None if schedule is None else schedule.fee_minor,
            instalment_minor=option.instalment_minor,
        )

    def reason(self, reason: Reason) -> ReasonDocument:
        shown = for_customer(reason)
        title, detail, fix = self.reason_words(reason)
        notice = None if shown.notice is None else self.policy.notices[shown.notice]
        return ReasonDocument(
            code=shown.code,
            layer=shown.layer,
            title=title,
            detail=detail,
            fix=fix,
            since=None if shown.since is None else _instant(shown.since, self.zone),
            until=self.until(shown.until),
            change=shown.change,
            notice=None if notice is None else NoticeDocument(notice.id, _words(notice.title, self.locale)),
            personal=shown.personal,
            unknown=shown.unknown,
            pending=shown.pending,
        )

    def reason_words(self, reason: Reason) -> tuple[Words, Words, Words]:
        """Title, detail and fix. They follow from the rule and its parameters; most checkouts share most of them."""
        said = self.kept.said
        key = (
            reason.code,
            reason.rule,
            reason.unknown,
            reason.pending,
            tuple(reason.params.items()),
            tuple([clause.fact for clause in reason.clauses if clause.actual is None]),
            tuple([clause.other for clause in reason.clauses if clause.bound is None]),
            reason.clauses[0].fact if reason.clauses else None,
        )
        words = said.get(key)
        if words is None:
            if len(said) >= _SAID_LIMIT:
                said.clear()
            title: Words = {}
            detail: Words = {}
            fix: Words = {}
            for locale in LOCALES if self.locale is None else (self.locale,):
                texts = reason_texts(self.policy, reason, "customer", locale)
                title[locale], detail[locale], fix[locale] = texts.title, texts.detail, texts.fix
            words = said[key] = (title, detail, fix)
        return words

    def until(self, until: Until) -> UntilDocument:
        return UntilDocument(until.kind, None if until.at is None else _instant(until.at, self.zone))

    def alternative(self, other: Alternative) -> AlternativeDocument:
        family = self.policy.plan(other.plan).family
        return AlternativeDocument(
            plan=other.plan,
            family=family,
            name=_words(self.families[family].name, self.locale),
            periods=other.periods,
            difference_minor=other.difference_minor,
            total_minor=other.total_minor,
            instalment_minor=other.instalment_minor,
        )


def _percent_up(ratio_e12: int) -> str:
    # Above a ceiling is never shown as at it.
    return percent(-(-ratio_e12 // 10**8) * 10**8)


def _told_apart(reasons: tuple[Reason, ...]) -> list[Reason]:
    """The reasons, without those generic ones that say the same again: how many signals fired is a particular too."""
    told: list[Reason] = []
    for reason in reasons:
        shown = for_customer(reason)
        if shown is reason or all(for_customer(other) != shown for other in told):
            told.append(reason)
    return told


@lru_cache(maxsize=4096)
def _words(text: Text, locale: str | None) -> Words:
    if locale is None:
        return {"zh-CN": text.zh_cn, "en": text.en}
    return {locale: text.in_(locale)}


@lru_cache(maxsize=4096)
def _instant(at: int, zone: str) -> str:
    return from_epoch(at, zone).isoformat()


_Key = tuple[object, ...]


class _Kept:
    """What was written of one policy in one language, and holds for its other documents too."""

    def __init__(self) -> None:
        self.families: dict[str, FamilyDocument] = {}
        self.places: dict[_Key, PlaceDocument] = {}
        self.said: dict[_Key, tuple[Words, Words, Words]] = {}


# Nothing kept refers to its policy, so that it goes when the policy goes.
_KEPT: Final[WeakKeyDictionary[Policy, dict[str | None, _Kept]]] = WeakKeyDictionary()
_SAID_LIMIT: Final = 4096


def _kept(policy: Policy, locale: str | None) -> _Kept:
    by_locale = _KEPT.get(policy)
    if by_locale is None:
        by_locale = _KEPT[policy] = {}
    known = by_locale.get(locale)
    if known is None:
        known = by_locale[locale] = _Kept()
    return known
