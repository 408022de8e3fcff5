"""`fenqi compare`: typed terms and a policy's plans, side by side; wrong words are told where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fenqi_server.cli import main

pytestmark = pytest.mark.no_db

PHONE = ["compare", "--price", "6999", "--start", "2026-11-23"]
POLICY = """\
format: fenqi/policy@1
shop: {id: s, name: {zh-CN: 店, en: Shop}, time_zone: Asia/Shanghai, currency: CNY}
funders:
- {id: shop, name: {zh-CN: 店, en: Shop}, kind: shop, own_book: yes}
- {id: card, name: {zh-CN: 卡, en: Card}, kind: acquirer, decides: on_its_page}
families:
- {id: mall, funder: shop, name: {zh-CN: 商城分期, en: Mall instalments}, legal_form: instalment_sale}
- {id: card, funder: card, name: {zh-CN: 银行卡, en: Card}, legal_form: full_payment}
plans:
- {id: mall_3, family: mall, periods: 3, pricing: {kind: zero_interest, borne_by: shop}}
- {id: mall_12, family: mall, periods: 12, pricing: {kind: flat_fee, rate_per_period: 0.6%}}
- {id: card_full, family: card, periods: 1, pricing: {kind: pay_in_full}}
"""


def test_a_typed_rent_is_told_in_a_table_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--rent",
        "499x12",
        "--deposit",
        "1000",
        "--buyout",
        "1600",
        "--resale",
        "5500@1",
        "--resale",
        "3000@12",
    ]
    assert main(PHONE + words) == 0
    said = capsys.readouterr().out
    assert "Renting, bought out" in said
    assert "18.94%" in said
    assert "¥1,989.00 less than renting and giving it back" in said
    assert "before the end of month 5" in said


def test_the_same_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PHONE, "--rent", "499x12", "--lang", "zh-CN"]) == 0
    said = capsys.readouterr().out
    assert "年化（单利）" in said
    assert "比以 ¥6,999.00 买下" in said


def test_programs_get_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PHONE, "--instalments", "500+600x12", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (bought, paid) = found["ways"]
    assert (bought["id"], paid["id"]) == ("buy", "instalments_1")
    # 500 + 12 x 600 = 7700
    assert (paid["paid_minor"], paid["over_price_minor"]) == (770_000, 70_100)
    assert set(found["sentence"]) == {"zh-CN", "en"}


def test_a_policys_plan_at_the_list_price_against_cheaper_cash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    words = [
        "compare",
        "--price",
        "5800",
        "--list-price",
        "6000",
        "--start",
        "2026-11-23",
        "--policy",
        str(tmp_path),
    ]
    assert main([*words, "--json"]) == 0
    by_id = {way["id"]: way for way in json.loads(capsys.readouterr().out)["ways"]}
    assert set(by_id) == {"buy", "mall_3", "mall_12"}
    assert by_id["mall_3"]["over_price_minor"] == 20_000
    assert main([*words, "--plan", "mall_24"]) == 2
    assert "--plan is mall_24: expected one of mall_3, mall_12, card_full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "ways is buying alone"),
        (["--rent", "499"], "--rent is 499: expected AMOUNTxTIMES"),
        (["--rent", "499x0"], "--rent is 499x0"),
        (["--deposit", "1000"], "--deposit is given: expected a rent with it"),
        (["--rent", "499x12", "--deposit", "1000:kept"], "--deposit is 1000:kept"),
        (["--rent", "499x12", "--resale", "3000"], "--resale is 3000: expected AMOUNT@MONTH"),
        (["--rent", "499x12", "--resale", "3000@x"], "--resale is x: expected a whole number"),
        (["--rent", "499x12", "--renewal", "0.8"], "--renewal is 0.8"),
        (["--rent", "499x12", "--start", "23.11."], "--start is 23.11."),
        (
            ["--rent", "499x12", "--start", "9999-06-01"],
            "--start is 9999-06-01: expected a date of the calendar",
        ),
        (
            ["--rent", "499x12", "--start", "0001-06-01"],
            "--start is 0001-06-01: expected a date of the calendar",
        ),
        (["--plan", "a"], "--plan is a: expected a policy with it"),
        (["--instalments", "12"], "--instalments is 12"),
        (["--rent", "4.999x12"], "--rent is 4.999"),
    ],
)
def test_wrong_words_are_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PHONE + words) == 2
    assert said in capsys.readouterr().err
