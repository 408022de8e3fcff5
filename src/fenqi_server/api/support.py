"""Support over the API: what a decision was and why, cases, special cases, and mail that becomes a case.

For a shop that has a desk of its own. The API asks for a special case and ends one; approving it needs a person, signed in
to the console with a second factor, who is not the one who asked: no key can stand in for that.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Path, Query
from dmr.plugins.msgspec import BodyMsgspec

from fenqi_server import clock
from fenqi_server.api.access import Access, access_of
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import one_of
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.api.reading import check_text, refused, too_large
from fenqi_server.api.schemas import Amount, Customer, Short
from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.policies import audit
from fenqi_server.support import cases, finding, mail, overrides
from fenqi_server.support.diagnosis import PlanDiagnosis, Sight, Similar, diagnose

__all__ = [
    "CaseController",
    "CaseMessagesController",
    "CasesController",
    "DiagnosisController",
    "FindController",
    "InboundMailController",
    "OverrideController",
    "OverrideRevokeController",
    "OverridesController",
]

MAX_ID: Final = 80
Written = Annotated[str, msgspec.Meta(min_length=1, max_length=cases.MAX_MESSAGE)]


class _In(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a request: a field that is not documented is refused."""


def _not_found(what: str) -> ApiProblem:
    return ApiProblem(404, "not_found", "Not found", f"There is no such {what} in this shop.")


# ----------------------------------------------------------------------------------------------------- diagnosis


class DiagnosisPath(msgspec.Struct, frozen=True):
    """A decision's public id."""

    decision_id: str


class DiagnosisQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which plan the question is about, and the language of the desk's own texts."""

    plan: str = ""
    locale: Literal["zh-CN", "en"] = "zh-CN"


class DifferenceOut(msgspec.Struct, frozen=True):
    """A plan that came out otherwise than it was recorded."""

    plan: str


class DiagnosisOut(msgspec.Struct, frozen=True, kw_only=True):
    """Why it was so. `identical`: the replay of the record comes out as it was recorded; if not, do not answer by it."""

    decision: str
    at: datetime
    source: str
    policy: str
    amount_minor: int
    currency: str
    channel: str
    identical: bool
    differences: tuple[DifferenceOut, ...]
    focus: str
    plans: tuple[PlanDiagnosis, ...]
    similar_today: tuple[Similar, ...]


class DiagnosisController(ApiController):
    """Why a way to pay was not open."""

    scopes: ClassVar[Any] = {"get": "diagnosis:read"}
    tags: ClassVar[Any] = ["Support"]

    @validate(ResponseSpec(DiagnosisOut, status_code=HTTPStatus.OK), *problems(401, 403, 404, 422))
    def get(self, parsed_path: Path[DiagnosisPath], parsed_query: Query[DiagnosisQuery]) -> HttpResponse:
        """Diagnose a recorded decision: every layer of every plan, what would change it, what to tell the customer.

        Particulars of risk are withheld from a key without the scope `diagnosis:risk`. The view is in the audit log.
        """
        access = access_of(self.request)
        at = clock.now()
        try:
            found = diagnose(
                access.shop,
                parsed_path.decision_id,
                sight=Sight(person=True, risk="diagnosis:risk" in access.scopes),
                locale=parsed_query.locale,
                at=at,
                plan=parsed_query.plan,
            )
        except decisions.NoDecision:
            raise _not_found("decision") from None
        audit.record(
            access.shop, access.actor, "diagnosis.view", found.decision, at, after={"plan": found.focus}
        )
        return answer(
            self.request,
            DiagnosisOut(
                decision=found.decision,
                at=found.at,
                source=found.source,
                policy=found.policy_digest,
                amount_minor=found.amount_minor,
                currency=found.currency,
                channel=found.channel,
                identical=found.identical,
                differences=tuple(DifferenceOut(difference.plan) for difference in found.differences),
                focus=found.focus,
                plans=found.plans,
                similar_today=found.similar,
            ),
        )


class FindIn(_In, frozen=True, kw_only=True):
    """A number as the customer says it: order, phone, check, case, or the shop's name for them; written whole."""

    asked: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class FoundOut(msgspec.Struct, frozen=True):
    """A recorded decision. `missing`: how many ways to pay were not open in it."""

    decision: str
    at: datetime
    source: str
    amount_minor: int
    currency: str
    missing: int
    how: str


class FoundsOut(msgspec.Struct, frozen=True):
    """What was found, newest first."""

    decisions: tuple[FoundOut, ...]


