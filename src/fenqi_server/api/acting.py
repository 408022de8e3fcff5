"""What the endpoints of a contract's acts share: who asks, once, and how a refusal is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from django.http import HttpRequest, HttpResponse

from fenqi.contracts.events import encode_event
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.api.access import Access, access_of
from fenqi_server.api.controllers import not_found, refusal_problem
from fenqi_server.api.once import idempotency_key, once
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.api.reading import refused
from fenqi_server.api.rendering import contract_out
from fenqi_server.api.schemas import ContractOut
from fenqi_server.servicing import acts, requests, unapplied
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.acts import Acted
from fenqi_server.servicing.payoffs import NoQuote

__all__ = ["ActOut", "Reason", "act_out", "acting", "done_once", "told"]

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
