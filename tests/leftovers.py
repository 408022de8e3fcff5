"""The folders of a test run, and what becomes of those of a run that was killed before it could remove them.

Each folder is locked by the process that made it, and the lock goes with the process however it ends. The next run removes
what nobody holds: the databases of a killed run are a hundred megabytes for each of its processes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

__all__ = ["own_folder", "sweep"]

# Short: the path of a socket below it has room for 107 bytes.
_PREFIX: Final = "fqt-"
_SHARED: Final = Path("/tmp")
_YOUNG_SECONDS: Final = 60
_held: list[int] = []


def own_folder(where: Path = _SHARED) -> Path:
    """A new folder that is this process's own for as long as it lives. Whoever asks for it removes it."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=where))
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)
    _held.append(held)
    return folder


def sweep(where: Path = _SHARED) -> list[Path]:
    """Remove the folders of processes that are gone; which those were."""
    gone = []
    for folder in where.glob(f"{_PREFIX}*"):
        try:
            about = folder.lstat()
            # One that was made a moment ago may not be locked yet.
            if about.st_uid != os.getuid() or time.time() - about.st_mtime < _YOUNG_SECONDS:
                continue
            asked = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(asked, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(folder)
        except BlockingIOError:
            pass
        finally:
            os.close(asked)
    return gone
