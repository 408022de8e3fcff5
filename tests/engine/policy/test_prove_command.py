from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from fenqi_server.cli import main

ROOT = Path(__file__).parents[3]
SEEDED = str(Path(__file__).parent / "seeded")
DEMO = str(ROOT / "src/fenqi_server/demo/policy")
BENCH = str(ROOT / "benchmarks/policy")

Captured = pytest.CaptureFixture[str]


def test_it_tells_every_fault_with_its_cases_and_the_typo_with_its_place(capsys: Captured) -> None:
    assert main(["policy", "prove", SEEDED]) == 2
    captured = capsys.readouterr()
    assert (
        captured.err == "rules.yaml:19:142: card.bank is cmd: not one of cmb, ccb, icbc; did you mean cmb?\n"
    )
    lines = captured.out.splitlines()
    assert [line.split()[0] for line in lines if line[:1] != " "] == [
        "dead_plan",
        "contradiction",
        "gap",
        "shadowed",
    ]
    said = [line.strip() for line in lines]
    for case in (
        r"cart.amount is ¥[0-9.,]+, customer.student is yes: student.least blocks",
        r"cart.amount is ¥7,000.01: band.ccb_6, band.ccb_12 block",
        r"cart.amount is ¥8,000.00: ccb_12 offered",
        r"customer.age is 1[67]: law.adult blocks",
        r"customer.age is \d+: wallet.age, law.adult block",
    ):
        assert any(re.fullmatch(case, line) for line in said), case


def test_as_json_it_is_whole_and_in_both_languages(capsys: Captured) -> None:
    assert main(["policy", "prove", SEEDED, "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["digest"] is None
    assert [problem["text"] for problem in document["problems"]] == ["cmd"]
    gap = document["findings"][2]
    assert (gap["kind"], gap["defect"], gap["low_minor"], gap["high_minor"]) == (
        "gap",
        True,
        700_001,
        799_999,
    )
    assert set(gap["sentence"]) == {"zh-CN", "en"}
    assert [(case["facts"]["cart.amount"], case["offered"]) for case in gap["cases"]] == [
        (700_000, ["ccb_6"]),
        (700_001, []),
        (800_000, ["ccb_12"]),
    ]


def test_a_sound_policy_is_proven_so(capsys: Captured) -> None:
    assert main(["policy", "prove", DEMO]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Nothing is wrong with the 63 rules of 17 plans")


def test_a_rule_that_does_nothing_is_a_defect_and_why_is_said(capsys: Captured) -> None:
    assert main(["policy", "prove", BENCH, "--locale", "zh-CN"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("规则“strategy.weekend”永远不会被违反：无论什么情况都不起作用。")
    assert lines[1].strip() == "原因：星期超过7"


def test_from_a_day_on_what_has_ended_is_told(capsys: Captured) -> None:
    # The mall's agreement with Hean ends on 2027-02-28.
    assert main(["policy", "prove", DEMO, "--from", "2027-03-01"]) == 0
    assert "hean_12 is no longer offered from now on: agreement.hean.end." in capsys.readouterr().out


def changed(tmp_path: Path) -> str:
    """The demo's policy with another ceiling on one funder's amounts and a lower floor of the mall."""
    folder = tmp_path / "changed"
    folder.mkdir()
    for path in Path(DEMO).iterdir():
        text = path.read_text(encoding="utf-8")
        text = text.replace('max: "¥8,000"', 'max: "¥6,000"').replace(
            "cart.amount >= ¥300", "cart.amount >= ¥200"
        )
        (folder / path.name).write_text(text, encoding="utf-8")
    return str(folder)


def test_against_another_policy_it_proves_who_loses_and_gains(tmp_path: Path, capsys: Captured) -> None:
    new = changed(tmp_path)
    assert main(["policy", "prove", new, "--against", DEMO, "--json", "--from", "2026-11-24"]) == 0
    moved = {each["plan"]: each for each in json.loads(capsys.readouterr().out)["against"]}
    assert {plan for plan, each in moved.items() if each["loses"] == "yes"} == {"cloudpay_6", "cloudpay_12"}
    assert {plan for plan, each in moved.items() if each["gains"] == "yes"} == {"mall_3", "mall_6", "mall_12"}
    assert {each["loses"] for each in moved.values()} == {"yes", "no"}
    lost = moved["cloudpay_6"]["lost"]
    assert 600_000 < lost["facts"]["cart.amount"] <= 800_000
    assert lost["blocking"] == ["agreement.cloudpay.amount_max"]


def test_diff_says_it_in_words_and_proves_it(tmp_path: Path, capsys: Captured) -> None:
    new = changed(tmp_path)
    assert main(["policy", "diff", DEMO, new, "--from", "2026-11-24"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "* CloudPay instalments × 3/6/12: left out is now whoever meets (order amount above ¥6,000.00); "
        "before, (order amount above ¥8,000.00)"
    )
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line and "proven" in line}
    assert rows["cloudpay_6"].split("  ")[0] == "yes"
    assert rows["mall_3"].endswith("yes")
    assert rows["card_full"].split() == ["proven:", "none", "proven:", "none"]
    assert any(line.startswith("cloudpay_6 loses: ") and "amount_max blocks" in line for line in lines)


def test_diff_of_a_policy_with_itself(capsys: Captured) -> None:
    assert main(["policy", "diff", DEMO, DEMO, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["changes"] == []
    assert {(each["loses"], each["gains"]) for each in document["proven"]} == {("no", "no")}


def test_without_the_solver_diff_still_tells_the_changes(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "z3", None)
    assert main(["policy", "diff", DEMO, changed(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "¥6,000.00" in captured.out
    assert "pip install 'fenqi[check]'" in captured.err
    assert main(["policy", "prove", DEMO]) == 2
    assert "pip install 'fenqi[check]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prove", DEMO, "--time-limit", "0"], "--time-limit is 0: expected milliseconds, 1 to 600000"),
        (
            ["prove", DEMO, "--from", "tomorrow"],
            "--from is tomorrow: expected a date or a time in Asia/Shanghai",
        ),
        (["prove", DEMO, "--from", "2026-12-01", "--to", "2026-11-01"], "--to is 2026-11-01"),
        (["prove", "nowhere"], "DIR is nowhere, which is not a folder"),
        (["prove", DEMO, "--against", SEEDED], "expected a policy"),
        (["diff", DEMO, SEEDED], "expected a policy"),
    ],
)
def test_what_cannot_be_used_is_said(words: list[str], said: str, capsys: Captured) -> None:
    assert main(["policy", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_of_which_nothing_can_be_read(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "x.yaml").write_text("rules: [", encoding="utf-8")
    assert main(["policy", "prove", str(tmp_path), "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["findings"] == []
    assert document["problems"]


def test_help_teaches_by_example(capsys: Captured) -> None:
    for action, example in (
        ("prove", "fenqi policy prove policy/"),
        ("diff", "fenqi policy diff published/ policy/"),
    ):
        with pytest.raises(SystemExit):
            main(["policy", action, "--help"])
        assert example in capsys.readouterr().out
