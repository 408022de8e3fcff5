"""The vectors' marker; the option `--vectors DIR` is the root's."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ahead: a vector of what the engine does not do yet; it fails by name")
