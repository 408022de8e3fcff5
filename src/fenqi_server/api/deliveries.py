"""What became of the messages to the shop's server, and sending one again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Headers, Path, Query

from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.api.access import access_of
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import (
    REPLAYED,
    IdempotencyHeaders,
    bad_page,
    limit_of,
    not_found,
    one_of,
)
from fenqi_server.api.once import idempotency_key, once
from fenqi_server.api.problems import ApiProblem
from fenqi_server.ids import house_party
from fenqi_server.outbox import history
from fenqi_server.outbox.history import Attempt
from fenqi_server.outbox.service import EVENTS


class AttemptsOut(msgspec.Struct, frozen=True):
    """Attempts to deliver, newest first. `after` asks for the next page, and is null at the end."""

    attempts: tuple[Attempt, ...]
    after: str | None


class AgainOut(msgspec.Struct, frozen=True):
    """A message that is sent again: its attempts are listed under this id."""

    delivery_id: str


class AttemptsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which attempts. `after` is the `after` of the page before; `limit` is 1 to 100 (25)."""

    outcome: str | None = None
    event: str | None = None
    after: str | None = None
    limit: str | None = None


class AttemptsController(ApiController):
    """The delivery log."""

    scopes: ClassVar[Any] = {"get": "webhooks:manage"}
    tags: ClassVar[Any] = ["Webhooks"]

    @validate(ResponseSpec(AttemptsOut, status_code=HTTPStatus.OK), *problems(401, 403, 422))
    def get(self, parsed_query: Query[AttemptsQuery]) -> HttpResponse:
        """List every attempt to deliver a message, newest first, with its outcome.

        `outcome` (`delivered`, `retry`, `given_up`) and `event` narrow the list.
        """
        access = access_of(self.request)
        query = parsed_query
        try:
            page = history.attempts(
                access.shop,
                outcome=one_of(query.outcome, ("delivered", "retry", "given_up"), "/outcome"),  # type: ignore[arg-type]
                event=one_of(query.event, EVENTS, "/event"),
                after=query.after or "",
                limit=limit_of(query.limit),
            )
        except BadInput as problem:
            raise bad_page(problem, query.limit) from None
        return answer(self.request, AttemptsOut(page.attempts, page.after))


class DeliveryPath(msgspec.Struct, frozen=True):
    """The id of a message's delivery."""

    delivery_id: str


class AgainController(ApiController):
    """Sending a message again."""

    scopes: ClassVar[Any] = {"post": "webhooks:manage"}
    tags: ClassVar[Any] = ["Webhooks"]

    @validate(
        ResponseSpec(AgainOut, status_code=HTTPStatus.CREATED, headers=REPLAYED),
        *problems(400, 401, 403, 404, 409, 422),
    )
    def post(
        self, parsed_path: Path[DeliveryPath], parsed_headers: Headers[IdempotencyHeaders]
    ) -> HttpResponse:
        """Send a message again as it was, with the same `webhook-id`, whether it was delivered or given up.

        One that waits for its next attempt is sent now. Needs `Idempotency-Key`.
        """
        access = access_of(self.request)
        key = idempotency_key(self.request)
        at = clock.now()

        def act() -> tuple[int, Any]:
            return 201, AgainOut(history.send_again(access.shop, parsed_path.delivery_id, at))

        try:
            return once(self.request, access, house_party(access.shop.id, "webhooks"), key, at, act)
        except history.NoMessage:
            raise not_found("message") from None
        except history.NotAgain as refusal:
            raise ApiProblem(409, refusal.code, "It cannot be sent again", str(refusal)) from None
