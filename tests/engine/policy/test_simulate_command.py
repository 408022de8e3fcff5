"""`fenqi policy simulate`: a table for people, whole JSON for programs, and files that are refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import polars as pl
import pytest

from fenqi.policy.compile import compile_policy
from fenqi.policy.document import load_policy
from fenqi_server.cli import main

from .test_columns import BENCH, bench_policy, bench_rows

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bench's policy with an older age, a dearer plan and without a pause."""
    folder = tmp_path_factory.mktemp("after")
    text = (BENCH / "bench.yaml").read_text()
    for old, new in (
        ("customer.age >= 18", "customer.age >= 20"),
        ("{kind: flat_fee, total_rate: 4.5%}", "{kind: flat_fee, total_rate: 4.6%}"),
        (", rules: [strategy.north]", ""),
    ):
        assert old in text
        text = text.replace(old, new)
    lines = [line for line in text.splitlines() if "{id: strategy.north," not in line]
    (folder / "policy.yaml").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same 1,500 checkouts as .parquet, .csv and .jsonl."""
    folder = tmp_path_factory.mktemp("checkouts")
    chance = Random(17)
    rows = bench_rows(bench_policy(), 1_500, chance, unknown=0.03)
    for row in rows:
        row |= {"cart.kinds": frozenset({"goods"}), "card.kind": "credit", "cart.line_count": 2}
        row["cart.amount"] = chance.randint(100_000, 900_000)
        for name in ("cart.categories", "cart.sellers"):
            row[name] = frozenset()
    named = [{"decision": f"dc_{number}", **row} for number, row in enumerate(rows)]
    plain = [{k: sorted(v) if isinstance(v, frozenset) else v for k, v in row.items()} for row in named]
    (folder / "c.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, plain)) + b"\n")
    typed = pl.DataFrame(plain, infer_schema_length=None)
    typed.write_parquet(folder / "c.parquet")
    lists = [name for name, dtype in typed.schema.items() if isinstance(dtype, pl.List)]
    typed.with_columns(
        pl.when(pl.col(name).list.len() == 0)
        .then(pl.lit("[]"))
        .otherwise(pl.col(name).cast(pl.List(pl.String)).list.join("|"))
        .alias(name)
        for name in lists
    ).write_csv(folder / "c.csv")
    return folder


def simulate(after: Path, table: Path, *more: str, before: Path = BENCH) -> int:
    return main(
        [
            "policy",
            "simulate",
            "--before",
            str(before),
            "--after",
            str(after),
            "--checkouts",
            str(table),
            *more,
        ]
    )


def test_all_three_kinds_of_file_say_the_same(after: Path, tables: Path, capsys: Captured) -> None:
    said = []
    for kind in ("parquet", "csv", "jsonl"):
        assert simulate(after, tables / f"c.{kind}", "--json") == 0
        said.append(json.loads(capsys.readouterr().out))
    assert said[0] == said[1] == said[2]
    found = said[0]
    assert found["carts"]["carts"] == 1_500
    by_plan = {plan["plan"]: plan for plan in found["plans"]}
    assert by_plan["wallet_6"]["changed"]["carts"] > 0
    assert by_plan["wallet_6"]["cost"]["cheaper"] == 0
    assert by_plan["east_12"]["blocked_by"][0]["rule"] == "law.adult"
    assert by_plan["north_12"]["freed_from"][0]["rule"] == "strategy.north"
    assert by_plan["east_12"]["lost_witnesses"][0]["decision"].startswith("dc_")
    loaded = load_policy(after)
    assert loaded.snapshot is not None
    assert found["after"] == compile_policy(loaded.snapshot).digest


def test_the_table_says_who_gains_who_loses_why_and_what_it_costs(
    after: Path, tables: Path, capsys: Captured
) -> None:
    assert simulate(after, tables / "c.parquet") == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split() == ["plan", "offered", "before", "offered", "after", "gained", "lost", "changed", "total", "to", "pay", "yearly", "cost"]  # fmt: skip
    wallet = next(line for line in lines if line.startswith("wallet_6 "))
    assert "+¥" in wallet
    assert wallet.endswith(" pp")
    assert "unchanged: card_full" in captured.out
    assert "  law.adult stands in the way of " in captured.out
    assert "  strategy.north stood in the way of " in captured.out
    assert ", now unavailable because of law.adult" in captured.out
    assert "unavailable because of strategy.north, now the funder decides" in captured.out
    assert "  channel.kind: " in captured.out
    assert captured.err == ""  # no bar where nobody looks


def test_the_table_speaks_chinese(after: Path, tables: Path, capsys: Captured) -> None:
    assert simulate(after, tables / "c.parquet", "--locale", "zh-CN") == 0
    said = capsys.readouterr().out
    assert said.startswith("方式")
    assert "law.adult 挡住其中" in said
    assert "现因 law.adult 为不可用" in said


def test_all_can_be_asked_at_one_instant_and_told_apart_by_other_facts(
    after: Path, tables: Path, capsys: Captured
) -> None:
    more = ("--at", "2026-11-23T12:00", "--segment", "customer.student", "--json")
    assert simulate(after, tables / "c.parquet", *more) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["at"] == 1_795_406_400
    assert {segment["fact"] for segment in found["segments"]} == {"customer.student"}
    # At noon on the 23rd the pause of the one policy is on for everybody.
    north = next(plan for plan in found["plans"] if plan["plan"] == "north_12")
    assert north["offered_before"]["carts"] == 0
    assert north["gained"]["carts"] == north["offered_after"]["carts"] > 0


def test_the_same_policy_changes_nothing(tables: Path, capsys: Captured) -> None:
    assert simulate(BENCH, tables / "c.parquet") == 0
    assert capsys.readouterr().out == "Nothing comes out otherwise.\n"


def test_what_neither_policy_knows_is_refused_or_counted(
    after: Path, tables: Path, tmp_path: Path, capsys: Captured
) -> None:
    table = pl.read_parquet(tables / "c.parquet").head(3)
    table = table.with_columns(
        pl.Series("card.bank", ["south", None, "east"]), pl.Series("funder.gone.health", ["up", None, "up"])
    )
    table.write_parquet(tmp_path / "old.parquet")
    assert simulate(after, tmp_path / "old.parquet") == 2
    refused = capsys.readouterr().err
    assert (
        f"{tmp_path}/old.parquet: column card.bank, row 1 is south: expected one of east, north, other"
        in refused
    )
    assert simulate(after, tmp_path / "old.parquet", "--lenient", "--json") == 0
    assert json.loads(capsys.readouterr().out)["unknown_made"] == {"card.bank": 1, "funder.gone.health": 2}
    assert simulate(after, tmp_path / "old.parquet", "--lenient") == 0
    assert "card.bank: 1 values that neither policy knows count as unknown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("c.xlsx", b"", "--checkouts is {path}: expected a .parquet, .csv or .jsonl file"),
        ("none.csv", None, "--checkouts is {path}: expected a file that can be read"),
        ("c.parquet", b"no", "--checkouts is {path}: expected a .parquet file: "),
        ("c.csv", b"clock.now,cart.amount\n", "--checkouts is {path}, which has no rows: expected a row for each checkout"),
        ("c.jsonl", b'{"clock.now": 1795406400, "cart.amount": "\xc2\xa55"}\n', "{path}: column cart.amount, row 1 is ¥5: expected whole numbers"),
        ("d.csv", b"clock.now,cart.amuont\n1795406400,5\n", "{path}: column is cart.amuont: expected a fact of the policy's vocabulary; did you mean cart.amount?"),
        ("e.csv", b"cart.amount\n5\n", "{path}: column clock.now is missing"),
        ("f.csv", b"clock.now\n1795406400\n", "column cart.amount is missing: expected the amount of every cart"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_of_checkouts_is_named(
    after: Path, tmp_path: Path, capsys: Captured, name: str, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert simulate(after, path) == 2
    assert sentence.replace("{path}", str(path)) in capsys.readouterr().err


def test_other_bad_input_is_named_too(after: Path, tables: Path, capsys: Captured) -> None:
    for more, sentence in (
        (("--at", "tomorrow"), "--at is tomorrow: expected a date or a time in Asia/Shanghai"),
        (("--at", "2400-01-01"), "--at is 2400-01-01: expected an instant of the years 2000 to 2199"),
        (("--segment", "cart.amount"), "segment is cart.amount, a money: expected an enum"),
        (("--segment", "customer.shoe"), "segment is customer.shoe: expected a fact that was recorded"),
    ):
        assert simulate(after, tables / "c.parquet", *more) == 2
        assert sentence in capsys.readouterr().err
    assert simulate(tables, tables / "c.parquet") == 2  # a folder without a policy
    assert simulate(after, tables / "c.parquet", before=tables / "nowhere") == 2


def test_without_the_extra_it_says_what_to_install(after: Path, tables: Path) -> None:
    words = [
        "policy",
        "simulate",
        "--before",
        str(BENCH),
        "--after",
        str(after),
        "--checkouts",
        str(tables / "c.csv"),
    ]
    code = f"import sys; sys.modules['polars'] = None; from fenqi_server.cli import main; sys.exit(main({words!r}))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.returncode == 1
    assert "pip install 'fenqi[simulate]'" in said.stderr
