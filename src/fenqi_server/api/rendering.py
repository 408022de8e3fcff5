"""An evaluation on the wire.

The engine's values are encoded as they are; what is added are the customer's view of each reason, its words in both
languages, and the signed quotes. Words depend on the policy and on the reason's parameters alone, so they are written
once for each and kept: a page shows the same sentences thousands of times.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from fenqi.policy.compile import Policy
from fenqi.policy.reasons import reason_texts
from fenqi.policy.verdict import Reason, Until, for_customer
from fenqi.terms.disclosure import digest
from fenqi.texts import Text

from fenqi_server.api.schemas import (
    EvaluationOut,
    FamilyOut,
    GroupOut,
    HandOffOut,
    Message,
    OptionOut,
    QuoteOut,
    ReasonOut,
    UntilOut,
)
from fenqi_server.decisions.service import Decision
from fenqi_server.funders.handoffs import HandOff, page_url

__all__ = ["evaluation_out", "hand_off_out", "reasons_out", "until_out"]

MAX_SENTENCES: Final = 8_192

_encode = msgspec.json.Encoder().encode
_families: WeakKeyDictionary[Policy, msgspec.Raw] = WeakKeyDictionary()
_sentences: WeakKeyDictionary[Policy, dict[Any, msgspec.Raw]] = WeakKeyDictionary()


def evaluation_out(decision: Decision) -> EvaluationOut:
    """The whole answer, ready to be encoded."""
    evaluation, policy, quotes = decision.evaluation, decision.policy, decision.quotes
    options = []
    for option in evaluation.options:
        verdict, quote, disclosure = option.verdict, quotes.get(option.plan), option.disclosure
        options.append(
            OptionOut(
                option.plan,
                option.family,
                option.funder,
                option.legal_form,
                policy.plan(option.plan).periods,
                option.group,
                option.rank,
                option.collapsed,
                option.last_used,
                verdict.state,
                until_out(verdict.until),
                reasons_out(policy, verdict.reasons) if verdict.reasons else [],
                verdict.asks,
                _instant(verdict.deadline),
                option.placement_reason,
                option.schedule,
                option.cost,
                disclosure,
                None if disclosure is None else digest(disclosure),
                None if quote is None else QuoteOut(quote.token, quote.expires_at),
                option.alternatives,
            )
        )
    return EvaluationOut(
        decision.public_id,
        evaluation.policy_digest,
        decision.at,
        _instant(evaluation.valid_until),  # type: ignore[arg-type]  # an instant in, an instant out
        evaluation.amount_minor,
        evaluation.currency,
        evaluation.start_on,
        tuple([GroupOut(group.id, group.families) for group in evaluation.groups]),
        options,
        _family_names(policy),  # type: ignore[arg-type]  # encoded once for each policy
    )


def reasons_out(policy: Policy, reasons: tuple[Reason, ...]) -> list[ReasonOut]:
    """The reasons as their customer may see them."""
    known = _sentences.get(policy)
    if known is None:
        known = _sentences[policy] = {}
    found: list[Any] = []
    for reason in reasons:
        key = (reason.rule, reason.since, reason.until.at, tuple(reason.params.items()), reason.clauses, reason.pending)
        encoded = known.get(key)
        if encoded is None:
            if len(known) >= MAX_SENTENCES:
                known.clear()
            encoded = known[key] = msgspec.Raw(_encode(_reason_out(policy, reason)))
        found.append(encoded)
    return found


def _reason_out(policy: Policy, reason: Reason) -> ReasonOut:
    shown = for_customer(reason)
    zh_cn = reason_texts(policy, reason, "customer", "zh-CN")
    en = reason_texts(policy, reason, "customer", "en")
    return ReasonOut(
        shown.code,
        shown.layer,
        shown.rule,
        until_out(shown.until),
        shown.change,
        Message(Text(zh_cn.title, en.title), Text(zh_cn.detail, en.detail), Text(zh_cn.fix, en.fix)),
        _instant(shown.since),
        shown.params,
        shown.clauses,
        shown.notice or "none_yet",
        shown.unknown,
        shown.pending,
    )


def until_out(until: Until) -> UntilOut:
    """The engine's instant as one with its offset."""
    return UntilOut(until.kind, _instant(until.at))


def _instant(epoch: int | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


def _family_names(policy: Policy) -> msgspec.Raw:
    known = _families.get(policy)
    if known is None:
        known = _families[policy] = msgspec.Raw(
            _encode(
                {
                    family.id: FamilyOut(
                        family.id,
                        family.name,
                        family.funder,
                        policy.funders[family.funder].name,
                        family.legal_form,
                    )
                    for family in policy.families.values()
                }
            )
        )
    return known


def hand_off_out(hand_off: HandOff) -> HandOffOut:
    """A hand-off as the shop sees it."""
    return HandOffOut(
        hand_off.public_id,
        hand_off.state,
        hand_off.funder,
        hand_off.plan,
        hand_off.amount_minor,
        hand_off.currency,
        hand_off.order_ref,
        page_url(hand_off),
        hand_off.started_at,
        hand_off.answered_at,
    )
