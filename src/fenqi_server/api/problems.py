"""Errors as RFC 9457 problem details: what is wrong, where it stands, what was found, what was expected.

A refusal to a shopper is not an error: an evaluation in which nothing is available is a good answer. Errors are for
requests that are wrong, and for agreements that can no longer be made as they were shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from django.http import HttpResponse

__all__ = ["ApiProblem", "FieldError", "ProblemDetails", "problem_response"]

TYPE_BASE: Final = "urn:fenqi:problem:"


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong with the request: a JSON pointer to it, the value as shown, what was expected, the way out.

    `in` says where the pointer applies when that is not the body: `header`, `query` or `path`.
    """

    pointer: str
    value: str
    expected: str
    way_out: str = ""
    in_: str = msgspec.field(default="body", name="in")


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457's fields, our stable `code`, and what belongs to that code.

    Of what cannot follow a contract's state, `state`, `rule` and `way_out` say each by itself, and `messages` the whole in each language.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldError, ...] = ()
    trace_id: str = ""
    changed: Any = None
    owed_minor: int | None = None
    seconds_left: int | None = None
    currency: str = ""
    state: str = ""
    rule: str = ""
    way_out: str = ""
    messages: dict[str, str] = {}


class ApiProblem(Exception):
    """Answer with this problem and write nothing."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.body = ProblemDetails(TYPE_BASE + code, title, status, detail, code, errors, **more)
        self.headers = dict(headers or {})


def problem_response(problem: ApiProblem) -> HttpResponse:
    """The answer on the wire."""
    response = HttpResponse(
        msgspec.json.encode(problem.body), content_type="application/problem+json", status=problem.body.status
    )
    for name, value in problem.headers.items():
        response.headers[name] = value
    return response
