"""`fenqi schedule`: tables and JSON out, and what is wrong named on standard error with exit code 2."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from fenqi_server.cli import main

WORDS = {"zh-CN": "逾期利息", "en": "Late interest"}


def answer(capsys: pytest.CaptureFixture[str], words: str, *more: str) -> dict[str, Any]:
    if words.startswith("schedule"):
        more = (*more, "--json")
    assert main([*words.split(), *more]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    found: dict[str, Any] = json.loads(said.out)
    return found


def refusal(capsys: pytest.CaptureFixture[str], words: str, *more: str) -> str:
    assert main([*words.split(), *more]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_schedule_from_options(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(
        capsys, "schedule --amount 6000 --currency CNY --periods 12 --flat-fee 0.006 --start 2026-11-23"
    )
    assert (found["fee_minor"], found["total_minor"]) == (43_200, 643_200)
    assert [cost["percent"] for cost in found["annual_cost"]] == ["13.03", "13.84"]
    assert found["rows"][0] == {
        "number": 1,
        "kind": "instalment",
        "due_on": "2026-12-23",
        "principal_minor": 50_000,
        "fee_minor": 3_600,
        "total_minor": 53_600,
    }


@pytest.mark.parametrize(
    ("words", "fee_minor", "rows"),
    [
        ("--periods 12 --total-fee 7.2%", 43_200, 12),
        ("--periods 3 --zero --unit week --every 2", 0, 3),
        ("--periods 12 --annuity 7.2% --down 30% --defer 1", 16_560, 13),
        ("--periods 12 --flat-fee 0.6% --down ¥1000 --residue last", 36_000, 13),
        ("--in-full", 0, 1),
        # All of the ¥432 at the start, in a row of its own; half of it borne by the shop.
        ("--periods 12 --flat-fee 0.6% --fee-timing up_front", 43_200, 13),
        ("--periods 12 --flat-fee 0.6% --bearers customer=50%,shop=50%", 21_600, 12),
        ("--periods 12 --flat-fee 0.01% --fee-minimum 50", 5_000, 12),
        # 2 % of ¥6,000, 12 x 0.1 % of it, and ¥5.
        ("--periods 12 --zero --fee a=2%@up_front --fee b=0.1%/period --fee c=5@at_end", 19_700, 13),
        # 0.6 % of ¥6,000, 12 times; of ¥6,000, ¥5,500, ... ¥500: 78 x ¥3.
        ("--periods 12 --interest-only 7.2%", 43_200, 12),
        ("--periods 12 --flat-interest 7.2%", 43_200, 12),
        ("--periods 12 --equal-principal 7.2%", 23_400, 12),
        # ¥1,200 with the last: ¥36, ¥33.6, ... in equal steps to ¥9.6, of 12.
        ("--periods 12 --equal-principal 7.2% --balloon 20%", 27_360, 12),
        # Two months more of ¥36.
        ("--periods 12 --equal-principal 7.2% --defer 2 --defer-interest first_bill", 30_600, 12),
        ("--periods 12 --interest-only 7.2% --interest-free 2", 36_000, 12),
    ],
)
def test_each_kind_of_plan(capsys: pytest.CaptureFixture[str], words: str, fee_minor: int, rows: int) -> None:
    found = answer(capsys, f"schedule --amount 6000 --start 2026-11-23 {words}")
    assert (found["fee_minor"], len(found["rows"])) == (fee_minor, rows)


def test_dates_by_due_day_holiday_and_half_month(capsys: pytest.CaptureFixture[str]) -> None:
    def dates(words: str) -> list[str]:
        found = answer(capsys, f"schedule --amount 6000 --periods 3 --zero {words}")
        return [row["due_on"] for row in found["rows"]]

    assert dates("--start 2026-11-23 --due-day 10 --min-first-days 20") == [
        "2027-01-10",
        "2027-02-10",
        "2027-03-10",
    ]
    assert dates("--start 2026-09-01 --holiday following") == ["2026-10-08", "2026-11-02", "2026-12-01"]
    assert dates("--start 2026-12-31 --unit half_month")[:2] == ["2027-01-15", "2027-01-31"]


def test_a_schedule_for_people_lines_up_and_sums_up(capsys: pytest.CaptureFixture[str]) -> None:
    terms = (
        "schedule --amount 6000 --periods 3 --flat-fee 0.6% --down 30% --start 2026-08-01 --holiday following"
    )
    more = "--fee guarantee=2%@up_front --bearers customer=50%,brand=50%"
    assert main([*terms.split(), *more.split()]) == 0
    assert (
        capsys.readouterr().out
        == """\
no.   due         principal  charges     to pay
down  2026-08-01  ¥1,800.00   ¥84.00  ¥1,884.00
1     2026-09-01  ¥1,400.00   ¥12.60  ¥1,412.60
2     2026-10-08  ¥1,400.00   ¥12.60  ¥1,412.60
3     2026-11-02  ¥1,400.00   ¥12.60  ¥1,412.60

