"""Why a way to pay is missing, in full: for whoever writes a policy, and for whoever has to answer for it.

Every clause that fails with what was found and what is asked for, since when and until when, the nearest change that the customer could
make, what to use instead, and the notice. A customer reads a part of this in other words (`fenqi.checkout.document`); here nothing is
kept back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from fenqi.calendars import from_epoch
from fenqi.checkout.alternatives import Alternative
from fenqi.checkout.evaluation import Evaluation
from fenqi.checkout.nearest import NearestChange, nearest_change, nearest_text
from fenqi.checkout.request import CheckoutRequest
from fenqi.policy.reasons import clause_text, reason_texts, set_text, value_text
from fenqi.policy.snapshot import Change, Layer, State
from fenqi.policy.verdict import Failing, Reason, Until, Verdict

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = [
    "ClauseDocument",
    "ExplainedReason",
    "Explanation",
    "ExplanationDocument",
    "Instead",
    "UntilText",
    "explain",
    "explanation_document",
]


class Explanation(msgspec.Struct, frozen=True):
    """One plan: its verdict with every reason, what to use instead, and the nearest change; None where there is none."""

    plan: str
    verdict: Verdict
    alternatives: tuple[Alternative, ...] = ()
    nearest: NearestChange | None = None


def explain(
    policy: Policy,
    request: CheckoutRequest,
    evaluation: Evaluation,
    plans: Iterable[str] | None = None,
) -> tuple[Explanation, ...]:
    """The plans named, or all that are missing, in the order of the page. `evaluation` is the answer to the request.

    Raises `KeyError` for a plan that the policy has not.
    """
    if plans is None:
        options = [option for option in evaluation.options if not option.offered]
    else:
        options = [evaluation.option(plan) for plan in plans]
    return tuple(
        [
            Explanation(
                option.plan,
                option.verdict,
                option.alternatives,
                None if option.offered else nearest_change(policy, request, option.plan),
            )
            for option in options
        ]
    )


# --- in words -----------------------------------------------------------------------------------------------------


class UntilText(msgspec.Struct, frozen=True):
    """`instant` with `at`; `unknown`: it will end, nobody has said when; `none`: time alone does not change it."""

    kind: str
    at: str | None


class ClauseDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One clause that fails: the fact, what was found (None: unknown), the operator, what is asked for, and all in a sentence."""

    fact: str
    op: str
    actual: str | None
    bound: str | None
    sentence: str


class ExplainedReason(msgspec.Struct, frozen=True, kw_only=True):
    """One rule in the way, with nothing kept back."""

    rule: str
    code: str
    layer: Layer
    title: str
    detail: str
    fix: str
    since: str | None
    until: UntilText
    change: Change
    clauses: tuple[ClauseDocument, ...]
    notice: str | None
    source: str | None
    generic: bool
    unknown: bool
    pending: bool


class Instead(msgspec.Struct, frozen=True, kw_only=True):
    """An offer to take instead; `difference_minor` is its total less the missing way's."""

    plan: str
    periods: int
    total_minor: int
    difference_minor: int | None


class ExplanationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The whole explanation of one plan, in one language."""

    plan: str
    name: str
    state: State
    until: UntilText
    deadline: str | None
    asks: tuple[str, ...]
    reasons: tuple[ExplainedReason, ...]
    nearest: str | None
    nearest_steps: tuple[str, ...]
    alternatives: tuple[Instead, ...]
    special_cases: tuple[str, ...]


def explanation_document(policy: Policy, explanation: Explanation, locale: str) -> ExplanationDocument:
    """An explanation in one language, for those who may see everything."""
    verdict, plan = explanation.verdict, policy.plan(explanation.plan)
    nearest = explanation.nearest
    return ExplanationDocument(
        plan=plan.id,
        name=policy.families[plan.family].name.in_(locale),
        state=verdict.state,
        until=_until(policy, verdict.until),
        deadline=_instant(policy, verdict.deadline),
        asks=verdict.asks,
        reasons=tuple(_reason(policy, reason, locale) for reason in verdict.reasons),
        nearest=None if nearest is None else nearest_text(policy, nearest, locale),
        nearest_steps=() if nearest is None else tuple(step.fact for step in nearest.steps),
        alternatives=tuple(
            Instead(
                plan=each.plan,
                periods=each.periods,
                total_minor=each.total_minor,
                difference_minor=each.difference_minor,
            )
            for each in explanation.alternatives
        ),
        special_cases=verdict.overrides,
    )


def _reason(policy: Policy, reason: Reason, locale: str) -> ExplainedReason:
    texts = reason_texts(policy, reason, "operator", locale)
    index = policy.rule_index.get(reason.rule)
    return ExplainedReason(
        rule=reason.rule,
        code=reason.code,
        layer=reason.layer,
        title=texts.title,
        detail=texts.detail,
        fix=texts.fix,
        since=_instant(policy, reason.since),
        until=_until(policy, reason.until),
        change=reason.change,
        clauses=tuple(_clause(policy, clause, locale) for clause in reason.clauses),
        notice=reason.notice,
        source=None if index is None else policy.rules[index].source,
        generic=reason.public == "generic",
        unknown=reason.unknown,
        pending=reason.pending,
    )


def _clause(policy: Policy, clause: Failing, locale: str) -> ClauseDocument:
    fact = policy.vocabulary[clause.fact]
    if clause.members is not None:
        bound: str | None = set_text(policy, clause.members, locale)
    elif clause.bound is None:
        bound = None
    else:
        bound = value_text(policy, fact, clause.bound, locale, None)
    return ClauseDocument(
        fact=clause.fact,
        op=clause.op,
        actual=None if clause.actual is None else value_text(policy, fact, clause.actual, locale, None),
        bound=bound if clause.other is None else f"{clause.other} ({bound})" if bound else clause.other,
        sentence=clause_text(policy, clause, locale),
    )


def _until(policy: Policy, until: Until) -> UntilText:
    return UntilText(until.kind, _instant(policy, until.at))


def _instant(policy: Policy, at: int | None) -> str | None:
    return None if at is None else from_epoch(at, policy.zone).isoformat()
