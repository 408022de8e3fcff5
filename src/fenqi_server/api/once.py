"""The Idempotency-Key of a request, and its answer, given once and repeated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.http import HttpRequest, HttpResponse

from fenqi_server.api.access import Access
from fenqi_server.api.base import finished
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.api.reading import check_text
from fenqi_server.servicing.idempotency import Answer, KeyInFlight, KeyReused
from fenqi_server.servicing.idempotency import once as once_in_transaction

__all__ = ["idempotency_key", "once"]

MAX_KEY: Final = 200
RETRY_AFTER_SECONDS: Final = 1
_encode = msgspec.json.Encoder().encode


def idempotency_key(request: HttpRequest) -> str:
    """The request's own key. Raises `ApiProblem` 400 without one."""
    key = request.META.get("HTTP_IDEMPOTENCY_KEY", "").strip()
    if not key:
        raise ApiProblem(
            400,
            "idempotency_key_missing",
            "Idempotency-Key is missing",
            "Name the request with a key of your own, and repeat it with the same key if no answer arrives.",
            errors=(
                FieldError(
                    "/Idempotency-Key", "missing", f"a key of 1 to {MAX_KEY} characters", in_="header"
                ),
            ),
        )
    return check_text(key, "/Idempotency-Key", longest=MAX_KEY, where="header")


def once(
    request: HttpRequest,
    access: Access,
    party: UUID,
    key: str,
    at: datetime,
    act: Callable[[], tuple[int, Any]],
) -> HttpResponse:
    """Run `act` for the first request with this key, and answer every repetition with that first answer."""

    def recorded() -> Answer:
        status, body = act()
        return Answer(status, _encode(body))

    try:
        done = once_in_transaction(
            access.shop, party, access.caller, key, path=request.path, body=request.body, at=at, act=recorded
        )
    except KeyReused:
        raise ApiProblem(
            422,
            "idempotency_key_reused",
            "The key belongs to another request",
            "This Idempotency-Key came before with another body or path: repeat a request unchanged, "
            "or give a new one a new key.",
            errors=(
                FieldError(
                    "/Idempotency-Key", "used before", "a key not used for another request", in_="header"
                ),
            ),
        ) from None
    except KeyInFlight:
        raise ApiProblem(
            409,
            "idempotency_key_in_flight",
            "Still being worked on",
            "The first request with this key has not been answered yet: ask again shortly.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        ) from None
    response = HttpResponse(done.body, content_type="application/json", status=done.status)
    if done.repeated:
        response.headers["Idempotent-Replayed"] = "true"
    return finished(request, response)
