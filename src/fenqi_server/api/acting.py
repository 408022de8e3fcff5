"""What the endpoints of a contract's acts share: who asks, once, and how a refusal is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from dmr import ResponseSpec

from fenqi.contracts.events import encode_event
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.api.access import Access, access_of
from fenqi_server.api.controllers import REPLAYED, not_found, refusal_problem
from fenqi_server.api.once import idempotency_key, once
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.api.reading import refused
from fenqi_server.api.rendering import contract_out
from fenqi_server.api.schemas import ContractOut
from fenqi_server.servicing import acts, requests, unapplied
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.acts import Acted
from fenqi_server.servicing.payoffs import NoQuote
from fenqi_server.servicing.requests import Request

__all__ = [
    "WAITS",
    "ActOut",
    "Reason",
    "RequestOut",
    "act_out",
    "acting",
    "asked_or_done",
    "done_once",
    "request_out",
    "told",
]

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=acts.MAX_REASON, description="Why")]
Reference = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=100, description="The shop's own number for it: it is done once"),
]
Settlement = Annotated[
    str,
    msgspec.Meta(
        max_length=100, description="The batch that it arrives or leaves with; default: channel and day"
    ),
]
Minor = Annotated[int, msgspec.Meta(ge=0, le=10**15, description="Minor units: ¥12.34 is 1234")]


class EventOut(msgspec.Struct, frozen=True):
    """What was added to the contract: its kind, its day, when it was learnt of, and everything it says."""

    seq: int
    kind: str
    occurred_on: date
    says: dict[str, Any]


class ActOut(msgspec.Struct, frozen=True):
    """An act and the contract as it stands now. `repeated`: it was done before, and nothing was done now."""

    event: EventOut
    contract: ContractOut
    repeated: bool = False


def act_out(done: Acted) -> ActOut:
    """An act on the wire."""
    says: dict[str, Any] = msgspec.json.decode(encode_event(done.event))
    kind = says.pop("kind")
    for name in ("seq", "occurred_on", "recorded_at"):
        del says[name]
    return ActOut(
        EventOut(done.event.seq, kind, done.event.occurred_on, says), contract_out(done.view), done.repeated
    )


class RequestOut(msgspec.Struct, frozen=True):
    """A request and what became of it. `asked_by` is `customer`, or who of the staff; `said` the customer's own words.

    `needs_second`: whoever asked may not agree, and only somebody signed in to the console may. `contract_id` is null where it is about money
    that named no contract (`asked.unapplied_id`). `taken_by` is who of the staff wrote it down for a customer who called.
    """

    request_id: str
    contract_id: str | None
    kind: str
    state: Literal["open", "approved", "declined", "withdrawn"]
    asked: requests.Asked
    said: str
    asked_by: str
    asked_at: datetime
    done: requests.Act | None
    event_seq: int | None
    decided_by: str
    decided_at: datetime | None
    note: str
    at_stake_minor: int
    needs_second: bool
    taken_by: str


def request_out(found: Request) -> RequestOut:
    """A request on the wire."""
    return RequestOut(
        found.request_id,
        found.contract_id or None,
        found.kind,
        found.state,
        found.asked,
        found.said,
        found.asked_by,
        found.asked_at,
        found.done,
        found.event_seq,
        found.decided_by,
        found.decided_at,
        found.note,
        found.at_stake_minor,
        found.needs_second,
        found.taken_by,
    )


WAITS: Any = ResponseSpec(RequestOut, status_code=HTTPStatus.ACCEPTED, headers=REPLAYED)
"""Nothing was done yet: it is above what one person decides, and waits for somebody in the console."""


def asked_or_done(done: Acted | requests.Request) -> tuple[int, ActOut | RequestOut]:
    """An act that was done (201), or what waits for somebody else to agree (202)."""
    if isinstance(done, requests.Request):
        return 202, request_out(done)
    return 201, act_out(done)


def acting(request: HttpRequest) -> tuple[Access, datetime]:
    """Who asks, and when."""
    return access_of(request), clock.now()


def told(problem: Exception) -> ApiProblem | None:
    """The answer to what a service raised, if it is one of its answers."""
    if isinstance(problem, servicing.NoContract):
        return not_found("contract")
    if isinstance(problem, requests.NoRequest):
        return not_found("request")
    if isinstance(problem, NoQuote):
        return not_found("payoff quote")
    if isinstance(problem, unapplied.NoMoney):
        return not_found("money that named no contract")
    if isinstance(problem, servicing.Refusal):
        return refusal_problem(problem)
    if isinstance(problem, BadInput):
        said = problem.problem
        return refused(
            FieldError(f"/{said.place.replace('.', '/')}", said.value, said.expected, said.way_out)
        )
    return None


def done_once(
    request: HttpRequest,
    contract_id: str,
    act: Callable[[Access, datetime], tuple[int, Any]],
) -> HttpResponse:
    """Do an act on a contract for the first request with its key, and give its answer to every repetition."""
    access, at = acting(request)
    key = idempotency_key(request)
    try:
        party = acts.seen(access.shop, contract_id).customer_id
        return once(request, access, party, key, at, lambda: act(access, at))
    except Exception as problem:
        answer = told(problem)
        if answer is None:
            raise
        raise answer from None
