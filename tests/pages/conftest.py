"""The demo mall inside this process: seeded by its own seed, walked through by Django's test client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

# Django is set up after pytest has read this file: what needs it is imported when a test asks for it.


def _forget() -> None:
    from fenqi_server import facts
    from fenqi_server.policies import service as policies
    from fenqi_server.shops import service as shops
    from fenqi_server.support import overrides

    for module in (shops, policies, facts, overrides):
        module.forget_caches()


@pytest.fixture
def mall(db: Any, demo_site: None) -> Iterator[None]:
    """A seeded demo at 2026-11-23 10:00. Decisions are written at once, for the test's transaction is the only one."""
    from django.conf import settings
    from tests.replayed import assert_decisions_replay

    from fenqi_server.demo.seed import seed

    before = getattr(settings, "FENQI_DECISION_LOG", None)
    settings.FENQI_DECISION_LOG = "direct"
    _forget()
    seed()
    yield
    assert_decisions_replay()
    _forget()
    if before is None:
        del settings.FENQI_DECISION_LOG
    else:
        settings.FENQI_DECISION_LOG = before


@pytest.fixture
def visit(mall: None) -> Callable[..., Any]:
    """`visit("good", "en")`: a browser of that customer, in that language."""

    from django.test import Client

    def start(person: str = "good", language: str = "en") -> Any:
        client = Client(
            headers={"accept-language": {"en": "en", "zh": "zh-CN"}[language]}, enforce_csrf_checks=False
        )
        client.post("/demo/customer", {"customer": person})
        return client

    return start
