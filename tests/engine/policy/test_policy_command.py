from __future__ import annotations

import json
from pathlib import Path

import pytest

from fenqi_server.cli import main

from .test_document import BANK, SHOP


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    (tmp_path / "rules" / "banks.yaml").write_text(BANK + "  - card.bank is ccb\n", encoding="utf-8")
    return tmp_path


def test_check_names_a_good_policy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "check", str(folder)]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["ok"] is True
    assert report["digest"].startswith("sha256:")
    assert report["plans"] == ["mall_3", "mall_12", "ccb_24", "loan_12", "card"]
    assert report["rules_by_layer"] == {"agreement": report["rules"]}
    assert captured.err == ""


def test_check_says_what_is_wrong_and_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rules" / "banks.yaml").write_text(BANK + "  - card.bank is cbc\n", encoding="utf-8")
    assert main(["policy", "check", str(folder)]) == 2
    captured = capsys.readouterr()
    assert (
        captured.err
        == "rules/banks.yaml:8:18: card.bank is cbc: not one of cmb, ccb, icbc; did you mean icbc?\n"
    )
    (problem,) = json.loads(captured.out)["problems"]
    assert (problem["file"], problem["line"], problem["column"], problem["text"]) == (
        "rules/banks.yaml",
        8,
        18,
        "cbc",
    )


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "check", str(tmp_path / "nowhere")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["policy", "check", "--help"])
    assert "fenqi policy check policy/" in capsys.readouterr().out
