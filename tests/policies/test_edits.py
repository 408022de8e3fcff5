"""An edit by program changes what it is about and nothing else: comments, order and the other words stay."""

from __future__ import annotations

import difflib
from importlib.resources import files as resource_files
from typing import Any

import pytest

from fenqi.policy.document import read_policy
from fenqi.policy.snapshot import digest
from fenqi.problems import BadInput
from fenqi_server.policies import edits

pytestmark = pytest.mark.no_db
FOLDER = resource_files("fenqi_server.demo") / "policy"
FILES = {path.name: path.read_text() for path in FOLDER.iterdir() if path.name.endswith(".yaml")}
LONGER = {"blocked": {"from": "2026-11-23T22:00", "to": "2026-11-24T04:00"}}


def lines(before: Any, after: Any) -> list[str]:
    found = []
    for name in sorted({*before, *after}):
        shown = difflib.unified_diff(
            before.get(name, "").splitlines(), after.get(name, "").splitlines(), lineterm="", n=0
        )
        found += [line for line in shown if not line.startswith(("---", "+++", "@@"))]
    return found


def test_a_changed_window_is_one_line_of_difference() -> None:
    assert lines(FILES, edits.change(FILES, "rules", "maintenance.mall", LONGER)) == [
        "-    blocked: {from: 2026-11-23T22:00, to: 2026-11-24T02:00}",
        "+    blocked: {from: 2026-11-23T22:00, to: 2026-11-24T04:00}",
    ]


def test_there_and_back_is_the_same_policy() -> None:
    there = edits.change(FILES, "rules", "maintenance.mall", LONGER)
    kept = edits.entry(FILES, "rules", "maintenance.mall")
    assert kept is not None
    back = edits.change(there, "rules", "maintenance.mall", {"blocked": kept["blocked"]})
    snapshots = [read_policy(files).snapshot for files in (FILES, back)]
    assert all(snapshot is not None for snapshot in snapshots)
    assert len({digest(snapshot) for snapshot in snapshots if snapshot is not None}) == 1


def test_words_that_look_like_something_else_stay_words() -> None:
    made = edits.add({}, "rules", {"id": "no", "owner": "012", "daily": {"from": "22:30", "to": "no"}})
    again = edits.change(made, "rules", "no", {"layer": "strategy"})
    assert edits.entry(again, "rules", "no") == {
        "id": "no",
        "owner": "012",
        "daily": {"from": "22:30", "to": "no"},
        "layer": "strategy",
    }


def test_a_new_entry_goes_to_the_changes_and_out_again() -> None:
    with_it = edits.add(FILES, "placements", {"id": "p", "applies": {"plan": "mall_3"}, "rank": "900"})
    assert set(with_it) - set(FILES) == {edits.CHANGES_FILE}
    snapshot = read_policy(with_it).snapshot
    assert snapshot is not None
    assert snapshot.placements[-1].rank == 900
    without = edits.remove(with_it, "placements", "p")
    assert edits.entry(without, "placements", "p") is None
    left = read_policy(without).snapshot
    assert left is not None
    assert len(left.placements) == len(snapshot.placements) - 1


def test_a_comment_beside_what_is_changed_stays() -> None:
    text = "rules:\n# why we do it\n- id: r  # this one\n  owner: a  # who\n  layer: cart\n"
    assert edits.change({"a.yaml": text}, "rules", "r", {"owner": "b"})["a.yaml"].count("#") == 3


def _comments(files: Any) -> list[str]:
    return [
        line.strip() for name in sorted(files) for line in files[name].splitlines() if line.strip()[:1] == "#"
    ]


@pytest.mark.parametrize(
    "name", ["cart.mixed", "health.acquirer", "law.adult", "maintenance.beichen_nightly"]
)
def test_what_is_removed_takes_no_comment_of_its_neighbours_along(name: str) -> None:
    left = edits.remove(FILES, "rules", name)
    assert _comments(left) == _comments(FILES)
    before, after = read_policy(FILES).snapshot, read_policy(left).snapshot
    assert before is not None
    if after is not None:  # a notice that named the rule would miss it
        assert [rule for rule in before.rules if rule.id != name] == list(after.rules)
    assert edits.entry(left, "rules", name) is None


def test_the_last_entry_goes_with_its_section() -> None:
    text = "# top\nrules:\n  - id: a  # one\n    owner: b\n# end\nplans:\n  - id: p\n"
    assert edits.remove({"a.yaml": text}, "rules", "a") == {"a.yaml": "# top\n# end\nplans:\n  - id: p\n"}


@pytest.mark.parametrize(
    "act",
    [
        lambda: edits.add(FILES, "rules", {"id": "maintenance.mall"}),
        lambda: edits.change(FILES, "rules", "nothing", {"owner": "x"}),
        lambda: edits.remove(FILES, "notices", "nothing"),
    ],
)
def test_a_place_that_is_not_there_or_taken_is_named(act: Any) -> None:
    with pytest.raises(BadInput, match=r"^(rules|notices)\.(nothing|maintenance.mall) is "):
        act()
