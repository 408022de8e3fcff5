"""Paying off early, goods that go back, and what is paid out for them."""

from __future__ import annotations

from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Headers, Path
from dmr.plugins.msgspec import BodyMsgspec

from fenqi_server.api.acting import ActOut, Minor, Reference, Settlement, act_out, acting, done_once, told
from fenqi_server.api.acts import Channel
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import REPLAYED, ContractPath, IdempotencyHeaders, in_shops_currency
from fenqi_server.api.rendering import contract_out, row_out
from fenqi_server.api.schemas import Amount, ContractOut, RowOut, _In
from fenqi_server.servicing import payoffs, returns
from fenqi_server.servicing.payoffs import Payoff

_PROBLEMS: Any = problems(400, 401, 403, 404, 409, 413, 422)


class PayoffIn(_In, frozen=True, kw_only=True):
    """The day on which it is to be settled: today if left out, at most 62 days ahead."""

    on: date | None = None


class PayoffsOut(msgspec.Struct, frozen=True):
    """A contract's payoff quotes, newest first."""

    quotes: tuple[Payoff, ...]


class PayoffsController(ApiController):
    """What settles a contract."""

    scopes: ClassVar[Any] = {"get": "contracts:read", "post": "contracts:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(PayoffsOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[ContractPath]) -> HttpResponse:
        """A contract's payoff quotes, and which of them stand: `open`, `settled`, `expired`, `outdated`."""
        access, at = acting(self.request)
        try:
            found = payoffs.quotes_of(access.shop, parsed_path.contract_id, at)
        except Exception as problem:
            raise told(problem) or problem from None
        return answer(self.request, PayoffsOut(tuple(found)))

    @validate(ResponseSpec(Payoff, status_code=HTTPStatus.CREATED, headers=REPLAYED), *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[PayoffIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Quote what settles the contract, with its parts, its charge, and what it saves.

        It binds the shop until `valid_until`: pay `to_pay_minor` with `settles` and the contract is closed. Asked again while
        an equal quote stands, it is that one. Needs `Idempotency-Key`.
        """
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: (
                201,
                payoffs.payoff_quote(access.shop, parsed_path.contract_id, at, on=parsed_body.on),
            ),
        )


class PayoffPath(msgspec.Struct, frozen=True):
    """A contract's and a quote's public ids."""

    contract_id: str
    quote_id: str


class PayoffController(ApiController):
    """One payoff quote."""

    scopes: ClassVar[Any] = {"get": "contracts:read"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(Payoff, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[PayoffPath]) -> HttpResponse:
        """A payoff quote as it was given, and whether it stands."""
        access, at = acting(self.request)
        try:
            found = payoffs.quote_of(access.shop, parsed_path.contract_id, parsed_path.quote_id, at)
        except Exception as problem:
            raise told(problem) or problem from None
        return answer(self.request, found)


class ReturnPreviewIn(_In, frozen=True, kw_only=True):
    """Goods that would go back, at the price they were bought for; how much of it is of other sellers."""

    amount_minor: Amount
    for_other_sellers_minor: Minor = 0


class ReturnIn(_In, frozen=True, kw_only=True):
    """Goods that came back, at the price they were bought for; how much of it is of other sellers; and on which day."""

    return_id: Reference
    amount_minor: Amount
    for_other_sellers_minor: Minor = 0
    occurred_on: date | None = None


class ReturnOut(msgspec.Struct, frozen=True):
    """What a return does. `settled_minor` comes off what is owed; the rest of the price was paid, and is in `refund_minor`.

    `fee_let_go_minor` is fee that is not asked for any more, `fee_returned_minor` paid fee that comes back, `refund_due_minor` all that
    is to be paid out then. `contract` is null for a preview.
    """

    return_id: str
    amount_minor: int
    settled_minor: int
    fee_let_go_minor: int
    fee_returned_minor: int
    refund_minor: int
    refund_due_minor: int
    balance_before_minor: int
    balance_after_minor: int
    currency: str
    rows_before: tuple[RowOut, ...]
    rows_after: tuple[RowOut, ...]
    contract: ContractOut | None = None
    repeated: bool = False


def return_out(done: returns.Returned) -> ReturnOut:
    """A return on the wire."""
    return ReturnOut(
        done.return_id,
        done.amount_minor,
        done.settled_minor,
        done.fee_let_go_minor,
        done.fee_returned_minor,
        done.refund_minor,
        done.refund_due_minor,
        done.balance_before_minor,
        done.balance_after_minor,
        done.currency,
        tuple([row_out(row) for row in done.rows_before]),
        tuple([row_out(row) for row in done.rows_after]),
        None if done.view is None else contract_out(done.view),
        done.repeated,
    )


class ReturnPreviewController(ApiController):
    """Looking at a return."""

    scopes: ClassVar[Any] = {"post": "contracts:read"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(ReturnOut, status_code=HTTPStatus.OK), *_PROBLEMS)
    def post(
        self, parsed_path: Path[ContractPath], parsed_body: BodyMsgspec[ReturnPreviewIn]
    ) -> HttpResponse:
        """What a return would do: rows before and after, fees let go, and what would be paid out. Nothing is written.

        409 where more is to go back than was bought.
        """
        access, at = acting(self.request)
        try:
            found = returns.preview_return(
                access.shop,
                parsed_path.contract_id,
                parsed_body.amount_minor,
                at,
                for_other_sellers_minor=parsed_body.for_other_sellers_minor,
            )
        except Exception as problem:
            raise told(problem) or problem from None
        return answer(self.request, return_out(found))


class ReturnsController(ApiController):
    """Returns."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(ReturnOut, status_code=HTTPStatus.CREATED, headers=REPLAYED), *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[ReturnIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say that goods came back.

        They come off what is owed as the contract has it, with the fee that is not paid; what was paid of them is to be
        refunded. Booked once by its `return_id`; 409 where more goes back than was bought. Needs `Idempotency-Key`.
        """
        body = parsed_body
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: (
                201,
                return_out(
                    returns.confirm_return(
                        access.shop,
                        parsed_path.contract_id,
                        body.return_id,
                        body.amount_minor,
                        at,
                        for_other_sellers_minor=body.for_other_sellers_minor,
                        on=body.occurred_on,
                    )
                ),
            ),
        )


class RefundIn(_In, frozen=True, kw_only=True):
    """Money that was paid out to the customer, and the batch that it left with."""

    refund_id: Reference
    amount_minor: Amount
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    channel: Channel = "bank"
    settlement: Settlement = ""
    occurred_on: date | None = None


class RefundsController(ApiController):
    """Paying out what is due to the customer."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(ActOut, status_code=HTTPStatus.CREATED, headers=REPLAYED), *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[RefundIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say that what was to be refunded (`refund_due_minor` of the contract) was paid out.

        Booked once by its `refund_id`; 409 above what is due. Needs `Idempotency-Key`.
        """
        body = parsed_body

        def act(access: Any, at: Any) -> tuple[int, Any]:
            in_shops_currency(access.shop, body.currency)
            done = returns.refund_paid(
                access.shop,
                parsed_path.contract_id,
                body.refund_id,
                body.amount_minor,
                at,
                settlement=body.settlement or None,
                channel=body.channel,
                on=body.occurred_on,
            )
            return 201, act_out(done)

        return done_once(self.request, parsed_path.contract_id, act)
