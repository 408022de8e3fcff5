"""Acts on a contract: delivering, the due day, and what the shop's staff decide."""

from __future__ import annotations

from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Headers, Path, Query
from dmr.plugins.msgspec import BodyMsgspec

from fenqi.calendars import local_date
from fenqi.contracts.contract import ContractState
from fenqi.contracts.events import Instruction
from fenqi.contracts.explanation import Difference, explain
from fenqi_server.api.acting import (
    WAITS,
    ActOut,
    Minor,
    Reason,
    Reference,
    Settlement,
    act_out,
    acting,
    asked_or_done,
    done_once,
    told,
)
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import REPLAYED, ContractPath, IdempotencyHeaders, day_of, instant_of
from fenqi_server.api.problems import FieldError
from fenqi_server.api.reading import refused
from fenqi_server.api.rendering import row_out
from fenqi_server.api.schemas import Amount, RowOut, Short, _In
from fenqi_server.servicing import acts, requests
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.outgoing import ChargeAsked, HeldRefundAsked, PayBackAsked

_DONE: Any = ResponseSpec(ActOut, status_code=HTTPStatus.CREATED, headers=REPLAYED)
_PROBLEMS: Any = problems(400, 401, 403, 404, 409, 413, 422)
Channel = Literal["bank", "wallet", "cash"]


# --------------------------------------------------------------------------------------------- delivering


class ShipmentIn(_In, frozen=True, kw_only=True):
    """Goods went out. `shipment_id` is the shop's own number where several parcels go."""

    shipment_id: Short = ""
    occurred_on: date | None = None


class ShipmentController(ApiController):
    """Goods going out."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[ShipmentIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Say that goods, or a part of them, were shipped.

        From here on the sale is not cancelled: goods are returned. Needs `Idempotency-Key`.
        """
        body = parsed_body
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: (
                201,
                act_out(
                    acts.ship(
                        access.shop,
                        parsed_path.contract_id,
                        at,
                        shipment_id=body.shipment_id,
                        on=body.occurred_on,
                    )
                ),
            ),
        )


class CancellationIn(_In, frozen=True, kw_only=True):
    """Why the sale is called off."""

    reason: Short = ""


class CancellationController(ApiController):
    """Calling a sale off."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[CancellationIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Call a sale off before anything was shipped.

        Nothing is owed any more; `refund_due_minor` of the contract is what was paid, to be paid out. 409 once goods were
        shipped. Needs `Idempotency-Key`.
        """
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: (
                201,
                act_out(acts.cancel(access.shop, parsed_path.contract_id, at, reason=parsed_body.reason)),
            ),
        )


# --------------------------------------------------------------------------------------------- the due day


class DueDayIn(_In, frozen=True, kw_only=True):
    """The day of the month on which rows fall due (31: its last), from row `from_row` on (left out: the next to come)."""

    day: Annotated[int, msgspec.Meta(ge=1, le=31)]
    from_row: int | None = None


class MovedOut(msgspec.Struct, frozen=True):
    """A row that falls due on another day."""

    row: int
    before: date
    after: date
    outstanding_minor: int


class DueDayOut(msgspec.Struct, frozen=True):
    """What another due day does. `cost_minor` is how much more there is to pay in all."""

    day: int
    from_row: int
    rows: tuple[MovedOut, ...]
    cost_minor: int
    currency: str


def _due_day_out(found: acts.DueDayPreview) -> DueDayOut:
    rows = tuple([MovedOut(row.number, row.before, row.after, row.outstanding_minor) for row in found.rows])
    return DueDayOut(found.day, found.from_row, rows, found.cost_minor, found.currency)


class DueDayPreviewController(ApiController):
    """Looking at another due day."""

    scopes: ClassVar[Any] = {"post": "contracts:read"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(DueDayOut, status_code=HTTPStatus.OK), *_PROBLEMS)
    def post(self, parsed_path: Path[ContractPath], parsed_body: BodyMsgspec[DueDayIn]) -> HttpResponse:
        """Which rows another due day moves to when, and what it costs. Nothing is written."""
        access, at = acting(self.request)
        try:
            found = acts.preview_due_day(
                access.shop, parsed_path.contract_id, parsed_body.day, at, from_row=parsed_body.from_row
            )
        except Exception as problem:
            raise told(problem) or problem from None
        return answer(self.request, _due_day_out(found))


