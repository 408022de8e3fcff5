"""`fenqi cost`: a table for people, JSON for programs, and every wrong input named with exit code 2."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from fenqi.terms.cost import METHODS
from fenqi_server.cli import main
from fenqi_server.commands.table import width

pytestmark = pytest.mark.no_db


def said(capsys: pytest.CaptureFixture[str], words: str, *more: str) -> str:
    assert main(["cost", *words.split(), *more]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    return out.out


def answer(capsys: pytest.CaptureFixture[str], words: str, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(capsys, words, *more, "--json"))
    return found


def refusal(capsys: pytest.CaptureFixture[str], words: str, *more: str) -> str:
    assert main(["cost", *words.split(), *more]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    return out.err


def percents(found: dict[str, Any], key: str = "annual_cost") -> dict[str, str | None]:
    return {cost["method"].partition("@")[0]: cost["percent"] for cost in found[key]}


# For people.


def test_a_table_says_what_is_received_paid_and_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--advance 6000 --payment 536x12").splitlines() == [
        "¥6,000.00 received, ¥6,432.00 paid in 12 payments: ¥432.00 for it.",
        "",
        "method                            a year  defined as",
        "IRR x periods of a year (simple)  13.03%  cn_irr_x12_simple@1",
        "IRR, compounded                   13.84%  irr_compounded@1",
    ]


def test_a_table_lines_up_in_chinese_and_says_why_there_is_no_rate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = said(capsys, "--advance 100 --advance 132@2 --payment 230 --lang zh-CN").splitlines()
    assert lines[0] == "得到 ¥232.00，分 1 笔共付 ¥230.00：少付 ¥2.00。"
    assert len({width(line[: line.rindex("  ")]) for line in lines[2:5]}) == 1
    assert lines[-2:] == ["未定义：有几个利率都能使两边相等", "每期利率：10.000000%, 20.000000%"]


def test_free_is_nothing_and_zero(capsys: pytest.CaptureFixture[str]) -> None:
    free = said(capsys, "--advance 6000 --payment 500x12")
    assert "nothing for it" in free
    assert free.count("0.00%") == 2


def test_a_rate_that_nobody_reads_is_not_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "--advance 0.01 --payment 9000000000000 --unit day")
    assert "> 1,000,000,000%" in shown
    assert "undefined: the rate is too large to be written" in shown


# For programs.


def test_a_cost_in_one_word_or_several(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "--advance 6000 --payment 536x12")
    assert found == answer(capsys, "--advance 6000 --payment 536 x 12")
    assert percents(found) == {"cn_irr_x12_simple": "13.03", "irr_compounded": "13.84"}
    assert found["charge_minor"] == 43_200
    assert found["periods_per_year"] == "12"


def test_payments_follow_each_other_unless_their_period_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    follow = answer(capsys, "--advance 1000 --payment 600 --payment 210x2")
    assert follow == answer(capsys, "--advance 1000 --payment 600@1 --payment 210@2 --payment 210@3")
    late = answer(capsys, "--advance 6000 --payment 536x12@3 --method cn_irr_x12_simple@1")
    assert percents(late) == {"cn_irr_x12_simple": "9.91"}


def test_a_cost_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = {
        "advances": [{"at": 0, "amount": "6000"}],
        "payments": [{"at": 1, "amount": 536.00, "times": 12}],
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(flows)))
    assert answer(capsys, "-") == answer(capsys, "--advance 6000 --payment 536x12")


def test_nothing_charged_is_0_and_what_is_undefined_is_null_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    free = answer(capsys, "--advance 6000 --payment 500x12")
    assert {cost["rate_e12"] for cost in free["annual_cost"]} == {0}
    several = answer(capsys, "--advance 100 --advance 132@2 --payment 230")
    assert {cost["rate_e12"] for cost in several["annual_cost"]} == {None}
    assert several["annual_cost"][0]["reason"] == "several rates balance these flows"
    assert several["rates_per_period_percent"] == ["10.000000", "20.000000"]


# Dates and methods.


def test_dated_flows_are_told_by_each_laws_count(capsys: pytest.CaptureFixture[str]) -> None:
    # The published case of a first period of 18 days: 14.4458 simple, 15.5255 effective over 365 days.
    found = answer(capsys, "--advance 5999@2026-11-22 --payment 537.52@2026-12-10 --payment 537.40x11")
    assert percents(found) == {
        "cn_irr_x12_simple": "14.45",
        "irr_compounded": "15.44",
        "us_regz_actuarial": "14.48",
        "eu_annual": "15.5",
        "uk_conc_app_1_2": "15.5",
        "act365_annual": "15.53",
    }
    assert "periods_per_year" not in found
    assert {cost["method"]: cost["periods_per_year"] for cost in found["annual_cost"]}["eu_annual@1"] == "1"


def test_a_start_makes_dates_of_periods(capsys: pytest.CaptureFixture[str]) -> None:
    started = answer(capsys, "--start 2026-10-31 --advance 6000 --payment 536x12")
    dated = answer(capsys, "--advance 6000@2026-10-31 --payment 536@2026-11-30 --payment 536x11@2026-12-31")
    assert started == dated
    assert percents(started)["us_regz_actuarial"] == "13.03"
    deferred = answer(
        capsys, "--start 2026-10-31 --advance 6000 --payment 536x12@3 --method us_regz_actuarial"
    )
    assert percents(deferred) == {"us_regz_actuarial": "9.91"}
    weekly = answer(
        capsys, "--start 2026-11-02 --advance 100 --payment 26x4 --unit week --method us_regz_actuarial"
    )
    assert weekly["annual_cost"][0]["periods_per_year"] == "52"


def test_methods_by_name_with_or_without_version_and_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "--advance 6000 --payment 536x12"
    some = answer(capsys, f"{asked} --method eu_annual --method irr_compounded@1 --method eu_annual@1")
    assert [cost["method"] for cost in some["annual_cost"]] == ["eu_annual@1", "irr_compounded@1"]
    assert percents(some) == {"eu_annual": "13.8", "irr_compounded": "13.84"}
    every = answer(capsys, f"{asked} --method all")
    assert [cost["method"] for cost in every["annual_cost"]] == list(METHODS)
    # Days that are no whole months leave one method out of all, and are refused where it is the one asked for.
    odd = "--advance 100@2026-01-10 --payment 101@2026-02-11"
    assert "annual_from_months" not in percents(answer(capsys, f"{odd} --method all"))
    assert "whole months after 2026-01-10" in refusal(capsys, f"{odd} --method annual_from_months")


def test_a_dated_file_is_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "flows.json"
    flows: dict[str, Any] = {
        "advances": [{"on": "2026-11-22", "amount": "5999"}],
        "payments": [{"on": "2026-12-10", "amount": "537.41", "times": 12}],
    }
    file.write_text(json.dumps(flows), encoding="utf-8")
    options = "--advance 5999@2026-11-22 --payment 537.41x12@2026-12-10"
    assert answer(capsys, str(file)) == answer(capsys, options)
    flows = {
        "start_on": "2026-10-31",
        "advances": [{"at": 0, "amount_minor": 600_000}],
        "payments": [{"at": 1, "amount": 536, "times": 3}],
        "returned": [{"at": 3, "amount": "6000"}],
        "refunded": [{"at": 3, "amount": "1500"}],
    }
    file.write_text(json.dumps(flows), encoding="utf-8")
    given = "--advance 6000 --payment 536x3 --returned 6000@3 --refunded 1500@3 --start 2026-10-31"
    assert answer(capsys, str(file)) == answer(capsys, given)


def test_a_charge_kept_back_at_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    # 10,000 at 7.2 % over 12 months in equal payments, and 200 for a guarantee at the start: 11.0108 joined.
    found = answer(capsys, "--advance 10000 --payment 200@0 --payment 866.19x12")
    assert percents(found) == {"cn_irr_x12_simple": "11.01", "irr_compounded": "11.58"}


# What was realised, and cash.


def test_what_was_realised_after_goods_went_back(capsys: pytest.CaptureFixture[str]) -> None:
    base = "--advance 6000 --payment 536x3 --returned 6000@3"
    assert percents(answer(capsys, f"{base} --refunded 1500@3"))["cn_irr_x12_simple"] == "7.85"
    back = answer(capsys, f"{base} --refunded 1608@3")
    assert {cost["rate_e12"] for cost in back["annual_cost"]} == {0}


def test_zero_percent_beside_a_price_for_cash(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "--advance 6000 --payment 500x12 --cash-price"
    found = answer(capsys, f"{asked} 5800")
    assert percents(found)["cn_irr_x12_simple"] == "0.00"
    assert percents(found, "annual_cost_beside_cash")["cn_irr_x12_simple"] == "6.31"
    assert found["cash_price_minor"] == 580_000
    assert "beside cash" in said(capsys, f"{asked} 5700")
    assert "9.58%" in said(capsys, f"{asked} 5700")
    assert "at most the ¥6,000.00 advanced" in refusal(capsys, f"{asked} 6001")


# Bad input.


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("", "--advance is missing"),
        ("--advance 5", "--payment is missing"),
        ("--advance 5 --payment 5y3", "--payment is 5y3"),
        ("--advance 5 --payment 5x0", "1 to 10000 times"),
        ("--advance 5 --payment 5x10000 --payment 5", "at most 10000"),
        ("--advance 5@3 --payment 5", "no payment before the first advance"),
        ("--advance 5 --payment 0", "payments[0].amount_minor is 0"),
        ("--advance 5 --payment -1", "--payment is -1: expected an amount of 0 or more"),
        ("--advance 99999999999999999999 --payment 5", "at most"),
        ("--advance 5 --payment 5@0", "cancel out"),
        ("--advance 5 --payment 4@0", "all of one sign"),
        ("--advance 5 --payment 6@1000000", "--payment is 6@1000000"),
        ("--advance 5 --payment 6@100001", "0 to 100000 periods"),
        (
            "--advance 5@2026-02-30 --payment 6@2026-03-01",
            "--advance is 2026-02-30: expected a date of the calendar",
        ),
        ("--advance 5@2026-03-02 --payment 6@2026-03-01", "not before the first advance on 2026-03-02"),
        (
            "--advance 5@1026-03-02 --payment 6@2026-03-01",
            "--advance is 1026-03-02: expected a date of the calendar from 1970-01-01 to 2199-12-31",
        ),
        ("--advance 5@2026-03-02 --payment 6@9999-03-01", "--payment is 9999-03-01: expected a date of"),
        ("--advance 5 --payment 6@2026-03-01", "--start is missing"),
        ("--advance 5 --payment 6 --start tomorrow", "--start is tomorrow"),
        ("--advance 5 --payment 6x12 --start 9999-12-01", "--start is 9999-12-01: expected a date of"),
        ("--advance 5 --payment 6 --every 0", "1 to 3660 units"),
        ("--advance 5 --payment 6 --currency XYZ", "XYZ"),
        (
            "--advance 5 --payment 6 --method irr",
            "--method is irr: expected all, or one of cn_irr_x12_simple@1",
        ),
        ("--advance 5 --payment 6 --cash-price 0", "more than 0"),
        ("/no/such/file.json", "/no/such/file.json"),
    ],
)
def test_bad_input_is_named_with_its_value_and_what_was_expected(
    capsys: pytest.CaptureFixture[str], words: str, what: str
) -> None:
    assert what in refusal(capsys, words)


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ('{"advances": [{"at": 0, "amount": "5"}]}', "/payments is missing"),
        ('{"advances": [], "payments": []}', "flows is empty"),
        ('{"advances": [{"at": 0, "amount": "5"}], "payments": []}', "all of one sign"),
        ('{"advances": [], "payments": [{"on": "2026-01-01", "amount": "5"}]}', "all of one sign"),
        ('{"advances": [{"at": 0, "amount": "5"}], "payments": [{"at": -1, "amount": "5"}]}', "/payments/0/at is -1"),
        ('{"advances": [{"at": 0, "amount_minor": -5}], "payments": []}', "/advances/0/amount_minor is -5"),
        ('{"advances": [{"at": 0}], "payments": []}', "/advances/0/amount is missing"),
        ('{"unit": "year", "advances": [], "payments": []}', "/unit is year"),
        ('{"advances": [{"at": 0, "on": "2026-01-01", "amount": 5}], "payments": []}', "/advances/0/on is given beside at"),
        ('{"advances": [{"on": "2026-02-30", "amount": 5}], "payments": []}', "/advances/0/on is 2026-02-30"),
        ('{"advances": [{"on": 5, "amount": 5}], "payments": []}', "/advances/0/on is 5"),
        ('{"advances": [{"on": "2200-01-01", "amount": 5}], "payments": []}', "/advances/0/on is 2200-01-01"),
        ('{"start_on": "9999-12-01", "advances": [], "payments": []}', "/start_on is 9999-12-01"),
        ('{"start_on": "soon", "advances": [], "payments": []}', "/start_on is soon"),
        ('{"start_on": "2026-01-01", "advances": [{"at": "0.5", "amount": 5}], "payments": []}', "whole periods"),
        ('{"advances": [{"at": 0, "amount": 5, "kind": 1}], "payments": []}', "/advances/0/kind is given"),
        ('{"advances": [{"at": 0, "amount": 5}], "payments": [{"at": 1, "amount": 5}], "cash_price": "x"}', "/cash_price"),
        ("[]", "a JSON object"),
        ("{", "valid JSON"),
    ],
)  # fmt: skip
def test_a_file_is_refused_by_json_pointer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, content: str, pointer: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(content))
    assert pointer in refusal(capsys, "-")


def test_a_file_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no option beside a file" in refusal(capsys, "flows.json --start 2026-01-01")
    assert "no option beside a file" in refusal(capsys, "flows.json --cash-price 5")


def test_help_teaches_by_example_and_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["cost", "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in METHODS)
    examples = [line.strip() for line in shown.splitlines() if line.startswith("    fenqi cost --")]
    assert len(examples) >= 9
    for example in examples:
        assert main(example.split()[1:]) == 0
        assert "%" in capsys.readouterr().out


# A unit that is said, and a charge that rounds to nothing.


def test_a_unit_that_is_said_is_the_unit_of_dated_flows(capsys: pytest.CaptureFixture[str]) -> None:
    # A year at 10 %: months compound to it at 12 x (1.1 ** (1/12) - 1) = 9.57 %; with no word, one year is the period.
    dated = "--advance 100@2026-01-15 --payment 110@2027-01-15 --method cn_irr_x12_simple"
    assert percents(answer(capsys, dated + " --unit month")) == {"cn_irr_x12_simple": "9.57"}
    assert percents(answer(capsys, dated)) == {"cn_irr_x12_simple": "10.00"}
    assert "9.57%" in said(capsys, "--advance 100 --payment 110@12")


def test_a_charge_of_a_fen_is_not_shown_as_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    # 0.01 on 6000 for a month: 12 x 0.00017 % = 0.002 %.
    assert "  < 0.01%  " in said(capsys, "--advance 6000 --payment 6000.01")
    assert "> -0.01%" in said(capsys, "--advance 6000 --payment 5999.99")
    assert percents(answer(capsys, "--advance 6000 --payment 6000.01"))["cn_irr_x12_simple"] == "0.00"


def test_several_amounts_of_one_option_are_several_flows(capsys: pytest.CaptureFixture[str]) -> None:
    # And never 100 and 250 written together: 100250.
    together = answer(capsys, "--advance 300 --payment 100 250 x 2 @ 2")
    assert together == answer(capsys, "--advance 300 --payment 100 --payment 250x2@2")
    assert together["paid_minor"] == 60_000
    assert "--payment is CNY" in refusal(capsys, "--advance 300 --payment 100 CNY")


def test_goods_that_went_back_are_not_said_to_be_money_paid(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--advance 6000 --payment 536x3 --returned 6000@3 --refunded 1500@3"
    # 3 x 536 = 1608, of which 1500 came back.
    assert said(capsys, words + " --lang zh-CN").splitlines()[0] == (
        "得到 ¥6,000.00，分 3 笔共付 ¥1,608.00；退货 ¥6,000.00，退款 ¥1,500.00：多付 ¥108.00。"
    )
    found = answer(capsys, words)
    assert (found["advanced_minor"] - found["refunded_minor"], found["charge_minor"]) == (600_000, 10_800)
    assert found["paid_minor"] - found["returned_minor"] == 160_800
