"""Leases and pledges in the shop's own book: goods out and back, deposits, renewals, buyouts, captures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Headers, Path
from dmr.plugins.msgspec import BodyMsgspec

from fenqi_server.api.access import Access
from fenqi_server.api.acting import (
    ActOut,
    Minor,
    Reason,
    Reference,
    Settlement,
    act_out,
    acting,
    done_once,
    told,
)
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import REPLAYED, ContractPath, IdempotencyHeaders
from fenqi_server.api.schemas import Amount, Short, _In
from fenqi_server.servicing import leases
from fenqi_server.servicing.acts import Acted

_DONE: Any = ResponseSpec(ActOut, status_code=HTTPStatus.CREATED, headers=REPLAYED)
_PROBLEMS: Any = problems(400, 401, 403, 404, 409, 413, 422)
Consent = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=200, description="The shop's reference to the customer's own act, this time"
    ),
]


class LeaseController(ApiController):
    """Acts on a lease."""

    tags: ClassVar[Any] = ["Leases"]

    def done(self, path: ContractPath, act: Callable[[Access, datetime], Acted]) -> HttpResponse:
        return done_once(self.request, path.contract_id, lambda access, at: (201, act_out(act(access, at))))


# --------------------------------------------------------------------------------------------- the goods


class HandOverIn(_In, frozen=True, kw_only=True):
    """What the goods cost in the shop's books, and what they are to be worth there after the term."""

    cost_minor: Minor = 0
    residual_minor: Minor = 0
    occurred_on: date | None = None


class HandOverController(LeaseController):
    """Handing over."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[HandOverIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say that the goods of a lease went out. 409 until the deposit is held. Needs `Idempotency-Key`."""
        body = parsed_body
        return self.done(
            parsed_path,
            lambda access, at: leases.hand_over(
                access.shop,
                parsed_path.contract_id,
                at,
                cost_minor=body.cost_minor,
                residual_minor=body.residual_minor,
                on=body.occurred_on,
            ),
        )


class LeaseReturnIn(_In, frozen=True, kw_only=True):
    """When the goods came back. `settlement` is for what is taken of a frozen deposit that is lost by the terms."""

    occurred_on: date | None = None
    settlement: Settlement = ""


class LeaseReturnController(LeaseController):
    """Goods that come back."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[LeaseReturnIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say that the goods of a lease came back: it ends, and rents of a later time are not owed.

        409 before the minimum term is over. Needs `Idempotency-Key`.
        """
        body = parsed_body
        return self.done(
            parsed_path,
            lambda access, at: leases.take_back(
                access.shop, parsed_path.contract_id, at, on=body.occurred_on, settlement=body.settlement
            ),
        )


class InspectionIn(_In, frozen=True, kw_only=True):
    """What was found, and what of the deposit is kept for it: never without reason and evidence."""

    finding: Reason
    deduction_minor: Minor = 0
    reason: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    evidence: Annotated[str, msgspec.Meta(max_length=200, description="The reference of what shows it")] = ""
    settlement: Settlement = ""


class InspectionController(LeaseController):
    """Inspecting."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[InspectionIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say what was found when the goods were looked at. The deposit is the most that is deducted. Needs `Idempotency-Key`."""
        body = parsed_body
        return self.done(
            parsed_path,
            lambda access, at: leases.inspect(
                access.shop,
                parsed_path.contract_id,
                body.finding,
                at,
                deduction_minor=body.deduction_minor,
                reason=body.reason,
                evidence=body.evidence,
                settlement=body.settlement,
                actor=access.actor,
            ),
        )


class RenewalIn(_In, frozen=True, kw_only=True):
    """For how many periods more, and the customer's consent to that."""

    periods: Annotated[int, msgspec.Meta(ge=1, le=600)]
    consent: Consent


class RenewalController(LeaseController):
    """Renewing."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[RenewalIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Rent on, as the customer agreed to this time: no lease renews by itself.

        409 after the last day of the term. Needs `Idempotency-Key`.
        """
        body = parsed_body
        return self.done(
            parsed_path,
            lambda access, at: leases.renew(
                access.shop, parsed_path.contract_id, body.periods, body.consent, at
            ),
        )


# --------------------------------------------------------------------------------------------- buying


class BuyoutAskIn(_In, frozen=True, kw_only=True):
    """The day on which the goods would be bought: today if left out."""

    on: date | None = None


class BuyoutPreviewController(ApiController):
    """Looking at what buying comes to."""

    scopes: ClassVar[Any] = {"post": "contracts:read"}
    tags: ClassVar[Any] = ["Leases"]

    @validate(ResponseSpec(leases.BuyoutOffer, status_code=HTTPStatus.OK), *_PROBLEMS)
    def post(self, parsed_path: Path[ContractPath], parsed_body: BodyMsgspec[BuyoutAskIn]) -> HttpResponse:
        """What buying the goods comes to by the agreed formula. Nothing is written; 409 where they cannot be bought then."""
        access, at = acting(self.request)
        try:
            found = leases.preview_buyout(access.shop, parsed_path.contract_id, at, on=parsed_body.on)
        except Exception as problem:
            raise told(problem) or problem from None
        return answer(self.request, found)


