"""`--vectors DIR`: run the vectors of another folder of the same shape."""

from __future__ import annotations

import contextlib

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    # The root conftest may have it already, for runs that do not name this folder.
    with contextlib.suppress(ValueError):
        parser.addoption("--vectors", metavar="DIR", help="folder of vectors instead of tests/vectors/data")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ahead: a vector of what the engine does not do yet; it fails by name")
