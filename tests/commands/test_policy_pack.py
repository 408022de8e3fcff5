"""`fenqi policy pack`: what comes with this version can be found, read and tried."""

from __future__ import annotations

import json

import pytest

from fenqi_server.cli import main

pytestmark = pytest.mark.no_db


def test_packs_are_listed_with_their_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "pack", "list"]) == 0
    assert "cn-mainland    2026-11" in capsys.readouterr().out


def test_a_pack_shows_what_each_rule_rests_on_and_what_is_unread(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "pack", "show", "cn-mainland"]) == 0
    shown = capsys.readouterr().out
    assert "cn.consumer_finance_line  (law, AMOUNT_HIGH)\n" in shown
    assert "cn.adult  (law, UNDERAGE)  [unconfirmed]" in shown
    assert "金规〔2025〕9号, 2025-10-01" in shown


def test_a_packs_cases_are_played(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "pack", "test", "eu", "--json"]) == 0
    played = json.loads(capsys.readouterr().out)
    assert {one["rule"] for one in played} == {"eu.adult", "eu.creditworthiness", "eu.cost_cap", "eu.consent"}
    assert all(one["expected"] is one["refused"] for one in played)


def test_a_pack_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "pack", "show", "cn"]) == 2
    assert "PACK is cn: expected one of cn-mainland, eu" in capsys.readouterr().err
