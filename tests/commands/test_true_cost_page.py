"""docs/true-cost.md: its commands print what it says, and its table and figures are worked out again."""

from __future__ import annotations

import re
import shlex
from fractions import Fraction
from pathlib import Path

import pytest

from fenqi.terms.cost import METHODS, CashFlow, internal_rate
from fenqi_server.cli import main

pytestmark = pytest.mark.no_db

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "true-cost.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("command", "printed"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_a_command_prints_what_the_page_says(
    capsys: pytest.CaptureFixture[str], command: str, printed: str
) -> None:
    program, *words = shlex.split(command)
    assert program == "fenqi"
    assert main(words) == 0
    assert capsys.readouterr().out == printed


def test_the_page_has_the_commands() -> None:
    assert len(BLOCKS) == 6


def test_the_table_of_the_phone_is_worked_out_to_the_fen() -> None:
    rate = internal_rate([CashFlow(0, 6_000)], [CashFlow(month, 536) for month in range(1, 13)]).periodic
    assert rate is not None
    rows = re.findall(r"^\| (\d+) \| ([\d,.]+) \| ([\d,.]+) \| 536.00 \| ([\d,.]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 12
    owed, interest, owed_in_all = Fraction(6_000), Fraction(0), Fraction(0)
    for number, row in enumerate(rows, 1):
        part = owed * rate
        shown = [f"{round(float(value), 2):,.2f}" for value in (owed, part, 536 - part)]
        assert row == (str(number), *shown)
        owed_in_all += owed
        interest += part
        owed += part - 536
    assert abs(owed) < Fraction(1, 10**9)
    assert abs(interest - 432) < Fraction(1, 10**9)
    assert f"average **{round(float(owed_in_all / 12), 2):,.2f}**" in PAGE
    assert round(float(432 / (owed_in_all / 12)) * 100, 2) == 13.03


def test_the_programs_figures_are_what_its_comments_say() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    known: dict[str, object] = {}
    exec(block, known)
    said = re.findall(r"^(\S.*?)\s+# (\d+):", block, re.MULTILINE)
    assert len(said) == 2
    assert [eval(code, known) for code, _ in said] == [int(figure) for _, figure in said]


def test_every_method_is_on_the_page() -> None:
    assert all(f"`{name}`" in PAGE for name in METHODS)
