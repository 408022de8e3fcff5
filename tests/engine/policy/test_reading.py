from __future__ import annotations

from decimal import Decimal

import pytest
from ruamel.yaml.nodes import MappingNode

from fenqi.policy.reading import Problem, Reader


def _value(text: str) -> tuple[Reader, object]:
    reader = Reader()
    reader.zone = "Asia/Shanghai"
    root = reader.compose("a.yaml", text)
    assert isinstance(root, MappingNode)
    return reader, root.value[0][1]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("integer", "x: 012", 12),
        ("boolean", "x: no", False),
        ("boolean", "x: yes", True),
        ("minute", "x: 22:30", 1350),
        ("money", "x: ¥12.34", 1234),
        ("ratio", "x: 0.6%", Decimal("0.006")),
        ("instant", "x: 2026-11-23T12:00", 1795406400),
        ("end_instant", "x: 2026-11-22", 1795363200),
        ("scalar", "x: null", "null"),
    ],
)
def test_a_scalar_is_what_its_field_says(kind: str, text: str, expected: object) -> None:
    reader, node = _value(text)
    assert getattr(reader, kind)(node, "x") == expected
    assert reader.problems == []


@pytest.mark.parametrize("kind", ["integer", "boolean", "minute", "money", "ratio", "instant", "scalar"])
def test_what_is_not_one_value_is_reported_and_reading_goes_on(kind: str) -> None:
    reader, node = _value("x: [1, 2]")
    getattr(reader, kind)(node, "x")
    assert str(reader.problems[0]) == ("a.yaml:1:4: x is one text, not a list or keys")


def test_a_place_inside_a_scalar_is_found_in_plain_and_quoted_ones() -> None:
    for text, column in (
        ("x: card.bank is cbc", 17),
        ("x: 'card.bank is cbc'", 18),
        ('x: "card.bank is cbc"', 18),
    ):
        reader, node = _value(text)
        reader.problem(node, "wrong", offset=13, length=3)  # type: ignore[arg-type]
        assert reader.problems == [Problem("a.yaml", 1, column, "cbc", "wrong")]


def test_where_escapes_or_lines_shift_a_place_the_scalars_beginning_is_given() -> None:
    for text in ('x: "\\u0063ard.bank is cbc"', "x: card.bank\n  is cbc"):
        reader, node = _value(text)
        reader.problem(node, "wrong", offset=13, length=3)  # type: ignore[arg-type]
        assert (reader.problems[0].line, reader.problems[0].column) == (1, 4)


@pytest.mark.parametrize("text", ["x: &a 1", "x: !int 1", "x: [", "\t- x", "x: 1\n...\n---\ny: 2"])
def test_what_the_language_does_not_have_is_refused(text: str) -> None:
    reader = Reader()
    assert reader.compose("a.yaml", text) is None
    assert reader.problems
