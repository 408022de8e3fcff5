from collections.abc import Callable
from typing import Any

import pytest
from tests.api.fixtures import *  # noqa: F403  # the fixtures are shared by the folders beside this one


@pytest.fixture
def acted(caplog: Any) -> Callable[..., list[tuple[str, str, str]]]:
    """`acted("case.")`: what was done by whom to what, of the acts that begin so, in order."""
    caplog.set_level("INFO", logger="fenqi_server.support.acts")

    def found(prefix: str = "") -> list[tuple[str, str, str]]:
        return [
            (record.act, record.actor, record.subject)
            for record in caplog.records
            if getattr(record, "act", "").startswith(prefix) and hasattr(record, "act")
        ]

    return found
