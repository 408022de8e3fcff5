"""What a killed run leaves is removed by the next; what another run works in stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.leftovers import own_folder, sweep

pytestmark = pytest.mark.no_db
ROOT = Path(__file__).resolve().parents[2]
OTHER = """
import pathlib, sys, time
from tests.leftovers import own_folder
folder = own_folder(pathlib.Path(sys.argv[1]))
(folder / "data").write_bytes(b"x")
print(folder, flush=True)
time.sleep(600)
"""


def _old(folder: Path) -> None:
    long_ago = time.time() - 3_600
    os.utime(folder, (long_ago, long_ago))


def test_a_killed_process_s_folder_is_swept_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        _old(theirs)
        assert sweep(tmp_path) == [], "somebody works in it"
    finally:
        other.kill()
        other.communicate(timeout=60)
    assert (theirs / "data").exists()
    mine = own_folder(tmp_path)
    _old(mine)
    assert sweep(tmp_path) == [theirs]
    assert (theirs.exists(), mine.exists()) == (False, True)


def test_what_is_young_or_no_folder_of_a_run_stays(tmp_path: Path) -> None:
    kept = [tmp_path / "fqt-young", tmp_path / "fqt-elsewhere", tmp_path / "another"]
    kept[0].mkdir()
    kept[1].symlink_to("/")
    kept[2].mkdir()
    _old(kept[2])
    assert sweep(tmp_path) == []
    assert all(each.exists() for each in kept)
