"""Folders for clusters that these tests make, start, kill and break."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.leftovers import own_folder

from fenqi_server.embedded import Binaries, Cluster, acquire


@pytest.fixture
def place() -> Iterator[Path]:
    """A short folder that everyone may pass, for the state folder and root's short one."""
    folder = own_folder()
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def binaries() -> Binaries | None:
    """The PostgreSQL that this run of the tests is about."""
    from tests.conftest import _test_binaries

    return _test_binaries()


@pytest.fixture
def start(place: Path, binaries: Binaries | None) -> Iterator[Callable[..., Cluster]]:
    """`acquire` over one state folder; what was started is stopped at the end.

    Writing to the disk is not waited for, unless the test says `durable=True`.
    """
    running: list[Cluster] = []

    def begin(state_dir: Path = place / ".fenqi", **options: object) -> Cluster:
        options = {
            "binaries": binaries,
            "environ": {},
            "root_home": place / "root",
            "durable": False,
        } | options
        cluster = acquire(state_dir, **options)  # type: ignore[arg-type]
        running.append(cluster)
        return cluster

    yield begin
    for cluster in running:
        cluster.stop()
