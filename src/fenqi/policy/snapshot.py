"""A snapshot: one whole policy as one immutable value, named by its digest.

Funders, agreements, plans, rules, placements and notices compile into it. Its encoding is canonical (keys in
order, sets sorted), so the digest depends on what the policy says and on nothing else. Publishing swaps one
reference to a snapshot; rolling back publishes an old digest again. Everything typed by people has been parsed
before it gets here: instants are epoch seconds, amounts minor units, conditions trees.
"""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from fenqi.calendars import BusinessCalendar
from fenqi.policy.conditions import Condition
from fenqi.policy.facts import FactType, FactValue, vocabulary_for
from fenqi.policy.rollout import Rollout, rollout_fact
from fenqi.problems import BadInput
from fenqi.terms.disclosure import READING_SECONDS, ShownCost
from fenqi.terms.plan import LegalForm, Plan
from fenqi.texts import Text

__all__ = [
    "FORMAT",
    "KNOWN_SEMANTICS",
    "LAYERS",
    "SEMANTICS",
    "Act",
    "Agreement",
    "AudienceText",
    "Budget",
    "Change",
    "CompensationKind",
    "CompensationTerms",
    "Confidence",
    "DailyWindow",
    "Expected",
    "Family",
    "Funder",
    "FunderKind",
    "Group",
    "Layer",
    "MaxAge",
    "Notice",
    "Outcome",
    "PackTaken",
    "Pending",
    "Placement",
    "PolicyExample",
    "RepaymentImpact",
    "Rule",
    "RuleExample",
    "Selector",
    "SetInfo",
    "ShopTerms",
    "Snapshot",
    "SnapshotError",
    "State",
    "UnknownFormat",
    "UnknownSemantics",
    "Window",
    "ceiling_of",
    "check_versions",
    "decode",
    "digest",
    "encode",
    "selects",
    "versions_of",
    "vocabulary_of",
]

FORMAT: Final = "fenqi/policy@1"
SEMANTICS: Final = 1
"""The meaning of rules. A change of meaning raises it, and the evaluator of every released number stays."""

Layer = Literal[
    "law", "compliance", "agreement", "risk", "maintenance", "health", "strategy", "cart", "customer"
]
LAYERS: Final[tuple[Layer, ...]] = (
    "law",
    "compliance",
    "agreement",
    "risk",
    "maintenance",
    "health",
    "strategy",
    "cart",
    "customer",
)
"""The order in which reasons are shown."""

Group = Literal["instalment", "payment"]
State = Literal["available", "unavailable", "pending", "funder_decides"]
"""What a plan's verdict is."""
Outcome = Literal["open", "blocked", "unknown", "pending"]
"""What one rule says of a case."""
Change = Literal["customer", "cart", "time", "funder", "shop", "nobody"]
"""Who or what can make a reason go away."""
Act = Literal["buy", "repay", "pay_off", "refund", "autopay"]
"""What a customer does that a change may touch. A change in repayment is a change like one in buying."""
Confidence = Literal["fixed", "estimate", "unknown"]
"""How sure an end is: it is fixed, it is expected, or nobody knows."""
CompensationKind = Literal["price_protection", "voucher", "fee_waiver"]


FunderKind = Literal[
    "shop", "wallet", "bank", "consumer_finance", "microloan", "auto_finance", "trust", "lessor", "acquirer"
]
"""What a funder is by its licence: caps on cost and duties to disclose differ by it."""


KNOWN_SEMANTICS: Final = frozenset({1})
"""The meanings that this version still evaluates (`fenqi.policy.compile.EVALUATORS`): every one ever released."""


class SnapshotError(BadInput):
    """A snapshot that cannot be read or that this version of Fenqi cannot evaluate."""


class UnknownFormat(SnapshotError):
    """Something that is written in another way than this version reads."""


class UnknownSemantics(SnapshotError):
    """A snapshot whose rules mean something that this version does not know."""


class Window(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}, omit_defaults=True):
    """From an instant up to, and without, another (epoch seconds); an end left out is not known."""

    start: int | None = None
    end: int | None = None

    def holds(self, at: int) -> bool:
        """Whether the instant lies inside."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)


class DailyWindow(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """From a minute of the shop's day up to, and without, another; past midnight where `end` < `start`."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether the minute of the day lies inside."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


