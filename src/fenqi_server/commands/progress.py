"""How far long work has come, on standard error, and only where somebody looks at it."""

from __future__ import annotations

import sys
from typing import TextIO

__all__ = ["Progress"]


class Progress:
    """A bar that is drawn over itself: `with Progress("replaying", 1000) as bar: bar.to(10)`.

    Draws nothing where standard error is no terminal, so that logs and pipes stay clean.
    """

    WIDTH = 30

    def __init__(self, what: str, total: int, stream: TextIO | None = None) -> None:
        self.what, self.total = what, max(total, 1)
        self.stream = sys.stderr if stream is None else stream
        self.drawn = -1

    def __enter__(self) -> Progress:
        self.to(0)
        return self

    def to(self, done: int) -> None:
        """So many are done."""
        share = min(max(done, 0), self.total) * 100 // self.total
        if share == self.drawn or not self.stream.isatty():
            return
        self.drawn = share
        filled = share * self.WIDTH // 100
        self.stream.write(f"\r{self.what} [{'#' * filled}{'.' * (self.WIDTH - filled)}] {share:3d} %")
        self.stream.flush()

    def __exit__(self, *_: object) -> None:
        if self.drawn >= 0:
            self.stream.write("\r" + " " * (len(self.what) + self.WIDTH + 10) + "\r")
            self.stream.flush()
