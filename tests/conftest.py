"""What every test may ask for.

Tests run on a real PostgreSQL, started by the service's own launcher: the wheel's by default, another with
`FENQI_TEST_POSTGRES_BIN=/usr/lib/postgresql/15/bin`, or the system's newest with `FENQI_TEST_DATABASE=system`. It is
migrated once by the owner's role; tests work as the service's role, which has no DDL.

| Fixture | Gives |
|---|---|
| `db` | Django's connection inside a transaction that is rolled back. For most tests |
| `committed_db` | a database of its own (a clone of the migrated one, ~0.05 s): for commits, threads, several sessions. Also a marker |
| `serve` | `serve(demo=False, worker=False, environ=None) -> Server`: the real Granian server over this test's `committed_db` |
| `live_server` | `serve()` |
| `demo_site` | the demo's addresses and clock inside this process (`settings.FENQI_DEMO`) |
| `as_owner` | a psycopg connection of the owner's role to the test's database |
| `as_staff` | `as_staff("author", shop=shop)`: a client wholly signed in to the console, with these roles |
| `vectors_dir` | the folder given by `--vectors` |

A test that asks for none of these cannot reach a database.
"""

from __future__ import annotations

import importlib
import itertools
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from tests.leftovers import own_folder, sweep

# The same examples in every run, and as much time for each as a busy machine needs.
hypothesis_settings.register_profile("fenqi", derandomize=True, deadline=None)
hypothesis_settings.load_profile("fenqi")

ROOT = Path(__file__).resolve().parent.parent
_NOWHERE = "postgresql://nobody@/nowhere?host=/nonexistent"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vectors", default=str(ROOT / "tests" / "vectors" / "data"), help="folder of test vectors"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Django wants its settings before the first model is imported, which is while tests are collected; the
    # server starts only when the first test asks for it.
    if not hasattr(config, "workerinput"):  # once, before the processes of a run are there
        sweep()
    static = own_folder()
    config.add_cleanup(lambda: shutil.rmtree(static, ignore_errors=True))
    os.environ.update(
        DJANGO_SETTINGS_MODULE="fenqi_server.settings",
        FENQI_SECRET_KEY=secrets.token_urlsafe(48),
        FENQI_SIGNING_KEYS=f"test:{secrets.token_hex(32)}",
        FENQI_STATIC_ROOT=str(static),
        FENQI_DATABASE_URL=_NOWHERE,
        FENQI_DEMO="0",
        FENQI_HOSTS="testserver",
    )
    import django

    django.setup()


@pytest.fixture(scope="session")
def vectors_dir(pytestconfig: pytest.Config) -> Path:
    return Path(pytestconfig.getoption("--vectors"))


# ------------------------------------------------------------------------------------------------- databases


@dataclass(frozen=True)
class Database:
    """One database of the test's server, with the address for each role."""

    name: str
    owner_url: str
    service_url: str
    superuser_url: str


