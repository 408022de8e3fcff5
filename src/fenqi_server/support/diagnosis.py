"""Diagnosis: why could this customer, with this cart, at that instant, not use it? Answered from the record.

Nothing is looked up anew and nothing is guessed. The recorded decision is decided again, and compared with what was
recorded then; on that rests everything else: what each layer of rules said of each way to pay, every clause that failed
with what was found and what is asked for, what nobody knew, what would follow if one of the reasons were gone, and
the smallest change that is in the customer's own hands. What to tell the customer is what the checkout told
them, from the same functions, in both languages: the desk has no words of its own for it.

Some of it is not for everybody at the desk. Which signal of risk fired, and figures of a person, are withheld from those
whose role does not need them; then the diagnosis says that something is withheld, and who may see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from django.db import connection
from django.utils import translation

from fenqi.calendars import at_local, local_date, to_epoch
from fenqi.checkout.evaluation import Option, priced_facts
from fenqi.checkout.nearest import nearest_change, nearest_text
from fenqi.policy.conditions import facts_of
from fenqi.policy.facts import Facts
from fenqi.policy.reasons import clause_text, reason_texts
from fenqi.policy.snapshot import LAYERS, Layer, Rule, selects
from fenqi.policy.verdict import Failing, Reason, State, Verdict, decide, for_customer
from fenqi.texts import LOCALES
from fenqi_server.db import use_shop
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions
from fenqi_server.decisions.replay import Difference, compare
from fenqi_server.ids import first_uuid7, parse_public_id
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.selector import (
    GroupView,
    ReasonView,
    WayView,
    group_views,
    option_name,
    reason_view,
    until_text,
)
from fenqi_server.storefront.voice import Voice

__all__ = [
    "Cause",
    "ClauseView",
    "Diagnosis",
    "LayerOutcome",
    "PlanDiagnosis",
    "Sight",
    "Similar",
    "Words",
    "customer_words",
    "diagnose",
    "focus_of",
]

Outcome = Literal["passed", "blocks", "unknown", "pending", "set_aside", "no_rules"]
MAX_COUNTED: Final = 200_000
"""Of a day's decisions at most so many are looked through for similar ones, the newest."""


class Sight(msgspec.Struct, frozen=True):
    """What the reader may see: figures of the `person`, and which signal of `risk` fired."""

    person: bool = False
    risk: bool = False

    @classmethod
    def of(cls, roles: Iterable[str], layers: Iterable[str] = ()) -> Sight:
        """What a member of staff with these roles, and a reviewer of these layers, may see."""
        held, reviewed = frozenset(roles), frozenset(layers) if "reviewer" in roles else frozenset()
        return cls(
            person=bool(held & {"support", "supervisor", "auditor"}),
            risk=bool(held & {"supervisor", "auditor"}) or "risk" in reviewed,
        )


