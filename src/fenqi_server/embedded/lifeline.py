"""Children that end with their parent, however it ends: a killed program leaves nothing running behind."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["die_with_parent"]

_PR_SET_PDEATHSIG = 1


def die_with_parent(stopping: signal.Signals) -> Callable[[], None] | None:
    """For `Popen(preexec_fn=...)`: the kernel sends the child `stopping` when its parent is gone (Linux only).

    It is the *thread* that started the child whose end counts: start children from the main thread.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, int(stopping))
        if os.getppid() != parent:  # it went between fork and prctl
            os._exit(1)

    return before_exec
