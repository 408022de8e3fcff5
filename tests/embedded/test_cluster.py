"""The embedded PostgreSQL: started, adopted, stopped, killed, and refused where it would be unsafe."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from fenqi_server.cli import Failure
from fenqi_server.commands.database import require_safe_settings
from fenqi_server.embedded import EmbeddedError, OtherMajor, discard
from fenqi_server.embedded.cluster import _buffers_mb, _status
from fenqi_server.embedded.placement import SOCKET_PATH_BYTES, account, place_socket

# A program of its own that holds a cluster until it is told to end, or is killed.
_HOLDER = """
import os, sys
from pathlib import Path
from fenqi_server.embedded import acquire
from fenqi_server.embedded.binaries import inspect_binaries
binaries = inspect_binaries(Path(sys.argv[3])) if sys.argv[3] else None
cluster = acquire(Path(sys.argv[1]), binaries=binaries, environ={}, root_home=Path(sys.argv[2]))
print("started" if cluster.started else "adopted", flush=True)
sys.stdin.read()
cluster.stop()
"""


def _holder(place: Path, binaries) -> subprocess.Popen[str]:
    named = str(binaries.bin_dir) if binaries else ""
    return subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(place / ".fenqi"), str(place / "root"), named],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as session:
        return session.execute(question).fetchone()[0]


def test_a_new_folder_becomes_a_database_with_two_roles(start):
    cluster = start()
    assert cluster.started
    assert _ask(cluster.service_url, "SELECT current_user") == "fenqi_service"
    assert _ask(cluster.owner_url, "SELECT current_user") == "fenqi_owner"
    privileged = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'fenqi_%' AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls)"
    assert _ask(cluster.owner_url, privileged) == 0


def test_the_service_role_cannot_make_tables_anywhere(start):
    cluster = start()
    for statement in ("CREATE TABLE mine (x int)", "CREATE SCHEMA mine", "CREATE TEMP TABLE mine (x int)"):
        with (
            psycopg.connect(cluster.service_url) as session,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            session.execute(statement)


def test_data_survives_a_stop_and_the_second_start_is_quick(start):
    first = start()
    with psycopg.connect(first.owner_url) as session:
        session.execute("CREATE TABLE kept (x int)")
        session.execute("INSERT INTO kept VALUES (7)")
    first.stop()
    began_at = time.monotonic()
    second = start()
    assert time.monotonic() - began_at < 5
    assert _ask(second.owner_url, "SELECT x FROM kept") == 7


def test_a_running_server_is_adopted_and_left_running(start):
    first = start()
    second = start()
    assert (first.started, second.started) == (True, False)
    second.stop()
    assert _ask(first.service_url, "SELECT 1") == 1


def test_of_two_programs_that_start_at_once_one_starts_and_the_other_adopts(place, binaries):
    both = [_holder(place, binaries) for _ in range(2)]
    try:
        assert sorted(program.stdout.readline().strip() for program in both) == ["adopted", "started"]
    finally:
        for program in both:
            program.communicate(timeout=60)


def test_a_killed_program_leaves_no_server_behind_and_the_next_start_works(place, start, binaries):
    program = _holder(place, binaries)
    assert program.stdout.readline().strip() == "started"
    data_dir = (
        next(place.glob("root/*/data")) if os.geteuid() == 0 else place / ".fenqi" / "postgres" / "data"
    )
    server, state = _status(data_dir)
    assert state == "ready"
    program.kill()
    program.wait()
    cluster = start()  # waits for the old one's end
    assert cluster.started
    assert _status(data_dir)[0] != server
    assert _ask(cluster.service_url, "SELECT 1") == 1


def test_a_killed_server_is_started_again_over_its_data(start):
    first = start()
    os.kill(_status(first.data_dir)[0], signal.SIGKILL)
    first.stop()
    second = start()
    assert second.started
    assert _ask(second.service_url, "SELECT 1") == 1


def test_a_server_that_was_killed_is_started_when_the_last_of_its_sessions_has_ended(start, place):
    first = start()
    session = psycopg.connect(first.service_url)
    lingering = session.info.backend_pid
    os.kill(lingering, signal.SIGSTOP)
    woken = threading.Timer(1.5, os.kill, (lingering, signal.SIGCONT))
    os.kill(_status(first.data_dir)[0], signal.SIGKILL)
    first.stop()
    woken.start()
    try:
        second = start()
    finally:
        woken.join()
        session.close()
    assert _ask(second.service_url, "SELECT 1") == 1
    log = (place / ".fenqi" / "postgres.log").read_text()
    assert "is still in use" in log, "it was tried before the session had ended"


def test_a_trace_of_a_server_long_gone_does_not_stop_the_next_though_its_number_lives_on(start):
    cluster = start()
    cluster.stop()
    # After a restart of the machine the old number belongs to anyone: here to this very test.
    trace = cluster.data_dir / "postmaster.pid"
    trace.write_text(
        f"{os.getpid()}\n{cluster.data_dir}\n1700000000\n5432\n{cluster.data_dir}\n\n  1 1\nready   \n"
    )
    assert start().started


def test_an_initdb_that_was_interrupted_is_not_taken_for_data(start, place):
    first = start()
    first.stop()
    first.data_dir.rename(first.data_dir.with_name("data.new"))
    (first.data_dir.with_name("data.new") / "PG_VERSION").unlink()
    assert _ask(start().service_url, "SELECT 1") == 1


def test_nobody_gets_in_without_a_password(start):
    cluster = start()
    bare = cluster.service_url.replace(cluster.service_url.split("//")[1].split("@")[0], "fenqi_service")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(bare)
    rules = [
        line
        for line in (cluster.data_dir / "pg_hba.conf").read_text().splitlines()
        if line and line[0] != "#"
    ]
    assert rules
    assert all(line.split()[-1] == "scram-sha-256" for line in rules)


def test_the_server_listens_on_no_network_address(start):
    assert _ask(start().superuser_url, "SHOW listen_addresses") == ""


def test_passwords_are_readable_by_their_owner_alone(start, place):
    cluster = start()
    for path in (place / ".fenqi").rglob("*"):
        if path.is_file() and "postgres/data" not in str(path):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE(cluster.data_dir.stat().st_mode) == 0o700
    kept = json.loads((place / ".fenqi" / "postgres.json").read_text())
    assert len(set(kept["passwords"].values())) == 3
    assert not list(cluster.data_dir.parent.glob("*.password"))
    log = (place / ".fenqi" / "postgres.log").read_text()
    assert not any(password in log for password in kept["passwords"].values())


def test_another_majors_data_is_refused_with_the_way_out(start):
    cluster = start()
    cluster.stop()
    (cluster.data_dir / "PG_VERSION").write_text("9\n")
    with pytest.raises(OtherMajor, match="fenqi upgrade"):
        start()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_may_lose_an_answered_payment_is_refused(start, setting):
    cluster = start(durable=True)
    with psycopg.connect(cluster.superuser_url, autocommit=True) as session:
        session.execute(f"ALTER SYSTEM SET {setting} = off")
    cluster.stop()
    again = start(durable=True)
    with pytest.raises(Failure, match=f"{setting} = off"):
        require_safe_settings(again)
    alone = subprocess.run(worker(), env=worker_environ(again), capture_output=True, text=True, check=False)
    assert (alone.returncode, f"{setting} = off" in alone.stderr) == (1, True), (
        "a worker started alone asks too"
    )


def worker() -> list[str]:
    return [sys.executable, "-m", "fenqi_server.worker"]


def worker_environ(cluster) -> dict[str, str]:
    return os.environ | {"FENQI_DATABASE_URL": cluster.service_url}


def test_a_worker_started_alone_works_on_a_safe_database_until_it_is_stopped(start):
    cluster = start(durable=True)
    running = subprocess.Popen(worker(), env=worker_environ(cluster), stderr=subprocess.PIPE, text=True)
    # The database is empty: the first round says so of every job, and the worker goes on.
    for line in running.stderr:
        if "in a row" in line:
            break
    running.send_signal(signal.SIGTERM)
    assert (running.communicate(timeout=60), running.returncode)[1] == 0


def test_the_settings_of_a_real_start_are_safe(start):
    require_safe_settings(start(durable=True))


def test_lost_passwords_are_said_and_the_data_are_left_alone(start, place):
    cluster = start()
    cluster.stop()
    (place / ".fenqi" / "postgres.json").unlink()
    with pytest.raises(EmbeddedError, match=r"which held their passwords, is gone.*move .* away"):
        start()
    assert (cluster.data_dir / "PG_VERSION").exists()
    assert not (place / ".fenqi" / "postgres.json").exists(), "nothing new is written over it"
    cluster.data_dir.parent.rename(place / "aside")
    assert _ask(start().service_url, "SELECT 1") == 1


def test_a_lost_data_folder_is_said_and_not_silently_made_anew(start, place):
    cluster = start()
    cluster.stop()
    if os.geteuid() != 0:
        pytest.skip("a normal user's data lies in .fenqi itself")
    cluster.data_dir.parent.rename(place / "elsewhere")
    with pytest.raises(EmbeddedError, match="that folder is gone"):
        start()


def test_an_address_in_the_environment_comes_first(start, place):
    cluster = start(
        environ={"FENQI_DATABASE_URL": "postgresql://a@/b", "FENQI_OWNER_URL": "postgresql://o@/b"}
    )
    assert (cluster.service_url, cluster.owner_url) == ("postgresql://a@/b", "postgresql://o@/b")
    assert not cluster.started
    assert not (place / ".fenqi").exists()


def test_a_folder_under_a_locked_one_works(start, place):
    """A clone under root's own 0700 folder; a normal user's data is below its own in any case."""
    locked = place / "locked"
    locked.mkdir(mode=0o700)
    cluster = start(locked / "clone" / ".fenqi")
    assert _ask(cluster.service_url, "SELECT 1") == 1


def test_of_a_discarded_server_nothing_is_left_wherever_it_lay(start, place):
    locked = place / "locked"
    locked.mkdir(mode=0o700)
    state = locked / ("d" * 60) / ("e" * 60) / ".fenqi"
    cluster = start(state, root_home=locked / "root")
    [socket] = parse_qs(urlsplit(cluster.service_url).query)["host"]
    data = cluster.data_dir
    # `nobody` cannot pass the locked folder, and the path is too long for a socket: for each user something lies in /tmp.
    outside = [data.parents[1], data.parent] if account().uid is not None else [Path(socket)]
    assert all(folder.is_dir() and place not in folder.parents for folder in outside)
    cluster.stop()
    discard(state)
    assert not state.exists()
    assert not any(folder.exists() for folder in outside)


def test_a_path_too_long_for_a_socket_gets_a_short_one(start, place):
    deep = place / ("d" * 60) / ("e" * 60)
    cluster = start(deep / ".fenqi")
    assert _ask(cluster.service_url, "SELECT 1") == 1
    second = start(deep / ".fenqi")
    assert not second.started


def test_a_socket_folder_outside_a_long_home_fits(place):
    home = place / ("h" * 100)
    home.mkdir()
    folder = place_socket(home, account())
    try:
        assert len(bytes(folder / ".s.PGSQL.5432")) <= SOCKET_PATH_BYTES
    finally:
        folder.rmdir()


@pytest.mark.parametrize(
    ("memory_bytes", "megabytes"), [(2**29, 128), (4 * 2**30, 512), (16 * 2**30, 2048), (64 * 2**30, 2048)]
)
def test_the_database_keeps_an_eighth_of_the_memory_within_bounds(memory_bytes, megabytes):
    assert _buffers_mb(memory_bytes) == megabytes


def test_a_durable_server_is_fit_for_large_jobs_and_an_operator_has_the_last_word(start):
    cluster = start(durable=True)
    for name, value in (("max_wal_size", "2GB"), ("wal_writer_delay", "10ms"), ("fsync", "on")):
        assert _ask(cluster.superuser_url, f"SHOW {name}") == value
    with psycopg.connect(cluster.superuser_url, autocommit=True) as session:
        session.execute("ALTER SYSTEM SET shared_buffers = '32MB'")
    cluster.stop()
    assert _ask(start(durable=True).superuser_url, "SHOW shared_buffers") == "32MB"
