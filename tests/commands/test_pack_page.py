"""docs/packs.md: the list it shows is the list there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fenqi_server.cli import main

pytestmark = pytest.mark.no_db

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "packs.md").read_text(encoding="utf-8")


def test_the_list_of_packs_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "pack", "list"]) == 0
    assert f"$ fenqi policy pack list\n{capsys.readouterr().out}$ fenqi policy pack show" in PAGE