class ClauseView(msgspec.Struct, frozen=True):
    """One clause that is not met. `actual` is None where nobody knows."""

    text: str
    fact: str
    label: str
    op: str
    actual: Any
    bound: Any
    unknown: bool


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One reason in the way, with what the desk may see of it.

    `withheld` names what is left out ("risk" or "person"); then rule, clauses and what-if are. `alone`: what becomes of
    the plan if this one reason is gone, the others staying. `can_be_set_aside`: a special case may be asked for.
    """

    code: str
    layer: Layer
    rule: str
    title: str
    detail: str
    fix: str
    when: str
    clauses: tuple[ClauseView, ...] = ()
    unknown: tuple[str, ...] = ()
    notice: str | None = None
    notice_title: str = ""
    withheld: str = ""
    alone: State | None = None
    remains: tuple[str, ...] = ()
    can_be_set_aside: bool = False


class LayerOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one layer's rules said of one plan. `passed` counts the rules that are met.

    `let_pass` names what nobody knew and the rules let pass; `set_aside` are the special cases that were used.
    """

    layer: Layer
    outcome: Outcome
    passed: int
    causes: tuple[Cause, ...] = ()
    let_pass: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    withheld: int = 0


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What the checkout said of a plan, in one language; `text` is all of it as one message to send."""

    name: str
    state: str
    reasons: tuple[ReasonView, ...] = ()
    instead: tuple[WayView, ...] = ()
    placed: str = ""
    text: str = ""


class PlanDiagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """One plan: its verdict, each layer's outcome in order, the nearest change, and the customer's words by locale.

    `nearest` says what the customer can do differently; None where no change of the customer's own opens it.
    """

    plan: str
    name: str
    state: State
    offered: bool
    until: str
    layers: tuple[LayerOutcome, ...]
    nearest: str | None
    words: Mapping[str, Words]
    overrides: tuple[str, ...] = ()

    @property
    def causes(self) -> tuple[Cause, ...]:
        return tuple(cause for layer in self.layers for cause in layer.causes)

    @property
    def withheld(self) -> tuple[str, ...]:
        """What is left out of it: risk, person, both or nothing."""
        return tuple(dict.fromkeys(cause.withheld for cause in self.causes if cause.withheld))


class Similar(msgspec.Struct, frozen=True):
    """How often the same plan was missing for the same reason in the shop today, and to how many customers."""

    code: str
    decisions: int
    customers: int


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it. `differences` are empty where the replay is identical with the record."""

    decision: str
    customer_id: UUID
    at: datetime
    source: str
    policy_digest: str
    amount_minor: int
    currency: str
    channel: str
    differences: tuple[Difference, ...]
    plans: tuple[PlanDiagnosis, ...]
    focus: str
    similar: tuple[Similar, ...] = ()

    @property
    def identical(self) -> bool:
        return not self.differences

    @property
    def focused(self) -> PlanDiagnosis:
        return next(plan for plan in self.plans if plan.plan == self.focus)


def diagnose(
    shop: Shop, decision_id: str, *, sight: Sight, locale: str, at: datetime, plan: str = ""
) -> Diagnosis:
    """Diagnose a recorded decision, for a reader with this `sight`, in the reader's `locale`.

    `plan` is the one that the question is about; without it the one that the customer most likely means. `at` is now, of
    which today's similar cases are counted. Raises `decisions.service.NoDecision`.
    """
    record = _record(shop, decision_id)
    decision = decisions.decision_of(shop, record)
    policy, evaluation = decision.policy, decision.evaluation
    focus = plan if plan in policy.plan_index else focus_of(decision)
    reader = _Reader(decision, sight, locale)
    words = {spoken: _rows(decision, spoken) for spoken in LOCALES}
    focused = evaluation.option(focus)
    return Diagnosis(
        decision=decision.public_id,
        customer_id=decision.customer_id,
        at=decision.at,
        source=decision.source,
        policy_digest=policy.digest,
        amount_minor=evaluation.amount_minor,
        currency=evaluation.currency,
        channel=decision.request.channel,
        differences=compare(record, evaluation),
        plans=tuple(reader.plan(option, words) for option in evaluation.options),
        focus=focus,
        similar=_similar(shop, focus, reader.codes(focused), at),
    )


def focus_of(decision: decisions.Decision) -> str:
    """The plan that a customer most likely asks about: missing, of the way they last used if that is missing."""
    options = decision.evaluation.options
    missing = [option for option in options if not option.offered]
    for option in missing:
        if option.last_used:
            return option.plan
    return (missing or options)[0].plan


def customer_words(decision: decisions.Decision, plan: str, locale: str) -> Words:
    """What the checkout said of this plan, in one language."""
    return _words(decision, decision.evaluation.option(plan), _rows(decision, locale), locale)


# ------------------------------------------------------------------------------------------------ what was decided


