"""Payments that were taken back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Headers, Path
from dmr.plugins.msgspec import BodyMsgspec

from fenqi.contracts.events import EventRefused
from fenqi_server import clock
from fenqi_server.api.access import access_of
from fenqi_server.api.base import ApiController, problems
from fenqi_server.api.controllers import (
    MAX_NAME,
    REPLAYED,
    ContractPath,
    IdempotencyHeaders,
    not_found,
)
from fenqi_server.api.once import idempotency_key, once
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.api.reading import check_text
from fenqi_server.api.rendering import contract_out
from fenqi_server.api.schemas import ContractOut
from fenqi_server.servicing import service as servicing


class ReversalIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A payment of the contract that was taken back whole, by its number, and why."""

    payment_ref: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    reason: Literal["charged_back", "bounced", "booked_in_error"]


class ReversalController(ApiController):
    """Payments taken back."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Contracts"]

    @validate(
        ResponseSpec(ContractOut, status_code=HTTPStatus.CREATED, headers=REPLAYED),
        *problems(400, 401, 403, 404, 409, 413, 422),
    )
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[ReversalIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say that a payment was taken back: charged back, bounced, or booked in error.

        What it paid is owed again, and later payments are applied anew. Reversing twice is one reversal. Needs
        `Idempotency-Key`.
        """
        access = access_of(self.request)
        key = idempotency_key(self.request)
        at = clock.now()
        reference = check_text(parsed_body.payment_ref, "/payment_ref", longest=MAX_NAME)
        try:
            party = servicing.get(access.shop, parsed_path.contract_id, at=at).customer_id
        except servicing.NoContract:
            raise not_found("contract") from None

        def act() -> tuple[int, Any]:
            view = servicing.reverse(access.shop, parsed_path.contract_id, reference, parsed_body.reason, at)
            return 201, contract_out(view)

        try:
            return once(self.request, access, party, key, at, act)
        except EventRefused as refusal:
            raise ApiProblem(
                409,
                "payment_unknown",
                "No such payment",
                f"The contract has no payment {reference}.",
                errors=(FieldError("/payment_ref", reference, refusal.problem.expected),),
            ) from None
