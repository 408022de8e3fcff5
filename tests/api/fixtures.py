"""Fixtures of the service's tests: a shop, the caches forgotten, the clock pinned, a client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

# Django is set up after pytest has read this file: what needs it is imported when a test asks for it.


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[None]:
    from tests.api import world

    from fenqi_server.decisions import log

    world.forget_caches()
    yield
    world.forget_caches()
    log._queue.clear()


@pytest.fixture
def at() -> Iterator[Any]:
    """The instant at which everything happens."""
    from tests.api.world import AT

    from fenqi_server import clock

    with clock.pinned(AT):
        yield AT


@pytest.fixture
def mall(db: Any, at: Any) -> Iterator[Any]:
    """A shop with a key and a customer. What was decided in it has to replay identically when the test is over."""
    from tests.api.world import make_world
    from tests.replayed import assert_decisions_replay

    yield make_world()
    assert_decisions_replay()


@pytest.fixture
def committed_mall(committed_db: Any, at: Any) -> Iterator[Any]:
    from tests.api.world import make_world
    from tests.replayed import assert_decisions_replay

    from fenqi_server.decisions import log

    yield make_world()
    log.stop()
    assert_decisions_replay()


@pytest.fixture
def call() -> Callable[..., Any]:
    """`call("POST", "/v1/evaluations", body, key=..., headers=...)` through the whole of Django."""
    from django.test import Client

    client = Client(raise_request_exception=False)

    def send(
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return client.generic(method, path, raw, content_type="application/json", headers=sent)

    return send