def _record(shop: Shop, decision_id: str) -> log.Record:
    try:
        customer_id, name = parse_public_id(decision_id, "dc")
    except ValueError:
        raise decisions.NoDecision(decision_id) from None
    use_shop(shop.id)
    record = log.read(customer_id, name)
    if record is None or record.shop_id != shop.id:
        raise decisions.NoDecision(decision_id)
    return record


class _Reader:
    """One decision, read for one member of the desk."""

    def __init__(self, decision: decisions.Decision, sight: Sight, locale: str) -> None:
        self.decision = decision
        self.policy = decision.policy
        self.sight = sight
        self.locale = locale
        policy, evaluation = decision.policy, decision.evaluation
        self.voice = Voice(locale, policy.currency, policy.zone, to_epoch(decision.at))
        self.facts = evaluation.facts
        self.offers: dict[str, Facts] = {
            option.plan: priced_facts(option.schedule, option.cost, policy.plan(option.plan).periods)
            for option in evaluation.options
            if option.schedule is not None and option.cost is not None
        }
        self._without: dict[str, Mapping[str, Verdict]] = {}

    def plan(self, option: Option, words: Mapping[str, _Rows]) -> PlanDiagnosis:
        verdict, policy = option.verdict, self.policy
        with _language(self.locale):
            name = option_name(policy, option.plan, self.voice)
            until = until_text(verdict, self.voice) if verdict.reasons else ""
            causes = [self.cause(option, reason) for reason in verdict.reasons]
        return PlanDiagnosis(
            plan=option.plan,
            name=name,
            state=verdict.state,
            offered=option.offered,
            until=until,
            layers=tuple(self.layer(option, layer, causes) for layer in LAYERS),
            nearest=self.nearest(option),
            words={
                spoken: _words(self.decision, option, rows, spoken)
                # The customer's own words hold the customer's own figures.
                if self.sight.person or not any(cause.withheld for cause in causes)
                else Words(name=name, state=until)
                for spoken, rows in words.items()
            },
            overrides=verdict.overrides,
        )

    def layer(self, option: Option, layer: Layer, causes: list[Cause]) -> LayerOutcome:
        policy = self.policy
        plan = policy.plan(option.plan)
        rules = [rule for rule in policy.rules if rule.layer == layer and selects(rule.applies, plan)]
        found = tuple(cause for cause in causes if cause.layer == layer)
        reasons = [reason for reason in option.verdict.reasons if reason.layer == layer]
        used = {
            override.rule: override.id
            for override in self.decision.request.overrides
            if override.id in option.verdict.overrides
        }
        set_aside = tuple(used[rule.id] for rule in rules if rule.id in used)
        outcome: Outcome = "passed" if rules else "no_rules"
        if set_aside:
            outcome = "set_aside"
        if any(reason.pending for reason in reasons):
            outcome = "pending"
        if any(reason.unknown for reason in reasons):
            outcome = "unknown"
        if any(not reason.pending and not reason.unknown for reason in reasons):
            outcome = "blocks"
        in_the_way = {reason.rule for reason in reasons}
        passed = [rule for rule in rules if rule.id not in in_the_way and rule.id not in used]
        known = {**self.facts, **self.offers.get(option.plan, {})}
        let_pass = dict.fromkeys(
            self.label(name)
            for rule in passed
            if rule.unknown == "allow" and not self.withheld(rule)
            for name in _facts_of(rule)
            if known.get(name) is None
        )
        return LayerOutcome(
            layer=layer,
            outcome=outcome,
            passed=len(passed),
            causes=found,
            let_pass=tuple(let_pass),
            set_aside=set_aside,
            withheld=sum(1 for cause in found if cause.withheld),
        )

    def cause(self, option: Option, reason: Reason) -> Cause:
        policy, voice = self.policy, self.voice
        index = policy.rule_index.get(reason.rule)
        rule = policy.rules[index] if index is not None else None
        withheld = self.withheld(rule) if rule is not None else ""
        if withheld:
            shown = reason_view(policy, self.in_general(reason), voice)
            return Cause(
                code=shown.code,
                layer=reason.layer,
                rule="",
                title=shown.title,
                detail=shown.detail,
                fix=shown.fix,
                when=shown.when,
                notice=reason.notice,
                notice_title=self.notice_title(reason.notice),
                withheld=withheld,
            )
        texts = reason_texts(policy, reason, "agent", voice.locale, year=voice.year)
        shown = reason_view(policy, reason, voice, "agent")
        alone: State | None = None
        remains: tuple[str, ...] = ()
        if rule is not None and rule.layer != "law":
            then = self.without(rule.id)[option.plan]
            alone = then.state
            remains = tuple(self.title(left) for left in then.reasons if left.rule != reason.rule)
        return Cause(
            code=reason.code,
            layer=reason.layer,
            rule=reason.rule,
            title=texts.title,
            detail=texts.detail,
            fix=texts.fix,
            when=shown.when,
            clauses=tuple(self.clause(clause) for clause in reason.clauses),
            unknown=tuple(
                dict.fromkeys(self.label(name) for clause in reason.clauses for name in _unknown_of(clause))
            ),
            notice=reason.notice,
            notice_title=self.notice_title(reason.notice),
            alone=alone,
            remains=remains,
            can_be_set_aside=rule is not None and rule.layer != "law",
        )

    def in_general(self, reason: Reason) -> Reason:
        """A withheld reason: what the customer reads of it, for those who speak with the customer; else less."""
        return for_customer(
            reason if self.sight.person else msgspec.structs.replace(reason, public="generic")
        )

    def title(self, reason: Reason) -> str:
        index = self.policy.rule_index.get(reason.rule)
        if index is not None and self.withheld(self.policy.rules[index]):
            return reason_view(self.policy, self.in_general(reason), self.voice).title
        return reason_texts(self.policy, reason, "agent", self.locale, year=self.voice.year).title

    def clause(self, clause: Failing) -> ClauseView:
        return ClauseView(
            clause_text(self.policy, clause, self.locale, year=self.voice.year),
            clause.fact,
            self.label(clause.fact),
            clause.op,
            clause.actual,
            clause.bound,
            clause.actual is None or (clause.other is not None and clause.bound is None),
        )

    def without(self, rule: str) -> Mapping[str, Verdict]:
        """Every plan's verdict with one rule gone: the decision function itself says so."""
        known = self._without.get(rule)
        if known is None:
            known = self._without[rule] = decide(
                self.policy,
                self.facts,
                self.offers,
                overrides=self.decision.request.overrides,
                ignoring=frozenset({rule}),
            )
        return known

    def nearest(self, option: Option) -> str | None:
        if option.offered:
            return None
        found = nearest_change(self.policy, self.decision.request, option.plan)
        return None if found is None else nearest_text(self.policy, found, self.locale)

    def label(self, name: str) -> str:
        fact = self.policy.vocabulary.get(name)
        return self.voice.text(fact.label) if fact is not None else name

    def notice_title(self, notice: str | None) -> str:
        found = self.policy.notices.get(notice) if notice else None
        return self.voice.text(found.title) if found is not None else ""

    def withheld(self, rule: Rule) -> str:
        """What keeps the reader from a rule's particulars: `risk`, `person`, or nothing."""
        if (rule.layer == "risk" or rule.public == "generic") and not self.sight.risk:
            return "risk"
        if self.policy.personal[self.policy.rule_index[rule.id]] and not self.sight.person:
            return "person"
        return ""

    def codes(self, option: Option) -> tuple[str, ...]:
        """The codes of the reasons that the reader may know."""
        return tuple(
            dict.fromkeys(
                reason.code
                for reason in option.verdict.reasons
                if reason.rule not in self.policy.rule_index
                or not self.withheld(self.policy.rules[self.policy.rule_index[reason.rule]])
            )
        )


