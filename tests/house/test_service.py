"""The served service: health, headers, static files, the background worker."""

from __future__ import annotations

import http.client
import logging
import time
from datetime import UTC, datetime

import psycopg
import pytest

from fenqi_server import clock
from fenqi_server.cli import main
from fenqi_server.headers import PathOnly, WithoutValues
from fenqi_server.processes import free_port
from fenqi_server.worker import Worker

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def _get(server, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.body = answer.read()
    return answer


def test_health_opens_a_new_session_and_fails_when_it_cannot(live_server, committed_db, postgres):
    assert _get(live_server, "/healthz").status == 200
    with psycopg.connect(postgres.cluster.superuser_url, autocommit=True) as session:
        # Sessions that are open go on working: a check that reused one would notice nothing.
        session.execute(f"ALTER DATABASE {committed_db.name} ALLOW_CONNECTIONS false")
        answer = _get(live_server, "/healthz")
        session.execute(f"ALTER DATABASE {committed_db.name} ALLOW_CONNECTIONS true")
    assert answer.status == 503
    assert b"password" not in answer.body
    assert _get(live_server, "/healthz").status == 200


@pytest.mark.parametrize("path", ["/healthz", "/no-such-page", "/v1/no-such-address"])
def test_every_answer_carries_the_headers_that_protect_a_browser(live_server, path):
    headers = _get(live_server, path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers, "plain http here"


def test_an_https_origin_brings_hsts_and_secure_cookies(serve):
    server = serve(environ={"FENQI_ORIGIN": "https://pay.example.com"})
    answer = _get(server, "/healthz", Host="pay.example.com", **{"X-Forwarded-Proto": "https"})
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_an_unknown_host_is_refused(live_server):
    assert _get(live_server, "/no-such-page", Host="evil.example").status == 400


def test_static_files_are_named_by_their_content_kept_for_ever_and_compressed(live_server):
    from django.contrib.staticfiles.storage import staticfiles_storage

    hashed = next(
        url for name, url in sorted(staticfiles_storage.hashed_files.items()) if name.endswith(".css")
    )
    answer = _get(live_server, f"/static/{hashed}", **{"Accept-Encoding": "gzip"})
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_killed_service_leaves_no_process(serve):
    server = serve(worker=True)
    server.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # Granian's own workers are the kernel's to clear away, a moment later
        try:
            _get(server, "/healthz")
        except ConnectionRefusedError:
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
    pytest.fail("something still answers")


def test_a_job_that_fails_keeps_no_other_from_running_and_rests(db, caplog):
    ran: list[str] = []

    def fails(now: datetime) -> int:
        ran.append("fails")
        raise ValueError("no such funder")

    def works(now: datetime) -> int:
        ran.append("works")
        return 3

    worker = Worker({"fails": fails, "works": works})
    with caplog.at_level(logging.ERROR):
        assert worker.round(NOON) == 3
        assert worker.round(NOON) == 3
    assert ran == ["fails", "works", "works"]
    assert "fails failed (1 in a row)" in caplog.text


def test_the_jobs_of_the_settings_are_there(db):
    assert Worker.of_settings().round(NOON) >= 0


def test_the_clock_can_be_pinned_and_goes_back_to_the_machines(db):
    with clock.pinned(NOON):
        assert clock.now() == NOON
    assert abs((clock.now() - clock.system_now()).total_seconds()) < 5


def test_a_log_line_has_no_query_string_and_no_request():
    record = logging.LogRecord("django", 30, "f", 1, "%s: %s", ("Not Found", "/pay?token=secret"), None)
    record.request = object()
    PathOnly().filter(record)
    assert record.getMessage() == "Not Found: /pay"
    assert not hasattr(record, "request")


def test_a_cards_number_in_an_address_is_not_logged(committed_db, serve):
    server = serve()
    for number in ("4111111111111111", "4111-1111-1111-1111", "4111%201111%201111%201111"):
        assert _get(server, f"/v1/contracts/{number}").status == 401
        assert _get(server, f"/{number}/").status == 404
    lines = server.log.read_text()
    assert "/v1/contracts/…" in lines
    assert "1111" not in lines


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT %s::jsonb", "22P05"),
        ("SELECT (%s || 'x')::uuid", "22P02"),
        ("INSERT INTO shops_shop (code) VALUES (%s)", "23502 null value in column"),
    ],
)
def test_a_failed_statement_is_logged_with_its_code_and_without_its_values(committed_db, statement, said):
    from django.db import Error, connection

    # Not written out here: a trace shows the lines of the program.
    value = '{"name": "' + "sec" + "ret" + '\\u0000"}'
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, [value])
    except Error as problem:
        record = logging.LogRecord("fenqi", 40, "f", 1, "failed", (), (type(problem), problem, None))
    line = WithoutValues("%(message)s").format(record)
    assert said in line
    assert "which led to" in line, "both the driver's error and Django's"
    assert "secret" not in line


def test_any_other_trace_is_logged_whole():
    import sys

    try:
        try:
            raise ValueError("the cause")
        except ValueError as cause:
            raise RuntimeError("the end") from cause
    except RuntimeError:
        record = logging.LogRecord("fenqi", 40, "f", 1, "failed", (), sys.exc_info())
    line = WithoutValues("%(message)s").format(record)
    assert "builtins.ValueError: the cause" in line
    assert line.splitlines()[-1] == "builtins.RuntimeError: the end"
    assert 'raise RuntimeError("the end")' in line


@pytest.mark.parametrize(
    "keys", ["", "k1", "k1:00", "k1:xyz", f":{'a' * 64}", f"k.1:{'a' * 64}", f"k:{'a' * 64},k:{'b' * 64}"]
)
def test_signing_keys_that_could_not_be_told_apart_in_a_token_are_refused_at_the_start(keys):
    from django.core.exceptions import ImproperlyConfigured

    from fenqi_server.settings import _signing_keys

    with pytest.raises(ImproperlyConfigured, match="id:hex"):
        _signing_keys(keys)
    assert list(_signing_keys(f"k2:{'a' * 64}, k-1:{'b' * 64}")) == ["k2", "k-1"]


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_nothing_is_started_over_a_database_that_may_lose_what_was_answered(
    command, committed_db, capsys, monkeypatch, tmp_path
):
    """The tests' own server is such a one: it writes nothing to the disk in time."""
    started = []
    monkeypatch.setattr("fenqi_server.processes.Server.start", started.append)
    monkeypatch.setenv("FENQI_DATABASE_URL", committed_db.service_url)
    monkeypatch.setenv("FENQI_OWNER_URL", committed_db.owner_url)
    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_DEMO", "")
    assert main([command, "--port", str(free_port())]) == 1
    assert (
        "the database runs with fsync = off: a payment that was answered could be lost"
        in capsys.readouterr().err
    )
    assert started == [], "neither the service nor the worker"