class DueDayController(ApiController):
    """Another due day."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(DueDayOut, status_code=HTTPStatus.CREATED, headers=REPLAYED), *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[DueDayIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Let rows fall due on another day of the month, as the customer asks.

        409 while something is late, and within 180 days of the last time. Needs `Idempotency-Key`.
        """
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: (
                201,
                _due_day_out(
                    acts.change_due_day(
                        access.shop,
                        parsed_path.contract_id,
                        parsed_body.day,
                        at,
                        from_row=parsed_body.from_row,
                    )[1]
                ),
            ),
        )


# --------------------------------------------------------------------------------------------- staff


class InstructionPartIn(_In, frozen=True, kw_only=True):
    """So much of the payment is for one part of a row."""

    row: int
    part: Literal["principal", "fee", "interest", "penalty"]
    amount_minor: Amount


class InstructionIn(_In, frozen=True, kw_only=True):
    """What a payment is for; the rest of it goes in the usual order."""

    payment_ref: Reference
    parts: Annotated[list[InstructionPartIn], msgspec.Meta(min_length=1, max_length=100)]
    reason: Reason


class InstructionController(ApiController):
    """Putting a payment where it belongs."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[InstructionIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Put a payment where the customer said that it belongs. Needs `Idempotency-Key`."""
        body = parsed_body
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: (
                201,
                act_out(
                    acts.instruct(
                        access.shop,
                        parsed_path.contract_id,
                        body.payment_ref,
                        [Instruction(each.row, each.part, each.amount_minor) for each in body.parts],
                        at,
                        actor=access.actor,
                        reason=body.reason,
                    )
                ),
            ),
        )


class ChargeIn(_In, frozen=True, kw_only=True):
    """A cost that the table of costs named as one that may arise, by its `code` there."""

    charge_id: Reference
    part: Literal["fee", "penalty"]
    amount_minor: Amount
    code: Short
    due_on: date | None = None
    reason: Reason


class ChargeController(ApiController):
    """Charging."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_DONE, WAITS, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[ChargeIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Charge what the table of costs named as what may arise.

        Anything else is refused, and so are penalties above the law's most. Above the limit of one person it waits (202) until somebody
        else agrees in the console. Needs `Idempotency-Key`.
        """
        body = parsed_body
        asked = ChargeAsked(
            reference=body.charge_id,
            amount_minor=body.amount_minor,
            reason=body.reason,
            part=body.part,
            code=body.code,
            due_on=body.due_on,
        )
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: asked_or_done(
                requests.ask(access.shop, parsed_path.contract_id, asked, at, actor=access.actor)
            ),
        )


class AccelerationIn(_In, frozen=True, kw_only=True):
    """The day on which everything that is late was demanded."""

    demanded_on: date
    reason: Reason


class AccelerationController(ApiController):
    """Calling everything due."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[AccelerationIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Call everything due at once.

        409 unless a fifth of the price is late, was demanded, and was not paid within the days agreed. Needs
        `Idempotency-Key`.
        """
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: (
                201,
                act_out(
                    acts.accelerate(
                        access.shop,
                        parsed_path.contract_id,
                        parsed_body.demanded_on,
                        at,
                        actor=access.actor,
                        reason=parsed_body.reason,
                    )
                ),
            ),
        )


HelpIn = requests.Pause | requests.ReAge | requests.ReAmortise


class ReliefIn(_In, frozen=True, kw_only=True):
    """How paying is made easier: `pause`, `re_age` or `re_amortise`, and why."""

    act: HelpIn
    reason: Reason


class ReliefPreviewIn(_In, frozen=True, kw_only=True):
    """How paying would be made easier."""

    act: HelpIn


class PreviewOut(msgspec.Struct, frozen=True):
    """A contract's rows before and after, and how much more is owed then."""

    rows_before: tuple[RowOut, ...]
    rows_after: tuple[RowOut, ...]
    balance_change_minor: int
    currency: str


class ReliefPreviewController(ApiController):
    """Looking at help."""

    scopes: ClassVar[Any] = {"post": "contracts:read"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(PreviewOut, status_code=HTTPStatus.OK), *_PROBLEMS)
    def post(
        self, parsed_path: Path[ContractPath], parsed_body: BodyMsgspec[ReliefPreviewIn]
    ) -> HttpResponse:
        """What a pause, new rows or spread arrears would do, row by row. Nothing is written."""
        access, at = acting(self.request)
        try:
            before, after, found = requests.preview_help(
                access.shop, parsed_path.contract_id, parsed_body.act, at
            )
        except Exception as problem:
            raise told(problem) or problem from None
        out = PreviewOut(
            tuple([row_out(row) for row in before.rows]),
            tuple([row_out(row) for row in after.rows]),
            found.balance_change_minor,
            after.currency,
        )
        return answer(self.request, out)


