"""`fenqi reconcile`: from the file to the bank, at a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.reconciliation.test_reconciling import BATCH, line, pay
from tests.reconciliation.test_statement import own
from tests.servicing.opened import AT, make_customer, make_shop, open_one

from fenqi_server import clock
from fenqi_server.cli import main

Run = Callable[..., Any]


@pytest.fixture
def run(db: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_OWNER_URL", "")

    def said(*words: str, code: int = 0) -> Any:
        with clock.pinned(AT):
            assert main(["reconcile", *words, "--shop", "corner"]) == code
        caught = capsys.readouterr()
        return json.loads(caught.out) if code == 0 else caught.err

    return said


def test_a_statement_is_tried_imported_and_arrives(run: Run, tmp_path: Path) -> None:
    shop = make_shop("corner")
    contract = open_one(shop, make_customer(shop))
    pay(shop, contract, "p-1")
    file = tmp_path / "bill.csv"
    file.write_bytes(own(line("p-1", fee=300)))
    words = ("import", str(file), "--layout", "own", "--settlement", BATCH, "--actor", "ann")
    assert run(*words, "--dry-run")["statement"] is None
    done = run(*words)
    assert (done["matched"], done["breaks"], done["fee_minor"], done["repeated"]) == (1, {}, 300, False)
    assert run(*words)["repeated"] is True
    assert run("breaks") == {"shop": "corner", "breaks": []}
    assert run("match", BATCH, "--actor", "ann")["newly_matched"] == 0
    assert run("arrived", BATCH, "--actor", "ann")["bank_minor"] == 49_700
    assert "booked already" in run("arrived", BATCH, "--actor", "ann", code=1)


def test_every_wrong_line_is_said_and_nothing_is_kept(run: Run, tmp_path: Path) -> None:
    make_shop("corner")
    file, layout = tmp_path / "bill.csv", tmp_path / "bank.json"
    file.write_bytes(own("p-1,x,CNY,2026-11-23,,", "p-2,1,CNY,soon,,"))
    words = ("import", str(file), "--settlement", BATCH, "--actor", "ann", "--layout")
    said = run(*words, "own", code=2)
    assert "line 2, amount is x" in said
    assert "line 3, date is soon" in said
    layout.write_text('{"name": "bank"}')
    assert "layout" in run(*words, str(layout), code=2)
    assert "one of alipay, wechat, own" in run(*words, "paypal", code=2)
    file.write_bytes(own(line("p-1")))
    run(*words, "own")
    (each,) = run("breaks")["breaks"]
    assert (each["kind"], each["reference"], each["theirs_minor"]) == ("missing_ours", "p-1", 50_000)
