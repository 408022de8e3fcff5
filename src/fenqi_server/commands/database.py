"""What the commands that need the database share: opening it, and refusing one that could lose data."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from fenqi_server.database import unsafe_setting
from fenqi_server.embedded import OLDEST_MAJOR, Cluster, EmbeddedError, acquire
from fenqi_server.home import Home

__all__ = ["open_database", "open_service", "owner_url_of", "require_safe_settings"]


@contextlib.contextmanager
def open_database() -> Iterator[tuple[Home, Cluster]]:
    """The installation's folder and database; what was started is stopped at the end."""
    import psycopg

    from fenqi_server.cli import Failure

    home = Home.open()
    try:
        cluster = acquire(home.path)
    except EmbeddedError as problem:
        raise Failure(str(problem)) from problem
    except psycopg.OperationalError as problem:
        raise Failure(f"the database does not answer: {problem}") from problem
    try:
        yield home, cluster
    finally:
        cluster.stop()


@contextlib.contextmanager
def open_service() -> Iterator[None]:
    """Django over the installation's database, as the service's role: a running service sees what is done here.

    A database of another release is refused.
    """
    from fenqi_server.cli import Failure

    with open_database() as (home, cluster):
        os.environ.pop("FENQI_OWNER_URL", None)
        os.environ.update(home.environ(cluster))

        import django

        django.setup()
        from django.db import OperationalError

        from fenqi_server.migration import unapplied

        try:
            missing = unapplied()
        except OperationalError as problem:
            raise Failure(f"the database does not answer: {problem}") from problem
        if missing:
            raise Failure(
                f"the database lacks {len(missing)} migrations of this release ({missing[0]} first). "
                f"Run `fenqi migrate` first."
            )
        yield


def owner_url_of(cluster: Cluster) -> str:
    """The owner's address, which makes and changes tables."""
    from fenqi.problems import BadInput

    if cluster.owner_url is None:
        raise BadInput(
            "FENQI_OWNER_URL",
            "not set",
            "the address for the role that owns the tables",
            "the role of FENQI_DATABASE_URL may not make or change them",
        )
    return cluster.owner_url


def require_safe_settings(cluster: Cluster) -> None:
    """Refuses a server that is too old, or that may lose what it said was written."""
    import psycopg

    from fenqi_server.cli import Failure

    try:
        with psycopg.connect(cluster.service_url, connect_timeout=10) as session:
            if session.info.server_version < OLDEST_MAJOR * 10_000:
                raise Failure(
                    f"the database is PostgreSQL {session.info.server_version // 10_000}; Fenqi needs {OLDEST_MAJOR} or newer"
                )

            def setting_of(name: str) -> str:
                found = session.execute("SELECT current_setting(%s)", [name]).fetchone()
                return str(found[0]) if found else ""

            if problem := unsafe_setting(setting_of):
                raise Failure(problem)
    except psycopg.OperationalError as problem:
        raise Failure(f"the database does not answer: {problem}") from problem
