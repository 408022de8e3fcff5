"""Decisions and hand-offs on the wire. An evaluation has one written form, the engine's: see `fenqi.checkout.document`."""

from __future__ import annotations

from datetime import UTC, datetime

from fenqi.calendars import zone_of
from fenqi.checkout.document import EvaluationDocument, QuoteDocument, UntilDocument, evaluation_document
from fenqi.contracts.contract import PaidPart, RowState
from fenqi.contracts.events import Event
from fenqi_server.api.schemas import (
    AcknowledgementOut,
    AppliedOut,
    ChangedOut,
    ContractOut,
    HandOffOut,
    PaymentLineOut,
    PaymentOut,
    RowOut,
)
from fenqi_server.decisions.service import Changed, Decision, Refused
from fenqi_server.disclosures import service as disclosures
from fenqi_server.funders.handoffs import HandOff, page_url
from fenqi_server.servicing.service import ContractView, PaymentResult

__all__ = ["changed_out", "contract_out", "evaluation_out", "hand_off_out", "payment_out", "row_out"]


def evaluation_out(decision: Decision) -> EvaluationDocument:
    """The whole answer, ready to be encoded."""
    quotes: dict[str, QuoteDocument] = {}
    expires_at = ""
    for plan, quote in decision.quotes.items():
        # All quotes of a decision end together.
        expires_at = expires_at or quote.expires_at.astimezone(zone_of(decision.evaluation.zone)).isoformat()
        quotes[plan] = QuoteDocument(quote.token, expires_at)
    return evaluation_document(
        decision.policy,
        decision.evaluation,
        decision=decision.public_id,
        quotes=quotes,
        digests=decision.disclosures,
        overrides=decision.request.overrides,
    )


def changed_out(refusal: Refused, changed: Changed) -> ChangedOut | None:
    """What changed since the quote, in the words of the evaluation that found it."""
    if refusal.evaluation is None or refusal.policy is None:
        return None
    document = evaluation_document(refusal.policy, refusal.evaluation)
    for option in document.unavailable:
        if option.plan == changed.plan:
            # The document says the same reasons in the same order, in the customer's words.
            against = tuple(
                [
                    said
                    for said, reason in zip(option.reasons, changed.verdict.reasons, strict=True)
                    if reason in changed.reasons
                ]
            )
            return ChangedOut(
                changed.plan,
                changed.was,
                changed.now,
                against,
                option.until,
                option.alternatives,
                option.ways_on,
            )
    for offer in document.offers:
        deposit = offer.lease.deposit if offer.plan == changed.plan and offer.lease is not None else None
        if deposit is not None:
            # The lease is offered all the same: what changed is that its deposit is asked for.
            return ChangedOut(
                changed.plan,
                changed.was,
                changed.now,
                deposit.reasons,
                UntilDocument("unknown", None),
                (),
                ("support",),
            )
    return None


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
        _acknowledgement(disclosures.acknowledgement_of(hand_off.customer_id, hand_off.decision_id)),
    )


def _acknowledgement(found: disclosures.Acknowledgement | None) -> AcknowledgementOut | None:
    if found is None:
        return None
    return AcknowledgementOut(
        found.digest, found.shown_at, found.read_seconds, found.asked_seconds, found.confirmed_at
    )


def contract_out(view: ContractView, known_at: datetime | None = None) -> ContractOut:
    """A contract as the shop sees it; `known_at` where it was asked for as it was known at an instant."""
    state, terms = view.state, view.terms
    by_seq = {event.seq: event for event in view.events}
    return ContractOut(
        view.contract_id,
        view.order_ref,
        terms.plan.id,
        state.as_of,
        state.status,
        state.currency,
        view.created_at,
        terms.policy_digest,
        terms.disclosure_digest,
        state.balance_minor,
        state.principal_outstanding_minor,
        state.fee_outstanding_minor,
        state.paid_minor,
        state.unapplied_minor,
        state.overdue_minor,
        state.days_past_due,
        state.next_due_on,
        state.next_due_minor,
        tuple([row_out(row) for row in state.rows]),
        tuple(
            [
                PaymentLineOut(
                    paid.payment_id,
                    paid.occurred_on,
                    paid.amount_minor,
                    paid.unapplied_minor,
                    paid.reversed_on,
                    _applied(paid.parts),
                    _recorded(by_seq.get(paid.event_seq)),
                    getattr(by_seq.get(paid.event_seq), "channel", ""),
                    paid.money,
                    getattr(by_seq.get(paid.event_seq), "operator", ""),
                    paid.lapsed_minor,
                )
                for paid in state.payments
            ]
        ),
        _acknowledgement(disclosures.acknowledgement_for(view.decision_id)),
        state.interest_outstanding_minor,
        state.penalty_outstanding_minor,
        known_at,
        refund_due_minor=state.refund_due_minor,
        returned_minor=state.returned_minor,
        written_off_minor=state.written_off_minor,
        recovered_minor=state.recovered_minor,
        shipped_on=state.shipped_on,
        cancelled_on=state.cancelled_on,
        closed_on=state.closed_on,
        accelerated_on=state.accelerated_on,
        written_off_on=state.written_off_on,
        paused_until=state.paused_until,
        rent_outstanding_minor=state.rent_outstanding_minor,
        deposit_outstanding_minor=state.deposit_outstanding_minor,
        lease=state.lease,
        pledge=state.pledge,
    )


def row_out(row: RowState) -> RowOut:
    """One row of a contract."""
    return RowOut(
        row.number,
        row.kind,
        row.due_on,
        row.principal_minor,
        row.fee_minor,
        row.total_minor,
        row.paid_minor,
        row.outstanding_minor,
        row.status,
        row.moved_from,
        row.interest_minor,
        row.penalty_minor,
        row.rent_minor,
        row.deposit_minor,
    )


def _applied(parts: tuple[PaidPart, ...]) -> tuple[AppliedOut, ...]:
    return tuple(
        [
            AppliedOut(
                part.row,
                part.fee_minor,
                part.principal_minor,
                part.interest_minor,
                part.penalty_minor,
                part.rent_minor,
                part.deposit_minor,
            )
            for part in parts
        ]
    )


def _recorded(event: Event | None) -> datetime | None:
    return None if event is None else datetime.fromtimestamp(event.recorded_at, UTC)


def payment_out(result: PaymentResult) -> PaymentOut:
    """What became of a payment."""
    return PaymentOut(
        result.payment_id,
        result.amount_minor,
        result.applied_minor,
        result.unapplied_minor,
        result.currency,
        _applied(result.parts),
        None if result.contract is None else contract_out(result.contract),
    )
