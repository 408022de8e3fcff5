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
from fenqi_server.api.acting import WAITS, request_out, told
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
from fenqi_server.servicing import requests
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.acts import MAX_REASON
from fenqi_server.servicing.outgoing import ReversalAsked


class ReversalIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A payment of the contract that was taken back whole, by its number, and why. `note`: for whoever has to agree."""

    payment_ref: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    reason: Literal["charged_back", "bounced", "booked_in_error"]
    note: Annotated[str, msgspec.Meta(max_length=MAX_REASON)] = ""


class ReversalController(ApiController):
    """Payments taken back."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Contracts"]

    @validate(
        ResponseSpec(ContractOut, status_code=HTTPStatus.CREATED, headers=REPLAYED),
        WAITS,
        *problems(400, 401, 403, 404, 409, 413, 422),
    )
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[ReversalIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say that a payment was taken back: charged back, bounced, or booked in error.

        What it paid is owed again, and later payments are applied anew. Reversing twice is one reversal. Whatever a bank took back is booked
        at once; `booked_in_error` above the limit of one person waits (202) until somebody else agrees in the console. Needs
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
            shop, contract, why = access.shop, parsed_path.contract_id, parsed_body.reason
            if why != "booked_in_error":
                # Somebody outside took the money back already: the book says so, whatever anybody decides.
                return 201, contract_out(servicing.reverse(shop, contract, reference, why, at))
            asked = ReversalAsked(
                reference=reference, amount_minor=0, reason=parsed_body.note or why, why=why
            )
            done = requests.ask(shop, contract, asked, at, actor=access.actor)
            if isinstance(done, requests.Request):
                return 202, request_out(done)
            return 201, contract_out(done.view)

        try:
            return once(self.request, access, party, key, at, act)
        except servicing.Refusal as refusal:
            raise told(refusal) or refusal from None
        except EventRefused as refusal:
            raise ApiProblem(
                409,
                "payment_unknown",
                "No such payment",
                f"The contract has no payment {reference}.",
                errors=(FieldError("/payment_ref", reference, refusal.problem.expected),),
            ) from None