class ReliefController(ApiController):
    """Help with paying."""

    scopes: ClassVar[Any] = {"post": "servicing:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[ReliefIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Make paying easier without a request: pause, spread over new rows, or spread what is late over the rows to come.

        What a customer asked for is decided at `/v1/requests/{id}`. Needs `Idempotency-Key`.
        """
        help_with, contract = parsed_body.act, parsed_path.contract_id

        def act(access: Any, at: Any) -> tuple[int, Any]:
            by = {"actor": access.actor, "reason": parsed_body.reason}
            if isinstance(help_with, requests.Pause):
                done = acts.pause(
                    access.shop, contract, help_with.periods, at, interest=help_with.interest, **by
                )
            elif isinstance(help_with, requests.ReAge):
                done = acts.re_age(access.shop, contract, help_with.periods, help_with.first_due_on, at, **by)
            else:
                done = acts.re_amortise(access.shop, contract, at, **by)
            return 201, act_out(done)

        return done_once(self.request, contract, act)


# --------------------------------------------------------------------------------------------- money


class RecoveryIn(_In, frozen=True, kw_only=True):
    """Money that came of a claim that was written off; `cost_minor` of it stayed with whoever collected it."""

    payment_ref: Reference
    amount_minor: Amount
    cost_minor: Minor = 0
    channel: Channel = "bank"
    settlement: Settlement = ""
    occurred_on: date | None = None


class RecoveryController(ApiController):
    """Money that came after all."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_DONE, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[RecoveryIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Book what came of a claim that was written off.

        A payment of such a contract is booked so by itself; this call says what collecting it cost. Needs
        `Idempotency-Key`.
        """
        body = parsed_body
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: (
                201,
                act_out(
                    acts.recover(
                        access.shop,
                        parsed_path.contract_id,
                        body.payment_ref,
                        body.amount_minor,
                        at,
                        cost_minor=body.cost_minor,
                        settlement=body.settlement or None,
                        channel=body.channel,
                        on=body.occurred_on,
                    )
                ),
            ),
        )


class HeldRefundIn(_In, frozen=True, kw_only=True):
    """Money that nothing is owed for goes back. `reason` is needed above the limit of one person."""

    refund_id: Reference
    amount_minor: Amount
    channel: Channel = "bank"
    settlement: Settlement = ""
    reason: Annotated[str, msgspec.Meta(max_length=acts.MAX_REASON)] = ""


class PayBackIn(_In, frozen=True, kw_only=True):
    """Money that had paid instalments goes back."""

    refund_id: Reference
    amount_minor: Amount
    channel: Channel = "bank"
    settlement: Settlement = ""
    reason: Reason


class PayBackController(ApiController):
    """Giving back what was paid."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_DONE, WAITS, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[PayBackIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Give back money that had paid instalments: what was paid last, and in advance, is owed again first.

        409 above what was paid, of a lease, and where interest runs daily. Up to the limit of one person it is booked as paid at once. Above
        it, it waits (202): it is paid when somebody else has agreed in the console (`request.approved`). Needs `Idempotency-Key`.
        """
        body = parsed_body
        asked = PayBackAsked(
            reference=body.refund_id,
            amount_minor=body.amount_minor,
            reason=body.reason,
            channel=body.channel,
            settlement=body.settlement,
        )
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: asked_or_done(
                requests.ask(access.shop, parsed_path.contract_id, asked, at, actor=access.actor)
            ),
        )


class HeldRefundController(ApiController):
    """Money beyond the debt."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(_DONE, WAITS, *_PROBLEMS)
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[HeldRefundIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Pay back money which the contract holds and nothing is owed for.

        Up to the limit of one person it is booked as paid at once. Above it, it waits (202): it is paid when somebody else has agreed in the
        console (`request.approved`). Needs `Idempotency-Key`.
        """
        body = parsed_body
        asked = HeldRefundAsked(
            reference=body.refund_id,
            amount_minor=body.amount_minor,
            reason=body.reason,
            channel=body.channel,
            settlement=body.settlement,
        )
        return done_once(
            self.request,
            parsed_path.contract_id,
            lambda access, at: asked_or_done(
                requests.ask(access.shop, parsed_path.contract_id, asked, at, actor=access.actor)
            ),
        )


# --------------------------------------------------------------------------------------------- why a figure changed


class ExplanationQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was known at `since`, and at `until` (now), of the contract as of `as_of` (the day of `until`)."""

    since: str | None = None
    until: str | None = None
    as_of: str | None = None


class ChangeOut(msgspec.Struct, frozen=True):
    """One figure of one row, before and after (null: the row was not there), and the change in a sentence."""

    row: int
    figure: str
    before: int | str | None
    after: int | str | None
    text: dict[str, str]


class ShareOut(msgspec.Struct, frozen=True):
    """What a payment paid of a row."""

    row: int
    amount_minor: int


class PaymentChangeOut(msgspec.Struct, frozen=True):
    """A payment that pays something else than before (empty: it was not there)."""

    payment_ref: str
    before: tuple[ShareOut, ...]
    after: tuple[ShareOut, ...]


class LearntOut(msgspec.Struct, frozen=True):
    """What was learnt in between, and so made the difference."""

    seq: int
    kind: str
    occurred_on: date
    reference: str


class ExplanationOut(msgspec.Struct, frozen=True):
    """What is other, row by row, and what was learnt that made it so."""

    as_of: date
    rows: tuple[ChangeOut, ...]
    payments: tuple[PaymentChangeOut, ...]
    balance_before_minor: int
    balance_after_minor: int
    unapplied_before_minor: int
    unapplied_after_minor: int
    currency: str
    because: tuple[LearntOut, ...]


class ExplanationController(ApiController):
    """Why a figure changed."""

    scopes: ClassVar[Any] = {"get": "contracts:read"}
    tags: ClassVar[Any] = ["Servicing"]

    @validate(ResponseSpec(ExplanationOut, status_code=HTTPStatus.OK), *problems(401, 403, 404, 422))
    def get(self, parsed_path: Path[ContractPath], parsed_query: Query[ExplanationQuery]) -> HttpResponse:
        """What changed in a contract between two instants, row by row, and by which events.

        Both are of the contract as of one day, so that what differs is what was learnt in between: a payment told late, one
        taken back, goods returned.
        """
        access, at = acting(self.request)
        since = instant_of(parsed_query.since, "/since")
        until = instant_of(parsed_query.until, "/until") or at
        if since is None or since > until:
            raise refused(
                FieldError(
                    "/since",
                    parsed_query.since or "missing",
                    f"an instant up to {until.isoformat()}",
                    in_="query",
                )
            )
        as_of = day_of(parsed_query.as_of, "/as_of") or local_date(until, access.shop.time_zone)
        try:
            before = servicing.get(access.shop, parsed_path.contract_id, as_of, known_at=since)
            after = servicing.get(access.shop, parsed_path.contract_id, as_of, known_at=until)
        except servicing.NoContract as problem:
            raise told(problem) or problem from None
        first, last = int(since.timestamp()), int(until.timestamp())
        because = tuple(
            [
                LearntOut(event.seq, str(event.__struct_config__.tag), event.occurred_on, event.reference)
                for event in after.events
                if first < event.recorded_at <= last and event.occurred_on <= as_of
            ]
        )
        return answer(self.request, _explanation_out(before.state, after.state, as_of, because))


def _explanation_out(
    before: ContractState, after: ContractState, as_of: date, because: tuple[LearntOut, ...]
) -> ExplanationOut:
    found: Difference = explain(before, after)

    def shown(value: int | date | None) -> int | str | None:
        return value.isoformat() if isinstance(value, date) else value

    return ExplanationOut(
        as_of,
        tuple(
            [
                ChangeOut(
                    each.row,
                    each.figure,
                    shown(each.before),
                    shown(each.after),
                    {"zh-CN": each.text.zh_cn, "en": each.text.en},
                )
                for each in found.rows
            ]
        ),
        tuple(
            [
                PaymentChangeOut(
                    each.payment_id,
                    tuple([ShareOut(*share) for share in each.before]),
                    tuple([ShareOut(*share) for share in each.after]),
                )
                for each in found.payments
            ]
        ),
        found.balance_before_minor,
        found.balance_after_minor,
        found.unapplied_before_minor,
        found.unapplied_after_minor,
        after.currency,
        because,
    )
