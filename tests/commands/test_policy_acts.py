"""`fenqi policy stop|pause|window|extend|end|afterwards|audit`, on a shop that an operator made from the examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands.test_operating import POLICY, Operator, corner, folder, operator  # noqa: F401

WHO = ("--shop", "corner", "--actor", "ann", "--reason", "a test")
WHY = ("--zh", "账务系统升级。", "--en", "The accounts are being upgraded.")


@pytest.fixture
def open_corner(corner: Operator, folder: Path) -> Operator:  # noqa: F811
    corner.does("policy", "publish", folder, "--shop", "corner", "--actor", "ann")
    return corner


def _history(open_corner: Operator) -> int:
    return len(open_corner.does("policy", "history", "--shop", "corner")["publications"])


def test_a_plan_is_stopped_and_looked_at_by_someone_else(open_corner: Operator) -> None:
    made = open_corner.does("policy", "stop", "corner_6", *WHO)
    assert (made["kind"], made["actor"], made["review_by"]) == (
        "stop",
        "cli:ann",
        "2026-11-25T10:00:00+08:00",
    )
    close = (
        "policy",
        "afterwards",
        made["publication"],
        "--shop",
        "corner",
        "--verdict",
        "right",
        "--reason",
        "x",
    )
    assert "someone else" in open_corner.is_refused(*close, "--actor", "ann")
    waiting = open_corner.does("policy", "afterwards", "--shop", "corner")["waiting"]
    assert [line["publication"] for line in waiting] == [made["publication"]]
    assert open_corner.does(*close, "--actor", "bob")["waiting"] == []


def test_a_window_is_planned_extended_and_ended(open_corner: Operator) -> None:
    made = open_corner.does(
        "policy",
        "window",
        "corner_3",
        "corner_6",
        "--from",
        "2026-12-01T22:00",
        "--until",
        "2026-12-02T02:00",
        *WHO,
        *WHY,
    )
    assert (made["kind"], made["rule"]) == ("window", "maintenance.corner_3.20261201")
    open_corner.does("policy", "extend", made["rule"], "--until", "2026-12-02T04:00", *WHO)
    open_corner.does("policy", "end", made["rule"], *WHO)
    # It had not begun, so it is gone and there is nothing to extend.
    assert made["rule"] in open_corner.is_refused(
        "policy", "extend", made["rule"], "--until", "2026-12-03", *WHO
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stop", "corner_7", *WHO), "plan is corner_7: expected one of"),
        (("pause", "corner_7", *WHO, *WHY), "plans is corner_7: expected one of"),
        (("pause", "corner_6", *WHO, "--zh", "维护。", "--en", " "), "in both languages"),
        (
            ("window", "corner_6", "--from", "2026-12-02T02:00", "--until", "2026-12-01T22:00", *WHO, *WHY),
            "expected an instant after",
        ),
        (
            ("window", "corner_6", "--from", "tomorrow", "--until", "2026-12-01", *WHO, *WHY),
            "--from is tomorrow",
        ),
        (("extend", "nothing", "--until", "2026-12-01", *WHO), "rule is nothing"),
        (("stop", "corner_6", "--shop", "corner", "--actor", "ann", "--reason", " "), "--reason is"),
        (
            ("afterwards", "x", "--shop", "corner", "--actor", "bob", "--reason", "x", "--verdict", "right"),
            "ID is x",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    open_corner: Operator, words: tuple[str, ...], said: str
) -> None:
    before = _history(open_corner), open_corner.does("policy", "audit", "--shop", "corner", "--verify")
    assert said in open_corner.is_refused("policy", *words)
    assert (
        _history(open_corner),
        open_corner.does("policy", "audit", "--shop", "corner", "--verify"),
    ) == before


def test_the_log_is_shown_and_verified(open_corner: Operator) -> None:
    open_corner.does("policy", "pause", "corner_6", *WHO, *WHY)
    entries = open_corner.does("policy", "audit", "--shop", "corner")["entries"]
    assert [(entry["act"], entry["actor"], entry["reason"]) for entry in entries[:1]] == [
        ("policy.publish", "cli:ann", "a test")
    ]
    found = open_corner.does("policy", "audit", "--shop", "corner", "--verify")
    assert (found["whole"], found["head"]) == (True, entries[0]["digest"])
