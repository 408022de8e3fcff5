"""The database: its address, the settings it must have, and what the service's role may do in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["django_database", "psycopg_parameters", "unsafe_setting"]

_UNSAFE: Final = {"fsync": ("off",), "full_page_writes": ("off",), "synchronous_commit": ("off",)}


def unsafe_setting(setting_of: Callable[[str], str]) -> str:
    """Why a server may lose what it said was written, by its settings; empty where it may not.

    >>> unsafe_setting(lambda name: "on")
    ''
    """
    for name, refused in _UNSAFE.items():
        found = setting_of(name)
        if found in refused:
            return (
                f"the database runs with {name} = {found}: a payment that was answered could be lost or torn "
                f"when the machine stops. Set {name} = on and start again."
            )
    return ""


def django_database(url: str) -> dict[str, Any]:
    """Django's settings for a PostgreSQL URL.

    >>> django_database("postgresql://ann:p%40ss@/fenqi?host=/run/fenqi&port=5433")["HOST"]
    '/run/fenqi'
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError(
            f"a database address starts with postgresql://, got {parts.scheme or 'none'}://; there is no other dialect"
        )
    options = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or unquote(parts.hostname or "")
    port = options.pop("port", None) or (str(parts.port) if parts.port else "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "fenqi",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": port,
        # A connection lives as long as its thread, and is tested once a request before it is trusted.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"application_name": "fenqi", **options},
    }


def psycopg_parameters(database: Mapping[str, Any]) -> dict[str, Any]:
    """The same database for a direct `psycopg.connect(**parameters)`, with what its address asks for (such as `sslmode`)."""
    named = {
        **database["OPTIONS"],
        "dbname": database["NAME"],
        "user": database["USER"],
        "password": database["PASSWORD"],
        "host": database["HOST"],
        "port": database["PORT"],
    }
    return {name: value for name, value in named.items() if value}
