"""`fenqi policy draft`: from the files in force to a publication, with somebody else's eyes between."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands.test_operating import POLICY, Operator, corner, folder, operator  # noqa: F401

SHOP = ("--shop", "corner")
ANN, BOB = ("--actor", "ann"), ("--actor", "bob")


@pytest.fixture
def open_corner(corner: Operator, folder: Path) -> Operator:  # noqa: F811
    corner.does("policy", "publish", folder, *SHOP, *ANN)
    return corner


def test_a_change_goes_from_draft_to_publication(open_corner: Operator, tmp_path: Path) -> None:
    made = open_corner.does("policy", "draft", "new", *SHOP, *ANN, "--title", "a new owner")
    name, there = made["draft"], tmp_path / "draft"
    assert open_corner.does("policy", "draft", "files", name, str(there), *SHOP)["files"]
    files = sorted(there.rglob("*.yaml"))
    for file in files:
        file.write_text(file.read_text().replace("owner: ", "owner: our-"))
    edited = open_corner.does("policy", "draft", "edit", name, str(there), *SHOP, *ANN)
    assert (edited["revision"], edited["problems"]) == (2, [])
    assert edited["changes"]
    assert not any(change["availability"] for change in edited["changes"]), "another owner changes no answer"
    open_corner.does("policy", "draft", "submit", name, *SHOP, *ANN, "--reason", "they look after it")
    published = open_corner.does("policy", "draft", "publish", name, *SHOP, *BOB)
    assert published["percent"] == 100
    assert open_corner.does("policy", "draft", "list", *SHOP)["drafts"][0]["state"] == "published"


def test_what_is_wrong_in_the_files_is_said_and_not_published(open_corner: Operator, tmp_path: Path) -> None:
    name = open_corner.does("policy", "draft", "new", *SHOP, *ANN, "--title", "a slip")["draft"]
    there = tmp_path / "draft"
    open_corner.does("policy", "draft", "files", name, str(there), *SHOP)
    (there / "more.yaml").write_text("rules:\n- {id: r, layer: lawn}\n")
    edited = open_corner.does("policy", "draft", "edit", name, str(there), *SHOP, *ANN)
    assert any(problem.startswith("more.yaml:2:") for problem in edited["problems"])
    open_corner.is_refused("policy", "draft", "publish", name, *SHOP, *BOB)
    assert len(open_corner.does("policy", "history", *SHOP)["publications"]) == 1


def test_nobody_approves_their_own_and_ids_are_those_of_drafts(open_corner: Operator) -> None:
    name = open_corner.does("policy", "draft", "new", *SHOP, *ANN, "--title", "mine")["draft"]
    open_corner.is_refused("policy", "draft", "approve", name, *SHOP, *ANN, "--layer", "law")
    assert "a draft's id" in open_corner.is_refused("policy", "draft", "show", "nothing", *SHOP)
    unknown = "00000000-0000-7000-8000-000000000000"
    assert "a draft of this shop" in open_corner.is_refused("policy", "draft", "show", unknown, *SHOP)
