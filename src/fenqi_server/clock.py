"""The one place that asks the clock.

Everything else takes the instant as an argument, or calls `now()` here. The demo's clock, which a visitor can
move forward, and a test's pinned clock are sources set here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

__all__ = ["now", "pinned", "set_source", "system_now"]

_source: Callable[[], datetime] | None = None


def system_now() -> datetime:
    """The machine's instant, aware, in UTC."""
    return datetime.now(UTC)


def now() -> datetime:
    """This installation's instant, aware, in UTC."""
    if _source is not None:
        return _source()
    from django.conf import settings

    if settings.FENQI_DEMO:
        from fenqi_server.demo.clock import now as demo_now

        return demo_now()
    return system_now()


def set_source(source: Callable[[], datetime] | None) -> None:
    """Ask `source` from now on, in this process; `None` goes back to the installation's own."""
    global _source
    _source = source


@contextmanager
def pinned(instant: datetime) -> Iterator[None]:
    """Inside, it is `instant`.

    >>> at = datetime(2026, 9, 30, 9, 0, tzinfo=UTC)
    >>> with pinned(at):
    ...     now() == at
    True
    """
    if instant.tzinfo is None:
        raise ValueError(f"an instant carries its offset, got {instant!r}")
    before = _source
    set_source(lambda: instant)
    try:
        yield
    finally:
        set_source(before)
