from collections.abc import Callable
from typing import Any

import pytest
from tests.api.fixtures import *  # noqa: F403  # the fixtures are shared by the folders beside this one


@pytest.fixture
def acted(mall: Any) -> Callable[..., list[tuple[str, str, str]]]:
    """`acted("case.")`: what was done by whom to what, of the audit log's acts that begin so, in order."""

    def found(prefix: str = "") -> list[tuple[str, str, str]]:
        from fenqi_server.policies import audit

        assert isinstance(audit.verify(mall.shop), audit.Head), "the chain is whole"
        return [
            (entry.act, entry.actor, entry.subject)
            for entry in reversed(audit.entries(mall.shop))
            if entry.act.startswith(prefix)
        ]

    return found
