"""What every answer carries for the browser's protection, and what no log line may carry."""

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import Error
from django.http import HttpRequest, HttpResponse

from fenqi_server.db import sqlstate

# Nothing inline and nothing from elsewhere: a page that needs more has a bug.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "camera",
        "display-capture",
        "geolocation",
        "microphone",
        "payment",
        "usb",
        "browsing-topics",
    )
)


class SecurityHeadersMiddleware:
    """Adds the Content-Security-Policy and the Permissions-Policy to every response.

    It stands first, so that error pages and static files carry them too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("X-Frame-Options", "DENY")
        return response


# As many digits as a card's number has, which somebody may put into an address.
_LONG_NUMBER = re.compile(r"[0-9](?:[ -]?[0-9]){12,}")


class PathOnly(logging.Filter):
    """Drops the request object, and with it any header or body, from log records, and cuts query strings.

    Of the path that stays, long numbers go too.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.__dict__.pop("request", None)
        if record.args and isinstance(record.args, tuple):
            record.args = tuple(
                _LONG_NUMBER.sub("…", arg.partition("?")[0])
                if isinstance(arg, str) and arg.startswith("/")
                else arg
                for arg in record.args
            )
        return True


class WithoutValues(logging.Formatter):
    """Writes a trace as usual, but not what a database said of a row or a parameter: that belongs to a customer."""

    def formatException(self, ei: Any) -> str:  # logging's own name
        return "\n".join(_told(ei[1]))


def _told(problem: BaseException) -> list[str]:
    before = problem.__cause__ or (None if problem.__suppress_context__ else problem.__context__)
    lines = [] if before is None else [*_told(before), "", "which led to:", ""]
    trace = "".join(traceback.format_tb(problem.__traceback__)).rstrip("\n")
    name = f"{type(problem).__module__}.{type(problem).__qualname__}"
    return [*lines, "Traceback (most recent call last):", trace, f"{name}: {_said(problem)}"]


def _said(problem: BaseException) -> str:
    code = sqlstate(problem) if isinstance(problem, Error | psycopg.Error) else None
    if code is None:
        return str(problem)
    cause = problem if isinstance(problem, psycopg.Error) else problem.__cause__
    # Detail and context quote rows and parameters; of bad data (class 22) the very first line does.
    primary = (
        None if code.startswith("22") else getattr(getattr(cause, "diag", None), "message_primary", None)
    )
    return f"{code} {primary or ''}".rstrip()
