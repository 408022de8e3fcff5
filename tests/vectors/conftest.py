"""The vectors' marker, and the report on those that no independent model verified; the option `--vectors DIR` is the root's."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ahead: a vector of what the engine does not do yet; it fails by name")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which unverified vectors differ, and by how much: they may, and nobody should have to ask."""
    said = sorted(
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "unverified"
    )
    if said:
        terminalreporter.section("vectors that no independent model verified")
        for line in "\n".join(said).splitlines():
            terminalreporter.write_line(line)
