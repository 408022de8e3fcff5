"""U+0000, which no name and no sentence has and PostgreSQL stores nowhere: refused where a request comes in.

Every page and endpoint looks things up by what stands in the path, the query, a form or a cookie. One check before all of them
spares each its own. Of bodies in JSON `fenqi_server.api.reading` says the same, and of files their readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from fenqi_server.api.base import answer_problem
from fenqi_server.api.problems import ApiProblem, FieldError

__all__ = ["NUL", "NoNulMiddleware"]

NUL: Final = "\x00"
_API: Final = "/v1/"
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class NoNulMiddleware:
    """Answers 400 to a request with U+0000 in it: to the API as a problem, to everybody else as a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path.startswith(_API):
            wrong = _of_address(request)
            return answer_problem(request, _problem(wrong)) if wrong else self.get_response(request)
        if _of_address(request) or _has(request.COOKIES.items()) or _in_form(request):
            return HttpResponse(render_to_string("400.html"), status=400)
        return self.get_response(request)


def _of_address(request: HttpRequest) -> FieldError | None:
    if NUL in request.path_info:
        return FieldError("", "an address with U+0000", "text without control characters", in_="path")
    query = request.META.get("QUERY_STRING", "")
    if "%00" not in query:
        return None
    for name, value in parse_qsl(query, keep_blank_values=True):
        if NUL in name or NUL in value:
            pointer = "" if NUL in name else f"/{name[:40]}"
            return FieldError(pointer, "text with U+0000", "text without control characters", in_="query")
    return None


def _in_form(request: HttpRequest) -> bool:
    if request.method != "POST" or request.content_type not in _FORMS:
        return False
    return any(_has((name, value) for value in values) for name, values in request.POST.lists())


def _has(pairs: Iterable[tuple[str, str]]) -> bool:
    return any(NUL in name or NUL in value for name, value in pairs)


def _problem(wrong: FieldError) -> ApiProblem:
    return ApiProblem(
        400,
        "request_unreadable",
        "The request cannot be read",
        f"The {wrong.in_} holds U+0000, which is no part of any text.",
        errors=(wrong,),
    )
