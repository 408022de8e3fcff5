"""The short way for /v1/: sessions, languages and CSRF are a browser's matters, and no API call has a use for them.

This middleware stands before those and answers API calls itself. What it leaves to the long way are the API's pages for
people, under /v1/docs/.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls.resolvers import RegexPattern, URLResolver

from fenqi_server.api.base import answer_problem
from fenqi_server.api.problems import ApiProblem

__all__ = ["ApiMiddleware"]

PREFIX = "/v1/"
PAGES = "/v1/docs"


@lru_cache(maxsize=1)
def _resolver() -> URLResolver:
    from fenqi_server.api import urls

    return URLResolver(RegexPattern(r"^/v1/"), urls.urlpatterns)


_exact: dict[str, Callable[..., HttpResponseBase]] = {}


class ApiMiddleware:
    """Answers what is under /v1/, except its pages for people."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        # What is loaded now stays for ever: the collector need not look at it again, nor run every few requests.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if not path.startswith(PREFIX) or path.startswith(PAGES):
            return self.get_response(request)
        try:
            view = _exact.get(path)
            args: tuple[Any, ...] = ()
            kwargs: dict[str, Any] = {}
            if view is None:
                match = _resolver().resolve(path)
                view, args, kwargs = match.func, match.args, match.kwargs
                if not kwargs and not args:
                    _exact[path] = view
            return view(request, *args, **kwargs)
        except Http404:
            nothing = ApiProblem(404, "not_found", "Not found", "There is no such address: see /v1/docs/.")
            return answer_problem(request, nothing)
        except Exception as error:
            return answer_problem(request, error)
