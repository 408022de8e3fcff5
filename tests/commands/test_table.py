"""Tables line up whatever is in them; a bar is drawn for a terminal alone."""

from __future__ import annotations

import io

import pytest

from fenqi_server.commands.progress import Progress
from fenqi_server.commands.table import table, width

pytestmark = pytest.mark.no_db


def test_a_column_ends_where_its_widest_cell_does_in_either_script() -> None:
    written = table(("方式", "cost"), [("分期乐园", "¥1"), ("card", "¥1,000")], right=(1,)).splitlines()
    assert {width(line) for line in written} == {16}
    assert written[2] == "card      ¥1,000"


def test_a_cell_stays_on_its_line() -> None:
    assert table(("a",), [("two\nlines",)]).splitlines() == ["a", "two lines"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_once_a_percent_and_wiped_at_the_end() -> None:
    stream = Terminal()
    with Progress("replaying", 1000, stream) as bar:
        for done in range(1001):
            bar.to(done)
    drawn = stream.getvalue().split("\r")
    assert len([one for one in drawn if one.startswith("replaying")]) == 101
    assert "[###############...............]  50 %" in stream.getvalue()
    assert stream.getvalue().endswith("\r")


def test_nothing_is_drawn_where_nobody_looks() -> None:
    stream = io.StringIO()
    with Progress("replaying", 10, stream) as bar:
        bar.to(10)
    assert stream.getvalue() == ""
