"""`fenqi decisions replay`: every recorded decision again, and a touched record found."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.api.world import AT, GROWN_UP, PHONE, make_world

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
