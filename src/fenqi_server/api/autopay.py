"""Attempts to collect by a mandate: what was asked for, and what became of it."""

from __future__ import annotations

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Headers, Path, Query
from dmr.plugins.msgspec import BodyMsgspec

from fenqi.calendars import local_date
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.api.access import access_of
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import REPLAYED, IdempotencyHeaders, not_found
from fenqi_server.api.once import idempotency_key, once
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.api.reading import check_text, refused
from fenqi_server.autopay import attempts
from fenqi_server.autopay.attempts import Attempt, Contradiction, NoAttempt
from fenqi_server.servicing import service as servicing

__all__ = ["AttemptController", "AttemptsController", "OutcomeController"]

MAX_ID = 100


class DebitOut(msgspec.Struct, frozen=True, kw_only=True, rename={"try_number": "try"}):
    """An attempt: `due_minor` was due by then, `amount_minor` of it was asked for. `reason` says why it failed or was cancelled.

    `asked` and `sent` wait for their outcome, `unknown` got no answer in time; no other is made for the contract meanwhile.
    """

    id: str
    contract_id: str
    mandate_id: str
    day: date
    due_on: tuple[date, ...]
    try_number: int
    due_minor: int
    amount_minor: int
    currency: str
    asked_at: datetime
    state: Literal["asked", "sent", "unknown", "collected", "failed", "cancelled"]
    reason: str
    settled_at: datetime | None
    collected_minor: int


class DebitsOut(msgspec.Struct, frozen=True):
    """A contract's attempts, newest first: at most one a day."""

    attempts: tuple[DebitOut, ...]


class DebitsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose."""

    contract_id: str


class DebitPath(msgspec.Struct, frozen=True):
    """An attempt's id: the key under which you were asked."""

    attempt_id: str


class DebitOutcomeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What became of it. `reason` belongs to what failed; `amount_minor` is what came, where that is not what was asked for.

    Say `unknown` where your provider did not answer: nothing more is asked for until you know.
    """

    result: Literal["collected", "failed", "unknown"]
    reason: (
        Literal[
            "insufficient_funds",
            "limit_exceeded",
            "refused",
            "tool_expired",
            "tool_invalid",
            "mandate_revoked",
            "provider_down",
            "other",
        ]
        | None
    ) = None
    amount_minor: Annotated[int, msgspec.Meta(ge=1)] | None = None
    occurred_on: date | None = None


def attempt_out(found: Attempt) -> DebitOut:
    """An attempt as it is answered."""
    return DebitOut(
        id=found.attempt_id,
        contract_id=found.contract_id,
        mandate_id=found.mandate_id,
        day=found.day,
        due_on=found.due_on,
        try_number=found.try_,
        due_minor=found.due_minor,
        amount_minor=found.amount_minor,
        currency=found.currency,
        asked_at=found.asked_at,
        state=found.state,
        reason=found.reason,
        settled_at=found.settled_at,
        collected_minor=found.collected_minor,
    )


class AttemptsController(ApiController):
    """Attempts of a contract."""

    scopes: ClassVar[Any] = {"get": "mandates:read"}
    tags: ClassVar[Any] = ["Automatic payment"]

    @validate(ResponseSpec(DebitsOut, status_code=HTTPStatus.OK), *problems(401, 403, 404, 422))
    def get(self, parsed_query: Query[DebitsQuery]) -> HttpResponse:
        """List what was asked for by mandate for one contract, newest first."""
        access = access_of(self.request)
        contract = check_text(parsed_query.contract_id, "/contract_id", longest=MAX_ID, where="query")
        try:
            found = attempts.attempts_of(access.shop, contract)
        except servicing.NoContract:
            raise not_found("contract") from None
        return answer(self.request, DebitsOut(tuple(attempt_out(each) for each in found)))


class AttemptController(ApiController):
    """One attempt."""

    scopes: ClassVar[Any] = {"get": "mandates:read"}
    tags: ClassVar[Any] = ["Automatic payment"]

    @validate(ResponseSpec(DebitOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[DebitPath]) -> HttpResponse:
        """Read one attempt."""
        access = access_of(self.request)
        try:
            return answer(self.request, attempt_out(attempts.attempt(access.shop, parsed_path.attempt_id)))
        except NoAttempt:
            raise not_found("attempt") from None


class OutcomeController(ApiController):
    """What became of an attempt."""

    scopes: ClassVar[Any] = {"post": "autopay:write"}
    tags: ClassVar[Any] = ["Automatic payment"]

    @validate(
        ResponseSpec(DebitOut, status_code=HTTPStatus.CREATED, headers=REPLAYED),
        *problems(400, 401, 403, 404, 409, 413, 422),
    )
    def post(
        self,
        parsed_path: Path[DebitPath],
        parsed_body: BodyMsgspec[DebitOutcomeIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say what became of an attempt: `collected`, `failed` with a reason, or `unknown`. Needs `Idempotency-Key`.

        What was collected is booked as a payment, after a failure too. What failed after it was collected is a reversal of
        that payment, and refused here. A harder reason after a softer one ends the tries (`mandate_revoked`: the mandate); any other reason
        than the one that is known is 409 `reason_differs`.
        """
        access = access_of(self.request)
        key = idempotency_key(self.request)
        at = clock.now()
        body = parsed_body
        if (body.result == "failed") is (body.reason is None):
            raise refused(FieldError("/reason", body.reason or "missing", "a reason exactly where it failed"))
        if body.amount_minor is not None and body.result != "collected":
            raise refused(
                FieldError("/amount_minor", str(body.amount_minor), "nothing where nothing was collected")
            )
        today = local_date(at, access.shop.time_zone)
        if body.occurred_on is not None and (body.occurred_on > today or body.result != "collected"):
            raise refused(
                FieldError(
                    "/occurred_on", body.occurred_on.isoformat(), f"{today} or before, of what was collected"
                )
            )
        try:
            party = attempts.attempt(access.shop, parsed_path.attempt_id).customer_id
        except NoAttempt:
            raise not_found("attempt") from None

        def act() -> tuple[int, Any]:
            found = attempts.record(
                access.shop,
                parsed_path.attempt_id,
                body.result,
                at,
                reason=body.reason or "",
                amount_minor=body.amount_minor,
                occurred_on=body.occurred_on,
            )
            return 201, attempt_out(found)

        try:
            return once(self.request, access, party, key, at, act)
        except Contradiction as refusal:
            raise ApiProblem(409, refusal.code, "It is known otherwise", f"{refusal}.") from None
        except BadInput as wrong:
            told = wrong.problem
            raise refused(FieldError(f"/{told.place}", told.value, told.expected, told.way_out)) from None