def _facts_of(rule: Rule) -> Iterable[str]:
    for condition in (rule.when, rule.require):
        if condition is not None:
            yield from facts_of(condition)


def _unknown_of(clause: Failing) -> Iterable[str]:
    if clause.actual is None:
        yield clause.fact
    if clause.other is not None and clause.bound is None:
        yield clause.other


# ------------------------------------------------------------------------------------------ what the customer read

_Rows = tuple[GroupView, ...]


class _language(translation.override):
    """Django's language by the engine's name for it."""

    def __init__(self, locale: str) -> None:
        super().__init__("zh-hans" if locale == "zh-CN" else "en")


def _rows(decision: decisions.Decision, locale: str) -> _Rows:
    """The checkout's own rows for this decision: the page itself would say the same."""
    voice = Voice(locale, decision.policy.currency, decision.policy.zone, to_epoch(decision.at))
    with _language(locale):
        return group_views(
            decision.policy,
            decision.evaluation,
            voice,
            decision.public_id,
            overrides=decision.request.overrides,
        )


def _words(decision: decisions.Decision, option: Option, rows: _Rows, locale: str) -> Words:
    placed = ""
    for group in rows:
        for family in (*group.shown, *group.collapsed, *group.missing):
            if family.id != option.family:
                continue
            placed = family.placed or (group.placed if option.placement_reason is not None else "")
            for row in family.missing:
                if option.plan in row.plans.split():
                    return Words(
                        name=row.name,
                        state=row.until,
                        reasons=row.reasons,
                        instead=row.instead,
                        placed=placed,
                        text=_message(locale, row.name, row.until, row.reasons, row.instead),
                    )
            for term in family.terms:
                if term.plan == option.plan:
                    return Words(name=term.chosen, state=term.chosen_total, placed=placed, text=term.chosen)
    raise AssertionError(f"the page leaves {option.plan} out")


