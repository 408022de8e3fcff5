"""What customers allow to be debited: given, listed, taken back."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Headers, Path, Query
from dmr.plugins.msgspec import BodyMsgspec

from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.api.access import access_of
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import (
    MAX_NAME,
    REPLAYED,
    IdempotencyHeaders,
    customer_of,
    in_shops_currency,
    limit_of,
    not_found,
)
from fenqi_server.api.once import idempotency_key, once
from fenqi_server.api.problems import FieldError
from fenqi_server.api.reading import check_text, refused
from fenqi_server.api.schemas import Customer
from fenqi_server.autopay import mandates
from fenqi_server.autopay.mandates import Mandate, NoMandate, Tool
from fenqi_server.customers import service as customers
from fenqi_server.servicing.service import NoContract

__all__ = ["MandateController", "MandatesController", "WithdrawalController"]

MAX_PAGE = 100


class MandateIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the customer agreed to. `tool` is your payment provider's token with what a person knows the card by: never its number.

    With `contract_id` it is for that contract alone, without for all of the customer's. No debit is above `ceiling_minor`.
    `text_version` names the words that were agreed to, `consent_ref` your own proof of it.
    """

    customer: Customer
    tool: Tool
    ceiling_minor: Annotated[int, msgspec.Meta(ge=1)]
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    text_version: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    consent_ref: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""
    contract_id: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] | None = None


class MandateOut(msgspec.Struct, frozen=True, kw_only=True):
    """A mandate. `withdrawn_at` is null where it stands."""

    id: str
    contract_id: str | None
    tool: Tool
    ceiling_minor: int
    currency: str
    text_version: str
    consent_ref: str
    given_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: Literal["customer", "shop", "provider"] | None


class MandatesOut(msgspec.Struct, frozen=True):
    """Mandates, newest first. `after` asks for the next page, and is null at the end."""

    mandates: tuple[MandateOut, ...]
    after: str | None


class MandatesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose. `customer` is your own name for the customer; `after` the `after` of the page before; `limit` 1 to 100 (25)."""

    customer: str
    contract_id: str | None = None
    after: str | None = None
    limit: str | None = None


class MandatePath(msgspec.Struct, frozen=True):
    """A mandate's id."""

    mandate_id: str


class WithdrawalIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes it back."""

    by: Literal["customer", "shop", "provider"] = "customer"


def mandate_out(found: Mandate) -> MandateOut:
    """A mandate as it is answered."""
    return MandateOut(
        id=found.mandate_id,
        contract_id=found.contract_id,
        tool=found.tool,
        ceiling_minor=found.ceiling_minor,
        currency=found.currency,
        text_version=found.text_version,
        consent_ref=found.consent_ref,
        given_at=found.given_at,
        withdrawn_at=found.withdrawn_at,
        withdrawn_by=found.withdrawn_by,  # type: ignore[arg-type]
    )


class MandatesController(ApiController):
    """Mandates of customers."""

    scopes: ClassVar[Any] = {"get": "mandates:read", "post": "mandates:write"}
    tags: ClassVar[Any] = ["Automatic payment"]

    @validate(ResponseSpec(MandatesOut, status_code=HTTPStatus.OK), *problems(401, 403, 404, 422))
    def get(self, parsed_query: Query[MandatesQuery]) -> HttpResponse:
        """List a customer's mandates, newest first, those that were withdrawn among them.

        With `contract_id`, those that are for that contract or for all.
        """
        access = access_of(self.request)
        query = parsed_query
        ref = check_text(query.customer, "/customer", longest=MAX_NAME, where="query")
        limit = limit_of(query.limit)
        if not 1 <= limit <= MAX_PAGE:
            raise refused(
                FieldError("/limit", (query.limit or "")[:40], f"a number from 1 to {MAX_PAGE}", in_="query")
            )
        customer_id = customers.find(access.shop, ref)
        if customer_id is None:
            return answer(self.request, MandatesOut((), None))
        try:
            found = mandates.mandates_of(
                access.shop, customer_id, contract=query.contract_id, after=query.after
            )
        except ValueError as wrong:
            raise refused(
                FieldError("/after or /contract_id", str(wrong)[:80], "an id that was given out", in_="query")
            ) from None
        page = found[:limit]
        after = page[-1].mandate_id if len(found) > limit else None
        return answer(self.request, MandatesOut(tuple(mandate_out(each) for each in page), after))

    @validate(
        ResponseSpec(MandateOut, status_code=HTTPStatus.CREATED, headers=REPLAYED),
        *problems(400, 401, 403, 404, 409, 413, 422),
    )
    def post(
        self, parsed_body: BodyMsgspec[MandateIn], parsed_headers: Headers[IdempotencyHeaders]
    ) -> HttpResponse:
        """Record that a customer allows a payment tool to be debited for what is due. Needs `Idempotency-Key`."""
        access = access_of(self.request)
        key = idempotency_key(self.request)
        at = clock.now()
        body = parsed_body
        in_shops_currency(access.shop, body.currency)
        customer_id = customer_of(access, body.customer, at)
        assert customer_id is not None, "a server names the customer"

        def act() -> tuple[int, Any]:
            found = mandates.give(
                access.shop,
                customer_id,
                body.tool,
                body.ceiling_minor,
                body.text_version,
                at,
                contract=body.contract_id,
                consent_ref=body.consent_ref,
            )
            return 201, mandate_out(found)

        try:
            return once(self.request, access, customer_id, key, at, act)
        except NoContract:
            raise not_found("contract") from None
        except BadInput as wrong:
            told = wrong.problem
            raise refused(
                FieldError(f"/{told.place.replace('.', '/')}", told.value, told.expected, told.way_out)
            ) from None


class MandateController(ApiController):
    """One mandate."""

    scopes: ClassVar[Any] = {"get": "mandates:read"}
    tags: ClassVar[Any] = ["Automatic payment"]

    @validate(ResponseSpec(MandateOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[MandatePath]) -> HttpResponse:
        """Read one mandate."""
        access = access_of(self.request)
        try:
            return answer(self.request, mandate_out(mandates.mandate(access.shop, parsed_path.mandate_id)))
        except NoMandate:
            raise not_found("mandate") from None


class WithdrawalController(ApiController):
    """Taking a mandate back."""

    scopes: ClassVar[Any] = {"post": "mandates:write"}
    tags: ClassVar[Any] = ["Automatic payment"]

    @validate(
        ResponseSpec(MandateOut, status_code=HTTPStatus.CREATED, headers=REPLAYED),
        *problems(400, 401, 403, 404, 409, 413, 422),
    )
    def post(
        self,
        parsed_path: Path[MandatePath],
        parsed_body: BodyMsgspec[WithdrawalIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Take a mandate back: nothing more is asked for by it. Needs `Idempotency-Key`.

        Money that is under way already is booked when it arrives.
        """
        access = access_of(self.request)
        key = idempotency_key(self.request)
        at = clock.now()
        try:
            party = mandates.mandate(access.shop, parsed_path.mandate_id).customer_id
        except NoMandate:
            raise not_found("mandate") from None

        def act() -> tuple[int, Any]:
            return 201, mandate_out(
                mandates.withdraw(access.shop, parsed_path.mandate_id, at, by=parsed_body.by)
            )

        return once(self.request, access, party, key, at, act)