class FindController(ApiController):
    """Finding what a customer saw."""

    scopes: ClassVar[Any] = {"post": "diagnosis:read"}
    tags: ClassVar[Any] = ["Support"]

    @validate(ResponseSpec(FoundsOut, status_code=HTTPStatus.OK), *problems(400, 401, 403, 413, 422))
    def post(self, parsed_body: BodyMsgspec[FindIn]) -> HttpResponse:
        """Find recorded decisions, those of product pages too. In a body, so that no phone number stands in an address."""
        access = access_of(self.request)
        found = finding.find(access.shop, parsed_body.asked)
        audit.record(
            access.shop,
            access.actor,
            "decision.find",
            found[0].how if found else "nothing",
            clock.now(),
            after={"found": len(found)},
        )
        return answer(
            self.request,
            FoundsOut(
                tuple(
                    FoundOut(
                        line.decision,
                        line.at,
                        line.source,
                        line.amount_minor,
                        line.currency,
                        line.missing,
                        line.how,
                    )
                    for line in found
                )
            ),
        )


# --------------------------------------------------------------------------------------------------------- cases


class CaseIn(_In, frozen=True, kw_only=True):
    """A customer's question. `decision` and `plan` are what they were looking at."""

    customer: Customer
    message: Written
    locale: Literal["zh-CN", "en"] = "zh-CN"
    decision: Annotated[str, msgspec.Meta(max_length=MAX_ID)] | None = None
    plan: Short = ""
    subject: Annotated[str, msgspec.Meta(max_length=cases.MAX_SUBJECT)] = ""


class MessageIn(_In, frozen=True, kw_only=True):
    """A further message. `author` says whose words they are."""

    author: Literal["customer", "agent"]
    message: Written


class MessageOut(msgspec.Struct, frozen=True):
    """One message of the thread."""

    author: str
    message: str
    at: datetime
    via: str


class CaseOut(msgspec.Struct, frozen=True, kw_only=True):
    """A case. Notes of the desk are not in it: what they say is for the console alone."""

    id: str
    number: str
    state: str
    came_from: str
    subject: str
    locale: str
    decision: str | None
    plan: str
    assignee: str
    opened_at: datetime
    messages: tuple[MessageOut, ...] = ()


class CasesOut(msgspec.Struct, frozen=True):
    """Cases without their threads: of those who wait the longest first."""

    cases: tuple[CaseOut, ...]


class CasesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only cases in this state."""

    state: str = ""


class CasePath(msgspec.Struct, frozen=True):
    """A case's public id."""

    case_id: str


def _case_out(case: cases.Case, messages: tuple[cases.Message, ...] = ()) -> CaseOut:
    return CaseOut(
        id=case.public_id,
        number=case.number,
        state=case.state,
        came_from=case.came_from,
        subject=case.subject,
        locale=case.locale,
        decision=case.decision,
        plan=case.plan,
        assignee=case.assignee,
        opened_at=case.opened_at,
        messages=tuple(
            MessageOut(message.author, message.body, message.written_at, message.via) for message in messages
        ),
    )


def _case(access: Access, case_id: str) -> tuple[cases.Case, tuple[cases.Message, ...]]:
    try:
        return cases.get(access.shop, case_id)
    except cases.NoCase:
        raise _not_found("case") from None


class CasesController(ApiController):
    """Customers' questions."""

    scopes: ClassVar[Any] = {"get": "cases:read", "post": "cases:write"}
    tags: ClassVar[Any] = ["Support"]

    @validate(ResponseSpec(CasesOut, status_code=HTTPStatus.OK), *problems(401, 403, 422))
    def get(self, parsed_query: Query[CasesQuery]) -> HttpResponse:
        """List cases: those of one `state` (`open`, `answered`, `closed`), or all."""
        access = access_of(self.request)
        state = one_of(parsed_query.state or None, ("open", "answered", "closed"), "/state")
        found = cases.desk(access.shop, state=state)
        return answer(self.request, CasesOut(tuple(_case_out(case) for case in found)))

    @validate(ResponseSpec(CaseOut, status_code=HTTPStatus.CREATED), *problems(400, 401, 403, 404, 413, 422))
    def post(self, parsed_body: BodyMsgspec[CaseIn]) -> HttpResponse:
        """Open a case for a customer."""
        access = access_of(self.request)
        at, shop = clock.now(), access.shop
        owner = customers.ensure(shop, check_text(parsed_body.customer.ref, "/customer/ref", longest=100), at)
        plan = ""
        if parsed_body.decision is not None:
            try:
                decision = decisions.load(parsed_body.decision, shop=shop)
            except decisions.NoDecision:
                raise _not_found("decision") from None
            if decision.customer_id != owner:
                raise _not_found("decision")
            plan = parsed_body.plan if parsed_body.plan in decision.policy.plan_index else ""
        try:
            case = cases.open_case(
                shop,
                owner,
                parsed_body.message,
                at,
                locale=parsed_body.locale,
                decision=parsed_body.decision,
                plan=plan,
                came_from="api",
                subject=parsed_body.subject,
                via="api",
                actor=access.actor,
            )
        except ValueError as error:
            raise refused(FieldError("/message", parsed_body.message[:60], str(error))) from None
        return answer(self.request, _case_out(*cases.get(shop, case.public_id)), 201)


