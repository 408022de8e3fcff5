"""`fenqi evaluate`: no server, no database; JSON on standard output, everything else on standard error."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path

import pytest

import fenqi_server.demo
from fenqi_server.cli import main
from fenqi_server.commands.evaluate import EXAMPLES

ROOT = Path(__file__).parents[3]
POLICY = str(Path(fenqi_server.demo.__file__ or "").parent / "policy")
PHONE = ROOT / "examples" / "phone.json"


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.json")), ids=lambda path: path.stem)
def test_every_example_is_answered(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--policy", POLICY, str(example)]) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert err == ""
    assert answer["offers"]
    assert all(entry["reasons"] for entry in answer["unavailable"])


def test_the_examples_of_the_help_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    lines = [line for line in re.findall(r"^  fenqi (.+)$", EXAMPLES, re.MULTILINE) if "examples/" in line]
    assert len(lines) == 2
    for line in lines:
        assert main(shlex.split(line)) == 0
        assert json.loads(capsys.readouterr().out)["offers"]


def test_one_language_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--policy", POLICY, str(PHONE), "--locale", "en"]) == 0
    assert "zh-CN" not in capsys.readouterr().out


def test_a_request_comes_from_standard_input_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PHONE.read_bytes())))
    assert main(["evaluate", "--policy", POLICY, "-"]) == 0
    assert json.loads(capsys.readouterr().out)["currency"] == "CNY"


def test_a_wrong_request_names_field_value_and_expectation(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    request = json.loads(PHONE.read_text())
    request["lines"][0]["unit_price_minor"] = 4999.5
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(request))
    assert main(["evaluate", "--policy", POLICY, str(bad)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "/lines/0/unit_price_minor is 4999.5: expected a whole number of minor units" in err


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("contract,customer\n", "expected a JSON document (JSON is malformed:"),
        ("[1]", "expected object ([1])"),
    ],
)
def test_a_file_that_is_no_request_at_all_is_said_to_be_that(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, written: str, said: str
) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(written)
    assert main(["evaluate", "--policy", POLICY, str(wrong)]) == 2
    assert f"wrong.csv: {said}" in capsys.readouterr().err


def test_a_wrong_policy_says_file_line_and_column(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for path in Path(POLICY).glob("*.yaml"):
        text = path.read_text().replace("card.bank is beichen", "card.bank is beichn")
        (tmp_path / path.name).write_text(text)
    assert main(["evaluate", "--policy", str(tmp_path), str(PHONE)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"^30-rules\.yaml:\d+:\d+: .*beichn.*did you mean beichen\?$", err, re.MULTILINE)


@pytest.mark.parametrize("words", [["--policy", "nowhere", "x.json"], ["--policy", POLICY, "nowhere.json"]])
def test_what_is_not_there_is_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *words]) == 2
    assert "nowhere" in capsys.readouterr().err