class Selector(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which plans something is about: all, or those named in any of the lists; of these only the ones `within` selects too."""

    all: bool = False
    funders: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    legal_forms: tuple[LegalForm, ...] = ()
    within: Selector | None = None


def selects(selector: Selector, plan: Plan) -> bool:
    """Whether the selector covers the plan.

    >>> from fenqi.terms.plan import PayInFull
    >>> card = Plan("card", "card", "bank", "full_payment", 1, PayInFull())
    >>> selects(Selector(all=True), card), selects(Selector(all=True, within=Selector(funders=("wallet",))), card)
    (True, False)
    """
    return (
        selector.all
        or plan.id in selector.plans
        or plan.family in selector.families
        or plan.funder in selector.funders
        or plan.legal_form in selector.legal_forms
    ) and (selector.within is None or selects(selector.within, plan))


class ShopTerms(msgspec.Struct, frozen=True):
    """The storefront: its zone decides what a day is, its currency what an amount is.

    `reading_seconds`: how long the table of all costs is shown at least before it can be agreed to. `shown_cost`: which of its
    yearly figures leads.
    """

    id: str
    name: Text
    time_zone: str
    currency: str
    reading_seconds: int = READING_SECONDS
    shown_cost: ShownCost = "simple"


class Agreement(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One version of a funder's dated terms with the shop. Each limit given becomes a rule of the layer `agreement`.

    `cost_ceiling` bounds the annual cost (IRR x 12), as a ratio. `audience`: for whom this version is, by public facts; of
    the versions begun, a later one goes before an earlier one for its audience. `paused`: nothing new is taken under it.
    `daily_quota_minor`: what the funder takes in a day of the shop. `partner_listed`: whether the shop stands on the funder's
    public list of partners; None where there is no such list. `notice` says why these terms are as they are.
    """

    version: str
    valid_from: int | None = None
    valid_to: int | None = None
    min_amount_minor: int | None = None
    max_amount_minor: int | None = None
    terms: tuple[int, ...] = ()
    cost_ceiling: Decimal | None = None
    audience: Condition | None = None
    paused: bool = False
    daily_quota_minor: int | None = None
    partner_listed: bool | None = None
    renewal_warning_days: int = 30
    note: Text | None = None
    notice: str | None = None


class Funder(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who puts up the money. `own_book`: what is owed is owed to us. `decides`: where the answer is given.

    Its terms are one `agreement`, or several dated versions in `agreements`, in order of their beginning.
    """

    id: str
    name: Text
    kind: FunderKind
    decides: Literal["here", "on_its_page"] = "here"
    own_book: bool = False
    agreement: Agreement | None = None
    agreements: tuple[Agreement, ...] = ()


def versions_of(funder: Funder) -> tuple[Agreement, ...]:
    """All versions of the funder's terms with the shop, in order of their beginning."""
    return funder.agreements if funder.agreement is None else (funder.agreement, *funder.agreements)


def ceiling_of(funder: Funder, at: int) -> Decimal | None:
    """The most that the yearly cost may come to by the terms in force at an instant, for whomever they are: the highest of
    their ceilings; None where one of them states none."""
    ceilings: list[Decimal | None] = []
    for version in reversed(versions_of(funder)):
        begun = version.valid_from is None or version.valid_from <= at
        if begun and (version.valid_to is None or at < version.valid_to):
            ceilings.append(version.cost_ceiling)
            if version.audience is None:
                break
    stated = [ceiling for ceiling in ceilings if ceiling is not None]
    return max(stated) if stated and len(stated) == len(ceilings) else None


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One way to pay, whose plans differ in their term."""

    id: str
    funder: str
    name: Text
    legal_form: LegalForm


class Pending(msgspec.Struct, frozen=True):
    """While `when` holds, the rule's answer is on its way, until the instant in the fact `deadline`."""

    when: Condition
    deadline: str


class AudienceText(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text for the customer, and where they need other words, for the agent and the operator."""

    customer: Text
    agent: Text | None = None
    operator: Text | None = None


class RuleExample(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A case with what the rule has to say of it: a test that its author wrote beside it.

    `open`: it is not in the way; `blocked`: it is; `unknown`: it is, for want of a fact; `pending`: its answer is waited for. `at` is
    needed where time matters to the rule.
    """

    name: str
    facts: tuple[tuple[str, FactValue], ...]
    expect: Outcome
    at: int | None = None


class Expected(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is expected for one plan: its state, or exactly these reasons' codes."""

    plan: str
    state: State | None = None
    reasons: tuple[str, ...] = ()


class PolicyExample(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A case at an instant, with what the whole policy has to say of some plans."""

    name: str
    facts: tuple[tuple[str, FactValue], ...]
    at: int
    expect: tuple[Expected, ...]


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A rule blocks; it never allows. It is violated at an instant when all of this holds, absent parts being true:
    the instant is inside `valid`, `blocked` and `daily`; `when` is true; `require` is not.

    `since_fact` and `until_fact` name instants that tell since when, and until when, a live reason holds: from the
    instant in `until_fact` on the rule counts as open, where it is asked when a plan opens.
    `unknown` says what becomes of it when facts leave that open: `block`, `allow`, or `ask` (block, and ask the
    customer for the fact). `public="generic"` keeps its particulars from the customer. `source` names the law or clause
    that it rests on; `unconfirmed`: the official text has not been read.
    """

    id: str
    layer: Layer
    owner: str
    reason: str
    applies: Selector
    when: Condition | None = None
    require: Condition | None = None
    blocked: Window | None = None
    daily: DailyWindow | None = None
    valid: Window | None = None
    unknown: Literal["block", "allow", "ask"] = "block"
    pending: Pending | None = None
    instead: tuple[str, ...] = ()
    notice: str | None = None
    public: Literal["full", "generic"] = "full"
    change: Change = "nobody"
    source: str | None = None
    title: AudienceText | None = None
    detail: AudienceText | None = None
    fix: AudienceText | None = None
    since_fact: str | None = None
    until_fact: str | None = None
    unconfirmed: bool = False
    examples: tuple[RuleExample, ...] = ()


class Budget(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Money that the shop spends on an offer, such as interest-free instalments, until it is spent.

    `total_minor` is what there is from `start` to `end`, or to `renews`, when it is there anew. `share`: what an order takes of
    it for each unit financed; None where all that is financed counts. Becomes the rule `budget.<id>`.
    """

    id: str
    name: Text
    total_minor: int
    applies: Selector
    share: Decimal | None = None
    start: int | None = None
    end: int | None = None
    renews: int | None = None
    notice: str | None = None


class Placement(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where plans stand on the page, from an instant on: a change of place is announced like any other.

    What is left out stays as it was: another placement in force, or the default.
    """

    id: str
    applies: Selector
    group: Group | None = None
    rank: int | None = None
    collapsed: bool | None = None
    reason: Text | None = None
    since: int | None = None
    notice: str | None = None


class RepaymentImpact(
    msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename={"start": "from", "end": "to"}
):
    """What an outage does to paying back: from then until then these acts rest, and what is due meanwhile is due on the
    date `due_moves_to`, at no charge."""

    start: int
    end: int
    due_moves_to: date
    acts: tuple[Act, ...] = ("repay", "pay_off", "autopay")


class CompensationTerms(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What those affected get: their price kept for `hours`, a voucher or a waived fee of `amount_minor`."""

    id: str
    kind: CompensationKind
    name: Text
    hours: int = 0
    amount_minor: int = 0


class Notice(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the public is told about a change: why, since and until when, who is affected and what is not.

    `restored` is the sentence, approved beforehand, for the day on which it is back.
    """

    id: str
    title: Text
    reason: Text
    affected: Text
    unaffected: Text
    since: int
    until: int | None = None
    next_update: int | None = None
    rules: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    confidence: Literal["", "fixed", "estimate", "unknown"] = ""
    purpose: Text | None = None
    restored: Text | None = None
    instead: tuple[str, ...] = ()
    repayment: RepaymentImpact | None = None
    compensation: tuple[CompensationTerms, ...] = ()

    @property
    def certainty(self) -> Confidence:
        """How sure its end is; a notice that does not say so is sure of an end that it gives."""
        if self.confidence:
            return self.confidence
        return "unknown" if self.until is None else "fixed"


class PackTaken(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A pack whose rules are among the policy's (`fenqi.policy.packs`): which version, what was set, left out and added."""

    id: str
    version: str
    parameters: dict[str, str] = {}
    without: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


class SetInfo(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A set of names that rules ask about: what it is called, the digest of its members, and how many those are.

    The members are kept beside the snapshot (`fenqi.policy.sets`), so that a list of 100,000 sellers is not part of
    every policy that names it.
    """

    name: str
    digest: str
    count: int
    label: Text | None = None


class MaxAge(msgspec.Struct, frozen=True):
    """How old a fact may be before it counts as unknown."""

    fact: str
    seconds: int


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A whole policy. Two snapshots with the same digest answer alike.

    `waivers` are rules about deposits: a lease whose deposit can be waived asks for it from whomever one of them stands in
    the way of. They decide about the deposit alone, never about the lease.
    """

    shop: ShopTerms
    funders: tuple[Funder, ...] = ()
    families: tuple[Family, ...] = ()
    plans: tuple[Plan, ...] = ()
    rules: tuple[Rule, ...] = ()
    placements: tuple[Placement, ...] = ()
    notices: tuple[Notice, ...] = ()
    facts: tuple[FactType, ...] = ()
    budgets: tuple[Budget, ...] = ()
    waivers: tuple[Rule, ...] = ()
    calendars: tuple[BusinessCalendar, ...] = ()
    packs: tuple[PackTaken, ...] = ()
    sets: tuple[SetInfo, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    max_ages: tuple[MaxAge, ...] = ()
    examples: tuple[PolicyExample, ...] = ()
    format: str = FORMAT
    semantics: int = SEMANTICS


class _Head(msgspec.Struct):
    format: str = ""
    semantics: int = 0


# Made with the module, once: msgspec works a type out when it is first asked for, and two threads that ask for one type
# for the first time at the same moment bring the process down.
_head: Final = msgspec.json.Decoder(_Head).decode
_snapshot: Final = msgspec.json.Decoder(Snapshot).decode


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot as canonical JSON: the same policy is the same bytes.

    What equals its default is left out, so that a field which a later version adds does not rename old policies.
    """
    said = _said(snapshot)
    # The two versions are written even where they are the defaults of today.
    said["format"], said["semantics"] = snapshot.format, snapshot.semantics
    return msgspec.json.encode(said, order="sorted")


@lru_cache(maxsize=256)
def _fields_of(kind: type[msgspec.Struct]) -> tuple[dict[str, Any], tuple[tuple[str, str, Any], ...]]:
    """A struct's tag, and its fields: name, name in the encoding, default. Asking msgspec anew each time takes most of the time."""
    config = kind.__struct_config__
    tag = {} if config.tag_field is None else {config.tag_field: config.tag}
    return tag, tuple((each.name, each.encode_name, each.default) for each in msgspec.structs.fields(kind))


def _said(value: Any) -> Any:
    # msgspec's own `omit_defaults` tells a default by identity: a word that was read and one that was written in the
    # code would make two encodings of one policy.
    if isinstance(value, msgspec.Struct):
        tag, fields = _fields_of(type(value))
        said = dict(tag)
        for name, encoded, default in fields:
            part = getattr(value, name)
            if type(part) is not type(default) or part != default:
                said[encoded] = _said(part)
        return said
    if isinstance(value, tuple):
        return [_said(part) for part in value]
    return value


def digest(snapshot: Snapshot) -> str:
    """The snapshot's name: `sha256:` and 64 hexadecimal digits over its encoding."""
    return "sha256:" + hashlib.sha256(encode(snapshot)).hexdigest()


def decode(data: bytes) -> Snapshot:
    """Read an encoded snapshot. Raises `UnknownFormat`, `UnknownSemantics`, and `SnapshotError` for another shape.

    Nothing is skipped: what a newer version wrote and this one does not know might be the rule that keeps somebody out.
    """
    try:
        head = _head(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError("snapshot", str(error), "an encoded snapshot") from error
    check_versions(head.format, head.semantics)
    try:
        snapshot = _snapshot(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError("snapshot", str(error), "the shape of a snapshot") from error
    if encode(snapshot) != data:
        raise SnapshotError(
            "snapshot",
            "more than this version of Fenqi can read, or not as it writes it",
            "the bytes of a snapshot as this version encodes it",
            "use the version of Fenqi that wrote it, or a newer one",
        )
    return snapshot


def check_versions(format_: str, semantics: int) -> None:
    """That this version reads the format and knows the meaning. Raises `UnknownFormat` and `UnknownSemantics`."""
    if format_ != FORMAT:
        raise UnknownFormat("snapshot.format", format_, FORMAT, _OTHER_VERSION)
    if semantics not in KNOWN_SEMANTICS:
        known = ", ".join(map(str, sorted(KNOWN_SEMANTICS)))
        raise UnknownSemantics("snapshot.semantics", str(semantics), f"one of {known}", _OTHER_VERSION)


_OTHER_VERSION: Final = "use the version of Fenqi that wrote it, or a newer one"


def vocabulary_of(snapshot: Snapshot) -> dict[str, FactType]:
    """All facts that the snapshot's rules may name."""
    vocabulary = vocabulary_for(
        ((f.id, f.name) for f in snapshot.funders),
        (*snapshot.facts, *(rollout_fact(each.salt) for each in snapshot.rollouts)),
        ((b.id, b.name) for b in snapshot.budgets),
    )
    for age in snapshot.max_ages:
        if age.fact not in vocabulary:
            raise SnapshotError("max_ages", age.fact, "a fact of the vocabulary")
        vocabulary[age.fact] = msgspec.structs.replace(vocabulary[age.fact], max_age_seconds=age.seconds)
    return vocabulary
