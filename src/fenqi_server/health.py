"""Is the service able to work? A pooled connection may answer for a database that takes no new ones."""

import logging

import psycopg
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fenqi_server.database import psycopg_parameters

_log = logging.getLogger(__name__)
_CONNECT_TIMEOUT_SECONDS = 3


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when a *new* database session opens and runs a function; otherwise 503, the cause in the log alone."""
    try:
        with psycopg.connect(
            **{
                **psycopg_parameters(settings.DATABASES["default"]),
                "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
            },
            autocommit=True,
        ) as session:
            answered = session.execute("SELECT pg_is_in_recovery()").fetchone()
    except psycopg.Error:
        _log.exception("health check: no new database session")
        return JsonResponse({"status": "unavailable", "database": "no new session"}, status=503)
    return JsonResponse({"status": "ok", "database": "standby" if answered and answered[0] else "ok"})
