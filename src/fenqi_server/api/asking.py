"""What customers ask for, what staff give away, and what was decided."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal, get_args

import msgspec
from django.http import HttpRequest, HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Headers, Path, Query
from dmr.plugins.msgspec import BodyMsgspec

from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.api.access import Access
from fenqi_server.api.acting import (
    WAITS,
    Reason,
    Reference,
    RequestOut,
    acting,
    done_once,
    request_out,
    told,
)
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import (
    REPLAYED,
    ContractPath,
    IdempotencyHeaders,
    UnappliedPath,
    bad_page,
    limit_of,
    one_of,
)
from fenqi_server.api.once import idempotency_key, once
from fenqi_server.api.reading import without_cards
from fenqi_server.api.rendering import contract_out
from fenqi_server.api.schemas import Amount, ContractOut, _In
from fenqi_server.ids import house_party
from fenqi_server.servicing import requests, unapplied
from fenqi_server.servicing.acts import MAX_REASON
from fenqi_server.servicing.requests import Concession, HardshipAsked, Request, ReturnAsked
from fenqi_server.servicing.service import Refusal
from fenqi_server.servicing.unapplied import Unmatched

_PROBLEMS: Any = problems(400, 401, 403, 404, 409, 413, 422)
Note = Annotated[str, msgspec.Meta(max_length=MAX_REASON)]


class RequestIn(_In, frozen=True, kw_only=True):
    """What the customer asks for (`return` or `hardship`), and what they write beside it."""

    asked: ReturnAsked | HardshipAsked
    said: Note = ""


class RequestsOut(msgspec.Struct, frozen=True):
    """Requests, newest first. `after` asks for the next page, and is null at the end."""

    requests: tuple[RequestOut, ...]
    after: str | None


_MADE: Any = ResponseSpec(RequestOut, status_code=HTTPStatus.CREATED, headers=REPLAYED)


class ContractRequestsController(ApiController):
    """A contract's requests."""

    scopes: ClassVar[Any] = {"get": "contracts:read", "post": "contracts:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(RequestsOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[ContractPath]) -> HttpResponse:
        """Everything that was asked for about a contract, newest first."""
        access, _ = acting(self.request)
        try:
            found = requests.of_contract(access.shop, parsed_path.contract_id)
        except Exception as problem:
            raise told(problem) or problem from None
        return answer(self.request, RequestsOut(tuple([request_out(each) for each in found]), None))

    @validate(_MADE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[RequestIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Ask, for the customer, to return goods or for help with paying.

        Nothing changes until somebody of the shop decides. One request of a kind is open at a time: 409 `request_open`.
        Needs `Idempotency-Key`.
        """
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: (
                201,
                request_out(
                    requests.open_request(
                        access.shop,
                        parsed_path.contract_id,
                        parsed_body.asked,
                        at,
                        said=without_cards(parsed_body.said),
                    )
                ),
            ),
        )


class RequestsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests. `after` is the `after` of the page before; `limit` is 1 to 100 (25)."""

    state: str | None = None
    kind: str | None = None
    after: str | None = None
    limit: str | None = None


class RequestsController(ApiController):
    """The shop's requests."""

    scopes: ClassVar[Any] = {"get": "contracts:read"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(RequestsOut, status_code=HTTPStatus.OK), *problems(401, 403, 422))
    def get(self, parsed_query: Query[RequestsQuery]) -> HttpResponse:
        """List what was asked for, newest first.

        `state` (`open`, `approved`, `declined`, `withdrawn`) and `kind` (`return`, `hardship`, `goodwill`, `waiver`, `write_off`, `refund`,
        `held_refund`, `unmatched_refund`, `pay_back`, `reversal`, `charge`) narrow the list. Pages stay as they are while more is asked: what is new is in front of them.
        """
        access, _ = acting(self.request)
        query = parsed_query
        states, kinds = ("open", "approved", "declined", "withdrawn"), _KINDS
        try:
            page = requests.list_requests(
                access.shop,
                state=one_of(query.state, states, "/state"),  # type: ignore[arg-type]
                kind=one_of(query.kind, kinds, "/kind"),  # type: ignore[arg-type]
                after=query.after or "",
                limit=limit_of(query.limit),
            )
        except BadInput as problem:
            raise bad_page(problem, query.limit) from None
        return answer(
            self.request, RequestsOut(tuple([request_out(each) for each in page.requests]), page.after)
        )


_KINDS = get_args(requests.Kind)


class RequestPath(msgspec.Struct, frozen=True):
    """A request's public id."""

    request_id: str


class RequestController(ApiController):
    """One request."""

    scopes: ClassVar[Any] = {"get": "contracts:read"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(RequestOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[RequestPath]) -> HttpResponse:
        """A request and what became of it."""
        access, _ = acting(self.request)
        try:
            found = requests.get(access.shop, parsed_path.request_id)
        except Exception as problem:
            raise told(problem) or problem from None
        return answer(self.request, request_out(found))


def _decided(
    request: HttpRequest, request_id: str, decide: Callable[[Access, datetime], Request]
) -> HttpResponse:
    access, at = acting(request)
    key = idempotency_key(request)
    try:
        party = requests.get(access.shop, request_id).customer_id
        return once(request, access, party, key, at, lambda: (201, request_out(decide(access, at))))
    except Exception as problem:
        found = told(problem)
        if found is None:
            raise
        raise found from None


class ApprovalIn(_In, frozen=True, kw_only=True):
    """How it is done: of hardship `pause`, `re_age` or `re_amortise`; of a return `taken` (left out: all that was asked for)."""

    act: requests.Act | None = None
    note: Note = ""


class ApproveController(ApiController):
    """Agreeing to a request."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_MADE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[RequestPath],
        parsed_body: BodyMsgspec[ApprovalIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Agree, and do it in the same transaction.

        What staff give away beyond the limit is agreed to in the console alone, by somebody who is signed in: no key can stand
        in for that (409 `second_person`). Needs `Idempotency-Key`.
        """

        def decide(access: Access, at: datetime) -> Request:
            found = requests.get(access.shop, parsed_path.request_id)
            if found.needs_second and found.state == "open":
                raise Refusal(
                    "second_person",
                    Text("须由另一人在控制台审批", "Somebody else agrees in the console"),
                    Text(
                        "金额超过一人可决定的限额，须由另一人登录控制台审批。",
                        "It is above what one person decides: somebody else who is signed in to the console agrees.",
                    ),
                    asked_minor=found.at_stake_minor,
                    owed_minor=found.limit_minor,
                    currency=access.shop.currency,
                )
            return requests.approve(
                access.shop,
                parsed_path.request_id,
                at,
                actor=access.actor,
                act=parsed_body.act,
                note=parsed_body.note,
            )

        return _decided(self.request, parsed_path.request_id, decide)


class DeclineIn(_In, frozen=True, kw_only=True):
    """Why not: the customer reads it."""

    note: Reason


class DeclineController(ApiController):
    """Saying no."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_MADE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[RequestPath],
        parsed_body: BodyMsgspec[DeclineIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Decline a request, and say why. Needs `Idempotency-Key`."""
        return _decided(
            self.request,
            parsed_path.request_id,
            lambda access, at: requests.decline(
                access.shop, parsed_path.request_id, at, actor=access.actor, note=parsed_body.note
            ),
        )


class WithdrawController(ApiController):
    """Taking a request back."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_MADE, *problems(400, 401, 403, 404, 409))
    def post(
        self, parsed_path: Path[RequestPath], parsed_headers: Headers[IdempotencyHeaders]
    ) -> HttpResponse:
        """Take back, for the customer, what they asked for. 409 once it is decided. Needs `Idempotency-Key`."""
        return _decided(
            self.request,
            parsed_path.request_id,
            lambda access, at: requests.withdraw(access.shop, parsed_path.request_id, at),
        )


# --------------------------------------------------------------------------------------------- giving away


class GoodwillIn(_In, frozen=True, kw_only=True):
    """A part of what is owed that the shop takes on itself."""

    reference: Reference
    amount_minor: Amount
    reason: Reason


class WaiverIn(_In, frozen=True, kw_only=True):
    """A fee, a penalty or interest that is not asked for: of one row, or of the oldest that owe it."""

    reference: Reference
    part: Literal["fee", "penalty", "interest", "rent"]
    amount_minor: Amount
    row: int | None = None
    reason: Reason


class WriteOffIn(_In, frozen=True, kw_only=True):
    """Everything that is owed is given up in the book; the claim stays."""

    reference: Reference
    reason: Reason


def _conceded(request: HttpRequest, contract_id: str, asked: Concession) -> HttpResponse:
    return done_once(
        request,
        contract_id,
        lambda access, at: (
            201,
            request_out(requests.concede(access.shop, contract_id, asked, at, actor=access.actor)),
        ),
    )


class GoodwillController(ApiController):
    """Goodwill."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_MADE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[GoodwillIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Take a part of what is owed on the shop: it pays as money would.

        Up to the limit of one person it is done at once (`state` `approved`); above it, it waits (`open`) until somebody else agrees in
        the console. Needs `Idempotency-Key`.
        """
        body = parsed_body
        return _conceded(
            self.request,
            parsed_path.contract_id,
            Concession(
                reference=body.reference, kind="goodwill", reason=body.reason, amount_minor=body.amount_minor
            ),
        )


class WaiverController(ApiController):
    """Waivers."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_MADE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[WaiverIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Let a fee, a penalty or interest go.

        Up to the limit of one person at once, above it when somebody else agrees in the console. Needs `Idempotency-Key`.
        """
        body = parsed_body
        return _conceded(
            self.request,
            parsed_path.contract_id,
            Concession(
                reference=body.reference,
                kind="waiver",
                reason=body.reason,
                amount_minor=body.amount_minor,
                part=body.part,
                row=body.row,
            ),
        )


class WriteOffController(ApiController):
    """Write-offs."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_MADE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[WriteOffIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Give up in the book what is owed. The claim stays: what still comes is recovered.

        Up to the limit of one person at once, above it when somebody else agrees in the console. Needs `Idempotency-Key`.
        """
        return _conceded(
            self.request,
            parsed_path.contract_id,
            Concession(reference=parsed_body.reference, kind="write_off", reason=parsed_body.reason),
        )


# --------------------------------------------------------------------------------------------- money without a contract


class UndoIn(_In, frozen=True, kw_only=True):
    """Why the match was wrong."""

    reason: Reason


class UndoneOut(msgspec.Struct, frozen=True):
    """Money that waits to be matched again, and the contract that it was taken out of."""

    money: Unmatched
    contract: ContractOut


class MoneyRefundIn(_In, frozen=True, kw_only=True):
    """Money that named no contract went back, whole."""

    refund_id: Reference
    channel: Literal["bank", "wallet", "cash"] = "bank"
    settlement: Annotated[str, msgspec.Meta(max_length=100)] = ""
    reason: Reason


def _with_money(request: HttpRequest, act: Callable[[Access, datetime], tuple[int, Any]]) -> HttpResponse:
    access, at = acting(request)
    key = idempotency_key(request)
    party = house_party(access.shop.id, "suspense")
    try:
        return once(request, access, party, key, at, lambda: act(access, at))
    except Exception as problem:
        found = told(problem)
        if found is None:
            raise
        raise found from None


class UndoMatchController(ApiController):
    """Undoing a match."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(UndoneOut, status_code=HTTPStatus.CREATED, headers=REPLAYED), *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[UnappliedPath],
        parsed_body: BodyMsgspec[UndoIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Take money out of the contract that it was matched to: it waits to be matched again.

        409 `not_matched` where it is matched to nothing. Needs `Idempotency-Key`.
        """

        def act(access: Access, at: datetime) -> tuple[int, UndoneOut]:
            money, view = unapplied.undo_match(
                access.shop, parsed_path.unapplied_id, at, actor=access.actor, reason=parsed_body.reason
            )
            return 201, UndoneOut(money, contract_out(view))

        return _with_money(self.request, act)


class MoneyRefundController(ApiController):
    """Sending money back that named no contract."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(Unmatched, status_code=HTTPStatus.CREATED, headers=REPLAYED), WAITS, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[UnappliedPath],
        parsed_body: BodyMsgspec[MoneyRefundIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Send money back that named no contract, whole, to whoever sent it.

        Up to the limit of one person it is booked as sent at once. Above it, it waits (202): it is sent when somebody else has agreed in the
        console (`request.approved`). Needs `Idempotency-Key`.
        """
        body = parsed_body

        def act(access: Access, at: datetime) -> tuple[int, Unmatched | RequestOut]:
            done = requests.ask_for_unmatched(
                access.shop,
                parsed_path.unapplied_id,
                body.refund_id,
                at,
                settlement=body.settlement,
                channel=body.channel,
                actor=access.actor,
                reason=body.reason,
            )
            return (202, request_out(done)) if isinstance(done, Request) else (201, done)

        return _with_money(self.request, act)
