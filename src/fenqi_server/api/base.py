"""What every endpoint shares: strict reading, problem details, and the CORS answer for browsers."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final, TypeVar

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from dmr import Controller, ResponseSpec
from dmr.endpoint import Endpoint
from dmr.exceptions import NotAcceptableError, RequestSerializationError, ValidationError
from dmr.parsers import DeserializeFunc, Parser, Raw
from dmr.plugins.msgspec import MsgspecSerializer

from fenqi.checkout.request import RequestError
from fenqi_server.api.access import authorize
from fenqi_server.api.problems import ApiProblem, FieldError, ProblemDetails, problem_response
from fenqi_server.api.reading import MAX_SHOWN, read_body, refused, too_large, without_cards
from fenqi_server.facts import BadFacts
from fenqi_server.policies.service import NoPolicy
from fenqi_server.shops import service as shops

__all__ = [
    "ApiController",
    "StrictJsonParser",
    "answer",
    "answer_problem",
    "finished",
    "preflight",
    "problems",
]

# How msgspec says it of the whole of a request: path, query, headers and body.
_MISSING_IN_QUERY: Final = re.compile(r"Object missing required field `(\w+)` - at `\$\.parsed_query`")
_UNKNOWN_IN_QUERY: Final = re.compile(
    r"Object contains unknown field `(.+?)` - at `\$\.parsed_query`", re.DOTALL
)
_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_T = TypeVar("_T")

CORS_SECONDS = 600


class StrictJsonParser(Parser):
    """Reads a body straight into its type; see `fenqi_server.api.reading`."""

    content_type = "application/json"

    def parse(
        self,
        to_deserialize: Raw,
        deserializer_hook: DeserializeFunc | None = None,
        *,
        request: HttpRequest,
        model: Any,
    ) -> Any:
        return read_body(bytes(to_deserialize), model)


def problems(*statuses: int) -> list[ResponseSpec]:
    """The problem answers of an endpoint, for its OpenAPI entry."""
    return [
        ResponseSpec(ProblemDetails, status_code=HTTPStatus(status), description=_DESCRIPTIONS[status])
        for status in statuses
    ]


_DESCRIPTIONS = {
    400: "The body cannot be read, or a header is missing",
    401: "The key or client token is missing, unknown or expired",
    403: "The key lacks the scope, or the origin is not allowed",
    404: "There is no such thing in this shop",
    409: "It cannot be done as things are now: `code` and `changed` say why. Nothing was written",
    413: "The body is too large",
    415: "The body is of another content type than this endpoint takes",
    422: "A field is wrong: `errors` name each by JSON pointer, with value and expectation",
}


class ApiController(Controller[MsgspecSerializer]):
    """The base of every endpoint. Answers are built by us from typed values, so they are not validated again."""

    is_abstract: ClassVar[bool] = True
    scopes: ClassVar[Mapping[str, str]] = {}
    """The scope that each method needs. A method without one is open to everybody."""
    browsers: ClassVar[Collection[str]] = ()
    """The methods that a browser's client token opens too."""
    parsers = (StrictJsonParser(),)
    validate_responses: ClassVar[bool] = False
    error_model: ClassVar[Any] = ProblemDetails

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Let nobody in who may not do it, before anything that was sent is read: a stranger is not told what a body lacks."""
        method = (request.method or "").lower()
        scope = self.scopes.get(method)
        if scope is not None:
            try:
                access = authorize(request, scope, browsers=method in self.browsers)
            except Exception as refusal:
                return answer_problem(request, refusal)
            request.fenqi_access = access
        return super().dispatch(request, *args, **kwargs)

    def handle_error(self, endpoint: Endpoint, controller: Any, exc: Exception) -> HttpResponse:
        return answer_problem(self.request, exc)

    def handle_method_not_allowed(self, method: str) -> HttpResponse:
        if method == "OPTIONS":
            return preflight(self.request, sorted(self.api_endpoints))
        allowed = ", ".join(sorted(self.api_endpoints))
        problem = ApiProblem(
            405,
            "method_not_allowed",
            "Not with this method",
            f"Allowed here: {allowed}.",
            headers={"Allow": allowed},
        )
        return problem_response(problem)


def answer(request: HttpRequest, body: Any, status: int = 200) -> HttpResponse:
    """A good answer, never cached, readable by the origin that the client token is bound to."""
    response = HttpResponse(_encode(body), content_type="application/json", status=status)
    return finished(request, response)


def answer_problem(request: HttpRequest, exc: Exception) -> HttpResponse:
    """The answer to whatever went wrong."""
    return finished(request, problem_response(_problem_of(exc)))


def _problem_of(exc: Exception) -> ApiProblem:
    if isinstance(exc, ApiProblem):
        return exc
    if isinstance(exc, RequestError):
        problem = exc.problem
        return refused(FieldError(problem.place, problem.value, problem.expected, problem.way_out))
    if isinstance(exc, BadFacts):
        return refused(
            *(
                FieldError(
                    f"/facts/{p.place.replace('~', '~0').replace('/', '~1')}", p.value, p.expected, p.way_out
                )
                if p.place != "facts"
                else FieldError("/facts", p.value, p.expected, p.way_out)
                for p in exc.problems
            )
        )
    if isinstance(exc, NoPolicy):
        return ApiProblem(
            409, "no_policy", "No policy is in force", "The shop has not published a policy that has begun."
        )
    if isinstance(exc, RequestDataTooBig):  # Django's own limit, which stands before the body is read
        return too_large()
    if isinstance(exc, NotAcceptableError):
        return ApiProblem(406, "not_acceptable", "Only JSON is spoken here", "Accept application/json.")
    missing = _MISSING_IN_QUERY.search(str(exc)) if isinstance(exc, ValidationError) else None
    if missing:
        return refused(FieldError(f"/{missing[1]}", "missing", "a value", in_="query"))
    unknown = _UNKNOWN_IN_QUERY.search(str(exc)) if isinstance(exc, ValidationError) else None
    if unknown:
        place = f"/{without_cards(unknown[1])[:MAX_SHOWN]}"
        return refused(
            FieldError(place, "an unknown parameter", "only those documented", "leave it out", in_="query")
        )
    if isinstance(exc, RequestSerializationError | ValidationError):
        return ApiProblem(
            400,
            "body_unreadable",
            "The body cannot be read",
            "Send a JSON object with `Content-Type: application/json`.",
        )
    # What a log line says of an unforeseen error is its trace, under a number that the caller gets too: never
    # the request's body, and never the message to the caller.
    trace_id = secrets.token_hex(8)
    _log.error("unforeseen error %s", trace_id, exc_info=exc)
    return ApiProblem(
        500,
        "internal",
        "An error of ours",
        "Something here went wrong. Nothing was agreed that is not in an answer; ask again with the same key.",
        trace_id=trace_id,
    )


def finished(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The headers that every answer carries: not cached, not sniffed, and readable by a listed origin."""
    headers = response.headers
    headers["Content-Length"] = str(len(response.content))
    headers["Cache-Control"] = "no-store"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Vary"] = "Origin, Authorization"
    origin = request.META.get("HTTP_ORIGIN")
    if origin is not None and shops.origin_is_known(origin):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "Idempotent-Replayed, Retry-After"
    return response


def preflight(request: HttpRequest, methods: list[str]) -> HttpResponse:
    """The answer to a browser's question before the call. No cookie is ever used, so no credentials are allowed."""
    response = HttpResponse(status=204)
    origin = request.META.get("HTTP_ORIGIN")
    response.headers["Vary"] = "Origin"
    if origin is not None and shops.origin_is_known(origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Idempotency-Key"
        response.headers["Access-Control-Max-Age"] = str(CORS_SECONDS)
    return response