def _message(
    locale: str, name: str, until: str, reasons: tuple[ReasonView, ...], instead: tuple[WayView, ...]
) -> str:
    """The checkout's sentences, one to a line, so that they can be sent as they are."""
    lines = [f"{name}：{until}" if locale == "zh-CN" else f"{name}: {until}"]
    for reason in reasons:
        said = " ".join(part for part in (reason.detail, reason.fix) if part)
        mark = "：" if locale == "zh-CN" else ": "
        lines.append(
            f"· {reason.title}{mark}{said} ({reason.when})" if said else f"· {reason.title} ({reason.when})"
        )
    for way in instead:
        lines.append(f"→ {way.name} · {way.difference}")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------ how many others


def _similar(shop: Shop, plan: str, codes: tuple[str, ...], at: datetime) -> tuple[Similar, ...]:
    """For each reason: today's decisions of the shop in which the plan was missing for it."""
    if not codes:
        return ()
    today = local_date(at, shop.time_zone)
    begin, end = (
        datetime.fromtimestamp(at_local(day, 0, shop.time_zone), at.tzinfo)
        for day in (today, today + timedelta(days=1))
    )
    use_shop(shop.id)
    counts = ", ".join(
        "count(*) FILTER (WHERE jsonb_exists(codes, %s)),"
        " count(DISTINCT customer_id) FILTER (WHERE jsonb_exists(codes, %s))"
        for _ in codes
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {counts} FROM (SELECT customer_id, verdicts -> %s -> 1 AS codes FROM decisions_decision"
            " WHERE shop_id = %s AND decision_id >= %s AND decision_id < %s"
            " ORDER BY decision_id DESC LIMIT %s) AS today",
            [
                *(code for code in codes for _ in range(2)),
                plan,
                shop.id,
                first_uuid7(begin),
                first_uuid7(end),
                MAX_COUNTED,
            ],
        )
        row = cursor.fetchone()
    return tuple(Similar(code, row[2 * n], row[2 * n + 1]) for n, code in enumerate(codes))