class BuyoutIn(_In, frozen=True, kw_only=True):
    """The price that the customer was shown and agreed to, and the reference of that act.

    `settlement` is for what is taken of a frozen deposit.
    """

    price_minor: Minor
    consent: Consent
    settlement: Settlement = ""


class BuyoutOut(msgspec.Struct, frozen=True):
    """What buying came to, and the contract as it stands now."""

    buyout: leases.BuyoutOffer
    act: ActOut


class BuyoutController(ApiController):
    """Buying."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}
    tags: ClassVar[Any] = ["Leases"]

    @validate(ResponseSpec(BuyoutOut, status_code=HTTPStatus.CREATED, headers=REPLAYED), *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[BuyoutIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """The customer buys the goods today. 409 `price_changed` where the formula comes to another price by now.

        Nothing else makes a lease a sale, however late it is. Needs `Idempotency-Key`.
        """
        body = parsed_body

        def act(access: Access, at: datetime) -> tuple[int, Any]:
            done, offer = leases.buy_out(
                access.shop,
                parsed_path.contract_id,
                body.price_minor,
                body.consent,
                at,
                settlement=body.settlement,
            )
            return 201, BuyoutOut(offer, act_out(done))

        return done_once(self.request, parsed_path.contract_id, act)


# --------------------------------------------------------------------------------------------- the deposit


class DepositHoldIn(_In, frozen=True, kw_only=True):
    """What was frozen on the customer's own account. A deposit in cash is held by being paid (`payments`)."""

    authorisation: Reference
    amount_minor: Amount


class DepositHoldController(LeaseController):
    """Freezing a deposit."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[DepositHoldIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say that the deposit was frozen: it is no money of the shop's until it is taken. Needs `Idempotency-Key`."""
        body = parsed_body
        return self.done(
            parsed_path,
            lambda access, at: leases.hold_deposit(
                access.shop, parsed_path.contract_id, body.authorisation, body.amount_minor, at
            ),
        )


class DepositApplicationIn(_In, frozen=True, kw_only=True):
    """How much of the deposit pays rents that are due, and why."""

    application_id: Reference
    amount_minor: Amount
    reason: Reason
    settlement: Settlement = ""


class DepositApplicationController(LeaseController):
    """Paying rents from the deposit."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[DepositApplicationIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Let the deposit pay rents that are due. 409 unless the plan says `covers_rent: yes`. Needs `Idempotency-Key`."""
        body = parsed_body
        return self.done(
            parsed_path,
            lambda access, at: leases.apply_deposit(
                access.shop,
                parsed_path.contract_id,
                body.application_id,
                body.amount_minor,
                at,
                settlement=body.settlement,
                actor=access.actor,
                reason=body.reason,
            ),
        )


class NothingIn(_In, frozen=True, kw_only=True):
    """Nothing more is to be said."""


class DepositReleaseController(LeaseController):
    """Giving the deposit back."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[NothingIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Release what is left of the deposit: `refund_due_minor` of the contract is what is to be paid out of one in cash.

        409 before goods that came back were inspected. Needs `Idempotency-Key`.
        """
        return self.done(
            parsed_path, lambda access, at: leases.release_deposit(access.shop, parsed_path.contract_id, at)
        )


# --------------------------------------------------------------------------------------------- pledges


class AuthorisationIn(_In, frozen=True, kw_only=True):
    """The whole price, authorised on the customer's account until a day (left out: until it is captured or released)."""

    authorisation: Reference
    amount_minor: Amount
    until: date | None = None


class AuthorisationController(LeaseController):
    """Authorising a pledge."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[AuthorisationIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say that a pledge was authorised. Nothing is owed or booked by it. Needs `Idempotency-Key`."""
        body = parsed_body
        return self.done(
            parsed_path,
            lambda access, at: leases.pledge(
                access.shop,
                parsed_path.contract_id,
                body.authorisation,
                body.amount_minor,
                at,
                until=body.until,
            ),
        )


class CaptureIn(_In, frozen=True, kw_only=True):
    """The payment by which the price was taken, and the batch that it comes with."""

    payment_ref: Reference
    occurred_on: date | None = None
    settlement: Settlement = ""


class CaptureController(LeaseController):
    """Capturing a pledge."""

    scopes: ClassVar[Any] = {"post": "payments:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[CaptureIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """The campaign succeeded, and the price was taken: sold and paid at once. 409 once it was released. Needs `Idempotency-Key`."""
        body = parsed_body
        return self.done(
            parsed_path,
            lambda access, at: leases.capture(
                access.shop,
                parsed_path.contract_id,
                body.payment_ref,
                at,
                on=body.occurred_on,
                settlement=body.settlement,
            ),
        )


class PledgeReleaseIn(_In, frozen=True, kw_only=True):
    """Why it came to nothing."""

    reason: Short = ""


class PledgeReleaseController(LeaseController):
    """Releasing a pledge."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[PledgeReleaseIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """The campaign failed: the authorisation is void, and nothing was ever owed. Needs `Idempotency-Key`."""
        return self.done(
            parsed_path,
            lambda access, at: leases.release_pledge(
                access.shop, parsed_path.contract_id, at, reason=parsed_body.reason
            ),
        )