class CaseController(ApiController):
    """One case."""

    scopes: ClassVar[Any] = {"get": "cases:read"}
    tags: ClassVar[Any] = ["Support"]

    @validate(ResponseSpec(CaseOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[CasePath]) -> HttpResponse:
        """A case with its thread."""
        access = access_of(self.request)
        return answer(self.request, _case_out(*_case(access, parsed_path.case_id)))


class CaseMessagesController(ApiController):
    """A case's thread."""

    scopes: ClassVar[Any] = {"post": "cases:write"}
    tags: ClassVar[Any] = ["Support"]

    @validate(ResponseSpec(CaseOut, status_code=HTTPStatus.CREATED), *problems(400, 401, 403, 404, 413, 422))
    def post(self, parsed_path: Path[CasePath], parsed_body: BodyMsgspec[MessageIn]) -> HttpResponse:
        """Add a message: the agent's answers the case, the customer's opens it again."""
        access = access_of(self.request)
        _case(access, parsed_path.case_id)
        try:
            cases.write(
                access.shop,
                parsed_path.case_id,
                parsed_body.author,
                parsed_body.message,
                clock.now(),
                actor=access.actor,
                via="api",
            )
        except ValueError as error:
            raise refused(FieldError("/message", parsed_body.message[:60], str(error))) from None
        return answer(self.request, _case_out(*_case(access, parsed_path.case_id)), 201)


# ------------------------------------------------------------------------------------------------- special cases


class OverrideIn(_In, frozen=True, kw_only=True):
    """Ask that one rule be set aside for one customer. `plan` narrows it; `hours` count from the approval."""

    customer: Customer
    rule: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Written
    max_amount_minor: Amount
    hours: Annotated[int, msgspec.Meta(ge=1, le=overrides.MAX_HOURS)]
    plan: Short = ""
    decision: Annotated[str, msgspec.Meta(max_length=MAX_ID)] | None = None
    case: Annotated[str, msgspec.Meta(max_length=MAX_ID)] | None = None


class RevokeIn(_In, frozen=True, kw_only=True):
    """End it now, and say why."""

    note: Written


class OverrideOut(msgspec.Struct, frozen=True, kw_only=True):
    """A special case (特批)."""

    id: str
    state: str
    rule: str
    layer: str
    plan: str
    max_amount_minor: int
    hours: int
    reason: str
    asked_by: str
    asked_at: datetime
    decided_by: str
    decided_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    decision: str | None
    case: str | None


class OverridesOut(msgspec.Struct, frozen=True):
    """Special cases: those that wait for a decision first."""

    overrides: tuple[OverrideOut, ...]


class OverridesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only those of this customer, by the shop's name for them."""

    customer: str = ""


class OverridePath(msgspec.Struct, frozen=True):
    """A special case's public id."""

    override_id: str


def _override_out(found: overrides.SpecialCase, at: datetime) -> OverrideOut:
    return OverrideOut(
        id=found.public_id,
        state=found.state(at),
        rule=found.rule,
        layer=found.layer,
        plan=found.plan,
        max_amount_minor=found.max_amount_minor,
        hours=found.hours,
        reason=found.reason,
        asked_by=found.asked_by,
        asked_at=found.asked_at,
        decided_by=found.decided_by,
        decided_at=found.decided_at,
        expires_at=found.expires_at,
        revoked_at=found.revoked_at,
        decision=found.decision,
        case=found.case,
    )


def _refused_override(refusal: overrides.Refusal) -> ApiProblem:
    if refusal.code in ("law_rule", "too_many", "not_in_force", "not_waiting"):
        return ApiProblem(409, refusal.code, "The special case is refused", refusal.text.en)
    return ApiProblem(
        422,
        refusal.code,
        "The special case is refused",
        refusal.text.en,
        errors=(FieldError(f"/{refusal.field}", refusal.code, refusal.text.en),),
    )


class OverridesController(ApiController):
    """Special cases."""

    scopes: ClassVar[Any] = {"get": "overrides:read", "post": "overrides:write"}
    tags: ClassVar[Any] = ["Support"]

    @validate(ResponseSpec(OverridesOut, status_code=HTTPStatus.OK), *problems(401, 403, 422))
    def get(self, parsed_query: Query[OverridesQuery]) -> HttpResponse:
        """List special cases."""
        access = access_of(self.request)
        at = clock.now()
        if parsed_query.customer:
            owner = customers.find(access.shop, parsed_query.customer)
            found = overrides.of_customer(access.shop, owner) if owner is not None else ()
        else:
            found = overrides.listed(access.shop)
        return answer(self.request, OverridesOut(tuple(_override_out(each, at) for each in found)))

    @validate(
        ResponseSpec(OverrideOut, status_code=HTTPStatus.CREATED), *problems(400, 401, 403, 409, 413, 422)
    )
    def post(self, parsed_body: BodyMsgspec[OverrideIn]) -> HttpResponse:
        """Ask for a special case. Nothing changes until a supervisor approves it in the console.

        A rule of law is refused with 409 `law_rule`.
        """
        access = access_of(self.request)
        at = clock.now()
        ref = check_text(parsed_body.customer.ref, "/customer/ref", longest=100)
        owner = customers.find(access.shop, ref)
        if owner is None:
            raise refused(FieldError("/customer/ref", ref, "a customer of this shop"))
        try:
            made = overrides.ask(
                access.shop,
                owner,
                parsed_body.rule,
                actor=access.actor,
                reason=parsed_body.reason,
                max_amount_minor=parsed_body.max_amount_minor,
                hours=parsed_body.hours,
                at=at,
                plan=parsed_body.plan,
                decision=parsed_body.decision,
                case=parsed_body.case,
            )
        except overrides.Refusal as refusal:
            raise _refused_override(refusal) from None
        return answer(self.request, _override_out(made, at), 201)


class OverrideController(ApiController):
    """One special case."""

    scopes: ClassVar[Any] = {"get": "overrides:read"}
    tags: ClassVar[Any] = ["Support"]

    @validate(ResponseSpec(OverrideOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[OverridePath]) -> HttpResponse:
        """A special case as it stands."""
        access = access_of(self.request)
        try:
            found = overrides.get(access.shop, parsed_path.override_id)
        except overrides.NoOverride:
            raise _not_found("special case") from None
        return answer(self.request, _override_out(found, clock.now()))


class OverrideRevokeController(ApiController):
    """Ending a special case."""

    scopes: ClassVar[Any] = {"post": "overrides:write"}
    tags: ClassVar[Any] = ["Support"]

    @validate(
        ResponseSpec(OverrideOut, status_code=HTTPStatus.OK), *problems(400, 401, 403, 404, 409, 413, 422)
    )
    def post(self, parsed_path: Path[OverridePath], parsed_body: BodyMsgspec[RevokeIn]) -> HttpResponse:
        """End it now: no decision from this instant on counts it."""
        access = access_of(self.request)
        at = clock.now()
        try:
            done = overrides.revoke(
                access.shop, parsed_path.override_id, actor=access.actor, at=at, note=parsed_body.note
            )
        except overrides.NoOverride:
            raise _not_found("special case") from None
        except overrides.Refusal as refusal:
            raise _refused_override(refusal) from None
        return answer(self.request, _override_out(done, at))


# ---------------------------------------------------------------------------------------------------------- mail


class ReceivedOut(msgspec.Struct, frozen=True):
    """What became of the mail: `opened`, `added`, `repeated` or, where a machine wrote it, `ignored`."""

    outcome: str
    case: str | None
    why: str


class InboundMailController(ApiController):
    """Mail to the support address."""

    scopes: ClassVar[Any] = {"post": "mail:write"}
    tags: ClassVar[Any] = ["Support"]

    @validate(
        ResponseSpec(ReceivedOut, status_code=HTTPStatus.OK),
        ResponseSpec(ReceivedOut, status_code=HTTPStatus.CREATED),
        *problems(401, 403, 413, 415, 422),
    )
    def post(self) -> HttpResponse:
        """Hand over one mail as it came, with `Content-Type: message/rfc822`, from the shop's mail gateway.

        Its plain text becomes a case, or a message in the case whose signed address or number it answers to. The same
        mail handed over twice is one message. 201 where something was added, 200 where nothing had to be.
        """
        access = access_of(self.request)
        if self.request.content_type != "message/rfc822":
            raise ApiProblem(
                415,
                "not_a_mail",
                "Not a mail",
                "Send the mail as it came, with `Content-Type: message/rfc822`.",
            )
        raw = self.request.body
        if len(raw) > mail.MAX_BYTES:
            raise too_large(mail.MAX_BYTES)
        try:
            received = mail.receive(access.shop, raw, clock.now())
        except mail.BadMail as bad:
            raise ApiProblem(422, "mail_unusable", "The mail cannot be used", str(bad)) from None
        added = received.outcome in ("opened", "added")
        return answer(
            self.request, ReceivedOut(received.outcome, received.case, received.why), 201 if added else 200
        )