class _Server:
    """The session's PostgreSQL with its migrated template."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self._numbers = itertools.count()

    def database(self, name: str) -> Database:
        def named(url: str) -> str:
            before, _, query = url.partition("?")
            return f"{before.rpartition('/')[0]}/{name}?{query}"

        return Database(
            name=name,
            owner_url=named(self.cluster.owner_url),
            service_url=named(self.cluster.service_url),
            superuser_url=named(self.cluster.superuser_url),
        )

    def clone(self) -> Database:
        import psycopg

        name = f"fenqi_{next(self._numbers)}"
        with psycopg.connect(self.cluster.superuser_url, autocommit=True) as session:
            session.execute(f"CREATE DATABASE {name} OWNER fenqi_owner TEMPLATE fenqi")
            session.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
            session.execute(f"GRANT CONNECT ON DATABASE {name} TO fenqi_service")
        return self.database(name)

    def drop(self, database: Database) -> None:
        import psycopg

        with psycopg.connect(self.cluster.superuser_url, autocommit=True) as session:
            session.execute(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres() -> Iterator[_Server]:
    """A migrated PostgreSQL for the whole run. Ask for `db` or `committed_db` instead."""
    from fenqi_server.embedded import acquire

    if os.environ.get("FENQI_TEST_DATABASE_URL"):
        raise pytest.UsageError("tests make and drop databases; they run only on a server of their own")
    home = own_folder()
    home.chmod(0o711)  # root's PostgreSQL runs as `nobody`, who has to pass
    cluster = None
    try:
        cluster = acquire(
            home / ".fenqi", binaries=_test_binaries(), environ={}, root_home=home / "root", durable=False
        )
        assert cluster.owner_url is not None
        _in_own_process(cluster.owner_url, "migrate")
        yield _Server(cluster)
    finally:
        if cluster is not None:
            _close_connections()
            cluster.stop()
        shutil.rmtree(home, ignore_errors=True)


def _test_binaries() -> Any:
    from fenqi_server.embedded.binaries import inspect_binaries, system_folders

    named = os.environ.get("FENQI_TEST_POSTGRES_BIN")
    if named:
        return inspect_binaries(Path(named))
    wanted = os.environ.get("FENQI_TEST_DATABASE", "wheel")
    if wanted == "system":
        folders = system_folders()
        if not folders:
            raise pytest.UsageError("FENQI_TEST_DATABASE=system, and the system has no PostgreSQL")
        return inspect_binaries(folders[0])
    if wanted != "wheel":
        raise pytest.UsageError(f"FENQI_TEST_DATABASE is wheel or system, not {wanted!r}")
    return None


def _in_own_process(owner_url: str, *words: str) -> None:
    """Runs `fenqi WORDS` as the owner: the tests' own process never holds more than the service's role."""
    done = subprocess.run(
        [sys.executable, "-m", "fenqi_server", *words],
        env={**os.environ, "FENQI_DATABASE_URL": owner_url, "FENQI_MIGRATING": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.exit(f"fenqi {' '.join(words)} failed:\n{done.stdout}{done.stderr}", returncode=3)


def _close_connections() -> None:
    from django.db import connections

    with _unlocked():
        connections.close_all()


def _point_django_at(url: str) -> None:
    from django.conf import settings
    from django.db import connections

    from fenqi_server.database import django_database

    _close_connections()
    database = django_database(url)
    settings.DATABASES["default"].update(database)
    connections["default"].settings_dict.update(database)
    os.environ["FENQI_DATABASE_URL"] = url


_locked = True


@contextmanager
def _unlocked() -> Iterator[None]:
    global _locked
    before, _locked = _locked, False
    try:
        yield
    finally:
        _locked = before


@pytest.fixture(scope="session", autouse=True)
def _no_database_unasked() -> Iterator[None]:
    """A test that did not ask for the database would see what others left in it."""
    from django.db.backends.base.base import BaseDatabaseWrapper

    connect = BaseDatabaseWrapper.connect

    def guarded(self: Any) -> None:
        if _locked:
            raise RuntimeError("this test uses the database: let it ask for `db` or `committed_db`")
        connect(self)

    BaseDatabaseWrapper.connect = guarded  # type: ignore[method-assign]
    yield
    BaseDatabaseWrapper.connect = connect  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def _shared_database(postgres: _Server) -> Database:
    return postgres.clone()


@pytest.fixture
def db(_shared_database: Database, request: pytest.FixtureRequest) -> Iterator[Database]:
    """The shared database; what the test writes is rolled back."""
    from django.db import connection, transaction

    if "committed_db" in request.fixturenames:
        raise pytest.UsageError("ask for `db` or for `committed_db`, not for both")
    if os.environ["FENQI_DATABASE_URL"] != _shared_database.service_url:
        _point_django_at(_shared_database.service_url)
    with _unlocked():
        around = transaction.atomic()
        around._from_testcase = True  # type: ignore[attr-defined]  # durable=True inside is right, as in Django's own
        around.__enter__()
        try:
            yield _shared_database
        finally:
            if not connection.closed_in_transaction:
                transaction.set_rollback(True)
            around.__exit__(None, None, None)


@pytest.fixture
def committed_db(postgres: _Server) -> Iterator[Database]:
    """A database of the test's own, where commits are commits."""
    database = postgres.clone()
    _point_django_at(database.service_url)
    try:
        with _unlocked():
            yield database
    finally:
        _close_connections()
        os.environ["FENQI_DATABASE_URL"] = _NOWHERE
        postgres.drop(database)