price ¥6,000.00, down ¥1,800.00, financed ¥4,200.00
charges ¥121.80, to pay in all ¥6,121.80
of these instalment_fee: ¥37.80, to shop
of these guarantee: ¥84.00, to guarantee
the brand bears ¥37.80 beside that
cost in a year: 17.67% simple, 19.17% compounded
due dates by the business calendar cn@2026
"""
    )
    assert main([*terms.split(), "--lang", "zh-CN", "--fee-timing", "up_front"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("期次")
    assert "首付" in said
    assert "息费¥75.60，合计应付¥6,075.60" in said


def test_a_schedule_from_a_file_is_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    plan = {"periods": 12, "pricing": {"kind": "flat_fee", "rate_per_period": "0.006"}}
    terms = {"plan": plan, "amount": "6000", "currency": "CNY", "start_on": "2026-11-23"}
    file.write_text(json.dumps(terms), encoding="utf-8")
    options = "schedule --amount 6000 --periods 12 --flat-fee 0.006 --start 2026-11-23"
    assert answer(capsys, f"schedule {file}") == answer(capsys, options)
    assert "no option beside a file" in refusal(capsys, f"schedule {file} --zero")


LEASE = {
    "plan": {
        "periods": 12,
        "pricing": {
            "kind": "lease",
            "rent": {"amount_minor": 49_900},
            "paid": "in_advance",
            "goods": "new",
            "minimum_periods": 6,
            "deposit": {"amount_minor": 100_000, "at_end": "credited", "release_days": 3},
            "buyout": {"amount_minor": 160_000, "early": {"formula": "maturity_plus_unpaid_rent"}},
            "renewal": {"coefficient": "0.8"},
        },
    },
    "amount": "6999",
    "start_on": "2026-11-23",
}


def test_a_lease_by_each_of_its_ways(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "lease.json"
    file.write_text(json.dumps(LEASE), encoding="utf-8")

    def told(*more: str) -> dict[str, Any]:
        return answer(capsys, "schedule", str(file), *more)

    owned = told()
    assert (owned["total_minor"], owned["annual_cost"][0]["percent"]) == (758_800, "18.94")
    assert owned["lease"]["path"] == "buy_out"
    # 7 rents by 23 May, 1600 and 5 rents less the deposit of 1000.
    early = told("--ending", "early_buy_out@2027-05-23")
    assert (early["rows"][-1]["kind"], early["rows"][-1]["total_minor"]) == ("buyout", 309_500)
    back = told("--ending", "return")
    assert (back["total_minor"], back["annual_cost"][0]["undefined"]) == (598_800, "no_ownership")
    # 12 x 499 and 2 x 399.20
    assert told("--ending", "renew@2")["total_minor"] == 678_640
    # The sheet is of the lease as it is offered, whatever way was asked for.
    assert early["sheet"] == owned["sheet"]

    assert main(["schedule", str(file), "--ending", "return@2027-06-01"]) == 0
    shown = capsys.readouterr().out
    # The seventh month began on 23 May: 7 rents.
    assert "given back; rents ¥3,493.00" in shown
    assert "Rents and price: A year's rents of ¥5,988.00" in shown
    assert "no cost in a year: nothing is owned at the end" in shown
    assert main(["schedule", str(file), "--ending", "sell"]) != 0
    assert "return, return@DATE, buy_out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("schedule", "--amount is missing"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3", "--flat-fee"),
        ("schedule --amount -5 --start 2026-12-01 --periods 3 --zero", "0 or more"),
        ("schedule --amount 5.001 --start 2026-12-01 --periods 3 --zero", "--amount is 5.001"),
        ("schedule --amount $5 --start 2026-12-01 --periods 3 --zero", "an amount in CNY"),
        ("schedule --amount 5 --start 2026-13-01 --periods 3 --zero", "--start is 2026-13-01"),
        ("schedule --amount 5 --start 2026-12-01 --periods 0 --zero", "--periods is 0"),
        ("schedule --amount 5 --start 2026-12-01 --periods x --zero", "--periods is x"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --annuity -0.01", "--annuity is -0.01"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --down 5", "more than the down payment"),
        ("schedule --amount 5 --start 9999-12-01 --periods 3 --zero", "--start is 9999-12-01: expected a date of the calendar from 1970-01-01 to 2199-12-31"),
        ("schedule --amount 5 --start 2200-01-01 --periods 3 --zero", "--start is 2200-01-01: expected a date of the calendar from 1970-01-01 to 2199-12-31"),
        ("schedule --amount 5 --start 1969-12-31 --periods 3 --zero", "--start is 1969-12-31: expected a date of the calendar from 1970-01-01 to 2199-12-31"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --currency XYZ", "XYZ"),
        ("schedule /no/such/file.json", "/no/such/file.json"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --due-day 32", "--due-day is 32"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --due-day 3 --unit week", "--due-day is 3"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --holiday following", "the days that the calendar cn@2026 knows"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --grace-principal 1", "--grace-principal is 1"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --fee-timing at_end", "--flat-fee or --total-fee with it"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --fee 2%", "--fee is 2%"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --fee a=2%@now", "a timing of per_period"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --fee a=2/period", "write a=0.1%/period"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --fee a=2 --fee a=3", "--fee is a"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --total-fee 1% --bearers shop=60%", "come to exactly 1"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --total-fee 1% --bearers state=100%", "--bearers is state=100%"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --interest-only 1% --balloon 5%", "--balloon is given"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --annuity 1% --balloon 100%", "--balloon is 1"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --annuity 1% --defer-interest capitalised", "--defer-interest is capitalised"),
        ("schedule --amount 5 --start 2026-12-01 --periods 3 --zero --multiple 0", "--multiple is 0"),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_its_value_and_what_was_expected(
    capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert said in refusal(capsys, words)


@pytest.mark.parametrize(
    ("command", "content", "pointer"),
    [
        ("schedule", '{"amount": "5", "start_on": "2026-12-01"}', "/plan is missing"),
        ("schedule", '{"plan": {"pricing": {"kind": "flat"}, "periods": 3}, "amount": 5, "start_on": "2026-12-01"}', "/plan/pricing/kind is flat"),
        ("schedule", '{"plan": {"pricing": {"kind": "flat_fee"}, "periods": 3}, "amount": 5, "start_on": "2026-12-01"}', "/plan/pricing"),
        ("schedule", '{"plan": {"pricing": {"kind": "pay_in_full"}, "often": 3}, "amount": 5, "start_on": "2026-12-01"}', "/plan/often"),
        ("schedule", '{"plan": {"pricing": {"kind": "pay_in_full"}}, "amount": 5.001, "start_on": "2026-12-01"}', "/amount is 5.001"),
        ("schedule", '{"plan": {"pricing": {"kind": "pay_in_full"}}, "amount": 5, "start_on": "9999-12-01"}', "/start_on is 9999-12-01: expected a date of the calendar from 1970-01-01 to 2199-12-31"),
        ("schedule", "[]", "a JSON object"),
        ("schedule", "{", "valid JSON"),
    ],
)  # fmt: skip
def test_a_file_is_refused_by_json_pointer(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    content: str,
    pointer: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(content))
    assert pointer in refusal(capsys, f"{command} -")


@pytest.mark.parametrize("command", ["schedule", "cost"])
def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"    fenqi {command} --a" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("plan", "place"),
    [
        (
            {"pricing": {"kind": "flat_fee", "total_rate": "0.072", "rate": "0.1"}},
            "/plan/pricing/rate is given",
        ),
        ({"pricing": {"kind": "annuity", "annual_rate": "1e-300000"}}, "/plan/pricing/annual_rate"),
        ({"down_payment": {"shares": "0.1"}}, "/plan/down_payment/shares is given"),
        ({"pricing": {}}, "/plan/pricing/kind is missing"),
        ({"contingent": [{"code": "late"}]}, "/plan/contingent/0/name is missing"),
        ({"contingent": [{"code": 5}]}, "/plan/contingent/0/code is 5"),
        (
            {"contingent": [{"code": "", "name": WORDS, "basis": WORDS, "payee": "a"}]},
            "/plan/contingent/0/code is ''",
        ),
    ],
)
def test_a_plans_wrong_field_is_named_by_its_pointer(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: dict[str, Any], place: str
) -> None:
    whole = {"periods": 12, "pricing": {"kind": "zero_interest", "borne_by": "shop"}, **plan}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"plan": whole, "amount": "6000", "start_on": "2026-11-23"}))
    assert place in refusal(capsys, "schedule", str(file))


@pytest.mark.parametrize("command", ["schedule", "cost"])
def test_a_number_beyond_writing_is_bad_input(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    file = tmp_path / "huge.json"
    file.write_text('{"amount": 1e99999999999999999999}')
    assert "numbers that can be written out" in refusal(capsys, command, str(file))


def test_a_rate_that_is_not_one_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    def last(*words: str) -> str:
        assert main(["schedule", "--amount", "6000", "--periods", "12", "--start", "2026-11-23", *words]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    # All that is advanced is kept back, and more: no rate balances that.
    assert last("--total-fee", "120%", "--fee-timing", "up_front") == (
        "no cost in a year: nothing is advanced, or nothing is paid"
    )
    # 12 x 60 times the price: 1 + the rate of a month, 61.08, to the 12th is 2.7e21; a float has 17 of its digits.
    assert last("--flat-fee", "6000%").endswith("simple, > 1,000,000,000% compounded")
