"""`fenqi decisions replay`: every recorded decision again, and a touched record found."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import polars as pl
import pytest
from tests.api.world import AT, GROWN_UP, PHONE, make_world

from fenqi.checkout.columns import decide_columns
from fenqi.policy.columns import checkouts_of
from fenqi_server.cli import main
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions


@pytest.fixture
def shop(db: Any, at: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_OWNER_URL", "")
    return make_world()


def told(capsys: Any, *words: str) -> tuple[int, Any, str]:
    code = main(["decisions", "replay", *words])
    caught = capsys.readouterr()
    return code, json.loads(caught.out) if caught.out else None, caught.err


def test_all_of_them_are_identical_and_one_that_was_touched_is_named(shop, capsys):
    made = [decisions.evaluate(shop.shop, shop.customer_id, [PHONE], "web", GROWN_UP, AT) for _ in range(3)]
    # Those of one instant have ids in no order: the touched one comes after all of them.
    decision = max(made, key=lambda each: each.id.int)
    code, said, _ = told(capsys, "--shop", "mall")
    assert (code, said["replayed"], said["identical"], said["differing"]) == (0, 3, 3, [])
    record = log.read(shop.customer_id, decision.id)
    assert record is not None
    verdicts = msgspec.json.decode(record.verdicts) | {"mall_12": ["unavailable", ["UNDERAGE"]]}
    name = type(decision.id)(int=decision.id.int + 1)
    log.insert(
        [
            msgspec.structs.replace(
                record, decision_id=name, verdicts=msgspec.Raw(msgspec.json.encode(verdicts))
            )
        ]
    )
    code, said, _ = told(capsys, "--shop", "mall", "--newest", "2")
    assert (code, said["replayed"], said["identical"]) == (1, 2, 1)
    (differing,) = said["differing"]
    assert differing["plans"] == ["mall_12"]
    assert differing["decision"].startswith("dc_")


@pytest.mark.parametrize("newest", ["0", "-1", "all", "1.5"])
def test_a_number_that_is_none_is_refused(shop, capsys, newest):
    code, said, error = told(capsys, "--shop", "mall", f"--newest={newest}")
    assert (code, said) == (2, None)
    assert f"--newest is {newest}: expected a whole number from 1" in error


def test_a_shop_that_is_not_there_is_refused(shop, capsys):
    assert told(capsys, "--shop", "none")[0] == 2


def exported(capsys: Any, *words: str) -> tuple[int, Any, str]:
    code = main(["decisions", "export", *words])
    caught = capsys.readouterr()
    return code, json.loads(caught.out) if caught.out else None, caught.err


def test_checkouts_are_exported_as_they_were_recorded_and_decided_again_in_columns(shop, capsys, tmp_path):
    made = [
        decisions.evaluate(shop.shop, shop.customer_id, [PHONE], channel, facts, AT)
        for channel, facts in (("web", GROWN_UP), ("app", {**GROWN_UP, "customer.age": 16}), ("web", {}))
    ]
    path = tmp_path / "week.parquet"
    code, said, _ = exported(capsys, "--shop", "mall", "--parquet", str(path))
    assert (code, said["checkouts"]) == (0, 3)
    policy = made[0].policy
    checkouts = checkouts_of(pl.read_parquet(path), policy.vocabulary, policy.zone, lenient=True)
    states = decide_columns(policy, checkouts).states
    by_name = {decision.public_id: decision for decision in made}
    assert {checkouts.row_name(row) for row in range(3)} == set(by_name)
    for row in range(3):
        evaluation = by_name[checkouts.row_name(row)].evaluation
        assert states.row(row, named=True) == {
            option.plan: option.verdict.state for option in evaluation.options
        }
    assert len({states.row(row) for row in range(3)}) == 2  # the child's differs
    code, said, _ = exported(
        capsys, "--shop", "mall", "--parquet", str(tmp_path / "two.parquet"), "--newest", "2"
    )
    assert (code, said["checkouts"]) == (0, 2)


def test_an_export_overwrites_nothing_and_says_where_there_is_nothing(shop, capsys, tmp_path):
    (tmp_path / "there.parquet").write_text("mine")
    for file, expected in (
        ("there.parquet", "a file that is not there yet"),
        ("no/x.parquet", "a file in a folder that there is"),
    ):
        code, _, error = exported(capsys, "--shop", "mall", "--parquet", str(tmp_path / file))
        assert code == 2
        assert f"expected {expected}" in error
    assert (tmp_path / "there.parquet").read_text() == "mine"
    code, _, error = exported(capsys, "--shop", "mall", "--parquet", str(tmp_path / "x.parquet"))
    assert (code, error) == (1, "fenqi: shop mall has recorded no decision yet\n")
    assert not list(tmp_path.glob("x.parquet*"))