@pytest.fixture(autouse=True)
def _committed_db_by_marker(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("committed_db"):
        request.getfixturevalue("committed_db")


@pytest.fixture
def as_owner(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A psycopg connection of the owner's role, beside Django's: it sees only what is committed."""
    import psycopg

    asked = "committed_db" if "committed_db" in request.fixturenames else "_shared_database"
    database: Database = request.getfixturevalue(asked)
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        yield session


# ------------------------------------------------------------------------------------------------- the service


@pytest.fixture(scope="session", autouse=True)
def _static_files() -> None:
    """Templates name static files by their hashed names, which exist once they are collected."""
    from django.core.management import call_command

    call_command("collectstatic", interactive=False, verbosity=0)


@pytest.fixture
def demo_site() -> Iterator[None]:
    """The demo's addresses and clock, inside this process."""
    from django.conf import settings
    from django.urls import clear_url_caches

    import fenqi_server.urls

    def with_demo(on: bool) -> None:
        settings.FENQI_DEMO = on
        importlib.reload(fenqi_server.urls)
        clear_url_caches()

    with_demo(True)
    yield
    with_demo(False)


@pytest.fixture
def serve(committed_db: Database, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`serve(demo=False, worker=False, environ=None, workers=1)` starts the real server on a free port and waits for it."""
    from fenqi_server.processes import Server, free_port

    running: list[Server] = []

    def start(
        *, demo: bool = False, worker: bool = False, environ: dict[str, str] | None = None, workers: int = 1
    ) -> Server:
        port = free_port()
        server = Server(
            port=port,
            environ={
                **os.environ,
                "FENQI_DATABASE_URL": committed_db.service_url,
                "FENQI_ORIGIN": f"http://127.0.0.1:{port}",
                "FENQI_DEMO": "1" if demo else "0",
                **(environ or {}),
            },
            worker=worker,
            workers=workers,
            log=tmp_path / f"server-{port}.log",
        )
        running.append(server)
        server.start()
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def live_server(serve: Callable[..., Any]) -> Any:
    return serve()


# ------------------------------------------------------------------------------------------------- the console


@pytest.fixture
def as_staff() -> Callable[..., Any]:
    """`as_staff(*roles, shop, username="", layers=None, language="en")`: somebody at work, signed in with a second factor.

    Asked again with the same username it adds roles. A reviewer without `layers` reviews every layer.
    """
    from django.contrib.auth.models import User
    from django.test import Client

    def sign_in(
        *roles: str,
        shop: Any,
        username: str = "",
        layers: tuple[str, ...] | None = None,
        language: str = "en",
    ) -> Any:
        from fenqi.policy.snapshot import LAYERS
        from fenqi_server import clock
        from fenqi_server.console.people import grant

        user, _ = User.objects.get_or_create(username=username or "-".join(roles) or "stranger")
        for role in roles:
            wanted = LAYERS if layers is None else layers
            grant(shop, user, role, clock.now(), "cli:tests", layers=wanted if role == "reviewer" else ())
        client = Client(headers={"accept-language": {"en": "en", "zh": "zh-CN"}[language]})
        client.force_login(user)
        session = client.session
        session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": 0.0}]
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()
        return client

    return sign_in
